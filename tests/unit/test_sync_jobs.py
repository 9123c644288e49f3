from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import islice, pairwise

import pytest

from tests.support.clocks import FakeClock
from voucherify_async import errors
from voucherify_async._sync.jobs import MAX_FAILURES, JobPoller, pauses
from voucherify_async.models.async_actions import AsyncAction

Answer = str | errors.VoucherifyError | None

PAUSES = list(islice(pauses(), 40))


class Service(FakeClock):
    """Jobs that end when they are told to, and the time at which they do; it passes only when somebody sleeps."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.looks: list[tuple[int, str]] = []
        self.answers: dict[str, Answer] = {}
        self.plans: list[Callable[[int], None]] = []
        self.progress: Callable[[float], int] | None = None
        """How far jobs have come, in percent, at a time."""
        self.processing_time: int | None = None
        self.before: list[list[str] | errors.VoucherifyError] = []
        self.asked: list[str | None] = []

    def wake_next(self) -> None:
        for plan in self.plans:
            plan(len(self.slept))
        super().wake_next()

    async def start(self, content: bytes, /) -> str:
        raise AssertionError("a poller starts no jobs")

    async def open_before(self, action: AsyncAction | None, /) -> list[str]:
        self.asked.append(None if action is None else action.id)
        if isinstance(answer := self.before.pop(0), errors.VoucherifyError):
            raise answer
        return answer

    async def get(self, job_id: str, /) -> AsyncAction:
        self.looks.append((len(self.slept), job_id))
        await asyncio.sleep(0)
        answer = self.answers.get(job_id, "IN_PROGRESS")
        if isinstance(answer, errors.VoucherifyError):
            raise answer
        if self.progress is None:
            return AsyncAction(id=job_id, status=answer, processing_time=self.processing_time)
        progress = self.progress(self.now)
        return AsyncAction(id=job_id, status="DONE" if progress == 100 else answer, progress=progress)

    def at(self, pause: int, job_id: str, answer: Answer) -> None:
        """Have looks at a job answer so from a pause on."""

        def plan(number: int) -> None:
            if number == pause:
                self.answers[job_id] = answer

        self.plans.append(plan)

    def looks_by_pause(self) -> Counter[int]:
        return Counter(pause for pause, _ in self.looks)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def poller(service: Service) -> JobPoller:
    return JobPoller(service, service, max_server_wait=60.0)


@asynccontextmanager
async def running(poller: JobPoller) -> AsyncGenerator[asyncio.Task[None]]:
    task = asyncio.create_task(poller.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def waiting(poller: JobPoller, *names: str) -> list[asyncio.Task[AsyncAction | None]]:
    return [asyncio.create_task(poller.ended(name)) for name in names]


def assert_no_trace(poller: JobPoller) -> None:
    assert not poller._open


def test_pauses_grow_by_half_to_five_seconds() -> None:
    assert PAUSES[0] == 0.1
    assert all(later == pytest.approx(min(sooner * 1.5, 5.0)) for sooner, later in pairwise(PAUSES))
    assert PAUSES[9] < 5.0
    assert PAUSES[10:] == [5.0] * 30


class TestPauses:
    async def test_one_look_after_each(self, service: Service, poller: JobPoller) -> None:
        service.at(15, "a", "DONE")
        async with running(poller):
            assert await poller.ended("a") == AsyncAction(id="a", status="DONE")
        assert service.slept == PAUSES[:15]
        assert service.looks == [(number, "a") for number in range(1, 16)]
        assert_no_trace(poller)

    async def test_they_start_anew_after_an_end(self, service: Service, poller: JobPoller) -> None:
        service.at(6, "a", "DONE")
        service.at(10, "b", "FAILED")
        async with running(poller):
            found = await asyncio.gather(*waiting(poller, "a", "b"))
        assert [action and action.status for action in found] == ["DONE", "FAILED"]
        assert service.slept == PAUSES[:6] + PAUSES[:4]

    async def test_they_start_anew_after_an_end_out_of_turn(
        self, service: Service, poller: JobPoller
    ) -> None:
        service.at(5, "b", "DONE")
        service.at(9, "a", "DONE")
        async with running(poller):
            await asyncio.gather(*waiting(poller, "a", "b"))
        assert service.slept == PAUSES[:5] + PAUSES[:4]

    async def test_they_start_anew_when_all_had_ended(self, service: Service, poller: JobPoller) -> None:
        service.answers["b"] = "DONE"
        service.at(4, "a", "DONE")
        async with running(poller):
            await poller.ended("a")
            await turns(50)
            await poller.ended("b")
        assert service.slept == [*PAUSES[:4], PAUSES[0]]

    async def test_without_a_job_it_does_nothing(self, service: Service, poller: JobPoller) -> None:
        async with running(poller) as task:
            await turns(50)
            assert not task.done()
        assert (service.slept, service.looks) == ([], [])


class TestLooks:
    @pytest.mark.parametrize("count", [1, 2, 3, 10, 100])
    async def test_at_most_two_a_pause_while_none_ends(
        self, service: Service, poller: JobPoller, count: int
    ) -> None:
        names = [f"job-{number}" for number in range(count)]
        async with running(poller):
            tasks = waiting(poller, *names)
            while len(service.slept) < 110:
                await turns(10)
            assert len(poller._open) == count
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        by_pause = service.looks_by_pause()
        assert max(by_pause.values()) == min(count, 2)
        whole = [name for pause, name in service.looks if pause <= 100]
        assert Counter(whole)[names[0]] == 100
        assert set(whole) == set(names)
        assert_no_trace(poller)

    async def test_two_a_pause_and_one_for_each_end(self, service: Service, poller: JobPoller) -> None:
        names = [f"job-{number}" for number in range(30)]
        for number, name in enumerate(names):
            service.at(2 + number // 7, name, "DONE")
        async with running(poller):
            await asyncio.gather(*waiting(poller, *names))
        ended = Counter({2: 7, 3: 7, 4: 7, 5: 7, 6: 2})
        assert all(looks <= 2 + ended[pause] for pause, looks in service.looks_by_pause().items())
        assert len(service.looks) <= len(names) + 2 * len(service.slept)

    async def test_all_that_have_ended_are_found_at_once(self, service: Service, poller: JobPoller) -> None:
        names = [f"job-{number}" for number in range(50)]
        for name in names:
            service.at(3, name, "DONE")
        async with running(poller):
            await asyncio.gather(*waiting(poller, *names))
        assert len(service.slept) == 3

    @pytest.mark.parametrize("others", [1, 2, 3, 7])
    async def test_a_stuck_job_does_not_keep_others_from_being_noticed(
        self, service: Service, poller: JobPoller, others: int
    ) -> None:
        names = [f"job-{number}" for number in range(others)]
        for name in names:
            service.answers[name] = "DONE"
        async with running(poller):
            (stuck,) = waiting(poller, "stuck")
            await asyncio.sleep(0)
            await asyncio.gather(*waiting(poller, *names))
            assert not stuck.done()
            assert len(poller._open) == 1
            assert len(service.slept) <= others + 2
            service.answers["stuck"] = "FAILED"
            assert await stuck == AsyncAction(id="stuck", status="FAILED")

    async def test_two_stuck_jobs_do_not_either(self, service: Service, poller: JobPoller) -> None:
        async with running(poller):
            tasks = waiting(poller, "stuck-0", "stuck-1")
            await asyncio.sleep(0)
            for number in range(50):
                service.answers[f"job-{number}"] = "DONE"
                before = len(service.slept)
                await poller.ended(f"job-{number}")
                assert len(service.slept) - before <= 3
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert_no_trace(poller)

    async def test_two_that_wait_for_one_job(self, service: Service, poller: JobPoller) -> None:
        service.at(3, "a", "DONE")
        async with running(poller):
            found = await asyncio.gather(*waiting(poller, "a", "a"))
        assert found == [AsyncAction(id="a", status="DONE")] * 2
        assert_no_trace(poller)

    @pytest.mark.parametrize("status", ["ENQUEUED", "IN_PROGRESS", None])
    async def test_a_job_that_has_not_ended(
        self, service: Service, poller: JobPoller, status: str | None
    ) -> None:
        service.answers["a"] = status
        service.at(3, "a", "DONE")
        async with running(poller):
            await poller.ended("a")
        assert len(service.looks) == 3

    async def test_jobs_that_come_while_it_looks(self, service: Service, poller: JobPoller) -> None:
        tasks: list[asyncio.Task[AsyncAction | None]] = []

        def come(number: int) -> None:
            tasks.extend(waiting(poller, f"job-{number}"))
            service.answers[f"job-{number - 2}"] = "DONE"

        service.plans.append(come)
        service.at(20, "a", "DONE")
        async with running(poller):
            await poller.ended("a")
            service.plans.clear()
            for number in range(30):
                service.answers[f"job-{number}"] = "DONE"
            await asyncio.gather(*tasks)
        assert_no_trace(poller)


class TestMisses:
    async def test_a_job_that_is_not_found_is_gone(self, service: Service, poller: JobPoller) -> None:
        service.answers["a"] = errors.NotFoundError("no such job", status=404)
        service.now = 1_000.0
        async with running(poller):
            assert await poller.ended("a", accepted=970.0) is None
        assert service.slept == PAUSES[:1]
        assert_no_trace(poller)

    async def test_a_new_job_may_be_unknown_for_half_a_minute(
        self, service: Service, poller: JobPoller
    ) -> None:
        service.answers["a"] = errors.NotFoundError("no such job", status=404)
        service.now = 1_000.0
        async with running(poller):
            assert await poller.ended("a", accepted=1_000.0) is None
        assert 30.0 <= service.now - 1_000.0 < 35.0
        assert_no_trace(poller)

    async def test_a_new_job_that_becomes_known(self, service: Service, poller: JobPoller) -> None:
        service.answers["a"] = errors.NotFoundError("no such job", status=404)
        service.at(8, "a", "DONE")
        async with running(poller):
            assert await poller.ended("a", accepted=0.0) == AsyncAction(id="a", status="DONE")
        assert_no_trace(poller)

    async def test_a_job_that_is_gone_does_not_keep_others_from_ending(
        self, service: Service, poller: JobPoller
    ) -> None:
        service.answers["a"] = errors.NotFoundError("no such job", status=404)
        service.answers["b"] = "DONE"
        async with running(poller):
            gone, found = await asyncio.gather(*waiting(poller, "a", "b"))
        assert gone is None
        assert found == AsyncAction(id="b", status="DONE")


class TestStatusesThatNobodyKnows:
    async def test_they_end_a_job_after_ten_minutes(self, service: Service, poller: JobPoller) -> None:
        service.answers["a"] = "CANCELLED"
        async with running(poller):
            assert await poller.ended("a") == AsyncAction(id="a", status="CANCELLED")
        assert 600.0 <= service.now < 610.0

    async def test_one_that_passes_does_not(self, service: Service, poller: JobPoller) -> None:
        for pause in range(1, 400, 100):
            service.at(pause, "a", "PAUSED")
            service.at(pause + 99, "a", "IN_PROGRESS")
        service.at(400, "a", "DONE")
        async with running(poller):
            assert await poller.ended("a") == AsyncAction(id="a", status="DONE")
        assert service.now > 1_200.0


TRANSIENT = [
    errors.ConnectionFailedError("reset"),
    errors.ReadTimeoutError("too late"),
    errors.DeadlineExceededError("too late"),
    errors.ServerError("oops", status=503),
    errors.RateLimitError("slow", status=429),
    errors.LockedError("locked", status=423),
    errors.DecodeError("no JSON"),
]
LASTING = [
    errors.AuthenticationError("no", status=401),
    errors.PermissionDeniedError("no", status=403),
    errors.BadRequestError("no", status=400),
    errors.ConfigurationError("closed"),
]


class TestErrors:
    @pytest.mark.parametrize("error", TRANSIENT)
    async def test_all_but_the_last_in_a_row_are_borne(
        self, service: Service, poller: JobPoller, error: errors.VoucherifyError
    ) -> None:
        service.answers["a"] = error
        service.at(MAX_FAILURES, "a", "DONE")
        async with running(poller):
            assert await poller.ended("a") == AsyncAction(id="a", status="DONE")
        assert service.slept == PAUSES[:MAX_FAILURES]
        assert service.now > 100

    @pytest.mark.parametrize("error", TRANSIENT)
    async def test_the_last_is_raised(
        self, service: Service, poller: JobPoller, error: errors.VoucherifyError
    ) -> None:
        service.answers["a"] = error
        async with running(poller) as task:
            (waiter,) = waiting(poller, "a")
            with pytest.raises(type(error)) as raised:
                await task
            assert raised.value is error
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
        assert len(service.looks) == MAX_FAILURES
        assert_no_trace(poller)

    async def test_they_are_counted_anew_after_a_look_that_went_well(
        self, service: Service, poller: JobPoller
    ) -> None:
        broken = errors.ConnectionFailedError("reset")
        service.answers["a"] = broken
        for number in range(8, 80, 8):
            service.at(number, "a", "IN_PROGRESS")
            service.at(number + 1, "a", broken)
        service.at(88, "a", "DONE")
        service.at(80, "a", "IN_PROGRESS")
        async with running(poller):
            assert await poller.ended("a") == AsyncAction(id="a", status="DONE")
        assert len(service.looks) == 88

    async def test_a_look_at_another_job_that_went_well_counts(
        self, service: Service, poller: JobPoller
    ) -> None:
        service.answers["a"] = errors.ServerError("oops", status=500)
        service.at(50, "a", "DONE")
        service.at(60, "b", "DONE")
        async with running(poller):
            await asyncio.gather(*waiting(poller, "a", "b"))
        assert len(service.slept) == 60

    @pytest.mark.parametrize("error", LASTING)
    async def test_others_are_raised_at_once(
        self, service: Service, poller: JobPoller, error: errors.VoucherifyError
    ) -> None:
        service.answers["a"] = error
        async with running(poller) as task:
            (waiter,) = waiting(poller, "a")
            with pytest.raises(type(error)):
                await task
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
        assert len(service.looks) == 1

    @pytest.mark.parametrize(("wait", "kind"), [(61.0, "api_calls"), (None, "api_calls_cycle")])
    async def test_a_wait_that_is_too_long_is_raised_at_once(
        self, service: Service, poller: JobPoller, wait: float | None, kind: str
    ) -> None:
        error = errors.RateLimitError("slow", status=429)
        error.retry_after, error.kind = wait, kind
        service.answers["a"] = error
        async with running(poller) as task:
            (waiter,) = waiting(poller, "a")
            with pytest.raises(errors.RateLimitError):
                await task
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
        assert len(service.looks) == 1


class TestEnds:
    async def test_closing_ends_a_run_that_has_nothing_to_do(self, poller: JobPoller) -> None:
        async with running(poller) as task:
            await turns(5)
            poller.close()
            await task

    async def test_closing_before_the_run(self, poller: JobPoller) -> None:
        poller.close()
        await poller.run()

    async def test_closing_after_jobs_have_ended(self, service: Service, poller: JobPoller) -> None:
        service.answers["a"] = "DONE"
        async with running(poller) as task:
            await poller.ended("a")
            poller.close()
            await task
        assert len(service.slept) == 1

    async def test_a_closed_run_goes_on_until_no_job_is_open(
        self, service: Service, poller: JobPoller
    ) -> None:
        service.at(5, "a", "DONE")
        async with running(poller) as task:
            (waiter,) = waiting(poller, "a")
            await turns(5)
            poller.close()
            await task
            assert await waiter == AsyncAction(id="a", status="DONE")

    @pytest.mark.parametrize("moment", range(12))
    @pytest.mark.parametrize("others", [0, 1, 3])
    async def test_a_waiter_that_is_cancelled_leaves_no_trace(
        self, service: Service, poller: JobPoller, moment: int, others: int
    ) -> None:
        names = [f"job-{number}" for number in range(others)]
        async with running(poller) as task:
            victim, *rest = waiting(poller, "victim", *names)
            await turns(moment)
            victim.cancel()
            with pytest.raises(asyncio.CancelledError):
                await victim
            assert len(poller._open) <= others
            for name in names:
                service.answers[name] = "DONE"
            assert [action and action.id for action in await asyncio.gather(*rest)] == names
            assert_no_trace(poller)
            poller.close()
            await task
        assert_no_trace(poller)

    @pytest.mark.parametrize("moment", range(12))
    @pytest.mark.parametrize("answer", [errors.NotFoundError("no such job", status=404), "DONE"])
    async def test_nor_does_one_whose_job_is_found_out_about_at_that_moment(
        self, service: Service, poller: JobPoller, moment: int, answer: Answer
    ) -> None:
        service.answers["victim"] = answer
        async with running(poller) as task:
            (victim,) = waiting(poller, "victim")
            await turns(moment)
            victim.cancel()
            await asyncio.gather(victim, return_exceptions=True)
            poller.close()
            await task
        assert_no_trace(poller)


class TestProgress:
    """Where a job says how far it has come, the last pause ends when it should."""

    @pytest.mark.parametrize("seconds", [2.0, 5.0, 60.0, 1_000.0])
    async def test_a_job_is_seen_to_have_ended_soon(
        self, service: Service, poller: JobPoller, seconds: float
    ) -> None:
        service.progress = lambda now: min(int(100 * now / seconds), 100)
        async with running(poller):
            await poller.ended("a")
        assert seconds <= service.now <= seconds * 1.1 + 0.1
        assert len(service.looks) < 20 + seconds / 4

    async def test_one_that_stands_still_is_looked_at_less_and_less(
        self, service: Service, poller: JobPoller
    ) -> None:
        service.progress = lambda now: 100 if now > 100 else min(int(50 * now), 99)
        async with running(poller):
            await poller.ended("a")
        assert service.slept[-5:] == [5.0] * 5

    async def test_the_next_job_is_expected_to_take_as_long_as_the_last(
        self, service: Service, poller: JobPoller
    ) -> None:
        """Where jobs do not say how far they have come, and by pauses alone the end is seen at 21.3 s."""
        service.processing_time = 17_000
        async with running(poller):
            for name, longest in (("a", 22.0), ("b", 17.1)):
                began = service.now
                waiter = asyncio.create_task(poller.ended(name))
                while not waiter.done():
                    if service.now - began >= 17:
                        service.answers[name] = "DONE"
                    await asyncio.sleep(0)
                assert 17 <= service.now - began <= longest

    async def test_a_job_that_is_due_is_polled_though_many_are_older(
        self, service: Service, poller: JobPoller
    ) -> None:
        service.processing_time, service.answers["first"] = 40_000, "DONE"
        async with running(poller):
            await poller.ended("first")
            stuck = waiting(poller, *(f"old-{number}" for number in range(60)))
            began, young = service.now, asyncio.create_task(poller.ended("young"))
            while not young.done():
                if service.now - began >= 40:
                    service.answers["young"] = "DONE"
                await asyncio.sleep(0)
            for waiter in stuck:
                waiter.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
        assert 40 <= service.now - began < 41


class TestAllEnded:
    async def test_those_before_a_job_are_waited_for(self, service: Service, poller: JobPoller) -> None:
        service.before = [["a", "b"], []]
        service.at(3, "a", "DONE")
        service.at(5, "b", "DONE")
        async with running(poller):
            await poller.all_ended(AsyncAction(id="c"))
            await poller.all_ended()
        assert service.asked == ["c", None]
        assert len(service.slept) == 5

    async def test_a_look_for_them_is_made_again(self, service: Service, poller: JobPoller) -> None:
        service.before = [errors.TransportError("gone"), errors.TransportError("gone"), []]
        await poller.all_ended()
        assert service.slept == [0.1, pytest.approx(0.15)]

    @pytest.mark.parametrize(
        ("failure", "times"),
        [
            (errors.TransportError("gone"), MAX_FAILURES),
            (errors.AuthenticationError("no", status=401), 1),
        ],
    )
    async def test_it_does_not_go_on_for_ever(
        self, service: Service, poller: JobPoller, failure: errors.VoucherifyError, times: int
    ) -> None:
        service.before = [failure] * 40
        with pytest.raises(type(failure)):
            await poller.all_ended()
        assert len(service.asked) == times

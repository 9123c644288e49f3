"""Rate limits: against a sandbox that has one, and against answers that a test writes."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.clocks import NOW, FakeClock, skipping_clock, use_clock
from tests.support.hooks import RecordingHook
from tests.support.internals import remembered_limiters
from tests.support.wire import CUSTOMER, RawServer, Script, raw_server, respond, stall
from voucherify_async import (
    DeadlineExceededError,
    LocalRateLimiter,
    RateLimit,
    RateLimiter,
    RateLimitError,
    RetryPolicy,
    VoucherifyClient,
)
from voucherify_async.sandbox import Quota, Sandbox


@dataclass(frozen=True)
class Job:
    """So many calls, so many of them at once, where so many a minute are allowed."""

    calls: int
    concurrency: int
    limit: int


WHOLE = Job(calls=1_500, concurrency=50, limit=600)
FIFTH = Job(calls=300, concurrency=10, limit=120)
SHORTEST = 120.0
"""Seconds; the limit at once, as many a minute later, and the rest when another minute is over."""


async def in_turn(numbers: Iterator[int], call: Callable[[int], Awaitable[object]]) -> None:
    for number in numbers:
        await call(number)


async def run_job(voucherify: VoucherifyClient, job: Job) -> None:
    numbers = iter(range(job.calls))
    async with asyncio.TaskGroup() as workers:
        for _ in range(job.concurrency):
            workers.create_task(
                in_turn(numbers, lambda number: voucherify.customers.create(source_id=f"crm-{number}"))
            )


def refused(sandbox: Sandbox) -> int:
    return sum(exchange.status == 429 for exchange in sandbox.requests)


@asynccontextmanager
async def limited_sandbox(
    quota: Quota, **settings: Any
) -> AsyncGenerator[tuple[Sandbox, VoucherifyClient, FakeClock]]:
    async with (
        Sandbox(rate_limit=quota) as sandbox,
        sandbox.client(**settings) as voucherify,
        skipping_clock(voucherify, sandbox) as clock,
    ):
        yield sandbox, voucherify, clock


@asynccontextmanager
async def served(
    *answers: bytes | Script | None, **settings: Any
) -> AsyncGenerator[tuple[RawServer, VoucherifyClient]]:
    async with (
        raw_server(*answers) as server,
        VoucherifyClient("id", "token", base_url=server.base_url, **settings) as client,
    ):
        yield server, client


@pytest.mark.parametrize("job", [FIFTH, pytest.param(WHOLE, marks=pytest.mark.soak)], ids=["fifth", "whole"])
@pytest.mark.parametrize("fixed", [False, True], ids=["sliding", "fixed"])
class TestJobs:
    @pytest.mark.parametrize("limiter", ["adaptive", "local"])
    async def test_it_ends_soon_and_is_hardly_ever_refused(self, job: Job, fixed: bool, limiter: str) -> None:
        async with limited_sandbox(Quota(job.limit, fixed=fixed)) as (sandbox, voucherify, clock):
            local = LocalRateLimiter(job.limit, 60, clock=clock)
            client = voucherify.with_options(rate_limiter=local) if limiter == "local" else voucherify
            began = clock.now
            await run_job(client, job)
            seconds = clock.now - began
        assert len(sandbox.store.customers) == job.calls
        assert refused(sandbox) < 0.02 * job.calls
        assert seconds < 1.15 * SHORTEST

    async def test_without_a_limiter_the_gate_alone_sees_it_through(self, job: Job, fixed: bool) -> None:
        quota = Quota(job.limit, fixed=fixed)
        async with limited_sandbox(quota, rate_limiter=None) as (sandbox, voucherify, clock):
            began = clock.now
            await run_job(voucherify, job)
            seconds = clock.now - began
        assert len(sandbox.store.customers) == job.calls
        assert 0 < refused(sandbox) <= 3 * job.concurrency
        assert seconds < 1.15 * SHORTEST


@pytest.mark.soak
@pytest.mark.timeout(1_800)
async def test_a_job_for_real() -> None:
    """No clock but the real one, for both windows at once. How long it takes is a benchmark: `benchmarks.pace`."""

    async def run(fixed: bool) -> int:
        quota = Quota(WHOLE.limit, fixed=fixed)
        async with Sandbox(rate_limit=quota) as sandbox, sandbox.client() as voucherify:
            await run_job(voucherify, WHOLE)
            return refused(sandbox)

    for many in await asyncio.gather(run(fixed=False), run(fixed=True)):
        assert many < 0.02 * WHOLE.calls


class TestGate:
    @pytest.mark.parametrize("limiter", ["adaptive", "none"])
    async def test_two_hundred_waiting_calls_are_no_burst(self, limiter: str) -> None:
        settings: dict[str, Any] = {"rate_limiter": None} if limiter == "none" else {}
        async with limited_sandbox(Quota(300, fixed=True), **settings) as (sandbox, voucherify, _clock):
            for number in range(300):
                await voucherify.customers.create(source_id=f"crm-{number}")
            sandbox.requests.clear()
            await asyncio.gather(
                *(voucherify.customers.create(source_id=f"late-{number}") for number in range(200))
            )
            arrivals = [exchange.at for exchange in sandbox.requests]
        admitted = arrivals[-200:]
        assert len(arrivals) - len(admitted) <= 100  # sent before the first refusal came back, if any were
        in_a_tenth = max(sum(begin <= arrival < begin + 0.1 for arrival in admitted) for begin in admitted)
        assert in_a_tenth < 100
        assert admitted[-1] - admitted[0] > 1.0

    async def test_first_come_first_served(self) -> None:
        blocked = respond(429, headers=("Retry-After: 30",))
        async with served(blocked, CUSTOMER, max_connections=1) as (server, client):
            use_clock(client)
            first = asyncio.create_task(client.customers.get("first"))
            while client.rate_limit is None and not server.requests:  # noqa: ASYNC110  # a socket sets no event
                await asyncio.sleep(0.001)
            names = [f"waiting-{number}" for number in range(20)]
            await asyncio.gather(first, *(client.customers.get(name) for name in names))
        asked = [request.split(b" ")[1].rpartition(b"/")[2].decode() for request in server.requests[1:]]
        assert [name for name in asked if name != "first"] == names

    async def test_calls_that_wait_for_a_place_are_held_back_too(self) -> None:
        """They have passed the gate before it closed."""
        blocked = respond(429, headers=("Retry-After: 30",))
        async with (
            raw_server(blocked, CUSTOMER) as server,
            VoucherifyClient(
                "id", "token", base_url=server.base_url, max_connections=1, rate_limiter=None
            ) as client,
        ):
            clock = use_clock(client, FakeClock(jitter=0.0))
            await asyncio.gather(*(client.customers.get(str(number)) for number in range(10)))
        assert len(server.requests) == 11
        assert clock.slept[0] == 30.0

    async def test_a_gate_that_closes_again_while_calls_wait_for_a_place(self) -> None:
        blocked = respond(429, headers=("Retry-After: 30",))
        sent: list[float] = []

        async def slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.15)  # by then the gate has let the next call through
            writer.write(blocked)

        hook = RecordingHook(lambda: sent.append(clock.now))
        async with (
            served(blocked, slowly, CUSTOMER, max_connections=1, hooks=[hook]) as (_, client),
            skipping_clock(client) as clock,
        ):
            await asyncio.gather(*(client.customers.get(str(number)) for number in range(10)))
        assert sent[1] - sent[0] >= 30.0
        assert sent[2] - sent[1] >= 30.0

    async def test_a_wait_beyond_the_longest_is_an_error_at_once_for_all(self) -> None:
        blocked = respond(429, headers=("Retry-After: 3600",))
        async with served(blocked) as (server, client):
            clock = use_clock(client)
            for _ in range(3):
                with pytest.raises(RateLimitError) as caught:
                    await client.customers.create(name="Ada")
                assert caught.value.retry_after == 3600.0
                assert not caught.value.may_have_been_applied
        assert (len(server.requests), clock.slept) == (1, [])

    async def test_bulk_calls_have_a_gate_of_their_own(self) -> None:
        blocked = respond(429, headers=("Retry-After: 3600", "X-Rate-Limit-Type: bulk_api_calls"))
        async with served(blocked, CUSTOMER) as (server, client):
            use_clock(client)
            for _ in range(2):
                with pytest.raises(RateLimitError) as caught:
                    await client.customers.update_in_bulk([{"source_id": "a"}])
                assert caught.value.kind == "bulk_api_calls"
            await client.customers.get("a")
        assert len(server.requests) == 2

    async def test_a_plan_that_is_used_up_closes_no_gate(self) -> None:
        used_up = respond(429, headers=("Retry-After: 30", "X-Rate-Limit-Type: api_calls_cycle"))
        async with served(used_up, CUSTOMER) as (_server, client):
            clock = use_clock(client)
            with pytest.raises(RateLimitError):
                await client.customers.get("a")
            await client.customers.get("a")
        assert clock.slept == []

    async def test_no_wait_begins_that_would_end_after_the_deadline(self) -> None:
        blocked = respond(429, headers=("Retry-After: 30",))
        async with served(blocked) as (server, client):
            clock = use_clock(client)
            once = client.with_options(retry=RetryPolicy(attempts=1))
            with pytest.raises(RateLimitError):
                await once.customers.get("a")
            with pytest.raises(DeadlineExceededError):
                await client.with_options(deadline=20).customers.get("a")
        assert (len(server.requests), clock.slept) == (1, [])


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The beginnings of what the log warns of."""
    return [
        record.getMessage()[:14]
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name == "voucherify_async"
    ]


TOLD = ["calls are wait", "calls resume a"]


class TestLog:
    @pytest.mark.parametrize("concurrency", [1, 10, 60])
    @pytest.mark.parametrize("limiter", ["adaptive", "local", "none"])
    async def test_sixty_creations_at_a_limit_are_two_warnings(
        self, caplog: pytest.LogCaptureFixture, limiter: str, concurrency: int
    ) -> None:
        async with limited_sandbox(Quota(40)) as (_sandbox, voucherify, clock):
            local = LocalRateLimiter(40, 60, clock=clock)
            limiters: dict[str, Any] = {"local": {"rate_limiter": local}, "none": {"rate_limiter": None}}
            await run_job(voucherify.with_options(**limiters.get(limiter, {})), Job(60, concurrency, 40))
        assert warnings(caplog) == TOLD

    async def test_each_time_is_told_of(self, caplog: pytest.LogCaptureFixture) -> None:
        async with limited_sandbox(Quota(20, fixed=True)) as (_sandbox, voucherify, _clock):
            await run_job(voucherify, Job(50, 1, 20))
        assert warnings(caplog) == TOLD * 2

    async def test_where_every_call_waits_only_the_first_is_told_of(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with served(CUSTOMER) as (_server, client):
            clock = use_clock(client)
            paced = client.with_options(rate_limiter=LocalRateLimiter(1, 10.0, clock=clock))
            for _ in range(12):
                await paced.customers.get("a")
            assert len(clock.slept) == 11
            assert len(warnings(caplog)) == 2
            clock.now += 60
            for _ in range(3):
                await paced.customers.get("a")
        assert len(warnings(caplog)) == 4

    async def test_limiters_and_kinds_apart(self, caplog: pytest.LogCaptureFixture) -> None:
        receipt = respond(202, body=b'{"async_action_id":"asa_1"}')
        async with served(receipt) as (_server, client):
            clock = use_clock(client)
            for _ in range(2):
                limiter = LocalRateLimiter(1, 10.0, clock=clock)
                paced = client.with_options(rate_limiter=limiter)
                for _ in range(2):
                    await paced.customers.update_in_bulk([{"source_id": "a"}])
            assert len(warnings(caplog)) == 4
            assert "bulk_api_calls" in caplog.text

    async def test_a_short_wait_and_one_that_is_not_begun_are_not_told_of(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with served(CUSTOMER) as (_server, client):
            clock = use_clock(client)
            for period in (0.5, 3600.0):
                limiter = LocalRateLimiter(1, period, clock=clock)
                paced = client.with_options(rate_limiter=limiter)
                await paced.customers.get("a")
                if period < 1:
                    await paced.customers.get("a")
                else:
                    with pytest.raises(RateLimitError):
                        await paced.customers.get("a")
        assert warnings(caplog) == []

    async def test_what_is_remembered_of_limiters_is_bounded(self) -> None:
        async with served(CUSTOMER) as (_server, client):
            clock = use_clock(client)
            for _ in range(100):
                limiter = LocalRateLimiter(1, 10.0, clock=clock)
                paced = client.with_options(rate_limiter=limiter)
                await paced.customers.get("a")
                await paced.customers.get("a")
            assert remembered_limiters(client) <= 33


class TestDeadline:
    async def test_a_call_that_would_be_held_beyond_it_says_so(self) -> None:
        async with served(told(0, retry=NOW + 40), CUSTOMER) as (server, client):
            clock = use_clock(client)
            await client.customers.get("a")
            with pytest.raises(DeadlineExceededError) as caught:
                await client.with_options(deadline=10).customers.get("a")
        error = caught.value
        assert str(error) == (
            "customers.get: the rate limit would delay the call for 40.0 s, longer than the deadline of 10 s; "
            "nothing was sent"
        )
        assert error.retry_after == 40.0
        assert not error.may_have_been_applied
        assert isinstance(error.__cause__, RateLimitError)
        assert (error.__cause__.retry_after, error.__cause__.kind) == (40.0, "api_calls")
        assert pickle.loads(pickle.dumps(error)).retry_after == 40.0
        assert (len(server.requests), clock.slept) == (1, [])

    @pytest.mark.parametrize("own", [False, True], ids=["built in", "of one's own"])
    async def test_it_is_so_with_every_limiter(self, own: bool) -> None:
        class Wrapped:
            async def acquire(self, kind: str, max_wait: float) -> float | None:
                return await local.acquire(kind, max_wait)

            def release(self, kind: str, told: RateLimit | None, wait: float | None) -> None:
                local.release(kind, told, wait)

        async with served(CUSTOMER) as (server, client):
            clock = use_clock(client)
            local = LocalRateLimiter(1, 30.0, clock=clock)
            paced = client.with_options(rate_limiter=Wrapped() if own else local, deadline=5)
            await paced.customers.get("a")
            with pytest.raises(DeadlineExceededError, match=r"delay the call for 30\.0 s") as caught:
                await paced.customers.get("a")
        assert caught.value.retry_after == pytest.approx(30.0)
        assert len(server.requests) == 1

    async def test_after_an_attempt_it_says_that_the_call_was_not_sent_again(self) -> None:
        async with served(CUSTOMER, None) as (_server, client):
            clock = use_clock(client, FakeClock(jitter=0.0))
            local = LocalRateLimiter(2, 30.0, clock=clock)
            paced = client.with_options(rate_limiter=local, deadline=5)
            await paced.customers.get("a")
            with pytest.raises(DeadlineExceededError, match="it was not sent again") as caught:
                await paced.customers.create(source_id="a")
        assert caught.value.may_have_been_applied
        assert len(caught.value.attempts) == 1

    async def test_one_that_waits_in_line_until_then_says_so(self) -> None:
        async with served(stall) as (server, client):
            local = LocalRateLimiter(1, 3600.0)
            paced = client.with_options(rate_limiter=local)
            first = asyncio.create_task(paced.customers.get("a"))
            while not server.requests:  # noqa: ASYNC110  # a socket sets no event
                await asyncio.sleep(0.001)
            with pytest.raises(
                DeadlineExceededError, match=r"delayed the call for the whole deadline of 0\.05 s"
            ):
                await paced.with_options(deadline=0.05).customers.get("a")
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    async def test_other_calls_past_their_deadline_have_no_time_to_try_again(self) -> None:
        async with served(stall, deadline=0.05) as (_server, client):
            with pytest.raises(DeadlineExceededError, match="no usable response") as caught:
                await client.customers.get("a")
        assert caught.value.retry_after is None


def told(remaining: int, *, limit: int = 100, retry: int | None = None) -> bytes:
    headers = [f"X-Rate-Limit-Limit: {limit}", f"X-Rate-Limit-Remaining: {remaining}"]
    if retry is not None:
        headers.append(f"X-Rate-Limit-Retry: {retry}")
    return respond(body=b'{"id":"cust_1"}', headers=tuple(headers))


class TestAdaptive:
    async def test_asleep_until_the_service_takes_the_next_call(self) -> None:
        async with served(told(0, retry=NOW + 40), CUSTOMER) as (_server, client):
            clock = use_clock(client)
            await client.customers.get("a")
            assert clock.slept == []
            await client.customers.get("a")
        assert clock.slept == [40.0]

    async def test_a_sleep_beyond_the_longest_accepted_wait_is_an_error(self) -> None:
        async with served(told(0, retry=NOW + 50)) as (_server, client):
            use_clock(client)
            await client.customers.get("a")
            hasty = client.with_options(retry=RetryPolicy(max_server_wait=30))
            with pytest.raises(RateLimitError, match="allows no call for 50.0 s") as caught:
                await hasty.customers.get("a")
            await client.customers.get("a")
        assert (caught.value.retry_after, caught.value.kind, caught.value.status) == (
            50.0,
            "api_calls",
            429,
        )

    async def test_nothing_that_a_header_says_stops_all_calls_for_long(self) -> None:
        async with served(told(0, retry=NOW + 365 * 24 * 3600), CUSTOMER) as (_server, client):
            clock = use_clock(client)
            await client.customers.get("a")
            await client.customers.get("a")
        assert clock.slept == [61.0]

    async def test_a_minute_rounded_up_is_waited_for(self) -> None:
        async with served(told(0, retry=NOW + 61), CUSTOMER) as (_server, client):
            clock = use_clock(client)
            await client.customers.get("a")
            await client.customers.get("a")
        assert clock.slept == [61.0]

    async def test_far_from_the_limit_nothing_waits(self) -> None:
        async with served(told(60, retry=NOW + 30)) as (server, client):
            clock = use_clock(client)
            await client.customers.get("a")
            await asyncio.gather(*(client.customers.get("a") for _ in range(50)))
        assert clock.slept == []
        assert server.connections > 25  # side by side

    async def test_who_accepts_no_wait_still_waits_for_the_calls_under_way(self) -> None:
        retry = RetryPolicy(max_server_wait=0.0)
        async with served(told(1), retry=retry) as (server, client):
            use_clock(client)
            await client.customers.get("a")
            await asyncio.gather(*(client.customers.get("a") for _ in range(10)))
        assert len(server.requests) == 11


class TestLocal:
    async def test_it_bounds_the_calls_of_a_period(self) -> None:
        async with served(CUSTOMER) as (_server, client):
            clock = use_clock(client)
            limiter = LocalRateLimiter(5, 10.0, clock=clock)
            paced = client.with_options(rate_limiter=limiter)
            for _ in range(12):
                await paced.customers.get("a")
        assert clock.slept == [10.0, 10.0]

    async def test_the_longest_accepted_wait_bounds_its_waits(self) -> None:
        async with (
            raw_server(CUSTOMER) as server,
            VoucherifyClient(
                "id", "token", base_url=server.base_url, rate_limiter=LocalRateLimiter(1, 3600)
            ) as client,
        ):
            await client.customers.get("a")
            with pytest.raises(RateLimitError) as caught:
                await client.customers.get("a")
        assert caught.value.retry_after == pytest.approx(3600, abs=60)
        assert len(server.requests) == 1


class TestOnesOwn:
    async def test_it_is_asked_before_each_attempt_and_told_after(self) -> None:
        log: list[Any] = []

        class Shared:
            async def acquire(self, kind: str, max_wait: float) -> float | None:
                log.append(("acquire", kind))
                return None

            def release(self, kind: str, told: RateLimit | None, wait: float | None) -> None:
                log.append(("release", kind, told, wait))

        limiter = Shared()
        assert isinstance(limiter, RateLimiter)
        limited = respond(429, headers=("Retry-After: 3", "X-Rate-Limit-Remaining: 0"))
        async with (
            raw_server(limited, None, CUSTOMER) as server,
            VoucherifyClient("id", "token", base_url=server.base_url, rate_limiter=limiter) as client,
        ):
            use_clock(client)
            await client.customers.get("a")
        assert log == [
            ("acquire", "api_calls"),
            ("release", "api_calls", RateLimit(remaining=0), 3.0),
            ("acquire", "api_calls"),
            ("release", "api_calls", None, None),
            ("acquire", "api_calls"),
            ("release", "api_calls", None, None),
        ]

    async def test_it_may_refuse(self) -> None:
        class Closed:
            async def acquire(self, kind: str, max_wait: float) -> float | None:
                return 99.0

            def release(self, kind: str, told: RateLimit | None, wait: float | None) -> None:
                raise AssertionError("no leave was given")

        async with VoucherifyClient("id", "token", rate_limiter=Closed()) as client:
            with pytest.raises(RateLimitError, match="not sent: the rate limit allows no call for 99.0 s"):
                await client.customers.get("a")

"""Syncs whose requests are lost, whose jobs fail, which are stopped, and which are taken up again."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aioresponses import aioresponses

from tests.integration.test_sync import (
    SEEDS,
    SOAK_SCALE,
    add_up,
    applied,
    arriving,
    customer,
    customers,
    held,
    quick,
    refuse,
    refuse_bodies,
    sent,
    tasks,
)
from tests.support.clocks import skipping_clock
from tests.support.faults import (
    KINDS,
    Arrival,
    CloseAfterAnswer,
    Fault,
    ResetAfter,
    ResetNextRequest,
    TooMany,
    Unavailable,
    fault_proxy,
    random_plan,
)
from tests.support.internals import before_answers, forget_jobs, on_opening
from tests.support.loops import until
from voucherify_async import (
    AuthenticationError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    SyncProgress,
    SyncStateError,
    TransportError,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._http.rate_limits import Quota
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.jobs import BulkUpdate
from voucherify_async.sandbox._store.records import Job
from voucherify_async.sandbox._store.store import Store

__all__ = ["quick"]

Json = dict[str, Any]

SEED = 2_077
HASTE = RetryPolicy(base=0.001, cap=0.01)
CERTAIN = (TooMany, CloseAfterAnswer, ResetNextRequest)


# ---------------------------------------------------------------- answers that are lost


@pytest.mark.parametrize("fault", KINDS, ids=repr)
async def test_a_body_whose_answer_was_lost_is_sent_again(sandbox: Sandbox, fault: Fault) -> None:
    source = customers(9)
    async with (
        fault_proxy(sandbox.base_url, [fault]) as proxy,
        sandbox.client(base_url=proxy.base_url, timeout=0.25, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync(source, max_body_items=5, concurrency=1)
    add_up(report)
    assert (report.succeeded, report.resent) == (9, 0 if isinstance(fault, CERTAIN) else 5)
    posts = [arrival for arrival in proxy.arrivals if arrival.method == "POST"]
    assert len(posts) == 3 - isinstance(fault, CloseAfterAnswer | ResetNextRequest)
    assert held(sandbox) == applied(source)


async def test_a_part_whose_job_fails_is_done_once_more(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, broken_jobs: Counter[str], tmp_path: Path
) -> None:
    refuse_bodies(monkeypatch, sandbox, lambda body: body.count(b"source_id") > 5)
    broken_jobs["crm-7"] = 1
    async with sandbox.client() as client, skipping_clock(client, sandbox):
        report = await client.customers.sync(customers(10), state=tmp_path / "state")
        again = await client.customers.sync(customers(10), state=tmp_path / "state")
    assert [(job.items, job.status) for job in report.jobs] == [(5, "DONE"), (5, "FAILED"), (5, "DONE")]
    assert (again.jobs, again.unchanged) == ((), 10)
    assert (report.succeeded, report.resent) == (10, 5)
    assert held(sandbox) == applied(customers(10))


async def test_a_sync_that_is_cancelled_while_a_part_is_under_way_does_the_whole_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse_bodies(monkeypatch, sandbox, lambda body: body.count(b"source_id") > 5)
    sandbox.store.job_seconds = 3_600
    async with sandbox.client() as client:
        task = asyncio.create_task(client.customers.sync(customers(10), state=tmp_path / "state"))
        await until(lambda: any("/async-actions/" in exchange.target for exchange in sandbox.requests))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        held(sandbox)
        monkeypatch.undo()
        sandbox.store.job_seconds = 0
        report = await client.customers.sync(customers(10), state=tmp_path / "state")
    assert (report.succeeded, report.failures) == (10, ())
    assert held(sandbox) == applied(customers(10))


async def test_a_doubt_stays_though_the_next_request_certainly_did_not_arrive(sandbox: Sandbox) -> None:
    faults = [TooMany(), ResetAfter(), TooMany(), TooMany(), ResetAfter()]
    once = RetryPolicy(attempts=1, base=0.001, cap=0.01)
    async with (
        fault_proxy(sandbox.base_url, faults) as proxy,
        sandbox.client(base_url=proxy.base_url, retry=once) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync(customers(5))
    assert (report.succeeded, report.resent) == (5, 2 * 5)


async def test_a_look_for_jobs_of_a_lost_answer_is_made_again_when_it_fails(sandbox: Sandbox) -> None:
    sandbox.store.job_seconds = 0.0
    once = RetryPolicy(attempts=1, base=0.001, cap=0.01)
    faults = [ResetAfter(), None, None, Unavailable()]  # the request, once more, its job, and all jobs
    async with (
        fault_proxy(sandbox.base_url, faults) as proxy,
        sandbox.client(base_url=proxy.base_url, retry=once) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync(customers(5))
    assert [arrival.target.split("?")[0] for arrival in proxy.arrivals[-2:]] == ["/v1/async-actions"] * 2
    assert (report.succeeded, report.resent) == (5, 5)


async def test_each_repetition_counts_and_refusals_between_do_not(sandbox: Sandbox) -> None:
    source = customers(5)
    faults = [TooMany(), ResetAfter(), TooMany(), TooMany(), ResetAfter()]
    async with (
        fault_proxy(sandbox.base_url, faults) as proxy,
        sandbox.client(base_url=proxy.base_url, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync(source)
    add_up(report)
    assert (report.succeeded, report.resent) == (5, 10)
    assert held(sandbox) == applied(source)


async def test_a_rate_limit_is_waited_for() -> None:
    source = customers(40)
    async with (
        Sandbox(rate_limit=Quota(3, period=20)) as sandbox,
        sandbox.client() as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync(source, max_body_items=4)
    add_up(report)
    assert (report.succeeded, report.resent) == (40, 0)
    assert held(sandbox) == applied(source)


# ---------------------------------------------------------------- jobs that fail


@pytest.fixture
def broken_jobs(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many more jobs are to fail that have the customers of these ids."""
    left: Counter[str] = Counter()

    do = BulkUpdate.do

    def do_or_fail(work: BulkUpdate, store: Store, items: range) -> None:
        for item in work.customers:
            if left[item["source_id"]]:
                left[item["source_id"]] -= 1
                raise RuntimeError("as it was told")
        do(work, store, items)

    monkeypatch.setattr(BulkUpdate, "do", do_or_fail)
    return left


async def test_a_job_that_failed_is_done_once_more(
    sandbox: Sandbox, quick: VoucherifyClient, broken_jobs: Counter[str]
) -> None:
    broken_jobs["crm-12"] = 1
    source = customers(30)
    report = await quick.customers.sync(source, max_body_items=5)
    add_up(report)
    assert (report.succeeded, report.resent) == (30, 5)
    assert Counter(job.status for job in report.jobs) == {"DONE": 6, "FAILED": 1}
    assert held(sandbox) == applied(source)


async def test_the_items_of_a_job_that_failed_twice_are_reported(
    sandbox: Sandbox, quick: VoucherifyClient, broken_jobs: Counter[str]
) -> None:
    broken_jobs["crm-12"] = 2
    source = [*customers(30), customer(11), customer(50)]
    report = await quick.customers.sync(source, max_body_items=5)
    add_up(report)
    assert (report.succeeded, report.failed, report.resent) == (27, 5, 5)
    assert [failure.position for failure in report.failures] == [10, 11, 12, 13, 14]
    assert {failure.key for failure in report.failures} == {"job_failed"}
    assert all(failure.message and failure.source_id for failure in report.failures)
    again = await quick.customers.sync(report.failed_items())
    assert (again.succeeded, again.resent) == (5, 0)
    assert held(sandbox) == applied(source)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_job_that_is_not_known_any_more(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    schedule = Store.schedule
    left = times

    def scheduled(store: Store, *args: Any) -> Job:
        nonlocal left
        job = schedule(store, *args)
        if len(args[2]) == 3 and left:
            left -= 1
            del store.jobs[job.id]
        return job

    monkeypatch.setattr(Store, "schedule", scheduled)
    source = customers(13)
    report = await quick.customers.sync(source, max_body_items=5)
    add_up(report)
    assert report.resent == 3
    assert report.failed == (0 if times == 1 else 3)
    assert {failure.key for failure in report.failures} == ({"job_failed"} if times == 2 else set())
    assert Counter(job.status for job in report.jobs)[None] == times
    assert held(sandbox) == applied(source)


async def test_a_new_job_may_not_be_known_yet(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: Counter[str] = Counter()

    def late(request: web.Request, _: bytes) -> None:
        looks[request.path] += 1
        if request.method == "GET" and looks[request.path] <= 2:
            raise ApiError(404, "not_found", "Cannot find async_action", message="Resource not found")

    before_answers(monkeypatch, sandbox, late)
    report = await quick.customers.sync(customers(13), max_body_items=5)
    add_up(report)
    assert (report.succeeded, report.resent, len(report.jobs)) == (13, 0, 3)


# ---------------------------------------------------------------- when the service takes no more


@pytest.mark.parametrize("calls", ["all", "looks", "sends"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationError), (402, PaymentRequiredError), (403, PermissionDeniedError)],
)
async def test_a_stop_is_raised_bare_with_the_report_until_then(
    sandbox: Sandbox,
    quick: VoucherifyClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    kind: type[VoucherifyError],
    calls: str,
) -> None:
    stopped = False

    def stopping(request: web.Request, _: bytes) -> None:
        if stopped and (calls == "all" or (request.method == "GET") == (calls == "looks")):
            raise ApiError(status, "stopped", "no more")

    def progress(now: SyncProgress) -> None:
        nonlocal stopped
        stopped = now.succeeded >= 20

    before_answers(monkeypatch, sandbox, stopping)
    sandbox.store.job_seconds = 0.2
    source = customers(100)
    before = tasks()
    options: Any = {"max_body_items": 5, "state": tmp_path / "state"}
    with pytest.raises(kind) as caught:
        await quick.customers.sync([{}, *source], on_progress=progress, **options)
    assert type(caught.value) is kind
    assert caught.value.__context__ is None
    report = caught.value.report
    assert report is not None
    assert report.invalid == 1
    assert 20 <= report.succeeded <= 60
    assert report.read >= report.sent + report.invalid
    assert report.sent >= report.succeeded
    assert report.failed == report.resent == 0
    assert tasks() == before
    stopped = False
    again = await quick.customers.sync([{}, *source], **options)
    add_up(again)
    assert (again.succeeded + again.unchanged, again.invalid) == (100, 1)
    assert again.unchanged >= report.succeeded
    assert held(sandbox) == applied(source)


BULK_URL = "https://api.voucherify.io/v1/customers/bulk/async"
JOB_URL = "https://api.voucherify.io/v1/async-actions/aa_1"


@pytest.mark.parametrize(
    "headers", [{"X-Rate-Limit-Type": "api_calls_cycle"}, {"Retry-After": "3600"}], ids=str
)
@pytest.mark.parametrize("look", [True, False])
async def test_a_limit_that_waiting_does_not_help_against(
    answers: aioresponses, headers: dict[str, str], look: bool
) -> None:
    if look:
        answers.post(BULK_URL, status=202, payload={"async_action_id": "aa_1"})
        answers.get(JOB_URL, status=429, headers=headers, payload={})
    else:
        answers.post(BULK_URL, status=429, headers=headers, payload={})
    async with VoucherifyClient("id", "token") as client, skipping_clock(client):
        with pytest.raises(RateLimitError) as caught:
            await client.customers.sync(customers(3))
    report = caught.value.report
    assert report is not None
    assert (report.read, report.succeeded) == (3, 0)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("job_id", ["", ".", ".."], ids=repr)
async def test_a_receipt_that_names_no_job(answers: aioresponses, job_id: str) -> None:
    answers.post(BULK_URL, status=202, payload={"async_action_id": job_id}, repeat=True)
    async with VoucherifyClient("id", "token") as client, skipping_clock(client):
        with pytest.raises(VoucherifyError) as caught:
            await client.customers.sync(customers(3))
    assert caught.value.report is not None
    assert caught.value.report.read == 3


@pytest.mark.parametrize("seed", range(3))
async def test_a_service_that_is_gone_for_good(seed: int) -> None:
    chance = random.Random(seed)
    left = chance.randrange(1, 15)
    async with Sandbox(job_seconds=0.05) as sandbox, sandbox.client(retry=HASTE) as client:
        gone: asyncio.Task[None] | None = None

        def progress(now: SyncProgress) -> None:
            nonlocal gone
            if gone is None and now.succeeded >= left:
                gone = asyncio.create_task(sandbox.aclose())

        async with skipping_clock(client, sandbox):
            before = tasks()
            with pytest.raises(TransportError) as caught:
                await client.customers.sync(customers(2_000), max_body_items=2, on_progress=progress)
            assert gone is not None
            await gone
            assert tasks() - before <= {gone}
    report = caught.value.report
    assert report is not None
    assert left <= report.succeeded < 2_000
    assert report.failed == 0
    assert report.sent <= report.read
    assert caught.value.__context__ is None


async def test_a_service_that_only_fails(sandbox: Sandbox) -> None:
    async with (
        fault_proxy(sandbox.base_url, lambda number: Unavailable()) as proxy,
        sandbox.client(base_url=proxy.base_url, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        with pytest.raises(ServerError) as caught:
            await client.customers.sync(customers(3))
    report = caught.value.report
    assert report is not None
    assert (report.read, report.succeeded, report.failed) == (3, 0, 0)
    assert report.resent == 3 * (len(proxy.arrivals) - 1)


# ---------------------------------------------------------------- cancelling, and going on


async def cancelled_at_some_moment(task: asyncio.Task[Any], sandbox: Sandbox, chance: random.Random) -> bool:
    """Cancel a task in one of the turns after one of the next answers; whether it has not ended before."""
    answers = len(sandbox.requests) + chance.randrange(16)
    while len(sandbox.requests) < answers and not task.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    for _ in range(int(10 ** chance.uniform(0, 2))):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return task.cancelled()


@pytest.mark.parametrize("seed", range(8))
async def test_cancelling_leaves_no_tasks(sandbox: Sandbox, quick: VoucherifyClient, seed: int) -> None:
    before = tasks()
    task = asyncio.create_task(quick.customers.sync(customers(300), max_body_items=3))
    assert await cancelled_at_some_moment(task, sandbox, random.Random(seed))
    assert tasks() == before
    assert (await quick.customers.sync(customers(5))).succeeded == 5


def acknowledged(path: Path) -> set[str]:
    """The keys of which a state knows what the service holds."""
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path, timeout=0)) as db:
        if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return set()
        return {key for (key,) in db.execute("SELECT key FROM items WHERE digest IS NOT NULL")}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_sync_that_was_cancelled_goes_on_where_it_was(
    sandbox: Sandbox,
    quick: VoucherifyClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    seed: int,
) -> None:
    chance = random.Random(seed)
    path = tmp_path / "state"
    refuse(monkeypatch, lambda source_id: source_id == "crm-5")
    source: list[Any] = [
        {**customer(chance.randrange(90)), "description": f"{number}"} for number in range(100)
    ]
    source[70] = {"source_id": ""}
    times = Counter(item["source_id"] for item in source)
    done: set[str] = set()
    before = tasks()

    def items() -> Iterator[Any]:
        began.set()
        yield from source

    async def run() -> Any:
        return await quick.customers.sync(
            items(),
            state=path,
            max_body_items=chance.randrange(3, 9),
            concurrency=chance.randrange(1, 5),
        )

    for _ in range(5):
        sandbox.requests.clear()
        began = asyncio.Event()
        task = asyncio.create_task(run())
        await began.wait()
        await cancelled_at_some_moment(task, sandbox, chance)
        assert tasks() == before
        again = {item["source_id"] for body in sent(sandbox) for item in body}
        assert not again & done
        now_done = {key for key in acknowledged(path) if times[key] == 1}
        assert done <= now_done
        done = now_done
    sandbox.requests.clear()
    report = await run()
    again = {item["source_id"] for body in sent(sandbox) for item in body}
    assert not again & done
    add_up(report)
    assert (report.read, report.invalid) == (100, 1)
    assert {failure.source_id for failure in report.failures} == {""} | ({"crm-5"} & set(times))
    assert list(report.all_failures()) == list(report.failures)
    good = [item for item in source if item["source_id"] not in {"", "crm-5"}]
    assert held(sandbox) == applied(good)
    once = [item for item in good if times[item["source_id"]] == 1]
    count = len(sandbox.requests)
    complete = await quick.customers.sync(once, state=path)
    assert (len(sandbox.requests), complete.unchanged) == (count, len(once))


async def test_a_state_can_be_used_at_once_when_opening_it_was_cancelled(
    quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    opening = threading.Event()

    def slow(_: sqlite3.Connection) -> None:
        opening.set()
        time.sleep(0.05)

    for _ in range(3):
        opening.clear()
        with monkeypatch.context() as patch:
            on_opening(patch, slow)
            task = asyncio.create_task(quick.customers.sync(customers(3), state=path))
            await asyncio.to_thread(opening.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        report = await quick.customers.sync(customers(3), state=path, full=True)
        assert report.succeeded == 3


async def test_a_job_that_was_lost_between_two_runs_is_done_again(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    sandbox.store.job_seconds = 1e6
    source = customers(20)
    options: Any = {"state": tmp_path / "state", "concurrency": 2}
    first = asyncio.create_task(quick.customers.sync(source, max_body_items=4, **options))
    await until(
        lambda: len({exchange.path for exchange in sandbox.requests if exchange.method == "GET"}) == 2
    )
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    sandbox.store.job_seconds = 0.05
    forget_jobs(sandbox.store)
    report = await quick.customers.sync(source, max_body_items=7, **options)
    add_up(report)
    assert (report.succeeded, report.failed) == (20, 0)
    assert Counter(job.status for job in report.jobs) == {"DONE": 3}
    assert held(sandbox) == applied(source)


async def test_the_state_of_another_kind_of_job(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("Name,Source_id\nAda,a\n")
    calls: list[Callable[..., Any]] = [
        lambda state: quick.customers.sync([{"source_id": "a"}], state=state),
        lambda state: quick.customers.sync_metadata(["a"], {"x": 1}, state=state),
        lambda state: quick.customers.sync_csv(path, state=state),
    ]
    for number, call in enumerate(calls):
        await call(tmp_path / f"state-{number}")
    count = len(sandbox.requests)
    for number, call in enumerate(calls):
        for another in set(range(len(calls))) - {number}:
            with pytest.raises(SyncStateError, match="it is of the kind customers") as caught:
                await call(tmp_path / f"state-{another}")
            assert caught.value.reason == "other_kind"
        assert (await call(tmp_path / f"state-{number}")).unchanged == 1
    assert len(sandbox.requests) == count


async def test_what_is_no_state(sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("not a database " * 100)
    foreign = tmp_path / "foreign"
    with closing(sqlite3.connect(foreign)) as db:
        db.execute("CREATE TABLE notes (text TEXT)")
    for path in (text, foreign, tmp_path, tmp_path / "none" / "state"):
        with pytest.raises(SyncStateError, match="^state "):
            await quick.customers.sync(customers(1), state=path)
    assert not sandbox.requests


@pytest.mark.parametrize("name", ["", ":memory:", "a\0b"], ids=repr)
async def test_a_state_is_a_file_or_is_refused(
    quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refusal = ""
    try:
        await quick.customers.sync(customers(1), state=name)
    except ValueError as error:
        refusal = str(error)
    assert refusal.startswith("state") if refusal else (tmp_path / name).is_file()


# ---------------------------------------------------------------- all at once


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_goes_wrong_the_report_says_what_became_of_each(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, broken_jobs: Counter[str], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    refuse(monkeypatch, lambda source_id: source_id in {"crm-1", "crm-2"})
    for _ in range(6):
        broken_jobs[f"crm-{chance.randrange(40)}"] = chance.randrange(1, 5)
    source: list[Any] = [
        {"source_id": ""}
        if chance.random() < 0.05
        else {"source_id": f"crm-{chance.randrange(60)}", "metadata": {f"{number}": number}}
        for number in range(120)
    ]
    quickly = [kind for kind in KINDS if "Stall" not in repr(kind) and "Slow" not in repr(kind)]
    async with (
        fault_proxy(sandbox.base_url, random_plan(seed, 0.15, quickly)) as proxy,
        sandbox.client(base_url=proxy.base_url, timeout=0.25, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync(
            arriving(source),
            max_body_items=chance.randrange(1, 12),
            concurrency=chance.randrange(1, 7),
            state=tmp_path / "state" if chance.random() < 0.5 else None,
            project="p",
        )
    add_up(report)
    assert report.read == 120
    assert report.invalid == sum(not item["source_id"] for item in source)
    told = {failure.position: failure.key for failure in report.failures}
    state = held(sandbox)
    for position, item in enumerate(source):
        metadata = (state.get(item["source_id"]) or {"metadata": {}})["metadata"]
        was_applied = f"{position}" in metadata
        # What failed may be part of a later item of the same customer.
        same = [
            n for n, other in enumerate(source) if other["source_id"] == item["source_id"] and n >= position
        ]
        failed = [n for n in (same if report.duplicates else [position]) if n in told]
        assert position not in told if was_applied else failed, (position, item)
        if item["source_id"] in {"crm-1", "crm-2"}:
            assert told[failed[0]] in {"invalid_payload", "job_failed"}


def repeated(arrivals: list[Arrival]) -> int:
    """Items that came once more, though nobody had said that they were refused before."""
    times: defaultdict[bytes, int] = defaultdict(int)
    for arrival in arrivals:
        if arrival.method == "POST" and not isinstance(arrival.fault, TooMany):
            times[arrival.body] += 1
    return sum((count - 1) * len(json.loads(body)) for body, count in times.items())


@pytest.mark.parametrize(
    ("count", "items"),
    [
        pytest.param(1_500, 20, id="some"),
        pytest.param(
            int(100_000 * SOAK_SCALE), 170, id="many", marks=[pytest.mark.soak, pytest.mark.timeout(1_800)]
        ),
    ],
)
@pytest.mark.parametrize("way", ["each once", "with duplicates"])
async def test_what_the_source_says_is_what_holds(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, count: int, items: int, way: str
) -> None:
    caplog.set_level(logging.ERROR, "voucherify_async")
    chance = random.Random(SEED)
    source = customers(count)
    if way == "with duplicates":
        source = [
            {**customer(chance.randrange(count)), "description": f"{number}"} for number in range(count)
        ]
    sandbox = Sandbox()
    for item in source[:: max(1, count // 50)]:
        sandbox.store.upsert({"source_id": item["source_id"], "name": "old", "email": None})
    async with (
        sandbox,
        fault_proxy(sandbox.base_url, random_plan(SEED, 0.10)) as proxy,
        sandbox.client(base_url=proxy.base_url, timeout=0.25, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync(
            iter(source),
            max_body_items=items,
            concurrency=8,
            state=tmp_path / "state" if way == "each once" else None,
            project="p",
        )
    add_up(report)
    assert (report.read, report.failed, report.invalid) == (count, 0, 0)
    assert report.succeeded == sum(job.items for job in report.jobs) == count - report.duplicates
    assert (report.duplicates > 0) is (way == "with duplicates")
    assert report.resent == repeated(proxy.arrivals) > 0
    assert held(sandbox) == applied(source)
    assert len({arrival.fault for arrival in proxy.arrivals}) > len(KINDS) // 2

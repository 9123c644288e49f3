"""Sources, services and ends that a sync job does not meet every day."""

from __future__ import annotations

import asyncio
import io
import pickle
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_sync import tasks
from tests.support.clocks import skipping_clock
from tests.support.faults import ResetAfter, fault_proxy
from voucherify_async import (
    AuthenticationError,
    RetryPolicy,
    SyncProgress,
    SyncTimeoutError,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async.resources._csv import CsvRows
from voucherify_async.resources._customer_sync import _read_chunk
from voucherify_async.sandbox import Quirks, Sandbox
from voucherify_async.sandbox._store.records import Job

Json = dict[str, Any]

HASTE = RetryPolicy(base=0.001, cap=0.01)


@pytest.fixture
async def voucherify(sandbox: Sandbox) -> AsyncIterator[VoucherifyClient]:
    """A client, and its sandbox, for which waits take no time."""
    async with sandbox.client() as client, skipping_clock(client, sandbox):
        yield client


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def cyclic() -> Any:
    value: Any = {}
    value["a"] = value
    return value


@pytest.mark.parametrize("name", ["metadata", "address", "anything"])
@pytest.mark.parametrize("make", [lambda: nested(100_000), cyclic], ids=["deep", "cyclic"])
async def test_an_item_that_is_nested_too_deeply_is_reported(
    voucherify: VoucherifyClient, name: str, make: Callable[[], Any]
) -> None:
    value = make()
    report = await voucherify.customers.sync([{"source_id": "a", name: value}, {"source_id": "b"}])
    assert (report.invalid, report.succeeded) == (1, 1)
    assert "too deeply" in (report.failures[0].message or "")
    while value:  # else it would be freed by a recursion
        value = value.pop("a", None)


async def test_a_long_text_does_not_stay(voucherify: VoucherifyClient) -> None:
    items = ({"source_id": "x" * 100_000, "metadata": {"a": b"y" * 100_000}} for _ in range(200))
    tracemalloc.start()
    try:
        report = await voucherify.customers.sync(items)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (report.invalid, len(report.failures)) == (200, 200)
    assert kept < 5_000_000


class OnlyNext:
    """An iterator that is no iterable."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __next__(self) -> Json:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return {"source_id": f"crm-{self.left}"}

    async def __anext__(self) -> Json:
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None


class Plain:
    def __iter__(self) -> Any:
        return OnlyNext(7)


class Asynchronous:
    def __aiter__(self) -> Any:
        return OnlyNext(7)


@pytest.mark.parametrize("source", [Plain(), Asynchronous()])
async def test_what_a_loop_takes_it_takes(voucherify: VoucherifyClient, source: Any) -> None:
    assert (await voucherify.customers.sync(source)).succeeded == 7


async def test_a_source_may_use_the_client(voucherify: VoucherifyClient) -> None:
    async def source() -> AsyncIterator[Json]:
        for number in range(5):
            created = await voucherify.customers.create(source_id=f"old-{number}")
            yield {"source_id": f"new-{number}", "metadata": {"from": created.id}}

    assert (await voucherify.customers.sync(source(), concurrency=2, max_body_items=1)).succeeded == 5


async def test_one_mapping_that_changes(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    def source() -> Iterator[Json]:
        item: Json = {}
        for number in range(9):
            item.update(source_id=f"crm-{number}", metadata={"n": number})
            yield item

    await voucherify.customers.sync(source(), max_body_items=4)
    stored = {record.source_id: record.metadata for record in sandbox.store.customers.values()}
    assert stored == {f"crm-{number}": {"n": number} for number in range(9)}


async def test_a_source_that_breaks_says_how_far_it_came(voucherify: VoucherifyClient) -> None:
    def source() -> Iterator[Json]:
        yield from ({"source_id": f"crm-{number}"} for number in range(5))
        raise LookupError("the database is gone")

    with pytest.raises(LookupError, match="the database is gone") as caught:
        await voucherify.customers.sync(source(), max_body_items=2, concurrency=1)
    (note,) = caught.value.__notes__
    assert note == "the sync stopped after 5 items: 4 sent, 4 succeeded, 0 failed, 0 invalid"


@pytest.fixture
def _first_job_is_slow(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first job takes a second longer, and those after it do not wait for it."""
    sandbox.quirks = Quirks(parallel_jobs=True)
    schedule, seconds = sandbox.store.schedule, sandbox.store.job_seconds

    def slow_at_first(*facts: Any) -> Job:
        sandbox.store.job_seconds = seconds if sandbox.store.jobs else seconds + 1.0
        return schedule(*facts)

    monkeypatch.setattr(sandbox.store, "schedule", slow_at_first)


@pytest.mark.usefixtures("_first_job_is_slow")
async def test_a_job_whose_answer_was_lost_does_not_undo_what_came_later(sandbox: Sandbox) -> None:
    """Its repetition is done before it."""
    source = [{"source_id": "a", "name": "old"}, {"source_id": "b"}, {"source_id": "a", "name": "new"}]
    async with (
        fault_proxy(sandbox.base_url, [ResetAfter()]) as proxy,
        sandbox.client(base_url=proxy.base_url, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync(source, max_body_items=1)
    assert (report.succeeded, report.resent) == (3, 1)
    assert len(sandbox.store.jobs) == 4
    assert all(job.ended for job in sandbox.store.jobs.values())
    assert sandbox.store.get("a").fields["name"] == "new"


def test_long_rows_are_not_read_by_the_thousand() -> None:
    rows = CsvRows(io.BytesIO(b"Source_id,note\n" + b"a,%b\n" % (b"x" * 100_000) * 35))
    counts = [len(chunk) for chunk in iter(lambda: _read_chunk(rows), [])]
    assert counts == [10, 10, 10, 5]


async def test_the_end_is_told_of_nothing_too(voucherify: VoucherifyClient) -> None:
    seen: list[SyncProgress] = []
    report = await voucherify.customers.sync([], on_progress=seen.append)
    assert (report.read, report.jobs, len(seen)) == (0, (), 1)


async def test_a_plain_source_lets_others_have_their_turns(voucherify: VoucherifyClient) -> None:
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    def source() -> Iterator[Json]:
        yield from ({"source_id": f"crm-{number}"} for number in range(10_000))
        had.append(turns)

    had: list[int] = []
    ticking = asyncio.create_task(tick())
    await voucherify.customers.sync(source())
    ticking.cancel()
    assert had[0] > 30


async def test_what_was_invalid_when_the_service_stopped_is_on_record(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voucherify_async._sync.report._MAX_FAILURES", 1)

    async def source() -> AsyncIterator[Json]:
        yield {"source_id": "a"}
        yield {"source_id": "b"}
        for _ in range(3):
            yield {}
        await asyncio.Event().wait()

    async with sandbox.client(app_token="outdated") as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.customers.sync(source(), max_body_items=1, state=tmp_path / "state")
    report = caught.value.report
    assert report is not None
    assert (report.sent, report.invalid, report.omitted) == (0, 3, 2)
    assert len(list(report.all_failures())) == 3


async def test_metadata_in_another_order_is_the_same(
    sandbox: Sandbox, voucherify: VoucherifyClient, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    await voucherify.customers.sync_metadata(["a"], {"x": 1, "y": {"b": 1, "a": 2}}, state=state)
    before = len(sandbox.requests)
    report = await voucherify.customers.sync_metadata(["a"], {"y": {"a": 2, "b": 1}, "x": 1}, state=state)
    assert (report.unchanged, len(sandbox.requests)) == (1, before)


async def test_jobs_of_others_are_waited_for_only_after_a_lost_answer_and_only_of_the_same_type(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """They may be that of the request whose answer was lost."""
    path = tmp_path / "others.csv"
    path.write_text("Name\nAda\n")
    async with (
        fault_proxy(sandbox.base_url, [ResetAfter()]) as proxy,
        sandbox.client() as other,
        sandbox.client(base_url=proxy.base_url, retry=HASTE) as client,
    ):
        sandbox.store.job_seconds = 0.0
        done = await other.async_actions.wait(
            (await other.customers.update_in_bulk([{"source_id": "x"}])).async_action_id
        )
        sandbox.requests.clear()
        sandbox.quirks, sandbox.store.job_seconds = Quirks(parallel_jobs=True), 3_600.0
        await other.customers.import_csv(path)  # it stays open
        sandbox.store.job_seconds = 0.0
        report = await client.customers.sync([{"source_id": "a"}])
    assert (report.succeeded, report.resent) == (1, 1)
    looked_at = {exchange.path.split("/")[-1] for exchange in sandbox.requests if exchange.method == "GET"}
    assert looked_at == {"async-actions", report.jobs[0].id}
    assert done.id not in looked_at


# ---------------------------------------------------------------- time limits, copies and sources


async def test_a_sync_that_takes_too_long(
    voucherify: VoucherifyClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.store.job_seconds = 1_000_000_000
    before, make, limits = tasks(), asyncio.timeout, list[asyncio.Timeout]()

    def noted(delay: float | None) -> asyncio.Timeout:
        limit = make(delay)
        if delay == 12_345:
            limits.append(limit)
        return limit

    async def expire_when_both_are_looked_at() -> None:
        while len({request.path for request in sandbox.requests if request.method == "GET"}) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        limits[0].reschedule(0)

    monkeypatch.setattr(asyncio, "timeout", noted)
    source = ({"source_id": f"crm-{number}"} for number in range(60))
    expiry = asyncio.create_task(expire_when_both_are_looked_at())
    with pytest.raises(TimeoutError, match=r"the sync has not ended within 12345 s") as caught:
        await voucherify.customers.sync(source, concurrency=2, max_body_items=30, timeout=12_345)
    await expiry
    error = caught.value
    assert isinstance(error, SyncTimeoutError)
    report = pickle.loads(pickle.dumps(error)).report
    assert (report.sent, report.succeeded, report.failed) == (60, 0, 0)
    assert {job.id for job in report.jobs} == set(sandbox.store.jobs)
    assert {(job.status, job.items) for job in report.jobs} == {("IN_PROGRESS", 30)}
    assert tasks() == before


async def test_a_timeout_of_the_source_is_its_own(voucherify: VoucherifyClient) -> None:
    async def source() -> AsyncGenerator[Any]:
        yield {"source_id": "a"}
        raise TimeoutError("of the source")

    with pytest.raises(TimeoutError, match="^of the source") as caught:
        await voucherify.customers.sync(source(), timeout=100)
    assert not isinstance(caught.value, VoucherifyError)


@pytest.mark.parametrize("seconds", [-1, "1", True, float("nan")])
async def test_what_is_no_timeout(voucherify: VoucherifyClient, seconds: Any) -> None:
    with pytest.raises(ValueError, match="^timeout must be a number of seconds"):
        await voucherify.customers.sync([], timeout=seconds)


async def test_customers_are_copied_from_one_project_to_another(voucherify: VoucherifyClient) -> None:
    async with Sandbox(customers=150, seed=3) as other, other.client() as there:
        nameless = sum(record.source_id is None for record in other.store.customers.values())
        report = await voucherify.customers.sync(there.customers.list(order="created_at"))
        assert (report.succeeded, report.invalid) == (150 - nameless, nameless)
        assert {failure.key for failure in report.failures} <= {"invalid_item"}
        async for customer in there.customers.list():
            if customer.source_id is not None:
                copy = await voucherify.customers.get(customer.source_id)
                assert copy.to_upsert() == customer.to_upsert()
        found = await there.customers.list(order="created_at").to_list(max_items=20)
        await voucherify.customers.update_in_bulk([one for one in found if one.source_id])


@pytest.mark.parametrize("fails", [True, False])
async def test_a_source_is_closed(voucherify: VoucherifyClient, sandbox: Sandbox, fails: bool) -> None:
    closed: list[str] = []

    def plain() -> Generator[Any]:
        try:
            yield from ({"source_id": f"{number}"} for number in range(50))
            yield {"source_id": 5}
            yield {"source_id": "last"}
        finally:
            closed.append("plain")

    async def source() -> AsyncGenerator[Any]:
        try:
            for item in plain():
                yield item
        finally:
            closed.append("async")

    for items in (plain(), source()):
        if fails:
            with pytest.raises(ValueError, match="source_id"):
                await voucherify.customers.sync(items, on_invalid="raise")
        else:
            await voucherify.customers.sync(items)
    assert set(closed) == {"plain", "async"}

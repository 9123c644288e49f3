"""Customers synced through bulk jobs, and what became of each."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.clocks import skipping_clock
from tests.support.faults import ResetAfter, fault_proxy
from tests.support.internals import before_answers
from voucherify_async import (
    CustomerUpsert,
    RetryPolicy,
    SyncFailure,
    SyncProgress,
    SyncReport,
    VoucherifyClient,
)
from voucherify_async.sandbox import Quirks, Sandbox
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.jobs import BulkUpdate
from voucherify_async.sandbox._store.records import Job, JobWork
from voucherify_async.sandbox._store.store import Store
from voucherify_async.sandbox._store.validation import check_customer

Json = dict[str, Any]


def customer(number: int) -> Json:
    return {
        "source_id": f"crm-{number}",
        "name": f"Zoë {number}",
        "email": f"{number}@example.com",
        "phone": f"+48 {number:09d}",
        "birthdate": f"{1950 + number % 50}-02-{1 + number % 28:02d}",
        "address": {"line_1": f"Długa {number}", "city": "Łódź", "country": "PL", "postal_code": None},
        "metadata": {"number": number, "tags": ["a", number], "deep": {"": None, "x": 1.5}},
    }


def customers(count: int) -> list[Json]:
    return [customer(number) for number in range(count)]


def held(sandbox: Sandbox) -> dict[str | None, Json]:
    """What the sandbox holds once all its jobs have ended, to the last field."""
    clock = sandbox.store.clock
    sandbox.store.clock = lambda: clock() + 10 * 24 * 3600  # time goes on as before
    sandbox.store.advance()
    return {
        record.source_id: {
            "source_id": record.source_id,
            **record.fields,
            "address": record.address,
            "metadata": record.metadata,
        }
        for record in sandbox.store.customers.values()
    }


def applied(source: list[Json]) -> dict[str | None, Json]:
    return {item["source_id"]: {"address": None, "metadata": None, **item} for item in source}


def sent(sandbox: Sandbox) -> list[list[Any]]:
    """The items of each bulk request."""
    bodies = [json.loads(exchange.request_body) for exchange in sandbox.requests if exchange.method == "POST"]
    return [body if isinstance(body, list) else body["source_ids"] for body in bodies]


def add_up(report: SyncReport[Any]) -> None:
    assert report.read == report.sent + report.invalid + report.duplicates + report.unchanged
    assert report.sent == report.succeeded + report.failed
    assert len(report.failures) + report.omitted == report.failed + report.invalid
    positions = [failure.position for failure in report.failures if failure.position is not None]
    assert positions == sorted(set(positions))
    assert len({job.id for job in report.jobs}) == len(report.jobs)
    assert all(job.duration >= 0 and job.items == job.succeeded + job.failed for job in report.jobs)


def tasks() -> set[asyncio.Task[Any]]:
    """All tasks but those in which the sandbox serves its connections."""
    return {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task.get_coro())}


@dataclass
class Watch:
    """What is seen of the jobs in a sandbox at each that is added."""

    most_open: int = 0
    items: int = 0
    clashes: set[str] = field(default_factory=set[str])


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    schedule = Store.schedule

    def scheduled(store: Store, kind: str, request_id: str, work: JobWork) -> Job:
        job = schedule(store, kind, request_id, work)
        waiting = [job.work for job in store.jobs.values() if not job.ended]
        watch.most_open = max(watch.most_open, len(waiting))
        watch.items += len(work)
        times = Counter(chain.from_iterable(keys(work) for work in waiting))
        watch.clashes |= {key for key, count in times.items() if count > 1}
        return job

    def keys(work: JobWork) -> list[str]:
        return work.source_ids if isinstance(work, BulkUpdate) else []

    monkeypatch.setattr(Store, "schedule", scheduled)
    return watch


def refuse(monkeypatch: pytest.MonkeyPatch, is_refused: Callable[[str], bool]) -> None:
    """Have jobs report customers that they do not take."""

    def check(body: Json, *, ids: bool) -> Any:
        if is_refused(body.get("source_id") or ""):
            raise ApiError(400, "invalid_payload", "of no use", message="Refused")
        return check_customer(body, ids=ids)

    monkeypatch.setattr("voucherify_async.sandbox._store.jobs.check_customer", check)


SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))
SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, int(50 * SOAK_SCALE)))]


@pytest.fixture
async def quick(sandbox: Sandbox, voucherify: VoucherifyClient) -> AsyncIterator[VoucherifyClient]:
    """A client, and its sandbox, for which waits take no time."""
    async with skipping_clock(voucherify, sandbox):
        yield voucherify


# ---------------------------------------------------------------- what comes in


async def arriving(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


@pytest.mark.parametrize("form", ["list", "generator", "async", "structs", "view"])
async def test_any_source_is_applied_to_the_last_field(
    sandbox: Sandbox, quick: VoucherifyClient, form: str
) -> None:
    items = customers(25)
    structs: list[Any] = [
        msgspec.convert({**item, "address": None, "birthdate": None}, CustomerUpsert) for item in items
    ]
    forms: dict[str, Any] = {
        "list": items,
        "generator": iter(items),
        "async": arriving(items),
        "structs": structs,
        "view": dict(enumerate(items)).values(),
    }
    report = await quick.customers.sync(forms[form], max_body_items=10)
    add_up(report)
    assert (report.read, report.succeeded, report.resent) == (25, 25, 0)
    assert [len(body) for body in sent(sandbox)] == [10, 10, 5]
    expected = applied(items)
    if form == "structs":
        expected = {key: {**item, "address": None, "birthdate": None} for key, item in expected.items()}
    assert held(sandbox) == expected


async def test_nothing_to_do(sandbox: Sandbox, quick: VoucherifyClient) -> None:
    seen: list[SyncProgress] = []
    report = await quick.customers.sync([], on_progress=seen.append)
    add_up(report)
    assert (report.read, report.jobs, report.failures) == (0, (), ())
    assert seen[-1].read == 0
    assert not sandbox.requests


@pytest.mark.parametrize("source", ["abc", b"abc", {"source_id": "a"}, None, 7], ids=repr)
async def test_a_source_that_is_none(sandbox: Sandbox, voucherify: VoucherifyClient, source: Any) -> None:
    with pytest.raises(ValueError, match="^source must be"):
        await voucherify.customers.sync(source)
    with pytest.raises(ValueError, match="^source_ids must be"):
        await voucherify.customers.sync_metadata(source, {"a": 1})
    assert not sandbox.requests


async def called(_: Any) -> None: ...


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": -1},
        {"concurrency": True},
        {"concurrency": "4"},
        {"concurrency": 1.5},
        {"concurrency": None},
        {"max_body_bytes": 0},
        {"max_body_bytes": 10 * 1024 * 1024 + 1},
        {"max_body_bytes": True},
        {"max_body_items": 0},
        {"max_body_items": "10"},
        {"on_progress": called},
        {"on_progress": 5},
        {"on_failure": called},
        {"on_failure": "print"},
        {"state": 3},
        {"state": b"path"},
        {"on_invalid": "skip"},
        {"on_invalid": None},
        {"on_invalid": []},
    ],
    ids=lambda options: next(f"{name}-{type(value).__name__}" for name, value in options.items()),
)
async def test_bad_options_are_named_before_anything_is_read_or_sent(
    sandbox: Sandbox, voucherify: VoucherifyClient, tmp_path: Path, options: Any
) -> None:
    (name,) = options
    path = tmp_path / "customers.csv"
    path.write_text("Name,Source_id\nAda,a\n")

    def unread() -> Iterator[Any]:
        pytest.fail("it was read")
        yield

    with pytest.raises(ValueError, match=f"^{name} must be"):
        await voucherify.customers.sync(unread(), **options)
    with pytest.raises(ValueError, match=f"^{name} must be"):
        await voucherify.customers.sync_metadata(unread(), {"a": 1}, **options)
    with pytest.raises(ValueError, match=f"^{name} must be"):
        await voucherify.customers.sync_csv(path, **options)
    assert not sandbox.requests


BAD: list[tuple[Any, str]] = [
    ({"source_id": ""}, "source_id"),
    ({"name": "Ada"}, "source_id"),
    ({"source_id": 5}, "source_id"),
    ({"source_id": "x", "nme": "Ada"}, "nme"),
    ({"source_id": "x", "birthdate": "soon"}, "birthdate"),
    ({"source_id": "x", "address": {"city": 5}}, "address.city"),
    ({"source_id": "x", "metadata": {"a": object()}}, "metadata.a"),
    ({"source_id": "x", "metadata": {"a": float("nan")}}, "metadata.a"),
    ({"source_id": "x", "name": "\ud800"}, "surrogate"),
    ("crm-1", "mapping"),
    (None, "NoneType"),
]


async def test_bad_items_are_reported_and_stop_nothing(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    good = customers(len(BAD))
    source = list(chain.from_iterable(zip(good, (item for item, _ in BAD), strict=True)))
    for state in (None, tmp_path / "state"):
        told: list[SyncFailure] = []
        report = await quick.customers.sync(source, state=state, on_failure=told.append)
        add_up(report)
        assert (report.invalid, report.succeeded) == (len(BAD), len(good))
        assert [failure.position for failure in report.failures] == list(range(1, 2 * len(BAD), 2))
        for failure, (_, reason) in zip(report.failures, BAD, strict=True):
            assert failure.key == "invalid_item"
            assert reason in (failure.message or "")
            assert failure.item is None
        assert sorted(told, key=lambda failure: failure.position or 0) == list(report.failures)
        assert list(report.all_failures()) == list(report.failures)
        assert not list(report.failed_items())
    assert held(sandbox) == applied(good)


@pytest.mark.parametrize("number", range(len(BAD)))
async def test_a_bad_item_can_be_raised(sandbox: Sandbox, quick: VoucherifyClient, number: int) -> None:
    before = tasks()
    with pytest.raises(ValueError, match=r"^source\[3\]") as caught:
        await quick.customers.sync([*customers(3), BAD[number][0]], on_invalid="raise")
    assert BAD[number][1] in str(caught.value)
    assert tasks() == before
    assert not sandbox.requests


async def test_the_source_is_read_as_it_is_needed(sandbox: Sandbox, quick: VoucherifyClient) -> None:
    read = 0
    ahead: list[int] = []
    taken = 0

    def source() -> Iterator[Json]:
        nonlocal read
        for item in customers(400):
            read += 1
            yield item

    def progress(now: SyncProgress) -> None:
        ahead.append(read - now.succeeded)

    sandbox.store.job_seconds = 0.1
    report = await quick.customers.sync(source(), concurrency=3, max_body_items=10, on_progress=progress)
    taken = report.succeeded
    assert taken == read == 400
    assert max(ahead) <= (3 + 1) * 10 + 1


async def test_what_is_held_back_for_one_key_is_bounded(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    """What is cleared and made anew cannot be put together."""
    read = 0
    ahead: list[int] = []

    def source() -> Iterator[Json]:
        nonlocal read
        for number in range(60):
            read += 1
            yield {"source_id": "one", "metadata": {"number": number} if number % 2 else None}

    report = await quick.customers.sync(
        source(),
        max_body_items=5,
        on_progress=lambda now: ahead.append(read - now.succeeded - now.duplicates),
        state=tmp_path / "state",
    )
    assert report.succeeded + report.duplicates == 60
    assert report.succeeded > 30
    assert max(ahead) <= 5 + 2
    assert held(sandbox)["one"]["metadata"] == {"number": 59}


# ---------------------------------------------------------------- bodies and jobs


@pytest.mark.parametrize(("limit", "count"), [(700, 50_000), (4_000_000, 7), (3_001, 9), (460, 3)])
async def test_bodies_are_cut_by_bytes_and_by_count(
    sandbox: Sandbox, quick: VoucherifyClient, limit: int, count: int
) -> None:
    chance = random.Random(limit)
    source = [{**customer(number), "description": "é" * chance.randrange(60)} for number in range(60)]
    report = await quick.customers.sync(source, max_body_bytes=limit, max_body_items=count)
    add_up(report)
    assert report.succeeded == 60
    lengths = [len(exchange.request_body) for exchange in sandbox.requests if exchange.method == "POST"]
    assert max(lengths) <= limit
    assert max(map(len, sent(sandbox))) <= count
    ids = Counter(item["source_id"] for body in sent(sandbox) for item in body)
    assert ids == Counter(item["source_id"] for item in source)
    assert len(report.jobs) == len(lengths)
    assert sum(job.items for job in report.jobs) == 60


async def test_a_body_may_be_filled_to_the_last_byte(sandbox: Sandbox, quick: VoucherifyClient) -> None:
    source = [{"source_id": f"a{number}"} for number in range(4)]
    body = len(b'[{"source_id":"a0"},{"source_id":"a1"}]')
    await quick.customers.sync(source, max_body_bytes=body)
    await quick.customers.sync(source, max_body_bytes=body - 1)
    assert [len(items) for items in sent(sandbox)] == [2, 2, 1, 1, 1, 1]


async def test_an_item_that_fits_into_no_body(sandbox: Sandbox, quick: VoucherifyClient) -> None:
    item = {"source_id": "a1"}
    size = len(b'[{"source_id":"a1"}]')
    source = [item, {"source_id": "a22"}, {"source_id": "a3"}]
    report = await quick.customers.sync(source, max_body_bytes=size)
    add_up(report)
    (failure,) = report.failures
    assert (failure.position, failure.source_id, failure.key) == (1, "a22", "invalid_item")
    assert "bytes" in (failure.message or "")
    assert set(held(sandbox)) == {"a1", "a3"}


async def test_a_large_body_warns_of_nothing(sandbox: Sandbox, quick: VoucherifyClient) -> None:
    filler = "x" * 9_900
    report = await quick.customers.sync(
        ({"source_id": f"a{number}", "metadata": {"filler": filler}} for number in range(600)),
        max_body_bytes=4_000_000,
    )
    add_up(report)
    assert report.succeeded == 600
    assert max(len(exchange.request_body) for exchange in sandbox.requests) > 3_900_000


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_no_more_jobs_are_open_than_may_be(
    sandbox: Sandbox, quick: VoucherifyClient, watch: Watch, concurrency: int
) -> None:
    sandbox.store.job_seconds = 0.1
    report = await quick.customers.sync(customers(100), concurrency=concurrency, max_body_items=4)
    assert report.succeeded == 100
    assert watch.most_open == concurrency


@pytest.mark.parametrize("seed", SEEDS)
async def test_customers_with_one_id_keep_their_order(
    sandbox: Sandbox, quick: VoucherifyClient, watch: Watch, seed: int
) -> None:
    chance = random.Random(seed)
    sandbox.store.job_seconds = chance.choice([0, 1, 20])
    source = [
        {
            "source_id": f"crm-{int(chance.triangular(0, 60, 0))}",
            "name": f"{number}",
            "metadata": {"n": number},
        }
        for number in range(200)
    ]
    report = await quick.customers.sync(source, concurrency=4, max_body_items=chance.choice([3, 20, 100]))
    add_up(report)
    assert report.succeeded == 200 - report.duplicates == watch.items
    assert not watch.clashes
    assert held(sandbox) == applied(source)
    for record in sandbox.store.customers.values():
        names = [int(event.customer.fields["name"]) for event in record.activity]
        wanted = [number for number, item in enumerate(source) if item["source_id"] == record.source_id]
        assert names == sorted(names)
        assert set(names) <= set(wanted)
        assert names[-1] == wanted[-1]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(st.integers(0, 5), max_size=30),
    concurrency=st.integers(1, 5),
    items=st.integers(1, 8),
    size=st.integers(60, 300),
)
def test_the_last_of_each_id_is_what_holds(
    watch: Watch, ids: list[int], concurrency: int, items: int, size: int
) -> None:
    source = [
        {"source_id": f"{number}", "name": f"{position}", "metadata": {}}
        for position, number in enumerate(ids)
    ]

    watch.most_open = 0

    async def run() -> None:
        async with Sandbox() as sandbox, sandbox.client() as client, skipping_clock(client, sandbox):
            report = await client.customers.sync(
                source, concurrency=concurrency, max_body_items=items, max_body_bytes=size
            )
            assert report.succeeded == len(ids) - report.duplicates
            assert watch.most_open <= concurrency
            assert not watch.clashes
            assert held(sandbox) == applied(source)

    asyncio.run(run())


# ---------------------------------------------------------------- what is reported


async def test_what_was_refused_is_named_and_can_be_synced_again(
    sandbox: Sandbox, quick: VoucherifyClient
) -> None:
    source = customers(50)
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, lambda source_id: source_id.endswith("3"))
        report = await quick.customers.sync(source, max_body_items=8)
    add_up(report)
    assert (report.failed, report.succeeded, report.invalid, report.resent) == (5, 45, 0, 0)
    assert [failure.position for failure in report.failures] == [3, 13, 23, 33, 43]
    for failure in report.failures:
        assert failure.source_id == f"crm-{failure.position}"
        assert (failure.key, failure.message, failure.details) == ("invalid_payload", "Refused", "of no use")
        assert isinstance(failure.item, CustomerUpsert)
    assert sum(job.failed for job in report.jobs) == 5
    assert {job.status for job in report.jobs} == {"DONE"}
    again = await quick.customers.sync(report.failed_items())
    add_up(again)
    assert (again.read, again.succeeded) == (5, 5)
    assert held(sandbox) == applied(source)


async def test_a_report_survives_pickling(quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, lambda source_id: source_id == "crm-1")
    report = await quick.customers.sync(customers(3))
    copy = pickle.loads(pickle.dumps(report))
    assert copy == report
    assert [item.source_id for item in copy.failed_items()] == ["crm-1"]


@pytest.mark.parametrize("way", ["state", "callback", None])
async def test_more_failures_than_are_kept(
    sandbox: Sandbox,
    quick: VoucherifyClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    way: str | None,
) -> None:
    refuse(monkeypatch, lambda source_id: True)
    monkeypatch.setattr("voucherify_async._sync.report._MAX_FAILURES", 100)
    told: list[SyncFailure] = []
    report = await quick.customers.sync(
        chain(({"source_id": f"a{number}"} for number in range(250)), [{}] * 50),
        state=tmp_path / "state" if way == "state" else None,
        on_failure=told.append if way == "callback" else None,
        max_body_items=90,
    )
    add_up(report)
    assert (report.read, report.failed, report.invalid) == (300, 250, 50)
    assert (len(report.failures), report.omitted, report.omitted_to) == (100, 200, way)
    if way == "state":
        assert sorted(failure.position or 0 for failure in report.all_failures()) == list(range(300))
        assert len(list(report.failed_items())) == 250
    else:
        with pytest.raises(ValueError, match="200"):
            report.failed_items()
    assert len(told) == (300 if way == "callback" else 0)


async def test_ten_thousand_failures_are_kept(quick: VoucherifyClient) -> None:
    report = await quick.customers.sync([{}] * 10_100)
    add_up(report)
    assert (len(report.failures), report.omitted, report.omitted_to) == (10_000, 100, None)


def refuse_bodies(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, is_bad: Callable[[bytes], bool], status: int = 400
) -> None:
    """Have the sandbox take no request that has such a body."""

    def refuse(request: object, body: bytes) -> None:
        if body and is_bad(body):
            raise ApiError(status, "invalid_payload", "not that one")

    before_answers(monkeypatch, sandbox, refuse)


@pytest.mark.parametrize("status", [400, 413])
@pytest.mark.parametrize("with_state", [True, False])
async def test_a_body_that_is_refused_for_one_of_its_items(
    sandbox: Sandbox,
    quick: VoucherifyClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    with_state: bool,
) -> None:
    refuse_bodies(monkeypatch, sandbox, lambda body: b'"crm-12"' in body, status)
    source = customers(30)
    state = tmp_path / "state" if with_state else None
    report = await quick.customers.sync(source, max_body_items=10, state=state)
    add_up(report)
    assert (report.failed, report.succeeded, report.resent) == (1, 29, 0)
    (failure,) = report.failures
    assert (failure.position, failure.source_id) == (12, "crm-12")
    assert failure.key == ("invalid_payload" if status == 400 else None)
    assert "not that one" in f"{failure.message} {failure.details}"
    monkeypatch.undo()
    if with_state:
        again = await quick.customers.sync(source, max_body_items=10, state=state)
        assert (again.succeeded, again.unchanged) == (1, 29)
    assert (await quick.customers.sync(report.failed_items())).succeeded == 1
    assert held(sandbox) == applied(source)


async def test_bodies_that_are_refused_whatever_is_in_them(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_bodies(monkeypatch, sandbox, lambda body: True)
    report = await quick.customers.sync(customers(2_000))
    add_up(report)
    assert (report.sent, report.failed, report.resent) == (2_000, 2_000, 0)
    assert len(sandbox.requests) < 150
    assert [failure.position for failure in report.failures] == list(range(2_000))


async def test_a_part_whose_answer_is_lost(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse_bodies(monkeypatch, sandbox, lambda body: body.count(b"source_id") > 5)
    source = customers(10)
    async with (
        fault_proxy(sandbox.base_url, [None, ResetAfter(), None, None, None]) as proxy,
        sandbox.client(base_url=proxy.base_url, retry=RetryPolicy(base=0.001, cap=0.01)) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync(source, state=tmp_path / "state", project="p")
    add_up(report)
    assert (report.succeeded, report.failed, report.resent) == (10, 0, 5)
    assert held(sandbox) == applied(source)


def answer_with(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, **facts: Any) -> None:
    """Have jobs that have ended say something else."""
    sandbox.quirks = Quirks(omit=frozenset({"referrals"}))  # what is to come is against the documents
    shown = Job.to_json

    def to_json(job: Job, now: float) -> Json:
        found = shown(job, now)
        if job.ended:
            found |= {name: fact for name, fact in facts.items() if name != "result"}
            job.result = facts.get("result", job.result)
        return found

    monkeypatch.setattr(Job, "to_json", to_json)


async def test_failures_that_are_counted_and_not_named(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = {"done_count": 2, "failed_count": 3, "errors": [{"source_id": "crm-1", "message": "no"}]}
    answer_with(monkeypatch, sandbox, result=result)
    report = await quick.customers.sync(customers(5))
    add_up(report)
    assert (report.succeeded, report.failed) == (2, 3)
    assert [(failure.position, failure.key) for failure in report.failures] == [
        (1, None),
        (None, "unnamed"),
        (None, "unnamed"),
    ]
    assert len(list(report.failed_items())) == 1


@pytest.mark.parametrize(
    "result",
    [
        {"done_count": 1, "failed_count": 1, "errors": [{"source_id": "crm-1", "code": 400}]},
        {"done_count": 1, "failed_count": 1, "errors": [{"source_id": "crm-1", "details": ["too", "long"]}]},
        {"done_count": 1, "failed_count": 1, "errors": {"crm-1": "no"}},
        {"done_count": 1, "failed_count": 1, "errors": None, "reports_available_till": "tomorrow"},
    ],
    ids=["code", "details", "errors", "date"],
)
async def test_a_result_of_an_odd_shape_does_not_hide_its_failures(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch, result: Json
) -> None:
    answer_with(monkeypatch, sandbox, result=result)
    report = await quick.customers.sync(customers(2))
    add_up(report)
    assert report.failed >= 1


async def test_a_job_that_says_it_failed_and_nothing_else(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, sandbox, result={}, operation_status="FAILED")
    report = await quick.customers.sync(customers(2))
    add_up(report)
    assert report.succeeded == 0


async def test_items_that_a_result_does_not_count(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, sandbox, result={"done_count": 1, "failed_count": 0, "errors": []})
    report = await quick.customers.sync(customers(3))
    add_up(report)
    assert report.succeeded == 1


# ---------------------------------------------------------------- progress


async def test_progress_is_told_now_and_then_and_at_the_end(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.store.job_seconds = 0.1
    refuse(monkeypatch, lambda source_id: source_id == "crm-7")
    seen: list[SyncProgress] = []
    report = await quick.customers.sync([*customers(300), {}], max_body_items=4, on_progress=seen.append)
    last = seen[-1]
    names = ("read", "sent", "succeeded", "failed", "invalid", "resent")
    assert [getattr(last, name) for name in names] == [getattr(report, name) for name in names]
    assert (last.failed, last.invalid, last.open_jobs) == (1, 1, 0)
    times = [progress.elapsed for progress in seen[:-1]]
    assert len(times) > 3
    assert all(after - before >= 0.0999 for before, after in pairwise(times))
    assert max(progress.open_jobs for progress in seen) <= 4
    for name in names:
        counts = [getattr(progress, name) for progress in seen]
        assert counts == sorted(counts)


async def test_the_end_is_told_once(sandbox: Sandbox, quick: VoucherifyClient) -> None:
    sandbox.store.job_seconds = 0.3
    seen: list[SyncProgress] = []
    await quick.customers.sync(customers(5), on_progress=seen.append)
    assert len([progress for progress in seen if progress.succeeded == 5]) == 1


class BrokenError(Exception):
    """Of the caller's."""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("place", ["progress", "last progress", "failure", "source", "async source"])
async def test_what_the_caller_raises_comes_through_bare(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch, place: str, seed: int
) -> None:
    refuse(monkeypatch, lambda source_id: True)
    broken = BrokenError()
    left = random.Random(seed).randrange(1, 30)

    def count(told: SyncProgress | SyncFailure | None = None) -> None:
        nonlocal left
        left -= 1
        if place == "last progress":
            if isinstance(told, SyncProgress) and told.failed == 80:
                raise broken
        elif left <= 0:
            raise broken

    def source() -> Iterator[Json]:
        for item in customers(80):
            if place == "source":
                count()
            yield item

    async def async_source() -> AsyncIterator[Json]:
        for item in source():
            count()
            yield item

    options: Any = {}
    if "progress" in place:
        options["on_progress"] = count
        sandbox.store.job_seconds = 0.2
    if place == "failure":
        options["on_failure"] = count
    before = tasks()
    with pytest.raises(BrokenError) as caught:
        await quick.customers.sync(
            async_source() if place == "async source" else source(), max_body_items=2, **options
        )
    assert caught.value is broken
    assert place == "last progress" or vars(broken)["report"].read > 0  # that comes when all is done
    assert broken.__context__ is None
    assert broken.__cause__ is None
    assert tasks() == before


@pytest.mark.parametrize("place", ["source", "async source", "progress", "failure"])
async def test_what_was_cancelled_elsewhere_ends_it(
    quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    refuse(monkeypatch, lambda source_id: True)
    other = asyncio.get_running_loop().create_future()
    other.cancel()

    def cancelled(_: Any = None) -> None:
        other.result()

    def source() -> Iterator[Json]:
        yield from customers(7)
        if place == "source":
            cancelled()

    async def async_source() -> AsyncIterator[Json]:
        for item in customers(7):
            yield item
        await other

    options: Any = {"on_progress": cancelled} if place == "progress" else {}
    options |= {"on_failure": cancelled} if place == "failure" else {}
    before = tasks()
    with pytest.raises(asyncio.CancelledError):
        await quick.customers.sync(
            async_source() if place == "async source" else source(), max_body_items=2, **options
        )
    assert tasks() == before

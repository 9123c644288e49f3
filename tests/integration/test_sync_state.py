"""A sync that remembers what the service holds, whatever its source does, and however it ended."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_sync import add_up, answer_with, applied, held, quick, refuse
from tests.support.clocks import FakeClock, skipping_clock, use_clock
from tests.support.faults import ResetAfter, fault_proxy
from tests.support.internals import before_answers, on_opening
from voucherify_async import (
    ConflictError,
    OAuthClientCredentials,
    OAuthToken,
    RetryPolicy,
    SyncReport,
    SyncStateError,
    SyncTimeoutError,
    VoucherifyClient,
)
from voucherify_async._sync.state import SyncState
from voucherify_async.sandbox import Faults, Quirks, Sandbox
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.records import Job

__all__ = ["quick"]

HASTE = RetryPolicy(base=0.001, cap=0.01)
SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def damaged(path: Path, whole: bytes, chance: random.Random) -> None:
    """Make the file anew, with one bit of it flipped."""
    content = bytearray(whole)
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    for other in path.parent.iterdir():
        other.unlink()
    path.write_bytes(content)


def whole(path: Path) -> bytes:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def customers(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [{"source_id": f"crm-{number}", "name": f"{number}", **changes} for number in range(count)]


def posts(sandbox: Sandbox) -> int:
    return sum(request.method == "POST" for request in sandbox.requests)


def counts(report: SyncReport[Any]) -> tuple[int, int, int, int]:
    add_up(report)
    return report.sent, report.succeeded, report.failed, report.unchanged


# ---------------------------------------------------------------- what is sent


async def test_only_what_changed_is_sent(sandbox: Sandbox, quick: VoucherifyClient, path: Path) -> None:
    source = customers(100)
    assert counts(await quick.customers.sync(source, state=path)) == (100, 100, 0, 0)
    assert posts(sandbox) == 1
    report = await quick.customers.sync(source, state=path)
    assert counts(report) == (0, 0, 0, 100)
    assert report.state == str(path)
    assert posts(sandbox) == 1
    source = [*reversed(source[10:]), {"source_id": "crm-3", "name": "changed"}, *customers(105)[100:]]
    assert counts(await quick.customers.sync(source, state=path)) == (6, 6, 0, 90)
    assert sandbox.store.get("crm-3").fields["name"] == "changed"
    assert counts(await quick.customers.sync(source, state=path, full=True)) == (96, 96, 0, 0)
    assert counts(await quick.customers.sync(source, state=path)) == (0, 0, 0, 96)


async def test_the_order_of_fields_and_keys_is_no_change(quick: VoucherifyClient, path: Path) -> None:
    one = {"source_id": "a", "name": "A", "metadata": {"b": {"d": 1, "c": 2}, "a": 1}}
    other = {"metadata": {"a": 1, "b": {"c": 2, "d": 1}}, "name": "A", "source_id": "a"}
    await quick.customers.sync([one], state=path)
    assert counts(await quick.customers.sync([other], state=path)) == (0, 0, 0, 1)


async def test_what_failed_is_sent_again(sandbox: Sandbox, quick: VoucherifyClient, path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, lambda source_id: source_id.endswith("7"))
        assert counts(await quick.customers.sync(customers(50), state=path)) == (50, 45, 5, 0)
    assert counts(await quick.customers.sync(customers(50), state=path)) == (5, 5, 0, 45)
    assert counts(await quick.customers.sync(customers(50), state=path)) == (0, 0, 0, 50)


async def test_what_goes_there_and_back_ends_where_it_should(
    sandbox: Sandbox, quick: VoucherifyClient, path: Path
) -> None:
    await quick.customers.sync(customers(1), state=path)
    there_and_back = [*customers(1, name="B"), *customers(1)]
    report = await quick.customers.sync(there_and_back, state=path)
    assert (report.duplicates, report.sent) == (1, 1)
    assert sandbox.store.get("crm-0").fields["name"] == "0"
    report = await quick.customers.sync(there_and_back, state=path, max_body_items=1)
    assert sandbox.store.get("crm-0").fields["name"] == "0"


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_the_source_does(sandbox: Sandbox, path: Path, seed: int) -> None:
    chance = random.Random(seed)
    everything: list[dict[str, Any]] = []
    async with sandbox.client() as client, skipping_clock(client, sandbox):
        for _ in range(8):
            source = [
                {"source_id": f"crm-{chance.randrange(30)}", "name": f"{chance.randrange(4)}"}
                for _ in range(chance.randrange(60))
            ]
            everything += source
            report = await client.customers.sync(
                source, state=path, max_body_items=chance.randrange(1, 9), concurrency=chance.randrange(1, 5)
            )
            add_up(report)
            assert report.failed == report.invalid == 0
            assert held(sandbox) == applied(everything)


async def test_metadata_and_csv(sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path) -> None:
    ids, one, two = ["a", "b"], tmp_path / "one", tmp_path / "two"
    for metadata, sent in (({"n": 1, "m": 2}, 2), ({"m": 2, "n": 1}, 0), ({"n": 2}, 2)):
        report = await quick.customers.sync_metadata(ids, metadata, state=one)
        assert (report.sent, report.unchanged) == (sent, 2 - sent)
    table = tmp_path / "customers.csv"
    for content, sent in ((b"Source_id,Name\na,A\nb,B\n", 2), (b"Source_id,Name\nb,B\na,C\n", 1)):
        table.write_bytes(content)
        report = await quick.customers.sync_csv(table, state=two)
        assert (report.sent, report.unchanged) == (sent, 2 - sent)
    table.write_bytes(b"Source_id,Name\n,Nobody\na,C\n")
    report = await quick.customers.sync_csv(table, state=two)
    assert (report.sent, report.unchanged, report.invalid) == (1, 1, 0)
    with pytest.raises(SyncStateError) as caught:
        await quick.customers.sync_csv(table, state=one)
    assert caught.value.reason == "other_kind"


# ---------------------------------------------------------------- however it ended


async def test_an_answer_that_was_lost(sandbox: Sandbox, path: Path) -> None:
    async with (
        fault_proxy(sandbox.base_url, [ResetAfter()]) as proxy,
        sandbox.client(base_url=proxy.base_url, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        assert counts(await client.customers.sync(customers(9), state=path, project="p")) == (9, 9, 0, 0)
        assert counts(await client.customers.sync(customers(9), state=path, project="p")) == (0, 0, 0, 9)


async def abandoned(
    sandbox: Sandbox, client: VoucherifyClient, source: list[dict[str, Any]], path: Path
) -> None:
    """Start a sync, and give it up when its job is under way and on record."""
    sandbox.requests.clear()
    sync = asyncio.create_task(client.customers.sync(source, state=path))
    while not any(request.method == "GET" for request in sandbox.requests):  # noqa: ASYNC110  # it sets no event
        await asyncio.sleep(0.001)
    sync.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sync


async def test_jobs_of_a_sync_that_was_abandoned_are_settled_first(sandbox: Sandbox, path: Path) -> None:
    sandbox.store.job_seconds, sandbox.store.job_seconds_per_item = 50, 0
    clock = sandbox.store.clock = FakeClock(1_800_000_000.0)
    async with sandbox.client() as client:
        await abandoned(sandbox, client, customers(20), path)
        assert not sandbox.store.customers
        clock.now += 100
        assert counts(await client.customers.sync(customers(20), state=path)) == (0, 0, 0, 20)
        assert posts(sandbox) == 1
        await abandoned(sandbox, client, customers(20, name="B"), path)
        clock.now += 100
        # The source is back to what it was, and what was sent meanwhile is not taken for unchanged.
        sandbox.store.job_seconds = 0
        assert counts(await client.customers.sync(customers(20), state=path)) == (20, 20, 0, 0)
    assert held(sandbox) == applied(customers(20))


async def test_what_was_sent_before_a_death_is_not_taken_for_unchanged(
    sandbox: Sandbox, quick: VoucherifyClient, path: Path
) -> None:
    """A is acknowledged, B is sent, nobody notes that a job has it, and the source is back at A."""
    sandbox.store.job_seconds = 5
    await quick.customers.sync(customers(20), state=path)

    def die(state: SyncState, batch: object) -> None:
        raise RuntimeError("killed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SyncState, "record_accepted", die)
        with pytest.raises(RuntimeError, match="killed"):
            await quick.customers.sync(customers(20, name="B"), state=path)
    schedule, ended = sandbox.store.schedule, list[bool]()

    def look_and_schedule(*facts: Any) -> Job:
        ended.extend(job.ended for job in sandbox.store.jobs.values())
        return schedule(*facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox.store, "schedule", look_and_schedule)
        assert counts(await quick.customers.sync(customers(20), state=path)) == (20, 20, 0, 0)
    assert ended == [True, True]  # what may have been started was waited for
    assert held(sandbox) == applied(customers(20))


async def test_what_failed_in_a_job_of_an_earlier_process_is_sent_again(sandbox: Sandbox, path: Path) -> None:
    sandbox.store.job_seconds, sandbox.store.job_seconds_per_item = 50, 0
    clock = sandbox.store.clock = FakeClock(1_800_000_000.0)
    async with sandbox.client() as client:
        with pytest.MonkeyPatch.context() as patch:
            refuse(patch, lambda source_id: source_id == "crm-7")
            await abandoned(sandbox, client, customers(20), path)
            clock.now += 100
            sandbox.store.job_seconds = 0
            assert counts(await client.customers.sync(customers(20), state=path)) == (1, 0, 1, 19)
        assert counts(await client.customers.sync(customers(20), state=path)) == (1, 1, 0, 19)


PROGRAM = """
import asyncio, json, sys
from voucherify_async import RetryPolicy, VoucherifyClient

path, base_url, source = sys.argv[1:]

async def read():
    print("reading", flush=True)
    for item in json.loads(source):
        await asyncio.sleep(0.0005)
        yield item

async def main():
    retry = RetryPolicy(base=0.001, cap=0.01)
    async with VoucherifyClient("{app_id}", "{app_token}", base_url=base_url, retry=retry) as client:
        await client.customers.sync(read(), state=path, max_body_items=20)

asyncio.run(main())
"""


def source_of(seed: int) -> list[dict[str, Any]]:
    """Some of 300 customers, some of them as they were, some changed."""
    chance = random.Random(seed)
    return [
        {"source_id": f"crm-{number}", "metadata": {f"k{chance.randrange(9)}": chance.choice([0, seed])}}
        for number in chance.sample(range(300), 200)
    ]


@pytest.mark.parametrize(
    "kills",
    [5, pytest.param(int(50 * SOAK_SCALE), marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])],
)
def test_processes_that_are_killed(path: Path, kills: int) -> None:
    """Each has another source; what the last one sends holds, and then nothing is left to send."""
    chance = random.Random(kills)
    faults = Faults(reset=0.05, truncate=0.03, status={503: 0.04})
    with Sandbox(job_seconds=0.02, faults=faults) as sandbox:
        program = PROGRAM.replace("{app_id}", sandbox.app_id).replace("{app_token}", sandbox.app_token)

        def run(seed: int, requests: int | None) -> None:
            given = [sys.executable, "-c", program, str(path), sandbox.base_url, json.dumps(source_of(seed))]
            with subprocess.Popen(given, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == b"reading\n"
                if requests is None:
                    assert process.wait() == 0
                else:
                    goal = len(sandbox.requests) + requests
                    while process.poll() is None and len(sandbox.requests) < goal:
                        time.sleep(0.001)
                    process.send_signal(signal.SIGKILL)

        for seed in range(kills):
            run(seed, chance.randrange(30))
        run(kills, None)
        sent = posts(sandbox)
        for source_id, wanted in applied(source_of(kills)).items():
            found = sandbox.store.get(str(source_id)).metadata or {}
            assert {**found, **wanted["metadata"]} == found
        run(kills, None)
        assert posts(sandbox) == sent


# ---------------------------------------------------------------- what is missing


async def test_customers_that_are_gone_from_the_source(
    sandbox: Sandbox, quick: VoucherifyClient, path: Path
) -> None:
    report = await quick.customers.sync(customers(50), state=path)
    assert (report.missing, list(report.missing_source_ids())) == (0, [])
    report = await quick.customers.sync([*customers(47), *customers(2)], state=path)
    gone = ["crm-47", "crm-48", "crm-49"]
    assert (report.missing, list(report.missing_source_ids())) == (3, gone)
    with pytest.raises(ValueError, match="max_share: 3 of 50 customers are missing, more than 0.05 of all"):
        await quick.customers.delete_missing(path, max_share=0.05)
    await quick.customers.delete("crm-48")
    assert await quick.customers.delete_missing(path) == 3
    assert set(held(sandbox)) == {f"crm-{number}" for number in range(47)}
    assert await quick.customers.delete_missing(path) == 0
    # What comes back is new.
    report = await quick.customers.sync(customers(50), state=path)
    assert (report.sent, report.unchanged, report.missing) == (3, 47, 0)


@pytest.mark.parametrize(
    "last", [{"source_id": ""}, {"source_id": 5}, {}, "text"], ids=["empty", "number", "none", "text"]
)
async def test_nothing_is_missing_where_an_item_may_be_anybody(
    quick: VoucherifyClient, path: Path, last: Any
) -> None:
    await quick.customers.sync(customers(5), state=path)
    source: list[Any] = [*customers(4), last]
    report = await quick.customers.sync(source, state=path)
    assert report.missing is None
    with pytest.raises(ValueError, match="^missing is not known"):
        report.missing_source_ids()
    assert await quick.customers.delete_missing(path, max_share=1) == 0


async def test_who_is_in_the_source_is_not_missing(quick: VoucherifyClient, path: Path) -> None:
    long = "x" * 5_000
    await quick.customers.sync([*customers(2), {"source_id": long}], state=path)
    bad: list[Any] = [
        {"source_id": "crm-0", "name": 5},
        {"source_id": "crm-1"},
        {"source_id": long, "surname": "Z"},
    ]
    report = await quick.customers.sync(bad, state=path)
    assert (report.invalid, report.missing) == (2, 0)


async def test_a_sync_that_stopped_early_misses_nothing(
    sandbox: Sandbox, quick: VoucherifyClient, path: Path
) -> None:
    await quick.customers.sync(customers(5), state=path)
    assert (await quick.customers.sync(customers(4), state=path)).missing == 1

    def source() -> Generator[Any]:
        yield from customers(2)
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="the database is gone"):
        await quick.customers.sync(source(), state=path)
    assert await quick.customers.delete_missing(path, max_share=1) == 0
    assert len(sandbox.store.customers) == 5


async def test_deletions_that_fail_are_left_to_the_next_time(sandbox: Sandbox, path: Path) -> None:
    async with sandbox.client() as client:
        await client.customers.sync(customers(40), state=path)
        await client.customers.sync(customers(20), state=path)
        sandbox.faults = Faults(status={409: 0.3})
        with pytest.raises(ConflictError):
            await client.customers.delete_missing(path, max_share=1)
        sandbox.faults = Faults()
        left = len(sandbox.store.customers) - 20
        assert left > 0
        assert await client.customers.delete_missing(path, max_share=1) >= left
    assert len(sandbox.store.customers) == 20


async def test_who_is_no_longer_to_get_metadata_is_not_deleted(
    sandbox: Sandbox, quick: VoucherifyClient, path: Path
) -> None:
    await quick.customers.sync_metadata(["a", "b"], {"x": 1}, state=path)
    report = await quick.customers.sync_metadata(["a"], {"x": 1}, state=path)
    assert list(report.missing_source_ids()) == ["b"]
    with pytest.raises(
        SyncStateError, match="not of customers.update_in_bulk or customers.import_csv"
    ) as caught:
        await quick.customers.delete_missing(path, max_share=1)
    assert caught.value.reason == "other_kind"


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), "1", True])
async def test_what_is_no_share(voucherify: VoucherifyClient, path: Path, share: Any) -> None:
    with pytest.raises(ValueError, match="^max_share must be from 0 to 1"):
        await voucherify.customers.delete_missing(path, max_share=share)
    with pytest.raises(FileNotFoundError):
        await voucherify.customers.delete_missing(path)


# ---------------------------------------------------------------- the file


async def test_a_state_is_of_one_project(sandbox: Sandbox, path: Path) -> None:
    async with sandbox.client() as client:
        await client.customers.sync(customers(2), state=path)
    assert sandbox.app_id.encode() not in whole(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116
    credentials = OAuthClientCredentials(sandbox.app_id, sandbox.app_token)
    async with sandbox.client(auth=credentials) as client:
        assert counts(await client.customers.sync(customers(2), state=path)) == (0, 0, 0, 2)
    async with sandbox.client() as client:
        with pytest.raises(
            SyncStateError, match="of the project .* not of other: use another file"
        ) as caught:
            await client.customers.sync(customers(2), state=path, project="other")
        assert (caught.value.reason, caught.value.path) == ("other_project", str(path))
        assert pickle.loads(pickle.dumps(caught.value)).reason == "other_project"
        token = (await client.oauth.create_token()).access_token
    async with sandbox.client(auth=OAuthToken(token)) as client:
        with pytest.raises(ValueError, match="^project is required with a state file"):
            await client.customers.sync(customers(2), state=path)


async def test_one_sync_at_a_time(quick: VoucherifyClient, path: Path) -> None:
    async def source() -> AsyncGenerator[Any]:
        yield {"source_id": "a"}
        with pytest.raises(SyncStateError, match="another sync is using it") as caught:
            await quick.customers.sync([], state=path)
        assert caught.value.reason == "in_use"

    assert (await quick.customers.sync(source(), state=path)).succeeded == 1
    assert (await quick.customers.sync(customers(1), state=path)).succeeded == 1


@pytest.mark.parametrize("content", [b"id,name\n" * 1_000, b"\0" * 5_000], ids=["CSV", "zeros"])
def test_other_files_are_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    async def use() -> None:
        async with SyncState(path, project="p", kinds=["k"]):
            pass

    with pytest.raises(SyncStateError) as caught:
        asyncio.run(use())
    assert caught.value.reason == "damaged"
    assert path.read_bytes() == content


async def test_an_empty_file_is_a_state_only_for_a_sync(quick: VoucherifyClient, path: Path) -> None:
    path.touch()  # noqa: ASYNC240  # nothing else runs in this loop
    with pytest.raises(SyncStateError, match="not a state file"):
        await quick.customers.delete_missing(path)
    assert (await quick.customers.sync(customers(1), state=path)).sent == 1


async def test_a_file_that_cannot_be_written(quick: VoucherifyClient, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "state"):
        with pytest.raises(SyncStateError) as caught:
            await quick.customers.sync([], state=path)
        assert caught.value.reason == "unwritable"


async def test_damage_is_told_or_does_no_harm(sandbox: Sandbox, quick: VoucherifyClient, path: Path) -> None:
    source = customers(300)
    await quick.customers.sync(source, state=path)
    content, chance, reasons = whole(path), random.Random(5), Counter[str]()
    for _ in range(250):
        damaged(path, content, chance)
        try:
            report = await quick.customers.sync(source, state=path)
        except SyncStateError as error:
            reasons[error.reason] += 1
        else:
            add_up(report)
            assert report.succeeded + report.unchanged == 300
    assert set(reasons) <= {"damaged", "other_project", "other_kind"}
    assert 0 < reasons["damaged"] < 250
    assert held(sandbox) == applied(source)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": 5}, "^state must be a path"),
        ({"state": ""}, "^state must not be empty"),
        ({"state": "a", "full": 1}, "^full must be True or False"),
        ({"state": "a", "project": ""}, "^project must be a non-empty string"),
    ],
)
async def test_options_that_make_no_sense(voucherify: VoucherifyClient, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        await voucherify.customers.sync([], **options)


# ---------------------------------------------------------------- found by breaking it


@pytest.mark.parametrize("way", ["refused", "cancelled"])
async def test_deletions_that_were_interrupted_are_not_taken_for_unchanged(
    sandbox: Sandbox, path: Path, way: str
) -> None:
    async with sandbox.client() as client:
        await client.customers.sync(customers(40), state=path)
        await client.customers.sync(customers(20), state=path)
        if way == "refused":
            sandbox.faults = Faults(status={409: 0.1})
            with pytest.raises(ConflictError):
                await client.customers.delete_missing(path, max_share=1)
            sandbox.faults = Faults()
        else:
            sandbox.requests.clear()
            deleting = asyncio.create_task(client.customers.delete_missing(path, max_share=1))
            while len(sandbox.requests) < 5:  # noqa: ASYNC110  # it sets no event
                await asyncio.sleep(0)
            deleting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await deleting
        await client.customers.sync(customers(40), state=path)
    assert held(sandbox) == applied(customers(40))


async def test_a_customer_that_no_path_can_name_stays_missing(
    sandbox: Sandbox, quick: VoucherifyClient, path: Path
) -> None:
    await quick.customers.sync([{"source_id": ".."}, *customers(3)], state=path)
    await quick.customers.sync(customers(1), state=path)
    assert await quick.customers.delete_missing(path, max_share=1) == 2
    assert await quick.customers.delete_missing(path, max_share=1) == 0
    assert set(held(sandbox)) == {"..", "crm-0"}


@pytest.mark.parametrize("count", [5, 60])
async def test_failed_items_are_no_whole_source(
    sandbox: Sandbox, quick: VoucherifyClient, path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Also where they are read from the file that the second sync uses."""
    monkeypatch.setattr("voucherify_async._sync.report._MAX_FAILURES", 50)
    with monkeypatch.context() as patch:
        refuse(patch, lambda source_id: source_id != "crm-0")
        report = await quick.customers.sync(customers(count), state=path)
    assert (report.failed, report.omitted) == (count - 1, max(0, count - 51))
    again = await quick.customers.sync(report.failed_items(), state=path)
    assert (again.succeeded, again.missing) == (count - 1, None)
    assert held(sandbox) == applied(customers(count))


async def test_what_the_service_refuses_after_a_doubt_does_not_come_back(
    sandbox: Sandbox, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request was applied by a slow job; its repetition is refused, and its halves are sent."""
    sandbox.quirks = Quirks(parallel_jobs=True)
    source = customers(2)
    async with (
        fault_proxy(sandbox.base_url, [ResetAfter()]) as proxy,
        sandbox.client(base_url=proxy.base_url, retry=RetryPolicy(attempts=1)) as client,
        skipping_clock(client, sandbox),
    ):
        schedule = sandbox.store.schedule

        def slow_at_first(*facts: Any) -> Job:
            sandbox.store.job_seconds = 0.0 if sandbox.store.jobs else 60.0
            return schedule(*facts)

        def refuse_second(_: object, body: bytes) -> None:
            if body.count(b"source_id") == 2 and sandbox.store.jobs:
                raise ApiError(400, "invalid_payload", "not both")

        monkeypatch.setattr(sandbox.store, "schedule", slow_at_first)
        before_answers(monkeypatch, sandbox, refuse_second)
        first = await client.customers.sync(
            [*source, *customers(2, name="new")], max_body_items=2, state=path, project="p"
        )
        add_up(first)
        report = await client.customers.sync(customers(2, name="new"), state=path, project="p")
    assert report.unchanged == 2
    assert held(sandbox) == applied(customers(2, name="new"))


async def test_the_timeout_covers_the_file(
    quick: VoucherifyClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    asyncio.get_running_loop().call_later(0.02, goes_on.set)  # later than the timeout
    on_opening(monkeypatch, lambda _: goes_on.wait())
    with pytest.raises(SyncTimeoutError) as caught:
        await quick.customers.sync(customers(3), state=path, timeout=0.01)
    assert caught.value.report is not None
    assert caught.value.report.read == 0
    monkeypatch.undo()
    assert (await quick.customers.sync(customers(3), state=path)).succeeded == 3


async def test_the_loop_goes_on_while_a_cancelled_sync_opens_its_file(
    quick: VoucherifyClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, goes_on = threading.Event(), threading.Event()

    def stuck(state: SyncState, path: str, database: sqlite3.Connection) -> None:
        opening.set()
        assert goes_on.wait(30)

    monkeypatch.setattr(SyncState, "_prepare", stuck)
    task = asyncio.create_task(quick.customers.sync(customers(3), state=path))
    await asyncio.to_thread(opening.wait)
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    goes_on.set()  # by the event loop, which a blocking close would have stopped
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_file_that_becomes_unwritable_keeps_the_report(
    quick: VoucherifyClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(state: SyncState, *_: object) -> None:
        raise SyncStateError("state: it cannot be written", reason="unwritable", path="x")

    monkeypatch.setattr(SyncState, "record_sending", full)
    monkeypatch.setattr(SyncState, "record_failures", full)
    with pytest.raises(SyncStateError) as caught:
        await quick.customers.sync([{}, *customers(3)], state=path)
    assert caught.value.report is not None
    assert caught.value.report.invalid == 1


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"state"


@pytest.mark.parametrize(
    "state",
    [BytesPath(), "/tmp/\ud800", b"state", "a\0b"],
    ids=["bytes path", "surrogate", "bytes", "null"],
)
async def test_what_is_no_path(voucherify: VoucherifyClient, state: Any) -> None:
    for call in (voucherify.customers.sync([], state=state), voucherify.customers.delete_missing(state)):
        with pytest.raises(ValueError, match="^state must be a path"):
            await call


async def test_a_name_that_is_too_long(voucherify: VoucherifyClient, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    for call in (voucherify.customers.sync([], state=path), voucherify.customers.delete_missing(path)):
        with pytest.raises(SyncStateError) as caught:
            await call
        assert caught.value.reason == "unwritable"


async def test_a_lost_request_of_an_earlier_sync_does_not_come_back(
    sandbox: Sandbox, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slow job is still open when the job of its repetition, which is on record, has ended."""
    sandbox.quirks, sandbox.store.job_seconds_per_item = Quirks(parallel_jobs=True), 0
    clock = sandbox.store.clock = FakeClock(1_800_000_000.0)
    schedule = sandbox.store.schedule

    def slow_at_first(*facts: Any) -> Job:
        sandbox.store.job_seconds = 5.0 if sandbox.store.jobs else 60.0
        return schedule(*facts)

    monkeypatch.setattr(sandbox.store, "schedule", slow_at_first)
    async with fault_proxy(sandbox.base_url, [ResetAfter()]) as proxy:
        async with sandbox.client(base_url=proxy.base_url, retry=HASTE) as client:
            sync = asyncio.create_task(client.customers.sync(customers(3), state=path, project="p"))
            while not any("/async-actions/" in request.path for request in sandbox.requests):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            sync.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sync
        assert len(sandbox.store.jobs) == 2
        clock.now += 10  # the second job has ended, and the first has not
        async with sandbox.client() as client:
            use_clock(client, clock)
            await client.customers.sync(customers(3, name="new"), state=path, project="p")
    clock.now += 100
    sandbox.store.advance()
    assert held(sandbox) == applied(customers(3, name="new"))


async def test_failures_that_are_not_named_leave_nothing_known(
    sandbox: Sandbox, quick: VoucherifyClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        answer_with(patch, sandbox, result={"done_count": 2, "failed_count": 1})
        report = await quick.customers.sync(customers(3), state=path)
    assert (report.succeeded, report.failed, report.failures[0].position) == (2, 1, None)
    assert counts(await quick.customers.sync(customers(3), state=path)) == (3, 3, 0, 0)


async def test_opening_is_interrupted_when_the_sync_is_cancelled(
    quick: VoucherifyClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What checks a large file takes seconds; this takes many."""
    opening, done = threading.Event(), threading.Event()

    def endless(database: sqlite3.Connection) -> None:
        opening.set()
        database.execute(f"WITH RECURSIVE n(x) AS ({numbers}) SELECT count(*) FROM n")
        done.set()

    numbers = f"SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {10**8}"

    with monkeypatch.context() as patch:
        on_opening(patch, endless)
        task = asyncio.create_task(quick.customers.sync(customers(3), state=path))
        await asyncio.to_thread(opening.wait)
        await asyncio.sleep(0.05)  # it may be before or in the statement
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not done.is_set()
    assert (await quick.customers.sync(customers(3), state=path)).succeeded == 3

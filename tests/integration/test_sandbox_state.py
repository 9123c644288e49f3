"""A sandbox that keeps what it holds over a restart."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.clocks import FakeClock
from tests.support.internals import database, saved_state
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._endpoints._event_data import event_json
from voucherify_async.sandbox._seed.seed import seed_customers
from voucherify_async.sandbox._store.jobs import BulkUpdate
from voucherify_async.sandbox._store.persistence import StateFile
from voucherify_async.sandbox._store.records import Record
from voucherify_async.sandbox._store.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def held(store: Store) -> dict[str, Any]:
    """Everything that a client could see, in the order in which it is kept."""
    store.advance()
    return {
        "customers": [
            (record.to_json(), [event_json(event) for event in record.activity],
             [redeemable.to_json() for redeemable in record.redeemables])
            for record in store.customers.values()
        ],
        "jobs": [(job.to_json(job.ends), job.result, job.work.report() if job.ended else None) for job in store.jobs.values()],
        "tokens": list(store.tokens.values()),
    }  # fmt: skip


async def test_everything_is_there_after_a_restart(path: Path) -> None:
    async with Sandbox(customers=60, seed=7, state=path) as sandbox, sandbox.client() as client:
        made = await client.customers.create(source_id="crm-1", metadata={"big": 2**70, "none": None})
        await client.customers.update("crm-1", name="Ada", address={"city": "London"})
        first = await client.customers.list(order="created_at")
        await client.customers.delete(first.items[0].id)
        await client.customers.delete_permanently(first.items[1].id)
        bulk: list[Any] = [{"source_id": "crm-2", "name": "Bob"}, {"source_id": "crm-3", "name": "Eve"}]
        receipt = await client.customers.update_in_bulk(bulk)
        await client.async_actions.wait(receipt.async_action_id)
        csv = await client.customers.import_csv(b"Source_id,Name\ncrm-4,Zoe\ncrm-5,\xc5\xbbaneta\n")
        await client.async_actions.wait(csv.async_action_id)
        kept = await client.oauth.create_token()
        revoked = await client.oauth.create_token()
        await client.oauth.revoke_token(revoked.access_token)
        before = held(sandbox.store)
    async with Sandbox(customers=5, seed=1, state=path) as sandbox, sandbox.client() as client:
        assert held(sandbox.store) == before
        assert len(before["customers"]) == 60 + 5 - 2
        assert (await client.customers.get("crm-1")).id == made.id
        assert (await client.customers.get(made.id)).name == "Ada"
        job = await client.async_actions.get(receipt.async_action_id)
        assert job.status == "DONE"
        assert (await client.oauth.introspect_token(kept.access_token)).active
        assert not (await client.oauth.introspect_token(revoked.access_token)).active


async def test_ids_do_not_come_again(path: Path) -> None:
    ids: set[str] = set()
    for _ in range(3):
        async with Sandbox(seed=7, state=path) as sandbox, sandbox.client() as client:
            ids |= {(await client.customers.create(name="Ada")).id for _ in range(3)}
            assert len(sandbox.store.customers) == len(ids)
    assert len(ids) == 9


async def test_jobs_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits, and one of which a part is done."""
    monkeypatch.setattr("voucherify_async.sandbox._store.store._SLICE_SIZE", 100)
    clock = FakeClock(1000.0)
    async with (
        Sandbox(state=path, job_seconds=100.0, job_seconds_per_item=0) as sandbox,
        sandbox.client() as client,
    ):
        sandbox.store.clock = clock
        large: list[Any] = [{"source_id": f"a-{number}", "metadata": {"n": number}} for number in range(120)]
        first = await client.customers.update_in_bulk([*large, {"source_id": "bad", "name": "x"}])
        second = await client.customers.update_metadata_in_bulk(["b"], {"n": 1})
        clock.now = 1190.0
        assert (await client.async_actions.get(first.async_action_id)).status == "IN_PROGRESS"
        assert len(sandbox.store.customers) == 101
        before = sandbox.store.jobs[first.async_action_id].to_json(clock.now)["progress"]
    async with Sandbox(state=path) as sandbox, sandbox.client() as client:
        sandbox.store.clock = clock
        job = await client.async_actions.get(first.async_action_id)
        assert (job.status, job.progress) == ("IN_PROGRESS", before)
        clock.now = 1300.0
        for receipt in (first, second):
            assert (await client.async_actions.get(receipt.async_action_id)).status == "DONE"
        assert len(sandbox.store.customers) == 122
        report = sandbox.store.jobs[first.async_action_id].work.report()
        assert report is not None
        assert report.count("false,true") == 121


def create(settings: dict[str, str]) -> str:
    request = urllib.request.Request(
        f"{settings['VOUCHERIFY_BASE_URL']}/v1/customers",
        b"{}",
        {
            "Content-Type": "application/json",
            "X-App-Id": settings["VOUCHERIFY_APP_ID"],
            "X-App-Token": settings["VOUCHERIFY_APP_TOKEN"],
        },
    )
    with urllib.request.urlopen(request) as answer:
        made: str = json.load(answer)["id"]
    return made


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    program = [sys.executable, "-m", "voucherify_async.sandbox", "--port", "0", "--state", str(path)]
    made: set[str] = set()
    for _ in range(2):
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            out = [process.stdout.readline() for _ in range(5)]
            settings = dict(line.split("export ")[1].strip().split("=") for line in out if "export " in line)
            for _ in range(3):
                made.add(create(settings))
            process.send_signal(signal.SIGKILL)
    assert len(made) == 6
    with Sandbox(state=path) as sandbox:
        assert set(sandbox.store.customers) == made


def test_one_sandbox_at_a_time(path: Path) -> None:
    first = Sandbox(state=path)
    with pytest.raises(ValueError, match=r"^state: another sandbox uses .*: stop it, or name another file"):
        Sandbox(state=path)
    with first:
        pass
    with Sandbox(state=path):
        pass


async def test_a_closed_one_is_not_started_again(path: Path) -> None:
    sandbox = Sandbox(state=path)
    async with sandbox:
        pass
    await sandbox.aclose()
    with pytest.raises(RuntimeError, match="make a new one"):
        await sandbox.start()


def foreign(path: Path) -> None:
    path.write_bytes(b"id,name\n" * 1000)


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE customers (id)")
    database.close()


def other_version(path: Path) -> None:
    StateFile(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


@pytest.mark.parametrize("prepare", [foreign, other_database, other_version, os.mkdir])
def test_files_of_others_are_left_alone(path: Path, prepare: Callable[[Path], None]) -> None:
    prepare(path)
    content = path.read_bytes() if path.is_file() else None
    with pytest.raises(ValueError, match=r"^state: "):
        Sandbox(state=path)
    assert content is None or path.read_bytes() == content


def test_a_start_that_failed_leaves_nothing(path: Path, tmp_path: Path) -> None:
    bad = tmp_path / "customers.ndjson"
    bad.write_text('{"source_id": "a"}\n{"source_id": 5}\n')
    with pytest.raises(ValueError, match="line 2"):
        Sandbox(state=path, load=bad)
    bad.write_text('{"source_id": "a"}\n')
    with Sandbox(state=path, load=bad) as sandbox:
        assert [record.source_id for record in sandbox.store.customers.values()] == ["a"]


def test_what_could_not_be_kept_is_kept_later(path: Path) -> None:
    with Sandbox(customers=3, seed=7, state=path) as sandbox:
        state, store = saved_state(sandbox), sandbox.store
        database(state).execute("PRAGMA max_page_count = 1")  # as if the disk were full
        record = store.upsert({"source_id": "a", "description": "x" * 200_000})
        with pytest.raises(sqlite3.OperationalError, match="full"):
            state.save(store)
        database(state).execute("PRAGMA max_page_count = 1000000")
        state.save(store)
        before = held(store)
    with Sandbox(state=path) as sandbox:
        assert held(sandbox.store) == before
        assert record.id in sandbox.store.customers


def test_a_customer_that_comes_again_with_the_same_id(path: Path) -> None:
    with Sandbox(state=path) as sandbox:
        for number in range(5):
            sandbox.store.upsert({"id": "cust_1", "name": f"{number}"})
        saved_state(sandbox).save(sandbox.store)
        sandbox.store.remove(sandbox.store.get("cust_1"))
        sandbox.store.upsert({"id": "cust_1", "name": "new"})
        before = held(sandbox.store)
    with Sandbox(state=path) as sandbox:
        assert held(sandbox.store) == before
        assert len(sandbox.store.get("cust_1").activity) == 1


def reopened(path: Path, *, seed: int = 0, clock: FakeClock | None = None) -> tuple[StateFile, Store]:
    state, store = StateFile(path), Store(seed=seed, clock=clock or FakeClock(1000.0))
    state.load(store)
    state.begin(store)
    return state, store


ALONE: list[Callable[[Store], object]] = [
    lambda store: store.upsert({"source_id": "b"}),
    lambda store: store.update(store.get("a"), {"name": "Ada"}),
    lambda store: store.remove(store.get("a")),
    lambda store: store.record_event(store.get("a"), "customer.confirmed", store.now()),
    lambda store: store.put(Record(id="cust_1", source_id=None, created=store.now())),
    lambda store: store.schedule("CUSTOMERS.BULK_UPDATE", "v-1", BulkUpdate.of([])),
    lambda store: store.issue_token("api"),
    lambda store: store.revoke_token(next(iter(store.tokens.values()))),
]


@pytest.mark.parametrize("change", ALONE)
def test_each_change_is_kept_by_itself(path: Path, change: Callable[[Store], object]) -> None:
    state, store = reopened(path)
    store.upsert({"source_id": "a"})
    store.issue_token("api")
    state.save(store)
    before = held(store)
    change(store)
    after = held(store)
    assert after != before
    state.save(store)
    assert not store.changes
    state.close()
    state, store = reopened(path)
    assert held(store) == after
    state.close()


def test_a_job_that_ended_with_nothing_done_is_kept(path: Path) -> None:
    clock = FakeClock(1000.0)
    state, store = reopened(path, clock=clock)
    job = store.schedule("CUSTOMERS.BULK_UPDATE", "v-1", BulkUpdate.of([]))
    state.save(store)
    clock.now += 10
    store.advance()
    state.save(store)
    state.close()
    state, store = reopened(path, clock=clock)
    assert store.jobs[job.id].result == job.result is not None
    state.close()


def test_what_happened_is_kept_once_however_often_it_is_opened(path: Path) -> None:
    before = held(Store())
    for number in range(4):
        state, store = reopened(path)
        assert held(store) == before
        store.upsert({"source_id": "a", "name": f"{number}"})
        store.upsert({"source_id": "b"})
        state.save(store)
        before = held(store)
        assert len(store.get("a").activity) == number + 1
        state.close()


def test_a_change_that_cannot_be_kept_holds_up_none_of_the_others_later(path: Path) -> None:
    state, store = reopened(path)
    seed_customers(store, 30)  # with campaigns, which they share
    bad = store.upsert({"source_id": "b"})
    bad.metadata = {"f": lambda: 0}
    for _ in range(2):
        with pytest.raises(TypeError, match="function"):
            state.save(store)
    bad.metadata = None
    state.save(store)
    before = held(store)
    state.close()
    state, store = reopened(path)
    assert held(store) == before
    state.close()


def test_the_seed_has_the_same_say_with_a_state(path: Path, tmp_path: Path) -> None:
    def ids(seed: int, path: Path) -> list[str]:
        state, store = reopened(path, seed=seed)
        made = [record.id for record in store.burst(3)]
        state.close()
        return made

    assert ids(7, path) == [record.id for record in Store(seed=7).burst(3)]
    again = ids(7, path)
    assert ids(7, tmp_path / "same") != again == ids(7, tmp_path / "same")
    assert ids(8, tmp_path / "other") != ids(8, tmp_path / "other") != again


@pytest.mark.parametrize(
    "statements",
    ["CREATE TABLE t (id); PRAGMA user_version = 2", "PRAGMA application_id = 5; PRAGMA user_version = 2"],
)
def test_databases_of_others_with_the_same_version(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(statements)
    with pytest.raises(ValueError, match="is not a file of the sandbox$"):
        StateFile(path)


def test_a_file_that_is_refused_is_let_go_of(path: Path) -> None:
    other_version(path)
    with pytest.raises(ValueError, match="by a newer version") as caught:
        StateFile(path)
    with closing(sqlite3.connect(path, timeout=0)) as database:
        database.execute("PRAGMA user_version = 2")
    assert caught.value.__traceback__ is not None  # holds on to everything that it has passed
    StateFile(path).close()


def test_what_is_written_does_not_grow_with_what_has_happened(path: Path) -> None:
    state, store = reopened(path)
    record = store.upsert({"source_id": "a"})
    sizes: list[int] = []
    for number in range(20):
        store.update(record, {"name": f"{number:09}"})
        state.save(store)
        for table in ("customers", "activity"):
            query = f"SELECT length(body) FROM {table} ORDER BY rowid DESC"
            sizes += database(state).execute(query).fetchone()
    assert sum(sizes[-2:]) < 2 * sum(sizes[:2])
    state.close()


def test_a_job_that_somebody_took_out_is_not_kept(path: Path) -> None:
    state, store = reopened(path)
    store.schedule("CUSTOMERS.BULK_UPDATE", "v-1", BulkUpdate.of([]))
    store.jobs.clear()
    state.save(store)
    state.close()
    state, store = reopened(path)
    assert not store.jobs
    state.close()

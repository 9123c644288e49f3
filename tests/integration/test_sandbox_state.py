"""A sandbox that keeps what it holds over a restart."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox.activity import show
from voucherify_async.sandbox.state import State
from voucherify_async.sandbox.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def held(store: Store) -> dict[str, Any]:
    """Everything that a client could see, in the order in which it is kept."""
    store.advance()
    return {
        "customers": [
            (record.to_json(), [show(event) for event in record.activity],
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


async def test_jobs_go_on(path: Path) -> None:
    """One that waits, and one of which a part is done."""
    now = 1000.0
    async with (
        Sandbox(state=path, job_seconds=100.0, job_seconds_per_item=0) as sandbox,
        sandbox.client() as client,
    ):
        sandbox.store.clock = lambda: now
        large: list[Any] = [
            {"source_id": f"a-{number}", "metadata": {"n": number}} for number in range(12_000)
        ]
        first = await client.customers.update_in_bulk([*large, {"source_id": "bad", "name": "x"}])
        second = await client.customers.update_metadata_in_bulk(["b"], {"n": 1})
        now = 1190.0
        assert (await client.async_actions.get(first.async_action_id)).status == "IN_PROGRESS"
        assert len(sandbox.store.customers) == 10_001
        before = sandbox.store.jobs[first.async_action_id].to_json(now)["progress"]
    async with Sandbox(state=path) as sandbox, sandbox.client() as client:
        sandbox.store.clock = lambda: now
        job = await client.async_actions.get(first.async_action_id)
        assert (job.status, job.progress) == ("IN_PROGRESS", before)
        now = 1300.0
        for receipt in (first, second):
            assert (await client.async_actions.get(receipt.async_action_id)).status == "DONE"
        assert len(sandbox.store.customers) == 12_002
        report = sandbox.store.jobs[first.async_action_id].work.report()
        assert report is not None
        assert report.count("false,true") == 12_001


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
    with pytest.raises(ValueError, match=r"^state: cannot keep anything in .*: database is locked"):
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
    State(path).close()
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
        state, store = sandbox._state, sandbox.store
        assert state is not None
        state._database.execute("PRAGMA max_page_count = 1")  # as if the disk were full
        record = store.upsert({"source_id": "a", "description": "x" * 200_000})
        with pytest.raises(sqlite3.OperationalError, match="full"):
            state.save(store)
        state._database.execute("PRAGMA max_page_count = 1000000")
        state.save(store)
        before = held(store)
    with Sandbox(state=path) as sandbox:
        assert held(sandbox.store) == before
        assert record.id in sandbox.store.customers


class Evil:
    def __reduce__(self) -> Any:
        return subprocess.call, ("true",)


def test_a_file_runs_nothing(path: Path) -> None:
    with Sandbox(customers=1, state=path):
        pass
    with sqlite3.connect(path) as database:
        database.execute("UPDATE customers SET body = ?", (pickle.dumps(Evil()),))
    database.close()
    with pytest.raises(ValueError, match=r"^state: .* holds something else than a sandbox keeps"):
        Sandbox(state=path)


def test_a_customer_that_comes_again_with_the_same_id(path: Path) -> None:
    with Sandbox(state=path) as sandbox:
        for number in range(5):
            sandbox.store.upsert({"id": "cust_1", "name": f"{number}"})
        assert sandbox._state is not None
        sandbox._state.save(sandbox.store)
        sandbox.store.remove(sandbox.store.get("cust_1"))
        sandbox.store.upsert({"id": "cust_1", "name": "new"})
        before = held(sandbox.store)
    with Sandbox(state=path) as sandbox:
        assert held(sandbox.store) == before
        assert len(sandbox.store.get("cust_1").activity) == 1

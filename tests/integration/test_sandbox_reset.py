"""`Sandbox.reset` and `POST /-/reset`: the sandbox is as it was when it was created, as tests want it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.wire import raw_server, respond
from voucherify_async import NotFoundError, VoucherifyClient
from voucherify_async.sandbox import Faults, Quirks, Quota, Sandbox, Segment
from voucherify_async.sandbox._store.records import Record


def shown(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [record.to_json() for record in sandbox.store.customers.values()]


async def use(sandbox: Sandbox, client: VoucherifyClient) -> str:
    """Change and delete customers, start a job, and issue a token, which is returned."""
    first, second = (await client.customers.list(limit=2)).items
    await client.customers.update(first.id, name="Eve")
    await client.customers.delete_permanently(second.id)
    await client.customers.create(source_id="crm-1")
    await client.customers.update_in_bulk([{"source_id": "crm-2"}])
    return (await client.oauth.create_token()).access_token


async def reset_over_http(sandbox: Sandbox, body: str = "{}") -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(sandbox.base_url) as http,
        http.post("/-/reset", data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


@pytest.mark.parametrize("over_http", [True, False])
async def test_the_data_are_those_of_the_start(over_http: bool) -> None:
    async with Sandbox(customers=30, seed=7, job_seconds=3600) as sandbox, sandbox.client() as client:
        before = shown(sandbox)
        token = await use(sandbox, client)
        sandbox.fail_next("customers.create", status=409)
        assert shown(sandbox) != before
        if over_http:
            status, settings = await reset_over_http(sandbox)
            assert (status, settings["failures"]) == (200, [])
        else:
            sandbox.reset()
        assert shown(sandbox) == before
        assert (sandbox.store.jobs, sandbox.store.tokens, sandbox.planned_failures) == ({}, {}, ())
        assert sandbox.store.next_job_end is None
        assert (len(sandbox.requests), sandbox.requests.seen) == (0, 0)
        with pytest.raises(NotFoundError):
            await client.customers.get("crm-1")
        assert not (await client.oauth.introspect_token(token)).active
        listed = await client.customers.list().to_list()
        assert sorted(item.id for item in listed) == sorted(sandbox.store.customers)
        assert [item.created_at for item in listed] == sorted(
            (item.created_at for item in listed if item.created_at), reverse=True
        )


async def test_the_same_calls_get_the_same_ids_and_faults_again() -> None:
    async def calls(sandbox: Sandbox) -> list[Any]:
        keys = {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token}
        async with aiohttp.ClientSession(sandbox.base_url, headers=keys) as http:
            given = []
            for number in range(12):
                async with http.post("/v1/customers", json={"source_id": f"crm-{number}"}) as answer:
                    given.append((await answer.json()).get("id"))
        return given

    async with Sandbox(seed=3, faults=Faults(status={500: 0.5})) as sandbox:
        first = await calls(sandbox)
        sandbox.reset()
        assert await calls(sandbox) == first
        assert 0 < first.count(None) < 12


async def test_the_settings_are_those_of_the_start() -> None:
    london = Segment(id="seg_london", city="London")
    faults, quirks = Faults(status={503: 0.5}), Quirks(parallel_jobs=True)
    async with Sandbox(
        latency=(0.0, 0.001),
        faults=faults,
        rate_limit=Quota(9),
        quirks=quirks,
        job_seconds=1,
        segments=[london],
    ) as sandbox:
        store = sandbox.store
        sandbox.latency, sandbox.faults, sandbox.rate_limit, sandbox.quirks = 3600, Faults(), 1, Quirks()
        store.job_seconds = store.job_seconds_per_item = 7
        store.segments.clear()
        sandbox.reset()
        assert sandbox.store is store
        given: list[Any] = [sandbox.latency, sandbox.faults, sandbox.rate_limit]
        assert given == [(0.0, 0.001), faults, Quota(9)]
        assert (sandbox.quirks, store.job_seconds, store.job_seconds_per_item) == (quirks, 1, 0.000_01)
        assert store.segments == [london]


async def test_counted_calls_are_forgotten() -> None:
    async with Sandbox(rate_limit=1) as sandbox, sandbox.client() as client:
        await client.customers.list()
        sandbox.reset()
        async with sandbox.client() as another:
            await another.customers.list()
        assert [exchange.status for exchange in sandbox.requests] == [200]


async def test_a_stale_connection_is_no_longer_reset(sandbox: Sandbox) -> None:
    sandbox.faults = Faults(stale_keepalive=1)
    async with aiohttp.ClientSession(sandbox.base_url) as http:
        async with http.get("/v1/customers"):
            pass
        sandbox.reset()
        async with http.post("/v1/customers") as answer:  # aiohttp does not repeat this one
            assert answer.status == 401
    assert [exchange.fault for exchange in sandbox.requests] == [None]


async def test_a_loaded_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "customers.ndjson"
    file.write_text('{"source_id": "crm-1", "name": "Ada"}\n')
    async with Sandbox(load=file) as sandbox:
        (ada,) = shown(sandbox)
        file.write_text('{"source_id": "crm-1", "name": "Eve"}\n')
        sandbox.reset()
        (eve,) = shown(sandbox)
        assert (ada["name"], eve["name"]) == ("Ada", "Eve")
        file.write_text("no JSON\n")
        sandbox.fail_next("customers.list")
        status, answer = await reset_over_http(sandbox)
        assert status == 500
        assert "customers.ndjson" in answer["message"]
        assert (shown(sandbox), len(sandbox.planned_failures)) == ([eve], 1)  # all or nothing
        file.unlink()
        assert (await reset_over_http(sandbox))[0] == 500


async def test_a_state_file_is_reset_too(tmp_path: Path) -> None:
    path = tmp_path / "state"
    options: Any = {"customers": 30, "seed": 7, "state": path}
    async with Sandbox(**options) as sandbox, sandbox.client() as client:
        await use(sandbox, client)
    async with Sandbox(**options) as sandbox, sandbox.client() as client:
        await use(sandbox, client)
        await reset_over_http(sandbox)
        kept = shown(sandbox)
        assert kept == shown(Sandbox(30, seed=7))
        await client.customers.create(source_id="crm-9")
    with contextlib.closing(sqlite3.connect(path)) as database:
        counts = [
            database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("customers", "jobs", "tokens")
        ]
    assert counts == [31, 0, 0]
    async with Sandbox(state=path) as sandbox:
        assert shown(sandbox)[:-1] == kept
        assert shown(sandbox)[-1]["source_id"] == "crm-9"
        activity = {record.id: len(record.activity) for record in sandbox.store.customers.values()}
    original = Sandbox(30, seed=7).store.customers
    assert {key: activity[key] for key in original} == {
        key: len(record.activity) for key, record in original.items()
    }


async def test_a_state_file_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "state"
    async with Sandbox(state=path) as sandbox, sandbox.client() as client:
        await client.customers.create(source_id="crm-1")
        (hidden := tmp_path / "hidden").symlink_to(path)
        path.rename(tmp_path / "moved")
        status, answer = await reset_over_http(sandbox)
        assert (status, "was deleted" in answer["message"]) == (500, True)
        (tmp_path / "moved").rename(path)
        assert hidden.exists()
        sandbox.reset()  # tries again
    async with Sandbox(state=path) as sandbox:
        assert not sandbox.store.customers
    with pytest.raises(RuntimeError, match="was closed"):
        sandbox.reset()


@pytest.mark.parametrize(
    ("body", "status"), [("", 200), ("{}", 200), ("[]", 400), ('{"customers": 5}', 400), ("{", 400)]
)
async def test_the_body_of_the_request(sandbox: Sandbox, body: str, status: int) -> None:
    sandbox.store.burst(1)
    assert (await reset_over_http(sandbox, body))[0] == status
    assert len(sandbox.store.customers) == (status == 400)


async def test_pending_webhooks_are_dropped() -> None:
    """One that is being sent, and one that waits behind it."""
    arrived, go = asyncio.Event(), asyncio.Event()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await go.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(receive, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with Sandbox(webhooks=url, webhook_secret="s") as sandbox, sandbox.client() as client:
            for number in range(2):
                await client.customers.create(source_id=f"crm-{number}")
            await arrived.wait()
            dropped = list(sandbox.webhook_deliveries)
            sandbox.reset()
            assert not sandbox.webhook_deliveries
            go.set()
            await client.customers.create(source_id="crm-2")
            await sandbox.webhooks_delivered()
            (delivery,) = sandbox.webhook_deliveries
            assert delivery.delivered
            assert [(each.state, each.error) for each in dropped] == [("failed", "the sandbox was reset")] * 2


async def test_a_reset_sends_no_webhooks() -> None:
    async with raw_server(respond(204, b"")) as receiver:
        settings: Any = {"webhooks": receiver.base_url, "webhook_secret": "s"}
        async with Sandbox(5, **settings) as sandbox:
            sandbox.reset()
            await sandbox.webhooks_delivered()
            assert not sandbox.webhook_deliveries
        assert not receiver.requests


def test_from_another_thread() -> None:
    threads: list[int] = []

    class Customers(dict[str, Record]):
        def clear(self) -> None:
            threads.append(threading.get_ident())
            super().clear()

    with Sandbox(customers=3, seed=7) as sandbox:
        sandbox.store.customers = Customers(sandbox.store.customers)
        ids = list(sandbox.store.customers)
        sandbox.store.burst(1)
        sandbox.reset()
        assert list(sandbox.store.customers) == ids
    assert threads
    assert threads[0] != threading.get_ident()
    sandbox.store.burst(1)
    sandbox.reset()  # while it is not running
    assert list(sandbox.store.customers) == ids

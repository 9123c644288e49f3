"""The sandbox's faults and limits as a client in any language meets them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from yarl import URL

from tests.support.clocks import use_clock
from tests.support.internals import open_connections, stale_connections, stalled_requests
from tests.support.loops import until
from voucherify_async import ConnectionFailedError, ReadTimeoutError, RetryPolicy, ServerError
from voucherify_async.sandbox import Exchange, Quota, Sandbox
from voucherify_async.sandbox._http import server
from voucherify_async.sandbox._http.faults import Faults

KEYS = "X-App-Id: sandbox-app-id\r\nX-App-Token: sandbox-app-token\r\n"


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Faults are no news: neither aiohttp nor the sandbox has anything to say of them."""
    yield
    assert not [record for record in caplog.get_records("call") if record.name != "voucherify_async"]


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, method: str, path: str, body: bytes = b"", *, headers: str = KEYS) -> None:
        kind = "Content-Type: application/json\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{kind}{headers}\r\n"
        self.writer.write(head.encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        status, headers = await self.head()
        body = await self.reader.readexactly(int(headers.get("Content-Length", 0)))
        return status, headers, json.loads(body) if body else None

    async def is_reset(self) -> bool:
        try:
            assert await self.reader.read() == b""
        except ConnectionResetError:
            return True
        return False


@asynccontextmanager
async def connected(sandbox: Sandbox) -> AsyncGenerator[Connection, None]:
    url = URL(sandbox.base_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()


def customer(number: int) -> bytes:
    return json.dumps({"source_id": f"crm-{number}"}).encode()


def facts(exchange: Exchange) -> tuple[str | None, int, bytes]:
    return exchange.fault, exchange.status, exchange.response_body


async def test_reset() -> None:
    async with Sandbox(faults=Faults(reset=1.0)) as sandbox:
        for number in range(20):
            async with connected(sandbox) as client:
                client.send("POST", "/v1/customers", customer(number))
                assert await client.is_reset()
        # Some took effect, some did not: nobody can tell which.
        assert 0 < len(sandbox.store.customers) < 20
        assert [facts(exchange) for exchange in sandbox.requests] == [("reset", 0, b"")] * 20
        assert [exchange.request_body for exchange in sandbox.requests] == [customer(n) for n in range(20)]
        assert not any(exchange.response_headers for exchange in sandbox.requests)


async def test_truncate() -> None:
    async with Sandbox(faults=Faults(truncate=1.0)) as sandbox:
        async with connected(sandbox) as client:
            client.send("POST", "/v1/customers", customer(1))
            status, headers = await client.head()
            part = await client.reader.read()
        assert (status, headers.get("Connection")) == (200, None)
        assert 0 < len(part) < int(headers["Content-Length"])
        assert part.startswith(b'{"id":"cust_')
        assert len(sandbox.store.customers) == 1
        assert facts(sandbox.requests[-1]) == ("truncate", 200, part)


async def test_truncate_where_there_is_no_body() -> None:
    async with Sandbox() as sandbox:
        async with sandbox.client() as voucherify:
            await voucherify.customers.create(source_id="a")
        sandbox.faults = Faults(truncate=1.0)
        for method in ("DELETE", "HEAD"):
            async with connected(sandbox) as client:
                client.send(method, "/v1/customers/a")
                assert await client.is_reset()
            assert facts(sandbox.requests[-1]) == ("truncate", 0, b"")
        assert not sandbox.store.customers


async def test_stall() -> None:
    async with Sandbox(faults=Faults(stall=1.0)) as sandbox:
        for number in range(20):
            async with connected(sandbox) as client:
                client.send("POST", "/v1/customers", customer(number))
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.reader.read(1), 0.01)
        assert 0 < len(sandbox.store.customers) < 20
        assert [facts(exchange) for exchange in sandbox.requests] == [("stall", 0, b"")] * 20
        # Whoever stalls is done when the client has gone away.
        await until(lambda: not stalled_requests(sandbox))


async def test_a_client_that_closes_its_half_has_gone_away() -> None:
    async with Sandbox(faults=Faults(stall=1.0)) as sandbox, connected(sandbox) as client:
        client.send("GET", "/v1/customers")
        client.writer.write_eof()
        assert await client.reader.read() == b""


async def test_a_stall_ends_when_the_sandbox_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SHUTDOWN_SECONDS", 300)
    sandbox = Sandbox(faults=Faults(stall=1.0))
    await sandbox.start()
    async with connected(sandbox) as first, connected(sandbox) as second:
        for client in (first, second):
            client.send("GET", "/v1/customers")
        while len(sandbox.requests) < 2:  # noqa: ASYNC110  # a socket sets no event
            await asyncio.sleep(0.001)
        await sandbox.aclose()
        assert {await client.reader.read() for client in (first, second)} == {b""}


async def test_stale_keepalive() -> None:
    async with Sandbox(faults=Faults(stale_keepalive=1.0)) as sandbox:
        async with connected(sandbox) as client:
            client.send("POST", "/v1/customers", customer(1))
            status, headers, body = await client.answer()
            assert (status, body["source_id"], headers.get("Connection")) == (200, "crm-1", None)
            sandbox.faults = Faults()
            # Nothing but calls of the API is hit, not even now.
            client.send("GET", "/elsewhere")
            assert (await client.answer())[0] == 404
            client.send("POST", "/v1/customers", customer(2))
            assert await client.is_reset()
        assert len(sandbox.store.customers) == 1
        found = [(exchange.fault, exchange.status) for exchange in sandbox.requests]
        assert found == [("stale_keepalive", 200), (None, 404), ("stale_keepalive", 0)]
        async with connected(sandbox) as client:
            for _ in range(2):
                client.send("GET", "/v1/customers")
                assert (await client.answer())[0] == 200


async def test_dead_connections_are_not_remembered_for_ever() -> None:
    async with Sandbox(faults=Faults(stale_keepalive=1.0)) as sandbox:
        for _ in range(20):
            async with connected(sandbox) as client:
                client.send("GET", "/v1/customers")
                await client.answer()
        assert stale_connections(sandbox) < 10


@pytest.mark.parametrize("status", [400, 413, 418, 429, 500, 503, 599])
async def test_statuses(status: int) -> None:
    async with (
        Sandbox(faults=Faults(status={status: 1.0}), rate_limit=100) as sandbox,
        connected(sandbox) as client,
    ):
        body: Any = None
        for remaining in (99, 98):
            client.send("POST", "/v1/customers", customer(1))
            code, headers, body = await client.answer()
            assert code == status
            assert headers["X-Rate-Limit-Remaining"] == ("0" if status == 429 else str(remaining))
            assert headers.get("Retry-After") == ("1" if status == 429 else None)
            if status == 413:
                assert body["statusCode"] == 413
            else:
                assert (body["code"], body["request_id"]) == (status, headers["X-Request-Id"])
                assert body["key"]
        assert not sandbox.store.customers
        exchange = sandbox.requests[-1]
        assert (exchange.fault, exchange.status, json.loads(exchange.response_body)) == (
            "status",
            status,
            body,
        )


async def test_what_is_refused_already_is_not_refused_again() -> None:
    async with (
        Sandbox(faults=Faults(status={503: 1.0}), rate_limit=Quota(1, period=600)) as sandbox,
        connected(sandbox) as client,
    ):
        for wanted in (503, 429):
            client.send("GET", "/v1/customers")
            assert (await client.answer())[0] == wanted
        assert [exchange.fault for exchange in sandbox.requests] == ["status", None]
        assert int(sandbox.requests[-1].response_headers["Retry-After"]) > 1


async def test_nothing_but_calls_is_hit() -> None:
    async with Sandbox(faults=Faults(reset=1.0), latency=600) as sandbox, connected(sandbox) as client:
        for path in ("/elsewhere", "/v2/customers", "/V1/customers"):
            client.send("GET", path)
            assert (await client.answer())[0] == 404
        assert {exchange.fault for exchange in sandbox.requests} == {None}


async def test_the_same_seed_gives_the_same_faults() -> None:
    faults = Faults(reset=0.2, truncate=0.2, status={500: 0.1, 503: 0.1}, stale_keepalive=0.2)

    async def found(seed: int) -> list[tuple[str | None, int]]:
        async with Sandbox(seed=seed, faults=faults) as sandbox:
            for number in range(40):
                async with connected(sandbox) as client:
                    client.send("POST", "/v1/customers", customer(number))
                    with suppress(ConnectionResetError):
                        await client.reader.read(1)
            return [(exchange.fault, exchange.status) for exchange in sandbox.requests]

    first = await found(1)
    assert first == await found(1)
    assert first != await found(2)
    assert {fault for fault, _ in first} == {None, "reset", "truncate", "status", "stale_keepalive"}


class TestOurClient:
    async def test_it_gets_through(self) -> None:
        faults = Faults(reset=0.1, truncate=0.1, status={429: 0.05, 503: 0.1}, stale_keepalive=0.2)
        async with (
            Sandbox(faults=faults) as sandbox,
            sandbox.client(retry=RetryPolicy(attempts=12)) as client,
        ):
            use_clock(client)
            for number in range(60):
                await client.customers.create(source_id=f"crm-{number}", name="Ada")
                assert (await client.customers.get(f"crm-{number}")).name == "Ada"
            hits = Counter(exchange.fault for exchange in sandbox.requests)
        assert set(hits) == {None, "reset", "truncate", "status", "stale_keepalive"}

    async def test_what_it_says(self, sandbox: Sandbox) -> None:
        async with sandbox.client(retry=RetryPolicy(attempts=1)) as client:
            await client.customers.create(source_id="a")
            for faults, error in (
                (Faults(reset=1.0), ConnectionFailedError),
                (Faults(truncate=1.0), ConnectionFailedError),
                (Faults(status={503: 1.0}), ServerError),
            ):
                sandbox.faults = faults
                with pytest.raises(error):
                    await client.customers.get("a")

    async def test_a_stall_meets_its_timeout(self, sandbox: Sandbox) -> None:
        async with sandbox.client(timeout=0.05, retry=RetryPolicy(attempts=2)) as client:
            use_clock(client)
            sandbox.faults = Faults(stall=1.0)
            with pytest.raises(ReadTimeoutError):
                await client.customers.get("a")
        assert [exchange.fault for exchange in sandbox.requests] == ["stall"] * 2


async def test_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(server, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))

    async def ask(sandbox: Sandbox, times: int) -> list[float]:
        slept.clear()
        async with connected(sandbox) as client:
            for _ in range(times):
                client.send("GET", "/v1/customers")
                await client.answer()
        return list(slept)

    async with Sandbox(seed=4, latency=(0.05, 0.2)) as sandbox, Sandbox(seed=4, latency=(0.05, 0.2)) as other:
        found = await ask(sandbox, 50)
        assert found == await ask(other, 50)
        assert all(0.05 <= seconds <= 0.2 for seconds in found)
        assert max(found) - min(found) > 0.1
        sandbox.latency = 0.3
        assert await ask(sandbox, 2) == [0.3, 0.3]
        sandbox.latency = 0
        assert await ask(sandbox, 2) == []


async def test_another_rate_limit_counts_anew(sandbox: Sandbox) -> None:
    async with connected(sandbox) as client:
        for rate_limit, statuses in ((1, [200, 429]), (2, [200, 200, 429]), (None, [200, 200])):
            sandbox.rate_limit = rate_limit
            for status in statuses:
                client.send("GET", "/v1/customers")
                assert (await client.answer())[0] == status


# ---------------------------------------------------------------- limits


def lines(*headers: str) -> str:
    return KEYS + "".join(f"{header}\r\n" for header in headers)


TOO_MUCH: list[Any] = [
    pytest.param({"path": f"/v1/{'a' * 70_000}"}, id="a request line over 64 KiB"),
    pytest.param({"headers": lines("X-A: " + "a" * 70_000)}, id="a header over 64 KiB"),
    pytest.param({"headers": lines("X" * 70_000 + ": a")}, id="a name over 64 KiB"),
    pytest.param({"headers": lines(*["X-A: a"] * 200)}, id="200 headers"),
    pytest.param({"headers": lines(*["X-A: a"] * 20_000)}, id="20,000 headers"),
    pytest.param({"headers": lines(*["X-A: " + "a" * 10_000] * 7)}, id="headers over 64 KiB together"),
    pytest.param({"headers": lines("Content-Length: 1")}, id="two lengths"),
    pytest.param({"method": "\x16\x03\x01"}, id="not HTTP"),
]


@pytest.mark.parametrize("given", TOO_MUCH)
async def test_heads_that_are_too_much(sandbox: Sandbox, given: dict[str, Any]) -> None:
    async with connected(sandbox) as client:
        settings: dict[str, Any] = {"method": "GET", "path": "/v1/customers", **given}
        client.send(**settings)
        status, headers = await client.head()
        body = await client.reader.readexactly(int(headers["Content-Length"]))
        assert status == 400
        assert b"Traceback" not in body
    async with connected(sandbox) as client:  # it has survived
        client.send("GET", "/v1/customers")
        assert (await client.answer())[0] == 200


async def test_heads_that_are_long(sandbox: Sandbox) -> None:
    async with connected(sandbox) as client:
        client.send("GET", f"/v1/customers/{'a' * 60_000}", headers=lines("X-A: " + "a" * 60_000))
        assert (await client.answer())[0] == 404


@pytest.fixture
def _short_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LINGERING_SECONDS", 0.05)


@pytest.mark.usefixtures("_short_lingering")
class TestBodies:
    HEAD = f"POST /v1/customers/bulk/async HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{KEYS}"

    async def test_one_that_says_that_it_is_too_long_is_not_waited_for(self) -> None:
        async with Sandbox() as sandbox, connected(sandbox) as client:
            client.writer.write(f"{self.HEAD}Content-Length: {10**15}\r\n\r\n".encode())
            assert (await client.answer())[0] == 413
            assert await client.reader.read() == b""
            assert sandbox.requests[-1].request_body == b""

    async def test_an_endless_one_is_broken_off(self) -> None:
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        sent = 0

        async def send(writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            while True:
                writer.write(chunk)
                await writer.drain()
                sent += 65_536

        async with Sandbox() as sandbox, connected(sandbox) as client:
            client.writer.write(f"{self.HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
            sending = asyncio.create_task(send(client.writer))
            assert (await client.answer())[0] == 413
            with pytest.raises(ConnectionError):
                await sending
            assert sent > 10_485_760
            assert sandbox.requests[-1].request_body == b""

    async def test_one_that_is_broken_off(self, sandbox: Sandbox) -> None:
        async with connected(sandbox) as client:
            client.writer.write(f"{self.HEAD}Content-Length: 100\r\n\r\n[".encode())
            await client.writer.drain()
            client.writer.close()
        while not sandbox.requests:  # noqa: ASYNC110  # a socket sets no event
            await asyncio.sleep(0.001)
        assert sandbox.requests[-1].status == 400

    async def test_chunks_that_are_none(self, sandbox: Sandbox) -> None:
        async with connected(sandbox) as client:
            client.writer.write(f"{self.HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode())
            assert (await client.head())[0] == 400


class TestWhereItListens:
    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
    async def test_on_loopback(self, host: str) -> None:
        async with Sandbox(host=host) as sandbox, sandbox.client() as client:
            await client.customers.list()

    @pytest.mark.parametrize(
        ("host", "where"),
        [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")],
    )
    async def test_elsewhere(self, host: str, where: str, caplog: pytest.LogCaptureFixture) -> None:
        async with Sandbox(host=host) as sandbox, sandbox.client() as client:
            assert sandbox.base_url.startswith(f"http://{where}:")
            await client.customers.list()
        (record,) = caplog.records
        assert (record.name, record.levelname) == ("voucherify_async.sandbox", "WARNING")
        assert record.getMessage() == (
            f"listening on {host}: anyone who can reach this machine can read and change everything in the sandbox"
        )
        caplog.clear()


async def test_clients_that_went_away_in_a_stall_are_forgotten() -> None:
    async with Sandbox(faults=Faults(stall=1.0)) as sandbox:
        for _ in range(3):
            async with connected(sandbox) as client:
                client.send("GET", "/v1/customers")
                while not open_connections(sandbox) or len(sandbox.requests) < 1:  # noqa: ASYNC110  # a socket sets no event
                    await asyncio.sleep(0.001)
            sandbox.requests.clear()
        await until(lambda: not open_connections(sandbox))

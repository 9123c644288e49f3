"""The proxy that makes faults, as a plain socket sees it: what it says it does, it does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from tests.support.faults import (
    KINDS,
    BadGateway,
    BadGatewayAfter,
    CloseAfterAnswer,
    CloseBefore,
    CutBody,
    CutChunks,
    Fault,
    FaultProxy,
    Garbage,
    ResetAfter,
    ResetBefore,
    ResetInBody,
    ResetInHead,
    ResetNextRequest,
    Slow,
    StaleConnection,
    StallAfter,
    StallBefore,
    TooMany,
    Unavailable,
    WrongEncoding,
    WrongShape,
    fault_proxy,
    in_turn,
    random_plan,
    refusing,
)
from tests.support.loops import until
from tests.support.wire import raw_server, respond
from voucherify_async.sandbox import Sandbox

CLOSED, RESET = "closed", "reset"


class Seen(NamedTuple):
    """An answer as it came."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def header(self, name: bytes) -> bytes | None:
        lines = (line.partition(b":") for line in self.head.split(b"\r\n"))
        return next((value.strip() for key, _, value in lines if key.lower() == name.lower()), None)


class Line:
    """A connection as the system gives it. Its `recv` gives what came before a reset; a stream would not."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.loop = asyncio.get_running_loop()

    async def ask(
        self,
        method: str = "POST",
        target: str = "/v1/customers",
        body: bytes = b'{"name":"Ada"}',
        headers: str = "",
    ) -> bytes:
        length = "" if "chunked" in headers else f"Content-Length: {len(body)}\r\n"
        keys = "X-App-Id: sandbox-app-id\r\nX-App-Token: sandbox-app-token\r\n"
        content = "Content-Type: application/json\r\n" if body else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{keys}{content}{length}{headers}\r\n"
        await self.loop.sock_sendall(self.sock, head.encode() + body)
        return head.encode() + body

    async def to_the_end(self) -> tuple[bytes, str]:
        received = b""
        try:
            while part := await self.loop.sock_recv(self.sock, 65_536):
                received += part
        except ConnectionResetError:
            return received, RESET
        return received, CLOSED

    async def answer(self) -> Seen:
        received = b""
        while b"\r\n\r\n" not in received:
            received += await self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(Seen(head, b"").header(b"content-length") or 0)
        while len(body) < length:
            body += await self._more()
        return Seen(head, body)

    async def _more(self) -> bytes:
        part = await self.loop.sock_recv(self.sock, 65_536)
        assert part, "closed before the answer's end"
        return part


@asynccontextmanager
async def connected(base_url: str) -> AsyncGenerator[Line]:
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", int(base_url.rpartition(":")[2])))
        yield Line(sock)


async def arrived(proxy: FaultProxy, *, forwarded: bool) -> None:
    """Wait until the proxy has a request, and the sandbox, if it gets to see it."""
    await until(lambda: proxy.arrivals and proxy.arrivals[-1].forwarded is forwarded)


def cut_within_the_head(content: bytes) -> bool:
    return content.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\n\r\n" not in content


def cut_within_the_body(content: bytes) -> bool:
    head, _, body = content.partition(b"\r\n\r\n")
    return 0 < len(body) < int(Seen(head, b"").header(b"Content-Length") or 0)


def cut_within_chunks(content: bytes) -> bool:
    head, _, body = content.partition(b"\r\n\r\n")
    size, _, chunk = body.partition(b"\r\n")
    assert Seen(head, b"").header(b"Content-Length") is None
    assert Seen(head, b"").header(b"Transfer-Encoding") == b"chunked"
    return chunk.endswith(b"\r\n") and len(chunk) == int(size, 16) + 2


def whole(content: bytes) -> bool:
    head, _, body = content.partition(b"\r\n\r\n")
    assert Seen(head, b"").header(b"Connection") is None
    return len(body) == int(Seen(head, b"").header(b"Content-Length") or 0)


@pytest.mark.parametrize(
    ("fault", "looks", "ending"),
    [
        pytest.param(ResetBefore(), lambda content: not content, RESET, id="reset before"),
        pytest.param(CloseBefore(), lambda content: not content, CLOSED, id="closed before"),
        pytest.param(Garbage(b"\x00\xff"), lambda content: content == b"\x00\xff", CLOSED, id="garbage"),
        pytest.param(ResetAfter(), lambda content: not content, RESET, id="reset after"),
        pytest.param(ResetInHead(), cut_within_the_head, RESET, id="reset in the head"),
        pytest.param(ResetInBody(), cut_within_the_body, RESET, id="reset in the body"),
        pytest.param(CutBody(), cut_within_the_body, CLOSED, id="cut body"),
        pytest.param(CutChunks(), cut_within_chunks, CLOSED, id="cut chunks"),
        pytest.param(CloseAfterAnswer(), whole, CLOSED, id="closed after the answer"),
    ],
)
async def test_faults_that_end_the_connection(
    sandbox: Sandbox, fault: Fault, looks: Callable[[bytes], bool], ending: str
) -> None:
    async with fault_proxy(sandbox.base_url, [fault]) as proxy, connected(proxy.base_url) as line:
        await line.ask()
        content, how = await line.to_the_end()
    assert looks(content)
    assert how == ending
    assert len(sandbox.store.customers) == fault.forwarded


@pytest.mark.parametrize(
    ("fault", "status", "header", "body"),
    [
        pytest.param(BadGateway(), 502, (b"Content-Type", b"text/html"), b"<html>", id="502"),
        pytest.param(Unavailable(), 503, (b"Retry-After", None), b'{"code":503', id="503"),
        pytest.param(Unavailable(7), 503, (b"Retry-After", b"7"), b'{"code":503', id="503 and when"),
        pytest.param(TooMany(), 429, (b"Retry-After", None), b'{"code":429', id="429"),
        pytest.param(TooMany(0), 429, (b"Retry-After", b"0"), b'{"code":429', id="429 and when"),
        pytest.param(BadGatewayAfter(), 502, (b"Content-Type", b"text/html"), b"<html>", id="502 after"),
        pytest.param(WrongShape(), 200, (b"Content-Length", b"7"), b"[1,2,3]", id="wrong shape"),
        pytest.param(WrongEncoding(), 200, (b"Content-Encoding", b"gzip"), b'{"id":', id="wrong encoding"),
        pytest.param(None, 200, (b"Content-Encoding", None), b'{"id":', id="no fault"),
    ],
)
async def test_faults_that_keep_the_connection(
    sandbox: Sandbox, fault: Fault | None, status: int, header: tuple[bytes, bytes | None], body: bytes
) -> None:
    async with fault_proxy(sandbox.base_url, [fault]) as proxy, connected(proxy.base_url) as line:
        await line.ask()
        seen = await line.answer()
        held = len(sandbox.store.customers)
        await line.ask("GET", "/v1/customers", b"")
        following = await line.answer()
    assert seen.status == status
    assert seen.header(header[0]) == header[1]
    assert seen.body.startswith(body)
    assert held == (fault is None or fault.forwarded)
    assert following.status == 200
    assert proxy.connections == 1


@pytest.mark.parametrize("fault", [StallBefore(), StallAfter()])
async def test_a_stall_lasts_until_the_client_goes_away(sandbox: Sandbox, fault: Fault) -> None:
    async with fault_proxy(sandbox.base_url, [fault]) as proxy:
        async with connected(proxy.base_url) as line:
            await line.ask()
            await arrived(proxy, forwarded=fault.forwarded)
            line.sock.shutdown(socket.SHUT_WR)
            assert await line.to_the_end() == (b"", CLOSED)
        async with connected(proxy.base_url) as line:
            await line.ask()
            await arrived(proxy, forwarded=True)
            async with connected(proxy.base_url) as other:
                await other.ask()
                assert (await other.answer()).status == 200
    assert len(sandbox.store.customers) == 2 + fault.forwarded


async def test_a_stall_says_nothing(sandbox: Sandbox) -> None:
    async with fault_proxy(sandbox.base_url, [StallAfter()]) as proxy, connected(proxy.base_url) as line:
        await line.ask()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(line.to_the_end(), 0.1)


async def test_slow_bytes(sandbox: Sandbox) -> None:
    sandbox.store.upsert({"source_id": "a"})
    plan = [Slow(pause=0.000_5)]
    async with fault_proxy(sandbox.base_url, plan) as proxy, connected(proxy.base_url) as line:
        started = line.loop.time()
        await line.ask("DELETE", "/v1/customers/a", b"")
        seen = await line.answer()
        took = line.loop.time() - started
    assert seen.status == 204
    assert took > 0.000_5 * len(seen.head)


async def test_slow_bytes_end_when_the_client_goes_away(sandbox: Sandbox) -> None:
    async with fault_proxy(sandbox.base_url, [Slow(pause=0.001)]) as proxy:
        async with connected(proxy.base_url) as line:
            await line.ask()
            await arrived(proxy, forwarded=True)
        await until(lambda: proxy.idle)


async def test_a_connection_that_the_next_request_finds_dead(sandbox: Sandbox) -> None:
    async with fault_proxy(sandbox.base_url, [ResetNextRequest(), TooMany()]) as proxy:
        async with connected(proxy.base_url) as line:
            await line.ask(body=b'{"name":"first"}')
            assert (await line.answer()).status == 200
            await line.ask(body=b'{"name":"second"}')
            assert await line.to_the_end() == (b"", RESET)
        async with connected(proxy.base_url) as line:
            await line.ask(body=b'{"name":"third"}')
            assert (await line.answer()).status == 429
    assert [arrival.fault for arrival in proxy.arrivals] == [ResetNextRequest(), StaleConnection(), TooMany()]
    assert [arrival.forwarded for arrival in proxy.arrivals] == [True, False, False]
    assert [record.fields["name"] for record in sandbox.store.customers.values()] == ["first"]


@pytest.mark.parametrize("fault", KINDS, ids=repr)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_sandbox_sees_what_is_forwarded_and_nothing_else(
    sandbox: Sandbox, fault: Fault, method: str
) -> None:
    """Also where the answer has no body that could be cut."""
    sandbox.store.upsert({"source_id": "a"})
    async with fault_proxy(sandbox.base_url, [fault]) as proxy, connected(proxy.base_url) as line:
        body = {"POST": b'{"source_id":"a"}', "PUT": b'{"name":"Ada"}', "DELETE": b""}[method]
        target = "/v1/customers" if method == "POST" else "/v1/customers/a"
        await line.ask(method, target, body)
        await arrived(proxy, forwarded=fault.forwarded)
    assert len(sandbox.requests) == fault.forwarded
    (arrival,) = proxy.arrivals
    assert (arrival.number, arrival.connection, arrival.fault) == (1, 1, fault)
    assert (arrival.method, arrival.target, arrival.body) == (method, target, body)
    assert arrival.status == ((204 if method == "DELETE" else 200) if fault.forwarded else None)


class TestPassingOn:
    async def test_byte_for_byte(self) -> None:
        reply = respond(body=b'{"a":  "\xc3\xa9"}', headers=("X-odd:  \tvalue", "x-odd: again"))
        async with (
            raw_server(reply) as server,
            fault_proxy(server.base_url) as proxy,
            connected(proxy.base_url) as line,
        ):
            sent = await line.ask("PATCH", "/a%2Fb?c=%20", b"\x00\xff", headers="x-Odd:  1\r\n")
            seen = await line.answer()
        assert server.requests == [sent]
        assert seen.head + b"\r\n\r\n" + seen.body == reply

    async def test_a_body_in_chunks(self, sandbox: Sandbox) -> None:
        async with fault_proxy(sandbox.base_url) as proxy, connected(proxy.base_url) as line:
            body = b'8;x=1\r\n{"name":\r\n6\r\n"Ada"}\r\n0\r\nX-Trailer: 1\r\n\r\n'
            await line.ask(body=body, headers="Transfer-Encoding: chunked\r\n")
            assert b'"name":"Ada"' in (await line.answer()).body
            await line.ask("GET", "/v1/customers", b"")
            assert (await line.answer()).status == 200
        assert [arrival.body for arrival in proxy.arrivals] == [b'{"name":"Ada"}', b""]

    async def test_an_answer_in_chunks(self) -> None:
        reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        async with (
            raw_server(reply, None) as server,
            fault_proxy(server.base_url) as proxy,
            connected(proxy.base_url) as line,
        ):
            await line.ask()
            await arrived(proxy, forwarded=True)
            await line.ask()
            content, _ = await line.to_the_end()
        assert content == reply

    async def test_a_long_body_and_a_long_path(self, sandbox: Sandbox) -> None:
        async with fault_proxy(sandbox.base_url) as proxy, connected(proxy.base_url) as line:
            await line.ask(body=b'{"name":"%b"}' % (b"x" * 5_000_000))
            assert (await line.answer()).status == 200
            await line.ask("GET", f"/v1/customers/{'x' * 50_000}", b"")
            assert (await line.answer()).status == 404
        assert len(proxy.arrivals[0].body) == 5_000_011

    async def test_many_requests_on_each_connection(self, sandbox: Sandbox) -> None:
        async def talk(base_url: str) -> None:
            async with connected(base_url) as line:
                for _ in range(20):
                    await line.ask()
                    assert (await line.answer()).status == 200

        async with fault_proxy(sandbox.base_url) as proxy:
            await asyncio.gather(*(talk(proxy.base_url) for _ in range(10)))
        assert len(sandbox.store.customers) == 200
        assert [arrival.number for arrival in proxy.arrivals] == list(range(1, 201))
        assert {arrival.connection for arrival in proxy.arrivals} == set(range(1, 11))

    async def test_an_upstream_that_closes_its_connections(self) -> None:
        async with (
            raw_server(respond(headers=("Connection: close",))) as server,
            fault_proxy(server.base_url) as proxy,
            connected(proxy.base_url) as line,
        ):
            for _ in range(3):
                await line.ask()
                assert (await line.answer()).status == 200
                await asyncio.sleep(0.01)
        assert (server.connections, proxy.connections) == (3, 1)

    async def test_an_upstream_that_is_not_there(self) -> None:
        with refusing() as (base_url, _):
            async with fault_proxy(base_url) as proxy, connected(proxy.base_url) as line:
                await line.ask()
                assert await line.to_the_end() == (b"", CLOSED)
        assert [arrival.forwarded for arrival in proxy.arrivals] == [False]


class TestLeaving:
    @pytest.mark.parametrize("fault", [StallBefore(), StallAfter(), Slow(pause=60), None])
    async def test_nothing_is_left_running(self, sandbox: Sandbox, fault: Fault | None) -> None:
        def running() -> list[str]:
            names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
            return [name for name in names if name.startswith("FaultProxy")]

        async with (
            fault_proxy(sandbox.base_url, [fault]) as proxy,
            connected(proxy.base_url) as line,
            connected(proxy.base_url),
        ):
            await line.ask()
            await arrived(proxy, forwarded=fault is None or fault.forwarded)
            assert running()
        assert not running()

    async def test_open_connections_are_closed(self, sandbox: Sandbox) -> None:
        async with fault_proxy(sandbox.base_url, [StallBefore()]) as proxy:
            lines = [connected(proxy.base_url) for _ in range(2)]
            stalled, idle = [await line.__aenter__() for line in lines]
            await stalled.ask()
            await arrived(proxy, forwarded=False)
        assert (await stalled.to_the_end())[0] == b""
        assert (await idle.to_the_end())[0] == b""
        for line in lines:
            await line.__aexit__(None, None, None)

    async def test_a_defect_is_not_kept_quiet(self, sandbox: Sandbox) -> None:
        def plan(number: int) -> Fault | None:
            raise RuntimeError(f"no plan for {number}")

        with pytest.raises(RuntimeError, match="no plan for 1"):
            async with fault_proxy(sandbox.base_url, plan) as proxy, connected(proxy.base_url) as line:
                await line.ask()
                await line.to_the_end()


class TestPlans:
    def test_in_turn(self) -> None:
        plan = in_turn(CloseBefore(), None, ResetBefore())
        assert [plan(number) for number in range(1, 6)] == [CloseBefore(), None, ResetBefore(), None, None]

    def test_a_seed_gives_the_same_faults_whatever_the_order_of_the_questions(self) -> None:
        one, same, other = random_plan(7), random_plan(7), random_plan(8)
        numbers = range(1, 500)
        faults = [one(number) for number in numbers]
        assert faults == [same(number) for number in reversed(numbers)][::-1]
        assert faults != [other(number) for number in numbers]

    def test_the_rate_and_the_kinds(self) -> None:
        plan = random_plan(1, rate=0.25, kinds=[CutBody(), Slow(0.5)])
        faults = [plan(number) for number in range(4_000)]
        hit = [fault for fault in faults if fault is not None]
        assert 900 < len(hit) < 1_100
        assert set(hit) == {CutBody(), Slow(0.5)}
        assert set(map(random_plan(1), range(4_000))) == {None, *KINDS}


async def test_a_port_that_refuses_until_somebody_listens_there(sandbox: Sandbox) -> None:
    with refusing() as (base_url, sock):
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                async with connected(base_url):
                    pass
        async with fault_proxy(sandbox.base_url, sock=sock) as proxy:
            assert proxy.base_url == base_url
            async with connected(base_url) as line:
                await line.ask()
                assert (await line.answer()).status == 200

"""A TCP proxy before a sandbox that passes requests on and, where a plan says so, fails as networks do."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple
from urllib.parse import urlsplit

HOST: Final = "127.0.0.1"
_MAX_HEAD: Final = 1024 * 1024
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class Message(NamedTuple):
    """A request or an answer: its head up to the empty line, its body as it was sent, and what that says."""

    head: bytes
    sent: bytes
    body: bytes

    @property
    def whole(self) -> bytes:
        return self.head + self.sent

    @property
    def part(self) -> bytes:
        """The head and half of the body; half of the head where there is no body."""
        if self.body:
            return self.head + self.sent[: len(self.sent) // 2]
        return self.half_head

    @property
    def half_head(self) -> bytes:
        return self.head[: len(self.head) // 2]

    def head_with(self, line: bytes, *, without: bytes = b"\0") -> bytes:
        """The head with one more line, and without the header of this name."""
        first, *lines = self.head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        kept = [known for known in lines if not known.lower().startswith(without.lower() + b":")]
        return b"\r\n".join([first, *kept, line]) + b"\r\n\r\n"


@dataclass(slots=True)
class Arrival:
    """A request that arrived at the proxy.

    Attributes:
        number: Of the request, from 1.
        connection: The number of the client's connection that it came over, from 1.
        method: HTTP method.
        target: Path and query.
        body: The body, put together where it came in chunks.
        fault: What happened to it, if anything.
        forwarded: Whether the sandbox answered it.
        status: What the sandbox answered.
    """

    number: int
    connection: int
    method: str
    target: str
    body: bytes = field(repr=False)
    fault: Fault | None
    forwarded: bool = False
    status: int | None = None


class Visit:
    """A client's connection, and the request on it that is being answered."""

    request: Message
    arrival: Arrival

    def __init__(
        self, number: int, upstream: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer
        self.doomed = False
        self._port = upstream
        self._upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def gone(self) -> bool:
        return self.writer.is_closing()

    async def forward(self) -> Message:
        """Let the sandbox answer."""
        if self._upstream is not None and self._upstream[0].at_eof():
            self.leave()
        if self._upstream is None:
            self._upstream = await asyncio.open_connection(HOST, self._port, limit=_MAX_HEAD)
        reader, writer = self._upstream
        writer.write(self.request.whole)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        bare = self.arrival.method == "HEAD" or status in {204, 304}
        reply = Message(head, b"", b"") if bare else await _with_body(reader, head)
        self.arrival.forwarded, self.arrival.status = True, status
        return reply

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    def reset(self) -> None:
        """Break the connection with RST, and drop what was not sent."""
        if not self.gone:
            with contextlib.suppress(OSError):  # the client may have been faster
                self.writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT
                )
            self.writer.transport.abort()

    def close(self) -> None:
        """Send what is to be sent, then FIN."""
        self.writer.close()

    async def stall(self) -> None:
        """Say nothing until the client goes away."""
        while await self.reader.read(_MAX_HEAD):
            pass
        self.close()

    def leave(self) -> None:
        """Close the connection to the sandbox."""
        if self._upstream is not None:
            self._upstream[1].transport.abort()
            self._upstream = None


# ---------------------------------------------------------------- faults


@dataclass(frozen=True, slots=True)
class Fault(ABC):
    """What becomes of one request.

    Attributes:
        forwarded: Whether the sandbox gets to see it.
    """

    forwarded: ClassVar[bool] = False

    @abstractmethod
    async def strike(self, visit: Visit) -> None: ...


class Forwarded(Fault):
    """The sandbox answers first; then something happens to the answer."""

    __slots__ = ()
    forwarded: ClassVar[bool] = True

    async def strike(self, visit: Visit) -> None:
        await self.spoil(visit, await visit.forward())

    @abstractmethod
    async def spoil(self, visit: Visit, reply: Message) -> None: ...


@dataclass(frozen=True, slots=True)
class ResetBefore(Fault):
    """Not forwarded; the connection is reset."""

    async def strike(self, visit: Visit) -> None:
        visit.reset()


@dataclass(frozen=True, slots=True)
class CloseBefore(Fault):
    """Not forwarded; the connection is closed without an answer."""

    async def strike(self, visit: Visit) -> None:
        visit.close()


@dataclass(frozen=True, slots=True)
class StallBefore(Fault):
    """Not forwarded; nothing is answered until the client goes away."""

    async def strike(self, visit: Visit) -> None:
        await visit.stall()


@dataclass(frozen=True, slots=True)
class Garbage(Fault):
    """Not forwarded; something is answered that is not HTTP, and the connection closed."""

    content: bytes = b"\x00\xffSSH-2.0-OpenSSH_9.2\r\n"

    async def strike(self, visit: Visit) -> None:
        await visit.send(self.content)
        visit.close()


@dataclass(frozen=True, slots=True)
class BadGateway(Fault):
    """Not forwarded; a proxy says in HTML that it could not reach the service."""

    async def strike(self, visit: Visit) -> None:
        await visit.send(_BAD_GATEWAY)


@dataclass(frozen=True, slots=True)
class Unavailable(Fault):
    """Not forwarded; 503, with `retry_after` seconds if given."""

    retry_after: int | None = None

    async def strike(self, visit: Visit) -> None:
        await visit.send(_refusal(503, "Service Unavailable", self.retry_after))


@dataclass(frozen=True, slots=True)
class TooMany(Fault):
    """Not forwarded; 429, with `retry_after` seconds if given."""

    retry_after: int | None = None

    async def strike(self, visit: Visit) -> None:
        await visit.send(_refusal(429, "Too Many Requests", self.retry_after))


@dataclass(frozen=True, slots=True)
class ResetAfter(Forwarded):
    """Forwarded; the connection is reset before any byte of the answer."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        visit.reset()


@dataclass(frozen=True, slots=True)
class ResetInHead(Forwarded):
    """Forwarded; the connection is reset in the middle of the answer's headers."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        await visit.send(reply.half_head)
        visit.reset()


@dataclass(frozen=True, slots=True)
class ResetInBody(Forwarded):
    """Forwarded; the connection is reset in the middle of the answer's body (if none: of its headers)."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        await visit.send(reply.part)
        visit.reset()


@dataclass(frozen=True, slots=True)
class CutBody(Forwarded):
    """Forwarded; the connection is closed in the middle of the answer's body (if none: of its headers)."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        await visit.send(reply.part)
        visit.close()


@dataclass(frozen=True, slots=True)
class CutChunks(Forwarded):
    """Forwarded; half of the body comes as a chunk, and instead of more the connection is closed."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        half = reply.body[: len(reply.body) // 2]
        head = reply.head_with(b"Transfer-Encoding: chunked", without=b"Content-Length")
        await visit.send(head + b"%x\r\n%b\r\n" % (len(half), half) if half else reply.half_head)
        visit.close()


@dataclass(frozen=True, slots=True)
class StallAfter(Forwarded):
    """Forwarded; nothing is answered until the client goes away."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        await visit.stall()


@dataclass(frozen=True, slots=True)
class Slow(Forwarded):
    """Forwarded; the answer comes byte by byte, with a pause in seconds after each."""

    pause: float = 0.02

    async def spoil(self, visit: Visit, reply: Message) -> None:
        for byte in reply.whole:
            await visit.send(bytes([byte]))
            await asyncio.sleep(self.pause)


@dataclass(frozen=True, slots=True)
class BadGatewayAfter(Forwarded):
    """Forwarded; the answer is lost behind a proxy that says so in HTML."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        await visit.send(_BAD_GATEWAY)


@dataclass(frozen=True, slots=True)
class WrongShape(Forwarded):
    """Forwarded; a 200 with JSON that is not what was asked for."""

    content: bytes = b"[1,2,3]"

    async def spoil(self, visit: Visit, reply: Message) -> None:
        await visit.send(_answer(200, "OK", "application/json", self.content))


@dataclass(frozen=True, slots=True)
class WrongEncoding(Forwarded):
    """Forwarded; the headers say that the body is gzip, and it is not."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        await visit.send(reply.head_with(b"Content-Encoding: gzip") + reply.sent)


@dataclass(frozen=True, slots=True)
class CloseAfterAnswer(Forwarded):
    """Forwarded and answered; then the connection is closed, which no header has said."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        await visit.send(reply.whole)
        visit.close()


@dataclass(frozen=True, slots=True)
class ResetNextRequest(Forwarded):
    """Forwarded and answered; the next request on the connection meets `StaleConnection`."""

    async def spoil(self, visit: Visit, reply: Message) -> None:
        visit.doomed = True
        await visit.send(reply.whole)


@dataclass(frozen=True, slots=True)
class StaleConnection(ResetBefore):
    """What `ResetNextRequest` leaves behind; no plan has it."""


KINDS: Final[tuple[Fault, ...]] = (
    ResetBefore(),
    CloseBefore(),
    StallBefore(),
    Garbage(),
    BadGateway(),
    Unavailable(),
    Unavailable(retry_after=0),
    TooMany(),
    TooMany(retry_after=0),
    ResetAfter(),
    ResetInHead(),
    ResetInBody(),
    CutBody(),
    CutChunks(),
    StallAfter(),
    Slow(),
    BadGatewayAfter(),
    WrongShape(),
    WrongEncoding(),
    CloseAfterAnswer(),
    ResetNextRequest(),
)
"""One of each, none of which makes a client wait by its headers."""


def _answer(status: int, phrase: str, content_type: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers]).encode() + b"\r\n\r\n" + body


def _refusal(status: int, phrase: str, retry_after: int | None) -> bytes:
    headers = () if retry_after is None else (f"Retry-After: {retry_after}",)
    body = b'{"code":%d,"message":"%b"}' % (status, phrase.encode())
    return _answer(status, phrase, "application/json", body, *headers)


_BAD_GATEWAY: Final = _answer(502, "Bad Gateway", "text/html", b"<html><h1>502 Bad Gateway</h1></html>")


# ---------------------------------------------------------------- plans

Plan = Callable[[int], Fault | None]
"""The fault that the n-th request to arrive meets, from 1. One on a doomed connection is not asked about."""


def in_turn(*faults: Fault | None) -> Plan:
    """These for the first requests, then none."""
    return lambda number: faults[number - 1] if number <= len(faults) else None


def random_plan(seed: int, rate: float = 0.10, kinds: Sequence[Fault] = KINDS) -> Plan:
    """One of the kinds for a share of the requests; the same ones for the same seed."""

    def plan(number: int) -> Fault | None:
        # Chance of its own for each number: in which order they are asked about does not matter.
        chance = random.Random(f"{seed}/{number}")
        return chance.choice(kinds) if chance.random() < rate else None

    return plan


# ---------------------------------------------------------------- the proxy


class FaultProxy:
    """See `fault_proxy`.

    Attributes:
        base_url: Where it listens.
        arrivals: The requests that arrived, in order.
        connections: How many connections clients have made.
    """

    def __init__(self, upstream: int, plan: Plan) -> None:
        self.base_url = ""
        self.arrivals: list[Arrival] = []
        self.connections = 0
        self._upstream = upstream
        self._plan = plan
        self._asked = 0
        self._closed = False
        self._visits: dict[Visit, asyncio.Task[None]] = {}

    @property
    def idle(self) -> bool:
        """Whether all connections have ended."""
        return all(task.done() for task in self._visits.values())

    async def listen(self, sock: socket.socket | None) -> asyncio.Server:
        if sock is None:
            sock = socket.create_server((HOST, 0), backlog=1024)
        self.base_url = _base_url(sock)
        return await asyncio.start_server(self._accept, sock=sock, limit=_MAX_HEAD, backlog=1024)

    async def aclose(self) -> None:
        self._closed = True
        for visit, task in self._visits.items():
            visit.writer.transport.abort()
            task.cancel()
        ended = await asyncio.gather(*self._visits.values(), return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the next turn of the loop
        for defect in ended:
            if isinstance(defect, Exception):
                raise defect

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:  # it was on its way when the listener was closed
            writer.transport.abort()
            return
        self.connections += 1
        visit = Visit(self.connections, self._upstream, reader, writer)
        self._visits[visit] = asyncio.create_task(self._serve(visit))

    async def _serve(self, visit: Visit) -> None:
        try:
            while not visit.gone:
                await self._exchange(visit)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone away, or the sandbox
        finally:
            visit.leave()
            visit.close()

    async def _exchange(self, visit: Visit) -> None:
        visit.request = await _with_body(visit.reader, await visit.reader.readuntil(b"\r\n\r\n"))
        method, target, _ = visit.request.head.split(b" ", 2)
        fault = StaleConnection() if visit.doomed else self._next_fault()
        visit.arrival = Arrival(
            number=len(self.arrivals) + 1,
            connection=visit.number,
            method=method.decode(),
            target=target.decode(),
            body=visit.request.body,
            fault=fault,
        )
        self.arrivals.append(visit.arrival)
        if fault is None:
            await visit.send((await visit.forward()).whole)
        else:
            await fault.strike(visit)

    def _next_fault(self) -> Fault | None:
        self._asked += 1
        return self._plan(self._asked)


async def _with_body(reader: asyncio.StreamReader, head: bytes) -> Message:
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return Message(head, *await _read_chunks(reader))
    body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    return Message(head, body, body)


async def _read_chunks(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    sent, body = bytearray(), bytearray()
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        chunk = await reader.readexactly(size)
        sent += line + chunk
        body += chunk
        if size:
            sent += await reader.readexactly(2)
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":  # trailers
        sent += line
    return bytes(sent + b"\r\n"), bytes(body)


@asynccontextmanager
async def fault_proxy(
    upstream: str, plan: Plan | Sequence[Fault | None] = (), *, sock: socket.socket | None = None
) -> AsyncGenerator[FaultProxy]:
    """Stand between clients and the sandbox at `upstream`, a base URL; a sequence is a plan `in_turn`.

    Listens at `sock`, if given: one that `refusing` has made.
    """
    port = urlsplit(upstream).port
    assert port is not None
    proxy = FaultProxy(port, plan if callable(plan) else in_turn(*plan))
    listener = await proxy.listen(sock)
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.aclose()
        await listener.wait_closed()


@contextmanager
def refusing() -> Generator[tuple[str, socket.socket]]:
    """A base URL at which connections are refused: the port is taken, and nobody listens. And its socket."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield _base_url(taken), taken


def _base_url(sock: socket.socket) -> str:
    return f"http://{HOST}:{sock.getsockname()[1]}"

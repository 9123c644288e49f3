"""A TCP server that answers with whatever bytes a test wants, or with none."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from voucherify_async import RetryPolicy, VoucherifyClient

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def respond(
    status: int = 200, body: bytes = b"{}", *, headers: tuple[str, ...] = (), length: int | None = None
) -> bytes:
    """The bytes of an answer."""
    lines = [
        f"HTTP/1.1 {status} Whatever",
        "Content-Type: application/json",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


CUSTOMER = respond(body=b'{"id":"cust_1"}')


@dataclass
class RawServer:
    """Each request is answered by the next of the answers; the last one goes on.

    `None` closes the connection without an answer; `reset` aborts it.
    """

    answers: list[bytes | Script | None]
    requests: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0
    base_url: str = ""
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        self.tasks.add(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await self._read(reader):
                self.requests.append(request)
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                if answer is None:
                    break
                if callable(answer):
                    await answer(reader, writer)
                    break
                writer.write(answer)
                await writer.drain()
                if b"Connection: close" in answer:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        head = b""
        while line := await reader.readline():
            head += line
            if line == b"\r\n":
                break
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            ),
            0,
        )
        return head + (await reader.readexactly(length) if length else b"")


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def reset_after(content: bytes) -> Script:
    """Send something, then break the connection."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.transport.abort()

    return script


async def stall(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Wait until the other side goes away."""
    await reader.read()


@asynccontextmanager
async def raw_server(*answers: bytes | Script | None) -> AsyncGenerator[RawServer]:
    async with running(RawServer(list(answers))) as server:
        yield server


@asynccontextmanager
async def running(server: RawServer, context: ssl.SSLContext | None = None) -> AsyncGenerator[RawServer]:
    """Let a server listen, by TLS if there is a context."""
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    server.base_url = f"https://localhost:{port}" if context else f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        for writer in server.writers:  # a task that was cancelled before its first step has closed nothing
            writer.transport.abort()
        await asyncio.sleep(0)


@dataclass
class Pauses:
    """A clock that does not wait, and remembers what it should have waited."""

    waited: list[float] = field(default_factory=list[float])
    now: float = 1_000.0

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def monotonic(self) -> float:
        return self.now


def without_waiting(client: VoucherifyClient, *, jitter: float = 1.0) -> Pauses:
    """Give the client a clock that does not wait, and chance that is none."""
    pauses = Pauses()
    clock = client._sessions.clock  # pyright: ignore[reportPrivateUsage]
    clock.monotonic, clock.sleep = pauses.monotonic, pauses.sleep
    clock.epoch, clock.random = (lambda: 1_767_225_600.0), (lambda: jitter)
    return pauses


NO_RETRY = RetryPolicy(attempts=1)

"""TCP servers that reply with whatever bytes a test wants, or with none."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from voucherify_async import RetryPolicy

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Reply = bytes | Script | None
Face = Callable[[bytes], Reply]
"""The reply to a request."""

S = TypeVar("S", bound="Server")


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


class Server:
    """A server on a loopback port that handles each connection with a coroutine, and closes it afterwards.

    Attributes:
        base_url: Where it listens.
        connections: How many connections it has accepted.
        writers: The writers of all connections.
        tasks: The tasks that handle them.
    """

    def __init__(self, handle: Script) -> None:
        self.handle = handle
        self.base_url = ""
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        self.tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class RawServer(Server):
    """A server that replies to each request with what `face` returns for it.

    That is bytes, `None` to close the connection, or a script that handles the rest of the connection.

    Attributes:
        requests: The requests, from the first line to the end of the body.
    """

    def __init__(self, face: Face, *, keep_alive: bool = False) -> None:
        """Create a server; with `keep_alive`, it also reads the next request after a script has returned."""
        super().__init__(self._reply)
        self.face = face
        self.keep_alive = keep_alive
        self.requests: list[bytes] = []

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await read_request(reader):
            self.requests.append(request)
            reply = self.face(request)
            if reply is None:
                return
            if callable(reply):
                await reply(reader, writer)
                if not self.keep_alive:
                    return
            else:
                writer.write(reply)
                await writer.drain()
                if b"Connection: close" in reply:
                    return


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read a request, with its body if it has a Content-Length; return nothing at the end of the connection."""
    head = b""
    while line := await reader.readline():
        head += line
        if line == b"\r\n":
            break
    lines = head.lower().split(b"\r\n")
    lengths = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")]
    return head + (await reader.readexactly(lengths[0]) if lengths else b"")


def in_order(*replies: Reply) -> Face:
    """The next of the replies for each request; the last one is repeated."""
    remaining = itertools.chain(replies, itertools.repeat(replies[-1] if replies else None))
    return lambda _: next(remaining)


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


def close_after(content: bytes) -> Script:
    """Send something, then close the connection."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return script


@asynccontextmanager
async def running(
    server: S, context: ssl.SSLContext | None = None, *, sock: socket.socket | None = None
) -> AsyncGenerator[S]:
    """Let a server listen, with TLS if there is a context; close the listener and all connections at the end.

    It listens on `sock`, which it closes, or else on a free port.
    """
    if sock is None:
        listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=context)
    else:
        listener = await asyncio.start_server(server.accept, sock=sock, ssl=context)
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


@asynccontextmanager
async def raw_server(*replies: Reply) -> AsyncGenerator[RawServer]:
    """A running server that gives the next of these replies to each request; the last one is repeated."""
    async with running(RawServer(in_order(*replies))) as server:
        yield server


NO_RETRY = RetryPolicy(attempts=1)

"""Connections to which something happens."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from aiohttp import web

from voucherify_async.sandbox._http.exchanges import Exchange
from voucherify_async.sandbox._http.faults import FaultDecision

__all__ = ["FaultInjector"]

_LINGER_NOT: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class FaultInjector:
    """Lets faults happen, and remembers the connections that are not what they seem."""

    def __init__(self, keep: Callable[[Exchange], None]) -> None:
        """Begin with none.

        Args:
            keep: Is told of every exchange to which something has happened.
        """
        self._keep = keep
        self._dead: set[asyncio.Transport] = set()
        self._stalled: set[asyncio.Transport] = set()
        self._ended = False

    def end(self) -> None:
        """Let go of all connections."""
        self._ended = True
        self._dead.clear()
        for transport in self._stalled:
            transport.abort()

    def has_killed(self, transport: asyncio.Transport | None) -> bool:
        """Whether a connection is dead, though its client could not know."""
        return transport in self._dead

    def drop(self, request: web.Request, at: float) -> web.Response:
        """Refuse a request on a connection that is dead."""
        nothing = web.Response()
        self._keep(Exchange.of(request, b"", nothing, at, 0.0).unanswered("stale_keepalive"))
        _reset(request.transport)
        return nothing

    async def strike(
        self, fate: FaultDecision, request: web.Request, response: web.Response, exchange: Exchange
    ) -> None:
        """Let a fault happen. What is left to be sent on a broken connection, aiohttp drops without a word."""
        transport, content = request.transport, exchange.response_body
        hit = replace(exchange, fault=fate.fault)
        if fate.fault == "status":
            refused = response.status != fate.status  # for another reason, before this one's turn
            response.headers.extend({} if refused else fate.headers())
            self._keep(exchange if refused else hit)
        elif fate.fault == "stale_keepalive":
            self._keep(hit)
            if transport is not None:
                self._dead = {known for known in self._dead if not known.is_closing()} | {transport}
        elif fate.fault == "truncate" and content and request.method != "HEAD":
            half = content[: len(content) // 2]
            self._keep(replace(hit, response_body=half))
            with contextlib.suppress(ConnectionError):  # the client may have been faster
                await response.prepare(request)
                await response.write(half)
            if transport is not None:
                transport.close()
        else:
            self._keep(hit.unanswered(fate.fault))
            if fate.fault == "stall":
                await self._stall(transport)
            _reset(transport)

    async def _stall(self, transport: asyncio.Transport | None) -> None:
        if transport is not None and not self._ended:
            self._stalled.add(transport)
            try:
                await _until_gone(transport)
            finally:
                self._stalled.discard(transport)


def _reset(transport: asyncio.Transport | None) -> None:
    """Break a connection with RST, and drop what was not sent."""
    if transport is None or transport.is_closing():
        return
    with contextlib.suppress(OSError):  # the client may have been faster
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


async def _until_gone(transport: asyncio.Transport | None) -> None:
    """Wait until the client has gone away, or the connection was broken here."""
    if transport is None or transport.is_closing():
        return
    watcher = _Watcher(transport.get_protocol())
    transport.set_protocol(watcher)
    await watcher.gone.wait()


class _Watcher(asyncio.Protocol):
    """Takes the place of a connection's protocol for the rest of its time; what comes in is dropped."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self.gone = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)
        self.gone.set()

"""Faults applied to the connection: resets, truncated responses, stalls and stale keep-alive.

A fault acts after the request has been processed and its response is ready:

- ``status``: the response is sent; it already carries the error status.
- ``stale_keepalive``: the response is sent and the connection is marked stale. `Sandbox` checks `is_stale` for
  each API request and calls `reset_stale` instead of processing it.
- ``truncate``: the head and the first half of the body are sent, then the connection is closed. Without a body
  there is nothing to cut, so the connection is reset.
- ``stall``: nothing is sent until the client disconnects or the sandbox closes; then the connection is reset.
- ``reset``: nothing is sent and the connection is reset at once.

The exchange is recorded before the fault acts, so that it is visible as soon as the client notices the fault.
"""

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

_LINGER_ZERO: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""`SO_LINGER` with a timeout of 0: closing the socket sends RST and discards unsent data."""


class FaultInjector:
    """Applies faults to connections and tracks the connections that are stale or stalled."""

    def __init__(self, record: Callable[[Exchange], None]) -> None:
        """Create an injector.

        Args:
            record: Adds an exchange to the sandbox's recorded requests.
        """
        self._record = record
        self._stale: set[asyncio.Transport] = set()
        self._stalled: set[asyncio.Transport] = set()
        self._closed = False

    def close(self) -> None:
        """Abort the stalled connections and forget the stale ones."""
        self._closed = True
        self._stale.clear()
        for transport in self._stalled:
            transport.abort()

    def forget_stale(self) -> None:
        """Let the stale connections go on."""
        self._stale.clear()

    def is_stale(self, transport: asyncio.Transport | None) -> bool:
        """Whether a ``stale_keepalive`` fault has marked the connection: its next API request resets it."""
        return transport in self._stale

    def reset_stale(self, request: web.Request, at: float) -> web.Response:
        """Reset the stale connection of a request. The returned response is never sent.

        Args:
            request: The request that arrived on the stale connection. It has no effect.
            at: When the request arrived, in epoch seconds.
        """
        unsent = web.Response()
        self._record(Exchange.of(request, b"", unsent, at, 0.0).unanswered("stale_keepalive"))
        _reset(request.transport)
        return unsent

    async def inject(
        self, decision: FaultDecision, request: web.Request, response: web.Response, exchange: Exchange
    ) -> None:
        """Record the exchange and apply its fault.

        The caller returns the response to aiohttp in any case: on a broken connection aiohttp drops it silently.
        """
        transport, content = request.transport, exchange.response_body
        hit = replace(exchange, fault=decision.fault)
        if decision.fault == "status":
            # The rate limit and unreadable bodies take precedence: the response then has the status of that error.
            superseded = response.status != decision.status
            response.headers.extend({} if superseded else decision.headers())
            self._record(exchange if superseded else hit)
        elif decision.fault == "stale_keepalive":
            self._record(hit)
            if transport is not None:
                self._stale = {known for known in self._stale if not known.is_closing()} | {transport}
        elif decision.fault == "truncate" and content and request.method != "HEAD":
            half = content[: len(content) // 2]
            self._record(replace(hit, response_body=half))
            with contextlib.suppress(ConnectionError):  # the client may have disconnected already
                await response.prepare(request)
                await response.write(half)
            if transport is not None:
                transport.close()
        else:
            self._record(hit.unanswered(decision.fault))
            if decision.fault == "stall":
                await self._stall(transport)
            _reset(transport)

    async def _stall(self, transport: asyncio.Transport | None) -> None:
        """Wait until the client disconnects or the sandbox closes."""
        if transport is not None and not self._closed:
            self._stalled.add(transport)
            try:
                await _wait_until_lost(transport)
            finally:
                self._stalled.discard(transport)


def _reset(transport: asyncio.Transport | None) -> None:
    """Close a connection with RST and discard unsent data."""
    if transport is None or transport.is_closing():
        return
    with contextlib.suppress(OSError):  # the client may have disconnected already
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()


async def _wait_until_lost(transport: asyncio.Transport | None) -> None:
    """Wait until either side has closed the connection."""
    if transport is None or transport.is_closing():
        return
    watcher = _DisconnectWatcher(transport.get_protocol())
    transport.set_protocol(watcher)
    await watcher.lost.wait()


class _DisconnectWatcher(asyncio.Protocol):
    """Replaces the protocol of a connection for the rest of its life: discards input and reports the disconnect."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)
        self.lost.set()

"""What a server does to a connection when it does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from typing import Final

__all__ = ["reset", "until_gone"]

_LINGER_NOT: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


def reset(transport: asyncio.Transport | None) -> None:
    """Break a connection with RST, and drop what was not sent."""
    if transport is None or transport.is_closing():
        return
    with contextlib.suppress(OSError):  # the client may have been faster
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


async def until_gone(transport: asyncio.Transport | None) -> None:
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

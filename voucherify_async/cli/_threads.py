"""What can block, such as a pipe, in threads of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from functools import partial
from io import FileIO
from typing import IO, Final, TypeVar

__all__ = [
    "in_daemon_thread",
    "iterate_in_thread",
    "open_standard_input",
    "open_standard_output",
    "write_all",
]

T = TypeVar("T")

_MAX_CHUNK_ITEMS: Final = 1_000
_MAX_CHUNK_SECONDS: Final = 0.1


def open_standard_input() -> IO[bytes]:
    """Standard input as a file of its own, which must not be closed.

    A thread that waits for input holds the lock of the file: with `sys.stdin.buffer`, Python could not exit.
    """
    return open(sys.stdin.fileno(), "rb", closefd=False)  # a descriptor


def open_standard_output() -> FileIO:
    """Standard output without a buffer, whose lock a blocked thread would hold while Python exits."""
    return FileIO(sys.stdout.fileno(), "wb", closefd=False)


def write_all(file: FileIO, content: bytes) -> None:
    """Write all bytes: a single write to a pipe or to a nearly full disk can be partial.

    Raises:
        OSError: It names the file, if it has a name.
    """
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        error.filename = file.name if isinstance(file.name, str) else None
        raise


async def iterate_in_thread(items: Iterator[T]) -> AsyncGenerator[T]:
    """Iterate in threads over what may block, such as a pipe, so that the event loop goes on meanwhile."""
    while chunk := await in_daemon_thread(partial(_next_chunk, items)):
        for item in chunk:
            yield item


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Call a function in a thread that does not keep the process alive.

    A read or write that blocks cannot be cancelled: after Ctrl-C the process ends without waiting for it.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(settle_future: Callable[[], None]) -> None:
        if not future.cancelled():
            settle_future()

    def run() -> None:
        try:
            settle_future = partial(future.set_result, function())
        except Exception as error:  # noqa: BLE001  # passed to the caller
            settle_future = partial(future.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, settle_future)

    threading.Thread(target=run, daemon=True, name="voucherify-async").start()
    return await future


def _next_chunk(items: Iterator[T]) -> list[T]:
    """The next items: at least one, unless there are none; more as long as they arrive quickly."""
    chunk: list[T] = []
    ends_at = time.monotonic() + _MAX_CHUNK_SECONDS
    for item in items:
        chunk.append(item)
        if len(chunk) == _MAX_CHUNK_ITEMS or time.monotonic() > ends_at:
            break
    return chunk

"""The journal of a sync job, if it has one, away from the event loop."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread

from voucherify_async.bulk.journal import Journal
from voucherify_async.bulk.past import Recorded

__all__ = ["Ledger"]

T = TypeVar("T")


class Ledger:
    """Has a journal read and written in threads; without one there is nothing to read."""

    def __init__(self, path: str | os.PathLike[str] | None, purpose: str) -> None:
        """Use the journal at a path, if there is one; see `Journal`."""
        self._journal = None if path is None else Journal(path, purpose)

    async def open(self) -> list[Recorded]:
        """Open the journal; all batches that it knows."""
        if self._journal is None:
            return []
        await anyio.to_thread.run_sync(self._journal.open)
        return await anyio.to_thread.run_sync(self._journal.recorded)

    @property
    def path(self) -> str | None:
        """The journal's file."""
        return None if self._journal is None else self._journal.path

    def close(self) -> None:
        """Close the journal. What a thread has begun is ended first."""
        if self._journal is not None:
            self._journal.close()

    async def look_up(self, read: Callable[[Journal, int], list[T]], number: int) -> list[T]:
        """What is known of a batch, by a method of `Journal`."""
        return [] if self._journal is None else await anyio.to_thread.run_sync(read, self._journal, number)

    async def write(self, write: Callable[..., None], *facts: Any) -> None:
        """Write, by a method of `Journal`."""
        if self._journal is not None:
            await anyio.to_thread.run_sync(write, self._journal, *facts)

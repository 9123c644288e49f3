"""The file of a sync, if it has one, away from the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import anyio.to_thread

from voucherify_async.bulk.journal import Journal
from voucherify_async.bulk.past import Recorded
from voucherify_async.bulk.state import State

__all__ = ["Ledger"]

T = TypeVar("T")

Event = Literal["made", "sending", "not_sent", "accepted", "failed", "ended", "settled", "invalid", "begin"]
"""What can become of batches and items: a method of `Journal`, `State` or both."""


class Ledger:
    """Has a journal or a state read and written in threads; without one there is nothing to read.

    Attributes:
        journal: What was done with each item of one source.
        state: What the service is known to hold.
    """

    def __init__(self, file: Journal | State | None) -> None:
        """Use a file, if there is one."""
        self.journal = file if isinstance(file, Journal) else None
        self.state = file if isinstance(file, State) else None
        self._file = file

    async def open(self) -> list[Recorded]:
        """Open the file; all batches that a journal knows."""
        if self._file is not None:
            await anyio.to_thread.run_sync(self._file.open)
        return [] if self.journal is None else await anyio.to_thread.run_sync(self.journal.recorded)

    @property
    def paths(self) -> tuple[str | None, str | None]:
        """The journal's file, and the state's."""
        journal, state = self.journal, self.state
        return None if journal is None else journal.path, None if state is None else state.path

    def close(self) -> None:
        """Close the file. What a thread has begun is ended first."""
        if self._file is not None:
            self._file.close()

    async def look_up(self, read: Callable[[Journal, int], list[T]], number: int) -> list[T]:
        """What a journal knows of a batch, by a method of `Journal`."""
        return [] if self.journal is None else await anyio.to_thread.run_sync(read, self.journal, number)

    async def write(self, event: Event, *facts: Any) -> None:
        """Write what has happened."""
        if self._file is not None:
            await anyio.to_thread.run_sync(getattr(self._file, event), *facts)

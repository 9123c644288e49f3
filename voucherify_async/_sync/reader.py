"""From a source to batches that can be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from typing import Any, Final

from voucherify_async._sync.batcher import Batcher
from voucherify_async._sync.batches import Batch, Item
from voucherify_async._sync.report import SyncStats
from voucherify_async._sync.results import INVALID_ITEM, SyncFailure
from voucherify_async._sync.spec import JobSpec, SyncSettings
from voucherify_async._sync.state import ItemStatus, SyncState
from voucherify_async.models.base import is_mapping

__all__ = ["SourceReader"]

_TURN: Final = 256
"""Items that are read before other tasks get a turn, and that the state is asked about at once."""

_MAX_TEXT: Final = 1_000

_MAX_UNWRITTEN: Final = 1_000
"""Failures that are put on record at once."""


class SourceReader:
    """Reads a source as batches are asked for, by any number of tasks."""

    def __init__(
        self,
        source: Iterable[Any] | AsyncIterable[Any],
        kind: JobSpec,
        state: SyncState,
        tally: SyncStats,
        options: SyncSettings,
    ) -> None:
        """Read `source`, and leave out what the state says that the service holds."""
        self._async_items = aiter(source) if isinstance(source, AsyncIterable) else None
        self._items = iter(()) if isinstance(source, AsyncIterable) else iter(source)
        self._exhausted = False
        self._kind = kind
        self._batcher = Batcher(kind.frame, fold=kind.fold)
        self._state = state
        self._tally = tally
        self._raises = options.on_invalid == "raise"
        self._full = options.full
        self.saw_all = True
        """Whether each item so far said which key it has, if it must have one."""
        self._unwritten: list[SyncFailure] = []
        self._reading = asyncio.Lock()
        self._settled = asyncio.Event()

    async def next(self) -> Batch | None:
        """The next batch; `None` if there will be none.

        Raises:
            ValueError: With `on_invalid="raise"` an item is invalid.
        """
        async with self._reading:
            while (batch := self._batcher.pop()) is None:
                if not self._exhausted and not self._batcher.is_full:
                    await self._read()
                elif (batch := self._batcher.flush()) is not None:
                    break
                elif not self._batcher.holds:
                    return None
                else:
                    self._settled.clear()
                    await self._settled.wait()
            return batch

    async def aclose(self) -> None:
        """Close the source, if it is a generator: it may hold a file or a connection."""
        items: Any = self._async_items or self._items
        if isinstance(items, AsyncGenerator):
            await items.aclose()
        elif isinstance(items, Generator):
            items.close()

    def settle(self, batch: Batch) -> None:
        """Release the items that were held back behind this batch, now that its outcome is known."""
        self._batcher.settle(batch)
        self._settled.set()

    async def _read(self) -> None:
        """Read some items, and put those that are to be sent into batches."""
        items: list[Item] = []
        size = 0
        for _ in range(_TURN):
            try:
                raw = next(self._items) if self._async_items is None else await anext(self._async_items)
            except (StopIteration, StopAsyncIteration):
                self._exhausted = True
                break
            if (item := self._take(raw)) is not None:
                items.append(item)
                size += len(item.content)
                if self._batcher.fills(len(items), size):
                    break
        was_taken = [self._batcher.is_taken(item.key) for item in items]
        standings = await self._state.standings(items, self._kind.frame)
        for item, taken, standing in zip(items, was_taken, standings, strict=True):
            if standing is ItemStatus.IN_DOUBT:
                self._doubt(item)
            elif standing is ItemStatus.NEW or not self._is_unchanged(item, was_taken=taken):
                self._batcher.add(item)
            else:
                self._tally.unchanged += 1
        self._tally.duplicates = self._batcher.folded
        if len(self._unwritten) >= _MAX_UNWRITTEN:
            await self.write_failures()
        await asyncio.sleep(0)

    def _take(self, raw: Any) -> Item | None:
        """Take an item of the source on, if it is valid."""
        position = self._kind.locate(self._tally.read, raw)
        self._tally.read += 1
        self._tally.tell()
        try:
            item = self._kind.frame.check(self._kind.encode(position, raw))
        except ValueError as error:
            self._add_invalid(position, raw, error)
            return None
        if item.key is None:
            return item._replace(key=self._state.name_row(self._kind.frame, item.content))
        if isinstance(item.key, str):
            self._state.see(item.key)
        return item

    def _is_unchanged(self, item: Item, *, was_taken: bool) -> bool:
        """Whether an item of which the service holds just that need not be sent.

        It must be, if something else for the same key was on its way when the state was asked, or is now.
        """
        if isinstance(item.key, bytes):
            return True  # it would make another customer
        return not (self._full or was_taken or self._batcher.is_taken(item.key))

    def _doubt(self, item: Item) -> None:
        """An earlier sync has sent it, and nobody will know what became of it."""
        self._tally.sent += 1
        failure = SyncFailure(
            position=item.position,
            key="outcome_unknown",
            message="an earlier sync has sent it, and no answer came",
        )
        self._tally.end(1, [failure])
        self._unwritten.append(failure)

    def _add_invalid(self, position: int, raw: Any, error: ValueError) -> None:
        if self._raises:
            raise ValueError(f"{self._kind.place.format(position)}: {_cut(str(error))}") from None
        key = _key_of(raw)
        if key:
            self._state.see(key)
        else:
            self.saw_all = False
        failure = SyncFailure(
            position=position,
            source_id=None if key is None else _cut(key),
            key=INVALID_ITEM,
            message=_cut(str(error)),
        )
        self._tally.invalid += 1
        self._tally.fail([failure])
        self._unwritten.append(failure)

    async def write_failures(self) -> None:
        """Put on record which items were not sent, since the last time."""
        if self._unwritten:
            failures, self._unwritten = self._unwritten, []
            await self._state.failed(failures)


def _key_of(raw: Any) -> str | None:
    """What an item that is none may still say of who it is."""
    found = raw.get("source_id") if is_mapping(raw) else getattr(raw, "source_id", None)
    return found if isinstance(found, str) else None


def _cut(text: str) -> str:
    """The text, or the beginning of a long one: an item can be of any size."""
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."

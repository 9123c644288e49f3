"""Reads a source and makes batches of the items that have to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from typing import Any, Final

from voucherify_async._sync.batcher import Batcher
from voucherify_async._sync.batches import Batch, Item, is_anonymous
from voucherify_async._sync.report import FailedItems, SyncStats
from voucherify_async._sync.results import INVALID_ITEM, SyncFailure
from voucherify_async._sync.spec import JobSpec, SyncSettings
from voucherify_async._sync.state import ItemStatus, SyncState
from voucherify_async.models._json import is_mapping

__all__ = ["SourceReader"]

_TURN: Final = 256
"""Items that are read, and looked up in the state file, before other tasks run."""

_MAX_TEXT: Final = 1_000

_MAX_UNWRITTEN: Final = 1_000
"""Failures that are recorded in one transaction."""


class SourceReader:
    """Reads a source as batches are asked for, by any number of tasks."""

    def __init__(
        self,
        source: Iterable[Any] | AsyncIterable[Any],
        spec: JobSpec,
        state: SyncState,
        stats: SyncStats,
        settings: SyncSettings,
    ) -> None:
        """Read `source`, leaving out items that are unchanged according to `state`."""
        self._async_items = aiter(source) if isinstance(source, AsyncIterable) else None
        self._items = iter(()) if isinstance(source, AsyncIterable) else iter(source)
        self._exhausted = False
        self._spec = spec
        self._batcher = Batcher(spec.template, merge=spec.merge)
        self._state = state
        self._stats = stats
        self._raises = settings.on_invalid == "raise"
        self._full = settings.full
        self.saw_all = not isinstance(source, FailedItems)
        """Whether the key of every item is known, so that all other keys are missing from the source."""
        self._unwritten: list[SyncFailure] = []
        self._reading = asyncio.Lock()
        self._settled = asyncio.Event()

    async def next(self) -> Batch | None:
        """The next batch; `None` when there are no more.

        Raises:
            ValueError: An item is invalid, with `on_invalid="raise"`.
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
        """Close the source if it is a generator, which may hold a file or a connection."""
        items: Any = self._async_items or self._items
        if isinstance(items, AsyncGenerator):
            await items.aclose()
        elif isinstance(items, Generator):
            items.close()

    def settle(self, batch: Batch) -> None:
        """Release the items that were held back until this batch ended."""
        self._batcher.settle(batch)
        self._settled.set()

    async def _read(self) -> None:
        """Read some items, and add those that have to be sent to the batcher."""
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
        statuses = await self._state.statuses(items, self._spec.template)
        for item, status in zip(items, statuses, strict=True):
            if status is ItemStatus.IN_DOUBT:
                self._report_in_doubt(item)
            elif status is ItemStatus.NEW or not self._is_unchanged(item):
                self._batcher.add(item)
            else:
                self._stats.unchanged += 1
        self._stats.duplicates = self._batcher.merged
        if len(self._unwritten) >= _MAX_UNWRITTEN:
            await self.write_failures()
        await asyncio.sleep(0)

    def _take(self, raw: Any) -> Item | None:
        """Encode an item of the source; `None` if it is invalid."""
        position = self._spec.locate(self._stats.read, raw)
        self._stats.read += 1
        self._stats.report_progress()
        try:
            item = self._spec.template.check(self._spec.encode(position, raw))
        except ValueError as error:
            self._add_invalid(position, raw, error)
            return None
        if isinstance(item.key, str):
            self._state.mark_seen(item.key)
            return item
        self.saw_all = False  # the row of a known customer may have lost its source_id
        return item if item.key is not None else item._replace(key=self._state.row_key(item))

    def _is_unchanged(self, item: Item) -> bool:
        """Whether an item with the acknowledged content may be left out.

        It must be sent if another item with its key is waiting or in flight. That item cannot have ended since the
        lookup: the state file was still to record that it is sent.
        """
        if is_anonymous(item.key):
            return True  # sending it would create another customer
        return not (self._full or self._batcher.is_taken(item.key))

    def _report_in_doubt(self, item: Item) -> None:
        """Report an item that an earlier sync sent and whose outcome is unknown."""
        self._stats.sent += 1
        failure = SyncFailure(
            position=item.position,
            key="outcome_unknown",
            message="an earlier sync sent it, and no response came",
        )
        self._stats.end(1, [failure])
        self._unwritten.append(failure)

    def _add_invalid(self, position: int, raw: Any, error: ValueError) -> None:
        if self._raises:
            raise ValueError(f"{self._spec.position_name.format(position)}: {_shorten(str(error))}") from None
        key = _key_of(raw)
        if key:
            self._state.mark_seen(key)
        else:
            self.saw_all = False
        failure = SyncFailure(
            position=position,
            source_id=None if key is None else _shorten(key),
            key=INVALID_ITEM,
            message=_shorten(str(error)),
        )
        self._stats.invalid += 1
        self._stats.fail([failure])
        self._unwritten.append(failure)

    async def write_failures(self) -> None:
        """Record the failures of items that were not sent."""
        if self._unwritten:
            failures, self._unwritten = self._unwritten, []
            await self._state.record_failures(failures)


def _key_of(raw: Any) -> str | None:
    """The `source_id` of an invalid item, if there is one."""
    found = raw.get("source_id") if is_mapping(raw) else getattr(raw, "source_id", None)
    return found if isinstance(found, str) else None


def _shorten(text: str) -> str:
    """The text, shortened if it is long: an item can have any size."""
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."

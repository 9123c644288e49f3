"""From a source to batches that can be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from typing import Any, Final, Literal

from voucherify_async.bulk.batches import Batch, Batcher, Item
from voucherify_async.bulk.journal import Journal
from voucherify_async.bulk.kind import Kind
from voucherify_async.bulk.ledger import Ledger
from voucherify_async.bulk.past import Past, Recorded
from voucherify_async.bulk.report import Tally
from voucherify_async.bulk.results import INVALID_ITEM, SyncFailure
from voucherify_async.bulk.state import digest
from voucherify_async.models.base import is_mapping

__all__ = ["Reader"]

_TURN: Final = 256
"""Items that are read before other tasks get a turn."""

_LONGEST_TEXT: Final = 1_000

_MOST_UNWRITTEN: Final = 1_000
"""Invalid items that are written to the journal at once."""


class Reader:
    """Reads a source as batches are asked for, by any number of tasks.

    Items that an earlier process has sent are counted, or taken up where they were left.
    """

    def __init__(
        self,
        source: Iterable[Any] | AsyncIterable[Any],
        kind: Kind,
        recorded: Iterable[Recorded],
        ledger: Ledger,
        tally: Tally,
        *,
        on_invalid: Literal["report", "raise"],
        full: bool = False,
    ) -> None:
        """Read `source`, of which the journal has `recorded`."""
        self._async_items = aiter(source) if isinstance(source, AsyncIterable) else None
        self._items = iter(()) if isinstance(source, AsyncIterable) else iter(source)
        self._exhausted = False
        self._kind = kind
        self._past = Past(recorded, kind.frame)
        # A journal knows batches by the items that each was made of.
        fold = kind.fold if ledger.journal is None else None
        self._batcher = Batcher(kind.frame, number=self._past.next_number, fold=fold)
        self._ledger = ledger
        self._tally = tally
        self._on_invalid = on_invalid
        self._full = full
        self.saw_all = True
        """Whether each item so far said which key it has."""
        self._invalid: list[SyncFailure] = []
        self._reading = asyncio.Lock()
        self._settled = asyncio.Event()

    async def next(self) -> Batch | None:
        """The next batch, on record as such; `None` if there will be none.

        Raises:
            ValueError: The source is not that of the journal, or with `on_invalid="raise"` an item is invalid.
        """
        async with self._reading:
            while (batch := self._batcher.pop()) is None:
                if self._wants_more:
                    await self._read()
                    await self.write_invalid()
                    await self._take_up_past()
                elif (batch := self._batcher.flush()) is not None:
                    break
                elif not self._batcher.holds:
                    return None
                else:
                    self._settled.clear()
                    await self._settled.wait()
            if not batch.is_recorded:
                await self._ledger.write("made", batch)
                batch.is_recorded = True
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

    @property
    def _wants_more(self) -> bool:
        # What is held back for a batch of the past whose items have not all come by waits for those.
        return not self._exhausted and (not self._batcher.is_full or self._past.is_gathering)

    async def _read(self) -> None:
        """Read until there is something to do, or no more."""
        while True:
            try:
                raw = next(self._items) if self._async_items is None else await anext(self._async_items)
            except (StopIteration, StopAsyncIteration):
                break
            if self._take(raw):
                return
            if self._tally.read % _TURN == 0:
                await asyncio.sleep(0)
        self._exhausted = True
        self._past.check_end()

    def _take(self, raw: Any) -> bool:
        """Take an item of the source on; whether that is enough for now."""
        position = self._kind.locate(self._tally.read, raw)
        self._tally.read += 1
        self._tally.tell()
        try:
            item = self._kind.frame.check(self._kind.encode(position, raw))
        except ValueError as error:
            self._note(_key_of(raw))
            self._add_invalid(position, raw, error)
            return len(self._invalid) >= _MOST_UNWRITTEN
        self._note(item.key)
        if self._is_unchanged(item):
            self._tally.unchanged += 1
            return False
        earlier = self._past.find(item.position)
        if earlier is None:
            self._batcher.add(item)
            self._tally.duplicates = self._batcher.folded
        else:
            self._past.take(item)
            if not earlier.ended:
                self._batcher.take_key(item.key)
        return self._batcher.is_ready or bool(self._past.whole) or not self._wants_more

    def _note(self, key: str | None) -> None:
        if self._ledger.state is None:
            return
        if key:
            self._ledger.state.saw(key)
        else:
            self.saw_all = False

    def _is_unchanged(self, item: Item) -> bool:
        """Whether the service holds just that, and nothing else for the same key is on its way."""
        state = self._ledger.state
        if state is None or self._full or item.key is None or self._batcher.is_taken(item.key):
            return False
        return state.knows(item.key, digest(self._kind.frame, item.content))

    def _add_invalid(self, position: int, raw: Any, error: ValueError) -> None:
        name = self._kind.place.format(position)
        if self._on_invalid == "raise":
            raise ValueError(f"{name}: {_cut(str(error))}") from None
        if self._past.find(position) is not None:
            raise ValueError(f"journal: it is of another source: {name} was sent, and is invalid now")
        failure = SyncFailure(
            position=position, source_id=_source_id_of(raw), key=INVALID_ITEM, message=_cut(str(error))
        )
        self._tally.invalid += 1
        self._tally.fail([failure])
        self._invalid.append(failure)

    async def write_invalid(self) -> None:
        """Put on record what was found invalid since the last time."""
        if self._invalid:
            failures, self._invalid = self._invalid, []
            await self._ledger.write("invalid", failures)

    async def _take_up_past(self) -> None:
        """Count batches that have ended before, and go on with those that have not."""
        whole, self._past.whole = self._past.whole, []
        for recorded, batch in whole:
            self._tally.resent += batch.resent * len(batch)
            for job in await self._ledger.look_up(Journal.jobs_of, batch.number):
                self._tally.add_job(job)
            if recorded.ended:
                self._tally.sent += len(batch)
                self._tally.end(len(batch), await self._ledger.look_up(Journal.failures_of, batch.number))
            else:
                self._batcher.restore(batch)


def _key_of(raw: Any) -> str | None:
    """What an item that is none may still say of who it is."""
    found = raw.get("source_id") if is_mapping(raw) else getattr(raw, "source_id", None)
    return found if isinstance(found, str) else None


def _source_id_of(raw: Any) -> str | None:
    key = _key_of(raw)
    return None if key is None else _cut(key)


def _cut(text: str) -> str:
    """The text, or the beginning of a long one: an item can be of any size."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."

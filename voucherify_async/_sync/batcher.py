"""Items put together into batches, so that those with one key keep their order. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from voucherify_async._sync.batches import Batch, BodyTemplate, Item, Key, make_batch

__all__ = ["Batcher", "Merge", "keep_last", "merge_customers"]

Merge = Callable[[bytes, bytes], bytes | None]
"""Of two items with one key, the item that does what the first and then the second would; `None` if none does."""


def keep_last(earlier: bytes, later: bytes) -> bytes:  # noqa: ARG001  # a Fold
    """Fold items of which the last replaces all before."""
    return later


def merge_customers(earlier: bytes, later: bytes) -> bytes | None:
    """Fold customers of bulk updates: what the later one has counts, part by part of its address and metadata."""
    old, new = (msgspec.json.decode(item, type=dict[str, Any]) for item in (earlier, later))
    folded = {**old, **new}
    for name in ("address", "metadata"):
        if old.get(name) is not None and new.get(name) is not None:
            folded[name] = {**old[name], **new[name]}
        elif name in old and new.get(name) is not None:
            return None  # it is cleared, and then made anew
    return msgspec.json.encode(folded, order="sorted")


class Batcher:
    """Makes batches of items as they come; one whose key is taken by an earlier item is held back.

    A key is taken from when its item comes until the batch that holds it is settled. So two items with one
    key are never in one batch, nor in two at once, and follow each other in the order in which they came.

    Attributes:
        frame: What makes a request body.
        folded: How many items have become part of a later one with the same key, as neither was sent yet.
    """

    def __init__(self, frame: BodyTemplate, *, fold: Merge | None = None) -> None:
        """Make batches for bodies of this frame."""
        self.frame = frame
        self.folded = 0
        self._fold = fold
        self._places: dict[Key, int] = {}
        self._number = 0
        self._items: list[Item] = []
        self._bytes = 0
        self._ready: deque[Batch] = deque()
        self._taken: set[Key] = set()
        self._held: dict[Key, deque[Item]] = {}
        self._held_count = 0
        self._held_bytes = 0
        self._released: deque[Item] = deque()

    @property
    def is_ready(self) -> bool:
        """Whether there is a whole batch."""
        return bool(self._ready)

    @property
    def holds(self) -> bool:
        """Whether items wait for the batch with an earlier one of their key to be settled."""
        return self._held_count > 0

    @property
    def is_full(self) -> bool:
        """Whether as much is held back as fits into a batch, so that no more should come."""
        return self._held_count >= self.frame.max_items or self._held_bytes >= self.frame.max_bytes

    def add(self, item: Item) -> None:
        """Take an item on, that fits."""
        if item.key is not None:
            if item.key in self._taken:
                if not self._folds(item, item.key):
                    self._held.setdefault(item.key, deque()).append(item)
                    self._count_held(item, 1)
                return
            self._taken.add(item.key)
        self._append(item)

    def _folds(self, item: Item, key: Key) -> bool:
        """Whether the item has taken in the last one with its key, which waits, too."""
        held, place = self._held.get(key), self._places.get(key)
        before = held[-1] if held else None if place is None else self._items[place]
        content = None if self._fold is None or before is None else self._fold(before.content, item.content)
        if before is None or content is None or len(content) > self.frame.room:
            return False
        folded, more = Item(item.position, key, content), len(content) - len(before.content)
        if held:
            held[-1] = folded
            self._held_bytes += more
        elif place is not None and self._bytes + more <= self.frame.room:
            self._items[place] = folded
            self._bytes += more
        else:
            return False
        self.folded += 1
        return True

    def is_taken(self, key: Key) -> bool:
        """Whether an item with this key waits, or is in a batch that is not settled."""
        return key in self._taken

    def fills(self, items: int, size: int) -> bool:
        """Whether so many more items, of so many bytes, are enough to make a batch of."""
        return (
            len(self._items) + items >= self.frame.max_items
            or self._bytes + size >= self.frame.room
            or self._held_count + items >= self.frame.max_items
            or self._held_bytes + size >= self.frame.max_bytes
        )

    def pop(self) -> Batch | None:
        """The next whole batch, if there is one."""
        while self._released and not self._ready:
            self._append(self._released.popleft())
        return self._ready.popleft() if self._ready else None

    def flush(self) -> Batch | None:
        """What there is of the next batch, if anything."""
        batch = self.pop()
        return batch if batch is not None or not self._items else self._make()

    def settle(self, batch: Batch) -> None:
        """Let items follow that were held back for those of this batch."""
        for key in batch.keys:
            if key is None:
                continue
            waiting = self._held.get(key)
            if waiting is None:
                self._taken.discard(key)
                continue
            item = waiting.popleft()  # for which the key stays taken
            if not waiting:
                del self._held[key]
            self._count_held(item, -1)
            self._released.append(item)

    def _count_held(self, item: Item, times: int) -> None:
        self._held_count += times
        self._held_bytes += times * len(item.content)

    def _append(self, item: Item) -> None:
        size = len(item.content) + (len(self.frame.separator) if self._items else 0)
        if len(self._items) == self.frame.max_items or self._bytes + size > self.frame.room:
            self._ready.append(self._make())
            size = len(item.content)
        if item.key is not None:
            self._places[item.key] = len(self._items)
        self._items.append(item)
        self._bytes += size

    def _make(self) -> Batch:
        batch = make_batch(self._number, self._items, self.frame)
        self._number += 1
        self._items, self._bytes, self._places = [], 0, {}
        return batch

"""Collects items into batches and keeps items with the same key in order. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from voucherify_async._sync.batches import Batch, BodyTemplate, Item, Key, make_batch

__all__ = ["Batcher", "Merge", "keep_last", "merge_customers"]

Merge = Callable[[bytes, bytes], bytes | None]
"""Merges two items with the same key, the earlier first, into one with the same effect. `None` if that is impossible."""


def keep_last(earlier: bytes, later: bytes) -> bytes:  # noqa: ARG001  # a Fold
    """Keep the later item: it replaces the earlier one."""
    return later


def merge_customers(earlier: bytes, later: bytes) -> bytes | None:
    """Merge two customers of bulk updates. The later value of each field, address part and metadata key wins."""
    old, new = (msgspec.json.decode(item, type=dict[str, Any]) for item in (earlier, later))
    merged = {**old, **new}
    for name in ("address", "metadata"):
        if old.get(name) is not None and new.get(name) is not None:
            merged[name] = {**old[name], **new[name]}
        elif name in old and new.get(name) is not None:
            return None  # the first item clears the object, which one merged item cannot express
    return msgspec.json.encode(merged, order="sorted")


@dataclass(slots=True)
class _Assembly:
    """The items of a batch that is not full yet.

    Attributes:
        items: The items.
        size: Their bytes, including separators.
        indexes: The index of each key in the items.
    """

    items: list[Item] = field(default_factory=list[Item])
    size: int = 0
    indexes: dict[Key, int] = field(default_factory=dict[Key, int])


class Batcher:
    """Makes batches of items as they arrive, and holds back items whose key is in use.

    A key is in use from the arrival of an item until the batch of that item is settled. So two items with the same key
    are never in flight at once, and they are sent in the order they arrived. Items without a `source_id` get batches of
    their own, because such a batch must not be sent twice.

    Attributes:
        template: Makes request bodies.
        merged: The number of items that were merged into a later item with the same key.
    """

    def __init__(self, template: BodyTemplate, *, merge: Merge | None = None) -> None:
        """Make batches for request bodies with this template."""
        self.template = template
        self.merged = 0
        self._merge = merge
        self._number = 0
        self._repeatable = _Assembly()
        self._unrepeatable = _Assembly()
        self._ready: deque[Batch] = deque()
        self._taken: set[Key] = set()
        self._held: dict[Key, deque[Item]] = {}
        self._held_count = 0
        self._held_bytes = 0
        self._released: deque[Item] = deque()

    @property
    def is_ready(self) -> bool:
        """Whether a full batch is waiting."""
        return bool(self._ready)

    @property
    def holds(self) -> bool:
        """Whether items are held back until an earlier batch with their key is settled."""
        return self._held_count > 0

    @property
    def is_full(self) -> bool:
        """Whether a full batch of items is held back, so that the source should not be read further."""
        return self._held_count >= self.template.max_items or self._held_bytes >= self.template.max_bytes

    def add(self, item: Item) -> None:
        """Add an item that fits into a batch."""
        if item.key is not None:
            if item.key in self._taken:
                if not self._merge_into_waiting(item, item.key):
                    self._held.setdefault(item.key, deque()).append(item)
                    self._count_held(item, 1)
                return
            self._taken.add(item.key)
        self._append(item)

    def _merge_into_waiting(self, item: Item, key: Key) -> bool:
        """Merge the item with the last waiting item with the same key, if possible; whether it was merged."""
        held, assembly = self._held.get(key), self._assembly(key)
        index = assembly.indexes.get(key)
        before = held[-1] if held else None if index is None else assembly.items[index]
        content = None if self._merge is None or before is None else self._merge(before.content, item.content)
        if before is None or content is None or len(content) > self.template.room:
            return False
        merged, more = Item(item.position, key, content), len(content) - len(before.content)
        if held:
            held[-1] = merged
            self._held_bytes += more
        elif index is not None and assembly.size + more <= self.template.room:
            assembly.items[index] = merged
            assembly.size += more
        else:
            return False
        self.merged += 1
        return True

    def _assembly(self, key: Key) -> _Assembly:
        return self._repeatable if isinstance(key, str) else self._unrepeatable

    def is_taken(self, key: Key) -> bool:
        """Whether an item with this key is waiting, or is in a batch that is not settled."""
        return key in self._taken

    def fills(self, items: int, size: int) -> bool:
        """Whether this many more items, with this many bytes, would fill a batch."""
        return (
            any(
                len(assembly.items) + items >= self.template.max_items
                or assembly.size + size >= self.template.room
                for assembly in (self._repeatable, self._unrepeatable)
            )
            or self._held_count + items >= self.template.max_items
            or self._held_bytes + size >= self.template.max_bytes
        )

    def pop(self) -> Batch | None:
        """The next full batch, if there is one."""
        while self._released and not self._ready:
            self._append(self._released.popleft())
        return self._ready.popleft() if self._ready else None

    def flush(self) -> Batch | None:
        """The next batch, full or not; `None` if there are no items."""
        if (batch := self.pop()) is not None:
            return batch
        for assembly in (self._unrepeatable, self._repeatable):
            if assembly.items:
                return self._make(assembly)
        return None

    def settle(self, batch: Batch) -> None:
        """Release the items that were held back because of this batch."""
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
        assembly = self._assembly(item.key)
        size = len(item.content) + (len(self.template.separator) if assembly.items else 0)
        if len(assembly.items) == self.template.max_items or assembly.size + size > self.template.room:
            self._ready.append(self._make(assembly))
            size = len(item.content)
        if item.key is not None:
            assembly.indexes[item.key] = len(assembly.items)
        assembly.items.append(item)
        assembly.size += size

    def _make(self, assembly: _Assembly) -> Batch:
        batch = make_batch(self._number, assembly.items, self.template)
        self._number += 1
        assembly.items, assembly.size, assembly.indexes = [], 0, {}
        return batch

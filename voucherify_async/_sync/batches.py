"""Items and the request bodies that are made of them. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

import msgspec

__all__ = ["Batch", "BodyTemplate", "Item", "Key", "halves", "make_batch"]

Key = str | bytes | None
"""What an item is known by: its `source_id`. A row without one makes a new customer each time: what a state calls it
are bytes, and nothing without a state."""


class Item(NamedTuple):
    """One item of a source, encoded.

    Attributes:
        position: Where it stood in the source.
        key: What it is known by.
        content: Its part of the request body.
    """

    position: int
    key: Key
    content: bytes


@dataclass(frozen=True, slots=True)
class BodyTemplate:
    """What makes a request body of items, and how large one may be.

    Attributes:
        head: What comes before the first item.
        separator: What comes between two.
        tail: What comes after the last.
        max_bytes: The longest body.
        max_items: The most items in one.
        is_json: Whether items are JSON; otherwise they are text.
    """

    head: bytes
    separator: bytes
    tail: bytes
    max_bytes: int
    max_items: int
    is_json: bool = True

    @property
    def room(self) -> int:
        """Bytes for items and what is between them."""
        return self.max_bytes - len(self.head) - len(self.tail)

    def check(self, item: Item) -> Item:
        """The item, if it fits into a body at all.

        Raises:
            ValueError: It does not.
        """
        if len(item.content) > self.room:
            raise ValueError(
                f"it has {len(item.content):,} bytes, and a request has room for {self.room:,} at most"
            )
        return item


@dataclass(frozen=True, slots=True)
class Batch:
    """The items of one request body, no two of which have one key.

    Attributes:
        number: Counts the batches of a sync job, from 0.
        content: The request body.
        positions: Where the items stood in the source, ascending.
        keys: Their keys.
        starts: Where in the content they begin, and where one after the last would.
        frame: What holds them together.
        is_repeatable: Sending it twice does what sending it once does.
    """

    number: int
    content: bytes = field(repr=False)
    positions: Sequence[int] = field(repr=False)
    keys: Sequence[Key] = field(repr=False)
    starts: Sequence[int] = field(repr=False)
    frame: BodyTemplate = field(repr=False)
    is_repeatable: bool

    def __len__(self) -> int:
        return len(self.positions)

    def raw_item(self, index: int) -> msgspec.Raw:
        """An item as JSON."""
        content = self._content(index)
        return msgspec.Raw(content if self.frame.is_json else msgspec.json.encode(content.decode()))

    def items(self) -> list[Item]:
        """What it was made of."""
        return list(map(Item, self.positions, self.keys, self.contents()))

    def contents(self) -> Iterator[bytes]:
        """The parts of the request body that its items are, one by one: together they take as much memory again."""
        return map(self._content, range(len(self)))

    def _content(self, index: int) -> bytes:
        end = self.starts[index + 1] - len(self.frame.separator)
        return self.content[self.starts[index] : end]


def make_batch(number: int, items: Iterable[Item], frame: BodyTemplate) -> Batch:
    """Put items together, in the order of their positions."""
    ordered = sorted(items)
    gap = len(frame.separator)
    lengths = (len(item.content) + gap for item in ordered)
    keys = [item.key for item in ordered]
    parts = [item.content for item in ordered] or [b""]
    parts[0] = frame.head + parts[0]
    parts[-1] += frame.tail  # before they are joined, as the whole is large
    return Batch(
        number=number,
        content=frame.separator.join(parts),
        positions=array("q", (item.position for item in ordered)),
        keys=keys,
        starts=array("I", accumulate(lengths, initial=len(frame.head))),
        frame=frame,
        is_repeatable=all(isinstance(key, str) for key in keys),
    )


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """The items of a batch in two."""
    items, middle = batch.items(), len(batch) // 2
    first, second = (make_batch(batch.number, some, batch.frame) for some in (items[:middle], items[middle:]))
    return first, second

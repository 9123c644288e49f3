"""Items, and the request bodies made of them. No I/O."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

__all__ = [
    "ID_PREFIX",
    "ROW_PREFIX",
    "Batch",
    "BodyTemplate",
    "Item",
    "Key",
    "halves",
    "is_anonymous",
    "make_batch",
]

Key = str | bytes | None
"""Identifies an item: its `source_id`. A CSV row without one has bytes as its key: `ID_PREFIX` and its `Id`, or, if there
is a state file, `ROW_PREFIX` and a hash of its cells. Without a state file a row with neither has no key."""

ID_PREFIX: Final = b"id:"
ROW_PREFIX: Final = b"row:"


def is_anonymous(key: Key) -> bool:
    """Whether an item with this key creates a new customer each time it is sent."""
    return key is None or (isinstance(key, bytes) and key.startswith(ROW_PREFIX))


class Item(NamedTuple):
    """One item of a source, encoded.

    Attributes:
        position: Its index in the source; for CSV files, its line.
        key: Identifies it.
        content: Its bytes in the request body.
        identity: For a row without a `source_id`: its cells by column, however they are written.
    """

    position: int
    key: Key
    content: bytes
    identity: bytes = b""


@dataclass(frozen=True, slots=True)
class BodyTemplate:
    """How items become a request body, and how large the body may be.

    Attributes:
        head: Bytes before the first item.
        separator: Bytes between two items.
        tail: Bytes after the last item.
        max_bytes: The maximum length of a body.
        max_items: The maximum number of items in a body.
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
        """Bytes available for items and their separators."""
        return self.max_bytes - len(self.head) - len(self.tail)

    def check(self, item: Item) -> Item:
        """The item, if a body has room for it.

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
    """The items of one request body. No two have the same key.

    Attributes:
        number: Its number in this sync, from 0.
        content: The request body.
        positions: The positions of its items, ascending.
        keys: The keys of its items.
        starts: The offset of each item in the content, and the offset after the last.
        template: How the body was made.
        is_repeatable: Whether sending it twice has the same effect as sending it once.
    """

    number: int
    content: bytes = field(repr=False)
    positions: Sequence[int] = field(repr=False)
    keys: Sequence[Key] = field(repr=False)
    starts: Sequence[int] = field(repr=False)
    template: BodyTemplate = field(repr=False)
    is_repeatable: bool

    def __len__(self) -> int:
        return len(self.positions)

    def raw_item(self, index: int) -> msgspec.Raw:
        """An item as JSON."""
        content = self._content(index)
        return msgspec.Raw(content if self.template.is_json else msgspec.json.encode(content.decode()))

    def items(self) -> list[Item]:
        """Its items."""
        return list(map(Item, self.positions, self.keys, self.contents()))

    def contents(self) -> Iterator[bytes]:
        """The bytes of each item, one at a time, to save memory."""
        return map(self._content, range(len(self)))

    def _content(self, index: int) -> bytes:
        end = self.starts[index + 1] - len(self.template.separator)
        return self.content[self.starts[index] : end]


def make_batch(number: int, items: Iterable[Item], template: BodyTemplate) -> Batch:
    """Make a batch of these items, sorted by position."""
    ordered = sorted(items)
    gap = len(template.separator)
    lengths = (len(item.content) + gap for item in ordered)
    keys = [item.key for item in ordered]
    parts = [item.content for item in ordered] or [b""]
    parts[0] = template.head + parts[0]
    parts[-1] += template.tail  # joined in one step: a second copy of the body would cost megabytes
    return Batch(
        number=number,
        content=template.separator.join(parts),
        positions=array("q", (item.position for item in ordered)),
        keys=keys,
        starts=array("I", accumulate(lengths, initial=len(template.head))),
        template=template,
        is_repeatable=all(isinstance(key, str) for key in keys),
    )


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Split a batch into two."""
    items, middle = batch.items(), len(batch) // 2
    first, second = (
        make_batch(batch.number, some, batch.template) for some in (items[:middle], items[middle:])
    )
    return first, second

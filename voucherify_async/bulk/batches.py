"""Items put together into request bodies, so that those with one key keep their order. Pure."""

from __future__ import annotations

import hashlib
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, Final, NamedTuple

import msgspec

__all__ = [
    "Batch",
    "Batcher",
    "Fold",
    "Frame",
    "Item",
    "fold_customers",
    "fold_last",
    "from_ranges",
    "halves",
    "make_batch",
    "to_ranges",
]

_DIGEST_BYTES: Final = 16


class Item(NamedTuple):
    """One item of a source, encoded.

    Attributes:
        position: Where it stood in the source.
        key: What the service finds its object by; `None` if it makes a new one each time.
        content: Its part of the request body.
    """

    position: int
    key: str | None
    content: bytes


@dataclass(frozen=True, slots=True)
class Frame:
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


@dataclass(slots=True)
class Batch:
    """The items of one request body, no two of which have one key.

    Attributes:
        number: Counts the batches of a sync job, from 0.
        content: The request body.
        positions: Where the items stood in the source, ascending.
        keys: Their keys.
        starts: Where in the content they begin, and where one after the last would.
        frame: What holds them together.
        is_part: It is a part of one that was refused as a whole.
        is_recorded: It is in the journal.
        is_sent: It is counted as sent.
        in_doubt: It was sent, and whether it arrived is not known.
        job: The id of the background job that has it; empty if none has.
        accepted: When that job was taken on, in epoch seconds.
        retried: A job with it has failed, and this is the second.
        resent: How many times it was sent again.
    """

    number: int
    content: bytes = field(repr=False)
    positions: Sequence[int] = field(repr=False)
    keys: Sequence[str | None] = field(repr=False)
    starts: Sequence[int] = field(repr=False)
    frame: Frame = field(repr=False)
    is_part: bool = False
    is_recorded: bool = False
    is_sent: bool = False
    in_doubt: bool = False
    job: str = ""
    accepted: float = 0.0
    retried: bool = False
    resent: int = 0

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does what sending it once does."""
        return None not in self.keys

    @property
    def digest(self) -> bytes:
        """What tells it from a batch with other items."""
        return hashlib.blake2b(self.content, digest_size=_DIGEST_BYTES).digest()

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


def make_batch(number: int, items: Iterable[Item], frame: Frame) -> Batch:
    """Put items together, in the order of their positions."""
    ordered = sorted(items)
    gap = len(frame.separator)
    lengths = (len(item.content) + gap for item in ordered)
    return Batch(
        number=number,
        content=frame.head + frame.separator.join(item.content for item in ordered) + frame.tail,
        positions=array("q", (item.position for item in ordered)),
        keys=[item.key for item in ordered],
        starts=array("I", accumulate(lengths, initial=len(frame.head))),
        frame=frame,
    )


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """The items of a batch that was sent, in two parts."""
    items, middle = batch.items(), len(batch) // 2
    parts = (make_batch(batch.number, some, batch.frame) for some in (items[:middle], items[middle:]))
    first, second = (replace(part, is_part=True, is_sent=True) for part in parts)
    return first, second


Fold = Callable[[bytes, bytes], bytes | None]
"""Of two items with one key, the item that does what the first and then the second would; `None` if none does."""


def fold_last(earlier: bytes, later: bytes) -> bytes:  # noqa: ARG001  # a Fold
    """Fold items of which the last replaces all before."""
    return later


def fold_customers(earlier: bytes, later: bytes) -> bytes | None:
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

    def __init__(self, frame: Frame, *, number: int = 0, fold: Fold | None = None) -> None:
        """Make batches for bodies of this frame, numbered from `number` on."""
        self.frame = frame
        self.folded = 0
        self._fold = fold
        self._places: dict[str, int] = {}
        self._number = number
        self._items: list[Item] = []
        self._bytes = 0
        self._ready: deque[Batch] = deque()
        self._taken: set[str] = set()
        self._held: dict[str, deque[Item]] = {}
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

    def _folds(self, item: Item, key: str) -> bool:
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

    def is_taken(self, key: str) -> bool:
        """Whether an item with this key waits, or is in a batch that is not settled."""
        return key in self._taken

    def restore(self, batch: Batch) -> None:
        """Take a batch on that was made before: it is the next."""
        self._ready.append(batch)

    def take_key(self, key: str | None) -> None:
        """Hold items with this key back until a batch with it is settled, though it does not exist yet."""
        if key is not None:
            self._taken.add(key)

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


def to_ranges(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges, each with its first number and the one after its last."""
    ranges: list[tuple[int, int]] = []
    for position in positions:
        if ranges and ranges[-1][1] == position:
            ranges[-1] = (ranges[-1][0], position + 1)
        else:
            ranges.append((position, position + 1))
    return ranges


def from_ranges(ranges: Iterable[tuple[int, int]]) -> Iterable[int]:
    """The numbers of some ranges."""
    return (position for first, end in ranges for position in range(first, end))

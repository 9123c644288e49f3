"""What an earlier process made of the same source: its batches, put together again. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from voucherify_async.bulk.batches import Batch, Frame, Item, from_ranges, make_batch

__all__ = ["Past", "Recorded"]


class Recorded(NamedTuple):
    """A batch as the journal has it: what was sent, and how far it came."""

    number: int
    ranges: list[tuple[int, int]]
    digest: bytes
    in_doubt: bool
    job: str
    accepted: float
    retried: bool
    resent: int
    ended: bool


@dataclass(slots=True)
class _Part:
    """A recorded batch, as far as its items have come by."""

    recorded: Recorded
    rest: Iterator[int]
    items: list[Item] = field(default_factory=list[Item])


class Past:
    """Takes the items of recorded batches as they come by, by ascending position.

    Attributes:
        whole: Batches that have all their items again.
        next_number: The number of the first batch that is not recorded.
    """

    def __init__(self, recorded: Iterable[Recorded], frame: Frame) -> None:
        """Wait for the items of these."""
        self.whole: list[tuple[Recorded, Batch]] = []
        self.next_number = 0
        self._frame = frame
        self._parts: list[tuple[int, int, _Part]] = []  # a heap, by the position that each waits for
        self._begun = 0
        for batch in recorded:
            self.next_number = batch.number + 1
            self._expect(_Part(batch, iter(from_ranges(batch.ranges))))

    @property
    def is_gathering(self) -> bool:
        """Whether a batch that has not ended lacks some of its items."""
        return self._begun > 0

    def find(self, position: int) -> Recorded | None:
        """The batch that the item at a position was in, if in any.

        Raises:
            ValueError: The source had an item before that position which has not come.
        """
        self._check(position)
        return self._parts[0][2].recorded if self._parts and self._parts[0][0] == position else None

    def take(self, item: Item) -> None:
        """Give the item of a recorded batch back to it.

        Raises:
            ValueError: The batch was made of other items.
        """
        _, _, part = heapq.heappop(self._parts)
        if not part.items and not part.recorded.ended:
            self._begun += 1
        part.items.append(item)
        if self._expect(part):
            return
        recorded = part.recorded
        if not recorded.ended:
            self._begun -= 1
        batch = make_batch(recorded.number, part.items, self._frame)
        if batch.digest != recorded.digest:
            first, last = batch.positions[0], batch.positions[-1]
            raise ValueError(
                f"journal: it is of another source: items {first} to {last} are not those it knows"
            )
        batch.is_recorded = True
        batch.in_doubt = bool(recorded.in_doubt)
        batch.job = recorded.job
        batch.accepted = recorded.accepted
        batch.retried = recorded.retried
        batch.resent = recorded.resent
        self.whole.append((recorded, batch))

    def check_end(self) -> None:
        """See that the source has come as far as the journal.

        Raises:
            ValueError: It has not.
        """
        self._check(math.inf)

    def _check(self, position: float) -> None:
        if self._parts and self._parts[0][0] < position:
            raise ValueError(f"journal: it is of another source: that had an item {self._parts[0][0]}")

    def _expect(self, part: _Part) -> bool:
        position = next(part.rest, None)
        if position is None:
            return False
        heapq.heappush(self._parts, (position, part.recorded.number, part))
        return True

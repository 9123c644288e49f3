"""Customers in order, and kept so while they come, change and go. No I/O."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from voucherify_async.sandbox._store.records import UNBOUNDED, Bounds, Record
from voucherify_async.sandbox._store.segments import Segment

__all__ = ["EVERYONE", "CustomerFilter", "Index", "tie_of"]

_SORTED_ANEW: Final = 50
"""How many times as many must be sorted already for it to pay to move one at a time."""

_KEYS: Final[dict[str, Callable[[Record], Any]]] = {
    "created_at": lambda record: (record.created, record.id),
    "updated_at": lambda record: (record.updated or record.created, record.id),
    "source_id": lambda record: (record.source_id is None, record.source_id, record.id),
}
_TIES: Final[dict[str, Callable[[Record], Any]]] = {
    "created_at": lambda record: record.created,
    "updated_at": lambda record: record.updated or record.created,
    "source_id": lambda record: record.id,  # no timestamp, no tie
}


def tie_of(order: str) -> Callable[[Record], Any]:
    """What customers have in common among which an order decides nothing."""
    return _TIES[order]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFilter:
    """What is asked of the customers in a list; `None` and no bound ask nothing."""

    email: str | None = None
    name: str | None = None
    city: str | None = None
    segment: Segment | None = None
    created: Bounds = UNBOUNDED
    updated: Bounds = UNBOUNDED

    def holds(self, record: Record) -> bool:
        """Whether a customer is as asked."""
        fields = record.fields
        return (
            (self.email is None or fields.get("email") == self.email)
            and (self.name is None or fields.get("name") == self.name)
            and (self.city is None or (record.address or {}).get("city") == self.city)
            and (self.segment is None or self.segment.holds(record))
            and self.created.hold(record.created)
            and self.updated.hold(record.updated)
        )


EVERYONE: Final = CustomerFilter()


class Index:
    """The customers that a filter lets pass, in one order.

    Those that are new, or have changed, are put in their places when somebody looks.
    """

    def __init__(self, order: str, asked: CustomerFilter, records: Iterable[Record]) -> None:
        """Sort what there is.

        Args:
            order: ``created_at``, ``updated_at`` or ``source_id``.
            asked: Which customers it holds.
            records: All customers.
        """
        self._holds = None if asked == EVERYONE else asked.holds
        self._key = _KEYS[order]
        self._records = sorted(filter(self._holds, records) if self._holds else records, key=self._key)
        self._added: dict[str, Record] = {}
        self._removed = 0
        self.moves = order != "created_at" or self._holds is not None
        """Whether a customer that changes may have another place in it, or none."""

    def add(self, record: Record) -> None:
        """Take a customer in, if it is asked for."""
        if self._holds is None or self._holds(record):
            self._added[record.id] = record

    def discard(self, record: Record) -> bool:
        """Take a customer out, if it is in, before it changes.

        Returns:
            Whether the index is still of use: after many changes it takes less time to make a new one.
        """
        if self._added.pop(record.id, None) is not None or not (self._holds is None or self._holds(record)):
            return True
        self._removed += 1
        if self._removed * _SORTED_ANEW > len(self._records):
            return False
        place = bisect.bisect_left(self._records, self._key(record), key=self._key)
        if self._records[place : place + 1] != [record]:  # somebody has changed it without telling
            return False
        del self._records[place]
        return True

    def look(self) -> list[Record]:
        """The customers, in ascending order."""
        added, self._removed = self._added, 0
        if len(added) * _SORTED_ANEW > len(self._records):
            self._records += added.values()
            self._records.sort(key=self._key)
        else:
            for record in added.values():
                bisect.insort(self._records, record, key=self._key)
        added.clear()
        return self._records

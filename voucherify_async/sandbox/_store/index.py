"""Sorted lists of customers that are updated as customers are added, changed and deleted. No I/O."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from voucherify_async.sandbox._store.records import UNBOUNDED, Bounds, Record
from voucherify_async.sandbox._store.segments import Segment

__all__ = ["EVERYONE", "CustomerFilter", "Index", "tie_key"]

_RESORT_RATIO: Final = 50
"""With more than one change per this number of customers, sorting anew is cheaper than single changes."""

_KEYS: Final[dict[str, Callable[[Record], Any]]] = {
    "created_at": lambda record: (record.created, record.id),
    "updated_at": lambda record: (record.updated or record.created, record.id),
    "source_id": lambda record: (record.source_id is None, record.source_id, record.id),
}
_TIES: Final[dict[str, Callable[[Record], Any]]] = {
    "created_at": lambda record: record.created,
    "updated_at": lambda record: record.updated or record.created,
    "source_id": lambda record: record.id,  # ids are unique, so there are no ties
}


def tie_key(order: str) -> Callable[[Record], Any]:
    """The key by which customers tie in an order: those with equal keys have no defined order."""
    return _TIES[order]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFilter:
    """The conditions of a customer list; `None` and unbounded ranges match every customer."""

    email: str | None = None
    name: str | None = None
    city: str | None = None
    segment: Segment | None = None
    created: Bounds = UNBOUNDED
    updated: Bounds = UNBOUNDED

    def matches(self, record: Record) -> bool:
        """Whether a customer meets all conditions."""
        fields = record.fields
        return (
            (self.email is None or fields.get("email") == self.email)
            and (self.name is None or fields.get("name") == self.name)
            and (self.city is None or (record.address or {}).get("city") == self.city)
            and (self.segment is None or self.segment.holds(record))
            and self.created.contains(record.created)
            and self.updated.contains(record.updated)
        )


EVERYONE: Final = CustomerFilter()


class Index:
    """The customers that match a filter, in one order.

    Added customers are sorted in when the index is read.
    """

    def __init__(self, order: str, customer_filter: CustomerFilter, records: Iterable[Record]) -> None:
        """Sort the matching customers.

        Args:
            order: ``created_at``, ``updated_at`` or ``source_id``.
            customer_filter: The conditions of the list.
            records: All customers.
        """
        self._matches = None if customer_filter == EVERYONE else customer_filter.matches
        self._key = _KEYS[order]
        self._records = sorted(filter(self._matches, records) if self._matches else records, key=self._key)
        self._added: dict[str, Record] = {}
        self._removed = 0
        self.affected_by_updates = order != "created_at" or self._matches is not None
        """Whether a change of a customer can move it, add it or remove it."""

    def add(self, record: Record) -> None:
        """Add a customer if it matches the filter."""
        if self._matches is None or self._matches(record):
            self._added[record.id] = record

    def discard(self, record: Record) -> bool:
        """Remove a customer, if it is in the index. Call this before the customer changes.

        Returns:
            Whether the index is still usable. It is not after many removals, when a new one is cheaper, or if the
            customer is not at its position.
        """
        if self._added.pop(record.id, None) is not None or not (
            self._matches is None or self._matches(record)
        ):
            return True
        self._removed += 1
        if self._removed * _RESORT_RATIO > len(self._records):
            return False
        position = bisect.bisect_left(self._records, self._key(record), key=self._key)
        if self._records[position : position + 1] != [record]:  # changed without `discard`
            return False
        del self._records[position]
        return True

    def sorted_records(self) -> list[Record]:
        """The customers, in ascending order."""
        added, self._removed = self._added, 0
        if len(added) * _RESORT_RATIO > len(self._records):
            self._records += added.values()
            self._records.sort(key=self._key)
        else:
            for record in added.values():
                bisect.insort(self._records, record, key=self._key)
        added.clear()
        return self._records

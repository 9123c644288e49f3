"""What every rule of walking a list has in common. Pure: states and answers in, requests and states out.

A rule turns its state into the query of the next request, and an answer into the items that were not
delivered before and the next state. States are small and serialisable: a resume token is one, sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from voucherify_async.errors import PaginationError
from voucherify_async.models.base import is_mapping
from voucherify_async.transport.operation import Query

__all__ = [
    "DEFAULT_PAGE_SIZE",
    "MAX_PAGE",
    "MAX_PAGE_SIZE",
    "PageAnswer",
    "Rule",
    "Step",
    "fingerprint_of",
    "fingerprints_of",
    "item_id",
]

S = TypeVar("S")

MAX_PAGE: Final = 99
"""The highest page number that the service takes."""
MAX_PAGE_SIZE: Final = 100
"""The most items that the service puts on a page."""
DEFAULT_PAGE_SIZE: Final = 10
"""How many items the service puts on a page when it is not asked for a number."""


class PageAnswer(NamedTuple):
    """What a rule gets to know of an answer.

    Attributes:
        items: The decoded items; plain mappings where an item could not be decoded.
        has_more: What the service says; `None` if it does not.
        total: How many items there are in all, if the service says.
        more_starting_after: The id to go on after, if the service says.
        limit: The page size asked for; `None` if none was.
        date: The service's time when it answered, as HTTP writes it; `None` if it did not say.
    """

    items: Sequence[Any]
    has_more: bool | None = None
    total: int | None = None
    more_starting_after: str | None = None
    limit: int | None = None
    date: str | None = None


class Step(NamedTuple):
    """What a rule makes of an answer.

    Attributes:
        unseen: For each item whether it is to be delivered.
        state: Where to go on; `None` at the end.
        error: Why the walk cannot go on. The unseen items are delivered before it is raised.
    """

    unseen: Sequence[bool]
    state: Any
    error: PaginationError | None = None


class Rule(Protocol[S]):
    """How to walk a list. Write one of your own for a list that needs it, and give it to `paginate`.

    Attributes:
        name: Goes into resume tokens, so that they are refused by another rule.
        state_type: The type of the states: anything that msgspec can encode and decode.
    """

    name: str
    state_type: Any

    def start(self) -> S:
        """The state before the first request."""
        ...

    def query(self, state: S, base: Query, limit: int | None) -> Query:
        """The query of the next request: the caller's (`base`) and what the walk adds."""
        ...

    def advance(self, state: S, page: PageAnswer) -> Step:
        """What to deliver of an answer, and where to go on."""
        ...


def item_id(item: Any) -> str | None:
    """An item's own id, decoded or not."""
    found = item.get("id") if is_mapping(item) else getattr(item, "id", None)
    return found if isinstance(found, str) else None


def fingerprint_of(item: Any) -> int | None:
    """64 bits that stand for an item's id: memories go into resume tokens, ids are personal data."""
    found = item_id(item)
    if found is None:
        return None
    return int.from_bytes(
        hashlib.blake2b(found.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )


def fingerprints_of(items: Sequence[Any]) -> frozenset[int]:
    """The fingerprints of those items that have an id."""
    return frozenset(mark for mark in map(fingerprint_of, items) if mark is not None)

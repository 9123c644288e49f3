"""A list of customers that answers queries as values: the service as far as a walk sees it.

What it does differently from the sandbox's switches is what no document defines: a walk has to be right, or say
that it cannot be.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, TypeVar

from voucherify_async.models.customers import Customer
from voucherify_async.pagination.pager import Page, Pager
from voucherify_async.pagination.rules.base import PageAnswer, Rule, WalkRule
from voucherify_async.pagination.rules.created_at import CreatedAtRule
from voucherify_async.pagination.stream import Stream, plan

T = TypeVar("T")

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def at(milliseconds: float) -> dt.datetime:
    return EPOCH + dt.timedelta(milliseconds=milliseconds)


def customers(*counts: int, step: float = 10.0) -> dict[str, dt.datetime]:
    """So many customers at the first instant, so many at the next, and so on."""
    return {
        f"c{instant}-{number}": at(instant * step)
        for instant, count in enumerate(counts)
        for number in range(count)
    }


def cut(instant: dt.datetime, unit: dt.timedelta) -> dt.datetime:
    return instant - (instant - EPOCH) % unit


@dataclass
class _Sorted:
    """Customers by creation, with their instants as they are and as they are compared."""

    customers: Mapping[str, dt.datetime]
    keys: list[str]
    created: list[dt.datetime]
    compared: list[dt.datetime]
    by_source_id: dict[tuple[int, int], list[str]] = field(default_factory=dict[tuple[int, int], list[str]])


@dataclass
class Service:
    """The switches are what nobody knows about the real one.

    Attributes:
        customers: When each was created.
        strict: Whether `starting_after` excludes its own instant.
        inclusive_bounds: Whether bounds include their own instants.
        shuffled: Whether those that share an instant come in another order at each request.
        says_has_more: Whether it says so where it may.
        says_total: Whether it says how many there are; with `whole_total` always in all, whatever is asked for.
        queries_cut_to: To what the instants of queries are cut.
        compared_in: To what instants are cut when they are compared.
        shown_in: To what instants are cut when they are shown.
        most: The most customers on a page, whatever is asked for.
        repeats: Whether the first customer of a page comes twice.
        undated: Those that are shown without an instant.
        change: Is called with the number of each request before it is answered.
        removed: How many customers were deleted.
    """

    customers: dict[str, dt.datetime]
    strict: bool = True
    inclusive_bounds: bool = False
    shuffled: bool = False
    says_has_more: bool = True
    says_total: bool = True
    whole_total: bool = False
    queries_cut_to: dt.timedelta = dt.timedelta(microseconds=1)
    compared_in: dt.timedelta = dt.timedelta(microseconds=1)
    shown_in: dt.timedelta = dt.timedelta(microseconds=1)
    most: int = 100
    repeats: bool = False
    undated: frozenset[str] = frozenset()
    parameter: str = "starting_after"
    seed: int = 0
    change: Callable[[int], None] = lambda _: None
    removed: int = 0
    requests: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    _known: _Sorted | None = None

    def answer(self, query: Mapping[str, Any]) -> PageAnswer:
        self.change(len(self.requests))
        self.requests.append(query)
        order = query.get("order", "-created_at")
        descending = order.startswith("-")
        first, last = self._between(query.get("created_at") or {})
        total = len(self.customers) if self.whole_total else last - first
        after = query.get(self.parameter)
        if after is not None and descending:
            last = max(first, min(last, self._place(after, after_equals=not self.strict)))
        elif after is not None:
            first = min(last, max(first, self._place(after, after_equals=self.strict)))
        size = min(query.get("limit") or 10, self.most)
        begin = min((query.get("page", 1) - 1) * size, last - first)
        end = min(begin + size, last - first)
        if order.endswith("source_id"):
            keys = self._by_source_id(first, last)
            keys = keys[::-1][begin:end] if descending else keys[begin:end]
        elif descending:
            keys = self._keys(last - end, last - begin)[::-1]
        else:
            keys = self._keys(first + begin, first + end)
        page = [self._show(key, self.customers[key]) for key in keys]
        if self.repeats and page:
            page.insert(1, page[0])
        more = after is not None and self.says_has_more
        return PageAnswer(
            items=page,
            has_more=last - first > end if more else None,
            total=total if self.says_total else None,
            limit=query.get("limit"),
        )

    def remove(self, *keys: str) -> None:
        """Delete customers."""
        self.removed += len(keys)
        self.customers = {key: created for key, created in self.customers.items() if key not in keys}

    def add(self, new: Mapping[str, dt.datetime]) -> None:
        """Create customers."""
        self.customers = {**self.customers, **new}

    def _sorted(self) -> _Sorted:
        if self._known is None or self._known.customers is not self.customers:
            rows = sorted((created, _scattered(key), key) for key, created in self.customers.items())
            self._known = _Sorted(
                self.customers,
                [key for _, _, key in rows],
                [created for created, _, _ in rows],
                [cut(created, self.compared_in) for created, _, _ in rows],
            )
        return self._known

    def _place(self, instant: dt.datetime, *, after_equals: bool) -> int:
        """Where an instant belongs among the customers: before or after those who have it too."""
        instant = cut(cut(instant, self.queries_cut_to), self.compared_in)
        return (bisect_right if after_equals else bisect_left)(self._sorted().compared, instant)

    def _between(self, bounds: Mapping[str, Any]) -> tuple[int, int]:
        after, before = bounds.get("after"), bounds.get("before")
        first = 0 if after is None else self._place(after, after_equals=not self.inclusive_bounds)
        last = len(self.customers)
        if before is not None:
            last = self._place(before, after_equals=self.inclusive_bounds)
        return first, max(first, last)

    def _keys(self, first: int, last: int) -> list[str]:
        """Who is at these places. If ties are shuffled: as many of each tie, in any order."""
        rows, keys = self._sorted(), list[str]()
        if not self.shuffled:
            return rows.keys[first:last]
        chance = random.Random(f"{self.seed}.{len(self.requests)}")
        while first < last:
            created = rows.created[first]
            tie = rows.keys[bisect_left(rows.created, created) : bisect_right(rows.created, created)]
            end = min(last, bisect_right(rows.created, created))
            keys += chance.sample(tie, end - first)
            first = end
        return keys

    def _by_source_id(self, first: int, last: int) -> list[str]:
        rows = self._sorted()
        if (first, last) not in rows.by_source_id:
            rows.by_source_id[first, last] = sorted(rows.keys[first:last])
        return rows.by_source_id[first, last]

    def _show(self, key: str, created: dt.datetime) -> Customer:
        return Customer(id=key, created_at=None if key in self.undated else cut(created, self.shown_in))


@lru_cache(maxsize=100_000)
def _scattered(key: str) -> float:
    """An order that has nothing to do with the keys."""
    return random.Random(key).random()


@dataclass(frozen=True)
class ServiceListing:
    """A list of a service, for a `Pager`: without a client, and without waiting."""

    service: Any
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    on_invalid: Any = "raise"
    operation: Any = field(default_factory=lambda: SimpleNamespace(name="customers.list"))
    fingerprint: bytes = b"list"

    async def fetch(self, query: Mapping[str, Any]) -> tuple[PageAnswer, str | None]:
        return self.service.answer(query), None


def pager(
    rule: Rule[Any] | WalkRule,
    service: Any,
    *,
    limit: int | None = 100,
    cursor: str | None = None,
    **listing: Any,
) -> Pager[Any]:
    fake: Any = ServiceListing(service, **listing)
    return Pager(fake, rule, limit=limit, cursor=cursor)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that never waits returns: an event loop takes longer to start than it to run."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    raise AssertionError("it waits")


def walk(
    rule: Rule[Any] | WalkRule, service: Any, *, limit: int | None = 100, most: int = 100_000, **listing: Any
) -> list[str]:
    """The ids that an iteration delivers."""

    async def iterate() -> list[str]:
        found: list[str] = []
        async for item in pager(rule, service, limit=limit, **listing):
            found.append(item.id)
            assert len(service.requests) < most, "the walk does not end"
        return found

    return run(iterate())


def pages(
    rule: Rule[Any] | WalkRule, service: Any, *, limit: int | None = 100, **listing: Any
) -> list[Page[Any]]:
    """The pages of one iteration."""

    async def iterate() -> list[Page[Any]]:
        return [page async for page in pager(rule, service, limit=limit, **listing).pages()]

    return run(iterate())


def one_page(
    rule: Rule[Any] | WalkRule, service: Any, *, limit: int | None, cursor: str | None = None, **listing: Any
) -> Page[Any]:
    """One page, from a cursor on."""

    async def read() -> Page[Any]:
        return await pager(rule, service, limit=limit, cursor=cursor, **listing)

    return run(read())


def chain(
    rule: Rule[Any] | WalkRule,
    service: Any,
    *,
    limit: int | None = 100,
    costs: list[int] | None = None,
    **listing: Any,
) -> list[Page[Any]]:
    """The pages that one gets by giving each page's cursor to a new pager; `costs` gets the requests of each."""
    found: list[Page[Any]] = []
    cursor: str | None = None
    while not found or cursor is not None:
        before = len(service.requests)
        page = one_page(rule, service, limit=limit, cursor=cursor, **listing)
        found.append(page)
        cursor = page.next_cursor
        if costs is not None:
            costs.append(len(service.requests) - before)
        assert len(found) < 5_000, "the chain does not end"
    return found


def stream(_: WalkRule, service: Any, *, limit: int | None = 100) -> list[str]:  # as the other ways
    """The ids that a stream delivers, which walks newest first in windows, whatever the rule."""

    async def iterate() -> list[str]:
        listing: Any = ServiceListing(service)
        async with Stream[Any](listing, 4).feed() as items:
            return [item.id async for item in items]

    return asyncio.run(iterate())


def windows(_: WalkRule, service: Any, *, limit: int | None = 100) -> list[str]:
    """The ids that planned windows deliver, all together."""
    listing: Any = ServiceListing(service)
    planned = asyncio.run(plan(listing, 5, 4))
    assert len(planned) <= 5
    return [key for window in planned for key in walk(CreatedAtRule(window=window), service, limit=limit)]


def ids(found: list[Page[Any]]) -> list[str]:
    return [item.id for page in found for item in page.items]

"""A list of customers read in many windows at once, and windows planned for other workers."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar

from voucherify_async.pagination.ahead import Feed, gather_bare
from voucherify_async.pagination.by_number import page_at
from voucherify_async.pagination.created_at import CreatedAtRule, narrowed
from voucherify_async.pagination.pager import Listing, Reader
from voucherify_async.pagination.rules import MAX_PAGE_SIZE, Batch, PageAnswer, mark_of
from voucherify_async.pagination.timestamps import created_of
from voucherify_async.pagination.windows import Window, cut, instant_of, merge, milliseconds_of

__all__ = ["Stream", "plan"]

T = TypeVar("T")

_WORTH_CUTTING: Final = 2 * MAX_PAGE_SIZE
"""Customers that must be left in a window for it to be cut: the parts cost a page each, however few they hold."""


_HOP: Final = 9_800
"""How many customers page numbers reach over."""
_MAX_HOPS: Final = 9
"""Requests for the edge of a window."""
_SPANS: Final = 8
"""Spans of time that are counted for a window."""


class _Part(Generic[T]):
    """A window that is being read, newest first.

    Attributes:
        low: The millisecond it begins at; `None` for no limit.
        high: The millisecond after its end; `None` for no limit.
        expected: How many customers it was thought to have when it was cut off; `None` if nobody knows.
        delivered: How many customers it has delivered.
    """

    def __init__(self, listing: Listing[T], low: int | None, high: int | None, expected: int | None) -> None:
        self.low, self.high, self.expected = low, high, expected
        self.delivered = 0
        rule = CreatedAtRule(window=_window(low, high))
        self._walk = rule.begin(None, listing.query, MAX_PAGE_SIZE, stream=True)
        self._reader = Reader(listing, self._walk.run())

    async def next_batch(self) -> Batch | None:
        """What comes next of the window."""
        batch = await self._reader.next_batch()
        self.delivered += 0 if batch is None else len(batch.items)
        return batch

    def valid(self, items: Sequence[Any]) -> list[T]:
        """The items less those that cannot be decoded, which are reported."""
        return self._reader.valid(items)

    @property
    def reached(self) -> int | None:
        """The millisecond from which on everything is delivered, or being read."""
        return None if self._walk.since is None else milliseconds_of(self._walk.since)

    def end_at(self, low: int) -> None:
        """Leave what was created before a millisecond to others."""
        self.low = low
        self._walk.narrow(instant_of(low), None if self.high is None else instant_of(self.high))


def _ignore(_: object) -> None:
    pass


def _window(low: int | None, high: int | None) -> Window:
    return Window(
        created_from=None if low is None else instant_of(low),
        created_before=None if high is None else instant_of(high),
    )


class Stream(Generic[T]):
    """Reads a list in windows, several at once.

    It begins with one window, the whole list. Whenever a reader has nothing to do, the readers that have
    much left each cut off parts of what they have not reached yet. So a window that proves dense is cut
    again and again, and nobody waits for the largest.
    """

    def __init__(self, listing: Listing[T], concurrency: int) -> None:
        self._listing = listing
        self._concurrency = concurrency
        self._waiting: deque[_Part[T]] = deque([_Part(listing, None, None, None)])
        self._idle = 0
        self._changed = asyncio.Condition()
        self._oldest: int | None = None
        self._undated: set[bytes] = set()
        self._is_counted = True
        """Whether totals are of the windows that they are asked for."""

    def feed(self) -> Feed[T]:
        """The context manager in which it is read."""
        return Feed("stream", self._read_all, room=2 * self._concurrency)

    async def _read_all(self, feed: Feed[T]) -> None:
        await gather_bare(self._find_oldest(), *(self._read(feed) for _ in range(self._concurrency)))

    async def _find_oldest(self) -> None:
        """Where the list ends; until that is known no window is cut."""
        rule = CreatedAtRule(descending=False)
        listing = replace(self._listing, on_invalid=_ignore)  # it is reported when it is read
        batch = await Reader(listing, rule.walk(None, listing.query, 1, stream=False)).next_batch()
        instant = created_of(batch.items[0]) if batch is not None and batch.items else None
        self._oldest = 0 if instant is None else milliseconds_of(instant)

    async def _read(self, feed: Feed[T]) -> None:
        while (part := await self._next_part()) is not None:
            more: bool | None = True
            while more is not False:
                await feed.reserve()
                batch = await part.next_batch()
                feed.deliver(() if batch is None else part.valid(self._without_repeated(batch.items)))
                more = False if batch is None else batch.more
                if batch is not None and more is not False:
                    await self._cut(part, batch)

    async def _next_part(self) -> _Part[T] | None:
        async with self._changed:
            self._idle += 1
            if self._idle == self._concurrency and not self._waiting:
                self._changed.notify_all()  # that was the last
            await self._changed.wait_for(lambda: self._waiting or self._idle == self._concurrency)
            if not self._waiting:
                return None
            self._idle -= 1
            return self._waiting.popleft()

    def _without_repeated(self, items: Sequence[Any]) -> Sequence[Any]:
        """What has no creation time can be in two windows that meet."""
        undated = [mark_of(item) for item in items if getattr(item, "created_at", None) is None]
        if not undated:
            return items
        known = self._undated.intersection(undated)
        self._undated.update(undated)
        return [item for item in items if item.created_at is not None or mark_of(item) not in known]

    async def _cut(self, part: _Part[T], batch: Batch) -> None:
        """Leave some of what has not been reached yet to readers that have nothing to do."""
        reached = part.reached
        if not self._idle or self._waiting or self._oldest is None or reached is None:
            return
        low = self._oldest if part.low is None else part.low
        left = self._left(part, batch, low, reached)
        if left < _WORTH_CUTTING:
            return
        edges = cut(low, reached, min(2 * self._concurrency, 1 + left // MAX_PAGE_SIZE))
        if not edges:
            return
        async with self._changed:
            parts = zip([part.low, *edges], edges, strict=False)
            self._waiting.extend(_Part(self._listing, begin, end, left) for begin, end in parts)
            part.end_at(edges[-1])
            part.expected = left
            self._changed.notify_all()

    def _left(self, part: _Part[T], batch: Batch, low: int, reached: int) -> int:
        """How many customers a window still has, as the service says, or else by the density of the page."""
        if (
            batch.total is not None
            and part.expected is not None
            and batch.total > part.expected + part.delivered
        ):
            self._is_counted = False  # it cannot have more than what it was cut off from
        if batch.total is not None and self._is_counted:
            return batch.total - part.delivered
        created = [instant for item in batch.items if (instant := created_of(item)) is not None]
        newest = max(map(milliseconds_of, created), default=reached)
        return len(batch.items) * (reached - low) // max(1, newest - reached)


# ---------------------------------------------------------------- windows for others


async def plan(listing: Listing[Any], count: int, concurrency: int) -> tuple[Window, ...]:
    """Windows of about the same size, at most `count` of them, which together are the whole list."""
    # What cannot be decoded is reported when it is read.
    planner = _Planner(replace(listing, on_invalid=_ignore), concurrency)
    bounds = [None, *map(instant_of, await planner.edges(count)), None]
    return tuple(Window(created_from=begin, created_before=end) for begin, end in pairwise(bounds))


class _Planner:
    """Looks for the milliseconds at which to cut a list, with far fewer requests than to read it."""

    def __init__(self, listing: Listing[Any], concurrency: int) -> None:
        self._listing = listing
        self._gate = asyncio.Semaphore(concurrency)

    async def edges(self, count: int) -> list[int]:
        """Where to cut into at most so many windows.

        It goes from one edge to the next by page number: that is one request for 9,800 customers. Where that is
        too slow, it counts the customers of equal spans of time. Where the service does not count them, windows
        are as long as each other.
        """
        first = await self._look(limit=1)
        low, total = _millisecond(first, 0), first.total
        if low is None:
            return []
        if total is not None:
            count = min(count, max(1, total // MAX_PAGE_SIZE))
            if total // count < _MAX_HOPS * _HOP and (edges := await self._hop(total, count)) is not None:
                return edges
        if count == 1:
            return []
        high = _millisecond(await self._look(limit=1, order="-created_at"), 0) or low
        spans = cut(low, high + 1, _SPANS * count) if total is not None else []
        counts = await gather_bare(*(self._count(*span) for span in pairwise([low, *spans, high + 1])))
        if total is None or sum(counts) > total + total // 10:
            return cut(low, high + 1, count)
        return merge(list(zip([low, *spans], counts, strict=True)), count)

    async def _hop(self, total: int, count: int) -> list[int] | None:
        """The edges, customer by customer; `None` if there are fewer than the service says."""
        edges: list[int] = []
        passed, after = 0, None
        for number in range(1, count):
            edge = None
            while passed < (goal := total * number // count):
                hop = min(goal - passed, _HOP)
                found = await self._at(after, hop)
                if found is None:
                    return edges or None
                if after is not None and found <= after:
                    break  # the next edge is in the same millisecond
                edge, after, passed = found, found, passed + hop
            if edge is not None:
                edges.append(edge)
        return edges

    async def _at(self, after: int | None, place: int) -> int | None:
        """The millisecond of the customer before which come so many since a millisecond."""
        asked = page_at(place, MAX_PAGE_SIZE, 1)
        assert asked is not None  # noqa: S101  # for the type checker: hops are short enough
        since = None if after is None else instant_of(after - 1)
        page = await self._look(limit=asked[0], page=asked[1], created_after=since)
        return _millisecond(page, place % asked[0])

    async def _count(self, begin: int, end: int) -> int:
        async with self._gate:
            page = await self._look(
                limit=1, created_after=instant_of(begin - 1), created_before=instant_of(end)
            )
        return page.total or 0

    async def _look(
        self,
        *,
        order: str = "created_at",
        created_after: dt.datetime | None = None,
        created_before: dt.datetime | None = None,
        **query: Any,
    ) -> PageAnswer:
        base = self._listing.query
        bounds = narrowed(base.get("created_at"), created_after, created_before)
        fetched = await self._listing.fetch({**base, **query, "order": order, "created_at": bounds})
        return fetched.page


def _millisecond(page: PageAnswer, index: int) -> int | None:
    """The millisecond in which an item of a page was created."""
    instant = created_of(page.items[index]) if index < len(page.items) else None
    return None if instant is None else milliseconds_of(instant)

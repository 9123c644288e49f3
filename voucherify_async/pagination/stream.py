"""A list of customers read in many windows at once, and windows planned for other workers."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from voucherify_async._tasks import gather
from voucherify_async.pagination.pager import Listing, Reader
from voucherify_async.pagination.prefetch import PrefetchQueue
from voucherify_async.pagination.rules.base import MAX_PAGE_SIZE, Batch, PageAnswer, mark_of
from voucherify_async.pagination.rules.created_at import CreatedAtRule, narrowed
from voucherify_async.pagination.rules.page_number import page_at
from voucherify_async.pagination.rules.timestamps import created_of
from voucherify_async.pagination.windows import Window, cut, instant_of, merge, milliseconds_of

__all__ = ["Stream", "plan"]

T = TypeVar("T")

_WORTH_CUTTING: Final = 2 * MAX_PAGE_SIZE
"""Customers that must be left in a window for it to be cut: the parts cost a page each, however few they hold."""


_HOP: Final = 9_800
"""The most customers that one request by page number may skip."""
_MAX_HOPS: Final = 9
"""Requests for the edge of a window."""
_SPANS: Final = 8
"""Spans of time that are counted for a window."""


class _Part(Generic[T]):
    """A window that is being read, newest first.

    Attributes:
        low: The millisecond it begins at; `None` for no limit.
        high: The millisecond after its end; `None` for no limit.
        most: How many customers it can have at most; `None` if nobody knows.
        delivered: How many customers it has delivered.
        left: About how many it still has; 0 until it has been answered.
    """

    def __init__(self, listing: Listing[T], low: int | None, high: int | None, most: int | None) -> None:
        self.low, self.high, self.most = low, high, most
        self.delivered = self.left = 0
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

    It begins with one window, the whole list. A reader that has nothing to do cuts the window that has most left,
    and takes over a part of what has not been reached yet. So a window that proves dense is cut again and
    again, and nobody waits for the largest.
    """

    def __init__(self, listing: Listing[T], concurrency: int) -> None:
        self._listing = listing
        self._concurrency = concurrency
        self._waiting: deque[_Part[T]] = deque([_Part(listing, None, None, None)])
        self._reading: list[_Part[T]] = []
        self._idle = 0
        self._changed = asyncio.Condition()
        self._oldest: int | None = None
        self._undated: set[bytes] = set()
        self._is_counted = True
        """Whether totals are of the windows that they are asked for."""

    def feed(self) -> PrefetchQueue[T]:
        """The context manager in which it is read."""
        return PrefetchQueue("stream", self._read_all, room=2 * self._concurrency)

    async def _read_all(self, feed: PrefetchQueue[T]) -> None:
        await gather(self._find_oldest(), *(self._read(feed) for _ in range(self._concurrency)))

    async def _find_oldest(self) -> None:
        """Where the list ends; until that is known no window is cut."""
        rule = CreatedAtRule(descending=False)
        listing = replace(self._listing, on_invalid=_ignore)  # it is reported when it is read
        batch = await Reader(listing, rule.walk(None, listing.query, 1, stream=False)).next_batch()
        instant = created_of(batch.items[0]) if batch is not None and batch.items else None
        async with self._changed:
            self._oldest = 0 if instant is None else milliseconds_of(instant)
            self._changed.notify_all()

    async def _read(self, feed: PrefetchQueue[T]) -> None:
        while (part := await self._next_part()) is not None:
            more: bool | None = True
            while more is not False:
                await feed.reserve()
                low = part.low
                batch = await part.next_batch()
                feed.deliver(() if batch is None else part.valid(self._without_repeated(batch.items)))
                more = False if batch is None else batch.more
                if batch is not None and more is not False:
                    self._estimate(part, batch, is_whole=low == part.low)
                    await self._wake()
            self._reading.remove(part)

    async def _next_part(self) -> _Part[T] | None:
        async with self._changed:
            self._idle += 1
            while not (self._waiting or self._cut()):
                if not self._reading:
                    self._changed.notify_all()  # that was the last
                    return None
                await self._changed.wait()
            self._idle -= 1
            part = self._waiting.popleft()
            self._reading.append(part)
            return part

    async def _wake(self) -> None:
        """Let idle readers check whether there is a window to cut."""
        if self._idle:
            async with self._changed:
                self._changed.notify_all()

    def _cut(self) -> bool:
        """Cut the window that has most left into parts for the idle readers, if it has enough left."""
        for part in sorted(self._reading, key=attrgetter("left"), reverse=True):
            reached, low = part.reached, self._oldest if part.low is None else part.low
            if part.left < _WORTH_CUTTING:
                return False
            if reached is None or low is None:
                continue
            edges = cut(low, reached, min(1 + self._idle, 1 + part.left // MAX_PAGE_SIZE))
            if edges:
                parts = zip([part.low, *edges], edges, strict=False)
                self._waiting.extend(_Part(self._listing, begin, end, part.left) for begin, end in parts)
                part.end_at(edges[-1])
                part.most = part.left + part.delivered
                part.left //= 1 + len(edges)
                self._changed.notify_all()
                return True
        return False

    def _estimate(self, part: _Part[T], batch: Batch, *, is_whole: bool) -> None:
        """How many customers a window still has, as the service says, or else by the density of the page.

        Args:
            part: The window.
            batch: What has just been read of it.
            is_whole: Whether nothing was cut off from it meanwhile.
        """
        if batch.total is not None and part.most is not None and batch.total > part.most:
            self._is_counted = False  # it cannot have more than what it was cut off from
        reached, low = part.reached, self._oldest if part.low is None else part.low
        if not is_whole:
            part.left = max(0, part.left - len(batch.items))
        elif batch.total is not None and self._is_counted:
            part.left = batch.total - part.delivered
        elif reached is not None and low is not None:
            created = [instant for item in batch.items if (instant := created_of(item)) is not None]
            newest = max(map(milliseconds_of, created), default=reached)
            part.left = len(batch.items) * (reached - low) // max(1, newest - reached)

    def _without_repeated(self, items: Sequence[Any]) -> Sequence[Any]:
        """The items less those without a creation time that another window has delivered."""
        undated = [mark_of(item) for item in items if getattr(item, "created_at", None) is None]
        if not undated:
            return items
        known = self._undated.intersection(undated)
        self._undated.update(undated)
        return [item for item in items if item.created_at is not None or mark_of(item) not in known]


# ---------------------------------------------------------------- windows for others


async def plan(listing: Listing[Any], count: int, concurrency: int) -> tuple[Window, ...]:
    """Plan at most `count` windows of about the same size, which together cover the whole list."""
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
        equal = cut(low, high + 1, count)
        if total is None:
            return equal
        spans = cut(low, high + 1, _SPANS * count)
        counts = await gather(*(self._count(*span) for span in pairwise([low, *spans, high + 1])))
        if sum(counts) > total + total // 10:
            return equal  # they are not the numbers of what the spans have
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
        """The millisecond in which the customer at a place was created, counted from another millisecond."""
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

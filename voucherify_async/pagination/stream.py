"""Reading a list of customers in several windows at once, and planning windows for separate workers.

`Stream` starts with one window: the whole list. Each of its readers takes a window and reads it newest first. A
reader without a window splits the window with the most remaining customers:

- Everything from the position of its reader on, `reached`, is delivered or being read, and stays with that reader.
- What is older than `reached` is cut at whole seconds into parts of about equal length. The reader keeps the newest
  part; its walk is narrowed while it runs. The other parts are queued as new windows.

So at any time every millisecond of the list is in exactly one window, and dense windows are split again. A window is
only split after its first response, and after the oldest customer of the list is known. The remaining number of
customers is the `total` of the response minus those delivered, or an estimate from the density of the last page if
the service does not return usable totals.

`plan` finds windows of about equal size without reading the list; see `_Planner.edges`.
"""

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
from voucherify_async.pagination.rules.base import MAX_PAGE_SIZE, Batch, PageAnswer, item_digest
from voucherify_async.pagination.rules.created_at import CreatedAtRule, intersect_bounds
from voucherify_async.pagination.rules.page_number import page_at
from voucherify_async.pagination.rules.timestamps import created_at_of
from voucherify_async.pagination.windows import (
    Window,
    from_milliseconds,
    merge_spans,
    split_span,
    to_milliseconds,
)

__all__ = ["Stream", "plan"]

T = TypeVar("T")

_MIN_SPLIT: Final = 2 * MAX_PAGE_SIZE
"""The fewest remaining customers for which a window is split: each part costs at least one request."""

_MAX_SKIP: Final = 9_800
"""The most customers that one request by page number may skip."""
_MAX_SKIPS: Final = 9
"""The most requests by page number for one edge of a window."""
_SPANS_PER_WINDOW: Final = 8
"""The number of time spans to count customers in, per planned window."""


class _WindowReader(Generic[T]):
    """Reads one window, newest first.

    Attributes:
        low: The start of the window in milliseconds, inclusive; `None` for no limit.
        high: The end of the window in milliseconds, exclusive; `None` for no limit.
        max_size: The most customers that the window can have; `None` if unknown.
        delivered: The number of customers delivered.
        remaining: The estimated number of customers not yet delivered; 0 before the first response.
    """

    def __init__(self, listing: Listing[T], low: int | None, high: int | None, max_size: int | None) -> None:
        self.low, self.high, self.max_size = low, high, max_size
        self.delivered = self.remaining = 0
        rule = CreatedAtRule(window=_window(low, high))
        self._walk = rule.create_walk(None, listing.query, MAX_PAGE_SIZE, stream=True)
        self._reader = Reader(listing, self._walk.run())

    async def next_batch(self) -> Batch | None:
        """The next batch of the window; `None` at its end."""
        batch = await self._reader.next_batch()
        self.delivered += 0 if batch is None else len(batch.items)
        return batch

    def valid(self, items: Sequence[Any]) -> list[T]:
        """The valid items; the invalid ones are passed to `on_invalid`."""
        return self._reader.valid(items)

    @property
    def reached(self) -> int | None:
        """The millisecond from which on everything is delivered or being read; `None` before the first response."""
        return None if self._walk.since is None else to_milliseconds(self._walk.since)

    def set_low(self, low: int) -> None:
        """Move the start of the window to `low`; customers created before are not delivered here."""
        self.low = low
        self._walk.narrow(from_milliseconds(low), None if self.high is None else from_milliseconds(self.high))


def _ignore(_: object) -> None:
    pass


def _window(low: int | None, high: int | None) -> Window:
    return Window(
        created_from=None if low is None else from_milliseconds(low),
        created_before=None if high is None else from_milliseconds(high),
    )


class Stream(Generic[T]):
    """Reads a list in several windows at once; the module docstring explains how."""

    def __init__(self, listing: Listing[T], concurrency: int) -> None:
        self._listing = listing
        self._concurrency = concurrency
        self._waiting: deque[_WindowReader[T]] = deque([_WindowReader(listing, None, None, None)])
        self._reading: list[_WindowReader[T]] = []
        self._idle = 0
        self._changed = asyncio.Condition()
        self._oldest: int | None = None
        self._undated: set[bytes] = set()
        self._totals_are_filtered = True
        """Whether the `total` of a response counts only the requested window."""

    def feed(self) -> PrefetchQueue[T]:
        """The async context manager from which the customers are read."""
        return PrefetchQueue("stream", self._read_all, max_batches=2 * self._concurrency)

    async def _read_all(self, queue: PrefetchQueue[T]) -> None:
        await gather(self._find_oldest(), *(self._read_windows(queue) for _ in range(self._concurrency)))

    async def _find_oldest(self) -> None:
        """Look up when the oldest customer was created. No window is split before that is known."""
        rule = CreatedAtRule(descending=False)
        # An invalid customer is reported when its window is read.
        listing = replace(self._listing, on_invalid=_ignore)
        batch = await Reader(listing, rule.walk(None, listing.query, 1, stream=False)).next_batch()
        instant = created_at_of(batch.items[0]) if batch is not None and batch.items else None
        async with self._changed:
            self._oldest = 0 if instant is None else to_milliseconds(instant)
            self._changed.notify_all()

    async def _read_windows(self, queue: PrefetchQueue[T]) -> None:
        """Read one window after another until none is left."""
        while (window := await self._next_window()) is not None:
            more: bool | None = True
            while more is not False:
                await queue.reserve()
                low = window.low
                batch = await window.next_batch()
                queue.put(() if batch is None else window.valid(self._without_repeated(batch.items)))
                more = False if batch is None else batch.more
                if batch is not None and more is not False:
                    self._estimate(window, batch, is_unsplit=low == window.low)
                    await self._notify_idle()
            self._reading.remove(window)

    async def _next_window(self) -> _WindowReader[T] | None:
        """Take a window from the queue, or wait for one; `None` when all windows have been read."""
        async with self._changed:
            self._idle += 1
            while not (self._waiting or self._split()):
                if not self._reading:
                    self._changed.notify_all()  # the list has ended: wake the other readers
                    return None
                await self._changed.wait()
            self._idle -= 1
            window = self._waiting.popleft()
            self._reading.append(window)
            return window

    async def _notify_idle(self) -> None:
        """Let idle readers check whether a window can be split."""
        if self._idle:
            async with self._changed:
                self._changed.notify_all()

    def _split(self) -> bool:
        """Split the window with the most remaining customers for the idle readers; false if none is large enough."""
        for window in sorted(self._reading, key=attrgetter("remaining"), reverse=True):
            reached, low = window.reached, self._oldest if window.low is None else window.low
            if window.remaining < _MIN_SPLIT:
                return False
            if reached is None or low is None:
                continue
            edges = split_span(low, reached, min(1 + self._idle, 1 + window.remaining // MAX_PAGE_SIZE))
            if edges:
                parts = zip([window.low, *edges], edges, strict=False)
                self._waiting.extend(
                    _WindowReader(self._listing, begin, end, window.remaining) for begin, end in parts
                )
                window.set_low(edges[-1])
                window.max_size = window.remaining + window.delivered
                window.remaining //= 1 + len(edges)
                self._changed.notify_all()
                return True
        return False

    def _estimate(self, window: _WindowReader[T], batch: Batch, *, is_unsplit: bool) -> None:
        """Estimate the remaining customers of a window, by the `total` or else by the density of the last page.

        Args:
            window: The window.
            batch: The last batch of it.
            is_unsplit: Whether the window was not split while the batch was requested.
        """
        if batch.total is not None and window.max_size is not None and batch.total > window.max_size:
            self._totals_are_filtered = (
                False  # a part cannot have more customers than the window it was split from
            )
        reached, low = window.reached, self._oldest if window.low is None else window.low
        if not is_unsplit:
            window.remaining = max(0, window.remaining - len(batch.items))
        elif batch.total is not None and self._totals_are_filtered:
            window.remaining = batch.total - window.delivered
        elif reached is not None and low is not None:
            created = [instant for item in batch.items if (instant := created_at_of(item)) is not None]
            newest = max(map(to_milliseconds, created), default=reached)
            window.remaining = len(batch.items) * (reached - low) // max(1, newest - reached)

    def _without_repeated(self, items: Sequence[Any]) -> Sequence[Any]:
        """The items without those that have no creation time and were delivered from another window."""
        undated = [item_digest(item) for item in items if getattr(item, "created_at", None) is None]
        if not undated:
            return items
        known = self._undated.intersection(undated)
        self._undated.update(undated)
        return [item for item in items if item.created_at is not None or item_digest(item) not in known]


# ---------------------------------------------------------------- planned windows


async def plan(listing: Listing[Any], count: int, concurrency: int) -> tuple[Window, ...]:
    """Plan at most `count` windows of about equal size that together cover the whole list."""
    # Invalid customers are reported when the windows are read.
    planner = _Planner(replace(listing, on_invalid=_ignore), concurrency)
    bounds = [None, *map(from_milliseconds, await planner.edges(count)), None]
    return tuple(Window(created_from=begin, created_before=end) for begin, end in pairwise(bounds))


class _Planner:
    """Finds the times at which to split a list, with far fewer requests than reading it takes."""

    def __init__(self, listing: Listing[Any], concurrency: int) -> None:
        self._listing = listing
        self._semaphore = asyncio.Semaphore(concurrency)

    async def edges(self, count: int) -> list[int]:
        """The times, in milliseconds, that split the list into at most `count` windows.

        Normally it finds each edge by page number, starting from the edge before: one request per 9,800 customers.
        If that takes too many requests, it counts the customers of equal time spans and merges the spans. If the
        service returns no usable `total`, the windows have equal length.
        """
        first = await self._fetch(limit=1)
        low, total = _millisecond(first, 0), first.total
        if low is None:
            return []
        if total is not None:
            count = min(count, max(1, total // MAX_PAGE_SIZE))
            if total // count < _MAX_SKIPS * _MAX_SKIP:
                edges = await self._edges_by_page_number(total, count)
                if edges is not None:
                    return edges
        if count == 1:
            return []
        high = _millisecond(await self._fetch(limit=1, order="-created_at"), 0) or low
        equal = split_span(low, high + 1, count)
        if total is None:
            return equal
        spans = split_span(low, high + 1, _SPANS_PER_WINDOW * count)
        counts = await gather(*(self._count(*span) for span in pairwise([low, *spans, high + 1])))
        if sum(counts) > total + total // 10:
            return equal  # the totals do not count the spans
        return merge_spans(list(zip([low, *spans], counts, strict=True)), count)

    async def _edges_by_page_number(self, total: int, count: int) -> list[int] | None:
        """Find the edges by position in the list; `None` if the list ends before the first one."""
        edges: list[int] = []
        passed, after = 0, None
        for number in range(1, count):
            edge = None
            while passed < (goal := total * number // count):
                skip = min(goal - passed, _MAX_SKIP)
                found = await self._millisecond_at(after, skip)
                if found is None:
                    return edges or None
                if after is not None and found <= after:
                    break  # the next edge is in the same millisecond
                edge, after, passed = found, found, passed + skip
            if edge is not None:
                edges.append(edge)
        return edges

    async def _millisecond_at(self, after: int | None, position: int) -> int | None:
        """The millisecond in which the customer at a position was created; `None` if the list is shorter.

        Positions are counted from the millisecond `after`, or from the beginning of the list if that is `None`.
        """
        requested = page_at(position, MAX_PAGE_SIZE, 1)
        assert requested is not None  # noqa: S101  # for the type checker: the position is at most _MAX_SKIP
        since = None if after is None else from_milliseconds(after - 1)
        page = await self._fetch(limit=requested[0], page=requested[1], created_after=since)
        return _millisecond(page, position % requested[0])

    async def _count(self, begin: int, end: int) -> int:
        async with self._semaphore:
            page = await self._fetch(
                limit=1, created_after=from_milliseconds(begin - 1), created_before=from_milliseconds(end)
            )
        return page.total or 0

    async def _fetch(
        self,
        *,
        order: str = "created_at",
        created_after: dt.datetime | None = None,
        created_before: dt.datetime | None = None,
        **query: Any,
    ) -> PageAnswer:
        base = self._listing.query
        bounds = intersect_bounds(base.get("created_at"), created_after, created_before)
        page, _ = await self._listing.fetch({**base, **query, "order": order, "created_at": bounds})
        return page


def _millisecond(page: PageAnswer, index: int) -> int | None:
    """When an item of a page was created, in milliseconds; `None` if it is missing or has no timestamp."""
    instant = created_at_of(page.items[index]) if index < len(page.items) else None
    return None if instant is None else to_milliseconds(instant)

"""A list of customers read in many windows at once."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar

from voucherify_async.errors import DecodeError
from voucherify_async.pagination.ahead import Feed, gather_bare
from voucherify_async.pagination.created_at import CreatedAtRule
from voucherify_async.pagination.pager import Listing, Page, Pager
from voucherify_async.pagination.rules import MAX_PAGE_SIZE, Step, fingerprint_of
from voucherify_async.pagination.timestamps import TimestampState
from voucherify_async.pagination.windows import Window, cut, instant_of, merge, milliseconds_of

__all__ = ["Stream", "plan"]

T = TypeVar("T")

_WORTH_CUTTING: Final = 2 * MAX_PAGE_SIZE
"""Customers that must be left in a window for it to be cut: the parts cost a page each, however few they hold."""

_FINENESS: Final = 8
"""How many of the spans that are counted go into a window that is planned; more make windows more equal."""

_MOST_ROUNDS: Final = 12
"""Rounds of counting for a plan; eight parts a round bring forty years down to a few milliseconds."""


@dataclass(slots=True)
class _Part:
    """A window that is being read, newest first.

    Attributes:
        low: The millisecond it begins at; `None` for no limit.
        high: The millisecond after its end; `None` for no limit.
        state: How far the walk through it has come.
        delivered: How many customers it has delivered.
    """

    low: int | None
    high: int | None
    state: TimestampState = field(default_factory=TimestampState)
    delivered: int = 0

    @property
    def window(self) -> Window:
        return Window(
            created_from=None if self.low is None else instant_of(self.low),
            created_before=None if self.high is None else instant_of(self.high),
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
        self._waiting: deque[_Part] = deque([_Part(None, None)])
        self._idle = 0
        self._changed = asyncio.Condition()
        self._oldest: int | None = None
        self._undated: set[int | None] = set()

    def feed(self) -> Feed[T]:
        """The context manager in which it is read."""
        return Feed(self._read_all, room=2 * self._concurrency)

    async def _read_all(self, feed: Feed[T]) -> None:
        await gather_bare(self._find_oldest(), *(self._read(feed) for _ in range(self._concurrency)))

    async def _find_oldest(self) -> None:
        """Where the list ends; until that is known no window is cut."""
        self._oldest = await _first_of(self._listing, descending=False) or 0

    async def _read(self, feed: Feed[T]) -> None:
        while (part := await self._next_part()) is not None:
            more = True
            while more:
                await feed.reserve()
                page, step = await self._read_page(part)
                feed.deliver(page.items)
                if step.error is not None:
                    raise step.error
                more = step.state is not None
                if more:
                    part.state = step.state
                    await self._cut(part, page)

    async def _next_part(self) -> _Part | None:
        async with self._changed:
            self._idle += 1
            if self._idle == self._concurrency and not self._waiting:
                self._changed.notify_all()  # that was the last
            await self._changed.wait_for(lambda: self._waiting or self._idle == self._concurrency)
            if not self._waiting:
                return None
            self._idle -= 1
            return self._waiting.popleft()

    async def _read_page(self, part: _Part) -> tuple[Page[T], Step]:
        rule = CreatedAtRule(window=part.window)
        page, step = await Pager(self._listing, rule).read(part.state, MAX_PAGE_SIZE)
        part.delivered += len(page.items)
        return self._without_repeated(page), step

    def _without_repeated(self, page: Page[T]) -> Page[T]:
        """What has no creation time can be in two windows that meet."""
        undated: list[Any] = [item for item in page.items if getattr(item, "created_at", None) is None]
        if not undated:
            return page
        known = {id(item) for item in undated if fingerprint_of(item) in self._undated}
        self._undated.update(map(fingerprint_of, undated))
        return Page(tuple(item for item in page.items if id(item) not in known), page.has_more, page.total)

    async def _cut(self, part: _Part, page: Page[T]) -> None:
        """Leave some of what has not been reached yet to readers that have nothing to do."""
        if not self._idle or self._waiting or self._oldest is None or part.state.at is None:
            return
        low = self._oldest if part.low is None else part.low
        reached = -part.state.at
        left = self._left(part, page, low, reached)
        if left < _WORTH_CUTTING:
            return
        edges = cut(low, reached, min(2 * self._concurrency, 1 + left // MAX_PAGE_SIZE))
        if not edges:
            return
        async with self._changed:
            parts = zip([part.low, *edges], edges, strict=False)
            self._waiting.extend(_Part(begin, end) for begin, end in parts)
            part.low = edges[-1]
            self._changed.notify_all()

    def _left(self, part: _Part, page: Page[T], low: int, reached: int) -> int:
        """How many customers a window still has, as the service says, or else by the density of the page."""
        if page.total is not None:
            return page.total - part.delivered
        newest = max(
            (milliseconds_of(item.created_at) for item in page.items if item.created_at is not None),  # type: ignore[attr-defined]
            default=reached,
        )
        return len(page.items) * (reached - low) // max(1, newest - reached)


async def plan(listing: Listing[Any], count: int, concurrency: int) -> tuple[Window, ...]:
    """Windows of about the same size, at most `count` of them, which together are the whole list."""
    ends = [await _first_of(listing, descending=descending) for descending in (False, True)]
    if None in ends:
        return (Window(),)
    low, high = (end or 0 for end in ends)
    spans = await _counted(listing, low, high + 1, count * _FINENESS, concurrency)
    edges = cut(low, high + 1, count) if spans is None else merge(spans, count)
    bounds = [None, *map(instant_of, edges), None]
    return tuple(Window(created_from=begin, created_before=end) for begin, end in pairwise(bounds))


def _quiet(listing: Listing[Any]) -> Listing[Any]:
    """The list for a look that delivers nothing: what cannot be decoded is told when it is read."""
    return replace(listing, on_invalid=_ignore)


def _ignore(_: DecodeError) -> None:
    pass


async def _first_of(listing: Listing[Any], *, descending: bool) -> int | None:
    rule = CreatedAtRule(descending=descending)
    page, _ = await Pager(_quiet(listing), rule).read(rule.start(), 1)
    created = [item.created_at for item in page.items if item.created_at is not None]
    return milliseconds_of(created[0]) if created else None


async def _counted(
    listing: Listing[Any], low: int, high: int, parts: int, concurrency: int
) -> list[tuple[int, int]] | None:
    """Spans small enough, each with how many customers it has; `None` if the service does not count them."""
    gate = asyncio.Semaphore(concurrency)

    async def count(begin: int, end: int) -> int | None:
        async with gate:
            rule = CreatedAtRule(window=_Part(begin, end).window)
            page, _ = await Pager(_quiet(listing), rule).read(rule.start(), 1)
            return page.total

    total = await count(low, high)
    if total is None:
        return None
    spans = [(low, high, total)]
    for _ in range(_MOST_ROUNDS):
        dense = [span for span in spans if span[2] * parts > total and span[1] - span[0] > 1]
        if not dense:
            break
        pieces = [
            piece for begin, end, _ in dense for piece in pairwise([begin, *cut(begin, end, _FINENESS), end])
        ]
        counts = await gather_bare(*(count(*piece) for piece in pieces))
        counted = [(*piece, found or 0) for piece, found in zip(pieces, counts, strict=True)]
        spans = sorted([*(span for span in spans if span not in dense), *counted])
    return [(begin, found) for begin, _, found in spans]

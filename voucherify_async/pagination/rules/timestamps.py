"""Walks by timestamp, exact even where many items have the same one. No I/O.

**Problem.** A request can only say "items after timestamp t". Items with the same timestamp may be on both sides of a
page boundary, and the order in which the service returns them is undocumented and may change between requests.

**Groups.** A *group* is all items of one millisecond. It is *closed* if a later item is known, or the list has
ended: all its items are known. The last group of a response is *open*: the next page may have more of it.

**State.** Everything before the last delivered timestamp is delivered and everything after it is not. A state is that
timestamp plus the items delivered at it: as up to 16 digests, or as "all items up to this digest" of a group that is
delivered sorted by digest. So a state has a fixed maximum size, and no insertion, update or deletion invalidates it.

- A group of up to 16 items is delivered in the order of the service, open or closed, and stored as digests.
- A larger group must be closed first. `created_at` reads it by page number; other lists enlarge the page.

**Invariants and checks.**

- Items are sorted by the timestamps that they show. If not, the walk raises `PaginationStalledError`.
- Each request overlaps the one before it, so a delivered item comes back unless it was deleted. The overlap is one
  millisecond, or one second if all timestamps so far are whole seconds. If no delivered item comes back, the request
  is repeated with one second. If that fails too, the items were deleted, or the service compares timestamps more
  coarsely than in seconds. A request for a later item tells which; in the second case the walk raises.
- `has_more: false` ends the list. Without `has_more`, it ends with a short response that has no new item, or with an
  empty one.
- `total`, `Date` and the length of a page prove nothing. A `total` that has been reached only saves one request.
- An item without a timestamp is delivered when it is first seen, and its digest is kept while it may be repeated.
- Items with the same id in one response count as one item.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import groupby, repeat
from operator import attrgetter, eq, is_, itemgetter
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from voucherify_async._transport.operation import Query
from voucherify_async.errors import PaginationStalledError
from voucherify_async.models._json import is_mapping
from voucherify_async.models.base import EPOCH, as_utc
from voucherify_async.pagination.rules.base import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    Batch,
    PageAnswer,
    Walk,
    item_digest,
    item_digests,
)

__all__ = [
    "MAX_OVERLAP_MS",
    "MILLISECOND",
    "SECOND",
    "LargeGroup",
    "SortedItems",
    "SubWalk",
    "TimestampState",
    "TimestampWalk",
    "add_clamped",
    "created_at_of",
    "with_undated",
]

MICROSECOND: Final = dt.timedelta(microseconds=1)
MILLISECOND: Final = dt.timedelta(milliseconds=1)
SECOND: Final = dt.timedelta(seconds=1)

MAX_OVERLAP_MS: Final = 1_000
"""The largest overlap of two requests, in milliseconds."""
_MAX_DIGESTS: Final = 16
"""The most digests of delivered items in a state, so that a cursor has at most 300 characters."""
_MAX_UNDATED: Final = 64
"""The most digests of items without a timestamp in a state."""
_MINUTE_MARGIN: Final = 2
"""Seconds at each end of a minute in which a request with an overlap of a second may start in another minute."""
_MAX_IDLE_REQUESTS: Final = 4
"""Consecutive requests without progress after which the walk is stalled."""

_created_at: Final = attrgetter("created_at")
_tzinfo: Final = attrgetter("tzinfo")
_microsecond: Final = attrgetter("microsecond")
_MIN_DATETIME: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_MAX_DATETIME: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


class TimestampState(msgspec.Struct, frozen=True, array_like=True):
    """Which items have been delivered.

    With a `position`, the walk is inside a large group that it reads by page number.

    Attributes:
        timestamp_us: The last delivered timestamp, in microseconds since 1970; `None` before the first one.
        delivered: Digests of the items delivered at that timestamp. With a `position`: of the last items before it.
        delivered_up_to: A digest: all items with that timestamp and a digest up to this one have been delivered, too.
        undated: Digests of delivered items without a timestamp that may be repeated.
        compared_in_seconds: Whether the service compares timestamps in whole seconds.
        has_fractions: Whether some timestamps have fractions of a second.
        position: The number of items before the next one. A negative position cannot be resumed.
        upcoming: With a `position`: digests of the items after it.
        max_page_size: The largest page that the service returns, as far as is known.
    """

    timestamp_us: (
        Annotated[int, msgspec.Meta(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999)] | None
    ) = None
    delivered: tuple[bytes, ...] = ()
    delivered_up_to: bytes | None = None
    undated: tuple[bytes, ...] = ()
    compared_in_seconds: bool = False
    has_fractions: bool = False
    position: Annotated[int, msgspec.Meta(ge=-1, le=10_000)] | None = None
    upcoming: tuple[bytes, ...] = ()
    max_page_size: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE_SIZE)] = MAX_PAGE_SIZE


class SortedItems(NamedTuple):
    """The items of a response, sorted by timestamp in the direction of the walk.

    Attributes:
        items: The items with a timestamp.
        instants: Their timestamps, in UTC.
        undated: Each item without a timestamp, with the group of the next item that has one.
        was_sorted: Whether the response had them in this order.
    """

    items: list[Any]
    instants: list[dt.datetime]
    undated: list[tuple[Any, float]]
    was_sorted: bool = True


class LargeGroup(NamedTuple):
    """A group with more items than a state can store digests for.

    Attributes:
        instant: The timestamp of the group.
        digests: The digests of its items in the last response, in order.
    """

    instant: dt.datetime
    digests: Sequence[bytes]


SubWalk = Generator[Query | Batch, PageAnswer, LargeGroup | bool]
"""A part of a walk, for `yield from`.

It returns true at the end of the list, false if the walk goes on, or the large group that must be read next.
"""


class TimestampWalk:
    """A running walk by timestamp.

    Groups are numbered by the milliseconds since 1970, negated if the walk is newest first, so the numbers
    increase along the walk.

    Attributes:
        state: The state after the last delivered item.
        base: The caller's query.
        stream: Whether the caller reads the whole list rather than a single page.
        sign: 1 if the walk is oldest first, -1 if it is newest first.
        compared_in_seconds: Whether the service compares timestamps in whole seconds, as far as is known.
        has_fractions: Whether some timestamps have fractions of a second.
        max_page_size: The largest page that the service returns, as far as is known.
        min_group: The first group to deliver; may change during the walk.
        max_group: The last group to deliver; may change during the walk.
        since: The timestamp after which the next page starts, timezone-aware; `None` for the first page.
        largest_response: The number of items in the largest response.
        undated: Digests of the delivered items without a timestamp, each with the group of the next item that has one.
    """

    def __init__(
        self,
        state: TimestampState | None,
        base: Query,
        limit: int | None,
        *,
        stream: bool,
        parameter: str,
        descending: bool,
        start: dt.datetime | None,
    ) -> None:
        """Create a walk; `run` starts it.

        Args:
            state: The state to resume from; `None` for the beginning of the list.
            base: The caller's query.
            limit: The page size that the caller wants; `None` for the default of the service.
            stream: Whether the caller reads the whole list rather than a single page.
            parameter: The query parameter for the timestamp.
            descending: Whether the list is sorted newest first.
            start: The timestamp for the first request.
        """
        self.state = state or TimestampState()
        self.base = base
        self.stream = stream
        self.sign = -1 if descending else 1
        self.compared_in_seconds = self.state.compared_in_seconds
        self.has_fractions = self.state.has_fractions
        self.max_page_size = self.state.max_page_size
        self.min_group, self.max_group = -math.inf, math.inf
        self._parameter = parameter
        self._start = start
        self._limit = limit
        self.since = None if self.state.timestamp_us is None else _from_microseconds(self.state.timestamp_us)
        self.largest_response = 0
        self.undated = dict.fromkeys(self.state.undated, math.inf)

    # ------------------------------------------------------------ requests

    def run(self) -> Walk:
        """Walk from the state to the end of the list."""
        idle = 0
        while True:
            before = (self.state, self._limit, self.compared_in_seconds)
            page, found = yield from self.next_page()
            if page.has_more and not page.items:
                yield Batch((), lambda _: self.state, more=True, stuck=True)
            ended = page.has_more is False or (page.has_more is None and not page.items)
            if page.has_more is None and not ended and self._is_short(page):
                ended = not self._has_new(found)
            self.largest_response = max(self.largest_response, len(page.items))
            outcome = yield from self.deliver_page(found, ended=ended, page=page)
            del page, found  # free their memory before the next response arrives
            while isinstance(outcome, LargeGroup):
                outcome = yield from self.read_group(*outcome)
            if outcome:
                return
            idle = idle + 1 if before == (self.state, self._limit, self.compared_in_seconds) else 0
            if idle == _MAX_IDLE_REQUESTS:
                raise self.stalled_error("the service returns the same items again and again")

    def _is_short(self, page: PageAnswer) -> bool:
        """Whether a response has fewer items than the service can return."""
        return len(page.items) < min(self.largest_response, page.limit or self.largest_response)

    def next_page(self) -> Generator[Query, PageAnswer, tuple[PageAnswer, SortedItems]]:
        """Read the next page, and check that no item between the delivered ones and this page is missing.

        The page must repeat a delivered item, or else `_check_precision` must succeed.
        """
        page = yield self.query(self.since, self.overlap)
        found = self.sort_items(page.items)
        if self.since is None or self._overlaps(page, found, self.since):
            return page, found
        if self.overlap < SECOND:
            page = yield self.query(self.since, SECOND)
            found = self.sort_items(page.items)
            if self._overlaps(page, found, self.since):
                self.compared_in_seconds = True
                return page, found
        yield from self._check_precision(found)
        return page, found

    def _check_precision(self, found: SortedItems) -> Generator[Query, PageAnswer, None]:
        """Check that the missing items were deleted: a request for an existing item must return that item.

        Raises:
            PaginationStalledError: The service compares timestamps more coarsely than in seconds.
        """
        if not found.items:
            return (yield from self.check_end())
        for _ in range(2):  # the item may be deleted between the two requests
            # Not an item at the edge of a minute, as even a comparison in minutes would return it.
            inner = [
                instant
                for instant in found.instants
                if _MINUTE_MARGIN <= instant.second < 60 - _MINUTE_MARGIN
            ]
            expected = (inner or found.instants)[-1]
            page = yield self.query(expected, SECOND)
            again = self.sort_items(page.items)
            if again.items and self.group(again.instants[0]) <= self.group(expected):
                return None
            if again.items:
                found = again
        raise self.stalled_error("the service compares timestamps more coarsely than in seconds")

    def check_end(self) -> Generator[Query, PageAnswer, None]:
        """Check that the list ends here, after a response without items. Subclasses may make requests."""
        yield from ()

    def read_group(self, instant: dt.datetime, digests: Sequence[bytes]) -> SubWalk:
        """Read a large group to its end, and deliver it and the items after it in the same response.

        Args:
            instant: The timestamp of the group.
            digests: The digests of its items in the last response, in order.
        """
        is_current = self.since is not None and self.group(self.since) == self.group(instant)
        if is_current and self._limit == MAX_PAGE_SIZE and len(digests) > _MAX_DIGESTS:
            raise self.stalled_error("more items share this timestamp than fit on a page")
        self._limit, self.since = MAX_PAGE_SIZE, instant
        return False
        yield  # makes this a generator, like the overrides

    def base_query(self) -> Query:
        """The part of the query that all requests share."""
        return self.base

    @property
    def overlap(self) -> dt.timedelta:
        """How long before the last timestamp a request starts, so that all items with that timestamp are repeated."""
        in_seconds = self.since is not None and not self.since.microsecond and not self.has_fractions
        return SECOND if self.compared_in_seconds or in_seconds else MILLISECOND

    def query(self, instant: dt.datetime | None, overlap: dt.timedelta) -> Query:
        """The query for the page that starts `overlap` before a timestamp; without one, for the first page."""
        start = self._start if instant is None else self.start_before(instant, overlap)
        limit = self._limit
        if instant is not None:
            repeated = (
                MAX_PAGE_SIZE if self.state.delivered_up_to else len(self.state.delivered) + (not self.stream)
            )
            limit = min(
                MAX_PAGE_SIZE, (limit or (MAX_PAGE_SIZE if self.stream else DEFAULT_PAGE_SIZE)) + repeated
            )
        elif limit is None and self.stream:
            limit = MAX_PAGE_SIZE
        return {**self.base_query(), "limit": limit, self._parameter: start}

    def start_before(self, instant: dt.datetime, overlap: dt.timedelta) -> dt.datetime:
        """The time `overlap` before a timestamp in the direction of the walk, in whole milliseconds."""
        start = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
        return add_clamped(start, -self.sign * overlap)

    def stalled_error(self, reason: str) -> PaginationStalledError:
        """The error for a walk that cannot continue: where it is, why, and what the caller can do."""
        where = "the first page" if self.since is None else self.since.isoformat(timespec="milliseconds")
        return PaginationStalledError(
            f"cannot continue after {where}: {reason}. Narrow the list with another filter, for example city, "
            f"segment_id or updated_at_after"
        )

    # ------------------------------------------------------------ responses

    def deliver_page(self, found: SortedItems, *, ended: bool, page: PageAnswer | None = None) -> SubWalk:
        """Deliver the new items of a response, but not those of its last group if that is open and large.

        Args:
            found: The items of the response, or the remaining ones of them.
            ended: Whether the list ends after them.
            page: The response, if it is a page of the list itself rather than of a large group.
        """
        if not (ended or found.was_sorted):
            raise self.stalled_error("the service does not sort by the timestamps that it shows")
        last = self.group(found.instants[-1]) if found.instants else None
        ended = ended or (last is not None and last > self.max_group)
        items, instants = self._undelivered(found)
        open_count, stored, is_large = 0, 0, False
        if last is not None and not ended:
            open_count = self._count_at_end(last, instants)
            stored = len(self.state.delivered) if last == self.delivered_group else 0
            no_progress = self.delivered_group is not None and last <= self.delivered_group and not items
            is_large = open_count + stored > _MAX_DIGESTS or no_progress
        withheld = open_count if is_large else 0
        count = len(items) - withheld
        # The items after this page are new, unless they are delivered items that moved behind the new ones.
        has_more = page is not None and bool(page.has_more) and count > 0 and not self.undated
        if has_more and last == self.delivered_group:
            has_more = set(self.state.delivered) <= set(item_digests(found.items))
        follows = withheld > 0 or has_more
        more = False if ended else follows or None
        total = None if page is None else page.total
        open_count = 0 if withheld else open_count
        yield from self.deliver(
            items[:count], instants[:count], found.undated, open_count=open_count, more=more, total=total
        )
        if ended:
            return True
        if last is None:
            self._enlarge_pages()
        elif is_large:
            instant = found.instants[-1] if self.since is None else self.later(self.since, found.instants[-1])
            tied = self._count_at_end(self.group(instant), found.instants)
            return LargeGroup(instant, item_digests(found.items[len(found.items) - tied :]))
        return False

    def deliver(
        self,
        items: list[Any],
        instants: list[dt.datetime],
        undated: Sequence[tuple[Any, float]] = (),
        *,
        open_count: int = 0,
        more: bool | None,
        total: int | None = None,
    ) -> Generator[Batch, PageAnswer, None]:
        """Deliver new items; those without a timestamp come first.

        Args:
            items: The items, sorted by timestamp.
            instants: Their timestamps.
            undated: Items without a timestamp, as in `SortedItems`.
            open_count: How many of the last items are of an open group: these are not sorted by digest.
            more: Whether more items follow; `None` if that is unknown.
            total: The `total` of the response.
        """
        closed = len(items) - open_count
        if len(items) + len(self.state.delivered) > _MAX_DIGESTS:
            self._sort_large_groups(items, instants, closed)
        first = self.add_undated(undated)
        cut = self._cut_function(items, instants, first, closed)
        end = len(first) + len(items)
        # Before the yield, as `since` must be up to date for a caller that narrows the walk while it is suspended.
        self.state = cut(end)
        if items:
            self.since = instants[-1]
        if not self.is_bounded:
            yield Batch([*first.values(), *items] if first else items, cut, more=more, total=total)
        else:
            inside = [
                n
                for n, instant in enumerate(instants)
                if self.min_group <= self.group(instant) <= self.max_group
            ]
            # The state also moves past items out of bounds. A batch may have no others.
            ends = [*range(len(first)), *(len(first) + n for n in inside)]
            yield Batch(
                [*first.values(), *(items[n] for n in inside)],
                lambda count: cut(ends[count - 1] + 1 if 0 < count < len(ends) else end if count else 0),
                more=None if more else more,
                total=total,
            )

    def _cut_function(
        self, items: list[Any], instants: list[dt.datetime], undated: dict[bytes, Any], closed: int
    ) -> Callable[[int], TimestampState]:
        """`Batch.cut` for items without a timestamp followed by sorted ones, of which `closed` are in closed groups."""
        before, delivered_group, groups = self.state, self.delivered_group, self.undated

        def cut(count: int) -> TimestampState:
            seen = {
                digest: groups[digest]
                for digest in (*before.undated, *list(undated)[:count])
                if digest in groups
            }
            count -= len(undated)
            if count <= 0:
                return with_undated(before, seen, -math.inf)
            instant = instants[count - 1]
            group = self.group(instant)
            tied = self._count_at_end(group, instants[:count])
            old = before if group == delivered_group else _EMPTY_STATE
            rest = self._count_through(group, instants[count:closed])
            delivered = (*old.delivered, *item_digests(items[count - tied : count]))
            up_to = old.delivered_up_to
            if len(delivered) + rest > _MAX_DIGESTS:
                delivered, up_to = old.delivered, delivered[-1]
            elif old.timestamp_us is not None and up_to:
                instant = _from_microseconds(old.timestamp_us)
            state = TimestampState(
                _to_microseconds(instant),
                delivered,
                up_to,
                compared_in_seconds=self.compared_in_seconds,
                has_fractions=self.has_fractions,
            )
            return with_undated(state, seen, group - MAX_OVERLAP_MS) if seen else state

        return cut

    def add_undated(self, undated: Sequence[tuple[Any, float]]) -> dict[bytes, Any]:
        """Remember items without a timestamp, and return the new ones by digest."""
        by_digest = {item_digest(item): (item, group) for item, group in undated}
        new = {digest: item for digest, (item, _) in by_digest.items() if digest not in self.undated}
        if by_digest:
            self.undated = {**self.undated, **{digest: group for digest, (_, group) in by_digest.items()}}
        return new

    def _has_new(self, found: SortedItems) -> bool:
        return bool(self._undelivered(found)[0]) or any(
            item_digest(item) not in self.undated for item, _ in found.undated
        )

    def _enlarge_pages(self) -> None:
        """Request the largest pages from now on, as no item of this one has a timestamp."""
        if self._limit == MAX_PAGE_SIZE or (self._limit is None and self.stream):
            raise self.stalled_error("no item has a timestamp to continue from")
        self._limit = MAX_PAGE_SIZE

    # ------------------------------------------------------------ groups

    def later(self, one: dt.datetime, other: dt.datetime) -> dt.datetime:
        """The one of two timestamps that comes later in the walk."""
        return max(one, other) if self.sign > 0 else min(one, other)

    def group(self, instant: dt.datetime) -> int:
        """The number of the group of a timestamp."""
        return self.sign * ((instant - EPOCH) // MILLISECOND)

    @property
    def is_bounded(self) -> bool:
        """Whether only a part of the list is delivered."""
        return self.min_group != -math.inf or self.max_group != math.inf

    @property
    def delivered_group(self) -> int | None:
        """The group of the last delivered item."""
        return None if self.state.timestamp_us is None else self.sign * (self.state.timestamp_us // 1000)

    def _count_at_end(self, group: int, instants: list[dt.datetime]) -> int:
        """How many timestamps at the end of the list are in a group."""
        count = 0
        for instant in reversed(instants):
            if self.group(instant) != group:
                break
            count += 1
        return count

    def _count_through(self, group: int, instants: list[dt.datetime]) -> int:
        """How many timestamps at the beginning of the list are in a group or before it."""
        for index, instant in enumerate(instants):
            if self.group(instant) > group:
                return index
        return len(instants)

    def _overlaps(self, page: PageAnswer, found: SortedItems, since: dt.datetime) -> bool:
        """Whether a response repeats an item at or before `since`, as it must unless these were deleted."""
        group = self.group(since)
        front = self._count_through(group, found.instants)
        # If a full page has only a part of the group, the delivered items may be in the other part.
        is_full = page.has_more or (page.has_more is None and len(page.items) >= (page.limit or 1))
        is_part = (
            bool(is_full) and front == len(found.items) and self.later(since, found.instants[0]) == since
        )
        if group != self.delivered_group or is_part:
            return front > 0
        return not all(map(self.is_new, found.items[:front], found.instants[:front]))

    def is_new(self, item: Any, instant: dt.datetime) -> bool:
        """Whether an item has not been delivered."""
        state, delivered_group, group = self.state, self.delivered_group, self.group(instant)
        if delivered_group is None or state.timestamp_us is None:
            return True
        if group != delivered_group:
            return group > delivered_group
        if state.position is not None:
            return False  # the walk has read the group to its end
        digest = item_digest(item)
        done = state.delivered_up_to is not None and self._sort_key(instant, digest) <= self._sort_key(
            _from_microseconds(state.timestamp_us), state.delivered_up_to
        )
        return not done and digest not in state.delivered

    def _sort_key(self, instant: dt.datetime, digest: bytes) -> tuple[dt.timedelta, bytes]:
        """The sort key of an item: by timestamp in the direction of the walk, then by digest."""
        return (self.sign * (instant - EPOCH), digest)

    def _undelivered(self, found: SortedItems) -> tuple[list[Any], list[dt.datetime]]:
        """The new items, and their timestamps."""
        items, instants, delivered_group = found.items, found.instants, self.delivered_group
        if delivered_group is not None:
            front = self._count_through(delivered_group, instants)
            kept = [index for index in range(front) if self.is_new(items[index], instants[index])]
            items = [items[index] for index in kept] + items[front:]
            instants = [instants[index] for index in kept] + instants[front:]
        return items, instants

    def _sort_large_groups(self, items: list[Any], instants: list[dt.datetime], closed: int) -> None:
        """Sort by digest, in place, the closed groups that are too large for a state."""
        if not any(map(eq, instants[:closed], instants[1:closed])):  # the loop runs in C
            return
        begin = 0
        for group, tied in groupby(instants[:closed], self.group):
            end = begin + sum(1 for _ in tied)
            stored = len(self.state.delivered) if group == self.delivered_group else 0
            if stored + end - begin > _MAX_DIGESTS:
                ordered = self.sort_by_digest(items[begin:end], instants[begin:end])
                items[begin:end], instants[begin:end] = ordered
            begin = end

    def sort_by_digest(
        self, items: list[Any], instants: list[dt.datetime]
    ) -> tuple[list[Any], list[dt.datetime]]:
        """The items sorted by timestamp and then digest, and their timestamps."""
        keyed = sorted(
            (
                (self._sort_key(instant, item_digest(item)), item, instant)
                for item, instant in zip(items, instants, strict=True)
            ),
            key=itemgetter(0),
        )
        return [item for _, item, _ in keyed], [instant for _, _, instant in keyed]

    def sort_items(self, items: Sequence[Any]) -> SortedItems:
        """Sort the items of a response by timestamp."""
        try:  # this runs for every item of a walk: the loops run in C
            instants = list(map(_created_at, items))
            if all(map(is_, map(_tzinfo, instants), repeat(dt.UTC))):
                return self._sort(list(items), instants, [])
        except (AttributeError, TypeError):
            pass  # an item is not decoded, or has no timestamp
        dated: list[Any] = []
        instants = list[dt.datetime]()
        undated: list[tuple[Any, float]] = []
        following = math.inf
        for item in reversed(items):
            instant = created_at_of(item)
            if instant is None:
                undated.append((item, following))
            else:
                dated.append(item)
                instants.append(instant)
                following = self.group(instant)
        return self._sort(dated[::-1], instants[::-1], undated[::-1])

    def _sort(
        self, items: list[Any], instants: list[dt.datetime], undated: list[tuple[Any, float]]
    ) -> SortedItems:
        self.has_fractions = self.has_fractions or any(map(_microsecond, instants))
        ordered = sorted(instants, reverse=self.sign < 0)
        if ordered == instants:
            return SortedItems(items, instants, undated, was_sorted=True)
        return SortedItems(*self.sort_by_digest(items, instants), undated, was_sorted=False)


_EMPTY_STATE: Final = TimestampState()


def with_undated(state: TimestampState, groups: Mapping[bytes, float], since: float) -> TimestampState:
    """The state with the digests of the items without a timestamp that may be repeated.

    Args:
        state: The state.
        groups: The digests of the items, with the group of the next item that has a timestamp.
        since: The first group that can be repeated.

    Returns:
        A state that cannot be resumed if there are more than 64 such items.
    """
    digests = tuple(digest for digest, group in groups.items() if group >= since)
    if len(digests) > _MAX_UNDATED:
        return TimestampState(state.timestamp_us, position=-1)
    return msgspec.structs.replace(state, undated=digests)


def _from_microseconds(microseconds: int) -> dt.datetime:
    """The time `microseconds` after 1970."""
    return EPOCH + microseconds * MICROSECOND


def _to_microseconds(instant: dt.datetime) -> int:
    """The microseconds from 1970 to `instant`."""
    return (instant - EPOCH) // MICROSECOND


def add_clamped(instant: dt.datetime, duration: dt.timedelta) -> dt.datetime:
    """The sum of a time and a duration, limited to the years 1 to 9999."""
    try:
        return instant + duration
    except OverflowError:
        return _MIN_DATETIME if duration < dt.timedelta() else _MAX_DATETIME


def created_at_of(item: Any) -> dt.datetime | None:
    """The `created_at` of an item, decoded or not, in UTC; `None` if it has no valid one."""
    value = item.get("created_at") if is_mapping(item) else getattr(item, "created_at", None)
    if isinstance(value, str):
        try:
            value = msgspec.convert(value, dt.datetime)
        except msgspec.ValidationError:
            return None
    if not isinstance(value, dt.datetime):
        return None
    return as_utc(value)

"""The rule for lists paginated by `created_at`: the customers, thousands of which may share a timestamp. No I/O.

`timestamps` explains groups and states. This module reads the *large groups*, those with too many items for the
digests in a state. It requests the list from the timestamp of the group on, by page number. There are three methods:

**Ordered.** If two requests show ten or more items of the group in the same order, the order is stable. The state is
then a position: the number of items before it, and the digests of its neighbours (`page_number` explains how). Each
page starts a few items before that position and must show the neighbours in order; if items were inserted or deleted,
they are found a few places off, and the walk follows them. So no item can be between two pages and missed. If the
neighbours are not found in order, the order is not stable after all.

**Unordered.** Otherwise the walk reads the whole group repeatedly, and delivers it sorted by digest; the state is the
last digest. One pass over a shuffled group misses about a third of the items not yet seen, so the passes are added up.
A pass counts the items that exist at its end. When the later passes have seen as many different items as that, they
have seen all of them: items that were deleted before the end of the pass cannot appear in later ones. For a single
page the walk reads groups of up to 300 items this way; for a whole list there is no limit but the next one.

**By source_id.** Page numbers end at 9,900 items. If the group is larger, a walk of a whole list reads the rest sorted
by `source_id` from both ends, until they meet. Pages must overlap, so this reaches about 19,000 items, or fewer if
many of them have no `source_id`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from voucherify_async._transport.operation import Query
from voucherify_async.models.base import EPOCH, UnsetType
from voucherify_async.pagination.rules.base import (
    MAX_PAGE,
    Batch,
    PageAnswer,
    Walk,
    item_digest,
    item_digests,
)
from voucherify_async.pagination.rules.page_number import ANCHORS, is_last, locate, page_at
from voucherify_async.pagination.rules.timestamps import (
    MAX_OVERLAP_MS,
    MILLISECOND,
    SECOND,
    LargeGroup,
    SortedItems,
    SubWalk,
    TimestampState,
    TimestampWalk,
    add_clamped,
    created_at_of,
    with_undated,
)
from voucherify_async.pagination.windows import Window, to_milliseconds

__all__ = ["CreatedAtRule", "CreatedAtWalk", "intersect_bounds"]

_MIN_SAME_ORDER: Final = 10
"""Items that two requests must show in the same order; by chance they do once in 3,628,800 times."""
_MIN_PAGE_SIZE: Final = 4 * ANCHORS
"""The smallest page size with which anchors can be found again on the next page."""
_MAX_UNORDERED: Final = 300
"""The most items of an unordered group that are read for a single page."""
_MAX_PASSES: Final = 60
"""Passes over an unordered group before the walk is stalled.

Thirty miss one of 9,900 items once in a thousand million times; deletions require more passes.
"""
_MIN_IDLE_PASSES: Final = 8
"""Consecutive passes that must see no new item, in case as many items were created as deleted."""
_MAX_STUCK_PAGES: Final = 3
"""Consecutive pages of a large group without a new item, as the list shifts, before another method is used."""
_FIND_NEWEST_AT_PAGE: Final = 10
"""The page at which an ascending walk looks up the newest item, so that it ends even if items keep being created."""


class CreatedAtRule:
    """Pagination by creation time (``starting_after``), in either order: the list of customers.

    A walk has no length limit. It delivers each customer that exists from its beginning to its end exactly once.
    An ascending walk ends with the customer that was the newest when its tenth page was read.

    Args:
        descending: Newest first.
        starting_after: Start after this time; `None` for the beginning of the list.
        window: Deliver only the customers of this window.

    Attributes:
        name: The name of the rule, which is stored in cursors.
        state_type: The type of the rule's states.
    """

    name: str = "created_at"
    state_type: Any = TimestampState

    def __init__(
        self,
        *,
        descending: bool = True,
        starting_after: dt.datetime | None = None,
        window: Window = Window(),
    ) -> None:
        self._descending = descending
        self._window = window
        # The service returns has_more only if starting_after is sent, so the first request has one, too: a time
        # before every customer in the direction of the walk.
        self._start = starting_after or (dt.datetime(2200, 1, 1, tzinfo=dt.UTC) if descending else EPOCH)

    def walk(self, state: TimestampState | None, base: Query, limit: int | None, *, stream: bool) -> Walk:
        """Request the customers after the last timestamp, and read large groups by page number.

        Raises:
            PaginationStalledError: The walk cannot continue without the risk of missing a customer.
        """
        return self.create_walk(state, base, limit, stream=stream).run()

    def create_walk(
        self, state: TimestampState | None, base: Query, limit: int | None, *, stream: bool
    ) -> CreatedAtWalk:
        """Create the walk as an object that can be narrowed while it runs."""
        walk = CreatedAtWalk(
            state,
            base,
            limit,
            stream=stream,
            parameter="starting_after",
            descending=self._descending,
            start=self._start,
        )
        walk.narrow(self._window.created_from, self._window.created_before)
        return walk


class CreatedAtWalk(TimestampWalk):
    """A running walk over customers by `created_at`."""

    _low: dt.datetime | None = None
    _high: dt.datetime | None = None
    _pages_read = 0
    _margin = MILLISECOND  # how long before a large group the requests for it start

    def narrow(self, low: dt.datetime | None, high: dt.datetime | None) -> None:
        """Deliver only what was created from `low` on and before `high`; `None` is no limit."""
        self._low, self._high = low, high
        oldest = None if low is None else self.sign * to_milliseconds(low)
        newest = None if high is None else self.sign * (to_milliseconds(high) - 1)
        first, last = (oldest, newest) if self.sign > 0 else (newest, oldest)
        self.min_group = -math.inf if first is None else first
        self.max_group = math.inf if last is None else last

    def run(self) -> Walk:
        """Walk from the state to the end of the list."""
        if self.state.position is not None:
            outcome = yield from self._resume(self.state.position)
            while isinstance(outcome, LargeGroup):
                outcome = yield from self.read_group(*outcome)
            if outcome:
                return
        yield from super().run()

    def next_page(self) -> Generator[Query, PageAnswer, tuple[PageAnswer, SortedItems]]:
        """Read the next page. Before its tenth page, an ascending walk looks up the newest item, where it will end."""
        self._pages_read += 1
        if self._pages_read == _FIND_NEWEST_AT_PAGE and self.stream and self.sign > 0:
            last = yield from self._find_last_group()
            self.max_group = self.max_group if last is None else min(self.max_group, last)
        return (yield from super().next_page())

    def check_end(self) -> Generator[Query, PageAnswer, None]:
        """Check that the walk has passed the last item of the list, which is read in the opposite order."""
        last = yield from self._find_last_group()
        if last is not None and self.since is not None and last > self.group(self.since):
            raise self.stalled_error("the service compares timestamps more coarsely than in seconds")

    def _find_last_group(self) -> Generator[Query, PageAnswer, int | None]:
        """The group of the last item of the list; `None` if the list is empty."""
        page = yield {**self.base_query(), "limit": 1, "order": self._order(reverse=True)}
        instants = self.sort_items(page.items).instants
        return self.group(instants[0]) if instants else None

    def _order(self, *, reverse: bool = False) -> str:
        """The `order` parameter for the direction of the walk, or the opposite one."""
        return "-created_at" if (self.sign < 0) != reverse else "created_at"

    def base_query(self) -> Query:
        """The caller's query, the order, and bounds a little wider than the window."""
        query = {**self.base, "order": self._order()}
        if self._low is None and self._high is None:
            return query
        # Wider, as the service may treat bounds as inclusive or exclusive, or truncate them to seconds.
        low = None if self._low is None else add_clamped(self._low.replace(microsecond=0), -MILLISECOND)
        high = None if self._high is None else self._high.replace(microsecond=0)
        if high is not None and high != self._high:
            high = add_clamped(high, SECOND)
        return {**query, "created_at": intersect_bounds(self.base.get("created_at"), low, high)}

    # ------------------------------------------------------------ large groups

    def read_group(self, instant: dt.datetime, digests: Sequence[bytes]) -> SubWalk:
        """Read a large group by page number, and deliver it and the items after it in the last response.

        Args:
            instant: The timestamp of the group.
            digests: The digests of its items in the last response, in order.
        """
        self.since = instant
        self._margin = self.overlap
        page, missing = yield from self._read_first_page(digests)
        if self._margin < SECOND and (missing or not self._shows_group(page)):
            # The missing items may be deleted, or the service compares timestamps in seconds.
            self._margin = SECOND
            page, still_missing = yield from self._read_first_page(digests)
            if still_missing < missing:
                self.compared_in_seconds = True
        if not self._shows_group(page):
            return False  # all its items were deleted
        state = self.state if self.delivered_group == self._large_group else TimestampState()
        shown = item_digests(page.items)
        again = _common(digests, shown)
        passed = self._count_before_group(page.items)
        delivered = [digest for digest in shown[passed:] if digest in state.delivered]
        passed += len(delivered)
        if (
            state.delivered_up_to is None
            and len(again) >= _MIN_SAME_ORDER
            and again == _common(shown, digests)
            and shown[passed - len(delivered) : passed] == delivered
            and (
                len(page.items) >= _MIN_PAGE_SIZE
                or self._count_until_after_group(page.items) < len(page.items)
            )
        ):
            return (
                yield from self._read_ordered(page, 0, passed, delivered[-ANCHORS:], set(state.delivered))
            )
        return (yield from self._read_unordered(page, None))

    def _shows_group(self, page: PageAnswer) -> bool:
        """Whether a page begins in the large group or before it. If the first page does not, the group is gone."""
        return bool(page.items) and not self._is_after_group(page.items[0])

    def _read_first_page(
        self, digests: Sequence[bytes]
    ) -> Generator[Query, PageAnswer, tuple[PageAnswer, int]]:
        """Read the first page of the group by number.

        Returns:
            The page, and how many of the items with the given digests it should show but does not.
        """
        page = yield self._page_query(self.max_page_size, 1)
        shown = set(item_digests(page.items))
        missing = [digest for digest in digests if digest not in shown]
        reaches_end = len(page.items) < (page.limit or 0) or any(map(self._is_after_group, page.items))
        first_missing = bool(missing) and missing[0] == digests[0] and len(missing) < len(digests)
        return page, len(missing) if reaches_end or first_missing else 0

    def _resume(self, position: int) -> SubWalk:
        """Resume at a position in a large group."""
        if position < 0:
            raise self.stalled_error("the list cannot be resumed from the position in the cursor")
        found = yield from self._find_position(position, self.state.delivered, self.state.upcoming)
        if found is None:
            raise self.stalled_error(_NO_STABLE_ORDER)
        page, start, index = found
        return (yield from self._read_ordered(page, start, index, self.state.delivered, None))

    def _read_ordered(
        self,
        page: PageAnswer,
        start: int,
        index: int,
        before: Sequence[bytes],
        delivered: set[bytes] | None,
    ) -> SubWalk:
        """Deliver the large group in the order of the service, which is stable.

        Args:
            page: The page to continue on.
            start: The number of items before that page.
            index: The index on that page to continue at.
            before: The digests of the last delivered items.
            delivered: The digests of all delivered items of the group; `None` if they are unknown.
        """
        stuck = 0
        while True:
            rest = list(page.items[index:])
            tied = self._count_until_after_group(rest)
            is_end = tied == len(rest) and (
                yield from self._is_end(page, start, self._group_query(), verify=tied <= ANCHORS)
            )
            # The last items of the page are delivered with the next one, as a state needs the digests after it.
            count = tied if is_end or tied < len(rest) else max(0, len(rest) - ANCHORS)
            yield from self._deliver_ordered(rest, count, start + index, before, delivered)
            if is_end or tied < len(rest):
                return (yield from self.deliver_page(self.sort_items(rest[count:]), ended=is_end))
            position = start + index + count
            before = [*before, *item_digests(rest[:count])][-ANCHORS:]
            upcoming = item_digests(rest[count : count + ANCHORS])
            found = None
            if self.max_page_size >= _MIN_PAGE_SIZE:
                stuck = 0 if count else stuck + 1
                if page_at(position - len(before), self.max_page_size) is None or stuck > _MAX_STUCK_PAGES:
                    return (yield from self._read_by_source_id(delivered or set()))
                found = yield from self._find_position(position, before, upcoming)
            if found is None and (delivered is None or not self.stream):
                raise self.stalled_error(_NO_STABLE_ORDER)
            if found is None:
                return (yield from self._read_unordered(None, delivered))
            page, start, index = found

    def _find_position(
        self, position: int, before: Sequence[bytes], upcoming: Sequence[bytes]
    ) -> Generator[Query, PageAnswer, tuple[PageAnswer, int, int] | None]:
        """Find a position again after the list has shifted.

        The items before it may all have been deleted, so the search also goes back from the position.

        Args:
            position: The number of items that were before the position.
            before: The digests of the last items before it.
            upcoming: The digests of the first items after it.

        Returns:
            The page, the number of items before that page, and the index on it; `None` if the items around the
            position are not found in order.
        """
        begin, seen = max(0, position - len(before)), 0
        while (requested := page_at(begin, self.max_page_size)) is not None:
            page = yield self._page_query(*requested)
            shown = item_digests(page.items)
            index = locate(before, upcoming, shown)
            if index is not None:
                return page, (requested[1] - 1) * requested[0], index
            seen += len(_common([*before, *upcoming], shown))
            if not begin or seen >= ANCHORS:
                return None  # they were found, but in another order
            begin = max(0, begin - self.max_page_size + 2 * ANCHORS)
        return None

    def _deliver_ordered(
        self,
        items: Sequence[Any],
        count: int,
        position: int,
        before: Sequence[bytes],
        delivered: set[bytes] | None,
    ) -> Generator[Batch, PageAnswer, None]:
        """Deliver the new ones of the first `count` items.

        Args:
            items: Items from a position on, with some after the first `count`.
            count: How many of them to deliver.
            position: The number of items before them.
            before: The digests of the last delivered items.
            delivered: The digests of all delivered items of the group, to be extended; `None` if they are unknown.
        """
        if not count:
            return
        in_seconds, has_fractions = self.compared_in_seconds, self.has_fractions
        max_page_size, group = self.max_page_size, self._large_group
        digests = item_digests(items[: count + ANCHORS])
        to_deliver = set(digests[:count])
        undated = self.add_undated(
            [each for each in self.sort_items(items).undated if item_digest(each[0]) in to_deliver]
        )
        inside = self.min_group <= group <= self.max_group
        offsets = [
            offset
            for offset, (item, digest) in enumerate(zip(items[:count], digests, strict=False))
            if (
                digest in undated
                if created_at_of(item) is None
                else inside and (delivered is None or digest not in delivered)
            )
        ]
        groups = dict(self.undated)

        def cut(number: int) -> TimestampState:
            done = count if number == len(offsets) else offsets[number - 1] + 1 if number else 0
            state = TimestampState(
                self.sign * group * 1000,
                tuple([*before, *digests[:done]][-ANCHORS:]),
                compared_in_seconds=in_seconds,
                has_fractions=has_fractions,
                position=position + done,
                upcoming=tuple(digests[done : done + ANCHORS]),
                max_page_size=max_page_size,
            )
            later = set(digests[done:]) & undated.keys()
            seen = {digest: following for digest, following in groups.items() if digest not in later}
            return with_undated(state, seen, group - MAX_OVERLAP_MS)

        more = True if count < len(items) and not self.is_bounded else None
        self.state = cut(len(offsets))
        yield Batch([items[offset] for offset in offsets], cut, more=more)
        if delivered is not None:
            delivered.update(digests[:count])

    def _read_unordered(self, page: PageAnswer | None, delivered: set[bytes] | None) -> SubWalk:
        """Read the whole large group in repeated passes, and deliver it sorted by digest.

        Args:
            page: The first page of the group, if it has been read.
            delivered: The digests of the items already delivered in the order of the service; `None` if none was.
        """
        found: dict[bytes, Any] = {}
        last_pass: dict[bytes, int] = {}  # for each digest, the last pass that saw it
        counts: list[int] = []
        sequence: list[bytes] = []
        idle_passes = 0
        while True:
            known, position, counts = len(found), 0, [*counts, 0]
            previous_sequence, sequence = sequence, list[bytes]()
            while True:
                requested = page_at(position, self.max_page_size)
                if requested is None:
                    return (yield from self._read_by_source_id(delivered or set()))
                shown = page or (yield self._page_query(*requested))
                start, page = (requested[1] - 1) * requested[0], None
                rest = shown.items[position - start :]
                tied = self._count_until_after_group(rest)
                of_group, certain = self._items_of_group(rest[:tied])
                found |= of_group
                last_pass |= dict.fromkeys(certain, len(counts))
                counts[-1] += len(of_group)
                sequence += of_group
                is_end = not rest
                if rest and tied == len(rest):
                    is_end = yield from self._is_end(shown, start, self._group_query(), shuffled=True)
                if is_end or tied < len(rest):
                    break
                position += tied
                if counts[-1] >= _MAX_UNORDERED and not self.stream:
                    raise self.stalled_error(
                        f"more than {_MAX_UNORDERED} items share this timestamp, and the service does not return "
                        f"them in a stable order; iterating over the whole list can read them"
                    )
            if not position or (sequence == previous_sequence and len(set(sequence)) == len(sequence)):
                break  # one response had the whole group, or two passes saw the same
            idle_passes = idle_passes + 1 if len(found) == known else 0
            if idle_passes >= _MIN_IDLE_PASSES and _is_complete(last_pass.values(), counts):
                break
            if len(counts) == _MAX_PASSES:
                raise self.stalled_error(
                    f"{_MAX_PASSES} passes over the items with this timestamp were not enough to see all of them"
                )
        rest, is_end = yield from self._read_past_group(shown, start, position, found, is_end=is_end)
        # An item without a timestamp that was never between two of the group may be in the next one: last, so that it is
        # remembered beyond this group.
        in_order = sorted(found, key=lambda digest: digest not in last_pass)
        items = [found[digest] for digest in in_order]
        yield from self._deliver_unordered(items, delivered, more=True if rest else None)
        return (yield from self.deliver_page(self.sort_items(rest), ended=is_end))

    def _read_past_group(
        self, shown: PageAnswer, start: int, position: int, found: dict[bytes, Any], *, is_end: bool
    ) -> Generator[Query, PageAnswer, tuple[Sequence[Any], bool]]:
        """Read the first items after the large group.

        Args:
            shown: The last page of a pass over the group.
            start: The number of items before that page.
            position: The number of items on the pages before it.
            found: The items of the group by digest; other items of the group that are seen are added.
            is_end: Whether the page is the last one of the list.

        Returns:
            The items, and whether the list ends after them.
        """
        overlap = 1
        while position and (not shown.items or self._is_after_group(shown.items[0])):
            # The page must begin with an item of the group. Otherwise the first items after the group may have
            # moved to the page before.
            requested = page_at(max(0, position - overlap), self.max_page_size, overlap + 1)
            if requested is None or overlap > self.max_page_size:
                raise self.stalled_error(_END_MOVES)
            shown = yield self._page_query(*requested)
            start, overlap = (requested[1] - 1) * requested[0], 2 * overlap
            all_tied = not any(map(self._is_after_group, shown.items))
            is_end = all_tied and (
                yield from self._is_end(shown, start, self._group_query(), verify=True, shuffled=True)
            )
        tied = self._count_until_after_group(shown.items)
        found |= self._items_of_group(shown.items[:tied])[0]
        rest = shown.items[tied:]
        if not (rest or is_end):
            raise self.stalled_error(_END_MOVES)
        return rest, is_end

    def _items_of_group(self, items: Sequence[Any]) -> tuple[dict[bytes, Any], list[bytes]]:
        """The items that may be in the large group, by digest, and the digests of those that certainly are.

        An item without a timestamp certainly is in the group if it is between two items of the group.
        """
        before = self._count_before_group(items)
        digests = item_digests(items[before:])
        dated = [index for index, item in enumerate(items[before:]) if created_at_of(item) is not None]
        certain = digests[dated[0] : dated[-1] + 1] if dated else []
        return dict(zip(digests, items[before:], strict=True)), certain

    def _deliver_unordered(
        self, found: Iterable[Any], delivered: set[bytes] | None, *, more: bool | None = None
    ) -> Generator[Batch, PageAnswer, None]:
        """Deliver the new items of a group, sorted by digest.

        Args:
            found: Items of the group.
            delivered: The digests of the delivered items of the group, to be extended. The state after the batch
                cannot be resumed. `None`: the state tells which items are new, and can be resumed.
            more: Whether more items follow; `None` if that is unknown.
        """
        sorted_items = self.sort_items(list(found))
        new = [
            (item, instant)
            for item, instant in zip(
                *self.sort_by_digest(sorted_items.items, sorted_items.instants), strict=True
            )
            if (self.is_new(item, instant) if delivered is None else item_digest(item) not in delivered)
        ]
        items, instants = [item for item, _ in new], [instant for _, instant in new]
        if delivered is None:
            return (yield from self.deliver(items, instants, sorted_items.undated, more=more))
        delivered.update(item_digests(items))
        undated = self.add_undated(sorted_items.undated)
        inside = [item for item, instant in new if self.min_group <= self.group(instant) <= self.max_group]
        not_resumable = TimestampState(self.state.timestamp_us, position=-1)
        yield Batch([*undated.values(), *inside], lambda _: not_resumable)
        self.state = not_resumable
        return None

    def _read_by_source_id(self, delivered: set[bytes]) -> SubWalk:
        """Read the part of a large group beyond the last page number, sorted by `source_id`, from both ends.

        Args:
            delivered: The digests of the delivered items of the group.
        """
        reachable = MAX_PAGE * self.max_page_size
        if not self.stream:
            raise self.stalled_error(
                f"more than {reachable:,} items share this timestamp; iterating over the whole list can read more"
            )
        from_front: set[bytes] = set()
        for order, until in (("source_id", set[bytes]()), ("-source_id", from_front)):
            if (yield from self._read_sorted_by(order, delivered, from_front, until)):
                return (yield from self._skip_group())
        raise self.stalled_error(
            "more than about 19,000 items share this timestamp, which is more than page numbers reach from both ends"
        )

    def _read_sorted_by(
        self, order: str, delivered: set[bytes], read: set[bytes], until: set[bytes]
    ) -> Generator[Query | Batch, PageAnswer, bool]:
        """Deliver the new items of the large group in another order.

        Args:
            order: The order.
            delivered: The digests of the delivered items of the group, to be extended.
            read: The digests of the items read here are added.
            until: Stop at an item with one of these digests.

        Returns:
            Whether such an item, or the end of the list, was reached.
        """
        bounds = self._group_bounds(self._large_group, self._large_group)
        query = {**self.base_query(), "created_at": bounds, "order": order}
        position, before = 0, list[bytes]()
        while (requested := page_at(position - len(before), self.max_page_size)) is not None:
            page = yield {**query, "limit": requested[0], "page": requested[1]}
            index = locate(before, (), item_digests(page.items))
            if index is None:
                raise self.stalled_error(_NO_STABLE_ORDER)
            rest = page.items[index:]
            digests = item_digests(rest)
            yield from self._deliver_unordered(
                [item for item in rest if self._group_of(item) == self._large_group], delivered
            )
            start = (requested[1] - 1) * requested[0]
            if not until.isdisjoint(digests) or (yield from self._is_end(page, start, query)):
                return True
            if not rest:
                break
            read.update(digests)
            position, before = start + len(page.items), [*before, *digests][-ANCHORS:]
        return False

    def _skip_group(self) -> SubWalk:
        """Continue after a large group whose end page numbers do not reach, so that no request overlaps it.

        Reads the next millisecond in the opposite order, in which the group comes last. After that, requests can
        start behind that millisecond.
        """
        following = self._large_group + 1
        bounds = self._group_bounds(following, following)
        query = {**self.base_query(), "created_at": bounds, "order": self._order(reverse=True)}
        found: list[Any] = []
        position = 0
        while (requested := page_at(position, self.max_page_size)) is not None:
            page = yield {**query, "limit": requested[0], "page": requested[1]}
            found += [item for item in page.items if self._group_of(item) == following]
            reached = any(self._group_of(item) == self._large_group for item in page.items)
            if is_last(page, position) or reached:
                yield from self._deliver_unordered(found, None)
                self.since = EPOCH + self.sign * following * MILLISECOND
                page = yield self.query(self.since, dt.timedelta())
                ended = page.has_more is False
                return (yield from self.deliver_page(self.sort_items(page.items), ended=ended, page=page))
            position += len(page.items)
        raise self.stalled_error("the millisecond after this timestamp also has too many items")

    # ------------------------------------------------------------ the large group that is being read

    @property
    def _large_group(self) -> int:
        """The group that is being read by page number: the one of `since`."""
        assert self.since is not None  # noqa: S101  # for the type checker
        return self.group(self.since)

    def _group_of(self, item: Any) -> int | None:
        """The group of an item; `None` if it has no timestamp."""
        instant = created_at_of(item)
        return None if instant is None else self.group(instant)

    def _is_before_group(self, item: Any) -> bool:
        group = self._group_of(item)
        return group is not None and group < self._large_group

    def _count_before_group(self, items: Sequence[Any]) -> int:
        """The number of items up to and including the last one that is before the large group."""
        return max((index + 1 for index, item in enumerate(items) if self._is_before_group(item)), default=0)

    def _is_after_group(self, item: Any) -> bool:
        group = self._group_of(item)
        return group is not None and group > self._large_group

    def _count_until_after_group(self, items: Sequence[Any]) -> int:
        """The number of items before the first one that is after the large group."""
        return next((index for index, item in enumerate(items) if self._is_after_group(item)), len(items))

    def _group_query(self) -> Query:
        """The query of the list that starts with the large group, without a page number."""
        return {**self.base_query(), "created_at": self._group_bounds(self._large_group)}

    def _page_query(self, size: int, number: int) -> Query:
        """The query of one page of the list that starts with the large group."""
        return {**self._group_query(), "limit": size, "page": number}

    def _is_end(
        self, page: PageAnswer, start: int, query: Query, *, verify: bool = False, shuffled: bool = False
    ) -> Generator[Query, PageAnswer, bool]:
        """Whether nothing follows a page. A short page may be the last one, or have as many items as pages can have.

        Args:
            page: The page.
            start: The number of items before it.
            query: The query of the list.
            verify: Request the next items even if the page is full.
            shuffled: Whether a repeated request may return another item of the group in the place of the last one.
        """
        self.largest_response = max(self.largest_response, len(page.items))
        if is_last(page, start):
            return True
        short = len(page.items) < (page.limit or 0)
        last = start + len(page.items) - 1
        # If the short page has as many items as pages can have, only a request for as many starts where it ended.
        requested = page_at(last, len(page.items), 2)
        if requested is None or requested[0] - last % requested[0] < 2:
            requested = page_at(last, self.max_page_size, 2)
        if requested is None or not (verify or short):
            return False
        # The last item must be repeated: otherwise the list has shifted, and other items may have moved.
        size, number = requested
        tail = (yield {**query, "limit": size, "page": number}).items[last - (number - 1) * size :]
        if not tail:
            return False
        if shuffled:
            shifted = self._is_after_group(tail[0])
        else:
            shifted = item_digest(tail[0]) != item_digest(page.items[-1])
        if shifted:
            return False
        if len(tail) == 1:
            return True
        self.max_page_size = min(self.max_page_size, self.largest_response) if short else self.max_page_size
        return False

    def _group_bounds(self, first: int, last: int | None = None) -> Mapping[str, dt.datetime | None]:
        """The caller's `created_at` bounds, narrowed to the groups from `first` to `last`, with a margin."""
        margin = max(self._margin, self.overlap)
        start = add_clamped(EPOCH, self.sign * first * MILLISECOND - self.sign * margin)
        end = (
            None if last is None else add_clamped(EPOCH, self.sign * last * MILLISECOND + self.sign * margin)
        )
        after, before = (start, end) if self.sign > 0 else (end, start)
        return intersect_bounds(self.base_query().get("created_at"), after, before)


_NO_STABLE_ORDER: Final = (
    "many items share this timestamp, and the service does not return them in a stable order; "
    "iterating over the whole list can read them"
)
_END_MOVES: Final = "the end of the group of items with this timestamp keeps moving"


def _common(digests: Sequence[bytes], others: Sequence[bytes]) -> list[bytes]:
    """The digests that are in both sequences, in the order of the first."""
    found = set(others)
    return [digest for digest in digests if digest in found]


def _is_complete(last_passes: Iterable[int], counts: Sequence[int]) -> bool:
    """Whether repeated passes over a group have seen all its items.

    A pass counts the items that exist at its end. If the passes after it have seen as many different items, these
    are the same items, as an unseen one would have been counted, too. The counts of later passes must not be higher,
    as items may have been created in the meantime.

    Args:
        last_passes: For each item seen, the number of the last pass that saw it.
        counts: The number of items that each pass counted, from the first pass on.
    """
    items_by_last_pass = Counter(last_passes)
    seen_since = list(accumulate(items_by_last_pass[number] for number in range(len(counts), 0, -1)))[::-1]
    return any(seen_since[number] >= max(counts[number - 1 :]) for number in range(1, len(counts)))


def intersect_bounds(
    bounds: Any, after: dt.datetime | None, before: dt.datetime | None
) -> Mapping[str, dt.datetime | None]:
    """The intersection of the caller's `created_at` bounds and those of the walk."""
    given: Mapping[str, dt.datetime | UnsetType | None] = bounds or {}
    lower = [bound for bound in (after, given.get("after")) if isinstance(bound, dt.datetime)]
    upper = [bound for bound in (before, given.get("before")) if isinstance(bound, dt.datetime)]
    return {"after": max(lower, default=None), "before": min(upper, default=None)}

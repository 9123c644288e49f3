"""The walk over customers: by `created_at`, through instants that thousands of them share. No I/O.

A group that is too large to be remembered one by one is read by page number, from the instant on: the list is
bounded on the near side by `created_at`, and its pages run through the group and beyond it.

**Where the order among equals is kept**, a place in the list (how many come before, the marks of the neighbours) is
all that a state needs, and the group may be of any size. That it is kept is seen when two requests show ten or more
of the group in the same order. Each page begins before the place where the last one ended, and has to show its last
items where they belong, or moved by a few places, as some were deleted or inserted: the walk follows them. So
nothing can fall between two pages, whatever shifts them. If they are scattered, the order is not kept after all.

**Where it is not kept**, the group is read whole, as often as it takes, and delivered in the order of the hashes: a
state is again one hash. A pass over a shuffled group misses a third of what is left, and passes are added up. Of
what a pass found to be there at its end, everything has been met as soon as the passes after it have met as many:
items that were deleted meanwhile cannot stand in for others, as they would have to be met after they were counted.
A page of a list may read a group of 300 so; the walk of a whole list, one of any size that page numbers reach.

**Page numbers end at 9,900.** Beyond that, a walk of a whole list reads the rest of the group in the order of
`source_id`, from both ends, until they meet. As pages have to overlap, that makes about 19,000, or fewer if many
have no source id.
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
    mark_of,
    marks_of,
)
from voucherify_async.pagination.rules.page_number import ANCHORS, is_last, locate, page_at
from voucherify_async.pagination.rules.timestamps import (
    MILLISECOND,
    SECOND,
    Held,
    Part,
    Sheet,
    TimestampState,
    TimestampWalk,
    created_of,
    shifted,
    with_undated,
)
from voucherify_async.pagination.windows import Window, milliseconds_of

__all__ = ["CreatedAtRule", "CreatedAtWalk", "narrowed"]

_PROOF: Final = 10
"""Items that two requests have to show in the same order for it to be kept; by chance they are once in 3,628,800."""
_MIN_PAGE: Final = 4 * ANCHORS
"""The fewest items on a page for its neighbours to be found on the next one."""
_MAX_WHOLE: Final = 300
"""Items of an instant without an order that are read whole for a single page."""
_MAX_PASSES: Final = 60
"""Passes over such items before giving up. 30 miss one of 9,900 once in a thousand million times; deletions take more."""
_QUIET_PASSES: Final = 8
"""Passes in a row that have to meet nothing new, in case that as many were created as deleted."""
_MAX_STAYS: Final = 3
"""Pages in a row that may show nothing new at a place, as the list moves, before page numbers are at their end."""
_BOUNDED_AFTER: Final = 10
"""Pages after which an ascending walk looks up where the list ends now, so that it ends on a live project, too."""


class CreatedAtRule:
    """By `created_at`, in either order (``starting_after``): the list of customers.

    A walk has no limit, and delivers each customer that is there from beginning to end exactly once. An
    ascending one ends with the customer that is the newest when its tenth page has been read.
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
        self._start = starting_after
        self._window = window

    def walk(self, state: TimestampState | None, base: Query, limit: int | None, *, stream: bool) -> Walk:
        """Ask for what comes after the last instant, and for large groups by page number.

        Raises:
            PaginationStalledError: It cannot be shown that nothing is lost.
        """
        return self.begin(state, base, limit, stream=stream).run()

    def begin(
        self, state: TimestampState | None, base: Query, limit: int | None, *, stream: bool
    ) -> CreatedAtWalk:
        """The walk as an object."""
        return CreatedAtWalk(
            state,
            base,
            limit,
            descending=self._descending,
            start=self._start,
            window=self._window,
            stream=stream,
        )


class CreatedAtWalk(TimestampWalk):
    """A walk over customers that is under way."""

    def __init__(
        self,
        state: TimestampState | None,
        base: Query,
        limit: int | None,
        *,
        stream: bool,
        descending: bool,
        start: dt.datetime | None,
        window: Window,
    ) -> None:
        # The service says whether there is more only when starting_after is sent, so the first request
        # has one too: an instant that comes before every customer.
        sentinel = dt.datetime(2200, 1, 1, tzinfo=dt.UTC) if descending else EPOCH
        super().__init__(
            state,
            base,
            limit,
            stream=stream,
            parameter="starting_after",
            descending=descending,
            start=start or sentinel,
        )
        self._orders = ("-created_at", "created_at") if descending else ("created_at", "-created_at")
        self._pages = 0
        self._size = self.state.size
        self._near = MILLISECOND
        self.narrow(window.created_from, window.created_before)

    def narrow(self, low: dt.datetime | None, high: dt.datetime | None) -> None:
        """Deliver only what was created from an instant on, and before another one."""
        self._low, self._high = low, high
        oldest = None if low is None else self.sign * milliseconds_of(low)
        newest = None if high is None else self.sign * (milliseconds_of(high) - 1)
        first, last = (oldest, newest) if self.sign > 0 else (newest, oldest)
        self.first = -math.inf if first is None else first
        self.last = math.inf if last is None else last

    def run(self) -> Walk:
        """Walk from the state to the end of the list."""
        if self.state.place is not None:
            outcome = yield from self._resume(self.state.place)
            while isinstance(outcome, Held):
                outcome = yield from self.read_out(*outcome)
            if outcome:
                return
        yield from super().run()

    def next_page(self) -> Generator[Query, PageAnswer, tuple[PageAnswer, Sheet]]:
        """Read the next page. An ascending walk looks up, at its tenth page, where the list ends now."""
        self._pages += 1
        if self._pages == _BOUNDED_AFTER and self.stream and self.sign > 0:
            newest = yield from self._newest()
            self.last = self.last if newest is None else min(self.last, newest)
        return (yield from super().next_page())

    def check_end(self) -> Generator[Query, PageAnswer, None]:
        """Make sure that the walk has passed the last item of the list, which is read from the other end."""
        newest = yield from self._newest()
        if newest is not None and self.since is not None and newest > self.group(self.since):
            raise self.stalled("the service compares timestamps more coarsely than in seconds")

    def _newest(self) -> Generator[Query, PageAnswer, int | None]:
        """The group of the last item of the list."""
        page = yield {**self.within(), "limit": 1, "order": self._orders[1]}
        instants = self.sheet(page.items).instants
        return self.group(instants[0]) if instants else None

    def within(self) -> Query:
        """The query of every request: the caller's, the order, and the window with a margin that is not delivered."""
        query = {**self.base, "order": self._orders[0]}
        if self._low is None and self._high is None:
            return query
        # Bounds may be inclusive or not, and cut to whole seconds.
        low = None if self._low is None else shifted(self._low.replace(microsecond=0), -MILLISECOND)
        high = None if self._high is None else self._high.replace(microsecond=0)
        if high is not None and high != self._high:
            high = shifted(high, SECOND)
        return {**query, "created_at": narrowed(self.base.get("created_at"), low, high)}

    # ------------------------------------------------------------ large groups

    def read_out(self, instant: dt.datetime, known: Sequence[bytes]) -> Part:
        """Deliver a group that is too large to be remembered, and what an answer shows beyond it."""
        self.since = instant
        self._near = self.reach
        page, misses = yield from self._begin(known)
        if self._near < SECOND and (misses or not self._has_group(page)):
            # They may be deleted, or timestamps are compared in seconds.
            self._near = SECOND
            page, still = yield from self._begin(known)
            if still < misses:
                self.coarse = True
        if not self._has_group(page):
            return False  # it is gone
        here = self.state if self.here == self._tied else TimestampState()
        marks = marks_of(page.items)
        again = _common(known, marks)
        passed = self._count_before(page.items)
        delivered = [mark for mark in marks[passed:] if mark in here.taken]
        passed += len(delivered)
        if (
            here.through is None
            and len(again) >= _PROOF
            and again == _common(marks, known)
            and marks[passed - len(delivered) : passed] == delivered
            and (len(page.items) >= _MIN_PAGE or self._count_until_beyond(page.items) < len(page.items))
        ):
            return (yield from self._follow(page, 0, passed, delivered[-ANCHORS:], set(here.taken)))
        return (yield from self._collect(page, None))

    def _has_group(self, page: PageAnswer) -> bool:
        """Whether the first page by number shows items of the group, or the group may follow after it."""
        return bool(page.items) and not self._is_beyond(page.items[0])

    def _begin(self, known: Sequence[bytes]) -> Generator[Query, PageAnswer, tuple[PageAnswer, int]]:
        """Read the first page of the group by number, and count the known items that it should show but does not."""
        page = yield self._by_number(self._size, 1)
        marks = set(marks_of(page.items))
        missing = [mark for mark in known if mark not in marks]
        reaches_end = len(page.items) < (page.limit or 0) or any(map(self._is_beyond, page.items))
        first_missing = bool(missing) and missing[0] == known[0] and len(missing) < len(known)
        return page, len(missing) if reaches_end or first_missing else 0

    def _resume(self, place: int) -> Part:
        """Go on at a place of a large group."""
        if place < 0:
            raise self.stalled("the place for which the cursor stands cannot be found again")
        found = yield from self._find(place, self.state.taken, self.state.ahead)
        if found is None:
            raise self.stalled(_SCATTERED)
        page, start, index = found
        return (yield from self._follow(page, start, index, self.state.taken, None))

    def _follow(
        self, page: PageAnswer, start: int, index: int, before: Sequence[bytes], met: set[bytes] | None
    ) -> Part:
        """Deliver the group of `since` in the order in which the service keeps it.

        Args:
            page: A page that it goes on on.
            start: How many items come before the page.
            index: Where on the page it goes on.
            before: The marks of the last items delivered.
            met: The marks of all of the group that were delivered; `None` if that is not known.
        """
        stays = 0
        while True:
            rest = list(page.items[index:])
            beyond = self._count_until_beyond(rest)
            is_end = beyond == len(rest) and (
                yield from self._is_end(page, start, self._numbered(), look=beyond <= ANCHORS)
            )
            # The first items that come next are kept back, as what they are is part of the state.
            count = beyond if is_end or beyond < len(rest) else max(0, len(rest) - ANCHORS)
            yield from self._deliver_in_place(rest, count, start + index, before, met)
            if is_end or beyond < len(rest):
                return (yield from self.settle(self.sheet(rest[count:]), ended=is_end))
            place = start + index + count
            before = [*before, *marks_of(rest[:count])][-ANCHORS:]
            ahead = marks_of(rest[count : count + ANCHORS])
            found = None
            if self._size >= _MIN_PAGE:
                stays = 0 if count else stays + 1
                if page_at(place - len(before), self._size) is None or stays > _MAX_STAYS:
                    return (yield from self._finish_by_source_id(met or set()))
                found = yield from self._find(place, before, ahead)
            if found is None and (met is None or not self.stream):
                raise self.stalled(_SCATTERED)
            if found is None:
                return (yield from self._collect(None, met))
            page, start, index = found

    def _find(
        self, place: int, before: Sequence[bytes], ahead: Sequence[bytes]
    ) -> Generator[Query, PageAnswer, tuple[PageAnswer, int, int] | None]:
        """Find where a place is now: the page, how many items come before that page, and the index on it.

        `None` if its neighbours are not there in their order. Those that were delivered may all be deleted by
        now, so what comes next is looked for further to the front as well.
        """
        begin, seen = max(0, place - len(before)), 0
        while (asked := page_at(begin, self._size)) is not None:
            page = yield self._by_number(*asked)
            marks = marks_of(page.items)
            index = locate(before, ahead, marks)
            if index is not None:
                return page, (asked[1] - 1) * asked[0], index
            seen += len(_common([*before, *ahead], marks))
            if not begin or seen >= ANCHORS:
                return None  # or rather: in another order
            begin = max(0, begin - self._size + 2 * ANCHORS)
        return None

    def _deliver_in_place(
        self, items: Sequence[Any], count: int, place: int, before: Sequence[bytes], met: set[bytes] | None
    ) -> Generator[Batch, PageAnswer, None]:
        """Deliver the first `count` of the items, which begin at a place of the list."""
        if not count:
            return
        coarse, fine, size, group = self.coarse, self.fine, self._size, self._tied
        marks = marks_of(items[: count + ANCHORS])
        shown = set(marks[:count])
        undated = self.take_undated([each for each in self.sheet(items).undated if mark_of(each[0]) in shown])
        inside = self.first <= group <= self.last
        offsets = [
            offset
            for offset, (item, mark) in enumerate(zip(items[:count], marks, strict=False))
            if (mark in undated if created_of(item) is None else inside and (met is None or mark not in met))
        ]
        waiting = dict(self.undated)

        def cut(number: int) -> TimestampState:
            done = count if number == len(offsets) else offsets[number - 1] + 1 if number else 0
            state = TimestampState(
                self.sign * group * 1000,
                tuple([*before, *marks[:done]][-ANCHORS:]),
                coarse=coarse,
                fine=fine,
                place=place + done,
                ahead=tuple(marks[done : done + ANCHORS]),
                size=size,
            )
            later = set(marks[done:]) & undated.keys()
            return with_undated(
                state, {mark: at for mark, at in waiting.items() if mark not in later}, group - 1_000
            )

        more = True if count < len(items) and not self.is_bounded else None
        self.state = cut(len(offsets))
        yield Batch([items[offset] for offset in offsets], cut, more=more)
        if met is not None:
            met.update(marks[:count])

    def _collect(self, page: PageAnswer | None, met: set[bytes] | None) -> Part:
        """Read the group of `since` whole, however it is shuffled, and deliver it in the order of the hashes.

        Args:
            page: Its first page, if that has been read.
            met: The marks of what was delivered of it in the service's order; `None` if nothing was.
        """
        found: dict[bytes, Any] = {}
        passes: dict[bytes, int] = {}  # for each mark, the last pass that met it
        counts: list[int] = []
        sequence: list[bytes] = []
        quiet = 0
        while True:
            known, place, counts = len(found), 0, [*counts, 0]
            before, sequence = sequence, list[bytes]()
            while True:
                asked = page_at(place, self._size)
                if asked is None:
                    return (yield from self._finish_by_source_id(met or set()))
                shown = page or (yield self._by_number(*asked))
                start, page = (asked[1] - 1) * asked[0], None
                rest = shown.items[place - start :]
                beyond = self._count_until_beyond(rest)
                here, sure = self._tied_of(rest[:beyond])
                found |= here
                passes |= dict.fromkeys(sure, len(counts))
                counts[-1] += len(here)
                sequence += here
                is_end = not rest
                if rest and beyond == len(rest):
                    is_end = yield from self._is_end(shown, start, self._numbered(), shuffled=True)
                if is_end or beyond < len(rest):
                    break
                place += beyond
                if counts[-1] >= _MAX_WHOLE and not self.stream:
                    raise self.stalled(
                        f"more than {_MAX_WHOLE} items share it, and the service gives them in no order; "
                        f"the walk of a whole list can read them"
                    )
            if not place or (sequence == before and len(set(sequence)) == len(sequence)):
                break  # one answer has shown it all, or two passes the same
            quiet = quiet + 1 if len(found) == known else 0
            if quiet >= _QUIET_PASSES and _is_whole(passes.values(), counts):
                break
            if len(counts) == _MAX_PASSES:
                raise self.stalled(f"{_MAX_PASSES} passes over the items that share it did not settle")
        rest, is_end = yield from self._beyond(shown, start, place, found, is_end=is_end)
        yield from self._deliver_whole(found.values(), met, more=True if rest else None)
        return (yield from self.settle(self.sheet(rest), ended=is_end))

    def _beyond(
        self, shown: PageAnswer, start: int, place: int, found: dict[bytes, Any], *, is_end: bool
    ) -> Generator[Query, PageAnswer, tuple[Sequence[Any], bool]]:
        """Read the items after the group, and whether the list ends instead, beginning with the last page of a pass.

        Args:
            shown: The page.
            start: How many items come before the page.
            place: How many items of the list the pages before it have shown.
            found: Gets what else of the group is met.
            is_end: Whether the page is the last.
        """
        overlap = 1
        while place and (not shown.items or self._is_beyond(shown.items[0])):
            # The first of what is beyond may have been moved to the page before: it has to follow something of the group.
            asked = page_at(max(0, place - overlap), self._size, overlap + 1)
            if asked is None or overlap > self._size:
                raise self.stalled("its end moves")
            shown = yield self._by_number(*asked)
            start, overlap = (asked[1] - 1) * asked[0], 2 * overlap
            all_tied = not any(map(self._is_beyond, shown.items))
            is_end = all_tied and (
                yield from self._is_end(shown, start, self._numbered(), look=True, shuffled=True)
            )
        beyond = self._count_until_beyond(shown.items)
        found |= self._tied_of(shown.items[:beyond])[0]
        rest = shown.items[beyond:]
        if not (rest or is_end):
            raise self.stalled("its end moves")
        return rest, is_end

    def _tied_of(self, items: Sequence[Any]) -> tuple[dict[bytes, Any], list[bytes]]:
        """The items that may belong to the group, by their marks, and the marks of those that certainly do.

        One without a timestamp surely is if it stands between others of the group.
        """
        before = self._count_before(items)
        marks = marks_of(items[before:])
        dated = [index for index, item in enumerate(items[before:]) if created_of(item) is not None]
        sure = marks[dated[0] : dated[-1] + 1] if dated else []
        return dict(zip(marks, items[before:], strict=True)), sure

    def _deliver_whole(
        self, found: Iterable[Any], met: set[bytes] | None, *, more: bool | None = None
    ) -> Generator[Batch, PageAnswer, None]:
        """Deliver the items of a group that are new: not in `met`, or, without it, not delivered by the state."""
        sheet = self.sheet(list(found))
        new = [
            (item, instant)
            for item, instant in zip(*self.in_order(sheet.items, sheet.instants), strict=True)
            if (self.is_new(item, instant) if met is None else mark_of(item) not in met)
        ]
        items, instants = [item for item, _ in new], [instant for _, instant in new]
        if met is None:
            return (yield from self.deliver(items, instants, sheet.undated, more=more))
        met.update(marks_of(items))
        undated = self.take_undated(sheet.undated)
        inside = [item for item, instant in new if self.first <= self.group(instant) <= self.last]
        lost = TimestampState(self.state.at, place=-1)
        yield Batch([*undated.values(), *inside], lambda _: lost)
        self.state = lost
        return None

    def _finish_by_source_id(self, met: set[bytes]) -> Part:
        """Read the part of a group that page numbers do not reach, in the order of `source_id`, from both ends.

        Args:
            met: The marks of what was delivered of it.
        """
        most = MAX_PAGE * self._size
        if not self.stream:
            raise self.stalled(
                f"more than {most:,} items share it; the walk of a whole list can read some more"
            )
        from_front: set[bytes] = set()
        for order, meeting in (("source_id", set[bytes]()), ("-source_id", from_front)):
            if (yield from self._read_in_order(order, met, from_front, meeting)):
                return (yield from self._step_over())
        raise self.stalled("more items share it than page numbers reach from both ends, about 19,000")

    def _read_in_order(
        self, order: str, met: set[bytes], read: set[bytes], until: set[bytes]
    ) -> Generator[Query | Batch, PageAnswer, bool]:
        """Deliver the group of `since` in another order, up to something of `until`.

        Returns:
            Whether it came so far, or to the end.
        """
        query = {**self.within(), "created_at": self._between(self._tied, self._tied), "order": order}
        place, before = 0, list[bytes]()
        while (asked := page_at(place - len(before), self._size)) is not None:
            page = yield {**query, "limit": asked[0], "page": asked[1]}
            index = locate(before, (), marks_of(page.items))
            if index is None:
                raise self.stalled(_SCATTERED)
            rest = page.items[index:]
            marks = marks_of(rest)
            yield from self._deliver_whole([item for item in rest if self._place_of(item) == self._tied], met)
            start = (asked[1] - 1) * asked[0]
            if not until.isdisjoint(marks) or (yield from self._is_end(page, start, query)):
                return True
            if not rest:
                break
            read.update(marks)
            place, before = start + len(page.items), [*before, *marks][-ANCHORS:]
        return False

    def _step_over(self) -> Part:
        """Go on after a group that page numbers do not reach the end of, so that no request has to show it again.

        The millisecond after it is read from its far end, where the group comes last. Then a request can start
        behind that one.
        """
        following = self._tied + 1
        query = {**self.within(), "created_at": self._between(following, following), "order": self._orders[1]}
        found: list[Any] = []
        place = 0
        while (asked := page_at(place, self._size)) is not None:
            page = yield {**query, "limit": asked[0], "page": asked[1]}
            found += [item for item in page.items if self._place_of(item) == following]
            if is_last(page, place) or any(self._place_of(item) == self._tied for item in page.items):
                yield from self._deliver_whole(found, None)
                self.since = EPOCH + self.sign * following * MILLISECOND
                page = yield self.query(self.since, dt.timedelta())
                return (
                    yield from self.settle(self.sheet(page.items), ended=page.has_more is False, page=page)
                )
            place += len(page.items)
        raise self.stalled("the millisecond after it has too many items as well")

    # ------------------------------------------------------------ the group of `since`

    @property
    def _tied(self) -> int:
        """The group that is read by page number."""
        assert self.since is not None  # noqa: S101  # for the type checker
        return self.group(self.since)

    def _place_of(self, item: Any) -> int | None:
        """The group of an item, if it has a timestamp."""
        instant = created_of(item)
        return None if instant is None else self.group(instant)

    def _is_before(self, item: Any) -> bool:
        place = self._place_of(item)
        return place is not None and place < self._tied

    def _count_before(self, items: Sequence[Any]) -> int:
        """How many items there are up to and including the last one before the group."""
        return max((index + 1 for index, item in enumerate(items) if self._is_before(item)), default=0)

    def _is_beyond(self, item: Any) -> bool:
        place = self._place_of(item)
        return place is not None and place > self._tied

    def _count_until_beyond(self, items: Sequence[Any]) -> int:
        """How many items come before the first that is beyond the group."""
        return next((index for index, item in enumerate(items) if self._is_beyond(item)), len(items))

    def _numbered(self) -> Query:
        """The query of the list that begins with the group."""
        return {**self.within(), "created_at": self._between(self._tied)}

    def _by_number(self, size: int, number: int) -> Query:
        """The query of a page of that list."""
        return {**self._numbered(), "limit": size, "page": number}

    def _is_end(
        self, page: PageAnswer, start: int, query: Query, *, look: bool = False, shuffled: bool = False
    ) -> Generator[Query, PageAnswer, bool]:
        """Whether nothing comes after a page. A short one may be the last, or all that the service puts on one.

        Args:
            page: The page.
            start: How many items come before it.
            query: The query of the list.
            look: Ask for what comes after it even if it is a whole page.
            shuffled: Whether the last item of the page may be another one of the group when it comes again.
        """
        self.longest = max(self.longest, len(page.items))
        if is_last(page, start):
            return True
        short = len(page.items) < (page.limit or 0)
        last = start + len(page.items) - 1
        # Where the page is all that is put on one, the next is sure to begin where it ended if as many are asked for.
        asked = page_at(last, len(page.items), 2)
        if asked is None or asked[0] - last % asked[0] < 2:
            asked = page_at(last, self._size, 2)
        if asked is None or not (look or short):
            return False
        # The last item has to come again: otherwise the list has moved, and others with it.
        size, number = asked
        tail = (yield {**query, "limit": size, "page": number}).items[last - (number - 1) * size :]
        if not tail:
            return False
        moved = self._is_beyond(tail[0]) if shuffled else mark_of(tail[0]) != mark_of(page.items[-1])
        if moved:
            return False
        if len(tail) == 1:
            return True
        self._size = min(self._size, self.longest) if short else self._size
        return False

    def _between(self, near: int, far: int | None = None) -> Mapping[str, dt.datetime | None]:
        """The caller's bounds, narrowed to the groups from `near` to `far`, with a margin."""
        reach = max(self._near, self.reach)
        start = shifted(EPOCH, self.sign * near * MILLISECOND - self.sign * reach)
        end = None if far is None else shifted(EPOCH, self.sign * far * MILLISECOND + self.sign * reach)
        after, before = (start, end) if self.sign > 0 else (end, start)
        return narrowed(self.within().get("created_at"), after, before)


_SCATTERED: Final = (
    "many items share it, and the service does not keep the order in which it gives them; "
    "the walk of a whole list can read them"
)


def _common(marks: Sequence[bytes], others: Sequence[bytes]) -> list[bytes]:
    """The marks that are among others, too."""
    found = set(others)
    return [mark for mark in marks if mark in found]


def _is_whole(passes: Iterable[int], counts: Sequence[int]) -> bool:
    """Whether all items that share an instant have been met.

    Args:
        passes: For each item that was met, the last pass in which it was.
        counts: How many items each pass has counted, from the first.

    At the end of a pass there are as many items as it has counted. If as many have been met by the passes after
    it, those are the same: an item that was not met would have been there, too. Later counts are looked at for
    items that were created meanwhile.
    """
    met = Counter(passes)
    since = list(accumulate(met[number] for number in range(len(counts), 0, -1)))[::-1]
    return any(since[number] >= max(counts[number - 1 :]) for number in range(1, len(counts)))


def narrowed(
    bounds: Any, after: dt.datetime | None, before: dt.datetime | None
) -> Mapping[str, dt.datetime | None]:
    """The caller's bounds and the walk's: the narrower of each."""
    given: Mapping[str, dt.datetime | UnsetType | None] = bounds or {}
    lower = [bound for bound in (after, given.get("after")) if isinstance(bound, dt.datetime)]
    upper = [bound for bound in (before, given.get("before")) if isinstance(bound, dt.datetime)]
    return {"after": max(lower, default=None), "before": min(upper, default=None)}

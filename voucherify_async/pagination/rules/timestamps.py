"""Walks by a timestamp of the items, which lose and repeat nothing where many items share one. No I/O.

**Order.** The service sorts by `created_at`; in which order it puts those that share one, and whether it keeps
it, nobody says. (`created_at`, hash of the id) is an order that nobody has to keep. A *group* is the items of one
millisecond. A group is *closed* when the answer shows something beyond it, or the list ends: all
of it is known then, and can be delivered in that order. The last group of a page is *open*: more of it may follow.

**State.** Of what was delivered, it is enough to know the last instant and, at that instant, which items: by their
marks (`taken`), or as all up to a hash (`through`). Everything before the instant has been delivered, everything
after it has not. So a state does not grow with the list or with the tie, and insertions, updates and deletions
cannot make it wrong. A group of up to 16 is delivered as it comes, open or closed, and remembered by its marks. A
larger one is closed first, by reading it by page number (the module `created_at`), and delivered by its hashes.

**What a walk relies on**, and what it does when that is not so:

- Items come sorted by the timestamps that they show. Otherwise it stops with `PaginationStalledError`.
- A request from the last instant brings the last item again. Each request starts a millisecond before it, or a
  second if the instant is a whole second and none was seen that is not, as they may be shown in seconds. If nothing comes back, it starts a
  second before. If nothing comes back then either, the items were deleted, or timestamps are compared more
  coarsely than in seconds: whether the next item comes back tells which. Then it stops.
- `has_more: false` is the end. Where `has_more` is missing, the end is a request that brings nothing new, and
  fewer items than another did; or else an empty page by number.
- `total`, `Date` and the length of a page prove nothing. A `total` that is reached saves a look at the next page.
- An item without a timestamp is delivered when it is met, and remembered as long as it can come again.
- An id that comes twice in an answer is one item.
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
from voucherify_async.models.base import EPOCH, as_utc, is_mapping
from voucherify_async.pagination.rules.base import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    Batch,
    PageAnswer,
    Walk,
    mark_of,
    marks_of,
)

__all__ = [
    "MILLISECOND",
    "SECOND",
    "Held",
    "Part",
    "Sheet",
    "TimestampState",
    "TimestampWalk",
    "created_of",
    "shifted",
    "with_undated",
]

MICROSECOND: Final = dt.timedelta(microseconds=1)
MILLISECOND: Final = dt.timedelta(milliseconds=1)
SECOND: Final = dt.timedelta(seconds=1)

_MAX_TAKEN: Final = 16
"""Items of an instant that a state remembers one by one: a cursor has 300 characters."""
_MAX_UNDATED: Final = 64
"""Items without a timestamp that a state remembers."""
_REACH: Final = 1_000
"""Milliseconds that a request may start before its last instant."""
_EDGE: Final = 2
"""Seconds of a minute, on either side, that a request that starts a second earlier may take into another minute."""
_MAX_ROUNDS: Final = 4
"""Requests that may bring nothing new, one after the other, until the walk is stalled."""

_created_at: Final = attrgetter("created_at")
_zone: Final = attrgetter("tzinfo")
_microsecond: Final = attrgetter("microsecond")
_FIRST: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_LAST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


class TimestampState(msgspec.Struct, frozen=True, array_like=True):
    """Which items have been delivered.

    Attributes:
        at: Microseconds, since 1970, of the last instant; `None` if no item had one yet.
        taken: Marks of items delivered at that instant. With a `place`: of the last ones delivered.
        through: All items of the instant whose hash is no greater have been delivered, too.
        undated: Marks of items without a timestamp that may come again.
        coarse: Timestamps are compared in seconds.
        fine: Timestamps are shown in fractions of seconds.
        place: How many items come before the next one where the instant is read by page number. A negative
            one cannot be gone on from.
        ahead: With a `place`: the marks of the items that come next.
        size: The most items that the service puts on a page, as far as was seen.
    """

    at: Annotated[int, msgspec.Meta(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999)] | None = None
    taken: tuple[bytes, ...] = ()
    through: bytes | None = None
    undated: tuple[bytes, ...] = ()
    coarse: bool = False
    fine: bool = False
    place: Annotated[int, msgspec.Meta(ge=-1, le=10_000)] | None = None
    ahead: tuple[bytes, ...] = ()
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE_SIZE)] = MAX_PAGE_SIZE


class Sheet(NamedTuple):
    """The items of an answer.

    Attributes:
        items: Those with a timestamp, in the order of the walk.
        instants: Their timestamps, in UTC.
        undated: Each item without one, with the group of the next item that has one.
        is_sorted: Whether they came in that order.
    """

    items: list[Any]
    instants: list[dt.datetime]
    undated: list[tuple[Any, float]]
    is_sorted: bool = True


class Held(NamedTuple):
    """A group that is too large to be remembered.

    Attributes:
        instant: When its items were created.
        known: The marks of those that an answer has shown, in its order.
    """

    instant: dt.datetime
    known: Sequence[bytes]


Part = Generator[Query | Batch, PageAnswer, Held | bool]
"""Part of a walk. It returns whether that was the end, or a group to be read out before the walk goes on."""


class TimestampWalk:
    """A walk that is under way.

    Groups are numbered by milliseconds that grow along the walk. What it delivers can be narrowed meanwhile, to
    the groups from `first` to `last`.
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
        self.state = state or TimestampState()
        self.base = base
        self.stream = stream
        self.sign = -1 if descending else 1
        self.coarse, self.fine = self.state.coarse, self.state.fine
        self.first, self.last = -math.inf, math.inf
        self._parameter = parameter
        self._start = start
        self._limit = limit
        self.since = None if self.state.at is None else instant_of(self.state.at)
        self.longest = 0
        self.undated = dict.fromkeys(self.state.undated, math.inf)

    # ------------------------------------------------------------ requests

    def run(self) -> Walk:
        """Walk from the state to the end of the list."""
        idle = 0
        while True:
            before = (self.state, self._limit, self.coarse)
            page, sheet = yield from self.next_page()
            if page.has_more and not page.items:
                yield Batch((), lambda _: self.state, more=True, stuck=True)
            ended = page.has_more is False or (page.has_more is None and not page.items)
            if page.has_more is None and not ended and self._is_short(page):
                ended = not self._has_new(sheet)
            self.longest = max(self.longest, len(page.items))
            outcome = yield from self.settle(sheet, ended=ended, page=page)
            del page, sheet  # before the next one comes, which can take their memory then
            while isinstance(outcome, Held):
                outcome = yield from self.read_out(*outcome)
            if outcome:
                return
            idle = idle + 1 if before == (self.state, self._limit, self.coarse) else 0
            if idle == _MAX_ROUNDS:
                raise self.stalled("the service goes on answering with it")

    def _is_short(self, page: PageAnswer) -> bool:
        """Whether an answer has fewer items than could have come."""
        return len(page.items) < min(self.longest, page.limit or self.longest)

    def next_page(self) -> Generator[Query, PageAnswer, tuple[PageAnswer, Sheet]]:
        """Read the page after the state. It has to show an item from before the state too: then nothing is left out."""
        page = yield self.query(self.since, self.reach)
        sheet = self.sheet(page.items)
        if self.since is None or self._overlaps(page, sheet, self.since):
            return page, sheet
        if self.reach < SECOND:
            page = yield self.query(self.since, SECOND)
            sheet = self.sheet(page.items)
            if self._overlaps(page, sheet, self.since):
                self.coarse = True
                return page, sheet
        yield from self._check_precision(sheet)
        return page, sheet

    def _check_precision(self, sheet: Sheet) -> Generator[Query, PageAnswer, None]:
        """Make sure that missing items were deleted: an item that still exists has to come back when asked for."""
        if not sheet.items:
            return (yield from self.check_end())
        for _ in range(2):  # what is asked for again may be deleted just now
            # Not one that a comparison in minutes would show as well: the answer may begin with a new minute.
            inside = [instant for instant in sheet.instants if _EDGE <= instant.second < 60 - _EDGE]
            asked = (inside or sheet.instants)[-1]
            page = yield self.query(asked, SECOND)
            again = self.sheet(page.items)
            if again.items and self.group(again.instants[0]) <= self.group(asked):
                return None
            if again.items:
                sheet = again
        raise self.stalled("the service compares timestamps more coarsely than in seconds")

    def check_end(self) -> Generator[Query, PageAnswer, None]:
        """Make sure that the list ends here, when a request showed nothing at all."""
        yield from ()

    def read_out(self, instant: dt.datetime, known: Sequence[bytes]) -> Part:
        """Deliver a group that is too large to be remembered, and what an answer shows beyond it."""
        from_here = self.since is not None and self.group(self.since) == self.group(instant)
        if from_here and self._limit == MAX_PAGE_SIZE and len(known) > _MAX_TAKEN:
            raise self.stalled("more items share it than a page holds")
        self._limit, self.since = MAX_PAGE_SIZE, instant
        return False
        yield  # a generator, as those that can do more

    def within(self) -> Query:
        """The query of every request."""
        return self.base

    @property
    def reach(self) -> dt.timedelta:
        """How long before its last instant a request starts, so that all that share it come again."""
        in_seconds = self.since is not None and not self.since.microsecond and not self.fine
        return SECOND if self.coarse or in_seconds else MILLISECOND

    def query(self, instant: dt.datetime | None, reach: dt.timedelta) -> Query:
        """The query for the page that begins `reach` before an instant; without an instant, for the first page."""
        start = self._start if instant is None else self.back(instant, reach)
        limit = self._limit
        if instant is not None:
            overlap = MAX_PAGE_SIZE if self.state.through else len(self.state.taken) + (not self.stream)
            limit = min(
                MAX_PAGE_SIZE, (limit or (MAX_PAGE_SIZE if self.stream else DEFAULT_PAGE_SIZE)) + overlap
            )
        elif limit is None and self.stream:
            limit = MAX_PAGE_SIZE
        return {**self.within(), "limit": limit, self._parameter: start}

    def back(self, instant: dt.datetime, reach: dt.timedelta) -> dt.datetime:
        """The instant `reach` before the beginning of an instant's group, in the direction of the walk."""
        start = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
        return shifted(start, -self.sign * reach)

    def stalled(self, why: str) -> PaginationStalledError:
        """The error that says where the walk is, why it does not go on, and what to do."""
        where = "the beginning" if self.since is None else self.since.isoformat(timespec="milliseconds")
        return PaginationStalledError(
            f"cannot get beyond {where}: {why}. Narrow the list by another filter, for example by city, "
            f"segment_id or updated_at_after"
        )

    # ------------------------------------------------------------ answers

    def settle(self, sheet: Sheet, *, ended: bool, page: PageAnswer | None = None) -> Part:
        """Deliver the items of an answer; its last group only if the state can remember it.

        Args:
            sheet: The items of the answer, or of the part that is left of it.
            ended: Whether nothing comes after them.
            page: The answer, if it is of the list and not of a part.
        """
        if not (ended or sheet.is_sorted):
            raise self.stalled("the service does not sort by the timestamps that it shows")
        last = self.group(sheet.instants[-1]) if sheet.instants else None
        ended = ended or (last is not None and last > self.last)
        items, instants = self._new(sheet)
        open_, known, held = 0, 0, False
        if last is not None and not ended:
            open_ = self._count_in(last, instants)
            known = len(self.state.taken) if last == self.here else 0
            behind = self.here is not None and last <= self.here
            held = open_ + known > _MAX_TAKEN or (behind and not items)
        kept = open_ if held else 0
        shown = len(items) - kept
        # What comes after a page is new, unless it is what was delivered before, in another order.
        says_more = page is not None and bool(page.has_more) and shown > 0 and not self.undated
        if says_more and last == self.here:
            says_more = set(self.state.taken) <= set(marks_of(sheet.items))
        follows = kept > 0 or says_more
        more = False if ended else follows or None
        total = None if page is None else page.total
        open_ = 0 if kept else open_
        yield from self.deliver(
            items[:shown], instants[:shown], sheet.undated, open_=open_, more=more, total=total
        )
        if ended:
            return True
        if last is None:
            self._widen()
        elif held:
            instant = sheet.instants[-1] if self.since is None else self.later(self.since, sheet.instants[-1])
            tied = self._count_in(self.group(instant), sheet.instants)
            return Held(instant, marks_of(sheet.items[len(sheet.items) - tied :]))
        return False

    def deliver(
        self,
        items: list[Any],
        instants: list[dt.datetime],
        undated: Sequence[tuple[Any, float]] = (),
        *,
        open_: int = 0,
        more: bool | None,
        total: int | None = None,
    ) -> Generator[Batch, PageAnswer, None]:
        """Deliver items that are new, and before them those without a timestamp.

        Args:
            items: The items, by their timestamps.
            instants: Their timestamps.
            undated: Those without one, as a `Sheet` has them.
            open_: How many of the last are of a group that is open: they are not put in the order of the hashes.
            more: Whether something comes after them; `None` if that is not known.
            total: What the service says of the length of the list.
        """
        closed = len(items) - open_
        if len(items) + len(self.state.taken) > _MAX_TAKEN:
            self._order_groups(items, instants, closed)
        first = self.take_undated(undated)
        cut = self._cuts(items, instants, first, closed)
        end = len(first) + len(items)
        # Before it yields: whoever cuts the window meanwhile asks how far the walk has come.
        self.state = cut(end)
        if items:
            self.since = instants[-1]
        if not self.is_bounded:
            yield Batch([*first.values(), *items] if first else items, cut, more=more, total=total)
        else:
            inside = [
                n for n, instant in enumerate(instants) if self.first <= self.group(instant) <= self.last
            ]
            # What is left out is passed all the same. It may be all that comes.
            ends = [*range(len(first)), *(len(first) + n for n in inside)]
            yield Batch(
                [*first.values(), *(items[n] for n in inside)],
                lambda count: cut(ends[count - 1] + 1 if 0 < count < len(ends) else end if count else 0),
                more=None if more else more,
                total=total,
            )

    def _cuts(
        self, items: list[Any], instants: list[dt.datetime], undated: dict[bytes, Any], closed: int
    ) -> Callable[[int], TimestampState]:
        before, here, bounds = self.state, self.here, self.undated

        def cut(count: int) -> TimestampState:
            waiting = {
                mark: bounds[mark] for mark in (*before.undated, *list(undated)[:count]) if mark in bounds
            }
            count -= len(undated)
            if count <= 0:
                return with_undated(before, waiting, -math.inf)
            last = instants[count - 1]
            group = self.group(last)
            tied = self._count_in(group, instants[:count])
            old = before if group == here else _NOTHING
            more = self._count_until(group, instants[count:closed])
            at, taken, through = last, (*old.taken, *marks_of(items[count - tied : count])), old.through
            if len(taken) + more > _MAX_TAKEN:
                taken, through = old.taken, taken[-1]
            elif old.at is not None and through:
                at = instant_of(old.at)
            state = TimestampState(microseconds_of(at), taken, through, coarse=self.coarse, fine=self.fine)
            return with_undated(state, waiting, group - _REACH) if waiting else state

        return cut

    def take_undated(self, undated: Sequence[tuple[Any, float]]) -> dict[bytes, Any]:
        """The new items among those without a timestamp. All are remembered, with the group that follows them."""
        marks = {mark_of(item): (item, group) for item, group in undated}
        new = {mark: item for mark, (item, _) in marks.items() if mark not in self.undated}
        if marks:
            self.undated = {**self.undated, **{mark: group for mark, (_, group) in marks.items()}}
        return new

    def _has_new(self, sheet: Sheet) -> bool:
        return bool(self._new(sheet)[0]) or any(
            mark_of(item) not in self.undated for item, _ in sheet.undated
        )

    def _widen(self) -> None:
        """Ask for larger pages, as items without a timestamp fill this one."""
        if self._limit == MAX_PAGE_SIZE or (self._limit is None and self.stream):
            raise self.stalled("no item has a timestamp to go on from")
        self._limit = MAX_PAGE_SIZE

    # ------------------------------------------------------------ groups

    def later(self, one: dt.datetime, other: dt.datetime) -> dt.datetime:
        """The one of two instants that comes later in the walk."""
        return max(one, other) if self.sign > 0 else min(one, other)

    def group(self, instant: dt.datetime) -> int:
        """The number of the group of an instant."""
        return self.sign * ((instant - EPOCH) // MILLISECOND)

    @property
    def is_bounded(self) -> bool:
        """Whether some of what the service gives may be left out."""
        return self.first != -math.inf or self.last != math.inf

    @property
    def here(self) -> int | None:
        """The group of the last item delivered."""
        return None if self.state.at is None else self.sign * (self.state.at // 1000)

    def _count_in(self, group: int, instants: list[dt.datetime]) -> int:
        """How many of the last instants are of a group."""
        count = 0
        for instant in reversed(instants):
            if self.group(instant) != group:
                break
            count += 1
        return count

    def _count_until(self, group: int, instants: list[dt.datetime]) -> int:
        """How many of the first instants are of a group or before it."""
        for index, instant in enumerate(instants):
            if self.group(instant) > group:
                return index
        return len(instants)

    def _overlaps(self, page: PageAnswer, sheet: Sheet, since: dt.datetime) -> bool:
        """Whether an answer shows something that comes before what is asked for, as it has to."""
        group = self.group(since)
        front = self._count_until(group, sheet.instants)
        # Of a group that is shown in part, what was delivered may be in the other part.
        is_full = page.has_more or (page.has_more is None and len(page.items) >= (page.limit or 1))
        is_part = (
            bool(is_full) and front == len(sheet.items) and self.later(since, sheet.instants[0]) == since
        )
        if group != self.here or is_part:
            return front > 0
        return not all(map(self.is_new, sheet.items[:front], sheet.instants[:front]))

    def is_new(self, item: Any, instant: dt.datetime) -> bool:
        """Whether an item is not among those delivered."""
        state, here, group = self.state, self.here, self.group(instant)
        if here is None or state.at is None:
            return True
        if group != here:
            return group > here
        if state.place is not None:
            return False  # the walk has come to the end of the group
        mark = mark_of(item)
        done = state.through is not None and self._key(instant, mark) <= self._key(
            instant_of(state.at), state.through
        )
        return not done and mark not in state.taken

    def _key(self, instant: dt.datetime, mark: bytes) -> tuple[dt.timedelta, bytes]:
        """The key by which a walk orders items."""
        return (self.sign * (instant - EPOCH), mark)

    def _new(self, sheet: Sheet) -> tuple[list[Any], list[dt.datetime]]:
        """The items and instants that were not delivered before."""
        items, instants, here = sheet.items, sheet.instants, self.here
        if here is not None:
            known = self._count_until(here, instants)
            kept = [index for index in range(known) if self.is_new(items[index], instants[index])]
            items = [items[index] for index in kept] + items[known:]
            instants = [instants[index] for index in kept] + instants[known:]
        return items, instants

    def _order_groups(self, items: list[Any], instants: list[dt.datetime], closed: int) -> None:
        """Sort the closed groups that are too large for a state by the hashes of their items."""
        if not any(map(eq, instants[:closed], instants[1:closed])):  # its loop is in C
            return
        begin = 0
        for group, tied in groupby(instants[:closed], self.group):
            end = begin + sum(1 for _ in tied)
            known = len(self.state.taken) if group == self.here else 0
            if known + end - begin > _MAX_TAKEN:
                ordered = self.in_order(items[begin:end], instants[begin:end])
                items[begin:end], instants[begin:end] = ordered
            begin = end

    def in_order(self, items: list[Any], instants: list[dt.datetime]) -> tuple[list[Any], list[dt.datetime]]:
        """The items by (`created_at`, hash)."""
        keyed = sorted(
            (
                (self._key(instant, mark_of(item)), item, instant)
                for item, instant in zip(items, instants, strict=True)
            ),
            key=itemgetter(0),
        )
        return [item for _, item, _ in keyed], [instant for _, _, instant in keyed]

    def sheet(self, items: Sequence[Any]) -> Sheet:
        """The items of an answer, with their timestamps."""
        try:  # for every item of a walk: the loops are in C
            instants = list(map(_created_at, items))
            if all(map(is_, map(_zone, instants), repeat(dt.UTC))):
                return self._sorted(list(items), instants, [])
        except (AttributeError, TypeError):
            pass  # one of them is not decoded, or has no timestamp
        dated: list[Any] = []
        instants = list[dt.datetime]()
        undated: list[tuple[Any, float]] = []
        following = math.inf
        for item in reversed(items):
            instant = created_of(item)
            if instant is None:
                undated.append((item, following))
            else:
                dated.append(item)
                instants.append(instant)
                following = self.group(instant)
        return self._sorted(dated[::-1], instants[::-1], undated[::-1])

    def _sorted(
        self, items: list[Any], instants: list[dt.datetime], undated: list[tuple[Any, float]]
    ) -> Sheet:
        self.fine = self.fine or any(map(_microsecond, instants))
        in_order = sorted(instants, reverse=self.sign < 0)
        if in_order == instants:
            return Sheet(items, instants, undated, is_sorted=True)
        return Sheet(*self.in_order(items, instants), undated, is_sorted=False)


_NOTHING: Final = TimestampState()


def with_undated(state: TimestampState, waiting: Mapping[bytes, float], since: float) -> TimestampState:
    """The state with those items without a timestamp that may come after a group again."""
    marks = tuple(mark for mark, group in waiting.items() if group >= since)
    if len(marks) > _MAX_UNDATED:
        return TimestampState(state.at, place=-1)
    return msgspec.structs.replace(state, undated=marks)


def instant_of(microseconds: int) -> dt.datetime:
    """The instant so many microseconds after 1970."""
    return EPOCH + microseconds * MICROSECOND


def microseconds_of(instant: dt.datetime) -> int:
    """How many microseconds after 1970 an instant is."""
    return (instant - EPOCH) // MICROSECOND


def shifted(instant: dt.datetime, by: dt.timedelta) -> dt.datetime:
    """The instant plus a duration, limited to the years 1 to 9999."""
    try:
        return instant + by
    except OverflowError:
        return _FIRST if by < dt.timedelta() else _LAST


def created_of(item: Any) -> dt.datetime | None:
    """When an item was created, in UTC, if it has a timestamp; decoded or not."""
    value = item.get("created_at") if is_mapping(item) else getattr(item, "created_at", None)
    if isinstance(value, str):
        try:
            value = msgspec.convert(value, dt.datetime)
        except msgspec.ValidationError:
            return None
    if not isinstance(value, dt.datetime):
        return None
    return as_utc(value)

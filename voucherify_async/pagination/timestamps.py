"""Walks by timestamp, which lose and repeat nothing where many items share one. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from itertools import compress, repeat
from operator import attrgetter, eq, gt, le, ne
from typing import Any, Final, TypeVar

import msgspec

from voucherify_async.errors import PaginationStalledError
from voucherify_async.models.base import as_utc, is_mapping
from voucherify_async.pagination.rules import (
    MAX_PAGE_SIZE,
    PageAnswer,
    Step,
    fingerprint_of,
    fingerprints_of,
)
from voucherify_async.transport.operation import Query

__all__ = ["EPOCH", "MILLISECOND", "EndDateRule", "Tie", "TimestampRule", "TimestampState"]


class Tie(msgspec.Struct, frozen=True, array_like=True):
    """The reading-out of one instant by page number.

    Attributes:
        at: Its position.
        page: The page to read.
        passes: The pass it belongs to, from 1.
        count: Items on the pages of this pass so far.
        found: Ids met in the passes since customers were last seen to go.
        grew: Whether this pass has met an id that the passes before did not.
        ahead: Ids delivered at the instant after the one read out.
        delivered: How many items the reading-out has delivered.
        expected: How many items this pass will have if none goes meanwhile; `None` if nobody knows.
    """

    at: int
    page: int = 1
    passes: int = 1
    count: int = 0
    found: frozenset[int] = frozenset()
    grew: bool = False
    ahead: frozenset[int] = frozenset()
    delivered: int = 0
    expected: int | None = None


class TimestampState(msgspec.Struct, frozen=True, array_like=True):
    """How far a walk by timestamp has come. Positions are milliseconds that grow along the walk.

    Attributes:
        at: The position of the last instant seen; everything before it has been delivered.
        here: Ids delivered at `at`.
        behind: Ids delivered at the position before.
        undated: Ids of the latest items that came without a timestamp.
        stale: Ids of those before them, each with the position by which the walk has passed it.
        read_out: `at` itself has been delivered whole.
        idle: Its reading-out delivered nothing.
        wide: The last instant fills a page of the size asked for; try one of 100.
        tie: The reading-out under way.
        until: The position after which nothing is delivered: what came when the walk had begun.
    """

    at: int | None = None
    here: frozenset[int] = frozenset()
    behind: frozenset[int] = frozenset()
    undated: frozenset[int] = frozenset()
    stale: dict[int, int] = {}
    read_out: bool = False
    idle: bool = False
    wide: bool = False
    tie: Tie | None = None
    until: int | None = None


T = TypeVar("T")

_created_at: Final = attrgetter("created_at")
_zone: Final = attrgetter("tzinfo")
_UTC: Final = frozenset({dt.UTC})

_EARLIEST: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_LATEST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND: Final = dt.timedelta(milliseconds=1)


class TimestampRule:
    """A walk by a timestamp of the items, compared by the service with a query parameter.

    Whether the service compares strictly is unknown, timestamps may be cut to milliseconds, and many items
    can share one. So each request reaches back over the last instant seen, and what was delivered there is
    remembered and skipped.
    """

    name: str
    state_type: Any = TimestampState
    _parameter: str

    def __init__(self, *, descending: bool, start: dt.datetime | None, sentinel: dt.datetime | None) -> None:
        self._sign = -1 if descending else 1
        self._start = start or sentinel
        self._furthest: Callable[..., dt.datetime] = min if descending else max
        # Stands for the time of an item that has none: before the beginning of the walk.
        self._undated = _LATEST if descending else _EARLIEST

    def start(self) -> TimestampState:
        """The beginning of the list."""
        return TimestampState()

    def query(self, state: TimestampState, base: Query, limit: int | None) -> Query:
        """Ask for the last instant seen and everything after it."""
        if state.at is None:
            start = self._start
        else:
            # One millisecond back covers the instant under either comparison. One that was read out must
            # not come again: it may fill the page.
            start = self._instant(state.at if state.read_out else state.at - 1)
        return {**base, "limit": MAX_PAGE_SIZE if state.wide else limit, self._parameter: start}

    def advance(self, state: TimestampState, page: PageAnswer) -> Step:
        """Deliver what was not delivered at the instants that the request reached back over."""
        instants, furthest = self._instants(page.items)
        if state.at is None:
            unseen = list(map(ne, instants, repeat(self._undated)))
        else:
            unseen = self._from(state.at + 1, instants)
        # Few are left: those at the last instant, which were asked for again.
        for index in _indices(unseen, value=False):
            unseen[index] = self._is_unseen(state, page.items[index], self._position(instants[index]))
        if page.has_more is False or (page.has_more is None and not page.items):
            return Step(unseen, None)
        top = self._position(furthest)
        if top is not None and (state.at is None or top > state.at):
            return Step(unseen, self._moved(state, page.items, instants, top))
        widened = page.limit is None or page.limit >= MAX_PAGE_SIZE
        if self._undated in instants and not widened:
            # What has no timestamp may fill a small page.
            return Step(
                unseen, msgspec.structs.replace(self._remember(state, page.items, instants), wide=True)
            )
        if state.at is None:
            return Step(unseen, state, PaginationStalledError("no item has a timestamp to go on from"))
        return self._stayed(self._remember(state, page.items, instants), state.at, page, unseen)

    def _stayed(self, state: TimestampState, at: int, page: PageAnswer, unseen: list[bool]) -> Step:
        """The page did not get beyond the last instant seen."""
        full = page.limit is None or len(page.items) >= page.limit
        if not page.has_more and not full:
            # The service does not say whether there is more, and the page is short: look once more if it
            # held something new.
            return Step(unseen, state if any(unseen) else None)
        if state.idle:
            return Step(
                unseen, state, self._stalled(at, "the service goes on answering with it", len(state.here))
            )
        return self._tied(state, at, page, unseen)

    def _tied(self, state: TimestampState, at: int, page: PageAnswer, unseen: list[bool]) -> Step:
        """More items share the instant than a page holds."""
        if page.limit is not None and page.limit < MAX_PAGE_SIZE:
            return Step(unseen, msgspec.structs.replace(state, wide=True))
        why = "more items share it than a page holds"
        return Step(unseen, state, self._stalled(at, why, len(state.here)))

    def _moved(
        self, state: TimestampState, items: Sequence[Any], instants: list[dt.datetime], top: int
    ) -> TimestampState:
        here, behind = self._marks(top, items, instants)
        return TimestampState(
            at=top,
            here=here,
            behind=behind,
            undated=self._undated_marks(items, instants),
            # An item without a timestamp has its place before the next page's end. Until the requests
            # start beyond that, it can come again.
            stale={mark: place for mark, place in state.stale.items() if place >= top - 1}
            | dict.fromkeys(state.undated, top),
            until=state.until,
        )

    def _remember(
        self, state: TimestampState, items: Sequence[Any], instants: list[dt.datetime]
    ) -> TimestampState:
        """The state with the items of one more page that are of its last instants."""
        undated = state.undated | self._undated_marks(items, instants)
        if state.at is None:
            return msgspec.structs.replace(state, undated=undated)
        here, behind = self._marks(state.at, items, instants)
        return msgspec.structs.replace(
            state, here=state.here | here, behind=state.behind | behind, undated=undated
        )

    def _marks(
        self, position: int, items: Sequence[Any], instants: list[dt.datetime]
    ) -> tuple[frozenset[int], frozenset[int]]:
        """The fingerprints of the items at a position, and of those at the one before."""
        near = compress(zip(items, instants, strict=True), self._from(position - 1, instants))
        placed = [(item, self._position(instant)) for item, instant in near]
        here = fingerprints_of([item for item, place in placed if place == position])
        return here, fingerprints_of([item for item, place in placed if place == position - 1])

    def _undated_marks(self, items: Sequence[Any], instants: list[dt.datetime]) -> frozenset[int]:
        if self._undated not in instants:
            return frozenset()
        return fingerprints_of(list(compress(items, map(eq, instants, repeat(self._undated)))))

    def _is_unseen(self, state: TimestampState, item: Any, position: int | None) -> bool:
        if position is None:
            mark = fingerprint_of(item)
            return mark not in state.undated and mark not in state.stale
        if position == state.at:
            return fingerprint_of(item) not in state.here
        return state.at is not None and position == state.at - 1 and fingerprint_of(item) not in state.behind

    # What follows is done for every item of a walk: the loops are in C.

    def _instants(self, items: Sequence[Any]) -> tuple[list[dt.datetime], dt.datetime]:
        """The timestamps of the items in UTC, and the one that is furthest along the walk."""
        try:
            instants = list(map(_created_at, items))
            if set(map(_zone, instants)) <= _UTC:
                return instants, self._furthest(instants, default=self._undated)
        except (AttributeError, TypeError):
            pass  # one of them is not decoded, or has no timestamp
        instants = [_created(item) or self._undated for item in items]
        return instants, self._furthest(instants, default=self._undated)

    def _from(self, position: int, instants: list[dt.datetime]) -> list[bool]:
        """Which of the instants are at a position or beyond it."""
        if self._sign > 0:
            return list(map(le, repeat(self._instant(position)), instants))
        return list(map(gt, repeat(self._instant(position - 1)), instants))

    def _position(self, instant: dt.datetime) -> int | None:
        return None if instant == self._undated else self._sign * ((instant - EPOCH) // MILLISECOND)

    def _positions(self, items: Sequence[Any]) -> list[int | None]:
        instants, _ = self._instants(items)
        return [self._position(instant) for instant in instants]

    def _instant(self, position: int) -> dt.datetime:
        return EPOCH + self._sign * position * MILLISECOND

    def _stalled(self, at: int, why: str, delivered: int) -> PaginationStalledError:
        instant = self._instant(at).isoformat(timespec="milliseconds")
        return PaginationStalledError(
            f"cannot get beyond {instant}: {why}; {delivered} items delivered there"
        )


def _created(item: Any) -> dt.datetime | None:
    value = item.get("created_at") if is_mapping(item) else getattr(item, "created_at", None)
    if isinstance(value, str):
        try:
            value = msgspec.convert(value, dt.datetime)
        except msgspec.ValidationError:
            return None
    return as_utc(value) if isinstance(value, dt.datetime) else None


def _indices(values: list[T], *, value: T) -> Iterator[int]:
    """Where a value is in a list that has few of it."""
    index = -1
    for _ in range(values.count(value)):
        index = values.index(value, index + 1)
        yield index


class EndDateRule(TimestampRule):
    """Newest first, before an ``end_date``: the list of async actions."""

    name: str = "end_date"
    _parameter: str = "end_date"

    def __init__(self, before: dt.datetime | None = None) -> None:
        super().__init__(descending=True, start=before, sentinel=None)

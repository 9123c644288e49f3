"""The walk over customers: by `created_at`, through instants that more of them share than a page holds. Pure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from voucherify_async.models.base import UnsetType
from voucherify_async.pagination.rules import (
    MAX_PAGE,
    MAX_PAGE_SIZE,
    PageAnswer,
    Step,
    fingerprint_of,
    fingerprints_of,
)
from voucherify_async.pagination.timestamps import EPOCH, MILLISECOND, Tie, TimestampRule, TimestampState
from voucherify_async.pagination.windows import Window, milliseconds_of
from voucherify_async.transport.operation import Query

__all__ = ["CreatedAtRule"]

_CLOCK_MARGIN: Final = dt.timedelta(minutes=5)
"""What the clock that a Date header is written by may lag behind the one that timestamps are made with."""
_MAX_PASSES: Final = 30
"""Passes over a tie before giving up. If every request shuffles 99 pages anew, a pass misses 37 % of what
is left, and 30 miss nothing of 9,900 but by the worst of luck (1e-9)."""


class CreatedAtRule(TimestampRule):
    """By `created_at`, in either order (``starting_after``): the list of customers.

    An ascending walk ends five minutes after the service's time at its beginning, so that it ends on a live
    project too: at what was created later, if it ever comes to that.

    Where more customers share an instant than a page holds, the instant is read out on its own, by page
    number. The order among equals is unknown, and may differ from request to request, so the pass is
    repeated until one finds nothing new.
    """

    name: str = "created_at"
    _parameter: str = "starting_after"

    def __init__(
        self,
        *,
        descending: bool = True,
        starting_after: dt.datetime | None = None,
        window: Window = Window(),
    ) -> None:
        # The service says whether there is more only when starting_after is sent, so the first request
        # has one too: an instant that comes before every customer.
        sentinel = dt.datetime(2200, 1, 1, tzinfo=dt.UTC) if descending else EPOCH
        super().__init__(descending=descending, start=starting_after, sentinel=sentinel)
        self._order = "-created_at" if descending else "created_at"
        self._window = window
        low, high = window.created_from, window.created_before
        oldest = None if low is None else self._sign * milliseconds_of(low)
        newest = None if high is None else self._sign * (milliseconds_of(high) - 1)
        first, last = (newest, oldest) if descending else (oldest, newest)
        self._first, self._last = -math.inf if first is None else first, math.inf if last is None else last

    def query(self, state: TimestampState, base: Query, limit: int | None) -> Query:
        """Ask for the last instant seen and everything after it, or for a page of the tie."""
        # Whether the bounds are inclusive is unknown: what is beyond the window is asked for, and left out.
        low, high = self._window.created_from, self._window.created_before
        if low is not None or high is not None:
            low = None if low is None else low - MILLISECOND
            base = {**base, "created_at": _narrowed(base.get("created_at"), low, high)}
        tie = state.tie
        if tie is None:
            return {**super().query(state, base, limit), "order": self._order}
        # The window holds the instant and the one after it, whether its bounds are inclusive or not, as
        # the walk goes on after both.
        first, last = sorted((self._instant(tie.at), self._instant(tie.at + 1)))
        return {
            **base,
            "created_at": _narrowed(base.get("created_at"), first - MILLISECOND, last + MILLISECOND),
            "limit": MAX_PAGE_SIZE,
            "page": tie.page,
            "order": self._order,
        }

    def advance(self, state: TimestampState, page: PageAnswer) -> Step:
        """Deliver what was not delivered before."""
        if self._sign > 0 and state.until is None and page.date is not None:
            state = msgspec.structs.replace(state, until=_upper_bound(page.date))
        if state.tie is None:
            step = super().advance(state, page)
        else:
            step = self._advance_tie(state, state.tie, page)
        last = self._last if state.until is None else min(self._last, state.until)
        return (
            step if last == math.inf and self._first == -math.inf else self._bounded(step, page.items, last)
        )

    def _bounded(self, step: Step, items: Sequence[Any], last: float) -> Step:
        positions = self._positions(items)
        inside = [position is None or self._first <= position <= last for position in positions]
        unseen = [new and wanted for new, wanted in zip(step.unseen, inside, strict=True)]
        over = step.state is not None and step.state.at is not None and step.state.at > last
        return Step(unseen, None) if over else Step(unseen, step.state, step.error)

    def _tied(self, state: TimestampState, at: int, page: PageAnswer, unseen: list[bool]) -> Step:  # noqa: ARG002  # overrides
        return Step(unseen, msgspec.structs.replace(state, tie=Tie(at)))

    def _advance_tie(self, state: TimestampState, tie: Tie, page: PageAnswer) -> Step:
        instants, _ = self._instants(page.items)
        positions = [self._position(instant) for instant in instants]
        known = {tie.at: state.here, tie.at + 1: tie.ahead, None: state.undated | state.stale.keys()}
        unseen = [
            position in known and fingerprint_of(item) not in known[position]
            for item, position in zip(page.items, positions, strict=True)
        ]
        found = tie.found | fingerprints_of(page.items)
        tie = msgspec.structs.replace(
            tie,
            count=tie.count + len(page.items),
            found=found,
            grew=tie.grew or len(found) > len(tie.found),
            ahead=tie.ahead | self._marks(tie.at + 1, page.items, instants)[0],
            delivered=tie.delivered + sum(unseen),
            expected=_most(tie.expected, page.total) if tie.page == 1 else tie.expected,
        )
        state = msgspec.structs.replace(self._remember(state, page.items, instants), tie=tie)
        if not _pass_ended(tie, page):
            if tie.page < MAX_PAGE:
                return Step(unseen, _reading(state, tie, page=tie.page + 1))
            why = f"more customers share it than {MAX_PAGE} pages hold"
            return Step(unseen, state, self._stalled(tie.at, why, len(state.here)))
        if tie.expected is None or tie.count < tie.expected:
            # Some may have gone since they were met. They would stand in for others that were not met yet.
            found = frozenset[int]()
        in_one_answer = tie.passes == 1 and tie.page == 1
        if in_one_answer or (not tie.grew and len(found) >= tie.count):
            return Step(unseen, _read_out(state, tie))
        if tie.passes < _MAX_PASSES:
            again = {"page": 1, "passes": tie.passes + 1, "count": 0, "grew": False, "expected": tie.count}
            return Step(unseen, _reading(state, tie, **again, found=found))
        why = f"{_MAX_PASSES} passes over it did not settle"
        return Step(unseen, state, self._stalled(tie.at, why, len(state.here)))


def _most(count: int | None, total: int | None) -> int | None:
    return max((number for number in (count, total) if number is not None), default=None)


def _pass_ended(tie: Tie, page: PageAnswer) -> bool:
    if not page.items or page.has_more is False:
        return True
    if len(page.items) < MAX_PAGE_SIZE:
        return not page.has_more
    return tie.page == MAX_PAGE and page.total is not None and page.total <= tie.count


def _reading(state: TimestampState, tie: Tie, **changes: Any) -> TimestampState:
    return msgspec.structs.replace(state, tie=msgspec.structs.replace(tie, **changes))


def _read_out(state: TimestampState, tie: Tie) -> TimestampState:
    """Where the walk goes on: after the instant and the one that follows it, which was in the window."""
    return TimestampState(
        at=tie.at + 1,
        here=tie.ahead,
        behind=state.here,
        undated=state.undated,
        stale=state.stale,
        until=state.until,
        read_out=True,
        idle=tie.delivered == 0,
    )


def _upper_bound(date: str) -> int | None:
    """The position at which a walk ends that began at the time of a Date header."""
    try:
        instant = parsedate_to_datetime(date).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return (instant + _CLOCK_MARGIN - EPOCH) // MILLISECOND


def _narrowed(
    bounds: Any, after: dt.datetime | None, before: dt.datetime | None
) -> Mapping[str, dt.datetime | None]:
    """The caller's bounds and the window's: the narrower of each."""
    given: Mapping[str, dt.datetime | UnsetType | None] = bounds or {}
    lower = [bound for bound in (after, given.get("after")) if isinstance(bound, dt.datetime)]
    upper = [bound for bound in (before, given.get("before")) if isinstance(bound, dt.datetime)]
    return {"after": max(lower, default=None), "before": min(upper, default=None)}

"""Walks by `end_date`, newest first: the list of async actions. No I/O."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async._transport.operation import Query
from voucherify_async.pagination.rules.base import PageAnswer, Walk
from voucherify_async.pagination.rules.timestamps import TimestampState, TimestampWalk

__all__ = ["EndDateRule"]


class EndDateRule:
    """Newest first, before an ``end_date``: the list of async actions."""

    name: str = "end_date"
    state_type: Any = TimestampState

    def __init__(self, before: dt.datetime | None = None) -> None:
        self._before = before

    def walk(self, state: TimestampState | None, base: Query, limit: int | None, *, stream: bool) -> Walk:
        """Ask for what was scheduled before the last one.

        Raises:
            PaginationStalledError: More items share a timestamp than a page holds, or none has one.
        """
        return _EndDateWalk(
            state, base, limit, stream=stream, parameter="end_date", descending=True, start=self._before
        ).run()


class _EndDateWalk(TimestampWalk):
    def _is_short(self, page: PageAnswer) -> bool:
        # There are no page numbers by which to look for more.
        return page.limit is None or len(page.items) < page.limit

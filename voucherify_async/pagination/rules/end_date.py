"""The rule for lists paginated by `end_date`, newest first: the async actions. No I/O."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async._transport.operation import Query
from voucherify_async.pagination.rules.base import PageAnswer, Walk
from voucherify_async.pagination.rules.timestamps import TimestampState, TimestampWalk

__all__ = ["EndDateRule"]


class EndDateRule:
    """Pagination by the query parameter ``end_date``, newest first: the list of async actions.

    Args:
        before: Start with the items before this time; `None` for the newest.

    Attributes:
        name: The name of the rule, which is stored in cursors.
        state_type: The type of the rule's states.
    """

    name: str = "end_date"
    state_type: Any = TimestampState

    def __init__(self, before: dt.datetime | None = None) -> None:
        self._before = before

    def walk(self, state: TimestampState | None, base: Query, limit: int | None, *, stream: bool) -> Walk:
        """Request page after page, each with an `end_date` just after the last timestamp of the page before.

        Raises:
            PaginationStalledError: More items share a timestamp than fit on a page, or no item has a timestamp.
        """
        return _EndDateWalk(
            state, base, limit, stream=stream, parameter="end_date", descending=True, start=self._before
        ).run()


class _EndDateWalk(TimestampWalk):
    def _is_short(self, page: PageAnswer) -> bool:
        # The list has no page numbers, so there is no other way to check whether more items follow.
        return page.limit is None or len(page.items) < page.limit

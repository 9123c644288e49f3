"""Walks by the id of the last item (`starting_after_id`). No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, Final

import msgspec

from voucherify_async._transport.operation import Query
from voucherify_async.errors import PaginationStalledError
from voucherify_async.pagination.rules.base import Batch, Walk, check_progress, item_id

__all__ = ["IdRule", "IdState"]

_MAX_REMEMBERED: Final = 10_000
"""Ids that a walk by id keeps, so that what comes again is not delivered again: those of the last 100 pages."""


class IdState(msgspec.Struct, frozen=True, array_like=True):
    """Attributes: the id to go on after."""

    after: str | None = None


class IdRule:
    """By the id of the last item seen (``starting_after_id``)."""

    name: str = "id"
    state_type: Any = IdState

    def __init__(self, after: str | None = None) -> None:
        self._after = after

    def walk(self, state: IdState | None, base: Query, limit: int | None, *, stream: bool) -> Walk:  # noqa: ARG002  # the protocol's
        """Ask for what follows the last id, until the service says that nothing does.

        Raises:
            PaginationStalledError: The service gives no id to go on after, or many pages held nothing new.
        """
        after = self._after if state is None else state.after
        seen: dict[str | None, None] = {} if after is None else {after: None}
        idle = 0
        while True:
            page = yield {**base, "limit": limit, "starting_after_id": after}
            keys = list(map(item_id, page.items))
            new = [key is None or key not in seen for key in keys]
            items = list(compress(page.items, new))
            seen.update(dict.fromkeys(keys))
            ended = page.has_more is False or (page.has_more is None and not items)
            following = page.more_starting_after or (keys[-1] if keys else None)
            yield Batch(
                items,
                _cuts(items, after, following or after),
                more=False if ended else page.has_more,
                total=page.total,
                stuck=not page.items and not ended,
            )
            if ended:
                return
            if following is None or following == after:
                raise PaginationStalledError(
                    f"the cursor does not move on from {after!r}, and there is more: "
                    f"narrow the list by another filter, for example by dates"
                )
            idle = 0 if items else idle + 1
            check_progress(idle)
            after = following
            del page, items  # before the next one comes, which can take their memory then
            for key in list(seen)[: max(0, len(seen) - _MAX_REMEMBERED)]:
                del seen[key]


def _cuts(items: Sequence[Any], before: str | None, behind: str | None) -> Callable[[int], IdState]:
    def cut(count: int) -> IdState:
        if count == len(items):
            return IdState(behind)
        ids = [key for key in map(item_id, items[:count]) if key is not None]
        return IdState(ids[-1] if ids else before)

    return cut

"""The rule for lists paginated by the id of the last item (`starting_after_id`). No I/O."""

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
"""Ids that a walk keeps to recognize repeated items: those of the last 100 pages."""


class IdState(msgspec.Struct, frozen=True, array_like=True):
    """The state of a walk by id.

    Attributes:
        after: The id after which the next page starts; `None` for the first page.
    """

    after: str | None = None


class IdRule:
    """Pagination by the id of the last item (``starting_after_id``).

    Args:
        after: Start after the item with this id; `None` for the beginning of the list.

    Attributes:
        name: The name of the rule, which is stored in cursors.
        state_type: The type of the rule's states.
    """

    name: str = "id"
    state_type: Any = IdState

    def __init__(self, after: str | None = None) -> None:
        self._after = after

    def walk(self, state: IdState | None, base: Query, limit: int | None, *, stream: bool) -> Walk:  # noqa: ARG002  # required by the protocol
        """Request the items after the last id until the service reports the end of the list.

        Raises:
            PaginationStalledError: The service returned no next id, or 20 consecutive pages without new items.
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
                _cut_function(items, after, following or after),
                more=False if ended else page.has_more,
                total=page.total,
                stuck=not page.items and not ended,
            )
            if ended:
                return
            if following is None or following == after:
                raise PaginationStalledError(
                    f"the service reports more items but no new id after {after!r}: "
                    f"narrow the list with another filter, for example by date"
                )
            idle = 0 if items else idle + 1
            check_progress(idle)
            after = following
            del page, items  # free their memory before the next response arrives
            for key in list(seen)[: max(0, len(seen) - _MAX_REMEMBERED)]:
                del seen[key]


def _cut_function(
    items: Sequence[Any], previous: str | None, following: str | None
) -> Callable[[int], IdState]:
    """`Batch.cut` for a page after the id `previous`; the next page starts after the id `following`."""

    def cut(count: int) -> IdState:
        if count == len(items):
            return IdState(following)
        ids = [key for key in map(item_id, items[:count]) if key is not None]
        return IdState(ids[-1] if ids else previous)

    return cut

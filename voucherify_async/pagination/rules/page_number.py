"""The rule for lists paginated by page number, and how to resume one at any position. No I/O.

The service shifts its pages when earlier items are created or deleted. So a *position* in a list is stored as a number
of items plus *anchors*: the digests of the last items before the position, and of the first items after it. The next
request starts a few items before the position and looks for the anchors: the position is now where they are
in the response.

A page may have fewer items than requested although more follow. The next page then begins either at the end of the
short page or at the end of a full one. Requesting only as many items as the short page had makes both the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec

from voucherify_async._transport.operation import Query
from voucherify_async.errors import PageLimitError
from voucherify_async.pagination.rules.base import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE,
    MAX_PAGE_SIZE,
    Batch,
    PageAnswer,
    Walk,
    check_progress,
    item_digests,
    item_id,
)

__all__ = ["ANCHORS", "PageNumberRule", "PageNumberState", "is_last", "locate", "page_at"]

ANCHORS: Final = 8
"""Anchors kept on each side of a position. The position is lost only if all of them are deleted."""

_MIN_SIZE_RATIO: Final = 0.6
"""The smallest page size to request, relative to the largest. Smaller pages can begin closer to a position."""
_MAX_ANCHOR_GAP: Final = 4 * ANCHORS
"""Items that may have been inserted between the anchors; with more, the order has changed."""
_MIN_ANCHORS_FOUND: Final = 4
"""Anchors that must be found in order; four items are in order by chance once in 24 times."""


def page_at(position: int, max_page_size: int, need: int = MAX_PAGE_SIZE) -> tuple[int, int] | None:
    """The size and number of a page that contains the item at a position and the items after it.

    Args:
        position: The number of items before it.
        max_page_size: The largest page size to request.
        need: The number of items wanted from the position on.

    Returns:
        The smallest page with `need` items from the position on, or else the page with the most of them; `None`
        if the position is beyond the highest page number.
    """
    sizes = range(max(1, min(need, int(max_page_size * _MIN_SIZE_RATIO))), max_page_size + 1)
    reached = [(min(size - position % size, need), -size) for size in sizes if position // size < MAX_PAGE]
    if not reached:
        return None
    _, size = max(reached)
    return -size, position // -size + 1


def is_last(page: PageAnswer, position: int) -> bool:
    """Whether a page that begins at a position is certainly the last one.

    A short page alone is no proof, nor is a `total`, which may count more than this list; both together are.
    """
    short = page.limit is None or len(page.items) < page.limit
    complete = short and page.total is not None and position + len(page.items) >= page.total
    return not page.items or page.has_more is False or complete


def locate(before: Sequence[bytes], after: Sequence[bytes], found: Sequence[bytes]) -> int | None:
    """Find a position by its anchors.

    Args:
        before: The digests of the last items before the position, in order.
        after: The digests of the first items after it, in order.
        found: The digests of the items to search.

    Returns:
        The index in `found` of the first item after the position. `None` if too few of the anchors are there, or
        if they are not in order or too far apart.
    """
    indices_by_digest = {digest: index for index, digest in enumerate(found)}
    passed = [indices_by_digest[digest] for digest in before if digest in indices_by_digest]
    upcoming = [indices_by_digest[digest] for digest in after if digest in indices_by_digest]
    indices = passed + upcoming
    enough = min(_MIN_ANCHORS_FOUND, len(before) + len(after))
    if len(indices) < enough or indices != sorted(indices):
        return None
    if indices and indices[-1] - indices[0] >= len(indices) + _MAX_ANCHOR_GAP:
        return None
    return passed[-1] + 1 if passed else upcoming[0] if upcoming else 0


class PageNumberState(msgspec.Struct, frozen=True, array_like=True):
    """The state of a walk by page number.

    Attributes:
        position: The number of items before the next one.
        before: The digests of the last items before the position.
        max_page_size: The largest page that the service returns.
    """

    position: Annotated[int, msgspec.Meta(ge=0, le=10_000)]
    before: tuple[bytes, ...] = ()
    max_page_size: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE_SIZE)] = MAX_PAGE_SIZE


class PageNumberRule:
    """Pagination by page number, 1 to 99.

    Items that are created or deleted during the walk shift the pages: an item that moves to a later page is
    delivered once, an item that moves to an earlier page is missed. `CreatedAtRule`, for customers, misses none.

    Args:
        first: The number of the page to start with.

    Attributes:
        name: The name of the rule, which is stored in cursors.
        state_type: The type of the rule's states.
    """

    name: str = "page"
    state_type: Any = PageNumberState

    def __init__(self, first: int = 1) -> None:
        self._first = first

    def walk(self, state: PageNumberState | None, base: Query, limit: int | None, *, stream: bool) -> Walk:
        """Request page after page.

        Raises:
            PageLimitError: The list goes on after the last page number.
            PaginationStalledError: 20 consecutive pages had no new items.
        """
        wanted = limit or (MAX_PAGE_SIZE if stream else DEFAULT_PAGE_SIZE)
        seen: set[str] = set()
        idle = 0
        if state is None:
            state = PageNumberState((self._first - 1) * wanted)
            # One item more than wanted shows whether there is a next page.
            one_more = 0 if stream or self._first > 1 else 1
            size, number = limit and min(limit + one_more, MAX_PAGE_SIZE), self._first
        else:
            size, number = _next_page(state, wanted, stream=stream)
        while True:
            page = yield {**base, "limit": size, "page": number}
            start = (number - 1) * (size or wanted)
            new = [item for item in page.items if item_id(item) not in seen]
            items = [item for item in _after_state(state, page.items, start) if item_id(item) not in seen]
            end = start + len(page.items)
            short = page.limit is not None and len(page.items) < page.limit
            max_page_size = len(page.items) or 1 if short else state.max_page_size
            ended = is_last(page, start) or (page.has_more is None and not new)
            if number == MAX_PAGE and not page.has_more:  # there is no next page to request
                ended = ended or (short if page.total is None else end >= page.total)
            yield Batch(
                items,
                _cut_function(items, end, max_page_size),
                more=False if ended else page.has_more,
                total=page.total,
                stuck=not page.items and bool(page.has_more),
            )
            if ended:
                return
            idle = 0 if new else idle + 1
            check_progress(idle)
            seen.update(filter(None, map(item_id, page.items)))
            # If no page of the short size reaches the position, use the previous size: a short page may just be the
            # last one.
            following = PageNumberState(end, max_page_size=max_page_size)
            fallback = state.max_page_size if short else None
            size, number = _next_page(following, wanted, stream=stream, fallback_size=fallback)
            state = following
            del page, new, items  # free their memory before the next response arrives


def _next_page(
    state: PageNumberState, wanted: int, *, stream: bool, fallback_size: int | None = None
) -> tuple[int, int]:
    """The size and number of the page with the items after a state.

    Args:
        state: The state.
        wanted: The page size that the caller wants.
        stream: Whether the caller reads the whole list.
        fallback_size: The maximum page size to use if no page of the state's size reaches the position.

    Raises:
        PageLimitError: The position is beyond the last page number.
    """
    overlap = len(state.before)
    begin, need = max(0, state.position - overlap), wanted if stream else wanted + overlap + 1
    sizes = [size for size in (state.max_page_size, fallback_size) if size is not None]
    found = (page_at(begin, min(size, wanted) if stream else size, need) for size in sizes)
    requested = next(filter(None, found), None)
    if requested is None:
        raise PageLimitError(
            f"page numbers end at {MAX_PAGE}, but the list goes on: narrow the list, for example by date; "
            f"customers can also be ordered by created_at, which has no limit"
        )
    return requested


def _after_state(state: PageNumberState, items: Sequence[Any], start: int) -> Sequence[Any]:
    """The items of a page that come after the position of a state; `start` is the number of items before the page."""
    digests = item_digests(items) if state.before else ()
    passed = [index + 1 for index, digest in enumerate(digests) if digest in state.before]
    return items[max(passed, default=max(0, state.position - start)) :]


def _cut_function(items: Sequence[Any], end: int, max_page_size: int) -> Callable[[int], PageNumberState]:
    """`Batch.cut` for items that end at the position `end`."""

    def cut(count: int) -> PageNumberState:
        before = item_digests(items[max(0, count - ANCHORS) : count])
        return PageNumberState(end - len(items) + count, tuple(before), max_page_size)

    return cut

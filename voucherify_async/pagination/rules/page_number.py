"""Reading a list by page number, from any place on. No I/O.

The service shifts its pages when items come or go before them. So a place in a list is a number of items and
the marks of those around it: the last that were delivered before it, and the first that come after it. A read
begins a few items before the place and looks for them; where they are now, the place is.

Pages may hold fewer items than were asked for, and more may come after them. A later page then begins either
where the short one ended, or where a whole one would have. Asking for no more than came makes both the same.
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
    item_id,
    marks_of,
)

__all__ = ["ANCHORS", "PageNumberRule", "PageNumberState", "is_last", "locate", "page_at"]

ANCHORS: Final = 8
"""Items whose marks are kept on either side of a place. All of them would have to go for it to be lost."""

_SMALLEST: Final = 0.6
"""Of the largest page, what is asked for at the least: smaller pages can begin closer to a place."""
_SPREAD: Final = 4 * ANCHORS
"""How far apart neighbours may be found: more than these never came between them in the meantime."""
_PROOF: Final = 4
"""Marks in the right order that show that it is kept: by chance they would be once in 24."""


def page_at(place: int, largest: int, need: int = MAX_PAGE_SIZE) -> tuple[int, int] | None:
    """The size and number of a page that holds the item at a place and those after it.

    Args:
        place: How many items come before it.
        largest: The largest size that may be asked for.
        need: How many items the page is to hold from the place on; fewer if no page can.

    Returns:
        The smallest page that holds enough, or else the one that holds most; `None` if none reaches the place.
    """
    sizes = range(max(1, min(need, int(largest * _SMALLEST))), largest + 1)
    reached = [(min(size - place % size, need), -size) for size in sizes if place // size < MAX_PAGE]
    if not reached:
        return None
    _, size = max(reached)
    return -size, place // -size + 1


def is_last(page: PageAnswer, place: int) -> bool:
    """Whether a page that begins at a place certainly is the last.

    A short page is no proof, and a total may be of more than the list: but together they are.
    """
    short = page.limit is None or len(page.items) < page.limit
    complete = short and page.total is not None and place + len(page.items) >= page.total
    return not page.items or page.has_more is False or complete


def locate(before: Sequence[bytes], after: Sequence[bytes], found: Sequence[bytes]) -> int | None:
    """Where a list goes on, by the marks around the place.

    Args:
        before: The marks of the last items before the place, in order.
        after: The marks of the first items after it, in order.
        found: The marks of the items where it is looked for.

    Returns:
        The index in `found` of what comes next. `None` if it is not there, or if so few of the neighbours are,
        or they are so scattered, that the order is another one.
    """
    where = {mark: index for index, mark in enumerate(found)}
    passed = [where[mark] for mark in before if mark in where]
    coming = [where[mark] for mark in after if mark in where]
    indices = passed + coming
    enough = min(_PROOF, len(before) + len(after))
    if len(indices) < enough or indices != sorted(indices):
        return None
    if indices and indices[-1] - indices[0] >= len(indices) + _SPREAD:
        return None
    return passed[-1] + 1 if passed else coming[0] if coming else 0


class PageNumberState(msgspec.Struct, frozen=True, array_like=True):
    """Attributes: how many items come before the place, the marks of the last of them, and the largest page there is."""

    place: Annotated[int, msgspec.Meta(ge=0, le=10_000)]
    before: tuple[bytes, ...] = ()
    largest: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE_SIZE)] = MAX_PAGE_SIZE


class PageNumberRule:
    """Pages by number, 1 to 99.

    The pages have as many items as they should, but items that come or go during the walk shift what is on
    them: an item that moves on to a later page is not delivered twice, one that moves to an earlier page is
    missed. For customers, walking by `created_at` does not have this fault.
    """

    name: str = "page"
    state_type: Any = PageNumberState

    def __init__(self, first: int = 1) -> None:
        self._first = first

    def walk(self, state: PageNumberState | None, base: Query, limit: int | None, *, stream: bool) -> Walk:
        """Read page after page.

        Raises:
            PageLimitError: Page numbers have ended, and there is more.
            PaginationStalledError: Many pages in a row held nothing new.
        """
        wanted = limit or (MAX_PAGE_SIZE if stream else DEFAULT_PAGE_SIZE)
        seen: set[str] = set()
        idle = 0
        if state is None:
            state = PageNumberState((self._first - 1) * wanted)
            # A page with one item more than is wanted tells whether there is a next one.
            one_more = 0 if stream or self._first > 1 else 1
            size, number = limit and min(limit + one_more, MAX_PAGE_SIZE), self._first
        else:
            size, number = _asked(state, wanted, stream=stream)
        while True:
            page = yield {**base, "limit": size, "page": number}
            start = (number - 1) * (size or wanted)
            new = [item for item in page.items if item_id(item) not in seen]
            items = [item for item in _behind(state, page.items, start) if item_id(item) not in seen]
            end = start + len(page.items)
            short = page.limit is not None and len(page.items) < page.limit
            largest = len(page.items) or 1 if short else state.largest
            ended = is_last(page, start) or (page.has_more is None and not new)
            if number == MAX_PAGE and not page.has_more:  # there is no further look
                ended = ended or (short if page.total is None else end >= page.total)
            yield Batch(
                items,
                _cuts(items, end, largest),
                more=False if ended else page.has_more,
                total=page.total,
                stuck=not page.items and bool(page.has_more),
            )
            if ended:
                return
            idle = 0 if new else idle + 1
            check_progress(idle)
            seen.update(filter(None, map(item_id, page.items)))
            # A short page may be the last, and then its size does not reach as far.
            following = PageNumberState(end, largest=largest)
            size, number = _asked(following, wanted, stream=stream, other=state.largest if short else None)
            state = following
            del page, new, items  # before the next one comes, which can take their memory then


def _asked(state: PageNumberState, wanted: int, *, stream: bool, other: int | None = None) -> tuple[int, int]:
    """The size and number of the page with what comes next."""
    overlap = len(state.before)
    begin, need = max(0, state.place - overlap), wanted if stream else wanted + overlap + 1
    sizes = [size for size in (state.largest, other) if size is not None]
    found = (page_at(begin, min(size, wanted) if stream else size, need) for size in sizes)
    asked = next(filter(None, found), None)
    if asked is None:
        raise PageLimitError(
            f"page numbers end at {MAX_PAGE}, and there is more: narrow the list, for example by dates, or, for "
            f"customers, order it by created_at, which can be walked to any length"
        )
    return asked


def _behind(state: PageNumberState, items: Sequence[Any], start: int) -> Sequence[Any]:
    """The items of a page that come after what was delivered."""
    marks = marks_of(items) if state.before else ()
    passed = [index + 1 for index, mark in enumerate(marks) if mark in state.before]
    return items[max(passed, default=max(0, state.place - start)) :]


def _cuts(items: Sequence[Any], end: int, largest: int) -> Callable[[int], PageNumberState]:
    def cut(count: int) -> PageNumberState:
        before = marks_of(items[max(0, count - ANCHORS) : count])
        return PageNumberState(end - len(items) + count, tuple(before), largest)

    return cut

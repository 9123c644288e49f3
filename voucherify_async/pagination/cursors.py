"""The rules by which lists are walked: page number, `created_at`, `starting_after_id`, `end_date`. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from voucherify_async.errors import PageLimitError, PaginationStalledError
from voucherify_async.pagination.created_at import CreatedAtRule
from voucherify_async.pagination.rules import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE,
    PageAnswer,
    Rule,
    Step,
    fingerprint_of,
    fingerprints_of,
    item_id,
)
from voucherify_async.pagination.timestamps import EndDateRule
from voucherify_async.transport.operation import Query

__all__ = [
    "CreatedAtRule",
    "EndDateRule",
    "IdRule",
    "IdState",
    "PageAnswer",
    "PageNumberRule",
    "PageNumberState",
    "Rule",
    "SinglePage",
    "Step",
]


class SinglePage:
    """A list that comes whole."""

    name: str = "single"
    state_type: Any = None

    def start(self) -> None:
        """Nothing to know."""

    def query(self, state: None, base: Query, limit: int | None) -> Query:  # noqa: ARG002  # the protocol's parameters
        """The caller's query as it is."""
        return base

    def advance(self, state: None, page: PageAnswer) -> Step:  # noqa: ARG002  # the protocol's parameters
        """Everything, and the end."""
        return Step([True] * len(page.items), None)


class PageNumberState(msgspec.Struct, frozen=True, array_like=True):
    """Attributes: the page to read, items on a page (`None`: as asked for), the ids on the page before."""

    page: int
    size: int | None = None
    before: frozenset[int] = frozenset()


class PageNumberRule:
    """Pages by number, 1 to 99.

    Items that come or go during the walk shift the pages: an item that moves on to the next page is not
    delivered twice, one that moves to the page before is missed. For customers, walking by `created_at`
    does not have this fault.
    """

    name: str = "page"
    state_type: Any = PageNumberState

    def __init__(self, first: int = 1) -> None:
        self._first = first

    def start(self) -> PageNumberState:
        """The first page."""
        return PageNumberState(self._first)

    def query(self, state: PageNumberState, base: Query, limit: int | None) -> Query:
        """Ask for the page.

        Raises:
            PageLimitError: Page numbers have ended, and there is more.
        """
        if state.page > MAX_PAGE:
            raise PageLimitError(
                f"page numbers end at {MAX_PAGE}, and there is more: narrow the list, for example by dates, "
                f"or, for customers, order it by created_at, which can be walked to any length"
            )
        return {**base, "limit": state.size or limit, "page": state.page}

    def advance(self, state: PageNumberState, page: PageAnswer) -> Step:
        """Deliver what the page before did not hold."""
        unseen = [fingerprint_of(item) not in state.before for item in page.items]
        size = state.size or page.limit or max(DEFAULT_PAGE_SIZE, len(page.items))
        following = PageNumberState(state.page + 1, size, fingerprints_of(page.items))
        if page.has_more is not None:
            if page.has_more and not any(unseen):
                error = PaginationStalledError(
                    f"page {state.page} holds nothing new, and the service says there is more"
                )
                return Step(unseen, following, error)
            return Step(unseen, following if page.has_more else None)
        # The service does not say: the end is a page with nothing new, or a short one that completes the
        # total. After the last page there is no further look, and a full page counts as "there is more".
        short = len(page.items) < size
        complete = page.total is not None and (state.page - 1) * size + len(page.items) >= page.total
        at_limit = state.page >= MAX_PAGE and (complete or (short and page.total is None))
        if not any(unseen) or (short and complete) or at_limit:
            return Step(unseen, None)
        return Step(unseen, following)


class IdState(msgspec.Struct, frozen=True, array_like=True):
    """Attributes: the id to go on after, the ids on the page before, and a look-out for circles."""

    after: str | None = None
    before: frozenset[int] = frozenset()
    anchor: str | None = None
    steps: int = 0


class IdRule:
    """By the id of the last item seen (``starting_after_id``)."""

    name: str = "id"
    state_type: Any = IdState

    def __init__(self, after: str | None = None) -> None:
        self._after = after

    def start(self) -> IdState:
        """From the beginning, or after the id that the caller gave."""
        return IdState(self._after, anchor=self._after)

    def query(self, state: IdState, base: Query, limit: int | None) -> Query:
        """Ask for what follows the id."""
        return {**base, "limit": limit, "starting_after_id": state.after}

    def advance(self, state: IdState, page: PageAnswer) -> Step:
        """Deliver what the page before did not hold."""
        unseen = [fingerprint_of(item) not in state.before for item in page.items]
        if page.has_more is False or (page.has_more is None and not any(unseen)):
            return Step(unseen, None)
        after = page.more_starting_after or (item_id(page.items[-1]) if page.items else None)
        if after is None or after in {state.after, state.anchor}:
            error = PaginationStalledError(
                f"the cursor does not move on from {state.after!r}, and there is more"
            )
            return Step(unseen, state, error)
        # Brent's cycle detection: an anchor that is moved after 1, 2, 4, 8 … steps meets any circle.
        steps = state.steps + 1
        anchor = after if steps & (steps - 1) == 0 else state.anchor
        return Step(unseen, IdState(after, fingerprints_of(page.items), anchor, steps))

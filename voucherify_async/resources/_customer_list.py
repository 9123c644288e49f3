"""The list of customers: its filters and its pagination rules."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, Literal, TypedDict

from voucherify_async._transport.operation import Query
from voucherify_async.pagination.rules import CreatedAtRule, PageNumberRule, Rule, WalkRule
from voucherify_async.pagination.windows import Window
from voucherify_async.resources._inputs import check_instants, check_keywords, check_texts

__all__ = ["NEWEST_FIRST", "CustomerFilters", "CustomerOrder", "customer_query", "customer_rules"]

CustomerOrder = Literal["created_at", "-created_at", "updated_at", "-updated_at", "source_id", "-source_id"]
"""Sort orders of the customer list; a leading dash means descending."""

NEWEST_FIRST: Final = "-created_at"

_TEXTS: Final = ("email", "city", "name", "segment_id")
_DATES: Final = ("created_at", "updated_at")


class CustomerFilters(TypedDict, total=False):
    """Filters for customers, as keyword arguments; see `CustomersResource.list`.

    Attributes:
        email: Only customers with this e-mail address.
        city: Only customers in this city.
        name: Only customers with this name.
        segment_id: Only customers in this segment.
        created_at_before: Only customers created before this time, timezone-aware.
        created_at_after: Only customers created after this time, timezone-aware.
        updated_at_before: Only customers last updated before this time, timezone-aware.
        updated_at_after: Only customers last updated after this time, timezone-aware.
    """

    email: str | None
    city: str | None
    name: str | None
    segment_id: str | None
    created_at_before: dt.datetime | None
    created_at_after: dt.datetime | None
    updated_at_before: dt.datetime | None
    updated_at_after: dt.datetime | None


def customer_query(filters: CustomerFilters, order: str | None) -> Query:
    """The query of the customer list.

    Raises:
        TypeError: There is no such filter.
        ValueError: A filter has the wrong type, or no timezone. The message names it.
    """
    check_keywords(filters, CustomerFilters.__annotations__)
    given: dict[str, Any] = dict(filters)
    texts = {name: given.get(name) for name in _TEXTS}
    check_texts(**texts, order=order)
    check_instants(**{name: value for name, value in given.items() if name not in texts})
    dates = {name: {side: given.get(f"{name}_{side}") for side in ("before", "after")} for name in _DATES}
    return {**texts, **dates, "order": order or NEWEST_FIRST}


def customer_rules(
    order: str | None,
    page: int | None,
    starting_after: dt.datetime | None,
    cursor: str | None,
    window: Window | None,
) -> tuple[Rule[Any] | WalkRule, ...]:
    """The pagination rules for a call; with a cursor, all rules that may have created it."""
    check_instants(starting_after=starting_after)
    by_date = order in (None, "created_at", NEWEST_FIRST)  # not a set: `order` may be unhashable
    if sum(argument is not None for argument in (page, starting_after, cursor)) > 1:
        raise ValueError("page, starting_after and cursor each set the starting point: pass only one")
    if starting_after is not None and not by_date:
        raise ValueError(f"starting_after requires an order by created_at, not {order!r}")
    by_page = PageNumberRule(page or 1)
    if window is not None:
        if page is not None or starting_after is not None or not by_date:
            raise ValueError("window requires an order by created_at, without page and starting_after")
        return (CreatedAtRule(descending=order != "created_at", window=window),)
    if page is not None or not by_date:
        return (by_page,)
    return (CreatedAtRule(descending=order != "created_at", starting_after=starting_after), by_page)

"""Categories of campaigns, vouchers and promotions."""

from __future__ import annotations

import datetime as dt

from voucherify_async.models.base import Model, Number

__all__ = [
    "Category",
]


class Category(Model, frozen=True, kw_only=True):
    """A category, which decides how its campaigns, vouchers and promotions combine.

    Attributes:
        id: The id of the category.
        name: The name of the category.
        hierarchy: Its rank: discounts of the category with the lowest number are applied first.
        stacking_rules_type: How discounts of the category combine: ``JOINT`` or ``EXCLUSIVE``.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``category``.
    """

    id: str
    name: str | None = None
    hierarchy: Number | None = None
    stacking_rules_type: str | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None

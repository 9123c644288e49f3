"""Redeemables that customers hold, and the filters for listing them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

from voucherify_async.models.base import UNSET, Model, Number, UnsetType

__all__ = [
    "CustomerRedeemable",
    "Discount",
    "FilterConditions",
    "GiftBalance",
    "ListReference",
    "LoyaltyBalance",
    "Redeemable",
    "RedeemableFilters",
    "RedeemableVoucher",
    "VoucherAsset",
    "VoucherAssets",
]


class FilterConditions(Model, frozen=True, kw_only=True, rename=lambda name: f"${name.rstrip('_')}"):
    """Conditions on one property, all of which must hold.

    `in_`, `not_in`, `is_`, `is_not`, `starts_with`, `ends_with`, `contains` and `not_contain` compare
    text. `after` and `before` compare instants (timezone-aware); `more_than` and `less_than` count days.
    `has_value` and `is_unknown` test whether the property has a value; they accept only `True`.
    """

    in_: Sequence[str] | UnsetType = UNSET
    not_in: Sequence[str] | UnsetType = UNSET
    is_: str | UnsetType = UNSET
    is_not: str | UnsetType = UNSET
    has_value: bool | UnsetType = UNSET
    is_unknown: bool | UnsetType = UNSET
    starts_with: str | UnsetType = UNSET
    ends_with: str | UnsetType = UNSET
    contains: str | UnsetType = UNSET
    not_contain: str | UnsetType = UNSET
    after: dt.datetime | UnsetType = UNSET
    before: dt.datetime | UnsetType = UNSET
    more_than: int | UnsetType = UNSET
    less_than: int | UnsetType = UNSET


class RedeemableFilters(Model, frozen=True, kw_only=True):
    """Filters on a customer's redeemables, combined by `junction`: ``and`` (the default) or ``or``."""

    id: FilterConditions | UnsetType = UNSET
    created_at: FilterConditions | UnsetType = UNSET
    redeemable_id: FilterConditions | UnsetType = UNSET
    redeemable_object: FilterConditions | UnsetType = UNSET
    holder_role: FilterConditions | UnsetType = UNSET
    campaign_id: FilterConditions | UnsetType = UNSET
    campaign_type: FilterConditions | UnsetType = UNSET
    voucher_type: FilterConditions | UnsetType = UNSET
    junction: Literal["and", "or"] | UnsetType = UNSET


class Discount(Model, frozen=True, kw_only=True):
    """The discount of a voucher; which fields are set depends on `type`.

    Amounts are in hundredths of the currency unit.
    """

    type: str | None = None
    effect: str | None = None
    is_dynamic: bool | None = None
    amount_off: Number | None = None
    amount_off_formula: str | None = None
    percent_off: Number | None = None
    percent_off_formula: str | None = None
    amount_limit: Number | None = None
    aggregated_amount_limit: Number | None = None
    fixed_amount: Number | None = None
    fixed_amount_formula: str | None = None
    unit_off: Number | None = None
    unit_off_formula: str | None = None
    unit_type: str | None = None
    product: dict[str, Any] | None = None
    sku: dict[str, Any] | None = None
    units: tuple[dict[str, Any], ...] | None = None


class GiftBalance(Model, frozen=True, kw_only=True):
    """The balance of a gift card, in hundredths of the currency unit."""

    amount: Number | None = None
    subtracted_amount: Number | None = None
    balance: Number | None = None
    effect: str | None = None


class LoyaltyBalance(Model, frozen=True, kw_only=True):
    """The points of a loyalty card."""

    points: Number | None = None
    balance: Number | None = None
    next_expiration_date: dt.date | None = None
    next_expiration_points: Number | None = None
    pending_points: Number | None = None
    expired_points: Number | None = None
    subtracted_points: Number | None = None


class VoucherAsset(Model, frozen=True, kw_only=True):
    """An image of a voucher's code; `id` is `None` if the image has not been generated yet."""

    id: str | None = None
    url: str | None = None


class VoucherAssets(Model, frozen=True, kw_only=True):
    """Images of a voucher's code."""

    qr: VoucherAsset | None = None
    barcode: VoucherAsset | None = None


class ListReference(Model, frozen=True, kw_only=True):
    """The URL and the count of a voucher's publications or redemptions."""

    object: str | None = None
    url: str | None = None
    count: Number | None = None
    quantity: Number | None = None
    redeemed_quantity: Number | None = None
    redeemed_points: Number | None = None


class RedeemableVoucher(Model, frozen=True, kw_only=True):
    """The voucher behind a redeemable."""

    id: str
    code: str | None = None
    campaign: str | None = None
    campaign_id: str | None = None
    category: str | None = None
    category_id: str | None = None
    categories: tuple[dict[str, Any], ...] | None = None
    type: str | None = None
    discount: Discount | None = None
    gift: GiftBalance | None = None
    loyalty_card: LoyaltyBalance | None = None
    start_date: dt.datetime | None = None
    expiration_date: dt.datetime | None = None
    validity_timeframe: dict[str, Any] | None = None
    validity_day_of_week: tuple[int, ...] | None = None
    validity_hours: dict[str, Any] | None = None
    active: bool | None = None
    additional_info: str | None = None
    metadata: dict[str, Any] | None = None
    assets: VoucherAssets | None = None
    is_referral_code: bool | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    referrer_id: str | None = None
    holder_id: str | None = None
    object: str | None = None
    publish: ListReference | None = None
    redemption: ListReference | None = None


class Redeemable(Model, frozen=True, kw_only=True):
    """An object that can be redeemed; `status` tells whether it can be redeemed now."""

    type: str | None = None
    voucher: RedeemableVoucher | None = None
    status: str | None = None


class CustomerRedeemable(Model, frozen=True, kw_only=True):
    """A redeemable assigned to a customer; `holder_role` is the customer's role."""

    id: str
    created_at: dt.datetime | None = None
    redeemable_id: str | None = None
    redeemable_object: str | None = None
    customer_id: str | None = None
    holder_role: str | None = None
    campaign_id: str | None = None
    campaign_type: str | None = None
    voucher_type: str | None = None
    redeemable: Redeemable | None = None

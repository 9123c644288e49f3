"""Redeemables that customers hold, and the filters for listing them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from voucherify_async.models.base import UNSET, Model, UnsetType
from voucherify_async.models.vouchers import Voucher

__all__ = [
    "CustomerRedeemable",
    "FilterConditions",
    "Redeemable",
    "RedeemableFilters",
]


class FilterConditions(Model, frozen=True, kw_only=True, rename=lambda name: f"${name.rstrip('_')}"):
    """Conditions on one property, all of which must hold.

    Attributes:
        in_: The text is one of these.
        not_in: The text is none of these.
        is_: The text is this one.
        is_not: The text is not this one.
        has_value: The property has a value. Only `True` is accepted.
        is_unknown: The property has no value. Only `True` is accepted.
        starts_with: The text starts with this one.
        ends_with: The text ends with this one.
        contains: The text contains this one.
        not_contain: The text does not contain this one.
        after: The time is after this timezone-aware one.
        before: The time is before this timezone-aware one.
        more_than: The time is more than this number of days ago.
        less_than: The time is less than this number of days ago.
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
    """Filters on a customer's redeemables.

    Attributes:
        id: Conditions on the id of the assignment to the customer (``rh_…``).
        created_at: Conditions on the time at which the redeemable was assigned to the customer.
        redeemable_id: Conditions on the id of the redeemable, for example of a voucher.
        redeemable_object: Conditions on the type of the redeemable: ``voucher``.
        holder_role: Conditions on the customer's role: ``OWNER``, ``REFERRER`` or ``REFEREE``.
        campaign_id: Conditions on the id of the campaign.
        campaign_type: Conditions on the type of the campaign: ``DISCOUNT_COUPONS``, ``REFERRAL_PROGRAM``,
            ``GIFT_VOUCHERS`` or ``LOYALTY_PROGRAM``.
        voucher_type: Conditions on the type of the voucher: ``DISCOUNT_VOUCHER``, ``GIFT_VOUCHER`` or ``LOYALTY_CARD``.
        junction: Whether all filters must match (``and``, the default) or any of them (``or``).
    """

    id: FilterConditions | UnsetType = UNSET
    created_at: FilterConditions | UnsetType = UNSET
    redeemable_id: FilterConditions | UnsetType = UNSET
    redeemable_object: FilterConditions | UnsetType = UNSET
    holder_role: FilterConditions | UnsetType = UNSET
    campaign_id: FilterConditions | UnsetType = UNSET
    campaign_type: FilterConditions | UnsetType = UNSET
    voucher_type: FilterConditions | UnsetType = UNSET
    junction: Literal["and", "or"] | UnsetType = UNSET


class Redeemable(Model, frozen=True, kw_only=True):
    """An object that can be redeemed.

    Attributes:
        type: The type of the redeemable, for example ``voucher``.
        voucher: The voucher, if the redeemable is one.
        status: Whether it can be redeemed now: ``ACTIVE``, ``USED``, ``DISABLED``, ``NOT_ACTIVE_YET``, ``EXPIRED`` or
            ``NO_BALANCE``.
    """

    type: str | None = None
    voucher: Voucher | None = None
    status: str | None = None


class CustomerRedeemable(Model, frozen=True, kw_only=True):
    """A redeemable assigned to a customer.

    Attributes:
        id: The id of the assignment (``rh_…``).
        created_at: Time at which the redeemable was assigned to the customer, timezone-aware.
        redeemable_id: The id of the redeemable, for example of a voucher.
        redeemable_object: The type of the redeemable, for example ``voucher``.
        customer_id: The id of the customer.
        holder_role: The customer's role: ``OWNER``, ``REFERRER`` or ``REFEREE``.
        campaign_id: The id of the campaign.
        campaign_type: ``DISCOUNT_COUPONS``, ``REFERRAL_PROGRAM``, ``GIFT_VOUCHERS``, ``LOYALTY_PROGRAM`` or
            ``PROMOTION``.
        voucher_type: ``DISCOUNT_VOUCHER``, ``GIFT_VOUCHER`` or ``LOYALTY_CARD``.
        redeemable: The redeemable itself.
    """

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

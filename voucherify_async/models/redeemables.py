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


class Discount(Model, frozen=True, kw_only=True):
    """The discount of a voucher; which fields are set depends on `type`.

    Attributes:
        type: ``AMOUNT``, ``PERCENT``, ``FIXED`` or ``UNIT``.
        effect: How the discount is applied, for example ``APPLY_TO_ORDER``, ``APPLY_TO_ITEMS`` or ``ADD_NEW_ITEMS``.
        is_dynamic: Whether the discount was calculated with a formula.
        amount_off: For ``AMOUNT``, the discount in hundredths of the currency unit.
        amount_off_formula: Formula that calculates `amount_off`.
        percent_off: For ``PERCENT``, the discount in percent.
        percent_off_formula: Formula that calculates `percent_off`.
        amount_limit: For ``PERCENT``, the largest discount, in hundredths of the currency unit.
        aggregated_amount_limit: The largest discount of an order, in hundredths of the currency unit.
        fixed_amount: For ``FIXED``, the new price of the order or item, in hundredths of the currency unit.
        fixed_amount_formula: Formula that calculates `fixed_amount`.
        unit_off: For ``UNIT``, the number of units that are free.
        unit_off_formula: Formula that calculates `unit_off`.
        unit_type: For ``UNIT``, the product whose units are free.
        product: Details of that product.
        sku: Details of the SKU whose units are free.
        units: For ``UNIT`` with the effect ``ADD_MANY_ITEMS``, the products whose units are free.
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
    """The balance of a gift card.

    Attributes:
        amount: All credits ever added, in hundredths of the currency unit.
        subtracted_amount: All credits ever subtracted other than by redemptions, in hundredths of the currency unit.
        balance: Credits left, in hundredths of the currency unit.
        effect: How credits are applied to an order: ``APPLY_TO_ORDER`` or ``APPLY_TO_ITEMS``.
    """

    amount: Number | None = None
    subtracted_amount: Number | None = None
    balance: Number | None = None
    effect: str | None = None


class LoyaltyBalance(Model, frozen=True, kw_only=True):
    """The points of a loyalty card.

    Attributes:
        points: All points ever added.
        balance: Points left.
        next_expiration_date: The date on which the next points expire.
        next_expiration_points: Points that expire on that date.
        pending_points: Points that are not active yet.
        expired_points: All points that have expired.
        subtracted_points: All points ever subtracted other than by redemptions.
    """

    points: Number | None = None
    balance: Number | None = None
    next_expiration_date: dt.date | None = None
    next_expiration_points: Number | None = None
    pending_points: Number | None = None
    expired_points: Number | None = None
    subtracted_points: Number | None = None


class VoucherAsset(Model, frozen=True, kw_only=True):
    """An image of a voucher's code.

    Attributes:
        id: The encrypted id of the code; `None` if the image has not been generated yet.
        url: URL of the image.
    """

    id: str | None = None
    url: str | None = None


class VoucherAssets(Model, frozen=True, kw_only=True):
    """Images of a voucher's code.

    Attributes:
        qr: The QR code.
        barcode: The barcode.
    """

    qr: VoucherAsset | None = None
    barcode: VoucherAsset | None = None


class ListReference(Model, frozen=True, kw_only=True):
    """A summary of a voucher's publications or redemptions, with the URL of their list.

    Attributes:
        object: Always ``list``.
        url: Path of the list in the API.
        count: Number of publications. Not set for redemptions.
        quantity: How many redemptions the voucher allows; `None` for no limit. Not set for publications.
        redeemed_quantity: How many times the voucher has been redeemed. Not set for publications.
        redeemed_points: Points that were redeemed with a loyalty card.
    """

    object: str | None = None
    url: str | None = None
    count: Number | None = None
    quantity: Number | None = None
    redeemed_quantity: Number | None = None
    redeemed_points: Number | None = None


class RedeemableVoucher(Model, frozen=True, kw_only=True):
    """The voucher behind a redeemable.

    Attributes:
        id: The id that the service assigned.
        code: The code with which the voucher is redeemed.
        campaign: The name of the voucher's campaign.
        campaign_id: The id of the voucher's campaign.
        category: The name of the voucher's category. Documented as always null for a customer's redeemables.
        category_id: The id of the voucher's category.
        categories: The voucher's categories. Documented as always empty for a customer's redeemables.
        type: ``DISCOUNT_VOUCHER``, ``GIFT_VOUCHER`` or ``LOYALTY_CARD``.
        discount: The discount of a discount voucher.
        gift: The balance of a gift card.
        loyalty_card: The points of a loyalty card.
        start_date: Start of the validity, timezone-aware; `None` for no start.
        expiration_date: End of the validity, timezone-aware; `None` for no end.
        validity_timeframe: Recurring periods of validity: how long each lasts (`duration`) and the time from one to the
            next (`interval`), both as ISO 8601 durations.
        validity_day_of_week: Days of the week on which the voucher is valid, from 0 (Sunday) to 6 (Saturday).
        validity_hours: Times of day at which the voucher is valid.
        active: Whether the voucher is enabled. A disabled voucher cannot be redeemed, whatever its dates.
        additional_info: Free text about the voucher.
        metadata: Custom properties.
        assets: Images of the code.
        is_referral_code: Whether the voucher is a referral code.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        referrer_id: For a referral code, the id of the customer who refers others.
        holder_id: The id of the customer who holds the voucher.
        object: Always ``voucher``.
        publish: Count of the publications, and where to list them.
        redemption: Counts of the redemptions, and where to list them.
    """

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
    """An object that can be redeemed.

    Attributes:
        type: The type of the redeemable, for example ``voucher``.
        voucher: The voucher, if the redeemable is one.
        status: Whether it can be redeemed now: ``ACTIVE``, ``USED``, ``DISABLED``, ``NOT_ACTIVE_YET``, ``EXPIRED`` or
            ``NO_BALANCE``.
    """

    type: str | None = None
    voucher: RedeemableVoucher | None = None
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

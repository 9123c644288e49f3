"""Vouchers, their discounts and balances, and who holds them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model, Number
from voucherify_async.models.categories import Category
from voucherify_async.models.customers import Customer
from voucherify_async.models.products import Product, Sku
from voucherify_async.models.validation_rules import ValidationRuleAssignmentList
from voucherify_async.models.validity import ValidityHours, ValidityTimeframe

__all__ = [
    "Discount",
    "DiscountUnit",
    "GiftBalance",
    "ListReference",
    "LoyaltyBalance",
    "RedeemableHolder",
    "RelatedObject",
    "Voucher",
    "VoucherAsset",
    "VoucherAssets",
    "VoucherBalance",
]


class DiscountUnit(Model, frozen=True, kw_only=True):
    """A product or SKU of which a discount makes units free.

    Attributes:
        effect: How the units are added to the order: ``ADD_MISSING_ITEMS`` or ``ADD_NEW_ITEMS``.
        unit_off: Number of units that are free.
        unit_off_formula: Formula that calculates `unit_off`.
        unit_type: The id of the product or SKU.
        product: Details of the product.
        sku: Details of the SKU.
    """

    effect: str | None = None
    unit_off: Number | None = None
    unit_off_formula: str | None = None
    unit_type: str | None = None
    product: Product | None = None
    sku: Sku | None = None


class Discount(Model, frozen=True, kw_only=True):
    """The discount of a voucher or promotion; which fields are set depends on `type`.

    Attributes:
        type: ``AMOUNT``, ``PERCENT``, ``FIXED`` or ``UNIT``.
        effect: How the discount is applied, for example ``APPLY_TO_ORDER``, ``APPLY_TO_ITEMS`` or
            ``ADD_NEW_ITEMS``.
        is_dynamic: Whether the discount was calculated with a formula.
        amount_off: For ``AMOUNT``, the discount, in hundredths of the currency unit.
        amount_off_formula: Formula that calculates `amount_off`.
        percent_off: For ``PERCENT``, the discount in percent.
        percent_off_formula: Formula that calculates `percent_off`.
        amount_limit: For ``PERCENT``, the largest discount, in hundredths of the currency unit.
        aggregated_amount_limit: The largest discount of an order, in hundredths of the currency unit.
        fixed_amount: For ``FIXED``, the new price of the order or item, in hundredths of the currency unit.
        fixed_amount_formula: Formula that calculates `fixed_amount`.
        unit_off: For ``UNIT``, the number of units that are free.
        unit_off_formula: Formula that calculates `unit_off`.
        unit_type: For ``UNIT``, the id of the product or SKU whose units are free.
        product: Details of that product.
        sku: Details of that SKU.
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
    product: Product | None = None
    sku: Sku | None = None
    units: tuple[DiscountUnit, ...] | None = None


class GiftBalance(Model, frozen=True, kw_only=True):
    """The balance of a gift card.

    Attributes:
        amount: All credits ever added, in hundredths of the currency unit.
        subtracted_amount: All credits ever subtracted, without those redeemed, in hundredths of the currency
            unit.
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
        subtracted_points: All points ever subtracted, without those redeemed or expired.
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
        redeemed_amount: Credits that were redeemed with a gift card, in hundredths of the currency unit.
        redeemed_points: Points that were redeemed with a loyalty card.
    """

    object: str | None = None
    url: str | None = None
    count: Number | None = None
    quantity: Number | None = None
    redeemed_quantity: Number | None = None
    redeemed_amount: Number | None = None
    redeemed_points: Number | None = None


class Voucher(Model, frozen=True, kw_only=True):
    """A voucher: a discount coupon, a gift card, a loyalty card or a referral code.

    Attributes:
        id: The id of the voucher; `None` in lists of publications.
        code: The code with which the voucher is redeemed.
        campaign: The name of the campaign.
        campaign_id: The id of the campaign.
        category: The name of the category.
        category_id: The id of the category.
        categories: The categories.
        type: ``DISCOUNT_VOUCHER``, ``GIFT_VOUCHER`` or ``LOYALTY_CARD``.
        discount: The discount of a discount voucher.
        gift: The balance of a gift card.
        loyalty_card: The points of a loyalty card.
        start_date: Start of the validity, timezone-aware; `None` for no start.
        expiration_date: End of the validity, timezone-aware; `None` for no end.
        validity_timeframe: Recurring periods of validity.
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
        holder: The customer who holds the voucher.
        publish: Count of the publications, and where to list them.
        redemption: Counts of the redemptions, and where to list them.
        validation_rules_assignments: The validation rules of the voucher.
        object: Always ``voucher``.
    """

    id: str | None = None
    code: str | None = None
    campaign: str | None = None
    campaign_id: str | None = None
    category: str | None = None
    category_id: str | None = None
    categories: tuple[Category, ...] | None = None
    type: str | None = None
    discount: Discount | None = None
    gift: GiftBalance | None = None
    loyalty_card: LoyaltyBalance | None = None
    start_date: dt.datetime | None = None
    expiration_date: dt.datetime | None = None
    validity_timeframe: ValidityTimeframe | None = None
    validity_day_of_week: tuple[int, ...] | None = None
    validity_hours: ValidityHours | None = None
    active: bool | None = None
    additional_info: str | None = None
    metadata: dict[str, Any] | None = None
    assets: VoucherAssets | None = None
    is_referral_code: bool | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    referrer_id: str | None = None
    holder_id: str | None = None
    holder: Customer | None = None
    publish: ListReference | None = None
    redemption: ListReference | None = None
    validation_rules_assignments: ValidationRuleAssignmentList | None = None
    object: str | None = None


class RelatedObject(Model, frozen=True, kw_only=True):
    """The object whose balance changed.

    Attributes:
        id: The id of the object.
        type: The type of the object, for example ``voucher``.
    """

    id: str | None = None
    type: str | None = None


class VoucherBalance(Model, frozen=True, kw_only=True):
    """A change of the balance of a gift card or loyalty card.

    Attributes:
        type: ``gift_voucher`` or ``loyalty_card``.
        total: All credits, in hundredths of the currency unit, or points ever added; for pending points, all
            that are pending.
        amount: Credits added, in hundredths of the currency unit; negative if they were subtracted.
        points: Points added; negative if they were subtracted.
        balance: The balance after the change: credits, in hundredths of the currency unit, or points.
        operation_type: ``AUTOMATIC``, for example if a reward is redeemed automatically, or ``MANUAL``.
        related_object: The voucher whose balance changed.
        object: Always ``balance``.
    """

    type: str | None = None
    total: Number | None = None
    amount: Number | None = None
    points: Number | None = None
    balance: Number | None = None
    operation_type: str | None = None
    related_object: RelatedObject | None = None
    object: str | None = None


class RedeemableHolder(Model, frozen=True, kw_only=True):
    """The assignment of a redeemable to a customer.

    Attributes:
        id: The id of the assignment.
        redeemable_id: The id of the redeemable, for example of a voucher.
        redeemable_object: The type of the redeemable, for example ``voucher``.
        campaign_id: The id of the campaign.
        campaign_type: The type of the campaign, for example ``REFERRAL_PROGRAM``.
        voucher_type: ``DISCOUNT_VOUCHER``, ``GIFT_VOUCHER`` or ``LOYALTY_CARD``.
        publication_id: The id of the publication with which it was assigned.
        customer_id: The id of the customer.
        holder_role: The customer's role: ``OWNER``, ``REFERRER`` or ``REFEREE``.
        created_at: Time of creation, timezone-aware.
        object: Always ``redeemable_holder``.
    """

    id: str
    redeemable_id: str | None = None
    redeemable_object: str | None = None
    campaign_id: str | None = None
    campaign_type: str | None = None
    voucher_type: str | None = None
    publication_id: str | None = None
    customer_id: str | None = None
    holder_role: str | None = None
    created_at: dt.datetime | None = None
    object: str | None = None

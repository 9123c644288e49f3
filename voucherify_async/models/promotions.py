"""Promotion tiers and stacks."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model, Number
from voucherify_async.models.categories import Category
from voucherify_async.models.validation_rules import ValidationRuleAssignmentList
from voucherify_async.models.validity import ValidityHours, ValidityTimeframe
from voucherify_async.models.vouchers import Discount

__all__ = [
    "PromotionAction",
    "PromotionCampaign",
    "PromotionOrders",
    "PromotionRedemptions",
    "PromotionStack",
    "PromotionStackTiers",
    "PromotionSummary",
    "PromotionTier",
    "PromotionTierList",
]


class PromotionAction(Model, frozen=True, kw_only=True):
    """What a promotion tier does.

    Attributes:
        discount: The discount.
    """

    discount: Discount | None = None


class PromotionRedemptions(Model, frozen=True, kw_only=True):
    """The redemptions of a promotion tier.

    Attributes:
        total_redeemed: Number of redemptions.
    """

    total_redeemed: Number | None = None


class PromotionOrders(Model, frozen=True, kw_only=True):
    """The orders that a promotion tier was applied to.

    Attributes:
        total_amount: Sum of the orders, in hundredths of the currency unit.
        total_discount_amount: Sum of the discounts by the promotion tier, in hundredths of the currency unit.
    """

    total_amount: Number | None = None
    total_discount_amount: Number | None = None


class PromotionSummary(Model, frozen=True, kw_only=True):
    """How a promotion tier was used.

    Attributes:
        redemptions: Its redemptions.
        orders: The orders that it was applied to.
    """

    redemptions: PromotionRedemptions | None = None
    orders: PromotionOrders | None = None


class PromotionCampaign(Model, frozen=True, kw_only=True):
    """The campaign of a promotion tier or stack.

    Attributes:
        id: The id of the campaign.
        active: Whether the campaign is enabled.
        start_date: Start of the validity, timezone-aware; `None` for no start.
        expiration_date: End of the validity, timezone-aware; `None` for no end.
        validity_timeframe: Recurring periods of validity.
        validity_day_of_week: Days of the week on which the campaign is valid, from 0 (Sunday) to 6
            (Saturday).
        validity_hours: Times of day at which the campaign is valid.
        category_id: The id of the category.
        object: Always ``campaign``.
    """

    id: str | None = None
    active: bool | None = None
    start_date: dt.datetime | None = None
    expiration_date: dt.datetime | None = None
    validity_timeframe: ValidityTimeframe | None = None
    validity_day_of_week: tuple[int, ...] | None = None
    validity_hours: ValidityHours | None = None
    category_id: str | None = None
    object: str | None = None


class PromotionTier(Model, frozen=True, kw_only=True):
    """A tier of a promotion: a discount without a code.

    Attributes:
        id: The id of the promotion tier.
        name: The name of the promotion tier.
        banner: Text to show to the customer.
        action: What it does.
        hierarchy: Its rank: the tiers of a promotion are applied from the lowest number to the highest.
        promotion_id: The id of the promotion.
        campaign: The campaign.
        campaign_id: The id of the campaign.
        active: Whether the tier is enabled. A disabled tier cannot be redeemed, whatever its dates.
        start_date: Start of the validity, timezone-aware; `None` for no start.
        expiration_date: End of the validity, timezone-aware; `None` for no end.
        validity_timeframe: Recurring periods of validity.
        validity_day_of_week: Days of the week on which the promotion tier is valid, from 0 (Sunday) to 6
            (Saturday).
        validity_hours: Times of day at which the promotion tier is valid.
        summary: How it was used.
        validation_rule_assignments: The validation rules of the tier.
        category_id: The id of the category.
        categories: The categories.
        metadata: Custom properties.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``promotion_tier``.
    """

    id: str
    name: str | None = None
    banner: str | None = None
    action: PromotionAction | None = None
    hierarchy: Number | None = None
    promotion_id: str | None = None
    campaign: PromotionCampaign | None = None
    campaign_id: str | None = None
    active: bool | None = None
    start_date: dt.datetime | None = None
    expiration_date: dt.datetime | None = None
    validity_timeframe: ValidityTimeframe | None = None
    validity_day_of_week: tuple[int, ...] | None = None
    validity_hours: ValidityHours | None = None
    summary: PromotionSummary | None = None
    validation_rule_assignments: ValidationRuleAssignmentList | None = None
    category_id: str | None = None
    categories: tuple[Category, ...] | None = None
    metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None


class PromotionTierList(Model, frozen=True, kw_only=True):
    """The promotion tiers of a campaign.

    Attributes:
        tiers: The tiers.
        data_ref: The property that holds the tiers: ``tiers``.
        total: Number of tiers.
        has_more: Whether there are more tiers.
        object: Always ``list``.
    """

    tiers: tuple[PromotionTier, ...] | None = None
    data_ref: str | None = None
    total: Number | None = None
    has_more: bool | None = None
    object: str | None = None


class PromotionStackTiers(Model, frozen=True, kw_only=True):
    """The tiers of a promotion stack.

    Attributes:
        ids: The ids of the tiers, in the order in which they are applied.
        hierarchy_mode: Always ``MANUAL``.
    """

    ids: tuple[str, ...] | None = None
    hierarchy_mode: str | None = None


class PromotionStack(Model, frozen=True, kw_only=True):
    """Promotion tiers that are applied together.

    Attributes:
        id: The id of the promotion stack.
        name: The name of the promotion stack.
        tiers: The ids of its tiers, in order.
        campaign: The campaign.
        campaign_id: The id of the campaign.
        category_id: The id of the category.
        categories: The categories.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``promotion_stack``.
    """

    id: str
    name: str | None = None
    tiers: PromotionStackTiers | None = None
    campaign: PromotionCampaign | None = None
    campaign_id: str | None = None
    category_id: str | None = None
    categories: tuple[Category, ...] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None

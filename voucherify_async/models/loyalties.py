"""Loyalty programs: tiers, earning rules, and points that are pending or expire."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from voucherify_async.models.base import Model, Number
from voucherify_async.models.events import EventDetails
from voucherify_async.models.orders import Order
from voucherify_async.models.segments import Segment
from voucherify_async.models.validation_rules import ApplicableTo
from voucherify_async.models.validity import ValidityHours, ValidityTimeframe

__all__ = [
    "EarningRule",
    "EarningRuleEvent",
    "EarningRulePendingPoints",
    "EarningRulePoints",
    "EarningRuleSource",
    "LoyaltyTier",
    "LoyaltyTierConfig",
    "LoyaltyTierExpiration",
    "LoyaltyTiersExpiration",
    "MetadataPoints",
    "OrderItemPoints",
    "OrderPoints",
    "PendingPoints",
    "PendingPointsDetails",
    "PointsBucket",
    "PointsBucketContent",
    "PointsExpirationRules",
    "PointsMapping",
    "PointsRange",
    "PointsRatio",
    "TierExpirationDate",
    "TierRounding",
    "TierStartDate",
]


class PointsExpirationRules(Model, frozen=True, kw_only=True):
    """When points expire.

    Attributes:
        period_type: ``MONTH``: a number of months after they were earned. ``FIXED_DAY_OF_YEAR``: on the same
            day every year.
        period_value: For ``MONTH``, the number of months.
        rounding_type: For ``MONTH``, what the expiration is rounded to: ``END_OF_MONTH``, ``END_OF_QUARTER``,
            ``END_OF_HALF_YEAR``, ``END_OF_YEAR`` or ``PARTICULAR_MONTH``.
        rounding_value: The value for `rounding_type`, for example the month for ``PARTICULAR_MONTH``.
        fixed_month: For ``FIXED_DAY_OF_YEAR``, the month, from 1 (January) to 12 (December).
        fixed_day: For ``FIXED_DAY_OF_YEAR``, the day of the month.
    """

    period_type: str | None = None
    period_value: Number | None = None
    rounding_type: str | None = None
    rounding_value: Number | None = None
    fixed_month: Number | None = None
    fixed_day: Number | None = None


class TierRounding(Model, frozen=True, kw_only=True):
    """How the expiration date of a loyalty tier is rounded.

    Attributes:
        type: The period to round to: ``MONTH``, ``QUARTER``, ``HALF_YEAR``, ``YEAR`` or ``CUSTOM``.
        strategy: Whether the date is moved to the ``START`` or the ``END`` of the period.
        unit: For ``CUSTOM``, the unit of `value`: ``MONTH``.
        value: For ``CUSTOM``, the month to round to, from 0 (January) to 11 (December).
    """

    type: str | None = None
    strategy: str | None = None
    unit: str | None = None
    value: Number | None = None


class TierStartDate(Model, frozen=True, kw_only=True):
    """When a customer gets a loyalty tier.

    Attributes:
        type: ``IMMEDIATE``: as soon as the customer has enough points. ``NEXT_PERIOD``: when the next
            qualification period starts.
    """

    type: str | None = None


class TierExpirationDate(Model, frozen=True, kw_only=True):
    """When a customer loses a loyalty tier.

    Attributes:
        type: ``END_OF_PERIOD`` or ``END_OF_NEXT_PERIOD``: at the end of this or the next qualification
            period. ``BALANCE_DROP``: when the points fall below the range of the tier. ``CUSTOM``: some time
            after they fall below it.
        extend: Additional time for which the tier is kept, as an ISO 8601 duration.
        rounding: How the expiration date is rounded.
    """

    type: str | None = None
    extend: str | None = None
    rounding: TierRounding | None = None


class LoyaltyTiersExpiration(Model, frozen=True, kw_only=True):
    """When customers of a campaign get and lose loyalty tiers.

    Attributes:
        qualification_type: The points that count: ``BALANCE``, those left, or ``POINTS_IN_PERIOD``, those
            earned in a period.
        qualification_period: The period in which points are earned: ``MONTH``, ``QUARTER``, ``HALF_YEAR`` or
            ``YEAR``.
        start_date: When a customer gets a tier.
        expiration_date: When a customer loses a tier.
    """

    qualification_type: str | None = None
    qualification_period: str | None = None
    start_date: TierStartDate | None = None
    expiration_date: TierExpirationDate | None = None


class PointsRange(Model, frozen=True, kw_only=True):
    """The range of points of a loyalty tier.

    Attributes:
        from_: The lowest number of points.
        to: The highest number of points; `None` for no upper limit.
    """

    from_: Number | None = msgspec.field(default=None, name="from")
    to: Number | None = None


class LoyaltyTierConfig(Model, frozen=True, kw_only=True):
    """The settings of a loyalty tier.

    Attributes:
        points: The range of points of the tier.
    """

    points: PointsRange | None = None


class PointsMapping(Model, frozen=True, kw_only=True):
    """How a loyalty tier changes the points of an earning rule or the price of a reward.

    Attributes:
        type: ``MULTIPLY``: the points are multiplied by `multiplier`. ``CUSTOM``: `points` replaces them.
        multiplier: For ``MULTIPLY``, the factor.
        points: For ``CUSTOM``, the points.
    """

    type: str | None = None
    multiplier: Number | None = None
    points: Number | None = None


class LoyaltyTierExpiration(Model, frozen=True, kw_only=True):
    """When a customer got a loyalty tier and loses it.

    Attributes:
        customer_id: The id of the customer.
        campaign_id: The id of the campaign.
        tier_id: The id of the loyalty tier.
        start_date: When the customer got the tier, in ISO 8601 format.
        expiration_date: When the customer loses the tier, in ISO 8601 format.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
    """

    customer_id: str | None = None
    campaign_id: str | None = None
    tier_id: str | None = None
    start_date: str | None = None
    expiration_date: str | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None


class LoyaltyTier(Model, frozen=True, kw_only=True):
    """A loyalty tier of a campaign.

    Attributes:
        id: The id of the loyalty tier.
        name: The name of the loyalty tier.
        campaign_id: The id of the campaign.
        points: The range of points of the tier.
        config: The settings of the tier.
        earning_rules: How the tier changes the points of earning rules, by the id of the earning rule.
        rewards: How the tier changes the prices of rewards, by the id of the reward.
        expiration: When a customer got the tier and loses it.
        metadata: Custom properties.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``loyalty_tier``.
    """

    id: str
    name: str | None = None
    campaign_id: str | None = None
    points: PointsRange | None = None
    config: LoyaltyTierConfig | None = None
    earning_rules: dict[str, PointsMapping] | None = None
    rewards: dict[str, PointsMapping] | None = None
    expiration: LoyaltyTierExpiration | None = None
    metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None


class PointsRatio(Model, frozen=True, kw_only=True):
    """How a proportional earning rule calculates points: `points` are added for each `every`.

    Attributes:
        every: The size of a step: an amount in hundredths of the currency unit, a number of units, or a
            number in a custom property.
        points: Points that are added for each step.
        points_formula: Formula that calculates `points`.
        property: The name of the custom property.
        object: The type of the object that `id` refers to: ``product``, ``sku`` or ``products_collection``.
        id: The id of the product, SKU or collection that earns points.
        applicable_to: The products, SKUs and collections that earn points. The first one is also in `object`
            and `id`.
    """

    every: Number | None = None
    points: Number | None = None
    points_formula: str | None = None
    property: str | None = None
    object: str | None = None
    id: str | None = None
    applicable_to: tuple[ApplicableTo, ...] | None = None


class OrderPoints(Model, frozen=True, kw_only=True):
    """Points for an order.

    Attributes:
        amount: Points for the amount before discounts.
        total_amount: Points for the amount after discounts.
        metadata: Points for a custom property of the order.
    """

    amount: PointsRatio | None = None
    total_amount: PointsRatio | None = None
    metadata: PointsRatio | None = None


class OrderItemPoints(Model, frozen=True, kw_only=True):
    """Points for items of an order.

    Attributes:
        quantity: Points for the number of units, without free ones.
        amount: Points for the amount before discounts.
        subtotal_amount: Points for the amount after discounts.
    """

    quantity: PointsRatio | None = None
    amount: PointsRatio | None = None
    subtotal_amount: PointsRatio | None = None


class MetadataPoints(Model, frozen=True, kw_only=True):
    """Points for a custom property.

    Attributes:
        metadata: Points for the custom property.
    """

    metadata: PointsRatio | None = None


class EarningRulePoints(Model, frozen=True, kw_only=True):
    """The points that an earning rule adds.

    Attributes:
        type: ``FIXED`` or ``PROPORTIONAL``.
        points: For ``FIXED``, the points.
        points_formula: Formula that calculates `points`.
        calculation_type: For ``PROPORTIONAL``, what the points are calculated from, for example
            ``ORDER_AMOUNT`` or ``CUSTOMER_METADATA``.
        order: Points for the order.
        order_items: Points for items of the order.
        customer: Points for a custom property of the customer.
        custom_event: Points for a custom property of the custom event.
    """

    type: str | None = None
    points: Number | None = None
    points_formula: str | None = None
    calculation_type: str | None = None
    order: OrderPoints | None = None
    order_items: OrderItemPoints | None = None
    customer: MetadataPoints | None = None
    custom_event: MetadataPoints | None = None


class EarningRuleEvent(Model, frozen=True, kw_only=True):
    """The custom event that an earning rule waits for.

    Attributes:
        schema_id: The id of the event's schema.
        metadata: Points for a custom property of the event.
    """

    schema_id: str | None = None
    metadata: PointsRatio | None = None


class EarningRulePendingPoints(Model, frozen=True, kw_only=True):
    """How long points of an earning rule are pending.

    Attributes:
        period_type: Unit of the period: ``DAY``.
        period_value: Length of the period, from 1 to 90.
    """

    period_type: str | None = None
    period_value: Number | None = None


class EarningRuleSource(Model, frozen=True, kw_only=True):
    """The name of an earning rule, and the campaign that it belongs to.

    Attributes:
        banner: The name of the earning rule.
        object_id: The id of the campaign.
        object_type: Always ``campaign``.
    """

    banner: str | None = None
    object_id: str | None = None
    object_type: str | None = None


class EarningRule(Model, frozen=True, kw_only=True):
    """A rule that adds points to loyalty cards.

    Attributes:
        id: The id of the earning rule.
        campaign_id: The id of the campaign.
        event: The type of the event that adds points, for example ``order.paid``.
        loyalty: The points that it adds.
        custom_event: The custom event that adds points.
        segment: The segment that a customer has to enter.
        loyalty_tier: The loyalty tier that the event is about; the id ``__ANY__`` stands for any tier. Some
            responses have the id only.
        pending_points: How long the points are pending.
        source: The name of the rule, and the campaign that it belongs to.
        parameters: The settings of the rule, in responses that do not have them at its top level.
        type: In `parameters`, the type of the points, as in `EarningRulePoints`.
        calculation_type: In `parameters`, what the points are calculated from, as in `EarningRulePoints`.
        banner: The name of the rule.
        automation_id: An id that the service uses internally.
        start_date: Start of the validity, in ISO 8601 format.
        expiration_date: End of the validity, in ISO 8601 format.
        validity_timeframe: Recurring periods of validity.
        validity_day_of_week: Days of the week on which the earning rule is valid, from 0 (Sunday) to 6
            (Saturday).
        validity_hours: Times of day at which the earning rule is valid.
        expiration_rules: When the points expire.
        validation_rule_id: The id of the validation rule that is checked before points are added.
        active: Whether the rule is enabled.
        metadata: Custom properties.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``earning_rule``.
    """

    id: str | None = None
    campaign_id: str | None = None
    event: str | None = None
    loyalty: EarningRulePoints | None = None
    custom_event: EarningRuleEvent | None = None
    segment: Segment | None = None
    loyalty_tier: LoyaltyTier | str | None = None
    pending_points: EarningRulePendingPoints | None = None
    source: EarningRuleSource | None = None
    parameters: EarningRule | None = None
    type: str | None = None
    calculation_type: str | None = None
    banner: str | None = None
    automation_id: str | None = None
    start_date: str | None = None
    expiration_date: str | None = None
    validity_timeframe: ValidityTimeframe | None = None
    validity_day_of_week: tuple[int, ...] | None = None
    validity_hours: ValidityHours | None = None
    expiration_rules: PointsExpirationRules | None = None
    validation_rule_id: str | None = None
    active: bool | None = None
    metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None


class PendingPointsDetails(Model, frozen=True, kw_only=True):
    """How pending points were earned.

    Attributes:
        earning_rule: The earning rule that added the points.
        event: The event that added the points.
        order: The order that earned the points.
        loyalty_tier: The loyalty tier that changed the points of the earning rule.
        holder_loyalty_tier: The loyalty tier of the card's holder when the points were earned.
    """

    earning_rule: EarningRule | None = None
    event: EventDetails | None = None
    order: Order | None = None
    loyalty_tier: LoyaltyTier | None = None
    holder_loyalty_tier: LoyaltyTier | None = None


class PendingPoints(Model, frozen=True, kw_only=True):
    """Points that were earned, but are not active yet.

    Attributes:
        id: The id of the entry.
        voucher_id: The id of the loyalty card.
        campaign_id: The id of the campaign.
        customer_id: The id of the customer.
        order_id: The id of the order.
        points: The points.
        activates_at: The date on which they become active.
        details: How they were earned.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
    """

    id: str
    voucher_id: str | None = None
    campaign_id: str | None = None
    customer_id: str | None = None
    order_id: str | None = None
    points: Number | None = None
    activates_at: dt.date | None = None
    details: PendingPointsDetails | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None


class PointsBucketContent(Model, frozen=True, kw_only=True):
    """The content of a bucket of points.

    Attributes:
        total_points: The points.
    """

    total_points: Number | None = None


class PointsBucket(Model, frozen=True, kw_only=True):
    """Points of a loyalty card that expire together.

    Attributes:
        id: The id of the bucket.
        voucher_id: The id of the loyalty card.
        campaign_id: The id of the campaign.
        bucket: The points.
        status: The status of the bucket, for example ``ACTIVE``.
        expires_at: The date on which the points expire.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``loyalty_points_bucket``.
    """

    id: str
    voucher_id: str | None = None
    campaign_id: str | None = None
    bucket: PointsBucketContent | None = None
    status: str | None = None
    expires_at: dt.date | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None

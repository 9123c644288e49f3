"""Validation rules, their assignments, and what a discount applies to."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model, Number

__all__ = [
    "ApplicableTo",
    "DiscountScope",
    "OrderItemUnits",
    "ValidationRule",
    "ValidationRuleAssignment",
    "ValidationRuleAssignmentList",
    "ValidationRuleError",
]


class OrderItemUnits(Model, frozen=True, kw_only=True):
    """The units of an order item that a discount applies to.

    Attributes:
        index: Position of the item in the order, from 0.
        units: The numbers of the units in the item, from 1.
        units_limit_exceeded: `True` if all items of the order together have more than 1000 units; `units` is
            then absent.
    """

    index: Number | None = None
    units: tuple[int, ...] | None = None
    units_limit_exceeded: bool | None = None


class ApplicableTo(Model, frozen=True, kw_only=True):
    """A product, SKU or product collection that a discount applies to, and how.

    Attributes:
        id: The id of the product, SKU or collection.
        source_id: The id of the product, SKU or collection in your own system.
        object: ``product``, ``sku`` or ``products_collection``.
        product_id: For a SKU, the id of its product.
        product_source_id: For a SKU, the id of its product in your own system.
        strict: A flag that the service does not document.
        price: New price of a unit, in hundredths of the currency unit.
        price_formula: Formula that calculates `price`.
        effect: How the discount is applied: ``APPLY_TO_EVERY``, ``APPLY_TO_CHEAPEST``,
            ``APPLY_FROM_CHEAPEST``, ``APPLY_TO_MOST_EXPENSIVE`` or ``APPLY_FROM_MOST_EXPENSIVE``.
        quantity_limit: Largest number of discounted units of an order item.
        aggregated_quantity_limit: Largest number of discounted units of all matching order items together.
        amount_limit: Largest discount of an order item, in hundredths of the currency unit.
        aggregated_amount_limit: Largest discount of all matching order items together, in hundredths of the
            currency unit.
        order_item_indices: Positions of the matching items in the order, from 0.
        order_item_units: The units of the matching items.
        repeat: Which items or units are discounted: 3 means every third one.
        skip_initially: Number of items or units to skip before the first discounted one.
        target: Whether the discount applies to whole items (``ITEM``) or to single units of them (``UNIT``).
        product_campaign_quantity_limit: Most units that all customers together can get at a discount in the
            campaign.
        product_campaign_quantity_limit_formula: Formula that calculates `product_campaign_quantity_limit`.
        product_customer_campaign_quantity_limit: Most units that one customer can get at a discount in the
            campaign.
        product_customer_campaign_quantity_limit_formula: Formula that calculates
            `product_customer_campaign_quantity_limit`.
        product_in_collection_campaign_quantity_limit: Most units of each product in the collection that all
            customers together can get at a discount in the campaign.
        product_in_collection_campaign_quantity_limit_formula: Formula that calculates
            `product_in_collection_campaign_quantity_limit`.
        product_in_collection_customer_campaign_quantity_limit: Most units of each product in the collection
            that one customer can get at a discount in the campaign.
        product_in_collection_customer_campaign_quantity_limit_formula: Formula that calculates
            `product_in_collection_customer_campaign_quantity_limit`.
        product_promotion_tier_quantity_limit: Most units that all customers together can get at a discount in
            the promotion tier.
        product_promotion_tier_quantity_limit_formula: Formula that calculates
            `product_promotion_tier_quantity_limit`.
        product_customer_promotion_tier_quantity_limit: Most units that one customer can get at a discount in
            the promotion tier.
        product_customer_promotion_tier_quantity_limit_formula: Formula that calculates
            `product_customer_promotion_tier_quantity_limit`.
        product_in_collection_promotion_tier_quantity_limit: Most units of each product in the collection that
            all customers together can get at a discount in the promotion tier.
        product_in_collection_promotion_tier_quantity_limit_formula: Formula that calculates
            `product_in_collection_promotion_tier_quantity_limit`.
        product_in_collection_customer_promotion_tier_quantity_limit: Most units of each product in the
            collection that one customer can get at a discount in the promotion tier.
        product_in_collection_customer_promotion_tier_quantity_limit_formula: Formula that calculates
            `product_in_collection_customer_promotion_tier_quantity_limit`.
    """

    id: str | None = None
    source_id: str | None = None
    object: str | None = None
    product_id: str | None = None
    product_source_id: str | None = None
    strict: bool | None = None
    price: Number | None = None
    price_formula: Number | str | None = None
    effect: str | None = None
    quantity_limit: Number | None = None
    aggregated_quantity_limit: Number | None = None
    amount_limit: Number | None = None
    aggregated_amount_limit: Number | None = None
    order_item_indices: tuple[int, ...] | None = None
    order_item_units: tuple[OrderItemUnits, ...] | None = None
    repeat: Number | None = None
    skip_initially: Number | None = None
    target: str | None = None
    product_campaign_quantity_limit: Number | None = None
    product_campaign_quantity_limit_formula: str | None = None
    product_customer_campaign_quantity_limit: Number | None = None
    product_customer_campaign_quantity_limit_formula: str | None = None
    product_in_collection_campaign_quantity_limit: Number | None = None
    product_in_collection_campaign_quantity_limit_formula: str | None = None
    product_in_collection_customer_campaign_quantity_limit: Number | None = None
    product_in_collection_customer_campaign_quantity_limit_formula: str | None = None
    product_promotion_tier_quantity_limit: Number | None = None
    product_promotion_tier_quantity_limit_formula: str | None = None
    product_customer_promotion_tier_quantity_limit: Number | None = None
    product_customer_promotion_tier_quantity_limit_formula: str | None = None
    product_in_collection_promotion_tier_quantity_limit: Number | None = None
    product_in_collection_promotion_tier_quantity_limit_formula: str | None = None
    product_in_collection_customer_promotion_tier_quantity_limit: Number | None = None
    product_in_collection_customer_promotion_tier_quantity_limit_formula: str | None = None


class DiscountScope(Model, frozen=True, kw_only=True):
    """What a discount with a validation rule applies to.

    Attributes:
        included: What the discount applies to.
        excluded: What the discount does not apply to.
        included_all: Whether it applies to everything but `excluded`.
    """

    included: tuple[ApplicableTo, ...] | None = None
    excluded: tuple[ApplicableTo, ...] | None = None
    included_all: bool | None = None


class ValidationRuleError(Model, frozen=True, kw_only=True):
    """The error if a validation rule is not met.

    Attributes:
        message: The message of the error.
    """

    message: str | None = None


class ValidationRule(Model, frozen=True, kw_only=True):
    """A validation rule: the conditions under which something can be redeemed.

    Attributes:
        id: The id of the validation rule.
        name: The name of the validation rule.
        type: ``expression``, ``basic``, ``advanced`` or ``complex``.
        context_type: What the rule is made for, for example ``campaign.discount_coupons``.
        rules: The conditions by number (``"1"``, ``"2"``, …), and in ``logic`` how they are combined.
        bundle_rules: The conditions of bundles by number; in ``logic`` how they are combined, and in
            ``limit`` the largest number of bundles.
        error: The error if the rule is not met.
        applicable_to: What a discount with this rule applies to.
        assignments_count: Number of objects that the rule is assigned to.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``validation_rules``.
    """

    id: str
    name: str | None = None
    type: str | None = None
    context_type: str | None = None
    rules: dict[str, Any] | None = None
    bundle_rules: dict[str, Any] | None = None
    error: ValidationRuleError | None = None
    applicable_to: DiscountScope | None = None
    assignments_count: Number | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None


class ValidationRuleAssignment(Model, frozen=True, kw_only=True):
    """The assignment of a validation rule to a campaign, a voucher or another object.

    Attributes:
        id: The id of the assignment.
        rule_id: The id of the validation rule.
        related_object_id: The id of the object that the rule is assigned to.
        related_object_type: The type of that object, for example ``campaign`` or ``voucher``.
        validation_status: ``VALID``, ``PARTIALLY_VALID`` or ``INVALID``.
        validation_omitted_rules: The conditions that are omitted when the rule is checked.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``validation_rules_assignment``.
    """

    id: str
    rule_id: str | None = None
    related_object_id: str | None = None
    related_object_type: str | None = None
    validation_status: str | None = None
    validation_omitted_rules: tuple[str, ...] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None


class ValidationRuleAssignmentList(Model, frozen=True, kw_only=True):
    """The assignments of validation rules to an object.

    Attributes:
        data: The assignments.
        data_ref: The property that holds the assignments: ``data``.
        total: Number of assignments.
        object: Always ``list``.
    """

    data: tuple[ValidationRuleAssignment, ...] | None = None
    data_ref: str | None = None
    total: Number | None = None
    object: str | None = None

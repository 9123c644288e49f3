"""Orders and their items."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model, Number
from voucherify_async.models.customers import Customer
from voucherify_async.models.products import Product, Sku

__all__ = [
    "Order",
    "OrderItem",
    "OrderRedemption",
]


class OrderItem(Model, frozen=True, kw_only=True):
    """An item of an order.

    Attributes:
        id: The id of the item.
        source_id: The id of the product or SKU in your own system.
        related_object: What `source_id` refers to: ``product`` or ``sku``.
        product_id: The id of the product.
        sku_id: The id of the SKU.
        product: The product.
        sku: The SKU.
        quantity: Number of units; some responses have a string.
        initial_quantity: Number of units before discounts added or replaced some.
        discount_quantity: Number of units that are discounted.
        applied_quantity: Number of units that were added in this validation or redemption; negative if units
            were replaced.
        applied_discount_quantity: Number of units that were discounted in this validation or redemption.
        price: Price of a unit, in hundredths of the currency unit.
        amount: Price of all units, in hundredths of the currency unit.
        initial_amount: Price of all units before discounts added or replaced some, in hundredths of the
            currency unit.
        subtotal_amount: Price of all units after the discounts of the item, in hundredths of the currency
            unit.
        discount_amount: All discounts of the item, in hundredths of the currency unit.
        applied_discount_amount: Discount of the item that was applied in this validation or redemption, in
            hundredths of the currency unit.
        applied_quantity_amount: Price of the units that were added in this validation or redemption, in
            hundredths of the currency unit; negative if units were replaced.
        metadata: Custom properties.
        object: Always ``order_item``.
    """

    id: str | None = None
    source_id: str | None = None
    related_object: str | None = None
    product_id: str | None = None
    sku_id: str | None = None
    product: Product | None = None
    sku: Sku | None = None
    quantity: Number | str | None = None
    initial_quantity: Number | None = None
    discount_quantity: Number | None = None
    applied_quantity: Number | None = None
    applied_discount_quantity: Number | None = None
    price: Number | None = None
    amount: Number | None = None
    initial_amount: Number | None = None
    subtotal_amount: Number | None = None
    discount_amount: Number | None = None
    applied_discount_amount: Number | None = None
    applied_quantity_amount: Number | None = None
    metadata: dict[str, Any] | None = None
    object: str | None = None


class OrderRedemption(Model, frozen=True, kw_only=True):
    """The redemption of a voucher or promotion tier for an order.

    Attributes:
        date: Time of the redemption, timezone-aware.
        rollback_id: The id of the rollback, if it was rolled back.
        rollback_date: Time of the rollback, timezone-aware.
        related_object_type: What was redeemed: ``voucher`` or ``promotion_tier``.
        related_object_id: The id of what was redeemed.
        related_object_parent_id: The id of the campaign of what was redeemed.
        stacked: The ids of the child redemptions, if several redeemables were redeemed together.
        rollback_stacked: The ids of the rollbacks of these child redemptions.
    """

    date: dt.datetime | None = None
    rollback_id: str | None = None
    rollback_date: dt.datetime | None = None
    related_object_type: str | None = None
    related_object_id: str | None = None
    related_object_parent_id: str | None = None
    stacked: tuple[str, ...] | None = None
    rollback_stacked: tuple[str, ...] | None = None


class Order(Model, frozen=True, kw_only=True):
    """An order.

    Attributes:
        id: The id of the order.
        source_id: The id of the order in your own system.
        status: ``CREATED``, ``PAID``, ``PROCESSING``, ``FULFILLED`` or ``CANCELED``.
        amount: Price of all items, in hundredths of the currency unit.
        initial_amount: Price of all items before discounts added or replaced some, in hundredths of the
            currency unit.
        discount_amount: Discounts of the order as a whole, in hundredths of the currency unit.
        items_discount_amount: Discounts of items, in hundredths of the currency unit.
        total_discount_amount: All discounts, in hundredths of the currency unit.
        total_amount: Price after all discounts, in hundredths of the currency unit.
        applied_discount_amount: Discount of the order as a whole that was applied in this validation or
            redemption, in hundredths of the currency unit.
        items_applied_discount_amount: Discounts of items that were applied in this validation or redemption,
            in hundredths of the currency unit.
        total_applied_discount_amount: All discounts that were applied in this validation or redemption, in
            hundredths of the currency unit.
        items: The items.
        customer: The customer who placed the order.
        customer_id: The id of the customer who placed the order.
        referrer: The customer who referred the customer of the order.
        referrer_id: The id of the customer who referred the customer of the order.
        redemptions: The redemptions for the order, by the id of the redemption.
        metadata: Custom properties.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``order``.
    """

    id: str | None = None
    source_id: str | None = None
    status: str | None = None
    amount: Number | None = None
    initial_amount: Number | None = None
    discount_amount: Number | None = None
    items_discount_amount: Number | None = None
    total_discount_amount: Number | None = None
    total_amount: Number | None = None
    applied_discount_amount: Number | None = None
    items_applied_discount_amount: Number | None = None
    total_applied_discount_amount: Number | None = None
    items: tuple[OrderItem, ...] | None = None
    customer: Customer | None = None
    customer_id: str | None = None
    referrer: Customer | None = None
    referrer_id: str | None = None
    redemptions: dict[str, OrderRedemption] | None = None
    metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None

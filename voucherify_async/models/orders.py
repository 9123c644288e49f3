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
        initial_quantity: Number of units before discounts added some.
        discount_quantity: Number of units that are free.
        applied_quantity: Number of units that this request added; negative if it removed some.
        applied_discount_quantity: Number of units that this request made free.
        price: Price of a unit, in hundredths of the currency unit.
        amount: Price of all units, in hundredths of the currency unit.
        initial_amount: Price of all units before discounts added some, in hundredths of the currency unit.
        subtotal_amount: Price after discounts of the item, in hundredths of the currency unit.
        discount_amount: Discount of the item, in hundredths of the currency unit.
        applied_discount_amount: Discount of the item by this request, in hundredths of the currency unit.
        applied_quantity_amount: Price of the units that this request added, in hundredths of the currency
            unit; negative if it removed some.
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
    """A redemption of an order.

    Attributes:
        date: Time of the redemption, timezone-aware.
        rollback_id: The id of the rollback, if it was rolled back.
        rollback_date: Time of the rollback, timezone-aware.
        related_object_type: What was redeemed, for example ``voucher``.
        related_object_id: The id of what was redeemed.
        related_object_parent_id: The id of its campaign.
        stacked: The ids of the redemptions that were made together.
        rollback_stacked: The ids of their rollbacks.
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
        initial_amount: Price of all items before discounts added some, in hundredths of the currency unit.
        discount_amount: Discounts of the order as a whole, in hundredths of the currency unit.
        items_discount_amount: Discounts of items, in hundredths of the currency unit.
        total_discount_amount: All discounts, in hundredths of the currency unit.
        total_amount: Price after all discounts, in hundredths of the currency unit.
        applied_discount_amount: Discount of the order as a whole by this request, in hundredths of the
            currency unit.
        items_applied_discount_amount: Discounts of items by this request, in hundredths of the currency unit.
        total_applied_discount_amount: All discounts by this request, in hundredths of the currency unit.
        items: The items.
        customer: The customer.
        customer_id: The id of the customer.
        referrer: The customer who referred the customer.
        referrer_id: The id of the customer who referred the customer.
        redemptions: The redemptions, by id.
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

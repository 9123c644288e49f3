"""Products and their variants."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model, Number

__all__ = [
    "Product",
    "Sku",
    "SkuList",
]


class Sku(Model, frozen=True, kw_only=True):
    """A variant of a product (stock keeping unit).

    Attributes:
        id: The id of the SKU.
        source_id: The id of the SKU in your own system.
        name: The name of the SKU.
        sku: The name of the SKU, where `name` is absent.
        product_id: The id of its product.
        price: Price of a unit, in hundredths of the currency unit.
        currency: Currency of the price, for example ``USD``.
        attributes: The values of the product's attributes for this SKU.
        image_url: URL of the image.
        metadata: Custom properties.
        override: Whether the name, price and metadata of the SKU in the order replace the stored ones.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``sku``.
    """

    id: str | None = None
    source_id: str | None = None
    name: str | None = None
    sku: str | None = None
    product_id: str | None = None
    price: Number | None = None
    currency: str | None = None
    attributes: dict[str, Any] | None = None
    image_url: str | None = None
    metadata: dict[str, Any] | None = None
    override: bool | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None


class SkuList(Model, frozen=True, kw_only=True):
    """The SKUs of a product, or a part of them.

    Attributes:
        data: The SKUs.
        data_ref: The property that holds the SKUs: ``data``.
        total: Number of SKUs.
        object: Always ``list``.
    """

    data: tuple[Sku, ...] | None = None
    data_ref: str | None = None
    total: Number | None = None
    object: str | None = None


class Product(Model, frozen=True, kw_only=True):
    """A product.

    Attributes:
        id: The id of the product.
        source_id: The id of the product in your own system.
        name: The name of the product.
        price: Price of a unit, in hundredths of the currency unit.
        attributes: The names of the attributes in which its SKUs differ; some responses have an object here.
        image_url: URL of the image.
        metadata: Custom properties.
        override: Whether the name, price and metadata of the product in the order replace the stored ones.
        skus: Its SKUs.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``product``.
    """

    id: str | None = None
    source_id: str | None = None
    name: str | None = None
    price: Number | None = None
    attributes: tuple[str, ...] | dict[str, Any] | None = None
    image_url: str | None = None
    metadata: dict[str, Any] | None = None
    override: bool | None = None
    skus: SkuList | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None

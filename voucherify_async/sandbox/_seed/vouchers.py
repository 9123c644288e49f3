"""The objects of customer events: campaigns, vouchers, orders and products. No I/O.

They are plain values, turned into JSON only on request, as there are many.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import string
from typing import Annotated, Any, Final

import msgspec

from voucherify_async._transport.wire import format_instant

__all__ = [
    "NO_SUBJECT",
    "Amount",
    "Campaign",
    "EventSubject",
    "Instant",
    "Order",
    "Product",
    "Redeemable",
    "Tier",
    "alphanumeric_id",
    "hex_hash_id",
]

Json = dict[str, Any]
Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Amount = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""Hundredths of a currency unit, points, or a quantity."""

_LETTERS: Final = (string.ascii_letters + string.digits).encode()
_LETTER_OF_BYTE: Final = bytes(_LETTERS[number % len(_LETTERS)] for number in range(256))
_HEX_ID_BYTES: Final = 9


def alphanumeric_id(prefix: str, number: int, length: int = 24) -> str:
    """An id of letters and digits, for example ``camp_…``. Equal numbers give equal ids."""
    return prefix + _hash_bytes(prefix, number, length).translate(_LETTER_OF_BYTE).decode()


def hex_hash_id(prefix: str, number: int) -> str:
    """A hexadecimal id, for example ``rh_0e7b8db4700106a852``. Equal numbers give equal ids."""
    return prefix + _hash_bytes(prefix, number, _HEX_ID_BYTES).hex()


def _hash_bytes(prefix: str, number: int, length: int) -> bytes:
    return hashlib.blake2b(f"{prefix}{number}".encode(), digest_size=length).digest()


class Tier(msgspec.Struct, frozen=True, gc=False):
    """A tier of a loyalty campaign, for customers with `first` to `last` points."""

    id: str
    name: str
    first: Amount
    last: Amount

    def to_json(self, campaign: Campaign) -> Json:
        """The tier as in events."""
        points = {"from": self.first, "to": self.last}
        return {
            "id": self.id,
            "name": self.name,
            "campaign_id": campaign.id,
            "metadata": {},
            "created_at": format_instant(campaign.created),
            "points": points,
            "config": {"points": points},
            "object": "loyalty_tier",
        }


class Campaign(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A campaign, shared by many customers."""

    id: str
    name: str
    type: str
    created: Instant
    discount: Json | None = None
    tiers: tuple[Tier, ...] = ()

    def to_json(self) -> Json:
        """The campaign as in events."""
        return {
            "id": self.id,
            "name": self.name,
            "campaign_type": self.type,
            "type": "AUTO_UPDATE" if self.type == "LOYALTY_PROGRAM" else "STATIC",
            "is_referral_code": self.type == "REFERRAL_PROGRAM",
            "auto_join": False,
            "join_once": self.type == "LOYALTY_PROGRAM",
            "active": True,
            "category_id": None,
            "categories": [],
            "metadata": {},
            "created_at": format_instant(self.created),
            "object": "campaign",
        }


class Product(msgspec.Struct, frozen=True, gc=False):
    """A product."""

    id: str
    source_id: str
    name: str
    price: Amount
    """In hundredths."""


class Redeemable(msgspec.Struct, gc=False, kw_only=True, omit_defaults=True):
    """A voucher held by a customer. A referral code is held by several customers."""

    number: int
    """Random; the holder id is derived from it."""
    created: Instant
    customer_id: str
    holder_role: str = "OWNER"
    campaign: Campaign | None
    voucher: int
    """Random; the voucher id and code are derived from it. All holders of a voucher have the same number."""
    voucher_type: str = "DISCOUNT_VOUCHER"
    discount: Json | None = None
    referrer_id: str | None = None
    amount: Amount = 0
    """Total credits, in hundredths, or points that were added."""
    spent: Amount = 0
    """Spent credits or points."""
    uses: Amount = 0
    status: str = "ACTIVE"

    @property
    def id(self) -> str:
        """The holder id, for example ``rh_0e7b8db4700106a852``."""
        return hex_hash_id("rh_", self.number)

    @property
    def created_at(self) -> str:
        """The time at which the customer got the voucher, as in the service's responses."""
        return format_instant(self.created)

    @property
    def redeemable_id(self) -> str:
        """The id of the voucher."""
        return alphanumeric_id("v_", self.voucher, 32)

    @property
    def redeemable_object(self) -> str:
        """The type of the redeemable, always ``voucher``."""
        return "voucher"

    @property
    def campaign_id(self) -> str | None:
        """The id of the voucher's campaign, if any."""
        return None if self.campaign is None else self.campaign.id

    @property
    def campaign_type(self) -> str | None:
        """The type of the voucher's campaign, if any."""
        return None if self.campaign is None else self.campaign.type

    @property
    def code(self) -> str:
        """The code of the voucher."""
        return alphanumeric_id("", self.voucher, 8)

    @property
    def balance(self) -> int:
        """The remaining credits, in hundredths, or points."""
        return self.amount - self.spent

    def to_json(self) -> Json:
        """The redeemable as in the service's lists."""
        return {
            **self.holder_json(),
            "redeemable": {"type": "voucher", "voucher": self._voucher_json(), "status": self.status},
        }

    def holder_json(self) -> Json:
        """The holder object: the ids of the customer, the voucher and the campaign."""
        return {
            "id": self.id,
            "created_at": self.created_at,
            "redeemable_id": self.redeemable_id,
            "redeemable_object": self.redeemable_object,
            "customer_id": self.customer_id,
            "holder_role": self.holder_role,
            "campaign_id": self.campaign_id,
            "campaign_type": self.campaign_type,
            "voucher_type": self.voucher_type,
        }

    def simple_voucher(self, balance: int | None = None) -> Json:
        """The voucher as in events. `balance` is the one at the time of the event; default: the current one."""
        return {
            **self._base_json(self.balance if balance is None else balance),
            "metadata": {},
            "active": True,
        }

    def _base_json(self, balance: int) -> Json:
        shown: Json = {
            "id": self.redeemable_id,
            "code": self.code,
            "campaign": None if self.campaign is None else self.campaign.name,
            "campaign_id": self.campaign_id,
            "category_id": None,
            "categories": [],
            "type": self.voucher_type,
            "discount": self.discount,
            "gift": None,
            "loyalty_card": None,
            "is_referral_code": self.campaign_type == "REFERRAL_PROGRAM",
            "referrer_id": self.referrer_id,
            "holder_id": self.referrer_id or self.customer_id,
            "created_at": self.created_at,
            "object": "voucher",
        }
        if self.voucher_type == "GIFT_VOUCHER":
            shown["gift"] = {"amount": self.amount, "balance": balance, "effect": "APPLY_TO_ORDER"}
        elif self.voucher_type == "LOYALTY_CARD":
            shown["loyalty_card"] = {"points": self.amount, "balance": balance}
        return shown

    def _voucher_json(self) -> Json:
        code = self.code
        redemption = {"quantity": None, "redeemed_quantity": self.uses, "object": "list"}
        redemption["url"] = f"/v1/vouchers/{code}/redemptions?page=1&limit=10"
        if self.voucher_type == "LOYALTY_CARD":
            redemption["redeemed_points"] = self.spent
        elif self.discount is not None and self.referrer_id is None:
            redemption["quantity"] = 1
        publish_url = f"/v1/vouchers/{code}/publications?page=1&limit=10"
        return {
            **self._base_json(self.balance),
            "category": None,
            "start_date": None,
            "expiration_date": None,
            "validity_timeframe": None,
            "validity_day_of_week": None,
            "validity_hours": None,
            "active": self.status != "DISABLED",
            "additional_info": None,
            "metadata": {},
            "assets": None,
            "publish": {"object": "list", "count": 1, "url": publish_url},
            "redemption": redemption,
        }


class Order(msgspec.Struct, gc=False, kw_only=True, omit_defaults=True):
    """An order of one product."""

    number: int
    """Random; both ids are derived from it."""
    created: Instant
    product: Product
    quantity: Amount
    discount: Amount = 0

    @property
    def id(self) -> str:
        """The order id, for example ``ord_0b4c590350857970df``."""
        return hex_hash_id("ord_", self.number)

    @property
    def source_id(self) -> str:
        """The order id in the shop."""
        return f"order-{self.number % 10**9}"

    @property
    def amount(self) -> int:
        """The price without discount, in hundredths."""
        return self.product.price * self.quantity

    @property
    def total(self) -> int:
        """The amount to pay, in hundredths."""
        return self.amount - self.discount

    def amount_off(self, discount: Json | None) -> int:
        """The amount that a discount takes off this order, in hundredths."""
        match discount:
            case {"type": "AMOUNT", "amount_off": off}:
                return min(int(off), self.amount)
            case {"type": "PERCENT", "percent_off": percent}:
                return self.amount * int(percent) // 100
            case {"type": "FIXED", "fixed_amount": fixed}:
                return max(self.amount - int(fixed), 0)
            case _:  # a free unit, or no discount
                return 0

    def to_json(self, customer_id: str, status: str) -> Json:
        """The order as in events, with its status at the time of the event."""
        discount = 0 if status == "CREATED" else self.discount
        item = {
            "object": "order_item",
            "source_id": self.product.source_id,
            "related_object": "product",
            "product_id": self.product.id,
            "quantity": self.quantity,
            "amount": self.amount,
            "price": self.product.price,
            "subtotal_amount": self.amount,
        }
        return {
            "id": self.id,
            "source_id": self.source_id,
            "status": status,
            "customer_id": customer_id,
            "amount": self.amount,
            "discount_amount": discount,
            "total_discount_amount": discount,
            "total_amount": self.amount - discount,
            "items": [item],
            "metadata": {},
            "object": "order",
        }


class EventSubject(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The objects and values that an event is about. Each type of event uses some of them."""

    campaign: Campaign | None = None
    voucher: Redeemable | None = None
    order: Order | None = None
    tier: Tier | None = None
    tier_before: Tier | None = None
    segment: Json | None = None
    other: Json | None = None
    """Another customer, in the short form."""
    name: str = ""
    """The name of a reward, a message or a custom event."""
    number: int = 0
    """Random; ids of objects without a record of their own, such as a redemption, are derived from it."""
    amount: Amount = 0
    """Added (positive) or removed (negative) credits or points."""
    balance: Amount = 0
    """Credits or points after the event."""


NO_SUBJECT: Final = EventSubject()
"""The subject of an event that is about the customer only."""

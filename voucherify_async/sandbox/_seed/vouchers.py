"""What customers hold, buy and take part in: campaigns, vouchers and orders. No I/O.

These are plain values: they are shown as JSON only when somebody looks, for there are many.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import string
from typing import Annotated, Any, Final

import msgspec

from voucherify_async._transport.wire import format_instant

__all__ = [
    "NOTHING",
    "Amount",
    "Campaign",
    "EventSubject",
    "Instant",
    "Order",
    "Product",
    "Redeemable",
    "Tier",
    "digits",
    "letters",
]

Json = dict[str, Any]
Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Amount = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""Hundredths of a currency, points or pieces."""

_LETTERS: Final = (string.ascii_letters + string.digits).encode()
_OF_BYTES: Final = bytes(_LETTERS[number % len(_LETTERS)] for number in range(256))
_HEX_ID_BYTES: Final = 9


def letters(prefix: str, number: int, length: int = 24) -> str:
    """An id of letters and digits, the same for the same number; for example ``camp_…``."""
    return prefix + _scattered(prefix, number, length).translate(_OF_BYTES).decode()


def digits(prefix: str, number: int) -> str:
    """An id of hexadecimal digits, the same for the same number; for example ``rh_0e7b8db4700106a852``."""
    return prefix + _scattered(prefix, number, _HEX_ID_BYTES).hex()


def _scattered(prefix: str, number: int, length: int) -> bytes:
    return hashlib.blake2b(f"{prefix}{number}".encode(), digest_size=length).digest()


class Tier(msgspec.Struct, frozen=True, gc=False):
    """A tier of a loyalty campaign: from so many points to less than so many."""

    id: str
    name: str
    first: Amount
    last: Amount

    def to_json(self, campaign: Campaign) -> Json:
        """The tier as events show it."""
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
    """A campaign, in which many customers take part."""

    id: str
    name: str
    type: str
    created: Instant
    discount: Json | None = None
    tiers: tuple[Tier, ...] = ()

    def to_json(self) -> Json:
        """The campaign as events show it."""
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
    """Something that is sold."""

    id: str
    source_id: str
    name: str
    price: Amount
    """In hundredths."""


class Redeemable(msgspec.Struct, gc=False, kw_only=True, omit_defaults=True):
    """A voucher that a customer holds, alone or, as a referral code, with others."""

    number: int
    """Random; the ids are made of it."""
    created: Instant
    customer_id: str
    holder_role: str = "OWNER"
    campaign: Campaign | None
    voucher: int
    """Another random number; all holders of one voucher have the same."""
    voucher_type: str = "DISCOUNT_VOUCHER"
    discount: Json | None = None
    referrer_id: str | None = None
    amount: Amount = 0
    """All credits, in hundredths, or points that were put on it."""
    spent: Amount = 0
    """How much of them is gone."""
    uses: Amount = 0
    status: str = "ACTIVE"

    @property
    def id(self) -> str:
        """The holder's id, for example ``rh_0e7b8db4700106a852``."""
        return digits("rh_", self.number)

    @property
    def created_at(self) -> str:
        """When it came to be held."""
        return format_instant(self.created)

    @property
    def redeemable_id(self) -> str:
        """The voucher's id."""
        return letters("v_", self.voucher, 32)

    @property
    def redeemable_object(self) -> str:
        """What kind of redeemable it is."""
        return "voucher"

    @property
    def campaign_id(self) -> str | None:
        """The campaign it belongs to, if any."""
        return None if self.campaign is None else self.campaign.id

    @property
    def campaign_type(self) -> str | None:
        """The kind of that campaign."""
        return None if self.campaign is None else self.campaign.type

    @property
    def code(self) -> str:
        """What is entered to redeem it."""
        return letters("", self.voucher, 8)

    @property
    def balance(self) -> int:
        """The credits or points that are left."""
        return self.amount - self.spent

    def to_json(self) -> Json:
        """The redeemable as the service lists it."""
        return {
            **self.holder(),
            "redeemable": {"type": "voucher", "voucher": self._voucher(), "status": self.status},
        }

    def holder(self) -> Json:
        """Who holds what."""
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

    def in_short(self, balance: int | None = None) -> Json:
        """The voucher as events show it, with the balance that it had then."""
        return {**self._facts(self.balance if balance is None else balance), "metadata": {}, "active": True}

    def _facts(self, balance: int) -> Json:
        facts: Json = {
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
            facts["gift"] = {"amount": self.amount, "balance": balance, "effect": "APPLY_TO_ORDER"}
        elif self.voucher_type == "LOYALTY_CARD":
            facts["loyalty_card"] = {"points": self.amount, "balance": balance}
        return facts

    def _voucher(self) -> Json:
        code = self.code
        redemption = {"quantity": None, "redeemed_quantity": self.uses, "object": "list"}
        redemption["url"] = f"/v1/vouchers/{code}/redemptions?page=1&limit=10"
        if self.voucher_type == "LOYALTY_CARD":
            redemption["redeemed_points"] = self.spent
        elif self.discount is not None and self.referrer_id is None:
            redemption["quantity"] = 1
        publish_url = f"/v1/vouchers/{code}/publications?page=1&limit=10"
        return {
            **self._facts(self.balance),
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
    """An order of one product; what it is paid with is taken off."""

    number: int
    """Random; its ids are made of it."""
    created: Instant
    product: Product
    quantity: Amount
    discount: Amount = 0

    @property
    def id(self) -> str:
        """Its id, for example ``ord_0b4c590350857970df``."""
        return digits("ord_", self.number)

    @property
    def source_id(self) -> str:
        """Its id in the shop."""
        return f"order-{self.number % 10**9}"

    @property
    def amount(self) -> int:
        """What it costs without discounts, in hundredths."""
        return self.product.price * self.quantity

    @property
    def total(self) -> int:
        """What is to be paid, in hundredths."""
        return self.amount - self.discount

    def worth_of(self, discount: Json | None) -> int:
        """What a discount takes off, in hundredths."""
        match discount:
            case {"type": "AMOUNT", "amount_off": off}:
                return min(int(off), self.amount)
            case {"type": "PERCENT", "percent_off": percent}:
                return self.amount * int(percent) // 100
            case {"type": "FIXED", "fixed_amount": fixed}:
                return max(self.amount - int(fixed), 0)
            case _:  # one more for free
                return 0

    def to_json(self, customer_id: str, status: str) -> Json:
        """The order as events show it, in the status that it had then."""
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
    """What an event is about, as far as it is about that."""

    campaign: Campaign | None = None
    voucher: Redeemable | None = None
    order: Order | None = None
    tier: Tier | None = None
    tier_before: Tier | None = None
    segment: Json | None = None
    other: Json | None = None
    """Another customer, in short."""
    name: str = ""
    """Of a reward, of what was sent, or of an event of the customer's own kind."""
    number: int = 0
    """Random; the ids of what has no other are made of it."""
    amount: Amount = 0
    """Credits or points that came or went."""
    balance: Amount = 0
    """Credits or points after that."""


NOTHING: Final = EventSubject()
"""What an event is about that is about the customer alone."""

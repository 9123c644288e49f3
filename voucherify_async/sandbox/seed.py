"""Believable customers, the same for the same seed."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from voucherify_async.sandbox.records import Record, Segment
from voucherify_async.sandbox.store import Store
from voucherify_async.transport.wire import format_instant

__all__ = ["make_redeemable", "seed_customers", "seed_segments"]

_NEWEST: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""Fixed, so that the same seed gives the same customers on any day."""
_SPREAD_SECONDS: Final = 2 * 365 * 24 * 3600
_BURST_CHANCE: Final = 0.02
_LONGEST_BURST: Final = 40
"""Bulk imports give many customers the same `created_at`."""

_FIRST_NAMES: Final = (
    "Ada", "Alan", "Barbara", "Claude", "Dorothy", "Edsger", "Frances", "Grace", "Hedy", "Ivan", "Jean",
    "Katherine", "Linus", "Margaret", "Niklaus", "Olga", "Radia", "Sophie", "Tim", "Zuzanna", "Łukasz",
    "Émilie", "Søren", "Дарья", "Νίκος", "美咲", "さくら", "민준", "محمد", "शांति",
)  # fmt: skip
_LAST_NAMES: Final = (
    "Lovelace", "Turing", "Liskov", "Shannon", "Vaughan", "Dijkstra", "Allen", "Hopper", "Lamarr",
    "Sutherland", "Bartik", "Johnson", "Torvalds", "Hamilton", "Wirth", "Ladyzhenskaya", "Perlman",
    "Wilson", "Nowak", "Kovács", "García", "Müller", "Петрова", "Παπαδόπουλος", "佐藤", "김", "الفارسي",
)  # fmt: skip
_CITIES: Final = (
    ("London", "", "United Kingdom"),
    ("New York", "NY", "United States"),
    ("Kraków", "małopolskie", "Poland"),
    ("São Paulo", "SP", "Brazil"),
    ("東京", "", "Japan"),
    ("Berlin", "", "Germany"),
)
_TIERS: Final = ("bronze", "silver", "gold")


def seed_segments(store: Store) -> None:
    """The segments that a sandbox has from the start."""
    store.segments += [
        Segment("seg_everyone", "Everyone", lambda _: True),
        Segment(
            "seg_london", "Lives in London", lambda record: (record.address or {}).get("city") == "London"
        ),
        Segment("seg_gold", "Gold tier", lambda record: (record.metadata or {}).get("tier") == "gold"),
        Segment("seg_no_email", "Without an e-mail", lambda record: not record.fields.get("email")),
    ]


def seed_customers(store: Store, count: int) -> None:
    """Fill the store with customers, their history and what they hold."""
    chance = store.random
    created = _NEWEST
    burst = 0
    step = _SPREAD_SECONDS / max(count, 1)
    for number in range(count):
        if burst > 0:
            burst -= 1
        else:
            created -= dt.timedelta(milliseconds=int(chance.uniform(0.2, 1.8) * step * 1000) + 1)
            burst = chance.randint(2, _LONGEST_BURST) if chance.random() < _BURST_CHANCE else 0
        _seed_one(store, number, created)


def _seed_one(store: Store, number: int, created: dt.datetime) -> None:
    chance = store.random
    first, last = chance.choice(_FIRST_NAMES), chance.choice(_LAST_NAMES)
    city, state, country = chance.choice(_CITIES)
    handle = f"{first}.{last}".lower() if (first + last).isascii() else f"customer-{number}"
    email = f"{handle}.{number}@example.com"
    body: dict[str, Any] = {
        "name": f"{first} {last}",
        "email": email,
        "phone": f"+1 555 {chance.randint(0, 9_999_999):07d}",
        "birthdate": (dt.date(1950, 1, 1) + dt.timedelta(days=chance.randrange(50 * 365))).isoformat(),
        "address": {
            "city": city,
            "state": state,
            "line_1": f"{chance.randint(1, 200)} Main St.",
            "line_2": "",
            "country": country,
            "postal_code": f"{chance.randint(0, 99_999):05d}",
        },
        "metadata": {"tier": chance.choice(_TIERS), "newsletter": chance.random() < 0.5},
    }
    source_id = email if chance.random() < 0.5 else f"crm/{number}"
    record = store.add(None, source_id, body, created=created)
    _seed_orders(store, record)
    if chance.random() < 0.3:
        record.redeemables.append(make_redeemable(store, record))


def _seed_orders(store: Store, record: Record) -> None:
    amounts = [store.random.randrange(500, 50_000) for _ in range(store.random.randrange(4))]
    if not amounts:
        return
    shown = record.to_json()
    shown["summary"]["orders"] = {
        "total_amount": sum(amounts),
        "total_count": len(amounts),
        "average_amount": sum(amounts) // len(amounts),
        "last_order_amount": amounts[-1],
        "last_order_date": format_instant(record.created + dt.timedelta(days=len(amounts))),
    }
    record.summary = shown["summary"]
    points = sum(amounts) // 100
    record.loyalty = {
        "points": points,
        "referred_customers": 0,
        "campaigns": {"Loyal Friends": {"points": points, "referred_customers": 0}},
    }


def make_redeemable(store: Store, record: Record) -> dict[str, Any]:
    """A discount voucher that the customer holds."""
    voucher_id = store.make_id("v_", 32)
    campaign_id = store.make_id("camp_")
    created = format_instant(record.created + dt.timedelta(hours=1))
    return {
        "id": store.make_hex_id("rh_"),
        "created_at": created,
        "redeemable_id": voucher_id,
        "redeemable_object": "voucher",
        "customer_id": record.id,
        "holder_role": "OWNER",
        "campaign_id": campaign_id,
        "campaign_type": "DISCOUNT_COUPONS",
        "voucher_type": "DISCOUNT_VOUCHER",
        "redeemable": {
            "type": "voucher",
            "voucher": {
                "id": voucher_id,
                "code": store.make_id("", 8),
                "campaign": "Welcome",
                "campaign_id": campaign_id,
                "category": None,
                "categories": [],
                "type": "DISCOUNT_VOUCHER",
                "discount": {"type": "AMOUNT", "amount_off": 1000},
                "gift": None,
                "loyalty_card": None,
                "active": True,
                "metadata": {},
                "is_referral_code": False,
                "created_at": created,
                "holder_id": record.id,
                "redemption": {"quantity": None, "redeemed_quantity": 0, "object": "list"},
                "object": "voucher",
            },
            "status": "ACTIVE",
        },
    }

"""Realistic generated customers. The same seed gives the same customers."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Final

from voucherify_async.models.base import EPOCH
from voucherify_async.sandbox._seed.histories import ID_BITS, CustomerHistory, SeedContext
from voucherify_async.sandbox._seed.names import (
    DESCRIPTIONS,
    DOMAINS,
    EXTRA_METADATA,
    TIERS,
    WEIGHTED_CULTURES,
    Culture,
    Person,
)
from voucherify_async.sandbox._seed.vouchers import Campaign, Redeemable
from voucherify_async.sandbox._store.gc import gc_paused
from voucherify_async.sandbox._store.records import MILLISECOND, Record
from voucherify_async.sandbox._store.store import Store

__all__ = ["make_redeemable", "seed_customers"]

_END_MS: Final = (dt.datetime(2026, 1, 1, tzinfo=dt.UTC) - EPOCH) // MILLISECOND
"""No generated event is later. Fixed, so that the same seed gives the same customers on any day."""
_SPREAD_MS: Final = 2 * 365 * 24 * 3600 * 1000
_BURST_CHANCE: Final = 0.02
_MAX_BURST: Final = 40
"""Customers in a burst have the same `created_at`, as after a bulk import."""
_ADDRESSES_PER_COUNTRY: Final = 1024
"""Number of addresses. Customers with equal addresses share one object, to save memory."""
_BIRTHDATE_COUNT: Final = 4096
_FIRST_BIRTHDATE: Final = dt.date(1945, 1, 1)
_DAYS_BETWEEN_BIRTHDATES: Final = 6
_PROGRESS_INTERVAL: Final = 1000
"""Customers between two calls of `on_progress`."""

Json = dict[str, Any]


def seed_customers(store: Store, count: int, on_progress: Callable[[int, int], None] | None = None) -> None:
    """Fill the store with customers, their events and their redeemables.

    Args:
        store: The store to fill.
        count: How many customers to generate.
        on_progress: Called with the number of customers so far and in total: at the start, every 1,000 customers
            and at the end.
    """
    if not count:
        return
    with gc_paused():
        opened = EPOCH + (_END_MS - _SPREAD_MS) * MILLISECOND
        context, factory = SeedContext(store, opened, _END_MS), _CustomerFactory(store)
        for number, created in enumerate(_creation_times(store.random, count)):
            if on_progress is not None and number % _PROGRESS_INTERVAL == 0:
                on_progress(number, count)
            store.put(_customer(context, factory, number, created))
        if on_progress is not None:
            on_progress(count, count)


def _creation_times(chance: random.Random, count: int) -> list[int]:
    """Ascending epoch milliseconds, spread over two years. Many are equal, as after bulk imports."""
    gaps: list[float] = []
    while len(gaps) < count:
        gaps.append(0.2 + chance.random())
        if chance.random() < _BURST_CHANCE:
            gaps += [0.0] * (2 + int(chance.random() * _MAX_BURST))
    del gaps[count:]
    whole = sum(gaps) + 1
    return [_END_MS - _SPREAD_MS + int(position / whole * _SPREAD_MS) for position in accumulate(gaps)]


def _customer(context: SeedContext, factory: _CustomerFactory, number: int, created: int) -> Record:
    """Generate the customer with this number, and its events."""
    record = factory.record(number, EPOCH + created * MILLISECOND)
    history = CustomerHistory(context, record, created)
    chance = context.bits(8)
    if chance & 3:
        history.generate(number)
    if chance < 48:  # about one in five customers
        history.update(factory.metadata(chance))
    return record


class _CustomerFactory:
    """Generates the properties of customers. Equal addresses and metadata share one object, to save memory."""

    def __init__(self, store: Store) -> None:
        self._make_id = store.make_id
        self._bits = store.random.getrandbits
        self._addresses: dict[tuple[str, int], Json] = {}
        self._birthdates: dict[int, str] = {}
        self._metadata: dict[int, Json] = {}

    def record(self, number: int, created: dt.datetime) -> Record:
        """A new customer without events."""
        bits = self._bits(60)
        culture = WEIGHTED_CULTURES[(bits & 0x3FF) % len(WEIGHTED_CULTURES)]
        person = culture.people[(bits >> 10 & 0x3FFF) % len(culture.people)]
        email = _email(culture, person, number, bits >> 24 & 0x3F)
        fields: Json = {"name": person.name}
        if email is not None:
            fields["email"] = email
        if bits >> 30 & 7:
            fields["phone"] = f"{culture.phone}{self._bits(26):08d}"
        if bits >> 33 & 7:
            fields["birthdate"] = self._birthdate(bits >> 36 & _BIRTHDATE_COUNT - 1)
        has_address, bits = bits >> 48 & 15, bits >> 52
        if not bits & 31:
            fields["description"] = DESCRIPTIONS[number % len(DESCRIPTIONS)]
        more = self._bits(26)
        return Record(
            id=self._make_id("cust_"),
            source_id=_source_id(person, email, number, more & 0x3F),
            created=created,
            fields=fields,
            address=self._address(culture, more >> 6 & _ADDRESSES_PER_COUNTRY - 1) if has_address else None,
            metadata=self.metadata(more >> 16),
        )

    def metadata(self, number: int) -> Json:
        """Metadata of a customer. Equal numbers give equal metadata."""
        number %= 6 * len(EXTRA_METADATA)
        found = self._metadata.get(number)
        if found is None:
            tier, newsletter = TIERS[number % 3][0], number // 3 % 2 == 0
            found = self._metadata[number] = {
                "tier": tier,
                "newsletter": newsletter,
                **EXTRA_METADATA[number // 6],
            }
        return found

    def _address(self, culture: Culture, number: int) -> Json:
        key = (culture.country, number)
        found = self._addresses.get(key)
        if found is None:
            found = self._addresses[key] = culture.address(number)
        return found

    def _birthdate(self, number: int) -> str:
        found = self._birthdates.get(number)
        if found is None:
            date = _FIRST_BIRTHDATE + dt.timedelta(days=number * _DAYS_BETWEEN_BIRTHDATES)
            found = self._birthdates[number] = date.isoformat()
        return found


def _email(culture: Culture, person: Person, number: int, chance: int) -> str | None:
    """A unique e-mail address, or `None`."""
    match chance & 15:
        case 0:
            return None
        case 1 | 2 | 3 if not person.international.isascii():
            return f"{person.international}.{number}@{culture.domain}"
        case 4:
            return f"{person.handle}+club.{number}@{DOMAINS[0]}"
        case _:
            return f"{person.handle}.{number}@{DOMAINS[(chance >> 4) % len(DOMAINS)]}"


def _source_id(person: Person, email: str | None, number: int, chance: int) -> str | None:
    """A source id in one of the formats that shops use, some with spaces or special characters, or `None`."""
    match chance:
        case 0:
            return None
        case 1 | 2 | 3:
            return f"loyalty card {number}"
        case 4 | 5 | 6:
            return f"100%/{number}"
        case 7 | 8 | 9:
            return f"shop+web+{number}"
        case 10 | 11 | 12 | 13:
            return f"{person.name} {number}"
        case _:
            return email if email is not None and chance & 1 else f"crm/{number}"


def make_redeemable(store: Store, record: Record) -> Redeemable:
    """Create a discount voucher that the customer holds."""
    created = record.created + dt.timedelta(hours=1)
    discount: Json = {"type": "AMOUNT", "amount_off": 1000}
    return Redeemable(
        number=store.random.getrandbits(ID_BITS),
        created=created,
        customer_id=record.id,
        campaign=Campaign(store.make_id("camp_"), "Welcome", "DISCOUNT_COUPONS", created, discount),
        voucher=store.random.getrandbits(ID_BITS),
        discount=discount,
    )

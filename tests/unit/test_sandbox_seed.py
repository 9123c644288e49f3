"""The customers that a sandbox makes up."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import unicodedata
from collections import Counter
from typing import Any

import msgspec
import pytest

from voucherify_async.models.base import EPOCH
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._endpoints._event_data import event_json
from voucherify_async.sandbox._seed.names import CULTURES, WEIGHTED_CULTURES
from voucherify_async.sandbox._seed.seed import seed_customers
from voucherify_async.sandbox._seed.vouchers import Order, Product
from voucherify_async.sandbox._store.records import Record
from voucherify_async.sandbox._store.store import Changes, Store

GOLDEN = "bd7c18d76bac7a75ce11dd99e5d692872e58d5acab8c5ca5b3aa49fb88dcdcf5"
"""Of 200 customers with the seed 7: when these change on purpose, so does this."""

DIGEST = """
import hashlib
import msgspec
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._endpoints._event_data import event_json
digest = hashlib.sha256()
for record in Sandbox(200, seed=7).store.customers.values():
    held = [redeemable.to_json() for redeemable in record.redeemables]
    digest.update(msgspec.json.encode([record.to_json(), *map(event_json, record.activity), *held]))
print(digest.hexdigest())
"""


def seeded(count: int, seed: int = 7) -> list[Record]:
    return list(Sandbox(count, seed=seed).store.customers.values())


def shown(records: list[Record]) -> bytes:
    everything: list[Any] = []
    for record in records:
        everything += [record.to_json(), *map(event_json, record.activity)]
        everything += [held.to_json() for held in record.redeemables]
    return msgspec.json.encode(everything)


@pytest.fixture(scope="module")
def many() -> list[Record]:
    return seeded(3_000)


class TestTheSame:
    def test_for_the_same_seed(self) -> None:
        assert shown(seeded(100)) == shown(seeded(100))
        assert shown(seeded(100)) != shown(seeded(100, seed=8))

    def test_in_other_processes_and_on_other_days(self) -> None:
        # In a process of its own, strings have other hashes.
        done = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == GOLDEN
        parts = hashlib.sha256()
        for record in seeded(200):
            parts.update(shown([record]))
        assert parts.hexdigest() == GOLDEN

    def test_whatever_the_clock_says(self) -> None:
        stores = [Store(seed=1, clock=clock) for clock in (lambda: 0.0, lambda: 2e9)]
        for store in stores:
            seed_customers(store, 50)
        first, second = (shown(list(store.customers.values())) for store in stores)
        assert first == second

    def test_after_a_restart(self, many: list[Record]) -> None:
        again = msgspec.json.Decoder(list[Record]).decode(msgspec.json.encode(many[:200]))
        assert again == many[:200]
        assert shown(again) == shown(many[:200])

    def test_none_at_all(self) -> None:
        store = Store(seed=3)
        seed_customers(store, 0)
        assert not store.customers
        assert store.make_id("v-") == Store(seed=3).make_id("v-")

    def test_those_who_want_to_know_are_told(self) -> None:
        store = Store()
        store.changes = Changes()
        seed_customers(store, 5)
        assert set(store.changes.customers) == set(store.customers)


class TestWhoTheyAre:
    def test_each_is_another(self, many: list[Record]) -> None:
        emails = [record.fields["email"] for record in many if "email" in record.fields]
        source_ids = [record.source_id for record in many if record.source_id is not None]
        assert len(set(emails)) == len(emails)
        assert len(set(source_ids)) == len(source_ids)
        assert len({record.id for record in many}) == len(many)

    def test_they_live_all_over_the_world(self, many: list[Record]) -> None:
        scripts = {
            unicodedata.name(letter).split()[0]
            for record in many
            for letter in record.fields["name"]
            if letter.isalpha()
        }
        assert scripts >= {
            "LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "CJK", "HIRAGANA",
            "KATAKANA", "HANGUL",
        }  # fmt: skip
        for record in many[:300]:
            name = record.fields["name"]
            (culture,) = {culture for culture in CULTURES if any(who.name == name for who in culture.people)}
            if record.address is not None:
                assert record.address["country"] == culture.country
            assert record.fields.get("phone", culture.phone).startswith(culture.phone)

    def test_their_addresses_are_reserved_for_examples(self, many: list[Record]) -> None:
        domains = Counter(
            record.fields["email"].rpartition("@")[2] for record in many if "email" in record.fields
        )
        endings = {domain.removesuffix(".example.org") for domain in domains}
        assert endings >= {"example.com", "example.org", "example.net", "παράδειγμα", "пошта"}
        assert all(
            domain in {"example.com", "example.org", "example.net"} or domain.endswith(".example.org")
            for domain in domains
        )
        for domain in domains:
            domain.encode("idna")

    def test_texts_are_normal(self) -> None:
        for culture in CULTURES:
            text = repr((culture.country, culture.people, culture.cities, culture.streets))
            assert unicodedata.is_normalized("NFC", text)
            assert all(
                who.handle.replace(".", "").isalpha() and who.handle.isascii() for who in culture.people
            )
        assert set(WEIGHTED_CULTURES) == set(CULTURES)

    @pytest.mark.parametrize(
        "missing", ["email", "phone", "birthdate", "description"], ids=lambda name: f"without-{name}"
    )
    def test_some_lack_something(self, many: list[Record], missing: str) -> None:
        assert 0 < sum(missing in record.fields for record in many) < len(many)

    def test_some_have_no_address_or_source_id(self, many: list[Record]) -> None:
        assert 0 < sum(record.address is None for record in many) < 300
        assert 0 < sum(record.source_id is None for record in many) < 100

    @pytest.mark.parametrize("sign", ["/", "%", "+", " ", "@", "crm/"])
    def test_source_ids_are_of_many_kinds(self, many: list[Record], sign: str) -> None:
        assert sum(sign in (record.source_id or "") for record in many) > 20
        assert sum(not (record.source_id or "").isascii() for record in many) > 20

    def test_metadata_is_of_every_type(self, many: list[Record]) -> None:
        values = [value for record in many for value in (record.metadata or {}).values()]
        assert {type(value) for value in values} == {str, int, float, bool, list, type(None)}
        assert {(record.metadata or {}).get("tier") for record in many} == {"bronze", "silver", "gold"}
        assert any((record.address or {}).get("city") == "London" for record in seeded(30, seed=0))


class TestWhen:
    @pytest.mark.parametrize("count", [1, 2, 50, 3_000])
    def test_they_are_spread_over_two_years(self, count: int) -> None:
        created = [record.created for record in seeded(count)]
        assert created == sorted(created)
        assert created[0].year >= 2024
        assert created[-1].year <= 2025
        if count >= 50:
            assert (created[-1] - created[0]).days > 600

    def test_many_come_at_once(self, many: list[Record]) -> None:
        bursts = [size for size in Counter(record.created for record in many).values() if size > 1]
        assert len(bursts) > 10
        assert 20 < max(bursts) < 90

    def test_things_happen_one_after_the_other(self, many: list[Record]) -> None:
        for record in many:
            times = [event.at for event in record.activity]
            assert times == sorted(times)
            assert times[0] == record.created
            assert times[-1].year < 2026
            assert all(record.created <= held.created for held in record.redeemables)
            assert all(held.created.year < 2026 for held in record.redeemables)
            if record.updated is not None:
                assert record.updated in times
        assert 300 < sum(record.updated is not None for record in many) < 900


class TestSummaries:
    """What a customer's summaries say has happened."""

    def test_of_orders(self, many: list[Record]) -> None:
        for record in many:
            orders = {
                event.about.order.id: event.about.order
                for event in record.activity
                if event.kind == "customer.order.paid" and event.about.order is not None
            }
            for event in record.activity:
                if event.kind == "customer.order.canceled" and event.about.order is not None:
                    orders.pop(event.about.order.id, None)
            told = record.to_json()["summary"]["orders"]
            total = sum(order.amount - order.discount for order in orders.values())
            assert (told["total_count"], told["total_amount"]) == (len(orders), total)
            assert told["average_amount"] == (total // len(orders) if orders else 0)
            assert ("last_order_date" in told) == bool(orders)

    def test_of_redemptions(self, many: list[Record]) -> None:
        for record in many:
            kinds = Counter(event.kind.removeprefix("customer.redemption.") for event in record.activity)
            told = record.to_json()["summary"]["redemptions"]
            assert told["total_succeeded"] == told["total_redeemed"] == kinds["succeeded"]
            assert told["total_failed"] == kinds["failed"]
            assert (
                told["total_rolled_back"] == told["total_rollback_succeeded"] == kinds["rollback.succeeded"]
            )
            assert told["total_rollback_failed"] == kinds["rollback.failed"]
        assert sum(held.uses for record in many for held in record.redeemables) > 100

    def test_of_credits_and_points(self, many: list[Record]) -> None:
        with_points = 0
        for record in many:
            told = record.to_json()
            balances: Counter[str] = Counter()
            for held in record.redeemables:
                assert held.balance >= 0
                balances[held.voucher_type] += held.balance
            redemptions = told["summary"]["redemptions"]
            assert redemptions["gift"]["amount_to_go"] == balances["GIFT_VOUCHER"]
            assert redemptions["loyalty_card"]["points_to_go"] == balances["LOYALTY_CARD"]
            assert told["loyalty"]["points"] == balances["LOYALTY_CARD"]
            last = next((event for event in reversed(record.activity) if "loyalty_card" in event.kind), None)
            if last is not None and balances["LOYALTY_CARD"] and "pending" not in last.kind:
                spent = sum(
                    event.about.amount
                    for event in record.activity
                    if event.kind == "customer.reward_redemptions.created"
                ) + sum(
                    event.about.amount
                    for event in record.activity
                    if event.kind == "customer.reward_redemptions.rolledback"
                )
                assert told["loyalty"]["points"] in {last.about.balance, last.about.balance + spent}
                with_points += 1
        assert with_points > 100

    def test_of_referrals(self, many: list[Record]) -> None:
        by_id = {record.id: record for record in many}
        referred: Counter[str] = Counter()
        for record in many:
            told = record.to_json()["referrals"]
            happened = [event for event in record.activity if event.kind == "customer.referred"]
            assert told["total"] == len(told["campaigns"]) == len(happened) <= 1
            for source in told["campaigns"]:
                referred[source["referrer_id"]] += 1
                assert by_id[source["referrer_id"]].created <= record.activity[-1].at
        assert len(referred) > 10
        for record in many:
            assert record.to_json()["loyalty"]["referred_customers"] == referred[record.id]


class TestCampaigns:
    def test_they_are_shared(self, many: list[Record]) -> None:
        found = {event.campaign_id: event.campaign_type for record in many for event in record.activity}
        assert Counter(found.values()) == {
            None: 1,
            "DISCOUNT_COUPONS": 4,
            "GIFT_VOUCHERS": 1,
            "LOYALTY_PROGRAM": 1,
            "PROMOTION": 1,
            "REFERRAL_PROGRAM": 1,
        }
        held = {redeemable.campaign_id for record in many for redeemable in record.redeemables}
        assert held < set(found)

    def test_products_are_shared(self, many: list[Record]) -> None:
        assert len({event.product_id for record in many for event in record.activity}) == 1 + 6

    def test_kinds_of_redeemables(self, many: list[Record]) -> None:
        held = [redeemable for record in many for redeemable in record.redeemables]
        assert {(one.campaign_type, one.voucher_type) for one in held} == {
            (None, "DISCOUNT_VOUCHER"),
            ("DISCOUNT_COUPONS", "DISCOUNT_VOUCHER"),
            ("GIFT_VOUCHERS", "GIFT_VOUCHER"),
            ("LOYALTY_PROGRAM", "LOYALTY_CARD"),
            ("REFERRAL_PROGRAM", "DISCOUNT_VOUCHER"),
        }
        assert {one.holder_role for one in held} == {"OWNER", "REFERRER", "REFEREE"}
        assert {one.status for one in held} == {"ACTIVE", "USED", "NO_BALANCE"}
        assert len({one.id for one in held}) == len(held)
        codes = [one for one in held if one.campaign_type == "REFERRAL_PROGRAM"]
        assert len({one.redeemable_id for one in codes}) < len(codes)

    @pytest.mark.parametrize(
        ("discount", "worth"),
        [
            (None, 0),
            ({"type": "AMOUNT", "amount_off": 300}, 300),
            ({"type": "AMOUNT", "amount_off": 5000}, 2000),
            ({"type": "PERCENT", "percent_off": 15.0}, 300),
            ({"type": "FIXED", "fixed_amount": 990}, 1010),
            ({"type": "FIXED", "fixed_amount": 9900}, 0),
            ({"type": "UNIT", "unit_off": 1}, 0),
        ],
    )
    def test_what_a_discount_is_worth(self, discount: dict[str, Any] | None, worth: int) -> None:
        product = Product(id="prod_1", source_id="mug", name="Mug", price=1000)
        order = Order(number=1, created=EPOCH, product=product, quantity=2)
        assert order.amount_off(discount) == worth

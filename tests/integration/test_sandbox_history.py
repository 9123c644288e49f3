"""What has happened to the customers that a sandbox makes up, as a client sees it.

That every answer is as the documents say is checked for all tests.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from voucherify_async import FilterConditions, RedeemableFilters, VoucherifyClient
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._endpoints._event_data import event_json
from voucherify_async.sandbox._store.records import Record

NEVER = {
    "customer.deleted",  # whoever it happens to is there no more
    "customer.voucher.loyalty_card.points_activated",  # the documents do not say what it is about
}
NOT_ASKED_FOR = ("customer.holder.assignment.", "customer.voucher.loyalty_card.pending_points.")
"""Types that the documents know of, but not as a filter."""
CHANNELS = ("email", "sms", "braze", "klaviyo", "mailchimp", "intercom", "activecampaign", "shopify", "batch")
KINDS = sorted(
    {
        *(f"customer.{channel}.{fate}" for channel in CHANNELS for fate in ("sent", "recovered", "failed")),
        *(f"customer.{fate}" for fate in ("confirmed", "created", "updated", "referred", "custom_event")),
        *(f"customer.segment.{fate}" for fate in ("entered", "left")),
        *(f"customer.{what}" for what in ("rewarded", "rewarded.loyalty_points", "loyalty.updated")),
        *(f"customer.voucher.{what}" for what in ("deleted", "gift.balance_added")),
        *(f"customer.voucher.loyalty_card.points_{fate}" for fate in ("added", "transferred", "expired")),
        *(
            f"customer.voucher.loyalty_card.pending_points.{fate}"
            for fate in ("activated", "added", "canceled", "updated")
        ),
        *(f"customer.{what}.succeeded" for what in ("publication", "validation", "redemption")),
        *(f"customer.{what}.failed" for what in ("publication", "validation", "redemption")),
        *(f"customer.redemption.rollback.{fate}" for fate in ("succeeded", "failed")),
        *(
            f"customer.order.{fate}"
            for fate in ("canceled", "created", "fulfilled", "paid", "processing", "updated")
        ),
        *(
            f"customer.reward_redemptions.{fate}"
            for fate in ("created", "pending", "completed", "rolledback")
        ),
        *(
            f"customer.loyalty.tier.{fate}"
            for fate in ("upgraded", "downgraded", "prolonged", "expiration.changed", "joined", "left")
        ),
        *(f"customer.holder.assignment.{fate}" for fate in ("created", "deleted")),
    }
)

Seeded = tuple[Sandbox, VoucherifyClient]


@pytest.fixture(scope="module")
def filled() -> Sandbox:
    return Sandbox(1_500, seed=7)


@pytest.fixture
async def seeded(filled: Sandbox) -> AsyncIterator[Seeded]:
    async with filled, filled.client() as client:
        yield filled, client


def someone(sandbox: Sandbox, kind: str) -> Record:
    """A customer to whom such a thing has happened."""
    return next(
        record
        for record in sandbox.store.customers.values()
        if any(event.kind == kind for event in record.activity)
    )


async def test_every_type_of_event(seeded: Seeded) -> None:
    sandbox, client = seeded
    assert len(KINDS) == 74 - len(NEVER)
    happened = {event.kind for record in sandbox.store.customers.values() for event in record.activity}
    assert happened == set(KINDS)
    for kind in KINDS:
        record = someone(sandbox, kind)
        asked: dict[str, Any] = {} if kind.startswith(NOT_ASKED_FOR) else {"type": kind}
        found = await client.customers.list_activity(record.id, **asked).to_list()
        types = {event.type for event in found}
        assert types == {kind} if asked else kind in types
        assert all((event.data or {})["data"] for event in found)


async def test_each_filter_finds_what_it_asks_for(seeded: Seeded) -> None:
    sandbox, client = seeded
    record = someone(sandbox, "customer.rewarded.loyalty_points")
    points = next(event for event in record.activity if event.kind == "customer.rewarded.loyalty_points")
    assert points.campaign_id is not None

    async def found(**query: Any) -> list[str]:
        return [event.id for event in await client.customers.list_activity(record.id, **query).to_list()]

    everything = await found()
    assert everything == [event.id for event in reversed(record.activity)]
    of_campaign = await found(campaign_id=points.campaign_id)
    assert of_campaign == await found(campaign_type="LOYALTY_PROGRAM")
    assert points.id in of_campaign
    assert 0 < len(of_campaign) < len(everything)
    assert await found(campaign_type="PROMOTION", type="customer.created") == []
    actions, effects = await found(category="ACTION"), await found(category="EFFECT")
    assert points.id in effects
    assert len(actions) + len(effects) == len(everything)
    at_once = await found(start_date=points.at, end_date=points.at)
    assert points.id in at_once
    before = await found(end_date=points.at - dt.timedelta(milliseconds=1))
    after = await found(start_date=points.at + dt.timedelta(milliseconds=1))
    assert len(before) + len(at_once) + len(after) == len(everything)
    assert record.activity[0].id in before


async def test_the_deprecated_list_finds_products(seeded: Seeded) -> None:
    sandbox, client = seeded
    record = someone(sandbox, "customer.order.paid")
    product_id = next(event.product_id for event in record.activity if event.product_id is not None)
    answer: Any = await client.request(
        "GET",
        "/v1/customers/{id}/activities",
        path_params={"id": record.id},
        query={"product_id": product_id, "limit": 100},
    )
    wanted = [event.id for event in reversed(record.activity) if event.product_id == product_id]
    assert [event["id"] for event in answer.data["data"]] == wanted
    assert answer.data["total"] == len(wanted) > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("campaign_type", "DISCOUNT_COUPONS"),
        ("campaign_type", "GIFT_VOUCHERS"),
        ("campaign_type", "LOYALTY_PROGRAM"),
        ("campaign_type", "REFERRAL_PROGRAM"),
        ("voucher_type", "GIFT_VOUCHER"),
        ("voucher_type", "LOYALTY_CARD"),
        ("holder_role", "REFERRER"),
        ("holder_role", "REFEREE"),
        ("campaign_id", None),
    ],
)
async def test_every_kind_of_redeemable(seeded: Seeded, name: str, value: str | None) -> None:
    sandbox, client = seeded
    holders = [
        record
        for record in sandbox.store.customers.values()
        if any(getattr(held, name) == value for held in record.redeemables)
    ]
    asked = FilterConditions(is_unknown=True) if value is None else FilterConditions(is_=value)
    condition: dict[str, Any] = {name: asked}
    filters = RedeemableFilters(**condition)
    for record in holders[:5]:
        found = await client.customers.list_redeemables(record.id, filters=filters).to_list()
        wanted = sorted(held.id for held in record.redeemables if getattr(held, name) == value)
        assert [held.id for held in found] == wanted
        assert found[0].redeemable is not None
        assert found[0].redeemable.voucher is not None
        assert found[0].redeemable.voucher.campaign_id == found[0].campaign_id


async def test_lists_show_what_they_all_are(seeded: Seeded) -> None:
    _, client = seeded
    customers = await client.customers.list().to_list()
    assert len(customers) == 1_500
    assert {customer.summary is None for customer in customers} == {False}


def test_orders_cost_less_only_once_they_are_paid(filled: Sandbox) -> None:
    record = next(
        record
        for record in filled.store.customers.values()
        if any(event.about.order is not None and event.about.order.discount for event in record.activity)
    )
    discounts: dict[str, int] = {}
    for event in record.activity:
        order = event.about.order
        if event.kind in {"customer.order.created", "customer.order.paid"} and order and order.discount:
            shown = event_json(event)["data"]["data"]["order"]
            discounts[shown["status"]] = shown["total_discount_amount"]
            assert shown["total_amount"] == shown["amount"] - shown["total_discount_amount"]
    assert discounts["CREATED"] == 0
    assert discounts["PAID"] > 0

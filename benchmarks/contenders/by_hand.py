"""Written by hand: a session of aiohttp's and decoders of msgspec's, with the settings they come with.

The shortest code that does the jobs and is typed: no retry, no limit, no check, no error of its own.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import aiohttp
import msgspec

from benchmarks.contenders import APP_ID, APP_TOKEN, CUSTOMER_ID, AsyncContender, new_customer


class Address(msgspec.Struct, omit_defaults=True):
    city: str | None = None
    state: str | None = None
    line_1: str | None = None
    line_2: str | None = None
    country: str | None = None
    postal_code: str | None = None


class Gift(msgspec.Struct):
    redeemed_amount: int | None = None
    amount_to_go: int | None = None


class LoyaltyCard(msgspec.Struct):
    redeemed_points: int | None = None
    points_to_go: int | None = None


class Redemptions(msgspec.Struct):
    total_redeemed: int | None = None
    total_failed: int | None = None
    total_succeeded: int | None = None
    total_rolled_back: int | None = None
    total_rollback_failed: int | None = None
    total_rollback_succeeded: int | None = None
    gift: Gift | None = None
    loyalty_card: LoyaltyCard | None = None


class Orders(msgspec.Struct):
    total_amount: int | None = None
    total_count: int | None = None
    average_amount: int | None = None
    last_order_amount: int | None = None
    last_order_date: dt.datetime | None = None


class Summary(msgspec.Struct):
    redemptions: Redemptions | None = None
    orders: Orders | None = None


class LoyaltyCampaign(msgspec.Struct):
    points: int | None = None
    loyalty_tier: str | None = None
    referred_customers: int | None = None


class Loyalty(msgspec.Struct):
    points: int | None = None
    referred_customers: int | None = None
    campaigns: dict[str, LoyaltyCampaign | None] | None = None


class ReferralCampaign(msgspec.Struct):
    campaign_id: str | None = None
    referrer_id: str | None = None
    related_object_id: str | None = None
    related_object_type: str | None = None
    date: dt.datetime | None = None


class Referrals(msgspec.Struct):
    total: int | None = None
    campaigns: list[ReferralCampaign] | None = None


class Assets(msgspec.Struct):
    cockpit_url: str | None = None
    cockpit_preference_center_url: str | None = None


class Customer(msgspec.Struct):
    id: str
    source_id: str | None = None
    name: str | None = None
    description: str | None = None
    email: str | None = None
    phone: str | None = None
    birthday: dt.date | None = None
    birthdate: dt.date | None = None
    address: Address | None = None
    summary: Summary | None = None
    loyalty: Loyalty | None = None
    referrals: Referrals | None = None
    metadata: dict[str, Any] | None = None
    system_metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    assets: Assets | None = None
    object: str | None = None


class Customers(msgspec.Struct):
    customers: list[Customer]
    total: int | None = None
    has_more: bool | None = None


class Activity(msgspec.Struct):
    id: str
    type: str | None = None
    created_at: dt.datetime | None = None
    group_id: str | None = None
    data: dict[str, Any] | None = None


class Activities(msgspec.Struct):
    data: list[Activity]
    has_more: bool | None = None


class NewCustomer(msgspec.Struct, omit_defaults=True):
    source_id: str
    name: str | None = None
    email: str | None = None
    address: Address | None = None
    metadata: dict[str, Any] | None = None


class Contender(AsyncContender):
    async def start(self) -> None:
        self.encode = msgspec.json.Encoder().encode
        self.customer = msgspec.json.Decoder(Customer)
        self.customers = msgspec.json.Decoder(Customers)
        self.activities = msgspec.json.Decoder(Activities)
        headers = {"X-App-Id": APP_ID, "X-App-Token": APP_TOKEN, "Content-Type": "application/json"}
        self.http = aiohttp.ClientSession(self.base_url, headers=headers)

    async def stop(self) -> None:
        await self.http.close()

    async def create_one(self, number: int) -> None:
        fields = new_customer(number)
        customer = NewCustomer(
            source_id=fields["source_id"],
            name=fields["name"],
            email=fields["email"],
            address=Address(**fields["address"]),
            metadata=fields["metadata"],
        )
        async with self.http.post("/v1/customers", data=self.encode(customer)) as answer:
            answer.raise_for_status()
            assert self.customer.decode(await answer.read()).id

    async def count_customers(self) -> int:
        count = 0
        query = {"limit": "100", "order": "-created_at"}
        while True:
            async with self.http.get("/v1/customers", params=query) as answer:
                answer.raise_for_status()
                page = self.customers.decode(await answer.read())
            for _ in page.customers:
                count += 1
            last = page.customers[-1].created_at
            if not page.has_more or last is None:
                return count
            query["starting_after"] = last.isoformat()

    async def count_activity(self) -> int:
        count = 0
        query = {"limit": "100"}
        while True:
            async with self.http.get(f"/v1/customers/{CUSTOMER_ID}/activity", params=query) as answer:
                answer.raise_for_status()
                page = self.activities.decode(await answer.read())
            for activity in page.data:
                count += activity.type is not None
            if not page.has_more:
                return count
            query["starting_after_id"] = page.data[-1].id

"""Written by hand with httpx and pydantic, with the settings they come with."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
from pydantic import BaseModel

from benchmarks.contenders import APP_ID, APP_TOKEN, AsyncContender, new_customer


class Address(BaseModel):
    city: str | None = None
    state: str | None = None
    line_1: str | None = None
    line_2: str | None = None
    country: str | None = None
    postal_code: str | None = None


class Gift(BaseModel):
    redeemed_amount: int | None = None
    amount_to_go: int | None = None


class LoyaltyCard(BaseModel):
    redeemed_points: int | None = None
    points_to_go: int | None = None


class Redemptions(BaseModel):
    total_redeemed: int | None = None
    total_failed: int | None = None
    total_succeeded: int | None = None
    total_rolled_back: int | None = None
    total_rollback_failed: int | None = None
    total_rollback_succeeded: int | None = None
    gift: Gift | None = None
    loyalty_card: LoyaltyCard | None = None


class Orders(BaseModel):
    total_amount: int | None = None
    total_count: int | None = None
    average_amount: int | None = None
    last_order_amount: int | None = None
    last_order_date: dt.datetime | None = None


class Summary(BaseModel):
    redemptions: Redemptions | None = None
    orders: Orders | None = None


class LoyaltyCampaign(BaseModel):
    points: int | None = None
    loyalty_tier: str | None = None
    referred_customers: int | None = None


class Loyalty(BaseModel):
    points: int | None = None
    referred_customers: int | None = None
    campaigns: dict[str, LoyaltyCampaign | None] | None = None


class ReferralCampaign(BaseModel):
    campaign_id: str | None = None
    referrer_id: str | None = None
    related_object_id: str | None = None
    related_object_type: str | None = None
    date: dt.datetime | None = None


class Referrals(BaseModel):
    total: int | None = None
    campaigns: list[ReferralCampaign] | None = None


class Assets(BaseModel):
    cockpit_url: str | None = None
    cockpit_preference_center_url: str | None = None


class Customer(BaseModel):
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


class Customers(BaseModel):
    customers: list[Customer]
    total: int | None = None
    has_more: bool | None = None


class NewCustomer(BaseModel):
    source_id: str
    name: str | None = None
    email: str | None = None
    address: Address | None = None
    metadata: dict[str, Any] | None = None


class Contender(AsyncContender):
    async def start(self) -> None:
        headers = {"X-App-Id": APP_ID, "X-App-Token": APP_TOKEN, "Content-Type": "application/json"}
        # The pool's default timeout of 5 s is for what waits for a connection; a thousand calls at once wait.
        self.http = httpx.AsyncClient(base_url=self.base_url, headers=headers, timeout=httpx.Timeout(300.0))

    async def stop(self) -> None:
        await self.http.aclose()

    async def create_one(self, number: int) -> None:
        customer = NewCustomer(**new_customer(number))
        answer = await self.http.post("/v1/customers", content=customer.model_dump_json(exclude_unset=True))
        answer.raise_for_status()
        assert Customer.model_validate_json(answer.content).id

    async def count_customers(self) -> int:
        count = 0
        query = {"limit": "100", "order": "-created_at"}
        while True:
            answer = await self.http.get("/v1/customers", params=query)
            answer.raise_for_status()
            page = Customers.model_validate_json(answer.content)
            for _ in page.customers:
                count += 1
            last = page.customers[-1].created_at
            if not page.has_more or last is None:
                return count
            query["starting_after"] = last.isoformat()

"""This package, as it comes: with retries and the rate limiter, and without hooks."""

from __future__ import annotations

from benchmarks.contenders import APP_ID, APP_TOKEN, CUSTOMER_ID, AsyncContender, new_customer
from voucherify_async import VoucherifyClient


class Contender(AsyncContender):
    async def start(self) -> None:
        self.voucherify = VoucherifyClient(APP_ID, APP_TOKEN, base_url=self.base_url)

    async def stop(self) -> None:
        await self.voucherify.aclose()

    async def create_one(self, number: int) -> None:
        customer = await self.voucherify.customers.create(**new_customer(number))
        assert customer.id

    async def count_customers(self) -> int:
        count = 0
        async for _ in self.voucherify.customers.list():
            count += 1
        return count

    async def count_activity(self) -> int:
        count = 0
        async for activity in self.voucherify.customers.list_activity(CUSTOMER_ID):
            count += activity.type is not None
        return count

"""One `get` at a time: this package beside a hand-written call on aiohttp and msgspec.

The two take turns against one sandbox in this process, several rounds, and the ratio is the median of the
ratios of the rounds. The sandbox's own work is in both figures, so the ratio understates the difference.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec

from voucherify_async import Customer
from voucherify_async.sandbox import Sandbox

ROUNDS = 7
CALLS = 300


async def seconds(call: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        await call()
    return time.perf_counter() - started


async def main() -> None:
    decoder = msgspec.json.Decoder(Customer[dict[str, Any]])
    async with Sandbox() as sandbox, sandbox.client() as voucherify:
        await voucherify.customers.create(source_id="crm-1", name="Ada")
        headers = {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token}
        async with aiohttp.ClientSession(sandbox.base_url, headers=headers) as http:

            async def by_hand() -> Customer:
                async with http.get("/v1/customers/crm-1") as answer:
                    return decoder.decode(await answer.read())

            async def ours() -> Customer:
                return await voucherify.customers.get("crm-1")

            await seconds(by_hand)
            await seconds(ours)
            rounds = [(await seconds(ours), await seconds(by_hand)) for _ in range(ROUNDS)]
    ratios = sorted(mine / theirs for mine, theirs in rounds)
    print(f"{'microseconds a call':<22}{'this package':>14}{'by hand':>10}{'ratio':>8}")
    mine, theirs = (statistics.median(column) / CALLS * 1e6 for column in zip(*rounds, strict=True))
    print(f"{'get, one at a time':<22}{mine:>14.0f}{theirs:>10.0f}{statistics.median(ratios):>8.2f}")
    print(f"ratios of the rounds: {ratios[0]:.2f} to {ratios[-1]:.2f}")


if __name__ == "__main__":
    asyncio.run(main())

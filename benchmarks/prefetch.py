"""Customers read with pages fetched ahead, beside the plain walk, by a consumer that takes its time.

    python -m benchmarks.prefetch

The server takes 50 ms an answer, and the consumer 50 ms a page. A walk takes the sum of the two, and one that
fetches ahead no more than the longer one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from benchmarks.contenders import APP_ID, APP_TOKEN
from benchmarks.rounds import Ratio, ratio, server
from voucherify_async import VoucherifyClient

LATENCY = 0.05
PAGE_SECONDS = 0.05
PAGE_SIZE = 100

Opened = AbstractAsyncContextManager[AsyncIterable[Any]]


def plain(voucherify: VoucherifyClient) -> Opened:
    return nullcontext(voucherify.customers.list(limit=PAGE_SIZE))


def ahead(voucherify: VoucherifyClient) -> Opened:
    return voucherify.customers.list(limit=PAGE_SIZE).prefetch()


async def seconds(walk: Callable[[VoucherifyClient], Opened], base_url: str, customers: int) -> float:
    async with VoucherifyClient(APP_ID, APP_TOKEN, base_url=base_url) as voucherify:
        began, count = time.perf_counter(), 0
        async with walk(voucherify) as items:
            async for _ in items:
                count += 1
                if count % PAGE_SIZE == 0:
                    await asyncio.sleep(PAGE_SECONDS)
        assert count == customers
        return time.perf_counter() - began


def compare(customers: int, rounds: int) -> tuple[Ratio, float, float]:
    """How many times as fast it is to fetch ahead, and the seconds of both in the last round."""
    ratios: list[float] = []
    slow = fast = 0.0
    with server(customers=customers, latency=LATENCY) as base_url:
        for _ in range(rounds):
            slow = asyncio.run(seconds(plain, base_url, customers))
            fast = asyncio.run(seconds(ahead, base_url, customers))
            ratios.append(slow / fast)
    return ratio(ratios), slow, fast


if __name__ == "__main__":
    faster, slow, fast = compare(2_000, rounds=3)
    print(f"walk {slow:.2f} s, fetched ahead {fast:.2f} s: {faster.median:.2f} times as fast")

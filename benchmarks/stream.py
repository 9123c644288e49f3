"""Customers read in many windows at once, beside the plain walk, and how much memory a long stream needs.

    python -m benchmarks.stream

For the comparison the server takes 50 ms an answer. Of a long stream and a short one, each in a process of its
own, it is the most memory that each has had.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import time
from collections.abc import Awaitable, Callable

from benchmarks.contenders import APP_ID, APP_TOKEN
from benchmarks.rounds import Ratio, ratio, server
from voucherify_async import VoucherifyClient

LATENCY = 0.05
CONCURRENCY = 16

Walk = Callable[[VoucherifyClient], Awaitable[int]]


async def plain(voucherify: VoucherifyClient) -> int:
    count = 0
    async for _ in voucherify.customers.list():
        count += 1
    return count


async def streamed(voucherify: VoucherifyClient) -> int:
    count = 0
    async with voucherify.customers.stream(concurrency=CONCURRENCY) as customers:
        async for _ in customers:
            count += 1
    return count


async def seconds(walk: Walk, base_url: str, customers: int) -> float:
    async with VoucherifyClient(APP_ID, APP_TOKEN, base_url=base_url) as voucherify:
        began = time.perf_counter()
        assert await walk(voucherify) == customers
        return time.perf_counter() - began


def compare(customers: int, rounds: int) -> tuple[Ratio, float, float]:
    """How many times as fast a stream is as a walk, and the seconds of both in the last round."""
    ratios: list[float] = []
    slow = fast = 0.0
    with server(customers=customers, latency=LATENCY, even=False) as base_url:
        for _ in range(rounds):
            slow = asyncio.run(seconds(plain, base_url, customers))
            fast = asyncio.run(seconds(streamed, base_url, customers))
            ratios.append(slow / fast)
    return ratio(ratios), slow, fast


def peak(customers: int) -> float:
    """MB that a process has needed at most to stream so many customers."""
    with server(customers=customers, even=False) as base_url:
        asyncio.run(seconds(streamed, base_url, customers))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peaks(*counts: int) -> list[float]:
    """The peaks of streams, each in a new process."""
    found: list[float] = []
    for count in counts:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            found.append(process.apply(peak, (count,)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--long", type=int, default=1_000_000)
    options = parser.parse_args()
    faster, slow, fast = compare(options.customers, rounds=1)
    print(f"walk {slow:.1f} s, {CONCURRENCY} windows at once {fast:.1f} s: {faster.median:.1f} times as fast")
    few, many = peaks(10_000, options.long)
    print(f"memory for {options.long:,} customers: {many - few:+.1f} MB beside that for 10,000")


if __name__ == "__main__":
    main()

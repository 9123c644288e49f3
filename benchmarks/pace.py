"""Calls at a rate limit, beside the least time that the limit leaves room for.

    python -m benchmarks.pace

A sandbox allows 300 calls a minute, for a client that has 600 to make: the limit at once, and as many a minute
later. Nothing is simulated, so it takes a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from benchmarks.rounds import Ratio, ratio
from voucherify_async import VoucherifyClient
from voucherify_async.sandbox import Quota, Sandbox

LIMIT = 300
CALLS = 2 * LIMIT
LEAST_SECONDS = 60.0
CONCURRENCY = 20


async def create(voucherify: VoucherifyClient, numbers: Iterator[int]) -> None:
    for number in numbers:
        await voucherify.customers.create(source_id=f"crm-{number}")


async def seconds(*, fixed: bool) -> float:
    """Seconds for all calls, with a window that slides or begins anew each minute."""
    async with Sandbox(rate_limit=Quota(LIMIT, fixed=fixed)) as sandbox, sandbox.client() as voucherify:
        began, numbers = time.perf_counter(), iter(range(CALLS))
        async with asyncio.TaskGroup() as workers:
            for _ in range(CONCURRENCY):
                workers.create_task(create(voucherify, numbers))
        assert len(sandbox.store.customers) == CALLS
        return time.perf_counter() - began


async def both() -> tuple[float, float]:
    return await asyncio.gather(seconds(fixed=False), seconds(fixed=True))


def compare() -> tuple[Ratio, tuple[float, float]]:
    """How many times the least they take, and the seconds with a window that slides and one that does not."""
    found = asyncio.run(both())
    return ratio([one / LEAST_SECONDS for one in found]), found


if __name__ == "__main__":
    times_the_least, (sliding, fixed) = compare()
    print(f"sliding {sliding:.1f} s, fixed {fixed:.1f} s: {times_the_least.median:.2f} times the least")

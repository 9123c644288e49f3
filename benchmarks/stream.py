"""Customers read in many windows at once, beside the plain walk, against one server in a process of its own.

    python -m benchmarks.stream

The server takes 50 ms an answer. What is compared are the seconds that a walk and a stream of 100,000
customers take in one run; of a long stream, how much the memory of this process has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from voucherify_async import VoucherifyClient


@contextmanager
def service(customers: int, latency: float) -> Generator[str]:
    command = [sys.executable, "-m", "benchmarks.canned", f"--customers={customers}", f"--latency={latency}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def plain(voucherify: VoucherifyClient) -> int:
    count = 0
    async for _ in voucherify.customers.list():
        count += 1
    return count


async def streamed(voucherify: VoucherifyClient, concurrency: int) -> int:
    count = 0
    async with voucherify.customers.stream(concurrency=concurrency) as customers:
        async for _ in customers:
            count += 1
    return count


async def compare(customers: int, concurrency: int) -> float:
    """How many times as fast a stream is as a walk."""
    with service(customers, latency=0.05) as base_url:
        async with VoucherifyClient("app-id", "app-token", base_url=base_url) as voucherify:
            seconds: list[float] = []
            for name, walk in (("plain", plain(voucherify)), ("stream", streamed(voucherify, concurrency))):
                began, used = time.perf_counter(), cpu()
                count = await walk
                seconds.append(time.perf_counter() - began)
                print(f"{name:<8}{count:>9,} customers{seconds[-1]:>8.2f} s{cpu() - used:>8.2f} s of CPU")
                assert count == customers
    return seconds[0] / seconds[1]


async def grow(customers: int) -> float:
    """MB by which a long stream makes this process larger than a short one has."""
    peaks: list[int] = []
    for count in (customers // 100, customers):
        with service(count, latency=0.0) as base_url:
            async with VoucherifyClient("app-id", "app-token", base_url=base_url) as voucherify:
                assert await streamed(voucherify, 16) == count
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return (peaks[1] - peaks[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--long", type=int, default=1_000_000)
    options = parser.parse_args()
    ratio = asyncio.run(compare(options.customers, concurrency=16))
    print(f"16 windows at once: {ratio:.1f} times as fast")
    if options.long:
        print(f"memory for {options.long:,} customers: {asyncio.run(grow(options.long)):+.1f} MB")


if __name__ == "__main__":
    main()

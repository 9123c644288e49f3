"""Customers put into a sandbox by a sync job, beside one creation for each, against one process of its own.

    python -m benchmarks.sync

The sandbox's jobs take 200 ms, and 10 microseconds an item; its answers take 50 ms longer than they need, as
over a network, unless `--latency` says otherwise. What is compared are the seconds that a sync and
100 tasks that create customers take for the same 100,000, in one run, and the requests that they make; of a
long sync with a state, how much memory this process has used at most, and how fast it finds nothing to do when
it is made again.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voucherify_async import RequestEvent, VoucherifyClient

JOB_SECONDS = 0.2
JOB_SECONDS_PER_ITEM = 0.000_01


class Counter:
    """A hook that counts requests."""

    def __init__(self) -> None:
        self.requests = 0

    def on_request(self, event: RequestEvent) -> None:
        del event
        self.requests += 1


@contextmanager
def sandbox(latency: float) -> Generator[dict[str, Any]]:
    command = [
        sys.executable, "-m", "voucherify_async.sandbox", "--port=0", f"--job-seconds={JOB_SECONDS}",
        f"--job-seconds-per-item={JOB_SECONDS_PER_ITEM}", f"--latency={latency}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            exports = (line.split("VOUCHERIFY_")[1] for line in process.stdout if "VOUCHERIFY_" in line)
            settings = dict(line.strip().split("=") for line in itertools.islice(exports, 3))
            yield {name.lower(): value for name, value in settings.items()}
        finally:
            process.kill()


def customers(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "source_id": f"crm-{number}",
            "name": "Ada Lovelace",
            "email": f"ada.{number}@example.com",
            "metadata": {"tier": "gold", "visits": number},
        }


async def sync(voucherify: VoucherifyClient, count: int, state: Path | None = None) -> None:
    report = await voucherify.customers.sync(customers(count), state=state)
    assert report.succeeded == count


async def create(voucherify: VoucherifyClient, count: int) -> None:
    todo = customers(count)

    async def work() -> None:
        for customer in todo:
            await voucherify.customers.create(**customer)

    async with asyncio.TaskGroup() as workers:
        for _ in range(100):
            workers.create_task(work())


async def compare(count: int, latency: float) -> None:
    seconds: list[float] = []
    requests: list[int] = []
    for name, job in (("sync", sync), ("create", create)):
        counter = Counter()
        with sandbox(latency) as settings:
            async with VoucherifyClient(**settings, hooks=[counter]) as voucherify:
                began = time.perf_counter()
                await job(voucherify, count)
                seconds.append(time.perf_counter() - began)
        requests.append(counter.requests)
        print(f"{name:<8}{count:>9,} customers{seconds[-1]:>8.2f} s{counter.requests:>9,} requests")
    print(
        f"sync: {seconds[1] / seconds[0]:.1f} times as fast, {requests[0] / requests[1]:.3%} of the requests"
    )


async def measure(count: int) -> None:
    with sandbox(latency=0.0) as settings, tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state.sqlite"
        async with VoucherifyClient(**settings) as voucherify:
            await sync(voucherify, count, state=state)
            print(f"memory for {count:,} customers: {peak():.1f} MB at most")
            began = time.process_time()
            report = await voucherify.customers.sync(customers(count), state=state)
            seconds = time.process_time() - began
        size = state.stat().st_size
    assert report.unchanged == count
    print(
        f"again, unchanged: {count / seconds:,.0f} customers a CPU second, {peak():.1f} MB at most,"
        f" a state of {size / 1e6:.1f} MB"
    )


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--long", type=int, default=1_000_000)
    parser.add_argument("--latency", type=float, default=0.05)
    options = parser.parse_args()
    asyncio.run(measure(options.long))  # first: a process never gets smaller
    asyncio.run(compare(options.customers, options.latency))


if __name__ == "__main__":
    main()

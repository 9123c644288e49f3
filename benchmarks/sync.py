"""Customers put into a sandbox by a sync job, beside one creation for each, against one process of its own.

    python -m benchmarks.sync

At first, jobs take 5 s for 8,000 customers, and run at once: what is compared is how long a sync takes, and how long
its jobs take by themselves, divided by how many may be open. After that, the sandbox's jobs take 200 ms, and 10 microseconds an item; its answers take 50 ms longer than they need, as
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

LONG_JOB_SECONDS = 5.0
LONG_JOB_ITEMS = 8_000
CONCURRENCY = 4
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
def sandbox(
    latency: float,
    *,
    job_seconds: float = JOB_SECONDS,
    job_seconds_per_item: float = JOB_SECONDS_PER_ITEM,
    parallel: bool = False,
) -> Generator[dict[str, Any]]:
    command = [
        sys.executable, "-m", "voucherify_async.sandbox", "--port=0", f"--job-seconds={job_seconds}",
        f"--job-seconds-per-item={job_seconds_per_item}", f"--latency={latency}",
        *(["--parallel-jobs"] if parallel else []),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            exports = (line.split("VOUCHERIFY_")[1] for line in process.stdout if "VOUCHERIFY_" in line)
            settings = dict(line.strip().split("=") for line in itertools.islice(exports, 3))
            yield {name.lower(): value for name, value in settings.items()}
        finally:
            process.kill()


def customers(count: int, name: str = "Ada Lovelace") -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "source_id": f"crm-{number}",
            "name": name,
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


async def wait_for_jobs(count: int, latency: float) -> None:
    """100,000 customers that the service has, changed."""
    with (
        sandbox(
            latency, job_seconds=0, job_seconds_per_item=LONG_JOB_SECONDS / LONG_JOB_ITEMS, parallel=True
        ) as settings,
        tempfile.TemporaryDirectory() as folder,
    ):
        options: Any = {"max_body_items": LONG_JOB_ITEMS, "state": Path(folder) / "state.sqlite"}
        async with VoucherifyClient(**settings) as voucherify:
            await voucherify.customers.sync(customers(count), concurrency=CONCURRENCY, **options)
            began = time.perf_counter()
            report = await voucherify.customers.sync(
                customers(count, "Ada King"), concurrency=CONCURRENCY, **options
            )
            seconds = time.perf_counter() - began
    assert report.succeeded == count
    full, rest = divmod(count, LONG_JOB_ITEMS * CONCURRENCY)
    least = LONG_JOB_SECONDS * (full + min(rest / LONG_JOB_ITEMS, 1))
    shared = LONG_JOB_SECONDS * count / LONG_JOB_ITEMS / CONCURRENCY
    print(
        f"{count:,} changed in {len(report.jobs)} jobs of {LONG_JOB_SECONDS} s, {CONCURRENCY} at once: {seconds:.2f} s,"
        f" {seconds / least:.3f} times the least that they can take, {seconds / shared:.3f} times their share"
    )


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--long", type=int, default=1_000_000)
    parser.add_argument("--latency", type=float, default=0.05)
    options = parser.parse_args()
    asyncio.run(wait_for_jobs(options.customers, options.latency))
    asyncio.run(measure(options.long))  # first: a process never gets smaller
    asyncio.run(compare(options.customers, options.latency))


if __name__ == "__main__":
    main()

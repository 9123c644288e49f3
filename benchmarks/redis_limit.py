"""Calls of several processes at one rate limit that they share through Redis.

    python -m benchmarks.redis_limit            two minutes and a half for each run at the limit: the limit of a minute
    python -m benchmarks.redis_limit --short    windows of six seconds in place of a minute

Four processes with ten tasks each call a sandbox that allows 600 calls a window, as many as they can for two windows
and a half. The limit at once, and again when a window is over, is three times the limit: that is what is there to be
used. Then the same, with one process killed half-way through the calls. Then an export at low priority in one process, beside calls in
another that need two fifths of the limit. `redis-server` must be installed; it is started on a free port.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import math
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from redis.asyncio import Redis

from benchmarks.bars import Bar, Row, far_off, table
from benchmarks.rounds import ratio
from voucherify_async import RateLimit, RateLimiter, VoucherifyClient
from voucherify_async.redis import RedisRateLimiter
from voucherify_async.sandbox import Quota, Sandbox

LIMIT: Final = 600
PROCESSES: Final = 4
CONCURRENCY: Final = 10
WINDOWS: Final = 2.5
INTERACTIVE: Final = 0.4
"""The part of the limit that interactive calls need."""
ACQUISITIONS: Final = 3_000


@contextmanager
def redis_server() -> Generator[str]:
    """A Redis server of its own; its URL."""
    with socket.socket() as found, tempfile.TemporaryDirectory() as folder:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        found.close()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                assert any("Ready to accept connections" in line for line in process.stdout)
                yield f"redis://127.0.0.1:{port}"
            finally:
                process.kill()


class Measured:
    """A limiter that records how long each acquisition took."""

    def __init__(self, limiter: RateLimiter) -> None:
        self.limiter = limiter
        self.seconds: list[float] = []

    async def acquire(self, kind: str, max_wait: float, /) -> float | None:
        del max_wait  # the wait is measured, so it is in one piece
        began = time.perf_counter()
        acquired: Any = self.limiter.acquire(kind, math.inf)
        wait: float | None = await acquired
        self.seconds.append(time.perf_counter() - began)
        return wait

    def release(self, kind: str, rate_limit: RateLimit | None, wait: float | None, /) -> None:
        self.limiter.release(kind, rate_limit, wait)


async def work(job: str, url: str, period: float, *sandbox: str) -> None:
    """What a process does: `all` or `export` without an end, `interactive` for so many windows."""
    base_url, app_id, token = sandbox
    async with RedisRateLimiter(url, limit=LIMIT, period=period) as shared:
        limiter = Measured(shared.low_priority() if job == "export" else shared)
        settings: Any = {"base_url": base_url, "rate_limiter": shared if job == "all" else limiter}
        async with VoucherifyClient(app_id, token, **settings) as voucherify:
            if job == "interactive":
                await interact(voucherify, period)
                print(statistics.quantiles(limiter.seconds, n=100)[98])
                return
            async with asyncio.TaskGroup() as tasks:
                for _ in range(CONCURRENCY):
                    tasks.create_task(call_on(voucherify))


async def call_on(voucherify: VoucherifyClient) -> None:
    while True:
        await voucherify.customers.list(limit=1)


async def interact(voucherify: VoucherifyClient, period: float) -> None:
    chance, until = random.Random(7), time.perf_counter() + WINDOWS * period
    async with asyncio.TaskGroup() as tasks:
        while time.perf_counter() < until:
            tasks.create_task(await_page(voucherify))
            await asyncio.sleep(chance.expovariate(INTERACTIVE * LIMIT / period))


async def await_page(voucherify: VoucherifyClient) -> None:
    await voucherify.customers.list(limit=1)


@asynccontextmanager
async def processes(
    sandbox: Sandbox, period: float, *jobs: str
) -> AsyncGenerator[list[asyncio.subprocess.Process]]:
    """A Redis server, and a process for each job."""
    with redis_server() as url:
        settings = url, str(period), sandbox.base_url, sandbox.app_id, sandbox.app_token
        command = sys.executable, "-m", "benchmarks.redis_limit", "--work"
        started = [
            await asyncio.create_subprocess_exec(*command, job, *settings, stdout=subprocess.PIPE)
            for job in jobs
        ]
        try:
            yield started
        finally:
            for process in started:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


async def at_the_limit(period: float, *, killed: bool, fixed: bool = False) -> tuple[float, float]:
    """Which part of the limit was used, and which part of the requests got 429."""
    async with Sandbox(rate_limit=Quota(LIMIT, period, fixed=fixed)) as sandbox:
        statuses: list[int] = []
        async with processes(sandbox, period, *["all"] * PROCESSES) as started:
            while not sandbox.requests:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            began = time.perf_counter()
            if killed:
                while len(sandbox.requests) < LIMIT * 1.5:  # noqa: ASYNC110  # its permits are in use then
                    await asyncio.sleep(0.001)
                started[0].kill()
            await asyncio.sleep(began + WINDOWS * period - time.perf_counter())
            statuses += [exchange.status for exchange in sandbox.requests]
    admitted = sum(status == 200 for status in statuses)
    return admitted / (LIMIT * math.ceil(WINDOWS)), statuses.count(429) / len(statuses)


async def beside_an_export(period: float) -> tuple[float, float]:
    """Seconds that interactive calls waited at the 99th percentile, and which part of the limit the export used."""
    async with Sandbox(rate_limit=Quota(LIMIT, period)) as sandbox:
        async with processes(sandbox, period, "export", "interactive") as (_, interactive):
            out, _ = await interactive.communicate()
        used = len(sandbox.requests) / (LIMIT * math.ceil(WINDOWS))
        return float(out), used


async def cpu() -> tuple[float, float]:
    """Seconds of CPU for an acquisition with its release, and for one call of a script that does nothing."""
    with redis_server() as url:
        async with (
            RedisRateLimiter(url, limit=10 * ACQUISITIONS, period=60) as limiter,
            Redis(port=int(url.rpartition(":")[2])) as client,
        ):
            ours: list[float] = []
            theirs: list[float] = []
            digest = await client.script_load("return {1, 2, 3, 4}")
            arguments = [str(number) for number in range(16)]
            for _ in range(5):
                began = time.process_time()
                for _ in range(ACQUISITIONS):
                    assert await limiter.acquire("api_calls", math.inf) is None
                    limiter.release("api_calls", RateLimit(limit=LIMIT, remaining=LIMIT), None)
                ours.append((time.process_time() - began) / ACQUISITIONS)
                began = time.process_time()
                for _ in range(ACQUISITIONS):
                    await client.evalsha(digest, 5, *"abcde", *arguments)
                theirs.append((time.process_time() - began) / ACQUISITIONS)
                await client.delete("{voucherify}:api_calls:permits")
            return statistics.median(ours), statistics.median(theirs)


def rows(period: float) -> list[Row]:
    """The rows of the table."""
    found: list[Row] = []

    def add(what: str, value: float, bar: Bar, details: str = "") -> None:
        found.append(Row(what=what, found=ratio([value]), bar=bar, details=details))
        print(table(found[-1:]).splitlines()[-1], file=sys.stderr)

    window = f"{LIMIT} calls in {period:g} s"
    for killed, fixed in itertools.product((False, True), (False, True)):
        used, refused = asyncio.run(at_the_limit(period, killed=killed, fixed=fixed))
        name = f"{PROCESSES} processes{', one of them killed' * killed}, a {'fixed' if fixed else 'sliding'} window"
        add(f"{name}: part of the limit used", used, Bar(value=0.97, least=True), window)
        add(f"{name}: percent of requests with 429", refused * 100, Bar(value=1.0), window)
    ours, theirs = asyncio.run(cpu())
    details = f"CPU {ours * 1e6:.0f} µs, {theirs * 1e6:.0f} µs"
    add("acquire and release: CPU / one script call", ours / theirs, Bar(value=2.25), details)
    seconds, used = asyncio.run(beside_an_export(period))
    details = f"{window}, of which {used:.0%} were used"
    add(
        "calls beside an export at low priority: p99 of the wait in ms",
        seconds * 1e3,
        Bar(value=100.0),
        details,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--work", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        job, url, period, *sandbox = options.work
        logging.getLogger("voucherify_async").setLevel(logging.ERROR)  # it warns of waits
        asyncio.run(work(job, url, float(period), *sandbox))
        return
    found = rows(6.0 if options.short else 60.0)
    print(table(found))
    if options.short and (failed := far_off(found)):
        sys.exit(f"\nwell outside the bar:\n{table(failed)}")


if __name__ == "__main__":
    main()

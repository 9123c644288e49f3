"""Clocks for tests whose waits take no time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from voucherify_async import VoucherifyClient
from voucherify_async._transport.clock import Clock
from voucherify_async.sandbox import Sandbox


@dataclass
class SetClock:
    """Epoch seconds, as they are set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


_Sleeper = tuple[float, int, "asyncio.Future[None]"]


@dataclass
class SkippingClock:
    """The event loop's time, out of which the time is cut in which everybody sleeps.

    While requests are under way it runs with the loop; once none is, it jumps to where the first sleeper wants to
    be woken.
    """

    is_busy: Callable[[], bool]
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    epoch_offset: float = field(default_factory=lambda: time.time() - asyncio.get_running_loop().time())
    skipped: float = 0.0
    sleepers: list[_Sleeper] = field(default_factory=list[_Sleeper])
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def monotonic(self) -> float:
        return self.loop.time() + self.skipped

    def epoch(self) -> float:
        return self.monotonic() + self.epoch_offset

    async def sleep(self, seconds: float) -> None:
        sleeper = (self.monotonic() + seconds, next(self.numbers), asyncio.get_running_loop().create_future())
        heapq.heappush(self.sleepers, sleeper)
        await sleeper[2]

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.0005)
            if self.sleepers and not self.is_busy():
                self.skipped += max(0.0, self.sleepers[0][0] - self.monotonic())
            while self.sleepers and self.sleepers[0][0] <= self.monotonic():
                _, _, future = heapq.heappop(self.sleepers)
                if not future.done():
                    future.set_result(None)

    def set(self, clock: Clock) -> None:
        """Have a part of the client go by this clock."""
        clock.monotonic, clock.epoch, clock.sleep = self.monotonic, self.epoch, self.sleep


@asynccontextmanager
async def skipping_clock(
    client: VoucherifyClient, sandbox: Sandbox | None = None
) -> AsyncGenerator[SkippingClock]:
    """Let a client, and a sandbox, go by one such clock."""
    pool = client._sessions.pool  # pyright: ignore[reportPrivateUsage]
    exchange, under_way = pool.exchange, 0

    async def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal under_way
        under_way += 1
        try:
            return await exchange(*args, **kwargs)
        finally:
            under_way -= 1

    clock = SkippingClock(lambda: under_way > 0)
    clock.set(pool.clock)
    if sandbox is not None:
        sandbox.store.clock = clock.epoch
    runner = asyncio.create_task(clock.run())
    try:
        with patch.object(pool, "exchange", counted):
            yield clock
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)

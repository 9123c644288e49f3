"""The clock of tests: time passes when a test says so, or when something sleeps."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final
from unittest.mock import patch

from tests.support.loops import loop_time
from voucherify_async import VoucherifyClient
from voucherify_async._transport.clock import Clock
from voucherify_async.sandbox import Sandbox

NOW: Final = 1_767_225_600
"""The time at which a fake clock starts: 2026-01-01T00:00:00Z."""


class FakeClock(Clock):
    """A clock that stands still until `now` is set or something sleeps; a sleep takes no real time.

    It is also a function that returns `now`, which is what the sandbox takes for a clock.

    Attributes:
        now: The time, monotonic and since 1970, in seconds.
        slept: The seconds of all sleeps, in the order in which they began.
        asleep: When each of the current sleeps ends.
        held: Whether sleeps last until `wake_next` or `release` is called.
    """

    def __init__(
        self, now: float = NOW, *, jitter: float = 1.0, step: float = 0.0, held: bool = False
    ) -> None:
        """Create a clock.

        Args:
            now: The time to start at.
            jitter: What `random` returns.
            step: The seconds that pass each time somebody reads the clock.
            held: Whether sleeps last until they are ended.
        """
        super().__init__(monotonic=self, epoch=self, sleep=self._sleep, random=lambda: jitter)
        self.now = now
        self.slept: list[float] = []
        self.asleep: dict[asyncio.Future[None], float] = {}
        self.held = held
        self._step = step

    def __call__(self) -> float:
        now = self.now
        self.now += self._step
        return now

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        loop = asyncio.get_running_loop()
        sleeper = loop.create_future()
        # A sleep that is too short for a float still takes time, so that a loop of such sleeps ends.
        shortest = math.nextafter(self.now, math.inf) if seconds > 0 else self.now
        self.asleep[sleeper] = max(self.now + seconds, shortest)
        if not self.held:
            loop.call_soon(self.wake_next)
        try:
            await sleeper
        finally:
            del self.asleep[sleeper]

    def wake_next(self) -> None:
        """Advance to the end of the sleep that ends first, and end it."""
        ends = {sleeper: end for sleeper, end in self.asleep.items() if not sleeper.done()}
        if ends:
            self.now = max(self.now, min(ends.values()))
        for sleeper, end in ends.items():
            if end <= self.now:
                sleeper.set_result(None)

    def release(self) -> None:
        """End the current sleeps, one after the other; later ones end by themselves."""
        self.held = False
        for _ in range(len(self.asleep)):
            self.wake_next()


def use_clock(
    client: VoucherifyClient, clock: FakeClock | None = None, sandbox: Sandbox | None = None
) -> FakeClock:
    """Replace the clock of a client, its rate limiter included, and that of a sandbox; return the new clock.

    A client has no setting for its clock, because only tests need one.
    """
    clock = clock or FakeClock()
    replaced = client._sessions.clock  # pyright: ignore[reportPrivateUsage]
    replaced.monotonic, replaced.epoch = clock.monotonic, clock.epoch
    replaced.sleep, replaced.random = clock.sleep, clock.random
    if sandbox is not None:
        sandbox.store.clock = clock
    return clock


def use_loop_time(client: VoucherifyClient) -> None:
    """Let a client measure time by the running event loop, which its timers go by."""
    client._sessions.clock.monotonic = loop_time  # pyright: ignore[reportPrivateUsage]


@asynccontextmanager
async def skipping_clock(
    client: VoucherifyClient, sandbox: Sandbox | None = None
) -> AsyncGenerator[FakeClock]:
    """Replace the clocks by one that stands still while requests are in flight, and else skips all sleeps."""
    clock = use_clock(client, FakeClock(time.time(), held=True), sandbox)
    pool = client._sessions.pool  # pyright: ignore[reportPrivateUsage]
    exchange, in_flight = pool.exchange, 0

    async def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal in_flight
        in_flight += 1
        try:
            return await exchange(*args, **kwargs)
        finally:
            in_flight -= 1

    async def skip() -> None:
        while True:
            await asyncio.sleep(0.0005)
            if not in_flight:
                clock.wake_next()

    skipping = asyncio.create_task(skip())
    try:
        with patch.object(pool, "exchange", counted):
            yield clock
    finally:
        skipping.cancel()
        await asyncio.gather(skipping, return_exceptions=True)

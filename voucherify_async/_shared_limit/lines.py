"""The requests of one event loop that wait for permits.

While requests wait, or there is news for the server, each line has a task that makes script calls: one at a time, for
all requests that wait. It ends soon after, so that nothing runs in an idle program.

Invariants:

- Requests of a line are granted permits in order of arrival. One that may not wait never overtakes another.
- A permit that was granted to a request that is cancelled goes back to the server.
- No request waits for Redis longer than the timeout of one script call: then its line serves it locally.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import random
from collections import deque
from typing import Final, NamedTuple

from voucherify_async._shared_limit.permits import (
    MAX_REPORT_AGE,
    Limits,
    Permits,
    ServiceReport,
    read_report,
)
from voucherify_async._shared_limit.script import POLL_SECONDS
from voucherify_async._shared_limit.server import Server, Settings
from voucherify_async._transport.rate_limit import RateLimit, bounded_kind

__all__ = ["LoopState"]

_IDLE_SECONDS: Final = 0.05
"""How long ended permits wait for the next request to be acquired, whose script call can report them too."""

_MIN_BLOCK: Final = 10
_BLOCKS: Final = 50
"""The part of the limit that one process is granted before the others have their turn."""


class _Waiter(NamedTuple):
    """A request that waits for a permit; the result is `None`, or the seconds until there may be one."""

    granted: asyncio.Future[float | None]
    until: float
    max_pause: float

    def accepts(self, wait: float, now: float) -> bool:
        return now < self.until and wait <= min(self.max_pause, self.until - now)


class _Line:
    """The requests of one event loop, one kind and one priority.

    While requests wait or there is news for the server, a task makes script calls. It ends soon after.
    """

    def __init__(self, loop: LoopState, kind: str, limits: Limits, *, low: bool) -> None:
        self._loop = loop
        self._settings = settings = loop.settings
        self._kind = kind
        self._low = low
        self._limits = limits
        self._waiters: deque[_Waiter] = deque()
        self._permits = Permits(settings.period, settings.lease)
        self._report: ServiceReport | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._polling = self._queued = False
        self._free_at = self._known_until = -math.inf
        self._generation: int | None = None
        prefix = settings.key if "{" in settings.key else f"{{{settings.key}}}"  # one slot of a cluster
        names = ("permits", "low", "queue", "state", "processes")
        self._keys = [f"{prefix}:{kind}:{name}" for name in names]
        seconds = settings.period, settings.lease
        self._fixed = [*limits, *(round(each * 1e6) for each in seconds), loop.server.process, int(low)]
        self._block = max(_MIN_BLOCK, settings.limit // _BLOCKS)
        # Each line sends its own, so that the first script call after a loss decides.
        self._new_generation = random.getrandbits(48)  # not a secret

    async def acquire(self, max_wait: float, max_pause: float) -> float | None:
        now = self._settings.clock.monotonic()
        until = now + max(0.0, max_wait)
        wait = self._free_at - now if self._polling or now < self._known_until else 0.0
        if wait > min(max_wait, max_pause) or (max_wait <= 0 and self._polling):
            return max(0.0, wait)
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop.create_future(), until, max_pause)
        timer = loop.call_later(max_wait, self._refuse, waiter) if 0 < max_wait < math.inf else None
        self._waiters.append(waiter)
        self.start()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled() and waiter.granted.result() is None:
                self._permits.give_back()
            self.start()
            if not self._waiting():
                self._wake.set()  # others can have its place in the queue
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def release(self, rate_limit: RateLimit | None, wait: float | None) -> None:
        now = self._settings.clock.monotonic()
        acquired_at = self._permits.end(now)
        report = read_report(self._kind, rate_limit, wait, acquired_at, now)
        if report is not None:
            self._report = report.merge(self._report)
            if report.pause_until:
                self._known_until = now
            self._loop.pauses[self._kind] = max(report.pause_until, self._loop.pauses.get(self._kind, 0.0))
        self.start()

    def start(self) -> None:
        """Make script calls until no request waits and there is no news."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        elif len(self._waiters) == 1 and not self._polling:
            self._wake.set()

    async def _run(self) -> None:
        try:
            while True:
                if self._waiting():
                    wait = await self._serve()
                    if wait > 0 and self._waiting():
                        self._polling = True
                        await self._sleep(min(wait, POLL_SECONDS))
                        self._polling = False
                elif not self._has_news() or not self._loop.server.available:
                    return
                else:
                    await self._sleep(_IDLE_SECONDS)
                    if not self._waiting():
                        await self._serve()
        finally:
            self._task, self._polling = None, False
            for waiter in self._waiters:  # the event loop is shutting down
                waiter.granted.cancel()
            self._waiters.clear()

    async def _sleep(self, seconds: float) -> None:
        self._wake.clear()
        if self._loop.closing:
            return
        timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    def _waiting(self) -> bool:
        while self._waiters and self._waiters[0].granted.done():
            self._waiters.popleft()
        return bool(self._waiters)

    def _has_news(self) -> bool:
        return self._permits.has_news or self._report is not None or self._queued

    async def _serve(self) -> float:
        """Acquire permits for the waiting requests; return the seconds until there may be more."""
        server, permits = self._loop.server, self._permits
        waiting = [waiter for waiter in self._waiters if not waiter.granted.done()]
        if server.available:
            want = min(len(waiting), self._block)
            first = permits.next_number(want)
            now = self._settings.clock.monotonic()
            may_queue = any(waiter.until > now for waiter in waiting)
            arguments = self._arguments(first, want, now, may_queue=may_queue)
            grant = await server.run_script(self._keys, arguments)
            now = self._settings.clock.monotonic()
            if grant is not None:
                self._check_generation(grant.generation, now)
                permits.hold(first, grant.granted, now)
                for _ in range(grant.granted - self._grant(grant.granted)):
                    permits.give_back()  # the requests were cancelled meanwhile
                self._queued = may_queue and grant.granted < want
                return self._refuse_all(grant.wait, now)
            permits.disown(first, want)
        return self._serve_locally()

    def _arguments(self, first: int, want: int, now: float, *, may_queue: bool) -> list[object]:
        counted, returned = self._permits.take_news(now)
        report, self._report = self._report, None
        remaining, age, pause = -1, 0, 0
        if report is not None:
            pause = max(0, round((report.pause_until - now) * 1e6))
            if report.remaining is not None and now - report.acquired_at <= MAX_REPORT_AGE:
                remaining, age = report.remaining, round((now - report.acquired_at) * 1e6)
        arguments: list[object] = [*self._fixed, first, want, self._block, int(may_queue)]
        arguments += (remaining, age, pause, self._new_generation, len(counted), len(returned))
        for number, seconds in counted:
            arguments += (number, round(seconds * 1e6))
        return [*arguments, *returned]

    def _probe_arguments(self) -> list[object]:
        """The arguments of a script call that acquires and reports nothing."""
        return [*self._fixed, 0, 0, self._block, 0, -1, 0, 0, self._new_generation, 0, 0]

    def _check_generation(self, generation: int, now: float) -> None:
        if generation != self._generation:
            if self._generation is not None:
                self._permits.report_all(now)
            self._generation = generation
            self._new_generation = random.getrandbits(48)  # not a secret

    def _grant(self, count: int) -> int:
        """Grant up to `count` permits to the first requests; return how many."""
        granted = 0
        while granted < count and self._waiting():
            self._waiters.popleft().granted.set_result(None)
            granted += 1
        return granted

    def _refuse_all(self, wait: float, now: float) -> float:
        """Refuse the requests that do not accept a wait; with 0, more may be granted at once."""
        self._free_at, self._known_until = now + wait, now + min(wait, POLL_SECONDS)
        if wait <= 0:
            return wait
        for waiter in [waiter for waiter in self._waiters if not waiter.accepts(wait, now)]:
            self._refuse(waiter)
        return wait

    def _refuse(self, waiter: _Waiter) -> None:
        if not waiter.granted.done():
            waiter.granted.set_result(max(0.0, self._free_at - self._settings.clock.monotonic()))

    # -------------------------------------------------------------------- without Redis

    def report_all(self) -> None:
        """Report all permits, as Redis is back and may have lost them."""
        self._permits.report_all(self._settings.clock.monotonic())
        if self._has_news() or self._waiters:
            self.start()

    def _serve_locally(self) -> float:
        loop, now = self._loop, self._settings.clock.monotonic()
        loop.server.probe(self._keys, self._probe_arguments(), loop.report_all)
        limits = self._limits.local(loop.server.processes, self._settings.local_limit)
        while self._waiting():
            paused = loop.pauses.get(self._kind, 0.0) - now
            if paused > 0 or limits.free(*loop.used(self._kind, now), low_priority=self._low) <= 0:
                return self._refuse_all(max(paused, loop.next_expiry(self._kind, now)), now)
            self._permits.hold(self._permits.next_number(1), 1, now)
            self._grant(1)
        return self._refuse_all(0.0, now)

    def used(self, now: float) -> tuple[int, int]:
        used = self._permits.used(now)
        return (0, used) if self._low else (used, 0)

    def next_expiry(self, now: float) -> float:
        return self._permits.next_expiry(now)

    async def aclose(self) -> None:
        """Refuse the requests that wait, and report the rest."""
        for waiter in self._waiters:
            self._refuse(waiter)
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])


class LoopState:
    """What a limiter has for one event loop: a connection, and a line for each kind and priority."""

    def __init__(self, server: Server, settings: Settings) -> None:
        self.server = server
        self.settings = settings
        self.closing = False
        self.pauses: dict[str, float] = {}
        self._lines: dict[tuple[str, int | None], _Line] = {}

    def line(self, kind: str, low_limit: int | None) -> _Line:
        line = self._lines.get((kind, low_limit))
        if line is None:
            kind = bounded_kind(kind, {kind for kind, _ in self._lines})
            limits = Limits(self.settings.limit, self.settings.limit if low_limit is None else low_limit)
            line = _Line(self, kind, limits, low=low_limit is not None)
            line = self._lines.setdefault((kind, low_limit), line)
        return line

    def report_all(self) -> None:
        for line in self._lines.values():
            line.report_all()

    def used(self, kind: str, now: float) -> tuple[int, int]:
        """How many permits of each priority count."""
        used = [line.used(now) for (own, _), line in self._lines.items() if own == kind]
        return sum(high for high, _ in used), sum(low for _, low in used)

    def next_expiry(self, kind: str, now: float) -> float:
        return min(line.next_expiry(now) for (own, _), line in self._lines.items() if own == kind)

    async def aclose(self) -> None:
        self.closing = True
        for line in self._lines.values():
            await line.aclose()
        await self.server.aclose()

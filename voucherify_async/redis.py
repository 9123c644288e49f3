"""A rate limit that processes and machines share through Redis. Requires the optional extra ``redis``.

::

    async with (
        RedisRateLimiter("redis://localhost", limit=600, period=60) as limiter,
        VoucherifyClient(rate_limiter=limiter) as voucherify,
        voucherify.with_options(rate_limiter=limiter.low_priority()) as export,
    ):
        ...

The primitives of the ``limits`` package are not enough: they count a request when it is sent and know neither its end
nor the responses of the service, queues, returned permits or killed processes.

For each kind of call, Redis stores one permit per request, with the time until which it counts. A permit is acquired
before a request is sent. When the request has ended, the permit is stamped to count for one more period, so that no
window of the service contains more than `limit` requests. All decisions are made by one script, by the clock of the
server. Each script call carries the permits that have ended since the last one, and acquires for all requests that wait.

Requests of one event loop wait in order of arrival. Between processes, Redis has a queue: a process is granted a block
of permits at most, then it goes to the end of the queue.

Responses of the service correct the count: if fewer calls remain than Redis has permits, other software uses the project
too, and the difference is reserved for it. The reserve shrinks to nothing within a period unless responses confirm it.
After a 429, no process sends a request until the service accepts calls again.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import logging
import math
import os
import random
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, final
from weakref import WeakKeyDictionary

from voucherify_async._transport.clock import Clock
from voucherify_async._transport.permits import (
    MAX_REPORT_AGE,
    Grant,
    Limits,
    Permits,
    ServiceReport,
    read_report,
)
from voucherify_async._transport.rate_limit import RateLimit, RateLimiter, bounded_kind
from voucherify_async._transport.settings import check_seconds
from voucherify_async.errors import ConfigurationError

try:
    from redis.asyncio import Redis
    from redis.exceptions import NoScriptError
except ImportError as error:
    raise ImportError(
        "voucherify_async.redis needs redis-py: pip install 'voucherify-async[redis]'", name=error.name
    ) from error

__all__ = ["RedisRateLimiter"]

_logger = logging.getLogger("voucherify_async")

_POLL_SECONDS: Final = 1.0
"""The longest time between two script calls while requests wait. Redis forgets a process that is silent for three."""

_IDLE_SECONDS: Final = 0.05
"""How long ended permits wait for the next request to be acquired, whose script call can report them too."""

_MIN_BLOCK: Final = 10
_BLOCKS: Final = 50
"""The part of the limit that one process is granted before the others have their turn."""

_SCRIPT: Final = """
-- KEYS: permits, permits of low priority (number -> time until which it counts), queue, state, processes.
-- Times are in microseconds.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, low_limit, period, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local process, low, first, want, block = ARGV[5], ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local may_queue, remaining, age, pause = ARGV[10] == '1', tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local own, at = low and KEYS[2] or KEYS[1], 17
for _ = 1, tonumber(ARGV[15]) do
  redis.call('ZADD', own, now + ARGV[at + 1], process .. ARGV[at])
  at = at + 2
end
for _ = 1, tonumber(ARGV[16]) do
  redis.call('ZREM', own, process .. ARGV[at])
  at = at + 1
end
local function count(key, since) return redis.call('ZCOUNT', key, string.format('(%.0f', since), '+inf') end
for i = 1, 2 do redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - MAX_REPORT_AGE) end
local high_used, low_used = count(KEYS[1], now), count(KEYS[2], now)

-- What responses reported: a pause, and calls of other software. Compared with all permits that counted at any time
-- since the request was permitted, so that expired ones are not taken for calls of others.
local state = redis.call('HMGET', KEYS[4], 'generation', 'paused', 'others', 'reported')
local generation, paused = state[1] or ARGV[14], tonumber(state[2] or 0)
local others, reported = tonumber(state[3] or 0), tonumber(state[4] or 0)
if remaining >= 0 then
  others, reported = math.max(0, limit - count(KEYS[1], now - age) - count(KEYS[2], now - age) - remaining), now
end
if pause > 0 then paused = math.max(paused, now + pause) end
if not state[1] or remaining >= 0 or pause > 0 then
  redis.call('HSET', KEYS[4], 'generation', generation, 'paused', paused, 'others', others, 'reported', reported)
end
local expected = math.ceil(others * math.max(0, 1 - (now - reported) / period))

-- The queue: a process waits since its turn ended, for `want` permits. High priority is ahead of low priority.
local place, since, left, ahead = (low and 'l' or 'h') .. process, now, block, 0
local queue = redis.call('HGETALL', KEYS[3])
local wants = {}
for i = 1, #queue, 2 do
  local other_since, other_left, other_want, seen = string.match(queue[i + 1], '(%d+) (%d+) (%d+) (%d+)')
  if tonumber(seen) < now - 3 * POLL_SECONDS then
    redis.call('HDEL', KEYS[3], queue[i])
  elseif queue[i] == place then
    since, left = tonumber(other_since), tonumber(other_left)
  else
    wants[queue[i]] = {tonumber(other_since), math.min(tonumber(other_left), tonumber(other_want))}
  end
end
for other, entry in pairs(wants) do
  local other_low = string.sub(other, 1, 1) == 'l'
  if (low and not other_low) or (low == other_low and entry[1] < since) then ahead = ahead + entry[2] end
end

local low_is_full = low and low_limit - low_used < limit - high_used - low_used
local free = (low_is_full and low_limit - low_used or limit - high_used - low_used) - expected - ahead
if paused > now then free = 0 end
local granted = math.max(0, math.min(want, left, free))
for i = first, first + granted - 1 do
  redis.call('ZADD', own, now + lease + period, process .. string.format('%.0f', i))
end
if may_queue and granted < want then
  left = left - granted
  if left == 0 then since, left = now, block end
  redis.call('HSET', KEYS[3], place, string.format('%.0f %d %d %.0f', since, left, want - granted, now))
elseif #queue > 0 then
  redis.call('HDEL', KEYS[3], place)
end

local wait = 0
if granted < want and paused > now then
  wait = paused - now
elseif granted < want and granted >= free then
  local needed = math.min(granted - free, 1000)
  wait = period
  for i = low_is_full and 2 or 1, 2 do
    local soon = redis.call('ZRANGEBYSCORE', KEYS[i], string.format('(%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', needed, 1)
    if soon[2] then wait = math.min(wait, soon[2] - now) end
  end
  if expected > 0 then wait = math.min(wait, math.max(1000, period / others)) end
end

redis.call('ZADD', KEYS[5], now, process)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - period - 3 * POLL_SECONDS)
local lasting = string.format('%.0f', (lease + 2 * period + math.max(0, paused - now)) / 1000 + 10000)
for i = 1, 5 do redis.call('PEXPIRE', KEYS[i], lasting) end
return {granted, math.ceil(wait), tonumber(generation), redis.call('ZCARD', KEYS[5])}
""".replace("MAX_REPORT_AGE", f"{MAX_REPORT_AGE * 1e6:.0f}").replace(
    "POLL_SECONDS", f"{_POLL_SECONDS * 1e6:.0f}"
)


class _Settings(NamedTuple):
    limit: int
    period: float
    key: str
    timeout: float
    lease: float
    local_limit: int | None
    clock: Clock


class _Server:
    """The connection of one event loop to Redis, and whether Redis answers.

    Attributes:
        available: Whether the last script call was answered in time.
        processes: How many processes use the limit, as the last script call reported; 0 before the first.
    """

    def __init__(self, client: Redis, settings: _Settings, *, owned: bool) -> None:
        self._client = client
        self._settings = settings
        self._owned = owned
        self._script = _SCRIPT
        self._digest = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
        self._probe_at = -math.inf
        self._probe: asyncio.Task[None] | None = None
        self.available = True
        self.processes = 0
        self.pid = os.getpid()
        self.process = f"{random.getrandbits(64):016x}:"  # noqa: S311  # not a secret

    async def run_script(self, keys: list[str], arguments: list[object]) -> Grant | None:
        """Run the script; `None` if Redis does not answer in time or fails."""
        command: list[Any] = [len(keys), *keys, *arguments]
        try:
            async with asyncio.timeout(self._settings.timeout):
                try:
                    reply: Any = await self._client.execute_command("EVALSHA", self._digest, *command)
                except NoScriptError:
                    reply = await self._client.execute_command("EVAL", self._script, *command)
                grant = Grant(int(reply[0]), int(reply[1]) / 1e6, int(reply[2]), int(reply[3]))
        except Exception as error:  # noqa: BLE001  # no call may fail because of Redis, whatever it raises
            self._lose(error)
            return None
        self.processes = grant.processes
        return grant

    def _lose(self, error: Exception) -> None:
        self._probe_at = self._settings.clock.monotonic() + _POLL_SECONDS
        if self.available:
            self.available = False
            # The text of the error could contain the URL.
            _logger.warning(
                "Redis does not answer (%s); each process limits its own calls until it does",
                type(error).__name__,
            )

    def probe(self, on_return: Callable[[], object]) -> None:
        """Look in the background whether Redis is back, unless it was looked a moment ago; calls do not wait for it."""
        now = self._settings.clock.monotonic()
        if now >= self._probe_at and self._probe is None:
            self._probe_at = math.inf
            self._probe = asyncio.create_task(self._ping(on_return), context=contextvars.Context())

    async def _ping(self, on_return: Callable[[], object]) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout):
                await self._client.execute_command("PING")
            self.available = True
            _logger.info("Redis answers again; processes share the rate limit")
            on_return()
        except Exception as error:  # noqa: BLE001  # as above
            self._lose(error)
        finally:
            self._probe = None

    async def aclose(self) -> None:
        """Wait for the probe, and close the client unless it is the user's."""
        if self._probe is not None:
            await asyncio.wait([self._probe])
        if self._owned:
            await self._client.aclose()


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

    def __init__(self, loop: _LoopState, kind: str, limits: Limits, *, low: bool) -> None:
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
        self._polling = False
        self._free_at = self._known_until = -math.inf
        self._generation: int | None = None
        prefix = settings.key if "{" in settings.key else f"{{{settings.key}}}"  # one slot of a cluster
        names = ("permits", "low", "queue", "state", "processes")
        self._keys = [f"{prefix}:{kind}:{name}" for name in names]
        seconds = settings.period, settings.lease
        self._fixed = [*limits, *(round(each * 1e6) for each in seconds), loop.server.process, int(low)]
        self._block = max(_MIN_BLOCK, settings.limit // _BLOCKS)
        # Each line sends its own, so that the first script call after a loss decides.
        self._new_generation = random.getrandbits(48)  # noqa: S311  # not a secret

    async def acquire(self, max_wait: float, max_pause: float) -> float | None:
        now = self._settings.clock.monotonic()
        until = now + max(0.0, max_wait)
        wait = self._free_at - now if now < self._known_until else 0.0
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
                        await self._sleep(min(wait, _POLL_SECONDS))
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
        return self._permits.has_news or self._report is not None

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
                permits.hold(first, grant.count, now)
                for _ in range(grant.count - self._grant(grant.count)):
                    permits.give_back()  # the requests were cancelled meanwhile
                wait = grant.wait if grant.count < want else 0.0
                return self._refuse_all(wait, now)
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
        arguments: list[object] = [
            *self._fixed,
            first,
            want,
            self._block,
            int(may_queue),
            remaining,
            age,
            pause,
        ]
        arguments += (self._new_generation, len(counted), len(returned))
        for number, seconds in counted:
            arguments += (number, round(seconds * 1e6))
        return [*arguments, *returned]

    def _check_generation(self, generation: int, now: float) -> None:
        if generation != self._generation:
            if self._generation is not None:
                self._permits.report_all(now)
            self._generation = generation
            self._new_generation = random.getrandbits(48)  # noqa: S311  # not a secret

    def _grant(self, count: int) -> int:
        """Grant up to `count` permits to the first requests; return how many."""
        granted = 0
        while granted < count and self._waiting():
            self._waiters.popleft().granted.set_result(None)
            granted += 1
        return granted

    def _refuse_all(self, wait: float, now: float) -> float:
        """Refuse the requests that do not accept a wait."""
        self._free_at, self._known_until = now + wait, now + min(wait, _POLL_SECONDS)
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
        loop.server.probe(loop.report_all)
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


class _LoopState:
    """What a limiter has for one event loop: a connection, and a line for each kind and priority."""

    def __init__(self, server: _Server, settings: _Settings) -> None:
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


class _View:
    """Permits of one priority."""

    def __init__(self, state: Callable[[], _LoopState], low_limit: int | None) -> None:
        self._state = state
        self._low_limit = low_limit

    def __repr__(self) -> str:
        return f"<low priority, at most {self._low_limit} permits>"

    async def acquire(self, kind: str, max_wait: float, /) -> float | None:
        """Acquire a permit to send one request; see `RateLimiter.acquire`."""
        return await self.acquire_within(kind, max_wait, math.inf)

    async def acquire_within(self, kind: str, max_wait: float, max_pause: float, /) -> float | None:
        """Like `acquire`, but do not wait if no call is permitted for longer than `max_pause` seconds."""
        return await self._state().line(kind, self._low_limit).acquire(max_wait, max_pause)

    def release(self, kind: str, rate_limit: RateLimit | None, wait: float | None, /) -> None:
        """Release a permit; see `RateLimiter.release`."""
        self._state().line(kind, self._low_limit).release(rate_limit, wait)


@final
class RedisRateLimiter(_View):
    """Allows at most `limit` requests in any `period` seconds, for all processes and machines with the same key.

    Each kind of call (``api_calls``, ``bulk_api_calls``) has the whole limit for itself. The limits of the service apply
    to a project: give each project a `key` of its own, and pass its limiter to ``with_options(auth=..., rate_limiter=...)``.
    All limiters with one key must have the same `limit` and `period`.

    If Redis fails or does not answer within `timeout`, a warning is logged and calls go on. Until Redis answers again,
    each process limits its own calls, to `local_limit` or an equal share of the limit: the limit divided by the number of
    event loops that used the key when Redis last answered, or by four if it never did. Afterwards each process reports
    the calls of the last period, so that they count also if Redis was restarted empty.

    It works in any number of event loops and threads, each with a connection of its own, and after a fork. A client that
    you pass belongs to the event loop in which it is used. Redis 5 or later is needed. A permit takes about 100 bytes of
    its memory; all keys expire when they are not used.

    Attributes:
        limit: The most requests of one kind in a period.
        period: The length of a period in seconds.
        key: The name that the keys in Redis begin with.
    """

    def __init__(
        self,
        url_or_client: str | Redis,
        *,
        limit: int,
        period: float,
        key: str = "voucherify",
        timeout: float = 0.5,
        lease: float = 30.0,
        local_limit: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Create a limiter. Nothing is sent to Redis before the first call.

        Args:
            url_or_client: A URL (``redis://``, ``rediss://``, ``unix://``), or a `redis.asyncio.Redis`, which is not
                closed.
            limit: The most requests of one kind in a period.
            period: The length of a period in seconds.
            key: The name that the keys in Redis begin with; one for each project.
            timeout: The longest time in seconds to wait for a response of Redis.
            lease: Seconds after which the request of a killed process is assumed to have ended; at least the timeout of an
                attempt.
            local_limit: The most requests of one kind in a period of this event loop while Redis does not answer.
            clock: Replaces the system clock in tests.

        Raises:
            ConfigurationError: An argument is invalid; the message names it.
        """
        connect = _connector(url_or_client)
        del url_or_client  # error reporters show the local variables of a traceback
        if connect is None:
            raise ConfigurationError(
                "url_or_client must be a redis://, rediss:// or unix:// URL, or a redis.asyncio.Redis"
            )
        _check_count("limit", limit)
        if local_limit is not None:
            _check_count("local_limit", local_limit)
        for name, value in (("period", period), ("timeout", timeout), ("lease", lease)):
            if value is None:
                raise ConfigurationError(f"{name} must be a positive number of seconds, not None")
            check_seconds(name, value)
        if not isinstance(key, str) or not key:
            raise ConfigurationError(f"key must be a string that is not empty, not {key!r}")
        if clock is not None and not isinstance(clock, Clock):
            raise ConfigurationError(f"clock must be a Clock, not {clock!r}")
        self.limit = limit
        self.period = period
        self.key = key
        self._settings = _Settings(limit, period, key, timeout, lease, local_limit, clock or Clock())
        self._connect = connect
        self._states: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopState] = WeakKeyDictionary()
        self._inherited: list[_LoopState] = []
        super().__init__(self._loop_state, None)

    def __repr__(self) -> str:
        return f"RedisRateLimiter(limit={self.limit}, period={self.period}, key={self.key!r})"

    def low_priority(self, reserve: float = 0.5) -> RateLimiter:
        """A view for jobs that leave room for other calls; it shares the connection and the count.

        It never has more than the rest of the limit, and waits while other calls wait. Calls of the limiter itself that
        need no more than the reserve in a period do not wait for it.

        Args:
            reserve: The part of the limit that is left for other calls, between 0 and 1.

        Raises:
            ConfigurationError: `reserve` is not between 0 and 1, or leaves nothing of the limit.
        """
        number = isinstance(reserve, int | float) and not isinstance(reserve, bool)
        if not number or not 0 < reserve < 1:
            raise ConfigurationError(f"reserve must be a number between 0 and 1, not {reserve!r}")
        low_limit = math.floor(self.limit * (1 - reserve))
        if not low_limit:
            raise ConfigurationError(f"reserve of {reserve!r} leaves nothing of a limit of {self.limit}")
        return _View(self._loop_state, low_limit)

    def _loop_state(self) -> _LoopState:
        loop = asyncio.get_running_loop()
        state = self._states.get(loop)
        if state is not None and state.server.pid != os.getpid():
            self._inherited.append(state)  # closing its sockets could disturb the parent process
            state = None
        if state is None:
            client, owned = self._connect()
            state = self._states[loop] = _LoopState(
                _Server(client, self._settings, owned=owned), self._settings
            )
        return state

    async def aclose(self) -> None:
        """Return unused permits, refuse calls that wait, and close the connection of this event loop.

        A client that was passed stays open.
        """
        state = self._states.pop(asyncio.get_running_loop(), None)
        if state is not None and state.server.pid == os.getpid():
            await state.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _connector(url_or_client: object) -> Callable[[], tuple[Redis, bool]] | None:
    """A function that returns a client, and whether it is the limiter's own; `None` for an invalid argument."""
    if isinstance(url_or_client, Redis):
        client = url_or_client
        return lambda: (client, False)
    if not isinstance(url_or_client, str):
        return None
    url = url_or_client

    def connect() -> tuple[Redis, bool]:
        # No retries: a call that waits is served locally sooner.
        return Redis.from_url(url, retry=None, client_name="voucherify_async"), True

    try:
        connect()
    except Exception:  # noqa: BLE001  # the text of the error could contain the URL
        return None
    return connect


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} must be an integer from 1, not {value!r}")

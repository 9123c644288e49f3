"""Rate limits: parsing of the response headers, the limiters, the gate after a 429, and the queues.

A call passes two stages before it is sent. Each grants a permit or makes the call wait in a queue:

1. `RateGate`, one per client. A 429 closes it for the time that the service asks for, or a backoff. Then it lets
   the waiting calls through one by one, slowly at first, so that they do not cause the next 429.
2. The `RateLimiter` of the call, optional. It limits calls before the service refuses any: to a configured rate
   (`LocalRateLimiter`), or to the remaining calls that responses report (`AdaptiveRateLimiter`).

The service counts each kind of call separately (``api_calls``, ``bulk_api_calls``), so each kind has its own
queue, except in `LocalRateLimiter`. A `Pace` (module `pacing`) decides when the next call may pass; a
`WaitQueue` lets calls wait for it.

Invariants:

- Calls pass a queue in order of arrival. One that may not wait (``max_wait=0``) never overtakes a waiting one.
- Only the first call in a queue uses a timer; the others wait for a lock. No background task is needed.
- A queue never makes a call wait longer than `max_wait`, and not at all if that is known to be too short.
- Each permit of a limiter is released once, however the request ends. The gate's permits are not released.
- A call that is cancelled while it waits takes no permit and does not block the calls behind it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import re
from collections.abc import Awaitable, Collection, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, Protocol, runtime_checkable

from voucherify_async._transport.clock import Clock
from voucherify_async._transport.pacing import UNTIL_RESPONSE, AdaptivePace, Pace, Ramp, WindowPace
from voucherify_async._transport.settings import check_seconds
from voucherify_async.errors import ConfigurationError
from voucherify_async.models.base import Model

__all__ = [
    "TIME_RESOLUTION",
    "AdaptiveRateLimiter",
    "LocalRateLimiter",
    "RateGate",
    "RateLimit",
    "RateLimiter",
    "bounded_kind",
    "limit_kind",
    "limiter_for_project",
    "read_rate_limit",
    "server_wait",
]

# A longer wait in a header is ignored as invalid: the longest documented window is a billing cycle.
_MAX_SENSIBLE_WAIT: Final = 366 * 24 * 3600.0

_KIND_NAME: Final = re.compile(r"[a-z_]{1,40}")

_DOCUMENTED_KINDS: Final = frozenset({"api_calls", "bulk_api_calls"})
"""The kinds of calls that the service counts separately; each always has its own pace."""

_MAX_KINDS: Final = 8
"""How many kinds get their own pace; undocumented kinds beyond that share one."""

_OTHER_KINDS: Final = "other kinds"

_MAX_INT_DIGITS: Final = 16
"""Longer numbers are parsed as floats: `int` rejects thousands of digits, or takes long to parse them."""

TIME_RESOLUTION: Final = 1.0
"""Seconds by which a wait can be overestimated, because the service rounds times up to whole seconds."""


class RateLimit(Model, frozen=True, kw_only=True):
    """The state of the project's rate limit, as a response reported it.

    Attributes:
        limit: Calls allowed in the window.
        remaining: Calls left in the window.
        retry_at: Time at which the next call may be made, timezone-aware.
        kind: The limit that was hit, if any: ``api_calls``, ``bulk_api_calls``, ``api_calls_cycle``,
            ``webhook_calls``.
    """

    limit: int | None = None
    remaining: int | None = None
    retry_at: dt.datetime | None = None
    kind: str | None = None


_NO_LIMIT: Final = RateLimit()
_RATE_LIMIT_HEADERS: Final = ("X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Retry")


def read_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """The rate limit that response headers report, or `None` if they report none."""
    limit, remaining, retry = map(headers.get, _RATE_LIMIT_HEADERS)
    found = RateLimit(
        limit=_integer(limit),
        remaining=_integer(remaining),
        retry_at=_instant(retry),
        kind=limit_kind(headers),
    )
    return None if found == _NO_LIMIT else found


def limit_kind(headers: Mapping[str, str]) -> str | None:
    """The kind of the limit that was hit, if reported. Anything but a plain name is ignored, since it is logged."""
    kind = headers.get("X-Rate-Limit-Type")
    return kind if kind is not None and _KIND_NAME.fullmatch(kind) else None


def server_wait(headers: Mapping[str, str], now: float, *, calls_remain: bool = False) -> float | None:
    """Seconds that the service asks to wait before the next call; `None` if there is no valid value.

    ``Retry-After`` (seconds or an HTTP date) takes precedence over ``X-Rate-Limit-Retry`` (epoch seconds).
    Times are compared with the service's clock, so that a wrong local clock does not matter: with `now` if the
    ``Date`` header agrees with it, otherwise with that ``Date``.

    Args:
        headers: The response headers, in a mapping whose names are case-insensitive.
        now: The local time in epoch seconds.
        calls_remain: The rate limit is not exhausted, so ``X-Rate-Limit-Retry`` is ignored. Any response may
            have that header, and its rounding to whole seconds would cause a needless wait.
    """
    retry_after = headers.get("Retry-After")
    if retry_after is not None:
        seconds = _number(retry_after)
        if seconds is None and (instant := _http_date(retry_after)) is not None:
            seconds = instant - _service_time(headers, now)
        if seconds is not None and 0 <= seconds <= _MAX_SENSIBLE_WAIT:
            return seconds
    epoch = _number(headers.get("X-Rate-Limit-Retry"))
    if epoch is not None and not calls_remain:
        seconds = epoch - _service_time(headers, now)
        if 0 <= seconds <= _MAX_SENSIBLE_WAIT:
            return seconds
    return None


def _service_time(headers: Mapping[str, str], now: float) -> float:
    # A Date is truncated to whole seconds: a local clock that agrees with it is more precise.
    instant = _http_date(headers.get("Date"))
    return now if instant is None or instant <= now < instant + 1 else instant


def _http_date(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    # Digits only: float() would also accept "nan", "1e9" and "1_0".
    digits = (text or "").strip(" \t")
    if not digits.isascii() or not digits.replace(".", "", 1).isdecimal():
        return None
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(text: str | None) -> int | None:
    if text is not None and len(text) < _MAX_INT_DIGITS and text.isdecimal():
        return int(text)
    number = _number(text)
    return None if number is None else int(number)


@lru_cache(maxsize=16)  # within a window, all responses report the same time
def _instant(text: str | None) -> dt.datetime | None:
    epoch = _number(text)
    if epoch is None:
        return None
    try:
        return dt.datetime.fromtimestamp(epoch, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


# ---------------------------------------------------------------- limiters and queues


@runtime_checkable
class RateLimiter(Protocol):
    """Decides when requests may be sent. Write your own to share a limit between processes.

    `kind` is the limit that a request counts against: ``api_calls`` or ``bulk_api_calls``.
    """

    def acquire(self, kind: str, max_wait: float, /) -> Awaitable[float | None] | float | None:
        """Acquire a permit to send one request, waiting at most `max_wait` seconds, time in a queue included.

        May be a coroutine, or a plain function for a limiter that does not wait itself. Return at once if the wait is
        known to be longer.

        Args:
            kind: The limit that the request counts against.
            max_wait: The longest wait in seconds; with 0, do not wait at all.

        Returns:
            `None` if the permit was acquired. Otherwise the estimated seconds until one is available; 0 if
            that depends on requests in flight.
        """
        ...

    def release(
        self, kind: str, rate_limit: RateLimit | None, wait: float | None, /
    ) -> Awaitable[object] | None:
        """Release a permit after the request has ended. Called once for each permit.

        May be a plain function or a coroutine. A coroutine runs to its end even if the call is cancelled. An error is
        logged, as the call may have succeeded.

        Args:
            kind: As for `acquire`.
            rate_limit: The rate limit that the response reported; `None` if it reported none, or there was no response.
            wait: Seconds until the service accepts the next request, if it reported that it accepts none now.
        """
        ...


class WaitQueue:
    """A first-in, first-out queue of calls that wait for a pace.

    Only the first call in the queue uses a timer, so there is no background task, and each wake-up wakes one call.
    """

    def __init__(self, pace: Pace, clock: Clock) -> None:
        self._pace = pace
        self._clock = clock
        self._waiting = 0
        self._first_lock = asyncio.Lock()  # held by the first call in the queue; asyncio locks are fair
        self._request_ended = asyncio.Event()

    async def acquire(self, max_wait: float, max_pause: float = math.inf) -> float | None:
        """Acquire a permit and return `None`, or return the seconds until one may be available, 0 if unknown.

        Args:
            max_wait: The longest wait in seconds, including the time behind other calls. If the wait is known to be
                longer, returns at once.
            max_pause: The longest delay of the pace to accept, in seconds. If the pace lets no call through for
                longer, returns at once.
        """
        now = self._clock.monotonic()
        delay = self._pace.delay(now)
        if delay <= 0 and not self._waiting:
            self._pace.take(now)
            return None
        if max_wait <= 0 or _known_delay(delay) > min(max_wait, max_pause):
            return _known_delay(delay)
        if not self._waiting:  # the client may run in another event loop than the last time
            self._first_lock, self._request_ended = asyncio.Lock(), asyncio.Event()
        self._waiting += 1
        limit = asyncio.timeout(None if max_wait == math.inf else max_wait)
        try:
            async with limit, self._first_lock:
                return await self._wait_as_first(now + max_wait, max_pause)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._waiting -= 1
        return _known_delay(self._pace.delay(self._clock.monotonic()))

    async def _wait_as_first(self, until: float, max_pause: float) -> float | None:
        while (delay := self._pace.delay(now := self._clock.monotonic())) > 0:
            if delay == UNTIL_RESPONSE:
                self._request_ended.clear()
                await self._request_ended.wait()
            elif delay > min(max_pause, until - now):
                return delay
            else:
                await self._clock.sleep(delay)
        self._pace.take(self._clock.monotonic())
        return None

    def notify(self) -> None:
        """Wake the first call if it waits for a request in flight to end."""
        if self._waiting:
            self._request_ended.set()


def _known_delay(delay: float) -> float:
    """The delay in seconds; 0 if it is unknown."""
    return 0.0 if delay == UNTIL_RESPONSE else delay


class LocalRateLimiter:
    """Allows at most `limit` requests in any `period` seconds; ignores the limits that the service reports.

    For one client; all kinds of calls count together. A request counts from when it is sent until `period` seconds
    after it ended, so that the service's own window, sliding or fixed, never contains more than `limit` requests.

    Attributes:
        limit: The most requests in a period.
        period: The length of a period in seconds.
    """

    def __init__(self, limit: int, period: float, *, clock: Clock | None = None) -> None:
        """Create a limiter.

        Args:
            limit: The most requests in a period.
            period: The length of a period in seconds.
            clock: Replaces the system clock in tests.

        Raises:
            ConfigurationError: `limit` is not an integer from 1, or `period` not a positive number.
        """
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise ConfigurationError(f"limit must be an integer from 1, not {limit!r}")
        if period is None:
            raise ConfigurationError("period must be a positive number of seconds, not None")
        check_seconds("period", period)
        if clock is not None and not isinstance(clock, Clock):
            raise ConfigurationError(f"clock must be a Clock, not {clock!r}")
        self._clock = clock or Clock()
        self.limit = limit
        self.period = period
        self._pace = WindowPace(limit, period)
        self._queue = WaitQueue(self._pace, self._clock)

    def __repr__(self) -> str:
        return f"LocalRateLimiter({self.limit}, {self.period})"

    def line(self, kind: str) -> WaitQueue:  # noqa: ARG002  # the signature of `AdaptiveRateLimiter.line`
        """The queue in which all requests wait."""
        return self._queue

    async def acquire(self, kind: str, max_wait: float, /) -> float | None:
        """Acquire a permit to send one request; see `RateLimiter.acquire`."""
        return await self.line(kind).acquire(max_wait)

    def release(self, kind: str, rate_limit: RateLimit | None, wait: float | None, /) -> None:  # noqa: ARG002  # the protocol
        """Release a permit; see `RateLimiter.release`."""
        self._pace.end(self._clock.monotonic())
        self._queue.notify()


class AdaptiveRateLimiter:
    """Adapts to the rate limit that the service reports in its responses.

    While at least a tenth of the limit remains, as many requests may be in flight as calls remain; below that,
    half as many. When no call remains, requests pause until the time that the service reports, then start slowly.
    A reported pause lasts at most 61 seconds: then one request is sent, and if the service refuses it, the
    wait in that response applies. Without reported limits, requests are not delayed. Each kind of call has its
    own pace.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        """Create a limiter that has no reported limits yet.

        Args:
            clock: Replaces the system clock in tests.
        """
        self._clock = clock or Clock()
        self._by_kind: dict[str, tuple[AdaptivePace, WaitQueue]] = {}

    def __repr__(self) -> str:
        return "AdaptiveRateLimiter()"

    def line(self, kind: str) -> WaitQueue:
        """The queue in which requests of a kind wait."""
        return (self._by_kind.get(kind) or self._state(kind))[1]

    async def acquire(self, kind: str, max_wait: float, /) -> float | None:
        """Acquire a permit to send one request; see `RateLimiter.acquire`."""
        return await self.line(kind).acquire(max_wait)

    def release(self, kind: str, rate_limit: RateLimit | None, wait: float | None, /) -> None:
        """Release a permit; see `RateLimiter.release`."""
        pace, queue = self._by_kind.get(kind) or self._state(kind)
        pace.end()
        if rate_limit is not None and rate_limit.remaining is not None:
            affected = pace if rate_limit.kind is None else self._state(rate_limit.kind)[0]
            affected.update(rate_limit.remaining, rate_limit.limit, wait, self._clock.monotonic())
        queue.notify()

    def _state(self, kind: str) -> tuple[AdaptivePace, WaitQueue]:
        kind = bounded_kind(kind, self._by_kind)
        if kind not in self._by_kind:
            pace = AdaptivePace()
            self._by_kind[kind] = pace, WaitQueue(pace, self._clock)
        return self._by_kind[kind]


def bounded_kind(kind: str, known: Collection[str]) -> str:
    """The kind itself, or `_OTHER_KINDS` if it is new and there are too many."""
    if kind in known or kind in _DOCUMENTED_KINDS or len(known) < _MAX_KINDS:
        return kind
    return _OTHER_KINDS


def limiter_for_project(limiter: RateLimiter | None, clock: Clock) -> RateLimiter | None:
    """A limiter for another project with the settings of a given one; a limiter of the user's own class is shared."""
    if type(limiter) is AdaptiveRateLimiter:
        return AdaptiveRateLimiter(clock=clock)
    if type(limiter) is LocalRateLimiter:
        return LocalRateLimiter(limiter.limit, limiter.period, clock=clock)
    return limiter


class RateGate:
    """Delays all calls after a 429 until the service accepts calls again, then lets them through one by one.

    Each kind of call has its own gate, which is open until `close` is called.

    Attributes:
        queues: The queue of each kind whose gate was ever closed. Their permits need no release.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.queues: dict[str, WaitQueue] = {}
        self._ramps: dict[str, Ramp] = {}

    def close(self, kind: str, seconds: float) -> None:
        """Let no call of this kind through for the next `seconds`."""
        kind = bounded_kind(kind, self._ramps)
        if kind not in self._ramps:
            self._ramps[kind] = Ramp()
            self.queues[kind] = WaitQueue(self._ramps[kind], self._clock)
        now = self._clock.monotonic()
        self._ramps[kind].pause_until(now + seconds, now)

    def is_closed(self, kind: str) -> bool:
        """Whether calls of this kind are delayed now."""
        kind = bounded_kind(kind, self._ramps)
        return kind in self._ramps and self._ramps[kind].is_paused(self._clock.monotonic())

"""Rate limits: what an answer's headers say of them, and who may send when.

Headers are read by functions of values, and what they mean for the pace is decided in `pacing`; here is the
one place where calls wait in line for it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import re
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from voucherify_async._transport.clock import Clock
from voucherify_async._transport.pacing import UNTIL_ANSWERED, AdaptivePace, Pace, Ramp, WindowPace
from voucherify_async._transport.settings import check_seconds
from voucherify_async.errors import ConfigurationError
from voucherify_async.models.base import Model

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "WHOLE_SECONDS",
    "AdaptiveRateLimiter",
    "LocalRateLimiter",
    "RateGate",
    "RateLimit",
    "RateLimiter",
    "limit_kind",
    "read_rate_limit",
    "server_wait",
]

# Above this a number of seconds is taken for nonsense, not for a wait: the longest documented window is
# a billing cycle.
_MAX_SENSIBLE_WAIT: Final = 366 * 24 * 3600.0

_KIND: Final = re.compile(r"[a-z_]{1,40}")

_COUNTED_APART: Final = frozenset({"api_calls", "bulk_api_calls"})
"""The kinds that calls count as."""

_MAX_KINDS: Final = 8
"""Kinds beside those that have a pace of their own; what a service invents beyond that shares one."""

_OTHER_KINDS: Final = "other kinds"

_DIGITS: Final = 16
"""So long a number is taken for a float; ten thousand digits would be refused, or take their time."""

WHOLE_SECONDS: Final = 1.0
"""What a wait may seem longer than it is, as the service tells instants in whole seconds."""


class RateLimit(Model, frozen=True, kw_only=True):
    """The state of the project's rate limit, as an answer described it.

    Attributes:
        limit: Calls allowed in the window.
        remaining: Calls left in it.
        retry_at: When the next call may be made.
        kind: Which limit was hit, if one was: ``api_calls``, ``bulk_api_calls``, ``api_calls_cycle``,
            ``webhook_calls``.
    """

    limit: int | None = None
    remaining: int | None = None
    retry_at: dt.datetime | None = None
    kind: str | None = None


_SILENCE: Final = RateLimit()
_RATE_LIMIT: Final = ("X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Retry")


def read_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """The rate limit that the headers describe; `None` when they do not."""
    limit, remaining, retry = map(headers.get, _RATE_LIMIT)
    found = RateLimit(
        limit=_integer(limit),
        remaining=_integer(remaining),
        retry_at=_instant(retry),
        kind=limit_kind(headers),
    )
    return None if found == _SILENCE else found


def limit_kind(headers: Mapping[str, str]) -> str | None:
    """Which limit was hit, if the headers say; what is no plain name is ignored, as it ends in logs."""
    kind = headers.get("X-Rate-Limit-Type")
    return kind if kind is not None and _KIND.fullmatch(kind) else None


def server_wait(headers: Mapping[str, str], now: float, *, calls_remain: bool = False) -> float | None:
    """Seconds the service asks to wait before the next call; `None` when it does not, or not sensibly.

    ``Retry-After`` (seconds or an HTTP date) goes before ``X-Rate-Limit-Retry`` (epoch seconds). Instants
    are measured against the service's clock, so that a wrong local one does not matter: against `now` (epoch
    seconds) where the answer's ``Date`` agrees with it, and against that ``Date`` where it does not.

    Args:
        headers: Of the answer, whose names compare without regard to case.
        now: Epoch seconds.
        calls_remain: The limit is not what stands in the way: of ``X-Rate-Limit-Retry``, which every answer may
            have, in whole seconds, nothing follows then.
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
    # A Date is cut to whole seconds: a local clock that agrees with it is the more precise one.
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
    # Digits only: float() would also take "nan", "1e9" and "1_0".
    digits = (text or "").strip(" \t")
    if not digits.isascii() or not digits.replace(".", "", 1).isdecimal():
        return None
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(text: str | None) -> int | None:
    if text is not None and len(text) < _DIGITS and text.isdecimal():
        return int(text)
    number = _number(text)
    return None if number is None else int(number)


@lru_cache(maxsize=16)  # all answers of a window say the same
def _instant(text: str | None) -> dt.datetime | None:
    epoch = _number(text)
    if epoch is None:
        return None
    try:
        return dt.datetime.fromtimestamp(epoch, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


# ---------------------------------------------------------------- who may send when


@runtime_checkable
class RateLimiter(Protocol):
    """Says when requests may be sent. One of your own can share a limit between processes.

    `kind` tells calls apart that the service counts apart: ``api_calls`` and ``bulk_api_calls``.
    """

    async def acquire(self, kind: str, max_wait: float) -> float | None:
        """Wait for leave to send one request, `max_wait` seconds at most, a turn in a line included.

        Where it is known that the wait would be longer there is none.

        Args:
            kind: What the request counts as.
            max_wait: The longest wait; with 0 leave is given at once or not at all.

        Returns:
            `None` with leave; else the seconds until there could be leave, as far as is known: 0 when it
            depends on requests that are under way.
        """
        ...

    def release(self, kind: str, told: RateLimit | None, wait: float | None) -> None:
        """A request that had leave has ended. Is called once for each leave given.

        Args:
            kind: As for `acquire`.
            told: What the answer said of the limit; `None` if it said nothing, or there is no answer.
            wait: Seconds until the service takes the next request, if it said that it takes none now.
        """
        ...


class WaitQueue:
    """Calls in order of arrival, let through as a pace allows.

    Only the first in the line watches the clock: it needs no task of its own, and wakes one.
    """

    def __init__(self, pace: Pace, clock: Clock) -> None:
        self._pace = pace
        self._clock = clock
        self._waiting = 0
        self._turn = asyncio.Lock()  # serves first come, first served
        self._answered = asyncio.Event()

    async def enter(self, max_wait: float, max_stop: float = math.inf) -> float | None:
        """Wait for one's turn; if it does not come, the seconds until the next one, 0 if nobody knows them.

        Args:
            max_wait: The longest wait, with that for those ahead; one that is known to be longer is not begun.
            max_stop: The longest time in which nobody is let through that is waited for.
        """
        now = self._clock.monotonic()
        delay = self._pace.delay(now)
        if delay <= 0 and not self._waiting:
            self._pace.take(now)
            return None
        if max_wait <= 0 or _seconds(delay) > min(max_wait, max_stop):
            return _seconds(delay)
        if not self._waiting:  # the line may form in another loop than the last time
            self._turn, self._answered = asyncio.Lock(), asyncio.Event()
        self._waiting += 1
        limit = asyncio.timeout(None if max_wait == math.inf else max_wait)
        try:
            async with limit, self._turn:
                return await self._lead(now + max_wait, max_stop)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._waiting -= 1
        return _seconds(self._pace.delay(self._clock.monotonic()))

    async def _lead(self, until: float, max_stop: float) -> float | None:
        while (delay := self._pace.delay(now := self._clock.monotonic())) > 0:
            if delay == UNTIL_ANSWERED:
                self._answered.clear()
                await self._answered.wait()
            elif delay > min(max_stop, until - now):
                return delay
            else:
                await self._clock.sleep(delay)
        self._pace.take(self._clock.monotonic())
        return None

    def answered(self) -> None:
        """A request that was under way has ended."""
        if self._waiting:
            self._answered.set()


def _seconds(delay: float) -> float:
    """A delay as callers are told it."""
    return 0.0 if delay == UNTIL_ANSWERED else delay


class LocalRateLimiter:
    """At most `limit` requests in any `period` seconds, whatever the service says.

    For one client; calls of every kind count. A request counts from when it was sent until `period` after it
    ended, so that the service's own window, sliding or fixed, never sees more.
    """

    def __init__(self, limit: int, period: float, *, clock: Clock | None = None) -> None:
        """Start with nothing sent.

        Args:
            limit: Requests in a period.
            period: Seconds.
            clock: For tests.

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
        self._pace = WindowPace(limit, period)
        self._line = WaitQueue(self._pace, self._clock)

    def line(self, kind: str) -> WaitQueue:  # noqa: ARG002  # as of an `AdaptiveRateLimiter`
        """Where requests wait."""
        return self._line

    async def acquire(self, kind: str, max_wait: float) -> float | None:
        """Wait for leave to send one request; see `RateLimiter.acquire`."""
        return await self.line(kind).enter(max_wait)

    def release(self, kind: str, told: RateLimit | None, wait: float | None) -> None:  # noqa: ARG002  # a RateLimiter
        """A request that had leave has ended."""
        self._pace.end(self._clock.monotonic())
        self._line.answered()


class AdaptiveRateLimiter:
    """As fast as what the service says of its limit allows.

    Full speed as long as more than a tenth of the limit remains, fewer requests at once below, and when
    nothing remains none until the service takes the next one, with a slow start then. However far away that is
    said to be, after 61 seconds one request asks: if it is refused, that counts. A service that says
    nothing is not paced at all. Each kind of calls has its own pace.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        """Start without knowing anything.

        Args:
            clock: For tests.
        """
        self._clock = clock or Clock()
        self._lanes: dict[str, tuple[AdaptivePace, WaitQueue]] = {}

    def line(self, kind: str) -> WaitQueue:
        """Where requests of a kind wait."""
        return (self._lanes.get(kind) or self._lane(kind))[1]

    async def acquire(self, kind: str, max_wait: float) -> float | None:
        """Wait for leave to send one request; see `RateLimiter.acquire`."""
        return await self.line(kind).enter(max_wait)

    def release(self, kind: str, told: RateLimit | None, wait: float | None) -> None:
        """A request that had leave has ended."""
        pace, line = self._lanes.get(kind) or self._lane(kind)
        pace.end()
        if told is not None and told.remaining is not None:
            about = pace if told.kind is None else self._lane(told.kind)[0]
            about.learn(told.remaining, told.limit, wait, self._clock.monotonic())
        line.answered()

    def _lane(self, kind: str) -> tuple[AdaptivePace, WaitQueue]:
        kind = _bounded_kind(kind, self._lanes)
        if kind not in self._lanes:
            pace = AdaptivePace()
            self._lanes[kind] = pace, WaitQueue(pace, self._clock)
        return self._lanes[kind]


def _bounded_kind(kind: str, known: Collection[str]) -> str:
    """The kind, or one that stands for many where there are too many."""
    if kind in known or kind in _COUNTED_APART or len(known) < _MAX_KINDS:
        return kind
    return _OTHER_KINDS


class RateGate:
    """Holds all calls back while the service is known to refuse them, and lets them go on one by one.

    Each kind of calls has its own gate; there is none until it is first closed.

    Attributes:
        lines: Where calls of a kind wait that have ever had to; nothing is to be released.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lines: dict[str, WaitQueue] = {}
        self._ramps: dict[str, Ramp] = {}

    def close(self, kind: str, seconds: float) -> None:
        """Let no call of a kind through for some seconds from now."""
        kind = _bounded_kind(kind, self._ramps)
        if kind not in self._ramps:
            self._ramps[kind] = Ramp()
            self.lines[kind] = WaitQueue(self._ramps[kind], self._clock)
        now = self._clock.monotonic()
        self._ramps[kind].stop(now + seconds, now)

    def is_closed(self, kind: str) -> bool:
        """Whether calls of a kind are held back now."""
        kind = _bounded_kind(kind, self._ramps)
        return kind in self._ramps and self._ramps[kind].is_stopped(self._clock.monotonic())

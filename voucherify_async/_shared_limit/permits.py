"""The permits that one process uses of a rate limit that processes share. Pure: callers pass the time.

Each permit has a number. The permits of one limiter are interchangeable: the request that ends first releases the
oldest one. A permit is in one of these states:

- held: its request is in flight. If the process is killed, it expires one lease and one period after it was acquired.
- ended: its request has ended. It counts until one period later, as the service counted the request at some time
  before its end: no window of the service, sliding or fixed, contains more requests than permits.
- returned: no request used it, so it no longer counts.

What the server does not know yet is *news*. After the server has lost its data, `report_all` makes every permit news.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from voucherify_async._transport.rate_limit import RateLimit

__all__ = ["MAX_REPORT_AGE", "Grant", "Limits", "News", "Permits", "ServiceReport", "read_report"]

_MAX_PAUSE: Final = 3600.0
"""The longest pause that a response can cause, in seconds: the longest window that the service documents."""

MAX_REPORT_AGE: Final = 5.0
"""Seconds; the server remembers expired permits for this long. A response to an older request is not compared."""

_MAX_NEWS: Final = 1_000
"""The most permits in one message to the server."""

_UNKNOWN_PROCESSES: Final = 4
"""How many processes are assumed to share the limit if the server never answered."""


class Limits(NamedTuple):
    """How many requests are allowed per period.

    Attributes:
        total: Requests of both priorities.
        low: Requests of low priority.
    """

    total: int
    low: int

    def free(self, high: int, low: int, *, low_priority: bool) -> int:
        """How many permits are free, if `high` and `low` permits of the two priorities are in use."""
        free = self.total - high - low
        return min(free, self.low - low) if low_priority else free

    def local(self, processes: int, fixed: int | None) -> Limits:
        """The limits of one process while the server is away: an equal share, or a configured number."""
        share = fixed or max(1, self.total // (processes or _UNKNOWN_PROCESSES))
        return Limits(share, max(1, share * self.low // self.total))


class Grant(NamedTuple):
    """The server's response to a request for permits.

    Attributes:
        granted: How many permits were granted.
        wait: Seconds until the next one may be free, if fewer were granted than requested.
        generation: Changes when the server has lost its data.
        processes: How many processes use the limit.
    """

    granted: int
    wait: float
    generation: int
    processes: int


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """What a response of the service says about the rate limit.

    Attributes:
        remaining: Calls left; `None` if unknown.
        acquired_at: When the permit of the request was acquired.
        pause_until: The service accepts no call before this time; 0 if it accepts calls now.
    """

    remaining: int | None
    acquired_at: float
    pause_until: float = 0.0

    def merge(self, earlier: ServiceReport | None) -> ServiceReport:
        """The news of both reports; `remaining` is that of the later one, if it has it."""
        if earlier is None:
            return self
        newest = self if self.remaining is not None else earlier
        pause = max(self.pause_until, earlier.pause_until)
        return ServiceReport(newest.remaining, newest.acquired_at, pause)


def read_report(
    kind: str, rate_limit: RateLimit | None, wait: float | None, acquired_at: float, now: float
) -> ServiceReport | None:
    """What to tell the server about a response; `None` if nothing.

    A successful response that reports no remaining calls causes no pause: at full use of the limit, every response
    reports that, and the permits already wait for the oldest ones to expire.
    """
    if rate_limit is not None and rate_limit.kind not in {None, kind}:
        return None  # the limit of another kind, such as the calls of a billing cycle
    remaining = None if rate_limit is None else rate_limit.remaining
    rejected = wait is not None and (rate_limit is None or rate_limit.kind is not None or remaining != 0)
    pause_until = now + min(wait, _MAX_PAUSE) if rejected and wait is not None else 0.0
    if remaining is None and not pause_until:
        return None
    return ServiceReport(remaining, acquired_at, pause_until)


class News(NamedTuple):
    """What the server does not know yet.

    Attributes:
        counted: Numbers of permits, and seconds for which they still count.
        returned: Numbers of permits that no request used.
    """

    counted: list[tuple[int, float]]
    returned: list[int]


class Permits:
    """The permits of one process, one kind of calls and one priority."""

    def __init__(self, period: float, lease: float) -> None:
        self._period = period
        self._lease = lease
        self._next = random.getrandbits(32)  # unlike those of a process with the same id
        self._held: deque[tuple[int, float]] = deque()
        self._ended: deque[tuple[int, float]] = deque()
        self._news: deque[tuple[int, float]] = deque()
        self._returned: deque[int] = deque(maxlen=_MAX_NEWS)  # others expire by themselves

    def next_number(self, count: int) -> int:
        """The first of `count` new numbers."""
        first = self._next
        self._next += count
        return first

    def hold(self, first: int, count: int, now: float) -> None:
        """Record that permits were acquired."""
        self._held.extend((number, now) for number in range(first, first + count))

    def end(self, now: float) -> float:
        """Record that a request has ended; return when a permit was acquired that it may have had."""
        number, acquired_at = self._held.popleft() if self._held else (self.next_number(1), now)
        permit = number, now + self._period
        while self._news and self._news[0][1] <= now:  # the server is away
            self._news.popleft()
        self._ended.append(permit)
        self._news.append(permit)
        return acquired_at

    def give_back(self) -> None:
        """Record that the newest permit is not used."""
        if self._held:
            self._returned.append(self._held.pop()[0])

    def disown(self, first: int, count: int) -> None:
        """Record that the server may have granted permits in a response that was not received."""
        self._returned.extend(range(first, first + count))

    def used(self, now: float) -> int:
        """How many permits count."""
        self._expire(now)
        return len(self._held) + len(self._ended)

    def next_expiry(self, now: float) -> float:
        """Seconds until an ended permit expires; one period if there is none."""
        self._expire(now)
        return self._ended[0][1] - now if self._ended else self._period

    def _expire(self, now: float) -> None:
        while self._ended and self._ended[0][1] <= now:
            self._ended.popleft()

    @property
    def has_news(self) -> bool:
        """Whether there is anything that the server does not know."""
        return bool(self._news or self._returned)

    def take_news(self, now: float) -> News:
        """Remove and return what the server does not know, up to a limit."""
        counted: list[tuple[int, float]] = []
        while self._news and len(counted) < _MAX_NEWS:
            number, expires_at = self._news.popleft()
            if expires_at > now:
                counted.append((number, expires_at - now))
        returned = list(self._returned)
        self._returned.clear()
        return News(counted, returned)

    def report_all(self, now: float) -> None:
        """Make all permits that count news."""
        self._expire(now)
        lapse = self._lease + self._period
        self._news = deque(self._ended)
        self._news.extend((number, acquired_at + lapse) for number, acquired_at in self._held)

"""The sandbox's rate limit: which calls are admitted, and what their answers say of it. Pure.

Time is passed in, as epoch seconds that do not go back.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from dataclasses import dataclass
from typing import Final

from voucherify_async.sandbox._store.errors import ApiError

__all__ = ["NO_LIMIT", "Quota", "RateCounter", "RateCounters", "RateStatus", "to_quota", "too_many"]

API_CALLS: Final = "api_calls"
BULK_API_CALLS: Final = "bulk_api_calls"

_BULK: Final = frozenset(
    {
        ("v1", "customers", "bulk", "async"),
        ("v1", "customers", "metadata", "async"),
        ("v1", "customers", "importCSV"),
    }
)
"""Paths, cut at their slashes, to which a POST is a bulk call."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How many calls are admitted in how much time.

    A call that is refused does not count. The service's own window may be of either kind: no header says.

    Attributes:
        limit: Calls in one period.
        period: Seconds.
        fixed: Count in windows of one period, each of which begins with the first call after the one before
            has ended. Otherwise the window slides: no stretch of one period holds more calls than `limit`.

    Raises:
        ValueError: `limit` is not a positive int, or `period` not a positive, finite number.
    """

    limit: int
    period: float = 60.0
    fixed: bool = False

    def __post_init__(self) -> None:
        """Refuse what limits nothing or everything."""
        if not isinstance(self.limit, int) or isinstance(self.limit, bool) or self.limit < 1:
            raise ValueError(f"limit must be a whole number of calls, at least 1, not {self.limit!r}")
        number = isinstance(self.period, int | float) and not isinstance(self.period, bool)
        if not (number and 0 < self.period <= sys.float_info.max):
            raise ValueError(f"period must be a positive, finite number of seconds, not {self.period!r}")


NO_LIMIT: Final = Quota(1_000_000)
"""What answers say where there is no limit: more calls than one sandbox could take in a minute."""


def to_quota(rate_limit: int | Quota | None) -> Quota | None:
    """A number of calls is meant for a minute.

    Raises:
        ValueError: It is no positive int.
    """
    return rate_limit if rate_limit is None or isinstance(rate_limit, Quota) else Quota(rate_limit)


def too_many() -> ApiError:
    """429 for a call too many."""
    return ApiError(429, "too_many_requests", message="Too many requests hit the API too quickly.")


@dataclass(frozen=True, slots=True)
class RateStatus:
    """What a meter says of a call.

    Attributes:
        kind: The kind of calls it counts.
        admitted: Whether the call may pass.
        limit: Calls in one period.
        remaining: Calls that are left after this one.
        retry_at: Epoch seconds from which the next call is admitted; now, if any remain.
    """

    kind: str
    admitted: bool
    limit: int
    remaining: int
    retry_at: float

    def check(self) -> None:
        """Let the call pass or not.

        Raises:
            ApiError: 429; it is not admitted.
        """
        if not self.admitted:
            raise too_many()

    def headers(self, now: float) -> dict[str, str]:
        """The headers of an answer that is given `now`. Whoever waits as they say does not come too early."""
        headers = {
            "X-Rate-Limit-Limit": str(self.limit),
            "X-Rate-Limit-Remaining": str(self.remaining),
            "X-Rate-Limit-Retry": str(math.ceil(self.retry_at)),
        }
        if not self.admitted:
            # The answer may be late: the wait can be over by now.
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_at - now)))
            headers["X-Rate-Limit-Type"] = self.kind
        return headers


class RateCounter:
    """Counts the calls of one kind."""

    def __init__(self, kind: str, quota: Quota) -> None:
        self._kind = kind
        self._quota = quota
        # When each call that counts ceases to, the earliest first.
        self._ends: deque[float] = deque()

    def count(self, now: float) -> RateStatus:
        """Count a call, if it is admitted."""
        self._forget(now)
        quota, ends = self._quota, self._ends
        admitted = len(ends) < quota.limit
        if admitted:
            # The calls of a fixed window cease to count together.
            ends.append(ends[0] if quota.fixed and ends else now + quota.period)
        return self._reading(now, admitted=admitted)

    def read(self, now: float) -> RateStatus:
        """What a call would meet, without counting one."""
        self._forget(now)
        return self._reading(now, admitted=len(self._ends) < self._quota.limit)

    def _forget(self, now: float) -> None:
        while self._ends and self._ends[0] <= now:
            self._ends.popleft()

    def _reading(self, now: float, *, admitted: bool) -> RateStatus:
        limit = self._quota.limit
        remaining = limit - len(self._ends)
        return RateStatus(self._kind, admitted, limit, remaining, now if remaining else self._ends[0])


class RateCounters:
    """The meters of all kinds, each with the same quota: bulk calls are counted apart from all others."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._bulk = RateCounter(BULK_API_CALLS, quota)
        self._others = RateCounter(API_CALLS, quota)

    def count(self, method: str, segments: tuple[str, ...], now: float) -> RateStatus:
        """Count a call, if it is admitted.

        Args:
            method: HTTP method.
            segments: The path, cut at its slashes, each part decoded.
            now: Epoch seconds.
        """
        bulk = method == "POST" and segments in _BULK
        return (self._bulk if bulk else self._others).count(now)

    def read(self, now: float) -> tuple[RateStatus, ...]:
        """What each meter shows, without counting a call."""
        return self._others.read(now), self._bulk.read(now)

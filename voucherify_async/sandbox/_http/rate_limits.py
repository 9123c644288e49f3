"""The sandbox's rate limiter: which calls it admits, and the rate limit headers of their responses. No I/O.

Bulk calls and all other calls are counted separately, each against the same quota of `limit` calls per `period`.
A counter stores, for each admitted call that still counts, the time at which it expires:

- Sliding window: each call expires one period after it arrived. No interval of one period contains more than
  `limit` admitted calls.
- Fixed window: the first call opens a window of one period, and all calls in it expire together when it ends. The
  next call opens a new window.

A call is admitted while fewer than `limit` calls count. A rejected call does not count.

Times are passed in, as epoch seconds that never decrease.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from dataclasses import dataclass
from typing import Final

from voucherify_async.sandbox._store.errors import ApiError

__all__ = ["NO_LIMIT", "Quota", "RateCounter", "RateCounters", "RateStatus", "to_quota", "too_many_requests"]

API_CALLS: Final = "api_calls"
BULK_API_CALLS: Final = "bulk_api_calls"

_BULK_PATHS: Final = frozenset(
    {
        ("v1", "customers", "bulk", "async"),
        ("v1", "customers", "metadata", "async"),
        ("v1", "customers", "importCSV"),
    }
)
"""Paths, split at slashes, where a POST is a bulk call."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A rate limit: how many calls are admitted per period.

    Rejected calls do not count. It is not documented which kind of window the service uses, so both are available.

    Attributes:
        limit: Calls per period.
        period: The length of a period, in seconds.
        fixed: Count in fixed windows of one period. A window opens with the first call after the previous window
            has ended. By default, the window slides: no interval of one period contains more than `limit` calls.

    Raises:
        ValueError: `limit` is not a positive int, or `period` is not a positive, finite number.
    """

    limit: int
    period: float = 60.0
    fixed: bool = False

    def __post_init__(self) -> None:
        """Validate the limit and the period."""
        if not isinstance(self.limit, int) or isinstance(self.limit, bool) or self.limit < 1:
            raise ValueError(f"limit must be a whole number of calls, at least 1, not {self.limit!r}")
        number = isinstance(self.period, int | float) and not isinstance(self.period, bool)
        if not (number and 0 < self.period <= sys.float_info.max):
            raise ValueError(f"period must be a positive, finite number of seconds, not {self.period!r}")


NO_LIMIT: Final = Quota(1_000_000)
"""The quota reported in headers when no limit is set: more calls than one sandbox can process in a minute."""


def to_quota(rate_limit: int | Quota | None) -> Quota | None:
    """The quota for the `rate_limit` argument of `Sandbox`; an int is a number of calls per minute.

    Raises:
        ValueError: The number is not a positive int.
    """
    return rate_limit if rate_limit is None or isinstance(rate_limit, Quota) else Quota(rate_limit)


def too_many_requests() -> ApiError:
    """429 for a call that exceeds the rate limit."""
    return ApiError(429, "too_many_requests", message="Too many requests hit the API too quickly.")


@dataclass(frozen=True, slots=True)
class RateStatus:
    """The state of a rate counter after a call.

    Attributes:
        kind: The kind of calls that the counter counts.
        admitted: Whether the call is within the limit.
        limit: Calls per period.
        remaining: Calls left after this one.
        retry_at: When the next call is admitted, in epoch seconds; now, if any calls remain.
    """

    kind: str
    admitted: bool
    limit: int
    remaining: int
    retry_at: float

    def check(self) -> None:
        """Reject the call if it exceeds the limit.

        Raises:
            ApiError: 429 if the call was not admitted.
        """
        if not self.admitted:
            raise too_many_requests()

    def headers(self, now: float) -> dict[str, str]:
        """The rate limit headers of a response sent at `now`. Times are rounded up, so no client retries too early."""
        headers = {
            "X-Rate-Limit-Limit": str(self.limit),
            "X-Rate-Limit-Remaining": str(self.remaining),
            "X-Rate-Limit-Retry": str(math.ceil(self.retry_at)),
        }
        if not self.admitted:
            # With latency, the response may be sent after retry_at.
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_at - now)))
            headers["X-Rate-Limit-Type"] = self.kind
        return headers

    def headers_of_rejection(self, now: float, retry_after: int) -> dict[str, str]:
        """The headers that differ if a call that was admitted is rejected all the same.

        The next call is admitted after `retry_after` seconds of the clock in the ``Date`` header, which has no fractions.
        """
        return {
            "X-Rate-Limit-Remaining": "0",
            "X-Rate-Limit-Retry": str(int(now) + retry_after),
            "X-Rate-Limit-Type": self.kind,
        }


class RateCounter:
    """Counts the calls of one kind against a quota."""

    def __init__(self, kind: str, quota: Quota) -> None:
        self._kind = kind
        self._quota = quota
        # When each call that still counts expires, in ascending order.
        self._expiry_times: deque[float] = deque()

    def count(self, now: float) -> RateStatus:
        """Count a call if it is admitted."""
        self._drop_expired(now)
        quota, expiry_times = self._quota, self._expiry_times
        admitted = len(expiry_times) < quota.limit
        if admitted:
            # All calls of a fixed window expire with its first.
            expiry_times.append(expiry_times[0] if quota.fixed and expiry_times else now + quota.period)
        return self._status(now, admitted=admitted)

    def read(self, now: float) -> RateStatus:
        """The status that a call would get, without counting one."""
        self._drop_expired(now)
        return self._status(now, admitted=len(self._expiry_times) < self._quota.limit)

    def _drop_expired(self, now: float) -> None:
        while self._expiry_times and self._expiry_times[0] <= now:
            self._expiry_times.popleft()

    def _status(self, now: float, *, admitted: bool) -> RateStatus:
        limit = self._quota.limit
        remaining = limit - len(self._expiry_times)
        return RateStatus(self._kind, admitted, limit, remaining, now if remaining else self._expiry_times[0])


class RateCounters:
    """One counter for bulk calls and one for all other calls, each with the same quota."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._bulk_api_calls = RateCounter(BULK_API_CALLS, quota)
        self._api_calls = RateCounter(API_CALLS, quota)

    def count(self, method: str, segments: tuple[str, ...], now: float) -> RateStatus:
        """Count a call if it is admitted.

        Args:
            method: HTTP method.
            segments: The path, split at slashes, each part decoded.
            now: Epoch seconds.
        """
        is_bulk = method == "POST" and segments in _BULK_PATHS
        return (self._bulk_api_calls if is_bulk else self._api_calls).count(now)

    def read(self, now: float) -> tuple[RateStatus, ...]:
        """The status of each counter, without counting a call."""
        return self._api_calls.read(now), self._bulk_api_calls.read(now)

"""The retry policy: whether and after what delay to retry a failed attempt. Pure: no clock, sleep or randomness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from voucherify_async._transport.settings import check_seconds
from voucherify_async.errors import ConfigurationError

__all__ = ["PLAN_USED_UP", "Outcome", "RetryPolicy"]

PLAN_USED_UP: Final = "api_calls_cycle"
"""The kind of the plan's call quota; waiting does not help once it is used up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt failed.

    Attributes:
        repeatable: Whether the call is idempotent.
        may_have_been_applied: False only if the service certainly did not act on the attempt.
        status: HTTP status, if the service or a proxy responded.
        server_wait: Seconds that the service asked to wait, if it did.
        limit_kind: The rate limit that was hit, if reported.
        permanent: Whether every retry would fail in the same way.
    """

    repeatable: bool
    may_have_been_applied: bool = True
    status: int | None = None
    server_wait: float | None = None
    limit_kind: str | None = None
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to retry a failed attempt.

    The delay in seconds after attempt `n` (from 1), with `r` a random number in [0, 1)::

        delay = server_wait + r * min(cap, base * 2 ** (n - 1))

    where `server_wait` is the wait that the service asked for, 0 if none: the jittered backoff is added to it.

    Attributes:
        attempts: The most attempts, the first included; 1 disables retries.
        base: The longest backoff after the first attempt, in seconds.
        cap: The longest backoff after any attempt, in seconds.
        statuses: HTTP statuses to retry.
        max_server_wait: The longest wait, in seconds, to accept from the service; if it asks for more, the call fails.
    """

    attempts: int = 4
    base: float = 0.5
    cap: float = 8.0
    statuses: frozenset[int] = frozenset({429, 500, 502, 503, 504})
    max_server_wait: float = 60.0

    def __post_init__(self) -> None:
        """Reject invalid values."""
        attempts: object = self.attempts
        if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1:
            raise ConfigurationError(f"retry.attempts must be an integer of at least 1, not {attempts!r}")
        statuses: object = self.statuses
        if not isinstance(statuses, frozenset | set) or not all(isinstance(one, int) for one in statuses):
            raise ConfigurationError(f"retry.statuses must be a set of integers, not {statuses!r}")
        for name in ("base", "cap", "max_server_wait"):
            check_seconds(f"retry.{name}", getattr(self, name), zero=True)

    def decide(self, attempt: int, outcome: Outcome, *, jitter: float) -> float | None:
        """Seconds to wait before the next attempt, or `None` to stop.

        Args:
            attempt: The number of the attempt that failed, from 1.
            outcome: How it failed.
            jitter: A random number in [0, 1).
        """
        if attempt >= self.attempts or outcome.permanent:
            return None
        if outcome.status is not None and outcome.status not in self.statuses:
            return None
        if outcome.may_have_been_applied and not outcome.repeatable:
            return None
        if outcome.limit_kind == PLAN_USED_UP:
            return None
        wait = outcome.server_wait or 0.0
        # The service rounds the time of the next call up to whole seconds, so that a wait of a minute may seem
        # a little longer.
        if int(wait) > self.max_server_wait:
            return None
        return wait + self.backoff(attempt, jitter=jitter)

    def backoff(self, attempt: int, *, jitter: float) -> float:
        """Seconds to wait after an attempt if the service asked for no wait."""
        # The exponent is bounded because 2.0 ** 1024 overflows.
        return jitter * min(self.cap, self.base * 2.0 ** min(attempt - 1, 64))

"""Whether, and after what delay, a failed attempt is made again. Pure: no clock, no sleep, no random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from voucherify_async._transport.settings import check_seconds
from voucherify_async.errors import ConfigurationError

__all__ = ["PLAN_USED_UP", "Outcome", "RetryPolicy"]

PLAN_USED_UP: Final = "api_calls_cycle"
"""The kind of a rate limit that waiting does not help against."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt failed, as far as repeating it is concerned.

    Attributes:
        repeatable: Whether sending the call twice does what sending it once does.
        arrived: False only when the service certainly did not act on the attempt.
        status: HTTP status, if the service or a proxy answered.
        server_wait: Seconds the service asked to wait, if it did.
        limit_kind: Which rate limit was hit, if the service says.
        permanent: Whether every other attempt would fail in the same way.
    """

    repeatable: bool
    arrived: bool = True
    status: int | None = None
    server_wait: float | None = None
    limit_kind: str | None = None
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to make a failed attempt again.

    The delay in seconds after attempt `n` (from 1), with `r` a random number in [0, 1)::

        delay = server_wait + r * min(cap, base * 2 ** (n - 1))

    where `server_wait` is what the service asked for, 0 if it asked for nothing: jitter only adds to it.

    Attributes:
        attempts: Attempts in all, the first included; 1 repeats nothing.
        base: Seconds; the longest delay after the first attempt.
        cap: Seconds; the longest delay after any attempt.
        statuses: HTTP statuses worth another attempt.
        max_server_wait: Seconds; a longer wait asked for by the service is not waited for.
    """

    attempts: int = 4
    base: float = 0.5
    cap: float = 8.0
    statuses: frozenset[int] = frozenset({429, 500, 502, 503, 504})
    max_server_wait: float = 60.0

    def __post_init__(self) -> None:
        """Refuse values that make no policy."""
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
        if outcome.arrived and not outcome.repeatable:
            return None
        if outcome.limit_kind == PLAN_USED_UP:
            return None
        wait = outcome.server_wait or 0.0
        # In whole seconds, in which the service tells when the next call may be made: rounded up, so that a
        # wait of a minute can seem a little longer.
        if int(wait) > self.max_server_wait:
            return None
        return wait + self.backoff(attempt, jitter=jitter)

    def backoff(self, attempt: int, *, jitter: float) -> float:
        """Seconds after an attempt for which the service asked for no wait; see `decide`."""
        # The exponent is bounded because 2.0 ** 1024 overflows.
        return jitter * min(self.cap, self.base * 2.0 ** min(attempt - 1, 64))

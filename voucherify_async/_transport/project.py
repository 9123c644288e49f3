"""What the calls of one project share, whatever their other settings."""

from __future__ import annotations

from voucherify_async._transport.clock import Clock
from voucherify_async._transport.rate_limit import RateGate, RateLimit

__all__ = ["Project"]


class Project:
    """The rate limit of one project, as its responses report it.

    Attributes:
        gate: Delays calls while the service rejects them for a rate limit.
        rate_limit: The rate limit as the last response reported it; `None` if none has reported it yet.
    """

    def __init__(self, clock: Clock) -> None:
        self.gate = RateGate(clock)
        self.rate_limit: RateLimit | None = None

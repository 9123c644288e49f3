"""Fault selection: which requests the sandbox fails and how, and by how much it delays responses. No I/O.

Each API request consumes one `Draw` from a `DrawGenerator`: a random number in [0, 1) for each kind of fault, and
further ones for the status, for whether the request takes effect, and for the latency. The n-th draw depends only
on the seed and on n, so the same requests in the same order meet the same faults.

`Faults.fate` checks the kinds in a fixed order and stops at the first hit. A kind with probability p is only
reached if no earlier kind has hit, which has the probability ``left`` = 1 - (sum of the earlier probabilities).
It therefore hits if its number is below p / left: overall it hits with exactly the probability p.

As each kind has a number of its own, changing the probability of one kind changes few decisions of the others.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeGuard

from voucherify_async.sandbox._http.rate_limits import too_many_requests
from voucherify_async.sandbox._store.errors import ApiError, too_large

__all__ = ["Draw", "DrawGenerator", "Fault", "FaultDecision", "Faults", "Latency", "to_range"]

Fault = Literal["reset", "truncate", "stall", "stale_keepalive", "status"]

Latency = float | tuple[float, float]
"""Seconds, or a range of seconds."""

_SUM_TOLERANCE: Final = 1e-9
"""Rounding error allowed in a sum of probabilities that should be at most 1."""
_TOO_MANY_REQUESTS: Final = too_many_requests()
_DEFAULT_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    **{status.value: (status.name.lower(), status.phrase) for status in HTTPStatus},
    404: ("not_found", "Resource not found"),
    429: (_TOO_MANY_REQUESTS.key, _TOO_MANY_REQUESTS.message),
    500: ("internal_error", HTTPStatus.INTERNAL_SERVER_ERROR.phrase),
}
"""The key and the message of the error for each status."""


class Draw(NamedTuple):
    """The random numbers of one request, each in [0, 1)."""

    reset: float
    truncate: float
    stall: float
    stale_keepalive: float
    status: float
    which_status: float
    applied: float
    latency: float


class DrawGenerator:
    """Generates one `Draw` per request; the n-th depends only on the seed and on n."""

    def __init__(self, seed: int) -> None:
        # Independent of the store's generator, so that requests that create ids do not change the faults.
        self._random = random.Random(f"faults {seed}")  # noqa: S311  # reproducible, not secret

    def draw(self) -> Draw:
        """The random numbers of the next request."""
        return Draw(*(self._random.random() for _ in Draw._fields))


@dataclass(frozen=True, slots=True)
class FaultDecision:
    """The fault that hits a request.

    Attributes:
        fault: The kind of fault.
        applied: Whether the request takes effect.
        status: HTTP status of the error response to a request that does not take effect. Faults that send no
            response ignore it.
        key: The key in the body of that response; `None` for the one that belongs to the status.
        message: The message in that body; `None` for the one that belongs to the status.
        retry_after: The ``Retry-After`` header of that response, in seconds; `None` for the default of the status.
    """

    fault: Fault
    applied: bool
    status: int = 503
    key: str | None = None
    message: str | None = None
    retry_after: int | None = None

    def check(self) -> None:
        """Reject the request if it does not take effect.

        Raises:
            ApiError: The request does not take effect.
        """
        if not self.applied:
            raise self._error()

    def _error(self) -> ApiError:
        if self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            # The body of this response has the message in `details`.
            return too_large() if self.message is None else ApiError(self.status, "", self.message)
        key, message = _DEFAULT_ERRORS.get(self.status, ("unknown_error", "Unknown Error"))
        details = None if self.status == HTTPStatus.TOO_MANY_REQUESTS else "The sandbox injected this error"
        return ApiError(self.status, self.key or key, details, message=self.message or message)

    def headers(self) -> dict[str, str]:
        """Additional headers of the response."""
        retry_after = self.retry_after
        if retry_after is None and self.status == HTTPStatus.TOO_MANY_REQUESTS:
            retry_after = 1
        return {} if retry_after is None else {"Retry-After": str(retry_after)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The probability of each kind of fault per request, from 0 to 1. Their sum is at most 1.

    ::

        async with Sandbox(faults=Faults(reset=0.01, status={503: 0.01})) as sandbox:
            ...
            sandbox.faults = Faults()

    Each kind has its own random numbers: changing one probability leaves most hits of the other kinds unchanged.

    Attributes:
        reset: The connection is reset without a response. Half of these requests take effect.
        truncate: The request takes effect, and its response stops in the middle of the body. If the response has
            no body, the connection is reset.
        status: Maps HTTP statuses from 400 to 599 to probabilities. The request does not take effect and gets an
            error response with the status; a 429 has ``Retry-After: 1`` and the headers of an exhausted rate limit.
        stall: No response is sent until the client disconnects. Half of these requests take effect.
        stale_keepalive: The request gets a normal response, but the next request on its connection resets the
            connection and does not take effect.

    Raises:
        ValueError: A value is not a probability, `status` has a key that is not from 400 to 599, or the sum is
            more than 1.
    """

    reset: float = 0.0
    truncate: float = 0.0
    status: Mapping[int, float] = field(default_factory=dict[int, float], hash=False)
    stall: float = 0.0
    stale_keepalive: float = 0.0

    def __post_init__(self) -> None:
        """Validate the probabilities."""
        if not isinstance(self.status, Mapping):
            raise ValueError(f"status must map HTTP statuses to probabilities, not be {self.status!r}")
        chances: dict[str, float] = {
            "reset": self.reset,
            "truncate": self.truncate,
            "stall": self.stall,
            "stale_keepalive": self.stale_keepalive,
        }
        for status, chance in self.status.items():
            if not isinstance(status, int) or isinstance(status, bool) or not 400 <= status <= 599:
                raise ValueError(f"status must map HTTP statuses from 400 to 599, not {status!r}")
            chances[f"status[{status}]"] = chance
        for name, chance in chances.items():
            if not _is_number(chance) or not 0 <= chance <= 1:
                raise ValueError(f"{name} must be a probability from 0 to 1, not {chance!r}")
        total = math.fsum(chances.values())
        if total > 1 + _SUM_TOLERANCE:
            raise ValueError(
                f"reset, truncate, status, stall and stale_keepalive must add up to at most 1, not {total:g}"
            )
        # Read-only, as later changes would not be validated; sorted, so that the order given has no influence.
        object.__setattr__(self, "status", MappingProxyType(dict(sorted(self.status.items()))))

    def fate(self, roll: Draw) -> FaultDecision | None:
        """The fault that hits the request with these random numbers; `None` if no fault does."""
        left = 1.0
        chances: tuple[tuple[Fault, float, float], ...] = (
            ("reset", self.reset, roll.reset),
            ("truncate", self.truncate, roll.truncate),
            ("stall", self.stall, roll.stall),
            ("stale_keepalive", self.stale_keepalive, roll.stale_keepalive),
            ("status", sum(self.status.values()), roll.status),
        )
        for fault, chance, drawn in chances:
            # Conditional on no earlier hit, so that overall the fault hits with the probability `chance`.
            if chance and drawn * left < chance:
                return self._decide(fault, roll)
            left -= chance
        return None

    def _decide(self, fault: Fault, draw: Draw) -> FaultDecision:
        if fault == "status":
            return FaultDecision(fault, applied=False, status=self._pick_status(draw.which_status))
        always = fault in {"truncate", "stale_keepalive"}
        return FaultDecision(fault, applied=always or draw.applied < 0.5)

    def _pick_status(self, drawn: float) -> int:
        """One of the statuses, weighted by their probabilities."""
        statuses = [(status, chance) for status, chance in self.status.items() if chance]
        point = drawn * sum(chance for _, chance in statuses)
        for status, chance in statuses:
            if point < chance:
                return status
            point -= chance
        return statuses[-1][0]  # reached only through rounding


def to_range(latency: Latency) -> tuple[float, float]:
    """The shortest and the longest latency, in seconds.

    Raises:
        ValueError: A number of seconds is negative or not finite, or the range ends before it starts.
    """
    bounds = latency if isinstance(latency, tuple) else (latency, latency)
    if len(bounds) != 2 or not all(
        _is_number(seconds) and seconds <= sys.float_info.max for seconds in bounds
    ):
        raise ValueError(f"latency must be seconds or a range (low, high), not {latency!r}")
    low, high = bounds
    if low < 0 or high < 0:
        raise ValueError(f"latency must not be negative, not {latency!r}")
    if low > high:
        raise ValueError(f"latency must be a range (low, high) with low <= high, not {latency!r}")
    return low, high


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)

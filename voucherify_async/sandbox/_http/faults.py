"""Which requests the sandbox fails, in which way, and how long it takes for the others. No I/O.

Chance comes from the seed alone: the same requests in the same order meet the same faults.
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

from voucherify_async.sandbox._http.rate_limits import too_many
from voucherify_async.sandbox._store.errors import ApiError, too_large

__all__ = ["Draw", "Fault", "FaultDecision", "FaultPicker", "Faults", "Latency", "to_range"]

Fault = Literal["reset", "truncate", "stall", "stale_keepalive", "status"]

Latency = float | tuple[float, float]
"""Seconds, or a range of seconds."""

_ROUNDING: Final = 1e-9
"""How much over 1 a sum of probabilities may come out that were meant to be 1."""
_KEYS: Final = {status.value: status.name.lower() for status in HTTPStatus} | {500: "internal_error"}
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class Draw(NamedTuple):
    """The chance of one request: numbers in [0, 1). Each fault has one of its own."""

    reset: float
    truncate: float
    stall: float
    stale_keepalive: float
    status: float
    which_status: float
    applied: float
    latency: float


class FaultPicker:
    """Rolls for one request after the other; the n-th roll depends on the seed and n alone."""

    def __init__(self, seed: int) -> None:
        # Seeded apart from the store, so that calls that make ids do not move the faults.
        self._random = random.Random(f"faults {seed}")  # noqa: S311  # reproducible, not secret

    def roll(self) -> Draw:
        """The chance of the next request."""
        return Draw(*(self._random.random() for _ in Draw._fields))


@dataclass(frozen=True, slots=True)
class FaultDecision:
    """What becomes of a request that is hit.

    Attributes:
        fault: What hits it.
        applied: Whether it takes effect.
        status: HTTP status of the answer that it gets if it does not take effect. Where no answer is
            sent, nobody sees it.
    """

    fault: Fault
    applied: bool
    status: int = 503

    def check(self) -> None:
        """Let the request take effect or not.

        Raises:
            ApiError: It does not.
        """
        if not self.applied:
            raise self._refusal()

    def _refusal(self) -> ApiError:
        if self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return too_large()
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return too_many()
        key = _KEYS.get(self.status, "unknown_error")
        phrase = _PHRASES.get(self.status, "Unknown Error")
        return ApiError(self.status, key, "The sandbox was told to fail", message=phrase)

    def headers(self) -> dict[str, str]:
        """What the answer has besides the usual headers."""
        return {"Retry-After": "1"} if self.status == HTTPStatus.TOO_MANY_REQUESTS else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often which fault hits a request, as probabilities from 0 to 1, together at most 1.

    ::

        async with Sandbox(faults=Faults(reset=0.01, status={503: 0.01})) as sandbox:
            ...
            sandbox.faults = Faults()

    Each fault has a chance of its own: another probability for one leaves most of what hits the others
    as it was.

    Attributes:
        reset: The connection is reset without an answer; half of the requests have taken effect before.
        truncate: The request takes effect, and its answer stops in the middle of the body. Where there is
            no body, the connection is reset.
        status: For HTTP statuses from 400 to 599: the request does not take effect, and gets an error with
            this status. A 429 asks to wait for a second.
        stall: There is no answer until the client goes away; half of the requests take effect.
        stale_keepalive: The request is answered, but its connection is reset when the next one comes over
            it, which does not take effect.

    Raises:
        ValueError: A probability is none, `status` names another status, or all together are more than 1.
    """

    reset: float = 0.0
    truncate: float = 0.0
    status: Mapping[int, float] = field(default_factory=dict[int, float], hash=False)
    stall: float = 0.0
    stale_keepalive: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
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
        if total > 1 + _ROUNDING:
            raise ValueError(
                f"reset, truncate, status, stall and stale_keepalive must be at most 1 together, not {total:g}"
            )
        # One that can be changed would be changed without a check. In order, so that it matters to nobody.
        object.__setattr__(self, "status", MappingProxyType(dict(sorted(self.status.items()))))

    def fate(self, roll: Draw) -> FaultDecision | None:
        """What becomes of a request with this chance; `None` if nothing hits it."""
        left = 1.0
        chances: tuple[tuple[Fault, float, float], ...] = (
            ("reset", self.reset, roll.reset),
            ("truncate", self.truncate, roll.truncate),
            ("stall", self.stall, roll.stall),
            ("stale_keepalive", self.stale_keepalive, roll.stale_keepalive),
            ("status", sum(self.status.values()), roll.status),
        )
        for fault, chance, drawn in chances:
            # Whatever comes later has only what is left, and so hits just as often as it should.
            if chance and drawn * left < chance:
                return self._hit(fault, roll)
            left -= chance
        return None

    def _hit(self, fault: Fault, roll: Draw) -> FaultDecision:
        if fault == "status":
            return FaultDecision(fault, applied=False, status=self._pick(roll.which_status))
        always = fault in {"truncate", "stale_keepalive"}
        return FaultDecision(fault, applied=always or roll.applied < 0.5)

    def _pick(self, drawn: float) -> int:
        statuses = [(status, chance) for status, chance in self.status.items() if chance]
        point = drawn * sum(chance for _, chance in statuses)
        for status, chance in statuses:
            if point < chance:
                return status
            point -= chance
        return statuses[-1][0]  # rounding


def to_range(latency: Latency) -> tuple[float, float]:
    """The least and the most seconds that an answer takes longer.

    Raises:
        ValueError: A number of seconds is negative or not finite, or the range falls.
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
        raise ValueError(f"latency must be a range (low, high) that does not fall, not {latency!r}")
    return low, high


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)

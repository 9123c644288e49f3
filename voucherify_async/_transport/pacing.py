"""How fast requests may follow each other, as state machines that are told the time. Pure.

Each answers one question, `delay(now)`: in how many seconds may the next request be sent? `UNTIL_ANSWERED`
says that it depends on the answers to requests that are under way.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, Protocol

__all__ = ["UNTIL_ANSWERED", "AdaptivePace", "Pace", "Ramp", "WindowPace"]

UNTIL_ANSWERED: Final = math.inf
"""Not before a request that is under way has ended."""

_MAX_STOP: Final = 3600.0
"""Seconds for which calls are held back that the service refuses; the longest window that it documents."""

_MAX_TOLD_STOP: Final = 61.0
"""Seconds for which they are held back by what the header of an answer says that is no refusal: a minute, the
shortest window, and the second by which instants are rounded up. If it is longer one request finds out."""

_MAX_UNIT: Final = 0.5
_FIRST_GAPS: Final = 10  # requests in the first unit of a ramp, roughly
_RAMP_UNITS: Final = 8  # after which a ramp is over; about 3,700 requests have passed by then
_CATCH_UP: Final = 0.005  # seconds; what a late timer may make good for

_NEVER_STOPPED: Final = -math.inf

_NEAR: Final = 10  # below one tenth of the limit, exhaustion is near


class Pace(Protocol):
    """What a line of waiting calls asks."""

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent; 0 for now."""
        ...

    def take(self, now: float) -> None:
        """A request is being sent."""
        ...


class Ramp:
    """A stop of up to an hour, and after it a start that is slow at first.

    With `unit` = the length of the stop, but at most 0.5 s, requests after the stop follow each other in gaps
    of `unit / 10 * 2 ** (-elapsed / unit)` seconds: 200 that were waiting are spread over about four units.
    After eight units the ramp is over.
    """

    def __init__(self) -> None:
        self._opens = _NEVER_STOPPED
        self._unit = 0.0
        self._next = _NEVER_STOPPED

    def stop(self, until: float, now: float) -> None:
        """Send nothing before `until`; an earlier end of a stop than the one known is ignored."""
        until = min(until, now + _MAX_STOP)
        if until > max(now, self._opens):
            self._opens = self._next = until
            self._unit = min(_MAX_UNIT, until - now)

    def is_stopped(self, now: float) -> bool:
        """Whether the stop has not ended."""
        return now < self._opens

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        return self._next - now if self._next > now else 0.0

    def take(self, now: float) -> None:
        """A request is being sent."""
        if self._next == _NEVER_STOPPED:
            return
        units = max(0.0, now - self._opens) / self._unit
        if units >= _RAMP_UNITS:
            self._next = _NEVER_STOPPED
        else:
            self._next = max(self._next, now - _CATCH_UP) + self._unit / _FIRST_GAPS * 2.0**-units


class WindowPace:
    """At most `limit` requests in any `period` seconds, wherever in it the service counts them.

    A place is free again one period after its request *ended*: the service counted it before that, so
    neither a sliding nor a fixed window of the service's ever sees more than `limit`.
    """

    def __init__(self, limit: int, period: float) -> None:
        self._limit = limit
        self._period = period
        self._under_way = 0
        self._ended: deque[float] = deque()

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        while self._ended and self._ended[0] + self._period <= now:
            self._ended.popleft()
        if self._under_way + len(self._ended) < self._limit:
            return 0.0
        return self._ended[0] + self._period - now if self._ended else UNTIL_ANSWERED

    def take(self, now: float) -> None:  # noqa: ARG002  # a Pace
        """A request is being sent."""
        self._under_way += 1

    def end(self, now: float) -> None:
        """A request has ended."""
        self._under_way -= 1
        self._ended.append(now)


class AdaptivePace(Ramp):
    """As fast as what the service says of its limit allows; no header says how long its window is.

    - As long as a tenth of the limit remains: no more requests under way than remain.
    - Below: half as many, since others may use the same project.
    - When nothing remains: none until the service takes the next one, but for 61 s at most; then a slow start.
      One request at a time may always be under way, to find out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._under_way = 0
        self._allowed = math.inf

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        if now < self._next:
            return self._next - now
        return UNTIL_ANSWERED if self._under_way >= self._allowed else 0.0

    def take(self, now: float) -> None:
        """A request is being sent."""
        self._under_way += 1
        if self._next != _NEVER_STOPPED:
            super().take(now)

    def end(self) -> None:
        """A request has ended."""
        self._under_way -= 1

    def learn(self, remaining: int, limit: int | None, wait: float | None, now: float) -> None:
        """What an answer said.

        Args:
            remaining: Requests that are left.
            limit: Requests that the window allows, if it says.
            wait: Seconds until the next request is taken, if it says.
            now: Seconds.
        """
        if remaining <= 0:
            self._allowed = 1
            if wait is not None:
                self.stop(now + min(wait, _MAX_TOLD_STOP), now)
        elif limit is not None and remaining * _NEAR < limit:
            self._allowed = remaining // 2 or 1
        else:
            self._allowed = remaining

"""Pacing: state machines that decide how soon the next request may be sent. Pure: callers pass the time.

The service limits requests per window of time, and its clients do not know when a window starts or how long
it is. A pace estimates what the limit still allows, from its configuration or from response headers.

Callers use a pace like this:

1. `delay(now)` returns the seconds until the next request may be sent: 0 for now, or `UNTIL_RESPONSE` if it
   depends on requests that are in flight.
2. `take(now)` records that a request is being sent. Callers call it only after `delay` returned 0.
3. `end` records that the request ended. `WindowPace` and `AdaptivePace` count requests in flight with it.

States of a `Ramp`: open (no delay), paused (no request until a given time) and ramping (the gaps between
requests shrink until it is open again). A refused request (429) starts a pause.

Invariants:

- `delay` changes nothing that a later call could observe, so callers may ask any number of times.
- A new pause never shortens the current one, and no pause is longer than `_MAX_PAUSE`.
- With no request in flight `delay` is never `UNTIL_RESPONSE`: a queue cannot wait forever.
- In any `period` seconds the service counts at most `limit` requests of a `WindowPace`.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, Protocol

__all__ = ["UNTIL_RESPONSE", "AdaptivePace", "Pace", "Ramp", "WindowPace"]

UNTIL_RESPONSE: Final = math.inf
"""The delay while the next request must wait until one in flight has ended."""

_MAX_PAUSE: Final = 3600.0
"""The longest pause after a refusal (429), in seconds: the longest window that the service documents."""

_MAX_REPORTED_PAUSE: Final = 61.0
"""The longest pause after a successful response that reports no remaining calls, in seconds: the shortest window,
a minute, plus a second because the service rounds times up. If the window is longer, one request is refused."""

_MAX_UNIT: Final = 0.5  # seconds
_FIRST_UNIT_REQUESTS: Final = 10  # approximate number of requests in the first unit of a ramp
_RAMP_UNITS: Final = 8  # the length of a ramp; it lets about 3,700 requests through
_MAX_CATCH_UP: Final = 0.005  # seconds of delay by a late timer that the next gap makes up for

_NEVER: Final = -math.inf

_LOW_DIVISOR: Final = 10  # the limit is nearly exhausted below one tenth of it


class Pace(Protocol):
    """The interface of a pace, as `WaitQueue` uses it."""

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent; 0 means now."""
        ...

    def take(self, now: float) -> None:
        """Record that a request is being sent."""
        ...


class Ramp:
    """A pause of up to an hour, followed by a slow start.

    With `unit` = the length of the pause, at most 0.5 s, the gap between requests after the pause is
    `unit / 10 * 2 ** (-elapsed / unit)` seconds: 200 waiting requests are spread over about four units.
    The ramp ends after eight units.
    """

    def __init__(self) -> None:
        self._paused_until = _NEVER
        self._unit = 0.0
        self._next = _NEVER

    def pause_until(self, until: float, now: float) -> None:
        """Send nothing before `until`. Ignored if the current pause ends later."""
        until = min(until, now + _MAX_PAUSE)
        if until > max(now, self._paused_until):
            self._paused_until = self._next = until
            self._unit = min(_MAX_UNIT, until - now)

    def is_paused(self, now: float) -> bool:
        """Whether the pause is still in effect."""
        return now < self._paused_until

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        return self._next - now if self._next > now else 0.0

    def take(self, now: float) -> None:
        """Record that a request is being sent."""
        if self._next == _NEVER:
            return
        units = max(0.0, now - self._paused_until) / self._unit
        if units >= _RAMP_UNITS:
            self._next = _NEVER
        else:
            self._next = (
                max(self._next, now - _MAX_CATCH_UP) + self._unit / _FIRST_UNIT_REQUESTS * 2.0**-units
            )


class WindowPace:
    """At most `limit` requests in any `period` seconds.

    A request counts until one period after it *ended*. The service counted it at some time before that, so
    neither a sliding nor a fixed window on the service's side ever contains more than `limit` requests.
    """

    def __init__(self, limit: int, period: float) -> None:
        self._limit = limit
        self._period = period
        self._in_flight = 0
        self._ended: deque[float] = deque()

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        while self._ended and self._ended[0] + self._period <= now:
            self._ended.popleft()
        if self._in_flight + len(self._ended) < self._limit:
            return 0.0
        return self._ended[0] + self._period - now if self._ended else UNTIL_RESPONSE

    def take(self, now: float) -> None:  # noqa: ARG002  # the signature of `Pace.take`
        """Record that a request is being sent."""
        self._in_flight += 1

    def end(self, now: float) -> None:
        """Record that a request has ended."""
        self._in_flight -= 1
        self._ended.append(now)


class AdaptivePace(Ramp):
    """Adapts to the rate limit that responses report; no header reports the length of its window.

    - While at least a tenth of the limit remains: as many requests in flight as calls remain.
    - Below that: half as many, since other clients may use the same project.
    - When no call remains: a pause until the time the service reports, 61 s at most, then a slow start.
      One request at a time may always be in flight: its response reports the new state.
    """

    def __init__(self) -> None:
        super().__init__()
        self._in_flight = 0
        self._max_in_flight = math.inf

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        if now < self._next:
            return self._next - now
        return UNTIL_RESPONSE if self._in_flight >= self._max_in_flight else 0.0

    def take(self, now: float) -> None:
        """Record that a request is being sent."""
        self._in_flight += 1
        if self._next != _NEVER:
            super().take(now)

    def end(self) -> None:
        """Record that a request has ended."""
        self._in_flight -= 1

    def update(self, remaining: int, limit: int | None, wait: float | None, now: float) -> None:
        """Adapt to the rate limit that a response reported.

        Args:
            remaining: Calls left in the window.
            limit: Calls that the window allows, if reported.
            wait: Seconds until the service accepts the next call, if reported.
            now: The current time of the monotonic clock, in seconds.
        """
        if remaining <= 0:
            self._max_in_flight = 1
            if wait is not None:
                self.pause_until(now + min(wait, _MAX_REPORTED_PAUSE), now)
        elif limit is not None and remaining * _LOW_DIVISOR < limit:
            self._max_in_flight = remaining // 2 or 1
        else:
            self._max_in_flight = remaining

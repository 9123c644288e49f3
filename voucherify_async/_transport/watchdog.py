"""Limits on how long things may take, kept by one timer for all that may take equally long.

A timer of the loop for each would cost more than all else that there is to watch, and nearly none of them
would ever go off. Things that may take equally long are due in the order in which they began, so that the
timer has to look at the oldest only.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Expiring", "Watchdog"]


class Expiring(Protocol):
    """Something that may take only so long. No two are equal."""

    def expire(self) -> None:
        """The time is over."""
        ...


class Watchdog:
    """Tells things that they have taken longer than they may."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._due: dict[float, dict[Expiring, float]] = {}  # by how long they may take; the oldest first
        self._timers: dict[float, asyncio.TimerHandle] = {}
        self._loop: asyncio.AbstractEventLoop

    def watch(self, thing: Expiring, seconds: float) -> None:
        """Tell a thing when so many seconds are over, unless it is `done` before."""
        things = self._due.get(seconds)
        if things is None:
            self._loop = asyncio.get_running_loop()
            things = self._due[seconds] = {}
            self._timers[seconds] = self._loop.call_at(self._loop.time() + seconds, self._look, seconds)
        things[thing] = self._loop.time() + seconds

    def done(self, thing: Expiring, seconds: float) -> None:
        """A thing has ended; may be said of one that was told."""
        self._due.get(seconds, {}).pop(thing, None)

    def close(self) -> None:
        """Watch nothing any more."""
        self._due.clear()
        while self._timers:
            self._timers.popitem()[1].cancel()

    def _look(self, seconds: float) -> None:
        loop, things = self._loop, self._due[seconds]
        now = loop.time()
        for thing, due in list(things.items()):
            if due > now:
                self._timers[seconds] = loop.call_at(due, self._look, seconds)
                return
            del things[thing]
            thing.expire()
        del self._due[seconds], self._timers[seconds]

"""Time limits for many operations, with one event loop timer per limit.

A timer per operation would cost more than the rest of the bookkeeping, and almost none of them would ever fire.
Operations with the same limit expire in the order in which they started, so one timer per limit is enough: it
is set for the oldest operation.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Expiring", "Watchdog"]


class Expiring(Protocol):
    """Something with a time limit. Must be hashable by identity."""

    def expire(self) -> None:
        """Handle that the time limit is exceeded."""
        ...


class Watchdog:
    """Calls `expire` on items that exceed their time limit."""

    def __init__(self) -> None:
        """Create a watchdog that watches nothing."""
        self._due_times: dict[float, dict[Expiring, float]] = {}  # by limit; the oldest first
        self._timers: dict[float, asyncio.TimerHandle] = {}
        self._loop: asyncio.AbstractEventLoop

    def watch(self, item: Expiring, seconds: float) -> None:
        """Expire an item after this many seconds, unless `done` is called first."""
        items = self._due_times.get(seconds)
        if items is None:
            self._loop = asyncio.get_running_loop()
            items = self._due_times[seconds] = {}
            self._timers[seconds] = self._loop.call_at(
                self._loop.time() + seconds, self._expire_overdue, seconds
            )
        items[item] = self._loop.time() + seconds

    def done(self, item: Expiring, seconds: float) -> None:
        """Stop watching an item. `seconds` is as in `watch`; the item may have expired already."""
        self._due_times.get(seconds, {}).pop(item, None)

    def close(self) -> None:
        """Stop watching all items."""
        self._due_times.clear()
        while self._timers:
            self._timers.popitem()[1].cancel()

    def _expire_overdue(self, seconds: float) -> None:
        loop, items = self._loop, self._due_times[seconds]
        now = loop.time()
        for item, due in list(items.items()):
            if due > now:
                self._timers[seconds] = loop.call_at(due, self._expire_overdue, seconds)
                return
            del items[item]
            item.expire()
        del self._due_times[seconds], self._timers[seconds]

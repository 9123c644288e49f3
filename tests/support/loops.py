"""An event loop whose timers do not depend on the speed of the machine, and waits for conditions."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Final

POLL_SECONDS: Final = 0.001
MAX_STEP_SECONDS: Final = 0.000_1
"""The most by which the time of a loop passes in one iteration in which the loop did not wait in vain."""


class IdleSelector(selectors.DefaultSelector):
    """A selector that measures how long the loop waited for events that did not come."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self._selected_at = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        step = min(time.monotonic() - self._selected_at, MAX_STEP_SECONDS)
        events = super().select(timeout)
        self._selected_at = time.monotonic()
        self.now += timeout if timeout and not events else step
        return events


class IdleLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while it waits and nothing arrives.

    A timeout between a client and a server in this loop expires only when nothing else can happen. However long
    the machine takes for what the two have to do, it is not counted. The loop does wait in real time, so threads
    and other processes have as much time as with another loop.
    """

    def __init__(self) -> None:
        self._idle = IdleSelector()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.now


def loop_time() -> float:
    """The time of the running loop, for a client that compares it with its timers."""
    return asyncio.get_running_loop().time()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that no event announces, such as data that arrives at a socket."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)

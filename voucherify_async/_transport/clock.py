"""Where time and chance come from."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

__all__ = ["Clock"]


@dataclass(slots=True)
class Clock:
    """Time, waiting and chance, for all parts of a client; tests bring their own.

    Attributes:
        monotonic: Seconds since some moment; never goes back.
        epoch: Seconds since 1970 (UTC).
        sleep: Waits a number of seconds.
        random: A number in [0, 1).
    """

    monotonic: Callable[[], float] = time.monotonic
    epoch: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = random.random

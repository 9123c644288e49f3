"""The source of time and random numbers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

__all__ = ["Clock"]


@dataclass(slots=True)
class Clock:
    """Time, sleep and random numbers for all parts of a client; tests replace them.

    Attributes:
        monotonic: The seconds since an arbitrary point in time; never decreases.
        epoch: The seconds since 1970 (UTC).
        sleep: Waits for a number of seconds.
        random: A random number in [0, 1).
    """

    monotonic: Callable[[], float] = time.monotonic
    epoch: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = random.random

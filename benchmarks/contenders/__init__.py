"""Who is compared: this package, and what a user would otherwise write or install.

Each module has a class `Contender` that does the same jobs, in the way that its library is meant to be used.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, Final, Protocol

APP_ID: Final = "benchmark-application-id-of-32-digits"
APP_TOKEN: Final = "benchmark-application-token-of-32-d"

CUSTOMER_ID: Final = "crm-7"
"""Whose activity is read."""


def new_customer(number: int) -> dict[str, Any]:
    """What a caller says of a customer to create."""
    return {
        "source_id": f"crm-{number}",
        "name": "Ada Lovelace",
        "email": f"ada.{number}@example.com",
        "address": {"city": "London", "country": "United Kingdom", "line_1": "12 St James's Square"},
        "metadata": {"tier": "gold", "visits": 42},
    }


class Contender(Protocol):
    """Does the jobs against the server at a URL."""

    def create(self, calls: int, concurrency: int) -> list[float]:
        """Create customers, and say how many seconds each call took."""
        ...

    def walk(self) -> int:
        """Look at every customer of the list, in pages of 100, and count them."""
        ...

    def walk_activity(self) -> int:
        """Look at all that happened to one customer, in pages of 100, and count it."""
        ...

    def close(self) -> None: ...


class AsyncContender(ABC):
    """The jobs of a contender that is made of coroutines, in a loop of their own."""

    def __init__(self, base_url: str, *, uvloop: bool = False) -> None:
        factory = None
        if uvloop:
            from uvloop import new_event_loop  # noqa: PLC0415  # only where it is measured

            factory = new_event_loop
        self.runner = asyncio.Runner(loop_factory=factory)
        self.base_url = base_url
        self.run(self.start())

    def run(self, job: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(job)

    def close(self) -> None:
        self.run(self.stop())
        self.runner.close()

    def create(self, calls: int, concurrency: int) -> list[float]:
        seconds: list[float] = []
        numbers = itertools.islice(itertools.count(), calls)

        async def work() -> None:
            for number in numbers:
                began = time.perf_counter()
                await self.create_one(number)
                seconds.append(time.perf_counter() - began)

        async def all_of_it() -> None:
            async with asyncio.TaskGroup() as workers:
                for _ in range(concurrency):
                    workers.create_task(work())

        self.run(all_of_it())
        return seconds

    def walk(self) -> int:
        count: int = self.run(self.count_customers())
        return count

    def walk_activity(self) -> int:
        count: int = self.run(self.count_activity())
        return count

    async def count_activity(self) -> int:
        """Look at all that happened to one customer; not every contender does."""
        raise TypeError(f"{type(self).__module__} does not read activity")

    @abstractmethod
    async def start(self) -> None:
        """Make a client of the server at `base_url`."""

    @abstractmethod
    async def stop(self) -> None:
        """Close it."""

    @abstractmethod
    async def create_one(self, number: int) -> None:
        """Create a customer, and look at what comes back."""

    @abstractmethod
    async def count_customers(self) -> int:
        """Look at every customer."""

"""What a sandbox is at its start, and again after a reset."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from voucherify_async.sandbox._http.faults import Faults, Latency
from voucherify_async.sandbox._http.rate_limits import Quota
from voucherify_async.sandbox._seed.load import load_customers
from voucherify_async.sandbox._seed.seed import seed_customers
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.segments import Segment
from voucherify_async.sandbox._store.store import Store

__all__ = ["InitialState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialState:
    """The arguments of a sandbox from which its data and settings are made, at its start and when it is reset."""

    latency: Latency
    faults: Faults
    rate_limit: int | Quota | None
    seed: int
    quirks: Quirks
    job_seconds: float
    job_seconds_per_item: float
    segments: tuple[Segment, ...]
    customers: int
    load: str | os.PathLike[str] | None

    def empty_store(self, clock: Callable[[], float] = time.time) -> Store:
        """A store without customers."""
        return Store(
            seed=self.seed,
            clock=clock,
            quirks=self.quirks,
            job_seconds=self.job_seconds,
            job_seconds_per_item=self.job_seconds_per_item,
            segments=self.segments,
        )

    def fill(self, store: Store, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Generate and load the customers into an empty store.

        Raises:
            ValueError: The file to load has an invalid line.
            OSError: It cannot be read.
        """
        seed_customers(store, self.customers, on_progress)
        if self.load is not None:
            load_customers(store, self.load)

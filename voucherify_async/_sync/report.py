"""The report of a sync job, and the statistics that it is made from."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, Generic, Literal

import msgspec

from voucherify_async._sync.results import SyncCounts, SyncFailure, SyncJob, SyncProgress
from voucherify_async._sync.state import read_failures, read_missing
from voucherify_async._transport.clock import Clock
from voucherify_async.models.customers import CustomerUpsert

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

__all__ = ["FailedItems", "SyncReport", "SyncStats"]

T = TypeVar("T", default=CustomerUpsert)

_MAX_FAILURES: Final = 10_000
_MAX_FAILED_BYTES: Final = 16 * 1024 * 1024
_MAX_JOBS: Final = 10_000
_PROGRESS_INTERVAL: Final = 0.1
"""Seconds."""


class SyncReport(SyncCounts, Generic[T], frozen=True, kw_only=True):
    """The outcome of a sync job.

    At most 10,000 failures are kept, or 16 MiB of items and messages. `omitted` counts the others.

    Attributes:
        failures: Invalid and failed items, by position.
        jobs: The background jobs: the last 10,000 that ended and, if the sync stopped early, those that are still
            running, as ``IN_PROGRESS``.
        omitted: Number of failures that are not in `failures`.
        omitted_to: Where the omitted failures are: in the state file (``state``), passed to `on_failure`
            (``callback``), or nowhere (`None`).
        state: The path of the state file, if there is one.
        missing: Number of customers that are in the state file but no longer in the source. `None` without a state
            file, if the source was not read to its end or was `failed_items()`, or if an item had no readable
            `source_id`.
        skipped: Number of empty lines of a CSV file, and of rows with only empty cells.
    """

    failures: tuple[SyncFailure, ...]
    jobs: tuple[SyncJob, ...]
    omitted: int = 0
    omitted_to: Literal["state", "callback"] | None = None
    state: str | None = None
    missing: int | None = None
    skipped: int = 0

    def __repr__(self) -> str:
        return f"<SyncReport: {self.summary()}>"

    def all_failures(self) -> Iterator[SyncFailure]:
        """All failures. If the report omits some, all are read from the state file, in the order they occurred.

        Raises:
            ValueError: Failures are omitted, and the sync had no state file.
            SyncStateError: The state file is in use or damaged.
            FileNotFoundError: The state file no longer exists.
        """
        if not self.omitted:
            return iter(self.failures)
        if self.state is not None:
            return read_failures(self.state)
        raise ValueError(f"{self.omitted:,} failures are not kept in the report, as the sync had no state")

    def missing_source_ids(self) -> Iterator[str]:
        """The `source_id` of each customer that is in the state file but no longer in the source.

        Raises:
            ValueError: `missing` is `None`.
            SyncStateError: The state file is in use or damaged.
            FileNotFoundError: The state file no longer exists.
        """
        if self.state is None or self.missing is None:
            raise ValueError(
                "missing is not known: there was no state, or the sync did not see all of the source"
            )
        return read_missing(self.state)

    def failed_items(self) -> FailedItems[T]:
        """The items that were sent and failed, for a second sync. Invalid items are not included.

        A failure that the service did not attribute to an item is left out.

        Raises:
            ValueError: Failures are omitted, and the sync had no state file.
            SyncStateError: The state file is in use or damaged.
            FileNotFoundError: The state file no longer exists.
        """
        items: Iterator[Any] = map(attrgetter("item"), self.all_failures())
        return FailedItems((item for item in items if item is not None), self.state)


class FailedItems(Iterator[T]):
    """An iterator over the failed items of a sync. A sync with this source does not count missing customers.

    Attributes:
        state: The path of the state file from which the items may be read; `None` if there is none.
    """

    def __init__(self, items: Iterator[T], state: str | None) -> None:
        """Iterate over these items."""
        self._items = items
        self.state = state

    def __next__(self) -> T:
        """The next item."""
        return next(self._items)


class SyncStats:
    """Counts items, collects failures and reports progress while a sync runs."""

    def __init__(
        self,
        clock: Clock,
        on_progress: Callable[[SyncProgress], object] | None,
        on_failure: Callable[[SyncFailure], object] | None,
    ) -> None:
        """Call these functions, at times given by this clock."""
        self.read = 0
        self.sent = 0
        self.succeeded = 0
        self.failed = 0
        self.invalid = 0
        self.resent = 0
        self.duplicates = 0
        self.unchanged = 0
        self.missing: int | None = None
        self.open: dict[str, tuple[int, float]] = {}
        """For each open job, the number of its items and when it was accepted, in epoch seconds."""
        self._clock = clock
        self._on_progress = on_progress
        self._on_failure = on_failure
        self._began = clock.monotonic()
        self._last_reported = -math.inf
        self._progress: SyncProgress | None = None
        self._failures: list[SyncFailure] = []
        self._failed_bytes = 0
        self._omitted = 0
        self._jobs: deque[SyncJob] = deque(maxlen=_MAX_JOBS)

    def fail(self, failures: Sequence[SyncFailure]) -> None:
        """Collect failures up to the limits, and pass each to the callback."""
        for failure in failures:
            self._failed_bytes += _size(failure)
            if len(self._failures) < _MAX_FAILURES and self._failed_bytes <= _MAX_FAILED_BYTES:
                self._failures.append(failure)
            else:
                self._omitted += 1
            if self._on_failure is not None:
                self._on_failure(failure)

    def end(self, items: int, failures: Sequence[SyncFailure]) -> None:
        """Count the items of an ended batch."""
        self.failed += len(failures)
        self.succeeded += items - len(failures)
        self.fail(failures)

    def add_job(self, job: SyncJob) -> None:
        """Collect an ended job."""
        self._jobs.append(job)

    def report_progress(self, *, last: bool = False) -> None:
        """Report the progress, at most every 0.1 s."""
        if self._on_progress is None:
            return
        now = self._clock.monotonic()
        if now - self._last_reported < _PROGRESS_INTERVAL and not last:
            return
        progress = SyncProgress(**self._counts(), open_jobs=len(self.open), elapsed=now - self._began)
        if last and _is_repeated(progress, self._progress):
            return  # the end has been told
        self._last_reported, self._progress = now, progress
        self._on_progress(progress)

    def report(self, state: str | None) -> SyncReport[Any]:
        """The report so far; `state` is the path of the state file, if there is one."""
        elsewhere: Literal["state", "callback"] | None
        elsewhere = "state" if state else "callback" if self._on_failure else None
        by_position = sorted(
            self._failures,
            key=lambda failure: sys.maxsize if failure.position is None else failure.position,
        )
        return SyncReport(
            **self._counts(),
            failures=tuple(by_position),
            jobs=(*self._jobs, *self._open_jobs()),
            omitted=self._omitted,
            omitted_to=elsewhere if self._omitted else None,
            state=state,
            missing=self.missing,
        )

    def _open_jobs(self) -> Iterator[SyncJob]:
        now = self._clock.epoch()
        for job_id, (items, accepted) in self.open.items():
            yield SyncJob(
                id=job_id,
                status="IN_PROGRESS",
                items=items,
                succeeded=0,
                failed=0,
                duration=max(0.0, now - accepted),
            )

    def _counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in SyncCounts.__struct_fields__}


def _size(failure: SyncFailure) -> int:
    texts = (failure.source_id, failure.key, failure.message, failure.details)
    return len(bytes(failure.raw_item)) + sum(len(text) for text in texts if text is not None)


def _is_repeated(progress: SyncProgress, before: SyncProgress | None) -> bool:
    """Whether only the time differs from the progress reported before."""
    return before is not None and progress == msgspec.structs.replace(before, elapsed=progress.elapsed)

"""Background jobs: the protocol for starting and reading them, and a poller that waits for all of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from voucherify_async._sync.outcome import ErrorAction, classify_error
from voucherify_async._tasks import gather
from voucherify_async._transport.clock import Clock
from voucherify_async.errors import NotFoundError, VoucherifyError
from voucherify_async.models.async_actions import AsyncAction
from voucherify_async.models.base import Number

__all__ = ["MAX_FAILURES", "OPEN", "JobPoller", "JobService", "pauses"]

_FIRST_PAUSE: Final = 0.1
_MIN_PAUSE: Final = 0.05
_PAUSE_GROWTH: Final = 1.5
_MAX_PAUSE: Final = 5.0

MAX_FAILURES: Final = 30
"""Consecutive calls that may fail, after the session's own retries: about three minutes."""
_UNKNOWN_SECONDS: Final = 30.0
"""How long a new job may be missing: a service can take a moment to list its own jobs."""
_STRANGE_SECONDS: Final = 600.0
"""How long an undocumented status is taken for an open job, before it is taken for an ended one."""

_ENDED: Final = frozenset({"DONE", "FAILED"})
OPEN: Final = frozenset({"ENQUEUED", "IN_PROGRESS"})


class JobService(Protocol):
    """Starts and reads background jobs of one type. Every method raises `VoucherifyError`."""

    async def start(self, content: bytes, /) -> str:
        """Start a job with this request body and return its id."""
        ...

    async def get(self, job_id: str, /) -> AsyncAction:
        """Fetch a job."""
        ...

    async def open_before(self, action: AsyncAction | None, /) -> list[str]:
        """The ids of open jobs that were started before this one; of all open jobs if no job is given."""
        ...


def pauses() -> Iterator[float]:
    """Seconds between polls: 0.1, growing by half up to 5."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWTH, _MAX_PAUSE)


@dataclass(eq=False, slots=True)
class OpenJob:
    """A job that a caller is waiting for.

    Attributes:
        job_id: Its id.
        accepted: When the service accepted it, in epoch seconds.
        ended: Resolves to the job when it has ended, or to `None` if the service does not know it.
        progressed: When its progress last changed, or else when the wait began.
        due: When it is expected to end.
        progress: Its progress at the last poll, in percent.
        strange_since: When an undocumented status was first seen.
    """

    job_id: str
    accepted: float
    ended: asyncio.Future[AsyncAction | None]
    progressed: float
    due: float
    progress: Number = 0
    strange_since: float | None = None

    def note(self, progress: Number | None, now: float) -> None:
        """Update the due time, assuming that the job goes on as fast as since the last poll."""
        if progress is not None and progress > self.progress:
            self.due = now + (100 - progress) * (now - self.progressed) / (progress - self.progress)
            self.progress, self.progressed = progress, now
        elif self.due <= now:
            self.due = math.inf


class JobPoller:
    """Polls open jobs until they have ended.

    Each round polls the oldest job, one other job in turn, and every job that is due: by its progress, or by the
    duration of the job before. Pauses between rounds grow, but never past the time at which a job is due.
    """

    def __init__(self, jobs: JobService, clock: Clock, *, max_server_wait: float) -> None:
        """Poll these jobs; see `classify_error` for `max_server_wait`."""
        self._jobs = jobs
        self._clock = clock
        self._max_server_wait = max_server_wait
        self._open: list[OpenJob] = []
        self._failures = 0
        self._turn = 0
        self._usual = math.inf
        """Duration of the last job by the service's own account, in seconds."""
        self._wanted = asyncio.Event()
        self._closed = False

    async def ended(self, job_id: str, accepted: float = 0.0) -> AsyncAction | None:
        """Wait until a job has ended. Returns `None` if the service does not know the job.

        Args:
            job_id: The job's id.
            accepted: When the service accepted it, in epoch seconds. A new job may be unknown for a moment.
        """
        now = self._clock.monotonic()
        job = OpenJob(
            job_id,
            accepted,
            asyncio.get_running_loop().create_future(),
            progressed=now,
            due=now + self._usual,
        )
        self._open.append(job)
        self._wanted.set()
        try:
            return await job.ended
        finally:
            if job in self._open:
                self._open.remove(job)

    async def all_ended(self, action: AsyncAction | None = None) -> None:
        """Wait until all jobs that were started before this one have ended; without a job, all open jobs.

        A request whose response was lost may have started a job, which must not undo later changes.
        """
        for job_id in await self._open_before(action):
            await self.ended(job_id)

    async def _open_before(self, action: AsyncAction | None) -> list[str]:
        for failures, pause in enumerate(pauses(), start=1):
            try:
                return await self._jobs.open_before(action)
            except VoucherifyError as error:
                reaction = classify_error(error, max_server_wait=self._max_server_wait)
                if reaction is not ErrorAction.RETRY or failures == MAX_FAILURES:
                    raise
            await self._clock.sleep(pause)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Let `run` end when no job is open."""
        self._closed = True
        self._wanted.set()

    async def run(self) -> None:
        """Poll until closed.

        Raises:
            VoucherifyError: Polling failed too many times in a row.
        """
        while not self._closed:
            await self._wanted.wait()
            waits = pauses()
            while self._open:
                due = min(job.due for job in self._open) - self._clock.monotonic()
                await self._clock.sleep(min(next(waits), max(due, _MIN_PAUSE)))
                if await self._round():
                    waits = pauses()
            if not self._closed:
                self._wanted.clear()

    async def _round(self) -> bool:
        """Poll some jobs, then more of the oldest ones while all polled jobs have ended. Returns whether any has ended."""
        now, self._turn = self._clock.monotonic(), self._turn + 1
        oldest, others = self._open[:1], self._open[1:]
        other = others[self._turn % len(others)] if others else None
        polled = oldest + [job for job in others if job is other or job.due <= now]
        found = 0
        while polled:
            ended = await gather(*map(self._poll_job, polled))
            found += sum(ended)
            polled = self._open[:found] if all(ended) else []
        return found > 0

    async def _poll_job(self, job: OpenJob) -> bool:
        action: AsyncAction | None = None
        try:
            action = await self._jobs.get(job.job_id)
        except NotFoundError:
            if self._clock.epoch() - job.accepted < _UNKNOWN_SECONDS:
                return False
        except VoucherifyError as error:
            self._failures += 1
            reaction = classify_error(error, max_server_wait=self._max_server_wait)
            if reaction is not ErrorAction.RETRY or self._failures >= MAX_FAILURES:
                raise
            return False
        self._failures = 0
        if action is not None and not self._is_over(job, action):
            job.note(action.progress, self._clock.monotonic())
            return False
        if job in self._open:
            self._open.remove(job)
        if action is not None and action.processing_time is not None:
            self._usual = action.processing_time / 1000
        if not job.ended.done():
            job.ended.set_result(action)
        return True

    def _is_over(self, job: OpenJob, action: AsyncAction) -> bool:
        if action.status in _ENDED:
            return True
        now = self._clock.monotonic()
        if action.status in OPEN or job.strange_since is None:
            job.strange_since = None if action.status in OPEN else now
            return False
        return now - job.strange_since >= _STRANGE_SECONDS

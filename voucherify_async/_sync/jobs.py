"""Background jobs as a sync job sees them: how they are started and read, and one task that waits for all."""

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

__all__ = ["MAX_FAILURES", "OPEN", "JobPoller", "JobService", "pauses"]

_FIRST_PAUSE: Final = 0.1
_MIN_PAUSE: Final = 0.05
_PAUSE_GROWTH: Final = 1.5
_MAX_PAUSE: Final = 5.0

MAX_FAILURES: Final = 30
"""Calls in a row that may fail, each after all that the session does about it: some three minutes."""
_UNKNOWN_SECONDS: Final = 30.0
"""For which a job may be unknown after it was taken on: a service can take a moment to know its own jobs."""
_STRANGE_SECONDS: Final = 600.0
"""For which a job may have a status that nobody knows, and that may mean that it has ended."""

_ENDED: Final = frozenset({"DONE", "FAILED"})
OPEN: Final = frozenset({"ENQUEUED", "IN_PROGRESS"})


class JobService(Protocol):
    """The background jobs of one type, as the service has them. Each method raises `VoucherifyError`."""

    async def start(self, content: bytes, /) -> str:
        """Start a job for this request body; its id."""
        ...

    async def get(self, job_id: str, /) -> AsyncAction:
        """Fetch a job."""
        ...

    async def open_before(self, action: AsyncAction | None, /) -> list[str]:
        """The ids of the jobs that were started before this one, or of all if none is given, and have not ended."""
        ...


def pauses() -> Iterator[float]:
    """Seconds between looks at a job: 0.1, then growing by half to 5."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWTH, _MAX_PAUSE)


@dataclass(eq=False, slots=True)
class OpenJob:
    """A job that somebody waits for.

    Attributes:
        job_id: Its id.
        accepted: When it was taken on, in epoch seconds.
        ended: Is given the job when it has ended, or nothing if the service does not know it.
        began: When the wait began.
        looked: When its progress was seen last.
        due: When it should end, as far as anybody can tell.
        progress: How far it had come when it was looked at, in percent.
        strange_since: Since when it has had a status that nobody knows.
    """

    job_id: str
    accepted: float
    ended: asyncio.Future[AsyncAction | None]
    began: float
    looked: float
    due: float
    progress: int = 0
    strange_since: float | None = None

    def note(self, progress: int | None, now: float) -> None:
        """Take down how far the job has come by now: it should go on as fast as since the last look."""
        if progress is not None and progress > self.progress:
            self.due = now + (100 - progress) * (now - self.looked) / (progress - self.progress)
            self.progress, self.looked = progress, now
        elif self.due <= now:
            self.due = math.inf


class JobPoller:
    """Looks at open jobs until they have ended.

    The service takes jobs in the order in which they came, large ones in turns. So it is the oldest that is
    worth a look, and one of the others in turn, and those that should have ended by their progress, or as they have
    taken as long as the last one did. The pauses grow, but none goes past the time at which a job should end.
    """

    def __init__(self, jobs: JobService, clock: Clock, *, max_server_wait: float) -> None:
        """Look at `jobs`; see `classify_error` for `max_server_wait`."""
        self._jobs = jobs
        self._clock = clock
        self._max_server_wait = max_server_wait
        self._open: list[OpenJob] = []
        self._failures = 0
        self._turn = 0
        self._usual = math.inf
        """Seconds that the last job has taken."""
        self._wanted = asyncio.Event()
        self._closed = False

    async def ended(self, job_id: str, accepted: float = 0.0) -> AsyncAction | None:
        """Wait until a job has ended; `None` if the service does not know it.

        Args:
            job_id: The job's id.
            accepted: When it was taken on, in epoch seconds. A new one is not given up at once.
        """
        now = self._clock.monotonic()
        watch = OpenJob(
            job_id,
            accepted,
            asyncio.get_running_loop().create_future(),
            began=now,
            looked=now,
            due=now + self._usual,
        )
        self._open.append(watch)
        self._wanted.set()
        try:
            return await watch.ended
        finally:
            if watch in self._open:
                self._open.remove(watch)

    async def all_ended(self, action: AsyncAction | None = None) -> None:
        """Wait until all jobs have ended that were started before this one, or all there are.

        A request whose answer was lost may have started one, which must not undo what comes next.
        """
        for job_id in await self._open_before(action):
            await self.ended(job_id)

    async def _open_before(self, action: AsyncAction | None) -> list[str]:
        for failures, pause in enumerate(pauses(), start=1):
            try:
                return await self._jobs.open_before(action)
            except VoucherifyError as error:
                verdict = classify_error(error, max_server_wait=self._max_server_wait)
                if verdict is not ErrorAction.AGAIN or failures == MAX_FAILURES:
                    raise
            await self._clock.sleep(pause)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End `run` when no job is open."""
        self._closed = True
        self._wanted.set()

    async def run(self) -> None:
        """Look after jobs until closed.

        Raises:
            VoucherifyError: Looking fails, and goes on to fail.
        """
        while not self._closed:
            await self._wanted.wait()
            waits = pauses()
            while self._open:
                due = min(watch.due for watch in self._open) - self._clock.monotonic()
                await self._clock.sleep(min(next(waits), max(due, _MIN_PAUSE)))
                if await self._round():
                    waits = pauses()
            if not self._closed:
                self._wanted.clear()

    async def _round(self) -> bool:
        """Look at some jobs, and at as many of the oldest again while all have ended; whether any has."""
        now, self._turn = self._clock.monotonic(), self._turn + 1
        oldest, others = self._open[:1], self._open[1:]
        in_turn = others[self._turn % len(others)] if others else None
        chosen = oldest + [watch for watch in others if watch is in_turn or watch.due <= now]
        found = 0
        while chosen:
            ended = await gather(*map(self._has_ended, chosen))
            found += sum(ended)
            chosen = self._open[:found] if all(ended) else []
        return found > 0

    async def _has_ended(self, watch: OpenJob) -> bool:
        action: AsyncAction | None = None
        try:
            action = await self._jobs.get(watch.job_id)
        except NotFoundError:
            if self._clock.epoch() - watch.accepted < _UNKNOWN_SECONDS:
                return False
        except VoucherifyError as error:
            self._failures += 1
            verdict = classify_error(error, max_server_wait=self._max_server_wait)
            if verdict is not ErrorAction.AGAIN or self._failures >= MAX_FAILURES:
                raise
            return False
        self._failures = 0
        if action is not None and not self._is_over(watch, action):
            watch.note(action.progress, self._clock.monotonic())
            return False
        if watch in self._open:
            self._open.remove(watch)
        self._usual = self._clock.monotonic() - watch.began
        if not watch.ended.done():
            watch.ended.set_result(action)
        return True

    def _is_over(self, watch: OpenJob, action: AsyncAction) -> bool:
        if action.status in _ENDED:
            return True
        now = self._clock.monotonic()
        if action.status in OPEN or watch.strange_since is None:
            watch.strange_since = None if action.status in OPEN else now
            return False
        return now - watch.strange_since >= _STRANGE_SECONDS

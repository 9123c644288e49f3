"""Sync jobs: a source is sent in batches as background jobs, and it is found out what became of each item."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from voucherify_async._sync.batches import Batch, Item, make_batch
from voucherify_async._sync.delivery import Delivery, Stage
from voucherify_async._sync.jobs import MAX_FAILURES, JobPoller, JobService, pauses
from voucherify_async._sync.outcome import ErrorAction, classify_error, fail_all, find_failures
from voucherify_async._sync.reader import SourceReader
from voucherify_async._sync.report import SyncReport, SyncStats
from voucherify_async._sync.results import SyncFailure, SyncJob
from voucherify_async._sync.spec import JobSpec, SyncSettings
from voucherify_async._sync.state import SyncState
from voucherify_async._tasks import gather
from voucherify_async._transport.clock import Clock
from voucherify_async.errors import APIStatusError, OutcomeUnknownError, SyncTimeoutError, VoucherifyError

__all__ = ["sync"]

_MAX_REFUSALS: Final = 50
"""After which a batch is not taken further apart: enough for a few bad items among 25,000."""


async def sync(
    jobs: JobService,
    kind: JobSpec,
    source: Iterable[Any] | AsyncIterable[Any],
    options: SyncSettings,
    *,
    clock: Clock,
    max_server_wait: float,
) -> SyncReport[Any]:
    """Send what a source yields.

    Args:
        jobs: The background jobs of the service.
        kind: What is done.
        source: Is closed at the end, if it is a generator.
        options: How it is done.
        clock: For pauses and durations.
        max_server_wait: Seconds; a longer wait that the service asks for ends the sync.

    Raises:
        VoucherifyError: The service takes no more, or cannot be reached; `report` is on the error.
        SyncStateError: The state cannot be used.
        SyncTimeoutError: It has not ended in time; `report` is on the error.
        ValueError: With `on_invalid="raise"` an item is invalid.
    """
    tally = SyncStats(clock, options.on_progress, options.on_failure)
    async with SyncState(options.state, project=kind.project, kinds=[kind.name]) as state:
        reader = SourceReader(source, kind, state, tally, options)
        failure: BaseException | None = None
        try:
            await state.begin()
            poller = JobPoller(jobs, clock, max_server_wait=max_server_wait)
            job = SyncRun(jobs, poller, kind, reader, state, tally, clock, max_server_wait)
            await _in_time(job, options)
            await reader.write_failures()
            if reader.saw_all:
                tally.missing = await state.complete()
        except Exception as error:
            failure = error
            await reader.write_failures()
            report = tally.report(state.path)
            if isinstance(error, VoucherifyError):
                error.report = report
            else:
                error.report = report  # type: ignore[attr-defined]  # as VoucherifyErrors have it
                error.add_note(f"the sync stopped after {report.read:,} items: {report.summary()}")
            raise
        except BaseException as error:
            failure = error
            raise
        finally:
            await _close(reader, failure)
    tally.tell(last=True)
    return tally.report(state.path)


async def _in_time(job: SyncRun, options: SyncSettings) -> None:
    limit = asyncio.timeout(options.timeout)
    try:
        async with limit:
            await job.run(options.concurrency)
    except TimeoutError:
        if limit.expired():
            raise SyncTimeoutError(f"the sync has not ended within {options.timeout} s") from None
        raise  # of the source


async def _close(reader: SourceReader, failure: BaseException | None) -> None:
    """Close the source. Why the sync has failed says more than why the source cannot be closed."""
    try:
        await reader.aclose()
    except Exception as error:
        if failure is None:
            raise
        failure.add_note(f"closing the source failed, too: {error!r}")


@dataclass(slots=True)
class SyncRun:
    """Carries batches from the reader to the service, several at once."""

    jobs: JobService
    poller: JobPoller
    kind: JobSpec
    reader: SourceReader
    state: SyncState
    tally: SyncStats
    clock: Clock
    max_server_wait: float

    async def run(self, concurrency: int) -> None:
        """Carry all batches, so many at once, after what an earlier sync has left."""
        await gather(self.poller.run(), self._work_together(concurrency))

    async def _work_together(self, concurrency: int) -> None:
        try:
            await self._settle_past()
            await gather(*(self._work() for _ in range(concurrency)))
        finally:
            self.poller.close()

    async def _settle_past(self) -> None:
        """Find out what became of the batches that an earlier sync has sent; see `SyncState`."""
        left = await self.state.unsettled()
        if any(not unsettled.job_id for unsettled in left):
            await self.poller.all_ended()
        for unsettled in left:
            items = [Item(index, key, b"") for index, key in enumerate(unsettled.keys)]
            batch = make_batch(unsettled.number, items, self.kind.frame)
            failures = None
            if unsettled.job_id:
                action = await self.poller.ended(unsettled.job_id, unsettled.accepted)
                if action is not None:
                    await self.poller.all_ended(action)
                    failures = find_failures(action, batch, self.kind.accounting)
            await self.state.settled(unsettled, failures)

    async def _work(self) -> None:
        while (batch := await self.reader.next()) is not None:
            failures = await self._carry(batch)
            await self.state.ended(batch, failures)
            self.tally.end(len(batch), failures)
            self.reader.settle(batch)
            self.tally.tell()

    async def _carry(self, batch: Batch) -> list[SyncFailure]:
        """See a batch through; the items of it that did not make it.

        It may be refused for one of its items: those of each half are then tried by themselves, and so on. A
        job that fails is done once more, if that cannot do harm.
        """
        failures: list[SyncFailure] = []
        deliveries, refusals = [Delivery(batch)], 0
        while deliveries:
            delivery = deliveries.pop()
            error = await self._start(delivery)
            if error is None:
                found, job = await self._outcome(delivery)
                if found is not None:
                    failures += found
                elif delivery.is_second_job or not delivery.batch.is_repeatable:
                    failures += fail_all(delivery.batch, key="job_failed", message=_fate(job))
                else:
                    delivery.fail()
                    await self._record(self.state.doubted, delivery)
                    deliveries.append(delivery)
                continue
            self._count_sent(delivery)
            if self._judge(error) is not ErrorAction.REFUSED:
                failures += fail_all(delivery.batch, key="outcome_unknown", message=str(error))
                continue
            refusals += 1
            if len(delivery.batch) == 1 or refusals > _MAX_REFUSALS:
                failures += _refused(delivery.batch, error)
            else:
                deliveries += reversed(delivery.halves())
        return failures

    async def _start(self, delivery: Delivery) -> VoucherifyError | None:
        """Have a job take a batch on; `None` if one has, else why its items have failed.

        A batch of which nobody knows whether it arrived is sent again, if that cannot do harm.
        """
        if not delivery.may_be_sent:
            return OutcomeUnknownError("it was sent, and no answer came")
        await self._record(self.state.sending, delivery)
        for failures, pause in enumerate(pauses(), start=1):
            error = await self._request(delivery)
            if error is None:
                await self._record(self.state.accepted, delivery)
                self.tally.tell()
                return None
            verdict = self._judge(error)
            if verdict is ErrorAction.REFUSED or (verdict is ErrorAction.AGAIN and not delivery.may_be_sent):
                return error
            if verdict is ErrorAction.STOP or failures == MAX_FAILURES:
                if delivery.stage is Stage.UNSENT:
                    await self._record(self.state.unsent, delivery)
                raise error
            await self.clock.sleep(pause)
        raise AssertionError("unreachable")

    async def _request(self, delivery: Delivery) -> VoucherifyError | None:
        """Send a batch once, as far as the session does; why no job has taken it on, if so."""
        error: VoucherifyError | None = None
        job_id = ""
        try:
            job_id = await self.jobs.start(delivery.batch.content)
        except VoucherifyError as failure:
            error = failure
        if error is not None and not error.may_have_been_applied:
            return error
        if delivery.stage is Stage.IN_DOUBT:
            delivery.repeats += 1
            self.tally.resent += len(delivery.batch)
        self._count_sent(delivery)
        if error is None:
            delivery.accept(job_id, self.clock.epoch())
        else:
            delivery.doubt()
        return error

    def _count_sent(self, delivery: Delivery) -> None:
        """Count the items, the first time that they may have arrived, or at the end."""
        if delivery.stage is Stage.UNSENT and not delivery.is_part:
            self.tally.sent += len(delivery.batch)

    async def _outcome(self, delivery: Delivery) -> tuple[list[SyncFailure] | None, SyncJob]:
        """What the job of a batch has not done, once it has ended, or `None` if it does not say; and the job."""
        batch = delivery.batch
        self.tally.open[delivery.job_id] = len(batch), delivery.accepted
        action = await self.poller.ended(delivery.job_id, delivery.accepted)
        if action is not None and delivery.repeats:
            await self.poller.all_ended(action)
        del self.tally.open[delivery.job_id]
        failures = None if action is None else find_failures(action, batch, self.kind.accounting)
        failed = len(batch) if failures is None else len(failures)
        job = SyncJob(
            id=delivery.job_id,
            status=None if action is None else action.status,
            items=len(batch),
            succeeded=len(batch) - failed,
            failed=failed,
            duration=max(0.0, self.clock.epoch() - delivery.accepted),
        )
        self.tally.add_job(job)
        return failures, job

    async def _record(self, write: Callable[[Delivery], Awaitable[None]], delivery: Delivery) -> None:
        """Put the stage of a batch on record; of a part only the end counts."""
        if not delivery.is_part:
            await write(delivery)

    def _judge(self, error: VoucherifyError) -> ErrorAction:
        return classify_error(error, max_server_wait=self.max_server_wait)


def _refused(batch: Batch, error: VoucherifyError) -> list[SyncFailure]:
    key, message, details = None, str(error), None
    if isinstance(error, APIStatusError):
        key, message, details = error.key, error.message, error.details
    return fail_all(batch, key=key, message=message, details=details)


def _fate(job: SyncJob) -> str:
    match job.status:
        case "DONE":
            return f"the job {job.id} ended, and does not say what became of its items"
        case None:
            return f"the service does not know the job {job.id} any more"
        case _:
            return f"the job {job.id} ended as {job.status}"

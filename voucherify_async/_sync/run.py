"""Runs a sync job: sends the batches of a source as background jobs and collects the outcome of each item."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from voucherify_async._sync.batches import Batch, Item, make_batch
from voucherify_async._sync.delivery import Delivery, Stage
from voucherify_async._sync.jobs import MAX_FAILURES, JobPoller, JobService, pauses
from voucherify_async._sync.outcome import ErrorAction, classify_error, fail_all, find_failures
from voucherify_async._sync.reader import SourceReader
from voucherify_async._sync.report import FailedItems, SyncReport, SyncStats
from voucherify_async._sync.results import SyncFailure, SyncJob
from voucherify_async._sync.spec import JobSpec, SyncSettings
from voucherify_async._sync.state import SyncState
from voucherify_async._tasks import gather
from voucherify_async._transport.clock import Clock
from voucherify_async.errors import (
    APIStatusError,
    OutcomeUnknownError,
    SyncStateError,
    SyncTimeoutError,
    VoucherifyError,
)
from voucherify_async.models.async_actions import AsyncAction

__all__ = ["sync"]

_MAX_REJECTIONS: Final = 50
"""Rejections after which a batch is not split any further: enough to find a few bad items among 25,000."""


async def sync(
    jobs: JobService,
    spec: JobSpec,
    source: Iterable[Any] | AsyncIterable[Any],
    settings: SyncSettings,
    *,
    clock: Clock,
    max_server_wait: float,
) -> SyncReport[Any]:
    """Send the items of a source.

    Args:
        jobs: Starts and reads background jobs.
        spec: What the sync does.
        source: The items. A generator is closed at the end.
        settings: The settings of the caller.
        clock: The source of time.
        max_server_wait: In seconds. If the service asks for a longer wait, the sync fails.

    Raises:
        VoucherifyError: The service cannot be reached or rejects every request; the error has the `report`.
        SyncStateError: The state file cannot be used.
        SyncTimeoutError: The timeout expired; the error has the `report`.
        ValueError: An item is invalid, with `on_invalid="raise"`.
    """
    stats = SyncStats(clock, settings.on_progress, settings.on_failure)
    state = SyncState(settings.state, project=spec.project, kinds=[spec.name])
    limit = asyncio.timeout(settings.timeout)
    try:
        async with limit:
            if isinstance(source, FailedItems) and source.state == state.path is not None:
                source = FailedItems(iter(list(source)), None)  # they are read from the file that is used now
            async with state:
                reader = SourceReader(source, spec, state, stats, settings)
                poller = JobPoller(jobs, clock, max_server_wait=max_server_wait)
                run = SyncRun(jobs, poller, spec, reader, state, stats, clock, max_server_wait)
                await _run(run, settings.concurrency)
    except TimeoutError:
        if not limit.expired():
            raise  # of the source
        error = SyncTimeoutError(f"the sync has not ended within {settings.timeout} s")
        error.report = stats.report(state.path)
        raise error from None
    stats.report_progress(last=True)
    return stats.report(state.path)


async def _run(run: SyncRun, concurrency: int) -> None:
    """Run a sync, attach the report to its error, and close the source."""
    failure: BaseException | None = None
    try:
        await run.state.begin_sync()
        await run.run(concurrency)
        await run.reader.write_failures()
        if run.reader.saw_all:
            run.stats.missing = await run.state.record_missing()
    except Exception as error:
        failure = error
        with suppress(SyncStateError):  # the first error says more
            await run.reader.write_failures()
        with suppress(Exception):  # the callback may be what failed
            run.stats.report_progress(last=True)
        report = run.stats.report(run.state.path)
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
        await _close(run.reader, failure)


async def _close(reader: SourceReader, failure: BaseException | None) -> None:
    """Close the source. If the sync has failed already, an error here becomes a note on that failure."""
    try:
        await reader.aclose()
    except Exception as error:
        if failure is None:
            raise
        failure.add_note(f"closing the source failed as well: {error!r}")


@dataclass(slots=True)
class SyncRun:
    """Delivers batches from the reader to the service, several at once."""

    jobs: JobService
    poller: JobPoller
    spec: JobSpec
    reader: SourceReader
    state: SyncState
    stats: SyncStats
    clock: Clock
    max_server_wait: float

    async def run(self, concurrency: int) -> None:
        """Settle the batches of an earlier sync, then deliver all batches with this many workers."""
        await gather(self.poller.run(), self._run_workers(concurrency))

    async def _run_workers(self, concurrency: int) -> None:
        try:
            await self._settle_earlier()
            await gather(*(self._work() for _ in range(concurrency)))
        finally:
            self.poller.close()

    async def _settle_earlier(self) -> None:
        """Record the outcome of batches that an earlier sync sent; see `_sync.state`."""
        batches = await self.state.pending_batches()
        if any(not pending.job_id for pending in batches):
            await self.poller.all_ended()
        for pending in batches:
            items = [Item(index, key, b"") for index, key in enumerate(pending.keys)]
            batch = make_batch(pending.number, items, self.spec.template)
            failures = None
            if pending.job_id:
                action = await self.poller.ended(pending.job_id, pending.accepted)
                if action is not None:
                    await self.poller.all_ended(action)
                    failures = find_failures(action, batch, self.spec.read_result)
            await self.state.settle(pending, failures)

    async def _work(self) -> None:
        while (batch := await self.reader.next()) is not None:
            failures = await self._carry(batch)
            await self.state.record_ended(batch, failures)
            self.stats.end(len(batch), failures)
            self.reader.settle(batch)
            self.stats.report_progress()

    async def _carry(self, batch: Batch) -> list[SyncFailure]:
        """Deliver a batch and return its failures.

        If the service rejects the batch, a single item may be the reason: the batch is split in two, and so on. If
        its job fails, the batch is sent once more, provided that this is safe.
        """
        failures: list[SyncFailure] = []
        deliveries, rejections, was_in_doubt = [Delivery(batch)], 0, False
        action: AsyncAction | None = None
        while deliveries:
            delivery = deliveries.pop()
            error = await self._start(delivery)
            was_in_doubt = was_in_doubt or delivery.was_in_doubt
            if error is None:
                action = await self._ended(delivery)
                found, job = self._outcome(delivery, action)
                if found is not None:
                    failures += found
                elif delivery.is_second_job or not delivery.batch.is_repeatable:
                    failures += fail_all(delivery.batch, key="job_failed", message=_describe(job))
                else:
                    delivery.fail()
                    await self._record(self.state.record_failed_job, delivery)
                    deliveries.append(delivery)
                continue
            self._count_sent(delivery)
            if self._classify(error) is not ErrorAction.REJECT:
                failures += fail_all(delivery.batch, key="outcome_unknown", message=str(error))
                continue
            rejections += 1
            if len(delivery.batch) == 1 or rejections > _MAX_REJECTIONS:
                failures += _rejected(delivery.batch, error)
            else:
                deliveries += reversed(delivery.halves())
        if was_in_doubt:
            # A lost request may have started a job, which must not undo later changes of the same customers.
            await self.poller.all_ended(action)
        return failures

    async def _start(self, delivery: Delivery) -> VoucherifyError | None:
        """Start a job for a batch. Returns `None`, or the error for which all its items fail.

        A batch with an unknown outcome is sent again if that is safe.
        """
        if not delivery.may_be_sent:
            return OutcomeUnknownError("it was sent, and no response came")
        try:
            await self._record(self.state.record_sending, delivery)
            return await self._request_until_accepted(delivery)
        except BaseException:
            if delivery.stage is Stage.UNSENT:
                with suppress(SyncStateError):  # the first error, or the cancellation, says more
                    await self._record(self.state.record_unsent, delivery)
            raise

    async def _request_until_accepted(self, delivery: Delivery) -> VoucherifyError | None:
        for failures, pause in enumerate(pauses(), start=1):
            error = await self._request(delivery)
            if error is None:
                await self._record(self.state.record_accepted, delivery)
                self.stats.report_progress()
                return None
            reaction = self._classify(error)
            if reaction is ErrorAction.REJECT or (reaction is ErrorAction.RETRY and not delivery.may_be_sent):
                return error
            if reaction is ErrorAction.STOP or failures == MAX_FAILURES:
                raise error
            await self.clock.sleep(pause)
        raise AssertionError("unreachable")

    async def _request(self, delivery: Delivery) -> VoucherifyError | None:
        """Make one request, with the session's own retries. Returns the error if no job was started."""
        error: VoucherifyError | None = None
        job_id = ""
        try:
            job_id = await self.jobs.start(delivery.batch.content)
        except VoucherifyError as failure:
            error = failure
        except asyncio.CancelledError as cancelled:
            if getattr(cancelled, "may_have_been_applied", True):
                delivery.doubt()
            raise
        if error is not None and not error.may_have_been_applied:
            return error
        if delivery.stage is Stage.IN_DOUBT:
            self.stats.resent += len(delivery.batch)
        self._count_sent(delivery)
        if error is None:
            delivery.accept(job_id, self.clock.epoch())
        else:
            delivery.doubt()
        return error

    def _count_sent(self, delivery: Delivery) -> None:
        """Count the items as sent, once: on the first request that may have arrived, or when they fail."""
        if delivery.stage is Stage.UNSENT and not delivery.is_part:
            self.stats.sent += len(delivery.batch)

    async def _ended(self, delivery: Delivery) -> AsyncAction | None:
        """Wait for the job of a batch; `None` if the service does not know it."""
        self.stats.open[delivery.job_id] = len(delivery.batch), delivery.accepted
        action = await self.poller.ended(delivery.job_id, delivery.accepted)
        del self.stats.open[delivery.job_id]
        return action

    def _outcome(
        self, delivery: Delivery, action: AsyncAction | None
    ) -> tuple[list[SyncFailure] | None, SyncJob]:
        """The failures of a batch whose job has ended, or `None` if they are unknown, and the job."""
        batch = delivery.batch
        failures = None if action is None else find_failures(action, batch, self.spec.read_result)
        failed = len(batch) if failures is None else len(failures)
        job = SyncJob(
            id=delivery.job_id,
            status=None if action is None else action.status,
            items=len(batch),
            succeeded=len(batch) - failed,
            failed=failed,
            duration=max(0.0, self.clock.epoch() - delivery.accepted),
        )
        self.stats.add_job(job)
        return failures, job

    async def _record(self, write: Callable[[Delivery], Awaitable[None]], delivery: Delivery) -> None:
        """Record the stage of a batch. For a part of a batch, only the outcome of the whole is recorded."""
        if not delivery.is_part:
            await write(delivery)

    def _classify(self, error: VoucherifyError) -> ErrorAction:
        return classify_error(error, max_server_wait=self.max_server_wait)


def _rejected(batch: Batch, error: VoucherifyError) -> list[SyncFailure]:
    key, message, details = None, str(error), None
    if isinstance(error, APIStatusError):
        key, message, details = error.key, error.message, error.details
    return fail_all(batch, key=key, message=message, details=details)


def _describe(job: SyncJob) -> str:
    match job.status:
        case "DONE":
            return f"the job {job.id} ended without saying what happened to its items"
        case None:
            return f"the service no longer knows the job {job.id}"
        case _:
            return f"the job {job.id} ended as {job.status}"

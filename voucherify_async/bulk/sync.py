"""Sync jobs: a source is sent in batches as bulk jobs, and it is found out what became of each item."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import anyio.to_thread

from voucherify_async.bulk.batches import Batch, Item, halves, make_batch
from voucherify_async.bulk.journal import Journal
from voucherify_async.bulk.kind import Kind, Options
from voucherify_async.bulk.ledger import Event, Ledger
from voucherify_async.bulk.outcome import Verdict, account, all_failed, judge
from voucherify_async.bulk.poller import MOST_FAILURES, Poller, pauses
from voucherify_async.bulk.reader import Reader
from voucherify_async.bulk.report import SyncReport, Tally
from voucherify_async.bulk.results import SyncFailure, SyncJob
from voucherify_async.bulk.state import State
from voucherify_async.errors import APIStatusError, OutcomeUnknownError, SyncTimeoutError, VoucherifyError
from voucherify_async.models.async_actions import AsyncAction
from voucherify_async.pagination.ahead import gather_bare
from voucherify_async.transport.operation import Request
from voucherify_async.transport.session import SessionManager

__all__ = ["sync"]

_MOST_REFUSALS: Final = 50
"""After which a batch is not taken further apart: enough for a few bad items among 25,000."""


async def sync(
    sessions: SessionManager, kind: Kind, source: Iterable[Any] | AsyncIterable[Any], options: Options
) -> SyncReport[Any]:
    """Send what a source yields.

    Raises:
        VoucherifyError: The service takes no more, or cannot be reached; `report` is on the error.
        ValueError: The journal is not one of this job and source, or with `on_invalid="raise"` an item is
            invalid.
    """
    tally = Tally(sessions.clock, options.on_progress, options.on_failure)
    ledger = Ledger(_file(kind, options))
    try:
        recorded = await ledger.open()
        reader = Reader(
            source, kind, recorded, ledger, tally, on_invalid=options.on_invalid, full=options.full
        )
        try:
            if ledger.state is not None:
                await ledger.write("begin")
            await _run(_Sync(sessions, kind, reader, ledger, tally), options)
            if ledger.state is not None and reader.saw_all:
                tally.missing = await anyio.to_thread.run_sync(ledger.state.complete)
        except Exception as error:
            await reader.write_invalid()
            report = tally.report(*ledger.paths)
            if isinstance(error, VoucherifyError):
                error.report = report
            else:
                error.report = report  # type: ignore[attr-defined]  # as VoucherifyErrors have it
                error.add_note(f"the sync stopped after {report.read:,} items: {report.summary()}")
            raise
        finally:
            await reader.aclose()
    finally:
        ledger.close()
    tally.tell(last=True)
    return tally.report(*ledger.paths)


def _file(kind: Kind, options: Options) -> Journal | State | None:
    if options.state is not None:
        return State(options.state, project=kind.project, kind=kind.operation.name)
    return None if options.journal is None else Journal(options.journal, kind.purpose)


async def _run(job: _Sync, options: Options) -> None:
    limit = asyncio.timeout(options.timeout)
    try:
        async with limit:
            await job.run(options.concurrency)
    except TimeoutError:
        if limit.expired():
            raise SyncTimeoutError(f"the sync has not ended within {options.timeout} s") from None
        raise  # of the source


@dataclass(slots=True)
class _End:
    """What a batch came to, besides its failures.

    Attributes:
        jobs: The last job that applied it; of one that was taken apart, those of its parts.
        refusals: How many times it, or a part of it, was refused.
    """

    jobs: list[SyncJob] = field(default_factory=list[SyncJob])
    refusals: int = 0


class _Sync:
    def __init__(
        self, sessions: SessionManager, kind: Kind, reader: Reader, ledger: Ledger, tally: Tally
    ) -> None:
        self._sessions = sessions
        self._kind = kind
        self._reader = reader
        self._ledger = ledger
        self._tally = tally
        self._poller = Poller(
            kind.look, sessions.clock, max_server_wait=sessions.options.retry.max_server_wait
        )

    async def run(self, concurrency: int) -> None:
        await gather_bare(self._poller.run(), self._work_together(concurrency))

    async def _work_together(self, concurrency: int) -> None:
        try:
            await self._settle_past()
            await gather_bare(*(self._work() for _ in range(concurrency)))
        finally:
            self._poller.close()

    async def _settle_past(self) -> None:
        """Find out what became of the batches that an earlier process sent; see `State`."""
        state = self._ledger.state
        left = [] if state is None else await anyio.to_thread.run_sync(state.unsettled)
        if any(not unsettled.job for unsettled in left):
            # A request whose answer was lost may have started a job, which must not undo what comes next.
            for job_id in await self._earlier(None):
                await self._poller.ended(job_id)
        for unsettled in left:
            items = [Item(index, key, b"") for index, key in enumerate(unsettled.keys)]
            batch = make_batch(unsettled.number, items, self._kind.frame)
            failures = None
            if unsettled.job:
                action = await self._seen(unsettled.job, unsettled.accepted, sent_again=True)
                failures = None if action is None else account(action, batch, self._kind.accounting)
            if failures is None:
                await self._ledger.write("not_sent", batch)
            else:
                await self._ledger.write("settled", batch, failures)

    async def _work(self) -> None:
        while (batch := await self._reader.next()) is not None:
            await self._carry(batch)
            self._reader.settle(batch)
            self._tally.tell()

    async def _carry(self, batch: Batch) -> None:
        """See a batch through to its end."""
        if batch.job or batch.in_doubt:
            self._count_sent(batch)
        end = _End()
        failures = await self._apply(batch, end)
        self._count_sent(batch)
        await self._ledger.write("ended", batch, end.jobs, failures)
        self._tally.end(len(batch), failures)

    def _count_sent(self, batch: Batch) -> None:
        if not batch.is_sent:
            batch.is_sent = True
            self._tally.sent += len(batch)

    async def _apply(self, batch: Batch, end: _End) -> list[SyncFailure]:
        """Have a job apply a batch, once more if it fails, and find out which items did not make it."""
        while True:
            error = None if batch.job else await self._send(batch)
            if error is not None:
                return await self._give_up(batch, error, end)
            action = await self._ended(batch)
            failures = None if action is None else account(action, batch, self._kind.accounting)
            job = self._ended_job(batch, action, failures)
            self._tally.add_job(job)
            if failures is not None or batch.retried or not batch.repeatable:
                end.jobs.append(job)
                return (
                    all_failed(batch, key="job_failed", message=_fate(job)) if failures is None else failures
                )
            batch.job, batch.in_doubt, batch.retried = "", True, True
            if batch.is_part:
                end.jobs.append(job)
            await self._record("failed", batch, job)

    async def _give_up(self, batch: Batch, error: VoucherifyError, end: _End) -> list[SyncFailure]:
        """The items of a batch that was not taken on; of one that was refused, as few as possible.

        It may have been refused for one of its items: those of each half are tried for themselves.
        """
        if self._judge(error) is not Verdict.REFUSED:
            return all_failed(batch, key="outcome_unknown", message=str(error))
        end.refusals += 1
        if len(batch) == 1 or end.refusals > _MOST_REFUSALS:
            key, message, details = None, str(error), None
            if isinstance(error, APIStatusError):
                key, message, details = error.key, error.message, error.details
            return all_failed(batch, key=key, message=message, details=details)
        return [failure for half in halves(batch) for failure in await self._apply(half, end)]

    async def _ended(self, batch: Batch) -> AsyncAction | None:
        """The job of a batch, once it has ended, and all that an answer that was lost may have left behind."""
        self._tally.open[batch.job] = len(batch), batch.accepted
        action = await self._seen(batch.job, batch.accepted, sent_again=batch.resent > 0)
        del self._tally.open[batch.job]
        return action

    async def _seen(self, job_id: str, accepted: float, *, sent_again: bool) -> AsyncAction | None:
        action = await self._poller.ended(job_id, accepted)
        if action is not None and sent_again:
            for earlier in await self._earlier(action):
                await self._poller.ended(earlier)
        return action

    async def _earlier(self, action: AsyncAction | None) -> list[str]:
        """Jobs that may have been started by a request whose answer was lost, and have not ended."""
        for failures, pause in enumerate(pauses(), start=1):
            try:
                return await self._kind.earlier(action)
            except VoucherifyError as error:
                if self._judge(error) is not Verdict.AGAIN or failures == MOST_FAILURES:
                    raise
            await self._sessions.clock.sleep(pause)
        raise AssertionError("unreachable")

    def _judge(self, error: VoucherifyError) -> Verdict:
        return judge(error, max_server_wait=self._sessions.options.retry.max_server_wait)

    def _ended_job(
        self, batch: Batch, action: AsyncAction | None, failures: list[SyncFailure] | None
    ) -> SyncJob:
        failed = len(batch) if failures is None else len(failures)
        return SyncJob(
            id=batch.job,
            status=None if action is None else action.status,
            items=len(batch),
            succeeded=len(batch) - failed,
            failed=failed,
            duration=max(0.0, self._sessions.clock.epoch() - batch.accepted),
        )

    async def _send(self, batch: Batch) -> VoucherifyError | None:
        """Have a job take a batch on; `None` if one has, else why the items have failed.

        A batch of which nobody knows whether it arrived is sent again, if it may be.
        """
        if batch.in_doubt and not batch.repeatable:
            return OutcomeUnknownError("it was sent, and no answer came")
        await self._record("sending", batch)
        for failures, pause in enumerate(pauses(), start=1):
            error = await self._post(batch)
            if error is None:
                await self._record("accepted", batch)
                self._tally.tell()
                return None
            verdict = self._judge(error)
            if verdict is Verdict.REFUSED or (
                verdict is Verdict.AGAIN and batch.in_doubt and not batch.repeatable
            ):
                return error
            if verdict is Verdict.STOP or failures == MOST_FAILURES:
                if not batch.in_doubt:
                    await self._record("not_sent", batch)
                raise error
            await self._sessions.clock.sleep(pause)
        raise AssertionError("unreachable")

    async def _record(self, event: Event, batch: Batch, *facts: Any) -> None:
        """Put on record how far a batch has come; of a part only the end counts."""
        if not batch.is_part:
            await self._ledger.write(event, batch, *facts)

    async def _post(self, batch: Batch) -> VoucherifyError | None:
        """Send a batch once, as far as the session does; why no job has taken it on, if so."""
        operation = self._kind.operation
        request = Request(operation, operation.path, self._kind.wrap(batch.content))
        failure: VoucherifyError | None = None
        try:
            batch.job = (await self._sessions.send(request)).async_action_id
        except VoucherifyError as error:
            failure = error
        if batch.in_doubt and (failure is None or failure.may_have_been_applied):
            batch.resent += 1
            self._tally.resent += len(batch)
        if failure is None or failure.may_have_been_applied:
            self._count_sent(batch)
        if failure is None:
            batch.in_doubt = False
            batch.accepted = self._sessions.clock.epoch()
        else:
            batch.in_doubt = batch.in_doubt or failure.may_have_been_applied
        return failure


def _fate(job: SyncJob) -> str:
    match job.status:
        case "DONE":
            return f"the job {job.id} ended, and does not say what became of its items"
        case None:
            return f"the service does not know the job {job.id} any more"
        case _:
            return f"the job {job.id} ended as {job.status}"

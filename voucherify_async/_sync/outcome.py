"""What answers mean for a batch: is it sent again or given up, and which of its items did not make it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from voucherify_async._sync.batches import Batch, Key
from voucherify_async._sync.results import SyncFailure
from voucherify_async._transport.retry import PLAN_USED_UP
from voucherify_async.errors import (
    APIStatusError,
    BadRequestError,
    DecodeError,
    LockedError,
    PayloadTooLargeError,
    RateLimitError,
    ServerError,
    TransportError,
    VoucherifyError,
)
from voucherify_async.models.async_actions import AsyncAction, BulkUpdateResult, JobResult
from voucherify_async.models.base import lazy_json

_MAX_TEXT: Final = 1_000
"""Characters that are kept of each text of a failure, of which there may be one for each item."""

__all__ = [
    "ErrorAction",
    "ResultReader",
    "classify_error",
    "fail_all",
    "find_failures",
    "read_bulk_result",
    "read_import_result",
]


class ErrorAction(Enum):
    """What follows from an error."""

    AGAIN = "the call is made again"
    REFUSED = "the service does not take these items, and may take others"
    STOP = "no call would fare better"


def classify_error(error: VoucherifyError, *, max_server_wait: float) -> ErrorAction:
    """What follows from the error of a call.

    Args:
        error: What the call ended with, after all that the session did about it.
        max_server_wait: Seconds; a longer wait that the service asks for is not waited for.
    """
    match error:
        case RateLimitError():
            too_long = int(error.retry_after or 0.0) > max_server_wait
            return ErrorAction.STOP if too_long or error.kind == PLAN_USED_UP else ErrorAction.AGAIN
        case TransportError() | ServerError() | DecodeError() | LockedError() | APIStatusError(status=408):
            return ErrorAction.AGAIN
        case BadRequestError() | PayloadTooLargeError() | APIStatusError(status=422):
            return ErrorAction.REFUSED
        case _:
            return ErrorAction.STOP


# ---------------------------------------------------------------- jobs that have ended


class ReportedFailure(NamedTuple):
    """What a job says of one failure: the number of the item in its batch, if it can be told, and the rest as it came."""

    item: int | None
    source_id: str | None = None
    key: str | None = None
    message: str | None = None
    details: str | None = None


class JobOutcome(NamedTuple):
    """What a job says of its items, in whatever form its kind has; `None` where it says nothing."""

    reports: list[ReportedFailure] | None
    done_count: int | None
    failed_count: int | None


_NOTHING: Final = JobOutcome(None, None, None)

ResultReader = Callable[[msgspec.Raw, Batch], JobOutcome]
"""Reads the result of a job of one kind. Raises `msgspec.DecodeError` or `UnicodeDecodeError` if it is none."""


_BULK: Final = msgspec.json.Decoder(BulkUpdateResult)
_CSV: Final = msgspec.json.Decoder(JobResult)


def read_bulk_result(result: msgspec.Raw, batch: Batch) -> JobOutcome:
    """What a bulk update says, which names customers by their `source_id`, if at all."""
    found: BulkUpdateResult = lazy_json(result, _BULK)
    indexes = _indexes(batch)
    reports = [
        ReportedFailure(
            indexes.get(error.source_id), error.source_id, error.key, error.message, error.details
        )
        for error in found.errors or ()
    ]
    return JobOutcome(None if found.errors is None else reports, found.done_count, found.failed_count)


def read_import_result(result: msgspec.Raw, batch: Batch) -> JobOutcome:
    """What an import says, which names rows by their number from 1, without the header."""
    found: JobResult = lazy_json(result, _CSV)
    indexes = _indexes(batch)
    reports = [
        ReportedFailure(
            failure.row - 1
            if failure.row is not None and 1 <= failure.row <= len(batch)
            else indexes.get(failure.source_id),
            failure.source_id,
            failure.code,
            failure.reason,
        )
        for failure in found.failed or ()
    ]
    return JobOutcome(None if found.failed is None else reports, found.done_count, found.failed_count)


def _indexes(batch: Batch) -> dict[str | None, int]:
    return {key: index for index, key in enumerate(batch.keys) if isinstance(key, str)}


def find_failures(action: AsyncAction, batch: Batch, accounting: ResultReader) -> list[SyncFailure] | None:
    """The items of a batch that its job, which has ended, did not apply; `None` if it does not say.

    Where the job did fewer items than it names failures of, there is a failure without a position for each.
    """
    if action.status != "DONE":
        return None
    try:
        told = accounting(action.raw_result, batch)
    except DecodeError:
        # It says something that nobody understands, which need not be good; or nothing at all.
        told = _NOTHING
        if bytes(action.raw_result) != b"null":
            return None
    if told == _NOTHING:  # but that it went well, as a whole
        return [] if action.operation_status == "SUCCESS" else None
    named: dict[int, SyncFailure] = {}
    unnamed: list[SyncFailure] = []
    for report in told.reports or ():
        if report.item is None:
            unnamed.append(_failure(batch, report))
        else:
            named.setdefault(report.item, _failure(batch, report))
    failed = told.failed_count or 0
    if told.done_count is not None:
        failed = max(failed, len(batch) - told.done_count)
    missing = min(failed, len(batch)) - len(named) - len(unnamed)
    text = f"the job {action.id} did not do as many items as it names no failures of"
    unnamed += [SyncFailure(key="unnamed", message=text)] * missing
    failures = [*named.values(), *unnamed][: len(batch)]
    return None if not failures and action.operation_status == "FAILED" else failures


def fail_all(batch: Batch, *, key: str | None, message: str, details: str | None = None) -> list[SyncFailure]:
    """Every item of a batch as failed."""
    key, text, details = _bounded(key), _bounded(message), _bounded(details)  # once, for all to share
    return [_failure(batch, ReportedFailure(index, None, key, text, details)) for index in range(len(batch))]


def _source_id(key: Key) -> str | None:
    return key if isinstance(key, str) else None


def _bounded(text: str | None) -> str | None:
    return None if text is None else text[:_MAX_TEXT]


def _failure(batch: Batch, report: ReportedFailure) -> SyncFailure:
    item = report.item
    source_id, key, message, details = (
        _bounded(text) for text in (report.source_id, report.key, report.message, report.details)
    )
    if item is None:
        return SyncFailure(source_id=source_id, key=key, message=message, details=details)
    return SyncFailure(
        position=batch.positions[item],
        source_id=_source_id(batch.keys[item]) or source_id,
        key=key,
        message=message,
        details=details,
        raw_item=batch.raw_item(item),
    )

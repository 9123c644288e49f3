"""Interprets errors and job results: whether to retry a batch, and which of its items failed. No I/O."""

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
from voucherify_async.models._json import lazy_json, make_decoder
from voucherify_async.models.async_actions import AsyncAction, BulkUpdateResult, JobResult
from voucherify_async.models.base import Number

_MAX_TEXT: Final = 1_000
"""Characters kept of each text of a failure: there can be one failure per item."""

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
    """How to react to an error of a request."""

    RETRY = "repeat the request"
    REJECT = "the service rejects these items, but may accept others"
    STOP = "every other request would fail as well"


def classify_error(error: VoucherifyError, *, max_server_wait: float) -> ErrorAction:
    """How to react to an error.

    Args:
        error: The error of a call, after the session's own retries.
        max_server_wait: In seconds. A longer wait that the service asks for is not worth waiting for.
    """
    match error:
        case RateLimitError():
            too_long = int(error.retry_after or 0.0) > max_server_wait
            return ErrorAction.STOP if too_long or error.kind == PLAN_USED_UP else ErrorAction.RETRY
        case TransportError() | ServerError() | DecodeError() | LockedError() | APIStatusError(status=408):
            return ErrorAction.RETRY
        case BadRequestError() | PayloadTooLargeError() | APIStatusError(status=422):
            return ErrorAction.REJECT
        case _:
            return ErrorAction.STOP


# ---------------------------------------------------------------- results of ended jobs


class ReportedFailure(NamedTuple):
    """One failure in a job's result. `item` is the index of the item in its batch, if it can be identified."""

    item: int | None
    source_id: str | None = None
    key: str | None = None
    message: str | None = None
    details: str | None = None


class JobOutcome(NamedTuple):
    """The result of a job, independent of its type. `None` stands for a missing part."""

    reports: list[ReportedFailure] | None
    done_count: int | None
    failed_count: int | None


_NOTHING: Final = JobOutcome(None, None, None)

ResultReader = Callable[[msgspec.Raw, Batch], JobOutcome]
"""Reads the result of a job of one type. Raises `DecodeError` if it cannot be decoded."""


_BULK: Final[msgspec.json.Decoder[BulkUpdateResult]] = make_decoder(BulkUpdateResult)
_CSV: Final[msgspec.json.Decoder[JobResult]] = make_decoder(JobResult)


def read_bulk_result(result: msgspec.Raw, batch: Batch) -> JobOutcome:
    """Read the result of a bulk update, which identifies customers by `source_id`."""
    found: BulkUpdateResult = lazy_json(result, _BULK)
    indexes = _indexes(batch)
    reports = [
        ReportedFailure(
            indexes.get(error.source_id), error.source_id, error.key, error.message, error.details
        )
        for error in found.errors or ()
    ]
    return JobOutcome(
        None if found.errors is None else reports, _whole(found.done_count), _whole(found.failed_count)
    )


def read_import_result(result: msgspec.Raw, batch: Batch) -> JobOutcome:
    """Read the result of a CSV import, which identifies rows by number, from 1 and without the header."""
    found: JobResult = lazy_json(result, _CSV)
    indexes = _indexes(batch)
    reports = [
        ReportedFailure(
            int(failure.row) - 1
            if failure.row is not None and 1 <= failure.row <= len(batch)
            else indexes.get(failure.source_id),
            failure.source_id,
            failure.code,
            failure.reason,
        )
        for failure in found.failed or ()
    ]
    return JobOutcome(
        None if found.failed is None else reports, _whole(found.done_count), _whole(found.failed_count)
    )


def _whole(count: Number | None) -> int | None:
    if count is not None and count != int(count):
        raise DecodeError(f"a part of the response cannot be decoded: {count} is not a count")
    return None if count is None else int(count)


def _indexes(batch: Batch) -> dict[str | None, int]:
    return {key: index for index, key in enumerate(batch.keys) if isinstance(key, str)}


def find_failures(action: AsyncAction, batch: Batch, read_result: ResultReader) -> list[SyncFailure] | None:
    """The items of a batch that its ended job did not apply; `None` if the result does not say.

    If the counts of the result imply more failures than it lists, the others are failures without a position.
    """
    if action.status != "DONE":
        return None
    try:
        outcome = read_result(action.raw_result, batch)
    except DecodeError:
        # An unreadable result may report failures; only a missing one says nothing.
        outcome = _NOTHING
        if bytes(action.raw_result) != b"null":
            return None
    if outcome == _NOTHING:  # only the status says how it went
        return [] if action.operation_status == "SUCCESS" else None
    named: dict[int, SyncFailure] = {}
    unnamed: list[SyncFailure] = []
    for report in outcome.reports or ():
        if report.item is None:
            unnamed.append(_failure(batch, report))
        else:
            named.setdefault(report.item, _failure(batch, report))
    failed = outcome.failed_count or 0
    if outcome.done_count is not None:
        failed = max(failed, len(batch) - outcome.done_count)
    missing = min(failed, len(batch)) - len(named) - len(unnamed)
    text = f"the job {action.id} applied fewer items than its list of failures implies"
    unnamed += [SyncFailure(key="unnamed", message=text)] * missing
    failures = [*named.values(), *unnamed][: len(batch)]
    return None if not failures and action.operation_status == "FAILED" else failures


def fail_all(batch: Batch, *, key: str | None, message: str, details: str | None = None) -> list[SyncFailure]:
    """One failure for every item of a batch."""
    key, text, details = _shorten(key), _shorten(message), _shorten(details)  # once, for all to share
    return [_failure(batch, ReportedFailure(index, None, key, text, details)) for index in range(len(batch))]


def _source_id(key: Key) -> str | None:
    return key if isinstance(key, str) else None


def _shorten(text: str | None) -> str | None:
    return None if text is None else text[:_MAX_TEXT]


def _failure(batch: Batch, report: ReportedFailure) -> SyncFailure:
    item = report.item
    source_id, key, message, details = (
        _shorten(text) for text in (report.source_id, report.key, report.message, report.details)
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

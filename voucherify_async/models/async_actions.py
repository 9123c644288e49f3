"""Background jobs and their results."""

from __future__ import annotations

import datetime as dt
import sys
from functools import cached_property
from typing import Annotated, Any, Final, Generic

import msgspec

from voucherify_async.errors import DecodeError
from voucherify_async.models._json import lazy_json, make_decoder
from voucherify_async.models.base import Model, Number

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

__all__ = [
    "AsyncAction",
    "AsyncActionReceipt",
    "BulkError",
    "BulkUpdateResult",
    "ImportFailure",
    "JobResult",
]


class BulkError(Model, frozen=True, kw_only=True):
    """An item that a bulk update failed to apply.

    Attributes:
        message: What went wrong.
        details: More about what went wrong.
        key: The machine-readable kind of the error.
        source_id: The `source_id` of the item.
        code: For a bulk update of vouchers, the code of the voucher.
    """

    message: str | None = None
    details: str | None = None
    key: str | None = None
    source_id: str | None = None
    code: str | None = None


class BulkUpdateResult(Model, frozen=True, kw_only=True):
    """The result of a bulk or metadata update.

    Attributes:
        done_count: Number of applied items.
        failed_count: Number of failed items.
        errors: The items that failed.
        reports: URLs of CSV files that list, for each item, whether it was found and updated.
        reports_available_till: Time until which the reports can be downloaded, timezone-aware.
    """

    done_count: Number | None = None
    failed_count: Number | None = None
    errors: tuple[BulkError, ...] | None = None
    reports: tuple[str, ...] | None = None
    reports_available_till: dt.datetime | None = None


class ImportFailure(Model, frozen=True, kw_only=True):
    """A row that an import failed to apply.

    Attributes:
        source_id: The `source_id` in the row.
        code: For an import of vouchers, the code of the voucher.
        row: The number of the row, from 1, without the header.
        reason: Why the row failed.
    """

    source_id: str | None = None
    code: str | None = None
    row: Number | None = None
    reason: str | None = None


class JobResult(Model, frozen=True, kw_only=True):
    """The result of an import, a generation, a deletion or a metadata clean-up.

    Attributes:
        message: A description of the result.
        failed: The rows that failed.
        done_count: Number of applied items.
        failed_count: Number of failed items.
    """

    message: str | None = None
    failed: tuple[ImportFailure, ...] | None = None
    done_count: Number | None = None
    failed_count: Number | None = None


_RESULT_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    name: make_decoder(into)
    for into, names in (
        (
            BulkUpdateResult | None,
            (
                "CUSTOMERS.BULK_UPDATE",
                "CUSTOMERS.METADATA_UPDATE",
                "PRODUCTS.BULK_UPDATE",
                "PRODUCTS.METADATA_UPDATE",
                "VOUCHERS.BULK_UPDATE",
                "VOUCHERS.METADATA_UPDATE",
            ),
        ),
        (
            JobResult | None,
            (
                "CAMPAIGN.VOUCHERS_DELETE",
                "CAMPAIGN.VOUCHERS_GENERATE",
                "CAMPAIGN.VOUCHERS_IMPORT",
                "CAMPAIGN.VOUCHERS_IMPORT_CSV",
                "CAMPAIGN.VOUCHERS_UPDATE",
                "CAMPAIGNS.METADATA_KEY_PURGE",
                "CUSTOMERS.IMPORT_CSV",
                "CUSTOMERS.METADATA_KEY_PURGE",
                "ORDERS.IMPORT",
                "ORDERS.METADATA_KEY_PURGE",
                "PRODUCTS.IMPORT_CSV",
                "PRODUCTS.METADATA_KEY_PURGE",
                "SKUS.IMPORT_CSV",
                "VOUCHERS.IMPORT",
                "VOUCHERS.IMPORT_CSV",
                "VOUCHERS.METADATA_KEY_PURGE",
            ),
        ),
    )
    for name in names
}


R_co = TypeVar("R_co", covariant=True, default=BulkUpdateResult | JobResult | dict[str, Any])


class AsyncAction(Model, Generic[R_co], frozen=True, kw_only=True, dict=True, gc=True):
    """A background job. `R_co` is the type of its result.

    A ``DONE`` job can still contain failed items: `result` counts and lists them.

    Attributes:
        id: The id of the job.
        type: What the job does, for example ``CUSTOMERS.BULK_UPDATE``.
        status: ``ENQUEUED``, ``IN_PROGRESS``, ``DONE`` or ``FAILED``.
        operation_status: ``SUCCESS``, ``FAILED`` or ``UNKNOWN``.
        progress: Progress in percent, from 0 to 100.
        processing_time: How long the job took, in milliseconds.
        request_id: The id of the request that started the job.
        created_at: Time at which the job was scheduled, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        raw_result: The raw JSON of `result`.
        object: Always ``async_action``.
    """

    id: str
    type: str | None = None
    status: str | None = None
    operation_status: str | None = None
    progress: Number | None = None
    processing_time: Number | None = None
    request_id: str | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    raw_result: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"null"), name="result")
    object: str | None = None

    def __post_init__(self) -> None:
        # The decoder returns a view of the whole response; copy it so that one job does not keep it in memory.
        msgspec.structs.force_setattr(self, "raw_result", self.raw_result.copy())

    def __repr__(self) -> str:
        return f"AsyncAction(id={self.id!r}, type={self.type!r}, status={self.status!r})"

    @cached_property
    def result(self) -> R_co | None:
        """The job's result, decoded on first access; `type` selects its class.

        It is a plain mapping if `type` is unknown or the result differs from the documentation. It is `None`
        until the job has ended, and for jobs from a list, which does not include results.
        """
        decoder = _RESULT_DECODERS.get(self.type or "")
        if decoder is not None:
            try:
                typed: R_co | None = lazy_json(self.raw_result, decoder)
            except DecodeError:
                pass  # the documentation of ORDERS.IMPORT and VOUCHERS.IMPORT has an object in place of the array
            else:
                return typed
        plain: R_co | None = lazy_json(self.raw_result)
        return plain


class AsyncActionReceipt(Model, Generic[R_co], frozen=True, kw_only=True):
    """The response to a bulk call. `R_co` is the type of the result of the job that the call started.

    Attributes:
        async_action_id: The id of the background job.
    """

    async_action_id: Annotated[
        str, msgspec.Meta(pattern="[^.]")
    ]  # rejects ids of dots only, such as "..": no path can contain them

"""Background jobs and what became of them."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import Annotated, Any, Final

import msgspec

from voucherify_async.errors import DecodeError
from voucherify_async.models.base import Model, lazy_json

__all__ = [
    "AsyncAction",
    "AsyncActionReceipt",
    "BulkError",
    "BulkUpdateResult",
    "ImportFailure",
    "JobResult",
]


class BulkError(Model, frozen=True, kw_only=True):
    """One item of a bulk update that was not applied."""

    message: str | None = None
    details: str | None = None
    key: str | None = None
    source_id: str | None = None
    code: str | None = None


class BulkUpdateResult(Model, frozen=True, kw_only=True):
    """The result of a bulk or metadata update."""

    done_count: int | None = None
    failed_count: int | None = None
    errors: tuple[BulkError, ...] | None = None
    reports: tuple[str, ...] | None = None
    """URLs of CSV files that say for each item whether it was found and updated."""
    reports_available_till: dt.datetime | None = None


class ImportFailure(Model, frozen=True, kw_only=True):
    """One row of an import that was not applied; rows count from 1, without the header."""

    source_id: str | None = None
    code: str | None = None
    row: int | None = None
    reason: str | None = None


class JobResult(Model, frozen=True, kw_only=True):
    """The result of an import, a generation, a deletion or a metadata clean-up."""

    message: str | None = None
    failed: tuple[ImportFailure, ...] | None = None
    done_count: int | None = None
    failed_count: int | None = None


_RESULT_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    name: decoder
    for decoder, names in (
        (
            msgspec.json.Decoder(BulkUpdateResult | None),
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
            msgspec.json.Decoder(JobResult | None),
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


class AsyncAction(Model, frozen=True, kw_only=True, dict=True, gc=True):
    """A background job.

    `status` is ``ENQUEUED``, ``IN_PROGRESS``, ``DONE`` or ``FAILED``. ``DONE`` says that the job ended,
    not that all went well: `result` counts what failed, and lists it.
    """

    id: str
    type: str | None = None
    status: str | None = None
    operation_status: str | None = None
    """``SUCCESS``, ``FAILED`` or ``UNKNOWN``."""
    progress: int | None = None
    """0 to 100."""
    processing_time: int | None = None
    """Milliseconds."""
    request_id: str | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    raw_result: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"null"), name="result")
    """The JSON of `result`, as it came."""
    object: str | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "raw_result", self.raw_result.copy())

    @cached_property
    def result(self) -> BulkUpdateResult | JobResult | dict[str, Any] | None:
        """What the job did, typed by `type`.

        A plain mapping for a type that is not known, or a result that is not as documented; `None`
        before the job has ended, and in lists, which do not carry it.
        """
        decoder = _RESULT_DECODERS.get(self.type or "")
        if decoder is not None:
            try:
                typed: BulkUpdateResult | JobResult | None = lazy_json(self.raw_result, decoder)
            except DecodeError:
                pass  # ORDERS.IMPORT and VOUCHERS.IMPORT are documented with an object for the array
            else:
                return typed
        plain: dict[str, Any] | None = lazy_json(self.raw_result)
        return plain


class AsyncActionReceipt(Model, frozen=True, kw_only=True):
    """The answer to a bulk call: the id of the job that now runs in the background."""

    async_action_id: Annotated[str, msgspec.Meta(pattern="[^.]")]  # what a path can hold: not even ".."

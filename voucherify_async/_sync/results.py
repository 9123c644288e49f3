"""What a sync job says of its items and of its background jobs. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from voucherify_async.models.base import Model
from voucherify_async.models.customers import CustomerUpsert

__all__ = ["INVALID_ITEM", "IN_DOUBT", "NO_ITEM", "SyncCounts", "SyncFailure", "SyncJob", "SyncProgress"]

INVALID_ITEM: Final = "invalid_item"
"""The key of an item that was not sent, as it is none that the service can take."""

IN_DOUBT: Final = frozenset({"outcome_unknown", "job_failed"})
"""The keys of failures of items that may have been applied all the same."""

NO_ITEM: Final = msgspec.Raw(b"null")

_ITEM_DECODER: Final[msgspec.json.Decoder[CustomerUpsert | str | None]] = msgspec.json.Decoder(
    CustomerUpsert | str | None
)


class SyncFailure(Model, frozen=True, kw_only=True):
    """One item that did not make it. Of a longer text of the service's its first 1,000 characters are kept."""

    position: int | None = None
    """Where it stood in the source, from 0; in a CSV file, the line on which it begins, from 1. `None` if the
    service counts a failure, and does not say of what."""
    source_id: str | None = None
    key: str | None = None
    """The kind of the failure: a key of the service's, or one of this package's: ``invalid_item``,
    ``job_failed``, ``outcome_unknown``, ``unnamed``."""
    message: str | None = None
    details: str | None = None
    raw_item: msgspec.Raw = msgspec.field(default=NO_ITEM, name="item")
    """The JSON of `item`."""

    @property
    def item(self) -> CustomerUpsert | str | None:
        """What was sent: a customer, a `source_id`, or the row of a CSV file. `None` if nothing was."""
        return _ITEM_DECODER.decode(self.raw_item)


class SyncJob(Model, frozen=True, kw_only=True):
    """One background job of a sync job."""

    id: str
    status: str | None = None
    """``DONE`` or ``FAILED``; `None` if the service did not know it any more."""
    items: int
    succeeded: int
    failed: int
    duration: float
    """Seconds from when the service took it until it was seen to have ended."""


class SyncCounts(Model, frozen=True, kw_only=True):
    """How many items came how far.

    All that were read are sent, invalid, duplicates or unchanged; all sent succeed or fail.
    """

    read: int
    sent: int
    succeeded: int
    failed: int
    invalid: int
    """Not sent, as the service could not take them."""
    resent: int
    """Sent again, as an answer was lost or a job failed; counted each time."""
    duplicates: int = 0
    """Became part of a later item with the same `source_id` before they were sent."""
    unchanged: int = 0
    """Not sent, as by the state the service holds just that."""

    def summary(self) -> str:
        """The counts in words."""
        text = f"{self.sent:,} sent, {self.succeeded:,} succeeded, {self.failed:,} failed, {self.invalid:,} invalid"
        for name in ("unchanged", "duplicates"):
            if count := getattr(self, name):
                text += f", {count:,} {name}"
        return text


class SyncProgress(SyncCounts, frozen=True, kw_only=True):
    """How far a sync job has come."""

    open_jobs: int
    """Background jobs that are under way."""
    elapsed: float
    """Seconds since the beginning."""

"""The public results of a sync job: failures, jobs, counts and progress."""

from __future__ import annotations

from typing import Final

import msgspec

from voucherify_async.models._json import make_decoder
from voucherify_async.models.base import Model
from voucherify_async.models.customers import CustomerUpsert

__all__ = [
    "INVALID_ITEM",
    "NO_ITEM",
    "POSSIBLY_APPLIED",
    "SyncCounts",
    "SyncFailure",
    "SyncJob",
    "SyncProgress",
]

INVALID_ITEM: Final = "invalid_item"
"""The failure key of an item that is invalid and was not sent."""

POSSIBLY_APPLIED: Final = frozenset({"outcome_unknown", "job_failed"})
"""The failure keys of items that may have been applied."""

NO_ITEM: Final = msgspec.Raw(b"null")

_ITEM_DECODER: Final[msgspec.json.Decoder[CustomerUpsert | str | None]] = make_decoder(
    CustomerUpsert | str | None
)


class SyncFailure(Model, frozen=True, kw_only=True):
    """One item that failed. Texts longer than 1,000 characters are cut.

    Attributes:
        position: The index of the item in the source, from 0; for a CSV file, the line on which the row begins, from 1.
            `None` if the service counts a failure without saying which item failed.
        source_id: The `source_id` of the item, if it has one.
        key: The reason as a key: one of the service's keys, or ``invalid_item``, ``job_failed``, ``outcome_unknown`` or
            ``unnamed``.
        message: The reason as text.
        details: More about the reason.
        raw_item: The JSON of `item`.
    """

    position: int | None = None
    source_id: str | None = None
    key: str | None = None
    message: str | None = None
    details: str | None = None
    raw_item: msgspec.Raw = msgspec.field(default=NO_ITEM, name="item")

    def __repr__(self) -> str:
        return (
            f"SyncFailure(position={self.position}, source_id={self.source_id!r}, key={self.key!r}, "
            f"message={self.message!r})"
        )

    @property
    def item(self) -> CustomerUpsert | str | None:
        """What was sent: a customer, a `source_id`, or a row of a CSV file. `None` if nothing was sent."""
        return _ITEM_DECODER.decode(self.raw_item)


class SyncJob(Model, frozen=True, kw_only=True):
    """One background job of a sync job.

    Attributes:
        id: The id of the job.
        status: ``DONE`` or ``FAILED``; ``IN_PROGRESS`` if the sync stopped before the job ended; `None` if the service
            no longer knew the job.
        items: Number of items in the job.
        succeeded: Number of items that succeeded.
        failed: Number of items that failed.
        duration: Seconds between the job's acceptance and the poll that saw it ended.
    """

    id: str
    status: str | None = None
    items: int
    succeeded: int
    failed: int
    duration: float


class SyncCounts(Model, frozen=True, kw_only=True):
    """The number of items by outcome.

    `read` is the sum of `sent`, `invalid`, `duplicates` and `unchanged`. When the sync has ended, `sent` is the sum of
    `succeeded` and `failed`.

    Attributes:
        read: Items read from the source.
        sent: Items sent, each counted once.
        succeeded: Items that the service applied.
        failed: Items that were sent and failed.
        invalid: Items that were not sent because they are invalid.
        resent: Items sent again, after a lost response or a failed job; counted each time.
        duplicates: Items merged into a later item with the same `source_id` before they were sent.
        unchanged: Items that were not sent because the service holds them already, according to the state file.
    """

    read: int
    sent: int
    succeeded: int
    failed: int
    invalid: int
    resent: int
    duplicates: int = 0
    unchanged: int = 0

    def summary(self) -> str:
        """The counts as one line of text."""
        text = f"{self.sent:,} sent, {self.succeeded:,} succeeded, {self.failed:,} failed, {self.invalid:,} invalid"
        for name in ("unchanged", "duplicates"):
            if count := getattr(self, name):
                text += f", {count:,} {name}"
        return text


class SyncProgress(SyncCounts, frozen=True, kw_only=True):
    """The progress of a sync job.

    Attributes:
        open_jobs: Number of open background jobs.
        elapsed: Seconds since the sync started.
    """

    open_jobs: int
    elapsed: float

"""The sandbox's records: customers, their events, background jobs and tokens. No I/O.

Properties of customers are stored as they are sent: plain JSON values.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import msgspec

from voucherify_async._transport.wire import format_instant
from voucherify_async.models.base import EPOCH
from voucherify_async.sandbox._seed.vouchers import NO_SUBJECT, EventSubject, Instant, Redeemable, hex_hash_id

__all__ = [
    "HEX_ID_BITS",
    "MILLISECOND",
    "UNBOUNDED",
    "Bounds",
    "Customers",
    "Event",
    "Job",
    "JobWork",
    "Record",
    "Snapshot",
    "Token",
    "hex_id",
    "to_instant",
]

FIELDS: Final = ("name", "description", "email", "phone", "birthday", "birthdate")
HEX_ID_BITS: Final = 72
MILLISECOND: Final = dt.timedelta(milliseconds=1)

Json = dict[str, Any]
T = TypeVar("T")


def to_instant(epoch: float) -> dt.datetime:
    """Epoch seconds as an instant, cut to milliseconds as in the service."""
    return EPOCH + int(epoch * 1000) * MILLISECOND


class Snapshot(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True):
    """A customer at a point in time. Its values are replaced, never changed in place, so snapshots can share them.

    There may be millions of snapshots. They are not part of reference cycles, so the garbage collector can ignore
    them.
    """

    id: str
    source_id: str | None
    created: Instant
    updated: Instant | None = None
    fields: Json = {}
    address: Json | None = None
    metadata: Json | None = None
    summary: dict[str, Json] | None = None
    loyalty: Json | None = None
    referrals: Json | None = None

    def to_json(self) -> Json:
        """The customer as in the service's responses."""
        shown: Json = {"id": self.id, "source_id": self.source_id, **self.fields}
        shown["address"] = self.address
        shown["summary"] = self.summary or _empty_summary()
        shown["loyalty"] = self.loyalty or {"points": 0, "referred_customers": 0, "campaigns": {}}
        shown["referrals"] = self.referrals or {"total": 0, "campaigns": []}
        if self.metadata is not None:
            shown["metadata"] = self.metadata
        shown["system_metadata"] = {}
        shown["created_at"] = format_instant(self.created)
        if self.updated is not None:
            shown["updated_at"] = format_instant(self.updated)
        cockpit = f"https://app.voucherify.io/#/app/core/projects/sandbox/customers/{self.id}"
        shown["assets"] = {"cockpit_url": cockpit, "cockpit_preference_center_url": f"{cockpit}/preferences"}
        shown["object"] = "customer"
        return shown

    def snapshot(self) -> Snapshot:
        """A copy of the customer that later changes do not affect."""
        return Snapshot(
            id=self.id,
            source_id=self.source_id,
            created=self.created,
            updated=self.updated,
            fields=self.fields,
            address=self.address,
            metadata=self.metadata,
            summary=self.summary,
            loyalty=self.loyalty,
            referrals=self.referrals,
        )


class Event(msgspec.Struct, gc=False):
    """An event of a customer. It is turned into JSON only on request, as there are many and few are read."""

    number: int
    """Random; the event id and the group id are derived from it."""
    kind: str
    at: Instant
    customer: Snapshot
    category: str
    about: EventSubject = NO_SUBJECT

    @property
    def id(self) -> str:
        """The event id, for example ``evcus_0b4c590350857970df``."""
        return hex_hash_id("evcus_", self.number)

    @property
    def group_id(self) -> str:
        """The id of the request that caused the event, for example ``v-0b4c590350857970df``."""
        return hex_hash_id("v-", self.number)

    @property
    def campaign_id(self) -> str | None:
        """The id of the campaign that the event is about, if any."""
        return None if self.about.campaign is None else self.about.campaign.id

    @property
    def campaign_type(self) -> str | None:
        """The type of the campaign that the event is about, if any."""
        return None if self.about.campaign is None else self.about.campaign.type

    @property
    def product_id(self) -> str | None:
        """The id of the ordered product, if any."""
        return None if self.about.order is None else self.about.order.product.id


class Record(Snapshot, kw_only=True, gc=False):
    """A stored customer, with its events and redeemables."""

    activity: list[Event] = []
    redeemables: list[Redeemable] = []

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set the given properties; null clears one. Address parts and metadata keys are merged individually."""
        given = {name: changes[name] for name in FIELDS if name in changes}
        if given:
            self.fields = {**self.fields, **given} if self.fields else given
        if "address" in changes:
            self.address = _merged(self.address, changes["address"])
        if "metadata" in changes:
            self.metadata = _merged(self.metadata, changes["metadata"])


def _merged(old: Json | None, new: Json | None) -> Json | None:
    # Many customers may be given one large object: they share it until a merge makes a copy.
    return {**old, **new} if old and new is not None else new


def hex_id(prefix: str, number: int) -> str:
    """A hexadecimal id with this prefix, as requests, jobs and events have."""
    return f"{prefix}{number:018x}"


def _empty_summary() -> Json:
    counts = ("redeemed", "failed", "succeeded", "rolled_back", "rollback_failed", "rollback_succeeded")
    return {
        "redemptions": {
            **{f"total_{name}": 0 for name in counts},
            "gift": {"redeemed_amount": 0, "amount_to_go": 0},
            "loyalty_card": {"redeemed_points": 0, "points_to_go": 0},
        },
        "orders": {"total_amount": 0, "total_count": 0, "average_amount": 0, "last_order_amount": 0},
    }


class Customers(Protocol):
    """The part of the store that background jobs use."""

    def has_source_id(self, source_id: str) -> bool:
        """Whether there is a customer with this source id."""
        ...

    def upsert(self, body: Mapping[str, Any], *, replace: bool = False, by_id: bool = True) -> Record:
        """Create a customer, or update the existing one."""
        ...


@runtime_checkable
class JobWork(Protocol):
    """The work of a background job: a number of items, run in slices."""

    def __len__(self) -> int:
        """The number of items."""
        ...

    def do(self, customers: Customers, items: range) -> None:
        """Run the items in this range."""
        ...

    @property
    def failed_count(self) -> int:
        """How many of the items that have run have failed."""
        ...

    def result(self, ended: dt.datetime) -> Json:
        """The result of the job, once all items have run."""
        ...

    def report(self) -> str | None:
        """A CSV file with the result of each item, if this kind of job has one."""
        ...


class Job(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A background job. It runs in slices; each takes effect all at once at its end.

    All times are in epoch seconds. The attributes of the slice refer to the next one, or to the last one once the
    job has ended.

    Attributes:
        id: The job's id.
        type: The job's type in the API, for example ``CUSTOMERS.BULK_UPDATE``.
        request_id: The id of the request that started it.
        created: The time of that request.
        seconds: The duration of all slices together.
        work: The work to do.
        began: The start of the first slice.
        starts: The start of the slice.
        ends: The end of the slice.
        first: The first item of the slice.
        last: The item after the last one of the slice.
        result: The result, if the job has ended without failing.
        failed: Whether the work raised an exception.
    """

    id: str
    type: str
    request_id: str
    created: float
    seconds: float
    work: JobWork
    began: float = 0.0
    starts: float = 0.0
    ends: float = 0.0
    first: int = 0
    last: int = 0
    result: Json | None = None
    failed: bool = False

    @property
    def ended(self) -> bool:
        """Whether the job has succeeded or failed."""
        return self.failed or self.result is not None

    def queue_slice(self, since: float, size: int) -> None:
        """Set the next slice: at most `size` items, starting at the time `since`."""
        total = len(self.work)
        if not self.last:
            self.began = since
        self.starts, self.first, self.last = since, self.last, min(self.last + size, total)
        self.ends = since + self.seconds * ((self.last - self.first) / total if total else 1)

    def to_json(self, now: float) -> Json:
        """The job as in the service's lists, without its result."""
        shown: Json = {
            "id": self.id,
            "type": self.type,
            "status": self._status(now),
            "progress": self._progress(now),
            "created_at": format_instant(to_instant(self.created)),
            "updated_at": format_instant(to_instant(min(max(now, self.created), self.ends))),
            "request_id": self.request_id,
            "object": "async_action",
        }
        if self.ended:
            shown["operation_status"] = "FAILED" if self.failed else "SUCCESS"
            shown["processing_time"] = int(1000 * (self.ends - self.created))
        return shown

    def _status(self, now: float) -> str:
        if self.ended:
            return "FAILED" if self.failed else "DONE"
        return "ENQUEUED" if now < self.starts and not self.first else "IN_PROGRESS"

    def _progress(self, now: float) -> int:
        if self.ended:
            return 100
        total, takes = len(self.work), self.ends - self.starts
        share = min(max((now - self.starts) / takes, 0.0), 1.0) if takes else float(now >= self.starts)
        return int(100 * ((self.first + share * (self.last - self.first)) / total if total else share))


class Token(msgspec.Struct, frozen=True):
    """An OAuth access token."""

    value: str
    scope: str
    expires: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range of instants; `None` means no bound. With `inclusive`, the bounds belong to the range.

    With `in_seconds`, the bounds and the compared instants are truncated to whole seconds.
    """

    after: dt.datetime | None = None
    before: dt.datetime | None = None
    inclusive: bool = field(default=False, kw_only=True)
    in_seconds: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.in_seconds:
            for name in ("after", "before"):
                bound = getattr(self, name)
                object.__setattr__(self, name, None if bound is None else self._truncate(bound))

    def __bool__(self) -> bool:
        return self.after is not None or self.before is not None

    def _truncate(self, instant: dt.datetime) -> dt.datetime:
        return instant.replace(microsecond=0) if self.in_seconds else instant

    def contains(self, instant: dt.datetime | None) -> bool:
        """Whether the instant is in the range. `None` is only in a range without bounds."""
        if instant is None:
            return not self
        instant = self._truncate(instant)
        if self.inclusive:
            return (self.after or instant) <= instant <= (self.before or instant)
        return (self.after is None or instant > self.after) and (self.before is None or instant < self.before)

    def index_range(self, instants: Sequence[T], key: Callable[[T], dt.datetime]) -> range:
        """The indexes of the items in the range. The items must be sorted by the instants that `key` returns."""

        def cut(item: T) -> dt.datetime:
            return self._truncate(key(item))

        first, last = 0, len(instants)
        if self.after is not None:
            first = (bisect.bisect_left if self.inclusive else bisect.bisect_right)(
                instants, self.after, key=cut
            )
        if self.before is not None:
            last = (bisect.bisect_right if self.inclusive else bisect.bisect_left)(
                instants, self.before, key=cut
            )
        return range(first, last)


UNBOUNDED: Final = Bounds()
"""The range without bounds: contains every instant, and `None`."""

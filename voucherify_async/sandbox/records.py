"""What the sandbox keeps: customers, what happened to them, segments, jobs and tokens. No I/O.

Objects are kept as they are sent: plain JSON values.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from voucherify_async.transport.wire import format_instant

__all__ = [
    "EPOCH",
    "HEX_ID_BITS",
    "MILLISECOND",
    "Bounds",
    "Event",
    "Job",
    "Record",
    "Segment",
    "Snapshot",
    "Token",
    "hex_id",
    "to_instant",
]

FIELDS: Final = ("name", "description", "email", "phone", "birthday", "birthdate")
HEX_ID_BITS: Final = 72
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND: Final = dt.timedelta(milliseconds=1)

Json = dict[str, Any]
T = TypeVar("T")


def to_instant(epoch: float) -> dt.datetime:
    """Epoch seconds as an instant, in the milliseconds in which the service keeps them."""
    return EPOCH + int(epoch * 1000) * MILLISECOND


class Snapshot(msgspec.Struct, kw_only=True, gc=False):
    """A customer as it is at some time. What it holds is replaced, never changed in place.

    There may be millions of these. They lead to nothing that leads back to them, so the garbage collector
    need not go through them again and again.
    """

    id: str
    source_id: str | None
    created: dt.datetime
    updated: dt.datetime | None = None
    fields: Json = {}
    address: Json | None = None
    metadata: Json | None = None
    summary: Json | None = None
    loyalty: Json | None = None
    referrals: Json | None = None

    def to_json(self) -> Json:
        """The customer as the service shows it."""
        shown: Json = {"id": self.id, "source_id": self.source_id, **self.fields}
        shown["address"] = self.address
        shown["summary"] = self.summary or _no_summary()
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
        """The customer as it is now, whatever becomes of it."""
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
    """What happened to a customer. There are many, and few are ever looked at: shown only when asked for."""

    number: int
    """Random; both its ids are made of it."""
    kind: str
    at: dt.datetime
    customer: Snapshot
    category: str

    @property
    def id(self) -> str:
        """Its id, for example ``evcus_0b4c590350857970df``."""
        return hex_id("evcus_", self.number >> HEX_ID_BITS)

    def to_json(self) -> Json:
        """The event as the service lists it."""
        return {
            "id": self.id,
            "type": self.kind,
            "data": {"data": {"customer": self.customer.to_json()}, "event_source": {"channel": "API"}},
            "created_at": format_instant(self.at),
            "group_id": hex_id("v-", self.number % (1 << HEX_ID_BITS)),
        }


class Record(Snapshot, kw_only=True, gc=False):
    """A stored customer."""

    activity: list[Event] = []
    redeemables: list[Json] = []

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set what is given; null clears. Address parts and metadata keys are merged one by one."""
        given = {name: changes[name] for name in FIELDS if name in changes}
        if given:
            self.fields = {**self.fields, **given} if self.fields else given
        if "address" in changes:
            self.address = _merged(self.address, changes["address"])
        if "metadata" in changes:
            self.metadata = _merged(self.metadata, changes["metadata"])


def _merged(old: Json | None, new: Json | None) -> Json | None:
    return None if new is None else {**(old or {}), **new}


def hex_id(prefix: str, number: int) -> str:
    """An id of the kind that requests, jobs and events have."""
    return f"{prefix}{number:018x}"


def _no_summary() -> Json:
    counts = ("redeemed", "failed", "succeeded", "rolled_back", "rollback_failed", "rollback_succeeded")
    return {
        "redemptions": {
            **{f"total_{name}": 0 for name in counts},
            "gift": {"redeemed_amount": 0, "amount_to_go": 0},
            "loyalty_card": {"redeemed_points": 0, "points_to_go": 0},
        },
        "orders": {"total_amount": 0, "total_count": 0, "average_amount": 0, "last_order_amount": 0},
    }


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment: the customers for which a condition holds."""

    id: str
    name: str
    holds: Callable[[Record], bool]

    def to_json(self) -> Json:
        """The segment as the service shows it."""
        return {"id": self.id, "name": self.name, "object": "segment"}


@dataclass(slots=True, kw_only=True)
class Job:
    """A background job. It takes effect, all at once, when its time has come."""

    id: str
    type: str
    request_id: str
    created: float
    starts: float
    ends: float
    run: Callable[[], Json] | None
    """What it does at its end; returns its result. `None` once it has run."""
    result: Json | None = None
    failed: bool = False

    def to_json(self, now: float) -> Json:
        """The job as the service lists it, without its result."""
        if now < self.starts:
            status, progress = "ENQUEUED", 0
        elif self.run is not None:
            took, takes = now - self.starts, self.ends - self.starts
            status, progress = "IN_PROGRESS", int(100 * took / takes) if took < takes else 100
        else:
            status, progress = ("FAILED" if self.failed else "DONE"), 100
        shown: Json = {
            "id": self.id,
            "type": self.type,
            "status": status,
            "progress": progress,
            "created_at": format_instant(to_instant(self.created)),
            "updated_at": format_instant(to_instant(min(max(now, self.created), self.ends))),
            "request_id": self.request_id,
            "object": "async_action",
        }
        if self.run is None:
            shown["operation_status"] = "FAILED" if self.failed else "SUCCESS"
            shown["processing_time"] = int(1000 * (self.ends - self.created))
        return shown


@dataclass(frozen=True, slots=True)
class Token:
    """An OAuth access token."""

    value: str
    scope: str
    expires: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range of instants, with or without its ends; `None` sets no bound."""

    after: dt.datetime | None = None
    before: dt.datetime | None = None
    inclusive: bool = field(default=False, kw_only=True)

    def __bool__(self) -> bool:
        return self.after is not None or self.before is not None

    def hold(self, instant: dt.datetime | None) -> bool:
        """Whether the instant is within; none is within no bound."""
        if instant is None:
            return not self
        if self.inclusive:
            return (self.after or instant) <= instant <= (self.before or instant)
        return (self.after is None or instant > self.after) and (self.before is None or instant < self.before)

    def places(self, instants: Sequence[T], key: Callable[[T], dt.datetime]) -> range:
        """Which of these, sorted by their instants, are within."""
        first, last = 0, len(instants)
        if self.after is not None:
            first = (bisect.bisect_left if self.inclusive else bisect.bisect_right)(
                instants, self.after, key=key
            )
        if self.before is not None:
            last = (bisect.bisect_right if self.inclusive else bisect.bisect_left)(
                instants, self.before, key=key
            )
        return range(first, max(first, last))

"""What the sandbox keeps: customers, what happened to them, segments, jobs and tokens. No I/O.

Objects are kept as they are sent: plain JSON values.
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
from voucherify_async.sandbox._seed.vouchers import NOTHING, EventSubject, Instant, Redeemable, digits

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
    """Epoch seconds as an instant, in the milliseconds in which the service keeps them."""
    return EPOCH + int(epoch * 1000) * MILLISECOND


class Snapshot(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True):
    """A customer as it is at some time. What it holds is replaced, never changed in place.

    There may be millions of these. They lead to nothing that leads back to them, so the garbage collector
    need not go through them again and again.
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
    at: Instant
    customer: Snapshot
    category: str
    about: EventSubject = NOTHING

    @property
    def id(self) -> str:
        """Its id, for example ``evcus_0b4c590350857970df``."""
        return digits("evcus_", self.number)

    @property
    def campaign_id(self) -> str | None:
        """The campaign it has to do with, if any."""
        return None if self.about.campaign is None else self.about.campaign.id

    @property
    def campaign_type(self) -> str | None:
        """The kind of that campaign."""
        return None if self.about.campaign is None else self.about.campaign.type

    @property
    def product_id(self) -> str | None:
        """The product that was ordered, if any."""
        return None if self.about.order is None else self.about.order.product.id


class Record(Snapshot, kw_only=True, gc=False):
    """A stored customer."""

    activity: list[Event] = []
    redeemables: list[Redeemable] = []

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
    # Many customers may be given the same, however large: it is theirs together until something else is added.
    return {**old, **new} if old and new is not None else new


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


class Customers(Protocol):
    """What a background job works on."""

    def has_source_id(self, source_id: str) -> bool:
        """Whether there is a customer with this source id."""
        ...

    def upsert(self, body: Mapping[str, Any], *, replace: bool = False, by_id: bool = True) -> Record:
        """Create a customer, or update the one that there is."""
        ...


@runtime_checkable
class JobWork(Protocol):
    """What a background job has to do."""

    def __len__(self) -> int:
        """How many items there are."""
        ...

    def do(self, customers: Customers, items: range) -> None:
        """Do a part of them."""
        ...

    def result(self, ended: dt.datetime) -> Json:
        """What became of all, once they are done."""
        ...

    def report(self) -> str | None:
        """What became of each, as a CSV file, if there is one."""
        ...


class Job(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A background job. A turn takes effect, all at once, when its time has come.

    Attributes:
        id: Its id.
        type: What kind of job it is.
        request_id: Of the request that has started it.
        created: When that was, in epoch seconds, as the others.
        seconds: How long its turns take together.
        work: What it has to do.
        starts: When its turn begins, or the last one began.
        ends: When its turn ends, or the last one ended.
        first: The first of the items that are done in its turn.
        last: The one after the last of them.
        result: What became of it, if it has ended and not failed.
        failed: Whether it broke.
    """

    id: str
    type: str
    request_id: str
    created: float
    seconds: float
    work: JobWork
    starts: float = 0.0
    ends: float = 0.0
    first: int = 0
    last: int = 0
    result: Json | None = None
    failed: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.failed or self.result is not None

    def queue(self, since: float, turn: int) -> None:
        """Set the next turn: so many items at most, from that time on."""
        total = len(self.work)
        self.starts, self.first, self.last = since, self.last, min(self.last + turn, total)
        self.ends = since + self.seconds * ((self.last - self.first) / total if total else 1)

    def to_json(self, now: float) -> Json:
        """The job as the service lists it, without its result."""
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
    """A range of instants, with or without its ends; `None` sets no bound.

    With `in_seconds`, the bounds and what is compared with them are cut to whole seconds.
    """

    after: dt.datetime | None = None
    before: dt.datetime | None = None
    inclusive: bool = field(default=False, kw_only=True)
    in_seconds: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.in_seconds:
            for name in ("after", "before"):
                bound = getattr(self, name)
                object.__setattr__(self, name, None if bound is None else self._cut(bound))

    def __bool__(self) -> bool:
        return self.after is not None or self.before is not None

    def _cut(self, instant: dt.datetime) -> dt.datetime:
        return instant.replace(microsecond=0) if self.in_seconds else instant

    def hold(self, instant: dt.datetime | None) -> bool:
        """Whether the instant is within; none is within no bound."""
        if instant is None:
            return not self
        instant = self._cut(instant)
        if self.inclusive:
            return (self.after or instant) <= instant <= (self.before or instant)
        return (self.after is None or instant > self.after) and (self.before is None or instant < self.before)

    def places(self, instants: Sequence[T], key: Callable[[T], dt.datetime]) -> range:
        """Which of these, sorted by their instants, are within."""

        def cut(item: T) -> dt.datetime:
            return self._cut(key(item))

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
"""Holds every instant, and none."""

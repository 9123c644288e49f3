"""What the sandbox knows: customers, what happened to them, jobs and tokens. No I/O.

Objects are kept as they are sent: plain JSON values. Time comes from a clock that is passed in, so jobs
need no task of their own: whoever looks at the store first lets the jobs that are due take effect.
"""

from __future__ import annotations

import bisect
import datetime as dt
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any, Final, TypeVar

import msgspec

from voucherify_async.sandbox.errors import ApiError, not_found
from voucherify_async.sandbox.quirks import Quirks
from voucherify_async.transport.wire import format_instant

__all__ = ["Bounds", "Event", "Job", "Record", "Segment", "Snapshot", "Store", "Token", "to_instant"]

FIELDS: Final = ("name", "description", "email", "phone", "birthday", "birthdate")
TOKEN_LIFETIME: Final = 900

_ID_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ID_LETTERS: Final = bytes(_ID_ALPHABET[number % len(_ID_ALPHABET)] for number in range(256))
"""For each byte a letter; some come a little more often, which an id does not mind."""
_HEX_ID_BITS: Final = 72
_SORTED_ANEW: Final = 50
"""How many times as many must be sorted already for it to pay to put each that is new in its place."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
_MICROSECOND: Final = dt.timedelta(microseconds=1)

_logger = logging.getLogger("voucherify_async.sandbox")

Json = dict[str, Any]
T = TypeVar("T")


def to_instant(epoch: float) -> dt.datetime:
    """Epoch seconds as an instant, in the milliseconds in which the service keeps them."""
    return _EPOCH + int(epoch * 1000) * _MILLISECOND


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
        return _hex_id("evcus_", self.number >> _HEX_ID_BITS)

    def to_json(self) -> Json:
        """The event as the service lists it."""
        return {
            "id": self.id,
            "type": self.kind,
            "data": {"data": {"customer": self.customer.to_json()}, "event_source": {"channel": "API"}},
            "created_at": format_instant(self.at),
            "group_id": _hex_id("v-", self.number % (1 << _HEX_ID_BITS)),
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


def _hex_id(prefix: str, number: int) -> str:
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


_SORT_KEYS: Final[dict[str, Callable[[Record], Any]]] = {
    "created_at": lambda record: (record.created, record.id),
    "updated_at": lambda record: (record.updated or record.created, record.id),
    "source_id": lambda record: (record.source_id is None, record.source_id, record.id),
}
_TIES: Final[dict[str, Callable[[Record], Any]]] = {
    "created_at": lambda record: record.created,
    "updated_at": lambda record: record.updated or record.created,
    "source_id": lambda record: record.id,  # no timestamp, no tie
}


@dataclass(slots=True)
class _Index:
    """All customers, sorted. Those that are new are put in their places when somebody looks."""

    records: list[Record]
    added: list[Record] = field(default_factory=list[Record])

    def __len__(self) -> int:
        return len(self.records) + len(self.added)

    def put_in_place(self, key: Callable[[Record], Any]) -> None:
        if len(self.added) * _SORTED_ANEW > len(self.records):
            self.records += self.added
            self.records.sort(key=key)
        else:
            for record in self.added:
                bisect.insort(self.records, record, key=key)
        self.added.clear()


class Store:
    """Everything the sandbox holds, in memory.

    Attributes:
        quirks: How it does what no source says of the service; may be set at any time.
        job_seconds: Seconds that any background job takes; may be set at any time.
        job_seconds_per_item: Seconds that each of its items adds; may be set at any time.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        quirks: Quirks = Quirks(),
        job_seconds: float = 0.05,
        job_seconds_per_item: float = 0.000_01,
    ) -> None:
        self.quirks = quirks
        self.job_seconds = job_seconds
        self.job_seconds_per_item = job_seconds_per_item
        self.random = random.Random(seed)  # noqa: S311  # believable, not secret
        self.clock = clock
        self.customers: dict[str, Record] = {}
        self.segments: list[Segment] = []
        self.jobs: dict[str, Job] = {}
        self.tokens: dict[str, Token] = {}
        self._by_source_id: dict[str, Record] = {}
        self._waiting: deque[Job] = deque()
        self._job_ended: dt.datetime | None = None
        self._sorted: dict[str, _Index] = {}

    # ------------------------------------------------------------ ids and time

    def make_id(self, prefix: str, length: int = 24) -> str:
        """A new id, for example ``cust_…``."""
        return prefix + self.random.randbytes(length).translate(_ID_LETTERS).decode()

    def make_hex_id(self, prefix: str) -> str:
        """A new id of the kind that requests, jobs and events have, for example ``v-0b4c590350857970df``."""
        return _hex_id(prefix, self.random.getrandbits(_HEX_ID_BITS))

    def now(self) -> dt.datetime:
        """The current instant; for a job that takes effect, the one at which it ended."""
        return to_instant(self.clock()) if self._job_ended is None else self._job_ended

    # ------------------------------------------------------------ customers

    def find(self, key: str) -> Record | None:
        """The customer with this id or source id."""
        self.advance()
        return self.customers.get(key) or self._by_source_id.get(key)

    def get(self, key: str) -> Record:
        """The customer with this id or source id; else a 404."""
        record = self.find(key)
        if record is None:
            raise not_found("customer", key)
        return record

    def upsert(self, body: Mapping[str, Any], *, replace: bool = False) -> Record:
        """Create a customer, or update the one with this id or source id; see `update` for `replace`."""
        record_id, source_id = body.get("id"), body.get("source_id")
        self.advance()
        by_id = None if record_id is None else self.customers.get(record_id)
        by_source_id = None if source_id is None else self._by_source_id.get(source_id)
        known = by_source_id if by_id is None else by_id
        if known is None:
            return self.add(record_id, source_id, body)
        if by_source_id is not None and by_source_id is not known:
            raise ApiError(400, "invalid_payload", "id and source_id belong to two customers")
        if source_id is not None and known.source_id not in {None, source_id}:
            raise ApiError(400, "invalid_payload", "source_id of a customer cannot be changed")
        if source_id is not None:
            known.source_id = source_id
            self._by_source_id[source_id] = known
        return self.update(known, body, replace=replace)

    def add(
        self,
        record_id: str | None,
        source_id: str | None,
        body: Mapping[str, Any],
        created: dt.datetime | None = None,
    ) -> Record:
        """Create a customer."""
        record = Record(
            id=record_id or self.make_id("cust_"),
            source_id=source_id,
            created=created or self.now(),
        )
        record.change(body)
        self.customers[record.id] = record
        if source_id is not None:
            self._by_source_id[source_id] = record
        for index in self._sorted.values():
            index.added.append(record)
        self.record_event(record, "customer.created", record.created)
        return record

    def burst(self, count: int, at: dt.datetime | None = None) -> list[Record]:
        """Create customers that share one `created_at`, as a bulk import does.

        Args:
            count: How many.
            at: When they are created, with a timezone. `None` means now.

        Raises:
            ValueError: `count` is negative, or `at` has no timezone.
        """
        if count < 0:
            raise ValueError(f"count must not be negative, not {count!r}")
        if at is not None and at.utcoffset() is None:
            raise ValueError(f"at must have a timezone: {at!r}")
        created = self.now() if at is None else at.astimezone(dt.UTC)
        return [self.add(None, self.make_id("burst-"), {}, created=created) for _ in range(count)]

    def update(self, record: Record, changes: Mapping[str, Any], *, replace: bool = False) -> Record:
        """Change a customer; with `replace`, what is not given is dropped."""
        if replace:
            record.fields, record.address, record.metadata = {}, None, None
        record.change(changes)
        record.updated = self.now()
        for name in ("updated_at", "source_id"):  # the order of created_at stays as it is
            self._sorted.pop(name, None)
        self.record_event(record, "customer.updated", record.updated)
        return record

    def remove(self, record: Record) -> None:
        """Delete a customer."""
        del self.customers[record.id]
        if record.source_id is not None:
            del self._by_source_id[record.source_id]
        self._sorted.clear()

    def record_event(self, record: Record, kind: str, at: dt.datetime, *, category: str = "ACTION") -> Event:
        """Note what happened to a customer, and what it was then."""
        event = Event(self.random.getrandbits(2 * _HEX_ID_BITS), kind, at, record.snapshot(), category)
        record.activity.append(event)
        return event

    def select(
        self,
        matches: Callable[[Record], bool] | None,
        order: str,
        *,
        created: Bounds | None = None,
        skip: int = 0,
        after: dt.datetime | None = None,
    ) -> tuple[Iterable[Record], int]:
        """The customers that match, in order, from a place on; and how many match in all.

        Args:
            matches: What is asked of a customer; `None` for nothing.
            order: ``created_at``, ``updated_at`` or ``source_id``; a dash reverses.
            created: Only customers created within, in the order of `created_at`.
            skip: How many to leave out at the beginning.
            after: A cursor: only customers created later in the order count from there.
        """
        name, descending = order.removeprefix("-"), order.startswith("-")
        everyone = self._ascending(name)
        places = range(len(everyone))
        if created is not None:
            places = created.places(everyone, _TIES["created_at"])
        total = len(places) if matches is None else sum(matches(everyone[place]) for place in places)
        if after is not None:
            place = self._place(everyone, after, behind=self.quirks.strict_cursor != descending)
            first, last = (0, place) if descending else (place, len(everyone))
            places = range(max(places.start, first), min(places.stop, last))
        if descending:
            places = places[::-1]
        if matches is None and not self.quirks.shuffled_ties:
            # A range is cut at once: a page takes as long wherever it is.
            places, skip = places[skip:], 0
        rest: Iterable[Record] = map(everyone.__getitem__, places)
        if matches is not None:
            rest = filter(matches, rest)
        if self.quirks.shuffled_ties:
            rest = self._shuffle_ties(rest, _TIES[name])
        return islice(rest, skip, None), total

    def _ascending(self, name: str) -> list[Record]:
        """All customers, sorted by ``created_at``, ``updated_at`` or ``source_id``."""
        self.advance()
        found = self._sorted.get(name)
        # The lengths differ when someone has changed the customers without telling.
        if found is None or len(found) != len(self.customers):
            found = self._sorted[name] = _Index(sorted(self.customers.values(), key=_SORT_KEYS[name]))
        found.put_in_place(_SORT_KEYS[name])
        return found.records

    def _place(self, records: Sequence[Record], instant: dt.datetime, *, behind: bool) -> int:
        """How many records come before the instant, or with `behind` before those after it."""
        unit = _MILLISECOND if self.quirks.milliseconds else _MICROSECOND
        bisected = bisect.bisect_right if behind else bisect.bisect_left
        return bisected(
            records, (instant - _EPOCH) // unit, key=lambda record: (record.created - _EPOCH) // unit
        )

    def _shuffle_ties(self, records: Iterable[Record], key: Callable[[Record], Any]) -> Iterator[Record]:
        for _, group in groupby(records, key):
            tied = list(group)
            self.random.shuffle(tied)
            yield from tied

    def segments_of(self, record: Record) -> list[Segment]:
        """The segments a customer belongs to."""
        return [segment for segment in self.segments if segment.holds(record)]

    # ------------------------------------------------------------ jobs

    def schedule(self, kind: str, request_id: str, items: int, run: Callable[[], Json]) -> Job:
        """Queue a job behind those that wait."""
        self.advance()
        now = self.clock()
        starts = max(now, self._waiting[-1].ends) if self._waiting else now
        job = Job(
            id=self.make_hex_id("aa_"),
            type=kind,
            request_id=request_id,
            created=now,
            starts=starts,
            ends=starts + self.job_seconds + items * self.job_seconds_per_item,
            run=run,
        )
        self.jobs[job.id] = job
        self._waiting.append(job)
        return job

    def advance(self) -> None:
        """Let the jobs that are due take effect, in the order in which they were queued."""
        if self._job_ended is not None:
            return  # a job that takes effect looks at the store itself
        while self._waiting and self._waiting[0].ends <= self.clock():
            job = self._waiting.popleft()
            run, job.run = job.run, None
            self._job_ended = to_instant(job.ends)
            try:
                job.result = None if run is None else run()
            except Exception:
                # Whoever looks next has nothing to do with it.
                _logger.exception("the job %s broke", job.id)
                job.failed = True
            finally:
                self._job_ended = None

    # ------------------------------------------------------------ tokens

    def issue_token(self, scope: str) -> Token:
        """A new access token."""
        token = Token(self.make_id("", 50), scope, self.clock() + TOKEN_LIFETIME)
        self.tokens[token.value] = token
        return token

    def live_token(self, value: str) -> Token | None:
        """The token, if it is one and has not run out."""
        token = self.tokens.get(value)
        return token if token is not None and token.expires > self.clock() else None

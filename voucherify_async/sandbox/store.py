"""What the sandbox knows, and how it is looked up and changed. No I/O.

Time comes from a clock that is passed in, so jobs need no task of their own: whoever looks at the store first
lets the jobs that are due take effect.
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

from voucherify_async.sandbox.errors import ApiError, not_found
from voucherify_async.sandbox.quirks import Quirks
from voucherify_async.sandbox.records import (
    EPOCH,
    HEX_ID_BITS,
    MILLISECOND,
    Bounds,
    Event,
    Job,
    Record,
    Segment,
    Token,
    hex_id,
    to_instant,
)

__all__ = ["Store"]

TOKEN_LIFETIME: Final = 900

_ID_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ID_LETTERS: Final = bytes(_ID_ALPHABET[number % len(_ID_ALPHABET)] for number in range(256))
"""For each byte a letter; some come a little more often, which an id does not mind."""
_SORTED_ANEW: Final = 50
"""How many times as many must be sorted already for it to pay to put each that is new in its place."""

_MICROSECOND: Final = dt.timedelta(microseconds=1)

_logger = logging.getLogger("voucherify_async.sandbox")

Json = dict[str, Any]
T = TypeVar("T")


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
        return hex_id(prefix, self.random.getrandbits(HEX_ID_BITS))

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
        event = Event(self.random.getrandbits(2 * HEX_ID_BITS), kind, at, record.snapshot(), category)
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
        unit = MILLISECOND if self.quirks.milliseconds else _MICROSECOND
        bisected = bisect.bisect_right if behind else bisect.bisect_left
        return bisected(
            records, (instant - EPOCH) // unit, key=lambda record: (record.created - EPOCH) // unit
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

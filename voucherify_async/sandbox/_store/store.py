"""The sandbox's data in memory: lookups, changes, sorted lists, background jobs and tokens. No I/O.

Clock. The store reads the time from a function that is passed in, and starts no timer or task. Jobs run lazily:
`advance` runs everything that is due by the clock, and every lookup of customers calls it first.

Jobs. A job is a number of items, run in slices of at most `_SLICE_SIZE` items. A slice takes effect all at once,
when the clock reaches its end. A slice starts when the last queued one ends, so the jobs take turns and a large
one does not block the small ones behind it; with `Quirks.parallel_jobs`, jobs do not wait for each other. While a
slice runs, `now` returns the time at which its items take effect, not the time of the clock.

- `_queued_jobs` holds the jobs that have not ended, sorted by the end of their next slice.
- `_job_time` is set only while a slice runs, and `advance` does nothing then.
- A job that raises ends as failed; the caller of `advance` does not see the exception.

Indexes. A list request sorts the matching customers once, and the result is kept as an `Index`: one for each order
and filter, at most `_MAX_INDEXES`, the least recently used dropped first.

- An index finds a customer by its sort key, so `_discard` runs before a customer changes and `Index.add` after.
- `_indexed_count` is the number of customers that the indexes were built from and updated with. If it differs from
  the number of customers, someone has bypassed `put` and `remove`, and all indexes are dropped.

Changes. With a state file, `changes` collects the ids of everything that changed since the last save. `replace_with` takes
the data of another store, and marks all that was there as removed.

Events. `on_event` gets each event when it is recorded, and those of deleted customers, whose activity is gone.
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
from operator import attrgetter
from typing import Any, Final, TypeVar

from voucherify_async.models.base import EPOCH
from voucherify_async.sandbox._store.errors import not_found
from voucherify_async.sandbox._store.index import CustomerFilter, Index, tie_key
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.records import (
    HEX_ID_BITS,
    MILLISECOND,
    UNBOUNDED,
    Bounds,
    Event,
    Job,
    JobWork,
    Record,
    Token,
    hex_id,
    to_instant,
)
from voucherify_async.sandbox._store.segments import DEFAULT_SEGMENTS, Segment

__all__ = ["Changes", "Store"]

TOKEN_LIFETIME: Final = 900

_ID_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LETTER_OF_BYTE: Final = bytes(_ID_ALPHABET[number % len(_ID_ALPHABET)] for number in range(256))
"""A letter or digit for each byte. Some occur slightly more often, which does not matter for an id."""
_MAX_INDEXES: Final = 12
"""Sorted lists kept for paging. Each can hold all customers, so only a few are kept."""
_SLICE_SIZE: Final = 10_000
"""Items that a job runs before the next queued job continues."""

_MICROSECOND: Final = dt.timedelta(microseconds=1)
_SECOND: Final = dt.timedelta(seconds=1)

_logger = logging.getLogger("voucherify_async.sandbox")

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(slots=True)
class Changes:
    """What changed since the last save: ids of customers and jobs in order of change, and whether any token did.

    With `all_removed`, everything that was saved was removed first.
    """

    customers: dict[str, None] = field(default_factory=dict[str, None])
    jobs: dict[str, None] = field(default_factory=dict[str, None])
    tokens: bool = False
    all_removed: bool = False

    def __bool__(self) -> bool:
        return bool(self.customers or self.jobs or self.tokens or self.all_removed)


class Store:
    """All data of the sandbox, in memory.

    Attributes:
        quirks: Switches for undocumented behavior of the service; may be set at any time.
        job_seconds: Base duration of a background job in seconds; may be set at any time.
        job_seconds_per_item: Seconds that each item adds to a job; may be set at any time.
        base_url: The URL under which job reports can be downloaded.
        changes: Changes since the last save; `None` if they are not tracked.
        on_event: Called with each event of a customer, when it happens; `None` if nobody listens.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        quirks: Quirks = Quirks(),
        job_seconds: float = 0.05,
        job_seconds_per_item: float = 0.000_01,
        segments: Iterable[Segment] = DEFAULT_SEGMENTS,
    ) -> None:
        self.quirks = quirks
        self.job_seconds = job_seconds
        self.job_seconds_per_item = job_seconds_per_item
        self.random = random.Random(seed)  # noqa: S311  # test data, not secrets
        self.clock = clock
        self.customers: dict[str, Record] = {}
        self.segments = list(segments)
        self.jobs: dict[str, Job] = {}
        self.tokens: dict[str, Token] = {}
        self.base_url = ""
        self.changes: Changes | None = None
        self.on_event: Callable[[Event], None] | None = None
        self._by_source_id: dict[str, Record] = {}
        self._queued_jobs: deque[Job] = deque()
        self._job_time: dt.datetime | None = None
        self._indexes: dict[tuple[str, CustomerFilter], Index] = {}
        self._indexed_count = 0

    def replace_with(self, other: Store) -> None:
        """Take the data, the settings and the random numbers of another store, which must not be used afterwards.

        The clock, the listener to events and the tracking of changes stay. No event is recorded.
        """
        self.quirks = other.quirks
        self.job_seconds = other.job_seconds
        self.job_seconds_per_item = other.job_seconds_per_item
        self.random = other.random
        _replace_items(self.customers, other.customers)
        _replace_items(self._by_source_id, other._by_source_id)
        _replace_items(self.jobs, other.jobs)
        _replace_items(self.tokens, other.tokens)
        self.segments[:] = other.segments
        self._queued_jobs = other._queued_jobs
        self._indexes.clear()
        self._indexed_count = len(self.customers)
        if self.changes is not None:
            self.changes = Changes(dict.fromkeys(self.customers), all_removed=True)

    # ------------------------------------------------------------ ids and time

    def __repr__(self) -> str:
        return f"<Store: {len(self.customers):,} customers, {len(self.jobs):,} jobs>"

    def make_id(self, prefix: str, length: int = 24) -> str:
        """A new id, for example ``cust_…``."""
        return prefix + self.random.randbytes(length).translate(_LETTER_OF_BYTE).decode()

    def make_hex_id(self, prefix: str) -> str:
        """A new hexadecimal id, as requests, jobs and events have, for example ``v-0b4c590350857970df``."""
        return hex_id(prefix, self.random.getrandbits(HEX_ID_BITS))

    def now(self) -> dt.datetime:
        """The current instant; while a job runs, the instant at which its items take effect."""
        return to_instant(self.clock()) if self._job_time is None else self._job_time

    # ------------------------------------------------------------ customers

    def find(self, key: str) -> Record | None:
        """The customer with this id or source id, if there is one."""
        self.advance()
        return self.customers.get(key) or self._by_source_id.get(key)

    def has_source_id(self, source_id: str) -> bool:
        """Whether there is a customer with this source id."""
        return source_id in self._by_source_id

    def get(self, key: str) -> Record:
        """The customer with this id or source id.

        Raises:
            ApiError: 404, there is no such customer.
        """
        record = self.find(key)
        if record is None:
            raise not_found("customer", key)
        return record

    def upsert(self, body: Mapping[str, Any], *, replace: bool = False, by_id: bool = True) -> Record:
        """Create a customer, or update the one with this id, else the one with this source id.

        Args:
            body: The properties from the request.
            replace: Clear the properties that `body` does not have; see `update`.
            by_id: Whether to use the id in `body`. If not, it is ignored.
        """
        record_id, source_id = body.get("id") if by_id else None, body.get("source_id")
        self.advance()
        known = self.customers.get(record_id) if record_id else None
        if known is None and source_id:
            known = self._by_source_id.get(source_id)
        if known is None:
            return self.add(record_id, source_id, body)
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
        self.put(record)
        self.record_event(record, "customer.created", record.created)
        return record

    def put(self, record: Record) -> None:
        """Add a new customer, together with the events that it already has."""
        self.restore(record)
        self._indexed_count += 1
        for index in self._indexes.values():
            index.add(record)
        if self.changes is not None:
            self.changes.customers[record.id] = None

    def burst(self, count: int, at: dt.datetime | None = None) -> list[Record]:
        """Create customers that share one `created_at`, as a bulk import does.

        Args:
            count: Number of customers.
            at: Their `created_at`, with a timezone. `None` means now.

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
        """Change a customer; with `replace`, clear the properties that `changes` does not have."""
        self._discard(record)
        if replace:
            record.fields, record.address, record.metadata = {}, None, None
        record.change(changes)
        record.updated = self.now()
        for index in self._indexes.values():
            if index.affected_by_updates:
                index.add(record)
        self.record_event(record, "customer.updated", record.updated)
        return record

    def remove(self, record: Record) -> None:
        """Delete a customer."""
        del self.customers[record.id]
        if record.source_id is not None:
            del self._by_source_id[record.source_id]
        self._discard(record, deleted=True)
        if self.changes is not None:
            self.changes.customers[record.id] = None
        self._indexed_count -= 1
        if self.on_event is not None:
            number = self.random.getrandbits(2 * HEX_ID_BITS)
            self.on_event(Event(number, "customer.deleted", self.now(), record.snapshot(), "ACTION"))

    def _discard(self, record: Record, *, deleted: bool = False) -> None:
        """Remove a customer from every index in which the change can move it. Call this before the change."""
        stale = [
            key
            for key, index in self._indexes.items()
            if (index.affected_by_updates or deleted) and not index.discard(record)
        ]
        for key in stale:
            del self._indexes[key]

    def record_event(self, record: Record, kind: str, at: dt.datetime, *, category: str = "ACTION") -> Event:
        """Record an event of a customer, with a snapshot of the customer."""
        event = Event(self.random.getrandbits(2 * HEX_ID_BITS), kind, at, record.snapshot(), category)
        record.activity.append(event)
        if self.changes is not None:
            self.changes.customers[record.id] = None
        if self.on_event is not None:
            self.on_event(event)
        return event

    def restore(self, record: Record) -> None:
        """Make a customer available to lookups, without an event and without updating the indexes."""
        self.customers[record.id] = record
        if record.source_id is not None:
            self._by_source_id[record.source_id] = record

    def select(
        self,
        customer_filter: CustomerFilter,
        order: str,
        *,
        created: Bounds = UNBOUNDED,
        skip: int = 0,
        after: dt.datetime | None = None,
    ) -> tuple[Iterable[Record], int]:
        """The matching customers from a position on, in order, and the number of all matching customers.

        Args:
            customer_filter: The conditions that customers must meet.
            order: ``created_at``, ``updated_at`` or ``source_id``; a leading dash reverses it.
            created: Only customers created within these bounds. Requires the order `created_at`.
            skip: Number of customers to skip, after the cursor.
            after: Cursor: start after the customers created at this instant, or with them if `Quirks.strict_cursor` is
                off. The total is not affected.
        """
        name, descending = order.removeprefix("-"), order.startswith("-")
        records = self.visible(self._sorted_matches(name, customer_filter), attrgetter("created"))
        positions = created.index_range(records, tie_key("created_at")) if created else range(len(records))
        total = len(positions)
        if after is not None:
            position = self._cursor_position(
                records, after, after_ties=self.quirks.strict_cursor != descending
            )
            first, last = (0, position) if descending else (position, len(records))
            positions = range(max(positions.start, first), min(positions.stop, last))
        if descending:
            positions = positions[::-1]
        if not self.quirks.shuffled_ties:
            # Slicing a range is O(1), so a late page takes no longer than the first.
            return map(records.__getitem__, positions[skip:]), total
        shuffled = self._shuffle_ties(map(records.__getitem__, positions), tie_key(name))
        return islice(shuffled, skip, None), total

    def visible(self, items: list[T], created: Callable[[T], dt.datetime]) -> list[T]:
        """The items that are old enough to appear in lists; see `Quirks.read_lag`."""
        if not self.quirks.read_lag:
            return items
        newest = self.now() - dt.timedelta(seconds=self.quirks.read_lag)
        return [item for item in items if created(item) <= newest]

    def _sorted_matches(self, name: str, customer_filter: CustomerFilter) -> list[Record]:
        """The customers that match, sorted by ``created_at``, ``updated_at`` or ``source_id``."""
        self.advance()
        if self._indexed_count != len(self.customers):  # changed without `put` or `remove`
            self._indexes.clear()
            self._indexed_count = len(self.customers)
        key = (name, customer_filter)
        index = self._indexes.pop(key, None) or Index(name, customer_filter, self.customers.values())
        self._indexes[key] = index  # most recently used last
        if len(self._indexes) > _MAX_INDEXES:
            del self._indexes[next(iter(self._indexes))]
        return index.sorted_records()

    def _cursor_position(self, records: Sequence[Record], instant: dt.datetime, *, after_ties: bool) -> int:
        """The position of the first record created at the instant or later, or with `after_ties` later than it."""
        unit = MILLISECOND if self.quirks.milliseconds else _MICROSECOND
        unit = _SECOND if self.quirks.compared_in_seconds else unit
        bisected = bisect.bisect_right if after_ties else bisect.bisect_left
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

    def schedule(self, kind: str, request_id: str, work: JobWork) -> Job:
        """Queue a new job."""
        self.advance()
        job = Job(
            id=self.make_hex_id("aa_"),
            type=kind,
            request_id=request_id,
            created=self.clock(),
            seconds=self.job_seconds + len(work) * self.job_seconds_per_item,
            work=work,
        )
        self.jobs[job.id] = job
        self._enqueue(job, job.created)
        return job

    def _enqueue(self, job: Job, since: float) -> None:
        """Queue the next slice of a job, after the last queued slice unless jobs run in parallel."""
        behind_others = self._queued_jobs and not self.quirks.parallel_jobs
        job.queue_slice(self._queued_jobs[-1].ends if behind_others else since, _SLICE_SIZE)
        bisect.insort(self._queued_jobs, job, key=attrgetter("ends"))
        if self.changes is not None:
            self.changes.jobs[job.id] = None

    def restore_jobs(self, jobs: Iterable[Job]) -> None:
        """Restore saved jobs. Those that have not ended are queued for the slice they were saved with."""
        self.jobs = {job.id: job for job in jobs}
        waiting = [job for job in self.jobs.values() if not job.ended]
        self._queued_jobs = deque(sorted(waiting, key=attrgetter("ends")))

    @property
    def next_job_end(self) -> float | None:
        """When the next slice of a background job ends, in epoch seconds; `None` if all jobs have ended."""
        return self._queued_jobs[0].ends if self._queued_jobs else None

    def advance(self) -> None:
        """Run the job slices that are due by the clock, in the order of their ends."""
        if self._job_time is not None:
            return  # called by the work of the running job
        while self._queued_jobs and self._queued_jobs[0].ends <= self.clock():
            job = self._queued_jobs.popleft()
            self._job_time = to_instant(job.ends)
            try:
                self._run_slice(job)
                if job.last == len(job.work):
                    job.result = job.work.result(self._job_time)
            except Exception:
                # The caller only reads the store; a broken job must not fail its request.
                _logger.exception("job %s failed with an exception", job.id)
                job.failed = True
            finally:
                self._job_time = None
            if not job.ended:
                self._enqueue(job, job.ends)
            elif self.changes is not None:
                self.changes.jobs[job.id] = None

    def _run_slice(self, job: Job) -> None:
        """Run the items of a slice with times spread over it, or at its end with `Quirks.alike`."""
        count, seconds = job.last - job.first, job.ends - job.starts
        steps = 1 if self.quirks.alike else max(1, min(count, int(seconds * 1000)))
        for step in range(steps):
            self._job_time = to_instant(job.starts + seconds * (step + 1) / steps)
            first, last = (job.first + count * number // steps for number in (step, step + 1))
            job.work.do(self, range(first, last))

    # ------------------------------------------------------------ tokens

    def issue_token(self, scope: str) -> Token:
        """Create an access token."""
        token = Token(self.make_id("", 50), scope, self.clock() + TOKEN_LIFETIME)
        self.tokens[token.value] = token
        self._mark_tokens_changed()
        return token

    def drop_expired_tokens(self) -> None:
        """Remove the expired tokens."""
        now = self.clock()
        for token in [token for token in self.tokens.values() if token.expires <= now]:
            self.revoke_token(token)

    def revoke_token(self, token: Token) -> None:
        """Remove a token."""
        del self.tokens[token.value]
        self._mark_tokens_changed()

    def _mark_tokens_changed(self) -> None:
        if self.changes is not None:
            self.changes.tokens = True

    def live_token(self, value: str) -> Token | None:
        """The token with this value, if it exists and has not expired."""
        token = self.tokens.get(value)
        return token if token is not None and token.expires > self.clock() else None


def _replace_items(mapping: dict[str, T], items: dict[str, T]) -> None:
    mapping.clear()
    mapping.update(items)

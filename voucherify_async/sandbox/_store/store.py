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
from operator import attrgetter
from typing import Any, Final, TypeVar

from voucherify_async.models.base import EPOCH
from voucherify_async.sandbox._store.errors import not_found
from voucherify_async.sandbox._store.index import CustomerFilter, Index, tie_of
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
_ID_LETTERS: Final = bytes(_ID_ALPHABET[number % len(_ID_ALPHABET)] for number in range(256))
"""For each byte a letter; some come a little more often, which an id does not mind."""
_INDEXES_KEPT: Final = 12
"""Lists that somebody reads page by page; each holds up to all customers."""
_TURN: Final = 10_000
"""Items of a job that are done before it is another's turn."""

_MICROSECOND: Final = dt.timedelta(microseconds=1)
_SECOND: Final = dt.timedelta(seconds=1)

_logger = logging.getLogger("voucherify_async.sandbox")

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(slots=True)
class Changes:
    """What has changed since somebody looked: the ids of customers and jobs, in order, and whether any token has."""

    customers: dict[str, None] = field(default_factory=dict[str, None])
    jobs: dict[str, None] = field(default_factory=dict[str, None])
    tokens: bool = False

    def __bool__(self) -> bool:
        return bool(self.customers or self.jobs or self.tokens)


class Store:
    """Everything the sandbox holds, in memory.

    Attributes:
        quirks: How it does what no source says of the service; may be set at any time.
        job_seconds: Seconds that any background job takes; may be set at any time.
        job_seconds_per_item: Seconds that each of its items adds; may be set at any time.
        base_url: Where its reports can be downloaded.
        changes: What has changed, if somebody wants to know.
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
        self.random = random.Random(seed)  # noqa: S311  # believable, not secret
        self.clock = clock
        self.customers: dict[str, Record] = {}
        self.segments = list(segments)
        self.jobs: dict[str, Job] = {}
        self.tokens: dict[str, Token] = {}
        self.base_url = ""
        self.changes: Changes | None = None
        self._by_source_id: dict[str, Record] = {}
        self._waiting: deque[Job] = deque()
        self._job_ended: dt.datetime | None = None
        self._indexes: dict[tuple[str, CustomerFilter], Index] = {}
        self._indexed = 0

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

    def has_source_id(self, source_id: str) -> bool:
        """Whether there is a customer with this source id."""
        return source_id in self._by_source_id

    def get(self, key: str) -> Record:
        """The customer with this id or source id; else a 404."""
        record = self.find(key)
        if record is None:
            raise not_found("customer", key)
        return record

    def upsert(self, body: Mapping[str, Any], *, replace: bool = False, by_id: bool = True) -> Record:
        """Create a customer, or update the one with this id, else the one with this source id.

        Args:
            body: What is given.
            replace: Drop what is not given; see `update`.
            by_id: Whether an id is told at all.
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
        """Take in a new customer, with what has happened to it so far."""
        self.restore(record)
        self._indexed += 1
        for index in self._indexes.values():
            index.add(record)
        if self.changes is not None:
            self.changes.customers[record.id] = None

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
        self._discard(record)
        if replace:
            record.fields, record.address, record.metadata = {}, None, None
        record.change(changes)
        record.updated = self.now()
        for index in self._indexes.values():
            if index.moves:
                index.add(record)
        self.record_event(record, "customer.updated", record.updated)
        return record

    def remove(self, record: Record) -> None:
        """Delete a customer."""
        del self.customers[record.id]
        if record.source_id is not None:
            del self._by_source_id[record.source_id]
        self._discard(record, for_good=True)
        if self.changes is not None:
            self.changes.customers[record.id] = None
        self._indexed -= 1

    def _discard(self, record: Record, *, for_good: bool = False) -> None:
        """Take a customer out of the indexes in which it may have another place once it has changed."""
        useless = [
            key
            for key, index in self._indexes.items()
            if (index.moves or for_good) and not index.discard(record)
        ]
        for key in useless:
            del self._indexes[key]

    def record_event(self, record: Record, kind: str, at: dt.datetime, *, category: str = "ACTION") -> Event:
        """Note what happened to a customer, and what it was then."""
        event = Event(self.random.getrandbits(2 * HEX_ID_BITS), kind, at, record.snapshot(), category)
        record.activity.append(event)
        if self.changes is not None:
            self.changes.customers[record.id] = None
        return event

    def restore(self, record: Record) -> None:
        """Take a customer back that was kept."""
        self.customers[record.id] = record
        if record.source_id is not None:
            self._by_source_id[record.source_id] = record

    def select(
        self,
        asked: CustomerFilter,
        order: str,
        *,
        created: Bounds = UNBOUNDED,
        skip: int = 0,
        after: dt.datetime | None = None,
    ) -> tuple[Iterable[Record], int]:
        """The customers that match, in order, from a place on; and how many match in all.

        Args:
            asked: What is asked of a customer.
            order: ``created_at``, ``updated_at`` or ``source_id``; a dash reverses.
            created: Only customers created within; in the order of `created_at`.
            skip: How many to leave out at the beginning.
            after: A cursor: only customers created later in the order count from there.
        """
        name, descending = order.removeprefix("-"), order.startswith("-")
        sorted_ = self.listed(self._ascending(name, asked), attrgetter("created"))
        places = created.places(sorted_, tie_of("created_at")) if created else range(len(sorted_))
        total = len(places)
        if after is not None:
            place = self._place(sorted_, after, behind=self.quirks.strict_cursor != descending)
            first, last = (0, place) if descending else (place, len(sorted_))
            places = range(max(places.start, first), min(places.stop, last))
        if descending:
            places = places[::-1]
        if not self.quirks.shuffled_ties:
            # A range is cut at once: a page takes as long wherever it is.
            return map(sorted_.__getitem__, places[skip:]), total
        shuffled = self._shuffle_ties(map(sorted_.__getitem__, places), tie_of(name))
        return islice(shuffled, skip, None), total

    def listed(self, items: list[T], created: Callable[[T], dt.datetime]) -> list[T]:
        """Those of the items that appear in lists by now."""
        if not self.quirks.read_lag:
            return items
        newest = self.now() - dt.timedelta(seconds=self.quirks.read_lag)
        return [item for item in items if created(item) <= newest]

    def _ascending(self, name: str, asked: CustomerFilter) -> list[Record]:
        """The customers that match, sorted by ``created_at``, ``updated_at`` or ``source_id``."""
        self.advance()
        if self._indexed != len(self.customers):  # someone has changed the customers without telling
            self._indexes.clear()
            self._indexed = len(self.customers)
        key = (name, asked)
        index = self._indexes.pop(key, None) or Index(name, asked, self.customers.values())
        self._indexes[key] = index  # the last that was read is the last to go
        if len(self._indexes) > _INDEXES_KEPT:
            del self._indexes[next(iter(self._indexes))]
        return index.look()

    def _place(self, records: Sequence[Record], instant: dt.datetime, *, behind: bool) -> int:
        """How many records come before the instant, or with `behind` before those after it."""
        unit = MILLISECOND if self.quirks.milliseconds else _MICROSECOND
        unit = _SECOND if self.quirks.compared_in_seconds else unit
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

    def schedule(self, kind: str, request_id: str, work: JobWork) -> Job:
        """Queue a job behind those that wait."""
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
        self._queue(job, job.created)
        return job

    def _queue(self, job: Job, since: float) -> None:
        """Have a job wait for its turn; a large one needs several, between which it is others'."""
        in_turns = self._waiting and not self.quirks.parallel_jobs
        job.queue(self._waiting[-1].ends if in_turns else since, _TURN)
        bisect.insort(self._waiting, job, key=attrgetter("ends"))
        if self.changes is not None:
            self.changes.jobs[job.id] = None

    def restore_jobs(self, jobs: Iterable[Job]) -> None:
        """Take jobs back that were kept; those that have not ended wait for the turns that they had."""
        self.jobs = {job.id: job for job in jobs}
        waiting = [job for job in self.jobs.values() if not job.ended]
        self._waiting = deque(sorted(waiting, key=attrgetter("ends")))

    def advance(self) -> None:
        """Let the jobs that are due take effect, in the order in which they were queued."""
        if self._job_ended is not None:
            return  # a job that takes effect looks at the store itself
        while self._waiting and self._waiting[0].ends <= self.clock():
            job = self._waiting.popleft()
            self._job_ended = to_instant(job.ends)
            try:
                self._take_turn(job)
                if job.last == len(job.work):
                    job.result = job.work.result(self._job_ended)
            except Exception:
                # Whoever looks next has nothing to do with it.
                _logger.exception("the job %s broke", job.id)
                job.failed = True
            finally:
                self._job_ended = None
            if not job.ended:
                self._queue(job, job.ends)
            elif self.changes is not None:
                self.changes.jobs[job.id] = None

    def _take_turn(self, job: Job) -> None:
        """Do the items of a turn, as if one came after the other until it ended."""
        count, seconds = job.last - job.first, job.ends - job.starts
        steps = 1 if self.quirks.alike else max(1, min(count, int(seconds * 1000)))
        for step in range(steps):
            self._job_ended = to_instant(job.starts + seconds * (step + 1) / steps)
            first, last = (job.first + count * number // steps for number in (step, step + 1))
            job.work.do(self, range(first, last))

    # ------------------------------------------------------------ tokens

    def issue_token(self, scope: str) -> Token:
        """A new access token."""
        token = Token(self.make_id("", 50), scope, self.clock() + TOKEN_LIFETIME)
        self.tokens[token.value] = token
        self._note_tokens()
        return token

    def forget_tokens(self) -> None:
        """Drop the tokens that have run out."""
        now = self.clock()
        for token in [token for token in self.tokens.values() if token.expires <= now]:
            self.revoke_token(token)

    def revoke_token(self, token: Token) -> None:
        """End a token before its time."""
        del self.tokens[token.value]
        self._note_tokens()

    def _note_tokens(self) -> None:
        if self.changes is not None:
            self.changes.tokens = True

    def live_token(self, value: str) -> Token | None:
        """The token, if it is one and has not run out."""
        token = self.tokens.get(value)
        return token if token is not None and token.expires > self.clock() else None

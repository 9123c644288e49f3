"""The rows of a state file: JSON that is checked against a schema when it is read. No I/O.

A file may come from anybody. Reading a row builds nothing but the types below, takes memory in proportion to the
row, and raises `ValueError` for whatever the sandbox could not work with later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from voucherify_async.sandbox._endpoints._event_data import show
from voucherify_async.sandbox._seed.vouchers import NOTHING, EventSubject, Instant
from voucherify_async.sandbox._store.jobs import BulkUpdate, CsvImport, MetadataUpdate
from voucherify_async.sandbox._store.records import Event, Job, JobWork, Record, Snapshot, Token
from voucherify_async.sandbox._store.validation import DEEPEST, is_deep

__all__ = [
    "read_customer",
    "read_events",
    "read_job",
    "read_token",
    "write",
    "write_customer",
    "write_events",
]

T = TypeVar("T")


class _Event(msgspec.Struct, gc=False, omit_defaults=True):
    """An event; a customer that has not changed since the event before is left out."""

    number: int
    kind: str
    at: Instant
    category: str
    about: EventSubject = NOTHING
    customer: Snapshot | None = None


def _work(kind: type, value: Any) -> Any:
    """What a job has to do, which the schema of a job leaves open."""
    return msgspec.convert(value, BulkUpdate | CsvImport | MetadataUpdate) if kind is JobWork else value


write: Final = msgspec.json.Encoder().encode
"""A job or a token as a row."""
_customers: Final = msgspec.json.Decoder(Record)
_events: Final = msgspec.json.Decoder(list[_Event])
_jobs: Final = msgspec.json.Decoder(Job, dec_hook=_work)
_tokens: Final = msgspec.json.Decoder(Token)


def write_customer(record: Record) -> bytes:
    """A customer as a row, without its events: there are only ever more, so they have rows of their own."""
    return write(msgspec.structs.replace(record, activity=[]))


def write_events(events: Sequence[Event]) -> bytes:
    """Events of one customer as a row."""
    kept: list[_Event] = []
    before: Snapshot | None = None
    for event in events:
        customer = None if event.customer is before else event.customer
        kept.append(_Event(event.number, event.kind, event.at, event.category, event.about, customer))
        before = event.customer
    return write(kept)


def read_customer(key: object, row: object) -> Record:
    """A customer.

    Raises:
        ValueError: The row is not one of a customer with the id `key`.
    """
    return _named(key, _read(_customers, row), "id")


def read_events(row: object, shown: set[object]) -> list[Event]:
    """Events of one customer.

    Args:
        row: What was read.
        shown: The kinds of events that are known to have what it takes to show them; more are added.

    Raises:
        ValueError: The row is not one of events.
    """
    events: list[Event] = []
    customer: Snapshot | None = None
    for kept in _read(_events, row):
        customer = kept.customer or customer
        if customer is None:
            raise ValueError("an event has no customer")
        event = Event(kept.number, kept.kind, kept.at, customer, kept.category, kept.about)
        _check_shown(event, shown)
        events.append(event)
    return events


def _check_shown(event: Event, shown: set[object]) -> None:
    about = event.about
    parts = (about.campaign is None, about.voucher is None, about.order is None, about.tier is None)
    if (event.kind, parts) not in shown:
        try:
            show(event)
        except AssertionError:
            raise ValueError(f"an event of the kind {event.kind!r} lacks what it is about") from None
        shown.add((event.kind, parts))


def read_job(key: object, row: object) -> Job:
    """A job.

    Raises:
        ValueError: The row is not one of a job with the id `key`.
    """
    job = _named(key, _read(_jobs, row), "id")
    try:
        in_order = 0 <= job.created <= job.starts <= job.ends
        if not in_order or not 0 <= job.first <= job.last <= len(job.work):
            raise ValueError("a job's times or items are out of order")
        job.to_json(job.ends if job.ended else job.created)
    except OverflowError as error:
        raise ValueError(f"a job has a number that is too large: {error}") from None
    done = len(job.work) if job.ended else job.first
    if isinstance(job.work, BulkUpdate) and not job.failed and len(job.work.fates) != done:
        raise ValueError("a job's report is not of the items that are done")
    return job


def read_token(key: object, row: object) -> Token:
    """A token.

    Raises:
        ValueError: The row is not one of the token `key`.
    """
    return _named(key, _read(_tokens, row), "value")


def _named(key: object, value: T, attribute: str) -> T:
    if getattr(value, attribute) != key:
        raise ValueError("a row has the key of another")
    return value


def _read(decoder: msgspec.json.Decoder[T], row: object) -> T:
    if not isinstance(row, bytes):
        raise ValueError(f"a row holds {type(row).__name__}, not bytes")  # as all it may hold
    try:
        # Few have as many brackets at all.
        if row.count(b"[") + row.count(b"{") > DEEPEST and is_deep(_json(row)):
            raise ValueError(f"a row is nested deeper than {DEEPEST} levels")
        return decoder.decode(row)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


_json: Final[Any] = msgspec.json.Decoder().decode

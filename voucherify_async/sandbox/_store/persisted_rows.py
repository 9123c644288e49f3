"""The rows of a state file: JSON that is validated against a schema when it is read. No I/O.

State files are untrusted. Reading a row creates only the types below, takes memory in proportion to the size of the
row, and raises `ValueError` for anything that would make the sandbox fail later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from voucherify_async.sandbox._endpoints._event_data import event_json
from voucherify_async.sandbox._seed.vouchers import NO_SUBJECT, EventSubject, Instant
from voucherify_async.sandbox._store.jobs import BulkUpdate, CsvImport, MetadataUpdate
from voucherify_async.sandbox._store.records import Event, Job, JobWork, Record, Snapshot, Token
from voucherify_async.sandbox._store.validation import MAX_DEPTH, is_too_deep

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
    """An event. `customer` is `None` if it is the same as in the previous event."""

    number: int
    kind: str
    at: Instant
    category: str
    about: EventSubject = NO_SUBJECT
    customer: Snapshot | None = None


def _decode_work(kind: type, value: Any) -> Any:
    """Decode the work of a job, which msgspec cannot do itself as `JobWork` is a protocol."""
    return msgspec.convert(value, BulkUpdate | CsvImport | MetadataUpdate) if kind is JobWork else value


write: Final = msgspec.json.Encoder().encode
"""Encode a job or a token as a row."""
_customer_decoder: Final = msgspec.json.Decoder(Record)
_events_decoder: Final = msgspec.json.Decoder(list[_Event])
_job_decoder: Final = msgspec.json.Decoder(Job, dec_hook=_decode_work)
_token_decoder: Final = msgspec.json.Decoder(Token)


def write_customer(record: Record) -> bytes:
    """Encode a customer as a row, without its events. They have their own rows, as they are only appended."""
    return write(msgspec.structs.replace(record, activity=[]))


def write_events(events: Sequence[Event]) -> bytes:
    """Encode events of one customer as a row."""
    row_events: list[_Event] = []
    before: Snapshot | None = None
    for event in events:
        customer = None if event.customer is before else event.customer
        row_events.append(_Event(event.number, event.kind, event.at, event.category, event.about, customer))
        before = event.customer
    return write(row_events)


def read_customer(key: object, row: object) -> Record:
    """Decode a customer.

    Raises:
        ValueError: The row is not a customer with the id `key`.
    """
    return _check_key(key, _read(_customer_decoder, row), "id")


def read_events(row: object, known_shapes: set[object]) -> list[Event]:
    """Decode events of one customer.

    Args:
        row: The row, as read from the file.
        known_shapes: Shapes of events that are known to convert to JSON; new ones are added. Pass the same set for
            all rows, so that each shape is checked once.

    Raises:
        ValueError: The row is not a valid list of events.
    """
    events: list[Event] = []
    customer: Snapshot | None = None
    for row_event in _read(_events_decoder, row):
        customer = row_event.customer or customer
        if customer is None:
            raise ValueError("an event has no customer")
        event = Event(
            row_event.number, row_event.kind, row_event.at, customer, row_event.category, row_event.about
        )
        _check_showable(event, known_shapes)
        events.append(event)
    return events


def _check_showable(event: Event, known_shapes: set[object]) -> None:
    about = event.about
    parts = (about.campaign is None, about.voucher is None, about.order is None, about.tier is None)
    if (event.kind, parts) not in known_shapes:
        try:
            event_json(event)
        except AssertionError:
            raise ValueError(f"an event of type {event.kind!r} lacks the objects that it is about") from None
        known_shapes.add((event.kind, parts))


def read_job(key: object, row: object) -> Job:
    """Decode a job.

    Raises:
        ValueError: The row is not a job with the id `key`.
    """
    job = _check_key(key, _read(_job_decoder, row), "id")
    try:
        in_order = 0 <= job.created <= job.starts <= job.ends
        if not in_order or not 0 <= job.first <= job.last <= len(job.work):
            raise ValueError("a job's times or items are out of order")
        job.to_json(job.ends if job.ended else job.created)
    except OverflowError as error:
        raise ValueError(f"a job has a number that is too large: {error}") from None
    if not job.created <= job.began <= job.starts:
        job.began = job.created  # shown only, and absent from the files of earlier versions
    done = len(job.work) if job.ended else job.first
    if isinstance(job.work, BulkUpdate) and not job.failed and len(job.work.outcomes) != done:
        raise ValueError("a job's report does not match its finished items")
    return job


def read_token(key: object, row: object) -> Token:
    """Decode a token.

    Raises:
        ValueError: The row is not the token `key`.
    """
    return _check_key(key, _read(_token_decoder, row), "value")


def _check_key(key: object, value: T, attribute: str) -> T:
    if getattr(value, attribute) != key:
        raise ValueError("the key of a row does not match its content")
    return value


def _read(decoder: msgspec.json.Decoder[T], row: object) -> T:
    if not isinstance(row, bytes):
        raise ValueError(f"a row holds {type(row).__name__}, not bytes")  # not TypeError: the file is invalid
    try:
        # Counting brackets is cheap, and few rows have that many.
        if row.count(b"[") + row.count(b"{") > MAX_DEPTH and is_too_deep(_json(row)):
            raise ValueError(f"a row is nested deeper than {MAX_DEPTH} levels")
        return decoder.decode(row)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


_json: Final[Any] = msgspec.json.Decoder().decode

"""Loading customers from a file, instead of generating them."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from voucherify_async._transport.wire import format_instant
from voucherify_async.models._json import is_array, is_mapping
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.gc import gc_paused
from voucherify_async.sandbox._store.jobs import CsvTable, read_columns
from voucherify_async.sandbox._store.records import Record
from voucherify_async.sandbox._store.store import Store
from voucherify_async.sandbox._store.validation import MAX_DEPTH, check_customer, instant, is_too_deep

__all__ = ["load_customers"]

Json = dict[str, Any]
Line = tuple[int, Mapping[str, Any]]

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def load_customers(store: Store, path: str | os.PathLike[str]) -> None:
    """Load customers into a store that is not in use yet.

    Args:
        store: The store. A customer with an existing `id` or `source_id` is updated.
        path: ``.ndjson`` or ``.jsonl``: one customer per line, as in the service's responses or create requests.
            ``.csv``: the format of the service's CSV import; existing customers are replaced.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file cannot be read, or a line is not a valid customer. The message names the first such line.
    """
    path = Path(path)
    read = _FORMATS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"load must be a file that ends in {', '.join(_FORMATS)}, not {str(path)!r}")
    if not path.exists():
        raise FileNotFoundError(f"load: there is no file {path}")
    if not path.is_file():
        raise ValueError(f"load: {path} cannot be read: it is not a file")
    now = store.now()
    replace = read is _csv_rows  # as the CSV import does
    with gc_paused():
        for number, body in read(path):
            try:
                _store_customer(store, body, now, replace=replace)
            except ApiError as error:
                raise _line_error(path, number, error) from None


def _line_error(path: Path, number: int, reason: object) -> ValueError:
    if isinstance(reason, ApiError):
        reason = reason.details or reason.message
    return ValueError(f"load: {path}, line {number}: {reason}")


# ---------------------------------------------------------------- files


def _json_lines(path: Path) -> Iterator[Line]:
    decode = msgspec.json.Decoder().decode
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(_BYTE_ORDER_MARK)  # noqa: PLW2901  # the mark is not part of the JSON
                if not line.isspace():
                    try:
                        body = decode(line)
                        if is_too_deep(body):
                            raise _line_error(path, number, f"it is nested deeper than {MAX_DEPTH} levels")
                        yield number, check_customer(body, ids=True)
                    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ApiError) as error:
                        raise _line_error(path, number, error) from None
    except OSError as error:
        raise _file_error(path, error) from None


def _csv_rows(path: Path) -> Iterator[Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                table = CsvTable(read_columns(reader))
                for row in filter(None, reader):
                    yield reader.line_num, table.customer(row)
            except UnicodeDecodeError:
                raise _line_error(
                    path, _undecodable_line(path.read_bytes()), "The file is not UTF-8"
                ) from None
            except (csv.Error, ApiError) as error:
                raise _line_error(path, max(reader.line_num, 1), error) from None
    except OSError as error:
        raise _file_error(path, error) from None


def _undecodable_line(content: bytes) -> int:
    # The text decoder reads ahead, so the number of the last line that was read is too small.
    start = 0
    try:
        content.decode()
    except UnicodeDecodeError as error:
        start = error.start
    return content.count(b"\n", 0, start) + 1


def _file_error(path: Path, error: OSError) -> ValueError:
    return ValueError(f"load: {path} cannot be read: {error.strerror}")


_FORMATS: Final = {".ndjson": _json_lines, ".jsonl": _json_lines, ".csv": _csv_rows}


# ---------------------------------------------------------------- customers


def _store_customer(store: Store, body: Mapping[str, Any], now: dt.datetime, *, replace: bool) -> None:
    """Add a customer, or update or replace the existing one."""
    fields = _read_only_fields(body)  # raises before anything is changed
    record_id, source_id = body.get("id"), body.get("source_id")
    if record_id in store.customers or (source_id is not None and store.has_source_id(source_id)):
        record = store.upsert(body, replace=replace)
    else:
        created = fields.get("created", now)
        record = Record(id=record_id or store.make_id("cust_"), source_id=source_id, created=created)
        record.change(body)
        store.put(record)
        store.record_event(record, "customer.created", created)
    for name, value in fields.items():
        if name != "created":
            setattr(record, name, value)


def _read_only_fields(body: Mapping[str, Any]) -> Json:
    """The properties that the service sets itself: timestamps and summaries."""
    fields: Json = {}
    for name in ("created_at", "updated_at"):
        value = body.get(name)
        if value is not None:
            fields[name.removesuffix("_at")] = instant(name, value)
    for name, kind in _SUMMARY_TYPES.items():
        if body.get(name) is not None:
            summary = _converted(name, body[name], kind)
            # Most customers have empty summaries; storing None saves memory.
            fields[name] = None if summary == _EMPTY_SUMMARIES[kind] else msgspec.to_builtins(summary)
    return fields


def _converted(name: str, value: Any, kind: type[msgspec.Struct]) -> msgspec.Struct:
    with contextlib.suppress(msgspec.ValidationError):
        return msgspec.convert(value, kind)
    try:  # the service sends null for some optional properties
        return msgspec.convert(_without_nulls(value), kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, "invalid_payload", f"Property .{name}: {error}") from None


def _without_nulls(value: Any) -> Any:
    if is_mapping(value):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if is_array(value) else value


class _Gift(msgspec.Struct):
    redeemed_amount: int = 0
    amount_to_go: int = 0


class _LoyaltyCard(msgspec.Struct):
    redeemed_points: int = 0
    points_to_go: int = 0


class _Redemptions(msgspec.Struct):
    total_redeemed: int = 0
    total_failed: int = 0
    total_succeeded: int = 0
    total_rolled_back: int = 0
    total_rollback_failed: int = 0
    total_rollback_succeeded: int = 0
    gift: _Gift = msgspec.field(default_factory=_Gift)
    loyalty_card: _LoyaltyCard = msgspec.field(default_factory=_LoyaltyCard)


class _Orders(msgspec.Struct):
    total_amount: int = 0
    total_count: int = 0
    average_amount: int = 0
    last_order_amount: int = 0
    last_order_date: str | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.last_order_date is not msgspec.UNSET:
            self.last_order_date = format_instant(
                instant("summary.orders.last_order_date", self.last_order_date)
            )


class _Summary(msgspec.Struct):
    redemptions: _Redemptions = msgspec.field(default_factory=_Redemptions)
    orders: _Orders = msgspec.field(default_factory=_Orders)


class _CampaignLoyalty(msgspec.Struct):
    points: int = 0
    loyalty_tier: str | msgspec.UnsetType = msgspec.UNSET
    referred_customers: int = 0


class _Loyalty(msgspec.Struct):
    points: int = 0
    referred_customers: int = 0
    campaigns: dict[str, _CampaignLoyalty] = {}


class _Referral(msgspec.Struct):
    campaign_id: str
    referrer_id: str
    related_object_id: str
    related_object_type: str
    date: str

    def __post_init__(self) -> None:
        self.date = format_instant(instant("referrals.campaigns.date", self.date))


class _Referrals(msgspec.Struct):
    total: int = 0
    campaigns: list[_Referral] = []


_SUMMARY_TYPES: Final[Mapping[str, type[msgspec.Struct]]] = {
    "summary": _Summary,
    "loyalty": _Loyalty,
    "referrals": _Referrals,
}
_EMPTY_SUMMARIES: Final[Mapping[type[msgspec.Struct], msgspec.Struct]] = {
    kind: kind() for kind in (_Summary, _Loyalty, _Referrals)
}

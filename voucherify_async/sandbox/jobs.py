"""What background jobs do to the store when their time has come. No I/O."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from voucherify_async.sandbox.errors import ApiError
from voucherify_async.sandbox.queries import check_customer
from voucherify_async.sandbox.store import Store
from voucherify_async.transport.wire import format_instant

__all__ = ["bulk_update", "csv_rows", "import_csv", "metadata_update"]

Json = dict[str, Any]

_REPORTS_KEPT: Final = dt.timedelta(days=30)

_COLUMNS: Final = {
    "id": "id",
    "name": "name",
    "email": "email",
    "phone": "phone",
    "birthdate": "birthdate",
    "birthday": "birthday",
    "source_id": "source_id",
    "description": "description",
}
_ADDRESS_COLUMNS: Final = {
    "address_line_1": "line_1",
    "address_line_2": "line_2",
    "address_postal_code": "postal_code",
    "address_city": "city",
    "address_state": "state",
    "address_country": "country",
    "postal_code": "postal_code",
    "city": "city",
    "state": "state",
    "country": "country",
}


def bulk_update(store: Store, customers: Sequence[Json]) -> Callable[[], Json]:
    """Upsert customers one by one; one that does not fit is reported and does not stop the others."""

    def run() -> Json:
        errors: list[Json] = []
        for customer in customers:
            try:
                store.upsert(check_customer(customer, ids=True))
            except ApiError as error:
                errors.append(
                    {
                        "message": error.message,
                        "details": error.details or "",
                        "key": error.key,
                        "source_id": customer["source_id"],
                    }
                )
        return _bulk_result(store, len(customers), errors)

    return run


def metadata_update(
    store: Store, source_ids: Sequence[str], metadata: Mapping[str, Any]
) -> Callable[[], Json]:
    """Merge the metadata into each customer; one that is not found is created."""
    return bulk_update(store, [{"source_id": source_id, "metadata": metadata} for source_id in source_ids])


def _bulk_result(store: Store, count: int, errors: list[Json]) -> Json:
    return {
        "done_count": count - len(errors),
        "failed_count": len(errors),
        "errors": errors,
        "reports": [],
        "reports_available_till": format_instant(store.now() + _REPORTS_KEPT),
    }


def csv_rows(content: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file by column; a file that is none is refused."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ApiError(400, "invalid_csv", "The file is not UTF-8") from None
    try:
        return list(_rows(csv.reader(io.StringIO(text, newline=""), strict=True)))
    except csv.Error as error:
        raise ApiError(400, "invalid_csv", str(error)) from None


def _rows(reader: Iterator[list[str]]) -> Iterator[dict[str, str]]:
    header = next(reader, None)
    if not header or not all(name and " " not in name for name in header):
        raise ApiError(400, "invalid_csv", "The first row must name the columns, without spaces")
    for row in reader:
        if row:
            # A row that is too short lacks its last columns; one that is too long is caught when it is run.
            yield {
                **dict(zip(header, row, strict=False)),
                **({"": "extra"} if len(row) > len(header) else {}),
            }


def import_csv(store: Store, rows: Sequence[dict[str, str]]) -> Callable[[], Json]:
    """Create customers, and replace those whose `source_id` exists."""

    def run() -> Json:
        failed: list[Json] = []
        for number, row in enumerate(rows, start=1):
            try:
                _import_row(store, row)
            except ApiError as error:
                source_id = _customer_of(row).get("source_id") or ""
                failed.append(
                    {"source_id": source_id, "row": number, "reason": error.details or error.message}
                )
        done = len(rows) - len(failed)
        return {
            "message": f"{done} customer(s) imported successfully, {len(failed)} failed.",
            "failed": failed,
            "done_count": done,
            "failed_count": len(failed),
        }

    return run


def _import_row(store: Store, row: dict[str, str]) -> None:
    if "" in row:
        raise ApiError(400, "invalid_row", "The row has more values than there are columns")
    store.upsert(check_customer(_customer_of(row), ids=True), replace=True)


def _customer_of(row: dict[str, str]) -> Json:
    """A row as a customer: columns that are not standard become metadata; empty cells are absent."""
    customer: Json = {}
    for column, value in row.items():
        if not value or not column:
            continue
        name = column.lower()
        if name in _COLUMNS:
            customer[_COLUMNS[name]] = value
        elif name in _ADDRESS_COLUMNS:
            customer.setdefault("address", {})[_ADDRESS_COLUMNS[name]] = value
        else:
            customer.setdefault("metadata", {})[column] = value
    return customer

"""The work of background jobs, and the reports of their results. No I/O.

The work of a job is plain data, so that it can be saved in the state file.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

import msgspec

from voucherify_async._transport.wire import format_instant
from voucherify_async.resources._csv import parse_row
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.gc import gc_paused
from voucherify_async.sandbox._store.records import Customers, to_instant
from voucherify_async.sandbox._store.store import Store
from voucherify_async.sandbox._store.validation import check_customer

__all__ = [
    "REPORT_PATH",
    "BulkUpdate",
    "CsvImport",
    "CsvTable",
    "MetadataUpdate",
    "find_report",
    "read_columns",
]

Json = dict[str, Any]

REPORT_PATH: Final = "/-/reports/"
"""The path of reports. They are downloaded without credentials, as from the file storage of the service."""
_REPORT_LIFETIME: Final = dt.timedelta(days=30)

_FOUND, _UPDATED = 1, 2

_CUSTOMER_COLUMNS: Final = {
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


class BulkUpdate(msgspec.Struct, tag=True):
    """Upserts customers one by one. An invalid one is reported and does not stop the others."""

    source_ids: list[str]
    customers: list[Json] = []
    outcomes: bytearray = msgspec.field(default_factory=bytearray, name="fates")
    """For each processed customer, the flags `_FOUND` (it existed) and `_UPDATED` (it was valid)."""
    errors: list[Json] = []

    @classmethod
    def of(cls, customers: list[Json]) -> BulkUpdate:
        """The work for a request with these customers."""
        return cls([customer["source_id"] for customer in customers], customers)

    def __len__(self) -> int:
        return len(self.source_ids)

    def do(self, customers: Customers, items: range) -> None:
        """Upsert the customers in this range."""
        for number in items:
            source_id = self.source_ids[number]
            outcome = _FOUND * customers.has_source_id(source_id)
            try:
                customers.upsert(check_customer(self._customer(number), ids=True), by_id=False)
                outcome |= _UPDATED
            except ApiError as error:
                self.errors.append(
                    {
                        "message": error.message,
                        "details": error.details or "",
                        "key": error.key,
                        "source_id": source_id,
                    }
                )
            self.outcomes.append(outcome)

    @property
    def failed_count(self) -> int:
        """How many of the processed customers were invalid."""
        return len(self.errors)

    def _customer(self, number: int) -> Json:
        return self.customers[number]

    def result(self, ended: dt.datetime) -> Json:
        """The counts, and the error of each customer that failed."""
        self.customers = []  # not needed for the report
        return {
            "done_count": len(self) - len(self.errors),
            "failed_count": len(self.errors),
            "errors": self.errors,
            "reports": [],
            "reports_available_till": format_instant(ended + _REPORT_LIFETIME),
        }

    def report(self) -> str:
        """A CSV file that says for each customer whether it was found and whether it was updated."""
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow(["source_id", "found", "updated"])
        for source_id, outcome in zip(self.source_ids, self.outcomes, strict=True):
            outcomes = ("true" if outcome & flag else "false" for flag in (_FOUND, _UPDATED))
            writer.writerow([_escape_formula(source_id), *outcomes])
        return file.getvalue()


def _escape_formula(cell: str) -> str:
    """The cell, quoted if a spreadsheet would evaluate it as a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


class MetadataUpdate(BulkUpdate, tag=True, kw_only=True):
    """Merges the same metadata into each customer. A customer that does not exist is created."""

    metadata: Json

    def _customer(self, number: int) -> Json:
        return {"source_id": self.source_ids[number], "metadata": self.metadata}


class CsvImport(msgspec.Struct, tag=True):
    """Creates customers from a CSV file, and replaces those whose `source_id` exists."""

    columns: list[str]
    rows: list[list[str]]
    count: int
    failed: list[Json] = []

    @classmethod
    def of(cls, content: bytes) -> CsvImport:
        """The work for a request with this file.

        Raises:
            ApiError: The file is not valid CSV, or not in UTF-8.
        """
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ApiError(400, "invalid_csv", "The file is not UTF-8") from None
        try:
            with gc_paused():
                rows = _read_rows(io.StringIO(text, newline=""))
        except csv.Error as error:
            raise ApiError(400, "invalid_csv", str(error)) from None
        columns = read_columns(iter(rows))
        return cls(columns, rows[1:], len(rows) - 1)

    def __len__(self) -> int:
        return self.count

    def do(self, customers: Customers, items: range) -> None:
        """Import the rows in this range."""
        table = CsvTable(self.columns)
        for number in items:
            row = self.rows[number]
            try:
                _import_customer(customers, table.customer(row))
            except ApiError as error:
                source_id = table.raw_customer(row).get("source_id") or ""
                reason = error.details or error.message
                self.failed.append({"source_id": source_id, "row": number + 1, "reason": reason})

    @property
    def failed_count(self) -> int:
        """How many of the processed rows were invalid."""
        return len(self.failed)

    def result(self, ended: dt.datetime) -> Json:  # noqa: ARG002  # there is no report that expires
        """The counts, and the error of each row that failed."""
        self.rows = []
        done = self.count - len(self.failed)
        return {
            "message": f"{done} customer(s) imported successfully, {len(self.failed)} failed.",
            "failed": self.failed,
            "done_count": done,
            "failed_count": len(self.failed),
        }

    def report(self) -> None:
        """No report: imports do not have one."""


def find_report(store: Store, path: str) -> bytes | None:
    """The CSV report at this path, or `None` if there is none or it has expired."""
    store.advance()
    job = store.jobs.get(path.removeprefix(REPORT_PATH).removesuffix(".csv"))
    if job is None or job.result is None or store.now() > to_instant(job.ends) + _REPORT_LIFETIME:
        return None
    report = job.work.report()
    return None if report is None else report.encode()


def _read_rows(file: IO[str]) -> list[list[str]]:
    """Read all rows, with cells of any length."""
    try:
        return [row for row in csv.reader(file, strict=True) if row]
    except csv.Error:
        file.seek(0)
    lines = file.readlines()
    rows: list[list[str]] = []
    begin = 0
    while True:
        reader = csv.reader(lines[begin:], strict=True)
        read = 0
        try:
            for row in reader:
                read = reader.line_num
                if row:
                    rows.append(row)
        except csv.Error:
            # The cell is too long for the csv module, or the row is malformed; parse_row has better messages.
            rest = iter(range(begin + read, len(lines)))
            rows.append(parse_row(lines[number] for number in rest))
            begin = next(rest, len(lines))
        else:
            return rows


def read_columns(reader: Iterator[list[str]]) -> list[str]:
    """Read the column names, the first row of a CSV file.

    Raises:
        ApiError: There is no first row, or a name is empty or has spaces.
    """
    columns = next(reader, None)
    if not columns or not all(name and " " not in name for name in columns):
        raise ApiError(400, "invalid_csv", "The first row must name the columns, without spaces")
    return columns


def _import_customer(customers: Customers, customer: Mapping[str, Any]) -> None:
    source_id = customer.get("source_id")
    # If the source id exists, it decides which customer is updated, and the id is ignored.
    by_id = source_id is None or not customers.has_source_id(source_id)
    customers.upsert(customer, replace=True, by_id=by_id)


class CsvTable:
    """Converts the rows of a CSV file to customers."""

    def __init__(self, columns: list[str]) -> None:
        """Map the columns to properties. Unknown columns are metadata."""
        self._targets: list[tuple[str | None, str]] = []
        """For each column, the nested object (`None`: the customer itself) and the property in it."""
        for column in columns:
            name = column.lower()
            if name in _CUSTOMER_COLUMNS:
                self._targets.append((None, _CUSTOMER_COLUMNS[name]))
            elif name in _ADDRESS_COLUMNS:
                self._targets.append(("address", _ADDRESS_COLUMNS[name]))
            else:
                self._targets.append(("metadata", column))

    def customer(self, row: list[str]) -> Mapping[str, Any]:
        """A row as a customer. In a short row, the last columns are absent.

        Raises:
            ApiError: The row is too long, or a value is invalid.
        """
        if len(row) > len(self._targets):
            raise ApiError(400, "invalid_row", "The row has more values than there are columns")
        return check_customer(self.raw_customer(row), ids=True)

    def raw_customer(self, row: list[str]) -> Json:
        """A row as an unchecked customer, without properties for empty cells."""
        customer: Json = {}
        for (target, name), value in zip(self._targets, row, strict=False):
            if value:
                (customer if target is None else customer.setdefault(target, {}))[name] = value
        return customer

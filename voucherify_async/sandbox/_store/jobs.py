"""What background jobs do to the store when their time has come. No I/O.

The work of a job is plain data, so that it can be kept over a restart.
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
    "columns_of",
    "find_report",
]

Json = dict[str, Any]

REPORT_PATH: Final = "/-/reports/"
"""Where reports are downloaded, without credentials, as from the storage to which the service's addresses lead."""
_REPORTS_KEPT: Final = dt.timedelta(days=30)

_FOUND, _UPDATED = 1, 2

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


class BulkUpdate(msgspec.Struct, tag=True):
    """Upserts customers one by one; one that does not fit is reported and does not stop the others."""

    source_ids: list[str]
    customers: list[Json] = []
    fates: bytearray = msgspec.field(default_factory=bytearray)
    """Of each customer that had its turn, whether it was there before, and whether it was updated."""
    errors: list[Json] = []

    @classmethod
    def of(cls, customers: list[Json]) -> BulkUpdate:
        """The work of a request with these customers."""
        return cls([customer["source_id"] for customer in customers], customers)

    def __len__(self) -> int:
        return len(self.source_ids)

    def do(self, customers: Customers, items: range) -> None:
        """Upsert a part of them."""
        for number in items:
            source_id = self.source_ids[number]
            fate = _FOUND * customers.has_source_id(source_id)
            try:
                customers.upsert(check_customer(self._customer(number), ids=True), by_id=False)
                fate |= _UPDATED
            except ApiError as error:
                self.errors.append(
                    {
                        "message": error.message,
                        "details": error.details or "",
                        "key": error.key,
                        "source_id": source_id,
                    }
                )
            self.fates.append(fate)

    def _customer(self, number: int) -> Json:
        return self.customers[number]

    def result(self, ended: dt.datetime) -> Json:
        """The counts, and what was wrong with each that failed."""
        self.customers = []  # only the report is asked for from now on
        return {
            "done_count": len(self) - len(self.errors),
            "failed_count": len(self.errors),
            "errors": self.errors,
            "reports": [],
            "reports_available_till": format_instant(ended + _REPORTS_KEPT),
        }

    def report(self) -> str:
        """Of each, whether it was there before, and whether it was updated."""
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow(["source_id", "found", "updated"])
        for source_id, fate in zip(self.source_ids, self.fates, strict=True):
            fates = ("true" if fate & flag else "false" for flag in (_FOUND, _UPDATED))
            writer.writerow([_defused(source_id), *fates])
        return file.getvalue()


def _defused(cell: str) -> str:
    """A cell that no spreadsheet runs as a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


class MetadataUpdate(BulkUpdate, tag=True, kw_only=True):
    """Merges the same metadata into each customer; one that is not found is created."""

    metadata: Json

    def _customer(self, number: int) -> Json:
        return {"source_id": self.source_ids[number], "metadata": self.metadata}


class CsvImport(msgspec.Struct, tag=True):
    """Creates customers, and replaces those whose `source_id` exists."""

    columns: list[str]
    rows: list[list[str]]
    count: int
    failed: list[Json] = []

    @classmethod
    def of(cls, content: bytes) -> CsvImport:
        """The work of a request with this file.

        Raises:
            ApiError: It is no CSV file, or not in UTF-8.
        """
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ApiError(400, "invalid_csv", "The file is not UTF-8") from None
        try:
            with gc_paused():
                rows = _rows_of(io.StringIO(text, newline=""))
        except csv.Error as error:
            raise ApiError(400, "invalid_csv", str(error)) from None
        columns = columns_of(iter(rows))
        return cls(columns, rows[1:], len(rows) - 1)

    def __len__(self) -> int:
        return self.count

    def do(self, customers: Customers, items: range) -> None:
        """Import a part of the rows."""
        table = CsvTable(self.columns)
        for number in items:
            row = self.rows[number]
            try:
                _import(customers, table.customer(row))
            except ApiError as error:
                source_id = table.given(row).get("source_id") or ""
                reason = error.details or error.message
                self.failed.append({"source_id": source_id, "row": number + 1, "reason": reason})

    def result(self, ended: dt.datetime) -> Json:  # noqa: ARG002  # it has no report that runs out
        """The counts, and what was wrong with each row that failed."""
        self.rows = []
        done = self.count - len(self.failed)
        return {
            "message": f"{done} customer(s) imported successfully, {len(self.failed)} failed.",
            "failed": self.failed,
            "done_count": done,
            "failed_count": len(self.failed),
        }

    def report(self) -> None:
        """There is none."""


def find_report(store: Store, path: str) -> bytes | None:
    """The CSV file behind an address that a job's result has given, as long as it is kept."""
    store.advance()
    job = store.jobs.get(path.removeprefix(REPORT_PATH).removesuffix(".csv"))
    if job is None or job.result is None or store.now() > to_instant(job.ends) + _REPORTS_KEPT:
        return None
    report = job.work.report()
    return None if report is None else report.encode()


def _rows_of(file: IO[str]) -> list[list[str]]:
    """All rows, with cells of any length."""
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
            # A cell is longer than the module takes, or the row is broken, which is said better there.
            rest = iter(range(begin + read, len(lines)))
            rows.append(parse_row(lines[number] for number in rest))
            begin = next(rest, len(lines))
        else:
            return rows


def columns_of(reader: Iterator[list[str]]) -> list[str]:
    """The names in the first row of a CSV file.

    Raises:
        ApiError: It is not a row of names.
    """
    columns = next(reader, None)
    if not columns or not all(name and " " not in name for name in columns):
        raise ApiError(400, "invalid_csv", "The first row must name the columns, without spaces")
    return columns


def _import(customers: Customers, customer: Mapping[str, Any]) -> None:
    source_id = customer.get("source_id")
    # The customer with the source id is meant, whatever the id says.
    by_id = source_id is None or not customers.has_source_id(source_id)
    customers.upsert(customer, replace=True, by_id=by_id)


class CsvTable:
    """Reads the rows of a CSV file as customers."""

    def __init__(self, columns: list[str]) -> None:
        """Look up what the columns stand for; those that are not standard are metadata."""
        self._places: list[tuple[str | None, str]] = []
        """Of each column, in which object its value belongs, if not in the customer itself, and its name there."""
        for column in columns:
            name = column.lower()
            if name in _COLUMNS:
                self._places.append((None, _COLUMNS[name]))
            elif name in _ADDRESS_COLUMNS:
                self._places.append(("address", _ADDRESS_COLUMNS[name]))
            else:
                self._places.append(("metadata", column))

    def customer(self, row: list[str]) -> Mapping[str, Any]:
        """A row as a customer. One that is too short lacks its last columns.

        Raises:
            ApiError: It is none.
        """
        if len(row) > len(self._places):
            raise ApiError(400, "invalid_row", "The row has more values than there are columns")
        return check_customer(self.given(row), ids=True)

    def given(self, row: list[str]) -> Json:
        """What is in a row; empty cells are absent."""
        customer: Json = {}
        for (whole, name), value in zip(self._places, row, strict=False):
            if value:
                (customer if whole is None else customer.setdefault(whole, {}))[name] = value
        return customer

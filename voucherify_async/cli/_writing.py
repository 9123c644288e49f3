"""Conversion of exported customers, which are lines of JSON, to CSV and Parquet."""

# pyarrow has no types that pyright can read.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from voucherify_async.cli._columns import cell, import_columns, value_at
from voucherify_async.cli._exit_codes import CommandError
from voucherify_async.cli._formats import FileFormat
from voucherify_async.models.customers import Customer, CustomerAddress

__all__ = ["check_format", "check_properties", "write_csv", "write_parquet"]

_ROWS_AT_ONCE: Final = 10_000
_TEXTS: Final = ("id", "source_id", "name", "email", "phone", "description")
_DATES: Final = ("birthdate",)
_INSTANTS: Final = ("created_at", "updated_at")
_OBJECTS: Final = ("address", "metadata", "summary", "loyalty", "referrals", "system_metadata")


def write_csv(data: Path, file: IO[bytes], properties: Sequence[str] | None) -> None:
    """Write customers as CSV.

    Args:
        data: The file with lines of JSON.
        file: The file to write.
        properties: The property in each column, such as ``address.city``; `None` for the columns of the import and one
            for each key of the metadata.
    """
    columns = (
        import_columns(_metadata_keys(data)) if properties is None else {name: name for name in properties}
    )
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    try:
        # This line terminator makes the writer quote a cell with a lone CR, which Python 3.11 does not do otherwise.
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(columns)
        for customer in _mappings(data):
            writer.writerow([cell(value_at(customer, path)) for path in columns.values()])
    finally:
        text.detach()  # leaves the file open


def check_format(into: FileFormat) -> None:
    """Check that files of this format can be written.

    Raises:
        CommandError: It is Parquet, and pyarrow is not installed.
    """
    if into is not FileFormat.PARQUET:
        return
    try:
        import_module("pyarrow.parquet")
    except ImportError:
        raise CommandError("Parquet needs pyarrow: pip install pyarrow") from None


def check_properties(paths: Sequence[str]) -> None:
    """Check that customers have these properties.

    Raises:
        CommandError: A path is not that of a property. The message names it.
    """
    address = {f"address.{name}" for name in CustomerAddress.__struct_fields__}
    for path in paths:
        name, _, rest = path.partition(".")
        if name in {"summary", "loyalty", "referrals", "system_metadata", "metadata", "assets"} and rest:
            continue
        if path not in Customer.__struct_fields__ and path not in address:
            names = ", ".join([*Customer.__struct_fields__, "address.city", "metadata.KEY"])
            raise CommandError(f"--columns: customers have no property {path}. They have {names}")


def write_parquet(data: Path, file: IO[bytes]) -> None:
    """Write customers as Parquet: texts, dates and instants as such, objects as JSON, as their properties differ.

    Args:
        data: The file with lines of JSON.
        file: The file to write.
    """
    import pyarrow as pa  # noqa: PLC0415  # only this format needs it
    from pyarrow import parquet  # noqa: PLC0415

    types = {
        **dict.fromkeys(_TEXTS, pa.string()),
        **dict.fromkeys(_DATES, pa.date32()),
        **dict.fromkeys(_INSTANTS, pa.timestamp("us", tz="UTC")),
        **dict.fromkeys(_OBJECTS, pa.string()),
    }
    schema = pa.schema(list(types.items()))
    customers = _customers(data)
    with parquet.ParquetWriter(file, schema) as writer:
        while rows := list(islice(customers, _ROWS_AT_ONCE)):
            columns = {name: [_parquet_value(name, row) for row in rows] for name in types}
            writer.write_table(pa.table(columns, schema=schema))


def _parquet_value(name: str, customer: Customer[Any]) -> Any:
    value = getattr(customer, name)
    if value is None or name not in _OBJECTS:
        return value
    return msgspec.json.encode(value).decode()


def _metadata_keys(data: Path) -> set[str]:
    keys: set[str] = set()
    for customer in _mappings(data):
        keys.update(customer.get("metadata") or ())
    return keys


def _mappings(data: Path) -> Iterator[dict[str, Any]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    with data.open("rb") as lines:
        yield from map(decoder.decode, lines)


def _customers(data: Path) -> Iterator[Customer[Any]]:
    decoder = msgspec.json.Decoder(Customer)
    with data.open("rb") as lines:
        yield from map(decoder.decode, lines)

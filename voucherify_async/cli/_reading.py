"""Customers in files of JSON lines and in SQLite databases."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from voucherify_async.models._json import is_mapping
from voucherify_async.models.customers import Customer

__all__ = ["LineNumbers", "count_lines", "customer_of_row", "open_database", "read_json_lines"]

_FIELDS: Final = frozenset({"source_id", "name", "email", "phone", "birthdate", "description"})
_ADDRESS: Final = "address_"
_METADATA: Final = "metadata"
_MAX_PROBLEMS: Final = 10_000
"""As many failures as a report has."""


class LineNumbers:
    """The line number of each customer in a file whose empty lines are skipped.

    Attributes:
        problems: Why lines are not JSON, by the position of their customer; the first 10,000.
    """

    def __init__(self) -> None:
        """Create an object for a file without empty lines."""
        self._skipped_before: list[int] = []
        self.problems: dict[int, str] = {}

    def skip(self, position: int) -> None:
        """Count an empty line before the customer at `position`."""
        self._skipped_before.append(position)

    def line_of(self, position: int) -> int:
        """The line number, from 1, of the customer at `position`, from 0."""
        return position + 1 + bisect_right(self._skipped_before, position)


def read_json_lines(file: Iterable[bytes], numbers: LineNumbers) -> Iterator[Any]:
    """Yield the customer on each line. A line that is not JSON is yielded as text, which a sync reports as invalid.

    A customer as `customers export` writes it loses the properties that the service sets.
    """
    position = 0
    for number, line in enumerate(file):
        if number == 0:
            line = line.removeprefix(BOM_UTF8)  # noqa: PLW2901  # not part of the first customer
        if not line.strip():
            numbers.skip(position)
            continue
        position += 1
        try:
            found = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if len(numbers.problems) < _MAX_PROBLEMS:
                kind = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
                numbers.problems[position - 1] = f"the line is not {kind}: {error}"
            yield line.decode(errors="replace")
        else:
            yield msgspec.json.decode(line, type=Customer) if _is_exported(found) else found


def _is_exported(item: Any) -> bool:
    return is_mapping(item) and item.get("object") == "customer" and "id" in item


def customer_of_row(row: sqlite3.Row) -> dict[str, Any]:
    """A row of a query as a customer: fields, ``address_…`` columns, and everything else as metadata."""
    customer: dict[str, Any] = {"address": {}, _METADATA: {}}
    for name in row.keys():  # noqa: SIM118  # iterating over a Row yields values, not names
        if name in _FIELDS:
            customer[name] = row[name]
        elif name.startswith(_ADDRESS):
            customer["address"][name.removeprefix(_ADDRESS)] = row[name]
        else:
            customer[_METADATA][name] = row[name]
    return {name: value for name, value in customer.items() if value != {}}


def open_database(path: Path) -> sqlite3.Connection:
    """Open an existing SQLite database read-only, to be used by one thread at a time."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    database.row_factory = sqlite3.Row
    return database


def count_lines(path: Path) -> int:
    """The number of lines of a file."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(partial(file.read, 1 << 20), b""))

"""The rows of a CSV file of any size, each with its bytes as they stand in it. No asyncio."""

from __future__ import annotations

import csv
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from typing import IO, Final, NamedTuple

__all__ = ["CsvRow", "CsvRows"]

_LONGEST_ROW: Final = 10 * 1024 * 1024


class CsvRow(NamedTuple):
    """A row of a CSV file of customers.

    Attributes:
        line: The line of the file on which it begins, from 1.
        source_id: The cell of that name, by which the service finds the customer; `None` if it is empty or
            absent.
        content: The row as it stands in the file, always with a line break at its end.
    """

    line: int
    source_id: str | None
    content: bytes


class CsvRows(Iterator[CsvRow]):
    """Reads a CSV file row by row, from where it is, without ever holding more of it than a row.

    Empty lines are no rows and are left out. It cannot be used again once it has raised an error.

    Args:
        file: A binary file, in UTF-8, whose first row names the columns.

    Raises:
        ValueError: The file has no header row, or one that cannot be read.

    Attributes:
        header: The first row as it stands in the file, without a byte order mark, with a line break.
    """

    header: bytes

    def __init__(self, file: IO[bytes]) -> None:
        self._raw: list[bytes] = []
        self._reader = csv.reader(_texts(file, self._raw), strict=True)
        self._line = 1
        try:
            names = [name.lower() for name in self._next_cells()]
        except StopIteration:
            raise ValueError("path: it has no header row") from None
        self.header = self._content()
        self._source_id = _column(names, "source_id")

    def __next__(self) -> CsvRow:
        """The next row.

        Raises:
            ValueError: It cannot be read; the message names the line on which it begins.
        """
        cells = self._next_cells()
        return CsvRow(self._line, _cell(cells, self._source_id), self._content())

    def _next_cells(self) -> list[str]:
        """The cells of the next row that is not empty; leaves its line and its bytes behind."""
        reader = self._reader
        cells: list[str] = []
        while not cells:
            self._raw.clear()
            self._line = reader.line_num + 1
            try:
                cells = next(reader)
            except UnicodeDecodeError:
                raise ValueError(f"path: line {self._line} is not UTF-8") from None
            except csv.Error as error:
                raise ValueError(f"path: line {self._line}: {error}") from None
        return cells

    def _content(self) -> bytes:
        content = b"".join(self._raw)
        # Only the last row can be without one, but it need not be the last of the part that it goes into.
        return content if content.endswith(b"\n") else content + b"\n"


def _texts(file: IO[bytes], raw: list[bytes]) -> Iterator[str]:
    """The lines of a file as text, each put into `raw` as well, which is emptied between rows.

    Raises:
        csv.Error: A row is too long. It is found out before the whole row is read: a file without line
            breaks, or with a quote that is never closed, is one row as far as anyone can tell.
    """
    left = _LONGEST_ROW
    mark = BOM_UTF8
    # One byte more is asked for than there may be, to tell a row that fits from one that does not.
    while line := file.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise csv.Error(f"the row has more than {_LONGEST_ROW:,} bytes")
        line = line.removeprefix(mark)
        mark = b""
        raw.append(line)
        yield line.decode()
        if not raw:
            left = _LONGEST_ROW


def _column(names: Sequence[str], name: str) -> int | None:
    return names.index(name) if name in names else None


def _cell(cells: Sequence[str], column: int | None) -> str | None:
    """The cell of a column; `None` if it is empty, or if the row has none because it is too short."""
    if column is None or column >= len(cells):
        return None
    return cells[column] or None

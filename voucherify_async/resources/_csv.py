"""The rows of a CSV file of any size, each with its bytes as they stand in it. No asyncio."""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import IO, Final, NamedTuple

__all__ = ["CsvRow", "CsvRows", "check_columns", "parse_row"]

_MAX_ROW: Final = 10 * 1024 * 1024

_INSIDE_QUOTES: Final = re.compile(r'((?:[^"]+|"")*+)("?)')
_LINE_ENDS: Final = frozenset({"", "\n", "\r\n", "\r"})
_SEP_LINE: Final = re.compile(rb'"?sep=([^"\r\n])"?\r?\n')
"""Excel's own way to say what separates the cells."""
_DELIMITERS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}
_END_OF_FILE: Final = "\x1a"
"""Ctrl-Z, with which some old programs end a file."""


class CsvRow(NamedTuple):
    """A row of a CSV file of customers.

    Attributes:
        line: The line of the file on which it begins, from 1.
        source_id: The cell of that name, by which the service finds the customer; `None` if it is empty or
            absent.
        content: The row as it stands in the file, always with a line break at its end. Where cells are not
            separated by commas, the same with commas.
    """

    line: int
    source_id: str | None
    content: bytes


class CsvRows(Iterator[CsvRow]):
    """Reads a CSV file row by row, from where it is, without ever holding more of it than a row.

    Rows without anything in them are left out and counted. It cannot be used again once it has raised an error.

    Args:
        file: A binary file, in UTF-8, whose first row names the columns.
        delimiter: What separates the cells, one character; a line ``sep=`` at the beginning says otherwise.
        name: The argument that the file is, for errors.

    Raises:
        ValueError: The file has no header row, or one that cannot be read.

    Attributes:
        header: The first row as it stands in the file, without a byte order mark, with a line break.
        columns: The names in it.
        delimiter: What separates the cells indeed.
        skipped: How many lines and rows were left out so far.
    """

    header: bytes

    def __init__(self, file: IO[bytes], delimiter: str = ",", *, name: str = "path") -> None:
        self._name = name
        self._raw: list[bytes] = []
        self._texts = _texts(file, self._raw)
        self._line = 1
        self.skipped = 0
        self._go_on(delimiter, after=0)
        try:
            self.columns = self._next_cells()
            if (said := _SEP_LINE.fullmatch(b"".join(self._raw))) is not None:
                self._go_on(said[1].decode(), after=self._line)
                self.columns = self._next_cells()
        except StopIteration:
            raise ValueError(f"{self._name}: it has no header row") from None
        self.skipped = 0  # lines before the header are no rows
        self.header = self._content(self.columns)
        self._source_id = _column([name.lower() for name in self.columns], "source_id")

    def __next__(self) -> CsvRow:
        """The next row.

        Raises:
            ValueError: It cannot be read; the message names the line on which it begins.
        """
        cells = self._next_cells()
        return CsvRow(self._line, _cell(cells, self._source_id), self._content(cells))

    def _go_on(self, delimiter: str, *, after: int) -> None:
        """Read the rest of the file, after so many lines."""
        self.delimiter = delimiter
        self._lines_before = after
        self._reader = csv.reader(self._texts, delimiter=delimiter, strict=True)

    def _next_cells(self) -> list[str]:
        """The cells of the next row that has any; leaves its line and its bytes behind."""
        while True:
            self._raw.clear()
            self._line = self._lines_before + self._reader.line_num + 1
            try:
                cells = self._next_row()
            except UnicodeDecodeError:
                if self._raw[0].startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                    raise ValueError(f"{self._name}: it is UTF-16: {_SAVE_AS_UTF_8}") from None
                raise ValueError(f"{self._name}: line {self._line} is not UTF-8: {_SAVE_AS_UTF_8}") from None
            except csv.Error as error:
                raise ValueError(f"{self._name}: line {self._line}: {error}") from None
            if any(cells) and cells != [_END_OF_FILE]:
                return cells
            self.skipped += 1

    def _next_row(self) -> list[str]:
        try:
            return next(self._reader)
        except _TooLongError:
            raise
        except csv.Error:
            # A cell is longer than that module takes, or the row is broken, which is said better here.
            cells = parse_row(chain([line.decode() for line in self._raw], self._texts), self.delimiter)
            self._go_on(self.delimiter, after=self._line - 1 + len(self._raw))
            return cells

    def _content(self, cells: list[str]) -> bytes:
        if self.delimiter != ",":
            file = io.StringIO()
            csv.writer(file, lineterminator="\n").writerow(cells)
            return file.getvalue().encode()
        content = b"".join(self._raw)
        # Only the last row can be without one, but it need not be the last of the part that it goes into.
        return content if content.endswith(b"\n") else content + b"\n"


_SAVE_AS_UTF_8: Final = "save it as UTF-8 (in Excel, as CSV UTF-8)"


class _TooLongError(csv.Error):
    """A row has no end for too long."""


def parse_row(lines: Iterable[str], delimiter: str = ",") -> list[str]:
    """The cells of a row that `csv.reader` refuses, as it would give them if it had no limits.

    Args:
        lines: The lines from its first on; no more are taken than it has.
        delimiter: What separates the cells.

    Raises:
        csv.Error: The row is broken; says how.
    """
    cells: list[str] = []
    quoted: list[str] | None = None
    for line in lines:
        place = 0
        while True:
            if quoted is None and line.startswith('"', place):
                quoted, place = [], place + 1
            if quoted is not None:
                found = _INSIDE_QUOTES.match(line, place)
                assert found is not None  # noqa: S101  # for the type checker; it matches nothing, too
                quoted.append(found[1].replace('""', '"'))
                place = found.end()
                if not found[2]:
                    break  # it goes on in the next line
                cells.append("".join(quoted))
                quoted = None
            else:
                end = line.find(delimiter, place)
                end = len(line.rstrip("\r\n")) if end < 0 else end
                cells.append(line[place:end])
                place = end
                if "\r" in cells[-1] or "\n" in cells[-1]:
                    raise csv.Error("there is a CR without an LF: save it with the line breaks LF or CR LF")
            if not line.startswith(delimiter, place):
                if line[place:] not in _LINE_ENDS:
                    raise csv.Error("there is text after the quote that ends a cell")
                return cells
            place += len(delimiter)
    raise csv.Error("a quote is opened and never closed")


def check_columns(name: str, columns: Sequence[str]) -> None:
    """Refuse a header that would lose data, or make customers of junk.

    Args:
        name: The argument that the file is.
        columns: The cells of its first row.

    Raises:
        ValueError: It is not a header of the service's; says how to mend it.
    """
    if any("\0" in column for column in columns):
        raise ValueError(f"{name}: it is UTF-16, or no text: {_SAVE_AS_UTF_8}")
    if len(columns) == 1:
        for delimiter, plural in _DELIMITERS.items():
            if delimiter in columns[0]:
                raise ValueError(
                    f"{name}: its columns are separated by {plural}, and the service takes commas: save it"
                    f" with commas, or give sync_csv the delimiter={delimiter!r}"
                )
    problems: list[str] = []
    if unnamed := [str(number) for number, column in enumerate(columns, 1) if not column.strip()]:
        problems.append(f"column {', '.join(unnamed)} has no name")
    if spaced := [repr(column) for column in columns if column.strip() and " " in column]:
        problems.append(f"{', '.join(spaced)}: names must not have spaces")
    lowered = [column.lower() for column in columns if column.strip()]
    if repeated := sorted({column for column in lowered if lowered.count(column) > 1}):
        problems.append(f"{', '.join(map(repr, repeated))} stands in it more than once")
    if problems:
        raise ValueError(f"{name}: the header cannot be used: {'; '.join(problems)}")


def _texts(file: IO[bytes], raw: list[bytes]) -> Iterator[str]:
    """The lines of a file as text, each put into `raw` as well, which is emptied between rows.

    Raises:
        csv.Error: A row is too long. It is found out before the whole row is read: a file without line
            breaks, or with a quote that is never closed, is one row as far as anyone can tell.
    """
    left = _MAX_ROW
    mark = BOM_UTF8
    # One byte more is asked for than there may be, to tell a row that fits from one that does not.
    while line := file.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise _TooLongError(f"the row has more than {_MAX_ROW:,} bytes")
        line = line.removeprefix(mark)
        mark = b""
        raw.append(line)
        yield line.decode()
        if not raw:
            left = _MAX_ROW


def _column(names: Sequence[str], name: str) -> int | None:
    return names.index(name) if name in names else None


def _cell(cells: Sequence[str], column: int | None) -> str | None:
    """The cell of a column; `None` if it is empty, or if the row has none because it is too short."""
    if column is None or column >= len(cells):
        return None
    return cells[column] or None

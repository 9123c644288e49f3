"""Read a CSV file of any size row by row, keeping the original bytes of each row. Synchronous.

`csv.reader` finds the rows. It receives the file line by line from `_decode_lines`, which also appends the bytes of
each line to a list: after a row has been read, the list holds exactly the bytes of that row. `csv.reader` rejects
some rows, for example those with a cell above its size limit; `parse_row` reads these.
"""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import IO, Final, NamedTuple

import msgspec

__all__ = ["CsvRow", "CsvRows", "check_columns", "parse_row"]

_MAX_ROW_BYTES: Final = 10 * 1024 * 1024

_QUOTED_TEXT: Final = re.compile(r'((?:[^"]+|"")*+)("?)')
_LINE_ENDS: Final = frozenset({"", "\n", "\r\n", "\r"})
_SEP_LINE: Final = re.compile(rb'"?sep=([^"\r\n])"?\r?\n')
"""The line by which Excel declares the delimiter."""
_DELIMITER_NAMES: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}
_CTRL_Z: Final = "\x1a"
"""The end-of-file character that some old programs append."""


class CsvRow(NamedTuple):
    """A row of a CSV file of customers.

    Attributes:
        line: The number of the row's first line in the file, from 1.
        source_id: The customer's id in the `Source_id` column; `None` if the cell is empty or absent.
        content: The bytes of the row, ending in a line break. A row with another delimiter is rewritten with
            commas.
        id: The cell in the `Id` column, if there is no `source_id`.
        identity: Of a row without a `source_id`: the non-empty cells by column, as JSON. It does not depend on quotes,
            line breaks, the case of column names or the order of columns.
    """

    line: int
    source_id: str | None
    content: bytes
    id: str | None = None
    identity: bytes = b""


class CsvRows(Iterator[CsvRow]):
    """Iterate over the rows of a CSV file, from its current position, with one row in memory at a time.

    Empty rows are skipped and counted. The iterator cannot be used after it has raised an error.

    Args:
        file: A binary file, in UTF-8, whose first row contains the column names.
        delimiter: The character between cells. A ``sep=`` line at the start of the file overrides it.
        name: The name of the caller's argument, for error messages.

    Raises:
        ValueError: The file has no header row, or the header cannot be read.

    Attributes:
        header: The bytes of the first row, without a byte order mark, ending in a line break.
        columns: The column names.
        delimiter: The delimiter in use.
        skipped: The number of empty lines and rows skipped so far.
    """

    header: bytes

    def __init__(self, file: IO[bytes], delimiter: str = ",", *, name: str = "path") -> None:
        self._name = name
        self._raw_lines: list[bytes] = []
        self._lines = _decode_lines(file, self._raw_lines)
        self._line = 1
        self.skipped = 0
        self._start_reader(delimiter, lines_before=0)
        try:
            self.columns = self._next_cells()
            if (sep_line := _SEP_LINE.fullmatch(b"".join(self._raw_lines))) is not None:
                self._start_reader(sep_line[1].decode(), lines_before=self._line)
                self.columns = self._next_cells()
        except StopIteration:
            raise ValueError(f"{self._name}: the file has no header row") from None
        self.skipped = 0  # do not count lines before the header
        self.header = self._content(self.columns)
        self._names = [name.lower() for name in self.columns]
        self._source_id = _column(self._names, "source_id")
        self._id = _column(self._names, "id")

    def __next__(self) -> CsvRow:
        """Read the next row.

        Raises:
            ValueError: The row cannot be read. The message contains the number of its first line.
        """
        cells = self._next_cells()
        source_id, content = _cell(cells, self._source_id), self._content(cells)
        if source_id is not None:
            return CsvRow(self._line, source_id, content)
        named = sorted((name, cell) for name, cell in zip(self._names, cells, strict=False) if cell)
        return CsvRow(self._line, None, content, _cell(cells, self._id), msgspec.json.encode(named))

    def _start_reader(self, delimiter: str, *, lines_before: int) -> None:
        """Create a `csv.reader` for the rest of the file, of which `lines_before` lines have been read."""
        self.delimiter = delimiter
        self._lines_before = lines_before
        self._reader = csv.reader(self._lines, delimiter=delimiter, strict=True)

    def _next_cells(self) -> list[str]:
        """Read the next row that is not empty; set `_line` and `_raw_lines` to its first line and its bytes."""
        while True:
            self._raw_lines.clear()
            self._line = self._lines_before + self._reader.line_num + 1
            try:
                cells = self._next_row()
            except UnicodeDecodeError:
                if self._raw_lines[0].startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                    raise ValueError(f"{self._name}: the file is UTF-16: {_SAVE_AS_UTF_8}") from None
                raise ValueError(f"{self._name}: line {self._line} is not UTF-8: {_SAVE_AS_UTF_8}") from None
            except csv.Error as error:
                raise ValueError(f"{self._name}: line {self._line}: {error}") from None
            if any(cells) and cells != [_CTRL_Z]:
                return cells
            self.skipped += 1

    def _next_row(self) -> list[str]:
        try:
            return next(self._reader)
        except _RowTooLongError:
            raise
        except csv.Error:
            # A cell exceeds the limit of the csv module, or the row is malformed: parse_row has better messages.
            cells = parse_row(chain([line.decode() for line in self._raw_lines], self._lines), self.delimiter)
            self._start_reader(self.delimiter, lines_before=self._line - 1 + len(self._raw_lines))
            return cells

    def _content(self, cells: list[str]) -> bytes:
        if self.delimiter != ",":
            file = io.StringIO()
            # This line terminator makes the writer quote a cell with a lone CR, which Python 3.11 does not do otherwise.
            csv.writer(file, lineterminator="\r\n").writerow(cells)
            return file.getvalue().removesuffix("\r\n").encode() + b"\n"
        content = b"".join(self._raw_lines)
        # Only the file's last row can lack a line break, but another row may follow it in a request.
        return content if content.endswith(b"\n") else content + b"\n"


_SAVE_AS_UTF_8: Final = "save it as UTF-8 (in Excel, as CSV UTF-8)"


class _RowTooLongError(csv.Error):
    """A row exceeds `_MAX_ROW_BYTES`."""


def parse_row(lines: Iterable[str], delimiter: str = ",") -> list[str]:
    """Parse one row as `csv.reader` does, but without its limit on the size of a cell.

    Args:
        lines: The lines of the file, starting with the row's first. Only the lines of the row are consumed.
        delimiter: The character between cells.

    Raises:
        csv.Error: The row is malformed.
    """
    cells: list[str] = []
    quoted: list[str] | None = None  # the text of the open quoted cell, line by line
    for line in lines:
        index = 0
        while True:
            if quoted is None and line.startswith('"', index):
                quoted, index = [], index + 1
            if quoted is not None:
                match = _QUOTED_TEXT.match(line, index)
                assert match is not None  # noqa: S101  # for the type checker; it also matches an empty string
                quoted.append(match[1].replace('""', '"'))
                index = match.end()
                if not match[2]:
                    break  # the cell continues on the next line
                cells.append("".join(quoted))
                quoted = None
            else:
                end = line.find(delimiter, index)
                end = len(line.rstrip("\r\n")) if end < 0 else end
                cells.append(line[index:end])
                index = end
                if "\r" in cells[-1] or "\n" in cells[-1]:
                    raise csv.Error("there is a CR without an LF: save the file with LF or CR LF line breaks")
            if not line.startswith(delimiter, index):
                if line[index:] not in _LINE_ENDS:
                    raise csv.Error("there is text after the closing quote of a cell")
                return cells
            index += len(delimiter)
    raise csv.Error("a quote is never closed")


def check_columns(name: str, columns: Sequence[str]) -> None:
    """Reject a header with which the service would lose data or create broken customers.

    Args:
        name: The name of the caller's argument, for error messages.
        columns: The column names.

    Raises:
        ValueError: The header is invalid. The message says how to fix the file.
    """
    if any("\0" in column for column in columns):
        raise ValueError(f"{name}: the file is UTF-16 or binary: {_SAVE_AS_UTF_8}")
    if len(columns) == 1:
        for delimiter, plural in _DELIMITER_NAMES.items():
            if delimiter in columns[0]:
                raise ValueError(
                    f"{name}: the columns are separated by {plural}, but the service requires commas: save the file"
                    f" with commas, or use sync_csv with delimiter={delimiter!r}"
                )
    problems: list[str] = []
    if unnamed := [str(number) for number, column in enumerate(columns, 1) if not column.strip()]:
        problems.append(f"column {', '.join(unnamed)} has no name")
    if spaced := [repr(column) for column in columns if column.strip() and " " in column]:
        problems.append(f"{', '.join(spaced)}: column names must not contain spaces")
    lowered = [column.lower() for column in columns if column.strip()]
    if repeated := sorted({column for column in lowered if lowered.count(column) > 1}):
        problems.append(f"{', '.join(map(repr, repeated))} appears more than once")
    if problems:
        raise ValueError(f"{name}: the header cannot be used: {'; '.join(problems)}")


def _decode_lines(file: IO[bytes], raw: list[bytes]) -> Iterator[str]:
    """Yield the lines of a file as text, and append the bytes of each to `raw`.

    The caller empties `raw` before each row, which restarts the size limit.

    Raises:
        csv.Error: A row is too long. At most one byte beyond the limit is read, because a file without line
            breaks, or with an unclosed quote, can be a single row of any size.
    """
    bytes_left = _MAX_ROW_BYTES
    byte_order_mark = BOM_UTF8
    # Read one byte more than allowed, to detect a row that exceeds the limit.
    while line := file.readline(bytes_left + 1):
        bytes_left -= len(line)
        if bytes_left < 0:
            raise _RowTooLongError(f"the row has more than {_MAX_ROW_BYTES:,} bytes")
        line = line.removeprefix(byte_order_mark)
        byte_order_mark = b""
        raw.append(line)
        yield line.decode()
        if not raw:
            bytes_left = _MAX_ROW_BYTES


def _column(names: Sequence[str], name: str) -> int | None:
    return names.index(name) if name in names else None


def _cell(cells: Sequence[str], column: int | None) -> str | None:
    """The cell in a column; `None` if it is empty or the row is too short."""
    if column is None or column >= len(cells):
        return None
    return cells[column] or None

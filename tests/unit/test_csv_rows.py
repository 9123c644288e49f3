from __future__ import annotations

import csv
import gc
import io
import tracemalloc
import weakref
from collections.abc import Sequence
from itertools import chain, repeat
from typing import IO, Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voucherify_async.resources._csv import CsvRow, CsvRows, check_columns, parse_row

LONGEST = 10 * 1024 * 1024
BOM = b"\xef\xbb\xbf"


def read(content: bytes) -> tuple[bytes, list[CsvRow]]:
    rows = CsvRows(io.BytesIO(content))
    return rows.header, list(rows)


class Lines:
    """A file of endlessly many pieces, which remembers how much of it was read."""

    def __init__(self, *pieces: bytes, again: bytes) -> None:
        self.pieces = chain(pieces, repeat(again))
        self.rest = b""
        self.bytes_read = 0

    def readline(self, limit: int) -> bytes:
        line = self.rest or next(self.pieces)
        while not line.endswith(b"\n") and len(line) < limit:
            line += next(self.pieces)
        line, self.rest = line[:limit], line[limit:]
        self.bytes_read += len(line)
        return line

    def as_file(self) -> IO[bytes]:
        return cast("IO[bytes]", self)


@pytest.mark.parametrize(
    ("content", "header", "rows"),
    [
        pytest.param(b"Name\n", b"Name\n", [], id="a header alone"),
        pytest.param(b"Name", b"Name\n", [], id="a header without a line break"),
        pytest.param(b"Name\nAda\nBo\n", b"Name\n", [(2, b"Ada\n"), (3, b"Bo\n")], id="two rows"),
        pytest.param(b"Name\nAda\nBo", b"Name\n", [(2, b"Ada\n"), (3, b"Bo\n")], id="no last line break"),
        pytest.param(b"Name\r\nAda\r\n", b"Name\r\n", [(2, b"Ada\r\n")], id="windows line breaks"),
        pytest.param(b"Name\r\nAda\nBo\r\n", b"Name\r\n", [(2, b"Ada\n"), (3, b"Bo\r\n")], id="mixed ones"),
        pytest.param(b"Name\r\nAda\r", b"Name\r\n", [(2, b"Ada\r\n")], id="half a last line break"),
        pytest.param(b"N,M\n,\n,a\n", b"N,M\n", [(3, b",a\n")], id="empty cells"),
        pytest.param(b'N\n""\nA\n', b"N\n", [(3, b"A\n")], id="one empty cell"),
        pytest.param(b"N\nA\n\x1a", b"N\n", [(2, b"A\n")], id="Ctrl-Z at the end"),
        pytest.param(b"N\n \n", b"N\n", [(2, b" \n")], id="a space"),
        pytest.param(b"\n\r\nN\n\n\nA\n\nB\n\n", b"N\n", [(6, b"A\n"), (8, b"B\n")], id="empty lines"),
        pytest.param(
            b'N\n"a\n\nb"\nB\n', b"N\n", [(2, b'"a\n\nb"\n'), (5, b"B\n")], id="line breaks in quotes"
        ),
        pytest.param(b'N\n"a\rb"\nB\n', b"N\n", [(2, b'"a\rb"\n'), (3, b"B\n")], id="a lone CR in quotes"),
        pytest.param(b'"N\nM",O\na,b\n', b'"N\nM",O\n', [(3, b"a,b\n")], id="a header of two lines"),
        pytest.param(
            b'N\n"a"",\n"\nB\n', b"N\n", [(2, b'"a"",\n"\n'), (4, b"B\n")], id="doubled quotes and commas"
        ),
        pytest.param(b'N\na"b\nB\n', b"N\n", [(2, b'a"b\n'), (3, b"B\n")], id="a quote inside a bare cell"),
        pytest.param(b"N\na,b,c\n", b"N\n", [(2, b"a,b,c\n")], id="too many cells"),
        pytest.param(BOM + b'"N"\nA\n', b'"N"\n', [(2, b"A\n")], id="a byte order mark"),
        pytest.param(BOM + b"\nN\nA\n", b"N\n", [(3, b"A\n")], id="a byte order mark, then an empty line"),
        pytest.param(BOM * 2 + b"N\n", BOM + b"N\n", [], id="two byte order marks"),
        pytest.param(b"N\n" + BOM + b"A\n", b"N\n", [(2, BOM + b"A\n")], id="a byte order mark further on"),
        pytest.param(
            "N\na\u2028b\x0c\x85\n".encode(), b"N\n", [(2, "a\u2028b\x0c\x85\n".encode())], id="unicode"
        ),
        pytest.param(b"N\0\na\0b\n\0\n", b"N\0\n", [(2, b"a\0b\n"), (3, b"\0\n")], id="NUL"),
    ],
)
def test_rows_keep_their_bytes_and_lines(
    content: bytes, header: bytes, rows: list[tuple[int, bytes]]
) -> None:
    found_header, found = read(content)
    assert found_header == header
    assert [(row.line, row.content) for row in found] == rows


@pytest.mark.parametrize(
    ("header", "row", "source_id"),
    [
        pytest.param("Name,Source_id", "Ada,s1", "s1", id="source id"),
        pytest.param("Name,Id", "Ada,c1", None, id="id"),
        pytest.param("Id,Source_id", "c1,s1", "s1", id="both"),
        pytest.param("Id,Source_id", "c1,", None, id="both, source id empty"),
        pytest.param("Id,Source_id", "c1", None, id="both, row too short"),
        pytest.param("Id,Source_id", ",s1", "s1", id="both, id empty"),
        pytest.param("Id,Source_id,Name", ",,Ada", None, id="both empty"),
        pytest.param("Name", "Ada", None, id="neither"),
        pytest.param("ID,SOURCE_ID", "c1,s1", "s1", id="upper case"),
        pytest.param("id,source_id", "c1,s1", "s1", id="lower case"),
        pytest.param('"Source_id"', '"s""\n1"', 's"\n1', id="quoted"),
        pytest.param("\ufeffSource_id", "s1", "s1", id="after a byte order mark"),
        pytest.param("Id, Source_id", "c1,s1", None, id="a space before the name"),
        pytest.param("Id,Source_id ", "c1,s1", None, id="a space after the name"),
        pytest.param("Source_id", " s1 ", " s1 ", id="spaces in the cell"),
    ],
)
def test_source_ids(header: str, row: str, source_id: str | None) -> None:
    _, [found] = read(f"{header}\n{row}\n".encode())
    assert found.source_id == source_id


@pytest.mark.parametrize(
    "content", [b"", b"\n\r\n\n", BOM, BOM + b"\n"], ids=["empty", "lines", "BOM", "both"]
)
def test_a_file_without_a_header_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^path: the file has no header row$"):
        CsvRows(io.BytesIO(content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"N\xff\n", "path: line 1 is not UTF-8", id="not UTF-8"),
        pytest.param("N\n".encode("utf-16"), "path: the file is UTF-16: save it as UTF-8", id="UTF-16"),
        pytest.param(b'\n"N\nA\n', "path: line 2: a quote is never closed", id="open quote"),
        pytest.param(b"N\rA\rB\r", "path: line 1: there is a CR without an LF", id="lone CR"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match="^" + message) as caught:
        CsvRows(io.BytesIO(content))
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param(b"\xe9\n", "path: line 6 is not UTF-8", id="not UTF-8"),
        pytest.param(b'"a\n\xe9"\n', "path: line 6 is not UTF-8", id="not UTF-8 in its second line"),
        pytest.param(b"\xed\xa0\x80\n", "path: line 6 is not UTF-8", id="a surrogate"),
        pytest.param(b'"a', "path: line 6: a quote is never closed", id="open quote"),
        pytest.param(b'"a\nb\n', "path: line 6: a quote is never closed", id="open quote over lines"),
        pytest.param(
            b'"a"b\n', "path: line 6: there is text after the closing quote", id="text after a quote"
        ),
        pytest.param(b"a\rb\n", "path: line 6: there is a CR without an LF", id="lone CR"),
        pytest.param(b"\ra\n", "path: line 6: there is a CR without an LF", id="lone CR first"),
        pytest.param(b'"' + b"a\n" * 70_000, "path: line 6: a quote is never closed", id="long open quote"),
        pytest.param(
            b"a," * (LONGEST // 2) + b"\n", "path: line 6: the row has more than 10,485,760", id="long row"
        ),
        pytest.param(
            (b'"\n",' + b"a," * 5_000) * (LONGEST // 10_000 + 1),
            "path: line 6: the row has more than 10,485,760",
            id="long row of lines",
        ),
    ],
)
def test_errors_name_the_line_on_which_the_row_begins(row: bytes, message: str) -> None:
    rows = CsvRows(io.BytesIO(b'N\n"a\nb"\n\nc\n' + row))
    assert [next(rows).line, next(rows).line] == [2, 5]
    with pytest.raises(ValueError, match="^" + message) as caught:
        next(rows)
    assert type(caught.value) is ValueError
    assert caught.value.__suppress_context__


def test_the_longest_row_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voucherify_async.resources._csv._MAX_ROW_BYTES", 8)
    _, rows = read(b'N\n1234567\n"2\n4,6"\n12345678')
    assert [row.content for row in rows] == [b"1234567\n", b'"2\n4,6"\n', b"12345678\n"]


@pytest.mark.parametrize(
    ("row", "line"),
    [
        pytest.param(b"12345678\n", 2, id="its line break"),
        pytest.param(b"123456789", 2, id="no line break"),
        pytest.param(b'"2\n4\n678"\n', 2, id="lines in quotes"),
        pytest.param(b"12\n\n" * 8 + b"12345678\n", 18, id="after others"),
    ],
)
def test_a_longer_row_is_refused(monkeypatch: pytest.MonkeyPatch, row: bytes, line: int) -> None:
    monkeypatch.setattr("voucherify_async.resources._csv._MAX_ROW_BYTES", 8)
    with pytest.raises(ValueError, match=f"^path: line {line}: the row has more than 8 bytes$"):
        read(b"N\n" + row)


@pytest.mark.parametrize(
    ("pieces", "again"),
    [
        pytest.param([b"N\n"], b"a," * 2**19, id="a row without an end"),
        pytest.param([b"N\n"], b'"\n",' + b"," * 2**16, id="a row of lines without an end"),
        pytest.param([b"N\n", b'"'], b"a" * 2**10 + b"\n", id="a quote without an end"),
    ],
)
def test_no_more_is_read_than_the_longest_row(pieces: Sequence[bytes], again: bytes) -> None:
    lines = Lines(*pieces, again=again)
    with pytest.raises(ValueError, match="^path: line 2: "):
        next(CsvRows(lines.as_file()))
    assert lines.bytes_read <= len(b"N\n") + LONGEST + 1


def test_the_limit_of_csv_is_left_alone() -> None:
    limit = csv.field_size_limit()
    read(b"N\nA\n")
    assert csv.field_size_limit() == limit


def test_errors_of_the_file_are_passed_on() -> None:
    file = io.BytesIO(b"N\nA\n")
    rows = CsvRows(file)
    file.close()
    with pytest.raises(ValueError, match="closed file"):
        next(rows)


def test_the_file_is_read_from_where_it_is() -> None:
    file = io.BytesIO(b"skipped\nN\nA\n")
    file.readline()
    rows = CsvRows(file)
    assert (rows.header, next(rows).content) == (b"N\n", b"A\n")


def test_the_end_stays_the_end() -> None:
    rows = CsvRows(io.BytesIO(b"N\nA\n"))
    assert len(list(rows)) == 1
    assert list(rows) == []


def test_no_cycle_keeps_the_file() -> None:
    gc.disable()
    try:
        file = io.BytesIO(b"N\nA\n")
        alive = weakref.ref(file)
        rows = CsvRows(file)
        next(rows)
        del rows, file
        assert alive() is None
    finally:
        gc.enable()


def test_memory_does_not_grow_with_the_file() -> None:
    lines = chain([b"Source_id,Name\n"], repeat(b"s1,Ada\n", 20_000), [b""])

    class File:
        def readline(self, limit: int) -> bytes:
            return next(lines)

    file: Any = File()
    tracemalloc.start()
    try:
        read_rows = sum(1 for _ in CsvRows(file))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read_rows == 20_000
    assert peak < 100_000


TEXT = st.text(st.sampled_from('ab",\r\n é😀\0\u2028') | st.characters(codec="utf-8"), max_size=8)
CELLS = st.lists(TEXT, min_size=1, max_size=4).filter(
    lambda cells: any(cells) and cells != ["\x1a"]
)  # others are no rows
BREAK = st.sampled_from(["\n", "\r\n"])
ROWS = st.lists(st.tuples(CELLS, BREAK, st.sampled_from([0, 0, 0, 1, 2])), min_size=1, max_size=12)


def written(cells: Sequence[str], line_break: str, quoting: Any) -> bytes:
    text = io.StringIO(newline="")
    # Bare cells with a CR are quoted only if it is in the line terminator, so that is put in afterwards.
    csv.writer(text, lineterminator="\r\n", quoting=quoting).writerow(cells)
    return (text.getvalue().removesuffix("\r\n") + line_break).encode()


@given(ROWS, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.booleans(), st.booleans())
@example([(["Source_id", "Name"], "\n", 0), (["s\r\n1", '"'], "\r\n", 0)], csv.QUOTE_MINIMAL, True, True)
def test_the_parts_make_the_file(
    table: list[tuple[list[str], str, int]], quoting: Any, marked: bool, complete: bool
) -> None:
    table[0][0][0] = table[0][0][0].lstrip("\ufeff")  # which would be a byte order mark
    contents = [written(cells, line_break, quoting) for cells, line_break, _ in table]
    file = BOM if marked else b""
    begins: list[int] = []
    for content, (_, line_break, empty) in zip(contents, table, strict=True):
        file += line_break.encode() * empty
        begins.append(1 + file.count(b"\n"))
        file += content
    if not complete:
        bare = contents[-1].removesuffix(b"\n").removesuffix(b"\r")
        file = file.removesuffix(contents[-1]) + bare
        contents[-1] = bare + b"\n"

    header, rows = read(file)

    assert [header, *(row.content for row in rows)] == contents
    assert [row.line for row in rows] == begins[1:]
    parts = (header + b"".join(row.content for row in rows)).decode()
    assert list(csv.reader(io.StringIO(parts, newline=""), strict=True)) == [cells for cells, _, _ in table]
    if not marked and not any(empty for _, _, empty in table):
        assert parts.encode() == (file if complete else file + b"\n")


# ---------------------------------------------------------------- what the csv module does not do


@given(
    st.lists(TEXT | st.sampled_from(['a"b', '"', "a,", '""']), min_size=1, max_size=4), BREAK, st.booleans()
)
def test_a_row_is_parsed_as_by_the_csv_module(cells: list[str], line_break: str, raw: bool) -> None:
    text = ",".join(cells) + line_break if raw else written(cells, line_break, csv.QUOTE_MINIMAL).decode()
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(lines, strict=True)
    try:
        wanted = next(reader)
    except csv.Error:
        with pytest.raises(csv.Error):
            parse_row(lines)
    else:
        rest = iter(lines)
        assert parse_row(rest) == (wanted or [""])
        assert len(list(rest)) == len(lines) - reader.line_num


@pytest.mark.parametrize(
    "cell",
    ["a" * 200_000, '"' + "a,\n" * 100_000 + '"', '"' + '""' * 200_000 + '"', "a" * 131_072 + '"b'],
    ids=["bare", "lines", "quotes", "a quote inside"],
)
def test_a_cell_may_be_of_any_length(cell: str) -> None:
    table = f"Name,Source_id\nAda,a\n{cell},b\n\nCy,c\n{cell},d\n".encode()
    _, rows = read(table)
    assert [row.source_id for row in rows] == ["a", "b", "c", "d"]
    assert rows[1].content == f"{cell},b\n".encode()
    assert [row.line for row in rows] == [2, 3, 5 + cell.count("\n"), 6 + cell.count("\n")]


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        (b'Source_id;Name\na;"A, d;a"\n"b\n1";B"\n', ";"),
        (b'Source_id\tName\na\t"A, d;a"\n"b\n1"\tB"\n', "\t"),
        (b'sep=;\r\nSource_id;Name\na;"A, d;a"\n"b\n1";B"\n', ","),
        (b'\xef\xbb\xbf"sep=|"\nSource_id|Name\na|"A, d;a"\n"b\n1"|B"\n', ";"),
    ],
    ids=["semicolons", "tabs", "sep", "sep with a mark"],
)
def test_other_delimiters_become_commas(content: bytes, delimiter: str) -> None:
    rows = CsvRows(io.BytesIO(content), delimiter)
    assert rows.header == b"Source_id,Name\n"
    found = list(rows)
    assert [row.content for row in found] == [b'a,"A, d;a"\n', b'"b\n1","B"""\n']
    assert [row.source_id for row in found] == ["a", "b\n1"]
    first = 2 + (b"sep" in content)
    assert [row.line for row in found] == [first, first + 1]


def test_what_is_skipped_is_counted() -> None:
    rows = CsvRows(io.BytesIO(b'\n\nN,M\n\n,\nA,\n"",""\n\r\n\x1a'))
    assert [row.line for row in rows] == [6]
    assert rows.skipped == 5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["Source_id;Name"], "separated by semicolons.*delimiter=';'"),
        (["Source_id\tName"], "separated by tabs"),
        (["Source_id|Name"], "separated by bars"),
        (["S\0o\0"], "UTF-16"),
        (["Source_id", "Name", "", ""], "column 3, 4 has no name"),
        (["Source_id", " "], "column 2 has no name"),
        (["Source_id", "First name"], "'First name': column names must not contain spaces"),
        (["Source_id", "name", "NAME", "name"], "'name' appears more than once"),
        (["a b", "", "c", "C"], "column 2 .*; 'a b': .*; 'c' appears"),
    ],
)
def test_headers_that_would_lose_data(columns: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^path: .*{message}"):
        check_columns("path", columns)


@pytest.mark.parametrize("columns", [["Source_id"], ["Source_id", "n;m"], ["Name", "Größe", "a.b"]])
def test_headers_that_are_right(columns: list[str]) -> None:
    check_columns("path", columns)

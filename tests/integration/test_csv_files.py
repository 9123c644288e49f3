"""CSV files as people have them: read as they are meant, or refused before anything is sent."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO, Any

import anyio
import pytest

from tests.integration.test_sync import quick
from tests.integration.test_sync_csv import parts, write
from voucherify_async import SyncReport, VoucherifyClient
from voucherify_async.sandbox import Sandbox

__all__ = ["quick"]

TABLE = b"Source_id,Name\n" + b"".join(b"crm-%d,Ada\n" % number for number in range(20_000))


async def imported(client: VoucherifyClient, file: Any) -> int:
    result = (await client.async_actions.wait(await client.customers.import_csv(file))).result
    assert result is not None
    return int(result.done_count or 0)


Ways = Callable[[VoucherifyClient, Path], Awaitable[object]]
WAYS: list[Ways] = [
    imported,
    lambda client, path: client.customers.sync_csv(path),
]


def raw(descriptor: int, mode: str) -> IO[bytes]:
    """An end of a pipe."""
    return os.fdopen(descriptor, mode, buffering=0)


# ---------------------------------------------------------------- where a file comes from


@pytest.fixture
def pipe() -> Iterator[IO[bytes]]:
    """A raw pipe, into which somebody writes the table in many pieces."""
    there, here = os.pipe()

    def fill() -> None:
        with raw(here, "wb") as file:
            file.writelines(TABLE[start : start + 5_000] for start in range(0, len(TABLE), 5_000))

    writer = threading.Thread(target=fill)
    writer.start()
    with raw(there, "rb") as file:
        yield file
    writer.join()


async def test_a_pipe_is_read_to_its_end(sandbox: Sandbox, quick: VoucherifyClient, pipe: IO[bytes]) -> None:
    assert await imported(quick, pipe) == 20_000
    assert parts(sandbox) == [TABLE]


async def test_a_path_of_a_pipe(quick: VoucherifyClient, pipe: IO[bytes]) -> None:
    assert await imported(quick, f"/dev/fd/{pipe.fileno()}") == 20_000


async def test_a_named_pipe(quick: VoucherifyClient, tmp_path: Path) -> None:
    for way in WAYS:
        path = tmp_path / "pipe.csv"
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=(TABLE,))
        writer.start()
        done: Any = await way(quick, path)
        assert (done.succeeded if isinstance(done, SyncReport) else done) == 20_000
        writer.join()
        path.unlink()


class Upload:
    """As the files are that web frameworks hand over."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    async def read(self, size: int = -1) -> bytes:
        await asyncio.sleep(0)
        return self._file.read(min(size, 100_000))


async def test_asynchronous_files(quick: VoucherifyClient, tmp_path: Path) -> None:
    assert await imported(quick, Upload(TABLE)) == 20_000
    async with await anyio.open_file(write(tmp_path, TABLE), "rb") as file:
        assert await imported(quick, file) == 20_000


async def test_a_pipe_that_gives_too_much_is_not_read_to_its_end(
    sandbox: Sandbox, voucherify: VoucherifyClient
) -> None:
    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            part = b"a" * min(size, 65_536)
            self.given += len(part)
            return part

    endless: Any = Endless()
    with pytest.raises(ValueError, match=r"^file has more than 10,485,760 bytes"):
        await voucherify.customers.import_csv(endless)
    assert endless.given == 10_485_761
    assert not sandbox.requests


async def test_a_pipe_that_gives_nothing_yet(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    there, here = os.pipe()
    os.set_blocking(there, False)
    with (
        raw(there, "rb") as file,
        raw(here, "wb"),
        pytest.raises(ValueError, match=r"^file is non-blocking"),
    ):
        await voucherify.customers.import_csv(file)
    with pytest.raises(ValueError, match=r"^file must be open in binary mode"):
        text: Any = io.StringIO("Source_id\na\n")
        await voucherify.customers.import_csv(text)
    assert not sandbox.requests


async def test_who_waits_for_a_pipe_can_be_cancelled(voucherify: VoucherifyClient) -> None:
    there, here = os.pipe()
    with raw(there, "rb") as file, raw(here, "wb") as other:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await voucherify.customers.import_csv(file)
        other.write(b"\n")  # the thread that reads ends


# ---------------------------------------------------------------- what it looks like


HEADERS = [
    (b"Source_id;Name\na;Ada\n", "separated by semicolons"),
    (b"Source_id\tName\na\tAda\n", "separated by tabs"),
    (b"Source_id,Name,,\na,Ada,,\n", "column 3, 4 has no name"),
    (b"Source_id,Name,name\na,Ada,Bob\n", "'name' appears more than once"),
    (b"Source id,Name\na,Ada\n", "'Source id': column names must not contain spaces"),
    ("Source_id,Name\na,Ada\n".encode("utf-16"), "UTF-16"),
    ("Source_id,Name\na,Ada\n".encode("utf-16-le"), "UTF-16"),
    (b"Source_id,Name\ra,Ada\r", "CR without an LF"),
    ("Source_id,Größe\na,Ada\n".encode("cp1252"), "line 1 is not UTF-8: save it as UTF-8"),
]


@pytest.mark.parametrize(("content", "problem"), HEADERS, ids=[problem for _, problem in HEADERS])
async def test_a_shape_that_would_lose_data_is_refused(
    sandbox: Sandbox, voucherify: VoucherifyClient, tmp_path: Path, content: bytes, problem: str
) -> None:
    with pytest.raises(ValueError, match=f"^file: .*{problem}"):
        await voucherify.customers.import_csv(content)
    with pytest.raises(ValueError, match=f"^path: .*{problem}"):
        await voucherify.customers.sync_csv(write(tmp_path, content))
    assert not sandbox.requests


@pytest.mark.parametrize("way", WAYS, ids=["import_csv", "sync_csv"])
@pytest.mark.parametrize(
    "content",
    [
        b'Source_id,Name\na,Ada\n,\n\n\r\n"",\nb,Bob\n\x1a',
        b"sep=;\r\nSource_id;Name\r\na;Ada\r\n;\r\nb;Bob\r\n",
        b"\xef\xbb\xbf\nSource_id,Name\na,Ada\nb,Bob\n,,,\n",
    ],
    ids=["empty rows", "sep", "a mark"],
)  # fmt: skip
async def test_rows_with_nothing_in_them_make_no_customers(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path, way: Ways, content: bytes
) -> None:
    await way(quick, write(tmp_path, content))
    found = {record.source_id: record.fields for record in sandbox.store.customers.values()}
    assert found == {"a": {"name": "Ada"}, "b": {"name": "Bob"}}


async def test_skipped_rows_are_counted(quick: VoucherifyClient, tmp_path: Path) -> None:
    report = await quick.customers.sync_csv(write(tmp_path, b"Source_id,Name\na,Ada\n,\n\nb,Bob\n\x1a"))
    assert (report.read, report.succeeded, report.skipped) == (2, 2, 3)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
async def test_other_delimiters(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path, delimiter: str
) -> None:
    content = 'Source_id;Name;note\na;"Ada; Countess, of L""";1,5\n'.replace(";", delimiter).encode()
    await quick.customers.sync_csv(write(tmp_path, content), delimiter=delimiter)
    record = sandbox.store.get("a")
    assert record.fields == {"name": f'Ada{delimiter} Countess, of L"'}
    assert record.metadata == {"note": "1,5"}


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\0", 5, None, b";"])
async def test_what_is_no_delimiter(voucherify: VoucherifyClient, tmp_path: Path, delimiter: Any) -> None:
    with pytest.raises(ValueError, match="^delimiter must be one character"):
        await voucherify.customers.sync_csv(write(tmp_path, TABLE), delimiter=delimiter)


async def test_a_cell_of_any_length(sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path) -> None:
    long = "a" * 200_000
    content = f'Source_id,Name,note\na,"{long}",1\nb,"{long}\n""",2\nc,Cy,3\n'.encode()
    for way in WAYS:
        for record in list(sandbox.store.customers.values()):
            sandbox.store.remove(record)
        await way(quick, write(tmp_path, content))
        names = [record.fields["name"] for record in sandbox.store.customers.values()]
        assert names == [long, f'{long}\n"', "Cy"]


async def test_a_line_that_cannot_be_read_comes_with_a_report(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    content = b"Source_id\n" + b"".join(b"crm-%d\n" % number for number in range(3_000)) + b'"a"b\nc\n'
    with pytest.raises(ValueError, match="^path: line 3002: there is text after the closing quote") as caught:
        await quick.customers.sync_csv(write(tmp_path, content), concurrency=1, max_body_items=500)
    report = getattr(caught.value, "report", None)
    assert isinstance(report, SyncReport)
    assert report.read == 3_000
    assert report.succeeded == len(sandbox.store.customers) - report.sent + report.succeeded
    with pytest.raises(ValueError, match="^file: line 3002: there is text after the closing quote"):
        await quick.customers.import_csv(content)


async def test_rows_of_a_dict_reader(sandbox: Sandbox, quick: VoucherifyClient) -> None:
    table = "source_id,name,birthdate,phone\na,Ada,1815-12-10,\nb,Bob,,1\n"
    rows = list(csv.DictReader(io.StringIO(table)))
    report = await quick.customers.sync(rows)
    assert [(failure.source_id, failure.message) for failure in report.failures] == [
        ("b", "birthdate: must be a date in the form YYYY-MM-DD, or None")
    ]
    report = await quick.customers.sync({name: text or None for name, text in row.items()} for row in rows)
    assert report.succeeded == 2
    assert sandbox.store.get("b").fields["birthdate"] is None

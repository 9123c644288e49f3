"""The parts of the command line that are functions of values."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from voucherify_async import (
    AsyncActionFailedError,
    AsyncActionTimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    Customer,
    DecodeError,
    InvalidCursorError,
    NotFoundError,
    OutcomeUnknownError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    SyncStateError,
    SyncTimeoutError,
)
from voucherify_async.cli._columns import cell, flatten, import_columns, value_at
from voucherify_async.cli._connection import choose_settings
from voucherify_async.cli._exit_codes import CommandError, ExitCode, exit_code_of
from voucherify_async.cli._formats import STANDARD_STREAM, FileFormat, choose_format
from voucherify_async.cli._output import show
from voucherify_async.cli._reading import LineNumbers, count_lines, customer_of_row, read_json_lines
from voucherify_async.cli._threads import in_daemon_thread, iterate_in_thread

ID, TOKEN, URL = "VOUCHERIFY_APP_ID", "VOUCHERIFY_APP_TOKEN", "VOUCHERIFY_BASE_URL"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("bad"), 2),
        (CommandError("stopped", ExitCode.TERMINATED), 143),
        (ValueError("limit"), 2),
        (ConfigurationError("keys"), 2),
        (InvalidCursorError("cursor"), 2),
        (SyncStateError("damaged", reason="damaged"), 2),
        (FileNotFoundError("crm.csv"), 2),
        (IsADirectoryError("crm"), 2),
        (PermissionError("crm.csv"), 2),
        (AuthenticationError("keys"), 3),
        (PermissionDeniedError("scope"), 3),
        (PaymentRequiredError("plan"), 3),
        (ConnectionFailedError("refused"), 4),
        (OutcomeUnknownError("lost"), 4),
        (ServerError("503"), 4),
        (RateLimitError("429"), 4),
        (AsyncActionTimeoutError("slow"), 4),
        (SyncTimeoutError("slow"), 4),
        (SyncStateError("in use", reason="in_use"), 4),
        (NotFoundError("404"), 1),
        (BadRequestError("400"), 1),
        (DecodeError("html"), 1),
        (AsyncActionFailedError("failed"), 1),
        (SyncStateError("full", reason="unwritable"), 1),
        (OSError(28, "No space left on device"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_exit_code_of_an_error(error: Any, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    ("environment", "file", "prefer_file", "expected"),
    [
        ({}, {}, False, {}),
        ({ID: "a", TOKEN: "t"}, {ID: "b", URL: "u"}, False, {ID: "a", TOKEN: "t", URL: "u"}),
        ({ID: "a", TOKEN: "t"}, {ID: "b", URL: "u"}, True, {ID: "b", TOKEN: "t", URL: "u"}),
        ({ID: ""}, {ID: "b", TOKEN: None}, False, {ID: "b"}),
        ({"HTTPS_PROXY": "x"}, {"VOUCHERIFY_OTHER": "x"}, False, {}),
    ],
)
def test_where_settings_come_from(
    environment: dict[str, str],
    file: dict[str, str | None],
    prefer_file: bool,
    expected: dict[str, str],
) -> None:
    assert choose_settings(environment, file, prefer_file=prefer_file) == expected


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (1234567, "1,234,567"),
        (0.5, "0.5"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.UTC), "2026-01-02 03:04:05+00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        ("Zoë [bold]Żółw[/]", "Zoë [bold]Żółw[/]"),
        ("a\x1b[31mred\x07\x9b1m\nb", r"a\x1b[31mred\x07\x9b1m\nb"),
        ("evil\u202e", r"evil\u202e"),
        (["a", 1], '["a",1]'),
        ((), ""),
    ],
)
def test_a_value_for_people(value: object, shown: str) -> None:
    assert show(value) == shown


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "Ada"),
        ("address.city", "London"),
        ("address.zip", None),
        ("name.first", None),
        ("nothing.at.all", None),
        ("metadata.a.b", 1),
        ("metadata.a", None),
    ],
)
def test_a_property_by_its_path(path: str, value: object) -> None:
    customer = {"name": "Ada", "address": {"city": "London"}, "metadata": {"a.b": 1}}
    assert value_at(customer, path) == value


def test_metadata_has_no_column_of_the_import() -> None:
    columns = import_columns({"tier", "Name", "Tier", "visits"})
    assert list(columns)[:3] == ["Id", "Source_id", "Name"]
    assert list(columns.items())[-4:] == [
        ("metadata.Name", "metadata.Name"),
        ("Tier", "metadata.Tier"),
        ("metadata.tier", "metadata.tier"),
        ("visits", "metadata.visits"),
    ]
    assert len({name.lower() for name in columns}) == len(columns)


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), ("a,b", "a,b"), (True, "true"), (1.5, "1.5"), ([1], "[1]")]
)
def test_a_cell(value: object, text: str) -> None:
    assert cell(value) == text


def test_an_object_as_a_record() -> None:
    nested = {
        "id": "1",
        "name": None,
        "address": {"city": "Köln", "state": None},
        "tags": ["a"],
        "m": {},
        "none": [],
    }
    assert flatten(nested) == [("id", "1"), ("address.city", "Köln"), ("tags", ["a"])]


@pytest.mark.parametrize(
    ("file", "given", "found"),
    [
        ("a.ndjson", None, FileFormat.NDJSON),
        ("a.JSONL", None, FileFormat.NDJSON),
        ("a.b.csv", None, FileFormat.CSV),
        ("a.parquet", None, FileFormat.PARQUET),
        ("a.txt", FileFormat.CSV, FileFormat.CSV),
        ("a.txt", "ndjson", FileFormat.NDJSON),
        ("-", None, FileFormat.NDJSON),
        ("-", "csv", FileFormat.CSV),
    ],
)
def test_the_format_of_a_file(file: str, given: str | None, found: FileFormat) -> None:
    assert choose_format(Path(file), given) is found


def test_a_file_without_a_format() -> None:
    with pytest.raises(CommandError, match="customers.txt does not end in .ndjson, .* pass --format"):
        choose_format(Path("customers.txt"), None)
    assert Path("-") == STANDARD_STREAM


def test_customers_on_lines() -> None:
    numbers = LineNumbers()
    lines = [b'\xef\xbb\xbf{"source_id": "a"}\n', b"\n", b" \r\n", b"oops\n", b'"b"\n', b"\n", b"\xff{\n"]
    assert list(read_json_lines(lines, numbers)) == [{"source_id": "a"}, "oops\n", "b", "\ufffd{\n"]
    assert [numbers.line_of(position) for position in range(4)] == [1, 4, 5, 7]


def test_an_exported_customer_loses_what_the_service_sets() -> None:
    exported = Customer(id="cust_1", source_id="a", name="Ada", object="customer")
    plain = {"source_id": "b", "object": "person"}
    lines = [exported.to_json().encode(), b'{"source_id": "b", "object": "person"}']
    assert list(read_json_lines(lines, LineNumbers())) == [exported, plain]


def test_a_row_as_a_customer() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.row_factory = sqlite3.Row
        row = database.execute(
            "SELECT 'a' AS source_id, NULL AS name, 'Köln' AS address_city, 7 AS tier"
        ).fetchone()
        only_an_id = database.execute("SELECT 'a' AS source_id").fetchone()
    assert customer_of_row(row) == {
        "source_id": "a",
        "name": None,
        "address": {"city": "Köln"},
        "metadata": {"tier": 7},
    }
    assert customer_of_row(only_an_id) == {"source_id": "a"}


def test_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a\n" * 3_000_000 + b"rest")
    assert count_lines(path) == 3_000_000


async def test_what_blocks_is_read_in_threads() -> None:
    threads: set[threading.Thread] = set()

    def numbers() -> Iterator[int]:
        for number in range(2_500):
            threads.add(threading.current_thread())
            yield number

    assert [number async for number in iterate_in_thread(numbers())] == list(range(2_500))
    assert threading.main_thread() not in threads
    assert all(thread.daemon for thread in threads)


async def test_an_error_in_the_thread_is_that_of_the_call() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_daemon_thread(lambda: 1 / 0)


async def test_a_cancelled_call_does_not_wait_for_its_thread() -> None:
    begun, released = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def block() -> None:
        loop.call_soon_threadsafe(begun.set)
        released.wait()

    task = asyncio.create_task(in_daemon_thread(block))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    released.set()


def test_an_ended_loop_is_no_error_of_the_thread(capfd: pytest.CaptureFixture[str]) -> None:
    released, threads = threading.Event(), set[threading.Thread]()

    async def give_up() -> None:
        def block() -> None:
            released.wait()

        task = asyncio.create_task(in_daemon_thread(block))
        await asyncio.sleep(0)
        threads.update(thread for thread in threading.enumerate() if thread.name == "voucherify-async")
        task.cancel()

    asyncio.run(give_up())
    released.set()
    for thread in threads:
        thread.join()
    assert len(threads) == 1
    assert capfd.readouterr().err == ""


IMPORTED = """
import contextlib, io, sys
from voucherify_async.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(*sys.modules)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["customers", "export", "--help"], ["--version"]])
def test_help_imports_no_client(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split())
    assert "voucherify_async.cli.customers" in imported
    assert not imported & {"aiohttp", "asyncio", "sqlite3", "pyarrow", "voucherify_async.client"}


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from voucherify_async.cli import main
sys.exit(main(sys.argv[2:]))
"""


def run_without(module: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and the errors of the command in a process in which a module cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    return done.returncode, done.stderr


NEEDED = "The command voucherify-async needs an extra: pip install 'voucherify-async[cli]'\n"


@pytest.mark.parametrize("package", ["cyclopts", "dotenv"])
def test_without_the_extra(package: str, tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    assert run_without(package, tmp_path, "customers", "list") == (2, NEEDED)


def test_without_the_extra_the_sandbox_has_another_command(tmp_path: Path) -> None:
    assert run_without("cyclopts", tmp_path, "sandbox", "--port", "0") == (
        2,
        f"Without an extra, the sandbox is started by: python -m voucherify_async.sandbox\n{NEEDED}",
    )


def test_another_missing_module_is_an_error(tmp_path: Path) -> None:
    code, errors = run_without("voucherify_async.cli.ping", tmp_path, "--help")
    assert code == 1
    assert "import of voucherify_async.cli.ping halted" in errors


def test_text_is_read_as_bytes() -> None:
    assert list(read_json_lines(io.BytesIO(b'{"a": 1}\n{"b": 2}'), LineNumbers())) == [{"a": 1}, {"b": 2}]

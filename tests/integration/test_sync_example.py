"""What examples/sync_customers.py says and refuses. How it resumes after a kill is in test_sync_resume.py."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.loops import until
from tests.support.programs import EXAMPLES, load_example
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.validation import check_customer

EXAMPLE = EXAMPLES / "sync_customers.py"

Run = Callable[..., tuple[int, str, str]]
Against = Callable[..., Awaitable[tuple[int, str, str]]]

pytestmark = pytest.mark.usefixtures("children_can_be_interrupted")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = load_example("sync_customers", monkeypatch)
    monkeypatch.setattr(module, "SANDBOX_LATENCY", 0.0)
    monkeypatch.setattr(module, "SANDBOX_JOB_SECONDS", 0.0)
    return module


@pytest.fixture
def run(example: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The example with these arguments: its exit status, and what it said."""
    monkeypatch.setenv("COLUMNS", "200")

    def with_arguments(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sync_customers.py", *map(str, arguments)])
        status = example.main()
        said = capsys.readouterr()
        return status, said.out, said.err

    return with_arguments


@pytest.fixture
def run_against(run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Against:
    """The same, with the sandbox of the test as the service."""
    monkeypatch.setenv("VOUCHERIFY_APP_ID", sandbox.app_id)
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", sandbox.app_token)
    monkeypatch.setenv("VOUCHERIFY_BASE_URL", sandbox.base_url)

    async def with_arguments(*arguments: str | Path) -> tuple[int, str, str]:
        return await asyncio.to_thread(run, *arguments)  # it has an event loop of its own

    return with_arguments


def refuse(source_ids: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the jobs of sandboxes take everyone but these."""

    def check_or_refuse(body: Any, *, ids: bool) -> Any:
        if body.get("source_id") in source_ids:
            raise ApiError(400, "invalid_payload", "Property .phone [is] odd", message="Not a [bold]phone")
        return check_customer(body, ids=ids)

    monkeypatch.setattr("voucherify_async.sandbox._store.jobs.check_customer", check_or_refuse)


def write_lines(path: Path, count: int, *more: bytes) -> Path:
    lines = [msgspec.json.encode({"source_id": f"crm-{number}", "name": "Zoë"}) for number in range(count)]
    path.write_bytes(b"".join(line + b"\n" for line in [*lines, *more]))
    return path


def write_csv(path: Path, count: int, *more: str) -> Path:
    rows = [f'crm-{number},"Zoë\nof {number}",gold\n' for number in range(count)]
    path.write_text("".join(["Source_id,Name,tier\n", *rows, *more]), encoding="utf-8")
    return path


def table_rows(out: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in out.splitlines()
        if line.startswith("│")
    ]


def bulk_calls(sandbox: Sandbox) -> int:
    return sum(1 for exchange in sandbox.requests if exchange.method == "POST")


@pytest.mark.parametrize("suffix", [".ndjson", ".jsonl", ".json-lines", ".NDJSON"])
async def test_it_syncs_json_lines(
    run_against: Against, sandbox: Sandbox, tmp_path: Path, suffix: str
) -> None:
    status, out, err = await run_against(write_lines(tmp_path / f"customers{suffix}", 1_250))
    assert (status, out) == (
        0,
        "1,250 read: 1,250 succeeded, 0 failed, 0 invalid, 0 unchanged, 0 sent again, in 1 jobs.\n",
    )
    assert "1250/1250" in err
    assert {record.source_id for record in sandbox.store.customers.values()} == {
        f"crm-{number}" for number in range(1_250)
    }
    assert {record.fields["name"] for record in sandbox.store.customers.values()} == {"Zoë"}


async def test_it_syncs_csv(run_against: Against, sandbox: Sandbox, tmp_path: Path) -> None:
    status, out, err = await run_against(write_csv(tmp_path / "customers.csv", 120))
    assert (status, out) == (
        0,
        "120 read: 120 succeeded, 0 failed, 0 invalid, 0 unchanged, 0 sent again, in 1 jobs.\n",
    )
    assert "120/120" in err  # rows, though each has two lines
    found = {record.source_id: record for record in sandbox.store.customers.values()}
    assert len(found) == 120
    assert found["crm-7"].fields["name"] == "Zoë\nof 7"
    assert found["crm-7"].metadata == {"tier": "gold"}


@pytest.mark.parametrize("name", ["customers.ndjson", "customers.csv"])
def test_it_tries_a_sandbox_out(run: Run, tmp_path: Path, name: str) -> None:
    write = write_csv if name.endswith(".csv") else write_lines
    status, out, _ = run(write(tmp_path / name, 30), "--sandbox")
    assert (status, out) == (
        0,
        "30 read: 30 succeeded, 0 failed, 0 invalid, 0 unchanged, 0 sent again, in 1 jobs.\n",
    )


def test_it_syncs_nothing(run: Run, tmp_path: Path) -> None:
    nothing = "0 read: 0 succeeded, 0 failed, 0 invalid, 0 unchanged, 0 sent again, in 0 jobs.\n"
    assert run(write_lines(tmp_path / "customers.ndjson", 0), "--sandbox")[:2] == (0, nothing)
    assert run(write_csv(tmp_path / "customers.csv", 0), "--sandbox")[:2] == (0, nothing)


def test_it_lists_lines_that_are_no_customers(run: Run, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "customers.ndjson",
        2,
        b"{oops",
        b"",
        b"\xff\xfe",
        b"5",
        b'"crm-1"',
        b'{"source_id": "[red]x", "surname": "Z"}',
        b'{"name": "nobody"}',
        b'{"source_id": "last"}',
    )
    status, out, _ = run(path, "--sandbox")
    assert status == 1
    rows = table_rows(out)
    assert [row[:3] for row in rows] == [
        ["3", "", "invalid_item"],
        ["5", "", "invalid_item"],
        ["6", "", "invalid_item"],
        ["7", "", "invalid_item"],
        ["8", "[red]x", "invalid_item"],
        ["9", "", "invalid_item"],
    ]
    assert all(row[3] for row in rows)
    assert "surname" in rows[4][3]
    assert out.endswith("9 read: 3 succeeded, 0 failed, 6 invalid, 0 unchanged, 0 sent again, in 1 jobs.\n")


def test_it_lists_what_the_service_refuses(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse({"crm-3", "crm-11"}, monkeypatch)
    status, out, _ = run(write_lines(tmp_path / "customers.ndjson", 20), "--sandbox")
    assert status == 1
    assert table_rows(out) == [
        ["4", "crm-3", "invalid_payload", "Not a [bold]phone: Property .phone [is] odd"],
        ["12", "crm-11", "invalid_payload", "Not a [bold]phone: Property .phone [is] odd"],
    ]
    assert out.endswith("20 read: 18 succeeded, 2 failed, 0 invalid, 0 unchanged, 0 sent again, in 1 jobs.\n")


def test_it_lists_rows_by_their_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse({"crm-3"}, monkeypatch)
    path = write_csv(tmp_path / "customers.csv", 5, "\n", "crm-5,Z,gold,and more\n")
    status, out, _ = run(path, "--sandbox")
    assert status == 1
    assert [row[:2] for row in table_rows(out)] == [["8", "crm-3"], ["13", "crm-5"]]
    assert path.read_text(encoding="utf-8").splitlines()[7].startswith("crm-3,")
    assert out.endswith("6 read: 4 succeeded, 2 failed, 0 invalid, 0 unchanged, 0 sent again, in 1 jobs.\n")


def test_it_lists_the_first_of_many(run: Run, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "customers.ndjson", 3, *[b"{}"] * 1_234)
    status, out, _ = run(path, "--sandbox")
    assert status == 1
    assert [row[0] for row in table_rows(out)] == [str(line) for line in range(4, 54)]
    assert "\n... and 1,184 more\n1,237 read: 3 succeeded, 0 failed, 1,234 invalid" in out


async def test_it_goes_on_after_the_service_gave_up(
    run_against: Against, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, state = write_lines(tmp_path / "customers.ndjson", 40, b"oops"), tmp_path / "state"
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "outdated")
    status, out, err = await run_against(path, "--state", state)
    assert status == 1
    assert re.match(
        r".*read: 0 succeeded, 0 failed, 1 invalid, 0 unchanged, 0 sent again, in 0 jobs\.$", out, re.DOTALL
    )
    assert err.endswith("\nRun the same command to continue.\n")
    assert "customers.update_in_bulk" in err

    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", sandbox.app_token)
    status, out, _ = await run_against(path, "--state", state)
    assert status == 1  # for the line that is none
    assert out.endswith("in 1 jobs.\n")
    assert "41 read: 40 succeeded, 0 failed, 1 invalid" in out


async def test_without_a_state_there_is_nothing_to_go_on_with(
    run_against: Against, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "outdated")
    status, _, err = await run_against(write_lines(tmp_path / "customers.ndjson", 40))
    assert status == 1
    assert err.endswith("\nWith --state FILE, the same command could continue.\n")


@pytest.mark.parametrize("with_state", [True, False])
async def test_interrupted_and_started_again(sandbox: Sandbox, tmp_path: Path, with_state: bool) -> None:
    path = write_lines(tmp_path / "customers.ndjson", 300)
    command = [str(EXAMPLE), str(path), *(["--state", str(tmp_path / "state")] if with_state else [])]

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", *command, stdout=PIPE, stderr=PIPE,
            env={
                **os.environ,
                "VOUCHERIFY_BASE_URL": sandbox.base_url,
                "VOUCHERIFY_APP_ID": sandbox.app_id,
                "VOUCHERIFY_APP_TOKEN": sandbox.app_token,
            },
        )  # fmt: skip

    sandbox.store.job_seconds = 600.0
    process = await start()
    try:
        await until(lambda: any(exchange.method == "GET" for exchange in sandbox.requests))
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 130, err
    assert out == b""
    assert b"Traceback" not in err
    hint = (
        "Run the same command to continue."
        if with_state
        else "With --state FILE, the same command could continue."
    )
    assert err.decode().endswith(f"\nInterrupted. {hint}\n")
    if not with_state:
        return

    assert bulk_calls(sandbox) == 1
    for job in sandbox.store.jobs.values():
        job.ends = job.starts
    out, err = await (await start()).communicate()
    assert (
        out.decode()
        == "300 read: 0 succeeded, 0 failed, 0 invalid, 300 unchanged, 0 sent again, in 0 jobs.\n"
    ), err
    assert bulk_calls(sandbox) == 1
    assert len(sandbox.store.customers) == 300


@pytest.mark.parametrize("name", ["customers.ndjson", "customers.csv"])
def test_a_file_that_is_not_there(run: Run, tmp_path: Path, name: str) -> None:
    status, out, err = run(tmp_path / name, "--sandbox", "--state", tmp_path / "state")
    assert (status, out) == (1, "")
    assert f"No such file or directory: '{tmp_path / name}'" in err
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(tmp_path / "customers.json", "--sandbox")
    assert "customers.json does not end in .csv, .ndjson, .jsonl or .json-lines" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file has no header row"),
        ('Source_id\n"never closed\n', "path: line 2: a quote is never closed"),
    ],
)
def test_a_file_that_is_not_csv(run: Run, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "customers.csv"
    path.write_text(content)
    status, out, err = run(path, "--sandbox")
    assert (status, out) == (1, "")
    assert message in err


def test_a_state_of_something_else(run: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(b"mine\n" * 1_000)
    status, out, err = run(write_lines(tmp_path / "customers.ndjson", 3), "--sandbox", "--state", state)
    assert (status, out) == (1, "")
    assert f"state '{state}': it is damaged" in err
    assert state.read_bytes() == b"mine\n" * 1_000


async def test_a_table_and_a_night_later(run_against: Against, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    given = [
        path, "--state", tmp_path / "state",
        "--query", "SELECT id AS source_id, name, city AS address_city, tier FROM people ORDER BY id",
    ]  # fmt: skip
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE people (id TEXT, name TEXT, city TEXT, tier INTEGER)")
        rows = [(f"crm-{number}", f"{number}", "Katowice", number % 3) for number in range(30)]
        database.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", rows)
        status, out, err = await run_against(*given)
        assert (status, out[:24]) == (0, "30 read: 30 succeeded, 0"), err
        database.execute("UPDATE people SET name = NULL, tier = 7 WHERE id = 'crm-5'")
        status, out, _ = await run_against(*given)
        assert out == "30 read: 1 succeeded, 0 failed, 0 invalid, 29 unchanged, 0 sent again, in 1 jobs.\n"
    record = sandbox.store.get("crm-5")
    assert (record.fields.get("name"), record.metadata, record.address) == (
        None,
        {"tier": 7},
        {"city": "Katowice"},
    )


@pytest.mark.parametrize(
    ("query", "message"), [("SELECT nothing", "nothing"), ("DELETE FROM people", "readonly")]
)
async def test_a_query_that_is_none(run_against: Against, tmp_path: Path, query: str, message: str) -> None:
    path = tmp_path / "crm.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE people (id TEXT)")
    status, out, err = await run_against(path, "--query", query)
    assert (status, out) == (1, "")
    assert message in err


def test_a_concurrency_that_is_none(run: Run, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "customers.ndjson", 3)
    status, _, err = run(path, "--sandbox", "--concurrency", "0")
    assert status == 1
    assert "concurrency" in err


def test_it_says_that_keys_are_missing(run: Run, tmp_path: Path) -> None:
    status, out, err = run(write_lines(tmp_path / "customers.ndjson", 3), "--state", tmp_path / "state")
    assert (status, out) == (1, "")
    assert "VOUCHERIFY_APP_ID" in err
    assert not (tmp_path / "state").exists()


def test_a_byte_order_mark_and_empty_lines_are_no_customers(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "customers.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"source_id": "a"}\n\n \n{"source_id": "b"}\n\n')
    status, out, _ = run(path, "--sandbox")
    assert (status, out) == (
        0,
        "2 read: 2 succeeded, 0 failed, 0 invalid, 0 unchanged, 0 sent again, in 1 jobs.\n",
    )


async def test_with_a_state_only_what_changed_is_sent(run_against: Against, tmp_path: Path) -> None:
    path, state = tmp_path / "customers.ndjson", tmp_path / "state.sqlite"
    status, out, _ = await run_against(write_lines(path, 20), "--state", state)
    assert (status, out.partition(":")[2][:14]) == (0, " 20 succeeded,")
    status, out, _ = await run_against(write_lines(path, 20, b'{"source_id": "new"}'), "--state", state)
    assert status == 0
    assert out.startswith("21 read: 1 succeeded, 0 failed, 0 invalid, 20 unchanged")

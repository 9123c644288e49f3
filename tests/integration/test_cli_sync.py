"""`voucherify-async customers sync`: its sources, its report, and how it continues.

How a sync resumes after a kill is in test_sync_resume.py.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.command import Run, runner, serve
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.validation import check_customer


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    with serve(monkeypatch, tmp_path) as sandbox:
        yield sandbox


@pytest.fixture
def run(service: Sandbox, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(capfdbinary, monkeypatch)


def refuse(source_ids: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the jobs of sandboxes take everyone but these."""

    def check_or_refuse(body: Any, *, ids: bool) -> Any:
        if body.get("source_id") in source_ids:
            raise ApiError(400, "invalid_payload", "Property .phone [is] odd", message="Not a [bold]phone")
        return check_customer(body, ids=ids)

    monkeypatch.setattr("voucherify_async.sandbox._store.jobs.check_customer", check_or_refuse)


def lines(count: int, *more: bytes) -> bytes:
    customers = [
        msgspec.json.encode({"source_id": f"crm-{number}", "name": "Zoë"}) for number in range(count)
    ]
    return b"".join(line + b"\n" for line in [*customers, *more])


def write_lines(path: Path, count: int, *more: bytes) -> Path:
    path.write_bytes(lines(count, *more))
    return path


def write_csv(path: Path, count: int, *more: str) -> Path:
    rows = [f'crm-{number},"Zoë\nof {number}",gold\n' for number in range(count)]
    path.write_text("".join(["Source_id,Name,tier\n", *rows, *more]), encoding="utf-8")
    return path


def first_cells(out: str) -> list[list[str]]:
    """The first three cells of each row of the table."""
    return [line.split()[:3] for line in out.splitlines()[1:-1]]


def bulk_calls(sandbox: Sandbox) -> int:
    return sum(exchange.method == "POST" for exchange in sandbox.requests)


@pytest.mark.parametrize("suffix", [".ndjson", ".jsonl", ".json-lines", ".NDJSON"])
def test_it_syncs_json_lines(run: Run, service: Sandbox, tmp_path: Path, suffix: str) -> None:
    assert run("customers", "sync", write_lines(tmp_path / f"customers{suffix}", 1_250)) == (
        0,
        "1,250 read, 1,250 sent, 1,250 succeeded, 0 failed, 0 invalid, 0 sent again, in 1 jobs.\n",
        "",
    )
    assert {record.source_id for record in service.store.customers.values()} == {
        f"crm-{number}" for number in range(1_250)
    }
    assert {record.fields["name"] for record in service.store.customers.values()} == {"Zoë"}


@pytest.mark.parametrize("piped", [True, False])
def test_it_syncs_csv(run: Run, service: Sandbox, tmp_path: Path, piped: bool) -> None:
    path = write_csv(tmp_path / "customers.csv", 120)
    if piped:
        result = run("customers", "sync", "-", "--format", "csv", stdin=path.read_bytes())
    else:
        result = run("customers", "sync", path)
    assert result == (
        0,
        "120 read, 120 sent, 120 succeeded, 0 failed, 0 invalid, 0 sent again, in 1 jobs.\n",
        "",
    )
    found = {record.source_id: record for record in service.store.customers.values()}
    assert len(found) == 120
    assert found["crm-7"].fields["name"] == "Zoë\nof 7"
    assert found["crm-7"].metadata == {"tier": "gold"}


def test_it_syncs_standard_input(run: Run, service: Sandbox) -> None:
    code, out, err = run("customers", "sync", "-", "--json", stdin=lines(3))
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["read"], report["succeeded"], report["failures"]) == (3, 3, [])
    assert len(service.store.customers) == 3


def test_another_delimiter(run: Run, service: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("Source_id;Name\na;Ada\n", encoding="utf-8")
    assert run("customers", "sync", path, "--delimiter", ";").code == 0
    assert service.store.get("a").fields["name"] == "Ada"


def test_it_lists_what_is_no_customer(run: Run, tmp_path: Path) -> None:
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
    code, out, _ = run("customers", "sync", path)
    assert code == 1
    rows = first_cells(out)
    assert [row[:2] for row in rows] == [
        ["3", "invalid_item"],
        ["5", "invalid_item"],
        ["6", "invalid_item"],
        ["7", "invalid_item"],
        ["8", "[red]x"],
        ["9", "invalid_item"],
    ]
    assert "surname" in out
    assert out.endswith("9 read, 3 sent, 3 succeeded, 0 failed, 6 invalid, 0 sent again, in 1 jobs.\n")

    failures = json.loads(run("customers", "sync", path, "--json").out)["failures"]
    assert [failure["line"] for failure in failures] == [3, 5, 6, 7, 8, 9]
    assert failures[4]["source_id"] == "[red]x"
    assert "surname" in failures[4]["message"]
    assert failures[0]["message"].startswith("the line is not JSON: ")
    assert (
        failures[1]["message"].startswith("the line is not UTF-8: ") or "not JSON" in failures[1]["message"]
    )


def test_it_lists_what_the_service_refuses(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse({"crm-3", "crm-11"}, monkeypatch)
    code, out, _ = run("customers", "sync", write_lines(tmp_path / "customers.ndjson", 20))
    assert code == 1
    assert first_cells(out) == [["4", "crm-3", "invalid_payload"], ["12", "crm-11", "invalid_payload"]]
    assert out.count("Not a [bold]phone: Property .phone [is] odd") == 2
    assert out.endswith("20 read, 20 sent, 18 succeeded, 2 failed, 0 invalid, 0 sent again, in 1 jobs.\n")


def test_it_lists_rows_by_their_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse({"crm-3"}, monkeypatch)
    path = write_csv(tmp_path / "customers.csv", 5, "\n", "crm-5,Z,gold,and more\n")
    code, out, _ = run("customers", "sync", path)
    assert code == 1
    assert [row[:2] for row in first_cells(out)] == [["8", "crm-3"], ["13", "crm-5"]]
    assert path.read_text(encoding="utf-8").splitlines()[7].startswith("crm-3,")
    assert out.endswith("6 read, 6 sent, 4 succeeded, 2 failed, 0 invalid, 0 sent again, in 1 jobs.\n")


def test_it_lists_the_first_of_many(run: Run, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "customers.ndjson", 3, *[b"{}"] * 1_234)
    code, out, err = run("customers", "sync", path)
    assert code == 1
    assert [row[0] for row in first_cells(out)] == [str(line) for line in range(4, 54)]
    assert err == "... and 1,184 more: --failures FILE writes all of them.\n"
    code, _, err = run("customers", "sync", path, "--failures", "failed.ndjson")
    assert (code, err) == (1, "... and 1,184 more: see failed.ndjson.\n")
    failures = [json.loads(line) for line in Path("failed.ndjson").read_bytes().splitlines()]
    assert [failure["line"] for failure in failures] == list(range(4, 1_238))
    assert {failure["key"] for failure in failures} == {"invalid_item"}
    assert out.splitlines()[-1].startswith("1,237 read, 3 sent, 3 succeeded, 0 failed, 1,234 invalid")


def test_it_goes_on_after_the_service_gave_up(
    run: Run, service: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (
        "customers",
        "sync",
        write_lines(tmp_path / "customers.ndjson", 40, b"oops"),
        "--state",
        "crm.state",
    )
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "outdated")
    code, out, err = run(*command)
    assert code == 3
    assert "0 succeeded, 0 failed, 1 invalid, 0 sent again, in 0 jobs." in out
    assert "customers.update_in_bulk: 401 unauthorized" in err
    assert err.endswith("\nRun the same command to continue.\n")

    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", service.app_token)
    code, out, _ = run(*command)
    assert code == 1  # for the line that is none
    assert "41 read, 40 sent, 40 succeeded, 0 failed, 1 invalid" in out


def test_without_a_state_there_is_nothing_to_go_on_with(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "outdated")
    code, _, err = run("customers", "sync", write_lines(tmp_path / "customers.ndjson", 40))
    assert code == 3
    assert err.endswith("\nWith --state FILE, the same command could continue.\n")


def test_with_a_state_only_what_changed_is_sent(run: Run, service: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "customers.ndjson"
    command = ("customers", "sync", path, "--state", "crm.state")
    write_lines(path, 20)
    assert run(*command).out.startswith("20 read, 20 sent, 20 succeeded")
    write_lines(path, 19, b'{"source_id": "new"}')
    assert run(*command).out == (
        "20 read, 1 sent, 1 succeeded, 0 failed, 0 invalid, 19 unchanged, 0 sent again, in 1 jobs.\n"
        "1 of earlier runs are no longer in the source: customers delete-missing deletes them.\n"
    )
    assert run(*command, "--full").out.startswith("20 read, 20 sent")
    assert json.loads(run(*command, "--json").out)["missing"] == 1
    assert bulk_calls(service) == 3


def test_a_state_of_another_project(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("customers", "sync", write_lines(tmp_path / "customers.ndjson", 3), "--state", "crm.state")
    assert run(*command).code == 0
    with Sandbox() as other:
        monkeypatch.setenv("VOUCHERIFY_BASE_URL", other.base_url)
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert "it is of the project" in err
        assert len(err.splitlines()) == 1  # no hint to run the same again
    monkeypatch.setenv("VOUCHERIFY_BASE_URL", "")


def test_it_stops_waiting(run: Run, service: Sandbox, tmp_path: Path) -> None:
    service.store.job_seconds = 600.0
    path = write_lines(tmp_path / "customers.ndjson", 3)
    code, out, err = run("customers", "sync", path, "--state", "crm.state", "--timeout", "0.01")
    assert code == 4
    assert " 0 succeeded, 0 failed" in out
    assert err.endswith("Run the same command to continue.\n")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("customers.csv", b"", "the file has no header row"),
        ("customers.csv", b'Source_id\n"never closed\n', "customers.csv: line 2: a quote is never closed"),
        (
            "customers.csv",
            b"id,name,email\ncrm-1,Ada,\n",
            "customers.csv has no column Source_id, so that each",
        ),
        ("customers.csv", b"Source_id;Name\na;Ada\n", "pass --delimiter ';'. Its columns are Source_id;Name"),
        (
            "customers.csv",
            b"source_id,metadata.tier\na,gold\n",
            "metadata.tier would become metadata of this name",
        ),
        ("crm.sqlite", b"", "crm.sqlite looks like an SQLite database: pass --query"),
        ("customers.txt", b"", "customers.txt does not end in .ndjson"),
        ("customers.parquet", b"", "a Parquet file cannot be synced: convert it to NDJSON"),
        ("customers.ndjson", None, "customers.ndjson does not exist"),
    ],
)
def test_files_that_cannot_be_read(
    run: Run, tmp_path: Path, service: Sandbox, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, _, err = run("customers", "sync", tmp_path / name)
    assert code == 2
    assert message in err
    assert not service.requests


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--concurrency", "0"], "--concurrency"),
        (["--timeout", "-1"], "--timeout"),
        (["--format", "parquet"], "--format"),
        (["--delimiter", "ab", "--format", "csv"], "delimiter"),
    ],
)
def test_mistakes(run: Run, tmp_path: Path, options: list[str], message: str) -> None:
    code, _, err = run("customers", "sync", write_lines(tmp_path / "a.ndjson", 1), *options)
    assert code == 2
    assert message in err


def test_a_query_of_standard_input(run: Run) -> None:
    code, _, err = run("customers", "sync", "-", "--query", "SELECT 1")
    assert (code, err) == (2, "voucherify-async: --query needs the path of a database\n")


def test_a_state_of_something_else(run: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(b"mine\n" * 1_000)
    path = write_lines(tmp_path / "customers.ndjson", 3)
    code, out, err = run("customers", "sync", path, "--state", state)
    assert (code, out) == (2, "")
    assert f"state '{state}': it is damaged" in err
    assert state.read_bytes() == b"mine\n" * 1_000


def test_a_table_and_a_night_later(run: Run, service: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    query = "SELECT id AS source_id, name, city AS address_city, tier FROM people ORDER BY id"
    command = ("customers", "sync", path, "--state", "crm.state", "--query", query)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE people (id TEXT, name TEXT, city TEXT, tier INTEGER)")
        rows = [(f"crm-{number}", f"{number}", "Katowice", number % 3) for number in range(30)]
        database.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", rows)
        assert run(*command).out.startswith("30 read, 30 sent, 30 succeeded")
        database.execute("UPDATE people SET name = NULL, tier = 7 WHERE id = 'crm-5'")
        assert run(*command).out.startswith("30 read, 1 sent, 1 succeeded, 0 failed, 0 invalid, 29 unchanged")
        database.execute("INSERT INTO people VALUES (NULL, 'nobody', '', 0)")
        code, out, _ = run(*command)
    assert code == 1
    assert out.splitlines()[0].split() == ["row", "source_id", "key", "message"]
    assert out.splitlines()[1].startswith("1 ")
    record = service.store.get("crm-5")
    assert (record.fields.get("name"), record.metadata, record.address) == (
        None,
        {"tier": 7},
        {"city": "Katowice"},
    )


@pytest.mark.parametrize(
    ("query", "message"), [("SELECT nothing", "nothing"), ("DELETE FROM people", "readonly")]
)
def test_a_query_that_is_none(run: Run, tmp_path: Path, query: str, message: str) -> None:
    path = tmp_path / "crm.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE people (id TEXT)")
    code, out, err = run("customers", "sync", path, "--query", query)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith(f"voucherify-async: {path}: ")


def test_rows_without_an_id_are_counted(run: Run, service: Sandbox, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "customers.csv", 2, ",nobody,gold\n")
    code, _, err = run("customers", "sync", path)
    assert (code, err) == (0, "1 rows have no Source_id: each sync creates new customers for them.\n")
    assert len(service.store.customers) == 3


def test_missing_customers_are_deleted(run: Run, service: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "customers.ndjson"
    for count in (20, 19):
        assert run("customers", "sync", write_lines(path, count), "--state", "crm.state").code == 0
    assert run("customers", "delete-missing", "crm.state").code == 2  # there is no terminal to ask
    assert service.store.has_source_id("crm-19")
    assert run("customers", "delete-missing", "crm.state", "--yes") == (0, "", "1 deleted.\n")
    assert not service.store.has_source_id("crm-19")
    assert run("customers", "delete-missing", "crm.state", "--yes").err == "0 deleted.\n"

    assert run("customers", "sync", write_lines(path, 5), "--state", "crm.state").code == 0
    code, _, err = run("customers", "delete-missing", "crm.state", "--yes")
    assert code == 2
    assert "max_share: 14 of 19 customers are missing" in err
    assert (
        run("customers", "delete-missing", "crm.state", "--yes", "--max-share", "0.9").err == "14 deleted.\n"
    )
    assert run("customers", "delete-missing", "nothing.state", "--yes").code == 2
    assert not Path("nothing.state").exists()

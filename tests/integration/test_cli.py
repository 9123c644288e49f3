"""The commands of `voucherify-async` that read, import and delete, and where its keys come from."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Run, runner, serve, settings_of
from voucherify_async import RetryPolicy, VoucherifyClient
from voucherify_async.cli._exit_codes import CommandError
from voucherify_async.cli.demo import _expect, run_demo
from voucherify_async.sandbox import Sandbox


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    with serve(monkeypatch, tmp_path, customers=25) as sandbox:
        yield sandbox


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(capfdbinary, monkeypatch)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without pauses."""
    defaults = VoucherifyClient.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "retry", RetryPolicy(base=0.0))


def add(sandbox: Sandbox, source_id: str, **fields: object) -> None:
    sandbox.store.add(None, source_id, fields)


def test_get_prints_a_record(service: Sandbox, run: Run) -> None:
    add(service, "crm-1", name="Zoë \x1b[31m", email="zoe@example.com")
    code, out, err = run("customers", "get", "crm-1")
    assert (code, err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows["source_id"].strip() == "crm-1"
    assert rows["name"].strip() == r"Zoë \x1b[31m"
    assert rows["email"].strip() == "zoe@example.com"
    assert "phone" not in rows


def test_get_prints_json_and_names_who_is_not_there(service: Sandbox, run: Run) -> None:
    add(service, "crm-1", name="Ada")
    add(service, "crm-2", name="Eve")
    code, out, err = run("customers", "get", "crm-1", "nobody\x07", "crm-2", "--json")
    assert code == 1
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["Ada", "Eve"]
    assert err == "There is no customer nobody\\x07.\n"


def test_list_prints_a_table_that_a_pipe_does_not_cut(service: Sandbox, run: Run) -> None:
    code, out, err = run("customers", "list", "--limit", "3")
    assert code == 0
    header, *rows = out.splitlines()
    assert header.split() == ["id", "source_id", "name", "email", "city", "created_at"]
    assert [row.split()[0] for row in rows] == [
        record.id
        for record in sorted(
            service.store.customers.values(), key=lambda record: record.created, reverse=True
        )
    ][:3]
    assert err == "There are more: see --limit.\n"
    assert "…" not in out


def test_list_in_a_narrow_place_prints_records(service: Sandbox, run: Run) -> None:
    code, out, _ = run("customers", "list", "--limit", "2", columns=40)
    assert code == 0
    assert all(len(line) <= 40 for line in out.splitlines())
    assert [line.split()[0] for line in out.splitlines() if line.startswith("id")] == ["id", "id"]


@pytest.mark.parametrize("limit", [1, 10, 25, 1_000])
def test_list_prints_json_lines(service: Sandbox, run: Run, limit: int) -> None:
    code, out, err = run("customers", "list", "--json", "--limit", str(limit), "--order", "created_at")
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == min(limit, 25)
    assert [customer["created_at"] for customer in found] == sorted(
        customer["created_at"] for customer in found
    )


def test_list_of_more_than_a_page(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(customers=230) as sandbox:
        for name, value in settings_of(sandbox).items():
            monkeypatch.setenv(name, value)
        assert len(run("customers", "list", "--json", "--limit", "150").out.splitlines()) == 150
        assert len(run("customers", "list", "--limit", "230").out.splitlines()) == 231


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--city", "London"], ["1", "2"]),
        (["--email", "b@example.com"], ["2"]),
        (["--name", "Ada"], ["1"]),
        (["--created-after", "2100-01-01"], []),
        (["--created-before", "2100-01-01T00:00:00+02:00", "--city", "London"], ["1", "2"]),
        (["--updated-after", "2001-02-03", "--updated-before", "2100-01-01"], ["2"]),
    ],
)
def test_list_filters(service: Sandbox, run: Run, options: list[str], expected: list[str]) -> None:
    service.store.customers.clear()
    service.store.add(None, "1", {"name": "Ada", "address": {"city": "London"}})
    service.store.add(None, "2", {"email": "b@example.com", "address": {"city": "London"}})
    service.store.add(None, "3", {"name": "Eve"})
    service.store.upsert({"source_id": "2", "phone": "+44"})
    code, out, _ = run("customers", "list", "--json", "--order", "source_id", *options)
    assert code == 0
    assert [json.loads(line)["source_id"] for line in out.splitlines()] == expected


def test_activity(service: Sandbox, run: Run) -> None:
    source_id = next(record.source_id for record in service.store.customers.values() if record.source_id)
    code, out, _ = run("customers", "activity", source_id, "--json")
    assert code == 0
    assert "customer.created" in [json.loads(line)["type"] for line in out.splitlines()]
    assert run("customers", "activity", source_id).out.split()[:3] == ["created_at", "type", "id"]


def test_an_import_waits_and_lists_the_rows_that_failed(service: Sandbox, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "crm.csv"
    path.write_text("Source_id,Name,Birthdate\na,Ada,1815-12-10\nb,Eve,not a day\n", encoding="utf-8")
    code, out, err = run("customers", "import", path)
    assert code == 1
    assert err.startswith("The job is ")
    assert "done        1" in out
    assert [line.split()[:2] for line in out.splitlines()][-1] == ["2", "b"]
    assert service.store.get("a").fields["name"] == "Ada"


def test_an_import_from_standard_input_that_does_not_wait(service: Sandbox, run: Run) -> None:
    code, out, err = run("customers", "import", "-", "--no-wait", stdin=b"Source_id\nz\n")
    assert (code, err) == (0, "")
    code, out, _ = run("async-actions", "wait", out.strip(), "--json")
    assert code == 0
    assert json.loads(out)["result"]["done_count"] == 1
    code, out, _ = run("customers", "import", "-", "--no-wait", "--json", stdin=b"Source_id\nz\n")
    assert list(json.loads(out)) == ["async_action_id"]


def test_jobs(service: Sandbox, run: Run) -> None:
    job_id = run("customers", "import", "-", "--no-wait", stdin=b"Source_id\nz\n").out.strip()
    assert run("async-actions", "wait", job_id).code == 0
    code, out, _ = run("async-actions", "get", job_id)
    assert code == 0
    assert "DONE" in out
    code, out, _ = run("async-actions", "list", "--json")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [job_id]


def test_a_job_that_takes_too_long(service: Sandbox, run: Run) -> None:
    service.store.job_seconds = 600.0
    code, out, err = run("customers", "import", "-", "--timeout", "0", stdin=b"Source_id\nz\n")
    assert (code, out) == (4, "")
    assert "it keeps running" in err


def test_a_job_that_failed(service: Sandbox, run: Run) -> None:
    job_id = run("customers", "import", "-", "--no-wait", stdin=b"Source_id\nz\n").out.strip()
    service.store.jobs[job_id].failed = True
    code, out, _ = run("async-actions", "wait", job_id)
    assert code == 1
    assert "FAILED" in out


def test_delete_needs_an_answer(service: Sandbox, run: Run) -> None:
    add(service, "crm-1")
    code, out, err = run("customers", "delete", "crm-1", stdin=b"y\n")
    assert (code, out) == (2, "")
    assert f"Delete customer crm-1 at {service.base_url}? There is no terminal to ask: pass --yes" in err
    assert service.store.has_source_id("crm-1")


@pytest.mark.parametrize("options", [[], ["--permanently"]])
def test_delete(service: Sandbox, run: Run, options: list[str]) -> None:
    add(service, "crm-1")
    add(service, "crm-2")
    before = len(service.store.customers)
    code, out, err = run("customers", "delete", "crm-1", "nobody", "crm-2", "--yes", *options)
    assert (code, out) == (1, "")
    assert err == "There is no customer nobody.\n2 deleted.\n"
    assert len(service.store.customers) == before - 2
    add(service, "crm-3")
    assert run("customers", "delete", "crm-3", "-y", *options).code == 0


def test_ping(service: Sandbox, run: Run) -> None:
    code, out, _ = run("ping", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["application_id"] == service.app_id
    assert answer["url"] == service.base_url
    assert answer["customers"] == 25
    assert 0 < answer["calls_left"] < answer["calls_limit"]
    code, out, _ = run("ping")
    assert f"{service.base_url} (this machine)" in out
    assert service.app_token not in out


def test_rejected_keys(service: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "outdated")
    code, out, err = run("customers", "list")
    assert (code, out) == (3, "")
    assert err.startswith("voucherify-async: customers.list: 401 unauthorized")
    assert "outdated" not in err


@pytest.mark.usefixtures("no_pauses")
def test_a_service_that_is_away(service: Sandbox, run: Run) -> None:
    service.fail_next("customers.list", status=503, times=4)
    code, _, err = run("customers", "list")
    assert code == 4
    assert err.splitlines()[-1].startswith("voucherify-async: customers.list: 503")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["customers", "gett"], 'Unknown command "gett". Did you mean "get"?'),
        (["customers", "get"], "IDS"),
        (["customers", "get", "a", "--jsn"], "Did you mean --json?"),
        (["customers", "list", "--limit", "0"], "--limit"),
        (["customers", "list", "--limit", "many"], "many"),
        (["customers", "list", "--order", "name"], "--order"),
        (["customers", "list", "--created-after", "soon"], "soon is not a date or time such as 2026-01-31"),
        (["customers", "get", ".."], "customer_id"),
        (["customers", "import", "nowhere.csv"], "nowhere.csv"),
        (["customers", "export", "a.csv", "--columns"], "--columns"),
        (["customers", "list", "--env-file", "nowhere"], "nowhere"),
        (["customers", "list", "--base-url", "http://example.com"], "use https, or --allow-http"),
        (["async-actions", "wait", "x", "--timeout", "-1"], "--timeout"),
    ],
)
def test_mistakes(service: Sandbox, run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("voucherify-async: ")
    assert len(err.splitlines()) == 1
    assert not service.requests


def test_keys_that_are_missing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("ping")
    assert code == 2
    assert "VOUCHERIFY_APP_ID is missing: set it in the environment or in a file .env" in err


def test_retries_are_quiet_unless_verbose(service: Sandbox, run: Run) -> None:
    service.fail_next("customers.list", status=503)
    assert run("ping", "--json").err == ""
    service.fail_next("customers.list", status=503)
    with_retries = subprocess.run(
        [sys.executable, "-m", "voucherify_async", "ping", "--verbose"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | settings_of(service),
    )
    assert "attempt 1 failed (ServerError)" in with_retries.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "command", ["ping", "customers export all.ndjson", "customers list", "customers sync -"]
)
def test_closed_streams(service: Sandbox, tmp_path: Path, command: str, closed: str) -> None:
    """The first file that is opened would be in their place."""
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -W error -m voucherify_async {command} {closed}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | settings_of(service) | {"COLUMNS": "300"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr in {"", "There are more: see --limit.\n"}
    if "export" in command:
        assert len((tmp_path / "all.ndjson").read_bytes().splitlines()) == 25


def test_keys_in_a_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Sandbox() as sandbox:
        lines = [f'export {name}="{value}"' for name, value in settings_of(sandbox).items()]
        (tmp_path / ".env").write_text("\ufeff# keys\n" + "\n".join(lines), encoding="utf-8")
        assert run("ping").code == 0
        (tmp_path / ".env").rename(tmp_path / "sandbox.env")
        assert run("ping").code == 2
        monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "that of another project")
        assert run("ping", "--env-file", "sandbox.env").code == 0
        (tmp_path / "sandbox.env").write_bytes(b"\xff\xfe")
        code, _, err = run("ping", "--env-file", "sandbox.env")
        assert (code, err) == (2, "voucherify-async: sandbox.env is not UTF-8\n")


def test_options_of_the_sandbox_are_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    from voucherify_async.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["sandbox", "--help"])
    assert ended.value.code == 0
    out = capfd.readouterr().out
    assert re.match(r"usage: \S*voucherify.async sandbox ", out)
    assert "--rate-limit" in out


def test_version(run: Run) -> None:
    from voucherify_async import __version__

    assert run("--version") == (0, f"{__version__}\n", "")


def test_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, count in {
        "SEED_CUSTOMERS": 300,
        "BULK_CUSTOMERS": 200,
        "CSV_ROWS": 50,
        "SYNC_CUSTOMERS": 400,
    }.items():
        monkeypatch.setattr(f"voucherify_async.cli.demo._{name}", count)
    caplog.set_level(logging.WARNING, "voucherify_async")  # restores what the demo changes
    assert run_demo() == 0
    out = capsys.readouterr().out
    for text in (
        "streamed 300, each of them once",
        "updated 200 in one bulk job",
        "imported 50 rows",
        "streamed 550 in spite of",
        "synced 400, of which 0 failed",
        "404 not_found",
    ):
        assert text in out
    assert max(map(len, out.splitlines()[:-1])) <= 60
    last = out.splitlines()[-1]
    assert last.startswith("Try next: ")
    assert "sandbox --customers 5000" in last
    assert os.sep not in last or "voucherify-async" in last


def test_a_demo_with_another_result() -> None:
    with pytest.raises(CommandError, match="the demo failed: customers: expected 5, got 4") as failed:
        _expect("customers", 4, 5)
    assert failed.value.code == 1

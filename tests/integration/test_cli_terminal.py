"""The command on a pseudo-terminal and in a pipeline: widths, colours, prompts, progress, Ctrl-C, closed pipes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import settings_of, terminal
from voucherify_async.sandbox import Sandbox

COLOUR = re.compile(rb"\x1b\[[0-9;]*3[0-9][0-9;]*m")


@pytest.fixture
def service() -> Iterator[Sandbox]:
    with Sandbox(customers=150, seed=7) as sandbox:
        yield sandbox


@pytest.mark.parametrize("columns", [80, 40])
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["customers", "export", "--help"],
        ["customers", "list", "--limit", "5"],
        ["customers", "activity", "kaethe.gross.149@example.org", "--limit", "5"],
        ["ping"],
    ],
    ids=" ".join,
)
def test_everything_fits(service: Sandbox, columns: int, arguments: list[str]) -> None:
    record = next(record for record in service.store.customers.values() if record.source_id)
    given = [str(record.source_id) if "@" in argument else argument for argument in arguments]
    with terminal(*given, columns=columns, env=settings_of(service)) as shown:
        assert shown.wait() == 0
        text = shown.text
    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text
    if given[:2] == ["customers", "list"]:
        newest = max(service.store.customers.values(), key=lambda record: record.created)
        assert newest.id[:8] in text


def test_a_narrow_list_has_whole_values(service: Sandbox) -> None:
    with terminal("customers", "list", "--limit", "2", columns=40, env=settings_of(service)) as shown:
        assert shown.wait() == 0
    newest = sorted(service.store.customers.values(), key=lambda record: record.created)[-2:]
    together = re.sub(r"\s", "", shown.text)
    for record in newest:
        assert record.id in together
        assert re.sub(r"\s", "", record.fields["email"]) in together


def test_a_list_leaves_out_columns_that_do_not_fit(service: Sandbox) -> None:
    with terminal("customers", "list", "--limit", "2", columns=80, env=settings_of(service)) as shown:
        assert shown.wait() == 0
    newest = sorted(service.store.customers.values(), key=lambda record: record.created)[-2:]
    lines = shown.text.splitlines()
    assert lines[0].startswith("The terminal is too narrow for ")
    assert [line.split()[0] for line in lines[2:4]] == [record.id for record in reversed(newest)]


@pytest.mark.parametrize("no_color", [True, False])
def test_colours(service: Sandbox, tmp_path: Path, no_color: bool) -> None:
    env = settings_of(service) | ({"NO_COLOR": "1"} if no_color else {})
    arguments = ("customers", "export", tmp_path / "all.ndjson")
    with terminal(*arguments, env=env) as shown:
        assert shown.wait() == 0
    assert bool(COLOUR.search(shown.screen)) is not no_color


@pytest.mark.parametrize("columns", [80, 40])
def test_progress_is_shown_on_standard_error(service: Sandbox, columns: int) -> None:
    service.latency = 0.02
    with terminal(
        "customers", "export", "-", columns=columns, env=settings_of(service), output=subprocess.DEVNULL
    ) as shown:
        assert shown.wait() == 0
    assert "150 of 150" in shown.text
    assert "/s" in shown.text
    assert max(len(line) for line in re.split(r"[\r\n]+", shown.text)) <= columns


def test_no_progress_without_a_terminal(service: Sandbox, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "voucherify_async", "customers", "export", tmp_path / "all.ndjson"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | settings_of(service),
    )
    assert (done.stdout, done.stderr) == (f"150 customers in {tmp_path / 'all.ndjson'}.\n", "")


def test_keys_are_asked_for_and_the_secret_is_not_shown(service: Sandbox, tmp_path: Path) -> None:
    env = {"VOUCHERIFY_BASE_URL": service.base_url}
    with terminal("customers", "list", "--limit", "1", env=env, cwd=tmp_path) as shown:
        shown.read_until("Application ID: ")
        shown.type(f"{service.app_id}\n")
        shown.read_until("Secret key (is not shown): ")
        shown.type(f"{service.app_token}\n")
        assert shown.wait() == 0
    assert "created_at" in shown.text
    assert service.app_token not in shown.text


def test_no_answer_is_a_missing_key(service: Sandbox, tmp_path: Path) -> None:
    with terminal("ping", env={"VOUCHERIFY_BASE_URL": service.base_url}, cwd=tmp_path) as shown:
        shown.read_until("Application ID: ")
        shown.type("\n")
        assert shown.wait() == 2
    assert "VOUCHERIFY_APP_ID is missing" in shown.text


def test_ctrl_c_at_a_prompt(service: Sandbox, tmp_path: Path) -> None:
    with terminal("ping", env={"VOUCHERIFY_APP_ID": service.app_id}, cwd=tmp_path) as shown:
        shown.read_until("Secret key (is not shown): ")
        shown.type("\x03")
        assert shown.wait() == 130
    assert shown.text.splitlines()[-1] == "Interrupted."


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES", 0), ("n", 1), ("", 1)])
def test_delete_asks(service: Sandbox, answer: str, code: int) -> None:
    service.store.add(None, "crm-1", {})
    with terminal("customers", "delete", "crm-1", "--permanently", env=settings_of(service)) as shown:
        shown.read_until("Delete customer crm-1 permanently, with all their data, at ")
        shown.read_until("[y/N] ")
        shown.type(f"{answer}\n")
        assert shown.wait() == code
    assert ("1 deleted." if code == 0 else "Nothing was deleted.") in shown.text
    assert service.store.has_source_id("crm-1") is (code == 1)


def test_ctrl_c_while_a_job_runs(service: Sandbox, tmp_path: Path) -> None:
    service.store.job_seconds = 600.0
    (tmp_path / "crm.ndjson").write_text('{"source_id": "crm-1"}\n')
    arguments = ("customers", "sync", "crm.ndjson", "--state", "crm.state")
    with terminal(*arguments, env=settings_of(service), cwd=tmp_path) as shown:
        shown.read_until("0 of 1")
        while not any(exchange.method == "GET" for exchange in service.requests):  # it polls the job
            time.sleep(0.001)
        shown.type("\x03")
        assert shown.wait() == 130
    assert shown.text.splitlines()[-2:] == ["Interrupted.", "Run the same command to continue."]
    assert "Traceback" not in shown.text

    for job in service.store.jobs.values():
        job.ends = job.starts
    with terminal(*arguments, env=settings_of(service), cwd=tmp_path) as shown:
        assert shown.wait() == 0
    assert "1 read, 0 sent, 0 succeeded, 0 failed, 0 invalid, 1 unchanged" in shown.text


def test_ctrl_c_while_standard_input_waits(service: Sandbox) -> None:
    with terminal("customers", "sync", "-", env=settings_of(service)) as shown:
        shown.read_until("customers")
        shown.type('{"source_id": "crm-1"}\n')
        shown.read_until("crm-1")
        shown.type("\x03")
        assert shown.wait() == 130
    assert "With --state FILE, the same command could continue." in shown.text


def test_ctrl_c_while_standard_output_waits(service: Sandbox) -> None:
    reader, writer = os.pipe()  # nobody reads
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b" " * 65_536):
            pass
    except BlockingIOError:
        os.set_blocking(writer, True)
    with terminal("customers", "export", "-", env=settings_of(service), output=writer) as shown:
        shown.read_until("of 150")
        shown.type("\x03")
        assert shown.wait() == 130
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    "command",
    [
        "customers export - | head -1",
        "customers export - --format csv | head -1",
        "customers list --json --limit 150 | head -1",
        "customers list --limit 150 | head -1",
        "customers export --help | head -1",
    ],
)
def test_a_closed_pipe_is_no_error(service: Sandbox, command: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m voucherify_async {command}"],
        capture_output=True,
        check=False,
        env=os.environ | settings_of(service),
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert b"rror" not in done.stderr


def test_the_reader_goes_at_once(service: Sandbox) -> None:
    with Sandbox(customers=3_000) as big:
        for command in ("customers export -", "customers list --json --limit 3000"):
            done = subprocess.run(
                ["bash", "-c", f"set -o pipefail; {sys.executable} -m voucherify_async {command} | true"],
                capture_output=True,
                check=False,
                env=os.environ | settings_of(big),
            )
            assert (done.returncode, done.stderr) == (0, b"")


def test_completion_scripts() -> None:
    from voucherify_async.cli._app import app

    for shell in ("bash", "zsh", "fish"):
        script = app.generate_completion(shell=shell)
        for word in ("customers", "export", "--concurrency", "async-actions"):
            assert word in script


def test_completion_is_installed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "voucherify_async", "--install-completion", "--shell", "bash"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HOME": str(tmp_path), "SHELL": "/bin/bash"},
    )
    assert done.returncode == 0, done.stderr
    assert any("voucherify-async" in path.read_text() for path in tmp_path.rglob("*") if path.is_file())

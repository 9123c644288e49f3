"""The commands on the page for other languages are run with bash, as they are written there, against a sandbox."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import settings_of
from tests.support.documentation import PAGES, find_blocks
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._status.page import METHODS

PAGE = PAGES["docs/pages/sandbox-http.md"]
BLOCKS = {name or "": block for name, block in find_blocks(PAGE, "console")}
FOREGROUND = {"pipx", "venv", "webhooks of any language"}
"""Blocks whose last command runs until it is stopped."""

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

_COMMAND = f"""#!/bin/sh
exec {sys.executable} -W error -m voucherify_async "$@" --port 0
"""
_SANDBOX = f"""#!/bin/sh
exec {sys.executable} -W error "$@" --port 0
"""
_PIPX = """#!/bin/sh
set -e
[ "$*" = "install voucherify-async[cli]" ]
cp "$(dirname "$0")/command" "$(dirname "$0")/voucherify-async"
"""
_PIP = """#!/bin/sh
set -e
[ "$*" = "install voucherify-async" ]
cp "$(dirname "$0")/sandbox" "$(dirname "$0")/python"
"""
_VENV = """#!/bin/sh
set -e
[ "$1 $2" = "-m venv" ]
mkdir -p "$3/bin"
cp "$(dirname "$0")/pip" "$(dirname "$0")/sandbox" "$3/bin"
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[tuple[Sandbox, dict[str, str]]]:
    """A sandbox, and a shell whose commands install nothing. A sandbox that the page starts gets a free port."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {"pipx": _PIPX, "python3": _VENV, "pip": _PIP, "command": _COMMAND, "sandbox": _SANDBOX}
    for name, script in {**scripts, "voucherify-async": _COMMAND}.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    with Sandbox(customers=50, seed=7) as sandbox:
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        yield sandbox, os.environ | settings_of(sandbox) | {"PATH": path}


def start(block: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", "-e", "-o", "pipefail", "-c", block],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )


def run(name: str, shell: tuple[Sandbox, dict[str, str]], folder: Path) -> str:
    """Run a block, and return what it prints."""
    sandbox, environment = shell
    block = BLOCKS[name].replace("http://127.0.0.1:8181", sandbox.base_url)
    keys = BLOCKS["first calls"].splitlines()[0]
    process = start(f"{keys}\n{block}", folder, environment)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    return out


def check_first_calls(sandbox: Sandbox, out: str) -> None:
    assert sandbox.store.get("crm-1").fields == {"name": "Ada"}
    assert [exchange.status for exchange in sandbox.requests] == [200, 200, 200]
    assert len(sandbox.requests[-1].response_json()["customers"]) == 5


def check_script(sandbox: Sandbox, out: str) -> None:
    assert not sandbox.requests  # but the one that the script has started
    assert len(json.loads(out)["customers"]) == 5


def check_wait(sandbox: Sandbox, out: str) -> None:
    assert out.startswith("HTTP/1.1 200 OK")


def check_two(sandbox: Sandbox, out: str) -> None:
    assert out == ""


def check_reset(sandbox: Sandbox, out: str) -> None:
    assert json.loads(out)["failures"] == []
    assert (len(sandbox.store.customers), sandbox.planned_failures) == (50, ())


def check_failures(sandbox: Sandbox, out: str) -> None:
    answers = [json.loads(answer)["failures"] for answer in out.replace("}{", "}\n{").splitlines()]
    assert [failure["operation"] for failure in answers[2]] == [
        ["PUT", "/v1/customers/*"],
        "customers.list",
        "customers.create",
    ]
    assert answers[2][2]["fault"] == "reset"
    assert answers[3] == []


def check_settings(sandbox: Sandbox, out: str) -> None:
    answers = [json.loads(answer) for answer in out.replace("}{", "}\n{").splitlines()]
    assert answers[0]["latency"] == [0.05, 0.2]
    assert answers[0]["rate_limit"]["limit"] == 600
    assert (answers[1]["faults"]["reset"], answers[1]["faults"]["status"]) == (0.01, {"503": 0.05})
    assert (answers[2]["latency"], answers[2]["rate_limit"], answers[2]["faults"]["reset"]) == (0, None, 0)


def check_requests(sandbox: Sandbox, out: str) -> None:
    status, request = out.replace("}{", "}\n{").splitlines()
    assert json.loads(status)["requests"][0]["number"] == 1
    assert json.loads(request)["target"] == "/v1/customers"


CHECKS: dict[str, Callable[[Sandbox, str], None]] = {
    name: globals()[f"check_{name.replace(' ', '_')}"] for name in BLOCKS if name not in FOREGROUND
}


@pytest.mark.parametrize("name", CHECKS)
def test_commands_that_end(name: str, shell: tuple[Sandbox, dict[str, str]], tmp_path: Path) -> None:
    sandbox, _ = shell
    if name == "reset":
        sandbox.store.burst(1)
        sandbox.fail_next("customers.get")
    if name == "requests":
        subprocess.run(["curl", "-sS", f"{sandbox.base_url}/v1/customers"], check=True, capture_output=True)
    CHECKS[name](sandbox, run(name, shell, tmp_path))


@pytest.mark.parametrize("name", sorted(FOREGROUND))
def test_commands_that_run_until_they_are_stopped(
    name: str, shell: tuple[Sandbox, dict[str, str]], tmp_path: Path
) -> None:
    if name == "pipx":
        (tmp_path / "bin" / "voucherify-async").unlink()  # it is not there before it is installed
    process = start(BLOCKS[name], tmp_path, shell[1])
    assert process.stdout is not None
    lines: list[str] = []
    while "Ctrl-C" not in "".join(lines[-1:]):
        line = process.stdout.readline()
        assert line, (lines, process.communicate())
        lines.append(line)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.communicate() == ("", "")
    if name != "webhooks of any language":
        (shown,) = [text for _, text in find_blocks(PAGE, "text")]
        assert re.sub(r":\d+", ":8181", "".join(lines)).startswith(shown)


def test_the_command_of_the_container() -> None:
    ((_, file),) = find_blocks(PAGE, "dockerfile")
    found = re.search(r"^CMD (\[.+\])$", file, re.MULTILINE)
    assert found is not None
    python, *words = json.loads(found[1])
    assert python == "python"
    process = subprocess.Popen(
        [sys.executable, "-W", "error", *words, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    url = lines[1].partition("=")[2].strip()
    health = re.search(r'^HEALTHCHECK CMD python -c "(.+)"$', file, re.MULTILINE)
    assert health is not None
    check = health[1].replace("http://127.0.0.1:8181", url)
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
    called = subprocess.run(
        ["curl", "-sS", "--fail", "--head", "-H", "Host: sandbox:8181", f"{url}/"],
        check=False,
        capture_output=True,
    )
    assert called.returncode == 0
    process.terminate()
    process.communicate()
    assert process.returncode == 0


def test_all_requests_are_in_the_table() -> None:
    shown = set(re.findall(r"^\| `(GET|POST|PATCH|DELETE) (/-/[a-z]+)", PAGE, re.MULTILINE))
    known = {(method, path) for path, methods in METHODS.items() for method in methods if method != "HEAD"}
    assert shown == known - {("GET", "/")} | {("GET", "/-/requests")}


def test_the_fields_of_a_failure_are_in_the_table(tmp_path: Path) -> None:
    table = PAGE.partition("### Fail a single call")[2].partition("###")[0]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    fields = re.findall(r"`(\w+)`", "".join(rows))
    given: dict[str, Any] = dict.fromkeys(fields)
    given |= {"operation": "customers.get", "times": 1}
    Sandbox().fail_next(**given)
    assert set(fields) == {"operation", "status", "times", "key", "message", "retry_after", "fault"}

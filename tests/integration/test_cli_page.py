"""The commands on the page of the command line are run, as they are written there, against a sandbox."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command import settings_of
from voucherify_async.sandbox import Sandbox

PAGE = (Path(__file__).parents[2] / "docs" / "pages" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = [
    block
    for block in re.findall(r"```console\n(.+?)```", PAGE, re.DOTALL)
    if "voucherify-async " in block and "pip install" not in block
]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[tuple[Sandbox, dict[str, str]]]:
    """A sandbox, the files that the page names, and a shell in which the command is installed."""
    (tmp_path / "crm.csv").write_text("Source_id,Name\ncrm-7,Ada\ncrm-8,Eve\n", encoding="utf-8")
    (tmp_path / "customers.ndjson").write_text('{"source_id": "crm-1", "name": "Ada"}\n', encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "crm.sqlite")) as database:
        database.execute("CREATE TABLE people (id TEXT, name TEXT, tier TEXT)")
        database.execute("INSERT INTO people VALUES ('crm-9', 'Ada', 'gold')")
        database.commit()
    (tmp_path / "none.ndjson").touch()
    script = tmp_path / "bin" / "voucherify-async"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -W error -m voucherify_async "$@"\n')
    script.chmod(0o755)
    with Sandbox(customers=20, seed=7) as sandbox:
        for number in (1, 7, 8):
            sandbox.store.add(None, f"crm-{number}", {"name": "Ada"})
        path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
        yield sandbox, os.environ | settings_of(sandbox) | {"PATH": path}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0])
def test_commands_on_the_page(block: str, shell: tuple[Sandbox, dict[str, str]], tmp_path: Path) -> None:
    sandbox, environment = shell
    block = block.replace(
        "export customers.ndjson", "export exported.ndjson"
    )  # the other one is there to be synced
    states = iter(range(9))
    block = re.sub("crm.state", lambda _: f"crm-{next(states)}.state", block)  # one for each source
    if "delete-missing" in block:  # it needs the state file of a sync
        block = f"voucherify-async customers sync none.ndjson --state crm-0.state\n{block}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", block],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert sandbox.requests or "none.ndjson" in block


def test_all_commands_are_on_the_page() -> None:
    from voucherify_async.cli import async_actions, customers

    for section in (customers.app, async_actions.app):
        for name in section:
            if not name.startswith("-"):
                assert f"voucherify-async {section.name[0]} {name}" in PAGE
    for name in ("ping", "demo", "sandbox"):
        assert f"voucherify-async {name}" in PAGE
    assert len(BLOCKS) >= 8

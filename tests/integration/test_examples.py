"""The short programs of `examples/`. The applications there have tests of their own."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.support.command import settings_of
from tests.support.programs import load_example
from voucherify_async import Customer
from voucherify_async.sandbox import Sandbox


@pytest.fixture(autouse=True)
def _service(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings_of(sandbox).items():
        monkeypatch.setenv(name, value)


async def test_stream_customers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    for number in range(1_050):
        sandbox.store.add(None, f"crm-{number}", {"name": "Zoë\n"})
    path = tmp_path / "customers.ndjson"
    await load_example("stream_customers", monkeypatch).main(path)
    found = [msgspec.json.decode(line, type=Customer).id for line in path.read_bytes().splitlines()]
    assert sorted(found) == sorted(sandbox.store.customers)


async def test_sync_customers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "crm.sqlite"
    main = load_example("sync_customers", monkeypatch).main
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE people (id TEXT, name TEXT, tier TEXT)")
        database.executemany("INSERT INTO people VALUES (?, 'Ada', 'gold')", [(f"{n}",) for n in range(30)])
        assert await asyncio.create_task(main(str(path))) == 0
        assert "30 read, 30 sent, 30 succeeded" in capsys.readouterr().out
        assert sandbox.store.get("7").metadata == {"tier": "gold"}
        database.execute("UPDATE people SET name = '' WHERE id = '7'")
        database.execute("INSERT INTO people VALUES ('', 'nobody', NULL)")
        assert await asyncio.create_task(main(str(path))) == 1
    out = capsys.readouterr().out
    assert "invalid_item" in out
    assert "31 read, 1 sent, 1 succeeded, 0 failed, 1 invalid, 29 unchanged" in out

"""Exports to Parquet, read with pyarrow."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import settings_of
from tests.support.interop import missing
from voucherify_async.sandbox import Sandbox

pytestmark = pytest.mark.interop


@pytest.fixture(autouse=True)
def installed() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        missing("pyarrow is not installed; `make interop` installs it")


@pytest.mark.parametrize("piped", [True, False])
def test_an_export_to_parquet(tmp_path: Path, piped: bool) -> None:
    from pyarrow import parquet

    path = tmp_path / "customers.parquet"
    arguments = ["-", "--format", "parquet"] if piped else [str(path)]
    with Sandbox(customers=1_100, seed=7) as sandbox:
        done = subprocess.run(
            [sys.executable, "-m", "voucherify_async", "customers", "export", *arguments],
            capture_output=True,
            check=True,
            env=os.environ | settings_of(sandbox),
        )
        if piped:
            path.write_bytes(done.stdout)
        table = parquet.read_table(path)
        assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
        assert str(table.schema.field("birthdate").type) == "date32[day]"
        rows = {row["id"]: row for row in table.to_pylist()}
        assert rows.keys() == sandbox.store.customers.keys()
        for record in sandbox.store.customers.values():
            row = rows[record.id]
            assert row["source_id"] == record.source_id
            assert row["name"] == record.fields.get("name")
            assert row["created_at"] == record.created
            assert json.loads(row["metadata"] or "{}") == (record.metadata or {})

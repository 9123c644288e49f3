"""The examples on a Dask cluster, whose workers are processes that can be killed."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.interop import missing
from tests.support.loops import until
from tests.support.programs import EXAMPLES
from tests.support.redis import redis_server
from voucherify_async.sandbox import Sandbox

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

MODULES = ("distributed", "pyarrow", "psutil")


@pytest.fixture(autouse=True)
def installed() -> None:
    for name in MODULES:
        if importlib.util.find_spec(name) is None:
            missing(f"{name} is not installed; `make interop` installs it")


@asynccontextmanager
async def running(sandbox: Sandbox, *args: object) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run an example against the sandbox. It is killed if it has not ended by the end of the block."""
    environment = {
        **os.environ,
        "VOUCHERIFY_BASE_URL": sandbox.base_url,
        "VOUCHERIFY_APP_ID": sandbox.app_id,
        "VOUCHERIFY_APP_TOKEN": sandbox.app_token,
        "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, args),
        cwd=EXAMPLES.parent,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(sandbox: Sandbox, *args: object) -> tuple[int | None, str, str]:
    """Run an example to its end, and return its status and what it wrote."""
    async with running(sandbox, *args) as process:
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


def kill_a_worker(process: asyncio.subprocess.Process) -> int:
    """Kill a process that runs tasks: one whose parent, the nanny, has no other child."""
    import psutil

    workers = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]
    os.kill(workers[-1].pid, signal.SIGKILL)
    pid: int = workers[-1].pid
    return pid


def parts_of(folder: Path) -> dict[str, Any]:
    """The finished parts of an export, whose digests are right."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for part in manifest["parts"].values():
        assert hashlib.sha256((folder / part["file"]).read_bytes()).hexdigest() == part["sha256"]
    return manifest["parts"]  # type: ignore[no-any-return]


def exported_ids(folder: Path) -> list[str]:
    return [
        json.loads(line)["id"] for path in files(folder, "ndjson") for line in path.read_text().splitlines()
    ]


def files(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.glob(f"*.{suffix}"))


def ids(sandbox: Sandbox) -> list[str]:
    return sorted(record.id for record in sandbox.store.customers.values())


async def test_export_survives_a_worker_and_continues(tmp_path: Path) -> None:
    export = (EXAMPLES / "distributed_export.py", tmp_path / "out", "--windows", 12, "--workers", 2)
    async with Sandbox(customers=1_500, latency=0.05) as sandbox:
        async with running(sandbox, *export) as process:
            assert process.stdout is not None
            await process.stdout.readline()  # the first part is finished
            kill_a_worker(process)
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        assert out.decode().endswith(f"1500 customers in 12 parts in {tmp_path / 'out'}\n")
        assert sorted(exported_ids(tmp_path / "out")) == ids(sandbox)
        assert len(parts_of(tmp_path / "out")) == 12
        assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".ndjson"}

        sandbox.latency = 0
        (tmp_path / "out" / "part-00003.ndjson").unlink()
        (tmp_path / "out" / "part-00007.ndjson").write_text("damaged")
        before = len(sandbox.requests)
        status, out_text, err_text = await run(sandbox, *export)
        assert (status, out_text.splitlines()[-1]) == (
            0,
            f"1500 customers in 12 parts in {tmp_path / 'out'}",
        ), err_text
        assert sorted(exported_ids(tmp_path / "out")) == ids(sandbox)
        assert 2 <= len(sandbox.requests) - before <= 8  # the pages of two windows

        status, _, err_text = await run(sandbox, *export, "--format", "parquet")
        assert status == 1
        assert "manifest.json is of an export as ndjson: use another folder" in err_text


async def test_export_to_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    async with Sandbox(customers=300) as sandbox:
        status, _, err = await run(
            sandbox,
            EXAMPLES / "distributed_export.py",
            tmp_path,
            "--windows",
            3,
            "--workers",
            1,
            "--format",
            "parquet",
        )
        assert status == 0, err
        rows = [row for path in files(tmp_path, "parquet") for row in pq.read_table(path).to_pylist()]
        assert sorted(row["id"] for row in rows) == ids(sandbox)
        for row in rows:
            customer = json.loads(row["customer"])
            assert (customer["id"], customer["metadata"]) == (row["id"], json.loads(row["metadata"]))
            assert row["created_at"].tzinfo is not None


async def test_processes_of_an_export_share_one_limit(tmp_path: Path) -> None:
    async with Sandbox(customers=300, rate_limit=600) as sandbox:
        with redis_server(tmp_path) as server:
            export = (EXAMPLES / "distributed_export.py", tmp_path / "out", "--windows", 4, "--workers", 2)
            status, _, err = await run(sandbox, *export, "--redis", server.url)
            assert status == 0, err
            permits = server.command("ZCARD", "{voucherify}:api_calls:low")
        assert permits == len(sandbox.requests) > 4
        assert sorted(exported_ids(tmp_path / "out")) == ids(sandbox)


async def test_export_that_the_service_refuses(tmp_path: Path) -> None:
    async with Sandbox(customers=10) as sandbox:
        sandbox.fail_next("customers.list", status=403, times=100)
        status, _, err = await run(
            sandbox, EXAMPLES / "distributed_export.py", tmp_path / "out", "--workers", 1
        )
    assert status == 1
    assert err.endswith("Run the same command again to continue.\n")
    assert not (tmp_path / "out" / "manifest.json").exists()


def write_table(path: Path, source_ids: list[str], tier: Callable[[str], str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "source_id": source_ids,
        "name": [f"Name {one}" for one in source_ids],
        "tier": [*map(tier, source_ids)],
    }
    pq.write_table(pa.table(columns), path, row_group_size=100)


async def split_and_sync(sandbox: Sandbox, folder: Path, *, kill: bool = False) -> str:
    program = EXAMPLES / "distributed_sync.py"
    status, _, err = await run(
        sandbox, program, "split", folder / "crm.parquet", folder / "parts", "--partitions", 8
    )
    assert status == 0, err
    async with running(
        sandbox, program, "sync", folder / "parts", folder / "states", "--workers", 2
    ) as process:
        if kill:
            await until(lambda: len(sandbox.store.customers) > 100)
            kill_a_worker(process)
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


async def test_sync_survives_a_worker_and_sends_only_what_changes(tmp_path: Path) -> None:
    source_ids = [f"crm-{number}" for number in range(2_000)]
    async with Sandbox(job_seconds=0.3) as sandbox:
        write_table(tmp_path / "crm.parquet", source_ids, lambda _: "gold")
        await split_and_sync(sandbox, tmp_path, kill=True)
        found = {record.source_id: record for record in sandbox.store.customers.values()}
        assert found.keys() == set(source_ids)
        assert all(record.metadata == {"tier": "gold"} for record in found.values())

        write_table(
            tmp_path / "crm.parquet", source_ids[5:], lambda one: "silver" if one == "crm-7" else "gold"
        )
        out = await split_and_sync(sandbox, tmp_path)
        assert out == (
            "1995 read, 1 sent, 1 succeeded, 1994 unchanged, 0 failed, 0 invalid, 0 duplicates, 5 missing\n"
        )
        assert (tmp_path / "states" / "missing.txt").read_text().split() == source_ids[:5]


async def test_sync_of_partitions_that_do_not_fit(tmp_path: Path) -> None:
    program, parts = EXAMPLES / "distributed_sync.py", tmp_path / "parts"
    async with Sandbox() as sandbox:
        write_table(tmp_path / "crm.parquet", [f"crm-{number}" for number in range(50)], lambda _: "gold")
        await run(sandbox, program, "split", tmp_path / "crm.parquet", parts, "--partitions", 2)
        first, second = sorted(parts.iterdir())
        content = first.read_bytes()
        first.unlink()
        status, _, err = await run(sandbox, program, "sync", parts, tmp_path / "states", "--workers", 1)
        assert (status, err) == (1, f"{parts} does not have all partitions of one split\n")

        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
        status, _, err = await run(sandbox, program, "sync", parts, tmp_path / "states", "--workers", 1)
        assert status == 1
        assert "belongs to another partition: run split again" in err
        assert sandbox.store.customers == {}

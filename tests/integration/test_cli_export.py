"""`voucherify-async customers export`: its files, how it continues, and what it refuses to continue."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import json
import os
import random
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.command import Run, runner, serve, settings_of
from voucherify_async import Customer
from voucherify_async.cli import _export
from voucherify_async.cli._formats import FileFormat
from voucherify_async.cli._writing import check_format
from voucherify_async.sandbox import Sandbox

BURST_AT = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
"""In the middle of what the sandbox is seeded with."""
BURST = 250
"""More than two pages that share one `created_at`."""
LATENCY = 0.005
BYTES_EACH = 1_000
"""Fewer than a customer takes on a line, so that a goal in bytes is reached before the end."""
POLL = 0.001


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    with serve(monkeypatch, tmp_path, customers=1_250) as sandbox:
        yield sandbox


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(capfdbinary, monkeypatch)


def read(content: bytes) -> list[Customer]:
    assert content == b"" or content.endswith(b"\n")
    return [msgspec.json.decode(line, type=Customer) for line in content.splitlines()]


def ids_of(path: Path) -> list[str]:
    return [customer.id for customer in read(path.read_bytes())]


@pytest.mark.parametrize("concurrency", [1, 4, 16])
def test_it_exports_each_customer_once(service: Sandbox, run: Run, tmp_path: Path, concurrency: int) -> None:
    result = run("customers", "export", "all.ndjson", "--concurrency", str(concurrency))
    assert result == (0, "1,250 customers in all.ndjson.\n", "")
    found = ids_of(tmp_path / "all.ndjson")
    assert sorted(found) == sorted(service.store.customers)
    assert [file.name for file in tmp_path.iterdir()] == ["all.ndjson"]
    if concurrency == 1:
        created = [service.store.customers[customer_id].created for customer_id in found]
        assert created == sorted(created, reverse=True)


def test_it_exports_to_a_pipe(service: Sandbox, run: Run, tmp_path: Path) -> None:
    code, out, err = run("customers", "export", "-")
    assert (code, err) == (0, "")
    assert sorted(customer.id for customer in read(out.encode())) == sorted(service.store.customers)
    assert list(tmp_path.iterdir()) == []


def test_it_exports_what_the_filters_say(service: Sandbox, run: Run) -> None:
    code, out, _ = run("customers", "export", "-", "--city", "London")
    assert code == 0
    cities = [customer.address.city for customer in read(out.encode()) if customer.address]
    assert set(cities) == {"London"}
    assert 0 < len(cities) < 1_250


def test_it_exports_nothing(service: Sandbox, run: Run, tmp_path: Path) -> None:
    result = run("customers", "export", "none.ndjson", "--city", "Nowhere", "--json")
    assert result == (0, '{"file":"none.ndjson","customers":0}\n', "")
    assert [file.name for file in tmp_path.iterdir()] == ["none.ndjson"]
    assert (tmp_path / "none.ndjson").read_bytes() == b""


def test_a_csv_file_is_accepted_by_sync(service: Sandbox, run: Run, tmp_path: Path) -> None:
    assert run("customers", "export", "all.csv").code == 0
    before = {record.id: (record.fields, record.metadata) for record in service.store.customers.values()}
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["Id"] for row in rows) == sorted(service.store.customers)
    names = {row["Id"]: row["Name"] for row in rows}
    assert all(
        names[customer_id] == (fields.get("name") or "") for customer_id, (fields, _) in before.items()
    )

    assert run("customers", "sync", "all.csv").code == 0
    assert len(service.store.customers) == 1_250  # also those without a source_id


def test_an_export_is_accepted_by_sync(service: Sandbox, run: Run) -> None:
    exported = run("customers", "export", "-").out
    without_id = sum(customer.source_id is None for customer in read(exported.encode()))
    assert without_id
    with Sandbox() as copy:
        settings = Path("copy.env")
        settings.write_text("\n".join(f"{name}={value}" for name, value in settings_of(copy).items()))
        code, out, _ = run("customers", "sync", "-", "--env-file", settings, stdin=exported.encode())
        assert code == 1  # who has no source_id cannot be synced, and is listed
        assert f"{without_id} invalid" in out
        for customer in read(exported.encode())[:50]:
            if customer.source_id is not None:
                assert copy.store.get(customer.source_id).fields.get("name") == customer.name


def test_columns_of_ones_own(service: Sandbox, run: Run) -> None:
    options = ["--columns", "id", "--columns", "address.city", "--columns", "metadata.tier"]
    options += ["--columns", "summary.orders.total_count"]
    code, out, _ = run("customers", "export", "-", "--format", "csv", *options)
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert list(rows[0]) == ["id", "address.city", "metadata.tier", "summary.orders.total_count"]
    assert {row["metadata.tier"] for row in rows} >= {"gold", "silver"}
    assert {row["id"] for row in rows} == service.store.customers.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.txt"], "a.txt does not end in .ndjson"),
        (["a.ndjson", "--columns", "id"], "--columns is for CSV, not for ndjson"),
        (
            ["a.csv", "--columns", "Source_id"],
            "customers have no property Source_id. They have id, source_id, name",
        ),
        (["a.csv", "--columns", "address.town"], "customers have no property address.town"),
        (["nowhere/a.ndjson"], "nowhere"),
        (["."], "pass --format"),
    ],
)
def test_mistakes(service: Sandbox, run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, out, err = run("customers", "export", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []
    assert not service.requests


def test_parquet_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    check_format(FileFormat.CSV)
    with pytest.raises(Exception, match="Parquet needs pyarrow: pip install pyarrow") as failed:
        check_format(FileFormat.PARQUET)
    assert type(failed.value).__name__ == "CommandError"


def test_it_does_not_replace_a_file(service: Sandbox, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "all.ndjson"
    path.write_text("mine\n")
    code, _, err = run("customers", "export", path)
    assert (code, err) == (2, f"voucherify-async: {path} exists: --overwrite replaces it\n")
    assert path.read_text() == "mine\n"
    assert run("customers", "export", path, "--overwrite").code == 0
    assert len(ids_of(path)) == 1_250


def test_rejected_keys_leave_nothing(
    service: Sandbox, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "outdated")
    assert run("customers", "export", "all.ndjson").code == 3
    assert list(tmp_path.iterdir()) == []


def stop_after(pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next export fail after so many pages."""
    write = _export.PartialExport.write

    async def write_or_stop(partial: Any, lines: bytes) -> None:
        nonlocal pages
        if pages == 0:
            monkeypatch.setattr(_export.PartialExport, "write", write)
            raise OSError(28, "No space left on device")
        pages -= 1
        await write(partial, lines)

    monkeypatch.setattr(_export.PartialExport, "write", write_or_stop)


@pytest.mark.parametrize("into", ["ndjson", "csv"])
@pytest.mark.parametrize("concurrency", ["1", "4"])
def test_it_cuts_a_torn_page_off_and_goes_on(
    service: Sandbox,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    concurrency: str,
    into: str,
) -> None:
    path, part = tmp_path / f"all.{into}", tmp_path / f"all.{into}.part"
    stop_after(5, monkeypatch)
    code, out, err = run("customers", "export", path, "--concurrency", concurrency)
    assert (code, out) == (1, "")
    assert err.endswith("No space left on device\nRun the same command to continue.\n")
    state = json.loads((tmp_path / f"all.{into}.part.json").read_bytes())
    assert part.stat().st_size == state["length"]
    assert not path.exists()
    with part.open("ab") as file:
        file.write(b'{"id":"cust_torn')
    (tmp_path / f"all.{into}.part.json.new").write_text('{"sou')
    before = len(service.requests)

    code, out, err = run("customers", "export", path, "--concurrency", concurrency)
    assert (code, out) == (0, f"1,250 customers in {path}.\n")
    assert err == f"Continuing after {state['customers']:,} customers.\n"
    assert state["customers"] > 0
    assert len(service.requests) - before < 1_250 / 100 + 20
    if into == "ndjson":
        assert sorted(ids_of(path)) == sorted(service.store.customers)
    else:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        assert sorted(row["Id"] for row in rows) == sorted(service.store.customers)
    assert {file.name for file in tmp_path.iterdir()} == {path.name}


def test_it_restarts(service: Sandbox, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(5, monkeypatch)
    code, _, err = run("customers", "export", "all.ndjson", "--restart")
    assert code == 1
    assert err.endswith("Run the command without --restart to continue.\n")
    code, _, err = run("customers", "export", "all.ndjson", "--restart")
    assert (code, err) == (0, "")
    assert sorted(ids_of(tmp_path / "all.ndjson")) == sorted(service.store.customers)


def of_another_project(tmp_path: Path) -> None:
    state = tmp_path / "all.ndjson.part.json"
    state.write_bytes(re.sub(rb'"source":"\w+"', b'"source":"another"', state.read_bytes()))


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (of_another_project, [], "was started for another project, or with other filters"),
        (lambda _: None, ["--city", "London"], "was started for another project, or with other filters"),
        (lambda tmp_path: (tmp_path / "all.ndjson.part").write_text("{}"), [], "is shorter than recorded"),
        (lambda tmp_path: (tmp_path / "all.ndjson.part.json").write_text("{"), [], "is damaged"),
        (lambda tmp_path: (tmp_path / "all.ndjson.part.json").unlink(), [], "has no state file"),
    ],
    ids=["another project", "other filters", "shorter", "damaged state", "no state"],
)
def test_it_refuses_to_continue_something_else(
    damage: Callable[[Path], object],
    options: list[str],
    message: str,
    service: Sandbox,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop_after(5, monkeypatch)
    assert run("customers", "export", "all.ndjson").code == 1
    damage(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, _, err = run("customers", "export", "all.ndjson", *options)
    assert code == 2
    assert message in err
    assert before.items() <= {path: path.read_bytes() for path in tmp_path.iterdir()}.items()

    assert run("customers", "export", "all.ndjson", *options, "--restart").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["all.ndjson"]


def test_without_the_data_it_starts_again(
    service: Sandbox, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(5, monkeypatch)
    assert run("customers", "export", "all.ndjson").code == 1
    (tmp_path / "all.ndjson.part").unlink()
    assert run("customers", "export", "all.ndjson") == (0, "1,250 customers in all.ndjson.\n", "")
    assert sorted(ids_of(tmp_path / "all.ndjson")) == sorted(service.store.customers)


def test_one_process_at_a_time(service: Sandbox, run: Run, tmp_path: Path) -> None:
    with _export.PartialExport(tmp_path / "all.ndjson", "source"):
        code, _, err = run("customers", "export", "all.ndjson")
        assert code == 4
        assert "another process writes to" in err


def test_without_locks(service: Sandbox, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_export, "fcntl", None)
    assert run("customers", "export", "all.ndjson").code == 0


def test_a_failed_conversion_keeps_the_data(
    service: Sandbox, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_export, "write_csv", fail)
        assert run("customers", "export", "all.csv").code == 1
    assert {path.name for path in tmp_path.iterdir()} == {"all.csv.part", "all.csv.part.json"}
    before = len(service.requests)
    assert run("customers", "export", "all.csv").code == 0
    assert len(service.requests) - before == 1  # the total; nothing is read again


@asynccontextmanager
async def crowd(customers: int) -> AsyncGenerator[Sandbox]:
    """A sandbox with a burst in the middle of its customers."""
    async with Sandbox(customers, seed=5, latency=LATENCY) as sandbox:
        for number in range(BURST):
            sandbox.store.add(None, f"burst-{number}", {"name": "Zoë\n"}, created=BURST_AT)
        yield sandbox


SAVE_AFTER_EACH_PAGE = """
import sys
from voucherify_async.cli import _export, main
_export._SAVE_SECONDS = 0.0
sys.exit(main(sys.argv[1:]))
"""


class Export:
    """The command in processes of its own, started again and again on one file."""

    def __init__(self, sandbox: Sandbox, path: Path, concurrency: int) -> None:
        self.sandbox = sandbox
        self.path = path
        self.part_path = path.with_name(f"{path.name}.part")
        self.state_path = path.with_name(f"{path.name}.part.json")
        self._arguments = ("customers", "export", str(path), "--concurrency", str(concurrency))

    async def start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", SAVE_AFTER_EACH_PAGE, *self._arguments,
            stdout=PIPE, stderr=PIPE, env={**os.environ, **settings_of(self.sandbox)},
        )  # fmt: skip

    async def stop(self, number: signal.Signals, moment: Callable[[], bool]) -> tuple[int, str, str]:
        """Start it, and send it the signal at the moment; its exit code and what it printed."""
        process = await self.start()
        try:
            while process.returncode is None and not moment():  # noqa: ASYNC110  # it is another process
                await asyncio.sleep(POLL)
            if process.returncode is None:
                process.send_signal(number)
            return await ended(process)
        finally:
            if process.returncode is None:
                process.kill()

    async def finish(self) -> tuple[int, str, str]:
        return await self.stop(signal.SIGKILL, lambda: False)

    @property
    def length(self) -> int:
        return self.part_path.stat().st_size if self.part_path.exists() else 0

    @property
    def state(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.state_path.read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def assert_complete(self) -> None:
        """Each customer once, and no other file."""
        exported = Counter(ids_of(self.path))
        assert not [customer for customer, times in exported.items() if times > 1]
        assert exported.keys() == self.sandbox.store.customers.keys()
        assert list(self.path.parent.iterdir()) == [self.path]


async def ended(process: Process) -> tuple[int, str, str]:
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def kill_again_and_again(export: Export, rounds: int, chance: random.Random) -> None:
    """Kill it `rounds` times, each time somewhat farther, then let it finish."""
    step = BYTES_EACH * len(export.sandbox.store.customers) // (rounds + 1)
    for number in range(rounds):
        # Seen at the data: what is written may not be recorded yet. Seen at the state: it is.
        watch_data, goal = chance.random() < 0.7, number * step + chance.randrange(1, step)

        def far_enough(watch_data: bool = watch_data, goal: int = goal) -> bool:
            return (export.length if watch_data else export.state.get("length", 0)) >= goal

        code, out, err = await export.stop(signal.SIGKILL, far_enough)
        assert code == -signal.SIGKILL, (out, err)
    code, out, err = await export.finish()
    assert code == 0, err
    assert f"{len(export.sandbox.store.customers):,} customers in" in out
    export.assert_complete()


async def test_killed_and_started_again(tmp_path: Path) -> None:
    async with crowd(1_250) as sandbox:
        export = Export(sandbox, tmp_path / "customers.ndjson", 3)
        await kill_again_and_again(export, 3, random.Random(2_026))
        # Not by starting from the beginning each time.
        assert len(sandbox.requests) < 1_500 / 100 * 2.5 + 60


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(int(3 * float(os.environ.get("SOAK_SCALE", "1"))) or 1))
async def test_killed_twenty_times(tmp_path: Path, seed: int) -> None:
    async with crowd(4_750) as sandbox:
        export = Export(sandbox, tmp_path / "customers.ndjson", 1 + 3 * (seed % 2))
        await kill_again_and_again(export, 20, random.Random(seed))


@pytest.mark.usefixtures("children_can_be_interrupted")
@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")]
)
async def test_interrupted_and_started_again(
    tmp_path: Path, number: signal.Signals, code: int, said: str
) -> None:
    async with crowd(550) as sandbox:
        export = Export(sandbox, tmp_path / "customers.ndjson", 1)
        found, _, err = await export.stop(number, lambda: export.state.get("customers", 0) >= 200)
        assert found == code, err
        assert err.splitlines()[-2:] == [f"{said}" if code == 130 else f"voucherify-async: {said}",
                                         "Run the same command to continue."]  # fmt: skip
        assert "Traceback" not in err
        done = export.state["customers"]
        assert 200 <= done < 800
        assert len(ids_of(export.part_path)) == done

        found, _, err = await export.finish()
        assert found == 0, err
        assert f"Continuing after {done:,} customers." in err
        export.assert_complete()


KILLED_BEFORE_LINES = """
import json, os, signal, sys
from pathlib import Path
import voucherify_async.client, voucherify_async.resources.customers  # once, before the forks
from voucherify_async.cli import _app, _export, main
_export._SAVE_SECONDS = 0.0
directory, which = Path(sys.argv[1]), sys.argv[2]

def on_disk(path):
    return {file.name: file.read_bytes() for file in directory.glob(path.name + "*")}

def fork(path, die_at=None, report=None):
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    line, seen, moments = 0, None, []
    def trace(frame, event, argument):
        nonlocal line, seen
        if frame.f_code.co_filename != _export.__file__:
            return None
        if event == "line":
            line += 1
            if line == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if report is not None and (which == "all" or seen != on_disk(path)):
                moments.append(line)
                seen = on_disk(path)
        return trace
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    if die_at is not None or report is not None:
        sys.settrace(trace)
    status = main(["customers", "export", str(path), "--concurrency", "1"])
    if report is not None:
        os.write(report, json.dumps(moments).encode())
    os._exit(status)

reader, writer = os.pipe()
whole = directory / "whole.ndjson"
assert fork(whole, report=writer) == 0
wanted = whole.read_bytes()
moments = json.loads(os.read(reader, 65536))
for die_at in moments:
    path = directory / f"{die_at}.ndjson"
    assert fork(path, die_at) == -signal.SIGKILL, die_at
    again = fork(path)
    # Killed after the end, there is nothing to do any more, and it says so.
    assert again == 0 or (again == 2 and die_at >= moments[-2]) or which == "all", (die_at, again)
    assert path.read_bytes() == wanted, die_at
    path.unlink()
print(len(moments))
"""


@pytest.mark.parametrize(
    "which", ["changes", pytest.param("all", marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
async def test_killed_at_any_line_of_the_program(which: str, tmp_path: Path) -> None:
    """Not only at the moments that a look at the file hits.

    It is killed before each line that it runs, or before the first one after each change of what is on disk:
    for the next process, the others are the same. The sandbox is another process, because a fork of this one would
    have its event loop.
    """
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voucherify_async.sandbox", "--port", "0", "--customers", "210",
        stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        settings: dict[str, str] = {}
        while len(settings) < 3:
            name, found, value = (await server.stdout.readline()).decode().strip().partition("=")
            if found:
                settings[name.removeprefix("export ")] = value
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", KILLED_BEFORE_LINES, tmp_path, which,
            stdout=PIPE, stderr=PIPE, env={**os.environ, **settings},
        )  # fmt: skip
        status, out, err = await ended(process)
    finally:
        server.terminate()
        await server.communicate()
    assert status == 0, err
    assert int(out) >= 4 * 3  # three pages: lines written, state opened, written and put in its place

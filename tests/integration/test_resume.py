"""A walk that is killed at any moment and resumed in a new process delivers each customer exactly once.

The walk is that of examples/stream_customers.py, in processes of its own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from voucherify_async import Customer
from voucherify_async.sandbox import Sandbox

EXAMPLE = Path(__file__).parents[2] / "examples" / "stream_customers.py"
BURST_AT = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
"""In the middle of what the sandbox is seeded with."""
BURST = 250
"""More than two pages that share one `created_at`."""
LATENCY = 0.005
BYTES_EACH = 1_000
"""Fewer than a customer takes on a line, so that a goal in bytes is reached before the end."""
POLL = 0.001

pytestmark = pytest.mark.usefixtures("children_can_be_interrupted")


@asynccontextmanager
async def crowd(customers: int) -> AsyncGenerator[Sandbox]:
    """A sandbox with a burst in the middle of its customers."""
    async with Sandbox(customers, seed=5, latency=LATENCY) as sandbox:
        for number in range(BURST):
            sandbox.store.add(None, f"burst-{number}", {"name": "Zoë\n"}, created=BURST_AT)
        yield sandbox


class Walk:
    """The program, started again and again on one file."""

    def __init__(self, sandbox: Sandbox, path: Path) -> None:
        self.sandbox = sandbox
        self.path = path
        self.state_path = path.with_name(f"{path.name}.state")

    async def start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", EXAMPLE, self.path, stdout=PIPE, stderr=PIPE,
            env={
                **os.environ,
                "VOUCHERIFY_BASE_URL": self.sandbox.base_url,
                "VOUCHERIFY_APP_ID": self.sandbox.app_id,
                "VOUCHERIFY_APP_TOKEN": self.sandbox.app_token,
            },
        )  # fmt: skip

    async def stop(self, number: signal.Signals, moment: Callable[[], bool]) -> tuple[int, str, str]:
        """Start it, and send it the signal at the moment; its exit status and what it said."""
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
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def state(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.state_path.read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def assert_complete(self) -> None:
        """Each customer once, and nothing beside."""
        delivered = Counter(read_ids(self.path))
        assert not [customer for customer, times in delivered.items() if times > 1]
        assert delivered.keys() == self.sandbox.store.customers.keys()
        assert list(self.path.parent.iterdir()) == [self.path]


async def ended(process: Process) -> tuple[int, str, str]:
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def read_ids(path: Path) -> list[str]:
    """The ids in a file of whole lines, each a whole customer."""
    content = path.read_bytes()
    assert content == b"" or content.endswith(b"\n")
    return [msgspec.json.decode(line, type=Customer).id for line in content.splitlines()]


async def kill_again_and_again(walk: Walk, rounds: int, chance: random.Random) -> None:
    """Kill it `rounds` times, each time somewhat farther, then let it finish."""
    step = BYTES_EACH * len(walk.sandbox.store.customers) // (rounds + 1)
    for number in range(rounds):
        # Seen at the file: what is written may not be recorded yet. Seen at the state: it is.
        watch_file, goal = chance.random() < 0.7, number * step + chance.randrange(1, step)

        def far_enough(watch_file: bool = watch_file, goal: int = goal) -> bool:
            return (walk.length if watch_file else walk.state.get("length", 0)) >= goal

        status, out, err = await walk.stop(signal.SIGKILL, far_enough)
        assert status == -signal.SIGKILL, (out, err)
    status, out, err = await walk.finish()
    assert status == 0, err
    assert f"{len(walk.sandbox.store.customers):,} customers in" in out
    walk.assert_complete()


async def test_killed_and_started_again(tmp_path: Path) -> None:
    async with crowd(1_250) as sandbox:
        walk = Walk(sandbox, tmp_path / "customers.ndjson")
        await kill_again_and_again(walk, 3, random.Random(2_026))
        # Not by starting from the beginning each time.
        assert len(sandbox.requests) < 1_500 / 100 * 2.5


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(int(3 * float(os.environ.get("SOAK_SCALE", "1"))) or 1))
async def test_killed_twenty_times(tmp_path: Path, seed: int) -> None:
    async with crowd(4_750) as sandbox:
        walk = Walk(sandbox, tmp_path / "customers.ndjson")
        await kill_again_and_again(walk, 20, random.Random(seed))


async def test_interrupted_and_started_again(tmp_path: Path) -> None:
    async with crowd(550) as sandbox:
        walk = Walk(sandbox, tmp_path / "customers.ndjson")
        status, _, err = await walk.stop(signal.SIGINT, lambda: walk.state.get("customers", 0) >= 200)
        assert status == 130, err
        assert "Interrupted. Run the same command to continue." in err
        assert "Traceback" not in err
        done = walk.state["customers"]
        assert 200 <= done < 800
        assert len(read_ids(walk.path)) == done

        status, out, err = await walk.finish()
        assert status == 0, err
        assert f"Continuing after {done:,} customers." in out
        walk.assert_complete()


KILLED_BEFORE_LINES = """
import gc, json, os, signal, sys
from pathlib import Path
examples, directory, which = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
sys.path.insert(0, examples)
import stream_customers

def on_disk(path):
    return {file.name: file.read_bytes() for file in directory.glob(path.name + "*")}

def walk(path):
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    sys.argv = ["stream_customers", str(path)]
    return stream_customers.main()

def fork(path, die_at=None, report=None):
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    line, seen, moments = 0, None, []
    def trace(frame, event, argument):
        nonlocal line, seen
        if frame.f_code.co_filename != stream_customers.__file__:
            return None
        if event == "line":
            line += 1
            if line == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if report is not None and (which == "all" or seen != on_disk(path)):
                moments.append(line)
                seen = on_disk(path)
        return trace
    if die_at is not None or report is not None:
        sys.settrace(trace)
    status = walk(path)
    if report is not None:
        os.write(report, json.dumps(moments).encode())
    os._exit(status)

said = [os.dup(stream) for stream in (1, 2)]
assert walk(directory / "first.ndjson") == 0  # what is imported and made once
for stream, copy in enumerate(said, start=1):
    os.dup2(copy, stream)
(directory / "first.ndjson").unlink()
gc.freeze()
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
    assert again == 0 or (again == 1 and die_at == moments[-1]) or which == "all", (die_at, again)
    assert on_disk(path) == {path.name: wanted}, die_at
    path.unlink()
print(len(moments))
"""


@pytest.mark.parametrize(
    "which", ["changes", pytest.param("all", marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
async def test_killed_at_any_line_of_the_program(which: str, tmp_path: Path) -> None:
    """Not only at the moments that a look at the file hits.

    It is killed before each line that it runs, or before the first one after each change of what is on disk:
    for who goes on, the others are the same. The sandbox is another process, because a fork of this one would
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
            sys.executable, "-W", "error", "-c", KILLED_BEFORE_LINES, EXAMPLE.parent, tmp_path, which,
            stdout=PIPE, stderr=PIPE, env={**os.environ, **settings},
        )  # fmt: skip
        status, out, err = await ended(process)
    finally:
        server.terminate()
        await server.communicate()
    assert status == 0, err
    assert int(out) >= 4 * 3  # three pages: lines written, state opened, written and put in its place

"""`python -m voucherify_async.sandbox`: what its options do, and what it says to bad ones."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from voucherify_async.sandbox import Exchange, Sandbox
from voucherify_async.sandbox import __main__ as command
from voucherify_async.sandbox._http.faults import Faults

PROGRAM = "python -m voucherify_async.sandbox"


async def serve(*argv: str) -> None:
    await command.serve(command.make_sandbox(argv), verbose="--verbose" in argv)


@asynccontextmanager
async def serving(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str
) -> AsyncGenerator[tuple[Sandbox, str], None]:
    """The sandbox that the command serves, and what it prints."""
    made: list[Sandbox] = []

    def make(*args: Any, **settings: Any) -> Sandbox:
        made.append(Sandbox(*args, **settings))
        return made[0]

    monkeypatch.setattr(command, "Sandbox", make)
    running = asyncio.create_task(serve("--port", "0", *argv))
    while not (out := capsys.readouterr().out):  # noqa: ASYNC110  # another's print, which sets no event
        await asyncio.sleep(0.005)
    yield made[0], out
    signal.raise_signal(signal.SIGTERM)
    await running


@pytest.mark.parametrize(
    ("argv", "latency", "faults"),
    [
        ((), 0.0, Faults()),
        (("--latency", "0.05"), 0.05, Faults()),
        (("--latency", "0.05-0.2"), (0.05, 0.2), Faults()),
        (("--latency", "5e-2-2e-1"), (0.05, 0.2), Faults()),
        (("--latency", "1e-3"), 0.001, Faults()),
        (("--fault", "reset=0.01"), 0.0, Faults(reset=0.01)),
        (
            ("--fault", "503=0.01", "--fault", "stale-keepalive=0.2", "--fault", "429=0.5"),
            0.0,
            Faults(status={429: 0.5, 503: 0.01}, stale_keepalive=0.2),
        ),
        (("--fault=stall=.1", "--fault=truncate=0.25"), 0.0, Faults(stall=0.1, truncate=0.25)),
    ],
    ids=str,
)
async def test_options(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: tuple[str, ...],
    latency: Any,
    faults: Faults,
) -> None:
    async with serving(monkeypatch, capsys, *argv) as (sandbox, _):
        assert (sandbox.latency, sandbox.faults) == (latency, faults)


async def test_it_fails_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(monkeypatch, capsys, "--fault", "503=1") as (_, out):
        found = re.search(r"BASE_URL=(\S+)", out)
        assert found is not None
        async with aiohttp.ClientSession(found[1]) as http, http.get("/v1/customers") as answer:
            assert answer.status == 503


async def test_the_banner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(monkeypatch, capsys, "--customers", "3") as (sandbox, out):
        assert out.splitlines() == [
            "Voucherify sandbox with 3 customers. Point a client at it with",
            f"  export VOUCHERIFY_BASE_URL={sandbox.base_url}",
            "  export VOUCHERIFY_APP_ID=sandbox-app-id",
            "  export VOUCHERIFY_APP_TOKEN=sandbox-app-token",
            f"Status page: {sandbox.base_url}/",
            "Stop it with Ctrl-C.",
        ]
        async with sandbox.client() as voucherify:
            await voucherify.customers.list().to_list()
        assert capsys.readouterr() == ("", "")


async def test_the_access_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(monkeypatch, capsys, "--verbose") as (sandbox, _):
        sandbox.store.clock = lambda: 1_767_225_600.25
        sandbox.fail_next("customers.list", status=409)
        keys = {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token}
        async with aiohttp.ClientSession(sandbox.base_url, headers=keys) as http:
            paths = ("/v1/customers?email=ada@example.com", "/v1/customers/a%20b?x=y")
            for path in (*paths, "/-/status"):
                async with http.get(URL(path, encoded=True)):
                    pass
        lines = capsys.readouterr().out.splitlines()
    expected = (r"409 [\d.]+ ms fault=status", r"404 [\d.]+ ms")
    for line, path, rest in zip(lines, paths, expected, strict=True):
        assert re.fullmatch(rf"2026-01-01T00:00:00\.250Z GET {re.escape(path)} {rest}", line), line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    command.make_sandbox(["--customers", "5500"])
    *shown, erased, rest = terminal.getvalue().split("\r")[1:]
    assert shown[0] == "Generating customers: 0 of 5,500 (0 %)"
    assert shown[3] == "Generating customers: 3,000 of 5,500 (54 %)"
    assert shown[-1] == "Generating customers: 5,500 of 5,500 (100 %)"
    assert len(shown) == 7
    assert (erased, rest) == (" " * len(shown[-1]), "")


@pytest.mark.parametrize(("count", "told"), [(4999, ""), (5000, "Generating 5,000 customers\n")])
def test_progress_in_a_pipe(capsys: pytest.CaptureFixture[str], count: int, told: str) -> None:
    command.make_sandbox(["--customers", str(count)])
    assert capsys.readouterr() == ("", told)


@pytest.fixture
def closed_pipe() -> Iterator[Any]:
    reading, writing = os.pipe()
    os.close(reading)
    file = os.fdopen(writing, "w")
    yield file
    with suppress(BrokenPipeError):
        file.close()


def test_progress_that_nobody_reads(monkeypatch: pytest.MonkeyPatch, closed_pipe: Any) -> None:
    monkeypatch.setattr(sys, "stderr", closed_pipe)
    assert len(command.make_sandbox(["--customers", "5000"]).store.customers) == 5000
    monkeypatch.undo()
    os.dup2(os.open(os.devnull, os.O_WRONLY), closed_pipe.fileno())


class Output(io.StringIO):
    """Remembers what each call has written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return super().write(text)


async def test_the_banner_is_written_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an unbuffered output, who has read "Ctrl-C." may close it: a newline that follows would end the command."""
    output = Output()
    async with serving(monkeypatch, capsys) as (_, told):
        monkeypatch.setattr(sys, "stdout", output)
        command.AccessLog(asyncio.Event()).write(Exchange("GET", "/v1/customers", {}, b"", 200, {}, b""))
    assert told.endswith("Stop it with Ctrl-C.\n")
    (line,) = output.written
    assert line.endswith(" ms\n")


def test_output_that_nobody_reads_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, closed_pipe: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", closed_pipe)
    with pytest.raises(SystemExit) as caught:
        command.main(["--port", "0", "--state", str(tmp_path / "state")])
    assert caught.value.code == 1
    assert capsys.readouterr().err == f"{PROGRAM}: stopped, as the standard output was closed\n"
    closed_pipe.write("more")
    closed_pipe.flush()  # goes nowhere


def test_a_log_that_nobody_reads_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    statuses: list[int] = []

    async def send(base_url: str) -> None:
        async with aiohttp.ClientSession(base_url) as http, http.get("/v1/customers") as answer:
            statuses.append(answer.status)

    def read_the_banner() -> None:
        with os.fdopen(reading) as banner:
            lines = [banner.readline() for _ in range(6)]
        asyncio.run(send(lines[1].partition("=")[2].strip()))

    reader = threading.Thread(target=read_the_banner)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        reader.start()
        with pytest.raises(SystemExit) as caught:
            command.main(["--port", "0", "--verbose"])
    reader.join()
    assert caught.value.code == 1
    assert statuses == [401]  # the client gets its response all the same


def test_what_comes_after_the_output_was_closed_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, closed_pipe: Any
) -> None:
    stop = asyncio.Event()
    log = command.AccessLog(stop)
    exchange = Exchange("GET", "/v1/customers", {}, b"", 200, {}, b"")
    monkeypatch.setattr(sys, "stdout", closed_pipe)
    log.write(exchange)
    assert log.closed
    assert stop.is_set()
    log.write(exchange)
    monkeypatch.undo()
    os.dup2(os.open(os.devnull, os.O_WRONLY), closed_pipe.fileno())


async def test_where_it_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(monkeypatch, capsys):
        assert caplog.records == []
    async with serving(monkeypatch, capsys, "--host", "0.0.0.0") as (_, out):
        assert "anyone" not in out  # once is enough: the log is printed, to standard error
        assert "BASE_URL=http://127.0.0.1:" in out
    (record,) = caplog.records
    assert record.getMessage().startswith("listening on 0.0.0.0: anyone who can reach this machine can read")


BAD: list[Any] = [
    (["--rate-limit", "0"], "limit must be a whole number of calls, at least 1, not 0"),
    (["--rate-limit", "many"], "argument --rate-limit: invalid int value: 'many'"),
    (["--port", "99999"], "port must be from 0 to 65535, not 99999"),
    (["--port", "-1"], "port must be from 0 to 65535, not -1"),
    (["--host", ""], "host must not be empty; use 0.0.0.0 to listen on every address"),
    (
        ["--allow-host", "*"],
        "allow_hosts must be host names without scheme and port, such as sandbox or sandbox.example.com, not '*'",
    ),
    (
        ["--segment", "seg_vip"],
        (
            "argument --segment: the rules of a segment must follow its id and a colon, as in seg_vip:city=London, not"
            " 'seg_vip'; without rules it contains everyone, as in seg_all:"
        ),
    ),
    (["--customers", "-1"], "customers must not be negative, not -1"),
    (["--job-seconds", "-1"], "job_seconds must not be negative, not -1.0"),
    (["--latency", "-1"], "latency must not be negative, not -1.0"),
    (["--latency", "nan"], "latency must be seconds or a range (low, high), not nan"),
    (["--latency", "0.2-0.1"], "latency must be a range (low, high) with low <= high, not (0.2, 0.1)"),
    (["--latency", "soon"], "argument --latency: give seconds or a range such as 0.05-0.2, not 'soon'"),
    (["--latency", "1-2-3"], "argument --latency: give seconds or a range such as 0.05-0.2, not '1-2-3'"),
    (["--latency", "1.1.1"], "argument --latency: give seconds or a range such as 0.05-0.2, not '1.1.1'"),
    (
        ["--fault", "fire=0.1"],
        (
            "argument --fault: unknown fault 'fire':"
            " use reset, stale-keepalive, stall, truncate or an HTTP status such as 503"
        ),
    ),
    (["--fault", "reset"], "argument --fault: give a probability, as in reset=0.01, not 'reset'"),
    (["--fault", "reset=often"], "argument --fault: give a probability, as in reset=0.01, not 'reset=often'"),
    (["--fault", "reset=2"], "reset must be a probability from 0 to 1, not 2.0"),
    (["--fault", "200=0.1"], "status must map HTTP statuses from 400 to 599, not 200"),
    (["--fault", "503=-1"], "status[503] must be a probability from 0 to 1, not -1.0"),
    (
        ["--fault", "reset=0.6", "--fault", "503=0.6"],
        "reset, truncate, status, stall and stale_keepalive must add up to at most 1, not 1.2",
    ),
]


@pytest.mark.parametrize(("argv", "message"), BAD, ids=str)
async def test_bad_options(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        await serve(*argv)
    told = capsys.readouterr()
    assert (caught.value.code, told.out) == (2, "")
    assert told.err == f"usage: {PROGRAM} [--help] [options]\n{PROGRAM}: error: {message}\n"


async def test_a_port_that_is_taken(sandbox: Sandbox) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voucherify_async.sandbox", "--port", str(URL(sandbox.base_url).port),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    (line,) = err.decode().splitlines()
    assert line.startswith(f"{PROGRAM}: cannot listen on 127.0.0.1, port ")
    assert line.endswith("address already in use; choose another port with --port")

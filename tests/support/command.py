"""The command `voucherify-async`: run in this process, and on a terminal of its own."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import pytest

from voucherify_async.cli import main
from voucherify_async.sandbox import Sandbox

_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Makes standard input the terminal of the session, whose Ctrl-C then reaches the process."""

_STYLE = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


class Result(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


def settings_of(sandbox: Sandbox) -> dict[str, str]:
    """The environment variables for a client of a sandbox."""
    return {
        "VOUCHERIFY_BASE_URL": sandbox.base_url,
        "VOUCHERIFY_APP_ID": sandbox.app_id,
        "VOUCHERIFY_APP_TOKEN": sandbox.app_token,
    }


@contextmanager
def serve(monkeypatch: pytest.MonkeyPatch, folder: Path, customers: int = 0) -> Generator[Sandbox]:
    """Run a sandbox in a thread, as the command has an event loop of its own, for commands in a folder."""
    monkeypatch.chdir(folder)
    with Sandbox(customers=customers, seed=7) as sandbox:
        for name, value in settings_of(sandbox).items():
            monkeypatch.setenv(name, value)
        yield sandbox


Run = Callable[..., Result]


def runner(capture: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs the command with arguments in this process; standard input is a file."""

    def run(*arguments: str | Path, stdin: bytes = b"", columns: int | None = None) -> Result:
        with TemporaryFile("w+", encoding="utf-8") as file, monkeypatch.context() as patch:
            file.buffer.write(stdin)
            file.seek(0)
            patch.setattr(sys, "stdin", file)
            if columns is None:
                patch.delenv("COLUMNS", raising=False)
            else:
                patch.setenv("COLUMNS", str(columns))
            logger = logging.getLogger("voucherify_async")
            level = logger.level
            try:
                code = main([str(argument) for argument in arguments])
            finally:
                logger.setLevel(level)  # the command is quiet; the tests after it are not
        out, err = capture.readouterr()
        return Result(code, out.decode(), err.decode())

    return run


class Terminal:
    """The command on a pseudo-terminal: what it shows, and what is typed.

    Attributes:
        screen: All bytes that the terminal received so far.
        process: The process of the command.
    """

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.screen = b""

    @property
    def text(self) -> str:
        """What was shown, without colours and cursor movements."""
        return _STYLE.sub(b"", self.screen).decode().replace("\r\n", "\n")

    def read_until(self, text: str) -> None:
        """Read until the terminal has shown a text."""
        while text not in self.text:
            if not self._read():
                raise AssertionError(f"{text!r} is not in {self.text!r}")

    def type(self, text: str) -> None:
        """Type a text; ``\\x03`` is Ctrl-C."""
        os.write(self._descriptor, text.encode())

    def wait(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        return self.process.wait()

    def _read(self) -> bool:
        try:
            content = os.read(self._descriptor, 65_536)
        except OSError:  # the last process has closed the terminal
            return False
        self.screen += content
        return bool(content)


@contextmanager
def terminal(
    *arguments: str | Path,
    columns: int = 80,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    output: int | None = None,
) -> Generator[Terminal]:
    """Start the command on a terminal of its own, as its session leader, so that Ctrl-C reaches it.

    Args:
        arguments: The arguments of the command.
        columns: The width of the terminal.
        env: Variables to add to the environment.
        cwd: The folder to run in.
        output: Where standard output goes; the terminal if `None`.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE_TERMINAL, "-W", "error", "-m", "voucherify_async", *arguments],
        stdin=theirs,
        stdout=theirs if output is None else output,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color", **(env or {})},
        cwd=cwd,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(ours)

"""A Redis server of Debian's, on a free port in a folder of its own, which tests may stop, kill and restart."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Read now: no test sees this variable.
_REQUIRED = "VOUCHERIFY_REQUIRE_REDIS" in os.environ


class RedisServer:
    """A server without persistence: it is empty when it starts.

    Attributes:
        port: Its port, the same after a restart.
        url: Its URL, with the password.
    """

    def __init__(self, folder: Path, password: str | None = None) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"
        self._folder = folder
        self._password = password
        self._process: subprocess.Popen[str] | None = None
        self._client: Any = None

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += [
            "--dir",
            str(self._folder),
            *(["--requirepass", self._password] if self._password else []),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert any("Ready to accept connections" in line for line in self._process.stdout)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the server, with everything that it knows."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def command(self, *words: str | float) -> Any:
        """Run a command and return its response."""
        if self._client is None:  # a client takes longer to make than hundreds of commands
            from redis import Redis

            self._client = Redis(port=self.port, password=self._password, decode_responses=True)
        return self._client.execute_command(*words)


@contextmanager
def redis_server(folder: Path, password: str | None = None) -> Generator[RedisServer]:
    """A server; without redis-server, the test is skipped, or fails where VOUCHERIFY_REQUIRE_REDIS is set."""
    if shutil.which("redis-server") is None:
        if _REQUIRED:
            pytest.fail("VOUCHERIFY_REQUIRE_REDIS is set, but redis-server is not installed", pytrace=False)
        pytest.skip("redis-server is not installed")
    server = RedisServer(folder, password)
    server.start()
    try:
        yield server
    finally:
        server.kill()

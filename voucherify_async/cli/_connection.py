"""The connection of a command: where the keys come from, the client, and the signals that end it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cyclopts import Parameter

from voucherify_async.cli._exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from voucherify_async.client import VoucherifyClient

__all__ = ["Connection", "Project", "choose_settings"]

T = TypeVar("T")

_APP_ID: Final = "VOUCHERIFY_APP_ID"
_APP_TOKEN: Final = "VOUCHERIFY_APP_TOKEN"  # noqa: S105  # the name of a variable
_BASE_URL: Final = "VOUCHERIFY_BASE_URL"
_NAMES: Final = (_APP_ID, _APP_TOKEN, _BASE_URL)
_DEFAULT_ENV_FILE: Final = Path(".env")


@Parameter(name="*", group="Connection")
@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where to find the service and the keys.

    Attributes:
        base_url: URL of the service. Default: VOUCHERIFY_BASE_URL, otherwise the cluster in Europe.
        env_file: File with VOUCHERIFY_APP_ID and VOUCHERIFY_APP_TOKEN, and optionally VOUCHERIFY_BASE_URL. It precedes
            the environment. Without this option, a file .env in the current folder provides what is not in the
            environment.
        allow_http: Allow a URL with plain http to another machine, for a sandbox in your own network.
        verbose: Print retries and waits on standard error.
    """

    base_url: str | None = None
    env_file: Path | None = None
    allow_http: bool = False
    verbose: bool = False

    def open(self) -> Project:
        """Find the keys, and create a client.

        Raises:
            CommandError: The keys are missing.
            ConfigurationError: A setting is invalid.
        """
        found = choose_settings(os.environ, self._read_file(), prefer_file=self.env_file is not None)
        app_id = found.get(_APP_ID) or _ask(_APP_ID, "Application ID: ", secret=False)
        app_token = found.get(_APP_TOKEN) or _ask(_APP_TOKEN, "Secret key (is not shown): ", secret=True)
        # Takes a while, which `--help` need not wait for.
        from voucherify_async.client import VoucherifyClient  # noqa: PLC0415

        if not self.verbose:
            logging.getLogger("voucherify_async").setLevel(logging.ERROR)
        base_url = self.base_url or found.get(_BASE_URL)
        client = VoucherifyClient(app_id, app_token, base_url=base_url, allow_http=self.allow_http)
        return Project(app_id, client)

    def run(self, main: Callable[[VoucherifyClient], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine with a client; see `open` and `Project.run`."""
        return self.open().run(main)

    def _read_file(self) -> Mapping[str, str | None]:
        path = self.env_file or _DEFAULT_ENV_FILE
        if self.env_file is None and not path.is_file():
            return {}
        from dotenv import dotenv_values  # noqa: PLC0415  # only if there is a file

        try:
            with path.open(encoding="utf-8-sig") as file:
                return dotenv_values(stream=file, interpolate=False)
        except UnicodeDecodeError:
            raise CommandError(f"{path} is not UTF-8") from None


@dataclass(frozen=True)
class Project:
    """A project of the service, and a client for it.

    Attributes:
        app_id: The application id.
        client: The client, which `run` closes.
    """

    app_id: str
    client: VoucherifyClient

    def run(self, main: Callable[[VoucherifyClient], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine with the client until it ends, or until Ctrl-C or SIGTERM cancels it.

        Raises:
            CommandError: SIGTERM arrived.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        import asyncio  # noqa: PLC0415  # takes a while, which `--help` need not wait for

        terminated = False

        async def run() -> T:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101  # for the type checker

            def terminate() -> None:
                nonlocal terminated
                terminated = True
                task.cancel()

            with suppress(NotImplementedError):  # Windows has no SIGTERM
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
            async with self.client:
                return await main(self.client)

        try:
            return asyncio.run(run())
        except asyncio.CancelledError:
            if not terminated:
                raise
        raise CommandError("Terminated.", ExitCode.TERMINATED)


def choose_settings(
    environment: Mapping[str, str], file: Mapping[str, str | None], *, prefer_file: bool
) -> dict[str, str]:
    """The settings of the environment and of a file; empty values count as missing."""
    sources = (file, environment) if prefer_file else (environment, file)
    found: dict[str, str] = {}
    for source in sources:
        for name in _NAMES:
            if value := source.get(name):
                found.setdefault(name, value)
    return found


def _ask(name: str, prompt: str, *, secret: bool) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandError(f"{name} is missing: set it in the environment or in a file .env")
    if secret:
        answer = getpass(prompt)
    else:
        print(prompt, end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip()
    if not answer:
        raise CommandError(f"{name} is missing")
    return answer

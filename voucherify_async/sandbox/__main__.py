"""The command ``python -m voucherify_async.sandbox``: runs a sandbox until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from voucherify_async.sandbox._http.access_log import access_log_line
from voucherify_async.sandbox._http.exchanges import Exchange
from voucherify_async.sandbox._http.faults import Faults, Latency
from voucherify_async.sandbox._http.server import Sandbox
from voucherify_async.sandbox._http.webhooks import check_webhook_url
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.segments import DEFAULT_SEGMENTS, Segment

_PROGRAM: Final = "python -m voucherify_async.sandbox"
_SHOW_PROGRESS_FROM: Final = 5_000
"""Fewer customers are generated in less than a second."""
_SECRET_VARIABLE: Final = "VOUCHERIFY_WEBHOOK_SECRET"  # noqa: S105  # the name of a variable
_NAMED_FAULTS: Final = {"reset", "truncate", "stall", "stale-keepalive"}


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        usage="%(prog)s [--help] [options]",  # a list of all would hide the error below it
        description="Run a local Voucherify server.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name to accept besides --host, localhost and IP addresses; may be repeated",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8181,
        help="port to listen on; 0 chooses a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--customers", type=int, default=0, help="number of customers to generate (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of the generated customers and of the faults (default: %(default)s)",
    )
    parser.add_argument(
        "--load",
        metavar="FILE",
        help="load customers from a file: .ndjson or .jsonl with one customer per line, or .csv in the import format",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="preserve all data in this file across restarts; if it exists, its data replace --customers and --load",
    )
    parser.add_argument(
        "--segment",
        type=_segment,
        action="append",
        default=[],
        metavar="ID:RULES",
        help="a segment with its rules, such as seg_vip:city=London,email=*@example.com,metadata.tier=gold;"
        " may be repeated; replaces the four default segments",
    )
    parser.add_argument(
        "--rate-limit",
        type=int,
        metavar="N",
        help="calls per minute; bulk calls are counted separately (default: no limit)",
    )
    parser.add_argument(
        "--latency",
        type=_latency,
        default=0.0,
        metavar="SECONDS",
        help="delay of every API response in seconds, or a range such as 0.05-0.2",
    )
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="FAULT=PROBABILITY",
        help="probability of a fault: reset, truncate, stall, stale-keepalive or an HTTP status, such as 503=0.01;"
        " may be repeated",
    )
    parser.add_argument(
        "--job-seconds",
        type=float,
        default=0.05,
        help="seconds that every background job takes (default: %(default)s)",
    )
    parser.add_argument(
        "--job-seconds-per-item",
        type=float,
        default=0.000_01,
        help="further seconds per item of the job (default: %(default)s)",
    )
    parser.add_argument(
        "--parallel-jobs",
        action="store_true",
        help="run background jobs in parallel instead of one after the other",
    )
    parser.add_argument(
        "--webhooks",
        metavar="URL",
        help="send signed webhooks of what happens to customers to this URL",
    )
    parser.add_argument(
        "--webhook-secret-env",
        metavar="NAME",
        help="environment variable that holds the secret of the webhooks"
        f" (default: {_SECRET_VARIABLE}); an argument would be visible to other users",
    )
    parser.add_argument(
        "--webhook-retry-seconds",
        type=float,
        default=1.0,
        help="seconds until a webhook is repeated for the first time (default: %(default)s)",
    )
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="print a line for each request: time, method, path with query, status, milliseconds, and the fault if there was one",
    )
    return parser


def _latency(text: str) -> Latency:
    # A dash separates the bounds, unless it is the sign of a number or of an exponent.
    found = re.fullmatch(r"([0-9.]+(?:[eE][-+]?[0-9]+)?)-(.+)", text)
    try:
        return (float(found[1]), float(found[2])) if found else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"give seconds or a range such as 0.05-0.2, not {text!r}") from None


def _segment(text: str) -> Segment:
    try:
        return Segment.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fault(text: str) -> tuple[str, float]:
    name, _, probability = text.partition("=")
    if name not in _NAMED_FAULTS and not (name.isascii() and name.isdecimal()):
        known = ", ".join(sorted(_NAMED_FAULTS))
        raise argparse.ArgumentTypeError(f"unknown fault {name!r}: use {known} or an HTTP status such as 503")
    try:
        return name, float(probability)
    except ValueError:
        raise argparse.ArgumentTypeError(f"give a probability, as in {name}=0.01, not {text!r}") from None


def _faults(given: Iterable[tuple[str, float]]) -> Faults:
    chances = dict(given)
    return Faults(
        status={int(name): chance for name, chance in chances.items() if name.isdecimal()},
        **{name.replace("-", "_"): chance for name, chance in chances.items() if name in _NAMED_FAULTS},
    )


def make_sandbox(argv: Sequence[str] | None = None, program: str = _PROGRAM) -> Sandbox:
    """Create the sandbox for command line arguments. Standard error shows how many customers have been generated.

    Raises:
        SystemExit: An argument is invalid.
    """
    parser = _parser(program)
    given = parser.parse_args(argv)
    progress = _SeedProgress()
    try:
        secret = _webhook_secret(given.webhooks, given.webhook_secret_env)
        return Sandbox(
            given.customers,
            seed=given.seed,
            rate_limit=given.rate_limit,
            latency=given.latency,
            faults=_faults(given.fault),
            job_seconds=given.job_seconds,
            job_seconds_per_item=given.job_seconds_per_item,
            quirks=Quirks(parallel_jobs=given.parallel_jobs),
            segments=given.segment or DEFAULT_SEGMENTS,
            load=given.load,
            state=given.state,
            host=given.host,
            allow_hosts=given.allow_host,
            port=given.port,
            webhooks=given.webhooks,
            webhook_secret=secret,
            webhook_retry_seconds=given.webhook_retry_seconds,
            on_progress=progress.show,
        )
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    finally:
        progress.clear()


def _webhook_secret(url: str | None, variable: str | None) -> str | None:
    """The secret of the webhooks; `None` if none are sent.

    Raises:
        ValueError: There is no secret, or it is not needed; or the URL, which is checked first, is invalid.
    """
    if url is None:
        if variable is not None:
            raise ValueError("--webhook-secret-env needs --webhooks, the URL to send them to")
        return None
    check_webhook_url(url)
    name = variable or _SECRET_VARIABLE
    secret = os.environ.get(name)
    if not secret:
        raise ValueError(f"--webhooks needs a secret in the environment variable {name}")
    return secret


class _SeedProgress:
    """Shows how many customers have been generated: in place on a terminal, and in one line elsewhere."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, done: int, total: int) -> None:
        """Show the progress, if there are so many customers that it takes a while."""
        if total < _SHOW_PROGRESS_FROM:
            return
        if sys.stderr.isatty():
            # Longer than what it overwrites, as the numbers only grow.
            self._shown = f"Generating customers: {done:,} of {total:,} ({100 * done // total} %)"
            self._write(f"\r{self._shown}")
        elif done == 0:
            self._write(f"Generating {total:,} customers\n")

    def clear(self) -> None:
        """Erase the progress on a terminal."""
        if self._shown:
            self._write(f"\r{' ' * len(self._shown)}\r")
            self._shown = ""

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads it
            sys.stderr.write(text)
            sys.stderr.flush()


class _OutputClosedError(Exception):
    """Nobody reads the standard output any more, as after ``| head -1``."""


def _print(text: str) -> None:
    try:
        # `print` would write the newline on its own: whoever closes a pipe after the last line would end the command.
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError:
        raise _OutputClosedError from None


class AccessLog:
    """Prints a line for each exchange until the output is closed.

    Attributes:
        closed: Whether the output was closed.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        """Create a log.

        Args:
            stop: Set when the output is closed.
        """
        self.closed = False
        self._stop = stop

    def write(self, exchange: Exchange) -> None:
        """Print the line for an exchange."""
        if not self.closed:
            try:
                _print(access_log_line(exchange))
            except _OutputClosedError:
                self.closed = True
                self._stop.set()


async def serve(sandbox: Sandbox, *, verbose: bool = False, command: str | None = None) -> None:
    """Run a sandbox until SIGINT or SIGTERM.

    Args:
        sandbox: The sandbox, which is not running yet.
        verbose: Print a line for each request.
        command: As for `main`.

    Raises:
        SystemExit: The sandbox cannot listen on its host and port, or cannot save its state file.
        _OutputClosedError: The standard output was closed.
    """
    program = _PROGRAM if command is None else f"{command} sandbox"
    stop = asyncio.Event()
    log = AccessLog(stop)
    if verbose:
        sandbox.on_exchange = log.write
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows; the default handlers stay in place
            loop.add_signal_handler(number, stop.set)
    try:
        await sandbox.start()
    except OSError as error:
        raise SystemExit(
            f"{program}: cannot listen on {sandbox.host}, port {sandbox.port}: {error.strerror or error};"
            " choose another port with --port"
        ) from None
    try_next = "" if command is None else f"In another terminal, with these lines: {command} customers list\n"
    try:
        async with contextlib.aclosing(sandbox):
            _print(
                f"Voucherify sandbox with {len(sandbox.store.customers):,} customers. Point a client at it with\n"
                f"  export VOUCHERIFY_BASE_URL={sandbox.base_url}\n"
                f"  export VOUCHERIFY_APP_ID={sandbox.app_id}\n"
                f"  export VOUCHERIFY_APP_TOKEN={sandbox.app_token}\n"
                f"Status page: {sandbox.base_url}/\n"
                f"{try_next}"
                f"Stop it with Ctrl-C."
            )
            await stop.wait()
            if log.closed:
                raise _OutputClosedError
    except (OSError, sqlite3.Error) as error:
        raise SystemExit(f"{program}: the latest changes were not saved: {error}") from None


def main(argv: Sequence[str] | None = None, command: str | None = None) -> None:
    """Create a sandbox and run it.

    Args:
        argv: The arguments. Default: those of the process.
        command: The command of which this is the subcommand ``sandbox``, if it is one.

    Raises:
        SystemExit: An argument is invalid, the sandbox cannot run, or the standard output was closed.
    """
    program = _PROGRAM if command is None else f"{command} sandbox"
    verbose = _parser(program).parse_args(argv).verbose  # not an argument of the sandbox
    # Outside of the event loop, so that Ctrl-C interrupts the generation of customers at once.
    try:
        sandbox = make_sandbox(argv, program)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    try:
        asyncio.run(serve(sandbox, verbose=verbose, command=command))
    except _OutputClosedError:
        # Python flushes the output once more when it exits, which would print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        with contextlib.suppress(OSError):  # nobody reads it
            sys.stderr.write(f"{program}: stopped, as the standard output was closed\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()

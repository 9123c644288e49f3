"""Export customers to a file of JSON lines, with a progress bar. An interrupted export can be continued.

    python examples/stream_customers.py customers.ndjson --city London

It requires rich (``pip install --group examples``) and the API keys in `VOUCHERIFY_APP_ID` and
`VOUCHERIFY_APP_TOKEN`. To try it without an account:

    python examples/stream_customers.py customers.ndjson --sandbox 20000

If it is stopped with Ctrl-C or killed, run the same command again: the finished file contains every customer once.
Only one process at a time may write to a file.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from voucherify_async import ConfigurationError, Customer, VoucherifyClient, VoucherifyError
from voucherify_async.sandbox import Sandbox

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 plus the signal number, as in shells."""
SANDBOX_LATENCY = 0.05
"""Seconds per page, as over a network, so that the progress is visible and can be interrupted."""


class CannotResumeError(Exception):
    """The files on disk do not match the command."""


class State(msgspec.Struct, frozen=True):
    """The progress of an export: the first `length` bytes of the file contain all customers before `cursor`."""

    source: str
    cursor: str | None = None
    length: int = 0
    customers: int = 0


class Export:
    """A file of JSON lines, and next to it a small state file.

    The state file is created before the first page is written, and deleted after the last one is on disk. A file
    without a state file is therefore complete. With a state file, everything after the recorded length comes from a
    page that was not recorded: it is cut off, and the page is read again.
    """

    def __init__(self, path: Path, source: str, *, force: bool = False) -> None:
        """Continue the file, or create it.

        Raises:
            CannotResumeError: The file cannot be continued.
        """
        self._path = path
        self._state_path = path.with_name(f"{path.name}.state")
        self.state = State(source) if force else self._find(source)
        self._save()  # before the file is created or truncated: a file without a state counts as complete
        self._file = path.open("ab", buffering=0)
        self._file.truncate(self.state.length)

    def _find(self, source: str) -> State:
        try:
            state = msgspec.json.decode(self._state_path.read_bytes(), type=State)
        except FileNotFoundError:
            if self._path.exists():
                raise CannotResumeError(
                    f"{self._path} is complete, or from another program: --force overwrites it"
                ) from None
            return State(source)
        except msgspec.DecodeError as error:
            raise CannotResumeError(f"{self._state_path} is damaged ({error}): --force starts over") from None
        if state.source != source:
            raise CannotResumeError(
                f"{self._path} was started with {state.source}, not with {source}: --force starts over"
            )
        if state.length and (not self._path.exists() or self._path.stat().st_size < state.length):
            raise CannotResumeError(f"{self._path} is shorter than recorded: --force starts over")
        return state

    def append(self, customers: Sequence[Customer], next_cursor: str | None) -> None:
        """Write a page to disk, then record it in the state file."""
        lines = memoryview(msgspec.json.Encoder().encode_lines(customers))
        length = self.state.length + len(lines)
        while lines:  # a write to a nearly full disk can be partial
            lines = lines[self._file.write(lines) :]
        os.fsync(self._file.fileno())
        state = self.state
        self.state = State(state.source, next_cursor, length, state.customers + len(customers))
        if next_cursor is not None:  # after the last page there is nothing to continue
            self._save()

    def finish(self) -> None:
        """Delete the state file: the export is complete."""
        self._state_path.unlink()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _save(self) -> None:
        """Replace the state file atomically: a reader sees the old or the new state, never a part of one."""
        new = self._state_path.with_name(f"{self._state_path.name}.new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(self.state))
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._state_path)  # noqa: PTH105  # documented to be atomic


class RateColumn(ProgressColumn):
    """Customers per second."""

    def render(self, task: Task) -> Text:
        """Render the current speed."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


@asynccontextmanager
async def connect(base_url: str | None, sandbox_customers: int | None) -> AsyncGenerator[VoucherifyClient]:
    """Connect a client to the service, or to a new sandbox."""
    if sandbox_customers is None:
        async with VoucherifyClient(base_url=base_url) as voucherify:
            yield voucherify
    else:
        sandbox = Sandbox(sandbox_customers, latency=SANDBOX_LATENCY)
        async with sandbox, sandbox.client() as voucherify:
            yield voucherify


async def stream(voucherify: VoucherifyClient, export: Export, city: str | None) -> None:
    """Export the remaining pages of the list."""
    columns = (TextColumn("customers"), BarColumn(), MofNCompleteColumn(), RateColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("customers", completed=export.state.customers, total=None)
        pager = voucherify.customers.list(limit=100, city=city, cursor=export.state.cursor)
        async for page in pager.pages():
            export.append(page.items, page.next_cursor)
            progress.update(task, completed=export.state.customers, total=page.total)
    export.finish()


async def run(args: argparse.Namespace) -> None:
    """Export the customers, and print the result."""
    async with connect(args.base_url, args.sandbox) as voucherify:
        # The state records service and city, so that a file never mixes customers of two of them.
        service = repr(voucherify) if args.sandbox is None else f"a sandbox of {args.sandbox}"
        export = Export(args.output, f"{service}, city {args.city}", force=args.force)
        try:
            if export.state.cursor is not None:
                print(f"Continuing after {export.state.customers:,} customers.")
            await stream(voucherify, export, args.city)
            print(f"{export.state.customers:,} customers in {args.output}.")
        finally:
            export.close()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Export customers to a file of JSON lines.")
    parser.add_argument("output", type=Path, help="the file to write, for example customers.ndjson")
    parser.add_argument("--city", help="only customers in this city")
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    service = parser.add_mutually_exclusive_group()
    service.add_argument("--base-url", help="the service (default: VOUCHERIFY_BASE_URL, or else Europe)")
    service.add_argument("--sandbox", type=int, metavar="N", help="a local sandbox with N customers")
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    try:
        asyncio.run(run(args))
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command to continue.", file=sys.stderr)
        return INTERRUPTED
    except (CannotResumeError, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 1
    except (VoucherifyError, OSError) as error:
        print(f"{error}\nRun the same command to continue.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

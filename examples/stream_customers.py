"""Stream customers to a file of JSON lines, with a progress bar; killed or stopped, it goes on where it was.

    python examples/stream_customers.py customers.ndjson --city London

It needs rich (``pip install --group examples``). The keys come from `VOUCHERIFY_APP_ID` and
`VOUCHERIFY_APP_TOKEN`. To try it without an account:

    python examples/stream_customers.py customers.ndjson --sandbox 20000

Stop it with Ctrl-C, or kill it, and give the same command again: the file holds every customer once. One
process at a time may write to a file.
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
"""Exit status after Ctrl-C: 128 and the number of the signal, as shells have it."""
SANDBOX_LATENCY = 0.05
"""Seconds for a page, as over a network, so that there is something to see and to interrupt."""


class CannotGoOnError(Exception):
    """What is on disk does not fit what was asked for."""


class State(msgspec.Struct, frozen=True):
    """How far the walk has come: the first `length` bytes of the file hold everything before `cursor`."""

    source: str
    cursor: str | None = None
    length: int = 0
    customers: int = 0


class Export:
    """The file of JSON lines, and beside it a small file with the state.

    The state file is there before the first byte is written, and until the last one is safe. So, whenever
    the process dies: with a state file, what is beyond the recorded length is a torn page, or a page that was
    not recorded. It is cut off, and read again. Without one, nothing was begun, or everything is done.
    """

    def __init__(self, path: Path, source: str, *, force: bool = False) -> None:
        """Go on with the file, or begin it.

        Raises:
            CannotGoOnError: The file is not one to go on with.
        """
        self._path = path
        self._state_path = path.with_name(f"{path.name}.state")
        self.state = State(source) if force else self._find(source)
        self._save()  # before the file is made or cut: a file without a state counts as done
        self._file = path.open("ab", buffering=0)
        self._file.truncate(self.state.length)

    def _find(self, source: str) -> State:
        try:
            state = msgspec.json.decode(self._state_path.read_bytes(), type=State)
        except FileNotFoundError:
            if self._path.exists():
                raise CannotGoOnError(
                    f"{self._path} is complete, or of others: --force starts anew"
                ) from None
            return State(source)
        except msgspec.DecodeError as error:
            raise CannotGoOnError(f"{self._state_path} is damaged ({error}): --force starts anew") from None
        if state.source != source:
            raise CannotGoOnError(
                f"{self._path} was begun with {state.source}, not with {source}: --force starts anew"
            )
        if state.length and (not self._path.exists() or self._path.stat().st_size < state.length):
            raise CannotGoOnError(f"{self._path} is shorter than it was: --force starts anew")
        return state

    def append(self, customers: Sequence[Customer], next_cursor: str | None) -> None:
        """Write a page. Its customers are on the disk before the state says so."""
        lines = memoryview(msgspec.json.Encoder().encode_lines(customers))
        length = self.state.length + len(lines)
        while lines:  # a nearly full disk takes a part of them
            lines = lines[self._file.write(lines) :]
        os.fsync(self._file.fileno())
        state = self.state
        self.state = State(state.source, next_cursor, length, state.customers + len(customers))
        if next_cursor is not None:  # after the last page there is nothing to go on with
            self._save()

    def finish(self) -> None:
        """All is done: the file needs no state any more."""
        self._state_path.unlink()

    def close(self) -> None:
        """Close the file, done or not."""
        self._file.close()

    def _save(self) -> None:
        """Replace the state as a whole: a reader finds the old one or the new one, never a part."""
        new = self._state_path.with_name(f"{self._state_path.name}.new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(self.state))
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._state_path)  # noqa: PTH105  # the call that is known to be atomic


class RateColumn(ProgressColumn):
    """Customers per second."""

    def render(self, task: Task) -> Text:
        """The speed of the last seconds."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


@asynccontextmanager
async def connect(base_url: str | None, sandbox_customers: int | None) -> AsyncGenerator[VoucherifyClient]:
    """A client of the service, or of a sandbox that is started for it."""
    if sandbox_customers is None:
        async with VoucherifyClient(base_url=base_url) as voucherify:
            yield voucherify
    else:
        sandbox = Sandbox(sandbox_customers, latency=SANDBOX_LATENCY)
        async with sandbox, sandbox.client() as voucherify:
            yield voucherify


async def stream(voucherify: VoucherifyClient, export: Export, city: str | None) -> None:
    """Walk the list from where the export is, page by page, to its end."""
    columns = (TextColumn("customers"), BarColumn(), MofNCompleteColumn(), RateColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("customers", completed=export.state.customers, total=None)
        pager = voucherify.customers.list(limit=100, city=city, cursor=export.state.cursor)
        async for page in pager.pages():
            export.append(page.items, page.next_cursor)
            progress.update(task, completed=export.state.customers, total=page.total)
    export.finish()


async def run(given: argparse.Namespace) -> None:
    """Stream into the file, and say what came of it."""
    async with connect(given.base_url, given.sandbox) as voucherify:
        # Customers of two services, or of two cities, do not belong in one file.
        service = repr(voucherify) if given.sandbox is None else f"a sandbox of {given.sandbox}"
        export = Export(given.output, f"{service}, city {given.city}", force=given.force)
        try:
            if export.state.cursor is not None:
                print(f"Going on after {export.state.customers:,} customers.")
            await stream(voucherify, export, given.city)
            print(f"{export.state.customers:,} customers in {given.output}.")
        finally:
            export.close()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Stream customers to a file of JSON lines.")
    parser.add_argument("output", type=Path, help="the file to write, for example customers.ndjson")
    parser.add_argument("--city", help="only customers in this city")
    parser.add_argument("--force", action="store_true", help="start anew, whatever is there")
    service = parser.add_mutually_exclusive_group()
    service.add_argument("--base-url", help="the service (default: VOUCHERIFY_BASE_URL, or else Europe)")
    service.add_argument("--sandbox", type=int, metavar="N", help="a local sandbox with N customers")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    try:
        asyncio.run(run(given))
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where it stopped.", file=sys.stderr)
        return INTERRUPTED
    except (CannotGoOnError, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 1
    except (VoucherifyError, OSError) as error:
        print(f"{error}\nThe same command goes on where it stopped.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Make Voucherify look like a file or a table of customers, through bulk jobs, and list those that fail.

    python examples/sync_customers.py customers.csv --state customers.state
    python examples/sync_customers.py crm.db --query "SELECT source_id, name, email, tier FROM customers" --state crm.state

It needs rich (``pip install --group examples``). The keys come from `VOUCHERIFY_APP_ID` and
`VOUCHERIFY_APP_TOKEN`. To try it without an account:

    python examples/sync_customers.py customers.ndjson --sandbox

A file that ends in .csv has the columns of Voucherify's CSV import in its first row. In one that ends in
.ndjson, .jsonl or .json-lines each line is a customer with a `source_id`; a line that is not JSON is listed
as invalid. Empty lines are no customers. With a query, the file is an SQLite database, and each row of the result
is a customer: columns have the names of customers' fields, or ``address_city`` and so on; all others become
metadata. A NULL clears what Voucherify has.

With a state, give the same command every night, and again after it was stopped with Ctrl-C or killed: only customers
that are new or changed are sent. The exit status is 0 if every customer made it.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import IO, Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from voucherify_async import (
    ConfigurationError,
    SyncProgress,
    SyncReport,
    SyncStateError,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async.sandbox import Sandbox

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the number of the signal, as shells have it."""
MAX_SHOWN = 50
"""Failures that are listed."""
SANDBOX_LATENCY = 0.05
SANDBOX_JOB_SECONDS = 0.5
"""As with the service, so that there is something to see and to interrupt."""
CSV = ".csv"
JSON_LINES = (".ndjson", ".jsonl", ".json-lines")
FIELDS = frozenset({"source_id", "name", "email", "phone", "birthdate", "description"})
ADDRESS = "address_"


@asynccontextmanager
async def connect(base_url: str | None, *, to_sandbox: bool) -> AsyncGenerator[VoucherifyClient]:
    """A client of the service, or of a sandbox that is started for it."""
    if not to_sandbox:
        async with VoucherifyClient(base_url=base_url) as voucherify:
            yield voucherify
    else:
        sandbox = Sandbox(latency=SANDBOX_LATENCY, job_seconds=SANDBOX_JOB_SECONDS)
        async with sandbox, sandbox.client() as voucherify:
            yield voucherify


def is_csv(path: Path) -> bool:
    return path.suffix.lower() == CSV


def customer(row: sqlite3.Row) -> dict[str, Any]:
    """The customer that a row of a table is."""
    found: dict[str, Any] = {"address": {}, "metadata": {}}
    for name in row.keys():  # noqa: SIM118  # a row has no others
        if name in FIELDS:
            found[name] = row[name]
        elif name.startswith(ADDRESS):
            found["address"][name.removeprefix(ADDRESS)] = row[name]
        else:
            found["metadata"][name] = row[name]
    return {name: value for name, value in found.items() if value != {}}


def customers(file: IO[bytes], lines: list[int]) -> Iterator[Any]:
    """What each line says. One that is not JSON comes as text, which the sync reports as no customer.

    Args:
        file: The file.
        lines: Takes the line of each customer, from 1.
    """
    for number, line in enumerate(file, start=1):
        if number == 1:
            line = line.removeprefix(BOM_UTF8)  # noqa: PLW2901  # it says how the file is written
        if line.isspace():
            continue
        lines.append(number)
        try:
            yield msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield line.decode(errors="replace")


async def sync(voucherify: VoucherifyClient, given: argparse.Namespace, lines: list[int]) -> SyncReport[Any]:
    """Sync the file, with a bar that shows for how many customers it is known what became of them."""
    columns = (TextColumn("customers"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("customers", total=None)

        def show(seen: SyncProgress) -> None:
            done = seen.succeeded + seen.failed + seen.invalid + seen.unchanged + seen.duplicates
            progress.update(task, completed=done)

        async def send(source: Iterable[Any]) -> SyncReport[Any]:
            return await voucherify.customers.sync(
                source, concurrency=given.concurrency, state=given.state, on_progress=show
            )

        report: SyncReport[Any]
        if given.query is not None:
            with closing(open_database(given.file)) as database:
                report = await send(map(customer, database.execute(given.query)))
        elif is_csv(given.file):
            progress.update(task, total=count_lines(given.file) - 1)
            report = await voucherify.customers.sync_csv(
                given.file, concurrency=given.concurrency, state=given.state, on_progress=show
            )
        else:
            progress.update(task, total=count_lines(given.file))
            with given.file.open("rb") as file:
                report = await send(customers(file, lines))
        progress.update(task, total=report.read)  # not each line is a customer
        return report


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def open_database(path: Path) -> sqlite3.Connection:
    """Open a database that exists, only to read it."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    return database


def tell(report: SyncReport[Any], lines: list[int]) -> None:
    """Print what failed, and how many did not.

    Args:
        report: What became of the customers.
        lines: The line of each customer, from 1; empty for a CSV file, where positions are lines.
    """
    if report.failures:
        table = Table("line", "source_id", "key", "message")
        for failure in report.failures[:MAX_SHOWN]:
            place = failure.position
            line = "" if place is None else f"{lines[place] if lines else place:,}"
            message = ": ".join(filter(None, (failure.message, failure.details)))
            cells = (line, failure.source_id or "", failure.key or "", message)
            table.add_row(*map(Text, cells))  # what a file says is not markup
        Console().print(table)
    if (more := report.failed + report.invalid - min(len(report.failures), MAX_SHOWN)) > 0:
        print(f"... and {more:,} more")
    print(
        f"{report.read:,} read: {report.succeeded:,} made it, {report.failed:,} failed,"
        f" {report.invalid:,} invalid, {report.unchanged:,} unchanged, {report.resent:,} sent again,"
        f" in {len(report.jobs):,} jobs."
    )


async def run(given: argparse.Namespace, lines: list[int]) -> SyncReport[Any]:
    async with connect(given.base_url, to_sandbox=given.sandbox) as voucherify:
        return await sync(voucherify, given, lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Bring the customers of a file into Voucherify.")
    parser.add_argument("file", type=Path, help="for example customers.csv or customers.ndjson")
    parser.add_argument(
        "--query", help="the file is an SQLite database: each row of this query is a customer"
    )
    parser.add_argument(
        "--state", type=Path, help="a file that remembers what was done: only what is new or changed is sent"
    )
    parser.add_argument("--concurrency", type=int, default=4, help="jobs open at once (default: %(default)s)")
    service = parser.add_mutually_exclusive_group()
    service.add_argument("--base-url", help="the service (default: VOUCHERIFY_BASE_URL, or else Europe)")
    service.add_argument("--sandbox", action="store_true", help="a local sandbox, gone in the end")
    given = parser.parse_args()
    if given.query is None and given.file.suffix.lower() not in {CSV, *JSON_LINES}:
        parser.error(
            f"{given.file} does not end in .csv, .ndjson, .jsonl or .json-lines, and there is no --query"
        )
    return given


def main() -> int:
    given = arguments()
    lines: list[int] = []
    how_to_go_on = "The same command goes on where it stopped."
    if given.state is None:
        how_to_go_on = "With --state FILE, the same command would go on where it stopped."
    try:
        report = asyncio.run(run(given, lines))
    except KeyboardInterrupt:
        print(f"\nInterrupted. {how_to_go_on}", file=sys.stderr)
        return INTERRUPTED
    except (ConfigurationError, SyncStateError, ValueError, OSError, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        return 1
    except VoucherifyError as error:
        if error.report is not None:
            tell(error.report, lines)
        print(f"{error}\n{how_to_go_on}", file=sys.stderr)
        return 1
    tell(report, lines)
    return 1 if report.failed or report.invalid else 0


if __name__ == "__main__":
    sys.exit(main())

"""Sync a file or a database table of customers to Voucherify through bulk jobs, and list the failures.

    python examples/sync_customers.py customers.csv --state customers.state
    python examples/sync_customers.py crm.db --query "SELECT source_id, name, tier FROM customers" --state crm.state

It requires rich (``pip install --group examples``) and the API keys in `VOUCHERIFY_APP_ID` and
`VOUCHERIFY_APP_TOKEN`. To try it without an account:

    python examples/sync_customers.py customers.ndjson --sandbox

The first row of a .csv file contains the column names of Voucherify's CSV import. In a .ndjson, .jsonl or
.json-lines file, each line is a customer with a `source_id`; a line that is not JSON is listed as invalid, and empty
lines are ignored. With a query, the file is an SQLite database, and each row of the result is a customer: columns are
named after the fields of a customer, or ``address_city`` and so on; all other columns become metadata. A NULL clears
the value in Voucherify.

With a state file, the same command can be run every night, and again after it was stopped with Ctrl-C or killed: only
customers that are new or have changed are sent. The exit status is 0 if every customer succeeded.
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
"""Exit status after Ctrl-C: 128 plus the signal number, as in shells."""
MAX_LISTED = 50
"""The number of failures to print."""
SANDBOX_LATENCY = 0.05
SANDBOX_JOB_SECONDS = 0.5
"""Similar to the service, so that the progress is visible and can be interrupted."""
CSV = ".csv"
JSON_LINES = (".ndjson", ".jsonl", ".json-lines")
FIELDS = frozenset({"source_id", "name", "email", "phone", "birthdate", "description"})
ADDRESS = "address_"


@asynccontextmanager
async def connect(base_url: str | None, *, to_sandbox: bool) -> AsyncGenerator[VoucherifyClient]:
    """Connect a client to the service, or to a new sandbox."""
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
    """Convert a row of the query result to a customer."""
    found: dict[str, Any] = {"address": {}, "metadata": {}}
    for name in row.keys():  # noqa: SIM118  # iterating over a Row yields values, not names
        if name in FIELDS:
            found[name] = row[name]
        elif name.startswith(ADDRESS):
            found["address"][name.removeprefix(ADDRESS)] = row[name]
        else:
            found["metadata"][name] = row[name]
    return {name: value for name, value in found.items() if value != {}}


def customers(file: IO[bytes], lines: list[int]) -> Iterator[Any]:
    """Yield the customer on each line. A line that is not JSON is yielded as text, which the sync reports as invalid.

    Args:
        file: The file.
        lines: A list to which the line number of each customer is appended, from 1.
    """
    for number, line in enumerate(file, start=1):
        if number == 1:
            line = line.removeprefix(BOM_UTF8)  # noqa: PLW2901  # not part of the first customer
        if line.isspace():
            continue
        lines.append(number)
        try:
            yield msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield line.decode(errors="replace")


async def sync(voucherify: VoucherifyClient, args: argparse.Namespace, lines: list[int]) -> SyncReport[Any]:
    """Sync the file, with a progress bar that counts the customers whose outcome is known."""
    columns = (TextColumn("customers"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("customers", total=None)

        def show(seen: SyncProgress) -> None:
            done = seen.succeeded + seen.failed + seen.invalid + seen.unchanged + seen.duplicates
            progress.update(task, completed=done)

        async def send(source: Iterable[Any]) -> SyncReport[Any]:
            return await voucherify.customers.sync(
                source, concurrency=args.concurrency, state=args.state, on_progress=show
            )

        report: SyncReport[Any]
        if args.query is not None:
            with closing(open_database(args.file)) as database:
                report = await send(map(customer, database.execute(args.query)))
        elif is_csv(args.file):
            progress.update(task, total=count_lines(args.file) - 1)
            report = await voucherify.customers.sync_csv(
                args.file, concurrency=args.concurrency, state=args.state, on_progress=show
            )
        else:
            progress.update(task, total=count_lines(args.file))
            with args.file.open("rb") as file:
                report = await send(customers(file, lines))
        progress.update(task, total=report.read)  # not every line is a customer
        return report


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def open_database(path: Path) -> sqlite3.Connection:
    """Open an existing database read-only."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    return database


def print_report(report: SyncReport[Any], lines: list[int]) -> None:
    """Print the failures and the counts.

    Args:
        report: The report of the sync.
        lines: The line number of each customer, from 1; empty for a CSV file, where positions are line numbers.
    """
    if report.failures:
        table = Table("line", "source_id", "key", "message")
        for failure in report.failures[:MAX_LISTED]:
            position = failure.position
            line = "" if position is None else f"{lines[position] if lines else position:,}"
            message = ": ".join(filter(None, (failure.message, failure.details)))
            cells = (line, failure.source_id or "", failure.key or "", message)
            table.add_row(*map(Text, cells))  # Text does not interpret markup
        Console().print(table)
    if (more := report.failed + report.invalid - min(len(report.failures), MAX_LISTED)) > 0:
        print(f"... and {more:,} more")
    print(
        f"{report.read:,} read: {report.succeeded:,} succeeded, {report.failed:,} failed,"
        f" {report.invalid:,} invalid, {report.unchanged:,} unchanged, {report.resent:,} sent again,"
        f" in {len(report.jobs):,} jobs."
    )


async def run(args: argparse.Namespace, lines: list[int]) -> SyncReport[Any]:
    async with connect(args.base_url, to_sandbox=args.sandbox) as voucherify:
        return await sync(voucherify, args, lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Sync the customers of a file to Voucherify.")
    parser.add_argument("file", type=Path, help="for example customers.csv or customers.ndjson")
    parser.add_argument(
        "--query", help="the file is an SQLite database: each row of this query is a customer"
    )
    parser.add_argument(
        "--state",
        type=Path,
        help="a file that records what was sent: only new and changed customers are sent",
    )
    parser.add_argument("--concurrency", type=int, default=4, help="jobs open at once (default: %(default)s)")
    service = parser.add_mutually_exclusive_group()
    service.add_argument("--base-url", help="the service (default: VOUCHERIFY_BASE_URL, or else Europe)")
    service.add_argument("--sandbox", action="store_true", help="a temporary local sandbox")
    args = parser.parse_args()
    if args.query is None and args.file.suffix.lower() not in {CSV, *JSON_LINES}:
        parser.error(
            f"{args.file} does not end in .csv, .ndjson, .jsonl or .json-lines, and there is no --query"
        )
    return args


def main() -> int:
    args = parse_arguments()
    lines: list[int] = []
    hint = "Run the same command to continue."
    if args.state is None:
        hint = "With --state FILE, the same command could continue."
    try:
        report = asyncio.run(run(args, lines))
    except KeyboardInterrupt:
        print(f"\nInterrupted. {hint}", file=sys.stderr)
        return INTERRUPTED
    except (ConfigurationError, SyncStateError, ValueError, OSError, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        return 1
    except VoucherifyError as error:
        if error.report is not None:
            print_report(error.report, lines)
        print(f"{error}\n{hint}", file=sys.stderr)
        return 1
    print_report(report, lines)
    return 1 if report.failed or report.invalid else 0


if __name__ == "__main__":
    sys.exit(main())

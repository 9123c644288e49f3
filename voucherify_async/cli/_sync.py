"""Sync of a file of customers."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final, Unpack

from voucherify_async.cli._exit_codes import CommandError, ExitCode
from voucherify_async.cli._formats import STANDARD_STREAM, FileFormat
from voucherify_async.cli._output import Advance, notice, print_json, print_table
from voucherify_async.cli._reading import (
    LineNumbers,
    count_lines,
    customer_of_row,
    open_database,
    read_json_lines,
)
from voucherify_async.cli._threads import in_daemon_thread, iterate_in_thread, open_standard_input
from voucherify_async.resources._csv import CsvRows
from voucherify_async.resources._inputs import check_delimiter

if TYPE_CHECKING:
    from voucherify_async import SyncFailure, SyncProgress, SyncReport
    from voucherify_async._sync.spec import SyncOptions
    from voucherify_async.client import VoucherifyClient

__all__ = ["Source"]

_MAX_LISTED: Final = 50


@dataclass(frozen=True)
class Source:
    """A file of customers.

    Attributes:
        file: The file; ``-`` for standard input.
        format: Its format, if there is no query.
        query: A query, if the file is an SQLite database: each row of its result is a customer.
        delimiter: The character between the cells of a CSV file.
    """

    file: Path
    format: FileFormat
    query: str | None = None
    delimiter: str = ","
    _numbers: LineNumbers = field(default_factory=LineNumbers)

    async def sync(
        self, voucherify: VoucherifyClient, advance: Advance, **options: Unpack[SyncOptions]
    ) -> SyncReport[Any]:
        """Sync the customers.

        Args:
            voucherify: The client.
            advance: Called with the number of customers whose outcome is known.
            options: The options of the sync.

        Raises:
            CommandError: The database cannot be read.
            VoucherifyError: See `CustomersResource.sync`.
        """
        total = await self._count()

        def on_progress(seen: SyncProgress) -> None:
            done = seen.succeeded + seen.failed + seen.invalid + seen.unchanged + seen.duplicates
            advance(done, total)

        options["on_progress"] = on_progress
        advance(0, total)
        if self.format is FileFormat.CSV and self.query is None:
            async with self._csv_path() as path:
                await in_daemon_thread(partial(self._check_columns, path))
                return await voucherify.customers.sync_csv(path, delimiter=self.delimiter, **options)
        async with aclosing(iterate_in_thread(self._customers())) as customers:
            try:
                return await voucherify.customers.sync(customers, **options)
            except sqlite3.Error as error:
                raise CommandError(f"{self.file}: {error}") from None

    async def _count(self) -> int | None:
        if self.query is not None or not self.file.is_file():
            return None
        header = 1 if self.format is FileFormat.CSV else 0
        return max(0, await in_daemon_thread(lambda: count_lines(self.file)) - header)

    @asynccontextmanager
    async def _csv_path(self) -> AsyncGenerator[Path]:
        """The path of the CSV file; a copy if it comes from standard input."""
        if self.file != STANDARD_STREAM:
            yield self.file
            return
        with NamedTemporaryFile(suffix=".csv") as copy:
            await in_daemon_thread(lambda: shutil.copyfileobj(open_standard_input(), copy))
            copy.flush()
            yield Path(copy.name)

    def _check_columns(self, path: Path) -> None:
        """Reject a file without ids, whose customers each sync would create again."""
        check_delimiter(self.delimiter)
        with path.open("rb") as file:
            columns = CsvRows(file, self.delimiter, name=str(self.file)).columns
        if "source_id" not in map(str.lower, columns):
            raise CommandError(
                f"{self.file} has no column Source_id, so that each sync would create its customers again:"
                f" rename the column with your ids. Its columns are {', '.join(columns)}"
            )

    def _customers(self) -> Iterator[Any]:
        if self.query is not None:
            with closing(open_database(self.file)) as database:
                yield from map(customer_of_row, database.execute(self.query))
        elif self.file == STANDARD_STREAM:
            yield from read_json_lines(open_standard_input(), self._numbers)
        else:
            with self.file.open("rb") as file:
                yield from read_json_lines(file, self._numbers)

    def print_report(self, report: SyncReport[Any], *, as_json: bool) -> ExitCode:
        """Print the counts and the failures.

        Returns:
            Whether customers failed or were invalid.
        """
        code = ExitCode.SOME_FAILED if report.failed or report.invalid else ExitCode.DONE
        if as_json:
            failures = [
                {
                    "line": self._line_of(failure),
                    "source_id": failure.source_id,
                    "key": failure.key,
                    "message": failure.message,
                    "details": failure.details,
                }
                for failure in report.failures
            ]
            counts = {name: getattr(report, name) for name in _COUNTS}
            print_json([{**counts, "jobs": len(report.jobs), "failures": failures}])
            return code
        if report.failures:
            rows = [
                (
                    self._line_of(failure),
                    failure.source_id,
                    failure.key,
                    ": ".join(filter(None, (failure.message, failure.details))),
                )
                for failure in report.failures[:_MAX_LISTED]
            ]
            print_table(("line" if self.query is None else "row", "source_id", "key", "message"), rows)
        more = report.failed + report.invalid - min(len(report.failures), _MAX_LISTED)
        if more > 0:
            notice(f"... and {more:,} more: --json prints up to 10,000 of them.")
        print(
            f"{report.read:,} read, {report.summary()}, {report.resent:,} sent again, in {len(report.jobs):,} jobs."
        )
        if report.missing:
            print(f"{report.missing:,} of earlier runs are no longer in the source.")
        return code

    def _line_of(self, failure: SyncFailure) -> int | None:
        position = failure.position
        if position is None or (self.format is FileFormat.CSV and self.query is None):
            return position
        return self._numbers.line_of(position)


_COUNTS: Final = (
    "read",
    "sent",
    "succeeded",
    "failed",
    "invalid",
    "unchanged",
    "duplicates",
    "resent",
    "missing",
)

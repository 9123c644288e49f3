"""Sync of a file of customers: its source, and what is printed of its outcome."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final, Unpack

import msgspec

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
_DELIMITERS: Final = (";", "\t", "|")


@dataclass(frozen=True)
class Source:
    """A file of customers.

    Attributes:
        file: The file; ``-`` for standard input.
        format: Its format, if there is no query.
        query: A query, if the file is an SQLite database: each row of its result is a customer.
        delimiter: The character between the cells of a CSV file.
        failures: The file to which each failure is written as a line of JSON, if any.
    """

    file: Path
    format: FileFormat
    query: str | None = None
    delimiter: str = ","
    failures: Path | None = None
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
            CommandError: The file cannot be read.
            VoucherifyError: See `CustomersResource.sync`.
        """
        with self._failure_log() as on_failure:
            options["on_failure"] = on_failure
            if self._is_csv:
                return await self._sync_csv(voucherify, advance, options)
            total = await in_daemon_thread(partial(count_lines, self.file)) if self._is_countable else None
            options["on_progress"] = partial(_show_progress, advance, total)
            advance(0, total)
            async with aclosing(iterate_in_thread(self._customers())) as customers:
                try:
                    return await voucherify.customers.sync(customers, **options)
                except sqlite3.Error as error:
                    raise CommandError(f"{self.file}: {error}") from None

    @property
    def _is_csv(self) -> bool:
        return self.format is FileFormat.CSV and self.query is None

    @property
    def _is_countable(self) -> bool:
        return self.query is None and self.file.is_file()

    async def _sync_csv(
        self, voucherify: VoucherifyClient, advance: Advance, options: SyncOptions
    ) -> SyncReport[Any]:
        async with self._csv_path() as path:
            total = await in_daemon_thread(partial(self._check_csv, path))
            options["on_progress"] = partial(_show_progress, advance, total)
            advance(0, total)
            return await voucherify.customers.sync_csv(path, delimiter=self.delimiter, **options)

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

    def _check_csv(self, path: Path) -> int:
        """Read the file once, before anything is sent, and return the number of its rows.

        Raises:
            CommandError: It has no ids, so that each sync would create its customers again, or cannot be read.
        """
        check_delimiter(self.delimiter)
        count = without_id = 0
        with path.open("rb") as file:
            try:
                rows = CsvRows(file, self.delimiter, name=str(self.file))
                self._check_columns(rows.columns)
                for row in rows:
                    count += 1
                    without_id += row.source_id is None and row.id is None
            except ValueError as error:
                raise CommandError(str(error)) from None
        if without_id:
            notice(f"{without_id:,} rows have no Source_id: each sync creates new customers for them.")
        return count

    def _check_columns(self, columns: list[str]) -> None:
        names = ", ".join(columns)
        if "source_id" not in map(str.lower, columns):
            advice = "rename the column with your ids"
            for delimiter in _DELIMITERS:
                if len(columns) == 1 and delimiter in names:
                    advice = f"pass --delimiter {delimiter!r}"
            raise CommandError(
                f"{self.file} has no column Source_id, so that each sync would create its customers again:"
                f" {advice}. Its columns are {names}"
            )
        if paths := [name for name in columns if name.lower().startswith(("metadata.", "address."))]:
            raise CommandError(
                f"{self.file}: {', '.join(paths)} would become metadata of this name: such columns of"
                " customers export --columns cannot be synced"
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

    @contextmanager
    def _failure_log(self) -> Generator[Any]:
        """Write each failure as a line of JSON to the file for them."""
        if self.failures is None:
            yield None
            return
        with self.failures.open("wb") as file:

            def write(failure: SyncFailure) -> None:
                file.write(msgspec.json.encode(self._plain(failure)) + b"\n")

            yield write

    def print_report(self, report: SyncReport[Any], *, as_json: bool) -> ExitCode:
        """Print the counts and the failures.

        Returns:
            Whether customers failed or were invalid.
        """
        code = ExitCode.SOME_FAILED if report.failed or report.invalid else ExitCode.DONE
        if as_json:
            counts = {name: getattr(report, name) for name in _COUNTS}
            failures = [self._plain(failure) for failure in report.failures]
            print_json([{**counts, "jobs": len(report.jobs), "failures": failures}])
            return code
        if report.failures:
            listed = [self._plain(failure) for failure in report.failures[:_MAX_LISTED]]
            rows = [
                (
                    failure["line"],
                    failure["source_id"],
                    failure["key"],
                    ": ".join(filter(None, (failure["message"], failure["details"]))),
                )
                for failure in listed
            ]
            print_table(("line" if self.query is None else "row", "source_id", "key", "message"), rows)
        more = report.failed + report.invalid - min(len(report.failures), _MAX_LISTED)
        if more > 0:
            where = "--failures FILE writes all of them" if self.failures is None else f"see {self.failures}"
            notice(f"... and {more:,} more: {where}.")
        print(
            f"{report.read:,} read, {report.summary()}, {report.resent:,} sent again, in {len(report.jobs):,} jobs."
        )
        if report.missing:
            print(
                f"{report.missing:,} of earlier runs are no longer in the source:"
                " customers delete-missing deletes them."
            )
        return code

    def _plain(self, failure: SyncFailure) -> dict[str, Any]:
        """A failure as JSON has it, with its line in the file, or its row in the result of the query."""
        line, message = failure.position, failure.message
        if line is not None and not self._is_csv:
            message = self._numbers.problems.get(line, message)
            line = self._numbers.line_of(line)
        return {
            "line": line,
            "source_id": failure.source_id,
            "key": failure.key,
            "message": message,
            "details": failure.details,
        }


def _show_progress(advance: Advance, total: int | None, seen: SyncProgress) -> None:
    done = seen.succeeded + seen.failed + seen.invalid + seen.unchanged + seen.duplicates
    advance(done, total)

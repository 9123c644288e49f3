"""Export of customers to a file, which can be continued after it was interrupted.

While an export runs, `FILE.part` holds the customers so far as lines of JSON, and `FILE.part.json` its state: the windows
of creation time in which the list is read, the cursor of each, and how many bytes of `FILE.part` belong to them. The
state is saved every second: first the data are on disk, then the state is replaced. To continue, everything after the
recorded bytes is cut off and read again. At the end the data are converted to the format, and `FILE` appears as a
whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Self

import msgspec

from voucherify_async._tasks import gather
from voucherify_async._transport.retry import RetryPolicy
from voucherify_async.cli._connection import Project
from voucherify_async.cli._exit_codes import CommandError, ExitCode
from voucherify_async.cli._formats import FileFormat
from voucherify_async.cli._output import Advance, notice, progress_bar
from voucherify_async.cli._threads import in_daemon_thread, open_standard_output, write_all
from voucherify_async.cli._writing import write_csv, write_parquet
from voucherify_async.pagination.windows import Window

if TYPE_CHECKING:
    from voucherify_async.client import VoucherifyClient
    from voucherify_async.resources._customer_list import CustomerFilters

try:
    import fcntl
except ImportError:  # Windows: nothing prevents two exports to one file there
    fcntl = None  # type: ignore[assignment]

__all__ = ["ExportState", "PartialExport", "export_to_file", "export_to_output", "read_customers"]

_SAVE_SECONDS: Final = 1.0
_PAGE: Final = 100
_PATIENT: Final = RetryPolicy(attempts=10)
"""Half a minute without the service is no reason to end an export."""
_WINDOWS_PER_READER: Final = 8
"""More windows than readers, so that all of them have something to read until the end."""
_MIN_WINDOW: Final = 500
"""The fewest customers for which a window is worth the requests that find it."""


class Walk(msgspec.Struct):
    """How far the customers of a window have been read.

    Attributes:
        window: The window; `None` for the whole list.
        cursor: Where to continue; `None` at the beginning.
        ended: Whether all customers have been read.
    """

    window: Window | None = None
    cursor: str | None = None
    ended: bool = False


class ExportState(msgspec.Struct):
    """The contents of the state file.

    Attributes:
        source: A digest of the service, the project and the filters.
        walks: The windows; empty until they are planned.
        length: The bytes of the data file that belong to this state.
        customers: The number of customers in them.
    """

    source: str
    walks: list[Walk] = []
    length: int = 0
    customers: int = 0


async def read_customers(
    voucherify: VoucherifyClient,
    filters: CustomerFilters,
    state: ExportState,
    write: Callable[[bytes], Awaitable[None]],
    *,
    concurrency: int,
    advance: Advance,
    save: Callable[[], None] = lambda: None,
) -> None:
    """Read the customers that the state says are missing, and write them as lines of JSON.

    Args:
        voucherify: The client.
        filters: The filters of the list.
        state: The progress, which is updated after each page.
        write: Writes the lines of a page.
        concurrency: The number of windows to read at once.
        advance: Called with the number of customers so far and the total.
        save: Called after the state has changed.
    """
    voucherify = voucherify.with_options(retry=_PATIENT)
    total = (await voucherify.customers.list(limit=1, **filters)).total
    if not state.walks:
        state.walks = await _plan(voucherify, filters, total, concurrency)
    encoder = msgspec.json.Encoder()
    remaining = iter([walk for walk in state.walks if not walk.ended])
    advance(state.customers, total)

    async def read_remaining() -> None:
        for walk in remaining:
            pager = voucherify.customers.list(limit=_PAGE, window=walk.window, cursor=walk.cursor, **filters)
            async for page in pager.pages():
                lines = encoder.encode_lines(page.items)
                await write(lines)
                state.length += len(lines)
                state.customers += len(page.items)
                walk.cursor, walk.ended = page.next_cursor, not page.has_more
                save()
                advance(state.customers, total)

    await gather(*(read_remaining() for _ in range(concurrency)))


async def _plan(
    voucherify: VoucherifyClient, filters: CustomerFilters, total: int | None, concurrency: int
) -> list[Walk]:
    count = concurrency * _WINDOWS_PER_READER
    if total is not None:
        count = min(count, total // _MIN_WINDOW)
    if concurrency == 1 or count <= 1:
        return [Walk()]
    return [Walk(window) for window in await voucherify.customers.plan_windows(count, **filters)]


class PartialExport:
    """An export to a file; see the module docstring.

    Attributes:
        state: The progress of the export.
    """

    def __init__(self, file: Path, source: str, *, overwrite: bool = False, restart: bool = False) -> None:
        """Continue the export, or begin it.

        Args:
            file: The file that the finished export will be.
            source: A digest of what is exported.
            overwrite: Whether to replace an existing file.
            restart: Whether to discard what an interrupted export left.

        Raises:
            CommandError: The file exists, or what an earlier export left cannot be continued.
            OSError: A file cannot be created.
        """
        self._file = file
        self._data_path = file.with_name(f"{file.name}.part")
        self._state_path = file.with_name(f"{file.name}.part.json")
        if file.exists() and not overwrite:
            raise CommandError(f"{file} exists: --overwrite replaces it")
        found = self._data_path.exists()
        self._data = self._data_path.open("ab", buffering=0)
        try:
            self._lock()
            self.state = self._find(source) if found and not restart else ExportState(source)
            self._data.truncate(self.state.length)
            self._save()
        except BaseException:
            self._data.close()
            raise
        self._saved_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.state.length == 0:  # nothing that could be continued
            for path in (self._data_path, self._state_path):
                path.unlink(missing_ok=True)
        self._data.close()

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._data, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"another process writes to {self._data_path}", ExitCode.UNAVAILABLE) from None

    def _find(self, source: str) -> ExportState:
        size = os.fstat(self._data.fileno()).st_size
        try:
            state = msgspec.json.decode(self._state_path.read_bytes(), type=ExportState)
        except FileNotFoundError:
            if size:
                raise CommandError(f"{self._data_path} has no state file: --restart discards it") from None
            return ExportState(source)
        except msgspec.DecodeError as error:
            raise CommandError(f"{self._state_path} is damaged ({error}): --restart starts over") from None
        if state.source != source:
            raise CommandError(
                f"{self._data_path} was started for another project, or with other filters: --restart starts over"
            )
        if size < state.length:
            raise CommandError(f"{self._data_path} is shorter than recorded: --restart starts over")
        return state

    async def write(self, lines: bytes) -> None:
        """Append lines to the data."""
        write_all(self._data, lines)

    def save_if_due(self) -> None:
        """Save the state if it was not saved within the last second."""
        if time.monotonic() - self._saved_at >= _SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Make sure that the data are on disk, then replace the state file."""
        os.fsync(self._data.fileno())
        self._save()
        self._saved_at = time.monotonic()

    def _save(self) -> None:
        """Replace the state file atomically: a reader sees the old or the new state, never a part of one."""
        new = self._state_path.with_name(f"{self._state_path.name}.new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(self.state))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._state_path)

    def finish(self, into: FileFormat, columns: Sequence[str] | None) -> None:
        """Convert the data to the format, put them in place, and delete what is not needed any more."""
        os.fsync(self._data.fileno())
        if into is FileFormat.NDJSON:
            self._data_path.replace(self._file)
            self._state_path.unlink()
            return
        new = self._file.with_name(f"{self._file.name}.new")
        try:
            with new.open("wb") as file:
                if into is FileFormat.CSV:
                    write_csv(self._data_path, file, columns)
                else:
                    write_parquet(self._data_path, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
        finally:
            new.unlink(missing_ok=True)
        self._data_path.unlink()
        self._state_path.unlink()


def export_to_file(
    project: Project,
    filters: CustomerFilters,
    file: Path,
    into: FileFormat,
    columns: Sequence[str] | None,
    *,
    concurrency: int,
    overwrite: bool,
    restart: bool,
) -> int:
    """Export customers to a file, or continue an export to it, and return their number.

    Raises:
        CommandError: The file exists, or what an earlier export left cannot be continued.
        VoucherifyError: A call failed.
        OSError: A file cannot be written.
    """
    source = repr((project.client.base_url, project.app_id, sorted(filters.items())))
    digest = hashlib.blake2b(source.encode(), digest_size=16).hexdigest()
    with PartialExport(file, digest, overwrite=overwrite, restart=restart) as partial:
        if partial.state.customers:
            notice(f"Continuing after {partial.state.customers:,} customers.")
        with progress_bar("customers") as advance:
            try:
                project.run(
                    lambda voucherify: read_customers(
                        voucherify,
                        filters,
                        partial.state,
                        partial.write,
                        concurrency=concurrency,
                        advance=advance,
                        save=partial.save_if_due,
                    )
                )
            finally:
                partial.save()
        partial.finish(into, columns)
        return partial.state.customers


def export_to_output(
    project: Project,
    filters: CustomerFilters,
    into: FileFormat,
    columns: Sequence[str] | None,
    *,
    concurrency: int,
) -> None:
    """Export customers to standard output.

    Raises:
        BrokenPipeError: The reader has closed the pipe.
        VoucherifyError: A call failed.
    """
    if into is not FileFormat.NDJSON:  # needs all customers before the first can be written
        with TemporaryDirectory() as folder:
            file = Path(folder) / "customers"
            export_to_file(
                project, filters, file, into, columns, concurrency=concurrency, overwrite=False, restart=False
            )
            with file.open("rb") as whole:
                shutil.copyfileobj(whole, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        return
    output = open_standard_output()
    turn = asyncio.Lock()

    async def write(lines: bytes) -> None:
        async with turn:
            await in_daemon_thread(partial(write_all, output, lines))

    with progress_bar("customers") as advance:
        project.run(
            lambda voucherify: read_customers(
                voucherify, filters, ExportState(""), write, concurrency=concurrency, advance=advance
            )
        )

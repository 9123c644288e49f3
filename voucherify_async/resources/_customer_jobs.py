"""Customer operations that run as background jobs: single bulk calls, and syncs that start many jobs."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Literal, TypedDict, Unpack

import anyio.to_thread
import msgspec

from voucherify_async._sync.batcher import keep_last, merge_customers
from voucherify_async._sync.batches import ID_PREFIX, BodyTemplate, Item
from voucherify_async._sync.jobs import OPEN
from voucherify_async._sync.outcome import read_bulk_result, read_import_result
from voucherify_async._sync.report import SyncReport
from voucherify_async._sync.results import SyncFailure, SyncProgress
from voucherify_async._sync.run import sync
from voucherify_async._sync.spec import DEFAULT_BODY_BYTES, DEFAULT_BODY_ITEMS, JobSpec, SyncSettings
from voucherify_async._sync.state import SyncState
from voucherify_async._transport.auth import ApiKeys
from voucherify_async._transport.operation import Body, Operation, Request
from voucherify_async._transport.session import SessionManager
from voucherify_async._transport.token_manager import TokenManager
from voucherify_async._transport.wire import (
    MAX_BODY_BYTES,
    FilePart,
    encode_json,
    encode_multipart,
    json_value,
)
from voucherify_async.models.async_actions import AsyncAction, AsyncActionReceipt
from voucherify_async.models.customers import Customer, CustomerUpsert
from voucherify_async.pagination.rules.base import MAX_PAGE_SIZE
from voucherify_async.resources._csv import CsvRow, CsvRows, check_columns
from voucherify_async.resources._inputs import (
    check_callback,
    check_count,
    check_delimiter,
    check_source,
    check_source_id,
    check_timeout,
    check_upsert,
    csv_part,
    open_csv,
    source_id_list,
    upsert_body,
)
from voucherify_async.resources.async_actions import AsyncActionsResource

__all__ = ["CustomerJobs", "SyncOptions"]

_BULK: Final[dict[str, Any]] = {
    "into": AsyncActionReceipt,
    "repeatable": False,
    "limit_kind": "bulk_api_calls",
}
_IMPORT_CSV: Final[Operation[AsyncActionReceipt]] = Operation(
    "customers.import_csv", "POST", "/v1/customers/importCSV", **_BULK
)
_UPDATE_IN_BULK: Final[Operation[AsyncActionReceipt]] = Operation(
    "customers.update_in_bulk", "POST", "/v1/customers/bulk/async", **_BULK
)
_UPDATE_METADATA_IN_BULK: Final[Operation[AsyncActionReceipt]] = Operation(
    "customers.update_metadata_in_bulk", "POST", "/v1/customers/metadata/async", **_BULK
)

_MAX_CHUNK_ROWS: Final = 1_000
_MAX_CHUNK_BYTES: Final = 1_000_000
_ONE_MILLISECOND: Final = dt.timedelta(milliseconds=1)
_DIGEST_BYTES: Final = 8


class SyncOptions(TypedDict, total=False):
    """Options of a sync, as keyword arguments; see `CustomersResource.sync`."""

    concurrency: int
    on_progress: Callable[[SyncProgress], object] | None
    on_invalid: Literal["report", "raise"]
    on_failure: Callable[[SyncFailure], object] | None
    max_body_bytes: int
    max_body_items: int
    timeout: float | None
    state: str | os.PathLike[str] | None
    full: bool
    project: str | None


class CustomerJobs:
    """The methods of `CustomersResource` that use background jobs."""

    def __init__(self, sessions: SessionManager) -> None:
        """Do not call this directly: use `VoucherifyClient.customers`."""
        self._sessions = sessions

    async def import_csv(self, file: str | os.PathLike[str] | bytes | IO[bytes]) -> AsyncActionReceipt:
        """Create and update customers from a CSV file in a background job.

        The first row contains the column names: `Id, Name, Email, Phone, Birthdate, Source_id, Address_line_1,
        Address_line_2, Address_Postal_Code, Address_City, Address_State, Address_Country, Description`;
        every other column becomes metadata. A row with the `Source_id` of an existing customer replaces all
        attributes and metadata of that customer. The request is not retried after it was sent.

        Args:
            file: A path, bytes, or a file open in binary mode; asynchronous files and pipes are accepted. At most
                10 MB, comma-separated, in UTF-8. Empty rows are not sent. For larger files or other delimiters, use
                `sync_csv`.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: `file` is too large, not open in binary mode, or not a CSV file, or its header is invalid.
            OutcomeUnknownError: The request was sent, but no response arrived.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/import-and-update-customers-using-csv
        """
        body = encode_multipart({"file": await csv_part(file)})
        return await self._sessions.send(Request(_IMPORT_CSV, _IMPORT_CSV.path, body))

    async def update_in_bulk(
        self, customers: Iterable[CustomerUpsert | Customer[Any] | Mapping[str, Any]]
    ) -> AsyncActionReceipt:
        """Update many customers in a background job, and create those that do not exist.

        The request is not retried after it was sent.

        Args:
            customers: The customers, each with its `source_id`; at most 10 MB as JSON.

        Raises:
            ValueError: A customer has no `source_id`, a property is invalid, or the body is larger than 10 MB. The
                message names the customer.
            OutcomeUnknownError: The request was sent, but no response arrived.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-in-bulk
        """
        request = Request(_UPDATE_IN_BULK, _UPDATE_IN_BULK.path, upsert_body(customers))
        return await self._sessions.send(request)

    async def update_metadata_in_bulk(
        self, source_ids: Iterable[str], metadata: Mapping[str, Any]
    ) -> AsyncActionReceipt:
        """Merge the same metadata into many customers in a background job, and create those that do not exist.

        The request is not retried after it was sent.

        Args:
            source_ids: The customers' ids in your own system; with the metadata, at most 10 MB as JSON.
            metadata: The metadata, merged key by key.

        Raises:
            ValueError: An argument is invalid. The message names it.
            OutcomeUnknownError: The request was sent, but no response arrived.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-metadata-in-bulk
        """
        if not isinstance(metadata, Mapping):
            raise ValueError(f"metadata must be a mapping, not {metadata!r}")
        fields = {"source_ids": source_id_list(source_ids), "metadata": json_value("metadata", metadata)}
        body = encode_json("source_ids with metadata", fields)
        request = Request(_UPDATE_METADATA_IN_BULK, _UPDATE_METADATA_IN_BULK.path, body)
        return await self._sessions.send(request)

    async def sync(
        self,
        source: Iterable[CustomerUpsert | Customer[Any] | Mapping[str, Any]]
        | AsyncIterable[CustomerUpsert | Customer[Any] | Mapping[str, Any]],
        *,
        concurrency: int = 4,
        on_progress: Callable[[SyncProgress], object] | None = None,
        on_invalid: Literal["report", "raise"] = "report",
        on_failure: Callable[[SyncFailure], object] | None = None,
        max_body_bytes: int = DEFAULT_BODY_BYTES,
        max_body_items: int = DEFAULT_BODY_ITEMS,
        timeout: float | None = None,  # noqa: ASYNC109  # the timeout error contains the report
        state: str | os.PathLike[str] | None = None,
        full: bool = False,
        project: str | None = None,
    ) -> SyncReport:
        """Upsert any number of customers through bulk jobs, and report the outcome.

        ::

            report = await voucherify.customers.sync(customers)
            if report.failed:
                report = await voucherify.customers.sync(report.failed_items())

        The source is read as needed. A request is sent when it is full or the source ends. By default, a customer
        that cannot be sent is reported and does not stop the sync. Customers with the same `source_id` are applied
        in the order of the source; those that wait for an earlier one are merged, and count as `duplicates`.

        A request is sent again if its response was lost. A failed job is run once more. A rejected request is split
        to find the items that caused the rejection. (If a lost request reaches the service only after its retry has
        been applied, it can overwrite later changes.)

        With a `state` file, only customers that are new, or have changed since the service acknowledged them, are
        sent; the others count as `unchanged`. The source may differ from sync to sync, and a sync that was killed can
        be started again. Changes made directly in the service are not detected: `full` sends everything. Fields and
        metadata keys that are absent from a customer keep their values in the service; `None` clears a field. The
        state file also stores the customers that failed in the last sync. Only its owner can read it, and only one
        process at a time can use it.

        A plain iterable is read in the event loop and must not block; if reading blocks, pass an async iterable.

        Args:
            source: The customers, each with its `source_id`; those that `list` yields, also from another project, are
                accepted. `csv.DictReader` yields ``""`` for an empty cell, which is not a valid date: convert its rows
                with ``{name: text or None for name, text in row.items()}``, or leave out such columns.
            concurrency: The number of bulk jobs that may run at once.
            on_progress: Called with the progress, at most ten times a second, and once at the end.
            on_invalid: How to handle a customer that cannot be sent: ``"report"`` or ``"raise"``.
            on_failure: Called with each failure. The report itself keeps at most 10,000 failures, or 16 MiB.
            max_body_bytes: The largest request body, in bytes; at most 10 MB.
            max_body_items: The largest number of customers in a request.
            timeout: Seconds after which the sync stops waiting; `None` waits without limit. Running jobs continue.
            state: The path of a file that records what the service holds. It is created if it does not exist.
            full: Also send customers that are unchanged.
            project: A name of your choice for the Voucherify project, stored in the state file. Required with `state`
                if the client has only a token, and to keep using the file after its application id changes.

        Raises:
            ValueError: An argument is out of range, or with `on_invalid="raise"`, a customer cannot be sent. The
                message names it.
            SyncStateError: The state file is in use, damaged, belongs to another project or kind of sync, or cannot
                be written.
            SyncTimeoutError: The sync did not end within `timeout`. The error's `report` has the ids of the jobs that
                are still running.
            VoucherifyError: The service refuses further requests, or has been unreachable for about three minutes.
                The error's `report` has the outcome so far. Running jobs continue.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-in-bulk
        """
        check_source("source", source)
        settings = _check_options(
            concurrency=concurrency,
            on_progress=on_progress,
            on_invalid=on_invalid,
            on_failure=on_failure,
            max_body_bytes=max_body_bytes,
            max_body_items=max_body_items,
            timeout=timeout,
            state=state,
            full=full,
            project=project,
        )
        spec = JobSpec(
            project=self._project(settings),
            name=_UPDATE_IN_BULK.name,
            template=_body_template("a list", b"[", b",", b"]", settings),
            encode=_customer_item,
            read_result=read_bulk_result,
            merge=merge_customers,
        )
        return await self._run_sync(_UPDATE_IN_BULK, _json_body, spec, source, settings)

    async def sync_metadata(
        self,
        source_ids: Iterable[str] | AsyncIterable[str],
        metadata: Mapping[str, Any],
        **options: Unpack[SyncOptions],
    ) -> SyncReport[str]:
        """Merge the same metadata into any number of customers through bulk jobs, and create missing customers.

        Works like `sync`. The service may count failures without naming the items: such a failure has no
        `position` and no `item`.

        Args:
            source_ids: The customers' ids in your own system.
            metadata: The metadata, merged key by key.
            **options: As for `sync`.

        Raises:
            ValueError: An argument is invalid or out of range. The message names it.
            VoucherifyError: The service refuses further requests, or is unreachable for long; see `sync`.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-metadata-in-bulk
        """
        check_source("source_ids", source_ids)
        if not isinstance(metadata, Mapping):
            raise ValueError(f"metadata must be a mapping, not {metadata!r}")
        settings = _check_options(**options)
        # Sorted keys, so that a state file recognizes equal metadata.
        content = encode_json("metadata", json_value("metadata", metadata), sort_keys=True).content
        head = b'{"metadata":' + content + b',"source_ids":['
        spec = JobSpec(
            project=self._project(settings),
            name=_UPDATE_METADATA_IN_BULK.name,
            template=_body_template("metadata", head, b",", b"]}", settings),
            encode=_source_id_item,
            read_result=read_bulk_result,
            merge=keep_last,
            position_name="source_ids[{}]",
        )
        return await self._run_sync(_UPDATE_METADATA_IN_BULK, _json_body, spec, source_ids, settings)

    async def sync_csv(
        self, path: str | os.PathLike[str], *, delimiter: str = ",", **options: Unpack[SyncOptions]
    ) -> SyncReport[str]:
        """Import a CSV file of any size, split into several jobs.

        Rows have the same effect as with `import_csv`; the options and the report are those of `sync`. The
        `position` of a failure is the line of the file on which its row begins, from 1, and its `item` is the row.

        A row without a `Source_id` creates a new customer each time the service receives it, so such rows are never
        sent twice. If a response is lost, all rows of that request are reported as ``outcome_unknown``. A failed job
        with such rows is not run again, and their order is not kept. A state file identifies such a row by its
        content and the number of equal rows before it. The row is sent once, even with `full`; if its outcome is
        unknown, every later sync reports it as ``outcome_unknown``.

        Args:
            path: The file or named pipe, in UTF-8. The first row contains the column names, which must be non-empty,
                unique and without spaces. Empty rows count as `skipped`.
            delimiter: The character between cells. The service receives commas. An Excel ``sep=;`` line at the start
                of the file overrides it.
            **options: As for `sync`.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: An argument is out of range, the header is invalid, or a row cannot be read as CSV. The
                message names the argument and the line. If a row cannot be read, the error's `report` has the
                outcome of the rows before it.
            VoucherifyError: The service refuses further requests, or is unreachable for long; see `sync`.

        API: https://docs.voucherify.io/api-reference/customers/import-and-update-customers-using-csv
        """
        settings = _check_options(**options)
        check_delimiter(delimiter)
        async with await open_csv(path) as file:
            rows = await anyio.to_thread.run_sync(CsvRows, file.wrapped, delimiter)
            check_columns("path", rows.columns)
            wrap = partial(_csv_body, Path(path).name)
            overhead = len(wrap(b"").content)
            spec = JobSpec(
                project=self._project(settings),
                name=_IMPORT_CSV.name,
                template=_body_template(
                    "path: the header", rows.header, b"", b"", settings, overhead=overhead, is_json=False
                ),
                encode=_row_item,
                read_result=read_import_result,
                merge=keep_last,
                locate=lambda _, row: row.line,
                position_name="path: line {}",
            )
            try:
                async with aclosing(_read_in_thread(rows)) as source:
                    report = await self._run_sync(_IMPORT_CSV, wrap, spec, source, settings)
            except Exception as error:
                partial_report = getattr(error, "report", None)
                if isinstance(partial_report, SyncReport):
                    error.report = _with_skipped(partial_report, rows)  # type: ignore[attr-defined]  # checked above
                raise
            return _with_skipped(report, rows)

    async def _run_sync(
        self,
        operation: Operation[AsyncActionReceipt],
        wrap: Callable[[bytes], Body],
        spec: JobSpec,
        source: Iterable[Any] | AsyncIterable[Any],
        settings: SyncSettings,
    ) -> SyncReport[Any]:
        return await sync(
            _BulkJobService(self._sessions, operation, wrap),
            spec,
            source,
            settings,
            clock=self._sessions.clock,
            max_server_wait=self._sessions.options.retry.max_server_wait,
        )

    def _project(self, settings: SyncSettings) -> str:
        """Identify the project in a state file: the caller's `project`, or a hash of base URL and application id.

        Raises:
            ValueError: There is a state file, but neither a name nor an application id.
        """
        keys = self._credentials
        if settings.state is None or settings.project is not None:
            return settings.project or ""
        if not isinstance(keys, ApiKeys):
            raise ValueError("project is required with a state file: a token does not identify the project")
        return _digest(f"{self._sessions.pool.settings.base_url} {keys.app_id}".encode())

    def _existing_state(self, path: str | os.PathLike[str], project: str | None) -> SyncState:
        settings = _check_options(state=path, project=project)
        # Excludes sync_metadata: a customer missing from its source has not necessarily been removed.
        kinds = [_UPDATE_IN_BULK.name, _IMPORT_CSV.name]
        return SyncState(path, project=self._project(settings), kinds=kinds, create=False)

    @property
    def _credentials(self) -> object:
        """The API keys of the client, or its access token."""
        auth = self._sessions.options.auth
        return auth.credentials.keys if isinstance(auth, TokenManager) else auth


class _BulkJobService:
    """The background jobs of one operation; implements `JobService`."""

    def __init__(
        self,
        sessions: SessionManager,
        operation: Operation[AsyncActionReceipt],
        wrap: Callable[[bytes], Body],
    ) -> None:
        self._sessions = sessions
        self._operation = operation
        self._wrap = wrap
        self._actions = AsyncActionsResource(sessions)

    async def start(self, content: bytes, /) -> str:
        request = Request(self._operation, self._operation.path, self._wrap(content))
        return (await self._sessions.send(request)).async_action_id

    async def get(self, job_id: str, /) -> AsyncAction:
        return await self._actions.get(job_id)

    async def open_before(self, action: AsyncAction | None, /) -> list[str]:
        if action is None:
            page = await self._actions.list(limit=MAX_PAGE_SIZE)
            return [other.id for other in page.items if other.status in OPEN]
        # end_date is exclusive: add 1 ms to include jobs created in the same millisecond.
        until = None if action.created_at is None else action.created_at + _ONE_MILLISECOND
        page = await self._actions.list(limit=MAX_PAGE_SIZE, end_date=until)
        return [
            other.id
            for other in page.items
            if other.type == action.type and other.id != action.id and other.status in OPEN
        ]


def _check_options(**given: Unpack[SyncOptions]) -> SyncSettings:
    """Check the options and add the defaults."""
    settings = SyncSettings(**given)
    check_count("concurrency", settings.concurrency)
    check_count("max_body_bytes", settings.max_body_bytes, MAX_BODY_BYTES)
    check_count("max_body_items", settings.max_body_items)
    check_timeout(settings.timeout)
    check_callback("on_progress", settings.on_progress)
    check_callback("on_failure", settings.on_failure)
    if settings.on_invalid not in ("report", "raise"):  # not a set: the value may be unhashable
        raise ValueError(f"on_invalid must be 'report' or 'raise', not {settings.on_invalid!r}")
    if settings.state is not None:
        _check_state(settings.state)
    if not isinstance(settings.full, bool):
        raise ValueError(f"full must be True or False, not {settings.full!r}")
    if settings.project is not None and (not isinstance(settings.project, str) or not settings.project):
        raise ValueError(f"project must be a non-empty string, not {settings.project!r}")
    return settings


def _check_state(state: str | os.PathLike[str]) -> None:
    path: object = os.fspath(state) if isinstance(state, str | os.PathLike) else None
    if not isinstance(path, str) or "\0" in path:
        raise ValueError(f"state must be a path, not {state!r}")
    if not path:
        raise ValueError("state must not be empty")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError(f"state must be a path that can be encoded, not {path!r}") from None


def _with_skipped(report: SyncReport[Any], rows: CsvRows) -> SyncReport[Any]:
    return msgspec.structs.replace(report, skipped=rows.skipped)


def _customer_item(position: int, raw: Any) -> Item:
    upsert = check_upsert("", raw)
    return Item(position, upsert.source_id, encode_json("the item", upsert, sort_keys=True).content)


def _source_id_item(position: int, raw: Any) -> Item:
    source_id = check_source_id("the id", raw)
    return Item(position, source_id, encode_json("the id", source_id).content)


def _row_item(position: int, row: CsvRow) -> Item:
    if row.source_id is not None:
        return Item(position, row.source_id, row.content)
    key = None if row.id is None else ID_PREFIX + row.id.encode()
    return Item(position, key, row.content, row.identity)


def _body_template(
    what: str,
    head: bytes,
    separator: bytes,
    tail: bytes,
    settings: SyncSettings,
    *,
    overhead: int = 0,
    is_json: bool = True,
) -> BodyTemplate:
    """Create a template that respects the size limits of the options.

    Args:
        what: What `head` is, for the error message.
        head: The start of the body.
        separator: The bytes between two items.
        tail: The end of the body.
        settings: The options, with the size limits.
        overhead: The number of bytes that the encoding adds to the body.
        is_json: Whether the items are JSON.

    Raises:
        ValueError: The limit leaves no space for items.
    """
    template = BodyTemplate(
        head, separator, tail, settings.max_body_bytes - overhead, settings.max_body_items, is_json=is_json
    )
    if template.room < 1:
        min_bytes = settings.max_body_bytes - template.room
        raise ValueError(
            f"{what} takes {min_bytes:,} bytes of a request, but max_body_bytes is {settings.max_body_bytes:,}"
        )
    return template


def _csv_body(name: str, content: bytes) -> Body:
    return encode_multipart({"file": FilePart(name, content, "text/csv")})


def _json_body(content: bytes) -> Body:
    return Body(content, "application/json")


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


async def _read_in_thread(rows: CsvRows) -> AsyncGenerator[CsvRow]:
    """Yield the rows of a file, which is read in a worker thread."""
    while chunk := await anyio.to_thread.run_sync(_read_chunk, rows):
        for row in chunk:
            yield row


def _read_chunk(rows: CsvRows) -> list[CsvRow]:
    """Read the next rows, up to the chunk limits."""
    chunk: list[CsvRow] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(row.content)
        if size >= _MAX_CHUNK_BYTES or len(chunk) == _MAX_CHUNK_ROWS:
            break
    return chunk

"""What is done to customers in background jobs: one job, or as many as it takes."""

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
from voucherify_async._sync.batches import BodyTemplate, Item
from voucherify_async._sync.jobs import OPEN
from voucherify_async._sync.outcome import read_bulk_result, read_import_result
from voucherify_async._sync.report import SyncReport
from voucherify_async._sync.results import SyncFailure, SyncProgress
from voucherify_async._sync.run import sync
from voucherify_async._sync.spec import BODY_BYTES, BODY_ITEMS, JobSpec, SyncSettings
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

_ROWS_AT_ONCE: Final = 1_000
_BYTES_AT_ONCE: Final = 1_000_000
_SAME_MOMENT: Final = dt.timedelta(milliseconds=1)
_DIGEST_BYTES: Final = 8


class SyncOptions(TypedDict, total=False):
    """How a sync job is done; see `CustomersResource.sync`."""

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
    """The part of `CustomersResource` that works in background jobs."""

    def __init__(self, sessions: SessionManager) -> None:
        """Use `VoucherifyClient.customers`."""
        self._sessions = sessions

    async def import_csv(self, file: str | os.PathLike[str] | bytes | IO[bytes]) -> AsyncActionReceipt:
        """Create and update customers from a CSV file, in a background job.

        The first row names the columns: `Id, Name, Email, Phone, Birthdate, Source_id, Address_line_1,
        Address_line_2, Address_Postal_Code, Address_City, Address_State, Address_Country, Description`;
        every other column becomes metadata. A row whose `Source_id` exists replaces that customer's
        attributes and metadata entirely. The call is not repeated once it was sent.

        Args:
            file: A path, the bytes, or a file open in binary mode, also an asynchronous one or a pipe, which is read
                to its end; at most 10 MB, comma-separated, in UTF-8. Rows with nothing in them are not sent. For a
                larger file, or other delimiters, there is `sync_csv`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: `file` is too large, not open in binary mode, or no CSV file; or its header would lose data.
            OutcomeUnknownError: It was sent, and no answer came.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/customers/import-and-update-customers-using-csv
        """
        body = encode_multipart({"file": await csv_part(file)})
        return await self._sessions.send(Request(_IMPORT_CSV, _IMPORT_CSV.path, body))

    async def update_in_bulk(
        self, customers: Iterable[CustomerUpsert | Customer[Any] | Mapping[str, Any]]
    ) -> AsyncActionReceipt:
        """Update many customers, and create those that do not exist, in a background job.

        The call is not repeated once it was sent.

        Args:
            customers: The customers, each with its `source_id`; at most 10 MB as JSON.

        Raises:
            ValueError: A customer has no `source_id`, a property cannot be sent, or the body is above
                10 MB; names which.
            OutcomeUnknownError: It was sent, and no answer came.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-in-bulk
        """
        request = Request(_UPDATE_IN_BULK, _UPDATE_IN_BULK.path, upsert_body(customers))
        return await self._sessions.send(request)

    async def update_metadata_in_bulk(
        self, source_ids: Iterable[str], metadata: Mapping[str, Any]
    ) -> AsyncActionReceipt:
        """Merge the same metadata into many customers, in a background job; creates those not found.

        The call is not repeated once it was sent.

        Args:
            source_ids: The customers' ids in your own system; at most 10 MB as JSON with the metadata.
            metadata: Merged key by key.

        Raises:
            ValueError: An argument cannot be sent; names it.
            OutcomeUnknownError: It was sent, and no answer came.
            VoucherifyError: The call failed otherwise.

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
        max_body_bytes: int = BODY_BYTES,
        max_body_items: int = BODY_ITEMS,
        timeout: float | None = None,  # noqa: ASYNC109  # its error has the report
        state: str | os.PathLike[str] | None = None,
        full: bool = False,
        project: str | None = None,
    ) -> SyncReport:
        """Upsert any number of customers through bulk jobs, and find out what became of each.

        ::

            report = await voucherify.customers.sync(customers)
            if report.failed:
                report = await voucherify.customers.sync(report.failed_items())

        The source is read as it is needed; a request goes out when it is full, or the source ends. A customer
        that cannot be sent is reported, and stops nothing. Customers with one `source_id` are applied in the
        order in which they come; those that wait for an earlier one are put together, and count as `duplicates`.
        A request whose answer was lost is sent again, and a job that fails is done once more; one that is refused as
        a whole is taken apart, to find the items that it is refused for. (A request that arrives only after its
        repetition has been applied can still undo what came later.)

        With a state, only customers that are new or changed since the service acknowledged them are sent; the others
        count as `unchanged`. The source may be another one each time, also after a process was killed. What is
        changed in the service itself stays unseen: `full` sends everything. Fields and metadata keys that a customer
        no longer has stay as they are there; `None` clears one. The file holds the customers that failed in the last
        sync, and only its owner may read it. One process at a time may use it.

        A plain iterable is read in the event loop, and should not block; pass an async one if it would.

        Args:
            source: The customers, each with its `source_id`; also those that `list` yields, of another project. All that `csv.DictReader` reads is text, and what is empty
                is ``""``, which is no date: give ``{name: text or None for name, text in row.items()}``, or leave such
                columns out.
            concurrency: Bulk jobs that are open at once.
            on_progress: Is called with how far it has come, at most ten times a second, and once at the end.
            on_invalid: What to do about a customer that cannot be sent: ``"report"`` or ``"raise"``.
            on_failure: Is called with each failure. At most 10,000 are in the report, or 16 MiB of them.
            max_body_bytes: The longest request, at most 10 MB.
            max_body_items: The most customers in a request.
            timeout: Seconds after which it stops waiting; `None` waits as long as it takes. What is under way goes on.
            state: A file that remembers what the service is known to hold; it is made if there is none.
            full: Send what is unchanged, too.
            project: Whose customers they are, if the client has only a token, or its application id changes.

        Raises:
            ValueError: An argument is out of range, or with `on_invalid="raise"` a customer cannot be sent; names it.
            SyncStateError: The state is in use, damaged, of another project or kind of sync, or cannot be written.
            SyncTimeoutError: It has not ended within `timeout`; its `report` has the ids of the jobs that go on.
            VoucherifyError: The service takes no more, or cannot be reached for some three minutes. The
                error's `report` says what became of the customers until then; what is under way, goes on.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-in-bulk
        """
        check_source("source", source)
        how = _check_options(
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
        kind = JobSpec(
            project=self._project(how),
            name=_UPDATE_IN_BULK.name,
            frame=_frame("a list", b"[", b",", b"]", how),
            encode=_customer_item,
            accounting=read_bulk_result,
            fold=merge_customers,
        )
        return await self._sync(_UPDATE_IN_BULK, _json_body, kind, source, how)

    async def sync_metadata(
        self,
        source_ids: Iterable[str] | AsyncIterable[str],
        metadata: Mapping[str, Any],
        **options: Unpack[SyncOptions],
    ) -> SyncReport[str]:
        """Merge the same metadata into any number of customers through bulk jobs; creates those not found.

        It goes as `sync` does. The service may count failures and not name them: those have neither position
        nor item.

        Args:
            source_ids: The customers' ids in your own system.
            metadata: Merged key by key.
            **options: As for `sync`.

        Raises:
            ValueError: An argument cannot be sent or is out of range; names it.
            VoucherifyError: The service takes no more, or cannot be reached for long; see `sync`.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-metadata-in-bulk
        """
        check_source("source_ids", source_ids)
        if not isinstance(metadata, Mapping):
            raise ValueError(f"metadata must be a mapping, not {metadata!r}")
        how = _check_options(**options)
        # In one order, as what is the same should look the same to a state.
        content = encode_json("metadata", json_value("metadata", metadata), sort_keys=True).content
        head = b'{"metadata":' + content + b',"source_ids":['
        kind = JobSpec(
            project=self._project(how),
            name=_UPDATE_METADATA_IN_BULK.name,
            frame=_frame("metadata", head, b",", b"]}", how),
            encode=_source_id_item,
            accounting=read_bulk_result,
            fold=keep_last,
            place="source_ids[{}]",
        )
        return await self._sync(_UPDATE_METADATA_IN_BULK, _json_body, kind, source_ids, how)

    async def sync_csv(
        self, path: str | os.PathLike[str], *, delimiter: str = ",", **options: Unpack[SyncOptions]
    ) -> SyncReport[str]:
        """Import a CSV file of any size, in parts of whole rows.

        Does to the rows what `import_csv` does, and goes as `sync` does. The `position` of a failure is the
        line of the file on which its row begins, from 1, and its `item` is the row. Rows without a
        `Source_id` make a new customer each time: they are not sent again when an answer is lost, but are
        reported as ``outcome_unknown``, with the rows that went with them; nor is a job with them done once
        more. They keep no order. A state knows such a row by what is in it, and by how many before it are the same:
        it is sent once, `full` or not, and is ``outcome_unknown`` in each later sync if nobody knows whether it arrived.

        Args:
            path: The file or named pipe, in UTF-8; its first row names the columns, of which none may be missing,
                stand in it twice or have spaces. Rows with nothing in them count as `skipped`.
            delimiter: What separates the cells in it. The service gets commas. Excel's line ``sep=;`` is heeded.
            **options: As for `sync`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file cannot be read as CSV from some line on, its header would lose data, an argument is
                out of range; names it. Of a file that cannot be read further, the error's `report` says what became
                of the rows until then.
            VoucherifyError: The service takes no more, or cannot be reached for long; see `sync`.

        API: https://docs.voucherify.io/api-reference/customers/import-and-update-customers-using-csv
        """
        how = _check_options(**options)
        check_delimiter(delimiter)
        async with await open_csv(path) as file:
            rows = await anyio.to_thread.run_sync(CsvRows, file.wrapped, delimiter)
            check_columns("path", rows.columns)
            wrap = partial(_csv_body, Path(path).name)
            around = len(wrap(b"").content)
            kind = JobSpec(
                project=self._project(how),
                name=_IMPORT_CSV.name,
                frame=_frame("path: the header", rows.header, b"", b"", how, around=around, is_json=False),
                encode=_row_item,
                accounting=read_import_result,
                fold=keep_last,
                locate=lambda _, row: row.line,
                place="path: line {}",
            )
            async with aclosing(_in_threads(rows)) as source:
                report = await self._sync(_IMPORT_CSV, wrap, kind, source, how)
            return msgspec.structs.replace(report, skipped=rows.skipped)

    async def _sync(
        self,
        operation: Operation[AsyncActionReceipt],
        wrap: Callable[[bytes], Body],
        kind: JobSpec,
        source: Iterable[Any] | AsyncIterable[Any],
        how: SyncSettings,
    ) -> SyncReport[Any]:
        return await sync(
            _Jobs(self._sessions, operation, wrap),
            kind,
            source,
            how,
            clock=self._sessions.clock,
            max_server_wait=self._sessions.options.retry.max_server_wait,
        )

    def _project(self, how: SyncSettings) -> str:
        """Whose customers they are, as a state names it: it tells projects apart, and nothing of them.

        Raises:
            ValueError: Nothing says so.
        """
        keys = self._keys
        if how.state is None or how.project is not None:
            return how.project or ""
        if not isinstance(keys, ApiKeys):
            raise ValueError("project must be given with a state: a token does not say whose it is")
        return _digest(f"{self._sessions.pool.settings.base_url} {keys.app_id}".encode())

    async def _existing_state(self, path: str | os.PathLike[str], project: str | None) -> SyncState:
        how = _check_options(state=path, project=project)
        if not await anyio.Path(path).exists():
            raise FileNotFoundError(f"state: there is no file {os.fspath(path)!r}")
        # Who is no longer in a list of those that get metadata need not be gone.
        kinds = [_UPDATE_IN_BULK.name, _IMPORT_CSV.name]
        return SyncState(path, project=self._project(how), kinds=kinds, create=False)

    @property
    def _keys(self) -> object:
        auth = self._sessions.options.auth
        return auth.credentials.keys if isinstance(auth, TokenManager) else auth


class _Jobs:
    """The background jobs of one operation; see `bulk.jobs.Jobs`."""

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
        until = None if action.created_at is None else action.created_at + _SAME_MOMENT
        page = await self._actions.list(limit=MAX_PAGE_SIZE, end_date=until)
        return [
            other.id
            for other in page.items
            if other.type == action.type and other.id != action.id and other.status in OPEN
        ]


def _check_options(**given: Unpack[SyncOptions]) -> SyncSettings:
    """The options with their defaults, if they are in range; names one that is not."""
    how = SyncSettings(**given)
    check_count("concurrency", how.concurrency)
    check_count("max_body_bytes", how.max_body_bytes, MAX_BODY_BYTES)
    check_count("max_body_items", how.max_body_items)
    check_timeout(how.timeout)
    check_callback("on_progress", how.on_progress)
    check_callback("on_failure", how.on_failure)
    if how.on_invalid not in ("report", "raise"):  # what is given may be unhashable
        raise ValueError(f"on_invalid must be 'report' or 'raise', not {how.on_invalid!r}")
    if how.state is not None and (
        not isinstance(how.state, str | os.PathLike) or "\0" in os.fspath(how.state)
    ):
        raise ValueError(f"state must be a path, not {how.state!r}")
    if how.state is not None and not os.fspath(how.state):
        raise ValueError("state must name a file")
    if not isinstance(how.full, bool):
        raise ValueError(f"full must be True or False, not {how.full!r}")
    if how.project is not None and (not isinstance(how.project, str) or not how.project):
        raise ValueError(f"project must be a non-empty string, not {how.project!r}")
    return how


def _customer_item(position: int, raw: Any) -> Item:
    upsert = check_upsert("", raw)
    return Item(position, upsert.source_id, encode_json("the item", upsert, sort_keys=True).content)


def _source_id_item(position: int, raw: Any) -> Item:
    source_id = check_source_id("the id", raw)
    return Item(position, source_id, encode_json("the id", source_id).content)


def _row_item(position: int, row: CsvRow) -> Item:
    return Item(position, row.source_id, row.content)


def _frame(
    what: str,
    head: bytes,
    separator: bytes,
    tail: bytes,
    how: SyncSettings,
    *,
    around: int = 0,
    is_json: bool = True,
) -> BodyTemplate:
    """A frame whose requests are within the limits; `around` are the bytes around its body."""
    frame = BodyTemplate(
        head, separator, tail, how.max_body_bytes - around, how.max_body_items, is_json=is_json
    )
    if frame.room < 1:
        least = how.max_body_bytes - frame.room
        raise ValueError(
            f"{what} takes {least:,} bytes of a request, and max_body_bytes is {how.max_body_bytes:,}"
        )
    return frame


def _csv_body(name: str, content: bytes) -> Body:
    return encode_multipart({"file": FilePart(name, content, "text/csv")})


def _json_body(content: bytes) -> Body:
    return Body(content, "application/json")


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


async def _in_threads(rows: CsvRows) -> AsyncGenerator[CsvRow]:
    while some := await anyio.to_thread.run_sync(_some_rows, rows):
        for row in some:
            yield row


def _some_rows(rows: CsvRows) -> list[CsvRow]:
    """The next rows, as many as are worth a thread."""
    some: list[CsvRow] = []
    size = 0
    for row in rows:
        some.append(row)
        size += len(row.content)
        if size >= _BYTES_AT_ONCE or len(some) == _ROWS_AT_ONCE:
            break
    return some

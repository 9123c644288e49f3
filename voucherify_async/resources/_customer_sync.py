"""The syncs of customers: what each sends, and how its options become a job of `_sync`."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import msgspec

from voucherify_async._sync.batcher import keep_last, merge_customers
from voucherify_async._sync.batches import ID_PREFIX, BodyTemplate, Item
from voucherify_async._sync.jobs import OPEN
from voucherify_async._sync.outcome import read_bulk_result, read_import_result
from voucherify_async._sync.report import SyncReport
from voucherify_async._sync.run import sync
from voucherify_async._sync.spec import JobSpec, SyncOptions, SyncSettings
from voucherify_async._sync.state import SyncState
from voucherify_async._tasks import gather
from voucherify_async._transport.auth import ApiKeys
from voucherify_async._transport.operation import Body, Operation, Request
from voucherify_async._transport.session import SessionManager
from voucherify_async._transport.token_manager import TokenManager
from voucherify_async._transport.wire import (
    MAX_BODY_BYTES,
    FilePart,
    encode_json,
    encode_multipart,
)
from voucherify_async.errors import NotFoundError
from voucherify_async.models.async_actions import AsyncAction, AsyncActionReceipt
from voucherify_async.models.customers import Metadata
from voucherify_async.pagination.rules.base import MAX_PAGE_SIZE
from voucherify_async.resources._csv import CsvRow, CsvRows, check_columns
from voucherify_async.resources._inputs import (
    check_callback,
    check_count,
    check_delimiter,
    check_keywords,
    check_source,
    check_source_id,
    check_timeout,
    check_upsert,
    metadata_json,
    open_csv,
)
from voucherify_async.resources.async_actions import AsyncActionsResource

__all__ = ["CustomerSync", "delete_missing"]

_MAX_CHUNK_ROWS: Final = 1_000
_MAX_CHUNK_BYTES: Final = 1_000_000
_ONE_MILLISECOND: Final = dt.timedelta(milliseconds=1)
_DIGEST_BYTES: Final = 8
_DELETE_CONCURRENCY: Final = 8


class CustomerSync:
    """One sync of customers."""

    def __init__(
        self, sessions: SessionManager, operation: Operation[AsyncActionReceipt[Any]], options: SyncOptions
    ) -> None:
        """Check the options.

        Args:
            sessions: Sends the requests.
            operation: Starts a background job.
            options: The options of the caller.
        """
        self._sessions = sessions
        self._operation = operation
        self._settings = _check_options(options)

    async def customers(self, source: Iterable[Any] | AsyncIterable[Any]) -> SyncReport[Any]:
        """Upsert customers; see `CustomersResource.sync`."""
        check_source("source", source)
        spec = JobSpec(
            project=_project(self._sessions, self._settings),
            name=self._operation.name,
            template=_body_template("a list", b"[", b",", b"]", self._settings),
            encode=_customer_item,
            read_result=read_bulk_result,
            merge=merge_customers,
        )
        return await self._run(_json_body, spec, source)

    async def metadata(
        self, source_ids: Iterable[str] | AsyncIterable[str], metadata: Metadata
    ) -> SyncReport[str]:
        """Merge metadata into customers; see `CustomersResource.sync_metadata`."""
        check_source("source_ids", source_ids)
        # Sorted keys, so that a state file recognizes equal metadata.
        content = encode_json("metadata", metadata_json(metadata), sort_keys=True).content
        head = b'{"metadata":' + content + b',"source_ids":['
        spec = JobSpec(
            project=_project(self._sessions, self._settings),
            name=self._operation.name,
            template=_body_template("metadata", head, b",", b"]}", self._settings),
            encode=_source_id_item,
            read_result=read_bulk_result,
            merge=keep_last,
            position_name="source_ids[{}]",
        )
        return await self._run(_json_body, spec, source_ids)

    async def csv(self, path: str | os.PathLike[str], delimiter: str) -> SyncReport[str]:
        """Import a CSV file; see `CustomersResource.sync_csv`."""
        check_delimiter(delimiter)
        async with await open_csv(path) as file:
            rows = await anyio.to_thread.run_sync(CsvRows, file.wrapped, delimiter)
            check_columns("path", rows.columns)
            wrap = partial(_csv_body, Path(path).name)
            overhead = len(wrap(b"").content)
            spec = JobSpec(
                project=_project(self._sessions, self._settings),
                name=self._operation.name,
                template=_body_template(
                    "path: the header",
                    rows.header,
                    b"",
                    b"",
                    self._settings,
                    overhead=overhead,
                    is_json=False,
                ),
                encode=_row_item,
                read_result=read_import_result,
                merge=keep_last,
                locate=lambda _, row: row.line,
                position_name="path: line {}",
            )
            try:
                async with aclosing(_read_in_thread(rows)) as source:
                    report = await self._run(wrap, spec, source)
            except Exception as error:
                partial_report = getattr(error, "report", None)
                if isinstance(partial_report, SyncReport):
                    error.report = _with_skipped(partial_report, rows)  # type: ignore[attr-defined]  # checked above
                raise
            return _with_skipped(report, rows)

    async def _run(
        self, wrap: Callable[[bytes], Body], spec: JobSpec, source: Iterable[Any] | AsyncIterable[Any]
    ) -> SyncReport[Any]:
        return await sync(
            _BulkJobService(self._sessions, self._operation, wrap),
            spec,
            source,
            self._settings,
            clock=self._sessions.clock,
            max_server_wait=self._sessions.options.retry.max_server_wait,
        )


async def delete_missing(
    sessions: SessionManager,
    delete: Callable[[str], Awaitable[None]],
    options: SyncOptions,
    *,
    kinds: list[str],
    max_share: float,
) -> int:
    """Delete the customers that are missing from the source of a sync; see `CustomersResource.delete_missing`."""
    if not isinstance(max_share, int | float) or isinstance(max_share, bool) or not 0 <= max_share <= 1:
        raise ValueError(f"max_share must be from 0 to 1, not {max_share!r}")
    settings = _check_options(options)
    deleted = 0
    async with SyncState(
        settings.state, project=_project(sessions, settings), kinds=kinds, create=False
    ) as state:
        missing, count = await state.missing_keys(), await state.count_keys()
        if len(missing) > max_share * count:
            raise ValueError(
                f"max_share: {len(missing):,} of {count:,} customers are missing, more than {max_share:.4g} of all"
            )
        remaining = iter([source_id for source_id in missing if source_id not in {".", ".."}])

        async def delete_remaining() -> None:
            nonlocal deleted
            for source_id in remaining:
                await state.record_deleting(source_id)
                with suppress(NotFoundError):
                    await delete(source_id)
                await state.record_deleted(source_id)
                deleted += 1

        await gather(*(delete_remaining() for _ in range(_DELETE_CONCURRENCY)))
    return deleted


def _project(sessions: SessionManager, settings: SyncSettings) -> str:
    """Identify the project in a state file: the caller's `project`, or a hash of base URL and application id.

    Raises:
        ValueError: There is a state file, but neither a name nor an application id.
    """
    if settings.state is None or settings.project is not None:
        return settings.project or ""
    auth = sessions.options.auth
    keys = auth.credentials.keys if isinstance(auth, TokenManager) else auth
    if not isinstance(keys, ApiKeys):
        raise ValueError("project is required with a state file: a token does not identify the project")
    return _digest(f"{sessions.pool.settings.base_url} {keys.app_id}".encode())


class _BulkJobService:
    """The background jobs of one operation; implements `JobService`."""

    def __init__(
        self,
        sessions: SessionManager,
        operation: Operation[AsyncActionReceipt[Any]],
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


def _check_options(given: SyncOptions) -> SyncSettings:
    """Check the options and add the defaults."""
    check_keywords(given, SyncOptions.__annotations__)
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

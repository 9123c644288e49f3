"""The state file: what the service acknowledged, so that a later sync sends only what is new or changed.

The file is an SQLite database with one row per item: a digest of the content that the service acknowledged, or NULL if
that is unknown. The rules that make it safe to kill the process at any time:

- Before a batch is sent, one transaction sets the digests of its items to NULL and records the batch.
- When a background job accepts the batch, the id of the job is recorded.
- When the job has ended, one transaction fills in the digests of the items that succeeded and deletes the batch.
- The next sync first settles the batches that are still recorded: it waits for their jobs, or, where no job id was
  recorded, for all open jobs.

So a digest always stands for what the service holds. An item whose digest is equal is unchanged and is not sent.

A CSV row without a `Source_id` creates a new customer each time it is sent. Its key is made from its content and from
how often that content occurred before in the file. If such a row has a NULL digest, an earlier sync may have created
its customer, so it is never sent again.

All access to the file happens in a worker thread.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from enum import Enum
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

import anyio
import anyio.to_thread
import msgspec

from voucherify_async._sync.batches import ROW_PREFIX, Batch, BodyTemplate, Item, Key, is_anonymous
from voucherify_async._sync.delivery import Delivery
from voucherify_async._sync.results import POSSIBLY_APPLIED, SyncFailure
from voucherify_async._tasks import run_to_end
from voucherify_async.errors import SyncStateError

__all__ = ["ItemStatus", "PendingBatch", "SyncState", "digest", "read_failures", "read_missing"]

T = TypeVar("T")

_APPLICATION_ID: Final = 0x76735953
_FORMAT: Final = 1
_DIGEST_BYTES: Final = 8
_PAGE: Final = 1_000
_BUCKETS: Final = 1_024
_HASH: Final = 0xFFFF_FFFF
_SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE items (key PRIMARY KEY, digest BLOB) WITHOUT ROWID",
    "CREATE TABLE batches (number INTEGER PRIMARY KEY, keys BLOB, digests BLOB, job TEXT, accepted REAL)",
    "CREATE TABLE missing (key TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE failures (position INTEGER, source_id TEXT, key TEXT, message TEXT, details TEXT, item BLOB)",
)
_DELETE_BATCH: Final = "DELETE FROM batches WHERE number = ?"
_INSERT_FAILURE: Final = "INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?)"

_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNWRITABLE: Final = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
_START_OVER: Final = "delete it, and the next sync sends everything"


class ItemStatus(Enum):
    """What the state file knows about an item."""

    NEW = "new or changed"
    UNCHANGED = "acknowledged with the same content"
    IN_DOUBT = "sent by an earlier sync with an unknown outcome, and not safe to repeat"


class PendingBatch(NamedTuple):
    """A batch that an earlier sync sent and whose outcome is not recorded.

    Attributes:
        number: Its number in the file.
        keys: The keys of its items, in the order they were sent.
        digests: Their digests.
        job_id: Its background job; empty if none is recorded.
        accepted: When the job was accepted, in epoch seconds.
    """

    number: int
    keys: list[str | bytes]
    digests: bytes
    job_id: str
    accepted: float


def digest(template: BodyTemplate, content: bytes) -> bytes:
    """An 8-byte digest of an item and of everything that is sent with it."""
    return hashlib.blake2b(b"1\0" + template.head + b"\0" + content, digest_size=_DIGEST_BYTES).digest()


class SyncState:
    """The state file of a sync, as an async context manager. Only one process can have the file open.

    Without a path nothing is known and nothing is recorded.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, *, project: str, kinds: Sequence[str], create: bool = True
    ) -> None:
        """Open or create a state file when the context is entered.

        Args:
            path: The file; `None` for no state.
            project: The project whose customers it describes.
            kinds: The operations that it may belong to; a new file belongs to the first.
            create: Whether a missing or empty file is turned into a state file.
        """
        # An absolute path: SQLite gives names such as ":memory:" a special meaning.
        self.path = None if path is None else os.path.abspath(path)  # noqa: PTH100  # which takes and gives a str
        self._meta = {"project": (project,), "kind": tuple(kinds)}
        self._create = create
        self._db: sqlite3.Connection | None = None
        self._cancelled = False
        self._seen = [array("I") for _ in range(_BUCKETS)]
        """42 bits of the hash of each key in the source, in buckets: a set would need several times the memory. A
        hash collision hides a missing customer; it never reports a customer that is in the source."""
        self._rows: Counter[bytes] = Counter()
        """How often each row without a `Source_id` occurred."""

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            SyncStateError: It is in use, damaged, of another project or kind, or cannot be written.
            FileNotFoundError: It does not exist and must not be created.
        """
        # One thread: calls are serialized anyway, and every further thread would get its own malloc arena.
        self._one_thread = anyio.CapacityLimiter(1)
        if self.path is not None:
            try:
                # Opening checks the whole file, which can take seconds.
                await run_to_end(self._call(partial(self._open, self.path)), self._interrupt)
            except BaseException:
                await self._close()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file."""
        await self._close()

    async def _close(self) -> None:
        if self._db is not None:
            await run_to_end(self._call(self._db.close))  # it writes to the file

    def _interrupt(self) -> None:
        self._cancelled = True
        if self._db is not None:
            self._db.interrupt()

    async def _call(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._one_thread)

    def _open(self, path: str) -> None:
        with _state_errors(path):
            if self._cancelled:
                return
            if not self._create and not Path(path).exists():
                raise FileNotFoundError(f"state: there is no file {path!r}")
            Path(path).touch(0o600)
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            self._prepare(path, self._db)

    def _prepare(self, path: str, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        (owner,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        schema = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
        if not schema and not owner and self._create:
            for statement in _SCHEMA:
                db.execute(statement)
            db.executemany(
                "INSERT INTO meta VALUES (?, ?)", ((name, some[0]) for name, some in self._meta.items())
            )
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_FORMAT}")
        elif (owner, version) != (_APPLICATION_ID, _FORMAT) or sorted(schema) != sorted(_SCHEMA):
            raise _error(path, "damaged", "it is damaged or not a state file: use another file")
        else:
            (health,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if health != "ok":
                raise _error(path, "damaged", f"it is damaged ({health}): {_START_OVER}")
            known = dict(db.execute("SELECT name, value FROM meta"))
            for name, reason in (("project", "other_project"), ("kind", "other_kind")):
                if known.get(name) not in self._meta[name]:
                    wanted = " or ".join(self._meta[name])
                    raise _error(
                        path,
                        reason,
                        f"it is of the {name} {known.get(name)}, not of {wanted}: use another file",
                    )
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")

    # ------------------------------------------------------------ reading

    async def pending_batches(self) -> list[PendingBatch]:
        """The batches that an earlier sync sent and whose outcome is not recorded."""

        def read(db: sqlite3.Connection) -> list[PendingBatch]:
            rows = db.execute("SELECT number, keys, digests, job, accepted FROM batches ORDER BY number")
            return [_pending_batch(row) for row in rows]

        return await self._in_thread(read, [])

    async def statuses(self, items: Sequence[Item], template: BodyTemplate) -> Sequence[ItemStatus]:
        """What is known about each item."""

        def read(db: sqlite3.Connection) -> list[ItemStatus]:
            find = "SELECT digest FROM items WHERE key = ?"
            return [_status(item, template, db.execute(find, (item.key,)).fetchone()) for item in items]

        return await self._in_thread(read, [ItemStatus.NEW] * len(items))

    async def missing_keys(self) -> list[str]:
        """The known keys that were not in the source of the last complete sync."""
        query = "SELECT key FROM missing ORDER BY key"
        return await self._in_thread(lambda db: [str(key) for (key,) in db.execute(query)], [])

    async def count_keys(self) -> int:
        """The number of known customers."""
        query = "SELECT count(*) FROM items WHERE typeof(key) = 'text'"
        return await self._in_thread(lambda db: int(db.execute(query).fetchone()[0]), 0)

    # ------------------------------------------------------------ keys in the source

    def mark_seen(self, key: str) -> None:
        """Note that the source has an item with this key."""
        if self.path is not None:
            rest, bucket = divmod(hash(key), _BUCKETS)
            self._seen[bucket].append(rest & _HASH)

    def row_key(self, row: Item) -> bytes | None:
        """The key of the next row without a `Source_id`; `None` without a file."""
        if self.path is None:
            return None
        name = hashlib.blake2b(row.identity, digest_size=_DIGEST_BYTES).digest()
        self._rows[name] += 1
        return ROW_PREFIX + name + self._rows[name].to_bytes(4, "big")

    def _was_seen(self, key: str) -> bool:
        rest, number = divmod(hash(key), _BUCKETS)
        bucket, wanted = self._seen[number], rest & _HASH
        place = bisect_left(bucket, wanted)
        return place < len(bucket) and bucket[place] == wanted

    # ------------------------------------------------------------ writing

    async def begin_sync(self) -> None:
        """Forget the failures and missing keys of the last sync."""
        await self._write(("DELETE FROM failures", [()]), ("DELETE FROM missing", [()]))

    async def record_missing(self) -> int | None:
        """Record which known customers were not in the source, and return how many; `None` without a file."""

        def find(db: sqlite3.Connection) -> int:
            self._seen = [array("I", sorted(bucket)) for bucket in self._seen]
            keys = db.execute("SELECT key FROM items WHERE typeof(key) = 'text'")
            missing = ((key,) for (key,) in keys if not self._was_seen(key))
            with _transaction(db):
                db.executemany("INSERT INTO missing VALUES (?)", missing)
                (count,) = db.execute("SELECT count(*) FROM missing").fetchone()
            return int(count)

        return await self._in_thread(find, None)

    async def record_deleting(self, key: str) -> None:
        """Record that a customer is about to be deleted, so that its state is unknown."""
        await self._write(("UPDATE items SET digest = NULL WHERE key = ?", [(key,)]))

    async def record_deleted(self, key: str) -> None:
        """Forget a customer that was deleted in the service."""
        await self._write(
            ("DELETE FROM items WHERE key = ?", [(key,)]), ("DELETE FROM missing WHERE key = ?", [(key,)])
        )

    async def record_sending(self, delivery: Delivery) -> None:
        """Record that a batch is about to be sent, so that the state of its items is unknown."""
        batch = delivery.batch
        rows = (
            (batch.number, _encode_keys(batch.keys), b"".join(made)) for made in [_digests(batch)]
        )  # a generator, so that the digests are computed in the worker thread
        await self._write(
            ("INSERT INTO items VALUES (?, NULL) ON CONFLICT DO UPDATE SET digest = NULL", zip(batch.keys)),
            ("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, '', 0)", rows),
        )

    async def record_accepted(self, delivery: Delivery) -> None:
        """Record the background job of a batch."""
        row = (delivery.job_id, delivery.accepted, delivery.batch.number)
        await self._write(("UPDATE batches SET job = ?, accepted = ? WHERE number = ?", [row]))

    async def record_failed_job(self, delivery: Delivery) -> None:
        """Record that the job of a batch failed and that the batch will be sent again."""
        await self._write(("UPDATE batches SET job = '' WHERE number = ?", [(delivery.batch.number,)]))

    async def record_unsent(self, delivery: Delivery) -> None:
        """Record that a batch was certainly not received."""
        batch = delivery.batch
        rows = ((key,) for key in batch.keys if not isinstance(key, str))
        await self._write(("DELETE FROM items WHERE key = ?", rows), (_DELETE_BATCH, [(batch.number,)]))

    async def record_ended(self, batch: Batch, failures: Sequence[SyncFailure]) -> None:
        """Record the outcome of a batch: the service holds all its items except those that failed."""
        await self._write(
            *_outcome_statements(batch.positions, batch.keys, _digests(batch), failures),
            (_DELETE_BATCH, [(batch.number,)]),
            (_INSERT_FAILURE, map(_failure_row, failures)),
        )

    async def settle(self, pending: PendingBatch, failures: Sequence[SyncFailure] | None) -> None:
        """Record the outcome of a batch of an earlier sync. `None`: it will stay unknown."""
        digests = (
            pending.digests[start : start + _DIGEST_BYTES]
            for start in range(0, len(pending.keys) * _DIGEST_BYTES, _DIGEST_BYTES)
        )
        positions = range(len(pending.keys))
        statements = (
            [] if failures is None else _outcome_statements(positions, pending.keys, digests, failures)
        )
        await self._write(*statements, (_DELETE_BATCH, [(pending.number,)]))

    async def record_failures(self, failures: Sequence[SyncFailure]) -> None:
        """Record failures of items that were not sent."""
        await self._write((_INSERT_FAILURE, map(_failure_row, failures)))

    # ------------------------------------------------------------ the file

    async def _write(self, *statements: Statement) -> None:
        """Run these statements in one transaction."""

        def write(db: sqlite3.Connection) -> None:
            with _transaction(db):
                for statement, rows in statements:
                    db.executemany(statement, rows)

        await self._in_thread(write, None)

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Run a function with the database in the worker thread; return `default` if there is no file."""
        path, db = self.path, self._db
        if path is None or db is None:
            return default

        def call() -> T:
            with _state_errors(path):
                return work(db)

        return await run_to_end(self._call(call))


Statement = tuple[str, Iterable[Sequence[Any]]]
"""An SQL statement and the rows of its parameters."""


def _status(item: Item, template: BodyTemplate, row: tuple[bytes | None] | None) -> ItemStatus:
    if row is None:
        return ItemStatus.NEW
    if row[0] is None and not isinstance(item.key, str):
        return ItemStatus.IN_DOUBT
    if is_anonymous(item.key):  # the key stands for the content as well
        return ItemStatus.UNCHANGED
    return ItemStatus.UNCHANGED if row[0] == digest(template, item.content) else ItemStatus.NEW


def _digests(batch: Batch) -> Iterator[bytes]:
    return map(digest, repeat(batch.template), batch.contents())


def _outcome_statements(
    positions: Iterable[int], keys: Iterable[Key], digests: Iterable[bytes], failures: Sequence[SyncFailure]
) -> list[Statement]:
    """The statements that record the outcome of each item of a batch.

    The digest of a failed item stays NULL. If a failure cannot be attributed to an item, all digests stay NULL. A row
    without a `Source_id` that certainly created no customer is forgotten, so that it can be sent again.
    """
    lost = {failure.position: failure.key for failure in failures}
    if None in lost:
        return []
    undone = [
        (key,)
        for position, key in zip(positions, keys, strict=True)
        if isinstance(key, bytes) and position in lost and lost[position] not in POSSIBLY_APPLIED
    ]
    held = (
        (found, key)
        for position, key, found in zip(positions, keys, digests, strict=True)
        if position not in lost
    )
    return [
        ("UPDATE items SET digest = ? WHERE key = ?", held),
        ("DELETE FROM items WHERE key = ?", undone),
    ]


def _encode_keys(keys: Iterable[Key]) -> bytes:
    return msgspec.msgpack.encode([key if isinstance(key, str) else (key,) for key in keys])


_KEYS: Final = msgspec.msgpack.Decoder(list[str | tuple[bytes]])
_BATCH: Final = tuple[int, bytes, bytes, str, float]


def _pending_batch(row: tuple[Any, ...]) -> PendingBatch:
    number, keys, digests, job_id, accepted = msgspec.convert(row, _BATCH)
    known = [key if isinstance(key, str) else key[0] for key in _KEYS.decode(keys)]
    return PendingBatch(number, known, digests, job_id, accepted)


def _failure_row(failure: SyncFailure) -> tuple[int | str | bytes | None, ...]:
    texts = (failure.source_id, failure.key, failure.message, failure.details)
    return (failure.position, *map(_storable, texts), bytes(failure.raw_item))


def _storable(text: str | None) -> str | None:
    """The text with lone surrogates escaped, which SQLite rejects."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def _transaction(db: sqlite3.Connection) -> Generator[None]:
    db.execute("BEGIN")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def _state_errors(path: str) -> Generator[None]:
    """Convert errors of SQLite and the file system to `SyncStateError`."""
    problem: tuple[str, str] | None = None
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError, msgspec.MsgspecError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # further bits tell kinds of it apart
        if code in _IN_USE:
            problem = "in_use", "another sync is using it: try again when that has ended"
        elif code in _UNWRITABLE:
            problem = "unwritable", f"it cannot be written: {error}"
        elif code == sqlite3.SQLITE_NOTADB:  # perhaps the source itself: nobody should delete that
            problem = "damaged", f"it is damaged, or not a state file ({error}): use another file"
        else:
            problem = "damaged", f"it is damaged ({error}): {_START_OVER}"
    except FileNotFoundError as error:
        if error.errno is None:
            raise
        problem = "unwritable", f"it cannot be written: {error.strerror}"
    except OSError as error:
        problem = "unwritable", f"it cannot be written: {error.strerror}"
    if problem is not None:
        raise _error(path, *problem)


def _error(path: str, reason: str, text: str) -> SyncStateError:
    return SyncStateError(f"state {path!r}: {text}", reason=reason, path=path)


# ---------------------------------------------------------------- reading the file after the sync


def read_failures(path: str) -> Iterator[SyncFailure]:
    """All failures of the last sync, in the order they were recorded. The file is opened for each page of them.

    Raises:
        FileNotFoundError: The file is gone.
        SyncStateError: A sync is using the file, or it is damaged.
    """
    columns = "rowid, position, source_id, key, message, details, item"
    query = f"SELECT {columns} FROM failures WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE}"  # noqa: S608
    last = 0
    while rows := _read(path, query, last):
        last = rows[-1][0]
        with _state_errors(path):
            failures = [_failure(row[1:]) for row in rows]
        yield from failures


def read_missing(path: str) -> Iterator[str]:
    """The known keys that were not in the source of the last sync, sorted. Raises the errors of `read_failures`."""
    last = ""
    query = f"SELECT key FROM missing WHERE key > ? ORDER BY key LIMIT {_PAGE}"  # noqa: S608
    while rows := _read(path, query, last):
        last = rows[-1][0]
        yield from (str(key) for (key,) in rows)


def _read(path: str, query: str, after: object) -> list[tuple[Any, ...]]:
    if not os.path.exists(path):  # noqa: PTH110  # SQLite would make one
        raise FileNotFoundError(f"the state {path!r} is gone")
    with _state_errors(path), closing(sqlite3.connect(path, timeout=0)) as db:
        return db.execute(query, (after,)).fetchall()


_FailureRow = tuple[int | None, str | None, str | None, str | None, str | None, bytes]


def _failure(row: tuple[Any, ...]) -> SyncFailure:
    position, source_id, key, message, details, item = msgspec.convert(row, _FailureRow)
    return SyncFailure(
        position=position,
        source_id=source_id,
        key=key,
        message=message,
        details=details,
        raw_item=msgspec.Raw(item),
    )

"""What the service is known to hold, in an SQLite file, so that a later sync sends only what is new or changed.

There is a row for each item: a digest of what the service acknowledged, or nothing if that is not known. Before a
batch is sent, its rows are emptied and the batch is put on record; when its job has ended, the rows of what succeeded
are filled. So whenever a process dies, a digest stands for what the service holds, and for nothing else.

A row of a CSV file without a `Source_id` makes a new customer each time it is sent. It is known by its own content,
and by how many rows before it were the same. One whose row here is empty may have made its customer already: it is
never sent again.

Everything here is a table of the file; the disk is used in threads.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from enum import Enum
from itertools import repeat
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

import anyio
import anyio.to_thread
import msgspec

from voucherify_async._sync.batches import Batch, BodyTemplate, Item, Key
from voucherify_async._sync.delivery import Delivery
from voucherify_async._sync.results import IN_DOUBT, SyncFailure
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
_FORGET: Final = "DELETE FROM batches WHERE number = ?"
_FAIL: Final = "INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?)"

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
_ANEW: Final = "delete it, and everything is sent once more"


class ItemStatus(Enum):
    """What a state says of an item."""

    NEW = "the service is not known to hold it"
    UNCHANGED = "the service holds just that"
    IN_DOUBT = "an earlier sync has sent it, and may have made a customer of it"


class PendingBatch(NamedTuple):
    """A batch that an earlier sync has sent, of which it is not known what became of it.

    Attributes:
        number: Its number in the file.
        keys: The keys of its items, in the order in which they were sent.
        digests: Their digests.
        job_id: The background job that has it; empty if no answer came.
        accepted: When that was taken on, in epoch seconds.
    """

    number: int
    keys: list[str | bytes]
    digests: bytes
    job_id: str
    accepted: float


def digest(frame: BodyTemplate, content: bytes) -> bytes:
    """Eight bytes that stand for an item and all that is sent with it."""
    return hashlib.blake2b(b"1\0" + frame.head + b"\0" + content, digest_size=_DIGEST_BYTES).digest()


class SyncState:
    """The state of a sync: an async context manager. Nobody else may use the file meanwhile.

    Without a file nothing is known, and nothing is put on record.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, *, project: str, kinds: Sequence[str], create: bool = True
    ) -> None:
        """Use a file, or make it.

        Args:
            path: The file, if there is one.
            project: Whose customers it is about.
            kinds: What the sync may do; a new file is of the first kind.
            create: Whether there need not be a file.
        """
        # The whole path: SQLite has meanings of its own for some short ones.
        self.path = None if path is None else os.path.abspath(path)  # noqa: PTH100  # which takes and gives a str
        self._meta = {"project": (project,), "kind": tuple(kinds)}
        self._create = create
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._closed = False
        self._seen = [array("I") for _ in range(_BUCKETS)]
        """42 bits of the hash of each key that was seen, by the last ten: a set would be many times as large. A
        customer whose hash another one has is not found to be missing."""
        self._rows: Counter[bytes] = Counter()
        """How often each row without a `Source_id` was seen."""

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            SyncStateError: It is in use, damaged, of another project or kind, or cannot be written.
        """
        # Work comes one after the other, and each thread takes memory of its own for what SQLite needs.
        self._one_thread = anyio.CapacityLimiter(1)
        if self.path is not None:
            try:
                await anyio.to_thread.run_sync(self._open, self.path, limiter=self._one_thread)
            except BaseException:
                self._close()  # also one that a thread is opening
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the file."""
        self._close()

    def _open(self, path: str) -> None:
        with self._lock, _explained(path):
            if self._closed:
                return
            Path(path).touch(0o600)
            db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(path, db)
            except BaseException:
                db.close()
                raise
            self._db = db

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
            raise _error(path, "damaged", "it is damaged, or no state of a sync: name another file")
        else:
            (health,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if health != "ok":
                raise _error(path, "damaged", f"it is damaged ({health}): {_ANEW}")
            known = dict(db.execute("SELECT name, value FROM meta"))
            for name, reason in (("project", "other_project"), ("kind", "other_kind")):
                if known.get(name) not in self._meta[name]:
                    wanted = " or ".join(self._meta[name])
                    raise _error(
                        path,
                        reason,
                        f"it is of the {name} {known.get(name)}, not of {wanted}: name another file",
                    )
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()

    # ------------------------------------------------------------ reading

    async def unsettled(self) -> list[PendingBatch]:
        """The batches of which an earlier sync has not seen the end."""

        def read(db: sqlite3.Connection) -> list[PendingBatch]:
            rows = db.execute("SELECT number, keys, digests, job, accepted FROM batches ORDER BY number")
            return [_unsettled(row) for row in rows]

        return await self._use(read, [])

    async def standings(self, items: Sequence[Item], frame: BodyTemplate) -> Sequence[ItemStatus]:
        """What is known of each item."""

        def read(db: sqlite3.Connection) -> list[ItemStatus]:
            find = "SELECT digest FROM items WHERE key = ?"
            return [_standing(item, frame, db.execute(find, (item.key,)).fetchone()) for item in items]

        return await self._use(read, [ItemStatus.NEW] * len(items))

    async def missing(self) -> list[str]:
        """The keys that the last complete run did not see."""
        query = "SELECT key FROM missing ORDER BY key"
        return await self._use(lambda db: [str(key) for (key,) in db.execute(query)], [])

    async def count(self) -> int:
        """How many keys of customers it knows."""
        query = "SELECT count(*) FROM items WHERE typeof(key) = 'text'"
        return await self._use(lambda db: int(db.execute(query).fetchone()[0]), 0)

    # ------------------------------------------------------------ what the source has

    def see(self, key: str) -> None:
        """The source has an item with this key."""
        if self.path is not None:
            rest, bucket = divmod(hash(key), _BUCKETS)
            self._seen[bucket].append(rest & _HASH)

    def name_row(self, frame: BodyTemplate, content: bytes) -> bytes | None:
        """The key of the next row without a `Source_id`, or nothing without a file."""
        if self.path is None:
            return None
        name = digest(frame, content)
        self._rows[name] += 1
        return name + self._rows[name].to_bytes(4, "big")

    def _was_seen(self, key: str) -> bool:
        rest, number = divmod(hash(key), _BUCKETS)
        bucket, wanted = self._seen[number], rest & _HASH
        place = bisect_left(bucket, wanted)
        return place < len(bucket) and bucket[place] == wanted

    # ------------------------------------------------------------ writing

    async def begin(self) -> None:
        """A sync begins. What the last one missed is of no use any more."""
        await self._write(("DELETE FROM failures", [()]), ("DELETE FROM missing", [()]))

    async def complete(self) -> int | None:
        """A sync has seen all that its source has; how many of the known customers are missing from it."""

        def find(db: sqlite3.Connection) -> int:
            self._seen = [array("I", sorted(bucket)) for bucket in self._seen]
            keys = db.execute("SELECT key FROM items WHERE typeof(key) = 'text'")
            missing = ((key,) for (key,) in keys if not self._was_seen(key))
            with _transaction(db):
                db.executemany("INSERT INTO missing VALUES (?)", missing)
                (count,) = db.execute("SELECT count(*) FROM missing").fetchone()
            return int(count)

        return await self._use(find, None)

    async def deleted(self, key: str) -> None:
        """A customer is deleted in the service, too."""
        await self._write(
            ("DELETE FROM items WHERE key = ?", [(key,)]), ("DELETE FROM missing WHERE key = ?", [(key,)])
        )

    async def sending(self, delivery: Delivery) -> None:
        """A batch is about to be sent: from now on, nobody knows what the service holds of its items."""
        batch = delivery.batch
        rows = (
            (batch.number, _encode_keys(batch.keys), b"".join(made)) for made in [_digests(batch)]
        )  # lazily, as everything that takes time: it is done in the thread
        await self._write(
            ("INSERT INTO items VALUES (?, NULL) ON CONFLICT DO UPDATE SET digest = NULL", zip(batch.keys)),
            ("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, '', 0)", rows),
        )

    async def accepted(self, delivery: Delivery) -> None:
        """A background job has a batch."""
        row = (delivery.job_id, delivery.accepted, delivery.batch.number)
        await self._write(("UPDATE batches SET job = ?, accepted = ? WHERE number = ?", [row]))

    async def doubted(self, delivery: Delivery) -> None:
        """The job of a batch has failed, and a second one is to do it."""
        await self._write(("UPDATE batches SET job = '' WHERE number = ?", [(delivery.batch.number,)]))

    async def unsent(self, delivery: Delivery) -> None:
        """A batch has certainly not arrived."""
        batch = delivery.batch
        rows = ((key,) for key in batch.keys if not isinstance(key, str))
        await self._write(("DELETE FROM items WHERE key = ?", rows), (_FORGET, [(batch.number,)]))

    async def ended(self, batch: Batch, failures: Sequence[SyncFailure]) -> None:
        """It is known what became of a batch: the service holds those of its items that did not fail."""
        await self._write(
            *_endings(batch.positions, batch.keys, _digests(batch), failures),
            (_FORGET, [(batch.number,)]),
            (_FAIL, map(_failure_row, failures)),
        )

    async def settled(self, unsettled: PendingBatch, failures: Sequence[SyncFailure] | None) -> None:
        """It is known what became of a batch of an earlier sync, or that nobody will know."""
        digests = (
            unsettled.digests[start : start + _DIGEST_BYTES]
            for start in range(0, len(unsettled.keys) * _DIGEST_BYTES, _DIGEST_BYTES)
        )
        positions = range(len(unsettled.keys))
        endings = [] if failures is None else _endings(positions, unsettled.keys, digests, failures)
        await self._write(*endings, (_FORGET, [(unsettled.number,)]))

    async def failed(self, failures: Sequence[SyncFailure]) -> None:
        """Items were not sent: they are invalid, or may have been sent by an earlier sync."""
        await self._write((_FAIL, map(_failure_row, failures)))

    # ------------------------------------------------------------ the file

    async def _write(self, *statements: Statement) -> None:
        """Have all of this on disk, or nothing."""

        def write(db: sqlite3.Connection) -> None:
            with _transaction(db):
                for statement, rows in statements:
                    db.executemany(statement, rows)

        await self._use(write, None)

    async def _use(self, work: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        """Do something with the file in a thread, alone; `nothing` if there is no file."""
        path, db = self.path, self._db
        if path is None or db is None:
            return nothing

        def use() -> T:
            with self._lock, _explained(path):
                return work(db)

        return await anyio.to_thread.run_sync(use, limiter=self._one_thread)


Statement = tuple[str, Iterable[Sequence[Any]]]
"""A statement, and what to put into it, row by row."""


def _standing(item: Item, frame: BodyTemplate, row: tuple[bytes | None] | None) -> ItemStatus:
    if row is None:
        return ItemStatus.NEW
    if row[0] is None and isinstance(item.key, bytes):
        return ItemStatus.IN_DOUBT
    return ItemStatus.UNCHANGED if row[0] == digest(frame, item.content) else ItemStatus.NEW


def _digests(batch: Batch) -> Iterator[bytes]:
    return map(digest, repeat(batch.frame), batch.contents())


def _endings(
    positions: Iterable[int], keys: Iterable[Key], digests: Iterable[bytes], failures: Sequence[SyncFailure]
) -> list[Statement]:
    """What is known of the items of a batch when it has ended.

    What failed is unknown; where nobody knows which item it was, so are all. A row without a `Source_id` that
    certainly made no customer may be sent again.
    """
    lost = {failure.position: failure.key for failure in failures}
    if None in lost:
        return []
    undone = [
        (key,)
        for position, key in zip(positions, keys, strict=True)
        if isinstance(key, bytes) and position in lost and lost[position] not in IN_DOUBT
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


def _unsettled(row: tuple[Any, ...]) -> PendingBatch:
    number, keys, digests, job_id, accepted = msgspec.convert(row, _BATCH)
    known = [key if isinstance(key, str) else key[0] for key in _KEYS.decode(keys)]
    return PendingBatch(number, known, digests, job_id, accepted)


def _failure_row(failure: SyncFailure) -> tuple[int | str | bytes | None, ...]:
    texts = (failure.source_id, failure.key, failure.message, failure.details)
    return (failure.position, *map(_storable, texts), bytes(failure.raw_item))


def _storable(text: str | None) -> str | None:
    """The text, in which SQLite takes no lone surrogates."""
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
def _explained(path: str) -> Generator[None]:
    """Explain what goes wrong with a file."""
    problem: tuple[str, str] | None = None
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError, msgspec.MsgspecError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # further bits tell kinds of it apart
        if code in _IN_USE:
            problem = "in_use", "another sync is using it: try again when that has ended"
        elif code in _UNWRITABLE:
            problem = "unwritable", f"it cannot be written: {error}"
        else:
            problem = "damaged", f"it is damaged ({error}): {_ANEW}"
    except OSError as error:
        problem = "unwritable", f"it cannot be written: {error.strerror}"
    if problem is not None:
        raise _error(path, *problem)


def _error(path: str, reason: str, text: str) -> SyncStateError:
    return SyncStateError(f"state {path!r}: {text}", reason=reason, path=path)


# ---------------------------------------------------------------- reading it when the sync has ended


def read_failures(path: str) -> Iterator[SyncFailure]:
    """All failures of the last sync, in the order in which they became known. The file is open only while one reads.

    Raises:
        FileNotFoundError: There is no such file any more.
        SyncStateError: A sync is using it, or it is damaged.
    """
    columns = "rowid, position, source_id, key, message, details, item"
    query = f"SELECT {columns} FROM failures WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE}"  # noqa: S608
    last = 0
    while rows := _read(path, query, last):
        last = rows[-1][0]
        with _explained(path):
            failures = [_failure(row[1:]) for row in rows]
        yield from failures


def read_missing(path: str) -> Iterator[str]:
    """The keys that the last sync did not see, in their order; raises as `read_failures` does."""
    last = ""
    query = f"SELECT key FROM missing WHERE key > ? ORDER BY key LIMIT {_PAGE}"  # noqa: S608
    while rows := _read(path, query, last):
        last = rows[-1][0]
        yield from (str(key) for (key,) in rows)


def _read(path: str, query: str, after: object) -> list[tuple[Any, ...]]:
    if not os.path.exists(path):  # noqa: PTH110  # SQLite would make one
        raise FileNotFoundError(f"the state {path!r} is gone")
    with _explained(path), closing(sqlite3.connect(path, timeout=0)) as db:
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

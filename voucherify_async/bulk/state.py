"""What the service is known to hold, in an SQLite file, so that a later sync sends only what is new or changed.

There is a row for each `source_id`: a digest of what the service acknowledged, or nothing if that is not known.
Before a batch is sent, its rows are emptied and the batch is put on record; when its job has ended, the rows of
what succeeded are filled. So whenever a process dies, a digest stands for what the service holds, and for nothing
else. Calls are made from threads: the disk takes its time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from array import array
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from voucherify_async.bulk.batches import Batch, Frame
from voucherify_async.bulk.results import SyncFailure, SyncJob
from voucherify_async.errors import SyncStateError

__all__ = ["State", "Unsettled", "digest"]

_APPLICATION_ID: Final = 0x76735953
_FORMAT: Final = 1
_DIGEST_BYTES: Final = 8
_PAGE: Final = 1_000
_BUCKETS: Final = 0xFFFF
_SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE items (key TEXT PRIMARY KEY, digest BLOB) WITHOUT ROWID",
    "CREATE TABLE batches (number INTEGER PRIMARY KEY, keys BLOB, digests BLOB, job TEXT, accepted REAL)",
    "CREATE TABLE missing (key TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE failures (position INTEGER, source_id TEXT, key TEXT, message TEXT, details TEXT, item BLOB)",
)


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


class Unsettled(NamedTuple):
    """A batch that an earlier process sent, of which it is not known what became of it.

    Attributes:
        number: Its number in the file.
        keys: The keys of its items, in the order in which they were sent.
        job: The background job that has it; empty if no answer came.
        accepted: When that was taken on, in epoch seconds.
    """

    number: int
    keys: list[str]
    job: str
    accepted: float


def digest(frame: Frame, content: bytes) -> bytes:
    """Eight bytes that stand for an item and all that is sent with it."""
    return hashlib.blake2b(b"1\0" + frame.head + b"\0" + content, digest_size=_DIGEST_BYTES).digest()


class State:
    """The state of a sync. It is opened first of all, and nobody else may use it until it is closed."""

    def __init__(self, path: str | os.PathLike[str], *, project: str, kind: str | None) -> None:
        """Use a file, or make it.

        Args:
            path: The file.
            project: Whose customers it is about.
            kind: What the sync does; `None` for any, if the file exists.
        """
        # The whole path: SQLite has meanings of its own for some short ones.
        self.path = os.path.abspath(path)  # noqa: PTH100  # which takes and gives a str
        self._meta = {"project": project} if kind is None else {"project": project, "kind": kind}
        self._lock = threading.Lock()
        self._closed = False
        self._seen: defaultdict[int, array[int]] = defaultdict(partial(array, "q"))
        """The hashes of the keys that were seen, by their last bits: a set would be many times as large."""

    def open(self) -> Self:
        """Open the file; closed meanwhile, it is left alone.

        Raises:
            SyncStateError: It is in use, damaged, of another project or kind, or cannot be written.
        """
        with self._using():
            if not self._closed:
                Path(self.path).touch(0o600)
                self._db = sqlite3.connect(
                    self.path, timeout=0, isolation_level=None, check_same_thread=False
                )
                try:
                    self._prepare()
                except BaseException:
                    self._db.close()
                    raise
        return self

    def _prepare(self) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        (owner,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        schema = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
        if not schema and not owner and "kind" in self._meta:
            for statement in _SCHEMA:
                db.execute(statement)
            db.executemany("INSERT INTO meta VALUES (?, ?)", self._meta.items())
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_FORMAT}")
        elif (owner, version) != (_APPLICATION_ID, _FORMAT) or sorted(schema) != sorted(_SCHEMA):
            raise self._error("damaged", "it is damaged, or no state of a sync: name another file")
        else:
            (health,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if health != "ok":
                raise self._error("damaged", f"it is damaged ({health}): {_ANEW}")
            known = dict(db.execute("SELECT name, value FROM meta"))
            for name, reason in (("project", "other_project"), ("kind", "other_kind")):
                if known.get(name) != self._meta.get(name, known.get(name)):
                    text = (
                        f"it is of the {name} {known.get(name)}, not of {self._meta[name]}: name another file"
                    )
                    raise self._error(reason, text)
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def _using(self) -> Generator[None]:
        """Use the file alone, and explain what goes wrong with it."""
        problem: tuple[str, str] | None = None
        with self._lock:
            try:
                yield
            except (sqlite3.Error, UnicodeDecodeError, msgspec.MsgspecError, TypeError) as error:
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
            raise self._error(*problem)

    def _error(self, reason: str, text: str) -> SyncStateError:
        return SyncStateError(f"state {self.path!r}: {text}", reason=reason, path=self.path)

    def close(self) -> None:
        """Let go of the file, also of one that a thread is opening. May be called twice."""
        with self._lock:
            self._closed = True
            if hasattr(self, "_db"):
                self._db.close()

    # ------------------------------------------------------------ reading

    def unsettled(self) -> list[Unsettled]:
        """The batches of which an earlier process has not seen the end."""
        with self._using():
            rows = self._db.execute(
                "SELECT number, keys, job, accepted FROM batches ORDER BY number"
            ).fetchall()
            return [
                Unsettled(number, msgspec.json.decode(keys, type=list[str]), str(job), float(accepted))
                for number, keys, job, accepted in rows
            ]

    def knows(self, key: str, found: bytes) -> bool:
        """Whether the service is known to hold just that of the customer."""
        with self._using():
            row = self._db.execute("SELECT digest FROM items WHERE key = ?", (key,)).fetchone()
        return row is not None and row[0] == found

    def saw(self, key: str) -> None:
        """The source has an item with this key."""
        number = hash(key)
        self._seen[number & _BUCKETS].append(number)

    def _was_seen(self, key: str) -> bool:
        number = hash(key)
        return number in self._seen.get(number & _BUCKETS, ())

    def missing(self) -> list[str]:
        """The keys that the last complete run did not see."""
        with self._using():
            return [str(key) for (key,) in self._db.execute("SELECT key FROM missing ORDER BY key")]

    def known(self) -> int:
        """How many keys it knows."""
        with self._using():
            (count,) = self._db.execute("SELECT count(*) FROM items").fetchone()
        return int(count)

    # ------------------------------------------------------------ writing

    def begin(self) -> None:
        """A run begins. What the last one missed is of no use any more."""
        with self._transaction() as db:
            db.execute("DELETE FROM failures")
            db.execute("DELETE FROM missing")

    def complete(self) -> int:
        """A run has seen all that its source has; returns how many of the known keys are missing from it."""
        with self._transaction() as db:
            keys = (key for (key,) in self._db.execute("SELECT key FROM items") if not self._was_seen(key))
            for some in iter(lambda: list(islice(keys, _PAGE)), []):
                db.executemany("INSERT INTO missing VALUES (?)", [(key,) for key in some])
            (count,) = db.execute("SELECT count(*) FROM missing").fetchone()
        return int(count)

    def deleted(self, keys: Sequence[str]) -> None:
        """These are deleted in the service, too."""
        with self._transaction() as db:
            for table in ("items", "missing"):
                db.executemany(f"DELETE FROM {table} WHERE key = ?", ((key,) for key in keys))  # noqa: S608  # ours

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._using():
            self._db.execute("BEGIN")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def sending(self, batch: Batch) -> None:
        """A batch is about to be sent: from now on, nobody knows what the service holds of its items."""
        digests = bytearray()
        for content in batch.contents():
            digests += digest(batch.frame, content)
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO items VALUES (?, NULL) ON CONFLICT DO UPDATE SET digest = NULL",
                ((key,) for key in batch.keys),
            )
            db.execute(
                "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, '', 0)",
                (batch.number, msgspec.json.encode(batch.keys), bytes(digests)),
            )

    def accepted(self, batch: Batch) -> None:
        """A background job has taken a batch on."""
        with self._transaction() as db:
            db.execute(
                "UPDATE batches SET job = ?, accepted = ? WHERE number = ?",
                (batch.job, batch.accepted, batch.number),
            )

    def failed(self, batch: Batch, job: SyncJob) -> None:  # noqa: ARG002  # as of a journal
        """A job with a batch has failed, and a second one is to do it."""
        with self._transaction() as db:
            db.execute("UPDATE batches SET job = '' WHERE number = ?", (batch.number,))

    def ended(self, batch: Batch, jobs: Sequence[SyncJob], failures: Sequence[SyncFailure]) -> None:  # noqa: ARG002
        """It is known what became of a batch: the service holds those of its items that did not fail."""
        with self._transaction() as db:
            self._end(db, batch, failures)
            self._add_failures(db, failures)

    def settled(self, batch: Batch, failures: Sequence[SyncFailure]) -> None:
        """It is known what became of a batch of an earlier process, of which only the keys are known."""
        with self._transaction() as db:
            self._end(db, batch, failures)

    def _end(self, db: sqlite3.Connection, batch: Batch, failures: Sequence[SyncFailure]) -> None:
        lost = {failure.position for failure in failures}
        # What failed is unknown; where nobody knows which item it was, so are all.
        if None not in lost:
            (digests,) = db.execute(
                "SELECT digests FROM batches WHERE number = ?", (batch.number,)
            ).fetchone()
            db.executemany(
                "UPDATE items SET digest = ? WHERE key = ?",
                (
                    (digests[index * _DIGEST_BYTES : (index + 1) * _DIGEST_BYTES], key)
                    for index, (position, key) in enumerate(zip(batch.positions, batch.keys, strict=True))
                    if position not in lost
                ),
            )
        db.execute("DELETE FROM batches WHERE number = ?", (batch.number,))

    def not_sent(self, batch: Batch) -> None:
        """A batch was not sent, or nobody will know what became of it: all of it is sent again."""
        with self._transaction() as db:
            db.execute("DELETE FROM batches WHERE number = ?", (batch.number,))

    def made(self, batch: Batch) -> None:
        """A batch is made. It is put on record when it is sent."""

    def invalid(self, failures: Sequence[SyncFailure]) -> None:
        """Items are none that can be sent."""
        with self._transaction() as db:
            self._add_failures(db, failures)

    def _add_failures(self, db: sqlite3.Connection, failures: Sequence[SyncFailure]) -> None:
        db.executemany(
            "INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    one.position,
                    *map(_storable, (one.source_id, one.key, one.message, one.details)),
                    bytes(one.raw_item),
                )
                for one in failures
            ],
        )


def _storable(text: str | None) -> str | None:
    """The text, in which SQLite takes no lone surrogates."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()

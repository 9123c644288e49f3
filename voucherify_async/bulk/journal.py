"""What a sync job has done, in an SQLite file, for a process that takes it up after this one has died.

Every call writes one transaction, or reads. They are made from threads: the disk takes its time. A process that
has the journal keeps others out of it until it closes it, or ends.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from voucherify_async.bulk.batches import Batch, to_ranges
from voucherify_async.bulk.past import Recorded
from voucherify_async.bulk.results import SyncFailure, SyncJob

__all__ = ["Journal", "read_failures", "read_missing"]

_FORMAT: Final = "1"

_PAGE: Final = 1_000
"""Failures that are read at once."""

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    positions TEXT NOT NULL,  -- ranges: [[first, end], ...]
    digest BLOB NOT NULL,
    in_doubt INTEGER NOT NULL DEFAULT 0,
    job TEXT NOT NULL DEFAULT '',
    accepted REAL NOT NULL DEFAULT 0,  -- epoch seconds
    retried INTEGER NOT NULL DEFAULT 0,
    resent INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE jobs (
    batch INTEGER NOT NULL, id TEXT NOT NULL, status TEXT, items INTEGER NOT NULL,
    succeeded INTEGER NOT NULL, failed INTEGER NOT NULL, duration REAL NOT NULL  -- seconds
);
CREATE INDEX jobs_by_batch ON jobs (batch);
CREATE TABLE failures (
    batch INTEGER,  -- null for an item that was in none
    position INTEGER, source_id TEXT, key TEXT, message TEXT, details TEXT, item BLOB NOT NULL
);
CREATE INDEX failures_by_batch ON failures (batch);
"""


_FailureRow = tuple[int | None, str | None, str | None, str | None, str | None, bytes]
_JobRow = tuple[str, str | None, int, int, int, float]


class Journal:
    """The journal of a sync job. It is opened first of all."""

    def __init__(self, path: str | os.PathLike[str], purpose: str) -> None:
        """Use a file, or make it.

        Args:
            path: The file.
            purpose: What the job does; a journal of another purpose is refused.
        """
        # The whole path: sqlite has meanings of its own for some short ones.
        self.path = os.path.abspath(path)  # noqa: PTH100  # which takes and gives a str
        self._purpose = purpose
        self._lock = threading.Lock()
        self._closed = False

    def open(self) -> Self:
        """Open the file; closed meanwhile, it is left alone.

        Raises:
            ValueError: It is in use, not a journal, or of another purpose.
        """
        with self._lock:
            if self._closed:
                return self
            try:
                Path(self.path).touch(0o600)  # what fails is in it
                self._db = _connect(self.path)
                try:
                    self._prepare(self._purpose)
                except BaseException:
                    self._db.close()
                    raise
            except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
                problem = "is in use" if "locked" in str(error) else f"cannot be used: {error}"
                raise ValueError(f"journal: {self.path!r} {problem}") from None
        return self

    def _prepare(self, purpose: str) -> None:
        is_new = not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if not is_new:
            (health,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
            if health != "ok":
                raise ValueError(f"journal: {self.path!r} is damaged: {health}")
            self._check(purpose)  # before anything is changed in a file that is none of ours
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._db:
            self._db.execute("BEGIN EXCLUSIVE")
            if is_new:
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.executemany(
                    "INSERT INTO meta VALUES (?, ?)", [("format", _FORMAT), ("purpose", purpose)]
                )
            # They were never sent, and are found again.
            self._db.execute("DELETE FROM failures WHERE batch IS NULL")

    def _check(self, purpose: str) -> None:
        known = dict(self._db.execute("SELECT name, value FROM meta"))
        if known != {"format": _FORMAT, "purpose": purpose}:
            was = f"{known.get('purpose')} in format {known.get('format')}"
            raise ValueError(f"journal: {self.path!r} is of {was}, not of {purpose} in format {_FORMAT}")

    def close(self) -> None:
        """Let go of the file, also of one that a thread is opening. May be called twice."""
        with self._lock:
            self._closed = True
            if hasattr(self, "_db"):
                self._db.close()

    # ------------------------------------------------------------ writing

    def made(self, batch: Batch) -> None:
        """There is a new batch."""
        positions = msgspec.json.encode(to_ranges(batch.positions)).decode()
        self._write(
            "INSERT INTO batches (number, positions, digest) VALUES (?, ?, ?)",
            [(batch.number, positions, batch.digest)],
        )

    def sending(self, batch: Batch) -> None:
        """A batch is about to be sent: whatever becomes of us, it may have arrived."""
        self._write(
            "UPDATE batches SET in_doubt = 1, resent = ? WHERE number = ?", [(batch.resent, batch.number)]
        )

    def not_sent(self, batch: Batch) -> None:
        """A batch has certainly not arrived."""
        self._write("UPDATE batches SET in_doubt = 0 WHERE number = ?", [(batch.number,)])

    def accepted(self, batch: Batch) -> None:
        """A job has a batch."""
        self._write(
            "UPDATE batches SET job = ?, accepted = ?, in_doubt = 0, resent = ? WHERE number = ?",
            [(batch.job, batch.accepted, batch.resent, batch.number)],
        )

    def failed(self, batch: Batch, job: SyncJob) -> None:
        """The job of a batch has failed, and the batch is sent once more."""
        with self._lock, self._writing():
            self._add_job(batch, job)
            self._db.execute(
                "UPDATE batches SET job = '', in_doubt = 1, retried = 1 WHERE number = ?", (batch.number,)
            )

    def ended(self, batch: Batch, jobs: Sequence[SyncJob], failures: Sequence[SyncFailure]) -> None:
        """It is known what became of a batch."""
        with self._lock, self._writing():
            for job in jobs:
                self._add_job(batch, job)
            self._add_failures(batch.number, failures)
            self._db.execute(
                "UPDATE batches SET ended = 1, resent = ? WHERE number = ?", (batch.resent, batch.number)
            )

    def invalid(self, failures: Sequence[SyncFailure]) -> None:
        """Items were found that cannot be sent."""
        with self._lock, self._writing():
            self._add_failures(None, failures)

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._lock, self._writing():
            self._db.executemany(statement, rows)

    @contextmanager
    def _writing(self) -> Generator[None]:
        """One transaction."""
        try:
            with self._db:
                yield
        except sqlite3.Error as error:
            raise OSError(f"journal: {self.path!r} cannot be written: {error}") from None

    def _add_job(self, batch: Batch, job: SyncJob) -> None:
        row = (batch.number, job.id, job.status, job.items, job.succeeded, job.failed, job.duration)
        self._db.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _add_failures(self, batch: int | None, failures: Sequence[SyncFailure]) -> None:
        self._db.executemany(
            "INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    batch,
                    row.position,
                    *map(_storable, (row.source_id, row.key, row.message, row.details)),
                    bytes(row.raw_item),
                )
                for row in failures
            ),
        )

    # ------------------------------------------------------------ reading

    def recorded(self) -> list[Recorded]:
        """All batches, in the order in which they were made."""
        with self._lock, _whole(self.path):
            rows = self._db.execute(
                "SELECT number, positions, digest, in_doubt, job, accepted, retried, resent, ended"
                " FROM batches ORDER BY number"
            ).fetchall()
            return [
                _convert((number, msgspec.json.decode(positions), *rest), Recorded)
                for number, positions, *rest in rows
            ]

    def jobs_of(self, number: int) -> list[SyncJob]:
        """The jobs of a batch that have ended."""
        with self._lock, _whole(self.path):
            found = self._db.execute(
                "SELECT id, status, items, succeeded, failed, duration FROM jobs WHERE batch = ? ORDER BY rowid",
                (number,),
            )
            return [_job(row) for row in found]

    def failures_of(self, number: int) -> list[SyncFailure]:
        """The items of a batch that did not make it."""
        with self._lock, _whole(self.path):
            found = self._db.execute(
                "SELECT position, source_id, key, message, details, item FROM failures WHERE batch = ? ORDER BY rowid",
                (number,),
            )
            return [_failure(row) for row in found]


def read_failures(path: str, name: str = "journal") -> Iterator[SyncFailure]:
    """All failures in a journal, or of the last sync in a state, in the order in which they became known.

    The file is open only while one reads.

    Args:
        path: The file.
        name: What it is.

    Raises:
        FileNotFoundError: There is no such file any more.
        ValueError: A sync job is using it, or it is damaged.
    """
    last = 0
    while rows := _read_page(path, last, name):
        last = rows[-1][0]
        with _whole(path, name):
            failures = [_failure(row[1:]) for row in rows]
        yield from failures


def read_missing(path: str) -> Iterator[str]:
    """The keys in a state that the last sync did not see. The file is open only while one reads."""
    last = ""
    while rows := _read(path, "state", "SELECT key FROM missing WHERE key > ? ORDER BY key LIMIT ?", last):
        last = rows[-1][0]
        yield from (str(key) for (key,) in rows)


def _read_page(path: str, after: int, name: str) -> list[tuple[Any, ...]]:
    columns = "rowid, position, source_id, key, message, details, item"
    return _read(path, name, f"SELECT {columns} FROM failures WHERE rowid > ? ORDER BY rowid LIMIT ?", after)  # noqa: S608


def _read(path: str, name: str, query: str, after: object) -> list[tuple[Any, ...]]:
    if not os.path.exists(path):  # noqa: PTH110  # sqlite would make one
        raise FileNotFoundError(f"the {name} {path!r} is gone")
    with _whole(path, name), closing(_connect(path)) as db:
        return db.execute(query, (after, _PAGE)).fetchall()


@contextmanager
def _whole(path: str, name: str = "journal") -> Generator[None]:
    """Read what must be in a file that is whole."""
    try:
        yield
    except (sqlite3.Error, msgspec.MsgspecError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"{name}: {path!r} is in use, or damaged: {error}") from None


def _convert(row: tuple[Any, ...], into: Any) -> Any:
    # Not strict: SQLite has no booleans.
    return msgspec.convert(row, into, strict=False)


def _connect(path: str) -> sqlite3.Connection:
    # Calls come from whichever thread is free, one at a time.
    return sqlite3.connect(path, timeout=0, check_same_thread=False)


def _storable(text: str | None) -> str | None:
    """The text, in which sqlite takes no lone surrogates."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def _failure(row: tuple[Any, ...]) -> SyncFailure:
    position, source_id, key, message, details, item = _convert(row, _FailureRow)
    return SyncFailure(
        position=position,
        source_id=source_id,
        key=key,
        message=message,
        details=details,
        raw_item=msgspec.Raw(bytes(item)),
    )


def _job(row: tuple[Any, ...]) -> SyncJob:
    job_id, status, items, succeeded, failed, duration = _convert(row, _JobRow)
    return SyncJob(
        id=job_id, status=status, items=items, succeeded=succeeded, failed=failed, duration=duration
    )

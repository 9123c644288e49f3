"""What the sandbox holds, kept in an SQLite file over a restart."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from collections.abc import Generator, Iterable
from typing import Final

from voucherify_async.sandbox._store.gc import gc_paused
from voucherify_async.sandbox._store.persisted_rows import (
    read_customer,
    read_events,
    read_job,
    read_token,
    write,
    write_customer,
    write_events,
)
from voucherify_async.sandbox._store.records import Event, Record
from voucherify_async.sandbox._store.store import Changes, Store

__all__ = ["StateFile"]

_APPLICATION_ID: Final = 0x76735342
"""In the file's header: whose it is."""
_FORMAT: Final = 2
"""Also in the header. Raise it with any change to `_SCHEMA` or to the types of `state_rows`."""
_SCHEMA: Final = (
    "CREATE TABLE openings (number INTEGER PRIMARY KEY)",
    "CREATE TABLE customers (id TEXT PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE activity (number INTEGER PRIMARY KEY, customer TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX activity_of ON activity (customer)",
    "CREATE TABLE jobs (id TEXT PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE tokens (id TEXT PRIMARY KEY, body BLOB NOT NULL)",
)
_MAX_VALUE: Final = 256 * 1024 * 1024
"""In bytes. The longest that a request leads to is a job with 10 MB of control characters, six bytes each."""


class StateFile:
    """A file that holds what a store holds. It is locked until it is closed: one sandbox at a time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file, or make it.

        Raises:
            ValueError: `path` cannot be opened, is in use, or is another kind of file.
        """
        if not os.fspath(path):
            raise ValueError("state must name a file")
        self._path = os.path.abspath(path)  # noqa: PTH100  # SQLite has names of its own for what is no file
        self._events: dict[str, int] = {}
        """How many events of each customer are in the file: there are only ever more."""
        with contextlib.ExitStack() as stack, self._explained():
            # A sandbox may be made in one thread and run in another; never in two at once.
            database = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            stack.callback(database.close)
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("BEGIN IMMEDIATE")
            self._check(database)
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode = WAL")
            # What was answered survives the end of the process, if not that of the machine.
            database.execute("PRAGMA synchronous = NORMAL")
            stack.pop_all()
        self._database = database
        self.closed = False

    def _check(self, database: sqlite3.Connection) -> None:
        """See to it that the file is one of ours."""
        (owner,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        schema = [sql for (sql,) in database.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
        if not schema and not owner:
            for statement in _SCHEMA:
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {_FORMAT}")
        elif owner != _APPLICATION_ID:
            raise ValueError(f"state: {self._path} is not a file of the sandbox")
        elif version != _FORMAT:
            written = "an older" if version < _FORMAT else "a newer"
            raise ValueError(
                f"state: {self._path} was written by {written} version of the sandbox, "
                "and this one cannot read it; name another file, or delete it to begin anew"
            )
        elif sorted(schema) != sorted(_SCHEMA):  # a view or a trigger would run what it says
            raise ValueError(f"state: {self._path} is damaged: it has other tables than a sandbox makes")

    @contextlib.contextmanager
    def _explained(self) -> Generator[None]:
        reason = ""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            reason = str(error)
        if reason:
            raise ValueError(f"state: cannot keep anything in {self._path}: {reason}")

    def load(self, store: Store) -> bool:
        """Fill an empty store.

        Returns:
            Whether the file was there before.

        Raises:
            ValueError: The file is damaged.
        """
        with self._explained():
            (health,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
            if health != "ok":
                raise ValueError(f"state: {self._path} is damaged: {health}")
            (opened,) = self._database.execute("SELECT count(*) FROM openings").fetchone()
        if opened:
            # The same numbers again would give new customers the ids of old ones.
            store.random = random.Random(f"{store.random.random()} {opened}")  # noqa: S311  # as the store's
            reason = ""
            try:
                with gc_paused():
                    self._fill(store)
            except (ValueError, sqlite3.Error) as error:
                reason = str(error)  # the error itself would hold on to the file
            if reason:
                raise ValueError(f"state: {self._path} is damaged: {reason}")
        store.changes = Changes()
        return bool(opened)

    def _fill(self, store: Store) -> None:
        activity: dict[str, list[Event]] = {}
        shown: set[object] = set()
        for customer_id, row in self._database.execute("SELECT customer, body FROM activity ORDER BY number"):
            activity.setdefault(customer_id, []).extend(read_events(row, shown))
        for customer_id, row in self._rows("customers"):
            record = read_customer(customer_id, row)
            if record.source_id is not None and store.has_source_id(record.source_id):
                raise ValueError(f"two customers have the source_id {record.source_id!r}")
            record.activity = activity.pop(record.id, [])
            self._events[record.id] = len(record.activity)
            store.restore(record)
        if activity:
            raise ValueError("there are events without their customer")
        store.restore_jobs(read_job(job_id, row) for job_id, row in self._rows("jobs"))
        store.tokens = {value: read_token(value, row) for value, row in self._rows("tokens")}

    def begin(self, store: Store) -> None:
        """Keep what the store holds at first. From then on, the file is one that was there before.

        Raises:
            ValueError: The file cannot be written.
        """
        with self._explained():
            self._save(store, "INSERT INTO openings DEFAULT VALUES")

    def save(self, store: Store) -> None:
        """Keep what has changed since the last time, if anything has.

        Raises:
            OSError: The file is gone.
            sqlite3.Error: The file cannot be written; what has changed is kept the next time.
        """
        if store.changes:
            if not os.path.exists(self._path):  # noqa: PTH110  # at every call
                raise FileNotFoundError(f"state: {self._path} is gone, and what is written to it is lost")
            self._save(store)

    def _save(self, store: Store, *first: str) -> None:
        changes = store.changes or Changes()
        counts: dict[str, int] = {}
        self._database.execute("BEGIN")
        try:
            for statement in first:
                self._database.execute(statement)
            for customer_id in changes.customers:
                counts[customer_id] = self._save_customer(customer_id, store.customers.get(customer_id))
            self._put("jobs", ((key, write(store.jobs[key])) for key in changes.jobs if key in store.jobs))
            if changes.tokens:
                self._database.execute("DELETE FROM tokens")
                self._put("tokens", ((value, write(token)) for value, token in store.tokens.items()))
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._events.update(counts)
        store.changes = Changes()

    def _save_customer(self, customer_id: str, record: Record | None) -> int:
        """Keep a customer, or what has become of it; returns how many events of it are kept."""
        kept = self._events.get(customer_id, 0)
        if record is None:
            self._database.execute("DELETE FROM customers WHERE id = ?", (customer_id,))
        if record is None or len(record.activity) < kept:  # another customer with the same id
            self._database.execute("DELETE FROM activity WHERE customer = ?", (customer_id,))
            kept = 0
        if record is None:
            return 0
        self._put("customers", [(customer_id, write_customer(record))])
        if len(record.activity) > kept:
            new = write_events(record.activity[kept:])
            self._database.execute("INSERT INTO activity VALUES (NULL, ?, ?)", (customer_id, new))
        return len(record.activity)

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self.closed = True
        self._database.close()

    def _put(self, table: str, rows: Iterable[tuple[str, bytes]]) -> None:
        self._database.executemany(
            f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",  # noqa: S608  # a name of ours
            rows,
        )

    def _rows(self, table: str) -> Iterable[tuple[str, object]]:
        return self._database.execute(f"SELECT id, body FROM {table} ORDER BY rowid")  # noqa: S608  # as above

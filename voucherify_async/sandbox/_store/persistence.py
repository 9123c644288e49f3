"""The state file: an SQLite database in which the sandbox saves its data between runs.

A run starts with `StateFile.load` and `StateFile.begin`, then calls `StateFile.save` after each request. Each save
writes only what `Store.changes` lists, in one transaction, so a request's changes are on disk in whole or not at all.
The file is untrusted: it is checked against the schema, and its rows are validated, before anything is used.
"""

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
"""Identifies a state file of the sandbox, in the header of the file."""
_FORMAT: Final = 2
"""The version, also in the header. Increase it with each change to `_SCHEMA` or to the types in `persisted_rows`."""
_SCHEMA: Final = (
    "CREATE TABLE openings (number INTEGER PRIMARY KEY)",
    "CREATE TABLE customers (id TEXT PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE activity (number INTEGER PRIMARY KEY, customer TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX activity_of ON activity (customer)",
    "CREATE TABLE jobs (id TEXT PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE tokens (id TEXT PRIMARY KEY, body BLOB NOT NULL)",
)
_REMOVE_ALL: Final = tuple(f"DELETE FROM {table}" for table in ("customers", "activity", "jobs", "tokens"))  # noqa: S608  # constant names
_MAX_VALUE: Final = 256 * 1024 * 1024
"""Maximum bytes of a row. The longest one is a job with 10 MB of control characters, in JSON six bytes each."""


class StateFile:
    """A file with the data of a store. It is locked until it is closed: only one sandbox can use it at a time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file, or create it.

        Raises:
            ValueError: `path` cannot be opened, is in use, or is not a state file of this version.
        """
        if not os.fspath(path):
            raise ValueError("state must name a file")
        self._path = os.path.abspath(path)  # noqa: PTH100  # SQLite gives some names, such as ":memory:", a special meaning
        self._saved_events: dict[str, int] = {}
        """The number of events in the file for each customer. Events are only ever appended."""
        with contextlib.ExitStack() as stack, self._sqlite_errors_as_value_errors():
            # A sandbox may be created in one thread and run in another, but never in two at once.
            database = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            stack.callback(database.close)
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("BEGIN IMMEDIATE")
            self._check(database)
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode = WAL")
            # Saved data survives a crash of the process, but perhaps not one of the machine.
            database.execute("PRAGMA synchronous = NORMAL")
            stack.pop_all()
        self._database = database
        self.closed = False

    def _check(self, database: sqlite3.Connection) -> None:
        """Create the tables in a new file; check that an existing one is a valid state file."""
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
                "and this version cannot read it; name another file, or delete it to start anew"
            )
        elif sorted(schema) != sorted(_SCHEMA):  # for example a view or a trigger, which could run any SQL
            raise ValueError(f"state: {self._path} is damaged: its tables are not those of a sandbox")

    @contextlib.contextmanager
    def _sqlite_errors_as_value_errors(self) -> Generator[None]:
        reason = ""
        in_use = False
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            reason = str(error)
            in_use = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        if in_use:
            raise ValueError(f"state: another sandbox uses {self._path}: stop it, or name another file")
        if reason:
            raise ValueError(f"state: cannot use {self._path}: {reason}")

    def load(self, store: Store) -> bool:
        """Fill an empty store from the file.

        Returns:
            Whether the file already has data. If not, the store is left empty.

        Raises:
            ValueError: The file is damaged.
        """
        with self._sqlite_errors_as_value_errors():
            (health,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
            if health != "ok":
                raise ValueError(f"state: {self._path} is damaged: {health}")
            (opened,) = self._database.execute("SELECT count(*) FROM openings").fetchone()
        if opened:
            # The same random numbers as in an earlier run would give new customers the ids of existing ones.
            store.random = random.Random(f"{store.random.random()} {opened}")  # noqa: S311  # test data, not secrets
            reason = ""
            try:
                with gc_paused():
                    self._fill(store)
            except (ValueError, sqlite3.Error) as error:
                reason = str(error)  # raised below, as the traceback of the error would keep the file open
            if reason:
                raise ValueError(f"state: {self._path} is damaged: {reason}")
        store.changes = Changes()
        return bool(opened)

    def _fill(self, store: Store) -> None:
        activity: dict[str, list[Event]] = {}
        known_shapes: set[object] = set()
        for customer_id, row in self._database.execute("SELECT customer, body FROM activity ORDER BY number"):
            activity.setdefault(customer_id, []).extend(read_events(row, known_shapes))
        for customer_id, row in self._rows("customers"):
            record = read_customer(customer_id, row)
            if record.source_id is not None and store.has_source_id(record.source_id):
                raise ValueError(f"two customers have the source_id {record.source_id!r}")
            record.activity = activity.pop(record.id, [])
            self._saved_events[record.id] = len(record.activity)
            store.restore(record)
        if activity:
            raise ValueError("there are events of a customer that does not exist")
        store.restore_jobs(read_job(job_id, row) for job_id, row in self._rows("jobs"))
        store.tokens = {value: read_token(value, row) for value, row in self._rows("tokens")}

    def begin(self, store: Store) -> None:
        """Save the store as it is at the start of a run, and mark the file as one with data.

        Raises:
            ValueError: The file cannot be written.
        """
        with self._sqlite_errors_as_value_errors():
            self._save(store, "INSERT INTO openings DEFAULT VALUES")

    def save(self, store: Store) -> None:
        """Save what has changed since the last save, if anything has.

        Raises:
            OSError: The file has been deleted.
            sqlite3.Error: The file cannot be written. The next save tries again.
        """
        if store.changes:
            if not os.path.exists(self._path):  # noqa: PTH110  # faster than pathlib, and called for each request
                raise FileNotFoundError(f"state: {self._path} was deleted, so nothing can be saved")
            self._save(store)

    def _save(self, store: Store, *first: str) -> None:
        changes = store.changes or Changes()
        counts: dict[str, int] = {}
        self._database.execute("BEGIN")
        try:
            for statement in (*first, *(_REMOVE_ALL if changes.all_removed else ())):
                self._database.execute(statement)
            for customer_id in changes.customers:
                saved = 0 if changes.all_removed else self._saved_events.get(customer_id, 0)
                counts[customer_id] = self._save_customer(
                    customer_id, store.customers.get(customer_id), saved
                )
            self._upsert_rows(
                "jobs", ((key, write(store.jobs[key])) for key in changes.jobs if key in store.jobs)
            )
            if changes.tokens:
                self._database.execute("DELETE FROM tokens")
                self._upsert_rows("tokens", ((value, write(token)) for value, token in store.tokens.items()))
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        if changes.all_removed:
            self._saved_events.clear()
        self._saved_events.update(counts)
        store.changes = Changes()

    def _save_customer(self, customer_id: str, record: Record | None, saved: int) -> int:
        """Save or delete a customer with so many saved events; returns how many are then in the file."""
        if record is None:
            self._database.execute("DELETE FROM customers WHERE id = ?", (customer_id,))
        if record is None or len(record.activity) < saved:  # deleted, or created again with the same id
            self._database.execute("DELETE FROM activity WHERE customer = ?", (customer_id,))
            saved = 0
        if record is None:
            return 0
        self._upsert_rows("customers", [(customer_id, write_customer(record))])
        if len(record.activity) > saved:
            new = write_events(record.activity[saved:])
            self._database.execute("INSERT INTO activity VALUES (NULL, ?, ?)", (customer_id, new))
        return len(record.activity)

    def close(self) -> None:
        """Close the file. May be called twice."""
        self.closed = True
        self._database.close()

    def _upsert_rows(self, table: str, rows: Iterable[tuple[str, bytes]]) -> None:
        self._database.executemany(
            f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",  # noqa: S608  # a constant name
            rows,
        )

    def _rows(self, table: str) -> Iterable[tuple[str, object]]:
        return self._database.execute(f"SELECT id, body FROM {table} ORDER BY rowid")  # noqa: S608  # a constant name

"""What the sandbox holds, kept in an SQLite file over a restart."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import os
import pickle
import random
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Final

import msgspec

from voucherify_async.sandbox.holdings import About, Campaign, Order, Product, Redeemable, Tier
from voucherify_async.sandbox.jobs import BulkUpdate, CsvImport, MetadataUpdate
from voucherify_async.sandbox.records import EPOCH, Event, Job, Record, Snapshot, Token
from voucherify_async.sandbox.seed import undisturbed
from voucherify_async.sandbox.store import Changes, Store

__all__ = ["State"]

_APPLICATION_ID: Final = 0x76735342
"""In the file's header: whose it is."""
_FORMAT: Final = 1
_SCHEMA: Final = f"""
    PRAGMA application_id = {_APPLICATION_ID};
    PRAGMA user_version = {_FORMAT};
    CREATE TABLE openings (number INTEGER PRIMARY KEY);
    CREATE TABLE shared (id TEXT PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE customers (id TEXT PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE activity (number INTEGER PRIMARY KEY, customer TEXT NOT NULL, body BLOB NOT NULL);
    CREATE INDEX activity_of ON activity (customer);
    CREATE TABLE jobs (id TEXT PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE tokens (id TEXT PRIMARY KEY, body BLOB NOT NULL);
"""

_SHARED: Final = frozenset({Campaign, Product, Tier})
"""What many customers have in common."""
_rebuild: Final[Any] = Snapshot(id="", source_id=None, created=EPOCH).__reduce__()[0]
"""How msgspec puts a struct together again."""
_KEPT: Final[dict[tuple[str, str], Any]] = {
    (kind.__module__, kind.__qualname__): kind
    for kind in (
        About, BulkUpdate, Campaign, CsvImport, Event, Job, MetadataUpdate, Order, Product, Record, Redeemable,
        Snapshot, Tier, Token, dt.datetime, dt.timezone, dt.timedelta, _rebuild,
    )
}  # fmt: skip
"""Everything that there can be in a file, besides what JSON has, by module and name."""


class State:
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
        self._shared: dict[str, Any] = {}
        """What many customers have in common: in the file once, and once in memory."""
        with contextlib.ExitStack() as stack, self._explained():
            # A sandbox may be made in one thread and run in another; never in two at once.
            database = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            stack.callback(database.close)
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
        (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables and not owner:
            for statement in _SCHEMA.split(";")[:-1]:
                database.execute(statement)
        elif owner != _APPLICATION_ID:
            raise ValueError(f"state: {self._path} is not a file of the sandbox")
        elif version != _FORMAT:
            raise ValueError(f"state: {self._path} is of another version of the sandbox")

    @contextlib.contextmanager
    def _explained(self) -> Generator[None]:
        reason = ""
        try:
            yield
        except sqlite3.Error as error:
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
            reason = None
            try:
                with undisturbed():
                    self._fill(store)
            except Exception as error:  # noqa: BLE001  # whatever damaged values may lead to
                reason = f"{type(error).__name__}: {error}"
            if reason is not None:
                raise ValueError(f"state: {self._path} holds something else than a sandbox keeps: {reason}")
        store.changes = Changes()
        return bool(opened)

    def _fill(self, store: Store) -> None:
        rows = self._database.execute("SELECT customer, body FROM activity ORDER BY number")
        activity: dict[str, list[Event]] = {}
        for customer, body in rows:
            activity.setdefault(customer, []).extend(self._value(body))
        for record in self._values("customers"):
            record.activity = activity.pop(record.id, [])
            self._events[record.id] = len(record.activity)
            store.restore(record)
        store.restore_jobs(self._values("jobs"))
        store.tokens = {token.value: token for token in self._values("tokens")}

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
            self._put("jobs", ((key, store.jobs[key]) for key in changes.jobs if key in store.jobs))
            if changes.tokens:
                self._database.execute("DELETE FROM tokens")
                self._put("tokens", store.tokens.items())
            self._database.execute("COMMIT")
        except BaseException:
            self._shared.clear()  # they may not be in the file
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
        self._put("customers", [(customer_id, msgspec.structs.replace(record, activity=[]))])
        if len(record.activity) > kept:
            new = self._blob(record.activity[kept:])
            self._database.execute("INSERT INTO activity VALUES (NULL, ?, ?)", (customer_id, new))
        return len(record.activity)

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self.closed = True
        self._database.close()

    # ------------------------------------------------------------ values in the file

    def _put(self, table: str, values: Iterable[tuple[str, Any]]) -> None:
        self._database.executemany(
            f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",  # noqa: S608  # a name of ours
            ((key, self._blob(value)) for key, value in values),
        )

    def _values(self, table: str) -> Iterator[Any]:
        rows = self._database.execute(f"SELECT body FROM {table} ORDER BY rowid")  # noqa: S608  # as above
        return (self._value(body) for (body,) in rows)

    def _blob(self, value: Any) -> bytes:
        file = io.BytesIO()
        _Pickler(self, file, value).dump(value)
        return file.getvalue()

    def _value(self, blob: bytes) -> Any:
        return _Unpickler(self, io.BytesIO(blob)).load()

    def share(self, value: Campaign | Product | Tier) -> str:
        """Keep a value that many others refer to, once; returns its id."""
        if value.id not in self._shared:
            self._shared[value.id] = value
            self._put("shared", [(value.id, value)])
        return value.id

    def shared(self, key: str) -> Any:
        """A value that many others refer to."""
        if key not in self._shared:
            (body,) = self._database.execute("SELECT body FROM shared WHERE id = ?", (key,)).fetchone()
            self._shared[key] = self._value(body)
        return self._shared[key]


class _Pickler(pickle.Pickler):
    """Writes a value; of what many have in common, only the id."""

    def __init__(self, state: State, file: io.BytesIO, value: Any) -> None:
        super().__init__(file, protocol=5)
        self._state = state
        self._value = value

    def persistent_id(self, obj: Any) -> str | None:
        """The id of something that many have in common."""
        return self._state.share(obj) if type(obj) in _SHARED and obj is not self._value else None


class _Unpickler(pickle.Unpickler):
    """Reads a value that is made of ours and of no others: a file may come from anybody."""

    def __init__(self, state: State, file: io.BytesIO) -> None:
        super().__init__(file)
        self._state = state

    def persistent_load(self, pid: str) -> Any:
        """What many have in common, by its id."""
        return self._state.shared(pid)

    def find_class(self, module: str, name: str) -> Any:
        """A class, if it is one of those."""
        if (module, name) not in _KEPT:
            raise pickle.UnpicklingError(f"{module}.{name} is not among what a sandbox holds")
        return _KEPT[module, name]

"""State files that were damaged or crafted: each is refused, or holds a sandbox that works."""

from __future__ import annotations

import copy
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clocks import FakeClock
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._endpoints import routes
from voucherify_async.sandbox._http.routing import ApiCall
from voucherify_async.sandbox._seed.seed import seed_customers
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.jobs import (
    REPORT_PATH,
    BulkUpdate,
    CsvImport,
    MetadataUpdate,
    find_report,
)
from voucherify_async.sandbox._store.persistence import StateFile
from voucherify_async.sandbox._store.store import Store

SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))
NOW: Final = 1_800_000_000.0
TABLES: Final = ("customers", "activity", "jobs", "tokens")


def write(path: Path) -> None:
    """Make a file with all that there can be in one."""
    clock = FakeClock(NOW - 10)
    store, state = Store(seed=7, clock=clock), StateFile(path)
    state.load(store)
    seed_customers(store, 12)
    store.upsert({"source_id": "a", "metadata": {"n": [1, {"m": 2**70}], "none": None}})
    bulk: list[Any] = [{"source_id": "b"}, {"source_id": "c", "name": 5}]
    for _ in range(2):  # the first end, the others wait
        store.schedule("CUSTOMERS.BULK_UPDATE", "v-1", BulkUpdate.of(bulk))
        store.schedule("CUSTOMERS.IMPORT_CSV", "v-1", CsvImport.of(b"Source_id,n\n,1\nd,2,3\n"))
        store.schedule("CUSTOMERS.METADATA_UPDATE", "v-1", MetadataUpdate(["a"], metadata={"m": 1}))
        clock.now = NOW
        store.advance()
    store.issue_token("api")
    state.begin(store)
    state.close()


def open_(path: Path) -> Store:
    state, store = StateFile(path), Store(clock=FakeClock(NOW))
    try:
        state.load(store)
    finally:
        state.close()
    return store


def look_at_everything(store: Store) -> None:
    """As a client would, now and later."""
    for now in (NOW, NOW + 1_000):
        store.clock = FakeClock(now)
        calls: list[tuple[str, ...]] = [("customers",), ("async-actions",)]
        calls += [("async-actions", job) for job in store.jobs]
        for customer in store.customers:
            calls.append(("customers", customer))
            kinds = ("activity", "activities", "redeemables", "segments")
            calls += [("customers", customer, kind) for kind in kinds]
        for call in calls:
            query = [("limit", "100")] if call[-1] in {"customers", "activity", "activities"} else []
            try:
                _, content = routes.dispatch(store, ApiCall("GET", ("v1", *call), query, "", b"", "v-1"))
            except ApiError:  # an empty id, for example
                continue
            msgspec.json.encode(content)
        for job in store.jobs:
            find_report(store, f"{REPORT_PATH}{job}.csv")
    for record in list(store.customers.values()):
        if record.id:
            path = ("v1", "customers", record.id, "permanent-deletion")
            routes.dispatch(store, ApiCall("POST", path, [], "", b"", "v-1"))


class Original:
    """The file that is damaged again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        write(path)
        self.content = path.read_bytes()
        with closing(sqlite3.connect(path)) as database:
            self.rows: list[tuple[str, int, bytes]] = [
                (table, number, body)
                for table in TABLES
                for number, body in database.execute(f"SELECT rowid, body FROM {table}")
            ]

    def check(self, table: str, number: int, body: object) -> None:
        """Open the file with another row in it."""
        self.path.write_bytes(self.content)
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(f"UPDATE {table} SET body = ? WHERE rowid = ?", (body, number))
        self.opened()

    def opened(self) -> None:
        try:
            store = open_(self.path)
        except ValueError as error:
            if not str(error).startswith("state: "):
                raise
        else:
            look_at_everything(store)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original(tmp_path_factory.mktemp("state") / "state.sqlite")


def test_what_is_whole_is_read(original: Original) -> None:
    original.path.write_bytes(original.content)
    store = open_(original.path)
    assert len(store.customers) == 12 + 3
    assert [job.ended for job in store.jobs.values()] == [True] * 3 + [False] * 3
    assert store.get("a").metadata == {"n": [1, {"m": 2**70}], "none": None, "m": 1}
    look_at_everything(store)


# ---------------------------------------------------------------- generated damage

JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 10**19, 10**400, -(10**4000)])
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00", "a"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Each object and array in JSON, with each key and index of it."""
    found: list[tuple[Any, Any]] = []
    for key in (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    ):
        found += [(value, key), *places_in(value[key])]
    return found


@st.composite
def changed_rows(draw: st.DrawFn, rows: list[tuple[str, int, bytes]]) -> tuple[str, int, bytes]:
    table, number, body = draw(st.sampled_from(rows))
    whole = [copy.deepcopy(json.loads(body))]
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(places_in(whole)))
        if holder is not whole and draw(st.booleans()):
            del holder[key]
        else:
            holder[key] = draw(JSON)
    return table, number, json.dumps(whole[0]).encode()


def check_changed_row(original: Original, data: st.DataObject) -> None:
    original.check(*data.draw(changed_rows(original.rows)))


def check_cut_row(original: Original, data: st.DataObject) -> None:
    table, number, body = data.draw(st.sampled_from(original.rows))
    start = data.draw(st.integers(0, len(body)))
    end = start + data.draw(st.integers(0, 5))
    original.check(table, number, body[:start] + data.draw(st.binary(max_size=5)) + body[end:])


def check_damaged_file(original: Original, data: st.DataObject) -> None:
    content = bytearray(original.content)
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.just(len(content)) | st.integers(0, len(content))) :]
    original.path.write_bytes(content)
    original.opened()


CHECKS: Final = (check_changed_row, check_cut_row, check_damaged_file)


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=40)
@given(data=st.data())
def test_damage(
    original: Original, check: Callable[[Original, st.DataObject], None], data: st.DataObject
) -> None:
    check(original, data)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=int(5_000 * SOAK_SCALE))
@given(data=st.data())
def test_damage_for_long(
    original: Original, check: Callable[[Original, st.DataObject], None], data: st.DataObject
) -> None:
    check(original, data)


# ---------------------------------------------------------------- crafted files


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("CREATE VIEW v AS SELECT 1", "tables are not those"),
        ("CREATE TRIGGER t AFTER INSERT ON openings BEGIN DELETE FROM customers; END", "tables are not those"),
        ("CREATE INDEX i ON customers (body)", "tables are not those"),
        ("DROP INDEX activity_of", "tables are not those"),
        ("CREATE TABLE shared (id TEXT PRIMARY KEY, body BLOB NOT NULL)", "tables are not those"),
        ("DROP TABLE tokens; CREATE VIEW tokens AS SELECT 'a' AS id, zeroblob(9) AS body", "tables are not those"),
        ("UPDATE customers SET body = 5", "int, not bytes"),
        ("UPDATE customers SET body = 'text'", "str, not bytes"),
        ("UPDATE customers SET id = id || 'x'", "key of a row does not match"),
        ("UPDATE jobs SET id = id || 'x'", "key of a row does not match"),
        ("UPDATE tokens SET id = id || 'x'", "key of a row does not match"),
        ("DELETE FROM customers", "customer that does not exist"),
        ("UPDATE customers SET body = replace(body, '}', ', \"more\": 1}')", "bytes"),
        ("UPDATE activity SET body = x'5b5d' WHERE number = 1; UPDATE activity SET body = x'5b7b7d5d'", "number"),
    ],
)  # fmt: skip
def test_what_no_sandbox_writes(original: Original, statement: str, reason: str) -> None:
    original.path.write_bytes(original.content)
    with closing(sqlite3.connect(original.path)) as database:
        database.executescript(statement)
    with pytest.raises(ValueError, match=rf"^state: .*{reason}"):
        open_(original.path)


def changed(body: bytes, **changes: Any) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(body), **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"last": 10**6}, "out of order"),
        ({"first": 2, "last": 1}, "out of order"),
        ({"ends": 0.0}, "out of order"),
        ({"created": -1e300}, "out of order"),
        ({"created": 1e300, "starts": 1e300, "ends": 1e300}, "too large"),
        (
            {"work": {"type": "BulkUpdate", "source_ids": ["a"], "fates": ""}, "result": {}, "last": 1},
            "report",
        ),
        ({"work": {"type": "CsvImport", "columns": [], "rows": [], "count": 10**30}}, "too large"),
        ({"work": {"type": "Popen"}}, "Popen"),
        ({"id": 5}, r"Expected `str`"),
    ],
)
def test_jobs_that_would_break_the_sandbox(original: Original, changes: Any, reason: str) -> None:
    original.path.write_bytes(original.content)
    with closing(sqlite3.connect(original.path)) as database, database:
        number, body = database.execute("SELECT rowid, body FROM jobs ORDER BY rowid DESC").fetchone()
        database.execute("UPDATE jobs SET body = ? WHERE rowid = ?", (changed(body, **changes), number))
    with pytest.raises(ValueError, match=rf"^state: .* is damaged: .*{reason}"):
        open_(original.path)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" * 10_000_000, "nested|recursion"),
        (b"[" * 102 + b"]" * 102, "nested deeper than 100"),
        (
            b'[{"number":1,"kind":"customer.created","at":"2026-01-01T00:00:00Z","category":"A"}]',
            "no customer",
        ),
        (b'[{"number":1,"kind":"a","at":"2026-01-01T00:00:00","category":"A"}]', "timezone"),
    ],
    ids=["endless", "deep", "nobody", "zoneless"],
)
def test_events_that_would_break_the_sandbox(original: Original, body: bytes, reason: str) -> None:
    original.path.write_bytes(original.content)
    with closing(sqlite3.connect(original.path)) as database, database:
        database.execute("UPDATE activity SET body = ? WHERE number = 1", (body,))
    with pytest.raises(ValueError, match=rf"^state: .* is damaged: .*({reason})"):
        open_(original.path)


def test_two_customers_of_one_name(original: Original) -> None:
    original.path.write_bytes(original.content)
    with closing(sqlite3.connect(original.path)) as database, database:
        for number, body in database.execute("SELECT rowid, body FROM customers LIMIT 2").fetchall():
            database.execute(
                "UPDATE customers SET body = ? WHERE rowid = ?", (changed(body, source_id="x"), number)
            )
    with pytest.raises(ValueError, match="two customers have the source_id 'x'"):
        open_(original.path)


def test_a_value_that_is_too_long(original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voucherify_async.sandbox._store.persistence._MAX_VALUE", 100)
    original.path.write_bytes(original.content)
    with pytest.raises(ValueError, match=r"^state: .*too big"):
        open_(original.path)


@pytest.mark.parametrize(("version", "written"), [(1, "an older"), (3, "a newer")])
def test_other_versions(tmp_path: Path, version: int, written: str) -> None:
    path = tmp_path / "state.sqlite"
    StateFile(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(
        ValueError, match=rf"^state: .* was written by {written} version .* name another file"
    ):
        Sandbox(state=path)

"""Background jobs of the sandbox, looked at without a server."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest

from tests.support.clocks import FakeClock
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.index import EVERYONE
from voucherify_async.sandbox._store.jobs import BulkUpdate, CsvImport, MetadataUpdate, find_report
from voucherify_async.sandbox._store.records import Job
from voucherify_async.sandbox._store.store import Store

TURN = 100


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voucherify_async.sandbox._store.store._SLICE_SIZE", TURN)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


@pytest.fixture
def store(clock: FakeClock) -> Store:
    return Store(clock=clock, job_seconds=1.0, job_seconds_per_item=0.0)


def work(name: str, items: int) -> BulkUpdate:
    return BulkUpdate.of([{"source_id": f"{name}-{number}"} for number in range(items)])


def schedule(store: Store, name: str, items: int) -> Job:
    return store.schedule("CUSTOMERS.BULK_UPDATE", "v-1", work(name, items))


def done(store: Store) -> dict[str, int]:
    """How many customers of each job there are."""
    found: dict[str, int] = {}
    for record in store.customers.values():
        name = (record.source_id or "").partition("-")[0]
        found[name] = found.get(name, 0) + 1
    return found


class TestTurns:
    def test_small_jobs_run_in_order(self, store: Store, clock: FakeClock) -> None:
        first, second = schedule(store, "a", 5), schedule(store, "b", 5)
        assert [job.to_json(clock.now)["status"] for job in (first, second)] == ["IN_PROGRESS", "ENQUEUED"]
        clock.now += 1.5
        store.advance()
        assert done(store) == {"a": 5}
        assert [job.to_json(clock.now)["progress"] for job in (first, second)] == [100, 50]
        clock.now += 0.5
        store.advance()
        assert done(store) == {"a": 5, "b": 5}

    def test_large_jobs_take_turns(self, store: Store, clock: FakeClock) -> None:
        large, small, other = (
            schedule(store, "a", 5 * TURN // 2),
            schedule(store, "b", 1),
            schedule(store, "c", 2 * TURN),
        )
        seen: list[dict[str, int]] = []
        statuses: list[list[str]] = []
        while not all(job.ended for job in (large, small, other)):
            statuses.append([job.to_json(clock.now)["status"] for job in (large, small, other)])
            clock.now = min(job.ends for job in (large, small, other) if not job.ended)
            store.advance()
            seen.append(done(store))
        assert seen == [
            {"a": TURN},
            {"a": TURN, "b": 1},
            {"a": TURN, "b": 1, "c": TURN},
            {"a": 2 * TURN, "b": 1, "c": TURN},
            {"a": 2 * TURN, "b": 1, "c": 2 * TURN},
            {"a": 5 * TURN // 2, "b": 1, "c": 2 * TURN},
        ]
        assert statuses[1] == ["IN_PROGRESS", "IN_PROGRESS", "ENQUEUED"]
        assert statuses[3] == ["IN_PROGRESS", "DONE", "IN_PROGRESS"]
        assert clock.now == pytest.approx(1003)  # each takes a second in all
        assert large.result is not None
        assert large.result["done_count"] == 5 * TURN // 2

    def test_progress_only_grows(self, store: Store, clock: FakeClock) -> None:
        large = schedule(store, "a", 3 * TURN)
        schedule(store, "b", 3 * TURN)
        seen: list[int] = []
        for _ in range(25):
            store.advance()
            seen.append(large.to_json(clock.now)["progress"])
            clock.now += 0.1
        assert seen == sorted(seen)
        assert seen[0] == 0
        assert seen[-1] == 100
        assert len(set(seen)) > 5

    def test_a_job_without_items(self, store: Store, clock: FakeClock) -> None:
        job = schedule(store, "a", 0)
        clock.now += 0.5
        assert job.to_json(clock.now)["progress"] == 50
        clock.now += 0.5
        store.advance()
        assert job.result is not None
        assert (job.result["done_count"], job.to_json(clock.now)["progress"]) == (0, 100)

    def test_many_jobs_that_are_due_at_once(self, store: Store, clock: FakeClock) -> None:
        jobs = [schedule(store, f"{number}", 2) for number in range(50)]
        clock.now += 1e6
        store.advance()
        assert all(job.ended for job in jobs)
        created = [store.get(f"{number}-0").created.timestamp() for number in range(50)]
        assert created == [1000.5 + number for number in range(50)]  # half-way, as it was the first of two


def report(store: Store, job: Job) -> list[dict[str, str]]:
    content = find_report(store, f"/-/reports/{job.id}.csv")
    assert content is not None
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


class TestReports:
    def test_of_a_bulk_update(self, store: Store, clock: FakeClock) -> None:
        store.upsert({"source_id": "known"})
        store.upsert({"source_id": "bad"})
        customers: list[dict[str, Any]] = [
            {"source_id": "known", "name": "Ada"},
            {"source_id": 'new, "quoted"\n'},
            {"source_id": "bad", "name": 5},
            {"source_id": "worse", "name": 5},
        ]
        job = store.schedule("CUSTOMERS.BULK_UPDATE", "v-1", BulkUpdate.of(customers))
        assert find_report(store, f"/-/reports/{job.id}.csv") is None
        clock.now += 2
        assert report(store, job) == [
            {"source_id": "known", "found": "true", "updated": "true"},
            {"source_id": 'new, "quoted"\n', "found": "false", "updated": "true"},
            {"source_id": "bad", "found": "true", "updated": "false"},
            {"source_id": "worse", "found": "false", "updated": "false"},
        ]

    @pytest.mark.parametrize("source_id", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
    def test_no_cell_is_a_formula(self, store: Store, clock: FakeClock, source_id: str) -> None:
        job = store.schedule("CUSTOMERS.BULK_UPDATE", "v-1", BulkUpdate.of([{"source_id": source_id}]))
        clock.now += 2
        assert report(store, job)[0]["source_id"] == f"'{source_id}"

    def test_of_a_metadata_update(self, store: Store, clock: FakeClock) -> None:
        store.upsert({"source_id": "a", "metadata": {"m": 1}})
        work = MetadataUpdate(["a", "b"], metadata={"n": 2})
        job = store.schedule("CUSTOMERS.METADATA_UPDATE", "v-1", work)
        clock.now += 2
        assert [row["found"] for row in report(store, job)] == ["true", "false"]
        assert (store.get("a").metadata, store.get("b").metadata) == ({"m": 1, "n": 2}, {"n": 2})

    def test_an_import_has_none(self, store: Store, clock: FakeClock) -> None:
        job = store.schedule("CUSTOMERS.IMPORT_CSV", "v-1", CsvImport.of(b"Name\nAda\n"))
        clock.now += 2
        store.advance()
        assert job.ended
        assert find_report(store, f"/-/reports/{job.id}.csv") is None

    def test_they_are_kept_for_a_month(self, store: Store, clock: FakeClock) -> None:
        job = schedule(store, "a", 1)
        clock.now += 2
        assert find_report(store, f"/-/reports/{job.id}.csv") is not None
        assert job.result is not None
        till = dt.datetime.fromisoformat(job.result["reports_available_till"]).timestamp()
        clock.now = till
        assert find_report(store, f"/-/reports/{job.id}.csv") is not None
        clock.now = till + 1
        assert find_report(store, f"/-/reports/{job.id}.csv") is None

    @pytest.mark.parametrize("path", ["/-/reports/", "/-/reports/aa_1.csv", "/-/reports/../aa_1.csv"])
    def test_there_is_none(self, store: Store, path: str) -> None:
        assert find_report(store, path) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"a b,c\n", b",a\n", b"\xff", b'a\n"b'])
def test_files_that_are_no_csv(content: bytes) -> None:
    with pytest.raises(ApiError, match="invalid_csv"):
        CsvImport.of(content)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\xef\xbb\xbfname,city\nAda,Paris\n", "Ada"),
        (b"name,city\rAda,Paris\r", "Ada"),
        (b'name,city\r\n"Ada\r\nL",Paris\r\n', "Ada\r\nL"),
        (b'name,city\n"Ada\rL",Paris', "Ada\rL"),
    ],
)
def test_line_ends_and_byte_order_marks(content: bytes, name: str) -> None:
    work = CsvImport.of(content)
    assert (work.columns, work.rows) == (["name", "city"], [[name, "Paris"]])


def test_what_is_wrong_with_a_row_is_told(store: Store, clock: FakeClock) -> None:
    content = b"Source_id,birthdate\na\n\nb,soon\n,,extra\n"
    job = store.schedule("CUSTOMERS.IMPORT_CSV", "v-1", CsvImport.of(content))
    clock.now += 2
    store.advance()
    assert job.result is not None
    assert (job.result["done_count"], job.result["failed_count"]) == (1, 2)
    assert job.result["failed"] == [
        {
            "source_id": "b",
            "row": 2,
            "reason": "Property .birthdate must be a date in the form YYYY-MM-DD",
        },
        {"source_id": "", "row": 3, "reason": "The row has more values than there are columns"},
    ]


def test_what_is_done_is_not_kept(store: Store, clock: FakeClock) -> None:
    """Jobs are kept for ever, and in the file of the state."""
    bulk, table = work("a", 3), CsvImport.of(b"name\nAda\n")
    for one in (bulk, table):
        store.schedule("X", "v-1", one)
    clock.now += 3
    store.advance()
    assert (bulk.customers, table.rows) == ([], [])


def test_a_report_has_one_address(store: Store, clock: FakeClock) -> None:
    job = schedule(store, "a", 1)
    clock.now += 2
    assert find_report(store, f"/-/reports/{job.id}.csv") is not None
    assert find_report(store, f"/-/reports/{job.id}.txt") is None


class TestWhenNobodyLooked:
    def test_turns_follow_one_another_all_the_same(self, store: Store, clock: FakeClock) -> None:
        job, other = schedule(store, "a", 5 * TURN // 2), schedule(store, "b", 1)
        clock.now += 1e6
        store.advance()
        assert (job.ended, other.ended) == (True, True)
        assert [other.ends, job.ends] == pytest.approx([1001.4, 1002.0])

    def test_customers_were_updated_when_the_job_ended(self, store: Store, clock: FakeClock) -> None:
        store.upsert({"source_id": "a-0"})
        schedule(store, "a", 1)
        clock.now += 1e6
        assert store.get("a-0").updated == dt.datetime.fromtimestamp(1001, dt.UTC)

    @pytest.mark.parametrize("look", ["find", "upsert", "select", "schedule"])
    def test_whoever_does_sees_what_is_due(self, store: Store, clock: FakeClock, look: str) -> None:
        customers = [{"source_id": "a", "name": "Ada"}]
        store.schedule("X", "v-1", BulkUpdate.of(customers))
        clock.now += 1
        if look == "find":
            assert store.find("a") is not None
        elif look == "upsert":
            assert store.upsert({"source_id": "a", "name": "Bob"}).updated is not None
            assert store.get("a").fields == {"name": "Bob"}
        elif look == "select":
            assert store.select(EVERYONE, "created_at")[1] == 1
        else:
            assert schedule(store, "b", 1).starts == 1001.0
            assert done(store) == {"a": 1}

    def test_a_job_that_is_due_is_no_further_than_done(self, store: Store) -> None:
        job = schedule(store, "a", 3)
        shown = job.to_json(job.ends + 5)
        assert (shown["status"], shown["progress"]) == ("IN_PROGRESS", 100)


def test_a_job_is_not_updated_after_its_end(store: Store, clock: FakeClock) -> None:
    job = schedule(store, "a", 3)
    shown = [job.to_json(now)["updated_at"] for now in (1000.0, 1000.5, 1001.0, 1005.0)]
    assert [instant[-7:] for instant in shown] == ["40.000Z", "40.500Z", "41.000Z", "41.000Z"]


def test_jobs_that_were_kept_wait_for_the_turns_that_they_had(store: Store, clock: FakeClock) -> None:
    large, small = schedule(store, "a", 2 * TURN), schedule(store, "b", 1)
    clock.now += 0.5
    store.advance()
    again = Store(clock=clock)
    again.restore_jobs([large, small])
    clock.now = small.ends
    again.advance()
    assert done(again) == {"b": 1}
    clock.now = large.ends
    again.advance()
    assert done(again) == {"a": TURN, "b": 1}
    assert large.ended


def test_time_goes_on_after_an_interrupt(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    schedule(store, "a", 1)
    monkeypatch.setattr(BulkUpdate, "do", interrupt)
    clock.now += 5
    with pytest.raises(KeyboardInterrupt):
        store.advance()
    assert store.now().timestamp() == clock.now

"""What the sandbox holds, looked at without a server."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.clocks import FakeClock
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._endpoints._event_data import event_json
from voucherify_async.sandbox._store.index import EVERYONE
from voucherify_async.sandbox._store.jobs import BulkUpdate
from voucherify_async.sandbox._store.persisted_rows import read_job, write
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.records import Customers, Record
from voucherify_async.sandbox._store.store import Store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


@pytest.fixture
def store(clock: FakeClock) -> Store:
    return Store(clock=clock)


def run_bulk(store: Store, clock: FakeClock, customers: list[Any]) -> dict[str, Any]:
    job = store.schedule("CUSTOMERS.BULK_UPDATE", "v-1", BulkUpdate.of(customers))
    clock.now = job.ends
    store.advance()
    assert job.result is not None
    return job.result


class Chore:
    """Work that only takes its time."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.done: list[range] = []

    def __len__(self) -> int:
        return self.items

    @property
    def failed_count(self) -> int:
        return 0

    def do(self, customers: Customers, items: range) -> None:
        self.done.append(items)

    def result(self, ended: dt.datetime) -> dict[str, Any]:
        return {"done_count": self.items}

    def report(self) -> None:
        pass


def told(record: Record) -> list[dict[str, Any]]:
    return [event_json(event) for event in record.activity]


class TestEvents:
    def test_they_show_what_the_customer_was_then(self, store: Store, clock: FakeClock) -> None:
        record = store.upsert({"source_id": "a", "name": "Ada", "metadata": {"n": 1}})
        shown = [record.to_json()]
        for changes in (
            {"name": "Bob", "address": {"city": "London"}},
            {"metadata": {"m": 2}, "address": {"country": "UK"}},
            {"name": None, "metadata": None},
        ):
            clock.now += 1
            store.update(record, changes)
            shown.append(record.to_json())
        clock.now += 1
        store.upsert({"source_id": "a", "email": "a@example.com"}, replace=True)
        shown.append(record.to_json())
        assert [event["data"]["data"]["customer"] for event in told(record)] == shown
        assert [customer.get("name") for customer in shown] == ["Ada", "Bob", "Bob", None, None]
        assert [event["created_at"] for event in told(record)] == [
            customer.get("updated_at", customer["created_at"]) for customer in shown
        ]

    def test_they_look_the_same_each_time(self, store: Store) -> None:
        record = store.upsert({"source_id": "a"})
        store.update(record, {"name": "Ada"})
        first, second = told(record)
        assert told(record) == [first, second]
        ids = {first["id"], second["id"], first["group_id"], second["group_id"]}
        assert len(ids) == 4
        assert [event.id for event in record.activity] == [first["id"], second["id"]]
        for event in (first, second):
            assert event["id"].startswith("evcus_")
            assert event["group_id"].startswith("v-")
            assert len(event["id"]) - len("evcus_") == len(event["group_id"]) - len("v-") == 18


def test_the_same_seed_gives_the_same_ids() -> None:
    def made(seed: int) -> list[Any]:
        store = Store(seed=seed, clock=FakeClock(5.0))
        return [(record.id, record.source_id, told(record)) for record in store.burst(20)]

    assert made(3) == made(3)
    assert made(3) != made(4)


def test_ids_are_letters_and_digits(store: Store) -> None:
    ids = [store.make_id("cust_") for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert {len(made) for made in ids} == {len("cust_") + 24}
    letters = set("".join(made.removeprefix("cust_") for made in ids))
    assert len(letters) == 62
    assert all(letter.isascii() and letter.isalnum() for letter in letters)


class TestBulk:
    def test_all_happen_at_the_instant_at_which_the_job_ends(self, store: Store, clock: FakeClock) -> None:
        store.quirks = Quirks(alike=True)
        store.upsert({"source_id": "b"})
        result = run_bulk(store, clock, [{"source_id": name} for name in "abc"])
        assert (result["done_count"], result["failed_count"]) == (3, 0)
        at = dt.datetime.fromtimestamp(1000, dt.UTC) + dt.timedelta(milliseconds=50)
        assert [store.get(name).activity[-1].at for name in "abc"] == [at] * 3
        assert store.get("b").updated == store.get("a").created == at

    def test_the_first_thing_that_does_not_fit_is_told(self, store: Store, clock: FakeClock) -> None:
        wrong: list[Any] = [
            {"metadata": 1, "address": {"city": 1}, "birthdate": "soon", "email": 1, "name": 1, "id": ""},
            {"metadata": 1, "address": {"city": 1}, "birthdate": "soon", "email": 1, "name": 1},
            {"metadata": 1, "address": {"city": 1}, "birthdate": "soon"},
            {"metadata": 1, "address": {"city": 1}},
            {"metadata": 1, "address": "London"},
            {"metadata": 1},
        ]
        result = run_bulk(store, clock, [{**customer, "source_id": "a"} for customer in wrong])
        assert [error["details"] for error in result["errors"]] == [
            "Property .id must be a non-empty string",
            "Property .name must be a string",
            "Property .birthdate must be a date in the form YYYY-MM-DD",
            "Property .address.city must be a string",
            "Property .address must be an object",
            "Property .metadata must be an object",
        ]
        assert not store.customers

    @pytest.mark.parametrize("order", ["created_at", "updated_at", "source_id"])
    @pytest.mark.parametrize("count", [1, 5, 500])
    def test_lists_that_were_read_before(
        self, store: Store, clock: FakeClock, order: str, count: int
    ) -> None:
        store.burst(300)
        known = list(store.select(EVERYONE, order)[0])
        run_bulk(store, clock, [{"source_id": f"crm-{number}"} for number in range(count)])
        past = store.burst(2, at=dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
        found = list(store.select(EVERYONE, order)[0])
        assert len(found) == len(known) + count + 2
        fresh = Store()
        fresh.customers = store.customers
        assert found == list(fresh.select(EVERYONE, order)[0])
        if order == "created_at":
            assert {record.id for record in found[:2]} == {record.id for record in past}


class TestHowLongJobsTake:
    def test_as_told(self, clock: FakeClock) -> None:
        sandbox = Sandbox(job_seconds=2.0, job_seconds_per_item=0.5)
        store = sandbox.store
        store.clock = clock
        first = store.schedule("X", "v-1", Chore(4))
        assert (first.starts, first.ends) == (1000.0, 1004.0)
        store.job_seconds, store.job_seconds_per_item = 1.0, 0.0
        second = store.schedule("X", "v-1", Chore(4))
        assert (first.ends, second.starts, second.ends) == (1004.0, 1004.0, 1005.0)

    def test_a_large_job_began_with_its_first_slice(self, clock: FakeClock) -> None:
        store = Store(clock=clock, job_seconds=1.0, job_seconds_per_item=0.001)
        store.schedule("X", "v-1", Chore(4))
        large = store.schedule("X", "v-1", Chore(25_000))
        assert large.began == large.starts == 1001.004
        clock.now = 1020.0
        store.advance()
        assert large.starts > 1010
        assert large.began == 1001.004

    @pytest.mark.parametrize(("began", "read"), [(1004.0, 1004.0), (0.0, 1000.0), (1e300, 1000.0)])
    def test_when_a_saved_job_began(self, clock: FakeClock, began: float, read: float) -> None:
        store = Store(clock=clock, job_seconds=4.0)
        store.schedule("X", "v-1", Chore(4))
        job = store.schedule("X", "v-1", BulkUpdate(["crm-1"], [{"source_id": "crm-1"}]))
        job.began = began
        assert read_job(job.id, write(job)).began == read

    def test_no_time_at_all(self, clock: FakeClock) -> None:
        store = Store(clock=clock, job_seconds=0, job_seconds_per_item=0)
        job = store.schedule("X", "v-1", Chore(4))
        assert job.to_json(clock.now)["progress"] == 100
        store.advance()
        shown = job.to_json(clock.now)
        assert (shown["status"], shown["processing_time"]) == ("DONE", 0)


def test_what_was_shown_or_happened_is_not_changed_later(store: Store) -> None:
    address, metadata = {"city": "London"}, {"n": 1}
    record = store.upsert({"source_id": "a", "address": address, "metadata": metadata})
    shown = copy.deepcopy(record.to_json())
    for changes in ({"address": {"country": "UK"}}, {"metadata": {"n": 2}}, {"name": "Ada"}):
        store.update(record, changes)
    assert record.activity[0].customer.to_json() == shown
    assert (address, metadata) == ({"city": "London"}, {"n": 1})


def test_no_metadata_is_not_shown_and_empty_metadata_is(store: Store) -> None:
    assert "metadata" not in store.upsert({}).to_json()
    record = store.upsert({"metadata": {}})
    assert record.to_json()["metadata"] == {}
    assert "metadata" not in store.update(record, {"metadata": None}).to_json()


def test_an_id_goes_before_a_source_id(store: Store) -> None:
    record = store.upsert({})
    other = store.upsert({"source_id": record.id})
    assert store.get(record.id) is record
    assert store.get(other.id) is other


def test_a_burst_is_kept_in_utc(store: Store) -> None:
    (record,) = store.burst(1, at=dt.datetime(2026, 1, 1, 1, tzinfo=ZoneInfo("Europe/Warsaw")))
    assert (record.created, record.created.tzinfo) == (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.UTC)


def test_a_token_lives_until_it_runs_out(store: Store, clock: FakeClock) -> None:
    token = store.issue_token("api")
    clock.now = token.expires - 0.001
    assert store.live_token(token.value) is token
    clock.now = token.expires
    assert store.live_token(token.value) is None

"""Each switch of the sandbox does what it says; and its list stays in order, whatever changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Any

import pytest

from tests.support.clocks import FakeClock
from voucherify_async import NotFoundError, VoucherifyClient
from voucherify_async.sandbox import Quirks, Sandbox
from voucherify_async.sandbox._store.index import EVERYONE, CustomerFilter
from voucherify_async.sandbox._store.jobs import BulkUpdate
from voucherify_async.sandbox._store.records import Bounds, Record
from voucherify_async.sandbox._store.segments import Segment
from voucherify_async.sandbox._store.store import Store

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ORDERS = ["created_at", "-created_at"]


def at(milliseconds: float) -> dt.datetime:
    return EPOCH + dt.timedelta(milliseconds=milliseconds)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Three customers, of 0, 1 and 2 milliseconds after the epoch of these tests."""
    async with Sandbox() as running:
        for number in range(3):
            running.store.add(None, str(number), {}, created=at(number))
        yield running


async def answer(client: VoucherifyClient, **query: Any) -> Any:
    return (await client.request("GET", "/v1/customers", query=query)).data


async def source_ids(client: VoucherifyClient, **query: Any) -> list[str]:
    return [customer["source_id"] for customer in (await answer(client, **query))["customers"]]


async def ids(client: VoucherifyClient, **query: Any) -> list[str]:
    return [customer["id"] for customer in (await answer(client, **query))["customers"]]


@pytest.mark.parametrize(
    ("quirks", "order", "wanted"),
    [
        (Quirks(), "created_at", ["2"]),
        (Quirks(), "-created_at", ["0"]),
        (Quirks(strict_cursor=False), "created_at", ["1", "2"]),
        (Quirks(strict_cursor=False), "-created_at", ["1", "0"]),
    ],
)
async def test_strict_cursor(
    sandbox: Sandbox, voucherify: VoucherifyClient, quirks: Quirks, order: str, wanted: list[str]
) -> None:
    sandbox.quirks = quirks
    assert await source_ids(voucherify, order=order, starting_after=at(1)) == wanted


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("strict", [True, False])
async def test_a_naive_walk_goes_wrong_at_a_tie(
    sandbox: Sandbox, voucherify: VoucherifyClient, order: str, strict: bool
) -> None:
    """What the switch is for: one kind of comparison loses what the other repeats."""
    sandbox.quirks = Quirks(strict_cursor=strict)
    tied = {record.id for record in sandbox.store.burst(4, at=at(1))} | {
        record.id for record in sandbox.store.customers.values()
    }
    first = await ids(voucherify, order=order, limit=3, starting_after=at(99 if order[0] == "-" else -99))
    second = await ids(voucherify, order=order, limit=100, starting_after=at(1))
    assert bool(tied - {*first, *second}) is strict
    assert bool({*first} & {*second}) is not strict


@pytest.mark.parametrize("name", ["created_at", "updated_at"])
@pytest.mark.parametrize("inclusive", [True, False])
async def test_inclusive_bounds(
    sandbox: Sandbox, voucherify: VoucherifyClient, name: str, inclusive: bool
) -> None:
    sandbox.quirks = Quirks(inclusive_bounds=inclusive)
    for record in sandbox.store.customers.values():
        record.updated = record.created

    async def within(**bounds: dt.datetime) -> str:
        return "".join(await source_ids(voucherify, order="created_at", **{name: bounds}))

    assert await within(after=at(1)) == ("12" if inclusive else "2")
    assert await within(before=at(1)) == ("01" if inclusive else "0")
    assert await within(after=at(0), before=at(2)) == ("012" if inclusive else "1")
    assert await within(after=at(1), before=at(1)) == ("1" if inclusive else "")
    assert not await within(after=at(2), before=at(0))


@pytest.mark.parametrize("inclusive", [True, False])
def test_what_was_never_updated_is_within_no_bound(inclusive: bool) -> None:
    assert Bounds(inclusive=inclusive).contains(None)
    assert not Bounds(after=EPOCH, inclusive=inclusive).contains(None)
    assert not Bounds(before=EPOCH, inclusive=inclusive).contains(None)


@pytest.mark.parametrize("order", [*ORDERS, "updated_at", "-updated_at"])
async def test_shuffled_ties(sandbox: Sandbox, voucherify: VoucherifyClient, order: str) -> None:
    tied = {record.id for record in sandbox.store.burst(50, at=at(1))}
    stable = [tuple(await ids(voucherify, order=order, limit=100)) for _ in range(3)]
    assert len(set(stable)) == 1
    sandbox.quirks = Quirks(shuffled_ties=True)
    shuffled = [await ids(voucherify, order=order, limit=100) for _ in range(5)]
    assert len({tuple(found) for found in shuffled}) == 5
    for found in shuffled:
        assert sorted(found) == sorted(stable[0])
        assert (found[0], found[-1]) == (stable[0][0], stable[0][-1])
        assert tied <= {*found[1:-1]}


@pytest.mark.parametrize("order", ["source_id", "-source_id"])
async def test_where_there_are_no_ties_nothing_is_shuffled(
    sandbox: Sandbox, voucherify: VoucherifyClient, order: str
) -> None:
    sandbox.store.burst(50)
    stable = await ids(voucherify, order=order, limit=100)
    sandbox.quirks = Quirks(shuffled_ties=True)
    assert await ids(voucherify, order=order, limit=100) == stable


async def test_pages_of_a_shuffled_tie(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    """Each page is of an order of its own, so two of them together hold some twice and some not at all."""
    sandbox.store.burst(100, at=at(1))
    sandbox.quirks = Quirks(shuffled_ties=True)
    pages = [await ids(voucherify, limit=51, page=number) for number in (1, 2)]
    filtered = [
        await ids(voucherify, limit=51, page=number, created_at={"after": at(0)}) for number in (1, 2)
    ]
    for first, second in (pages, filtered):
        assert len(first) == len(set(first)) == 51
        assert {*first} & {*second}


@pytest.mark.parametrize(
    ("milliseconds", "order", "wanted"),
    [
        (True, "created_at", ["2"]),
        (True, "-created_at", ["0"]),
        (False, "created_at", ["2"]),
        (False, "-created_at", ["1", "0"]),
    ],
)
async def test_milliseconds(
    sandbox: Sandbox, voucherify: VoucherifyClient, milliseconds: bool, order: str, wanted: list[str]
) -> None:
    sandbox.quirks = Quirks(milliseconds=milliseconds)
    assert await source_ids(voucherify, order=order, starting_after=at(1.5)) == wanted


@pytest.mark.parametrize(
    ("order", "wanted"), [("created_at", ["far"]), ("-created_at", [])], ids=["ascending", "descending"]
)
async def test_comparison_in_seconds(
    sandbox: Sandbox, voucherify: VoucherifyClient, order: str, wanted: list[str]
) -> None:
    sandbox.store.add(None, "far", {}, created=at(1_500))
    sandbox.quirks = Quirks(compared_in_seconds=True)
    assert await source_ids(voucherify, order=order, starting_after=at(1)) == wanted
    assert await source_ids(voucherify, order=order, created_at={"after": at(1)}) == ["far"]
    assert await source_ids(voucherify, order=order, created_at={"before": at(1_001)}) == (
        ["0", "1", "2"] if order == "created_at" else ["2", "1", "0"]
    )


async def test_shown_in_seconds(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    sandbox.store.add(None, "far", {}, created=at(1_500))
    sandbox.quirks = Quirks(shown_in_seconds=True)
    shown = [customer["created_at"] for customer in (await answer(voucherify))["customers"]]
    assert shown == ["2026-01-01T00:00:01.000Z", *["2026-01-01T00:00:00.000Z"] * 3]


async def test_a_total_of_the_project(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    bounds = {"after": at(1)}
    assert (await answer(voucherify, created_at=bounds))["total"] == 1
    sandbox.quirks = Quirks(whole_total=True)
    assert (await answer(voucherify, created_at=bounds))["total"] == 3


async def test_a_cap_of_pages(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    sandbox.quirks = Quirks(page_cap=2)
    first = await answer(voucherify, starting_after=at(99), limit=100)
    assert (len(first["customers"]), first["has_more"]) == (2, True)
    assert await source_ids(voucherify, limit=100, page=2) == ["0"]
    with pytest.raises(ValueError, match="page_cap must be from 1 to 100"):
        Quirks(page_cap=0)


@pytest.mark.parametrize("alike", [True, False])
def test_customers_of_a_job(alike: bool) -> None:
    clock = FakeClock(1_000.0)
    store = Store(clock=clock, job_seconds=0.1, quirks=Quirks(alike=alike))
    store.schedule("CUSTOMERS.BULK.UPDATE", "v-1", BulkUpdate.of([{"source_id": f"{n}"} for n in range(300)]))
    clock.now += 60
    store.advance()
    instants = [record.created.timestamp() for record in store.customers.values()]
    assert len(instants) == 300
    assert instants == sorted(instants)
    assert len(set(instants)) == 1 if alike else len(set(instants)) >= 100
    assert 1_000 < min(instants) <= max(instants) <= 1_000.11


@pytest.mark.parametrize(
    ("parallel", "ended"),
    [(False, [(), ("a",), ("a", "b"), ("a", "b", "c")]), (True, [(), ("c",), ("b", "c"), ("a", "b", "c")])],
)
def test_jobs_at_once_or_one_after_the_other(parallel: bool, ended: list[tuple[str, ...]]) -> None:
    """Each takes less time than the one before."""
    clock = FakeClock(1_000.0)
    store = Store(clock=clock, job_seconds_per_item=0, quirks=Quirks(parallel_jobs=parallel))
    names: dict[str, str] = {}
    for name, store.job_seconds in (("a", 30.0), ("b", 20.0), ("c", 10.0)):
        job = store.schedule("CUSTOMERS.BULK.UPDATE", "v-1", BulkUpdate.of([{"source_id": name}]))
        names[job.id] = name
    for seconds, wanted in zip((9, 31, 51, 61) if not parallel else (9, 11, 21, 31), ended, strict=True):
        clock.now = 1_000.0 + seconds
        store.advance()
        assert tuple(sorted(names[job.id] for job in store.jobs.values() if job.ended)) == wanted
        assert {str(record.source_id) for record in store.customers.values()} == set(wanted)


async def test_omitted_fields_of_the_list(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    whole = await answer(voucherify, starting_after=at(99))
    sandbox.quirks = Quirks(omit=frozenset({"has_more", "total"}))
    bare = await answer(voucherify, starting_after=at(99))
    assert whole.keys() - bare.keys() == {"has_more", "total"}
    assert bare["customers"] == whole["customers"]


async def test_omitted_fields_of_customers(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    sandbox.quirks = Quirks(omit=frozenset({"created_at", "summary", "metadata"}))
    (listed, *_) = (await answer(voucherify))["customers"]
    key = listed["id"]
    one = (await voucherify.request("GET", f"/v1/customers/{key}")).data
    made = (await voucherify.request("POST", "/v1/customers", json={"metadata": {"a": 1}})).data
    changed = (await voucherify.request("PUT", f"/v1/customers/{key}", json={"metadata": {"a": 1}})).data
    for customer in (listed, one, made, changed):
        assert not customer.keys() & {"created_at", "summary", "metadata"}
        assert customer.keys() >= {"id", "loyalty", "object"}
    sandbox.quirks = Quirks()
    assert (await voucherify.customers.get(made["id"])).metadata == {"a": 1}


def test_every_field_of_a_customer_but_two_can_be_left_out() -> None:
    record = Store().add("a", None, dict.fromkeys(["name", "description", "email", "phone"], "x"))
    record.change({"birthday": None, "birthdate": None, "metadata": {}})
    record.updated = record.created
    shown = record.to_json()
    left = Quirks(omit=frozenset(shown.keys() - {"id", "object"})).without_omitted(shown)
    assert left == {"id": "a", "object": "customer"}


@pytest.mark.parametrize("omit", [{"id"}, {"object"}, {"customers"}, {"total", "colour"}, "total"])
def test_what_cannot_be_left_out(omit: Any) -> None:
    with pytest.raises(ValueError, match="omit"):
        Quirks(omit=omit)


def test_a_set_that_is_changed_later_changes_nothing() -> None:
    names = {"total"}
    quirks = Quirks(omit=names)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    names.add("has_more")
    assert quirks == Quirks(omit=frozenset({"total"}))
    assert hash(quirks)


def test_the_quirks_of_a_sandbox() -> None:
    assert Sandbox().quirks == Quirks()
    sandbox = Sandbox(quirks=Quirks(strict_cursor=False))
    assert sandbox.quirks == sandbox.store.quirks == Quirks(strict_cursor=False)
    sandbox.quirks = Quirks(inclusive_bounds=True)
    assert sandbox.store.quirks == Quirks(inclusive_bounds=True)


class TestBurst:
    async def test_it_shares_one_instant(self, sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
        made = sandbox.store.burst(40, at=at(7))
        shown = await voucherify.customers.list(limit=40)
        assert {customer.id for customer in shown.items} == {record.id for record in made}
        assert {customer.created_at for customer in shown.items} == {at(7)}
        assert len({customer.source_id for customer in shown.items}) == 40

    def test_now_unless_told_otherwise(self) -> None:
        store = Store(clock=FakeClock(5.0))
        assert {record.created.timestamp() for record in store.burst(3)} == {5.0}
        assert store.burst(0) == []

    def test_another_timezone(self) -> None:
        elsewhere = dt.timezone(dt.timedelta(hours=2))
        (record,) = Store().burst(1, at=EPOCH.astimezone(elsewhere))
        assert record.to_json()["created_at"] == "2026-01-01T00:00:00.000Z"

    def test_what_is_refused(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            Store().burst(-1)
        with pytest.raises(ValueError, match="timezone"):
            Store().burst(1, at=dt.datetime(2026, 1, 1))  # noqa: DTZ001  # what is refused


SOMEBODY = Segment(id="seg_1")


class TestOrder:
    """The lists are kept sorted while customers come and go."""

    @staticmethod
    def shown(store: Store, order: str) -> list[str]:
        return [record.id for record in store.select(EVERYONE, order)[0]]

    @staticmethod
    def sorted_anew(store: Store, order: str) -> list[str]:
        def key(record: Record) -> Any:
            if order.endswith("source_id"):
                return (record.source_id is None, record.source_id, record.id)
            changed = record.updated if order.endswith("updated_at") else None
            return (changed or record.created, record.id)

        records = sorted(store.customers.values(), key=key, reverse=order.startswith("-"))
        return [record.id for record in records]

    @pytest.mark.parametrize("order", [*ORDERS, "updated_at", "-updated_at", "source_id", "-source_id"])
    def test_after_any_change(self, order: str) -> None:
        clock = FakeClock(1000.0)
        store = Store(clock=clock)
        chance = store.random
        for _ in range(300):
            clock.now += chance.choice([0.0, 1.0])
            known = list(store.customers.values())
            change = chance.choice(["add", "add", "past", "name", "update", "remove"])
            if change == "add" or not known:
                store.upsert({} if chance.random() < 0.3 else {"source_id": f"crm-{chance.random()}"})
            elif change == "past":
                store.burst(2, at=chance.choice(known).created)
            elif change == "name":
                store.upsert({"id": chance.choice(known).id, "source_id": "another"})
            elif change == "update":
                store.update(chance.choice(known), {"name": "Ada"})
            else:
                store.remove(chance.choice(known))
            assert self.shown(store, order) == self.sorted_anew(store, order)

    @pytest.mark.parametrize("order", ORDERS)
    def test_after_customers_were_taken_out_by_hand(self, order: str) -> None:
        store = Store()
        store.burst(10)
        assert len(self.shown(store, order)) == 10
        store.customers.clear()
        store.burst(3)
        assert self.shown(store, order) == self.sorted_anew(store, order)

    @pytest.mark.parametrize("order", ORDERS)
    def test_a_page_is_the_same_from_the_start_and_from_a_cursor(self, order: str) -> None:
        store = Sandbox(customers=300, seed=4).store
        everyone = list(store.select(EVERYONE, order)[0])

        def found(records: Iterable[Record]) -> list[Record]:
            return list(islice(records, 7))

        for place in range(0, 300, 13):
            assert found(store.select(EVERYONE, order, skip=place)[0]) == everyone[place : place + 7]
            instant = everyone[place].created
            later = [record for record in everyone[place:] if record.created != instant]
            assert found(store.select(EVERYONE, order, after=instant)[0]) == later[:7]
            assert found(store.select(EVERYONE, order, after=instant, skip=2)[0]) == later[2:9]
            half = store.select(CustomerFilter(segment=SOMEBODY), order, after=instant, skip=2)
            assert (found(half[0]), half[1]) == (later[2:9], 300)


async def test_read_lag(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    clock = sandbox.store.clock = FakeClock(1_800_000_000.0)
    sandbox.quirks = Quirks(read_lag=2.0)
    made = await voucherify.customers.create(source_id="new", address={"city": "London"})
    job = await voucherify.customers.update_in_bulk([{"source_id": "newer"}])

    async def listed() -> tuple[list[list[str]], int, int, int]:
        shown = [
            await source_ids(voucherify, limit=100, order=order)
            for order in (*ORDERS, "updated_at", "source_id")
        ]
        assert await source_ids(voucherify, city="London") == ["new"] * ("new" in shown[0])
        total = (await answer(voucherify))["total"]
        events = await voucherify.customers.list_activity("new").to_list()
        jobs = await voucherify.async_actions.list().to_list()
        return [sorted(page) for page in shown], total, len(events), len(jobs)

    for seconds in (0, 1.99):
        clock.now += seconds
        assert await listed() == ([["0", "1", "2"]] * 4, 3, 0, 0)
        assert (await voucherify.customers.get("new")).id == made.id
        assert (await voucherify.async_actions.get(job.async_action_id)).id == job.async_action_id
        with pytest.raises(NotFoundError):
            await voucherify.customers.get("never")
    clock.now += 0.02
    assert await listed() == ([["0", "1", "2", "new"]] * 4, 4, 1, 1)
    clock.now += 3
    assert (await listed())[1] == 5
    await voucherify.customers.update("new", name="Ada")
    assert (await listed())[2] == 1
    sandbox.quirks = Quirks()
    assert (await listed())[2] == 2


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 86_401])
def test_a_read_lag_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="read_lag must be from 0 to 86400 seconds"):
        Quirks(read_lag=seconds)

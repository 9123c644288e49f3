"""Lists that are read page by page stay right while customers come, change and go."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.clocks import FakeClock
from voucherify_async.sandbox._store.index import EVERYONE, CustomerFilter, Index
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.records import Bounds, Record
from voucherify_async.sandbox._store.segments import Segment
from voucherify_async.sandbox._store.store import Store

GOLD = Segment(id="seg_gold", metadata={"tier": "gold"})
ORDERS = ["created_at", "-created_at", "updated_at", "-updated_at", "source_id", "-source_id"]
BEGIN = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def at(seconds: float) -> dt.datetime:
    return BEGIN + dt.timedelta(seconds=seconds)


FILTERS = [
    EVERYONE,
    CustomerFilter(city="London"),
    CustomerFilter(email="a@example.com"),
    CustomerFilter(name="Ada"),
    CustomerFilter(segment=GOLD),
    CustomerFilter(city="London", segment=GOLD),
    CustomerFilter(updated=Bounds(at(1100), at(1200))),
    CustomerFilter(created=Bounds(at(1050), None, inclusive=True)),
]


def sort_key(order: str) -> Callable[[Record], Any]:
    if order.endswith("source_id"):
        return lambda record: (record.source_id is None, record.source_id, record.id)
    if order.endswith("updated_at"):
        return lambda record: (record.updated or record.created, record.id)
    return lambda record: (record.created, record.id)


def draw(chance: random.Random) -> dict[str, Any]:
    drawn = {
        "name": chance.choice(["Ada", "Bob", None]),
        "email": chance.choice(["a@example.com", "b@example.com", None]),
        "address": chance.choice([None, {"city": "London"}, {"city": "Paris"}]),
        "metadata": chance.choice([None, {"tier": "gold"}, {"tier": "silver"}]),
    }
    return {name: value for name, value in drawn.items() if chance.random() < 0.6}


@pytest.mark.parametrize("seed", range(4))
def test_after_any_change(seed: int) -> None:
    clock = FakeClock(1000.0)
    store = Store(seed=seed, clock=clock)
    chance = random.Random(seed)
    for _ in range(400):
        clock.now += chance.choice([0, 1])
        known = list(store.customers.values())
        change = chance.choice(["add", "add", "update", "update", "upsert", "replace", "remove", "burst"])
        if change == "add" or not known:
            store.upsert({"source_id": f"crm-{chance.random()}"} | draw(chance))
        elif change == "update":
            store.update(chance.choice(known), draw(chance))
        elif change == "upsert":
            store.upsert({"id": chance.choice(known).id, "source_id": "another", **draw(chance)})
        elif change == "replace":
            store.update(chance.choice(known), draw(chance), replace=True)
        elif change == "remove":
            store.remove(chance.choice(known))
        else:
            store.burst(3, at=chance.choice(known).created)
        order, asked = chance.choice(ORDERS), chance.choice(FILTERS)
        found, total = store.select(asked, order)
        wanted = sorted(
            filter(asked.matches, store.customers.values()),
            key=sort_key(order),
            reverse=order.startswith("-"),
        )
        assert list(found) == wanted
        assert total == len(wanted)


def test_customers_changed_by_hand_are_found_after_the_next_change_of_them() -> None:
    store = Store()
    first, second = store.burst(2)
    assert len(list(store.select(CustomerFilter(city="London"), "created_at")[0])) == 0
    first.address = {"city": "London"}
    store.update(first, {})
    assert list(store.select(CustomerFilter(city="London"), "created_at")[0]) == [first]
    second.created -= dt.timedelta(days=1)
    store.update(second, {"address": {"city": "London"}})
    store.remove(second)
    assert list(store.select(CustomerFilter(city="London"), "created_at")[0]) == [first]


def test_old_lists_are_forgotten() -> None:
    store = Store()
    store.burst(5)
    for number in range(100):
        assert store.select(CustomerFilter(name=f"{number}"), "created_at")[1] == 0
    assert len(store._indexes) <= 12


def test_a_page_of_a_filtered_list_takes_as_long_wherever_it_is() -> None:
    """It looks at no customer but those of the page."""
    looked = 0

    class Looking(Segment):
        def holds(self, record: Record) -> bool:
            nonlocal looked
            looked += 1
            return super().holds(record)

    store = Store()
    store.burst(2_000)
    asked = CustomerFilter(segment=Looking(id="seg_1"))
    store.select(asked, "-created_at")
    looked = 0
    for skip in (0, 1_900):
        found, total = store.select(asked, "-created_at", skip=skip)
        assert (len(list(found)), total) == (2_000 - skip, 2_000)
    store.update(next(iter(store.customers.values())), {"name": "Ada"})
    store.select(asked, "-created_at")
    assert looked == 2  # the one that has changed, before and after


def seconds(count: int) -> Store:
    """So many customers, one a second."""
    store = Store()
    for number in range(count):
        store.burst(1, at=at(number))
    return store


@pytest.mark.parametrize("order", ["created_at", "-created_at"])
@pytest.mark.parametrize("inclusive", [False, True])
def test_a_cursor_within_bounds(order: str, inclusive: bool) -> None:
    store = seconds(10)
    sign = -1 if order.startswith("-") else 1
    for after, before in ((2, 7), (2, None), (None, 7), (7, 2), (4, 4)):
        bounds = Bounds(
            None if after is None else at(after), None if before is None else at(before), inclusive=inclusive
        )
        within = [number for number in range(10)[::sign] if bounds.contains(at(number))]
        for cursor in range(-1, 11):
            found, total = store.select(EVERYONE, order, created=bounds, after=at(cursor))
            wanted = [number for number in within if number * sign > cursor * sign]
            assert [record.created for record in found] == [at(number) for number in wanted]
            assert total == len(within)


def test_no_instant_is_within_no_bound() -> None:
    assert Bounds().contains(None)
    assert not Bounds(after=at(0)).contains(None)


class TestShuffledTies:
    @pytest.mark.parametrize("order", ["updated_at", "-updated_at"])
    def test_of_the_instants_that_are_sorted_by(self, order: str) -> None:
        clock = FakeClock(1000.0)
        store = Store(clock=clock, quirks=Quirks(shuffled_ties=True))
        records = store.burst(20)
        for record in records:
            clock.now += 1
            store.update(record, {})
        assert list(store.select(EVERYONE, order)[0]) == records[:: -1 if order.startswith("-") else 1]
        others = [store.update(record, {}) for record in seconds_apart(store, 20)]
        assert len({record.updated for record in others}) == 1
        found = [[r for r in store.select(EVERYONE, order)[0] if r in others] for _ in range(3)]
        assert found[0] != found[1] or found[1] != found[2]

    def test_without_a_source_id_is_no_tie(self) -> None:
        store = Store(quirks=Quirks(shuffled_ties=True))
        records = [store.upsert({}) for _ in range(20)]
        assert list(store.select(EVERYONE, "source_id")[0]) == sorted(records, key=lambda record: record.id)


def seconds_apart(store: Store, count: int) -> list[Record]:
    return [store.burst(1, at=at(number))[0] for number in range(count)]


class TestUpkeep:
    def index(self, count: int) -> tuple[Index, list[Record]]:
        records = list(seconds(count).customers.values())
        return Index("updated_at", EVERYONE, records), records

    def test_after_many_changes_a_new_one_is_better(self) -> None:
        index, records = self.index(150)
        assert [index.discard(record) for record in records[:3]] == [True, True, False]

    def test_changes_are_counted_between_two_looks(self) -> None:
        index, records = self.index(150)
        for record in records[:6:3]:
            assert index.discard(record)
        assert index.sorted_records() == [record for record in records if record not in records[:6:3]]
        assert all(index.discard(record) for record in records[6:8])

    def test_what_is_not_where_it_should_be_takes_nobody_else_out(self) -> None:
        store = seconds(200)
        records = list(store.select(EVERYONE, "updated_at")[0])
        records[50].updated = at(100.5)  # nobody is told
        store.update(records[50], {})
        assert list(store.select(EVERYONE, "updated_at")[0]) == [*records[:50], *records[51:], records[50]]


def test_lists_in_use_are_kept_while_customers_come_and_go() -> None:
    looked = 0

    class Looking(Segment):
        def holds(self, record: Record) -> bool:
            nonlocal looked
            looked += 1
            return super().holds(record)

    store = Store()
    store.burst(200)
    asked = CustomerFilter(segment=Looking(id="seg_1"))
    store.select(asked, "created_at")
    looked = 0
    for number in range(30):
        record = store.upsert({})
        store.update(record, {"name": "Ada"})
        assert store.select(asked, "created_at")[1] == 201
        store.remove(record)
        assert store.select(asked, "created_at")[1] == 200
        store.select(CustomerFilter(name=f"{number}"), "created_at")
    assert looked < 200  # none of the others

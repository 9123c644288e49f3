"""Lists that are read page by page stay right while customers come, change and go."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest

from voucherify_async.sandbox.index import EVERYONE, CustomerFilter
from voucherify_async.sandbox.records import Bounds, Record
from voucherify_async.sandbox.segments import Segment
from voucherify_async.sandbox.store import Store

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
    now = 1000.0
    store = Store(seed=seed, clock=lambda: now)
    chance = random.Random(seed)
    for _ in range(400):
        now += chance.choice([0, 1])
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
            filter(asked.holds, store.customers.values()), key=sort_key(order), reverse=order.startswith("-")
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

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voucherify_async._sync.batcher import Batcher, keep_last, merge_customers
from voucherify_async._sync.batches import Batch, BodyTemplate, Item, Key, make_batch
from voucherify_async.sandbox._store.records import Record

JSON = BodyTemplate(b"[", b",", b"]", 1_000, 100)
TEXT = BodyTemplate("Näme\n".encode(), b"", b"", 1_000, 100, is_json=False)


def json_items(*values: Any, first: int = 0) -> list[Item]:
    return [
        Item(first + number, str(number), json.dumps(value, ensure_ascii=False).encode())
        for number, value in enumerate(values)
    ]


def keyed(*keys: Key, content: bytes = b"1") -> list[Item]:
    return [Item(position, key, content) for position, key in enumerate(keys)]


class TestFrame:
    @pytest.mark.parametrize(
        ("template", "room"),
        [
            (BodyTemplate(b"[", b",", b"]", 100, 5), 98),
            (BodyTemplate("Näme\n".encode(), b"", b"", 100, 5), 94),
            (BodyTemplate(b"", b"", b"", 1, 1), 1),
            (BodyTemplate(b"0123456789", b",", b"", 10, 1), 0),
        ],
    )
    def test_the_room_is_what_head_and_tail_leave(self, template: BodyTemplate, room: int) -> None:
        assert template.room == room

    def test_an_item_that_just_fits(self) -> None:
        item = Item(0, "a", b"x" * 998)
        assert JSON.check(item) is item
        assert len(make_batch(0, [item], JSON).content) == JSON.max_bytes

    def test_an_item_one_byte_too_long(self) -> None:
        with pytest.raises(ValueError, match=r"^it has 999 bytes, and a request has room for 998 at most$"):
            JSON.check(Item(0, "a", b"x" * 999))

    def test_nothing_fits_where_the_head_is_too_long(self) -> None:
        template = BodyTemplate(b"0123456789", b",", b"]", 10, 1)
        with pytest.raises(ValueError, match="at most"):
            template.check(Item(0, "a", b""))


class TestBatch:
    def test_a_batch_of_json(self) -> None:
        batch = make_batch(7, json_items(1, "é", {"a": [None]}, first=4), JSON)
        assert (batch.number, len(batch)) == (7, 3)
        assert batch.content == '[1,"é",{"a": [null]}]'.encode()
        assert list(batch.positions) == [4, 5, 6]
        assert list(batch.keys) == ["0", "1", "2"]

    def test_a_batch_of_text(self) -> None:
        rows = [Item(2, None, "Zoë\n".encode()), Item(5, "b", '"Bö,\nb"\n'.encode())]
        batch = make_batch(0, rows, TEXT)
        assert batch.content.decode() == 'Näme\nZoë\n"Bö,\nb"\n'
        assert [bytes(batch.raw_item(index)) for index in range(2)] == [
            '"Zoë\\n"'.encode(),
            '"\\"Bö,\\nb\\"\\n"'.encode(),
        ]

    def test_items_come_in_the_order_of_their_positions(self) -> None:
        items = json_items("a", "b", "c", "d")
        assert make_batch(0, reversed(items), JSON) == make_batch(0, items, JSON)

    def test_a_batch_of_nothing(self) -> None:
        batch = make_batch(0, [], JSON)
        assert (batch.content, len(batch), batch.is_repeatable) == (b"[]", 0, True)

    @pytest.mark.parametrize(
        ("keys", "repeatable"),
        [(("a", "b"), True), (("a", None), False), ((None,), False), (("",), True), (("a", b"row"), False)],
    )
    def test_repeatable(self, keys: tuple[Key, ...], repeatable: bool) -> None:
        assert make_batch(0, keyed(*keys), JSON).is_repeatable is repeatable

    def test_its_repr_holds_nothing_of_the_items(self) -> None:
        text = repr(make_batch(0, [Item(0, "ada@example.com", b'"Ada"')], JSON))
        assert "ada@example.com" not in text
        assert "Ada" not in text

    @given(st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=4), min_size=1))
    def test_json_items_come_back(self, values: list[Any]) -> None:
        items = [Item(number, None, json.dumps(value).encode()) for number, value in enumerate(values)]
        batch = make_batch(0, items, JSON)
        assert json.loads(batch.content) == values
        assert [bytes(batch.raw_item(index)) for index in range(len(batch))] == [
            item.content for item in items
        ]

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
    def test_texts_come_back(self, texts: list[str]) -> None:
        batch = make_batch(0, [Item(number, None, text.encode()) for number, text in enumerate(texts)], TEXT)
        assert batch.content.decode() == "Näme\n" + "".join(texts)
        assert [json.loads(bytes(batch.raw_item(index))) for index in range(len(batch))] == texts


class TestBatcher:
    def test_nothing(self) -> None:
        batcher = Batcher(JSON)
        assert (batcher.pop(), batcher.flush()) == (None, None)
        assert (batcher.is_ready, batcher.holds, batcher.is_full) == (False, False, False)

    @pytest.mark.parametrize(
        ("count", "sizes"), [(1, [1]), (2, [2]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (7, [3, 3, 1])]
    )
    def test_as_many_items_as_there_may_be(self, count: int, sizes: list[int]) -> None:
        batcher = Batcher(BodyTemplate(b"[", b",", b"]", 1_000, 3))
        for item in keyed(*[None] * count):
            batcher.add(item)
        assert [len(batch) for batch in flushed(batcher)] == sizes

    @pytest.mark.parametrize(
        ("max_bytes", "sizes"),
        [(12, [1, 1, 1]), (22, [1, 1, 1]), (23, [2, 1]), (33, [2, 1]), (34, [3]), (1_000, [3])],
    )
    def test_as_many_bytes_as_there_may_be(self, max_bytes: int, sizes: list[int]) -> None:
        batcher = Batcher(BodyTemplate(b"[", b",", b"]", max_bytes, 100))
        for item in keyed(None, None, None, content=b"0123456789"):
            batcher.add(batcher.template.check(item))
        assert [len(batch) for batch in flushed(batcher)] == sizes

    def test_numbers_go_on(self) -> None:
        batcher = Batcher(BodyTemplate(b"[", b",", b"]", 1_000, 1))
        for item in keyed("a", "b"):
            batcher.add(item)
        assert [batch.number for batch in flushed(batcher)] == [0, 1]

    def test_one_with_a_key_that_is_taken_waits_for_it(self) -> None:
        batcher = Batcher(JSON)
        for item in keyed("a", "a", "b", "a"):
            batcher.add(item)
        first = batcher.flush()
        assert first is not None
        assert list(first.positions) == [0, 2]
        assert batcher.holds
        assert batcher.flush() is None
        batcher.settle(first)
        second = batcher.flush()
        assert second is not None
        assert list(second.positions) == [1]
        assert batcher.holds
        batcher.settle(second)
        assert [list(batch.positions) for batch in flushed(batcher)] == [[3]]
        assert not batcher.holds

    def test_items_without_a_key_wait_for_nothing(self) -> None:
        batcher = Batcher(JSON)
        for item in keyed(None, None, None):
            batcher.add(item)
        assert [list(batch.positions) for batch in flushed(batcher)] == [[0, 1, 2]]

    def test_an_empty_key_is_a_key(self) -> None:
        batcher = Batcher(JSON)
        for item in keyed("", ""):
            batcher.add(item)
        assert batcher.holds

    def test_what_was_held_back_goes_before_what_came_later(self) -> None:
        batcher = Batcher(BodyTemplate(b"[", b",", b"]", 1_000, 2))
        for item in keyed("a", "b", "a", "b", "c"):
            batcher.add(item)
        first = batcher.pop()
        assert first is not None
        batcher.settle(first)
        second = batcher.pop()
        assert second is not None
        assert list(second.positions) == [2, 4]
        rest = batcher.flush()
        assert rest is not None
        assert list(rest.positions) == [3]

    @pytest.mark.parametrize(("max_items", "max_bytes"), [(3, 1_000), (100, 30)])
    def test_full(self, max_items: int, max_bytes: int) -> None:
        batcher = Batcher(BodyTemplate(b"[", b",", b"]", max_bytes, max_items))
        full: list[bool] = []
        for item in keyed("a", "a", "a", "a", content=b"0123456789"):
            batcher.add(item)
            full.append(batcher.is_full)
        assert full == [False, False, False, True]
        batch = batcher.flush()
        assert batch is not None
        batcher.settle(batch)
        assert not batcher.is_full


def flushed(batcher: Batcher) -> list[Batch]:
    """All batches there are without settling any."""
    batches: list[Batch] = []
    while (batch := batcher.flush()) is not None:
        batches.append(batch)
    return batches


# ---------------------------------------------------------------- properties


class Schedule:
    """Adds, pops and settles in whatever order, and checks what must hold at each moment."""

    def __init__(self, template: BodyTemplate) -> None:
        self.batcher = Batcher(template)
        self.template = template
        self.items: dict[int, Item] = {}
        self.batches: list[Batch] = []
        self.unsettled: list[Batch] = []

    def add(self, item: Item) -> None:
        if self.batcher.is_full:
            return
        self.items[item.position] = self.template.check(item)
        self.batcher.add(item)
        held = sorted(waiting for queue in self.batcher._held.values() for waiting in queue)
        assert len(held) <= self.template.max_items
        assert sum(len(waiting.content) for waiting in held[:-1]) < self.template.max_bytes
        assert self.batcher.holds is bool(held)

    def take(self, batch: Batch | None) -> bool:
        if batch is None:
            return False
        open_keys = [key for earlier in self.unsettled for key in earlier.keys if key is not None]
        keys = [key for key in batch.keys if key is not None]
        assert len(set(keys)) == len(keys)
        assert not set(keys) & set(open_keys)
        self.check_content(batch)
        self.batches.append(batch)
        self.unsettled.append(batch)
        return True

    def check_content(self, batch: Batch) -> None:
        template = self.template
        contents = [self.items[position].content for position in batch.positions]
        assert batch.content == template.head + template.separator.join(contents) + template.tail
        assert 0 < len(batch) <= template.max_items
        assert len(batch.content) <= template.max_bytes
        assert list(batch.positions) == sorted(set(batch.positions))
        assert [self.items[position].key for position in batch.positions] == list(batch.keys)
        for index, content in enumerate(contents):
            raw = bytes(batch.raw_item(index))
            assert raw == content if template.is_json else json.loads(raw) == content.decode()

    def settle(self, which: int) -> None:
        if self.unsettled:
            self.batcher.settle(self.unsettled.pop(which % len(self.unsettled)))

    def end(self, which: int) -> None:
        while self.take(self.batcher.flush()) or self.unsettled:
            self.settle(which)
        assert not self.batcher.holds
        assert not self.batcher.is_full
        assert not self.batcher.is_ready
        assert self.batcher.flush() is None
        assert not self.batcher._taken
        assert self.batcher._held_bytes == 0

    def check(self) -> None:
        positions = [position for batch in self.batches for position in batch.positions]
        assert sorted(positions) == sorted(self.items)
        by_key: dict[str | bytes, list[int]] = {}
        for batch in self.batches:
            for position, key in zip(batch.positions, batch.keys, strict=True):
                if key is not None:
                    by_key.setdefault(key, []).append(position)
        assert all(order == sorted(order) for order in by_key.values())
        assert [batch.number for batch in self.batches] == list(range(len(self.batches)))


KEYS = st.sampled_from(["a", "b", "c", "d", "e", None, None])
CONTENTS = st.sampled_from(["x", "ö", "漢字", "0123456789", "0123456789abc"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), KEYS, CONTENTS),
        st.tuples(st.just("add"), KEYS, CONTENTS),
        st.tuples(st.just("add"), KEYS, CONTENTS),
        st.tuples(st.just("pop")),
        st.tuples(st.just("flush")),
        st.tuples(st.just("settle"), st.integers(0, 5)),
    ),
    max_size=80,
)
FRAMES = st.builds(
    BodyTemplate,
    st.sampled_from([b"", b"[", b"Kopf\n"]),
    st.sampled_from([b"", b",", b", "]),
    st.sampled_from([b"", b"]"]),
    st.integers(20, 60),
    st.integers(1, 6),
    is_json=st.booleans(),
)


def run(schedule: Schedule, steps: list[tuple[Any, ...]], which: int, first: int = 0) -> None:
    for position, step in enumerate(steps, first):
        match step:
            case ("add", key, content):
                schedule.add(Item(position, key, content.encode()))
            case ("pop",):
                schedule.take(schedule.batcher.pop())
            case ("flush",):
                schedule.take(schedule.batcher.flush())
            case _:
                schedule.settle(step[1])
    schedule.end(which)
    schedule.check()


@settings(max_examples=300)
@given(FRAMES, STEPS, st.integers(0, 5))
def test_each_item_once_and_each_key_in_order(
    template: BodyTemplate, steps: list[tuple[Any, ...]], which: int
) -> None:
    run(Schedule(template), steps, which)


@settings(max_examples=100)
@given(st.lists(st.tuples(KEYS, CONTENTS), max_size=60), FRAMES, st.integers(0, 5))
def test_a_source_is_read_to_its_end_however_little_is_held_back(
    source: list[tuple[str | None, str]], template: BodyTemplate, which: int
) -> None:
    """As one worker does it: read while there is no batch and room, then send what there is, then wait."""
    schedule = Schedule(template)
    rest = iter([Item(place, key, content.encode()) for place, (key, content) in enumerate(source)])
    exhausted = False
    for _ in range(10 * len(source) + 10):
        if schedule.take(schedule.batcher.pop()):
            continue
        if not exhausted and not schedule.batcher.is_full:
            item = next(rest, None)
            exhausted = item is None
            if item is not None:
                schedule.add(item)
        elif not schedule.take(schedule.batcher.flush()):
            schedule.settle(which)
    schedule.end(which)
    schedule.check()
    assert len(schedule.items) == len(source)


# ---------------------------------------------------------------- folding


@pytest.mark.parametrize(
    ("earlier", "later", "merged"),
    [
        ({"name": "A", "phone": "1"}, {"name": "B"}, {"name": "B", "phone": "1"}),
        ({"name": "A"}, {"name": None}, {"name": None}),
        ({"name": None}, {"name": "A"}, {"name": "A"}),
        (
            {"metadata": {"a": 1, "b": {"c": 1}}},
            {"metadata": {"b": {"d": 2}, "e": None}},
            {"metadata": {"a": 1, "b": {"d": 2}, "e": None}},
        ),
        ({"address": {"city": "Rome"}}, {"address": {"line_1": "x"}}, {"address": {"city": "Rome", "line_1": "x"}}),
        ({"address": {"city": "Rome"}}, {"address": None}, {"address": None}),
        ({"address": {"city": "Rome"}}, {}, {"address": {"city": "Rome"}}),
        ({}, {"metadata": {"a": 1}}, {"metadata": {"a": 1}}),
        ({"metadata": None}, {"name": "A"}, {"metadata": None, "name": "A"}),
        ({"metadata": None}, {"metadata": {"a": 1}}, None),
        ({"address": None}, {"address": {}}, None),
    ],
)  # fmt: skip
def test_customers_are_folded_part_by_part(earlier: Any, later: Any, merged: Any) -> None:
    found = merge_customers(msgspec.json.encode(earlier), msgspec.json.encode(later))
    assert (None if found is None else msgspec.json.decode(found)) == merged


PARTS = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3))
CUSTOMERS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.none() | st.text(max_size=2),
        "address": st.none() | PARTS,
        "metadata": st.none() | PARTS,
    },
)


@given(CUSTOMERS, CUSTOMERS, CUSTOMERS)
def test_what_is_folded_does_what_both_would(stored: Any, earlier: Any, later: Any) -> None:
    def applied(*changes: Any) -> Any:
        record = Record(id="a", source_id="a", created=dt.datetime.now(dt.UTC))
        for change in (stored, *changes):
            record.change(change)
        return record.fields, record.address, record.metadata

    found = merge_customers(msgspec.json.encode(earlier), msgspec.json.encode(later))
    if found is not None:
        assert applied(msgspec.json.decode(found)) == applied(earlier, later)


class TestFolding:
    FRAME = BodyTemplate(b"[", b",", b"]", 100, 3)

    def test_what_waits_is_folded_and_what_is_sent_is_not(self) -> None:
        batcher = Batcher(self.FRAME, merge=keep_last)
        for position, content in enumerate([b"1", b"2", b"33"]):
            batcher.add(Item(position, "a", content))
        batcher.add(Item(3, "b", b"4"))
        batch = batcher.flush()
        assert batch is not None
        assert (batch.content, list(batch.positions), batcher.merged) == (b"[33,4]", [2, 3], 2)
        for position in range(4, 1_000):
            batcher.add(Item(position, "a", b"%d" % position))
        assert not batcher.is_full
        assert batcher.flush() is None
        batcher.settle(batch)
        batch = batcher.flush()
        assert batch is not None
        assert (batch.content, list(batch.positions)) == (b"[999]", [999])
        assert batcher.merged == 2 + 995

    def test_what_would_not_fit_is_not_folded(self) -> None:
        batcher = Batcher(self.FRAME, merge=keep_last)
        batcher.add(Item(0, "a", b"1"))
        batcher.add(Item(1, "b", b"x" * 90))
        batcher.add(Item(2, "a", b"y" * 20))
        batch = batcher.flush()
        assert batch is not None
        assert batch.content == b"[1," + b"x" * 90 + b"]"
        batcher.add(Item(3, "a", b"z" * 98))
        batcher.settle(batch)
        last = batcher.flush()
        assert last is not None
        assert (last.content, batcher.merged) == (b"[" + b"z" * 98 + b"]", 1)

    def test_items_without_a_key_are_not_folded(self) -> None:
        batcher = Batcher(self.FRAME, merge=keep_last)
        batcher.add(Item(0, None, b"1"))
        batcher.add(Item(1, None, b"2"))
        batch = batcher.flush()
        assert batch is not None
        assert (batch.content, batcher.merged) == (b"[1,2]", 0)

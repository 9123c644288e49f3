"""The body of a creation or an update is the same whether or not it can be made the short way."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import types
import uuid
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voucherify_async import Address
from voucherify_async._transport.wire import MAX_BODY_BYTES, encode_json
from voucherify_async.models import UNSET, CustomerAddress
from voucherify_async.models.customers import CustomerFields, NewCustomer
from voucherify_async.resources._inputs import convert_fields, customer_body


class Tier(enum.StrEnum):
    GOLD = "gold"


class Colour(enum.Enum):
    RED = "red"
    ONE = 1


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Fields(dict[Any, Any]):
    pass


ADDRESS = [field.name for field in msgspec.structs.fields(Address)]


def given_as(into: type[CustomerFields], fields: dict[str, Any]) -> dict[str, Any]:
    """As `create` and `update` pass their arguments on."""
    return {field.name: fields.get(field.name, UNSET) for field in msgspec.structs.fields(into)}


def short(into: type[CustomerFields], fields: dict[str, Any]) -> bytes | str:
    try:
        return customer_body(into, **given_as(into, fields)).content
    except ValueError as error:
        return str(error)


def long(into: type[CustomerFields], fields: dict[str, Any]) -> bytes | str:
    try:
        return encode_json("the customer", convert_fields("", into, given_as(into, fields))).content
    except ValueError as error:
        return str(error)


NAIVE = dt.datetime(2000, 1, 2, 3, 4, 5)  # noqa: DTZ001  # that is what is odd
AWARE = NAIVE.replace(tzinfo=dt.UTC)

TABLE: list[dict[str, Any]] = [
    {},
    {"name": "Ada", "email": None, "birthdate": dt.date(2000, 1, 2)},
    {"name": 'Ada \U0001f600 \x00 "\\/é'},
    {"name": Text("Ada"), "description": Tier.GOLD},
    {"name": b"Ada"},
    {"name": 5},
    {"name": True},
    {"name": 1.5},
    {"name": 2**70},
    {"name": []},
    {"name": {}},
    {"name": {"a": 1}},
    {"name": {1: float("nan")}},
    {"name": Colour.RED},
    {"name": "\ud800"},
    {"id": ""},
    {"id": None},
    {"id": "cust_1", "source_id": ""},
    {"source_id": 5},
    {"source_id": Text("a")},
    {"birthdate": "2000-01-02"},
    {"birthdate": "2000-1-2"},
    {"birthdate": "2000-01-02T03:04:05Z"},
    {"birthdate": ""},
    {"birthdate": 946_771_200},
    {"birthdate": AWARE},
    {"birthdate": NAIVE},
    {"birthday": dt.date(1, 1, 1), "birthdate": dt.date(9999, 12, 31)},
    {"address": Address(city="London")},
    {"address": Address()},
    {"address": Address(city=5)},  # type: ignore[arg-type]  # that is what is odd
    {"address": Address(city=Text("Bath"), state=None)},
    {"address": CustomerAddress(city="Paris")},
    {"address": {"city": "London", "state": None}},
    {"address": {"city": 5}},
    {"address": {"city": "\udfff"}},
    {"address": {"town": "London"}},
    {"address": {5: "London"}},
    {"address": {"city": UNSET}},
    {"address": {Text("city"): Text("London")}},
    {"address": types.MappingProxyType({"city": "London"})},
    {"address": "London"},
    {"address": []},
    {"address": None},
    {"metadata": {}},
    {"metadata": None},
    {"metadata": {"b": 1, "a": [1, {"c": None}], "d": {"e": True}}},
    {"metadata": {"huge": 2**64, "least": -(2**63) - 1}},
    {"metadata": {"a": float("nan")}},
    {"metadata": {"a": [float("inf")]}},
    {"metadata": {"a": {"b": b"x"}}},
    {"metadata": {"a": AWARE, "b": dt.date(2000, 1, 2)}},
    {"metadata": {"a": NAIVE}},
    {"metadata": {"a": decimal.Decimal("1.50"), "b": decimal.Decimal("NaN")}},
    {"metadata": {"a": decimal.Decimal("1.50"), "b": uuid.UUID(int=5)}},
    {"metadata": {"a": Colour.RED, "b": Colour.ONE, "c": Tier.GOLD, "d": Level.HIGH}},
    {"metadata": {"a": Number(5), "b": Text("x"), "c": Fields(d=1)}},
    {"metadata": Fields(a=1)},
    {"metadata": {1: "a"}},
    {"metadata": {None: "a"}},
    {"metadata": {Text("a"): 1}},
    {"metadata": {"a": UNSET}},
    {"metadata": {"a": {1, 2}}},
    {"metadata": {"a": object}},
    {"metadata": {"\ud800": 1}},
    {"metadata": [("a", 1)]},
    {"metadata": types.MappingProxyType({"a": 1})},
    {"metadata": {"a": Address(city="London")}},
    {"description": "x" * MAX_BODY_BYTES},
]


@pytest.mark.parametrize("into", [NewCustomer, CustomerFields])
@pytest.mark.parametrize("fields", TABLE, ids=lambda fields: ascii(fields)[:60])
def test_table(into: type[CustomerFields], fields: dict[str, Any]) -> None:
    assert short(into, fields) == long(into, fields)


def test_what_is_sent() -> None:
    """Not only the same, but right."""
    fields = {
        "source_id": Tier.GOLD,
        "name": None,
        "birthdate": dt.date(2000, 1, 2),
        "address": {"city": "London"},
        "metadata": {"a": 1, "b": True, "c": None, "d": "x"},
    }
    sent = short(NewCustomer, fields)
    assert isinstance(sent, bytes)
    assert json.loads(sent) == fields | {"birthdate": "2000-01-02"}
    assert short(NewCustomer, {"name": 5}) == "name: Expected `str | null`, got `int`"


def test_the_parts_of_an_address_may_come_in_any_order() -> None:
    sent = short(CustomerFields, {"address": {"postal_code": "N1", "city": "London"}})
    assert isinstance(sent, bytes)
    assert json.loads(sent) == {"address": {"city": "London", "postal_code": "N1"}}


def test_nesting_without_end() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    for fields in ({"metadata": endless}, {"address": endless}):
        assert short(CustomerFields, fields) == long(CustomerFields, fields)


# ---------------------------------------------------------------- properties

TEXTS = st.one_of(st.text(max_size=5), st.sampled_from(["", "2000-01-02", "a\x00b"]))
PLAIN = st.one_of(TEXTS, st.none(), st.booleans(), st.integers(), st.just(2**80), st.just(UNSET))
ODD = st.sampled_from(
    [
        Text("x"),
        Tier.GOLD,
        Colour.RED,
        Colour.ONE,
        Level.HIGH,
        Number(5),
        b"x",
        bytearray(b"x"),
        1.5,
        float("nan"),
        float("-inf"),
        decimal.Decimal("1.5"),
        decimal.Decimal("Infinity"),
        dt.date(2000, 1, 2),
        NAIVE,
        AWARE,
        AWARE.astimezone(dt.timezone(dt.timedelta(hours=-5))),
        dt.timedelta(days=1),
        dt.time(1, 2),
        uuid.UUID(int=5),
        frozenset({"x"}),
        Address(city="London"),
        object,
    ]
)
VALUES = st.recursive(
    st.one_of(PLAIN, ODD),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.tuples(inner),
        st.dictionaries(st.one_of(TEXTS, st.integers(0, 9), st.just(Text("k"))), inner, max_size=2),
    ),
    max_leaves=4,
)
METADATA = st.one_of(
    st.dictionaries(TEXTS, PLAIN, max_size=3),
    st.dictionaries(st.one_of(TEXTS, st.sampled_from([5, None, Text("k")])), VALUES, max_size=3),
    VALUES,
)


def in_order(address: dict[str, Any]) -> dict[str, Any]:
    """As a struct has it, for its own bytes to compare."""
    return dict(sorted(address.items(), key=lambda item: [*ADDRESS, item[0]].index(item[0])))


PARTS = st.one_of(TEXTS, st.none(), PLAIN, ODD)
ADDRESSES = st.one_of(
    st.dictionaries(st.sampled_from(ADDRESS), st.one_of(TEXTS, st.none()), max_size=3).map(in_order),
    st.dictionaries(st.sampled_from([*ADDRESS, "town"]), PARTS, max_size=3).map(in_order),
    st.dictionaries(st.sampled_from(ADDRESS), PARTS, max_size=3).map(
        lambda parts: cast("Any", Address)(**parts)
    ),
    PLAIN,
    ODD,
)
NAMED = st.one_of(st.just(UNSET), TEXTS, st.none(), PLAIN, ODD, st.lists(PLAIN, max_size=1))
DATES = st.one_of(st.just(UNSET), st.dates(), st.dates().map(dt.date.isoformat), NAMED)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": NAMED,
        "source_id": NAMED,
        "name": NAMED,
        "phone": NAMED,
        "birthday": DATES,
        "birthdate": DATES,
        "address": ADDRESSES,
        "metadata": METADATA,
    },
)


@settings(max_examples=300)
@given(FIELDS, st.sampled_from([NewCustomer, CustomerFields]))
def test_both_ways_say_the_same(fields: dict[str, Any], into: type[CustomerFields]) -> None:
    assert short(into, fields) == long(into, fields)


@settings(max_examples=100)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("name", "email"), st.one_of(st.none(), st.text(st.characters(), max_size=3))),
    ),
    st.dictionaries(st.text(st.characters(), max_size=3), st.text(st.characters(), max_size=3), max_size=2),
)
def test_any_text_at_all(fields: dict[str, Any], metadata: dict[str, str]) -> None:
    """Lone surrogates are among these."""
    fields["metadata"] = metadata
    assert short(CustomerFields, fields) == long(CustomerFields, fields)

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from voucherify_async.sandbox._store.records import Record
from voucherify_async.sandbox._store.segments import Segment


def record(
    email: str | None = None, city: str | None = None, metadata: dict[str, Any] | None = None
) -> Record:
    return Record(
        id="cust_1",
        source_id=None,
        created=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        fields={"email": email},
        address=None if city is None else {"city": city},
        metadata=metadata,
    )


@pytest.mark.parametrize(
    ("segment", "customer", "belongs"),
    [
        (Segment(id="a"), record(), True),
        (Segment(id="a", city="London"), record(city="London"), True),
        (Segment(id="a", city="London"), record(city="Londonderry"), False),
        (Segment(id="a", city="London"), record(), False),
        (Segment(id="a", email="*@example.com"), record("Ada@Example.COM"), True),
        (Segment(id="a", email="*@example.com"), record("ada@example.org"), False),
        (Segment(id="a", email="*@example.com"), record(), False),
        (Segment(id="a", email=""), record(), True),
        (Segment(id="a", email=""), record(""), True),
        (Segment(id="a", email=""), record("ada@example.com"), False),
        (Segment(id="a", email="*"), record(), True),
        (Segment(id="a", email="?*"), record(), False),
        (Segment(id="a", metadata={"n": 1}), record(metadata={"n": 1, "m": 2}), True),
        (Segment(id="a", metadata={"n": 1}), record(metadata={"n": "1"}), False),
        (Segment(id="a", metadata={"n": 1}), record(metadata={"n": True}), False),
        (Segment(id="a", metadata={"n": 1}), record(metadata={"n": 1.0}), True),
        (Segment(id="a", metadata={"n": 1}), record(), False),
        (Segment(id="a", metadata={"n": None}), record(), True),
        (Segment(id="a", metadata={"n": [1, {"m": 2}]}), record(metadata={"n": [1, {"m": 2}]}), True),
        (Segment(id="a", city="London", metadata={"n": 1}), record(city="London"), False),
        (Segment(id="a", city="London", metadata={"n": 1}), record(city="London", metadata={"n": 1}), True),
    ],
)
def test_who_belongs(segment: Segment, customer: Record, belongs: bool) -> None:
    assert segment.holds(customer) is belongs


@pytest.mark.parametrize(
    ("text", "city", "email", "metadata"),
    [
        ("seg_1:", None, None, {}),
        ("seg_1:city=London", "London", None, {}),
        ("seg_1:city=Washington, D.C.,email=*@example.com", "Washington, D.C.", "*@example.com", {}),
        ("seg_1:email=", None, "", {}),
        ("seg_1:metadata.tier=gold", None, None, {"tier": "gold"}),
        ("seg_1:metadata.a=1,metadata.b=true,metadata.c=null", None, None, {"a": 1, "b": True, "c": None}),
        ('seg_1:metadata.a="1",metadata.b=[1,2]', None, None, {"a": "1", "b": [1, 2]}),
        ("seg_1:metadata.a=x=y", None, None, {"a": "x=y"}),
        ("seg_1:metadata.city=x,city=London", "London", None, {"city": "x"}),
    ],
)
def test_a_segment_in_one_line(
    text: str, city: str | None, email: str | None, metadata: dict[str, Any]
) -> None:
    segment = Segment.parse(text)
    assert (segment.id, segment.name) == ("seg_1", "seg_1")
    assert (segment.city, segment.email, dict(segment.metadata)) == (city, email, metadata)


def test_everyone_is_written_with_a_colon() -> None:
    assert Segment.parse("seg_1:").holds(record())
    with pytest.raises(
        ValueError, match="^the rules of a segment must follow .*'seg_1'; without rules it contains everyone"
    ):
        Segment.parse("seg_1")


def test_its_name() -> None:
    named = Segment.parse("seg_1:name=Very important,city=London")
    assert named.to_json() == {"id": "seg_1", "name": "Very important", "object": "segment"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seg_1",
        "seg_vip;city=London",
        ":city=London",
        "seg_1:London",
        "seg_1:town=London",
        "seg_1:metadata=1",
        "seg_1:city",
    ],
)
def test_what_is_no_segment_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="of a segment"):
        Segment.parse(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", ""),
        ("id", 5),
        ("name", None),
        ("city", 5),
        ("email", b"a"),
        ("metadata", "tier"),
        ("metadata", None),
    ],
)
def test_what_is_no_segment(name: str, value: Any) -> None:
    rules: dict[str, Any] = {"id": "seg_1", name: value}
    with pytest.raises(ValueError, match=f"^{name} of a segment"):
        Segment(**rules)


@pytest.mark.parametrize(("name", "value"), [("city", 0), ("email", False), ("email", b"")])
def test_what_is_false_is_no_rule_either(name: str, value: Any) -> None:
    rules: dict[str, Any] = {"id": "seg_1", name: value}
    with pytest.raises(ValueError, match=f"^{name} of a segment"):
        Segment(**rules)


def test_its_rules_stay_as_they_were_given() -> None:
    rules = {"tier": "gold"}
    segment = Segment(id="a", metadata=rules)
    rules["tier"] = "silver"
    assert segment.holds(record(metadata={"tier": "gold"}))


@pytest.mark.parametrize(
    "text",
    ["seg_1:city=London,tier=gold", "seg_1,city=London", "seg_1=x", "seg_1:city=A,city=B",
     "seg_1:metadata.a=1,metadata.a=2"],
)  # fmt: skip
def test_slips_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="of a segment"):
        Segment.parse(text)


def test_a_bracket_is_a_bracket() -> None:
    segment = Segment(id="a", email="[a]*")
    assert segment.holds(record("[a]da@example.com"))
    assert not segment.holds(record("ada@example.com"))

"""Queries and bodies as the sandbox takes them, or refuses them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from voucherify_async.sandbox._seed.vouchers import Redeemable
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.validation import (
    any_integer,
    check_customer,
    event_type,
    instant,
    instant_or_date,
    integer,
    redeemable_filter,
)

NOW = dt.datetime(2026, 1, 11, tzinfo=dt.UTC)
HELD = Redeemable(
    number=1, created=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), customer_id="cust_1", campaign=None, voucher=2
)


def holds(*filters: tuple[str, str]) -> bool:
    others, matches = redeemable_filter([(f"filters{name}", value) for name, value in filters], NOW)
    assert others == []
    return matches(HELD)


@pytest.mark.parametrize(
    ("parser", "value", "parsed"),
    [
        (integer(1, 100), "100", 100),
        (any_integer, "-7", -7),
        (any_integer, "9" * 300, int("9" * 300)),
        (instant, "2026-01-01T01:00:00+01:00", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        (instant_or_date, "2026-01-01", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        (instant_or_date, "2026-01-01T00:00:00Z", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        (event_type, "customer.loyalty.tier.joined", "customer.loyalty.tier.joined"),
    ],
)
def test_good_values(parser: Any, value: str, parsed: object) -> None:
    assert parser("x", value) == parsed


@pytest.mark.parametrize(
    ("parser", "value", "details"),
    [
        (integer(1, 100), "0", "must be an integer from 1 to 100"),
        (integer(1, 100), "101", "must be an integer from 1 to 100"),
        (integer(1, 100), "", "must be an integer from 1 to 100"),
        (integer(1, 100), "\u0661", "must be an integer from 1 to 100"),
        (any_integer, "1.0", "must be an integer"),
        (any_integer, "9" * 301, "must be an integer"),
        (instant, "2026-01-01", "cannot be recognized"),
        (instant, "0001-01-01T00:00:00+01:00", "cannot be recognized"),
        (instant, "9999-12-31T23:59:59-01:00", "cannot be recognized"),
        (instant_or_date, "2026-02-30", "cannot be recognized"),
        (event_type, "customer.", "must be the type of a customer event"),
    ],
)
def test_bad_values(parser: Any, value: str, details: str) -> None:
    with pytest.raises(ApiError, match="400 invalid_query_params") as caught:
        parser("x", value)
    assert details in str(caught.value.details)


@pytest.mark.parametrize(
    ("filters", "held"),
    [
        ([], True),
        ([("[id][conditions][$in][0]", "rh_0"), ("[id][conditions][$in][1]", HELD.id)], True),
        ([("[id][conditions][$not_in][0]", "rh_0"), ("[id][conditions][$not_in][1]", HELD.id)], False),
        ([("[id][conditions][$in]", HELD.id)], True),
        ([("[id][conditions][$starts_with]", "rh")], True),
        ([("[holder_role][conditions][$is]", "OWNER")], True),
        ([("[holder_role][conditions][$contains]", "WN")], True),
        ([("[campaign_id][conditions][$is_unknown]", "")], True),
        ([("[campaign_id][conditions][$has_value]", "")], False),
        ([("[created_at][conditions][$more_than]", "9")], True),
        ([("[created_at][conditions][$more_than]", "10")], False),
        ([("[created_at][conditions][$less_than]", "-1")], False),
        ([("[created_at][conditions][$less_than]", "9" * 30)], True),
        ([("[created_at][conditions][$after]", "2026-01-01T00:00:00Z")], False),
        ([("[id][conditions][$is]", "x"), ("[holder_role][conditions][$is]", "OWNER")], False),
        (
            [
                ("[junction]", "or"),
                ("[id][conditions][$is]", "x"),
                ("[holder_role][conditions][$is]", "OWNER"),
            ],
            True,
        ),
    ],
)
def test_good_filters(filters: list[tuple[str, str]], held: bool) -> None:
    assert holds(*filters) is held


@pytest.mark.parametrize(
    "filters",
    [
        [("[holder_role][conditions][$is]", "nobody")],
        [("[voucher_type][conditions][$in][0]", "DISCOUNT")],
        [("[redeemable_object][conditions][$is_not]", "campaign")],
        [("[id][conditions][$is][0]", HELD.id)],
        [("[id][conditions][$is]", HELD.id), ("[id][conditions][$is]", "rh_2")],
        [("[junction]", "or"), ("[junction]", "and")],
        [("[created_at][conditions][$in][0]", "2026-01-01T00:00:00Z")],
        [("[created_at][conditions][$less_than]", "soon")],
        [("[id][conditions][$more_than]", "1")],
    ],
)
def test_bad_filters(filters: list[tuple[str, str]]) -> None:
    with pytest.raises(ApiError, match="400 invalid_query_params"):
        holds(*filters)


def test_customer_without_a_source_id() -> None:
    assert check_customer({"source_id": None, "name": "Ada"}, ids=True)["name"] == "Ada"
    with pytest.raises(ApiError, match="400 invalid_payload"):
        check_customer({"id": None}, ids=True)


def test_unknown_parts_of_an_address_are_dropped() -> None:
    address = {"city": "London", "planet": 3, "line_1": None}
    body = {"address": address}
    assert check_customer(body, ids=True) == {"address": {"city": "London", "line_1": None}}
    assert body == {"address": address}


@pytest.mark.parametrize(
    ("prop", "operator", "value", "held"),
    [
        ("id", "$starts_with", HELD.id[1:4], False),
        ("id", "$ends_with", HELD.id[-4:], True),
        ("id", "$ends_with", HELD.id[-4:-1], False),
        ("id", "$not_contain", HELD.id[1:4], False),
        ("id", "$is_not", HELD.id, False),
        ("id", "$is_not", HELD.id[1:4], True),
        ("campaign_id", "$in", "camp_1", False),
        ("campaign_id", "$not_in", "camp_1", True),
        ("campaign_id", "$is_not", "camp_1", True),
        ("campaign_id", "$not_contain", "camp_1", True),
        ("created_at", "$before", "2026-01-01T00:00:00Z", False),
        ("created_at", "$before", "2026-01-01T00:00:00.001Z", True),
        ("created_at", "$less_than", "10", False),
        ("created_at", "$less_than", "11", True),
    ],
)
def test_one_filter(prop: str, operator: str, value: str, held: bool) -> None:
    assert holds((f"[{prop}][conditions][{operator}]", value)) is held


def test_or_of_nothing_asks_nothing() -> None:
    assert holds(("[junction]", "or"))


@pytest.mark.parametrize(
    ("operator", "days", "held"),
    [("more_than", 9, False), ("more_than", 8, True), ("less_than", 10, True), ("less_than", 9, False)],
)
def test_days_are_whole_ones(operator: str, days: int, held: bool) -> None:
    pairs = [(f"filters[created_at][conditions][${operator}]", str(days))]
    assert redeemable_filter(pairs, HELD.created + dt.timedelta(days=9.5))[1](HELD) is held


def test_null_fits_everything_but_an_id() -> None:
    names = ("name", "description", "email", "phone", "birthday", "birthdate", "address", "metadata")
    body: dict[str, Any] = dict.fromkeys((*names, "source_id"))
    assert check_customer(body, ids=True) == body
    parts: dict[str, Any] = {"address": dict.fromkeys(("city", "line_1"))}
    assert check_customer(parts, ids=True) == parts

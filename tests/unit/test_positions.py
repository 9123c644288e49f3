"""Where a walk by timestamp has come to, item by item and for a whole page at once."""

from __future__ import annotations

import datetime as dt
import types
import zoneinfo
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voucherify_async.models import UNSET, AsyncAction, Customer
from voucherify_async.pagination.cursors import CreatedAtRule, EndDateRule

ZONES = [
    dt.UTC,
    dt.timezone(dt.timedelta(hours=14)),
    dt.timezone(dt.timedelta(hours=-5, minutes=-30)),
    zoneinfo.ZoneInfo("Europe/London"),
]
INSTANT = dt.datetime(2026, 1, 1, 0, 0, 0, 5_999, dt.UTC)
NAIVE = INSTANT.replace(tzinfo=None)

RULES: list[Any] = [CreatedAtRule(), CreatedAtRule(descending=False), EndDateRule()]
MILLISECONDS = 1_767_225_600_005


def of_each(rule: Any, items: list[Any]) -> list[int | None]:
    return [position for item in items for position in rule._positions([item, {}])[:1]]


def decoded(instant: Any) -> Customer:
    return Customer(id="a", created_at=instant)


@pytest.mark.parametrize(
    ("item", "milliseconds"),
    [
        (decoded(INSTANT), MILLISECONDS),
        (decoded(NAIVE), MILLISECONDS),
        (decoded(INSTANT.astimezone(ZONES[1])), MILLISECONDS),
        (decoded(INSTANT.astimezone(ZONES[2])), MILLISECONDS),
        (decoded(dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, dt.UTC)), -1),
        (decoded(None), None),
        (decoded(UNSET), None),
        (decoded("2026-01-01T00:00:00.005Z"), MILLISECONDS),
        (decoded("yesterday"), None),
        (decoded(5), None),
        (decoded(dt.date(2026, 1, 1)), None),
        (decoded(dt.timedelta(1)), None),
        ({"created_at": "2026-01-01T01:00:00.005+01:00"}, MILLISECONDS),
        ({"created_at": "2026-01-01T00:00:00.005"}, MILLISECONDS),
        ({"created_at": INSTANT}, MILLISECONDS),
        ({"created_at": None}, None),
        ({}, None),
        (types.MappingProxyType({"created_at": "2026-01-01T00:00:00.005Z"}), MILLISECONDS),
        (types.SimpleNamespace(created_at=INSTANT), MILLISECONDS),
        (types.SimpleNamespace(), None),
        (None, None),
        ("2026-01-01T00:00:00.005Z", None),
        (5, None),
    ],
)
def test_table(item: Any, milliseconds: int | None) -> None:
    for rule, sign in zip(RULES, (-1, 1, -1), strict=True):
        position = None if milliseconds is None else sign * milliseconds
        assert rule._positions([item]) == [position]
        assert rule._positions([decoded(INSTANT), item]) == [sign * MILLISECONDS, position]


def test_of_nothing() -> None:
    assert RULES[0]._positions([]) == []


TIMES = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))  # noqa: DTZ001  # the zone comes later
INSTANTS = st.builds(lambda time, zone: time.replace(tzinfo=zone), TIMES, st.sampled_from([*ZONES, None]))
STAMPS = st.one_of(
    INSTANTS, INSTANTS.map(dt.datetime.isoformat), st.sampled_from([None, UNSET, "", 5, dt.date(2026, 1, 1)])
)
ITEMS = st.one_of(
    STAMPS.map(decoded),
    INSTANTS.map(lambda instant: AsyncAction(id="a", created_at=instant)),
    STAMPS.map(lambda stamp: {"id": "a", "created_at": stamp}),
    STAMPS.map(lambda stamp: types.SimpleNamespace(created_at=stamp)),
    st.sampled_from([None, "", 5, {}, []]),
)
AWARE = st.datetimes(timezones=st.sampled_from(ZONES), min_value=dt.datetime(1900, 1, 1)).filter(  # noqa: DTZ001
    lambda instant: instant.year < 9999
)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(RULES), st.one_of(st.lists(ITEMS, max_size=4), st.lists(AWARE.map(decoded), max_size=4))
)
def test_a_page_at_once(rule: Any, items: list[Any]) -> None:
    positions = of_each(rule, items)
    assert rule._positions(items) == positions
    instants, furthest = rule._instants(items)
    dated = [position for position in positions if position is not None]
    assert rule._position(furthest) == max(dated, default=None)
    for edge in {edge for position in dated for edge in (position - 1, position, position + 1)}:
        from_there = [position is not None and position >= edge for position in positions]
        assert rule._from(edge, instants) == from_there

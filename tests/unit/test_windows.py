from __future__ import annotations

import asyncio
import datetime as dt
import json
import pickle
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.service import Service, ServiceListing, at, customers
from voucherify_async.pagination import stream
from voucherify_async.pagination.stream import plan
from voucherify_async.pagination.windows import (
    Window,
    from_milliseconds,
    merge_spans,
    split_span,
    to_milliseconds,
)


@given(st.integers(-1_000, 10**13), st.integers(0, 10**12), st.integers(1, 40))
def test_cuts_are_inside_and_in_order(low: int, length: int, parts: int) -> None:
    edges = split_span(low, low + length, parts)
    assert len(edges) < parts
    assert edges == sorted(set(edges))
    assert all(low < edge < low + length for edge in edges)
    assert not [edge for edge in edges if edge % 1000]
    assert len(edges) == parts - 1 or length < 2_000 * parts


@pytest.mark.parametrize(
    ("counts", "parts", "edges"),
    [
        ([], 3, []),
        ([(0, 10)], 3, []),
        ([(0, 10), (5, 10), (9, 10)], 3, [5, 9]),
        ([(0, 1), (5, 100), (9, 1)], 2, [9]),
        ([(0, 0), (5, 0), (9, 30)], 3, []),
        ([(number, 1) for number in range(100)], 4, [25, 50, 75]),
    ],
)
def test_spans_are_merged_into_windows_of_one_size(
    counts: list[tuple[int, int]], parts: int, edges: list[int]
) -> None:
    assert merge_spans(counts, parts) == edges


@given(st.integers(0, 4 * 10**12))
def test_milliseconds_come_back(milliseconds: int) -> None:
    assert to_milliseconds(from_milliseconds(milliseconds)) == milliseconds


def test_a_window_goes_through_json_and_pickle() -> None:
    window = Window(created_from=at(3), created_before=None)
    plain = json.loads(json.dumps(msgspec.to_builtins(window)))
    assert msgspec.convert(plain, Window) == window
    assert msgspec.json.decode(msgspec.json.encode(window), type=Window) == window
    assert pickle.loads(pickle.dumps(window)) == window


# ---------------------------------------------------------------- planning


def planned(service: Service, count: int) -> tuple[Window, ...]:
    listing: Any = ServiceListing(service)
    return asyncio.run(plan(listing, count, 4))


def sizes(service: Service, windows: tuple[Window, ...]) -> list[int]:
    """How many customers are in each window."""
    assert [one.created_before for one in windows[:-1]] == [one.created_from for one in windows[1:]]
    first = dt.datetime.min.replace(tzinfo=dt.UTC)
    last = dt.datetime.max.replace(tzinfo=dt.UTC)
    edges = [first, *(one.created_from for one in windows[1:] if one.created_from), last]
    created = sorted(service.customers.values())
    return [sum(begin <= one < end for one in created) for begin, end in pairwise(edges)]


@pytest.mark.parametrize(
    "counts",
    [
        (1,) * 5_000,
        (50,) * 100,
        (1,) * 150,
        (5_000,),
        (1, 4_000, *[1] * 999),
        (*[1] * 2_500, *[0] * 900_000, *[1] * 2_500),
    ],
    ids=["spread", "fifties", "few", "one instant", "mostly one instant", "two ages"],
)
@pytest.mark.parametrize("count", [1, 2, 16, 100])
@pytest.mark.parametrize("says_total", [True, False], ids=["counted", "not counted"])
def test_what_planning_costs(counts: tuple[int, ...], count: int, says_total: bool) -> None:
    service = Service(customers(*counts), says_total=says_total)
    windows = planned(service, count)
    assert len(windows) <= count
    assert sum(sizes(service, windows)) == len(service.customers)
    assert len(service.requests) <= min(10 * count, -(-len(service.customers) // 100))


def test_windows_have_about_the_same_size() -> None:
    service = Service(customers(*[1] * 2_500, *[0] * 900_000, *[1] * 2_500))
    assert set(sizes(service, planned(service, 10))) <= {498, 499, 500, 501, 502}


@pytest.mark.parametrize("whole_total", [True, False], ids=["a total of the project", "counted"])
def test_a_list_that_is_too_long_for_page_numbers_is_counted_in_spans(
    whole_total: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_MAX_SKIP", 98)
    service = Service(customers(*[2] * 2_000, step=1_000), whole_total=whole_total)
    windows = planned(service, 2)
    assert len(windows) == 2
    assert max(sizes(service, windows)) <= 2_000 + 4_000 / 16
    assert len(service.requests) <= 20

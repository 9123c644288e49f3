from __future__ import annotations

import json
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.service import at
from voucherify_async.pagination.windows import Window, cut, instant_of, merge, milliseconds_of


@given(st.integers(-1_000, 10**13), st.integers(0, 10**12), st.integers(1, 40))
def test_cuts_are_inside_and_in_order(low: int, length: int, parts: int) -> None:
    edges = cut(low, low + length, parts)
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
    assert merge(counts, parts) == edges


@given(st.integers(0, 4 * 10**12))
def test_milliseconds_come_back(milliseconds: int) -> None:
    assert milliseconds_of(instant_of(milliseconds)) == milliseconds


def test_a_window_goes_through_json_and_pickle() -> None:
    window = Window(created_from=at(3), created_before=None)
    plain = json.loads(json.dumps(msgspec.to_builtins(window)))
    assert msgspec.convert(plain, Window) == window
    assert msgspec.json.decode(msgspec.json.encode(window), type=Window) == window
    assert pickle.loads(pickle.dumps(window)) == window

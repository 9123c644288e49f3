"""What the benchmarks make of their ratios."""

from __future__ import annotations

import pytest

from benchmarks.bars import MARGIN, Bar, Row, far_off, table
from benchmarks.rounds import Ratio, ratio, ratio_of
from benchmarks.worker import Effort


def effort(cpu: float) -> Effort:
    return Effort(count=10, wall=1.0, cpu=cpu, p50=0.1, p99=0.2, memory=30.0)


def row(found: float, bar: Bar | None) -> Row:
    return Row(what="calls", found=Ratio(found, found, found), bar=bar)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0], Ratio(2.0, 2.0, 2.0)),
        ([1.0, 2.0, 3.0], Ratio(2.0, 1.5, 2.5)),
        ([9.0, 1.0, 1.0, 1.0, 1.0], Ratio(1.0, 1.0, 1.0)),  # one bad round says nothing
    ],
)
def test_a_ratio_is_the_median_and_its_quartiles(values: list[float], expected: Ratio) -> None:
    assert ratio(values) == expected


def test_ratios_are_taken_round_by_round() -> None:
    # In the second round the machine was ten times as slow, for both.
    rounds = [{"ours": effort(1.2), "hand": effort(1.0)}, {"ours": effort(12.0), "hand": effort(10.0)}]
    assert ratio_of(rounds, "ours", "hand", lambda each: each.cpu).median == pytest.approx(1.2)


AT_MOST = Bar(value=1.15)
AT_LEAST = Bar(value=12.0, least=True)


@pytest.mark.parametrize(
    ("found", "bar", "verdict", "is_far_off"),
    [
        (1.15, AT_MOST, "met", False),
        (1.16, AT_MOST, "missed", False),
        (1.15 * MARGIN - 0.01, AT_MOST, "missed", False),
        (1.15 * MARGIN + 0.01, AT_MOST, "missed", True),
        (12.0, AT_LEAST, "met", False),
        (11.9, AT_LEAST, "missed", False),
        (12.0 / MARGIN + 0.01, AT_LEAST, "missed", False),
        (12.0 / MARGIN - 0.01, AT_LEAST, "missed", True),
        (99.0, None, "", False),
    ],
)
def test_a_bar(found: float, bar: Bar | None, verdict: str, is_far_off: bool) -> None:
    found_row = row(found, bar)
    assert found_row.verdict == verdict
    assert far_off([found_row]) == ([found_row] if is_far_off else [])


def test_the_table_lines_up() -> None:
    lines = table([row(1.16, AT_MOST), row(12.5, AT_LEAST)]).splitlines()
    assert lines[1].split() == ["calls", "1.16", "(1.16", "to", "1.16)", "at", "most", "1.15", "missed"]
    assert lines[1].index("at most") == lines[2].index("at least")

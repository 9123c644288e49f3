"""What is measured, against which bar, and whether it is met. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.rounds import Ratio

MARGIN: Final = 1.4
"""How far a ratio may be on the wrong side of its bar before the short run fails.

The machines that it runs on are shared and noisy, and it takes few rounds: what fails is a change that made
something slower by a third, not the weather.
"""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """What a ratio should be.

    Attributes:
        value: The figure.
        least: Whether more is better.
    """

    value: float
    least: bool = False

    def is_met(self, found: float, margin: float = 1.0) -> bool:
        return found * margin >= self.value if self.least else found <= self.value * margin

    def __str__(self) -> str:
        return f"{'at least' if self.least else 'at most'} {self.value:g}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table.

    Attributes:
        what: What was compared, ours first.
        found: The ratio.
        bar: What it should be; `None` for what is told for information.
        details: The figures behind it, with their units, for whoever wants to see them.
    """

    what: str
    found: Ratio
    bar: Bar | None = None
    details: str = ""

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        return "met" if self.bar.is_met(self.found.median) else "missed"


def table(rows: Sequence[Row]) -> str:
    lines = [("", "median (quartiles)", "bar", "", "")]
    lines += [
        (row.what, str(row.found), "" if row.bar is None else str(row.bar), row.verdict, row.details)
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def far_off(rows: Sequence[Row]) -> list[Row]:
    """The rows whose ratios fall well outside their bars."""
    return [row for row in rows if row.bar is not None and not row.bar.is_met(row.found.median, MARGIN)]

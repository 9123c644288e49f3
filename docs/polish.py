"""Changes to the built pages for which the site generator has no setting."""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Final

__all__ = ["polish"]

_LITERAL: Final = re.compile(r"<p>::</p>\n|(?<=:):(?=</p>\n<div class=\"language-python highlight)")
"""What reStructuredText has before the examples in docstrings: ``::``, of which Markdown shows every character."""

_TABLE: Final = re.compile(r"<table>.*?</table>", re.DOTALL)
_HEADING: Final = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
_ROW: Final = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL: Final = re.compile(r"<td(?=[ >])")
_TAG: Final = re.compile(r"<[^>]+>")


def polish(html: str) -> str:
    """Remove the colons of reStructuredText, and give each cell of a table the heading of its column.

    The style sheet shows the headings on a phone, where the cells of a row are below each other.
    """
    return _TABLE.sub(lambda match: _with_labels(match[0]), _LITERAL.sub("", html))


def _with_labels(table: str) -> str:
    headings = [unescape(_TAG.sub("", heading)).strip() for heading in _HEADING.findall(table)]

    def label_cells(row: re.Match[str]) -> str:
        labels = iter(headings)

        def label_cell(_: re.Match[str]) -> str:
            label = next(labels, "")
            return f'<td data-label="{escape(label)}"' if label else "<td"

        return _CELL.sub(label_cell, row[0])

    return _ROW.sub(label_cells, table)

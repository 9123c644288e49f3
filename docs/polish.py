"""Changes to the built pages for which the site generator has no setting."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from html import escape, unescape
from typing import Final

__all__ = ["link_names", "places_of_names", "polish"]

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


# ---------------------------------------------------------------- links to the reference

_RESOURCES: Final = {
    "customers": "CustomersResource",
    "async_actions": "AsyncActionsResource",
    "oauth": "OAuthResource",
}
"""The classes of the resources, by the attribute of the client that has one."""

_NOT_LINKED: Final = re.compile(r"<(?P<tag>a|pre|h[1-6]|nav|title|head|script)\b.*?</(?P=tag)>", re.DOTALL)
_NAME: Final = re.compile(r"<code>((?:client\.)?([A-Za-z_]\w*(?:\.\w+)?)(?:\(.*?\))?)</code>")


def places_of_names(anchors: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return where the reference has the classes, and the methods of the resources, that a text may name.

    A name that two objects have is left out.

    Args:
        anchors: The anchors of each page of the reference, which are the full names of objects.
    """
    found: dict[str, set[str]] = {}
    for page, names in anchors.items():
        for name in names:
            *path, last = name.split(".")
            if last[:1].isupper() and path and path[-1][:1].islower():
                found.setdefault(last, set()).add(f"{page}#{name}")
            for attribute, resource in _RESOURCES.items():
                if path[-1:] == [resource] and not last.startswith("_"):
                    found.setdefault(f"{attribute}.{last}", set()).add(f"{page}#{name}")
    return {name: places.pop() for name, places in found.items() if len(places) == 1}


def link_names(html: str, page: str, places: Mapping[str, str]) -> str:
    """Link names in the text of a page, where they are code, to their entries in the reference.

    Args:
        html: The page.
        page: Its path in the site.
        places: The entries by name, as `places_of_names` returns them.
    """

    def link(match: re.Match[str]) -> str:
        place = places.get(match[2])
        if place is None:
            return match[0]
        target, _, anchor = place.partition("#")
        path = "" if target == page else posixpath.relpath(target, posixpath.dirname(page) or ".")
        return f'<a href="{path}#{anchor}">{match[0]}</a>'

    parts: list[str] = []
    end = 0
    for kept in _NOT_LINKED.finditer(html):
        parts += [_NAME.sub(link, html[end : kept.start()]), kept[0]]
        end = kept.end()
    return "".join([*parts, _NAME.sub(link, html[end:])])

"""What an SVG file shows: its text, with the colour of the text and of what is below it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

__all__ = ["DARK", "LIGHT", "Text", "contrast", "svg_tag", "texts"]

LIGHT: Final = "light"
DARK: Final = "dark"
_SVG: Final = "{http://www.w3.org/2000/svg}"
_FILL: Final = re.compile(r"\.([\w-]+) \{ fill: ([#\w]+)")
_DARK_RULES: Final = "@media (prefers-color-scheme: dark)"


@dataclass(frozen=True)
class Text:
    """A text and how it looks.

    Attributes:
        content: The text.
        color: Its colour, as in ``#ffffff``.
        ground: The colour of the shape below it.
        size: The size of its font in units of the picture, if it has one of its own.
    """

    content: str
    color: str
    ground: str
    size: float | None


class _Shape(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float
    color: str


def svg_tag(name: str) -> str:
    """The name of an element as ElementTree has it."""
    return _SVG + name


def texts(root: ET.Element, scheme: str) -> list[Text]:
    """All texts of a picture in a colour scheme. Text below which there is no shape is on ``none``."""
    style = root.findtext(f".//{_SVG}style") or ""
    light, _, dark = style.partition(_DARK_RULES)
    colors = dict(_FILL.findall(light)) | (dict(_FILL.findall(dark)) if scheme == DARK else {})
    shapes: list[_Shape] = []
    found: list[Text] = []
    for element, x, y in _drawn(root, 0.0, 0.0):
        color = element.get("fill") or colors.get(element.get("class", ""), "none")
        if element.tag == svg_tag("text"):
            left, baseline = x + float(element.get("x", 0)), y + float(element.get("y", 0))
            size = element.get("font-size")
            ground = "none"
            for below in shapes:  # the last one is on top
                if below.left <= left <= below.right and below.top <= baseline - 4 <= below.bottom:
                    ground = below.color
            found.append(Text("".join(element.itertext()), color, ground, float(size) if size else None))
        elif color != "none" and (shape := _shape(element, x, y, color)):
            shapes.append(shape)
    return found


def _drawn(element: ET.Element, x: float, y: float) -> Iterator[tuple[ET.Element, float, float]]:
    """The elements that are drawn, with how far they are moved."""
    if element.tag == svg_tag("defs"):
        return
    moved = re.fullmatch(r"translate\(([\d.]+), ?([\d.]+)\)", element.get("transform", ""))
    if moved:
        x, y = x + float(moved[1]), y + float(moved[2])
    yield element, x, y
    for child in element:
        yield from _drawn(child, x, y)


def _shape(element: ET.Element, x: float, y: float, color: str) -> _Shape | None:
    def number(name: str) -> float:
        return float(element.get(name, 0))

    if element.tag == svg_tag("rect"):
        left, top = x + number("x"), y + number("y")
        return _Shape(left, top, left + number("width"), top + number("height"), color)
    if element.tag == svg_tag("circle"):
        left, top, radius = x + number("cx"), y + number("cy"), number("r")
        return _Shape(left - radius, top - radius, left + radius, top + radius, color)
    return None


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG defines it, from 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    digits = color.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

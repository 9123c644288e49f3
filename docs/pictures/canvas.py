"""A small SVG canvas: boxes, text, arrows and dots on a card that follows the colour scheme of the reader's system.

A picture in an ``<img>`` knows `prefers-color-scheme`, but not the switch of the page around it. So each picture has a
background of its own, and its text can be read on every page. Text uses the fonts of the system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

__all__ = ["FONT", "MONO", "WIDTH", "Canvas", "Point"]

WIDTH: Final = 440
"""The width of all pictures. On a phone, 390 pixels wide, text of 14 units is then 12 pixels high."""

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MONO: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

_SHOWN_WIDTH: Final = 600  # in a page with more room

# Fill and stroke of each class; text has no stroke.
_LIGHT: Final = {
    "card": ("#ffffff", "#d0d7de"),
    "plain": ("#f3f5f8", "#8c959f"),
    "blue": ("#dbeafe", "#1d4ed8"),
    "green": ("#d3f5e0", "#0b6e4f"),
    "red": ("#ffe4e1", "#b3261e"),
    "solid": ("#0b6e4f", "#0b6e4f"),
    "frame": ("none", "#6e7781"),
    "ring": ("#ffffff", "#0b6e4f"),
    "line": ("none", "#57606a"),
    "head": ("#57606a", "none"),
    "grid": ("none", "#d0d7de"),
    "bar": ("#8c959f", "none"),
    "ink": ("#1f2328", "none"),
    "muted": ("#57606a", "none"),
    "good": ("#0b6e4f", "none"),
    "bad": ("#b3261e", "none"),
    "inverse": ("#ffffff", "none"),
}
_DARK: Final = {
    "card": ("#161b22", "#3d444d"),
    "plain": ("#262c36", "#7d8590"),
    "blue": ("#16325c", "#79b8ff"),
    "green": ("#0f3d2c", "#56d4a0"),
    "red": ("#4a1d1d", "#ff9a91"),
    "solid": ("#56d4a0", "#56d4a0"),
    "frame": ("none", "#8b949e"),
    "ring": ("#161b22", "#56d4a0"),
    "line": ("none", "#adb5bf"),
    "head": ("#adb5bf", "none"),
    "grid": ("none", "#3d444d"),
    "bar": ("#7d8590", "none"),
    "ink": ("#f0f3f6", "none"),
    "muted": ("#b7bfc9", "none"),
    "good": ("#7ee2b8", "none"),
    "bad": ("#ffb3ab", "none"),
    "inverse": ("#0b1f17", "none"),
}

Point = tuple[float, float]


class Canvas:
    """A picture in the making; `svg` is the result."""

    def __init__(self, name: str, height: float, *, title: str, description: str) -> None:
        """Create an empty card.

        Args:
            name: The name of the picture, which makes its ids unique in a page.
            height: The height of the picture; its width is `WIDTH`.
            title: What it shows, drawn as its heading.
            description: The same in sentences, for readers who cannot see it.
        """
        self._name, self._height = name, height
        self._title, self._description = title, description
        self._parts: list[str] = []
        self.box(1, 1, WIDTH - 2, height - 2, "card", radius=12)
        self.text(20, 32, title, size=18, bold=True)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        tone: str = "ink",
        *,
        size: int = 14,
        anchor: str = "start",
        bold: bool = False,
        mono: bool = False,
    ) -> None:
        """Write a line of text; `y` is its baseline."""
        style = f' font-family="{MONO}"' if mono else ""
        style += ' font-weight="600"' if bold else ""
        style += f' text-anchor="{anchor}"' if anchor != "start" else ""
        place = f'x="{_number(x)}" y="{_number(y)}" font-size="{size}"'
        self._parts.append(f'<text class="{tone}" {place}{style}>{escape(text)}</text>')

    def box(
        self, x: float, y: float, width: float, height: float, tone: str = "plain", *, radius: float = 8
    ) -> None:
        """Draw a rectangle."""
        place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
        dashed = ' stroke-dasharray="5 4"' if tone == "frame" else ""
        self._parts.append(f'<rect class="{tone}" {place} rx="{_number(radius)}"{dashed}/>')

    def step(self, x: float, y: float, width: float, heading: str, lines: Sequence[str] = ()) -> float:
        """Draw a box with a heading and lines below it; return the `y` of its lower edge."""
        height = 34 + 19 * len(lines)
        self.box(x, y, width, height)
        self.text(x + 12, y + 22, heading, bold=True)
        for number, line in enumerate(lines, start=1):
            self.text(x + 12, y + 22 + 19 * number, line)
        return y + height

    def dot(self, x: float, y: float, radius: float, tone: str) -> None:
        """Draw a circle."""
        self._parts.append(
            f'<circle class="{tone}" cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}"/>'
        )

    def line(self, *points: Point, tone: str = "line", dashed: bool = False) -> None:
        """Draw a line through points."""
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        style = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(f'<polyline class="{tone}" points="{path}"{style}/>')

    def arrow(self, *points: Point) -> None:
        """Draw a line through points, all horizontal or vertical, that ends in a head."""
        (x0, y0), (x, y) = points[-2:]
        right, down = (x > x0) - (x < x0), (y > y0) - (y < y0)
        base = (x - 7 * right, y - 7 * down)
        self.line(*points[:-1], base)
        corners = [(x, y), *((base[0] + side * 5 * down, base[1] + side * 5 * right) for side in (1, -1))]
        path = " ".join(f"{_number(a)},{_number(b)}" for a, b in corners)
        self._parts.append(f'<polygon class="head" points="{path}"/>')

    @property
    def svg(self) -> str:
        """The picture as a document."""
        name, height = self._name, _number(self._height)
        shown_height = _number(self._height * _SHOWN_WIDTH / WIDTH)
        return "\n".join(
            [
                (
                    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{_SHOWN_WIDTH}"'
                    f' height="{shown_height}" role="img" aria-labelledby="{name}-title {name}-desc"'
                    f' font-family="{FONT}">'
                ),
                f'<title id="{name}-title">{escape(self._title)}</title>',
                f'<desc id="{name}-desc">{escape(self._description)}</desc>',
                "<style>",
                _rules(_LIGHT),
                f"@media (prefers-color-scheme: dark) {{\n{_rules(_DARK)}\n}}",
                "</style>",
                *self._parts,
                "</svg>\n",
            ]
        )


def _rules(palette: dict[str, tuple[str, str]]) -> str:
    return "\n".join(
        f".{name} {{ fill: {fill}; stroke: {stroke} }}" for name, (fill, stroke) in palette.items()
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")

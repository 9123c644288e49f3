"""The figures as pictures.

    python -m benchmarks.charts

draws those of the last run anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure as _Figure

NAMES: Final = {
    "ours": "this package",
    "our client": "this package,\nwith its client",
    "by_hand": "aiohttp and msgspec,\nby hand",
    "official": "official client",
    "httpx_pydantic": "httpx and pydantic",
    "ours+uvloop": "this package\non uvloop",
}
OURS: Final = "#0b6e4f"
THEIRS: Final = "#9aa5b1"
LAYERS: Final = ("#3d5a80", "#98c1d9", "#e0a458", "#0b6e4f", "#ee6c4d", "#b8b8d1", "#6d6875", "#ffcdb2")

Figure: Final[Any] = _Figure  # its methods' annotations leave parameters out

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "voucherify_async", "svg.fonttype": "none", "font.size": 9})


def bars(axes: Any, figures: dict[str, float], title: str) -> None:
    """One bar for each contender, the longest at the top."""
    names = sorted(figures, key=lambda name: figures[name])
    colours = [OURS if name in {"ours", "our client", "ours+uvloop", "stream"} else THEIRS for name in names]
    drawn = axes.barh(
        [NAMES.get(name, name) for name in names], [figures[name] for name in names], color=colours
    )
    axes.bar_label(
        drawn, [f"{figures[name]:,.{0 if figures[name] >= 100 else 1}f}" for name in names], padding=4
    )
    axes.set_title(title, loc="left")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def stacked(axes: Any, budgets: dict[str, dict[str, float]]) -> None:
    """What a call is spent on, layer by layer."""
    layers = sorted(
        {layer for spent in budgets.values() for layer in spent},
        key=lambda layer: -max(spent.get(layer, 0.0) for spent in budgets.values()),
    )
    names = [NAMES[name] for name in budgets]
    left = [0.0] * len(budgets)
    for layer, colour in zip(layers, LAYERS, strict=False):
        widths = [spent.get(layer, 0.0) for spent in budgets.values()]
        axes.barh(names, widths, left=left, label=layer, color=colour)
        left = [begin + width for begin, width in zip(left, widths, strict=True)]
    axes.set_title("one create: bytecode instructions", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.2), ncols=2, frameon=False)


def draw(figures: dict[str, dict[str, float]], folder: Path) -> None:
    """A picture for each chart."""
    folder.mkdir(exist_ok=True)
    budgets: dict[str, dict[str, float]] = {}
    for title, found in figures.items():
        if title.startswith("budget "):
            budgets[title.removeprefix("budget ")] = found
            continue
        with picture(folder / f"{slug(title)}.svg", height=0.45 * len(found)) as axes:
            bars(axes, found, title)
    with picture(folder / "budget.svg", height=1.6) as axes:
        stacked(axes, budgets)


@contextmanager
def picture(path: Path, *, height: float) -> Generator[Any]:
    """Something to draw on, which is saved when it is done."""
    figure = Figure(figsize=(7, 0.9 + height), layout="constrained")
    yield figure.subplots()
    figure.savefig(path, metadata={"Date": None})


def slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower().replace("µ", "u")).strip("-")


if __name__ == "__main__":
    here = Path(__file__).parent
    draw(json.loads((here / "results.json").read_text())["figures"], here / "charts")

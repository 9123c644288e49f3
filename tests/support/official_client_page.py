"""The page for users of the official client: its programs and tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["BLOCKS", "PAGE", "code_in", "rows"]

PAGE: Final = (Path(__file__).parents[2] / "docs" / "pages" / "official-client.md").read_text()
BLOCKS: Final = dict(
    re.findall(r"<!-- test: official client, (.+?) -->\n```python\n(.+?)```", PAGE, re.DOTALL)
)


def rows(table: str) -> list[list[str]]:
    """The cells of a table of the page, without its header."""
    _, _, rest = PAGE.partition(f"<!-- table: {table} -->\n\n")
    lines = rest.partition("\n\n")[0].splitlines()
    assert lines[1].startswith("|---|"), table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code_in(text: str) -> list[str]:
    """What is between backticks."""
    return re.findall(r"`([^`]+)`", text)

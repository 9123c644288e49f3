"""The code blocks of the README and of the pages of the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["BLOCKS", "COMMANDS", "ELSEWHERE", "FRAGMENTS", "PAGES", "ROOT", "SHELL_ELSEWHERE", "find_blocks"]

ROOT: Final = Path(__file__).parents[2]

FRAGMENTS: Final = {
    "CONTRIBUTING.md": "parts of four modules of an operation as an example, which the package does not have",
}
"""Pages of the site whose Python blocks are not run, and why."""

ELSEWHERE: Final = {
    "docs/pages/official-client.md": "tests/integration/test_official_client_page.py",
}
"""Pages whose Python blocks are run by tests of their own."""

SHELL_ELSEWHERE: Final = {
    "docs/pages/sandbox-http.md": "tests/integration/test_sandbox_http_page.py",
}
"""Pages all of whose console blocks are run by tests of their own."""

_BLOCK: Final = re.compile(
    r"(?:^ *<!-- test: (?P<name>.+?) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)

PAGES: Final = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        ROOT / "benchmarks/README.md",
        *sorted((ROOT / "docs/pages").rglob("*.md")),
    )
}
"""The texts of the README and of all that is a page of the site, by their paths."""


def find_blocks(text: str, language: str) -> list[tuple[str | None, str]]:
    """The blocks of a language with the names in the comments above them."""
    return [
        (found["name"], _without_indent(found["text"], found["indent"]))
        for found in _BLOCK.finditer(text)
        if found["language"] == language
    ]


def _without_indent(text: str, indent: str) -> str:
    """Remove the indentation of the fence. The block may be a part of a program and have one of its own."""
    return re.sub(f"^{indent}", "", text, flags=re.MULTILINE)


def _named_blocks() -> dict[str, str]:
    named: dict[str, str] = {}
    for path, text in PAGES.items():
        if path in FRAGMENTS or (path in ELSEWHERE and (ROOT / ELSEWHERE[path]).exists()):
            continue
        for name, block in find_blocks(text, "python"):
            assert name is not None, f"{path} has a block of Python without a name:\n{block}"
            # The README and a page may have the same block.
            assert named.setdefault(name, block) == block, f"{path}: another block is named {name!r}"
    return named


BLOCKS: Final = _named_blocks()
"""The Python blocks by name. Each of them is run by a test."""

COMMANDS: Final = [
    line
    for path, text in PAGES.items()
    if not (path in SHELL_ELSEWHERE and (ROOT / SHELL_ELSEWHERE[path]).exists())
    for _, block in find_blocks(text, "console")
    for line in block.strip().splitlines()
]
"""The lines of the console blocks, without those that are run."""

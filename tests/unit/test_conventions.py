from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCUMENTED = {"_replace", "_asdict", "_fields", "_exit"}
"""Attributes of namedtuples and of `os` that are public in spite of their names."""

FILES = sorted(
    path for part in ("integration", "interop", "contract") for path in (TESTS / part).glob("*.py")
)


def private_attributes(source: str) -> Iterator[str]:
    """The attributes with a leading underscore that code uses, except its own."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute) or node.attr in DOCUMENTED:
            continue
        own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
        if node.attr.startswith("_") and not node.attr.startswith("__") and not own:
            yield f"{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_only_unit_tests_and_support_use_private_attributes(path: Path) -> None:
    """Others use public API, or a function of tests/support/internals.py that says why it is needed."""
    assert list(private_attributes(path.read_text())) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("client._sessions.pool", ["1: client._sessions"]),
        ("super()._answer()", ["1: super()._answer"]),
        ("self._own; cls._own; self.__class__; record._replace(a=1)", []),
    ],
)
def test_what_counts_as_private(source: str, found: list[str]) -> None:
    assert list(private_attributes(source)) == found

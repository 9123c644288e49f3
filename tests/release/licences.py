"""The dependencies of the package and their licences, from the metadata of what pip installs for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
DOCUMENT: Final = REPOSITORY / "docs" / "pages" / "licences.md"
OWN: Final = "voucherify-async"

# What distributions have that state no expression in `License-Expression`.
_EXPRESSIONS: Final = {
    "Apache 2.0": "Apache-2.0",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
_IDENTIFIERS: Final = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0"}

_BEGINNING: Final = """# Licences

voucherify_async is published under the MIT licence. These are the packages that pip installs along with it, on Python {} on
Linux, and their licences as SPDX expressions. `make licences` writes this page from the metadata of the packages, and
`make dist` compares the two.
"""
_ROW: Final = re.compile(
    r"^\| (?P<name>[\w.-]+) \| (?P<version>[\d.\w+-]+) \| (?P<licence>[\w.+() -]+) \|$", re.MULTILINE
)


@dataclass(frozen=True, order=True)
class Licence:
    """A package and its licence."""

    name: str
    version: str
    expression: str


def licences_in(site_packages: Path) -> set[Licence]:
    """The licences of the packages in a folder, except this one."""
    found = distributions(path=[str(site_packages)])
    return {
        Licence(normalized(each.name), each.version, expression_of(each))
        for each in found
        if normalized(each.name) != OWN
    }


def normalized(name: str) -> str:
    """The name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def expression_of(distribution: Distribution) -> str:
    """The licence of a distribution as an SPDX expression.

    Raises:
        ValueError: The metadata have no licence that is known here.
    """
    for expression in _values(distribution, "License-Expression"):
        return expression
    stated = [*_values(distribution, "License"), *_values(distribution, "Classifier")]
    for text in stated:
        if text in _IDENTIFIERS:
            return text
        if text in _EXPRESSIONS:
            return _EXPRESSIONS[text]
    raise ValueError(
        f"the licence of {distribution.name} {distribution.version} is not in tests/release/licences.py"
    )


def _values(distribution: Distribution, field: str) -> list[str]:
    return distribution.metadata.get_all(field) or []


def document(python: str, licences: Mapping[str | None, set[Licence]]) -> str:
    """The page.

    Args:
        python: The version of Python.
        licences: What pip installs without an extra, by None, and with each extra.
    """
    parts = [_BEGINNING.format(python)]
    for extra, title in _titles(licences):
        more = licences[extra] - (set() if extra is None else licences[None])
        rows = [f"| {each.name} | {each.version} | {each.expression} |" for each in sorted(more)]
        parts.append(
            "\n".join([f"## {title}\n", "| package | version | licence |", "|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def _titles(licences: Mapping[str | None, set[Licence]]) -> Iterator[tuple[str | None, str]]:
    yield None, "Always"
    yield from ((extra, f"With the extra `{extra}`") for extra in sorted(filter(None, licences)))


def problems(written: str, installed: str) -> Iterator[str]:
    """What the page says of packages and licences that is no longer so; newer versions are none of it."""
    pages = [_by_section(page) for page in (written, installed)]
    for section in sorted({*pages[0], *pages[1]}):
        before, now = (page.get(section, {}) for page in pages)
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                known, actual = before.get(name, "missing"), now.get(name, "not installed")
                yield f"{DOCUMENT.name}, {section}: {name} is {known}, but should be {actual}; run make licences"


def _by_section(page: str) -> dict[str, dict[str, str]]:
    """The licence of each package, by the heading above it."""
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    return {
        text.partition("\n")[0]: {row["name"]: row["licence"] for row in _ROW.finditer(text)}
        for text in sections
    }

"""Whether CHANGELOG.md fits the version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

UNRELEASED: Final = "Unreleased"
# The date is missing only from the section for changes that are not released.
_SECTION: Final = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\S+))?$", re.MULTILINE)


def sections(text: str) -> dict[str, tuple[str | None, str]]:
    """The date and the text of each version, the newest first."""
    headings = [*_SECTION.finditer(text)]
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return {
        heading["version"]: (heading["date"], text[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=True)
    }


def problems(text: str, version: str, tag: str | None = None) -> Iterator[str]:
    """What is wrong with the changelog.

    Args:
        text: The changelog.
        version: The version of the package.
        tag: The tag of the release, or None if nothing is released now.
    """
    found = sections(text)
    if next(iter(found), None) != UNRELEASED:
        yield f"CHANGELOG.md does not begin with a section [{UNRELEASED}]"
    released = [name for name in found if name != UNRELEASED]
    if released[:1] != [version]:
        newest = (
            f"the newest version in CHANGELOG.md is {released[0]}"
            if released
            else "CHANGELOG.md has no version"
        )
        yield f"{newest}, and that of the package is {version}"
    for name in released:
        date, changes = found[name]
        if date is None or not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
            yield f"the section of {name} in CHANGELOG.md has no date"
        if not re.search(r"^- ", changes, re.MULTILINE):
            yield f"the section of {name} in CHANGELOG.md is empty"
    if tag is None:
        return
    if tag != f"v{version}":
        yield f"the tag is {tag}, and the version of the package is {version}"
    if found.get(UNRELEASED, (None, ""))[1]:
        yield f"the section [{UNRELEASED}] of CHANGELOG.md is not empty"

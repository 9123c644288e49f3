"""Collect the pages of the site in one folder, with the files of the repository to which they link.

A page links to a file of the repository by its relative path, which works where the repository is read. In the site, such
a link leads to a copy: a Markdown file becomes a page, a picture is copied, and any other file becomes a page with its
text, a folder a page with links to its files. So the site needs no other host, and a link to a file that does not exist is an error.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["BrokenLinksError", "assemble", "outside_of_code"]

PAGES: Final = PurePosixPath("docs/pages")
INCLUDED: Final = {
    PurePosixPath("README.md"): PurePosixPath("index.md"),
    PurePosixPath("CHANGELOG.md"): PurePosixPath("changelog.md"),
    PurePosixPath("CONTRIBUTING.md"): PurePosixPath("contributing.md"),
    PurePosixPath("SECURITY.md"): PurePosixPath("security.md"),
    PurePosixPath("benchmarks/README.md"): PurePosixPath("benchmarks.md"),
}
"""The places of documents that are not in the folder of the pages. Links to the README lead to the first page."""

ALWAYS: Final = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")
"""Documents that are pages of the site whether or not a page links to them."""

PICTURES: Final = frozenset({".svg", ".png", ".webp"})
LANGUAGES: Final = {".py": "python", ".toml": "toml", ".json": "json", ".sh": "bash"}

_FENCE: Final = re.compile(
    r"^(?P<indent> *)(?P<fence>```+|~~~+).*?^(?P=indent)(?P=fence) *$", re.MULTILINE | re.DOTALL
)
_CODE: Final = re.compile(r"(?<!`)(`+)(?!`)[^`].*?(?<!`)\1(?!`)", re.DOTALL)
_LINK: Final = re.compile(r"(?P<before>\]\(|\b(?:src|href)=\")(?P<target>[^\s()\"]+)(?P<after>[)\"])")
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|//|#")


class BrokenLinksError(Exception):
    """Pages link to files that do not exist."""


def assemble(root: Path, target: Path) -> None:
    """Write the pages of the site, and all that they link to, to `target`.

    Args:
        root: The folder of the repository.
        target: The folder of the pages to make, which must not exist.

    Raises:
        BrokenLinksError: A page links to a file that does not exist, or to one outside of the repository.
    """
    sources = deque(
        PurePosixPath(path.relative_to(root).as_posix())
        for path in sorted((root / PAGES).rglob("*"))
        if path.is_file()
    )
    sources.extend(map(PurePosixPath, ALWAYS))
    seen = set(sources)
    broken: list[str] = []
    while sources:
        source = sources.popleft()
        for link in _copy(root, source, target):
            if ".." in link.parts or not (root / link).exists():
                broken.append(f"{source} links to {link}, which is not in the repository")
            elif link not in seen and link != PurePosixPath("README.md"):
                seen.add(link)
                sources.append(link)
    if broken:
        raise BrokenLinksError("\n".join(broken))


def outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """Change the parts of a Markdown text that are neither in a code block nor in a span of code."""
    return _between(_FENCE, text, lambda prose: _between(_CODE, prose, change))


def _between(pattern: re.Pattern[str], text: str, change: Callable[[str], str]) -> str:
    def parts() -> Iterator[str]:
        end = 0
        for match in pattern.finditer(text):
            yield change(text[end : match.start()])
            yield match[0]
            end = match.end()
        yield change(text[end:])

    return "".join(parts())


def _copy(root: Path, source: PurePosixPath, target: Path) -> list[PurePosixPath]:
    """Write the page of a file, and return the files of the repository to which it links."""
    place = target / _place_of(source, root)
    place.parent.mkdir(parents=True, exist_ok=True)
    if (root / source).is_dir():
        text, links = _with_links_of_the_site(_list_of_files(root, source), source / "index", root)
        place.write_text(text, "utf-8")
        return links
    if source.suffix == ".md":
        text, links = _with_links_of_the_site((root / source).read_text("utf-8"), source, root)
        place.write_text(text, "utf-8")
        return links
    if source.suffix in PICTURES or source.is_relative_to(PAGES):
        shutil.copyfile(root / source, place)
    else:
        text = (root / source).read_text("utf-8")
        fence = "`" * (3 + max(map(len, re.findall(r"`+", text)), default=0))
        language = LANGUAGES.get(source.suffix, "text")
        place.write_text(f"# {source.name}\n\n`{source}`\n\n{fence}{language}\n{text}\n{fence}\n", "utf-8")
    return []


def _list_of_files(root: Path, folder: PurePosixPath) -> str:
    names = sorted(path.name for path in (root / folder).iterdir() if path.is_file())
    return f"# {folder.name}\n\n`{folder}/`\n\n" + "".join(f"- [{name}]({name})\n" for name in names)


def _place_of(source: PurePosixPath, root: Path) -> PurePosixPath:
    """Where a file or folder of the repository is among the pages."""
    if source in INCLUDED:
        return INCLUDED[source]
    if source.is_relative_to(PAGES):
        return source.relative_to(PAGES)
    place = "repository" / source
    if (root / source).is_dir():
        return place / "index.md"
    return place if source.suffix in {".md", *PICTURES} else place.with_name(f"{place.name}.md")


def _with_links_of_the_site(text: str, source: PurePosixPath, root: Path) -> tuple[str, list[PurePosixPath]]:
    folder = _place_of(source, root).parent
    links: list[PurePosixPath] = []

    def change_link(match: re.Match[str]) -> str:
        if _ELSEWHERE.match(match["target"]):
            return match[0]
        path, hash_sign, anchor = match["target"].partition("#")
        linked = PurePosixPath(os.path.normpath(source.parent / path))
        links.append(linked)
        relative = PurePosixPath(os.path.relpath(_place_of(linked, root), folder))
        return f"{match['before']}{relative}{hash_sign}{anchor}{match['after']}"

    return outside_of_code(text, lambda prose: _LINK.sub(change_link, prose)), links

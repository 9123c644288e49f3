"""Check a built site: every link leads to something that exists, and nothing is loaded from another host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

__all__ = ["HtmlPage", "problems_of_site", "read_page"]

_HOST: Final = "http://site/"
"""Stands for the host of the site, whatever that is."""

_LOADED: Final = frozenset({"src", "srcset", "poster", "data", "background", "action", "formaction"})
"""The attributes from which a browser loads something or to which it sends something, whatever the element."""

_FOLLOWED: Final = frozenset({"a", "area"})
"""The elements with an `href` that a reader clicks. Every other `href` is loaded."""

_STYLE_URL: Final = re.compile(r"""@import\s+["']([^"']+)|url\(\s*["']?([^"')]+)""")
_SCRIPT_ADDRESS: Final = re.compile(r"""["'`]((?:https?:)?//[\w-]+(?:\.[\w-]+)+(?:/[\w@./-]*)?)""")

_NEVER_LOADED: Final = {
    "https://unpkg.com/resize-observer-polyfill": "browsers without ResizeObserver, which are older than 2020",
    "https://unpkg.com/mermaid@": "pages with a diagram in Mermaid",
    "https://unpkg.com/glightbox@": "pages with pictures that open in a box",
    "https://unpkg.com/ace-builds@": "pages with an editor",
    "https://unpkg.com/pyodide@": "pages with an editor",
    "https://cdn.jsdelivr.net/pyodide/": "pages with an editor",
    "https://api.github.com/": "sites with a link to their repository",
}
"""Addresses in the scripts of the theme, and for what it loads them. The site has none of it: see `_ON_DEMAND`."""

_ON_DEMAND: Final = re.compile(
    r"""class="[^"]*\b(?:mermaid|glightbox|pyodide)\b|data-md-component="source\""""
)


@dataclass
class HtmlPage:
    """What a page has and needs.

    Attributes:
        anchors: The ids in it.
        links: The targets of links that a reader may click.
        loaded: The addresses of what a browser loads with it.
    """

    anchors: set[str] = field(default_factory=set[str])
    links: list[str] = field(default_factory=list[str])
    loaded: list[str] = field(default_factory=list[str])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = HtmlPage()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        given = {name: value or "" for name, value in attrs}
        self.page.anchors |= {given[name] for name in ("id", "name") if name in given}
        for name, value in given.items():
            if name in {"href", "xlink:href"}:
                external = tag == "link" and given.get("rel") in {"canonical", "prev", "next", "alternate"}
                (self.page.links if tag in _FOLLOWED or external else self.page.loaded).append(value)
            elif name == "srcset":
                self.page.loaded += [
                    candidate.split()[0] for candidate in value.split(",") if candidate.strip()
                ]
            elif name in _LOADED:
                self.page.loaded.append(value)
            elif name == "style":
                self.page.loaded += _urls_of_style(value)

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.page.loaded += _urls_of_style(data)


def read_page(html: str) -> HtmlPage:
    """Find the anchors, links and loaded addresses of a page."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page


def problems_of_site(folder: Path) -> list[str]:
    """Describe every link of a site that leads nowhere, and everything that it would load from another host."""
    pages = {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*.html"))
    }
    read = {name: read_page(html) for name, html in pages.items()}
    found = [problem for name in read for problem in _problems_of_page(folder, name, read)]
    found += [
        f"{name} has what the theme loads from another host"
        for name in pages
        if _ON_DEMAND.search(pages[name])
    ]
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".css":
            addresses = _urls_of_style(path.read_text("utf-8"))
            found += _problems_of_loaded(folder, name, addresses)
        elif path.suffix == ".svg":
            found += _problems_of_loaded(folder, name, read_page(path.read_text("utf-8")).loaded)
        elif path.suffix == ".js":
            found += _problems_of_script(name, path.read_text("utf-8"))
    return found


def _problems_of_page(folder: Path, name: str, pages: Mapping[str, HtmlPage]) -> Iterator[str]:
    page = pages[name]
    yield from _problems_of_loaded(folder, name, page.loaded)
    if name == "404.html":  # its links are relative to the root of the host, wherever that is
        return
    for link in page.links:
        target = urlsplit(urljoin(_HOST + name, link))
        if target.netloc != "site":
            continue
        path = unquote(target.path).lstrip("/")
        if not (folder / path).is_file():
            path = f"{path.rstrip('/')}/index.html".lstrip("/")
        if path not in pages and not (folder / path).is_file():
            yield f"{name} links to {link}, which does not exist"
        elif target.fragment and path in pages and not _has_anchor(pages[path], unquote(target.fragment)):
            yield f"{name} links to {link}, which has no such anchor"


def _has_anchor(page: HtmlPage, fragment: str) -> bool:
    return fragment in page.anchors or fragment.startswith(":~:")


def _problems_of_loaded(folder: Path, name: str, addresses: list[str]) -> Iterator[str]:
    for address in addresses:
        if address.startswith(("data:", "#", "javascript:")) or not address:
            continue
        target = urlsplit(urljoin(_HOST + name, address))
        if target.netloc != "site":
            yield f"{name} loads {address} from another host"
        elif not (folder / unquote(target.path).lstrip("/")).exists():
            yield f"{name} loads {address}, which does not exist"


def _urls_of_style(text: str) -> list[str]:
    return [match[1] or match[2] for match in _STYLE_URL.finditer(text)]


def _problems_of_script(name: str, text: str) -> Iterator[str]:
    for address in _SCRIPT_ADDRESS.findall(text):
        if not address.startswith(("http://www.w3.org/", *_NEVER_LOADED)):
            yield f"{name} has the address {address}: does it load something from another host?"

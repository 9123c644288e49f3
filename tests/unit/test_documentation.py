"""The program that builds the documentation, without the site generator."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from docs.assemble import BrokenLinksError, assemble, outside_of_code
from docs.links import problems_of_site, read_page
from docs.polish import link_names, places_of_names, polish
from docs.reference import public_names, undocumented
from tests.support.documentation import PAGES, ROOT


def documented() -> Iterator[str]:
    """The names that the reference has, according to its pages."""
    for path, text in PAGES.items():
        if not path.startswith("docs/pages/reference/"):
            continue
        yield from re.findall(r"^#+ .*\{#(voucherify_async\.\S+)\}$", text, re.MULTILINE)
        for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE):
            yield name
            if isinstance(module := resolve(name), ModuleType):
                yield from (f"{name}.{member}" for member in module.__all__)


def resolve(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


def test_every_public_name_has_an_entry_in_the_reference() -> None:
    assert undocumented(public_names(), set(documented())) == []


def test_every_entry_is_there_once() -> None:
    text = "".join(text for path, text in PAGES.items() if path.startswith("docs/pages/reference/"))
    entries = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    assert sorted(entries) == sorted(set(entries))


def test_a_name_without_an_entry_is_found() -> None:
    names = {"package.One": int, "package.Other": str, "package.models.Other": str}
    assert undocumented(names, {"package.One", "package.models.Other"}) == []
    assert undocumented(names, {"package.One"}) == ["package.Other", "package.models.Other"]
    assert undocumented(names, {"builtins.str"}) == ["package.One"]


def test_readme_takes_three_minutes() -> None:
    assert len((ROOT / "README.md").read_bytes()) < 8000


def test_readme_links_to_every_guide() -> None:
    guides = {path for path in PAGES if re.fullmatch(r"docs/pages/[\w-]+\.md", path)}
    assert guides <= set(re.findall(r"\]\(([^)#]+)", PAGES["README.md"]))


def test_every_page_is_in_the_navigation() -> None:
    settings = tomllib.loads((ROOT / "docs/zensical.toml").read_text())
    shown = set(pages_in(settings["project"]["nav"]))
    assert {path.removeprefix("docs/pages/") for path in PAGES if path.startswith("docs/pages/")} <= shown


def pages_in(navigation: Any) -> Iterator[str]:
    match navigation:
        case str():
            yield navigation
        case [*parts]:
            for part in parts:
                yield from pages_in(part)
        case dict():
            yield from pages_in(list(navigation.values()))
        case _:
            pytest.fail(f"{navigation!r} is in the navigation")


# ---------------------------------------------------------------- pages


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    files = {
        "README.md": "# Readme",
        "CHANGELOG.md": "[page](docs/pages/page.md#here)",
        "CONTRIBUTING.md": "",
        "SECURITY.md": "",
        "benchmarks/README.md": "![chart](charts/one.svg)",
        "benchmarks/charts/one.svg": "<svg/>",
        "examples/program.py": 'print("```")\n',
        "examples/app/README.md": "[readme](../../README.md) [app](.)",
        "examples/app/main.py": "",
        "docs/pages/page.md": "[a](other.md) [b](../../CHANGELOG.md) [c](../../examples/program.py) [d](https://a.b/c)\n"
        '<img src="pictures/call.svg"> [e](#here) [f](../../examples/app/README.md) `[g](nowhere.md)`\n'
        "```\n[h](nowhere.md)\n```\n",
        "docs/pages/other.md": "",
        "docs/pages/pictures/call.svg": "<svg/>",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_pages_are_collected_with_all_that_they_link_to(repository: Path, tmp_path: Path) -> None:
    assemble(repository, tmp_path / "pages")
    made = {path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.*")}
    assert made == {
        "page.md", "other.md", "pictures/call.svg", "changelog.md", "contributing.md", "security.md", "benchmarks.md",
        "repository/benchmarks/charts/one.svg", "repository/examples/program.py.md", "repository/examples/app/README.md",
        "repository/examples/app/index.md", "repository/examples/app/main.py.md",
    }  # fmt: skip


def test_links_lead_to_the_places_in_the_site(repository: Path, tmp_path: Path) -> None:
    assemble(repository, tmp_path)
    assert (tmp_path / "page.md").read_text() == (
        "[a](other.md) [b](changelog.md) [c](repository/examples/program.py.md) [d](https://a.b/c)\n"
        '<img src="pictures/call.svg"> [e](#here) [f](repository/examples/app/README.md) `[g](nowhere.md)`\n'
        "```\n[h](nowhere.md)\n```\n"
    )
    assert (tmp_path / "changelog.md").read_text() == "[page](page.md#here)"
    assert (tmp_path / "benchmarks.md").read_text() == "![chart](repository/benchmarks/charts/one.svg)"
    folder = tmp_path / "repository/examples"
    assert (folder / "app/README.md").read_text() == "[readme](../../../index.md) [app](index.md)"
    assert "- [main.py](main.py.md)\n" in (folder / "app/index.md").read_text()
    assert '````python\nprint("```")\n' in (folder / "program.py.md").read_text()


@pytest.mark.parametrize("link", ["nowhere.md", "../../nowhere.py", "../../../outside.md"])
def test_a_link_to_nowhere_is_an_error(repository: Path, tmp_path: Path, link: str) -> None:
    (repository.parent / "outside.md").write_text("")
    (repository / "docs/pages/other.md").write_text(f"[x]({link})")
    with pytest.raises(
        BrokenLinksError, match=r"^docs/pages/other.md links to .+, which is not in the repository$"
    ):
        assemble(repository, tmp_path / "pages")


def test_code_is_not_changed() -> None:
    text = "a `a` ``a`a`` a\n```python\na\n```\na\n  ~~~\n  a\n  ~~~\n"
    assert outside_of_code(text, str.upper) == ("A `a` ``a`a`` A\n```python\na\n```\nA\n  ~~~\n  a\n  ~~~\n")


# ---------------------------------------------------------------- the site


def site(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_good_site_has_no_problems(tmp_path: Path) -> None:
    folder = site(
        tmp_path,
        index_html='<link rel="canonical" href="https://a.b/"><link rel="stylesheet" href="a.css"><h1 id="top">'
        '<a href="sub/#b">1</a><a href="sub/index.html">2</a><a href="#top">3</a><a href="https://a.b/c">4</a>'
        '<script src="a.js"></script><img src="data:image/png;base64,AA" style="background: url(a.svg)">',
        sub__index_html='<i id="b"></i><a href="../index.html#top">1</a><a href="mailto:a@b.c">2</a>',
        a_css='a { background: url("a.svg") } b { mask: url(data:image/svg+xml;x) }',
        a_js='const ns = "http://www.w3.org/2000/svg"; load("https://unpkg.com/mermaid@12/dist/mermaid.min.js")',
        a_svg='<svg xmlns="http://www.w3.org/2000/svg"><use href="#a"/></svg>',
    )
    assert problems_of_site(folder) == []


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="nowhere.html">', "links to nowhere.html, which does not exist"),
        ('<a href="a.html#nothing">', "links to a.html#nothing, which has no such anchor"),
        ('<a href="../../a.html">', None),
        ('<img src="nothing.png">', "loads nothing.png, which does not exist"),
        (
            '<script src="https://cdn.example/x.js"></script>',
            "loads https://cdn.example/x.js from another host",
        ),
        ('<link rel="stylesheet" href="//fonts.example/css">', "loads //fonts.example/css from another host"),
        (
            '<link rel="preconnect" href="https://fonts.example">',
            "loads https://fonts.example from another host",
        ),
        ('<img srcset="a.html 1x, https://a.b/c.png 2x">', "loads https://a.b/c.png from another host"),
        ('<p style="background: url(https://a.b/c.png)">', "loads https://a.b/c.png from another host"),
        ('<style>@import "https://a.b/c.css";</style>', "loads https://a.b/c.css from another host"),
        ('<iframe src="https://a.b/"></iframe>', "loads https://a.b/ from another host"),
        ('<pre class="mermaid"><code>', "has what the theme loads from another host"),
    ],
)
def test_problems_of_a_page(tmp_path: Path, html: str, problem: str | None) -> None:
    expected = [] if problem is None else [f"a.html {problem}"]
    assert problems_of_site(site(tmp_path, a_html=html)) == expected


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a_css": "@import 'https://a.b/c.css';"}, "a.css loads https://a.b/c.css from another host"),
        ({"a_css": "@font-face { src: url(//a.b/c.woff2) }"}, "a.css loads //a.b/c.woff2 from another host"),
        ({"a_css": "a { background: url(b.png) }"}, "a.css loads b.png, which does not exist"),
        (
            {"a_svg": '<svg><image href="https://a.b/c.png"/></svg>'},
            "a.svg loads https://a.b/c.png from another host",
        ),
        (
            {"a_js": 'import("https://a.b/c.js")'},
            "a.js has the address https://a.b/c.js: does it load something from another host?",
        ),
    ],
)
def test_problems_of_other_files(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    assert problems_of_site(site(tmp_path, **files)) == [problem]


def test_what_a_page_has() -> None:
    page = read_page('<h1 id="a">x</h1><a name="b" href="c?d=1&amp;e=2">y</a><form action="/f">')
    assert (page.anchors, page.links, page.loaded) == ({"a", "b"}, ["c?d=1&e=2"], ["/f"])


def test_cells_get_the_headings_of_their_columns() -> None:
    table = (
        "<table>\n<thead>\n<tr>\n<th></th>\n<th>is <code>a&amp;b</code></th>\n</tr>\n</thead>\n"
        '<tbody>\n<tr>\n<td>1</td>\n<td style="x">2</td>\n</tr>\n<tr>\n<td>3</td>\n</tr>\n</tbody>\n</table>'
    )
    cells = re.findall(r"<td.*", polish(table))
    assert cells == ["<td>1</td>", '<td data-label="is a&amp;b" style="x">2</td>', "<td>3</td>"]


def test_colons_before_examples_are_removed() -> None:
    example = '<div class="language-python highlight">x</div>'
    assert polish(f"<p>::</p>\n{example}") == example
    assert polish(f"<p>For example::</p>\n{example}") == f"<p>For example:</p>\n{example}"
    assert polish("<p>a::b::</p>\n<p>") == "<p>a::b::</p>\n<p>"


def test_names_in_the_text_are_linked_to_the_reference() -> None:
    places = places_of_names({
        "reference/a.html": ["p.Page", "p.Page.to_dict", "p.models.Segment", "p.resources.CustomersResource.get", "top"],
        "reference/b.html": ["p.sandbox.Segment"],
    })  # fmt: skip
    assert places == {
        "Page": "reference/a.html#p.Page",
        "customers.get": "reference/a.html#p.resources.CustomersResource.get",
    }
    page = '<a href="reference/a.html#p.Page"><code>Page</code></a>'
    assert link_names("<p><code>Page</code>", "lists.html", places) == f"<p>{page}"
    assert link_names("<code>Page</code>", "reference/a.html", places).startswith('<a href="#p.Page">')
    assert link_names("<code>Page</code>", "c/d.html", places).startswith(
        '<a href="../reference/a.html#p.Page">'
    )
    method = link_names("<code>customers.get(customer_id)</code>", "a.html", places)
    assert method == (
        '<a href="reference/a.html#p.resources.CustomersResource.get"><code>customers.get(customer_id)</code></a>'
    )
    for text in ("<h2><code>Page</code></h2>", page, "<pre><code>Page</code></pre>", "<code>Segment</code>"):
        assert link_names(text, "lists.html", places) == text

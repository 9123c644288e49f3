"""The documentation in a browser: Chromium, if it, Playwright and Zensical are installed."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.support.browser import chromium
from tests.support.documentation import ROOT
from tests.support.interop import missing

if TYPE_CHECKING:  # whoever runs other tests need not have it
    from playwright.async_api import Browser, ConsoleMessage, Error, Page, Request

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="module")]


WIDER_THAN_THE_SCREEN = "() => document.documentElement.scrollWidth > window.innerWidth"
CLIPPED = """() => [...document.querySelectorAll("article table, article pre, article img, article svg")].filter(node => {
  for (let box = node; box && box.tagName !== "ARTICLE"; box = box.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return false;
  return node.checkVisibility() && node.getBoundingClientRect().right > window.innerWidth + 1;
}).map(node => node.outerHTML.slice(0, 80))"""
LOW_CONTRAST = """() => {
  const parse = color => color.match(/[\\d.]+/g).map(Number);
  const luminance = rgb => rgb
    .map(part => part / 255)
    .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const over = (color, below) => {
    const [alpha, parts] = [color[3] ?? 1, color.slice(0, 3)];
    return parts.map((part, place) => part * alpha + below[place] * (1 - alpha));
  };
  const behind = node => {
    if (!node) return [255, 255, 255];
    const color = parse(getComputedStyle(node).backgroundColor);
    return color[3] === 0 ? behind(node.parentElement) : over(color, behind(node.parentElement));
  };
  const texts = [...document.querySelectorAll("article *")].filter(node => node.checkVisibility()
    && !node.closest("svg, button, .headerlink")
    && [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()));
  if (texts.length < 5) return ["too little to judge"];
  return texts.flatMap(node => {
    const below = behind(node);
    const [dark, light] = [over(parse(getComputedStyle(node).color), below), below]
      .map(luminance).sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    return ratio < 4.5 ? [`${node.className}: ${node.textContent.slice(0, 40)}: ${ratio.toFixed(2)}`] : [];
  });
}"""


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name in the base class
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, which is built with all checks."""
    if importlib.util.find_spec("zensical") is None or importlib.util.find_spec("mkdocstrings") is None:
        missing("zensical and mkdocstrings are not installed")
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "docs", "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def base_url(site: Path) -> Iterator[str]:
    handler = functools.partial(Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, base_url: str) -> AsyncIterator[Page]:
    """A page that in the end must have met no problem, and have asked no other host."""
    problems: list[str] = []

    def hear(said: ConsoleMessage) -> None:
        problems.append(said.text)

    def fail(error: Error) -> None:
        problems.append(str(error))

    def note(request: Request) -> None:
        if not request.url.startswith((base_url, "data:", "blob:")):
            problems.append(f"a request to {request.url}")

    context = await browser.new_context(reduced_motion="reduce")
    tab = await context.new_page()
    listeners: Any = {"console": hear, "pageerror": fail, "request": note}
    for event, listener in listeners.items():
        tab.on(event, listener)
    yield tab
    await context.close()
    assert not problems


def names_of(site: Path) -> list[str]:
    names = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html"))]
    assert len(names) > 40
    return names


@pytest.mark.timeout(300)
async def test_pages_ask_no_other_host(page: Page, site: Path, base_url: str) -> None:
    for name in names_of(site):
        await page.goto(base_url + name, wait_until="load")


@pytest.mark.timeout(300)
async def test_pages_fit_on_a_phone(page: Page, site: Path, base_url: str) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    for name in names_of(site):
        await page.goto(base_url + name, wait_until="load")
        assert not await page.evaluate(WIDER_THAN_THE_SCREEN), name
        assert await page.evaluate(CLIPPED) == [], name


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_texts_have_contrast(page: Page, base_url: str, scheme: Any) -> None:
    await page.emulate_media(color_scheme=scheme)
    for name in ("index", "start", "customers", "errors", "sandbox", "benchmarks", "reference/client"):
        await page.goto(f"{base_url}{name}.html", wait_until="load")
        assert await page.evaluate(LOW_CONTRAST) == [], name


async def test_search_finds_a_name_of_the_reference(page: Page, base_url: str) -> None:
    await page.goto(base_url)
    await page.get_by_role("button", name="Search").click()
    await page.locator("input:visible").fill("OutcomeUnknownError")
    found = page.locator("a[href*='reference/errors.html?']", has_text="OutcomeUnknownError")
    await found.first.wait_for()

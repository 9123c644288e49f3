"""The pictures of the documentation are those that the code draws, and everybody can read them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.pictures import DARK, LIGHT, contrast, svg_tag, texts

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pages" / "pictures"
DRAWN = ["call", "stream-windows", "sync", "walk-over-a-tie"]
ALL = [*DRAWN, "terminal"]
ELEMENTS = {
    "circle", "clipPath", "defs", "desc", "g", "polygon", "polyline", "rect", "style", "svg", "text", "title",
}  # fmt: skip
LOW_CONTRAST = 4.5  # the least that WCAG 2 allows for text, level AA


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def picture(name: str) -> ET.Element:
    return ET.fromstring((PICTURES / f"{name}.svg").read_text())


def test_the_committed_pictures_are_what_is_drawn(tmp_path: Path) -> None:
    """`python -m docs.pictures` draws them anew."""
    done = run("docs.pictures", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.stem for path in tmp_path.iterdir()) == DRAWN
    assert sorted(path.stem for path in PICTURES.iterdir()) == sorted(ALL)
    for name in DRAWN:
        assert (tmp_path / f"{name}.svg").read_bytes() == (PICTURES / f"{name}.svg").read_bytes(), name


@pytest.mark.parametrize("name", ALL)
def test_screen_readers_can_read_them(name: str) -> None:
    root = picture(name)
    assert (root.tag, root.get("role")) == (svg_tag("svg"), "img")
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == (svg_tag("title"), svg_tag("desc"))
    assert title.text
    assert len(description.text or "") > 100
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


@pytest.mark.parametrize("name", ALL)
def test_they_need_nothing_from_elsewhere(name: str) -> None:
    for element in picture(name).iter():
        assert element.tag in {svg_tag(known) for known in ELEMENTS}
        for attribute, value in element.attrib.items():
            assert not attribute.endswith(("href", "src", "style")), attribute
            assert "url(" not in value or re.fullmatch(r"url\(#[\w-]+\)", value)
            assert "://" not in value
        if element.tag == svg_tag("style"):
            assert not re.search(r"url\(|@import|@font-face|://", element.text or "")
    assert (PICTURES / f"{name}.svg").stat().st_size < 30_000


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize("name", ALL)
def test_their_text_has_enough_contrast(name: str, scheme: str) -> None:
    found = texts(picture(name), scheme)
    assert len(found) > 10
    for text in found:
        assert contrast(text.color, text.ground) >= LOW_CONTRAST, text


@pytest.mark.parametrize("name", DRAWN)
def test_their_text_is_large_enough_for_a_phone(name: str) -> None:
    root = picture(name)
    width = float(root.get("viewBox", "").split()[2])
    for text in texts(root, LIGHT):
        assert text.size is not None
        assert text.size * 390 / width >= 11.5, text


def test_both_colour_schemes_differ() -> None:
    light, dark = (texts(picture("call"), scheme) for scheme in (LIGHT, DARK))
    assert contrast(light[0].ground, "#ffffff") < 1.1
    assert contrast(dark[0].ground, "#0d1117") < 1.2


PROGRAM = r"""
import sys
print("half\rwhole <a> & {b}")
print("\x1b[31mred\x1b[0m", flush=True)
print("to stderr", file=sys.stderr)
print("x" * 150)
"""


def test_a_terminal_is_drawn(tmp_path: Path) -> None:
    target = tmp_path / "terminal.svg"
    done = run("docs.pictures.terminal", "--as", "make it", target, "python", "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    root = ET.fromstring(target.read_text())
    shown = [text.content.replace("\N{NO-BREAK SPACE}", " ").rstrip() for text in texts(root, LIGHT)]
    lines = [text for text in shown if text]
    assert lines == ["$", "make it", "whole <a> & {b}", "red", "to stderr", "x" * 100, "x" * 50]
    assert {text.color for text in texts(root, LIGHT) if text.content == "red"} == {"#ff9a91"}
    assert "whole <a> & {b}" in (root[1].text or "")


def test_no_terminal_is_drawn_for_a_command_that_fails(tmp_path: Path) -> None:
    target = tmp_path / "terminal.svg"
    done = run("docs.pictures.terminal", target, "python", "-c", "raise SystemExit('no service')")
    assert done.returncode == 1
    assert "no service" in done.stderr
    assert not target.exists()
    assert run("docs.pictures.terminal", target).returncode == 2

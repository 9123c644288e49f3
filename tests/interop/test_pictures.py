"""The pictures of the documentation in Chromium: no text is cut off or covers other text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.test_pictures import ALL, PICTURES
from tests.support.browser import chromium

pytestmark = pytest.mark.interop

PROBLEMS = """() => {
  const svg = document.documentElement, problems = [];
  const paper = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].filter(text => text.textContent.trim());
  const boxes = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
  for (const [content, box] of boxes)
    if (box.left < paper.left || box.right > paper.right || box.top < paper.top || box.bottom > paper.bottom)
      problems.push(`outside: ${content}`);
  for (const [at, [one, a]] of boxes.entries())
    for (const [other, b] of boxes.slice(at + 1))
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
          && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 5)
        problems.push(`${one} / ${other}`);
  return [texts.length, problems];
}"""


async def test_their_text_is_in_its_place() -> None:
    found: dict[str, Any] = {}
    async with chromium() as browser:
        page = await browser.new_page()
        for name in ALL:
            await page.goto((PICTURES / f"{name}.svg").as_uri())
            found[name] = await page.evaluate(PROBLEMS)
    for name, (texts, problems) in found.items():
        assert texts > 10
        assert problems == [], name

"""Chromium, for the tests that look at pages and pictures."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.support.interop import missing

if TYPE_CHECKING:
    from playwright.async_api import Browser

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


@asynccontextmanager
async def chromium(arguments: Sequence[str] = ARGUMENTS) -> AsyncGenerator[Browser]:
    """The browser that is installed; without one, or without playwright, the test is skipped or fails."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        missing("playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("no Chromium is installed")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=program, args=arguments)
        yield launched
        await launched.close()

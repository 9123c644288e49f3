"""The windows of a stream of 2,400 customers, as they are read from the sandbox."""

from __future__ import annotations

import asyncio
import datetime as dt
from itertools import pairwise
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from docs.pictures.canvas import WIDTH, Canvas
from voucherify_async import RateLimit
from voucherify_async.sandbox import Sandbox

__all__ = ["draw"]

_CUSTOMERS: Final = 2_400
_READERS: Final = 4
_LEFT: Final = 20
_LANE: Final = 44


class _InTurn:
    """A rate limiter that lets one call at a time pass, so that every run makes the same requests.

    Attributes:
        callers: The task that made each call.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.callers: list[asyncio.Task[object] | None] = []

    async def acquire(self, _kind: str, _max_wait: float, /) -> None:
        """Wait for the call before."""
        await self._lock.acquire()
        self.callers.append(asyncio.current_task())

    def release(self, _kind: str, _rate_limit: RateLimit | None, _wait: float | None, /) -> None:
        """Let the next call pass."""
        self._lock.release()


class _PageRead(NamedTuple):
    """A response with customers of a window.

    Attributes:
        reader: The number of the reader, from 0.
        turn: How many pages the reader read before.
        begin: When the oldest customer of the page was created.
        end: When the newest customer of the page was created.
    """

    reader: int
    turn: int
    begin: dt.datetime
    end: dt.datetime


async def _run() -> list[_PageRead]:
    limiter = _InTurn()
    async with (
        Sandbox(customers=_CUSTOMERS, seed=7) as sandbox,
        sandbox.client(rate_limiter=limiter) as voucherify,
        voucherify.customers.stream(concurrency=_READERS) as customers,
    ):
        found = [customer.id async for customer in customers]
        exchanges = list(sandbox.requests)
    assert len(set(found)) == len(found) == _CUSTOMERS
    readers: list[asyncio.Task[object] | None] = []
    pages: list[_PageRead] = []
    for caller, exchange in zip(limiter.callers, exchanges, strict=True):
        if parse_qs(urlsplit(exchange.target).query)["order"] == ["created_at"]:
            continue  # looks up the oldest customer
        if caller not in readers:
            readers.append(caller)
        reader = readers.index(caller)
        instants = [
            dt.datetime.fromisoformat(item["created_at"]) for item in exchange.response_json()["customers"]
        ]
        turn = sum(page.reader == reader for page in pages)
        pages.append(_PageRead(reader, turn, min(instants), max(instants)))
    assert len(readers) == _READERS
    return pages


async def draw() -> str:
    """The picture."""
    pages = await _run()
    begin, end = min(page.begin for page in pages), max(page.end for page in pages)

    def x(instant: dt.datetime) -> float:
        return _LEFT + (WIDTH - 2 * _LEFT) * ((instant - begin) / (end - begin))

    canvas = Canvas(
        "stream",
        434,
        title="The windows of a stream",
        description=(
            f"{_CUSTOMERS:,} customers on an axis of their creation time. {_READERS} readers each read another window "
            "of that time, page by page, newest first. The windows do not overlap. One iterator yields "
            "the customers of all of them."
        ),
    )
    canvas.text(20, 58, f"{_CUSTOMERS:,} customers, by created_at", "muted")
    canvas.text(WIDTH - 20, 58, f"stream(concurrency={_READERS})", anchor="end", mono=True, size=13)
    years = [dt.datetime(year, month, 1, tzinfo=dt.UTC) for year in (2024, 2025) for month in (1, 7)]
    lanes_end = 100 + _READERS * _LANE + 6
    for instant in years:
        place = max(_LEFT, x(instant))
        canvas.line((place, 88), (place, lanes_end), tone="grid")
        canvas.text(place + (0 if instant is years[0] else -16), 80, f"{instant:%Y-%m}", "muted", size=13)
    windows = [[page for page in pages if page.reader == reader] for reader in range(_READERS)]
    windows.sort(key=lambda own: own[0].end, reverse=True)
    for newer, older in pairwise(windows):
        assert max(page.end for page in older) < min(page.begin for page in newer)
    for lane, own in enumerate(windows):
        top = 100 + lane * _LANE
        for page in own:
            left, right = x(page.begin), x(page.end)
            canvas.box(left, top, max(1.5, right - left), 34, "green", radius=3)
            if right - left > 11:
                canvas.text(
                    (left + right) / 2, top + 22, str(page.turn + 1), "good", anchor="middle", size=13
                )
        label, low, high = f"window {lane + 1}", x(own[-1].begin), x(own[0].end)
        if low > WIDTH / 2:
            canvas.text(low - 8, top + 22, label, anchor="end")
        else:
            canvas.text(high + 8, top + 22, label)
    y = lanes_end + 22
    canvas.text(20, y, "Each window has its own reader: newest page first.")
    canvas.text(20, y + 20, f"{_READERS} requests at once; at most {2 * _READERS} pages are fetched ahead.")
    for place in (65, 168, 272, 375):
        canvas.arrow((place, y + 30), (place, y + 52))
    canvas.box(20, y + 54, WIDTH - 40, 36, "blue")
    canvas.text(WIDTH / 2, y + 77, "async for customer in customers", anchor="middle", mono=True)
    canvas.text(20, y + 112, "Every customer once, in no fixed order.", bold=True)
    return canvas.svg

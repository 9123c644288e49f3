"""A walk over customers of which many have the same `created_at`, as it happens against the sandbox."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

from docs.pictures.canvas import WIDTH, Canvas
from voucherify_async import VoucherifyClient
from voucherify_async.models import Customer
from voucherify_async.pagination.rules.base import item_digest
from voucherify_async.sandbox import Exchange, Sandbox

__all__ = ["draw"]

_NOON: Final = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_TIE: Final = _NOON + dt.timedelta(milliseconds=200)


@dataclass
class _Walk:
    """What happened.

    Attributes:
        created: When each customer was created, by `source_id`.
        responses: The customers in each response to a request for a page.
        starts: The `starting_after` of each of these requests.
        pages: The customers of each page.
        remembered: The customers of which the cursor after each page contains a digest.
        deleted: The customer that was deleted after the first page.
        added: The customers that were created after the first page.
    """

    created: dict[str, dt.datetime] = field(default_factory=dict[str, dt.datetime])
    responses: list[list[str]] = field(default_factory=list[list[str]])
    starts: list[dt.datetime] = field(default_factory=list[dt.datetime])
    pages: list[list[str]] = field(default_factory=list[list[str]])
    remembered: list[list[str]] = field(default_factory=list[list[str]])
    deleted: str = ""
    added: list[str] = field(default_factory=list[str])


async def _run() -> _Walk:
    walk = _Walk()
    async with Sandbox(seed=7) as sandbox, sandbox.client(rate_limiter=None) as voucherify:

        async def create(count: int, milliseconds: int) -> list[str]:
            instant = _NOON + dt.timedelta(milliseconds=milliseconds)
            sandbox.store.clock = instant.timestamp
            new = [f"crm-{len(walk.created) + number}" for number in range(count)]
            for source_id in new:
                await voucherify.customers.create(source_id=source_id)
                walk.created[source_id] = instant
            return new

        for count, milliseconds in ((2, 100), (6, 200), (2, 300)):
            await create(count, milliseconds)
        seen: dict[str, Customer] = {}
        async for page in voucherify.customers.list(order="created_at", limit=4).pages():
            seen |= {_name(customer): customer for customer in page}
            walk.pages.append([_name(customer) for customer in page])
            walk.remembered.append(_in_cursor(page.next_cursor, seen))
            if len(walk.pages) == 1:
                walk.deleted = next(name for name in walk.pages[0] if walk.created[name] == _TIE)
                await voucherify.customers.delete(walk.deleted)
                walk.added = await create(1, 200) + await create(1, 400)
        _read_requests(walk, list(sandbox.requests))
        await _check(walk, voucherify)
    return walk


def _name(customer: Customer) -> str:
    return customer.source_id or customer.id


def _in_cursor(cursor: str | None, seen: dict[str, Customer]) -> list[str]:
    content = base64.urlsafe_b64decode(cursor + "==") if cursor else b""
    return [name for name, customer in seen.items() if item_digest(customer) in content]


def _read_requests(walk: _Walk, exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        if exchange.method == "GET":
            query = parse_qs(urlsplit(exchange.target).query)
            walk.starts.append(dt.datetime.fromisoformat(query["starting_after"][0]))
            walk.responses.append([item["source_id"] for item in exchange.response_json()["customers"]])


async def _check(walk: _Walk, voucherify: VoucherifyClient) -> None:
    """Check what the text of the picture says."""
    delivered = [name for page in walk.pages for name in page]
    now = [_name(customer) async for customer in voucherify.customers.list(order="created_at")]
    assert sorted(delivered) == sorted({*now, walk.deleted})
    assert len(walk.responses) == len(walk.pages) == 3
    assert all(start == _TIE - dt.timedelta(milliseconds=1) for start in walk.starts[1:])
    assert set(walk.remembered[0]) == {name for name in walk.pages[0] if walk.created[name] == _TIE}


async def draw() -> str:
    """The picture."""
    walk = await _run()
    columns = list(dict.fromkeys(name for response in walk.responses for name in response))
    letters = {name: chr(ord("A") + number) for number, name in enumerate(columns)}
    pitch = (WIDTH - 40) / len(columns)
    x = {name: 20 + pitch * (number + 0.5) for number, name in enumerate(columns)}

    canvas = Canvas(
        "walk",
        388,
        title="A walk over a tie",
        description=(
            "Twelve customers in the order of created_at; seven of them have the same one. A page ends inside this "
            "tie. Its cursor stores the time and digests of the customers of the tie that are delivered. The next "
            "request starts one millisecond before the tie, and customers that come again are skipped. Meanwhile a "
            "customer is deleted and two are created. Every customer is delivered exactly once."
        ),
    )
    tied = [name for name in columns if walk.created[name] == _TIE]
    left, right = x[tied[0]] - pitch / 2, x[tied[-1]] + pitch / 2
    canvas.text((left + right) / 2, 64, f"{len(tied)} with one created_at", anchor="middle", bold=True)
    canvas.text(left - 6, 64, "earlier", "muted", anchor="end")
    canvas.text(right + 6, 64, "later", "muted")
    exist = [name for name in columns if name not in walk.added]
    y = 92.0
    for number, page in enumerate(walk.pages):
        canvas.box(left, y - 17, right - left, 34, "blue")
        for name in exist:
            if name in page:
                canvas.dot(x[name], y, 13, "solid")
                canvas.text(x[name], y + 5, letters[name], "inverse", anchor="middle", bold=True)
            elif number and name in walk.responses[number] and name in walk.remembered[number - 1]:
                canvas.dot(x[name], y, 12, "ring")
                canvas.text(x[name], y + 5, letters[name], "good", anchor="middle")
            else:
                canvas.dot(x[name], y, 3, "bar")
        y += 38
        if number + 1 < len(walk.pages):
            remembered = " ".join(sorted(letters[name] for name in walk.remembered[number]))
            canvas.text(20, y, "cursor", "muted")
            canvas.text(120, y, f"the time, digests of {remembered}")
            y += 22
        if number == 0:
            added = " and ".join(letters[name] for name in walk.added)
            canvas.text(20, y, "meanwhile", "muted")
            canvas.text(120, y, f"{letters[walk.deleted]} is deleted; {added} are created")
            exist = [name for name in columns if name != walk.deleted]
            y += 22
        if number + 1 < len(walk.pages):
            canvas.text(20, y, "next request", "muted")
            canvas.text(120, y, "starts 1 ms before the tie")
            y += 28
    y += 6
    canvas.dot(33, y - 5, 9, "solid")
    canvas.text(48, y, "delivered")
    canvas.dot(137, y - 5, 9, "ring")
    canvas.text(152, y, "again, skipped")
    canvas.dot(278, y - 5, 3, "bar")
    canvas.text(288, y, "not in this page")
    canvas.text(20, y + 32, "Every customer is delivered exactly once.", bold=True)
    return canvas.svg

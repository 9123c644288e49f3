"""Pages fetched ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from tests.support.loops import until
from tests.support.wire import NO_RETRY, raw_server, respond
from voucherify_async import ServerError, VoucherifyClient
from voucherify_async.sandbox import Sandbox


async def test_it_delivers_what_a_walk_does() -> None:
    async with Sandbox(customers=350) as sandbox, sandbox.client() as voucherify:
        pager = voucherify.customers.list(limit=50)
        plain = await pager.to_list()
        for pages in (1, 2, 7, 50):
            async with pager.prefetch(pages=pages) as items:
                assert [item async for item in items] == plain
                assert [item async for item in items] == []


async def test_pages_come_while_items_of_an_earlier_one_are_worked_on() -> None:
    async with Sandbox(customers=900) as sandbox, sandbox.client() as voucherify:
        pager = voucherify.customers.list(limit=100)
        async with pager.prefetch() as items:
            async for _ in items:
                await until(lambda: len(sandbox.requests) >= 3)  # nothing more is asked for meanwhile
                break
        walk = aiter(pager.pages())
        sandbox.requests.clear()
        await anext(walk)
        assert len(sandbox.requests) == 1


@pytest.mark.parametrize("pages", [1, 2, 5])
async def test_no_more_pages_are_fetched_ahead_than_asked_for(pages: int) -> None:
    async with (
        Sandbox(customers=200) as sandbox,
        sandbox.client() as voucherify,
        voucherify.customers.list(limit=10).prefetch(pages=pages) as items,
    ):
        await asyncio.sleep(0.1)
        assert len(sandbox.requests) == pages
        await anext(aiter(items))
        await asyncio.sleep(0.1)
        assert len(sandbox.requests) == pages + 1


class Own(Exception):  # noqa: N818  # of the caller's
    pass


@pytest.mark.parametrize("way", ["break", "exception", "cancelled", "scope", "never entered", "at once"])
async def test_leaving_stops_the_fetching(way: str) -> None:
    before = asyncio.all_tasks()
    async with Sandbox(customers=500, latency=0.01) as sandbox, sandbox.client() as voucherify:
        pager = voucherify.customers.list(limit=10)

        async def read() -> None:
            async with pager.prefetch(pages=3) as items:
                if way == "at once":
                    return
                async for number, _ in aenumerate(items):
                    if number < 15:
                        continue
                    if way == "break":
                        break
                    if way == "exception":
                        raise Own
                    await asyncio.sleep(3600)

        if way == "never entered":
            pager.prefetch()
        elif way == "exception":
            with pytest.raises(Own) as caught:
                await read()
            assert caught.value.__cause__ is None
        elif way == "cancelled":
            task = asyncio.create_task(read())
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif way == "scope":
            with anyio.move_on_after(0.1) as scope:
                await read()
            assert scope.cancelled_caught
        else:
            await read()
        seen = len(sandbox.requests)
        await asyncio.sleep(0.05)
        assert len(sandbox.requests) <= seen + 1  # one may have been on its way
        assert (await pager).items
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


async def aenumerate(items: AsyncIterator[Any]) -> AsyncIterator[tuple[int, Any]]:
    number = 0
    async for item in items:
        yield number, item
        number += 1


async def test_an_error_comes_after_the_items_before_it_and_bare() -> None:
    page = b'{"customers":[{"id":"a","created_at":"2026-01-01T00:00:00Z"}],"has_more":true}'
    async with (
        raw_server(respond(body=page), respond(500)) as server,
        VoucherifyClient("id", "token", base_url=server.base_url, retry=NO_RETRY) as client,
    ):
        got: list[str] = []
        with pytest.raises(ServerError):
            async with client.customers.list().prefetch(pages=5) as items:
                await asyncio.sleep(0.05)
                async for item in items:
                    got.append(item.id)  # noqa: PERF401  # what was got before the error
    assert got == ["a"]


async def test_an_error_that_nobody_asks_for_is_not_raised() -> None:
    page = b'{"customers":[{"id":"a","created_at":"2026-01-01T00:00:00Z"}],"has_more":true}'
    async with (
        raw_server(respond(body=page), respond(500)) as server,
        VoucherifyClient("id", "token", base_url=server.base_url, retry=NO_RETRY) as client,
        client.customers.list().prefetch() as items,
    ):
        async for item in items:
            assert item.id == "a"
            await asyncio.sleep(0.05)
            break


@pytest.mark.parametrize("pages", [0, -1, 1.5, True, None])
async def test_pages_must_be_a_number(voucherify: VoucherifyClient, pages: Any) -> None:
    with pytest.raises(ValueError, match="pages must be an integer from 1"):
        voucherify.customers.list().prefetch(pages=pages)


async def test_it_is_entered_once(voucherify: VoucherifyClient) -> None:
    prefetch = voucherify.customers.list().prefetch()
    async with prefetch:
        pass
    with pytest.raises(RuntimeError, match="can be entered only once"):
        await prefetch.__aenter__()

"""An iterator that several tasks read from: each item goes to exactly one, and every task ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voucherify_async import RetryPolicy, ServerError, VoucherifyClient
from voucherify_async.sandbox import Faults, Sandbox

WORKERS = 8


@asynccontextmanager
async def opened(voucherify: VoucherifyClient, way: str) -> AsyncGenerator[AsyncIterator[Any]]:
    pager = voucherify.customers.list(limit=30)
    if way == "stream":
        async with voucherify.customers.stream(concurrency=4) as items:
            yield items
    elif way == "prefetch":
        async with pager.prefetch() as items:
            yield items
    else:
        yield aiter(pager) if way == "items" else aiter(pager.pages())


@pytest.mark.parametrize("way", ["items", "pages", "prefetch", "stream"])
async def test_each_item_goes_to_one_worker(way: str) -> None:
    found: list[str] = []

    async def work(items: AsyncIterator[Any]) -> None:
        async for item in items:
            found.extend([one.id for one in item] if way == "pages" else [item.id])
            await asyncio.sleep(0)

    async with Sandbox(customers=1_234) as sandbox, sandbox.client() as voucherify:
        async with opened(voucherify, way) as items, asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work(items))
        assert Counter(found) == Counter(list(sandbox.store.customers))


@pytest.mark.parametrize("way", ["items", "pages"])
async def test_a_cancelled_worker_loses_nothing(way: str) -> None:
    found: list[str] = []
    async with Sandbox(customers=400, latency=0.01) as sandbox, sandbox.client() as voucherify:
        async with opened(voucherify, way) as items:
            while True:
                try:
                    async with asyncio.timeout(0.005):
                        item = await anext(items)
                except TimeoutError:
                    await asyncio.sleep(0)
                    sandbox.latency = 0.0 if sandbox.latency else 0.01
                    continue
                except StopAsyncIteration:
                    break
                found.extend([one.id for one in item] if way == "pages" else [item.id])
        assert Counter(found) == Counter(list(sandbox.store.customers))


async def test_after_a_failure_the_same_iterator_goes_on() -> None:
    async with Sandbox(customers=250) as sandbox, sandbox.client(retry=RetryPolicy(attempts=1)) as voucherify:
        items, found, failures = aiter(voucherify.customers.list(limit=20)), list[str](), 0
        while True:
            sandbox.faults = Faults(status={503: 0.5})
            try:
                found.append((await anext(items)).id)
            except ServerError:
                failures += 1
            except StopAsyncIteration:
                break
        assert failures
        assert Counter(found) == Counter(list(sandbox.store.customers))


async def test_a_stream_or_prefetch_that_was_not_entered(voucherify: VoucherifyClient) -> None:
    unopened: list[Any] = [voucherify.customers.stream(), voucherify.customers.list().prefetch()]
    for items in unopened:
        with pytest.raises(RuntimeError, match="enter the context first: `async with"):
            aiter(items)


async def test_leaving_the_block_while_another_task_reads() -> None:
    async with Sandbox(customers=500, latency=0.05) as sandbox, sandbox.client() as voucherify:

        async def read(items: AsyncIterator[Any]) -> None:
            async for _ in items:
                await asyncio.sleep(0.001)

        async with voucherify.customers.stream(concurrency=2) as customers:
            task = asyncio.create_task(read(customers))
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="the `async with` block of `stream` has ended"):
            await task


async def test_a_pager_is_not_for_plain_loops(voucherify: VoucherifyClient) -> None:
    pager: Any = voucherify.customers.list(city="London")
    with pytest.raises(TypeError, match="use `async for`"):
        list(pager)
    assert repr(pager) == "<Pager: customers.list of city=London&order=-created_at>"
    page = await pager
    assert (list(page), len(page), bool(page.has_more)) == ([], 0, False)
    assert repr(page) == "<Page: 0 items, total=0, has_more=False>"

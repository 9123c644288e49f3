"""Customers read in many windows at once, and windows planned for other workers."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Any

import anyio
import msgspec
import pytest

from tests.support.internals import after_exchanges
from tests.support.wire import NO_RETRY, raw_server, respond
from voucherify_async import (
    Customer,
    DecodeError,
    NotFoundError,
    PaginationStalledError,
    ServerError,
    VoucherifyClient,
)
from voucherify_async.pagination.windows import Window
from voucherify_async.sandbox import Quirks, Sandbox

HOUR = dt.timedelta(hours=1)
MILLISECOND = dt.timedelta(milliseconds=1)

Ages = Callable[[random.Random], dt.timedelta]

SHAPES: list[Any] = [
    pytest.param([], id="none"),
    pytest.param([(1, lambda _: HOUR)], id="one"),
    pytest.param([(700, lambda chance: HOUR * chance.random())], id="even"),
    pytest.param([(250, lambda _: HOUR)], id="one instant"),
    pytest.param(
        [(5, lambda chance: 20_000 * HOUR * chance.random()), (900, lambda chance: HOUR * chance.random())],
        id="nearly all in the last hour",
    ),
    pytest.param(
        [(350, lambda chance: 20_000 * HOUR + MILLISECOND * chance.randrange(3)), (3, lambda _: HOUR)],
        id="bursts at the beginning",
    ),
    pytest.param([(500, lambda chance: MILLISECOND * chance.randrange(6))], id="half a dozen instants"),
]


def fill(sandbox: Sandbox, shape: list[tuple[int, Ages]]) -> set[str]:
    chance = random.Random(1)
    now = sandbox.store.now()
    return {
        sandbox.store.add(None, None, {"name": "Ada"}, created=now - age(chance)).id
        for count, age in shape
        for _ in range(count)
    }


def readers() -> list[asyncio.Task[Any]]:
    """The tasks of streams."""
    return [
        task for task in asyncio.all_tasks() if "pagination" in str(getattr(task.get_coro(), "cr_code", ""))
    ]


async def ids(customers: Any) -> list[str]:
    return [customer.id async for customer in customers]


@pytest.mark.parametrize("concurrency", [1, 3, 16])
@pytest.mark.parametrize("shape", SHAPES)
async def test_every_customer_comes_once(
    sandbox: Sandbox, voucherify: VoucherifyClient, shape: list[tuple[int, Ages]], concurrency: int
) -> None:
    stored = fill(sandbox, shape)
    async with voucherify.customers.stream(concurrency=concurrency) as customers:
        got = await ids(customers)
    assert Counter(got) == Counter(stored)


async def test_windows_that_are_cut_while_they_are_read() -> None:
    async with Sandbox(customers=6_000) as sandbox, sandbox.client() as voucherify:
        async with voucherify.customers.stream(concurrency=16) as customers:
            got = await ids(customers)
        assert Counter(got) == Counter(list(sandbox.store.customers))
        planned = len(sandbox.requests)
        assert len(await voucherify.customers.plan_windows(16)) == 16
        assert len(sandbox.requests) - planned <= 60  # as many as reading the list takes


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize("shape", SHAPES)
async def test_windows_are_the_whole_and_disjoint(
    sandbox: Sandbox, voucherify: VoucherifyClient, shape: list[tuple[int, Ages]], count: int
) -> None:
    stored = fill(sandbox, shape)
    windows = await voucherify.customers.plan_windows(count)
    assert 1 <= len(windows) <= count
    got: list[str] = []
    for window in windows:
        plain = json.loads(json.dumps(msgspec.to_builtins(window)))
        got += await ids(voucherify.customers.list(window=plain))
    assert Counter(got) == Counter(stored)


async def test_windows_have_about_as_many_customers_each(
    sandbox: Sandbox, voucherify: VoucherifyClient
) -> None:
    fill(sandbox, SHAPES[4].values[0])
    windows = await voucherify.customers.plan_windows(4)
    sizes = [len(await ids(voucherify.customers.list(window=window))) for window in windows]
    assert len(sizes) == 4
    assert max(sizes) < 1.5 * min(sizes)


async def test_filters_hold_in_all_windows(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    fill(sandbox, SHAPES[2].values[0])
    now = sandbox.store.now()
    for number in range(300):
        address = {"address": {"city": "Łódź"}}
        sandbox.store.add(None, None, address, created=now - number * MILLISECOND)
    bounds: Any = {"city": "Łódź", "created_at_after": now - 200 * MILLISECOND}
    plain = Counter(await ids(voucherify.customers.list(**bounds)))
    assert 190 <= len(plain) <= 201
    async with voucherify.customers.stream(**bounds) as customers:
        assert Counter(await ids(customers)) == plain
    windows = await voucherify.customers.plan_windows(3, **bounds)
    read = [await ids(voucherify.customers.list(window=window, **bounds)) for window in windows]
    assert Counter(chain.from_iterable(read)) == plain


async def test_customers_that_come_and_go_meanwhile(
    sandbox: Sandbox, voucherify: VoucherifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = fill(sandbox, SHAPES[4].values[0])
    victims = iter(sorted(stored)[::40])
    gone: set[str] = set()

    def change() -> None:
        sandbox.store.add(None, None, {"name": "new"})
        if (victim := next(victims, None)) is not None:
            sandbox.store.remove(sandbox.store.customers[victim])
            gone.add(victim)

    after_exchanges(monkeypatch, sandbox, change)
    async with voucherify.customers.stream(concurrency=4) as customers:
        got = Counter(await ids(customers))
    assert max(got.values()) == 1
    assert stored - gone <= set(got)


async def test_a_failure_is_raised_once_and_bare_and_ends_the_others() -> None:
    page = b'{"customers":[{"id":"a","created_at":"2026-01-01T00:00:00Z"}],"total":5000,"has_more":true}'
    async with (
        raw_server(*[respond(body=page)] * 2, respond(500)) as server,
        VoucherifyClient("id", "token", base_url=server.base_url, retry=NO_RETRY) as client,
    ):
        with pytest.raises(ServerError) as caught:
            async with client.customers.stream(concurrency=4) as customers:
                await ids(customers)
        assert caught.value.__context__ is None
        assert not readers()


async def test_what_came_before_a_stall_is_delivered() -> None:
    """No customer has a creation time to go on from."""
    page = b'{"customers":[{"id":"a"},{"id":"b"}],"has_more":true}'
    async with (
        raw_server(respond(body=page)) as server,
        VoucherifyClient("id", "token", base_url=server.base_url) as client,
    ):
        got: list[str] = []
        with pytest.raises(PaginationStalledError, match="no item has a timestamp"):
            async with client.customers.stream(concurrency=1) as customers:
                async for customer in customers:
                    got.append(customer.id)  # noqa: PERF401  # what was got before the error
    assert got == ["a", "b"]


@pytest.mark.parametrize("way", ["break", "exception", "cancelled", "scope"])
async def test_leaving_ends_the_reading(sandbox: Sandbox, voucherify: VoucherifyClient, way: str) -> None:
    fill(sandbox, SHAPES[2].values[0])
    sandbox.latency = 0.01

    async def read() -> None:
        async with voucherify.customers.stream(concurrency=8) as customers:
            async for _ in customers:
                assert readers()
                if way == "break":
                    break
                if way == "exception":
                    raise NotFoundError("of the caller's")
                await asyncio.sleep(3600)

    if way == "exception":
        with pytest.raises(NotFoundError, match="of the caller's"):
            await read()
    elif way == "cancelled":
        task = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    elif way == "scope":
        with anyio.move_on_after(0.1):
            await read()
    else:
        await read()
    assert not readers()
    assert (await voucherify.customers.list()).items


async def test_a_slow_consumer_slows_the_fetching(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    fill(sandbox, [(3_000, lambda chance: HOUR * chance.random())])
    async with voucherify.customers.stream(concurrency=2) as customers:
        await anext(aiter(customers))
        await asyncio.sleep(0.3)
        assert len(sandbox.requests) <= 2 * 2 + 3
        rest = await ids(customers)
    assert len(rest) == 2_999


async def test_a_customer_that_cannot_be_decoded(
    sandbox: Sandbox, voucherify: VoucherifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = fill(sandbox, SHAPES[2].values[0])
    sandbox.quirks = Quirks(omit=frozenset({"referrals"}))  # what is to come is against the documents
    bad = sorted(stored)[123]
    sandbox.store.customers[bad].fields["name"] = 5
    errors: list[DecodeError] = []
    async with voucherify.customers.stream(on_invalid=errors.append) as customers:
        got = await ids(customers)
    assert set(got) == stored - {bad}
    assert [error.item_id for error in errors] == [bad]
    with pytest.raises(DecodeError):
        async with voucherify.customers.stream() as customers:
            await ids(customers)


@pytest.mark.parametrize("place", [0, -1], ids=["oldest", "newest"])
async def test_one_at_an_end_of_the_list_that_cannot_be_decoded_is_told_once(
    sandbox: Sandbox, voucherify: VoucherifyClient, place: int
) -> None:
    """Though the ends are looked up before the list is read."""
    stored = fill(sandbox, SHAPES[2].values[0])
    sandbox.quirks = Quirks(omit=frozenset({"referrals"}))  # what is to come is against the documents
    bad = sorted(sandbox.store.customers.values(), key=lambda record: record.created)[place]
    bad.fields["name"] = 5
    errors: list[DecodeError] = []
    async with voucherify.customers.stream(on_invalid=errors.append) as customers:
        assert set(await ids(customers)) == stored - {bad.id}
    assert [error.item_id for error in errors] == [bad.id]
    windows = await voucherify.customers.plan_windows(3)
    read = [
        await ids(voucherify.customers.list(window=window, on_invalid=lambda _: None)) for window in windows
    ]
    assert Counter(chain.from_iterable(read)) == Counter(stored - {bad.id})


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
async def test_bad_numbers(voucherify: VoucherifyClient, value: Any) -> None:
    with pytest.raises(ValueError, match="concurrency must be an integer from 1"):
        voucherify.customers.stream(concurrency=value)
    with pytest.raises(ValueError, match="count must be an integer from 1"):
        await voucherify.customers.plan_windows(value)


async def test_bad_filters(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    unknown: Any = {"town": "London"}
    with pytest.raises(TypeError, match="unexpected keyword argument: town"):
        voucherify.customers.stream(**unknown)
    with pytest.raises(ValueError, match="created_at_after"):
        voucherify.customers.stream(created_at_after=dt.datetime(2026, 1, 1))  # noqa: DTZ001  # naive is what is tested
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"window": {"created_from": "yesterday"}}, "window must come from plan_windows"),
        ({"window": 5}, "window must come from"),
        ({"window": Window(), "page": 2}, "window requires an order by created_at"),
        ({"window": Window(), "order": "source_id"}, "window requires an order by created_at"),
    ],
)
async def test_bad_windows(voucherify: VoucherifyClient, arguments: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        voucherify.customers.list(**arguments)


async def test_a_cursor_is_of_one_window(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    fill(sandbox, SHAPES[2].values[0])
    first, second = await voucherify.customers.plan_windows(2)
    page = await voucherify.customers.list(window=second)
    assert page.next_cursor is not None
    rest = await ids(voucherify.customers.list(window=second, cursor=page.next_cursor))
    whole = await ids(voucherify.customers.list(window=second))
    assert [customer.id for customer in page.items] + rest == whole
    for other in (first, None):
        with pytest.raises(ValueError, match="cursor was made for another list"):
            voucherify.customers.list(window=other, cursor=page.next_cursor)


async def test_the_types_of_what_comes(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    fill(sandbox, SHAPES[1].values[0])
    async with voucherify.customers.stream() as customers:
        assert [type(customer) async for customer in customers] == [Customer[dict[str, Any]].__origin__]  # type: ignore[attr-defined]

"""Bytes that nobody asked for: a connection that gets some while it is idle is closed, and never used."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.support.wire import CUSTOMER, NO_RETRY, RawServer, raw_server, respond
from voucherify_async import VoucherifyClient

OTHER = respond(body=b'{"id":"cust_other"}')
TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
STRAY = [
    pytest.param(OTHER, id="a second answer"),
    pytest.param(TIMEOUT, id="a 408"),
    pytest.param(b"HTTP/1.1 4", id="part of an answer"),
    pytest.param(b"\r\n", id="an empty line"),
    pytest.param(b"\0garbage", id="garbage"),
]
CALLS: list[Any] = [
    pytest.param(lambda client: client.customers.get("a"), id="get"),
    pytest.param(lambda client: client.customers.create(name="Ada"), id="create"),
]


async def arrives(server: RawServer, content: bytes) -> None:
    """Send bytes on the first connection, and let the client's loop read them."""
    server.writers[0].write(content)
    await server.writers[0].drain()
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("stray", STRAY)
@pytest.mark.parametrize("read", [True, False], ids=["read by the loop", "not read yet"])
async def test_what_arrives_on_an_idle_connection_is_no_answer(call: Any, stray: bytes, read: bool) -> None:
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient("id", "token", base_url=server.base_url, retry=NO_RETRY) as client,
    ):
        await client.customers.get("a")
        if read:
            await arrives(server, stray)
        else:
            server.writers[0].write(stray)
        assert (await call(client)).id == "cust_1"
        assert server.connections == 2
        assert len(server.requests) == 2


@pytest.mark.parametrize("stray", [OTHER, TIMEOUT])
async def test_what_comes_together_with_an_answer_is_no_answer(stray: bytes) -> None:
    async with (
        raw_server(CUSTOMER + stray, CUSTOMER) as server,
        VoucherifyClient("id", "token", base_url=server.base_url, retry=NO_RETRY) as client,
    ):
        await client.customers.get("a")
        assert (await client.customers.create(name="Ada")).id == "cust_1"
        assert server.connections == 2


async def test_a_connector_of_the_callers_is_guarded_too() -> None:
    async with raw_server(CUSTOMER) as server, aiohttp.TCPConnector() as connector:
        async with VoucherifyClient(
            "id", "token", base_url=server.base_url, retry=NO_RETRY, connector=connector
        ) as client:
            await client.customers.get("a")
            await arrives(server, OTHER)
            assert (await client.customers.create(name="Ada")).id == "cust_1"
        assert server.connections == 2
        # Others may go on with its connections.
        async with (
            aiohttp.ClientSession(connector=connector, connector_owner=False) as session,
            session.get(server.base_url) as reply,
        ):
            assert await reply.json() == {"id": "cust_1"}
        assert server.connections == 2


async def test_an_idle_connection_is_kept_without_any() -> None:
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient("id", "token", base_url=server.base_url, retry=NO_RETRY) as client,
    ):
        for _ in range(3):
            await client.customers.get("a")
            await client.customers.create(name="Ada")
        assert server.connections == 1

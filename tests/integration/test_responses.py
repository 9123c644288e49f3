"""`record_responses`: what is known of calls that succeed."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncGenerator

import pytest

from tests.support.clocks import use_clock
from tests.support.wire import CUSTOMER, raw_server, respond
from voucherify_async import NotFoundError, OAuthClientCredentials, ResponseInfo, VoucherifyClient
from voucherify_async.sandbox import Sandbox


async def test_a_call(voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
    with voucherify.record_responses() as responses:
        customer = await voucherify.customers.create(source_id="a")
    (response,) = responses
    (exchange,) = sandbox.requests
    assert customer.source_id == "a"
    assert (response.operation, response.status, response.attempts) == ("customers.create", 200, 1)
    assert (
        response.request_id == exchange.response_headers["X-Request-Id"] == response.headers["x-request-id"]
    )
    assert response.rate_limit == voucherify.rate_limit
    assert response.elapsed > 0


async def test_attempts_are_counted() -> None:
    async with (
        raw_server(respond(503), CUSTOMER) as server,
        VoucherifyClient("id", "token", base_url=server.base_url) as client,
    ):
        use_clock(client)
        with client.record_responses() as responses:
            await client.customers.get("a")
    assert [response.attempts for response in responses] == [2]


async def test_each_task_has_its_own(voucherify: VoucherifyClient) -> None:
    async def create(source_id: str) -> str | None:
        with voucherify.record_responses() as responses:
            await voucherify.customers.create(source_id=source_id)
        (response,) = responses
        return response.request_id

    with voucherify.record_responses() as responses:
        ids = await asyncio.gather(*(create(f"c{number}") for number in range(10)))
    assert len(set(ids)) == 10
    assert {response.request_id for response in responses} == set(ids)


async def test_only_calls_of_the_client_in_the_block(voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
    async with sandbox.client() as other:
        with other.record_responses() as others, voucherify.record_responses() as responses:
            await voucherify.with_options(timeout=60).customers.list()
            with pytest.raises(NotFoundError):
                await voucherify.customers.get("nobody")
        await voucherify.customers.list()
    assert others == []
    assert [response.operation for response in responses] == ["customers.list"]


async def test_a_list_has_one_for_each_request(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    for number in range(5):
        await voucherify.customers.create(source_id=f"c{number}")
    with voucherify.record_responses() as responses:
        async with voucherify.customers.list(limit=2).prefetch() as customers:
            assert len([customer async for customer in customers]) == 5
    assert {response.operation for response in responses} == {"customers.list"}
    assert len(responses) >= 3


async def test_the_request_for_a_token_is_not_recorded(sandbox: Sandbox) -> None:
    auth = OAuthClientCredentials(sandbox.app_id, sandbox.app_token)
    async with sandbox.client(auth=auth) as client:
        with client.record_responses() as responses:
            await client.customers.list()
    assert [response.operation for response in responses] == ["customers.list"]


async def test_responses_pickle(voucherify: VoucherifyClient) -> None:
    response = await voucherify.request("GET", "/v1/customers")
    copy = pickle.loads(pickle.dumps(response))
    assert copy == response
    assert copy.headers["X-REQUEST-ID"] == response.request_id


async def test_a_header_that_is_repeated() -> None:
    answer = respond(200, b"{}", headers=("X-One: a", "x-one: b", "X-Two: c"))
    async with (
        raw_server(answer) as server,
        VoucherifyClient("id", "token", base_url=server.base_url) as client,
    ):
        headers = (await client.request("GET", "/v1/x")).headers
    assert (headers["x-ONE"], headers["x-two"]) == ("a, b", "c")
    assert {"X-One", "X-Two"} <= set(headers)
    assert "X-Three" not in headers
    assert "X-One" in repr(headers)


async def test_blocks_may_end_in_any_order(voucherify: VoucherifyClient) -> None:
    async def generate() -> AsyncGenerator[list[ResponseInfo]]:
        with voucherify.record_responses() as responses:
            yield responses

    first, second = generate(), generate()
    outer, inner = await anext(first), await anext(second)
    await first.aclose()
    await voucherify.customers.list()
    await asyncio.create_task(second.aclose())  # in another context
    await voucherify.customers.list()
    assert (len(outer), len(inner)) == (0, 1)

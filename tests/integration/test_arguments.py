"""Arguments of the wrong type: each is refused by name, before anything is sent."""

from __future__ import annotations

import array
import inspect
from typing import Any

import pytest

from tests.support.wire import RawServer, raw_server, respond
from voucherify_async import (
    ConfigurationError,
    Customer,
    DecodeError,
    RetryPolicy,
    VoucherifyClient,
)
from voucherify_async.sandbox import Sandbox

WRONG: list[Any] = [5, 1.5, float("nan"), object(), [1], b"bytes"]
"""Values of which a parameter takes some, if at all; which, `ACCEPTED` says."""

CALLS: dict[str, dict[str, Any]] = {
    "request": {"method": "POST", "path": "/v1/customers"},
    "paginate": {"path": "/v1/customers"},
}
ACCEPTED: dict[tuple[str, str], tuple[type, ...]] = {
    ("request", "json"): (int, float, list),
    ("request", "content"): (bytes,),
}
OTHER_NAMES = {"form": "form", "json": "json|NaN"}


def attempts() -> list[Any]:
    """A wrong value for every parameter of the methods that take anything."""
    found: list[Any] = []
    for method, given in CALLS.items():
        implementation = getattr(VoucherifyClient, method)
        for name in inspect.signature(implementation).parameters:
            if name == "self":
                continue
            for place, value in enumerate(WRONG):
                accepted = ACCEPTED.get((method, name), ())
                if not isinstance(value, accepted) or value != value:  # noqa: PLR0124  # not a number
                    found.append(
                        pytest.param(
                            method, given, name, value, id=f"{method} {name}={type(value).__name__}-{place}"
                        )
                    )
    return found


@pytest.mark.parametrize(("method", "given", "name", "value"), attempts())
async def test_a_wrong_argument_is_refused_by_name(
    sandbox: Sandbox, voucherify: VoucherifyClient, method: str, given: dict[str, Any], name: str, value: Any
) -> None:
    async def call() -> None:
        await getattr(voucherify, method)(**{**given, name: value})

    with pytest.raises((ValueError, ConfigurationError), match=OTHER_NAMES.get(name, name)):
        await call()
    assert not sandbox.requests


@pytest.mark.parametrize("content", ["text", [1, 2], 5, object()])
async def test_content_is_bytes(sandbox: Sandbox, voucherify: VoucherifyClient, content: Any) -> None:
    with pytest.raises(ValueError, match="content must be bytes"):
        await voucherify.request("POST", "/v1/customers", content=content)
    assert not sandbox.requests


async def test_content_is_as_long_as_its_bytes() -> None:
    async with (
        raw_server(respond()) as server,
        VoucherifyClient("id", "token", base_url=server.base_url) as client,
    ):
        content: Any = memoryview(array.array("I", [1, 2, 3]))
        await client.request("POST", "/v1/x", content=content)
    assert server.requests[0].endswith(b"\r\n\r\n" + bytes(content))
    assert f"Content-Length: {content.nbytes}".encode() in server.requests[0]


async def test_a_query_that_holds_itself(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    query: dict[str, Any] = {}
    query["a"] = query
    with pytest.raises(ValueError, match="query is nested too deeply"):
        await voucherify.request("GET", "/v1/customers", query=query)
    assert not sandbox.requests


@pytest.mark.parametrize("value", [0, -1, 2.5, float("nan"), float("inf"), True, "4", None])
def test_attempts_are_a_number(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"retry\.attempts"):
        RetryPolicy(attempts=value)


@pytest.mark.parametrize("value", [5, "503", [503], {"503"}])
def test_statuses_are_a_set(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"retry\.statuses"):
        RetryPolicy(statuses=value)


@pytest.mark.parametrize("value", ["x", 1.5, True, -1])
async def test_max_items(sandbox: Sandbox, voucherify: VoucherifyClient, value: Any) -> None:
    with pytest.raises(ValueError, match="max_items must be an integer from 0"):
        await voucherify.customers.list().to_list(max_items=value)
    assert not sandbox.requests


@pytest.mark.parametrize("value", ["x", True, -1, float("nan")])
async def test_a_timeout_of_a_wait(sandbox: Sandbox, voucherify: VoucherifyClient, value: Any) -> None:
    with pytest.raises(ValueError, match="timeout must be a number"):
        await voucherify.async_actions.wait("a", timeout=value)
    assert not sandbox.requests


# ---------------------------------------------------------------- headers

OWNED = ["Content-Length", "Transfer-Encoding", "Connection", "Host", "Expect", "Upgrade", "TE", "Trailer"]


@pytest.mark.parametrize("name", OWNED)
@pytest.mark.parametrize("written", [str.lower, str.upper, str.title])
async def test_headers_that_belong_to_the_connection(name: str, written: Any) -> None:
    headers = {written(name): "chunked"}
    async with (
        raw_server(respond()) as server,
        VoucherifyClient("id", "token", base_url=server.base_url) as client,
    ):
        with pytest.raises(ConfigurationError, match=f"headers must not have '{written(name)}'"):
            await client.request("POST", "/v1/x", json={}, headers=headers)
        with pytest.raises(ConfigurationError, match="headers must not have"):
            client.with_options(headers=headers)
        with pytest.raises(ConfigurationError, match="headers must not have"):
            VoucherifyClient("id", "token", headers=headers)
    assert not server.requests


# ---------------------------------------------------------------- answers

BROKEN = [
    pytest.param(b'{"id":"cust_2","name":"Ann \xff\xfe"}', id="no UTF-8"),
    pytest.param(b'{"id":"cust_2","name":7}', id="another type"),
]


def page_of(*items: bytes) -> bytes:
    content = b'{"object":"list","data_ref":"customers","total":3,"has_more":false,"customers":['
    return respond(body=content + b",".join(items) + b"]}")


async def listed(server: RawServer, **options: Any) -> list[Customer]:
    async with VoucherifyClient("id", "token", base_url=server.base_url) as client:
        return await client.customers.list(**options).to_list()


@pytest.mark.parametrize("broken", BROKEN)
async def test_one_broken_customer_is_one_invalid_item(broken: bytes) -> None:
    first, last = (b'{"id":"cust_%d","created_at":"2026-01-0%dT00:00:00Z"}' % (n, 4 - n) for n in (1, 3))
    async with raw_server(page_of(first, broken, last)) as server:
        problems: list[DecodeError] = []
        found = await listed(server, on_invalid=problems.append)
        assert [customer.id for customer in found] == ["cust_1", "cust_3"]
        assert [problem.item_id for problem in problems] == ["cust_2"]
        with pytest.raises(DecodeError, match="cust_2"):
            await listed(server)


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        (rb"Ann \ud83d", "Ann \ufffd"),
        (rb"\ude00 Ann", "\ufffd Ann"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\uDE00\uD83D", "\ufffd\ufffd"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
    ],
)
async def test_half_of_a_surrogate_pair_is_a_replacement_character(escaped: bytes, name: str) -> None:
    body = b'{"id":"cust_1","name":"' + escaped + b'"}'
    async with raw_server(page_of(body), respond(body=body)) as server:
        assert [customer.name for customer in await listed(server)] == [name]
        async with VoucherifyClient("id", "token", base_url=server.base_url) as client:
            assert (await client.customers.get("a")).name == name

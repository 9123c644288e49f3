"""`with_options(auth=...)`: several projects over the connections of one client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.clocks import use_clock
from tests.support.internals import token_is_fetched
from tests.support.loops import until
from tests.support.wire import CUSTOMER, raw_server, respond, stall
from voucherify_async import (
    AdaptiveRateLimiter,
    ApiKeys,
    ConfigurationError,
    LocalRateLimiter,
    OAuthClientCredentials,
    RateLimitError,
    VoucherifyClient,
)
from voucherify_async.sandbox import Sandbox

BLOCKED = respond(429, headers=("Retry-After: 3600",))
RECEIPT = respond(202, b'{"async_action_id": "aa_1"}')
SOME_LEFT = respond(200, b'{"id": "a"}', headers=("X-Rate-Limit-Limit: 100", "X-Rate-Limit-Remaining: 42"))


async def test_each_has_its_own_credentials_over_the_same_connections() -> None:
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient("first", "secret-1", base_url=server.base_url) as client,
    ):
        other = client.with_options(auth=ApiKeys("second", "secret-2"))
        for one in (client, other, client):
            await one.customers.get("a")
    assert [b"X-App-Id: first" in request for request in server.requests] == [True, False, True]
    assert b"X-App-Id: second" in server.requests[1]
    assert server.connections == 1


async def test_a_429_holds_back_one_project_only() -> None:
    async with (
        raw_server(BLOCKED, CUSTOMER) as server,
        VoucherifyClient("first", "secret-1", base_url=server.base_url) as client,
    ):
        use_clock(client)
        other = client.with_options(auth=ApiKeys("second", "secret-2"))
        for _ in range(2):
            with pytest.raises(RateLimitError):
                await client.customers.get("a")
        await other.customers.get("a")
        with pytest.raises(RateLimitError):
            await client.with_options(deadline=5_000).customers.get("a")
    assert len(server.requests) == 2


async def test_the_rate_limit_is_that_of_the_project() -> None:
    async with (
        raw_server(CUSTOMER, SOME_LEFT) as server,
        VoucherifyClient("first", "secret-1", base_url=server.base_url) as client,
    ):
        other = client.with_options(auth=ApiKeys("second", "secret-2"))
        await client.customers.get("a")
        await other.with_options(timeout=20).customers.get("a")
        assert client.rate_limit is None
        assert other.rate_limit is not None
        assert other.rate_limit.remaining == 42


async def test_a_limiter_of_the_package_is_made_anew() -> None:
    """With the same settings: two projects may each make a call in a period in which one may make one."""
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient(
            "first", "secret-1", base_url=server.base_url, rate_limiter=LocalRateLimiter(1, 600)
        ) as client,
    ):
        clock = use_clock(client)
        other = client.with_options(auth=ApiKeys("second", "secret-2"))
        await client.customers.get("a")
        await other.customers.get("a")
        assert clock.slept == []
        with pytest.raises(RateLimitError):
            await other.customers.get("a")


async def test_a_limiter_that_is_given_is_taken() -> None:
    class Counting(AdaptiveRateLimiter):
        acquired = 0

        async def acquire(self, kind: str, max_wait: float, /) -> float | None:
            self.acquired += 1
            return await super().acquire(kind, max_wait)

    own, given = Counting(), Counting()
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient("first", "secret-1", base_url=server.base_url, rate_limiter=own) as client,
    ):
        shared = client.with_options(auth=ApiKeys("second", "secret-2"))
        separate = client.with_options(auth=ApiKeys("third", "secret-3"), rate_limiter=given)
        for one in (client, shared, separate):
            await one.customers.get("a")
    assert (own.acquired, given.acquired) == (2, 1)


async def test_views_of_one_project_share_what_is_its_own(sandbox: Sandbox) -> None:
    async with sandbox.client() as client:
        for _ in range(3):
            auth = OAuthClientCredentials(sandbox.app_id, sandbox.app_token)
            await client.with_options(auth=auth).customers.list()
        again = client.with_options(auth=ApiKeys(sandbox.app_id, sandbox.app_token))
        await client.customers.list()
        assert again.rate_limit is client.rate_limit is not None
    assert [exchange.path for exchange in sandbox.requests].count("/v1/oauth/token") == 1


async def test_projects_that_are_not_used_are_forgotten() -> None:
    client = VoucherifyClient("first", "secret-1")
    known = client.with_options(auth=ApiKeys("known", "secret")).rate_limit
    for number in range(1_100):
        client.with_options(auth=ApiKeys(str(number), "secret"))
        client.with_options(auth=ApiKeys("first", "secret-1"))
    assert known is None
    client.with_options(auth=Unhashable())


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def headers(self) -> dict[str, str]:
        return {"X-App-Id": "unhashable"}


async def test_credentials_in_headers_are_those_of_the_clients_project() -> None:
    headers = {"Authorization": "Bearer first-secret", "X-Shop": "1"}
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient("first", "secret-1", base_url=server.base_url, headers=headers) as client,
    ):
        await client.with_options(auth=ApiKeys("second", "secret-2")).customers.get("a")
        await client.with_options(auth=Unhashable(), headers={"X-More": "2"}).customers.get("a")
    for request in server.requests:
        assert b"first-secret" not in request
        assert b"X-Shop: 1" in request
    assert b"X-More: 2" in server.requests[1]


async def test_each_has_its_own_token(sandbox: Sandbox) -> None:
    async with sandbox.client() as client:
        other = client.with_options(auth=OAuthClientCredentials(sandbox.app_id, sandbox.app_token))
        await other.customers.list()
        await other.with_options(timeout=20).customers.list()
        await client.customers.list()
    sent = [exchange.request_headers.keys() for exchange in sandbox.requests]
    assert sandbox.requests[0].path == "/v1/oauth/token"
    assert ["Authorization" in names for names in sent] == [False, True, True, False]


async def test_closing_ends_the_refresh_of_every_project() -> None:
    async with (
        raw_server(stall) as server,
        VoucherifyClient("first", "secret-1", base_url=server.base_url) as client,
    ):
        other = client.with_options(auth=OAuthClientCredentials("second", "secret-2"))
        call = asyncio.create_task(other.customers.list().to_list())
        await until(lambda: server.requests)
        assert token_is_fetched(other)
        await client.aclose()
        assert not token_is_fetched(other)
        with pytest.raises(Exception, match="closed"):
            await call


@pytest.mark.parametrize("auth", [None, 5, ApiKeys, "key"])
def test_what_is_no_authentication(auth: object, monkeypatch: pytest.MonkeyPatch) -> None:
    client = VoucherifyClient("first", "secret-1")
    with pytest.raises(ConfigurationError, match=r"auth must be|no API keys"):
        client.with_options(auth=auth)  # type: ignore[arg-type]


class Plain:
    """A limiter without coroutines."""

    def __init__(self) -> None:
        self.released: list[str] = []

    def acquire(self, kind: str, max_wait: float, /) -> float | None:
        return None

    def release(self, kind: str, rate_limit: object, wait: float | None, /) -> None:
        self.released.append(kind)


class Asynchronous(Plain):
    """A limiter that has to wait for a permit to be given back, as one on another machine has."""

    async def acquire(self, kind: str, max_wait: float, /) -> float | None:  # type: ignore[override]
        return None

    async def release(self, kind: str, rate_limit: object, wait: float | None, /) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.released.append(kind)


@pytest.mark.parametrize("limiter", [Plain(), Asynchronous()], ids=["plain", "asynchronous"])
async def test_limiters_of_both_kinds(limiter: Plain) -> None:
    async with (
        raw_server(respond(503), CUSTOMER, RECEIPT) as server,
        VoucherifyClient("id", "secret", base_url=server.base_url, rate_limiter=limiter) as client,
    ):
        use_clock(client)
        await client.customers.get("a")
        await client.customers.update_in_bulk([{"source_id": "a"}])
    assert limiter.released == ["api_calls", "api_calls", "bulk_api_calls"]


class Odd(Plain):
    """A limiter whose methods return what is given, one after the other."""

    def __init__(self, *answers: Any, released: Any = None) -> None:
        super().__init__()
        self.answers, self.result = list(answers), released

    def acquire(self, kind: str, max_wait: float, /) -> Any:
        return self.answers.pop(0)

    def release(self, kind: str, rate_limit: object, wait: float | None, /) -> Any:
        super().release(kind, rate_limit, wait)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


async def test_a_plain_limiter_need_not_wait_itself() -> None:
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient(
            "id", "secret", base_url=server.base_url, rate_limiter=Odd(5, 5, 2.5, None)
        ) as client,
    ):
        clock = use_clock(client)
        await client.customers.get("a")
    assert clock.slept == [5, 2.5]


@pytest.mark.parametrize("answer", [True, False, -1, float("nan"), "soon", {}])
async def test_a_limiter_that_returns_no_time(answer: Any) -> None:
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient("id", "secret", base_url=server.base_url, rate_limiter=Odd(answer)) as client,
    ):
        with pytest.raises(
            ConfigurationError, match=r"rate_limiter\.acquire must return None or a number of seconds"
        ):
            await client.customers.get("a")
    assert not server.requests


@pytest.mark.parametrize("released", [1, True, "x", ConnectionError("gone")])
async def test_a_release_does_not_change_the_outcome(released: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient(
            "id", "secret", base_url=server.base_url, rate_limiter=Odd(None, released=released)
        ) as client,
    ):
        assert (await client.customers.get("a")).id
    failed = "customers.get: the rate limiter failed to release a permit" in caplog.text
    assert failed is isinstance(released, Exception)


async def test_a_release_may_return_any_awaitable() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.001, future.set_result, None)
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient(
            "id", "secret", base_url=server.base_url, rate_limiter=Odd(None, released=future)
        ) as client,
    ):
        await client.customers.get("a")
    assert future.done()

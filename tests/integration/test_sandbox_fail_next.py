"""Calls that a test has planned to fail: what the client meets, and what the sandbox keeps of it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from voucherify_async import (
    APIStatusError,
    ConflictError,
    NotFoundError,
    RateLimitError,
    ReadTimeoutError,
    RetryPolicy,
    ServerError,
    TransportError,
    VoucherifyClient,
)
from voucherify_async.sandbox import Faults, Quota, Sandbox

ONCE: Any = {"retry": RetryPolicy(attempts=1), "rate_limiter": None}


async def test_the_next_call_fails_and_has_no_effect(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    await voucherify.customers.create(source_id="a", name="Ada")
    sandbox.fail_next("customers.update", status=409)
    with pytest.raises(ConflictError) as caught:
        await voucherify.customers.update("a", name="Eve")
    assert (caught.value.key, caught.value.message) == ("conflict", "Conflict")
    failed = sandbox.requests[-1]
    assert (failed.fault, failed.status, failed.json()) == ("status", 409, {"name": "Eve"})
    assert failed.response_json() == {
        "code": 409,
        "key": "conflict",
        "message": "Conflict",
        "details": "The sandbox injected this error",
        "request_id": caught.value.request_id,
    }
    assert sandbox.planned_failures == ()
    assert (await voucherify.customers.get("a")).name == "Ada"
    assert (await voucherify.customers.update("a", name="Eve")).name == "Eve"
    assert sandbox.requests[-1].fault is None


async def test_a_retry_is_a_call_too(sandbox: Sandbox) -> None:
    sandbox.fail_next(("GET", "/v1/customers"), status=503, times=2, retry_after=0)
    async with sandbox.client() as voucherify:
        assert await voucherify.customers.list().to_list() == []
    assert [exchange.status for exchange in sandbox.requests] == [503, 503, 200]
    assert [exchange.response_headers.get("Retry-After") for exchange in sandbox.requests] == ["0", "0", None]


async def test_what_the_client_makes_of_it(sandbox: Sandbox) -> None:
    sandbox.fail_next("customers.get", status=404, key="gone_fishing", message="Gone")
    sandbox.fail_next("customers.get", status=429, retry_after=7)
    async with sandbox.client(**ONCE) as voucherify:
        with pytest.raises(NotFoundError) as missing:
            await voucherify.customers.get("a")
        with pytest.raises(RateLimitError) as limited:
            await voucherify.customers.get("a")
    assert (missing.value.key, missing.value.message) == ("gone_fishing", "Gone")
    assert limited.value.retry_after == 7


async def test_it_comes_before_faults_and_credentials(sandbox: Sandbox) -> None:
    sandbox.faults = Faults(reset=1)
    sandbox.fail_next(("GET", "/v1/customers"), status=502)
    async with aiohttp.ClientSession(sandbox.base_url) as http, http.get("/v1/customers") as answer:
        assert answer.status == 502


async def test_what_the_rate_limit_rejects_does_not_use_it_up(sandbox: Sandbox) -> None:
    sandbox.rate_limit = Quota(1)
    sandbox.fail_next("customers.list", status=500, times=2)
    async with sandbox.client(**ONCE) as voucherify:
        for expected in (500, 429):
            with pytest.raises(APIStatusError) as caught:
                await voucherify.customers.list()
            assert caught.value.status == expected
        (left,) = sandbox.planned_failures
        assert (left.operation, left.status, left.times) == ("customers.list", 500, 1)


async def test_it_is_dropped_with_the_sandbox_or_when_asked(sandbox: Sandbox) -> None:
    sandbox.fail_next("customers.list", status=500)
    sandbox.clear_planned_failures()
    assert sandbox.planned_failures == ()
    sandbox.fail_next("customers.list", status=500)
    await sandbox.aclose()
    assert sandbox.planned_failures == ()
    await sandbox.start()
    async with sandbox.client() as voucherify:
        assert await voucherify.customers.list().to_list() == []


def test_a_sandbox_in_a_thread() -> None:
    async def update(sandbox: Sandbox) -> None:
        async with sandbox.client(**ONCE) as voucherify:
            await voucherify.customers.update("a", name="Eve")

    with Sandbox() as sandbox:
        sandbox.fail_next("customers.update", status=500)
        with pytest.raises(ServerError):
            asyncio.run(update(sandbox))
        assert not sandbox.store.customers


async def test_a_seed_gives_the_same_faults_whatever_is_planned() -> None:
    async def faults(*, planned: bool) -> list[Any]:
        async with Sandbox(seed=3, faults=Faults(status={500: 0.5})) as sandbox:
            if planned:
                sandbox.fail_next("customers.list", status=409)
            async with aiohttp.ClientSession(sandbox.base_url) as http:
                for _ in range(12):
                    async with http.get("/v1/customers"):
                        pass
            return [exchange.fault for exchange in sandbox.requests][1:]

    assert await faults(planned=True) == await faults(planned=False)


async def test_it_is_planned_over_http(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    plan = {"operation": ["GET", "/v1/customers/*"], "status": 409}
    async with aiohttp.ClientSession(sandbox.base_url) as http:
        for _ in range(2):
            async with http.post("/-/failures", json=plan) as answer:
                assert answer.status == 200
        with pytest.raises(ConflictError):
            await voucherify.customers.get("a")
        async with http.delete("/-/failures") as answer:
            assert (await answer.json())["failures"] == []
    with pytest.raises(NotFoundError):
        await voucherify.customers.get("a")


@pytest.mark.parametrize("fault", ["reset", "truncate"])
async def test_one_call_meets_a_fault_of_the_network(sandbox: Sandbox, fault: Any) -> None:
    sandbox.fail_next("customers.create", fault=fault)
    async with sandbox.client(**ONCE) as voucherify:
        with pytest.raises(TransportError) as caught:
            await voucherify.customers.create(source_id="a", name="Ada")
        assert caught.value.may_have_been_applied
        assert [exchange.fault for exchange in sandbox.requests] == [fault]
        assert len(sandbox.store.customers) == (fault == "truncate")
        await voucherify.customers.create(source_id="a", name="Ada")
    assert len(sandbox.store.customers) == 1


async def test_a_call_that_gets_no_response(sandbox: Sandbox) -> None:
    sandbox.fail_next("customers.list", fault="stall")
    async with sandbox.client(**ONCE, timeout=0.01) as voucherify:
        with pytest.raises(ReadTimeoutError):
            await voucherify.customers.list()


@pytest.mark.parametrize("retry_after", [None, 0, 7])
async def test_a_planned_429_has_the_headers_of_a_real_one(sandbox: Sandbox, retry_after: int | None) -> None:
    sandbox.store.clock = lambda: 1_767_225_600.75
    sandbox.fail_next("customers.list", status=429, retry_after=retry_after)
    sandbox.fail_next("customers.update_in_bulk", status=429)
    seconds = 1 if retry_after is None else retry_after
    async with aiohttp.ClientSession(sandbox.base_url) as http:
        async with http.get("/v1/customers") as answer:
            assert (answer.status, answer.headers.getall("Retry-After")) == (429, [str(seconds)])
            assert answer.headers["X-Rate-Limit-Remaining"] == "0"
            assert answer.headers["X-Rate-Limit-Type"] == "api_calls"
            # Of the second of the Date header, so that a client may come back when Retry-After is over.
            assert answer.headers["X-Rate-Limit-Retry"] == str(1_767_225_600 + seconds)
        async with http.post("/v1/customers/bulk/async") as answer:
            assert answer.headers["X-Rate-Limit-Type"] == "bulk_api_calls"
        async with http.get("/v1/customers") as answer:
            assert answer.status == 401
            assert answer.headers["X-Rate-Limit-Remaining"] == "999998"
            assert "X-Rate-Limit-Type" not in answer.headers


async def test_a_fault_of_the_network_is_planned_over_http(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession(sandbox.base_url) as http:
        async with http.post(
            "/-/failures", json={"operation": "customers.create", "fault": "reset"}
        ) as answer:
            assert (await answer.json())["failures"] == [
                {"operation": "customers.create", "status": 0, "fault": "reset", "times": 1}
            ]
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.post("/v1/customers")

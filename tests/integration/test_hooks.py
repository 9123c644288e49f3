"""What happens to a call, as hooks and the log tell it."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Any

import pytest

from tests.support.clocks import FakeClock, use_clock
from tests.support.hooks import RecordingHook
from tests.support.wire import CUSTOMER, NO_RETRY, RawServer, raw_server, respond, stall
from voucherify_async import (
    ConfigurationError,
    DecodeError,
    ErrorEvent,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async._transport.hooks import CallEvent
from voucherify_async.sandbox import Sandbox

WRITTEN: Any = {"name": "customers.create"}


def client_of(server: RawServer, *hooks: Any, **settings: Any) -> VoucherifyClient:
    return VoucherifyClient("id", "token", base_url=server.base_url, hooks=hooks, **settings)


async def test_a_call_that_succeeds(sandbox: Sandbox) -> None:
    seen = RecordingHook()
    async with sandbox.client(hooks=[seen]) as client:
        await client.customers.create(source_id="ada@example.com")
        await client.customers.get("ada@example.com")
    assert seen.kinds() == ["Request", "Response"] * 2
    request, response = seen.events[2:]
    assert isinstance(response, ResponseEvent)
    assert (request.operation, request.method) == ("customers.get", "GET")
    assert request.url_template == "/v1/customers/{customer_id}"
    assert request.base_url == sandbox.base_url
    assert (request.attempt, request.call_id) == (1, response.call_id)
    assert request.call_id == seen.events[0].call_id + 1
    assert (response.status, response.final) == (200, True)
    assert response.rate_limit is not None
    assert response.rate_limit.remaining == 999_998
    assert response.request_id is not None
    assert 0 <= request.elapsed <= response.elapsed


async def test_a_call_that_is_made_again() -> None:
    seen = RecordingHook()
    async with raw_server(respond(503), None, CUSTOMER) as server, client_of(server, seen) as client:
        use_clock(client)
        await client.customers.get("a")
    assert seen.kinds() == ["Request", "Response", "Retry", "Request", "Retry", "Request", "Response"]
    assert [event.attempt for event in seen.events] == [1, 1, 1, 2, 2, 3, 3]
    first, second = seen.of(RetryEvent)
    assert (first.error_type, first.status, first.delay) == ("ServerError", 503, 0.5)
    assert (second.error_type, second.status) == ("ConnectionFailedError", None)
    answers = [event.final for event in seen.of(ResponseEvent)]
    assert answers == [False, True]


async def test_a_call_that_fails() -> None:
    seen = RecordingHook()
    body = b'{"code":404,"key":"not_found","request_id":"v-1","details":"Cannot find customer with id ada"}'
    async with raw_server(respond(404, body)) as server, client_of(server, seen) as client:
        with pytest.raises(NotFoundError):
            await client.customers.get("ada")
    assert seen.kinds() == ["Request", "Response", "Error"]
    error = seen.of(ErrorEvent)[-1]
    assert (error.error_type, error.status, error.key) == ("NotFoundError", 404, "not_found")
    assert (error.request_id, error.may_have_been_applied, error.cancelled) == ("v-1", False, False)
    assert "ada" not in repr(seen.events)


async def test_an_answer_that_cannot_be_decoded() -> None:
    seen = RecordingHook()
    async with raw_server(respond(body=b"[]")) as server, client_of(server, seen) as client:
        with pytest.raises(DecodeError):
            await client.customers.create(source_id="a")
    assert seen.kinds() == ["Request", "Response", "Error"]
    assert seen.of(ErrorEvent)[-1].may_have_been_applied


async def test_an_outcome_that_is_unknown() -> None:
    seen = RecordingHook()
    async with raw_server(None) as server, client_of(server, seen) as client:
        with pytest.raises(OutcomeUnknownError, match=r"POST /v1/customers with a body of 14 bytes was sent"):
            await client.customers.create(name="Ada")
    assert seen.kinds() == ["Request", "Error"]
    assert seen.of(ErrorEvent)[-1].may_have_been_applied


@pytest.mark.parametrize("sent", [False, True])
async def test_a_cancellation_is_reported(sent: bool) -> None:
    seen = RecordingHook()
    async with raw_server(stall) as server, client_of(server, seen, max_connections=1) as client:
        holder = asyncio.create_task(client.customers.create(source_id="a"))
        while not server.requests:  # noqa: ASYNC110  # what arrives at a socket sets no event
            await asyncio.sleep(0.001)
        waiting = asyncio.create_task(client.customers.create(source_id="b"))
        await asyncio.sleep(0.001)
        cancelled = holder if sent else waiting
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        error = seen.of(ErrorEvent)[-1]
        assert (error.error_type, error.cancelled) == ("CancelledError", True)
        assert error.may_have_been_applied is sent
        for task in (holder, waiting):
            task.cancel()
        await asyncio.gather(holder, waiting, return_exceptions=True)


async def test_a_call_that_a_rate_limit_holds_back() -> None:
    seen = RecordingHook()
    blocked = respond(429, headers=("Retry-After: 30",))
    async with raw_server(blocked, CUSTOMER) as server, client_of(server, seen) as client:
        use_clock(client, FakeClock(jitter=0.0))
        with pytest.raises(RateLimitError):
            await client.with_options(retry=NO_RETRY).customers.get("a")
        await client.customers.get("a")
    request = seen.events[-2]
    assert isinstance(request, RequestEvent)
    assert request.waited == 30.0


async def test_views_have_the_same_hooks(sandbox: Sandbox) -> None:
    seen = RecordingHook()
    async with sandbox.client(hooks=[seen]) as client:
        await client.with_options(deadline=3_600).customers.create(source_id="a")
    assert seen.kinds() == ["Request", "Response"]


async def test_a_hook_needs_only_what_it_listens_to(sandbox: Sandbox) -> None:
    statuses: list[int] = []

    class Statuses:
        def on_response(self, event: ResponseEvent) -> None:
            statuses.append(event.status)

    async with sandbox.client(hooks=[Statuses()]) as client:
        await client.customers.create(source_id="a")
    assert statuses == [200]


async def test_a_hook_that_fails_is_logged_and_does_no_harm(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def on_request(self, event: RequestEvent) -> None:
            raise RuntimeError("the hook broke")

    seen = RecordingHook()
    async with sandbox.client(hooks=[Broken(), seen]) as client:
        await client.customers.create(source_id="a")
    assert seen.kinds() == ["Request", "Response"]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "customers.create: a hook failed on on_request"
    assert record.exc_info is not None


def test_events_are_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CallEvent.__setattr__(
            CallEvent(
                call_id=1,
                operation="a",
                method="GET",
                url_template="/",
                base_url="http://127.0.0.1",
                attempt=1,
                elapsed=0.0,
            ),
            "attempt",
            2,
        )


class Coroutine:
    async def on_request(self, event: RequestEvent) -> None: ...


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        (object(), "hooks must be objects with at least one of on_request, on_response, on_retry, on_error"),
        (RecordingHook, "hooks must be objects"),
        (Coroutine(), "hooks must be plain functions"),
    ],
)
def test_what_is_no_hook(hook: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        VoucherifyClient("id", "token", hooks=[hook])


class TestLog:
    async def test_a_line_for_each_attempt_and_a_warning_for_each_retry(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "voucherify_async")
        async with raw_server(respond(503), None, CUSTOMER) as server, client_of(server) as client:
            use_clock(client)
            await client.customers.get("ada@example.com")
        lines = [
            (record.levelname, record.getMessage())
            for record in caplog.records
            if record.name == "voucherify_async"
        ]
        assert [level for level, _ in lines] == ["DEBUG", "WARNING", "DEBUG", "WARNING", "DEBUG"]
        assert lines[0][1] == "customers.get: attempt 1: 503"
        assert lines[1][1] == "customers.get: attempt 1 failed (ServerError); next attempt in 0.50 s"
        assert lines[2][1] == "customers.get: attempt 2: ConnectionFailedError"
        assert lines[4][1] == "customers.get: attempt 3: 200"
        assert not any("ada" in line for _, line in lines)

    @pytest.mark.parametrize(("seconds", "warned"), [(1, False), (30, True)])
    async def test_a_warning_when_a_long_wait_begins_and_one_when_it_ends(
        self, caplog: pytest.LogCaptureFixture, seconds: int, warned: bool
    ) -> None:
        blocked = respond(429, headers=(f"Retry-After: {seconds}",))
        async with raw_server(blocked, CUSTOMER) as server, client_of(server) as client:
            use_clock(client)
            with pytest.raises(VoucherifyError):
                await client.with_options(retry=NO_RETRY).customers.get("a")
            await client.customers.get("a")
        waits = [record.getMessage() for record in caplog.records]
        assert waits == (
            [
                "calls are waiting for the api_calls rate limit",
                "calls resume after waiting 30.0 s for the api_calls rate limit",
            ]
            if warned
            else []
        )

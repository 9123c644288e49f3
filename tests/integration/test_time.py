"""Timeouts and deadlines, on real sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.clocks import use_loop_time
from tests.support.loops import loop_time
from tests.support.wire import CUSTOMER, NO_RETRY, Server, raw_server, reset, respond, running, stall
from voucherify_async import (
    ConnectTimeoutError,
    DeadlineExceededError,
    LocalRateLimiter,
    OutcomeUnknownError,
    RetryPolicy,
    Timeouts,
    VoucherifyClient,
)
from voucherify_async.sandbox import Sandbox


def client_of(base_url: str, **settings: Any) -> VoucherifyClient:
    return VoucherifyClient("id", "token", base_url=base_url, **settings)


@contextmanager
def silent_port() -> Generator[str]:
    """A port whose queue of connections is full, so that the next one is neither made nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers: list[socket.socket] = []
        try:
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for filler in fillers:
                filler.close()


async def test_waiting_for_a_place_is_no_part_of_an_attempt() -> None:
    """100 calls wait up to a second for one of five connections; none takes half a second once it has one."""
    async with Sandbox(latency=0.05) as sandbox, sandbox.client(max_connections=5, timeout=0.5) as client:
        await asyncio.gather(
            *(
                client.with_options(retry=NO_RETRY).customers.create(source_id=str(number))
                for number in range(100)
            )
        )
        assert len(sandbox.store.customers) == 100


@pytest.mark.parametrize("timeouts", [Timeouts(attempt=7.3), Timeouts(read=7.3), Timeouts(connect=7.3)])
async def test_timeouts_above_five_seconds_are_not_rounded_up(
    monkeypatch: pytest.MonkeyPatch, timeouts: Timeouts
) -> None:
    loop = asyncio.get_running_loop()
    planned: list[float] = []
    call_at = loop.call_at

    def listen(when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        planned.append(when - loop.time())
        return call_at(when, *args, **kwargs)

    async with raw_server(CUSTOMER) as server, client_of(server.base_url, timeout=timeouts) as client:
        monkeypatch.setattr(loop, "call_at", listen)
        monkeypatch.setattr(loop, "call_later", lambda delay, *args: listen(loop.time() + delay, *args))
        await client.customers.get("a")
    assert any(delay == pytest.approx(7.3) for delay in planned)


class TestConnecting:
    """Whatever ends an attempt that has no connection yet, nothing was sent."""

    @pytest.mark.parametrize("timeouts", [Timeouts(connect=0.05), Timeouts(attempt=0.05)])
    async def test_a_timeout(self, timeouts: Timeouts) -> None:
        with silent_port() as url:
            async with client_of(url, timeout=timeouts, retry=NO_RETRY) as client:
                with pytest.raises(ConnectTimeoutError, match=r"no connection within 0\.05 s") as caught:
                    await client.customers.create(name="Ada")
        assert not caught.value.may_have_been_applied

    async def test_a_timeout_is_tried_again_even_where_nothing_may_be_repeated(self) -> None:
        with silent_port() as url:
            retry = RetryPolicy(attempts=3, base=0.0)
            async with client_of(url, timeout=0.02, retry=retry) as client:
                with pytest.raises(ConnectTimeoutError) as caught:
                    await client.customers.create(name="Ada")
        assert len(caught.value.attempts) == 2

    async def test_a_deadline(self) -> None:
        with silent_port() as url:
            async with client_of(url, deadline=0.05) as client:
                with pytest.raises(DeadlineExceededError) as caught:
                    await client.customers.create(name="Ada")
        assert not caught.value.may_have_been_applied


async def while_stalled(client: VoucherifyClient) -> None:
    await client.customers.create(name="Ada")


async def while_waiting_for_a_place(client: VoucherifyClient) -> None:
    others = [asyncio.create_task(client.with_options(deadline=None).customers.get("a")) for _ in range(2)]
    await asyncio.sleep(0)
    try:
        await client.customers.get("a")
    finally:
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def while_a_limiter_waits(client: VoucherifyClient) -> None:
    limiter = LocalRateLimiter(1, 60)
    await limiter.acquire("api_calls", 0)  # and it is never answered
    await client.with_options(rate_limiter=limiter).customers.get("a")


@pytest.mark.parametrize("call", [while_stalled, while_waiting_for_a_place, while_a_limiter_waits])
async def test_a_deadline_is_kept(call: Callable[[VoucherifyClient], Awaitable[None]]) -> None:
    async with raw_server(stall) as server, client_of(server.base_url, max_connections=2) as client:
        use_loop_time(client)
        began = loop_time()
        with pytest.raises(DeadlineExceededError):
            await call(client.with_options(deadline=0.15))
        assert 0.149 < loop_time() - began < 0.2


async def test_a_deadline_that_comes_between_two_attempts() -> None:
    """The pause would end in time, but not the attempt after it."""
    async with raw_server(respond(503), stall) as server:
        retry = RetryPolicy(base=0.02, cap=0.02)
        async with client_of(server.base_url, deadline=0.15, retry=retry) as client:
            use_loop_time(client)
            with pytest.raises(DeadlineExceededError) as caught:
                await client.customers.create(source_id="a")
    assert len(server.requests) == 2
    assert [str(attempt) for attempt in caught.value.attempts] == [
        "customers.create: 503: Service Unavailable"
    ]
    assert caught.value.may_have_been_applied


async def test_a_body_that_is_lost_half_way_may_have_been_applied() -> None:
    """The server has not read all of it."""
    items = [{"source_id": str(number), "description": "x" * 10_000} for number in range(500)]
    async with running(Server(reset)) as server, client_of(server.base_url) as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.customers.update_in_bulk(items)
    assert caught.value.may_have_been_applied

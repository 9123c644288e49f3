"""A call that is cancelled, wherever it is: it says so, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import io
import itertools
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from tests.support.clocks import FakeClock, use_clock
from tests.support.hooks import RecordingHook
from tests.support.internals import (
    acquired_protocols,
    calls_waiting_at_the_gate,
    calls_waiting_for_a_slot,
    calls_waiting_for_a_token,
    calls_waiting_for_the_limiter,
    check_queues_are_empty,
    slots_in_use,
    token_is_fetched,
)
from tests.support.loops import until
from tests.support.wire import (
    CUSTOMER,
    NO_RETRY,
    Face,
    RawServer,
    Reply,
    in_order,
    raw_server,
    respond,
    running,
    stall,
)
from voucherify_async import (
    ConnectTimeoutError,
    DeadlineExceededError,
    ErrorEvent,
    LocalRateLimiter,
    OAuthClientCredentials,
    RateLimitError,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
    RetryPolicy,
    Timeouts,
    VoucherifyClient,
    VoucherifyError,
)

Call = Callable[[VoucherifyClient], Coroutine[Any, Any, Any]]


async def get(client: VoucherifyClient) -> Any:
    return await client.customers.get("a")


async def create(client: VoucherifyClient) -> Any:
    return await client.customers.create(source_id="a")


def check_ends(hook: RecordingHook) -> None:
    """One end for each call, and nothing after it."""
    calls: defaultdict[int, list[Any]] = defaultdict(list)
    for event in hook.events:
        calls[event.call_id].append(event)
    for events in calls.values():
        ends = [isinstance(event, ErrorEvent) or getattr(event, "final", False) for event in events]
        assert ends == [False] * (len(ends) - 1) + [True], events


@dataclass
class World:
    """A client, what it talks to, and all that a call can leave behind."""

    client: VoucherifyClient
    limiter: object
    hook: RecordingHook
    clock: FakeClock
    server: RawServer
    tasks: set[asyncio.Task[Any]]

    async def check(self) -> None:
        for _ in range(5):  # tasks of aiohttp's that were cancelled have not ended yet
            await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - self.tasks - self.server.tasks
        assert tasks == set()
        assert slots_in_use(self.client) == 0
        assert calls_waiting_for_a_slot(self.client) == 0
        assert acquired_protocols(self.client) == []
        check_queues_are_empty(self.client)
        if isinstance(self.limiter, Counting):
            assert self.limiter.under_way == 0
        check_ends(self.hook)
        assert self.clock.asleep == {}


@asynccontextmanager
async def world(server: RawServer, clock: FakeClock | None = None, **settings: Any) -> AsyncGenerator[World]:
    """A client with one connection, in a world whose time stands still."""
    hook = RecordingHook()
    clock = clock or FakeClock(held=True)
    settings = {"base_url": server.base_url, "max_connections": 1, "trust_env": False, **settings}
    if "auth" not in settings:
        settings |= {"app_id": "id", "app_token": "secret"}
    async with VoucherifyClient(hooks=[hook], **settings) as client:
        use_clock(client, clock)
        limiter = settings.get("rate_limiter")
        yield World(client, limiter, hook, clock, server, asyncio.all_tasks() - server.tasks)


async def nothing() -> None:
    pass


async def works(world: World) -> None:
    assert (await get(world.client)).id == "cust_1"


@dataclass
class Stuck:
    """A call that waits at a certain place.

    Attributes:
        world: Where.
        is_reached: Whether the call is there.
        call: The call.
        applied: Whether it may have been applied by then.
        relieve: Ends what made it wait, and the other calls.
        afterwards: The next call.
    """

    world: World
    is_reached: Callable[[], bool]
    call: Call = get
    applied: bool = False
    relieve: Callable[[], Awaitable[object]] = nothing
    afterwards: Callable[[World], Awaitable[object]] = works

    async def reach(self) -> None:
        await until(self.is_reached)
        for _ in range(3):
            await asyncio.sleep(0)
        assert self.is_reached()


Stage = Callable[[AsyncExitStack], Awaitable[Stuck]]

CREDENTIALS = OAuthClientCredentials("id", "secret")
TOKEN = respond(body=b'{"access_token":"token","expires_in":900}')


def others(here: World, count: int = 1) -> tuple[list[asyncio.Task[Any]], Callable[[], Awaitable[object]]]:
    """Calls beside the one that is cancelled, and what cancels them."""
    tasks = [asyncio.create_task(get(here.client)) for _ in range(count)]
    here.tasks.update(tasks)

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return tasks, end


async def renewing(stack: AsyncExitStack) -> tuple[World, RawServer, Callable[[], Awaitable[None]]]:
    """A world in which a token comes when the function that is returned says so; that waits for it."""
    go_on = asyncio.Event()

    async def slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(TOKEN)
        await writer.drain()

    server = await stack.enter_async_context(raw_server(slowly, CUSTOMER))
    here = await stack.enter_async_context(world(server, auth=CREDENTIALS))

    async def finish() -> None:
        go_on.set()
        await until(lambda: not token_is_fetched(here.client))

    return here, server, finish


async def leads_a_renewal(stack: AsyncExitStack) -> Stuck:
    here, server, finish = await renewing(stack)
    return Stuck(here, lambda: len(server.requests) == 1, create, relieve=finish)


async def leads_a_renewal_that_others_wait_for(stack: AsyncExitStack) -> Stuck:
    here, server, finish = await renewing(stack)
    followers: list[asyncio.Task[Any]] = []

    def is_reached() -> bool:
        if server.requests and not followers:
            followers.extend(asyncio.create_task(here.client.customers.get("a")) for _ in range(3))
            here.tasks.update(followers)
            return False
        return len(server.requests) == 1 and bool(followers)

    async def relieve() -> None:
        await finish()
        assert [(await follower).id for follower in followers] == ["cust_1"] * 3
        asked = [request.startswith(b"POST /v1/oauth/token") for request in server.requests]
        assert asked == [True, False, False, False]

    return Stuck(here, is_reached, create, relieve=relieve)


async def follows_a_renewal(stack: AsyncExitStack) -> Stuck:
    here, server, finish = await renewing(stack)
    leader, _ = others(here)

    def is_reached() -> bool:
        return len(server.requests) == 1 and calls_waiting_for_a_token(here.client) == 2

    async def relieve() -> None:
        await finish()
        assert (await leader[0]).id == "cust_1"
        assert len(server.requests) == 2

    return Stuck(here, is_reached, create, relieve=relieve)


def waits_for_a_place(pool: float | None) -> Stage:
    async def stage(stack: AsyncExitStack) -> Stuck:
        server = await stack.enter_async_context(raw_server(stall, CUSTOMER))
        here = await stack.enter_async_context(world(server, timeout=Timeouts(pool=pool)))
        _, relieve = others(here)
        await until(lambda: len(server.requests) == 1)
        return Stuck(here, lambda: calls_waiting_for_a_slot(here.client) == 1, create, relieve=relieve)

    return stage


REFUSED = respond(429, headers=("Retry-After: 7",))


def waits_at_the_gate(ahead: int) -> Stage:
    async def stage(stack: AsyncExitStack) -> Stuck:
        server = await stack.enter_async_context(raw_server(REFUSED, CUSTOMER))
        here = await stack.enter_async_context(world(server, rate_limiter=None))
        with pytest.raises(RateLimitError):
            await get(here.client.with_options(retry=NO_RETRY))
        first, _ = others(here, ahead)

        async def relieve() -> None:
            here.clock.release()
            await asyncio.gather(*first)

        return Stuck(
            here, lambda: calls_waiting_at_the_gate(here.client) == ahead + 1, create, relieve=relieve
        )

    return stage


def waits_for_the_window(ahead: int) -> Stage:
    """Of a limiter of our own: one call a minute."""

    async def stage(stack: AsyncExitStack) -> Stuck:
        server = await stack.enter_async_context(raw_server(CUSTOMER))
        clock = FakeClock(held=True)
        limiter = LocalRateLimiter(1, 60, clock=clock)
        here = await stack.enter_async_context(
            world(server, clock, rate_limiter=limiter, retry=RetryPolicy(max_server_wait=600))
        )
        await get(here.client)
        first, _ = others(here, ahead)

        async def relieve() -> None:
            here.clock.release()
            await asyncio.gather(*first)

        return Stuck(
            here, lambda: calls_waiting_for_the_limiter(here.client) == ahead + 1, create, relieve=relieve
        )

    return stage


async def waits_for_the_end_of_another(stack: AsyncExitStack) -> Stuck:
    """It may only be sent some time after the one before has ended."""
    server = await stack.enter_async_context(raw_server(stall, CUSTOMER))
    clock = FakeClock(held=True)
    limiter = LocalRateLimiter(1, 60, clock=clock)
    here = await stack.enter_async_context(world(server, clock, rate_limiter=limiter, max_connections=2))
    _, end = others(here)
    await until(lambda: len(server.requests) == 1)

    async def relieve() -> None:
        await end()
        here.clock.release()

    return Stuck(here, lambda: calls_waiting_for_the_limiter(here.client) == 1, create, relieve=relieve)


def limited(remaining: int) -> bytes:
    told = (
        f"X-Rate-Limit-Remaining: {remaining}",
        "X-Rate-Limit-Limit: 100",
        "X-Rate-Limit-Retry: 1767225607",
    )
    return respond(body=b'{"id":"cust_1"}', headers=told)


async def sleeps_until_the_service_takes_more(stack: AsyncExitStack) -> Stuck:
    server = await stack.enter_async_context(raw_server(limited(0), CUSTOMER))
    here = await stack.enter_async_context(world(server))
    await get(here.client)

    async def relieve() -> None:
        here.clock.release()

    return Stuck(here, lambda: len(here.clock.asleep) == 1, create, relieve=relieve)


async def waits_for_an_answer_to_another(stack: AsyncExitStack) -> Stuck:
    server = await stack.enter_async_context(raw_server(limited(1), stall, CUSTOMER))
    here = await stack.enter_async_context(world(server, max_connections=2))
    await get(here.client)
    _, relieve = others(here)
    await until(lambda: len(server.requests) == 2)
    return Stuck(here, lambda: calls_waiting_for_the_limiter(here.client) == 1, create, relieve=relieve)


async def has_leave_and_waits_for_a_place(stack: AsyncExitStack) -> Stuck:
    """Who waits for leave holds no place, and somebody else has taken it."""
    server = await stack.enter_async_context(raw_server(REFUSED, stall, CUSTOMER))
    clock = FakeClock(held=True)
    limiter = LocalRateLimiter(10, 60, clock=clock)
    here = await stack.enter_async_context(world(server, clock, rate_limiter=limiter))
    with pytest.raises(RateLimitError):
        await get(here.client.with_options(retry=NO_RETRY))
    _, relieve = others(here)
    await until(lambda: len(clock.asleep) == 1)

    def is_reached() -> bool:
        # Both wait at the gate; the first goes through, and takes the place.
        if calls_waiting_at_the_gate(here.client) == 2:
            clock.release()
        return calls_waiting_for_a_slot(here.client) == 1

    return Stuck(here, is_reached, create, relieve=relieve)


@contextmanager
def listening(backlog: int) -> Generator[socket.socket]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
        listener.setblocking(False)
        yield listener


async def connects(stack: AsyncExitStack) -> Stuck:
    """To a host that takes no further connection, and does not say so."""
    listener = stack.enter_context(listening(0))
    address = listener.getsockname()
    fillers: list[socket.socket] = []
    for _ in range(2):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(address)
        fillers.append(filler)
    server = RawServer(in_order(CUSTOMER))
    server.base_url = f"http://127.0.0.1:{address[1]}"
    here = await stack.enter_async_context(world(server))

    async def relieve() -> None:
        for filler in fillers:
            filler.close()
        await stack.enter_async_context(running(server, sock=listener.dup()))

    return Stuck(here, lambda: slots_in_use(here.client) == 1, create, relieve=relieve)


async def shakes_hands(stack: AsyncExitStack) -> Stuck:
    """By TLS, with somebody who does not."""
    server = await stack.enter_async_context(raw_server(stall))
    here = await stack.enter_async_context(
        world(server, base_url=server.base_url.replace("http", "https"), retry=NO_RETRY)
    )

    async def afterwards(_: World) -> None:
        # It gets as far as the one before, and thus has a place.
        with pytest.raises(ConnectTimeoutError):
            await get(here.client.with_options(timeout=0.02))
        assert server.connections == 2

    return Stuck(here, lambda: server.connections == 1, create, afterwards=afterwards)


async def sends_a_large_body(stack: AsyncExitStack) -> Stuck:
    """To a server that does not read."""
    listener = stack.enter_context(listening(5))
    server = RawServer(in_order(CUSTOMER))
    server.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    here = await stack.enter_async_context(world(server))

    async def send(client: VoucherifyClient) -> Any:
        return await client.request("POST", "/v1/x", content=b"x" * 10_000_000)

    def is_reached() -> bool:
        return any(
            protocol.transport is not None and protocol.transport.get_write_buffer_size()
            for protocol in acquired_protocols(here.client)
        )

    async def relieve() -> None:
        await stack.enter_async_context(running(server, sock=listener.dup()))

    return Stuck(here, is_reached, send, applied=True, relieve=relieve)


def waits_for_an_answer(call: Call, applied: bool) -> Stage:
    async def stage(stack: AsyncExitStack) -> Stuck:
        server = await stack.enter_async_context(raw_server(stall, CUSTOMER))
        here = await stack.enter_async_context(world(server))
        return Stuck(here, lambda: len(server.requests) == 1, call, applied)

    return stage


def reads(part: bytes) -> Stage:
    """The answer, which stops."""

    async def stage(stack: AsyncExitStack) -> Stuck:
        sent = False

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(part)
            sent = True
            await stall(reader, writer)

        server = await stack.enter_async_context(raw_server(script, CUSTOMER))
        here = await stack.enter_async_context(world(server))
        return Stuck(here, lambda: sent, create, applied=True)

    return stage


def pauses_after(answer: bytes, call: Call, applied: bool) -> Stage:
    async def stage(stack: AsyncExitStack) -> Stuck:
        server = await stack.enter_async_context(raw_server(answer, CUSTOMER))
        here = await stack.enter_async_context(world(server, rate_limiter=None))

        async def relieve() -> None:
            here.clock.release()

        return Stuck(here, lambda: len(here.clock.asleep) == 1, call, applied, relieve)

    return stage


async def makes_its_second_attempt(stack: AsyncExitStack) -> Stuck:
    """The first may have been applied, and the second is not sent yet."""
    server = await stack.enter_async_context(raw_server(respond(503), stall, CUSTOMER))
    here = await stack.enter_async_context(world(server))
    first: list[asyncio.Task[Any]] = []

    def is_reached() -> bool:
        if here.clock.asleep and not first:
            first.append(asyncio.create_task(get(here.client)))
        if len(server.requests) == 2:
            here.clock.release()
        return calls_waiting_for_a_slot(here.client) == 1

    async def relieve() -> None:
        first[0].cancel()
        await asyncio.wait(first)

    return Stuck(here, is_reached, create, applied=True, relieve=relieve)


BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"

STAGES: list[Any] = [
    pytest.param(leads_a_renewal, id="leads a renewal"),
    pytest.param(leads_a_renewal_that_others_wait_for, id="leads a renewal that others wait for"),
    pytest.param(follows_a_renewal, id="follows a renewal"),
    pytest.param(waits_for_a_place(None), id="waits for a place"),
    pytest.param(waits_for_a_place(5), id="waits for a place, with a limit"),
    pytest.param(waits_at_the_gate(0), id="waits at the gate"),
    pytest.param(waits_at_the_gate(1), id="waits at the gate, second in line"),
    pytest.param(waits_for_the_window(0), id="waits for a window"),
    pytest.param(waits_for_the_window(1), id="waits for a window, second in line"),
    pytest.param(waits_for_the_window(2), id="waits for a window, third in line"),
    pytest.param(waits_for_the_end_of_another, id="waits for the end of another call"),
    pytest.param(sleeps_until_the_service_takes_more, id="sleeps until the service takes more"),
    pytest.param(waits_for_an_answer_to_another, id="waits for an answer to another call"),
    pytest.param(has_leave_and_waits_for_a_place, id="has leave, and waits for a place"),
    pytest.param(connects, id="connects"),
    pytest.param(shakes_hands, id="shakes hands"),
    pytest.param(sends_a_large_body, id="sends a large body"),
    pytest.param(waits_for_an_answer(get, applied=False), id="waits for an answer to what reads"),
    pytest.param(waits_for_an_answer(create, applied=True), id="waits for an answer to what writes"),
    pytest.param(reads(BEGUN), id="reads the head"),
    pytest.param(reads(BEGUN + b"\r\n{"), id="reads the body"),
    pytest.param(pauses_after(respond(503), get, applied=False), id="pauses, having read"),
    pytest.param(pauses_after(respond(503), create, applied=True), id="pauses, having written"),
    pytest.param(pauses_after(REFUSED, create, applied=False), id="pauses, having been refused"),
    pytest.param(makes_its_second_attempt, id="makes its second attempt"),
]


# ---------------------------------------------------------------- ways to cancel


class Scopes:
    """The deadlines of calls, which can be made to expire."""

    LENGTH = 3_600.0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[asyncio.Timeout] = []
        self._timeout = asyncio.timeout
        monkeypatch.setattr(asyncio, "timeout", self)

    def __call__(self, delay: float | None) -> asyncio.Timeout:
        scope = self._timeout(delay)
        if delay == self.LENGTH:
            self.found.append(scope)
        return scope

    def expire(self) -> None:
        self.found[0].reschedule(0)


Way = Callable[[Stuck, Scopes], Awaitable[None]]


async def by_cancel(stuck: Stuck, scopes: Scopes) -> None:
    task = asyncio.create_task(stuck.call(stuck.world.client))
    await stuck.reach()
    assert task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def by_cancelling_twice(stuck: Stuck, scopes: Scopes) -> None:
    task = asyncio.create_task(stuck.call(stuck.world.client))
    await stuck.reach()
    task.cancel()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_timeout(stuck: Stuck, scopes: Scopes) -> None:
    async def bounded() -> int:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(None) as scope:
                outer.append(scope)
                await stuck.call(stuck.world.client)
        assert not isinstance(caught.value, VoucherifyError)
        return current().cancelling()

    outer: list[asyncio.Timeout] = []
    task = asyncio.create_task(bounded())
    await stuck.reach()
    outer[0].reschedule(0)
    assert await task == 0


async def by_move_on_after(stuck: Stuck, scopes: Scopes) -> None:
    async def bounded() -> int:
        with anyio.move_on_after(None) as scope:
            outer.append(scope)
            await stuck.call(stuck.world.client)
        assert scope.cancelled_caught
        return current().cancelling()

    outer: list[anyio.CancelScope] = []
    task = asyncio.create_task(bounded())
    await stuck.reach()
    outer[0].deadline = anyio.current_time()
    assert await task == 0


async def by_fail_after(stuck: Stuck, scopes: Scopes) -> None:
    async def bounded() -> int:
        with pytest.raises(TimeoutError) as caught, anyio.fail_after(None) as scope:
            outer.append(scope)
            await stuck.call(stuck.world.client)
        assert not isinstance(caught.value, VoucherifyError)
        return current().cancelling()

    outer: list[anyio.CancelScope] = []
    task = asyncio.create_task(bounded())
    await stuck.reach()
    outer[0].deadline = anyio.current_time()
    assert await task == 0


async def by_the_failure_of_a_sibling(stuck: Stuck, scopes: Scopes) -> None:
    async def fail() -> None:
        await stuck.reach()
        raise KeyError("elsewhere")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(stuck.call(stuck.world.client))
            await fail()
    assert [type(error) for error in caught.value.exceptions] == [KeyError]
    assert current().cancelling() == 0


def with_deadline(stuck: Stuck) -> asyncio.Task[Any]:
    return asyncio.create_task(stuck.call(stuck.world.client.with_options(deadline=Scopes.LENGTH)))


async def with_the_deadline_just_after(stuck: Stuck, scopes: Scopes) -> None:
    task = with_deadline(stuck)
    await stuck.reach()
    task.cancel()
    scopes.expire()
    with pytest.raises(asyncio.CancelledError):
        await task


async def with_the_deadline_just_before(stuck: Stuck, scopes: Scopes) -> None:
    task = with_deadline(stuck)
    await stuck.reach()
    scopes.expire()
    await asyncio.sleep(0)  # it has expired, and the call does not know
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def with_a_timeout_and_the_deadline(stuck: Stuck, scopes: Scopes) -> None:
    """Of the two that end at once, the caller's own is outside."""

    async def bounded() -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as scope:
                outer.append(scope)
                await stuck.call(stuck.world.client.with_options(deadline=Scopes.LENGTH))
        return current().cancelling()

    outer: list[asyncio.Timeout] = []
    task = asyncio.create_task(bounded())
    await stuck.reach()
    scopes.expire()
    outer[0].reschedule(0)
    assert await task == 0


def current() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


WAYS: list[Any] = [
    by_cancel,
    by_cancelling_twice,
    by_timeout,
    by_move_on_after,
    by_fail_after,
    by_the_failure_of_a_sibling,
    with_the_deadline_just_after,
    with_the_deadline_just_before,
    with_a_timeout_and_the_deadline,
]


@pytest.fixture
def scopes(monkeypatch: pytest.MonkeyPatch) -> Scopes:
    return Scopes(monkeypatch)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.replace("_", " "))
@pytest.mark.parametrize("stage", STAGES)
async def test_a_call_is_cancelled_while_it(stage: Stage, way: Way, scopes: Scopes) -> None:
    async with AsyncExitStack() as stack:
        stuck = await stage(stack)
        here = stuck.world
        known = len(here.hook.of(ErrorEvent))
        await way(stuck, scopes)
        ends = here.hook.of(ErrorEvent)[known:]
        told = {
            event.operation: (event.error_type, event.cancelled, event.may_have_been_applied)
            for event in ends
            if event.operation != "oauth.create_token"
        }
        assert list(told.values()) == [("CancelledError", True, stuck.applied)]
        await stuck.relieve()
        await stuck.afterwards(here)
        await here.check()


@pytest.mark.parametrize("stage", STAGES)
async def test_its_deadline_ends_while_it(stage: Stage, scopes: Scopes) -> None:
    async with AsyncExitStack() as stack:
        stuck = await stage(stack)
        here = stuck.world
        task = with_deadline(stuck)
        await stuck.reach()
        scopes.expire()
        with pytest.raises(DeadlineExceededError) as caught:
            await task
        assert caught.value.may_have_been_applied == stuck.applied
        [end] = [event for event in here.hook.events if getattr(event, "cancelled", None) is False][-1:]
        assert (end.error_type, end.may_have_been_applied) == ("DeadlineExceededError", stuck.applied)
        await stuck.relieve()
        await stuck.afterwards(here)
        await here.check()


# ---------------------------------------------------------------- after any number of steps


class Counting:
    """A limiter of the caller's own, that has to ask somebody."""

    def __init__(self) -> None:
        self.under_way = 0

    async def acquire(self, kind: str, max_wait: float) -> float | None:
        if self.under_way:
            await asyncio.sleep(0)
        if self.under_way and not max_wait:
            return 1.0
        await asyncio.sleep(0)
        self.under_way += 1
        return None

    def release(self, kind: str, told: object, wait: float | None) -> None:
        self.under_way -= 1


def replying(face: Face) -> AbstractAsyncContextManager[RawServer]:
    """A server that keeps its connections."""
    return running(RawServer(face, keep_alive=True))


def in_turn(*answers: bytes | None) -> Face:
    turn = itertools.cycle(answers)
    return lambda _: next(turn)


def with_tokens(face: Face, lifetime: int = 0) -> Face:
    """Tokens that have to be renewed for each call."""
    token = respond(body=b'{"access_token":"token","expires_in":%d}' % lifetime)
    return lambda request: token if request.startswith(b"POST /v1/oauth/token") else face(request)


async def piece_by_piece(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for piece in (CUSTOMER[:30], CUSTOMER[30:-8], CUSTOMER[-8:]):
        writer.write(piece)
        await asyncio.sleep(0)


async def two(client: VoucherifyClient) -> Any:
    return await asyncio.gather(get(client), get(client))


async def upload(client: VoucherifyClient) -> Any:
    return await client.request("POST", "/v1/x", content=b"x" * 1_000_000)


async def wait(client: VoucherifyClient) -> Any:
    return await client.async_actions.wait("a", timeout=10)


async def walk(client: VoucherifyClient) -> Any:
    return await client.customers.list().to_list()


ACTIONS = in_turn(
    respond(body=b'{"id":"a","status":"IN_PROGRESS"}'), respond(body=b'{"id":"a","status":"DONE"}')
)
PAGES = in_turn(*[respond(body=b'{"customers":[{"id":"a"}],"has_more":true,"total":9}')] * 2)


def beside(face: Face) -> Face:
    """What is asked afterwards is answered in any case."""

    def either(request: bytes) -> Reply:
        return CUSTOMER if b"/v1/customers/afterwards" in request else face(request)

    return either


SCENES: list[Any] = [
    pytest.param(in_turn(CUSTOMER), get, {}, id="a call"),
    pytest.param(in_turn(CUSTOMER), get, {"deadline": 3_600}, id="a call with a deadline"),
    pytest.param(
        in_turn(respond(body=b'{"id":"cust_1"}', headers=("Connection: close",))),
        get,
        {},
        id="new connections",
    ),
    pytest.param(in_turn(CUSTOMER, None), get, {}, id="connections that are closed"),
    pytest.param(in_turn(respond(503), CUSTOMER), create, {}, id="a second attempt"),
    pytest.param(in_turn(respond(429, headers=("Retry-After: 1",)), CUSTOMER), create, {}, id="a refusal"),
    pytest.param(lambda _: piece_by_piece, get, {}, id="an answer in pieces"),
    pytest.param(in_turn(CUSTOMER), upload, {}, id="a large body"),
    pytest.param(in_turn(CUSTOMER), two, {}, id="two calls"),
    pytest.param(in_turn(CUSTOMER), two, {"timeout": Timeouts(pool=5)}, id="two calls that wait for so long"),
    pytest.param(with_tokens(in_turn(CUSTOMER)), get, {"auth": CREDENTIALS}, id="a renewal"),
    pytest.param(with_tokens(in_turn(CUSTOMER)), two, {"auth": CREDENTIALS}, id="two calls and renewals"),
    pytest.param(
        with_tokens(in_turn(respond(401), CUSTOMER), 900),
        create,
        {"auth": CREDENTIALS},
        id="a token that is refused",
    ),
    pytest.param(in_turn(CUSTOMER), two, {"rate_limiter": LocalRateLimiter}, id="a local limit"),
    pytest.param(in_turn(CUSTOMER), two, {"rate_limiter": Counting()}, id="a limiter of one's own"),
    pytest.param(in_turn(limited(0)), two, {}, id="a limit of the service's"),
    pytest.param(in_turn(limited(1)), two, {"max_connections": 2}, id="one call at a time"),
    pytest.param(ACTIONS, wait, {}, id="a job that is waited for"),
    pytest.param(in_turn(respond(404)), get, {}, id="an error"),
    pytest.param(in_turn(respond(body=b"[]")), get, {}, id="an answer of another shape"),
]


@pytest.mark.parametrize(("face", "call", "settings"), SCENES)
async def test_a_call_is_cancelled_after_any_number_of_steps(
    face: Face, call: Call, settings: dict[str, Any]
) -> None:
    clock = FakeClock()
    if settings.get("rate_limiter") is LocalRateLimiter:
        settings = {"rate_limiter": LocalRateLimiter(1, 1, clock=clock)}
    outcomes: Counter[str] = Counter()
    async with replying(beside(face)) as server, world(server, clock, **settings) as here:
        for steps in range(300):
            task = asyncio.create_task(call(here.client))
            for _ in range(steps):
                await asyncio.sleep(0)
            ended = task.done()
            task.cancel()
            await asyncio.wait([task])
            outcome = "CancelledError" if task.cancelled() else type(task.exception()).__name__
            outcomes[outcome] += 1
            assert task.cancelled() or ended
            assert (await here.client.customers.get("afterwards")).id == "cust_1"
            await here.check()
            if ended and steps % 2:  # scenes of two answers come both ways
                break
        else:
            pytest.fail("the call does not end by itself")
    assert outcomes["CancelledError"] > 3


@pytest.mark.parametrize("steps", range(1, 40, 3))
async def test_a_scope_of_anyios_is_left_after_any_number_of_steps(steps: int) -> None:
    """anyio cancels again and again, until the scope is left."""
    async with replying(in_turn(respond(503), CUSTOMER)) as server, world(server, FakeClock()) as here:
        client = here.client.with_options(deadline=3_600)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    for _ in range(steps):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()

                group.start_soon(cancel)
                await get(client)
        assert current().cancelling() == 0
        assert (await get(client)).id == "cust_1"
        await here.check()


# ---------------------------------------------------------------- what a cancelled call leaves


@pytest.mark.parametrize("seconds", [None, 0.05], ids=["cancelled", "timed out"])
async def test_a_connection_with_a_body_that_nobody_reads_is_gone(seconds: float | None) -> None:
    """Closing it in an orderly way would wait until all is sent: until the other side deigns to read."""
    async with AsyncExitStack() as stack:
        stuck = await sends_a_large_body(stack)
        here = stuck.world
        task = asyncio.create_task(stuck.call(here.client.with_options(timeout=seconds, retry=NO_RETRY)))
        await stuck.reach()
        [protocol] = acquired_protocols(here.client)
        connection = protocol.transport.get_extra_info("socket")
        if seconds is None:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: connection.fileno() == -1)


async def test_a_cancelled_call_does_no_harm_to_the_one_that_has_its_connection_now() -> None:
    """An answer that is complete frees its connection before the call that asked for it has noticed."""
    async with replying(lambda _: piece_by_piece) as server, world(server, max_connections=2) as here:
        client = here.client.with_options(retry=NO_RETRY)
        taken = 0
        for steps in range(1, 60):
            connections = server.connections
            call = asyncio.create_task(get(client))
            for _ in range(steps):
                await asyncio.sleep(0)
            ended = call.done()
            following = asyncio.create_task(client.customers.create(name="Ada"))
            call.cancel()
            assert (await following).id == "cust_1"
            await asyncio.wait([call])
            taken += call.cancelled() and server.connections == connections
            await here.check()
            if ended:
                break
        assert taken


class SlowFile(io.BytesIO):
    """As on a network disk."""

    def __init__(self) -> None:
        super().__init__(b"Source_id\na\n")
        self.is_read = threading.Event()
        self.goes_on = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.is_read.set()
        self.goes_on.wait(2)
        return super().read(size)


async def test_a_call_is_cancelled_while_its_file_is_read() -> None:
    async with raw_server(CUSTOMER) as server, world(server) as here:
        file = SlowFile()
        task = asyncio.create_task(here.client.customers.import_csv(file))
        await until(file.is_read.is_set)
        task.cancel()
        await asyncio.wait([task], timeout=1)
        assert task.cancelled()
        file.goes_on.set()
        await works(here)
        await here.check()
        assert len(server.requests) == 1


async def test_no_request_follows_a_cancelled_one() -> None:
    """What is not to be repeated was sent once, however often it was cancelled."""
    async with raw_server(stall) as server, world(server) as here:
        for _ in range(5):
            known = len(server.requests)
            task = asyncio.create_task(here.client.customers.create(name="Ada"))
            await until(lambda: len(server.requests) > known)  # noqa: B023  # awaited here
            task.cancel()
            await asyncio.wait([task])
        await here.check()
    assert len(server.requests) == 5


async def test_who_waits_for_a_place_gets_it_when_the_one_before_is_cancelled() -> None:
    async with raw_server(stall, CUSTOMER) as server, world(server) as here:
        calls = [asyncio.create_task(get(here.client)) for _ in range(5)]
        await until(lambda: len(server.requests) == 1 and calls_waiting_for_a_slot(here.client) == 4)
        # The place is given to the second while it is being cancelled.
        calls[0].cancel()
        await asyncio.sleep(0)
        calls[1].cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result).__name__ for result in results] == ["CancelledError"] * 2 + ["Customer"] * 3
        await here.check()


@pytest.mark.parametrize("steps", range(12))
async def test_a_place_is_handed_on_at_any_step(steps: int) -> None:
    async with raw_server(CUSTOMER) as server, world(server, timeout=Timeouts(pool=5)) as here:
        await get(here.client)
        calls = [asyncio.create_task(get(here.client)) for _ in range(6)]
        for call in calls[::2]:
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result).__name__ for result in results} <= {"CancelledError", "Customer"}
        assert all(type(result).__name__ == "Customer" for result in results[1::2])
        await here.check()


async def test_what_the_hooks_are_told_of_a_call_that_is_cancelled() -> None:
    async with raw_server(respond(503), stall, CUSTOMER) as server, world(server, FakeClock()) as here:
        task = asyncio.create_task(create(here.client))
        await until(lambda: len(server.requests) == 2)
        task.cancel()
        await asyncio.wait([task])
        events = here.hook.events
        expected = [RequestEvent, ResponseEvent, RetryEvent, RequestEvent, ErrorEvent]
        assert [type(event) for event in events] == expected
        assert len({event.call_id for event in events}) == 1
        assert (events[-1].attempt, events[-1].status, events[-1].cancelled) == (2, None, True)

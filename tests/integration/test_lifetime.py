"""What a client leaves behind after many calls, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import socket
import tracemalloc
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import pytest

from tests.support.clocks import FakeClock, use_clock
from tests.support.faults import refusing
from tests.support.loops import loop_time, until
from tests.support.wire import CUSTOMER, NO_RETRY, respond
from voucherify_async import (
    ConfigurationError,
    LocalRateLimiter,
    OAuthClientCredentials,
    RetryPolicy,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async._transport.clock import Clock
from voucherify_async.sandbox import Sandbox

SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))
# What is promised is promised of ten thousand calls.
SOAK = max(10_000, int(10_000 * SOAK_SCALE))
NORMAL = 2_000
WARM_UP = 200
MEGABYTE = 1024 * 1024
PLACES = 10

# ---------------------------------------------------------------- a server for many calls


@dataclass
class Answer:
    """What is sent, and what happens to the connection then.

    Attributes:
        content: The bytes.
        closes: Whether the connection is closed.
        aborts: Whether it is reset.
        waits: Whether nothing is sent at all.
    """

    content: bytes = CUSTOMER
    closes: bool = False
    aborts: bool = False
    waits: bool = False


Face = Callable[[bytes], Answer]


@dataclass
class Server:
    """A server of canned answers; faster than one of streams, as it makes thousands."""

    face: Face
    base_url: str = ""
    requests: int = 0
    connections: int = 0
    transports: set[asyncio.Transport] = field(default_factory=set[asyncio.Transport])
    closed_at: float | None = None

    @property
    def port(self) -> int:
        return int(self.base_url.rpartition(":")[2])


class Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections += 1
        self.server.transports.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.transports.discard(self.transport)
        self.server.closed_at = loop_time()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        _, _, length = head.partition(b"Content-Length: ")
        if not end or len(body) < int(length.split(b"\r\n")[0] or 0):
            return
        request, self.received = self.received, b""
        self.server.requests += 1
        answer = self.server.face(request)
        if answer.waits:
            return
        self.transport.write(answer.content)
        if answer.closes:
            self.transport.close()
        if answer.aborts:
            self.transport.abort()


@asynccontextmanager
async def serving(face: Face, sock: socket.socket | None = None) -> AsyncGenerator[Server]:
    server = Server(face)
    loop = asyncio.get_running_loop()
    if sock is None:
        listener = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0)
    else:
        listener = await loop.create_server(lambda: Connection(server), sock=sock)
    server.base_url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for transport in list(server.transports):
            transport.abort()
        await asyncio.sleep(0)


def client_of(server: Server, **settings: Any) -> VoucherifyClient:
    settings = {"base_url": server.base_url, "max_connections": PLACES, **settings}
    if "auth" not in settings:
        settings |= {"app_id": "id", "app_token": "secret"}
    return VoucherifyClient(**settings)


# ---------------------------------------------------------------- many calls


def always(_: bytes) -> Answer:
    return Answer()


OTHER_ANSWERS = [
    Answer(),
    Answer(respond(404, b'{"code":404,"key":"not_found","message":"' + b"x" * 5_000 + b'"}')),
    Answer(respond(503, b"<html>" + b"x" * 5_000)),
    Answer(),
    Answer(respond(body=b'{"id":"cust_1"', length=100), closes=True),
    Answer(respond(body=b'{"id":["' + b"x" * 5_000 + b'"]}')),
    Answer(CUSTOMER, closes=True),
    Answer(respond(429, headers=("X-Rate-Limit-Limit: 100", "X-Rate-Limit-Remaining: 90"))),
    Answer(b"", closes=True),
    Answer(CUSTOMER[:40], aborts=True),
    Answer(b"SSH-2.0-OpenSSH_9.2\r\n", closes=True),
    Answer(respond(body=b"not JSON")),
    Answer(waits=True),
]


def in_turn(*answers: Answer) -> Face:
    turn = itertools.cycle(answers)

    def face(request: bytes) -> Answer:
        if request.startswith(b"POST /v1/oauth/token"):
            # Renewed for every call.
            return Answer(respond(body=b'{"access_token":"token","expires_in":0}'))
        return next(turn)

    return face


def constantly(answer: Answer, _: bytes) -> Answer:
    return answer


class Counting:
    """Hooks that keep nothing but numbers."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def on_request(self, event: object) -> None:
        self.seen[type(event).__name__] += 1

    on_response = on_retry = on_error = on_request


Calling = Callable[[VoucherifyClient, int], Awaitable[object]]


async def get(client: VoucherifyClient, number: int) -> object:
    return await client.customers.get("a")


async def all_sorts(client: VoucherifyClient, number: int) -> object:
    """Calls of all kinds, over views of the client, some of them cancelled."""
    view = client.with_options(deadline=3_600, headers={"X-Number": str(number)})
    calls: tuple[Callable[[], Awaitable[object]], ...] = (
        partial(view.customers.create, name="Ada"),
        partial(view.customers.delete, "a"),
        partial(view.customers.get, "a"),
        view.customers.list().to_list,
    )
    async with asyncio.timeout(0.002 if number % 5 == 0 else None):
        return await calls[number % len(calls)]()


@dataclass
class Case:
    """What is done many times.

    Attributes:
        face: How the server answers.
        call: What is called.
        settings: The client's.
        share: Of the number of calls; less for what is slow.
    """

    face: Callable[[], Face]
    call: Calling = get
    settings: Callable[[], dict[str, Any]] = dict
    share: float = 1.0


def limiter() -> LocalRateLimiter:
    # It is asked, waits now and then, and remembers what it has let through.
    return LocalRateLimiter(500, 0.05)


CASES = [
    pytest.param(
        Case(lambda: always, settings=lambda: {"hooks": [Counting()], "rate_limiter": limiter()}),
        id="calls that succeed",
    ),
    pytest.param(
        Case(
            lambda: in_turn(*OTHER_ANSWERS),
            all_sorts,
            lambda: {
                "auth": OAuthClientCredentials("id", "secret"),
                "hooks": [Counting()],
                "rate_limiter": limiter(),
                "timeout": 0.05,
                "retry": RetryPolicy(attempts=2, base=0),
            },
            share=0.1,
        ),
        id="calls that fail",
    ),
]


async def make(case: Case, client: VoucherifyClient, count: int) -> Counter[str]:
    """So many calls, from more tasks than there are places."""
    outcomes: Counter[str] = Counter()
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            try:
                await case.call(client, number)
            except (VoucherifyError, TimeoutError) as error:
                outcomes[type(error).__name__] += 1
            else:
                outcomes["success"] += 1

    await asyncio.gather(*(work() for _ in range(PLACES * 2)))
    return outcomes


KEPT = {
    "voucherify_async": {"VoucherifyError", "Call", "Delivery", "Answer", "Response", "Request"},
    "aiohttp": {"ClientRequest", "ClientResponse"},
    "_asyncio": {"Task"},
}


def alive() -> Counter[str]:
    """How many there are of what a call makes, subclasses counted too, of which nobody knows any more."""
    gc.collect()
    kinds = Counter(map(type, gc.get_objects()))
    found: Counter[str] = Counter()
    for kind, count in kinds.items():
        for parent in kind.__mro__:
            if parent.__name__ in KEPT.get(str(parent.__module__).partition(".")[0], ()):
                found[parent.__name__] += count
    return found


@contextmanager
def traced_memory() -> Generator[Callable[[], int]]:
    """Bytes in use that were allocated since."""

    def read() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        yield read
    finally:
        tracemalloc.stop()


async def check_many_calls(case: Case, count: int) -> None:
    tasks = asyncio.all_tasks()
    async with serving(case.face()) as server:
        async with client_of(server, **case.settings()) as client:
            with traced_memory() as memory:
                await make(case, client, WARM_UP)
                before, things = memory(), alive()
                outcomes = await make(case, client, count)
                after = memory()
                assert after - before < MEGABYTE
            await asyncio.sleep(0)
            left = alive() - things
            assert sum(left.values()) <= 3, left  # such as the last failure of a renewal
            assert asyncio.all_tasks() == tasks
            assert len(server.transports) <= PLACES
            assert sum(outcomes.values()) == count
            assert len(outcomes) > 3 or case.call is get, outcomes
        await until(lambda: not server.transports)
    assert asyncio.all_tasks() == tasks


@pytest.fixture
def _nobody_keeps_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """pytest does, and that grows."""
    caplog.set_level(logging.CRITICAL, logger="voucherify_async")


@pytest.mark.usefixtures("_nobody_keeps_a_log")
@pytest.mark.parametrize("case", CASES)
async def test_many_calls_leave_nothing_behind(case: Case) -> None:
    await check_many_calls(case, int(NORMAL * case.share))


@pytest.mark.soak
@pytest.mark.usefixtures("_nobody_keeps_a_log")
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("case", CASES)
async def test_ten_thousand_calls_leave_nothing_behind(case: Case) -> None:
    await check_many_calls(case, SOAK)


async def test_connections_are_as_many_as_are_needed() -> None:
    async with serving(always) as server, client_of(server) as client:
        await make(Case(lambda: always), client, 500)
        assert server.connections == len(server.transports) == PLACES
        assert server.requests == 500


FAILURES = [
    (Answer(respond(404)), "NotFoundError"),
    (Answer(respond(503)), "ServerError"),
    (Answer(respond(429)), "RateLimitError"),
    (Answer(respond(body=b"[]")), "DecodeError"),
    (Answer(respond(body=b"{", length=9), closes=True), "ConnectionFailedError"),
    (Answer(b"", closes=True), "ConnectionFailedError"),
    (Answer(waits=True), "ReadTimeoutError"),
]


@pytest.mark.parametrize("auth", [None, OAuthClientCredentials("id", "secret")], ids=["keys", "renewal"])
async def test_an_error_that_is_dealt_with_is_gone(auth: OAuthClientCredentials | None) -> None:
    """With the attempts before it, and what its traceback holds."""
    settings: dict[str, Any] = {} if auth is None else {"auth": auth}
    retry = RetryPolicy(attempts=2, base=0)
    async with (
        serving(always) as server,
        client_of(server, timeout=0.02, retry=retry, **settings) as client,
    ):
        before = alive()
        for answer, kind in FAILURES:
            server.face = partial(constantly, answer)
            assert [await outcome(client.customers.get("a")) for _ in range(3)] == [kind] * 3
        await asyncio.sleep(0)
        # Of a renewal the last failure may be kept for those who wait for it, without what its traceback holds.
        kept: Counter[str] = Counter() if auth is None else Counter(VoucherifyError=2)
        assert alive() - before - kept == Counter()


async def test_a_failed_call_does_not_keep_its_answer_until_the_collector_comes() -> None:
    """An error in a variable of a frame that its traceback holds is a cycle, and so is all in that frame."""
    answer = Answer(respond(404, b"x" * 5_000))
    async with serving(lambda _: answer) as server, client_of(server, retry=NO_RETRY) as client:
        await outcome(client.customers.get("a"))
        alive()
        gc.disable()
        try:
            for _ in range(5):
                await outcome(client.customers.get("a"))
            collected = gc.collect()
        finally:
            gc.enable()
        assert collected < 5


async def outcome(call: Awaitable[Any]) -> str:
    try:
        await call
    except VoucherifyError as error:
        return type(error).__name__
    return "success"


# ---------------------------------------------------------------- closing


USES: list[Any] = [
    pytest.param(lambda client: client.customers.get("a"), id="call"),
    pytest.param(lambda client: client.customers.list(), id="first page"),
    pytest.param(lambda client: client.customers.list().to_list(), id="walk"),
    pytest.param(lambda client: client.oauth.create_token(), id="token"),
    pytest.param(lambda client: client.request("GET", "/v1/x"), id="request"),
    pytest.param(lambda client: client.async_actions.wait("a", timeout=1), id="wait"),
    pytest.param(lambda client: client.with_options(retry=NO_RETRY).customers.get("a"), id="view"),
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
async def test_a_client_that_is_closed_is_of_no_use(
    use: Callable[[VoucherifyClient], Any], used: bool
) -> None:
    async with serving(always) as server:
        client = client_of(server)
        if used:
            await client.customers.get("a")
        await client.aclose()
        with pytest.raises(ConfigurationError, match="the client is closed; make a new one"):
            await use(client)
        async with client:  # entering it again does not open it
            with pytest.raises(ConfigurationError, match="the client is closed"):
                await use(client)
        assert server.connections == used


async def test_a_view_closes_what_it_shares() -> None:
    async with serving(always) as server:
        client = client_of(server)
        await client.customers.get("a")
        async with client.with_options(deadline=3_600):
            pass
        with pytest.raises(ConfigurationError, match="the client is closed"):
            await client.customers.get("a")
        await client.aclose()
        await until(lambda: not server.transports)


async def test_closing_from_many_tasks_at_once() -> None:
    async with serving(always) as server:
        client = client_of(server)
        await make(Case(lambda: always), client, 50)
        await asyncio.gather(*(client.aclose() for _ in range(5)))
        await until(lambda: not server.transports)


@pytest.mark.parametrize("steps", range(5))
async def test_closing_that_is_cancelled_closes_all_the_same(steps: int) -> None:
    tasks = asyncio.all_tasks()
    async with serving(always) as server:
        client = client_of(server)
        await make(Case(lambda: always), client, 50)
        closing = asyncio.create_task(client.aclose())
        for _ in range(steps):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        await client.aclose()
        await until(lambda: not server.transports)
        with pytest.raises(ConfigurationError):
            await client.customers.get("a")
    assert asyncio.all_tasks() == tasks


REFUSED = Answer(respond(429, headers=("Retry-After: 0.02",)))

WAITS: list[Any] = [
    pytest.param(in_turn(Answer(respond(503)), Answer()), {}, id="a pause"),
    pytest.param(in_turn(REFUSED, Answer()), {}, id="the gate"),
    pytest.param(
        in_turn(Answer()),
        {"rate_limiter": LocalRateLimiter(1, 0.02, clock=Clock(monotonic=loop_time))},
        id="a limiter",
    ),
    pytest.param(in_turn(Answer(waits=True)), {"max_connections": 1}, id="a place"),
]


@pytest.mark.parametrize(("face", "settings"), WAITS)
async def test_calls_that_wait_when_the_client_is_closed_are_told(
    face: Face, settings: dict[str, Any]
) -> None:
    async with serving(face) as server:
        client = client_of(server, **{"retry": RetryPolicy(base=0.02), **settings})
        clock = use_clock(client, FakeClock(held=True))
        calls = [asyncio.create_task(client.customers.get("a")) for _ in range(3)]
        await until(lambda: server.requests > 0)
        await client.aclose()
        clock.release()
        results = await asyncio.gather(*calls, return_exceptions=True)
        told = {str(result) for result in results if isinstance(result, ConfigurationError)}
        assert told == {"the client is closed; make a new one"}


# ---------------------------------------------------------------- loops and processes


@pytest.mark.parametrize(
    "settings", [{}, {"auth": OAuthClientCredentials("id", "secret")}], ids=["keys", "token"]
)
def test_a_second_loop_is_refused_with_what_to_do(settings: dict[str, Any]) -> None:
    told = "the client belongs to another event loop; make one in each loop"
    with asyncio.Runner() as runner:
        server, leave = runner.run(entered())
        # Its loop will be gone, and with that the one way to close it: so nothing is left open.
        server.face = in_turn(Answer(respond(body=b'{"id":"cust_1"}', headers=("Connection: close",))))
        client = client_of(server, **settings)
        assert runner.run(make(Case(lambda: always), client, 50)) == Counter(success=50)
        runner.run(leave())
    for use in (client.customers.get, client.with_options(deadline=1).customers.get, client.customers.delete):
        with pytest.raises(ConfigurationError, match=told):
            asyncio.run(use("a"))
    with pytest.raises(ConfigurationError, match=told):
        asyncio.run(client.aclose())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del client, use
        gc.collect()


def test_a_client_made_before_there_is_a_loop_serves_the_first() -> None:
    async def call(client: VoucherifyClient) -> Any:
        async with client:
            return await client.customers.get("a")

    with asyncio.Runner() as runner:
        server, leave = runner.run(entered())
        client = client_of(server)
        assert runner.run(call(client)).id == "cust_1"
        runner.run(leave())
    with pytest.raises(ConfigurationError, match="the client is closed; make a new one"):
        asyncio.run(call(client))


async def entered() -> tuple[Server, Callable[[], Any]]:
    context = serving(always)
    server = await context.__aenter__()

    async def leave() -> None:
        await context.__aexit__(None, None, None)

    return server, leave


def test_a_limiter_may_see_one_loop_after_the_other() -> None:
    """One made once, for clients of which each has a loop of its own."""
    shared = LocalRateLimiter(5, 0.005)

    async def call() -> Counter[str]:
        async with serving(always) as server, client_of(server, rate_limiter=shared) as client:
            return await make(Case(lambda: always), client, 30)

    for _ in range(2):
        assert asyncio.run(call()) == Counter(success=30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_told_and_its_parent_goes_on() -> None:
    with asyncio.Runner() as runner:
        server, leave = runner.run(entered())
        client = client_of(server)

        async def call() -> Any:
            return await client.customers.get("a")

        async def call_view() -> Any:
            return await client.with_options(deadline=3_600).customers.list()

        runner.run(call())
        problems = in_a_child(lambda: "\n".join(problem_of(use) for use in (call, call_view, client.aclose)))
        told = (
            "ConfigurationError: the client was used before the process forked; make a new one in the child"
        )
        assert problems == "\n".join([told] * 3)
        assert runner.run(call()).id == "cust_1"
        assert server.connections == 1
        runner.run(client.aclose())
        runner.run(leave())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_that_drops_a_client_does_not_touch_its_parents_connections() -> None:
    with asyncio.Runner() as runner:
        server, leave = runner.run(entered())
        clients = [client_of(server, timeout=10.0)]

        async def call() -> Any:
            return await clients[0].customers.get("a")

        def drop() -> str:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an error would keep the client alive
                clients.clear()
                gc.collect()
            return "dropped"

        runner.run(call())
        assert in_a_child(drop) == "dropped"
        assert runner.run(call()).id == "cust_1"
        assert server.connections == 1
        runner.run(clients[0].aclose())
        runner.run(leave())


def problem_of(use: Callable[[], Any]) -> str:
    try:
        asyncio.run(use())
    except Exception as error:  # noqa: BLE001  # whatever it is, the parent sees it
        return f"{type(error).__name__}: {error}"
    return "none"


def in_a_child(work: Callable[[], str]) -> str:
    """What the work says in a forked process."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, from Python 3.12
        child = os.fork()
    if child == 0:
        try:
            os.write(writing, work().encode())
        finally:
            os._exit(0)  # not a word to pytest
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123  # a descriptor has no path
        said = pipe.read()
    os.waitpid(child, 0)
    return said.decode()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_client_that_was_not_used_serves_a_forked_child() -> None:
    """As with servers that load the application, and fork then."""
    with refusing() as (base_url, taken):
        client = client_of(Server(always, base_url), retry=NO_RETRY)

        async def work() -> str:
            async with serving(always, taken.dup()), client:
                return await outcome(client.customers.get("a"))

        assert in_a_child(lambda: asyncio.run(work())) == "success"
        assert asyncio.run(work()) == "success"


# ---------------------------------------------------------------- connections


async def test_a_connector_of_the_callers_keeps_its_connections() -> None:
    async with serving(always) as server:
        connector = aiohttp.TCPConnector(limit=2)
        for _ in range(3):
            async with client_of(server, connector=connector) as client:
                await make(Case(lambda: always), client, 20)
        assert not connector.closed
        assert server.connections == len(server.transports) == 2
        async with (
            aiohttp.ClientSession(connector=connector, connector_owner=False) as session,
            session.get(f"{server.base_url}/v1/x") as reply,
        ):
            assert reply.status == 200
        assert server.connections == 2
        await connector.close()


async def test_clients_share_a_connector_with_fewer_places_than_calls() -> None:
    async with serving(always) as server:
        connector = aiohttp.TCPConnector(limit=1)
        clients = [client_of(server, connector=connector) for _ in range(3)]
        results = await asyncio.gather(*(make(Case(lambda: always), client, 20) for client in clients))
        assert results == [Counter(success=20)] * 3
        for client in clients:
            await client.aclose()
        assert server.connections == 1
        await connector.close()


@pytest.mark.parametrize("seconds", [0.02, 0.08])
async def test_an_idle_connection_is_closed_after_the_time_that_is_set(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr("aiohttp.connector.monotonic", loop_time)
    async with serving(always) as server, client_of(server, keepalive_timeout=seconds) as client:
        for _ in range(3):  # in use it stays
            await client.customers.get("a")
            await asyncio.sleep(seconds / 4)
        began = loop_time()
        await client.customers.get("a")
        assert server.connections == 1
        await until(lambda: not server.transports)
        assert server.closed_at is not None
        # aiohttp looks once in that time.
        assert seconds - 0.002 <= server.closed_at - began < 2 * seconds + 0.5
        await client.customers.get("a")
        assert server.connections == 2


@pytest.mark.parametrize("call", ["get", "create"])
@pytest.mark.parametrize("pause", [0, 1, 2, 5], ids=lambda steps: f"{steps} steps later")
async def test_a_server_that_closes_idle_connections_is_not_seen(call: str, pause: int) -> None:
    """Whatever is made known first: that the answer has come, or that the connection has ended."""
    async with serving(lambda _: Answer(closes=True)) as server, client_of(server, retry=NO_RETRY) as client:
        for _ in range(20):
            if call == "get":
                await client.customers.get("a")
            else:
                await client.customers.create(name="Ada")
            for _ in range(pause):
                await asyncio.sleep(0)
        assert server.requests >= 20


@pytest.mark.parametrize("call", ["get", "create"])
async def test_nor_is_one_that_does_so_while_the_loop_is_busy(call: str) -> None:
    """The end of the connection has come, and nobody has looked yet: what may not be repeated is not lost to it."""
    async with serving(always) as server, client_of(server, retry=NO_RETRY) as client:
        for _ in range(5):
            await client.customers.get("a")
            [connection] = server.transports
            connection.abort()
            await asyncio.sleep(0)  # the server's part; the client's would come with the next step
            calling = client.customers.get("a") if call == "get" else client.customers.create(name="Ada")
            assert await outcome(calling) == "success"


async def test_a_client_that_is_dropped_while_open_is_named(sandbox: Sandbox) -> None:
    client = sandbox.client()
    view = client.with_options(timeout=20)
    await client.customers.list()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        del client
        gc.collect()
        assert not caught  # the view has the same connections
        del view
        gc.collect()
        told = [str(warning.message) for warning in caught]
        while caught:  # a warning keeps its source alive, of which aiohttp warns too
            caught.clear()
            gc.collect()
    assert told == [f"VoucherifyClient for {sandbox.base_url} was not closed: use `async with`, or aclose()"]


@pytest.mark.parametrize("used", [True, False])
async def test_a_client_that_was_closed_or_never_used_is_dropped_in_silence(
    sandbox: Sandbox, used: bool
) -> None:
    client = sandbox.client()
    if used:
        await client.customers.list()
        await client.aclose()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        del client
        gc.collect()

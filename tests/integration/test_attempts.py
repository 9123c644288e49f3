"""One attempt on a real socket: what it sends, and how it ends."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from tests.support.internals import limited_attempts
from tests.support.wire import CUSTOMER, NO_RETRY, RawServer, Script, Server, raw_server, respond, running
from voucherify_async import APIStatusError, OutcomeUnknownError, ReadTimeoutError, Timeouts, VoucherifyClient
from voucherify_async.pagination.rules import IdRule

SECRET = "hush-hush-hush"
BODY = b'{"id":"cust_1"}'
UPLOAD = b"Source_id,Note\n" + b"".join(b"crm-%d,%s\n" % (number, b"x" * 1000) for number in range(5_000))


class Host(Server):
    """Meets the first request as a test wants, and all others with a customer."""

    def __init__(self, first: Script) -> None:
        super().__init__(self.meet)
        self.first = first
        self.heads: list[bytes] = []
        self.broken_off = asyncio.Event()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                if len(self.heads) > 1:
                    writer.write(CUSTOMER)
                    continue
                try:
                    await self.first(reader, writer)
                    while await reader.read(1 << 20):
                        pass
                finally:
                    self.broken_off.set()
        finally:
            writer.transport.abort()


@asynccontextmanager
async def hosted(first: Script, **settings: Any) -> AsyncGenerator[tuple[Host, VoucherifyClient]]:
    async with (
        running(Host(first)) as host,
        VoucherifyClient("id", SECRET, base_url=host.base_url, retry=NO_RETRY, **settings) as client,
    ):
        yield host, client


async def reads_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(1.0)  # longer than an attempt may take
    writer.transport.abort()


async def says_nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    pass


async def stops_in_the_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")


async def stops_in_the_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(respond(body=BODY[:5], length=len(BODY)))


async def dribbles(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(respond(body=b"", length=10_000))
    while not writer.is_closing():
        writer.write(b"[")
        await writer.drain()
        await asyncio.sleep(0.01)


async def creates(client: VoucherifyClient) -> None:
    await client.customers.create(source_id="a")


async def uploads(client: VoucherifyClient) -> None:
    await client.customers.import_csv(UPLOAD)


@pytest.mark.parametrize(
    ("first", "call"),
    [
        pytest.param(reads_nothing, uploads, id="reads nothing of a large body"),
        pytest.param(says_nothing, uploads, id="says nothing to a large body"),
        pytest.param(says_nothing, creates, id="says nothing"),
        pytest.param(stops_in_the_head, creates, id="stops in the head"),
        pytest.param(stops_in_the_body, creates, id="stops in the body"),
        pytest.param(dribbles, creates, id="dribbles"),
    ],
)
async def test_an_attempt_ends_in_time(
    first: Script, call: Callable[[VoucherifyClient], Awaitable[None]]
) -> None:
    # Nothing but the limit of the attempt ends it: something may come all the time.
    async with hosted(first, timeout=Timeouts(attempt=0.2, read=None, connect=None)) as (host, client):
        late = pytest.raises(
            (ReadTimeoutError, OutcomeUnknownError), match=r"no complete response within 0.2 s"
        )
        with late as caught:
            await call(client)
        assert caught.value.may_have_been_applied
        await host.broken_off.wait()
        assert len(host.heads) == 1
        assert (await client.customers.get("cust_1")).id == "cust_1"
        assert limited_attempts(client, 0.2) == 0


async def test_an_answer_that_comes_before_the_body_is_sent_is_what_counts() -> None:
    async def refuses(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(413, b'{"message":"too large"}'))
        await asyncio.sleep(0.2)  # and reads nothing

    before = asyncio.all_tasks()
    async with hosted(refuses) as (host, client):
        with pytest.raises(APIStatusError, match="413: too large"):
            await uploads(client)
        assert asyncio.all_tasks() - before == host.tasks  # nobody goes on sending
        assert (await client.customers.get("cust_1")).id == "cust_1"
        assert host.connections == 2  # not by a connection in which half a request hangs


def headers_of(server: RawServer) -> list[tuple[str, str]]:
    lines = server.requests[-1].decode().partition("\r\n\r\n")[0].split("\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


async def test_the_last_word_on_a_header_counts_in_whatever_case() -> None:
    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient(
            "id", SECRET, base_url=server.base_url, headers={"accept": "text/plain", "X-own": "1"}
        ) as client,
    ):
        await client.request("POST", "/v1/customers", json={}, headers={"x-Own": "2"})
        found = [(name.lower(), value) for name, value in headers_of(server)]
    names = [name for name, _ in found]
    assert len(names) == len(set(names))
    assert dict(found)["accept"] == "text/plain"
    assert dict(found)["x-own"] == "2"
    assert dict(found)["content-length"] == "2"
    assert "gzip" in dict(found)["accept-encoding"]


class Rotating:
    """An Auth whose key is another one at each call."""

    def __init__(self) -> None:
        self.key = 0

    def headers(self) -> dict[str, str]:
        return {"X-Key": f"{self.key}{self.key}{self.key}-enough"}


async def test_an_auth_of_ones_own_may_change_its_mind() -> None:
    auth = Rotating()
    echo = respond(404, b'{"message":"no 111-enough here"}')
    async with (
        raw_server(CUSTOMER, CUSTOMER, echo) as server,
        VoucherifyClient(auth=auth, base_url=server.base_url) as client,
    ):
        for auth.key in (1, 1):
            await client.customers.get("a")
            assert ("X-Key", "111-enough") in headers_of(server)
        view = client.with_options(headers={"X-View": "1"})
        auth.key = 2
        with pytest.raises(APIStatusError, match="no 111-enough here"):  # no secret of this request
            await client.customers.get("a")
        auth.key = 1
        with pytest.raises(APIStatusError, match=r"no \*\*\* here"):
            await view.customers.get("a")
        assert {("X-Key", "111-enough"), ("X-View", "1")} <= set(headers_of(server))
        auth.key = 2
        with pytest.raises(APIStatusError):
            await client.customers.get("a")
        assert ("X-Key", "222-enough") in headers_of(server)
        assert not [name for name, _ in headers_of(server) if name == "X-View"]


class Item(msgspec.Struct, weakref=True):
    id: str


async def test_a_page_goes_before_the_next_one_is_asked_for() -> None:
    known: list[weakref.ref[Item]] = []
    left: list[int] = []

    async def second(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left.append(len([reference for reference in known if reference() is not None]))
        writer.write(respond(body=b'{"data":[{"id":"c"}],"has_more":false}'))
        await writer.drain()

    first = respond(body=b'{"data":[{"id":"a"},{"id":"b"}],"has_more":true}')
    async with (
        raw_server(first, second) as server,
        VoucherifyClient("id", SECRET, base_url=server.base_url) as client,
    ):
        async for item in client.paginate("/v1/things", into=Item, rule=IdRule()):
            known.append(weakref.ref(item))  # noqa: PERF401  # a comprehension is done when the walk is
    assert left == [1]  # the one that is in our own hands
    assert len(known) == 3

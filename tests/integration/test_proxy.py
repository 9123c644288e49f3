"""Tunnels through a proxy that drops, refuses or garbles CONNECT."""

from __future__ import annotations

import asyncio
import base64
import ssl
import traceback
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trustme

from tests.support.wire import CUSTOMER, NO_RETRY, RawServer, Server, in_order, running, stall
from voucherify_async import (
    ConnectionFailedError,
    ConnectTimeoutError,
    ProxyError,
    RetryPolicy,
    VoucherifyClient,
    VoucherifyError,
)

PASSWORD = "proxy-password-7c1f"
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
AT_ONCE = RetryPolicy(base=0.0)


class Proxy(Server):
    """Gives each CONNECT the next of the replies: bytes, `None` to close, or "tunnel"; the last one is repeated."""

    def __init__(self, *replies: bytes | str | None) -> None:
        super().__init__(self.connect)
        self.replies = replies
        self.heads: list[bytes] = []
        self.asked = asyncio.Event()

    @property
    def url(self) -> str:
        return self.base_url.replace("//", f"//user:{PASSWORD}@")

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        self.asked.set()
        reply = self.replies[min(len(self.heads), len(self.replies)) - 1]
        if reply == "tunnel":
            await self.tunnel(head, reader, writer)
        elif reply == "stall":
            await stall(reader, writer)
        elif isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()

    async def tunnel(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = head.split()[1].decode().partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while content := await source.read(65536):
                target.write(content)
                await target.drain()

        both = asyncio.create_task(copy(reader, back)), asyncio.create_task(copy(there, writer))
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            back.close()


def proxy(*replies: bytes | str | None) -> AbstractAsyncContextManager[Proxy]:
    return running(Proxy(*replies))


@asynccontextmanager
async def service() -> AsyncGenerator[tuple[RawServer, ssl.SSLContext]]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with running(RawServer(in_order(CUSTOMER)), context) as server:
        yield server, trusting


def refusal(status: int, body: str = "") -> bytes:
    return f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


CALLS: list[Any] = [
    pytest.param(lambda client: client.customers.get("a"), id="GET"),
    pytest.param(lambda client: client.customers.create(name="Ada"), id="POST"),
    pytest.param(lambda client: client.customers.update("a", name="Ada"), id="PUT"),
    pytest.param(lambda client: client.customers.delete("a"), id="DELETE"),
]
BAD: list[Any] = [
    pytest.param(None, id="dropped"),
    pytest.param(b"garbage\r\n\r\n", id="garbled"),
    pytest.param(b"HTTP/1.1 2", id="cut off"),
    pytest.param(refusal(502), id="502"),
    pytest.param(refusal(503, "busy"), id="503"),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("bad", BAD)
async def test_a_tunnel_that_is_not_opened_is_tried_again(call: Any, bad: bytes | None) -> None:
    async with (
        service() as (server, trusting),
        proxy(bad, bad, "tunnel") as between,
        VoucherifyClient(
            "id", "token", base_url=server.base_url, ssl=trusting, proxy=between.url, retry=AT_ONCE
        ) as client,
    ):
        await call(client)
        assert len(between.heads) == 3
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("bad", BAD)
async def test_the_policy_counts_each_of_them(call: Any, bad: bytes | None) -> None:
    async with (
        service() as (server, trusting),
        proxy(bad) as between,
        VoucherifyClient(
            "id", "token", base_url=server.base_url, ssl=trusting, proxy=between.url, retry=AT_ONCE
        ) as client,
    ):
        with pytest.raises(ProxyError) as caught:
            await call(client)
        assert len(between.heads) == 4
        assert [type(error) for error in caught.value.attempts] == [ProxyError] * 3
        assert not caught.value.may_have_been_applied
        assert not server.requests


@pytest.mark.parametrize("status", [403, 407])
async def test_a_refusal_that_will_not_change_is_not_repeated(status: int) -> None:
    async with (
        service() as (server, trusting),
        proxy(refusal(status)) as between,
        VoucherifyClient(
            "id", "token", base_url=server.base_url, ssl=trusting, proxy=between.url, retry=AT_ONCE
        ) as client,
    ):
        with pytest.raises(ProxyError, match=f"status {status}") as caught:
            await client.customers.get("a")
        assert caught.value.status == status
        assert len(between.heads) == 1


async def test_a_proxy_that_is_not_there() -> None:
    async with VoucherifyClient(
        "id", "token", proxy=f"http://user:{PASSWORD}@127.0.0.1:9", retry=NO_RETRY
    ) as client:
        with pytest.raises(ProxyError, match="cannot connect to the proxy"):
            await client.customers.get("a")


async def test_a_certificate_that_is_refused_is_not_asked_for_again() -> None:
    async with (
        service() as (server, _),
        proxy("tunnel") as between,
        VoucherifyClient("id", "token", base_url=server.base_url, proxy=between.url, retry=AT_ONCE) as client,
    ):
        with pytest.raises(ConnectionFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.customers.get("a")
        assert len(between.heads) == 1


def locals_of(error: BaseException | None) -> Iterator[str]:
    """The local variables of every frame of a traceback, and of those of its causes and contexts."""
    if error is None:
        return
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename != __file__:
            yield from map(repr, frame.f_locals.values())
    yield from locals_of(error.__cause__)
    yield from locals_of(error.__context__)


@pytest.mark.parametrize("answer", [None, b"garbage\r\n\r\n", refusal(407, BASIC), refusal(502), "stall"])
@pytest.mark.parametrize("ends", ["by itself", "by a timeout", "by cancellation"])
async def test_no_traceback_has_the_credentials_of_the_proxy(answer: Any, ends: str) -> None:
    async with (
        service() as (server, trusting),
        proxy(answer if ends == "by itself" else "stall") as between,
        VoucherifyClient(
            "id",
            "token",
            base_url=server.base_url,
            ssl=trusting,
            proxy=between.url,
            retry=NO_RETRY,
            timeout=0.3 if answer == "stall" else 30.0,
        ) as client,
    ):
        call = asyncio.create_task(client.customers.get("a"))
        error: BaseException | None = None
        try:
            if ends == "by a timeout":
                async with asyncio.timeout(0.1):
                    await call
            else:
                if ends == "by cancellation":
                    await between.asked.wait()
                    call.cancel()
                await call
        except (VoucherifyError, TimeoutError, asyncio.CancelledError) as caught:
            error = caught
        expected = {"by a timeout": TimeoutError, "by cancellation": asyncio.CancelledError}
        assert isinstance(error, expected.get(ends, ProxyError | ConnectTimeoutError))
        texts = list(locals_of(error))
        assert texts
        assert not [text for text in texts if PASSWORD in text or BASIC in text]

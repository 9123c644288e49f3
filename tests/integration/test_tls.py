"""TLS: verified always, against a server with a certificate of a test's own authority."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trustme

from tests.support.wire import CUSTOMER, NO_RETRY, RawServer
from voucherify_async import ConnectionFailedError, VoucherifyClient


@asynccontextmanager
async def tls_server(authority: trustme.CA, name: str = "localhost") -> AsyncGenerator[RawServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    server = RawServer([CUSTOMER])
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=context)
    server.base_url = f"https://localhost:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield server
        for writer in server.writers:
            writer.transport.abort()
        await asyncio.gather(*server.tasks, return_exceptions=True)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_context_of_ones_own_is_used(authority: trustme.CA) -> None:
    async with tls_server(authority) as server:
        context = trusting(authority)
        async with VoucherifyClient("id", "token", base_url=server.base_url, ssl=context) as client:
            assert (await client.customers.get("a")).id == "cust_1"


async def test_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    async with (
        tls_server(authority) as server,
        VoucherifyClient("id", "token", base_url=server.base_url, retry=NO_RETRY) as client,
    ):
        with pytest.raises(ConnectionFailedError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            await client.customers.create(name="Ada")
    assert not caught.value.may_have_been_applied
    assert not server.requests


async def test_a_certificate_for_another_host_is_refused(authority: trustme.CA) -> None:
    async with (
        tls_server(authority, "elsewhere.example.com") as server,
        VoucherifyClient(
            "id", "token", base_url=server.base_url, ssl=trusting(authority), retry=NO_RETRY
        ) as client,
    ):
        with pytest.raises(ConnectionFailedError, match="Hostname mismatch"):
            await client.customers.get("a")
    assert not server.requests

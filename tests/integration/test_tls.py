"""TLS: verified always, against a server with a certificate of a test's own authority."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trustme

from tests.support.wire import CUSTOMER, NO_RETRY, RawServer, in_order, running
from voucherify_async import ConnectionFailedError, RetryPolicy, VoucherifyClient


@asynccontextmanager
async def tls_server(authority: trustme.CA, name: str = "localhost") -> AsyncGenerator[RawServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    async with running(RawServer(in_order(CUSTOMER)), context) as server:
        yield server


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


async def test_a_refused_certificate_is_not_asked_for_again(authority: trustme.CA) -> None:
    async with (
        tls_server(authority) as server,
        VoucherifyClient("id", "token", base_url=server.base_url, retry=RetryPolicy(base=0.0)) as client,
    ):
        with pytest.raises(ConnectionFailedError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            await client.customers.get("a")
    assert not caught.value.attempts


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

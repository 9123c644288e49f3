"""Credentials that a request carried, in what the service or a proxy answers: however they come back, they are cut out."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.wire import NO_RETRY, raw_server, respond
from voucherify_async import APIStatusError, VoucherifyClient

TOKEN = "5e1d4c37-0f81-b7c2-aaaa-93b6d04e1f55"
OWN = "caller-credential-88d1"
PASSWORD = "proxy-password-7c1f"
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()

SPELLINGS: list[Any] = [
    pytest.param(lambda secret: secret, id="as it is"),
    pytest.param(lambda secret: quote(quote(f"/{secret}/")), id="encoded twice"),
    pytest.param(lambda secret: "".join(f"%25{ord(letter):02x}" for letter in secret), id="every letter"),
    pytest.param(lambda secret: f"{secret[:9]}\n    {secret[9:]}", id="wrapped"),
    pytest.param(lambda secret: f"{secret[:14]}...", id="cut off"),
    pytest.param(lambda secret: secret.upper(), id="in upper case"),
]


def problem(text: str) -> bytes:
    return json.dumps({"code": 400, "message": text, "details": text}).encode()


def told(error: BaseException) -> str:
    return f"{error} {error!r} {vars(error)}".lower()


@pytest.mark.parametrize("spelled", SPELLINGS)
@pytest.mark.parametrize("secret", [TOKEN, OWN])
async def test_what_a_service_repeats_of_a_request(spelled: Any, secret: str) -> None:
    page = problem(f"You sent {spelled(secret)} to us.")
    async with (
        raw_server(respond(400, page)) as server,
        VoucherifyClient("id", TOKEN, base_url=server.base_url, retry=NO_RETRY) as client,
    ):
        for view, headers in (
            (client.with_options(headers={"X-Session-Token": OWN}), {}),
            (client, {"Authorization": f"Bearer {OWN}"}),
        ):
            with pytest.raises(APIStatusError) as caught:
                await view.request("GET", "/v1/x", headers=headers)
            assert secret[:13] not in told(caught.value)
            assert "you sent" in told(caught.value)


@pytest.mark.parametrize("spelled", SPELLINGS[:-1])
@pytest.mark.parametrize("secret", [PASSWORD, BASIC])
async def test_what_a_proxy_repeats_of_its_credentials(spelled: Any, secret: str) -> None:
    page = problem(f"Proxy-Authorization: Basic {spelled(secret)} is wrong")
    async with raw_server(respond(407, page)) as proxy:
        address = proxy.base_url.replace("http://", f"http://user:{PASSWORD}@")
        async with VoucherifyClient(
            "id", TOKEN, base_url="http://cluster.example.com", allow_http=True, proxy=address
        ) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.customers.get("a")
    assert BASIC.encode() in proxy.requests[0]
    assert secret[:13].lower() not in told(caught.value)


async def test_fields_of_a_form() -> None:
    async with (
        raw_server(respond(400, problem(f"bad secret {OWN}"))) as server,
        VoucherifyClient("id", TOKEN, base_url=server.base_url, retry=NO_RETRY) as client,
    ):
        with pytest.raises(APIStatusError) as caught:
            await client.request("POST", "/v1/x", form={"client_secret": OWN})
        assert OWN not in told(caught.value)

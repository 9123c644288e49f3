from __future__ import annotations

from typing import Any

import pytest

from tests.support.clocks import FakeClock
from voucherify_async import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OAuthToken,
    VoucherifyClient,
)
from voucherify_async.sandbox import Sandbox


class TestTokens:
    async def test_the_life_of_a_token(self, voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
        token = await voucherify.oauth.create_token(scope="api vouchers")
        assert (token.expires_in, token.scope, token.token_type) == (900, "api vouchers", "Bearer")
        async with sandbox.client(auth=OAuthToken(token.access_token)) as bearer:
            customer = await bearer.customers.create(source_id="a")
            headers = sandbox.requests[-1].request_headers
            assert headers["X-Voucherify-OAuth"] == headers["Authorization"] == f"Bearer {token.access_token}"
            assert "X-App-Id" not in headers
            assert (await voucherify.customers.get("a")).id == customer.id
            seen = await voucherify.oauth.introspect_token(token.access_token)
            assert (seen.active, seen.scope) == (True, "api vouchers")
            await voucherify.oauth.revoke_token(token.access_token)
            assert (await voucherify.oauth.introspect_token(token.access_token)).active is False
            with pytest.raises(AuthenticationError):
                await bearer.customers.get("a")
        with pytest.raises(NotFoundError):
            await voucherify.oauth.revoke_token(token.access_token)

    async def test_a_token_runs_out(self, voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
        token = await voucherify.oauth.create_token()
        sandbox.store.clock = FakeClock(sandbox.store.clock() + 901)
        assert (await voucherify.oauth.introspect_token(token.access_token)).active is False

    async def test_a_token_cannot_make_tokens(self, voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
        token = await voucherify.oauth.create_token()
        async with sandbox.client(auth=OAuthToken(token.access_token)) as bearer:
            with pytest.raises(AuthenticationError):
                await bearer.oauth.create_token()

    async def test_a_scope_that_is_none(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(BadRequestError, match="invalid_scope: Invalid scope: everything"):
            await voucherify.oauth.create_token(scope="everything")

    async def test_empty_arguments(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(ValueError, match="^scope"):
            await voucherify.oauth.create_token(scope=" ")
        with pytest.raises(ValueError, match="^access_token"):
            await voucherify.oauth.introspect_token("")
        with pytest.raises(ValueError, match="^access_token"):
            await voucherify.oauth.revoke_token(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", [{"app_id": "wrong"}, {"app_token": "wrong"}, {"auth": OAuthToken("wrong")}])
async def test_wrong_keys(sandbox: Sandbox, keys: dict[str, Any]) -> None:
    async with sandbox.client(**keys) as stranger:
        with pytest.raises(AuthenticationError) as caught:
            await stranger.customers.list()
    assert (caught.value.status, caught.value.key) == (401, "unauthorized")
    assert "wrong" not in str(caught.value)

"""OAuth 2.0 access tokens: https://docs.voucherify.io/api-reference/oauth/generate-oauth-20-token."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Final, TypeVar

from voucherify_async.models.oauth import AccessToken, TokenIntrospection
from voucherify_async.transport.operation import Operation, Request
from voucherify_async.transport.session import SessionManager
from voucherify_async.transport.wire import encode_form

__all__ = ["OAuthResource"]

T = TypeVar("T")

# All three may be repeated: a token whose answer was lost runs out by itself in 15 minutes.
_CREATE_TOKEN: Final[Operation[AccessToken]] = Operation(
    "oauth.create_token", "POST", "/v1/oauth/token", AccessToken, confidential=True
)
_INTROSPECT_TOKEN: Final[Operation[TokenIntrospection]] = Operation(
    "oauth.introspect_token", "POST", "/v1/oauth/introspect", TokenIntrospection, confidential=True
)
_REVOKE_TOKEN: Final[Operation[None]] = Operation(
    "oauth.revoke_token", "POST", "/v1/oauth/token/revoke", NoneType
)


class OAuthResource:
    """Access tokens for the client credentials grant. Only a client with API keys can use these calls."""

    def __init__(self, sessions: SessionManager) -> None:
        """Use `VoucherifyClient.oauth`."""
        self._sessions = sessions

    async def create_token(self, *, scope: str = "api") -> AccessToken:
        """Get an access token, valid for 15 minutes. A project has at most 1,000 at a time.

        Args:
            scope: What the token is good for; several scopes separated by spaces.

        Raises:
            ValueError: `scope` is empty.
            BadRequestError: There is no such scope.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/oauth/generate-oauth-20-token
        """
        form = {"grant_type": "client_credentials", "scope": _not_empty("scope", scope)}
        return await self._call(_CREATE_TOKEN, form)

    async def introspect_token(self, access_token: str) -> TokenIntrospection:
        """Ask whether a token is active, and what it is good for.

        Raises:
            ValueError: `access_token` is empty.
            VoucherifyError: The call failed.

        API: https://docs.voucherify.io/api-reference/oauth/introspect-oauth-20-token
        """
        return await self._call(_INTROSPECT_TOKEN, {"access_token": _not_empty("access_token", access_token)})

    async def revoke_token(self, access_token: str) -> None:
        """End a token's life now.

        Raises:
            ValueError: `access_token` is empty.
            NotFoundError: There is no such token.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/oauth/revoke-oauth-20-token
        """
        await self._call(_REVOKE_TOKEN, {"access_token": _not_empty("access_token", access_token)})

    async def _call(self, operation: Operation[T], form: Mapping[str, str]) -> T:
        return (await self._sessions.send(Request(operation, operation.path, encode_form(form)))).data


def _not_empty(name: str, value: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a non-empty string")
    return value

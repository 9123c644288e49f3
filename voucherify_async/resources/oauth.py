"""OAuth 2.0 access tokens: https://docs.voucherify.io/api-reference/oauth/generate-oauth-20-token."""

from __future__ import annotations

from types import NoneType
from typing import Final, TypeVar

from voucherify_async._transport.auth import token_request
from voucherify_async._transport.operation import Operation, Request
from voucherify_async._transport.session import SessionManager
from voucherify_async._transport.wire import encode_form
from voucherify_async.models.oauth import AccessToken, TokenIntrospection

__all__ = ["OAuthResource"]

T = TypeVar("T")

# May be repeated, as may getting a token.
_INTROSPECT_TOKEN: Final[Operation[TokenIntrospection]] = Operation(
    "oauth.introspect_token", "POST", "/v1/oauth/introspect", TokenIntrospection, confidential=True
)
_REVOKE_TOKEN: Final[Operation[None]] = Operation(
    "oauth.revoke_token", "POST", "/v1/oauth/token/revoke", NoneType, removes=True
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
        return await self._sessions.send(token_request(_not_empty("scope", scope)))

    async def introspect_token(self, access_token: str) -> TokenIntrospection:
        """Ask whether a token is active, and what it is good for.

        Raises:
            ValueError: `access_token` is empty.
            VoucherifyError: The call failed.

        API: https://docs.voucherify.io/api-reference/oauth/introspect-oauth-20-token
        """
        request = _about(_INTROSPECT_TOKEN, access_token)
        del access_token  # error reporters show the local variables of a traceback
        return await self._sessions.send(_checked(request))

    async def revoke_token(self, access_token: str) -> None:
        """End a token's life now.

        Raises:
            ValueError: `access_token` is empty.
            NotFoundError: There is no such token.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/oauth/revoke-oauth-20-token
        """
        request = _about(_REVOKE_TOKEN, access_token)
        del access_token  # error reporters show the local variables of a traceback
        await self._sessions.send(_checked(request))


def _about(operation: Operation[T], access_token: str) -> Request[T] | None:
    """A call about a token; `None` for what is none. Raises nothing, as it has the token in its frame."""
    if not isinstance(access_token, str) or not access_token.strip() or not access_token.isascii():
        return None
    form = encode_form({"access_token": access_token})
    return Request(operation, operation.path, form, secrets=(access_token,))


def _checked(request: Request[T] | None) -> Request[T]:
    if request is None:
        raise ValueError("access_token must be a non-empty string of ASCII characters")
    return request


def _not_empty(name: str, value: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a non-empty string")
    return value

"""OAuth 2.0 access tokens: https://docs.voucherify.io/api-reference/oauth/generate-oauth-20-token."""

from __future__ import annotations

from types import NoneType
from typing import Final, TypeVar

from voucherify_async._transport.auth import token_request
from voucherify_async._transport.operation import Operation, Request
from voucherify_async._transport.wire import encode_form
from voucherify_async.models.oauth import AccessToken, TokenIntrospection
from voucherify_async.resources._base import Resource

__all__ = ["OAuthResource"]

T = TypeVar("T")

# Both may be retried: sending them twice has the same effect as once.
_INTROSPECT_TOKEN: Final[Operation[TokenIntrospection]] = Operation(
    "oauth.introspect_token", "POST", "/v1/oauth/introspect", TokenIntrospection, confidential=True
)
_REVOKE_TOKEN: Final[Operation[None]] = Operation(
    "oauth.revoke_token", "POST", "/v1/oauth/token/revoke", NoneType, removes=True
)


class OAuthResource(Resource):
    """Access tokens for the client credentials grant. These calls need a client with API keys."""

    async def create_token(self, *, scope: str = "api") -> AccessToken:
        """Create an access token that is valid for 15 minutes.

        A project can have at most 1,000 active tokens.

        Args:
            scope: The permissions of the token: one or more scopes, separated by spaces.

        Raises:
            ValueError: `scope` is empty.
            BadRequestError: The scope does not exist.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/oauth/generate-oauth-20-token
        """
        return await self._sessions.send(token_request(_check_not_empty("scope", scope)))

    async def introspect_token(self, access_token: str) -> TokenIntrospection:
        """Check whether a token is active, and get its scope and expiry.

        Raises:
            ValueError: `access_token` is empty.
            VoucherifyError: The call failed.

        API: https://docs.voucherify.io/api-reference/oauth/introspect-oauth-20-token
        """
        request = _token_form_request(_INTROSPECT_TOKEN, access_token)
        del access_token  # error reporters show the local variables of a traceback
        return await self._sessions.send(_require_request(request))

    async def revoke_token(self, access_token: str) -> None:
        """Revoke a token immediately.

        Raises:
            ValueError: `access_token` is empty.
            NotFoundError: The token does not exist.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/oauth/revoke-oauth-20-token
        """
        request = _token_form_request(_REVOKE_TOKEN, access_token)
        del access_token  # error reporters show the local variables of a traceback
        await self._sessions.send(_require_request(request))


def _token_form_request(operation: Operation[T], access_token: str) -> Request[T] | None:
    """Build a request with a token in its body, or return `None` if the token is malformed.

    It does not raise, because a traceback through this frame would expose the token.
    """
    if not isinstance(access_token, str) or not access_token.strip() or not access_token.isascii():
        return None
    form = encode_form({"access_token": access_token})
    return Request(operation, operation.path, form, secrets=(access_token,))


def _require_request(request: Request[T] | None) -> Request[T]:
    if request is None:
        raise ValueError("access_token must be a non-empty string of ASCII characters")
    return request


def _check_not_empty(name: str, value: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a non-empty string")
    return value

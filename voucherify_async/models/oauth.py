"""OAuth 2.0 access tokens."""

from __future__ import annotations

from typing import Any

from voucherify_async.models.base import Model, Number

__all__ = ["AccessToken", "TokenIntrospection"]


class _TokenDetails(Model, frozen=True, kw_only=True):
    """The properties of a token, without the token itself."""

    client_id: str | None = None
    expires_at: Number | None = None
    expires_in: Number | None = None
    scope: str | None = None
    token_type: str | None = None


class AccessToken(_TokenDetails, frozen=True, kw_only=True):
    """An access token for the client credentials grant. `repr` does not show the token.

    Attributes:
        access_token: The token.
        client_id: The id of the OAuth client.
        expires_at: Time of expiry, in seconds since 1970 (UTC).
        expires_in: Seconds until the token expires, counted from the time of the response.
        scope: Scopes, separated by spaces.
        token_type: ``Bearer``.
    """

    access_token: str

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("expires_at", self.expires_at), ("scope", self.scope)]

    def __repr__(self) -> str:
        return f"AccessToken(expires_at={self.expires_at!r}, scope={self.scope!r})"


class TokenIntrospection(_TokenDetails, frozen=True, kw_only=True):
    """Whether a token is active, with its scope and expiry if it is. `repr` does not show the token.

    Attributes:
        active: Whether the token is active. A token that does not exist is not active.
        access_token: The token.
        client_id: The id of the OAuth client.
        expires_at: Time of expiry, in seconds since 1970 (UTC).
        expires_in: Seconds until the token expires, counted from the time of the response.
        scope: Scopes, separated by spaces.
        token_type: ``Bearer``.
    """

    active: bool | None = None
    access_token: str | None = None

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("active", self.active), ("expires_at", self.expires_at), ("scope", self.scope)]

    def __repr__(self) -> str:
        return f"TokenIntrospection(active={self.active!r}, expires_at={self.expires_at!r}, scope={self.scope!r})"

"""OAuth 2.0 access tokens."""

from __future__ import annotations

from voucherify_async.models.base import Model

__all__ = ["AccessToken", "TokenIntrospection"]


class _TokenFacts(Model, frozen=True, kw_only=True):
    """What is known of a token, besides the token."""

    client_id: str | None = None
    expires_at: int | None = None
    """Seconds since 1970 (UTC)."""
    expires_in: int | None = None
    """Seconds from when the answer was given."""
    scope: str | None = None
    """Scopes separated by spaces."""
    token_type: str | None = None


class AccessToken(_TokenFacts, frozen=True, kw_only=True):
    """An access token for the client credentials grant. Its repr leaves the token out."""

    access_token: str

    def __repr__(self) -> str:
        return f"AccessToken(expires_at={self.expires_at!r}, scope={self.scope!r})"


class TokenIntrospection(_TokenFacts, frozen=True, kw_only=True):
    """Whether a token is active, and if so what it is good for. Its repr leaves the token out."""

    active: bool | None = None
    access_token: str | None = None

    def __repr__(self) -> str:
        return f"TokenIntrospection(active={self.active!r}, expires_at={self.expires_at!r}, scope={self.scope!r})"

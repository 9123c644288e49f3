"""What a call sends to say who it comes from. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from voucherify_async.errors import ConfigurationError

__all__ = ["ApiKeys", "Auth", "OAuthToken"]


@runtime_checkable
class Auth(Protocol):
    """Who the calls come from. Other Voucherify APIs use other headers: write one of your own."""

    def headers(self) -> Mapping[str, str]:
        """The headers that every request carries."""
        ...


def _checked(name: str, value: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{name} must be a non-empty string")
    if not value.isascii() or not value.isprintable():
        raise ConfigurationError(f"{name} has characters that cannot be sent in a header")
    return value


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The application id and its secret token, as shown in the project settings."""

    app_id: str
    app_token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse keys that cannot be sent."""
        _checked("app_id", self.app_id)
        _checked("app_token", self.app_token)

    def headers(self) -> Mapping[str, str]:
        """The two key headers."""
        return {"X-App-Id": self.app_id, "X-App-Token": self.app_token}


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """An OAuth 2.0 access token that somebody else fetched and renews."""

    token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a token that cannot be sent."""
        _checked("token", self.token)

    def headers(self) -> Mapping[str, str]:
        """The token, in the header of the specification and in the one the official client uses."""
        bearer = f"Bearer {self.token}"
        return {"Authorization": bearer, "X-Voucherify-OAuth": bearer}

"""What a call sends to say who it comes from, and how a token is got. Pure: no I/O.

Secrets are kept out of reprs, and out of the frames in which an error is raised: error reporters show the
local variables of a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from voucherify_async._transport.operation import Operation, Request
from voucherify_async._transport.wire import encode_form
from voucherify_async.errors import ConfigurationError
from voucherify_async.models.oauth import AccessToken

__all__ = ["CREATE_TOKEN", "ApiKeys", "Auth", "OAuthClientCredentials", "OAuthToken", "token_request"]

# May be repeated: a token whose answer was lost runs out by itself in 15 minutes.
CREATE_TOKEN: Final[Operation[AccessToken]] = Operation(
    "oauth.create_token", "POST", "/v1/oauth/token", AccessToken, confidential=True
)


@runtime_checkable
class Auth(Protocol):
    """Who the calls come from. Other Voucherify APIs use other headers: write one of your own."""

    def headers(self) -> Mapping[str, str]:
        """The headers that every request carries."""
        ...


def _problem(name: str, value: str) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return f"{name} must be a non-empty string"
    if not value.isascii() or not value.isprintable():
        return f"{name} has characters that cannot be sent in a header"
    return None


@dataclass(frozen=True, slots=True, init=False)
class ApiKeys:
    """The application id and its secret token, as shown in the project settings."""

    app_id: str = field(repr=False)
    app_token: str = field(repr=False)

    def __init__(self, app_id: str, app_token: str) -> None:
        """Refuse keys that cannot be sent.

        Raises:
            ConfigurationError: A key is empty, or has characters that a header cannot have.
        """
        problem = _problem("app_id", app_id) or _problem("app_token", app_token)
        if problem is not None:
            del self, app_id, app_token  # half made, it has no repr
            raise ConfigurationError(problem)
        object.__setattr__(self, "app_id", app_id)
        object.__setattr__(self, "app_token", app_token)

    def headers(self) -> Mapping[str, str]:
        """The two key headers."""
        return {"X-App-Id": self.app_id, "X-App-Token": self.app_token}


@dataclass(frozen=True, slots=True, init=False)
class OAuthToken:
    """An OAuth 2.0 access token that somebody else fetched and renews."""

    token: str = field(repr=False)

    def __init__(self, token: str) -> None:
        """Refuse a token that cannot be sent.

        Raises:
            ConfigurationError: It is empty, or has characters that a header cannot have.
        """
        problem = _problem("token", token)
        if problem is not None:
            del self, token
            raise ConfigurationError(problem)
        object.__setattr__(self, "token", token)

    def headers(self) -> Mapping[str, str]:
        """The token, in the header of the specification and in the one the official client uses."""
        bearer = f"Bearer {self.token}"
        return {"Authorization": bearer, "X-Voucherify-OAuth": bearer}


@dataclass(frozen=True, slots=True, init=False)
class OAuthClientCredentials:
    """API keys that get OAuth 2.0 access tokens, so that calls carry a token that soon runs out.

    The client fetches a token when it first needs one, renews it before it expires, once for all callers
    that wait, and when a call answers 401 renews it and makes the call once more.
    """

    keys: ApiKeys
    scope: str

    def __init__(self, app_id: str, app_token: str, scope: str = "api") -> None:
        """Refuse what cannot be sent.

        Args:
            app_id: Application id.
            app_token: Its secret token.
            scope: What the tokens are good for; several scopes separated by spaces.

        Raises:
            ConfigurationError: An argument is empty, or has characters that a header cannot have.
        """
        problem = _problem("app_id", app_id) or _problem("app_token", app_token) or _problem("scope", scope)
        if problem is not None:
            del self, app_id, app_token
            raise ConfigurationError(problem)
        object.__setattr__(self, "keys", ApiKeys(app_id, app_token))
        object.__setattr__(self, "scope", scope)


def token_request(scope: str) -> Request[AccessToken]:
    """The call that gets a token by the client credentials grant, to be made with API keys."""
    form = encode_form({"grant_type": "client_credentials", "scope": scope})
    return Request(CREATE_TOKEN, CREATE_TOKEN.path, form)

"""Authentication: API keys, OAuth tokens, and the token request. Pure: no I/O.

Secrets do not appear in reprs, and variables that hold them are deleted before an error is raised: error reporters
show the local variables of a traceback.
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

# Idempotent for practical purposes: a token whose response was lost expires in 15 minutes.
CREATE_TOKEN: Final[Operation[AccessToken]] = Operation(
    "oauth.create_token", "POST", "/v1/oauth/token", AccessToken, confidential=True
)


@runtime_checkable
class Auth(Protocol):
    """Authentication headers for every request. Write your own class for Voucherify APIs that use other headers."""

    def headers(self) -> Mapping[str, str]:
        """The headers to send with every request."""
        ...


def _header_problem(name: str, value: str) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return f"{name} must be a non-empty string"
    if not value.isascii() or not value.isprintable():
        return f"{name} has characters that are not allowed in a header"
    return None


@dataclass(frozen=True, slots=True, init=False)
class ApiKeys:
    """The application id and its secret token, as shown in the project settings. `repr` does not show them.

    Attributes:
        app_id: Application id.
        app_token: Secret token of the application.
    """

    app_id: str = field(repr=False)
    app_token: str = field(repr=False)

    def __init__(self, app_id: str, app_token: str) -> None:
        """Check the keys.

        Args:
            app_id: Application id.
            app_token: Secret token of the application.

        Raises:
            ConfigurationError: A key is empty, or has characters that are not allowed in a header.
        """
        problem = _header_problem("app_id", app_id) or _header_problem("app_token", app_token)
        if problem is not None:
            del self, app_id, app_token  # the repr of an incomplete object fails
            raise ConfigurationError(problem)
        object.__setattr__(self, "app_id", app_id)
        object.__setattr__(self, "app_token", app_token)

    def headers(self) -> Mapping[str, str]:
        """The headers ``X-App-Id`` and ``X-App-Token``."""
        return {"X-App-Id": self.app_id, "X-App-Token": self.app_token}


@dataclass(frozen=True, slots=True, init=False)
class OAuthToken:
    """An OAuth 2.0 access token that the application obtains and refreshes itself. `repr` does not show it.

    Attributes:
        token: The access token, without ``Bearer``.
    """

    token: str = field(repr=False)

    def __init__(self, token: str) -> None:
        """Check the token.

        Args:
            token: The access token, without ``Bearer``.

        Raises:
            ConfigurationError: It is empty, or has characters that are not allowed in a header.
        """
        problem = _header_problem("token", token)
        if problem is not None:
            del self, token
            raise ConfigurationError(problem)
        object.__setattr__(self, "token", token)

    def headers(self) -> Mapping[str, str]:
        """The token, in the header of the API specification and in the one that the official client uses."""
        bearer = f"Bearer {self.token}"
        return {"Authorization": bearer, "X-Voucherify-OAuth": bearer}


@dataclass(frozen=True, slots=True, init=False)
class OAuthClientCredentials:
    """API keys to obtain OAuth 2.0 access tokens with, so that requests carry short-lived tokens.

    The client requests a token for the first call and refreshes it before it expires, with one request for all
    waiting calls. After a 401 it refreshes the token and retries the call once.

    Attributes:
        keys: The API keys.
        scope: The scope of the tokens; several scopes are separated by spaces.
    """

    keys: ApiKeys
    scope: str

    def __init__(self, app_id: str, app_token: str, scope: str = "api") -> None:
        """Check the credentials.

        Args:
            app_id: Application id.
            app_token: Secret token of the application.
            scope: The scope of the tokens; separate several scopes with spaces.

        Raises:
            ConfigurationError: An argument is empty, or has characters that are not allowed in a header.
        """
        problem = (
            _header_problem("app_id", app_id)
            or _header_problem("app_token", app_token)
            or _header_problem("scope", scope)
        )
        if problem is not None:
            del self, app_id, app_token
            raise ConfigurationError(problem)
        object.__setattr__(self, "keys", ApiKeys(app_id, app_token))
        object.__setattr__(self, "scope", scope)


def token_request(scope: str) -> Request[AccessToken]:
    """The request for a token by the client credentials grant; send it with API keys."""
    form = encode_form({"grant_type": "client_credentials", "scope": scope})
    return Request(CREATE_TOKEN, CREATE_TOKEN.path, form)

"""A token that is renewed: one request for any number of callers.

The renewal is a task of its own. A caller that stops waiting for it, by a deadline or a cancellation, stops neither
the renewal nor the other callers.
"""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from voucherify_async._transport.auth import CREATE_TOKEN, OAuthClientCredentials, OAuthToken
from voucherify_async._transport.clock import Clock
from voucherify_async.errors import ConfigurationError, ConnectionFailedError, DecodeError, VoucherifyError
from voucherify_async.models.oauth import AccessToken

__all__ = ["MAX_REFRESH_SECONDS", "TokenManager", "refresh_delay"]

MAX_REFRESH_SECONDS: Final = 60.0
"""Seconds that a renewal may take, its repetitions included; no caller's deadline bounds it."""

_LIFETIME: Final = 900.0
"""Seconds; what the service documents, for an answer that does not say."""

_MAX_LIFETIME: Final = 31_536_000
"""Seconds; a year. An answer may name a number that no clock can add."""

_MARGIN: Final = 60.0
_MAX_MARGIN: Final = 0.1


def refresh_delay(token: AccessToken) -> float:
    """Seconds from the request for a token after which it is to be renewed.

    That is a minute before it expires, or, of a short life, when nine tenths of it are over.
    """
    lifetime = _LIFETIME if token.expires_in is None else float(min(token.expires_in, _MAX_LIFETIME))
    return lifetime - min(_MARGIN, lifetime * _MAX_MARGIN)


class TokenManager:
    """Who the calls come from, by a token that is renewed in time.

    Attributes:
        credentials: What tokens are got with.
        token: The token as it stands.
    """

    def __init__(self, credentials: OAuthClientCredentials, clock: Clock) -> None:
        self.credentials = credentials
        self._clock = clock
        self.token: OAuthToken | None = None
        self._renew_at = -math.inf
        self._renewal: asyncio.Task[VoucherifyError | None] | None = None

    def headers(self) -> Mapping[str, str]:
        """The headers of the token as it stands."""
        return {} if self.token is None else self.token.headers()

    def reject(self, token: OAuthToken | None) -> None:
        """Have a token renewed that the service has refused, unless it has been."""
        if token is self.token:
            self._renew_at = -math.inf

    async def ready(self, fetch: Callable[[OAuthClientCredentials], Awaitable[AccessToken]]) -> None:
        """See that there is a token that is not about to expire.

        Args:
            fetch: Gets a token. It runs once for all callers that wait, even if the caller that passed it gives up.

        Raises:
            VoucherifyError: None could be got; every caller that waited for it gets the error.
        """
        if self.token is not None and self._clock.monotonic() < self._renew_at:
            return
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().create_task(self._renew(fetch))
        renewal = self._renewal
        await asyncio.wait([renewal])  # which cancels nothing but itself
        if renewal.cancelled():
            text = "the client was closed while it got a token"
            raise ConnectionFailedError(text, operation=CREATE_TOKEN.name)
        failure = renewal.result()
        if failure is not None:
            raise _for_this_call(failure)

    async def aclose(self) -> None:
        """End a renewal that is under way."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    async def _renew(
        self, fetch: Callable[[OAuthClientCredentials], Awaitable[AccessToken]]
    ) -> VoucherifyError | None:
        """Get a token; return the error if that fails."""
        try:
            await self._fetch(fetch)
        except VoucherifyError as error:
            return copy.copy(error)  # without its traceback, and all that hangs on it
        finally:
            self._renewal = None
        return None

    async def _fetch(self, fetch: Callable[[OAuthClientCredentials], Awaitable[AccessToken]]) -> None:
        asked = self._clock.monotonic()
        answer = await fetch(self.credentials)
        try:
            self.token = OAuthToken(answer.access_token)
        except ConfigurationError as error:
            problem = f"the answer is not of the promised shape: {error}"
        else:
            self._renew_at = asked + refresh_delay(answer)
            return
        raise DecodeError(problem, status=200, operation=CREATE_TOKEN.name)


def _for_this_call(failure: VoucherifyError) -> VoucherifyError:
    """An error of each caller's own, as tracebacks grow; the caller's call has not been sent."""
    error = copy.copy(failure)
    error.may_have_been_applied = False
    return error

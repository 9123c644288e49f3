"""A token that is renewed: one request for any number of callers, no task of its own."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from voucherify_async.errors import ConfigurationError, DecodeError, VoucherifyError
from voucherify_async.models.oauth import AccessToken
from voucherify_async.transport.auth import CREATE_TOKEN, OAuthClientCredentials, OAuthToken
from voucherify_async.transport.clock import Clock

__all__ = ["TokenKeeper", "renewal_delay"]

_LIFETIME: Final = 900.0
"""Seconds; what the service documents, for an answer that does not say."""

_MARGIN: Final = 60.0
_LARGEST_MARGIN: Final = 0.1


def renewal_delay(token: AccessToken) -> float:
    """Seconds from the request for a token after which it is to be renewed.

    That is a minute before it expires, or, of a short life, when nine tenths of it are over.
    """
    lifetime = _LIFETIME if token.expires_in is None else float(token.expires_in)
    return lifetime - min(_MARGIN, lifetime * _LARGEST_MARGIN)


class TokenKeeper:
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
        self._turn = asyncio.Lock()
        self._rounds = 0
        self._failure: VoucherifyError | None = None

    def headers(self) -> Mapping[str, str]:
        """The headers of the token as it stands."""
        return {} if self.token is None else self.token.headers()

    def reject(self, token: OAuthToken | None) -> None:
        """Have a token renewed that the service has refused, unless it has been."""
        if token is self.token:
            self._renew_at = -math.inf

    async def ready(self, fetch: Callable[[OAuthClientCredentials], Awaitable[AccessToken]]) -> None:
        """See that there is a token that is not about to expire.

        Raises:
            VoucherifyError: None could be got; every caller that waited for it gets the error.
        """
        if self.token is not None and self._clock.monotonic() < self._renew_at:
            return
        round_ = self._rounds
        async with self._turn:
            # What came of a request that was made while we waited is our answer too. One that was cancelled
            # ended no round: then it is our turn.
            if self._rounds == round_:
                try:
                    await self._fetch(fetch)
                    self._failure = None
                except VoucherifyError as error:
                    self._failure = copy.copy(error)  # without its traceback, and all that hangs on it
                self._rounds += 1
            failure = self._failure
        if failure is not None:
            raise _for_this_call(failure)

    async def _fetch(self, fetch: Callable[[OAuthClientCredentials], Awaitable[AccessToken]]) -> None:
        asked = self._clock.monotonic()
        answer = await fetch(self.credentials)
        try:
            self.token = OAuthToken(answer.access_token)
        except ConfigurationError as error:
            problem = f"the answer is not of the promised shape: {error}"
        else:
            self._renew_at = asked + renewal_delay(answer)
            return
        raise DecodeError(problem, status=200, operation=CREATE_TOKEN.name)


def _for_this_call(failure: VoucherifyError) -> VoucherifyError:
    """An error of each caller's own, as tracebacks grow; the caller's call has not been sent."""
    error = copy.copy(failure)
    error.may_have_been_applied = False
    return error

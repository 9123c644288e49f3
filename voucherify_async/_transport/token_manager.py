"""OAuth token refresh, shared by all callers of a client.

An OAuth token expires after about 15 minutes. Many calls may find it expired at once, and each of them may be
cancelled or run out of time while it waits for a new one. Therefore a refresh is a separate task:

- no token, or it expires soon: the first caller starts the task, all callers wait for it;
- refreshing: later callers wait for the same task;
- valid token: callers continue without waiting.

Invariants:

- At most one refresh is in progress.
- A caller that stops waiting, because of its deadline or a cancellation, stops neither the task nor other callers.
- A failed refresh raises in every caller that waited, each with its own copy of the error. The next caller starts
  a new refresh.
- A 401 for a token that has been replaced in the meantime starts no refresh.
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
"""The longest time that a refresh may take, retries included, in seconds. Deadlines of callers do not apply."""

_DEFAULT_LIFETIME: Final = 900.0
"""The documented lifetime in seconds, used if a response has none."""

_MAX_LIFETIME: Final = 31_536_000
"""A year in seconds; a response may contain a number too large to add to a time."""

_REFRESH_MARGIN: Final = 60.0  # seconds
_MAX_MARGIN_SHARE: Final = 0.1  # of the lifetime


def refresh_delay(token: AccessToken) -> float:
    """Seconds from the request for a token until it should be refreshed.

    That is a minute before it expires, or, for a short lifetime, when nine tenths of it have passed.
    """
    lifetime = _DEFAULT_LIFETIME if token.expires_in is None else float(min(token.expires_in, _MAX_LIFETIME))
    return lifetime - min(_REFRESH_MARGIN, lifetime * _MAX_MARGIN_SHARE)


class TokenManager:
    """Authentication headers with an OAuth token that is refreshed before it expires.

    Attributes:
        credentials: The API keys and scope that tokens are requested with.
        token: The current token; `None` before the first refresh.
    """

    def __init__(self, credentials: OAuthClientCredentials, clock: Clock) -> None:
        self.credentials = credentials
        self._clock = clock
        self.token: OAuthToken | None = None
        self._refresh_at = -math.inf
        self._refresh_task: asyncio.Task[VoucherifyError | None] | None = None

    def headers(self) -> Mapping[str, str]:
        """The headers for the current token; none if there is no token yet."""
        return {} if self.token is None else self.token.headers()

    def invalidate(self, token: OAuthToken | None) -> None:
        """Mark a token that the service rejected as expired, unless it has been replaced already."""
        if token is self.token:
            self._refresh_at = -math.inf

    async def ensure_token(self, fetch: Callable[[OAuthClientCredentials], Awaitable[AccessToken]]) -> None:
        """Wait until there is a token that is not about to expire; start a refresh if none is in progress.

        Args:
            fetch: Requests a token. It runs once for all waiting callers, even if the caller that passed it is
                cancelled.

        Raises:
            VoucherifyError: The refresh failed; every caller that waited for it gets the error.
        """
        if self.token is not None and self._clock.monotonic() < self._refresh_at:
            return
        if self._refresh_task is None:
            self._refresh_task = asyncio.get_running_loop().create_task(self._refresh(fetch))
        refresh_task = self._refresh_task
        await asyncio.wait(
            [refresh_task]
        )  # unlike `await refresh_task`, a cancellation does not reach the task
        if refresh_task.cancelled():
            text = "the client was closed during a token refresh"
            raise ConnectionFailedError(text, operation=CREATE_TOKEN.name)
        failure = refresh_task.result()
        if failure is not None:
            raise _copy_for_caller(failure)

    async def aclose(self) -> None:
        """Cancel a refresh in progress."""
        if self._refresh_task is not None:
            self._refresh_task.cancel()
            await asyncio.wait([self._refresh_task])

    async def _refresh(
        self, fetch: Callable[[OAuthClientCredentials], Awaitable[AccessToken]]
    ) -> VoucherifyError | None:
        """Fetch a token; return the error if that fails."""
        try:
            await self._fetch(fetch)
        except VoucherifyError as error:
            return copy.copy(error)  # the copy has no traceback, which would keep frames alive
        finally:
            self._refresh_task = None
        return None

    async def _fetch(self, fetch: Callable[[OAuthClientCredentials], Awaitable[AccessToken]]) -> None:
        requested_at = self._clock.monotonic()
        response = await fetch(self.credentials)
        try:
            self.token = OAuthToken(response.access_token)
        except ConfigurationError as error:
            problem = f"the response does not match the expected type: {error}"
        else:
            self._refresh_at = requested_at + refresh_delay(response)
            return
        raise DecodeError(problem, status=200, operation=CREATE_TOKEN.name)


def _copy_for_caller(failure: VoucherifyError) -> VoucherifyError:
    """A copy of the error for one caller: raising a shared one would extend its traceback. The call was not sent."""
    error = copy.copy(failure)
    error.may_have_been_applied = False
    return error

"""What the calls of one project share, whatever their other settings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final
from weakref import WeakSet

from voucherify_async._transport.auth import Auth, OAuthClientCredentials
from voucherify_async._transport.clock import Clock
from voucherify_async._transport.rate_limit import RateGate, RateLimit, RateLimiter
from voucherify_async._transport.token_manager import TokenManager

__all__ = ["Project", "Projects"]

_MAX_PROJECTS: Final = 1_000
"""How many projects a client remembers; the one that was used least recently is forgotten first."""


class Project:
    """The authentication of one project, and the rate limit that its responses report.

    Attributes:
        auth: The authentication.
        limiter: The rate limiter of the project, unless a view has another one.
        gate: Delays calls while the service rejects them for a rate limit.
        rate_limit: The rate limit as the last response reported it; `None` if none has reported it yet.
    """

    def __init__(
        self, auth: Auth | OAuthClientCredentials, limiter: RateLimiter | None, clock: Clock
    ) -> None:
        self.auth = TokenManager(auth, clock) if isinstance(auth, OAuthClientCredentials) else auth
        self.limiter = limiter
        self.gate = RateGate(clock)
        self.rate_limit: RateLimit | None = None


class Projects:
    """The projects of a client and its views, by their authentication: views of one project share its rate limit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._projects: OrderedDict[Hashable, Project] = OrderedDict()
        self._token_managers = WeakSet[TokenManager]()  # of forgotten projects too, while anything uses them

    def get(self, auth: Auth | OAuthClientCredentials, limiter: RateLimiter | None) -> Project:
        """The project with this authentication; a new one, with this limiter, if it is not known."""
        key = _key(auth)
        project = self._projects.setdefault(key, Project(auth, limiter, self._clock))
        self._projects.move_to_end(key)
        if isinstance(project.auth, TokenManager):
            self._token_managers.add(project.auth)
        if len(self._projects) > _MAX_PROJECTS:
            self._projects.popitem(last=False)
        return project

    async def aclose(self) -> None:
        """Cancel all token refreshes in progress."""
        for manager in list(self._token_managers):
            await manager.aclose()


def _key(auth: Auth | OAuthClientCredentials) -> Hashable:
    key: object = auth
    try:
        hash(key)
    except TypeError:
        return id(key)
    return key

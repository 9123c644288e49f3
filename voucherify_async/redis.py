"""A rate limit that processes and machines share through Redis. Requires the optional extra ``redis``.

::

    async with (
        RedisRateLimiter("redis://localhost", limit=600, period=60) as limiter,
        VoucherifyClient(rate_limiter=limiter) as voucherify,
        voucherify.with_options(rate_limiter=limiter.low_priority()) as export,
    ):
        ...

The primitives of the ``limits`` package are not enough: they count a request when it is sent and know neither its end
nor the responses of the service, queues, returned permits or killed processes.

For each kind of call, Redis stores one permit per request, with the time until which it counts. A permit is acquired
before a request is sent. When the request has ended, the permit is stamped to count for one more period, so that no
window of the service contains more than `limit` requests. All decisions are made by one script, by the clock of the
server. Each script call carries the permits that have ended since the last one, and acquires for all requests that wait.

Requests of one event loop wait in order of arrival. Between processes, Redis has a queue: a process is granted a block
of permits at most, then it goes to the end of the queue.

Responses of the service correct the count: if fewer calls remain than Redis has permits, other software uses the project
too, and the difference is reserved for it. The reserve shrinks to nothing within a period unless responses confirm it.
After a 429, no process sends a request until the service accepts calls again.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from types import TracebackType
from typing import Self, final
from weakref import WeakKeyDictionary

from voucherify_async._shared_limit.lines import LoopState
from voucherify_async._shared_limit.server import Redis, Server, Settings
from voucherify_async._transport.clock import Clock
from voucherify_async._transport.rate_limit import RateLimit, RateLimiter
from voucherify_async._transport.settings import check_seconds
from voucherify_async.errors import ConfigurationError

__all__ = ["RedisRateLimiter"]


class View:
    """Permits of one priority."""

    def __init__(self, state: Callable[[], LoopState], low_limit: int | None) -> None:
        self._state = state
        self._low_limit = low_limit

    def __repr__(self) -> str:
        return f"<low priority, at most {self._low_limit} permits>"

    async def acquire(self, kind: str, max_wait: float, /) -> float | None:
        """Acquire a permit to send one request; see `RateLimiter.acquire`."""
        return await self.acquire_within(kind, max_wait, math.inf)

    async def acquire_within(self, kind: str, max_wait: float, max_pause: float, /) -> float | None:
        """Like `acquire`, but do not wait if no call is permitted for longer than `max_pause` seconds."""
        return await self._state().line(kind, self._low_limit).acquire(max_wait, max_pause)

    def release(self, kind: str, rate_limit: RateLimit | None, wait: float | None, /) -> None:
        """Release a permit; see `RateLimiter.release`."""
        self._state().line(kind, self._low_limit).release(rate_limit, wait)


@final
class RedisRateLimiter(View):
    """Allows at most `limit` requests in any `period` seconds, for all processes and machines with the same key.

    Each kind of call (``api_calls``, ``bulk_api_calls``) has the whole limit for itself. The limits of the service apply
    to a project: give each project a `key` of its own, and pass its limiter to ``with_options(auth=..., rate_limiter=...)``.
    All limiters with one key must have the same `limit` and `period`.

    If Redis fails or does not answer within `timeout`, a warning is logged and calls go on. Until Redis answers again,
    each process limits its own calls, to `local_limit` or an equal share of the limit: the limit divided by the number of
    event loops that used the key when Redis last answered, or by four if it never did. Afterwards each process reports
    the calls of the last period, so that they count also if Redis was restarted empty.

    It works in any number of event loops and threads, each with a connection of its own, and after a fork. A client that
    you pass belongs to the event loop in which it is used. Redis 5 or later is needed. A permit takes about 100 bytes of
    its memory; all keys expire when they are not used.

    Attributes:
        limit: The most requests of one kind in a period.
        period: The length of a period in seconds.
        key: The name that the keys in Redis begin with.
    """

    def __init__(
        self,
        url_or_client: str | Redis,
        *,
        limit: int,
        period: float,
        key: str = "voucherify",
        timeout: float = 0.5,
        lease: float = 30.0,
        local_limit: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Create a limiter. Nothing is sent to Redis before the first call.

        Args:
            url_or_client: A URL (``redis://``, ``rediss://``, ``unix://``), or a `redis.asyncio.Redis`, which is not
                closed.
            limit: The most requests of one kind in a period.
            period: The length of a period in seconds.
            key: The name that the keys in Redis begin with; one for each project.
            timeout: The longest time in seconds to wait for a response of Redis.
            lease: Seconds after which the request of a killed process is assumed to have ended; at least the timeout of an
                attempt.
            local_limit: The most requests of one kind in a period of this event loop while Redis does not answer.
            clock: Replaces the system clock in tests.

        Raises:
            ConfigurationError: An argument is invalid; the message names it.
        """
        connect = _connector(url_or_client)
        del url_or_client  # error reporters show the local variables of a traceback
        if connect is None:
            raise ConfigurationError(
                "url_or_client must be a redis://, rediss:// or unix:// URL, or a redis.asyncio.Redis"
            )
        _check_count("limit", limit)
        if local_limit is not None:
            _check_count("local_limit", local_limit)
        for name, value in (("period", period), ("timeout", timeout), ("lease", lease)):
            if value is None:
                raise ConfigurationError(f"{name} must be a positive number of seconds, not None")
            check_seconds(name, value)
        if not isinstance(key, str) or not key:
            raise ConfigurationError(f"key must be a string that is not empty, not {key!r}")
        if clock is not None and not isinstance(clock, Clock):
            raise ConfigurationError(f"clock must be a Clock, not {clock!r}")
        self.limit = limit
        self.period = period
        self.key = key
        self._settings = Settings(limit, period, key, timeout, lease, local_limit, clock or Clock())
        self._connect = connect
        self._states: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopState] = WeakKeyDictionary()
        self._inherited: list[LoopState] = []
        super().__init__(self._loop_state, None)

    def __repr__(self) -> str:
        return f"RedisRateLimiter(limit={self.limit}, period={self.period}, key={self.key!r})"

    def low_priority(self, reserve: float = 0.5) -> RateLimiter:
        """A view for jobs that leave room for other calls; it shares the connection and the count.

        It never has more than the rest of the limit, and waits while other calls wait. Calls of the limiter itself that
        need no more than the reserve in a period do not wait for it.

        Args:
            reserve: The part of the limit that is left for other calls, between 0 and 1.

        Raises:
            ConfigurationError: `reserve` is not between 0 and 1, or leaves nothing of the limit.
        """
        number = isinstance(reserve, int | float) and not isinstance(reserve, bool)
        if not number or not 0 < reserve < 1:
            raise ConfigurationError(f"reserve must be a number between 0 and 1, not {reserve!r}")
        low_limit = math.floor(self.limit * (1 - reserve))
        if not low_limit:
            raise ConfigurationError(f"reserve of {reserve!r} leaves nothing of a limit of {self.limit}")
        return View(self._loop_state, low_limit)

    def _loop_state(self) -> LoopState:
        loop = asyncio.get_running_loop()
        state = self._states.get(loop)
        if state is not None and state.server.pid != os.getpid():
            self._inherited.append(state)  # closing its sockets could disturb the parent process
            state = None
        if state is None:
            client, owned = self._connect()
            state = self._states[loop] = LoopState(
                Server(client, self._settings, owned=owned), self._settings
            )
        return state

    async def aclose(self) -> None:
        """Return unused permits, refuse calls that wait, and close the connection of this event loop.

        A client that was passed stays open.
        """
        state = self._states.pop(asyncio.get_running_loop(), None)
        if state is not None and state.server.pid == os.getpid():
            await state.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _connector(url_or_client: object) -> Callable[[], tuple[Redis, bool]] | None:
    """A function that returns a client, and whether it is the limiter's own; `None` for an invalid argument."""
    if isinstance(url_or_client, Redis):
        client = url_or_client
        return lambda: (client, False)
    if not isinstance(url_or_client, str):
        return None
    url = url_or_client

    def connect() -> tuple[Redis, bool]:
        from_url: Callable[..., Redis] = Redis.from_url  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        # No retries: a call that waits is served locally sooner.
        return from_url(url, retry=None, client_name="voucherify_async"), True

    try:
        connect()
    except Exception:  # noqa: BLE001  # the text of the error could contain the URL
        return None
    return connect


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} must be an integer from 1, not {value!r}")

"""The session manager: the pool of connections and the attempts of a call. The one edge to aiohttp.

What an answer means and whether an attempt is repeated is decided elsewhere, by functions of values
(`wire`, `retry`, `rate_limit`); here bytes are moved and waits are waited.
"""

from __future__ import annotations

import asyncio
import io
import logging
import math
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
from yarl import URL

from voucherify_async.errors import (
    APIStatusError,
    ConfigurationError,
    ConnectionFailedError,
    ConnectTimeoutError,
    DeadlineExceededError,
    DecodeError,
    OutcomeUnknownError,
    PoolTimeoutError,
    RateLimitError,
    ReadTimeoutError,
    TransportError,
    VoucherifyError,
)
from voucherify_async.transport.operation import Answer, Request, Response
from voucherify_async.transport.rate_limit import RateLimit, read_rate_limit, server_wait
from voucherify_async.transport.retry import Outcome, RetryPolicy
from voucherify_async.transport.settings import Timeouts, check_headers, check_proxy, environment_proxy
from voucherify_async.transport.wire import decode, decode_error, request_id_of, status_error

if TYPE_CHECKING:
    import ssl

    from voucherify_async.transport.auth import Auth

__all__ = ["CallOptions", "Clock", "ConnectionPool", "Connector", "PoolSettings", "SessionManager"]

T = TypeVar("T")

_logger = logging.getLogger("voucherify_async")

_LARGE_BODY: Final = 256 * 1024
"""Above this a body is streamed: aiohttp warns of bytes above 1 MiB, which block the loop in one write."""

# aiohttp rounds timeouts above 5 s up to whole seconds unless it is told not to.
_NEVER_ROUND: Final = math.inf


Connector = aiohttp.BaseConnector
"""What makes the connections; the rest of the package does not know whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """What a connection pool needs to know; see `VoucherifyClient` for the meaning."""

    base_url: str
    max_connections: int = 100
    keepalive_timeout: float = 30.0
    max_response_bytes: int = 64 * 1024 * 1024
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True
    ssl: ssl.SSLContext | None = None
    connector: Connector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How calls are made over a pool; views of a client differ in these."""

    auth: Auth
    timeouts: Timeouts = Timeouts()
    deadline: float | None = None
    retry: RetryPolicy = RetryPolicy()
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time and chance come from; tests bring their own."""

    monotonic: Callable[[], float] = time.monotonic
    epoch: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = random.random


class ConnectionPool:
    """Pooled connections to one service, opened at first use in the loop that runs then."""

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.rate_limit: RateLimit | None = None
        # A gate of our own before aiohttp's, so that an attempt's time starts when it has a place.
        places = _places(settings)
        self._gate = asyncio.Semaphore(places) if places else None
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: int | None = None
        self._proxy: str | None = None
        self._closed = False

    async def acquire(self, timeout: float | None) -> bool:  # noqa: ASYNC109  # the limit is a result here, not an error
        """Take a place in the pool; False when none became free within `timeout` seconds."""
        self._check_usable()
        if self._gate is None:
            return True
        if timeout is None or not self._gate.locked():
            return await self._gate.acquire()
        try:
            async with asyncio.timeout(timeout):
                return await self._gate.acquire()
        except TimeoutError:
            return False

    def release(self) -> None:
        """Give a place back."""
        if self._gate is not None:
            self._gate.release()

    async def exchange(
        self, request: Request[Any], headers: Mapping[str, str], timeouts: Timeouts
    ) -> Answer | VoucherifyError:
        """Send a request once and read the whole answer; what goes wrong is returned, not raised."""
        session = self._open()
        body = request.body
        content: bytes | io.BytesIO | None = None
        if body is not None:
            headers = {"Content-Type": body.content_type, **headers}
            content = io.BytesIO(body.content) if len(body.content) > _LARGE_BODY else body.content
        try:
            async with session.request(
                request.operation.method,
                URL(self.settings.base_url + request.target, encoded=True),
                data=content,
                headers=headers,
                allow_redirects=False,  # following one would carry the credentials elsewhere
                timeout=aiohttp.ClientTimeout(
                    total=timeouts.attempt,
                    connect=timeouts.connect,  # with the look-up of the name, unlike sock_connect
                    sock_read=timeouts.read,
                    ceil_threshold=_NEVER_ROUND,
                ),
                proxy=self._proxy,
                ssl=self.settings.ssl or True,
            ) as reply:
                received = await _read(reply, self.settings.max_response_bytes)
                if received is not None:
                    return Answer(reply.status, reply.headers, received)
                reply.close()
                too_long = f"the answer has more than {self.settings.max_response_bytes:,} bytes"
                return decode_error(request.operation, Answer(reply.status, reply.headers, b""), too_long)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = _translate(request, error, timeouts)
        except (RuntimeError, AssertionError, AttributeError) as error:
            if not self._closed:
                raise
            # aiohttp's ways to say that its session was closed under a call.
            failure = _translate(request, aiohttp.ClientConnectionError(str(error)), timeouts)
        return failure  # made inside, raised outside: it has no __context__ with aiohttp's objects

    async def aclose(self) -> None:
        """Close the connections. The pool cannot be used again."""
        if self._session is not None:
            self._check_place()
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _check_usable(self) -> None:
        if self._closed:
            raise ConfigurationError("the client is closed; make a new one")
        self._check_place()
        if self.settings.connector is not None and self.settings.connector.closed:
            raise ConfigurationError("the connector is closed; make a client with an open one")

    def _check_place(self) -> None:
        if self._process is not None and self._process != os.getpid():
            raise ConfigurationError(
                "the client was used before the process forked; make a new one in the child"
            )
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise ConfigurationError("the client belongs to another event loop; make one in each loop")

    def _open(self) -> aiohttp.ClientSession:
        self._check_usable()
        if self._session is None:
            settings = self.settings
            self._proxy = settings.proxy
            if self._proxy is None and settings.trust_env and (proxy := environment_proxy(settings.base_url)):
                self._proxy = check_proxy("the proxy in the environment", proxy)
            self._session = aiohttp.ClientSession(
                connector=settings.connector
                or aiohttp.TCPConnector(
                    limit=settings.max_connections,
                    keepalive_timeout=settings.keepalive_timeout,
                    timeout_ceil_threshold=_NEVER_ROUND,
                ),
                connector_owner=settings.connector is None,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._loop = asyncio.get_running_loop()
            self._process = os.getpid()
        return self._session


def _places(settings: PoolSettings) -> int:
    """How many connections there can be at once; 0 for any number."""
    connector = settings.connector
    if connector is None:
        return settings.max_connections
    return min((limit for limit in (connector.limit, connector.limit_per_host) if limit), default=0)


async def _read(reply: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The whole body, decompressed; `None` if it is longer than `limit` bytes."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in reply.content.iter_any():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _translate(request: Request[Any], error: Exception, timeouts: Timeouts) -> TransportError:
    """The one place that knows aiohttp's exceptions.

    Texts of aiohttp's that hold the URL are left out, as ids in it are personal data.
    """
    name = request.operation.name
    acts = not request.operation.reads
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ConnectTimeoutError(f"no connection within {timeouts.connect} s", operation=name)
        case aiohttp.ClientConnectorCertificateError():
            return ConnectionFailedError(f"cannot connect: {error.certificate_error}", operation=name)
        case aiohttp.ClientConnectorError():
            return ConnectionFailedError(f"cannot connect: {error.os_error}", operation=name)
        case aiohttp.ServerFingerprintMismatch() | aiohttp.ClientHttpProxyError():
            return ConnectionFailedError(f"cannot connect: {type(error).__name__}", operation=name)
        case aiohttp.SocketTimeoutError():
            text = f"nothing came for {timeouts.read} s"
            return ReadTimeoutError(text, operation=name, may_have_been_applied=acts)
        case TimeoutError():
            text = f"no whole answer within {timeouts.attempt} s"
            return ReadTimeoutError(text, operation=name, may_have_been_applied=acts)
        case aiohttp.ClientPayloadError():
            text = "the answer broke off before its end"
        case aiohttp.ClientResponseError():
            text = f"the answer is not HTTP: {error.message}"
        case aiohttp.ServerDisconnectedError():
            text = "the connection was closed before an answer came"
        case _:
            text = f"the connection broke: {type(error).__name__}"
            if isinstance(error, OSError) and error.strerror:
                text = f"the connection broke: {error.strerror}"
    return ConnectionFailedError(text, operation=name, may_have_been_applied=acts)


class _Call:
    """What is known of a call while it runs."""

    __slots__ = ("failures", "on_the_wire", "started")

    def __init__(self, started: float) -> None:
        self.started = started
        self.failures: list[VoucherifyError] = []
        self.on_the_wire = False


class SessionManager:
    """Makes calls over a pool: authentication, attempts, waits, deadline."""

    def __init__(self, pool: ConnectionPool, options: CallOptions, *, clock: Clock | None = None) -> None:
        self.pool = pool
        self.options = options
        self.clock = clock or Clock()

    def with_options(self, **changes: Any) -> SessionManager:
        """The same pool with other options."""
        return SessionManager(self.pool, replace(self.options, **changes), clock=self.clock)

    async def send(self, request: Request[T]) -> Response[T]:
        """Make a call, in as many attempts as the policy allows.

        Raises:
            APIStatusError: The service answered with an error.
            DecodeError: The answer is not what the API promises.
            TransportError: No usable answer came.
            ConfigurationError: The client is closed, or used from another loop or process.
        """
        call = _Call(self.clock.monotonic())
        scope = asyncio.timeout(self.options.deadline)
        try:
            async with scope:
                return await self._attempts(request, call)
        except TimeoutError:
            if not scope.expired():
                raise
        raise self._deadline_error(request, call)

    async def _attempts(self, request: Request[T], call: _Call) -> Response[T]:
        while True:
            attempt = len(call.failures) + 1
            try:
                result = await self._attempt(request, call)
            except ConfigurationError as error:  # closed between two attempts
                _concluded(error, call.failures)
                raise
            if isinstance(result, Answer) and 200 <= result.status < 300:
                return self._response(request, result, attempt, call)
            failure = self._failure(request, result)
            outcome = self._outcome(request, result, failure)
            delay = self.options.retry.decide(attempt, outcome, jitter=self.clock.random())
            if delay is None or self._passes_deadline(call, delay):
                raise self._last_error(request, failure, call, late=delay is not None)
            call.failures.append(failure)
            _logger.warning(
                "%s: attempt %d failed; the next in %.2f s", request.operation.name, attempt, delay
            )
            await self.clock.sleep(delay)

    async def _attempt(self, request: Request[Any], call: _Call) -> Answer | VoucherifyError:
        timeouts = self.options.timeouts
        if not await self.pool.acquire(timeouts.pool):
            text = f"no place in the connection pool became free within {timeouts.pool} s"
            return PoolTimeoutError(text, operation=request.operation.name)
        try:
            auth = check_headers("auth", self.options.auth.headers())
            headers = {**self.options.headers, **auth, **request.headers}
            call.on_the_wire = True
            result = await self.pool.exchange(request, headers, timeouts)
            call.on_the_wire = False  # not after a cancellation: then nobody knows how far it got
        finally:
            self.pool.release()
        if isinstance(result, Answer):
            self.pool.rate_limit = read_rate_limit(result.headers) or self.pool.rate_limit
        _logger.debug(
            "%s: %s", request.operation.name, result.status if isinstance(result, Answer) else result
        )
        return result

    def _failure(self, request: Request[Any], result: Answer | VoucherifyError) -> VoucherifyError:
        if isinstance(result, Answer):
            return status_error(request.operation, result, now=self.clock.epoch())
        return result

    def _outcome(
        self, request: Request[Any], result: Answer | VoucherifyError, failure: VoucherifyError
    ) -> Outcome:
        return Outcome(
            repeatable=request.repeatable,
            arrived=failure.may_have_been_applied,
            status=failure.status if isinstance(failure, APIStatusError | DecodeError) else None,
            server_wait=server_wait(result.headers, self.clock.epoch())
            if isinstance(result, Answer)
            else None,
            limit_kind=failure.kind if isinstance(failure, RateLimitError) else None,
        )

    def _response(self, request: Request[T], answer: Answer, attempt: int, call: _Call) -> Response[T]:
        try:
            data = request.decode(answer) if request.decode else decode(request.operation, answer)
        except DecodeError as error:
            _concluded(error, call.failures)
            raise
        return Response(
            data=data,
            status=answer.status,
            headers=answer.headers,
            request_id=request_id_of(answer),
            rate_limit=read_rate_limit(answer.headers),
            attempts=attempt,
            elapsed=self.clock.monotonic() - call.started,
        )

    def _passes_deadline(self, call: _Call, delay: float) -> bool:
        deadline = self.options.deadline
        return deadline is not None and self.clock.monotonic() - call.started + delay >= deadline

    def _last_error(
        self, request: Request[Any], failure: VoucherifyError, call: _Call, *, late: bool
    ) -> VoucherifyError:
        """What a call ends with; an answer goes before the deadline, and that before an unknown outcome."""
        if isinstance(failure, TransportError):
            if late:
                call.failures.append(failure)
                return self._deadline_error(request, call)
            if failure.may_have_been_applied and not request.repeatable:
                call.failures.append(failure)
                failure = OutcomeUnknownError(
                    f"sent, and whether it was applied is unknown: {failure.args[0]}",
                    operation=request.operation.name,
                )
        return _concluded(failure, call.failures)

    def _deadline_error(self, request: Request[Any], call: _Call) -> VoucherifyError:
        error = DeadlineExceededError(
            f"no usable answer within the deadline of {self.options.deadline} s",
            operation=request.operation.name,
            may_have_been_applied=call.on_the_wire and not request.operation.reads,
        )
        return _concluded(error, call.failures)


def _concluded(error: VoucherifyError, earlier: list[VoucherifyError]) -> VoucherifyError:
    """The error of a whole call: it remembers the attempts before, any of which may have been applied."""
    error.attempts = tuple(earlier)
    error.may_have_been_applied |= any(failure.may_have_been_applied for failure in earlier)
    return error

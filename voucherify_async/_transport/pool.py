"""The connection pool: sends one attempt of a request over HTTP. No other transport module imports aiohttp.

An attempt has four steps:

1. Slot: a semaphore admits as many attempts as there may be connections (`Timeouts.pool`). aiohttp's own limit
   therefore never makes an attempt wait, and the time limit of the attempt starts when it has a slot.
2. Connection: aiohttp reuses an idle connection or opens a new one (`Timeouts.connect`).
3. Request: `Delivery.sent` becomes true when the request is handed to an open connection. Before that the
   service has certainly not received it.
4. Response: the body is read completely (`Timeouts.read` limits the time between two reads).

`Timeouts.attempt` limits steps 2 to 4 together; a `Watchdog` enforces it.

Invariants:

- A connection returns to the pool only after a complete request and a complete response; otherwise it is aborted.
- An idle connection on which anything arrives is not reused, so that those bytes are not read as a response.
- aiohttp never resends a request: every attempt is visible to the session manager.
- `exchange` returns failures as errors of this package, without the URL and the proxy's password.

The module relies on these parts of aiohttp beyond its reference documentation. `_check_aiohttp` checks them when the
module is imported, and each has a test on a real socket:

- `ClientRequest.send`, overridden by `_Request`: the only place where the connection of a request is known before
  anything is written to it. There the module records that the request is sent, and rejects a stale connection.
- `ClientRequest.update_body_from_data` and `_body`, overridden by `_Request`: sets the body at a fifth of the cost, which
  saves 2 % of a call. If aiohttp did not call it, it would send the same request.
- `Connection.protocol`: identifies a connection, to tell a reused one from a new one.
- `ResponseHandler.set_parser` and `should_close`, of that protocol: detect bytes on an idle connection. aiohttp itself
  would read them as the response to the next request.
- `StreamReader.on_eof`: calls back when a response ends, before its connection can serve another request.
- `Payload.write_with_length`, implemented by `_Payload`: the documentation mentions payloads, but not how to write one.
  With plain `bytes` the module could not tell whether the body was sent, and aiohttp would write it in one piece.
- `ClientTimeout(ceil_threshold=...)`: by default aiohttp rounds timeouts above 5 s up to whole seconds.
- `ContentEncodingError` as the cause of a `ClientPayloadError`: tells a response that cannot be decompressed from a
  truncated one, which may be retried.

It also relies on behaviour that a check of names cannot see, and that tests cover: aiohttp resends a request only after
`ClientOSError` and `ServerDisconnectedError`, which the middleware of an attempt therefore replaces; and the callbacks of
`on_eof` run before any other task does.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import math
import os
import select
import ssl
import warnings
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import aiohttp
import anyio
import msgspec
from yarl import URL

from voucherify_async._transport.clock import Clock
from voucherify_async._transport.operation import Delivery, Headers, RawResponse, Request
from voucherify_async._transport.secrets import proxy_credentials
from voucherify_async._transport.settings import Timeouts, check_proxy, environment_proxy
from voucherify_async._transport.throttle_log import ThrottleLog
from voucherify_async._transport.watchdog import Watchdog
from voucherify_async._transport.wire import decode_error
from voucherify_async.errors import (
    ConfigurationError,
    ConnectionFailedError,
    ConnectTimeoutError,
    ProxyError,
    ReadTimeoutError,
    TransportError,
    VoucherifyError,
)

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.connector import Connection

__all__ = ["ConnectionPool", "Connector", "PoolSettings"]

_CHUNK_SIZE: Final = 64 * 1024
"""Bytes of a body per write; other tasks can run between two writes."""

_VARIADIC: Final = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD

_AIOHTTP_VERSIONS: Final = ">=3.14.2,<4"
"""The versions that this package depends on, as in ``pyproject.toml``."""

_AIOHTTP_INTERNALS: Final[Mapping[str, tuple[str, ...] | None]] = {
    "ClientRequest.send": ("self", "conn"),
    "ClientRequest.update_body_from_data": ("self", "body"),
    "ClientRequest._body": None,
    "Payload.write_with_length": ("self", "writer", "content_length"),
    "connector.Connection.protocol": None,
    "client_proto.ResponseHandler.set_parser": ("self", "parser", "payload"),
    "client_proto.ResponseHandler.should_close": None,
    "StreamReader.on_eof": ("self", "callback"),
    "ClientTimeout": ("ceil_threshold",),
    "http_exceptions.ContentEncodingError": None,
}
"""Undocumented parts of aiohttp that this module uses, and the arguments that it passes; `None` if it calls nothing."""


def _check_aiohttp() -> None:
    """Check that aiohttp has the undocumented parts that this module uses.

    Raises:
        ImportError: It has not; names the installed version and those that work.
    """
    for name, arguments in _AIOHTTP_INTERNALS.items():
        try:
            part = attrgetter(name)(aiohttp)
        except AttributeError:
            problem = f"it has no {name}"
        else:
            if arguments is None or _accepts(part, arguments):
                continue
            problem = f"{name} takes other arguments"
        raise ImportError(
            f"voucherify_async does not work with aiohttp {aiohttp.__version__}: {problem}. "
            f"Install aiohttp{_AIOHTTP_VERSIONS}",
            name="aiohttp",
        )


def _accepts(function: Any, arguments: tuple[str, ...]) -> bool:
    """Whether a function has parameters of these names, in this order, and all its other parameters are optional."""
    parameters = inspect.signature(function).parameters.values()
    return arguments == tuple(
        parameter.name
        for parameter in parameters
        if parameter.name in arguments
        or (parameter.default is parameter.empty and parameter.kind not in _VARIADIC)
    )


_check_aiohttp()
_ContentEncodingError: Final[type[Exception]] = attrgetter("http_exceptions.ContentEncodingError")(aiohttp)

Connector = aiohttp.BaseConnector
"""The type of a user's connector; an alias, so that other modules need not import aiohttp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """Settings of a connection pool; `VoucherifyClient` documents each of them."""

    base_url: str
    max_connections: int = 100
    keepalive_timeout: float = 30.0
    max_response_bytes: int = 64 * 1024 * 1024
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True
    ssl: ssl.SSLContext | None = None
    connector: Connector | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class ActiveAttempt(msgspec.Struct, eq=False):
    """An attempt in progress: its headers, its connection, and methods to send and to abort it.

    Attributes:
        headers: The request headers except ``Host`` and ``Content-Length``.
        delivery: How far the attempt got, for the session manager.
        body_written: The request body has been written completely, or there is none.
        owns_connector: The connector belongs to this client. The connections of a user's connector serve other
            code too, so idle ones are not watched.
        expired: The attempt exceeded its time limit.
        transport: The transport of the connection; `None` until there is a connection.
        protocol: The protocol of the connection.
        response_body: The response body; `None` until the response headers have arrived.
    """

    headers: Headers
    delivery: Delivery
    body_written: bool
    owns_connector: bool
    expired: bool = False
    transport: asyncio.Transport | None = None
    protocol: Any = None
    response_body: aiohttp.StreamReader | None = None

    def __repr__(self) -> str:
        return f"<ActiveAttempt {self.delivery}>"

    async def send(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Middleware of aiohttp: add the headers, send the request once, and watch the connection after the response.

        aiohttp silently resends a request with an idempotent method when one of its own disconnect errors is raised.
        Raising `_Disconnected` in its place prevents that.
        """
        self.delivery.sent = False
        cast("_Request", request).attempt = self
        request.headers.update(self.headers.values)
        try:
            response = await handler(request)
        except aiohttp.ClientConnectorError:
            raise  # aiohttp does not retry after this one
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            # Without aiohttp's message, which contains the URL.
            disconnect = _Disconnected(error.errno if isinstance(error, OSError) else None)
        else:
            if self.owns_connector:
                response.content.on_eof(self.close_on_unexpected_input)
            return response
        raise disconnect

    def mark_sent(self) -> None:
        """Record that the request is handed to the connection; a closing connection sends nothing."""
        self.delivery.sent = self.transport is not None and not self.transport.is_closing()

    def close_on_unexpected_input(self) -> None:
        """Close the connection if anything arrives on it before the next request."""
        self.protocol.set_parser(_IdleParser(self.transport), None)

    def expire(self) -> None:
        """Abort the attempt because it exceeded its time limit."""
        self.expired = True
        self.abort()

    def abort(self) -> None:
        """Abort the connection, unless the response is complete: the connection may then serve another call.

        Closing it gracefully would first send the rest of the request body.
        """
        is_complete = self.response_body is not None and self.response_body.is_eof()
        if self.transport is not None and not is_complete:
            self.transport.abort()


class _Request(aiohttp.ClientRequest):
    """A request that records in its attempt over which connection it is sent, and that it is sent."""

    attempt: ActiveAttempt
    used_connections: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()
    """Connections that have served a request, by their protocol objects."""

    def update_body_from_data(self, body: _Payload | None, _stacklevel: int = 3) -> None:
        """Set the body; aiohttp's own method would look up a type for it, and copy headers that `attempt` replaces."""
        if body is None:
            super().update_body_from_data(body)
        else:
            self._body = body
            self.headers["Content-Length"] = str(body.size)

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        attempt = self.attempt
        attempt.transport, attempt.protocol = conn.transport, conn.protocol
        if attempt.expired:  # while connecting, when there was no transport to abort
            attempt.abort()
        if attempt.protocol in self.used_connections:
            attempt.delivery.reused = True
            attempt.protocol.set_parser(None, None)
            if attempt.protocol.should_close or _has_unread_input(attempt.transport):
                raise _Disconnected
        else:
            self.used_connections.add(attempt.protocol)
        if attempt.body_written:  # otherwise the payload marks it, as aiohttp sends the headers with the body
            attempt.mark_sent()
        return await super().send(conn)


def _has_unread_input(transport: asyncio.Transport | None) -> bool:
    """Whether the socket has bytes or an end of file that the event loop has not read yet; true without a socket."""
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # on Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class _IdleParser:
    """Parser of an idle connection: closes the connection when any bytes arrive.

    Without it aiohttp would read those bytes as the response to the next request.
    """

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Close the connection; the result means to aiohttp: message not complete, no remaining bytes."""
        if data and self._transport is not None:
            self._transport.abort()
        return False, b""

    def feed_eof(self) -> None:
        """Do nothing: the server closed the idle connection."""


class _Payload(aiohttp.Payload):
    """A request body that records in its attempt when it is sent."""

    def __init__(self, content: bytes, attempt: ActiveAttempt) -> None:
        super().__init__(content)
        self._content = content
        self._attempt = attempt

    @property
    def size(self) -> int:
        return len(self._content)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002  # always the length of the body
        self._attempt.mark_sent()
        if len(self._content) <= _CHUNK_SIZE:
            await writer.write(self._content)
        else:
            content = memoryview(self._content)
            for start in range(0, len(content), _CHUNK_SIZE):
                await writer.write(content[start : start + _CHUNK_SIZE])
        self._attempt.body_written = True


class _Disconnected(Exception):  # noqa: N818  # internal to this module
    """The connection was closed before a response arrived."""


class ConnectionPool:
    """Pooled connections to one service, opened at first use and bound to the event loop of that use.

    Attributes:
        settings: The settings of the pool.
        clock: The clock of all parts of the client.
        throttle_log: Logs when calls wait for a rate limit.
        headers: Default headers of every request.
    """

    _open_sessions: ClassVar[weakref.WeakSet[aiohttp.ClientSession]] = weakref.WeakSet()
    _inherited_sessions: ClassVar[list[aiohttp.ClientSession]] = []

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.throttle_log = ThrottleLog(self.clock)
        self.headers = settings.headers  # aiohttp adds Accept-Encoding, as it knows what it can decompress
        # Slots of our own, not aiohttp's limit, so that the time limit of an attempt starts when it has a slot.
        self._slot_count = _connection_limit(settings)
        self._slots: anyio.Semaphore | None = None
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: int | None = None
        self._proxy: str | None = None
        self._secrets: Collection[str] = ()
        self._watchdog = Watchdog()
        self._timeout_cache = Timeouts(), _client_timeout(Timeouts())
        self._closed = False

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        """Warn about connections that nobody closed; `warn` is a default because modules may be gone at exit."""
        if self._session is not None and self._process == os.getpid():
            warn(
                f"VoucherifyClient for {self.settings.base_url} was not closed: use `async with`, or aclose()",
                ResourceWarning,
                source=self,
            )

    def try_acquire_slot(self) -> bool:
        """Acquire a slot in the pool if one is free."""
        if self._slots is None:
            if not self._slot_count:
                return True
            self._slots = anyio.Semaphore(self._slot_count, fast_acquire=True)
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            return False
        return True

    async def acquire_slot(self, timeout: float | None) -> bool:  # noqa: ASYNC109  # returns False on a timeout
        """Acquire a slot in the pool; return False if none became free within `timeout` seconds."""
        assert self._slots is not None  # noqa: S101  # for the type checker; `try_acquire_slot` comes first
        if timeout is None:
            await self._slots.acquire()
            return True
        try:
            async with asyncio.timeout(timeout):
                await self._slots.acquire()
        except TimeoutError:
            return False
        return True

    def release_slot(self) -> None:
        """Release a slot."""
        if self._slots is not None:
            self._slots.release()

    async def exchange(
        self, request: Request[Any], headers: Headers, timeouts: Timeouts, delivery: Delivery
    ) -> RawResponse | VoucherifyError:
        """Send a request once and read the whole response; return an error rather than raise it."""
        session, body = self._session or self._open(), request.body
        attempt = ActiveAttempt(headers, delivery, body is None, self.settings.connector is None)
        if timeouts.attempt is not None:
            self._watchdog.watch(attempt, timeouts.attempt)
        reply = None
        try:
            reply = await session.request(
                request.operation.method,
                URL(self.settings.base_url + request.target, encoded=True),
                data=None if body is None else _Payload(body.content, attempt),
                allow_redirects=False,  # a redirect could send the credentials to another host
                timeout=self._timeout_cache[1]
                if timeouts is self._timeout_cache[0]
                else self._cache_client_timeout(timeouts),
                proxy=self._proxy,
                ssl=self.settings.ssl or True,
                middlewares=(attempt.send,),
            )
            attempt.response_body = reply.content
            return await self._read(request, reply, headers)
        except (aiohttp.ClientError, TimeoutError, OSError, _Disconnected) as error:
            delivery.stale = isinstance(error, _Disconnected) and delivery.reused and not attempt.expired
            error = TimeoutError() if attempt.expired else error
            if self._proxy is not None and attempt.transport is None and not isinstance(error, TimeoutError):
                failure = _proxy_error(request, error) or _translate(request, error, timeouts, delivery)
            else:
                failure = _translate(request, error, timeouts, delivery)
        except Exception as error:
            if not self._closed:
                raise
            # aiohttp raises exceptions of several types when its session is closed during a request.
            failure = _translate(request, aiohttp.ClientConnectionError(str(error)), timeouts, delivery)
        except asyncio.CancelledError as error:
            # Drop aiohttp's frames: their local variables contain the proxy's password.
            error.__context__ = None
            raise error.with_traceback(None) from None
        finally:
            if timeouts.attempt is not None:
                self._watchdog.done(attempt, timeouts.attempt)
            if reply is None:
                attempt.abort()
            elif not attempt.body_written or not reply.content.is_eof():
                attempt.abort()
                with suppress(aiohttp.ClientError, OSError):  # the outcome of the attempt is already known
                    async with reply:  # waits until the body is no longer being written
                        reply.close()
        return failure  # returned, so that no traceback or __context__ keeps aiohttp's objects

    def _cache_client_timeout(self, timeouts: Timeouts) -> aiohttp.ClientTimeout:
        client_timeout = _client_timeout(timeouts)
        self._timeout_cache = timeouts, client_timeout
        return client_timeout

    async def _read(
        self, request: Request[Any], reply: aiohttp.ClientResponse, headers: Headers
    ) -> RawResponse | VoucherifyError:
        """The response with its complete, decompressed body, or a `DecodeError`."""
        limit, content = self.settings.max_response_bytes, reply.content
        # Error reporters show local variables: keep the body in `response`, whose repr hides it.
        secrets = headers.secrets | self._secrets if self._secrets else headers.secrets
        response = RawResponse(reply.status, reply.headers, b"", secrets)
        try:
            response.body = await content.readany()
            if not content.at_eof():
                body = io.BytesIO()
                body.write(response.body)
                while not content.at_eof() and body.tell() <= limit:
                    body.write(await content.readany())
                response.body = body.getvalue()
            if len(response.body) <= limit:
                return response
            problem = f"the response has more than {limit:,} bytes"
        except aiohttp.ClientPayloadError as error:
            if not isinstance(error.__cause__, _ContentEncodingError):
                raise
            problem = "the response does not match its Content-Encoding"
        response.body = b""
        # An error response is usable without its body: it has a status.
        return decode_error(request.operation, response, problem) if reply.ok else response

    async def aclose(self) -> None:
        """Close the connections. The pool cannot be used again."""
        if self._session is not None:
            self._check_process_and_loop()
        self._closed = True
        self._watchdog.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @classmethod
    def keep_inherited_sessions(cls) -> None:
        """Keep the parent's sessions alive in a forked child.

        If the child garbage-collected them, they would remove their connections from the epoll instance that it
        shares with the parent. The parent's event loop would then never see a response on those connections.
        """
        cls._inherited_sessions.extend(cls._open_sessions)

    def check_usable(self) -> None:
        """Check that the pool can be used here and now.

        Raises:
            ConfigurationError: The client is closed, or used from another loop or process.
        """
        if self._closed:
            raise ConfigurationError("the client is closed; make a new one")
        if self._loop is not None:
            self._check_process_and_loop()
        connector = self.settings.connector
        if connector is not None and connector.closed:
            raise ConfigurationError("the connector is closed; make a client with an open one")

    def _check_process_and_loop(self) -> None:
        if self._process != os.getpid():
            raise ConfigurationError(
                "the client was used before the process forked; make a new one in the child"
            )
        if self._loop is not asyncio.get_running_loop():
            raise ConfigurationError("the client belongs to another event loop; make one in each loop")

    def _open(self) -> aiohttp.ClientSession:
        self.check_usable()
        settings = self.settings
        self._proxy = settings.proxy
        if self._proxy is None and settings.trust_env and (proxy := environment_proxy(settings.base_url)):
            self._proxy = check_proxy("the proxy in the environment", proxy)
        self._secrets = proxy_credentials(self._proxy)
        self._session = aiohttp.ClientSession(
            connector=settings.connector
            or aiohttp.TCPConnector(
                limit=settings.max_connections,
                keepalive_timeout=settings.keepalive_timeout,
            ),
            connector_owner=settings.connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_Request,
        )
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._open_sessions.add(self._session)
        return self._session


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ConnectionPool.keep_inherited_sessions)


def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    """The timeouts for aiohttp, except `Timeouts.attempt`: a `Watchdog` enforces that at a tenth of the cost."""
    limits = [limit for limit in (timeouts.connect, timeouts.attempt) if limit is not None]
    attempt = math.inf if timeouts.attempt is None else timeouts.attempt
    return aiohttp.ClientTimeout(
        total=None,
        connect=min(limits, default=None),  # includes the DNS lookup, unlike sock_connect
        sock_read=timeouts.read if timeouts.read is not None and timeouts.read < attempt else None,
        ceil_threshold=math.inf,
    )


def _connection_limit(settings: PoolSettings) -> int:
    """The maximum number of open connections; 0 for no maximum."""
    connector = settings.connector
    if connector is None:
        return settings.max_connections
    return min((limit for limit in (connector.limit, connector.limit_per_host) if limit), default=0)


def _translate(
    request: Request[Any], error: Exception, timeouts: Timeouts, delivery: Delivery
) -> TransportError:
    """Translate an aiohttp exception into an error of this package.

    Messages of aiohttp that contain the URL are left out, because ids in the URL are personal data.
    """
    name = request.operation.name
    may_be_applied = delivery.sent and not request.operation.reads
    match error:
        case aiohttp.ConnectionTimeoutError():
            limit = _client_timeout(timeouts).connect
            return ConnectTimeoutError(f"no connection within {limit} s", operation=name)
        case TimeoutError() if not delivery.sent:
            return ConnectTimeoutError(f"no connection within {timeouts.attempt} s", operation=name)
        case aiohttp.SocketTimeoutError():
            text = f"no data received for {timeouts.read} s"
            return ReadTimeoutError(text, operation=name, may_have_been_applied=may_be_applied)
        case TimeoutError():
            text = f"no complete response within {timeouts.attempt} s"
            return ReadTimeoutError(text, operation=name, may_have_been_applied=may_be_applied)
        case aiohttp.ClientConnectorError() | aiohttp.ServerFingerprintMismatch():
            problem = _connect_problem(error)
            # A rejected certificate or fingerprint would be rejected again.
            delivery.permanent = isinstance(problem, ssl.SSLCertVerificationError | str)
            return ConnectionFailedError(f"cannot connect: {problem}", operation=name)
        case _:
            return ConnectionFailedError(
                _disconnect_problem(error), operation=name, may_have_been_applied=may_be_applied
            )


def _proxy_error(request: Request[Any], error: Exception) -> ProxyError | None:
    """The error if the proxy did not open a tunnel; `None` if the failure has another cause."""
    name = request.operation.name
    match error:
        case aiohttp.ClientHttpProxyError():
            return ProxyError(
                f"the proxy responded to CONNECT with status {error.status}",
                status=error.status,
                operation=name,
            )
        case aiohttp.ClientProxyConnectionError():
            return ProxyError(f"cannot connect to the proxy: {error.os_error}", operation=name)
        case aiohttp.ClientConnectorError() | aiohttp.ServerFingerprintMismatch():
            return None  # the TLS handshake with the service failed
        case aiohttp.ClientResponseError():
            return ProxyError("the response of the proxy to CONNECT is not valid HTTP", operation=name)
        case _:
            return ProxyError(
                f"the proxy did not open a tunnel: {_disconnect_problem(error)}", operation=name
            )


def _connect_problem(error: Exception) -> object:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return error.certificate_error
        case aiohttp.ClientConnectorError():
            return error.os_error
        case _:
            return type(error).__name__


def _disconnect_problem(error: Exception) -> str:
    match error:
        case aiohttp.ClientPayloadError():
            return "the response ended before it was complete"
        case aiohttp.ClientResponseError():
            return "the response is not valid HTTP"
        case _Disconnected(args=(int(number),)) | OSError(errno=int(number)):
            return f"the connection broke: {os.strerror(number)}"
        case _Disconnected():
            return "the connection was closed before a response arrived"
        case _:
            return f"the connection broke: {type(error).__name__}"

"""The pool of connections: one attempt of a call, from bytes to bytes. The one edge to aiohttp.

It relies on some of aiohttp that no document promises, and each has a test on a real socket:

- `ClientRequest`: the methods that `_Request` overrides, as aiohttp has no other way to send headers as they are.
- The protocol of a connection: `set_parser` and `should_close`, by which bytes on an idle connection are noticed.
"""

from __future__ import annotations

import asyncio
import io
import math
import os
import select
import ssl
import weakref
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

import aiohttp
import anyio
import msgspec
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection
from aiohttp.hdrs import ACCEPT_ENCODING, CONTENT_LENGTH
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from voucherify_async._transport.clock import Clock
from voucherify_async._transport.operation import Delivery, Headers, RawResponse, Request
from voucherify_async._transport.rate_limit import RateGate, RateLimit
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

__all__ = ["ConnectionPool", "Connector", "PoolSettings"]

_CHUNK: Final = 64 * 1024
"""What is written of a body at once; after each the loop may turn to others."""

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
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class AttemptGuard(msgspec.Struct, eq=False):
    """What an attempt sends, how far it got, and how to break it off.

    Attributes:
        headers: All of them but for ``Host`` and ``Content-Length``.
        delivery: What the session knows of it.
        written: The body is sent, or there is none.
        owned: The connection is ours alone. Others who use the caller's connector would not expect a guard on it.
        expired: It took too long.
        transport: What it is sent by; `None` until there is a connection.
        protocol: The protocol of the connection.
        content: The body of the answer, which has begun.
    """

    headers: Headers
    delivery: Delivery
    written: bool
    owned: bool
    expired: bool = False
    transport: asyncio.Transport | None = None
    protocol: Any = None
    content: aiohttp.StreamReader | None = None

    def __repr__(self) -> str:
        return f"<Watch {self.delivery}>"

    def goes_out(self) -> None:
        """The request is handed to the connection, which sends nothing any more when it is closing."""
        self.delivery.sent = self.transport is not None and not self.transport.is_closing()

    def guard(self) -> None:
        """Close the connection if anything arrives on it before the next request."""
        self.protocol.set_parser(_Idle(self.transport), None)

    def expire(self) -> None:
        """Break off what takes too long."""
        self.expired = True
        self.abort()

    def abort(self) -> None:
        """Break off what is under way; closing in an orderly way would wait until all of a body is sent.

        A connection whose answer is whole is no longer ours: it may serve another call by now.
        """
        whole = self.content is not None and self.content.is_eof()
        if self.transport is not None and not whole:
            self.transport.abort()


_outgoing: Final[ContextVar[AttemptGuard | None]] = ContextVar("outgoing", default=None)
"""What is given to aiohttp now, which has no place for it in the arguments of a request."""


class _Request(aiohttp.ClientRequest):
    """A request that takes its headers and body as they are, and tells its watch when it goes out."""

    watch: AttemptGuard
    connections_used: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()
    """The protocols, by which aiohttp tells connections apart, that have served a request."""

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        """Add none: all are given."""

    def update_transfer_encoding(self) -> None:
        """Nothing is sent in chunks."""

    def update_content_encoding(self, data: object) -> None:
        """Nothing is compressed."""

    def update_expect_continue(self, expect: bool = False) -> None:  # noqa: FBT001, FBT002  # aiohttp's signature
        """Nothing waits for leave to send its body."""

    def update_body_from_data(self, body: bytes | None, _stacklevel: int = 3) -> None:
        """Take what is to be sent; aiohttp would take the headers one by one, twice."""
        watch = _outgoing.get()
        assert watch is not None  # noqa: S101  # for the type checker; nobody else makes requests
        _outgoing.set(None)  # a connection that is opened now keeps the context as long as it lives
        self.watch = watch
        watch.delivery.sent = False
        if body is not None:
            self._body = _Content(body, watch)
            self.headers[CONTENT_LENGTH] = str(len(body))
        elif self.method not in self.GET_METHODS:
            self.headers[CONTENT_LENGTH] = "0"
        self.headers.update(watch.headers.values)

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        watch = self.watch
        watch.transport, watch.protocol = conn.transport, conn.protocol
        if watch.expired:  # while it was connecting, which has a limit of its own
            watch.abort()
        if watch.protocol in self.connections_used:
            watch.delivery.reused = True
            watch.protocol.set_parser(None, None)
            if watch.protocol.should_close or _has_input(watch.transport):
                raise _Disconnected
        else:
            self.connections_used.add(watch.protocol)
        if self._body is None:  # which would take the headers with it
            watch.goes_out()
        return await super().send(conn)


def _has_input(transport: asyncio.Transport | None) -> bool:
    """Whether bytes, or the end of the connection, have arrived that the loop has not read yet."""
    connected = None if transport is None else transport.get_extra_info("socket")
    if connected is None or connected.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # on Windows
        return bool(select.select([connected], [], [], 0)[0])
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))


class _Idle:
    """Reads what arrives on a connection while no request is under way, and closes it: nobody has asked for it.

    Otherwise aiohttp would take it for the answer to the next request.
    """

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Close the connection. The result says that there is more to come, and nothing left over."""
        if data and self._transport is not None:
            self._transport.abort()
        return False, b""

    def feed_eof(self) -> None:
        """The connection has ended, as idle ones do."""


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request once, and from the end of the answer close the connection if anything else arrives on it.

    aiohttp would send a request by an idempotent method again, unseen by us, were it to see its own exception.
    """
    try:
        response = await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # after which aiohttp does not try again
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        # Not its own text, in which aiohttp puts the URL.
        disconnect = _Disconnected(error.errno if isinstance(error, OSError) else None)
    else:
        watch = cast("_Request", request).watch
        if watch.owned:
            response.content.on_eof(watch.guard)
        return response
    raise disconnect


class _Content(aiohttp.BytesPayload):
    """A body that tells when it goes out. Its headers are the request's."""

    def __init__(self, content: bytes, watch: AttemptGuard) -> None:
        self._value = content
        self._watch = watch

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002  # it is its own
        self._watch.goes_out()
        if len(self._value) <= _CHUNK:
            await writer.write(self._value)
        else:
            content = memoryview(self._value)
            for start in range(0, len(content), _CHUNK):
                await writer.write(content[start : start + _CHUNK])
        self._watch.written = True


class _Disconnected(Exception):  # noqa: N818  # an event, which never leaves this module
    """The connection broke before an answer began."""


class ConnectionPool:
    """Pooled connections to one service, opened at first use in the loop that runs then.

    Attributes:
        settings: What it was made with.
        clock: Where all parts of the client take the time from.
        gate: Holds calls back while the service is known to refuse them.
        held: Tells the log of calls that rate limits hold back.
        headers: What every request carries, unless it says otherwise.
        rate_limit: The rate limit as the last answer described it.
    """

    _opened: ClassVar[weakref.WeakSet[aiohttp.ClientSession]] = weakref.WeakSet()
    _inherited: ClassVar[list[aiohttp.ClientSession]] = []

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.gate = RateGate(self.clock)
        self.held = ThrottleLog(self.clock)
        # What aiohttp can decompress depends on what is installed.
        encodings = aiohttp.ClientRequest.DEFAULT_HEADERS[ACCEPT_ENCODING]
        self.headers: Mapping[str, str] = {ACCEPT_ENCODING: encodings, **settings.headers}
        self.rate_limit: RateLimit | None = None
        # A gate of our own before aiohttp's, so that an attempt's time starts when it has a place.
        self._limit = _places(settings)
        self._places: anyio.Semaphore | None = None
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: int | None = None
        self._proxy: str | None = None
        self._secrets: Collection[str] = ()
        self._watchdog = Watchdog()
        self._timeouts = Timeouts(), _client_timeout(Timeouts())  # the latest
        self._closed = False

    def take_place(self) -> bool:
        """Take a place in the pool, if one is free."""
        if self._places is None:
            if not self._limit:
                return True
            self._places = anyio.Semaphore(self._limit, fast_acquire=True)
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            return False
        return True

    async def wait_for_place(self, timeout: float | None) -> bool:  # noqa: ASYNC109  # the limit is a result here, not an error
        """Take a place in the pool; False when none became free within `timeout` seconds."""
        assert self._places is not None  # noqa: S101  # for the type checker; there was none to take
        if timeout is None:
            await self._places.acquire()
            return True
        try:
            async with asyncio.timeout(timeout):
                await self._places.acquire()
        except TimeoutError:
            return False
        return True

    def return_place(self) -> None:
        """Give a place back."""
        if self._places is not None:
            self._places.release()

    async def exchange(
        self, request: Request[Any], headers: Headers, timeouts: Timeouts, delivery: Delivery
    ) -> RawResponse | VoucherifyError:
        """Send a request once and read the whole answer; what goes wrong is returned, not raised."""
        session, body = self._session or self._open(), request.body
        watch = AttemptGuard(headers, delivery, body is None, self.settings.connector is None)
        if timeouts.attempt is not None:
            self._watchdog.watch(watch, timeouts.attempt)
        _outgoing.set(watch)
        reply = None
        try:
            reply = await session.request(
                request.operation.method,
                URL(self.settings.base_url + request.target, encoded=True),
                data=None if body is None else body.content,
                allow_redirects=False,  # following one would carry the credentials elsewhere
                timeout=self._timeouts[1] if timeouts is self._timeouts[0] else self._limits(timeouts),
                proxy=self._proxy,
                ssl=self.settings.ssl or True,
            )
            watch.content = reply.content
            return await self._read(request, reply, headers)
        except (aiohttp.ClientError, TimeoutError, OSError, _Disconnected) as error:
            delivery.stale = isinstance(error, _Disconnected) and delivery.reused and not watch.expired
            error = TimeoutError() if watch.expired else error
            if self._proxy is not None and watch.transport is None and not isinstance(error, TimeoutError):
                failure = _proxy_error(request, error) or _translate(request, error, timeouts, delivery)
            else:
                failure = _translate(request, error, timeouts, delivery)
        except (RuntimeError, AssertionError, AttributeError) as error:
            if not self._closed:
                raise
            # aiohttp's ways to say that its session was closed under a call.
            failure = _translate(request, aiohttp.ClientConnectionError(str(error)), timeouts, delivery)
        except asyncio.CancelledError as error:
            # Without aiohttp's frames, in whose local variables the proxy's password is.
            error.__context__ = None
            raise error.with_traceback(None) from None
        finally:
            if timeouts.attempt is not None:
                self._watchdog.done(watch, timeouts.attempt)
            if reply is None:
                watch.abort()
            elif not watch.written or not reply.content.is_eof():
                watch.abort()
                reply.close()
                with suppress(aiohttp.ClientError, OSError):  # what became of the attempt is known by now
                    await reply.wait_for_close()
        return failure  # made inside, raised outside: it has no __context__ with aiohttp's objects

    def _limits(self, timeouts: Timeouts) -> aiohttp.ClientTimeout:
        limits = _client_timeout(timeouts)
        self._timeouts = timeouts, limits
        return limits

    async def _read(
        self, request: Request[Any], reply: aiohttp.ClientResponse, headers: Headers
    ) -> RawResponse | VoucherifyError:
        """The answer, its body whole and decompressed."""
        limit, content = self.settings.max_response_bytes, reply.content
        # Error reporters show the local variables of a traceback: bytes, but not what hides them.
        secrets = headers.secrets | self._secrets if self._secrets else headers.secrets
        answer = RawResponse(reply.status, reply.headers, b"", secrets)
        try:
            answer.body = await content.readany()
            if not content.at_eof():
                body = io.BytesIO()
                body.write(answer.body)
                while not content.at_eof() and body.tell() <= limit:
                    body.write(await content.readany())
                answer.body = body.getvalue()
            if len(answer.body) <= limit:
                return answer
            problem = f"the answer has more than {limit:,} bytes"
        except aiohttp.ClientPayloadError as error:
            if not isinstance(error.__cause__, ContentEncodingError):
                raise
            problem = "the answer is not compressed in the way it says"
        answer.body = b""
        # The status of an error says enough without its body.
        return decode_error(request.operation, answer, problem) if reply.ok else answer

    async def aclose(self) -> None:
        """Close the connections. The pool cannot be used again."""
        if self._session is not None:
            self._check_place()
        self._closed = True
        self._watchdog.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @classmethod
    def keep_inherited(cls) -> None:
        """Keep the parent's sessions alive in a forked child.

        Collected as garbage they would close their connections, and take them out of the event loop's epoll, which
        the child shares with its parent: the parent's next call would never be told of its answer.
        """
        cls._inherited.extend(cls._opened)

    def check_usable(self) -> None:
        """Refuse to work where or when it cannot.

        Raises:
            ConfigurationError: The client is closed, or used from another loop or process.
        """
        if self._closed:
            raise ConfigurationError("the client is closed; make a new one")
        if self._loop is not None:
            self._check_place()
        connector = self.settings.connector
        if connector is not None and connector.closed:
            raise ConfigurationError("the connector is closed; make a client with an open one")

    def _check_place(self) -> None:
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
                timeout_ceil_threshold=_NEVER_ROUND,
            ),
            connector_owner=settings.connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_Request,
            middlewares=(_send_once,),
        )
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._opened.add(self._session)
        return self._session


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ConnectionPool.keep_inherited)


def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    """What aiohttp is to look after: a watchdog keeps the limit of the attempt, at a tenth of the cost."""
    limits = [limit for limit in (timeouts.connect, timeouts.attempt) if limit is not None]
    whole = math.inf if timeouts.attempt is None else timeouts.attempt
    return aiohttp.ClientTimeout(
        total=None,
        connect=min(limits, default=None),  # with the look-up of the name, unlike sock_connect
        sock_read=timeouts.read if timeouts.read is not None and timeouts.read < whole else None,
        ceil_threshold=_NEVER_ROUND,
    )


def _places(settings: PoolSettings) -> int:
    """How many connections there can be at once; 0 for any number."""
    connector = settings.connector
    if connector is None:
        return settings.max_connections
    return min((limit for limit in (connector.limit, connector.limit_per_host) if limit), default=0)


def _translate(
    request: Request[Any], error: Exception, timeouts: Timeouts, delivery: Delivery
) -> TransportError:
    """The one place that knows aiohttp's exceptions.

    Texts of aiohttp's that hold the URL are left out, as ids in it are personal data.
    """
    name = request.operation.name
    acts = delivery.sent and not request.operation.reads
    match error:
        case aiohttp.ConnectionTimeoutError():
            limit = _client_timeout(timeouts).connect
            return ConnectTimeoutError(f"no connection within {limit} s", operation=name)
        case TimeoutError() if not delivery.sent:
            return ConnectTimeoutError(f"no connection within {timeouts.attempt} s", operation=name)
        case aiohttp.SocketTimeoutError():
            text = f"nothing came for {timeouts.read} s"
            return ReadTimeoutError(text, operation=name, may_have_been_applied=acts)
        case TimeoutError():
            text = f"no whole answer within {timeouts.attempt} s"
            return ReadTimeoutError(text, operation=name, may_have_been_applied=acts)
        case aiohttp.ClientConnectorError() | aiohttp.ServerFingerprintMismatch():
            obstacle = _obstacle(error)
            # A certificate, or its fingerprint, would be refused again.
            delivery.permanent = isinstance(obstacle, ssl.SSLCertVerificationError | str)
            return ConnectionFailedError(f"cannot connect: {obstacle}", operation=name)
        case _:
            return ConnectionFailedError(_break(error), operation=name, may_have_been_applied=acts)


def _proxy_error(request: Request[Any], error: Exception) -> ProxyError | None:
    """The error for a tunnel that a proxy did not open; `None` if the tunnel was not the problem."""
    name = request.operation.name
    match error:
        case aiohttp.ClientHttpProxyError():
            return ProxyError(
                f"the proxy answered CONNECT with status {error.status}", status=error.status, operation=name
            )
        case aiohttp.ClientProxyConnectionError():
            return ProxyError(f"cannot connect to the proxy: {error.os_error}", operation=name)
        case aiohttp.ClientConnectorError() | aiohttp.ServerFingerprintMismatch():
            return None  # in TLS with the service
        case aiohttp.ClientResponseError():
            return ProxyError("the answer of the proxy to CONNECT is not HTTP", operation=name)
        case _:
            return ProxyError(f"the proxy did not open a tunnel: {_break(error)}", operation=name)


def _obstacle(error: Exception) -> object:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return error.certificate_error
        case aiohttp.ClientConnectorError():
            return error.os_error
        case _:
            return type(error).__name__


def _break(error: Exception) -> str:
    match error:
        case aiohttp.ClientPayloadError():
            return "the answer broke off before its end"
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP"
        case _Disconnected(args=(int(number),)) | OSError(errno=int(number)):
            return f"the connection broke: {os.strerror(number)}"
        case _Disconnected():
            return "the connection was closed before an answer came"
        case _:
            return f"the connection broke: {type(error).__name__}"

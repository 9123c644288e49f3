"""The sandbox's HTTP face: the service's endpoints over the store."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from email.utils import formatdate
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from anyio.from_thread import start_blocking_portal

from voucherify_async.client import VoucherifyClient
from voucherify_async.sandbox.endpoints import routes
from voucherify_async.sandbox.errors import ApiError, too_large
from voucherify_async.sandbox.limits import Meters, Quota, Reading
from voucherify_async.sandbox.quirks import Quirks
from voucherify_async.sandbox.routing import Answer, Call
from voucherify_async.sandbox.seed import seed_customers, seed_segments
from voucherify_async.sandbox.store import Store
from voucherify_async.transport.wire import MAX_BODY_BYTES

__all__ = ["Exchange", "Sandbox"]

APP_ID: Final = "sandbox-app-id"
APP_TOKEN: Final = "sandbox-app-token"  # noqa: S105  # it opens nothing but a sandbox

_MULTIPART_OVERHEAD: Final = 64 * 1024
_EXCHANGES_KEPT: Final = 10_000
_BYTES_KEPT: Final = 64 * 1024 * 1024
_SHUTDOWN_SECONDS: Final = 0.5
_LONGEST_LINE: Final = 64 * 1024
"""Bytes of a request line or header; ids may be long, and percent-encoding makes them longer."""

_logger = logging.getLogger("voucherify_async.sandbox")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that arrived, and what was answered.

    Attributes:
        method: HTTP method.
        target: Path and query, as they were sent.
        request_headers: Names compare without regard to case.
        request_body: The body as it was sent; empty if the answer did not wait for it.
        status: HTTP status of the answer.
        response_headers: Names compare without regard to case.
        response_body: The body of the answer.
        at: When the request came, in epoch seconds.
        elapsed: Seconds until the answer was given.
    """

    method: str
    target: str
    request_headers: Mapping[str, str] = field(repr=False)
    request_body: bytes = field(repr=False)
    status: int
    response_headers: Mapping[str, str] = field(repr=False)
    response_body: bytes = field(repr=False)
    at: float = field(default=0.0, repr=False, compare=False)
    elapsed: float = field(default=0.0, repr=False, compare=False)

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query parameters, decoded."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)


class Sandbox:
    """A local Voucherify.

    ::

        async with Sandbox(customers=50) as sandbox, sandbox.client() as voucherify:
            await voucherify.customers.create(source_id="crm-1")

    ``with Sandbox() as sandbox`` runs it in a thread of its own, for clients that are not asynchronous. It keeps everything in memory and listens on loopback unless told otherwise.

    Attributes:
        store: What it holds; may be looked at and changed.
        requests: What arrived, and what was answered; the last 10,000, or fewer when their bodies are large.
        app_id: The application id that it accepts.
        app_token: The token that belongs to it.
    """

    def __init__(
        self,
        customers: int = 0,
        *,
        seed: int = 0,
        rate_limit: int | Quota | None = None,
        quirks: Quirks = Quirks(),
        latency: float = 0.0,
        job_seconds: float = 0.05,
        job_seconds_per_item: float = 0.000_01,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Fill the store.

        Args:
            customers: How many customers to start with.
            seed: The same seed gives the same customers.
            rate_limit: How many calls it takes in any minute, or a `Quota`; bulk calls are counted apart.
                `None` sets no limit.
            quirks: How it does what no source says of the service; see `quirks`.
            latency: Seconds that every answer takes longer.
            job_seconds: Seconds that any background job takes; may be set at any time, on the `store`.
            job_seconds_per_item: Seconds that each of its items adds; so may this.
            host: Address to listen on.
            port: Port to listen on; 0 takes a free one.

        Raises:
            ValueError: `customers`, `latency`, `job_seconds` or `job_seconds_per_item` is negative, or
                `rate_limit` is less than 1.
        """
        _check_not_negative("customers", customers)
        _check_not_negative("latency", latency)
        _check_not_negative("job_seconds", job_seconds)
        _check_not_negative("job_seconds_per_item", job_seconds_per_item)
        self.app_id = APP_ID
        self.app_token = APP_TOKEN
        self.latency = latency
        self.store = Store(
            seed=seed,
            quirks=quirks,
            job_seconds=job_seconds,
            job_seconds_per_item=job_seconds_per_item,
        )
        self.requests: deque[Exchange] = deque()
        self._kept = 0
        self._kept_bytes = 0
        if rate_limit is not None and not isinstance(rate_limit, Quota):
            rate_limit = Quota(rate_limit)
        self._meters = None if rate_limit is None else Meters(rate_limit)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._thread = ExitStack()
        seed_segments(self.store)
        seed_customers(self.store, customers)

    @property
    def rate_limit(self) -> Quota | None:
        """How many calls it takes; `None` for any number."""
        return None if self._meters is None else self._meters.quota

    @property
    def quirks(self) -> Quirks:
        """How it does what no source says of the service; may be set at any time."""
        return self.store.quirks

    @quirks.setter
    def quirks(self, quirks: Quirks) -> None:
        self.store.quirks = quirks

    @property
    def base_url(self) -> str:
        """Where it listens.

        Raises:
            RuntimeError: It has not been started.
        """
        if self._runner is None:
            raise RuntimeError("the sandbox is not running: use `async with`, or start()")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def client(self, **settings: Any) -> VoucherifyClient:
        """A client that is pointed at the sandbox; `settings` are those of `VoucherifyClient`."""
        # A proxy in the environment does not lead back to this machine.
        settings = {"base_url": self.base_url, "trust_env": False, **settings}
        if "auth" not in settings:
            settings = {"app_id": self.app_id, "app_token": self.app_token, **settings}
        return VoucherifyClient(**settings)

    async def start(self) -> None:
        """Begin to listen."""

        @web.middleware
        async def answer_everything(request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG001  # a middleware
            # There are no routes: what aiohttp's router does not know, it answers in plain text.
            return await self._handle(request)

        app = web.Application(
            client_max_size=MAX_BODY_BYTES + _MULTIPART_OVERHEAD, middlewares=[answer_everything]
        )
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            auto_decompress=False,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._port = runner.addresses[0][1]
        self._runner = runner

    async def aclose(self) -> None:
        """Stop listening. May be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        """Run in a thread of its own, for programs that are not asynchronous."""
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio"))
            stack.callback(portal.call, self.aclose)
            portal.call(self.start)
            self._thread = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.close()

    async def _handle(self, request: web.Request) -> web.Response:
        at, started = self.store.clock(), time.perf_counter()
        reading = self._count(request)  # before anything is waited for: calls count in order of arrival
        request_id = self.store.make_hex_id("v-")
        if self.latency:
            await asyncio.sleep(self.latency)
        body = b""
        try:
            if reading is not None:
                reading.check()
            body = await _read(request)
            status, content = self._answer(request, body, request_id)
            encoded = None if content is None else msgspec.json.encode(content)
        except ApiError as error:
            status, encoded = error.status, msgspec.json.encode(error.to_json(request_id))
        except Exception:  # a defect of the sandbox; whoever tests against it gets an answer all the same
            _logger.exception("%s: the sandbox broke", request_id)
            broken = ApiError(500, "internal_error", "The sandbox broke; its log says how")
            status, encoded = 500, msgspec.json.encode(broken.to_json(request_id))
        response = web.Response(
            status=status,
            body=encoded,
            content_type=None if encoded is None else "application/json",
            headers=self._headers(request_id, reading),
        )
        self._keep(_exchange(request, body, response, at, time.perf_counter() - started))
        return response

    def _count(self, request: web.Request) -> Reading | None:
        if self._meters is None:
            return None
        return self._meters.count(request.method, _segments(request), self.store.clock())

    def _headers(self, request_id: str, reading: Reading | None) -> dict[str, str]:
        now = self.store.clock()
        # Of the store's clock, as all other instants are: a client measures them against the date.
        headers = {"Date": formatdate(int(now), usegmt=True), "X-Request-Id": request_id}
        return headers if reading is None else headers | reading.headers(now)

    def _answer(self, request: web.Request, body: bytes, request_id: str) -> Answer:
        call = Call(
            method=request.method,
            segments=_segments(request),
            query=parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True),
            content_type=request.headers.get("Content-Type", ""),
            body=body,
            request_id=request_id,
        )
        self._authenticate(request.headers, keys_only=call.segments[:2] == ("v1", "oauth"))
        return routes.answer(self.store, call)

    def _keep(self, exchange: Exchange) -> None:
        kept = self.requests
        if len(kept) != self._kept:  # someone has cleared them
            self._kept_bytes = sum(map(_size, kept))
        kept.append(exchange)
        self._kept_bytes += _size(exchange)
        while len(kept) > _EXCHANGES_KEPT or (self._kept_bytes > _BYTES_KEPT and len(kept) > 1):
            self._kept_bytes -= _size(kept.popleft())
        self._kept = len(kept)

    def _authenticate(self, headers: Mapping[str, str], *, keys_only: bool) -> None:
        app_id, app_token = headers.get("X-App-Id"), headers.get("X-App-Token")
        if app_id is not None and app_token is not None:
            if _same(app_id, self.app_id) and _same(app_token, self.app_token):
                return
            raise ApiError(401, "unauthorized", "Invalid application id or token")
        bearer = headers.get("X-Voucherify-OAuth") or headers.get("Authorization") or ""
        kind, _, token = bearer.partition(" ")
        if not keys_only and kind == "Bearer" and self.store.live_token(token) is not None:
            return
        raise ApiError(401, "unauthorized", "Missing or invalid credentials")


def _segments(request: web.Request) -> tuple[str, ...]:
    path = request.raw_path.partition("?")[0]
    return tuple(unquote(segment) for segment in path.split("/")[1:])


def _exchange(
    request: web.Request, body: bytes, response: web.Response, at: float, elapsed: float
) -> Exchange:
    content = response.body
    return Exchange(
        method=request.method,
        target=request.raw_path,
        request_headers=request.headers,
        request_body=body,
        status=response.status,
        response_headers=response.headers,
        response_body=content if isinstance(content, bytes) else b"",
        at=at,
        elapsed=elapsed,
    )


def _size(exchange: Exchange) -> int:
    return len(exchange.request_body) + len(exchange.response_body)


def _check_not_negative(name: str, value: float) -> None:
    if value < 0:
        raise ValueError(f"{name} must not be negative, not {value!r}")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


async def _read(request: web.Request) -> bytes:
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ApiError(415, "unsupported_media_type", "The body must not be compressed")
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        pass
    raise too_large()

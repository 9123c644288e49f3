"""The sandbox's HTTP face: the service's endpoints over the store."""

from __future__ import annotations

import asyncio
import functools
import hmac
import logging
import math
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from email.utils import formatdate
from importlib import resources
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from anyio.from_thread import start_blocking_portal

from voucherify_async._transport.settings import is_loopback
from voucherify_async._transport.wire import MAX_BODY_BYTES
from voucherify_async.client import VoucherifyClient
from voucherify_async.sandbox._endpoints import routes
from voucherify_async.sandbox._http.connections import FaultInjector
from voucherify_async.sandbox._http.exchanges import Exchange, Exchanges
from voucherify_async.sandbox._http.faults import FaultDecision, FaultPicker, Faults, Latency, to_range
from voucherify_async.sandbox._http.rate_limits import NO_LIMIT, Quota, RateCounters, RateStatus, to_quota
from voucherify_async.sandbox._http.routing import ApiCall, EndpointResult
from voucherify_async.sandbox._seed.load import load_customers
from voucherify_async.sandbox._seed.seed import seed_customers
from voucherify_async.sandbox._status.page import (
    UNEXPECTED_HOST,
    is_about_itself,
    is_expected_host,
    refuse,
    reply,
)
from voucherify_async.sandbox._store.errors import ApiError, too_large
from voucherify_async.sandbox._store.jobs import REPORT_PATH, find_report
from voucherify_async.sandbox._store.persistence import StateFile
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.segments import DEFAULT_SEGMENTS, Segment
from voucherify_async.sandbox._store.store import Store

__all__ = ["EXPOSED", "Sandbox"]

EXPOSED: Final = "anyone who can reach this machine can read and change everything in the sandbox"

APP_ID: Final = "sandbox-app-id"
APP_TOKEN: Final = "sandbox-app-token"  # noqa: S105  # it opens nothing but a sandbox

_MAX_BODY: Final = MAX_BODY_BYTES + 64 * 1024
"""Bytes of a body, with what comes around a file of the longest that is taken."""
_SHUTDOWN_SECONDS: Final = 0.5
_LINGERING_SECONDS: Final = 1.0
"""How long the rest of a body is read that was answered early, so that the answer is read and not reset."""
_MAX_LINE: Final = 64 * 1024
"""Bytes of a request line or header; ids may be long, and percent-encoding makes them longer."""
_MAX_HEAD: Final = 64 * 1024
"""Bytes of all headers together."""
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # asked for

_logger = logging.getLogger("voucherify_async.sandbox")
_protocol_logger = logging.getLogger("voucherify_async.sandbox.protocol")


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    # Whoever sends what is no HTTP gets a 400 that says why; aiohttp would log it with a traceback.
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


_protocol_logger.addFilter(_is_worth_a_line)


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
        host: The address that it listens on.
        hosts: Names by which it may be called, besides ``localhost`` and any IP address.
        port: The port; 0 until it has taken a free one.
        faults: How often which calls of the API fail, and how; may be set at any time.
    """

    def __init__(
        self,
        customers: int = 0,
        *,
        seed: int = 0,
        rate_limit: int | Quota | None = None,
        quirks: Quirks = Quirks(),
        latency: Latency = 0.0,
        faults: Faults = Faults(),
        job_seconds: float = 0.05,
        job_seconds_per_item: float = 0.000_01,
        segments: Iterable[Segment] = DEFAULT_SEGMENTS,
        load: str | os.PathLike[str] | None = None,
        state: str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_hosts: Iterable[str] = (),
    ) -> None:
        """Fill the store.

        Args:
            customers: How many customers to start with.
            seed: The same seed gives the same customers.
            rate_limit: How many calls it takes in any minute, or a `Quota`; bulk calls are counted apart.
                `None` sets no limit.
            quirks: How it does what no source says of the service; see `quirks`.
            latency: Seconds that every answer of the API takes longer, or a range `(low, high)` from which each
                gets its own, the same for the same seed.
            faults: How often which calls of the API fail, and how; the same for the same seed.
            job_seconds: Seconds that any background job takes; may be set at any time, on the `store`.
            job_seconds_per_item: Seconds that each of its items adds; so may this.
            segments: The segments that there are, by their rules.
            load: A file of customers to start with: ``.ndjson`` or ``.jsonl``, one a line, as the service shows
                them or as they are created; or ``.csv``, as the service imports it.
            state: A file in which everything is kept over a restart. If it is there, what it holds comes in the
                place of `customers` and `load`. It is locked until the sandbox is closed.
            host: Address to listen on. Whoever reaches it can read and change everything.
            port: Port to listen on; 0 takes a free one.
            allow_hosts: Names by which it may be called, besides `host`, ``localhost`` and any IP address. Another
                name in a ``Host`` header is refused with 403, as a web page could have made it up.

        Raises:
            ValueError: `customers`, `latency`, `job_seconds` or `job_seconds_per_item` is negative or not
                finite, `latency` is no range, `rate_limit` is less than 1, `host` is empty, or `port` more than
                65535; `load` cannot be read, or has a line that is no customer; or `state` cannot be kept.
            FileNotFoundError: There is no file `load`.
        """
        _check_not_negative("customers", customers)
        _check_not_negative("job_seconds", job_seconds)
        _check_not_negative("job_seconds_per_item", job_seconds_per_item)
        if not host:
            raise ValueError("host must not be empty; 0.0.0.0 stands for every address")
        if not 0 <= port <= 65_535:
            raise ValueError(f"port must be from 0 to 65535, not {port!r}")
        self.app_id = APP_ID
        self.app_token = APP_TOKEN
        self.latency = latency
        self.faults = faults
        self.rate_limit = rate_limit
        self.store = Store(
            seed=seed,
            quirks=quirks,
            job_seconds=job_seconds,
            job_seconds_per_item=job_seconds_per_item,
            segments=segments,
        )
        self.requests = Exchanges()
        self._dice = FaultPicker(seed)
        self._accidents = FaultInjector(self._keep)
        self.host = host
        self.hosts = frozenset(name.lower() for name in (host, *allow_hosts))
        self.port = port
        self._runner: web.AppRunner | None = None
        self._thread = ExitStack()
        with ExitStack() as stack:
            self._state = None if state is None else StateFile(state)
            if self._state is not None:
                stack.callback(self._state.close)
            if self._state is None or not self._state.load(self.store):
                seed_customers(self.store, customers)
                if load is not None:
                    load_customers(self.store, load)
            if self._state is not None:
                self._state.begin(self.store)
            stack.pop_all()

    @property
    def rate_limit(self) -> Quota | None:
        """How many calls it takes; `None` for any number. May be set at any time, and counts anew then."""
        return None if self._meters.quota is NO_LIMIT else self._meters.quota

    @rate_limit.setter
    def rate_limit(self, rate_limit: int | Quota | None) -> None:
        self._meters = RateCounters(to_quota(rate_limit) or NO_LIMIT)

    @property
    def latency(self) -> Latency:
        """Seconds that every answer of the API takes longer, or their range; may be set at any time."""
        low, high = self._delays
        return low if low == high else (low, high)

    @latency.setter
    def latency(self, latency: Latency) -> None:
        self._delays = to_range(latency)

    @property
    def quirks(self) -> Quirks:
        """How it does what no source says of the service; may be set at any time."""
        return self.store.quirks

    @quirks.setter
    def quirks(self, quirks: Quirks) -> None:
        self.store.quirks = quirks

    @property
    def base_url(self) -> str:
        """Where it listens; if that is everywhere, where this machine finds it.

        Raises:
            RuntimeError: It has not been started.
        """
        if self._runner is None:
            raise RuntimeError("the sandbox is not running: use `async with`, or start()")
        host = _EVERYWHERE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def client(self, **settings: Any) -> VoucherifyClient:
        """A client that is pointed at the sandbox; `settings` are those of `VoucherifyClient`."""
        # A proxy in the environment does not lead back to this machine.
        settings = {"base_url": self.base_url, "trust_env": False, "allow_http": True, **settings}
        if "auth" not in settings:
            settings = {"app_id": self.app_id, "app_token": self.app_token, **settings}
        return VoucherifyClient(**settings)

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: It cannot listen there.
            RuntimeError: It is running already, or it was closed, and its state with it.
        """
        if self._runner is not None:
            raise RuntimeError("the sandbox is running already")
        if self._state is not None and self._state.closed:
            raise RuntimeError("the sandbox has let go of its state: make a new one")

        @web.middleware
        async def answer_everything(request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG001  # a middleware
            # There are no routes: what aiohttp's router does not know, it answers in plain text.
            return await self._handle(request)

        app = web.Application(client_max_size=_MAX_BODY, middlewares=[answer_everything])
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_protocol_logger,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            lingering_time=_LINGERING_SECONDS,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
            auto_decompress=False,
        )
        self._accidents = FaultInjector(self._keep)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
        except OSError:
            await runner.cleanup()
            raise
        if not is_loopback(self.host):
            _logger.warning("listening on %s: %s", self.host, EXPOSED)
        self.port = runner.addresses[0][1]
        self._runner = runner
        self.store.base_url = self.base_url

    async def aclose(self) -> None:
        """Stop listening. May be called twice."""
        runner, self._runner = self._runner, None
        self._accidents.end()
        if runner is not None:
            await runner.cleanup()
        if self._state is not None and not self._state.closed:
            with closing(self._state):
                self._state.save(self.store)

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
            portal.call(self.start)
            stack.callback(portal.call, self.aclose)
            self._thread = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.close()

    async def _handle(self, request: web.Request) -> web.Response:
        path = request.raw_path.partition("?")[0]
        if is_about_itself(path):
            return await self._tell(request, path)
        at, started = self.store.clock(), time.perf_counter()
        segments = _segments(request)
        is_call = segments[:1] == ("v1",)
        if is_call and self._accidents.has_killed(request.transport):
            return self._accidents.drop(request, at)
        # Before anything is waited for: calls count, and meet their fates, in order of arrival.
        reading = self._meters.count(request.method, segments, at)
        fate, delay = self._chance() if is_call else (None, 0.0)
        request_id = self.store.make_hex_id("v-")
        if delay:
            await asyncio.sleep(delay)
        body = b""
        more: Mapping[str, str] = {}
        try:
            reading.check()
            body = await _read(request)
            if fate is not None:
                fate.check()
            status, content = self._answer(request, body, request_id)
            if self._state is not None:
                self._state.save(self.store)
            encoded = None if content is None else msgspec.json.encode(content)
        except ApiError as error:
            status, encoded = error.status, msgspec.json.encode(error.to_json(request_id))
            more = error.headers
        except Exception:  # a defect of the sandbox; whoever tests against it gets an answer all the same
            _logger.exception("%s: the sandbox broke", request_id)
            broken = ApiError(500, "internal_error", "The sandbox broke; its log says how")
            status, encoded = 500, msgspec.json.encode(broken.to_json(request_id))
        response = web.Response(
            status=status,
            body=encoded,
            content_type=None if encoded is None else "application/json",
            headers={**self._headers(request_id, reading), **more},
        )
        exchange = Exchange.of(request, body, response, at, time.perf_counter() - started)
        if fate is None:
            self._keep(exchange)
        else:
            await self._accidents.strike(fate, request, response, exchange)
        return response

    async def _tell(self, request: web.Request, path: str) -> web.Response:
        """Answer what is no part of the service: it is neither counted nor kept, and nothing hits it."""
        expected = is_expected_host(request.headers.get("Host", ""), self.hosts)
        if expected and request.method == "GET" and path.startswith(REPORT_PATH):
            report = find_report(self.store, path)
            if report is not None:
                return web.Response(body=report, content_type="text/csv", charset="utf-8")
        try:
            answer = reply(
                self,
                request.method,
                path,
                request.headers,
                await _read(request),
                hosts=self.hosts,
                readings=self._meters.read(self.store.clock()),
                page=_page,
            )
        except ApiError as error:
            answer = refuse(error.status, error.message)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _chance(self) -> tuple[FaultDecision | None, float]:
        """What becomes of the next call, and how much longer its answer takes."""
        roll = self._dice.roll()
        low, high = self._delays
        return self.faults.fate(roll), low + (high - low) * roll.latency

    def _headers(self, request_id: str, reading: RateStatus) -> dict[str, str]:
        now = self.store.clock()
        # Of the store's clock, as all other instants are: a client measures them against the date.
        date = formatdate(int(now), usegmt=True)
        return {"Date": date, "X-Request-Id": request_id, **reading.headers(now)}

    def _answer(self, request: web.Request, body: bytes, request_id: str) -> EndpointResult:
        call = ApiCall(
            method=request.method,
            segments=_segments(request),
            query=parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True),
            content_type=request.headers.get("Content-Type", ""),
            body=body,
            request_id=request_id,
        )
        if not is_expected_host(request.headers.get("Host", ""), self.hosts):
            raise ApiError(403, "forbidden", UNEXPECTED_HOST)
        self._authenticate(request.headers, call.segments[1] if len(call.segments) > 1 else "")
        return routes.answer(self.store, call)

    def _keep(self, exchange: Exchange) -> None:
        self.requests.keep(exchange)

    def _authenticate(self, headers: Mapping[str, str], section: str) -> None:
        app_id, app_token = headers.get("X-App-Id"), headers.get("X-App-Token")
        if app_id is not None and app_token is not None:
            if _same(app_id, self.app_id) and _same(app_token, self.app_token):
                return
            raise ApiError(401, "unauthorized", "Invalid application id or token")
        bearer = headers.get("X-Voucherify-OAuth") or headers.get("Authorization") or ""
        kind, _, value = bearer.partition(" ")
        token = self.store.live_token(value) if kind == "Bearer" else None
        if token is None or section == "oauth":  # tokens are not made by tokens
            raise ApiError(401, "unauthorized", "Missing or invalid credentials")
        if not {"api", section} & set(token.scope.split()):
            raise ApiError(403, "forbidden", f"The token's scope is {token.scope}, which lacks {section}")


def _segments(request: web.Request) -> tuple[str, ...]:
    path = request.raw_path.partition("?")[0]
    return tuple(unquote(segment) for segment in path.split("/")[1:])


@functools.cache
def _page() -> str:
    return resources.files("voucherify_async.sandbox._status").joinpath("page.html").read_text("utf-8")


def _check_not_negative(name: str, value: float) -> None:
    if value < 0:
        raise ValueError(f"{name} must not be negative, not {value!r}")
    if not value < math.inf:
        raise ValueError(f"{name} must be finite, not {value!r}")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


async def _read(request: web.Request) -> bytes:
    if sum(len(name) + len(value) for name, value in request.raw_headers) > _MAX_HEAD:
        raise ApiError(400, "headers_too_large", f"All headers together must not exceed {_MAX_HEAD} bytes")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ApiError(415, "unsupported_media_type", "The body must not be compressed")
    if (request.content_length or 0) > _MAX_BODY:
        raise too_large()
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large() from None
    except (ConnectionError, HttpProcessingError, web.RequestPayloadError) as error:
        raise ApiError(400, "invalid_body", str(error), message="The body is broken off or broken") from None

"""The sandbox's HTTP server: serves the API of the service from the store.

There are no aiohttp routes: a middleware passes every request to `Sandbox._handle`, so that every response has the
service's JSON format and headers. Requests for the status page and for job reports are served apart. All others
take these steps:

1. Reset the connection if an earlier fault has marked it stale.
2. Count the call against the rate limit, draw its fault and latency, replace the fault by a planned failure if one
   matches the call, and assign the request id. There is no await up to here, so the order of arrival alone determines the results and a seed reproduces a run.
3. Wait for the latency.
4. Reject the call if it is over the rate limit, and otherwise read its body. Reject it if its fault says that it
   does not take effect.
5. Check the Host header, authenticate, call the endpoint and save the state file.
6. Build the response from the result or the error of steps 4 and 5.
7. Record the exchange and apply the fault to the connection.
"""

from __future__ import annotations

import asyncio
import functools
import hmac
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from importlib import resources
from types import TracebackType
from typing import Final, Literal, Self, Unpack
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from anyio.from_thread import start_blocking_portal

from voucherify_async._transport.settings import is_loopback
from voucherify_async._transport.wire import MAX_BODY_BYTES
from voucherify_async.client import ClientSettings, VoucherifyClient
from voucherify_async.sandbox._endpoints import routes
from voucherify_async.sandbox._http.connections import FaultInjector
from voucherify_async.sandbox._http.exchanges import Exchange, Exchanges
from voucherify_async.sandbox._http.faults import DrawGenerator, FaultDecision, Faults, Latency, to_range
from voucherify_async.sandbox._http.initial_state import InitialState
from voucherify_async.sandbox._http.planned_failures import PlannedFailure, PlannedFailures
from voucherify_async.sandbox._http.rate_limits import NO_LIMIT, Quota, RateCounters, RateStatus, to_quota
from voucherify_async.sandbox._http.routing import ApiCall, EndpointResult, no_such_endpoint
from voucherify_async.sandbox._http.webhook_queue import WebhookDelivery
from voucherify_async.sandbox._http.webhooks import WebhookSender
from voucherify_async.sandbox._status.access import UNEXPECTED_HOST, is_expected_host, is_host_name
from voucherify_async.sandbox._status.page import error_response, is_sandbox_path, respond
from voucherify_async.sandbox._store.errors import ApiError, too_large
from voucherify_async.sandbox._store.jobs import REPORT_PATH, find_report
from voucherify_async.sandbox._store.persistence import StateFile
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.segments import DEFAULT_SEGMENTS, Segment

__all__ = ["Sandbox"]

_EXPOSURE_WARNING: Final = "anyone who can reach this machine can read and change everything in the sandbox"

APP_ID: Final = "sandbox-app-id"
APP_TOKEN: Final = "sandbox-app-token"  # noqa: S105  # valid for sandboxes only

_MAX_RAW_BODY_BYTES: Final = MAX_BODY_BYTES + 64 * 1024
"""Maximum size of a body, in bytes: the largest file, plus its multipart framing."""
_CLIENT_API: Final = "client"
"""The first segment of the paths of the client-side API, which the sandbox does not have."""
_SHUTDOWN_SECONDS: Final = 0.5
_LINGERING_SECONDS: Final = 1.0
"""After an early response, how long the rest of the request body is read, so that the client is not reset before it
has read the response."""
_MAX_LINE_BYTES: Final = 64 * 1024
"""Maximum size of a request line or a header, in bytes; percent-encoded ids in paths can be long."""
_MAX_HEADERS_BYTES: Final = 64 * 1024
"""Maximum size of all headers together, in bytes."""
_LOOPBACK_FOR: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared only, not bound
"""The loopback address where a server that listens on every address can be reached."""

_logger = logging.getLogger("voucherify_async.sandbox")
_protocol_logger = logging.getLogger("voucherify_async.sandbox.protocol")


def _is_not_malformed_request(record: logging.LogRecord) -> bool:
    # The client gets a 400 with the reason; aiohttp would also log a traceback.
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


_protocol_logger.addFilter(_is_not_malformed_request)


class Sandbox:
    """A local Voucherify server.

    ::

        async with Sandbox(customers=50) as sandbox, sandbox.client() as voucherify:
            await voucherify.customers.create(source_id="crm-1")

    ``with Sandbox() as sandbox`` runs the server in a thread of its own, for synchronous clients. By default, the
    data are kept in memory and the server listens on loopback.

    Attributes:
        store: The data of the sandbox; may be read and changed.
        requests: The most recent requests with their responses: 10,000, or fewer if their bodies are large.
        app_id: The application id that the server accepts.
        app_token: The application token that the server accepts.
        host: The address to listen on.
        hosts: Host names accepted besides ``localhost`` and any IP address, in lower case.
        port: The port to listen on; 0 until a free one has been chosen.
        faults: The probabilities of injected faults in API calls; may be set at any time.
        on_exchange: Called with each exchange when it is recorded, in the thread of the server, which it must not
            block; `None` by default. An exception that it raises is logged.
        webhook_deliveries: The deliveries of the 100,000 most recent webhooks, pending ones included, in the order of
            their events.
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
        webhooks: str | None = None,
        webhook_secret: str | None = None,
        webhook_retry_seconds: float = 1.0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Create the initial data. The server does not listen yet.

        Args:
            customers: How many customers to generate.
            seed: Seed of the generated customers and of the faults; the same seed gives the same ones.
            rate_limit: Calls per minute, in a sliding window, or a `Quota`. Bulk calls are counted separately from
                all other calls, with the same limit. `None` sets no limit.
            quirks: Switches for undocumented behaviour of the service.
            latency: Delay of every API response in seconds, or a range `(low, high)` from which each delay is
                drawn. The same seed gives the same delays.
            faults: The probabilities of injected faults in API calls. The same seed gives the same faults.
            job_seconds: Seconds that every background job takes; may be set at any time on `store`.
            job_seconds_per_item: Further seconds per item of the job; may be set at any time on `store`.
            segments: The customer segments, with their rules.
            load: A file of customers to start with: ``.ndjson`` or ``.jsonl`` with one customer per line, in the
                format of the service's responses or of create requests; or ``.csv`` in the format of an import.
            state: A file that preserves all data across restarts. If it exists, its data replace `customers` and
                `load`. It is locked until the sandbox is closed.
            host: Address to listen on. Anyone who can reach it can read and change everything.
            port: Port to listen on; 0 chooses a free one.
            allow_hosts: Host names to accept besides `host`, ``localhost`` and any IP address. A ``Host`` header
                with another name gets 403, as it could be a DNS rebinding attack by a web page.
            webhooks: The http(s) URL to send webhooks to: what happens to customers through calls and background jobs
                while the sandbox runs. They are sent one after the other, in the order of the events. One that is not
                acknowledged with 2xx within 10 seconds is repeated after `webhook_retry_seconds`, then twice as long
                and so on, 12 attempts in total; meanwhile others are sent. At most 100,000 can be pending: further
                events are dropped, which is logged. Pending webhooks are lost when the sandbox is closed.
            webhook_secret: The secret that signs the webhooks; required with `webhooks`.
            webhook_retry_seconds: Seconds until the first repetition of a webhook. The service takes a minute.
            on_progress: Called while customers are generated, with their number so far and in total: at the start,
                every 1,000 customers and at the end.

        Raises:
            ValueError: `customers`, `latency`, `job_seconds`, `job_seconds_per_item` or `webhook_retry_seconds` is
                negative or not finite; `latency` is not a valid range; `rate_limit` is less than 1; `host` is empty;
                `allow_hosts` has anything else than names; `port` is not from 0 to 65535; `webhooks` is not an http(s)
                URL, or has credentials; `webhook_secret` is empty or missing, or is given without `webhooks`; `load`
                cannot be read or has an invalid line; or `state` cannot be used.
            FileNotFoundError: The file `load` does not exist.
        """
        _check_not_negative("customers", customers)
        _check_not_negative("job_seconds", job_seconds)
        _check_not_negative("job_seconds_per_item", job_seconds_per_item)
        _check_not_negative("webhook_retry_seconds", webhook_retry_seconds)
        if not host:
            raise ValueError("host must not be empty; use 0.0.0.0 to listen on every address")
        if not 0 <= port <= 65_535:
            raise ValueError(f"port must be from 0 to 65535, not {port!r}")
        self.app_id = APP_ID
        self.app_token = APP_TOKEN
        self.latency = latency
        self.faults = faults
        self.rate_limit = rate_limit
        self._initial = InitialState(
            latency=latency,
            faults=faults,
            rate_limit=rate_limit,
            seed=seed,
            quirks=quirks,
            job_seconds=job_seconds,
            job_seconds_per_item=job_seconds_per_item,
            segments=tuple(segments),
            customers=customers,
            load=load,
        )
        self.store = self._initial.empty_store()
        self.requests = Exchanges()
        self.on_exchange: Callable[[Exchange], None] | None = None
        self._draws = DrawGenerator(seed)
        self._planned_failures = PlannedFailures(routes)
        self._fault_injector = FaultInjector(self._record)
        self.host = host
        self.hosts = frozenset(name.lower() for name in (host, *_check_hosts(allow_hosts)))
        self.port = port
        self._webhooks: WebhookSender | None = None
        self.webhook_deliveries: deque[WebhookDelivery] = deque()
        if webhooks is not None:
            self._webhooks = WebhookSender(
                self.store,
                webhooks,
                webhook_secret,
                app_id=self.app_id,
                retry_seconds=webhook_retry_seconds,
                seed=seed,
            )
            self.webhook_deliveries = self._webhooks.queue.deliveries
        elif webhook_secret is not None:
            raise ValueError("webhook_secret needs webhooks, the URL to send them to")
        self._runner: web.AppRunner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_stack = ExitStack()
        with ExitStack() as stack:
            self._state = None if state is None else StateFile(state)
            if self._state is not None:
                stack.callback(self._state.close)
            if self._state is None or not self._state.load(self.store):
                self._initial.fill(self.store, on_progress)
            if self._state is not None:
                self._state.begin(self.store)
            stack.pop_all()

    def __repr__(self) -> str:
        where = "not running" if self._runner is None else self.base_url
        return f"<Sandbox: {where}, {self.store!r}>"

    @property
    def rate_limit(self) -> Quota | None:
        """The rate limit; `None` if there is none. May be set at any time; setting it resets the counters."""
        return None if self._rate_counters.quota is NO_LIMIT else self._rate_counters.quota

    @rate_limit.setter
    def rate_limit(self, rate_limit: int | Quota | None) -> None:
        self._rate_counters = RateCounters(to_quota(rate_limit) or NO_LIMIT)

    @property
    def latency(self) -> Latency:
        """The delay of every API response in seconds, or its range; may be set at any time."""
        low, high = self._latency_range
        return low if low == high else (low, high)

    @latency.setter
    def latency(self, latency: Latency) -> None:
        self._latency_range = to_range(latency)

    @property
    def quirks(self) -> Quirks:
        """Switches for undocumented behaviour of the service; may be set at any time."""
        return self.store.quirks

    @quirks.setter
    def quirks(self, quirks: Quirks) -> None:
        self.store.quirks = quirks

    @property
    def base_url(self) -> str:
        """The URL of the server; a loopback URL if it listens on every address.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        if self._runner is None:
            raise RuntimeError("the sandbox is not running: use `async with`, or start()")
        host = _LOOPBACK_FOR.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def fail_next(
        self,
        operation: str | tuple[str, str],
        *,
        status: int | None = None,
        fault: Literal["reset", "truncate", "stall"] | None = None,
        times: int = 1,
        key: str | None = None,
        message: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Make the next calls of an operation fail. They have no effect, except for ``truncate``.

        ::

            sandbox.fail_next("customers.update", status=409)
            sandbox.fail_next(("PUT", "/v1/customers/*"), status=503, times=2, retry_after=0)
            sandbox.fail_next("customers.create", fault="reset")

        Several failures can be pending: a call meets the first one that matches it. A planned failure takes
        precedence over `faults`, and is checked before the credentials. A call that the rate limit rejects does not
        use it up. Closing the sandbox drops all planned failures. May be called from any thread.

        Args:
            operation: The name of an operation of the client, such as ``customers.update``, or a pair of HTTP method
                and path. ``*`` in the path matches one segment, for example an id. Jobs use the operations of single
                requests: `customers.sync` sends ``customers.update_in_bulk``.
            status: HTTP status of the error, from 400 to 599. Default: 503. A 429 has the headers of an exhausted rate
                limit.
            fault: A fault of the network in the place of an error response: ``reset`` resets the connection, ``stall``
                sends nothing until the client disconnects, and ``truncate`` stops in the middle of the response to a call
                that has taken effect.
            times: How many calls fail.
            key: The key in the body of the error. Default: the one that belongs to the status.
            message: The message in the body of the error. Default: the one that belongs to the status.
            retry_after: The ``Retry-After`` header of the error, in seconds, rounded up. Default: 1 for the status
                429, and none for others.

        Raises:
            ValueError: The operation does not exist, the pair is not an HTTP method and a path below ``/v1/``,
                another argument is invalid, or 1,000 failures are pending.
        """
        self._planned_failures.add(
            operation,
            status=status,
            fault=fault,
            times=times,
            key=key,
            message=message,
            retry_after=retry_after,
        )

    @property
    def planned_failures(self) -> tuple[PlannedFailure, ...]:
        """The failures planned with `fail_next` that no call has used up yet, oldest first."""
        return self._planned_failures.pending()

    def clear_planned_failures(self) -> None:
        """Drop the failures planned with `fail_next`."""
        self._planned_failures.clear()

    def reset(self) -> None:
        """Make everything as it was when the sandbox was created, for the next test.

        The data are those of `customers`, `seed` and `load` again; with `state`, in the file, too. Latency, faults, rate
        limit, quirks, segments and the durations of jobs are those of the arguments. There are no jobs, tokens, planned
        failures, recorded requests or webhook deliveries, and pending webhooks are not sent. The same calls get the same
        ids, faults and delays again.

        It takes as long as creating the sandbox. May be called from any thread; a call that is being processed meanwhile
        takes effect before or after it.

        Raises:
            ValueError: The file `load` has an invalid line; nothing was reset.
            OSError: The file `load` cannot be read, and nothing was reset; or the state file was deleted.
            sqlite3.Error: The state file cannot be written. The next call tries again.
            RuntimeError: The sandbox has a state file and was closed.
        """
        loop = self._loop
        if loop is None or loop is _running_loop():
            self._reset()
        else:  # the server must not process a call meanwhile
            asyncio.run_coroutine_threadsafe(self._reset_in_loop(), loop).result()

    async def _reset_in_loop(self) -> None:
        self._reset()

    def _reset(self) -> None:
        if self._state is not None and self._state.closed:
            raise RuntimeError("the sandbox was closed and its state file released: make a new one")
        initial = self._initial
        fresh = initial.empty_store(self.store.clock)
        initial.fill(fresh)  # the only step that can fail, apart from the state file
        self.store.replace_with(fresh)
        self.latency, self.faults, self.rate_limit = initial.latency, initial.faults, initial.rate_limit
        self._draws = DrawGenerator(initial.seed)
        self._planned_failures.clear()
        self._fault_injector.forget_stale()
        self.requests.reset()
        if self._webhooks is not None:
            self._webhooks.reset()
        if self._state is not None:
            self._state.save(self.store)

    async def webhooks_delivered(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # says what is pending
        """Wait until all webhooks are delivered, those of unfinished background jobs included.

        ::

            await voucherify.customers.create(source_id="crm-1")
            await sandbox.webhooks_delivered(timeout=5)

        A webhook that has failed for good is not waited for: see `webhook_deliveries`. May be called in any event
        loop, so a synchronous program calls ``asyncio.run(sandbox.webhooks_delivered())``.

        Args:
            timeout: Seconds to wait. `None` sets no limit.

        Raises:
            TimeoutError: Webhooks are still pending, or background jobs are unfinished.
            RuntimeError: The sandbox was created without `webhooks`, is not running, or is closed meanwhile.
        """
        sender = self._webhooks
        if sender is None:
            raise RuntimeError("the sandbox sends no webhooks: create it with webhooks=")
        try:
            async with asyncio.timeout(timeout):
                await sender.wait_until_idle()
        except TimeoutError:
            jobs = "no" if self.store.next_job_end is None else "some"
            raise TimeoutError(
                f"after {timeout} seconds, {len(sender.queue)} webhooks are pending, and {jobs} background jobs "
                "are unfinished"
            ) from None

    def client(self, **settings: Unpack[ClientSettings]) -> VoucherifyClient:
        """Create a client for this sandbox; `settings` are the arguments of `VoucherifyClient`.

        Raises:
            TypeError: There is no such setting.
            ConfigurationError: A setting is invalid.
        """
        settings.setdefault("base_url", self.base_url)
        settings.setdefault("trust_env", False)  # a proxy from the environment could not reach this machine
        settings.setdefault("allow_http", True)
        if "auth" not in settings:
            settings.setdefault("app_id", self.app_id)
            settings.setdefault("app_token", self.app_token)
        return VoucherifyClient(**settings)

    async def start(self) -> None:
        """Start the server.

        Raises:
            OSError: The server cannot listen on the host and port.
            RuntimeError: The sandbox is running already, or it has a state file and was closed.
        """
        if self._runner is not None:
            raise RuntimeError("the sandbox is running already")
        if self._state is not None and self._state.closed:
            raise RuntimeError("the sandbox was closed and its state file released: make a new one")

        @web.middleware
        async def handle_all(request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG001  # a middleware
            # Without routes, because aiohttp's router would respond to unknown paths in plain text.
            return await self._handle(request)

        app = web.Application(client_max_size=_MAX_RAW_BODY_BYTES, middlewares=[handle_all])
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_protocol_logger,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            lingering_time=_LINGERING_SECONDS,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
            auto_decompress=False,
        )
        self._fault_injector = FaultInjector(self._record)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
        except OSError:
            await runner.cleanup()
            raise
        if not is_loopback(self.host):
            _logger.warning("listening on %s: %s", self.host, _EXPOSURE_WARNING)
        self.port = runner.addresses[0][1]
        self._runner = runner
        self._loop = asyncio.get_running_loop()
        self.store.base_url = self.base_url
        if self._webhooks is not None:
            self._webhooks.start()

    async def aclose(self) -> None:
        """Stop the server, save the state file and release it. A second call does nothing.

        Webhooks that are still pending are not sent.
        """
        runner, self._runner = self._runner, None
        self._loop = None
        self._fault_injector.close()
        self._planned_failures.clear()
        try:
            if runner is not None:
                await runner.cleanup()
        finally:
            if self._webhooks is not None:
                await self._webhooks.aclose()
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
        """Start the server in a thread of its own, for synchronous programs."""
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio"))
            portal.call(self.start)
            stack.callback(portal.call, self.aclose)
            self._thread_stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread_stack.close()

    async def _handle(self, request: web.Request) -> web.Response:
        path = request.raw_path.partition("?")[0]
        if is_sandbox_path(path):
            return await self._handle_sandbox_path(request, path)
        at, started = self.store.clock(), time.perf_counter()
        segments = _segments(request)
        is_api_call = segments[:1] == ("v1",)
        if is_api_call and self._fault_injector.is_stale(request.transport):
            return self._fault_injector.reset_stale(request, at)
        # Before the first await, so that calls are counted and draw their faults in the order of their arrival.
        rate_status = self._count_against_rate_limit(request.method, segments, at)
        fault, delay = self._draw_fault() if is_api_call else (None, 0.0)
        if rate_status.admitted:
            fault = self._planned_failures.take(request.method, segments) or fault
        call = _PendingCall(request, segments, self.store.make_hex_id("v-"), rate_status, fault)
        if delay:
            await asyncio.sleep(delay)
        response = await self._respond(call)
        exchange = Exchange.of(request, call.body, response, at, time.perf_counter() - started)
        if fault is None:
            self._record(exchange)
        else:
            await self._fault_injector.inject(fault, request, response, exchange)
        return response

    async def _handle_sandbox_path(self, request: web.Request, path: str) -> web.Response:
        """Serve the status page or a job report. These requests are not counted, recorded or hit by faults."""
        expected = is_expected_host(request.headers.get("Host", ""), self.hosts)
        if expected and request.method == "GET" and path.startswith(REPORT_PATH):
            report = find_report(self.store, path)
            if report is not None:
                return web.Response(body=report, content_type="text/csv", charset="utf-8")
        try:
            response = respond(
                self,
                request.method,
                path,
                request.headers,
                await _read_body(request),
                hosts=self.hosts,
                rate_statuses=self._rate_counters.read(self.store.clock()),
                page=_page_template,
                query=request.raw_path.partition("?")[2],
            )
        except ApiError as error:
            response = error_response(error.status, error.message)
        return web.Response(status=response.status, headers=response.headers, body=response.body)

    def _count_against_rate_limit(self, method: str, segments: tuple[str, ...], at: float) -> RateStatus:
        """Count a call if it is within the limit. `_process` later rejects a call that is not."""
        return self._rate_counters.count(method, segments, at)

    def _draw_fault(self) -> tuple[FaultDecision | None, float]:
        """The fault that hits the next API call, if any, and the latency of its response in seconds."""
        draw = self._draws.draw()
        low, high = self._latency_range
        return self.faults.fate(draw), low + (high - low) * draw.latency

    async def _respond(self, call: _PendingCall) -> web.Response:
        """The response to a call: the endpoint's result, or the error that ended its processing."""
        error_headers: Mapping[str, str] = {}
        try:
            status, body = await self._process(call)
        except ApiError as error:
            status, body = error.status, msgspec.json.encode(error.to_json(call.request_id))
            error_headers = error.headers
        except Exception:  # a bug in the sandbox must not leave the client without a response
            _logger.exception("%s: internal error in the sandbox", call.request_id)
            internal = ApiError(500, "internal_error", "Internal error in the sandbox; see its log")
            status, body = 500, msgspec.json.encode(internal.to_json(call.request_id))
        return web.Response(
            status=status,
            body=body,
            content_type=None if body is None else "application/json",
            headers={**self._headers(call, status), **error_headers},
        )

    async def _process(self, call: _PendingCall) -> tuple[int, bytes | None]:
        """Check the rate limit, read the body, check the fault, authenticate, call the endpoint and save the state.

        Raises:
            ApiError: One of these steps rejected the call.
        """
        call.rate_status.check()
        call.body = await _read_body(call.request)
        if call.fault is not None:
            call.fault.check()
        self._check_host(call.request)
        if call.segments[0] == _CLIENT_API:  # its keys are not those of the sandbox
            raise no_such_endpoint()
        self._authenticate(call.request.headers, section=call.segments[1] if len(call.segments) > 1 else "")
        status, content = self._answer(call.request, call.body, call.request_id)
        if self._webhooks is not None:
            self._webhooks.wake()  # to run the background job that the call may have started
        if self._state is not None:
            self._state.save(self.store)
        return status, None if content is None else msgspec.json.encode(content)

    def _check_host(self, request: web.Request) -> None:
        if not is_expected_host(request.headers.get("Host", ""), self.hosts):
            raise ApiError(403, "forbidden", UNEXPECTED_HOST)

    def _authenticate(self, headers: Mapping[str, str], section: str) -> None:
        """Check the credentials: app id and token, or an OAuth token with a scope for the section of the API.

        Raises:
            ApiError: 401 if the credentials are missing or wrong, 403 if the scope does not suffice.
        """
        app_id, app_token = headers.get("X-App-Id"), headers.get("X-App-Token")
        if app_id is not None and app_token is not None:
            if _is_equal(app_id, self.app_id) and _is_equal(app_token, self.app_token):
                return
            raise ApiError(401, "unauthorized", "Invalid application id or token")
        bearer = headers.get("X-Voucherify-OAuth") or headers.get("Authorization") or ""
        scheme, _, value = bearer.partition(" ")
        token = self.store.live_token(value) if scheme == "Bearer" else None
        if token is None or section == "oauth":  # OAuth tokens cannot issue or revoke tokens
            raise ApiError(401, "unauthorized", "Missing or invalid credentials")
        if not {"api", section} & set(token.scope.split()):
            raise ApiError(403, "forbidden", f"The token's scope is {token.scope}, which lacks {section}")

    def _answer(self, request: web.Request, body: bytes, request_id: str) -> EndpointResult:
        """Call the endpoint for an authenticated request."""
        call = ApiCall(
            method=request.method,
            segments=_segments(request),
            query=parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True),
            content_type=request.headers.get("Content-Type", ""),
            body=body,
            request_id=request_id,
        )
        return routes.dispatch(self.store, call)

    def _headers(self, call: _PendingCall, status: int) -> dict[str, str]:
        now = self.store.clock()
        # From the store's clock, like all other times: clients compare the rate limit headers with the date.
        date = formatdate(int(now), usegmt=True)
        headers = {"Date": date, "X-Request-Id": call.request_id, **call.rate_status.headers(now)}
        if status == HTTPStatus.TOO_MANY_REQUESTS and call.fault is not None and call.rate_status.admitted:
            retry_after = int(call.fault.headers()["Retry-After"])
            headers |= call.rate_status.headers_of_rejection(now, retry_after)
        return headers

    def _record(self, exchange: Exchange) -> None:
        self.requests.keep(exchange)
        if self.on_exchange is not None:
            try:
                self.on_exchange(exchange)
            except Exception:  # the client must get its response all the same
                _logger.exception("on_exchange raised an exception")


@dataclass(slots=True)
class _PendingCall:
    """A call between its arrival and its response."""

    request: web.Request
    segments: tuple[str, ...]
    request_id: str
    rate_status: RateStatus
    fault: FaultDecision | None
    body: bytes = b""


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _segments(request: web.Request) -> tuple[str, ...]:
    path = request.raw_path.partition("?")[0]
    return tuple(unquote(segment) for segment in path.split("/")[1:])


@functools.cache
def _page_template() -> str:
    return resources.files("voucherify_async.sandbox._status").joinpath("page.html").read_text("utf-8")


def _check_hosts(names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise ValueError(f"allow_hosts must be a list of host names, not {names!r}")
    checked = list(names)
    for name in checked:
        # Others would be accepted, and no request be: a Host header cannot match them.
        if not isinstance(name, str) or not is_host_name(name):
            raise ValueError(
                "allow_hosts must be host names without scheme and port, such as sandbox or sandbox.example.com,"
                f" not {name!r}"
            )
    return checked


def _check_not_negative(name: str, value: float) -> None:
    if value < 0:
        raise ValueError(f"{name} must not be negative, not {value!r}")
    if not value < math.inf:
        raise ValueError(f"{name} must be finite, not {value!r}")


def _is_equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


async def _read_body(request: web.Request) -> bytes:
    if sum(len(name) + len(value) for name, value in request.raw_headers) > _MAX_HEADERS_BYTES:
        raise ApiError(
            400, "headers_too_large", f"All headers together must not exceed {_MAX_HEADERS_BYTES} bytes"
        )
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ApiError(415, "unsupported_media_type", "The body must not be compressed")
    if (request.content_length or 0) > _MAX_RAW_BODY_BYTES:
        raise too_large()
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large() from None
    except (ConnectionError, HttpProcessingError, web.RequestPayloadError) as error:
        raise ApiError(
            400, "invalid_body", str(error), message="The body is incomplete or malformed"
        ) from None

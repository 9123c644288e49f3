"""The session manager: runs the attempts of a call and the waits between them.

Each attempt goes through these states:

1. Token: with OAuth, refresh the access token if it is about to expire. This comes first because the token
   request itself needs a slot.
2. Slot: acquire a slot in the connection pool.
3. Permit: pass the rate gate, which closes after a 429, and acquire a permit of the rate limiter. If the call
   must wait for them, it releases its slot and acquires one again afterwards.
4. Exchange: send the request and read the response (`ConnectionPool.exchange`).
5. Release: release the slot and the permit, however the attempt ended.

A successful response is decoded and returned. A failed attempt is followed by another one at once ("free
retry") if an OAuth token can be refreshed or the server had closed the pooled connection. Otherwise the
`RetryPolicy` decides whether to retry and after what delay. A 429 also delays all other calls of its kind.

Invariants:

- A call holds at most one slot and one permit, and neither of them between attempts.
- The deadline limits the whole call. A wait that is known to end after the deadline is not started.
- A request that is not idempotent is sent again only if the service certainly did not act on it.
- The error of a call contains the errors of its earlier attempts.

The decisions are pure functions in `wire`, `retry`, `rate_limit` and `call`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Collection, Coroutine, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import msgspec

from voucherify_async._tasks import run_to_end
from voucherify_async._transport.auth import Auth, OAuthClientCredentials, token_request
from voucherify_async._transport.call import (
    Call,
    attach_failures,
    deadline_error,
    is_success,
    last_error,
    throttled_error,
    throttled_past_deadline_error,
)
from voucherify_async._transport.hooks import (
    CallEvent,
    ErrorEvent,
    Hooks,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
)
from voucherify_async._transport.operation import (
    Delivery,
    Headers,
    RawResponse,
    Request,
    Response,
    ResponseHeaders,
    ResponseInfo,
)
from voucherify_async._transport.pool import ConnectionPool
from voucherify_async._transport.project import Project, Projects
from voucherify_async._transport.rate_limit import (
    TIME_RESOLUTION,
    AdaptiveRateLimiter,
    LocalRateLimiter,
    RateLimiter,
    read_rate_limit,
    server_wait,
)
from voucherify_async._transport.recording import pause_recording, record, recorders_of
from voucherify_async._transport.retry import Outcome, RetryPolicy
from voucherify_async._transport.secrets import Secrets, credentials_in
from voucherify_async._transport.settings import Timeouts, check_headers
from voucherify_async._transport.token_manager import MAX_REFRESH_SECONDS, TokenManager
from voucherify_async._transport.wire import JSON, decode, request_id_of, status_error
from voucherify_async.errors import (
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    PoolTimeoutError,
    ProxyError,
    RateLimitError,
    VoucherifyError,
)
from voucherify_async.models.oauth import AccessToken

__all__ = ["CallOptions", "SessionManager"]

T = TypeVar("T")

_logger = logging.getLogger("voucherify_async")

_BUILTIN_LIMITERS: Final = frozenset[type]({LocalRateLimiter, AdaptiveRateLimiter})

_CACHED_CONTENT_TYPES: Final = frozenset({None, JSON})
"""The content types of nearly all requests; their merged headers are cached."""

_MAX_FREE_RETRIES: Final = 100
"""The most free retries of one call; each removes a stale connection from the pool, so more mean a faulty server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The settings of calls; each view of a client has its own."""

    auth: Auth
    project: Project
    timeouts: Timeouts = Timeouts()
    deadline: float | None = None
    retry: RetryPolicy = RetryPolicy()
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    rate_limiter: RateLimiter | None = None
    hooks: Hooks = field(default_factory=Hooks)


class SessionManager:
    """Runs calls over a connection pool: authentication, attempts, waits, deadline."""

    def __init__(
        self,
        pool: ConnectionPool,
        options: CallOptions,
        projects: Projects,
        *,
        client: CallOptions | None = None,
    ) -> None:
        """Create a session manager.

        Args:
            pool: The connection pool.
            options: The settings of the calls.
            projects: The projects of all views of the client.
            client: The settings with which the token is requested, if `options` belong to a view.
        """
        self.pool = pool
        self.options = options
        self.projects = projects
        self._client = client or options
        self.clock = pool.clock
        self._auth_headers = Headers({})
        self._header_cache: dict[str | None, Headers] = {}

    def with_options(self, **changes: Any) -> SessionManager:
        """A session manager with other options that shares the pool."""
        options = replace(self.options, **changes)
        client = options if "auth" in changes else self._client
        return SessionManager(self.pool, options, self.projects, client=client)

    async def aclose(self) -> None:
        """Close the pool and cancel all token refreshes in progress."""
        await self.pool.aclose()
        await self.projects.aclose()

    def record_responses(self) -> AbstractContextManager[list[ResponseInfo]]:
        """Collect what is known of each successful response to calls made in the block."""
        return record(self.pool)

    def send(self, request: Request[T]) -> Coroutine[Any, Any, T]:
        """Make a call, with retries, and return the decoded response.

        Raises:
            APIStatusError: The service responded with an error status.
            DecodeError: The response does not have the documented format.
            TransportError: No usable response was received.
            ConfigurationError: The client is closed, or used from another loop or process.
        """
        return self._run(Call(request, self.clock.monotonic()))

    async def respond(self, request: Request[T]) -> Response[T]:
        """Make a call like `send`, and return the data with the status, headers and statistics of the call."""
        call = Call(request, self.clock.monotonic())
        data = await self._run(call)
        return Response(data=data, **self._response_info(call))

    def _response_info(self, call: Call) -> dict[str, Any]:
        """The fields of `ResponseInfo` for a call that succeeded."""
        response = call.response
        assert response is not None  # noqa: S101  # for the type checker
        return {
            "operation": call.name,
            "status": response.status,
            "headers": ResponseHeaders(response.headers.items()),
            "request_id": request_id_of(response),
            "rate_limit": call.rate_limit,
            "attempts": call.attempt,
            "elapsed": self.clock.monotonic() - call.started,
        }

    async def _run(self, call: Call) -> Any:
        deadline = self.options.deadline
        try:
            if deadline is None:
                return await self._run_attempts(call)
            return await self._run_with_deadline(deadline, call)
        except BaseException as error:
            if isinstance(error, VoucherifyError):
                attach_failures(call, error)
            elif isinstance(error, asyncio.CancelledError):
                # Whoever cancels a call may need to know whether it was sent.
                error.may_have_been_applied = call.may_have_been_applied  # type: ignore[attr-defined]
            self._emit_error(call, error)
            raise

    async def _run_with_deadline(self, deadline: float, call: Call) -> Any:
        scope = asyncio.timeout(deadline)
        try:
            async with scope:
                return await self._run_attempts(call)
        except TimeoutError:
            if not scope.expired():
                raise
        raise deadline_error(call, deadline)

    async def _run_attempts(self, call: Call) -> Any:
        while True:
            call.attempt += 1
            result = await self._run_attempt(call)
            delivery, call.delivery = call.delivery, None
            if isinstance(result, RawResponse) and is_success(call, result):
                return self._result(call, result)
            call.failures += (self._failure(call, result),)
            del result  # otherwise the traceback of an error would keep it alive
            if self._is_free_retry(call, delivery):
                call.free_retries += 1
                self._emit_retry(call, 0.0)
            else:
                await self._wait_before_retry(call, delivery)
            call.waited, call.rate_limit, call.server_wait, call.status = 0.0, None, None, None

    # -------------------------------------------------------------------- one attempt

    async def _run_attempt(self, call: Call) -> RawResponse | VoucherifyError:
        pool, options, timeouts = self.pool, self.options, self.options.timeouts
        pool.check_usable()
        if isinstance(options.auth, TokenManager):  # before acquiring a slot: the token request needs one
            await options.auth.ensure_token(self._fetch_token)
        try:
            call.has_slot = pool.try_acquire_slot() or await pool.acquire_slot(timeouts.pool)
            if call.has_slot:
                wait = await self._acquire_permit(call, 0.0, 0.0)
                if wait is not None:
                    await self._wait_without_slot(call, wait)
                elif pool.throttle_log:
                    pool.throttle_log.record_unthrottled(
                        options.rate_limiter, call.request.operation.limit_kind
                    )
            if not call.has_slot:
                text = f"no slot in the connection pool became free within {timeouts.pool} s"
                return PoolTimeoutError(text, operation=call.name)
            headers = self._headers(call)
            if RequestEvent in options.hooks.wanted:
                self._emit(RequestEvent, call, waited=call.waited)
            call.waited, call.delivery = 0.0, Delivery()
            result = await pool.exchange(call.request, headers, timeouts, call.delivery)
            if isinstance(result, RawResponse):
                call.status = result.status
                self._record_rate_limit(call, result)
            elif isinstance(result, DecodeError):
                call.status = result.status
        finally:
            self._release_slot(call)
            releasing = self._release_permit(call)
            if releasing is not None:
                await releasing
        if _logger.isEnabledFor(logging.DEBUG):
            outcome = call.status if isinstance(result, RawResponse) else type(result).__name__
            _logger.debug("%s: attempt %d: %s", call.name, call.attempt, outcome)
        return result

    def _release_permit(self, call: Call) -> Coroutine[Any, Any, None] | None:
        """Release the permit of the call, if it holds one; return what there is to wait for, if anything."""
        limiter, call.limiter = call.limiter, None
        if limiter is None:
            return None
        if type(limiter) not in _BUILTIN_LIMITERS:
            return self._release_to_users_limiter(call, limiter)
        limiter.release(call.request.operation.limit_kind, call.rate_limit, call.server_wait)
        return None

    async def _release_to_users_limiter(self, call: Call, limiter: RateLimiter) -> None:
        """Release a permit. An error is logged: it must not replace the outcome of the call."""
        try:
            released = limiter.release(call.request.operation.limit_kind, call.rate_limit, call.server_wait)
            if isinstance(released, Awaitable):
                await run_to_end(_awaited(released))
        except Exception:
            _logger.exception("%s: the rate limiter failed to release a permit", call.name)

    def _record_rate_limit(self, call: Call, response: RawResponse) -> None:
        """Record the rate limit that a response reports."""
        rate_limit = call.rate_limit = read_rate_limit(response.headers)
        remaining = None
        if rate_limit is not None:
            self.options.project.rate_limit, remaining = rate_limit, rate_limit.remaining
        if remaining == 0 or response.status >= 400:  # otherwise the next call need not wait
            calls_remain = bool(remaining) and response.status != 429
            call.server_wait = server_wait(response.headers, self.clock.epoch(), calls_remain=calls_remain)

    def _headers(self, call: Call) -> Headers:
        auth = self.options.auth
        if isinstance(auth, TokenManager):
            call.token = auth.token
        if auth.headers() != self._auth_headers.values:  # for example after a token refresh
            checked = Headers(check_headers("auth", auth.headers()))
            others = (*credentials_in(self.pool.headers), *credentials_in(self.options.headers))
            self._auth_headers = Headers(checked.values, Secrets((*checked.values.values(), *others)))
            self._header_cache.clear()
        request, body = call.request, call.request.body
        content_type = None if body is None else body.content_type
        if request.headers or request.secrets or content_type not in _CACHED_CONTENT_TYPES:
            return self._merge_headers(content_type, request.headers, request.secrets)
        if content_type not in self._header_cache:
            self._header_cache[content_type] = self._merge_headers(content_type, {}, ())
        return self._header_cache[content_type]

    def _merge_headers(
        self, content_type: str | None, headers: Mapping[str, str], secrets: Collection[str]
    ) -> Headers:
        auth = self._auth_headers
        typed = {} if content_type is None else {"Content-Type": content_type}
        sources = self.pool.headers, typed, self.options.headers, auth.values, headers
        # Later sources override earlier ones; header names are case-insensitive.
        merged = {name.lower(): (name, value) for source in sources for name, value in source.items()}
        secrets = (*secrets, *credentials_in(headers))
        return Headers(dict(merged.values()), auth.secrets | secrets if secrets else auth.secrets)

    async def _fetch_token(self, credentials: OAuthClientCredentials) -> AccessToken:
        # All views share the token, so the client's own settings apply, not those of the calling view. Nobody who
        # records responses expects the one with the token: this task has a context of its own.
        pause_recording()
        options = replace(self._client, auth=credentials.keys, deadline=MAX_REFRESH_SECONDS)
        return await SessionManager(self.pool, options, self.projects).send(token_request(credentials.scope))

    async def _wait_without_slot(self, call: Call, wait: float) -> None:
        """Release the slot while waiting for a permit, then acquire it again."""
        pool = self.pool
        while call.has_slot:
            self._release_slot(call)
            await self._wait_for_permit(call, wait)
            wait = 0.0
            call.has_slot = pool.try_acquire_slot() or await pool.acquire_slot(self.options.timeouts.pool)
            if not self.options.project.gate.is_closed(call.request.operation.limit_kind):
                return

    def _release_slot(self, call: Call) -> None:
        if call.has_slot:
            call.has_slot = False
            self.pool.release_slot()

    async def _acquire_permit(self, call: Call, max_wait: float, max_pause: float) -> float | None:
        """Acquire a permit and return `None`, or return the seconds until one may be available.

        `WaitQueue.acquire` documents the arguments.
        """
        kind = call.request.operation.limit_kind
        options, wait = self.options, None
        queue, limiter = options.project.gate.queues.get(kind), options.rate_limiter
        if queue is not None:
            wait = await queue.acquire(max_wait, max_pause)
        if wait is None and limiter is not None and call.limiter is None:
            # A subclass may override `acquire`, so only the built-in classes take the shortcut.
            if (
                isinstance(limiter, LocalRateLimiter | AdaptiveRateLimiter)
                and type(limiter) in _BUILTIN_LIMITERS
            ):
                wait = await limiter.line(kind).acquire(max_wait, max_pause)
            elif (acquire := getattr(limiter, "acquire_within", None)) is not None:  # `RedisRateLimiter`
                wait = await acquire(kind, max_wait, max_pause)
            else:
                wait = await self._acquire_from(limiter, kind, min(max_wait, max_pause))
            if wait is None:
                call.limiter = limiter
        return wait

    async def _acquire_from(self, limiter: RateLimiter, kind: str, max_wait: float) -> float | None:
        """Acquire a permit of a user's limiter; wait here for one that does not wait itself."""
        ends_at = self.clock.monotonic() + max_wait
        while True:
            remaining = max(0.0, ends_at - self.clock.monotonic())
            acquired = limiter.acquire(kind, remaining)
            wait = await acquired if isinstance(acquired, Awaitable) else acquired
            if wait is None:
                return None
            if not isinstance(wait, int | float) or isinstance(wait, bool) or not wait >= 0:
                raise ConfigurationError(
                    f"rate_limiter.acquire must return None or a number of seconds from 0, not {wait!r}"
                )
            if wait == 0 or wait > remaining:
                return wait
            await self.clock.sleep(wait)

    async def _wait_for_permit(self, call: Call, known: float) -> None:
        started = self.clock.monotonic()
        max_server_wait, deadline = self.options.retry.max_server_wait, self.options.deadline
        left = self._time_left(call)
        max_pause = min(max_server_wait + TIME_RESOLUTION, left)
        call.is_throttled = True
        try:
            # A wait above `max_pause` is not started, so it is not logged.
            with self._log_throttling(call, known if known <= max_pause else 0.0):
                wait = await self._acquire_permit(call, left, max_pause)
        finally:
            call.waited += self.clock.monotonic() - started
        if wait is None:
            call.is_throttled = False
        elif deadline is not None and left < max_server_wait:
            raise throttled_past_deadline_error(call, wait, deadline, self._time_left(call))
        else:
            raise throttled_error(call, wait, max_server_wait)

    def _log_throttling(self, call: Call, wait: float) -> AbstractContextManager[None]:
        """Count the call as throttled in the log while the block runs."""
        kind = call.request.operation.limit_kind
        return self.pool.throttle_log.throttled(call.name, self.options.rate_limiter, kind, wait)

    # -------------------------------------------------------------------- after an attempt

    def _result(self, call: Call, response: RawResponse) -> Any:
        if not 200 <= response.status < 300:  # the 404 of a deletion that an earlier attempt may have done
            response = msgspec.structs.replace(response, body=b"")
        call.response, request = response, call.request
        try:
            data = request.decode(response) if request.decode else decode(request.operation, response)
        except DecodeError:
            self._emit_response(call, response, final=False)
            raise
        if ResponseEvent in self.options.hooks.wanted:
            self._emit_response(call, response, final=True)
        for recorder in recorders_of(self.pool):
            recorder.responses.append(ResponseInfo(**self._response_info(call)))
        return data

    def _failure(self, call: Call, result: RawResponse | VoucherifyError) -> VoucherifyError:
        if not isinstance(result, RawResponse):
            return result
        self._emit_response(call, result, final=False)
        return status_error(call.request.operation, result, now=self.clock.epoch())

    def _is_free_retry(self, call: Call, delivery: Delivery | None) -> bool:
        """Whether to retry at once without counting the attempt: after a token refresh or a stale connection."""
        auth = self.options.auth
        if (
            isinstance(call.failures[-1], AuthenticationError)
            and isinstance(auth, TokenManager)
            and not call.token_refreshed
        ):
            auth.invalidate(call.token)
            call.token_refreshed = True
            return True
        stale = delivery is not None and delivery.stale and call.free_retries < _MAX_FREE_RETRIES
        return stale and (call.request.repeatable or not call.failures[-1].may_have_been_applied)

    async def _wait_before_retry(self, call: Call, delivery: Delivery | None) -> None:
        """Wait before the next attempt, or raise the call's error if no attempt follows."""
        delay = self._retry_delay(call, delivery)
        if delay is None:
            raise last_error(call)
        if self._time_left(call) <= delay:
            raise self._out_of_time_error(call)
        self._emit_retry(call, delay)
        if isinstance(call.failures[-1], RateLimitError):
            with self._log_throttling(call, delay):
                await self.clock.sleep(delay)
        else:
            await self.clock.sleep(delay)

    def _retry_delay(self, call: Call, delivery: Delivery | None) -> float | None:
        """Seconds until the next attempt; `None` for no retry. After a 429, close the rate gate for all calls."""
        failure = call.failures[-1]
        outcome = Outcome(
            repeatable=call.request.repeatable,
            may_have_been_applied=failure.may_have_been_applied,
            status=failure.status if isinstance(failure, APIStatusError | DecodeError | ProxyError) else None,
            server_wait=call.server_wait,
            limit_kind=failure.kind if isinstance(failure, RateLimitError) else None,
            permanent=delivery is not None and delivery.permanent,
        )
        counted = len(call.failures) - call.free_retries
        delay = self.options.retry.decide(counted, outcome, jitter=self.clock.random())
        if isinstance(failure, RateLimitError):
            # No call has a kind such as `api_calls_cycle` (plan used up): closing its gate has no effect.
            kind = failure.kind or call.request.operation.limit_kind
            self.options.project.gate.close(kind, call.server_wait or delay or self.options.retry.base)
        return delay

    def _time_left(self, call: Call) -> float:
        deadline = self.options.deadline
        return math.inf if deadline is None else call.started + deadline - self.clock.monotonic()

    def _out_of_time_error(self, call: Call) -> VoucherifyError:
        """The error to raise when the next attempt would start after the deadline."""
        deadline = self.options.deadline or 0.0
        return last_error(call, deadline=deadline) if call.failures else deadline_error(call, deadline)

    # -------------------------------------------------------------------- hooks and log

    def _emit(self, kind: type[CallEvent], call: Call, **fields: Any) -> None:
        if kind in self.options.hooks.wanted:
            operation = call.request.operation
            event = kind(
                call_id=call.id,
                operation=operation.name,
                method=operation.method,
                url_template=operation.path,
                base_url=self.pool.settings.base_url,
                attempt=call.attempt,
                elapsed=self.clock.monotonic() - call.started,
                **fields,
            )
            self.options.hooks.emit(event)

    def _emit_response(self, call: Call, response: RawResponse, *, final: bool) -> None:
        if ResponseEvent in self.options.hooks.wanted:
            self._emit(
                ResponseEvent,
                call,
                status=response.status,
                request_id=request_id_of(response),
                rate_limit=call.rate_limit,
                final=final,
            )

    def _emit_retry(self, call: Call, delay: float) -> None:
        kind = type(call.failures[-1]).__name__
        # DEBUG for a 429: the throttle log has one warning for all calls that wait.
        level = logging.DEBUG if isinstance(call.failures[-1], RateLimitError) else logging.WARNING
        _logger.log(
            level, "%s: attempt %d failed (%s); next attempt in %.2f s", call.name, call.attempt, kind, delay
        )
        self._emit(RetryEvent, call, error_type=kind, status=call.status, delay=delay)

    def _emit_error(self, call: Call, error: BaseException) -> None:
        own = error if isinstance(error, VoucherifyError) else None
        self._emit(
            ErrorEvent,
            call,
            error_type=type(error).__name__,
            # Not the status of the error: it may come from a token refresh, or be the 429 of a call that was
            # throttled and never sent.
            status=call.status if isinstance(error, APIStatusError | DecodeError) else None,
            waited=call.waited,
            key=error.key if isinstance(error, APIStatusError) else None,
            request_id=own.request_id if own else None,
            may_have_been_applied=own.may_have_been_applied if own else call.may_have_been_applied,
            cancelled=isinstance(error, asyncio.CancelledError),
        )


async def _awaited(awaitable: Awaitable[Any]) -> None:
    await awaitable

"""The session manager: the attempts of a call, and the waits between them.

What an answer means and whether an attempt is repeated is decided elsewhere, by functions of values
(`wire`, `retry`, `rate_limit`), and bytes are moved by `pool`. Here waits are waited.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Collection, Coroutine, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import msgspec

from voucherify_async._transport.auth import Auth, OAuthClientCredentials, token_request
from voucherify_async._transport.call import (
    Call,
    conclude,
    deadline_error,
    held_beyond_deadline,
    is_success,
    last_error,
    refusal,
)
from voucherify_async._transport.hooks import (
    CallEvent,
    ErrorEvent,
    Hooks,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
)
from voucherify_async._transport.operation import Delivery, Headers, RawResponse, Request, Response
from voucherify_async._transport.pool import ConnectionPool
from voucherify_async._transport.rate_limit import (
    WHOLE_SECONDS,
    AdaptiveRateLimiter,
    LocalRateLimiter,
    RateLimiter,
    read_rate_limit,
    server_wait,
)
from voucherify_async._transport.retry import Outcome, RetryPolicy
from voucherify_async._transport.secrets import Secrets, credentials_in
from voucherify_async._transport.settings import Timeouts, check_headers
from voucherify_async._transport.token_manager import MAX_REFRESH_SECONDS, TokenManager
from voucherify_async._transport.wire import JSON, decode, request_id_of, status_error
from voucherify_async.errors import (
    APIStatusError,
    AuthenticationError,
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

_OWN_LIMITERS: Final = frozenset[type]({LocalRateLimiter, AdaptiveRateLimiter})

_USUAL: Final = frozenset({None, JSON})
"""Content types of which the headers of nearly all requests are made once."""

_MAX_STALE: Final = 100
"""Stale connections that one call may meet; each is gone from the pool then, so more would be no accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How calls are made over a pool; views of a client differ in these."""

    auth: Auth
    timeouts: Timeouts = Timeouts()
    deadline: float | None = None
    retry: RetryPolicy = RetryPolicy()
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    rate_limiter: RateLimiter | None = None
    hooks: Hooks = field(default_factory=Hooks)


class SessionManager:
    """Makes calls over a pool: authentication, attempts, waits, deadline."""

    def __init__(
        self, pool: ConnectionPool, options: CallOptions, *, client: CallOptions | None = None
    ) -> None:
        """Make calls with these options.

        Args:
            pool: The connections.
            options: The settings of these calls.
            client: The settings of the client, if these are of a view of it.
        """
        self.pool = pool
        self.options = options
        self._client = client or options
        self.clock = pool.clock
        self._given = Headers({})
        self._usual: dict[str | None, Headers] = {}

    def with_options(self, **changes: Any) -> SessionManager:
        """The same pool with other options."""
        return SessionManager(self.pool, replace(self.options, **changes), client=self._client)

    async def aclose(self) -> None:
        """Close the pool, and end what goes on by itself."""
        await self.pool.aclose()
        if isinstance(self.options.auth, TokenManager):
            await self.options.auth.aclose()

    def send(self, request: Request[T]) -> Coroutine[Any, Any, T]:
        """Make a call, in as many attempts as the policy allows; gives what the answer says.

        Raises:
            APIStatusError: The service answered with an error.
            DecodeError: The answer is not what the API promises.
            TransportError: No usable answer came.
            ConfigurationError: The client is closed, or used from another loop or process.
        """
        return self._make(Call(request, self.clock.monotonic()))

    async def respond(self, request: Request[T]) -> Response[T]:
        """Make a call as `send` does; gives all there is to know of the answer."""
        call = Call(request, self.clock.monotonic())
        data = await self._make(call)
        answer = call.answer
        assert answer is not None  # noqa: S101  # for the type checker
        return Response(
            data=data,
            status=answer.status,
            headers=answer.headers,
            request_id=request_id_of(answer),
            rate_limit=call.told,
            attempts=call.attempt,
            elapsed=self.clock.monotonic() - call.started,
        )

    async def _make(self, call: Call) -> Any:
        deadline = self.options.deadline
        try:
            if deadline is None:
                return await self._attempts(call)
            return await self._within(deadline, call)
        except BaseException as error:
            if isinstance(error, VoucherifyError):
                conclude(call, error)
            self._tell_error(call, error)
            raise

    async def _within(self, deadline: float, call: Call) -> Any:
        scope = asyncio.timeout(deadline)
        try:
            async with scope:
                return await self._attempts(call)
        except TimeoutError:
            if not scope.expired():
                raise
        raise deadline_error(call, deadline)

    async def _attempts(self, call: Call) -> Any:
        while True:
            call.attempt += 1
            result = await self._attempt(call)
            delivery, call.delivery = call.delivery, None
            if isinstance(result, RawResponse) and is_success(call, result):
                return self._result(call, result)
            call.failures += (self._failure(call, result),)
            del result  # an error would keep it, by its traceback
            if self._is_excused(call, delivery):
                call.excused += 1
                self._tell_retry(call, 0.0)
            else:
                await self._pause(call, delivery)
            call.waited, call.told, call.wait, call.status = 0.0, None, None, None

    # -------------------------------------------------------------------- one attempt

    async def _attempt(self, call: Call) -> RawResponse | VoucherifyError:
        pool, options, timeouts = self.pool, self.options, self.options.timeouts
        pool.check_usable()
        if isinstance(options.auth, TokenManager):  # before there is a place: asking for a token takes one
            await options.auth.ready(self._fetch_token)
        try:
            call.has_place = pool.take_place() or await pool.wait_for_place(timeouts.pool)
            if call.has_place:
                wait = await self._take_leave(call, 0.0, 0.0)
                if wait is not None:
                    await self._queue(call, wait)
                elif pool.held:
                    pool.held.passed(options.rate_limiter, call.request.operation.limit_kind)
            if not call.has_place:
                text = f"no place in the connection pool became free within {timeouts.pool} s"
                return PoolTimeoutError(text, operation=call.name)
            headers = self._headers(call)
            if RequestEvent in options.hooks.wanted:
                self._tell(RequestEvent, call, waited=call.waited)
            call.waited, call.delivery = 0.0, Delivery()
            result = await pool.exchange(call.request, headers, timeouts, call.delivery)
            if isinstance(result, RawResponse):
                call.status = result.status
                self._learn(call, result)
            elif isinstance(result, DecodeError):
                call.status = result.status
        finally:
            self._return_place(call)
            leave, call.leave = call.leave, None
            if leave is not None:
                leave.release(call.request.operation.limit_kind, call.told, call.wait)
        if _logger.isEnabledFor(logging.DEBUG):
            outcome = call.status if isinstance(result, RawResponse) else type(result).__name__
            _logger.debug("%s: attempt %d: %s", call.name, call.attempt, outcome)
        return result

    def _learn(self, call: Call, answer: RawResponse) -> None:
        """Keep what an answer says of the rate limit."""
        told = call.told = read_rate_limit(answer.headers)
        remaining = None
        if told is not None:
            self.pool.rate_limit, remaining = told, told.remaining
        if remaining == 0 or answer.status >= 400:  # else there is nothing to wait for
            calls_remain = bool(remaining) and answer.status != 429
            call.wait = server_wait(answer.headers, self.clock.epoch(), calls_remain=calls_remain)

    def _headers(self, call: Call) -> Headers:
        auth = self.options.auth
        if isinstance(auth, TokenManager):
            call.token = auth.token
        if auth.headers() != self._given.values:  # it nearly never says anything new
            given = Headers(check_headers("auth", auth.headers()))
            others = (*credentials_in(self.pool.headers), *credentials_in(self.options.headers))
            self._given = Headers(given.values, Secrets((*given.values.values(), *others)))
            self._usual.clear()
        request, body = call.request, call.request.body
        content_type = None if body is None else body.content_type
        if request.headers or request.secrets or content_type not in _USUAL:
            return self._put_together(content_type, request.headers, request.secrets)
        if content_type not in self._usual:
            self._usual[content_type] = self._put_together(content_type, {}, ())
        return self._usual[content_type]

    def _put_together(
        self, content_type: str | None, headers: Mapping[str, str], secrets: Collection[str]
    ) -> Headers:
        own = self._given
        typed = {} if content_type is None else {"Content-Type": content_type}
        sources = self.pool.headers, typed, self.options.headers, own.values, headers
        # The last word counts, in whatever case it is written.
        found = {name.lower(): (name, value) for source in sources for name, value in source.items()}
        secrets = (*secrets, *credentials_in(headers))
        return Headers(dict(found.values()), own.secrets | secrets if secrets else own.secrets)

    async def _fetch_token(self, credentials: OAuthClientCredentials) -> AccessToken:
        # With the client's settings, not those of the view that asks: all views share the token.
        options = replace(self._client, auth=credentials.keys, deadline=MAX_REFRESH_SECONDS)
        return await SessionManager(self.pool, options).send(token_request(credentials.scope))

    async def _queue(self, call: Call, wait: float) -> None:
        """Wait for leave of the rate limits, and then for a place again: who waits for leave holds none."""
        pool = self.pool
        while call.has_place:
            self._return_place(call)
            await self._wait_for_leave(call, wait)
            wait = 0.0
            call.has_place = pool.take_place() or await pool.wait_for_place(self.options.timeouts.pool)
            if not pool.gate.is_closed(call.request.operation.limit_kind):
                return

    def _return_place(self, call: Call) -> None:
        if call.has_place:
            call.has_place = False
            self.pool.return_place()

    async def _take_leave(self, call: Call, max_wait: float, max_stop: float) -> float | None:
        """Leave to send (`None`), or the seconds until there could be; see `WaitQueue.enter`."""
        kind = call.request.operation.limit_kind
        line, limiter, wait = self.pool.gate.lines.get(kind), self.options.rate_limiter, None
        if line is not None:
            wait = await line.enter(max_wait, max_stop)
        if wait is None and limiter is not None and call.leave is None:
            # What is derived from these may wait in its own way.
            if isinstance(limiter, LocalRateLimiter | AdaptiveRateLimiter) and type(limiter) in _OWN_LIMITERS:
                wait = await limiter.line(kind).enter(max_wait, max_stop)
            else:
                wait = await limiter.acquire(kind, min(max_wait, max_stop))
            if wait is None:
                call.leave = limiter
        return wait

    async def _wait_for_leave(self, call: Call, known: float) -> None:
        began = self.clock.monotonic()
        accepted, deadline = self.options.retry.max_server_wait, self.options.deadline
        left = self._time_left(call)
        longest = min(accepted + WHOLE_SECONDS, left)
        call.is_held = True
        try:
            with self._held(call, known if known <= longest else 0.0):  # above, it will not wait
                wait = await self._take_leave(call, left, longest)
        finally:
            call.waited += self.clock.monotonic() - began
        if wait is None:
            call.is_held = False
        elif deadline is not None and left < accepted:
            raise held_beyond_deadline(call, wait, deadline, self._time_left(call))
        else:
            raise refusal(call, wait, accepted)

    def _held(self, call: Call, wait: float) -> AbstractContextManager[None]:
        """Count the call as waiting for a rate limit while a block runs, for the log."""
        kind = call.request.operation.limit_kind
        return self.pool.held.hold(call.name, self.options.rate_limiter, kind, wait)

    # -------------------------------------------------------------------- after an attempt

    def _result(self, call: Call, answer: RawResponse) -> Any:
        if not 200 <= answer.status < 300:  # what was to be removed is gone
            answer = msgspec.structs.replace(answer, body=b"")
        call.answer, request = answer, call.request
        try:
            data = request.decode(answer) if request.decode else decode(request.operation, answer)
        except DecodeError:
            self._tell_response(call, answer, final=False)
            raise
        if ResponseEvent in self.options.hooks.wanted:
            self._tell_response(call, answer, final=True)
        return data

    def _failure(self, call: Call, result: RawResponse | VoucherifyError) -> VoucherifyError:
        if not isinstance(result, RawResponse):
            return result
        self._tell_response(call, result, final=False)
        return status_error(call.request.operation, result, now=self.clock.epoch())

    def _is_excused(self, call: Call, delivery: Delivery | None) -> bool:
        """Whether the last failure says nothing of the call, so that it is made again at once, policy or not."""
        auth = self.options.auth
        if (
            isinstance(call.failures[-1], AuthenticationError)
            and isinstance(auth, TokenManager)
            and not call.renewed
        ):
            auth.reject(call.token)
            call.renewed = True
            return True
        stale = delivery is not None and delivery.stale and call.excused < _MAX_STALE
        return stale and (call.request.repeatable or not call.failures[-1].may_have_been_applied)

    async def _pause(self, call: Call, delivery: Delivery | None) -> None:
        """Wait until the next attempt, or raise what the call ends with."""
        delay = self._delay(call, delivery)
        if delay is None:
            raise last_error(call)
        if self._time_left(call) <= delay:
            raise self._out_of_time(call)
        self._tell_retry(call, delay)
        if isinstance(call.failures[-1], RateLimitError):
            with self._held(call, delay):
                await self.clock.sleep(delay)
        else:
            await self.clock.sleep(delay)

    def _delay(self, call: Call, delivery: Delivery | None) -> float | None:
        """Seconds until the next attempt; `None` for none. If it was refused, all calls are held back."""
        failure = call.failures[-1]
        outcome = Outcome(
            repeatable=call.request.repeatable,
            arrived=failure.may_have_been_applied,
            status=failure.status if isinstance(failure, APIStatusError | DecodeError | ProxyError) else None,
            server_wait=call.wait,
            limit_kind=failure.kind if isinstance(failure, RateLimitError) else None,
            permanent=delivery is not None and delivery.permanent,
        )
        policed = len(call.failures) - call.excused
        delay = self.options.retry.decide(policed, outcome, jitter=self.clock.random())
        if isinstance(failure, RateLimitError):
            # Of a kind that counts no calls, such as that of a plan that is used up, it is nobody's gate.
            kind = failure.kind or call.request.operation.limit_kind
            self.pool.gate.close(kind, call.wait or delay or self.options.retry.base)
        return delay

    def _time_left(self, call: Call) -> float:
        deadline = self.options.deadline
        return math.inf if deadline is None else call.started + deadline - self.clock.monotonic()

    def _out_of_time(self, call: Call) -> VoucherifyError:
        """The error for a call that ends because its next attempt could begin only after the deadline."""
        deadline = self.options.deadline or 0.0
        return last_error(call, deadline=deadline) if call.failures else deadline_error(call, deadline)

    # -------------------------------------------------------------------- who looks on

    def _tell(self, kind: type[CallEvent], call: Call, **facts: Any) -> None:
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
                **facts,
            )
            self.options.hooks.emit(event)

    def _tell_response(self, call: Call, answer: RawResponse, *, final: bool) -> None:
        if ResponseEvent in self.options.hooks.wanted:
            self._tell(
                ResponseEvent,
                call,
                status=answer.status,
                request_id=request_id_of(answer),
                rate_limit=call.told,
                final=final,
            )

    def _tell_retry(self, call: Call, delay: float) -> None:
        kind = type(call.failures[-1]).__name__
        # That calls are held back is told once, not for each that the service refuses.
        level = logging.DEBUG if isinstance(call.failures[-1], RateLimitError) else logging.WARNING
        _logger.log(
            level, "%s: attempt %d failed (%s); the next in %.2f s", call.name, call.attempt, kind, delay
        )
        self._tell(RetryEvent, call, error_type=kind, status=call.status, delay=delay)

    def _tell_error(self, call: Call, error: BaseException) -> None:
        ours = error if isinstance(error, VoucherifyError) else None
        self._tell(
            ErrorEvent,
            call,
            error_type=type(error).__name__,
            # An error can have a status that no answer to this call had: when nothing was sent for a rate limit,
            # or no token was got to send.
            status=call.status if isinstance(error, APIStatusError | DecodeError) else None,
            waited=call.waited,
            key=error.key if isinstance(error, APIStatusError) else None,
            request_id=ours.request_id if ours else None,
            may_have_been_applied=ours.may_have_been_applied if ours else call.may_have_been_applied,
            cancelled=isinstance(error, asyncio.CancelledError),
        )

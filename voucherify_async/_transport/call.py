"""The state of a running call, and the errors that a call can end with. Pure: no I/O, no clock."""

from __future__ import annotations

import itertools
from typing import Any, Final

import msgspec

from voucherify_async._transport.auth import OAuthToken
from voucherify_async._transport.operation import Delivery, RawResponse, Request
from voucherify_async._transport.rate_limit import RateLimit, RateLimiter
from voucherify_async.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    RateLimitError,
    TransportError,
    VoucherifyError,
)

__all__ = [
    "Call",
    "attach_failures",
    "deadline_error",
    "is_success",
    "last_error",
    "throttled_error",
    "throttled_past_deadline_error",
]

_ids = itertools.count(1)

_NEGLIGIBLE: Final = 0.1
"""Seconds; if a call has used less of its deadline than this, the error does not say how much is left."""


class Call(msgspec.Struct, eq=False):
    """The state of a running call.

    Attributes:
        request: The request to send.
        started: Start of the call, as monotonic time in seconds.
        id: Number of the call, unique in the process.
        attempt: Number of the current attempt, from 1; 0 before the first.
        failures: The errors of the attempts that have ended.
        free_retries: How many failures the retry policy does not count.
        delivery: Progress of the attempt in flight; `None` if there is none.
        has_slot: Whether the attempt holds a slot of the connection pool.
        limiter: The rate limiter whose permit the attempt holds, if any.
        waited: Seconds that the attempt waited for rate limits.
        is_throttled: Whether the call is waiting for a rate limit, or failed because of one.
        status: HTTP status of the attempt's response, if there was one.
        rate_limit: The rate limit that the response reported, if any.
        server_wait: Seconds to wait before the next call, as the response reported, if it did.
        token: The OAuth token of the attempt, if a `TokenManager` provides it.
        token_refreshed: Whether the service rejected a token of this call and it was refreshed.
        response: The successful response of the call.
    """

    request: Request[Any]
    started: float
    id: int = msgspec.field(default_factory=_ids.__next__)
    attempt: int = 0
    failures: tuple[VoucherifyError, ...] = ()
    free_retries: int = 0
    delivery: Delivery | None = None
    has_slot: bool = False
    limiter: RateLimiter | None = None
    waited: float = 0.0
    is_throttled: bool = False
    status: int | None = None
    rate_limit: RateLimit | None = None
    server_wait: float | None = None
    token: OAuthToken | None = None
    token_refreshed: bool = False
    response: RawResponse | None = None

    def __repr__(self) -> str:
        # Short, since error reporters show it in each frame of a traceback.
        return f"<Call {self.id} {self.name}, attempt {self.attempt}>"

    @property
    def name(self) -> str:
        """The name of the operation, for errors and logs."""
        return self.request.operation.name

    @property
    def may_have_been_applied(self) -> bool:
        """Whether the service may have acted on any attempt, including the one in flight."""
        sent = self.delivery is not None and self.delivery.sent
        return (sent and not self.request.operation.reads) or any(
            failure.may_have_been_applied for failure in self.failures
        )


def is_success(call: Call, response: RawResponse) -> bool:
    """Whether a response means success: a 2xx status, or a 404 if an earlier attempt may have deleted the resource."""
    if 200 <= response.status < 300:
        return True
    return response.status == 404 and call.request.operation.removes and call.may_have_been_applied


def last_error(call: Call, *, deadline: float | None = None) -> VoucherifyError:
    """The error of a call that makes no further attempt.

    Order of precedence: the error of a response, a `DeadlineExceededError`, an `OutcomeUnknownError`.

    Args:
        call: A call with at least one failure.
        deadline: The deadline in seconds, if it prevents another attempt.
    """
    failure = call.failures[-1]
    if not isinstance(failure, TransportError):
        return failure
    if deadline is not None:
        return deadline_error(call, deadline)
    request = call.request
    if not failure.may_have_been_applied or request.repeatable:
        return failure
    size = f" with a body of {len(request.body.content):,} bytes" if request.body else ""
    sent = f"{request.operation.method} {request.operation.path}{size} was sent"
    text = f"{sent}, but it is unknown whether it was applied: {failure.args[0]}"
    return OutcomeUnknownError(text, operation=call.name)


def deadline_error(call: Call, deadline: float) -> DeadlineExceededError:
    """The error of a call that exceeded its deadline."""
    if call.is_throttled and not call.failures:
        text = f"the rate limit delayed the call for the whole deadline of {deadline} s; nothing was sent"
    else:
        text = f"no usable response within the deadline of {deadline} s"
    return _deadline_error(call, text)


def throttled_past_deadline_error(call: Call, wait: float, deadline: float, left: float) -> VoucherifyError:
    """The error of a call that is not sent because a rate limit would delay it past its deadline.

    Args:
        call: The call.
        wait: Seconds until the rate limit would allow the call, 0 if unknown.
        deadline: The deadline in seconds.
        left: Seconds left until the deadline.
    """
    if call.failures and not isinstance(call.failures[-1], TransportError):
        return last_error(call)  # the error of a response takes precedence
    if wait <= max(left, 0.0):  # the time was used up by waiting behind other calls
        return deadline_error(call, deadline)
    rest = f" ({left:.1f} s left)" if left < deadline - _NEGLIGIBLE else ""
    sent = "it was not sent again" if call.failures else "nothing was sent"
    delay = f"the rate limit would delay the call for {wait:.1f} s"
    text = f"{delay}, longer than the deadline of {deadline} s{rest}; {sent}"
    error = _deadline_error(call, text)
    error.retry_after = wait
    error.__cause__ = _rate_limit_error(call, f"the rate limit allows no call for {wait:.1f} s", wait)
    return error


def _deadline_error(call: Call, text: str) -> DeadlineExceededError:
    applied = call.may_have_been_applied
    return DeadlineExceededError(text, operation=call.name, may_have_been_applied=applied)


def throttled_error(call: Call, wait: float, max_server_wait: float) -> RateLimitError:
    """The error of a call that is not sent because the rate limit would delay it longer than `max_server_wait`."""
    limit = f"longer than retry.max_server_wait of {max_server_wait} s"
    text = f"not sent: the rate limit allows no call for {wait:.1f} s, {limit}"
    return _rate_limit_error(call, text, wait)


def _rate_limit_error(call: Call, text: str, wait: float) -> RateLimitError:
    error = RateLimitError(text, status=429, operation=call.name)
    error.retry_after, error.kind = wait, call.request.operation.limit_kind
    return error


def attach_failures(call: Call, error: VoucherifyError) -> VoucherifyError:
    """Store the errors of a call's earlier attempts in its final error, and merge `may_have_been_applied`."""
    earlier = tuple(failure for failure in call.failures if failure is not error)
    error.attempts = earlier + error.attempts
    error.may_have_been_applied |= any(failure.may_have_been_applied for failure in earlier)
    call.failures = ()  # avoids a reference cycle through the traceback of the error
    return error

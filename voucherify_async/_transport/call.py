"""A call while it runs, and what it ends with. Pure: no I/O, no clock."""

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
    "conclude",
    "deadline_error",
    "held_beyond_deadline",
    "is_success",
    "last_error",
    "refusal",
]

_ids = itertools.count(1)

_INSTANT: Final = 0.1
"""Seconds; a call that has used less of its deadline is said to have all of it left."""


class Call(msgspec.Struct, eq=False):
    """What is known of a call while it runs.

    Attributes:
        request: What is asked.
        started: When it began.
        id: Its number.
        attempt: The number of the attempt that is being made.
        failures: What went wrong in the attempts that have ended.
        excused: How many of them the retry policy does not count.
        delivery: How far the attempt got that is under way; nobody knows what became of that one.
        has_place: Whether the attempt holds a place in the pool.
        leave: The limiter that gave the attempt leave, if one did.
        waited: Seconds that rate limits held the attempt back.
        is_held: Whether they do so now.
        status: HTTP status of the attempt's answer, if there was one.
        told: What the answer said of the rate limit.
        wait: What it said of when the next call may be made, in seconds.
        token: What the attempt carries, if it is a token that is renewed.
        renewed: Whether it was refused and renewed.
        answer: What the call ended with, if that is a result.
    """

    request: Request[Any]
    started: float
    id: int = msgspec.field(default_factory=_ids.__next__)
    attempt: int = 0
    failures: tuple[VoucherifyError, ...] = ()
    excused: int = 0
    delivery: Delivery | None = None
    has_place: bool = False
    leave: RateLimiter | None = None
    waited: float = 0.0
    is_held: bool = False
    status: int | None = None
    told: RateLimit | None = None
    wait: float | None = None
    token: OAuthToken | None = None
    renewed: bool = False
    answer: RawResponse | None = None

    def __repr__(self) -> str:
        # Short, since error reporters show it in each frame of a traceback.
        return f"<Call {self.id} {self.name}, attempt {self.attempt}>"

    @property
    def name(self) -> str:
        """What errors and logs call it."""
        return self.request.operation.name

    @property
    def may_have_been_applied(self) -> bool:
        """Whether the service can have acted on it, the attempt under way included."""
        sent = self.delivery is not None and self.delivery.sent
        return (sent and not self.request.operation.reads) or any(
            failure.may_have_been_applied for failure in self.failures
        )


def is_success(call: Call, answer: RawResponse) -> bool:
    """Whether an answer is what the call was made for."""
    if 200 <= answer.status < 300:
        return True
    # What was to be removed is gone, and an attempt before this one may have done it.
    return answer.status == 404 and call.request.operation.removes and call.may_have_been_applied


def last_error(call: Call, *, deadline: float | None = None) -> VoucherifyError:
    """What a call ends with when its last failure is not followed by another attempt.

    A usable answer, whatever it says, goes before the deadline, and that before an unknown outcome.

    Args:
        call: The call.
        deadline: Its deadline in seconds, if that is what keeps it from another attempt.
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
    what = f"{request.operation.method} {request.operation.path}{size}"
    text = f"{what} was sent, and whether it was applied is unknown: {failure.args[0]}"
    return OutcomeUnknownError(text, operation=call.name)


def deadline_error(call: Call, deadline: float) -> DeadlineExceededError:
    """The error of a call that is past its deadline."""
    if call.is_held and not call.failures:
        text = f"the rate limit held the call for the whole deadline of {deadline} s; nothing was sent"
    else:
        text = f"no usable answer within the deadline of {deadline} s"
    return _deadline_error(call, text)


def held_beyond_deadline(call: Call, wait: float, deadline: float, left: float) -> VoucherifyError:
    """The error of a call that is not sent because a rate limit would hold it beyond its deadline.

    Args:
        call: The call.
        wait: Seconds until the rate limit would let it through.
        deadline: Its deadline in seconds.
        left: Seconds that are left of it.
    """
    if call.failures and not isinstance(call.failures[-1], TransportError):
        return last_error(call)  # an answer, whatever it says, goes first
    if wait <= left:  # it waited in line until now
        return deadline_error(call, deadline)
    rest = f", of which {left:.1f} s are left" if left < deadline - _INSTANT else ""
    sent = "it was not sent again" if call.failures else "nothing was sent"
    hold = f"the rate limit would hold the call for {wait:.1f} s"
    text = f"{hold}, longer than the deadline of {deadline} s{rest}; {sent}"
    error = _deadline_error(call, text)
    error.retry_after = wait
    error.__cause__ = _rate_limit_error(call, f"the rate limit lets no call through for {wait:.1f} s", wait)
    return error


def _deadline_error(call: Call, text: str) -> DeadlineExceededError:
    applied = call.may_have_been_applied
    return DeadlineExceededError(text, operation=call.name, may_have_been_applied=applied)


def refusal(call: Call, wait: float, accepted: float) -> RateLimitError:
    """The error of a call that is not sent, as it would have to wait longer than is accepted."""
    text = f"not sent: the rate limit lets no call through for {wait:.1f} s, and {accepted} s are accepted"
    return _rate_limit_error(call, text, wait)


def _rate_limit_error(call: Call, text: str, wait: float) -> RateLimitError:
    error = RateLimitError(text, status=429, operation=call.name)
    error.retry_after, error.kind = wait, call.request.operation.limit_kind
    return error


def conclude(call: Call, error: VoucherifyError) -> VoucherifyError:
    """Have the error of a call remember the attempts before, any of which may have been applied."""
    earlier = tuple(failure for failure in call.failures if failure is not error)
    error.attempts = earlier + error.attempts
    error.may_have_been_applied |= any(failure.may_have_been_applied for failure in earlier)
    call.failures = ()  # else the error would hold itself, by its traceback, and live until collected
    return error

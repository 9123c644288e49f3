"""What a call ends with, as a function of what is known of it."""

from __future__ import annotations

from typing import Any

import pytest

from voucherify_async import (
    ConnectionFailedError,
    ConnectTimeoutError,
    DeadlineExceededError,
    DecodeError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    ReadTimeoutError,
    ServerError,
    VoucherifyError,
)
from voucherify_async._transport.call import (
    Call,
    attach_failures,
    deadline_error,
    is_success,
    last_error,
    throttled_error,
    throttled_past_deadline_error,
)
from voucherify_async._transport.operation import Body, Delivery, Operation, RawResponse, Request

ANY: Any = Any
READ = Operation[Any]("customers.get", "GET", "/v1/customers/{customer_id}", ANY)
WRITE = Operation[Any]("customers.update", "PUT", "/v1/customers/{customer_id}", ANY)
ONCE = Operation[Any]("customers.create", "POST", "/v1/customers", ANY, repeatable=False)
DELETE = Operation[Any]("customers.delete", "DELETE", "/v1/customers/{customer_id}", ANY, removes=True)

LOST = ReadTimeoutError("no data received for 30 s", may_have_been_applied=True)
REFUSED = ConnectionFailedError("cannot connect")
BUSY = ServerError("busy", status=503, may_have_been_applied=True)


def call_of(operation: Operation[Any], *failures: VoucherifyError, sent: bool | None = None) -> Call:
    """A call after some failures; `sent` tells of an attempt under way."""
    request = Request(operation, "/v1/customers/ada", Body(b'{"name":"Ada"}', "application/json"))
    delivery = None if sent is None else Delivery(sent=sent)
    return Call(request, 0.0, failures=failures, delivery=delivery)


@pytest.mark.parametrize("deadline", [None, 5.0])
@pytest.mark.parametrize("operation", [READ, WRITE, ONCE])
@pytest.mark.parametrize("failure", [BUSY, NotFoundError("no", status=404), DecodeError("odd", status=200)])
def test_a_usable_answer_wins(
    failure: VoucherifyError, operation: Operation[Any], deadline: float | None
) -> None:
    assert last_error(call_of(operation, failure), deadline=deadline) is failure


@pytest.mark.parametrize("operation", [READ, WRITE, ONCE])
@pytest.mark.parametrize("failure", [LOST, REFUSED])
def test_then_the_deadline(failure: VoucherifyError, operation: Operation[Any]) -> None:
    error = last_error(call_of(operation, failure), deadline=5.0)
    assert isinstance(error, DeadlineExceededError)
    assert error.may_have_been_applied is failure.may_have_been_applied


def test_then_an_unknown_outcome() -> None:
    error = last_error(call_of(ONCE, LOST))
    assert isinstance(error, OutcomeUnknownError)
    assert str(error) == (
        "customers.create: POST /v1/customers with a body of 14 bytes was sent, but it is unknown whether "
        "it was applied: no data received for 30 s"
    )


@pytest.mark.parametrize(
    ("operation", "failure"),
    [(READ, LOST), (WRITE, LOST), (ONCE, REFUSED), (ONCE, ConnectTimeoutError("no"))],
)
def test_then_the_last_failure(operation: Operation[Any], failure: VoucherifyError) -> None:
    assert last_error(call_of(operation, failure)) is failure


@pytest.mark.parametrize(
    ("operation", "failures", "sent", "applied"),
    [
        (WRITE, (), None, False),
        (WRITE, (), False, False),
        (WRITE, (), True, True),
        (READ, (), True, False),
        (WRITE, (REFUSED,), None, False),
        (WRITE, (LOST,), None, True),
        (WRITE, (LOST, REFUSED), False, True),
    ],
)
def test_what_may_have_been_applied(
    operation: Operation[Any], failures: tuple[VoucherifyError, ...], sent: bool | None, applied: bool
) -> None:
    call = call_of(operation, *failures, sent=sent)
    assert call.may_have_been_applied is applied
    assert deadline_error(call, 5.0).may_have_been_applied is applied


@pytest.mark.parametrize("left", [1.0, 0.0, -0.01])
def test_waiting_behind_other_calls_until_the_deadline(left: float) -> None:
    """However late the event loop notices, the error names no delay, as none is known."""
    call = call_of(READ)
    call.is_throttled = True
    error = throttled_past_deadline_error(call, 0.0, 5.0, left)
    assert str(error) == (
        "customers.get: the rate limit delayed the call for the whole deadline of 5.0 s; nothing was sent"
    )


@pytest.mark.parametrize(
    ("operation", "failures", "status", "success"),
    [
        (READ, (), 200, True),
        (READ, (), 299, True),
        (READ, (), 304, False),
        (READ, (), 404, False),
        (DELETE, (), 204, True),
        (DELETE, (), 404, False),
        (DELETE, (REFUSED,), 404, False),
        (DELETE, (LOST,), 404, True),
        (DELETE, (BUSY,), 404, True),
        (DELETE, (LOST,), 403, False),
        (WRITE, (LOST,), 404, False),
    ],
)
def test_what_is_a_success(
    operation: Operation[Any], failures: tuple[VoucherifyError, ...], status: int, success: bool
) -> None:
    assert is_success(call_of(operation, *failures), RawResponse(status, {}, b"")) is success


def test_an_error_remembers_the_attempts_before() -> None:
    last = RateLimitError("slow down", status=429)
    attach_failures(call_of(WRITE, LOST, REFUSED, last), last)
    assert last.attempts == (LOST, REFUSED)
    assert last.may_have_been_applied


def test_a_refusal() -> None:
    error = throttled_error(call_of(READ), 120.0, 60.0)
    assert str(error) == (
        "customers.get: 429: not sent: the rate limit allows no call for 120.0 s, longer than "
        "retry.max_server_wait of 60.0 s"
    )
    assert (error.retry_after, error.kind, error.may_have_been_applied) == (120.0, "api_calls", False)

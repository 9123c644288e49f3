from __future__ import annotations

import json
import pickle
from http import HTTPStatus
from typing import Any

import pytest

from voucherify_async import errors
from voucherify_async.errors import (
    APIStatusError,
    BadRequestError,
    DeadlineExceededError,
    OutcomeUnknownError,
    RateLimitError,
    SyncStateError,
    VoucherifyError,
)
from voucherify_async.fastapi import error_response

EXPECTED: dict[type[VoucherifyError], tuple[int, str]] = {
    errors.VoucherifyError: (500, "internal_error"),
    errors.ConfigurationError: (500, "internal_error"),
    errors.TransportError: (502, "service_failed"),
    errors.ConnectionFailedError: (502, "service_failed"),
    errors.PoolTimeoutError: (503, "busy"),
    errors.ConnectTimeoutError: (504, "timeout"),
    errors.ReadTimeoutError: (504, "timeout"),
    errors.ProxyError: (502, "service_failed"),
    errors.OutcomeUnknownError: (504, "outcome_unknown"),
    errors.DeadlineExceededError: (504, "timeout"),
    errors.APIStatusError: (502, "service_failed"),
    errors.BadRequestError: (400, "rejected"),
    errors.AuthenticationError: (500, "internal_error"),
    errors.PaymentRequiredError: (500, "internal_error"),
    errors.PermissionDeniedError: (500, "internal_error"),
    errors.NotFoundError: (404, "not_found"),
    errors.MethodNotAllowedError: (500, "internal_error"),
    errors.NotAcceptableError: (500, "internal_error"),
    errors.ConflictError: (409, "conflict"),
    errors.PayloadTooLargeError: (413, "too_large"),
    errors.UnsupportedMediaTypeError: (500, "internal_error"),
    errors.LockedError: (409, "locked"),
    errors.RateLimitError: (429, "rate_limited"),
    errors.ServerError: (502, "service_failed"),
    errors.DecodeError: (502, "service_failed"),
    errors.PaginationError: (500, "internal_error"),
    errors.PageLimitError: (500, "internal_error"),
    errors.PaginationStalledError: (500, "internal_error"),
    errors.InvalidCursorError: (400, "invalid_cursor"),
    errors.AsyncActionError: (502, "job_failed"),
    errors.AsyncActionFailedError: (502, "job_failed"),
    errors.AsyncActionTimeoutError: (504, "job_timeout"),
    errors.SyncStateError: (500, "internal_error"),
    errors.SyncTimeoutError: (504, "job_timeout"),
    errors.WebhookSignatureError: (401, "invalid_signature"),
}


def tree(base: type[VoucherifyError]) -> set[type[VoucherifyError]]:
    """The class and all its subclasses in the package."""
    found = {base} if base.__module__ == "voucherify_async.errors" else set[type[VoucherifyError]]()
    return found.union(*map(tree, base.__subclasses__()))


def body_of(error: VoucherifyError) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(error_response(error).body))
    return body


def test_every_error_has_a_response() -> None:
    public = {value for name in errors.__all__ if isinstance(value := getattr(errors, name), type)}
    assert tree(VoucherifyError) == public == set(EXPECTED)


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_status_and_body(kind: type[VoucherifyError]) -> None:
    status, code = EXPECTED[kind]
    error = kind("cust_secret of customer ada@example.com", operation="customers.get", request_id="v-1")
    error.may_have_been_applied = False
    response = error_response(error)
    body = body_of(error)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert len(body.pop("detail")) > 10
    assert body == {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "request_id": "v-1",
    }
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert "Retry-After" not in response.headers
    assert bytes(error_response(pickle.loads(pickle.dumps(error))).body) == bytes(response.body)


def test_subclasses_of_an_application() -> None:
    class OutOfStockError(errors.ConflictError):
        pass

    assert error_response(OutOfStockError()).status_code == 409


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_nothing_of_the_service_is_shown(kind: type[VoucherifyError]) -> None:
    error = kind("ada@example.com")
    for name in ("message", "details", "body", "key", "resource_id", "resource_type", "operation", "path"):
        setattr(error, name, "ada@example.com")
    error.attempts = (VoucherifyError("ada@example.com"),)
    response = error_response(error)
    assert b"ada" not in bytes(response.body)
    assert "ada" not in repr(response.headers)


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [(422, 400, "rejected"), (410, 502, "service_failed"), (302, 502, "service_failed")],
)
def test_statuses_without_a_class(status: int, expected: int, code: str) -> None:
    error = APIStatusError(status=status)
    assert (error_response(error).status_code, body_of(error)["code"]) == (expected, code)


@pytest.mark.parametrize(
    ("retry_after", "header"),
    [(0.0, "1"), (0.2, "1"), (1, "1"), (1.001, "2"), (59.5, "60"), (None, None), (float("inf"), None)],
)
def test_retry_after(retry_after: float | None, header: str | None) -> None:
    limited = RateLimitError(status=429)
    limited.retry_after = retry_after
    late = DeadlineExceededError()
    late.retry_after = retry_after
    for error in (limited, late):
        assert error_response(error).headers.get("Retry-After") == header
    assert error_response(limited).status_code == 429
    assert error_response(late).status_code == (504 if retry_after is None else 503)
    assert body_of(late)["code"] == ("timeout" if retry_after is None else "busy")


def test_only_a_state_file_in_use_becomes_free() -> None:
    assert error_response(SyncStateError(reason="in_use")).status_code == 503
    assert error_response(SyncStateError(reason="damaged")).status_code == 500


def test_what_may_have_been_applied() -> None:
    unknown = body_of(OutcomeUnknownError(may_have_been_applied=True))
    assert unknown["may_have_been_applied"] is True
    assert "may have been applied" in unknown["detail"]
    assert "may_have_been_applied" not in body_of(BadRequestError())
    assert body_of(errors.AsyncActionFailedError())["may_have_been_applied"] is True


def test_request_ids() -> None:
    assert "request_id" not in body_of(VoucherifyError())
    assert body_of(VoucherifyError(request_id="v-\udcff"))["request_id"] == "v-?"

"""Lines of the access log."""

from __future__ import annotations

from typing import Any

import pytest

from voucherify_async.sandbox import Exchange
from voucherify_async.sandbox._http.access_log import access_log_line

SECRETS: Any = {"X-App-Token": "secret", "Authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("details", "line"),
    [
        ({}, "GET /v1/customers 200 0.0 ms"),
        ({"target": "/v1/customers?email=a%20b&a=?"}, "GET /v1/customers?email=a%20b&a=? 200 0.0 ms"),
        ({"target": "/v1/customers?"}, "GET /v1/customers? 200 0.0 ms"),
        (
            {"target": "/v1/customers?app_token=secret&limit=5&Secret=a=b&token&x-key=c"},
            "GET /v1/customers?app_token=***&limit=5&Secret=***&token&x-key=*** 200 0.0 ms",
        ),
        ({"target": "/v1/customers?%61pp%5Ftoken=secret"}, "GET /v1/customers?%61pp%5Ftoken=*** 200 0.0 ms"),
        ({"target": "/v1/customers/a%20b"}, "GET /v1/customers/a%20b 200 0.0 ms"),
        ({"target": "/v1/\udcffé\n \x7f"}, "GET /v1/\\udcff\\xe9\\x0a\\x20\\x7f 200 0.0 ms"),
        ({"target": "/" + 199 * "a"}, "GET /" + 199 * "a" + " 200 0.0 ms"),
        ({"target": "/" + 200 * "a"}, "GET /" + 196 * "a" + "... 200 0.0 ms"),
        (
            {"elapsed": 1.23456, "status": 409, "fault": "status"},
            "GET /v1/customers 409 1234.6 ms fault=status",
        ),
        ({"status": 0, "fault": "stall"}, "GET /v1/customers - 0.0 ms fault=stall"),
    ],
)
def test_a_line(details: Any, line: str) -> None:
    given: Any = {"target": "/v1/customers", "status": 200, "at": 1_767_225_600.0, **details}
    exchange = Exchange(
        method="GET",
        request_headers=SECRETS,
        request_body=b"secret",
        response_headers=SECRETS,
        response_body=b"secret",
        **given,
    )
    assert access_log_line(exchange) == f"2026-01-01T00:00:00.000Z {line}"

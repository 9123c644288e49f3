from __future__ import annotations

import datetime as dt

import pytest

from voucherify_async import RateLimit
from voucherify_async._transport.rate_limit import read_rate_limit, server_wait

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 2.5 "}, 2.5),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:09 GMT"}, 9.0),
        ({"X-Rate-Limit-Retry": str(int(NOW) + 30)}, 30.0),
        ({"Retry-After": "5", "X-Rate-Limit-Retry": str(int(NOW) + 30)}, 5.0),
        # The service's clock is an hour ahead, and says so.
        ({"Date": "Thu, 01 Jan 2026 01:00:00 GMT", "X-Rate-Limit-Retry": str(int(NOW) + 3605)}, 5.0),
        ({"Date": "Thu, 01 Jan 2026 01:00:00 GMT", "Retry-After": "Thu, 01 Jan 2026 01:00:05 GMT"}, 5.0),
        # Nonsense.
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "99999999999"}, None),
        ({"Retry-After": "Thu, 01 Jan 2025 00:00:00 GMT"}, None),
        ({"X-Rate-Limit-Retry": "0"}, None),
        ({"X-Rate-Limit-Retry": str(int(NOW) - 1)}, None),
        ({"X-Rate-Limit-Retry": "9" * 30}, None),
        ({"Retry-After": "soon", "X-Rate-Limit-Retry": str(int(NOW) + 3)}, 3.0),
        ({"Date": "yesterday", "X-Rate-Limit-Retry": str(int(NOW) + 3)}, 3.0),
    ],
)
def test_server_wait(headers: dict[str, str], wait: float | None) -> None:
    assert server_wait(headers, NOW) == wait


def test_where_calls_remain_the_limit_is_not_what_is_waited_for() -> None:
    headers = {"X-Rate-Limit-Retry": str(int(NOW) + 1)}
    assert server_wait(headers, NOW, calls_remain=True) is None
    assert server_wait({**headers, "Retry-After": "5"}, NOW, calls_remain=True) == 5.0


@pytest.mark.parametrize(
    ("headers", "limit"),
    [
        ({}, None),
        ({"Date": DATE}, None),
        (
            {"X-Rate-Limit-Limit": "100", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Retry": str(int(NOW))},
            RateLimit(limit=100, remaining=0, retry_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ),
        ({"X-Rate-Limit-Remaining": "3"}, RateLimit(remaining=3)),
        ({"X-Rate-Limit-Type": "api_calls_cycle"}, RateLimit(kind="api_calls_cycle")),
        ({"X-Rate-Limit-Limit": "9" * 400}, None),
        ({"X-Rate-Limit-Limit": "many", "X-Rate-Limit-Retry": "9" * 30}, None),
    ],
)
def test_read_rate_limit(headers: dict[str, str], limit: RateLimit | None) -> None:
    assert read_rate_limit(headers) == limit

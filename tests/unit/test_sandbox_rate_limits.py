from __future__ import annotations

import copy
import math
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voucherify_async.sandbox import Quota, Sandbox
from voucherify_async.sandbox._http.rate_limits import RateCounter, RateCounters, RateStatus
from voucherify_async.sandbox._store.errors import ApiError

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z

SLIDING = Quota(2, period=10.0)
FIXED = Quota(2, period=10.0, fixed=True)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 1.0}, "limit"),
        ({"limit": "600"}, "limit"),
        ({"limit": None}, "limit"),
        ({"limit": 1, "period": 0}, "period"),
        ({"limit": 1, "period": -60.0}, "period"),
        ({"limit": 1, "period": math.nan}, "period"),
        ({"limit": 1, "period": math.inf}, "period"),
        ({"limit": 1, "period": 10**400}, "period"),
        ({"limit": 1, "period": True}, "period"),
        ({"limit": 1, "period": "60"}, "period"),
    ],
)
def test_quotas_that_are_none(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Quota(**settings)


def test_a_quota_of_a_sandbox() -> None:
    assert Sandbox().rate_limit is None
    assert Sandbox(rate_limit=600).rate_limit == Quota(600) == Quota(600, period=60.0, fixed=False)
    assert Sandbox(rate_limit=FIXED).rate_limit is FIXED


@pytest.mark.parametrize("rate_limit", [0, True, "600"])
def test_what_is_no_quota_of_a_sandbox(rate_limit: Any) -> None:
    with pytest.raises(ValueError, match="limit must be a whole number of calls"):
        Sandbox(rate_limit=rate_limit)


# Each call: its time, whether it is admitted, how many remain, when the next may be made.
CALLS: list[Any] = [
    (SLIDING, [(0, True, 1, 0), (4, True, 0, 10), (5, False, 0, 10), (10, True, 0, 14), (14, True, 0, 20)]),
    (FIXED, [(0, True, 1, 0), (4, True, 0, 10), (5, False, 0, 10), (10, True, 1, 10), (14, True, 0, 20)]),
    # All places are free after a pause; the window begins with a call, not with the end of the last.
    (SLIDING, [(0, True, 1, 0), (9, True, 0, 10), (19, True, 1, 19), (19, True, 0, 29)]),
    (FIXED, [(0, True, 1, 0), (9, True, 0, 10), (19, True, 1, 19), (28, True, 0, 29), (29, True, 1, 29)]),
    # What is refused does not count.
    (SLIDING, [(0, True, 1, 0), (0, True, 0, 10), *[(9, False, 0, 10)] * 5, (10, True, 1, 10)]),
    (FIXED, [(0, True, 1, 0), (0, True, 0, 10), *[(9, False, 0, 10)] * 5, (10, True, 1, 10)]),
    (Quota(1, period=0.5), [(0, True, 0, 0.5), (0.25, False, 0, 0.5), (0.5, True, 0, 1)]),
]


@pytest.mark.parametrize(("quota", "calls"), CALLS)
def test_calls(quota: Quota, calls: list[tuple[float, bool, int, float]]) -> None:
    meter = RateCounter("api_calls", quota)
    for at, admitted, remaining, retry_at in calls:
        reading = meter.count(NOW + at)
        assert reading == RateStatus("api_calls", admitted, quota.limit, remaining, NOW + retry_at), at


QUOTAS = st.builds(
    Quota, limit=st.integers(1, 5), period=st.sampled_from([0.1, 1.0, 7.3, 60.0]), fixed=st.booleans()
)
GAPS = st.lists(st.one_of(st.just(0.0), st.floats(0.0, 3.0), st.floats(0.0, 90.0)), min_size=1, max_size=60)


@given(QUOTAS, GAPS)
def test_no_window_holds_more_than_the_limit(quota: Quota, gaps: list[float]) -> None:
    meter = RateCounter("api_calls", quota)
    admitted: list[float] = []
    starts: list[float] = []
    for now in accumulate(gaps, initial=NOW):
        if not starts or now >= starts[-1] + quota.period:
            starts.append(now)
        begin = starts[-1] if quota.fixed else None
        within = [at for at in admitted if (at + quota.period > now if begin is None else at >= begin)]
        reading = meter.count(now)
        assert reading.admitted == (len(within) < quota.limit)
        assert reading.remaining == quota.limit - len(within) - reading.admitted
        if reading.admitted:
            admitted.append(now)
    if not quota.fixed:
        later = admitted[quota.limit :]
        assert all(end >= start + quota.period for start, end in zip(admitted, later, strict=False))


@given(QUOTAS, GAPS)
def test_whoever_comes_when_told_to_is_admitted(quota: Quota, gaps: list[float]) -> None:
    meter = RateCounter("api_calls", quota)
    for now in accumulate(gaps, initial=NOW):
        reading = meter.count(now)
        assert now <= reading.retry_at <= now + quota.period
        assert copy.deepcopy(meter).count(reading.retry_at).admitted
        if reading.remaining:
            assert reading.retry_at == now
        else:
            early = math.nextafter(reading.retry_at, -math.inf)
            assert not copy.deepcopy(meter).count(early).admitted


BULK: list[Any] = [
    ("POST", ("v1", "customers", "bulk", "async"), "bulk_api_calls"),
    ("POST", ("v1", "customers", "metadata", "async"), "bulk_api_calls"),
    ("POST", ("v1", "customers", "importCSV"), "bulk_api_calls"),
    ("PUT", ("v1", "customers", "importCSV"), "api_calls"),
    ("GET", ("v1", "customers", "bulk", "async"), "api_calls"),
    ("POST", ("v1", "customers", "bulk/async"), "api_calls"),
    ("POST", ("v1", "customers"), "api_calls"),
    ("GET", ("",), "api_calls"),
]


@pytest.mark.parametrize(("method", "segments", "kind"), BULK)
def test_kinds(method: str, segments: tuple[str, ...], kind: str) -> None:
    assert RateCounters(SLIDING).count(method, segments, NOW).kind == kind


def test_kinds_are_counted_apart() -> None:
    meters = RateCounters(Quota(1))
    for method in ("POST", "GET"):
        assert meters.count(method, ("v1", "customers", "importCSV"), NOW).admitted
    for method in ("POST", "GET"):
        assert not meters.count(method, ("v1", "customers", "importCSV"), NOW).admitted


@pytest.mark.parametrize(
    ("reading", "headers"),
    [
        (RateStatus("api_calls", True, 5, 4, NOW), ("5", "4", "1767225600", None, None)),
        (RateStatus("api_calls", True, 5, 4, NOW + 0.25), ("5", "4", "1767225601", None, None)),
        (RateStatus("api_calls", True, 5, 0, NOW + 7), ("5", "0", "1767225607", None, None)),
        (RateStatus("api_calls", False, 5, 0, NOW + 7), ("5", "0", "1767225607", "7", "api_calls")),
        (
            RateStatus("bulk_api_calls", False, 5, 0, NOW + 6.5),
            ("5", "0", "1767225607", "7", "bulk_api_calls"),
        ),
        (RateStatus("api_calls", False, 5, 0, NOW + 0.001), ("5", "0", "1767225601", "1", "api_calls")),
        # The answer took longer than the wait.
        (RateStatus("api_calls", False, 5, 0, NOW - 3), ("5", "0", "1767225597", "1", "api_calls")),
    ],
)
def test_headers(reading: RateStatus, headers: tuple[str | None, ...]) -> None:
    names = (
        "X-Rate-Limit-Limit",
        "X-Rate-Limit-Remaining",
        "X-Rate-Limit-Retry",
        "Retry-After",
        "X-Rate-Limit-Type",
    )
    expected = {name: value for name, value in zip(names, headers, strict=True) if value is not None}
    assert reading.headers(NOW) == expected


def test_check() -> None:
    RateStatus("api_calls", True, 1, 0, NOW).check()
    with pytest.raises(ApiError, match="^429 too_many_requests: Too many requests hit the API too quickly.$"):
        RateStatus("api_calls", False, 1, 0, NOW).check()

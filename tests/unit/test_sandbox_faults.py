from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voucherify_async._transport.settings import is_loopback
from voucherify_async.sandbox import Quota, Sandbox
from voucherify_async.sandbox._http.faults import Draw, DrawGenerator, FaultDecision, Faults, to_range
from voucherify_async.sandbox._http.rate_limits import RateCounters, RateStatus
from voucherify_async.sandbox._store.errors import ApiError

NOT_AT_ALL = Draw(*[1 - 2**-53] * len(Draw._fields))
"""The least unlucky of all rolls."""

NO_PROBABILITY: list[Any] = [-0.01, 1.01, math.nan, math.inf, True, "0.1", None]


@pytest.mark.parametrize("value", NO_PROBABILITY, ids=repr)
@pytest.mark.parametrize("name", ["reset", "truncate", "stall", "stale_keepalive"])
def test_what_is_no_probability(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a probability from 0 to 1, not "):
        Faults(**{name: value})


@pytest.mark.parametrize("value", NO_PROBABILITY, ids=repr)
def test_what_is_no_probability_of_a_status(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^status\[503\] must be a probability from 0 to 1, not "):
        Faults(status={503: value})


@pytest.mark.parametrize("status", [200, 399, 600, -1, 500.0, "503", True, None], ids=repr)
def test_what_is_no_status(status: Any) -> None:
    with pytest.raises(ValueError, match="^status must map HTTP statuses from 400 to 599, not "):
        Faults(status={status: 0.1})


def test_what_is_no_mapping() -> None:
    statuses: Any = 503
    with pytest.raises(ValueError, match="^status must map HTTP statuses to probabilities, not be 503$"):
        Faults(status=statuses)


@pytest.mark.parametrize(
    "settings",
    [{"reset": 0.5, "stall": 0.51}, {"status": {500: 0.5, 503: 0.5}, "truncate": 0.001}],
    ids=repr,
)
def test_more_than_everything(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="^reset, truncate, status, .* must add up to at most 1, not 1.0"):
        Faults(**settings)


def test_everything() -> None:
    shares = Faults(reset=0.1, truncate=0.2, stall=0.3, stale_keepalive=0.1, status={500: 0.2, 503: 0.1})
    draws = DrawGenerator(0)
    assert all(shares.fate(draws.draw()) for _ in range(2_000))
    assert shares.fate(NOT_AT_ALL) is not None


def test_a_value() -> None:
    given_statuses = {503: 0.2, 429: 0.1}
    faults = Faults(status=given_statuses)
    given_statuses[500] = 0.3
    assert faults == Faults(status={429: 0.1, 503: 0.2})
    assert hash(faults) == hash(Faults(status={429: 0.1, 503: 0.2}))
    assert replace(faults, reset=0.5).status == {429: 0.1, 503: 0.2}
    statuses: Any = faults.status
    with pytest.raises(TypeError):
        statuses[503] = 1.0
    assert Faults() != faults
    assert Faults().status == {}


def fates(faults: Faults, seed: int = 0, number: int = 5_000) -> list[FaultDecision | None]:
    draws = DrawGenerator(seed)
    return [faults.fate(draws.draw()) for _ in range(number)]


def hit_by(what: str | int, found: list[FaultDecision | None]) -> set[int]:
    return {
        number
        for number, fate in enumerate(found)
        if fate is not None and what in {fate.fault, fate.status if fate.fault == "status" else None}
    }


ALL = Faults(reset=0.05, truncate=0.1, stall=0.15, stale_keepalive=0.2, status={429: 0.02, 503: 0.18})


class TestHowOften:
    def test_each(self) -> None:
        found = fates(ALL, number=20_000)
        shares: dict[str | int, float] = {
            "reset": 0.05,
            "truncate": 0.1,
            "stall": 0.15,
            "stale_keepalive": 0.2,
            429: 0.02,
            503: 0.18,
        }
        for what, share in shares.items():
            deviation = math.sqrt(share * (1 - share) / len(found))
            assert len(hit_by(what, found)) / len(found) == pytest.approx(share, abs=4 * deviation), what

    def test_whether_it_took_effect(self) -> None:
        applied = Counter((fate.fault, fate.applied) for fate in fates(ALL, number=20_000) if fate)
        for fault in ("reset", "stall"):
            assert applied[fault, True] == pytest.approx(applied[fault, False], rel=0.2), fault
        assert not applied["truncate", False] + applied["stale_keepalive", False] + applied["status", True]

    def test_none(self) -> None:
        assert set(fates(Faults(), number=100)) == {None}
        assert Faults().fate(Draw(*[0.0] * len(Draw._fields))) is None

    @pytest.mark.parametrize("fault", ["reset", "truncate", "stall", "stale_keepalive"])
    def test_always(self, fault: str) -> None:
        settings: dict[str, Any] = {fault: 1.0}
        found = fates(Faults(**settings), number=200)
        assert {fate and fate.fault for fate in found} == {fault}

    @given(st.lists(st.integers(1, 1_000), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True))
    def test_a_status_is_always_one_of_those_given(self, weights: list[int], drawn: float) -> None:
        statuses = {500 + place: weight / sum(weights) for place, weight in enumerate(weights)}
        fate = Faults(status={400: 0.0, **statuses}).fate(NOT_AT_ALL._replace(status=0.0, which_status=drawn))
        assert fate is not None
        assert fate.status in statuses


class TestWhich:
    def test_the_same_for_the_same_seed(self) -> None:
        assert fates(ALL, seed=7) == fates(ALL, seed=7)
        assert fates(ALL, seed=7) != fates(ALL, seed=8)

    def test_a_roll_depends_on_the_seed_and_its_number_alone(self) -> None:
        first, second = DrawGenerator(3), DrawGenerator(3)
        random.seed(1)
        rolls = [first.draw() for _ in range(50)]
        random.seed(2)
        assert [second.draw() for _ in range(50)] == rolls
        assert len(set(rolls)) == 50

    @pytest.mark.parametrize(
        ("change", "what", "others"),
        [
            ({"reset": 0.0}, "reset", ("truncate", "stall", "stale_keepalive", 429, 503)),
            ({"truncate": 0.0}, "truncate", ("reset", "stall", "stale_keepalive", 429, 503)),
            ({"stall": 0.2}, "stall", ("reset", "truncate", "stale_keepalive", 503)),
            ({"stale_keepalive": 0.25}, "stale_keepalive", ("reset", "truncate", "stall", 503)),
            ({"status": {}}, 503, ("reset", "truncate", "stall", "stale_keepalive")),
        ],
        ids=str,
    )
    def test_one_that_is_changed_leaves_the_others(
        self, change: dict[str, Any], what: str | int, others: tuple[str | int, ...]
    ) -> None:
        before, after = fates(ALL), fates(replace(ALL, **change))
        assert hit_by(what, before) != hit_by(what, after)
        for other in others:
            was, remains = hit_by(other, before), hit_by(other, after)
            # But for the few that the changed one takes or leaves, and the odd one at an edge.
            assert len(was & remains) > 0.7 * min(len(was), len(remains)), other

    @pytest.mark.parametrize("name", ["stall", "stale_keepalive", "status"])
    def test_what_comes_first_is_not_moved_at_all(self, name: str) -> None:
        change: dict[str, Any] = {name: {} if name == "status" else 0.0}
        other = replace(ALL, **change)
        for what in ("reset", "truncate"):
            assert hit_by(what, fates(ALL)) == hit_by(what, fates(other))


REFUSED: list[tuple[int, dict[str, Any]]] = [
    (503, {"code": 503, "key": "service_unavailable", "message": "Service Unavailable"}),
    (500, {"code": 500, "key": "internal_error", "message": "Internal Server Error"}),
    (502, {"code": 502, "key": "bad_gateway", "message": "Bad Gateway"}),
    (418, {"code": 418, "key": "im_a_teapot", "message": "I'm a Teapot"}),
    (599, {"code": 599, "key": "unknown_error", "message": "Unknown Error"}),
]


@pytest.mark.parametrize(("status", "body"), REFUSED)
def test_refusals(status: int, body: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        FaultDecision("status", applied=False, status=status).check()
    told = {"details": "The sandbox injected this error", "request_id": "v-1"}
    assert caught.value.to_json("v-1") == body | told


def test_refusals_of_another_shape() -> None:
    with pytest.raises(ApiError) as caught:
        FaultDecision("status", applied=False, status=413).check()
    assert caught.value.to_json("v-1")["statusCode"] == 413
    with pytest.raises(ApiError, match="^429 too_many_requests: Too many requests hit the API too quickly.$"):
        FaultDecision("status", applied=False, status=429).check()


def test_what_takes_effect() -> None:
    FaultDecision("truncate", applied=True).check()


@pytest.mark.parametrize(
    ("fate", "headers"),
    [
        (FaultDecision("status", applied=False, status=429), {"Retry-After": "1"}),
        (FaultDecision("status", applied=False, status=503), {}),
        (FaultDecision("truncate", applied=True), {}),
    ],
)
def test_headers(fate: FaultDecision, headers: dict[str, str]) -> None:
    assert fate.headers() == headers


@pytest.mark.parametrize(
    ("latency", "bounds"),
    [(0, (0, 0)), (0.05, (0.05, 0.05)), ((0.05, 0.2), (0.05, 0.2)), ((1, 1), (1, 1))],
    ids=repr,
)
def test_latencies(latency: Any, bounds: tuple[float, float]) -> None:
    assert to_range(latency) == bounds


NO_LATENCIES: list[Any] = [
    (-1, "must not be negative, not -1"),
    ((-0.1, 0.1), "must not be negative"),
    (math.nan, "must be seconds or a range"),
    (math.inf, "must be seconds or a range"),
    ((0, math.inf), "must be seconds or a range"),
    ((math.nan, 1), "must be seconds or a range"),
    ((), "must be seconds or a range"),
    ((1,), "must be seconds or a range"),
    ((1, 2, 3), "must be seconds or a range"),
    ("0.05", "must be seconds or a range"),
    (None, "must be seconds or a range"),
    (True, "must be seconds or a range"),
    ((0.2, 0.1), "must be a range (low, high) with low <= high, not (0.2, 0.1)"),
]


@pytest.mark.parametrize(("latency", "message"), NO_LATENCIES, ids=repr)
def test_what_is_no_latency(latency: Any, message: str) -> None:
    sandbox = Sandbox(latency=0.5)

    def change() -> None:
        sandbox.latency = latency

    for attempt in (lambda: Sandbox(latency=latency), change):
        with pytest.raises(ValueError, match="^latency ") as caught:
            attempt()
        assert message in str(caught.value)
    assert sandbox.latency == 0.5


@pytest.mark.parametrize("name", ["customers", "job_seconds", "job_seconds_per_item"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_setting(name: str, value: float) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"^{name} must be finite, not {value}$"):
        Sandbox(**settings)


def test_what_is_no_host() -> None:
    with pytest.raises(ValueError, match="^host must not be empty; use 0.0.0.0 to listen on every address$"):
        Sandbox(host="")


@pytest.mark.parametrize("port", [-1, 65_536, 99_999])
def test_what_is_no_port(port: int) -> None:
    with pytest.raises(ValueError, match=f"^port must be from 0 to 65535, not {port}$"):
        Sandbox(port=port)


def test_what_may_be_set_at_any_time() -> None:
    sandbox = Sandbox(latency=(0.0, 0.5), faults=Faults(reset=0.1), rate_limit=5)
    assert (sandbox.latency, sandbox.faults, sandbox.rate_limit) == ((0, 0.5), Faults(reset=0.1), Quota(5))
    sandbox.latency, sandbox.faults, sandbox.rate_limit = 0.25, Faults(), Quota(7, period=1)
    assert (sandbox.latency, sandbox.faults, sandbox.rate_limit) == (0.25, Faults(), Quota(7, period=1))
    sandbox.rate_limit = None
    assert sandbox.rate_limit is None


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("", False),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.7", False),
        ("localhost.example.com", False),
        ("my-machine", False),
    ],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) == local


def test_a_look_at_the_meters_counts_nothing() -> None:
    meters = RateCounters(Quota(1))
    assert [meters.read(0.0), meters.read(0.0)] == [
        (RateStatus("api_calls", True, 1, 1, 0.0), RateStatus("bulk_api_calls", True, 1, 1, 0.0))
    ] * 2
    meters.count("GET", ("v1", "customers"), 1.0)
    full, empty = meters.read(2.0)
    assert full == RateStatus("api_calls", False, 1, 0, 61.0)
    assert empty.admitted
    assert meters.read(61.0)[0].admitted


def test_everything_by_shares_that_were_computed() -> None:
    shares = [0.1 * 3, 0.1 * 6, 0.1 * 1]
    assert math.fsum(shares) > 1
    assert Faults(reset=shares[0], stall=shares[1], truncate=shares[2]).fate(NOT_AT_ALL) is not None


def hit(statuses: dict[int, float], which_status: float) -> int:
    fate = Faults(status=statuses).fate(NOT_AT_ALL._replace(status=0.0, which_status=which_status))
    assert fate is not None
    return fate.status


def test_each_status_has_its_share() -> None:
    statuses = {400: 0.125, 429: 0.125, 500: 0.125, 503: 0.125}
    assert [hit(statuses, drawn) for drawn in (0, 0.2, 0.25, 0.5, 0.7, 0.75, 0.99)] == [
        *(400, 400),
        429,
        *(500, 500),
        *(503, 503),
    ]


def test_a_status_without_a_share_is_not_hit_by_rounding() -> None:
    least = math.ulp(0.0)
    assert 0.9 * least == least
    assert hit({500: least, 599: 0.0}, 0.9) == 500


def test_the_order_of_statuses_matters_to_nobody() -> None:
    shares = {503: 0.25, 429: 0.25, 500: 0.125}
    assert fates(Faults(status=shares)) == fates(Faults(status=dict(sorted(shares.items()))))


@pytest.mark.parametrize(("now", "wait"), [(0.0, "60"), (0.5, "60"), (59.5, "1"), (60.0, "1"), (75.0, "1")])
def test_how_long_to_wait(now: float, wait: str) -> None:
    assert RateStatus("api_calls", False, 1, 0, 60.0).headers(now)["Retry-After"] == wait

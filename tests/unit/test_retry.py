from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from voucherify_async import ConfigurationError, RetryPolicy
from voucherify_async._transport.retry import Outcome

REPEATABLE = Outcome(repeatable=True)
ONCE = Outcome(repeatable=False)


@pytest.mark.parametrize(
    ("attempt", "jitter", "delay"),
    [
        (1, 0.0, 0.0),
        (1, 1.0, 0.5),
        (2, 1.0, 1.0),
        (3, 1.0, 2.0),
        (3, 0.25, 0.5),
        (6, 1.0, 8.0),
        (5_000, 1.0, 8.0),
    ],
)
def test_the_delay_is_as_documented(attempt: int, jitter: float, delay: float) -> None:
    policy = RetryPolicy(attempts=10_000)
    assert policy.decide(attempt, REPEATABLE, jitter=jitter) == delay


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        pytest.param(REPEATABLE, True, id="no answer, repeatable"),
        pytest.param(ONCE, False, id="no answer, not repeatable"),
        pytest.param(dataclasses.replace(ONCE, may_have_been_applied=False), True, id="did not arrive"),
        pytest.param(dataclasses.replace(REPEATABLE, status=503), True, id="503, repeatable"),
        pytest.param(dataclasses.replace(ONCE, status=503), False, id="503, not repeatable"),
        pytest.param(
            dataclasses.replace(ONCE, status=429, may_have_been_applied=False), True, id="429, not repeatable"
        ),
        pytest.param(
            dataclasses.replace(REPEATABLE, status=400, may_have_been_applied=False), False, id="400"
        ),
        pytest.param(
            dataclasses.replace(REPEATABLE, status=404, may_have_been_applied=False), False, id="404"
        ),
        pytest.param(
            dataclasses.replace(REPEATABLE, status=200), False, id="an answer that cannot be decoded"
        ),
        pytest.param(dataclasses.replace(REPEATABLE, server_wait=60.0), True, id="the longest accepted wait"),
        pytest.param(dataclasses.replace(REPEATABLE, server_wait=60.9), True, id="the same, rounded up"),
        pytest.param(dataclasses.replace(REPEATABLE, server_wait=61.0), False, id="a longer wait"),
        pytest.param(dataclasses.replace(REPEATABLE, limit_kind="api_calls"), True, id="a rate limit"),
        pytest.param(
            dataclasses.replace(REPEATABLE, limit_kind="api_calls_cycle"), False, id="the plan is used up"
        ),
    ],
)
def test_what_is_made_again(outcome: Outcome, again: bool) -> None:
    assert (RetryPolicy().decide(1, outcome, jitter=0.5) is not None) == again


def test_attempts_end() -> None:
    assert RetryPolicy().decide(3, REPEATABLE, jitter=0.0) == 0.0
    assert RetryPolicy().decide(4, REPEATABLE, jitter=0.0) is None
    assert RetryPolicy(attempts=1).decide(1, REPEATABLE, jitter=0.0) is None


def test_jitter_only_adds_to_what_the_service_asked_for() -> None:
    outcome = dataclasses.replace(REPEATABLE, status=429, server_wait=7.0)
    assert RetryPolicy().decide(1, outcome, jitter=0.0) == 7.0
    assert RetryPolicy().decide(1, outcome, jitter=1.0) == 7.5


def test_statuses_can_be_chosen() -> None:
    outcome = dataclasses.replace(REPEATABLE, status=423)
    assert RetryPolicy(statuses=frozenset({423})).decide(1, outcome, jitter=0.0) == 0.0


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"attempts": 0}, "retry.attempts"),
        ({"base": -1.0}, "retry.base"),
        ({"cap": float("nan")}, "retry.cap"),
        ({"max_server_wait": float("inf")}, "retry.max_server_wait"),
    ],
)
def test_bad_values(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        RetryPolicy(**settings)


def test_it_is_a_value() -> None:
    assert RetryPolicy() == RetryPolicy()
    with pytest.raises(dataclasses.FrozenInstanceError):
        RetryPolicy().attempts = 5  # type: ignore[misc]

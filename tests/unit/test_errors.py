from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from voucherify_async import errors
from voucherify_async.models import AsyncAction

TREE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.VoucherifyError)
]


@pytest.mark.parametrize("kind", TREE)
@pytest.mark.parametrize("duplicate", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_every_error_survives_pickling(
    kind: type[errors.VoucherifyError], duplicate: Callable[[Any], Any]
) -> None:
    error = kind("it went wrong", operation="customers.get", request_id="v-1", may_have_been_applied=True)
    error.attempts = (errors.ReadTimeoutError("too late"),)
    again = duplicate(error)
    assert type(again) is kind
    assert str(again) == str(error)
    for name in ("operation", "request_id", "may_have_been_applied"):
        assert getattr(again, name) == getattr(error, name)
    assert [str(attempt) for attempt in again.attempts] == ["too late"]


@pytest.mark.parametrize("kind", TREE)
def test_every_error_says_the_operation_and_the_request(kind: type[errors.VoucherifyError]) -> None:
    text = str(kind("it went wrong", operation="customers.get", request_id="v-1"))
    assert text.startswith("customers.get: ")
    assert "it went wrong" in text
    assert text.endswith("[request v-1]")
    assert str(kind("it went wrong")).endswith("it went wrong")


def test_every_error_is_in_the_drawing() -> None:
    assert errors.__doc__
    for kind in TREE:
        assert kind.__name__ in errors.__doc__


def test_every_error_is_public() -> None:
    import voucherify_async

    for kind in TREE:
        assert kind.__name__ in errors.__all__
        assert getattr(voucherify_async, kind.__name__) is kind


def test_a_whole_status_error() -> None:
    error = errors.RateLimitError(
        "slow", status=429, code=1, key="k", details="d", resource_id="r", resource_type="t"
    )
    error.retry_after = 3.0
    again = pickle.loads(pickle.dumps(error))
    assert vars(again) == vars(error)
    assert str(error) == "429 k: slow (d)"


def test_an_async_action_error_keeps_the_action() -> None:
    error = errors.AsyncActionFailedError("failed", action=AsyncAction(id="aa_1", status="FAILED"))
    again = pickle.loads(pickle.dumps(error))
    assert again.action == AsyncAction(id="aa_1", status="FAILED")
    assert again.may_have_been_applied


def test_a_message_of_the_service_is_one_line_without_control_characters() -> None:
    error = errors.BadRequestError(
        "No\r\nERROR: forged \x1b[31m", status=400, details="a\u0085b", request_id="v-1\n"
    )
    assert str(error) == "400: No  ERROR: forged  [31m (a b) [request v-1 ]"
    assert error.message.startswith("No\r\n")

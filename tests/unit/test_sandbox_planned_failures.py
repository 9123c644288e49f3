"""Failures that `Sandbox.fail_next` plans: which calls they hit, and what is said of bad arguments."""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
import threading
from http import HTTPMethod, HTTPStatus
from typing import Any

import pytest

from voucherify_async import resources
from voucherify_async._transport import auth
from voucherify_async._transport.operation import Operation
from voucherify_async.sandbox import PlannedFailure, Sandbox
from voucherify_async.sandbox._endpoints import routes
from voucherify_async.sandbox._http.planned_failures import PlannedFailures
from voucherify_async.sandbox._store.errors import ApiError


def split(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[1:])


@pytest.fixture
def planned() -> PlannedFailures:
    return PlannedFailures(routes)


def statuses(planned: PlannedFailures, *calls: tuple[str, str]) -> list[int | None]:
    """The status that each call is to fail with."""
    taken = [planned.take(method, split(path)) for method, path in calls]
    return [None if decision is None else decision.status for decision in taken]


def client_operations() -> dict[tuple[str, tuple[str, ...]], str]:
    """The name of each operation of the client, by method and path pattern."""
    modules: list[Any] = [auth]
    modules += [
        importlib.import_module(f"{resources.__name__}.{module.name}")
        for module in pkgutil.iter_modules(resources.__path__)
    ]
    operations = [
        value for module in modules for value in vars(module).values() if isinstance(value, Operation)
    ]
    return {
        (operation.method, split(re.sub(r"\{\w+\}", "*", operation.path))): operation.name
        for operation in operations
    }


def test_the_sandbox_names_operations_as_the_client_does() -> None:
    in_sandbox = {
        (method, pattern): route.operation
        for pattern, methods in routes.routes.items()
        for method, route in methods.items()
    }
    deprecated = {("GET", ("v1", "customers", "*", "activities")): "customers.list_activity"}
    assert in_sandbox == client_operations() | deprecated


def test_one_operation_is_hit_and_no_other(planned: PlannedFailures) -> None:
    planned.add("customers.update", status=409)
    others = [
        ("GET", "/v1/customers/a"),
        ("PUT", "/v1/customers"),
        ("PUT", "/v1/customers/a/b"),
        ("PUT", "/v2"),
    ]
    assert statuses(planned, *others) == [None] * 4
    assert statuses(planned, *[("PUT", "/v1/customers/a")] * 2) == [409, None]
    assert planned.pending() == ()


@pytest.mark.parametrize(
    ("operation", "call", "hit"),
    [
        (("PUT", "/v1/customers/*"), ("PUT", "/v1/customers/a"), True),
        (["put", "/v1/customers/*"], ("PUT", "/v1/customers/a"), True),
        ((HTTPMethod.PUT, "/v1/customers/*"), ("PUT", "/v1/customers/a"), True),
        (("PUT", "/v1/customers/*"), ("GET", "/v1/customers/a"), False),
        (("PUT", "/v1/customers/*"), ("PUT", "/v1/customers/a/b"), False),
        (("PUT", "/v1/*/*"), ("PUT", "/v1/vouchers/a"), True),
        (("PUT", "/v1/customers/{customer_id}"), ("PUT", "/v1/customers/a"), True),
        (("GET", "/v1/customers/a/"), ("GET", "/v1/customers/a"), True),
        (("GET", "/v1/vouchers"), ("GET", "/v1/vouchers"), True),
        (
            ("POST", "/v1/customers/*/permanent-deletion"),
            ("POST", "/v1/customers/a/permanent-deletion"),
            True,
        ),
        (("POST", "/v1/customers/*/permanent-deletion"), ("POST", "/v1/customers/a/x"), False),
        (("PUT", "/v1/customers/a%20b"), ("PUT", "/v1/customers/a b"), True),
        (("PUT", "/v1/customers/100%"), ("PUT", "/v1/customers/100%"), True),
        ("customers.import_csv", ("POST", "/v1/customers/importCSV"), True),
        ("customers.get", ("GET", "/v1/customers/importCSV"), True),
        ("customers.list_activity", ("GET", "/v1/customers/a/activity"), True),
        ("customers.list_activity", ("GET", "/v1/customers/a/activities"), True),
        ("customers.list", ("GET", "/v1/vouchers"), False),
    ],
)
def test_patterns(planned: PlannedFailures, operation: Any, call: tuple[str, str], hit: bool) -> None:
    planned.add(operation, status=500)
    assert statuses(planned, call) == [500 if hit else None]


def test_the_first_that_matches_is_used_up_first(planned: PlannedFailures) -> None:
    planned.add("customers.get", status=500, times=2)
    planned.add(("GET", "/v1/customers/*"), status=502)
    planned.add(("GET", "/v1/customers"), status=504)
    get, listing = ("GET", "/v1/customers/a"), ("GET", "/v1/customers")
    assert statuses(planned, get) == [500]
    assert planned.pending() == (
        PlannedFailure("customers.get", 500, 1),
        PlannedFailure(("GET", "/v1/customers/*"), 502, 1),
        PlannedFailure(("GET", "/v1/customers"), 504, 1),
    )
    assert statuses(planned, listing, get, get, get, listing) == [504, 500, 502, None, None]


@pytest.mark.parametrize(("fault", "applied"), [("reset", False), ("stall", False), ("truncate", True)])
def test_faults_of_the_network(planned: PlannedFailures, fault: Any, applied: bool) -> None:
    planned.add("customers.list", fault=fault, times=2)
    decision = planned.take("GET", ("v1", "customers"))
    assert decision is not None
    assert (decision.fault, decision.applied, decision.headers()) == (fault, applied, {})
    assert planned.pending() == (PlannedFailure("customers.list", 0, 1, fault=fault),)


def test_clear(planned: PlannedFailures) -> None:
    planned.add("customers.get", status=500, times=2)
    planned.clear()
    assert planned.pending() == ()
    assert statuses(planned, ("GET", "/v1/customers/a")) == [None]


@pytest.mark.parametrize(
    ("given", "error", "headers"),
    [
        ({"status": 409}, (409, "conflict", "Conflict"), {}),
        ({"status": HTTPStatus.CONFLICT}, (409, "conflict", "Conflict"), {}),
        ({"status": 404}, (404, "not_found", "Resource not found"), {}),
        ({"status": 500}, (500, "internal_error", "Internal Server Error"), {}),
        ({"status": 599}, (599, "unknown_error", "Unknown Error"), {}),
        ({"status": 409, "key": "duplicate", "message": "Twice"}, (409, "duplicate", "Twice"), {}),
        ({"status": 503, "retry_after": 1.2}, (503, "service_unavailable", "Service Unavailable"), {"Retry-After": "2"}),
        ({"status": 503, "retry_after": 0}, (503, "service_unavailable", "Service Unavailable"), {"Retry-After": "0"}),
        (
            {"status": 429},
            (429, "too_many_requests", "Too many requests hit the API too quickly."),
            {"Retry-After": "1"},
        ),
        (
            {"status": 429, "message": "Slow down", "retry_after": 30},
            (429, "too_many_requests", "Slow down"),
            {"Retry-After": "30"},
        ),
    ],
)  # fmt: skip
def test_the_error(
    planned: PlannedFailures, given: Any, error: tuple[int, str, str], headers: dict[str, str]
) -> None:
    planned.add("customers.list", **given)
    decision = planned.take("GET", ("v1", "customers"))
    assert decision is not None
    with pytest.raises(ApiError) as caught:
        decision.check()
    assert (caught.value.status, caught.value.key, caught.value.message) == error
    assert decision.headers() == headers


@pytest.mark.parametrize(
    ("message", "shown"), [(None, "Payload content length greater than maximum allowed: 10000000"), ("Big", "Big")]
)  # fmt: skip
def test_the_error_of_a_body_that_is_too_large(planned: PlannedFailures, message: Any, shown: str) -> None:
    planned.add("customers.list", status=413, message=message)
    decision = planned.take("GET", ("v1", "customers"))
    assert decision is not None
    with pytest.raises(ApiError) as caught:
        decision.check()
    body = caught.value.to_json("v-1")
    assert body["statusCode"] == 413
    assert re.sub(r"\d+", "10000000", body["message"]) == shown


BAD: list[Any] = [
    ({"operation": "customers.put"}, "operation must be one of async_actions.get, async_actions.list, cust"),
    ({"operation": ""}, "operation must be one of "),
    ({"operation": None}, "operation must be a name such as 'customers.update' or a pair"),
    ({"operation": ("PUT",)}, "operation must be a name such as"),
    ({"operation": b"PUT"}, "operation must be a name such as"),
    ({"operation": ("", "/v1/customers")}, "operation must have an HTTP method such as 'PUT', not ''"),
    ({"operation": ("*", "/v1/customers")}, "operation must have an HTTP method"),
    ({"operation": (None, "/v1/customers")}, "operation must have an HTTP method"),
    ({"operation": ("FOO", "/v1/customers")}, "operation must have an HTTP method such as 'PUT', not 'FOO'"),
    ({"operation": ("PUTT", "/v1/customers")}, "operation must have an HTTP method"),
    ({"fault": "stale_keepalive"}, "fault must be reset, truncate or stall, not 'stale_keepalive'"),
    ({"fault": ""}, "fault must be"),
    ({"fault": ["reset"]}, "fault must be"),
    ({"fault": "reset", "status": 409}, "status must be omitted with fault: there is no error response"),
    ({"fault": "reset", "key": "x"}, "key must be omitted with fault"),
    ({"fault": "reset", "message": "x"}, "message must be omitted with fault"),
    ({"fault": "reset", "retry_after": 0}, "retry_after must be omitted with fault"),
    ({"operation": ("PUT", "v1/customers")}, "operation must have a path such as '/v1/customers/*'"),
    ({"operation": ("PUT", "/-/status")}, "operation must have a path such as"),
    ({"operation": ("PUT", "/v1/customers?a=b")}, "operation must have a path such as"),
    ({"operation": ("PUT", "/v1/customers/a b")}, "operation must have a path such as"),
    ({"operation": ("PUT", None)}, "operation must have a path such as"),
    ({"operation": ("PUT", "/v1/customers/crm-*")}, "operation must have a path in which * stands for a whole"),
    ({"operation": ("PUT", "/v1/**")}, "operation must have a path in which * stands for a whole segment"),
    ({"status": 399}, "status must be a whole number from 400 to 599, not 399"),
    ({"status": 600}, "status must be a whole number from 400 to 599"),
    ({"status": "503"}, "status must be a whole number"),
    ({"status": 503.0}, "status must be a whole number"),
    ({"status": True}, "status must be a whole number"),
    ({"times": 0}, "times must be a whole number of at least 1, not 0"),
    ({"times": -1}, "times must be"),
    ({"times": 1.5}, "times must be"),
    ({"times": None}, "times must be"),
    ({"times": 2**70}, "times must be"),
    ({"key": ""}, "key must be a string that is not empty"),
    ({"key": 7}, "key must be"),
    ({"message": b"x"}, "message must be"),
    ({"status": 413, "key": "payload_too_large"}, "key must be omitted for the status 413"),
    ({"retry_after": -1}, "retry_after must be a finite number of seconds, at least 0, not -1"),
    ({"retry_after": math.inf}, "retry_after must be"),
    ({"retry_after": math.nan}, "retry_after must be"),
    ({"retry_after": "1"}, "retry_after must be"),
    ({"retry_after": True}, "retry_after must be"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), BAD, ids=str)
def test_bad_arguments(given: Any, message: str) -> None:
    sandbox = Sandbox()
    arguments: Any = {"operation": "customers.get", **given}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        sandbox.fail_next(**arguments)
    assert sandbox.planned_failures == ()


def test_their_number_is_limited(planned: PlannedFailures) -> None:
    for _ in range(1000):
        planned.add("customers.get", status=500)
    with pytest.raises(ValueError, match="^at most 1,000 failures can be pending$"):
        planned.add("customers.get", status=500)


def test_no_thread_takes_what_another_has_taken(planned: PlannedFailures) -> None:
    planned.add("customers.list", status=500, times=400)
    taken: list[Any] = []
    ready = threading.Barrier(4)

    def take() -> None:
        ready.wait()
        for _ in range(200):
            taken.append(planned.take("GET", ("v1", "customers")))
            planned.pending()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 800
    assert sum(decision is not None for decision in taken) == 400

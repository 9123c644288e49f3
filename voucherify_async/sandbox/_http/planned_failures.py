"""Failures that a test has planned with `Sandbox.fail_next`: which calls they hit and how often. No I/O.

`PlannedFailures` is a list, oldest first. A call uses up one time of the first failure that matches it, and a
failure is dropped with its last time. A lock guards the list, as tests add to it from another thread than the
sandbox's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPMethod
from threading import Lock
from typing import Any, Final
from urllib.parse import unquote

from voucherify_async.models._json import is_array
from voucherify_async.sandbox._http.faults import Fault, FaultDecision
from voucherify_async.sandbox._http.routing import Router, matches

__all__ = ["PlannedFailure", "PlannedFailures"]

_METHODS: Final = frozenset(HTTPMethod)
"""A failure for another method would stay planned for ever."""
_APPLIED: Final[Mapping[str, bool]] = {"reset": False, "truncate": True, "stall": False}
"""The faults of the network that can be planned, and whether the call takes effect."""
_MAX_TIMES: Final = 2**53
"""JSON numbers beyond are not exact in a browser."""
_MAX_PLANNED: Final = 1000
"""Each call is compared with all of them."""


@dataclass(frozen=True, slots=True)
class PlannedFailure:
    """A failure that `Sandbox.fail_next` has planned.

    Attributes:
        operation: The operation whose calls fail, for example ``customers.update``, or the method and path pattern
            of these calls.
        status: HTTP status of the responses; 0 with a fault of the network, as there is none.
        times: How many calls are still to fail.
        key: The key in the body; `None` for the one that belongs to the status.
        message: The message in the body; `None` for the one that belongs to the status.
        retry_after: The ``Retry-After`` header, in seconds; `None` for the default of the status.
        fault: The fault of the network that hits the calls: ``reset``, ``truncate`` or ``stall``; ``status`` for an
            error response.
    """

    operation: str | tuple[str, str]
    status: int
    times: int
    key: str | None = None
    message: str | None = None
    retry_after: int | None = None
    fault: Fault = "status"

    @property
    def decision(self) -> FaultDecision:
        """The fault of a call that fails in this way."""
        if self.fault != "status":
            return FaultDecision(self.fault, applied=_APPLIED[self.fault])
        return FaultDecision(
            "status",
            applied=False,
            status=self.status,
            key=self.key,
            message=self.message,
            retry_after=self.retry_after,
        )

    def hits(self, method: str, segments: tuple[str, ...], operation: str) -> bool:
        """Whether a call fails.

        Args:
            method: HTTP method.
            segments: The path, split at slashes, each part decoded.
            operation: The operation of the call; an empty string if the sandbox does not implement it.
        """
        if isinstance(self.operation, str):
            return self.operation == operation
        expected, path = self.operation
        return method == expected and matches(_segments(path), segments)


class PlannedFailures:
    """The planned failures that have not been used up, oldest first. Any thread may use it."""

    def __init__(self, router: Router) -> None:
        """Create an empty list.

        Args:
            router: The operations that may fail.
        """
        self._router = router
        self._lock = Lock()
        self._pending: list[PlannedFailure] = []

    def pending(self) -> tuple[PlannedFailure, ...]:
        """The failures that have not been used up, oldest first."""
        with self._lock:
            return tuple(self._pending)

    def clear(self) -> None:
        """Drop all of them."""
        with self._lock:
            self._pending.clear()

    def add(
        self,
        operation: Any,
        *,
        status: Any = None,
        fault: Any = None,
        times: Any = 1,
        key: Any = None,
        message: Any = None,
        retry_after: Any = None,
    ) -> None:
        """Plan a failure; see `Sandbox.fail_next`.

        Raises:
            ValueError: An argument is invalid, or 1,000 failures are pending.
        """
        if fault is not None:
            _check_fault(fault, status=status, key=key, message=message, retry_after=retry_after)
        failure = PlannedFailure(
            self._check_operation(operation),
            0 if fault is not None else _check_whole("status", _or_default(status), 400, 599),
            _check_whole("times", times, 1, _MAX_TIMES),
            _check_text("key", key),
            _check_text("message", message),
            _check_retry_after(retry_after),
            fault or "status",
        )
        if failure.status == 413 and key is not None:
            raise ValueError("key must be omitted for the status 413, whose body has none")
        with self._lock:
            if len(self._pending) >= _MAX_PLANNED:
                raise ValueError(f"at most {_MAX_PLANNED:,} failures can be pending")
            self._pending.append(failure)

    def take(self, method: str, segments: tuple[str, ...]) -> FaultDecision | None:
        """The fault of the next call, if a failure is planned for it; this uses it up once.

        Args:
            method: HTTP method.
            segments: The path, split at slashes, each part decoded.
        """
        if not self._pending:  # as for nearly every call
            return None
        route = self._router.find(method, segments)
        operation = "" if route is None else route.operation
        with self._lock:
            for index, failure in enumerate(self._pending):
                if failure.hits(method, segments, operation):
                    left = replace(failure, times=failure.times - 1)
                    self._pending[index : index + 1] = [left] if left.times else []
                    return failure.decision
        return None

    def _check_operation(self, operation: Any) -> str | tuple[str, str]:
        if isinstance(operation, str):
            if operation not in self._router.operations:
                known = ", ".join(self._router.operations)
                raise ValueError(f"operation must be one of {known}, not {operation!r}")
            return operation
        if not is_array(operation) or len(operation) != 2:
            raise ValueError(
                "operation must be a name such as 'customers.update'"
                f" or a pair such as ('PUT', '/v1/customers/*'), not {operation!r}"
            )
        return _check_pattern(operation)


def _check_pattern(operation: Sequence[Any]) -> tuple[str, str]:
    method, path = operation
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise ValueError(f"operation must have an HTTP method such as 'PUT', not {method!r}")
    if not isinstance(path, str) or not path.startswith("/v1/") or re.search(r"[?#\s]", path):
        raise ValueError(
            f"operation must have a path such as '/v1/customers/*', without a query, not {path!r}"
        )
    path = re.sub(r"\{\w+\}", "*", path).rstrip("/")  # a template, as in errors and hooks
    if any("*" in segment and segment != "*" for segment in path.split("/")):
        raise ValueError(f"operation must have a path in which * stands for a whole segment, not {path!r}")
    return method.upper(), path


def _segments(path: str) -> tuple[str, ...]:
    return tuple(unquote(segment) for segment in path.split("/")[1:])


def _check_fault(fault: Any, **error: Any) -> None:
    if not isinstance(fault, str) or fault not in _APPLIED:
        raise ValueError(f"fault must be reset, truncate or stall, not {fault!r}")
    for name, value in error.items():
        if value is not None:
            raise ValueError(f"{name} must be omitted with fault: there is no error response")


def _or_default(status: Any) -> Any:
    return 503 if status is None else status


def _check_whole(name: str, value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        bounds = f"from {low} to {high}" if high < _MAX_TIMES else f"of at least {low}"
        raise ValueError(f"{name} must be a whole number {bounds}, not {value!r}")
    return int(value)


def _check_text(name: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"{name} must be a string that is not empty, not {value!r}")
    return value


def _check_retry_after(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MAX_TIMES:
        raise ValueError(f"retry_after must be a finite number of seconds, at least 0, not {value!r}")
    return math.ceil(value)

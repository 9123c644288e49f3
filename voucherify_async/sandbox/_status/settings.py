"""The settings of the sandbox as JSON, and their changes. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

import msgspec

from voucherify_async.models._json import is_array, is_mapping
from voucherify_async.sandbox._http.faults import Faults, Latency, to_range
from voucherify_async.sandbox._http.planned_failures import PlannedFailure
from voucherify_async.sandbox._http.rate_limits import Quota

__all__ = ["Settings", "check_no_fields", "decode_json", "read_changes", "read_failure", "settings_json"]

Json = dict[str, Any]


class Settings(Protocol):
    """The settings of `Sandbox` that the status page shows and changes."""

    faults: Faults

    @property
    def latency(self) -> Latency:
        """The delay of every API response in seconds, or its range."""
        ...

    @property
    def rate_limit(self) -> Quota | None:
        """The rate limit; `None` if there is none."""
        ...

    @property
    def planned_failures(self) -> tuple[PlannedFailure, ...]:
        """The failures that no call has used up yet, oldest first."""
        ...


def decode_json(body: bytes) -> Any:
    """Decode the body of a request.

    Raises:
        ValueError: The body is not JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"The body is not JSON: {error}") from None


def settings_json(sandbox: Settings) -> Json:
    """The current settings."""
    faults, quota = sandbox.faults, sandbox.rate_limit
    return {
        "latency": sandbox.latency,
        "faults": {
            "reset": faults.reset,
            "truncate": faults.truncate,
            "status": dict(faults.status),
            "stall": faults.stall,
            "stale_keepalive": faults.stale_keepalive,
        },
        "rate_limit": None
        if quota is None
        else {"limit": quota.limit, "period": quota.period, "fixed": quota.fixed},
        "failures": [
            {
                "operation": failure.operation,
                "status": failure.status,
                "fault": failure.fault,
                "times": failure.times,
            }
            for failure in sandbox.planned_failures
        ],
    }


def read_changes(faults: Faults, given: Any) -> Json:
    """The new values of sandbox attributes, by name. All are validated before any is set.

    Args:
        faults: The current faults; those that are not given keep their probability.
        given: The decoded body of the request.

    Raises:
        ValueError: A setting is unknown or invalid.
    """
    settings = _check_object("the body", given, _SETTING_READERS)
    return {name: _SETTING_READERS[name](faults, value) for name, value in settings.items()}


def read_failure(given: Any) -> Json:
    """The arguments for `Sandbox.fail_next`, which validates their values.

    Raises:
        ValueError: An argument is unknown, or there is no operation.
    """
    keys = ("operation", "status", "fault", "times", "key", "message", "retry_after")
    arguments = _check_object("the body", given, keys)
    if "operation" not in arguments:
        raise ValueError("the body must have an operation")
    return arguments


def check_no_fields(given: Any) -> None:
    """Check that the body of a request without arguments is an empty object.

    Raises:
        ValueError: It is not.
    """
    _check_object("the body", given, ())


def _read_latency(_: Faults, value: Any) -> Latency:
    return to_range(tuple(value) if is_array(value) else value)


def _read_faults(faults: Faults, value: Any) -> Faults:
    if value is None:
        return Faults()
    given = _check_object("faults", value, ("reset", "truncate", "status", "stall", "stale_keepalive"))
    if "status" in given:
        given["status"] = {
            _to_status(code): chance for code, chance in _check_object("status", given["status"]).items()
        }
    return replace(faults, **given)


def _to_status(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise ValueError(f"status must have HTTP statuses as keys, not {text!r}")
    return int(text)


def _read_rate_limit(_: Faults, value: Any) -> Quota | None:
    if value is None:
        return None
    if not is_mapping(value):
        return Quota(value)
    given = _check_object("rate_limit", value, ("limit", "period", "fixed"))
    if "limit" not in given:
        raise ValueError("rate_limit must have a limit")
    if not isinstance(given.get("fixed", False), bool):
        raise ValueError(f"fixed must be true or false, not {given['fixed']!r}")
    return Quota(**given)


_SETTING_READERS: Final[Mapping[str, Callable[[Faults, Any], Any]]] = {
    "latency": _read_latency,
    "faults": _read_faults,
    "rate_limit": _read_rate_limit,
}


def _check_object(name: str, value: Any, keys: Iterable[str] | None = None) -> Json:
    if not is_mapping(value):
        raise ValueError(f"{name} must be an object, not {value!r}")
    unknown = [] if keys is None else sorted(value.keys() - set(keys))
    if unknown:
        raise ValueError(f"{name} has no field {unknown[0]!r}")
    return dict(value)

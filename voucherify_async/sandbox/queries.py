"""Queries and bodies as the service takes them, or refuses them with a 400. Pure."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec

from voucherify_async.models.base import is_mapping
from voucherify_async.sandbox.errors import ApiError, bad_query

__all__ = [
    "check_customer",
    "choice",
    "instant",
    "integer",
    "parse_query",
    "redeemable_filter",
    "text",
]

Parser = Callable[[str, str], Any]
Json = dict[str, Any]

_Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]


def integer(lowest: int, highest: int) -> Parser:
    """A whole number in a range."""

    def parse(name: str, value: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}", value) or not lowest <= int(value) <= highest:
            raise bad_query(f"Property .{name} must be an integer from {lowest} to {highest}")
        return int(value)

    return parse


def text(name: str, value: str) -> str:  # noqa: ARG001  # a parser
    """Any text."""
    return value


def choice(*values: str) -> Parser:
    """One of these."""

    def parse(name: str, value: str) -> str:
        if value not in values:
            raise bad_query(f"Property .{name} must be one of {', '.join(values)}")
        return value

    return parse


def instant(name: str, value: str) -> dt.datetime:
    """An ISO 8601 date and time with an offset."""
    try:
        found = msgspec.convert(value, _Instant)
        return found.astimezone(dt.UTC)
    except (msgspec.ValidationError, OverflowError):
        raise bad_query(f"Property .{name} cannot be recognized as a ISO-8601 compliant date") from None


def parse_query(pairs: Iterable[tuple[str, str]], parsers: Mapping[str, Parser]) -> dict[str, Any]:
    """The parameters by name; one that is unknown, or given twice, is refused."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        parser = parsers.get(name)
        if parser is None:
            raise bad_query(f"Property .{name} is not allowed")
        if name in found:
            raise bad_query(f"Property .{name} is given more than once")
        found[name] = parser(name, value)
    return found


# ---------------------------------------------------------------- bodies

_TEXT_FIELDS: Final = ("name", "description", "email", "phone")
_DATE_FIELDS: Final = ("birthday", "birthdate")
_ADDRESS_PARTS: Final = ("city", "state", "line_1", "line_2", "country", "postal_code")


def check_customer(body: Any, *, ids: bool) -> Mapping[str, Any]:
    """The properties of a customer that are known, if all are of their type.

    Args:
        body: Decoded JSON.
        ids: Whether `id` and `source_id` are among them.
    """
    if not is_mapping(body):
        raise _bad_body("The body must be an object")
    for name in ("id", "source_id") if ids else ():
        if name in body and (not isinstance(body[name], str) or not body[name]):
            raise _bad_body(f"Property .{name} must be a non-empty string")
    for name in _TEXT_FIELDS:
        if not _is_text(body.get(name)):
            raise _bad_body(f"Property .{name} must be a string")
    for name in _DATE_FIELDS:
        if body.get(name) is not None and not _is_date(body[name]):
            raise _bad_body(f"Property .{name} must be a date in the form YYYY-MM-DD")
    if body.get("address") is not None:
        _check_address(body["address"])
    if body.get("metadata") is not None and not isinstance(body["metadata"], dict):
        raise _bad_body("Property .metadata must be an object")
    return body


def _check_address(address: Any) -> None:
    if not is_mapping(address):
        raise _bad_body("Property .address must be an object")
    for part in _ADDRESS_PARTS:
        if not _is_text(address.get(part)):
            raise _bad_body(f"Property .address.{part} must be a string")


def _is_text(value: Any) -> bool:
    # An isinstance() of `str | None` takes several times as long, and a bulk job asks often.
    return value is None or isinstance(value, str)


def _is_date(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        msgspec.convert(value, dt.date)
    except msgspec.ValidationError:
        return False
    return True


def _bad_body(details: str) -> ApiError:
    return ApiError(400, "invalid_payload", details, message="Invalid payload")


# ---------------------------------------------------------------- redeemable filters

_FILTER: Final = re.compile(
    r"filters\[(?P<property>[a-z_]+)\]\[conditions\]\[(?P<operator>\$[a-z_]+)\](?:\[[0-9]*\])?"
)
_JUNCTION: Final = "filters[junction]"
_FILTERED: Final = frozenset(
    {
        "id",
        "created_at",
        "redeemable_id",
        "redeemable_object",
        "holder_role",
        "campaign_id",
        "campaign_type",
        "voucher_type",
    }
)
_DATED: Final = "created_at"
_DAY: Final = dt.timedelta(days=1)

_TEXT_OPERATORS: Final[dict[str, Callable[[str, list[str]], bool]]] = {
    "$in": lambda value, given: value in given,
    "$not_in": lambda value, given: value not in given,
    "$is": lambda value, given: value == given[0],
    "$is_not": lambda value, given: value != given[0],
    "$starts_with": lambda value, given: value.startswith(given[0]),
    "$ends_with": lambda value, given: value.endswith(given[0]),
    "$contains": lambda value, given: given[0] in value,
    "$not_contain": lambda value, given: given[0] not in value,
}
_DATE_OPERATORS: Final = frozenset({"$after", "$before", "$more_than", "$less_than"})
_HOLD_WITHOUT_A_VALUE: Final = frozenset({"$not_in", "$is_not", "$not_contain"})

Condition = tuple[str, str, list[str]]


def redeemable_filter(
    pairs: Iterable[tuple[str, str]], now: dt.datetime
) -> tuple[list[tuple[str, str]], Callable[[Json], bool]]:
    """The parameters that are not filters, and what the filters ask of a redeemable."""
    others: list[tuple[str, str]] = []
    conditions: dict[tuple[str, str], list[str]] = {}
    junction = "and"
    for name, value in pairs:
        match = _FILTER.fullmatch(name)
        if name == _JUNCTION:
            junction = choice("and", "or")(name, value)
        elif match is not None:
            key = (match["property"], match["operator"])
            _check_condition(name, *key, value)
            conditions.setdefault(key, []).append(value)
        else:
            others.append((name, value))
    asked = [(name, operator, given) for (name, operator), given in conditions.items()]

    def holds(redeemable: Json) -> bool:
        if not asked:
            return True
        results = (_holds(redeemable.get(name), operator, given, now) for name, operator, given in asked)
        return any(results) if junction == "or" else all(results)

    return others, holds


def _check_condition(name: str, prop: str, operator: str, value: str) -> None:
    if prop not in _FILTERED:
        raise bad_query(f"Property .{name} is not allowed")
    if operator in {"$has_value", "$is_unknown"}:
        return
    if operator not in (_DATE_OPERATORS if prop == _DATED else _TEXT_OPERATORS):
        raise bad_query(f"Property .{name} is not allowed")
    if operator in {"$after", "$before"}:
        instant(name, value)
    elif operator in {"$more_than", "$less_than"}:
        integer(0, 100_000)(name, value)


def _holds(value: str | None, operator: str, given: list[str], now: dt.datetime) -> bool:
    if operator == "$has_value":
        return value is not None
    if operator == "$is_unknown":
        return value is None
    if value is None:
        return operator in _HOLD_WITHOUT_A_VALUE
    if operator in _TEXT_OPERATORS:
        return _TEXT_OPERATORS[operator](value, given)
    moment = instant("created_at", value)
    if operator == "$after":
        return moment > instant(operator, given[0])
    if operator == "$before":
        return moment < instant(operator, given[0])
    days = math.floor((now - moment) / _DAY)
    return days > int(given[0]) if operator == "$more_than" else days < int(given[0])

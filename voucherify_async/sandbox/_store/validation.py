"""Validation of queries and request bodies; invalid ones get a 400 response. No I/O."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec

from voucherify_async.models._json import is_mapping
from voucherify_async.sandbox._seed.vouchers import Redeemable
from voucherify_async.sandbox._store.errors import ApiError, bad_query

__all__ = [
    "DEFAULT_LIMIT",
    "LIMIT",
    "MAX_DEPTH",
    "Parser",
    "check_customer",
    "choice",
    "event_type",
    "instant",
    "instant_or_date",
    "integer",
    "is_too_deep",
    "parse_query",
    "redeemable_filter",
    "text",
]

Parser = Callable[[str, str], Any]

DEFAULT_LIMIT: Final = 10
"""Items on a page if the request has no `limit`."""

MAX_DEPTH: Final = 100
"""Maximum levels of nesting in JSON."""
_CHILDREN: Final[dict[type, Callable[[Any], Iterable[Any]]]] = {
    dict: dict[Any, Any].values,
    list: list[Any].__iter__,
}
"""For each JSON container type, the function that returns its child values."""

Json = dict[str, Any]

_Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]


_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,300}")
"""Limited in length, as `int` raises for numbers of thousands of digits."""


def integer(lowest: int, highest: int) -> Parser:
    """A parser of integers in a range."""

    def parse(name: str, value: str) -> int:
        if not _INTEGER.fullmatch(value) or not lowest <= int(value) <= highest:
            raise bad_query(f"Property .{name} must be an integer from {lowest} to {highest}")
        return int(value)

    return parse


def any_integer(name: str, value: str) -> int:
    """An integer."""
    if not _INTEGER.fullmatch(value):
        raise bad_query(f"Property .{name} must be an integer")
    return int(value)


LIMIT: Final[Mapping[str, Parser]] = {"limit": integer(1, 100)}
"""The query parameter of every list."""


def text(name: str, value: str) -> str:  # noqa: ARG001  # all parsers share a signature
    """Any string."""
    return value


def choice(*values: str) -> Parser:
    """A parser that accepts only these values."""

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


def instant_or_date(name: str, value: str) -> dt.datetime:
    """Like `instant`, but also accepts a date, which means midnight UTC."""
    return instant(name, f"{value}T00:00:00Z" if _DATE.fullmatch(value) else value)


_MESSAGE_STATES: Final = ("sent", "recovered", "failed")
_EVENT_NAMES: Final = {
    "": ("confirmed", "created", "updated", "deleted", "referred", "custom_event", "rewarded"),
    "rewarded.": ("loyalty_points",),
    "segment.": ("entered", "left"),
    "sms.": _MESSAGE_STATES,
    "email.": _MESSAGE_STATES,
    "activecampaign.": _MESSAGE_STATES,
    "braze.": _MESSAGE_STATES,
    "mailchimp.": _MESSAGE_STATES,
    "intercom.": _MESSAGE_STATES,
    "shopify.": _MESSAGE_STATES,
    "klaviyo.": _MESSAGE_STATES,
    "batch.": _MESSAGE_STATES,
    "voucher.": ("deleted", "gift.balance_added"),
    "voucher.loyalty_card.": (
        *("points_added", "points_transferred", "points_expired", "points_activated"),
        *(f"pending_points.{state}" for state in ("added", "updated", "activated", "canceled")),
    ),
    "holder.assignment.": ("created", "deleted"),
    "publication.": ("succeeded", "failed"),
    "validation.": ("succeeded", "failed"),
    "redemption.": ("succeeded", "failed", "rollback.succeeded", "rollback.failed"),
    "order.": ("canceled", "created", "fulfilled", "paid", "processing", "updated"),
    "reward_redemptions.": ("created", "pending", "completed", "rolledback"),
    "loyalty.": ("updated",),
    "loyalty.tier.": ("upgraded", "downgraded", "prolonged", "expiration.changed", "joined", "left"),
}
_EVENT_TYPES: Final = frozenset(
    f"customer.{group}{name}" for group, names in _EVENT_NAMES.items() for name in names
)


def event_type(name: str, value: str) -> str:
    """The type of a customer event."""
    if value not in _EVENT_TYPES:
        raise bad_query(f"Property .{name} must be the type of a customer event")
    return value


def parse_query(pairs: Iterable[tuple[str, str]], parsers: Mapping[str, Parser]) -> dict[str, Any]:
    """The parsed parameters by name. An unknown or repeated parameter is an error."""
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
_ADDRESS_FIELDS: Final = ("city", "state", "line_1", "line_2", "country", "postal_code")
_ADDRESS_FIELD_SET: Final = frozenset(_ADDRESS_FIELDS)


def check_customer(body: Any, *, ids: bool) -> Mapping[str, Any]:
    """Check the types of a customer's properties, and drop unknown address parts.

    Args:
        body: Decoded JSON.
        ids: Whether to check `id` and `source_id` too.

    Raises:
        ApiError: 400, `body` is not an object or a property is invalid.
    """
    if not is_mapping(body):
        raise _bad_body("The body must be an object")
    for name in ("id", "source_id") if ids else ():
        # Responses have "source_id": null, so a client may send it back; `id` is never null.
        absent = name not in body or (name == "source_id" and body[name] is None)
        if not absent and (not isinstance(body[name], str) or not body[name]):
            raise _bad_body(f"Property .{name} must be a non-empty string")
    for name in _TEXT_FIELDS:
        if not _is_text(body.get(name)):
            raise _bad_body(f"Property .{name} must be a string")
    for name in _DATE_FIELDS:
        if body.get(name) is not None and not _is_date(body[name]):
            raise _bad_body(f"Property .{name} must be a date in the form YYYY-MM-DD")
    address = body.get("address")
    if address is not None:
        _check_address(address)
    if body.get("metadata") is not None and not isinstance(body["metadata"], dict):
        raise _bad_body("Property .metadata must be an object")
    if address is None or _ADDRESS_FIELD_SET.issuperset(address):
        return body
    return {**body, "address": {part: address[part] for part in _ADDRESS_FIELDS if part in address}}


def _check_address(address: Any) -> None:
    if not is_mapping(address):
        raise _bad_body("Property .address must be an object")
    for part in _ADDRESS_FIELDS:
        if not _is_text(address.get(part)):
            raise _bad_body(f"Property .address.{part} must be a string")


def is_too_deep(value: Any) -> bool:
    """Whether decoded JSON has more than `MAX_DEPTH` levels, which could overflow the stack of recursive code."""
    level: list[Any] = [value] if type(value) in _CHILDREN else []
    for _ in range(MAX_DEPTH):
        level = [part for whole in level for part in _CHILDREN[type(whole)](whole) if type(part) in _CHILDREN]
        if not level:
            return False
    return True


def _is_text(value: Any) -> bool:
    # Much faster than isinstance() with `str | None`, and bulk jobs call this often.
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
    r"filters\[(?P<property>[a-z_]+)\]\[conditions\]\[(?P<operator>\$[a-z_]+)\](?P<index>\[[0-9]*\])?"
)
_JUNCTION: Final = "filters[junction]"
_FILTER_PROPERTIES: Final[Mapping[str, Parser]] = {
    "id": text,
    "created_at": text,
    "redeemable_id": text,
    "redeemable_object": choice("voucher"),
    "holder_role": choice("OWNER", "REFEREE", "REFERRER"),
    "campaign_id": text,
    "campaign_type": choice("LOYALTY_PROGRAM", "GIFT_VOUCHERS", "DISCOUNT_COUPONS", "REFERRAL_PROGRAM"),
    "voucher_type": choice("GIFT_VOUCHER", "DISCOUNT_VOUCHER", "LOYALTY_CARD"),
}
"""The properties that can be filtered by, and the parsers of their values."""
_DATE_PROPERTY: Final = "created_at"
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
_DATE_OPERATORS: Final[Mapping[str, Parser]] = {
    "$after": instant,
    "$before": instant,
    "$more_than": any_integer,
    "$less_than": any_integer,
}
_MULTI_VALUE_OPERATORS: Final = frozenset({"$in", "$not_in"})
_EXACT_OPERATORS: Final = _MULTI_VALUE_OPERATORS | {"$is", "$is_not"}
_MATCH_UNSET_OPERATORS: Final = frozenset({"$not_in", "$is_not", "$not_contain"})


def redeemable_filter(
    pairs: Iterable[tuple[str, str]], now: dt.datetime
) -> tuple[list[tuple[str, str]], Callable[[Redeemable], bool]]:
    """Split off the filter parameters.

    Returns:
        The other parameters, and a function that tells whether a redeemable matches the filters.
    """
    others: list[tuple[str, str]] = []
    conditions: dict[tuple[str, str], list[str]] = {}
    junction: str | None = None
    for name, value in pairs:
        match = _FILTER.fullmatch(name)
        if name == _JUNCTION:
            if junction is not None:
                raise bad_query(f"Property .{name} is given more than once")
            junction = choice("and", "or")(name, value)
        elif match is not None:
            key = (match["property"], match["operator"])
            _check_condition(name, *key, value)
            if match["operator"] not in _MULTI_VALUE_OPERATORS and (
                key in conditions or match["index"] is not None
            ):
                raise bad_query(f"Property .{name} takes one value")
            conditions.setdefault(key, []).append(value)
        else:
            others.append((name, value))

    def matches(redeemable: Redeemable) -> bool:
        if not conditions:
            return True
        results = (
            _condition_matches(getattr(redeemable, name), operator, given, now)
            for (name, operator), given in conditions.items()
        )
        return any(results) if junction == "or" else all(results)

    return others, matches


def _check_condition(name: str, prop: str, operator: str, value: str) -> None:
    if prop not in _FILTER_PROPERTIES:
        raise bad_query(f"Property .{name} is not allowed")
    if operator in {"$has_value", "$is_unknown"}:
        return
    if operator not in (_DATE_OPERATORS if prop == _DATE_PROPERTY else _TEXT_OPERATORS):
        raise bad_query(f"Property .{name} is not allowed")
    if prop == _DATE_PROPERTY:
        _DATE_OPERATORS[operator](name, value)
    elif operator in _EXACT_OPERATORS:
        _FILTER_PROPERTIES[prop](name, value)


def _condition_matches(value: str | None, operator: str, given: list[str], now: dt.datetime) -> bool:
    if operator == "$has_value":
        return value is not None
    if operator == "$is_unknown":
        return value is None
    if value is None:
        return operator in _MATCH_UNSET_OPERATORS
    if operator in _TEXT_OPERATORS:
        return _TEXT_OPERATORS[operator](value, given)
    moment = instant("created_at", value)
    if operator == "$after":
        return moment > instant(operator, given[0])
    if operator == "$before":
        return moment < instant(operator, given[0])
    days = math.floor((now - moment) / _DAY)
    return days > int(given[0]) if operator == "$more_than" else days < int(given[0])

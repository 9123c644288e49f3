"""The endpoints of what a customer has: activity, redeemables and segments. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Final, TypeVar

from voucherify_async.sandbox.activity import show
from voucherify_async.sandbox.errors import not_found
from voucherify_async.sandbox.queries import (
    DEFAULT_LIMIT,
    LIMIT,
    Parser,
    choice,
    event_type,
    instant,
    parse_query,
    redeemable_filter,
    text,
)
from voucherify_async.sandbox.records import Event, Record
from voucherify_async.sandbox.routing import Answer, Call, Router
from voucherify_async.sandbox.store import Store

__all__ = ["routes"]

Json = dict[str, Any]
T = TypeVar("T")

routes = Router()

_SORT_KEYS: Final[Mapping[str, Callable[[Event], Any]]] = {
    "created_at": lambda event: event.at,
    "updated_at": lambda event: event.at,  # an event does not change
    "type": lambda event: event.kind,
    "code": lambda event: event.about.voucher.code if event.about.voucher else "",
    "campaign": lambda event: event.about.campaign.name if event.about.campaign else "",
    "category": lambda event: event.category,
}
_ACTIVITY: Final[Mapping[str, Parser]] = {
    **LIMIT,
    "order": choice("created_at", "-created_at"),
    "starting_after_id": text,
    "start_date": instant,
    "end_date": instant,
    "campaign_id": text,
    "campaign_type": choice(
        "PROMOTION", "GIFT_VOUCHERS", "REFERRAL_PROGRAM", "DISCOUNT_COUPONS", "LOYALTY_PROGRAM"
    ),
    "category": choice("ACTION", "EFFECT"),
    "type": event_type,
}
_ACTIVITIES: Final[Mapping[str, Parser]] = {
    **{name: parser for name, parser in _ACTIVITY.items() if name not in {"category", "type", "order"}},
    "order": choice(*(f"{sign}{name}" for name in _SORT_KEYS for sign in ("", "-"))),
    "starting_after": instant,
    "product_id": text,
}
_REDEEMABLES: Final[Mapping[str, Parser]] = {
    **LIMIT,
    "order": choice("id", "-id"),
    "starting_after_id": text,
}


@routes.add("GET", "/v1/customers/*/activity")
def _list_activity(store: Store, call: Call, key: str) -> Answer:
    query = parse_query(call.query, _ACTIVITY)
    return 200, _activity(_in_order(store, key, query), query)


@routes.add("GET", "/v1/customers/*/activities")
def _list_activities(store: Store, call: Call, key: str) -> Answer:
    query = parse_query(call.query, _ACTIVITIES)
    events = _in_order(store, key, query)
    total = sum(_event_matches(event, query) for event in events)
    after = query.get("starting_after")
    if after is not None:
        falling = _order_of(query).startswith("-")
        events = [event for event in events if (event.at < after if falling else event.at > after)]
    page = _activity(events, query)
    return 200, {"object": "list", "data_ref": "data", "data": page["data"], "total": total}


def _order_of(query: Mapping[str, Any]) -> str:
    order: str = query.get("order", "-created_at")
    return order


def _in_order(store: Store, key: str, query: Mapping[str, Any]) -> list[Event]:
    order = _order_of(query)
    activity = store.listed(store.get(key).activity, attrgetter("at"))
    events = sorted(activity, key=_SORT_KEYS[order.removeprefix("-")])
    return events[::-1] if order.startswith("-") else events


def _activity(events: Sequence[Event], query: Mapping[str, Any]) -> Json:
    page = _page_by_id(
        events, lambda event: _event_matches(event, query), query, "customer event", attrgetter("id")
    )
    page["data"] = [show(event) for event in page["data"]]
    return page


def _event_matches(event: Event, query: Mapping[str, Any]) -> bool:
    asked = (
        ("type", event.kind),
        ("category", event.category),
        ("campaign_id", event.campaign_id),
        ("campaign_type", event.campaign_type),
        ("product_id", event.product_id),
    )
    if any(name in query and query[name] != value for name, value in asked):
        return False
    since, until = query.get("start_date"), query.get("end_date")
    return (since is None or event.at >= since) and (until is None or event.at <= until)


@routes.add("GET", "/v1/customers/*/redeemables")
def _list_redeemables(store: Store, call: Call, key: str) -> Answer:
    others, matches = redeemable_filter(call.query, store.now())
    query = parse_query(others, _REDEEMABLES)
    redeemables = store.listed(store.get(key).redeemables, attrgetter("created"))
    held = sorted(redeemables, key=attrgetter("id"), reverse=query.get("order") == "-id")
    page = _page_by_id(held, matches, query, "redeemable", attrgetter("id"))
    page["data"] = [redeemable.to_json() for redeemable in page["data"]]
    return 200, {**page, "total": sum(map(matches, held))}


def _page_by_id(
    items: Sequence[T],
    matches: Callable[[T], bool],
    query: Mapping[str, Any],
    kind: str,
    id_of: Callable[[T], str],
) -> Json:
    """A page of the items that match; the cursor may be one that does not."""
    start = 0
    after = query.get("starting_after_id")
    if after is not None:
        start = next((index for index, item in enumerate(items, start=1) if id_of(item) == after), -1)
        if start < 0:
            raise not_found(kind, after)
    limit: int = query.get("limit", DEFAULT_LIMIT)
    page = list(islice(filter(matches, items[start:]), limit + 1))
    has_more = len(page) > limit
    content: Json = {"object": "list", "data_ref": "data", "data": page[:limit], "has_more": has_more}
    if has_more:
        content["more_starting_after"] = id_of(page[limit - 1])
    return content


@routes.add("GET", "/v1/customers/*/segments")
def _list_segments(store: Store, call: Call, key: str) -> Answer:
    parse_query(call.query, {})
    # For a customer that does not exist: what it would qualify for if it came to be.
    record = store.find(key) or Record(id="", source_id=key, created=store.now())
    segments = [segment.to_json() for segment in store.segments_of(record)]
    return 200, {"object": "list", "data_ref": "data", "data": segments, "total": len(segments)}

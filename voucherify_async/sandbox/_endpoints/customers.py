"""The endpoints of customers, their events, redeemables and segments, and bulk jobs. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec

from voucherify_async._transport.wire import format_instant
from voucherify_async.models._json import is_array, is_mapping
from voucherify_async.sandbox._endpoints._event_data import event_json
from voucherify_async.sandbox._http.routing import ApiCall, EndpointResult, Router, read_file, read_json
from voucherify_async.sandbox._store.errors import ApiError, bad_query, not_found, too_large
from voucherify_async.sandbox._store.index import CustomerFilter
from voucherify_async.sandbox._store.jobs import BulkUpdate, CsvImport, MetadataUpdate
from voucherify_async.sandbox._store.records import UNBOUNDED, Bounds, Event, Job, Record
from voucherify_async.sandbox._store.store import Store
from voucherify_async.sandbox._store.validation import (
    DEFAULT_LIMIT,
    LIMIT,
    Parser,
    check_customer,
    choice,
    event_type,
    instant,
    integer,
    parse_query,
    redeemable_filter,
    text,
)

__all__ = ["routes"]

Json = dict[str, Any]
T = TypeVar("T")

routes = Router()

_LIST_QUERY: Final[Mapping[str, Parser]] = {
    **LIMIT,
    "page": integer(1, 99),
    "email": text,
    "city": text,
    "name": text,
    "segment_id": text,
    "created_at[before]": instant,
    "created_at[after]": instant,
    "updated_at[before]": instant,
    "updated_at[after]": instant,
    "order": choice("created_at", "-created_at", "updated_at", "-updated_at", "source_id", "-source_id"),
    "starting_after": instant,
}


@routes.add("customers.list", "GET", "/v1/customers")
def _list_customers(store: Store, call: ApiCall, _: str) -> EndpointResult:
    query = parse_query(call.query, _LIST_QUERY)
    order = query.get("order", "-created_at")
    limit = min(query.get("limit", DEFAULT_LIMIT), store.quirks.page_cap)
    after = query.get("starting_after")
    if after is not None and order.removeprefix("-") != "created_at":
        raise bad_query("Property .starting_after goes with the order created_at or -created_at")
    skip = (query.get("page", 1) - 1) * limit
    customer_filter, created = _customer_filter(store, query), _bounds(store, query, "created_at")
    found: Iterable[Record]
    if customer_filter is None:
        found, total = (), 0
    elif order.removeprefix("-") == "created_at":  # a `created_at` range is contiguous only in this order
        found, total = store.select(customer_filter, order, created=created, skip=skip, after=after)
    else:
        found, total = store.select(replace(customer_filter, created=created), order, skip=skip)
    page = list(islice(found, limit + 1))
    content: Json = {
        "object": "list",
        "data_ref": "customers",
        "customers": [_customer_json(store, record) for record in page[:limit]],
        "total": len(store.customers) if store.quirks.whole_total else total,
    }
    if after is not None:
        content["has_more"] = len(page) > limit
    return 200, store.quirks.without_omitted(content)


def _customer_json(store: Store, record: Record) -> Json:
    shown = record.to_json()
    if store.quirks.shown_in_seconds:
        shown["created_at"] = format_instant(record.created.replace(microsecond=0))
    return store.quirks.without_omitted(shown)


def _customer_filter(store: Store, query: Mapping[str, Any]) -> CustomerFilter | None:
    """The filter of a list request; `None` if no customer can match, as the segment does not exist."""
    segment = next((known for known in store.segments if known.id == query.get("segment_id")), None)
    if segment is None and "segment_id" in query:
        return None
    return CustomerFilter(
        email=query.get("email"),
        name=query.get("name"),
        city=query.get("city"),
        segment=segment,
        updated=_bounds(store, query, "updated_at"),
    )


def _bounds(store: Store, query: Mapping[str, Any], name: str) -> Bounds:
    after, before = query.get(f"{name}[after]"), query.get(f"{name}[before]")
    if after is None and before is None:
        return UNBOUNDED
    return Bounds(
        after, before, inclusive=store.quirks.inclusive_bounds, in_seconds=store.quirks.compared_in_seconds
    )


@routes.add("customers.create", "POST", "/v1/customers")
def _create_customer(store: Store, call: ApiCall, _: str) -> EndpointResult:
    return 200, _customer_json(store, store.upsert(check_customer(read_json(call), ids=True)))


@routes.add("customers.get", "GET", "/v1/customers/*")
def _get_customer(store: Store, call: ApiCall, key: str) -> EndpointResult:  # noqa: ARG001  # all endpoints share a signature
    return 200, _customer_json(store, store.get(key))


@routes.add("customers.update", "PUT", "/v1/customers/*")
def _update_customer(store: Store, call: ApiCall, key: str) -> EndpointResult:
    changes = check_customer(read_json(call), ids=False)
    return 200, _customer_json(store, store.update(store.get(key), changes))


@routes.add("customers.delete", "DELETE", "/v1/customers/*")
def _delete_customer(store: Store, call: ApiCall, key: str) -> EndpointResult:  # noqa: ARG001  # all endpoints share a signature
    store.remove(store.get(key))
    return 204, None


@routes.add("customers.delete_permanently", "POST", "/v1/customers/*/permanent-deletion")
def _delete_permanently(store: Store, call: ApiCall, key: str) -> EndpointResult:  # noqa: ARG001  # all endpoints share a signature
    record = store.get(key)
    segments = len(store.segments_of(record))
    store.remove(record)
    orders = (record.summary or {}).get("orders", {}).get("total_count", 0)
    counts = {
        "events": len(record.activity),
        "customer_events": len(record.activity),
        "daily_events": 0,
        "segments": segments,
        "orders": orders,
        "order_events": orders,
        "customer": 1,
    }
    return 200, {
        "id": store.make_id("del_"),
        "created_at": format_instant(store.now()),
        "related_object_id": record.id,
        "related_object": "customer",
        "status": "DONE",
        "data_json": counts,
        "object": "pernament_deletion",  # the service's spelling
    }


_SORT_KEYS: Final[Mapping[str, Callable[[Event], Any]]] = {
    "created_at": lambda event: event.at,
    "updated_at": lambda event: event.at,  # an event does not change
    "type": lambda event: event.kind,
    "code": lambda event: event.about.voucher.code if event.about.voucher else "",
    "campaign": lambda event: event.about.campaign.name if event.about.campaign else "",
    "category": lambda event: event.category,
}
_ACTIVITY_QUERY: Final[Mapping[str, Parser]] = {
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
_ACTIVITIES_QUERY: Final[Mapping[str, Parser]] = {
    **{name: parser for name, parser in _ACTIVITY_QUERY.items() if name not in {"category", "type", "order"}},
    "order": choice(*(f"{sign}{name}" for name in _SORT_KEYS for sign in ("", "-"))),
    "starting_after": instant,
    "product_id": text,
}
_REDEEMABLES_QUERY: Final[Mapping[str, Parser]] = {
    **LIMIT,
    "order": choice("id", "-id"),
    "starting_after_id": text,
}


@routes.add("customers.list_activity", "GET", "/v1/customers/*/activity")
def _list_activity(store: Store, call: ApiCall, key: str) -> EndpointResult:
    query = parse_query(call.query, _ACTIVITY_QUERY)
    return 200, _event_page(_sorted_events(store, key, query), query)


@routes.add("customers.list_activity", "GET", "/v1/customers/*/activities")  # the deprecated form
def _list_activities(store: Store, call: ApiCall, key: str) -> EndpointResult:
    query = parse_query(call.query, _ACTIVITIES_QUERY)
    events = _sorted_events(store, key, query)
    total = sum(_event_matches(event, query) for event in events)
    after = query.get("starting_after")
    if after is not None:
        descending = _order_of(query).startswith("-")
        events = [event for event in events if (event.at < after if descending else event.at > after)]
    page = _event_page(events, query)
    return 200, {"object": "list", "data_ref": "data", "data": page["data"], "total": total}


def _order_of(query: Mapping[str, Any]) -> str:
    order: str = query.get("order", "-created_at")
    return order


def _sorted_events(store: Store, key: str, query: Mapping[str, Any]) -> list[Event]:
    order = _order_of(query)
    activity = store.visible(store.get(key).activity, attrgetter("at"))
    events = sorted(activity, key=_SORT_KEYS[order.removeprefix("-")])
    return events[::-1] if order.startswith("-") else events


def _event_page(events: Sequence[Event], query: Mapping[str, Any]) -> Json:
    page = _page_by_id(
        events, lambda event: _event_matches(event, query), query, "customer event", attrgetter("id")
    )
    page["data"] = [event_json(event) for event in page["data"]]
    return page


def _event_matches(event: Event, query: Mapping[str, Any]) -> bool:
    expected = (
        ("type", event.kind),
        ("category", event.category),
        ("campaign_id", event.campaign_id),
        ("campaign_type", event.campaign_type),
        ("product_id", event.product_id),
    )
    if any(name in query and query[name] != value for name, value in expected):
        return False
    since, until = query.get("start_date"), query.get("end_date")
    return (since is None or event.at >= since) and (until is None or event.at <= until)


@routes.add("customers.list_redeemables", "GET", "/v1/customers/*/redeemables")
def _list_redeemables(store: Store, call: ApiCall, key: str) -> EndpointResult:
    others, matches = redeemable_filter(call.query, store.now())
    query = parse_query(others, _REDEEMABLES_QUERY)
    redeemables = store.visible(store.get(key).redeemables, attrgetter("created"))
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
    """A page of the matching items. The item that the cursor names need not match."""
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


@routes.add("customers.list_segments", "GET", "/v1/customers/*/segments")
def _list_segments(store: Store, call: ApiCall, key: str) -> EndpointResult:
    parse_query(call.query, {})
    # For an unknown id, list the segments that a new customer with this source id would belong to.
    record = store.find(key) or Record(id="", source_id=key, created=store.now())
    segments = [segment.to_json() for segment in store.segments_of(record)]
    return 200, {"object": "list", "data_ref": "data", "data": segments, "total": len(segments)}


_MAX_METADATA: Final = 100_000_000
"""Maximum bytes of metadata in a job, counted once for each customer. Merging more would take many seconds."""


@routes.add("customers.import_csv", "POST", "/v1/customers/importCSV")
def _import_csv(store: Store, call: ApiCall, _: str) -> EndpointResult:
    work = CsvImport.of(read_file(call))
    return _accepted(store.schedule("CUSTOMERS.IMPORT_CSV", call.request_id, work))


@routes.add("customers.update_in_bulk", "POST", "/v1/customers/bulk/async")
def _update_in_bulk(store: Store, call: ApiCall, _: str) -> EndpointResult:
    customers = read_json(call)
    if not is_array(customers):
        raise ApiError(400, "invalid_payload", "The body must be an array", message="Invalid payload")
    for index, customer in enumerate(customers):
        source_id = customer.get("source_id") if is_mapping(customer) else None
        if not isinstance(source_id, str) or not source_id:
            details = f"Property [{index}].source_id is required"
            raise ApiError(400, "invalid_payload", details, message="Invalid payload")
    return _accepted(store.schedule("CUSTOMERS.BULK_UPDATE", call.request_id, BulkUpdate.of(list(customers))))


@routes.add("customers.update_metadata_in_bulk", "POST", "/v1/customers/metadata/async")
def _update_metadata_in_bulk(store: Store, call: ApiCall, _: str) -> EndpointResult:
    body = read_json(call)
    source_ids = body.get("source_ids") if is_mapping(body) else None
    if not is_array(source_ids) or not all(isinstance(key, str) and key for key in source_ids):
        details = "Property .source_ids must be an array of strings"
        raise ApiError(400, "invalid_payload", details, message="Invalid payload")
    metadata = body.get("metadata")
    if not is_mapping(metadata):
        raise ApiError(
            400, "invalid_payload", "Property .metadata must be an object", message="Invalid payload"
        )
    if len(source_ids) * len(msgspec.json.encode(metadata)) > _MAX_METADATA:
        raise too_large(_MAX_METADATA)
    work = MetadataUpdate(list(source_ids), metadata=dict(metadata))
    return _accepted(store.schedule("CUSTOMERS.METADATA_UPDATE", call.request_id, work))


def _accepted(job: Job) -> EndpointResult:
    return 202, {"async_action_id": job.id}

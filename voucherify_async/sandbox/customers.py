"""The endpoints of customers, one by one and listed. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from voucherify_async.sandbox.errors import bad_query
from voucherify_async.sandbox.index import CustomerFilter
from voucherify_async.sandbox.queries import (
    DEFAULT_LIMIT,
    LIMIT,
    Parser,
    check_customer,
    choice,
    instant,
    integer,
    parse_query,
    text,
)
from voucherify_async.sandbox.records import UNBOUNDED, Bounds, Record
from voucherify_async.sandbox.routing import Answer, Call, Router, read_json
from voucherify_async.sandbox.store import Store
from voucherify_async.transport.wire import format_instant

__all__ = ["routes"]

Json = dict[str, Any]
routes = Router()

_LIST: Final[Mapping[str, Parser]] = {
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


@routes.add("GET", "/v1/customers")
def _list_customers(store: Store, call: Call, _: str) -> Answer:
    query = parse_query(call.query, _LIST)
    order = query.get("order", "-created_at")
    limit = min(query.get("limit", DEFAULT_LIMIT), store.quirks.page_cap)
    after = query.get("starting_after")
    if after is not None and order.removeprefix("-") != "created_at":
        raise bad_query("Property .starting_after goes with the order created_at or -created_at")
    skip = (query.get("page", 1) - 1) * limit
    asked, created = _customer_filter(store, query), _bounds(store, query, "created_at")
    found: Iterable[Record]
    if asked is None:
        found, total = (), 0
    elif order.removeprefix("-") == "created_at":  # the order in which a range of it is in one piece
        found, total = store.select(asked, order, created=created, skip=skip, after=after)
    else:
        found, total = store.select(replace(asked, created=created), order, skip=skip)
    page = list(islice(found, limit + 1))
    content: Json = {
        "object": "list",
        "data_ref": "customers",
        "customers": [_shown(store, record) for record in page[:limit]],
        "total": len(store.customers) if store.quirks.whole_total else total,
    }
    if after is not None:
        content["has_more"] = len(page) > limit
    return 200, store.quirks.without_omitted(content)


def _shown(store: Store, record: Record) -> Json:
    shown = record.to_json()
    if store.quirks.shown_in_seconds:
        shown["created_at"] = format_instant(record.created.replace(microsecond=0))
    return store.quirks.without_omitted(shown)


def _customer_filter(store: Store, query: Mapping[str, Any]) -> CustomerFilter | None:
    """What is asked of the customers; `None` for what nobody fulfils."""
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


@routes.add("POST", "/v1/customers")
def _create_customer(store: Store, call: Call, _: str) -> Answer:
    return 200, _shown(store, store.upsert(check_customer(read_json(call), ids=True)))


@routes.add("GET", "/v1/customers/*")
def _get_customer(store: Store, call: Call, key: str) -> Answer:  # noqa: ARG001  # an endpoint
    return 200, _shown(store, store.get(key))


@routes.add("PUT", "/v1/customers/*")
def _update_customer(store: Store, call: Call, key: str) -> Answer:
    changes = check_customer(read_json(call), ids=False)
    return 200, _shown(store, store.update(store.get(key), changes))


@routes.add("DELETE", "/v1/customers/*")
def _delete_customer(store: Store, call: Call, key: str) -> Answer:  # noqa: ARG001  # an endpoint
    store.remove(store.get(key))
    return 204, None


@routes.add("POST", "/v1/customers/*/permanent-deletion")
def _delete_permanently(store: Store, call: Call, key: str) -> Answer:  # noqa: ARG001  # an endpoint
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

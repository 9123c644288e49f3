"""The service's endpoints: a call in, a status and JSON out. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from typing import Any, Final, TypeVar

from voucherify_async.models.base import is_array, is_mapping
from voucherify_async.sandbox.errors import ApiError, bad_query, not_found
from voucherify_async.sandbox.index import CustomerFilter
from voucherify_async.sandbox.jobs import REPORT_PATH, BulkUpdate, CsvImport, MetadataUpdate, csv_rows
from voucherify_async.sandbox.queries import (
    Parser,
    check_customer,
    choice,
    event_type,
    instant,
    instant_or_date,
    integer,
    parse_query,
    redeemable_filter,
    text,
)
from voucherify_async.sandbox.records import UNBOUNDED, Bounds, Event, Job, Record, to_instant
from voucherify_async.sandbox.routing import Answer, Call, Router, read_file, read_form, read_json
from voucherify_async.sandbox.store import Store
from voucherify_async.transport.wire import format_instant

__all__ = ["routes"]

Json = dict[str, Any]
T = TypeVar("T")

routes = Router()
"""Every endpoint of the sandbox."""
_DEFAULT_LIMIT: Final = 10
_SCOPES: Final = frozenset(
    [
        "api",
        "assets",
        "async-actions",
        "campaigns",
        "categories",
        "client_api",
        "client_consents",
        "client_customers",
        "client_events",
        "client_promotions",
        "client_publish",
        "client_qualifications",
        "client_redeem",
        "client_redemptions",
        "client_validate",
        "client_validations",
        "client_vouchers",
        "consents",
        "customers",
        "events",
        "exports",
        "locations",
        "loyalties",
        "metadata-schemas",
        "orders",
        "product-collections",
        "products",
        "promotions",
        "publications",
        "qualifications",
        "redemptions",
        "referrals",
        "rewards",
        "segments",
        "skus",
        "task-results",
        "templates",
        "trash-bin",
        "validation-rules",
        "validation-rules-assignments",
        "validations",
        "vouchers",
    ]
)


# ---------------------------------------------------------------- customers

_LIMIT: Final = {"limit": integer(1, 100)}
_LIST: Final[Mapping[str, Parser]] = {
    **_LIMIT,
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
    limit = query.get("limit", _DEFAULT_LIMIT)
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
        "total": total,
    }
    if after is not None:
        content["has_more"] = len(page) > limit
    return 200, store.quirks.without_omitted(content)


def _shown(store: Store, record: Record) -> Json:
    return store.quirks.without_omitted(record.to_json())


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
    return Bounds(after, before, inclusive=store.quirks.inclusive_bounds)


@routes.add("POST", "/v1/customers")
def _create_customer(store: Store, call: Call, _: str) -> Answer:
    return 200, _shown(store, store.upsert(check_customer(read_json(call), ids=True)))


@routes.add("POST", "/v1/customers/importCSV")
def _import_csv(store: Store, call: Call, _: str) -> Answer:
    work = CsvImport.of(csv_rows(read_file(call)))
    return _receipt(store.schedule("CUSTOMERS.IMPORT_CSV", call.request_id, work))


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


@routes.add("POST", "/v1/customers/bulk/async")
def _update_in_bulk(store: Store, call: Call, _: str) -> Answer:
    customers = read_json(call)
    if not is_array(customers):
        raise ApiError(400, "invalid_payload", "The body must be an array", message="Invalid payload")
    for index, customer in enumerate(customers):
        source_id = customer.get("source_id") if is_mapping(customer) else None
        if not isinstance(source_id, str) or not source_id:
            details = f"Property [{index}].source_id is required"
            raise ApiError(400, "invalid_payload", details, message="Invalid payload")
    return _receipt(store.schedule("CUSTOMERS.BULK_UPDATE", call.request_id, BulkUpdate.of(list(customers))))


@routes.add("POST", "/v1/customers/metadata/async")
def _update_metadata_in_bulk(store: Store, call: Call, _: str) -> Answer:
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
    work = MetadataUpdate(list(source_ids), metadata=dict(metadata))
    return _receipt(store.schedule("CUSTOMERS.METADATA_UPDATE", call.request_id, work))


def _receipt(job: Job) -> Answer:
    return 202, {"async_action_id": job.id}


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


# ---------------------------------------------------------------- lists by id

_ACTIVITY: Final[Mapping[str, Parser]] = {
    **_LIMIT,
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
    # Of these only the first two have a meaning here.
    "order": choice(
        *("created_at", "-created_at", "updated_at", "-updated_at", "type", "-type"),
        *("code", "-code", "campaign", "-campaign", "category", "-category"),
    ),
    "starting_after": instant,
    "product_id": text,
}
_REDEEMABLES: Final[Mapping[str, Parser]] = {
    **_LIMIT,
    "order": choice("id", "-id"),
    "starting_after_id": text,
}


@routes.add("GET", "/v1/customers/*/activity")
def _list_activity(store: Store, call: Call, key: str) -> Answer:
    query = parse_query(call.query, _ACTIVITY)
    return 200, _activity(store.get(key), query)


@routes.add("GET", "/v1/customers/*/activities")
def _list_activities(store: Store, call: Call, key: str) -> Answer:
    query = parse_query(call.query, _ACTIVITIES)
    record = store.get(key)
    total = sum(_event_matches(event, query) for event in record.activity)
    page = _activity(record, query)
    return 200, {"object": "list", "data_ref": "data", "data": page["data"], "total": total}


def _activity(record: Record, query: Mapping[str, Any]) -> Json:
    events = record.activity[::-1] if query.get("order", "-created_at") == "-created_at" else record.activity
    page = _page_by_id(
        events, lambda event: _event_matches(event, query), query, "customer event", attrgetter("id")
    )
    page["data"] = [event.to_json() for event in page["data"]]
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
    held = sorted(store.get(key).redeemables, key=attrgetter("id"), reverse=query.get("order") == "-id")
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
    limit: int = query.get("limit", _DEFAULT_LIMIT)
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


# ---------------------------------------------------------------- async actions


@routes.add("GET", "/v1/async-actions")
def _list_async_actions(store: Store, call: Call, _: str) -> Answer:
    query = parse_query(call.query, {**_LIMIT, "end_date": instant_or_date})
    until = query.get("end_date")
    jobs = [job for job in reversed(store.jobs.values()) if until is None or to_instant(job.created) < until]
    limit = query.get("limit", _DEFAULT_LIMIT)
    return 200, {
        "object": "list",
        "data_ref": "async_actions",
        "async_actions": [job.to_json(store.clock()) for job in jobs[:limit]],
        "has_more": len(jobs) > limit,
    }


@routes.add("GET", "/v1/async-actions/*")
def _get_async_action(store: Store, call: Call, key: str) -> Answer:  # noqa: ARG001  # an endpoint
    job = store.jobs.get(key)
    if job is None:
        raise not_found("async_action", key)
    shown = job.to_json(store.clock())
    if job.result is not None:
        shown["result"] = job.result
        if "reports" in job.result:
            shown["result"] = {**job.result, "reports": [f"{store.base_url}{REPORT_PATH}{job.id}.csv"]}
    return 200, shown


# ---------------------------------------------------------------- oauth


@routes.add("POST", "/v1/oauth/token")
def _create_token(store: Store, call: Call, _: str) -> Answer:
    form = read_form(call)
    if form.get("grant_type") != "client_credentials":
        raise ApiError(400, "invalid_grant_type", message="Invalid grant_type")
    scopes = form.get("scope", "").split()
    if not scopes or not set(scopes) <= _SCOPES:
        raise ApiError(400, "invalid_scope", message=f"Invalid scope: {','.join(scopes)}")
    return 200, _token(store, store.issue_token(" ".join(scopes)).value)


@routes.add("POST", "/v1/oauth/introspect")
def _introspect_token(store: Store, call: Call, _: str) -> Answer:
    value = _token_of(call)
    if store.live_token(value) is None:
        return 200, {"active": False}
    return 200, {**_token(store, value), "active": True}


@routes.add("POST", "/v1/oauth/token/revoke")
def _revoke_token(store: Store, call: Call, _: str) -> Answer:
    token = store.live_token(_token_of(call))
    if token is None:
        return 404, None  # the one error without a body
    store.revoke_token(token)
    return 204, None


def _token_of(call: Call) -> str:
    value = read_form(call).get("access_token")
    if value is None:
        raise ApiError(400, "missing_parameters", message="Missing parameters")
    return value


def _token(store: Store, value: str) -> Json:
    token = store.tokens[value]
    return {
        "access_token": token.value,
        "client_id": "sandbox",
        "expires_at": int(token.expires),
        "expires_in": math.ceil(token.expires - store.clock()),
        "scope": token.scope,
        "token_type": "Bearer",
    }

"""The endpoints that start background jobs, and those that tell what became of them. No I/O."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec

from voucherify_async.models.base import is_array, is_mapping
from voucherify_async.sandbox.errors import ApiError, not_found, too_large
from voucherify_async.sandbox.jobs import REPORT_PATH, BulkUpdate, CsvImport, MetadataUpdate
from voucherify_async.sandbox.queries import (
    DEFAULT_LIMIT,
    LIMIT,
    instant_or_date,
    parse_query,
)
from voucherify_async.sandbox.records import Job, to_instant
from voucherify_async.sandbox.routing import Answer, Call, Router, read_file, read_json
from voucherify_async.sandbox.store import Store

__all__ = ["routes"]

Json = dict[str, Any]
routes = Router()

_MOST_METADATA: Final = 100_000_000
"""In bytes: of one job, for all of its customers together. More would be merged for many seconds."""


@routes.add("POST", "/v1/customers/importCSV")
def _import_csv(store: Store, call: Call, _: str) -> Answer:
    work = CsvImport.of(read_file(call))
    return _receipt(store.schedule("CUSTOMERS.IMPORT_CSV", call.request_id, work))


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
    if len(source_ids) * len(msgspec.json.encode(metadata)) > _MOST_METADATA:
        raise too_large(_MOST_METADATA)
    work = MetadataUpdate(list(source_ids), metadata=dict(metadata))
    return _receipt(store.schedule("CUSTOMERS.METADATA_UPDATE", call.request_id, work))


def _receipt(job: Job) -> Answer:
    return 202, {"async_action_id": job.id}


def _created(job: Job) -> dt.datetime:
    return to_instant(job.created)


@routes.add("GET", "/v1/async-actions")
def _list_async_actions(store: Store, call: Call, _: str) -> Answer:
    query = parse_query(call.query, {**LIMIT, "end_date": instant_or_date})
    until = query.get("end_date")
    listed = store.listed(list(reversed(store.jobs.values())), _created)
    jobs = [job for job in listed if until is None or _created(job) < until]
    limit = query.get("limit", DEFAULT_LIMIT)
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

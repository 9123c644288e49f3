"""The endpoints of async actions. No I/O."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.sandbox._http.routing import ApiCall, EndpointResult, Router
from voucherify_async.sandbox._store.errors import not_found
from voucherify_async.sandbox._store.jobs import REPORT_PATH
from voucherify_async.sandbox._store.records import Job, to_instant
from voucherify_async.sandbox._store.store import Store
from voucherify_async.sandbox._store.validation import (
    DEFAULT_LIMIT,
    LIMIT,
    instant_or_date,
    parse_query,
)

__all__ = ["routes"]

Json = dict[str, Any]
routes = Router()


def _created(job: Job) -> dt.datetime:
    return to_instant(job.created)


@routes.add("async_actions.list", "GET", "/v1/async-actions")
def _list_async_actions(store: Store, call: ApiCall, _: str) -> EndpointResult:
    query = parse_query(call.query, {**LIMIT, "end_date": instant_or_date})
    until = query.get("end_date")
    listed = store.visible(list(reversed(store.jobs.values())), _created)
    jobs = [job for job in listed if until is None or _created(job) < until]
    limit = query.get("limit", DEFAULT_LIMIT)
    return 200, {
        "object": "list",
        "data_ref": "async_actions",
        "async_actions": [job.to_json(store.clock()) for job in jobs[:limit]],
        "has_more": len(jobs) > limit,
    }


@routes.add("async_actions.get", "GET", "/v1/async-actions/*")
def _get_async_action(store: Store, call: ApiCall, key: str) -> EndpointResult:  # noqa: ARG001  # all endpoints share a signature
    job = store.jobs.get(key)
    if job is None:
        raise not_found("async_action", key)
    shown = job.to_json(store.clock())
    if job.result is not None:
        shown["result"] = job.result
        if "reports" in job.result:
            shown["result"] = {**job.result, "reports": [f"{store.base_url}{REPORT_PATH}{job.id}.csv"]}
    return 200, shown

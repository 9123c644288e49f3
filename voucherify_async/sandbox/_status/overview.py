"""The data of the status page: counts, recent requests and jobs, and rate counters. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, unquote_plus

from voucherify_async.sandbox._http.exchanges import Exchange, Exchanges
from voucherify_async.sandbox._http.rate_limits import RateStatus
from voucherify_async.sandbox._http.webhook_queue import WebhookDelivery
from voucherify_async.sandbox._status.settings import Settings, settings_json
from voucherify_async.sandbox._store.records import Job
from voucherify_async.sandbox._store.store import Store

__all__ = ["Overview", "counts_json", "overview_json", "webhooks_json"]

Json = dict[str, Any]

_REQUESTS_SHOWN: Final = 100
_JOBS_SHOWN: Final = 50
_WEBHOOKS_SHOWN: Final = 100
_MAX_TEXT_LENGTH: Final = 500
"""Maximum length of a path or query, in characters; longer ones are truncated."""


class Overview(Settings, Protocol):
    """The attributes of `Sandbox` that the status page shows."""

    app_id: str
    app_token: str
    store: Store
    requests: Exchanges
    webhook_deliveries: deque[WebhookDelivery]


def overview_json(sandbox: Overview, rate_statuses: Iterable[RateStatus], query: str) -> Json:
    """The data of the status page.

    Args:
        sandbox: The sandbox to show.
        rate_statuses: The status of each rate counter; ignored if the sandbox has no rate limit.
        query: Which requests to show, as a query string: ``errors=1`` for those that failed, ``path=`` for those
            whose path or query contains a text, in either case of letters.
    """
    store = sandbox.store
    store.advance()
    now = store.clock()
    requests = islice(_filter(sandbox.requests, query), _REQUESTS_SHOWN)
    return {
        "now": now,
        "app_id": sandbox.app_id,
        "app_token": sandbox.app_token,
        "counts": counts_json(sandbox),
        "requests": [_request(number, exchange) for number, exchange in requests],
        "jobs": [_job(job, now) for job in islice(reversed(store.jobs.values()), _JOBS_SHOWN)],
        "meters": [
            {
                "kind": counter.kind,
                "limit": counter.limit,
                "remaining": counter.remaining,
                "retry_at": counter.retry_at,
            }
            for counter in (() if sandbox.rate_limit is None else rate_statuses)
        ],
        "settings": settings_json(sandbox),
    }


def counts_json(sandbox: Overview) -> Json:
    """How many objects of each kind the sandbox has."""
    store = sandbox.store
    now = store.clock()
    return {
        "customers": len(store.customers),
        "segments": len(store.segments),
        "jobs": len(store.jobs),
        "tokens": sum(token.expires > now for token in store.tokens.values()),
        "requests": sandbox.requests.seen,
    }


def webhooks_json(sandbox: Overview) -> Json:
    """The deliveries of the latest 100 webhooks, newest first, and how many of all are pending."""
    deliveries = sandbox.webhook_deliveries
    return {
        "pending": sum(delivery.state == "pending" for delivery in deliveries),
        "deliveries": [asdict(each) for each in islice(reversed(deliveries), _WEBHOOKS_SHOWN)],
    }


def _filter(exchanges: Exchanges, query: str) -> Iterator[tuple[int, Exchange]]:
    """The matching exchanges with their numbers, newest first."""
    wanted = parse_qs(query)
    errors_only = wanted.get("errors") == ["1"]
    text = "".join(wanted.get("path", ())).casefold()
    for back, exchange in enumerate(reversed(exchanges)):
        if errors_only and not _is_error(exchange):
            continue
        if text and text not in f"{_path(exchange)}?{_query(exchange)}".casefold():
            continue
        yield exchanges.seen - back, exchange


def _is_error(exchange: Exchange) -> bool:
    """Whether the client got an error, a truncated response or none."""
    return exchange.status == 0 or exchange.status >= 400 or exchange.fault == "truncate"


def _request(number: int, exchange: Exchange) -> Json:
    return {
        "number": number,
        "at": exchange.at,
        "method": exchange.method,
        "path": _shorten(_path(exchange)),
        "query": _shorten(_query(exchange)),
        "status": exchange.status,
        "fault": exchange.fault,
        "ms": round(exchange.elapsed * 1000, 3),
    }


def _path(exchange: Exchange) -> str:
    return _displayable(exchange.path)


def _query(exchange: Exchange) -> str:
    return _displayable(unquote_plus(exchange.target.partition("?")[2]))


def _displayable(text: str) -> str:
    # Bytes of a path that are not UTF-8 arrive as surrogates, which JSON cannot represent.
    return text.encode("utf-8", "replace").decode()


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_TEXT_LENGTH else text[: _MAX_TEXT_LENGTH - 1] + "…"


def _job(job: Job, now: float) -> Json:
    shown = job.to_json(now)
    result = job.result or {}
    return {
        "id": job.id,
        "type": job.type,
        "status": shown["status"],
        "progress": shown["progress"],
        "items": len(job.work),
        "created_at": job.created,
        "began_at": None if shown["status"] == "ENQUEUED" else job.began,
        "done": result.get("done_count"),
        "failed": job.work.failed_count,
    }

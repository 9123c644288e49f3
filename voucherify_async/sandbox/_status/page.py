"""The status page: what it shows, what it may change, and who may see it. No I/O.

It needs no credentials, so a page of somebody else's must not get at it: by a name that suddenly leads to
this machine, from a frame, or by a request that a browser sends without asking first.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any, Final, Protocol
from urllib.parse import unquote_plus

import msgspec

from voucherify_async.models.base import is_array, is_mapping
from voucherify_async.sandbox._http.exchanges import Exchange, Exchanges
from voucherify_async.sandbox._http.faults import Faults, Latency, to_range
from voucherify_async.sandbox._http.rate_limits import Quota, RateStatus
from voucherify_async.sandbox._store.records import Job
from voucherify_async.sandbox._store.store import Store

__all__ = ["UNEXPECTED_HOST", "Reply", "is_about_itself", "is_expected_host", "refuse", "reply"]

Json = dict[str, Any]

PREFIX: Final = "/-/"
_STATUS: Final = "/-/status"
_SETTINGS: Final = "/-/settings"
_METHODS: Final = {"/": "GET", _STATUS: "GET", _SETTINGS: "PATCH"}

_REQUESTS_SHOWN: Final = 100
_JOBS_SHOWN: Final = 50
_MAX_SHOWN: Final = 500
"""Characters of a path or query; whoever has sent a longer one knows the rest."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_POLICY: Final = (
    "default-src 'none'",
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class SandboxView(Protocol):
    """A sandbox, as far as it is shown and changed."""

    app_id: str
    app_token: str
    store: Store
    requests: Exchanges
    faults: Faults

    @property
    def latency(self) -> Latency:
        """Seconds that every answer takes longer, or their range."""
        ...

    @property
    def rate_limit(self) -> Quota | None:
        """How many calls it takes."""
        ...


class _Refused(Exception):  # noqa: N818  # it is no error of ours
    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def is_about_itself(path: str) -> bool:
    """Whether a path is the sandbox's own, and no part of the service."""
    return path == "/" or path.startswith(PREFIX)


def reply(
    sandbox: SandboxView,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    hosts: Collection[str],
    readings: Iterable[RateStatus],
    page: Callable[[], str],
) -> Reply:
    """Answer a request for the page or for what it shows, or change what it asks for.

    Args:
        sandbox: What is shown and changed.
        method: HTTP method.
        path: A path that `is_about_itself`.
        headers: Names compare without regard to case.
        body: As it was sent.
        hosts: Names by which the sandbox may be called, in lower case.
        readings: How far the rate limit is used up; not shown if there is none.
        page: The page's HTML.
    """
    try:
        _check_access(method, path, headers, hosts)
        if path == "/":
            html = page()
            own = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _policy(html)}
            return Reply(200, _HEADERS | own, html.encode())
        if path == _SETTINGS:
            for name, value in _read_changes(sandbox, body).items():
                setattr(sandbox, name, value)
            return _json(200, _settings(sandbox))
        return _json(200, _status(sandbox, readings))
    except _Refused as refused:
        return refuse(refused.status, str(refused), refused.headers)


def refuse(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer that it cannot be done, and why."""
    return _json(status, {"message": message}, headers)


def _json(status: int, content: Json, headers: Mapping[str, str] | None = None) -> Reply:
    own = {"Content-Type": "application/json", **(headers or {})}
    return Reply(status, _HEADERS | own, msgspec.json.encode(content))


# ---------------------------------------------------------------- who may see it


def _check_access(method: str, path: str, headers: Mapping[str, str], hosts: Collection[str]) -> None:
    if not is_expected_host(headers.get("Host", ""), hosts):
        raise _Refused(403, UNEXPECTED_HOST)
    expected = _METHODS.get(path)
    if expected is None:
        raise _Refused(404, "There is no such page")
    if method != expected:
        raise _Refused(405, f"Allowed: {expected}", {"Allow": expected})
    if expected == "PATCH":
        # A browser asks before it sends this type to another site, and gets no permission.
        if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise _Refused(415, "The body must be application/json")
        if headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
            raise _Refused(403, "Settings are changed from this sandbox's own page only")


UNEXPECTED_HOST: Final = (
    "Open this by an IP address or as localhost, or allow the name (--allow-host): any other could be a trap"
)


def is_expected_host(given: str, hosts: Collection[str]) -> bool:
    """Whether a `Host` header names this machine in a way that nobody else's name server has a say in.

    Args:
        given: The header.
        hosts: Names that are expected besides, in lower case.
    """
    found = re.fullmatch(r"(?:\[([^]]*)\]|([^:]*))(?::\d*)?", given)
    name = (found[1] or found[2] or "").lower() if found else ""
    if name == "localhost" or name in hosts:
        return bool(name)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1)
def _policy(html: str) -> str:
    """Lets nothing run in the page, and shapes it by nothing, but what it brings itself."""
    own = (" ".join([f"{name}-src", *_digests(html, name)]) for name in ("script", "style"))
    return "; ".join((*_POLICY, *own))


def _digests(html: str, name: str) -> Iterator[str]:
    """Of each element of this name, as a policy wants it."""
    for text in re.findall(rf"<{name}\b[^>]*>(.*?)</{name}>", html, re.DOTALL):
        yield f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# ---------------------------------------------------------------- what is shown


def _status(sandbox: SandboxView, readings: Iterable[RateStatus]) -> Json:
    store, seen = sandbox.store, sandbox.requests.seen
    store.advance()
    now = store.clock()
    requests = islice(reversed(sandbox.requests), _REQUESTS_SHOWN)
    return {
        "now": now,
        "app_id": sandbox.app_id,
        "app_token": sandbox.app_token,
        "counts": {
            "customers": len(store.customers),
            "segments": len(store.segments),
            "jobs": len(store.jobs),
            "tokens": sum(token.expires > now for token in store.tokens.values()),
            "requests": seen,
        },
        "requests": [_request(seen - back, exchange) for back, exchange in enumerate(requests)],
        "jobs": [_job(job, now) for job in islice(reversed(store.jobs.values()), _JOBS_SHOWN)],
        "meters": [
            {
                "kind": reading.kind,
                "limit": reading.limit,
                "remaining": reading.remaining,
                "retry_at": reading.retry_at,
            }
            for reading in (() if sandbox.rate_limit is None else readings)
        ],
        "settings": _settings(sandbox),
    }


def _request(number: int, exchange: Exchange) -> Json:
    return {
        "number": number,
        "at": exchange.at,
        "method": exchange.method,
        "path": _shown(exchange.path),
        "query": _shown(unquote_plus(exchange.target.partition("?")[2])),
        "status": exchange.status,
        "fault": exchange.fault,
        "ms": round(exchange.elapsed * 1000, 3),
    }


def _shown(text: str) -> str:
    # A path may be of any bytes; those that are no UTF-8 come as what JSON cannot hold.
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _job(job: Job, now: float) -> Json:
    shown = job.to_json(now)
    result = job.result or {}
    return {
        "id": job.id,
        "type": job.type,
        "status": shown["status"],
        "progress": shown["progress"],
        "items": len(job.work),
        "done": result.get("done_count"),
        "failed": result.get("failed_count"),
    }


# ---------------------------------------------------------------- what may be changed


def _settings(sandbox: SandboxView) -> Json:
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
    }


def _read_changes(sandbox: SandboxView, body: bytes) -> Json:
    """The attributes of the sandbox that are to be set; all of them can be, or none is."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Refused(400, f"The body is no JSON: {error}") from None
    try:
        return _changes(sandbox.faults, _object("the body", given, _READERS))
    except ValueError as error:
        raise _Refused(400, str(error)) from None


def _changes(faults: Faults, given: Json) -> Json:
    return {name: _READERS[name](faults, value) for name, value in given.items()}


def _read_latency(_: Faults, value: Any) -> Latency:
    return to_range(tuple(value) if is_array(value) else value)


def _read_faults(faults: Faults, value: Any) -> Faults:
    if value is None:
        return Faults()
    given = _object("faults", value, ("reset", "truncate", "status", "stall", "stale_keepalive"))
    if "status" in given:
        given["status"] = {_code(code): chance for code, chance in _object("status", given["status"]).items()}
    return replace(faults, **given)


def _code(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise ValueError(f"status must be by HTTP status, not by {text!r}")
    return int(text)


def _read_rate_limit(_: Faults, value: Any) -> Quota | None:
    if value is None:
        return None
    if not is_mapping(value):
        return Quota(value)
    given = _object("rate_limit", value, ("limit", "period", "fixed"))
    if "limit" not in given:
        raise ValueError("rate_limit must have a limit")
    if not isinstance(given.get("fixed", False), bool):
        raise ValueError(f"fixed must be true or false, not {given['fixed']!r}")
    return Quota(**given)


_READERS: Final[Mapping[str, Callable[[Faults, Any], Any]]] = {
    "latency": _read_latency,
    "faults": _read_faults,
    "rate_limit": _read_rate_limit,
}


def _object(name: str, value: Any, keys: Iterable[str] | None = None) -> Json:
    if not is_mapping(value):
        raise ValueError(f"{name} must be an object, not {value!r}")
    unknown = [] if keys is None else sorted(value.keys() - set(keys))
    if unknown:
        raise ValueError(f"{name} has nothing named {unknown[0]!r}")
    return dict(value)

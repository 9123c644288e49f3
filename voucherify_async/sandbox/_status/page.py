"""The status page and its JSON endpoints: content, settings and access control. No I/O.

The page needs no credentials, so it must not be reachable for other web sites in the user's browser:

- DNS rebinding (another site's host name that resolves to this machine): the Host header is checked.
- Framing: the Content-Security-Policy forbids it.
- Cross-site requests: settings change only with a PATCH of type application/json, for which browsers send a
  preflight request first; the sandbox never grants it. Sec-Fetch-Site is checked as well.
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

__all__ = [
    "UNEXPECTED_HOST",
    "PageResponse",
    "error_response",
    "is_expected_host",
    "is_sandbox_path",
    "respond",
]

Json = dict[str, Any]

PREFIX: Final = "/-/"
_STATUS: Final = "/-/status"
_SETTINGS: Final = "/-/settings"
_METHODS: Final = {"/": "GET", _STATUS: "GET", _SETTINGS: "PATCH"}

_REQUESTS_SHOWN: Final = 100
_JOBS_SHOWN: Final = 50
_MAX_TEXT_LENGTH: Final = 500
"""Maximum length of a path or query, in characters; longer ones are truncated."""

_COMMON_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_CSP_DIRECTIVES: Final = (
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
class PageResponse:
    """An HTTP response, independent of aiohttp."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class SandboxView(Protocol):
    """The attributes of `Sandbox` that the status page shows and changes."""

    app_id: str
    app_token: str
    store: Store
    requests: Exchanges
    faults: Faults

    @property
    def latency(self) -> Latency:
        """The delay of every API response in seconds, or its range."""
        ...

    @property
    def rate_limit(self) -> Quota | None:
        """The rate limit; `None` if there is none."""
        ...


class _RequestError(Exception):
    """A request that is rejected with an HTTP status and a message."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def is_sandbox_path(path: str) -> bool:
    """Whether a path belongs to the sandbox itself and not to the API of the service."""
    return path == "/" or path.startswith(PREFIX)


def respond(
    sandbox: SandboxView,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    hosts: Collection[str],
    rate_statuses: Iterable[RateStatus],
    page: Callable[[], str],
) -> PageResponse:
    """Handle a request for the page, for its data, or for a change of settings.

    Args:
        sandbox: The sandbox to show and change.
        method: HTTP method.
        path: A path for which `is_sandbox_path` is true.
        headers: Request headers, with case-insensitive names.
        body: The body as sent.
        hosts: Accepted host names besides ``localhost`` and IP addresses, in lower case.
        rate_statuses: The status of each rate counter; ignored if the sandbox has no rate limit.
        page: Returns the HTML of the page.
    """
    try:
        _check_access(method, path, headers, hosts)
        if path == "/":
            html = page()
            own = {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": _content_security_policy(html),
            }
            return PageResponse(200, _COMMON_HEADERS | own, html.encode())
        if path == _SETTINGS:
            for name, value in _read_changes(sandbox, body).items():
                setattr(sandbox, name, value)
            return _json(200, _settings(sandbox))
        return _json(200, _status(sandbox, rate_statuses))
    except _RequestError as error:
        return error_response(error.status, str(error), error.headers)


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> PageResponse:
    """An error response with a JSON message."""
    return _json(status, {"message": message}, headers)


def _json(status: int, content: Json, headers: Mapping[str, str] | None = None) -> PageResponse:
    own = {"Content-Type": "application/json", **(headers or {})}
    return PageResponse(status, _COMMON_HEADERS | own, msgspec.json.encode(content))


# ---------------------------------------------------------------- access control


def _check_access(method: str, path: str, headers: Mapping[str, str], hosts: Collection[str]) -> None:
    if not is_expected_host(headers.get("Host", ""), hosts):
        raise _RequestError(403, UNEXPECTED_HOST)
    expected = _METHODS.get(path)
    if expected is None:
        raise _RequestError(404, "There is no such page")
    if method != expected:
        raise _RequestError(405, f"Allowed: {expected}", {"Allow": expected})
    if expected == "PATCH":
        # Browsers send this type to another site only after a preflight request, which the sandbox rejects.
        if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise _RequestError(415, "The body must be application/json")
        if headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
            raise _RequestError(403, "Settings can be changed only from this sandbox's own page")


UNEXPECTED_HOST: Final = (
    "This host name is not allowed, as it could be a DNS rebinding attack:"
    " use an IP address or localhost, or allow the name with --allow-host"
)


def is_expected_host(given: str, hosts: Collection[str]) -> bool:
    """Whether a Host header names an IP address, ``localhost`` or an allowed name. Other names may be DNS rebinding.

    Args:
        given: The Host header.
        hosts: Allowed names, in lower case.
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
def _content_security_policy(html: str) -> str:
    """The Content-Security-Policy: only the page's own inline scripts and styles are allowed."""
    own = (" ".join([f"{name}-src", *_csp_hashes(html, name)]) for name in ("script", "style"))
    return "; ".join((*_CSP_DIRECTIVES, *own))


def _csp_hashes(html: str, name: str) -> Iterator[str]:
    """The CSP source expressions (SHA-256 hashes) of all elements with this tag name."""
    for text in re.findall(rf"<{name}\b[^>]*>(.*?)</{name}>", html, re.DOTALL):
        yield f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# ---------------------------------------------------------------- status


def _status(sandbox: SandboxView, rate_statuses: Iterable[RateStatus]) -> Json:
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
                "kind": counter.kind,
                "limit": counter.limit,
                "remaining": counter.remaining,
                "retry_at": counter.retry_at,
            }
            for counter in (() if sandbox.rate_limit is None else rate_statuses)
        ],
        "settings": _settings(sandbox),
    }


def _request(number: int, exchange: Exchange) -> Json:
    return {
        "number": number,
        "at": exchange.at,
        "method": exchange.method,
        "path": _displayable(exchange.path),
        "query": _displayable(unquote_plus(exchange.target.partition("?")[2])),
        "status": exchange.status,
        "fault": exchange.fault,
        "ms": round(exchange.elapsed * 1000, 3),
    }


def _displayable(text: str) -> str:
    # Bytes of a path that are not UTF-8 arrive as surrogates, which JSON cannot represent.
    text = text.encode("utf-8", "replace").decode()
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
        "done": result.get("done_count"),
        "failed": result.get("failed_count"),
    }


# ---------------------------------------------------------------- settings


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
    """The new values of sandbox attributes, by name. All are validated before any is set."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _RequestError(400, f"The body is not JSON: {error}") from None
    try:
        return _changes(sandbox.faults, _check_object("the body", given, _SETTING_READERS))
    except ValueError as error:
        raise _RequestError(400, str(error)) from None


def _changes(faults: Faults, given: Json) -> Json:
    return {name: _SETTING_READERS[name](faults, value) for name, value in given.items()}


def _read_latency(_: Faults, value: Any) -> Latency:
    return to_range(tuple(value) if is_array(value) else value)


def _read_faults(faults: Faults, value: Any) -> Faults:
    if value is None:
        return Faults()
    given = _check_object("faults", value, ("reset", "truncate", "status", "stall", "stale_keepalive"))
    if "status" in given:
        given["status"] = {
            _to_status(code): chance for code, chance in _check_object("status", given["status"]).items()
        }
    return replace(faults, **given)


def _to_status(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise ValueError(f"status must have HTTP statuses as keys, not {text!r}")
    return int(text)


def _read_rate_limit(_: Faults, value: Any) -> Quota | None:
    if value is None:
        return None
    if not is_mapping(value):
        return Quota(value)
    given = _check_object("rate_limit", value, ("limit", "period", "fixed"))
    if "limit" not in given:
        raise ValueError("rate_limit must have a limit")
    if not isinstance(given.get("fixed", False), bool):
        raise ValueError(f"fixed must be true or false, not {given['fixed']!r}")
    return Quota(**given)


_SETTING_READERS: Final[Mapping[str, Callable[[Faults, Any], Any]]] = {
    "latency": _read_latency,
    "faults": _read_faults,
    "rate_limit": _read_rate_limit,
}


def _check_object(name: str, value: Any, keys: Iterable[str] | None = None) -> Json:
    if not is_mapping(value):
        raise ValueError(f"{name} must be an object, not {value!r}")
    unknown = [] if keys is None else sorted(value.keys() - set(keys))
    if unknown:
        raise ValueError(f"{name} has no field {unknown[0]!r}")
    return dict(value)

"""The status page and its JSON endpoints. No I/O.

| request | does |
|---|---|
| ``GET /`` | the page, with the current settings |
| ``GET /-/status`` | counts, recent requests and jobs, rate counters and settings |
| ``GET /-/requests/<number>`` | the headers and bodies of a request and its response |
| ``GET /-/webhooks`` | the deliveries of the latest webhooks, and how many are pending |
| ``PATCH /-/settings`` | changes latency, faults and the rate limit |
| ``POST /-/failures`` | plans a failure, as `Sandbox.fail_next` does |
| ``DELETE /-/failures`` | drops the planned failures |
| ``POST /-/reset`` | makes everything as it was at the start, as `Sandbox.reset` does |

Where ``GET`` is allowed, so is ``HEAD``, which health checks send: the server leaves out the body of the response.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from voucherify_async.sandbox._http.rate_limits import RateStatus
from voucherify_async.sandbox._status.access import READING, RequestError, check_access
from voucherify_async.sandbox._status.exchange_details import exchange_json, find_exchange
from voucherify_async.sandbox._status.html import render
from voucherify_async.sandbox._status.overview import Overview, counts_json, overview_json, webhooks_json
from voucherify_async.sandbox._status.settings import (
    check_no_fields,
    decode_json,
    read_changes,
    read_failure,
    settings_json,
)

__all__ = ["PageResponse", "error_response", "is_sandbox_path", "respond"]

Json = dict[str, Any]

PREFIX: Final = "/-/"
_STATUS: Final = "/-/status"
_SETTINGS: Final = "/-/settings"
_FAILURES: Final = "/-/failures"
_WEBHOOKS: Final = "/-/webhooks"
_RESET: Final = "/-/reset"
_REQUESTS: Final = "/-/requests/"
METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "/": READING,
    _STATUS: READING,
    _WEBHOOKS: READING,
    _SETTINGS: ("PATCH",),
    _FAILURES: ("POST", "DELETE"),
    _RESET: ("POST",),
}

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


class SandboxView(Overview, Protocol):
    """The attributes of `Sandbox` that the status page shows and changes."""

    @property
    def fail_next(self) -> Callable[..., None]:
        """Plan a failure."""
        ...

    def clear_planned_failures(self) -> None:
        """Drop the planned failures."""
        ...

    def reset(self) -> None:
        """Make everything as it was at the start."""
        ...


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
    query: str = "",
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
        page: Returns the HTML template of the page.
        query: The query string.
    """
    number = re.fullmatch(rf"{_REQUESTS}([0-9]{{1,15}})", path)
    try:
        check_access(method, READING if number else METHODS.get(path, ()), headers, hosts)
        if path == "/":
            return _page(sandbox, page())
        if number:
            return _json(200, _exchange(sandbox, int(number[1])))
        if method not in READING:
            _change(sandbox, method, path, body)
            return _json(200, settings_json(sandbox))
        if path == _WEBHOOKS:
            return _json(200, webhooks_json(sandbox))
        return _json(200, overview_json(sandbox, rate_statuses, query))
    except RequestError as error:
        return error_response(error.status, str(error), error.headers)


def _page(sandbox: SandboxView, template: str) -> PageResponse:
    own = {
        "Content-Type": "text/html; charset=utf-8",
        # Of the template, so that nothing that was inserted into it can run.
        "Content-Security-Policy": _content_security_policy(template),
    }
    html = render(template, settings_json(sandbox), counts_json(sandbox))
    return PageResponse(200, _COMMON_HEADERS | own, html.encode())


def _exchange(sandbox: SandboxView, number: int) -> Json:
    exchange = find_exchange(sandbox.requests, number)
    if exchange is None:
        raise RequestError(404, "The sandbox does not keep this request any more")
    return exchange_json(exchange)


def _change(sandbox: SandboxView, method: str, path: str, body: bytes) -> None:
    """Change the settings, plan a failure, drop the planned ones or reset everything."""
    if method == "DELETE":
        sandbox.clear_planned_failures()
        return
    try:
        given: Any = decode_json(body) if body or path != _RESET else {}
        if path == _RESET:
            check_no_fields(given)
            _reset(sandbox)
            return
        if path == _FAILURES:
            sandbox.fail_next(**read_failure(given))
            return
        for name, value in read_changes(sandbox.faults, given).items():
            setattr(sandbox, name, value)
    except ValueError as error:
        raise RequestError(400, str(error)) from None


def _reset(sandbox: SandboxView) -> None:
    try:
        sandbox.reset()
    except (ValueError, OSError, sqlite3.Error) as error:  # of the file to load or of the state file
        raise RequestError(500, str(error)) from None


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> PageResponse:
    """An error response with a JSON message."""
    return _json(status, {"message": message}, headers)


def _json(status: int, content: Json, headers: Mapping[str, str] | None = None) -> PageResponse:
    own = {"Content-Type": "application/json", **(headers or {})}
    return PageResponse(status, _COMMON_HEADERS | own, msgspec.json.encode(content))


@lru_cache(maxsize=1)
def _content_security_policy(html: str) -> str:
    """The Content-Security-Policy: only the page's own inline scripts and styles are allowed."""
    own = (" ".join([f"{name}-src", *_csp_hashes(html, name)]) for name in ("script", "style"))
    return "; ".join((*_CSP_DIRECTIVES, *own))


def _csp_hashes(html: str, name: str) -> Iterator[str]:
    """The CSP source expressions (SHA-256 hashes) of all elements with this tag name."""
    for text in re.findall(rf"<{name}\b[^>]*>(.*?)</{name}>", html, re.DOTALL):
        yield f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

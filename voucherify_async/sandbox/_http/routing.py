"""Routing of API calls to endpoints, and parsers for request bodies. No I/O."""

from __future__ import annotations

import contextlib
import email
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import msgspec

from voucherify_async._transport.wire import MAX_BODY_BYTES
from voucherify_async.sandbox._store.errors import ApiError, too_large
from voucherify_async.sandbox._store.gc import gc_paused
from voucherify_async.sandbox._store.store import Store
from voucherify_async.sandbox._store.validation import MAX_DEPTH, is_too_deep

__all__ = [
    "ApiCall",
    "Endpoint",
    "EndpointResult",
    "Route",
    "Router",
    "matches",
    "no_such_endpoint",
    "read_file",
    "read_form",
    "read_json",
]

EndpointResult = tuple[int, Any]
"""HTTP status and JSON body; a body of `None` stands for an empty response."""


# These limits keep every request below a second of CPU time; a crafted body of 10 MB would otherwise take minutes.
_MAX_FORM_BYTES: Final = 64 * 1024
"""Maximum size of a form-encoded body, in bytes."""
_MAX_PARTS: Final = 100
"""Maximum number of parts in a multipart body."""
_MAX_PART_HEADERS_BYTES: Final = 4 * 1024
"""Maximum size of all headers of a multipart part, in bytes."""
_GC_PAUSE_BYTES: Final = 256 * 1024
"""JSON bodies above this size, in bytes, are decoded with the garbage collector paused: it would take longer than
the decoder."""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request to the API.

    Attributes:
        method: HTTP method.
        segments: The path, split at slashes, each part decoded.
        query: The decoded query parameters.
        content_type: The ``Content-Type`` header; empty if there is none.
        body: The body as sent.
        request_id: The id that the sandbox assigned to the request.
    """

    method: str
    segments: tuple[str, ...]
    query: Sequence[tuple[str, str]]
    content_type: str
    body: bytes
    request_id: str


Endpoint = Callable[[Store, ApiCall, str], EndpointResult]
"""Handles a call. The third argument is the id in the path, or an empty string if the path has none."""

_ID: Final = "*"


class Route(NamedTuple):
    """An endpoint, its path and its operation.

    Attributes:
        operation: The name of the operation in the client, for example ``customers.get``.
        pattern: The path, split at slashes; ``*`` stands for an id.
        endpoint: The function that handles a call.
    """

    operation: str
    pattern: tuple[str, ...]
    endpoint: Endpoint


class Router:
    """Finds the endpoint for a method and path."""

    def __init__(self, *others: Router) -> None:
        """Create a router with all endpoints of `others`."""
        self.routes: dict[tuple[str, ...], dict[str, Route]] = {}
        for other in others:
            for pattern, methods in other.routes.items():
                self.routes.setdefault(pattern, {}).update(methods)

    def add(self, operation: str, method: str, path: str) -> Callable[[Endpoint], Endpoint]:
        """Register an endpoint for an operation of the client; ``*`` in its path matches an id."""

        def register(endpoint: Endpoint) -> Endpoint:
            pattern = tuple(path.split("/")[1:])
            self.routes.setdefault(pattern, {})[method] = Route(operation, pattern, endpoint)
            return endpoint

        return register

    @property
    def operations(self) -> list[str]:
        """The names of all operations, sorted."""
        return sorted({route.operation for methods in self.routes.values() for route in methods.values()})

    def find(self, method: str, segments: tuple[str, ...]) -> Route | None:
        """The route for a method and a path that was split at slashes; `None` if there is none."""
        matching = (methods for pattern, methods in self.routes.items() if matches(pattern, segments))
        # The first path may lack the method: "importCSV" may also be a source_id.
        return next((methods[method] for methods in matching if method in methods), None)

    def dispatch(self, store: Store, call: ApiCall) -> EndpointResult:
        """Route a call to its endpoint and return the result.

        Raises:
            ApiError: 404 or 405 if there is no endpoint, or the error that the endpoint raised.
        """
        store.advance()
        route = self.find(call.method, call.segments)
        if route is not None:
            key = call.segments[route.pattern.index(_ID)] if _ID in route.pattern else ""
            return route.endpoint(store, call, key)
        allowed = {
            method
            for pattern, methods in self.routes.items()
            if matches(pattern, call.segments)
            for method in methods
        }
        if allowed:
            names = ", ".join(sorted(allowed))
            raise ApiError(405, "method_not_allowed", f"Allowed: {names}", headers={"Allow": names})
        raise no_such_endpoint()


def no_such_endpoint() -> ApiError:
    """The 404 error for an unknown path. It says so, as for example a voucher does not exist either."""
    details = "The sandbox has no such endpoint: it has those of customers, async actions and OAuth only"
    return ApiError(404, "not_found", details, message="Resource not found")


def matches(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Whether a path fits a pattern, both split at slashes; ``*`` in the pattern fits any segment."""
    return len(pattern) == len(segments) and all(
        expected in {_ID, given} for expected, given in zip(pattern, segments, strict=True)
    )


def read_json(call: ApiCall) -> Any:
    """The decoded JSON body.

    Raises:
        ApiError: 400 if the body is not JSON or nested too deeply, 413 if it is too large, 415 for another type.
    """
    _check_size(call.body)
    _check_type(call, "application/json")
    with gc_paused() if len(call.body) > _GC_PAUSE_BYTES else contextlib.nullcontext():
        try:
            body = msgspec.json.decode(call.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(400, "invalid_json", str(error), message="Invalid JSON") from None
        deep = is_too_deep(body)
    if deep:
        details = f"The body is nested deeper than {MAX_DEPTH} levels"
        raise ApiError(400, "invalid_json", details, message="Invalid JSON")
    return body


def read_form(call: ApiCall) -> dict[str, str]:
    """The fields of a form-encoded body; of a repeated field, the last value.

    Raises:
        ApiError: 413 if the body is too large, 415 for another type.
    """
    _check_type(call, "application/x-www-form-urlencoded")
    if len(call.body) > _MAX_FORM_BYTES:
        raise too_large(_MAX_FORM_BYTES)
    fields = parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def read_file(call: ApiCall) -> bytes:
    """The content of the part named ``file`` in a multipart body.

    Raises:
        ApiError: 400 if there is no such part or the body is malformed, 413 if it is too large, 415 for another type.
    """
    _check_type(call, "multipart/form-data")
    content = next(_iter_files(call), None)
    if content is None:
        raise _invalid_payload("missing_file", "The body must have a part named file")
    _check_size(content)
    return content


def _iter_files(call: ApiCall) -> Iterator[bytes]:
    """The contents of all parts named ``file`` in a multipart body."""
    boundary = email.message_from_string(f"Content-Type: {call.content_type}").get_boundary()
    if not boundary:
        raise _invalid_payload("invalid_body", "The Content-Type must have a boundary")
    name = re.escape(boundary.encode("utf-8", "surrogateescape"))
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + name + rb"(?:--)?[ \t]*(?=\r?\n|\Z)")
    # The preamble before the first delimiter and the epilogue after the last are not parts.
    parts = delimiter.split(call.body, _MAX_PARTS + 2)[1:-1]
    if len(parts) > _MAX_PARTS:
        raise _invalid_payload("invalid_body", f"The body must not have more than {_MAX_PARTS} parts")
    for part in parts:
        head, *content = re.split(rb"\r?\n\r?\n", part, maxsplit=1)
        if len(head) > _MAX_PART_HEADERS_BYTES:
            raise _invalid_payload(
                "invalid_body", f"The headers of a part must not exceed {_MAX_PART_HEADERS_BYTES} bytes"
            )
        fields = email.message_from_bytes(head.strip())
        if content and fields.get_param("name", header="content-disposition") == "file":
            yield content[0]


def _invalid_payload(key: str, details: str) -> ApiError:
    return ApiError(400, key, details, message="Invalid payload")


def _check_type(call: ApiCall, expected: str) -> None:
    if call.content_type.partition(";")[0].strip().lower() != expected:
        raise ApiError(415, "unsupported_media_type", f"The body must be {expected}")


def _check_size(content: bytes) -> None:
    if len(content) > MAX_BODY_BYTES:
        raise too_large()

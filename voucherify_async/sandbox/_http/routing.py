"""Requests taken apart, and the endpoints found for them. No I/O."""

from __future__ import annotations

import contextlib
import email
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from voucherify_async._transport.wire import MAX_BODY_BYTES
from voucherify_async.sandbox._store.errors import ApiError, too_large
from voucherify_async.sandbox._store.gc import gc_paused
from voucherify_async.sandbox._store.store import Store
from voucherify_async.sandbox._store.validation import DEEPEST, is_deep

__all__ = ["ApiCall", "Endpoint", "EndpointResult", "Router", "read_file", "read_form", "read_json"]

EndpointResult = tuple[int, Any]
"""Status and JSON body; `None` for no body."""


# Any request is answered within a second of CPU. Without these, 10 MB of the wrong kind would take minutes.
_MAX_FORM: Final = 64 * 1024
"""In bytes."""
_MAX_PARTS: Final = 100
"""Parts of a multipart body."""
_MAX_PART_HEAD: Final = 4 * 1024
"""In bytes: all headers of a part."""
_LARGE: Final = 256 * 1024
"""In bytes: from here on, JSON may be so many objects that the garbage collector takes longer than the decoder."""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request, taken apart.

    Attributes:
        method: HTTP method.
        segments: The path, cut at its slashes, each part decoded.
        query: The decoded parameters.
        content_type: Of the body.
        body: As it was sent.
        request_id: The id that this request got.
    """

    method: str
    segments: tuple[str, ...]
    query: Sequence[tuple[str, str]]
    content_type: str
    body: bytes
    request_id: str


Endpoint = Callable[[Store, ApiCall, str], EndpointResult]
"""Answers a call; the third argument is the part of the path that is an id, if one is."""

_ANY: Final = "*"


class Router:
    """Endpoints, by method and path; those of others among them."""

    def __init__(self, *others: Router) -> None:
        self.methods_of: dict[tuple[str, ...], dict[str, Endpoint]] = {}
        for other in others:
            for pattern, methods in other.methods_of.items():
                self.methods_of.setdefault(pattern, {}).update(methods)

    def add(self, method: str, path: str) -> Callable[[Endpoint], Endpoint]:
        """Register an endpoint; ``*`` in its path stands for an id."""

        def register(endpoint: Endpoint) -> Endpoint:
            self.methods_of.setdefault(tuple(path.split("/")[1:]), {})[method] = endpoint
            return endpoint

        return register

    def answer(self, store: Store, call: ApiCall) -> EndpointResult:
        """What the service answers to a call.

        Raises:
            ApiError: The answer is an error.
        """
        store.advance()
        allowed: set[str] = set()
        for pattern, methods in self.methods_of.items():
            if not _fits(pattern, call.segments):
                continue
            if call.method in methods:
                key = call.segments[pattern.index(_ANY)] if _ANY in pattern else ""
                return methods[call.method](store, call, key)
            allowed |= methods.keys()  # a customer may have the source id "importCSV": look on
        if allowed:
            names = ", ".join(sorted(allowed))
            raise ApiError(405, "method_not_allowed", f"Allowed: {names}", headers={"Allow": names})
        raise ApiError(404, "not_found", "There is no such endpoint", message="Resource not found")


def _fits(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    return len(pattern) == len(segments) and all(
        expected in {_ANY, given} for expected, given in zip(pattern, segments, strict=True)
    )


def read_json(call: ApiCall) -> Any:
    """The JSON body."""
    _check_size(call.body)
    _check_type(call, "application/json")
    with gc_paused() if len(call.body) > _LARGE else contextlib.nullcontext():
        try:
            body = msgspec.json.decode(call.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(400, "invalid_json", str(error), message="Invalid JSON") from None
        deep = is_deep(body)
    if deep:
        details = f"The body is nested deeper than {DEEPEST} levels"
        raise ApiError(400, "invalid_json", details, message="Invalid JSON")
    return body


def read_form(call: ApiCall) -> dict[str, str]:
    """The fields of a form-encoded body."""
    _check_type(call, "application/x-www-form-urlencoded")
    if len(call.body) > _MAX_FORM:
        raise too_large(_MAX_FORM)
    fields = parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def read_file(call: ApiCall) -> bytes:
    """The part of a multipart body that is named ``file``."""
    _check_type(call, "multipart/form-data")
    content = next(_files_in(call), None)
    if content is None:
        raise _bad_form("missing_file", "The body must have a part named file")
    _check_size(content)
    return content


def _files_in(call: ApiCall) -> Iterator[bytes]:
    """The content of each part that is named ``file``."""
    boundary = email.message_from_string(f"Content-Type: {call.content_type}").get_boundary()
    if not boundary:
        raise _bad_form("invalid_body", "The Content-Type must have a boundary")
    name = re.escape(boundary.encode("utf-8", "surrogateescape"))
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + name + rb"(?:--)?[ \t]*(?=\r?\n|\Z)")
    # What comes before the first delimiter and after the last is no part.
    parts = delimiter.split(call.body, _MAX_PARTS + 2)[1:-1]
    if len(parts) > _MAX_PARTS:
        raise _bad_form("invalid_body", f"The body must not have more than {_MAX_PARTS} parts")
    for part in parts:
        head, *content = re.split(rb"\r?\n\r?\n", part, maxsplit=1)
        if len(head) > _MAX_PART_HEAD:
            raise _bad_form("invalid_body", f"The headers of a part must not exceed {_MAX_PART_HEAD} bytes")
        fields = email.message_from_bytes(head.strip())
        if content and fields.get_param("name", header="content-disposition") == "file":
            yield content[0]


def _bad_form(key: str, details: str) -> ApiError:
    return ApiError(400, key, details, message="Invalid payload")


def _check_type(call: ApiCall, expected: str) -> None:
    if call.content_type.partition(";")[0].strip().lower() != expected:
        raise ApiError(415, "unsupported_media_type", f"The body must be {expected}")


def _check_size(content: bytes) -> None:
    if len(content) > MAX_BODY_BYTES:
        raise too_large()

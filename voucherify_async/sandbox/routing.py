"""Requests taken apart, and the endpoints found for them. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from voucherify_async.sandbox.errors import ApiError, too_large
from voucherify_async.sandbox.queries import DEEPEST, is_deep
from voucherify_async.sandbox.store import Store
from voucherify_async.transport.wire import MAX_BODY_BYTES

__all__ = ["Answer", "Call", "Endpoint", "Router", "read_file", "read_form", "read_json"]

Answer = tuple[int, Any]
"""Status and JSON body; `None` for no body."""


_MOST_PARTS: Final = 5_000
"""Parts of a multipart body. So many take half a second of CPU."""


@dataclass(frozen=True, slots=True)
class Call:
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


Endpoint = Callable[[Store, Call, str], Answer]
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

    def answer(self, store: Store, call: Call) -> Answer:
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


def read_json(call: Call) -> Any:
    """The JSON body."""
    _check_size(call.body)
    _check_type(call, "application/json")
    try:
        body = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "invalid_json", str(error), message="Invalid JSON") from None
    if is_deep(body):
        details = f"The body is nested deeper than {DEEPEST} levels"
        raise ApiError(400, "invalid_json", details, message="Invalid JSON")
    return body


def read_form(call: Call) -> dict[str, str]:
    """The fields of a form-encoded body."""
    _check_type(call, "application/x-www-form-urlencoded")
    _check_size(call.body)
    fields = parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def read_file(call: Call) -> bytes:
    """The part of a multipart body that is named ``file``."""
    _check_type(call, "multipart/form-data")
    head = b"Content-Type: " + call.content_type.encode("utf-8", "replace") + b"\r\n\r\n"
    # Whatever the boundary, and however parts are nested, each begins with a line like this.
    if call.body.count(b"\n--") + call.body.count(b"\r--") > _MOST_PARTS:
        details = f"The body must not have more than {_MOST_PARTS} parts"
        raise ApiError(400, "invalid_body", details, message="Invalid payload")
    try:
        content = _file_in(head + call.body)
    except Exception:  # noqa: BLE001  # the parser of headers raises many kinds for those that are damaged
        details = "The body, or a header of a part, cannot be read"
        raise ApiError(400, "invalid_body", details, message="Invalid payload") from None
    if content is not None:
        _check_size(content)
        return content
    raise ApiError(400, "missing_file", "The body must have a part named file", message="Invalid payload")


def _file_in(message: bytes) -> bytes | None:
    for part in BytesParser(policy=policy.HTTP).parsebytes(message).iter_parts():
        if part.get_param("name", header="content-disposition") == "file":
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                return content
    return None


def _check_type(call: Call, expected: str) -> None:
    if call.content_type.partition(";")[0].strip().lower() != expected:
        raise ApiError(415, "unsupported_media_type", f"The body must be {expected}")


def _check_size(content: bytes) -> None:
    if len(content) > MAX_BODY_BYTES:
        raise too_large()

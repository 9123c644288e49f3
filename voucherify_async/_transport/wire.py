"""The wire format: encodes arguments as paths, queries and bodies; decodes responses to results or errors. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from functools import partial
from http import HTTPStatus
from types import NoneType
from typing import Any, Final, NamedTuple, NoReturn, TypeGuard, TypeVar, cast
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET

from voucherify_async._transport.operation import Body, Operation, Query, RawResponse
from voucherify_async._transport.rate_limit import limit_kind, server_wait
from voucherify_async.errors import (
    APIStatusError,
    DecodeError,
    RateLimitError,
    status_error_class,
)
from voucherify_async.models._json import decode_json, is_array, is_mapping
from voucherify_async.models.base import as_utc

__all__ = [
    "JSON",
    "MAX_BODY_BYTES",
    "PLAIN_TYPES",
    "FilePart",
    "check_aware",
    "check_strings",
    "decode",
    "decode_by",
    "decode_error",
    "drop_empty",
    "encode_content",
    "encode_form",
    "encode_json",
    "encode_json_array",
    "encode_multipart",
    "encode_path",
    "encode_query",
    "format_instant",
    "is_flat",
    "json_value",
    "request_id_of",
    "status_error",
]

T = TypeVar("T")

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
"""The service's limit on request bodies; it rejects larger ones with status 413."""

JSON: Final = "application/json"
"""The content type of most request bodies."""

PLAIN_TYPES: Final = frozenset({str, int, bool, NoneType})
"""Types that need no conversion to JSON. Subclasses of them do."""

_TEXT: Final = frozenset({str})
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]*")
_encode: Final = msgspec.json.Encoder().encode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode

_BODY_EXCERPT: Final = 500
_MAX_BODY_SEARCH: Final = 64 * 1024
"""Bytes of an undecodable body that are searched for secrets before an excerpt is kept."""

_MAX_TEXT: Final = 4 * 1024
"""Characters that an error keeps of each text in a response; the service may send texts of any length."""
_MILLISECOND: Final = 1_000  # in microseconds; the precision that the service is known to keep


class FilePart(NamedTuple):
    """A file in a multipart body."""

    filename: str
    content: bytes
    content_type: str


# ---------------------------------------------------------------- requests


def encode_path(template: str, parameters: Mapping[str, str]) -> str:
    """Fill in a path template; each value is percent-encoded as one segment.

    Raises:
        ValueError: A value is not a string that can be a path segment; names the parameter.
    """
    try:
        return template.format_map({name: _segment(name, value) for name, value in parameters.items()})
    except KeyError as error:
        raise ValueError(f"the path parameter {error} is missing for {template!r}") from None


def _segment(name: str, value: str) -> str:
    # Clients and proxies resolve "." and ".." segments, which would address another resource.
    if not isinstance(value, str) or value in {"", ".", ".."}:
        raise ValueError(f"{name} must be a non-empty string other than '.' and '..', not {value!r}")
    return quote(_check_encodable(name, value), safe="")


def encode_query(query: Query) -> str:
    """Encode a query string; nested values in bracket notation, such as ``created_at[before]`` or ``ids[0]``.

    `None` and `UNSET` are omitted.

    Raises:
        ValueError: A value cannot be encoded in a query; names the parameter.
    """
    _check_mapping("query", query)
    try:
        return "&".join([pair for name, value in query.items() for pair in _pairs(name, value)])
    except RecursionError:
        pass
    raise ValueError("query is nested too deeply")


def _check_mapping(name: str, value: object) -> None:
    if not is_mapping(value):
        raise ValueError(f"{name} must be a mapping, not {type(value).__name__}")
    bad = next((key for key in value if not isinstance(key, str)), None)
    if bad is not None:
        raise ValueError(f"{name} must have string keys, not {bad!r}")


def check_strings(name: str, value: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return a mapping of strings to strings unchanged; `None` becomes an empty one.

    Raises:
        ValueError: The value is not such a mapping; names the invalid key.
    """
    if value is None:
        return {}
    _check_mapping(name, value)
    for key, item in value.items():
        if not isinstance(item, str):
            raise ValueError(f"{name}.{key} must be a string, not {item!r}")
    return value


def _pairs(name: str, value: Any) -> list[str]:
    match value:
        case None | msgspec.UnsetType():
            return []
        case str():
            text = _quote(_check_encodable(name, value))
        case bool():
            text = "true" if value else "false"
        case float() if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, not {value!r}")
        case int() | float():
            text = _quote(str(value))
        case dt.datetime():
            text = format_instant(check_aware(name, value)).replace(":", "%3A")
        case dt.date():
            text = value.isoformat()
        case _ if is_mapping(value):
            return [pair for key, item in value.items() for pair in _pairs(f"{name}[{key}]", item)]
        case _ if is_array(value):
            return [pair for index, item in enumerate(value) for pair in _pairs(f"{name}[{index}]", item)]
        case _:
            raise ValueError(f"{name} cannot be encoded in a query: {value!r}")
    return [_quote(name) + "=" + text]  # no f-string: it would format an enum member differently


def drop_empty(query: Query) -> Query:
    """The query without `None` values and empty mappings, at every level."""
    found = {name: drop_empty(value) if is_mapping(value) else value for name, value in query.items()}
    return {name: value for name, value in found.items() if value is not None and value != {}}


def _quote(text: str) -> str:
    # Most values are plain words and numbers, and a match is faster than `quote`.
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def _check_encodable(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} has characters that cannot be encoded: {value!r}") from None
    return value


def check_aware(name: str, value: dt.datetime) -> dt.datetime:
    """Return a timezone-aware `datetime` unchanged; a naive one would be ambiguous.

    Raises:
        ValueError: It is not a timezone-aware `datetime`; names the argument.
    """
    if not isinstance(value, dt.datetime) or value.utcoffset() is None:
        raise ValueError(f"{name} must be a timezone-aware datetime, not {value!r}")
    try:
        value.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError(f"{name} must be within the years 1 to 9999 in UTC, not {value!r}") from None
    return value


def format_instant(value: dt.datetime) -> str:
    """Format as ISO 8601 in UTC, with milliseconds like the service, or microseconds if there are any."""
    precision = "microseconds" if value.microsecond % _MILLISECOND else "milliseconds"
    return as_utc(value).isoformat(timespec=precision).replace("+00:00", "Z")


def is_flat(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a plain `dict` with values of `PLAIN_TYPES` only, so that it needs no conversion."""
    items: Any = value  # an annotation, because `cast` would be a function call
    return (
        type(value) is dict
        and PLAIN_TYPES.issuperset(map(type, items.values()))
        and _TEXT.issuperset(map(type, items))
    )


def json_value(name: str, value: Any) -> Any:
    """Convert a value to the plain types of JSON.

    Raises:
        ValueError: The value cannot be represented in JSON; names its position.
    """
    try:
        return _json_value(name, value)
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None


def _properties(value: Any) -> Any:
    """The properties of a struct or a dataclass as a mapping; anything else as it is."""
    if isinstance(value, msgspec.Struct):
        fields = ((field.encode_name, getattr(value, field.name)) for field in msgspec.structs.fields(value))
        return {key: item for key, item in fields if item is not UNSET}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return value


def _json_value(name: str, value: Any) -> Any:
    if is_flat(value):
        return value
    value = _properties(value)
    if is_mapping(value):
        return {
            _json_key(name, key): item if type(item) in PLAIN_TYPES else _json_value(f"{name}.{key}", item)
            for key, item in value.items()
        }
    if is_array(value):
        return [_json_value(f"{name}[{index}]", item) for index, item in enumerate(value)]
    match value:
        case None | bool():
            return value
        # msgspec encodes these types, but not their subclasses.
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            # msgspec would write null for NaN and infinities.
            return float(value) if math.isfinite(value) else _raise_not_json(name, value)
        case dt.datetime():
            return format_instant(check_aware(name, value))
        case bytes() | bytearray() | memoryview() | set() | frozenset() | dt.timedelta():
            # msgspec would encode them in a form that the API does not define.
            return _raise_not_json(name, value)
        case decimal.Decimal() if not value.is_finite():
            return _raise_not_json(name, value)
        case _:
            return _json_value(name, _to_builtins(name, value))


def _to_builtins(name: str, value: Any) -> Any:
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError):
        return _raise_not_json(name, value)


def _json_key(name: str, key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{name} has the key {key!r}; keys must be strings in JSON")
    return str.__str__(key)


def _raise_not_json(name: str, value: Any) -> NoReturn:
    raise ValueError(f"{name} cannot be represented in JSON: {value!r}")


def encode_json_array(name: str, items: Iterable[Any]) -> Body:
    """Encode a JSON array item by item, so that a body that is too large is rejected before it is complete.

    Raises:
        ValueError: An item has text with lone surrogates, or the body is larger than `MAX_BODY_BYTES`.
    """
    parts: list[bytes] = []
    size = 1
    for index, item in enumerate(items):
        parts.append(encode_json(f"{name}[{index}]", item).content)
        size += len(parts[-1]) + 1
        if size > MAX_BODY_BYTES:
            raise ValueError(_too_large(name, f"more than {MAX_BODY_BYTES:,}"))
    return Body(b"[" + b",".join(parts) + b"]", JSON)


def encode_json(name: str, value: Any, *, sort_keys: bool = False) -> Body:
    """Encode a JSON body. `UNSET` properties are omitted.

    Raises:
        ValueError: It has text with lone surrogates, or is larger than `MAX_BODY_BYTES`; names the argument.
    """
    try:
        content = _encode_sorted(value) if sort_keys else _encode(value)
    except UnicodeEncodeError:
        raise ValueError(f"{name} has text with lone surrogates, which JSON cannot represent") from None
    return Body(_check_size(name, content), JSON)


def encode_content(name: str, content: bytes) -> Body:
    """Make a body of bytes that are encoded already.

    Raises:
        ValueError: It is not bytes, or larger than `MAX_BODY_BYTES`; names the argument.
    """
    return Body(_check_size(name, _bytes(name, content)), "application/octet-stream")


def _bytes(name: str, content: object) -> bytes:
    if not isinstance(content, bytes | bytearray | memoryview):
        raise ValueError(f"{name} must be bytes, not {type(content).__name__}")
    return bytes(cast("bytes", content))  # no copy if it is bytes


def encode_form(form: Mapping[str, str] | None) -> Body:
    """Encode a form body (``application/x-www-form-urlencoded``)."""
    fields = {name: _check_encodable(name, value) for name, value in check_strings("form", form).items()}
    return Body(urlencode(fields).encode("ascii"), "application/x-www-form-urlencoded")


def encode_multipart(files: Mapping[str, FilePart], form: Mapping[str, str] | None = None) -> Body:
    """Encode a multipart body: the fields of `form`, then the files.

    Raises:
        ValueError: A file is larger than `MAX_BODY_BYTES`; names its part.
    """
    parts: list[tuple[str, str | None, bytes]] = [
        (f'form-data; name="{_escape(name)}"', None, _check_encodable(name, value).encode())
        for name, value in check_strings("form", form).items()
    ]
    parts += [
        (
            f'form-data; name="{_escape(name)}"; filename="{_escape(_check_encodable(name, file.filename))}"',
            file.content_type,
            _check_size(name, file.content),
        )
        for name, file in files.items()
    ]
    # A digest of the content practically cannot occur in the content.
    boundary = hashlib.sha256(b"".join(content for *_, content in parts)).hexdigest().encode()
    lines: list[bytes] = []
    for disposition, content_type, content in parts:
        lines += [b"--" + boundary, b"Content-Disposition: " + disposition.encode()]
        if content_type is not None:
            lines.append(b"Content-Type: " + content_type.encode())
        lines += [b"", content]
    lines += [b"--" + boundary + b"--", b""]
    return Body(b"\r\n".join(lines), f"multipart/form-data; boundary={boundary.decode()}")


def _escape(text: str) -> str:
    """Escape a name like browsers do (WHATWG, "multipart/form-data encoding algorithm")."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _check_size(name: str, content: bytes) -> bytes:
    if len(content) > MAX_BODY_BYTES:
        raise ValueError(_too_large(name, f"{len(content):,}"))
    return content


def _too_large(name: str, count: str) -> str:
    return f"{name} has {count} bytes; the service accepts at most {MAX_BODY_BYTES:,}"


# ---------------------------------------------------------------- responses


def decode(operation: Operation[Any], response: RawResponse) -> Any:
    """Decode the body of a successful response to the operation's type.

    Raises:
        DecodeError: The body does not match that type.
    """
    into = operation.into
    if into is NoneType or (into is Any and not response.body):
        return None
    if into is bytes:
        return response.body
    return decode_by(operation.decoder, operation, response)


def decode_by(decoder: msgspec.json.Decoder[T], operation: Operation[Any], response: RawResponse) -> T:
    """Decode the body of a successful response with a given decoder.

    Raises:
        DecodeError: The body does not match the decoder's type.
    """
    is_mismatch = False
    try:
        return decode_json(decoder, response.body)
    except msgspec.ValidationError as error:
        problem, is_mismatch = str(error), True
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = f"the response is not JSON: {error}"
    except RecursionError:
        problem = "the response is nested too deeply"
    # Not in the except blocks: the traceback of a `__context__` would show the whole body.
    if is_mismatch:
        raise _mismatch_error(operation, response, problem)
    raise decode_error(operation, response, problem)


def _mismatch_error(operation: Operation[Any], response: RawResponse, problem: str) -> DecodeError:
    """The error for JSON of another type, with the id of the object that it is about.

    Not in the function that raises it: error reporters show the local variables of a traceback.
    """
    identity = None if operation.confidential else _object_id(response.body)
    which = "" if identity is None else f" (id {identity})"
    text = f"the response{which} does not match the expected type: {problem}"
    return decode_error(operation, response, text, item_id=identity)


class _WithId(msgspec.Struct):
    id: str | None = None


_WITH_ID: Final = msgspec.json.Decoder(_WithId)


def _object_id(body: bytes) -> str | None:
    """The id of the object in a body; `None` if it has none."""
    try:
        return _WITH_ID.decode(body).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def decode_error(
    operation: Operation[Any],
    response: RawResponse,
    problem: str,
    *,
    item_id: str | None = None,
    position: int | None = None,
) -> DecodeError:
    """The error for a response that does not match the expected type."""
    return DecodeError(
        response.secrets.excerpt(problem, _MAX_TEXT),
        status=response.status,
        body="" if operation.confidential else _body_excerpt(response),
        item_id=_safe_text(response, item_id),
        position=position,
        operation=operation.name,
        request_id=request_id_of(response),
        may_have_been_applied=not operation.reads,
    )


def _body_excerpt(response: RawResponse) -> str:
    """The beginning of a body as text."""
    text = response.body[:_MAX_BODY_SEARCH].decode("utf-8", "replace")
    return response.secrets.excerpt(text, _BODY_EXCERPT)


class _ErrorBody(msgspec.Struct):
    """An error body in any known format. Any property may be missing or have an unexpected type."""

    code: Any = None
    key: Any = None
    message: Any = None
    details: Any = None
    request_id: Any = None
    resource_id: Any = None
    resource_type: Any = None
    error: Any = None

    def custom_message(self) -> str | None:
        return _text(self.error.get("message")) if is_mapping(self.error) else None


_ERROR_BODY: Final = msgspec.json.Decoder(_ErrorBody)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _safe_text(response: RawResponse, value: Any) -> str | None:
    return None if (text := _text(value)) is None else response.secrets.excerpt(text, _MAX_TEXT)


def _safe_details(response: RawResponse, details: Any) -> Any:
    """The details of an error without secrets; as the beginning of their JSON if they are large."""
    if details is None or isinstance(details, str):
        return _safe_text(response, details)
    text = msgspec.json.encode(details).decode()
    if len(text) > _MAX_TEXT:
        return response.secrets.excerpt(text, _MAX_TEXT)
    return _redacted(response, details)


def _redacted(response: RawResponse, value: Any) -> Any:
    if isinstance(value, str):
        return response.secrets.redact(value)
    if is_array(value):
        return [_redacted(response, item) for item in value]
    if is_mapping(value):
        return {response.secrets.redact(key): _redacted(response, item) for key, item in value.items()}
    return value


def status_error(operation: Operation[Any], response: RawResponse, *, now: float) -> APIStatusError:
    """The error for a response whose status is not a success.

    Args:
        operation: The operation that was called.
        response: The response.
        now: Epoch seconds, to convert absolute times in headers to waits.
    """
    try:
        body = decode_json(_ERROR_BODY, response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = _ErrorBody()  # such as HTML from a proxy, or an empty body
    text_of = partial(_safe_text, response)
    message = (
        body.custom_message()
        or text_of(body.message)
        or text_of(body.error)
        or _reason_phrase(response.status)
    )
    error = status_error_class(response.status)(
        response.secrets.excerpt(message, _MAX_TEXT),
        status=response.status,
        code=body.code if isinstance(body.code, int) else None,
        key=text_of(body.key),
        details=_safe_details(response, body.details),
        body="" if operation.confidential else _body_excerpt(response),
        resource_id=text_of(body.resource_id),
        resource_type=text_of(body.resource_type),
        operation=operation.name,
        request_id=request_id_of(response) or text_of(body.request_id),
        # A 4xx means that the service refused the request; a 5xx or a redirect leaves open whether it was applied.
        may_have_been_applied=not operation.reads and not 400 <= response.status < 500,
    )
    if isinstance(error, RateLimitError):
        error.retry_after = server_wait(response.headers, now)
        error.kind = limit_kind(response.headers)
    return error


def request_id_of(response: RawResponse) -> str | None:
    """The service's id of the request, from the response headers."""
    text = response.headers.get("X-Request-Id")
    return response.secrets.redact(text) if text else None


def _reason_phrase(status: int) -> str:
    if 300 <= status < 400:
        return "redirect not followed, because the credentials would be sent to another URL"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"

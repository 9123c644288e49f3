"""Arguments to bytes, and bytes to results or errors. Pure.

Everything that HTTP means to this package is here: paths, queries and bodies on the way out, statuses and
bodies on the way in.
"""

from __future__ import annotations

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
from voucherify_async.models.base import as_utc, decode_json, is_array, is_mapping

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
    "encode_content",
    "encode_form",
    "encode_json",
    "encode_json_array",
    "encode_multipart",
    "encode_path",
    "encode_query",
    "format_instant",
    "given",
    "is_flat",
    "json_value",
    "request_id_of",
    "status_error",
]

T = TypeVar("T")

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
"""The service's limit on request bodies; it answers 413 above it."""

JSON: Final = "application/json"
"""The content type of nearly all bodies."""

PLAIN_TYPES: Final = frozenset({str, int, bool, NoneType})
"""What most JSON is made of, and needs no look; what is derived from these does."""

_TEXT: Final = frozenset({str})
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]*")
_encode: Final = msgspec.json.Encoder().encode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode

_BODY_EXCERPT: Final = 500
_MAX_BODY_SEARCH: Final = 64 * 1024
"""Bytes of a body that is no answer which are looked through for secrets, for the excerpt that is kept."""

_MAX_TEXT: Final = 4 * 1024
"""Characters that an error keeps of each text of an answer, of which the service may make any number."""
_MILLISECOND: Final = 1_000  # microseconds; what the service is sure to tell apart


class FilePart(NamedTuple):
    """A file of a multipart body."""

    filename: str
    content: bytes
    content_type: str


# ---------------------------------------------------------------- out


def encode_path(template: str, parameters: Mapping[str, str]) -> str:
    """Fill a path template, each value percent-encoded as one segment.

    Raises:
        ValueError: A value is not a string that can be one segment of a path; names the parameter.
    """
    try:
        return template.format_map({name: _segment(name, value) for name, value in parameters.items()})
    except KeyError as error:
        raise ValueError(f"the path parameter {error} is missing for {template!r}") from None


def _segment(name: str, value: str) -> str:
    # "." and ".." would be resolved away by whatever is in between, and then mean another resource.
    if not isinstance(value, str) or value in {"", ".", ".."}:
        raise ValueError(f"{name} must be a non-empty string other than '.' and '..', not {value!r}")
    return quote(_encodable(name, value), safe="")


def encode_query(query: Query) -> str:
    """A query string; nested values as deep objects, such as ``created_at[before]`` or ``ids[0]``.

    `None` and `UNSET` are left out.

    Raises:
        ValueError: A value that has no place in a query; names the parameter.
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
        raise ValueError(f"{name} must have names that are strings, not {bad!r}")


def check_strings(name: str, value: Mapping[str, str] | None) -> Mapping[str, str]:
    """A mapping of strings to strings; `None` is an empty one.

    Raises:
        ValueError: It is something else; names where.
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
            text = _quoted(_encodable(name, value))
        case bool():
            text = "true" if value else "false"
        case float() if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, not {value!r}")
        case int() | float():
            text = _quoted(str(value))
        case dt.datetime():
            text = format_instant(check_aware(name, value)).replace(":", "%3A")
        case dt.date():
            text = value.isoformat()
        case _ if is_mapping(value):
            return [pair for key, item in value.items() for pair in _pairs(f"{name}[{key}]", item)]
        case _ if is_array(value):
            return [pair for index, item in enumerate(value) for pair in _pairs(f"{name}[{index}]", item)]
        case _:
            raise ValueError(f"{name} cannot be sent in a query: {value!r}")
    return [_quoted(name) + "=" + text]  # not formatted: an enumeration has another text then


def given(query: Query) -> Query:
    """A query less what is left out."""
    found = {name: given(value) if is_mapping(value) else value for name, value in query.items()}
    return {name: value for name, value in found.items() if value is not None and value != {}}


def _quoted(text: str) -> str:
    # Most are plain words and numbers.
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def _encodable(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} has characters that cannot be sent: {value!r}") from None
    return value


def check_aware(name: str, value: dt.datetime) -> dt.datetime:
    """The instant, if it is one: without a zone it could mean any of 38.

    Raises:
        ValueError: It is not a timezone-aware `datetime`; names the argument.
    """
    if not isinstance(value, dt.datetime) or value.utcoffset() is None:
        raise ValueError(f"{name} must be a timezone-aware datetime, not {value!r}")
    try:
        value.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError(f"{name} is beyond the years 1 to 9999 in UTC: {value!r}") from None
    return value


def format_instant(value: dt.datetime) -> str:
    """ISO 8601 in UTC, in milliseconds as the service writes it, finer only where that would lose."""
    precision = "microseconds" if value.microsecond % _MILLISECOND else "milliseconds"
    return as_utc(value).isoformat(timespec=precision).replace("+00:00", "Z")


def is_flat(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a plain `dict` of nothing but plain values, which needs no further look."""
    items: Any = value  # no cast, which would be a call
    return (
        type(value) is dict
        and PLAIN_TYPES.issuperset(map(type, items.values()))
        and _TEXT.issuperset(map(type, items))
    )


def json_value(name: str, value: Any) -> Any:
    """The value in the plain types of JSON.

    Raises:
        ValueError: JSON cannot hold it; names where.
    """
    try:
        return _json_value(name, value)
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None


def _json_value(name: str, value: Any) -> Any:
    if is_flat(value):
        return value
    if isinstance(value, msgspec.Struct):
        fields = ((field.encode_name, getattr(value, field.name)) for field in msgspec.structs.fields(value))
        value = {key: item for key, item in fields if item is not UNSET}
    if is_mapping(value):
        return {
            _key(name, key): item if type(item) in PLAIN_TYPES else _json_value(f"{name}.{key}", item)
            for key, item in value.items()
        }
    if is_array(value):
        return [_json_value(f"{name}[{index}]", item) for index, item in enumerate(value)]
    match value:
        case None | bool():
            return value
        # msgspec encodes these types and no types derived from them.
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            # msgspec would write null for what is not finite.
            return float(value) if math.isfinite(value) else _refuse(name, value)
        case dt.datetime():
            return format_instant(check_aware(name, value))
        case bytes() | bytearray() | memoryview() | set() | frozenset() | dt.timedelta():
            # msgspec would make up a form for them that nobody has agreed on.
            return _refuse(name, value)
        case decimal.Decimal() if not value.is_finite():
            return _refuse(name, value)
        case _:
            return _json_value(name, _builtins(name, value))


def _builtins(name: str, value: Any) -> Any:
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError):
        return _refuse(name, value)


def _key(name: str, key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{name} has the key {key!r}, and JSON has only strings for keys")
    return str.__str__(key)


def _refuse(name: str, value: Any) -> NoReturn:
    raise ValueError(f"{name} cannot be held by JSON: {value!r}")


def encode_json_array(name: str, items: Iterable[Any]) -> Body:
    """A JSON body that is an array, encoded item by item so that one that is too long is not built whole.

    Raises:
        ValueError: An item holds text that is not Unicode, or the body is above `MAX_BODY_BYTES`.
    """
    parts: list[bytes] = []
    size = 1
    for index, item in enumerate(items):
        parts.append(encode_json(f"{name}[{index}]", item).content)
        size += len(parts[-1]) + 1
        if size > MAX_BODY_BYTES:
            raise ValueError(_too_long(name, f"more than {MAX_BODY_BYTES:,}"))
    return Body(b"[" + b",".join(parts) + b"]", JSON)


def encode_json(name: str, value: Any, *, sort_keys: bool = False) -> Body:
    """A JSON body. `UNSET` properties are left out.

    Raises:
        ValueError: It holds text that is not Unicode, or is above `MAX_BODY_BYTES`; names it.
    """
    try:
        content = _encode_sorted(value) if sort_keys else _encode(value)
    except UnicodeEncodeError:
        raise ValueError(f"{name} has text with lone surrogates, which JSON cannot hold") from None
    return Body(_bounded(name, content), JSON)


def encode_content(name: str, content: bytes) -> Body:
    """A body that is bytes already.

    Raises:
        ValueError: It is not bytes, or above `MAX_BODY_BYTES`; names it.
    """
    return Body(_bounded(name, _bytes(name, content)), "application/octet-stream")


def _bytes(name: str, content: object) -> bytes:
    if not isinstance(content, bytes | bytearray | memoryview):
        raise ValueError(f"{name} must be bytes, not {type(content).__name__}")
    return bytes(cast("bytes", content))  # the same object if it is bytes


def encode_form(form: Mapping[str, str] | None) -> Body:
    """A form-encoded body."""
    fields = {name: _encodable(name, value) for name, value in check_strings("form", form).items()}
    return Body(urlencode(fields).encode("ascii"), "application/x-www-form-urlencoded")


def encode_multipart(files: Mapping[str, FilePart], form: Mapping[str, str] | None = None) -> Body:
    """A multipart body of the files, after the fields of `form`.

    Raises:
        ValueError: A file is above `MAX_BODY_BYTES`; names its part.
    """
    parts: list[tuple[str, str | None, bytes]] = [
        (f'form-data; name="{_parameter(name)}"', None, _encodable(name, value).encode())
        for name, value in check_strings("form", form).items()
    ]
    parts += [
        (
            f'form-data; name="{_parameter(name)}"; filename="{_parameter(_encodable(name, file.filename))}"',
            file.content_type,
            _bounded(name, file.content),
        )
        for name, file in files.items()
    ]
    # A digest of the content cannot occur in it, except by intent.
    boundary = hashlib.sha256(b"".join(content for *_, content in parts)).hexdigest().encode()
    lines: list[bytes] = []
    for disposition, content_type, content in parts:
        lines += [b"--" + boundary, b"Content-Disposition: " + disposition.encode()]
        if content_type is not None:
            lines.append(b"Content-Type: " + content_type.encode())
        lines += [b"", content]
    lines += [b"--" + boundary + b"--", b""]
    return Body(b"\r\n".join(lines), f"multipart/form-data; boundary={boundary.decode()}")


def _parameter(text: str) -> str:
    """As browsers write it (WHATWG, "multipart/form-data encoding algorithm")."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _bounded(name: str, content: bytes) -> bytes:
    if len(content) > MAX_BODY_BYTES:
        raise ValueError(_too_long(name, f"{len(content):,}"))
    return content


def _too_long(name: str, count: str) -> str:
    return f"{name} has {count} bytes; the service takes at most {MAX_BODY_BYTES:,}"


# ---------------------------------------------------------------- in


def decode(operation: Operation[Any], answer: RawResponse) -> Any:
    """What a successful answer says.

    Raises:
        DecodeError: It is not what the API promises.
    """
    into = operation.into
    if into is NoneType or (into is Any and not answer.body):
        return None
    if into is bytes:
        return answer.body
    return decode_by(operation.decoder, operation, answer)


def decode_by(decoder: msgspec.json.Decoder[T], operation: Operation[Any], answer: RawResponse) -> T:
    """What a successful answer says, as a decoder reads it.

    Raises:
        DecodeError: It is not what the API promises.
    """
    try:
        return decode_json(decoder, answer.body)
    except msgspec.ValidationError as error:
        problem = f"the answer is not of the promised shape: {error}"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = f"the answer is not JSON: {error}"
    except RecursionError:
        problem = "the answer is nested too deeply"
    raise decode_error(operation, answer, problem)


def decode_error(
    operation: Operation[Any],
    answer: RawResponse,
    problem: str,
    *,
    item_id: str | None = None,
    position: int | None = None,
) -> DecodeError:
    """The error for an answer that is not what the API promises."""
    excerpt = "" if operation.confidential else answer.body[:_MAX_BODY_SEARCH].decode("utf-8", "replace")
    return DecodeError(
        answer.secrets.excerpt(problem, _MAX_TEXT),
        status=answer.status,
        body=answer.secrets.excerpt(excerpt, _BODY_EXCERPT),
        item_id=_said(answer, item_id),
        position=position,
        operation=operation.name,
        request_id=request_id_of(answer),
        may_have_been_applied=not operation.reads,
    )


class _ErrorBody(msgspec.Struct):
    """The bodies of errors, in all the shapes that are known; any part may be missing or odd."""

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


def _said(answer: RawResponse, value: Any) -> str | None:
    return None if (text := _text(value)) is None else answer.secrets.excerpt(text, _MAX_TEXT)


def status_error(operation: Operation[Any], answer: RawResponse, *, now: float) -> APIStatusError:
    """The error that an unsuccessful answer stands for.

    Args:
        operation: What was asked.
        answer: What came.
        now: Epoch seconds, to measure waits given as instants.
    """
    try:
        body = decode_json(_ERROR_BODY, answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = _ErrorBody()  # HTML from a proxy, or nothing
    said = partial(_said, answer)
    message = body.custom_message() or said(body.message) or said(body.error) or _phrase(answer.status)
    error = status_error_class(answer.status)(
        answer.secrets.excerpt(message, _MAX_TEXT),
        status=answer.status,
        code=body.code if isinstance(body.code, int) else None,
        key=said(body.key),
        details=said(body.details),
        resource_id=said(body.resource_id),
        resource_type=said(body.resource_type),
        operation=operation.name,
        request_id=request_id_of(answer) or said(body.request_id),
        # A 4xx says that the service refused; after a 5xx or a redirect nobody knows how far it got.
        may_have_been_applied=not operation.reads and not 400 <= answer.status < 500,
    )
    if isinstance(error, RateLimitError):
        error.retry_after = server_wait(answer.headers, now)
        error.kind = limit_kind(answer.headers)
    return error


def request_id_of(answer: RawResponse) -> str | None:
    """The service's id of the request, from the headers."""
    text = answer.headers.get("X-Request-Id")
    return answer.secrets.cut(text) if text else None


def _phrase(status: int) -> str:
    if 300 <= status < 400:
        return "redirect refused, as following it would send the credentials elsewhere"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"

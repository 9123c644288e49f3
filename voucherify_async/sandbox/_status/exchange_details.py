"""The headers and bodies of an exchange for the status page, without credentials. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from voucherify_async._transport.secrets import credentials_in
from voucherify_async.models._json import is_array, is_mapping
from voucherify_async.sandbox._http.exchanges import Exchange, Exchanges
from voucherify_async.sandbox._store.validation import is_too_deep

__all__ = ["exchange_json", "find_exchange"]

Json = dict[str, Any]

_HIDDEN: Final = "(hidden)"
_MAX_TARGET_LENGTH: Final = 4_000
_MAX_HEADER_LENGTH: Final = 1_000
_MAX_BODY_LENGTH: Final = 20_000
"""Maximum length of a shown body, in characters; longer ones are truncated."""
_MAX_FORMATTED_BYTES: Final = 256 * 1024
"""Larger JSON is shown as sent, as formatting it would take too long."""
_FORM: Final = re.compile(rb"[\w.-]+=[!-%\'-<>-~]*(&[\w.-]+=[!-%\'-<>-~]*)*")
"""Matches a form whose names are plain words and whose values are printable, without ``&`` and ``=``."""
_SECRET_FIELD: Final = re.compile(r"(token|secret|password|assertion)$", re.IGNORECASE)
"""Matches the names of the fields in OAuth requests and responses that hold credentials."""


def find_exchange(exchanges: Exchanges, number: int) -> Exchange | None:
    """The exchange with this number, counted from 1; `None` if it is not kept any more."""
    index = len(exchanges) - 1 - (exchanges.seen - number)
    return exchanges[index] if 0 <= index < len(exchanges) else None


def exchange_json(exchange: Exchange) -> Json:
    """The request and the response, each with its headers and its body as text.

    JSON is indented. A body has at most 20,000 characters, and `size` is its size in bytes as sent. A body is `None`
    if it may hold a credential that cannot be told from the rest.
    """
    is_oauth = "oauth" in exchange.path.lower()
    return {
        "method": exchange.method,
        "target": _shorten(exchange.target, _MAX_TARGET_LENGTH),
        "status": exchange.status,
        "request": _message(exchange.request_headers, exchange.request_body, is_oauth=is_oauth),
        "response": _message(exchange.response_headers, exchange.response_body, is_oauth=is_oauth),
    }


def _message(headers: Mapping[str, str], body: bytes, *, is_oauth: bool) -> Json:
    text = _text_without_tokens(body) if is_oauth else _text(body)
    return {
        "headers": [
            [_shorten(name, _MAX_HEADER_LENGTH), _header(name, value)] for name, value in headers.items()
        ],
        "body": None if text is None else text[:_MAX_BODY_LENGTH],
        "size": len(body),
        "truncated": text is not None and len(text) > _MAX_BODY_LENGTH,
    }


def _header(name: str, value: str) -> str:
    return _HIDDEN if credentials_in({name: value}) else _shorten(value, _MAX_HEADER_LENGTH)


def _text(body: bytes) -> str:
    """The body as text: JSON is indented, and what is not UTF-8 replaced."""
    if len(body) <= _MAX_FORMATTED_BYTES:
        decoded = _decode(body)
        if (is_mapping(decoded) or is_array(decoded)) and not is_too_deep(decoded):
            return msgspec.json.format(body, indent=2).decode()
    # A character more than is shown, as the text is then known to be truncated.
    return body[: 4 * (_MAX_BODY_LENGTH + 1)].decode("utf-8", "replace")


def _text_without_tokens(body: bytes) -> str | None:
    """The body of an OAuth request or response as text; `None` if its fields cannot be told apart."""
    if not body:
        return ""
    decoded = _decode(body)
    if decoded is not None:
        return None if is_too_deep(decoded) else _text(msgspec.json.encode(_without_tokens(decoded)))
    if not _FORM.fullmatch(body):
        return None
    fields = parse_qsl(body.decode(), keep_blank_values=True)
    return "&".join(f"{name}={_HIDDEN if _SECRET_FIELD.search(name) else value}" for name, value in fields)


def _without_tokens(value: Any) -> Any:
    if is_array(value):
        return [_without_tokens(item) for item in value]
    if is_mapping(value):
        return {
            name: _HIDDEN if _SECRET_FIELD.search(name) else _without_tokens(item)
            for name, item in value.items()
        }
    return value


def _decode(body: bytes) -> Any:
    """The decoded JSON; `None` if the body is not JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _shorten(text: str, length: int) -> str:
    # Bytes that are not UTF-8 arrive as surrogates, which JSON cannot represent.
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= length else text[: length - 1] + "…"

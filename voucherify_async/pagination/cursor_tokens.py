"""Cursors: the state of a walk, encoded as a printable string. No I/O.

A cursor is the URL-safe base64 of a msgpack array (version, rule name, fingerprint of the list and its filters, state)
and a checksum. It contains no filters, only their fingerprint. It contains digests instead of ids, except that a
cursor of `IdRule` contains the last id. A damaged cursor, or one of another list or other filters, is rejected.
The checksum is not a signature: it does not detect forged cursors.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from voucherify_async.errors import InvalidCursorError
from voucherify_async.pagination.rules.base import WalkRule

__all__ = ["decode_token", "encode_token", "fingerprint"]

_VERSION: Final = 2
_CHECKSUM_BYTES: Final = 6
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def fingerprint(*parts: str) -> bytes:
    """Eight bytes that identify a list and its filters."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def encode_token(rule_name: str, listing: bytes, state: Any) -> str:
    """Encode a state as a token. `listing` is the fingerprint of the list."""
    payload = msgspec.msgpack.encode((_VERSION, rule_name, listing, state))
    return base64.urlsafe_b64encode(payload + _checksum(payload)).rstrip(b"=").decode("ascii")


def decode_token(token: str, listing: bytes, rules: Sequence[WalkRule]) -> tuple[WalkRule, Any]:
    """Decode a token; return the rule among `rules` that made it, and the state.

    Raises:
        InvalidCursorError: The token is damaged, or was made for another list or other filters.
    """
    parts = _decode_payload(token)
    if parts is None:
        raise InvalidCursorError("cursor is damaged, or is not the next_cursor of a page")
    version, name, made_for, raw = parts
    if version != _VERSION:
        raise InvalidCursorError(
            "cursor was made by another version of this package: read the list from the beginning"
        )
    rule = next((rule for rule in rules if rule.name == name), None)
    if rule is None or made_for != listing:
        raise InvalidCursorError("cursor was made for another list or other filters")
    try:
        return rule, msgspec.msgpack.decode(raw, type=rule.state_type)
    except _UNREADABLE:
        raise InvalidCursorError(
            "cursor was made by a rule of the same name with another state_type"
        ) from None


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHECKSUM_BYTES).digest()


def _decode_payload(token: str) -> tuple[int, str, bytes, msgspec.Raw] | None:
    """The version, rule name, fingerprint and encoded state in a token; `None` if it is damaged."""
    try:
        decoded = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (AttributeError, ValueError):
        return None
    payload, checksum = decoded[:-_CHECKSUM_BYTES], decoded[-_CHECKSUM_BYTES:]
    if checksum != _checksum(payload):
        return None
    try:
        return msgspec.msgpack.decode(payload, type=tuple[int, str, bytes, msgspec.Raw])
    except _UNREADABLE:
        return None

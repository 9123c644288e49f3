"""Cursors: the state of a walk, sealed into a printable string. No I/O.

A cursor says where a list goes on. It carries no filters, only a fingerprint of them, and no ids of customers,
only hashes. It is refused when it was made for another list or other filters, or is damaged. The checksum is no
signature: it finds accidents, not forgeries.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from voucherify_async.errors import InvalidCursorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voucherify_async.pagination.rules.base import WalkRule

__all__ = ["fingerprint", "open_token", "seal_token"]

_VERSION: Final = 2
_CHECKSUM_BYTES: Final = 6
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def fingerprint(*parts: str) -> bytes:
    """Eight bytes that stand for a list and its filters."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def seal_token(rule_name: str, listing: bytes, state: Any) -> str:
    """The token for a state of a walk over the list with this fingerprint."""
    payload = msgspec.msgpack.encode((_VERSION, rule_name, listing, state))
    return base64.urlsafe_b64encode(payload + _checksum(payload)).rstrip(b"=").decode("ascii")


def open_token(token: str, listing: bytes, rules: Sequence[WalkRule]) -> tuple[WalkRule, Any]:
    """The rule among `rules` that made the token, and the state in it.

    Raises:
        InvalidCursorError: The token is damaged, or was made for another list or other filters.
    """
    parts = _parts(token)
    if parts is None:
        raise InvalidCursorError("cursor is damaged, or is not one that a page's next_cursor gave")
    version, name, made_for, raw = parts
    if version != _VERSION:
        raise InvalidCursorError("cursor was made by another version of this package: start the list anew")
    rule = next((rule for rule in rules if rule.name == name), None)
    if rule is None or made_for != listing:
        raise InvalidCursorError("cursor was made for another list, or for other filters")
    try:
        return rule, msgspec.msgpack.decode(raw, type=rule.state_type)
    except _UNREADABLE:
        raise InvalidCursorError("cursor was made by a rule of the same name with other states") from None


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHECKSUM_BYTES).digest()


def _parts(token: str) -> tuple[int, str, bytes, msgspec.Raw] | None:
    """What was sealed, as far as it can be told to be whole."""
    try:
        sealed = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (AttributeError, ValueError):
        return None
    payload, checksum = sealed[:-_CHECKSUM_BYTES], sealed[-_CHECKSUM_BYTES:]
    if checksum != _checksum(payload):
        return None
    try:
        return msgspec.msgpack.decode(payload, type=tuple[int, str, bytes, msgspec.Raw])
    except _UNREADABLE:
        return None

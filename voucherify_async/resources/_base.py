"""What all sections of the API share: requests through the client's session, and lists with the usual rules.

A section is one class in a module of its own. Its operations are `Operation` values at the top of the module, each with
the type of its result, or of an item for a list. A method passes its operation to `_call` or `_list`, whose result has
that type, so that a type checker refuses a method whose annotation says something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_origin

from voucherify_async._transport.operation import Body, Operation, Query, Request
from voucherify_async._transport.session import SessionManager
from voucherify_async._transport.wire import drop_empty, encode_path
from voucherify_async.pagination.pager import Listing, OnInvalid, Pager
from voucherify_async.pagination.rules import IdRule, Rule, WalkRule
from voucherify_async.resources._inputs import check_limit, check_on_invalid

__all__ = ["ANY_METADATA", "Resource", "id_rule"]

T = TypeVar("T")

ANY_METADATA: Final[Any] = dict[str, Any]
"""The type of metadata of which no type is known."""

_NO_PATH: Final[Mapping[str, str]] = MappingProxyType({})


class Resource:
    """The base class of all sections."""

    def __init__(self, sessions: SessionManager, metadata: Any = ANY_METADATA) -> None:
        """Do not call this directly: use the properties of `VoucherifyClient`.

        Args:
            sessions: The session manager.
            metadata: The type of the metadata in responses.
        """
        self._sessions = sessions
        self._metadata = metadata

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._sessions.pool.settings.base_url}>"

    async def _call(
        self, operation: Operation[T], body: Body | None = None, *, once: bool = False, **path: str
    ) -> T:
        """Make a call.

        Args:
            operation: The operation.
            body: The request body.
            once: Whether these arguments make the call non-idempotent.
            **path: The parameters of the operation's path.
        """
        if self._metadata is not ANY_METADATA:
            operation = _with_metadata(operation, self._metadata)
        target = encode_path(operation.path, path) if path else operation.path
        return await self._sessions.send(Request(operation, target, body, once=once))

    def _list(
        self,
        operation: Operation[T],
        items: str,
        *rules: Rule[T] | WalkRule,
        limit: int | None,
        cursor: str | None,
        query: Query | None = None,
        **path: str,
    ) -> Pager[T]:
        """List items.

        Args:
            operation: The operation.
            items: The property of a page that holds the items.
            rules: How to get from one page to the next; with a cursor, all rules that may have created it.
            limit: Items per page.
            cursor: Where to continue.
            query: The filters.
            **path: The parameters of the operation's path.
        """
        listing = self._listing(operation, items, query or {}, path=path)
        return Pager(listing, *rules, limit=check_limit(limit), cursor=cursor)

    def _listing(
        self,
        operation: Operation[T],
        items: str,
        query: Query,
        *,
        path: Mapping[str, str] = _NO_PATH,
        on_invalid: OnInvalid = "raise",
        part: str = "",
    ) -> Listing[T]:
        if self._metadata is not ANY_METADATA:
            operation = _with_metadata(operation, self._metadata)
        return Listing(
            sessions=self._sessions,
            operation=operation,
            path=encode_path(operation.path, path) if path else operation.path,
            query=drop_empty(query),
            items=items,
            into=operation.into,
            on_invalid=check_on_invalid(on_invalid),
            part=part,
        )


@lru_cache(maxsize=256)
def _with_metadata(operation: Operation[T], metadata: Any) -> Operation[T]:
    """The operation with another type of metadata, if its result has any."""
    model = get_origin(operation.into)
    if model is None or "metadata" not in model.__struct_fields__:
        return operation
    return replace(operation, into=model[metadata])


def id_rule(starting_after_id: str | None, cursor: str | None) -> IdRule:
    """The rule of lists by `starting_after_id`.

    Raises:
        ValueError: There is a cursor as well.
    """
    if starting_after_id is not None and cursor is not None:
        raise ValueError("cursor and starting_after_id both set the starting point: pass only one")
    return IdRule(starting_after_id)

"""Lists as pages and as streams."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Generic, Literal, TypeVar

import msgspec

from voucherify_async.errors import DecodeError, PaginationError
from voucherify_async.pagination.ahead import fetch_ahead
from voucherify_async.pagination.rules import MAX_PAGE_SIZE, PageAnswer, Rule, Step, item_id
from voucherify_async.pagination.tokens import fingerprint, open_token, seal_token
from voucherify_async.transport.operation import Answer, Operation, Query, Request
from voucherify_async.transport.session import SessionManager
from voucherify_async.transport.wire import decode_by, decode_error, encode_query, request_id_of

__all__ = ["Listing", "OnInvalid", "Page", "Pager"]

T = TypeVar("T")

OnInvalid = Literal["raise"] | Callable[[DecodeError], object]
"""What to do about an item that cannot be decoded: raise its error, or give it to a function and go on."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The items of the page that were not on the pages before it.
        has_more: Whether there is more; `None` when the service does not say.
        total: How many items there are in all; `None` when the service does not say.
    """

    items: tuple[T, ...]
    has_more: bool | None = None
    total: int | None = None
    _next: tuple[str, bytes, Any] | None = field(default=None, repr=False)

    @property
    def next_cursor(self) -> str | None:
        """Where the list goes on after this page: give it to the same method as `cursor`.

        An opaque, printable string that works in another process too; `None` when the list has ended.
        """
        # Made when asked for: at a tie it carries thousands of fingerprints.
        return None if self._next is None else seal_token(*self._next)


@dataclass(frozen=True, kw_only=True)
class Listing(Generic[T]):
    """A list of the API: what to ask for, and how to read the answer.

    Attributes:
        sessions: What makes the calls.
        operation: The list operation.
        path: The path, with its parameters filled in.
        query: The filters.
        items: The property of the answer that holds the items.
        into: What an item decodes into.
        on_invalid: What to do about an item that cannot be decoded.
        part: Which part of the list a rule leaves the rest out of, if one does.
    """

    sessions: SessionManager
    operation: Operation[Any]
    path: str
    query: Query
    items: str
    into: Any
    on_invalid: OnInvalid = "raise"
    part: str = ""

    @property
    def fingerprint(self) -> bytes:
        """What distinguishes this list, with these filters, from any other."""
        parts = (self.operation.method, self.path, encode_query(self.query), self.part)
        return fingerprint(*filter(None, parts))

    async def fetch(self, query: Query) -> _Fetched:
        """One page."""
        encoded = encode_query(query)
        target = f"{self.path}?{encoded}" if encoded else self.path
        decode = partial(self._decode, query.get("limit"))
        return await self.sessions.send(Request(self.operation, target, decode=decode))

    def _decode(self, limit: int | None, answer: Answer) -> _Fetched:
        invalid: dict[int, DecodeError] = {}
        items: Sequence[Any]
        page: Any
        try:
            page = decode_by(_page_decoder(self.items, self.into), self.operation, answer)
            items = page.items
        except DecodeError:
            # Again, item by item, to find the ones that it is about; a page that is no page raises here.
            page = decode_by(_page_decoder(self.items, msgspec.Raw), self.operation, answer)
            items = [self._decode_item(answer, index, raw, invalid) for index, raw in enumerate(page.items)]
            if self.on_invalid == "raise" and invalid:
                error = next(iter(invalid.values()))
                del page, items  # error reporters show the local variables of a traceback
                raise error from None
        date = answer.headers.get("Date")
        return _Fetched(
            PageAnswer(items, page.has_more, page.total, page.more_starting_after, limit, date),
            invalid,
            request_id_of(answer),
        )

    def _decode_item(
        self, answer: Answer, index: int, raw: msgspec.Raw, invalid: dict[int, DecodeError]
    ) -> Any:
        try:
            return msgspec.json.decode(raw, type=self.into)
        except msgspec.ValidationError as error:
            loose = msgspec.json.decode(raw)
            identity = item_id(loose)
            problem = f"item {index} of the page (id {identity}) is not of the promised shape: {error}"
            part = msgspec.structs.replace(answer, body=bytes(raw))
            invalid[index] = decode_error(self.operation, part, problem, item_id=identity, position=index)
            return loose


class _Fetched(msgspec.Struct):
    """A page as it came, and the errors of the items that cannot be decoded, by their index."""

    page: PageAnswer
    invalid: dict[int, DecodeError]
    request_id: str | None


class _ListPage(msgspec.Struct):
    """What the pages of all lists have; the items' name and type differ."""

    has_more: bool | None = None
    total: int | None = None
    more_starting_after: str | None = None


@lru_cache(maxsize=256)
def _page_decoder(items: str, into: Any) -> msgspec.json.Decoder[Any]:
    array = ("items", tuple[into, ...], msgspec.field(name=items))
    return msgspec.json.Decoder(msgspec.defstruct("ListPage", [array], bases=(_ListPage,), kw_only=True))


class Pager(Generic[T]):
    """A list, ready to be read; making one does no I/O.

    ::

        page = await pager                  # the first page
        async for item in pager: ...        # every item
        async with pager.prefetch() as items: ...
        async for page in pager.pages(): ...
        items = await pager.to_list(max_items=500)

    Every `async for` starts from the beginning (or from the `cursor` it was made with).
    """

    def __init__(
        self,
        listing: Listing[T],
        *rules: Rule[Any],
        limit: int | None = None,
        cursor: str | None = None,
    ) -> None:
        """A walk by the first rule; with a `cursor`, by the one of the rules that made it.

        Raises:
            ValueError: `cursor` is damaged, or was made for another list or other filters.
        """
        self._listing = listing
        self._identity = listing.fingerprint
        self._limit = limit
        if cursor is None:
            self._rule = rules[0]
            self._start = self._rule.start()
        else:
            self._rule, self._start = open_token(cursor, self._identity, rules)

    def __await__(self) -> Generator[Any, None, Page[T]]:
        """The first page, of as many items as `limit` says, or else the service."""
        return self._first_page().__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Every item, in pages of `limit` or 100.

        Raises:
            PageLimitError: Page numbers end, and there is more.
            PaginationStalledError: The walk cannot go on without losing items.
            DecodeError: An item cannot be decoded, unless `on_invalid` is a function.
        """
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for item in page.items:
                    yield item
                del page  # before the next one is made, which can take its memory then

    async def pages(self) -> AsyncGenerator[Page[T]]:
        """Every page that holds something new, and the first in any case."""
        state = self._start
        limit = self._limit or MAX_PAGE_SIZE
        first = True
        while True:
            page, step = await self.read(state, limit)
            if page.items or first:
                yield page
            del page
            if step.error is not None:
                raise step.error
            if step.state is None:
                return
            state, first = step.state, False

    async def to_list(self, max_items: int | None = None) -> list[T]:
        """The items in a list, at most `max_items` of them.

        Raises:
            ValueError: `max_items` is negative.
        """
        if max_items is not None and max_items < 0:
            raise ValueError(f"max_items must not be negative, not {max_items}")
        items: list[T] = []
        if max_items == 0:
            return items
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                items += page.items
                if max_items is not None and len(items) >= max_items:
                    break
        return items[:max_items]

    def prefetch(self, pages: int = 2) -> AbstractAsyncContextManager[AsyncIterator[T]]:
        """Every item, while the next pages are on their way.

        ::

            async with pager.prefetch(pages=2) as items:
                async for item in items: ...

        Leaving the block, by whatever way, stops the fetching. Errors of the walk are raised where the items
        are asked for, after those that came before.

        Args:
            pages: Pages to fetch ahead at most, from 1.

        Raises:
            ValueError: `pages` is not an integer from 1.
        """
        if not isinstance(pages, int) or isinstance(pages, bool) or pages < 1:
            raise ValueError(f"pages must be an integer from 1, not {pages!r}")
        return fetch_ahead(self._batches(), pages)

    async def _batches(self) -> AsyncGenerator[Sequence[T]]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                yield page.items

    async def _first_page(self) -> Page[T]:
        page, step = await self.read(self._start, self._limit)
        if step.error is not None and not page.items:
            raise step.error
        return page

    async def read(self, state: Any, limit: int | None) -> tuple[Page[T], Step]:
        """The page at a state of the walk, and where it goes on; for whoever keeps the state himself."""
        operation = self._listing.operation.name
        try:
            query = self._rule.query(state, self._listing.query, limit)
        except PaginationError as error:
            error.operation = operation
            raise
        fetched = await self._listing.fetch(query)
        step = self._rule.advance(state, fetched.page)
        if step.error is not None:
            step.error.operation, step.error.request_id = operation, fetched.request_id
        wanted = step.unseen
        if len(wanted) != len(fetched.page.items):
            raise ValueError(f"the rule {self._rule.name!r} must say of every item whether it is unseen")
        if fetched.invalid:
            wanted = [unseen and index not in fetched.invalid for index, unseen in enumerate(wanted)]
            for index, problem in fetched.invalid.items():
                if step.unseen[index] and callable(self._listing.on_invalid):
                    self._listing.on_invalid(problem)
        following = None if step.state is None else (self._rule.name, self._identity, step.state)
        items = tuple(itertools.compress(fetched.page.items, wanted))
        return Page(items, fetched.page.has_more, fetched.page.total, following), step

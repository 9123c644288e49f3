"""The pager: reads a list page by page or item by item.

A `Listing` makes one request and decodes the response. A `Reader` runs the walk of a rule on it and returns batches.
`_Items` and `_Pages` turn batches into items and into pages of the size that the caller wants. A `Pager` creates them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, Final, Generic, Literal, NoReturn, Self, TypeVar
from urllib.parse import unquote_plus

import msgspec

from voucherify_async._transport.operation import Operation, Query, RawResponse, Request
from voucherify_async._transport.session import SessionManager
from voucherify_async._transport.wire import decode_by, decode_error, encode_query, request_id_of
from voucherify_async.errors import DecodeError, PaginationError
from voucherify_async.models._json import decode_json, is_mapping, json_text, make_decoder, plain_dict
from voucherify_async.models.base import Number
from voucherify_async.pagination.cursor_tokens import decode_token, encode_token, fingerprint
from voucherify_async.pagination.prefetch import fetch_ahead
from voucherify_async.pagination.rules.base import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    Batch,
    PageAnswer,
    Rule,
    Walk,
    WalkRule,
    as_walk_rule,
    item_id,
)

__all__ = ["InvalidItem", "Listing", "OnInvalid", "Page", "Pager", "Reader"]

T = TypeVar("T")

_id: Final = attrgetter("id")

OnInvalid = Literal["raise"] | Callable[[DecodeError], object]
"""How to handle an item that cannot be decoded: raise the error, or pass it to a function and skip the item."""


@dataclass(frozen=True, slots=True, repr=False)
class Page(Generic[T]):
    """One page of a list. Supports iteration and `len`, and is a response type for FastAPI.

    Attributes:
        items: The items of the page.
        has_more: Whether there is another page.
        total: The number of items in the list, as returned by the service. `None` if the service returns none, or
            if the page was read from a large group of items with the same timestamp. Whether it includes items
            that the filters exclude is undocumented.
        next_cursor: The cursor of the next page: pass it to the same method as `cursor`. An opaque, printable string
            that is also valid in other processes; `None` on the last page.
    """

    items: tuple[T, ...]
    has_more: bool = field(init=False, default=False)
    total: int | None = None
    next_cursor: str | None = None

    def __post_init__(self) -> None:
        """Set `has_more`."""
        object.__setattr__(self, "has_more", self.next_cursor is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return the page as plain Python values, as JSON has them."""
        return plain_dict(self)

    def to_json(self) -> str:
        """Return the page as JSON."""
        return json_text(self)

    def __iter__(self) -> Iterator[T]:
        """Iterate over the items."""
        return iter(self.items)

    def __len__(self) -> int:
        """Count the items."""
        return len(self.items)

    def __repr__(self) -> str:
        """Show the number of items instead of the items."""
        return f"<Page: {len(self.items)} items, total={self.total}, has_more={self.has_more}>"


@dataclass(frozen=True, kw_only=True)
class Listing(Generic[T]):
    """A list endpoint with its filters: makes requests and decodes the responses.

    Attributes:
        sessions: The session manager that sends the requests.
        operation: The list operation.
        path: The path, with its parameters filled in.
        query: The filters.
        items: The JSON property of the response that contains the items.
        into: The type of an item.
        on_invalid: How to handle an item that cannot be decoded.
        part: Identifies the part of the list that the rule reads, such as a window; part of the fingerprint.
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
        """Identifies this list with these filters; a cursor is valid only for a list with the same fingerprint."""
        parts = (self.operation.method, self.path, encode_query(self.query), self.part)
        return fingerprint(*filter(None, parts))

    async def fetch(self, query: Query) -> tuple[PageAnswer, str | None]:
        """Request one page; return it and the id of the request."""
        encoded = encode_query(query)
        target = f"{self.path}?{encoded}" if encoded else self.path
        decode = partial(self._decode, query.get("limit"))
        return await self.sessions.send(Request(self.operation, target, decode=decode))

    def _decode(self, limit: int | None, response: RawResponse) -> tuple[PageAnswer, str | None]:
        """Decode the response to a request with a `limit`; return the page and the id of the request."""
        items: Sequence[Any]
        page: Any
        try:
            page = decode_by(_page_decoder(self.items, self.into), self.operation, response)
            items = page.items
        except DecodeError:
            # Decode item by item to find the invalid ones. If the page itself is invalid, this raises.
            page = decode_by(_page_decoder(self.items, msgspec.Raw), self.operation, response)
            items = [self._decode_item(response, index, raw) for index, raw in enumerate(page.items)]
            invalid = next((item for item in items if isinstance(item, InvalidItem)), None)
            if self.on_invalid == "raise" and invalid is not None:
                error = invalid.error
                del page, items, invalid  # error reporters show the local variables of a traceback
                raise error from None
        total = None if page.total is None else int(page.total)
        answer = PageAnswer(items, page.has_more, total, page.more_starting_after, limit)
        return answer, request_id_of(response)

    def _decode_item(self, response: RawResponse, index: int, raw: msgspec.Raw) -> Any:
        try:
            return decode_json(_item_decoder(self.into), bytes(raw))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            value = _decode_leniently(bytes(raw))
            identity = item_id(value)
            problem = f"item {index} of the page (id {identity}) cannot be decoded: {error}"
            part = msgspec.structs.replace(response, body=bytes(raw))
            return InvalidItem(
                value, decode_error(self.operation, part, problem, item_id=identity, position=index)
            )


def _decode_leniently(raw: bytes) -> Any:
    """Decode JSON that msgspec rejects, such as a lone surrogate or invalid UTF-8; `None` if it is not JSON at all."""
    try:
        return json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


class InvalidItem:
    """An item that cannot be decoded.

    Attributes:
        id: The id of the item; `None` if it has none.
        created_at: The `created_at` of the item, as in the response; `None` if it has none.
        error: Why the item cannot be decoded.
    """

    def __init__(self, value: Any, error: DecodeError) -> None:
        self._value = value
        self.id = item_id(value)
        self.created_at = value.get("created_at") if is_mapping(value) else None
        self.error = error

    def __repr__(self) -> str:
        return repr(self._value)  # `item_digest` uses it if there is no id


@lru_cache(maxsize=256)
def _item_decoder(into: Any) -> msgspec.json.Decoder[Any]:
    return make_decoder(into)


@lru_cache(maxsize=256)
def _page_decoder(items: str, into: Any) -> msgspec.json.Decoder[Any]:
    """A decoder for the JSON of a page whose items have the type `into` and are in the property `items`."""
    fields: list[Any] = [
        ("items", tuple[into, ...], msgspec.field(name=items)),
        ("has_more", bool | None, None),
        ("total", Number | None, None),
        ("more_starting_after", str | None, None),
    ]
    return make_decoder(msgspec.defstruct("ListPage", fields, kw_only=True))


class Reader(Generic[T]):
    """Makes the requests of a walk, and returns its batches.

    If a request fails or is cancelled, the next call of `next_batch` repeats it, so no item is lost.

    Attributes:
        largest_response: The number of items in the largest response.
    """

    def __init__(self, listing: Listing[T], walk: Walk) -> None:
        self._listing = listing
        self._walk = walk
        self._query: Query | None = None
        self._request_id: str | None = None
        self.largest_response = 0

    def __repr__(self) -> str:
        return self._listing.operation.name

    async def next_batch(self) -> Batch | None:
        """The next batch; `None` at the end of the walk."""
        while True:
            if self._query is None:
                step = self._advance(None)
            else:
                page, self._request_id = await self._listing.fetch(self._query)
                items = _without_duplicates(page.items)
                page = page if items is page.items else page._replace(items=items)
                self.largest_response = max(self.largest_response, len(items))
                step = self._advance(page)
            if step is None or isinstance(step, Batch):
                self._query = None
                return step
            self._query = step

    def _advance(self, page: PageAnswer | None) -> Query | Batch | None:
        try:
            # `send` must not be used to start a generator, nor after a `Batch`.
            return next(self._walk) if page is None else self._walk.send(page)
        except StopIteration:
            return None
        except PaginationError as error:
            error.operation, error.request_id = self._listing.operation.name, self._request_id
            self._query = None
            raise

    def valid(self, items: Sequence[Any]) -> list[T]:
        """The valid items; the errors of the others are passed to `on_invalid`."""
        on_invalid = self._listing.on_invalid
        if on_invalid == "raise":
            return list(items)
        found: list[T] = []
        for item in items:
            if isinstance(item, InvalidItem):
                on_invalid(item.error)
            else:
                found.append(item)
        return found

    async def next_items(self) -> list[T] | None:
        """The valid items of the next batch; `None` at the end of the walk."""
        batch = await self.next_batch()
        return None if batch is None else self.valid(batch.items)


def _without_duplicates(items: Sequence[Any]) -> Sequence[Any]:
    """Drop repeated items: keep one item per id."""
    try:  # this runs for every page of a walk: the loop runs in C
        if len(set(map(_id, items))) == len(items):
            return items
    except (AttributeError, TypeError):
        pass  # an item is not decoded
    return list({item_id(item) or object(): item for item in reversed(items)}.values())[::-1]


class _Items(Generic[T]):
    """An async iterator of items. Several tasks may share it: each item goes to one of them."""

    def __init__(self, reader: Reader[T]) -> None:
        self._reader = reader
        self._lock = asyncio.Lock()
        self._reversed: list[T] = []  # the fetched items, the next one last

    def __repr__(self) -> str:
        return f"<iterator of the items of {self._reader!r}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if not self._reversed:
            await self._refill()
        return self._reversed.pop()

    async def _refill(self) -> None:
        async with self._lock:
            while not self._reversed:
                items = await self._reader.next_items()
                if items is None:
                    raise StopAsyncIteration
                items.reverse()
                self._reversed = items


class _Pages(Generic[T]):
    """An async iterator of pages. Several tasks may share it: each page goes to one of them."""

    def __init__(
        self,
        reader: Reader[T],
        limit: int | None,
        encode_cursor: Callable[[Any], str],
        *,
        skips_invalid: bool,
        single: bool,
    ) -> None:
        """Create an iterator that divides batches into pages.

        Args:
            reader: Returns the batches.
            limit: Items per page; `None` for the size of the first response, but at least the default of the service.
            encode_cursor: Returns the cursor for a state.
            skips_invalid: Whether invalid items are skipped. Then a page has a successor only if a valid item
                has been read after it.
            single: Whether only one page is wanted.
        """
        self._reader = reader
        self._limit = limit
        self._encode_cursor = encode_cursor
        self._skips_invalid = skips_invalid
        self._single = single
        self._lock = asyncio.Lock()
        # The incomplete page: kept if the call that fills it is cancelled.
        self._page_items: list[Any] = []
        self._valid_count = 0
        self._state: Any = None
        self._batch: Batch | None = None
        self._batch_offset = 0
        self._total: int | None = None
        self._error: PaginationError | None = None
        self._is_first, self._is_exhausted = True, False

    def __repr__(self) -> str:
        return f"<iterator of the pages of {self._reader!r}>"

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """End the iteration. There is nothing to release, as pages are fetched only when requested."""
        self._is_exhausted = True

    async def __anext__(self) -> Page[T]:
        async with self._lock:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._is_exhausted:
                raise StopAsyncIteration
            more = await self._fill()
            if not (self._valid_count or self._is_first or more):
                self._is_exhausted = True
                raise StopAsyncIteration
            return self._page(more=more)

    def _page(self, *, more: bool) -> Page[T]:
        items = tuple(self._reader.valid(self._page_items))
        next_cursor = self._encode_cursor(self._state) if more else None
        self._page_items, self._valid_count = [], 0
        self._is_first, self._is_exhausted = False, self._is_exhausted or not more
        return Page(items, self._total, next_cursor)

    async def _fill(self) -> bool:
        """Add items until the page is full or the list ends; return whether another page follows."""
        while True:
            batch = self._batch
            if batch is not None:
                self._add_items(batch)
                is_left = self._batch_offset < len(batch.items)
                if is_left or (self._valid_count == self._limit and batch.more and not self._skips_invalid):
                    return True
                if batch.more is False or (batch.stuck and self._single):
                    return batch.stuck
            try:
                self._batch, self._batch_offset = await self._reader.next_batch(), 0
            except PaginationError as error:
                if self._single or not self._valid_count:
                    raise  # do not return an incomplete page
                self._error = error  # raised instead of the next page
                return True
            if self._batch is None:
                return False

    def _add_items(self, batch: Batch) -> None:
        """Add as many items of a batch as fit on the page, and the invalid items directly after them."""
        if self._limit is None:
            self._limit = max(DEFAULT_PAGE_SIZE, self._reader.largest_response)
        self._total = self._total if batch.total is None else batch.total
        items, begin = batch.items, self._batch_offset
        free = self._limit - self._valid_count
        if self._skips_invalid:
            valid = [
                index
                for index, item in enumerate(items)
                if not isinstance(item, InvalidItem) and index >= begin
            ]
            end, count = (valid[free] if free < len(valid) else len(items)), min(free, len(valid))
        else:
            end = min(len(items), begin + free)
            count = end - begin
        if end > begin or not items:
            self._page_items += items[begin:end]
            self._valid_count += count
            self._batch_offset = end
            self._state = batch.cut(end)


class Pager(Generic[T]):
    """A list of items that are fetched on demand. Creating a pager makes no request.

    ::

        page = await pager                  # the first page
        async for item in pager: ...        # every item
        async with pager.prefetch() as items: ...
        async for page in pager.pages(): ...
        items = await pager.to_list(max_items=500)

    Every `async for` starts at the beginning of the list, or at the `cursor` of the pager. Every page but the last
    has exactly `limit` items, and the last has at least one, unless the list is empty. Several tasks may share
    an iterator: each item or page goes to one of them.
    """

    def __init__(
        self,
        listing: Listing[T],
        *rules: Rule[Any] | WalkRule,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> None:
        """Create a pager.

        Args:
            listing: The list.
            rules: The first rule is used, or with a `cursor` the one that created the cursor.
            limit: Items per page; `None` for the default.
            cursor: The `next_cursor` of a page, to continue after it.

        Raises:
            InvalidCursorError: `cursor` is damaged, or belongs to another list or other filters.
        """
        self._listing = listing
        self._identity = listing.fingerprint
        self._limit = limit
        self._rule, self._start = as_walk_rule(rules[0]), None
        if cursor is not None:
            self._rule, self._start = decode_token(
                cursor, self._identity, [as_walk_rule(rule) for rule in rules]
            )

    def __repr__(self) -> str:
        filters = unquote_plus(encode_query(self._listing.query))
        return f"<Pager: {self._listing.operation.name}{f' of {filters}' if filters else ''}>"

    def __iter__(self) -> NoReturn:
        """Reject a plain `for` loop."""
        raise TypeError("a Pager is asynchronous: use `async for`, or `await pager` for one page")

    def __len__(self) -> NoReturn:
        """Reject `len`: the number of items is not known before they are read."""
        raise TypeError(
            "a Pager does not know how many items it has: use `len(await pager.to_list())`, or `(await pager).total`"
        )

    def __bool__(self) -> bool:
        """Return true, even if the list is empty. Without this method, `bool` would call `__len__`."""
        return True

    def __await__(self) -> Generator[Any, None, Page[T]]:
        """The first page, with `limit` items or the default number of the service.

        Raises:
            PaginationStalledError: The page cannot be read without the risk of missing items.
            DecodeError: An item cannot be decoded, unless `on_invalid` is a function.
        """
        return self._read_pages(self._limit, single=True).__anext__().__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        """All items, requested in pages of `limit` or 100.

        Raises:
            PageLimitError: The list goes on after the last page number.
            PaginationStalledError: The iteration cannot continue without the risk of missing items.
            DecodeError: An item cannot be decoded, unless `on_invalid` is a function.
        """
        return _Items(self._reader(self._limit or MAX_PAGE_SIZE, stream=True))

    def pages(self) -> _Pages[T]:
        """All pages, with `limit` or 100 items each. An empty list has one empty page."""
        return self._read_pages(self._limit or MAX_PAGE_SIZE, single=False)

    async def to_list(self, max_items: int | None = None) -> list[T]:
        """Read the items into a list, at most `max_items` of them.

        Raises:
            ValueError: `max_items` is negative.
        """
        number: object = max_items
        if max_items is not None and (
            not isinstance(number, int) or isinstance(number, bool) or max_items < 0
        ):
            raise ValueError(f"max_items must be an integer from 0, not {max_items!r}")
        items: list[T] = []
        reader = self._reader(self._limit or MAX_PAGE_SIZE, stream=True)
        while max_items is None or len(items) < max_items:
            some = await reader.next_items()
            if some is None:
                break
            items += some
        return items[:max_items]

    def prefetch(self, pages: int = 2) -> AbstractAsyncContextManager[AsyncIterator[T]]:
        """All items, with the next pages fetched in the background.

        ::

            async with pager.prefetch(pages=2) as items:
                async for item in items: ...

        Leaving the block stops the fetching. An error is raised by the iteration, after the items before it.

        Args:
            pages: The maximum number of pages to fetch ahead, at least 1.

        Raises:
            ValueError: `pages` is not an integer of at least 1.
        """
        if not isinstance(pages, int) or isinstance(pages, bool) or pages < 1:
            raise ValueError(f"pages must be an integer from 1, not {pages!r}")
        return fetch_ahead(self._reader(self._limit or MAX_PAGE_SIZE, stream=True).next_items, pages)

    def _reader(self, limit: int | None, *, stream: bool) -> Reader[T]:
        walk = self._rule.walk(self._start, self._listing.query, limit, stream=stream)
        return Reader(self._listing, walk)

    def _read_pages(self, limit: int | None, *, single: bool) -> _Pages[T]:
        return _Pages(
            self._reader(limit, stream=not single),
            limit,
            partial(encode_token, self._rule.name, self._identity),
            skips_invalid=self._listing.on_invalid != "raise",
            single=single,
        )

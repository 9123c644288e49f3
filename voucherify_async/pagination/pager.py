"""Lists as pages and as streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, Final, Generic, Literal, NamedTuple, NoReturn, Self, TypeVar
from urllib.parse import unquote_plus

import msgspec

from voucherify_async._transport.operation import Operation, Query, RawResponse, Request
from voucherify_async._transport.session import SessionManager
from voucherify_async._transport.wire import decode_by, decode_error, encode_query, request_id_of
from voucherify_async.errors import DecodeError, PaginationError
from voucherify_async.models.base import is_mapping
from voucherify_async.pagination.cursor_tokens import fingerprint, open_token, seal_token
from voucherify_async.pagination.prefetch import fetch_ahead
from voucherify_async.pagination.rules.base import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    Batch,
    PageAnswer,
    Rule,
    Walk,
    WalkRule,
    follow,
    item_id,
)

__all__ = ["InvalidItem", "Listing", "OnInvalid", "Page", "Pager", "Reader"]

T = TypeVar("T")

_id: Final = attrgetter("id")

OnInvalid = Literal["raise"] | Callable[[DecodeError], object]
"""What to do about an item that cannot be decoded: raise its error, or give it to a function and go on."""


@dataclass(frozen=True, slots=True, repr=False)
class Page(Generic[T]):
    """One page of a list: iterate over it, or ask for its `len`.

    Attributes:
        items: The items of the page.
        total: How many items there are in all, as the service says; `None` when it does not, or when the page
            was read inside a large group of items of one instant. It does not say whether it counts those
            that the filters leave out.
    """

    items: tuple[T, ...]
    total: int | None = None
    _next: tuple[str, bytes, Any] | None = None

    @property
    def has_more(self) -> bool:
        """Whether there is another page."""
        return self._next is not None

    @property
    def next_cursor(self) -> str | None:
        """Where the list goes on after this page: give it to the same method as `cursor`.

        An opaque, printable string that works in another process too; `None` when the list has ended.
        """
        return None if self._next is None else seal_token(*self._next)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"<Page: {len(self.items)} items, total={self.total}, has_more={self.has_more}>"


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

    async def fetch(self, query: Query) -> Fetched:
        """One page."""
        encoded = encode_query(query)
        target = f"{self.path}?{encoded}" if encoded else self.path
        decode = partial(self._decode, query.get("limit"))
        return await self.sessions.send(Request(self.operation, target, decode=decode))

    def _decode(self, limit: int | None, answer: RawResponse) -> Fetched:
        items: Sequence[Any]
        page: Any
        try:
            page = decode_by(_page_decoder(self.items, self.into), self.operation, answer)
            items = page.items
        except DecodeError:
            # Again, item by item, to find the ones that it is about; a page that is no page raises here.
            page = decode_by(_page_decoder(self.items, msgspec.Raw), self.operation, answer)
            items = [self._decode_item(answer, index, raw) for index, raw in enumerate(page.items)]
            invalid = next((item for item in items if isinstance(item, InvalidItem)), None)
            if self.on_invalid == "raise" and invalid is not None:
                error = invalid.error
                del page, items, invalid  # error reporters show the local variables of a traceback
                raise error from None
        return Fetched(
            PageAnswer(items, page.has_more, page.total, page.more_starting_after, limit),
            request_id_of(answer),
        )

    def _decode_item(self, answer: RawResponse, index: int, raw: msgspec.Raw) -> Any:
        try:
            return msgspec.json.decode(raw, type=self.into)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            loose = _read_loosely(bytes(raw))
            identity = item_id(loose)
            problem = f"item {index} of the page (id {identity}) is not of the promised shape: {error}"
            part = msgspec.structs.replace(answer, body=bytes(raw))
            return InvalidItem(
                loose, decode_error(self.operation, part, problem, item_id=identity, position=index)
            )


def _read_loosely(raw: bytes) -> Any:
    """JSON that msgspec refuses: with half of a surrogate pair, or with bytes that are no UTF-8."""
    try:
        return json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


class InvalidItem:
    """An item that cannot be decoded, with what a walk needs to know of it, and its error."""

    def __init__(self, loose: Any, error: DecodeError) -> None:
        self._loose = loose
        self.id = item_id(loose)
        self.created_at = loose.get("created_at") if is_mapping(loose) else None
        self.error = error

    def __repr__(self) -> str:
        return repr(self._loose)  # stands for an id where there is none


class Fetched(NamedTuple):
    """A page as it came, and the id of its request."""

    page: PageAnswer
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


class Reader(Generic[T]):
    """Makes the requests of a walk, and gives its batches.

    A request that fails or is cancelled is made again when the next batch is asked for: nothing is lost.
    """

    def __init__(self, listing: Listing[T], walk: Walk) -> None:
        self._listing = listing
        self._walk = walk
        self._query: Query | None = None
        self._request_id: str | None = None
        self.longest = 0
        """The most items that an answer had."""

    async def next_batch(self) -> Batch | None:
        """The next batch; `None` when the walk has ended."""
        while True:
            if self._query is None:
                step = self._advance(None)
            else:
                page, self._request_id = await self._listing.fetch(self._query)
                items = _each_once(page.items)
                page = page if items is page.items else page._replace(items=items)
                self.longest = max(self.longest, len(items))
                step = self._advance(page)
            if step is None or isinstance(step, Batch):
                self._query = None
                return step
            self._query = step

    def _advance(self, page: PageAnswer | None) -> Query | Batch | None:
        try:
            # A generator that has been asked for nothing is sent nothing.
            return next(self._walk) if page is None else self._walk.send(page)
        except StopIteration:
            return None
        except PaginationError as error:
            error.operation, error.request_id = self._listing.operation.name, self._request_id
            self._query = None
            raise

    def valid(self, items: Sequence[Any]) -> list[T]:
        """The items less those that cannot be decoded, which are reported."""
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
        """The valid items of the next batch; `None` when the walk has ended."""
        batch = await self.next_batch()
        return None if batch is None else self.valid(batch.items)


def _each_once(items: Sequence[Any]) -> Sequence[Any]:
    """The items less those whose id was there before."""
    try:  # for every page of a walk: the loop is in C
        if len(set(map(_id, items))) == len(items):
            return items
    except (AttributeError, TypeError):
        pass  # one is not decoded
    return list({item_id(item) or object(): item for item in reversed(items)}.values())[::-1]


class _Items(Generic[T]):
    """An async iterator of items that tasks may share: each item goes to one of them."""

    def __init__(self, reader: Reader[T]) -> None:
        self._reader = reader
        self._lock = asyncio.Lock()
        self._ready: list[T] = []  # in reverse

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if not self._ready:
            await self._refill()
        return self._ready.pop()

    async def _refill(self) -> None:
        async with self._lock:
            while not self._ready:
                items = await self._reader.next_items()
                if items is None:
                    raise StopAsyncIteration
                items.reverse()
                self._ready = items


class _Pages(Generic[T]):
    """An async iterator of pages that tasks may share: each page goes to one of them."""

    def __init__(
        self, reader: Reader[T], limit: int | None, seal: Callable[[Any], Any], *, picky: bool, single: bool
    ) -> None:
        """Cut pages out of batches.

        Args:
            reader: Gives the batches.
            limit: Items on a page; `None` for as many as the service gives, but no fewer than its default.
            seal: Makes what a page keeps of a state.
            picky: Whether items may turn out to be invalid, so that only one that is there shows that there is more.
            single: Whether one page is all that is wanted.
        """
        self._reader = reader
        self._limit = limit
        self._seal = seal
        self._picky = picky
        self._single = single
        self._lock = asyncio.Lock()
        # What has been taken for the page under way, also when the wait for the rest of it is cancelled.
        self._taken: list[Any] = []
        self._count = 0
        self._state: Any = None
        self._batch: Batch | None = None
        self._used = 0
        self._total: int | None = None
        self._error: PaginationError | None = None
        self._is_first, self._is_over = True, False

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """End the iteration. There is nothing to release: a page that nobody asks for is not fetched."""
        self._is_over = True

    async def __anext__(self) -> Page[T]:
        async with self._lock:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._is_over:
                raise StopAsyncIteration
            more = await self._fill()
            if not (self._count or self._is_first or more):
                self._is_over = True
                raise StopAsyncIteration
            return self._page(more=more)

    def _page(self, *, more: bool) -> Page[T]:
        items = tuple(self._reader.valid(self._taken))
        following = self._seal(self._state) if more else None
        self._taken, self._count = [], 0
        self._is_first, self._is_over = False, self._is_over or not more
        return Page(items, self._total, following)

    async def _fill(self) -> bool:
        """Take items until the page is full or the list ends; whether there is another page."""
        while True:
            batch = self._batch
            if batch is not None:
                self._take(batch)
                is_left = self._used < len(batch.items)
                if is_left or (self._count == self._limit and batch.more and not self._picky):
                    return True
                if batch.more is False or (batch.stuck and self._single):
                    return batch.stuck
            try:
                self._batch, self._used = await self._reader.next_batch(), 0
            except PaginationError as error:
                if self._single or not self._count:
                    raise  # a page that cannot be completed is none
                self._error = error  # for whoever asks for the next page
                return True
            if self._batch is None:
                return False

    def _take(self, batch: Batch) -> None:
        """Take what fits on the page, and with it the invalid items that follow."""
        if self._limit is None:
            self._limit = max(DEFAULT_PAGE_SIZE, self._reader.longest)
        self._total = self._total if batch.total is None else batch.total
        items, begin = batch.items, self._used
        room = self._limit - self._count
        if self._picky:
            places = [
                index
                for index, item in enumerate(items)
                if not isinstance(item, InvalidItem) and index >= begin
            ]
            end, taken = (places[room] if room < len(places) else len(items)), min(room, len(places))
        else:
            end = min(len(items), begin + room)
            taken = end - begin
        if end > begin or not items:
            self._taken += items[begin:end]
            self._count += taken
            self._used = end
            self._state = batch.cut(end)


class Pager(Generic[T]):
    """A list, ready to be read; making one does no I/O.

    ::

        page = await pager                  # the first page
        async for item in pager: ...        # every item
        async with pager.prefetch() as items: ...
        async for page in pager.pages(): ...
        items = await pager.to_list(max_items=500)

    Every `async for` starts from the beginning (or from the `cursor` it was made with). Every page but the last
    has exactly `limit` items, and the last has at least one, unless the list is empty. Tasks may share an
    iterator: each item, or page, goes to one of them.
    """

    def __init__(
        self,
        listing: Listing[T],
        *rules: Rule[Any] | WalkRule,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> None:
        """A walk by the first rule; with a `cursor`, by the one of the rules that made it.

        Raises:
            InvalidCursorError: `cursor` is damaged, or was made for another list or other filters.
        """
        self._listing = listing
        self._identity = listing.fingerprint
        self._limit = limit
        self._rule, self._start = follow(rules[0]), None
        if cursor is not None:
            self._rule, self._start = open_token(cursor, self._identity, [follow(rule) for rule in rules])

    def __repr__(self) -> str:
        filters = unquote_plus(encode_query(self._listing.query))
        return f"<Pager: {self._listing.operation.name}{f' of {filters}' if filters else ''}>"

    def __iter__(self) -> NoReturn:
        raise TypeError("a Pager is asynchronous: use `async for`, or `await pager` for one page")

    def __await__(self) -> Generator[Any, None, Page[T]]:
        """The first page, of as many items as `limit` says, or else the service.

        Raises:
            PaginationStalledError: Nothing can be delivered without losing items.
            DecodeError: An item cannot be decoded, unless `on_invalid` is a function.
        """
        return self._read_pages(self._limit, single=True).__anext__().__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        """Every item, in requests for pages of `limit` or 100.

        Raises:
            PageLimitError: Page numbers end, and there is more.
            PaginationStalledError: The walk cannot go on without losing items.
            DecodeError: An item cannot be decoded, unless `on_invalid` is a function.
        """
        return _Items(self._reader(self._limit or MAX_PAGE_SIZE, stream=True))

    def pages(self) -> _Pages[T]:
        """Every page, of `limit` or 100 items; of an empty list an empty one."""
        return self._read_pages(self._limit or MAX_PAGE_SIZE, single=False)

    async def to_list(self, max_items: int | None = None) -> list[T]:
        """The items in a list, at most `max_items` of them.

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
        return fetch_ahead(self._reader(self._limit or MAX_PAGE_SIZE, stream=True).next_items, pages)

    def _reader(self, limit: int | None, *, stream: bool) -> Reader[T]:
        walk = self._rule.walk(self._start, self._listing.query, limit, stream=stream)
        return Reader(self._listing, walk)

    def _read_pages(self, limit: int | None, *, single: bool) -> _Pages[T]:
        return _Pages(
            self._reader(limit, stream=not single),
            limit,
            lambda state: (self._rule.name, self._identity, state),
            picky=self._listing.on_invalid != "raise",
            single=single,
        )

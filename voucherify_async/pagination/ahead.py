"""Pages that are fetched while the caller works on the ones before."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

__all__ = ["Feed", "fetch_ahead", "gather_bare"]

T = TypeVar("T")


class Feed(Generic[T]):
    """An async context manager of an async iterator whose items a task of its own fetches.

    The task is started on entry, and on leaving, however that comes about, it is cancelled and waited for.
    What ends it early is raised to whoever iterates, in its place after the items before it, as it is. Several
    tasks may iterate: each item goes to one of them.
    """

    def __init__(
        self, name: str, fetch: Callable[[Feed[T]], Coroutine[Any, Any, None]], *, room: int
    ) -> None:
        """Fetch by a coroutine that calls `reserve` and then `deliver` for each batch of items.

        Args:
            name: The method that the caller used, for errors.
            fetch: Is given this feed.
            room: Batches that may wait for the caller, the one that is being fetched included.
        """
        self._name = name
        self._fetch = fetch
        self._room = asyncio.Semaphore(room)
        self._ready: asyncio.Queue[Sequence[T] | None] = asyncio.Queue()
        self._items: deque[T] = deque()
        self._failure: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def reserve(self) -> None:
        """Wait until there is room for one more batch."""
        await self._room.acquire()

    def deliver(self, batch: Sequence[T]) -> None:
        """Hand a batch over for which room was reserved."""
        self._ready.put_nowait(batch)

    async def _run(self) -> None:
        try:
            await self._fetch(self)
        except BaseException as error:
            self._failure = error  # raised where the items are asked for
            if not isinstance(error, Exception):
                raise
        finally:
            self._ready.put_nowait(None)

    async def __aenter__(self) -> AsyncIterator[T]:
        if self._task is not None:
            raise RuntimeError("this can be entered once; make another")
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        if self._task is not None:
            await _end(self._task)

    def __aiter__(self) -> Self:
        if self._task is None:
            raise RuntimeError(f"enter the block first: `async with ….{self._name}(…) as items`")
        return self

    async def __anext__(self) -> T:
        while not self._items and not self._closed:
            batch = await self._ready.get()
            if batch is None:
                self._ready.put_nowait(
                    None
                )  # the end is the end, however often and by how many it is asked for
                if self._closed:
                    break
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                raise StopAsyncIteration
            self._room.release()
            self._items.extend(batch)
        if self._closed:
            raise RuntimeError(
                f"the block of `{self._name}` has been left: its items can be read only inside"
            )
        return self._items.popleft()


def fetch_ahead(next_batch: Callable[[], Awaitable[Sequence[T] | None]], ahead: int) -> Feed[T]:
    """The items of some batches, until one is `None`, with up to `ahead` of them fetched before they are asked for."""

    async def fetch(feed: Feed[T]) -> None:
        await feed.reserve()
        while (batch := await next_batch()) is not None:
            feed.deliver(batch)
            await feed.reserve()

    return Feed("prefetch", fetch, room=ahead)


class _CancelledElsewhereError(Exception):
    """A coroutine was cancelled although its task was not: for example by a future that it waited for."""


async def gather_bare(*coroutines: Coroutine[Any, Any, T]) -> list[T]:
    """The results of coroutines that run at once; the first failure cancels the others, and is raised bare."""
    failure: BaseException | None = None
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(_loudly(coroutine)) for coroutine in coroutines]
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    if isinstance(failure, _CancelledElsewhereError):
        failure = failure.__cause__
    if failure is not None:
        raise failure  # outside, so that the group is not its context
    return [task.result() for task in tasks]


async def _loudly(coroutine: Coroutine[Any, Any, T]) -> T:
    """Turn a cancellation that nobody requested into an error: a task group would take it for success."""
    try:
        return await coroutine
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        cancelled = error
    raise _CancelledElsewhereError from cancelled


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end, even if the caller is cancelled meanwhile."""
    task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled

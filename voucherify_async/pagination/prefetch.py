"""Pages that are fetched while the caller works on the ones before."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from voucherify_async._tasks import cancel_and_wait

__all__ = ["PrefetchQueue", "fetch_ahead"]

T = TypeVar("T")


class PrefetchQueue(Generic[T]):
    """An async context manager of an async iterator whose items a task of its own fetches.

    The task is started on entry, and on leaving, however that comes about, it is cancelled and waited for.
    What ends it early is raised to whoever iterates, in its place after the items before it, as it is. Several
    tasks may iterate: each item goes to one of them.
    """

    def __init__(
        self, name: str, fetch: Callable[[PrefetchQueue[T]], Coroutine[Any, Any, None]], *, room: int
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
            await cancel_and_wait(self._task)

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


def fetch_ahead(next_batch: Callable[[], Awaitable[Sequence[T] | None]], ahead: int) -> PrefetchQueue[T]:
    """The items of some batches, until one is `None`, with up to `ahead` of them fetched before they are asked for."""

    async def fetch(feed: PrefetchQueue[T]) -> None:
        await feed.reserve()
        while (batch := await next_batch()) is not None:
            feed.deliver(batch)
            await feed.reserve()

    return PrefetchQueue("prefetch", fetch, room=ahead)

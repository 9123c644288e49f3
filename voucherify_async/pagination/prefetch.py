"""Prefetching: a background task fetches the next items while the caller processes earlier ones."""

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
    """An async context manager and iterator whose items are fetched by a background task.

    Entering the context starts the task; leaving it cancels the task and waits until it has ended. An error of the
    task is raised unchanged to the caller that iterates, after the items fetched before it. Several tasks may
    iterate: each item goes to one of them.
    """

    def __init__(
        self, name: str, fetch: Callable[[PrefetchQueue[T]], Coroutine[Any, Any, None]], *, max_batches: int
    ) -> None:
        """Create a queue that is filled by a coroutine function.

        Args:
            name: The public method that created the queue, for error messages.
            fetch: Called with this queue. It calls `reserve` and then `put` for each batch of items.
            max_batches: The maximum number of batches in the queue, including those being fetched.
        """
        self._name = name
        self._fetch = fetch
        self._slots = asyncio.Semaphore(max_batches)
        self._batches: asyncio.Queue[Sequence[T] | None] = asyncio.Queue()
        self._items: deque[T] = deque()
        self._failure: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._task is not None else "not entered"
        return f"<{self._name}(...): items that are fetched in the background, {state}>"

    async def reserve(self) -> None:
        """Wait until the queue has a free slot for a batch, and reserve it."""
        await self._slots.acquire()

    def put(self, batch: Sequence[T]) -> None:
        """Add a batch for which a slot is reserved."""
        self._batches.put_nowait(batch)

    async def _run(self) -> None:
        try:
            await self._fetch(self)
        except BaseException as error:
            self._failure = error  # raised by `__anext__`
            if not isinstance(error, Exception):
                raise
        finally:
            self._batches.put_nowait(None)

    async def __aenter__(self) -> AsyncIterator[T]:
        if self._task is not None:
            raise RuntimeError(f"the result of `{self._name}` can be entered only once; call it again")
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        if self._task is not None:
            await cancel_and_wait(self._task)

    def __aiter__(self) -> Self:
        if self._task is None:
            raise RuntimeError(f"enter the context first: `async with ….{self._name}(…) as items`")
        return self

    async def __anext__(self) -> T:
        while not self._items and not self._closed:
            batch = await self._batches.get()
            if batch is None:
                self._batches.put_nowait(None)  # for the next call, and for other tasks that iterate
                if self._closed:
                    break
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                raise StopAsyncIteration
            self._slots.release()
            self._items.extend(batch)
        if self._closed:
            raise RuntimeError(f"the `async with` block of `{self._name}` has ended: iterate inside it")
        return self._items.popleft()


def fetch_ahead(
    next_batch: Callable[[], Awaitable[Sequence[T] | None]], max_batches: int
) -> PrefetchQueue[T]:
    """Prefetch up to `max_batches` batches from a function that returns `None` at the end."""

    async def fetch(queue: PrefetchQueue[T]) -> None:
        await queue.reserve()
        while (batch := await next_batch()) is not None:
            queue.put(batch)
            await queue.reserve()

    return PrefetchQueue("prefetch", fetch, max_batches=max_batches)

"""Helpers for asyncio tasks: run coroutines concurrently without exception groups, and reliably cancel a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["cancel_and_wait", "gather", "run_to_end"]

T = TypeVar("T")


class _StrayCancellationError(Exception):
    """A coroutine raised `CancelledError` although its task was not cancelled, for example from a cancelled future."""


async def gather(*coroutines: Coroutine[Any, Any, T]) -> list[T]:
    """Run coroutines concurrently and return their results; raise the first error itself, after cancelling the rest."""
    failure: BaseException | None = None
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(_raise_stray_cancellation(coroutine)) for coroutine in coroutines]
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    if isinstance(failure, _StrayCancellationError):
        failure = failure.__cause__
    if failure is not None:
        raise failure  # not in the except block, so that the group does not become its __context__
    return [task.result() for task in tasks]


async def _raise_stray_cancellation(coroutine: Coroutine[Any, Any, T]) -> T:
    """Turn a `CancelledError` of a task that was not cancelled into an error, which a task group does not ignore."""
    try:
        return await coroutine
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        cancelled = error
    raise _StrayCancellationError from cancelled


async def cancel_and_wait(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended, even if the caller is cancelled meanwhile."""
    task.cancel()
    await _wait(task)


async def run_to_end(coroutine: Coroutine[Any, Any, T], on_cancel: Callable[[], object] = lambda: None) -> T:
    """Run a coroutine to its end, even if the caller is cancelled meanwhile; the caller is cancelled afterwards.

    Args:
        coroutine: For example a call in a thread, which cannot be cancelled.
        on_cancel: Called when the caller is cancelled.
    """
    task = asyncio.create_task(coroutine)
    try:
        await _wait(task, on_cancel)
    except asyncio.CancelledError:
        if not task.cancelled():
            task.exception()  # retrieved, as the cancellation is raised instead
        raise
    return task.result()


async def _wait(task: asyncio.Task[Any], on_cancel: Callable[[], object] = lambda: None) -> None:
    """Wait until a task has ended; raise a cancellation of the caller only then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            on_cancel()
    if cancelled is not None:
        raise cancelled

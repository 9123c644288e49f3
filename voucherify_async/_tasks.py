"""Helpers for tasks: run coroutines at once without exception groups, and end a task in any case."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["cancel_and_wait", "gather"]

T = TypeVar("T")


class _CancelledElsewhereError(Exception):
    """A coroutine was cancelled although its task was not: for example by a future that it waited for."""


async def gather(*coroutines: Coroutine[Any, Any, T]) -> list[T]:
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


async def cancel_and_wait(task: asyncio.Task[None]) -> None:
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

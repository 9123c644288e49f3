"""Background jobs: https://docs.voucherify.io/api-reference/async-actions/async-action-object."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any, Final

from voucherify_async._sync.jobs import pauses
from voucherify_async._transport.operation import Operation, Request
from voucherify_async._transport.session import SessionManager
from voucherify_async._transport.wire import encode_path
from voucherify_async.errors import (
    AsyncActionError,
    AsyncActionFailedError,
    AsyncActionTimeoutError,
    DeadlineExceededError,
)
from voucherify_async.models.async_actions import AsyncAction
from voucherify_async.pagination.pager import Listing, Pager
from voucherify_async.pagination.rules import EndDateRule
from voucherify_async.resources._inputs import check_callback, check_instants, check_limit, check_timeout

__all__ = ["AsyncActionsResource"]

_GET: Final[Operation[AsyncAction]] = Operation(
    "async_actions.get", "GET", "/v1/async-actions/{async_action_id}", AsyncAction
)
_LIST: Final[Operation[Any]] = Operation("async_actions.list", "GET", "/v1/async-actions", Any)

_WAIT: Final = "async_actions.wait"
_LAST_LOOK: Final = 1.0
"""Seconds that a look may take for which no time is left: the one at the very end, or with a timeout of 0."""


class AsyncActionsResource:
    """The project's background jobs."""

    def __init__(self, sessions: SessionManager) -> None:
        """Use `VoucherifyClient.async_actions`."""
        self._sessions = sessions

    async def get(self, async_action_id: str) -> AsyncAction:
        """Fetch a job.

        Raises:
            ValueError: `async_action_id` is empty, ``.`` or ``..``.
            NotFoundError: There is no such job.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/async-actions/get-async-action
        """
        target = encode_path(_GET.path, {"async_action_id": async_action_id})
        return await self._sessions.send(Request(_GET, target))

    def list(
        self,
        *,
        limit: int | None = None,
        end_date: dt.datetime | None = None,
        cursor: str | None = None,
    ) -> Pager[AsyncAction]:
        """The jobs, newest first, without their results.

        Args:
            limit: Jobs on a page, 1 to 100. Left out: 100 in a walk, else as many as the service gives.
            end_date: Only jobs scheduled before this instant.
            cursor: Go on where a page's `next_cursor` says.

        Raises:
            ValueError: An argument is out of range, or the instant has no timezone; names it.

        API: https://docs.voucherify.io/api-reference/async-actions/list-async-actions
        """
        check_instants(end_date=end_date)
        if end_date is not None and cursor is not None:
            raise ValueError("cursor and end_date say two places to start at: give one")
        listing = Listing[AsyncAction](
            sessions=self._sessions,
            operation=_LIST,
            path=_LIST.path,
            query={},
            items="async_actions",
            into=AsyncAction,
        )
        return Pager(listing, EndDateRule(end_date), limit=check_limit(limit), cursor=cursor)

    async def wait(
        self,
        async_action_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # its error carries the job
        on_progress: Callable[[AsyncAction], object] | None = None,
    ) -> AsyncAction:
        """Wait until a job has ended, and return it.

        Asks after 0.1 s, then in pauses that grow by half to 5 s. A job that is ``DONE`` has ended; whether
        all of it went well is in its `result`.

        Args:
            async_action_id: The job's id.
            timeout: Seconds to wait at most, and up to one more for a last look; 0 only looks; `None` waits
                as long as it takes.
            on_progress: Is called with the job as it stands, each time it was asked for.

        Raises:
            ValueError: `async_action_id` is empty, or `timeout` is negative.
            AsyncActionFailedError: The job ended as ``FAILED``; it is on the error.
            AsyncActionTimeoutError: The job has not ended in time. It goes on: wait again with the same id.
            VoucherifyError: A call failed.
        """
        check_timeout(timeout)
        check_callback("on_progress", on_progress)
        clock = self._sessions.clock
        ends = math.inf if timeout is None else clock.monotonic() + timeout
        action: AsyncAction | None = None
        for pause in pauses():
            seen = await self._look(async_action_id, ends - clock.monotonic())
            if seen is not None:
                action = seen
                if on_progress is not None:
                    on_progress(action)
                if action.status == "DONE":
                    return action
                if action.status == "FAILED":
                    raise _ended(AsyncActionFailedError, f"the job {async_action_id} failed", action)
            left = ends - clock.monotonic()
            if seen is None or left <= 0:
                state = "not known" if action is None else f"{action.status} ({action.progress} %)"
                text = f"the job {async_action_id} is {state} after {timeout} s; it goes on"
                raise _ended(AsyncActionTimeoutError, text, action)
            await clock.sleep(min(pause, left))
        raise AssertionError("unreachable")

    async def _look(self, async_action_id: str, seconds: float) -> AsyncAction | None:
        """The job, or `None` if no answer came in time."""
        if seconds <= 0:
            seconds = _LAST_LOOK
        own = self._sessions.options.deadline
        if seconds == math.inf or (own is not None and own <= seconds):
            return await self.get(async_action_id)
        bounded = AsyncActionsResource(self._sessions.with_options(deadline=seconds))
        try:
            return await bounded.get(async_action_id)
        except DeadlineExceededError:
            return None


def _ended(kind: type[AsyncActionError], text: str, action: AsyncAction | None) -> AsyncActionError:
    return kind(text, action=action, operation=_WAIT, request_id=action.request_id if action else None)

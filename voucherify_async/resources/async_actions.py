"""Background jobs: https://docs.voucherify.io/api-reference/async-actions/async-action-object."""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable
from typing import Any, Final

from voucherify_async._sync.jobs import pauses
from voucherify_async._transport.operation import Operation
from voucherify_async.errors import (
    AsyncActionError,
    AsyncActionFailedError,
    AsyncActionTimeoutError,
    DeadlineExceededError,
)
from voucherify_async.models.async_actions import AsyncAction, AsyncActionReceipt, BulkUpdateResult, JobResult
from voucherify_async.pagination.pager import Pager
from voucherify_async.pagination.rules import EndDateRule
from voucherify_async.resources._base import Resource
from voucherify_async.resources._inputs import check_callback, check_instants, check_timeout

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

__all__ = ["AsyncActionsResource"]

R = TypeVar("R", default=BulkUpdateResult | JobResult | dict[str, Any])

_GET: Final = Operation("async_actions.get", "GET", "/v1/async-actions/{async_action_id}", AsyncAction[Any])
_LIST: Final = Operation("async_actions.list", "GET", "/v1/async-actions", AsyncAction)

_WAIT: Final = "async_actions.wait"
_FINAL_POLL_SECONDS: Final = 1.0
"""The deadline, in seconds, of the last status request, which is sent when `timeout` has passed or is 0."""


class AsyncActionsResource(Resource):
    """The background jobs of the project."""

    async def get(self, async_action_id: str | AsyncActionReceipt[R] | AsyncAction[R]) -> AsyncAction[R]:
        """Fetch a job.

        Args:
            async_action_id: The job's id, the receipt of the call that started it, or an earlier state of the job. With
                a receipt or a job, type checkers know the type of the result.

        Raises:
            ValueError: `async_action_id` is empty, ``.`` or ``..``.
            NotFoundError: The job does not exist.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/async-actions/get-async-action
        """
        return await self._call(_GET, async_action_id=_job_id(async_action_id))

    def list(
        self,
        *,
        limit: int | None = None,
        end_date: dt.datetime | None = None,
        cursor: str | None = None,
    ) -> Pager[AsyncAction]:
        """List the jobs, newest first, without their results.

        Args:
            limit: Jobs per page, 1 to 100. Default: 100 when iterating; the service's default for a single page.
            end_date: Only jobs created before this time, timezone-aware.
            cursor: Continue from here: the `next_cursor` of an earlier page.

        Raises:
            ValueError: An argument is out of range, or `end_date` has no timezone. The message names the argument.

        API: https://docs.voucherify.io/api-reference/async-actions/list-async-actions
        """
        check_instants(end_date=end_date)
        if end_date is not None and cursor is not None:
            raise ValueError("cursor and end_date both set the starting point: pass only one")
        return self._list(_LIST, "async_actions", EndDateRule(end_date), limit=limit, cursor=cursor)

    async def wait(
        self,
        async_action_id: str | AsyncActionReceipt[R] | AsyncAction[R],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # the timeout error contains the job
        on_progress: Callable[[AsyncAction[R]], object] | None = None,
    ) -> AsyncAction[R]:
        """Wait until a job has ended, and return it.

        Polls immediately, then after 0.1 s and at intervals that grow by half up to 5 s. A ``DONE`` job may still
        contain failed items: check its `result`.

        Args:
            async_action_id: The job's id, the receipt of the call that started it, or an earlier state of the job. With
                a receipt or a job, type checkers know the type of the result.
            timeout: The longest wait, in seconds; the last poll may take one second more. 0 polls once, and
                `None` waits without limit.
            on_progress: Called with the job after every poll.

        Raises:
            ValueError: `async_action_id` is empty, or `timeout` is negative.
            AsyncActionFailedError: The job ended as ``FAILED``. The error's `action` is the job.
            AsyncActionTimeoutError: The job did not end within `timeout`. It keeps running: call `wait` again.
            VoucherifyError: A call failed.
        """
        check_timeout(timeout)
        check_callback("on_progress", on_progress)
        job_id, clock = _job_id(async_action_id), self._sessions.clock
        ends_at = math.inf if timeout is None else clock.monotonic() + timeout
        action: AsyncAction[R] | None = None
        for pause in pauses():
            polled = await self._get_within(job_id, ends_at - clock.monotonic())
            if polled is not None:
                action = polled
                if on_progress is not None:
                    on_progress(action)
                if action.status == "DONE":
                    return action
                if action.status == "FAILED":
                    raise _wait_error(AsyncActionFailedError, f"the job {job_id} failed", action)
            remaining = ends_at - clock.monotonic()
            if polled is None or remaining <= 0:
                state = "in an unknown state" if action is None else f"{action.status} ({action.progress} %)"
                text = f"the job {job_id} is {state} after {timeout} s; it keeps running"
                raise _wait_error(AsyncActionTimeoutError, text, action)
            await clock.sleep(min(pause, remaining))
        raise AssertionError("unreachable")

    async def _get_within(self, job_id: str, seconds: float) -> AsyncAction[Any] | None:
        """Fetch the job; return `None` if no response arrives within `seconds`."""
        if seconds <= 0:
            seconds = _FINAL_POLL_SECONDS
        deadline = self._sessions.options.deadline
        if seconds == math.inf or (deadline is not None and deadline <= seconds):
            return await self.get(job_id)
        with_deadline = AsyncActionsResource(self._sessions.with_options(deadline=seconds))
        try:
            return await with_deadline.get(job_id)
        except DeadlineExceededError:
            return None


def _job_id(job: str | AsyncActionReceipt[Any] | AsyncAction[Any]) -> str:
    match job:
        case AsyncActionReceipt():
            return job.async_action_id
        case AsyncAction():
            return job.id
        case _:
            return job


def _wait_error(
    error_type: type[AsyncActionError], message: str, action: AsyncAction[Any] | None
) -> AsyncActionError:
    return error_type(
        message, action=action, operation=_WAIT, request_id=action.request_id if action else None
    )

"""Which failures are retried, and when."""

import asyncio
import random
from typing import Any

from taskiq import SmartRetryMiddleware, TaskiqMessage, TaskiqResult

from voucherify_async import (
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    SyncStateError,
    SyncTimeoutError,
    TransportError,
)

MAX_DELAY = 600.0
"""The longest wait between attempts, in seconds, unless the service asks for more."""


def is_retryable(error: BaseException) -> bool:
    """Whether the same task can succeed later. The SDK has repeated failed calls before."""
    match error:
        case SyncStateError():
            return error.reason == "in_use"  # the other reasons stay until somebody acts
        case RateLimitError():
            return error.kind != "api_calls_cycle"  # the calls that the plan includes are used up
        case OutcomeUnknownError():
            return False  # a repetition could be applied twice
        case TransportError() | ServerError() | SyncTimeoutError():
            return True
        case _:
            return isinstance(error, asyncio.CancelledError)  # the worker stops


def retry_delay(error: BaseException, base: float, retries: int) -> float:
    """Seconds until the next attempt: a sync that has made progress goes on at once, other tasks wait longer each time.

    Args:
        error: Why the last attempt failed.
        base: The delay before the first retry.
        retries: The number of this retry, from 1.
    """
    if isinstance(error, SyncTimeoutError | asyncio.CancelledError):
        return 0.0
    backoff: float = min(base * 2 ** (retries - 1), MAX_DELAY)
    server_wait: float = getattr(error, "retry_after", None) or 0.0  # of errors that a rate limit caused
    return server_wait + backoff * random.uniform(0.5, 1.0)  # noqa: S311


class RetryMiddleware(SmartRetryMiddleware):
    """Schedules a task again if it failed for a reason that can pass."""

    async def on_error(
        self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException
    ) -> None:
        """Decide about a failed task. Without a retry, its error is the result."""
        if not is_retryable(exception):
            return
        retries = int(message.labels.get("_retries", 0))
        if isinstance(exception, SyncTimeoutError) and exception.report and exception.report.sent:
            retries = 0  # a long sync may take any number of turns, if each makes progress
        message.labels["_retries"] = retries
        message.labels["delay"] = retry_delay(exception, self.default_delay, retries + 1)
        await super().on_error(message, result, exception)

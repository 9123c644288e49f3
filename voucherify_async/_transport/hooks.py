"""What happens to calls, told to objects of the caller's.

Events carry the operation and the template of the URL, never the filled URL, a header or a body: ids in a
URL are personal data. They are immutable and hold values only.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from voucherify_async._transport.rate_limit import RateLimit
from voucherify_async.errors import ConfigurationError

__all__ = [
    "CallEvent",
    "ErrorEvent",
    "Hook",
    "Hooks",
    "RequestEvent",
    "ResponseEvent",
    "RetryEvent",
]

_logger = logging.getLogger("voucherify_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent:
    """What all events have.

    Attributes:
        call_id: The same in all events of one call; counts up.
        operation: For example ``customers.get``.
        method: HTTP method.
        url_template: The path with ``{names}`` for its parameters.
        base_url: Where the service is.
        attempt: The number of the attempt, from 1.
        elapsed: Seconds since the call began, all waits and attempts included.
    """

    call_id: int
    operation: str
    method: str
    url_template: str
    base_url: str
    attempt: int
    elapsed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent(CallEvent):
    """An attempt is about to be sent.

    Attributes:
        waited: Seconds that rate limits held this attempt back.
    """

    waited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseEvent(CallEvent):
    """An attempt was answered.

    Attributes:
        status: HTTP status.
        request_id: The service's id of the request, if it gave one.
        rate_limit: What the answer says about the rate limit, if anything.
        final: The answer is what the call returns; otherwise `on_retry` or `on_error` follows.
    """

    status: int
    request_id: str | None
    rate_limit: RateLimit | None
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryEvent(CallEvent):
    """An attempt failed and will be made again.

    Attributes:
        error_type: The class of what went wrong, for example ``ServerError``.
        status: HTTP status, if there was an answer.
        delay: Seconds until the next attempt; rate limits may hold it back longer.
    """

    error_type: str
    status: int | None
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent(CallEvent):
    """A call ended without a result.

    Attributes:
        error_type: The class of the error, for example ``NotFoundError``; ``CancelledError`` when the call
            was cancelled.
        status: HTTP status of the answer to the last attempt, if there was one.
        waited: Seconds that rate limits held back an attempt that was not sent.
        key: The machine-readable kind of the error, if the service gave one.
        request_id: The service's id of the request, if it gave one.
        may_have_been_applied: False only when the service certainly did not act on the call.
        cancelled: Whether the task that made the call was cancelled.
    """

    error_type: str
    status: int | None
    waited: float
    key: str | None
    request_id: str | None
    may_have_been_applied: bool
    cancelled: bool


@runtime_checkable
class OnRequest(Protocol):
    """A hook for attempts that are about to be sent."""

    def on_request(self, event: RequestEvent, /) -> object:
        """An attempt is about to be sent."""
        ...


@runtime_checkable
class OnResponse(Protocol):
    """A hook for attempts that were answered."""

    def on_response(self, event: ResponseEvent, /) -> object:
        """An attempt was answered."""
        ...


@runtime_checkable
class OnRetry(Protocol):
    """A hook for attempts that failed and will be made again."""

    def on_retry(self, event: RetryEvent, /) -> object:
        """An attempt failed and will be made again."""
        ...


@runtime_checkable
class OnError(Protocol):
    """A hook for calls that ended without a result."""

    def on_error(self, event: ErrorEvent, /) -> object:
        """A call ended without a result."""
        ...


Hook = OnRequest | OnResponse | OnRetry | OnError
"""An object with any of these methods. They are plain functions, called in the task that makes the call."""

_EVENTS: Final[dict[type[CallEvent], str]] = {
    RequestEvent: "on_request",
    ResponseEvent: "on_response",
    RetryEvent: "on_retry",
    ErrorEvent: "on_error",
}


class Hooks:
    """The hooks of a client, by what they listen to."""

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        """Look up the methods.

        Raises:
            ConfigurationError: One of them listens to nothing, or has a coroutine for a method.
        """
        self._listeners: dict[type[CallEvent], tuple[Callable[[Any], object], ...]] = {}
        if not isinstance(hooks, Iterable):
            raise ConfigurationError(f"hooks must be an iterable of hooks, not {hooks!r}")
        hooks = tuple(hooks)
        for kind, name in _EVENTS.items():
            self._listeners[kind] = tuple(getattr(hook, name) for hook in hooks if hasattr(hook, name))
        for hook in hooks:
            methods = [getattr(hook, name, None) for name in _EVENTS.values()]
            if isinstance(hook, type) or not any(callable(method) for method in methods):
                raise ConfigurationError(
                    f"hooks must be objects with any of {', '.join(_EVENTS.values())}, not {hook!r}"
                )
            if any(inspect.iscoroutinefunction(method) for method in methods):
                raise ConfigurationError(f"hooks are plain functions, and {hook!r} has a coroutine function")
        self.wanted = frozenset(kind for kind, listeners in self._listeners.items() if listeners)

    def emit(self, event: CallEvent) -> None:
        """Tell everybody who listens. One that fails is logged, and does not fail the call."""
        for listener in self._listeners[type(event)]:
            try:
                listener(event)
            except Exception:  # a hook only looks on
                _logger.exception("%s: a hook failed on %s", event.operation, _EVENTS[type(event)])

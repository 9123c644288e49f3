"""Hooks: callbacks for the events of a call.

Events contain the operation and the URL template, never the actual URL, a header or a body: ids in a URL are
personal data. Events are immutable and contain only plain values.
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
    """The base class of the events of a call.

    Attributes:
        call_id: Number of the call, the same in all its events; increases with each call.
        operation: The operation, for example ``customers.get``.
        method: HTTP method.
        url_template: The path with ``{names}`` for its parameters.
        base_url: The URL of the service.
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
        waited: Seconds that this attempt waited for rate limits.
    """

    waited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseEvent(CallEvent):
    """A response was received.

    Attributes:
        status: HTTP status.
        request_id: The service's id of the request, if it gave one.
        rate_limit: The rate limit that the response reported, if any.
        final: Whether the call returns this response; otherwise `on_retry` or `on_error` follows.
    """

    status: int
    request_id: str | None
    rate_limit: RateLimit | None
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryEvent(CallEvent):
    """An attempt failed and will be retried.

    Attributes:
        error_type: The class of the error, for example ``ServerError``.
        status: HTTP status, if there was a response.
        delay: Seconds until the next attempt; rate limits may delay it longer.
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
        status: HTTP status of the response to the last attempt, if there was one.
        waited: If the last attempt was not sent, the seconds that it waited for rate limits; otherwise 0.
        key: The machine-readable kind of the error, if the service gave one.
        request_id: The service's id of the request, if it gave one.
        may_have_been_applied: False only if the service certainly did not act on the call.
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
        """Called when an attempt is about to be sent."""
        ...


@runtime_checkable
class OnResponse(Protocol):
    """A hook for responses."""

    def on_response(self, event: ResponseEvent, /) -> object:
        """Called when a response was received."""
        ...


@runtime_checkable
class OnRetry(Protocol):
    """A hook for retries."""

    def on_retry(self, event: RetryEvent, /) -> object:
        """Called when an attempt failed and will be retried."""
        ...


@runtime_checkable
class OnError(Protocol):
    """A hook for calls that ended without a result."""

    def on_error(self, event: ErrorEvent, /) -> object:
        """Called when a call ended without a result."""
        ...


Hook = OnRequest | OnResponse | OnRetry | OnError
"""An object with at least one of these methods. They must be plain functions; they run in the task of the call."""

_EVENTS: Final[dict[type[CallEvent], str]] = {
    RequestEvent: "on_request",
    ResponseEvent: "on_response",
    RetryEvent: "on_retry",
    ErrorEvent: "on_error",
}


class Hooks:
    """The hooks of a client, grouped by event."""

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        """Check the hooks and look up their methods.

        Raises:
            ConfigurationError: A hook has none of the methods, or one that is a coroutine function.
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
                    f"hooks must be objects with at least one of {', '.join(_EVENTS.values())}, not {hook!r}"
                )
            if any(inspect.iscoroutinefunction(method) for method in methods):
                raise ConfigurationError(
                    f"hooks must be plain functions, but {hook!r} has a coroutine function"
                )
        self.wanted = frozenset(kind for kind, listeners in self._listeners.items() if listeners)

    def emit(self, event: CallEvent) -> None:
        """Call the hooks for an event. An exception in a hook is logged and does not affect the call."""
        for listener in self._listeners[type(event)]:
            try:
                listener(event)
            except Exception:  # a hook must not affect the call
                _logger.exception("%s: a hook failed on %s", event.operation, _EVENTS[type(event)])

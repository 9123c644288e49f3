"""A hook that records events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from voucherify_async._transport.hooks import CallEvent

E = TypeVar("E", bound=CallEvent)


class RecordingHook:
    """Records the events of all calls, in order.

    Attributes:
        events: The events.
    """

    def __init__(self, on_request: Callable[[], object] | None = None) -> None:
        """Create a hook; `on_request` is called when an attempt is about to be sent."""
        self.events: list[Any] = []
        self._on_request = on_request

    def on_request(self, event: CallEvent) -> None:
        self.events.append(event)
        if self._on_request is not None:
            self._on_request()

    def on_response(self, event: CallEvent) -> None:
        self.events.append(event)

    on_retry = on_error = on_response

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def kinds(self) -> list[str]:
        """The kinds of the events, such as ``Request``."""
        return [type(event).__name__.removesuffix("Event") for event in self.events]

"""Recording of responses: which blocks of `record_responses` are around the current code."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from voucherify_async._transport.operation import ResponseInfo

__all__ = ["Recorder", "pause_recording", "record", "recorders_of"]


@dataclass(slots=True, eq=False)
class Recorder:
    """The responses that a `record_responses` block collects.

    Attributes:
        owner: The connection pool over which the calls are made.
        responses: The responses so far.
        is_closed: Whether the block has ended.
    """

    owner: object
    responses: list[ResponseInfo] = field(default_factory=list[ResponseInfo])
    is_closed: bool = False


_recorders: Final[ContextVar[tuple[Recorder, ...]]] = ContextVar("voucherify_async_recorders", default=())


@contextmanager
def record(owner: object) -> Generator[list[ResponseInfo]]:
    """Collect the responses to calls over a connection pool that are made in the block."""
    recorder = Recorder(owner)
    _recorders.set((*_recorders.get(), recorder))
    try:
        yield recorder.responses
    finally:
        # Blocks may end in any order, and in another task than they began in, for example those of generators.
        recorder.is_closed = True
        _recorders.set(tuple(other for other in _recorders.get() if other is not recorder))


def recorders_of(owner: object) -> list[Recorder]:
    """The open recorders around the current code for calls over a connection pool."""
    return [found for found in _recorders.get() if found.owner is owner and not found.is_closed]


def pause_recording() -> None:
    """Record nothing in the rest of the current task."""
    _recorders.set(())

"""Windows: spans of creation time that divide a list of customers. Pure functions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from voucherify_async.models.base import EPOCH, Model, as_utc

__all__ = ["Window", "from_milliseconds", "merge_spans", "split_span", "to_milliseconds"]

_SECOND: Final = 1_000
_MILLISECOND: Final = dt.timedelta(milliseconds=1)


class Window(Model, frozen=True, kw_only=True):
    """The customers created in a span of time. Adjacent windows have no customer in common.

    Bounds apply to whole milliseconds: fractions of a millisecond in `created_at` are ignored.

    Attributes:
        created_from: The start of the window, inclusive and timezone-aware; `None` for no limit.
        created_before: The end of the window, exclusive and timezone-aware; `None` for no limit.
    """

    created_from: dt.datetime | None = None
    created_before: dt.datetime | None = None


def to_milliseconds(instant: dt.datetime) -> int:
    """The whole milliseconds from 1970 to `instant`."""
    return (as_utc(instant) - EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> dt.datetime:
    """The time `milliseconds` after 1970."""
    return EPOCH + milliseconds * _MILLISECOND


def split_span(low: int, high: int, parts: int) -> list[int]:
    """The times, in milliseconds, that split a span into at most `parts` parts of about equal length.

    All of them are whole seconds, as the service may compare timestamps in seconds. A short span has fewer parts.
    """
    edges = ((low + (high - low) * number // parts) // _SECOND * _SECOND for number in range(1, parts))
    return sorted({edge for edge in edges if low < edge < high})


def merge_spans(counts: Sequence[tuple[int, int]], parts: int) -> list[int]:
    """The times, in milliseconds, that split a list into at most `parts` windows with about as many customers each.

    Args:
        counts: The start (milliseconds) and the number of customers of consecutive short spans.
        parts: The maximum number of windows.
    """
    total = sum(count for _, count in counts)
    edges: list[int] = []
    passed = 0
    for (_, count), (begin, _) in pairwise(counts):
        passed += count
        if passed * parts >= total * (len(edges) + 1) and len(edges) < parts - 1:
            edges.append(begin)
    return edges

"""Windows: parts of a list of customers by creation time, which together are the whole. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from voucherify_async.models.base import EPOCH, Model, as_utc

__all__ = ["Window", "cut", "instant_of", "merge", "milliseconds_of"]

_SECOND: Final = 1_000
_MILLISECOND: Final = dt.timedelta(milliseconds=1)


class Window(Model, frozen=True, kw_only=True):
    """The customers created in a span of time; windows that meet have none in common.

    Whole milliseconds count: a customer belongs to the millisecond in which it was created.

    Attributes:
        created_from: The first instant in it; `None` for no limit.
        created_before: The first instant after it; `None` for no limit.
    """

    created_from: dt.datetime | None = None
    created_before: dt.datetime | None = None


def milliseconds_of(instant: dt.datetime) -> int:
    """The millisecond, since 1970, in which an instant is."""
    return (as_utc(instant) - EPOCH) // _MILLISECOND


def instant_of(milliseconds: int) -> dt.datetime:
    """The instant at which a millisecond begins."""
    return EPOCH + milliseconds * _MILLISECOND


def cut(low: int, high: int, parts: int) -> list[int]:
    """Where to cut a span of milliseconds into so many parts of about one length, or fewer if it is short.

    Only at whole seconds: a service may compare in seconds.
    """
    edges = ((low + (high - low) * number // parts) // _SECOND * _SECOND for number in range(1, parts))
    return sorted({edge for edge in edges if low < edge < high})


def merge(counts: Sequence[tuple[int, int]], parts: int) -> list[int]:
    """Where to cut so that each of at most `parts` windows has about as many customers as the others.

    Args:
        counts: For each small span, in order, the millisecond it begins at and how many customers it has.
        parts: How many windows to make.
    """
    total = sum(count for _, count in counts)
    edges: list[int] = []
    passed = 0
    for (_, count), (begin, _) in pairwise(counts):
        passed += count
        if passed * parts >= total * (len(edges) + 1) and len(edges) < parts - 1:
            edges.append(begin)
    return edges

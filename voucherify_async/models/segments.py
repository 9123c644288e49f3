"""Customer segments."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model

__all__ = [
    "Segment",
]


class Segment(Model, frozen=True, kw_only=True):
    """A customer segment.

    Attributes:
        id: The id of the segment.
        name: The name of the segment.
        type: ``auto-update``, ``passive`` or ``static``.
        filter: The conditions under which a customer belongs to the segment, unless it is static.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``segment``.
    """

    id: str
    name: str | None = None
    type: str | None = None
    filter: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None

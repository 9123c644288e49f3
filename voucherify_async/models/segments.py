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
        type: ``auto-update``: customers enter and leave by `filter`, and events report it. ``passive``: the
            same without events. ``static``: customers are added manually.
        filter: The conditions for a customer to be in the segment; `None` for ``static``.
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

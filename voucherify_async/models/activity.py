"""Events of a customer's activity."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from voucherify_async.models._json import lazy_json
from voucherify_async.models.base import Model

__all__ = ["CustomerActivity"]


class CustomerActivity(Model, frozen=True, kw_only=True, dict=True, gc=True):
    """One event in a customer's history.

    Attributes:
        id: The id of the event.
        type: The type of the event, for example ``customer.order.paid``.
        created_at: Time of the event, timezone-aware.
        group_id: The id of the request that caused the event.
        raw_data: The raw JSON of `data`.
    """

    id: str
    type: str | None = None
    created_at: dt.datetime | None = None
    group_id: str | None = None
    raw_data: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"null"), name="data")

    def __post_init__(self) -> None:
        # The decoder returns a view of the whole page; copy it so that one event does not keep the page in memory.
        msgspec.structs.force_setattr(self, "raw_data", self.raw_data.copy())

    def __repr__(self) -> str:
        return f"CustomerActivity(id={self.id!r}, type={self.type!r}, created_at={self.created_at!r})"

    @cached_property
    def data(self) -> Mapping[str, Any] | None:
        """The event's payload, decoded on first access; `None` if absent."""
        data: Mapping[str, Any] | None = lazy_json(self.raw_data)
        return data

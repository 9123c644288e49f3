"""Events of a customer's activity."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from voucherify_async.errors import DecodeError
from voucherify_async.models._json import lazy_json, make_decoder
from voucherify_async.models.base import Model

if TYPE_CHECKING:
    from voucherify_async.models.customer_events import CustomerEvent
    from voucherify_async.models.events import EventSource, UnknownEvent

__all__ = ["CustomerActivity"]


_PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)


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
        """The details of the event as plain Python values; `None` if absent. Decoded on first access.

        The service has what the event is about in ``data["data"]``, and who caused it in ``data["event_source"]``.

        Raises:
            DecodeError: They are nested too deeply, or contain a number too large for a float.
        """
        data: Mapping[str, Any] | None = lazy_json(self.raw_data)
        return data

    @cached_property
    def event_source(self) -> EventSource | None:
        """Who caused the event; `None` if absent. Decoded on first access.

        Raises:
            DecodeError: It is not as the class declares it.
        """
        from voucherify_async.models.events import EventSource  # noqa: PLC0415

        raw = self._parts.get("event_source", msgspec.Raw(b"null"))
        source: EventSource | None = lazy_json(raw, make_decoder(EventSource | None))
        return source

    @cached_property
    def event(self) -> CustomerEvent | UnknownEvent:
        """What the event is about, as the class of its type. Decoded on first access.

        The name of the class is the type, so ``customer.segment.entered`` is `CustomerSegmentEntered`. The classes are in
        `voucherify_async.models`. An event of another type is an `UnknownEvent`.

        Raises:
            DecodeError: It is not as the class declares it. `data` has it as plain Python values.
        """
        from voucherify_async.models.customer_events import CUSTOMER_EVENTS  # noqa: PLC0415  # imports 20 modules
        from voucherify_async.models.events import decode_event  # noqa: PLC0415

        return decode_event(CUSTOMER_EVENTS, self.type, self.id, self._parts.get("data", self.raw_data))

    @property
    def _parts(self) -> Mapping[str, msgspec.Raw]:
        """The properties of `data`."""
        try:
            return lazy_json(self.raw_data, _PARTS) or {}
        except DecodeError:  # it is not an object
            return {}

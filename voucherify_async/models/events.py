"""What all events have in common, and the custom events that a project tracks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, TypeVar

import msgspec

from voucherify_async.models._json import lazy_json, make_decoder
from voucherify_async.models.base import Model
from voucherify_async.models.customers import Customer

__all__ = [
    "CustomEvent",
    "CustomEventLoyalty",
    "CustomEventReferral",
    "Event",
    "EventApiKey",
    "EventDetails",
    "EventSchema",
    "EventSource",
    "EventUser",
    "UnknownEvent",
]


class Event(Model, frozen=True, kw_only=True):
    """What an event is about. The base class of all events, in `customer_events` and `webhook_events`."""

    _AS_SUBCLASS: ClassVar = True


class UnknownEvent(Event, frozen=True, kw_only=True):
    """An event of a type that this version does not know.

    Attributes:
        type: The type of the event.
        data: What the event is about, as plain Python values.
    """

    type: str | None = None
    data: Any = None


class EventUser(Model, frozen=True, kw_only=True):
    """The user of the dashboard who caused an event.

    Attributes:
        id: The id of the user.
    """

    id: str | None = None


class EventApiKey(Model, frozen=True, kw_only=True):
    """The API key whose request caused an event.

    Attributes:
        name: The name of the key.
        app_id: The application id of the key, which is sent as ``X-App-Id``.
    """

    name: str | None = None
    app_id: str | None = None


class EventSource(Model, frozen=True, kw_only=True):
    """Who caused an event.

    Attributes:
        channel: ``USER_PORTAL``, ``API``, ``CLIENT_API`` or ``INTERNAL``.
        user: The user of the dashboard, if one caused it.
        api_key: The API key, if a request to the API caused it.
    """

    channel: str | None = None
    user: EventUser | None = None
    api_key: EventApiKey | None = None


class EventDetails(Model, frozen=True, kw_only=True):
    """An event that the service recorded.

    Attributes:
        id: The id of the event.
        type: The type of the event, for example ``customer.created``.
        category: ``ACTION`` if somebody did it; ``EFFECT`` if it followed from an action.
        created_at: Time of the event, timezone-aware.
        entity_id: The id of the object that initiated the event, for example of the customer.
        group_id: The id of the request that caused the event.
        event_source: Who caused the event.
    """

    id: str | None = None
    type: str | None = None
    category: str | None = None
    created_at: dt.datetime | None = None
    entity_id: str | None = None
    group_id: str | None = None
    event_source: EventSource | None = None


class EventSchema(Model, frozen=True, kw_only=True):
    """The schema of a custom event.

    Attributes:
        id: The id of the schema.
        name: The name of the custom event.
    """

    id: str | None = None
    name: str | None = None


class CustomEventReferral(Model, frozen=True, kw_only=True):
    """The referral that a custom event belongs to.

    Attributes:
        id: The id of the referral code, which is a voucher.
        code: The referral code.
        referrer_id: The id of the customer who made the referral.
    """

    id: str | None = None
    code: str | None = None
    referrer_id: str | None = None


class CustomEventLoyalty(Model, frozen=True, kw_only=True):
    """The loyalty card that a custom event belongs to.

    Attributes:
        code: The code of the loyalty card.
    """

    code: str | None = None


class CustomEvent(Model, frozen=True, kw_only=True):
    """A custom event that was tracked for a customer.

    Attributes:
        id: The id of the event.
        type: The name of the custom event.
        customer: The customer.
        referral: The referral that the event belongs to.
        loyalty: The loyalty card that the event belongs to.
        metadata: Custom properties.
        created_at: Time of the event, timezone-aware.
        object: Always ``event``.
    """

    id: str | None = None
    type: str | None = None
    customer: Customer | None = None
    referral: CustomEventReferral | None = None
    loyalty: CustomEventLoyalty | None = None
    metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    object: str | None = None


E = TypeVar("E", bound=Event)


def decode_event(
    classes: Mapping[str, type[E]], event_type: str | None, event_id: str | None, raw: msgspec.Raw
) -> E | UnknownEvent:
    """Decode what an event is about.

    Args:
        classes: The class of each type of event.
        event_type: The type of the event.
        event_id: The id of the event, for the message of an error.
        raw: The raw JSON; ``null`` gives an event without any properties.

    Raises:
        DecodeError: The JSON is not as the class of the event declares it.
    """
    event_class = classes.get(event_type or "")
    if event_class is None:
        return UnknownEvent(type=event_type, data=lazy_json(raw))
    event: E | None = lazy_json(raw, _decoder(event_class), f"the event {event_id} of type {event_type}")
    return event_class() if event is None else event


@cache
def _decoder(event_class: type[E]) -> msgspec.json.Decoder[E | None]:
    return make_decoder(event_class | None)

"""The JSON of webhooks, and its signature. No I/O."""

from __future__ import annotations

import hmac
from typing import Final

import msgspec

from voucherify_async._transport.wire import format_instant
from voucherify_async.sandbox._endpoints._event_data import event_data
from voucherify_async.sandbox._seed.vouchers import alphanumeric_id, hex_hash_id
from voucherify_async.sandbox._store.records import Event

__all__ = ["WEBHOOK_TYPES", "sign", "webhook_body", "webhook_id"]

WEBHOOK_TYPES: Final = frozenset(
    {
        "customer.created",
        "customer.updated",
        "customer.deleted",
        "customer.segment.entered",
        "customer.segment.left",
        "customer.custom_event",
        "customer.order.created",
        "customer.order.updated",
        "customer.order.paid",
        "customer.order.canceled",
        "customer.publication.succeeded",
        "customer.redemption.succeeded",
        "customer.redemption.rollback.succeeded",
        "customer.holder.assignment.created",
        "customer.holder.assignment.deleted",
        "customer.rewarded",
        "customer.rewarded.loyalty_points",
        "customer.reward_redemptions.created",
        "customer.reward_redemptions.pending",
        "customer.reward_redemptions.completed",
        "customer.voucher.gift.balance_added",
        "customer.voucher.loyalty_card.points_added",
        "customer.voucher.loyalty_card.points_expired",
        "customer.voucher.loyalty_card.pending_points.added",
        "customer.voucher.loyalty_card.pending_points.updated",
        "customer.voucher.loyalty_card.pending_points.activated",
        "customer.voucher.loyalty_card.pending_points.canceled",
        "customer.loyalty.tier.joined",
        "customer.loyalty.tier.left",
        "customer.loyalty.tier.prolonged",
        "customer.loyalty.tier.upgraded",
        "customer.loyalty.tier.downgraded",
    }
)
"""The types of customer events for which the service documents a webhook. Other events are in the activity only."""


def webhook_id(event: Event) -> str:
    """The id of the webhook for an event, for example ``whs_0b4c590350857970df``."""
    return hex_hash_id("whs_", event.number)


def webhook_body(event: Event, *, target_url: str, app_id: str) -> bytes:
    """The body of the webhook for an event, which is the same each time it is sent.

    Args:
        event: The event.
        target_url: The URL that it is sent to.
        app_id: The application id of the API key that caused the event.

    Raises:
        AssertionError: The event lacks an object that events of its type are about.
    """
    created_at = format_instant(event.at)
    envelope = {
        "id": webhook_id(event),
        "project_id": "proj_sandbox",
        "created_at": created_at,
        "type": event.kind,
        "data": event_data(event),
        "source": {"id": alphanumeric_id("wh_", 1), "object": "webhook", "target_url": target_url},
        "event": {
            "id": event.id,
            "type": event.kind,
            "created_at": created_at,
            "entity_id": event.customer.id,
            "group_id": event.group_id,
            "event_source": {
                "channel": "API",
                "user": None,
                "api_key": {"name": "Sandbox", "app_id": app_id},
            },
        },
    }
    return msgspec.json.encode(envelope)


def sign(body: bytes, secret: str) -> str:
    """The signature of a body in compact JSON."""
    return hmac.digest(secret.encode(), body, "sha256").hex()

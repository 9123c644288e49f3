"""Redemptions and their rollbacks."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model, Number
from voucherify_async.models.customers import Customer
from voucherify_async.models.orders import Order
from voucherify_async.models.promotions import PromotionTier
from voucherify_async.models.rewards import Reward
from voucherify_async.models.vouchers import Voucher

__all__ = [
    "RedeemedCredits",
    "RedeemedPoints",
    "Redemption",
    "RedemptionChannel",
    "RedemptionSession",
    "RelatedRedemption",
    "RelatedRedemptions",
]


class RedemptionChannel(Model, frozen=True, kw_only=True):
    """Who made a redemption.

    Attributes:
        channel_id: The id of the user for ``USER``, of the API key for ``API``, and of the reward assignment
            for ``AUTO_REDEEM``.
        channel_type: ``USER``: a user of the dashboard. ``API``: a request to the API. ``AUTO_REDEEM``: the
            service, which redeemed a reward automatically.
    """

    channel_id: str | None = None
    channel_type: str | None = None


class RelatedRedemption(Model, frozen=True, kw_only=True):
    """A redemption, or a rollback of one.

    Attributes:
        id: The id of the redemption or rollback.
        date: Time of the redemption or rollback, timezone-aware.
        rollback_order_mode: For a rollback, whether the discounts in the order were rolled back too:
            ``WITH_ORDER`` or ``WITHOUT_ORDER``.
    """

    id: str
    date: dt.datetime | None = None
    rollback_order_mode: str | None = None


class RelatedRedemptions(Model, frozen=True, kw_only=True):
    """Other redemptions and rollbacks that belong to a redemption.

    Attributes:
        redemptions: The redemptions.
        rollbacks: The rollbacks.
    """

    redemptions: tuple[RelatedRedemption, ...] | None = None
    rollbacks: tuple[RelatedRedemption, ...] | None = None


class RedeemedCredits(Model, frozen=True, kw_only=True):
    """What a redemption took from a gift card.

    Attributes:
        amount: Credits, in hundredths of the currency unit.
    """

    amount: Number | None = None


class RedeemedPoints(Model, frozen=True, kw_only=True):
    """What a redemption took from a loyalty card.

    Attributes:
        points: The points.
    """

    points: Number | None = None


class RedemptionSession(Model, frozen=True, kw_only=True):
    """The session that locked what was redeemed, so that nobody else could redeem it.

    Attributes:
        key: The key of the session.
        type: The type of the session: ``LOCK``.
        ttl: How long the session lasts, in the unit `ttl_unit`.
        ttl_unit: ``NANOSECONDS``, ``MICROSECONDS``, ``MILLISECONDS``, ``SECONDS``, ``MINUTES``, ``HOURS`` or
            ``DAYS``.
    """

    key: str | None = None
    type: str | None = None
    ttl: Number | None = None
    ttl_unit: str | None = None


class Redemption(Model, frozen=True, kw_only=True):
    """A redemption, or the rollback of one.

    Attributes:
        id: The id of the redemption or rollback.
        object: ``redemption`` or ``redemption_rollback``.
        result: ``SUCCESS`` or ``FAILURE``.
        status: ``SUCCEEDED``, ``FAILED`` or ``ROLLED_BACK``. Some responses have ``ROLLED BACK``.
        date: Time of the redemption or rollback, timezone-aware.
        created_at: Time of creation, timezone-aware.
        amount: Credits, in hundredths of the currency unit, or points that were redeemed; negative for a
            rollback.
        redemption: For a rollback, the id of the redemption that was rolled back.
        parent_redemption_id: The id of the parent redemption, if several redeemables were redeemed together.
        related_redemptions: Other redemptions and rollbacks that belong to it.
        related_object_type: What was redeemed, for example ``voucher`` or ``promotion_tier``; for a rollback,
            ``redemption``.
        related_object_id: The id of what was redeemed.
        related_object_parent_id: The id of the campaign of what was redeemed.
        voucher: The voucher that was redeemed.
        promotion_tier: The promotion tier that was redeemed.
        campaign_name: The name of the campaign.
        gift: What was taken from a gift card.
        loyalty_card: What was taken from a loyalty card.
        reward: The reward that was redeemed.
        customer: The customer.
        customer_id: The id of the customer.
        tracking_id: The customer's `source_id`, hashed.
        order: The order.
        previous_order: The order before the rollback.
        session: The session that locked what was redeemed.
        channel: Who made it.
        channel_type: Who made it: ``USER`` or ``API``, as in `RedemptionChannel`.
        channel_id: The id of the user or of the API key, as in `RedemptionChannel`.
        reason: Why it failed, or why it was rolled back.
        failure_code: Why it failed, as a code.
        failure_message: Why it failed, in words.
        metadata: Custom properties.
    """

    id: str
    object: str | None = None
    result: str | None = None
    status: str | None = None
    date: dt.datetime | None = None
    created_at: dt.datetime | None = None
    amount: Number | None = None
    redemption: str | None = None
    parent_redemption_id: str | None = None
    related_redemptions: RelatedRedemptions | None = None
    related_object_type: str | None = None
    related_object_id: str | None = None
    related_object_parent_id: str | None = None
    voucher: Voucher | None = None
    promotion_tier: PromotionTier | None = None
    campaign_name: str | None = None
    gift: RedeemedCredits | None = None
    loyalty_card: RedeemedPoints | None = None
    reward: Reward | None = None
    customer: Customer | None = None
    customer_id: str | None = None
    tracking_id: str | None = None
    order: Order | None = None
    previous_order: Order | None = None
    session: RedemptionSession | None = None
    channel: RedemptionChannel | None = None
    channel_type: str | None = None
    channel_id: str | None = None
    reason: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    metadata: dict[str, Any] | None = None

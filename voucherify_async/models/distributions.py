"""Distributions: messages to customers, for example with a voucher."""

from __future__ import annotations

import datetime as dt

from voucherify_async.models.base import Model
from voucherify_async.models.customers import Customer

__all__ = [
    "Distribution",
    "DistributionConsents",
    "DistributionParameters",
]


class DistributionParameters(Model, frozen=True, kw_only=True):
    """What a distribution sends, and to whom.

    Attributes:
        method: How it is sent, for example ``direct``.
        subject: The subject of the message.
        customer: The customer who gets the message.
        campaign_id: The id of the campaign that the distribution belongs to.
        promotion_tier_id: The id of the promotion tier that the message is about.
    """

    method: str | None = None
    subject: str | None = None
    customer: Customer | None = None
    campaign_id: str | None = None
    promotion_tier_id: str | None = None


class DistributionConsents(Model, frozen=True, kw_only=True):
    """Whether a distribution needs the consent of customers.

    Attributes:
        disabled: Whether messages are sent without the consent of customers.
    """

    disabled: bool | None = None


class Distribution(Model, frozen=True, kw_only=True):
    """A distribution.

    Attributes:
        id: The id of the distribution.
        status: ``DRAFT``, ``TO SEND``, ``PAUSED`` or ``DONE``.
        parameters: What it sends, and to whom.
        consents: Whether it needs the consent of customers.
        distribution_channels: The channels through which it is sent, for example ``email``, ``sms`` or
            ``webhook``.
        set_live_at: Time at which the distribution goes live, timezone-aware.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
    """

    id: str
    status: str | None = None
    parameters: DistributionParameters | None = None
    consents: DistributionConsents | None = None
    distribution_channels: tuple[str, ...] | None = None
    set_live_at: dt.datetime | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None

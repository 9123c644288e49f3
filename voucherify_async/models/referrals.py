"""Referral programs."""

from __future__ import annotations

from voucherify_async.models.base import Model, Number
from voucherify_async.models.distributions import Distribution
from voucherify_async.models.events import EventSchema
from voucherify_async.models.segments import Segment

__all__ = [
    "RefereeReward",
    "RefereeRewardCampaign",
    "ReferralProgram",
    "ReferralTier",
    "ReferralTierParameters",
]


class RefereeReward(Model, frozen=True, kw_only=True):
    """What a referred customer gets.

    Attributes:
        type: ``LOYALTY_CARD``, ``GIFT_VOUCHER`` or ``DISCOUNT_VOUCHER``.
        amount: Points, or credits in hundredths of the currency unit; some responses have a string.
        related_object_parent: The campaign that the reward comes from.
    """

    type: str | None = None
    amount: Number | str | None = None
    related_object_parent: RefereeRewardCampaign | None = None


class RefereeRewardCampaign(Model, frozen=True, kw_only=True):
    """The campaign that the reward of a referred customer comes from.

    Attributes:
        id: The id of the campaign.
        name: The name of the campaign.
        object: Always ``CAMPAIGN``.
    """

    id: str | None = None
    name: str | None = None
    object: str | None = None


class ReferralProgram(Model, frozen=True, kw_only=True):
    """How a referral is counted, and what the referred customer gets.

    Attributes:
        conversion_event_type: What counts as a referral: ``redemption`` or ``custom_event``.
        custom_event: The custom event that counts as a referral.
        referee_reward: What the referred customer gets.
    """

    conversion_event_type: str | None = None
    custom_event: EventSchema | None = None
    referee_reward: RefereeReward | None = None


class ReferralTier(Model, frozen=True, kw_only=True):
    """A tier of a referral program, which rewards the customer who refers others.

    Attributes:
        id: The id of the tier.
        campaign_id: The id of the campaign.
        banner: Text to show to the customer.
        parameters: What a customer is rewarded for.
    """

    id: str
    campaign_id: str | None = None
    banner: str | None = None
    parameters: ReferralTierParameters | None = None


class ReferralTierParameters(Model, frozen=True, kw_only=True):
    """What a referral tier rewards a customer for.

    Attributes:
        event_type: The type of the event that is rewarded.
        segment: The segment that the event is about.
        custom_event: The schema of the custom event that is rewarded.
        distribution: The distribution that the event is about.
    """

    event_type: str | None = None
    segment: Segment | None = None
    custom_event: EventSchema | None = None
    distribution: Distribution | None = None

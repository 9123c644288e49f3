"""Rewards, their assignments to campaigns, and their redemptions."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model, Number
from voucherify_async.models.customers import Customer
from voucherify_async.models.products import Product, Sku
from voucherify_async.models.vouchers import Voucher

__all__ = [
    "Reward",
    "RewardAssignment",
    "RewardAssignmentParameters",
    "RewardAttributes",
    "RewardCampaign",
    "RewardCoin",
    "RewardParameters",
    "RewardPrice",
    "RewardProduct",
    "RewardRedemption",
    "RewardSource",
]


class RewardCampaign(Model, frozen=True, kw_only=True):
    """The campaign from which a reward is taken.

    Attributes:
        id: The id of the campaign.
        type: The type of the campaign, for example ``GIFT_VOUCHERS``.
        balance: Credits, in hundredths of the currency unit, or points that the customer gets.
    """

    id: str | None = None
    type: str | None = None
    balance: Number | None = None


class RewardProduct(Model, frozen=True, kw_only=True):
    """The product that is a reward.

    Attributes:
        id: The id of the product.
        sku_id: The id of the SKU.
    """

    id: str | None = None
    sku_id: str | None = None


class RewardCoin(Model, frozen=True, kw_only=True):
    """The exchange rate between points and an amount of money.

    Attributes:
        exchange_ratio: The amount that `points_ratio` points are worth.
        points_ratio: The number of points that are worth `exchange_ratio`.
    """

    exchange_ratio: Number | None = None
    points_ratio: Number | None = None


class RewardParameters(Model, frozen=True, kw_only=True):
    """What a reward consists of; which field is set depends on the type of the reward.

    Attributes:
        campaign: For ``CAMPAIGN``, the campaign.
        coin: For ``COIN``, the value of points.
        product: For ``MATERIAL``, the product.
    """

    campaign: RewardCampaign | None = None
    coin: RewardCoin | None = None
    product: RewardProduct | None = None


class RewardAttributes(Model, frozen=True, kw_only=True):
    """How a material reward is presented.

    Attributes:
        image_url: URL of the image.
        description: A description.
    """

    image_url: str | None = None
    description: str | None = None


class Reward(Model, frozen=True, kw_only=True):
    """A reward, or what a customer got as a reward.

    Attributes:
        id: The id of the reward.
        name: The name of the reward.
        type: ``CAMPAIGN``, ``COIN`` or ``MATERIAL``.
        stock: For ``MATERIAL``, number of units that are offered as a reward; some responses have a string.
        redeemed: Number of successful redemptions; some responses have a string.
        parameters: What the reward consists of.
        attributes: How a material reward is presented.
        assignment_id: The id of the assignment of the reward to a campaign.
        customer: The customer who redeemed the reward.
        voucher: The voucher that the customer got.
        product: The product that the customer got.
        sku: The SKU that the customer got.
        loyalty_tier_id: The id of the customer's loyalty tier.
        metadata: Custom properties.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``reward``.
    """

    id: str
    name: str | None = None
    type: str | None = None
    stock: Number | str | None = None
    redeemed: Number | str | None = None
    parameters: RewardParameters | None = None
    attributes: RewardAttributes | None = None
    assignment_id: str | None = None
    customer: Customer | None = None
    voucher: Voucher | None = None
    product: Product | None = None
    sku: Sku | None = None
    loyalty_tier_id: str | None = None
    metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None


class RewardPrice(Model, frozen=True, kw_only=True):
    """The price of a reward in a campaign.

    Attributes:
        points: The price in points.
        auto_redeem: Whether the reward is redeemed automatically once a customer has enough points.
    """

    points: Number | None = None
    auto_redeem: bool | None = None


class RewardAssignmentParameters(Model, frozen=True, kw_only=True):
    """The settings of a reward in a campaign.

    Attributes:
        loyalty: The price of the reward.
    """

    loyalty: RewardPrice | None = None


class RewardAssignment(Model, frozen=True, kw_only=True):
    """The assignment of a reward to a campaign.

    Attributes:
        id: The id of the assignment.
        reward_id: The id of the reward.
        related_object_id: The id of the campaign.
        related_object_type: Always ``campaign``.
        parameters: The settings of the reward in the campaign.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``reward_assignment``.
    """

    id: str
    reward_id: str | None = None
    related_object_id: str | None = None
    related_object_type: str | None = None
    parameters: RewardAssignmentParameters | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None


class RewardRedemption(Model, frozen=True, kw_only=True):
    """The redemption of a reward.

    Attributes:
        id: The id of the redemption.
        state: ``CREATED``, ``PENDING``, ``COMPLETED`` or ``ROLLEDBACK``.
        voucher_id: The id of the voucher, for example of the loyalty card.
        campaign_id: The id of the campaign.
        customer_id: The id of the customer.
        reward_assignment_id: The id of the reward's assignment to the campaign.
        source_id: The id of the object that caused it, for example of a redemption.
        source_type: The type of that object, for example ``redemption``.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
    """

    id: str | None = None
    state: str | None = None
    voucher_id: str | None = None
    campaign_id: str | None = None
    customer_id: str | None = None
    reward_assignment_id: str | None = None
    source_id: str | None = None
    source_type: str | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None


class RewardSource(Model, frozen=True, kw_only=True):
    """The object that caused the redemption of a reward.

    Attributes:
        id: The id of the object.
        type: The type of the object, for example ``redemption``.
    """

    id: str | None = None
    type: str | None = None

"""Events that are sent only in webhooks. Events about customers are in `customer_events`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from voucherify_async.models.base import Model, Number
from voucherify_async.models.campaigns import Campaign
from voucherify_async.models.customer_events import (
    CUSTOMER_EVENTS,
    BalanceEvent,
    DistributionEvent,
    PendingPointsActivated,
    PendingPointsEvent,
    PointsExpired,
    PublicationEvent,
    RedemptionEvent,
    RedemptionRollbackEvent,
)
from voucherify_async.models.customers import Customer
from voucherify_async.models.distributions import Distribution
from voucherify_async.models.events import CustomEvent, Event, EventDetails, EventUser
from voucherify_async.models.loyalties import EarningRule, LoyaltyTier
from voucherify_async.models.orders import Order
from voucherify_async.models.promotions import PromotionTier
from voucherify_async.models.redemptions import Redemption
from voucherify_async.models.rewards import Reward
from voucherify_async.models.segments import Segment
from voucherify_async.models.transactions import VoucherTransaction
from voucherify_async.models.validation_rules import ValidationRule, ValidationRuleAssignment
from voucherify_async.models.vouchers import Voucher, VoucherBalance

__all__ = [
    "WEBHOOK_EVENTS",
    "AssignedDistribution",
    "BusinessValidationRuleAssignmentCreated",
    "BusinessValidationRuleAssignmentDeleted",
    "BusinessValidationRuleCreated",
    "BusinessValidationRuleDeleted",
    "BusinessValidationRuleUpdated",
    "CampaignCreated",
    "CampaignDeleted",
    "CampaignDisabled",
    "CampaignEnabled",
    "CampaignEvent",
    "CampaignLoyaltyTierCreated",
    "CampaignLoyaltyTierDeleted",
    "CampaignLoyaltyTierEvent",
    "CampaignLoyaltyTierUpdated",
    "CampaignPromotionTierCreated",
    "CampaignPromotionTierDeleted",
    "CampaignPromotionTierDisabled",
    "CampaignPromotionTierEnabled",
    "CampaignPromotionTierEvent",
    "CampaignPromotionTierUpdated",
    "CampaignUpdated",
    "CampaignVouchersGenerationCompleted",
    "ManualDistributionSchedule",
    "PublicationSucceeded",
    "RedemptionFailed",
    "RedemptionRollbackFailed",
    "RedemptionRollbackSucceeded",
    "RedemptionSucceeded",
    "ValidationRuleAssignmentEvent",
    "ValidationRuleEvent",
    "VoucherCreated",
    "VoucherDeleted",
    "VoucherDisabled",
    "VoucherEnabled",
    "VoucherEvent",
    "VoucherGiftBalanceAdded",
    "VoucherGiftTransactionCreated",
    "VoucherLoyaltyCardPendingPointsActivated",
    "VoucherLoyaltyCardPendingPointsAdded",
    "VoucherLoyaltyCardPendingPointsCanceled",
    "VoucherLoyaltyCardPendingPointsUpdated",
    "VoucherLoyaltyCardPointsAdded",
    "VoucherLoyaltyCardPointsExpired",
    "VoucherLoyaltyCardTransactionCreated",
    "VoucherPublished",
    "VoucherTransactionEvent",
    "VoucherUpdated",
]


class AssignedDistribution(Model, frozen=True, kw_only=True):
    """The distribution that a validation rule is assigned to.

    Attributes:
        distribution: The id of the distribution.
    """

    distribution: str | None = None


class ValidationRuleEvent(Event, frozen=True, kw_only=True):
    """An event about a validation rule.

    Attributes:
        rule: The validation rule.
    """

    rule: ValidationRule | None = None


class ValidationRuleAssignmentEvent(ValidationRuleEvent, frozen=True, kw_only=True):
    """An event about the assignment of a validation rule.

    Attributes:
        assignment: The assignment.
        campaign: The campaign, if the rule is assigned to one.
        voucher: The voucher, if the rule is assigned to one.
        promotion_tier: The promotion tier, if the rule is assigned to one.
        earning_rule: The earning rule, if the rule is assigned to one.
        distribution: The distribution, if the rule is assigned to one.
    """

    assignment: ValidationRuleAssignment | None = None
    campaign: Campaign | None = None
    voucher: Voucher | None = None
    promotion_tier: PromotionTier | None = None
    earning_rule: EarningRule | None = None
    distribution: AssignedDistribution | None = None


class CampaignEvent(Event, frozen=True, kw_only=True):
    """An event about a campaign.

    Attributes:
        campaign: The campaign.
    """

    campaign: Campaign | None = None


class CampaignLoyaltyTierEvent(CampaignEvent, frozen=True, kw_only=True):
    """An event about a loyalty tier of a campaign.

    Attributes:
        loyalty_tier: The loyalty tier.
    """

    loyalty_tier: LoyaltyTier | None = None


class CampaignPromotionTierEvent(CampaignEvent, frozen=True, kw_only=True):
    """An event about a promotion tier of a campaign.

    Attributes:
        promotion_tier: The promotion tier.
    """

    promotion_tier: PromotionTier | None = None


class VoucherEvent(CampaignEvent, frozen=True, kw_only=True):
    """An event about a voucher.

    Attributes:
        voucher: The voucher.
    """

    voucher: Voucher | None = None


class VoucherTransactionEvent(VoucherEvent, frozen=True, kw_only=True):
    """An event about a transaction on a voucher.

    Attributes:
        holder: The customer who holds the voucher.
        balance: The change of the balance, and the balance after it.
        transaction: The transaction on the voucher.
        order: The order that the transaction belongs to.
        redemption: The redemption that used the credits or points.
        rollback: The rollback that returned the credits or points.
    """

    holder: Customer | None = None
    balance: VoucherBalance | None = None
    transaction: VoucherTransaction | None = None
    order: Order | None = None
    redemption: Redemption | None = None
    rollback: Redemption | None = None


class BusinessValidationRuleCreated(ValidationRuleEvent, frozen=True, kw_only=True):
    """A validation rule was created.

    Attributes:
        created_at: Time of creation, timezone-aware.
    """

    created_at: dt.datetime | None = None


class BusinessValidationRuleUpdated(ValidationRuleEvent, frozen=True, kw_only=True):
    """A validation rule was updated.

    Attributes:
        updated_at: Time of the last update, timezone-aware.
    """

    updated_at: dt.datetime | None = None


class BusinessValidationRuleDeleted(ValidationRuleEvent, frozen=True, kw_only=True):
    """A validation rule was deleted.

    Attributes:
        deleted_at: Time of the deletion, timezone-aware.
    """

    deleted_at: dt.datetime | None = None


class BusinessValidationRuleAssignmentCreated(ValidationRuleAssignmentEvent, frozen=True, kw_only=True):
    """A validation rule was assigned to an object."""


class BusinessValidationRuleAssignmentDeleted(ValidationRuleAssignmentEvent, frozen=True, kw_only=True):
    """A validation rule is no longer assigned to an object."""


class CampaignCreated(CampaignEvent, frozen=True, kw_only=True):
    """A campaign was created.

    Attributes:
        created_at: Time of creation, timezone-aware.
    """

    created_at: dt.datetime | None = None


class CampaignUpdated(CampaignEvent, frozen=True, kw_only=True):
    """A campaign was updated."""


class CampaignEnabled(CampaignEvent, frozen=True, kw_only=True):
    """A campaign was enabled."""


class CampaignDisabled(CampaignEvent, frozen=True, kw_only=True):
    """A campaign was disabled."""


class CampaignDeleted(CampaignEvent, frozen=True, kw_only=True):
    """A campaign was deleted.

    Attributes:
        deleted_at: Time of the deletion, timezone-aware.
    """

    deleted_at: dt.datetime | None = None


class CampaignVouchersGenerationCompleted(CampaignEvent, frozen=True, kw_only=True):
    """The vouchers of a campaign were generated.

    Attributes:
        count: Number of vouchers that were generated.
        completed_at: Time of the completion, timezone-aware.
    """

    count: Number | None = None
    completed_at: dt.datetime | None = None


class CampaignLoyaltyTierCreated(CampaignLoyaltyTierEvent, frozen=True, kw_only=True):
    """A loyalty tier of a campaign was created."""


class CampaignLoyaltyTierUpdated(CampaignLoyaltyTierEvent, frozen=True, kw_only=True):
    """A loyalty tier of a campaign was updated."""


class CampaignLoyaltyTierDeleted(CampaignLoyaltyTierEvent, frozen=True, kw_only=True):
    """A loyalty tier of a campaign was deleted."""


class CampaignPromotionTierCreated(CampaignPromotionTierEvent, frozen=True, kw_only=True):
    """A promotion tier of a campaign was created."""


class CampaignPromotionTierUpdated(CampaignPromotionTierEvent, frozen=True, kw_only=True):
    """A promotion tier of a campaign was updated."""


class CampaignPromotionTierEnabled(CampaignPromotionTierEvent, frozen=True, kw_only=True):
    """A promotion tier of a campaign was enabled."""


class CampaignPromotionTierDisabled(CampaignPromotionTierEvent, frozen=True, kw_only=True):
    """A promotion tier of a campaign was disabled."""


class CampaignPromotionTierDeleted(CampaignPromotionTierEvent, frozen=True, kw_only=True):
    """A promotion tier of a campaign was deleted."""


class ManualDistributionSchedule(DistributionEvent, frozen=True, kw_only=True):
    """A distribution that was scheduled manually is sent.

    Attributes:
        distribution: The distribution.
    """

    distribution: Distribution | None = None


class PublicationSucceeded(PublicationEvent, frozen=True, kw_only=True):
    """A voucher was published.

    Attributes:
        user: The user of the dashboard who published it; `None` if the API did.
        vouchers: The vouchers, if several were published.
    """

    user: EventUser | None = None
    vouchers: tuple[Voucher, ...] | None = None


class RedemptionSucceeded(RedemptionEvent, frozen=True, kw_only=True):
    """Something was redeemed.

    Attributes:
        created_at: Time of the event, timezone-aware.
    """

    created_at: dt.datetime | None = None


class RedemptionFailed(RedemptionEvent, frozen=True, kw_only=True):
    """A redemption failed.

    Attributes:
        created_at: Time of the event, timezone-aware.
    """

    created_at: dt.datetime | None = None


class RedemptionRollbackSucceeded(RedemptionRollbackEvent, frozen=True, kw_only=True):
    """A redemption was rolled back."""


class RedemptionRollbackFailed(RedemptionRollbackEvent, frozen=True, kw_only=True):
    """A redemption could not be rolled back."""


class VoucherCreated(VoucherEvent, frozen=True, kw_only=True):
    """A voucher was created."""


class VoucherUpdated(VoucherEvent, frozen=True, kw_only=True):
    """A voucher was updated."""


class VoucherEnabled(VoucherEvent, frozen=True, kw_only=True):
    """A voucher was enabled."""


class VoucherDisabled(VoucherEvent, frozen=True, kw_only=True):
    """A voucher was disabled."""


class VoucherDeleted(VoucherEvent, frozen=True, kw_only=True):
    """A voucher was deleted."""


class VoucherPublished(PublicationEvent, frozen=True, kw_only=True):
    """A voucher was published to a customer.

    Attributes:
        created_at: Time of the event, timezone-aware.
    """

    created_at: dt.datetime | None = None


class VoucherLoyaltyCardPendingPointsActivated(PendingPointsActivated, frozen=True, kw_only=True):
    """Pending points of a loyalty card became active."""


class VoucherLoyaltyCardPendingPointsAdded(PendingPointsEvent, frozen=True, kw_only=True):
    """Pending points were added to a loyalty card."""


class VoucherLoyaltyCardPendingPointsCanceled(PendingPointsEvent, frozen=True, kw_only=True):
    """Pending points of a loyalty card were canceled."""


class VoucherLoyaltyCardPendingPointsUpdated(PendingPointsEvent, frozen=True, kw_only=True):
    """Pending points of a loyalty card were changed."""


class VoucherLoyaltyCardPointsAdded(BalanceEvent, frozen=True, kw_only=True):
    """Points were added to a loyalty card."""


class VoucherLoyaltyCardPointsExpired(PointsExpired, frozen=True, kw_only=True):
    """Points of a loyalty card expired."""


class VoucherLoyaltyCardTransactionCreated(VoucherTransactionEvent, frozen=True, kw_only=True):
    """Points of a loyalty card were added, removed, redeemed, refunded, transferred or expired.

    Attributes:
        earning_rule: The earning rule that added the points.
        event: The event that caused the transaction.
        custom_event: The custom event that caused the transaction.
        segment: The segment that the customer entered.
        loyalty_tier: The loyalty tier that changed the points of the earning rule.
        holder_loyalty_tier: The loyalty tier of the card's holder before the balance changed.
        reward: The reward that was redeemed.
        source_voucher: The card that the points came from.
        destination_voucher: The card that the points went to.
    """

    earning_rule: EarningRule | None = None
    event: EventDetails | None = None
    custom_event: CustomEvent | None = None
    segment: Segment | None = None
    loyalty_tier: LoyaltyTier | None = None
    holder_loyalty_tier: LoyaltyTier | None = None
    reward: Reward | None = None
    source_voucher: Voucher | None = None
    destination_voucher: Voucher | None = None


class VoucherGiftBalanceAdded(BalanceEvent, frozen=True, kw_only=True):
    """Credits were added to a gift card."""


class VoucherGiftTransactionCreated(VoucherTransactionEvent, frozen=True, kw_only=True):
    """Credits of a gift card were added, removed, redeemed or refunded."""


WEBHOOK_EVENTS: Final[Mapping[str, type[Event]]] = {
    **CUSTOMER_EVENTS,
    "business_validation_rule.created": BusinessValidationRuleCreated,
    "business_validation_rule.updated": BusinessValidationRuleUpdated,
    "business_validation_rule.deleted": BusinessValidationRuleDeleted,
    "business_validation_rule.assignment.created": BusinessValidationRuleAssignmentCreated,
    "business_validation_rule.assignment.deleted": BusinessValidationRuleAssignmentDeleted,
    "campaign.created": CampaignCreated,
    "campaign.updated": CampaignUpdated,
    "campaign.enabled": CampaignEnabled,
    "campaign.disabled": CampaignDisabled,
    "campaign.deleted": CampaignDeleted,
    "campaign.vouchers.generation.completed": CampaignVouchersGenerationCompleted,
    "campaign.loyalty_tier.created": CampaignLoyaltyTierCreated,
    "campaign.loyalty_tier.updated": CampaignLoyaltyTierUpdated,
    "campaign.loyalty_tier.deleted": CampaignLoyaltyTierDeleted,
    "campaign.promotion_tier.created": CampaignPromotionTierCreated,
    "campaign.promotion_tier.updated": CampaignPromotionTierUpdated,
    "campaign.promotion_tier.enabled": CampaignPromotionTierEnabled,
    "campaign.promotion_tier.disabled": CampaignPromotionTierDisabled,
    "campaign.promotion_tier.deleted": CampaignPromotionTierDeleted,
    "manual_distribution_schedule": ManualDistributionSchedule,
    "publication.succeeded": PublicationSucceeded,
    "redemption.succeeded": RedemptionSucceeded,
    "redemption.failed": RedemptionFailed,
    "redemption.rollback.succeeded": RedemptionRollbackSucceeded,
    "redemption.rollback.failed": RedemptionRollbackFailed,
    "voucher.created": VoucherCreated,
    "voucher.updated": VoucherUpdated,
    "voucher.enabled": VoucherEnabled,
    "voucher.disabled": VoucherDisabled,
    "voucher.deleted": VoucherDeleted,
    "voucher.published": VoucherPublished,
    "voucher.loyalty_card.pending_points.activated": VoucherLoyaltyCardPendingPointsActivated,
    "voucher.loyalty_card.pending_points.added": VoucherLoyaltyCardPendingPointsAdded,
    "voucher.loyalty_card.pending_points.canceled": VoucherLoyaltyCardPendingPointsCanceled,
    "voucher.loyalty_card.pending_points.updated": VoucherLoyaltyCardPendingPointsUpdated,
    "voucher.loyalty_card.points_added": VoucherLoyaltyCardPointsAdded,
    "voucher.loyalty_card.points_expired": VoucherLoyaltyCardPointsExpired,
    "voucher.loyalty_card.transaction.created": VoucherLoyaltyCardTransactionCreated,
    "voucher.gift.balance_added": VoucherGiftBalanceAdded,
    "voucher.gift.transaction.created": VoucherGiftTransactionCreated,
}
"""The class of each type of event in webhooks, by the type."""

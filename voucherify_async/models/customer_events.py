"""Events about customers, in their activity and in webhooks.

The name of a class is the type of its event, so ``customer.segment.entered`` is `CustomerSegmentEntered`. Events with the
same properties share a base class, for example `SegmentEvent`. A class has all properties that the event has in
activity or in webhooks; those that one of the two does not have are `None` there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from voucherify_async.models.base import Model, Number
from voucherify_async.models.campaigns import Campaign
from voucherify_async.models.customers import Customer
from voucherify_async.models.events import CustomEvent, Event, EventDetails, EventSchema
from voucherify_async.models.loyalties import EarningRule, LoyaltyTier, PendingPoints, PointsBucket
from voucherify_async.models.orders import Order
from voucherify_async.models.promotions import PromotionStack, PromotionTier
from voucherify_async.models.publications import Publication
from voucherify_async.models.redemptions import Redemption
from voucherify_async.models.referrals import ReferralTier
from voucherify_async.models.rewards import Reward, RewardAssignment, RewardRedemption, RewardSource
from voucherify_async.models.segments import Segment
from voucherify_async.models.transactions import VoucherTransaction
from voucherify_async.models.validations import ValidationRecord
from voucherify_async.models.vouchers import RedeemableHolder, Voucher, VoucherBalance

__all__ = [
    "CUSTOMER_EVENTS",
    "BalanceChange",
    "BalanceEvent",
    "CustomerActivecampaignFailed",
    "CustomerActivecampaignRecovered",
    "CustomerActivecampaignSent",
    "CustomerBatchFailed",
    "CustomerBatchRecovered",
    "CustomerBatchSent",
    "CustomerBrazeFailed",
    "CustomerBrazeRecovered",
    "CustomerBrazeSent",
    "CustomerConfirmed",
    "CustomerCreated",
    "CustomerCustomEvent",
    "CustomerDeleted",
    "CustomerEmailFailed",
    "CustomerEmailRecovered",
    "CustomerEmailSent",
    "CustomerEvent",
    "CustomerHolderAssignmentCreated",
    "CustomerHolderAssignmentDeleted",
    "CustomerIntercomFailed",
    "CustomerIntercomRecovered",
    "CustomerIntercomSent",
    "CustomerKlaviyoFailed",
    "CustomerKlaviyoRecovered",
    "CustomerKlaviyoSent",
    "CustomerLoyaltyTierDowngraded",
    "CustomerLoyaltyTierExpirationChanged",
    "CustomerLoyaltyTierJoined",
    "CustomerLoyaltyTierLeft",
    "CustomerLoyaltyTierProlonged",
    "CustomerLoyaltyTierUpgraded",
    "CustomerLoyaltyUpdated",
    "CustomerMailchimpFailed",
    "CustomerMailchimpRecovered",
    "CustomerMailchimpSent",
    "CustomerOrderCanceled",
    "CustomerOrderCreated",
    "CustomerOrderFulfilled",
    "CustomerOrderPaid",
    "CustomerOrderProcessing",
    "CustomerOrderUpdated",
    "CustomerPublicationFailed",
    "CustomerPublicationSucceeded",
    "CustomerRedemptionFailed",
    "CustomerRedemptionRollbackFailed",
    "CustomerRedemptionRollbackSucceeded",
    "CustomerRedemptionSucceeded",
    "CustomerReferred",
    "CustomerRewardRedemptionsCompleted",
    "CustomerRewardRedemptionsCreated",
    "CustomerRewardRedemptionsPending",
    "CustomerRewardRedemptionsRolledback",
    "CustomerRewarded",
    "CustomerRewardedLoyaltyPoints",
    "CustomerSegmentEntered",
    "CustomerSegmentLeft",
    "CustomerShopifyFailed",
    "CustomerShopifyRecovered",
    "CustomerShopifySent",
    "CustomerSmsFailed",
    "CustomerSmsRecovered",
    "CustomerSmsSent",
    "CustomerUpdated",
    "CustomerValidationFailed",
    "CustomerValidationSucceeded",
    "CustomerVoucherDeleted",
    "CustomerVoucherEvent",
    "CustomerVoucherGiftBalanceAdded",
    "CustomerVoucherLoyaltyCardPendingPointsActivated",
    "CustomerVoucherLoyaltyCardPendingPointsAdded",
    "CustomerVoucherLoyaltyCardPendingPointsCanceled",
    "CustomerVoucherLoyaltyCardPendingPointsUpdated",
    "CustomerVoucherLoyaltyCardPointsActivated",
    "CustomerVoucherLoyaltyCardPointsAdded",
    "CustomerVoucherLoyaltyCardPointsExpired",
    "CustomerVoucherLoyaltyCardPointsTransferred",
    "DistributionEvent",
    "HolderAssignmentEvent",
    "LoyaltyEvent",
    "LoyaltyObjects",
    "LoyaltyTierChange",
    "LoyaltyTierEvent",
    "MessageEvent",
    "MessageFailed",
    "MessageRecovered",
    "MessageSent",
    "OrderEvent",
    "PendingPointsActivated",
    "PendingPointsEvent",
    "PointsExpired",
    "PublicationEvent",
    "RedemptionEvent",
    "RedemptionRollbackEvent",
    "ReferralObjects",
    "ReferralRewardTrigger",
    "RewardRedemptionEvent",
    "SegmentEvent",
    "ValidationEvent",
]


class BalanceChange(Model, frozen=True, kw_only=True):
    """The credits or points by which an event changed the balance of a card.

    Attributes:
        amount: For a gift card, the credits, in hundredths of the currency unit.
        points: For a loyalty card, the points.
    """

    amount: Number | None = None
    points: Number | None = None


class ReferralObjects(Model, frozen=True, kw_only=True):
    """The referral that a custom event belongs to.

    Attributes:
        referrer: The customer who made the referral.
        voucher: The referral code.
        campaign: The referral campaign.
    """

    referrer: Customer | None = None
    voucher: Voucher | None = None
    campaign: Campaign | None = None


class LoyaltyObjects(Model, frozen=True, kw_only=True):
    """The loyalty card that a custom event belongs to.

    Attributes:
        voucher: The loyalty card.
        campaign: The campaign of the loyalty card.
    """

    voucher: Voucher | None = None
    campaign: Campaign | None = None


class ReferralRewardTrigger(Model, frozen=True, kw_only=True):
    """The event for which a customer was rewarded in a referral program.

    Attributes:
        event_type: The type of the event.
        segment: The segment that the customer entered, if the event is about a segment.
    """

    event_type: str | None = None
    segment: Segment | None = None


class CustomerEvent(Event, frozen=True, kw_only=True):
    """An event about a customer.

    Attributes:
        customer: The customer.
    """

    customer: Customer | None = None


class DistributionEvent(CustomerEvent, frozen=True, kw_only=True):
    """An event about a customer that can start a distribution.

    Webhooks have the properties below, activity does not.

    Attributes:
        campaign: The campaign of the voucher or promotion that is sent.
        voucher: The voucher that is sent.
        promotion_tier: The promotion tier that is sent.
        publication: The publication of the voucher.
    """

    campaign: Campaign | None = None
    voucher: Voucher | None = None
    promotion_tier: PromotionTier | None = None
    publication: Publication | None = None


class SegmentEvent(DistributionEvent, frozen=True, kw_only=True):
    """An event about a customer and a segment.

    Attributes:
        segment: The segment.
    """

    segment: Segment | None = None


class OrderEvent(DistributionEvent, frozen=True, kw_only=True):
    """An event about an order of a customer.

    Attributes:
        order: The order.
        redemption: A redemption for the order.
        referrer: The customer who made the referral.
    """

    order: Order | None = None
    redemption: Redemption | None = None
    referrer: Customer | None = None


class MessageEvent(CustomerEvent, frozen=True, kw_only=True):
    """An event about a message to a customer.

    Attributes:
        distribution: The distribution that sends the message. The service does not document its properties.
    """

    distribution: dict[str, Any] | None = None


class MessageSent(MessageEvent, frozen=True, kw_only=True):
    """A message was sent.

    Attributes:
        sent_at: Time at which the message was sent, timezone-aware.
    """

    sent_at: dt.datetime | None = None


class MessageRecovered(MessageEvent, frozen=True, kw_only=True):
    """A message was sent after a failure.

    Attributes:
        recovered_at: Time at which the message was sent, timezone-aware.
    """

    recovered_at: dt.datetime | None = None


class MessageFailed(MessageEvent, frozen=True, kw_only=True):
    """A message could not be sent.

    Attributes:
        failed_at: Time of the failure, timezone-aware.
    """

    failed_at: dt.datetime | None = None


class CustomerVoucherEvent(CustomerEvent, frozen=True, kw_only=True):
    """An event about a voucher of a customer.

    Attributes:
        campaign: The campaign of the voucher.
        voucher: The voucher.
    """

    campaign: Campaign | None = None
    voucher: Voucher | None = None


class BalanceEvent(CustomerVoucherEvent, frozen=True, kw_only=True):
    """An event about the balance of a gift card or loyalty card.

    Attributes:
        balance: The change of the balance, and the balance after it.
        transaction: The transaction on the voucher.
    """

    balance: VoucherBalance | None = None
    transaction: VoucherTransaction | None = None


class PendingPointsEvent(CustomerVoucherEvent, frozen=True, kw_only=True):
    """An event about pending points of a loyalty card.

    Attributes:
        order: The order that earned the points.
        pending_points: The pending points.
        voucher_pending_points_balance: The change of the pending points of the card, and all that are pending
            after it.
    """

    order: Order | None = None
    pending_points: PendingPoints | None = None
    voucher_pending_points_balance: VoucherBalance | None = None


class PendingPointsActivated(PendingPointsEvent, frozen=True, kw_only=True):
    """Pending points of a loyalty card became active.

    Attributes:
        balance: The change of the balance, and the balance after it.
        transaction: The transaction on the voucher.
    """

    balance: VoucherBalance | None = None
    transaction: VoucherTransaction | None = None


class PointsExpired(CustomerVoucherEvent, frozen=True, kw_only=True):
    """Points of a loyalty card expired.

    Attributes:
        buckets: The buckets of points that expired.
        points: Number of points that expired.
        transaction: The transaction on the voucher.
    """

    buckets: tuple[PointsBucket, ...] | None = None
    points: Number | None = None
    transaction: VoucherTransaction | None = None


class PublicationEvent(CustomerVoucherEvent, frozen=True, kw_only=True):
    """An event about the publication of a voucher to a customer.

    Attributes:
        publication: The publication.
    """

    publication: Publication | None = None


class ValidationEvent(CustomerEvent, frozen=True, kw_only=True):
    """An event about a validation for a customer.

    Attributes:
        validation: The validation.
    """

    validation: ValidationRecord | None = None


class RedemptionEvent(CustomerVoucherEvent, frozen=True, kw_only=True):
    """An event about a redemption.

    Attributes:
        holder: The customer who holds the voucher.
        order: The order that the redemption belongs to.
        promotion_tier: The promotion tier that was redeemed.
        promotion_stack: The promotion stack that was redeemed.
        redemption: The redemption.
    """

    holder: Customer | None = None
    order: Order | None = None
    promotion_tier: PromotionTier | None = None
    promotion_stack: PromotionStack | None = None
    redemption: Redemption | None = None


class RedemptionRollbackEvent(RedemptionEvent, frozen=True, kw_only=True):
    """An event about the rollback of a redemption.

    Attributes:
        redemption_rollback: The rollback.
    """

    redemption_rollback: Redemption | None = None


class RewardRedemptionEvent(PublicationEvent, frozen=True, kw_only=True):
    """An event about the redemption of a reward.

    Attributes:
        holder: The customer who holds the loyalty card.
        balance: The change of the balance: a number in activity, an object in webhooks.
        reward: The reward.
        reward_assignment: The assignment of the reward to the campaign.
        reward_redemption: The redemption of the reward.
        source: What caused the redemption: a string in activity, an object in webhooks.
    """

    holder: Customer | None = None
    balance: Number | BalanceChange | None = None
    reward: Reward | None = None
    reward_assignment: RewardAssignment | None = None
    reward_redemption: RewardRedemption | None = None
    source: str | RewardSource | None = None


class LoyaltyEvent(CustomerEvent, frozen=True, kw_only=True):
    """An event about a customer in a loyalty program.

    Attributes:
        campaign: The campaign.
        created_at: Time of the event, timezone-aware.
    """

    campaign: Campaign | None = None
    created_at: dt.datetime | None = None


class LoyaltyTierEvent(LoyaltyEvent, frozen=True, kw_only=True):
    """An event about the loyalty tier of a customer.

    Attributes:
        loyalty_tier: The loyalty tier.
        loyalty_tier_to: Required by the service's schema, which does not describe it.
    """

    loyalty_tier: LoyaltyTier | None = None
    loyalty_tier_to: LoyaltyTier | None = None


class LoyaltyTierChange(LoyaltyEvent, frozen=True, kw_only=True):
    """A customer went from one loyalty tier to another.

    Attributes:
        loyalty_tier_from: The tier before.
        loyalty_tier_to: The tier after.
    """

    loyalty_tier_from: LoyaltyTier | None = None
    loyalty_tier_to: LoyaltyTier | None = None


class HolderAssignmentEvent(CustomerVoucherEvent, frozen=True, kw_only=True):
    """An event about the assignment of a voucher to a customer.

    Attributes:
        holder: The assignment of the voucher to the customer.
    """

    holder: RedeemableHolder | None = None


class CustomerConfirmed(CustomerEvent, frozen=True, kw_only=True):
    """A customer was confirmed.

    Attributes:
        unconfirmed_customer: The customer before it was confirmed, under another id.
    """

    unconfirmed_customer: Customer | None = None


class CustomerCreated(CustomerEvent, frozen=True, kw_only=True):
    """A customer was created."""


class CustomerUpdated(CustomerEvent, frozen=True, kw_only=True):
    """A customer was updated."""


class CustomerDeleted(CustomerEvent, frozen=True, kw_only=True):
    """A customer was deleted."""


class CustomerReferred(CustomerEvent, frozen=True, kw_only=True):
    """A customer was referred by another one.

    Attributes:
        referrer: The customer who made the referral.
        campaign: The referral campaign.
        voucher: The referral code.
        custom_event: The custom event that counted as the referral.
        redemption: The redemption that counted as the referral.
    """

    referrer: Customer | None = None
    campaign: Campaign | None = None
    voucher: Voucher | None = None
    custom_event: CustomEvent | None = None
    redemption: Redemption | None = None


class CustomerCustomEvent(DistributionEvent, frozen=True, kw_only=True):
    """A custom event was tracked for a customer.

    Attributes:
        event: The custom event.
        event_schema: The schema of the custom event.
        referral: The referral that the custom event belongs to.
        loyalty: The loyalty card that the custom event belongs to.
    """

    event: CustomEvent | None = None
    event_schema: EventSchema | None = None
    referral: ReferralObjects | None = None
    loyalty: LoyaltyObjects | None = None


class CustomerSegmentEntered(SegmentEvent, frozen=True, kw_only=True):
    """A customer entered a segment."""


class CustomerSegmentLeft(SegmentEvent, frozen=True, kw_only=True):
    """A customer left a segment."""


class CustomerSmsSent(MessageSent, frozen=True, kw_only=True):
    """An SMS was sent to a customer."""


class CustomerSmsRecovered(MessageRecovered, frozen=True, kw_only=True):
    """An SMS was sent to a customer after a failure."""


class CustomerSmsFailed(MessageFailed, frozen=True, kw_only=True):
    """An SMS could not be sent to a customer."""


class CustomerEmailSent(MessageSent, frozen=True, kw_only=True):
    """An e-mail was sent to a customer."""


class CustomerEmailRecovered(MessageRecovered, frozen=True, kw_only=True):
    """An e-mail was sent to a customer after a failure."""


class CustomerEmailFailed(MessageFailed, frozen=True, kw_only=True):
    """An e-mail could not be sent to a customer."""


class CustomerActivecampaignSent(MessageSent, frozen=True, kw_only=True):
    """A message was sent to a customer through ActiveCampaign."""


class CustomerActivecampaignRecovered(MessageRecovered, frozen=True, kw_only=True):
    """A message was sent to a customer through ActiveCampaign after a failure."""


class CustomerActivecampaignFailed(MessageFailed, frozen=True, kw_only=True):
    """A message could not be sent to a customer through ActiveCampaign."""


class CustomerBrazeSent(MessageSent, frozen=True, kw_only=True):
    """A message was sent to a customer through Braze."""


class CustomerBrazeRecovered(MessageRecovered, frozen=True, kw_only=True):
    """A message was sent to a customer through Braze after a failure."""


class CustomerBrazeFailed(MessageFailed, frozen=True, kw_only=True):
    """A message could not be sent to a customer through Braze."""


class CustomerMailchimpSent(MessageSent, frozen=True, kw_only=True):
    """A message was sent to a customer through Mailchimp."""


class CustomerMailchimpRecovered(MessageRecovered, frozen=True, kw_only=True):
    """A message was sent to a customer through Mailchimp after a failure."""


class CustomerMailchimpFailed(MessageFailed, frozen=True, kw_only=True):
    """A message could not be sent to a customer through Mailchimp."""


class CustomerIntercomSent(MessageSent, frozen=True, kw_only=True):
    """A message was sent to a customer through Intercom."""


class CustomerIntercomRecovered(MessageRecovered, frozen=True, kw_only=True):
    """A message was sent to a customer through Intercom after a failure."""


class CustomerIntercomFailed(MessageFailed, frozen=True, kw_only=True):
    """A message could not be sent to a customer through Intercom."""


class CustomerShopifySent(MessageSent, frozen=True, kw_only=True):
    """A message was sent to a customer through Shopify."""


class CustomerShopifyRecovered(MessageRecovered, frozen=True, kw_only=True):
    """A message was sent to a customer through Shopify after a failure."""


class CustomerShopifyFailed(MessageFailed, frozen=True, kw_only=True):
    """A message could not be sent to a customer through Shopify."""


class CustomerKlaviyoSent(MessageSent, frozen=True, kw_only=True):
    """A message was sent to a customer through Klaviyo."""


class CustomerKlaviyoRecovered(MessageRecovered, frozen=True, kw_only=True):
    """A message was sent to a customer through Klaviyo after a failure."""


class CustomerKlaviyoFailed(MessageFailed, frozen=True, kw_only=True):
    """A message could not be sent to a customer through Klaviyo."""


class CustomerBatchSent(MessageSent, frozen=True, kw_only=True):
    """A message was sent to a customer through Batch."""


class CustomerBatchRecovered(MessageRecovered, frozen=True, kw_only=True):
    """A message was sent to a customer through Batch after a failure."""


class CustomerBatchFailed(MessageFailed, frozen=True, kw_only=True):
    """A message could not be sent to a customer through Batch."""


class CustomerRewarded(CustomerEvent, frozen=True, kw_only=True):
    """A customer got a reward in a referral program.

    Attributes:
        campaign: The referral campaign.
        voucher: The voucher that the customer got, or whose balance changed.
        holder: The customer who holds the voucher.
        balance: The change of the balance of the card.
        reward: The reward.
        referral_tier: The tier of the referral program.
        redemption: The redemption that earned the reward.
        custom_event: The custom event that earned the reward.
        customer_event: The event, other than a redemption or a custom event, that earned the reward.
    """

    campaign: Campaign | None = None
    voucher: Voucher | None = None
    holder: Customer | None = None
    balance: BalanceChange | None = None
    reward: Reward | None = None
    referral_tier: ReferralTier | None = None
    redemption: Redemption | None = None
    custom_event: CustomEvent | None = None
    customer_event: ReferralRewardTrigger | None = None


class CustomerRewardedLoyaltyPoints(PublicationEvent, frozen=True, kw_only=True):
    """A customer got points on a loyalty card.

    Attributes:
        holder: The customer who holds the loyalty card.
        balance: The change of the balance, and the balance after it.
        earning_rule: The earning rule that added the points.
        event: The event that earned the points.
        order: The order that earned the points.
        loyalty_tier: The loyalty tier that the event is about.
    """

    holder: Customer | None = None
    balance: VoucherBalance | None = None
    earning_rule: EarningRule | None = None
    event: EventDetails | None = None
    order: Order | None = None
    loyalty_tier: LoyaltyTier | None = None


class CustomerVoucherGiftBalanceAdded(BalanceEvent, frozen=True, kw_only=True):
    """Credits were added to a gift card of a customer."""


class CustomerVoucherLoyaltyCardPendingPointsActivated(PendingPointsActivated, frozen=True, kw_only=True):
    """Pending points of a customer's loyalty card became active."""


class CustomerVoucherLoyaltyCardPendingPointsAdded(PendingPointsEvent, frozen=True, kw_only=True):
    """Pending points were added to a customer's loyalty card."""


class CustomerVoucherLoyaltyCardPendingPointsCanceled(PendingPointsEvent, frozen=True, kw_only=True):
    """Pending points of a customer's loyalty card were canceled."""


class CustomerVoucherLoyaltyCardPendingPointsUpdated(PendingPointsEvent, frozen=True, kw_only=True):
    """Pending points of a customer's loyalty card were changed."""


class CustomerVoucherLoyaltyCardPointsActivated(PendingPointsActivated, frozen=True, kw_only=True):
    """Points of a customer's loyalty card became active. The service does not document this event."""


class CustomerVoucherLoyaltyCardPointsAdded(BalanceEvent, frozen=True, kw_only=True):
    """Points were added to a customer's loyalty card."""


class CustomerVoucherLoyaltyCardPointsTransferred(BalanceEvent, frozen=True, kw_only=True):
    """Points were transferred between loyalty cards of a customer.

    Attributes:
        source_voucher: The card that the points came from.
        destination_voucher: The card that the points went to.
    """

    source_voucher: Voucher | None = None
    destination_voucher: Voucher | None = None


class CustomerVoucherLoyaltyCardPointsExpired(PointsExpired, frozen=True, kw_only=True):
    """Points of a customer's loyalty card expired."""


class CustomerVoucherDeleted(CustomerVoucherEvent, frozen=True, kw_only=True):
    """A voucher of a customer was deleted."""


class CustomerPublicationSucceeded(PublicationEvent, frozen=True, kw_only=True):
    """A voucher was published to a customer."""


class CustomerPublicationFailed(PublicationEvent, frozen=True, kw_only=True):
    """A voucher could not be published to a customer."""


class CustomerValidationSucceeded(ValidationEvent, frozen=True, kw_only=True):
    """A validation of redeemables for a customer succeeded."""


class CustomerValidationFailed(ValidationEvent, frozen=True, kw_only=True):
    """A validation of redeemables for a customer failed."""


class CustomerRedemptionSucceeded(RedemptionEvent, frozen=True, kw_only=True):
    """A customer redeemed something."""


class CustomerRedemptionFailed(RedemptionEvent, frozen=True, kw_only=True):
    """A redemption of a customer failed."""


class CustomerRedemptionRollbackSucceeded(RedemptionRollbackEvent, frozen=True, kw_only=True):
    """A redemption of a customer was rolled back."""


class CustomerRedemptionRollbackFailed(RedemptionRollbackEvent, frozen=True, kw_only=True):
    """A redemption of a customer could not be rolled back."""


class CustomerOrderCreated(OrderEvent, frozen=True, kw_only=True):
    """An order of a customer was created."""


class CustomerOrderUpdated(OrderEvent, frozen=True, kw_only=True):
    """An order of a customer was updated."""


class CustomerOrderProcessing(OrderEvent, frozen=True, kw_only=True):
    """An order of a customer is being processed."""


class CustomerOrderPaid(OrderEvent, frozen=True, kw_only=True):
    """An order of a customer was paid."""


class CustomerOrderFulfilled(OrderEvent, frozen=True, kw_only=True):
    """An order of a customer was fulfilled."""


class CustomerOrderCanceled(OrderEvent, frozen=True, kw_only=True):
    """An order of a customer was canceled."""


class CustomerRewardRedemptionsCreated(RewardRedemptionEvent, frozen=True, kw_only=True):
    """The redemption of a reward by a customer was created."""


class CustomerRewardRedemptionsPending(RewardRedemptionEvent, frozen=True, kw_only=True):
    """The redemption of a reward by a customer is pending."""


class CustomerRewardRedemptionsCompleted(RewardRedemptionEvent, frozen=True, kw_only=True):
    """The redemption of a reward by a customer was completed."""


class CustomerRewardRedemptionsRolledback(RewardRedemptionEvent, frozen=True, kw_only=True):
    """The redemption of a reward by a customer was rolled back."""


class CustomerLoyaltyUpdated(LoyaltyEvent, frozen=True, kw_only=True):
    """The state of a customer in a loyalty program changed.

    Attributes:
        loyalty: The state. The service does not document its properties.
    """

    loyalty: dict[str, Any] | None = None


class CustomerLoyaltyTierJoined(LoyaltyTierEvent, frozen=True, kw_only=True):
    """A customer who had no loyalty tier got one."""


class CustomerLoyaltyTierLeft(LoyaltyTierEvent, frozen=True, kw_only=True):
    """A customer lost a loyalty tier and has none now."""


class CustomerLoyaltyTierProlonged(LoyaltyTierEvent, frozen=True, kw_only=True):
    """A customer keeps a loyalty tier for another period."""


class CustomerLoyaltyTierExpirationChanged(LoyaltyTierEvent, frozen=True, kw_only=True):
    """The date on which a customer loses a loyalty tier changed.

    Attributes:
        expiration_date: The new date, timezone-aware.
    """

    expiration_date: dt.datetime | None = None


class CustomerLoyaltyTierUpgraded(LoyaltyTierChange, frozen=True, kw_only=True):
    """A customer went to a higher loyalty tier."""


class CustomerLoyaltyTierDowngraded(LoyaltyTierChange, frozen=True, kw_only=True):
    """A customer went to a lower loyalty tier."""


class CustomerHolderAssignmentCreated(HolderAssignmentEvent, frozen=True, kw_only=True):
    """A voucher was assigned to a customer."""


class CustomerHolderAssignmentDeleted(HolderAssignmentEvent, frozen=True, kw_only=True):
    """A voucher is no longer assigned to a customer."""


CUSTOMER_EVENTS: Final[Mapping[str, type[CustomerEvent]]] = {
    "customer.confirmed": CustomerConfirmed,
    "customer.created": CustomerCreated,
    "customer.updated": CustomerUpdated,
    "customer.deleted": CustomerDeleted,
    "customer.referred": CustomerReferred,
    "customer.custom_event": CustomerCustomEvent,
    "customer.segment.entered": CustomerSegmentEntered,
    "customer.segment.left": CustomerSegmentLeft,
    "customer.sms.sent": CustomerSmsSent,
    "customer.sms.recovered": CustomerSmsRecovered,
    "customer.sms.failed": CustomerSmsFailed,
    "customer.email.sent": CustomerEmailSent,
    "customer.email.recovered": CustomerEmailRecovered,
    "customer.email.failed": CustomerEmailFailed,
    "customer.activecampaign.sent": CustomerActivecampaignSent,
    "customer.activecampaign.recovered": CustomerActivecampaignRecovered,
    "customer.activecampaign.failed": CustomerActivecampaignFailed,
    "customer.braze.sent": CustomerBrazeSent,
    "customer.braze.recovered": CustomerBrazeRecovered,
    "customer.braze.failed": CustomerBrazeFailed,
    "customer.mailchimp.sent": CustomerMailchimpSent,
    "customer.mailchimp.recovered": CustomerMailchimpRecovered,
    "customer.mailchimp.failed": CustomerMailchimpFailed,
    "customer.intercom.sent": CustomerIntercomSent,
    "customer.intercom.recovered": CustomerIntercomRecovered,
    "customer.intercom.failed": CustomerIntercomFailed,
    "customer.shopify.sent": CustomerShopifySent,
    "customer.shopify.recovered": CustomerShopifyRecovered,
    "customer.shopify.failed": CustomerShopifyFailed,
    "customer.klaviyo.sent": CustomerKlaviyoSent,
    "customer.klaviyo.recovered": CustomerKlaviyoRecovered,
    "customer.klaviyo.failed": CustomerKlaviyoFailed,
    "customer.batch.sent": CustomerBatchSent,
    "customer.batch.recovered": CustomerBatchRecovered,
    "customer.batch.failed": CustomerBatchFailed,
    "customer.rewarded": CustomerRewarded,
    "customer.rewarded.loyalty_points": CustomerRewardedLoyaltyPoints,
    "customer.voucher.gift.balance_added": CustomerVoucherGiftBalanceAdded,
    "customer.voucher.loyalty_card.pending_points.activated": CustomerVoucherLoyaltyCardPendingPointsActivated,
    "customer.voucher.loyalty_card.pending_points.added": CustomerVoucherLoyaltyCardPendingPointsAdded,
    "customer.voucher.loyalty_card.pending_points.canceled": CustomerVoucherLoyaltyCardPendingPointsCanceled,
    "customer.voucher.loyalty_card.pending_points.updated": CustomerVoucherLoyaltyCardPendingPointsUpdated,
    "customer.voucher.loyalty_card.points_activated": CustomerVoucherLoyaltyCardPointsActivated,
    "customer.voucher.loyalty_card.points_added": CustomerVoucherLoyaltyCardPointsAdded,
    "customer.voucher.loyalty_card.points_transferred": CustomerVoucherLoyaltyCardPointsTransferred,
    "customer.voucher.loyalty_card.points_expired": CustomerVoucherLoyaltyCardPointsExpired,
    "customer.voucher.deleted": CustomerVoucherDeleted,
    "customer.publication.succeeded": CustomerPublicationSucceeded,
    "customer.publication.failed": CustomerPublicationFailed,
    "customer.validation.succeeded": CustomerValidationSucceeded,
    "customer.validation.failed": CustomerValidationFailed,
    "customer.redemption.succeeded": CustomerRedemptionSucceeded,
    "customer.redemption.failed": CustomerRedemptionFailed,
    "customer.redemption.rollback.succeeded": CustomerRedemptionRollbackSucceeded,
    "customer.redemption.rollback.failed": CustomerRedemptionRollbackFailed,
    "customer.order.created": CustomerOrderCreated,
    "customer.order.updated": CustomerOrderUpdated,
    "customer.order.processing": CustomerOrderProcessing,
    "customer.order.paid": CustomerOrderPaid,
    "customer.order.fulfilled": CustomerOrderFulfilled,
    "customer.order.canceled": CustomerOrderCanceled,
    "customer.reward_redemptions.created": CustomerRewardRedemptionsCreated,
    "customer.reward_redemptions.pending": CustomerRewardRedemptionsPending,
    "customer.reward_redemptions.completed": CustomerRewardRedemptionsCompleted,
    "customer.reward_redemptions.rolledback": CustomerRewardRedemptionsRolledback,
    "customer.loyalty.updated": CustomerLoyaltyUpdated,
    "customer.loyalty.tier.joined": CustomerLoyaltyTierJoined,
    "customer.loyalty.tier.left": CustomerLoyaltyTierLeft,
    "customer.loyalty.tier.prolonged": CustomerLoyaltyTierProlonged,
    "customer.loyalty.tier.expiration.changed": CustomerLoyaltyTierExpirationChanged,
    "customer.loyalty.tier.upgraded": CustomerLoyaltyTierUpgraded,
    "customer.loyalty.tier.downgraded": CustomerLoyaltyTierDowngraded,
    "customer.holder.assignment.created": CustomerHolderAssignmentCreated,
    "customer.holder.assignment.deleted": CustomerHolderAssignmentDeleted,
}
"""The class of each type of event in a customer's activity, by the type."""

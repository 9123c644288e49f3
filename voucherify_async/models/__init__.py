"""The API's objects as immutable structs; one module per resource."""

from typing import TYPE_CHECKING

from voucherify_async._lazy import lazy_exports

_EXPORTS = {
    "base": ("UNSET", "Model", "Number", "UnsetType"),
    "activity": ("CustomerActivity",),
    "async_actions": (
        "AsyncAction",
        "AsyncActionReceipt",
        "BulkError",
        "BulkUpdateResult",
        "ImportFailure",
        "JobResult",
    ),
    "customers": (
        "Address",
        "Customer",
        "CustomerAddress",
        "CustomerAssets",
        "CustomerFields",
        "CustomerLoyalty",
        "CustomerParams",
        "CustomerReferrals",
        "CustomerSummary",
        "CustomerUpsert",
        "GiftSummary",
        "LoyaltyCampaign",
        "LoyaltyCardSummary",
        "OrderSummary",
        "PermanentDeletion",
        "PermanentDeletionCounts",
        "RedemptionSummary",
        "ReferralCampaign",
    ),
    "oauth": ("AccessToken", "TokenIntrospection"),
    "redeemables": (
        "CustomerRedeemable",
        "FilterConditions",
        "Redeemable",
        "RedeemableFilters",
    ),
    "campaigns": (
        "AccessSettingsAssignment",
        "AccessSettingsAssignmentList",
        "Campaign",
        "CampaignLoyaltyCard",
        "CampaignRedemption",
        "CampaignVoucher",
        "CodeConfig",
    ),
    "categories": ("Category",),
    "customer_events": """
        CUSTOMER_EVENTS BalanceChange BalanceEvent CustomerActivecampaignFailed
        CustomerActivecampaignRecovered CustomerActivecampaignSent CustomerBatchFailed
        CustomerBatchRecovered CustomerBatchSent CustomerBrazeFailed CustomerBrazeRecovered
        CustomerBrazeSent CustomerConfirmed CustomerCreated CustomerCustomEvent CustomerDeleted
        CustomerEmailFailed CustomerEmailRecovered CustomerEmailSent CustomerEvent
        CustomerHolderAssignmentCreated CustomerHolderAssignmentDeleted CustomerIntercomFailed
        CustomerIntercomRecovered CustomerIntercomSent CustomerKlaviyoFailed CustomerKlaviyoRecovered
        CustomerKlaviyoSent CustomerLoyaltyTierDowngraded CustomerLoyaltyTierExpirationChanged
        CustomerLoyaltyTierJoined CustomerLoyaltyTierLeft CustomerLoyaltyTierProlonged
        CustomerLoyaltyTierUpgraded CustomerLoyaltyUpdated CustomerMailchimpFailed
        CustomerMailchimpRecovered CustomerMailchimpSent CustomerOrderCanceled CustomerOrderCreated
        CustomerOrderFulfilled CustomerOrderPaid CustomerOrderProcessing CustomerOrderUpdated
        CustomerPublicationFailed CustomerPublicationSucceeded CustomerRedemptionFailed
        CustomerRedemptionRollbackFailed CustomerRedemptionRollbackSucceeded CustomerRedemptionSucceeded
        CustomerReferred CustomerRewardRedemptionsCompleted CustomerRewardRedemptionsCreated
        CustomerRewardRedemptionsPending CustomerRewardRedemptionsRolledback CustomerRewarded
        CustomerRewardedLoyaltyPoints CustomerSegmentEntered CustomerSegmentLeft CustomerShopifyFailed
        CustomerShopifyRecovered CustomerShopifySent CustomerSmsFailed CustomerSmsRecovered CustomerSmsSent
        CustomerUpdated CustomerValidationFailed CustomerValidationSucceeded CustomerVoucherDeleted
        CustomerVoucherEvent CustomerVoucherGiftBalanceAdded
        CustomerVoucherLoyaltyCardPendingPointsActivated CustomerVoucherLoyaltyCardPendingPointsAdded
        CustomerVoucherLoyaltyCardPendingPointsCanceled CustomerVoucherLoyaltyCardPendingPointsUpdated
        CustomerVoucherLoyaltyCardPointsActivated CustomerVoucherLoyaltyCardPointsAdded
        CustomerVoucherLoyaltyCardPointsExpired CustomerVoucherLoyaltyCardPointsTransferred
        DistributionEvent HolderAssignmentEvent LoyaltyEvent LoyaltyObjects LoyaltyTierChange
        LoyaltyTierEvent MessageEvent MessageFailed MessageRecovered MessageSent OrderEvent
        PendingPointsActivated PendingPointsEvent PointsExpired PublicationEvent RedemptionEvent
        RedemptionRollbackEvent ReferralObjects ReferralRewardTrigger RewardRedemptionEvent SegmentEvent
        ValidationEvent
    """.split(),  # noqa: SIM905  # one line for each of 115 names reads worse
    "distributions": (
        "Distribution",
        "DistributionConsents",
        "DistributionParameters",
    ),
    "events": (
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
    ),
    "loyalties": (
        "EarningRule",
        "EarningRuleEvent",
        "EarningRulePendingPoints",
        "EarningRulePoints",
        "EarningRuleSource",
        "LoyaltyTier",
        "LoyaltyTierConfig",
        "LoyaltyTierExpiration",
        "LoyaltyTiersExpiration",
        "MetadataPoints",
        "OrderItemPoints",
        "OrderPoints",
        "PendingPoints",
        "PendingPointsDetails",
        "PointsBucket",
        "PointsBucketContent",
        "PointsExpirationRules",
        "PointsMapping",
        "PointsRange",
        "PointsRatio",
        "TierExpirationDate",
        "TierRounding",
        "TierStartDate",
    ),
    "orders": (
        "Order",
        "OrderItem",
        "OrderRedemption",
    ),
    "products": (
        "Product",
        "Sku",
        "SkuList",
    ),
    "promotions": (
        "PromotionAction",
        "PromotionCampaign",
        "PromotionOrders",
        "PromotionRedemptions",
        "PromotionStack",
        "PromotionStackTiers",
        "PromotionSummary",
        "PromotionTier",
        "PromotionTierList",
    ),
    "publications": ("Publication",),
    "redemptions": (
        "RedeemedCredits",
        "RedeemedPoints",
        "Redemption",
        "RedemptionChannel",
        "RedemptionSession",
        "RelatedRedemption",
        "RelatedRedemptions",
    ),
    "referrals": (
        "RefereeReward",
        "RefereeRewardCampaign",
        "ReferralProgram",
        "ReferralTier",
        "ReferralTierParameters",
    ),
    "rewards": (
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
    ),
    "segments": ("Segment",),
    "transactions": (
        "VoucherTransaction",
        "VoucherTransactionDetails",
    ),
    "validation_rules": (
        "ApplicableTo",
        "DiscountScope",
        "OrderItemUnits",
        "ValidationRule",
        "ValidationRuleAssignment",
        "ValidationRuleAssignmentList",
        "ValidationRuleError",
    ),
    "validations": (
        "RedeemableReference",
        "ValidationRecord",
    ),
    "validity": (
        "DailyHours",
        "ValidityHours",
        "ValidityTimeframe",
    ),
    "vouchers": (
        "Discount",
        "DiscountUnit",
        "GiftBalance",
        "ListReference",
        "LoyaltyBalance",
        "RedeemableHolder",
        "RelatedObject",
        "Voucher",
        "VoucherAsset",
        "VoucherAssets",
        "VoucherBalance",
    ),
    "webhook_events": """
        WEBHOOK_EVENTS AssignedDistribution BusinessValidationRuleAssignmentCreated
        BusinessValidationRuleAssignmentDeleted BusinessValidationRuleCreated BusinessValidationRuleDeleted
        BusinessValidationRuleUpdated CampaignCreated CampaignDeleted CampaignDisabled CampaignEnabled
        CampaignEvent CampaignLoyaltyTierCreated CampaignLoyaltyTierDeleted CampaignLoyaltyTierEvent
        CampaignLoyaltyTierUpdated CampaignPromotionTierCreated CampaignPromotionTierDeleted
        CampaignPromotionTierDisabled CampaignPromotionTierEnabled CampaignPromotionTierEvent
        CampaignPromotionTierUpdated CampaignUpdated CampaignVouchersGenerationCompleted
        ManualDistributionSchedule PublicationSucceeded RedemptionFailed RedemptionRollbackFailed
        RedemptionRollbackSucceeded RedemptionSucceeded ValidationRuleAssignmentEvent ValidationRuleEvent
        VoucherCreated VoucherDeleted VoucherDisabled VoucherEnabled VoucherEvent VoucherGiftBalanceAdded
        VoucherGiftTransactionCreated VoucherLoyaltyCardPendingPointsActivated
        VoucherLoyaltyCardPendingPointsAdded VoucherLoyaltyCardPendingPointsCanceled
        VoucherLoyaltyCardPendingPointsUpdated VoucherLoyaltyCardPointsAdded VoucherLoyaltyCardPointsExpired
        VoucherLoyaltyCardTransactionCreated VoucherPublished VoucherTransactionEvent VoucherUpdated
    """.split(),  # noqa: SIM905  # one line for each of 115 names reads worse
}
"""The public names by defining module. They are imported on first use."""

if TYPE_CHECKING:
    from voucherify_async.models.activity import CustomerActivity as CustomerActivity
    from voucherify_async.models.async_actions import AsyncAction as AsyncAction
    from voucherify_async.models.async_actions import AsyncActionReceipt as AsyncActionReceipt
    from voucherify_async.models.async_actions import BulkError as BulkError
    from voucherify_async.models.async_actions import BulkUpdateResult as BulkUpdateResult
    from voucherify_async.models.async_actions import ImportFailure as ImportFailure
    from voucherify_async.models.async_actions import JobResult as JobResult
    from voucherify_async.models.base import UNSET as UNSET
    from voucherify_async.models.base import Model as Model
    from voucherify_async.models.base import Number as Number
    from voucherify_async.models.base import UnsetType as UnsetType
    from voucherify_async.models.campaigns import *
    from voucherify_async.models.categories import *
    from voucherify_async.models.customer_events import *
    from voucherify_async.models.customers import Address as Address
    from voucherify_async.models.customers import Customer as Customer
    from voucherify_async.models.customers import CustomerAddress as CustomerAddress
    from voucherify_async.models.customers import CustomerAssets as CustomerAssets
    from voucherify_async.models.customers import CustomerFields as CustomerFields
    from voucherify_async.models.customers import CustomerLoyalty as CustomerLoyalty
    from voucherify_async.models.customers import CustomerParams as CustomerParams
    from voucherify_async.models.customers import CustomerReferrals as CustomerReferrals
    from voucherify_async.models.customers import CustomerSummary as CustomerSummary
    from voucherify_async.models.customers import CustomerUpsert as CustomerUpsert
    from voucherify_async.models.customers import GiftSummary as GiftSummary
    from voucherify_async.models.customers import LoyaltyCampaign as LoyaltyCampaign
    from voucherify_async.models.customers import LoyaltyCardSummary as LoyaltyCardSummary
    from voucherify_async.models.customers import OrderSummary as OrderSummary
    from voucherify_async.models.customers import PermanentDeletion as PermanentDeletion
    from voucherify_async.models.customers import PermanentDeletionCounts as PermanentDeletionCounts
    from voucherify_async.models.customers import RedemptionSummary as RedemptionSummary
    from voucherify_async.models.customers import ReferralCampaign as ReferralCampaign
    from voucherify_async.models.distributions import *
    from voucherify_async.models.events import *
    from voucherify_async.models.loyalties import *
    from voucherify_async.models.oauth import AccessToken as AccessToken
    from voucherify_async.models.oauth import TokenIntrospection as TokenIntrospection
    from voucherify_async.models.orders import *
    from voucherify_async.models.products import *
    from voucherify_async.models.promotions import *
    from voucherify_async.models.publications import *
    from voucherify_async.models.redeemables import CustomerRedeemable as CustomerRedeemable
    from voucherify_async.models.redeemables import FilterConditions as FilterConditions
    from voucherify_async.models.redeemables import Redeemable as Redeemable
    from voucherify_async.models.redeemables import RedeemableFilters as RedeemableFilters
    from voucherify_async.models.redemptions import *
    from voucherify_async.models.referrals import *
    from voucherify_async.models.rewards import *
    from voucherify_async.models.segments import *
    from voucherify_async.models.transactions import *
    from voucherify_async.models.validation_rules import *
    from voucherify_async.models.validations import *
    from voucherify_async.models.validity import *
    from voucherify_async.models.vouchers import *
    from voucherify_async.models.webhook_events import *

else:
    __all__, __getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

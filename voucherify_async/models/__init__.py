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
        "CustomerSegment",
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
        "Discount",
        "FilterConditions",
        "GiftBalance",
        "ListReference",
        "LoyaltyBalance",
        "Redeemable",
        "RedeemableFilters",
        "RedeemableVoucher",
        "VoucherAsset",
        "VoucherAssets",
    ),
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
    from voucherify_async.models.customers import Address as Address
    from voucherify_async.models.customers import Customer as Customer
    from voucherify_async.models.customers import CustomerAddress as CustomerAddress
    from voucherify_async.models.customers import CustomerAssets as CustomerAssets
    from voucherify_async.models.customers import CustomerFields as CustomerFields
    from voucherify_async.models.customers import CustomerLoyalty as CustomerLoyalty
    from voucherify_async.models.customers import CustomerParams as CustomerParams
    from voucherify_async.models.customers import CustomerReferrals as CustomerReferrals
    from voucherify_async.models.customers import CustomerSegment as CustomerSegment
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
    from voucherify_async.models.oauth import AccessToken as AccessToken
    from voucherify_async.models.oauth import TokenIntrospection as TokenIntrospection
    from voucherify_async.models.redeemables import CustomerRedeemable as CustomerRedeemable
    from voucherify_async.models.redeemables import Discount as Discount
    from voucherify_async.models.redeemables import FilterConditions as FilterConditions
    from voucherify_async.models.redeemables import GiftBalance as GiftBalance
    from voucherify_async.models.redeemables import ListReference as ListReference
    from voucherify_async.models.redeemables import LoyaltyBalance as LoyaltyBalance
    from voucherify_async.models.redeemables import Redeemable as Redeemable
    from voucherify_async.models.redeemables import RedeemableFilters as RedeemableFilters
    from voucherify_async.models.redeemables import RedeemableVoucher as RedeemableVoucher
    from voucherify_async.models.redeemables import VoucherAsset as VoucherAsset
    from voucherify_async.models.redeemables import VoucherAssets as VoucherAssets

else:
    __all__, __getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

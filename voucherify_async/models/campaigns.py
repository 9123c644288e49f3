"""Campaigns."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model, Number
from voucherify_async.models.categories import Category
from voucherify_async.models.loyalties import LoyaltyTiersExpiration, PointsExpirationRules
from voucherify_async.models.promotions import PromotionTierList
from voucherify_async.models.referrals import ReferralProgram
from voucherify_async.models.validation_rules import ValidationRuleAssignmentList
from voucherify_async.models.validity import ValidityHours, ValidityTimeframe
from voucherify_async.models.vouchers import Discount, GiftBalance

__all__ = [
    "AccessSettingsAssignment",
    "AccessSettingsAssignmentList",
    "Campaign",
    "CampaignLoyaltyCard",
    "CampaignRedemption",
    "CampaignVoucher",
    "CodeConfig",
]


class CodeConfig(Model, frozen=True, kw_only=True):
    """How codes of vouchers are generated.

    Attributes:
        length: Number of characters, without prefix and postfix.
        charset: The characters that codes are made of.
        prefix: Text before each code.
        postfix: Text after each code.
        pattern: The pattern of the codes, in which ``#`` stands for a random character. It takes precedence
            over `length`.
        initial_count: A number that the service uses internally.
    """

    length: Number | None = None
    charset: str | None = None
    prefix: str | None = None
    postfix: str | None = None
    pattern: str | None = None
    initial_count: Number | None = None


class CampaignLoyaltyCard(Model, frozen=True, kw_only=True):
    """The loyalty cards of a campaign.

    Attributes:
        points: Points of a new card.
        expiration_rules: When points expire.
    """

    points: Number | None = None
    expiration_rules: PointsExpirationRules | None = None


class CampaignRedemption(Model, frozen=True, kw_only=True):
    """How often a voucher of a campaign can be redeemed.

    Attributes:
        quantity: Number of redemptions; `None` for no limit.
        redeemed_quantity: Number of redemptions so far.
    """

    quantity: Number | None = None
    redeemed_quantity: Number | None = None


class CampaignVoucher(Model, frozen=True, kw_only=True):
    """What the vouchers of a campaign have in common.

    Attributes:
        type: ``DISCOUNT_VOUCHER``, ``GIFT_VOUCHER`` or ``LOYALTY_CARD``.
        discount: The discount of discount vouchers.
        gift: The credits of new gift cards.
        loyalty_card: The points of new loyalty cards.
        redemption: How often a voucher can be redeemed.
        code_config: How codes are generated.
        is_referral_code: Whether the vouchers are referral codes.
        start_date: Start of the validity, timezone-aware; `None` for no start.
        expiration_date: End of the validity, timezone-aware; `None` for no end.
        validity_timeframe: Recurring periods of validity.
        validity_day_of_week: Days of the week on which the voucher is valid, from 0 (Sunday) to 6 (Saturday).
        validity_hours: Times of day at which the voucher is valid.
    """

    type: str | None = None
    discount: Discount | None = None
    gift: GiftBalance | None = None
    loyalty_card: CampaignLoyaltyCard | None = None
    redemption: CampaignRedemption | None = None
    code_config: CodeConfig | None = None
    is_referral_code: bool | None = None
    start_date: dt.datetime | None = None
    expiration_date: dt.datetime | None = None
    validity_timeframe: ValidityTimeframe | None = None
    validity_day_of_week: tuple[int, ...] | None = None
    validity_hours: ValidityHours | None = None


class AccessSettingsAssignment(Model, frozen=True, kw_only=True):
    """The assignment of a campaign to an area or a store.

    Attributes:
        id: The id of the assignment.
        area_id: The id of the area.
        all_stores: Whether the campaign is assigned to all stores of the area.
        area_store_id: The id of the store.
        created_at: Time of creation, timezone-aware.
        object: Always ``area_store_campaign_assignment``.
    """

    id: str | None = None
    area_id: str | None = None
    all_stores: bool | None = None
    area_store_id: str | None = None
    created_at: dt.datetime | None = None
    object: str | None = None


class AccessSettingsAssignmentList(Model, frozen=True, kw_only=True):
    """The areas and stores that a campaign is assigned to.

    Attributes:
        data: The assignments.
        data_ref: The property that holds the assignments: ``data``.
        total: Number of assignments.
        object: Always ``list``.
    """

    data: tuple[AccessSettingsAssignment, ...] | None = None
    data_ref: str | None = None
    total: Number | None = None
    object: str | None = None


class Campaign(Model, frozen=True, kw_only=True):
    """A campaign.

    Attributes:
        id: The id of the campaign.
        name: The name of the campaign.
        description: Free text about the campaign.
        campaign_type: ``DISCOUNT_COUPONS``, ``GIFT_VOUCHERS``, ``LOYALTY_PROGRAM``, ``PROMOTION`` or
            ``REFERRAL_PROGRAM``.
        type: ``AUTO_UPDATE``: vouchers can be added. ``STATIC``: they cannot. ``STANDALONE``: it consists of
            one generic voucher.
        voucher: What its vouchers have in common.
        vouchers_count: Number of vouchers.
        is_referral_code: Whether its vouchers are referral codes.
        referral_program: For ``REFERRAL_PROGRAM``, how a referral is counted and what the referred customer
            gets.
        promotion: For ``PROMOTION``, the promotion tiers.
        loyalty_tiers_expiration: For ``LOYALTY_PROGRAM``, when customers get and lose tiers.
        auto_join: For ``LOYALTY_PROGRAM``, whether customers join automatically when an earning rule is
            fulfilled.
        join_once: Whether a customer can join only once.
        active: Whether the campaign is enabled.
        start_date: Start of the validity, timezone-aware; `None` for no start.
        expiration_date: End of the validity, timezone-aware; `None` for no end.
        activity_duration_after_publishing: How long a voucher is valid once it is published, as an ISO 8601
            duration.
        validity_timeframe: Recurring periods of validity.
        validity_day_of_week: Days of the week on which the campaign is valid, from 0 (Sunday) to 6
            (Saturday).
        validity_hours: Times of day at which the campaign is valid.
        use_voucher_metadata_schema: Whether the campaign uses the metadata schema of vouchers instead of that
            of campaigns.
        validation_rules_assignments: The validation rules of the campaign.
        access_settings_assignments: The areas and stores that the campaign is assigned to.
        category: The name of the category.
        category_id: The id of the category.
        categories: The categories.
        creation_status: The progress of its creation: ``DRAFT``, ``IN_PROGRESS``, ``DONE``, ``FAILED`` or
            ``MODIFYING``.
        vouchers_generation_status: The progress of the generation of its vouchers, with the same values as
            `creation_status`.
        protected: Whether the campaign is protected from deletion.
        readonly: Whether the campaign is read-only for you. Set only for users who are restricted to areas
            and stores.
        metadata: Custom properties.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        object: Always ``campaign``.
    """

    id: str
    name: str | None = None
    description: str | None = None
    campaign_type: str | None = None
    type: str | None = None
    voucher: CampaignVoucher | None = None
    vouchers_count: Number | None = None
    is_referral_code: bool | None = None
    referral_program: ReferralProgram | None = None
    promotion: PromotionTierList | None = None
    loyalty_tiers_expiration: LoyaltyTiersExpiration | None = None
    auto_join: bool | None = None
    join_once: bool | None = None
    active: bool | None = None
    start_date: dt.datetime | None = None
    expiration_date: dt.datetime | None = None
    activity_duration_after_publishing: str | None = None
    validity_timeframe: ValidityTimeframe | None = None
    validity_day_of_week: tuple[int, ...] | None = None
    validity_hours: ValidityHours | None = None
    use_voucher_metadata_schema: bool | None = None
    validation_rules_assignments: ValidationRuleAssignmentList | None = None
    access_settings_assignments: AccessSettingsAssignmentList | None = None
    category: str | None = None
    category_id: str | None = None
    categories: tuple[Category, ...] | None = None
    creation_status: str | None = None
    vouchers_generation_status: str | None = None
    protected: bool | None = None
    readonly: bool | None = None
    metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    object: str | None = None

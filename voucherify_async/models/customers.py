"""Customers as the API returns them, and the inputs that create or update them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypedDict

import msgspec

from voucherify_async.models.base import UNSET, Model, Number, UnsetType

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

__all__ = [
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
    "Metadata",
    "NewCustomer",
    "OrderSummary",
    "PermanentDeletion",
    "PermanentDeletionCounts",
    "RedemptionSummary",
    "ReferralCampaign",
    "writable_fields",
]

M = TypeVar("M", default=dict[str, Any])


class DataclassInstance(Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


Metadata = Mapping[str, Any] | msgspec.Struct | DataclassInstance
"""Metadata to send: a mapping, or an instance of a class for metadata."""


class Address(Model, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address to send. Parts left out keep their values; `None` clears a part.

    Attributes:
        city: City.
        state: State, province or region.
        line_1: First line of the street address.
        line_2: Second line of the street address.
        country: Country.
        postal_code: Postal code.
    """

    city: str | UnsetType | None = UNSET
    state: str | UnsetType | None = UNSET
    line_1: str | UnsetType | None = UNSET
    line_2: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
    postal_code: str | UnsetType | None = UNSET


class CustomerFields(Model, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The writable fields of a customer. Fields left out keep their values; `None` clears; metadata is merged.

    Attributes:
        name: Full name.
        description: Free-text description.
        email: E-mail address.
        phone: Telephone number.
        birthday: Deprecated by the service in favour of `birthdate`.
        birthdate: Date of birth.
        address: Postal address; parts left out keep their values.
        metadata: Custom properties, merged key by key. A key set to `None` is kept, with the value null.
    """

    name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET
    birthday: dt.date | UnsetType | None = UNSET
    birthdate: dt.date | UnsetType | None = UNSET
    address: Address | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET


class CustomerParams(TypedDict, total=False):
    """The writable fields of a customer, as keyword arguments. `UNSET`, like leaving a field out, keeps its value.

    Attributes:
        name: Full name.
        description: Free-text description.
        email: E-mail address.
        phone: Telephone number.
        birthday: Deprecated by the service in favour of `birthdate`.
        birthdate: Date of birth.
        address: Postal address; parts left out keep their values.
        metadata: Custom properties, merged key by key: a mapping, a Struct or a dataclass. A key set to `None` is kept,
            with the value null.
    """

    name: str | UnsetType | None
    description: str | UnsetType | None
    email: str | UnsetType | None
    phone: str | UnsetType | None
    birthday: dt.date | UnsetType | None
    birthdate: dt.date | UnsetType | None
    address: Address | CustomerAddress | Mapping[str, str | None] | UnsetType | None
    metadata: Metadata | UnsetType | None


_NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class NewCustomer(CustomerFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of a customer to create.

    Attributes:
        id: The id of the customer; by default, the service generates one.
        source_id: The customer's id in your own system. It cannot be changed later.
    """

    id: _NonEmpty | UnsetType = UNSET
    source_id: _NonEmpty | UnsetType = UNSET


class CustomerUpsert(CustomerFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer to update or create in bulk, identified by its `source_id`.

    Attributes:
        source_id: The customer's id in your own system.
    """

    source_id: str


class CustomerAddress(Model, frozen=True, kw_only=True):
    """A customer's address, as returned by the API.

    Attributes:
        city: City.
        state: State, province or region.
        line_1: First line of the street address.
        line_2: Second line of the street address.
        country: Country.
        postal_code: Postal code.
    """

    city: str | None = None
    state: str | None = None
    line_1: str | None = None
    line_2: str | None = None
    country: str | None = None
    postal_code: str | None = None


class GiftSummary(Model, frozen=True, kw_only=True):
    """Gift card amounts of a customer.

    Attributes:
        redeemed_amount: Credits that the customer has redeemed, in hundredths of the currency unit.
        amount_to_go: Credits left on all gift cards of the customer, in hundredths of the currency unit.
    """

    redeemed_amount: Number | None = None
    amount_to_go: Number | None = None


class LoyaltyCardSummary(Model, frozen=True, kw_only=True):
    """Loyalty points of a customer.

    Attributes:
        redeemed_points: Points that the customer has redeemed.
        points_to_go: Points left on all loyalty cards of the customer.
    """

    redeemed_points: Number | None = None
    points_to_go: Number | None = None


class RedemptionSummary(Model, frozen=True, kw_only=True):
    """Counts of a customer's redemptions and rollbacks, by outcome.

    Attributes:
        total_redeemed: Number of redemptions.
        total_failed: Number of failed redemptions.
        total_succeeded: Number of successful redemptions.
        total_rolled_back: Number of rolled-back redemptions.
        total_rollback_failed: Number of failed rollbacks.
        total_rollback_succeeded: Number of successful rollbacks.
        gift: Amounts of the customer's gift cards.
        loyalty_card: Points of the customer's loyalty cards.
    """

    total_redeemed: Number | None = None
    total_failed: Number | None = None
    total_succeeded: Number | None = None
    total_rolled_back: Number | None = None
    total_rollback_failed: Number | None = None
    total_rollback_succeeded: Number | None = None
    gift: GiftSummary | None = None
    loyalty_card: LoyaltyCardSummary | None = None


class OrderSummary(Model, frozen=True, kw_only=True):
    """Totals of a customer's orders with the status ``PAID`` or ``FULFILLED``.

    Attributes:
        total_amount: Sum of the orders, in hundredths of the currency unit.
        total_count: Number of orders.
        average_amount: Average of the orders, in hundredths of the currency unit.
        last_order_amount: Amount of the last order, in hundredths of the currency unit.
        last_order_date: Time of the last order, timezone-aware.
    """

    total_amount: Number | None = None
    total_count: Number | None = None
    average_amount: Number | None = None
    last_order_amount: Number | None = None
    last_order_date: dt.datetime | None = None


class CustomerSummary(Model, frozen=True, kw_only=True):
    """Statistics of a customer's redemptions and orders.

    Attributes:
        redemptions: Counts of the redemptions and rollbacks, and the totals of gift and loyalty cards.
        orders: Totals of the orders.
    """

    redemptions: RedemptionSummary | None = None
    orders: OrderSummary | None = None


class LoyaltyCampaign(Model, frozen=True, kw_only=True):
    """A customer's points and tier in one loyalty campaign.

    Attributes:
        points: Points left in the campaign.
        loyalty_tier: The customer's tier in the campaign.
        referred_customers: Number of customers that the customer has referred in the campaign.
    """

    points: Number | None = None
    loyalty_tier: str | None = None
    referred_customers: Number | None = None


class CustomerLoyalty(Model, frozen=True, kw_only=True):
    """A customer's loyalty points in total, and by campaign.

    Attributes:
        points: Points of all loyalty cards of the customer, without expired ones.
        referred_customers: Number of customers that the customer has referred.
        campaigns: Maps the name of each campaign to the customer's points and tier in it.
    """

    points: Number | None = None
    referred_customers: Number | None = None
    campaigns: dict[str, LoyaltyCampaign | None] | None = None


class ReferralCampaign(Model, frozen=True, kw_only=True):
    """A campaign through which the customer was referred.

    Attributes:
        campaign_id: The id of the campaign.
        referrer_id: The id of the customer who made the referral.
        related_object_id: The id of the object that recorded the referral.
        related_object_type: The type of that object, for example ``redemption``.
        date: Time of the referral, timezone-aware.
    """

    campaign_id: str | None = None
    referrer_id: str | None = None
    related_object_id: str | None = None
    related_object_type: str | None = None
    date: dt.datetime | None = None


class CustomerReferrals(Model, frozen=True, kw_only=True):
    """The referrals through which other customers have referred a customer.

    Attributes:
        total: Number of referrals.
        campaigns: The campaigns of the referrals.
    """

    total: Number | None = None
    campaigns: tuple[ReferralCampaign, ...] | None = None


class CustomerAssets(Model, frozen=True, kw_only=True):
    """Links to a customer's pages on the service.

    Attributes:
        cockpit_url: URL of the customer cockpit, which the service has replaced with the preference center.
        cockpit_preference_center_url: URL of the customer's preference center.
    """

    cockpit_url: str | None = None
    cockpit_preference_center_url: str | None = None


class Customer(Model, Generic[M], frozen=True, kw_only=True):
    """A customer. `M` is the type of its metadata, by default `dict[str, Any]`.

    Attributes:
        id: The id that the service assigned.
        source_id: The customer's id in your own system.
        name: Full name.
        description: Free-text description.
        email: E-mail address.
        phone: Telephone number.
        birthday: Deprecated by the service in favour of `birthdate`.
        birthdate: Date of birth.
        address: Postal address.
        summary: Statistics of the customer's redemptions and orders.
        loyalty: The customer's loyalty points.
        referrals: The referrals through which other customers have referred this one.
        metadata: Custom properties.
        system_metadata: Properties that the service sets.
        created_at: Time of creation, timezone-aware.
        updated_at: Time of the last update, timezone-aware.
        assets: Links to the customer's pages on the service.
        object: Always ``customer``.
    """

    id: str
    source_id: str | None = None
    name: str | None = None
    description: str | None = None
    email: str | None = None
    phone: str | None = None
    birthday: dt.date | None = None
    birthdate: dt.date | None = None
    address: CustomerAddress | None = None
    summary: CustomerSummary | None = None
    loyalty: CustomerLoyalty | None = None
    referrals: CustomerReferrals | None = None
    metadata: M | None = None
    system_metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    assets: CustomerAssets | None = None
    object: str | None = None

    def to_upsert(self) -> CustomerUpsert:
        """Convert to an input for `create`, `sync` or `update_in_bulk`, for example to copy it to another project.

        Fields without a value are `None`, which clears them in the target, except metadata and the deprecated
        `birthday`, which are left out. Metadata is merged key by key.

        Raises:
            ValueError: The customer has no `source_id`.
        """
        if not self.source_id:
            raise ValueError(f"the customer {self.id} has no source_id")
        return CustomerUpsert(source_id=self.source_id, **writable_fields(self))


def writable_fields(customer: Customer[Any]) -> dict[str, Any]:
    """The values of `CustomerFields` of a customer."""
    address, metadata = customer.address, customer.metadata
    return {
        "name": customer.name,
        "description": customer.description,
        "email": customer.email,
        "phone": customer.phone,
        "birthday": UNSET if customer.birthday is None else customer.birthday,
        "birthdate": customer.birthdate,
        "address": None if address is None else Address(**msgspec.structs.asdict(address)),
        "metadata": UNSET if metadata is None else msgspec.to_builtins(metadata),
    }


class PermanentDeletionCounts(Model, frozen=True, kw_only=True):
    """How many objects of each kind a permanent deletion removed.

    Attributes:
        events: Deleted events.
        customer_events: Deleted customer events.
        daily_events: Deleted daily events.
        segments: Deleted segments.
        orders: Deleted orders.
        order_events: Deleted order events.
        customer: Deleted customers.
    """

    events: Number | None = None
    customer_events: Number | None = None
    daily_events: Number | None = None
    segments: Number | None = None
    orders: Number | None = None
    order_events: Number | None = None
    customer: Number | None = None


class PermanentDeletion(Model, frozen=True, kw_only=True):
    """The record of a permanent deletion.

    Attributes:
        id: The id of the deletion.
        created_at: Time at which the deletion was requested, timezone-aware.
        related_object_id: The id of the deleted customer.
        related_object: The type of the deleted object: ``customer``.
        status: The status of the deletion, for example ``DONE``.
        data_json: Counts of the deleted objects.
        object: Always ``pernament_deletion``, as the service spells it.
    """

    id: str
    created_at: dt.datetime | None = None
    related_object_id: str | None = None
    related_object: str | None = None
    status: str | None = None
    data_json: PermanentDeletionCounts | None = None
    object: str | None = None

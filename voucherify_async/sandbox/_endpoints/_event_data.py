"""The JSON of customer events. No I/O."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from voucherify_async._transport.wire import format_instant
from voucherify_async.models.base import as_utc
from voucherify_async.sandbox._seed.vouchers import (
    Campaign,
    Order,
    Redeemable,
    Tier,
    alphanumeric_id,
    hex_hash_id,
)
from voucherify_async.sandbox._store.records import Event, Snapshot

__all__ = ["event_data", "event_json", "simple_customer"]

Json = dict[str, Any]

_PENDING_PERIOD: Final = dt.timedelta(days=14)
"""Time until pending points are activated."""
_TIER_LIFETIME: Final = dt.timedelta(days=365)
"""Time until a tier expires."""
_MESSAGE_TIMESTAMPS: Final = {"sent": "sent_at", "failed": "failed_at", "recovered": "recovered_at"}


def event_json(event: Event) -> Json:
    """The event as in the service's lists.

    Raises:
        AssertionError: The event lacks an object that events of its type are about.
    """
    return {
        "id": event.id,
        "type": event.kind,
        "data": {"data": event_data(event), "event_source": {"channel": "API"}},
        "created_at": format_instant(event.at),
        "group_id": event.group_id,
    }


def event_data(event: Event) -> Json:
    """The objects that the event is about, by its type.

    Raises:
        AssertionError: The event lacks an object that events of its type are about.
    """
    build = _DATA_BUILDERS.get(event.kind)
    if build is not None:
        return build(event)
    timestamp_field = _MESSAGE_TIMESTAMPS.get(event.kind.rpartition(".")[2])
    if timestamp_field is not None:  # a message, through any channel
        return {
            "customer": simple_customer(event.customer),
            "distribution": {"id": alphanumeric_id("distr_", event.about.number), "name": event.about.name},
            timestamp_field: format_instant(event.at),
        }
    return _full_customer(event)


def _add_capped(event: Event, time: dt.timedelta) -> dt.datetime:
    """The time of the event plus `time`, but at most the end of the year 9999."""
    at = as_utc(event.at)
    return min(at, dt.datetime.max.replace(tzinfo=dt.UTC) - time) + time


def simple_customer(customer: Snapshot) -> Json:
    """The short form of a customer, used where the customer is not the main object (`SimpleCustomer` in the API)."""
    return {
        "id": customer.id,
        "name": customer.fields.get("name"),
        "email": customer.fields.get("email"),
        "source_id": customer.source_id,
        "metadata": customer.metadata or {},
        "object": "customer",
    }


def _full_customer(event: Event) -> Json:
    return {"customer": event.customer.to_json()}


def _confirmed(event: Event) -> Json:
    return {**_full_customer(event), "unconfirmed_customer": {"id": alphanumeric_id("ucust_", event.number)}}


def _segment(event: Event) -> Json:
    return {**_full_customer(event), "segment": event.about.segment}


def _custom_event(event: Event) -> Json:
    about, customer = event.about, simple_customer(event.customer)
    custom: Json = {
        "id": alphanumeric_id("evt_", about.number),
        "object": "event",
        "type": about.name,
        "customer": customer,
        "referral": {},
        "loyalty": {},
        "metadata": {},
        "created_at": format_instant(event.at),
    }
    schema = {"id": alphanumeric_id("ms_", len(about.name)), "name": about.name}
    return {"event": custom, "event_schema": schema, "customer": customer, "referral": None, "loyalty": None}


def _referred(event: Event) -> Json:
    about = event.about
    custom = _custom_event(event)["event"]
    custom["referral"] = {
        "id": hex_hash_id("rfl_", about.number),
        "code": _voucher(event).code,
        "referrer_id": (about.other or {}).get("id"),
    }
    return {**_campaign_data(event), "referrer": about.other, "custom_event": custom}


def _campaign(event: Event) -> Campaign:
    campaign = event.about.campaign
    assert campaign is not None  # noqa: S101  # all events of these types have one
    return campaign


def _voucher(event: Event) -> Redeemable:
    voucher = event.about.voucher
    assert voucher is not None  # noqa: S101  # as in `_campaign`
    return voucher


def _order(event: Event) -> Order:
    order = event.about.order
    assert order is not None  # noqa: S101  # as in `_campaign`
    return order


def _tier(event: Event) -> Tier:
    tier = event.about.tier
    assert tier is not None  # noqa: S101  # as in `_campaign`
    return tier


def _campaign_data(event: Event) -> Json:
    """The customer, and the campaign and voucher if there are any."""
    about = event.about
    data: Json = {"customer": simple_customer(event.customer)}
    if about.campaign is not None:
        data["campaign"] = about.campaign.to_json()
    if about.voucher is not None:
        with_balance = about.amount or about.balance
        data["voucher"] = about.voucher.simple_voucher(about.balance if with_balance else None)
    return data


def _publication(event: Event) -> Json:
    voucher = _voucher(event)
    shown = voucher.simple_voucher(event.about.balance)
    card = ("code", "object", "campaign", "gift", "loyalty_card", "discount", "is_referral_code")
    publication = {
        "id": alphanumeric_id("pub_", event.about.number),
        "object": "publication",
        "created_at": format_instant(event.at),
        "customer_id": event.customer.id,
        "metadata": {},
        "channel": "API",
        "source_id": None,
        "customer": event.customer.to_json(),
        "vouchers": [voucher.code],
        "vouchers_id": [voucher.redeemable_id],
        "result": "SUCCESS",
        "voucher": {name: shown[name] for name in card},
    }
    data = _campaign_data(event)
    data.pop("voucher")
    return {**data, "publication": publication}


def _holder(event: Event) -> Json:
    holder = {**_voucher(event).holder_json(), "publication_id": None, "object": "redeemable_holder"}
    return {**_campaign_data(event), "holder": holder}


def _validation(event: Event) -> Json:
    redeemable = {"id": _voucher(event).code, "type": "voucher"}
    failed = event.kind.endswith(".failed")
    validation = {
        "id": hex_hash_id("valid_", event.about.number),
        "status": "INVALID" if failed else "VALID",
        "created_at": format_instant(event.at),
        "customer_id": event.customer.id,
        "redeemables": [] if failed else [redeemable],
        "skipped_redeemables": [],
        "inapplicable_redeemables": [redeemable] if failed else [],
    }
    return {"customer": simple_customer(event.customer), "validation": validation}


def _redemption(event: Event) -> Json:
    about, customer = event.about, simple_customer(event.customer)
    order = _order(event)
    failed = event.kind == "customer.redemption.failed"
    data = _campaign_data(event)
    data["order"] = order.to_json(event.customer.id, "CREATED" if failed else "PAID")
    redemption: Json = {
        "id": hex_hash_id("r_", about.number),
        "customer_id": event.customer.id,
        "date": format_instant(event.at),
        "amount": about.amount or order.total,
        "order": data["order"],
        "customer": customer,
        "result": "FAILURE" if failed else "SUCCESS",
        "status": "FAILED" if failed else "SUCCEEDED",
        "metadata": {},
        "channel": {"channel_id": "sandbox", "channel_type": "API"},
        "object": "redemption",
    }
    if failed:
        redemption["failure_code"] = "quantity_exceeded"
        redemption["failure_message"] = "quantity exceeded"
    if about.voucher is not None:
        redemption["voucher"] = data["voucher"]
        data["holder"] = customer
    elif about.campaign is not None:
        data["promotion_tier"] = redemption["promotion_tier"] = {
            "id": alphanumeric_id("promo_", len(about.campaign.id)),
            "name": about.campaign.name,
            "banner": about.campaign.name,
            "campaign": {"id": about.campaign.id},
            "metadata": {},
        }
    data["redemption"] = redemption
    if ".rollback." in event.kind:
        failed = event.kind.endswith(".failed")
        data["redemption_rollback"] = {
            **redemption,
            "id": hex_hash_id("rr_", event.number),
            "redemption": redemption["id"],
            "result": "FAILURE" if failed else "SUCCESS",
            "status": "FAILED" if failed else "SUCCEEDED",
            "reason": "Returned",
            "object": "redemption_rollback",
        }
    return data


_ORDER_STATUSES: Final = {
    "customer.order.canceled": "CANCELED",
    "customer.order.fulfilled": "FULFILLED",
    "customer.order.paid": "PAID",
}


def _order_data(event: Event) -> Json:
    order = _order(event)
    shown = order.to_json(event.customer.id, _ORDER_STATUSES.get(event.kind, "CREATED"))
    shown |= {
        "initial_amount": order.amount,
        "created_at": format_instant(order.created),
        "updated_at": None if event.at == order.created else format_instant(event.at),
        "customer": {"id": event.customer.id, "object": "customer"},
    }
    return {"customer": simple_customer(event.customer), "order": shown}


def _balance(event: Event) -> Json:
    """The balance of a gift card or loyalty card after the event."""
    about, voucher = event.about, _voucher(event)
    gift = voucher.voucher_type == "GIFT_VOUCHER"
    return {
        "type": "gift_voucher" if gift else "loyalty_card",
        "total": max(about.balance, voucher.amount),
        "object": "balance",
        "amount" if gift else "points": about.amount,
        "balance": about.balance,
        "operation_type": "AUTOMATIC",
        "related_object": {"id": voucher.redeemable_id, "type": "voucher"},
    }


_TRANSACTION_TYPES: Final = {
    "customer.voucher.gift.balance_added": "CREDITS_ADDITION",
    "customer.voucher.loyalty_card.points_expired": "POINTS_EXPIRATION",
    "customer.voucher.loyalty_card.points_transferred": "POINTS_TRANSFER_IN",
}


def _transaction(event: Event) -> Json:
    about, voucher = event.about, _voucher(event)
    details: Json = {"balance": _balance(event)}
    if about.order is not None:
        details["order"] = {"id": about.order.id, "source_id": about.order.source_id}
    transaction = {
        "id": hex_hash_id("vtx_", event.number),
        "source_id": None,
        "voucher_id": voucher.redeemable_id,
        "campaign_id": _campaign(event).id,
        "type": _TRANSACTION_TYPES.get(event.kind, "POINTS_ACCRUAL"),
        "source": None,
        "reason": None,
        "related_transaction_id": None,
        "created_at": format_instant(event.at),
        "details": details,
    }
    return {**_campaign_data(event), "balance": _balance(event), "transaction": transaction}


def _points_transfer(event: Event) -> Json:
    data = _transaction(event)
    source = {
        **data["voucher"],
        "id": alphanumeric_id("v_", event.number, 32),
        "code": alphanumeric_id("", event.number, 8),
    }
    return {**data, "source_voucher": source, "destination_voucher": data["voucher"]}


def _points_expiration(event: Event) -> Json:
    data = _transaction(event)
    voucher, points = _voucher(event), abs(event.about.amount)
    bucket = {
        "id": alphanumeric_id("lopb_", event.about.number),
        "voucher_id": voucher.redeemable_id,
        "campaign_id": _campaign(event).id,
        "bucket": {"total_points": points},
        "status": "EXPIRED",
        "expires_at": event.at.date().isoformat(),
        "created_at": voucher.created_at,
        "object": "loyalty_points_bucket",
    }
    data.pop("balance")
    return {**data, "points": points, "buckets": [bucket]}


def _pending_points(event: Event) -> Json:
    about, order, voucher = event.about, _order(event), _voucher(event)
    cause = {"type": "customer.order.paid", "created_at": format_instant(order.created), "category": "ACTION"}
    pending: Json = {
        "id": alphanumeric_id("lopp_", about.number),
        "voucher_id": voucher.redeemable_id,
        "campaign_id": _campaign(event).id,
        "customer_id": event.customer.id,
        "order_id": order.id,
        "points": about.amount,
        "activates_at": _add_capped(event, _PENDING_PERIOD).date().isoformat(),
        "details": {
            "event": cause,
            "earning_rule": {"id": alphanumeric_id("ern_", 1), "source": {"banner": "A point for each 1.00"}},
            "order": {"id": order.id, "source_id": order.source_id},
        },
        "created_at": format_instant(event.at),
    }
    shown = {"order": order.to_json(event.customer.id, "PAID"), "pending_points": pending}
    if event.kind.endswith(".activated"):
        return {**_transaction(event), **shown}
    return {**_campaign_data(event), "voucher_pending_points_balance": _balance(event), **shown}


def _customer_reward(event: Event) -> Json:
    customer = simple_customer(event.customer)
    return {**_campaign_data(event), "holder": customer, "reward": _reward(event), "balance": None}


def _reward(event: Event) -> Json:
    return {
        "id": alphanumeric_id("rew_", len(event.about.name)),
        "name": event.about.name,
        "type": "MATERIAL",
        "parameters": {"product": {"id": alphanumeric_id("prod_", len(event.about.name)), "sku_id": None}},
        "metadata": {},
        "created_at": format_instant(_campaign(event).created),
        "updated_at": None,
        "object": "reward",
    }


def _rewarded_points(event: Event) -> Json:
    order = _order(event).to_json(event.customer.id, "PAID")
    tier = _tier(event).to_json(_campaign(event))
    data = {
        **_campaign_data(event),
        "holder": simple_customer(event.customer),
        "loyalty_tier": tier,
        "order": order,
    }
    return {**data, "balance": _balance(event)}


def _reward_redemption(event: Event) -> Json:
    about, campaign = event.about, _campaign(event)
    state = event.kind.rpartition(".")[2].upper()
    reward = _reward(event)
    assignment = {
        "id": alphanumeric_id("rewa_", len(about.name)),
        "reward_id": reward["id"],
        "related_object_id": campaign.id,
        "related_object_type": "campaign",
        "parameters": {"loyalty": {"points": abs(about.amount)}},
        "created_at": format_instant(campaign.created),
        "updated_at": None,
        "object": "reward_assignment",
    }
    return {
        **_campaign_data(event),
        "holder": simple_customer(event.customer),
        "reward_redemption": {"id": alphanumeric_id("rewr_", about.number), "state": state},
        "reward": reward,
        "reward_assignment": assignment,
        "source": "API",
        "balance": about.balance,
    }


def _loyalty_update(event: Event) -> Json:
    loyalty = {"points": event.about.balance, "referred_customers": 0}
    return {**_tier_base(event), "loyalty": loyalty}


def _tier_base(event: Event) -> Json:
    return {
        "customer": simple_customer(event.customer),
        "campaign": _campaign(event).to_json(),
        "created_at": format_instant(event.at),
    }


def _tier_membership(event: Event) -> Json:
    # The OpenAPI document requires `loyalty_tier_to` in all tier events, but describes it for two of them only.
    tier = _tier(event).to_json(_campaign(event))
    return {**_tier_base(event), "loyalty_tier": tier, "loyalty_tier_to": tier}


def _tier_expiration(event: Event) -> Json:
    return {**_tier_membership(event), "expiration_date": format_instant(_add_capped(event, _TIER_LIFETIME))}


def _tier_changed(event: Event) -> Json:
    campaign, before = _campaign(event), event.about.tier_before
    return {
        **_tier_base(event),
        "loyalty_tier_from": None if before is None else before.to_json(campaign),
        "loyalty_tier_to": _tier(event).to_json(campaign),
    }


_DATA_BUILDERS: Final[Mapping[str, Callable[[Event], Json]]] = {
    "customer.confirmed": _confirmed,
    "customer.segment.entered": _segment,
    "customer.segment.left": _segment,
    "customer.custom_event": _custom_event,
    "customer.referred": _referred,
    "customer.rewarded": _customer_reward,
    "customer.rewarded.loyalty_points": _rewarded_points,
    "customer.voucher.deleted": _campaign_data,
    "customer.voucher.gift.balance_added": _transaction,
    "customer.voucher.loyalty_card.points_added": _transaction,
    "customer.voucher.loyalty_card.points_expired": _points_expiration,
    "customer.voucher.loyalty_card.points_transferred": _points_transfer,
    **{
        f"customer.voucher.loyalty_card.pending_points.{state}": _pending_points
        for state in ("added", "updated", "activated", "canceled")
    },
    "customer.publication.succeeded": _publication,
    "customer.publication.failed": _publication,
    "customer.holder.assignment.created": _holder,
    "customer.holder.assignment.deleted": _holder,
    "customer.validation.succeeded": _validation,
    "customer.validation.failed": _validation,
    "customer.redemption.succeeded": _redemption,
    "customer.redemption.failed": _redemption,
    "customer.redemption.rollback.succeeded": _redemption,
    "customer.redemption.rollback.failed": _redemption,
    **{
        f"customer.order.{state}": _order_data
        for state in ("created", "updated", "processing", "paid", "fulfilled", "canceled")
    },
    **{
        f"customer.reward_redemptions.{state}": _reward_redemption
        for state in ("created", "pending", "completed", "rolledback")
    },
    "customer.loyalty.updated": _loyalty_update,
    "customer.loyalty.tier.joined": _tier_membership,
    "customer.loyalty.tier.left": _tier_membership,
    "customer.loyalty.tier.prolonged": _tier_membership,
    "customer.loyalty.tier.expiration.changed": _tier_expiration,
    "customer.loyalty.tier.upgraded": _tier_changed,
    "customer.loyalty.tier.downgraded": _tier_changed,
}

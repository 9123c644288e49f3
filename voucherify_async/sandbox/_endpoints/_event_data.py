"""What the events of customers are about, as the service shows it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from voucherify_async._transport.wire import format_instant
from voucherify_async.models.base import as_utc
from voucherify_async.sandbox._seed.vouchers import Campaign, Order, Redeemable, Tier, digits, letters
from voucherify_async.sandbox._store.records import Event, Snapshot

__all__ = ["in_short", "show"]

Json = dict[str, Any]

_PENDING: Final = dt.timedelta(days=14)
"""How long points wait before they count."""
_LASTING: Final = dt.timedelta(days=365)
"""How long points and tiers last."""
_SENT: Final = {"sent": "sent_at", "failed": "failed_at", "recovered": "recovered_at"}


def show(event: Event) -> Json:
    """The event as the service lists it."""
    return {
        "id": event.id,
        "type": event.kind,
        "data": {"data": _data_of(event), "event_source": {"channel": "API"}},
        "created_at": format_instant(event.at),
        "group_id": digits("v-", event.number),
    }


def _data_of(event: Event) -> Json:
    """What the event is about, by its kind."""
    build = _DATA.get(event.kind)
    if build is not None:
        return build(event)
    moment = _SENT.get(event.kind.rpartition(".")[2])
    if moment is not None:  # a message, whatever it was sent through
        return {
            "customer": in_short(event.customer),
            "distribution": {"id": letters("distr_", event.about.number), "name": event.about.name},
            moment: format_instant(event.at),
        }
    return _whole(event)


def _later(event: Event, time: dt.timedelta) -> dt.datetime:
    """An instant after the event, in the year 9999 at the latest."""
    at = as_utc(event.at)
    return min(at, dt.datetime.max.replace(tzinfo=dt.UTC) - time) + time


def in_short(customer: Snapshot) -> Json:
    """A customer, as the events show it that are about something else."""
    return {
        "id": customer.id,
        "name": customer.fields.get("name"),
        "email": customer.fields.get("email"),
        "source_id": customer.source_id,
        "metadata": customer.metadata or {},
        "object": "customer",
    }


def _whole(event: Event) -> Json:
    return {"customer": event.customer.to_json()}


def _confirmed(event: Event) -> Json:
    return {**_whole(event), "unconfirmed_customer": {"id": letters("ucust_", event.number)}}


def _segment(event: Event) -> Json:
    return {**_whole(event), "segment": event.about.segment}


def _custom_event(event: Event) -> Json:
    about, customer = event.about, in_short(event.customer)
    custom: Json = {
        "id": letters("evt_", about.number),
        "object": "event",
        "type": about.name,
        "customer": customer,
        "referral": {},
        "loyalty": {},
        "metadata": {},
        "created_at": format_instant(event.at),
    }
    schema = {"id": letters("ms_", len(about.name)), "name": about.name}
    return {"event": custom, "event_schema": schema, "customer": customer, "referral": None, "loyalty": None}


def _referred(event: Event) -> Json:
    about = event.about
    custom = _custom_event(event)["event"]
    custom["referral"] = {
        "id": digits("rfl_", about.number),
        "code": _voucher(event).code,
        "referrer_id": (about.other or {}).get("id"),
    }
    return {**_of_campaign(event), "referrer": about.other, "custom_event": custom}


def _campaign(event: Event) -> Campaign:
    campaign = event.about.campaign
    assert campaign is not None  # noqa: S101  # events of these kinds have one
    return campaign


def _voucher(event: Event) -> Redeemable:
    voucher = event.about.voucher
    assert voucher is not None  # noqa: S101  # as above
    return voucher


def _order(event: Event) -> Order:
    order = event.about.order
    assert order is not None  # noqa: S101  # as above
    return order


def _tier(event: Event) -> Tier:
    tier = event.about.tier
    assert tier is not None  # noqa: S101  # as above
    return tier


def _of_campaign(event: Event) -> Json:
    """The customer, and of campaign and voucher what there is."""
    about = event.about
    data: Json = {"customer": in_short(event.customer)}
    if about.campaign is not None:
        data["campaign"] = about.campaign.to_json()
    if about.voucher is not None:
        with_balance = about.amount or about.balance
        data["voucher"] = about.voucher.in_short(about.balance if with_balance else None)
    return data


def _published(event: Event) -> Json:
    voucher = _voucher(event)
    shown = voucher.in_short(event.about.balance)
    card = ("code", "object", "campaign", "gift", "loyalty_card", "discount", "is_referral_code")
    publication = {
        "id": letters("pub_", event.about.number),
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
    data = _of_campaign(event)
    data.pop("voucher")
    return {**data, "publication": publication}


def _holder(event: Event) -> Json:
    holder = {**_voucher(event).holder(), "publication_id": None, "object": "redeemable_holder"}
    return {**_of_campaign(event), "holder": holder}


def _validation(event: Event) -> Json:
    redeemable = {"id": _voucher(event).code, "type": "voucher"}
    failed = event.kind.endswith(".failed")
    validation = {
        "id": digits("valid_", event.about.number),
        "status": "INVALID" if failed else "VALID",
        "created_at": format_instant(event.at),
        "customer_id": event.customer.id,
        "redeemables": [] if failed else [redeemable],
        "skipped_redeemables": [],
        "inapplicable_redeemables": [redeemable] if failed else [],
    }
    return {"customer": in_short(event.customer), "validation": validation}


def _redeemed(event: Event) -> Json:
    about, customer = event.about, in_short(event.customer)
    order = _order(event)
    failed = event.kind == "customer.redemption.failed"
    data = _of_campaign(event)
    data["order"] = order.to_json(event.customer.id, "CREATED" if failed else "PAID")
    redemption: Json = {
        "id": digits("r_", about.number),
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
            "id": letters("promo_", len(about.campaign.id)),
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
            "id": digits("rr_", event.number),
            "redemption": redemption["id"],
            "result": "FAILURE" if failed else "SUCCESS",
            "status": "FAILED" if failed else "SUCCEEDED",
            "reason": "Returned",
            "object": "redemption_rollback",
        }
    return data


_STATUS_OF_ORDER: Final = {
    "customer.order.canceled": "CANCELED",
    "customer.order.fulfilled": "FULFILLED",
    "customer.order.paid": "PAID",
}


def _ordered(event: Event) -> Json:
    order = _order(event)
    shown = order.to_json(event.customer.id, _STATUS_OF_ORDER.get(event.kind, "CREATED"))
    shown |= {
        "initial_amount": order.amount,
        "created_at": format_instant(order.created),
        "updated_at": None if event.at == order.created else format_instant(event.at),
        "customer": {"id": event.customer.id, "object": "customer"},
    }
    return {"customer": in_short(event.customer), "order": shown}


def _balance(event: Event) -> Json:
    """What is on a card after something came or went."""
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


_TRANSACTIONS: Final = {
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
        "id": digits("vtx_", event.number),
        "source_id": None,
        "voucher_id": voucher.redeemable_id,
        "campaign_id": _campaign(event).id,
        "type": _TRANSACTIONS.get(event.kind, "POINTS_ACCRUAL"),
        "source": None,
        "reason": None,
        "related_transaction_id": None,
        "created_at": format_instant(event.at),
        "details": details,
    }
    return {**_of_campaign(event), "balance": _balance(event), "transaction": transaction}


def _transferred(event: Event) -> Json:
    data = _transaction(event)
    source = {**data["voucher"], "id": letters("v_", event.number, 32), "code": letters("", event.number, 8)}
    return {**data, "source_voucher": source, "destination_voucher": data["voucher"]}


def _expired(event: Event) -> Json:
    data = _transaction(event)
    voucher, points = _voucher(event), abs(event.about.amount)
    bucket = {
        "id": letters("lopb_", event.about.number),
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


def _pending(event: Event) -> Json:
    about, order, voucher = event.about, _order(event), _voucher(event)
    cause = {"type": "customer.order.paid", "created_at": format_instant(order.created), "category": "ACTION"}
    pending: Json = {
        "id": letters("lopp_", about.number),
        "voucher_id": voucher.redeemable_id,
        "campaign_id": _campaign(event).id,
        "customer_id": event.customer.id,
        "order_id": order.id,
        "points": about.amount,
        "activates_at": _later(event, _PENDING).date().isoformat(),
        "details": {
            "event": cause,
            "earning_rule": {"id": letters("ern_", 1), "source": {"banner": "A point for each 1.00"}},
            "order": {"id": order.id, "source_id": order.source_id},
        },
        "created_at": format_instant(event.at),
    }
    shown = {"order": order.to_json(event.customer.id, "PAID"), "pending_points": pending}
    if event.kind.endswith(".activated"):
        return {**_transaction(event), **shown}
    return {**_of_campaign(event), "voucher_pending_points_balance": _balance(event), **shown}


def _rewarded(event: Event) -> Json:
    customer = in_short(event.customer)
    return {**_of_campaign(event), "holder": customer, "reward": _reward(event), "balance": None}


def _reward(event: Event) -> Json:
    return {
        "id": letters("rew_", len(event.about.name)),
        "name": event.about.name,
        "type": "MATERIAL",
        "parameters": {"product": {"id": letters("prod_", len(event.about.name)), "sku_id": None}},
        "metadata": {},
        "created_at": format_instant(_campaign(event).created),
        "updated_at": None,
        "object": "reward",
    }


def _rewarded_points(event: Event) -> Json:
    order = _order(event).to_json(event.customer.id, "PAID")
    tier = _tier(event).to_json(_campaign(event))
    data = {**_of_campaign(event), "holder": in_short(event.customer), "loyalty_tier": tier, "order": order}
    return {**data, "balance": _balance(event)}


def _reward_redemption(event: Event) -> Json:
    about, campaign = event.about, _campaign(event)
    status = event.kind.rpartition(".")[2].upper()
    reward = _reward(event)
    assignment = {
        "id": letters("rewa_", len(about.name)),
        "reward_id": reward["id"],
        "related_object_id": campaign.id,
        "related_object_type": "campaign",
        "parameters": {"loyalty": {"points": abs(about.amount)}},
        "created_at": format_instant(campaign.created),
        "updated_at": None,
        "object": "reward_assignment",
    }
    return {
        **_of_campaign(event),
        "holder": in_short(event.customer),
        "reward_redemption": {"id": letters("rewr_", about.number), "status": status},
        "reward": reward,
        "reward_assignment": assignment,
        "source": "API",
        "balance": about.balance,
    }


def _loyalty(event: Event) -> Json:
    loyalty = {"points": event.about.balance, "referred_customers": 0}
    return {**_of_tier(event), "loyalty": loyalty}


def _of_tier(event: Event) -> Json:
    return {
        "customer": in_short(event.customer),
        "campaign": _campaign(event).to_json(),
        "created_at": format_instant(event.at),
    }


def _in_tier(event: Event) -> Json:
    # The documents require `loyalty_tier_to` of all of these, although it is told of in two alone.
    tier = _tier(event).to_json(_campaign(event))
    return {**_of_tier(event), "loyalty_tier": tier, "loyalty_tier_to": tier}


def _tier_expires(event: Event) -> Json:
    return {**_in_tier(event), "expiration_date": format_instant(_later(event, _LASTING))}


def _tier_changed(event: Event) -> Json:
    campaign, before = _campaign(event), event.about.tier_before
    return {
        **_of_tier(event),
        "loyalty_tier_from": None if before is None else before.to_json(campaign),
        "loyalty_tier_to": _tier(event).to_json(campaign),
    }


_DATA: Final[Mapping[str, Callable[[Event], Json]]] = {
    "customer.confirmed": _confirmed,
    "customer.segment.entered": _segment,
    "customer.segment.left": _segment,
    "customer.custom_event": _custom_event,
    "customer.referred": _referred,
    "customer.rewarded": _rewarded,
    "customer.rewarded.loyalty_points": _rewarded_points,
    "customer.voucher.deleted": _of_campaign,
    "customer.voucher.gift.balance_added": _transaction,
    "customer.voucher.loyalty_card.points_added": _transaction,
    "customer.voucher.loyalty_card.points_expired": _expired,
    "customer.voucher.loyalty_card.points_transferred": _transferred,
    **{
        f"customer.voucher.loyalty_card.pending_points.{fate}": _pending
        for fate in ("added", "updated", "activated", "canceled")
    },
    "customer.publication.succeeded": _published,
    "customer.publication.failed": _published,
    "customer.holder.assignment.created": _holder,
    "customer.holder.assignment.deleted": _holder,
    "customer.validation.succeeded": _validation,
    "customer.validation.failed": _validation,
    "customer.redemption.succeeded": _redeemed,
    "customer.redemption.failed": _redeemed,
    "customer.redemption.rollback.succeeded": _redeemed,
    "customer.redemption.rollback.failed": _redeemed,
    **{
        f"customer.order.{fate}": _ordered
        for fate in ("created", "updated", "processing", "paid", "fulfilled", "canceled")
    },
    **{
        f"customer.reward_redemptions.{fate}": _reward_redemption
        for fate in ("created", "pending", "completed", "rolledback")
    },
    "customer.loyalty.updated": _loyalty,
    "customer.loyalty.tier.joined": _in_tier,
    "customer.loyalty.tier.left": _in_tier,
    "customer.loyalty.tier.prolonged": _in_tier,
    "customer.loyalty.tier.expiration.changed": _tier_expires,
    "customer.loyalty.tier.upgraded": _tier_changed,
    "customer.loyalty.tier.downgraded": _tier_changed,
}

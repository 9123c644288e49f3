"""Transactions on gift cards and loyalty cards."""

from __future__ import annotations

import datetime as dt

from voucherify_async.models.base import Model
from voucherify_async.models.events import CustomEvent, EventDetails, EventSchema
from voucherify_async.models.loyalties import EarningRule, LoyaltyTier, PendingPoints
from voucherify_async.models.orders import Order
from voucherify_async.models.redemptions import Redemption
from voucherify_async.models.rewards import Reward
from voucherify_async.models.segments import Segment
from voucherify_async.models.vouchers import Voucher, VoucherBalance

__all__ = [
    "VoucherTransaction",
    "VoucherTransactionDetails",
]


class VoucherTransactionDetails(Model, frozen=True, kw_only=True):
    """What a transaction on a voucher was about. Most objects have only an id and a name.

    Attributes:
        balance: The change of the balance, and the balance after it.
        order: The order that it belongs to.
        event: The event that caused it.
        earning_rule: The earning rule that added the points.
        segment: The segment that the customer entered.
        loyalty_tier: The loyalty tier that changed the points of the earning rule.
        holder_loyalty_tier: The loyalty tier of the card's holder before the balance changed.
        redemption: The redemption that used the credits or points.
        rollback: The rollback that returned the credits or points.
        custom_event: The custom event that caused it.
        event_schema: The schema of that custom event.
        reward: The reward that was redeemed.
        pending_points: The pending points that were activated.
        source_voucher: The card that points were transferred from.
        destination_voucher: The card that points were transferred to.
    """

    balance: VoucherBalance | None = None
    order: Order | None = None
    event: EventDetails | None = None
    earning_rule: EarningRule | None = None
    segment: Segment | None = None
    loyalty_tier: LoyaltyTier | None = None
    holder_loyalty_tier: LoyaltyTier | None = None
    redemption: Redemption | None = None
    rollback: Redemption | None = None
    custom_event: CustomEvent | None = None
    event_schema: EventSchema | None = None
    reward: Reward | None = None
    pending_points: PendingPoints | None = None
    source_voucher: Voucher | None = None
    destination_voucher: Voucher | None = None


class VoucherTransaction(Model, frozen=True, kw_only=True):
    """A transaction on a gift card or loyalty card.

    Attributes:
        id: The id of the transaction.
        source_id: The id of the transaction in your own system.
        voucher_id: The id of the voucher.
        campaign_id: The id of the campaign.
        type: The type of the transaction, for example ``CREDITS_REDEMPTION`` or ``POINTS_ACCRUAL``.
        source: Where it was made, for example ``API``; `None` for a redemption.
        reason: Why it was made; `None` for a redemption.
        related_transaction_id: For a transfer, the id of the transaction on the other card.
        details: What it was about.
        created_at: Time of creation, timezone-aware.
    """

    id: str
    source_id: str | None = None
    voucher_id: str | None = None
    campaign_id: str | None = None
    type: str | None = None
    source: str | None = None
    reason: str | None = None
    related_transaction_id: str | None = None
    details: VoucherTransactionDetails | None = None
    created_at: dt.datetime | None = None

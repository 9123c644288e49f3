"""Generated histories of seeded customers: their events, redeemables, orders and summaries. No I/O.

A history is a sequence of scenarios, such as joining the loyalty program or redeeming a coupon. A scenario moves the
customer's clock forward, changes what the customer has (card, coupon, gift, tier, paid orders) and records the events
of these changes.

- Redeemables and summaries are derived from the same state as the events, so they agree: for example, the balance in
  the last event of a loyalty card equals the balance of the card.
- Events are in order of time, and none is later than `SeedContext.closed`: a history waits at most `_MAX_STEPS` times,
  each time for at most that fraction of the time that is left at its start.
- An event holds a snapshot of the customer, which only `update` replaces.
- A customer can be referred only by one that was generated before it, with a code that existed at that time.
- Each common scenario is drawn by chance. Rare scenarios are assigned in rotation, one to each `_RARE_INTERVAL`-th
  customer, so every type of event occurs in a project of moderate size.
- The same seed gives the same histories. Any change in the number or order of random draws changes all of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

from voucherify_async._transport.wire import format_instant
from voucherify_async.models.base import EPOCH
from voucherify_async.sandbox._endpoints._event_data import simple_customer
from voucherify_async.sandbox._seed.names import (
    CAMPAIGNS,
    CHANNELS,
    CUSTOM_EVENTS,
    MESSAGES,
    PRODUCTS,
    REWARDS,
    TIERS,
)
from voucherify_async.sandbox._seed.vouchers import (
    NO_SUBJECT,
    Campaign,
    EventSubject,
    Order,
    Product,
    Redeemable,
    Tier,
    hex_hash_id,
)
from voucherify_async.sandbox._store.records import MILLISECOND, Event, Record
from voucherify_async.sandbox._store.segments import Segment
from voucherify_async.sandbox._store.store import Store

__all__ = ["ID_BITS", "CustomerHistory", "SeedContext"]

ID_BITS: Final = 63
"""Bits of the random numbers that ids are derived from. They fit into a signed 64-bit integer."""
_MAX_HISTORY_MS: Final = 300 * 24 * 3600 * 1000
"""Maximum milliseconds from the first event of a customer to the last."""
_MAX_STEPS: Final = 30
"""Maximum number of times that a history moves forward in time."""
_CENTS_PER_POINT: Final = 100
_MAX_REFERRERS: Final = 200
"""Number of holders of referral codes that are kept for later customers."""

_RARE_INTERVAL: Final = 8
"""Every n-th customer has one of the rare scenarios, in rotation."""

Json = dict[str, Any]


class SeedContext:
    """Objects shared by all histories: campaigns, products, and holders of referral codes.

    Args:
        store: The store whose segments and random numbers are used.
        opened: The creation time of all campaigns.
        closed: The latest time of an event, in epoch milliseconds.
    """

    def __init__(self, store: Store, opened: dt.datetime, closed: int) -> None:
        self.random = store.random.random
        self.bits = store.random.getrandbits
        self.segments = store.segments
        self.closed = closed
        tiers = tuple(Tier(store.make_id("ltr_"), *tier) for tier in TIERS)
        campaigns = [
            Campaign(
                store.make_id("camp_"),
                name,
                kind,
                opened,
                discount,
                tiers if kind == "LOYALTY_PROGRAM" else (),
            )
            for name, kind, discount in CAMPAIGNS
        ]
        self.loyalty, self.gifts, self.referral, self.promotion, *self.coupons = campaigns
        self.products = [Product(store.make_id("prod_"), *product) for product in PRODUCTS]
        self.referrers: list[tuple[Record, Redeemable]] = []


class CustomerHistory:
    """Generates the history of one customer, in order of time."""

    __slots__ = (
        "at",
        "card",
        "context",
        "coupon",
        "customer",
        "gift",
        "ms",
        "paid",
        "record",
        "redemptions",
        "segment",
        "step",
        "tier",
    )

    def __init__(self, context: SeedContext, record: Record, ms: int) -> None:
        """Record the creation of the customer.

        Args:
            context: The objects shared by all histories.
            record: The new customer.
            ms: The time of its creation, in epoch milliseconds.
        """
        self.context = context
        self.record = record
        self.ms = ms
        self.step = min(context.closed - ms, _MAX_HISTORY_MS) / _MAX_STEPS
        self.at = record.created
        self.customer = record.snapshot()
        self.add_event("customer.created")
        self.paid: list[Order] = []
        self.redemptions: dict[str, int] = {}
        self.card: Redeemable | None = None
        self.coupon: Redeemable | None = None
        self.gift: Redeemable | None = None
        self.segment: Segment | None = None
        self.tier = 0

    def generate(self, number: int) -> None:
        """Run the scenarios of the customer with this number, and write its summaries."""
        chance = self.context.bits(4 * len(_COMMON_SCENARIOS) + 2)
        for mask, scenario in _COMMON_SCENARIOS:
            if not chance & mask:
                scenario(self)
            chance >>= 4
        for _ in range(chance):
            self.place_order()
        if number % _RARE_INTERVAL == 0:
            _RARE_SCENARIOS[number // _RARE_INTERVAL % len(_RARE_SCENARIOS)](self)
        self.write_summaries()

    # ------------------------------------------------------------ basics

    def wait(self) -> None:
        """Move forward in time by a random step."""
        self.ms += int(self.context.random() * self.step)
        self.at = EPOCH + self.ms * MILLISECOND

    def add_event(self, kind: str, about: EventSubject = NO_SUBJECT, category: str = "ACTION") -> None:
        """Record an event at the current time."""
        self.record.activity.append(
            Event(self.context.bits(ID_BITS), kind, self.at, self.customer, category, about)
        )

    def add_effect(self, kind: str, about: EventSubject) -> None:
        """Record an event of the category ``EFFECT``, the consequence of another event."""
        self.add_event(kind, about, "EFFECT")

    def give_voucher(self, campaign: Campaign | None, voucher_type: str, amount: int = 0) -> Redeemable:
        """Add a voucher to the customer, without an event."""
        bits = self.context.bits
        held = Redeemable(
            number=bits(ID_BITS),
            created=self.at,
            customer_id=self.record.id,
            campaign=campaign,
            voucher=bits(ID_BITS),
            voucher_type=voucher_type,
            discount=None if campaign is None else campaign.discount,
            amount=amount,
        )
        self.record.redeemables.append(held)
        return held

    def publish(self, campaign: Campaign, voucher_type: str, amount: int = 0) -> Redeemable:
        """Add a voucher of a campaign, with the event of its publication."""
        self.wait()
        held = self.give_voucher(campaign, voucher_type, amount)
        about = EventSubject(
            campaign=campaign, voucher=held, balance=amount, number=self.context.bits(ID_BITS)
        )
        self.add_event("customer.publication.succeeded", about)
        return held

    def count(self, result: str) -> None:
        """Count a result of a redemption, for the summary."""
        self.redemptions[result] = self.redemptions.get(result, 0) + 1

    # ------------------------------------------------------------ common scenarios

    def confirm(self) -> None:
        """The customer confirms the e-mail address."""
        self.wait()
        self.add_event("customer.confirmed")

    def enter_segment(self) -> None:
        """The customer enters the last segment that it matches. Of the defaults, the last are the most specific."""
        segments = [segment for segment in self.context.segments if segment.holds(self.record)]
        if segments:
            self.wait()
            self.segment = segments[-1]
            self.add_effect("customer.segment.entered", EventSubject(segment=self.segment.to_json()))

    def get_message(self) -> None:
        """A message is sent; for some customers, the first attempt fails."""
        number = self.context.bits(ID_BITS)
        channel = CHANNELS[number % len(CHANNELS)]
        about = EventSubject(name=MESSAGES[number % len(MESSAGES)], number=number)
        self.wait()
        if number % 7:
            self.add_effect(f"customer.{channel}.sent", about)
        else:
            self.fail_message(channel, about)

    def fail_message(self, channel: str, about: EventSubject) -> None:
        """Sending a message fails at first and succeeds later."""
        self.add_effect(f"customer.{channel}.failed", about)
        self.wait()
        self.add_effect(f"customer.{channel}.recovered", about)

    def get_coupon(self) -> None:
        """The customer gets a discount voucher of a campaign."""
        coupons = self.context.coupons
        self.coupon = self.publish(coupons[int(self.context.random() * len(coupons))], "DISCOUNT_VOUCHER")

    def get_standalone_coupon(self) -> None:
        """The customer gets a discount voucher without a campaign."""
        self.wait()
        self.coupon = self.give_voucher(None, "DISCOUNT_VOUCHER")
        self.coupon.discount = self.context.coupons[0].discount

    def get_gift(self) -> None:
        """The customer gets a gift card, and credits are added to it."""
        first, more = 2_500, 500 + 500 * int(self.context.random() * 10)
        self.gift = self.publish(self.context.gifts, "GIFT_VOUCHER", first)
        self.wait()
        self.gift.amount += more
        about = EventSubject(
            campaign=self.context.gifts, voucher=self.gift, amount=more, balance=self.gift.balance
        )
        self.add_effect("customer.voucher.gift.balance_added", about)

    def join_program(self) -> None:
        """The customer joins the loyalty program and gets a card."""
        self.card = self.publish(self.context.loyalty, "LOYALTY_CARD")
        self.add_effect("customer.loyalty.tier.joined", self.tier_subject())

    def tier_subject(self, before: int | None = None) -> EventSubject:
        """The subject of an event about the current tier; `before` is the index of the previous one."""
        campaign = self.context.loyalty
        tier_before = None if before is None else campaign.tiers[before]
        return EventSubject(campaign=campaign, tier=campaign.tiers[self.tier], tier_before=tier_before)

    def get_referral_code(self) -> None:
        """The customer gets a referral code for others to use."""
        self.wait()
        held = self.give_voucher(self.context.referral, "DISCOUNT_VOUCHER")
        held.holder_role, held.referrer_id = "REFERRER", self.record.id
        self.add_effect(
            "customer.holder.assignment.created", EventSubject(campaign=held.campaign, voucher=held)
        )
        referrers = self.context.referrers
        if len(referrers) < _MAX_REFERRERS:
            referrers.append((self.record, held))
        else:
            referrers[int(self.context.random() * _MAX_REFERRERS)] = (self.record, held)

    def be_referred(self) -> None:
        """The customer uses the referral code of an earlier customer."""
        self.wait()
        referrers = self.context.referrers
        if not referrers:
            return
        referrer, referrer_voucher = referrers[int(self.context.random() * len(referrers))]
        campaign = referrer_voucher.campaign
        if campaign is None or referrer_voucher.created > self.at or referrer is self.record:
            return
        held = self.give_voucher(campaign, "DISCOUNT_VOUCHER")
        held.holder_role, held.voucher, held.referrer_id = "REFEREE", referrer_voucher.voucher, referrer.id
        number = self.context.bits(ID_BITS)
        about = EventSubject(
            campaign=campaign, voucher=held, other=simple_customer(referrer), name="signed_up", number=number
        )
        self.add_event("customer.referred", about)
        self.add_effect("customer.holder.assignment.created", about)
        source = {
            "campaign_id": campaign.id,
            "referrer_id": referrer.id,
            "related_object_id": hex_hash_id("rfl_", number),
            "related_object_type": "event",
            "date": format_instant(self.at),
        }
        self.record.referrals = {"total": 1, "campaigns": [source]}
        loyalty = referrer.loyalty or {"points": 0, "referred_customers": 0, "campaigns": {}}
        referred = loyalty["referred_customers"] + 1
        in_campaign = {"points": 0, "referred_customers": referred}
        campaigns = {**loyalty["campaigns"], campaign.name: in_campaign}
        referrer.loyalty = {**loyalty, "referred_customers": referred, "campaigns": campaigns}

    def order(self) -> tuple[Order, EventSubject]:
        """The customer places an order."""
        self.wait()
        context, number = self.context, self.context.bits(ID_BITS)
        product = context.products[number % len(context.products)]
        order = Order(number=number, created=self.at, product=product, quantity=number % 3 + 1)
        about = EventSubject(order=order)
        self.add_event("customer.order.created", about)
        return order, about

    def place_order(self) -> None:
        """The customer places an order and pays for it, or cancels it."""
        order, about = self.order()
        self.wait()
        outcome = order.number // 3 % 16
        if outcome == 0:
            self.add_event("customer.order.canceled", about)
            return
        self.pay(order, about)
        if outcome < 6:
            self.wait()
            self.add_event("customer.order.fulfilled", about)

    def order_and_pay(self) -> Order:
        """The customer places an order and pays for it."""
        order, about = self.order()
        self.pay(order, about)
        return order

    def pay(self, order: Order, about: EventSubject) -> None:
        """The customer pays an order, redeems a coupon or gift card if it has one, and earns points."""
        if self.coupon is not None:
            self.redeem(order, self.coupon)
            self.coupon = None
        elif self.gift is not None:
            self.redeem(order, self.gift)
            self.gift = self.gift if self.gift.balance else None
        elif order.number % 11 == 0:
            order.discount = order.amount_off(self.context.promotion.discount)
            self.add_redemption(
                EventSubject(campaign=self.context.promotion, order=order, number=self.context.bits(ID_BITS))
            )
        self.add_event("customer.order.paid", about)
        self.paid.append(order)
        if self.card is not None:
            self.earn_points(self.card, order)

    def redeem(self, order: Order, voucher: Redeemable) -> EventSubject:
        """The customer redeems a voucher for an order."""
        voucher.uses += 1
        taken = 0
        if voucher.amount:
            taken = order.discount = min(order.amount, voucher.balance)
            voucher.spent += taken
            voucher.status = "ACTIVE" if voucher.balance else "NO_BALANCE"
        else:
            order.discount = order.amount_off(voucher.discount)
            voucher.status = "USED"
        return self.add_redemption(
            EventSubject(
                campaign=voucher.campaign,
                voucher=voucher,
                order=order,
                amount=taken,
                balance=voucher.balance,
                number=self.context.bits(ID_BITS),
            )
        )

    def add_redemption(self, about: EventSubject) -> EventSubject:
        """Record a successful redemption."""
        self.count("succeeded")
        self.add_event("customer.redemption.succeeded", about)
        return about

    def earn_points(self, card: Redeemable, order: Order) -> None:
        """The customer earns points with an order, and may reach the next tier."""
        points = order.total // _CENTS_PER_POINT
        card.amount += points
        about = self.points_subject(card, points, order)
        self.add_effect("customer.voucher.loyalty_card.points_added", about)
        self.add_effect("customer.rewarded.loyalty_points", about)
        self.upgrade_tier(card)

    def upgrade_tier(self, card: Redeemable) -> None:
        """Move the customer to the tier for the points on the card, if it is higher."""
        before, tiers = self.tier, self.context.loyalty.tiers
        while card.amount > tiers[self.tier].last:
            self.tier += 1
        if self.tier > before:
            self.add_effect("customer.loyalty.tier.upgraded", self.tier_subject(before))

    def points_subject(
        self, card: Redeemable, points: int, order: Order | None = None, name: str = ""
    ) -> EventSubject:
        """The subject of an event about points on the loyalty card."""
        campaign = self.context.loyalty
        return EventSubject(
            campaign=campaign,
            voucher=card,
            order=order,
            tier=campaign.tiers[self.tier],
            amount=points,
            balance=card.balance,
            number=self.context.bits(ID_BITS),
            name=name,
        )

    # ------------------------------------------------------------ rare stories

    def card_with_points(self) -> Redeemable:
        """The customer's loyalty card, with enough points for each rare scenario.

        If needed, the customer joins the program and buys something first.
        """
        if self.card is None:
            self.join_program()
        card = self.card
        assert card is not None  # noqa: S101  # set above
        while card.balance < 20:
            self.order_and_pay()
        return card

    def order_slowly(self) -> None:
        """An order is updated and processed before it is paid."""
        order, about = self.order()
        for outcome in ("updated", "processing"):
            self.wait()
            self.add_event(f"customer.order.{outcome}", about)
        self.pay(order, about)

    def send_custom_event(self) -> None:
        """The shop sends a custom event for the customer."""
        self.wait()
        number = self.context.bits(ID_BITS)
        self.add_event(
            "customer.custom_event",
            EventSubject(name=CUSTOM_EVENTS[number % len(CUSTOM_EVENTS)], number=number),
        )

    def fail_to_redeem(self) -> None:
        """The customer tries to redeem a used voucher."""
        self.get_coupon()
        coupon = self.coupon
        assert coupon is not None  # noqa: S101  # set by get_coupon
        self.order_and_pay()
        order, _ = self.order()
        number = self.context.bits(ID_BITS)
        about = EventSubject(campaign=coupon.campaign, voucher=coupon, order=order, number=number)
        self.add_event("customer.validation.failed", about)
        self.count("failed")
        self.add_event("customer.redemption.failed", about)

    def roll_back(self, *, fails: bool = False) -> None:
        """The customer redeems a voucher and returns the order; with `fails`, the rollback fails."""
        self.get_coupon()
        coupon = self.coupon
        assert coupon is not None  # noqa: S101  # set by get_coupon
        order, about = self.order()
        checked = EventSubject(voucher=coupon, campaign=coupon.campaign, number=self.context.bits(ID_BITS))
        self.add_event("customer.validation.succeeded", checked)
        redemption, self.coupon = self.redeem(order, coupon), None
        self.add_event("customer.order.paid", about)
        self.wait()
        if fails:
            self.paid.append(order)
            self.count("rollback_failed")
            self.add_event("customer.redemption.rollback.failed", redemption)
        else:
            coupon.uses, coupon.status = 0, "ACTIVE"
            self.count("rolled_back")
            self.count("rollback_succeeded")
            self.add_event("customer.redemption.rollback.succeeded", redemption)
            self.add_event("customer.order.canceled", about)

    def delete_coupon(self) -> None:
        """A coupon of the customer is deleted."""
        self.get_coupon()
        self.wait()
        coupon, self.coupon = self.record.redeemables.pop(), None
        self.add_event("customer.voucher.deleted", EventSubject(campaign=coupon.campaign, voucher=coupon))

    def fail_publication(self) -> None:
        """The publication of a voucher fails."""
        self.wait()
        voucher = self.give_voucher(self.context.coupons[-1], "DISCOUNT_VOUCHER")
        self.record.redeemables.pop()
        number = self.context.bits(ID_BITS)
        about = EventSubject(campaign=voucher.campaign, voucher=voucher, number=number)
        self.add_event("customer.publication.failed", about)

    def add_pending_points(self, outcome: str = "activated") -> None:
        """An order earns pending points, which are then activated or canceled."""
        card, kind = self.card_with_points(), "customer.voucher.loyalty_card.pending_points"
        order = self.paid[-1]
        about = self.points_subject(card, 12, order)
        self.add_effect(f"{kind}.added", about)
        self.wait()
        self.add_effect(f"{kind}.updated", about)
        self.wait()
        if outcome == "activated":
            card.amount += 12
            about = self.points_subject(card, 12, order)
        self.add_effect(f"{kind}.{outcome}", about)

    def transfer_points(self) -> None:
        """Points are transferred from another card."""
        card = self.card_with_points()
        self.wait()
        card.amount += 150
        self.add_event("customer.voucher.loyalty_card.points_transferred", self.points_subject(card, 150))
        self.add_effect("customer.loyalty.updated", self.points_subject(card, 0))
        self.upgrade_tier(card)

    def expire_points(self) -> None:
        """Points expire."""
        card = self.card_with_points()
        self.wait()
        card.amount -= 5
        self.add_effect("customer.voucher.loyalty_card.points_expired", self.points_subject(card, -5))

    def get_reward(self) -> None:
        """The customer gets a reward without spending points."""
        card = self.card_with_points()
        self.wait()
        self.add_effect("customer.rewarded", self.points_subject(card, 0, name=REWARDS[-1]))

    def redeem_reward(self, *, completes: bool = True) -> None:
        """The customer redeems points for a reward; without `completes`, the redemption is rolled back."""
        card, kind, name = self.card_with_points(), "customer.reward_redemptions", REWARDS[0]
        self.wait()
        card.spent += 10
        about = self.points_subject(card, -10, name=name)
        self.add_event(f"{kind}.created", about)
        self.add_event(f"{kind}.pending", about)
        self.wait()
        if completes:
            self.add_event(f"{kind}.completed", about)
        else:
            card.spent -= 10
            self.add_event(f"{kind}.rolledback", self.points_subject(card, 10, name=name))

    def change_tiers(self) -> None:
        """The customer's tier is prolonged, gets another expiration date, and is downgraded."""
        self.transfer_points()
        for kind in ("prolonged", "expiration.changed"):
            self.wait()
            self.add_effect(f"customer.loyalty.tier.{kind}", self.tier_subject())
        self.wait()
        before, self.tier = self.tier, 0
        self.add_effect("customer.loyalty.tier.downgraded", self.tier_subject(before))

    def leave_program(self) -> None:
        """The customer leaves the loyalty program."""
        card = self.card_with_points()
        self.wait()
        self.add_effect("customer.loyalty.tier.left", self.tier_subject())
        self.record.redeemables.remove(card)
        self.card = None

    def lose_referral_code(self) -> None:
        """The customer gets a referral code, which is then unassigned."""
        self.wait()
        held = self.give_voucher(self.context.referral, "DISCOUNT_VOUCHER")
        held.holder_role, held.referrer_id = "REFERRER", self.record.id
        about = EventSubject(campaign=held.campaign, voucher=held)
        self.add_effect("customer.holder.assignment.created", about)
        self.wait()
        self.record.redeemables.remove(held)
        self.add_effect("customer.holder.assignment.deleted", about)

    # ------------------------------------------------------------ final steps

    def update(self, metadata: Json) -> None:
        """Set the customer's metadata. The customer may leave its segment."""
        self.wait()
        record = self.record
        record.metadata, record.updated = metadata, self.at
        self.customer = record.snapshot()
        self.add_event("customer.updated")
        if self.segment is not None and not self.segment.holds(record):
            self.add_effect("customer.segment.left", EventSubject(segment=self.segment.to_json()))

    def write_summaries(self) -> None:
        """Set the customer's summaries of orders, redemptions and loyalty."""
        gifts = [held for held in self.record.redeemables if held.voucher_type == "GIFT_VOUCHER"]
        cards = [held for held in self.record.redeemables if held.voucher_type == "LOYALTY_CARD"]
        if self.paid or self.redemptions or gifts or cards:
            self.record.summary = {
                "redemptions": self._redemption_summary(gifts, cards),
                "orders": self._order_summary(),
            }
        if cards:
            campaign, points = self.context.loyalty, cards[0].balance
            in_campaign = {
                "points": points,
                "loyalty_tier": campaign.tiers[self.tier].id,
                "referred_customers": 0,
            }
            self.record.loyalty = {
                "points": points,
                "referred_customers": 0,
                "campaigns": {campaign.name: in_campaign},
            }

    def _redemption_summary(self, gifts: list[Redeemable], cards: list[Redeemable]) -> Json:
        count = self.redemptions.get
        return {
            "total_redeemed": count("succeeded", 0),
            "total_failed": count("failed", 0),
            "total_succeeded": count("succeeded", 0),
            "total_rolled_back": count("rolled_back", 0),
            "total_rollback_failed": count("rollback_failed", 0),
            "total_rollback_succeeded": count("rollback_succeeded", 0),
            "gift": {
                "redeemed_amount": sum(gift.spent for gift in gifts),
                "amount_to_go": sum(gift.balance for gift in gifts),
            },
            "loyalty_card": {
                "redeemed_points": sum(card.spent for card in cards),
                "points_to_go": sum(card.balance for card in cards),
            },
        }

    def _order_summary(self) -> Json:
        paid = self.paid
        total = sum(order.total for order in paid)
        summary: Json = {
            "total_amount": total,
            "total_count": len(paid),
            "average_amount": total // len(paid) if paid else 0,
            "last_order_amount": paid[-1].total if paid else 0,
        }
        if paid:
            summary["last_order_date"] = format_instant(paid[-1].created)
        return summary


_COMMON_SCENARIOS: Final[tuple[tuple[int, Callable[[CustomerHistory], None]], ...]] = (
    (7, CustomerHistory.confirm),
    (3, CustomerHistory.enter_segment),
    (3, CustomerHistory.get_message),
    (3, CustomerHistory.get_coupon),
    (15, CustomerHistory.get_standalone_coupon),
    (7, CustomerHistory.get_gift),
    (3, CustomerHistory.join_program),
    (15, CustomerHistory.get_referral_code),
    (15, CustomerHistory.be_referred),
)
"""Common scenarios in order. One happens if a random number has none of the bits of its mask."""

_RARE_SCENARIOS: Final[tuple[Callable[[CustomerHistory], None], ...]] = (
    CustomerHistory.order_slowly,
    CustomerHistory.send_custom_event,
    CustomerHistory.fail_to_redeem,
    CustomerHistory.roll_back,
    lambda history: history.roll_back(fails=True),
    CustomerHistory.delete_coupon,
    CustomerHistory.fail_publication,
    CustomerHistory.add_pending_points,
    lambda history: history.add_pending_points("canceled"),
    CustomerHistory.transfer_points,
    CustomerHistory.expire_points,
    CustomerHistory.get_reward,
    CustomerHistory.redeem_reward,
    lambda history: history.redeem_reward(completes=False),
    CustomerHistory.change_tiers,
    CustomerHistory.leave_program,
    CustomerHistory.lose_referral_code,
)
"""Rare scenarios, assigned to customers in rotation."""

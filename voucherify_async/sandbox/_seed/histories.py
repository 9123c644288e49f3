"""What happens to seeded customers: stories, of which each takes a few. No I/O.

What a customer holds, and what its summaries say, comes from what happened to it, so they agree.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

from voucherify_async._transport.wire import format_instant
from voucherify_async.models.base import EPOCH
from voucherify_async.sandbox._endpoints._event_data import in_short
from voucherify_async.sandbox._seed.names import (
    CAMPAIGNS,
    CHANNELS,
    EVENTS,
    MESSAGES,
    PRODUCTS,
    REWARDS,
    TIERS,
)
from voucherify_async.sandbox._seed.vouchers import (
    NOTHING,
    Campaign,
    EventSubject,
    Order,
    Product,
    Redeemable,
    Tier,
    digits,
)
from voucherify_async.sandbox._store.records import MILLISECOND, Event, Record
from voucherify_async.sandbox._store.segments import Segment
from voucherify_async.sandbox._store.store import Store

__all__ = ["ID_BITS", "CustomerHistory", "SeedContext"]

ID_BITS: Final = 63
"""Of the numbers of which ids are made; JSON of 64 bits can hold them."""
_MAX_LIFE: Final = 300 * 24 * 3600 * 1000
"""Milliseconds from the first event of a customer to the last."""
_MOMENTS: Final = 30
"""Nobody does things at more different times."""
_CENTS_PER_POINT: Final = 100
_REFERRERS: Final = 200
"""How many of those who have a referral code are remembered."""

_RARELY: Final = 8
"""Of so many customers one has one of the rare stories, each in turn."""

Json = dict[str, Any]


class SeedContext:
    """What all customers have in common.

    Args:
        store: Its segments are entered, and its random numbers drawn.
        opened: Since when there are campaigns.
        closed: The epoch millisecond after which nothing happens.
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
    """One customer's life, told event by event, each not before the last."""

    __slots__ = (
        "at",
        "card",
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
        "world",
    )

    def __init__(self, world: SeedContext, record: Record, ms: int) -> None:
        """Begin with the creation.

        Args:
            world: The world it is lived in.
            record: The customer as it is created.
            ms: When that is, in epoch milliseconds.
        """
        self.world = world
        self.record = record
        self.ms = ms
        self.step = min(world.closed - ms, _MAX_LIFE) / _MOMENTS
        self.at = record.created
        self.customer = record.snapshot()
        self.tell("customer.created")
        self.paid: list[Order] = []
        self.redemptions: dict[str, int] = {}
        self.card: Redeemable | None = None
        self.coupon: Redeemable | None = None
        self.gift: Redeemable | None = None
        self.segment: Segment | None = None
        self.tier = 0

    def live(self, number: int) -> None:
        """Let things happen to the customer with this number, and sum them up."""
        chance = self.world.bits(4 * len(_STORIES) + 2)
        for mask, story in _STORIES:
            if not chance & mask:
                story(self)
            chance >>= 4
        for _ in range(chance):
            self.shop()
        if number % _RARELY == 0:
            _RARE[number // _RARELY % len(_RARE)](self)
        self.sum_up()

    # ------------------------------------------------------------ telling

    def wait(self) -> None:
        """Let some time pass."""
        self.ms += int(self.world.random() * self.step)
        self.at = EPOCH + self.ms * MILLISECOND

    def tell(self, kind: str, about: EventSubject = NOTHING, category: str = "ACTION") -> None:
        """Something that the customer did, or that was done to it."""
        self.record.activity.append(
            Event(self.world.bits(ID_BITS), kind, self.at, self.customer, category, about)
        )

    def effect(self, kind: str, about: EventSubject) -> None:
        """Something that came of what the customer did."""
        self.tell(kind, about, "EFFECT")

    def hold(self, campaign: Campaign | None, voucher_type: str, amount: int = 0) -> Redeemable:
        """Give the customer a voucher."""
        bits = self.world.bits
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
        """Give the customer a voucher of a campaign, and tell it."""
        self.wait()
        held = self.hold(campaign, voucher_type, amount)
        about = EventSubject(campaign=campaign, voucher=held, balance=amount, number=self.world.bits(ID_BITS))
        self.tell("customer.publication.succeeded", about)
        return held

    def count(self, what: str) -> None:
        """Count something for the summary of the redemptions."""
        self.redemptions[what] = self.redemptions.get(what, 0) + 1

    # ------------------------------------------------------------ stories

    def be_confirmed(self) -> None:
        """The customer confirms the address."""
        self.wait()
        self.tell("customer.confirmed")

    def enter_segment(self) -> None:
        """The customer is noticed to belong to a segment, the most special of its own."""
        belongs = [segment for segment in self.world.segments if segment.holds(self.record)]
        if belongs:
            self.wait()
            self.segment = belongs[-1]
            self.effect("customer.segment.entered", EventSubject(segment=self.segment.to_json()))

    def get_message(self) -> None:
        """A message is sent, or fails, and is sent at last."""
        number = self.world.bits(ID_BITS)
        channel = CHANNELS[number % len(CHANNELS)]
        about = EventSubject(name=MESSAGES[number % len(MESSAGES)], number=number)
        self.wait()
        if number % 7:
            self.effect(f"customer.{channel}.sent", about)
        else:
            self.fail_message(channel, about)

    def fail_message(self, channel: str, about: EventSubject) -> None:
        """A message fails, and is sent at last."""
        self.effect(f"customer.{channel}.failed", about)
        self.wait()
        self.effect(f"customer.{channel}.recovered", about)

    def get_coupon(self) -> None:
        """The customer is given a discount."""
        coupons = self.world.coupons
        self.coupon = self.publish(coupons[int(self.world.random() * len(coupons))], "DISCOUNT_VOUCHER")

    def find_coupon(self) -> None:
        """The customer is given a discount that belongs to no campaign."""
        self.wait()
        self.coupon = self.hold(None, "DISCOUNT_VOUCHER")
        self.coupon.discount = self.world.coupons[0].discount

    def get_gift(self) -> None:
        """The customer is given a gift card, and more is put on it."""
        first, more = 2_500, 500 + 500 * int(self.world.random() * 10)
        self.gift = self.publish(self.world.gifts, "GIFT_VOUCHER", first)
        self.wait()
        self.gift.amount += more
        about = EventSubject(
            campaign=self.world.gifts, voucher=self.gift, amount=more, balance=self.gift.balance
        )
        self.effect("customer.voucher.gift.balance_added", about)

    def join(self) -> None:
        """The customer gets a loyalty card."""
        self.card = self.publish(self.world.loyalty, "LOYALTY_CARD")
        self.effect("customer.loyalty.tier.joined", self.in_tier())

    def in_tier(self, before: int | None = None) -> EventSubject:
        """The tier the customer is in."""
        campaign = self.world.loyalty
        tier_before = None if before is None else campaign.tiers[before]
        return EventSubject(campaign=campaign, tier=campaign.tiers[self.tier], tier_before=tier_before)

    def refer(self) -> None:
        """The customer gets a code that it can give to others."""
        self.wait()
        held = self.hold(self.world.referral, "DISCOUNT_VOUCHER")
        held.holder_role, held.referrer_id = "REFERRER", self.record.id
        self.effect("customer.holder.assignment.created", EventSubject(campaign=held.campaign, voucher=held))
        referrers = self.world.referrers
        if len(referrers) < _REFERRERS:
            referrers.append((self.record, held))
        else:
            referrers[int(self.world.random() * _REFERRERS)] = (self.record, held)

    def be_referred(self) -> None:
        """The customer uses another's code."""
        self.wait()
        referrers = self.world.referrers
        if not referrers:
            return
        referrer, theirs = referrers[int(self.world.random() * len(referrers))]
        campaign = theirs.campaign
        if campaign is None or theirs.created > self.at or referrer is self.record:
            return
        held = self.hold(campaign, "DISCOUNT_VOUCHER")
        held.holder_role, held.voucher, held.referrer_id = "REFEREE", theirs.voucher, referrer.id
        number = self.world.bits(ID_BITS)
        about = EventSubject(
            campaign=campaign, voucher=held, other=in_short(referrer), name="signed_up", number=number
        )
        self.tell("customer.referred", about)
        self.effect("customer.holder.assignment.created", about)
        source = {
            "campaign_id": campaign.id,
            "referrer_id": referrer.id,
            "related_object_id": digits("rfl_", number),
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
        """The customer orders something."""
        self.wait()
        world, number = self.world, self.world.bits(ID_BITS)
        product = world.products[number % len(world.products)]
        order = Order(number=number, created=self.at, product=product, quantity=number % 3 + 1)
        about = EventSubject(order=order)
        self.tell("customer.order.created", about)
        return order, about

    def shop(self) -> None:
        """The customer orders something, and pays for it or not."""
        order, about = self.order()
        self.wait()
        fate = order.number // 3 % 16
        if fate == 0:
            self.tell("customer.order.canceled", about)
            return
        self.pay(order, about)
        if fate < 6:
            self.wait()
            self.tell("customer.order.fulfilled", about)

    def buy(self) -> Order:
        """The customer orders something and pays for it."""
        order, about = self.order()
        self.pay(order, about)
        return order

    def pay(self, order: Order, about: EventSubject) -> None:
        """The customer pays, with what it has, and earns points."""
        if self.coupon is not None:
            self.redeem(order, self.coupon)
            self.coupon = None
        elif self.gift is not None:
            self.redeem(order, self.gift)
            self.gift = self.gift if self.gift.balance else None
        elif order.number % 11 == 0:
            order.discount = order.worth_of(self.world.promotion.discount)
            self.redeemed(
                EventSubject(campaign=self.world.promotion, order=order, number=self.world.bits(ID_BITS))
            )
        self.tell("customer.order.paid", about)
        self.paid.append(order)
        if self.card is not None:
            self.earn(self.card, order)

    def redeem(self, order: Order, voucher: Redeemable) -> EventSubject:
        """The customer pays with a voucher."""
        voucher.uses += 1
        taken = 0
        if voucher.amount:
            taken = order.discount = min(order.amount, voucher.balance)
            voucher.spent += taken
            voucher.status = "ACTIVE" if voucher.balance else "NO_BALANCE"
        else:
            order.discount = order.worth_of(voucher.discount)
            voucher.status = "USED"
        return self.redeemed(
            EventSubject(
                campaign=voucher.campaign,
                voucher=voucher,
                order=order,
                amount=taken,
                balance=voucher.balance,
                number=self.world.bits(ID_BITS),
            )
        )

    def redeemed(self, about: EventSubject) -> EventSubject:
        """A redemption has succeeded."""
        self.count("succeeded")
        self.tell("customer.redemption.succeeded", about)
        return about

    def earn(self, card: Redeemable, order: Order) -> None:
        """The customer earns points with an order, and may rise to another tier."""
        points = order.total // _CENTS_PER_POINT
        card.amount += points
        about = self.with_card(card, points, order)
        self.effect("customer.voucher.loyalty_card.points_added", about)
        self.effect("customer.rewarded.loyalty_points", about)
        self.rise(card)

    def rise(self, card: Redeemable) -> None:
        """With many points the customer gets into another tier."""
        before, tiers = self.tier, self.world.loyalty.tiers
        while card.amount > tiers[self.tier].last:
            self.tier += 1
        if self.tier > before:
            self.effect("customer.loyalty.tier.upgraded", self.in_tier(before))

    def with_card(
        self, card: Redeemable, points: int, order: Order | None = None, name: str = ""
    ) -> EventSubject:
        """Something that is about points."""
        campaign = self.world.loyalty
        return EventSubject(
            campaign=campaign,
            voucher=card,
            order=order,
            tier=campaign.tiers[self.tier],
            amount=points,
            balance=card.balance,
            number=self.world.bits(ID_BITS),
            name=name,
        )

    # ------------------------------------------------------------ rare stories

    def the_card(self) -> Redeemable:
        """The loyalty card, with points on it."""
        if self.card is None:
            self.join()
        card = self.card
        assert card is not None  # noqa: S101  # it was got just now
        while card.balance < 20:  # enough for each story to take some
            self.buy()
        return card

    def order_slowly(self) -> None:
        """An order is changed and worked on before it is paid."""
        order, about = self.order()
        for fate in ("updated", "processing"):
            self.wait()
            self.tell(f"customer.order.{fate}", about)
        self.pay(order, about)

    def do_something(self) -> None:
        """The customer does something that the shop has a name for."""
        self.wait()
        number = self.world.bits(ID_BITS)
        self.tell("customer.custom_event", EventSubject(name=EVENTS[number % len(EVENTS)], number=number))

    def fail_to_redeem(self) -> None:
        """The customer tries a voucher that is used up."""
        self.get_coupon()
        coupon = self.coupon
        assert coupon is not None  # noqa: S101  # it was got just now
        self.buy()
        order, _ = self.order()
        number = self.world.bits(ID_BITS)
        about = EventSubject(campaign=coupon.campaign, voucher=coupon, order=order, number=number)
        self.tell("customer.validation.failed", about)
        self.count("failed")
        self.tell("customer.redemption.failed", about)

    def roll_back(self, *, fails: bool = False) -> None:
        """The customer pays with a voucher and sends back what it bought."""
        self.get_coupon()
        coupon = self.coupon
        assert coupon is not None  # noqa: S101  # it was got just now
        order, about = self.order()
        checked = EventSubject(voucher=coupon, campaign=coupon.campaign, number=self.world.bits(ID_BITS))
        self.tell("customer.validation.succeeded", checked)
        redemption, self.coupon = self.redeem(order, coupon), None
        self.tell("customer.order.paid", about)
        self.wait()
        if fails:
            self.paid.append(order)
            self.count("rollback_failed")
            self.tell("customer.redemption.rollback.failed", redemption)
        else:
            coupon.uses, coupon.status = 0, "ACTIVE"
            self.count("rolled_back")
            self.count("rollback_succeeded")
            self.tell("customer.redemption.rollback.succeeded", redemption)
            self.tell("customer.order.canceled", about)

    def lose_coupon(self) -> None:
        """A voucher is deleted."""
        self.get_coupon()
        self.wait()
        coupon, self.coupon = self.record.redeemables.pop(), None
        self.tell("customer.voucher.deleted", EventSubject(campaign=coupon.campaign, voucher=coupon))

    def miss_coupon(self) -> None:
        """A voucher cannot be published."""
        self.wait()
        missed = self.hold(self.world.coupons[-1], "DISCOUNT_VOUCHER")
        self.record.redeemables.pop()
        number = self.world.bits(ID_BITS)
        about = EventSubject(campaign=missed.campaign, voucher=missed, number=number)
        self.tell("customer.publication.failed", about)

    def pend(self, fate: str = "activated") -> None:
        """Points wait before they count."""
        card, kind = self.the_card(), "customer.voucher.loyalty_card.pending_points"
        order = self.paid[-1]
        about = self.with_card(card, 12, order)
        self.effect(f"{kind}.added", about)
        self.wait()
        self.effect(f"{kind}.updated", about)
        self.wait()
        if fate == "activated":
            card.amount += 12
            about = self.with_card(card, 12, order)
        self.effect(f"{kind}.{fate}", about)

    def transfer(self) -> None:
        """Points come from another card."""
        card = self.the_card()
        self.wait()
        card.amount += 150
        self.tell("customer.voucher.loyalty_card.points_transferred", self.with_card(card, 150))
        self.effect("customer.loyalty.updated", self.with_card(card, 0))
        self.rise(card)

    def expire(self) -> None:
        """Points are too old."""
        card = self.the_card()
        self.wait()
        card.amount -= 5
        self.effect("customer.voucher.loyalty_card.points_expired", self.with_card(card, -5))

    def be_rewarded(self) -> None:
        """The customer is given a thing for its loyalty."""
        card = self.the_card()
        self.wait()
        self.effect("customer.rewarded", self.with_card(card, 0, name=REWARDS[-1]))

    def take_reward(self, *, keeps: bool = True) -> None:
        """The customer takes a reward for points."""
        card, kind, name = self.the_card(), "customer.reward_redemptions", REWARDS[0]
        self.wait()
        card.spent += 10
        about = self.with_card(card, -10, name=name)
        self.tell(f"{kind}.created", about)
        self.tell(f"{kind}.pending", about)
        self.wait()
        if keeps:
            self.tell(f"{kind}.completed", about)
        else:
            card.spent -= 10
            self.tell(f"{kind}.rolledback", self.with_card(card, 10, name=name))

    def change_tiers(self) -> None:
        """The customer stays in its tier for longer, falls, and leaves it."""
        self.transfer()
        for kind in ("prolonged", "expiration.changed"):
            self.wait()
            self.effect(f"customer.loyalty.tier.{kind}", self.in_tier())
        self.wait()
        before, self.tier = self.tier, 0
        self.effect("customer.loyalty.tier.downgraded", self.in_tier(before))

    def leave(self) -> None:
        """The customer leaves the loyalty program."""
        card = self.the_card()
        self.wait()
        self.effect("customer.loyalty.tier.left", self.in_tier())
        self.record.redeemables.remove(card)
        self.card = None

    def stop_referring(self) -> None:
        """The customer's code is taken away again."""
        self.wait()
        held = self.hold(self.world.referral, "DISCOUNT_VOUCHER")
        held.holder_role, held.referrer_id = "REFERRER", self.record.id
        about = EventSubject(campaign=held.campaign, voucher=held)
        self.effect("customer.holder.assignment.created", about)
        self.wait()
        self.record.redeemables.remove(held)
        self.effect("customer.holder.assignment.deleted", about)

    # ------------------------------------------------------------ in the end

    def change(self, metadata: Json) -> None:
        """The customer is changed, and may belong to a segment no more."""
        self.wait()
        record = self.record
        record.metadata, record.updated = metadata, self.at
        self.customer = record.snapshot()
        self.tell("customer.updated")
        if self.segment is not None and not self.segment.holds(record):
            self.effect("customer.segment.left", EventSubject(segment=self.segment.to_json()))

    def sum_up(self) -> None:
        """Have the customer's summaries say what has happened."""
        gifts = [held for held in self.record.redeemables if held.voucher_type == "GIFT_VOUCHER"]
        cards = [held for held in self.record.redeemables if held.voucher_type == "LOYALTY_CARD"]
        if self.paid or self.redemptions or gifts or cards:
            self.record.summary = {
                "redemptions": self._sum_of_redemptions(gifts, cards),
                "orders": self._sum_of_orders(),
            }
        if cards:
            campaign, points = self.world.loyalty, cards[0].balance
            of_campaign = {
                "points": points,
                "loyalty_tier": campaign.tiers[self.tier].id,
                "referred_customers": 0,
            }
            self.record.loyalty = {
                "points": points,
                "referred_customers": 0,
                "campaigns": {campaign.name: of_campaign},
            }

    def _sum_of_redemptions(self, gifts: list[Redeemable], cards: list[Redeemable]) -> Json:
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

    def _sum_of_orders(self) -> Json:
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


_STORIES: Final[tuple[tuple[int, Callable[[CustomerHistory], None]], ...]] = (
    (7, CustomerHistory.be_confirmed),
    (3, CustomerHistory.enter_segment),
    (3, CustomerHistory.get_message),
    (3, CustomerHistory.get_coupon),
    (15, CustomerHistory.find_coupon),
    (7, CustomerHistory.get_gift),
    (3, CustomerHistory.join),
    (15, CustomerHistory.refer),
    (15, CustomerHistory.be_referred),
)
"""What happens to many, in this order, with the bits of a random number that must be zero for it."""

_RARE: Final[tuple[Callable[[CustomerHistory], None], ...]] = (
    CustomerHistory.order_slowly,
    CustomerHistory.do_something,
    CustomerHistory.fail_to_redeem,
    CustomerHistory.roll_back,
    lambda life: life.roll_back(fails=True),
    CustomerHistory.lose_coupon,
    CustomerHistory.miss_coupon,
    CustomerHistory.pend,
    lambda life: life.pend("canceled"),
    CustomerHistory.transfer,
    CustomerHistory.expire,
    CustomerHistory.be_rewarded,
    CustomerHistory.take_reward,
    lambda life: life.take_reward(keeps=False),
    CustomerHistory.change_tiers,
    CustomerHistory.leave,
    CustomerHistory.stop_referring,
)
"""What happens to few."""

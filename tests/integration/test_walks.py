"""Walks by the real client over real HTTP: whatever the service is like, each customer comes once."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clocks import FakeClock
from tests.support.internals import before_answers
from voucherify_async import (
    Customer,
    PaginationStalledError,
    RetryPolicy,
    ServerError,
    VoucherifyClient,
)
from voucherify_async.sandbox import Quirks, Sandbox
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.store import Store

SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))
EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
BULKY = frozenset({"summary", "loyalty", "referrals", "assets"})
"""Left out of all walks: they are most of an answer, and a walk does not look at them."""


MAX_ON_A_PAGE = 100

Order = Literal["created_at", "-created_at"]


class Change(NamedTuple):
    """Something that happens to the customers just before a request is answered.

    Attributes:
        request: The number of the request, from 0.
        kind: ``create``, ``update`` or ``delete``.
        which: Stands for a customer: one of those that the walk began with, or, for a new one, one of the
            instants; `None` for a new one of now.
    """

    request: int
    kind: str
    which: int | None


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A walk, and what happens on the way.

    Attributes:
        counts: So many customers at the first instant, so many at the next, and so on.
        step: Milliseconds from one instant to the next.
        limit: Page size.
        order: Newest or oldest first.
        quirks: What the service is like.
        changes: What happens to the customers.
        failures: The numbers of the requests that are answered with a 503.
        resumed: Whether each failure ends the walk, and another goes on from the last page; else the client
            tries again.
        seed: Of the ids and of the shuffling.
    """

    counts: tuple[int, ...]
    step: float = 10.0
    limit: int = 100
    order: Order = "-created_at"
    quirks: Quirks = Quirks()  # noqa: RUF009  # frozen
    changes: tuple[Change, ...] = ()
    failures: frozenset[int] = frozenset()
    resumed: bool = False
    seed: int = 0


class Stage(Sandbox):
    """A sandbox on which one walk after the other is played."""

    def set_up(self, walk: Walk) -> None:
        """Have nothing but what the walk begins with."""
        newest = EPOCH + dt.timedelta(milliseconds=walk.step * max(len(walk.counts) - 1, 0))
        self.instants = [
            EPOCH + dt.timedelta(milliseconds=walk.step * number) for number in range(len(walk.counts))
        ]
        self.store = Store(seed=walk.seed, clock=FakeClock(newest.timestamp() + 0.001), quirks=walk.quirks)
        for instant, count in zip(self.instants, walk.counts, strict=True):
            self.store.burst(count, at=instant)
        self.first = list(self.store.customers)
        self.ever = set(self.first)
        self.failures = walk.failures
        self.changes: defaultdict[int, list[Change]] = defaultdict(list)
        for change in walk.changes:
            self.changes[change.request].append(change)
        self.number = 0
        self.requests.clear()

    def act(self, _request: object, _body: bytes) -> None:
        """Change what the walk says, or fail, before a request is answered."""
        number, self.number = self.number, self.number + 1
        for change in self.changes[number]:
            self._change(change)
        if number in self.failures:
            raise ApiError(503, "unavailable")

    def _change(self, change: Change) -> None:
        if change.kind == "create":
            past = None if change.which is None else self.instants[change.which % len(self.instants)]
            self.ever |= {record.id for record in self.store.burst(1, at=past)}
            return
        key = self.first[(change.which or 0) % len(self.first)]
        record = self.store.customers.get(key)
        if record is not None and change.kind == "update":
            self.store.update(record, {"name": "Ada"})
        elif record is not None:
            self.store.remove(record)


@dataclass
class Theatre:
    """A running stage and a client, on an event loop of their own: to start them each time is slow."""

    runner: asyncio.Runner
    stage: Stage
    client: VoucherifyClient

    def play(self, walk: Walk) -> list[str]:
        """What the walk delivers."""
        self.stage.set_up(walk)
        return self.runner.run(self._resumed(walk) if walk.resumed else self._retried(walk))

    async def _retried(self, walk: Walk) -> list[str]:
        client = self.client.with_options(retry=RetryPolicy(attempts=10, base=0.0))
        pager = client.customers.list(order=walk.order, limit=walk.limit)
        return [customer.id async for customer in pager]

    async def _resumed(self, walk: Walk) -> list[str]:
        client = self.client.with_options(retry=RetryPolicy(attempts=1))
        delivered: list[Customer] = []
        cursor: str | None = None
        while True:
            try:
                pager = client.customers.list(order=walk.order, limit=walk.limit, cursor=cursor)
                async for page in pager.pages():
                    delivered += page.items
                    cursor = page.next_cursor
            except ServerError:
                continue
            return [customer.id for customer in delivered]

    def check(self, walk: Walk) -> None:
        """Each customer that was there all the time comes once, and no other comes more than once."""
        delivered = Counter(self.play(walk))
        stage = self.stage
        stayed = set(stage.first) & set(stage.store.customers)
        repeated = {key: count for key, count in delivered.items() if count > 1}
        lost = stayed - delivered.keys()
        unknown = delivered.keys() - stage.ever
        assert (repeated, lost, unknown) == ({}, set(), set())


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with asyncio.Runner() as runner:
        stage = Stage()
        before_answers(pytest.MonkeyPatch(), stage, stage.act)
        runner.run(stage.start())
        client = stage.client(rate_limiter=None)
        yield Theatre(runner, stage, client)
        runner.run(client.aclose())
        runner.run(stage.aclose())


# ---------------------------------------------------------------- properties

QUIRKS = st.builds(
    Quirks,
    strict_cursor=st.booleans(),
    inclusive_bounds=st.booleans(),
    shuffled_ties=st.booleans(),
    milliseconds=st.booleans(),
    omit=st.sets(st.sampled_from(["has_more", "total", "updated_at"])).map(BULKY.union),
)
COUNTS = st.lists(
    st.one_of(st.integers(0, 4), st.integers(95, 130), st.sampled_from([30, 200, 201, 230])), max_size=6
).filter(lambda counts: sum(counts) <= 420)
CHANGES = st.lists(
    st.builds(
        Change,
        request=st.integers(0, 14),
        kind=st.sampled_from(["create", "update", "delete"]),
        which=st.none() | st.integers(0, 420),
    ),
    max_size=6,
)
WALKS = st.builds(
    Walk,
    counts=COUNTS.map(tuple),
    step=st.sampled_from([0.25, 1.0, 2.0, 1000.0]),
    limit=st.integers(1, 100),
    order=st.sampled_from(["created_at", "-created_at"]),
    quirks=QUIRKS,
    failures=st.frozensets(st.integers(0, 14), max_size=3),
    resumed=st.booleans(),
    seed=st.integers(0, 1000),
)


def with_changes(walk: Walk, changes: list[Change]) -> Walk:
    if not any(walk.counts):
        return walk
    return replace(walk, changes=tuple(changes))


CHANGING_WALKS = st.builds(with_changes, WALKS, CHANGES)


@settings(max_examples=25)
@given(WALKS)
def test_what_is_delivered_is_what_is_stored(theatre: Theatre, walk: Walk) -> None:
    assert Counter(theatre.play(walk)) == Counter(theatre.stage.first)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@settings(max_examples=int(2_000 * SOAK_SCALE))
@given(WALKS)
def test_what_is_delivered_is_what_is_stored_for_long(theatre: Theatre, walk: Walk) -> None:
    assert Counter(theatre.play(walk)) == Counter(theatre.stage.first)


@settings(max_examples=25)
@given(CHANGING_WALKS)
def test_who_stays_is_delivered_once(theatre: Theatre, walk: Walk) -> None:
    theatre.check(walk)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@settings(max_examples=int(2_000 * SOAK_SCALE))
@given(CHANGING_WALKS)
def test_who_stays_is_delivered_once_for_long(theatre: Theatre, walk: Walk) -> None:
    theatre.check(walk)


# ---------------------------------------------------------------- single walks


@pytest.mark.parametrize("resumed", [True, False], ids=["resumed", "retried"])
@pytest.mark.parametrize("order", ["created_at", "-created_at"])
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "inclusive"])
def test_a_failure_at_each_request(theatre: Theatre, resumed: bool, order: Order, strict: bool) -> None:
    quirks = Quirks(strict_cursor=strict, omit=BULKY)
    whole = Walk(counts=(3, 150, 1, 3), order=order, quirks=quirks, resumed=resumed, limit=60)
    theatre.check(whole)
    requests = theatre.stage.number
    assert requests > 3
    for number in range(requests):
        theatre.check(replace(whole, failures=frozenset({number})))
        assert theatre.stage.number > requests


@pytest.mark.parametrize("order", ["created_at", "-created_at"])
@pytest.mark.parametrize("shuffled", [True, False], ids=["shuffled", "stable"])
def test_a_long_burst(theatre: Theatre, order: Order, shuffled: bool) -> None:
    quirks = Quirks(shuffled_ties=shuffled, omit=BULKY)
    theatre.check(Walk(counts=(120, 500, 120), order=order, quirks=quirks))


@pytest.mark.parametrize("order", ["created_at", "-created_at"])
@pytest.mark.parametrize("counts", [(60,), (1,) * 60, (150,), (1,) * 150])
@pytest.mark.parametrize("told", [True, False], ids=["has_more", "no has_more"])
def test_without_timestamps_nothing_is_lost_in_silence(
    theatre: Theatre, order: Order, counts: tuple[int, ...], told: bool
) -> None:
    omit = BULKY | {"created_at"} | (set() if told else {"has_more"})
    walk = Walk(counts=counts, order=order, quirks=Quirks(omit=omit))
    if told and sum(counts) <= MAX_ON_A_PAGE:
        theatre.check(walk)
    else:
        with pytest.raises(PaginationStalledError, match="no item has a timestamp"):
            theatre.play(walk)


@pytest.mark.parametrize(
    "seeds", [pytest.param(range(5), id="some"), pytest.param(range(20), id="many", marks=pytest.mark.soak)]
)
def test_deletions_from_a_shuffled_tie(theatre: Theatre, seeds: range) -> None:
    """A pass that misses someone ends the reading-out when as many as are missing were deleted."""
    changes = tuple(Change(3 + number, "delete", number) for number in range(20))
    for seed in seeds:
        theatre.check(
            Walk(counts=(220,), quirks=Quirks(shuffled_ties=True, omit=BULKY), changes=changes, seed=seed)
        )

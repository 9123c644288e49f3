"""Walks by timestamp, over a service of which nothing is known that no document defines."""

from __future__ import annotations

import datetime as dt
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.service import (
    SECOND,
    Service,
    at,
    chain,
    customers,
    ids,
    one_page,
    pages,
    stream,
    walk,
    windows,
)
from voucherify_async.errors import PaginationStalledError
from voucherify_async.models.customers import Customer
from voucherify_async.pagination.pager import Page
from voucherify_async.pagination.rules.base import PageAnswer
from voucherify_async.pagination.rules.created_at import CreatedAtRule
from voucherify_async.pagination.rules.end_date import EndDateRule
from voucherify_async.pagination.windows import Window

SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))
MICROSECOND = dt.timedelta(microseconds=1)
MILLISECOND = dt.timedelta(milliseconds=1)

SPREAD = [
    pytest.param((1,) * 250, id="all different"),
    pytest.param((250,), id="all equal"),
    pytest.param((99, 2, 99), id="a pair over a page boundary"),
    pytest.param((50, 300, 50), id="a tie in the middle"),
    pytest.param((100, 100, 100), id="ties that fill pages"),
    pytest.param((101, 101), id="ties one longer than a page"),
    pytest.param((16, 17, 16, 17), id="ties around what a cursor remembers"),
    pytest.param((), id="nothing"),
    pytest.param((1,), id="one"),
    pytest.param((100,), id="just a page"),
]
WAYS: Mapping[str, Callable[..., list[str]]] = {
    "walk": walk,
    "pages": lambda *arguments, **options: ids(checked(pages, *arguments, **options)),
    "chain": lambda *arguments, **options: ids(checked(chain, *arguments, **options)),
}

AT_ONCE: Mapping[str, Callable[..., list[str]]] = {"stream": stream, "windows": windows}


def checked(
    way: Callable[..., list[Page[Any]]], rule: Any, service: Service, *, limit: int
) -> list[Page[Any]]:
    """The pages, each of which is full, or the last; and their cursors are short."""
    found = way(rule, service, limit=limit)
    sizes = [len(page) for page in found]
    assert sizes[:-1] == [limit] * (len(sizes) - 1)
    assert all(page.has_more for page in found[:-1])
    # The last page may have promised a customer who was deleted before the next request.
    assert found[-1].has_more is False or service.removed
    if not service.undated:
        assert all(len(page.next_cursor or "") <= 300 for page in found)
    return found


@pytest.mark.parametrize("counts", SPREAD)
@pytest.mark.parametrize("descending", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "inclusive"])
@pytest.mark.parametrize("says_has_more", [True, False], ids=["has_more", "no has_more"])
@pytest.mark.parametrize("way", WAYS)
def test_each_customer_once(
    counts: tuple[int, ...], descending: bool, strict: bool, says_has_more: bool, way: str
) -> None:
    service = Service(customers(*counts), strict=strict, says_has_more=says_has_more)
    delivered = WAYS[way](CreatedAtRule(descending=descending), service, limit=20)
    assert Counter(delivered) == Counter(list(service.customers))


@pytest.mark.parametrize("limit", [1, 2, 7, 99, 100])
@pytest.mark.parametrize("shuffled", [True, False], ids=["shuffled", "stable"])
@pytest.mark.parametrize("way", WAYS)
def test_any_page_size(limit: int, shuffled: bool, way: str) -> None:
    service = Service(customers(3, 120, 1, 5), shuffled=shuffled)
    assert Counter(WAYS[way](CreatedAtRule(), service, limit=limit)) == Counter(list(service.customers))


@pytest.mark.parametrize("counts", [(1,) * 500, (1000,), (30,) * 40, (250,) * 5, (1000, 1000), (17,) * 50])
@pytest.mark.parametrize("limit", [10, 20, 50, 99, 100])
@pytest.mark.parametrize("descending", [True, False])
def test_what_a_page_costs(counts: tuple[int, ...], limit: int, descending: bool) -> None:
    service = Service(customers(*counts))
    costs: list[int] = []
    chain(CreatedAtRule(descending=descending), service, limit=limit, costs=costs)
    assert costs[0] == 1 or counts[0] > 1
    assert max(costs) <= 4


def test_pages_in_a_tie_of_9900_do_not_read_it_whole() -> None:
    service = Service(customers(9_900))
    page = one_page(CreatedAtRule(), service, limit=20)
    for _ in range(5):
        before = len(service.requests)
        page = one_page(CreatedAtRule(), service, limit=20, cursor=page.next_cursor)
        assert len(page) == 20
        assert len(service.requests) - before <= 4


@pytest.mark.parametrize("shuffled", [True, False], ids=["shuffled", "stable"])
@pytest.mark.parametrize("count", [2_000, 9_900, 12_000])
def test_many_equal_customers_are_delivered(count: int, shuffled: bool) -> None:
    service = Service(customers(1, count, 1), shuffled=shuffled)
    assert Counter(walk(CreatedAtRule(), service)) == Counter(list(service.customers))
    # Read once, with what pages overlap; then the rest by source_id. Without an order, in some 20 passes.
    assert len(service.requests) < (40 if shuffled else 2.7) * count / 100


@pytest.mark.parametrize("descending", [True, False])
def test_more_equal_customers_than_can_be_reached_stall_loudly(descending: bool) -> None:
    service = Service(customers(5, 20_000, 5))
    with pytest.raises(PaginationStalledError, match=r"2026-01-01T00:00:00.010.*about 19,000.*segment_id"):
        walk(CreatedAtRule(descending=descending), service)


def test_a_page_of_a_large_tie_without_an_order_stalls_loudly() -> None:
    service = Service(customers(1, 2_000, 1), shuffled=True)
    assert Counter(walk(CreatedAtRule(), service)) == Counter(list(service.customers))
    with pytest.raises(PaginationStalledError, match="more than 300 items share this timestamp"):
        chain(CreatedAtRule(), service, limit=20)


def test_an_order_that_is_not_kept_after_all_stalls_loudly() -> None:
    service = Service(customers(1_000))
    page = one_page(CreatedAtRule(), service, limit=20)
    service.shuffled = True
    with pytest.raises(PaginationStalledError, match="does not return them in a stable order"):
        one_page(CreatedAtRule(), service, limit=20, cursor=page.next_cursor)


@pytest.mark.parametrize("counts", [(1,) * 300, (300,), (1_000,), (20, 250, 20)])
@pytest.mark.parametrize("limit", [20, 100])
def test_whoever_deletes_each_page_gets_all(counts: tuple[int, ...], limit: int) -> None:
    service = Service(customers(*counts))
    everyone, delivered = set(service.customers), list[str]()
    cursor, more = None, True
    while more:
        page = one_page(CreatedAtRule(), service, limit=limit, cursor=cursor)
        delivered += ids([page])
        service.remove(*ids([page]))
        cursor, more = page.next_cursor, page.has_more
    assert Counter(delivered) == Counter(list(everyone))


@pytest.mark.parametrize("shuffled", [True, False], ids=["shuffled", "stable"])
def test_2000_equal_customers_of_which_one_goes_now_and_then(shuffled: bool) -> None:
    service = Service(customers(2_000), shuffled=shuffled)
    victims = iter(list(service.customers))
    service.change = lambda number: service.remove(next(victims)) if number % 100 == 99 else None
    delivered = Counter(walk(CreatedAtRule(), service))
    assert max(delivered.values()) == 1
    assert set(service.customers) <= set(delivered)


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param({"whole_total": True}, id="a total of the project"),
        pytest.param({"most": 50}, id="pages capped at 50"),
        pytest.param(
            {"most": 50, "says_total": False, "says_has_more": False}, id="capped, and nothing said"
        ),
        pytest.param({"queries_cut_to": SECOND}, id="queries cut to seconds"),
        pytest.param({"compared_in": SECOND}, id="compared in seconds"),
        pytest.param({"shown_in": SECOND}, id="shown in seconds"),
        pytest.param({"repeats": True}, id="one twice on a page"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("descending", [True, False])
def test_what_no_document_defines(switches: dict[str, Any], way: str, descending: bool) -> None:
    service = Service(customers(*[1] * 100, 150, *[1] * 100, step=130.5), **switches)
    delivered = WAYS[way](CreatedAtRule(descending=descending), service, limit=50)
    assert Counter(delivered) == Counter(list(service.customers))


def test_comparison_in_minutes_stalls_loudly() -> None:
    service = Service(customers(*[1] * 300, step=1_234), compared_in=60 * SECOND)
    with pytest.raises(PaginationStalledError, match="more coarsely than in seconds"):
        walk(CreatedAtRule(), service)


@pytest.mark.parametrize("descending", [True, False])
def test_the_ends_of_time(descending: bool) -> None:
    first = dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    last = dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    instants = [first, at(0), at(5), last]

    class Timeless(Service):
        def answer(self, query: Mapping[str, Any]) -> PageAnswer:
            self.requests.append(query)
            found = instants[::-1] if descending else instants
            return PageAnswer(
                [Customer(id=str(n), created_at=instant) for n, instant in enumerate(found)], False
            )

    assert sorted(walk(CreatedAtRule(descending=descending), Timeless({}))) == ["0", "1", "2", "3"]


def test_a_service_that_ignores_the_cursor_does_not_make_an_endless_walk() -> None:
    class Deaf(Service):
        def answer(self, query: Mapping[str, Any]) -> PageAnswer:
            heard = {name: query[name] for name in ("limit", "order")}
            return super().answer(heard)._replace(has_more=True)

    with pytest.raises(PaginationStalledError):
        walk(CreatedAtRule(), Deaf(customers(*[1] * 100), says_total=False), most=1_000)


def test_a_service_that_does_not_sort_stalls_loudly() -> None:
    service = Service({f"c{number}": at(number * 7919 % 1000) for number in range(500)})

    class Unsorted(Service):
        def answer(self, query: Mapping[str, Any]) -> PageAnswer:
            page = service.answer(query)
            return page._replace(items=sorted(page.items, key=lambda item: item.id))

    with pytest.raises(PaginationStalledError, match="does not sort"):
        walk(CreatedAtRule(), Unsorted({}))


def test_no_timestamps_at_all_stall_loudly() -> None:
    service = Service(customers(*[1] * 150))
    service.undated = frozenset(service.customers)
    with pytest.raises(PaginationStalledError, match="no item has a timestamp"):
        walk(CreatedAtRule(), service)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_a_customer_without_a_timestamp_does_not_break_the_walk(descending: bool, way: str) -> None:
    service = Service(customers(*[1] * 90, 130, *[1] * 90))
    service.undated = frozenset(list(service.customers)[::7])
    delivered = WAYS[way](CreatedAtRule(descending=descending), service, limit=30)
    assert Counter(delivered) == Counter(list(service.customers))


def test_a_start_given_by_the_caller_is_sent_as_it_is() -> None:
    service = Service(customers(1, 1))
    walk(CreatedAtRule(starting_after=at(3.5)), service)
    assert service.requests[0]["starting_after"] == at(3.5)


@pytest.mark.parametrize("rule", [CreatedAtRule(), EndDateRule()], ids=["created_at", "end_date"])
def test_a_page_that_is_empty_though_there_is_more(rule: Any) -> None:
    class Stuck(Service):
        def answer(self, query: Mapping[str, Any]) -> PageAnswer:
            self.requests.append(query)
            return PageAnswer([], has_more=True)

    page = one_page(rule, Stuck({}), limit=10)
    assert (page.items, page.has_more) == ((), True)
    with pytest.raises(PaginationStalledError):
        walk(rule, Stuck({}), most=50)


def test_an_ascending_walk_ends_on_a_growing_project() -> None:
    service = Service(customers(*[1] * 2_000))
    old = set(service.customers)

    def grow(number: int) -> None:
        service.add({f"new-{number}-{new}": at(100_000 + number * 1000 + new) for new in range(200)})

    service.change = grow
    delivered = Counter(walk(CreatedAtRule(descending=False), service))
    assert max(delivered.values()) == 1
    assert old <= set(delivered)
    assert len(service.requests) < 60


# ---------------------------------------------------------------- properties

CASES = st.fixed_dictionaries(
    {
        "counts": st.lists(
            st.one_of(st.integers(0, 4), st.sampled_from([15, 16, 17, 20, 95, 100, 101, 130, 230])),
            max_size=6,
        ),
        "step": st.sampled_from([0.25, 1.0, 2.0, 10.0, 333.0, 1000.0, 5000.0]),
        "begin": st.sampled_from([0.0, 123.456]),
        "limit": st.sampled_from([1, 3, 7, 20, 50, 99, 100]),
        "descending": st.booleans(),
        "way": st.sampled_from([*WAYS, *AT_ONCE]),
        "undated": st.sets(st.integers(0, 400), max_size=5),
        "changes": st.lists(
            st.tuples(st.integers(0, 20), st.sampled_from(["delete", "update", "create", "create then"])),
            max_size=5,
        ),
        "seed": st.integers(0, 1000),
        "switches": st.fixed_dictionaries(
            {
                "strict": st.booleans(),
                "inclusive_bounds": st.booleans(),
                "shuffled": st.booleans(),
                "says_has_more": st.booleans(),
                "says_total": st.booleans(),
                "whole_total": st.booleans(),
                "most": st.sampled_from([100, 100, 50, 20]),
                "repeats": st.booleans(),
                "queries_cut_to": st.sampled_from([MICROSECOND, MILLISECOND, SECOND]),
                "compared_in": st.sampled_from([MICROSECOND, MICROSECOND, MILLISECOND, SECOND]),
                "shown_in": st.sampled_from([MICROSECOND, MICROSECOND, SECOND]),
            }
        ),
    }
)


def play(case: dict[str, Any]) -> tuple[Service, set[str], set[str]]:
    """The service of a case, who is there at first, and, as the case goes on, who ever was."""
    begin = dt.timedelta(milliseconds=case["begin"])
    stored = {key: created + begin for key, created in customers(*case["counts"], step=case["step"]).items()}
    if case["limit"] < 20:
        stored = dict(list(stored.items())[:260])
    undated = {key for number, key in enumerate(stored) if number in case["undated"] and len(stored) > 20}
    service = Service(stored, undated=frozenset(undated), **case["switches"])
    first, ever = set(stored), set(stored)
    chance = random.Random(case["seed"])

    def change(number: int) -> None:
        for place, kind in case["changes"]:
            if place != number:
                continue
            key = f"new-{number}-{chance.random()}"
            if kind == "delete" and service.customers:
                service.remove(chance.choice(list(service.customers)))
            elif kind == "create":
                service.add({key: at(3_600_000 + number)})
            elif kind == "create then" and stored:
                service.add({key: chance.choice(list(stored.values()))})
            ever.update(service.customers)

    service.change = change
    return service, first, ever


def check(case: dict[str, Any]) -> None:
    """Who is there all the time is delivered once, nobody twice; or it is said that this cannot be done."""
    if case["way"] == "windows":  # nobody can say in which of two that meet a customer without a timestamp is
        case = {**case, "undated": ()}
    service, first, ever = play(case)
    rule = CreatedAtRule(descending=case["descending"])
    try:
        way = {**WAYS, **AT_ONCE}[case["way"]]
        delivered = Counter(way(rule, service, limit=case["limit"]))
    except PaginationStalledError:
        hard = case["switches"]["shuffled"] or case["switches"]["most"] < 50 or service.undated
        # Where the end is not said, a customer who comes just after the last one was deleted looks like a coarse service.
        replaced = {"delete", "create"} <= {kind[:6] for _, kind in case["changes"]}
        hard = hard or (replaced and not case["switches"]["says_has_more"])
        assert hard or max(Counter(service.customers.values()).values(), default=0) > 16
        return
    assert [key for key, times in delivered.items() if times > 1] == []
    assert first & set(service.customers) <= delivered.keys() <= ever


EDGES = st.lists(st.integers(-5, 4_000), max_size=5, unique=True).map(sorted)


def check_windows(case: dict[str, Any], edges: list[int]) -> None:
    """What the windows deliver, all together, is what is stored."""
    service, first, _ = play({**case, "changes": [], "undated": (), "way": "walk"})
    delivered: list[str] = []
    stored = dict(service.customers)
    for begin, end in pairwise([None, *map(at, edges), None]):
        rule = CreatedAtRule(
            descending=case["descending"], window=Window(created_from=begin, created_before=end)
        )
        try:
            inside = walk(rule, service, limit=case["limit"])
        except PaginationStalledError:
            return
        for key in inside if service.shown_in < SECOND else ():
            assert begin is None or stored[key] >= begin
            assert end is None or stored[key] < end
        delivered += inside
    assert Counter(delivered) == Counter(list(first))


UNDATED_BETWEEN_LARGE_GROUPS: dict[str, Any] = {
    "counts": [1, 17, 100, 0, 95],
    "step": 1_000.0,
    "begin": 0.0,
    "limit": 20,
    "descending": False,
    "way": "chain",
    "undated": {181},
    "changes": [],
    "seed": 0,
    "switches": {
        "strict": True,
        "inclusive_bounds": False,
        "shuffled": True,
        "says_has_more": False,
        "says_total": False,
        "whole_total": False,
        "most": 50,
        "repeats": False,
        "queries_cut_to": dt.timedelta(microseconds=1),
        "compared_in": dt.timedelta(microseconds=1),
        "shown_in": dt.timedelta(microseconds=1),
    },
}
"""It was first in the order of its group once, right after the group before, and was delivered with both."""


@pytest.mark.timeout(600)  # for hypothesis to simplify what fails
@example(UNDATED_BETWEEN_LARGE_GROUPS)
@settings(max_examples=150, deadline=None)
@given(CASES)
def test_what_is_delivered_is_what_is_stored(case: dict[str, Any]) -> None:
    check(case)


@settings(max_examples=50, deadline=None)
@given(CASES, EDGES)
def test_windows_are_exact_and_disjoint(case: dict[str, Any], edges: list[int]) -> None:
    check_windows(case, edges)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@settings(max_examples=int(2_000 * SOAK_SCALE), deadline=None)
@given(CASES)
def test_what_is_delivered_is_what_is_stored_for_long(case: dict[str, Any]) -> None:
    check(case)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@settings(max_examples=int(2_000 * SOAK_SCALE), deadline=None)
@given(CASES, EDGES)
def test_windows_are_exact_and_disjoint_for_long(case: dict[str, Any], edges: list[int]) -> None:
    check_windows(case, edges)


# ---------------------------------------------------------------- end_date


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("step", [10.0, 1.0, 0.25])
@pytest.mark.parametrize("way", WAYS)
def test_end_date_delivers_each_once(limit: int, strict: bool, step: float, way: str) -> None:
    service = Service(customers(1, 2, 16, *[1] * 150, step=step), strict=strict, parameter="end_date")
    assert Counter(WAYS[way](EndDateRule(), service, limit=limit)) == Counter(list(service.customers))


def test_end_date_is_sent_as_it_is() -> None:
    service = Service(customers(1), parameter="end_date")
    walk(EndDateRule(), service)
    walk(EndDateRule(at(7)), service)
    assert service.requests[0] == {"limit": 100, "end_date": None}
    assert service.requests[-1]["end_date"] == at(7)


def test_end_date_ties_beyond_a_page_stall_loudly() -> None:
    service = Service(customers(101), parameter="end_date")
    with pytest.raises(PaginationStalledError, match="more items share this timestamp than fit on a page"):
        walk(EndDateRule(), service)

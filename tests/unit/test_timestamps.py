from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.service import Service, at, walk
from voucherify_async.errors import PaginationStalledError
from voucherify_async.pagination.cursors import CreatedAtRule, EndDateRule, PageAnswer
from voucherify_async.pagination.windows import Window

SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))


def customers(*counts: int, step: float = 10.0) -> dict[str, dt.datetime]:
    """So many customers at the first instant, so many at the next, and so on."""
    return {
        f"c{instant}-{number}": at(instant * step)
        for instant, count in enumerate(counts)
        for number in range(count)
    }


SPREAD = [
    pytest.param((1,) * 250, id="all different"),
    pytest.param((250,), id="all equal"),
    pytest.param((99, 2, 99), id="a pair over a page boundary"),
    pytest.param((50, 300, 50), id="a tie in the middle"),
    pytest.param((100, 100, 100), id="ties that fill pages"),
    pytest.param((101, 101), id="ties one longer than a page"),
    pytest.param((), id="nothing"),
    pytest.param((1,), id="one"),
    pytest.param((100,), id="just a page"),
]


@pytest.mark.parametrize("counts", SPREAD)
@pytest.mark.parametrize("descending", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "inclusive"])
@pytest.mark.parametrize("says_has_more", [True, False], ids=["has_more", "no has_more"])
@pytest.mark.parametrize("step", [10.0, 1.0, 0.25], ids=["apart", "next", "within a millisecond"])
def test_each_customer_once(
    counts: tuple[int, ...], descending: bool, strict: bool, says_has_more: bool, step: float
) -> None:
    service = Service(customers(*counts, step=step), strict=strict, says_has_more=says_has_more)
    delivered = walk(CreatedAtRule(descending=descending), service)
    assert Counter(delivered) == Counter(list(service.customers))


@pytest.mark.parametrize("limit", [1, 2, 7, 99, 100, None])
@pytest.mark.parametrize("shuffled", [True, False], ids=["shuffled", "stable"])
def test_any_page_size(limit: int | None, shuffled: bool) -> None:
    service = Service(customers(3, 120, 1, 5), shuffled=shuffled)
    assert Counter(walk(CreatedAtRule(), service, limit=limit)) == Counter(list(service.customers))


def test_the_walk_asks_for_the_whole_instant_again() -> None:
    service = Service(customers(150))
    walk(CreatedAtRule(), service)
    first, second, *reading_out = service.requests
    assert first["starting_after"] == dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
    assert second["starting_after"] == at(1)
    assert [request["page"] for request in reading_out if "page" in request] == [1, 2, 1, 2]
    assert all(request["limit"] == 100 and request["order"] == "-created_at" for request in service.requests)
    assert reading_out[0]["created_at"] == {"after": at(-2), "before": at(1)}


def test_a_window_stays_within_the_filters_of_the_caller() -> None:
    service = Service(customers(150, 150, step=1.0))
    delivered = walk(CreatedAtRule(), service, base={"created_at": {"after": at(0), "before": at(500)}})
    assert Counter(delivered) == Counter(key for key in service.customers if key.startswith("c1-"))
    windows = [request["created_at"] for request in service.requests if "page" in request]
    assert windows[0] == {"after": at(0), "before": at(2)}


def test_9900_equal_customers_are_delivered() -> None:
    service = Service(customers(1, 9_900, 1))
    assert Counter(walk(CreatedAtRule(), service)) == Counter(list(service.customers))


@pytest.mark.parametrize("says_total", [True, False])
def test_more_than_9900_equal_customers_stall_loudly(says_total: bool) -> None:
    service = Service(customers(9_901), says_total=says_total)
    with pytest.raises(
        PaginationStalledError, match=r"2026-01-01T00:00:00.000.*99 pages.*9900 items delivered"
    ):
        walk(CreatedAtRule(), service)


def test_passes_that_do_not_settle_stall_loudly() -> None:
    service = Service(customers(150))

    def newcomers(number: int) -> None:
        service.customers[f"new-{number}"] = at(0)

    with pytest.raises(PaginationStalledError, match="did not settle"):
        walk(CreatedAtRule(), service, between=newcomers)


def test_a_service_that_ignores_the_cursor_does_not_make_an_endless_walk() -> None:
    class Deaf(Service):
        def answer(self, query: Mapping[str, Any]) -> PageAnswer:
            heard = {name: query[name] for name in ("limit", "order")}
            return super().answer(heard)._replace(has_more=True)

    with pytest.raises(PaginationStalledError, match="goes on answering with it|did not settle|99 pages"):
        walk(CreatedAtRule(), Deaf(customers(*[1] * 100), says_total=False))


def test_no_timestamps_at_all_stall_loudly() -> None:
    service = Service(customers(*[1] * 150))
    service.undated = frozenset(service.customers)
    with pytest.raises(PaginationStalledError, match="no item has a timestamp"):
        walk(CreatedAtRule(), service)


@pytest.mark.parametrize("descending", [True, False])
def test_a_customer_without_a_timestamp_does_not_break_the_walk(descending: bool) -> None:
    service = Service(customers(*[1] * 90, 130, *[1] * 90))
    service.undated = frozenset(list(service.customers)[::7])
    delivered = walk(CreatedAtRule(descending=descending), service)
    assert Counter(delivered) == Counter(list(service.customers))


def test_a_short_page_is_not_the_end_when_there_is_more() -> None:
    rule = CreatedAtRule()
    page = PageAnswer([{"id": "a", "created_at": at(5).isoformat()}], has_more=True, limit=100)
    step = rule.advance(rule.start(), page)
    assert step.unseen == [True]
    assert step.state is not None


def test_a_naive_timestamp_is_taken_as_utc() -> None:
    rule = CreatedAtRule()
    page = PageAnswer([{"id": "a", "created_at": "2026-01-01T00:00:00.005"}], has_more=True, limit=100)
    assert rule.query(rule.advance(rule.start(), page).state, {}, 100)["starting_after"] == at(6)


def test_a_timestamp_that_is_none_is_no_timestamp() -> None:
    rule = CreatedAtRule()
    items = [{"id": "a", "created_at": "yesterday"}, {"id": "b", "created_at": at(5).isoformat()}]
    step = rule.advance(rule.start(), PageAnswer(items, has_more=True, limit=100))
    assert rule.query(step.state, {}, 100)["starting_after"] == at(6)


def test_a_start_given_by_the_caller_is_sent_as_it_is() -> None:
    rule = CreatedAtRule(starting_after=at(3.5))
    assert rule.query(rule.start(), {}, None)["starting_after"] == at(3.5)


def test_a_deletion_during_the_reading_out_shifts_nothing_away() -> None:
    service = Service(customers(350))
    victims = iter(list(service.customers)[::50])

    def delete(number: int) -> None:
        if number > 1 and (victim := next(victims, None)):
            del service.customers[victim]

    delivered = walk(CreatedAtRule(), service, between=delete)
    assert not Counter(delivered) - Counter(set(delivered))
    assert set(service.customers) <= set(delivered)


class TestUpperBound:
    """Of an ascending walk, on a project where customers are created faster than they are read."""

    DATE = "Thu, 01 Jan 2026 00:10:00 GMT"  # ten minutes after the first of these customers
    MINUTE = 60_000

    def growing(self, service: Service) -> Callable[[int], None]:
        def grow(number: int) -> None:
            for new in range(20):
                key = f"new-{number}-{new}"
                service.customers[key] = at(10 * self.MINUTE + (number + 1) * 30_000 + new)

        return grow

    @pytest.mark.parametrize("resume", [False, True])
    @pytest.mark.parametrize("limit", [5, 20, 100])
    def test_it_ends(self, limit: int, resume: bool) -> None:
        old = {f"old-{number}": at(number * 10 * self.MINUTE / 300) for number in range(300)}
        service = Service(dict(old), date=self.DATE)
        rule = CreatedAtRule(descending=False)
        delivered = walk(rule, service, limit=limit, resume=resume, between=self.growing(service))
        assert Counter(delivered).most_common(1)[0][1] == 1
        assert set(old) <= set(delivered)
        latest = max(service.customers[key] for key in delivered)
        assert latest <= at(15 * self.MINUTE)

    def test_a_clock_that_lags_loses_nothing(self) -> None:
        service = Service({f"{number}": at(number * 29_000) for number in range(30)}, date=self.DATE)
        assert len(walk(CreatedAtRule(descending=False), service)) == 30

    @pytest.mark.parametrize("date", [None, "yesterday", ""])
    def test_without_a_date_there_is_no_bound(self, date: str | None) -> None:
        service = Service({f"{number}": at(number * self.MINUTE) for number in range(300)}, date=date)
        assert len(walk(CreatedAtRule(descending=False), service)) == 300

    def test_a_descending_walk_needs_none(self) -> None:
        service = Service({f"{number}": at(number * self.MINUTE) for number in range(300)}, date=self.DATE)
        assert len(walk(CreatedAtRule(), service)) == 300


def delete_at(service: Service, when: int, number: int) -> None:
    if number == when:
        del service.customers["c0"]


@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize("when", range(9))
@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param((187, 0), id="some"),  # the first lost one, at the sixth request
        pytest.param(range(int(100 * SOAK_SCALE)), id="many", marks=pytest.mark.soak),
    ],
)
def test_a_deletion_does_not_stand_in_for_one_that_was_not_met(
    seeds: Sequence[int], when: int, says_total: bool
) -> None:
    """Where each request shuffles the tie anew, and as many have gone as are still missing."""
    for seed in seeds:
        service = Service(
            {f"c{n}": at(0) for n in range(201)}, shuffled=True, seed=seed, says_total=says_total
        )
        delivered = walk(CreatedAtRule(), service, between=partial(delete_at, service, when))
        assert len(set(delivered)) == len(delivered)
        assert set(service.customers) <= set(delivered)


# ---------------------------------------------------------------- properties

CASES = st.fixed_dictionaries(
    {
        "counts": st.lists(st.one_of(st.integers(0, 4), st.integers(95, 130), st.just(230)), max_size=6),
        "step": st.sampled_from([0.25, 1.0, 2.0, 1000.0]),
        "limit": st.integers(1, 100),
        "descending": st.booleans(),
        "resume": st.booleans(),
        "undated": st.sets(st.integers(0, 400), max_size=5),
        "switches": st.fixed_dictionaries(
            {
                "strict": st.booleans(),
                "inclusive_bounds": st.booleans(),
                "shuffled": st.booleans(),
                "says_has_more": st.booleans(),
                "says_total": st.booleans(),
                "cut_to_milliseconds": st.booleans(),
                "seed": st.integers(0, 1000),
            }
        ),
    }
)


def check(case: dict[str, Any]) -> None:
    """The multiset delivered is the multiset stored."""
    stored = customers(*case["counts"], step=case["step"])
    # Where the service leaves the timestamp out of all it sends, there is nothing to walk by.
    undated = {key for number, key in enumerate(stored) if number in case["undated"] and len(stored) > 5}
    service = Service(stored, undated=frozenset(undated), **case["switches"])
    rule = CreatedAtRule(descending=case["descending"])
    delivered = walk(rule, service, limit=case["limit"], resume=case["resume"])
    assert Counter(delivered) == Counter(list(service.customers))


EDGES = st.lists(st.integers(-5, 4_000), max_size=5, unique=True).map(sorted)


def check_windows(case: dict[str, Any], edges: list[int]) -> None:
    """What the windows deliver, all together, is what is stored."""
    stored = customers(*case["counts"], step=case["step"])
    service = Service(stored, **case["switches"])
    bounds = [None, *map(at, edges), None]
    delivered: list[str] = []
    for begin, end in pairwise(bounds):
        window = Window(created_from=begin, created_before=end)
        rule = CreatedAtRule(descending=case["descending"], window=window)
        inside = walk(rule, service, limit=case["limit"], resume=case["resume"])
        for key in inside:
            assert begin is None or stored[key] >= begin
            assert end is None or stored[key] < end
        delivered += inside
    assert Counter(delivered) == Counter(list(stored))


@settings(max_examples=15, deadline=None)
@given(CASES, EDGES)
def test_windows_are_exact_and_disjoint(case: dict[str, Any], edges: list[int]) -> None:
    check_windows(case, edges)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@settings(max_examples=int(2_000 * SOAK_SCALE), deadline=None)
@given(CASES, EDGES)
def test_windows_are_exact_and_disjoint_for_long(case: dict[str, Any], edges: list[int]) -> None:
    check_windows(case, edges)


@settings(max_examples=25, deadline=None)
@given(CASES)
def test_what_is_delivered_is_what_is_stored(case: dict[str, Any]) -> None:
    check(case)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@settings(max_examples=int(2_000 * SOAK_SCALE), deadline=None)
@given(CASES)
def test_what_is_delivered_is_what_is_stored_for_long(case: dict[str, Any]) -> None:
    check(case)


# ---------------------------------------------------------------- end_date


def jobs(service: Service) -> Service:
    service.parameter = "end_date"
    return service


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("step", [10.0, 1.0, 0.25])
def test_end_date_delivers_each_once(limit: int, strict: bool, step: float) -> None:
    service = jobs(Service(customers(1, 2, 40, *[1] * 150, step=step), strict=strict))
    assert Counter(walk(EndDateRule(), service, limit=limit)) == Counter(list(service.customers))


def test_end_date_has_no_parameter_at_first() -> None:
    rule = EndDateRule()
    assert rule.query(rule.start(), {}, 10) == {"limit": 10, "end_date": None}
    assert EndDateRule(at(7)).query(rule.start(), {}, 10)["end_date"] == at(7)


def test_end_date_ties_beyond_a_page_stall_loudly() -> None:
    service = jobs(Service(customers(101)))
    with pytest.raises(PaginationStalledError, match="more items share it than a page holds"):
        walk(EndDateRule(), service)

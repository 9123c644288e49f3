from __future__ import annotations

import datetime as dt

import pytest

from voucherify_async import RateLimit
from voucherify_async._shared_limit.permits import Limits, News, Permits, ServiceReport, read_report

PERIOD = 60.0
LEASE = 30.0
RETRY_AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("high", "low", "free", "free_low"),
    [(0, 0, 10, 6), (4, 0, 6, 6), (7, 0, 3, 3), (0, 6, 4, 0), (4, 6, 0, 0), (9, 6, -5, -5)],
)
def test_free_permits(high: int, low: int, free: int, free_low: int) -> None:
    limits = Limits(10, 6)
    assert limits.free(high, low, low_priority=False) == free
    assert limits.free(high, low, low_priority=True) == free_low


@pytest.mark.parametrize(
    ("processes", "fixed", "share"),
    [(0, None, (25, 15)), (1, None, (100, 60)), (3, None, (33, 19)), (900, None, (1, 1)), (3, 50, (50, 30))],
)
def test_local_share(processes: int, fixed: int | None, share: tuple[int, int]) -> None:
    assert Limits(100, 60).local(processes, fixed) == share


class TestPermits:
    def permits(self, count: int) -> tuple[Permits, int]:
        permits = Permits(PERIOD, LEASE)
        first = permits.next_number(count)
        permits.hold(first, count, 0.0)
        return permits, first

    def test_they_count_until_a_period_after_the_end(self) -> None:
        permits, _ = self.permits(2)
        assert permits.next_expiry(1) == PERIOD
        assert permits.end(10) == 0
        assert permits.used(69.9) == 2
        assert permits.next_expiry(69) == 1
        assert permits.used(70) == 1
        assert not permits.take_news(70).counted  # it has expired

    def test_the_oldest_ends_first_and_the_newest_is_given_back(self) -> None:
        permits, first = self.permits(2)
        assert not permits.has_news
        permits.end(10)
        permits.give_back()
        assert permits.has_news
        assert permits.take_news(20) == News([(first, 50.0)], [first + 1])
        assert not permits.has_news
        permits.give_back()  # none is left
        assert not permits.has_news

    def test_an_end_without_a_permit_counts(self) -> None:
        permits = Permits(PERIOD, LEASE)
        assert permits.end(5) == 5
        assert permits.used(6) == 1

    def test_everything_can_be_reported_again(self) -> None:
        permits, first = self.permits(3)
        permits.end(10)
        permits.end(20)
        permits.take_news(20)
        permits.report_all(70.0)
        assert permits.take_news(70) == News([(first + 1, 10.0), (first + 2, 20.0)], [])

    def test_what_is_kept_for_a_server_that_is_away_is_bounded(self) -> None:
        permits = Permits(PERIOD, LEASE)
        for now in range(1_000):
            permits.end(float(now))
            permits.disown(0, 10)
        news = permits.take_news(999)
        assert len(news.counted) == PERIOD
        assert len(news.returned) == 1_000

    def test_a_message_is_bounded(self) -> None:
        permits, _ = self.permits(1_500)
        for _ in range(1_500):
            permits.end(1)
        assert [len(permits.take_news(1).counted) for _ in range(3)] == [1_000, 500, 0]


def limit(remaining: int | None, kind: str | None = None) -> RateLimit:
    return RateLimit(limit=100, remaining=remaining, retry_at=RETRY_AT, kind=kind)


@pytest.mark.parametrize(
    ("rate_limit", "wait", "report"),
    [
        (None, None, None),
        (limit(None), None, None),
        (limit(7), None, ServiceReport(7, 1.0)),
        (limit(0), 30.0, ServiceReport(0, 1.0)),  # a full limit, and no refusal
        (limit(0, "api_calls"), 30.0, ServiceReport(0, 1.0, 32.0)),
        (limit(0, "api_calls"), 1e9, ServiceReport(0, 1.0, 3602.0)),
        (limit(0, "api_calls_cycle"), 30.0, None),
        (limit(5), 30.0, ServiceReport(5, 1.0, 32.0)),
        (None, 30.0, ServiceReport(None, 1.0, 32.0)),
    ],
)
def test_what_a_response_reports(
    rate_limit: RateLimit | None, wait: float | None, report: ServiceReport | None
) -> None:
    assert read_report("api_calls", rate_limit, wait, 1.0, 2.0) == report


def test_reports_are_merged() -> None:
    early, late = ServiceReport(5, 1.0, 9.0), ServiceReport(None, 2.0, 3.0)
    assert late.merge(early) == ServiceReport(5, 1.0, 9.0)
    assert ServiceReport(4, 3.0).merge(early) == ServiceReport(4, 3.0, 9.0)
    assert early.merge(None) is early

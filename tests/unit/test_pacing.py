from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clocks import FakeClock
from voucherify_async import AdaptiveRateLimiter, ConfigurationError, LocalRateLimiter, RateLimit
from voucherify_async._transport.pacing import UNTIL_RESPONSE, AdaptivePace, Pace, Ramp, WindowPace
from voucherify_async._transport.rate_limit import RateGate


def times_of(pace: Pace, count: int, now: float) -> list[float]:
    """When `count` requests that wait from `now` on are let through."""
    times: list[float] = []
    for _ in range(count):
        now += pace.delay(now)
        pace.take(now)
        times.append(now)
    return times


class TestRamp:
    def test_at_first_nothing_waits(self) -> None:
        assert times_of(Ramp(), 1_000, 5.0) == [5.0] * 1_000

    @pytest.mark.parametrize("stop", [0.1, 0.5, 7.0, 60.0])
    def test_after_a_stop_it_starts_slowly(self, stop: float) -> None:
        ramp = Ramp()
        ramp.pause_until(100.0 + stop, 100.0)
        assert ramp.is_paused(100.0 + stop - 0.01)
        assert not ramp.is_paused(100.0 + stop)
        times = times_of(ramp, 200, 100.0)
        unit = min(stop, 0.5)
        assert times[0] == 100.0 + stop
        assert times[1] - times[0] == pytest.approx(unit / 10)
        assert 3.5 < (times[-1] - times[0]) / unit < 4.5
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert all(later <= sooner + 1e-9 for sooner, later in itertools.pairwise(gaps))

    def test_the_ramp_ends(self) -> None:
        ramp = Ramp()
        ramp.pause_until(10.0, 0.0)
        times = times_of(ramp, 5_000, 0.0)
        assert times[-1] - times[0] == pytest.approx(4.0, abs=0.2)
        assert times[-1] == times[-500]

    def test_an_earlier_end_does_not_shorten_a_stop(self) -> None:
        ramp = Ramp()
        ramp.pause_until(10.0, 0.0)
        ramp.pause_until(5.0, 0.0)
        assert ramp.delay(0.0) == 10.0
        ramp.pause_until(20.0, 6.0)
        assert ramp.delay(6.0) == 14.0

    def test_a_stop_has_an_end_whatever_the_service_says(self) -> None:
        ramp = Ramp()
        ramp.pause_until(1e9, 5.0)
        assert ramp.delay(5.0) == 3600.0

    def test_a_stop_that_is_over_is_none(self) -> None:
        ramp = Ramp()
        ramp.pause_until(10.0, 10.0)
        assert (ramp.delay(10.0), ramp.is_paused(10.0)) == (0.0, False)

    def test_late_timers_are_made_good_for_but_idle_time_is_not(self) -> None:
        ramp = Ramp()
        ramp.pause_until(10.0, 0.0)
        for _ in range(100):
            ramp.take(10.0)
        assert ramp.delay(10.0) > 1.0
        late = 12.5
        passed = 0
        while ramp.delay(late) == 0.0:
            ramp.take(late)
            passed += 1
        assert passed < 10


class TestWindow:
    @given(
        limit=st.integers(1, 8),
        period=st.floats(0.5, 5.0),
        latencies=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=60),
        counted=st.floats(0.0, 1.0),
    )
    def test_no_window_of_the_service_sees_more(
        self, limit: int, period: float, latencies: list[float], counted: float
    ) -> None:
        """Wherever between its start and its end the service counts a request."""
        pace = WindowPace(limit, period)
        now = 0.0
        under_way: list[float] = []
        seen: list[float] = []
        for latency in latencies:
            while (delay := pace.delay(now)) > 0:
                now = min(under_way) if delay == UNTIL_RESPONSE else now + delay
                for end in [end for end in sorted(under_way) if end <= now]:
                    under_way.remove(end)
                    pace.end(end)
            pace.take(now)
            under_way.append(now + latency)
            seen.append(now + counted * latency)
        seen.sort()
        for first, later in zip(seen, seen[limit:], strict=False):
            assert later - first > period - 1e-6

    def test_what_waits(self) -> None:
        pace = WindowPace(2, 10.0)
        assert times_of(pace, 2, 0.0) == [0.0, 0.0]
        assert pace.delay(1.0) == UNTIL_RESPONSE
        pace.end(3.0)
        assert pace.delay(4.0) == 9.0
        assert pace.delay(13.0) == 0.0


class TestAdaptive:
    @pytest.mark.parametrize(
        ("remaining", "limit", "allowed"),
        [
            (600, 600, 600),
            (60, 600, 60),
            (59, 600, 29),
            (3, 600, 1),
            (1, 600, 1),
            (0, 600, 1),
            (-5, 600, 1),
            (3, None, 3),
        ],
    )
    def test_how_many_may_be_under_way(self, remaining: int, limit: int | None, allowed: int) -> None:
        pace = AdaptivePace()
        pace.update(remaining, limit, None, 0.0)
        times_of(pace, allowed, 0.0)
        assert pace.delay(0.0) == UNTIL_RESPONSE
        pace.end()
        assert pace.delay(0.0) == 0.0

    def test_without_headers_nothing_waits(self) -> None:
        assert times_of(AdaptivePace(), 1_000, 0.0) == [0.0] * 1_000

    def test_asleep_when_nothing_remains(self) -> None:
        pace = AdaptivePace()
        pace.take(0.0)
        pace.end()
        pace.update(0, 100, 40.0, 2.0)
        assert pace.delay(2.0) == 40.0
        pace.take(42.0)
        assert pace.delay(43.0) == UNTIL_RESPONSE
        pace.end()
        pace.update(50, 100, None, 43.0)
        assert times_of(pace, 2, 43.0)[-1] < 44.0

    @pytest.mark.parametrize("wait", [None, 0.0, -1.0])
    def test_nothing_remains_and_no_one_says_how_long(self, wait: float | None) -> None:
        pace = AdaptivePace()
        pace.update(0, 100, wait, 0.0)
        assert pace.delay(0.0) == 0.0
        pace.take(0.0)
        assert pace.delay(0.0) == UNTIL_RESPONSE


class TestLines:
    async def test_first_come_first_served(self) -> None:
        clock = FakeClock(0.0)
        limiter = LocalRateLimiter(1, 1.0, clock=clock)
        served: list[int] = []

        async def call(number: int) -> None:
            assert await limiter.acquire("api_calls", 60.0) is None
            served.append(number)
            await asyncio.sleep(0)
            limiter.release("api_calls", None, None)

        await asyncio.gather(*(call(number) for number in range(50)))
        assert served == list(range(50))
        assert clock.now == pytest.approx(49.0)

    async def test_at_once_or_not_at_all(self) -> None:
        limiter = LocalRateLimiter(1, 10.0, clock=FakeClock(0.0))
        assert await limiter.acquire("api_calls", 0.0) is None
        assert await limiter.acquire("api_calls", 0.0) == 0.0
        limiter.release("api_calls", None, None)
        assert await limiter.acquire("api_calls", 0.0) == 10.0

    async def test_at_once_does_not_jump_the_line(self) -> None:
        clock = FakeClock(0.0)
        limiter = LocalRateLimiter(1, 10.0, clock=clock)
        await limiter.acquire("api_calls", 0.0)
        waiting = asyncio.create_task(limiter.acquire("api_calls", 60.0))
        await asyncio.sleep(0)
        limiter.release("api_calls", None, None)
        clock.now = 10.0
        assert await limiter.acquire("api_calls", 0.0) == 0.0
        assert await waiting is None

    @pytest.mark.parametrize("cancelled", [0, 1, 2])
    async def test_one_that_is_cancelled_takes_nothing_with_it(self, cancelled: int) -> None:
        """First in line, asleep or waiting for an answer, or further back."""
        for asleep in (False, True):
            limiter = LocalRateLimiter(1, 0.01)
            await limiter.acquire("api_calls", 0.0)
            if asleep:
                limiter.release("api_calls", None, None)
            calls = [asyncio.create_task(limiter.acquire("api_calls", 60.0)) for _ in range(3)]
            await asyncio.sleep(0.001)
            calls[cancelled].cancel()
            if not asleep:
                limiter.release("api_calls", None, None)
            for call in calls:
                if call is calls[cancelled]:
                    with pytest.raises(asyncio.CancelledError):
                        await call
                else:
                    assert await call is None
                    limiter.release("api_calls", None, None)

    async def test_a_wait_that_is_too_long_is_refused_to_all_in_line(self) -> None:
        limiter = LocalRateLimiter(1, 100.0, clock=FakeClock(0.0))
        await limiter.acquire("api_calls", 0.0)
        waiting = [asyncio.create_task(limiter.acquire("api_calls", 60.0)) for _ in range(3)]
        await asyncio.sleep(0)
        limiter.release("api_calls", None, None)
        assert await asyncio.gather(*waiting) == [100.0] * 3

    @pytest.mark.parametrize("max_wait", [2.0, 5.0, 14.0])
    async def test_no_wait_is_longer_than_the_longest(self, max_wait: float) -> None:
        """The turn in the line is a part of it."""
        clock = FakeClock(0.0)
        limiter = LocalRateLimiter(1, 3.0, clock=clock)

        async def call() -> tuple[float | None, float]:
            began = clock.now
            wait = await limiter.acquire("api_calls", max_wait)
            if wait is None:
                limiter.release("api_calls", None, None)
            return wait, clock.now - began

        results = await asyncio.gather(*(call() for _ in range(10)))
        assert max(waited for _, waited in results) <= max_wait
        let_through = [waited for wait, waited in results if wait is None]
        assert let_through == [3.0 * number for number in range(int(max_wait / 3) + 1)]
        refused = [wait for wait, _ in results if wait is not None]
        assert refused == [3.0] * len(refused)

    async def test_nor_is_one_for_requests_that_are_under_way(self) -> None:
        limiter = LocalRateLimiter(1, 3.0)
        assert await limiter.acquire("api_calls", 0.0) is None
        waiting = [asyncio.create_task(limiter.acquire("api_calls", 0.02)) for _ in range(3)]
        assert await asyncio.gather(*waiting) == [0.0] * 3  # and no request has ended
        assert await limiter.acquire("api_calls", 0.0) == 0.0

    async def test_a_wait_that_is_known_to_be_too_long_is_not_begun(self) -> None:
        clock = FakeClock(0.0)
        limiter = AdaptiveRateLimiter(clock=clock)
        assert await limiter.acquire("api_calls", 0.0) is None
        limiter.release("api_calls", RateLimit(remaining=0), 5.0)
        began = clock.now
        assert await limiter.acquire("api_calls", 2.0) == 5.0
        assert await limiter.acquire("api_calls", 4.9) == 5.0  # to the second is not near enough
        assert clock.now == began
        assert await limiter.acquire("api_calls", 5.0) is None

    async def test_kinds_have_lines_of_their_own(self) -> None:
        limiter = AdaptiveRateLimiter(clock=FakeClock(0.0))
        assert await limiter.acquire("bulk_api_calls", 0.0) is None
        limiter.release("bulk_api_calls", RateLimit(limit=10, remaining=0), 50.0)
        assert await limiter.acquire("bulk_api_calls", 0.0) == 50.0
        assert await limiter.acquire("api_calls", 0.0) is None
        limiter.release("api_calls", RateLimit(limit=10, remaining=0, kind="bulk_api_calls"), 60.0)
        assert await limiter.acquire("api_calls", 0.0) is None
        assert await limiter.acquire("bulk_api_calls", 0.0) == 60.0

    async def test_kinds_that_a_service_invents_share_a_line(self) -> None:
        limiter, gate = AdaptiveRateLimiter(clock=FakeClock(0.0)), RateGate(FakeClock())
        assert await limiter.acquire("api_calls", 0.0) is None
        for number in range(3_000):
            kind = f"kind_{number}"
            gate.close(kind, 5.0)
            assert gate.is_closed(kind)
            assert await limiter.acquire("api_calls", 0.0) is None
            limiter.release("api_calls", RateLimit(limit=10, remaining=0, kind=kind), 50.0)
        assert len(limiter._by_kind) <= 12  # pyright: ignore[reportPrivateUsage]
        assert len(gate.queues) <= 12
        assert await limiter.acquire("kind_2999", 0.0) == 50.0
        assert await limiter.acquire("bulk_api_calls", 0.0) is None  # not theirs
        assert not gate.is_closed("bulk_api_calls")
        gate.close("bulk_api_calls", 5.0)
        assert "bulk_api_calls" in gate.queues

    async def test_a_header_holds_requests_back_for_a_minute_at_most(self) -> None:
        clock = FakeClock(0.0)
        limiter = AdaptiveRateLimiter(clock=clock)
        assert await limiter.acquire("api_calls", 0.0) is None
        limiter.release("api_calls", RateLimit(limit=10, remaining=0), 365 * 24 * 3600.0)
        assert await limiter.acquire("api_calls", 0.0) == 61.0
        assert await limiter.acquire("api_calls", 61.0) is None
        assert await limiter.acquire("api_calls", 0.0) is not None  # one asks
        limiter.release("api_calls", RateLimit(limit=10, remaining=10), None)
        clock.now += 10
        assert await limiter.acquire("api_calls", 0.0) is None

    async def test_a_gate_that_was_never_closed(self) -> None:
        gate = RateGate(FakeClock())
        assert not gate.is_closed("api_calls")
        assert not gate.queues


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, 1.0), "limit"),
        ((1.5, 1.0), "limit"),
        ((True, 1.0), "limit"),
        ((1, 0.0), "period"),
        ((1, math.nan), "period"),
        ((1, 10**400), "period"),
    ],
)
def test_bad_values(arguments: tuple[Any, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be"):
        LocalRateLimiter(*arguments)

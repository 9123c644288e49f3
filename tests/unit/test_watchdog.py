"""The limits that a watchdog keeps, on a loop whose time stands still until it is told to pass."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clocks import FakeClock
from voucherify_async._transport.watchdog import Watchdog


@dataclass(eq=False)
class Thing:
    """Notes in a list, which it shares with others, when it is told."""

    told: list[Thing] = field(default_factory=list["Thing"], repr=False)

    def expire(self) -> None:
        self.told.append(self)


class LoopTime(FakeClock):
    """The time of an event loop, and the timers that were made in it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(100.0)
        self.loop = loop
        self.timers: list[asyncio.TimerHandle] = []

    def take_over(self) -> None:
        call_at: Callable[..., asyncio.TimerHandle] = self.loop.call_at

        def listen(when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            self.timers.append(call_at(when, *args, **kwargs))
            return self.timers[-1]

        self.loop.time = self  # type: ignore[method-assign]  # only of this one loop
        self.loop.call_at = listen  # type: ignore[method-assign,assignment]  # only of this one loop

    async def go_by(self, seconds: float) -> None:
        self.now += seconds
        for _ in range(3):  # the loop looks at its timers between the steps of a task
            await asyncio.sleep(0)

    def to_come(self) -> list[float]:
        """When the timers will go off that have not."""
        return [timer.when() for timer in self.timers if not timer.cancelled() and timer.when() > self.now]


@pytest.fixture
async def time() -> LoopTime:
    time = LoopTime(asyncio.get_running_loop())
    time.take_over()
    return time


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


async def test_things_are_told_in_the_order_in_which_they_began(time: LoopTime, watchdog: Watchdog) -> None:
    told: list[Thing] = []
    things = [Thing(told) for _ in range(5)]
    for thing in things:
        watchdog.watch(thing, 3)
        await time.go_by(0.5)
    assert told == []
    await time.go_by(0.5)
    for count in range(1, 6):
        assert told == things[:count]
        await time.go_by(0.5)


async def test_some_that_are_due_at_once(time: LoopTime, watchdog: Watchdog) -> None:
    told: list[Thing] = []
    things = [Thing(told) for _ in range(5)]
    for thing in things:
        watchdog.watch(thing, 3)
    await time.go_by(10)
    assert told == things


async def test_it_is_told_once(time: LoopTime, watchdog: Watchdog) -> None:
    thing = Thing()
    watchdog.watch(thing, 3)
    for _ in range(5):
        await time.go_by(3)
    watchdog.done(thing, 3)
    await time.go_by(3)
    assert thing.told == [thing]


async def test_not_a_moment_too_soon(time: LoopTime, watchdog: Watchdog) -> None:
    thing = Thing()
    watchdog.watch(thing, 3)
    await time.go_by(2.875)
    assert not thing.told
    await time.go_by(0.125)
    assert thing.told


async def test_what_is_done_is_not_told(time: LoopTime, watchdog: Watchdog) -> None:
    told: list[Thing] = []
    first, second, third = (Thing(told) for _ in range(3))
    for thing in (first, second, third):
        watchdog.watch(thing, 3)
    watchdog.done(second, 3)
    await time.go_by(3)
    assert told == [first, third]


async def test_done_may_be_said_again_and_of_what_was_never_watched(
    time: LoopTime, watchdog: Watchdog
) -> None:
    thing, stranger = Thing(), Thing()
    watchdog.done(stranger, 3)
    watchdog.watch(thing, 3)
    for _ in range(2):
        watchdog.done(thing, 3)
    watchdog.done(stranger, 3)
    watchdog.done(stranger, 4)
    await time.go_by(5)
    assert not thing.told + stranger.told


async def test_one_that_is_added_while_others_wait_has_all_of_its_time(
    time: LoopTime, watchdog: Watchdog
) -> None:
    early, late = Thing(), Thing()
    watchdog.watch(early, 3)
    await time.go_by(2)
    watchdog.watch(late, 3)
    await time.go_by(1)
    assert (early.told, late.told) == ([early], [])
    await time.go_by(1.875)
    assert not late.told
    await time.go_by(0.125)
    assert late.told == [late]


async def test_one_that_is_added_when_all_others_are_done(time: LoopTime, watchdog: Watchdog) -> None:
    early, late = Thing(), Thing()
    watchdog.watch(early, 3)
    await time.go_by(2)
    watchdog.done(early, 3)
    watchdog.watch(late, 3)
    await time.go_by(2)  # the timer went off for the first, and found the second
    assert not late.told
    await time.go_by(1)
    assert late.told == [late]


async def test_one_may_be_watched_again(time: LoopTime, watchdog: Watchdog) -> None:
    thing = Thing()
    for _ in range(2):
        watchdog.watch(thing, 3)
        await time.go_by(3)
    assert thing.told == [thing, thing]


async def test_two_durations(time: LoopTime, watchdog: Watchdog) -> None:
    told: list[Thing] = []
    long, short, other = (Thing(told) for _ in range(3))
    watchdog.watch(long, 5)
    watchdog.watch(short, 1)
    watchdog.watch(other, 1)
    watchdog.done(other, 5)  # not how long it may take
    await time.go_by(1)
    assert told == [short, other]
    await time.go_by(4)
    assert told == [short, other, long]


async def test_many_share_a_timer(time: LoopTime, watchdog: Watchdog) -> None:
    things = [Thing() for _ in range(1000)]
    for thing in things:
        watchdog.watch(thing, 3)
        time.now += 0.001
        watchdog.done(thing, 3)
    assert len(time.timers) == 1
    watchdog.watch(things[0], 3)
    for _ in range(7):
        await time.go_by(0.25)
    assert len(time.timers) == 1
    await time.go_by(0.75)  # the first went off, and found one that is due later
    assert len(time.timers) == 2
    await time.go_by(1)
    assert things[0].told
    assert len(time.timers) == 2


async def test_when_nothing_is_left_there_is_no_timer_and_no_new_one_until_there_is(
    time: LoopTime, watchdog: Watchdog
) -> None:
    for _ in range(3):
        thing = Thing()
        watchdog.watch(thing, 3)
        assert len(time.to_come()) == 1
        watchdog.done(thing, 3)
        for _ in range(3):
            await time.go_by(3)
        assert not time.to_come()
    assert len(time.timers) == 3


async def test_nothing_is_kept_alive(time: LoopTime, watchdog: Watchdog) -> None:
    done, told = Thing(), Thing()
    alive = [weakref.ref(done), weakref.ref(told)]
    watchdog.watch(done, 3)
    watchdog.done(done, 3)
    del done
    assert alive[0]() is None
    watchdog.watch(told, 3)
    await time.go_by(3)
    told.told.clear()  # it is in its own list
    del told
    assert alive[1]() is None


async def test_the_loop_does_not_keep_it(time: LoopTime) -> None:
    watchdog = Watchdog()
    alive = weakref.ref(watchdog)
    watchdog.watch(Thing([]), 3)
    await time.go_by(3)
    time.timers.clear()
    del watchdog
    gc.collect()
    assert alive() is None


class TestClose:
    async def test_nothing_is_told_any_more(self, time: LoopTime, watchdog: Watchdog) -> None:
        things = [Thing() for _ in range(4)]
        for seconds, thing in enumerate(things, 1):
            watchdog.watch(thing, seconds)
        await time.go_by(1)
        watchdog.close()
        assert not time.to_come()
        await time.go_by(10)
        assert [bool(thing.told) for thing in things] == [True, False, False, False]

    async def test_things_are_let_go(self, time: LoopTime, watchdog: Watchdog) -> None:
        thing = Thing()
        alive = weakref.ref(thing)
        watchdog.watch(thing, 3)
        watchdog.close()
        del thing
        assert alive() is None

    async def test_what_was_watched_may_end_after_it(self, time: LoopTime, watchdog: Watchdog) -> None:
        thing = Thing()
        watchdog.watch(thing, 3)
        watchdog.close()
        watchdog.done(thing, 3)
        watchdog.close()

    async def test_it_can_watch_again(self, time: LoopTime, watchdog: Watchdog) -> None:
        watchdog.watch(Thing(), 3)
        watchdog.close()
        thing = Thing()
        watchdog.watch(thing, 3)
        await time.go_by(3)
        assert thing.told == [thing]


async def test_in_real_time() -> None:
    loop, watchdog = asyncio.get_running_loop(), Watchdog()
    told: list[Thing] = []
    short, long = Thing(told), Thing(told)
    began = loop.time()
    watchdog.watch(long, 0.02)
    watchdog.watch(short, 0.01)
    while len(told) < 2:  # noqa: ASYNC110  # what is waited for is no coroutine
        await asyncio.sleep(0.001)
    assert loop.time() - began >= 0.02
    assert told == [short, long]


# ---------------------------------------------------------------- properties

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("watch"), st.sampled_from([1, 2, 5])),
        st.tuples(st.just("done"), st.integers(0, 10)),
        st.tuples(st.just("go by"), st.integers(0, 3)),
    ),
    max_size=30,
)


async def check(time: LoopTime, steps: list[tuple[str, int]]) -> None:
    """As a table would have it that is looked through whenever time goes by."""
    watchdog, told = Watchdog(), list[Thing]()
    waiting: dict[Thing, tuple[float, int]] = {}
    for step, number in steps:
        match step:
            case "watch":
                thing = Thing(told)
                watchdog.watch(thing, number)
                waiting[thing] = time.now + number, number
            case "done":
                if waiting:
                    thing = list(waiting)[number % len(waiting)]
                    watchdog.done(thing, waiting.pop(thing)[1])
            case _:
                await time.go_by(number)
                due = [thing for thing, (when, _) in waiting.items() if when <= time.now]
                for seconds in (1, 2, 5):
                    of_those = [thing for thing in due if waiting[thing][1] == seconds]
                    assert [thing for thing in told if thing in of_those] == of_those
                assert len(told) == len(due)
                told.clear()
                for thing in due:
                    del waiting[thing]
        assert len(time.to_come()) <= 3
    await time.go_by(20)
    assert len(told) == len(waiting)
    assert not time.to_come()


@settings(max_examples=50)
@given(STEPS)
def test_each_is_told_when_it_is_due(steps: list[tuple[str, int]]) -> None:
    with asyncio.Runner() as runner:
        time = LoopTime(runner.get_loop())
        time.take_over()
        runner.run(check(time, steps))

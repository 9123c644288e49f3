"""A rate limit shared through a Redis server, which is stopped, killed and emptied; its time is a key that tests set."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.internals import poll_redis_often, use_redis_time
from tests.support.loops import until
from tests.support.redis import RedisServer, redis_server
from voucherify_async import ApiKeys, ConfigurationError, RateLimit, RateLimiter, RateLimitError, RetryPolicy
from voucherify_async.redis import RedisRateLimiter
from voucherify_async.sandbox import Quota, Sandbox

PERIOD = 60.0


def left_of(seconds: float) -> Any:
    """What is left of a wait: never more than the whole, and less on a machine that stalls, but not half of it."""
    return pytest.approx(seconds * 0.75, abs=seconds * 0.25 + 0.01)


LEASE = 30.0
PERMITS = "{voucherify}:api_calls:permits"
QUEUE = "{voucherify}:api_calls:queue"
SLOW = 2.0
"""The timeout in seconds where Redis is slow; longer than a server that is not takes."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        server.command("SET", "now", 1_000_000_000)
        yield server


@pytest.fixture
def _redis_time(monkeypatch: pytest.MonkeyPatch) -> None:
    use_redis_time(monkeypatch)


redis_time = pytest.mark.usefixtures("_redis_time")


def limiter_of(server: RedisServer, limit: int = 5, **settings: Any) -> RedisRateLimiter:
    defaults: dict[str, Any] = {"limit": limit, "period": PERIOD, "timeout": 30}
    return RedisRateLimiter(server.url, **defaults | settings)


def advance(server: RedisServer, seconds: float) -> None:
    server.command("INCRBY", "now", round(seconds * 1e6))
    time.sleep(0.01)  # what a limiter knows of the time before is outdated


async def acquire(limiter: RateLimiter, max_wait: float = 0.0, kind: str = "api_calls") -> float | None:
    acquired = limiter.acquire(kind, max_wait)
    assert isinstance(acquired, Awaitable)
    wait: float | None = await acquired
    return wait


def release(limiter: RateLimiter, rate_limit: RateLimit | None = None, wait: float | None = None) -> None:
    assert limiter.release("api_calls", rate_limit, wait) is None


async def acquire_all(limiter: RateLimiter, kind: str = "api_calls") -> int:
    count = 0
    while await acquire(limiter, kind=kind) is None:
        count += 1
    return count


async def queued(server: RedisServer, processes: Callable[[], int]) -> None:
    """Wait until so many processes are in the queue, all of which have seen the time."""

    def is_so() -> bool:
        entries: dict[str, str] = server.command("HGETALL", QUEUE)
        now = server.command("GET", "now")
        return [entry.split()[-1] for entry in entries.values()] == [now] * processes()

    await until(is_so)


async def stamped(server: RedisServer, count: int) -> None:
    """Wait until the server knows that so many permits are those of ended requests."""

    def is_so() -> bool:
        now = int(server.command("GET", "now"))
        return int(server.command("ZCOUNT", PERMITS, f"({now}", now + PERIOD * 1e6)) == count

    await until(is_so)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def last_permit(server: RedisServer) -> list[str]:
    """The permit that counts longest, and until when."""
    found: list[str] = server.command("ZRANGE", PERMITS, -1, -1, "WITHSCORES")
    return found


def changed(server: RedisServer, before: list[str]) -> bool:
    return last_permit(server) != before


@redis_time
class TestOneLimit:
    async def test_two_limiters_share_it_and_each_kind_has_its_own(self, redis: RedisServer) -> None:
        async with limiter_of(redis) as one, limiter_of(redis) as other, limiter_of(redis, key="b") as apart:
            assert [await acquire(one) for _ in range(3)] == [None] * 3
            assert await acquire_all(other) == 2
            assert await acquire(one) == left_of(PERIOD)
            assert await acquire_all(one, "bulk_api_calls") == 5
            assert await acquire_all(other, "bulk_api_calls") == 0
            assert await acquire_all(apart) == 5

    async def test_a_permit_counts_until_a_period_after_its_request_ended(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 1) as limiter, limiter_of(redis, 1) as other:
            for held in (1, 50):
                assert await acquire(limiter) is None
                advance(redis, held)
                before = last_permit(redis)
                release(limiter)
                await until(partial(changed, redis, before))
                advance(redis, PERIOD - 20)
                assert await acquire(other) == left_of(20)
                advance(redis, 20)

            assert await acquire(other) is None

    async def test_processes_share_it(self, redis: RedisServer) -> None:
        program = f"""
import asyncio
from voucherify_async.redis import RedisRateLimiter

async def main():
    async with RedisRateLimiter({redis.url!r}, limit=12, period=3600, timeout=30) as limiter:
        print(sum([await limiter.acquire("api_calls", 0) is None for _ in range(10)]))

asyncio.run(main())
"""
        command = [sys.executable, "-W", "error", "-c", program]
        started = [await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE) for _ in range(2)]
        told = [(await process.communicate())[0] for process in started]
        assert sum(map(int, told)) == 12

    async def test_a_killed_process_loses_its_permits_and_its_place(self, redis: RedisServer) -> None:
        program = f"""
import asyncio
from voucherify_async._shared_limit import server
server.SCRIPT = server.SCRIPT.replace("redis.call('TIME')", "{{0, tonumber(redis.call('GET', 'now'))}}")
from voucherify_async.redis import RedisRateLimiter

async def main():
    limiter = RedisRateLimiter({redis.url!r}, limit=5, period={PERIOD}, timeout=30)
    for _ in range(6):
        assert await limiter.acquire("api_calls", 600) is None

asyncio.run(main())
"""
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        await queued(redis, lambda: 1)
        process.kill()
        await process.wait()
        async with limiter_of(redis) as limiter:
            advance(redis, LEASE + PERIOD - 1)
            assert await acquire_all(limiter) == 0
            advance(redis, 1)
            assert await acquire_all(limiter) == 5

    async def test_all_keys_expire_and_expired_permits_are_removed(self, redis: RedisServer) -> None:
        async with limiter_of(redis) as limiter:
            for _ in range(3):
                assert await acquire_all(limiter) == 5
                for _ in range(5):
                    release(limiter)
                await stamped(redis, 5)
                assert redis.command("ZCARD", PERMITS) == 5
                advance(redis, PERIOD + 10)
            keys = [key for key in redis.command("KEYS", "*") if key != "now"]
            assert len(keys) == 3
            assert all(0 < redis.command("TTL", key) < 600 for key in keys)

    async def test_it_limits_the_calls_of_a_client(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 2) as limiter, Sandbox() as sandbox:
            settings: Any = {"rate_limiter": limiter, "retry": RetryPolicy(max_server_wait=1)}
            async with sandbox.client(**settings) as voucherify:
                for _ in range(2):
                    await voucherify.customers.list()
                with pytest.raises(RateLimitError) as refused:
                    await voucherify.customers.list()
                assert refused.value.retry_after == left_of(PERIOD)
                other = voucherify.with_options(auth=ApiKeys(sandbox.app_id, sandbox.app_token))
                with pytest.raises(RateLimitError):  # it is an object of the user's: not made anew
                    await other.customers.list()
            assert len(sandbox.requests) == 2


@redis_time
class TestWaiting:
    async def test_first_come_first_served(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 1) as limiter:
            assert await acquire(limiter) is None
            release(limiter)
            order: list[int] = []

            async def call(number: int) -> None:
                assert await acquire(limiter, math.inf) is None
                order.append(number)
                release(limiter)

            async with asyncio.TaskGroup() as calls:
                for number in range(3):
                    calls.create_task(call(number))
                    await asyncio.sleep(0)
                for number in range(3):
                    await stamped(redis, 1)
                    await queued(redis, lambda: 1)
                    assert await acquire(limiter) is not None  # it does not overtake
                    advance(redis, PERIOD)
                    while len(order) <= number:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
            assert order == [0, 1, 2]

    async def test_processes_wait_in_turn(self, redis: RedisServer) -> None:
        async with (
            limiter_of(redis, 1) as first,
            limiter_of(redis, 1) as second,
            limiter_of(redis, 1) as third,
        ):
            assert await acquire(third) is None
            release(third)
            await stamped(redis, 1)
            order: list[RateLimiter] = []

            async def call(limiter: RateLimiter) -> None:
                assert await acquire(limiter, math.inf) is None
                order.append(limiter)

            async with asyncio.TaskGroup() as calls:
                calls.create_task(call(second))
                await queued(redis, lambda: 1)
                advance(redis, 1)
                calls.create_task(call(first))
                await queued(redis, lambda: 2)
                for _ in range(90):
                    advance(redis, 2)
                    await queued(redis, lambda: 2 - len(order))
            assert order == [second, first]

    async def test_many_calls_of_one_process_do_not_starve_another(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 10) as greedy, limiter_of(redis, 10) as modest:
            tasks = [asyncio.create_task(acquire(greedy, math.inf)) for _ in range(60)]
            await queued(redis, lambda: 1)
            task = asyncio.create_task(acquire(modest, math.inf))
            await queued(redis, lambda: 2)
            while not task.done():
                advance(redis, 2)
                await queued(redis, lambda: 1 if task.done() else 2)
            # Ten before the other came, ten that had been waiting before it, and what is left of the next ten.
            assert sum(each.done() for each in tasks) <= 29
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def test_a_turn_ends_also_if_its_permits_come_one_by_one(self, redis: RedisServer) -> None:
        async with (
            limiter_of(redis, 12) as first,
            limiter_of(redis, 12) as greedy,
            limiter_of(redis, 12) as modest,
        ):
            for count in (1, 1, 1, 1, 1, 7):
                assert [await acquire(first) for _ in range(count)] == [None] * count
                before = last_permit(redis)
                for _ in range(count):
                    release(first)
                await until(partial(changed, redis, before))
                advance(redis, 5)
            tasks = [asyncio.create_task(acquire(greedy, math.inf)) for _ in range(60)]
            await queued(redis, lambda: 1)
            task = asyncio.create_task(acquire(modest, math.inf))
            await queued(redis, lambda: 2)
            for _ in range(40):
                advance(redis, 2)
                await queued(redis, lambda: 1 if task.done() else 2)
            assert task.done()
            assert sum(each.done() for each in tasks) == 11
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def test_it_waits_no_longer_than_it_may(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 1) as limiter:
            assert await acquire(limiter) is None
            release(limiter)
            await stamped(redis, 1)
            assert await acquire(limiter, 5) == left_of(PERIOD)  # at once, as it is known
            await until(lambda: not redis.command("EXISTS", QUEUE))
            waiting = asyncio.create_task(acquire(limiter, math.inf))
            await queued(redis, lambda: 1)
            assert await acquire(limiter, 0) == left_of(PERIOD)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def test_behind_others_it_gives_up_in_time(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 1, period=0.1) as limiter:
            assert await acquire(limiter) is None  # held, so that it depends on its end
            task = asyncio.create_task(acquire(limiter, math.inf))
            await queued(redis, lambda: 1)
            assert await acquire(limiter, 0.2) is not None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def test_closing_refuses_calls_that_wait(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 1) as limiter:
            assert await acquire(limiter) is None
            task = asyncio.create_task(acquire(limiter, math.inf))
            await queued(redis, lambda: 1)
        assert await task == left_of(PERIOD)
        assert not redis.command("EXISTS", QUEUE)


@redis_time
class TestCancellation:
    async def test_a_call_that_waits(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 1) as limiter:
            assert await acquire(limiter) is None
            release(limiter)
            first, second = (asyncio.create_task(acquire(limiter, math.inf)) for _ in range(2))
            await queued(redis, lambda: 1)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await stamped(redis, 1)
            advance(redis, PERIOD)
            assert await second is None

    async def test_while_redis_decides(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 1) as limiter, limiter_of(redis, 1) as other:
            assert await acquire(limiter, kind="bulk_api_calls") is None  # it has a connection
            redis.signal(signal.SIGSTOP)
            task = asyncio.create_task(acquire(limiter))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            redis.signal(signal.SIGCONT)
            await until(lambda: redis.command("EXISTS", "{voucherify}:api_calls:processes"))
            await until(lambda: redis.command("ZCARD", PERMITS) == 0)
            assert await acquire(other) is None

    async def test_with_a_permit_that_it_has_not_seen_yet(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 2) as limiter, limiter_of(redis, 2) as other:

            async def first() -> None:
                assert await acquire(limiter) is None
                second.cancel()

            task = asyncio.create_task(first())
            second = asyncio.create_task(acquire(limiter))
            await task
            with pytest.raises(asyncio.CancelledError):
                await second
            await until(lambda: redis.command("ZCARD", PERMITS) == 1)
            assert await acquire_all(other) == 1


def reported(remaining: int, kind: str | None = None) -> RateLimit:
    retry_at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return RateLimit(limit=100, remaining=remaining, retry_at=retry_at, kind=kind)


@redis_time
class TestWhatResponsesReport:
    async def learned(self, redis: RedisServer, others: int) -> None:
        await until(lambda: redis.command("HGET", "{voucherify}:api_calls:state", "others") == str(others))

    async def test_calls_of_other_software_count(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 100) as limiter, limiter_of(redis, 100) as other:
            assert await acquire(limiter) is None
            release(limiter, reported(remaining=9))
            await self.learned(redis, 90)
            assert await acquire_all(other) == 9
            advance(redis, PERIOD / 10)  # a tenth of them has expired by now
            assert await acquire_all(other) == 9
            release(other, reported(remaining=82))
            await self.learned(redis, 0)
            assert await acquire_all(limiter) == 81

    async def test_a_full_limit_is_no_pause(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 3) as limiter:
            assert await acquire_all(limiter) == 3
            for _ in range(3):
                release(limiter, reported(remaining=0), 999.0)
            await stamped(redis, 3)
            advance(redis, PERIOD)
            assert await acquire_all(limiter) == 3

    @pytest.mark.parametrize("report", [reported(0, "api_calls"), None])
    async def test_a_429_pauses_all(self, redis: RedisServer, report: RateLimit | None) -> None:
        async with limiter_of(redis) as limiter, limiter_of(redis) as other:
            assert await acquire(limiter) is None
            release(limiter, report, 100.0)
            await until(
                lambda: redis.command("HGET", "{voucherify}:api_calls:state", "paused") not in {None, "0"}
            )
            wait = await acquire(other)
            assert wait == left_of(100)
            assert await acquire(other, kind="bulk_api_calls") is None
            advance(redis, 101)
            assert await acquire_all(other) == 5

    async def test_a_plan_that_is_used_up_is_another_limit(self, redis: RedisServer) -> None:
        async with limiter_of(redis) as limiter:
            assert await acquire(limiter) is None
            release(limiter, reported(0, "api_calls_cycle"), 100.0)
            await stamped(redis, 1)
            assert await acquire_all(limiter) == 4

    async def test_a_service_with_a_smaller_limit(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 1000) as limiter, Sandbox(rate_limit=Quota(20, 3600)) as sandbox:
            async with sandbox.client(rate_limiter=limiter) as voucherify:
                for _ in range(20):
                    await voucherify.customers.list()
            await self.learned(redis, 980)
            assert await acquire(limiter) is not None
            assert [exchange.status for exchange in sandbox.requests] == [200] * 20


@redis_time
class TestLowPriority:
    async def test_it_leaves_room_and_shares_the_count(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 10) as limiter, limiter_of(redis, 10) as other:
            low = limiter.low_priority(reserve=0.4)
            assert await acquire_all(low) == 6
            assert await acquire_all(other.low_priority(reserve=0.4)) == 0
            assert await acquire_all(other) == 4
            assert repr(low) == "<low priority, at most 6 permits>"

    async def test_other_calls_may_use_the_whole_limit(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 10) as limiter:
            assert [await acquire(limiter) for _ in range(9)] == [None] * 9
            assert await acquire_all(limiter.low_priority()) == 1

    async def test_other_calls_that_wait_are_first(self, redis: RedisServer) -> None:
        async with limiter_of(redis, 2) as limiter:
            low = limiter.low_priority()
            assert await acquire_all(limiter) == 2
            release(limiter)
            await stamped(redis, 1)
            waiting = asyncio.create_task(acquire(low, math.inf))
            await queued(redis, lambda: 1)
            urgent = asyncio.create_task(acquire(limiter, math.inf))
            await queued(redis, lambda: 2)
            for _ in range(30):
                advance(redis, 2)
                await queued(redis, lambda: 1 if urgent.done() else 2)
            assert urgent.done()
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


class TestWithoutRedis:
    """No test waits for a period to end; what the clock of the server says does not matter."""

    @pytest.fixture(autouse=True)
    def _often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        poll_redis_often(monkeypatch)

    async def test_killed_and_restarted_empty(
        self, redis: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "voucherify_async")
        async with limiter_of(redis, 8) as limiter, limiter_of(redis, 8) as other:
            assert await acquire(other) is None
            assert [await acquire(limiter) for _ in range(2)] == [None] * 2
            release(limiter)
            redis.kill()
            # An equal share of the limit for each of two processes, of which two permits are in use.
            assert await acquire_all(limiter) == 2
            assert len(warnings(caplog)) == 1
            assert "ConnectionError" in warnings(caplog)[0]
            redis.start()
            await self.back(limiter, caplog, 1)
            # It knows the permits from before and from meanwhile.
            await until(lambda: redis.command("ZCARD", PERMITS) == 4)
            await self.back(other, caplog, 2)
            await until(lambda: redis.command("ZCARD", PERMITS) == 5)
            assert await acquire_all(limiter) == 3

    async def back(self, limiter: RedisRateLimiter, caplog: pytest.LogCaptureFixture, count: int) -> None:
        """Make calls until Redis was found to be back so many times; calls of another kind, which do not count."""
        while sum("answers again" in record.getMessage() for record in caplog.records) < count:
            await acquire(limiter, kind="bulk_api_calls")
            limiter.release("bulk_api_calls", None, None)
            await asyncio.sleep(0.01)

    async def test_stopped(self, redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "voucherify_async")
        async with limiter_of(redis, 40, timeout=SLOW, local_limit=20) as limiter:
            assert await acquire(limiter) is None
            loop = asyncio.get_running_loop()
            redis.signal(signal.SIGSTOP)
            began = loop.time()
            tasks = [asyncio.create_task(acquire(limiter, math.inf)) for _ in range(10)]
            assert await asyncio.gather(*tasks) == [None] * 10
            assert loop.time() - began < 2 * SLOW
            began = loop.time()
            for _ in range(9):  # now that it is known, no call waits
                assert await acquire(limiter) is None
                await asyncio.sleep(0.01)
            assert loop.time() - began < SLOW
            assert await acquire(limiter) is not None
            assert len(warnings(caplog)) == 1
            redis.signal(signal.SIGCONT)
            await self.back(limiter, caplog, 1)
            assert await acquire(limiter) is None
            assert len(warnings(caplog)) == 1

    @pytest.mark.parametrize("command", ["FLUSHALL", "SCRIPT FLUSH"])
    async def test_flushed(self, redis: RedisServer, command: str, caplog: pytest.LogCaptureFixture) -> None:
        async with limiter_of(redis, 8) as limiter, limiter_of(redis, 8) as other:
            assert [await acquire(limiter) for _ in range(3)] == [None] * 3
            assert [await acquire(other) for _ in range(2)] == [None] * 2
            redis.command(*command.split())
            assert await acquire(limiter) is None
            assert await acquire(other) is None
            release(limiter)
            release(other)
            await until(lambda: redis.command("ZCARD", PERMITS) == 7)
            assert await acquire_all(limiter) == 1
        assert warnings(caplog) == []

    async def test_never_there(self, redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
        redis.kill()
        async with limiter_of(redis, 8) as limiter, Sandbox() as sandbox:
            assert await acquire_all(limiter) == 2  # a quarter
            assert await acquire_all(limiter.low_priority()) == 0
            async with sandbox.client(rate_limiter=limiter) as voucherify:
                impatient = voucherify.with_options(retry=RetryPolicy(max_server_wait=1))
                with pytest.raises(RateLimitError):
                    await impatient.customers.list()
                release(limiter, reported(0, "api_calls"), 500.0)
                assert await acquire(limiter) == left_of(500)
                await voucherify.customers.update_in_bulk([{"source_id": "a"}])
        assert len(warnings(caplog)) == 1

    async def test_a_server_that_answers_with_errors(
        self, redis: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "voucherify_async")
        async with limiter_of(redis, 100) as limiter:
            assert await acquire(limiter) is None
            redis.command("REPLICAOF", "127.0.0.1", 1)  # a replica does not write
            for _ in range(20):
                assert await acquire(limiter) is None
                await asyncio.sleep(0.01)
            assert len(caplog.records) == 1
            assert warnings(caplog) == [
                "Redis does not answer (ReadOnlyError); each process limits its own calls until it does"
            ]
            redis.command("REPLICAOF", "NO", "ONE")
            await self.back(limiter, caplog, 1)

    async def test_calls_that_wait_locally_go_on(self, redis: RedisServer) -> None:
        redis.kill()
        async with limiter_of(redis, 1, period=0.05) as limiter:
            for _ in range(3):
                assert await acquire(limiter, math.inf) is None
                release(limiter)

    @pytest.mark.parametrize("given", ["wrong", "right"])
    async def test_the_password_is_not_told(
        self, tmp_path: Path, given: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        password = "very-secret-password"
        with redis_server(tmp_path, password) as server:
            url = server.url if given == "right" else server.url.replace(password, f"{password}-no")
            async with RedisRateLimiter(url, limit=8, period=PERIOD, timeout=30) as limiter:
                assert await acquire(limiter) is None
                shown = [repr(limiter), repr(vars(limiter)), repr(limiter.low_priority()), *warnings(caplog)]
        assert not any(password in text for text in shown)
        assert len(warnings(caplog)) == (given == "wrong")


class TestLifetime:
    async def test_a_client_that_is_given_stays_open(self, redis: RedisServer) -> None:
        async with Redis(port=redis.port) as client:
            async with RedisRateLimiter(client, limit=1, period=PERIOD, timeout=30) as limiter:
                assert await acquire(limiter) is None
            assert await client.ping()
            assert len(redis.command("CLIENT", "LIST").splitlines()) == 2

    async def test_a_client_of_its_own_is_closed_and_opened_again(self, redis: RedisServer) -> None:
        async with limiter_of(redis) as limiter:
            assert await acquire(limiter) is None
        await until(lambda: len(redis.command("CLIENT", "LIST").splitlines()) == 1)
        async with limiter:
            assert await acquire_all(limiter) == 4
        await limiter.aclose()

    def test_loops_and_threads(self, redis: RedisServer) -> None:
        limiter = limiter_of(redis, 100)
        found: list[int] = []

        async def use() -> None:
            async with limiter:
                calls = [acquire(limiter) for _ in range(30)]
                found.append(sum(wait is None for wait in await asyncio.gather(*calls)))

        asyncio.run(use())
        threads = [threading.Thread(target=asyncio.run, args=[use()]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(found) == 100

    async def test_a_forked_process_has_a_connection_of_its_own(self, redis: RedisServer) -> None:
        program = f"""
import asyncio, os
from voucherify_async.redis import RedisRateLimiter

limiter = RedisRateLimiter({redis.url!r}, limit=10, period=3600, timeout=30)
loop = asyncio.new_event_loop()

async def use():
    assert await limiter.acquire("api_calls", 0) is None

loop.run_until_complete(use())
child = os.fork()
loop = loop if child else asyncio.new_event_loop()
for _ in range(3):
    loop.run_until_complete(use())
if not child:
    loop.run_until_complete(limiter.aclose())
    os._exit(0)  # the finalizers of asyncio would unregister the parent's sockets
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(use())
loop.run_until_complete(limiter.aclose())
loop.close()
"""
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        assert await process.wait() == 0
        assert redis.command("ZCARD", PERMITS) == 8


URL = "redis://:very-secret@localhost"
GOOD = {"url_or_client": URL, "limit": 1, "period": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("url_or_client", value) for value in ("http://:very-secret@x", f"{URL}:port", "", None, 7)),
        *(("limit", value) for value in (0, 1.5, True, None, "9")),
        *(("period", value) for value in (0, -1, math.inf, None, "9")),
        *(("timeout", value) for value in (0, None)),
        *(("lease", value) for value in (0, None)),
        *(("local_limit", value) for value in (0, 1.5)),
        *(("key", value) for value in ("", None, 7)),
        ("clock", 7),
    ],
)
def test_invalid_arguments(name: str, value: Any) -> None:
    arguments: Any = {**GOOD, name: value}
    with pytest.raises(ConfigurationError, match=f"^{name} ") as raised:
        RedisRateLimiter(arguments.pop("url_or_client"), **arguments)
    assert "very-secret" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("reserve", [0, 1, -1, 2, True, None, "0.5", 0.99])
def test_invalid_reserves(reserve: Any) -> None:
    limiter = RedisRateLimiter(URL, limit=10, period=1)
    with pytest.raises(ConfigurationError, match="^reserve "):
        limiter.low_priority(reserve)
    assert repr(limiter) == "RedisRateLimiter(limit=10, period=1, key='voucherify')"


def test_without_redis_py_it_says_how_to_install_it() -> None:
    program = "import sys; sys.modules['redis.asyncio'] = None; import voucherify_async.redis"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (
        "ImportError: voucherify_async.redis needs redis-py: pip install 'voucherify-async[redis]'"
        in done.stderr
    )

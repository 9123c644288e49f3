"""What tests need of the inside of the package, and no public API offers.

Only this module, `clocks`, and the unit tests of a module use private attributes.
"""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from voucherify_async import AdaptiveRateLimiter, LocalRateLimiter, VoucherifyClient
from voucherify_async._sync.state import SyncState
from voucherify_async._transport.clock import Clock
from voucherify_async._transport.rate_limit import WaitQueue
from voucherify_async._transport.token_manager import TokenManager
from voucherify_async.sandbox import Exchange, Sandbox
from voucherify_async.sandbox._store.store import Store

if TYPE_CHECKING:
    from voucherify_async.otel import OpenTelemetryHook  # an extra

# ---------------------------------------------------------------- the client


def remembered_limiters(client: VoucherifyClient) -> int:
    """How many rate limiters the log of waits remembers: a leak shows nowhere else."""
    return len(client._sessions.pool.throttle_log._episodes)


def limited_attempts(client: VoucherifyClient, seconds: float) -> int:
    """How many attempts the watchdog watches with this limit: a leak shows nowhere else."""
    return len(client._sessions.pool._watchdog._due_times.get(seconds, ()))


def close_gate(client: VoucherifyClient, kind: str, seconds: float) -> None:
    """Delay the calls of a kind as a 429 does, where no server can be made to send one."""
    client._sessions.options.project.gate.close(kind, seconds)


def token_is_fetched(client: VoucherifyClient) -> bool:
    """Whether a request for a token is in flight: it may go on when the call that started it has ended."""
    return _token_manager(client)._refresh_task is not None


def calls_waiting_for_a_token(client: VoucherifyClient) -> int:
    """How many calls wait for the token that is being fetched: nothing is sent before it is there."""
    return len(getattr(_token_manager(client)._refresh_task, "_callbacks", None) or ())


def _token_manager(client: VoucherifyClient) -> TokenManager:
    manager = client._sessions.options.auth
    assert isinstance(manager, TokenManager)
    return manager


def slots_in_use(client: VoucherifyClient) -> int:
    """How many slots of the pool are not free: one that is lost shows only when all are."""
    pool = client._sessions.pool
    return 0 if pool._slots is None else pool.settings.max_connections - pool._slots.value


def calls_waiting_for_a_slot(client: VoucherifyClient) -> int:
    """How many calls wait for a slot of the pool."""
    slots = client._sessions.pool._slots
    return 0 if slots is None else slots.statistics().tasks_waiting


def acquired_protocols(client: VoucherifyClient) -> list[Any]:
    """aiohttp's protocols of the connections that are in use."""
    session = client._sessions.pool._session
    return [] if session is None else list(getattr(session.connector, "_acquired"))  # noqa: B009


def calls_waiting_at_the_gate(client: VoucherifyClient, kind: str = "api_calls") -> int:
    """How many calls wait because the service rejected one for a rate limit."""
    return client._sessions.options.project.gate.queues[kind]._waiting


def calls_waiting_for_the_limiter(client: VoucherifyClient) -> int:
    """How many calls wait for the client's rate limiter."""
    return sum(queue._waiting for queue in _limiter_queues(client))


def _limiter_queues(client: VoucherifyClient) -> list[WaitQueue]:
    limiter = client._sessions.options.rate_limiter
    if isinstance(limiter, LocalRateLimiter):
        return [limiter._queue]
    if isinstance(limiter, AdaptiveRateLimiter):
        return [queue for _, queue in limiter._by_kind.values()]
    return []


def check_queues_are_empty(client: VoucherifyClient) -> None:
    """Check that no queue has a waiting call, a locked place, or a permit that was not released."""
    limiter = client._sessions.options.rate_limiter
    if isinstance(limiter, LocalRateLimiter):
        assert limiter._pace._in_flight == 0
    if isinstance(limiter, AdaptiveRateLimiter):
        assert not any(pace._in_flight for pace, _ in limiter._by_kind.values())
    queues = [*client._sessions.options.project.gate.queues.values(), *_limiter_queues(client)]
    states = [(queue._waiting, queue._first_lock.locked()) for queue in queues]
    assert states == [(0, False)] * len(queues)


def listing(pager: Any) -> Any:
    """What a pager uses to fetch its pages."""
    return pager._listing


def parts_of(client: VoucherifyClient) -> Iterator[object]:
    """The objects inside a client that a traceback, a debugger or an error reporter may show."""
    sessions = client._sessions
    yield from (sessions, sessions.options, sessions.options.auth)
    yield from (sessions.pool, sessions.pool.settings, sessions.options.project)
    yield from (vars(client), vars(sessions), vars(sessions.pool))


def open_spans(hook: OpenTelemetryHook) -> int:
    """How many calls a hook remembers: a leak shows nowhere else."""
    return len(hook._calls)


# ---------------------------------------------------------------- sync jobs


def on_opening(monkeypatch: pytest.MonkeyPatch, work: Callable[[sqlite3.Connection], object]) -> None:
    """Do some work in the thread that opens a state file, as a slow disk would."""
    prepare = SyncState._prepare

    def prepared(state: SyncState, path: str, database: sqlite3.Connection) -> None:
        prepare(state, path, database)
        work(database)

    monkeypatch.setattr(SyncState, "_prepare", prepared)


# ---------------------------------------------------------------- the sandbox


def before_answers(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, act: Callable[[web.Request, bytes], object]
) -> None:
    """Do something before a sandbox answers a request, given with its body; an `ApiError` is the answer."""
    answer = sandbox._answer

    def acting(request: web.Request, body: bytes, request_id: str) -> Any:
        act(request, body)
        return answer(request, body, request_id)

    monkeypatch.setattr(sandbox, "_answer", acting)


def after_exchanges(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, act: Callable[[], object]) -> None:
    """Do something after each request to a sandbox, before its response is sent."""
    record = sandbox._record

    def acting(exchange: Exchange) -> None:
        record(exchange)
        act()

    monkeypatch.setattr(sandbox, "_record", acting)


def change_records(monkeypatch: pytest.MonkeyPatch, change: Callable[[Exchange], Exchange]) -> None:
    """Change each exchange that a sandbox records, before anything checks it."""
    record = Sandbox._record

    def changed(sandbox: Sandbox, exchange: Exchange) -> None:
        record(sandbox, change(exchange))

    monkeypatch.setattr(Sandbox, "_record", changed)


def stalled_requests(sandbox: Sandbox) -> int:
    """How many requests are stalled, which are recorded before that and end without a trace."""
    return len(sandbox._fault_injector._stalled)


def stale_connections(sandbox: Sandbox) -> int:
    """How many connections the sandbox remembers for the fault `stale_keepalive`."""
    return len(sandbox._fault_injector._stale)


def open_connections(sandbox: Sandbox) -> int:
    """How many connections the sandbox has open."""
    assert sandbox._runner is not None
    assert sandbox._runner.server is not None
    return len(sandbox._runner.server.connections)


def saved_state(sandbox: Sandbox) -> Any:
    """The state file of a sandbox."""
    assert sandbox._state is not None
    return sandbox._state


def database(state: Any) -> sqlite3.Connection:
    """The database of the state file of a sandbox."""
    found: sqlite3.Connection = state._database
    return found


def forget_jobs(store: Store) -> None:
    """Lose all jobs, as no call of the API can."""
    store.jobs.clear()
    store._queued_jobs.clear()


def use_webhook_clock(sandbox: Sandbox, clock: Clock) -> None:
    """Replace the clock by which a sandbox waits before it repeats a webhook."""
    assert sandbox._webhooks is not None
    sandbox._webhooks._clock = clock


# ---------------------------------------------------------------- the limit in Redis


def use_redis_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the key `now` of a Redis server be its time, in microseconds; scripts are run often while calls wait."""
    from voucherify_async._shared_limit.script import SCRIPT  # an extra, as below

    ours = "{0, tonumber(redis.call('GET', 'now') or '1000000000')}"
    assert "redis.call('TIME')" in SCRIPT
    script = SCRIPT.replace("redis.call('TIME')", ours)
    monkeypatch.setattr("voucherify_async._shared_limit.server.SCRIPT", script)
    poll_redis_often(monkeypatch)


def poll_redis_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run scripts and look whether Redis is back after a moment in place of a second."""
    for module in ("lines", "server"):
        monkeypatch.setattr(f"voucherify_async._shared_limit.{module}.POLL_SECONDS", 0.005)


async def disconnect_schedules(source: Any) -> None:
    """Close the connections of a schedule source of taskiq-redis, whose `shutdown` leaves them open."""
    await source._connection_pool.disconnect()

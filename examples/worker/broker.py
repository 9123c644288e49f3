"""The broker, and the client of each worker process, with settings from the environment."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Annotated

from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq.serializers import JSONSerializer
from taskiq_redis import ListRedisScheduleSource, RedisAsyncResultBackend, RedisStreamBroker

from voucherify_async import VoucherifyClient
from voucherify_async.redis import RedisRateLimiter

from .retries import RetryMiddleware

REDIS_URL = os.environ["REDIS_URL"]
TASK_SECONDS = float(os.environ.get("WORKER_TASK_SECONDS", "600"))
"""A task that has not ended after this time is given to another worker: the first one was probably killed."""
RESULT_SECONDS = 7 * 24 * 3600

# JSON, as pickle would let everyone who can write to Redis run code in the workers.
retries = ListRedisScheduleSource(REDIS_URL, serializer=JSONSerializer())
broker = (
    RedisStreamBroker(
        REDIS_URL,
        consumer_id="0",  # also tasks that were sent before the first worker started
        maxlen=100_000,  # Redis keeps messages after they are acknowledged
        idle_timeout=int(TASK_SECONDS * 1000),
        unacknowledged_lock_timeout=10.0,
        xread_count=1,  # no task waits in a worker that is busy,
        unacknowledged_batch_size=1,  # where its time would run out
    )
    .with_result_backend(
        RedisAsyncResultBackend(REDIS_URL, result_ex_time=RESULT_SECONDS, serializer=JSONSerializer())
    )
    .with_middlewares(
        RetryMiddleware(
            default_retry_label=True,
            default_retry_count=20,
            default_delay=float(os.environ.get("WORKER_RETRY_SECONDS", "15")),
            schedule_source=retries,
        )
    )
)


# ---------------------------------------------------------------- the process


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_client(state: TaskiqState) -> None:
    """Open the client when the process starts."""
    state.running = set[asyncio.Task[object]]()
    async with AsyncExitStack() as stack:
        limiter = await stack.enter_async_context(
            RedisRateLimiter(
                REDIS_URL,
                limit=int(os.environ["VOUCHERIFY_RATE_LIMIT"]),  # calls of all workers together
                period=float(os.environ.get("VOUCHERIFY_RATE_PERIOD", "60")),
            )
        )
        # A call that would wait longer for the limit fails, and its task is retried.
        client = VoucherifyClient(rate_limiter=limiter, deadline=TASK_SECONDS / 4)
        state.voucherify = await stack.enter_async_context(client)
        # Syncs leave half of the limit to the other tasks, which somebody may wait for.
        state.background = client.with_options(rate_limiter=limiter.low_priority(), deadline=None)
        state.close = stack.pop_all().aclose


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_client(state: TaskiqState) -> None:
    """Cancel the tasks that did not end in time, wait until their retries are scheduled, and close the client."""
    running: set[asyncio.Task[object]] = state.get("running", set())
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    if "close" in state:
        await state.close()


# ---------------------------------------------------------------- dependencies


def track_task(context: Annotated[Context, TaskiqDepends()]) -> Iterator[Context]:
    """Register the asyncio task while its function runs, so that `close_client` can cancel it."""
    task = asyncio.current_task()
    context.state.running.add(task)
    try:
        yield context
    finally:
        context.state.running.discard(task)


TrackedContext = Annotated[Context, TaskiqDepends(track_task)]


def get_client(context: TrackedContext) -> VoucherifyClient:
    """The client of the process."""
    client: VoucherifyClient = context.state.voucherify
    return client


def get_background_client(context: TrackedContext) -> VoucherifyClient:
    """The client of the process, for work that can wait."""
    client: VoucherifyClient = context.state.background
    return client


VoucherifyDep = Annotated[VoucherifyClient, TaskiqDepends(get_client)]
BackgroundDep = Annotated[VoucherifyClient, TaskiqDepends(get_background_client)]

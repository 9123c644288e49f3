"""`examples/worker` with a Redis server, processes of taskiq that can be killed, and a sandbox as the service."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.internals import disconnect_schedules
from tests.support.interop import missing
from tests.support.loops import until
from tests.support.programs import EXAMPLES
from tests.support.redis import RedisServer, redis_server
from voucherify_async import (
    AuthenticationError,
    DeadlineExceededError,
    OutcomeUnknownError,
    RateLimitError,
    ReadTimeoutError,
    ServerError,
    SyncReport,
    SyncStateError,
    SyncTimeoutError,
)
from voucherify_async.sandbox import Quota, Sandbox

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

ROOT = EXAMPLES.parent
MODULES = ("redis", "taskiq", "taskiq_redis")
MANY = 3_000
BATCH = 100
LIMIT, PERIOD = 40, 1.0
STREAM = GROUP = "taskiq"
LEAKS = re.compile(
    "ResourceWarning|Exception ignored|Task was destroyed|Task exception|never (retrieved|awaited)|[Uu]nclosed"
)


@pytest.fixture(autouse=True)
def installed() -> None:
    for name in MODULES:
        if importlib.util.find_spec(name) is None:
            missing(f"{name} is not installed; `make interop` installs it")
    if shutil.which("redis-server") is None:
        missing("redis-server is not installed")


# ---------------------------------------------------------------- the processes


class Program:
    """A process of taskiq, with the commands of the example's README.

    Attributes:
        process: The process, which leads a group of its own.
        stopped: Whether the test has stopped it.
    """

    def __init__(self, name: str, log_path: Path, environment: dict[str, str], *options: str) -> None:
        self.stopped = False
        self._log_path = log_path
        [command] = re.findall(
            rf"^taskiq {name} .+", (EXAMPLES / "worker/README.md").read_text(), re.MULTILINE
        )
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "dev", "-W", "error", "-m", *command.split(), *options],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def has_logged(self, text: str) -> bool:
        assert self.process.poll() is None, self.log
        return text in self.log

    def kill(self) -> None:
        """Kill the process and its children, as a machine that loses its power."""
        self.stopped = True
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    async def stop(self) -> None:
        """Stop the process as an orchestrator does, and check that nothing is left behind."""
        self.stopped = True
        self.process.send_signal(signal.SIGTERM)
        await until(lambda: self.process.poll() is not None)
        assert [line for line in self.log.splitlines() if LEAKS.search(line)] == []


class System:
    """The programs, and a client for the queue.

    Attributes:
        redis: The Redis server.
        sandbox: The service.
        folder: Where sources, state files and logs are.
        tasks: The module with the tasks, to send them.
        programs: The programs that have been started.
    """

    def __init__(
        self, stack: ExitStack, redis: RedisServer, sandbox: Sandbox, folder: Path, tasks: Any
    ) -> None:
        self.redis = redis
        self.sandbox = sandbox
        self.folder = folder
        self.tasks = tasks
        self._stack = stack
        self.programs: list[Program] = []
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("VOUCHERIFY_")}
        self._environment = {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": redis.url,
            "VOUCHERIFY_APP_ID": sandbox.app_id,
            "VOUCHERIFY_APP_TOKEN": sandbox.app_token,
            "VOUCHERIFY_BASE_URL": sandbox.base_url,
            "VOUCHERIFY_RATE_LIMIT": str(LIMIT),
            "VOUCHERIFY_RATE_PERIOD": str(PERIOD),
            "WORKER_BATCH": str(BATCH),
            "WORKER_RETRY_SECONDS": "0.1",
        }

    def _start(self, name: str, *options: str, **environment: str) -> Program:
        path = self.folder / f"{name}-{len(self.programs)}.log"
        program = Program(name, path, self._environment | environment, *options)
        self.programs.append(program)
        self._stack.callback(program.kill)  # if a test fails
        return program

    async def start_worker(self, *options: str, **environment: str) -> Program:
        """Start a worker of one process, and wait until it receives tasks."""
        worker = self._start("worker", "--workers", "1", *options, **environment)
        await until(lambda: worker.has_logged("Listening started"))
        return worker

    def start_scheduler(self, **environment: str) -> Program:
        return self._start("scheduler", "--update-interval", "1", **environment)

    def check_running(self) -> bool:
        """Fail if a program has ended by itself."""
        for program in self.programs:
            assert program.stopped or program.process.poll() is None, program.log
        return True

    async def result_of(self, task: Any) -> Any:
        """Wait for the result of a task that succeeds."""
        await self._ended(task)
        result = await task.get_result()
        assert not result.is_err, result.error
        return result.return_value

    async def error_of(self, task: Any) -> str:
        """Wait for the error of a task that fails, and check that it was not retried."""
        await self._ended(task, retried=False)
        result = await task.get_result()
        assert result.is_err
        return f"{type(result.error).__name__}: {result.error}"

    async def _ended(self, task: Any, *, retried: bool = True) -> None:
        while not await task.is_ready():
            self.check_running()
            assert retried or "Retrying" not in "".join(program.log for program in self.programs)
            await asyncio.sleep(0.01)

    def write(self, name: str, text: str) -> str:
        """Write a source, and return its path."""
        (self.folder / name).write_text(text)
        return self.path(name)

    def write_customers(self, source_ids: list[str]) -> str:
        """Write a source with these customers, and return its path."""
        lines = (
            {"source_id": one, "name": f"Name {one}", "metadata": {"tier": "gold"}} for one in source_ids
        )
        return self.write("crm.ndjson", "".join(json.dumps(line) + "\n" for line in lines))

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def age_messages(self) -> None:
        """Let the workers see the messages that are not acknowledged as if they had been delivered an hour ago."""
        with self._connect() as client:
            for message in client.xpending_range(STREAM, GROUP, "-", "+", 100):
                client.xclaim(
                    STREAM,
                    GROUP,
                    message["consumer"],
                    0,
                    [message["message_id"]],
                    idle=3_600_000,
                    justid=True,
                )

    def unacknowledged(self) -> int:
        with self._connect() as client:
            count: int = client.xpending(STREAM, GROUP)["pending"]
            return count

    def _connect(self) -> Any:
        from redis import Redis

        return Redis.from_url(self.redis.url)

    def customers(self) -> dict[str | None, tuple[Any, Any]]:
        """What the sandbox has."""
        self.sandbox.store.advance()
        records = self.sandbox.store.customers.values()
        assert len({record.source_id for record in records}) == len(records)
        return {record.source_id: (record.fields["name"], record.metadata) for record in records}


def expected(source_ids: list[str]) -> dict[str | None, tuple[Any, Any]]:
    return {one: (f"Name {one}", {"tier": "gold"}) for one in source_ids}


def import_tasks(redis_url: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", redis_url)
        patch.syspath_prepend(EXAMPLES)
        for name in ("worker", "worker.broker", "worker.retries", "worker.tasks"):
            patch.delitem(sys.modules, name, raising=False)
        return importlib.import_module("worker.tasks")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
async def system(redis: RedisServer, tmp_path: Path) -> AsyncGenerator[System]:
    tasks = import_tasks(redis.url)
    await tasks.broker.startup()
    try:
        async with Sandbox(rate_limit=Quota(LIMIT, PERIOD), job_seconds=0.1) as sandbox:
            with ExitStack() as stack:
                yield System(stack, redis, sandbox, tmp_path, tasks)
    finally:
        await tasks.broker.shutdown()


@contextmanager
def no_job_ends(sandbox: Sandbox) -> Generator[None]:
    """Stop the clock of the background jobs, so that a sync takes until the end of the block."""
    clock = sandbox.store.clock
    now = clock()
    sandbox.store.clock = lambda: now
    yield
    sandbox.store.clock = clock


# ---------------------------------------------------------------- tests


async def test_task_of_a_killed_worker_is_continued_by_another(system: System) -> None:
    source_ids = [f"crm-{number}" for number in range(MANY)]
    source, state = system.write_customers(source_ids), system.path("crm.state")
    first = await system.start_worker()
    task = await system.tasks.sync_customers.kiq(source, state)
    await until(lambda: len(system.sandbox.store.customers) > 8 * BATCH)
    first.kill()
    assert len(system.sandbox.store.customers) < MANY
    assert system.unacknowledged() == 1

    second, third = await asyncio.gather(system.start_worker(), system.start_worker())
    await system.result_of(await system.tasks.wake_up.kiq())
    assert not second.has_logged("Executing task sync_customers")  # the first one could still be running
    assert not third.has_logged("Executing task sync_customers")
    system.age_messages()
    await system.tasks.wake_up.kiq()
    signups = [f"new-{number}" for number in range(3 * LIMIT)]
    upserts = [
        await system.tasks.upsert_customer.kiq(one, {"name": f"Name {one}", "metadata": {"tier": "gold"}})
        for one in signups
    ]
    counts = await system.result_of(task)
    assert counts["read"] == counts["sent"] + counts["unchanged"] == MANY
    assert counts["sent"] == counts["succeeded"]
    assert counts["unchanged"] >= 4 * BATCH  # what the first worker knew to be done is not sent again
    ids = [await system.result_of(upsert) for upsert in upserts]
    assert len(set(ids)) == len(ids)
    assert system.customers() == expected([*source_ids, *signups])
    await until(lambda: system.unacknowledged() == 0)
    # Without one limit for both workers, many of their calls would be too many.
    rejected = [exchange for exchange in system.sandbox.requests if exchange.status == 429]
    assert len(rejected) < 0.01 * len(system.sandbox.requests)
    await asyncio.gather(second.stop(), third.stop())


async def test_tasks_with_one_state_file_run_one_after_the_other(system: System) -> None:
    source_ids = [f"crm-{number}" for number in range(5 * BATCH)]
    source, state = system.write_customers(source_ids), system.path("crm.state")
    system.start_scheduler()
    await asyncio.gather(system.start_worker(), system.start_worker())
    with no_job_ends(system.sandbox):
        tasks = [await system.tasks.sync_customers.kiq(source, state) for _ in range(2)]
        await until(lambda: any("Retrying" in program.log for program in system.programs))
    first, second = sorted(
        [await system.result_of(task) for task in tasks], key=lambda counts: counts["unchanged"]
    )
    assert (first["succeeded"], first["unchanged"]) == (len(source_ids), 0)
    assert (second["sent"], second["unchanged"]) == (0, len(source_ids))
    assert system.customers() == expected(source_ids)


async def test_failures_that_do_not_pass_are_not_retried(system: System) -> None:
    source, state = system.write_customers(["crm-1"]), system.path("crm.state")
    async with system.sandbox.client() as voucherify:
        await voucherify.customers.sync([{"source_id": "crm-1"}], state=state, project="another")
    worker = await system.start_worker()
    sync, upsert = system.tasks.sync_customers, system.tasks.upsert_customer
    assert "it is of the project another" in await system.error_of(await sync.kiq(source, state))

    csv, csv_state = system.write("crm.csv", "Name,Source_id\nAda,crm-2\n"), system.path("csv.state")
    assert (await system.result_of(await sync.kiq(csv, csv_state)))["succeeded"] == 1
    assert "SyncStateError" in await system.error_of(await sync.kiq(source, csv_state))
    # A file that is not a database.
    assert "damaged" in await system.error_of(await sync.kiq(source, source))
    assert "FileNotFoundError" in await system.error_of(await sync.kiq("nowhere.ndjson", state))

    system.sandbox.fail_next("customers.create", status=401, times=1)
    assert "AuthenticationError" in await system.error_of(await upsert.kiq("crm-1", {}))
    assert "ValueError" in await system.error_of(await upsert.kiq("crm-1", {"birthdate": "yesterday"}))
    await until(lambda: system.unacknowledged() == 0)
    assert await system.result_of(await upsert.kiq("crm-1", {"name": "Ada"}))
    await worker.stop()


async def test_customers_that_cannot_be_sent_are_counted(system: System) -> None:
    await system.start_worker()
    source = system.write(
        "crm.ndjson", '{"source_id": "crm-1"}\n\nnot JSON\n{"source_id": "crm-2", "name": 7}\n'
    )
    counts = await system.result_of(await system.tasks.sync_customers.kiq(source, system.path("crm.state")))
    assert (counts["read"], counts["succeeded"], counts["invalid"]) == (3, 1, 2)


async def test_tasks_that_can_succeed_later_are_retried(system: System) -> None:
    source_ids = [f"crm-{number}" for number in range(2 * BATCH)]
    worker = await system.start_worker(WORKER_TASK_SECONDS="4")  # a turn of a sync has two
    system.start_scheduler()
    system.sandbox.fail_next("customers.create", status=500, times=4)  # all attempts of the SDK
    with no_job_ends(system.sandbox):
        sync = await system.tasks.sync_customers.kiq(
            system.write_customers(source_ids), system.path("crm.state")
        )
        upsert = await system.tasks.upsert_customer.kiq("crm-0", {"name": "Name crm-0"})
        await until(lambda: worker.has_logged("Task sync_customers failed. Retrying 1/20"))
        await until(lambda: worker.has_logged("Task upsert_customer failed. Retrying 1/20"))
    await system.result_of(upsert)
    await system.result_of(sync)
    assert system.customers() == expected(source_ids)
    statuses = [one.status for one in system.sandbox.requests if one.target == "/v1/customers"]
    assert (statuses.count(500), statuses[-1]) == (4, 200)


async def test_nightly_sync_is_handed_over_when_its_worker_stops(system: System) -> None:
    source_ids = [f"crm-{number}" for number in range(5 * BATCH)]
    source, state = system.write_customers(source_ids), system.path("crm.state")
    first = await system.start_worker("--wait-tasks-timeout", "0.1")
    with no_job_ends(system.sandbox):
        system.start_scheduler(NIGHTLY_SOURCE=source, NIGHTLY_STATE=state, NIGHTLY_CRON="* * * * *")
        await until(lambda: system.check_running() and system.sandbox.store.jobs)
        await first.stop()
        assert "CancelledError" in first.log
        assert system.unacknowledged() == 0  # a retry is scheduled
        second = await system.start_worker()
        await until(lambda: second.has_logged("Executing task sync_customers"))
    await until(lambda: system.check_running() and system.customers() == expected(source_ids))


async def test_worker_that_stops_ends_a_short_task(system: System) -> None:
    worker = await system.start_worker()
    system.sandbox.latency = 1.0
    task = await system.tasks.upsert_customer.kiq("crm-1", {"name": "Ada"})
    await until(lambda: worker.has_logged("Executing task upsert_customer"))
    await worker.stop()
    assert await task.is_ready()
    await system.result_of(task)
    assert system.unacknowledged() == 0


QUOTA_USED_UP = RateLimitError(status=429)
QUOTA_USED_UP.kind = "api_calls_cycle"


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (SyncStateError(reason="in_use"), True),
        (SyncStateError(reason="other_project"), False),
        (SyncStateError(reason="other_kind"), False),
        (SyncStateError(reason="damaged"), False),
        (SyncStateError(reason="unwritable"), False),
        (ReadTimeoutError(), True),
        (DeadlineExceededError(), True),
        (ServerError(status=503), True),
        (SyncTimeoutError(), True),
        (asyncio.CancelledError(), True),
        (RateLimitError(status=429), True),
        (QUOTA_USED_UP, False),
        (OutcomeUnknownError(), False),
        (AuthenticationError(status=401), False),
        (ValueError(), False),
    ],
)
async def test_which_errors_are_retried(redis: RedisServer, error: BaseException, *, retryable: bool) -> None:
    assert bool(await schedules_after(redis, error, retries=0)) is retryable


async def test_when_a_task_is_retried(redis: RedisServer) -> None:
    limited = RateLimitError(status=429)
    limited.retry_after = 1_000.0
    assert (await schedules_after(redis, limited, retries=0))[0].time.timestamp() > time.time() + 900
    assert (await schedules_after(redis, ServerError(), retries=3))[0].labels["_retries"] == "4"
    assert await schedules_after(redis, ServerError(), retries=19) == []


async def test_sync_that_makes_progress_is_retried_without_limit(redis: RedisServer) -> None:
    for sent, scheduled in ((5, 1), (0, 0)):
        error = SyncTimeoutError()
        error.report = SyncReport(
            read=9, sent=sent, succeeded=sent, failed=0, invalid=0, resent=0, failures=(), jobs=()
        )
        assert len(await schedules_after(redis, error, retries=19)) == scheduled


async def schedules_after(redis: RedisServer, error: BaseException, *, retries: int) -> list[Any]:
    """The scheduled retries of a task that failed with this error after so many retries."""
    from taskiq import ScheduledTask, TaskiqMessage, TaskiqResult

    redis.command("FLUSHALL")
    tasks = import_tasks(redis.url)
    message = TaskiqMessage(
        task_id="1", task_name="sync_customers", labels={"_retries": retries}, args=[], kwargs={}
    )
    result: Any = TaskiqResult(is_err=True, return_value=None, execution_time=1.0, error=error)
    [middleware] = tasks.broker.middlewares
    try:
        await middleware.on_error(message, result, error)
    finally:
        await disconnect_schedules(middleware.schedule_source)
    keys = redis.command("KEYS", "schedule:data:*")
    return [ScheduledTask.model_validate_json(redis.command("GET", key)) for key in keys]

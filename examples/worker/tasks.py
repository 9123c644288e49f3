"""The tasks and their schedule."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from taskiq import TaskiqScheduler
from taskiq.schedule_sources import LabelScheduleSource

from voucherify_async import SyncOptions

from .broker import TASK_SECONDS, BackgroundDep, VoucherifyDep, broker, retries

BATCH = int(os.environ.get("WORKER_BATCH", "5000"))
"""The most customers in a request. After a crash, those of the open requests may be sent again."""
COUNTS = ("read", "sent", "succeeded", "failed", "invalid", "duplicates", "unchanged", "missing")


def nightly() -> list[dict[str, Any]]:
    """The schedule of the nightly sync, if the environment names a source and a state file."""
    if "NIGHTLY_SOURCE" not in os.environ:
        return []
    files = [os.environ["NIGHTLY_SOURCE"], os.environ["NIGHTLY_STATE"]]
    return [{"cron": os.environ.get("NIGHTLY_CRON", "0 3 * * *"), "args": files}]  # UTC


def read_customers(file: BinaryIO) -> Iterator[Any]:
    """Yield the customer on each line. A line that is not JSON is yielded as text, which the sync reports as invalid."""
    for line in file:
        if not line.isspace():
            try:
                yield msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                yield line.decode(errors="replace")


@broker.task(task_name="sync_customers", schedule=nightly())
async def sync_customers(source: str, state: str, voucherify: BackgroundDep) -> dict[str, int | None]:
    """Send the customers of a file (.csv, or JSON lines) that are new or have changed since the last sync.

    The state file makes repetitions safe: a task that is retried, or given to another worker, continues. All workers
    need both files at the same paths. The result has the counts of this turn; the customers that earlier turns of the
    same task have sent are `unchanged`.
    """
    # Shorter than TASK_SECONDS, so that no other worker is given the task while it runs; a retry continues it.
    options = SyncOptions(state=state, max_body_items=BATCH, timeout=TASK_SECONDS / 2)
    if source.endswith(".csv"):
        report: Any = await voucherify.customers.sync_csv(source, **options)
    else:
        with Path(source).open("rb") as file:  # noqa: ASYNC230  # a local file does not block for long
            report = await voucherify.customers.sync(read_customers(file), **options)
    return {name: getattr(report, name) for name in COUNTS}


@broker.task(task_name="upsert_customer")
async def upsert_customer(source_id: str, fields: dict[str, Any], voucherify: VoucherifyDep) -> str:
    """Create or update a customer, for example after a sign-up or a webhook, and return its id.

    With an id of your own, it is safe to run twice. If the rate limit delays the call for too long, it is retried.
    """
    customer = await voucherify.customers.create(fields, source_id=source_id)
    return customer.id


@broker.task(task_name="wake_up", schedule=[{"interval": 60}])
async def wake_up() -> None:
    """Do nothing. A worker looks for the tasks of killed workers only after it has received a task."""


scheduler = TaskiqScheduler(broker, [LabelScheduleSource(broker), retries])

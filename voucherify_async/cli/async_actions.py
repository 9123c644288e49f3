"""The commands ``async-actions ...``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from voucherify_async.cli._connection import Connection
from voucherify_async.cli._exit_codes import ExitCode
from voucherify_async.cli._options import Json, Limit, Seconds
from voucherify_async.cli._output import (
    notice,
    print_json,
    print_list,
    print_record,
    print_table,
    progress_bar,
)
from voucherify_async.errors import AsyncActionFailedError

if TYPE_CHECKING:
    from voucherify_async.client import VoucherifyClient
    from voucherify_async.models import AsyncAction

__all__ = ["app", "print_job", "wait_for"]

_COLUMNS: Final = {
    "id": "id",
    "type": "type",
    "status": "status",
    "progress": "progress",
    "created_at": "created_at",
}
_MAX_FAILURES: Final = 50

app = App(name="async-actions", help="Look at background jobs, and wait for them.")

JobId = Annotated[str, Parameter(name="ID")]


@app.command
def get(job_id: JobId, /, *, as_json: Json = False, connection: Connection = Connection()) -> ExitCode:
    """Print a job and its result. The exit code is 1 if it failed, or if some of its items did.

    Args:
        job_id: The id of the job.
    """
    job = connection.run(lambda voucherify: voucherify.async_actions.get(job_id))
    return print_job(job, as_json=as_json)


@app.command(name="list")
def list_jobs(*, limit: Limit = 20, as_json: Json = False, connection: Connection = Connection()) -> None:
    """List jobs, newest first, without their results.

    Args:
        limit: The most jobs to print.
    """

    async def read(voucherify: VoucherifyClient) -> None:
        pager = voucherify.async_actions.list(limit=min(limit, 100))
        await print_list(pager, limit, _COLUMNS, as_json=as_json)

    connection.run(read)


@app.command
def wait(
    job_id: JobId,
    /,
    *,
    timeout: Seconds = None,
    as_json: Json = False,
    connection: Connection = Connection(),
) -> ExitCode:
    """Wait until a job has ended, and print its result. The exit code is 1 if it failed, or if some of its items did.

    Args:
        job_id: The id of the job.
        timeout: The longest wait, in seconds. The exit code is 4 if the job has not ended by then. Default: no limit.
    """
    job = connection.run(lambda voucherify: wait_for(voucherify, job_id, timeout))
    return print_job(job, as_json=as_json)


async def wait_for(voucherify: VoucherifyClient, job_id: str, timeout: float | None) -> AsyncAction[Any]:  # noqa: ASYNC109  # passed on
    """Wait until a job has ended, with a progress bar, and return it, also if it failed."""
    with progress_bar("percent") as advance:
        try:
            return await voucherify.async_actions.wait(
                job_id, timeout=timeout, on_progress=lambda job: advance(int(job.progress or 0), 100)
            )
        except AsyncActionFailedError as error:
            if error.action is None:
                raise
            return error.action


def print_job(job: AsyncAction[Any], *, as_json: bool) -> ExitCode:
    """Print a job and its failed items.

    Returns:
        Whether the job, or some of its items, failed.
    """
    result = job.result
    failed = getattr(result, "failed_count", None)
    failures = getattr(result, "errors", None) or getattr(result, "failed", None) or ()
    code = ExitCode.SOME_FAILED if job.status == "FAILED" or failed else ExitCode.DONE
    if as_json:
        print_json([job])
        return code
    print_record(
        [
            ("id", job.id),
            ("type", job.type),
            ("status", job.status),
            ("progress", None if job.progress is None else f"{job.progress} %"),
            ("created_at", job.created_at),
            ("done", getattr(result, "done_count", None)),
            ("failed", failed),
        ]
    )
    if failures:
        rows = [
            (
                getattr(failure, "row", None),
                failure.source_id or failure.code,
                getattr(failure, "reason", None) or getattr(failure, "message", None),
            )
            for failure in failures[:_MAX_FAILURES]
        ]
        print_table(("row", "source_id", "message"), rows)
        if len(failures) > _MAX_FAILURES:
            notice(f"... and {len(failures) - _MAX_FAILURES:,} more: --json prints all of them.")
    return code

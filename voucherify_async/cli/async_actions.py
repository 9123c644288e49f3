"""The commands ``async-actions ...``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from voucherify_async.cli._connection import Connection
from voucherify_async.cli._exit_codes import ExitCode
from voucherify_async.cli._jobs import print_job, wait_for
from voucherify_async.cli._options import Json, Limit, Seconds
from voucherify_async.cli._output import print_list

if TYPE_CHECKING:
    from voucherify_async.client import VoucherifyClient

__all__ = ["app"]

_COLUMNS: Final = {
    "id": "id",
    "type": "type",
    "status": "status",
    "progress": "progress",
    "created_at": "created_at",
}

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

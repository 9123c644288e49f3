"""Background jobs: waiting for them, and printing their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from voucherify_async.cli._exit_codes import ExitCode
from voucherify_async.cli._output import notice, print_json, print_record, print_table, progress_bar
from voucherify_async.errors import AsyncActionFailedError

if TYPE_CHECKING:
    from voucherify_async.client import VoucherifyClient
    from voucherify_async.models import AsyncAction

__all__ = ["print_job", "wait_for"]

_MAX_FAILURES: Final = 50


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

"""A sync job and its state file. The numbers come from two syncs with the sandbox."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from docs.pictures.canvas import WIDTH, Canvas
from voucherify_async import SyncReport
from voucherify_async._sync.spec import DEFAULT_BODY_BYTES, DEFAULT_BODY_ITEMS, SyncSettings
from voucherify_async.sandbox import Sandbox

__all__ = ["draw"]

_CUSTOMERS: Final = 30_000
_CHANGED: Final = 40


def _source(changed: int) -> Iterator[dict[str, Any]]:
    for number in range(_CUSTOMERS):
        yield {"source_id": f"crm-{number}", "metadata": {"visits": int(number < changed)}}


async def _run() -> list[SyncReport[Any]]:
    """The reports of a first sync, and of a second one for which some customers have changed."""
    with tempfile.TemporaryDirectory() as folder:
        async with Sandbox(job_seconds=0) as sandbox, sandbox.client() as voucherify:
            state = Path(folder, "crm.sqlite")
            return [
                await voucherify.customers.sync(_source(changed), state=state) for changed in (0, _CHANGED)
            ]


async def draw() -> str:
    """The picture."""
    first, second = await _run()
    assert second.read == second.unchanged + second.sent
    megabytes = DEFAULT_BODY_BYTES // 1_000_000
    jobs = SyncSettings().concurrency
    canvas = Canvas(
        "sync",
        642,
        title="A sync with a state file",
        description=(
            "The source is read on demand, and each customer is checked and encoded. Customers that are unchanged "
            f"according to the state file are left out. The others are sent in batches of up to {megabytes} MB and "
            f"{DEFAULT_BODY_ITEMS:,} customers, of which {jobs} are processed by background jobs at once. The outcome "
            "of each customer goes into the report and the state file. After a kill, the next sync first waits for "
            "the jobs that were still open, and then sends all customers whose outcome was not recorded."
        ),
    )
    left, width = 20, 240
    middle, side = left + 30, 296
    y = canvas.step(left, 48, width, "source", ["read on demand"])
    for heading, lines in (
        ("check and encode", ["invalid: reported, not sent"]),
        ("skip unchanged", ["as the state file says"]),
        ("batches", [f"up to {megabytes} MB, {DEFAULT_BODY_ITEMS:,} each"]),
        (f"jobs, {jobs} at once", ["each is polled until it ends"]),
        ("outcome of each customer", ["done, or failed and why"]),
    ):
        canvas.arrow((middle, y), (middle, y + 20))
        y = canvas.step(left, y + 22, width, heading, lines)
    canvas.arrow((middle, y), (middle, y + 20))
    canvas.box(left, y + 22, width, 34, "green")
    canvas.text(left + 12, y + 44, "SyncReport", "good", bold=True)
    # The state file, beside the steps that use it.
    top, bottom = 198, y
    canvas.box(side, top, WIDTH - side - 20, bottom - top, "blue")
    canvas.text(side + 12, top + 26, "state file", bold=True)
    canvas.text(side + 12, top + 46, "(SQLite)", "muted")
    canvas.arrow((side, top + 26), (left + width + 2, top + 26))
    canvas.text(side + 12, top + 98, "batch, before")
    canvas.text(side + 12, top + 116, "it is sent")
    canvas.arrow((left + width, top + 101), (side - 2, top + 101))
    canvas.text(side + 12, top + 176, "id of the job")
    canvas.arrow((left + width, top + 171), (side - 2, top + 171))
    canvas.text(side + 12, bottom - 34, "digest of what")
    canvas.text(side + 12, bottom - 16, "is done")
    canvas.arrow((left + width, bottom - 26), (side - 2, bottom - 26))
    y += 84
    for name, report in (("first sync", first), ("next night", second)):
        counts = f"{report.read:,} read, {report.unchanged:,} unchanged, {report.sent:,} sent"
        canvas.text(left, y, name, "muted", size=13)
        canvas.text(left + 78, y, counts, size=13)
        y += 20
    canvas.text(left, y + 6, "Killed? The next sync waits for the open jobs, then", bold=True)
    canvas.text(left, y + 26, "sends what has no recorded outcome.", bold=True)
    return canvas.svg

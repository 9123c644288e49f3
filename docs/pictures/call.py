"""The life of a call. Which failures are retried is tried out against the sandbox."""

from __future__ import annotations

import logging
from typing import Final

from docs.pictures.canvas import WIDTH, Canvas
from voucherify_async import RetryEvent, RetryPolicy, VoucherifyError
from voucherify_async.sandbox import Faults, Sandbox

__all__ = ["draw"]

_FAILURES: Final = {
    "no connection": None,
    "429": 429,
    "no response": 0,
    "500, 502-504": 503,
    "404": 404,
}
"""The status of the response to each failed attempt: 0 if there is none, `None` if nothing could be sent."""


class _Retries:
    """A hook that counts retries."""

    def __init__(self) -> None:
        self.count = 0

    def on_retry(self, _: RetryEvent) -> None:
        """Count a retry."""
        self.count += 1


async def _outcome(status: int | None, *, idempotent: bool) -> str:
    """Let a call fail; return whether it was retried, or else the name of its error."""
    retries = _Retries()
    async with Sandbox() as sandbox:
        client = sandbox.client(retry=RetryPolicy(attempts=2, base=0), hooks=[retries])
        if status is None:
            await sandbox.aclose()
        elif status == 0:
            sandbox.faults = Faults(reset=1)
        else:
            operation = "customers.update" if idempotent else "customers.update_in_bulk"
            sandbox.fail_next(operation, status=status, times=2, retry_after=0 if status == 429 else None)
        async with client as voucherify:
            try:
                if idempotent:
                    await voucherify.customers.update("crm-1", name="Ada")
                else:
                    await voucherify.customers.update_in_bulk([{"source_id": "crm-1"}])
            except VoucherifyError as error:
                return "retried" if retries.count else type(error).__name__
    raise AssertionError("the call succeeded")


async def draw() -> str:
    """The picture."""
    logger = logging.getLogger("voucherify_async")
    logger.disabled = True  # it would warn of the retries
    try:
        rows = {
            name: [await _outcome(status, idempotent=idempotent) for idempotent in (True, False)]
            for name, status in _FAILURES.items()
        }
    finally:
        logger.disabled = False
    canvas = Canvas(
        "call",
        652,
        title="The life of a call",
        description=(
            "A call checks its arguments. An attempt acquires a slot of the connection pool, passes the rate limiter, "
            "sends the request and reads the response. A success gives a result. After a failure, the call is "
            "retried or raises an error: "
            + "; ".join(
                f"{name}: idempotent call {safe}, other call {other}" for name, (safe, other) in rows.items()
            )
            + ". Hooks are called before a request, after a response, before a retry, and with the error."
        ),
    )
    left, width, hooks = 40, 250, 312
    canvas.text(left, 62, 'customers.update("crm-1", name="Ada")', mono=True, size=13)
    y = canvas.step(left, 76, width, "check the arguments", ["ValueError: nothing is sent"])
    top = y + 20
    canvas.box(left - 10, top, width + 20, 206, "frame")
    canvas.text(hooks, top + 18, "an attempt", "muted")
    canvas.arrow((left + 24, y), (left + 24, top + 14))
    y = canvas.step(left, top + 16, width, "acquire a slot of the pool")
    canvas.arrow((left + 24, y), (left + 24, y + 18))
    y = canvas.step(left, y + 20, width, "pass the rate limiter", ["while it waits, the slot is free"])
    canvas.arrow((left + 24, y), (left + 24, y + 18))
    canvas.text(hooks, y + 14, "hooks:", "muted")
    canvas.text(hooks, y + 38, "on_request", mono=True, size=13)
    y = canvas.step(left, y + 20, width, "send, read the response", ["within the timeout"])
    canvas.text(hooks, y - 12, "on_response", mono=True, size=13)
    _draw_decision(canvas, rows, top, y)
    return canvas.svg


def _draw_decision(canvas: Canvas, rows: dict[str, list[str]], top: float, y: float) -> None:
    """Draw what follows an attempt: the result, the decision on a retry, the error."""
    left, columns = 40, (148, 258)
    canvas.arrow((left + 24, y), (left + 24, y + 56))
    canvas.text(left + 36, y + 44, "failure", "bad")
    canvas.arrow((left + 200, y), (left + 200, y + 34), (324, y + 34))
    canvas.text(left + 208, y + 50, "success", "good")
    canvas.box(326, y + 17, 94, 34, "green")
    canvas.text(373, y + 39, "result", "good", anchor="middle", bold=True)
    y += 58
    height = 64 + 24 * len(rows)
    canvas.box(left - 10, y, WIDTH - left - 10, height)
    canvas.text(left + 2, y + 24, f"retry? (up to {RetryPolicy().attempts} attempts)", bold=True)
    for place, heading in zip(columns, ("idempotent call", "other call"), strict=True):
        canvas.text(place, y + 48, heading, "muted", size=13)
    for number, (name, outcomes) in enumerate(rows.items()):
        line = y + 72 + 24 * number
        canvas.text(left + 2, line, name, size=13)
        for place, outcome in zip(columns, outcomes, strict=True):
            canvas.text(place, line, outcome, "good" if outcome == "retried" else "bad", size=13)
    # Back to the next attempt.
    canvas.arrow((left - 10, y + 67), (16, y + 67), (16, top + 33), (left - 10, top + 33))
    y += height + 24
    canvas.text(left + 2, y, "retried: after a delay,", "good")
    canvas.text(left + 160, y, "on_retry", mono=True, size=13)
    canvas.text(left + 236, y, "error:", "bad")
    canvas.text(left + 284, y, "on_error", mono=True, size=13)
    canvas.text(left + 2, y + 24, "OutcomeUnknownError: it may have been applied.")

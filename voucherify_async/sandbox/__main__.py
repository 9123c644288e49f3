"""Serve a sandbox from the command line."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Sequence

from voucherify_async.sandbox.server import Sandbox


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m voucherify_async.sandbox", description="A local Voucherify."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8181, help="port; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--customers", type=int, default=0, help="customers to start with (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same customers")
    parser.add_argument(
        "--rate-limit",
        type=int,
        metavar="N",
        help="calls it takes in any minute, bulk calls counted apart (default: any number)",
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that every answer takes longer")
    parser.add_argument(
        "--job-seconds",
        type=float,
        default=0.05,
        help="seconds that any background job takes (default: %(default)s)",
    )
    parser.add_argument(
        "--job-seconds-per-item",
        type=float,
        default=0.000_01,
        help="seconds that each of its items adds (default: %(default)s)",
    )
    return parser.parse_args(argv)


async def serve(argv: Sequence[str] | None = None) -> None:
    """Serve until a signal says to stop."""
    given = _arguments(argv)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # not on every platform; there the default is left
            loop.add_signal_handler(number, stop.set)
    sandbox = Sandbox(
        given.customers,
        seed=given.seed,
        rate_limit=given.rate_limit,
        latency=given.latency,
        job_seconds=given.job_seconds,
        job_seconds_per_item=given.job_seconds_per_item,
        host=given.host,
        port=given.port,
    )
    async with sandbox:
        print(  # noqa: T201  # what the command is for
            f"Voucherify sandbox with {len(sandbox.store.customers):,} customers. Point a client at it with\n"
            f"  export VOUCHERIFY_BASE_URL={sandbox.base_url}\n"
            f"  export VOUCHERIFY_APP_ID={sandbox.app_id}\n"
            f"  export VOUCHERIFY_APP_TOKEN={sandbox.app_token}\n"
            f"Stop it with Ctrl-C.",
            flush=True,
        )
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve())

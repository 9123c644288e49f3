"""Serve a sandbox from the command line."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import signal
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from voucherify_async._transport.settings import is_loopback
from voucherify_async.sandbox._http.faults import Faults, Latency
from voucherify_async.sandbox._http.server import EXPOSED, Sandbox
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.segments import DEFAULT_SEGMENTS, Segment

_PROGRAM: Final = "python -m voucherify_async.sandbox"
_FAULTS: Final = {"reset", "truncate", "stall", "stale-keepalive"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description="A local Voucherify.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name by which it may be called; may be given more than once",
    )
    parser.add_argument(
        "--port", type=int, default=8181, help="port; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--customers", type=int, default=0, help="customers to start with (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same customers")
    parser.add_argument(
        "--load",
        metavar="FILE",
        help="start with the customers of this file: .ndjson or .jsonl, one a line, or .csv as for an import",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="keep everything in this file over a restart; once it is there, its customers are served",
    )
    parser.add_argument(
        "--segment",
        type=_segment,
        action="append",
        default=[],
        metavar="ID:RULES",
        help="a segment by its rules, such as seg_vip:city=London,email=*@example.com,metadata.tier=gold;"
        " may be given several times, and takes the place of the four that there are",
    )
    parser.add_argument(
        "--rate-limit",
        type=int,
        metavar="N",
        help="calls it takes in any minute, bulk calls counted apart (default: any number)",
    )
    parser.add_argument(
        "--latency",
        type=_latency,
        default=0.0,
        metavar="SECONDS",
        help="seconds that every answer takes longer, or a range such as 0.05-0.2",
    )
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="FAULT=PROBABILITY",
        help="how often calls fail: reset, truncate, stall, stale-keepalive or an HTTP status, such as 503=0.01;"
        " may be given several times",
    )
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
    parser.add_argument(
        "--parallel-jobs", action="store_true", help="background jobs run at once, not one after the other"
    )
    return parser


def _latency(text: str) -> Latency:
    # A dash may be a sign, too, of the number or of its exponent.
    found = re.fullmatch(r"([0-9.]+(?:[eE][-+]?[0-9]+)?)-(.+)", text)
    try:
        return (float(found[1]), float(found[2])) if found else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"give seconds or a range such as 0.05-0.2, not {text!r}") from None


def _segment(text: str) -> Segment:
    try:
        return Segment.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fault(text: str) -> tuple[str, float]:
    name, _, probability = text.partition("=")
    if name not in _FAULTS and not (name.isascii() and name.isdecimal()):
        known = ", ".join(sorted(_FAULTS))
        raise argparse.ArgumentTypeError(
            f"there is no fault {name!r}; there are {known}, and statuses like 503"
        )
    try:
        return name, float(probability)
    except ValueError:
        raise argparse.ArgumentTypeError(f"give a probability, as in {name}=0.01, not {text!r}") from None


def _faults(given: Iterable[tuple[str, float]]) -> Faults:
    chances = dict(given)
    return Faults(
        status={int(name): chance for name, chance in chances.items() if name.isdecimal()},
        **{name.replace("-", "_"): chance for name, chance in chances.items() if name in _FAULTS},
    )


def make_sandbox(argv: Sequence[str] | None = None) -> Sandbox:
    """The sandbox that these arguments ask for.

    Raises:
        SystemExit: They make no sense.
    """
    parser = _parser()
    given = parser.parse_args(argv)
    try:
        return Sandbox(
            given.customers,
            seed=given.seed,
            rate_limit=given.rate_limit,
            latency=given.latency,
            faults=_faults(given.fault),
            job_seconds=given.job_seconds,
            job_seconds_per_item=given.job_seconds_per_item,
            quirks=Quirks(parallel_jobs=given.parallel_jobs),
            segments=given.segment or DEFAULT_SEGMENTS,
            load=given.load,
            state=given.state,
            host=given.host,
            allow_hosts=given.allow_host,
            port=given.port,
        )
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))


async def serve(sandbox: Sandbox) -> None:
    """Serve until a signal says to stop.

    Raises:
        SystemExit: It cannot listen there, or it cannot keep what it holds.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # not on every platform; there the default is left
            loop.add_signal_handler(number, stop.set)
    try:
        await sandbox.start()
    except OSError as error:
        raise SystemExit(
            f"{_PROGRAM}: cannot listen on {sandbox.host}, port {sandbox.port}: {error.strerror or error}"
        ) from None
    careful = "" if is_loopback(sandbox.host) else f"Careful: {EXPOSED}.\n"
    try:
        async with contextlib.aclosing(sandbox):
            print(  # noqa: T201  # what the command is for
                f"Voucherify sandbox with {len(sandbox.store.customers):,} customers. Point a client at it with\n"
                f"  export VOUCHERIFY_BASE_URL={sandbox.base_url}\n"
                f"  export VOUCHERIFY_APP_ID={sandbox.app_id}\n"
                f"  export VOUCHERIFY_APP_TOKEN={sandbox.app_token}\n"
                f"{careful}"
                f"Stop it with Ctrl-C.",
                flush=True,
            )
            await stop.wait()
    except (OSError, sqlite3.Error) as error:
        raise SystemExit(f"{_PROGRAM}: what has changed last is not kept: {error}") from None


def main(argv: Sequence[str] | None = None) -> None:
    """Fill a sandbox, and serve it.

    Raises:
        SystemExit: The arguments make no sense, or it cannot be served.
    """
    # Outside of the event loop, in which an interrupt would have to wait until all is there.
    try:
        sandbox = make_sandbox(argv)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    asyncio.run(serve(sandbox))


if __name__ == "__main__":
    main()

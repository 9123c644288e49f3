"""The command ``ping``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from voucherify_async.cli._connection import Connection
from voucherify_async.cli._options import Json
from voucherify_async.cli._output import print_json, print_record

if TYPE_CHECKING:
    from voucherify_async.client import VoucherifyClient

__all__ = ["ping"]


def ping(*, as_json: Json = False, connection: Connection = Connection()) -> None:
    """Call the service, and print the project, its region, and what is left of the rate limit."""
    project = connection.open()

    async def call(voucherify: VoucherifyClient) -> dict[str, Any]:
        started = time.perf_counter()
        page = await voucherify.customers.list(limit=1)
        seconds = time.perf_counter() - started
        limit = voucherify.rate_limit
        return {
            "application_id": project.app_id,
            "url": voucherify.base_url,
            "region": _region(voucherify.base_url),
            "customers": page.total,
            "calls_left": None if limit is None else limit.remaining,
            "calls_limit": None if limit is None else limit.limit,
            "milliseconds": round(seconds * 1000),
        }

    answer = project.run(call)
    if as_json:
        print_json([answer])
    else:
        print_record(
            [
                ("application ID", answer["application_id"]),
                ("service", f"{answer['url']} ({answer['region']})"),
                ("customers", answer["customers"]),
                ("calls left", _of(answer["calls_left"], answer["calls_limit"])),
                ("answered in", f"{answer['milliseconds']:,} ms"),
            ]
        )


def _of(left: int | None, limit: int | None) -> str:
    if left is None:
        return "unknown"
    return f"{left:,}" if limit is None else f"{left:,} of {limit:,}"


def _region(base_url: str) -> str:
    from voucherify_async import Region  # noqa: PLC0415  # takes a while
    from voucherify_async._transport.settings import is_loopback  # noqa: PLC0415

    if is_loopback(urlsplit(base_url).hostname or ""):
        return "this machine"
    return next((region.name.lower() for region in Region if region == base_url), "another cluster")

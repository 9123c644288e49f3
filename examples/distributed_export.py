"""Export customers with the processes of a Dask cluster: one file for each window of creation time.

    python examples/distributed_export.py customers/ --windows 64 --workers 4

It starts a cluster on this machine; `--scheduler tcp://host:8786` uses another one, whose workers need the same package,
the API keys in their environment, and the output folder at the same path. It requires Dask (``pip install --group
distributed``). With `--redis redis://host`, the processes share one rate limit, and leave half of it to
interactive calls.

The output is a part for each window, and `manifest.json` with the number of customers and the digest of each part. A part
is written under another name and then renamed, so it is whole or not there. A worker that dies loses its current window,
which another one reads again. Run the same command again after an interruption: only missing parts are read.
"""

# Dask and pyarrow have no types that pyright can read.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportArgumentType=false

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from distributed import Client, LocalCluster, as_completed

from voucherify_async import Customer, VoucherifyClient, VoucherifyError, Window

RETRIES = 3
"""How often a window is read again after its worker failed. The SDK itself repeats failed calls."""


class Part(msgspec.Struct, frozen=True):
    """A finished part of the export."""

    file: str
    customers: int
    sha256: str


class Manifest(msgspec.Struct):
    """The windows of an export, and the parts that are finished, by the number of their window."""

    format: str
    windows: list[Window]
    parts: dict[int, Part] = {}

    @property
    def customers(self) -> int:
        """The number of customers so far."""
        return sum(part.customers for part in self.parts.values())


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically: a reader sees the old or the new content, never a part of one."""
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@dataclass(frozen=True)
class Settings:
    """What every process needs to know.

    Attributes:
        folder: The output folder.
        format: ``ndjson`` or ``parquet``.
        redis: The URL of the Redis server with which the processes share a rate limit.
        limit: Calls per minute, if there is a Redis server.
    """

    folder: Path
    format: str
    redis: str | None
    limit: int


@asynccontextmanager
async def connect(settings: Settings) -> AsyncGenerator[VoucherifyClient]:
    """A client, whose rate limit is that of all processes if there is a Redis server."""
    if settings.redis is None:
        async with VoucherifyClient() as voucherify:
            yield voucherify
    else:
        from voucherify_async.redis import RedisRateLimiter  # noqa: PLC0415  # needs the extra `redis`

        async with (
            RedisRateLimiter(settings.redis, limit=settings.limit, period=60) as limiter,
            VoucherifyClient(rate_limiter=limiter.low_priority()) as voucherify,
        ):
            yield voucherify


def export_window(number: int, window: Window, settings: Settings) -> dict[str, Any]:
    """Write the customers of a window, and return the fields of its `Part`. Runs in a process of the cluster."""

    async def read() -> list[Customer]:
        async with connect(settings) as voucherify:
            return await voucherify.customers.list(window=window, limit=100).to_list()

    customers = asyncio.run(read())
    to_bytes = to_parquet if settings.format == "parquet" else msgspec.json.Encoder().encode_lines
    content = to_bytes(customers)
    path = settings.folder / f"part-{number:05}.{settings.format}"
    replace_file(path, content)
    return {"file": path.name, "customers": len(customers), "sha256": hashlib.sha256(content).hexdigest()}


def to_parquet(customers: Sequence[Customer]) -> bytes:
    """The customers as a Parquet file. Nested objects are JSON, because their properties differ."""
    import pyarrow as pa  # noqa: PLC0415  # only this format needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    names = ("id", "source_id", "name", "email", "phone", "created_at", "updated_at")
    columns: dict[str, list[Any]] = {name: [] for name in (*names, "metadata", "customer")}
    for customer in customers:
        for name in names:
            columns[name].append(getattr(customer, name))
        columns["metadata"].append(msgspec.json.encode(customer.metadata).decode())
        columns["customer"].append(customer.to_json())
    instant = pa.timestamp("ms", tz="UTC")
    types = {name: instant if name.endswith("_at") else pa.string() for name in columns}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: pa.array(values, types[name]) for name, values in columns.items()}), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_manifest(path: Path, settings: Settings, windows: int) -> Manifest:
    """The manifest of the folder, or a new one with the windows of the customers that exist now."""

    async def plan() -> list[Window]:
        async with connect(settings) as voucherify:
            return list(await voucherify.customers.plan_windows(windows))

    if not path.exists():
        return Manifest(settings.format, asyncio.run(plan()))
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    if manifest.format != settings.format:
        raise SystemExit(f"{path} is of an export as {manifest.format}: use another folder")
    return manifest


def is_whole(folder: Path, part: Part) -> bool:
    """Whether a part is there as it was written."""
    try:
        return hashlib.sha256((folder / part.file).read_bytes()).hexdigest() == part.sha256
    except FileNotFoundError:
        return False


def export(cluster: Client, settings: Settings, windows: int) -> Manifest:
    """Export what is missing, and return the manifest."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    path = settings.folder / "manifest.json"
    manifest = read_manifest(path, settings, windows)
    manifest.parts = {
        number: part for number, part in manifest.parts.items() if is_whole(settings.folder, part)
    }
    replace_file(path, msgspec.json.encode(manifest))
    numbers: dict[Any, int] = {
        cluster.submit(export_window, number, window, settings, retries=RETRIES, pure=False): number
        for number, window in enumerate(manifest.windows)
        if number not in manifest.parts
    }
    failures: list[BaseException] = []
    for future in as_completed(numbers):
        if future.status == "finished":
            manifest.parts[numbers[future]] = msgspec.convert(future.result(), Part)
            replace_file(path, msgspec.json.encode(manifest))
            print(
                f"{len(manifest.parts)} of {len(manifest.windows)} parts, {manifest.customers} customers",
                flush=True,
            )
        else:
            failures.append(future.exception() or RuntimeError(f"window {numbers[future]}: {future.status}"))
    if failures:
        raise failures[0]  # the parts that are finished are kept
    for leftover in settings.folder.glob(".*.new"):  # of workers that died
        leftover.unlink(missing_ok=True)
    return manifest


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Export customers with a Dask cluster.")
    parser.add_argument("folder", type=Path, help="the output folder")
    parser.add_argument("--format", choices=("ndjson", "parquet"), default="ndjson")
    parser.add_argument(
        "--windows", type=int, default=64, help="number of parts, about (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=4, help="processes of a local cluster (default: %(default)s)"
    )
    parser.add_argument("--scheduler", help="the address of a running cluster")
    parser.add_argument(
        "--redis", help="the URL of a Redis server with which the processes share a rate limit"
    )
    parser.add_argument(
        "--limit", type=int, default=600, help="calls per minute, with --redis (default: %(default)s)"
    )
    return parser.parse_args(argv)


def main() -> int:
    args = parse_args()
    with contextlib.ExitStack() as stack:
        address: Any = args.scheduler
        if address is None:
            address = stack.enter_context(
                LocalCluster(n_workers=args.workers, threads_per_worker=1, dashboard_address=None)
            )
        cluster = stack.enter_context(Client(address))
        try:
            settings = Settings(args.folder.absolute(), args.format, args.redis, args.limit)
            manifest = export(cluster, settings, args.windows)
        except VoucherifyError as error:
            print(f"{error}\nRun the same command again to continue.", file=sys.stderr)
            return 1
    print(f"{manifest.customers} customers in {len(manifest.parts)} parts in {args.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Sync a partitioned table of customers to Voucherify with the processes of a Dask cluster.

    python examples/distributed_sync.py split customers.parquet partitions/ --partitions 64
    python examples/distributed_sync.py sync partitions/ states/ --workers 4

`split` writes the rows of a Parquet file to partitions, by a hash of `source_id`: a customer stays in its partition from
one night to the next. `sync` sends each partition with a state file of its own, so only customers that are new or have
changed are sent, and a partition whose worker died is continued by another one. At the end it prints the reports of all
partitions together, and writes the `source_id` of each customer that is no longer in the table to `missing.txt`.

Columns are named after the fields of a customer; all others become metadata. A null clears the value in Voucherify.

`sync` starts a cluster on this machine; `--scheduler tcp://host:8786` uses another one, whose workers need the same
package, the API keys in their environment, and both folders at the same paths. It requires Dask and pyarrow (``pip install
--group distributed``). With `--redis redis://host`, the processes share one rate limit. The exit status is 0 if every
customer succeeded.
"""

# Dask and pyarrow have no types that pyright can read.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportArgumentType=false

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster, as_completed

from voucherify_async import SyncReport, VoucherifyClient

RETRIES = 3
"""How often a partition is continued after its worker failed. The SDK itself repeats failed calls."""
BATCH_ROWS = 10_000
FIELDS = frozenset({"source_id", "name", "email", "phone", "birthdate", "description"})
COUNTS = ("read", "sent", "succeeded", "unchanged", "failed", "invalid", "duplicates", "missing")


def partition_of(source_id: str, partitions: int) -> int:
    """The number of the partition of a customer. Python's own `hash` differs between processes."""
    return zlib.crc32(source_id.encode()) % partitions


def partition_path(folder: Path, number: int, partitions: int, suffix: str) -> Path:
    """The file of a partition. Its name has the number of partitions, as another number mixes the customers anew."""
    return folder / f"{number:05}-of-{partitions:05}.{suffix}"


def split(source: Path, folder: Path, partitions: int) -> int:
    """Write the rows of a Parquet file to partitions, and return their number."""
    folder.mkdir(parents=True, exist_ok=True)
    file, rows = pq.ParquetFile(source), 0
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(
                pq.ParquetWriter(partition_path(folder, number, partitions, "parquet"), file.schema_arrow)
            )
            for number in range(partitions)
        ]
        for batch in file.iter_batches(BATCH_ROWS):
            numbers = [
                partition_of(source_id, partitions) for source_id in batch.column("source_id").to_pylist()
            ]
            positions = pa.array(range(len(numbers)))
            for number in set(numbers):
                mask = pa.array([other == number for other in numbers])
                writers[number].write_batch(batch.take(positions.filter(mask)))
            rows += len(numbers)
    return rows


def read_partition(path: Path, number: int, partitions: int) -> Iterator[dict[str, Any]]:
    """The customers of a partition.

    Raises:
        ValueError: A customer belongs to another partition, where it would look as if it were missing.
    """
    for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS):
        for row in batch.to_pylist():
            if partition_of(row["source_id"], partitions) != number:
                raise ValueError(f"{path}: {row['source_id']} belongs to another partition: run split again")
            customer = {name: value for name, value in row.items() if name in FIELDS}
            customer["metadata"] = {name: value for name, value in row.items() if name not in FIELDS}
            yield customer


@dataclass(frozen=True)
class Settings:
    """What every process needs to know.

    Attributes:
        source: The folder with the partitions.
        states: The folder with the state files.
        partitions: The number of partitions.
        redis: The URL of the Redis server with which the processes share a rate limit.
        limit: Bulk calls per minute, if there is a Redis server.
    """

    source: Path
    states: Path
    partitions: int
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
            VoucherifyClient(rate_limiter=limiter) as voucherify,
        ):
            yield voucherify


def sync_partition(number: int, settings: Settings) -> dict[str, Any]:
    """Send a partition, and return the counts of its report, the missing customers and some failures.

    Runs in a process of the cluster.
    """
    customers = read_partition(
        partition_path(settings.source, number, settings.partitions, "parquet"), number, settings.partitions
    )
    state = partition_path(settings.states, number, settings.partitions, "sqlite")

    async def send() -> SyncReport:
        async with connect(settings) as voucherify:
            return await voucherify.customers.sync(customers, state=state)

    report = asyncio.run(send())
    return {
        "counts": {name: getattr(report, name) or 0 for name in COUNTS},
        "missing": list(report.missing_source_ids()) if report.missing else [],
        "failures": [f"{failure.source_id}: {failure.message}" for failure in report.failures[:10]],
    }


def sync(cluster: Client, settings: Settings) -> tuple[Counter[str], list[str], list[str]]:
    """Send all partitions, and return the sum of their counts, the missing customers and some failures."""
    settings.states.mkdir(parents=True, exist_ok=True)
    counts, missing, failures = Counter[str](), list[str](), list[str]()
    futures = [
        cluster.submit(sync_partition, number, settings, retries=RETRIES, pure=False)
        for number in range(settings.partitions)
    ]
    for future in as_completed(futures):
        result: dict[str, Any] = future.result()
        counts.update(result["counts"])
        missing += result["missing"]
        failures += result["failures"]
    return counts, missing, failures


def count_partitions(folder: Path) -> int:
    """The number of partitions in a folder, all of which have to be there."""
    paths = sorted(folder.glob("*-of-*.parquet"))
    if not paths or paths != [
        partition_path(folder, number, len(paths), "parquet") for number in range(len(paths))
    ]:
        raise SystemExit(f"{folder} does not have all partitions of one split")
    return len(paths)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Sync a partitioned table of customers with a Dask cluster.")
    commands = parser.add_subparsers(dest="command", required=True)
    splitting = commands.add_parser("split", help="split a Parquet file into partitions")
    splitting.add_argument("source", type=Path, help="the Parquet file")
    splitting.add_argument("folder", type=Path, help="the folder for the partitions")
    splitting.add_argument("--partitions", type=int, default=64, help="how many (default: %(default)s)")
    syncing = commands.add_parser("sync", help="send the partitions")
    syncing.add_argument("folder", type=Path, help="the folder with the partitions")
    syncing.add_argument("states", type=Path, help="the folder for the state files")
    syncing.add_argument(
        "--workers", type=int, default=4, help="processes of a local cluster (default: %(default)s)"
    )
    syncing.add_argument("--scheduler", help="the address of a running cluster")
    syncing.add_argument(
        "--redis", help="the URL of a Redis server with which the processes share a rate limit"
    )
    syncing.add_argument(
        "--limit", type=int, default=60, help="bulk calls per minute, with --redis (default: %(default)s)"
    )
    return parser.parse_args(argv)


def main() -> int:
    args = parse_args()
    if args.command == "split":
        print(f"{split(args.source, args.folder, args.partitions)} customers in {args.partitions} partitions")
        return 0
    folder, states = args.folder.absolute(), args.states.absolute()
    settings = Settings(folder, states, count_partitions(folder), args.redis, args.limit)
    with contextlib.ExitStack() as stack:
        address: Any = args.scheduler
        if address is None:
            address = stack.enter_context(
                LocalCluster(n_workers=args.workers, threads_per_worker=1, dashboard_address=None)
            )
        counts, missing, failures = sync(stack.enter_context(Client(address)), settings)
    (states / "missing.txt").write_text("".join(f"{source_id}\n" for source_id in sorted(missing)))
    print(", ".join(f"{counts[name]} {name}" for name in COUNTS))
    for failure in failures[:50]:
        print(failure, file=sys.stderr)
    return 1 if counts["failed"] or counts["invalid"] else 0


if __name__ == "__main__":
    sys.exit(main())

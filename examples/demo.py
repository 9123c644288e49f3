"""An end-to-end demonstration against a sandbox, which this program starts.

It creates, reads, updates and deletes a customer, streams the customer's activity, streams 5,000 customers, updates
2,000 in bulk, imports a CSV file, and syncs 10,000. The exit status is 1 if a result is not the expected one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from voucherify_async import Address, CustomerUpsert, NotFoundError, VoucherifyClient
from voucherify_async.models import BulkUpdateResult, JobResult
from voucherify_async.sandbox import Sandbox

SEED_CUSTOMERS = 5_000
BULK_CUSTOMERS = 2_000
CSV_ROWS = 500
SYNC_CUSTOMERS = 10_000
ADA = "ada.lovelace+crm@example.com"


class UnexpectedResultError(Exception):
    """A result is not the expected one."""


class Table:
    """The steps of the demonstration, with their results and durations."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float]] = []

    @contextmanager
    def step(self, what: str) -> Generator[list[str]]:
        """Time a step. The step appends its result to the list."""
        result: list[str] = []
        started = time.perf_counter()
        yield result
        self.rows.append((what, " ".join(result), time.perf_counter() - started))

    def print(self) -> None:
        """Print the table."""
        width = max(len(what) for what, _, _ in self.rows)
        result_width = max(len(result) for _, result, _ in self.rows)
        print(f"\n{'step':<{width}}  {'result':<{result_width}}  {'seconds':>8}")
        print(f"{'-' * width}  {'-' * result_width}  {'-' * 8}")
        for what, result, seconds in self.rows:
            print(f"{what:<{width}}  {result:<{result_width}}  {seconds:>8.3f}")
        print(f"{'total':<{width}}  {'':<{result_width}}  {sum(row[2] for row in self.rows):>8.3f}\n")


def expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise UnexpectedResultError(f"{what}: expected {expected!r}, got {found!r}")


async def one_customer(voucherify: VoucherifyClient, table: Table) -> None:
    with table.step("create, read and update a customer") as result:
        created = await voucherify.customers.create(
            source_id=ADA, name="Ada", address=Address(city="London"), metadata={"tier": "gold"}
        )
        found = await voucherify.customers.get(ADA)
        expect("the customer read", found.id, created.id)
        updated = await voucherify.customers.update(ADA, name="Ada Lovelace", metadata={"since": 1815})
        expect("the updated name", updated.name, "Ada Lovelace")
        expect("the merged metadata", updated.metadata, {"tier": "gold", "since": 1815})
        result.append(created.id)
    with table.step("stream its activity") as result:
        types = [activity.type async for activity in voucherify.customers.list_activity(ADA)]
        expect("the activity", types, ["customer.updated", "customer.created"])
        result.append(f"{len(types)} events")
    with table.step("delete it") as result:
        await voucherify.customers.delete(ADA)
        try:
            await voucherify.customers.get(ADA)
        except NotFoundError as error:
            result.append(f"{error.status} {error.key}")
        else:
            raise UnexpectedResultError("the customer still exists after it was deleted")


async def stream(voucherify: VoucherifyClient, table: Table, expected: int) -> None:
    with table.step(f"stream {expected:,} customers") as result:
        seen: set[str] = set()
        count = 0
        async for customer in voucherify.customers.list():
            seen.add(customer.id)
            count += 1
            if count == expected or (count % 100 == 0 and sys.stdout.isatty()):
                print(f"\r  streaming: {count:,} customers", end="", flush=True)
        print()
        expect("customers streamed", count, expected)
        expect("distinct customers streamed", len(seen), expected)
        result.append(f"{count:,} customers")


async def bulk(voucherify: VoucherifyClient, table: Table) -> None:
    with table.step(f"update {BULK_CUSTOMERS:,} in bulk, and wait") as result:
        receipt = await voucherify.customers.update_in_bulk(
            CustomerUpsert(source_id=f"bulk-{number}", name=f"Customer {number}", metadata={"number": number})
            for number in range(BULK_CUSTOMERS)
        )
        job = await voucherify.async_actions.wait(receipt.async_action_id, timeout=20)
        outcome = job.result
        if not isinstance(outcome, BulkUpdateResult):
            raise UnexpectedResultError(f"unexpected result of the bulk update: {outcome!r}")
        expect(
            "the customers updated in bulk", (outcome.done_count, outcome.failed_count), (BULK_CUSTOMERS, 0)
        )
        result.append(f"{outcome.done_count:,} done")


async def csv(voucherify: VoucherifyClient, table: Table) -> None:
    with table.step(f"import a CSV of {CSV_ROWS:,} rows, and wait") as result:
        rows = [f"csv-{number},Customer {number},gold" for number in range(CSV_ROWS)]
        content = "\n".join(["Source_id,Name,tier", *rows]).encode()
        receipt = await voucherify.customers.import_csv(content)
        job = await voucherify.async_actions.wait(receipt.async_action_id, timeout=20)
        outcome = job.result
        if not isinstance(outcome, JobResult):
            raise UnexpectedResultError(f"unexpected result of the import: {outcome!r}")
        expect("the rows imported", (outcome.done_count, outcome.failed_count), (CSV_ROWS, 0))
        imported = await voucherify.customers.get("csv-7")
        expect("the metadata of an imported row", imported.metadata, {"tier": "gold"})
        result.append(f"{outcome.done_count:,} done")


async def sync(voucherify: VoucherifyClient, table: Table) -> None:
    with table.step(f"sync {SYNC_CUSTOMERS:,} customers") as result:
        customers = ({"source_id": f"bulk-{number}", "phone": "+44"} for number in range(SYNC_CUSTOMERS))
        report = await voucherify.customers.sync(customers)
        expect(
            "the customers synced", (report.succeeded, report.failed, report.invalid), (SYNC_CUSTOMERS, 0, 0)
        )
        synced = await voucherify.customers.get("bulk-7")
        expect("the merged customer", (synced.name, synced.phone), ("Customer 7", "+44"))
        result.append(f"{report.succeeded:,} in {len(report.jobs)} job(s)")


async def main() -> None:
    table = Table()
    with table.step(f"start a sandbox with {SEED_CUSTOMERS:,} customers") as result:
        sandbox = Sandbox(customers=SEED_CUSTOMERS, seed=7)
        await sandbox.start()
        result.append(sandbox.base_url)
    try:
        async with sandbox.client() as voucherify:
            await one_customer(voucherify, table)
            await stream(voucherify, table, SEED_CUSTOMERS)
            await bulk(voucherify, table)
            await csv(voucherify, table)
            await stream(voucherify, table, SEED_CUSTOMERS + BULK_CUSTOMERS + CSV_ROWS)
            await sync(voucherify, table)
    finally:
        await sandbox.aclose()
    table.print()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except UnexpectedResultError as error:
        sys.exit(f"demo failed: {error}")

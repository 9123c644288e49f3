"""The main job, from end to end, against a sandbox that this program starts itself.

Create, read, update and delete a customer; stream 5,000 of them; stream one customer's activity; update
2,000 in bulk; import a CSV; sync 10,000. Fails with exit status 1 when a number is not what it must be.
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

SEEDED = 5_000
IN_BULK = 2_000
IN_CSV = 500
IN_SYNC = 10_000
ADA = "ada.lovelace+crm@example.com"


class WrongNumberError(Exception):
    """Something did not come out as it must."""


class Table:
    """What was done, with the time it took."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float]] = []

    @contextmanager
    def step(self, what: str) -> Generator[list[str]]:
        """Time a step; what it appends to the list is its result."""
        result: list[str] = []
        started = time.perf_counter()
        yield result
        self.rows.append((what, " ".join(result), time.perf_counter() - started))

    def print(self) -> None:
        """Show the table."""
        width = max(len(what) for what, _, _ in self.rows)
        result_width = max(len(result) for _, result, _ in self.rows)
        print(f"\n{'step':<{width}}  {'result':<{result_width}}  {'seconds':>8}")
        print(f"{'-' * width}  {'-' * result_width}  {'-' * 8}")
        for what, result, seconds in self.rows:
            print(f"{what:<{width}}  {result:<{result_width}}  {seconds:>8.3f}")
        print(f"{'total':<{width}}  {'':<{result_width}}  {sum(row[2] for row in self.rows):>8.3f}\n")


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise WrongNumberError(f"{what}: {found!r}, and it must be {wanted!r}")


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
            raise WrongNumberError("the customer is still there after it was deleted")


async def stream(voucherify: VoucherifyClient, table: Table, wanted: int) -> None:
    with table.step(f"stream {wanted:,} customers") as result:
        seen: set[str] = set()
        count = 0
        async for customer in voucherify.customers.list():
            seen.add(customer.id)
            count += 1
            if count == wanted or (count % 100 == 0 and sys.stdout.isatty()):
                print(f"\r  streaming: {count:,} customers", end="", flush=True)
        print()
        expect("the customers streamed", count, wanted)
        expect("the different customers among them", len(seen), wanted)
        result.append(f"{count:,} customers")


async def bulk(voucherify: VoucherifyClient, table: Table) -> None:
    with table.step(f"update {IN_BULK:,} in bulk, and wait") as result:
        receipt = await voucherify.customers.update_in_bulk(
            CustomerUpsert(source_id=f"bulk-{number}", name=f"Customer {number}", metadata={"number": number})
            for number in range(IN_BULK)
        )
        job = await voucherify.async_actions.wait(receipt.async_action_id, timeout=20)
        outcome = job.result
        if not isinstance(outcome, BulkUpdateResult):
            raise WrongNumberError(f"the bulk update ended with {outcome!r}")
        expect("the customers updated in bulk", (outcome.done_count, outcome.failed_count), (IN_BULK, 0))
        result.append(f"{outcome.done_count:,} done")


async def csv(voucherify: VoucherifyClient, table: Table) -> None:
    with table.step(f"import a CSV of {IN_CSV:,} rows, and wait") as result:
        rows = [f"csv-{number},Customer {number},gold" for number in range(IN_CSV)]
        content = "\n".join(["Source_id,Name,tier", *rows]).encode()
        receipt = await voucherify.customers.import_csv(content)
        job = await voucherify.async_actions.wait(receipt.async_action_id, timeout=20)
        outcome = job.result
        if not isinstance(outcome, JobResult):
            raise WrongNumberError(f"the import ended with {outcome!r}")
        expect("the rows imported", (outcome.done_count, outcome.failed_count), (IN_CSV, 0))
        imported = await voucherify.customers.get("csv-7")
        expect("the metadata of an imported row", imported.metadata, {"tier": "gold"})
        result.append(f"{outcome.done_count:,} done")


async def sync(voucherify: VoucherifyClient, table: Table) -> None:
    with table.step(f"sync {IN_SYNC:,} customers") as result:
        customers = ({"source_id": f"bulk-{number}", "phone": "+44"} for number in range(IN_SYNC))
        report = await voucherify.customers.sync(customers)
        expect("the customers synced", (report.succeeded, report.failed, report.invalid), (IN_SYNC, 0, 0))
        synced = await voucherify.customers.get("bulk-7")
        expect("what was there before", (synced.name, synced.phone), ("Customer 7", "+44"))
        result.append(f"{report.succeeded:,} in {len(report.jobs)} job(s)")


async def main() -> None:
    table = Table()
    with table.step(f"start a sandbox with {SEEDED:,} customers") as result:
        sandbox = Sandbox(customers=SEEDED, seed=7)
        await sandbox.start()
        result.append(sandbox.base_url)
    try:
        async with sandbox.client() as voucherify:
            await one_customer(voucherify, table)
            await stream(voucherify, table, SEEDED)
            await bulk(voucherify, table)
            await csv(voucherify, table)
            await stream(voucherify, table, SEEDED + IN_BULK + IN_CSV)
            await sync(voucherify, table)
    finally:
        await sandbox.aclose()
    table.print()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except WrongNumberError as error:
        sys.exit(f"demo failed: {error}")

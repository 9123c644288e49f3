"""The command ``demo``: the main job of the package against a sandbox, each result checked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from voucherify_async import Address, CustomerUpsert, NotFoundError, VoucherifyClient
from voucherify_async.cli._exit_codes import CommandError, ExitCode
from voucherify_async.cli._program import command_name
from voucherify_async.sandbox import Faults, Sandbox

__all__ = ["run_demo"]

_SEED_CUSTOMERS: Final = 5_000
_BULK_CUSTOMERS: Final = 2_000
_CSV_ROWS: Final = 500
_SYNC_CUSTOMERS: Final = 10_000
_JOB_SECONDS: Final = 30
_ADA: Final = "ada.lovelace+crm@example.com"


@contextmanager
def _step() -> Generator[Callable[[str], None]]:
    """Print what was done in the block, which it passes to the function, and the seconds that it took."""
    done: list[str] = []
    started = time.perf_counter()
    yield done.append
    print(f"  {time.perf_counter() - started:5.2f} s  {' '.join(done)}", flush=True)


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise CommandError(
            f"the demo failed: {what}: expected {expected!r}, got {found!r}", ExitCode.SOME_FAILED
        )


async def _one_customer(voucherify: VoucherifyClient) -> None:
    with _step() as done:
        created = await voucherify.customers.create(
            source_id=_ADA, name="Ada", address=Address(city="London"), metadata={"tier": "gold"}
        )
        found = await voucherify.customers.get(_ADA)
        _expect("the customer read", found.id, created.id)
        updated = await voucherify.customers.update(_ADA, name="Ada Lovelace", metadata={"since": 1815})
        _expect("the updated name", updated.name, "Ada Lovelace")
        _expect("the merged metadata", updated.metadata, {"tier": "gold", "since": 1815})
        done("created, read and updated a customer")
    with _step() as done:
        types = [activity.type async for activity in voucherify.customers.list_activity(_ADA)]
        _expect("the activity", types, ["customer.updated", "customer.created"])
        done(f"streamed the {len(types)} events of its activity")
    with _step() as done:
        await voucherify.customers.delete(_ADA)
        try:
            await voucherify.customers.get(_ADA)
        except NotFoundError as error:
            done(f"deleted it: now it is {error.status} {error.key}")
        else:
            _expect("the deleted customer", "there", "deleted")


async def _stream(voucherify: VoucherifyClient, expected: int) -> int:
    async with voucherify.customers.stream(concurrency=8) as customers:
        ids = [customer.id async for customer in customers]
    _expect("customers streamed", len(ids), expected)
    _expect("different customers streamed", len(set(ids)), expected)
    return len(ids)


async def _bulk(voucherify: VoucherifyClient) -> None:
    with _step() as done:
        receipt = await voucherify.customers.update_in_bulk(
            CustomerUpsert(source_id=f"bulk-{number}", name=f"Customer {number}", metadata={"number": number})
            for number in range(_BULK_CUSTOMERS)
        )
        job = await voucherify.async_actions.wait(receipt, timeout=_JOB_SECONDS)
        outcome = job.result
        assert outcome is not None  # noqa: S101  # for the type checker
        counts = (outcome.done_count, outcome.failed_count)
        _expect("the customers updated in bulk", counts, (_BULK_CUSTOMERS, 0))
        done(f"updated {outcome.done_count:,} in one bulk job")


async def _import_csv(voucherify: VoucherifyClient) -> None:
    with _step() as done:
        rows = [f"csv-{number},Customer {number},gold" for number in range(_CSV_ROWS)]
        content = "\n".join(["Source_id,Name,tier", *rows]).encode()
        receipt = await voucherify.customers.import_csv(content)
        job = await voucherify.async_actions.wait(receipt, timeout=_JOB_SECONDS)
        outcome = job.result
        assert outcome is not None  # noqa: S101  # for the type checker
        _expect("the rows imported", (outcome.done_count, outcome.failed_count), (_CSV_ROWS, 0))
        imported = await voucherify.customers.get("csv-7")
        _expect("the metadata of an imported row", imported.metadata, {"tier": "gold"})
        done(f"imported {outcome.done_count:,} rows of a CSV file")


async def _sync(voucherify: VoucherifyClient) -> None:
    with _step() as done:
        customers = ({"source_id": f"bulk-{number}", "phone": "+44"} for number in range(_SYNC_CUSTOMERS))
        report = await voucherify.customers.sync(customers)
        counts = (report.succeeded, report.failed, report.invalid)
        _expect("the customers synced", counts, (_SYNC_CUSTOMERS, 0, 0))
        synced = await voucherify.customers.get("bulk-7")
        _expect("the merged customer", (synced.name, synced.phone), ("Customer 7", "+44"))
        done(f"synced {report.succeeded:,}, of which {report.failed} failed")


async def _demo() -> None:
    with _step() as done:
        sandbox = Sandbox(customers=_SEED_CUSTOMERS, seed=7)
        await sandbox.start()
        done(f"started a sandbox with {len(sandbox.store.customers):,} customers")
    try:
        async with sandbox.client() as voucherify:
            await _one_customer(voucherify)
            with _step() as done:
                count = await _stream(voucherify, _SEED_CUSTOMERS)
                done(f"streamed {count:,}, each of them once")
            await _bulk(voucherify)
            await _import_csv(voucherify)
            with _step() as done:
                sandbox.faults = Faults(reset=0.02, truncate=0.01, status={503: 0.02})
                count = await _stream(voucherify, _SEED_CUSTOMERS + _BULK_CUSTOMERS + _CSV_ROWS)
                sandbox.faults = Faults()
                failures = sum(request.fault is not None for request in sandbox.requests)
                done(f"streamed {count:,} in spite of {failures} failures")
            await _sync(voucherify)
    finally:
        await sandbox.aclose()


def run_demo() -> ExitCode:
    """Run the demo.

    Raises:
        CommandError: A result is not the expected one.
    """
    print("A local Voucherify, and what the client does with it:\n")
    started = time.perf_counter()
    logging.getLogger("voucherify_async").setLevel(logging.ERROR)  # retries are part of the demo
    asyncio.run(_demo())
    print(f"  {time.perf_counter() - started:5.2f} s  all of it")
    print(f"\nTry next: {command_name()} sandbox --customers 5000")
    return ExitCode.DONE

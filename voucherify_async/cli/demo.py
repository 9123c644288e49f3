"""The command ``demo``: the main job of the package against a sandbox, each result checked."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from voucherify_async import Address, CustomerUpsert, NotFoundError, VoucherifyClient
from voucherify_async.cli._exit_codes import CommandError, ExitCode
from voucherify_async.models import BulkUpdateResult, JobResult
from voucherify_async.sandbox import Faults, Sandbox

__all__ = ["run_demo"]

_SEED_CUSTOMERS: Final = 5_000
_BULK_CUSTOMERS: Final = 2_000
_CSV_ROWS: Final = 500
_SYNC_CUSTOMERS: Final = 10_000
_JOB_SECONDS: Final = 30
_ADA: Final = "ada.lovelace+crm@example.com"


@contextmanager
def _step(what: str) -> Generator[list[str]]:
    """Print a step, its result, which it appends to the list, and the seconds that it took."""
    result: list[str] = []
    started = time.perf_counter()
    yield result
    print(f"  {what:<42}  {' '.join(result):<34}  {time.perf_counter() - started:6.2f} s", flush=True)


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise CommandError(
            f"the demo failed: {what}: expected {expected!r}, got {found!r}", ExitCode.SOME_FAILED
        )


async def _one_customer(voucherify: VoucherifyClient) -> None:
    with _step("create, read and update a customer") as result:
        created = await voucherify.customers.create(
            source_id=_ADA, name="Ada", address=Address(city="London"), metadata={"tier": "gold"}
        )
        found = await voucherify.customers.get(_ADA)
        _expect("the customer read", found.id, created.id)
        updated = await voucherify.customers.update(_ADA, name="Ada Lovelace", metadata={"since": 1815})
        _expect("the updated name", updated.name, "Ada Lovelace")
        _expect("the merged metadata", updated.metadata, {"tier": "gold", "since": 1815})
        result.append(created.id)
    with _step("stream its activity") as result:
        types = [activity.type async for activity in voucherify.customers.list_activity(_ADA)]
        _expect("the activity", types, ["customer.updated", "customer.created"])
        result.append(f"{len(types)} events")
    with _step("delete it") as result:
        await voucherify.customers.delete(_ADA)
        try:
            await voucherify.customers.get(_ADA)
        except NotFoundError as error:
            result.append(f"{error.status} {error.key}")
        else:
            _expect("the deleted customer", "there", "deleted")


async def _stream(voucherify: VoucherifyClient, expected: int) -> None:
    with _step(f"stream {expected:,} customers, 8 at once") as result:
        async with voucherify.customers.stream(concurrency=8) as customers:
            ids = [customer.id async for customer in customers]
        _expect("customers streamed", len(ids), expected)
        _expect("different customers streamed", len(set(ids)), expected)
        result.append(f"{len(ids):,}, each of them once")


async def _bulk(voucherify: VoucherifyClient) -> None:
    with _step(f"update {_BULK_CUSTOMERS:,} in bulk, and wait") as result:
        receipt = await voucherify.customers.update_in_bulk(
            CustomerUpsert(source_id=f"bulk-{number}", name=f"Customer {number}", metadata={"number": number})
            for number in range(_BULK_CUSTOMERS)
        )
        job = await voucherify.async_actions.wait(receipt.async_action_id, timeout=_JOB_SECONDS)
        outcome = job.result
        assert isinstance(outcome, BulkUpdateResult)  # noqa: S101  # for the type checker
        counts = (outcome.done_count, outcome.failed_count)
        _expect("the customers updated in bulk", counts, (_BULK_CUSTOMERS, 0))
        result.append(f"{outcome.done_count:,} done")


async def _import_csv(voucherify: VoucherifyClient) -> None:
    with _step(f"import a CSV of {_CSV_ROWS:,} rows, and wait") as result:
        rows = [f"csv-{number},Customer {number},gold" for number in range(_CSV_ROWS)]
        content = "\n".join(["Source_id,Name,tier", *rows]).encode()
        receipt = await voucherify.customers.import_csv(content)
        job = await voucherify.async_actions.wait(receipt.async_action_id, timeout=_JOB_SECONDS)
        outcome = job.result
        assert isinstance(outcome, JobResult)  # noqa: S101  # for the type checker
        _expect("the rows imported", (outcome.done_count, outcome.failed_count), (_CSV_ROWS, 0))
        imported = await voucherify.customers.get("csv-7")
        _expect("the metadata of an imported row", imported.metadata, {"tier": "gold"})
        result.append(f"{outcome.done_count:,} done")


async def _bad_day(voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
    with _step("stream them while 5 % of the calls fail") as result:
        sandbox.faults = Faults(reset=0.02, truncate=0.01, status={503: 0.02})
        async with voucherify.customers.stream(concurrency=8) as customers:
            count = len({customer.id async for customer in customers})
        sandbox.faults = Faults()
        _expect("customers streamed with faults", count, _SEED_CUSTOMERS + _BULK_CUSTOMERS + _CSV_ROWS)
        failures = sum(request.fault is not None for request in sandbox.requests)
        result.append(f"{count:,} in spite of {failures} failures")


async def _sync(voucherify: VoucherifyClient) -> None:
    with _step(f"sync {_SYNC_CUSTOMERS:,} customers") as result:
        customers = ({"source_id": f"bulk-{number}", "phone": "+44"} for number in range(_SYNC_CUSTOMERS))
        report = await voucherify.customers.sync(customers)
        counts = (report.succeeded, report.failed, report.invalid)
        _expect("the customers synced", counts, (_SYNC_CUSTOMERS, 0, 0))
        synced = await voucherify.customers.get("bulk-7")
        _expect("the merged customer", (synced.name, synced.phone), ("Customer 7", "+44"))
        result.append(f"{report.succeeded:,} succeeded, {report.failed} failed")


async def _demo() -> None:
    sandbox = Sandbox(customers=_SEED_CUSTOMERS, seed=7)
    with _step(f"start a sandbox with {_SEED_CUSTOMERS:,} customers") as result:
        await sandbox.start()
        result.append(sandbox.base_url)
    try:
        async with sandbox.client() as voucherify:
            await _one_customer(voucherify)
            await _stream(voucherify, _SEED_CUSTOMERS)
            await _bulk(voucherify)
            await _import_csv(voucherify)
            await _bad_day(voucherify, sandbox)
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
    print(f"\n  {'all of it':<78}  {time.perf_counter() - started:6.2f} s\n")
    print(f"Try next: {_program()} sandbox --customers 5000, and open the page that it names in a browser.")
    return ExitCode.DONE


def _program() -> str:
    """How to run the command in this shell."""
    if shutil.which("voucherify-async"):
        return "voucherify-async"
    script = Path(sys.executable).with_name("voucherify-async")
    return os.path.relpath(script) if script.exists() else f"{sys.executable} -m voucherify_async"

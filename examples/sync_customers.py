"""Sync the people of an SQLite database to Voucherify, and list those that failed.

    python examples/sync_customers.py crm.sqlite

The API keys are in `VOUCHERIFY_APP_ID` and `VOUCHERIFY_APP_TOKEN`. Run it again at any time: the state file next to the
database remembers what was sent, so only new and changed people are. `voucherify-async customers sync` does the same for any
query, for CSV files and for JSON lines.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing

from voucherify_async import CustomerUpsert, VoucherifyClient


def read_people(database: sqlite3.Connection) -> Iterator[CustomerUpsert]:
    for source_id, name, tier in database.execute("SELECT id, name, tier FROM people"):
        yield CustomerUpsert(source_id=source_id, name=name, metadata={"tier": tier})


async def main(path: str) -> int:
    with closing(sqlite3.connect(path)) as database:
        async with VoucherifyClient() as voucherify:
            report = await voucherify.customers.sync(read_people(database), state=f"{path}.state")
    for failure in report.failures:
        print(failure.source_id, failure.key, failure.message)
    print(f"{report.read} read, {report.summary()}")
    return 1 if report.failed or report.invalid else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))

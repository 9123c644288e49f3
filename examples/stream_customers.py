"""Stream all customers to a file of JSON lines, eight windows of the list at once.

    python examples/stream_customers.py customers.ndjson

The API keys are in `VOUCHERIFY_APP_ID` and `VOUCHERIFY_APP_TOKEN`. `voucherify-async customers export` does the same with
filters, other formats and a progress bar, and can continue after an interruption.
"""

import asyncio
import sys
from pathlib import Path

from voucherify_async import VoucherifyClient


async def main(path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        async with VoucherifyClient() as voucherify, voucherify.customers.stream(concurrency=8) as customers:
            async for customer in customers:
                file.write(f"{customer.to_json()}\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

"""A list of customers that costs next to nothing to serve, so that whoever reads it is what is measured.

Customers are made when they are asked for, from their number and creation time; there can be a million. It
knows what a walk by `created_at` asks for, and answers after a latency.

    python -m benchmarks.canned --customers 100000 --latency 0.05

prints its port, and serves until it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import datetime as dt
import random
from array import array
from urllib.parse import parse_qsl

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
DAY = 24 * 3600 * 1000

CUSTOMER = (
    '{"id":"cust_%09d","source_id":"crm-%d","name":"Ada Lovelace","email":"ada.%d@example.com","address":'
    '{"city":"London","country":"GB","line_1":"12 St James\'s Square"},"summary":{"orders":{"total_amount":'
    '12000,"total_count":3}},"metadata":{"tier":"gold"},"created_at":"%s","object":"customer"}'
)


def creation_times(count: int) -> array[int]:
    """Milliseconds since 1970, sorted: three years, nine tenths of it in two days, a tenth in two minutes."""
    chance = random.Random(7)
    now = 1_767_225_600_000
    spans = ((0.1, 3 * 365 * DAY), (0.8, 2 * DAY), (0.1, 120_000))
    times = [now - chance.randrange(span) for share, span in spans for _ in range(round(count * share))]
    return array("q", sorted(times))


def milliseconds(text: str) -> float:
    return (dt.datetime.fromisoformat(text) - EPOCH) / dt.timedelta(milliseconds=1)


class Service(asyncio.Protocol):
    def __init__(self, times: array[int], latency: float) -> None:
        self.times = times
        self.latency = latency
        self.received = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode()
            asyncio.get_running_loop().call_later(self.latency, self.answer, target)

    def answer(self, target: str) -> None:
        body = self.page(dict(parse_qsl(target.partition("?")[2]))).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(head.encode() + body)

    def page(self, query: dict[str, str]) -> str:
        low, high = 0, len(self.times)
        if "created_at[after]" in query:
            low = bisect.bisect_right(self.times, milliseconds(query["created_at[after]"]))
        if "created_at[before]" in query:
            high = bisect.bisect_left(self.times, milliseconds(query["created_at[before]"]))
        total = max(0, high - low)
        limit, skip = int(query.get("limit", 10)), int(query.get("page", 1)) - 1
        descending = query.get("order", "-created_at") == "-created_at"
        if "starting_after" in query:
            after = milliseconds(query["starting_after"])
            if descending:
                high = min(high, bisect.bisect_left(self.times, after))
            else:
                low = max(low, bisect.bisect_right(self.times, after))
        left = range(high - 1, low - 1, -1) if descending else range(low, high)
        numbers = left[skip * limit : (skip + 1) * limit]
        more = str(len(left) > (skip + 1) * limit).lower()
        customers = ",".join(self.customer(number) for number in numbers)
        return f'{{"object":"list","customers":[{customers}],"total":{total},"has_more":{more}}}'

    def customer(self, number: int) -> str:
        created = dt.datetime.fromtimestamp(self.times[number] / 1000, dt.UTC).isoformat("T", "milliseconds")
        return CUSTOMER % (number, number, number, created)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--latency", type=float, default=0.05)
    options = parser.parse_args()
    times = creation_times(options.customers)
    server = await asyncio.get_running_loop().create_server(
        lambda: Service(times, options.latency), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

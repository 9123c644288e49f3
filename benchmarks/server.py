"""A service that costs next to nothing to ask, so that whoever asks it is what is measured.

What it answers is the same every time: a customer of 1.5 KB to whatever is created, pages of such customers
to a walk by `created_at`, pages of activities of 2 KB to a walk by id. It keeps nothing, checks nothing, and
takes as long over an answer as it is told.

    python -m benchmarks.server --customers 100000 --latency 0.05

prints its port, and serves until it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import datetime as dt
import json
import random
import time
from array import array
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import parse_qsl

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NOW: Final = 1_767_225_600_000
DAY: Final = 24 * 3600 * 1000

ACTIVITIES: Final = 5_000


def template(value: Any) -> str:
    """A template for `%` of the JSON in which every string that starts with a % is to be filled in."""
    return json.dumps(value, separators=(",", ":"))


CUSTOMER: Final = template(
    {
        "id": "cust_%(number)024d",
        "source_id": "crm-%(number)d",
        "name": "Ada Lovelace",
        "description": "Came by the spring campaign; prefers to be written to",
        "email": "ada.%(number)d@example.com",
        "phone": "+44 20 7946 0018",
        "birthday": "1985-12-10",
        "birthdate": "1985-12-10",
        "address": {
            "city": "London",
            "state": "Greater London",
            "line_1": "12 St James's Square",
            "line_2": "Second floor",
            "country": "United Kingdom",
            "postal_code": "SW1Y 4JH",
        },
        "summary": {
            "redemptions": {
                "total_redeemed": 7,
                "total_failed": 1,
                "total_succeeded": 6,
                "total_rolled_back": 1,
                "total_rollback_failed": 0,
                "total_rollback_succeeded": 1,
                "gift": {"redeemed_amount": 12500, "amount_to_go": 2500},
                "loyalty_card": {"redeemed_points": 400, "points_to_go": 1250},
            },
            "orders": {
                "total_amount": 148000,
                "total_count": 9,
                "average_amount": 16444,
                "last_order_amount": 9900,
                "last_order_date": "2025-11-30T18:21:07.411Z",
            },
        },
        "loyalty": {
            "points": 1250,
            "referred_customers": 2,
            "campaigns": {"Spring club": {"points": 1250, "loyalty_tier": "Gold", "referred_customers": 2}},
        },
        "referrals": {
            "total": 1,
            "campaigns": [
                {
                    "campaign_id": "camp_f7h2k9d3s1a5g8j4",
                    "referrer_id": "cust_000000000000000000000007",
                    "related_object_id": "v_r5t9w2q7z1x4c8v6",
                    "related_object_type": "voucher",
                    "date": "2025-03-02T09:14:55.020Z",
                }
            ],
        },
        "metadata": {"tier": "gold", "visits": 42, "newsletter": True, "shop": "London 3"},
        "system_metadata": {},
        "created_at": "%(created_at)s",
        "updated_at": "2025-12-24T10:00:00.000Z",
        "assets": {
            "cockpit_url": "https://cockpit.example.com/c/%(number)024d",
            "cockpit_preference_center_url": "https://cockpit.example.com/p/%(number)024d",
        },
        "object": "customer",
    }
)

ACTIVITY: Final = template(
    {
        "id": "act_%(number)020d",
        "type": "customer.rewarded.loyalty_points",
        "created_at": "%(created_at)s",
        "group_id": "req_%(number)020d",
        "data": {
            "customer": {"id": "cust_000000000000000000000007", "object": "customer", "name": "Ada Lovelace"},
            "reward": {
                "id": "rew_k2j4h6g8f1d3s5a7",
                "name": "Points for an order",
                "type": "LOYALTY",
                "attributes": {},
            },
            "voucher": {
                "id": "v_r5t9w2q7z1x4c8v6",
                "code": "CLUB-A7D9K2",
                "type": "LOYALTY_CARD",
                "campaign": "Spring club",
                "campaign_id": "camp_f7h2k9d3s1a5g8j4",
                "loyalty_card": {"points": 1250, "balance": 850, "next_expiration_points": 100},
                "metadata": {"shop": "London 3", "season": "spring"},
                "is_referral_code": False,
                "active": True,
            },
            "order": {
                "id": "ord_z9y8x7w6v5u4t3s2",
                "amount": 14800,
                "initial_amount": 14800,
                "status": "PAID",
                "items": [
                    {
                        "object": "order_item",
                        "product_id": f"prod_a1b2c3d4e5f6g7h{item}",
                        "sku_id": f"sku_q1w2e3r4t5y6u7i{item}",
                        "quantity": 2,
                        "price": 3700,
                        "amount": 7400,
                        "subtotal_amount": 7400,
                        "product": {"name": "Kettle, brushed steel, 1.7 l", "override": False},
                    }
                    for item in range(5)
                ],
            },
            "campaign": {"id": "camp_f7h2k9d3s1a5g8j4", "name": "Spring club", "object": "campaign"},
            "loyalty_points_added": 148,
        },
    }
)


def creation_times(count: int) -> array[int]:
    """Milliseconds since 1970, sorted: three years, nine tenths of it in two days, a tenth in two minutes."""
    chance = random.Random(7)
    spans = ((0.1, 3 * 365 * DAY), (0.8, 2 * DAY), (0.1, 120_000))
    times = [NOW - chance.randrange(span) for share, span in spans for _ in range(round(count * share))]
    return array("q", sorted(times))


def even_times(count: int) -> array[int]:
    """Milliseconds since 1970, sorted: one a second, so that no two share an instant."""
    return array("q", range(NOW - count * 1000, NOW, 1000))


def milliseconds(text: str) -> float:
    return (dt.datetime.fromisoformat(text) - EPOCH) / dt.timedelta(milliseconds=1)


def instant(position: int) -> str:
    return dt.datetime.fromtimestamp(position / 1000, dt.UTC).isoformat("T", "milliseconds")[:-6] + "Z"


class Canned:
    """What is answered."""

    def __init__(self, times: array[int]) -> None:
        self.times = times
        self.created = self.customer(len(times) - 1).encode()

    def answer(self, method: str, target: str) -> bytes:
        path, _, query = target.partition("?")
        if method == "POST":
            return self.created
        if path.endswith("/activity"):
            return self.activities(dict(parse_qsl(query))).encode()
        return self.customers(dict(parse_qsl(query))).encode()

    def customers(self, query: dict[str, str]) -> str:
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
        customers = ",".join(map(self.customer, numbers))
        return (
            f'{{"object":"list","data_ref":"customers","customers":[{customers}],'
            f'"total":{total},"has_more":{more}}}'
        )

    def customer(self, number: int) -> str:
        return CUSTOMER % {"number": number, "created_at": instant(self.times[number])}

    def activities(self, query: dict[str, str]) -> str:
        first = int(query["starting_after_id"][4:]) + 1 if "starting_after_id" in query else 0
        numbers = range(first, min(first + int(query.get("limit", 10)), ACTIVITIES))
        activities = ",".join(
            ACTIVITY % {"number": number, "created_at": instant(NOW - number * 1000)} for number in numbers
        )
        more = str(numbers.stop < ACTIVITIES).lower()
        return f'{{"object":"list","data_ref":"data","data":[{activities}],"has_more":{more}}}'


class Connection(asyncio.Protocol):
    """Reads requests, as far as that is needed to find where they end."""

    def __init__(self, answer: Callable[[str, str], bytes], latency: float) -> None:
        self.answer = answer
        self.latency = latency
        self.received = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, rest = self.received.partition(b"\r\n\r\n")
            length = _content_length(head)
            if len(rest) < length:
                return
            self.received = rest[length:]
            method, target, _ = head.split(b" ", 2)
            if self.latency:
                loop = asyncio.get_running_loop()
                loop.call_later(self.latency, self.send, method.decode(), target.decode())
            else:
                self.send(method.decode(), target.decode())

    def send(self, method: str, target: str) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        body = self.answer(method, target)
        now = time.time()
        head = (
            "HTTP/1.1 200 OK\r\n"
            f"Date: {formatdate(now, usegmt=True)}\r\n"
            "Content-Type: application/json; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\n"
            "X-Request-Id: v-0a1b2c3d4e5f607182\r\n"
            "X-Rate-Limit-Limit: 1000000\r\n"
            "X-Rate-Limit-Remaining: 900000\r\n"
            f"X-Rate-Limit-Retry: {int(now) + 60}\r\n"
            "\r\n"
        )
        self.transport.write(head.encode() + body)


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--even", action="store_true", help="no two customers share an instant")
    options = parser.parse_args()
    times = even_times(options.customers) if options.even else creation_times(options.customers)
    canned = Canned(times)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(canned.answer, options.latency), "127.0.0.1", 0, backlog=2048
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

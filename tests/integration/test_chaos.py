"""Thousands of calls at once while one request in ten fails: what callers were told is what is true."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.support.faults import KINDS, Arrival, TooMany, fault_proxy, random_plan
from voucherify_async import (
    ConnectionFailedError,
    DecodeError,
    OutcomeUnknownError,
    RateLimitError,
    ReadTimeoutError,
    RetryPolicy,
    ServerError,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox._store.records import Record
from voucherify_async.sandbox._store.store import Store

SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))

CALLS = 600
CONCURRENCY = 200
SEED = 2_026
FAULT_RATE = 0.10
ATTEMPT_SECONDS = 1.0
"""Ends stalls, and nothing else: in the loop of the tests, no time passes while anything else is under way."""

EXPECTED = {
    ConnectionFailedError,
    ReadTimeoutError,
    OutcomeUnknownError,
    ServerError,
    RateLimitError,
    DecodeError,
}
"""What the faults stand for. No `NotFoundError`: what is read, changed or deleted was there."""

ONCE = re.compile(rb'"((?:unkeyed|bulk)-\d+)"')
"""The marks of calls that may not be sent again when they may have arrived."""


class Held:
    """What the store holds in the end, by the marks of the calls."""

    def __init__(self, store: Store) -> None:
        # A day from now every job has ended.
        store.clock = lambda: time.time() + 24 * 3600
        store.advance()
        self.by_source_id: defaultdict[str | None, list[Record]] = defaultdict(list)
        for record in store.customers.values():
            self.by_source_id[record.source_id].append(record)
        self.names = Counter(record.fields.get("name") for record in self.by_source_id[None])

    def created(self, mark: str) -> int:
        return len(self.by_source_id[mark])

    def deleted(self, mark: str) -> int:
        return 1 - len(self.by_source_id[mark])

    def named(self, mark: str) -> int:
        return self.names[mark]

    def described(self, mark: str) -> int:
        (record,) = self.by_source_id[mark]
        return record.fields.get("description") == mark

    def upserted(self, mark: str) -> int:
        """Each time leaves an event, the first as the others."""
        return sum(len(record.activity) for record in self.by_source_id[mark])

    def nothing(self, mark: str) -> int:
        """What is only read was there before, and still is."""
        assert self.created(mark) <= 1
        return 0


async def get(client: VoucherifyClient, mark: str) -> None:
    assert (await client.customers.get(mark)).source_id == mark


async def read_pages(client: VoucherifyClient, mark: str) -> None:
    first = await client.customers.list(limit=10)
    second = await client.customers.list(limit=10, cursor=first.next_cursor)
    assert len(first.items) == 10
    assert not {customer.id for customer in first.items} & {customer.id for customer in second.items}


@dataclass(frozen=True)
class Kind:
    """A kind of call.

    Attributes:
        call: Makes it, about what the mark says.
        times: How often it was applied, going by what the store holds.
        exists: Whether there is a customer with the mark before the call.
        acts: Whether success leaves anything to see.
    """

    call: Callable[[VoucherifyClient, str], Awaitable[object]]
    times: Callable[[Held, str], int]
    exists: bool = False
    acts: bool = True


OPERATIONS = {
    "keyed": Kind(lambda client, mark: client.customers.create(source_id=mark), Held.created),
    "unkeyed": Kind(lambda client, mark: client.customers.create(name=mark), Held.named),
    "update": Kind(
        lambda client, mark: client.customers.update(mark, description=mark), Held.described, exists=True
    ),
    "delete": Kind(lambda client, mark: client.customers.delete(mark), Held.deleted, exists=True),
    "bulk": Kind(lambda client, mark: client.customers.update_in_bulk([{"source_id": mark}]), Held.upserted),
    "get": Kind(get, Held.nothing, exists=True, acts=False),
    "pages": Kind(read_pages, Held.nothing, acts=False),
}


@dataclass
class Item:
    """One call, and how it ended."""

    kind: Kind
    mark: str
    error: VoucherifyError | None = field(default=None)

    async def call(self, client: VoucherifyClient) -> None:
        try:
            await self.kind.call(client, self.mark)
        except VoucherifyError as error:  # and nothing else
            self.error = error

    def is_as_told(self, times: int) -> bool:
        if self.error is None:
            return times == self.kind.acts
        if self.error.may_have_been_applied:
            return times <= self.kind.acts
        return times == 0


def make_items(count: int) -> list[Item]:
    names = random.Random(SEED).choices(list(OPERATIONS), k=count)
    return [Item(OPERATIONS[name], f"{name}-{number}") for number, name in enumerate(names)]


def sent_again(arrivals: list[Arrival]) -> dict[str, int]:
    """Calls that may be sent once, and arrived more often without having been refused."""
    marks = (
        found[1].decode()
        for arrival in arrivals
        if not isinstance(arrival.fault, TooMany) and (found := ONCE.search(arrival.body))
    )
    return {mark: times for mark, times in Counter(marks).items() if times > 1}


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(CALLS, id="some"),
        pytest.param(
            int(20_000 * SOAK_SCALE), id="many", marks=[pytest.mark.soak, pytest.mark.timeout(1_800)]
        ),
    ],
)
async def test_what_callers_are_told_is_true(calls: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "voucherify_async")  # thousands of repetitions say nothing here
    items = make_items(calls)
    sandbox = Sandbox()
    for item in items:
        if item.kind.exists:
            sandbox.store.upsert({"source_id": item.mark})

    async def work(client: VoucherifyClient, todo: Iterator[Item]) -> None:
        for item in todo:
            await item.call(client)

    async with (
        sandbox,
        fault_proxy(sandbox.base_url, random_plan(SEED, FAULT_RATE)) as proxy,
        sandbox.client(
            base_url=proxy.base_url,
            timeout=ATTEMPT_SECONDS,
            retry=RetryPolicy(base=0.001, cap=0.01),
            max_connections=CONCURRENCY,
        ) as client,
    ):
        todo = iter(items)
        async with asyncio.TaskGroup() as workers:
            for _ in range(CONCURRENCY):
                workers.create_task(work(client, todo))

    # The sandbox is closed: what was under way in it when a client gave up has ended, too.
    held = Held(sandbox.store)
    times = {item.mark: item.kind.times(held, item.mark) for item in items}
    wrong = [
        (item.mark, times[item.mark], item.error) for item in items if not item.is_as_told(times[item.mark])
    ]
    assert not wrong
    assert {type(item.error) for item in items if item.error is not None} <= EXPECTED
    assert not sent_again(proxy.arrivals)
    # And it was no test of nothing.
    assert {arrival.fault for arrival in proxy.arrivals} >= {None, *KINDS}
    assert sum(item.error is None for item in items) > 0.9 * calls

from __future__ import annotations

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses
from hypothesis import HealthCheck, settings

from tests.contract.documents import load
from tests.support.loops import IdleLoop
from voucherify_async import VoucherifyClient
from voucherify_async.sandbox import Exchange, Sandbox

OPENAPI = os.environ.get("VOUCHERIFY_OPENAPI_DIR")

CHECKED_BYTES = 200_000
CHECKED_OF_THE_REST = 20
"""Of a test's exchanges all are checked up to so many bytes, and one in so many of the rest, which are alike."""


settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], IdleLoop]]:
    """Run tests in loops in which no timeout expires because the machine is slow."""
    return {"idle": IdleLoop}


def worth_a_look(exchanges: list[Exchange]) -> Iterator[Exchange]:
    size = 0
    for number, exchange in enumerate(exchanges):
        if size < CHECKED_BYTES or number % CHECKED_OF_THE_REST == 0:
            yield exchange
        size += len(exchange.request_body) + len(exchange.response_body)


def pytest_collection_finish() -> None:
    """What is there before the first test stays: the collector need not look at it in each."""
    if OPENAPI is not None:
        load(Path(OPENAPI))
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Sum up skipped tests: one line for each reason."""
    skipped: list[pytest.TestReport] = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} {reason}", yellow=True)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and proxies of whoever runs the tests have no say in them."""
    for name in list(os.environ):
        if name.startswith("VOUCHERIFY_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _exchanges_keep_the_contract(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test sends to a sandbox, and whatever that answers, is as the documents say."""
    if OPENAPI is None:  # tests/contract says so, visibly
        yield
        return
    seen: list[Exchange] = []
    record = Sandbox._record  # pyright: ignore[reportPrivateUsage]

    def listen(sandbox: Sandbox, exchange: Exchange) -> None:
        # The documents require some of what a sandbox may have been told to leave out, or lost on the way.
        if not sandbox.quirks.omit and exchange.fault is None:
            seen.append(exchange)
        record(sandbox, exchange)

    monkeypatch.setattr(Sandbox, "_record", listen)
    yield
    documents = load(Path(OPENAPI))
    # What checks is not what is measured, and takes three times as long under a trace function.
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        problems = [
            f"{exchange}: {problem}"
            for exchange in worth_a_look(seen)
            for problem in documents.check(exchange)
        ]
    finally:
        sys.settrace(trace)
    assert not problems


@pytest.fixture
def children_can_be_interrupted() -> Iterator[None]:
    """A process that ignores SIGINT, such as a background job, hands that down."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
async def voucherify(sandbox: Sandbox) -> AsyncIterator[VoucherifyClient]:
    async with sandbox.client() as client:
        yield client


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """Single answers that a sandbox would not give.

    aioresponses 0.7.9 makes its responses without `stream_writer`, which aiohttp 3.14 requires.
    """

    class Response(aiohttp.ClientResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, stream_writer=Mock(output_size=0), **kwargs)

    monkeypatch.setattr("aioresponses.core.ClientResponse", Response)
    with aioresponses() as mocked:
        yield mocked

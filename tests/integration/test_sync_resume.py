"""A sync with a state that is killed at any moment, and made again in a new process, ends as one run would have.

The processes are killed with SIGKILL, from outside between a sandbox and a proxy that lets one request in ten
fail, and from inside at each statement of the state.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.support.clocks import skipping_clock
from tests.support.faults import FaultProxy, fault_proxy, random_plan
from voucherify_async import RetryPolicy, VoucherifyError
from voucherify_async.sandbox import Exchange, Sandbox
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.records import Record
from voucherify_async.sandbox._store.validation import check_customer

SEED = 2_026
FAULT_RATE = 0.10
BATCH_ITEMS = 25
JOB_SECONDS = 0.01
POLL = 0.001
SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))

MARK = re.compile(rb"mark-(\d+)-")
"""What each item has in its description: its position."""


# ---------------------------------------------------------------- what is synced, and what must come of it


@dataclass(slots=True)
class Source:
    """A file of customers.

    Attributes:
        lines: The file, by position.
        source_ids: Of those that are valid, by position.
        invalid: The positions of those that are not.
        expected: What the service must hold in the end, by `source_id`.
        refused: The `source_id`s that the service does not take.
    """

    lines: dict[int, bytes] = field(default_factory=dict[int, bytes])
    source_ids: dict[int, str] = field(default_factory=dict[int, str])
    invalid: set[int] = field(default_factory=set[int])
    expected: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    refused: set[str] = field(default_factory=set[str])

    def expect(self, position: int, source_id: str, properties: dict[str, Any]) -> None:
        self.source_ids[position] = source_id
        if source_id not in self.refused:
            self.expected[source_id] = properties

    @property
    def failed(self) -> set[int]:
        return {position for position, key in self.source_ids.items() if key in self.refused}


def draw_source_id(chance: random.Random, source: Source, items: int) -> str:
    """Some come again, soon or much later."""
    drawn = chance.random()
    if source.source_ids and drawn < 0.1:
        return chance.choice(list(source.source_ids.values())[-40:])
    if source.source_ids and drawn < 0.2:
        return chance.choice(list(source.source_ids.values()))
    return f"crm-{chance.randrange(10 * items)}"


def json_lines(items: int, *, seed: int, refuse: float = 0.0, spoil: float = 0.0) -> Source:
    """Customers that have some of all properties, which are merged.

    Args:
        items: How many.
        seed: The same seed gives the same ones.
        refuse: The share that the service does not take.
        spoil: The share that cannot be sent.
    """
    chance, source = random.Random(seed), Source()
    for position in range(items):
        if chance.random() < spoil:
            source.invalid.add(position)
            source.lines[position] = chance.choice(
                [b"{}", b"5", b'{"source_id": "x", "surname": 1}', b'{"source_id": ""}']
            )
            continue
        source_id = draw_source_id(chance, source, items)
        if source_id not in source.source_ids.values() and chance.random() < refuse:
            source.refused.add(source_id)
        fresh = {
            "name": f"Zoë {chance.random()}",
            "email": chance.choice(["a@example.com", None]),
            "phone": f"+44 {position}",
            "address": {chance.choice(["city", "line_1", "state"]): f"{position} St"},
            "metadata": {chance.choice("abc"): position, "list": [position]},
        }
        kept = {name: value for name, value in fresh.items() if chance.random() < 0.5}
        properties = {**kept, "description": f"mark-{position}-"}
        source.lines[position] = msgspec.json.encode({"source_id": source_id, **properties})
        merged = dict(source.expected.get(source_id, {}))
        for name, value in properties.items():
            merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
        source.expect(position, source_id, merged)
    return source


def csv_lines(items: int, *, seed: int, refuse: float = 0.0) -> Source:
    """Rows, the last of which with a `Source_id` replaces those before. Positions are lines of the file."""
    chance, source = random.Random(seed), Source()
    source.lines[1] = b"Source_id,Name,Description,Address_City,tier"
    for line in range(2, items + 2):
        source_id = draw_source_id(chance, source, items)
        if source_id not in source.source_ids.values() and chance.random() < refuse:
            source.refused.add(source_id)
        properties: dict[str, Any] = {"description": f"mark-{line}-"}
        name, city, tier = (chance.choice(["", f"Zoë {line}"]) for _ in range(3))
        if name:
            properties["name"] = name
        if city:
            properties["address"] = {"city": city}
        if tier:
            properties["metadata"] = {"tier": tier}
        source.lines[line] = ",".join([source_id, name, f"mark-{line}-", city, tier]).encode()
        source.expect(line, source_id, properties)
    return source


def held(record: Record) -> dict[str, Any]:
    """What the service holds of a customer, as far as it was sent."""
    found = {**record.fields, "address": record.address, "metadata": record.metadata}
    return without_nothing(found)


def without_nothing(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None and value != {}}


def refuse(source_ids: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the sandbox's jobs not take these."""

    def check_or_refuse(body: Any, *, ids: bool) -> Any:
        if body.get("source_id") in source_ids:
            raise ApiError(400, "invalid_payload", "It is refused")
        return check_customer(body, ids=ids)

    monkeypatch.setattr("voucherify_async.sandbox._store.jobs.check_customer", check_or_refuse)


def marks(body: bytes) -> set[int]:
    """The positions of the items in the body of a request."""
    return {int(position) for position in MARK.findall(body)}


# ---------------------------------------------------------------- killed from outside

DRIVER = """
import asyncio, json, sys
import msgspec
from voucherify_async import RetryPolicy, VoucherifyClient

async def main(base_url, path, state, items):
    retry = RetryPolicy(attempts=100, base=0.001, cap=0.01)  # on a busy machine, some take longer than the timeout
    client = VoucherifyClient("sandbox-app-id", "sandbox-app-token", base_url=base_url, timeout=1.0, retry=retry)
    options = {"state": state, "project": "p", "max_body_items": int(items)}
    async with client as voucherify:
        if path.endswith(".csv"):
            report = await voucherify.customers.sync_csv(path, **options)
        else:
            with open(path, "rb") as file:
                report = await voucherify.customers.sync(map(json.loads, file), **options)
    print(msgspec.json.encode(report).decode())

asyncio.run(main(*sys.argv[1:]))
"""


class Known(NamedTuple):
    """What a state says: the `source_id`s that a job has, and those that the service is known to hold."""

    accepted: set[str]
    ended: set[str]


def known(state: Path) -> Known:
    """Read a state that nobody has open, and leave it as it is."""
    copy = state.with_name("copy")
    copy.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        (copy / f"state{suffix}").unlink(missing_ok=True)
        if (file := state.with_name(state.name + suffix)).exists():
            shutil.copy(file, copy / f"state{suffix}")
    with closing(sqlite3.connect(copy / "state")) as db:
        if not db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'batches'").fetchone()[0]:
            return Known(set(), set())
        keys = db.execute("SELECT keys FROM batches WHERE job != ''").fetchall()
        ended = {key for (key,) in db.execute("SELECT key FROM items WHERE digest IS NOT NULL")}
    accepted = {key for (some,) in keys for key in msgspec.msgpack.decode(some) if isinstance(key, str)}
    return Known(accepted, ended)


class Killed(NamedTuple):
    """What there was when a process was killed."""

    arrivals: int
    known: Known


class Job:
    """A sync job, in one process after the other."""

    def __init__(self, sandbox: Sandbox, proxy: FaultProxy, source: Source, path: Path) -> None:
        self.sandbox = sandbox
        self.proxy = proxy
        self.source = source
        self.path = path
        self.state = path.with_name("state")
        self.kills: list[Killed] = []
        path.write_bytes(b"".join(line + b"\n" for line in source.lines.values()))

    async def run(self, moment: Callable[[], bool] = lambda: False) -> tuple[int, str, str]:
        """Start it, and kill it at the moment; its exit status and what it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", DRIVER,
            self.proxy.base_url, self.path, self.state, str(BATCH_ITEMS),
            stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        try:
            ended = asyncio.create_task(process.communicate())
            while not ended.done() and not moment():
                await asyncio.wait([ended], timeout=POLL)
            if process.returncode is None:
                process.kill()
            out, err = await ended
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def kill(self, moment: Callable[[], bool]) -> None:
        status, out, err = await self.run(moment)
        assert status == -signal.SIGKILL, (out, err)
        self.kills.append(Killed(len(self.proxy.arrivals), known(self.state)))

    async def kill_again_and_again(self, rounds: int, chance: random.Random) -> dict[str, Any]:
        """Kill it `rounds` times, each time farther, then let it finish; its report."""
        batches = len(self.source.source_ids) // BATCH_ITEMS
        for number in range(rounds):
            goal = batches * (number + chance.random()) / (rounds + 2)  # so that there is something left
            await self.kill(self.moment(goal, chance))
        status, out, err = await self.run()
        assert status == 0, err
        report: dict[str, Any] = json.loads(out)
        return report

    def moment(self, goal: float, chance: random.Random) -> Callable[[], bool]:
        """Some time after so many batches' worth of items have arrived, and a little later."""
        loop = asyncio.get_running_loop()
        source = self.source.source_ids
        before_it = self.kills[-1].known if self.kills else Known(set(), set())
        seen = {place for place, key in source.items() if key in before_it.accepted | before_it.ended}
        counted = self.kills[-1].arrivals if self.kills else 0
        begun: float | None = None
        changes, before = 0, self.stamp()
        what, more = chance.choice(["arrivals", "state", "time"]), chance.randrange(1, 9)
        last = 0

        def reached() -> bool:
            nonlocal counted, begun, changes, before, last
            for arrival in self.proxy.arrivals[counted:]:
                seen.update(marks(arrival.body))
            counted = len(self.proxy.arrivals)
            if len(seen) < goal * BATCH_ITEMS:
                before = self.stamp()
                return False
            if begun is None:
                begun, last = loop.time(), counted
            changes += (now := self.stamp()) != before
            before = now
            later = loop.time() - begun
            return {
                "arrivals": counted >= last + more,
                "state": changes >= more,
                "time": later >= more * 0.01,
            }[what] or later > 1

        return reached

    def stamp(self) -> tuple[int, int] | None:
        try:
            found = self.state.with_name("state-wal").stat()
        except FileNotFoundError:
            return None
        return found.st_size, found.st_mtime_ns

    def assert_done(self, report: dict[str, Any]) -> None:
        """All is as if it had run once."""
        source = self.source
        store = self.sandbox.store
        store.clock = lambda: time.time() + 24 * 3600
        store.advance()  # jobs of which no process heard have ended as well
        assert {record.source_id: held(record) for record in store.customers.values()} == {
            source_id: without_nothing(properties) for source_id, properties in source.expected.items()
        }
        assert report["read"] == len(source.source_ids) + len(source.invalid)
        assert report["invalid"] == len(source.invalid)
        done = [report[name] for name in ("sent", "unchanged", "duplicates")]
        assert sum(done) == len(source.source_ids)
        assert report["sent"] == report["succeeded"] + report["failed"]
        failures = report["failures"]
        assert {one["position"] for one in failures if one["key"] == "invalid_item"} == source.invalid
        failed = {one["source_id"] for one in failures if one["key"] != "invalid_item"}
        assert failed == source.refused & set(source.source_ids.values())
        assert sum(job["items"] for job in report["jobs"]) == report["sent"]
        assert {job["id"] for job in report["jobs"]} <= store.jobs.keys()
        self.assert_nothing_done_was_sent_again()
        self.assert_order(self.sandbox.requests)

    def assert_nothing_done_was_sent_again(self) -> None:
        """But for customers that come more than once: what comes first is not what holds."""
        times = Counter(self.source.source_ids.values())
        for before, after in pairwise(self.kills):
            assert {key for key in before.known.ended if times[key] == 1} <= after.known.ended
        for number, killed in enumerate(self.kills):
            done = {key for key in killed.known.ended | killed.known.accepted if times[key] == 1}
            done -= self.source.refused
            for arrival in self.proxy.arrivals[killed.arrivals :]:
                again = {self.source.source_ids[place] for place in marks(arrival.body)}
                assert not again & done, (number, arrival)

    def assert_order(self, exchanges: Sequence[Exchange]) -> None:
        """What is sent last for a customer is what the source has last."""
        last: dict[str, int] = {}
        for exchange in exchanges:
            if exchange.method == "POST" and exchange.status == 202:
                for position in sorted(marks(exchange.request_body)):
                    source_id = self.source.source_ids[position]
                    last[source_id] = position
        for source_id, position in last.items():
            assert position == max(p for p, key in self.source.source_ids.items() if key == source_id)


@asynccontextmanager
async def job_of(
    source: Source, path: Path, monkeypatch: pytest.MonkeyPatch, *, seed: int = SEED
) -> AsyncGenerator[Job]:
    refuse(source.refused, monkeypatch)
    async with (
        Sandbox(job_seconds=JOB_SECONDS) as sandbox,
        fault_proxy(sandbox.base_url, random_plan(seed, FAULT_RATE)) as proxy,
    ):
        yield Job(sandbox, proxy, source, path)


async def test_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with job_of(json_lines(390, seed=SEED), tmp_path / "customers.ndjson", monkeypatch) as job:
        report = await job.kill_again_and_again(3, random.Random(SEED))
        job.assert_done(report)
        assert report["failures"] == []


async def test_killed_while_some_fail_and_some_are_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = json_lines(300, seed=SEED, refuse=0.05, spoil=0.05)
    async with job_of(source, tmp_path / "customers.ndjson", monkeypatch) as job:
        report = await job.kill_again_and_again(1, random.Random(SEED))
        job.assert_done(report)
        assert source.failed
        assert source.invalid


async def test_killed_while_it_imports_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = csv_lines(300, seed=SEED, refuse=0.05)
    async with job_of(source, tmp_path / "customers.csv", monkeypatch) as job:
        report = await job.kill_again_and_again(1, random.Random(SEED))
        job.assert_done(report)
        assert source.failed


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suffix", ["ndjson", "csv"])
async def test_killed_fifty_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    rounds = int(50 * SOAK_SCALE) or 1
    items = 130 * (rounds + 1)
    if suffix == "csv":
        source = csv_lines(items, seed=SEED, refuse=0.02)
    else:
        source = json_lines(items, seed=SEED, refuse=0.02, spoil=0.02)
    async with job_of(source, tmp_path / f"customers.{suffix}", monkeypatch) as job:
        job.assert_done(await job.kill_again_and_again(rounds, random.Random(SEED)))


# ---------------------------------------------------------------- killed from inside

KILLED_AT_STATEMENTS = """
import asyncio, gc, json, os, shutil, signal, sqlite3, sys
from itertools import islice
from pathlib import Path
import msgspec
from voucherify_async import VoucherifyClient
from voucherify_async._sync import jobs

base_url, template, at_once = sys.argv[1], Path(sys.argv[2]), 4
jobs._FIRST_PAUSE = 0.005
moments = die_at = 0

def moment():
    global moments
    moments += 1
    if moments == die_at:
        os.kill(os.getpid(), signal.SIGKILL)

class Connection(sqlite3.Connection):
    def execute(self, *arguments):
        moment()
        return super().execute(*arguments)

    def executemany(self, *arguments):
        moment()
        return super().executemany(*arguments)

async def sync(path, run):
    client = VoucherifyClient("sandbox-app-id", "sandbox-app-token", base_url=base_url, headers={"X-Run": run})
    options = {"state": path.with_name("state"), "max_body_items": 3, "concurrency": 2}
    async with client as voucherify:
        if path.suffix == ".csv":
            return await voucherify.customers.sync_csv(path, **options)
        with path.open("rb") as file:
            return await voucherify.customers.sync(map(json.loads, file), **options)

def fork(name, run, when=0):
    if child := os.fork():
        return child
    global die_at
    die_at = when
    connect = sqlite3.connect
    sqlite3.connect = lambda *given, **options: connect(*given, factory=Connection, **options)
    report = asyncio.run(sync(template.parent / name / template.name, run))
    said = {"report": report, "moments": moments}
    (template.parent / name / f"{run}.json").write_bytes(msgspec.json.encode(said))
    os._exit(0)

def wait(children):
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

def prepare(name):
    (template.parent / name).mkdir()
    (template.parent / name / template.name).write_text(template.read_text().replace("NAME", name))

prepare("before")
asyncio.run(sync(template.parent / "before" / template.name, "first"))  # what is imported and made once
gc.collect()
gc.freeze()  # the collections of a fork would copy the memory
prepare("whole")
assert wait([fork("whole", "second")]) == [0]
total = json.loads((template.parent / "whole" / "second.json").read_bytes())["moments"]
whens = iter(range(1, total + 1))
while some := list(islice(whens, at_once)):
    for when in some:
        prepare(f"run{when}")
    killed = wait([fork(f"run{when}", "first", when) for when in some])
    assert killed == [-signal.SIGKILL] * len(some), (some, killed)
    for when in some:
        folder = template.parent / f"run{when}"
        (folder / "killed").mkdir()
        for file in folder.glob("state*"):
            shutil.copy(file, folder / "killed")
    ended = wait([fork(f"run{when}", "second") for when in some])
    assert ended == [0] * len(some), (some, ended)
print(total)
"""


class Outcome(NamedTuple):
    """What came of a job that was killed once, or never.

    Attributes:
        name: What all its `source_id`s begin with.
        report: Of the process that finished it.
        known: What the state said when it was killed.
        failures: The positions of what failed or was invalid, as the state has them in the end.
        sent: The positions of the items in the requests of each process, by order of arrival.
        held: What the service holds of its customers: their descriptions, by `source_id` without the name.
    """

    name: str
    report: dict[str, Any]
    known: Known
    failures: list[int]
    sent: dict[str, list[set[int]]]
    held: list[tuple[str | None, str]]


async def kill_at_every_statement(sandbox: Sandbox, template: Path) -> list[Outcome]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", KILLED_AT_STATEMENTS, sandbox.base_url, template,
        stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    sandbox.store.clock = lambda: time.time() + 24 * 3600
    sandbox.store.advance()
    names = ["whole", *(f"run{when}" for when in range(1, int(out) + 1))]
    return [outcome_of(sandbox, template.parent / name) for name in names]


def outcome_of(sandbox: Sandbox, folder: Path) -> Outcome:
    own = re.compile(rb"\b%b\b" % folder.name.encode())
    sent: dict[str, list[set[int]]] = {"first": [], "second": []}
    for exchange in sandbox.requests:
        if exchange.method == "POST" and own.search(exchange.request_body):
            sent[exchange.request_headers["X-Run"]].append(marks(exchange.request_body))
    held = [
        (record.source_id and record.source_id.partition("-")[2], str(record.fields["description"]))
        for record in sandbox.store.customers.values()
        if str(record.fields["name"]) == folder.name
    ]
    killed = folder / "killed" / "state"
    with closing(sqlite3.connect(folder / "state")) as db:
        failures = [position for (position,) in db.execute("SELECT position FROM failures ORDER BY position")]
    return Outcome(
        name=folder.name,
        report=json.loads((folder / "second.json").read_bytes())["report"],
        known=known(killed) if killed.exists() else Known(set(), set()),
        failures=failures,
        sent=sent,
        held=sorted(held, key=str),
    )


async def test_killed_at_any_statement_of_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a job that fails once, customers that come again, one that is refused, and two that are none."""
    source_ids = ["a", "b", "broken", "a", None, "refused", "c", "b", None, "d"]
    template = tmp_path / "customers.ndjson"
    with template.open("w") as file:
        for position, source_id in enumerate(source_ids):
            item = {"source_id": f"NAME-{source_id}", "name": "NAME", "description": f"mark-{position}-"}
            file.write(json.dumps(item if source_id else {}) + "\n")

    broken: set[str] = set()

    def check_or_fail(body: Any, *, ids: bool) -> Any:
        source_id = body["source_id"]
        if source_id.endswith("-refused"):
            raise ApiError(400, "invalid_payload", "It is refused")
        if source_id.endswith("-broken") and source_id not in broken:
            broken.add(source_id)
            raise RuntimeError(source_id)
        return check_customer(body, ids=ids)

    monkeypatch.setattr("voucherify_async.sandbox._store.jobs.check_customer", check_or_fail)
    async with Sandbox(job_seconds=0.001) as sandbox:
        outcomes = await kill_at_every_statement(sandbox, template)
    for outcome in outcomes:
        report = outcome.report
        assert (report["read"], report["invalid"]) == (10, 2), outcome
        done = [report[name] for name in ("sent", "unchanged", "duplicates")]
        assert sum(done) == 8, outcome
        assert report["failed"] + report["succeeded"] == report["sent"], outcome
        failures = {one["position"]: one["key"] for one in report["failures"]}
        assert sorted(failures) == outcome.failures == [4, 5, 8], outcome
        assert outcome.held == [
            ("a", "mark-3-"), ("b", "mark-7-"), ("broken", "mark-2-"), ("c", "mark-6-"), ("d", "mark-9-"),
        ], outcome  # fmt: skip
        again = set[int]().union(*outcome.sent["second"])
        names = {6: f"{outcome.name}-c", 9: f"{outcome.name}-d"}
        done_before = {
            place for place, name in names.items() if name in outcome.known.ended | outcome.known.accepted
        }
        assert not again & done_before, outcome
    assert len(outcomes) > 4 * 8


@pytest.mark.soak
async def test_killed_at_any_statement_while_rows_make_new_customers(tmp_path: Path) -> None:
    """No customer is made twice, and what is not known is reported as that."""
    source_ids = ["a", "b", "c", "", "d", "e", "a"]
    template = tmp_path / "customers.csv"
    rows = [f"{key and f'NAME-{key}'},NAME,mark-{line}-" for line, key in enumerate(source_ids, start=2)]
    template.write_text("\n".join(["Source_id,Name,Description", *rows]))
    unknown = 0
    async with Sandbox(job_seconds=0.001) as sandbox:
        outcomes = await kill_at_every_statement(sandbox, template)
    for outcome in outcomes:
        report = outcome.report
        failures = {failure["position"]: failure["key"] for failure in report["failures"]}
        assert failures in ({}, {5: "outcome_unknown"}), outcome
        assert report["invalid"] == 0, outcome
        done = [report[name] for name in ("sent", "unchanged", "duplicates")]
        assert sum(done) == report["read"] == 7, outcome
        everybody = {("a", "mark-8-"), ("b", "mark-3-"), ("c", "mark-4-"), ("d", "mark-6-"), ("e", "mark-7-")}
        nobody = {(None, "mark-5-")}
        assert len(set(outcome.held)) == len(outcome.held), outcome
        assert set(outcome.held) == everybody | nobody or (failures and set(outcome.held) == everybody), (
            outcome
        )
        assert sum(5 in positions for run in outcome.sent.values() for positions in run) <= 1, outcome
        unknown += bool(failures)
    assert 0 < unknown < 10  # killed between what is written before it is sent and what is written after


# ---------------------------------------------------------------- ended by the service


@pytest.mark.parametrize(
    "settings",
    [{"app_token": "outdated"}, {"base_url": "http://127.0.0.1:1", "retry": RetryPolicy(base=0.0)}],
    ids=["refused", "not reached"],
)
@pytest.mark.parametrize("header", ["Name,Description", "Source_id,Name,Description"])
async def test_what_certainly_did_not_arrive_counts_as_not_sent(
    sandbox: Sandbox, tmp_path: Path, settings: dict[str, Any], header: str
) -> None:
    """The error says that the service did not act on it, so that the next run may send it."""
    columns = header.count(",") + 1
    rows = [",".join([f"{row}-{column}" for column in range(columns)]) for row in range(10)]
    path, state = tmp_path / "customers.csv", tmp_path / "state"
    path.write_text("\n".join([header, *rows]))
    async with sandbox.client(**settings) as voucherify, skipping_clock(voucherify):
        with pytest.raises(VoucherifyError) as caught:
            await voucherify.customers.sync_csv(path, state=state, project="p")
    assert not caught.value.may_have_been_applied

    async with sandbox.client() as voucherify:
        report = await voucherify.customers.sync_csv(path, state=state, project="p")
    assert report.failures == ()
    assert (report.succeeded, report.failed, report.resent) == (10, 0, 0)
    assert len(sandbox.store.customers) == 10

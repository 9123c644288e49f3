"""A sync job that is killed at any moment and taken up in a new process does what one run would have done.

The processes are killed with SIGKILL, from outside between a sandbox and a proxy that lets one request in ten
fail, and from inside at each statement of the journal.
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
from voucherify_async.sandbox.errors import ApiError
from voucherify_async.sandbox.queries import check_customer
from voucherify_async.sandbox.records import Record

SEED = 2_026
FAULT_RATE = 0.10
BATCH_ITEMS = 25
JOB_SECONDS = 0.01
POLL = 0.001
SECONDS = 60.0
"""After which a process has not done what it must; nothing waits that long."""
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

    monkeypatch.setattr("voucherify_async.sandbox.jobs.check_customer", check_or_refuse)


def marks(body: bytes) -> set[int]:
    """The positions of the items in the body of a request."""
    return {int(position) for position in MARK.findall(body)}


# ---------------------------------------------------------------- killed from outside

DRIVER = """
import asyncio, json, sys
import msgspec
from voucherify_async import RetryPolicy, VoucherifyClient

async def main(base_url, path, journal, items):
    retry = RetryPolicy(base=0.001, cap=0.01)
    client = VoucherifyClient("sandbox-app-id", "sandbox-app-token", base_url=base_url, timeout=0.25, retry=retry)
    options = {"journal": journal, "max_body_items": int(items)}
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
    """What a journal says was done: the positions of items of which a job has been taken on, or has ended."""

    accepted: set[int]
    ended: set[int]


def known(journal: Path) -> Known:
    """Read a journal that nobody has open, and leave it as it is."""
    copy = journal.with_name("copy")
    copy.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        (copy / f"journal{suffix}").unlink(missing_ok=True)
        if (file := journal.with_name(journal.name + suffix)).exists():
            shutil.copy(file, copy / f"journal{suffix}")
    accepted: set[int] = set()
    ended: set[int] = set()
    with closing(sqlite3.connect(copy / "journal")) as db:
        if not db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'batches'").fetchone()[0]:
            return Known(accepted, ended)
        for ranges, job, has_ended in db.execute("SELECT positions, job, ended FROM batches"):
            positions = {position for first, end in json.loads(ranges) for position in range(first, end)}
            accepted |= positions if job else set()
            ended |= positions if has_ended else set()
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
        self.journal = path.with_name("journal")
        self.kills: list[Killed] = []
        path.write_bytes(b"".join(line + b"\n" for line in source.lines.values()))

    async def run(self, moment: Callable[[], bool] = lambda: False) -> tuple[int, str, str]:
        """Start it, and kill it at the moment; its exit status and what it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", DRIVER,
            self.proxy.base_url, self.path, self.journal, str(BATCH_ITEMS),
            stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(SECONDS):
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
        self.kills.append(Killed(len(self.proxy.arrivals), known(self.journal)))

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
        seen = set(self.kills[-1].known.accepted) if self.kills else set[int]()
        counted = self.kills[-1].arrivals if self.kills else 0
        begun: float | None = None
        changes, before = 0, self.stamp()
        what, more = chance.choice(["arrivals", "journal", "time"]), chance.randrange(1, 9)
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
                begun, last = time.monotonic(), counted
            changes += (now := self.stamp()) != before
            before = now
            later = time.monotonic() - begun
            return {
                "arrivals": counted >= last + more,
                "journal": changes >= more,
                "time": later >= more * 0.01,
            }[what] or later > 1

        return reached

    def stamp(self) -> tuple[int, int] | None:
        try:
            found = self.journal.with_name("journal-wal").stat()
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
        counts = {name: report[name] for name in ("read", "sent", "succeeded", "failed", "invalid")}
        assert counts == {
            "read": len(source.source_ids) + len(source.invalid),
            "sent": len(source.source_ids),
            "succeeded": len(source.source_ids) - len(source.failed),
            "failed": len(source.failed),
            "invalid": len(source.invalid),
        }
        failures = [failure["position"] for failure in report["failures"]]
        assert failures == sorted(source.failed | source.invalid)
        assert sum(job["items"] for job in report["jobs"]) == report["sent"]
        assert sum(job["succeeded"] for job in report["jobs"]) == report["succeeded"]
        assert sum(job["failed"] for job in report["jobs"]) == report["failed"]
        assert len({job["id"] for job in report["jobs"]}) == len(report["jobs"])
        assert {job["id"] for job in report["jobs"]} <= store.jobs.keys()
        self.assert_nothing_done_was_sent_again()
        self.assert_order(self.sandbox.requests)

    def assert_nothing_done_was_sent_again(self) -> None:
        for before, after in pairwise(self.kills):
            assert before.known.ended <= after.known.ended
        for number, killed in enumerate(self.kills):
            for arrival in self.proxy.arrivals[killed.arrivals :]:
                again = marks(arrival.body)
                assert not again & killed.known.ended, (number, arrival)
                assert not again & killed.known.accepted, (number, arrival)

    def assert_order(self, exchanges: Sequence[Exchange]) -> None:
        last: dict[str, int] = {}
        for exchange in exchanges:
            if exchange.method == "POST" and exchange.status == 202:
                for position in sorted(marks(exchange.request_body)):
                    source_id = self.source.source_ids[position]
                    assert last.get(source_id, 0) <= position, source_id
                    last[source_id] = position


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
import asyncio, json, os, shutil, signal, sqlite3, sys
from itertools import islice
from pathlib import Path
import msgspec
from voucherify_async import VoucherifyClient
from voucherify_async.bulk import poller

base_url, template, at_once = sys.argv[1], Path(sys.argv[2]), 4
poller._FIRST_PAUSE = 0.005
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

    def __exit__(self, *arguments):
        moment()
        ended = super().__exit__(*arguments)
        moment()
        return ended

async def sync(path, run):
    client = VoucherifyClient("sandbox-app-id", "sandbox-app-token", base_url=base_url, headers={"X-Run": run})
    options = {"journal": path.with_name("journal"), "max_body_items": 3, "concurrency": 2}
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
        for file in folder.glob("journal*"):
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
        known: What the journal said when it was killed.
        failures: The positions of what failed or was invalid, as the journal has them in the end.
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
    killed = folder / "killed" / "journal"
    with closing(sqlite3.connect(folder / "journal")) as db:
        failures = [position for (position,) in db.execute("SELECT position FROM failures ORDER BY position")]
    return Outcome(
        name=folder.name,
        report=json.loads((folder / "second.json").read_bytes())["report"],
        known=known(killed) if killed.exists() else Known(set(), set()),
        failures=failures,
        sent=sent,
        held=sorted(held, key=str),
    )


async def test_killed_at_any_statement_of_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a job that fails each time, customers that come again, one that is refused, and two that are none."""
    source_ids = ["a", "b", "broken", "a", None, "refused", "c", "b", None, "d"]
    template = tmp_path / "customers.ndjson"
    with template.open("w") as file:
        for position, source_id in enumerate(source_ids):
            item = {"source_id": f"NAME-{source_id}", "name": "NAME", "description": f"mark-{position}-"}
            file.write(json.dumps(item if source_id else {}) + "\n")

    def check_or_fail(body: Any, *, ids: bool) -> Any:
        source_id = body["source_id"]
        if source_id.endswith("-refused"):
            raise ApiError(400, "invalid_payload", "It is refused")
        if source_id.endswith("-broken"):
            raise RuntimeError(source_id)
        return check_customer(body, ids=ids)

    monkeypatch.setattr("voucherify_async.sandbox.jobs.check_customer", check_or_fail)
    async with Sandbox(job_seconds=0.001) as sandbox:
        outcomes = await kill_at_every_statement(sandbox, template)
    for outcome in outcomes:
        report = outcome.report
        counts = [report[name] for name in ("read", "sent", "succeeded", "failed", "invalid")]
        assert counts == [10, 8, 4, 4, 2], outcome
        assert [failure["position"] for failure in report["failures"]] == [0, 1, 2, 4, 5, 8], outcome
        assert sum(job["succeeded"] for job in report["jobs"]) == 4, outcome
        assert [job["status"] for job in report["jobs"]].count("FAILED") == 2, outcome
        assert outcome.failures == [0, 1, 2, 4, 5, 8], outcome
        assert outcome.held == [
            ("a", "mark-3-"), ("b", "mark-7-"), ("c", "mark-6-"), ("d", "mark-9-"),
        ], outcome  # fmt: skip
        again = set[int]().union(*outcome.sent["second"])
        assert not again & outcome.known.ended, outcome
        # Those of the job that fails, and only those, may be sent once more though a job has them.
        assert again & outcome.known.accepted <= {0, 1, 2}, outcome
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
        assert failures in ({}, dict.fromkeys([5, 6, 7], "outcome_unknown")), outcome
        counts = [report[name] for name in ("read", "sent", "succeeded", "failed", "invalid")]
        assert counts == [7, 7, 7 - len(failures), len(failures), 0], outcome
        kept = {("a", "mark-8-"), ("b", "mark-3-"), ("c", "mark-4-")}
        rest = {(None, "mark-5-"), ("d", "mark-6-"), ("e", "mark-7-")}
        assert len(set(outcome.held)) == len(outcome.held), outcome
        assert set(outcome.held) == kept | rest or (failures and set(outcome.held) == kept), outcome
        assert sum(5 in positions for run in outcome.sent.values() for positions in run) <= 1, outcome
        again = set[int]().union(*outcome.sent["second"])
        assert not again & (outcome.known.ended | outcome.known.accepted), outcome
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
    path, journal = tmp_path / "customers.csv", tmp_path / "journal"
    path.write_text("\n".join([header, *rows]))
    async with sandbox.client(**settings) as voucherify, skipping_clock(voucherify):
        with pytest.raises(VoucherifyError) as caught:
            await voucherify.customers.sync_csv(path, journal=journal)
    assert not caught.value.may_have_been_applied

    async with sandbox.client() as voucherify:
        report = await voucherify.customers.sync_csv(path, journal=journal)
    assert report.failures == ()
    assert (report.succeeded, report.failed, report.resent) == (10, 0, 0)
    assert len(sandbox.store.customers) == 10

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voucherify_async.bulk.batches import Batch, Frame, Item, make_batch, to_ranges
from voucherify_async.bulk.journal import Journal, read_failures
from voucherify_async.bulk.past import Past, Recorded
from voucherify_async.bulk.results import INVALID_ITEM, SyncFailure, SyncJob

FRAME = Frame(b"[", b",", b"]", 1_000, 100)
PURPOSE = "customers.sync"


def names_in(directory: Path) -> list[str]:
    return [found.name for found in directory.iterdir()]


def item_at(position: int) -> Item:
    return Item(position, f"c{position}", f'{{"source_id":"c{position}","name":"Zoë"}}'.encode())


def batch_of(number: int, *positions: int) -> Batch:
    return make_batch(number, map(item_at, positions), FRAME)


def failure_of(batch: Batch, index: int, **more: Any) -> SyncFailure:
    return SyncFailure(
        position=batch.positions[index],
        source_id=batch.keys[index],
        raw_item=batch.raw_item(index),
        **{"key": "wrong", "message": "it is wrong", **more},
    )


def invalid_at(position: int, **more: Any) -> SyncFailure:
    return SyncFailure(position=position, key=INVALID_ITEM, message="it is none", **more)


def job_of(batch: Batch, name: str = "aa_1", status: str | None = "DONE", failed: int = 0) -> SyncJob:
    return SyncJob(
        id=name,
        status=status,
        items=len(batch),
        succeeded=len(batch) - failed,
        failed=failed,
        duration=0.125,
    )


@contextmanager
def opened(path: str | os.PathLike[str], purpose: str = PURPOSE) -> Generator[Journal]:
    with closing(Journal(path, purpose).open()) as journal:
        yield journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


# ---------------------------------------------------------------- what is written is read


class TestWritten:
    def test_nothing(self, path: Path) -> None:
        with opened(path) as journal:
            assert journal.path == str(path)
            assert journal.recorded() == []
            assert (journal.jobs_of(0), journal.failures_of(0)) == ([], [])

    @pytest.mark.parametrize("again", [True, False], ids=["opened again", "still open"])
    def test_how_far_each_batch_came(self, path: Path, again: bool) -> None:
        made, accepted, failed, once_more, ended = batches = [
            batch_of(0, 0, 1, 4),
            batch_of(1, 2, 3),
            batch_of(2, 5),
            batch_of(3, 6, 8),
            batch_of(5, 2**40, 2**40 + 1),
        ]
        with opened(path) as journal:
            for batch in batches:
                journal.made(batch)
            journal.sending(made)
            for batch in (accepted, failed, once_more, ended):
                batch.job, batch.accepted, batch.resent = f"aa_{batch.number}", 1.7e9 + 0.25, batch.number
                journal.accepted(batch)
            for batch in (failed, once_more):
                journal.failed(batch, job_of(batch, batch.job, "FAILED", len(batch)))
            once_more.job, once_more.accepted = "aa_33", 1.8e9
            journal.accepted(once_more)
            ended.resent = 7
            journal.ended(ended, [job_of(ended, ended.job)], [])
            if not again:
                recorded = journal.recorded()
        with opened(path) as journal:
            recorded = journal.recorded()
        at = 1.7e9 + 0.25
        assert recorded == [
            Recorded(0, [(0, 2), (4, 5)], made.digest, True, "", 0.0, False, 0, False),
            Recorded(1, [(2, 4)], accepted.digest, False, "aa_1", at, False, 1, False),
            Recorded(2, [(5, 6)], failed.digest, True, "", at, True, 2, False),
            Recorded(3, [(6, 7), (8, 9)], once_more.digest, False, "aa_33", 1.8e9, True, 3, False),
            Recorded(5, [(2**40, 2**40 + 2)], ended.digest, False, "aa_5", at, False, 7, True),
        ]

    def test_batches_come_in_the_order_of_their_numbers(self, path: Path) -> None:
        with opened(path) as journal:
            for number in (3, 0, 2):
                journal.made(batch_of(number, number))
            assert [recorded.number for recorded in journal.recorded()] == [0, 2, 3]

    def test_jobs_of_a_batch(self, path: Path) -> None:
        first, second = batch_of(0, 0, 1), batch_of(1, 2)
        failed = job_of(first, "aa_1", "FAILED", 2)
        done = job_of(first, "aa_2", "DONE", 1)
        gone = job_of(second, "aa_3", None, 1)
        with opened(path) as journal:
            journal.made(first)
            journal.made(second)
            journal.failed(first, failed)
            journal.ended(second, [gone], [])
            journal.ended(first, [done], [])
        with opened(path) as journal:
            assert journal.jobs_of(0) == [failed, done]
            assert journal.jobs_of(1) == [gone]
            assert journal.jobs_of(2) == []

    def test_a_batch_that_ended_without_a_job(self, path: Path) -> None:
        batch = batch_of(0, 0)
        with opened(path) as journal:
            journal.made(batch)
            journal.ended(batch, [], [failure_of(batch, 0)])
            assert journal.jobs_of(0) == []
            assert journal.recorded()[0].ended

    def test_failures_of_a_batch(self, path: Path) -> None:
        batch, other = batch_of(0, 0, 1, 2), batch_of(1, 3)
        failures = [
            failure_of(batch, 2, key=None, message=None),
            SyncFailure(
                key="unnamed", message="the job aa_1 did not do as many items as it names no failures of"
            ),
            failure_of(batch, 0, details='so "wrong"\n\0 ü 🎉'),
        ]
        with opened(path) as journal:
            for each in (batch, other):
                journal.made(each)
            journal.ended(batch, [job_of(batch, failed=3)], failures)
            journal.ended(other, [job_of(other, failed=1)], [failure_of(other, 0)])
        with opened(path) as journal:
            assert journal.failures_of(0) == failures
            assert journal.failures_of(1) == [failure_of(other, 0)]
            assert [failure.item for failure in journal.failures_of(0)] == [
                failure.item for failure in failures
            ]

    @pytest.mark.parametrize("page", [1, 2, 3, 1_000])
    def test_all_failures_in_the_order_of_their_discovery(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, page: int
    ) -> None:
        monkeypatch.setattr("voucherify_async.bulk.journal._PAGE", page)
        first, second = batch_of(0, 0, 1, 9), batch_of(1, 3, 4)
        unnamed = SyncFailure(key="unnamed", message="it is not known which")
        with opened(path) as journal:
            for batch in (first, second):
                journal.made(batch)
            journal.ended(second, [], [unnamed, failure_of(second, 1), failure_of(second, 0)])
            journal.ended(first, [], [failure_of(first, 2)])
        found = read_failures(str(path))
        assert next(found) == unnamed
        with opened(path):  # what is read in part holds nothing
            pass
        assert list(found) == [
            failure_of(second, 1), failure_of(second, 0), failure_of(first, 2),
        ]  # fmt: skip

    def test_failures_of_a_journal_in_use(self, path: Path) -> None:
        with opened(path), pytest.raises(ValueError, match="^journal: .* is in use"):
            list(read_failures(str(path)))

    def test_only_its_owner_may_read_it(self, path: Path) -> None:
        with opened(path):
            assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}

    def test_what_is_invalid_is_forgotten_at_the_next_opening(self, path: Path) -> None:
        batch = batch_of(0, 0)
        with opened(path) as journal:
            journal.made(batch)
            journal.ended(batch, [], [failure_of(batch, 0)])
            journal.invalid([invalid_at(5), invalid_at(6)])
        assert len(list(read_failures(str(path)))) == 3
        with opened(path) as journal:
            assert journal.failures_of(0) == [failure_of(batch, 0)]
            journal.invalid([invalid_at(6)])
        assert list(read_failures(str(path))) == [failure_of(batch, 0), invalid_at(6)]

    @pytest.mark.parametrize("name", ["source_id", "message"])
    def test_text_that_is_no_unicode(self, path: Path, name: str) -> None:
        told: dict[str, Any] = {"source_id": "c1", "message": "it is none", name: "half a pair: \ud83d"}
        with opened(path) as journal:
            journal.invalid([SyncFailure(position=1, key=INVALID_ITEM, **told), invalid_at(2)])
        assert [failure.position for failure in read_failures(str(path))] == [1, 2]

    def test_a_batch_is_not_made_twice(self, path: Path) -> None:
        with opened(path) as journal:
            journal.made(batch_of(0, 0))
            with pytest.raises(OSError, match="journal: .* cannot be written: UNIQUE"):
                journal.made(batch_of(0, 1))
            assert [recorded.ranges for recorded in journal.recorded()] == [[(0, 1)]]

    def test_a_write_that_fails_leaves_nothing(self, path: Path) -> None:
        batch = batch_of(0, 0, 1)
        bad: Any = [failure_of(batch, 0), msgspec.structs.replace(failure_of(batch, 1), position=object())]
        with opened(path) as journal:
            journal.made(batch)
            with pytest.raises(OSError, match="journal: .* cannot be written"):
                journal.ended(batch, [job_of(batch, failed=2)], bad)
            assert (journal.jobs_of(0), journal.failures_of(0)) == ([], [])
            assert not journal.recorded()[0].ended


# ---------------------------------------------------------------- what is refused


OPEN_ELSEWHERE = """
import sys
from voucherify_async.bulk.journal import Journal
try:
    Journal(sys.argv[1], "customers.sync").open().close()
except ValueError as error:
    sys.exit(str(error))
"""


class TestRefused:
    def test_another_purpose(self, path: Path) -> None:
        with opened(path) as journal:
            journal.invalid([invalid_at(1)])
        with pytest.raises(
            ValueError,
            match=r"^journal: '.*journal.db' is of customers.sync in format 1, not of other in format 1$",
        ):
            Journal(path, "other").open()
        assert list(read_failures(str(path))) == [invalid_at(1)]
        Journal(path, PURPOSE).open().close()

    def test_another_format(self, path: Path) -> None:
        Journal(path, PURPOSE).open().close()
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE meta SET value = '2' WHERE name = 'format'")
        with pytest.raises(ValueError, match=r"^journal: .* is of customers.sync in format 2, not of"):
            Journal(path, PURPOSE).open()

    @pytest.mark.parametrize(
        "content", [b"position,source_id\n" * 100, b"xy", b"SQLite format 3\0" + b"x" * 2000]
    )
    def test_a_file_of_something_else(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^journal: '.*journal.db' cannot be used: "):
            Journal(path, PURPOSE).open()
        assert path.read_bytes() == content
        assert names_in(path.parent) == [path.name]

    @pytest.mark.parametrize(
        "tables",
        [
            ["CREATE TABLE customers (name)"],
            ["CREATE TABLE meta (name, value)", "INSERT INTO meta VALUES ('version', 3)"],
            ["CREATE TABLE meta (other)"],
        ],
    )
    def test_a_database_of_another_program_is_left_as_it_is(self, path: Path, tables: Sequence[str]) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            for statement in tables:
                db.execute(statement)
        before = path.read_bytes()
        with pytest.raises(ValueError, match=r"^journal: '.*journal.db' "):
            Journal(path, PURPOSE).open()
        assert path.read_bytes() == before
        assert names_in(path.parent) == [path.name]

    def test_an_empty_file_becomes_a_journal(self, path: Path) -> None:
        path.touch()
        with opened(path) as journal:
            assert journal.recorded() == []

    def test_one_that_is_in_use(self, path: Path) -> None:
        with opened(path) as journal:
            journal.made(batch_of(0, 0))
            with pytest.raises(ValueError, match=r"^journal: '.*journal.db' is in use$"):
                Journal(path, PURPOSE).open()
            with pytest.raises(ValueError, match=r"^journal: '.*journal.db' is in use$"):
                Journal(path, "other").open()
            journal.made(batch_of(1, 1))
        with opened(path) as journal:
            assert len(journal.recorded()) == 2

    def test_one_that_is_in_use_by_another_process(self, path: Path) -> None:
        command = [sys.executable, "-c", OPEN_ELSEWHERE, str(path)]
        with opened(path):
            refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.stderr.rstrip() == f"journal: {str(path)!r} is in use"
        assert refused.returncode == 1

    def test_a_directory_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"^journal: '.*none/journal.db' cannot be used: .*No such file"):
            Journal(tmp_path / "none" / "journal.db", PURPOSE).open()
        assert names_in(tmp_path) == []

    def test_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"^journal: .* cannot be used: "):
            Journal(tmp_path, PURPOSE).open()

    @pytest.mark.parametrize("name", ["", ":memory:"])
    def test_a_name_that_sqlite_takes_for_no_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        try:
            journal = Journal(name, PURPOSE).open()
        except ValueError as error:
            assert str(error).startswith("journal:")  # noqa: PT017  # a file of that name would do as well
        else:
            journal.close()
            assert names_in(tmp_path) == [name]

    def test_failures_of_a_journal_that_is_gone_make_no_file(self, path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="the journal '.*' is gone"):
            list(read_failures(str(path)))
        assert not path.exists()

    def test_it_may_be_closed_twice(self, path: Path) -> None:
        journal = Journal(path, PURPOSE).open()
        journal.close()
        journal.close()
        with pytest.raises(OSError, match="journal: .* cannot be written: Cannot operate on a closed"):
            journal.made(batch_of(0, 0))
        Journal(path, PURPOSE).open().close()

    def test_closed_before_it_is_opened_it_stays_so(self, path: Path) -> None:
        journal = Journal(path, PURPOSE)
        journal.close()
        journal.open()
        assert names_in(path.parent) == []

    def test_nothing_is_left_beside_it(self, path: Path) -> None:
        with opened(path) as journal:
            journal.made(batch_of(0, 0))
        assert names_in(path.parent) == [path.name]


# ---------------------------------------------------------------- what a killed process leaves

DIES = """
import os, signal, sys
from voucherify_async.bulk.batches import Frame, Item, make_batch
from voucherify_async.bulk.journal import Journal
from voucherify_async.bulk.results import SyncFailure, SyncJob

frame = Frame(b"[", b",", b"]", 1_000, 100)
first, second = (
    make_batch(
        number,
        [Item(n, f"c{n}", f'{{"source_id":"c{n}","name":"Zo\\u00eb"}}'.encode()) for n in positions],
        frame,
    )
    for number, positions in enumerate([(0, 2), (1, 3)])
)
journal = Journal(sys.argv[1], "customers.sync").open()
journal.made(first)
first.job, first.accepted = "aa_1", 1.5
journal.accepted(first)
journal.made(second)
journal.sending(second)
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "between":
    die()
journal._add_failures = (lambda add: lambda *facts: (add(*facts), die()))(journal._add_failures)
job = SyncJob(id="aa_1", status="DONE", items=2, succeeded=1, failed=1, duration=1.0)
journal.ended(first, [job], [SyncFailure(position=0)])
"""


@pytest.mark.parametrize("moment", ["between", "within"])
def test_what_a_killed_process_has_written_is_there(path: Path, moment: str) -> None:
    killed = subprocess.run([sys.executable, "-c", DIES, str(path), moment], check=False)
    assert killed.returncode == -signal.SIGKILL
    first, second = batch_of(0, 0, 2), batch_of(1, 1, 3)
    with opened(path) as journal:
        assert journal.recorded() == [
            Recorded(0, [(0, 1), (2, 3)], first.digest, False, "aa_1", 1.5, False, 0, False),
            Recorded(1, [(1, 2), (3, 4)], second.digest, True, "", 0.0, False, 0, False),
        ]
        assert (journal.jobs_of(0), journal.failures_of(0)) == ([], [])
        past = Past(journal.recorded(), FRAME)
    assert feed(past, map(item_at, range(5))) == [item_at(4)]
    assert [(batch.content, batch.job, batch.in_doubt) for _, batch in past.whole] == [
        (first.content, "aa_1", False),
        (second.content, "", True),
    ]


# ---------------------------------------------------------------- batches of the past


def recorded_of(batch: Batch, **more: Any) -> Recorded:
    facts: dict[str, Any] = {
        "in_doubt": False,
        "job": "",
        "accepted": 0.0,
        "retried": False,
        "resent": 0,
        "ended": False,
        **more,
    }
    return Recorded(batch.number, to_ranges(batch.positions), batch.digest, **facts)


def feed(past: Past, items: Iterator[Item] | Sequence[Item]) -> list[Item]:
    """Give it items as a sync job does; those that are new."""
    new: list[Item] = []
    for item in items:
        if past.find(item.position) is None:
            new.append(item)
        else:
            past.take(item)
    past.check_end()
    return new


class TestPast:
    def test_nothing(self) -> None:
        past = Past([], FRAME)
        assert past.next_number == 0
        assert feed(past, [item_at(0)]) == [item_at(0)]
        assert (past.whole, past.is_gathering) == ([], False)

    @pytest.mark.parametrize("ended", [True, False])
    def test_a_batch_is_put_together_again(self, ended: bool) -> None:
        batch = batch_of(4, 0, 1, 2)
        recorded = recorded_of(batch, job="aa_1", accepted=2.5, retried=True, resent=3, ended=ended)
        past = Past([recorded], FRAME)
        assert past.next_number == 5
        assert feed(past, [item_at(position) for position in range(4)]) == [item_at(3)]
        ((found, again),) = past.whole
        assert found is recorded
        assert again.content == batch.content
        assert (list(again.positions), again.keys, again.starts) == ([0, 1, 2], batch.keys, batch.starts)
        assert (again.number, again.job, again.accepted, again.retried, again.resent) == (
            4,
            "aa_1",
            2.5,
            True,
            3,
        )
        assert (again.is_recorded, again.in_doubt) == (True, False)

    @pytest.mark.parametrize("doubt", [True, False])
    def test_doubt_is_kept(self, path: Path, doubt: bool) -> None:
        with opened(path) as journal:
            journal.made(batch_of(0, 0))
            journal.sending(batch_of(0, 0))
            if not doubt:
                journal.not_sent(batch_of(0, 0))
            past = Past(journal.recorded(), FRAME)
        feed(past, [item_at(0)])
        assert past.whole[0][1].in_doubt is doubt

    def test_interleaved_batches(self) -> None:
        batches = [batch_of(0, 0, 3, 7), batch_of(1, 1, 2), batch_of(2, 4, 8)]
        past = Past(map(recorded_of, batches), FRAME)
        assert [item.position for item in feed(past, [item_at(n) for n in range(10)])] == [5, 6, 9]
        assert [batch.content for _, batch in past.whole] == [
            batches[1].content,
            batches[0].content,
            batches[2].content,
        ]

    def test_which_batch_an_item_was_in(self) -> None:
        first, second = recorded_of(batch_of(0, 0, 2)), recorded_of(batch_of(1, 1))
        past = Past([first, second], FRAME)
        found: list[Recorded | None] = []
        for position in range(4):
            found.append(past.find(position))
            if found[-1] is not None:
                past.take(item_at(position))
        assert found == [first, second, first, None]

    def test_gathering(self) -> None:
        done = recorded_of(batch_of(0, 0, 4), ended=True)
        first, second, single = (
            recorded_of(batch) for batch in (batch_of(1, 1, 5), batch_of(2, 2, 6), batch_of(3, 3))
        )
        past = Past([done, first, second, single], FRAME)
        gathering: list[bool] = []
        for position in range(7):
            gathering.append(past.is_gathering)
            past.take(item_at(position))
        assert gathering == [False, False, True, True, True, True, True]
        assert not past.is_gathering
        assert len(past.whole) == 4

    @pytest.mark.parametrize(
        "change",
        [
            lambda item: item._replace(content=item.content.replace(b"Zo", b"Bo")),
            lambda item: item._replace(content=item.content + b" "),
        ],
    )
    @pytest.mark.parametrize("ended", [True, False])
    def test_other_items(self, change: Callable[[Item], Item], ended: bool) -> None:
        past = Past([recorded_of(batch_of(0, 0, 1, 2), ended=ended)], FRAME)
        items = [item_at(0), change(item_at(1)), item_at(2)]
        with pytest.raises(
            ValueError, match=r"^journal: it is of another source: items 0 to 2 are not those"
        ):
            feed(past, items)

    @pytest.mark.parametrize(("length", "missing"), [(0, 1), (1, 1), (2, 2), (3, 3), (5, 5)])
    def test_a_source_that_is_too_short(self, length: int, missing: int) -> None:
        past = Past(map(recorded_of, [batch_of(0, 2, 5), batch_of(1, 1, 3)]), FRAME)
        with pytest.raises(
            ValueError, match=rf"^journal: it is of another source: that had an item {missing}$"
        ):
            feed(past, [item_at(position) for position in range(length)])

    @pytest.mark.parametrize("missing", [3, 4, 6])
    def test_a_missing_item(self, missing: int) -> None:
        past = Past(map(recorded_of, [batch_of(0, 3, 4, 6), batch_of(1, 7)]), FRAME)
        with pytest.raises(ValueError, match=rf"^journal: .* that had an item {missing}$"):
            feed(past, [item_at(position) for position in (3, 4, 6, 7, 8) if position != missing])

    def test_what_comes_after_a_missing_item_is_not_taken_for_new(self) -> None:
        past = Past([recorded_of(batch_of(0, 3, 4, 6))], FRAME)
        past.take(item_at(3))
        with pytest.raises(ValueError, match=r"^journal:"):
            feed(past, iter_until_new(past, [item_at(6)]))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.integers(0, 4), max_size=40), st.sets(st.integers(0, 3)))
    def test_whatever_went_into_which_batch(self, places: list[int], ended: set[int]) -> None:
        parts = [[at for at, place in enumerate(places) if place == number] for number in range(4)]
        batches = [batch_of(number, *part) for number, part in enumerate(parts) if part]
        recorded = [recorded_of(batch, ended=batch.number in ended) for batch in batches]
        past = Past(recorded, FRAME)
        new = feed(past, [item_at(at) for at in range(len(places))])
        assert [item.position for item in new] == [at for at, place in enumerate(places) if place == 4]
        again = {batch.number: batch for _, batch in past.whole}
        assert len(past.whole) == len(batches)
        assert all(again[batch.number].content == batch.content for batch in batches)
        assert not past.is_gathering


def iter_until_new(past: Past, items: Sequence[Item]) -> Iterator[Item]:
    """Fail on an item that would be sent anew though an earlier process has sent it."""
    for item in items:
        assert past.find(item.position) is not None
        yield item


def test_a_failure_of_a_row_keeps_its_text(path: Path) -> None:
    frame = Frame(b"Source_id,Name\n", b"", b"", 1_000, 100, is_json=False)
    batch = make_batch(0, [Item(2, "c1", 'c1,"Zoë\n"\n'.encode())], frame)
    with opened(path) as journal:
        journal.made(batch)
        journal.ended(batch, [], [failure_of(batch, 0)])
        (failure,) = journal.failures_of(0)
    assert failure.item == 'c1,"Zoë\n"\n'
    assert failure.raw_item == msgspec.Raw(msgspec.json.encode('c1,"Zoë\n"\n'))

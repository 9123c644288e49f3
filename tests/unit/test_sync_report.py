from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clocks import FakeClock
from voucherify_async import SyncFailure, SyncJob, SyncProgress, SyncReport, SyncStateError
from voucherify_async._sync.batches import BodyTemplate, Item, make_batch
from voucherify_async._sync.delivery import Delivery
from voucherify_async._sync.report import SyncStats
from voucherify_async._sync.results import INVALID_ITEM, SyncCounts
from voucherify_async._sync.state import SyncState, read_failures
from voucherify_async.models.customers import CustomerUpsert

MOST = 10_000
MAX_BYTES = 16 * 1024 * 1024


def tally_of(
    on_failure: Callable[[SyncFailure], object] | None = None,
    on_progress: Callable[[SyncProgress], object] | None = None,
    clock: FakeClock | None = None,
) -> SyncStats:
    return SyncStats(clock or FakeClock(1_000.0), on_progress, on_failure)


def failed(position: int | None, content: bytes | None = None, **more: Any) -> SyncFailure:
    raw = b'{"source_id":"c%d"}' % (position or 0) if content is None else content
    return SyncFailure(position=position, key="wrong", raw_item=msgspec.Raw(raw), **more)


def big(position: int, size: int) -> SyncFailure:
    """One that takes so much, its texts included."""
    texts = sum(len(text or "") for text in (failed(0).source_id, failed(0).key, failed(0).message))
    return failed(position, b'"' + b"x" * (size - texts - 2) + b'"')


def job_of(number: int) -> SyncJob:
    return SyncJob(id=f"aa_{number}", status="DONE", items=3, succeeded=2, failed=1, duration=0.5)


def positions(report: SyncReport[Any]) -> list[int | None]:
    return [failure.position for failure in report.failures]


class TestCounts:
    def test_nothing(self) -> None:
        report = tally_of().report(None)
        assert report == SyncReport(
            read=0, sent=0, succeeded=0, failed=0, invalid=0, resent=0, failures=(), jobs=()
        )
        assert list(report.all_failures()) == []
        assert list(report.failed_items()) == []

    def test_all_counts_are_in_the_report(self) -> None:
        tally = tally_of()
        tally.read, tally.sent, tally.succeeded, tally.failed, tally.invalid, tally.resent = range(1, 7)
        report = tally.report("state.sqlite")
        assert (report.read, report.sent, report.succeeded) == (1, 2, 3)
        assert (report.failed, report.invalid, report.resent) == (4, 5, 6)
        assert (report.state, report.omitted, report.omitted_to) == ("state.sqlite", 0, None)

    def test_what_ended_is_counted(self) -> None:
        tally = tally_of()
        tally.end(5, [failed(1), failed(2)])
        tally.end(3, [])
        report = tally.report(None)
        assert (report.succeeded, report.failed) == (6, 2)
        assert positions(report) == [1, 2]

    def test_failures_are_sorted_by_position_with_those_without_one_last(self) -> None:
        tally = tally_of()
        tally.fail([failed(5), failed(None, message="first"), failed(0)])
        tally.fail([failed(None, message="second"), failed(3), failed(2**62)])
        report = tally.report(None)
        assert positions(report) == [0, 3, 5, 2**62, None, None]
        assert [failure.message for failure in report.failures[-2:]] == ["first", "second"]

    def test_a_report_is_not_changed_by_what_comes_later(self) -> None:
        tally = tally_of()
        tally.fail([failed(1)])
        report = tally.report(None)
        tally.fail([failed(2)])
        tally.add_job(job_of(0))
        assert positions(report) == [1]
        assert report.jobs == ()

    @pytest.mark.parametrize(("count", "first"), [(0, 0), (3, 0), (MOST, 0), (MOST + 7, 7)])
    def test_the_last_10000_jobs_are_kept(self, count: int, first: int) -> None:
        tally = tally_of()
        for number in range(count):
            tally.add_job(job_of(number))
        assert [job.id for job in tally.report(None).jobs] == [f"aa_{n}" for n in range(first, count)]


class TestLimits:
    @pytest.mark.parametrize(("count", "omitted"), [(MOST, 0), (MOST + 1, 1), (MOST + 50, 50)])
    def test_ten_thousand_failures(self, count: int, omitted: int) -> None:
        told: list[SyncFailure] = []
        tally = tally_of(told.append)
        failures = [failed(position) for position in range(count)]
        tally.fail(failures[: MOST - 5])
        tally.fail(failures[MOST - 5 :])
        report = tally.report(None)
        assert report.failures == tuple(failures[:MOST])
        assert (report.omitted, report.omitted_to) == (omitted, "callback" if omitted else None)
        assert told == failures

    @pytest.mark.parametrize(("excess", "omitted"), [(0, 0), (1, 1)])
    def test_sixteen_mebibytes(self, excess: int, omitted: int) -> None:
        tally = tally_of()
        tally.fail([big(0, MAX_BYTES // 2), big(1, MAX_BYTES // 2 + excess)])
        report = tally.report(None)
        assert (len(report.failures), report.omitted) == (2 - omitted, omitted)

    def test_what_is_kept_is_what_failed_first(self) -> None:
        tally = tally_of()
        tally.fail([failed(0), big(1, MAX_BYTES), failed(2), failed(None)])
        report = tally.report(None)
        assert positions(report) == [0]
        assert report.omitted == 3

    @pytest.mark.parametrize(
        ("state", "on_failure", "omitted_to"),
        [
            ("state.sqlite", None, "state"),
            ("state.sqlite", id, "state"),
            (None, id, "callback"),
            (None, None, None),
        ],
    )
    @pytest.mark.parametrize("omitted", [0, 1])
    def test_where_the_omitted_ones_are(
        self,
        state: str | None,
        on_failure: Callable[[SyncFailure], object] | None,
        omitted_to: str | None,
        omitted: int,
    ) -> None:
        tally = tally_of(on_failure)
        tally.fail([failed(0), big(1, MAX_BYTES if omitted else 10)])
        report = tally.report(state)
        assert report.omitted == omitted
        assert report.omitted_to == (omitted_to if omitted else None)


class TestAllFailures:
    def test_nothing_is_omitted(self) -> None:
        tally = tally_of()
        invalid = SyncFailure(position=1, source_id="c1", key=INVALID_ITEM, message="it is none")
        tally.fail([failed(2), failed(None, b"null"), invalid, failed(0, b'"c0,Ada\\n"')])
        report = tally.report(None)
        assert tuple(report.all_failures()) == report.failures
        assert list(report.failed_items()) == ["c0,Ada\n", CustomerUpsert(source_id="c2")]

    def test_a_state_that_is_not_needed_is_not_read(self, tmp_path: Path) -> None:
        tally = tally_of()
        tally.fail([failed(2)])
        report = tally.report(str(tmp_path / "none" / "state.sqlite"))
        assert tuple(report.all_failures()) == report.failures

    @pytest.mark.parametrize("on_failure", [None, id])
    def test_they_are_nowhere(self, on_failure: Callable[[SyncFailure], object] | None) -> None:
        tally = tally_of(on_failure)
        tally.fail([failed(position) for position in range(MOST + 1_234)])
        report = tally.report(None)
        for read in (report.all_failures, report.failed_items):
            with pytest.raises(ValueError, match=r"^1,234 failures are not kept in the report, as the sync"):
                read()
        assert len(report.failures) == MOST

    async def test_they_are_in_the_state(self, tmp_path: Path) -> None:
        path = str(tmp_path / "state.sqlite")
        frame = BodyTemplate(b"[", b",", b"]", 10**9, 10**6)
        names = [f"c{number}" for number in range(MOST + 20)]
        items = [Item(2 * at, name, b'{"source_id":"%b"}' % name.encode()) for at, name in enumerate(names)]
        batch = make_batch(0, items, frame)
        failures = [
            SyncFailure(position=position, source_id=name, key="wrong", raw_item=batch.raw_item(index))
            for index, (position, name) in enumerate(zip(batch.positions, names, strict=True))
        ]
        invalid = [SyncFailure(position=3, source_id="c?", key=INVALID_ITEM, message="it is none")]
        unnamed = [
            SyncFailure(
                key="unnamed", message="the job aa_1 applied fewer items than its list of failures implies"
            )
        ]
        tally = tally_of()
        async with SyncState(path, project="p", kinds=["k"]) as state:
            await state.begin_sync()
            await state.record_sending(Delivery(batch))
            await state.record_ended(batch, [*unnamed, *reversed(failures)])
            await state.record_failures(invalid)
            with pytest.raises(SyncStateError, match="another sync is using it"):
                list(read_failures(path))
        for some in (unnamed, failures, invalid):
            tally.fail(some)
        report = tally.report(path)
        assert (report.omitted, report.omitted_to) == (22, "state")
        assert list(report.all_failures()) == [*unnamed, *reversed(failures), *invalid]
        assert list(report.failed_items()) == [CustomerUpsert(source_id=name) for name in reversed(names)]

    def test_the_items_are_those_that_were_sent(self) -> None:
        upsert = CustomerUpsert(source_id="ö", name=None, metadata={"a": [1, {"b": None}]})
        tally = tally_of()
        tally.fail([failed(0, msgspec.json.encode(upsert))])
        (item,) = tally.report(None).failed_items()
        assert item == upsert
        assert msgspec.json.encode(item) == msgspec.json.encode(upsert)


class TestProgress:
    def test_nobody_wants_to_know(self) -> None:
        tally_of().report_progress(last=True)

    def test_what_is_told(self) -> None:
        clock = FakeClock(1_000.0)
        told: list[SyncProgress] = []
        tally = tally_of(on_progress=told.append, clock=clock)
        tally.read, tally.sent, tally.succeeded, tally.failed, tally.invalid, tally.resent = range(1, 7)
        tally.open = {f"{number}": (1, 0.0) for number in range(9)}
        clock.now += 2.5
        tally.report_progress()
        assert told == [
            SyncProgress(read=1, sent=2, succeeded=3, failed=4, invalid=5, resent=6, open_jobs=9, elapsed=2.5)
        ]

    @pytest.mark.parametrize("began", [0.0, 7.12, 87.7, 157.3, 1_340.0, 86_400.7])
    def test_the_first_is_told_at_once(self, began: float) -> None:
        clock = FakeClock(began)
        told: list[SyncProgress] = []
        tally_of(on_progress=told.append, clock=clock).report_progress()
        assert [progress.elapsed for progress in told] == [0.0]

    @pytest.mark.parametrize("step", [0.001, 0.03, 0.0999, 0.3])
    def test_ten_times_a_second_at_most(self, step: float) -> None:
        clock = FakeClock(1_000.0)
        told: list[float] = []
        tally = tally_of(on_progress=lambda _: told.append(clock.now), clock=clock)
        for _ in range(int(10 / step)):
            clock.now += step
            tally.read += 1
            tally.report_progress()
        assert all(later - sooner >= 0.1 - 1e-9 for sooner, later in pairwise(told))
        assert all(later - sooner < 0.1 + step + 1e-9 for sooner, later in pairwise(told))

    def test_once_at_the_end_however_soon(self) -> None:
        told: list[int] = []
        tally = tally_of(on_progress=lambda progress: told.append(progress.read))
        for tally.read in range(1, 100):
            tally.report_progress()
        tally.report_progress(last=True)
        assert told == [1, 99]

    @settings(max_examples=100)
    @given(
        st.floats(0.0, 1e6),
        st.lists(st.one_of(st.floats(0.0, 0.2), st.sampled_from([0.0, 0.05, 0.1, 0.5])), max_size=60),
    )
    def test_whenever_it_is_called(self, began: float, steps: list[float]) -> None:
        clock = FakeClock(began)
        told: list[float] = []
        tally = tally_of(on_progress=lambda _: told.append(clock.now), clock=clock)
        for step in steps:
            clock.now += step
            tally.report_progress()
        for first, eleventh in zip(told, told[10:], strict=False):
            assert eleventh - first > 1.0 - 1e-6

    def test_an_error_of_the_callback_is_raised(self) -> None:
        def on_failure(failure: SyncFailure) -> None:
            raise RuntimeError("enough")

        tally = tally_of(on_failure)
        with pytest.raises(RuntimeError, match="enough"):
            tally.fail([failed(0)])


# ---------------------------------------------------------------- as values

FAILURE = failed(
    3, b'{"source_id":"c3","name":"Ada"}', source_id="c3", message="it is wrong", details="so wrong"
)
PROGRESS = SyncProgress(read=1, sent=2, succeeded=3, failed=4, invalid=5, resent=6, open_jobs=7, elapsed=0.5)
REPORT: SyncReport = SyncReport(
    read=1,
    sent=2,
    succeeded=3,
    failed=4,
    invalid=5,
    resent=6,
    failures=(FAILURE, SyncFailure(key="unnamed")),
    jobs=(job_of(1),),
    omitted=2,
    omitted_to="state",
    state="state.sqlite",
)
VALUES = [
    pytest.param(FAILURE, id="a failure"),
    pytest.param(SyncFailure(), id="an empty failure"),
    pytest.param(job_of(1), id="a job"),
    pytest.param(PROGRESS, id="progress"),
    pytest.param(REPORT, id="a report"),
]


class TestValues:
    @pytest.mark.parametrize("value", VALUES)
    @pytest.mark.parametrize(
        "duplicate",
        [
            *(
                lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
                for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
            ),
            copy.copy,
            copy.deepcopy,
        ],
    )
    def test_they_pickle_and_copy(self, value: Any, duplicate: Callable[[Any], Any]) -> None:
        again = duplicate(value)
        assert type(again) is type(value)
        assert again == value
        assert dict(again) == dict(value)

    def test_a_failure_that_was_pickled_has_its_item(self) -> None:
        again = pickle.loads(pickle.dumps(REPORT))
        assert again.failures[0].item == CustomerUpsert(source_id="c3", name="Ada")

    @pytest.mark.parametrize("value", VALUES)
    def test_they_go_through_json(self, value: Any) -> None:
        content = msgspec.json.encode(value)
        kind = type(value)
        assert msgspec.json.decode(content, type=kind) == value

    def test_a_failure_as_json(self) -> None:
        assert json.loads(msgspec.json.encode(FAILURE)) == {
            "position": 3,
            "source_id": "c3",
            "key": "wrong",
            "message": "it is wrong",
            "details": "so wrong",
            "item": {"source_id": "c3", "name": "Ada"},
        }

    def test_they_do_not_change(self) -> None:
        for value, name in ((FAILURE, "position"), (REPORT, "failed"), (PROGRESS, "read")):
            with pytest.raises(AttributeError):
                setattr(value, name, 9)

    @pytest.mark.parametrize("value", [FAILURE, REPORT, [REPORT]])
    @pytest.mark.parametrize("show", [repr, str, "{!r}".format, "{}".format])
    def test_no_repr_shows_what_is_in_an_item(self, value: Any, show: Callable[[Any], str]) -> None:
        assert "Ada" not in show(value)

    def test_the_repr_of_a_failure_says_which_it_is(self) -> None:
        assert repr(FAILURE).startswith("SyncFailure(position=3, source_id='c3', key='wrong', ")

    def test_the_repr_of_a_failure_that_has_shown_its_item(self) -> None:
        failure = pickle.loads(pickle.dumps(FAILURE))
        assert failure.item is not None
        assert "Ada" not in repr(failure)


def test_a_summary_has_what_was_not_sent() -> None:
    counts = SyncCounts(
        read=9, sent=3, succeeded=2, failed=1, invalid=1, resent=0, unchanged=4_000, duplicates=1
    )
    assert counts.summary() == "3 sent, 2 succeeded, 1 failed, 1 invalid, 4,000 unchanged, 1 duplicates"

"""CSV files of any size, and metadata for any number of customers, through bulk jobs."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_sync import add_up, arriving, held, quick, refuse, sent, tasks
from tests.support.clocks import skipping_clock
from tests.support.faults import (
    KINDS,
    CloseAfterAnswer,
    ResetAfter,
    ResetNextRequest,
    StallAfter,
    TooMany,
    fault_proxy,
)
from tests.support.loops import until
from voucherify_async import (
    AuthenticationError,
    ClientSettings,
    RetryPolicy,
    SyncFailure,
    SyncProgress,
    SyncTimeoutError,
    VoucherifyClient,
)
from voucherify_async.sandbox import Exchange, Faults, Sandbox
from voucherify_async.sandbox._http.routing import ApiCall, read_file
from voucherify_async.sandbox._store.jobs import CsvImport

__all__ = ["quick"]

HASTE = RetryPolicy(base=0.001, cap=0.01)
HEADER = ["Name", "Source_id", "Address_City", "Birthdate", "note"]


def table(rows: list[list[str]], header: list[str] = HEADER, *, end: str = "\n") -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([header, *rows])
    return text.getvalue().encode()


def rows(count: int) -> list[list[str]]:
    return [
        [f"Zoë {number}", f"crm-{number}", "Łódź", f"19{10 + number % 90}-01-02", f'a "b", {number}\nc']
        for number in range(count)
    ]


def stored(number: int) -> dict[str, Any]:
    name, source_id, city, birthdate, note = rows(number + 1)[number]
    return {
        "source_id": source_id,
        "name": name,
        "birthdate": birthdate,
        "address": {"city": city},
        "metadata": {"note": note},
    }


def part(exchange: Exchange) -> bytes:
    """The file of an import."""
    headers = exchange.request_headers
    call = ApiCall("POST", (), [], headers["Content-Type"], exchange.request_body, "")
    return read_file(call)


def parts(sandbox: Sandbox) -> list[bytes]:
    return [part(exchange) for exchange in sandbox.requests if exchange.method == "POST"]


def write(folder: Path, content: bytes) -> Path:
    path = folder / "customers.csv"
    path.write_bytes(content)
    return path


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
async def test_a_file_is_imported_in_parts_that_each_have_the_header(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path, end: str, mark: bytes
) -> None:
    content = table(rows(40), end=end)
    path = write(tmp_path, mark + content.removesuffix(end.encode()))
    report = await quick.customers.sync_csv(path, max_body_items=7)
    add_up(report)
    assert (report.read, report.succeeded, report.resent) == (40, 40, 0)
    header = content.splitlines(keepends=True)[0]
    files = parts(sandbox)
    assert len(files) == 6
    assert all(file.startswith(header) for file in files)
    names = [row[1] for file in files for row in list(csv.reader(io.StringIO(file.decode())))[1:]]
    assert Counter(names) == Counter(row[1] for row in rows(40))
    assert held(sandbox) == {f"crm-{number}": stored(number) for number in range(40)}


@pytest.mark.parametrize("limit", [600, 1_000, 5_000])
async def test_no_request_is_longer_than_it_may_be(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path, limit: int
) -> None:
    report = await quick.customers.sync_csv(write(tmp_path, table(rows(40))), max_body_bytes=limit)
    assert report.succeeded == 40
    lengths = [len(exchange.request_body) for exchange in sandbox.requests if exchange.method == "POST"]
    assert max(lengths) <= limit


async def test_a_file_larger_than_a_request_may_be(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    filler = "x" * 30_000
    wide = [["Ada", f"crm-{number}", "", "", filler] for number in range(400)]
    path = write(tmp_path, table(wide))
    assert path.stat().st_size > 10 * 1024 * 1024
    with pytest.raises(ValueError, match=r"sync_csv\(path\)"):
        await quick.customers.import_csv(path)
    with pytest.raises(ValueError, match=r"sync_csv\(path\)"):
        await quick.customers.import_csv(path.read_bytes())
    assert not sandbox.requests
    report = await quick.customers.sync_csv(path, max_body_bytes=10 * 1024 * 1024)
    add_up(report)
    assert report.succeeded == 400
    assert len(held(sandbox)) == 400


async def test_failures_are_named_by_their_lines(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse(monkeypatch, lambda source_id: source_id in {"crm-3", "crm-11"})
    source = rows(12)
    source[5].append("one too many")
    told: list[SyncFailure] = []
    path = write(tmp_path, table(source))
    report = await quick.customers.sync_csv(path, max_body_items=5, on_failure=told.append)
    add_up(report)
    assert (report.read, report.failed, report.succeeded) == (12, 3, 9)
    assert [(failure.position, failure.source_id) for failure in report.failures] == [
        (2 + 2 * 3, "crm-3"),
        (2 + 2 * 5, "crm-5"),
        (2 + 2 * 11, "crm-11"),
    ]
    assert [list(csv.reader(io.StringIO(str(failure.item)))) for failure in report.failures] == [
        [source[3]],
        [source[5]],
        [source[11]],
    ]
    assert len(told) == 3


async def test_empty_lines_are_no_rows_and_count_as_lines(
    sandbox: Sandbox, quick: VoucherifyClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse(monkeypatch, lambda source_id: source_id == "c")
    path = write(tmp_path, b'\nName,Source_id\n\nAda,a\n\n\n"B\no\nb",b\n\nC,c\n\n')
    report = await quick.customers.sync_csv(path)
    add_up(report)
    assert (report.read, report.succeeded) == (3, 2)
    assert [failure.position for failure in report.failures] == [11]
    assert held(sandbox)["b"]["name"] == "B\no\nb"


async def test_a_row_replaces_what_was_there(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    sandbox.store.upsert({"source_id": "a", "email": "a@b.c", "metadata": {"old": 1}})
    await quick.customers.sync_csv(write(tmp_path, b"Name,Source_id\nAda,a\n"))
    assert held(sandbox) == {"a": {"source_id": "a", "name": "Ada", "address": None, "metadata": None}}


async def test_rows_with_one_id_keep_their_order(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    chance = random.Random(7)
    sandbox.store.job_seconds = 1
    source = [[f"{number}", f"crm-{chance.randrange(20)}", "", "", ""] for number in range(150)]
    report = await quick.customers.sync_csv(write(tmp_path, table(source)), max_body_items=12)
    add_up(report)
    assert report.succeeded == 150 - report.duplicates < 150
    last = {source_id: name for name, source_id, *_ in source}
    assert {key: item["name"] for key, item in held(sandbox).items()} == last


async def test_rows_without_an_id_make_a_customer_each(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    path = write(tmp_path, b"Name\n" + b"".join(b"c%d\n" % number for number in range(20)))
    report = await quick.customers.sync_csv(path, max_body_items=6)
    add_up(report)
    assert report.succeeded == 20
    names = Counter(record.fields["name"] for record in sandbox.store.customers.values())
    assert names == Counter(f"c{number}" for number in range(20))


@pytest.mark.parametrize("fault", KINDS, ids=repr)
async def test_rows_without_an_id_are_not_sent_again_when_an_answer_is_lost(
    sandbox: Sandbox, tmp_path: Path, fault: Any
) -> None:
    lines = [b"Name,Source_id", b"Ada,", b"Bob,", b"Cy,", b"Di,", b"Ed,"]
    path = write(tmp_path, b"\n".join(lines))
    certain = isinstance(fault, TooMany | CloseAfterAnswer | ResetNextRequest)
    async with (
        fault_proxy(sandbox.base_url, [fault]) as proxy,
        sandbox.client(base_url=proxy.base_url, timeout=0.25, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync_csv(path, max_body_items=2, concurrency=1)
    add_up(report)
    assert report.resent == 0
    assert report.failed == (0 if certain else 2)
    posts = [arrival for arrival in proxy.arrivals if arrival.method == "POST"]
    assert len(posts) == 3 + isinstance(fault, TooMany)
    if not certain:
        assert [(failure.position, failure.source_id, failure.key) for failure in report.failures] == [
            (2, None, "outcome_unknown"),
            (3, None, "outcome_unknown"),
        ]
    held(sandbox)
    names = Counter(record.fields["name"] for record in sandbox.store.customers.values())
    assert max(names.values()) == 1
    assert set(names) >= {"Cy", "Di", "Ed"}


async def test_rows_with_an_id_are_sent_again(sandbox: Sandbox, tmp_path: Path) -> None:
    path = write(tmp_path, table(rows(9)))
    async with (
        fault_proxy(sandbox.base_url, [ResetAfter(), None, None, ResetAfter()]) as proxy,
        sandbox.client(base_url=proxy.base_url, timeout=1.0, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync_csv(path, max_body_items=3, concurrency=1)
    add_up(report)
    assert report.succeeded == 9
    assert report.resent >= 3
    assert held(sandbox) == {f"crm-{number}": stored(number) for number in range(9)}


async def test_there_is_no_such_file(sandbox: Sandbox, voucherify: VoucherifyClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        await voucherify.customers.sync_csv(tmp_path / "none.csv", state=tmp_path / "state")
    with pytest.raises(FileNotFoundError):
        await voucherify.customers.sync_csv(tmp_path)
    assert not (tmp_path / "state").exists()
    assert not sandbox.requests


@pytest.mark.parametrize("path", [None, 5, b"Name\nAda\n"], ids=repr)
async def test_what_is_no_path(voucherify: VoucherifyClient, path: Any) -> None:
    with pytest.raises(ValueError, match="^path must be"):
        await voucherify.customers.sync_csv(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "header"),
        (b"\n\n", "header"),
        (b'Name,Source_id\nAda,a\n"Bob,b\nCy,c\n', "line 3"),
        (b'Name,Source_id\nAda,a\nBob,b\n"C"y,c\n', "line 4"),
        (b"Name,Source_id\nAda,a\nB\xff,b\n", "line 3"),
        (b'Na"me,"Sour\n', "line 1"),
    ],
)
async def test_a_file_that_is_no_csv(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path, content: bytes, problem: str
) -> None:
    before = tasks()
    with pytest.raises(ValueError, match=f"^path: .*{problem}"):
        await quick.customers.sync_csv(write(tmp_path, content))
    assert tasks() == before


async def test_a_header_alone_has_nothing_to_import(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    for content in (b"Name,Source_id", b"Name,Source_id\n\n"):
        report = await quick.customers.sync_csv(write(tmp_path, content))
        add_up(report)
        assert report.read == 0
    assert not sandbox.requests


async def test_a_row_that_fits_into_no_request(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    path = write(tmp_path, b"Name,Source_id\nAda,a\n" + b"B" * 2_000 + b",b\nCy,c\n")
    report = await quick.customers.sync_csv(path, max_body_bytes=1_000)
    add_up(report)
    assert [(failure.position, failure.key) for failure in report.failures] == [(3, "invalid_item")]
    assert report.succeeded == 2
    with pytest.raises(ValueError, match="path: line 3: "):
        await quick.customers.sync_csv(path, max_body_bytes=1_000, on_invalid="raise")
    with pytest.raises(ValueError, match="max_body_bytes"):
        await quick.customers.sync_csv(path, max_body_bytes=10)


async def test_a_file_is_taken_up_where_it_was_left(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    path = write(tmp_path, table(rows(40)))
    state = tmp_path / "state"

    class EnoughError(Exception):
        pass

    def stop(progress: SyncProgress) -> None:
        if progress.succeeded >= 20:
            raise EnoughError

    with pytest.raises(EnoughError):
        await quick.customers.sync_csv(path, state=state, max_body_items=5, on_progress=stop)
    first = len(parts(sandbox))
    report = await quick.customers.sync_csv(path, state=state, max_body_items=5)
    add_up(report)
    assert report.succeeded + report.unchanged == 40
    assert report.unchanged >= 20
    assert len(parts(sandbox)) - first <= 4
    assert held(sandbox) == {f"crm-{number}": stored(number) for number in range(40)}
    count = len(parts(sandbox))
    write(tmp_path, table(rows(40)[::-1]))
    again = await quick.customers.sync_csv(path, state=state, max_body_items=5)
    assert (len(parts(sandbox)), again.unchanged) == (count, 40)
    held(sandbox)


async def test_rows_without_an_id_are_not_sent_again_by_another_run(sandbox: Sandbox, tmp_path: Path) -> None:
    path = write(tmp_path, b"Name,Source_id\nAda,\nBob,b\nCy,c\n")
    options: Any = {"state": tmp_path / "state", "max_body_items": 2, "project": "p", "concurrency": 1}
    async with (
        fault_proxy(sandbox.base_url, [StallAfter()]) as proxy,
        sandbox.client(base_url=proxy.base_url) as client,
        skipping_clock(client, sandbox),
    ):
        first = asyncio.create_task(client.customers.sync_csv(path, **options))
        await until(lambda: proxy.arrivals and proxy.arrivals[0].forwarded)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        for succeeded in (2, 0, 0):
            report = await client.customers.sync_csv(path, **options)
            add_up(report)
            assert [(failure.position, failure.key) for failure in report.failures] == [
                (2, "outcome_unknown")
            ]
            assert list(report.failed_items()) == []
            assert (report.succeeded, report.unchanged) == (succeeded, 2 - succeeded)
    assert sorted(str(held["name"]) for held in stored_customers(sandbox)) == ["Ada", "Bob", "Cy"]


async def test_rows_without_an_id_are_known_by_what_is_in_them(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    state = tmp_path / "state"

    async def sync(*names: str, header: str = "Name,Source_id") -> tuple[int, int]:
        path = write(tmp_path, "\n".join([header, *(f"{name}," for name in names)]).encode())
        report = await quick.customers.sync_csv(path, state=state, full=len(names) == 4)
        add_up(report)
        assert report.missing is None  # a row may have lost its id
        return report.sent, report.unchanged

    assert await sync("Ada", "Bob") == (2, 0)
    assert await sync("Bob", "Cy", "Ada") == (1, 2)
    assert await sync("Ada", "Bob", "Ada", "Ada") == (2, 2)  # though all is to be sent again
    assert await sync("Ada", "Ada") == (0, 2)
    assert await sync("Ada", header="Email,Source_id") == (1, 0)
    names = [str(held.get("name")) for held in stored_customers(sandbox)]
    assert sorted(names) == ["Ada", "Ada", "Ada", "Bob", "Cy", "None"]


async def test_rows_without_an_id_that_certainly_made_nobody_are_sent_again(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, b"Name,Birthdate,Source_id\nAda,never,\nBob,,\n")
    options: Any = {"state": tmp_path / "state"}
    for sendings in (2, 1):
        report = await quick.customers.sync_csv(path, **options)
        assert (report.sent, report.failed, report.unchanged) == (sendings, 1, 2 - sendings)
        assert report.failures[0].key != "outcome_unknown"
    sandbox.requests.clear()
    path = write(tmp_path, b"Name,Birthdate,Source_id\nCy,,\n")
    async with sandbox.client(app_token="outdated") as client:
        with pytest.raises(AuthenticationError):
            await client.customers.sync_csv(path, **options)
    report = await quick.customers.sync_csv(path, **options)
    assert (report.sent, report.succeeded) == (1, 1)


async def test_a_job_that_fails_may_have_made_rows_without_an_id(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, b"Name,Source_id\nAda,\nBob,b\n")

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr("voucherify_async.sandbox._store.jobs.check_customer", fail)
        report = await quick.customers.sync_csv(path, state=tmp_path / "state")
        assert [failure.key for failure in report.failures] == ["job_failed", "job_failed"]
    for sendings in (2, 1):
        report = await quick.customers.sync_csv(path, state=tmp_path / "state")
        add_up(report)
        assert [(failure.position, failure.key) for failure in report.failures] == [(2, "outcome_unknown")]
        assert (report.sent, report.unchanged) == (sendings, 2 - sendings)


def stored_customers(sandbox: Sandbox) -> list[Any]:
    return [record.fields for record in sandbox.store.customers.values()]


# ---------------------------------------------------------------- metadata


@pytest.mark.parametrize("form", [list, iter, arriving])
async def test_metadata_is_merged_into_all(sandbox: Sandbox, quick: VoucherifyClient, form: Any) -> None:
    for number in range(0, 60, 2):
        sandbox.store.upsert({"source_id": f"a{number}", "name": "Ada", "metadata": {"x": 1, "y": 2}})
    ids = [f"a{number}" for number in range(60)]
    metadata = {"x": "é", "z": {"deep": [1, None]}}
    report = await quick.customers.sync_metadata(form(ids), metadata, max_body_bytes=200, max_body_items=9)
    add_up(report)
    assert (report.read, report.succeeded) == (60, 60)
    posts = [exchange for exchange in sandbox.requests if exchange.method == "POST"]
    assert max(len(exchange.request_body) for exchange in posts) <= 200
    assert all(json.loads(exchange.request_body)["metadata"] == metadata for exchange in posts)
    assert Counter(key for body in sent(sandbox) for key in body) == Counter(ids)
    state = held(sandbox)
    assert state["a2"]["metadata"] == {"x": "é", "y": 2, "z": {"deep": [1, None]}}
    assert state["a2"]["name"] == "Ada"
    assert state["a3"]["metadata"] == metadata
    assert len(state) == 60


async def test_ids_that_are_none(sandbox: Sandbox, quick: VoucherifyClient) -> None:
    ids: list[Any] = ["a", "", 5, None, {"source_id": "b"}, "\ud800", "a" * 300, "b"]
    report = await quick.customers.sync_metadata(ids, {"a": 1}, max_body_bytes=200)
    add_up(report)
    assert [failure.position for failure in report.failures] == [1, 2, 3, 4, 5, 6]
    assert report.succeeded == 2
    with pytest.raises(ValueError, match=r"^source_ids\[1\]"):
        await quick.customers.sync_metadata(ids, {"a": 1}, on_invalid="raise")


async def test_ids_that_failed_can_be_synced_again(sandbox: Sandbox, quick: VoucherifyClient) -> None:
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, lambda source_id: source_id == "b")
        report = await quick.customers.sync_metadata(["a", "b", "c", "b"], {"n": 1})
    add_up(report)
    assert report.duplicates == 1
    assert [failure.position for failure in report.failures] == [3]
    assert list(report.failed_items()) == ["b"]
    assert (await quick.customers.sync_metadata(report.failed_items(), {"n": 1})).succeeded == 1
    assert set(held(sandbox)) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("metadata", "options"),
    [
        (None, {}),
        ([("a", 1)], {}),
        ("a", {}),
        ({"a": object()}, {}),
        ({1: "a"}, {}),
        ({"a": float("inf")}, {}),
        ({"a": "\ud800"}, {}),
        ({"a": "x" * 100}, {"max_body_bytes": 100}),
        ({"a": "x" * 11 * 1024 * 1024}, {}),
    ],
    ids=["none", "pairs", "text", "object", "number as key", "infinite", "no unicode", "no room", "too long"],
)
async def test_metadata_that_cannot_be_sent(
    sandbox: Sandbox, voucherify: VoucherifyClient, metadata: Any, options: Any
) -> None:
    with pytest.raises(ValueError, match="^metadata"):
        await voucherify.customers.sync_metadata(["a"], metadata, **options)
    assert not sandbox.requests


@pytest.mark.parametrize("header", ["Name,Source_id", "Name,Id"])
async def test_an_import_that_fails_is_done_once_more_only_if_its_rows_have_ids(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("as it was told")

    monkeypatch.setattr(CsvImport, "do", broken)
    path = write(tmp_path, f"{header}\nAda,a\nBob,b\n".encode())
    async with sandbox.client() as client, skipping_clock(client, sandbox):
        report = await client.customers.sync_csv(path)
    assert [job.status for job in report.jobs] == ["FAILED"] * (2 if "Source_id" in header else 1)
    assert [(failure.position, failure.key) for failure in report.failures] == [
        (2, "job_failed"),
        (3, "job_failed"),
    ]


@pytest.mark.parametrize(
    "later",
    [
        b"source_id,NAME\n,A\n,B",
        b"Source_id,Name\r\n,A\r\n,B\r\n",
        b'Source_id,Name\n,"A"\n"",B\n',
        b"Source_id,Name,Email\n,A,\n,B\n",
        b"Name,Source_id\nB,\nA,\n",
    ],
    ids=["header", "line breaks", "quotes", "columns", "order"],
)
async def test_a_row_without_an_id_is_the_same_however_it_is_written(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path, later: bytes
) -> None:
    state = tmp_path / "state"
    await quick.customers.sync_csv(write(tmp_path, b"Source_id,Name\r\n,A\r\n,B"), state=state)
    report = await quick.customers.sync_csv(write(tmp_path, later), state=state)
    assert (report.sent, report.unchanged) == (0, 2)
    assert len(stored_customers(sandbox)) == 2


async def test_rows_with_the_id_of_the_service_are_changed_there_and_back(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    ada = await quick.customers.create(source_id="ada")
    for name, unchanged in (("X", 0), ("X", 1), ("Z", 0), ("X", 0)):
        path = write(tmp_path, f"Id,Name\n{ada.id},{name}\n".encode())
        report = await quick.customers.sync_csv(path, state=tmp_path / "state")
        assert (report.unchanged, report.missing) == (unchanged, None)
        assert stored_customers(sandbox)[0]["name"] == name


async def test_a_lost_id_makes_nobody_missing(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    await quick.customers.sync_csv(write(tmp_path, b"Source_id,Name\na,A\nb,B\n"), state=state)
    report = await quick.customers.sync_csv(write(tmp_path, b"Source_id,Name\na,A\n,B\n"), state=state)
    assert report.missing is None
    assert await quick.customers.delete_missing(state, max_share=1) == 0


async def test_a_lone_cr_in_a_converted_cell(
    sandbox: Sandbox, quick: VoucherifyClient, tmp_path: Path
) -> None:
    path = write(tmp_path, b'Source_id;Name\na;"x\ry"\nb;B\n')
    report = await quick.customers.sync_csv(path, delimiter=";")
    assert report.succeeded == 2
    assert sorted(str(held["name"]) for held in stored_customers(sandbox)) == ["B", "x\ry"]


@pytest.mark.parametrize("way", ["timeout", "error"])
async def test_rows_that_were_certainly_not_sent_are_sent_later(
    sandbox: Sandbox, tmp_path: Path, way: str
) -> None:
    path = write(tmp_path, b"Name,Source_id\n" + b"".join(b"%d,\n" % number for number in range(8)))
    options: Any = {"state": tmp_path / "state", "max_body_items": 1}
    wrong: ClientSettings = {"app_token": "outdated"} if way == "error" else {}
    async with sandbox.client(**wrong) as client:
        if way == "timeout":
            sandbox.faults = Faults(status={429: 1.0})
            with pytest.raises(SyncTimeoutError):
                await client.customers.sync_csv(path, timeout=0.3, **options)
            sandbox.faults = Faults()
        else:
            with pytest.raises(AuthenticationError):
                await client.customers.sync_csv(path, **options)
    async with sandbox.client() as client:
        report = await client.customers.sync_csv(path, **options)
    assert (report.sent, report.succeeded) == (8, 8)


async def test_rows_with_and_without_ids_go_in_requests_of_their_own(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """So that those with ids can be sent again."""
    path = write(tmp_path, b"Name,Source_id\nAda,\nBob,b\nCy,\nDi,d\n")
    async with (
        fault_proxy(sandbox.base_url, [None, StallAfter()]) as proxy,
        sandbox.client(base_url=proxy.base_url, timeout=0.25, retry=HASTE) as client,
        skipping_clock(client, sandbox),
    ):
        report = await client.customers.sync_csv(path, concurrency=1)
    assert [part(exchange) for exchange in sandbox.requests if exchange.method == "POST"][:2] == [
        b"Name,Source_id\nAda,\nCy,\n",
        b"Name,Source_id\nBob,b\nDi,d\n",
    ]
    assert report.succeeded == 4


async def test_the_report_of_a_broken_file_has_what_was_skipped(
    quick: VoucherifyClient, tmp_path: Path
) -> None:
    path = write(tmp_path, b'Name,Source_id\n,,\nAda,a\n"never closed\n')
    with pytest.raises(ValueError, match="line 4") as caught:
        await quick.customers.sync_csv(path)
    assert caught.value.report.skipped == 1  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

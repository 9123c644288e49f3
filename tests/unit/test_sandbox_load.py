"""Customers that a sandbox reads from a file."""

from __future__ import annotations

import datetime as dt
import gc
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.clocks import FakeClock
from voucherify_async.sandbox import Sandbox
from voucherify_async.sandbox.__main__ import make_sandbox, serve
from voucherify_async.sandbox._seed.load import load_customers
from voucherify_async.sandbox._store.records import Record
from voucherify_async.sandbox._store.store import Store

NOW = dt.datetime(2026, 2, 3, tzinfo=dt.UTC)


def loaded(path: Path, **settings: Any) -> list[Record]:
    store = Store(clock=NOW.timestamp, **settings)
    load_customers(store, path)
    return list(store.customers.values())


def lines(path: Path, *customers: Any) -> Path:
    path.write_text("".join(f"{json.dumps(customer)}\n" for customer in customers))
    return path


@pytest.fixture
def ndjson(tmp_path: Path) -> Path:
    return tmp_path / "customers.ndjson"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "customers.csv"


class TestJsonLines:
    def test_as_the_service_shows_them(self, ndjson: Path) -> None:
        shown = [record.to_json() for record in Sandbox(150, seed=4).store.customers.values()]
        records = loaded(lines(ndjson, *shown))
        assert [record.to_json() for record in records] == shown
        for record in records:
            (event,) = record.activity
            assert (event.kind, event.at) == ("customer.created", record.created)
            assert event.customer.updated is None

    def test_as_they_are_created(self, ndjson: Path) -> None:
        lines(ndjson, {"source_id": "a", "name": "Ada", "metadata": {"n": [1, None]}}, {})
        first, second = loaded(ndjson)
        assert (first.source_id, first.fields, first.metadata) == ("a", {"name": "Ada"}, {"n": [1, None]})
        assert first.created == second.created == NOW
        assert first.id.startswith("cust_")
        assert first.id != second.id
        assert second.source_id is None

    @pytest.mark.parametrize("name", ["customers.jsonl", "customers.NDJSON"])
    def test_other_endings(self, tmp_path: Path, name: str) -> None:
        assert len(loaded(lines(tmp_path / name, {}, {}))) == 2

    def test_empty_lines_line_ends_and_byte_order_marks(self, ndjson: Path) -> None:
        ndjson.write_bytes(b'\xef\xbb\xbf{"name":"\xe2\x80\xa8a"}\r\n\n  \n{"name":"b"}')
        assert [record.fields["name"] for record in loaded(ndjson)] == ["\u2028a", "b"]

    def test_nothing(self, ndjson: Path) -> None:
        assert loaded(lines(ndjson)) == []

    def test_what_is_unknown_is_left_out(self, ndjson: Path) -> None:
        (record,) = loaded(
            lines(ndjson, {"id": "cust_1", "colour": "red", "assets": {}, "object": "customer"})
        )
        assert record.id == "cust_1"
        assert "colour" not in record.to_json()

    def test_instants(self, ndjson: Path) -> None:
        told = {"created_at": "2024-03-22T18:48:18.5+01:00", "updated_at": "2024-03-22T17:48:25.910974Z"}
        (record,) = loaded(lines(ndjson, told))
        assert record.created == dt.datetime(2024, 3, 22, 17, 48, 18, 500_000, dt.UTC)
        assert record.to_json()["updated_at"] == "2024-03-22T17:48:25.910974Z"

    def test_summaries_are_completed(self, ndjson: Path) -> None:
        told = {
            "summary": {
                "orders": {"total_amount": 5, "last_order_date": None, "more": 1},
                "redemptions": None,
            },
            "loyalty": {"points": 3, "campaigns": {"A": {"points": 3, "loyalty_tier": None}}},
            "referrals": None,
        }
        (record,) = loaded(lines(ndjson, told))
        shown = record.to_json()
        assert shown["summary"]["orders"] == {
            "total_amount": 5,
            "total_count": 0,
            "average_amount": 0,
            "last_order_amount": 0,
        }
        assert shown["summary"]["redemptions"]["gift"] == {"redeemed_amount": 0, "amount_to_go": 0}
        assert shown["loyalty"] == {
            "points": 3,
            "referred_customers": 0,
            "campaigns": {"A": {"points": 3, "referred_customers": 0}},
        }
        assert shown["referrals"] == {"total": 0, "campaigns": []}

    @pytest.mark.parametrize(
        "again",
        [
            {"id": "cust_1", "name": "B"},
            {"source_id": "a", "name": "B"},
            {"id": "cust_1", "source_id": "a", "name": "B"},
        ],
    )
    def test_the_later_line_updates_the_former(self, ndjson: Path, again: dict[str, Any]) -> None:
        former = {"id": "cust_1", "source_id": "a", "name": "A", "email": "a@example.com"}
        other = {"source_id": "b"}
        later = {**again, "updated_at": "2025-01-01T00:00:00Z", "loyalty": {"points": 4}}
        record, _ = loaded(lines(ndjson, former, other, later))
        assert record.fields == {"name": "B", "email": "a@example.com"}
        assert (record.id, record.source_id) == ("cust_1", "a")
        assert record.updated == dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
        assert record.to_json()["loyalty"]["points"] == 4
        assert [event.kind for event in record.activity] == ["customer.created", "customer.updated"]


class TestTables:
    def test_as_the_service_imports_them(self, table: Path) -> None:
        table.write_text(
            "\ufeffName,Email,Source_id,Address_City,City,tier,Created_at,Birthdate\n"
            '"Nowak, ""Jan""\nII",jan@example.com,a b,,Łódź,gold,2024,1990-01-02\n'
            ",,,,,,,\n"
            "\n"
            "Ada,,b\n",
            encoding="utf-8",
        )
        first, second, third = loaded(table)
        assert first.fields == {
            "name": 'Nowak, "Jan"\nII',
            "email": "jan@example.com",
            "birthdate": "1990-01-02",
        }
        assert (first.source_id, first.address) == ("a b", {"city": "Łódź"})
        assert first.metadata == {"tier": "gold", "Created_at": "2024"}
        assert first.created == NOW
        assert (second.source_id, second.fields) == (None, {})
        assert (third.source_id, third.fields, third.metadata) == ("b", {"name": "Ada"}, None)

    def test_the_later_row_replaces_the_former(self, table: Path) -> None:
        table.write_text("source_id,name,tier\na,Ada,gold\na,,silver\n")
        (record,) = loaded(table)
        assert (record.fields, record.metadata) == ({}, {"tier": "silver"})


class TestRefused:
    @pytest.mark.parametrize(
        ("line", "why"),
        [
            (b"{", "Input data was truncated"),
            (b"[1]", "The body must be an object"),
            (b'"a"', "The body must be an object"),
            (b'{"name": 1}', "Property .name must be a string"),
            (b'{"id": ""}', "Property .id must be a non-empty string"),
            (b'{"birthdate": "soon"}', "Property .birthdate must be a date in the form YYYY-MM-DD"),
            (b'{"address": {"city": 1}}', "Property .address.city must be a string"),
            (b'{"metadata": []}', "Property .metadata must be an object"),
            (b'{"created_at": "soon"}', "Property .created_at cannot be recognized"),
            (b'{"created_at": "2024-03-22T18:48:18"}', "Property .created_at cannot be recognized"),
            (b'{"updated_at": 5}', "Property .updated_at cannot be recognized"),
            (b'{"summary": []}', "Property .summary: Expected `object`, got `array`"),
            (b'{"loyalty": {"points": "5"}}', "Property .loyalty: Expected `int`, got `str` - at `$.points`"),
            (b'{"referrals": {"campaigns": [{}]}}', "Property .referrals: Object missing required field"),
            (
                b'{"summary": {"orders": {"last_order_date": "2024"}}}',
                "Property .summary.orders.last_order_date cannot be recognized",
            ),
            (b'{"name": "\xff"}', "invalid"),
        ],
    )
    def test_a_line(self, ndjson: Path, line: bytes, why: str) -> None:
        ndjson.write_bytes(b'{"id": "cust_1", "source_id": "a"}\n\n' + line + b'\n{"name": 2}\n')
        with pytest.raises(ValueError) as caught:
            loaded(ndjson)
        assert str(caught.value).startswith(f"load: {ndjson}, line 3: ")
        assert why in str(caught.value)
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize(
        ("content", "number", "why"),
        [
            (b"", 1, "The first row must name the columns, without spaces"),
            (b"First name\nAda\n", 1, "The first row must name the columns, without spaces"),
            (b'name,note\nAda,"two\nlines"\nBob,x,y\n', 4, "The row has more values than there are columns"),
            (b"name,birthdate\nAda,1815-12-10\nBob,soon\n", 3, "Property .birthdate must be a date"),
            (b'name\nAda\n"Bob\n', 3, "unexpected end of data"),
            (b"name\nAda\n\xff\n", 3, "The file is not UTF-8"),
        ],
    )
    def test_a_row(self, table: Path, content: bytes, number: int, why: str) -> None:
        table.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            loaded(table)
        assert str(caught.value).startswith(f"load: {table}, line {number}: {why}")

    @pytest.mark.parametrize("name", ["customers", "customers.json", "customers.csv.gz"])
    def test_another_ending(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match="^load must be a file that ends in .ndjson, .jsonl, .csv, not "):
            loaded(lines(tmp_path / name, {}))

    @pytest.mark.parametrize("name", ["absent.csv", "absent.ndjson"])
    def test_no_file(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(FileNotFoundError, match="^load: there is no file .*absent"):
            Sandbox(load=str(tmp_path / name))

    @pytest.mark.parametrize("name", ["folder.csv", "folder.ndjson"])
    def test_a_folder(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).mkdir()
        with pytest.raises(ValueError, match="^load: .*folder.* cannot be read: it is not a file$"):
            Sandbox(load=tmp_path / name)


def test_the_garbage_collector_is_as_it_was(ndjson: Path) -> None:
    loaded(lines(ndjson, {}))
    assert gc.isenabled()
    with pytest.raises(ValueError):
        loaded(lines(ndjson, 1))
    assert gc.isenabled()
    gc.disable()
    try:
        loaded(lines(ndjson, {}))
        assert not gc.isenabled()
    finally:
        gc.enable()


async def test_the_command_says_what_is_wrong(ndjson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, why in (
        (ndjson.with_name("absent.csv"), f"load: there is no file {ndjson.with_name('absent.csv')}"),
        (lines(ndjson, {}, 1), f"load: {ndjson}, line 2: The body must be an object"),
    ):
        with pytest.raises(SystemExit) as caught:
            await serve(make_sandbox(["--load", str(path)]))
        assert caught.value.code == 2
        assert capsys.readouterr().err.endswith(f"error: {why}\n")


def test_beside_seeded_ones(ndjson: Path) -> None:
    sandbox = Sandbox(5, load=lines(ndjson, {"source_id": "mine"}))
    assert len(sandbox.store.customers) == 6
    assert sandbox.store.get("mine").source_id == "mine"


def test_what_is_there_already_keeps_what_makes_it_itself(ndjson: Path) -> None:
    former = {"id": "cust_1", "source_id": "a", "created_at": "2024-01-01T00:00:00Z"}
    later = {"id": "cust_2", "source_id": "a", "created_at": "2025-01-01T00:00:00Z", "name": "Ada"}
    (record,) = loaded(lines(ndjson, former, later))
    assert (record.id, record.fields) == ("cust_1", {"name": "Ada"})
    assert record.created == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def test_of_those_who_have_done_nothing_nothing_is_kept(ndjson: Path) -> None:
    (record,) = loaded(lines(ndjson, Store().upsert({}).to_json()))
    assert (record.summary, record.loyalty, record.referrals) == (None, None, None)


def test_all_are_created_at_once(ndjson: Path) -> None:
    store = Store(clock=FakeClock(1000, step=1))
    load_customers(store, lines(ndjson, {}, {}))
    assert len({record.created for record in store.customers.values()}) == 1


REFERRAL = {
    "campaign_id": "camp_1",
    "referrer_id": "cust_2",
    "related_object_id": "v_1",
    "related_object_type": "voucher",
    "date": "2024-03-22T18:48:18+01:00",
}


def test_instants_of_referrals(ndjson: Path) -> None:
    (record,) = loaded(lines(ndjson, {"referrals": {"total": 1, "campaigns": [REFERRAL]}}))
    assert record.to_json()["referrals"]["campaigns"] == [REFERRAL | {"date": "2024-03-22T17:48:18.000Z"}]
    with pytest.raises(ValueError, match="line 1: Property .referrals.campaigns.date cannot be recognized"):
        loaded(lines(ndjson, {"referrals": {"campaigns": [REFERRAL | {"date": "soon"}]}}))


def test_what_is_nested_too_deep(ndjson: Path) -> None:
    for levels in (200, 50_000):
        ndjson.write_text('{"source_id": "a", "metadata": {"n": ' + "[" * levels + "]" * levels + "}}")
        with pytest.raises(ValueError, match=r"^load: .*, line 1: "):
            loaded(ndjson)

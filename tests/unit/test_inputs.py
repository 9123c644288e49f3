from __future__ import annotations

import datetime as dt
import io
import itertools
import types
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from voucherify_async import Address, CustomerUpsert, FilterConditions, RedeemableFilters
from voucherify_async._transport.wire import MAX_BODY_BYTES, encode_query
from voucherify_async.models import UNSET, CustomerAddress
from voucherify_async.resources._inputs import (
    check_limit,
    check_page,
    csv_part,
    filters_query,
    source_id_list,
    upsert_body,
)

UTC = dt.UTC


class Tier(StrEnum):
    GOLD = "gold"


class Text(str):
    __slots__ = ()


def sent(customers: Any) -> Any:
    return msgspec.json.decode(upsert_body(customers).content)


@pytest.mark.parametrize("value", [1, 100, None])
def test_limits(value: int | None) -> None:
    assert check_limit(value) == value


@pytest.mark.parametrize("value", [0, 101, -1, "5", 5.0, True])
def test_bad_limits(value: Any) -> None:
    with pytest.raises(ValueError, match="^limit must be an integer from 1 to 100"):
        check_limit(value)


@pytest.mark.parametrize("value", [0, 100, "1"])
def test_bad_pages(value: Any) -> None:
    with pytest.raises(ValueError, match="^page must be an integer from 1 to 99"):
        check_page(value)


class TestUpserts:
    def test_structs_and_mappings(self) -> None:
        given = [
            CustomerUpsert(
                source_id="a", name=None, address=Address(city="London"), birthdate=dt.date(2000, 1, 2)
            ),
            {"source_id": "b", "metadata": {"n": 1}, "birthdate": dt.date(2000, 1, 2), "email": UNSET},
            types.MappingProxyType({"source_id": "c", "address": CustomerAddress(city="Paris")}),
        ]
        first, second, third = sent(iter(given))
        assert first == {
            "source_id": "a",
            "name": None,
            "address": {"city": "London"},
            "birthdate": "2000-01-02",
        }
        assert second == {"source_id": "b", "metadata": {"n": 1}, "birthdate": "2000-01-02"}
        assert third["address"]["city"] == "Paris"

    @pytest.mark.parametrize(
        ("customer", "problem"),
        [
            ({"name": "x"}, r"customers\[1\]: Object missing required field `source_id`"),
            ({"source_id": ""}, r"customers\[1\]\.source_id must not be empty"),
            ({"source_id": None}, r"customers\[1\]\.source_id: Expected `str`"),
            ({"source_id": "a", "name": 5}, r"customers\[1\]\.name: Expected `str \| null`, got `int`"),
            ({"source_id": "a", "address": {"city": 5}}, r"customers\[1\]\.address\.city: Expected"),
            ({"source_id": "a", "adress": {}}, r"customers\[1\]: Object contains unknown field `adress`"),
            (
                {"source_id": "a", "birthdate": dt.datetime(2000, 1, 2, tzinfo=UTC)},
                r"customers\[1\]\.birthdate",
            ),
            (
                {"source_id": "a", "metadata": {"x": float("nan")}},
                r"customers\[1\]\.metadata\.x cannot be represented",
            ),
            (CustomerUpsert(source_id=5), r"customers\[1\]\.source_id: Expected `str`"),  # type: ignore[arg-type]
            (CustomerUpsert(source_id="a", address=Address(city=5)), r"customers\[1\]\.address\.city"),  # type: ignore[arg-type]
            (["source_id"], r"customers\[1\] must be a CustomerUpsert or a mapping"),
        ],
    )
    def test_a_bad_one_is_named(self, customer: Any, problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            upsert_body([{"source_id": "fine"}, customer])

    @pytest.mark.parametrize("customers", [{"source_id": "a"}, "abc", b"abc", 5, None])
    def test_no_sequence(self, customers: Any) -> None:
        with pytest.raises(ValueError, match="^customers must be a sequence"):
            upsert_body(customers)

    def test_nothing(self) -> None:
        with pytest.raises(ValueError, match="^customers must not be empty"):
            upsert_body([])

    def test_too_much(self) -> None:
        with pytest.raises(ValueError, match="^customers.0. has .* bytes; the service accepts at most"):
            upsert_body([{"source_id": "a", "description": "x" * MAX_BODY_BYTES}])

    def test_an_endless_source_is_not_read_to_its_end(self) -> None:
        endless = ({"source_id": "a", "description": "x" * 1_000_000} for _ in itertools.count())
        with pytest.raises(ValueError, match="^customers has more than 10,485,760 bytes"):
            upsert_body(endless)

    def test_derived_strings(self) -> None:
        given = {"source_id": Tier.GOLD, "name": Text("x"), "address": {"city": Text("y")}}
        assert sent([given]) == [{"source_id": "gold", "name": "x", "address": {"city": "y"}}]
        assert [type(key) for key in source_id_list([Tier.GOLD])] == [str]


class TestSourceIds:
    def test_any_iterable(self) -> None:
        assert source_id_list(key for key in "ab") == ["a", "b"]

    @pytest.mark.parametrize(
        ("source_ids", "problem"),
        [
            ("abc", "^source_ids must be a sequence of strings"),
            ([], "^source_ids must not be empty"),
            (["a", ""], r"^source_ids\[1\]"),
            (["a", 5], r"^source_ids\[1\]"),
            (None, "^source_ids must be a sequence"),
            (5, "^source_ids must be a sequence"),
        ],
    )
    def test_bad(self, source_ids: Any, problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            source_id_list(source_ids)


class TestFilters:
    """The documents' deep objects are more than a published validator covers, so this table stands for it."""

    @pytest.mark.parametrize(
        ("filters", "pairs"),
        [
            (RedeemableFilters(), {}),
            (RedeemableFilters(junction="or"), {"filters[junction]": "or"}),
            (
                RedeemableFilters(id=FilterConditions(in_=["rh_1", "rh_2"], not_in=("rh_3",))),
                {
                    "filters[id][conditions][$in][0]": "rh_1",
                    "filters[id][conditions][$in][1]": "rh_2",
                    "filters[id][conditions][$not_in][0]": "rh_3",
                },
            ),
            (
                RedeemableFilters(redeemable_id=FilterConditions(is_="v_1", is_not="v_2")),
                {
                    "filters[redeemable_id][conditions][$is]": "v_1",
                    "filters[redeemable_id][conditions][$is_not]": "v_2",
                },
            ),
            (
                RedeemableFilters(campaign_id=FilterConditions(starts_with="a", ends_with="b", contains="c")),
                {
                    "filters[campaign_id][conditions][$starts_with]": "a",
                    "filters[campaign_id][conditions][$ends_with]": "b",
                    "filters[campaign_id][conditions][$contains]": "c",
                },
            ),
            (
                RedeemableFilters(holder_role=FilterConditions(not_contain="x", has_value=True)),
                {
                    "filters[holder_role][conditions][$not_contain]": "x",
                    "filters[holder_role][conditions][$has_value]": "",
                },
            ),
            (
                RedeemableFilters(campaign_type=FilterConditions(is_unknown=True), junction="and"),
                {"filters[campaign_type][conditions][$is_unknown]": "", "filters[junction]": "and"},
            ),
            (
                RedeemableFilters(
                    created_at=FilterConditions(
                        after=dt.datetime(2026, 1, 1, tzinfo=UTC),
                        before=dt.datetime(2026, 2, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
                        more_than=3,
                        less_than=0,
                    )
                ),
                {
                    "filters[created_at][conditions][$after]": "2026-01-01T00:00:00.000Z",
                    "filters[created_at][conditions][$before]": "2026-02-01T00:00:00.000Z",
                    "filters[created_at][conditions][$more_than]": "3",
                    "filters[created_at][conditions][$less_than]": "0",
                },
            ),
            (
                RedeemableFilters(
                    redeemable_object=FilterConditions(is_="voucher"),
                    voucher_type=FilterConditions(is_="LOYALTY_CARD"),
                ),
                {
                    "filters[redeemable_object][conditions][$is]": "voucher",
                    "filters[voucher_type][conditions][$is]": "LOYALTY_CARD",
                },
            ),
        ],
    )
    def test_table(self, filters: RedeemableFilters, pairs: dict[str, str]) -> None:
        from urllib.parse import parse_qsl

        encoded = encode_query({"filters": filters_query(filters)})
        assert dict(parse_qsl(encoded, keep_blank_values=True)) == pairs

    def test_left_out(self) -> None:
        assert filters_query(UNSET) is None

    @pytest.mark.parametrize(
        ("conditions", "problem"),
        [
            ({"after": dt.datetime(2026, 1, 1)}, r"filters\.created_at\.after must be a timezone-aware"),  # noqa: DTZ001
            ({"in_": "rh_1"}, r"filters\.created_at\.in_ must be a non-empty sequence"),
            ({"in_": []}, r"filters\.created_at\.in_ must be a non-empty sequence of strings"),
            ({"not_in": None}, r"filters\.created_at\.not_in must be a non-empty sequence"),
            ({"in_": [5]}, r"filters\.created_at\.in_\[0\] must be a string"),
            ({"is_": None}, r"filters\.created_at\.is_ must be a string"),
            ({"more_than": 1.5}, r"filters\.created_at\.more_than must be an integer number"),
            ({}, r"filters\.created_at has no condition"),
            ({"has_value": False}, r"filters\.created_at\.has_value must be True or left out"),
        ],
    )
    def test_bad(self, conditions: dict[str, Any], problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            filters_query(RedeemableFilters(created_at=FilterConditions(**conditions)))

    @pytest.mark.parametrize("filters", [None, {"id": {}}])
    def test_no_filters(self, filters: Any) -> None:
        with pytest.raises(ValueError, match="^filters must be RedeemableFilters"):
            filters_query(filters)

    def test_no_conditions(self) -> None:
        with pytest.raises(ValueError, match=r"^filters\.id must be FilterConditions"):
            filters_query(RedeemableFilters(id={"$is": "a"}))  # type: ignore[arg-type]


class TestCsv:
    CONTENT = b"Source_id\na\n"

    async def test_a_path(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.csv"
        path.write_bytes(self.CONTENT)
        for given in (path, str(path)):
            assert await csv_part(given) == ("mine.csv", self.CONTENT, "text/csv")

    async def test_bytes(self) -> None:
        assert (await csv_part(self.CONTENT)).content == self.CONTENT
        assert (await csv_part(bytearray(self.CONTENT))).content == self.CONTENT  # type: ignore[arg-type]

    async def test_an_open_file(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.csv"
        path.write_bytes(self.CONTENT)
        with path.open("rb") as file:  # the caller's own
            assert (await csv_part(file)).content == self.CONTENT
        assert (await csv_part(io.BytesIO(self.CONTENT))).content == self.CONTENT

    async def test_a_path_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="^file: file not found"):
            await csv_part(tmp_path / "absent.csv")
        with pytest.raises(FileNotFoundError, match="^file: file not found"):
            await csv_part(tmp_path)

    async def test_text_mode(self) -> None:
        with pytest.raises(ValueError, match="^file must be open in binary mode"):
            await csv_part(io.StringIO("a"))  # type: ignore[arg-type]

    @pytest.mark.parametrize("file", [None, 5])
    async def test_no_file(self, file: Any) -> None:
        with pytest.raises(ValueError, match="^file must be a path"):
            await csv_part(file)

    async def test_too_large(self, tmp_path: Path) -> None:
        content = b"x" * (MAX_BODY_BYTES + 1)
        path = tmp_path / "large.csv"
        path.write_bytes(content)
        for given in (path, content, io.BytesIO(content)):
            with pytest.raises(ValueError, match="^file has more than 10,485,760 bytes"):
                await csv_part(given)
        assert len((await csv_part(content[:-1])).content) == MAX_BODY_BYTES

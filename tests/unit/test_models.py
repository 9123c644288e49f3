from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import inspect
import json
import os
import pickle
import pprint
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.pretty import pretty_repr

from voucherify_async import models
from voucherify_async._transport.operation import Operation, RawResponse
from voucherify_async._transport.wire import status_error
from voucherify_async.errors import DecodeError
from voucherify_async.models import (
    UNSET,
    AccessToken,
    AsyncAction,
    BulkUpdateResult,
    Customer,
    CustomerActivity,
    CustomerAddress,
    CustomerRedeemable,
    CustomerUpsert,
    ImportFailure,
    JobResult,
    Model,
    PermanentDeletion,
    Segment,
    TokenIntrospection,
)
from voucherify_async.models._json import decode_json
from voucherify_async.pagination import Page

MODELS = [kind for _, kind in inspect.getmembers(models, inspect.isclass) if issubclass(kind, Model)]
INPUTS = {
    models.Address,
    models.CustomerFields,
    models.CustomerUpsert,
    models.FilterConditions,
    models.RedeemableFilters,
}
OWN_ID = {"id", "async_action_id", "access_token"}

TIMESTAMPS = [
    ("2022-08-30T06:32:07.380Z", dt.datetime(2022, 8, 30, 6, 32, 7, 380_000, dt.UTC)),
    ("2024-03-22T17:48:18.57+00:00", dt.datetime(2024, 3, 22, 17, 48, 18, 570_000, dt.UTC)),
    ("2024-03-22T17:48:25.910974+00:00", dt.datetime(2024, 3, 22, 17, 48, 25, 910_974, dt.UTC)),
]


def decode(kind: Any, value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


@pytest.mark.parametrize(("text", "instant"), TIMESTAMPS)
def test_three_forms_of_timestamps(text: str, instant: dt.datetime) -> None:
    assert decode(Customer, {"id": "c", "created_at": text}).created_at == instant


ANSWER_MODELS: list[type[Model]] = [kind for kind in MODELS if kind not in {*INPUTS, Model}]


class Answers:
    """What holds for every model of responses."""

    def required(self, kind: type[Model]) -> dict[str, str]:
        return {field.encode_name: "x" for field in msgspec.structs.fields(kind) if field.required}

    def check_only_an_own_id_is_required(self, kind: type[Model]) -> None:
        assert set(self.required(kind)) <= OWN_ID

    def check_absent_reads_as_none(self, kind: type[Model]) -> None:
        model = decode(kind, self.required(kind))
        for field in msgspec.structs.fields(kind):
            if not field.required and not field.name.startswith("raw_"):
                assert getattr(model, field.name) is None

    def check_null_reads_as_none(self, kind: type[Model]) -> None:
        nulls = {field.encode_name: None for field in msgspec.structs.fields(kind)} | self.required(kind)
        assert decode(kind, nulls) == decode(kind, self.required(kind))

    def check_unknown_properties_are_ignored(self, kind: type[Model]) -> None:
        assert decode(kind, self.required(kind) | {"brand_new": {"a": [1]}}) == decode(
            kind, self.required(kind)
        )

    def check_it_pickles_and_copies(self, kind: type[Model]) -> None:
        model = decode(kind, self.required(kind))
        assert pickle.loads(pickle.dumps(model)) == model
        assert copy.copy(model) == model
        assert copy.deepcopy(model) == model

    def check_it_is_converted_to_plain_values(self, kind: type[Model]) -> None:
        model = decode(kind, self.required(kind))
        assert json.loads(json.dumps(model.to_dict())) == json.loads(model.to_json()) == json.loads(
            msgspec.json.encode(model)
        )  # fmt: skip
        assert decode(kind, model.to_dict()) == model

    def check_it_is_replaced_printed_and_matched(self, kind: type[Model]) -> None:
        model = decode(kind, self.required(kind))
        assert msgspec.structs.replace(model) == model.__replace__() == model
        assert pprint.pformat(model, width=10) == repr(model)
        match model:
            case Model():
                pass
            case _:
                pytest.fail("no match")

    def check_it_is_a_dataclass_wholly_or_not_at_all(self, kind: type[Model]) -> None:
        model = decode(kind, self.required(kind))
        assert dataclasses.is_dataclass(model) == dataclasses.is_dataclass(kind)
        if not dataclasses.is_dataclass(kind):
            return
        fields = {field.name: field for field in dataclasses.fields(kind)}
        for field in msgspec.structs.fields(kind):
            default = dataclasses.MISSING if field.required else field.default
            assert fields.pop(field.name).default == default
        assert not fields
        assert dataclasses.replace(model) == kind(**dataclasses.asdict(model)) == model

    def check_it_is_frozen_and_keyword_only(self, kind: type[Model]) -> None:
        model = decode(kind, self.required(kind))
        for field in msgspec.structs.fields(kind):
            with pytest.raises(AttributeError):
                setattr(model, field.name, None)
        with pytest.raises(TypeError):
            kind(*["x"])

    def check_it_has_a_docstring(self, kind: type[Model]) -> None:
        assert kind.__doc__


@pytest.mark.parametrize("kind", ANSWER_MODELS)
def test_what_holds_for_every_model(kind: type[Model]) -> None:
    """One test for each model, as there are hundreds of them."""
    checks = [check for name, check in inspect.getmembers(Answers()) if name.startswith("check_")]
    assert len(checks) == 10
    for check in checks:
        check(kind)


def test_unknown_enum_values_are_plain_strings() -> None:
    action = decode(AsyncAction, {"id": "aa_1", "type": "ROBOTS.BUILD", "status": "PONDERING"})
    assert (action.type, action.status) == ("ROBOTS.BUILD", "PONDERING")


def test_a_null_among_loyalty_campaigns() -> None:
    customer = decode(Customer, {"id": "c", "loyalty": {"campaigns": {"A": None, "B": {"points": 3}}}})
    assert customer.loyalty.campaigns["A"] is None
    assert customer.loyalty.campaigns["B"].points == 3


def test_metadata_can_be_typed() -> None:
    class Meta(msgspec.Struct):
        tier: str

    customer = decode(Customer[Meta], {"id": "c", "metadata": {"tier": "gold"}})
    assert customer.metadata == Meta("gold")
    assert isinstance(customer, Customer)
    with pytest.raises(msgspec.ValidationError, match=r"\$\.metadata\.tier"):
        decode(Customer[Meta], {"id": "c", "metadata": {"tier": 5}})
    assert decode(Customer[Meta], {"id": "c"}).metadata is None


class TestActivity:
    def test_data_is_decoded_when_asked_for(self) -> None:
        page = b'[{"id":"e","data":{"a":[1,2]},"type":"customer.created"},{"id":"f"}]'
        first, second = msgspec.json.decode(page, type=tuple[CustomerActivity, ...])
        assert first.data == {"a": [1, 2]}
        assert first.data is first.data
        assert second.data is None

    def test_it_does_not_keep_the_page_alive(self) -> None:
        page = b'{"id":"e","data":{"a":1},"rest":"' + b"x" * 100_000 + b'"}'
        references = sys.getrefcount(page)
        activity = msgspec.json.decode(page, type=CustomerActivity)
        assert bytes(activity.raw_data) == b'{"a":1}'
        assert sys.getrefcount(page) == references

    def test_it_can_be_encoded_again(self) -> None:
        activity = decode(CustomerActivity, {"id": "e", "data": {"a": 1}})
        assert json.loads(msgspec.json.encode(activity))["data"] == {"a": 1}
        assert pickle.loads(pickle.dumps(activity)).data == {"a": 1}
        assert activity == decode(CustomerActivity, {"id": "e", "data": {"a": 1}})

    def test_bad_json_inside_is_found_with_the_page(self) -> None:
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(b'{"id":"e","data":{"a":}}', type=CustomerActivity)


class TestAsyncAction:
    def test_a_bulk_result(self) -> None:
        error = {"message": "m", "details": "d", "key": "k", "source_id": "s"}
        result = {"done_count": 1, "failed_count": 1, "errors": [error], "reports": ["https://x"]}
        action = decode(AsyncAction, {"id": "a", "type": "CUSTOMERS.BULK_UPDATE", "result": result})
        assert isinstance(action.result, BulkUpdateResult)
        assert action.result.errors is not None
        assert action.result.errors[0].source_id == "s"

    def test_an_import_result(self) -> None:
        result = {"message": "m", "failed": [{"source_id": "s", "row": 2, "reason": "r"}], "done_count": 0}
        action = decode(AsyncAction, {"id": "a", "type": "CUSTOMERS.IMPORT_CSV", "result": result})
        assert isinstance(action.result, JobResult)
        assert action.result.failed == (ImportFailure(source_id="s", row=2, reason="r"),)

    @pytest.mark.parametrize("kind", ["ROBOTS.BUILD", None])
    def test_an_unknown_type_keeps_a_mapping(self, kind: str | None) -> None:
        action = decode(AsyncAction, {"id": "a", "type": kind, "result": {"robots": 3}})
        assert action.result == {"robots": 3}

    def test_a_result_of_another_shape_keeps_a_mapping(self) -> None:
        failed = {"source_id": "s", "reason": "r"}
        action = decode(AsyncAction, {"id": "a", "type": "ORDERS.IMPORT", "result": {"failed": failed}})
        assert action.result == {"failed": failed}

    def test_no_result(self) -> None:
        assert decode(AsyncAction, {"id": "a", "type": "CUSTOMERS.BULK_UPDATE"}).result is None
        assert (
            decode(AsyncAction, {"id": "a", "type": "CUSTOMERS.BULK_UPDATE", "result": None}).result is None
        )


def test_tokens_are_not_in_a_repr() -> None:
    assert "hush" not in repr(AccessToken(access_token="hush"))
    assert "hush" not in repr(TokenIntrospection(access_token="hush"))


def test_inputs_leave_out_what_is_unset() -> None:
    upsert = CustomerUpsert(source_id="a", name=None)
    assert upsert.email is UNSET
    assert json.loads(msgspec.json.encode(upsert)) == {"source_id": "a", "name": None}


DATE_WITH_TIME = "1990-01-02T00:00:00.000Z"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (Customer[dict[str, Any]], ("birthdate",)),
        (Customer[dict[str, Any]], ("birthday",)),
        (models.Voucher, ("loyalty_card", "next_expiration_date")),
        (CustomerRedeemable, ("redeemable", "voucher", "loyalty_card", "next_expiration_date")),
    ],
)
def test_a_date_may_have_a_time(kind: Any, path: tuple[str, ...]) -> None:
    value: Any = DATE_WITH_TIME
    for name in reversed(path):
        value = {name: value, "id": "a"}
    value["metadata"] = {"birthdate": DATE_WITH_TIME}
    model = decode_json(msgspec.json.Decoder(kind), msgspec.json.encode(value))
    found = model
    for name in path:
        found = getattr(found, name)
    assert found == dt.date(1990, 1, 2)
    if kind is not CustomerRedeemable:
        assert model.metadata == value["metadata"]


def test_dates_with_times_in_lists_and_mappings() -> None:
    customer = {"id": "a", "birthdate": DATE_WITH_TIME, "birthday": DATE_WITH_TIME}
    body = msgspec.json.encode(
        {"x.y": [customer, {"id": "b", "birthdate": "1990-01-02"}, {"id": "c"}], "z": []}
    )
    decoder = msgspec.json.Decoder(dict[str, list[Customer[dict[str, Any]]]])
    found = decode_json(decoder, body)["x.y"]
    assert [item.birthdate for item in found] == [dt.date(1990, 1, 2), dt.date(1990, 1, 2), None]
    assert found[0].birthday == dt.date(1990, 1, 2)


@pytest.mark.parametrize("rest", [rb'"name": "\ud83d"', b'"new": "\xff"', rb'"metadata": {"a": "\udc00 x"}'])
def test_a_date_with_a_time_beside_what_is_replaced(rest: bytes) -> None:
    body = b'{"id": "a", "birthdate": "1990-01-02T00:00:00Z", ' + rest + b"}"
    customer = decode_json(msgspec.json.Decoder(Customer[dict[str, Any]]), body)
    assert customer.birthdate == dt.date(1990, 1, 2)


@pytest.mark.parametrize("data", [rb'{"a": "\ud800"}', b'{"a": "\xff"}'])
def test_an_event_with_broken_text_is_converted(data: bytes) -> None:
    event = CustomerActivity(id="a", raw_data=msgspec.Raw(data))
    assert event.to_dict()["data"] == event.data == {"a": "\ufffd"}
    assert json.loads(event.to_json())["id"] == "a"
    assert Page((event,)).to_dict()["items"] == [event.to_dict()]


def test_an_event_that_is_nested_too_deeply_is_not_converted() -> None:
    event = CustomerActivity(id="a", raw_data=msgspec.Raw(b"[" * 100_000 + b"]" * 100_000))
    with pytest.raises(DecodeError):
        event.to_dict()


@pytest.mark.parametrize("token", [AccessToken(access_token="hush"), TokenIntrospection(access_token="hush")])
def test_tokens_are_not_shown_by_rich(token: Any) -> None:
    assert "hush" not in pretty_repr(token)
    assert "expires_at" in pretty_repr(token)


@pytest.mark.parametrize(
    "birthdate", ["1990-01", "1990-01-02 00:00", "1990-13-02T00:00:00Z", 5, {}, "x", "T", "1990-01-02T", True]
)
def test_what_is_no_date(birthdate: Any) -> None:
    body = msgspec.json.encode({"id": "a", "birthdate": birthdate, "summary": []})
    with pytest.raises(msgspec.ValidationError):
        decode_json(msgspec.json.Decoder(Customer[dict[str, Any]]), body)


def test_numbers_may_have_decimals() -> None:
    numbers = 0
    for kind in MODELS:
        for field in msgspec.structs.fields(kind):
            if models.Number in typing.get_args(field.type) or field.type == models.Number | None:
                value = decode(kind, {"id": "a", "access_token": "t", field.encode_name: 1234.56})
                assert getattr(value, field.name) == 1234.56
                whole = getattr(
                    decode(kind, {"id": "a", "access_token": "t", field.encode_name: 5}), field.name
                )
                assert (whole, type(whole)) == (5, int)
                numbers += 1
    assert numbers > 30


def test_dataclass_tools_work() -> None:
    schema = models.EventSchema(id="ms_1", name="x")
    assert dataclasses.asdict(schema) == {"id": "ms_1", "name": "x"}
    assert dataclasses.fields(models.EventSchema)[1].type == str | None
    assert dataclasses.replace(schema, name="y").name == "y"
    long = CustomerAddress(city="London" * 20, country="United Kingdom")
    assert pprint.pformat(long) == repr(long)
    assert not dataclasses.is_dataclass(Customer)


def test_a_model_is_a_dict_of_what_is_set() -> None:
    assert dict(models.EventSchema(id="ms_1")) == {"id": "ms_1", "name": None}
    assert dict(CustomerUpsert(source_id="a", name=None)) == {"source_id": "a", "name": None}
    assert dataclasses.asdict(CustomerUpsert(source_id="a", name=None)) == {"source_id": "a", "name": None}
    assert dict(models.FilterConditions(in_=["a"])) == {"$in": ["a"]}
    assert dataclasses.asdict(models.FilterConditions(in_=["a"])) == {"in_": ["a"]}
    activity = decode(CustomerActivity, {"id": "e", "data": {"a": 1}})
    assert dict(activity)["data"] == activity.to_dict()["data"] == {"a": 1}


# ---------------------------------------------------------------- the published examples

OPENAPI = os.environ.get("VOUCHERIFY_OPENAPI_DIR")

ANSWERS: dict[tuple[str, str], Any] = {
    ("get", "/v1/customers"): ("customers", Customer[dict[str, Any]]),
    ("post", "/v1/customers"): Customer[dict[str, Any]],
    ("get", "/v1/customers/{customerId}"): Customer[dict[str, Any]],
    ("put", "/v1/customers/{customerId}"): Customer[dict[str, Any]],
    ("post", "/v1/customers/{customerId}/permanent-deletion"): PermanentDeletion,
    ("get", "/v1/customers/{customerId}/segments"): ("data", Segment),
    ("get", "/v1/customers/{customerId}/redeemables"): ("data", CustomerRedeemable),
    ("post", "/v1/customers/importCSV"): models.AsyncActionReceipt,
    ("post", "/v1/customers/metadata/async"): models.AsyncActionReceipt,
    ("get", "/v1/async-actions"): ("async_actions", AsyncAction),
    ("get", "/v1/async-actions/{asyncActionId}"): AsyncAction,
    ("post", "/v1/oauth/token"): AccessToken,
    ("post", "/v1/oauth/introspect"): TokenIntrospection,
}


def examples() -> Iterator[Any]:
    if OPENAPI is None:
        yield pytest.param(None, None, None, marks=pytest.mark.skip("VOUCHERIFY_OPENAPI_DIR is not set"))
        return
    for file in sorted(Path(OPENAPI).glob("*.json")):
        for path, item in json.loads(file.read_text())["paths"].items():
            for method, operation in item.items():
                if method == "parameters":
                    continue
                for status, response in operation["responses"].items():
                    content = response.get("content", {}).get("application/json", {})
                    for name, example in content.get("examples", {}).items():
                        values = (int(status), (method, path), example["value"])
                        yield pytest.param(*values, id=f"{method} {path} {status} {name}")


@pytest.mark.parametrize(("status", "operation", "example"), list(examples()))
def test_the_published_examples_decode(status: int, operation: tuple[str, str], example: Any) -> None:
    if status >= 400:
        answer = RawResponse(status, {}, msgspec.json.encode(example))
        error = status_error(Operation("x", operation[0], operation[1], object), answer, now=0)
        assert (error.status, error.message) == (status, example["message"])
        assert error.key == example.get("key")
        return
    kind = ANSWERS[operation]
    if isinstance(kind, tuple):
        name, kind = kind
        found = [decode(kind, item) for item in example[name]]
        assert [item.id for item in found] == [item["id"] for item in example[name]]
        return
    model = decode(kind, example)
    if isinstance(model, AsyncAction):
        assert isinstance(model.result, BulkUpdateResult | JobResult)
        assert model.result.done_count == example["result"]["done_count"]

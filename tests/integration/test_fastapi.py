from __future__ import annotations

import dataclasses
import datetime as dt
import json
import pydoc
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any, Generic, NamedTuple, Optional, TypeVar

import httpx
import msgspec
import pydantic
import pytest
from fastapi import Body, FastAPI

from voucherify_async import (
    Address,
    AsyncAction,
    AsyncActionReceipt,
    Customer,
    CustomerActivity,
    CustomerRedeemable,
    CustomerUpsert,
    FilterConditions,
    Page,
    RedeemableFilters,
    Segment,
    SyncFailure,
    SyncReport,
)
from voucherify_async.models import (
    CustomerAddress,
    CustomerEvent,
    CustomerLoyalty,
    CustomerOrderPaid,
    CustomerSegmentLeft,
    Event,
    LoyaltyCampaign,
    LoyaltyTier,
    Order,
    PointsRange,
    UnknownEvent,
)


class Meta(msgspec.Struct):
    tier: str


app = FastAPI()

ADA = Customer[dict[str, Any]](
    id="cust_1",
    email="ada@example.com",
    birthdate=dt.date(1815, 12, 10),
    created_at=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    metadata={"tier": "gold"},
    address=CustomerAddress(city="London"),
    loyalty=CustomerLoyalty(points=3, campaigns={"A": LoyaltyCampaign(points=3)}),
)


@app.get("/customer")
async def customer() -> Customer:
    return ADA


@app.get("/customers")
async def customers() -> list[Customer[dict[str, Any]]]:
    return [ADA]


@app.get("/activity")
async def activity() -> CustomerActivity:
    return msgspec.json.decode(b'{"id":"e","data":{"a":1}}', type=CustomerActivity)


@app.get("/untyped")
async def untyped():  # type: ignore[no-untyped-def]  # noqa: ANN201  # what is tested
    return {"customer": ADA, "upsert": CustomerUpsert(source_id="a", address=Address(city="Paris"))}


@app.post("/customer")
async def take_customer(customer: Annotated[Customer, Body()]) -> Customer:
    return customer


@app.post("/typed")
async def take_typed(customer: Customer[dict[str, int]]) -> dict[str, int] | None:
    return customer.metadata


@app.post("/upsert")
async def take_upsert(upsert: CustomerUpsert) -> CustomerUpsert:
    return upsert


@app.post("/address")
async def take_address(address: Address) -> Address:
    return address


@app.post("/activity")
async def take_activity(activity: Annotated[CustomerActivity, Body()]) -> dict[str, Any]:
    return {"data": activity.data}


@app.post("/filters")
async def take_filters(filters: RedeemableFilters) -> RedeemableFilters:
    return filters


@app.get("/action")
async def action() -> AsyncAction:
    return AsyncAction(id="aa_1")


@app.get("/redeemables")
async def redeemables() -> list[CustomerRedeemable]:
    return []


PAGE = Page((ADA,), total=7, next_cursor="token")


class Basket(pydantic.BaseModel):
    """A model of the application that contains models of the package."""

    owner: Customer
    friends: list[Customer] = []
    changes: CustomerUpsert | None = None
    conditions: FilterConditions | None = None


BASKET = Basket(
    owner=ADA,
    friends=[ADA],
    changes=CustomerUpsert(source_id="a", name=None),
    conditions=FilterConditions(in_=["x"]),
)


@app.get("/options/exclude", response_model_exclude={"email", "metadata"})
@app.get("/options/include", response_model_include={"id": True, "address": {"city"}})
@app.get("/options/exclude_none", response_model_exclude_none=True)
@app.get("/options/exclude_unset", response_model_exclude_unset=True)
@app.get("/options/exclude_defaults", response_model_exclude_defaults=True)
async def with_options() -> Customer:
    return ADA


@app.get("/conditions", response_model_by_alias=False)
async def conditions() -> FilterConditions:
    return FilterConditions(in_=["a"])


@app.get(
    "/basket", response_model_exclude={"owner": {"email"}, "friends": {"__all__": {"address": {"city"}}}}
)
async def basket() -> Basket:
    return BASKET


@app.get("/page")
async def page() -> Page[Customer]:
    return PAGE


@app.get("/page/exclude", response_model_exclude={"items": {"__all__": {"email"}}})
async def page_without() -> Page[Customer]:
    return PAGE


@app.get("/page/untyped")
async def untyped_page():  # type: ignore[no-untyped-def]  # noqa: ANN201  # what is tested
    return PAGE


@app.get("/page/items")
async def untyped_items():  # type: ignore[no-untyped-def]  # noqa: ANN201  # what is tested
    activity = msgspec.json.decode(b'{"id":"e","data":{"a":1}}', type=CustomerActivity)
    return {"items": PAGE.items, "activity": activity}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_response_types(http: httpx.AsyncClient) -> None:
    shown = (await http.get("/customer")).json()
    assert shown["id"] == "cust_1"
    assert shown["metadata"] == {"tier": "gold"}
    assert shown["loyalty"]["campaigns"]["A"]["points"] == 3
    assert shown["phone"] is None
    assert (await http.get("/customers")).json() == [shown]
    assert (await http.get("/activity")).json()["data"] == {"a": 1}


async def test_options_of_the_response(http: httpx.AsyncClient) -> None:
    whole = (await http.get("/customer")).json()
    without = (await http.get("/options/exclude")).json()
    assert whole.keys() - without.keys() == {"email", "metadata"}
    assert without.items() <= whole.items()
    assert (await http.get("/options/include")).json() == {"id": "cust_1", "address": {"city": "London"}}
    for name in ("exclude_none", "exclude_unset", "exclude_defaults"):
        assert (await http.get(f"/options/{name}")).json() == {
            "id": "cust_1",
            "email": "ada@example.com",
            "birthdate": "1815-12-10",
            "created_at": "2026-01-02T03:04:05Z",
            "metadata": {"tier": "gold"},
            "address": {"city": "London"},
            "loyalty": {"points": 3, "campaigns": {"A": {"points": 3}}},
        }
    assert (await http.get("/conditions")).json() == {"in_": ["a"]}


async def test_options_of_a_model_that_contains_ours(http: httpx.AsyncClient) -> None:
    shown = (await http.get("/basket")).json()
    assert "email" not in shown["owner"]
    assert shown["owner"]["address"]["city"] == "London"
    assert shown["friends"][0]["email"] == "ada@example.com"
    assert "city" not in shown["friends"][0]["address"]
    assert shown["changes"] == {"source_id": "a", "name": None}
    assert shown["conditions"] == {"$in": ["x"]}


def test_dumps_of_pydantic() -> None:
    plain = BASKET.model_dump(include={"owner"}, exclude_none=True)
    assert plain["owner"]["birthdate"] == dt.date(1815, 12, 10)
    assert plain["owner"]["metadata"] == {"tier": "gold"}
    in_json = BASKET.model_dump(mode="json", exclude={"owner": {"address"}, "friends": True})
    assert in_json["owner"]["birthdate"] == "1815-12-10"
    assert "address" not in in_json["owner"]
    assert BASKET.model_dump(by_alias=False)["conditions"] == {"in_": ["x"]}
    assert json.loads(BASKET.model_dump_json(by_alias=True))["conditions"] == {"$in": ["x"]}
    assert BASKET.model_dump(exclude_unset=True)["changes"] == {"source_id": "a", "name": None}
    assert Basket.model_validate_json(BASKET.model_dump_json(by_alias=True)) == BASKET


class Visit(msgspec.Struct):
    at: dt.datetime


class Visits(msgspec.Struct):
    visits: list[Visit]
    by_shop: dict[str, Visit] = {}


def test_a_class_for_metadata_that_pydantic_does_not_know() -> None:
    adapter = pydantic.TypeAdapter[Any](Customer[Visits])
    visit = {"at": "2026-01-02T03:04:05Z"}
    customer = adapter.validate_python({"id": "a", "metadata": {"visits": [visit], "by_shop": {"x": visit}}})
    assert customer.metadata.visits[0].at == dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    shown = json.loads(adapter.dump_json(customer, exclude_none=True, exclude={"metadata": {"by_shop"}}))
    assert shown == {"id": "a", "metadata": {"visits": [visit]}}
    assert adapter.json_schema()["$defs"]["Visits"]["required"] == ["visits"]


async def test_pages(http: httpx.AsyncClient) -> None:
    customer = (await http.get("/customer")).json()
    expected = {"items": [customer], "has_more": True, "total": 7, "next_cursor": "token"}
    assert (await http.get("/page")).json() == expected
    assert "email" not in (await http.get("/page/exclude")).json()["items"][0]
    untyped = (await http.get("/page/untyped")).json()
    assert untyped.keys() == expected.keys()
    assert untyped["items"][0]["id"] == "cust_1"
    items = (await http.get("/page/items")).json()
    assert items["items"][0]["address"]["city"] == "London"
    assert items["activity"]["data"] == {"a": 1}
    schema = (await http.get("/openapi.json")).json()["components"]["schemas"]["Page_Customer_"]
    assert list(schema["properties"]) == list(expected)
    assert schema["properties"]["items"]["items"]["$ref"].startswith("#/components/schemas/Customer")


async def test_answers_without_a_type(http: httpx.AsyncClient) -> None:
    shown = (await http.get("/untyped")).json()
    assert shown["customer"]["address"]["city"] == "London"
    assert shown["upsert"] == {"source_id": "a", "address": {"city": "Paris"}}


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/upsert", {"source_id": "crm-1", "name": None, "address": {"city": "London"}}),
        ("/address", {"city": "London", "state": None}),
        ("/filters", {"id": {"$in": ["rh_1"]}, "junction": "and"}),
    ],
)
async def test_body_types(http: httpx.AsyncClient, path: str, sent: Any) -> None:
    answer = await http.post(path, json=sent)
    assert answer.status_code == 200
    assert answer.json() == sent


async def test_answers_as_body_types(http: httpx.AsyncClient) -> None:
    assert (await http.post("/customer", json={"id": "c", "new": 1})).json()["id"] == "c"
    assert (await http.post("/typed", json={"id": "c", "metadata": {"a": 1}})).json() == {"a": 1}
    assert (await http.post("/activity", json={"id": "e", "data": {"a": 1}})).json() == {"data": {"a": 1}}


@pytest.mark.parametrize(
    ("path", "sent", "problem"),
    [
        ("/customer", {"name": "Ada"}, "missing required field `id`"),
        ("/upsert", {"source_id": 5}, "source_id"),
        ("/upsert", {"source_id": "a", "nmae": "Ada"}, "unknown field `nmae`"),
        ("/typed", {"id": "c", "metadata": {"a": "x"}}, "metadata"),
    ],
)
async def test_bad_bodies_are_422(http: httpx.AsyncClient, path: str, sent: Any, problem: str) -> None:
    answer = await http.post(path, json=sent)
    assert answer.status_code == 422
    assert problem in answer.text


async def test_every_reference_in_openapi_json_resolves(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    references = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                references.add(value["$ref"])
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)

    collect(document)
    assert "#/components/schemas/CustomerAddress" in references
    for reference in references:
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    schemas = document["components"]["schemas"]
    # Some versions of pydantic have one schema for what goes in and one for what comes out.
    assert (schemas.get("Customer") or schemas["Customer-Output"])["required"] == ["id"]
    assert schemas["CustomerUpsert"]["properties"]["name"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert "$in" in schemas["FilterConditions"]["properties"]
    body = document["paths"]["/upsert"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/CustomerUpsert"}
    assert "UnsetType" not in json.dumps(document)


ACTIVITY = msgspec.json.decode(b'{"id":"e","type":"customer.updated","data":{"a":1}}', type=CustomerActivity)
ACTION = msgspec.json.decode(
    b'{"id":"a","type":"CUSTOMERS.BULK_UPDATE","result":{"done_count":2}}', type=AsyncAction
)


def adapter_of(source: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(source)


@app.get("/either")
async def either() -> Customer | CustomerActivity:
    return ACTIVITY


@app.get("/segments")
async def segments() -> list[Segment | Customer]:
    return [ADA, Segment(id="seg_1")]


async def test_unions_of_models(http: httpx.AsyncClient) -> None:
    assert (await http.get("/either")).json()["data"] == {"a": 1}
    ada, segment = (await http.get("/segments")).json()
    assert ada == (await http.get("/customer")).json()
    assert segment == Segment(id="seg_1").to_dict()


@dataclasses.dataclass
class Other:
    id: str


@pytest.mark.parametrize("value", [ACTIVITY, Other("o"), Meta("gold"), "text", ["id"], None])
def test_only_dictionaries_become_models(value: Any) -> None:
    with pytest.raises(pydantic.ValidationError, match="Expected `object`, got"):
        adapter_of(Customer).validate_python(value)


class Anything(pydantic.BaseModel):
    value: Any


@app.get("/page/any")
async def page_of_any() -> Page[Any]:
    return Page((ADA, ACTIVITY))


@app.get("/page/bare")
async def page_of_unknown() -> Page:  # type: ignore[type-arg]  # what is tested
    return Page((ADA, ACTIVITY))


@pytest.mark.parametrize(
    "model",
    [
        ADA,
        ACTIVITY,
        ACTION,
        AsyncActionReceipt(async_action_id="aa_1"),
        CustomerUpsert(source_id="a"),
        SyncFailure(position=1, raw_item=msgspec.Raw(b'{"source_id":"a"}')),
        SyncReport(
            failures=(SyncFailure(position=1),),
            jobs=(),
            read=1,
            sent=1,
            succeeded=0,
            failed=1,
            invalid=0,
            resent=0,
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_where_the_type_is_any(model: Any) -> None:
    shown = adapter_of(type(model)).dump_python(model)
    assert Anything(value=model).model_dump() == {"value": shown}
    assert Anything(value=[model]).model_dump()["value"] == [shown]
    in_json = adapter_of(type(model)).dump_json(model)
    assert Anything(value=model).model_dump_json().encode() == b'{"value":' + in_json + b"}"


async def test_pages_of_any_items(http: httpx.AsyncClient) -> None:
    expected = [(await http.get("/customer")).json(), (await http.get("/either")).json()]
    assert (await http.get("/page/any")).json()["items"] == expected
    assert (await http.get("/page/bare")).json()["items"] == expected


def test_models_without_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unused(Customer[Any], frozen=True):
        pass

    monkeypatch.setitem(sys.modules, "pydantic", None)
    assert not hasattr(Unused(id="c"), "__pydantic_serializer__")


def test_looking_at_a_class_builds_no_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """`help` reads all attributes of a class and of its bases, and a schema of an event takes long."""

    class Unused(Customer[Any], frozen=True):
        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            raise AssertionError

    assert "Unused" in pydoc.render_doc(Unused)


TYPED = Customer(id="c", metadata=Meta("gold"))


@app.get("/metadata/struct")
async def struct_as_metadata() -> Customer:
    return TYPED  # type: ignore[return-value]  # what is tested


@app.get("/metadata/typed")
async def dictionary_as_metadata() -> Customer[Meta]:
    return ADA  # type: ignore[return-value]  # what is tested


async def test_metadata_of_another_type(http: httpx.AsyncClient) -> None:
    assert (await http.get("/metadata/struct")).json()["metadata"] == {"tier": "gold"}
    assert (await http.get("/metadata/typed")).json() == (await http.get("/customer")).json()
    assert adapter_of(Customer).dump_python(TYPED)["metadata"] == {"tier": "gold"}
    assert adapter_of(Customer[Meta]).dump_python(ADA)["metadata"] == {"tier": "gold"}
    assert adapter_of(Customer).dump_python(TYPED, exclude={"metadata": {"tier"}})["metadata"] == {}
    nested = Customer(id="c", metadata={"a": [Meta("gold")]})
    assert adapter_of(Customer).dump_python(nested, mode="json")["metadata"] == {"a": [{"tier": "gold"}]}


def test_metadata_of_an_instance_is_validated() -> None:
    adapter = adapter_of(Customer[Meta])
    assert adapter.validate_python(TYPED) is TYPED
    assert adapter.validate_python(ADA).metadata == Meta("gold")
    assert adapter.validate_python(Customer(id="c")).metadata is None
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter.validate_python(Customer(id="c", metadata={"tier": 5}))
    assert caught.value.errors()[0]["loc"] == ("metadata", "tier")
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter.validate_python(Customer(id="c", metadata=5))
    assert caught.value.errors()[0]["loc"] == ("metadata",)
    assert adapter_of(Customer).validate_python(TYPED) is TYPED


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (b'{"done_count":2}', {"done_count": 2, "failed_count": None}),
        (b'[{"done_count":2}]', [{"done_count": 2}]),
        (b'"text"', "text"),
        (b"null", None),
    ],
)
def test_results_of_any_type(result: bytes, shown: Any) -> None:
    body = b'{"id":"a","type":"CUSTOMERS.BULK_UPDATE","result":' + result + b"}"
    action = msgspec.json.decode(body, type=AsyncAction)
    dump = adapter_of(AsyncAction).dump_python(
        action, exclude={"result": {"errors", "reports", "reports_available_till"}}
    )
    assert dump["result"] == shown
    activity = msgspec.json.decode(b'{"id":"a","data":' + result + b"}", type=CustomerActivity)
    assert adapter_of(CustomerActivity).dump_python(activity)["data"] == json.loads(result)


class Unsupported(pydantic.BaseModel):
    tier: str


@pytest.mark.parametrize("source", [Customer[Unsupported], Customer[dict[str, Unsupported]]])
def test_metadata_that_msgspec_cannot_decode(source: Any) -> None:
    with pytest.raises(TypeError, match="msgspec cannot decode .*Unsupported.*: use a Struct"):
        adapter_of(source)


class Pair(NamedTuple):
    a: int
    b: str


class Node(msgspec.Struct):
    child: Node | None = None
    children: list[Node] = []


class Left(msgspec.Struct, tag=True):
    x: int


class Right(msgspec.Struct, tag="right", tag_field="side"):
    x: int


class Up(msgspec.Struct, tag=1):
    x: int


class Down(msgspec.Struct, tag=2):
    x: int


class Row(msgspec.Struct, array_like=True):
    x: int
    y: int


class Rows(msgspec.Struct):
    rows: list[Row]


V = TypeVar("V")


class Box(msgspec.Struct, Generic[V]):
    value: V


@pytest.mark.parametrize(
    ("source", "metadata"),
    [
        (Pair, Pair(1, "b")),
        (Other, Other("o")),
        (Node, Node(Node(), [Node(Node())])),
        (Left, Left(1)),
        (Right, Right(1)),
        (Up | Down, Up(1)),
        (Up | Down, Down(1)),
        (list[Up | Down], [Down(1), Up(1)]),
        (Row, Row(1, 2)),
        (Rows, Rows([Row(1, 2)])),
        (Box[Up], Box(Up(1))),
        (Box, Box(1)),
        (dict[str, Node], {"a": Node(Node())}),
    ],
)
def test_dumps_of_metadata_can_be_validated(source: Any, metadata: Any) -> None:
    adapter = adapter_of(Customer[source])
    customer = Customer(id="c", metadata=metadata)
    assert adapter.validate_python(customer) == customer
    assert adapter.validate_python(adapter.dump_python(customer)) == customer
    shown = adapter.dump_json(customer)
    assert json.loads(shown)["metadata"] == json.loads(msgspec.json.encode(metadata))
    assert adapter.validate_json(shown) == customer
    assert adapter.json_schema(mode="serialization")["properties"].keys() == customer.to_dict().keys()
    assert Anything(value=customer).model_dump_json().encode() == b'{"value":' + shown + b"}"


@app.post("/node")
async def take_node(customer: Customer[Node]) -> Customer[Node]:
    return customer


async def test_recursive_metadata_in_a_body(http: httpx.AsyncClient) -> None:
    metadata = {"child": {"child": None, "children": []}, "children": []}
    answer = await http.post("/node", json={"id": "c", "metadata": metadata})
    assert answer.json()["metadata"] == metadata
    schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
    node = next(schema for name, schema in schemas.items() if name.startswith("Node"))
    assert node["properties"].keys() == {"child", "children"}


@pytest.mark.parametrize("wrap", [lambda struct: struct, lambda struct: Optional[struct]])  # noqa: UP045
def test_schemas_of_structs_of_the_same_name(wrap: Any) -> None:
    one, other = (wrap(msgspec.defstruct("Same", [(name, int)], module=__name__)) for name in "ab")
    adapter = adapter_of(tuple[Customer[one], Customer[other]])  # type: ignore[valid-type]
    required = [schema.get("required") for schema in adapter.json_schema()["$defs"].values()]
    assert required.count(["id"]) == 2
    assert required.count(["a"]) == required.count(["b"]) == 1


@pytest.mark.parametrize(
    ("source", "value", "location", "problem"),
    [
        (Customer, {}, (), "Value error, Object missing required field `id`"),
        (Customer, {"id": 5}, ("id",), "Value error, Expected `str`, got `int`"),
        (
            Customer,
            {"id": "c", "address": {"city": 5}},
            ("address", "city"),
            "Value error, Expected `str | null`, got `int`",
        ),
        (
            Customer[list[Meta]],
            {"id": "c", "metadata": [{"tier": "a"}, {"tier": 5}]},
            ("metadata", 1, "tier"),
            "Value error, Expected `str`, got `int`",
        ),
        (
            Customer[dict[str, Meta]],
            {"id": "c", "metadata": {"a": {"tier": 5}}},
            ("metadata", "...", "tier"),
            "Value error, Expected `str`, got `int`",
        ),
        (
            Customer[dict[int, str]],
            {"id": "c", "metadata": {"a": "b"}},
            ("metadata",),
            "Value error, Expected `int`, got `str`",
        ),
    ],
)
def test_locations_of_errors(source: Any, value: Any, location: Any, problem: str) -> None:
    for validate, given in (
        (adapter_of(source).validate_python, value),
        (adapter_of(source).validate_json, json.dumps(value)),
    ):
        with pytest.raises(pydantic.ValidationError) as caught:
            validate(given)
        [error] = caught.value.errors()
        assert (error["loc"], error["msg"]) == (location, problem)


async def test_location_in_a_response(http: httpx.AsyncClient) -> None:
    answer = await http.post("/upsert", json={"source_id": "a", "address": {"city": 5}})
    assert answer.json()["detail"][0]["loc"] == ["body", "address", "city"]


def test_input_that_contains_itself() -> None:
    value: dict[str, Any] = {"id": "c"}
    value["metadata"] = value
    with pytest.raises(pydantic.ValidationError):
        adapter_of(Customer).validate_python(value)


def test_dates_with_a_time() -> None:
    sent = {"id": "c", "birthdate": "1990-01-02T00:00:00Z"}
    assert adapter_of(Customer).validate_python(sent).birthdate == dt.date(1990, 1, 2)
    with pytest.raises(pydantic.ValidationError, match="birthdate"):
        adapter_of(CustomerUpsert).validate_python({"source_id": "c", "birthdate": "1990-01-02T00:00:00Z"})


@app.get("/event")
async def event() -> CustomerEvent | UnknownEvent:
    return CustomerOrderPaid(customer=ADA, order=Order(id="ord_1", amount=5))


@app.get("/events", response_model_exclude_none=True)
async def events() -> list[Event]:
    return [CustomerSegmentLeft(segment=Segment(id="seg_1")), UnknownEvent(type="a", data={"b": None})]


@app.get("/tier", response_model=None)
async def tier() -> dict[str, LoyaltyTier]:
    return {"tier": LoyaltyTier(id="lt_1", points=PointsRange(from_=1, to=9))}


async def test_events_keep_the_properties_of_their_class(http: httpx.AsyncClient) -> None:
    found = (await http.get("/event")).json()
    assert (found["order"]["amount"], found["customer"]["id"]) == (5, "cust_1")
    assert (await http.get("/events")).json() == [
        {"segment": {"id": "seg_1"}},
        {"type": "a", "data": {"b": None}},
    ]


async def test_names_that_python_has_no_attribute_for(http: httpx.AsyncClient) -> None:
    assert (await http.get("/tier")).json()["tier"]["points"] == {"from": 1, "to": 9}
    one = LoyaltyTier(id="a", points=PointsRange(from_=1))
    assert adapter_of(LoyaltyTier).dump_python(one, by_alias=True)["points"] == {"from": 1, "to": None}

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import msgspec
import pydantic
import pytest
from fastapi import Body, FastAPI

from voucherify_async import (
    Address,
    AsyncAction,
    Customer,
    CustomerActivity,
    CustomerRedeemable,
    CustomerUpsert,
    FilterConditions,
    Page,
    RedeemableFilters,
)
from voucherify_async.models import CustomerAddress, CustomerLoyalty, LoyaltyCampaign


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

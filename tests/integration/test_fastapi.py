from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from fastapi import Body, FastAPI

from voucherify_async import (
    Address,
    AsyncAction,
    Customer,
    CustomerActivity,
    CustomerRedeemable,
    CustomerUpsert,
    RedeemableFilters,
)
from voucherify_async.models import CustomerAddress, CustomerLoyalty, LoyaltyCampaign


class Meta(msgspec.Struct):
    tier: str


app = FastAPI()

ADA = Customer[dict[str, Any]](
    id="cust_1",
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
    assert shown["email"] is None
    assert (await http.get("/customers")).json() == [shown]
    assert (await http.get("/activity")).json()["data"] == {"a": 1}


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

"""The package offers what the published documents describe, and the check of that finds every kind of difference."""

import copy
import functools
import inspect
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import msgspec
import pytest

from voucherify_async.models import Address, Customer, CustomerUpsert, FilterConditions
from voucherify_async.models.customers import CustomerParams
from voucherify_async.models.webhook_events import WEBHOOK_EVENTS, CampaignEvent
from voucherify_async.resources.async_actions import AsyncActionsResource
from voucherify_async.resources.customers import CustomerFilters, CustomersResource
from voucherify_async.resources.oauth import OAuthResource

from . import drift
from .documents import VARIABLE, directory, read
from .drift import SECTIONS, Comparison, find_drift
from .events import DescribedEvent, described_events
from .omissions import NOT_OFFERED, UNDOCUMENTED
from .overlay import Json

DIRECTORY = directory()

pytestmark = pytest.mark.skipif(DIRECTORY is None, reason=f"{VARIABLE} is not set")

STALE_NOT_OFFERED = "listed in NOT_OFFERED, but offered or no longer documented"
STALE_UNDOCUMENTED = "listed in UNDOCUMENTED, but documented or gone"


@functools.cache
def published() -> dict[str, Json]:
    assert DIRECTORY is not None
    return {section: read(DIRECTORY, name) for section, name in SECTIONS.items()}


@functools.cache
def events() -> Comparison:
    """What the documents of the events and of the other sections say, which no test changes."""
    assert DIRECTORY is not None
    begun = Comparison()
    for event in described_events(DIRECTORY):
        begun.compare_event(event)
    for path in sorted((DIRECTORY / "sections").glob("*.json")):
        if not path.stem.endswith("-v2"):
            begun.note_section(json.loads(path.read_bytes()))
    return begun


@pytest.fixture(name="documents")
def copied_documents() -> dict[str, Json]:
    return copy.deepcopy(published())


def problems(documents: dict[str, Json]) -> list[str]:
    return find_drift(documents, events()).problems()


def test_package_offers_what_the_documents_describe(documents: dict[str, Json]) -> None:
    assert problems(documents) == []


def test_every_covered_document_has_operations(documents: dict[str, Json]) -> None:
    assert all(document["paths"] for document in documents.values())


# ---------------------------------------------------------------- the documents change


def property_maps(part: Any) -> Iterator[Json]:
    """Yield the properties of every schema."""
    if isinstance(part, list):
        for item in part:
            yield from property_maps(item)
    elif isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            yield part["properties"]
        for value in part.values():
            yield from property_maps(value)


def test_new_operation(documents: dict[str, Json]) -> None:
    documents["customers"]["paths"]["/v1/customers"]["patch"] = {"responses": {}}
    assert problems(documents) == ["not offered: PATCH /v1/customers"]


def test_new_path(documents: dict[str, Json]) -> None:
    documents["oauth"]["paths"]["/v1/oauth/tokens/{tokenId}"] = {"get": {"responses": {}}}
    assert problems(documents) == ["not offered: GET /v1/oauth/tokens/{tokenId}"]


def test_removed_operation(documents: dict[str, Json]) -> None:
    del documents["customers"]["paths"]["/v1/customers/{customerId}"]["put"]
    assert problems(documents) == ["undocumented: customers.update"]


def test_new_query_parameter(documents: dict[str, Json]) -> None:
    parameters = documents["customers"]["paths"]["/v1/customers"]["get"]["parameters"]
    parameters.append({"name": "deleted_at[before]", "in": "query", "schema": {"type": "string"}})
    assert problems(documents) == ["not offered: customers.list(deleted_at[before])"]


def test_new_query_parameter_of_a_whole_path(documents: dict[str, Json]) -> None:
    path = documents["async_actions"]["paths"]["/v1/async-actions"]
    path["parameters"] = [{"name": "new", "in": "query", "schema": {"type": "string"}}]
    assert problems(documents) == ["not offered: async_actions.list(new)"]


def test_removed_query_parameter(documents: dict[str, Json]) -> None:
    operation = documents["customers"]["paths"]["/v1/customers"]["get"]
    operation["parameters"] = [
        part
        for part in operation["parameters"]
        if part.get("name") not in {"segment_id", "created_at[after]"}
    ]
    assert problems(documents) == [
        "undocumented: customers.list(created_at_after)",
        "undocumented: customers.list(segment_id)",
    ]


@pytest.mark.parametrize(
    ("section", "beside", "names"),
    [
        pytest.param(
            "customers",
            "line_1",
            ["Address.new", "CustomerAddress.new"],
            id="object in a body and in a response",
        ),
        pytest.param("customers", "$starts_with", ["FilterConditions.new"], id="filter"),
        pytest.param(
            "customers", "redeemable_object", ["CustomerRedeemable.new", "RedeemableFilters.new"], id="list"
        ),
        pytest.param("customers", "cockpit_url", ["CustomerAssets.new"], id="response"),
        pytest.param("customers", "loyalty_tier", ["LoyaltyCampaign.new"], id="mapping in a response"),
        pytest.param("customers", "source_ids", ["customers.update_metadata_in_bulk(new)"], id="body"),
        pytest.param("customers", "file", ["customers.import_csv(new)"], id="upload"),
        pytest.param("async_actions", "async_actions", ["ListPage.new"], id="page"),
        pytest.param("async_actions", "row", ["ImportFailure.new"], id="result of a job"),
        pytest.param(
            "oauth",
            "scope",
            ["AccessToken.new", "TokenIntrospection.new", "oauth.create_token(new)"],
            id="form",
        ),
    ],
)
def test_new_property(documents: dict[str, Json], section: str, beside: str, names: list[str]) -> None:
    for properties in property_maps(documents[section]):
        if beside in properties:
            properties["new"] = {"type": "string"}
    assert problems(documents) == [f"not offered: {name}" for name in names]


@pytest.mark.parametrize(
    ("section", "removed", "names"),
    [
        pytest.param("customers", "postal_code", ["Address.postal_code"], id="object"),
        pytest.param("customers", "$starts_with", ["FilterConditions.$starts_with"], id="filter"),
        pytest.param("customers", "related_object", ["PermanentDeletion.related_object"], id="response"),
        pytest.param("customers", "customers", ["ListPage.customers"], id="items of a page"),
        pytest.param("customers", "source_ids", ["customers.update_metadata_in_bulk(source_ids)"], id="body"),
        pytest.param(
            "customers",
            "birthdate",
            [
                "CustomerUpsert.birthdate",
                "customers.create(birthdate)",
                "customers.update(birthdate)",
            ],
            id="body of several operations",
        ),
        pytest.param("async_actions", "row", ["ImportFailure.row"], id="result of a job"),
        pytest.param("oauth", "active", ["TokenIntrospection.active"], id="inline response"),
    ],
)
def test_removed_property(documents: dict[str, Json], section: str, removed: str, names: list[str]) -> None:
    """What the documents of events still describe, such as the birthdate of a customer, is not reported."""
    for properties in property_maps(documents[section]):
        properties.pop(removed, None)
    assert problems(documents) == [f"undocumented: {name}" for name in names]


def test_property_that_becomes_an_object(documents: dict[str, Json]) -> None:
    for properties in property_maps(documents["customers"]):
        if "cockpit_url" in properties:
            properties["cockpit_url"] = {"type": "object", "properties": {"href": {"type": "string"}}}
    assert problems(documents) == ["not offered: CustomerAssets.cockpit_url"]


# ---------------------------------------------------------------- the package changes


class Options(TypedDict, total=False):
    verbose: bool


async def get_with_options(self: object, customer_id: str, **options: Unpack[Options]) -> Customer:
    raise AssertionError("only its signature is read")


def without_parameter(function: Any, name: str) -> Any:
    @functools.wraps(function)
    def changed(*args: Any) -> Any:
        return function(*args)

    signature = inspect.signature(function)
    kept = [parameter for parameter in signature.parameters.values() if parameter.name != name]
    changed.__dict__["__signature__"] = signature.replace(parameters=kept)
    return changed


@pytest.mark.parametrize(
    ("owner", "method", "call"),
    [
        (CustomersResource, "get", "GET /v1/customers/{customerId}"),
        (CustomersResource, "update_in_bulk", "POST /v1/customers/bulk/async"),
        (AsyncActionsResource, "list", "GET /v1/async-actions"),
        (OAuthResource, "revoke_token", "POST /v1/oauth/token/revoke"),
    ],
)
def test_removed_method(
    documents: dict[str, Json], monkeypatch: pytest.MonkeyPatch, owner: type[Any], method: str, call: str
) -> None:
    defined_in = next(base for base in owner.__mro__ if method in vars(base))
    monkeypatch.delattr(defined_in, method)
    assert f"not offered: {call}" in problems(documents)


def test_removed_operation_of_the_package(
    documents: dict[str, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {name: op for name, op in drift.package_operations().items() if name != "customers.get"}
    monkeypatch.setattr(drift, "package_operations", lambda: kept)
    assert problems(documents) == [
        "not offered: GET /v1/customers/{customerId}",
        "undocumented: customers.get",
    ]


def test_section_that_is_not_covered(documents: dict[str, Json], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SECTIONS, "oauth")
    del documents["oauth"]
    assert problems(documents) == [
        "undocumented: oauth.create_token",
        "undocumented: oauth.introspect_token",
        "undocumented: oauth.revoke_token",
        f"{STALE_NOT_OFFERED}: oauth.create_token(grant_type)",
    ]


def test_new_method(documents: dict[str, Json], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OAuthResource, "refresh_token", lambda self: None, raising=False)
    assert problems(documents) == ["undocumented: oauth.refresh_token"]


@pytest.mark.parametrize(
    ("owner", "method", "parameter", "name"),
    [
        (CustomersResource, "list_redeemables", "filters", "customers.list_redeemables(filters)"),
        (CustomersResource, "create", "source_id", "customers.create(source_id)"),
        (CustomersResource, "import_csv", "file", "customers.import_csv(file)"),
        (AsyncActionsResource, "list", "end_date", "async_actions.list(end_date)"),
        (OAuthResource, "create_token", "scope", "oauth.create_token(scope)"),
    ],
)
def test_removed_parameter(
    documents: dict[str, Json],
    monkeypatch: pytest.MonkeyPatch,
    owner: type[Any],
    method: str,
    parameter: str,
    name: str,
) -> None:
    monkeypatch.setattr(owner, method, without_parameter(getattr(owner, method), parameter))
    assert f"not offered: {name}" in problems(documents)


@pytest.mark.parametrize(
    ("options", "parameter", "names"),
    [
        (CustomerFilters, "created_at_before", ["customers.list(created_at[before])"]),
        (CustomerParams, "phone", ["customers.create(phone)", "customers.update(phone)"]),
    ],
)
def test_removed_option(
    documents: dict[str, Json],
    monkeypatch: pytest.MonkeyPatch,
    options: type[Any],
    parameter: str,
    names: list[str],
) -> None:
    monkeypatch.delitem(options.__annotations__, parameter)
    assert problems(documents) == [f"not offered: {name}" for name in names]


def test_new_parameter(documents: dict[str, Json], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CustomersResource, "get", get_with_options)
    assert problems(documents) == ["undocumented: customers.get(verbose)"]


@pytest.mark.parametrize(
    ("model", "field", "name"),
    [
        (Customer, "assets", "Customer.assets"),
        (Address, "city", "Address.city"),
        (FilterConditions, "in_", "FilterConditions.$in"),
        (CustomerUpsert, "email", "customers.update_in_bulk(email)"),
    ],
)
def test_removed_field(
    documents: dict[str, Json],
    monkeypatch: pytest.MonkeyPatch,
    model: type[msgspec.Struct],
    field: str,
    name: str,
) -> None:
    fields = msgspec.structs.fields

    def fewer(of: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
        return tuple(info for info in fields(of) if (of, info.name) != (model, field))

    monkeypatch.setattr(msgspec.structs, "fields", fewer)
    assert problems(documents) == [f"not offered: {name}"]


# ---------------------------------------------------------------- events


def described(event_type: str) -> DescribedEvent:
    """A copy of what a document says of a type of event, to be changed."""
    assert DIRECTORY is not None
    found = next(event for event in described_events(DIRECTORY) if event.type == event_type)
    spec = copy.deepcopy(found.spec)
    return replace(
        found, spec=spec, schema=spec["components"]["schemas"][found.schema["$ref"].split("/")[-1]]
    )


@pytest.mark.parametrize(
    ("event_type", "beside", "names"),
    [
        pytest.param("campaign.created", "campaign", {"CampaignCreated.new"}, id="event"),
        pytest.param("customer.segment.left", "segment", {"CustomerSegmentLeft.new"}, id="event of a family"),
        pytest.param(
            "campaign.created", "loyalty_tiers_expiration", {"Campaign.new"}, id="object in an event"
        ),
        pytest.param("campaign.created", "quantity", {"CampaignRedemption.new"}, id="nested object"),
        pytest.param("voucher.created", "barcode", {"VoucherAssets.new"}, id="nested twice"),
    ],
)
def test_new_property_of_an_event(event_type: str, beside: str, names: set[str]) -> None:
    event = described(event_type)
    for properties in property_maps(event.spec):
        if beside in properties:
            properties["new"] = {"type": "string"}
    comparison = Comparison()
    comparison.compare_event(event)
    assert names <= comparison.result().not_offered


def test_removed_property_of_an_event(documents: dict[str, Json]) -> None:
    begun = Comparison()
    for event_type in ("customer.segment.left", "voucher.loyalty_card.transaction.created"):
        event = described(event_type)
        for properties in property_maps([event.spec["components"], event.schema]):
            properties.pop("segment", None)
        begun.compare_event(event)
    assert {
        "undocumented: VoucherLoyaltyCardTransactionCreated.segment",
        "undocumented: SegmentEvent.segment",
    } <= set(find_drift(documents, begun).problems())


def test_type_of_event_without_a_class(documents: dict[str, Json]) -> None:
    begun = Comparison(events())
    begun.compare_event(replace(described("campaign.created"), type="campaign.archived"))
    assert find_drift(documents, begun).problems() == ["not offered: event campaign.archived"]


def test_class_of_an_undocumented_type_of_event(
    documents: dict[str, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "WEBHOOK_EVENTS", {**WEBHOOK_EVENTS, "campaign.archived": CampaignEvent})
    assert problems(documents) == ["undocumented: event campaign.archived"]


# ---------------------------------------------------------------- the lists of omissions


def test_omission_that_the_package_offers(
    documents: dict[str, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NOT_OFFERED, "customers.list(page)", "")
    assert problems(documents) == [f"{STALE_NOT_OFFERED}: customers.list(page)"]


def test_omission_that_is_no_longer_documented(documents: dict[str, Json]) -> None:
    del documents["customers"]["paths"]["/v1/customers/{customerId}/activities"]
    assert problems(documents) == [f"{STALE_NOT_OFFERED}: GET /v1/customers/{{customerId}}/activities"]


def test_helper_that_is_gone(documents: dict[str, Json], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(AsyncActionsResource, "wait")
    assert problems(documents) == [f"{STALE_UNDOCUMENTED}: async_actions.wait"]


def test_parameter_that_becomes_documented(documents: dict[str, Json]) -> None:
    parameters = documents["customers"]["paths"]["/v1/customers"]["get"]["parameters"]
    parameters.append({"name": "on_invalid", "in": "query", "schema": {"type": "string"}})
    assert problems(documents) == [f"{STALE_UNDOCUMENTED}: customers.list(on_invalid)"]


def test_every_omission_has_a_reason() -> None:
    assert all(reason.endswith(".") for reason in [*NOT_OFFERED.values(), *UNDOCUMENTED.values()])

"""The classes of events read what the published documents describe: their examples, and values made from their schemas."""

import functools
import re
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from voucherify_async.errors import DecodeError
from voucherify_async.models import UnknownEvent
from voucherify_async.models.customer_events import CUSTOMER_EVENTS
from voucherify_async.models.webhook_events import WEBHOOK_EVENTS
from voucherify_async.webhooks import WebhookEvent

from .documents import VARIABLE, directory
from .drift import resolved
from .events import ACTIVITY, NO_SCHEMA, DescribedEvent, activity_types, described_events
from .overlay import Json

DIRECTORY = directory()
EVENTS = () if DIRECTORY is None else described_events(DIRECTORY)

pytestmark = pytest.mark.skipif(DIRECTORY is None, reason=f"{VARIABLE} is not set")

FAULTY_EXAMPLES = {
    "customer.reward_redemptions.completed": "Invalid RFC3339 encoded datetime - at `$.voucher.created_at`",
    "customer.updated": "Expected `object`, got `str` - at `$.customer.referrals.campaigns[0]`",
}
"""The examples that their own schemas refuse too: one has spaces in a time, one a name in place of an object."""


def event(event_type: str, data: Any) -> WebhookEvent:
    return WebhookEvent(type=event_type, raw_data=msgspec.Raw(msgspec.json.encode(data)))


def test_every_listed_type_of_activity_has_a_class() -> None:
    (customers, *_) = (described.spec for described in EVENTS if described.document == ACTIVITY)
    assert set(activity_types(customers)) == CUSTOMER_EVENTS.keys()
    assert {described.type for described in EVENTS} | NO_SCHEMA == WEBHOOK_EVENTS.keys()


def test_number_of_documented_types() -> None:
    """The documents that the tests read are whole."""
    by_document = [described.document == ACTIVITY for described in EVENTS]
    assert (sum(by_document), by_document.count(False)) == (73, 72)


@pytest.mark.parametrize(
    ("described", "name"),
    [pytest.param(event, name, id=f"{event}-{name}") for event in EVENTS for name in event.examples],
)
def test_example(described: DescribedEvent, name: str) -> None:
    data = described.examples[name]
    received = event(described.type, data)
    if problem := FAULTY_EXAMPLES.get(described.type):
        with pytest.raises(DecodeError, match=re.escape(problem)):
            _ = received.payload
        assert received.data == data
        return
    payload = received.payload
    assert type(payload) is WEBHOOK_EVENTS[described.type]
    present = {key for key, value in data.items() if value is not None}
    decoded = {key for key, value in payload.to_dict().items() if value is not None}
    assert decoded == present - UNDESCRIBED_IN_EXAMPLES.get(described.type, set())


UNDESCRIBED_IN_EXAMPLES = {"voucher.loyalty_card.pending_points.canceled": {"redemption"}}
"""Properties of examples that no schema has."""


# ---------------------------------------------------------------- values made from the schemas


def mended(spec: Json, schema: Any) -> Any:
    """A schema without its contradictions.

    - The parts of an `allOf` are one object: what one part requires, another does not refuse.
    - Variants need not exclude each other.
    - What has properties is an object, has its id, requires what it describes, and has no other properties.
    """
    if isinstance(schema, list):
        return [mended(spec, part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found: Json = {
        "anyOf" if key == "oneOf" else key: mended(spec, part)
        for key, part in schema.items()
        if key not in {"additionalProperties", "allOf", "default", "example", "examples"}
        or isinstance(part, dict)
    }
    if "allOf" in schema:
        parts = [mended(spec, resolved(spec, part)) for part in schema["allOf"]]
        return functools.reduce(functools.partial(both, spec), parts, found)
    properties = found.get("properties")
    if isinstance(properties, dict) and isinstance(properties.get("type", {}), dict):
        properties.get("id", {}).pop("nullable", None)
        for name, declared in DECLARED_OTHERWISE.items():
            if name in properties:
                properties[name] |= declared
        if "$ref" in properties.get("buckets", {}):  # the example is an array, and so are other schemas
            properties["buckets"] = {"type": "array", "items": properties["buckets"]}
        found["type"] = "object"
        found["required"] = sorted(properties.keys() & {*found.get("required", ()), "id"})
        found.setdefault("additionalProperties", False)
    return found


def both(spec: Json, one: Json, other: Json) -> Json:
    """The schema of what two mended schemas describe: of an object, the properties of both."""
    one, other = resolved(spec, one), resolved(spec, other)
    if "anyOf" in one:
        return {"anyOf": [both(spec, variant, other) for variant in one["anyOf"]]}
    if "anyOf" in other:
        return {"anyOf": [both(spec, one, variant) for variant in other["anyOf"]]}
    if "properties" not in one and "properties" not in other:
        return one | other
    return {
        "type": "object",
        "properties": one.get("properties", {}) | other.get("properties", {}),
        "required": sorted({*one.get("required", ()), *other.get("required", ())}),
        "additionalProperties": False,
    }


DECLARED_OTHERWISE: dict[str, Json] = {
    "days_of_week": {"items": {"type": "integer"}},  # of no type in some schemas
    "next_expiration_date": {"format": "date"},  # any text in some schemas
}
"""What the schemas declare wrongly, as other schemas and the examples have it."""


@functools.cache
def requests(document: str) -> Any:
    """The events of a document as the bodies of requests, from which a library makes values."""
    described = [event for event in EVENTS if event.document == document]
    paths = {
        f"/{event.type}": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": mended(event.spec, event.schema)}},
                },
                "responses": {"200": {"description": ""}},
            }
        }
        for event in described
    }
    spec = described[0].spec
    schemas = {name: mended(spec, schema) for name, schema in spec["components"]["schemas"].items()}
    return schemathesis.openapi.from_dict(
        {
            "openapi": "3.0.1",
            "info": {"title": document, "version": "1"},
            "paths": paths,
            "components": {"schemas": schemas},
        }
    )


@pytest.mark.parametrize("described", [pytest.param(event, id=str(event)) for event in EVENTS])
def test_value_made_from_the_schema(described: DescribedEvent) -> None:
    @settings(
        max_examples=4, database=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow]
    )
    @given(requests(described.document)[f"/{described.type}"]["POST"].as_strategy())
    def check(case: Any) -> None:
        payload = event(described.type, case.body).payload
        assert not isinstance(payload, UnknownEvent)
        assert payload == event(described.type, payload.to_dict()).payload

    check()

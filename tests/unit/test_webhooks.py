from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clocks import FakeClock
from voucherify_async.errors import DecodeError, WebhookSignatureError
from voucherify_async.models import EventDetails, EventSource, EventUser
from voucherify_async.webhooks import (
    SeenEvents,
    WebhookEvent,
    construct_event,
    parse_event,
    verify_signature,
)

SECRET = "secretKey"
VECTORS = [
    ('{"a":1}', "a17d2ac229d1ebbb5f10e839c7985c4818e5986eab297f7e5979196d4d7d3ed2"),
    ("  message  ", "53ff92957e1427ce23ad5bda9d0c5f2f4ff384d0806b83eeacb510c842d3a358"),
    ('{"a\\"b":1}', "f7cf97814a03146abedb9793f56e1dec34f618f82d10395310d053f749483ffb"),
]
ENVELOPE: dict[str, Any] = {
    "id": "whs_1",
    "project_id": "proj_1",
    "created_at": "2026-01-02T03:04:05.678Z",
    "type": "My distribution",
    "data": {"customer": {"id": "cust_1", "source_id": "crm-1"}},
    "source": {"id": "wh_1", "object": "distribution", "target_url": "https://example.com/hook"},
    "event": {
        "id": "ev_1",
        "type": "customer.created",
        "created_at": "2026-01-02T03:04:05Z",
        "entity_id": "cust_1",
        "group_id": "v-1",
        "event_source": {"channel": "API", "user": None, "api_key": {"name": "Server", "app_id": "id"}},
    },
}


def sign(body: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


class TestSignatures:
    @pytest.mark.parametrize(("body", "signature"), VECTORS)
    def test_published_vectors(self, body: str, signature: str) -> None:
        assert verify_signature(body, signature, SECRET)
        assert verify_signature(body.encode(), signature.encode(), SECRET)
        assert verify_signature(body, f" {signature.upper()}\n", [SECRET])
        assert not verify_signature(body + "x", signature, SECRET)
        assert not verify_signature(body, signature, "another")

    @pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
    def test_white_space_outside_of_strings_does_not_matter(self, indent: Any) -> None:
        value: dict[str, Any] = {"a b": [' "\\ ', "\u2028 é", {"c": None}], "d\\": 1.50}
        signature = sign(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
        assert verify_signature(json.dumps(value, indent=indent, ensure_ascii=False), signature, SECRET)
        value["a b"].append("  ")
        assert not verify_signature(json.dumps(value, indent=indent, ensure_ascii=False), signature, SECRET)

    def test_any_of_several_secrets(self) -> None:
        body, signature = VECTORS[0]
        assert verify_signature(body, signature, ["new", SECRET])
        assert verify_signature(body, signature, (SECRET, "old"))
        assert not verify_signature(body, signature, ["new", "old"])

    @pytest.mark.parametrize("signature", [None, "", b"", "é", b"\xff", "abc", "\ud800", "a" * 10_000])
    def test_garbage_in_the_header(self, signature: Any) -> None:
        assert not verify_signature('{"a":1}', signature, SECRET)

    @pytest.mark.parametrize("secret", [None, 5, b"ab", "", [], [""], ["a", ""], [None], [b"a"]])
    def test_a_secret_that_is_none(self, secret: Any) -> None:
        with pytest.raises(ValueError, match="secret must be a non-empty string, or a sequence"):
            verify_signature("{}", "x", secret)

    @pytest.mark.parametrize("body", [None, 5, {"a": 1}, ["a"]])
    def test_a_body_that_is_decoded_already(self, body: Any) -> None:
        with pytest.raises(ValueError, match="body must be the body of the request as text or bytes"):
            verify_signature(body, "x", SECRET)
        with pytest.raises(ValueError, match="body must be"):
            parse_event(body)

    @pytest.mark.parametrize(
        "body", [b'"' + b'\\"' * 500_000, b'"\\' * 500_000, b'{"' * 500_000, b" " * 1_000_000]
    )
    def test_a_body_made_to_take_long(self, body: bytes) -> None:
        assert not verify_signature(body, "x", SECRET)


class TestEvents:
    def test_an_envelope(self) -> None:
        event = parse_event(json.dumps(ENVELOPE))
        assert (event.id, event.project_id, event.type) == ("whs_1", "proj_1", "My distribution")
        assert event.created_at == dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, dt.UTC)
        assert event.source is not None
        assert event.source.object == "distribution"
        assert event.event is not None
        assert event.event.entity_id == "cust_1"
        assert event.event.event_source is not None
        assert event.event.event_source.channel == "API"
        assert event.data == ENVELOPE["data"]
        assert (event.event_type, event.event_id) == ("customer.created", "ev_1")
        assert repr(event) == "WebhookEvent(id='whs_1', event_type='customer.created')"
        assert pickle.loads(pickle.dumps(event)) == event
        assert event.to_dict()["data"] == event.data

    @pytest.mark.parametrize(
        ("envelope", "kind", "event_id"),
        [
            ({"data": {}, "type": "customer.created"}, "customer.created", None),
            ({"data": {}, "type": "a", "id": "whs_1", "event": {}}, "a", "whs_1"),
            ({"data": {}, "type": "a", "id": "whs_1", "event": None}, "a", "whs_1"),
            ({"data": 5, "event": {"type": "b", "new": 1}, "new": 2}, "b", None),
        ],
    )
    def test_parts_may_be_missing(self, envelope: Any, kind: str, event_id: str | None) -> None:
        event = parse_event(json.dumps(envelope))
        assert (event.event_type, event.event_id, event.data) == (kind, event_id, envelope["data"])

    @pytest.mark.parametrize(
        "payload",
        [
            {"customer": {"id": "cust_1"}},
            {"data": {"a": 1}},
            {"type": "order"},
            {"data": 1, "type": 5},
            {"data": 1, "event": "party"},
            [],
            ["data", "type"],
            "text",
            5,
            None,
        ],
    )
    def test_any_other_payload_is_its_data(self, payload: Any) -> None:
        event = parse_event(json.dumps(payload))
        assert event.data == payload
        assert (event.id, event.event_type, event.event_id) == (None, None, None)

    @pytest.mark.parametrize("text", ["  message  ", "", "{", "é", '{"data": '])
    def test_text_is_its_data(self, text: str) -> None:
        assert parse_event(text).data == parse_event(text.encode()).data == text

    def test_what_is_no_text(self) -> None:
        assert parse_event(b"a\xff").data == "a\ufffd"

    def test_data_nested_too_deeply_fails_when_it_is_asked_for(self) -> None:
        nested = "[" * 10_000 + "]" * 10_000
        assert parse_event(nested).data == nested
        event = WebhookEvent(raw_data=parse_event('{"data": 1e400, "type": "a"}').raw_data)
        with pytest.raises(DecodeError):
            _ = event.data

    @given(st.binary(max_size=50) | st.text(max_size=50))
    def test_nothing_makes_it_fail(self, body: bytes | str) -> None:
        assert isinstance(parse_event(body), WebhookEvent)
        assert not verify_signature(body, "x", SECRET)

    def test_it_is_constructed_from_what_is_signed(self) -> None:
        body = json.dumps(ENVELOPE, separators=(",", ":"))
        assert construct_event(body, sign(body), SECRET) == parse_event(body)
        with pytest.raises(WebhookSignatureError, match="the signature of the webhook is wrong"):
            construct_event(body, sign(body, "x"), SECRET)
        with pytest.raises(WebhookSignatureError, match="the webhook has no signature"):
            construct_event(body, None, SECRET)


class TestSeenEvents:
    def test_an_event_that_arrives_again(self) -> None:
        seen = SeenEvents()
        event = parse_event(json.dumps(ENVELOPE))
        again = parse_event(json.dumps({**ENVELOPE, "id": "whs_2"}))
        assert seen.add(event)
        assert not seen.add(again)
        assert not seen.add("ev_1")
        assert len(seen) == 1
        seen.discard(again)
        assert seen.add(event)
        seen.discard("unknown")

    def test_an_event_without_an_id_is_new(self) -> None:
        seen = SeenEvents()
        assert seen.add(WebhookEvent())
        assert seen.add(WebhookEvent(event=EventDetails(type="a")))
        seen.discard(WebhookEvent())
        assert len(seen) == 0

    def test_events_are_forgotten_in_time(self) -> None:
        clock = FakeClock()
        seen = SeenEvents(ttl=10, clock=clock)
        assert seen.add("a")
        clock.now += 5
        assert seen.add("b")
        clock.now += 5
        assert seen.add("a")
        assert not seen.add("b")

    def test_no_more_are_remembered_than_may_be(self) -> None:
        seen = SeenEvents(max_size=100)
        assert all(seen.add(str(number)) for number in range(1_000))
        assert len(seen) == 100
        assert not seen.add("999")
        assert seen.add("0")

    @pytest.mark.parametrize(
        ("settings", "name"),
        [({"ttl": 0}, "ttl"), ({"ttl": float("nan")}, "ttl"), ({"max_size": 0}, "max_size")],
    )
    def test_bad_settings(self, settings: Any, name: str) -> None:
        with pytest.raises(ValueError, match=name):
            SeenEvents(**settings)


OPENAPI = os.environ.get("VOUCHERIFY_OPENAPI_DIR")


@pytest.mark.skipif(OPENAPI is None, reason="VOUCHERIFY_OPENAPI_DIR is not set")
def test_published_examples() -> None:
    examples = [
        example["value"]
        for path in sorted((Path(OPENAPI or "") / "events").glob("*.json"))
        for webhook in json.loads(path.read_text())["webhooks"].values()
        for content in webhook["post"]["requestBody"]["content"].values()
        for example in content["examples"].values()
    ]
    assert len(examples) >= 72
    for data in examples:
        assert parse_event(json.dumps({**ENVELOPE, "data": data})).data == data
        assert parse_event(json.dumps(data)).data == data


# ---------------------------------------------------------------- what the service may send


def test_half_of_a_surrogate_pair_does_not_hide_an_event() -> None:
    body = (
        rb'{"type":"customer.created","data":{"customer":{"id":"c","name":"\ud83d"}},"event":{"id":"ev_1"}}'
    )
    event = parse_event(body)
    assert (event.event_type, event.event_id) == ("customer.created", "ev_1")
    assert event.data == {"customer": {"id": "c", "name": "\ufffd"}}


def test_bytes_that_are_not_utf8_do_not_hide_an_event() -> None:
    event = parse_event(b'{"type":"customer.created","data":{"customer":{"id":"c","name":"\xff"}}}')
    assert (event.event_type, event.data) == ("customer.created", {"customer": {"id": "c", "name": "\ufffd"}})


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("source", {"id": 5, "object": "webhook"}),
        ("source", "x"),
        ("project_id", 1),
        ("created_at", "2026-01-01"),
        ("created_at", None),
        ("event", {**ENVELOPE["event"], "group_id": 7}),
        ("event", {**ENVELOPE["event"], "event_source": "API"}),
        ("event", {**ENVELOPE["event"], "event_source": {"channel": 5, "user": {"id": "u"}}}),
        ("event", {**ENVELOPE["event"], "created_at": "yesterday"}),
    ],
)
def test_a_property_of_another_type_does_not_hide_an_event(part: str, value: Any) -> None:
    event = parse_event(json.dumps(ENVELOPE | {part: value}))
    usual = parse_event(json.dumps(ENVELOPE))
    assert (event.event_type, event.event_id, event.data) == (usual.event_type, usual.event_id, usual.data)
    assert event.id == usual.id
    if part == "source":
        assert event.source is not None
        assert event.source.object == ("webhook" if isinstance(value, dict) else None)


def test_a_property_of_another_type_does_not_hide_those_beside_it() -> None:
    source = {"channel": 5, "user": {"id": "user_1"}}
    event = parse_event(json.dumps(ENVELOPE | {"event": {**ENVELOPE["event"], "event_source": source}}))
    assert event.event is not None
    assert event.event.entity_id == ENVELOPE["event"]["entity_id"]
    assert event.event.event_source == EventSource(user=EventUser(id="user_1"))

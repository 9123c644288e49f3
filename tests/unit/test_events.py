from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import threading
from typing import Any

import msgspec
import pytest

from voucherify_async import CustomerActivity
from voucherify_async.errors import DecodeError
from voucherify_async.models import (
    CustomerEmailSent,
    CustomerEvent,
    CustomerOrderPaid,
    CustomerSegmentEntered,
    Event,
    EventApiKey,
    EventSource,
    MessageSent,
    Order,
    Segment,
    SegmentEvent,
    UnknownEvent,
    VoucherCreated,
    _json,
)
from voucherify_async.models.customer_events import CUSTOMER_EVENTS
from voucherify_async.models.webhook_events import WEBHOOK_EVENTS
from voucherify_async.webhooks import WebhookEvent, parse_event

ENTERED: dict[str, Any] = {
    "customer": {"id": "cust_1", "source_id": "crm-1", "summary": {"orders": {"total_count": 3}}},
    "segment": {"id": "seg_1", "name": "VIP", "object": "segment"},
    "new_property": [1],
}


def activity(event_type: str | None, data: Any) -> CustomerActivity:
    content = {
        "id": "evcus_1",
        "type": event_type,
        "data": {"data": data, "event_source": {"channel": "API"}},
    }
    return msgspec.json.decode(msgspec.json.encode(content), type=CustomerActivity)


@pytest.mark.parametrize(("event_type", "event_class"), WEBHOOK_EVENTS.items())
def test_the_name_of_a_class_is_the_type_of_its_event(event_type: str, event_class: type[Event]) -> None:
    assert event_class.__name__ == "".join(word.capitalize() for word in re.split(r"[._]", event_type))
    assert event_class.__module__.endswith(
        "customer_events" if event_type in CUSTOMER_EVENTS else "webhook_events"
    )
    assert issubclass(event_class, CustomerEvent if event_type in CUSTOMER_EVENTS else Event)
    assert set(event_class().to_dict().values()) <= {None}


def test_classes_are_not_shared() -> None:
    assert len(set(WEBHOOK_EVENTS.values())) == len(WEBHOOK_EVENTS)
    assert len(CUSTOMER_EVENTS) == 74


def test_event_of_a_known_type() -> None:
    one = activity("customer.segment.entered", ENTERED)
    event = one.event
    assert isinstance(event, CustomerSegmentEntered)
    assert isinstance(event, SegmentEvent)
    assert event.segment == Segment(id="seg_1", name="VIP", object="segment")
    assert event.customer is not None
    assert event.customer.summary is not None
    assert event.customer.summary.orders is not None
    assert event.customer.summary.orders.total_count == 3
    assert event.voucher is None
    assert one.event is event
    assert one.data == {"data": ENTERED, "event_source": {"channel": "API"}}


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        pytest.param(
            b'{"segment": {"id": "s"}}', CustomerSegmentEntered(segment=Segment(id="s")), id="not nested"
        ),
        pytest.param(b"null", CustomerSegmentEntered(), id="null"),
        pytest.param(b'{"event_source": null, "data": null}', CustomerSegmentEntered(), id="nulls in it"),
    ],
)
def test_data_that_is_not_as_documented(raw: bytes, event: Event) -> None:
    one = CustomerActivity(id="e", type="customer.segment.entered", raw_data=msgspec.Raw(raw))
    assert one.event == event
    assert one.event_source is None


def test_source_of_an_event() -> None:
    raw = b'{"event_source": {"channel": "API", "api_key": {"name": "shop", "app_id": "a"}, "user": null}}'
    one = CustomerActivity(id="e", type="customer.segment.entered", raw_data=msgspec.Raw(raw))
    assert one.event_source == EventSource(channel="API", api_key=EventApiKey(name="shop", app_id="a"))
    assert one.event == CustomerSegmentEntered()
    with pytest.raises(DecodeError, match="Expected `object | null`, got `int`"):
        _ = CustomerActivity(id="e", raw_data=msgspec.Raw(b'{"event_source": 1}')).event_source


@pytest.mark.parametrize("raw", [b"[1]", b'"text"', b"5"])
def test_data_that_is_no_object(raw: bytes) -> None:
    one = CustomerActivity(id="e", type="customer.segment.entered", raw_data=msgspec.Raw(raw))
    with pytest.raises(DecodeError, match="of type customer.segment.entered cannot be decoded: Expected"):
        _ = one.event
    assert one.event_source is None
    assert CustomerActivity(id="e", raw_data=msgspec.Raw(raw)).event == UnknownEvent(data=one.data)


@pytest.mark.parametrize("event_type", ["customer.segment.reentered", "", None, "voucher.created"])
def test_event_of_an_unknown_type(event_type: str | None) -> None:
    assert activity(event_type, ENTERED).event == UnknownEvent(type=event_type, data=ENTERED)


@pytest.mark.parametrize("data", [None, {}])
def test_event_without_data(data: Any) -> None:
    assert activity("customer.created", data).event.to_dict() == {"customer": None}
    assert activity("customer.flew", data).event == UnknownEvent(type="customer.flew", data=data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param([1], "Expected `object | null`, got `array`", id="array"),
        pytest.param({"segment": "seg_1"}, "Expected `object | null`, got `str` - at `$.segment`", id="id in place of an object"),
        pytest.param({"segment": {}}, "Object missing required field `id` - at `$.segment`", id="no id"),
        pytest.param({"customer": {"id": 1}}, "Expected `str`, got `int` - at `$.customer.id`", id="wrong type"),
    ],
)  # fmt: skip
def test_surprising_data_is_an_error_when_the_event_is_read(data: Any, problem: str) -> None:
    one = activity("customer.segment.left", data)
    with pytest.raises(DecodeError) as caught:
        _ = one.event
    assert one.event_source == EventSource(channel="API")
    assert str(caught.value) == (
        f"the event evcus_1 of type customer.segment.left cannot be decoded: {problem}"
    )
    assert one.data is not None
    assert one.data["data"] == data


def test_odd_texts_in_an_event() -> None:
    raw = rb'{"customer": {"id": "cust_1", "name": "\ud800", "birthdate": "2000-01-02T00:00:00Z"}}'
    one = CustomerActivity(id="e", type="customer.created", raw_data=msgspec.Raw(raw))
    assert one.event.to_dict()["customer"]["name"] == "\ufffd"
    assert one.event.to_dict()["customer"]["birthdate"] == "2000-01-02"


def test_an_activity_is_copied_and_pickled_with_or_without_its_event() -> None:
    one = activity("customer.segment.entered", ENTERED)
    for clone in (copy.copy(one), pickle.loads(pickle.dumps(one))):
        assert clone.event == one.event
    for clone in (copy.copy(one), pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert (clone, clone.event) == (one, one.event)


def test_events_of_one_family_are_told_apart() -> None:
    found: list[str] = []
    for one in (
        activity("customer.email.sent", {"sent_at": "2026-01-02T03:04:05Z"}),
        activity("customer.sms.sent", {}),
        activity("customer.order.paid", {"order": {"id": "ord_1", "amount": 1.5}}),
        activity("customer.yawned", {"a": 1}),
    ):
        match one.event:
            case CustomerEmailSent(sent_at=sent_at) if sent_at is not None:
                found.append(f"e-mail at {sent_at:%H:%M}")
            case MessageSent():
                found.append("message")
            case CustomerOrderPaid(order=Order(amount=amount)):
                found.append(f"paid {amount}")
            case UnknownEvent(type=event_type, data=data):
                found.append(f"{event_type}: {data}")
            case _:
                found.append("other")
    assert found == ["e-mail at 03:04", "message", "paid 1.5", "customer.yawned: {'a': 1}"]


# ---------------------------------------------------------------- webhooks


def test_payload_of_a_webhook() -> None:
    body = {
        "type": "My distribution",
        "data": ENTERED,
        "event": {"id": "ev_1", "type": "customer.segment.entered"},
    }
    webhook = parse_event(msgspec.json.encode(body))
    assert webhook.payload == activity("customer.segment.entered", ENTERED).event
    assert webhook.payload is webhook.payload
    assert webhook.data == ENTERED


def test_payload_of_a_webhook_about_no_customer() -> None:
    webhook = parse_event(b'{"type": "voucher.created", "data": {"voucher": {"id": "v_1", "code": "A"}}}')
    match webhook.payload:
        case VoucherCreated(voucher=voucher) if voucher is not None:
            assert voucher.code == "A"
        case _:
            raise AssertionError


@pytest.mark.parametrize("body", [b'{"anything": 1}', b"[1]", b"text"])
def test_payload_without_an_envelope(body: bytes) -> None:
    webhook = parse_event(body)
    assert webhook.payload == UnknownEvent(type=None, data=webhook.data)


def test_surprising_payload() -> None:
    webhook = WebhookEvent(type="campaign.created", id="whs_1", raw_data=msgspec.Raw(b'{"campaign": 1}'))
    with pytest.raises(
        DecodeError, match=r"the event whs_1 of type campaign.created cannot be decoded: Expected"
    ):
        _ = webhook.payload
    assert webhook.data == {"campaign": 1}


# ---------------------------------------------------------------- first use


def test_events_are_imported_when_the_first_one_is_read() -> None:
    program = """
import sys
import voucherify_async.webhooks
from voucherify_async import CustomerActivity, VoucherifyClient
VoucherifyClient("id", "token").customers
activity = CustomerActivity(id="e", type="customer.created")
activity.data
names = {"campaigns", "customer_events", "orders", "redemptions", "webhook_events"}
loaded = lambda: sorted(name for name in names if f"voucherify_async.models.{name}" in sys.modules)
print(loaded())
activity.event
print(loaded())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "[]",
        "['campaigns', 'customer_events', 'orders', 'redemptions']",
    ]


# ---------------------------------------------------------------- threads


def test_threads_that_read_their_first_events_at_once() -> None:
    """Without a lock, this crashes Python 3.12 and later: msgspec reads the fields of a class when it is first used."""
    program = """
import threading
from voucherify_async.webhooks import parse_event
events = [parse_event('{"type": "customer.order.paid", "data": {"order": {"id": "o"}}}') for _ in range(12)]
barrier = threading.Barrier(len(events))
found = []
def read(event):
    barrier.wait()
    found.append(type(event.payload).__name__)
threads = [threading.Thread(target=read, args=(event,)) for event in events]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(set(found)), len(found))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['CustomerOrderPaid'] 12\n"


@pytest.mark.parametrize(
    "use", [_json.make_decoder, lambda kind: _json.convert({}, kind)], ids=["decode", "convert"]
)
def test_one_thread_at_a_time_makes_a_decoder(monkeypatch: pytest.MonkeyPatch, use: Any) -> None:
    entered: list[Any] = []
    second = threading.Event()

    def decoder(kind: Any) -> None:
        entered.append(kind)
        if len(entered) == 1:
            other.start()
            second.wait(0.05)  # the lock is held, so it does not enter
            assert len(entered) == 1
        second.set()

    monkeypatch.setattr(msgspec.json, "Decoder", decoder)
    kinds = [msgspec.defstruct("One", []), msgspec.defstruct("Other", [])]
    other = threading.Thread(target=use, args=(kinds[1],))
    use(kinds[0])
    other.join()
    assert entered == kinds

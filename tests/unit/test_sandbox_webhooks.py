"""The bodies of the sandbox's webhooks, and the order in which its queue sends and repeats them."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from voucherify_async.sandbox._endpoints._event_data import event_json
from voucherify_async.sandbox._endpoints._webhook_data import WEBHOOK_TYPES, sign, webhook_body
from voucherify_async.sandbox._http import webhook_queue
from voucherify_async.sandbox._http.webhook_queue import QueuedWebhook, WebhookQueue
from voucherify_async.sandbox._store.jobs import BulkUpdate
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.records import Event
from voucherify_async.sandbox._store.store import Store
from voucherify_async.webhooks import construct_event

OPENAPI = os.environ.get("VOUCHERIFY_OPENAPI_DIR")
URL = "http://127.0.0.1:1/hook"


def body(event: Event) -> bytes:
    return webhook_body(event, target_url=URL, app_id="id")


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def store(events: list[Event]) -> Store:
    made = Store(clock=lambda: 1_767_225_600.25)
    made.on_event = events.append
    return made


class TestEvents:
    def test_what_happens_to_a_customer(self, store: Store, events: list[Event]) -> None:
        ada = store.upsert({"source_id": "a", "name": "Ada"})
        store.upsert({"source_id": "a", "name": "Ada L."})
        assert events == ada.activity  # the very same events
        store.remove(ada)
        assert [event.kind for event in events] == [
            "customer.created",
            "customer.updated",
            "customer.deleted",
        ]
        assert events[-1].customer.to_json() == ada.to_json()
        assert len({event.id for event in events}) == 3

    def test_a_store_to_which_nobody_listens(self, store: Store, events: list[Event]) -> None:
        store.on_event = None
        store.remove(store.upsert({"source_id": "a"}))
        assert events == []

    def test_when_the_next_job_ends(self, store: Store) -> None:
        assert store.next_job_end is None
        store.schedule("CUSTOMERS.BULK_UPDATE", "v-1", BulkUpdate.of([{"source_id": "a"}]))
        assert store.next_job_end == pytest.approx(store.clock() + 0.05, abs=0.001)
        store.clock = lambda: 1_767_225_601.0
        store.advance()
        assert store.next_job_end is None


class TestBodies:
    def test_the_envelope(self, store: Store, events: list[Event]) -> None:
        ada = store.upsert({"source_id": "a", "name": "Ad\u00e4"})
        shown = event_json(events[0])
        content = json.loads(body(events[0]))
        assert content == {
            "id": content["id"],
            "project_id": "proj_sandbox",
            "created_at": "2026-01-01T00:00:00.250Z",
            "type": "customer.created",
            "data": {"customer": ada.to_json()},
            "source": {"id": content["source"]["id"], "object": "webhook", "target_url": URL},
            "event": {
                "id": shown["id"],
                "type": shown["type"],
                "created_at": shown["created_at"],
                "entity_id": ada.id,
                "group_id": shown["group_id"],
                "event_source": {
                    "channel": "API",
                    "user": None,
                    "api_key": {"name": "Sandbox", "app_id": "id"},
                },
            },
        }
        assert content["id"].startswith("whs_")
        assert content["source"]["id"].startswith("wh_")

    def test_the_body_is_compact_and_signed(self, store: Store, events: list[Event]) -> None:
        store.upsert({"source_id": "a", "name": "Ad\u00e4 L", "metadata": {"a b": "c  d"}})
        content = body(events[0])
        assert content == json.dumps(json.loads(content), ensure_ascii=False, separators=(",", ":")).encode()
        event = construct_event(content, sign(content, "secret"), "secret")
        assert (event.event_id, event.event_type) == (events[0].id, "customer.created")
        assert event.data["customer"]["metadata"] == {"a b": "c  d"}

    @pytest.mark.parametrize(
        ("content", "signature"),
        [(b'{"a":1}', "a17d2ac229d1ebbb5f10e839c7985c4818e5986eab297f7e5979196d4d7d3ed2")],
    )
    def test_a_published_signature(self, content: bytes, signature: str) -> None:
        assert sign(content, "secretKey") == signature

    @pytest.mark.skipif(OPENAPI is None, reason="VOUCHERIFY_OPENAPI_DIR is not set")
    def test_the_types_and_the_data_are_as_the_documents_say(self, store: Store, events: list[Event]) -> None:
        from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no annotations

        document = json.loads((Path(OPENAPI or "") / "events" / "events-customer.json").read_bytes())
        schemas: dict[str, Any] = {
            name.removeprefix("EVENTS.").lower(): hook["post"]["requestBody"]["content"]["application/json"][
                "schema"
            ]
            for name, hook in document["webhooks"].items()
        }
        assert schemas.keys() == WEBHOOK_TYPES
        ada = store.upsert({"source_id": "a", "name": "Ada", "address": {"city": "London"}, "metadata": {}})
        store.upsert({"source_id": "a", "email": "a@example.com"})
        store.remove(ada)
        for event in events:
            data = without_nulls(json.loads(body(event))["data"])  # of which the documents know nothing
            schema = {**schemas[event.kind], "components": document["components"]}
            assert list(Draft202012Validator(schema).iter_errors(data)) == []
            assert data.keys() == {"customer"}


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


class TestQueue:
    @pytest.fixture
    def queue(self) -> WebhookQueue:
        return WebhookQueue(1.0)

    @pytest.fixture
    def three(self, store: Store, events: list[Event]) -> list[Event]:
        for name in "abc":
            store.upsert({"source_id": name})
        return events

    @staticmethod
    def take(queue: WebhookQueue, now: float) -> QueuedWebhook:
        webhook = queue.take(now)
        assert webhook is not None
        return webhook

    def test_events_are_sent_in_order(self, queue: WebhookQueue, three: list[Event]) -> None:
        for event in three:
            assert queue.add(event, 5.0)
        assert len(queue) == 3
        assert (queue.next_due, queue.take(4.9)) == (5.0, None)
        for event in three:
            webhook = self.take(queue, 5.0)
            assert webhook.event is event
            queue.finish(webhook, 5.0, status=204, error=None)
        assert (len(queue), queue.next_due, queue.take(9.0)) == (0, None, None)
        assert [delivery.event_id for delivery in queue.deliveries] == [event.id for event in three]
        assert all(delivery.delivered for delivery in queue.deliveries)

    def test_a_failed_webhook_is_repeated_with_exponential_backoff(
        self, queue: WebhookQueue, three: list[Event]
    ) -> None:
        queue.add(three[0], 0.0)
        now, times = 0.0, [0.0]
        while True:
            queue.finish(self.take(queue, now), now, status=500, error="no")
            if queue.next_due is None:
                break
            assert queue.take(queue.next_due - 0.001) is None
            now = queue.next_due
            times.append(now)
        waits = [after - before for before, after in pairwise(times)]
        assert waits == [2.0**number for number in range(11)]
        (delivery,) = queue.deliveries
        assert (delivery.state, delivery.attempts, delivery.status, delivery.error) == (
            "failed", 12, 500, "no",
        )  # fmt: skip
        assert not delivery.delivered
        assert len(queue) == 0

    def test_a_failed_webhook_lets_others_pass(self, queue: WebhookQueue, three: list[Event]) -> None:
        for event in three:
            queue.add(event, 0.0)
        queue.finish(self.take(queue, 0.0), 10.0, status=0, error="no response")  # is due at 11
        queue.finish(self.take(queue, 10.0), 20.0, status=0, error="no response")  # is due at 21
        queue.add(three[0], 15.0)
        order: list[tuple[float, Event]] = []
        while (webhook := queue.take(30.0)) is not None:
            order.append((webhook.due, webhook.event))
            queue.finish(webhook, 30.0, status=200, error=None)
        assert order == [(0.0, three[2]), (11.0, three[0]), (15.0, three[0]), (21.0, three[1])]
        assert [delivery.attempts for delivery in queue.deliveries] == [2, 2, 1, 1]

    def test_a_full_queue_drops_events(
        self, queue: WebhookQueue, three: list[Event], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhook_queue, "MAX_PENDING", 2)
        queue.add(three[0], 0.0)
        taken = self.take(queue, 0.0)  # counts while it is being sent
        assert [queue.add(event, 0.0) for event in three[1:]] == [True, False]
        assert queue.dropped == 1
        queue.finish(taken, 0.0, status=200, error=None)
        assert queue.add(three[2], 0.0)
        assert [delivery.event_id for delivery in queue.deliveries] == [event.id for event in three]

    def test_clearing(self, queue: WebhookQueue, three: list[Event]) -> None:
        for event in three:
            queue.add(event, 0.0)
        queue.finish(self.take(queue, 0.0), 0.0, status=200, error=None)
        self.take(queue, 0.0)
        assert queue.clear("closed") == 2
        assert [(delivery.state, delivery.error) for delivery in queue.deliveries] == [
            ("delivered", None),
            ("failed", "closed"),
            ("failed", "closed"),
        ]
        assert (len(queue), queue.next_due) == (0, None)


@pytest.mark.parametrize("chance", [-0.1, 1.1, float("nan")])
def test_a_bad_probability_of_duplicates(chance: float) -> None:
    with pytest.raises(ValueError, match="duplicate_webhooks must be a probability from 0 to 1"):
        Quirks(duplicate_webhooks=chance)

"""The sandbox sends webhooks, and `examples/webhook_receiver.py` receives them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.clocks import FakeClock
from tests.support.internals import use_webhook_clock
from tests.support.loops import until
from tests.support.programs import load_example
from tests.support.wire import RawServer, Reply, in_order, raw_server, reset, respond, stall
from voucherify_async import Customer, VoucherifyClient
from voucherify_async._transport.clock import Clock
from voucherify_async.sandbox import Quirks, Sandbox
from voucherify_async.sandbox import __main__ as command
from voucherify_async.sandbox._endpoints._webhook_data import sign
from voucherify_async.sandbox._http import webhook_queue
from voucherify_async.sandbox._store.records import Event
from voucherify_async.webhooks import WebhookEvent, construct_event

SECRET = "webhook-secret"
URL = "http://127.0.0.1:1/webhooks"
OK = respond(204, b"")
LOGGER = "voucherify_async.sandbox"


def sandbox_for(url: str, **settings: Any) -> Sandbox:
    """A sandbox that sends webhooks, and waits on a clock that skips all waits."""
    made = Sandbox(webhooks=url, webhook_secret=SECRET, **settings)
    use_webhook_clock(made, FakeClock())
    return made


def read(request: bytes, secret: str = SECRET) -> WebhookEvent:
    """The event in the raw bytes of a request, with a correct signature."""
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
    assert headers[b"content-type"] == b"application/json"
    return construct_event(body, headers[b"x-voucherify-signature"], secret)


def types(server: RawServer) -> list[str | None]:
    return [read(request).event_type for request in server.requests]


class Receiver:
    """The example on a real socket.

    Attributes:
        url: Where it listens.
        copy: What it knows about the customers.
        handled: The type of each event that it has handled, with the `source_id` of the customer.
        statuses: The statuses of all responses.
        before: Called with each request before the example is, for example to fail.
        lost: How many of the next responses are lost.
    """

    def __init__(self, example: Any) -> None:
        self.url = ""
        self.copy = example.CustomerCopy()
        self.handled: list[tuple[str | None, str | None]] = []
        self.statuses: list[int] = []
        self.before: Callable[[web.Request], Awaitable[object]] | None = None
        self.lost = 0
        for name in ("save", "delete"):
            setattr(self.copy, name, self._recorded(getattr(self.copy, name)))

    def _recorded(self, handle: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def recorded(event: WebhookEvent, customer: Customer) -> None:
            await handle(event, customer)
            self.handled.append((event.event_type, customer.source_id))

        return recorded

    @property
    def names(self) -> dict[str | None, str | None]:
        return {customer.source_id: customer.name for customer in self.copy.customers.values()}


@asynccontextmanager
async def receiving(example: Any, *, port: int = 0) -> AsyncGenerator[Receiver]:
    receiver = Receiver(example)

    @web.middleware
    async def around(request: web.Request, handler: Any) -> web.StreamResponse:
        if receiver.before is not None:
            await receiver.before(request)
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            receiver.statuses.append(error.status)
            raise
        receiver.statuses.append(response.status)
        if receiver.lost:
            receiver.lost -= 1
            assert request.transport is not None
            request.transport.abort()
        return response

    app = example.make_app(SECRET, receiver.copy)
    app.middlewares.append(around)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    return load_example("webhook_receiver", monkeypatch)


# ---------------------------------------------------------------- from a call to a receiver


async def test_the_example_follows_what_a_client_does(
    example: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        receiving(example) as receiver,
        sandbox_for(receiver.url, customers=20) as sandbox,
        sandbox.client() as voucherify,
    ):
        await voucherify.customers.create(source_id="crm-1", name="Ada")
        await voucherify.customers.update("crm-1", name="Ada L.")
        await voucherify.customers.create(source_id="crm-2", name="Bob")
        await sandbox.webhooks_delivered(timeout=30)
        assert receiver.names == {"crm-1": "Ada L.", "crm-2": "Bob"}
        await voucherify.customers.delete("crm-1")
        await voucherify.customers.delete_permanently("crm-2")
        # Nobody asks for the job, which runs all the same.
        await voucherify.customers.update_in_bulk(
            [{"source_id": f"b-{n}", "name": str(n)} for n in range(30)]
        )
        await sandbox.webhooks_delivered(timeout=30)
        bulk = [f"b-{number}" for number in range(30)]
        assert receiver.names == {name: name[2:] for name in bulk}
        assert receiver.handled == [
            ("customer.created", "crm-1"),
            ("customer.updated", "crm-1"),
            ("customer.created", "crm-2"),
            ("customer.deleted", "crm-1"),
            ("customer.deleted", "crm-2"),
            *(("customer.created", name) for name in bulk),
        ]
        assert {delivery.status for delivery in sandbox.webhook_deliveries} == {204}
        assert all(delivery.delivered for delivery in sandbox.webhook_deliveries)
    assert capsys.readouterr().out.startswith("customer.created 'crm-1'\ncustomer.updated 'crm-1'\n")


async def test_a_webhook_is_the_event_of_the_activity() -> None:
    async with (
        raw_server(OK) as server,
        sandbox_for(f"{server.base_url}/a?b=c") as sandbox,
        sandbox.client() as voucherify,
    ):
        ada = await voucherify.customers.create(source_id="a", name="Ad\u00e4", metadata={"x y": [1, None]})
        await voucherify.customers.import_csv(b"Source_id,Name\na,Ada\n")
        await sandbox.webhooks_delivered(timeout=30)
        activity = await voucherify.customers.list_activity("a", order="created_at").to_list()
    events = [read(request) for request in server.requests]
    assert server.requests[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert len(events) == len(activity) == 2
    for event, shown in zip(events, activity, strict=True):
        assert event.event is not None
        assert event.source is not None
        assert (event.event.id, event.event.type, event.event.created_at, event.event.group_id) == (
            shown.id, shown.type, shown.created_at, shown.group_id,
        )  # fmt: skip
        assert event.event.entity_id == ada.id
        assert event.source.target_url == f"{server.base_url}/a?b=c"
        assert event.data == (shown.data or {})["data"]
    assert events[0].data["customer"]["metadata"] == {"x y": [1, None]}
    assert [delivery.event_id for delivery in sandbox.webhook_deliveries] == [shown.id for shown in activity]


async def test_events_arrive_in_order() -> None:
    happened: list[str] = []
    async with (
        raw_server(OK) as server,
        sandbox_for(server.base_url) as sandbox,
        sandbox.client() as voucherify,
    ):
        send = sandbox.store.on_event
        assert send is not None

        def note(event: Event) -> None:
            happened.append(event.id)
            send(event)

        sandbox.store.on_event = note
        for number in range(60):
            await voucherify.customers.create(source_id=f"a{number}")
            if number % 20 == 0:
                rows = [{"source_id": f"b{number}-{row}"} for row in range(20)]
                await voucherify.customers.update_in_bulk(rows)
        await sandbox.webhooks_delivered(timeout=30)
    assert [read(request).event_id for request in server.requests] == happened
    assert [delivery.event_id for delivery in sandbox.webhook_deliveries] == happened
    assert len(happened) == 60 + 3 * 20


async def test_a_job_that_nobody_waits_for_is_sent() -> None:
    async with (
        raw_server(OK) as server,
        sandbox_for(server.base_url) as sandbox,
        sandbox.client() as voucherify,
    ):
        use_webhook_clock(sandbox, Clock())  # jobs end by the time of the machine
        await sandbox.webhooks_delivered(timeout=30)  # so that the sender sleeps
        await voucherify.customers.update_in_bulk([{"source_id": "a"}])
        await until(lambda: server.requests)


async def test_a_large_customer() -> None:
    async with raw_server(OK) as server, sandbox_for(server.base_url) as sandbox:
        sandbox.store.upsert({"source_id": "a", "metadata": {"text": "x" * 3_000_000}})
        await sandbox.webhooks_delivered(timeout=30)
    assert len(read(server.requests[0]).data["customer"]["metadata"]["text"]) == 3_000_000


async def test_what_happened_before_the_start_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "ada.ndjson").write_text('{"source_id": "ada"}\n')
    settings: dict[str, Any] = {
        "customers": 30,
        "load": tmp_path / "ada.ndjson",
        "state": tmp_path / "state",
    }
    async with raw_server(OK) as server:
        for name in ("first", "second"):
            async with sandbox_for(server.base_url, **settings) as sandbox, sandbox.client() as voucherify:
                await sandbox.webhooks_delivered(timeout=30)
                assert len(await voucherify.customers.list().to_list()) >= 31
                await voucherify.customers.update("ada", name=name)
                await sandbox.webhooks_delivered(timeout=30)
        assert types(server) == ["customer.updated"] * 2


async def test_a_job_that_an_earlier_run_started_is_sent(tmp_path: Path) -> None:
    async with raw_server(OK) as server:
        for _ in range(2):
            async with sandbox_for(server.base_url, state=tmp_path / "state", job_seconds=3600.0) as sandbox:
                async with sandbox.client() as voucherify:
                    if not sandbox.store.jobs:
                        await voucherify.customers.update_in_bulk([{"source_id": "a"}])
                        continue
                now = sandbox.store.clock()
                sandbox.store.clock = lambda later=now + 3601: later  # type: ignore[misc]
                await sandbox.webhooks_delivered(timeout=30)
        assert types(server) == ["customer.created"]


async def test_a_program_may_record_events_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    async with raw_server(OK) as server, sandbox_for(server.base_url) as sandbox:
        store = sandbox.store
        record = store.upsert({"source_id": "a"})
        store.record_event(record, "customer.sms.sent", store.now())  # has no webhook
        store.record_event(record, "customer.order.paid", store.now())  # lacks its order
        store.record_event(record, "customer.segment.left", store.now())
        await sandbox.webhooks_delivered(timeout=30)
        assert types(server) == ["customer.created", "customer.segment.left"]
        assert [(delivery.state, delivery.attempts) for delivery in sandbox.webhook_deliveries] == [
            ("delivered", 1), ("failed", 0), ("delivered", 1),
        ]  # fmt: skip
    assert "customer.order.paid" in caplog.text


# ---------------------------------------------------------------- receivers that fail


async def test_a_receiver_that_fails_gets_the_event_later(
    example: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("voucherify_async.sandbox._http.webhooks.RESPONSE_SECONDS", 0.05)
    async with receiving(example) as receiver:
        sandbox = sandbox_for(receiver.url)
        clock = FakeClock()
        use_webhook_clock(sandbox, clock)
        failures = iter([web.HTTPServiceUnavailable(), web.HTTPFound("/webhooks"), None])

        async def fail(request: web.Request) -> None:
            failure = next(failures, ...)
            if failure is None:
                await asyncio.sleep(3600)
            elif failure is not ...:
                raise failure

        receiver.before = fail
        async with sandbox, sandbox.client() as voucherify:
            await voucherify.customers.create(source_id="a", name="Ada")
            await sandbox.webhooks_delivered(timeout=30)
            assert receiver.handled == [("customer.created", "a")]
            (delivery,) = sandbox.webhook_deliveries
            assert (delivery.state, delivery.attempts, delivery.status, delivery.error) == (
                "delivered", 4, 204, None,
            )  # fmt: skip
            assert clock.slept == pytest.approx([1.0, 2.0, 4.0])
    (warning,) = caplog.records
    assert warning.name == LOGGER
    assert "customer.created" in warning.getMessage()
    assert "will be repeated: the receiver responded with 503" in warning.getMessage()


async def test_a_receiver_that_does_not_run_yet(example: Any) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    clock = FakeClock(held=True)
    sandbox = Sandbox(webhooks=f"http://127.0.0.1:{port}/webhooks", webhook_secret=SECRET)
    use_webhook_clock(sandbox, clock)
    async with sandbox, sandbox.client() as voucherify:
        await voucherify.customers.create(source_id="a")
        await until(lambda: clock.asleep)
        (delivery,) = sandbox.webhook_deliveries
        assert (delivery.state, delivery.attempts, delivery.status) == ("pending", 1, 0)
        assert "Connect call failed" in str(delivery.error)
        async with receiving(example, port=port) as receiver:
            await voucherify.customers.create(source_id="b")  # does not wait for the first
            await until(lambda: len(receiver.handled) == 1)
            clock.release()
            await sandbox.webhooks_delivered(timeout=30)
            assert receiver.handled == [("customer.created", "b"), ("customer.created", "a")]
            assert receiver.statuses == [204, 204]


async def test_a_lost_response_makes_a_duplicate_that_the_example_drops(example: Any) -> None:
    async with receiving(example) as receiver, sandbox_for(receiver.url) as sandbox:
        receiver.lost = 1
        sandbox.store.upsert({"source_id": "a"})
        await sandbox.webhooks_delivered(timeout=30)
        (delivery,) = sandbox.webhook_deliveries
        assert (delivery.delivered, delivery.attempts) == (True, 2)
        assert receiver.statuses == [204, 204]
        assert receiver.handled == [("customer.created", "a")]


async def test_a_wrong_secret(example: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, LOGGER)
    async with receiving(example) as receiver:
        sandbox = Sandbox(webhooks=receiver.url, webhook_secret="another")
        clock = FakeClock()
        use_webhook_clock(sandbox, clock)
        async with sandbox, sandbox.client() as voucherify:
            await voucherify.customers.create(source_id="a")
            await sandbox.webhooks_delivered(timeout=30)
            assert receiver.statuses == [401] * 12
            assert receiver.handled == []
            assert clock.slept == pytest.approx([2.0**number for number in range(11)])
            (delivery,) = sandbox.webhook_deliveries
            assert (delivery.state, delivery.attempts, delivery.status) == ("failed", 12, 401)
            assert not delivery.delivered
    assert [record.getMessage().partition(" was ")[2] for record in caplog.records] == [
        "not delivered, and will be repeated: the receiver responded with 401",
        "not delivered; gave up after 12 attempts: the receiver responded with 401",
    ]
    assert "another" not in caplog.text


BROKEN: list[Any] = [
    (None, "the connection was closed without a response, or the response is not HTTP"),
    (b"220 smtp.example.com\r\n\r\n\x1b[2J", "the connection was closed without a response"),
    (reset, ""),
    (stall, "no response within 0.05 seconds"),
    (respond(300), "the receiver responded with 300"),
]


@pytest.mark.parametrize(("reply", "error"), BROKEN, ids=range(len(BROKEN)))
async def test_broken_responses(reply: Reply, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voucherify_async.sandbox._http.webhooks.RESPONSE_SECONDS", 0.05)
    clock = FakeClock(held=True)
    async with raw_server(reply, OK) as server, sandbox_for(server.base_url) as sandbox:
        use_webhook_clock(sandbox, clock)
        sandbox.store.upsert({"source_id": "a"})
        await until(lambda: clock.asleep)
        (delivery,) = sandbox.webhook_deliveries
        assert delivery.state == "pending"
        assert (delivery.error or "").startswith(error)
        assert (delivery.error or "").isprintable()
        clock.release()
        await sandbox.webhooks_delivered(timeout=30)
        assert (delivery.delivered, delivery.attempts, delivery.status) == (True, 2, 204)
        assert server.requests[0] == server.requests[1]  # the same webhook, with the same id


async def test_cookies_are_not_sent_back_and_the_connection_is_reused() -> None:
    async with (
        raw_server(respond(200, headers=("Set-Cookie: a=b",))) as server,
        sandbox_for(
            server.base_url.replace("127.0.0.1", "localhost")
        ) as sandbox,  # aiohttp ignores those of addresses
    ):
        for name in "ab":
            sandbox.store.upsert({"source_id": name})
        await sandbox.webhooks_delivered(timeout=30)
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()
    assert server.connections == 1


async def test_duplicates(example: Any) -> None:
    async with (
        receiving(example) as receiver,
        sandbox_for(receiver.url, seed=3, quirks=Quirks(duplicate_webhooks=0.5)) as sandbox,
    ):
        for number in range(40):
            sandbox.store.upsert({"source_id": str(number)})
        await sandbox.webhooks_delivered(timeout=30)
        attempts = [delivery.attempts for delivery in sandbox.webhook_deliveries]
        assert set(attempts) == {1, 2}
        assert receiver.statuses == [204] * sum(attempts)
        assert receiver.handled == [("customer.created", str(number)) for number in range(40)]


async def test_events_beyond_the_limit_are_dropped_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhook_queue, "MAX_PENDING", 5)
    async with raw_server(OK) as server, sandbox_for(server.base_url) as sandbox:
        for number in range(1_010):
            sandbox.store.upsert({"source_id": str(number)})
        await sandbox.webhooks_delivered(timeout=30)
        sandbox.store.upsert({"source_id": "b"})
        await sandbox.webhooks_delivered(timeout=30)
        assert len(sandbox.webhook_deliveries) == len(server.requests) == 6
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3
    assert "customer.created" in messages[0]
    assert messages[1].endswith("dropped so far: 1001")
    assert messages[2] == "closed with undelivered webhooks: 0 were pending, and 1005 were dropped before"


# ---------------------------------------------------------------- its lifetime


async def test_closing_does_not_wait_for_a_dead_receiver(caplog: pytest.LogCaptureFixture) -> None:
    async with raw_server(stall) as server:
        async with sandbox_for(server.base_url) as sandbox, sandbox.client() as voucherify:
            await voucherify.customers.create(source_id="a")
            await voucherify.customers.create(source_id="b")
            await until(lambda: server.requests)
            waiting = asyncio.create_task(sandbox.webhooks_delivered())
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="the sandbox is not running, so it sends no webhooks"):
            await waiting
        assert [(delivery.state, delivery.error) for delivery in sandbox.webhook_deliveries] == [
            ("failed", "the sandbox was closed"),
        ] * 2
        assert caplog.records[-1].getMessage() == (
            "closed with undelivered webhooks: 2 were pending, and 0 were dropped before"
        )
        sandbox.store.upsert({"source_id": "c"})
        assert len(sandbox.webhook_deliveries) == 2
        with pytest.raises(RuntimeError, match="the sandbox is not running"):
            await sandbox.webhooks_delivered()
        server.face = in_order(OK)
        async with sandbox:
            sandbox.store.upsert({"source_id": "d"})
            await sandbox.webhooks_delivered(timeout=30)
        assert [delivery.state for delivery in sandbox.webhook_deliveries] == ["failed"] * 2 + ["delivered"]


async def test_waiting_in_vain() -> None:
    async with raw_server(stall) as server, sandbox_for(server.base_url, job_seconds=3600.0) as sandbox:
        await sandbox.webhooks_delivered(timeout=0.01)
        sandbox.store.upsert({"source_id": "a"})
        with pytest.raises(
            TimeoutError, match="after 0.01 seconds, 1 webhooks are pending, and no background"
        ):
            await sandbox.webhooks_delivered(timeout=0.01)
        async with sandbox.client() as voucherify:
            await voucherify.customers.update_in_bulk([{"source_id": "b"}])
        with pytest.raises(TimeoutError, match="1 webhooks are pending, and some background jobs"):
            await sandbox.webhooks_delivered(timeout=0.01)


async def test_a_sandbox_without_webhooks(sandbox: Sandbox) -> None:
    sandbox.store.upsert({"source_id": "a"})
    assert not sandbox.webhook_deliveries
    with pytest.raises(RuntimeError, match="create it with webhooks="):
        await sandbox.webhooks_delivered()


async def test_a_sandbox_in_a_thread(example: Any) -> None:
    arrived = threading.Event()

    async def note(_: web.Request) -> None:
        arrived.set()

    def synchronous_program(url: str) -> list[str]:
        with sandbox_for(url) as sandbox:
            asyncio.run(sandbox.webhooks_delivered(timeout=30))  # so that the sender sleeps
            sandbox.store.upsert({"source_id": "a"})  # in another thread than that of the server
            assert arrived.wait(30)
            for name in "bc":
                sandbox.store.upsert({"source_id": name})
            asyncio.run(sandbox.webhooks_delivered(timeout=30))
            return [delivery.state for delivery in sandbox.webhook_deliveries]

    async with receiving(example) as receiver:
        receiver.before = note
        assert await asyncio.to_thread(synchronous_program, receiver.url) == ["delivered"] * 3
        assert receiver.handled == [("customer.created", name) for name in "abc"]


async def test_waiting_in_another_event_loop_in_vain() -> None:
    def synchronous_program(url: str) -> None:
        with sandbox_for(url) as sandbox:
            sandbox.store.upsert({"source_id": "a"})
            asyncio.run(sandbox.webhooks_delivered(timeout=0.01))

    async with raw_server(stall) as server:
        with pytest.raises(TimeoutError, match="1 webhooks are pending"):
            await asyncio.to_thread(synchronous_program, server.base_url)


async def test_a_port_that_is_taken_starts_no_sender(sandbox: Sandbox) -> None:
    second = Sandbox(port=sandbox.port, webhooks=URL, webhook_secret=SECRET)
    with pytest.raises(OSError):
        await second.start()
    assert second.store.on_event is None
    await second.aclose()


BAD: list[Any] = [
    ({"webhooks": "ftp://example.com", "webhook_secret": "s"}, "webhooks must be an http(s) URL without"),
    ({"webhooks": "", "webhook_secret": "s"}, "webhooks must be an http(s) URL without credentials"),
    ({"webhooks": "example.com/hook", "webhook_secret": "s"}, "webhooks must be an http(s) URL without"),
    ({"webhooks": 5, "webhook_secret": "s"}, "webhooks must be an http(s) URL without credentials"),
    ({"webhooks": "http://eve:p4ss@example.com", "webhook_secret": "s"}, "webhooks must be an http(s) URL"),
    ({"webhooks": URL}, "webhook_secret must be a non-empty string"),
    ({"webhooks": URL, "webhook_secret": ""}, "webhook_secret must be a non-empty string"),
    ({"webhook_secret": "s"}, "webhook_secret needs webhooks"),
    ({"webhook_retry_seconds": -1}, "webhook_retry_seconds must not be negative, not -1"),
    ({"webhook_retry_seconds": float("inf")}, "webhook_retry_seconds must be finite, not inf"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=str)
def test_bad_arguments(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Sandbox(**settings)
    assert str(caught.value).startswith(message)
    assert "p4ss" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://example.com", "http://[::1]:8000/@me?a=b", "http://hooks:8000/"])
def test_any_host_will_do(url: str) -> None:
    sandbox = Sandbox(webhooks=url, webhook_secret=SECRET)
    assert SECRET not in repr(sandbox)


# ---------------------------------------------------------------- the example


def envelope(number: int, kind: str, source_id: str | None, **changes: Any) -> bytes:
    created_at = f"2026-01-01T00:00:0{number}.000Z"
    content = {
        "id": f"whs_{number}",
        "type": kind,
        "created_at": created_at,
        "data": {"customer": {"id": f"cust_{source_id}", "source_id": source_id, "name": f"{number}"}},
        "event": {"id": f"evcus_{number}", "type": kind, "created_at": created_at},
    }
    return json.dumps(content | changes).encode()  # with spaces, which the signature ignores


async def post(receiver: Receiver, body: bytes, *, secret: str | None = SECRET) -> int:
    compact = body.replace(b": ", b":").replace(b", ", b",")
    headers = {} if secret is None else {"X-Voucherify-Signature": sign(compact, secret)}
    async with (
        aiohttp.ClientSession() as http,
        http.post(receiver.url, data=io.BytesIO(body), headers=headers) as response,
    ):
        return response.status


async def test_the_example_handles_events_once_and_in_their_order(example: Any) -> None:
    async with receiving(example) as receiver:
        assert await post(receiver, envelope(3, "customer.updated", "a")) == 204
        assert await post(receiver, envelope(3, "customer.updated", "a")) == 204
        assert await post(receiver, envelope(1, "customer.created", "a")) == 204  # was overtaken
        assert receiver.names == {"a": "3"}
        assert await post(receiver, envelope(5, "customer.deleted", "a")) == 204
        assert await post(receiver, envelope(4, "customer.updated", "a")) == 204
        assert await post(receiver, envelope(6, "customer.created", None)) == 204
        assert receiver.names == {None: "6"}
        assert [kind for kind, _ in receiver.handled] == [
            "customer.updated", "customer.created", "customer.deleted", "customer.updated", "customer.created",
        ]  # fmt: skip


async def test_the_example_gets_an_event_again_that_it_could_not_handle(example: Any) -> None:
    async with receiving(example) as receiver:
        working = receiver.copy.changed_at
        receiver.copy.changed_at = None  # as if the database were away
        assert await post(receiver, envelope(1, "customer.created", "a")) == 500
        receiver.copy.changed_at = working
        assert await post(receiver, envelope(1, "customer.created", "a")) == 204
        assert receiver.names == {"a": "1"}


REJECTED: list[Any] = [
    (envelope(1, "customer.created", "a"), None, 401),
    (envelope(1, "customer.created", "a"), "another", 401),
    (b"not JSON", SECRET, 400),
    (b'{"raw":"payload"}', SECRET, 400),
    (envelope(1, "customer.created", "a", data=None), SECRET, 400),
    (envelope(1, "customer.created", "a", data={"customer": None}), SECRET, 400),
    (envelope(1, "customer.created", "a", data=[1]), SECRET, 400),
    (b"x" * (1024 * 1024 + 1), SECRET, 413),
    (envelope(1, "voucher.created", "a"), SECRET, 204),
]


@pytest.mark.parametrize(("body", "secret", "status"), REJECTED, ids=range(len(REJECTED)))
async def test_what_the_example_rejects_or_ignores(
    body: bytes, secret: str | None, status: int, example: Any
) -> None:
    async with receiving(example) as receiver:
        assert await post(receiver, body, secret=secret) == status
        assert receiver.handled == []
        assert await post(receiver, envelope(1, "customer.created", "a")) == 204
        assert len(receiver.handled) == 1


def test_the_example_runs(
    example: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(sys, "argv", ["webhook_receiver.py", "--port", "8001"])
    monkeypatch.setattr(web, "run_app", lambda app, **where: started.append((type(app), where)))
    assert example.main() == 1
    assert "VOUCHERIFY_WEBHOOK_SECRET" in capsys.readouterr().err
    monkeypatch.setenv("VOUCHERIFY_WEBHOOK_SECRET", SECRET)
    assert example.main() == 0
    assert started == [(web.Application, {"host": "127.0.0.1", "port": 8001})]


# ---------------------------------------------------------------- the command


async def test_the_command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """From end to end: the secret is in the environment, and SIGTERM ends it in spite of a dead receiver."""
    async with raw_server(OK) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voucherify_async.sandbox", "--port", "0",
            "--webhooks", server.base_url, "--webhook-retry-seconds", "60",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "VOUCHERIFY_WEBHOOK_SECRET": SECRET},
        )  # fmt: skip
        assert process.stdout is not None
        values: dict[str, str] = {}
        while b"Ctrl-C" not in (line := await process.stdout.readline()):
            name, _, value = line.decode().strip().removeprefix("export ").partition("=")
            values[name] = value
        async with VoucherifyClient(
            values["VOUCHERIFY_APP_ID"], values["VOUCHERIFY_APP_TOKEN"],
            base_url=values["VOUCHERIFY_BASE_URL"], trust_env=False,
        ) as voucherify:  # fmt: skip
            await voucherify.customers.create(source_id="a")
            await until(lambda: server.requests)
            server.face = in_order(stall)
            await voucherify.customers.create(source_id="b")
            await until(lambda: len(server.requests) == 2)
        process.terminate()
        _, err = await process.communicate()
    assert types(server) == ["customer.created"] * 2
    assert process.returncode == 0
    assert err.endswith(b"closed with undelivered webhooks: 1 were pending, and 0 were dropped before\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--webhooks", URL],
            "--webhooks needs a secret in the environment variable VOUCHERIFY_WEBHOOK_SECRET",
        ),
        (
            ["--webhooks", URL, "--webhook-secret-env", "HOOK"],
            "--webhooks needs a secret in the environment variable HOOK",
        ),
        (
            ["--webhook-secret-env", "SECRET"],
            "--webhook-secret-env needs --webhooks, the URL to send them to",
        ),
        (
            ["--webhooks", "localhost", "--webhook-secret-env", "SECRET"],
            "webhooks must be an http(s) URL without credentials, such as http://127.0.0.1:8000/webhooks",
        ),
        (
            ["--webhooks", "localhost"],  # without a secret, too
            "webhooks must be an http(s) URL without credentials, such as http://127.0.0.1:8000/webhooks",
        ),
    ],
    ids=str,
)
def test_bad_options(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    with pytest.raises(SystemExit) as caught:
        command.make_sandbox(argv)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: {message}\n")


def test_a_variable_of_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.setenv("VOUCHERIFY_WEBHOOK_SECRET", SECRET)
    assert (
        command.make_sandbox(["--webhooks", URL, "--webhook-secret-env", "HOOK"]).webhook_deliveries
        is not None
    )
    assert command.make_sandbox([]).store.on_event is None  # the variable alone changes nothing

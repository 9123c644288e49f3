"""Spans and metrics of calls, as OpenTelemetry's own SDK exports them."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.clocks import FakeClock, use_clock
from tests.support.internals import open_spans
from tests.support.wire import (
    CUSTOMER,
    NO_RETRY,
    RawServer,
    Script,
    raw_server,
    respond,
    stall,
)
from voucherify_async import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    DeadlineExceededError,
    DecodeError,
    NotFoundError,
    OAuthClientCredentials,
    RateLimitError,
    ServerError,
    VoucherifyClient,
)
from voucherify_async.otel import OpenTelemetryHook
from voucherify_async.sandbox import Sandbox

SECRET = "hush-hush"
ID = "ada@example.com"

CALLS = "voucherify.client.call.duration"
REQUESTS = "http.client.request.duration"
RETRIES = "voucherify.client.retries"
WAITS = "voucherify.client.rate_limit.wait"

GET = {
    "voucherify.operation": "customers.get",
    "http.request.method": "GET",
    "url.template": "/v1/customers/{customer_id}",
}

REQUEST_ID = "X-Request-Id: req-1"


class Telemetry:
    """A hook, and what comes out at the other end."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.hook = OpenTelemetryHook(tracer_provider=self.tracers, meter_provider=self.meters)

    def client(self, server: RawServer | Sandbox, **settings: Any) -> VoucherifyClient:
        if isinstance(server, Sandbox):
            return server.client(hooks=[self.hook], **settings)
        return VoucherifyClient("id", SECRET, base_url=server.base_url, hooks=[self.hook], **settings)

    @property
    def spans(self) -> list[ReadableSpan]:
        assert open_spans(self.hook) == 0  # nothing is kept of a call that ended
        return list(self.exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else []
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def histogram(self, name: str) -> HistogramDataPoint:
        (point,) = self.points(name)
        assert isinstance(point, HistogramDataPoint)
        return point

    def attributes(self, name: str) -> dict[str, Any]:
        return dict(self.histogram(name).attributes or {})

    def number(self, name: str) -> NumberDataPoint:
        (point,) = self.points(name)
        assert isinstance(point, NumberDataPoint)
        return point

    def everything(self) -> str:
        data = self.reader.get_metrics_data()
        return "".join([*(span.to_json() for span in self.spans), data.to_json() if data else ""])


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def stall_and_tell(arrived: asyncio.Event) -> Script:
    """As `stall`, and say when it began."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await stall(reader, writer)

    return script


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def place(server: RawServer | Sandbox) -> dict[str, Any]:
    return {"server.address": "127.0.0.1", "server.port": int(server.base_url.rpartition(":")[2])}


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


async def test_a_call(telemetry: Telemetry) -> None:
    answer = respond(body=b'{"id":"a"}', headers=(REQUEST_ID,))
    async with raw_server(answer) as server, telemetry.client(server) as client:
        await client.customers.get(ID)
    span = telemetry.span
    assert (span.name, span.kind) == ("GET /v1/customers/{customer_id}", SpanKind.CLIENT)
    assert facts(span) == {
        **GET,
        **place(server),
        "url.scheme": "http",
        "url.full": f"{server.base_url}/v1/customers/{{customer_id}}",
        "http.response.status_code": 200,
        "voucherify.request_id": "req-1",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert not span.events
    for name in (CALLS, REQUESTS):
        point = telemetry.histogram(name)
        assert point.attributes == {**GET, **place(server), "http.response.status_code": 200}
        assert (point.count, point.explicit_bounds[:2]) == (1, (0.005, 0.01))
    assert telemetry.histogram(CALLS).sum == pytest.approx(seconds(span))
    assert telemetry.histogram(CALLS).sum >= telemetry.histogram(REQUESTS).sum > 0
    assert telemetry.histogram(CALLS).explicit_bounds[-1] == 120
    assert not telemetry.points(RETRIES)
    assert not telemetry.points(WAITS)


async def test_the_scope_names_the_package(telemetry: Telemetry) -> None:
    async with raw_server(CUSTOMER) as server, telemetry.client(server) as client:
        await client.customers.get(ID)
    scope = telemetry.span.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("voucherify_async", version("voucherify-async"))


@pytest.mark.parametrize(("region", "port"), [("https://api.voucherify.io", 443), ("http://[::1]", 80)])
async def test_the_port_that_a_url_leaves_out(telemetry: Telemetry, region: str, port: int) -> None:
    client = VoucherifyClient("id", SECRET, base_url=region, hooks=[telemetry.hook])
    await client.aclose()
    with pytest.raises(ConfigurationError, match="the client is closed"):
        await client.customers.get(ID)
    known = facts(telemetry.span)
    assert known["server.address"] == region.partition("://")[2].strip("[]")
    assert (known["server.port"], known["error.type"]) == (port, "ConfigurationError")
    assert "http.response.status_code" not in known
    assert not telemetry.points(REQUESTS)  # nothing was sent


async def test_a_call_that_is_made_again(telemetry: Telemetry) -> None:
    async with raw_server(respond(503), CUSTOMER) as server, telemetry.client(server) as client:
        use_clock(client)
        await client.customers.get(ID)
    span = telemetry.span
    assert facts(span)["http.request.resend_count"] == 1
    assert facts(span)["http.response.status_code"] == 200
    assert span.status.status_code is StatusCode.UNSET
    failed = {"error.type": "503", "http.response.status_code": 503}
    (event,) = span.events
    assert event.name == "voucherify.retry"
    assert event.attributes == {**failed, "voucherify.retry.delay": 0.5}
    assert span.start_time == event.timestamp
    assert seconds(span) == 0.5
    retries = telemetry.number(RETRIES)
    assert (retries.value, retries.attributes) == (1, {**GET, **place(server), **failed})
    statuses = [point.attributes["http.response.status_code"] for point in telemetry.points(REQUESTS)]
    assert sorted(statuses) == [200, 503]
    assert telemetry.histogram(CALLS).sum == 0.5
    assert sum(point.sum for point in telemetry.points(REQUESTS)) == 0  # the pause is in neither
    assert not telemetry.points(WAITS)


async def test_an_error_of_the_service(telemetry: Telemetry, sandbox: Sandbox) -> None:
    async with telemetry.client(sandbox) as client:
        with pytest.raises(NotFoundError) as caught:
            await client.customers.get(ID)
    span = telemetry.span
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert facts(span)["http.response.status_code"] == 404
    assert facts(span)["error.type"] == "404"
    assert facts(span)["voucherify.request_id"] == caught.value.request_id
    assert "http.request.resend_count" not in facts(span)
    for name in (CALLS, REQUESTS):
        assert telemetry.attributes(name)["error.type"] == "404"


async def test_what_was_to_be_removed_is_gone(telemetry: Telemetry) -> None:
    async with raw_server(None, respond(404)) as server, telemetry.client(server) as client:
        use_clock(client)
        await client.customers.delete(ID)
    assert telemetry.span.status.status_code is StatusCode.UNSET
    assert facts(telemetry.span)["http.response.status_code"] == 404
    assert "error.type" not in facts(telemetry.span)


async def test_an_answer_that_is_not_what_the_api_promises(telemetry: Telemetry) -> None:
    async with raw_server(respond(body=b"[]")) as server, telemetry.client(server) as client:
        with pytest.raises(DecodeError):
            await client.customers.get(ID)
    assert telemetry.span.status.status_code is StatusCode.ERROR
    assert facts(telemetry.span)["http.response.status_code"] == 200
    assert facts(telemetry.span)["error.type"] == "DecodeError"


async def test_an_answer_that_is_too_long(telemetry: Telemetry) -> None:
    async with raw_server(CUSTOMER) as server, telemetry.client(server, max_response_bytes=5) as client:
        with pytest.raises(DecodeError):
            await client.customers.get(ID)
    assert facts(telemetry.span)["http.response.status_code"] == 200
    assert facts(telemetry.span)["error.type"] == "DecodeError"


async def test_a_refused_connection(telemetry: Telemetry) -> None:
    async with raw_server() as server:
        pass
    async with telemetry.client(server) as client:
        use_clock(client)
        with pytest.raises(ConnectionFailedError):
            await client.customers.get(ID)
    span = telemetry.span
    assert span.status.status_code is StatusCode.ERROR
    assert facts(span)["error.type"] == "ConnectionFailedError"
    assert facts(span)["http.request.resend_count"] == len(span.events) == 3
    assert "http.response.status_code" not in facts(span)
    assert telemetry.number(RETRIES).value == 3
    assert telemetry.histogram(REQUESTS).count == 4
    assert telemetry.attributes(REQUESTS)["error.type"] == "ConnectionFailedError"


async def test_the_status_of_an_earlier_attempt_is_not_the_last_ones(telemetry: Telemetry) -> None:
    async with raw_server(respond(503), None) as server, telemetry.client(server) as client:
        use_clock(client)
        with pytest.raises(ConnectionFailedError):
            await client.customers.get(ID)
    assert facts(telemetry.span)["error.type"] == "ConnectionFailedError"
    assert "http.response.status_code" not in facts(telemetry.span)


async def test_a_cancelled_call_is_no_error(telemetry: Telemetry) -> None:
    arrived = asyncio.Event()
    async with raw_server(stall_and_tell(arrived)) as server, telemetry.client(server) as client:
        call = asyncio.create_task(client.customers.get(ID))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    span = telemetry.span
    assert span.status.status_code is StatusCode.UNSET
    assert facts(span)["voucherify.cancelled"] is True
    assert not {"error.type", "http.response.status_code"} & facts(span).keys()
    for name in (CALLS, REQUESTS):
        assert telemetry.attributes(name) == {**GET, **place(server), "voucherify.cancelled": True}


async def test_a_call_that_is_cancelled_before_its_first_attempt(telemetry: Telemetry) -> None:
    arrived = asyncio.Event()
    async with (
        raw_server(stall_and_tell(arrived)) as server,
        telemetry.client(server, max_connections=1) as client,
    ):
        calls = [asyncio.create_task(client.customers.get(ID)) for _ in range(2)]
        await arrived.wait()
        calls[1].cancel()
        await asyncio.wait(calls[1:])
        (span,) = telemetry.exporter.get_finished_spans()
        calls[0].cancel()
        await asyncio.wait(calls)
    assert facts(span)["voucherify.cancelled"] is True
    assert seconds(span) > 0
    assert [telemetry.histogram(name).count for name in (CALLS, REQUESTS)] == [2, 1]
    assert len(telemetry.spans) == 2


async def test_the_deadline(telemetry: Telemetry) -> None:
    async with raw_server(stall) as server, telemetry.client(server, deadline=0.05) as client:
        with pytest.raises(DeadlineExceededError):
            await client.customers.get(ID)
    span = telemetry.span
    assert span.status.status_code is StatusCode.ERROR
    assert facts(span)["error.type"] == "DeadlineExceededError"
    assert 0.05 <= seconds(span) < 50  # no milliseconds
    assert telemetry.attributes(REQUESTS)["error.type"] == "DeadlineExceededError"


async def test_the_deadline_in_a_pause(telemetry: Telemetry) -> None:
    """No attempt is under way then, and what the one before was answered is told by its event."""
    async with raw_server(respond(503)) as server, telemetry.client(server, deadline=0.2) as client:
        use_clock(client, FakeClock(jitter=0.0, held=True))
        with pytest.raises(DeadlineExceededError):
            await client.customers.get(ID)
    assert facts(telemetry.span)["error.type"] == "DeadlineExceededError"
    assert "http.response.status_code" not in facts(telemetry.span)
    assert telemetry.attributes(REQUESTS)["error.type"] == "503"


class TestRateLimit:
    async def test_the_pause_after_a_429(self, telemetry: Telemetry) -> None:
        refusal = respond(429, headers=("Retry-After: 7",))
        async with raw_server(refusal, CUSTOMER) as server, telemetry.client(server) as client:
            use_clock(client)
            await client.customers.get(ID)
        waits = telemetry.histogram(WAITS)
        assert (waits.sum, waits.count) == (7.5, 1)
        assert waits.attributes == {**GET, **place(server)}
        assert facts(telemetry.span)["voucherify.rate_limit.wait"] == 7.5
        assert seconds(telemetry.span) == 7.5

    async def test_a_call_that_waits_until_there_are_calls_again(self, telemetry: Telemetry) -> None:
        headers = ("X-Rate-Limit-Limit: 100", "X-Rate-Limit-Remaining: 0", "X-Rate-Limit-Retry: 1767225605")
        last = respond(body=b'{"id":"a"}', headers=headers)
        async with raw_server(last, CUSTOMER) as server, telemetry.client(server) as client:
            use_clock(client)
            await client.customers.get(ID)
            await client.customers.get(ID)
        waits = telemetry.histogram(WAITS)
        assert (waits.sum, waits.count) == (5.0, 1)
        assert [facts(span).get("voucherify.rate_limit.wait") for span in telemetry.spans] == [None, 5.0]
        assert seconds(telemetry.spans[1]) == 5.0

    async def test_a_call_that_the_client_refuses_was_not_answered(self, telemetry: Telemetry) -> None:
        refusal = respond(429, headers=("Retry-After: 300",))
        async with raw_server(refusal) as server, telemetry.client(server) as client:
            use_clock(client)
            for _ in range(2):
                with pytest.raises(RateLimitError):
                    await client.customers.get(ID)
        assert len(server.requests) == 1
        first, second = map(facts, telemetry.spans)
        assert (first["error.type"], first["http.response.status_code"]) == ("429", 429)
        assert second["error.type"] == "RateLimitError"
        assert "http.response.status_code" not in second


async def test_the_parent_is_the_span_around_the_call(telemetry: Telemetry) -> None:
    tracer = telemetry.tracers.get_tracer("a program")
    async with raw_server(CUSTOMER) as server, telemetry.client(server) as client:
        with tracer.start_as_current_span("job"):
            await asyncio.gather(*(client.customers.get(ID) for _ in range(2)))
        await client.customers.get(ID)
    *children, job, orphan = telemetry.spans
    assert job.name == "job"
    assert job.context is not None
    assert [child.parent.span_id for child in children if child.parent] == [job.context.span_id] * 2
    assert orphan.parent is None


async def test_many_calls_of_several_clients(telemetry: Telemetry, sandbox: Sandbox) -> None:
    async with telemetry.client(sandbox) as one, telemetry.client(sandbox) as other:
        views = [one, other, one.with_options(timeout=5)]
        await asyncio.gather(*(views[n % 3].customers.create(source_id=f"crm-{n}") for n in range(60)))
    assert len(telemetry.spans) == telemetry.histogram(CALLS).count == 60


async def test_a_call_over_a_view(telemetry: Telemetry) -> None:
    async with raw_server(respond(503), CUSTOMER) as server, telemetry.client(server) as client:
        with pytest.raises(ServerError):
            await client.with_options(retry=NO_RETRY).customers.get(ID)
    assert facts(telemetry.span)["error.type"] == "503"


async def test_a_token_is_a_call_of_its_own(telemetry: Telemetry, sandbox: Sandbox) -> None:
    auth = OAuthClientCredentials(sandbox.app_id, sandbox.app_token)
    async with VoucherifyClient(auth=auth, base_url=sandbox.base_url, hooks=[telemetry.hook]) as client:
        await client.customers.create(source_id=ID)
    operations = [facts(span)["voucherify.operation"] for span in telemetry.spans]
    assert operations == ["oauth.create_token", "customers.create"]


async def test_a_call_without_a_token_was_not_answered(telemetry: Telemetry) -> None:
    auth = OAuthClientCredentials("id", SECRET)
    async with (
        raw_server(respond(401)) as server,
        VoucherifyClient(auth=auth, base_url=server.base_url, hooks=[telemetry.hook]) as client,
    ):
        with pytest.raises(AuthenticationError):
            await client.customers.get(ID)
    token, get = map(facts, telemetry.spans)
    assert token["error.type"] == "401"
    assert get["error.type"] == "AuthenticationError"
    assert "http.response.status_code" not in get


async def test_nothing_personal_or_secret_is_exported(telemetry: Telemetry, sandbox: Sandbox) -> None:
    async with telemetry.client(sandbox) as client:
        ada = await client.customers.create(source_id=ID, name="Ada Lovelace", metadata={"tier": "gold"})
        await client.customers.get(ID)
        await client.customers.update(ID, email=ID)
        await client.customers.list(email=ID, city="London").to_list()
        await client.customers.list_activity(ID).to_list()
        with pytest.raises(NotFoundError):
            await client.customers.get("nobody@example.com")
        await client.customers.delete(ID)
        await client.request("GET", "/v1/customers/{id}/segments", path_params={"id": ID})
    failure = respond(503, b'{"message":"Ada Lovelace"}')
    async with raw_server(failure) as server, telemetry.client(server) as client:
        use_clock(client)
        with pytest.raises(ServerError):
            await client.customers.get(ID)
    exported = telemetry.everything()
    assert len(telemetry.spans) >= 9
    assert ada.id is not None
    tokens = (sandbox.app_id, sandbox.app_token, SECRET)
    personal = ("lovelace", "example.com", "%40", "london", "gold", ada.id.lower())
    assert not [text for text in (*tokens, *personal) if text in exported.lower()]


async def test_without_providers_it_goes_by_the_global_ones(sandbox: Sandbox) -> None:
    hook = OpenTelemetryHook()
    async with sandbox.client(hooks=[hook]) as client:
        await client.customers.create(source_id=ID)
    assert open_spans(hook) == 0


class TestExtra:
    def test_it_is_asked_for_where_it_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "voucherify_async.otel")
        monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
        with pytest.raises(ImportError, match=r"pip install 'voucherify-async\[otel\]'"):
            importlib.import_module("voucherify_async.otel")

    def test_the_package_does_not_import_it(self) -> None:
        program = (
            "import sys, voucherify_async, voucherify_async.sandbox; print('opentelemetry' in sys.modules)"
        )
        out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert out.stdout.strip() == "False"

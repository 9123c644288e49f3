"""OpenTelemetry: a span for each call, and metrics. Needs the optional extra ``otel``.

::

    async with VoucherifyClient(hooks=[OpenTelemetryHook()]) as voucherify:
        ...

Names are those of the HTTP semantic conventions, https://opentelemetry.io/docs/specs/semconv/http/; what these
do not know begins with ``voucherify.``.

No filled URL is told: ids in it are personal data, and so are the filters in its query. ``url.full``, which
the conventions require, is scrubbed as they ask: it is the base URL and the template of the path, as in
``https://api.voucherify.io/v1/customers/{customer_id}``. A path given to `VoucherifyClient.request` is taken
for a template: ids belong in its `path_params`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from voucherify_async._transport.hooks import CallEvent, ErrorEvent, RequestEvent, ResponseEvent, RetryEvent
from voucherify_async._transport.settings import package_version

try:
    from opentelemetry.metrics import MeterProvider, get_meter
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer
except ImportError as error:
    raise ImportError(
        "voucherify_async.otel needs OpenTelemetry: pip install 'voucherify-async[otel]'", name=error.name
    ) from error

__all__ = ["OpenTelemetryHook"]

# As of the semantic conventions 1.41. Constants of our own, as opentelemetry-api has none, and the package
# that has them gives no promise of stability.
_SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.41.0"
_METHOD: Final = "http.request.method"
_RESEND_COUNT: Final = "http.request.resend_count"
_STATUS: Final = "http.response.status_code"
_ERROR_TYPE: Final = "error.type"
_SERVER_ADDRESS: Final = "server.address"
_SERVER_PORT: Final = "server.port"
_URL_FULL: Final = "url.full"
_URL_SCHEME: Final = "url.scheme"
_URL_TEMPLATE: Final = "url.template"
_REQUEST_DURATION: Final = "http.client.request.duration"

_OPERATION: Final = "voucherify.operation"
_REQUEST_ID: Final = "voucherify.request_id"
_CANCELLED: Final = "voucherify.cancelled"
_RATE_LIMIT_WAIT: Final = "voucherify.rate_limit.wait"
_RETRY_DELAY: Final = "voucherify.retry.delay"

_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The bounds of the buckets that the conventions advise for requests."""

_CALL_SECONDS: Final = (*_REQUEST_SECONDS, 30.0, 60.0, 120.0)
"""A call may wait for the rate limit, by default up to a minute before each attempt."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_Attributes = dict[str, str | int | float | bool]


@dataclass(slots=True, eq=False)
class _Call:
    """What is known of a call while it runs.

    Attributes:
        span: Its span.
        began: When it began, in nanoseconds since 1970.
        attributes: What all its metrics have.
        requests: How many it has sent.
        sent_at: When the request was sent that is under way, in seconds since the call began.
        pause: Seconds that are waited because the service refused the attempt before for its rate limit.
        waited: Seconds that rate limits have held it back.
    """

    span: Span
    began: int
    attributes: _Attributes
    requests: int = 0
    sent_at: float | None = None
    pause: float = 0.0
    waited: float = 0.0

    def time_of(self, event: CallEvent) -> int:
        # All times of a span are of one clock: a step of the system's time cannot turn them around.
        return self.began + round(event.elapsed * 1e9)


class OpenTelemetryHook:
    """A hook that tells OpenTelemetry of calls. One may serve any number of clients.

    Each call is one span of kind CLIENT, however many attempts it takes: it begins with the call and ends when
    the answer has been read, or with the error, and has all waits in it. It is a child of the span that is
    current where the call is made. Its status is ERROR if the call raised, and ``error.type`` then says what:
    the HTTP status of the answer, or else the name of the exception's class. A call whose task was cancelled
    is no error, and has ``voucherify.cancelled``. Attempts that are made again are events in the span.

    The metrics are:

    ``voucherify.client.call.duration``
        Histogram of seconds: calls, all waits and attempts included.
    ``http.client.request.duration``
        Histogram of seconds: attempts, each from sending it to the end of its answer.
    ``voucherify.client.retries``
        Counter of attempts that failed and were made again.
    ``voucherify.client.rate_limit.wait``
        Histogram of seconds: what rate limits held attempts back, by the pause after a 429 too. Attempts that
        were not held back do not count.

    The token that `OAuthClientCredentials` gets is a call of its own, with a span of its own. Requests carry no
    trace context. Leave the instrumentation of aiohttp's client off for these calls, or see each twice.
    """

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        """Make the instruments.

        Args:
            tracer_provider: In place of the global one.
            meter_provider: In place of the global one.
        """
        name, own = "voucherify_async", package_version()
        self._tracer = get_tracer(name, own, tracer_provider, schema_url=_SCHEMA_URL)
        meter = get_meter(name, own, meter_provider, schema_url=_SCHEMA_URL)
        self._call_duration = meter.create_histogram(
            "voucherify.client.call.duration",
            unit="s",
            description="Duration of calls, all waits and attempts included.",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )
        self._request_duration = meter.create_histogram(
            _REQUEST_DURATION,
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_REQUEST_SECONDS,
        )
        self._retries = meter.create_counter(
            "voucherify.client.retries",
            unit="{retry}",
            description="Attempts that failed and were made again.",
        )
        self._rate_limit_wait = meter.create_histogram(
            "voucherify.client.rate_limit.wait",
            unit="s",
            description="What rate limits held attempts back.",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )
        self._calls: dict[int, _Call] = {}

    def on_request(self, event: RequestEvent, /) -> None:
        """An attempt is about to be sent."""
        call = self._running(event)
        call.requests += 1
        call.sent_at = event.elapsed
        self._record_wait(call, call.pause + event.waited)

    def on_retry(self, event: RetryEvent, /) -> None:
        """An attempt failed and will be made again."""
        call = self._running(event)
        outcome = _failure(event.status, event.error_type)
        self._end_attempt(call, event, outcome)
        call.pause = event.delay if event.status == 429 else 0.0
        call.span.add_event("voucherify.retry", {**outcome, _RETRY_DELAY: event.delay}, call.time_of(event))
        self._retries.add(1, {**call.attributes, **outcome})

    def on_response(self, event: ResponseEvent, /) -> None:
        """An attempt was answered; of an answer that is not the last, a retry or an error tells the rest."""
        if event.final:
            # No error even where it is a 404: what was to be removed is gone.
            self._end(self._ended(event), event, {_STATUS: event.status}, event.request_id)

    def on_error(self, event: ErrorEvent, /) -> None:
        """A call ended without a result."""
        call = self._ended(event)
        self._record_wait(call, event.waited)
        if event.cancelled:
            # The conventions: a cancellation that the caller wants is no error. It leaves status and type unset.
            outcome: _Attributes = {_CANCELLED: True}
        else:
            outcome = _failure(event.status, event.error_type)
            call.span.set_status(Status(StatusCode.ERROR))
        self._end(call, event, outcome, event.request_id)

    def _running(self, event: CallEvent) -> _Call:
        call = self._calls.get(event.call_id)
        if call is None:
            call = self._calls[event.call_id] = self._begin(event)
        return call

    def _ended(self, event: CallEvent) -> _Call:
        """The call of its last event, forgotten before anything else can fail."""
        return self._calls.pop(event.call_id, None) or self._begin(event)

    def _begin(self, event: CallEvent) -> _Call:
        url = urlsplit(event.base_url)
        attributes: _Attributes = {
            _OPERATION: event.operation,
            _METHOD: event.method,
            _SERVER_ADDRESS: url.hostname or "",
            _SERVER_PORT: url.port or _DEFAULT_PORTS[url.scheme],
            _URL_TEMPLATE: event.url_template,
        }
        began = time.time_ns() - round(event.elapsed * 1e9)
        span = self._tracer.start_span(
            f"{event.method} {event.url_template}",
            kind=SpanKind.CLIENT,
            attributes={
                **attributes,
                _URL_FULL: event.base_url + event.url_template,
                _URL_SCHEME: url.scheme,
            },
            start_time=began,
        )
        return _Call(span, began, attributes)

    def _record_wait(self, call: _Call, seconds: float) -> None:
        if seconds > 0:
            call.waited += seconds
            self._rate_limit_wait.record(seconds, call.attributes)

    def _end_attempt(self, call: _Call, event: CallEvent, outcome: _Attributes) -> None:
        if call.sent_at is not None:
            self._request_duration.record(event.elapsed - call.sent_at, {**call.attributes, **outcome})
            call.sent_at = None

    def _end(self, call: _Call, event: CallEvent, outcome: _Attributes, request_id: str | None) -> None:
        facts = dict(outcome)
        if call.requests > 1:
            facts[_RESEND_COUNT] = call.requests - 1
        if call.waited > 0:
            facts[_RATE_LIMIT_WAIT] = call.waited
        if request_id is not None:
            facts[_REQUEST_ID] = request_id
        call.span.set_attributes(facts)
        call.span.end(call.time_of(event))
        self._end_attempt(call, event, outcome)
        self._call_duration.record(event.elapsed, {**call.attributes, **outcome})


def _failure(status: int | None, error_type: str) -> _Attributes:
    """What the conventions say of an error: a status that is one is its own type."""
    if status is None:
        return {_ERROR_TYPE: error_type}
    return {_STATUS: status, _ERROR_TYPE: error_type if 200 <= status < 300 else str(status)}

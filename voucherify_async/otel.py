"""OpenTelemetry: a span per call, and metrics. Requires the optional extra ``otel``.

::

    async with VoucherifyClient(hooks=[OpenTelemetryHook()]) as voucherify:
        ...

Attribute names follow the HTTP semantic conventions, https://opentelemetry.io/docs/specs/semconv/http/. Names that
these do not define begin with ``voucherify.``.

Actual URLs are not exported: ids in the path and filters in the query are personal data. ``url.full``, which the
conventions require, is redacted as they demand: it is the base URL and the path template, for example
``https://api.voucherify.io/v1/customers/{customer_id}``. The path argument of `VoucherifyClient.request` is treated as
a template, so pass ids in its `path_params`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from voucherify_async._transport.hooks import CallEvent, ErrorEvent, RequestEvent, ResponseEvent, RetryEvent
from voucherify_async._version import __version__

try:
    from opentelemetry.metrics import MeterProvider, get_meter
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer
except ImportError as error:
    raise ImportError(
        "voucherify_async.otel needs OpenTelemetry: pip install 'voucherify-async[otel]'", name=error.name
    ) from error

__all__ = ["OpenTelemetryHook"]

# Semantic conventions 1.41. Defined here because opentelemetry-api has no such constants, and the package that has
# them does not promise stability.
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

_REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Histogram bucket boundaries that the conventions recommend for requests."""

_CALL_BUCKETS: Final = (*_REQUEST_BUCKETS, 30.0, 60.0, 120.0)
"""Higher buckets for calls: each attempt may wait for the rate limit, by default up to a minute."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_Attributes = dict[str, str | int | float | bool]


@dataclass(slots=True, eq=False)
class _Call:
    """The state of a running call.

    Attributes:
        span: The span of the call.
        began: When the call began, in epoch nanoseconds.
        attributes: The attributes of all metrics of the call.
        requests: How many requests were sent.
        sent_at: When the request in flight was sent, in seconds since the call began; `None` without one.
        pause: The delay before the next attempt, in seconds, if the last one was refused with a 429; otherwise 0.
        waited: Seconds that the call has waited for rate limits.
    """

    span: Span
    began: int
    attributes: _Attributes
    requests: int = 0
    sent_at: float | None = None
    pause: float = 0.0
    waited: float = 0.0

    def time_of(self, event: CallEvent) -> int:
        # All times of a span come from one monotonic clock, so that changes of the system time cannot reorder them.
        return self.began + round(event.elapsed * 1e9)


class OpenTelemetryHook:
    """A hook that reports calls to OpenTelemetry. One instance can serve any number of clients.

    Each call is one span of kind CLIENT, regardless of the number of attempts. It begins with the call, ends when
    the response was read or the call failed, and includes all waits. Its parent is the current span of the code
    that makes the call. If the call raised, the span status is ERROR, and ``error.type`` is the HTTP status of the
    response, or the name of the exception class if there was none. A call whose task was cancelled is not an
    error; its span has the attribute ``voucherify.cancelled``. Each retry is a span event.

    The metrics are:

    - ``voucherify.client.call.duration``: histogram, in seconds: duration of calls, all waits and attempts included.
    - ``http.client.request.duration``: histogram, in seconds: duration of attempts, each from sending the request to
      the end of its response.
    - ``voucherify.client.retries``: counter: attempts that failed and were retried.
    - ``voucherify.client.rate_limit.wait``: histogram, in seconds: time that attempts waited for rate limits, pauses
      after a 429 included. Attempts that did not wait are not counted.

    A token request of `OAuthClientCredentials` is a separate call with its own span. Requests do not propagate the
    trace context. Do not also enable the aiohttp client instrumentation for these calls: it would report each
    request twice.
    """

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        """Create the tracer and the instruments.

        Args:
            tracer_provider: The tracer provider; default is the global one.
            meter_provider: The meter provider; default is the global one.
        """
        name = "voucherify_async"
        self._tracer = get_tracer(name, __version__, tracer_provider, schema_url=_SCHEMA_URL)
        meter = get_meter(name, __version__, meter_provider, schema_url=_SCHEMA_URL)
        self._call_duration = meter.create_histogram(
            "voucherify.client.call.duration",
            unit="s",
            description="Duration of calls, all waits and attempts included.",
            explicit_bucket_boundaries_advisory=_CALL_BUCKETS,
        )
        self._request_duration = meter.create_histogram(
            _REQUEST_DURATION,
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_REQUEST_BUCKETS,
        )
        self._retries = meter.create_counter(
            "voucherify.client.retries",
            unit="{retry}",
            description="Attempts that failed and were retried.",
        )
        self._rate_limit_wait = meter.create_histogram(
            "voucherify.client.rate_limit.wait",
            unit="s",
            description="Time that attempts waited for rate limits.",
            explicit_bucket_boundaries_advisory=_CALL_BUCKETS,
        )
        self._calls: dict[int, _Call] = {}

    def on_request(self, event: RequestEvent, /) -> None:
        """Start the span with the first attempt, and record the wait for rate limits."""
        call = self._get_or_begin(event)
        call.requests += 1
        call.sent_at = event.elapsed
        self._record_wait(call, call.pause + event.waited)

    def on_retry(self, event: RetryEvent, /) -> None:
        """Record a failed attempt that will be retried."""
        call = self._get_or_begin(event)
        outcome = _error_attributes(event.status, event.error_type)
        self._end_attempt(call, event, outcome)
        call.pause = event.delay if event.status == 429 else 0.0
        call.span.add_event("voucherify.retry", {**outcome, _RETRY_DELAY: event.delay}, call.time_of(event))
        self._retries.add(1, {**call.attributes, **outcome})

    def on_response(self, event: ResponseEvent, /) -> None:
        """End the span if this is the final response; otherwise `on_retry` or `on_error` follows."""
        if event.final:
            # Not an error, not even for a 404: the object of a delete was already gone.
            self._end(self._pop(event), event, {_STATUS: event.status}, event.request_id)

    def on_error(self, event: ErrorEvent, /) -> None:
        """End the span of a failed or cancelled call."""
        call = self._pop(event)
        self._record_wait(call, event.waited)
        if event.cancelled:
            # The conventions do not treat an intended cancellation as an error: status and error.type stay unset.
            outcome: _Attributes = {_CANCELLED: True}
        else:
            outcome = _error_attributes(event.status, event.error_type)
            call.span.set_status(Status(StatusCode.ERROR))
        self._end(call, event, outcome, event.request_id)

    def _get_or_begin(self, event: CallEvent) -> _Call:
        call = self._calls.get(event.call_id)
        if call is None:
            call = self._calls[event.call_id] = self._begin(event)
        return call

    def _pop(self, event: CallEvent) -> _Call:
        """Remove and return the call of its last event. Removed first, so that no exception can leak it."""
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
        attributes = dict(outcome)
        if call.requests > 1:
            attributes[_RESEND_COUNT] = call.requests - 1
        if call.waited > 0:
            attributes[_RATE_LIMIT_WAIT] = call.waited
        if request_id is not None:
            attributes[_REQUEST_ID] = request_id
        call.span.set_attributes(attributes)
        call.span.end(call.time_of(event))
        self._end_attempt(call, event, outcome)
        self._call_duration.record(event.elapsed, {**call.attributes, **outcome})


def _error_attributes(status: int | None, error_type: str) -> _Attributes:
    """The error attributes of the conventions: for an error status, ``error.type`` is the status itself."""
    if status is None:
        return {_ERROR_TYPE: error_type}
    return {_STATUS: status, _ERROR_TYPE: error_type if 200 <= status < 300 else str(status)}

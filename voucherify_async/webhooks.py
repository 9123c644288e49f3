"""Webhooks: check that a request comes from the service, and read the event in it.

::

    event = construct_event(body, headers["X-Voucherify-Signature"], secret)
    if event.event_type == "customer.created":
        print(event.data["customer"]["source_id"])

`body` is the body of the request as it was received, before any decoding. The service repeats a request for up to 24
hours until it gets a 2xx response within 10 seconds, so the same event can arrive several times: `SeenEvents` recognizes
it. No function here does any I/O.

API: https://docs.voucherify.io/api-reference/introduction-to-webhooks
"""

from __future__ import annotations

import datetime as dt
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar, get_args

import msgspec

from voucherify_async.errors import WebhookSignatureError
from voucherify_async.models._json import decode_json, lazy_json, make_decoder
from voucherify_async.models.base import Model
from voucherify_async.models.events import Event, EventDetails, decode_event

__all__ = [
    "SeenEvents",
    "WebhookEvent",
    "WebhookSource",
    "construct_event",
    "parse_event",
    "verify_signature",
]

_STRING_OR_SPACE: Final = re.compile(rb'("(?:[^"\\]|\\.)*+"?)|[ \t\r\n]+', re.DOTALL)
"""A JSON string, as group 1, or white space outside of strings. Takes linear time, whatever anybody may send."""

_NO_DATA: Final = msgspec.Raw(b"null")


class WebhookSource(Model, frozen=True, kw_only=True):
    """What sent a webhook.

    Attributes:
        id: The id of the webhook or distribution.
        object: ``webhook`` or ``distribution``.
        target_url: The URL that the request was sent to.
    """

    id: str | None = None
    object: str | None = None
    target_url: str | None = None


class WebhookEvent(Model, frozen=True, kw_only=True, dict=True, gc=True):
    """A request that the service sent to a webhook.

    A distribution can be set up to send any payload without this envelope. It is then in `data`, and all other
    attributes are `None`.

    Attributes:
        id: The id of the request, ``whs_…``.
        project_id: The id of the project.
        created_at: Time of the request, timezone-aware.
        type: The type of the event; for a distribution, a name that a person typed. Use `event_type` instead.
        raw_data: The raw JSON of `data`.
        source: The webhook or distribution that sent the request.
        event: The event.
    """

    id: str | None = None
    project_id: str | None = None
    created_at: dt.datetime | None = None
    type: str | None = None
    raw_data: msgspec.Raw = msgspec.field(default=_NO_DATA, name="data")
    source: WebhookSource | None = None
    event: EventDetails | None = None

    def __repr__(self) -> str:
        return f"WebhookEvent(id={self.id!r}, event_type={self.event_type!r})"

    @property
    def event_type(self) -> str | None:
        """The type of the event, for example ``customer.created``; `type` if the envelope does not describe the event."""
        return (self.event.type if self.event is not None else None) or self.type

    @property
    def event_id(self) -> str | None:
        """The id of the event; the id of the request if the envelope does not describe the event."""
        return (self.event.id if self.event is not None else None) or self.id

    @cached_property
    def data(self) -> Any:
        """The payload, decoded on first access: usually a mapping of the objects that the event is about.

        Raises:
            DecodeError: The payload is nested too deeply, or contains a number too large for a float.
        """
        return lazy_json(self.raw_data)

    @cached_property
    def payload(self) -> Event:
        """`data` as the class of `event_type`. Decoded on first access.

        The name of the class is the type, so ``voucher.created`` is `VoucherCreated`. The classes are in
        `voucherify_async.models`. An event of another type, and a payload without the envelope, is an `UnknownEvent`.

        Raises:
            DecodeError: The payload is not as the class declares it. `data` has it as plain Python values.
        """
        from voucherify_async.models.webhook_events import WEBHOOK_EVENTS  # noqa: PLC0415  # imports 20 modules

        return decode_event(WEBHOOK_EVENTS, self.event_type, self.event_id, self.raw_data)


M = TypeVar("M", bound=Model)

_ENVELOPE: Final[msgspec.json.Decoder[WebhookEvent]] = make_decoder(WebhookEvent)
_PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY: Final = msgspec.json.Decoder()


def verify_signature(body: str | bytes, signature: str | bytes | None, secret: str | Sequence[str]) -> bool:
    """Check, in constant time, whether the service signed a request.

    The service signs the compact form of the JSON, so the body may have been received with or without white space.

    Args:
        body: The body of the request.
        signature: The ``X-Voucherify-Signature`` header; `None` if the request has none.
        secret: The secret of the project's webhooks; several while the secret is being changed.

    Raises:
        ValueError: `body` is not text or bytes, or `secret` is empty or not text.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret) if isinstance(secret, Iterable) else []
    if not secrets or not all(isinstance(one, str) and one for one in secrets):
        raise ValueError("secret must be a non-empty string, or a sequence of them")
    content = _content(body)
    given = signature if isinstance(signature, bytes) else str(signature or "").encode("utf-8", "replace")
    given = given.strip().lower()
    matches = [
        hmac.compare_digest(hmac.digest(one.encode(), form, "sha256").hex().encode(), given)
        for one in secrets
        for form in (content, _compact(content))
    ]  # a list, so that all are compared
    return any(matches)


def parse_event(body: str | bytes) -> WebhookEvent:
    """Read a request that the service sent to a webhook, without checking who sent it.

    Raises:
        ValueError: `body` is not text or bytes.
    """
    content = _content(body).decode("utf-8", "replace").encode()
    parts = _parts_of(content)
    if "data" not in parts or not parts.keys() & {"event", "type"}:  # not an envelope: any JSON, or any text
        return WebhookEvent(
            raw_data=msgspec.Raw(content if is_json(content) else msgspec.json.encode(content.decode()))
        )
    try:
        event = decode_json(_ENVELOPE, content)
    except msgspec.ValidationError:
        event = _fitting(WebhookEvent, parts)
    return WebhookEvent(raw_data=msgspec.Raw(content)) if event.event_type is None else event


def is_json(content: bytes) -> bool:
    """Whether the service may have sent this as JSON: unpaired surrogates are accepted, as in its responses."""
    try:
        decode_json(_ANY, content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _parts_of(content: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The properties of a JSON object; empty for anything else."""
    try:
        return decode_json(_PARTS, bytes(content))
    except (msgspec.DecodeError, RecursionError):
        return {}


def _fitting(model: type[M], parts: Mapping[str, msgspec.Raw]) -> M:
    """Decode the properties that are as a model declares them. A change of another one must not hide the event."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(model):
        raw = parts.get(field.encode_name)
        if raw is None or field.type is msgspec.Raw:
            values[field.name] = field.default if raw is None else raw
            continue
        try:
            values[field.name] = decode_json(make_decoder(field.type), bytes(raw))
        except msgspec.ValidationError:
            models = [
                part for part in get_args(field.type) if isinstance(part, type) and issubclass(part, Model)
            ]
            values[field.name] = _fitting(models[0], _parts_of(raw)) if models else None
    return model(**values)


def construct_event(
    body: str | bytes, signature: str | bytes | None, secret: str | Sequence[str]
) -> WebhookEvent:
    """Check the signature of a request to a webhook, and read its event.

    Args:
        body: The body of the request.
        signature: The ``X-Voucherify-Signature`` header; `None` if the request has none.
        secret: The secret of the project's webhooks; several while the secret is being changed.

    Raises:
        WebhookSignatureError: The signature is missing or wrong. Respond with 401.
        ValueError: `body` is not text or bytes, or `secret` is empty or not text.
    """
    if not verify_signature(body, signature, secret):
        raise WebhookSignatureError(
            "the signature of the webhook is wrong" if signature else "the webhook has no signature"
        )
    return parse_event(body)


class SeenEvents:
    """Recognizes events that arrive again. In memory of one process.

    ::

        if not seen.add(event):
            return  # a duplicate
    """

    def __init__(
        self,
        *,
        ttl: float = 25 * 3600.0,
        max_size: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create an empty set.

        Args:
            ttl: Seconds for which an event is remembered. Default: longer than the service repeats a request.
            max_size: The most events to remember; the oldest are forgotten first.
            clock: Replaces the system clock in tests.

        Raises:
            ValueError: `ttl` is not positive, or `max_size` less than 1.
        """
        if not ttl > 0:
            raise ValueError(f"ttl must be a positive number of seconds, not {ttl!r}")
        if max_size < 1:
            raise ValueError(f"max_size must be an integer from 1, not {max_size!r}")
        self._ttl = ttl
        self._max_size = max_size
        self._clock = clock
        self._expiry_times: OrderedDict[str, float] = OrderedDict()

    def add(self, event: WebhookEvent | str) -> bool:
        """Remember an event, or an id, and return whether it is new. An event without any id is always new."""
        event_id = event if isinstance(event, str) else event.event_id
        now, known = self._clock(), self._expiry_times
        while known and next(iter(known.values())) <= now:
            known.popitem(last=False)
        if event_id is None:
            return True
        if event_id in known:
            return False
        if len(known) >= self._max_size:
            known.popitem(last=False)
        known[event_id] = now + self._ttl
        return True

    def discard(self, event: WebhookEvent | str) -> None:
        """Forget an event, for example because its processing failed and the service will send it again."""
        event_id = event if isinstance(event, str) else event.event_id
        self._expiry_times.pop(event_id or "", None)

    def __len__(self) -> int:
        """The number of events remembered."""
        return len(self._expiry_times)


def _content(body: str | bytes) -> bytes:
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    raise ValueError(f"body must be the body of the request as text or bytes, not {type(body).__name__}")


def _compact(content: bytes) -> bytes:
    """JSON without white space outside of strings."""
    return _STRING_OR_SPACE.sub(lambda match: match[1] or b"", content)

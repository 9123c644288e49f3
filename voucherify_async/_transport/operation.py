"""Value types: API operations, requests, delivery states and responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import msgspec

from voucherify_async._transport.rate_limit import RateLimit
from voucherify_async._transport.secrets import NO_SECRETS, Secrets
from voucherify_async.models._json import make_decoder

__all__ = [
    "Body",
    "Delivery",
    "Headers",
    "Operation",
    "Query",
    "RawResponse",
    "Request",
    "Response",
    "ResponseHeaders",
    "ResponseInfo",
]

T = TypeVar("T")

Query = Mapping[str, Any]
"""Query parameters by name. `None` and `UNSET` are omitted; datetimes must be timezone-aware."""


_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


# Classes instantiated for every call are Structs if possible: a dataclass takes several times as long to create.


class RawResponse(msgspec.Struct, gc=False):
    """An HTTP response before decoding.

    Attributes:
        status: HTTP status code.
        headers: Response headers.
        body: The whole body.
        secrets: Secrets of the request, to redact from errors if the response echoes them.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    secrets: Secrets = NO_SECRETS

    def __repr__(self) -> str:
        # The body may contain secrets and personal data.
        return f"<RawResponse {self.status}>"


@dataclass(slots=True)
class Headers:
    """Request headers in an object whose repr does not show them.

    Error reporters show the local variables of a traceback, and mappings item by item.

    Attributes:
        values: The headers.
        secrets: Secrets of the request, to redact from errors if the response echoes them.
    """

    values: Mapping[str, str] = field(repr=False)
    secrets: Secrets = field(default=NO_SECRETS, repr=False)


@dataclass(frozen=True)
class Operation(Generic[T]):
    """One operation of the API.

    Attributes:
        name: Its name in errors and logs, for example ``customers.get``.
        method: HTTP method.
        path: Path template, for example ``/v1/customers/{customer_id}``.
        into: The type of the result, or of an item for a list; `type(None)` if the body of the response does not
            matter. A method that returns the result of its operation must be annotated with this type.
        repeatable: Whether it is idempotent. `Request.once` excepts single calls.
        confidential: Whether the response contains a secret that must not appear in errors.
        removes: Whether it deletes something. A 404 then counts as success if an earlier attempt may have succeeded.
        limit_kind: The rate limit of the service that it counts against.
    """

    name: str
    method: str
    path: str
    into: type[T]
    repeatable: bool = True
    confidential: bool = False
    removes: bool = False
    limit_kind: str = "api_calls"

    @property
    def reads(self) -> bool:
        """Whether it is read-only, so that sending it changes nothing at the service."""
        return self.method in {"GET", "HEAD"}

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """The decoder for successful responses."""
        return make_decoder(self.into)


class Body(msgspec.Struct, frozen=True, gc=False):
    """An encoded request body, complete in memory so that it can be sent again.

    Attributes:
        content: The body, in bytes.
        content_type: Its ``Content-Type``.
    """

    content: bytes
    content_type: str

    def __repr__(self) -> str:
        return f"<Body {self.content_type}, {len(self.content)} bytes>"


class Request(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """An encoded call of an operation, ready to be sent any number of times.

    Attributes:
        operation: The operation.
        target: Path and query, percent-encoded.
        body: The request body, if any.
        headers: Additional headers for this call.
        once: Whether these arguments make the call non-idempotent, although the operation usually is.
        secrets: Secrets in the request other than credentials, to redact from errors.
        decode: Decodes a successful response, if the operation's type is not enough.
    """

    operation: Operation[T]
    target: str
    body: Body | None = None
    headers: Mapping[str, str] = _NO_HEADERS
    once: bool = False
    secrets: tuple[str, ...] = ()
    decode: Callable[[RawResponse], T] | None = None

    def __repr__(self) -> str:
        # Without the target: ids in it are personal data.
        return f"<Request {self.operation.name}>"

    @property
    def repeatable(self) -> bool:
        """Whether this call is idempotent, so that it may be sent again."""
        return self.operation.repeatable and not self.once


class Delivery(msgspec.Struct, gc=False):
    """How far an attempt got.

    Attributes:
        sent: False only if the request was certainly not sent, because there was no connection yet.
        reused: Whether the connection had been used for an earlier request.
        stale: Whether a reused connection broke before a response began. Usually the server had closed it while
            it was idle.
        permanent: Whether every retry would fail in the same way, such as for an untrusted certificate.
    """

    sent: bool = True
    reused: bool = False
    stale: bool = False
    permanent: bool = False


class ResponseHeaders(Mapping[str, str]):
    """Response headers. Names are case-insensitive; the values of a repeated header are joined with commas."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self._headers: dict[str, tuple[str, str]] = {}
        for name, value in headers:
            first_name, values = self._headers.get(name.lower(), (name, ""))
            self._headers[name.lower()] = first_name, f"{values}, {value}" if values else value

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._headers.values())

    def __len__(self) -> int:
        return len(self._headers)

    def __repr__(self) -> str:
        return f"ResponseHeaders({dict(self)})"


class ResponseInfo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The status, headers and statistics of a call that succeeded.

    Attributes:
        operation: The operation, for example ``customers.get``.
        status: HTTP status code.
        headers: Response headers; names are case-insensitive.
        request_id: The service's id of the request, if it gave one.
        rate_limit: The rate limit that the response reported, if any.
        attempts: How many attempts the call took.
        elapsed: Seconds from the start of the call, all waits and attempts included.
    """

    operation: str
    status: int
    headers: Mapping[str, str]
    request_id: str | None
    rate_limit: RateLimit | None
    attempts: int
    elapsed: float


class Response(ResponseInfo, Generic[T], frozen=True, kw_only=True, gc=False):
    """A successful response: its data, and the status, headers and statistics of the call.

    Attributes:
        data: The decoded body.
    """

    data: T

    def __repr__(self) -> str:
        return f"<Response {self.status} of {self.operation}>"  # without the data, which may be long

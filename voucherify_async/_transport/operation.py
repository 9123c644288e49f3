"""Operations of the API, and requests for them, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from voucherify_async._transport.secrets import NO_SECRETS, Secrets

if TYPE_CHECKING:
    from voucherify_async._transport.rate_limit import RateLimit

__all__ = ["Body", "Delivery", "Headers", "Operation", "Query", "RawResponse", "Request", "Response"]

T = TypeVar("T")

Query = Mapping[str, Any]
"""Query parameters by name. `None` and `UNSET` are left out; datetimes must be timezone-aware."""


_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


# What is made for every call is a Struct where it can be: a dataclass takes several times as long to make.


class RawResponse(msgspec.Struct, gc=False):
    """What came back.

    Attributes:
        status: HTTP status code.
        headers: Response headers.
        body: The whole body.
        secrets: What the request held and errors must not show, should the answer repeat it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    secrets: Secrets = NO_SECRETS

    def __repr__(self) -> str:
        # The body can hold a secret, and personal data.
        return f"<Answer {self.status}>"


@dataclass(slots=True)
class Headers:
    """What a request carries, in an object that hides it.

    Error reporters show the local variables of a traceback, mappings item by item.

    Attributes:
        values: The headers.
        secrets: What the request holds and errors must not show, should the answer repeat it.
    """

    values: Mapping[str, str] = field(repr=False)
    secrets: Secrets = field(default=NO_SECRETS, repr=False)


@dataclass(frozen=True)
class Operation(Generic[T]):
    """One operation of the API.

    Attributes:
        name: How errors and logs call it, for example ``customers.get``.
        method: HTTP method.
        path: Path template, for example ``/v1/customers/{customer_id}``.
        into: What a successful answer decodes into; `type(None)` for one whose body does not matter.
        repeatable: Whether sending it twice does what sending it once does. Single calls can differ.
        confidential: The answer holds a secret, which must not appear in an error.
        removes: Its aim is that something is gone: when an attempt may have done it, 404 says that it did.
        limit_kind: Which of the service's rate limits counts it.
    """

    name: str
    method: str
    path: str
    into: Any  # a type expression, such as Customer[dict[str, Any]], which type[T] does not cover
    repeatable: bool = True
    confidential: bool = False
    removes: bool = False
    limit_kind: str = "api_calls"

    @property
    def reads(self) -> bool:
        """Whether it only reads, so that the service never acts on it."""
        return self.method in {"GET", "HEAD"}

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """Decodes successful answers."""
        return msgspec.json.Decoder(self.into)


class Body(msgspec.Struct, frozen=True, gc=False):
    """An encoded request body, kept whole so that it can be sent again."""

    content: bytes
    content_type: str

    def __repr__(self) -> str:
        return f"<Body {self.content_type}, {len(self.content)} bytes>"


class Request(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A call of an operation, encoded and ready to be sent any number of times.

    Attributes:
        target: Path and query, percent-encoded.
        once: These arguments make a call that must not be sent twice, though the operation may be.
        secrets: What it holds besides credentials that errors must not show.
        decode: What a successful answer says, where that is more than decoding it into the operation's type.
    """

    operation: Operation[T]
    target: str
    body: Body | None = None
    headers: Mapping[str, str] = _NO_HEADERS
    once: bool = False
    secrets: tuple[str, ...] = ()
    decode: Callable[[RawResponse], T] | None = None

    def __repr__(self) -> str:
        # Without the target, as ids in it are personal data.
        return f"<Request {self.operation.name}>"

    @property
    def repeatable(self) -> bool:
        """Whether this call may be sent twice."""
        return self.operation.repeatable and not self.once


class Delivery(msgspec.Struct, gc=False):
    """How far an attempt got.

    Attributes:
        sent: False only when the request certainly did not go out: there was no connection yet.
        reused: The connection had served a request before.
        stale: Such a connection broke before there was an answer, as one does that the server has closed while
            it was idle.
        permanent: Another attempt would fail in the same way: the server's certificate was refused.
    """

    sent: bool = True
    reused: bool = False
    stale: bool = False
    permanent: bool = False


class Response(msgspec.Struct, Generic[T], frozen=True, kw_only=True, gc=False):
    """A successful answer.

    Attributes:
        data: The decoded body.
        status: HTTP status code.
        headers: Response headers; names compare without regard to case.
        request_id: The service's id of the request, if it gave one.
        rate_limit: What the answer says about the rate limit, if anything.
        attempts: How many attempts it took.
        elapsed: Seconds from the start of the call, all waits and attempts included.
    """

    data: T
    status: int
    headers: Mapping[str, str]
    request_id: str | None
    rate_limit: RateLimit | None
    attempts: int
    elapsed: float

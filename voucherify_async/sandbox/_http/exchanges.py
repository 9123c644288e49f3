"""The requests that the sandbox received and the responses that it sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web

from voucherify_async.sandbox._http.faults import Fault

__all__ = ["Exchange", "Exchanges"]

_MAX_EXCHANGES: Final = 10_000
_MAX_TOTAL_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that the sandbox received, and its response.

    Attributes:
        method: HTTP method.
        target: Path and query as sent.
        request_headers: Request headers, with case-insensitive names.
        request_body: The body as sent; empty if the request was rejected before its body was read.
        status: HTTP status of the response; 0 if none was sent.
        response_headers: Response headers, with case-insensitive names.
        response_body: The part of the response body that was sent.
        at: When the request arrived, in epoch seconds.
        elapsed: Seconds until the response was ready, or until the request was dropped without one.
        fault: The fault that hit the request, named like the attribute of `Faults`; ``status`` for a failure that
            `Sandbox.fail_next` has planned. A ``stale_keepalive`` fault marks two exchanges: the request that got a
            response, and the next one on its connection, which got none.

    `body` and `json()` are those of the request, as a test usually checks what was sent; `response_body` and
    `response_json()` are those of the response.
    """

    method: str
    target: str
    request_headers: Mapping[str, str] = field(repr=False)
    request_body: bytes = field(repr=False)
    status: int
    response_headers: Mapping[str, str] = field(repr=False)
    response_body: bytes = field(repr=False)
    at: float = field(default=0.0, repr=False, compare=False)
    elapsed: float = field(default=0.0, repr=False, compare=False)
    fault: Fault | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls, request: web.Request, body: bytes, response: web.Response, at: float, elapsed: float
    ) -> Exchange:
        """The exchange of an aiohttp request and its response."""
        content = response.body
        return cls(
            method=request.method,
            target=request.raw_path,
            request_headers=request.headers,
            request_body=body,
            status=response.status,
            response_headers=response.headers,
            response_body=content if isinstance(content, bytes) else b"",
            at=at,
            elapsed=elapsed,
        )

    def unanswered(self, fault: Fault) -> Exchange:
        """A copy for a request that got no response because of `fault`."""
        return replace(self, status=0, response_headers={}, response_body=b"", fault=fault)

    @property
    def body(self) -> bytes:
        """The body of the request: `request_body`."""
        return self.request_body

    def json(self) -> Any:
        """The decoded JSON body of the request.

        Raises:
            ValueError: The body is empty or not JSON.
        """
        return self._decode("request", self.request_body)

    def response_json(self) -> Any:
        """The decoded JSON body of the response.

        Raises:
            ValueError: The body is empty or not JSON: for example, no response was sent or it was cut off.
        """
        return self._decode("response", self.response_body)

    def _decode(self, name: str, body: bytes) -> Any:
        if not body:
            raise ValueError(f"the {name} has no body: {self!r}")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"the body of the {name} is not JSON: {error}: {self!r}") from None

    @property
    def path(self) -> str:
        """The decoded path."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> list[tuple[str, str]]:
        """The decoded query parameters."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)


class Exchanges(deque[Exchange]):
    """The most recent exchanges, oldest first: at most 10,000, fewer if they exceed 64 MiB in total.

    Attributes:
        seen: How many exchanges have been added in total, including those dropped since.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self._measured_length = 0
        self._total_bytes = 0

    def __repr__(self) -> str:
        return f"<Exchanges: the last {len(self):,} of {self.seen:,}>"

    def reset(self) -> None:
        """Drop all exchanges, and count from 1 again."""
        self.clear()
        self.seen = 0

    def keep(self, exchange: Exchange) -> None:
        """Add an exchange and drop the oldest ones beyond the limits."""
        if len(self) != self._measured_length:  # changed from outside, for example by `clear()`
            self._total_bytes = sum(map(_size, self))
        self.seen += 1
        self.append(exchange)
        self._total_bytes += _size(exchange)
        while len(self) > _MAX_EXCHANGES or (self._total_bytes > _MAX_TOTAL_BYTES and len(self) > 1):
            self._total_bytes -= _size(self.popleft())
        self._measured_length = len(self)


def _size(exchange: Exchange) -> int:
    """Approximate memory use of an exchange, in bytes."""
    headers = sum(map(len, exchange.request_headers.values()))
    return len(exchange.target) + headers + len(exchange.request_body) + len(exchange.response_body)

"""What arrived at the sandbox, and what was answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from voucherify_async.sandbox._http.faults import Fault

__all__ = ["Exchange", "Exchanges"]

_KEPT: Final = 10_000
_BYTES_KEPT: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that arrived, and what was answered.

    Attributes:
        method: HTTP method.
        target: Path and query, as they were sent.
        request_headers: Names compare without regard to case.
        request_body: The body as it was sent; empty if the answer did not wait for it.
        status: HTTP status of the answer; 0 if there was none.
        response_headers: Names compare without regard to case.
        response_body: The body of the answer, as far as it was sent.
        at: When the request came, in epoch seconds.
        elapsed: Seconds until the answer was given, or until it was clear that there would be none.
        fault: What hit it, as the attribute of `Faults` is named. Of ``stale_keepalive`` there are two: the
            request that was answered, and the next on its connection, which was not.
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
        """What arrived and what is answered."""
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
        """The same, if nothing is answered."""
        return replace(self, status=0, response_headers={}, response_body=b"", fault=fault)

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query parameters, decoded."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)


class Exchanges(deque[Exchange]):
    """The last of them: 10,000, or fewer when they are large.

    Attributes:
        seen: How many there have been.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self._counted = 0
        self._bytes = 0

    def keep(self, exchange: Exchange) -> None:
        """Add one, and forget the oldest of those that are too many."""
        if len(self) != self._counted:  # someone has cleared them
            self._bytes = sum(map(_size, self))
        self.seen += 1
        self.append(exchange)
        self._bytes += _size(exchange)
        while len(self) > _KEPT or (self._bytes > _BYTES_KEPT and len(self) > 1):
            self._bytes -= _size(self.popleft())
        self._counted = len(self)


def _size(exchange: Exchange) -> int:
    headers = sum(map(len, exchange.request_headers.values()))
    return len(exchange.target) + headers + len(exchange.request_body) + len(exchange.response_body)

"""Checks exchanges over HTTP against the published OpenAPI documents with `openapi-core`."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from .compiled import Document, Operation, Request, Response, inlined
from .overlay import DOCUMENTS, Json, operations, overlaid

VARIABLE = "VOUCHERIFY_OPENAPI_DIR"
"""The environment variable that says where the published documents are."""

# A call that no document knows is to be refused as this one, which can be refused in every way.
_REFUSED = ("put", "/v1/customers/{customerId}")

# The documents describe no other headers.
_RELEVANT = frozenset({"content-type", "x-app-id", "x-app-token", "x-voucherify-oauth", "authorization"})

_REMEMBERED = 4096
_LONGEST = 300


class Exchange(Protocol):
    """One request and its answer, as they were on the wire."""

    @property
    def method(self) -> str:
        """The method, in any case."""
        ...

    @property
    def target(self) -> str:
        """The path and the query, percent-encoded."""
        ...

    @property
    def request_headers(self) -> Mapping[str, str]:
        """The headers of the request."""
        ...

    @property
    def request_body(self) -> bytes:
        """The body of the request, empty when there is none."""
        ...

    @property
    def status(self) -> int:
        """The status of the answer."""
        ...

    @property
    def response_headers(self) -> Mapping[str, str]:
        """The headers of the answer."""
        ...

    @property
    def response_body(self) -> bytes:
        """The body of the answer, empty when there is none."""
        ...


class Contract:
    """What the published documents, with their faults mended, allow."""

    def __init__(self, published: Mapping[str, Json]) -> None:
        self.specs = {name: overlaid(name, document) for name, document in published.items()}
        self._operations: list[Operation] = []
        for spec in self.specs.values():
            document = Document(inlined(spec))
            for path, method, _ in operations(spec):
                self._operations.append(Operation(document, spec, path, method))
        # Where both fit, `/customers/importCSV` goes before `/customers/{customerId}`.
        self._operations.sort(key=lambda operation: operation.path.count("{"))
        (self._refused,) = (op for op in self._operations if (op.method, op.path) == _REFUSED)
        self._found: dict[tuple[object, ...], list[str]] = {}

    def check(self, exchange: Exchange) -> list[str]:
        """Return what is wrong with an exchange, in words; nothing when all is well.

        The answer is always checked, the request only when it was accepted: what the tests send wrong on
        purpose has to be refused.
        """
        path, _, query = exchange.target.partition("?")
        operation, variables = self._find(exchange.method.lower(), path)
        problems: list[str] = []
        if operation is not None and exchange.status < 400:
            headers = _relevant(exchange.request_headers)
            body = exchange.request_body
            problems += self._once(
                (operation, path, query, headers, _digest(body)),
                partial(_request_problems, operation, variables, query, Headers(headers), body),
            )
        elif exchange.status < 400:
            problems.append("the operation is undocumented")
        if operation is not None or exchange.status >= 400:
            headers = _relevant(exchange.response_headers)
            body = exchange.response_body
            problems += self._once(
                (operation, exchange.status, headers, _digest(body)),
                partial(
                    _answer_problems, operation or self._refused, exchange.status, Headers(headers), body
                ),
            )
        call = f"{exchange.method} {exchange.target} -> {exchange.status}"
        return [f"{call}: {problem}" for problem in problems]

    def _find(self, method: str, path: str) -> tuple[Operation | None, dict[str, str]]:
        for operation in self._operations:
            if operation.method == method and (match := operation.pattern.fullmatch(path)):
                return operation, match.groupdict()
        return None, {}

    def _once(self, key: tuple[object, ...], find: Callable[[], Iterator[str]]) -> list[str]:
        """Return what was found for the same key before, for the tests repeat themselves."""
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[key] = list(find())
        return found


def _relevant(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in headers.items() if name.lower() in _RELEVANT)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


def _request_problems(
    operation: Operation, variables: dict[str, str], query: str, headers: Headers, body: bytes
) -> Iterator[str]:
    known: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name, value in parse_qsl(query, keep_blank_values=True):
        # Deep objects are nested here deeper than the library reads them: they are told by name alone.
        if name.startswith("filters[") and "filters" in operation.query:
            continue
        if name not in operation.query:
            yield f"the query parameter {name!r} is undocumented"
            continue
        if name in seen:
            yield f"the query parameter {name!r} is repeated"
        seen.add(name)
        known.append((name, value))
    if body and not operation.takes_body:
        yield "the request has a body, and none is documented"
    request = Request(
        method=operation.method,
        path=operation.path,
        path_pattern=operation.path,
        parameters=RequestParameters(query=ImmutableMultiDict(known), header=headers, path=variables),
        content_type=headers.get("Content-Type", ""),
        body=body or None,
    )
    for error in operation.document.requests.iter_errors(request):
        yield from _explained("request", error)


def _answer_problems(operation: Operation, status: int, headers: Headers, body: bytes) -> Iterator[str]:
    has_content = operation.has_content.get(str(status))
    if has_content is None:
        yield "the status is undocumented"
        return
    if not has_content:
        if body:
            yield "the answer has a body, and none is documented"
        return
    request = Request(
        method=operation.method,
        path=operation.path,
        path_pattern=operation.path,
        parameters=RequestParameters(),
    )
    response = Response(status, headers, headers.get("Content-Type", ""), body or None)
    for error in operation.document.responses.iter_errors(request, response):
        yield from _explained("answer", error)


def _explained(part: str, error: BaseException) -> Iterator[str]:
    """Yield the causes that lie deepest: the library nests them."""
    if nested := getattr(error, "schema_errors", None):
        for schema_error in nested:
            yield f"{part}: {_leaf(schema_error)}"
    elif error.__cause__ is not None:
        name = getattr(error, "name", None)
        yield from _explained(f"{part}: {name}" if name else part, error.__cause__)
    else:
        yield f"{part}: {error}"[:_LONGEST]


def _leaf(error: Any, above: str = "") -> str:
    where = above + "".join(f"[{step!r}]" for step in error.path)
    if error.context:
        # Of the branches the one that fits best fails deepest.
        return _leaf(max(error.context, key=lambda branch: len(branch.path)), where)
    return f"{where} {error.message}".strip()[:_LONGEST]


@cache
def load(directory: Path) -> Contract:
    """Read the published documents, and mend and compile them, once for each directory."""
    return Contract({name: read(directory, name) for name in DOCUMENTS})


def read(directory: Path, name: str) -> Json:
    """Read one document as it was published."""
    document: Json = json.loads((directory / f"{name}.json").read_bytes())
    return document


def directory() -> Path | None:
    """Return where the environment says that the published documents are."""
    value = os.environ.get(VARIABLE)
    return Path(value) if value else None

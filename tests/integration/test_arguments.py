"""Arguments of the wrong type: each is refused by name, before anything is sent."""

from __future__ import annotations

import array
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
import pytest

from tests.support.wire import RawServer, raw_server, respond
from voucherify_async import (
    ApiKeys,
    ConfigurationError,
    Customer,
    DecodeError,
    LocalRateLimiter,
    OAuthClientCredentials,
    OAuthToken,
    Pager,
    RetryPolicy,
    Timeouts,
    VoucherifyClient,
)
from voucherify_async.sandbox import Sandbox

WRONG: list[Any] = [5, 1.5, float("nan"), object(), [1], b"bytes", "text", {"a": object()}, object]
"""Values of which a parameter takes some, if at all: those that its annotation says."""

GIVEN: dict[str, Any] = {
    "method": "POST",
    "path": "/v1/customers",
    "customer_id": "a",
    "async_action_id": "a",
    "access_token": "a-token-of-nobody",
    "file": b"Source_id\na\n",
    "customers": [{"source_id": "a"}],
    "source_ids": ["a"],
    "metadata": {},
    "source": [],
    "count": 2,
    "state": "state.sqlite",
    "into": Any,
    "items": "customers",
}
"""What is right for parameters that must be given."""

TOO_WIDE: dict[str, tuple[type, ...]] = {
    "request(json)": (int, float, list),
    "sync(source)": (list,),  # the report names items that are wrong
    "sync_metadata(source_ids)": (list,),
    "update_metadata_in_bulk(source_ids)": (dict,),  # its keys
    "sync_csv(path)": (str, bytes),  # there is no such file: a FileNotFoundError
    "import_csv(file)": (str, bytes),
    "delete_missing(state)": (str, bytes),
}
"""What a parameter takes although its annotation does not say so, or says so in words of its own."""


def accepts(hint: Any, value: Any) -> bool:
    """Whether a value is right for a parameter with this annotation."""
    if hint is Any:
        return True
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return any(accepts(part, value) for part in arguments)
    if origin is typing.Annotated:
        return accepts(arguments[0], value)
    if origin is typing.Literal:
        return isinstance(value, str)  # the service may know more of them by now
    if isinstance(hint, TypeVar) or origin is type:
        return isinstance(value, type)
    if origin is float:
        return isinstance(value, int | float) and value == value  # noqa: PLR0124  # not a number
    if not isinstance(origin, type) or getattr(origin, "_is_protocol", False):
        return False
    if not isinstance(value, origin):
        return False
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return not parts or not arguments or accepts(arguments[-1], parts[0])


def parameters_of(function: Any) -> dict[str, Any]:
    """The parameters of a function, those of its ``**`` among them, and their types."""
    hints = typing.get_type_hints(function, include_extras=False)
    found: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= typing.get_type_hints(typing.get_args(hints[parameter.name])[0])
        elif parameter.name != "self":
            found[parameter.name] = hints[parameter.name]
    return found


def public_methods(kind: type) -> list[Any]:
    return [
        member
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and len(inspect.signature(member).parameters) > 1
    ]


CLIENT = VoucherifyClient("id", "token")
RESOURCES = {name: type(getattr(CLIENT, name)) for name in ("customers", "async_actions", "oauth")}
METHODS = [
    *(("", method) for method in public_methods(VoucherifyClient)),
    *((name, method) for name, kind in RESOURCES.items() for method in public_methods(kind)),
    *(("pager", method) for method in public_methods(Pager)),
]
MADE = (
    VoucherifyClient,
    RetryPolicy,
    Timeouts,
    ApiKeys,
    OAuthToken,
    OAuthClientCredentials,
    LocalRateLimiter,
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for all tests: none of them may send it a request."""
    with Sandbox() as running:
        yield running


def wrong_values(function: Any, label: str) -> list[Any]:
    """A case for every parameter and every value that is wrong for it."""
    return [
        pytest.param(name, value, id=f"{label}({name})={type(value).__name__}-{place}")
        for name, hint in parameters_of(function).items()
        for place, value in enumerate(WRONG)
        if not accepts(hint, value) and not isinstance(value, TOO_WIDE.get(f"{label}({name})", ()))
    ]


def of_methods() -> list[Any]:
    return [
        pytest.param(owner, method.__name__, *case.values, id=f"{owner}.{case.id}")
        for owner, method in METHODS
        for case in wrong_values(method, method.__name__)
    ]


async def call(method: Callable[..., Any], given: dict[str, Any]) -> None:
    positional = [
        given.pop(parameter.name, parameter.default)
        for parameter in inspect.signature(method).parameters.values()
        if parameter.kind is parameter.POSITIONAL_ONLY
    ]
    result = method(*positional, **given)
    if inspect.isawaitable(result):
        await result
    elif hasattr(result, "__aenter__"):
        async with result:
            pass


@pytest.mark.parametrize(("owner", "method", "name", "value"), of_methods())
async def test_a_wrong_argument_is_refused_by_name(
    sandbox: Sandbox, voucherify: VoucherifyClient, owner: str, method: str, name: str, value: Any
) -> None:
    whose: Any = voucherify.customers.list() if owner == "pager" else voucherify
    whose = getattr(voucherify, owner) if owner in RESOURCES else whose
    function = getattr(whose, method)
    must = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    given = {other: GIVEN[other] for other in must}
    with pytest.raises((ValueError, ConfigurationError), match=name):
        await call(function, {**given, name: value})
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        pytest.param(kind, *case.values, id=case.id)
        for kind in MADE
        for case in wrong_values(kind.__init__, kind.__name__)
    ],
)
def test_a_wrong_setting_is_refused_by_name(kind: Any, name: str, value: Any) -> None:
    hints: dict[str, Any] = {
        "app_id": "id",
        "app_token": "token",
        "token": "t",
        "limit": 5,
        "period": 1.0,
        "client_id": "a",
        "client_secret": "b",
    }
    must = [
        parameter.name
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.default is parameter.empty
    ]
    given: dict[str, Any] = {other: hints[other] for other in must}
    if kind is VoucherifyClient:
        given = {} if name == "auth" else {"app_id": "id", "app_token": "token"}
    with pytest.raises((ValueError, ConfigurationError), match=name):
        kind(**{**given, name: value})


@pytest.mark.parametrize("content", ["text", [1, 2], 5, object()])
async def test_content_is_bytes(sandbox: Sandbox, voucherify: VoucherifyClient, content: Any) -> None:
    with pytest.raises(ValueError, match="content must be bytes"):
        await voucherify.request("POST", "/v1/customers", content=content)
    assert not sandbox.requests


class Foreign:
    """A class that msgspec does not know."""


class Holder(msgspec.Struct):
    items: list[Foreign]


@pytest.mark.parametrize("into", [Foreign, list[Foreign], dict[str, Foreign | None], Holder, ...])
async def test_a_type_that_cannot_be_decoded(
    sandbox: Sandbox, voucherify: VoucherifyClient, into: Any
) -> None:
    with pytest.raises(ValueError, match="into must be a type that msgspec can decode"):
        await voucherify.request("POST", "/v1/customers", json={}, into=into)
    with pytest.raises(ValueError, match="into must be a type that msgspec can decode"):
        voucherify.paginate("/v1/customers", items="customers", into=into)
    assert not sandbox.requests


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
async def test_a_query_has_finite_numbers(
    sandbox: Sandbox, voucherify: VoucherifyClient, number: float
) -> None:
    for query in ({"n": number}, {"a": {"n": [1, number]}}):
        with pytest.raises(ValueError, match=r"n.* must be a finite number"):
            await voucherify.request("GET", "/v1/customers", query=query)
    assert not sandbox.requests


async def test_content_is_as_long_as_its_bytes() -> None:
    async with (
        raw_server(respond()) as server,
        VoucherifyClient("id", "token", base_url=server.base_url) as client,
    ):
        content: Any = memoryview(array.array("I", [1, 2, 3]))
        await client.request("POST", "/v1/x", content=content)
    assert server.requests[0].endswith(b"\r\n\r\n" + bytes(content))
    assert f"Content-Length: {content.nbytes}".encode() in server.requests[0]


async def test_a_query_that_holds_itself(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    query: dict[str, Any] = {}
    query["a"] = query
    with pytest.raises(ValueError, match="query is nested too deeply"):
        await voucherify.request("GET", "/v1/customers", query=query)
    assert not sandbox.requests


@pytest.mark.parametrize("value", [0, -1, 2.5, float("nan"), float("inf"), True, "4", None])
def test_attempts_are_a_number(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"retry\.attempts"):
        RetryPolicy(attempts=value)


@pytest.mark.parametrize("value", [5, "503", [503], {"503"}])
def test_statuses_are_a_set(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"retry\.statuses"):
        RetryPolicy(statuses=value)


@pytest.mark.parametrize("value", ["x", 1.5, True, -1])
async def test_max_items(sandbox: Sandbox, voucherify: VoucherifyClient, value: Any) -> None:
    with pytest.raises(ValueError, match="max_items must be an integer from 0"):
        await voucherify.customers.list().to_list(max_items=value)
    assert not sandbox.requests


@pytest.mark.parametrize("value", ["x", True, -1, float("nan")])
async def test_a_timeout_of_a_wait(sandbox: Sandbox, voucherify: VoucherifyClient, value: Any) -> None:
    with pytest.raises(ValueError, match="timeout must be a number"):
        await voucherify.async_actions.wait("a", timeout=value)
    assert not sandbox.requests


# ---------------------------------------------------------------- headers

OWNED = ["Content-Length", "Transfer-Encoding", "Connection", "Host", "Expect", "Upgrade", "TE", "Trailer"]


@pytest.mark.parametrize("name", OWNED)
@pytest.mark.parametrize("written", [str.lower, str.upper, str.title])
async def test_headers_that_belong_to_the_connection(name: str, written: Any) -> None:
    headers = {written(name): "chunked"}
    async with (
        raw_server(respond()) as server,
        VoucherifyClient("id", "token", base_url=server.base_url) as client,
    ):
        with pytest.raises(ConfigurationError, match=f"headers must not have '{written(name)}'"):
            await client.request("POST", "/v1/x", json={}, headers=headers)
        with pytest.raises(ConfigurationError, match="headers must not have"):
            client.with_options(headers=headers)
        with pytest.raises(ConfigurationError, match="headers must not have"):
            VoucherifyClient("id", "token", headers=headers)
    assert not server.requests


# ---------------------------------------------------------------- answers

BROKEN = [
    pytest.param(b'{"id":"cust_2","name":"Ann \xff\xfe"}', id="no UTF-8"),
    pytest.param(b'{"id":"cust_2","name":7}', id="another type"),
]


def page_of(*items: bytes) -> bytes:
    content = b'{"object":"list","data_ref":"customers","total":3,"has_more":false,"customers":['
    return respond(body=content + b",".join(items) + b"]}")


async def listed(server: RawServer, **options: Any) -> list[Customer]:
    async with VoucherifyClient("id", "token", base_url=server.base_url) as client:
        return await client.customers.list(**options).to_list()


@pytest.mark.parametrize("broken", BROKEN)
async def test_one_broken_customer_is_one_invalid_item(broken: bytes) -> None:
    first, last = (b'{"id":"cust_%d","created_at":"2026-01-0%dT00:00:00Z"}' % (n, 4 - n) for n in (1, 3))
    async with raw_server(page_of(first, broken, last)) as server:
        problems: list[DecodeError] = []
        found = await listed(server, on_invalid=problems.append)
        assert [customer.id for customer in found] == ["cust_1", "cust_3"]
        assert [problem.item_id for problem in problems] == ["cust_2"]
        with pytest.raises(DecodeError, match="cust_2"):
            await listed(server)


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        (rb"Ann \ud83d", "Ann \ufffd"),
        (rb"\ude00 Ann", "\ufffd Ann"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\uDE00\uD83D", "\ufffd\ufffd"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
    ],
)
async def test_half_of_a_surrogate_pair_is_a_replacement_character(escaped: bytes, name: str) -> None:
    body = b'{"id":"cust_1","name":"' + escaped + b'"}'
    async with raw_server(page_of(body), respond(body=body)) as server:
        assert [customer.name for customer in await listed(server)] == [name]
        async with VoucherifyClient("id", "token", base_url=server.base_url) as client:
            assert (await client.customers.get("a")).name == name


@pytest.mark.parametrize(
    "call",
    [
        lambda customers: customers.create(nme="Ada"),
        lambda customers: customers.create(source_id="a", email=5, nme="Ada"),
        lambda customers: customers.update("a", nme="Ada"),
        lambda customers: customers.list(nme="Ada"),
        lambda customers: customers.stream(nme="Ada"),
        lambda customers: customers.plan_windows(2, nme="Ada"),
        lambda customers: customers.sync([], nme="Ada"),
        lambda customers: customers.sync_metadata([], {}, nme="Ada"),
        lambda customers: customers.sync_csv("a.csv", nme="Ada"),
    ],
    ids=range(9),
)
async def test_a_keyword_that_is_none_is_a_type_error(
    sandbox: Sandbox, voucherify: VoucherifyClient, call: Callable[[Any], Any]
) -> None:
    with pytest.raises(TypeError, match="^unexpected keyword argument: nme$"):
        await call(voucherify.customers)
    assert not sandbox.requests

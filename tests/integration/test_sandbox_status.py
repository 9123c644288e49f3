"""The status page over a socket: apart from the service, and closed to other people's pages."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from voucherify_async import VoucherifyClient
from voucherify_async.sandbox import Quota, Sandbox
from voucherify_async.sandbox._http.faults import Faults

OWN: list[Any] = [
    ("GET", "/", {}),
    ("GET", "/?from=bookmark", {}),
    ("GET", "/-/status", {}),
    ("PATCH", "/-/settings", {"json": {}}),
]


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(sandbox.base_url) as session:  # no credentials are asked for
        yield session


async def status(http: aiohttp.ClientSession) -> Any:
    async with http.get("/-/status") as answer:
        assert answer.status == 200
        return await answer.json()


async def send(sandbox: Sandbox, request: bytes) -> bytes:
    """Whatever comes back for these bytes."""
    host, port = sandbox.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_the_page(http: aiohttp.ClientSession) -> None:
    async with http.get("/", headers={"Accept": "*/*"}) as answer:
        assert (answer.status, answer.content_type, answer.charset) == (200, "text/html", "utf-8")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "script-src 'sha256-" in answer.headers["Content-Security-Policy"]
        assert "<title>Voucherify sandbox</title>" in await answer.text()


@pytest.mark.parametrize("path", ["/", "/-/status"])
async def test_what_asks_only_whether_it_is_ready(http: aiohttp.ClientSession, path: str) -> None:
    """As `wget --spider` and health checks of containers do."""
    async with http.get(path) as answer:
        expected = (answer.status, answer.content_type)
    async with http.head(path) as answer:
        assert (answer.status, answer.content_type) == expected == (200, expected[1])
        assert await answer.read() == b""
    async with http.get("/-/status") as answer:  # over the same connection
        assert answer.status == 200


async def test_it_is_no_part_of_the_service(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    sandbox.faults = Faults(reset=1)
    sandbox.latency = 3600
    sandbox.rate_limit = Quota(1)
    for _, (method, path, body) in itertools.product(range(3), OWN):
        async with asyncio.timeout(30), http.request(method, path, **body) as answer:
            assert answer.status == 200
            assert not [name for name in answer.headers if "Rate" in name]
    assert not sandbox.requests
    shown = await status(http)
    assert shown["counts"]["requests"] == 0
    assert [meter["remaining"] for meter in shown["meters"]] == [1, 1]


async def test_it_moves_nothing_of_what_the_seed_gives() -> None:
    async def answers(*, looked_at: bool) -> list[Any]:
        async with (
            Sandbox(seed=7, faults=Faults(status={503: 0.5})) as sandbox,
            aiohttp.ClientSession(sandbox.base_url) as http,
        ):
            given = []
            for _ in range(20):
                if looked_at:
                    await status(http)
                async with http.get("/v1/customers") as answer:
                    given.append((answer.status, answer.headers["X-Request-Id"]))
            return given

    assert await answers(looked_at=True) == await answers(looked_at=False)


async def test_what_a_client_does_is_shown(
    sandbox: Sandbox, voucherify: VoucherifyClient, http: aiohttp.ClientSession
) -> None:
    sandbox.rate_limit = Quota(5)
    await voucherify.customers.create(source_id="crm/1", name="Ada")
    receipt = await voucherify.customers.update_metadata_in_bulk(["crm/1"], {"tier": "gold"})
    await voucherify.async_actions.wait(receipt.async_action_id)
    shown = await status(http)
    assert shown["counts"]["customers"] == shown["counts"]["jobs"] == 1
    assert shown["counts"]["requests"] == len(sandbox.requests)
    first = shown["requests"][-1]
    assert (first["number"], first["method"], first["path"]) == (1, "POST", "/v1/customers")
    (job,) = shown["jobs"]
    assert (job["id"], job["status"], job["done"]) == (receipt.async_action_id, "DONE", 1)
    calls, bulk = shown["meters"]
    assert (calls["kind"], bulk["kind"]) == ("api_calls", "bulk_api_calls")
    assert bulk["remaining"] == 4

    sandbox.requests.clear()
    await voucherify.customers.list()
    shown = await status(http)
    assert [request["number"] for request in shown["requests"]] == [shown["counts"]["requests"]]


async def test_a_fault_is_shown_as_one(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    request = b"GET /v1/customers HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    sandbox.faults = Faults(reset=1)
    with pytest.raises(ConnectionError):
        await send(sandbox, request)
    sandbox.faults = Faults(status={503: 1})
    assert await send(sandbox, request)
    shown = (await status(http))["requests"]
    assert [(request["status"], request["fault"]) for request in shown] == [(503, "status"), (0, "reset")]


async def test_settings_are_in_force_at_once(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    settings = {"rate_limit": 1, "faults": {"status": {"503": 1}}}
    async with http.patch("/-/settings", json=settings) as answer:
        assert (await answer.json())["rate_limit"] == {"limit": 1, "period": 60, "fixed": False}
    assert (sandbox.rate_limit, sandbox.faults) == (Quota(1), Faults(status={503: 1}))
    for expected in (503, 429):
        async with http.get("/v1/customers") as answer:
            assert answer.status == expected
    async with http.patch("/-/settings", json={"rate_limit": None, "faults": None}):
        pass
    async with http.get("/v1/customers") as answer:
        assert answer.status == 401


async def test_a_bad_setting_is_explained(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    async with http.patch("/-/settings", json={"latency": -1}) as answer:
        assert answer.status == 400
        assert "latency must not be negative" in (await answer.json())["message"]
    assert sandbox.latency == 0


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/", {"Host": "rebound.example"}, 403),
        ("GET", "/-/status", {"Host": "rebound.example"}, 403),
        ("PATCH", "/-/settings", {"Host": "rebound.example", "Content-Type": "application/json"}, 403),
        ("PATCH", "/-/settings", {"Content-Type": "text/plain"}, 415),
        ("PATCH", "/-/settings", {"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, 403),
        ("OPTIONS", "/-/settings", {"Access-Control-Request-Method": "PATCH"}, 405),
        ("POST", "/", {}, 405),
        ("GET", "/-/nothing", {}, 404),
    ],
)
async def test_refusals(
    sandbox: Sandbox,
    http: aiohttp.ClientSession,
    method: str,
    path: str,
    headers: dict[str, str],
    expected: int,
) -> None:
    async with http.request(method, path, headers=headers, data=b'{"latency": 1}') as answer:
        assert answer.status == expected
        assert isinstance((await answer.json())["message"], str)
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert sandbox.latency == 0
    assert not sandbox.requests


async def test_localhost_is_this_machine(sandbox: Sandbox) -> None:
    answer = await send(sandbox, b"GET /-/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_request_from_before_there_were_hosts(sandbox: Sandbox) -> None:
    assert b" 403 " in (await send(sandbox, b"GET /-/status HTTP/1.0\r\n\r\n")).splitlines()[0]


async def test_a_compressed_body_is_refused(http: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with http.patch("/-/settings", data=b"x", headers=headers) as answer:
        assert answer.status == 415
        assert isinstance((await answer.json())["message"], str)


async def test_paths_of_any_bytes_are_shown(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    target = b"/v1/customers/%FF%C3%A9%ED%B3%BF?q=%00"
    assert await send(
        sandbox, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    (shown,) = (await status(http))["requests"]
    assert (shown["path"], shown["query"]) == ("/v1/customers/\ufffdé\ufffd\ufffd\ufffd", "q=\0")


def test_a_sandbox_in_a_thread_can_be_looked_at_too() -> None:
    async def look(sandbox: Sandbox) -> Any:
        async with aiohttp.ClientSession(sandbox.base_url) as http:
            return await status(http)

    with Sandbox(3) as sandbox:
        assert asyncio.run(look(sandbox))["counts"]["customers"] == 3


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/customers/a", "/reports/a.csv", "/"])
@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("rebound.example", True),
        ("box", False),
        ("BOX:8181", False),
        ("localhost", False),
        ("[::1]:1", False),
    ],
)
async def test_names_by_which_it_may_be_called(path: str, name: str, refused: bool) -> None:
    async with Sandbox(allow_hosts=["Box"]) as sandbox, aiohttp.ClientSession(sandbox.base_url) as http:
        keys = {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token}
        async with http.get(path, headers={**keys, "Host": name}) as answer:
            assert (answer.status == 403) is refused


@pytest.mark.parametrize(
    "name",
    [
        "",
        "*",
        "*.example.com",
        "http://sandbox",
        "box:8181",
        "box/",
        "a b",
        "[::1]",
        "b\u00fcro",
        "user@box",
        ".",
        "a..b",
        5,
    ],
)
def test_names_that_no_request_can_have(name: Any) -> None:
    """They would be accepted, and every request be rejected."""
    with pytest.raises(
        ValueError, match=r"^allow_hosts must be host names without scheme and port, such as "
    ):
        Sandbox(allow_hosts=["box", name])


def test_a_name_in_the_place_of_names() -> None:
    with pytest.raises(ValueError, match=r"^allow_hosts must be a list of host names, not 'box'"):
        Sandbox(allow_hosts="box")


@pytest.mark.parametrize("name", ["box", "My_Box-1.example.com", "xn--bro-hoa", "box.", "10.0.0.1", "::1"])
def test_names_that_requests_can_have(name: str) -> None:
    assert name.lower() in Sandbox(allow_hosts=[name]).hosts

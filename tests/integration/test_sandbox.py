"""The sandbox as a client in any language sees it."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.support.clocks import FakeClock
from voucherify_async import BadRequestError, ConnectionFailedError, RetryPolicy, VoucherifyClient
from voucherify_async.models import BulkUpdateResult
from voucherify_async.sandbox import Exchange, Sandbox
from voucherify_async.sandbox.__main__ import make_sandbox, serve
from voucherify_async.sandbox._http import exchanges
from voucherify_async.sandbox._store.jobs import BulkUpdate
from voucherify_async.sandbox._store.records import Customers
from voucherify_async.sandbox._store.store import Store

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token}
    async with aiohttp.ClientSession(sandbox.base_url, headers=headers) as session:
        yield session


REFUSED: list[Any] = [
    ("GET", "/v1", {}, 404, "not_found"),
    ("GET", "/v1/vouchers", {}, 404, "not_found"),
    ("GET", "/client/v1/qualifications", {}, 404, "not_found"),
    ("PATCH", "/v1/customers", {}, 405, "method_not_allowed"),
    ("POST", "/v1/customers/a", {}, 405, "method_not_allowed"),
    ("GET", "/v1/customers?limit=0", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?limit=101", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?limit=ten", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?page=100", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?limit=1&limit=2", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?colour=red", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?order=name", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?starting_after=soon", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?starting_after=2026-01-01", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?starting_after=2026-01-01T00:00:00", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers?created_at[after]=9999-12-31T23:59:59-23:00", {}, 400, "invalid_query_params"),
    (
        "GET",
        "/v1/customers?order=source_id&starting_after=2026-01-01T00:00:00Z",
        {},
        400,
        "invalid_query_params",
    ),
    ("GET", "/v1/async-actions?end_date=soon", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers/a/activity?category=OTHER", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers/a/segments?limit=5", {}, 400, "invalid_query_params"),
    (
        "GET",
        "/v1/customers/a/redeemables?filters[colour][conditions][$is]=x",
        {},
        400,
        "invalid_query_params",
    ),
    ("GET", "/v1/customers/a/redeemables?filters[id][conditions][$like]=x", {}, 400, "invalid_query_params"),
    ("GET", "/v1/customers/a/redeemables?filters[id]=x", {}, 400, "invalid_query_params"),
    (
        "GET",
        "/v1/customers/a/redeemables?filters[created_at][conditions][$after]=x",
        {},
        400,
        "invalid_query_params",
    ),
    (
        "GET",
        "/v1/customers/a/redeemables?filters[created_at][conditions][$more_than]=x",
        {},
        400,
        "invalid_query_params",
    ),
    ("GET", "/v1/customers/a/redeemables?filters[junction]=xor", {}, 400, "invalid_query_params"),
    ("POST", "/v1/customers", {"data": b"{", "headers": JSON}, 400, "invalid_json"),
    ("POST", "/v1/customers", {"data": b"\xff", "headers": JSON}, 400, "invalid_json"),
    ("POST", "/v1/customers", {"data": b"a=b"}, 415, "unsupported_media_type"),
    ("POST", "/v1/customers", {"json": []}, 400, "invalid_payload"),
    ("POST", "/v1/customers", {"json": {"source_id": 5}}, 400, "invalid_payload"),
    ("POST", "/v1/customers", {"json": {"id": ""}}, 400, "invalid_payload"),
    ("POST", "/v1/customers", {"json": {"name": 5}}, 400, "invalid_payload"),
    ("POST", "/v1/customers", {"json": {"birthdate": "2026-13-01"}}, 400, "invalid_payload"),
    ("POST", "/v1/customers", {"json": {"birthdate": 5}}, 400, "invalid_payload"),
    ("POST", "/v1/customers", {"json": {"address": "London"}}, 400, "invalid_payload"),
    ("POST", "/v1/customers", {"json": {"address": {"city": 5}}}, 400, "invalid_payload"),
    ("POST", "/v1/customers", {"json": {"metadata": "x"}}, 400, "invalid_payload"),
    ("POST", "/v1/customers/bulk/async", {"json": {}}, 400, "invalid_payload"),
    ("POST", "/v1/customers/bulk/async", {"json": [{"name": "x"}]}, 400, "invalid_payload"),
    ("POST", "/v1/customers/bulk/async", {"json": ["x"]}, 400, "invalid_payload"),
    ("POST", "/v1/customers/metadata/async", {"json": []}, 400, "invalid_payload"),
    ("POST", "/v1/customers/metadata/async", {"json": {"source_ids": ["a", 5]}}, 400, "invalid_payload"),
    ("POST", "/v1/customers/metadata/async", {"json": {"source_ids": ["a"]}}, 400, "invalid_payload"),
    ("POST", "/v1/customers/importCSV", {"json": {}}, 415, "unsupported_media_type"),
    ("POST", "/v1/oauth/token", {"json": {}}, 415, "unsupported_media_type"),
    (
        "POST",
        "/v1/oauth/token",
        {"data": {"grant_type": "password", "scope": "api"}},
        400,
        "invalid_grant_type",
    ),
    ("POST", "/v1/oauth/token", {"data": {"grant_type": "client_credentials"}}, 400, "invalid_scope"),
    ("POST", "/v1/oauth/introspect", {"data": {"token": "x"}}, 400, "missing_parameters"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "key"), REFUSED)
async def test_what_is_refused(
    http: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any], status: int, key: str
) -> None:
    async with http.request(method, path, **body) as answer:
        error = await answer.json()
        assert (answer.status, error["code"], error["key"]) == (status, status, key)
        assert error["message"]
        assert error["request_id"] == answer.headers["X-Request-Id"]
        assert error["request_id"].startswith("v-")


def form(**files: bytes) -> aiohttp.FormData:
    data = aiohttp.FormData(default_to_multipart=True)
    for name, content in files.items():
        data.add_field(name, content, filename="a.csv", content_type="text/csv")
    return data


@pytest.mark.parametrize(
    ("files", "key"),
    [
        ({}, "missing_file"),
        ({"other": b"Source_id\na\n"}, "missing_file"),
        ({"file": b""}, "invalid_csv"),
        ({"file": b"Source id,Name\na,b\n"}, "invalid_csv"),
        ({"file": b"\xff\xfe"}, "invalid_csv"),
        ({"file": b'Source_id\n"a\n'}, "invalid_csv"),
    ],
)
async def test_csv_files_that_are_refused(
    http: aiohttp.ClientSession, files: dict[str, bytes], key: str
) -> None:
    data = form(**files)
    if not files:
        data.add_field("kind", "x")
    async with http.post("/v1/customers/importCSV", data=data) as answer:
        assert (answer.status, (await answer.json())["key"]) == (400, key)


async def test_metadata_that_would_be_merged_for_many_seconds(http: aiohttp.ClientSession) -> None:
    metadata = {f"key-{number}": "x" * 1_000 for number in range(1_000)}
    for count, status in ((90, 202), (110, 413)):
        body = {"source_ids": [f"crm-{number}" for number in range(count)], "metadata": metadata}
        async with http.post("/v1/customers/metadata/async", json=body) as answer:
            assert answer.status == status


@pytest.mark.parametrize("over", [1, 200_000])
async def test_bodies_over_10_mb(http: aiohttp.ClientSession, over: int) -> None:
    wanted = {
        "statusCode": 413,
        "error": "Request Entity Too Large",
        "message": "Payload content length greater than maximum allowed: 10485760",
    }
    content = io.BytesIO(b" " * (10_485_760 + over))
    async with http.post("/v1/customers/bulk/async", data=content, headers=JSON) as answer:
        assert (answer.status, await answer.json()) == (413, wanted)
    data = aiohttp.FormData()
    data.add_field("file", io.BytesIO(b" " * (10_485_760 + over)), filename="a.csv", content_type="text/csv")
    async with http.post("/v1/customers/importCSV", data=data) as answer:
        assert (answer.status, await answer.json()) == (413, wanted)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-App-Id": "sandbox-app-id"},
        {"X-App-Id": "sandbox-app-id", "X-App-Token": "é"},
        {"Authorization": "Basic abc"},
        {"Authorization": "Bearer abc"},
        {"X-Voucherify-OAuth": "abc"},
    ],
)
async def test_who_is_refused(sandbox: Sandbox, headers: dict[str, str]) -> None:
    async with (
        aiohttp.ClientSession(sandbox.base_url, headers=headers) as http,
        http.get("/v1/customers") as answer,
    ):
        assert (answer.status, (await answer.json())["key"]) == (401, "unauthorized")


async def test_beside_an_id_that_exists_the_source_id_is_ignored(http: aiohttp.ClientSession) -> None:
    first = await (await http.post("/v1/customers", json={})).json()
    await http.post("/v1/customers", json={"source_id": "b"})
    for source_id in ("b", "c"):
        body = {"id": first["id"], "source_id": source_id, "name": "Ada"}
        async with http.post("/v1/customers", json=body) as answer:
            told = await answer.json()
            assert (told["id"], told["source_id"], told["name"]) == (first["id"], None, "Ada")
    async with http.get("/v1/customers/b") as answer:
        assert "name" not in await answer.json()


async def test_has_more_comes_only_with_starting_after(http: aiohttp.ClientSession) -> None:
    plain = await (await http.get("/v1/customers")).json()
    assert "has_more" not in plain
    walked = await (await http.get("/v1/customers?starting_after=2200-01-01T00:00:00Z")).json()
    assert walked["has_more"] is False


async def test_what_arrived_is_kept(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    await voucherify.customers.create(source_id="a/b")
    await voucherify.customers.list_activity("a/b", type="customer.created")
    exchange = sandbox.requests[-1]
    assert (exchange.method, exchange.status) == ("GET", 200)
    assert exchange.target == "/v1/customers/a%2Fb/activity?type=customer.created"
    assert exchange.path == "/v1/customers/a/b/activity"
    assert exchange.query == [("type", "customer.created")]
    assert sandbox.app_token not in repr(exchange)


class TestHowMuchIsKept:
    @staticmethod
    async def ask(http: aiohttp.ClientSession, number: int, size: int = 0) -> None:
        content = io.BytesIO(b'["' + b"a" * size + b'"]')
        async with http.post(f"/v1/customers?n={number}", data=content, headers=JSON) as answer:
            assert answer.status == 400

    @staticmethod
    def kept(sandbox: Sandbox) -> list[str]:
        return [exchange.query[0][1] for exchange in sandbox.requests]

    async def test_as_many_as_are_to_be_kept(
        self, sandbox: Sandbox, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exchanges, "_MAX_EXCHANGES", 3)
        for number in range(5):
            await self.ask(http, number)
        assert self.kept(sandbox) == ["2", "3", "4"]

    async def test_fewer_when_their_bodies_are_large(
        self, sandbox: Sandbox, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exchanges, "_MAX_TOTAL_BYTES", 10_000)
        for number, size in enumerate([4_000, 4_000, 0, 4_000]):
            await self.ask(http, number, size)
        assert self.kept(sandbox) == ["1", "2", "3"]
        sandbox.requests.clear()  # what is gone does not count
        for number, size in enumerate([4_000, 4_000, 0]):
            await self.ask(http, number, size)
        assert self.kept(sandbox) == ["0", "1", "2"]
        await self.ask(http, 3, 20_000)
        assert self.kept(sandbox) == ["3"]


class TestLifetime:
    async def test_before_and_after(self) -> None:
        sandbox = Sandbox()
        with pytest.raises(RuntimeError, match="not running"):
            _ = sandbox.base_url
        await sandbox.start()
        url = sandbox.base_url
        await sandbox.aclose()
        await sandbox.aclose()
        async with VoucherifyClient("a", "b", base_url=url, retry=RetryPolicy(attempts=1)) as client:
            with pytest.raises(ConnectionFailedError):
                await client.customers.list()

    async def test_a_port_that_is_taken(self, sandbox: Sandbox) -> None:
        port = int(sandbox.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"):
            await Sandbox(port=port).start()

    async def test_ipv6(self) -> None:
        async with Sandbox(host="::1") as sandbox, sandbox.client() as client:
            assert sandbox.base_url.startswith("http://[::1]:")
            await client.customers.create(source_id="a")

    @pytest.mark.parametrize("name", ["customers", "latency", "job_seconds", "job_seconds_per_item"])
    def test_bad_settings(self, name: str) -> None:
        settings: dict[str, Any] = {name: -1}
        with pytest.raises(ValueError, match=f"^{name} must not be negative, not -1$"):
            Sandbox(**settings)


class TestSeed:
    def test_the_same_seed_gives_the_same_customers(self) -> None:
        def shown(seed: int) -> list[Any]:
            return [record.to_json() for record in Sandbox(customers=30, seed=seed).store.customers.values()]

        assert shown(7) == shown(7)
        assert shown(7) != shown(8)

    def test_they_are_believable(self) -> None:
        records = list(Sandbox(customers=500).store.customers.values())
        assert len({record.source_id or record.id for record in records}) == 500
        assert any(not record.fields["name"].isascii() for record in records)
        assert any("/" in str(record.source_id) for record in records)
        assert max(Counter(record.created for record in records).values()) > 1
        assert any(record.redeemables for record in records)
        assert any(record.summary for record in records)

    async def test_they_keep_the_contract(self) -> None:
        async with Sandbox(customers=100) as sandbox, sandbox.client() as client:
            found = await client.customers.list().to_list()
            held = [await client.customers.list_redeemables(customer.id).to_list() for customer in found[:20]]
        assert len(found) == 100
        assert any(held)


def test_a_job_that_breaks_ends_as_failed_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock(0.0)
    store = Store(clock=clock)

    class Broken(BulkUpdate):
        def do(self, customers: Customers, items: range) -> None:
            raise RuntimeError("broken")

    job = store.schedule("X", "v-1", Broken(["a"]))
    clock.now = 5.0
    store.advance()
    shown = job.to_json(clock.now)
    assert (shown["status"], shown["operation_status"]) == ("FAILED", "FAILED")
    assert "failed with an exception" in caplog.text
    assert store.now().timestamp() == 5.0


async def test_metadata_of_a_key_that_is_an_id(voucherify: VoucherifyClient) -> None:
    """An id is not a source id: the customer is not found by it, and a new one is made."""
    await voucherify.customers.create(id="x", source_id="y")
    receipt = await voucherify.customers.update_metadata_in_bulk(["x", "z"], {"n": 1})
    job = await voucherify.async_actions.wait(receipt.async_action_id)
    assert isinstance(job.result, BulkUpdateResult)
    assert (job.result.done_count, job.result.failed_count) == (2, 0)
    assert (await voucherify.customers.get("y")).metadata is None
    assert (await voucherify.customers.get("z")).metadata == {"n": 1}


async def test_a_csv_row_is_not_found_by_an_id_in_the_place_of_its_source_id(
    voucherify: VoucherifyClient,
) -> None:
    await voucherify.customers.create(id="x", source_id="y", name="Ada")
    receipt = await voucherify.customers.import_csv(b"Source_id,Name\nx,Bob\n")
    await voucherify.async_actions.wait(receipt.async_action_id)
    assert (await voucherify.customers.get("y")).name == "Ada"


async def test_a_defect_is_answered_in_json(
    http: aiohttp.ClientSession, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.store, "segments", None)
    async with http.get("/v1/customers/a/segments") as answer:
        assert (answer.status, (await answer.json())["key"]) == (500, "internal_error")


async def test_odd_requests_are_answered_in_json(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    async with http.get(URL(f"{sandbox.base_url}/v1/customers/a%0Ab", encoded=True)) as answer:
        assert (answer.status, (await answer.json())["resource_id"]) == (404, "a\nb")
    async with http.get(f"/v1/customers/{'é' * 3_000}") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, 404)
    deep = io.BytesIO(b"[" * 100_000)
    async with http.post("/v1/customers", data=deep, headers=JSON) as answer:
        assert (answer.status, (await answer.json())["key"]) == (400, "invalid_json")
    gzipped = {**JSON, "Content-Encoding": "gzip"}
    async with http.post("/v1/customers", data=b"not gzip", headers=gzipped) as answer:
        assert (answer.status, (await answer.json())["key"]) == (415, "unsupported_media_type")
    form = io.BytesIO(b"a=" + b"b" * 10_485_760)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    async with http.post("/v1/oauth/token", data=form, headers=kind) as answer:
        assert answer.status == 413


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_a_signal(capsys: pytest.CaptureFixture[str], number: signal.Signals) -> None:
    serving = asyncio.create_task(serve(make_sandbox(["--port", "0", "--customers", "3"])))
    while not (out := capsys.readouterr().out):  # noqa: ASYNC110  # another's print, which sets no event
        await asyncio.sleep(0.01)
    assert out.startswith("Voucherify sandbox with 3 customers")
    signal.raise_signal(number)
    await serving


async def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voucherify_async.sandbox", "--port", "0", "--customers", "25", "--seed", "7",
        "--job-seconds", "0.1", "--job-seconds-per-item", "0.05",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        first = (await process.stdout.readline()).decode()
        assert first.startswith("Voucherify sandbox with 25 customers")
        for _ in range(3):
            name, _, value = (
                (await process.stdout.readline()).decode().strip().removeprefix("export ").partition("=")
            )
            monkeypatch.setenv(name, value)
        async with VoucherifyClient() as client:
            assert len(await client.customers.list().to_list()) == 25
            receipt = await client.customers.update_in_bulk([{"source_id": "a"}, {"source_id": "b"}])
            job = await client.async_actions.wait(receipt.async_action_id)
            assert job.processing_time == 200
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0


async def test_the_report_of_a_bulk_job_is_downloaded_without_credentials(
    sandbox: Sandbox, voucherify: VoucherifyClient
) -> None:
    await voucherify.customers.create(source_id="known")
    receipt = await voucherify.customers.update_in_bulk([{"source_id": "known"}, {"source_id": "new, one"}])
    job = await voucherify.async_actions.wait(receipt.async_action_id)
    assert isinstance(job.result, BulkUpdateResult)
    assert job.result.reports is not None
    (address,) = job.result.reports
    assert address.startswith(sandbox.base_url)
    async with aiohttp.ClientSession() as anybody:
        async with anybody.get(address) as answer:
            assert (answer.status, answer.content_type) == (200, "text/csv")
            assert await answer.text() == (
                'source_id,found,updated\r\nknown,true,true\r\n"new, one",false,true\r\n'
            )
        async with anybody.get(address.replace("aa_", "aa_0")) as answer:
            assert answer.status == 404


async def test_what_else_may_be_done_is_told(http: aiohttp.ClientSession) -> None:
    async with http.patch("/v1/customers/a") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "DELETE, GET, PUT")


async def test_a_thousand_tokens_at_a_time(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    clock = sandbox.store.clock = FakeClock(sandbox.store.clock())
    for _ in range(999):
        sandbox.store.issue_token("api")
    await voucherify.oauth.create_token()
    with pytest.raises(BadRequestError) as caught:
        await voucherify.oauth.create_token()
    assert caught.value.key == "oauth_tokens_limit_exceeded"
    clock.now += 900
    await voucherify.oauth.create_token()
    assert len(sandbox.store.tokens) == 1


@pytest.mark.parametrize("deep", [False, True])
async def test_how_deep_a_body_may_be_nested(http: aiohttp.ClientSession, deep: bool) -> None:
    levels = 99 if deep else 98
    body = b'{"metadata":{"n":' + b"[" * levels + b"]" * levels + b"}}"
    async with http.post("/v1/customers", data=body, headers=JSON) as answer:
        assert answer.status == (400 if deep else 200)


class TestActivities:
    @staticmethod
    async def listed(http: aiohttp.ClientSession, **query: str) -> list[dict[str, Any]]:
        url = URL("/v1/customers/a/activities").with_query(limit="100", **query)
        async with http.get(url) as answer:
            content = await answer.json()
            assert "has_more" not in content
            found: list[dict[str, Any]] = content["data"]
            return found

    @pytest.fixture(autouse=True)
    def lived(self, sandbox: Sandbox) -> None:
        record = sandbox.store.upsert({"source_id": "a"})
        seeded = Sandbox(60, seed=7).store.customers.values()
        record.activity = max((other.activity for other in seeded), key=len)

    @pytest.mark.parametrize("order", ["created_at", "-created_at"])
    async def test_starting_after_an_instant(self, http: aiohttp.ClientSession, order: str) -> None:
        everything = await self.listed(http, order=order)
        middle = everything[len(everything) // 2]["created_at"]
        found = await self.listed(http, order=order, starting_after=middle)
        wanted = [
            event
            for event in everything
            if (event["created_at"] < middle if order.startswith("-") else event["created_at"] > middle)
        ]
        assert found == wanted
        assert found

    @pytest.mark.parametrize("order", ["type", "category", "campaign", "code", "updated_at"])
    async def test_orders(self, http: aiohttp.ClientSession, order: str) -> None:
        rising = await self.listed(http, order=order)
        assert await self.listed(http, order=f"-{order}") == rising[::-1]
        if order == "type":
            assert [event["type"] for event in rising] == sorted(event["type"] for event in rising)


@pytest.mark.parametrize(
    ("scope", "status"), [("api", 200), ("customers vouchers", 200), ("vouchers async-actions", 403)]
)
async def test_a_scope_is_a_limit(sandbox: Sandbox, scope: str, status: int) -> None:
    token = sandbox.store.issue_token(scope).value
    async with (
        aiohttp.ClientSession(sandbox.base_url, headers={"Authorization": f"Bearer {token}"}) as http,
        http.get("/v1/customers") as answer,
    ):
        assert answer.status == status


async def test_it_runs_once(sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
    with pytest.raises(RuntimeError, match="running already"):
        await sandbox.start()
    with pytest.raises(RuntimeError, match="running already"), sandbox:
        pass
    await voucherify.customers.create(source_id="a")


async def test_the_source_id_of_a_row_says_whose_it_is(voucherify: VoucherifyClient) -> None:
    for number in "12":
        await voucherify.customers.create(id=f"I{number}", source_id=f"S{number}")
    receipt = await voucherify.customers.import_csv(b"Id,Source_id,Name\nI1,S2,changed\n")
    await voucherify.async_actions.wait(receipt.async_action_id)
    assert [(await voucherify.customers.get(f"S{number}")).name for number in "12"] == [None, "changed"]


async def test_whoever_listens_gets_each_exchange(
    sandbox: Sandbox, voucherify: VoucherifyClient, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Exchange] = []
    sandbox.on_exchange = heard.append
    await voucherify.customers.list()
    assert heard == list(sandbox.requests)

    def fail(exchange: Exchange) -> None:
        raise LookupError(exchange.path)

    sandbox.on_exchange = fail
    await voucherify.customers.list()
    assert [record.message for record in caplog.records if record.name == "voucherify_async.sandbox"] == [
        "on_exchange raised an exception"
    ]
    sandbox.on_exchange = None
    await voucherify.customers.list()
    assert len(heard) == 1


async def test_it_says_which_sections_it_has(sandbox: Sandbox) -> None:
    """A 404 for an unknown endpoint must not read like a missing voucher. Client-side keys are not known either."""
    keys = {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token}
    client_keys = {"X-Client-Application-Id": "a", "X-Client-Token": "b"}
    for path, headers in (("/v1/vouchers/a", keys), ("/client/v1/validations", client_keys)):
        async with (
            aiohttp.ClientSession(sandbox.base_url, headers=headers) as http,
            http.get(path) as answer,
        ):
            assert answer.status == 404
            error = await answer.json()
        assert error["details"] == (
            "The sandbox has no such endpoint: it has those of customers, async actions and OAuth only"
        )
        assert "resource_id" not in error

"""`examples/fastapi_app` under uvicorn: two processes on real sockets, with a sandbox as the service."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.support.internals import stalled_requests
from tests.support.loops import until
from tests.support.programs import EXAMPLES
from voucherify_async import ConfigurationError, VoucherifyClient
from voucherify_async.sandbox import Faults, Quota, Sandbox

ROOT = EXAMPLES.parent
SECRET = "webhook-secret"
MANY = 8_000
"""Customers whose export is several times as large as all socket buffers together."""
PAGES = MANY // 100
EXPORT_ENDED = "GET /customers.ndjson 200"

LEAKS = re.compile(
    "ResourceWarning|Exception ignored|Task was destroyed|Task exception|never (retrieved|awaited)|[Uu]nclosed"
)
FAILURES = {
    int(status)
    for statuses in re.findall(
        r"^\| (\d{3}(?:, \d{3})*) \|", (ROOT / "docs/pages/fastapi.md").read_text(), re.MULTILINE
    )
    for status in statuses.split(", ")
    if status == "429" or int(status) > 500
}
"""What the documented table allows if the service fails or is busy."""


# ---------------------------------------------------------------- the server


class Server:
    """The example under uvicorn.

    Attributes:
        url: Where it listens.
        service_port: Where it expects the service.
    """

    def __init__(self, log_path: Path, service_port: int, *options: str) -> None:
        self.url = ""
        self.service_port = service_port
        self._log_path = log_path
        [command] = re.findall(r"^uvicorn .+", (EXAMPLES / "fastapi_app/README.md").read_text(), re.MULTILINE)
        inherited = {name: value for name, value in os.environ.items() if not is_setting(name)}
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "dev", "-W", "error", "-m", *command.split(), "--port", "0", *options],
                cwd=ROOT,
                env={
                    **inherited,
                    "PYTHONPATH": str(ROOT),
                    "VOUCHERIFY_APP_ID": "sandbox-app-id",
                    "VOUCHERIFY_APP_TOKEN": "sandbox-app-token",
                    "VOUCHERIFY_BASE_URL": f"http://127.0.0.1:{service_port}",
                    "VOUCHERIFY_WEBHOOK_SECRET": SECRET,
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    async def start(self) -> None:
        await until(lambda: self.check_running() and self.log.count("Application startup complete") == 2)
        self.url = re.findall(r"running on (http://\S+)", self.log)[0]

    def check_running(self) -> bool:
        assert self.process.poll() is None, self.log
        return True

    def http(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None)
        return httpx.AsyncClient(base_url=self.url, limits=limits, timeout=None, trust_env=False)

    async def stop(self) -> None:
        """Stop the server as an orchestrator does, and check that nothing is left behind."""
        self.process.send_signal(signal.SIGTERM)
        await self.stopped()

    async def stopped(self) -> None:
        """Wait until the server has ended after a SIGTERM."""
        await until(lambda: self.process.poll() is not None)
        # With workers, uvicorn exits normally; without, it would end with the signal.
        assert self.process.returncode == 0, self.log
        assert self.log.count("Application shutdown complete") == 2
        # uvicorn's parent does not close the socket that its workers inherit.
        port = self.url.rpartition(":")[2]
        uvicorns = rf"(Exception ignored in: )?(ResourceWarning: unclosed )?<socket\.socket .*laddr=\('127\.0\.0\.1', {port}\)>"
        leaks = [line for line in self.log.splitlines() if LEAKS.search(line)]
        assert [line for line in leaks if not re.fullmatch(uvicorns, line)] == []

    def close(self) -> None:
        if self.process.poll() is None:  # a test failed
            os.killpg(self.process.pid, signal.SIGKILL)  # the workers too, which would outlive their parent
        self.process.wait()


def is_setting(name: str) -> bool:
    return name.startswith(("VOUCHERIFY_", "OTEL_", "REDIS_", "UVICORN_")) or name.lower().endswith("_proxy")


@contextmanager
def reserved_port() -> Generator[int]:
    """A port that nobody else is given, as the server needs the URL of the sandbox, and the sandbox that of the server."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@asynccontextmanager
async def serving(log_path: Path, *options: str) -> AsyncGenerator[Server]:
    """A server for one test, which stops it."""
    with reserved_port() as port, closing(Server(log_path, port, *options)) as server:
        await server.start()
        yield server
        await server.stopped()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests that do not stop it."""
    log_path = tmp_path_factory.mktemp("server") / "log"
    with reserved_port() as port, closing(Server(log_path, port)) as server:
        asyncio.run(server.start())
        yield server
        asyncio.run(server.stop())


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The same, with a check of what it logs during the test."""
    begin = len(shared_server.log)
    yield shared_server
    assert "Traceback" not in shared_server.log[begin:]
    assert shared_server.check_running()


def sandbox_of(server: Server, customers: int = 0, **settings: Any) -> Sandbox:
    """The service of the server."""
    return Sandbox(
        customers,
        port=server.service_port,
        webhooks=f"{server.url}/webhooks",
        webhook_secret=SECRET,
        **settings,
    )


def ids(sandbox: Sandbox) -> set[str]:
    return set(sandbox.store.customers)


def export_pages(sandbox: Sandbox) -> int:
    """How many pages of lists the server has fetched."""
    return sum(exchange.path == "/v1/customers" for exchange in sandbox.requests)


# ---------------------------------------------------------------- load


class Load:
    """Requests of all kinds.

    Attributes:
        expected: The statuses of each kind if nothing fails.
        statuses: How often each kind of request had which status; 0 for an export that was cut off.
    """

    def __init__(self, http: httpx.AsyncClient, customers: set[str]) -> None:
        self._http = http
        self._customers = sorted(customers)
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.expected = {
            "pages": 200,
            "sign_up": 201,
            "bad_sign_up": 422,
            "profile": 200,
            "nobody": 404,
            "update": 200,
            "bad_id": 422,
            "bad_cursor": 400,
            "export": 200,
            "webhook": 204,
            "forged_webhook": 401,
            "live": 200,
            "ready": 200,
        }

    async def send(self, number: int) -> None:
        kind = list(self.expected)[number % len(self.expected)]
        response: httpx.Response | None = await getattr(self, kind)(number)
        status = 0 if response is None else response.status_code
        self.statuses[kind, status] += 1
        if status in FAILURES:
            assert response is not None
            assert response.headers["Content-Type"] == "application/problem+json"

    async def pages(self, number: int) -> httpx.Response:
        first = await self._http.get("/customers", params={"limit": 3})
        if first.status_code != 200:
            return first
        cursor = first.json()["next_cursor"]
        second = await self._http.get("/customers", params={"limit": 3, "cursor": cursor})
        if second.status_code == 200:
            found = {item["id"] for page in (first, second) for item in page.json()["items"]}
            assert len(found) == 6
        return second

    async def sign_up(self, number: int) -> httpx.Response:
        response = await self._http.post("/customers", json={"email": f"{number}@example.com", "name": "Zoë"})
        if response.status_code == 201:
            assert response.json()["name"] == "Zoë"
        return response

    async def bad_sign_up(self, number: int) -> httpx.Response:
        body = [{"name": "Zoë"}, {"email": "x@y", "birthdate": "today"}]
        return await self._http.post("/customers", json=body[number % 2])

    def _profile(self, number: int) -> str:
        return f"/customers/{self._customers[number % len(self._customers)]}"

    async def profile(self, number: int) -> httpx.Response:
        response = await self._http.get(self._profile(number), headers={"X-Request-Id": f"r-{number}"})
        assert response.headers["X-Request-Id"] == f"r-{number}"
        return response

    async def nobody(self, number: int) -> httpx.Response:
        return await self._http.get(f"/customers/nobody-{number}")

    async def update(self, number: int) -> httpx.Response:
        changes = {"name": f"number {number}", "phone": None}
        response = await self._http.patch(self._profile(number), json=changes)
        if response.status_code == 200:
            assert response.json().items() >= changes.items()
        return response

    async def bad_id(self, number: int) -> httpx.Response:
        return await self._http.get(httpx.URL(self._http.base_url, raw_path=b"/customers/%2E%2e"))

    async def bad_cursor(self, number: int) -> httpx.Response:
        return await self._http.get(
            "/customers", params={"cursor": "\ud800 \0".encode("utf-8", "replace").decode()}
        )

    async def export(self, number: int) -> httpx.Response | None:
        try:
            response = await self._http.get("/customers.ndjson")
        except httpx.RemoteProtocolError:
            return None
        if response.status_code == 200:
            found = Counter(json.loads(line)["id"] for line in response.text.splitlines())
            assert found.keys() >= set(self._customers)
            assert found.total() == len(found)
        return response

    async def webhook(self, number: int, secret: str = SECRET) -> httpx.Response:
        event = {"type": "voucher.created", "data": {}, "event": {"id": f"ev_{number % 5}"}}
        body = json.dumps(event).encode()
        signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
        return await self._http.post("/webhooks", content=body, headers={"X-Voucherify-Signature": signature})

    async def forged_webhook(self, number: int) -> httpx.Response:
        return await self.webhook(number, "another-secret")

    async def live(self, number: int) -> httpx.Response:
        return await self._http.get("/health/live")

    async def ready(self, number: int) -> httpx.Response:
        return await self._http.get("/health/ready")


async def test_load_with_faults_and_a_rate_limit(server: Server) -> None:
    faults = Faults(
        reset=0.03, truncate=0.03, status={429: 0.02, 500: 0.03, 503: 0.03}, stall=0.005, stale_keepalive=0.03
    )
    assert sorted(FAILURES) == [429, 502, 503, 504]
    sandbox = sandbox_of(server, 300, faults=faults, rate_limit=Quota(200, 1.0))
    async with sandbox, server.http() as http:
        load = Load(http, ids(sandbox))
        await asyncio.gather(*(load.send(number) for number in range(200)))
        assert {exchange.status for exchange in sandbox.requests} >= {0, 200, 404, 429, 500, 503}
        sandbox.faults, sandbox.rate_limit = Faults(), None
        await sandbox.webhooks_delivered(timeout=30)
        assert {delivery.status for delivery in sandbox.webhook_deliveries} <= {204}
    unexpected = {
        (kind, status): count
        for (kind, status), count in load.statuses.items()
        if status != load.expected[kind] and status not in FAILURES and (kind, status) != ("export", 0)
    }
    assert unexpected == {}
    assert load.statuses.total() == 200
    for kind in (
        "bad_sign_up",
        "bad_id",
        "bad_cursor",
        "webhook",
        "forged_webhook",
        "live",
    ):  # without the service
        assert load.statuses[kind, load.expected[kind]] in {15, 16}
    assert "[r-3] fastapi_app: GET /customers/{customer_id} " in server.log


# ---------------------------------------------------------------- export


@asynccontextmanager
async def unread_export(server: Server, sandbox: Sandbox) -> AsyncGenerator[AsyncIterator[str]]:
    """The lines of an export, of which only the first has been read."""
    async with server.http() as http, http.stream("GET", "/customers.ndjson") as response:
        assert response.status_code == 200
        lines = response.aiter_lines()
        assert json.loads(await anext(lines))["id"] in sandbox.store.customers
        yield lines


async def check_fetching_has_stopped(server: Server, sandbox: Sandbox) -> None:
    """Check that an unread export does not go on to its last page."""
    async with server.http() as http:
        # However slow the machine is: in the time of so many calls, the server could have fetched all pages.
        for _ in range(PAGES):
            assert (await http.get("/customers/nobody")).status_code == 404
    assert export_pages(sandbox) < PAGES * 3 / 4


async def test_slow_reader_stops_the_fetching(server: Server) -> None:
    async with sandbox_of(server, MANY) as sandbox:
        async with unread_export(server, sandbox) as lines:
            await check_fetching_has_stopped(server, sandbox)
            found = [json.loads(line)["id"] async for line in lines]
        assert len(found) == MANY - 1
        assert len(set(found)) == MANY - 1
        assert export_pages(sandbox) >= PAGES


async def test_reader_disconnects_while_the_server_waits_for_it(server: Server) -> None:
    ended = server.log.count(EXPORT_ENDED)
    async with sandbox_of(server, MANY) as sandbox:
        async with unread_export(server, sandbox):
            pass
        await until(lambda: server.log.count(EXPORT_ENDED) > ended)
        await check_fetching_has_stopped(server, sandbox)


async def test_reader_disconnects_while_the_server_waits_for_the_service(server: Server) -> None:
    ended = server.log.count(EXPORT_ENDED)
    async with sandbox_of(server, MANY) as sandbox:

        def stall_third_page(_: object) -> None:
            if export_pages(sandbox) == 2:
                sandbox.faults = Faults(stall=1.0)

        sandbox.on_exchange = stall_third_page
        async with server.http() as http, http.stream("GET", "/customers.ndjson") as response:
            assert response.status_code == 200
            await until(lambda: stalled_requests(sandbox) == 1)
        sandbox.on_exchange = None
        sandbox.faults = Faults()  # if the export did not end, it would go on to the last page
        await until(lambda: server.log.count(EXPORT_ENDED) > ended)
        await until(lambda: stalled_requests(sandbox) == 0)  # the server has closed its connection
        assert export_pages(sandbox) < PAGES


async def test_export_that_fails_in_the_middle_is_incomplete(server: Server) -> None:
    async with sandbox_of(server, 500) as sandbox, server.http() as http:
        sandbox.on_exchange = lambda _: (
            sandbox.fail_next("customers.list", status=400) if len(sandbox.requests) == 3 else None
        )
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await http.get("/customers.ndjson")
        sandbox.fail_next("customers.list", status=409)
        refused = await http.get("/customers.ndjson")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


# ---------------------------------------------------------------- webhooks


async def test_webhooks_from_end_to_end(server: Server) -> None:
    async with sandbox_of(server) as sandbox, server.http() as http:
        created = await asyncio.gather(
            *(http.post("/customers", json={"email": f"{n}@example.com"}) for n in range(10))
        )
        await sandbox.webhooks_delivered(timeout=30)
        assert {delivery.status for delivery in sandbox.webhook_deliveries} == {204}
    for response in created:
        assert server.log.count(f"created: {response.json()['id']}\n") == 1


async def test_duplicate_webhook(server: Server) -> None:
    event = {
        "type": "customer.deleted",
        "data": {"customer": {"id": "cust_gone"}},
        "event": {"id": "ev_gone"},
    }
    body = json.dumps(event).encode()
    headers = {"X-Voucherify-Signature": hmac.new(SECRET.encode(), body, "sha256").hexdigest()}
    async with server.http() as http:  # all over one connection, and so to one process
        for _ in range(3):
            assert (await http.post("/webhooks", content=body, headers=headers)).status_code == 204
    assert server.log.count("deleted: cust_gone\n") == 1


# ---------------------------------------------------------------- start and stop


async def test_sigterm_lets_a_stream_end(tmp_path: Path) -> None:
    async with serving(tmp_path / "log") as server, sandbox_of(server, MANY) as sandbox:
        async with unread_export(server, sandbox) as lines:
            server.process.send_signal(signal.SIGTERM)
            await until(lambda: "Waiting for connections to close" in server.log)
            found = {json.loads(line)["id"] async for line in lines}
        assert len(found) == MANY - 1
        await server.stopped()
    assert "Traceback" not in server.log


async def test_sigterm_cuts_a_stream_that_does_not_end(tmp_path: Path) -> None:
    async with (
        serving(tmp_path / "log", "--timeout-graceful-shutdown", "1") as server,
        sandbox_of(server, MANY) as sandbox,
        unread_export(server, sandbox) as lines,
    ):
        server.process.send_signal(signal.SIGTERM)
        await server.stopped()
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            async for _ in lines:
                pass
    assert "timeout graceful shutdown exceeded" in server.log
    assert EXPORT_ENDED in server.log
    assert "Internal Server Error" not in server.log


# ---------------------------------------------------------------- health


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    """The application in this process, with a service that does not run yet."""
    with reserved_port() as port:
        monkeypatch.setenv("VOUCHERIFY_APP_ID", "sandbox-app-id")
        monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "sandbox-app-token")
        monkeypatch.setenv("VOUCHERIFY_BASE_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("VOUCHERIFY_WEBHOOK_SECRET", SECRET)
        monkeypatch.delenv("REDIS_URL", raising=False)
        monkeypatch.syspath_prepend(EXAMPLES)
        app: FastAPI = import_module("fastapi_app.app").app
        app.state.service_port = port
        yield app
    for name in [name for name in sys.modules if name.partition(".")[0] == "fastapi_app"]:
        del sys.modules[name]


async def test_health_and_the_end_of_the_client(application: FastAPI) -> None:
    transport = httpx.ASGITransport(app=application)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
    ):
        client: VoucherifyClient = application.state.voucherify
        assert (await http.get("/health/live")).status_code == 200
        async with Sandbox(port=application.state.service_port, rate_limit=50) as sandbox:
            sandbox.fail_next("customers.list", status=401)
            assert (await http.get("/health/ready")).status_code == 500
            responses = [await http.get("/health/ready") for _ in range(5)]
            assert [response.status_code for response in responses] == [200] * 5
            assert responses[-1].json()["rate_limit"]["limit"] == 50
            assert len(sandbox.requests) == 2
        assert (await http.get("/health/ready")).status_code == 200
        assert (await http.get("/health/live")).status_code == 200
    with pytest.raises(ConfigurationError, match="closed"):
        await client.customers.get("crm-1")

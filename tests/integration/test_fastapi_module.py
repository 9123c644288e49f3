"""Applications that use `voucherify_async.fastapi`, against the sandbox."""

# Without `from __future__ import annotations`: FastAPI could not resolve the names of functions in annotations.

import hmac
import importlib
import json
import logging
import subprocess
import sys
import traceback
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse

from tests.support.internals import close_gate
from tests.support.wire import raw_server, respond
from voucherify_async import (
    ConfigurationError,
    Customer,
    NotFoundError,
    Page,
    RetryPolicy,
    VoucherifyClient,
)
from voucherify_async.fastapi import (
    PageDep,
    PageParams,
    VoucherifyDep,
    WebhookReceiver,
    add_error_handlers,
    error_response,
    get_voucherify,
    page_params,
    voucherify_lifespan,
)
from voucherify_async.sandbox import Sandbox
from voucherify_async.webhooks import SeenEvents, WebhookEvent

SECRET = "webhook-secret"
ONCE = RetryPolicy(attempts=1)
SmallPageDep = Annotated[PageParams, Depends(page_params(default_limit=2, max_limit=3))]


def browser(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


def shop(lifespan: Any = None) -> FastAPI:
    """An application with a few endpoints."""
    app = FastAPI(lifespan=lifespan)
    add_error_handlers(app)

    @app.get("/customers")
    async def list_customers(voucherify: VoucherifyDep, page: PageDep) -> Page[Customer]:
        return await voucherify.customers.list(limit=page.limit, cursor=page.cursor)

    @app.get("/few")
    async def list_few(voucherify: VoucherifyDep, page: SmallPageDep) -> Page[Customer]:
        return await voucherify.customers.list(limit=page.limit, cursor=page.cursor)

    @app.get("/customers/{customer_id}")
    async def get_customer(voucherify: VoucherifyDep, customer_id: str) -> Customer:
        return await voucherify.customers.get(customer_id)

    @app.post("/customers")
    async def create_customer(voucherify: VoucherifyDep) -> Customer:
        return await voucherify.customers.create(name="Ada")

    @app.get("/client")
    async def client_id(voucherify: VoucherifyDep) -> int:
        return id(voucherify)

    return app


@pytest.fixture
async def app(sandbox: Sandbox) -> AsyncIterator[FastAPI]:
    app = shop(voucherify_lifespan(sandbox.client, retry=ONCE))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        yield client


class TestLifespan:
    async def test_one_client_that_is_closed_at_the_end(self, sandbox: Sandbox) -> None:
        app = shop(voucherify_lifespan(sandbox.client, headers={"X-Shop": "1"}))
        for _ in range(2):
            async with app.router.lifespan_context(app), browser(app) as http:
                client: VoucherifyClient = app.state.voucherify
                assert (await http.get("/client")).json() == (await http.get("/client")).json() == id(client)
                assert (await http.get("/customers")).status_code == 200
                assert sandbox.requests[-1].request_headers["X-Shop"] == "1"
            with pytest.raises(ConfigurationError, match="closed"):
                await client.customers.get("crm-1")
            async with browser(app) as http:
                assert (await http.get("/client")).status_code == 500

    async def test_keys_come_from_the_environment_at_the_start(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = shop(voucherify_lifespan(timeout=5))
        with pytest.raises(ConfigurationError, match="no API keys"):
            async with app.router.lifespan_context(app):
                pass
        monkeypatch.setenv("VOUCHERIFY_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("VOUCHERIFY_APP_ID", sandbox.app_id)
        monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", sandbox.app_token)
        async with app.router.lifespan_context(app), browser(app) as http:
            assert (await http.get("/customers")).status_code == 200

    async def test_within_another_lifespan(self, sandbox: Sandbox) -> None:
        steps: list[str] = []
        open_voucherify = voucherify_lifespan(sandbox.client)

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, str], None]:
            async with open_voucherify(app):
                steps.append(app.state.voucherify.base_url)
                yield {"database": "open"}
            steps.append("closed")

        app = shop(lifespan)
        async with app.router.lifespan_context(app), browser(app) as http:
            assert (await http.get("/customers")).status_code == 200
        assert steps == [sandbox.base_url, "closed"]

    async def test_of_a_router_beside_that_of_the_application(self, sandbox: Sandbox) -> None:
        router = APIRouter(lifespan=voucherify_lifespan(sandbox.client))
        steps: list[str] = []

        @router.get("/name")
        async def name(voucherify: VoucherifyDep) -> str:
            return (await voucherify.customers.create(name="Ada")).name or ""

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
            steps.append("open")
            yield

        app = FastAPI(lifespan=lifespan)
        app.include_router(router)
        async with app.router.lifespan_context(app), browser(app) as http:
            assert (await http.get("/name")).json() == "Ada"
        assert steps == ["open"]

    async def test_a_failure_of_the_application_closes_the_client(self, sandbox: Sandbox) -> None:
        app = FastAPI()
        client = sandbox.client()
        with pytest.raises(LookupError):
            async with voucherify_lifespan(lambda: client)(app):
                assert app.state.voucherify is client
                raise LookupError
        with pytest.raises(ConfigurationError, match="closed"):
            await client.customers.get("crm-1")

    async def test_keys_are_in_no_local_variable(self) -> None:
        token = "the-secret-token"
        invalid = voucherify_lifespan(app_id="id", app_token=token, max_connections=0)
        with pytest.raises(ConfigurationError, match="max_connections") as caught:
            async with invalid(FastAPI()):
                pass
        frames = [frame for frame, _ in traceback.walk_tb(caught.tb)]
        ours = [frame for frame in frames if frame.f_globals["__name__"].startswith("voucherify_async")]
        assert "lifespan" in [frame.f_code.co_name for frame in ours]
        assert token not in repr([frame.f_locals for frame in ours])

    async def test_mounted_applications_share_the_client(self, app: FastAPI) -> None:
        mounted = shop()
        app.mount("/v2", mounted)
        async with browser(app) as http:
            problem = await http.get("/v2/customers")
            assert (problem.status_code, problem.json()["code"]) == (500, "internal_error")
            mounted.state.voucherify = app.state.voucherify
            assert (await http.get("/v2/customers")).status_code == 200


class TestDependency:
    async def test_a_missing_lifespan_is_named(self) -> None:
        app = FastAPI()

        @app.get("/")
        async def endpoint(voucherify: VoucherifyDep) -> None: ...

        async with browser(app) as http:
            with pytest.raises(ConfigurationError, match=r"FastAPI\(lifespan=voucherify_lifespan\(\)\)"):
                await http.get("/")

    async def test_tests_override_it(self, voucherify: VoucherifyClient) -> None:
        app = shop(voucherify_lifespan())  # whose lifespan, for which there are no keys, is not run
        app.dependency_overrides[get_voucherify] = lambda: voucherify
        async with browser(app) as http:
            assert (await http.get("/client")).json() == id(voucherify)
            assert (await http.get("/customers")).status_code == 200


class TestErrors:
    @pytest.mark.parametrize(
        ("sent", "status", "code"),
        [
            (400, 400, "rejected"),
            (401, 500, "internal_error"),
            (402, 500, "internal_error"),
            (403, 500, "internal_error"),
            (404, 404, "not_found"),
            (405, 500, "internal_error"),
            (409, 409, "conflict"),
            (422, 400, "rejected"),
            (423, 409, "locked"),
            (429, 429, "rate_limited"),
            (500, 502, "service_failed"),
            (503, 502, "service_failed"),
        ],
    )
    async def test_statuses_of_the_service(
        self, sandbox: Sandbox, http: httpx.AsyncClient, sent: int, status: int, code: str
    ) -> None:
        sandbox.fail_next("customers.get", status=sent, key="inner_key", message="inner message")
        response = await http.get("/customers/crm-1")
        problem = response.json()
        assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
        assert response.headers["Content-Type"] == "application/problem+json"
        assert problem["request_id"] == sandbox.requests[-1].response_headers["X-Request-Id"]
        assert "inner" not in response.text
        assert sandbox.app_token not in response.text
        assert response.headers.get("Retry-After") == ("1" if sent == 429 else None)

    async def test_not_found_as_the_sandbox_says_it(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/customers/ada@example.com")
        assert response.status_code == 404
        assert "ada" not in response.text

    async def test_rate_limit_beyond_the_deadline(self, app: FastAPI, http: httpx.AsyncClient) -> None:
        app.state.voucherify = app.state.voucherify.with_options(deadline=5)
        close_gate(app.state.voucherify, "api_calls", 600)
        response = await http.get("/customers/crm-1")
        assert (response.status_code, response.json()["code"]) == (503, "busy")
        assert 500 < int(response.headers["Retry-After"]) <= 600

    async def test_unknown_outcome(self) -> None:
        async with raw_server(None) as server:
            app = shop(voucherify_lifespan(app_id="id", app_token="token", base_url=server.base_url))
            async with app.router.lifespan_context(app), browser(app) as http:
                response = await http.post("/customers")
        assert response.status_code == 504
        assert response.json()["code"] == "outcome_unknown"
        assert response.json()["may_have_been_applied"] is True

    async def test_no_connection(self) -> None:
        async with Sandbox() as stopped:
            base_url = stopped.base_url
        app = shop(voucherify_lifespan(app_id="id", app_token="token", base_url=base_url, retry=ONCE))
        async with app.router.lifespan_context(app), browser(app) as http:
            response = await http.get("/customers/crm-1")
        assert (response.status_code, response.json()["code"]) == (502, "service_failed")

    async def test_response_that_does_not_match(self) -> None:
        async with raw_server(respond(body=b'{"id": 5, "name": "Ada"}')) as server:
            app = shop(voucherify_lifespan(app_id="id", app_token="token", base_url=server.base_url))
            async with app.router.lifespan_context(app), browser(app) as http:
                response = await http.get("/customers/crm-1")
        assert response.status_code == 502
        assert "Ada" not in response.text

    async def test_log_has_the_cause(
        self, sandbox: Sandbox, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        for status in (404, 401, 503):
            sandbox.fail_next("customers.get", status=status, message="the cause")
            await http.get("/customers/crm-1")
        records = [record for record in caplog.records if record.name == "voucherify_async.fastapi"]
        assert [record.levelno for record in records] == [logging.ERROR, logging.WARNING]
        assert [bool(record.exc_info) for record in records] == [True, False]
        assert all("the cause" in record.getMessage() for record in records)

    async def test_value_errors_and_own_handlers_are_the_applications(
        self, app: FastAPI, http: httpx.AsyncClient
    ) -> None:
        @app.exception_handler(NotFoundError)
        async def nobody(request: Request, error: NotFoundError) -> PlainTextResponse:
            return PlainTextResponse(f"nobody: {error.key}", error_response(error).status_code)

        @app.get("/bad-argument")
        async def bad_argument(voucherify: VoucherifyDep) -> None:
            await voucherify.customers.get("")

        async with browser(app) as fresh:  # handlers are read when the first request arrives
            assert (await fresh.get("/customers/crm-1")).text == "nobody: not_found"
            with pytest.raises(ValueError, match="customer_id"):
                await fresh.get("/bad-argument")

    async def test_websocket_endpoints(self, app: FastAPI) -> None:
        @app.websocket("/live")
        async def live(websocket: WebSocket, voucherify: VoucherifyDep) -> None:
            await websocket.accept()
            await voucherify.customers.get("nobody")

        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        scope = {"type": "websocket", "path": "/live", "headers": [], "query_string": b"", "subprotocols": []}
        with pytest.raises(NotFoundError):
            await app(scope, receive, send)
        assert sent == ["websocket.accept"]


class TestPages:
    async def test_walk(self, sandbox: Sandbox, http: httpx.AsyncClient, app: FastAPI) -> None:
        for number in range(7):
            await app.state.voucherify.customers.create(source_id=f"crm-{number}")
        found: list[str] = []
        cursor: str | None = None
        for expected in (3, 3, 1):
            params = {"limit": "3"} if cursor is None else {"limit": "3", "cursor": cursor}
            page = (await http.get("/customers", params=params)).json()
            assert len(page["items"]) == expected
            found += [item["source_id"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert cursor is None
        assert sorted(found) == [f"crm-{number}" for number in range(7)]
        assert len((await http.get("/few")).json()["items"]) == 2

    @pytest.mark.parametrize("cursor", ["", "x", "x" * 5000, "\x00", "ä"])
    async def test_bad_cursor(self, sandbox: Sandbox, http: httpx.AsyncClient, cursor: str) -> None:
        response = await http.get("/customers", params={"cursor": cursor})
        assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")
        assert not sandbox.requests

    @pytest.mark.parametrize(
        ("path", "limit"), [("/customers", 0), ("/customers", 101), ("/few", 4), ("/few", "x")]
    )
    async def test_bad_limit(self, http: httpx.AsyncClient, path: str, limit: object) -> None:
        response = await http.get(path, params={"limit": str(limit)})
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == ["query", "limit"]

    async def test_openapi(self, http: httpx.AsyncClient) -> None:
        paths = (await http.get("/openapi.json")).json()["paths"]
        for path, default, maximum in (("/customers", 20, 100), ("/few", 2, 3)):
            limit, cursor = paths[path]["get"]["parameters"]
            assert limit["schema"].items() >= {"minimum": 1, "maximum": maximum, "default": default}.items()
            assert "number of items" in limit["description"]
            assert not limit["required"]
            assert not cursor["required"]
            assert "`next_cursor`" in cursor["description"]

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({"default_limit": 0}, "default_limit"),
            ({"default_limit": 11, "max_limit": 10}, "default_limit"),
            ({"max_limit": 101}, "max_limit"),
            ({"max_limit": 0}, "max_limit"),
        ],
    )
    def test_bad_arguments(self, arguments: Any, name: str) -> None:
        with pytest.raises(ValueError, match=name):
            page_params(**arguments)


# ---------------------------------------------------------------- webhooks

Body = bytes | AsyncIterator[bytes]
EVENT = b'{"type": "customer.created", "data": {"name": "Ad\xc3\xa9"}, "event": {"id": "ev_1"}}'


def sign(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Voucherify-Signature": hmac.new(secret.encode(), body, "sha256").hexdigest()}


def hooked(receiver: WebhookReceiver) -> FastAPI:
    app = FastAPI()
    seen = SeenEvents()

    @app.post("/webhooks")
    async def receive(event: Annotated[WebhookEvent, Depends(receiver)]) -> dict[str, Any]:
        return {"type": event.event_type, "id": event.event_id, "data": event.data, "new": seen.add(event)}

    return app


async def post(receiver: WebhookReceiver, body: Body, headers: dict[str, str]) -> httpx.Response:
    async with browser(hooked(receiver)) as http:
        return await http.post("/webhooks", content=body, headers=headers)


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class Connection:
    """A request as its ASGI messages.

    Attributes:
        received: How many messages the application has received.
        status: The status of the response.
    """

    def __init__(self, app: FastAPI, *messages: dict[str, Any], headers: dict[str, str]) -> None:
        self._app = app
        self._messages = messages
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self.received = 0
        self.status: int | None = None

    async def run(self) -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/webhooks",
            "query_string": b"",
            "headers": self._headers,
        }
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        self.received += 1
        return self._messages[self.received - 1]

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)


def chunk(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


class TestWebhooks:
    @pytest.mark.parametrize("split", [False, True])
    async def test_event(self, split: bool) -> None:
        body: Body = parts(EVENT[:10], b"", EVENT[10:]) if split else EVENT
        response = await post(WebhookReceiver(SECRET), body, sign(EVENT))
        assert response.status_code == 200
        assert response.json() == {
            "type": "customer.created",
            "id": "ev_1",
            "data": {"name": "Adé"},
            "new": True,
        }

    async def test_the_same_event_again(self) -> None:
        async with browser(hooked(WebhookReceiver(SECRET))) as http:
            responses = [await http.post("/webhooks", content=EVENT, headers=sign(EVENT)) for _ in range(2)]
        assert [response.json()["new"] for response in responses] == [True, False]

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Voucherify-Signature": ""},
            {"X-Voucherify-Signature": "é"},
            sign(EVENT, "other"),
            sign(b"{}"),
        ],
    )
    async def test_missing_or_wrong_signature(self, headers: dict[str, str]) -> None:
        sent = {name: value.encode() for name, value in headers.items()}
        response = await post(WebhookReceiver(SECRET), EVENT, sent)  # type: ignore[arg-type]
        assert response.status_code == 401
        assert "WWW-Authenticate" in response.headers

    async def test_several_secrets(self) -> None:
        secrets = ["old", "new"]
        receiver = WebhookReceiver(secrets)
        secrets.clear()
        for secret, status in (("old", 200), ("new", 200), ("newer", 401)):
            assert (await post(receiver, EVENT, sign(EVENT, secret))).status_code == status

    async def test_secret_that_is_read_for_each_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        secrets: list[Any] = ["one", ["two", "three"]]
        receiver = WebhookReceiver(lambda: secrets[0])
        assert (await post(receiver, EVENT, sign(EVENT, "one"))).status_code == 200
        del secrets[0]
        assert (await post(receiver, EVENT, sign(EVENT, "one"))).status_code == 401
        assert (await post(receiver, EVENT, sign(EVENT, "three"))).status_code == 200
        for nothing in (None, "", [], [""], 5):
            secrets[0] = nothing
            with pytest.raises(ValueError, match="secret must be"):
                await post(receiver, EVENT, sign(EVENT, ""))

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"hello", b'{"a": 1}x', b'"\xff"', b"\xff\xfe{}", b"[" * 9000]
    )
    async def test_signed_but_not_json(self, body: bytes) -> None:
        response = await post(WebhookReceiver(SECRET), body, sign(body))
        assert response.status_code == 400
        assert (await post(WebhookReceiver(SECRET), body, sign(b"other"))).status_code == 401

    @pytest.mark.parametrize("body", [b"5", b"null", b'["a"]', b'{"some": "payload"}'])
    async def test_payload_of_a_distribution(self, body: bytes) -> None:
        response = await post(WebhookReceiver(SECRET), body, sign(body))
        assert response.status_code == 200
        assert response.json() == {"type": None, "id": None, "data": json.loads(body), "new": True}

    @pytest.mark.parametrize("split", [False, True])
    @pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413)])
    async def test_size(self, size: int, status: int, split: bool) -> None:
        payload = b'"' + b"a" * (size - 2) + b'"'
        body: Body = parts(payload[:50], payload[50:]) if split else payload
        response = await post(WebhookReceiver(SECRET, max_bytes=100), body, sign(payload))
        assert response.status_code == status

    async def test_default_size(self) -> None:
        for size, status in ((1024 * 1024, 200), (1024 * 1024 + 1, 413)):
            payload = b'"' + b"a" * (size - 2) + b'"'
            assert (await post(WebhookReceiver(SECRET), payload, sign(payload))).status_code == status

    @pytest.mark.parametrize(
        ("headers", "received"),
        [
            ({"Content-Length": "101"}, 0),
            ({"Content-Length": "9" * 5000}, 0),
            ({}, 3),
            ({"Content-Length": "40"}, 3),
            ({"Content-Length": "-101"}, 3),
            ({"Content-Length": "many"}, 3),
        ],
    )
    async def test_nothing_is_read_beyond_the_limit(self, headers: dict[str, str], received: int) -> None:
        app = hooked(WebhookReceiver(SECRET, max_bytes=100))
        connection = Connection(app, *[chunk(b"a" * 40)] * 20, headers={**sign(EVENT), **headers})
        await connection.run()
        assert (connection.status, connection.received) == (413, received)

    async def test_disconnect_in_the_body(self) -> None:
        app = hooked(WebhookReceiver(SECRET))
        for messages in ([chunk(EVENT)], []):
            connection = Connection(app, *messages, {"type": "http.disconnect"}, headers=sign(EVENT))
            await connection.run()
            assert connection.status == 400

    @pytest.mark.parametrize(
        ("secret", "options", "name"),
        [
            ("", {}, "secret"),
            (None, {}, "secret"),
            (b"bytes", {}, "secret"),
            ([], {}, "secret"),
            (["a", ""], {}, "secret"),
            ("a", {"max_bytes": 0}, "max_bytes"),
            ("a", {"max_bytes": 1.5}, "max_bytes"),
        ],
    )
    def test_bad_arguments(self, secret: Any, options: Any, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name} must be"):
            WebhookReceiver(secret, **options)

    async def test_the_class_in_place_of_an_instance_receives_nothing(self) -> None:
        """FastAPI would take the body of the request for the secret."""
        receive: Any = WebhookReceiver
        async with browser(hooked(receive)) as http:
            with pytest.raises(TypeError, match="secret"):
                await http.post("/webhooks", json="a")

    async def test_openapi_shows_the_header(self) -> None:
        async with browser(hooked(WebhookReceiver(SECRET))) as http:
            operation = (await http.get("/openapi.json")).json()["paths"]["/webhooks"]["post"]
        (parameter,) = operation["parameters"]
        assert (parameter["name"], parameter["in"]) == ("X-Voucherify-Signature", "header")

    async def test_secret_is_not_shown(self) -> None:
        assert SECRET not in repr(WebhookReceiver(SECRET))


class TestExtra:
    def test_it_is_asked_for_where_it_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "voucherify_async.fastapi")
        monkeypatch.setitem(sys.modules, "fastapi", None)
        with pytest.raises(ImportError, match=r"pip install 'voucherify-async\[fastapi\]'"):
            importlib.import_module("voucherify_async.fastapi")

    def test_the_package_does_not_import_it(self) -> None:
        program = "import sys, voucherify_async, voucherify_async.sandbox; print('fastapi' in sys.modules)"
        out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert out.stdout.strip() == "False"

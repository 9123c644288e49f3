"""The edge to the network: what goes wrong on a real socket, and what a caller sees of it."""

from __future__ import annotations

import asyncio
import gc
import gzip
import pickle
import traceback
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from tests.support.clocks import FakeClock, use_clock
from tests.support.wire import (
    CUSTOMER,
    NO_RETRY,
    RawServer,
    Script,
    raw_server,
    reset,
    reset_after,
    respond,
    stall,
)
from voucherify_async import (
    APIStatusError,
    ConfigurationError,
    ConnectionFailedError,
    DeadlineExceededError,
    DecodeError,
    NotFoundError,
    OutcomeUnknownError,
    PoolTimeoutError,
    RateLimitError,
    ReadTimeoutError,
    RetryPolicy,
    ServerError,
    Timeouts,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async._transport.operation import RawResponse
from voucherify_async.sandbox import Sandbox

SECRET = "hush-hush"


def client_of(server: RawServer | str, **settings: Any) -> VoucherifyClient:
    base_url = server if isinstance(server, str) else server.base_url
    return VoucherifyClient("id", SECRET, base_url=base_url, trust_env=False, **settings)


async def repeatable(client: VoucherifyClient) -> Any:
    return await client.customers.create(source_id="a")


async def unrepeatable(client: VoucherifyClient) -> Any:
    return await client.customers.create(name="Ada")


HALF = respond(body=b'{"id":"cust_1"', length=100)
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n'

BROKEN = [
    pytest.param(None, id="closed before the answer"),
    pytest.param(reset, id="reset before the answer"),
    pytest.param(reset_after(b"HTTP/1.1 200 OK\r\nContent-Le"), id="reset in the headers"),
    pytest.param(reset_after(HALF), id="reset in the body"),
    pytest.param(respond(body=b'{"id"', length=100, headers=("Connection: close",)), id="cut body"),
    pytest.param(reset_after(CHUNKED), id="cut chunks"),
    pytest.param(b"SSH-2.0-OpenSSH_9.2\r\nConnection: close\r\n", id="not HTTP"),
    pytest.param(respond(503), id="503"),
    pytest.param(respond(502, b"<html>bad gateway</html>"), id="502 in HTML"),
]


@pytest.mark.parametrize("answer", BROKEN)
async def test_what_is_repeatable_is_made_again(answer: bytes | Script | None) -> None:
    async with raw_server(answer, CUSTOMER) as server, client_of(server) as client:
        clock = use_clock(client)
        customer = await repeatable(client)
    assert customer.id == "cust_1"
    assert len(server.requests) == 2
    assert server.requests[0] == server.requests[1]
    assert clock.slept == [0.5]


@pytest.mark.parametrize("answer", BROKEN)
async def test_what_is_not_repeatable_is_sent_once(answer: bytes | Script | None) -> None:
    async with raw_server(answer, CUSTOMER) as server, client_of(server) as client:
        use_clock(client)
        with pytest.raises((OutcomeUnknownError, ServerError)) as caught:
            await unrepeatable(client)
    assert len(server.requests) == 1
    assert caught.value.may_have_been_applied
    assert caught.value.operation == "customers.create"
    if isinstance(caught.value, OutcomeUnknownError):
        assert isinstance(caught.value.attempts[-1], ConnectionFailedError)


SENT_ONCE: list[Any] = [
    pytest.param(lambda customers: customers.create(name="Ada"), id="create without a key"),
    pytest.param(lambda customers: customers.delete_permanently("a"), id="delete_permanently"),
    pytest.param(lambda customers: customers.import_csv(b"Source_id\na\n"), id="import_csv"),
    pytest.param(lambda customers: customers.update_in_bulk([{"source_id": "a"}]), id="update_in_bulk"),
    pytest.param(
        lambda customers: customers.update_metadata_in_bulk(["a"], {}), id="update_metadata_in_bulk"
    ),
]


@pytest.mark.parametrize("call", SENT_ONCE)
async def test_every_call_that_is_sent_once(call: Any) -> None:
    async with raw_server(None) as server, client_of(server) as client:
        use_clock(client)
        with pytest.raises(OutcomeUnknownError):
            await call(client.customers)
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", BROKEN)
async def test_attempts_end_and_are_kept(answer: bytes | Script | None) -> None:
    async with raw_server(answer) as server, client_of(server) as client:
        clock = use_clock(client)
        with pytest.raises((ConnectionFailedError, ServerError)) as caught:
            await client.customers.get("a")
    assert clock.slept == [0.5, 1.0, 2.0]
    assert len(caught.value.attempts) == 3
    assert all(type(attempt) is type(caught.value) for attempt in caught.value.attempts)
    assert not caught.value.may_have_been_applied


@pytest.mark.parametrize("call", [repeatable, unrepeatable])
async def test_a_refused_connection_is_tried_again_whatever_the_call(call: Any) -> None:
    async with raw_server() as server:
        pass
    async with client_of(server) as client:
        clock = use_clock(client)
        with pytest.raises(ConnectionFailedError, match=r"customers\.create: cannot connect") as caught:
            await call(client)
    assert len(clock.slept) == 3
    assert not caught.value.may_have_been_applied


async def test_a_name_that_does_not_resolve() -> None:
    async with client_of("https://absent.invalid", retry=NO_RETRY) as client:
        with pytest.raises(ConnectionFailedError, match="cannot connect"):
            await client.customers.get("a")


async def test_tls_where_there_is_none(sandbox: Sandbox) -> None:
    async with client_of(sandbox.base_url.replace("http", "https"), retry=NO_RETRY) as client:
        with pytest.raises(ConnectionFailedError, match="cannot connect"):
            await client.customers.get("a")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (respond(body=b"<html>hello</html>"), "not JSON"),
        (respond(body=b""), "not JSON"),
        (respond(body=b'[{"id":"a"}]'), "does not match the expected type"),
        (respond(204, b""), "not JSON"),
        (respond(body=b'{"id":"a","unknown":' + b"[" * 50_000 + b"]" * 50_000 + b"}"), "nested too deeply"),
    ],
)
async def test_an_answer_that_is_not_what_the_api_promises(answer: bytes, problem: str) -> None:
    async with raw_server(answer) as server, client_of(server) as client:
        with pytest.raises(DecodeError, match=problem) as caught:
            await unrepeatable(client)
    assert len(server.requests) == 1
    assert caught.value.may_have_been_applied


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with raw_server(CUSTOMER) as elsewhere:
        redirect = respond(status, b"", headers=(f"Location: {elsewhere.base_url}/v1/customers/a",))
        async with raw_server(redirect) as server, client_of(server) as client:
            with pytest.raises(APIStatusError, match=f"{status}: redirect not followed") as caught:
                await client.customers.get("a")
    assert caught.value.status == status
    assert not elsewhere.requests


class TestServerWaits:
    async def test_retry_after_is_a_lower_bound(self) -> None:
        answer = respond(429, headers=("Retry-After: 7",))
        async with raw_server(answer, CUSTOMER) as server, client_of(server) as client:
            clock = use_clock(client, FakeClock(jitter=0.0))
            assert (await unrepeatable(client)).id == "cust_1"
        assert clock.slept == [7.0]

    async def test_503_with_retry_after(self) -> None:
        answer = respond(503, headers=("Retry-After: 3",))
        async with raw_server(answer, CUSTOMER) as server, client_of(server) as client:
            clock = use_clock(client)
            await repeatable(client)
        assert clock.slept == [3.5]

    @pytest.mark.parametrize(("status", "remaining", "waited"), [(503, 5, 0.5), (503, 0, 9.5), (429, 5, 9.5)])
    async def test_a_limit_that_is_not_in_the_way_is_not_waited_for(
        self, status: int, remaining: int, waited: float
    ) -> None:
        headers = (f"X-Rate-Limit-Remaining: {remaining}", "X-Rate-Limit-Retry: 1767225609")
        async with (
            raw_server(respond(status, headers=headers), CUSTOMER) as server,
            client_of(server) as client,
        ):
            clock = use_clock(client)
            await repeatable(client)
        assert clock.slept == [waited]

    async def test_a_wait_beyond_the_longest_is_not_waited(self) -> None:
        answer = respond(429, headers=("Retry-After: 61",))
        async with raw_server(answer) as server, client_of(server) as client:
            clock = use_clock(client)
            with pytest.raises(RateLimitError) as caught:
                await repeatable(client)
        assert (clock.slept, caught.value.retry_after) == ([], 61.0)

    async def test_a_plan_that_is_used_up_is_not_tried_again(self) -> None:
        answer = respond(429, headers=("Retry-After: 1", "X-Rate-Limit-Type: api_calls_cycle"))
        async with raw_server(answer) as server, client_of(server) as client:
            with pytest.raises(RateLimitError) as caught:
                await client.customers.get("a")
        assert (len(server.requests), caught.value.kind) == (1, "api_calls_cycle")

    async def test_the_last_rate_limit_is_kept(self) -> None:
        headers = ("X-Rate-Limit-Limit: 100", "X-Rate-Limit-Remaining: 7")
        limited = respond(body=b'{"id":"a"}', headers=headers)
        async with raw_server(limited, CUSTOMER) as server, client_of(server) as client:
            assert client.rate_limit is None
            await client.customers.get("a")
            await client.customers.get("a")
            limit = client.rate_limit
        assert limit is not None
        assert (limit.limit, limit.remaining) == (100, 7)


class TestTime:
    async def test_an_attempt_has_an_end(self) -> None:
        async with raw_server(stall, CUSTOMER) as server, client_of(server, timeout=0.05) as client:
            use_clock(client)
            assert (await repeatable(client)).id == "cust_1"

    async def test_silence_has_an_end(self) -> None:
        timeouts = Timeouts(read=0.05)
        async with raw_server(stall) as server, client_of(server, timeout=timeouts, retry=NO_RETRY) as client:
            with pytest.raises(ReadTimeoutError, match=r"no data received for 0\.05 s"):
                await client.customers.get("a")
            with pytest.raises(OutcomeUnknownError, match=r"no data received for 0\.05 s"):
                await unrepeatable(client)

    async def test_the_deadline_bounds_a_stalled_attempt(self) -> None:
        async with raw_server(stall) as server, client_of(server, deadline=0.05) as client:
            with pytest.raises(DeadlineExceededError) as caught:
                await unrepeatable(client)
            assert caught.value.may_have_been_applied
            with pytest.raises(DeadlineExceededError) as caught:
                await client.customers.get("a")
            assert not caught.value.may_have_been_applied

    async def test_no_wait_begins_that_would_pass_the_deadline(self) -> None:
        async with raw_server(None) as server, client_of(server, deadline=1.2) as client:
            clock = use_clock(client)
            with pytest.raises(DeadlineExceededError) as caught:
                await client.customers.get("a")
        assert clock.slept == [0.5]
        assert len(caught.value.attempts) == 2

    async def test_a_usable_answer_wins_over_the_deadline(self) -> None:
        async with raw_server(respond(503)) as server, client_of(server, deadline=0.4) as client:
            use_clock(client)
            with pytest.raises(ServerError):
                await client.customers.get("a")

    async def test_a_place_in_the_pool_has_a_limit_of_its_own(self) -> None:
        timeouts = Timeouts(pool=0.05)
        async with (
            raw_server(stall) as server,
            client_of(server, timeout=timeouts, retry=NO_RETRY, max_connections=1) as client,
        ):
            first = asyncio.create_task(client.customers.get("a"))
            await asyncio.sleep(0.02)
            with pytest.raises(PoolTimeoutError) as caught:
                await unrepeatable(client)
            assert not caught.value.may_have_been_applied
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first

    async def test_waiting_for_a_place_does_not_count_as_an_attempt(self) -> None:
        async with (
            Sandbox(latency=0.03) as sandbox,
            sandbox.client(max_connections=2, timeout=0.25) as client,
        ):
            await asyncio.gather(*(client.customers.create(source_id=str(n)) for n in range(40)))
            assert len(sandbox.store.customers) == 40

    async def test_a_cancelled_call_gives_its_place_back(self) -> None:
        async with raw_server(stall, CUSTOMER) as server, client_of(server, max_connections=1) as client:
            call = asyncio.create_task(client.customers.get("a"))
            await asyncio.sleep(0.02)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await client.customers.get("a")).id == "cust_1"

    async def test_a_timeout_around_a_call_is_the_callers_own(self) -> None:
        async with raw_server(stall) as server, client_of(server, deadline=3_600) as client:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.05):
                    await client.customers.get("a")
        assert not isinstance(caught.value, VoucherifyError)


class TestSize:
    async def test_a_long_answer(self) -> None:
        body = b'{"id":"' + b"x" * 2_000 + b'"}'
        async with (
            raw_server(respond(body=body)) as server,
            client_of(server, max_response_bytes=1_000) as client,
        ):
            with pytest.raises(DecodeError, match="more than 1,000 bytes"):
                await client.customers.get("a")
        assert len(server.requests) == 1

    async def test_a_decompression_bomb(self) -> None:
        body = gzip.compress(b'{"id":"' + b"x" * 5_000_000 + b'"}')
        answer = respond(body=body, headers=("Content-Encoding: gzip",))
        async with raw_server(answer) as server, client_of(server, max_response_bytes=100_000) as client:
            with pytest.raises(DecodeError, match="more than 100,000 bytes"):
                await client.customers.get("a")

    async def test_a_wrong_content_encoding(self) -> None:
        answer = respond(body=b'{"id":"a"}', headers=("Content-Encoding: gzip",))
        async with raw_server(answer) as server, client_of(server) as client:
            with pytest.raises(DecodeError, match="does not match its Content-Encoding"):
                await client.customers.get("a")
        assert len(server.requests) == 1

    async def test_a_wrong_content_encoding_of_an_error(self) -> None:
        answer = respond(404, b"<html>", headers=("Content-Encoding: gzip",))
        async with raw_server(answer) as server, client_of(server) as client:
            with pytest.raises(NotFoundError, match="404: Not Found"):
                await client.customers.get("a")


class TestLifetime:
    async def test_nothing_is_opened_before_the_first_call(self) -> None:
        client = client_of("http://127.0.0.1:9")
        await client.aclose()

    async def test_closing_twice(self, sandbox: Sandbox) -> None:
        client = sandbox.client()
        await client.customers.create(source_id="a")
        await client.aclose()
        await client.aclose()
        with pytest.raises(ConfigurationError, match="the client is closed"):
            await client.customers.get("a")
        with pytest.raises(ConfigurationError, match="the client is closed"):
            await client.with_options(deadline=1).customers.get("a")

    async def test_connections_are_kept(self) -> None:
        async with raw_server(CUSTOMER) as server, client_of(server) as client:
            for _ in range(5):
                await client.customers.get("a")
        assert server.connections == 1

    def test_another_loop(self) -> None:
        client = client_of("http://127.0.0.1:9", retry=NO_RETRY)

        async def call() -> None:
            await client.customers.get("a")

        with asyncio.Runner() as runner:
            with pytest.raises(ConnectionFailedError):
                runner.run(call())
            with pytest.raises(ConfigurationError, match="belongs to another event loop"):
                asyncio.run(call())
            runner.run(client.aclose())

    async def test_another_process(self, voucherify: VoucherifyClient) -> None:
        await voucherify.customers.create(source_id="a")
        with pytest.MonkeyPatch.context() as child:
            child.setattr("voucherify_async._transport.pool.os.getpid", lambda: -1)
            with pytest.raises(ConfigurationError, match="before the process forked"):
                await voucherify.customers.get("a")

    async def test_a_connector_of_the_callers_is_used_and_left_open(self, sandbox: Sandbox) -> None:
        connector = aiohttp.TCPConnector(limit=3)
        async with sandbox.client(connector=connector) as client:
            await client.customers.create(source_id="a")
        assert not connector.closed
        async with sandbox.client(connector=connector) as client:
            await client.customers.get("a")
        await connector.close()

    async def test_a_connector_that_is_closed(self, sandbox: Sandbox) -> None:
        connector = aiohttp.TCPConnector()
        await connector.close()
        async with sandbox.client(connector=connector) as client:
            with pytest.raises(ConfigurationError, match="the connector is closed"):
                await client.customers.get("a")

    def test_closing_from_another_loop(self) -> None:
        client = client_of("http://127.0.0.1:9", retry=NO_RETRY)

        async def call() -> None:
            with pytest.raises(ConnectionFailedError):
                await client.customers.get("a")

        with asyncio.Runner() as runner:
            runner.run(call())
            with pytest.raises(ConfigurationError, match="belongs to another event loop"):
                asyncio.run(client.aclose())
            runner.run(client.aclose())

    async def test_closing_during_a_write_says_that_it_may_have_been_applied(self) -> None:
        async with raw_server(stall) as server:
            client = client_of(server, retry=RetryPolicy(base=0))
            call = asyncio.create_task(repeatable(client))
            while not server.requests:  # noqa: ASYNC110  # what arrives at a socket sets no event
                await asyncio.sleep(0.001)
            await client.aclose()
            with pytest.raises(ConfigurationError, match="the client is closed") as caught:
                await call
        assert caught.value.may_have_been_applied
        assert len(caught.value.attempts) == 1

    async def test_a_connector_without_a_limit(self, sandbox: Sandbox) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with sandbox.client(connector=connector) as client:
            await client.customers.create(source_id="a")
        await connector.close()

    async def test_a_fixture_may_enter_and_leave_in_different_tasks(self) -> None:
        sandbox = Sandbox()
        await asyncio.create_task(sandbox.__aenter__())
        client = sandbox.client()
        await asyncio.create_task(client.__aenter__())
        await client.customers.create(source_id="a")
        await asyncio.create_task(client.__aexit__(None, None, None))
        await asyncio.create_task(sandbox.__aexit__(None, None, None))

    async def test_no_cookies_are_kept(self) -> None:
        answer = respond(body=b'{"id":"a"}', headers=("Set-Cookie: a=b",))
        # aiohttp keeps cookies for names, not for addresses.
        async with (
            raw_server(answer) as server,
            client_of(server.base_url.replace("127.0.0.1", "localhost")) as client,
        ):
            await client.customers.get("a")
            await client.customers.get("a")
        assert b"Cookie" not in server.requests[1]


class TestProxy:
    @pytest.mark.parametrize("by", ["argument", "environment"])
    async def test_it_is_used(self, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
        async with raw_server(CUSTOMER) as proxy:
            settings: dict[str, Any] = {"proxy": proxy.base_url}
            if by == "environment":
                monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
                settings = {}
            async with VoucherifyClient(
                "id", SECRET, base_url="http://cluster.example.com", allow_http=True, **settings
            ) as client:
                assert (await client.customers.get("a")).id == "cust_1"
        assert proxy.requests[0].startswith(b"GET http://cluster.example.com/v1/customers/a HTTP/1.1")

    async def test_a_proxy_that_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "socks5://u:pw@proxy:1")
        async with VoucherifyClient("id", SECRET) as client:
            with pytest.raises(ConfigurationError, match="the proxy in the environment must be") as caught:
                await client.customers.get("a")
        assert "pw" not in str(caught.value)

    async def test_loopback_is_never_proxied(
        self, voucherify: VoucherifyClient, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
    ) -> None:
        """Plain http is allowed there because it stays on this machine."""
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        async with sandbox.client(trust_env=True) as client:
            await client.customers.create(source_id="a")


class TestRequest:
    async def test_headers_and_everything_else(self, sandbox: Sandbox) -> None:
        async with sandbox.client(
            api_version="v2018-08-01", user_agent="mine/1", headers={"X-Own": "1"}
        ) as client:
            response = await client.request(
                "post", "/v1/customers", json={"source_id": "a"}, headers={"X-Call": "2"}, repeatable=True
            )
        assert (response.status, response.data["source_id"], response.attempts) == (200, "a", 1)
        assert response.request_id is not None
        assert response.request_id == response.headers["x-request-id"]
        assert response.elapsed > 0
        assert response.rate_limit is not None
        assert response.rate_limit.limit == 1_000_000
        headers = sandbox.requests[-1].request_headers
        assert headers["X-Voucherify-API-Version"] == "v2018-08-01"
        assert headers["User-Agent"] == "mine/1"
        assert (headers["X-Own"], headers["X-Call"]) == ("1", "2")
        assert headers["Accept"] == "application/json"
        assert headers["Content-Type"] == "application/json"
        assert headers["X-App-Id"] == sandbox.app_id

    async def test_bodies(self, sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
        token = await voucherify.request(
            "POST", "/v1/oauth/token", form={"grant_type": "client_credentials", "scope": "api"}
        )
        assert token.data["token_type"] == "Bearer"
        imported = await voucherify.request(
            "POST", "/v1/customers/importCSV", files={"file": ("a.csv", b"Source_id\na\n", "text/csv")}
        )
        assert imported.status == 202
        created = await voucherify.request(
            "POST",
            "/v1/customers",
            content=b'{"source_id":"b"}',
            headers={"Content-Type": "application/json"},
        )
        assert created.data["source_id"] == "b"
        gone = await voucherify.request("DELETE", "/v1/customers/{id}", path_params={"id": "b"})
        assert (gone.status, gone.data) == (204, None)

    async def test_into(self, voucherify: VoucherifyClient) -> None:
        response = await voucherify.request("GET", "/v1/customers", query={"limit": 1}, into=bytes)
        assert response.data.startswith(b'{"object":"list"')

    async def test_an_answer_about_tokens_is_kept_out_of_errors(self) -> None:
        async with raw_server(respond(body=b'{"access_token":"hush"')) as server, client_of(server) as client:
            with pytest.raises(DecodeError) as caught:
                await client.request("POST", "/v1/oauth/token", form={"scope": "api"})
        assert caught.value.body == ""

    async def test_what_may_be_repeated(self) -> None:
        async with raw_server(respond(503), respond(body=b"1")) as server, client_of(server) as client:
            use_clock(client)
            response = await client.request("GET", "/v1/x")
            assert (response.attempts, response.data) == (2, 1)
        async with raw_server(respond(503), respond(body=b"1")) as server, client_of(server) as client:
            with pytest.raises(ServerError):
                await client.request("POST", "/v1/x")


async def test_an_error_holds_nothing_of_aiohttp_and_no_secret() -> None:
    """Not in itself, and not in its cause or context: `from None` does not empty the latter."""
    for answer in (None, reset, respond(401), respond(body=b"<html>"), respond(302)):
        async with (
            raw_server(answer) as server,
            client_of(server, retry=RetryPolicy(attempts=2, base=0)) as client,
        ):
            with pytest.raises(VoucherifyError) as caught:
                await client.customers.get("a")
        error: BaseException | None = caught.value
        seen = 0
        while error is not None and seen < 10:
            seen += 1
            assert not type(error).__module__.startswith("aiohttp")
            assert all(not type(value).__module__.startswith("aiohttp") for value in vars(error).values())
            assert SECRET not in repr(vars(error))
            error = error.__cause__ or error.__context__
        assert SECRET.encode() not in pickle.dumps(caught.value)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_an_error_does_not_keep_the_answers_before_it() -> None:
    async with raw_server(respond(503, b"x" * 100_000)) as server, client_of(server) as client:
        use_clock(client)
        with pytest.raises(ServerError) as caught:
            await client.customers.get("a")
    assert len(caught.value.attempts) == 3
    assert not [
        found for found in gc.get_objects() if isinstance(found, RawResponse) and len(found.body) == 100_000
    ]


@pytest.mark.parametrize(
    "exception",
    [
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError("cut"),
        aiohttp.ClientOSError(104, "Connection reset by peer"),
        aiohttp.ServerFingerprintMismatch(b"a", b"b", "host", 443),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
async def test_every_exception_of_aiohttp_becomes_one_of_ours(
    answers: aioresponses, exception: Exception
) -> None:
    answers.get("https://api.voucherify.io/v1/customers/a", exception=exception)
    async with VoucherifyClient("id", SECRET, retry=NO_RETRY) as client:
        with pytest.raises((ConnectionFailedError, ReadTimeoutError)):
            await client.customers.get("a")


@pytest.mark.parametrize("status", [400, 402, 403, 405, 406, 409, 415, 423, 500])
async def test_statuses_that_a_sandbox_does_not_give(answers: aioresponses, status: int) -> None:
    answers.get(
        "https://api.voucherify.io/v1/customers/a", status=status, payload={"code": status, "message": "No"}
    )
    async with VoucherifyClient("id", SECRET, retry=NO_RETRY) as client:
        with pytest.raises(APIStatusError, match=f"{status}: No") as caught:
            await client.customers.get("a")
    assert caught.value.status == status


async def test_an_error_body_that_is_nested_too_deeply_is_an_error_all_the_same() -> None:
    async with raw_server(respond(400, b'{"code":' + b"[" * 50_000)) as server, client_of(server) as client:
        with pytest.raises(APIStatusError, match="400: Bad Request"):
            await client.customers.get("a")


async def test_an_auth_of_ones_own_is_checked() -> None:
    class Broken:
        def headers(self) -> dict[str, str]:
            return {"X-Key": "a\nb"}

    async with (
        raw_server(CUSTOMER) as server,
        VoucherifyClient(auth=Broken(), base_url=server.base_url) as client,
    ):
        with pytest.raises(ConfigurationError, match="auth has a header that cannot be sent: 'X-Key'"):
            await client.customers.get("a")
    assert not server.requests


async def test_earlier_attempts_are_kept_when_an_item_cannot_be_decoded() -> None:
    page = respond(body=b'{"customers":[{"id":"a","name":5}],"has_more":false}')
    async with raw_server(respond(503), page) as server, client_of(server) as client:
        use_clock(client)
        with pytest.raises(DecodeError, match="item 0 of the page") as caught:
            await client.customers.list()
    assert [type(attempt) for attempt in caught.value.attempts] == [ServerError]


async def test_closing_under_calls_ends_them_with_an_error_of_ours() -> None:
    async with raw_server(stall) as server:
        client = client_of(server, max_connections=3, retry=RetryPolicy(attempts=2, base=0))
        calls = [asyncio.create_task(client.customers.get(str(number))) for number in range(6)]
        for pause in (0.0, 0.0, 0.0, 0.02):
            await asyncio.sleep(pause)
        await client.aclose()
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, VoucherifyError) for result in results)

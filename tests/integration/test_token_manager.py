"""Calls that carry a token which the client gets and renews."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.clocks import FakeClock, use_clock
from tests.support.loops import until
from tests.support.wire import CUSTOMER, RawServer, Script, raw_server, respond, stall
from voucherify_async import (
    AccessToken,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    DecodeError,
    LocalRateLimiter,
    OAuthClientCredentials,
    RetryPolicy,
    ServerError,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async._transport.token_manager import TokenManager, refresh_delay
from voucherify_async.sandbox import Sandbox


def token(name: str, expires_in: int | None = 900) -> bytes:
    lifetime = "" if expires_in is None else f',"expires_in":{expires_in}'
    return respond(body=f'{{"access_token":"{name}"{lifetime}}}'.encode())


@asynccontextmanager
async def served(
    *answers: bytes | Script | None, **settings: Any
) -> AsyncGenerator[tuple[RawServer, VoucherifyClient]]:
    auth = OAuthClientCredentials("id", "secret-token", scope="api assets")
    async with (
        raw_server(*answers) as server,
        VoucherifyClient(auth=auth, base_url=server.base_url, **settings) as client,
    ):
        yield server, client


def bearers(server: RawServer) -> list[str | None]:
    """The token of each request; `None` for a request for a token."""
    found: list[str | None] = []
    for request in server.requests:
        head = request.decode().lower()
        if head.startswith("post /v1/oauth/token"):
            assert "x-app-token: secret-token" in head
            assert "grant_type=client_credentials&scope=api+assets" in head
            found.append(None)
            continue
        assert "x-app-token" not in head
        name = head.partition("x-voucherify-oauth: bearer ")[2].partition("\r\n")[0]
        assert f"\r\nauthorization: bearer {name}\r\n" in head
        found.append(name)
    return found


async def test_against_the_sandbox(sandbox: Sandbox) -> None:
    auth = OAuthClientCredentials(sandbox.app_id, sandbox.app_token)
    async with sandbox.client(auth=auth) as client:
        await asyncio.gather(*(client.customers.create(source_id=str(number)) for number in range(20)))
        await client.with_options(deadline=3_600).customers.get("1")
    paths = [exchange.path for exchange in sandbox.requests]
    assert (paths.count("/v1/oauth/token"), paths[0]) == (1, "/v1/oauth/token")
    assert all("X-App-Token" not in exchange.request_headers for exchange in list(sandbox.requests)[1:])


async def test_a_token_is_renewed_before_it_expires() -> None:
    async with served(token("a"), CUSTOMER, CUSTOMER, token("b"), CUSTOMER) as (server, client):
        clock = use_clock(client)
        await client.customers.get("1")
        clock.now += 839
        await client.customers.get("1")
        clock.now += 2
        await client.customers.get("1")
    assert bearers(server) == [None, "a", "a", None, "b"]


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(900, 840.0), (None, 840.0), (3600, 3540.0), (100, 90.0), (0, 0.0), (10**400, 31_535_940.0)],
)
def test_when_a_token_is_renewed(expires_in: int | None, seconds: float) -> None:
    assert refresh_delay(AccessToken(access_token="t", expires_in=expires_in)) == seconds


async def test_one_request_for_all_that_wait_for_a_renewal() -> None:
    async with served(token("a"), CUSTOMER, token("b"), CUSTOMER) as (server, client):
        clock = use_clock(client)
        await client.customers.get("1")
        clock.now += 1_000
        await asyncio.gather(*(client.customers.get("1") for _ in range(30)))
    assert bearers(server) == [None, "a", None] + ["b"] * 30


@pytest.mark.parametrize("attempts", [1, 4])
@pytest.mark.parametrize(
    "call",
    [lambda client: client.customers.get("1"), lambda client: client.customers.create(name="Ada")],
    ids=["repeatable", "unrepeatable"],
)
async def test_a_token_that_is_refused_is_renewed_and_the_call_made_once_more(
    attempts: int, call: Callable[[VoucherifyClient], Any]
) -> None:
    answers = (token("a"), respond(401), token("b"), CUSTOMER)
    async with served(*answers, retry=RetryPolicy(attempts=attempts)) as (server, client):
        assert (await call(client)).id == "cust_1"
    assert bearers(server) == [None, "a", None, "b"]


async def test_a_second_refusal_is_an_error() -> None:
    async with served(token("a"), respond(401), token("b"), respond(401)) as (server, client):
        with pytest.raises(AuthenticationError) as caught:
            await client.customers.get("1")
    assert bearers(server) == [None, "a", None, "b"]
    assert [type(attempt) for attempt in caught.value.attempts] == [AuthenticationError]


async def test_calls_refused_together_renew_once(sandbox: Sandbox) -> None:
    auth = OAuthClientCredentials(sandbox.app_id, sandbox.app_token)
    async with sandbox.client(auth=auth, max_connections=5) as client:
        await client.customers.create(source_id="1")
        sandbox.store.tokens.clear()
        await asyncio.gather(*(client.customers.get("1") for _ in range(20)))
    paths = [(exchange.path, exchange.status) for exchange in sandbox.requests]
    assert paths.count(("/v1/oauth/token", 200)) == 2
    assert paths.count(("/v1/customers/1", 200)) == 20


async def test_a_refusal_of_a_token_that_has_been_renewed_is_no_news() -> None:
    fetched: list[str] = []

    async def fetch(_: OAuthClientCredentials) -> AccessToken:
        fetched.append(f"token-{len(fetched)}")
        return AccessToken(access_token=fetched[-1])

    manager = TokenManager(OAuthClientCredentials("id", "secret-token"), FakeClock())
    await manager.ensure_token(fetch)
    first = manager.token
    manager.invalidate(first)
    await manager.ensure_token(fetch)
    manager.invalidate(first)
    await manager.ensure_token(fetch)
    assert fetched == ["token-0", "token-1"]


async def test_an_api_key_that_is_refused_is_not_renewed(sandbox: Sandbox) -> None:
    async with sandbox.client(app_token="another") as client:
        with pytest.raises(AuthenticationError):
            await client.customers.get("1")
    assert len(sandbox.requests) == 1


class TestFailure:
    async def test_every_caller_that_waits_is_told(self) -> None:
        async with served(respond(500), token("a"), CUSTOMER, retry=RetryPolicy(attempts=1)) as (
            server,
            client,
        ):
            calls = (client.customers.create(name="Ada") for _ in range(10))
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert len(server.requests) == 1
            assert all(isinstance(result, ServerError) for result in results)
            assert len({id(result) for result in results}) == 10
            errors = [result for result in results if isinstance(result, ServerError)]
            assert {error.operation for error in errors} == {"oauth.create_token"}
            assert not any(error.may_have_been_applied for error in errors)
            assert (await client.customers.get("1")).id == "cust_1"  # the next caller tries again

    async def test_it_is_tried_again_as_any_call(self) -> None:
        async with served(respond(503), token("a"), CUSTOMER) as (server, client):
            use_clock(client)
            await client.customers.get("1")
        assert bearers(server) == [None, None, "a"]

    async def test_the_keys_are_refused(self) -> None:
        async with served(respond(401)) as (server, client):
            with pytest.raises(AuthenticationError, match=r"oauth\.create_token"):
                await client.customers.get("1")
        assert len(server.requests) == 1

    @pytest.mark.parametrize("body", [b"{}", b'{"access_token":""}', b'{"access_token":"a\\nb"}'])
    async def test_an_answer_without_a_token(self, body: bytes) -> None:
        async with served(respond(body=body)) as (_, client):
            with pytest.raises(DecodeError, match=r"oauth\.create_token") as caught:
                await client.customers.get("1")
        assert not caught.value.may_have_been_applied
        assert caught.value.body == ""

    async def test_earlier_attempts_are_kept(self) -> None:
        """Those of the call, and those of the request for a token."""
        answers = (token("a", 0), respond(503), respond(500), respond(500))
        async with served(*answers, retry=RetryPolicy(attempts=2)) as (_, client):
            use_clock(client)
            with pytest.raises(ServerError) as caught:
                await client.customers.create(source_id="1")
        assert [attempt.operation for attempt in caught.value.attempts] == [
            "customers.create",
            "oauth.create_token",
        ]
        assert caught.value.may_have_been_applied

    async def test_the_deadline_bounds_it(self) -> None:
        async with served(stall, deadline=0.05) as (_, client):
            with pytest.raises(DeadlineExceededError, match=r"customers\.create") as caught:
                await client.customers.create(name="Ada")
        assert not caught.value.may_have_been_applied

    async def test_a_caller_that_is_cancelled_takes_nothing_from_the_others(self) -> None:
        late, release = held_token("b")
        async with served(late, CUSTOMER) as (server, client):
            first = asyncio.create_task(client.customers.get("1"))
            await until_asked(server)
            others = [asyncio.create_task(client.customers.get("1")) for _ in range(5)]
            await asyncio.sleep(0.001)
            first.cancel()
            await asyncio.sleep(0.001)
            release.set()
            await asyncio.gather(*others)
        assert first.cancelled()
        assert bearers(server) == [None] + ["b"] * 5


def held_token(name: str) -> tuple[Script, asyncio.Event]:
    """A token that is given when the event is set."""
    release = asyncio.Event()

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(token(name))

    return script, release


async def until_asked(server: RawServer) -> None:
    await until(lambda: server.requests)


class TestViews:
    """A renewal is nobody's: what a view accepts of a call is not what ends it."""

    @pytest.mark.parametrize(
        "impatience",
        [
            {"deadline": 0.05},
            {"timeout": 0.05},
            {"retry": RetryPolicy(attempts=1)},
            {"rate_limiter": LocalRateLimiter(1, 3600)},
        ],
        ids=["deadline", "timeout", "retry", "limiter"],
    )
    async def test_a_patient_caller_is_not_told_of_an_impatient_one(self, impatience: dict[str, Any]) -> None:
        late, release = held_token("b")
        async with served(respond(503), late, CUSTOMER) as (server, client):
            use_clock(client, FakeClock(jitter=0.0))
            hasty = asyncio.create_task(client.with_options(**impatience).customers.get("1"))
            await until_asked(server)
            patient = asyncio.create_task(client.customers.get("2"))
            while len(server.requests) < 2:  # noqa: ASYNC110  # what arrives at a socket sets no event
                await asyncio.sleep(0.001)
            if "deadline" in impatience:
                with pytest.raises(DeadlineExceededError, match=r"customers\.get"):
                    await hasty
            release.set()
            assert (await patient).id == "cust_1"
            await asyncio.gather(hasty, return_exceptions=True)
        assert bearers(server)[:3] == [None, None, "b"]

    async def test_callers_whose_deadlines_are_shorter_than_a_renewal_get_a_token_in_the_end(self) -> None:
        late, release = held_token("b")
        async with served(late, CUSTOMER, deadline=0.05) as (server, client):
            for _ in range(3):
                with pytest.raises(DeadlineExceededError) as caught:
                    await client.customers.create(name="Ada")
                assert not caught.value.may_have_been_applied
            assert bearers(server) == [None]  # one renewal, which goes on
            release.set()
            await client.with_options(deadline=None).customers.get("1")
        assert bearers(server) == [None, "b"]

    async def test_it_has_a_time_limit_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("voucherify_async._transport.session.MAX_REFRESH_SECONDS", 0.05)
        async with served(stall) as (_server, client):
            with pytest.raises(DeadlineExceededError, match=r"oauth\.create_token"):
                await client.customers.get("1")

    async def test_closing_the_client_ends_it(self) -> None:
        before = asyncio.all_tasks()
        async with served(stall) as (server, client):
            call = asyncio.create_task(client.customers.get("1"))
            given_up = asyncio.create_task(client.with_options(deadline=0.01).customers.get("1"))
            await until_asked(server)
            await asyncio.gather(given_up, return_exceptions=True)
            await client.aclose()
            with pytest.raises(VoucherifyError) as caught:
                await call
            assert not caught.value.may_have_been_applied
            assert not [task for task in asyncio.all_tasks() - before if "_refresh" in repr(task)]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(("", "t"), "app_id"), (("i", "a\nb"), "app_token"), (("i", "t", " "), "scope")],
)
def test_bad_credentials(arguments: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        OAuthClientCredentials(*arguments)


def test_credentials_are_a_value() -> None:
    credentials = OAuthClientCredentials("id", "secret-token")
    assert credentials == OAuthClientCredentials("id", "secret-token", scope="api")
    assert "secret-token" not in repr(credentials)


async def test_keys_and_credentials_are_two_ways() -> None:
    with pytest.raises(ConfigurationError, match="auth replaces app_id and app_token"):
        VoucherifyClient("id", "token", auth=OAuthClientCredentials("id", "token"))
    with pytest.raises(VoucherifyError, match="auth must be an object"):
        VoucherifyClient(auth=OAuthClientCredentials)  # type: ignore[arg-type]

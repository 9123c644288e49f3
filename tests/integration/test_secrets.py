"""Keys, tokens and the OAuth answer come out nowhere: not in a repr, a log line, an error or a hook's event.

Secrets are planted, all goes wrong that can, and everything that comes out is searched.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import pickle
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.support.clocks import FakeClock, use_clock, use_loop_time
from tests.support.hooks import RecordingHook
from tests.support.internals import listing, parts_of
from tests.support.wire import (
    Face,
    RawServer,
    Reply,
    Script,
    Server,
    close_after,
    reset,
    respond,
    running,
    stall,
)
from voucherify_async import (
    AccessToken,
    ApiKeys,
    APIStatusError,
    ConfigurationError,
    ConnectionFailedError,
    DeadlineExceededError,
    DecodeError,
    LocalRateLimiter,
    OAuthClientCredentials,
    OAuthToken,
    RateLimitError,
    RetryPolicy,
    Timeouts,
    TokenIntrospection,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async._transport.auth import token_request

# No eight characters in a row of these are part of any word.
APP_ID = "0f81b7c2-5e1d4c37a9zq"
APP_TOKEN = "7Gx2mK9vQe4Rw8Yz-61hU3pL0d"
ISSUED = "Jq5Zt0nVb8Lc2x/Pd7sHgT9uWk3Fe+6rMy1=="
"""The token in the OAuth answer."""

ASKED = "Wm4Ek6Rf1yBj3u/Na9oCiX5vQz2Ht+8pGd0=="
"""The token that is introspected and revoked. In a form it looks different."""

OWN = "Pz3Dd8Ff2Ss6Hh1Kk5"
"""What an auth of the caller's own sends."""

SECRETS = (APP_ID, APP_TOKEN, ISSUED, ASKED, OWN)
_TELLING = 8
"""Characters of a secret that are too many to be seen: part of one may get past what takes out the whole."""

PARTS = frozenset(
    secret[start : start + _TELLING] for secret in SECRETS for start in range(len(secret) - _TELLING + 1)
)


def leaks(told: Iterator[tuple[str, str]]) -> list[str]:
    """Where a secret, or the better part of one, can be read."""
    return [f"{where}: {text[:300]}" for where, text in told if any(part in text for part in PARTS)]


# ---------------------------------------------------------------- all that comes out

PROBLEM = "a local that cannot be shown"


def links(error: BaseException | None, seen: set[int] | None = None) -> Iterator[BaseException]:
    """An error, its cause, its context, and the attempts before, with theirs."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for linked in (error.__cause__, error.__context__, *getattr(error, "attempts", ())):
        yield from links(linked, seen)


def shown(value: object, depth: int = 0) -> Iterator[str]:
    """A local variable as error reporters show it.

    Sentry and rich do not stop at the repr of a mapping or a sequence, whatever class it is of: they go in.
    """
    try:
        yield repr(value)
    except Exception as error:  # noqa: BLE001  # traceback.TracebackException would raise it
        yield f"{PROBLEM}: repr({type(value).__name__}) raises {error!r}"
    if depth < 4 and isinstance(value, Mapping):
        for key, item in value.items():
            yield from shown(key, depth + 1)
            yield from shown(item, depth + 1)
    elif depth < 4 and isinstance(value, list | tuple | AbstractSet):
        for item in value:
            yield from shown(item, depth + 1)


def locals_of_ours(trace: TracebackType | None) -> Iterator[tuple[str, str]]:
    for frame, line in traceback.walk_tb(trace):
        # By module and not by file: the code of a dataclass's own methods has none.
        module = str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] == "voucherify_async":
            for name, value in frame.f_locals.items():
                for text in shown(value):
                    yield f"{module}:{line} {frame.f_code.co_name}({name})", text


def told_by_error(error: BaseException) -> Iterator[tuple[str, str]]:
    for link in links(error):
        kind = type(link).__name__
        yield f"str({kind})", str(link)
        yield f"repr({kind})", repr(link)
        yield f"vars({kind})", repr(vars(link))
        yield f"args of {kind}", repr(link.args)
        yield from ((f"{kind} at {where}", text) for where, text in locals_of_ours(link.__traceback__))
    if isinstance(error, VoucherifyError):
        yield "pickled", pickle.dumps(error).decode("latin-1")
        yield "unpickled", repr(vars(pickle.loads(pickle.dumps(error))))
    yield "traceback", "".join(traceback.format_exception(error))


def told_by_log(records: list[logging.LogRecord]) -> Iterator[tuple[str, str]]:
    for record in records:
        yield f"log line of {record.name}", record.getMessage()
        yield f"log record of {record.name}", repr(vars(record))
        if record.exc_info is not None and record.exc_info[1] is not None:
            yield from told_by_error(record.exc_info[1])


def told_by_hook(hook: RecordingHook) -> Iterator[tuple[str, str]]:
    for event in hook.events:
        yield f"repr({type(event).__name__})", repr(event)
        yield f"fields of {type(event).__name__}", repr(dataclasses.asdict(event))


def check_error(error: BaseException) -> None:
    assert leaks(told_by_error(error)) == []
    unshown = [text for link in links(error) for _, text in locals_of_ours(link.__traceback__)]
    assert [text for text in unshown if text.startswith(PROBLEM)] == []


# ---------------------------------------------------------------- settings

Make = Callable[[], object]

IDENTITIES: list[dict[str, Any]] = [
    {"app_id": APP_ID, "app_token": APP_TOKEN},
    {"auth": ApiKeys(APP_ID, APP_TOKEN)},
    {"auth": OAuthToken(ISSUED)},
    {"auth": OAuthClientCredentials(APP_ID, APP_TOKEN)},
    {},  # the environment has them
]


class Asynchronous:
    async def on_request(self, event: object) -> None: ...


BAD_SETTINGS: list[Any] = [
    {"max_connections": 0},
    {"max_response_bytes": 0},
    {"retry": "often"},
    {"ssl": False},
    {"keepalive_timeout": -1},
    {"base_url": "ftp://nowhere"},
    {"base_url": "http://elsewhere.example"},
    {"base_url": "https://api.example?query"},
    {"user_agent": "a\nb"},
    {"api_version": "a\nb"},
    {"proxy": "socks5://nowhere"},
    {"timeout": -1},
    {"deadline": 0},
    {"headers": {"a b": "c"}},
    {"rate_limiter": object()},
    {"hooks": [object()]},
    {"hooks": [Asynchronous()]},
]


@pytest.fixture
def keys_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOUCHERIFY_APP_ID", APP_ID)
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", APP_TOKEN)


def refusal(make: Make) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        make()
    return caught.value


@pytest.mark.usefixtures("keys_in_environment")
@pytest.mark.parametrize("setting", BAD_SETTINGS, ids=lambda setting: next(iter(setting)))
def test_a_setting_that_is_refused_does_not_show_good_keys(setting: dict[str, Any]) -> None:
    for identity in IDENTITIES:
        check_error(refusal(partial(VoucherifyClient, **identity, **setting)))


@pytest.mark.usefixtures("keys_in_environment")
@pytest.mark.parametrize(
    "setting",
    [{"timeout": -1}, {"deadline": 0}, {"retry": 1}, {"headers": {"": ""}}, {"rate_limiter": 1}],
    ids=str,
)
def test_nor_does_one_of_a_view(setting: dict[str, Any]) -> None:
    for identity in IDENTITIES:
        check_error(refusal(partial(VoucherifyClient(**identity).with_options, **setting)))


BAD_KEYS: list[Any] = [
    pytest.param("", id="empty"),
    pytest.param("  ", id="blank"),
    pytest.param("{}\n", id="with the end of its line"),
    pytest.param("{}é", id="not ASCII"),
    pytest.param(b"bytes", id="bytes"),
]


def spoiled(bad: Any, secret: str) -> Any:
    return secret.encode() if isinstance(bad, bytes) else bad.replace("{}", secret)


@pytest.mark.parametrize("bad", BAD_KEYS)
@pytest.mark.parametrize("make", [VoucherifyClient, ApiKeys, OAuthClientCredentials])
def test_keys_that_are_refused_are_not_shown(make: Callable[..., object], bad: Any) -> None:
    check_error(refusal(lambda: make(spoiled(bad, APP_ID) or " ", APP_TOKEN)))
    check_error(refusal(lambda: make(APP_ID, spoiled(bad, APP_TOKEN) or " ")))


@pytest.mark.parametrize("bad", BAD_KEYS)
def test_a_token_that_is_refused_is_not_shown(bad: Any) -> None:
    check_error(refusal(lambda: OAuthToken(spoiled(bad, ISSUED))))


@pytest.mark.parametrize("scope", ["", "a\nb", 5])
def test_a_scope_that_is_refused_does_not_show_the_keys(scope: Any) -> None:
    check_error(refusal(lambda: OAuthClientCredentials(APP_ID, APP_TOKEN, scope)))


@pytest.mark.parametrize(
    ("app_id", "app_token"),
    [
        pytest.param(f"{APP_ID}\n", APP_TOKEN, id="a bad id"),
        pytest.param(APP_ID, f"{APP_TOKEN}\n", id="a bad token"),
        pytest.param(APP_ID, None, id="no token"),
        pytest.param(None, APP_TOKEN, id="no id"),
    ],
)
def test_keys_of_the_environment_that_are_refused_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, app_id: str | None, app_token: str | None
) -> None:
    for name, value in (("VOUCHERIFY_APP_ID", app_id), ("VOUCHERIFY_APP_TOKEN", app_token)):
        if value is not None:
            monkeypatch.setenv(name, value)
    check_error(refusal(VoucherifyClient))


HALVES: list[Any] = [
    pytest.param({"app_id": APP_ID}, id="only the id"),
    pytest.param({"app_token": APP_TOKEN}, id="only the token"),
    pytest.param({"app_id": APP_ID, "app_token": APP_TOKEN, "auth": OAuthToken(ISSUED)}, id="keys and auth"),
    pytest.param({"app_token": APP_TOKEN, "auth": OAuthToken(ISSUED)}, id="a token and auth"),
    pytest.param({"auth": ISSUED}, id="a token for auth"),
    pytest.param({"auth": (APP_ID, APP_TOKEN)}, id="a pair for auth"),
    pytest.param({"auth": {"Authorization": f"Bearer {ISSUED}"}}, id="headers for auth"),
]


@pytest.mark.parametrize("identity", HALVES)
def test_an_identity_that_is_none_is_not_shown(identity: dict[str, Any]) -> None:
    check_error(refusal(lambda: VoucherifyClient(**identity)))


@pytest.mark.parametrize("method", ["introspect_token", "revoke_token"])
@pytest.mark.parametrize(
    "token", [ASKED.encode(), f"{ASKED}\ud800", [ASKED]], ids=["bytes", "a lone surrogate", "a list"]
)
async def test_a_token_that_cannot_be_asked_about_is_not_shown(method: str, token: Any) -> None:
    client = VoucherifyClient(APP_ID, APP_TOKEN)
    with pytest.raises(ValueError) as caught:
        await getattr(client.oauth, method)(token)
    check_error(caught.value)


# ---------------------------------------------------------------- reprs


def clients() -> Iterator[VoucherifyClient]:
    for auth in (
        ApiKeys(APP_ID, APP_TOKEN),
        OAuthToken(ISSUED),
        OAuthClientCredentials(APP_ID, APP_TOKEN),
    ):
        yield VoucherifyClient(auth=auth, headers={"X-Own": OWN}, rate_limiter=LocalRateLimiter(1, 1))


def test_no_repr_shows_a_secret() -> None:
    facts: dict[str, Any] = {"client_id": APP_ID, "expires_in": 900, "scope": "api", "token_type": "Bearer"}
    values: list[object] = [
        AccessToken(access_token=ISSUED, **facts),
        TokenIntrospection(access_token=ISSUED, active=True, **facts),
        ApiKeys(APP_ID, APP_TOKEN),
        OAuthToken(ISSUED),
        OAuthClientCredentials(APP_ID, APP_TOKEN),
        token_request("api"),
    ]
    for client in clients():
        values += [client, client.with_options(headers={"X-More": OWN}), *parts_of(client)]
        values += [client.oauth, client.customers, client.customers.list(), vars(client.customers)]
        values.append(listing(client.customers.list()))
    assert leaks((type(value).__name__, form % (value,)) for value in values for form in ("%r", "%s")) == []


# ---------------------------------------------------------------- a service that repeats what it was told


def facing(face: Face) -> AbstractAsyncContextManager[RawServer]:
    """A server that closes each connection after a reply."""

    def closing(request: bytes) -> Reply:
        reply = face(request)
        return close_after(reply) if isinstance(reply, bytes) else reply

    return running(RawServer(closing))


def issuing(face: Face, token: str = ISSUED) -> Face:
    """Gives out tokens, and answers everything else as the other face does."""
    issued = respond(body=json.dumps({"access_token": token, "expires_in": 900}).encode())
    return lambda request: issued if request.startswith(b"POST /v1/oauth/token ") else face(request)


def fields_of(text: str) -> dict[str, Any]:
    names = ("key", "message", "details", "request_id", "resource_id", "resource_type")
    return {"code": 1, **dict.fromkeys(names, text)}


def in_json(status: int) -> Face:
    return lambda request: respond(status, json.dumps(fields_of(request.decode())).encode())


def in_another_json(status: int) -> Face:
    return lambda request: respond(status, json.dumps({"error": {"message": request.decode()}}).encode())


def in_bytes(status: int) -> Face:
    return lambda request: respond(status, request)


def secrets_in(request: bytes) -> list[str]:
    """The secrets that a request holds, as it holds them."""
    text = request.decode()
    return [form for secret in SECRETS for form in {secret, quote(secret, safe="")} if form in text]


def at_the_end_of_the_excerpt(cut: int) -> Face:
    """An answer of which an error keeps the beginning, which ends in the middle of a secret."""

    def face(request: bytes) -> bytes:
        secret = max(secrets_in(request), key=len)
        return respond(200, b"x" * (500 - len(secret) + cut) + secret.encode() + b"and so on")

    return face


def in_headers(status: int, body: bytes = b"{}", *more: str) -> Face:
    def face(request: bytes) -> bytes:
        secret = max(secrets_in(request), key=len)
        names = ("X-Request-Id", "X-Rate-Limit-Type", "X-Rate-Limit-Retry", "Retry-After", "Location")
        return respond(status, body, headers=(*more, *(f"{name}: {secret}" for name in names)))

    return face


def spelled(spelling: Callable[[str], str]) -> Face:
    """In an answer that is not what was promised, spelled in another way than it was sent."""

    def face(request: bytes) -> bytes:
        secrets = [
            secret for secret in SECRETS if {secret, quote(secret, safe="")} & set(secrets_in(request))
        ]
        return respond(200, " ".join(map(spelling, secrets)).encode())

    return face


def by_number(form: str) -> Callable[[str], str]:
    """What is neither letter nor digit is written by its number."""
    return lambda secret: "".join(sign if sign.isalnum() else form % ord(sign) for sign in secret)


def in_a_list(request: bytes) -> bytes:
    """A page with an item that cannot be decoded."""
    item = {"id": request.decode(), "name": [request.decode()]}
    return respond(200, json.dumps({"customers": [item], "has_more": False}).encode())


def first_line_of(head: str) -> Face:
    """No HTTP, or hardly."""
    return lambda request: (head % max(secrets_in(request), key=len)).encode() + b"\r\n\r\n"


ECHOES: list[Any] = [
    *(
        pytest.param(in_json(status), id=f"{status} in JSON")
        for status in (302, 400, 401, 404, 429, 500, 503)
    ),
    pytest.param(in_another_json(400), id="400 in the JSON of an extension"),
    pytest.param(in_bytes(502), id="502 in HTML"),
    pytest.param(in_bytes(200), id="200 that is no JSON"),
    pytest.param(lambda request: respond(200, json.dumps([request.decode()]).encode()), id="200 in an array"),
    pytest.param(in_a_list, id="200 in an item of a list"),
    pytest.param(in_headers(400), id="400 in headers"),
    pytest.param(in_headers(429), id="429 in headers"),
    pytest.param(in_headers(503), id="503 in headers"),
    pytest.param(in_headers(200), id="200 in headers"),
    pytest.param(in_headers(200, b"{}" * 100_000), id="200 in headers, and too long"),
    pytest.param(in_headers(200, b"{}", "Content-Encoding: gzip"), id="200 in headers, and not compressed"),
    pytest.param(spelled(lambda secret: quote(secret, safe="")), id="200 as in a URL"),
    pytest.param(spelled(by_number("%%%02x")), id="200 as in a URL, in small letters"),
    pytest.param(spelled(lambda secret: secret.replace("/", "\\/")), id="200 as PHP writes JSON"),
    pytest.param(spelled(by_number("\\u%04x")), id="200 as Java writes JSON"),
    pytest.param(spelled(by_number("&#%d;")), id="200 as in HTML"),
    pytest.param(at_the_end_of_the_excerpt(0), id="200 up to the end of the excerpt"),
    pytest.param(at_the_end_of_the_excerpt(1), id="200 up to the end of the excerpt, less a character"),
    pytest.param(at_the_end_of_the_excerpt(9), id="200 across the end of the excerpt"),
    pytest.param(first_line_of("%s"), id="not HTTP"),
    pytest.param(first_line_of("HTTP/1.1 200 OK\r\n%s"), id="a header that is none"),
    pytest.param(first_line_of("HTTP/1.1 %s OK"), id="a status that is none"),
    pytest.param(first_line_of("HTTP/1.1 200 OK\r\nContent-Length: %s"), id="a length that is none"),
    pytest.param(first_line_of("HTTP/1.1 200 OK\r\nContent-Encoding: %s"), id="an unknown encoding"),
]

HALF_TOKEN = respond(body=json.dumps({"access_token": ISSUED}).encode(), length=500)
TOKEN_PART = HALF_TOKEN + b" "


async def break_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HALF_TOKEN)
    await asyncio.sleep(0.001)
    writer.transport.abort()


FAILURES: list[Any] = [
    pytest.param(lambda _: None, id="closed"),
    pytest.param(lambda _: reset, id="reset"),
    pytest.param(lambda _: break_off, id="reset in the answer"),
    pytest.param(lambda _: HALF_TOKEN, id="an answer that is cut"),
    pytest.param(lambda _: stall, id="silence"),
    pytest.param(lambda _: b"SSH-2.0-OpenSSH_9.2\r\n", id="not HTTP"),
    pytest.param(lambda _: respond(429, headers=("Retry-After: 1000",)), id="429 for long"),
    pytest.param(lambda _: respond(503), id="503"),
    pytest.param(lambda _: respond(200, b"{}" * 100_000), id="too long"),
    pytest.param(lambda _: respond(headers=("Content-Encoding: gzip",)), id="not compressed"),
]

# The answer to a request for a token that holds one, and is not what was promised.
ODD_TOKENS: list[Any] = [
    pytest.param(json.dumps({"access_token": [ISSUED]}), id="in a list"),
    pytest.param(json.dumps({"token": ISSUED}), id="by another name"),
    pytest.param(json.dumps([ISSUED]), id="in an array"),
    pytest.param(json.dumps(ISSUED), id="alone"),
    pytest.param(ISSUED, id="no JSON"),
    pytest.param(json.dumps({"access_token": ISSUED})[:-1], id="cut JSON"),
    pytest.param(json.dumps({"access_token": ISSUED, "expires_in": ISSUED}), id="in another property too"),
    pytest.param(json.dumps({"access_token": f"{ISSUED}\n"}), id="with the end of its line"),
    pytest.param(json.dumps({"access_token": f"{ISSUED}é"}, ensure_ascii=False), id="not ASCII"),
    pytest.param(json.dumps({"access_token": ISSUED, "a": 1}).replace("1", "[" * 50_000), id="too deep"),
]


class Own:
    """An auth of the caller's own, with a scheme of its own."""

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {OWN}", "X-Other": OWN[::-1]}


Call = Callable[[VoucherifyClient], Awaitable[Any]]


async def walk(client: VoucherifyClient) -> None:
    """A list whose items may be odd: an error for each, and none for the call."""
    errors: list[DecodeError] = []
    await client.customers.list(on_invalid=errors.append)
    raise errors[0] if errors else VoucherifyError("nothing is wrong")


KEYS = ApiKeys(APP_ID, APP_TOKEN)
CREDENTIALS = OAuthClientCredentials(APP_ID, APP_TOKEN)

CALLS: dict[str, tuple[Any, Call]] = {
    "get with keys": (KEYS, lambda client: client.customers.get("a")),
    "create with keys": (KEYS, lambda client: client.customers.create(name="Ada")),
    "list with keys": (KEYS, lambda client: client.customers.list()),
    "walk with keys": (KEYS, walk),
    "get with a token": (OAuthToken(ISSUED), lambda client: client.customers.get("a")),
    "get with an auth of one's own": (Own(), lambda client: client.customers.get("a")),
    "get with credentials": (CREDENTIALS, lambda client: client.customers.get("a")),
    "create_token": (KEYS, lambda client: client.oauth.create_token()),
    "introspect_token": (KEYS, lambda client: client.oauth.introspect_token(ASKED)),
    "revoke_token": (KEYS, lambda client: client.oauth.revoke_token(ASKED)),
}
WITH_TOKENS = ("create_token", "introspect_token", "get with credentials")
OF_ALL_KINDS = ("get with keys", *WITH_TOKENS)
LISTS = ("list with keys", "walk with keys")
SINGLE = tuple(name for name in CALLS if name != "walk with keys")

AT_ONCE = RetryPolicy(attempts=2, base=0)


async def outcome(call: Callable[[], Awaitable[Any]]) -> BaseException:
    try:
        await call()
    except BaseException as error:  # noqa: BLE001  # a cancellation is one of the outcomes
        return error
    return VoucherifyError("nothing went wrong")


@asynccontextmanager
async def watched(
    face: Face, auth: Any, caplog: pytest.LogCaptureFixture, **settings: Any
) -> AsyncGenerator[VoucherifyClient]:
    """A client all of whose words are searched in the end."""
    hook = RecordingHook()
    settings = {"retry": AT_ONCE, "timeout": 0.02, "max_response_bytes": 100_000, **settings}
    with caplog.at_level(logging.DEBUG):
        async with facing(face) as server:
            settings = {"base_url": server.base_url, **settings}
            async with VoucherifyClient(auth=auth, hooks=[hook], **settings) as client:
                yield client
    assert leaks(told_by_hook(hook)) == []
    assert leaks(told_by_log(caplog.records)) == []
    caplog.clear()


async def outcomes(
    face: Face, caplog: pytest.LogCaptureFixture, names: Iterable[str] = tuple(CALLS), **settings: Any
) -> list[BaseException]:
    """What becomes of calls of all kinds; all that is told of them is searched."""
    errors: list[BaseException] = []
    for name in names:
        auth, call = CALLS[name]
        answers = issuing(face) if auth is CREDENTIALS else face
        async with watched(answers, auth, caplog, **settings) as client:
            errors.append(await outcome(partial(call, client)))
        check_error(errors[-1])
    return errors


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_service_that_repeats_them(echo: Face, caplog: pytest.LogCaptureFixture) -> None:
    await outcomes(echo, caplog, LISTS if echo is in_a_list else SINGLE)


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_renewal_that_fails_by_repeating_them(echo: Face, caplog: pytest.LogCaptureFixture) -> None:
    async with watched(echo, CREDENTIALS, caplog) as client:
        calls = (outcome(lambda: client.customers.get("a")) for _ in range(3))
        for error in await asyncio.gather(*calls):
            check_error(error)


@pytest.mark.parametrize("failure", FAILURES)
async def test_no_usable_answer(failure: Face, caplog: pytest.LogCaptureFixture) -> None:
    for error in await outcomes(failure, caplog, SINGLE, timeout=0.01):
        assert isinstance(error, VoucherifyError)
        assert error.operation


async def test_a_connection_that_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with facing(lambda _: None) as gone:
        pass
    errors = await outcomes(lambda _: None, caplog, base_url=gone.base_url, timeout=None)
    assert {type(error) for error in errors} == {ConnectionFailedError}


@pytest.mark.parametrize("body", ODD_TOKENS)
async def test_an_oauth_answer_that_is_not_what_was_promised(
    body: str, caplog: pytest.LogCaptureFixture
) -> None:
    odd = respond(body=body.encode())
    for name in WITH_TOKENS:
        auth, call = CALLS[name]
        async with watched(lambda _: odd, auth, caplog) as client:
            error = await outcome(partial(call, client))
        check_error(error)
        if isinstance(error, DecodeError):
            assert error.body == ""


async def test_one_key_may_be_part_of_the_other(caplog: pytest.LogCaptureFixture) -> None:
    """What is left of the longer once the shorter is taken out would be most of it."""
    for start in range(0, 12, 4):
        keys = ApiKeys(APP_TOKEN[start : start + 10], APP_TOKEN)
        async with watched(in_json(400), keys, caplog) as client:
            error = await outcome(lambda: client.customers.get("a"))
        assert isinstance(error, APIStatusError)
        check_error(error)


class Phrase:
    """A key of several words, none of which tells much."""

    WORDS = "correct horse battery staple"

    def headers(self) -> dict[str, str]:
        return {"X-Phrase": self.WORDS}


@pytest.mark.parametrize("face", [in_json(400), in_bytes(200)], ids=["400", "200"])
async def test_a_key_may_have_several_words(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    async with watched(face, Phrase(), caplog) as client:
        error = await outcome(lambda: client.customers.get("a"))
    assert not [where for where, text in told_by_error(error) if "horse battery" in text]


@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_a_url_is_not_shown_either(size: int) -> None:
    """Ids in it are personal data. aiohttp has it in the texts of some errors, such as of a write that fails."""
    async with (
        running(Server(reset)) as server,
        VoucherifyClient(auth=KEYS, base_url=server.base_url, retry=AT_ONCE) as client,
    ):
        with pytest.raises(ConnectionFailedError) as caught:
            await client.request("PUT", "/v1/{id}", path_params={"id": "ada-lovelace"}, content=b"x" * size)
    for link in links(caught.value):
        assert "lovelace" not in f"{link} {link!r} {vars(link)}"


@pytest.mark.parametrize("way", ["cancel", "timeout", "deadline"])
async def test_an_answer_that_repeats_them_and_then_one_that_stops(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The first attempt has failed, and the second is in the middle of its answer."""

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(TOKEN_PART)
        await stall(reader, writer)

    for name in OF_ALL_KINDS:
        auth, call = CALLS[name]
        asked: list[bytes] = []

        def face(request: bytes) -> bytes | Script | None:
            asked.append(request)  # noqa: B023
            return in_json(503)(request) if len(asked) == 1 else begin  # noqa: B023

        deadline = 0.1 if way == "deadline" else None
        async with watched(face, auth, caplog, timeout=None, deadline=deadline) as client:
            use_loop_time(client)
            limit = 0.1 if way == "timeout" else None
            task = asyncio.create_task(outcome(partial(bounded, partial(call, client), limit)))
            if way == "cancel":
                while len(asked) < 2:  # noqa: ASYNC110  # what arrives at a socket sets no event
                    await asyncio.sleep(0)
                for _ in range(5):
                    await asyncio.sleep(0)
                task.cancel()
            error = await task
        check_error(error)
        expected = {
            "cancel": asyncio.CancelledError,
            "timeout": TimeoutError,
            "deadline": DeadlineExceededError,
        }
        assert isinstance(error, expected[way])


async def bounded(call: Callable[[], Awaitable[Any]], seconds: float | None) -> None:
    async with asyncio.timeout(seconds):
        await call()


# ---------------------------------------------------------------- cancellation, wherever it comes


def half_a_token(_: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HALF_TOKEN)
        await stall(reader, writer)

    return script


STAGES: list[Any] = [
    pytest.param(lambda _: stall, id="before the answer"),
    pytest.param(half_a_token, id="in the answer"),
    pytest.param(in_json(503), id="in the pause after an answer that repeats"),
    pytest.param(in_json(429), id="after a refusal that repeats"),
    pytest.param(in_json(401), id="after another refusal that repeats"),
]


@pytest.mark.parametrize("name", OF_ALL_KINDS)
@pytest.mark.parametrize("face", STAGES)
async def test_a_cancellation_at_any_step(face: Face, name: str, caplog: pytest.LogCaptureFixture) -> None:
    auth, call = CALLS[name]
    settings: dict[str, Any] = {"timeout": None, "retry": RetryPolicy(attempts=3)}
    # With credentials the renewal is cancelled in the one, and the call in the other.
    for answers in (face, issuing(face)) if auth is CREDENTIALS else (face,):
        async with watched(answers, auth, caplog, **settings) as client:
            use_clock(client, FakeClock(held=True))
            ended = False
            for steps in range(1, 20):
                task = asyncio.create_task(outcome(partial(call, client)))
                for _ in range(steps):
                    await asyncio.sleep(0)
                ended |= task.done()
                task.cancel()
                check_error(await task)
                if ended:
                    break


async def test_a_pause_that_is_cancelled_shows_no_answer_that_repeats(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched(in_json(503), KEYS, caplog) as client:
        clock = use_clock(client, FakeClock(held=True))
        task = asyncio.create_task(outcome(lambda: client.customers.get("a")))
        while not clock.asleep:  # noqa: ASYNC110  # a clock sets no event
            await asyncio.sleep(0.001)
        task.cancel()
        error = await task
    assert isinstance(error, asyncio.CancelledError)
    check_error(error)


# ---------------------------------------------------------------- what is left


class Failing:
    def on_request(self, event: object) -> None:
        raise RuntimeError("a hook went wrong")

    on_response = on_retry = on_error = on_request


async def test_a_hook_that_fails_is_logged_without_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with (
            facing(issuing(in_json(503))) as server,
            VoucherifyClient(
                auth=CREDENTIALS, base_url=server.base_url, hooks=[Failing()], retry=AT_ONCE
            ) as client,
        ):
            check_error(await outcome(lambda: client.customers.get("a")))
    assert any(record.exc_info for record in caplog.records)
    assert leaks(told_by_log(caplog.records)) == []


class Refusing:
    async def acquire(self, kind: str, max_wait: float) -> float | None:
        raise RuntimeError("a limiter went wrong")

    def release(self, kind: str, told: object, wait: float | None) -> None: ...


async def test_a_limiter_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    errors = await outcomes(lambda _: respond(), caplog, rate_limiter=Refusing())
    assert {type(error) for error in errors} == {RuntimeError}


@pytest.mark.parametrize("name", [name for name in CALLS if "credentials" not in name])
async def test_places_and_closing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    auth, call = CALLS[name]
    settings = {"timeout": Timeouts(pool=0.005), "max_connections": 1, "retry": RetryPolicy(attempts=1)}
    async with watched(lambda _: stall, auth, caplog, **settings) as client:
        first = asyncio.create_task(outcome(client.oauth.create_token))
        await asyncio.sleep(0)
        check_error(await outcome(partial(call, client)))
        third = asyncio.create_task(outcome(partial(call, client.with_options(timeout=None))))
        await asyncio.sleep(0.001)
        await client.aclose()
        for task in (first, third):
            error = await task
            check_error(error)
            assert isinstance(error, VoucherifyError)
        check_error(await outcome(partial(call, client)))


async def test_a_gate_that_is_closed_for_too_long(caplog: pytest.LogCaptureFixture) -> None:
    async with watched(lambda _: respond(429, headers=("Retry-After: 1000",)), KEYS, caplog) as client:
        for _ in range(2):
            error = await outcome(lambda: client.oauth.introspect_token(ASKED))
            check_error(error)
            assert isinstance(error, RateLimitError)


async def test_an_error_of_aiohttps_that_nobody_expects(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not translated; still it must not show more than aiohttp does."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", fail)
    async with watched(lambda _: stall, KEYS, caplog) as client:
        error = await outcome(lambda: client.oauth.introspect_token(ASKED))
    assert isinstance(error, RuntimeError)
    check_error(error)

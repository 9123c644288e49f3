"""The sandbox's rate limit as a client in any language sees it. Nobody sleeps: the clock is moved."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.support.clocks import FakeClock
from voucherify_async.sandbox import Quota, Sandbox
from voucherify_async.sandbox.__main__ import make_sandbox, serve
from voucherify_async.sandbox._http import server

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
EPOCH = int(NOW)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@contextlib.asynccontextmanager
async def serving(
    clock: FakeClock, rate_limit: int | Quota | None, **settings: Any
) -> AsyncGenerator[aiohttp.ClientSession, None]:
    sandbox = Sandbox(rate_limit=rate_limit, **settings)
    sandbox.store.clock = clock
    keys = {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token}
    async with sandbox, aiohttp.ClientSession(sandbox.base_url, headers=keys) as http:
        yield http


async def call(http: aiohttp.ClientSession, method: str, path: str, **body: Any) -> Any:
    """What the answer says: its status, the number of calls that remain, and when to come again."""
    async with http.request(method, path, **body) as answer:
        assert answer.headers["X-Rate-Limit-Limit"].isdecimal()
        remaining, retry = (int(answer.headers[f"X-Rate-Limit-{name}"]) for name in ("Remaining", "Retry"))
        return answer.status, remaining, retry - EPOCH


def csv() -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", b"Source_id\na\n", filename="a.csv", content_type="text/csv")
    return form


async def test_without_a_limit_there_is_one_that_nobody_reaches(clock: FakeClock) -> None:
    clock.now += 0.999_999_7  # a date has whole seconds, and is never ahead
    async with serving(clock, None) as http:
        for number, (path, status) in enumerate((("/v1/customers", 200), ("/v1/vouchers", 404)), 1):
            async with http.get(path) as answer:
                assert answer.status == status
                assert answer.headers.getall("Date") == ["Thu, 01 Jan 2026 00:00:00 GMT"]
                assert answer.headers["X-Rate-Limit-Limit"] == "1000000"
                assert answer.headers["X-Rate-Limit-Remaining"] == str(1_000_000 - number)
                assert answer.headers["X-Rate-Limit-Retry"] == str(EPOCH + 1)
                assert "Retry-After" not in answer.headers


async def test_every_answer_says_what_remains(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock.now += 0.5
    refused = {"X-App-Token": "wrong"}
    async with serving(clock, 8) as http:
        assert await call(http, "POST", "/v1/customers", json={"source_id": "a"}) == (200, 7, 1)
        assert await call(http, "DELETE", "/v1/customers/a") == (204, 6, 1)
        assert await call(http, "GET", "/v1/customers/a") == (404, 5, 1)
        assert await call(http, "GET", "/v1/customers", headers=refused) == (401, 4, 1)
        assert await call(http, "PATCH", "/v1/customers") == (405, 3, 1)
        assert await call(http, "POST", "/v1/customers", data=b"a=b") == (415, 2, 1)
        monkeypatch.setattr(server, "routes", None)
        assert await call(http, "GET", "/v1/customers") == (500, 1, 1)
        assert await call(http, "GET", "/v1/customers") == (500, 0, 61)
        assert await call(http, "GET", "/v1/customers", headers=refused) == (429, 0, 61)
    assert "internal error in the sandbox" in caplog.text


async def test_a_call_too_many(clock: FakeClock) -> None:
    async with serving(clock, Quota(1, period=3600)) as http:
        assert await call(http, "GET", "/v1/customers") == (200, 0, 3600)
        clock.now += 0.25
        async with http.get("/v1/customers") as answer:
            assert answer.status == 429
            assert await answer.json() == {
                "code": 429,
                "key": "too_many_requests",
                "message": "Too many requests hit the API too quickly.",
                "request_id": answer.headers["X-Request-Id"],
            }
            assert answer.headers["Retry-After"] == "3600"
            assert answer.headers["X-Rate-Limit-Type"] == "api_calls"
            assert answer.headers["X-Rate-Limit-Limit"] == "1"
            assert answer.headers["X-Rate-Limit-Remaining"] == "0"
            assert answer.headers["X-Rate-Limit-Retry"] == str(EPOCH + 3600)
            assert answer.headers["Date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
        clock.now += 3599.5
        async with http.get("/v1/customers") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        clock.now += 0.25
        assert await call(http, "GET", "/v1/customers") == (200, 0, 7200)


async def test_bulk_calls_are_counted_apart(clock: FakeClock) -> None:
    upserts = [{"source_id": "a"}]
    metadata = {"source_ids": ["a"], "metadata": {"n": 1}}
    async with serving(clock, 3) as http:
        assert await call(http, "POST", "/v1/customers/bulk/async", json=upserts) == (202, 2, 0)
        assert await call(http, "POST", "/v1/customers/metadata/async", json=metadata) == (202, 1, 0)
        assert await call(http, "POST", "/v1/customers/importCSV", data=csv()) == (202, 0, 60)
        assert await call(http, "GET", "/v1/async-actions") == (200, 2, 0)
        assert await call(http, "PUT", "/v1/customers/importCSV", json={}) == (404, 1, 0)
        assert await call(http, "GET", "/v1/customers/bulk/async") == (405, 0, 60)
        for method, path, kind in (
            ("POST", "/v1/customers/bulk/async", "bulk_api_calls"),
            ("POST", URL("/v1/customers/%62ulk/async", encoded=True), "bulk_api_calls"),
            ("POST", "/v1/customers/metadata/async", "bulk_api_calls"),
            ("POST", "/v1/customers/importCSV", "bulk_api_calls"),
            ("GET", "/v1/customers", "api_calls"),
            ("POST", "/v1/oauth/token", "api_calls"),
        ):
            async with http.request(method, path) as answer:
                assert (answer.status, answer.headers["X-Rate-Limit-Type"]) == (429, kind)


@pytest.mark.parametrize(
    ("quota", "wanted"),
    [
        # Of a sliding window one place is free when the first call has left it; a fixed one starts anew.
        (
            Quota(2),
            [(0, 200, 1, 0), (40, 200, 0, 60), (59, 429, 0, 60), (60, 200, 0, 100), (61, 429, 0, 100)],
        ),
        (
            Quota(2, fixed=True),
            [(0, 200, 1, 0), (40, 200, 0, 60), (59, 429, 0, 60), (60, 200, 1, 60), (61, 200, 0, 120)],
        ),
    ],
    ids=["sliding", "fixed"],
)
async def test_windows(clock: FakeClock, quota: Quota, wanted: list[tuple[int, ...]]) -> None:
    async with serving(clock, quota) as http:
        for at, *said in wanted:
            clock.now = NOW + at
            assert await call(http, "GET", "/v1/customers") == tuple(said), at


async def test_of_calls_at_once_as_many_pass_as_may(clock: FakeClock) -> None:
    async with serving(clock, 10, latency=0.001) as http:
        answers = await asyncio.gather(*(call(http, "GET", "/v1/customers") for _ in range(30)))
    assert Counter(status for status, *_ in answers) == {200: 10, 429: 20}
    assert sorted(remaining for status, remaining, _ in answers if status == 200) == list(range(10))


async def test_a_call_counts_when_it_arrives(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pass_time(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(server, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": pass_time}))
    async with serving(clock, 1, latency=20.0) as http:
        assert await call(http, "GET", "/v1/customers") == (200, 0, 60)
        async with http.get("/v1/customers") as answer:  # arrives at 20, is answered at 40
            assert answer.status == 429
            assert answer.headers["Date"] == "Thu, 01 Jan 2026 00:00:40 GMT"
            assert answer.headers["Retry-After"] == "20"
            assert answer.headers["X-Rate-Limit-Retry"] == str(EPOCH + 60)
        # Arrives too early, although it is answered when there would be a place.
        assert await call(http, "GET", "/v1/customers") == (429, 0, 60)
        assert await call(http, "GET", "/v1/customers") == (200, 0, 120)


async def test_a_call_counts_and_is_refused_before_its_body_is_read() -> None:
    head = b"POST /v1/customers/bulk/async HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    async with Sandbox(rate_limit=1) as sandbox, contextlib.AsyncExitStack() as stack:
        url = URL(sandbox.base_url)
        answers: dict[asyncio.Task[bytes], asyncio.StreamWriter] = {}
        for _ in range(2):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            stack.callback(writer.close)
            writer.write(head)
            answers[asyncio.create_task(reader.readline())] = writer
        # Whichever of the two came second is refused, while the first still waits for its body.
        refused, _ = await asyncio.wait(answers, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert [await answer for answer in refused] == [b"HTTP/1.1 429 Too Many Requests\r\n"]
        (admitted,) = answers.keys() - refused
        answers[admitted].write(b"         ")
        assert await admitted == b"HTTP/1.1 401 Unauthorized\r\n"


async def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    running = asyncio.create_task(serve(make_sandbox(["--port", "0", "--rate-limit", "5"])))
    while not (out := capsys.readouterr().out):  # noqa: ASYNC110  # another's print, which sets no event
        await asyncio.sleep(0.01)
    found = re.search(r"BASE_URL=(\S+)", out)
    assert found is not None
    async with aiohttp.ClientSession(found[1]) as http, http.get("/v1/customers") as answer:
        said = [answer.headers[f"X-Rate-Limit-{name}"] for name in ("Limit", "Remaining")]
    assert said == ["5", "4"]
    signal.raise_signal(signal.SIGTERM)
    await running

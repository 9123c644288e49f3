"""Every code block of the README and of the documentation is run."""

from __future__ import annotations

import ast
import asyncio
import hmac
import io
import os
import re
import shlex
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.clocks import FakeClock
from tests.support.documentation import BLOCKS, COMMANDS, FRAGMENTS, PAGES, ROOT, find_blocks
from tests.support.redis import redis_server
from tests.support.wire import raw_server, respond
from voucherify_async import NotFoundError, RetryPolicy, VoucherifyClient
from voucherify_async.cli._app import app as command_line
from voucherify_async.fastapi import get_voucherify
from voucherify_async.sandbox import Sandbox

INSIDE_A_COROUTINE = [
    "operations", "lists", "resume", "stream", "sync", "errors", "responses", "rate limits", "hooks", "otel", "configuration", "fastapi", "metadata", "activity",
    "webhooks", "sandbox",
    "fail next", "sandbox webhooks", "pytest",
]  # fmt: skip


OTHERS = {
    "first program",
    "real service",
    "many customers",
    "first test",
    "fastapi application",
    "redis",
    "processes",
    "fastapi test",
}


def test_every_block_has_a_test() -> None:
    assert set(BLOCKS) == {*OTHERS, *INSIDE_A_COROUTINE}


def test_blocks_are_found_however_they_are_written() -> None:
    """A block in another notation would be shown, and not be run."""
    for path, text in PAGES.items():
        fences = re.findall(r"^\s*(?:```+|~~~+)\s*(?:\{|py|Py)", text, re.MULTILINE)
        assert len(fences) == len(find_blocks(text, "python")), path
    assert all(find_blocks(PAGES[path], "python") for path in FRAGMENTS)


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_first_program() -> None:
    program = BLOCKS["first program"]
    assert len(program.strip().splitlines()) <= 10
    out = run(program)
    assert re.fullmatch(r"cust_\w+ is Ada\n51 customers\n", out)


def test_many_customers() -> None:
    assert run(BLOCKS["many customers"]) == "1000 succeeded, 0 failed\n1000 read\n"


def test_first_test(tmp_path: Path) -> None:
    assert "1 passed" in run_pytest(BLOCKS["first test"], tmp_path)


async def test_real_service(sandbox: Sandbox) -> None:
    """The one change, with a sandbox in the place of the service."""
    program, changes = re.subn(
        r"    async with Sandbox.*\n", lambda _: BLOCKS["real service"], BLOCKS["first program"]
    )
    assert changes == 1
    program = program.replace(
        "from voucherify_async.sandbox import Sandbox", "from voucherify_async import VoucherifyClient"
    )
    out = await asyncio.to_thread(
        run,
        program,
        VOUCHERIFY_BASE_URL=sandbox.base_url,
        VOUCHERIFY_APP_ID=sandbox.app_id,
        VOUCHERIFY_APP_TOKEN=sandbox.app_token,
    )
    assert re.fullmatch(r"cust_\w+ is Ada\n1 customers\n", out)


async def test_fastapi_application(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOUCHERIFY_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("VOUCHERIFY_APP_ID", sandbox.app_id)
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", sandbox.app_token)
    monkeypatch.setenv("VOUCHERIFY_WEBHOOK_SECRET", "webhook-secret")
    found: dict[str, Any] = {}
    exec(compile(BLOCKS["fastapi application"], "fastapi application", "exec"), found)
    app = found["app"]
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
    ):
        for number in range(3):
            await app.state.voucherify.customers.create(source_id=f"crm-{number}")
        page = (await http.get("/customers", params={"limit": 2})).json()
        rest = (await http.get("/customers", params={"limit": 2, "cursor": page["next_cursor"]})).json()
        assert {item["source_id"] for item in page["items"] + rest["items"]} == {"crm-0", "crm-1", "crm-2"}
        assert (await http.get("/customers", params={"cursor": "x"})).status_code == 400
        assert (await http.get("/customers/crm-1")).json()["source_id"] == "crm-1"
        assert (await http.get("/customers/nobody")).json()["code"] == "not_found"
        sandbox.fail_next("customers.get", status=429, retry_after=600)
        limited = await http.get("/customers/crm-1")
        assert limited.status_code == 429
        assert 590 < int(limited.headers["Retry-After"]) <= 600
        body = b'{"type":"customer.created","data":{"a":1},"event":{"id":"ev_1"}}'
        signature = hmac.new(b"webhook-secret", body, "sha256").hexdigest()
        for given, status in ((signature, 204), (signature, 204), ("x", 401)):
            headers = {"X-Voucherify-Signature": given}
            assert (await http.post("/webhooks", content=body, headers=headers)).status_code == status
    assert capsys.readouterr().out == "customer.created {'a': 1}\n"
    exec(compile(BLOCKS["fastapi test"], "fastapi test", "exec"), found)
    async with Sandbox() as another, another.client() as voucherify:
        await found["test_customers_are_listed"](voucherify)


@pytest.mark.parametrize(
    ("name", "url", "key"),
    [("redis", "redis://localhost:6379", "shop"), ("processes", "redis://localhost", "voucherify")],
)
async def test_redis(
    name: str, url: str, key: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOUCHERIFY_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("VOUCHERIFY_APP_ID", sandbox.app_id)
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", sandbox.app_token)
    with redis_server(tmp_path) as server:
        program = BLOCKS[name].replace(url, server.url)
        program = program.replace('"app-id", "app-token"', f'"{sandbox.app_id}", "{sandbox.app_token}"')
        views = "client, export" if "export" in program else "voucherify,"
        program = program.replace(
            "    ...\n", f"    for view in ({views}):\n        await view.customers.list()\n"
        )
        block = compile(program, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        await eval(block, {})
        for kind in ("permits", "low") if "export" in program else ("permits",):
            assert server.command("ZCARD", f"{{{key}}}:api_calls:{kind}") == 1


@pytest.mark.parametrize("name", INSIDE_A_COROUTINE)
async def test_block(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    clock = FakeClock(time.time())
    monkeypatch.setattr("voucherify_async._transport.pool.Clock", lambda: clock)
    async with Sandbox(customers=150) as sandbox, sandbox.client() as voucherify:
        sandbox.store.clock = clock
        saved: list[Any] = []

        def save(items: Any, *, resume_at: str | None) -> None:
            saved.append((items, resume_at))

        if name == "activity":
            await voucherify.customers.create(source_id="ada@example.com")
        found: dict[str, Any] = {"voucherify": voucherify, "save": save}
        block = compile(BLOCKS[name], name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if (awaitable := eval(block, found)) is not None:
            await awaitable
        await CHECKS[name](found, voucherify, saved, capsys.readouterr().out)
        for value in found.values():
            if isinstance(value, VoucherifyClient):
                await value.aclose()


async def check_operations(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert out == "1000 done, 0 failed\n"
    assert (await voucherify.customers.get("ada@example.com")).metadata == {"tier": "gold"}


async def check_lists(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert out.startswith("20 ")
    assert len(out.splitlines()) > 20
    assert sum(len(items) for items, _ in saved) == len(found["newest"]) == 150
    assert saved[-1][1] is None


async def check_resume(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    in_london = await voucherify.customers.list(city="London").to_list()
    assert [*found["page"].items, *found["rest"]] == in_london


async def check_stream(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    lines = out.splitlines()
    assert len(lines[:150]) == 150
    assert sum(map(int, lines[150:])) == 150


async def check_sync(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert out == "10,000 of 10,000; jobs: 1\n"
    assert (await voucherify.customers.get("crm-9999")).metadata == {"visits": 9999}
    assert Path("crm.sqlite").exists()  # noqa: ASYNC240  # nothing else runs in this loop


async def check_errors(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert out.startswith("404 not_found Cannot find customer with id nobody@example.com v-")


async def check_metadata(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert out == "gold\n"


async def check_activity(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert re.fullmatch(r"created at 20\d\d-\d\d-\d\d .+\n", out)


async def check_webhooks(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    body = b'{"type":"customer.created","data":{"a":1},"event":{"id":"ev_1"}}'
    signature = hmac.new(b"webhook-secret", body, "sha256").hexdigest()
    assert [found["receive"](body, signature), found["receive"](body, signature)] == [204, 204]
    assert [found["receive"](body, "x"), found["receive"](body, None)] == [401, 401]


async def check_responses(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert re.fullmatch(r"customers\.create v-\w+ 1\n", out)


async def check_rate_limits(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert out == "None\n"
    for view in ("careful", "unpaced"):
        await found[view].customers.list()


async def check_hooks(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    async with (
        raw_server(respond(503), respond(404)) as server,
        VoucherifyClient(
            "id", "token", base_url=server.base_url, hooks=[found["Alarm"]()], retry=RetryPolicy(base=0)
        ) as client,
    ):
        with redirect_stdout(io.StringIO()) as told, pytest.raises(NotFoundError):
            await client.customers.get("a")
    assert told.getvalue() == (
        "customers.get failed with ServerError and is retried in 0.0 s\n"
        "customers.get NotFoundError None False\n"
    )


async def check_otel(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert len(found["sandbox"].store.customers) == 1


async def check_configuration(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    assert repr(found["client"]) == "<VoucherifyClient https://us1.api.voucherify.io>"


async def check_fastapi(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    app = found["app"]
    app.dependency_overrides[get_voucherify] = lambda: voucherify
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.post("/customers", json={"source_id": "crm-9", "name": "Ada"})
        assert answer.json()["source_id"] == "crm-9"
        assert "email" not in answer.json()
        page = (await http.get("/customers", params={"limit": 20})).json()
        assert len(page["items"]) == 20
        assert "system_metadata" not in page["items"][0]
        following = (await http.get("/customers", params={"limit": 20, "cursor": page["next_cursor"]})).json()
        assert not {item["id"] for item in page["items"]} & {item["id"] for item in following["items"]}
        echo = (await http.post("/echo", json=answer.json())).json()
        assert echo["id"] == answer.json()["id"]
        assert (await http.get("/openapi.json")).status_code == 200


async def check_sandbox(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    await found["test_signup_on_a_bad_day"]()


async def check_fail_next(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    await found["test_a_conflict"]()


async def check_sandbox_webhooks(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    async with raw_server(respond(204, b"")) as receiver:
        await found["test_a_new_customer_reaches_our_receiver"](receiver.base_url)
    assert len(receiver.requests) == 1


async def check_pytest(found: Any, voucherify: VoucherifyClient, saved: Any, out: str) -> None:
    """The tests of the block are run in a process of their own, with a shop that there is."""
    shop = """
import json, urllib.request

class Shop:
    def __init__(self, base_url, app_id, app_token):
        self.base_url = base_url
        self.headers = {"X-App-Id": app_id, "X-App-Token": app_token, "Content-Type": "application/json"}

    def sign_up(self, email):
        body = json.dumps({"source_id": email}).encode()
        request = urllib.request.Request(self.base_url + "/v1/customers", body, self.headers)
        urllib.request.urlopen(request).close()

async def nightly_job():
    from voucherify_async import VoucherifyClient

    async with VoucherifyClient() as voucherify:
        await voucherify.customers.create(source_id="crm-1", name="Ada")
"""
    assert "3 passed" in await asyncio.to_thread(run_pytest, shop + BLOCKS["pytest"], Path())


def run_pytest(tests: str, folder: Path) -> str:
    (folder / "test_block.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
    options = ["-o", "asyncio_default_fixture_loop_scope=function", "test_block.py"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


CHECKS = {name: globals()[f"check_{name.replace(' ', '_')}"] for name in INSIDE_A_COROUTINE}


def test_commands() -> None:
    """Those of make are rules of the Makefile; the sandbox and the command line take the options they are given."""
    makefile = (ROOT / "Makefile").read_text()
    help_ = run_help()
    for line in COMMANDS:
        match shlex.split(re.sub(r"^job=\$\(|\)$| \| .*", "", line), comments=True):
            case ["make", *targets]:
                assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), line
            case ["python", "-m", "voucherify_async.sandbox", *words] | [
                "voucherify-async",
                "sandbox",
                *words,
            ]:
                assert not {word for word in words if word.startswith("--")} - set(
                    re.findall(r"--[\w-]+", help_)
                )
            case ["voucherify-async", *words]:
                command_line.parse_args(words, print_error=False, exit_on_error=False)
            case ["pip", "install", package, *_]:
                assert re.fullmatch(r"voucherify-async(\[(cli|fastapi|otel|redis)\])?", package)
            case ["uvicorn", application]:
                assert application == "shop:app"
            case ["export", setting]:
                assert setting.partition("=")[0] in {
                    "VOUCHERIFY_APP_ID", "VOUCHERIFY_APP_TOKEN", "VOUCHERIFY_BASE_URL", "VOUCHERIFY_WEBHOOK_SECRET"
                }  # fmt: skip
            case _:
                pytest.fail(f"no check for {line}")


def run_help() -> str:
    command = [sys.executable, "-m", "voucherify_async.sandbox", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout

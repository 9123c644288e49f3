"""The page for users of the official client, as far as it is about this package."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import voucherify_async
from tests.support.official_client_page import BLOCKS, PAGE, code_in, rows
from tests.support.wire import raw_server, respond
from voucherify_async import APIStatusError, RetryPolicy, VoucherifyClient
from voucherify_async.resources.async_actions import AsyncActionsResource
from voucherify_async.resources.customers import CustomersResource
from voucherify_async.resources.oauth import OAuthResource
from voucherify_async.sandbox import Sandbox

SECTIONS = {"customers": CustomersResource, "async_actions": AsyncActionsResource, "oauth": OAuthResource}


def test_every_block_has_a_test() -> None:
    assert PAGE.count("```python\n") == len(BLOCKS)
    assert set(BLOCKS) == {"before", "after", "other sections"}


async def test_after(sandbox: Sandbox) -> None:
    async with sandbox.client() as voucherify:
        for number in range(3):
            await voucherify.customers.create(source_id=f"old-{number}")
    keys = f'"{sandbox.app_id}", "{sandbox.app_token}"'
    program = BLOCKS["after"].replace('"app-id", "app-token"', keys)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VOUCHERIFY_BASE_URL": sandbox.base_url},
    )
    assert done.returncode == 0, done.stderr
    *listed, details = done.stdout.splitlines()
    assert sorted(listed) == ["crm-1", "old-0", "old-1", "old-2"]
    assert details == "Cannot find customer with id nobody"


async def test_other_sections(capsys: pytest.CaptureFixture[str]) -> None:
    """The sandbox has no segments and vouchers to call."""
    pages = [respond(body=b'{"vouchers":%s}' % items) for items in (b'[{"code":"A"},{"code":"B"}]', b"[]")]
    async with (
        raw_server(respond(body=b'{"name":"In London"}'), *pages) as server,
        VoucherifyClient("id", "token", base_url=server.base_url) as voucherify,
    ):
        block = compile(
            BLOCKS["other sections"], "official-client.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
        await eval(block, {"voucherify": voucherify, "ada": voucherify_async.Customer(id="cust_1")})
    assert capsys.readouterr().out == "200 In London\nA\nB\n"
    first, second, _ = server.requests
    assert first.startswith(b"POST /v1/segments ")
    assert first.endswith(b'{"name":"In London","type":"static","customers":["cust_1"]}')
    assert second.startswith(b"GET /v1/vouchers?limit=100")


def test_every_method_is_in_a_table_once() -> None:
    ours = {
        f"{section}.{name}"
        for section, resource in SECTIONS.items()
        for name in dir(resource)
        if not name.startswith("_")
    }
    replacing = [code_in(row[1])[0] for row in rows("methods")]
    only_here = [name for row in rows("only here") for name in code_in(row[0])]
    assert sorted([*replacing, *only_here]) == sorted(ours)


def test_every_method_that_a_remark_names_exists() -> None:
    for name in re.findall(r"`(customers|async_actions|oauth)\.(\w+)", PAGE):
        assert hasattr(SECTIONS[name[0]], name[1]), name


@pytest.mark.parametrize("row", rows("errors"), ids=lambda row: row[0])
async def test_errors(row: list[str], sandbox: Sandbox) -> None:
    status, _, ours = row
    sandbox.fail_next("customers.get", status=int(status))
    async with sandbox.client(retry=RetryPolicy(attempts=1)) as voucherify:
        with pytest.raises(APIStatusError) as caught:
            await voucherify.customers.get("crm-1")
    assert type(caught.value) is getattr(voucherify_async, code_in(ours)[0])


def test_the_speed_is_what_was_measured() -> None:
    measured = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text()
    names = [
        "create, 100 at once: throughput / official",
        "walk: customers per CPU second / official",
        "import VoucherifyClient / the official client",
    ]
    expected = [re.search(rf"^\| {name} \| ([\d.]+) \(", measured, re.MULTILINE) for name in names]
    assert [row[1] for row in rows("speed")] == [found and found[1] for found in expected]

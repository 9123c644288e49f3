"""Runs of pytest within a test: with pytest-asyncio, with anyio's plugin, with both, with neither."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

pytest_plugins = ["pytester"]

ASYNCIO = "-p pytest_asyncio.plugin -o asyncio_default_fixture_loop_scope=function"
ASYNCIO_AUTO = f"{ASYNCIO} -o asyncio_mode=auto"
ANYIO = "-p anyio"


@pytest.fixture(autouse=True)
def _no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, plugins: str, source: str) -> pytest.RunResult:
    pytester.makepyfile("import asyncio\n\nimport pytest\n" + dedent(source))
    strict = "-p no:cacheprovider -W error --strict-markers --strict-config -p voucherify_async"
    return pytester.runpytest_inprocess(*strict.split(), *plugins.split())


@pytest.mark.parametrize(
    ("plugins", "mark"),
    [
        (ASYNCIO, "asyncio"),
        (f"{ASYNCIO} {ANYIO}", "asyncio"),
        (ASYNCIO_AUTO, "voucherify"),
        (f"{ASYNCIO_AUTO} {ANYIO}", "voucherify"),
        (ANYIO, "anyio"),
        (f"{ASYNCIO} {ANYIO}", "anyio"),
        (f"{ANYIO} -o anyio_mode=auto", "voucherify"),
    ],
)
def test_serves_synchronous_and_asynchronous_tests(
    pytester: pytest.Pytester, plugins: str, mark: str
) -> None:
    source = f"""
    import urllib.request

    pytestmark = pytest.mark.voucherify(customers=2)

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    def test_synchronous(voucherify_sandbox):
        url = voucherify_sandbox.base_url + "/v1/customers"
        keys = {{"X-App-Id": voucherify_sandbox.app_id, "X-App-Token": voucherify_sandbox.app_token}}
        with urllib.request.urlopen(urllib.request.Request(url, headers=keys)) as answer:
            assert b'"total":2' in answer.read()

    @pytest.mark.{mark}()
    class TestTheClient:
        async def test_is_fresh(self, voucherify, voucherify_sandbox):
            await voucherify.customers.create()
            assert len(await voucherify.customers.list().to_list()) == 3
            assert len(voucherify_sandbox.requests) == 2

        async def test_is_fresh_again(self, voucherify):
            assert len(await voucherify.customers.list().to_list()) == 2

        async def test_may_be_made_by_the_test(self, voucherify_sandbox):
            async with voucherify_sandbox.client() as voucherify:
                assert len(await voucherify.customers.list().to_list()) == 2
    """
    run(pytester, plugins, source).assert_outcomes(passed=4)


def test_the_client_lives_in_the_loop_of_the_test(pytester: pytest.Pytester) -> None:
    source = """
    import pytest_asyncio

    loops = []

    @pytest_asyncio.fixture(loop_scope="module")
    async def ada(voucherify):
        yield await voucherify.customers.create(name="Ada")
        assert len(await voucherify.customers.list().to_list()) == 1
        loops.append(asyncio.get_running_loop())

    @pytest.mark.asyncio(loop_scope="module")
    async def test_in_the_loop_of_the_module(voucherify, ada):
        assert await voucherify.customers.get(ada.id) == ada

    @pytest.mark.asyncio(loop_scope="module")
    async def test_in_the_same_loop(voucherify, ada):
        assert loops == [asyncio.get_running_loop()]
        assert await voucherify.customers.get(ada.id) == ada

    @pytest.mark.asyncio
    async def test_in_a_loop_of_its_own(voucherify):
        assert asyncio.get_running_loop() not in loops
        assert await voucherify.customers.list().to_list() == []
    """
    run(pytester, ASYNCIO, source).assert_outcomes(passed=3)


def test_a_synchronous_test_may_use_what_a_fixture_made(pytester: pytest.Pytester) -> None:
    source = """
    @pytest.fixture
    async def ada(voucherify):
        return await voucherify.customers.create(name="Ada")

    def test_synchronous(ada, voucherify_sandbox):
        assert list(voucherify_sandbox.store.customers) == [ada.id]
    """
    run(pytester, ASYNCIO_AUTO, source).assert_outcomes(passed=1)


def test_the_closest_marker_wins(pytester: pytest.Pytester) -> None:
    source = """
    from voucherify_async.sandbox import Quota

    pytestmark = pytest.mark.voucherify(customers=2, rate_limit=100, latency=0.001)

    @pytest.mark.voucherify(customers=3, rate_limit=Quota(200))
    class TestOfAClass:
        @pytest.mark.voucherify(customers=4)
        def test_takes_each_argument_from_the_closest(self, voucherify_sandbox):
            assert len(voucherify_sandbox.store.customers) == 4
            assert voucherify_sandbox.rate_limit == Quota(200)
            assert voucherify_sandbox.latency == 0.001
    """
    run(pytester, ASYNCIO, source).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("plugins", "mark", "problem"),
    [
        (ASYNCIO_AUTO, "voucherify(custmers=5)", "@pytest.mark.voucherify has no argument 'custmers';"),
        (ASYNCIO_AUTO, "voucherify(5)", "@pytest.mark.voucherify takes keyword arguments only, not 5"),
        (ANYIO, "anyio", "anyio runs this test on trio, but VoucherifyClient requires asyncio:"),
        (f"{ASYNCIO_AUTO} {ANYIO}", "anyio", "both pytest-asyncio and anyio's plugin handle this test:"),
        ("", "voucherify", "the fixture voucherify is for asynchronous tests, but no plugin runs this test as one:"),
    ],
)  # fmt: skip
def test_says_which_test_has_what_problem(
    pytester: pytest.Pytester, plugins: str, mark: str, problem: str
) -> None:
    source = f"""
    @pytest.fixture
    def anyio_backend():
        return "trio"

    @pytest.mark.{mark + "()" * mark.isalpha()}
    async def test_it(voucherify):
        pass
    """
    result = run(pytester, plugins, source)
    result.assert_outcomes(errors=1)
    line = next(line for line in result.outlines if f": {problem}" in line)
    assert re.match(r"test_\w+\.py::test_it(\[asyncio\])?: ", line)


def test_a_run_that_does_not_use_it_imports_nothing(tmp_path: Path) -> None:
    test = tmp_path / "test_others.py"
    test.write_text("""
import sys

def test_nothing_is_imported():
    assert "voucherify_async.pytest_plugin" in sys.modules
    ours = {module for module in sys.modules if module.startswith("voucherify_async")}
    assert ours == {"voucherify_async", "voucherify_async._lazy", "voucherify_async.pytest_plugin"}
    assert not {"aiohttp", "anyio", "asyncio", "msgspec"} & set(sys.modules)
""")
    command = [sys.executable, "-m", "pytest", "-p", "voucherify_async", "-p", "no:cacheprovider", test.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_loop_of_a_test_is_the_one_that_is_configured(pytester: pytest.Pytester) -> None:
    source = """
    loops = []

    @pytest.mark.asyncio
    async def test_first(voucherify):
        await voucherify.customers.create()
        loops.append(asyncio.get_running_loop())

    @pytest.mark.asyncio
    async def test_second(voucherify):
        assert loops == [asyncio.get_running_loop()]
        assert await voucherify.customers.list().to_list() == []
    """
    plugins = f"{ASYNCIO} -o asyncio_default_test_loop_scope=module"
    run(pytester, plugins, source).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "127.0.0.1"),
        ({"NO_PROXY": "a.example"}, "a.example,127.0.0.1"),
        ({"no_proxy": "b.example", "NO_PROXY": "a.example"}, "b.example,127.0.0.1"),
        ({"no_proxy": "*"}, None),
        ({"NO_PROXY": "*"}, None),
    ],
)
def test_a_client_without_arguments_meets_the_sandbox(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, before: dict[str, str], after: str | None
) -> None:
    for name, value in {"HTTP_PROXY": "http://proxy.invalid:3128", **before}.items():
        monkeypatch.setenv(name, value)
    expected = {"no_proxy": after, "NO_PROXY": after} if after else before
    source = f"""
    import os
    from voucherify_async import VoucherifyClient

    def proxies():
        return {{name: value for name, value in os.environ.items() if name.lower() == "no_proxy"}}

    @pytest.mark.voucherify(customers=2)
    def test_it(voucherify_env, voucherify_sandbox):
        assert voucherify_env is voucherify_sandbox
        assert proxies() == {expected!r}

        async def main():
            async with VoucherifyClient() as voucherify:
                return await voucherify.customers.list().to_list()

        assert len(asyncio.run(main())) == 2
        assert len(voucherify_env.requests) == 1

    def test_the_environment_is_restored():
        assert not [name for name in os.environ if name.startswith("VOUCHERIFY_") and name.endswith(("URL", "ID"))]
        assert proxies() == {before!r}
    """
    run(pytester, ASYNCIO, source).assert_outcomes(passed=2)

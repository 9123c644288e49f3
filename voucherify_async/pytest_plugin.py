"""Pytest fixtures that run a new sandbox for each test. Pytest loads this plugin automatically.

::

    @pytest.mark.voucherify(customers=50)
    async def test_reads_them_all(voucherify):
        assert len(await voucherify.customers.list().to_list()) == 50

`voucherify_sandbox` works in any test and with any client; `voucherify` is a client for asynchronous tests;
`voucherify_env` is for code that creates its client with the settings in the environment. The marker `voucherify`
takes the keyword arguments of `Sandbox`. A marker on a class or a module applies to all of its tests. If several
markers set the same argument, the one closest to the test wins.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Collection, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:  # pytest imports this module in every run: fixtures import what they need
    from voucherify_async.client import VoucherifyClient
    from voucherify_async.sandbox import Sandbox

__all__ = ["pytest_configure", "voucherify", "voucherify_env", "voucherify_sandbox"]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker `voucherify`."""
    config.addinivalue_line(
        "markers",
        "voucherify(**settings): keyword arguments of `voucherify_async.sandbox.Sandbox`, for the fixtures "
        "`voucherify_sandbox` and `voucherify`",
    )


@pytest.fixture
def voucherify_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A running `Sandbox` with the arguments of `@pytest.mark.voucherify(...)`.

    It runs in its own thread, so the test can be synchronous or use any event loop.
    """
    from voucherify_async.sandbox import Sandbox  # noqa: PLC0415  # imported only for tests that use it

    with Sandbox(**_sandbox_settings(request, inspect.signature(Sandbox).parameters)) as sandbox:
        yield sandbox


@pytest.fixture
def voucherify_env(voucherify_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A running `Sandbox`, to which `VoucherifyClient()` connects without arguments during the test.

    It is the sandbox of `voucherify_sandbox`. The fixture sets ``VOUCHERIFY_BASE_URL``, ``VOUCHERIFY_APP_ID`` and
    ``VOUCHERIFY_APP_TOKEN`` in the environment, and adds the host of the sandbox to ``NO_PROXY``.
    """
    monkeypatch.setenv("VOUCHERIFY_BASE_URL", voucherify_sandbox.base_url)
    monkeypatch.setenv("VOUCHERIFY_APP_ID", voucherify_sandbox.app_id)
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", voucherify_sandbox.app_token)
    host = urlsplit(voucherify_sandbox.base_url).hostname or ""
    # Both spellings, as programs differ in which of them they prefer.
    exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    if exceptions != "*":  # all hosts
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, f"{exceptions},{host}" if exceptions else host)
    return voucherify_sandbox


@pytest.fixture
def voucherify(request: pytest.FixtureRequest) -> VoucherifyClient:
    """A `VoucherifyClient` connected to `voucherify_sandbox`, for asynchronous tests. It is closed after the test.

    It runs in the event loop of the test, under pytest-asyncio or anyio's plugin.
    """
    client: VoucherifyClient = request.getfixturevalue(_client_fixture_name(request))
    return client


@pytest.fixture
async def _voucherify_anyio(voucherify_sandbox: Sandbox) -> AsyncIterator[VoucherifyClient]:
    async with voucherify_sandbox.client() as client:
        yield client


def _client_fixture_name(request: pytest.FixtureRequest) -> str:
    """The name of the fixture that creates a client in the event loop of the test."""
    # Detect pytest-asyncio by its option, because it can be loaded under different plugin names.
    has_pytest_asyncio = hasattr(request.config.option, "asyncio_mode")
    mark = request.node.get_closest_marker("asyncio") if has_pytest_asyncio else None
    if "anyio_backend" in request.fixturenames:
        if (
            mark is not None
        ):  # anyio would run the fixtures in one loop, and pytest-asyncio the test in another
            _fail(
                request,
                "both pytest-asyncio and anyio's plugin handle this test: remove the mark, or the auto mode, "
                "of one of them",
            )
        backend = request.getfixturevalue("anyio_backend_name")
        if backend != "asyncio":
            _fail(
                request,
                f"anyio runs this test on {backend}, but VoucherifyClient requires asyncio: make the fixture "
                "anyio_backend return 'asyncio', or use voucherify_sandbox with another client",
            )
        return "_voucherify_anyio"
    if not has_pytest_asyncio:
        _fail(
            request,
            "the fixture voucherify is for asynchronous tests, but no plugin runs this test as one: mark it with "
            "@pytest.mark.anyio or install pytest-asyncio; for a synchronous test, use voucherify_sandbox",
        )
    return _register_pytest_asyncio_fixture(request.config, mark)


def _register_pytest_asyncio_fixture(config: pytest.Config, mark: pytest.Mark | None) -> str:
    """Register a client fixture for the event loop of the test, and return the fixture's name."""
    import pytest_asyncio  # noqa: PLC0415  # an optional dependency

    # A synchronous test has no mark, but its asynchronous fixtures can use the client, in their default loop.
    loop_scope = None
    if mark is not None:
        loop_scope = mark.kwargs.get("loop_scope") or config.getini("asyncio_default_test_loop_scope")
    name = f"_voucherify_{loop_scope}_loop"
    if not config.pluginmanager.has_plugin(name):

        @pytest_asyncio.fixture(name=name, loop_scope=loop_scope)
        async def client_fixture(voucherify_sandbox: Sandbox) -> AsyncIterator[VoucherifyClient]:
            async with voucherify_sandbox.client() as client:
                yield client

        plugin = ModuleType(name)
        vars(plugin)[name] = client_fixture
        config.pluginmanager.register(plugin, name)
    return name


def _sandbox_settings(request: pytest.FixtureRequest, known: Collection[str]) -> dict[str, Any]:
    """Merge the keyword arguments of all markers of a test."""
    settings: dict[str, Any] = {}
    for mark in request.node.iter_markers("voucherify"):  # the closest comes first
        if mark.args:
            _fail(request, f"@pytest.mark.voucherify takes keyword arguments only, not {mark.args[0]!r}")
        settings = mark.kwargs | settings
    for name in settings:
        if name not in known:
            _fail(
                request,
                f"@pytest.mark.voucherify has no argument {name!r}; its arguments are {', '.join(known)}",
            )
    return settings


def _fail(request: pytest.FixtureRequest, problem: str) -> NoReturn:
    pytest.fail(f"{request.node.nodeid}: {problem}", pytrace=False)

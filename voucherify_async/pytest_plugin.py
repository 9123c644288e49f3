"""The sandbox in pytest, which finds this plugin by itself: a fresh one for each test that asks for it.

::

    @pytest.mark.voucherify(customers=50)
    async def test_reads_them_all(voucherify):
        assert len(await voucherify.customers.list().to_list()) == 50

`voucherify_sandbox` serves any test and any client, `voucherify` is for asynchronous tests. The marker takes
the keyword arguments of `Sandbox`; those on a class or a module hold for its tests, and the closest one wins.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Collection, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:  # pytest imports this module in every run: what a fixture needs, it imports by itself
    from voucherify_async.client import VoucherifyClient
    from voucherify_async.sandbox import Sandbox

__all__ = ["pytest_configure", "voucherify", "voucherify_sandbox"]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        "voucherify(**settings): keyword arguments of `voucherify_async.sandbox.Sandbox`, for the fixtures "
        "`voucherify_sandbox` and `voucherify`",
    )


@pytest.fixture
def voucherify_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A running `Sandbox`, made as `@pytest.mark.voucherify(...)` says.

    It has a thread of its own: the test may be synchronous, or run in any loop.
    """
    from voucherify_async.sandbox import Sandbox  # noqa: PLC0415  # only for a test that asks for it

    with Sandbox(**_settings(request, inspect.signature(Sandbox).parameters)) as sandbox:
        yield sandbox


@pytest.fixture
def voucherify(request: pytest.FixtureRequest) -> VoucherifyClient:
    """A `VoucherifyClient` of `voucherify_sandbox`, for an asynchronous test; closed after it, in its loop.

    What runs the test runs it too: pytest-asyncio or anyio's plugin.
    """
    client: VoucherifyClient = request.getfixturevalue(_fixture_in_loop_of(request))
    return client


@pytest.fixture
async def _voucherify_in_anyio(voucherify_sandbox: Sandbox) -> AsyncIterator[VoucherifyClient]:
    async with voucherify_sandbox.client() as client:
        yield client


def _fixture_in_loop_of(request: pytest.FixtureRequest) -> str:
    """The name of the fixture that makes a client in the loop of the test."""
    # By its option, since it may have been loaded under more than one name.
    pytest_asyncio_is_there = hasattr(request.config.option, "asyncio_mode")
    mark = request.node.get_closest_marker("asyncio") if pytest_asyncio_is_there else None
    if "anyio_backend" in request.fixturenames:
        if mark is not None:  # then anyio runs the fixtures in a loop of its own, and pytest-asyncio the test
            _fail(
                request,
                "both pytest-asyncio and anyio's plugin take it for theirs: leave out the mark, or the auto "
                "mode, of one of them",
            )
        backend = request.getfixturevalue("anyio_backend_name")
        if backend != "asyncio":
            _fail(
                request,
                f"anyio runs it on {backend}, and VoucherifyClient needs asyncio: have the fixture "
                "anyio_backend return 'asyncio', or use voucherify_sandbox with another client",
            )
        return "_voucherify_in_anyio"
    if not pytest_asyncio_is_there:
        _fail(
            request,
            "the fixture voucherify is for asynchronous tests, and nothing runs this as one: mark it with "
            "@pytest.mark.anyio or install pytest-asyncio; a synchronous test uses voucherify_sandbox",
        )
    return _declare_in_pytest_asyncio(request.config, mark)


def _declare_in_pytest_asyncio(config: pytest.Config, mark: pytest.Mark | None) -> str:
    """Declare a fixture for the loop that the test runs in, and give its name."""
    import pytest_asyncio  # noqa: PLC0415  # need not be installed

    # A synchronous test has no loop. Its asynchronous fixtures have one, and may want the client.
    loop_scope = None
    if mark is not None:
        loop_scope = mark.kwargs.get("loop_scope") or config.getini("asyncio_default_test_loop_scope")
    name = f"_voucherify_in_{loop_scope}_loop"
    if not config.pluginmanager.has_plugin(name):

        @pytest_asyncio.fixture(name=name, loop_scope=loop_scope)
        async def connected(voucherify_sandbox: Sandbox) -> AsyncIterator[VoucherifyClient]:
            async with voucherify_sandbox.client() as client:
                yield client

        plugin = ModuleType(name)
        vars(plugin)[name] = connected
        config.pluginmanager.register(plugin, name)
    return name


def _settings(request: pytest.FixtureRequest, known: Collection[str]) -> dict[str, Any]:
    """What the markers of a test say, taken together."""
    settings: dict[str, Any] = {}
    for mark in request.node.iter_markers("voucherify"):  # the closest comes first
        if mark.args:
            _fail(request, f"@pytest.mark.voucherify takes keyword arguments only, not {mark.args[0]!r}")
        settings = mark.kwargs | settings
    for name in settings:
        if name not in known:
            _fail(request, f"@pytest.mark.voucherify has no argument {name!r}; it has {', '.join(known)}")
    return settings


def _fail(request: pytest.FixtureRequest, problem: str) -> NoReturn:
    pytest.fail(f"{request.node.nodeid}: {problem}", pytrace=False)

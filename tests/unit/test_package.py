from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

import voucherify_async

ROOT = Path(voucherify_async.__file__).parent
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(voucherify_async.__path__, "voucherify_async.")
    if not module.name.endswith("__main__")
)  # fmt: skip

# From the top down: an import points up.
LAYERS = [
    "_lazy",
    "_version",
    "errors",
    "models",
    "_tasks",
    "_transport",
    "pagination",
    "_sync",
    "resources",
    "client",
    "webhooks",
    "otel",
    "fastapi",
    "_shared_limit",
    "redis",
    "sandbox",
    "pytest_plugin",
    "cli",
    "__main__",
]


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    source = ast.parse(path.read_text())
    if (
        path == ROOT / "errors.py"
    ):  # errors carry what the layers above make, whose types only type checkers need
        source.body = [node for node in source.body if not isinstance(node, ast.If)]
    for node in ast.walk(source):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def layer_of(module: str) -> int:
    return LAYERS.index(module.split(".")[1])


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_up(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts == ("__init__",):
        return
    for module in imports_of(path):
        if module.startswith("voucherify_async."):
            assert layer_of(module) <= LAYERS.index(parts[0]), f"{path} imports {module}"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_one_module_and_the_sandbox_touch_aiohttp(path: Path) -> None:
    relative = path.relative_to(ROOT)
    if relative.parts[0] == "sandbox" or relative == Path("_transport/pool.py"):
        return
    assert not any(module.partition(".")[0] == "aiohttp" for module in imports_of(path)), relative


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_whole(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", None)
    if exported is None:
        return
    assert list(exported) == sorted(exported, key=lambda public: (not public.isupper(), public))
    assert len(set(exported)) == len(exported)
    for public in exported:
        assert hasattr(module, public)


LAZY = [voucherify_async, *map(importlib.import_module, (
    "voucherify_async.models",
    "voucherify_async.pagination",
    "voucherify_async.pagination.rules",
    "voucherify_async.resources",
    "voucherify_async.sandbox",
))]  # fmt: skip


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_public_names_are_what_a_type_checker_takes_them_for(package: ModuleType) -> None:
    assert package.__file__ is not None
    source = ast.parse(Path(package.__file__).read_text())
    (block,) = (
        node for node in source.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    declared = {
        name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        for name in (importlib.import_module(node.module).__all__ if alias.name == "*" else (alias.name,))
    }
    assert sorted(declared.keys() - {"__version__"}) == sorted(vars(package)["__all__"])
    for name, module in declared.items():
        assert getattr(package, name) is getattr(importlib.import_module(module), name)


if TYPE_CHECKING:  # names are found at run time, and a type checker knows all the same that this is none
    NONE = voucherify_async.Eve  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def run(program: str) -> str:
    """What the program prints, in a process that has imported nothing yet."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_imports_nothing() -> None:
    out = run("""
import sys, voucherify_async
print(*(name for name in sys.modules if name.startswith("voucherify_async")))
print({"aiohttp", "anyio", "asyncio", "msgspec"} & set(sys.modules))
""")
    assert out.split("\n") == ["voucherify_async._lazy voucherify_async", "set()"]


def test_names_and_submodules_are_imported_when_they_are_asked_for() -> None:
    out = run("""
import sys, voucherify_async as package
assert {"VoucherifyClient", "NotFoundError", "__all__"} <= set(dir(package))
assert package.NotFoundError is package.errors.NotFoundError
assert package.pagination.pager.Pager is package.Pager
assert not hasattr(package, "Voucher")
from voucherify_async import *
assert VoucherifyClient is package.client.VoucherifyClient
assert vars(package)["VoucherifyClient"] is VoucherifyClient
print("voucherify_async.sandbox" in sys.modules)
""")
    assert out == "False"


@pytest.mark.parametrize("seed", range(6))
def test_threads_may_ask_first_at_once(seed: int) -> None:
    out = run(f"""
import random, sys, threading, voucherify_async
sys.setswitchinterval(1e-6)
names = [*voucherify_async.__all__, "errors", "models", "pagination", "client"]
random.Random({seed}).shuffle(names)
found, ready = [], threading.Barrier(8)
def ask(own):
    ready.wait()
    found.extend(getattr(voucherify_async, name) for name in own)
threads = [threading.Thread(target=ask, args=[names[first::8]]) for first in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found) == len(names))
""")
    assert out == "True"


def test_pydantic_is_not_imported() -> None:
    out = run("import sys, voucherify_async.sandbox; print('pydantic' in sys.modules)")
    assert out == "False"

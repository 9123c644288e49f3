from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import voucherify_async

ROOT = Path(voucherify_async.__file__).parent
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(voucherify_async.__path__, "voucherify_async.")
    if not module.name.endswith("__main__")
)  # fmt: skip

# From the top down: an import points up.
LAYERS = ["errors", "models", "transport", "pagination", "bulk", "resources", "client", "otel", "sandbox"]


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
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
    if relative.parts[0] == "sandbox" or relative == Path("transport/pool.py"):
        return
    assert not any(module.partition(".")[0] == "aiohttp" for module in imports_of(path)), relative


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_whole(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", None)
    if exported is None:
        return
    assert len(set(exported)) == len(exported)
    for public in exported:
        assert hasattr(module, public)


def test_public_names() -> None:
    for name in voucherify_async.__all__:
        assert hasattr(voucherify_async, name)


def test_pydantic_is_not_imported() -> None:
    program = "import sys, voucherify_async, voucherify_async.sandbox; print('pydantic' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_the_sandbox_is_not_imported_with_the_package() -> None:
    program = "import sys, voucherify_async; print('voucherify_async.sandbox' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"

"""What must work once the wheel is installed. An interpreter that has only the wheel runs this file.

    python -I tests/release/smoke.py [EXTRA]

Without an extra, nothing but the required dependencies may be installed. The extras are those that the wheel declares:
the module of each is `voucherify_async.<extra>`.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, distribution
from pathlib import Path

import voucherify_async
from voucherify_async import SyncReport
from voucherify_async.sandbox import Sandbox

INSTALLED = distribution("voucherify-async")
EXTRAS = INSTALLED.metadata.get_all("Provides-Extra") or []
NEEDS_PYTEST = "voucherify_async.pytest_plugin"


def main() -> None:
    extra = sys.argv[1] if len(sys.argv) > 1 else None
    if extra is None:
        check_what_is_installed()
        asyncio.run(run_a_program())
        run([sys.executable, "-I", "-m", "voucherify_async.sandbox", "--help"], expect="--customers")
        check_that_extras_are_optional()
    else:
        importlib.import_module(f"voucherify_async.{extra}")
        run_scripts(extra)


def check_what_is_installed() -> None:
    package = Path(voucherify_async.__file__).parent
    assert package.is_relative_to(sys.prefix), f"{package} is not in {sys.prefix}"
    assert voucherify_async.__version__ == INSTALLED.version
    assert (package / "py.typed").is_file()
    plugins = [point.value for point in INSTALLED.entry_points.select(group="pytest11")]
    assert plugins == [NEEDS_PYTEST], plugins


async def run_a_program() -> None:
    async with Sandbox(customers=3) as sandbox, sandbox.client() as voucherify:
        created = await voucherify.customers.create(source_id="crm-1", name="Ada")
        assert created.source_id == "crm-1"
        report: SyncReport = await voucherify.customers.sync(
            [{"source_id": f"crm-{number}"} for number in range(5)]
        )
        assert (report.succeeded, report.failed) == (5, 0), report
        customers = [customer async for customer in voucherify.customers.list()]
        assert len(customers) == 8, customers


def check_that_extras_are_optional() -> None:
    """Every module can be imported, or says which extra it needs. The command says so when it runs."""
    command = run([sys.executable, "-I", "-m", "voucherify_async"], code=2)
    assert command.stderr.strip().endswith("pip install 'voucherify-async[cli]'"), command.stderr
    names = [module.name for module in pkgutil.walk_packages(voucherify_async.__path__, "voucherify_async.")]
    names = [name for name in names if name != NEEDS_PYTEST and not name.endswith("__main__")]
    names = [name for name in names if not name.startswith("voucherify_async.cli.")]
    refused = {name: message for name in names if (message := refusal(name)) is not None}
    for extra in set(EXTRAS) - {"cli"}:
        message = refused.get(f"voucherify_async.{extra}", "it could be imported without its extra")
        assert message.endswith(f"pip install 'voucherify-async[{extra}]'"), f"{extra}: {message}"
    others = {name: message for name, message in refused.items() if not names_an_extra(message)}
    assert not others, others
    for script in scripts():
        done = subprocess.run([command_of(script)], capture_output=True, text=True, check=False)
        assert done.returncode != 0, script
        assert names_an_extra(done.stderr), done.stderr


def refusal(module: str) -> str | None:
    """The message of the ImportError that a module raises."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        return str(error)
    return None


def names_an_extra(message: str) -> bool:
    return any(f"voucherify-async[{extra}]" in message for extra in EXTRAS)


def scripts() -> Iterable[EntryPoint]:
    """The commands of the package, each of which needs an extra."""
    return INSTALLED.entry_points.select(group="console_scripts")


def command_of(script: EntryPoint) -> str:
    return str(Path(sys.executable).parent / script.name)


def run_scripts(extra: str) -> None:
    """The commands that the module of an extra defines print their help."""
    for script in scripts():
        if script.module.startswith(f"voucherify_async.{extra}"):
            run([command_of(script), "--help"], expect="usage")


def run(command: Iterable[str], *, expect: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert expect in done.stdout.lower(), done.stdout
    return done


if __name__ == "__main__":
    main()

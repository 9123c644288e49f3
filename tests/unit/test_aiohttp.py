"""The check that aiohttp has the undocumented parts that the connection pool uses."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tomllib
from operator import attrgetter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from voucherify_async._transport import pool

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
NAMES = sorted(pool._AIOHTTP_INTERNALS)
CALLED = sorted(name for name, arguments in pool._AIOHTTP_INTERNALS.items() if arguments is not None)
METHODS = [name for name in CALLED if "." in name]

# Removes or changes one part of aiohttp after the other, and says what the import of the client raises.
PROGRAM = """
import json, operator, sys
import aiohttp

def imported():
    try:
        from voucherify_async import VoucherifyClient
    except ImportError as error:
        return str(error)

def without(name):
    owner, _, attribute = name.rpartition(".")
    owner = operator.attrgetter(owner)(aiohttp) if owner else aiohttp
    original = vars(owner)[attribute]
    delattr(owner, attribute)
    return owner, attribute, original

def renamed_argument(*, other): pass
def one_more_argument(self, conn, body, writer, content_length, parser, payload, callback, new): pass

names, called = json.loads(sys.argv[1])
results = {}
for name in names:
    owner, attribute, original = without(name)
    results["no " + name] = imported()
    if name in called:
        for changed in (renamed_argument, one_more_argument):
            setattr(owner, attribute, changed)
            results[changed.__name__ + " of " + name] = imported()
    setattr(owner, attribute, original)
results["unchanged"] = imported()
print(json.dumps(results))
"""


@functools.cache
def results() -> dict[str, str | None]:
    arguments = json.dumps([NAMES, CALLED])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, arguments], capture_output=True, text=True, check=True
    )
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def message(problem: str) -> str:
    return (
        f"voucherify_async does not work with aiohttp {aiohttp.__version__}: {problem}. "
        f"Install aiohttp{pool._AIOHTTP_VERSIONS}"
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_aiohttp_without_one_of_them_is_rejected(name: str) -> None:
    assert results()[f"no {name}"] == message(f"it has no {name}")


@pytest.mark.parametrize("name", CALLED)
@pytest.mark.parametrize("change", ["renamed_argument", "one_more_argument"])
def test_an_aiohttp_with_another_signature_is_rejected(name: str, change: str) -> None:
    assert results()[f"{change} of {name}"] == message(f"{name} takes other arguments")


def test_the_installed_aiohttp_is_accepted() -> None:
    assert results()["unchanged"] is None
    pool._check_aiohttp()


def test_the_message_names_the_versions_of_the_dependency() -> None:
    dependencies = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    assert f"aiohttp{pool._AIOHTTP_VERSIONS}" in dependencies


def test_more_optional_arguments_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_eof(self: Any, callback: Any, *more: Any, context: Any = None, **others: Any) -> None: ...

    monkeypatch.setattr(aiohttp.StreamReader, "on_eof", on_eof)
    pool._check_aiohttp()


@pytest.mark.parametrize("name", METHODS)
def test_a_wrapper_of_an_instrumentation_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = attrgetter(name)(aiohttp)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    monkeypatch.setattr(f"aiohttp.{name}", wrapper)
    pool._check_aiohttp()

"""The examples beside the demo: what they say and refuse. How they resume is in test_resume.py."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.programs import load_example
from voucherify_async import Customer, RetryPolicy, VoucherifyClient

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "customers.ndjson"


@pytest.fixture
def state(output: Path) -> Path:
    return output.with_name("customers.ndjson.state")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = load_example("stream_customers", monkeypatch)
    monkeypatch.setattr(module, "SANDBOX_LATENCY", 0.0)
    return module


@pytest.fixture
def run(
    example: Any, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The example with these arguments: its exit status, and what it said."""

    def with_arguments(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stream_customers.py", str(output), *arguments])
        status = example.main()
        said = capsys.readouterr()
        return status, said.out, said.err

    return with_arguments


def read(path: Path) -> list[Customer]:
    return [msgspec.json.decode(line, type=Customer) for line in path.read_bytes().splitlines()]


def stop_after(pages: int, example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it end like a killed process after so many pages: nothing more is written."""
    append = example.Export.append

    def append_or_stop(export: Any, customers: Any, next_cursor: Any) -> None:
        nonlocal pages
        if pages == 0:
            monkeypatch.setattr(example.Export, "append", append)
            raise OSError("No space left on device")
        pages -= 1
        append(export, customers, next_cursor)

    monkeypatch.setattr(example.Export, "append", append_or_stop)


def test_it_streams_a_sandbox_from_end_to_end(run: Run, output: Path) -> None:
    status, out, err = run("--sandbox", "250")
    assert (status, out) == (0, f"250 customers in {output}.\n")
    assert "250/250" in err
    customers = read(output)
    assert len({customer.id for customer in customers}) == len(customers) == 250
    assert [file.name for file in output.parent.iterdir()] == [output.name]


def test_it_streams_one_city(run: Run, output: Path) -> None:
    assert run("--sandbox", "250", "--city", "London")[0] == 0
    cities = [customer.address.city for customer in read(output) if customer.address]
    assert set(cities) == {"London"}
    assert 0 < len(cities) < 250


def test_it_streams_nothing(run: Run, output: Path) -> None:
    assert run("--sandbox", "0")[:2] == (0, f"0 customers in {output}.\n")
    assert output.read_bytes() == b""
    assert run("--sandbox", "0")[0] == 1  # complete, though empty


def test_it_does_not_overwrite_what_is_complete(run: Run, output: Path) -> None:
    output.write_text("mine\n")
    status, _, err = run("--sandbox", "120")
    assert (status, err) == (1, f"{output} is complete, or from another program: --force overwrites it\n")
    assert output.read_text() == "mine\n"

    assert run("--sandbox", "120", "--force")[0] == 0
    assert len(read(output)) == 120


def test_it_cuts_a_torn_page_off_and_goes_on(
    run: Run, example: Any, output: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--sandbox", "350")[0] == 0
    whole = output.read_bytes()
    output.unlink()

    stop_after(2, example, monkeypatch)
    status, _, err = run("--sandbox", "350")
    assert status == 1
    assert "No space left on device\nRun the same command to continue.\n" in err
    recorded = json.loads(state.read_bytes())
    assert output.stat().st_size == recorded["length"]
    with output.open("ab") as file:
        file.write(whole[recorded["length"] :][:70_001])
    state.with_name("customers.ndjson.state.new").write_text('{"sou')

    status, out, _ = run("--sandbox", "350")
    assert status == 0
    assert f"Continuing after {recorded['customers']} customers." in out
    assert output.read_bytes() == whole
    assert [file.name for file in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize(
    ("damage", "arguments", "message"),
    [
        (lambda output, state: None, ["--sandbox", "351"], "was started with a sandbox of 350, city None"),
        (lambda output, state: None, ["--sandbox", "350", "--city", "London"], "not with .*, city London"),
        (lambda output, state: output.write_text("{}"), ["--sandbox", "350"], "is shorter than recorded"),
        (lambda output, state: output.unlink(), ["--sandbox", "350"], "is shorter than recorded"),
        (lambda output, state: state.write_text("{"), ["--sandbox", "350"], "state is damaged"),
    ],
    ids=["another service", "another city", "shorter file", "no file", "damaged state"],
)
def test_it_refuses_to_go_on_with_something_else(
    damage: Callable[[Path, Path], object],
    arguments: list[str],
    message: str,
    run: Run,
    example: Any,
    output: Path,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop_after(2, example, monkeypatch)
    assert run("--sandbox", "350")[0] == 1
    damage(output, state)
    before = [path.read_bytes() for path in sorted(output.parent.iterdir())]
    status, _, err = run(*arguments)
    assert status == 1
    assert re.search(message, err)
    assert [path.read_bytes() for path in sorted(output.parent.iterdir())] == before

    assert run(*arguments, "--force")[0] == 0
    assert not state.exists()


def test_it_says_that_keys_are_missing(run: Run, output: Path) -> None:
    status, _, err = run()
    assert status == 1
    assert "VOUCHERIFY_APP_ID" in err
    assert list(output.parent.iterdir()) == []


def test_it_says_that_the_service_cannot_be_reached(
    run: Run, example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pauses = partial(VoucherifyClient, retry=RetryPolicy(base=0.0))
    monkeypatch.setattr(example, "VoucherifyClient", without_pauses)
    monkeypatch.setenv("VOUCHERIFY_APP_ID", "id")
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "token")
    monkeypatch.setenv("VOUCHERIFY_BASE_URL", "http://127.0.0.1:1")
    status, _, err = run()
    assert status == 1
    assert "customers.list" in err
    assert "Run the same command to continue." in err

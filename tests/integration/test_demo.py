"""The demo, smaller: CI runs it whole."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

DEMO = str(Path(__file__).parents[2] / "examples" / "demo.py")


async def test_it_does_the_main_job(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(DEMO)["main"]
    main.__globals__.update(SEED_CUSTOMERS=300, BULK_CUSTOMERS=200, CSV_ROWS=50, SYNC_CUSTOMERS=400)
    await main()
    out = capsys.readouterr().out
    assert "300 customers" in out
    assert "550 customers" in out
    assert "200 done" in out
    assert "50 done" in out
    assert "400 in 1 job(s)" in out
    assert "404 not_found" in out
    assert out.count("cust_") == 1


def test_it_fails_loudly() -> None:
    demo: dict[str, Any] = runpy.run_path(DEMO)
    with pytest.raises(demo["UnexpectedResultError"], match="customers: expected 5, got 4"):
        demo["expect"]("customers", 4, 5)

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

DEMO = str(Path(__file__).parents[2] / "examples" / "demo.py")


async def test_it_does_the_main_job(capsys: pytest.CaptureFixture[str]) -> None:
    demo = runpy.run_path(DEMO)
    await demo["main"]()
    out = capsys.readouterr().out
    assert "5,000 customers" in out
    assert "7,500 customers" in out
    assert "2,000 done" in out
    assert "500 done" in out
    assert "404 not_found" in out
    assert out.count("cust_") == 1


def test_it_fails_loudly() -> None:
    demo: dict[str, Any] = runpy.run_path(DEMO)
    with pytest.raises(demo["WrongNumberError"], match="customers: 4, and it must be 5"):
        demo["expect"]("customers", 4, 5)

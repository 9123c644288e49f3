"""How long it takes to import a package, and how large the package is.

python -m benchmarks.imports
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import voucherify_async

# What is installed is compiled when it is installed; a checkout is when it is first imported, unless it may not.
ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

STATEMENTS: Final = {
    "aiohttp": "import aiohttp",
    "ours": "import voucherify_async",
    "our client": "from voucherify_async import VoucherifyClient",
    "official": "import voucherify",
}


def seconds(statement: str) -> float:
    """Seconds that a new interpreter takes for a statement, its own start included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=ENVIRONMENT)
    return time.perf_counter() - began


def measure(rounds: int) -> list[dict[str, float]]:
    """Seconds by package, in turn, after a first time that fills caches."""
    for statement in STATEMENTS.values():
        seconds(statement)
    return [{name: seconds(statement) for name, statement in STATEMENTS.items()} for _ in range(rounds)]


def megabytes() -> float:
    """The size of the package as it is installed, without what the interpreter makes of it."""
    folder = Path(voucherify_async.__file__).parent
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return sum(path.stat().st_size for path in files) / 1e6


if __name__ == "__main__":
    found = measure(rounds=9)
    for package in STATEMENTS:
        print(f"{package:<12}{statistics.median(each[package] for each in found) * 1000:>8.0f} ms")
    print(f"{'installed':<12}{megabytes():>8.2f} MB")

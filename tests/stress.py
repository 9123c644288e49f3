"""Run the tests on a busy machine: several times, beside processes that keep all cores busy.

    python -m tests.stress [--runs 3] [arguments of pytest]

A timeout that a slow machine can reach fails here. The last of several runs has the lowest priority. It still gets
time: the busy processes are lowered along with it, but less.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

BUSY_PROCESSES: Final = 8
# Ends by itself if this process is killed.
BUSY_LOOP: Final = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"
TEST_SECONDS: Final = 600
LOWEST_PRIORITY: Final = 19
LOW_PRIORITY: Final = 15


def command(niceness: int, *arguments: str) -> list[str]:
    return ["nice", "-n", str(niceness), sys.executable, *arguments]


@contextmanager
def busy_machine(niceness: int) -> Generator[None]:
    """Keep the cores busy."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(BUSY_PROCESSES):
            processes.append(subprocess.Popen(command(niceness, "-c", BUSY_LOOP)))  # noqa: PERF401  # each is killed
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def run(arguments: Sequence[str], *, last: bool) -> int:
    """Run the tests once; pytest's exit status."""
    tests = ["-m", "pytest", "-o", f"timeout={TEST_SECONDS}", *arguments]
    with busy_machine(LOW_PRIORITY if last else 0):
        return subprocess.call(command(LOWEST_PRIORITY if last else 0, *tests))


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=3)
    options, arguments = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    for number in range(1, options.runs + 1):
        sys.stderr.write(f"Run {number} of {options.runs} beside {BUSY_PROCESSES} busy processes\n")
        if status := run(arguments, last=number == options.runs > 1):
            return status
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)

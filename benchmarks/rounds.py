"""Contenders at work in turn, A B A B, each in a process of its own, and the ratios of what they took."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager

import msgspec

from benchmarks.worker import Effort, Task

# The buffer of every read, and every page of a list, is above the size from which glibc takes memory from the
# kernel and gives it back, unless it has found by then that it is wanted again. Whether it has is chance, and a
# fifth of a call. Here it keeps memory from the start, for every contender, as in a process that has run long.
ENVIRONMENT = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "268435456"}

ROUNDS_A_PROCESS = 3
"""Where the memory of a process lies, and how its strings are hashed, is chance, and up to a tenth of a call."""

Round = dict[str, Effort]
"""What each contender took in one round."""


class Ratio(msgspec.Struct, frozen=True):
    """A ratio as the rounds have it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(values: Sequence[float]) -> Ratio:
    """The median of the ratios, and the quarters below and above which the others are."""
    if len(values) == 1:
        return Ratio(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Ratio(median, low, high)


def ratio_of(rounds: Sequence[Round], ours: str, theirs: str, what: Callable[[Effort], float]) -> Ratio:
    """How many times as much one contender took as another, round by round."""
    return ratio([what(each[ours]) / what(each[theirs]) for each in rounds])


def median_of(rounds: Sequence[Round], name: str, what: Callable[[Effort], float]) -> float:
    return statistics.median(what(each[name]) for each in rounds)


def cores() -> tuple[int | None, int | None]:
    """A core for the server and one for whoever is measured, where the system lets a process be bound to one."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[-1]) if len(usable) > 1 else (None, None)


@contextmanager
def server(*, customers: int, latency: float = 0.0, even: bool = True) -> Generator[str]:
    """A server in a process of its own; its URL."""
    command = [sys.executable, "-m", "benchmarks.server", f"--customers={customers}", f"--latency={latency}"]
    with subprocess.Popen([*command, *["--even"][:even]], stdout=subprocess.PIPE, text=True) as process:
        core, _ = cores()
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@contextmanager
def worker(contender: str, base_url: str) -> Generator[Callable[[Task], Effort]]:
    """A process in which a contender waits for tasks."""
    command = [sys.executable, "-m", "benchmarks.worker", contender, base_url]
    _, core = cores()
    if core is not None:
        command.append(f"--core={core}")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        orders, answers = process.stdin, process.stdout

        def work(task: Task) -> Effort:
            orders.write(msgspec.json.encode(task).decode() + "\n")
            orders.flush()
            return msgspec.json.decode(answers.readline(), type=Effort)

        try:
            yield work
        except BaseException:
            process.kill()
            raise
        orders.close()  # it ends by itself


def take_turns(base_url: str, contenders: Sequence[str], task: Task, *, rounds: int) -> list[Round]:
    """Have the contenders do a task in turn, in processes that are new every few rounds.

    The first time in a process does not count.
    """
    found: list[Round] = []
    while len(found) < rounds:
        with ExitStack() as stack:
            workers = {name: stack.enter_context(worker(name, base_url)) for name in contenders}
            for work in workers.values():
                work(task)
            turns = range(min(ROUNDS_A_PROCESS, rounds - len(found)))
            found += [{name: work(task) for name, work in workers.items()} for _ in turns]
    return found

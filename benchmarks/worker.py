"""A process in which one contender works, on one task after the other.

    python -m benchmarks.worker ours http://127.0.0.1:8181

reads tasks from its standard input, a line of JSON each, and answers each with a line.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import statistics
import sys
import time

import msgspec

from benchmarks.contenders import Contender


class Task(msgspec.Struct, frozen=True):
    """What a contender is to do: create so many customers, or walk the list."""

    calls: int = 0
    """Customers to create; 0: walk."""
    concurrency: int = 1
    activity: bool = False
    """Walk over what happened to one customer, not over the customers."""


class Effort(msgspec.Struct, frozen=True):
    """What a task took.

    Attributes:
        count: Calls made, or customers seen.
        wall: Seconds.
        cpu: Seconds of CPU time of the whole process, all threads included.
        p50: Seconds that half of the calls took at most; 0 for a walk.
        p99: Seconds that 99 % of the calls took at most; 0 for a walk.
        memory: The most memory that the process has had until then, in MB.
    """

    count: int
    wall: float
    cpu: float
    p50: float
    p99: float
    memory: float


def measure(contender: Contender, task: Task) -> Effort:
    wall, cpu = time.perf_counter(), time.process_time()
    seconds = contender.create(task.calls, task.concurrency) if task.calls else []
    walk = contender.walk_activity if task.activity else contender.walk
    count = len(seconds) if task.calls else walk()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    percentiles = statistics.quantiles(seconds, n=100) if len(seconds) > 1 else [0.0] * 99
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Effort(count, wall, cpu, percentiles[49], percentiles[98], memory)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender")
    parser.add_argument("base_url")
    parser.add_argument("--core", type=int, help="the only core to run on")
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    name, _, variant = options.contender.partition("+")
    kind = importlib.import_module(f"benchmarks.contenders.{name}").Contender
    contender: Contender = kind(options.base_url, **({variant: True} if variant else {}))
    try:
        for line in sys.stdin:
            effort = measure(contender, msgspec.json.decode(line, type=Task))
            print(msgspec.json.encode(effort).decode(), flush=True)
    finally:
        contender.close()


if __name__ == "__main__":
    main()

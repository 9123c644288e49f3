"""This package beside what a user would otherwise write or install: one run, one machine, one server.

    python -m benchmarks            some seven minutes; writes results.json and a picture for each chart
    python -m benchmarks --short    under a minute; fails when a ratio falls well outside its bar

What is compared, and how, is told in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import statistics
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import budget, imports, pace, prefetch, stream
from benchmarks.bars import MARGIN, Bar, Row, far_off, table
from benchmarks.rounds import Ratio, Round, cores, median_of, ratio, ratio_of, server, take_turns
from benchmarks.worker import Effort, Task

FOLDER: Final = Path(__file__).parent
PACKAGES: Final = ("aiohttp", "anyio", "httpx", "msgspec", "pydantic", "voucherify", "uvloop")


class Extent(msgspec.Struct, frozen=True):
    """How much is done.

    Attributes:
        rounds: How often each contender has its turn.
        calls: Calls in a turn.
        concurrencies: How many calls are under way at once.
        customers: Customers in a walk.
        fetched_ahead: Customers in the walk that fetches ahead.
        at_the_limit: Whether calls are made at a rate limit, which takes a minute.
        streamed: Customers in the stream that is compared with a walk.
        short_stream: Customers in a stream that a longer one is compared with, for memory.
        long_stream: Customers in the longer one.
    """

    rounds: int = 12
    calls: int = 2000
    concurrencies: tuple[int, ...] = (1, 10, 100, 1000)
    customers: int = 20_000
    fetched_ahead: int = 4_000
    at_the_limit: bool = True
    streamed: int = 100_000
    short_stream: int = 10_000
    long_stream: int = 1_000_000


SHORT: Final = Extent(
    rounds=3,
    calls=2000,
    concurrencies=(1, 1000),
    customers=4_000,
    fetched_ahead=2_000,
    at_the_limit=False,
    streamed=20_000,
    long_stream=50_000,
)


def cpu(effort: Effort) -> float:
    return effort.cpu / effort.count


def wall(effort: Effort) -> float:
    return effort.wall / effort.count


def calls_a_second(effort: Effort) -> float:
    return effort.count / effort.wall


def customers_a_cpu_second(effort: Effort) -> float:
    return effort.count / effort.cpu


def p99(effort: Effort) -> float:
    return effort.p99


def micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.{0 if seconds > 2e-5 else 1}f} µs"


class Bench:
    """A run: the rows of the table, and what the charts show."""

    def __init__(self, extent: Extent) -> None:
        self.extent = extent
        self.rows: list[Row] = []
        self.figures: dict[str, dict[str, float]] = {}

    def add(self, what: str, found: Ratio, bar: Bar | None = None, details: str = "") -> None:
        self.rows.append(Row(what=what, found=found, bar=bar, details=details))
        print(table(self.rows[-1:]).splitlines()[-1], file=sys.stderr)

    def run(self) -> None:
        with server(customers=self.extent.customers) as base_url:
            self.calls(base_url)
            self.contest(base_url)
            self.walks(base_url)
        self.streams()
        self.waits()
        self.packages()
        self.figures |= {f"budget {name}": layers for name, layers in budget.budget().items()}

    def calls(self, base_url: str) -> None:
        """One `create`, beside what is written by hand."""
        for concurrency in self.extent.concurrencies:
            task = Task(self.extent.calls, concurrency)
            rounds = take_turns(base_url, ["by_hand", "ours"], task, rounds=self.extent.rounds)
            self.figures[f"create, {concurrency} at once: µs of CPU a call"] = medians(rounds, cpu, 1e6)
            self.add(
                f"create, {concurrency} at once: CPU a call / by hand",
                ratio_of(rounds, "ours", "by_hand", cpu),
                Bar(value=1.25),
                both(rounds),
            )
            if concurrency == max(self.extent.concurrencies):
                self.add(
                    f"create, {concurrency} at once: p99 of the latency / by hand",
                    ratio_of(rounds, "ours", "by_hand", p99),
                    Bar(value=1.15),
                    told(rounds, p99),
                )

    def contest(self, base_url: str) -> None:
        """One `create`, a hundred at once, beside the official client in threads, and httpx."""
        task = Task(self.extent.calls // 2, 100)
        names = ["ours", "by_hand", "official", "httpx_pydantic", *optional("ours+uvloop")]
        rounds = take_turns(base_url, names, task, rounds=max(3, self.extent.rounds // 2))
        self.figures["create, 100 at once: calls a second"] = medians(rounds, calls_a_second)
        for name, bar in (("official", 3.0), ("httpx_pydantic", 5.0)):
            self.add(
                f"create, 100 at once: throughput / {name}",
                ratio_of(rounds, name, "ours", wall),
                Bar(value=bar, least=True),
                both(rounds, "ours", name),
            )
        if "ours+uvloop" in names:
            self.add(
                "create, 100 at once: CPU a call with uvloop / without",
                ratio_of(rounds, "ours+uvloop", "ours", cpu),
                details=both(rounds, "ours+uvloop", "ours"),
            )

    def walks(self, base_url: str) -> None:
        """All customers, in pages of 100."""
        names = ["ours", "by_hand", "official", "httpx_pydantic"]
        rounds = take_turns(base_url, names, Task(), rounds=max(3, self.extent.rounds // 2))
        self.figures["walk: customers per CPU second"] = medians(rounds, customers_a_cpu_second)
        for name, bar in (("by_hand", 0.95), ("official", 12.0), ("httpx_pydantic", 3.0)):
            self.add(
                f"walk: customers per CPU second / {name}",
                ratio_of(rounds, name, "ours", cpu),
                Bar(value=bar, least=True),
                both(rounds, "ours", name),
            )

        names = ["ours", "by_hand"]
        rounds = take_turns(base_url, names, Task(activity=True), rounds=max(3, self.extent.rounds // 2))
        self.add(
            "walk of activity: items per CPU second / by_hand",
            ratio_of(rounds, "by_hand", "ours", cpu),
            details=both(rounds),
        )

    def streams(self) -> None:
        faster, slow, fast = stream.compare(self.extent.streamed, rounds=max(1, self.extent.rounds // 4))
        self.figures["stream and walk at 50 ms: seconds"] = {"walk": slow, "stream": fast}
        # A short stream ends soon after it began.
        bar = 14.0 if self.extent.streamed >= Extent().streamed else 7.0
        what = f"stream(concurrency=16), {self.extent.streamed:,} customers: speed / walk"
        self.add(what, faster, Bar(value=bar, least=True), f"{fast:.1f} s, {slow:.1f} s")
        few, many = stream.peaks(self.extent.short_stream, self.extent.long_stream)
        self.add(
            f"stream of {self.extent.long_stream:,}: MB more than {self.extent.short_stream:,}",
            ratio([many - few]),
            Bar(value=30.0),
            f"{many:.0f} MB, {few:.0f} MB at most",
        )

    def waits(self) -> None:
        """What the package does to wait no longer than it must."""
        faster, slow, fast = prefetch.compare(
            self.extent.fetched_ahead, rounds=max(1, self.extent.rounds // 4)
        )
        self.add(
            "prefetch(), as long for a page as for an answer: speed / walk",
            faster,
            Bar(value=1.7, least=True),
            f"{fast:.1f} s, {slow:.1f} s",
        )
        if self.extent.at_the_limit:
            times_the_least, found = pace.compare()
            self.add(
                f"{pace.CALLS} calls at {pace.LIMIT} a minute: time / least",
                times_the_least,
                Bar(value=1.15),
                ", ".join(f"{seconds:.1f} s" for seconds in found),
            )

    def packages(self) -> None:
        rounds = imports.measure(self.extent.rounds)
        times = {name: statistics.median(each[name] for each in rounds) for name in imports.STATEMENTS}
        self.figures["import: milliseconds"] = {name: found * 1e3 for name, found in times.items()}
        for what, ours, theirs, bar in (
            ("import voucherify_async / import aiohttp", "ours", "aiohttp", Bar(value=1.3)),
            ("import voucherify_async / the official client", "ours", "official", Bar(value=0.1)),
            ("import VoucherifyClient / import aiohttp", "our client", "aiohttp", Bar(value=1.3)),
            ("import VoucherifyClient / the official client", "our client", "official", Bar(value=0.1)),
        ):
            found = ratio([each[ours] / each[theirs] for each in rounds])
            self.add(what, found, bar, f"{times[ours] * 1e3:.0f} ms, {times[theirs] * 1e3:.0f} ms")
        size = imports.megabytes()
        self.add("installed size in MB", ratio([size]), Bar(value=1.0))

    def results(self) -> dict[str, Any]:
        """What is written to results.json."""
        return {
            "machine": {
                "python": platform.python_version(),
                "system": platform.system(),
                "machine": platform.machine(),
                "server and client on cores of their own": cores() != (None, None),
            },
            "versions": {name: version(name) for name in PACKAGES if importlib.util.find_spec(name)},
            "rows": [msgspec.to_builtins(row) | {"verdict": row.verdict} for row in self.rows],
            "figures": self.figures,
        }


def medians(rounds: list[Round], what: Callable[[Effort], float], scale: float = 1.0) -> dict[str, float]:
    return {name: median_of(rounds, name, what) * scale for name in rounds[0]}


def told(rounds: list[Round], what: Callable[[Effort], float], *names: str) -> str:
    return ", ".join(micro(median_of(rounds, name, what)) for name in names or ("ours", "by_hand"))


def both(rounds: list[Round], *names: str) -> str:
    return f"CPU {told(rounds, cpu, *names)}; wall {told(rounds, wall, *names)}"


def optional(contender: str) -> Iterator[str]:
    if importlib.util.find_spec("uvloop"):
        yield contender


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    bench = Bench(SHORT if options.short else Extent())
    bench.run()
    print(table(bench.rows))
    print()
    print(budget.describe({name: bench.figures[f"budget {name}"] for name in ("by_hand", "ours")}))
    if options.short:
        if failed := far_off(bench.rows):
            sys.exit(f"\nmore than {MARGIN:g} times outside the bar:\n{table(failed)}")
        return
    from benchmarks import charts  # noqa: PLC0415  # matplotlib takes its time

    encoded = msgspec.json.format(msgspec.json.encode(bench.results()), indent=1)
    (FOLDER / "results.json").write_bytes(encoded + b"\n")
    charts.draw(bench.figures, FOLDER / "charts")


if __name__ == "__main__":
    main()

"""Where a call goes: the bytecode instructions that `create` takes, by layer, beside what is written by hand.

    python -m benchmarks.budget

An interpreter's instructions are counted, not timed, so that the figures are the same on every machine that has
the same versions; what is written in C is not seen. About 1.5 % of a call is one of a hundred.
"""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType
from typing import Any, Final

from benchmarks.contenders import AsyncContender
from benchmarks.contenders import by_hand as hand
from benchmarks.contenders import ours as mine
from benchmarks.rounds import server

CALLS: Final = 300
CONCURRENCY: Final = 10

LAYERS: Final = {
    "benchmarks/": "the caller",
    "/aiohttp/": "aiohttp",
    "/yarl/": "aiohttp",
    "/multidict/": "aiohttp",
    "/attr/": "aiohttp",
    "<attrs": "aiohttp",
    "/asyncio/": "asyncio",
    "/resources/": "arguments: checked, encoded",
    "/_transport/wire": "arguments: checked, encoded",
    "/_transport/session": "attempts: headers, retries, result",
    "/_transport/call": "attempts: headers, retries, result",
    "/_transport/secrets": "attempts: headers, retries, result",
    "/_transport/operation": "attempts: headers, retries, result",
    "/_transport/auth": "attempts: headers, retries, result",
    "/_transport/rate_limit": "rate limit: headers read, pace",
    "/_transport/pacing": "rate limit: headers read, pace",
    "/_transport/pool": "connection: place, delivery, body",
    "/anyio/": "connection: place, delivery, body",
    "/_transport/watchdog": "connection: place, delivery, body",
}


def layer_of(path: str) -> str:
    return next((layer for part, layer in LAYERS.items() if part in path), "the standard library")


def instructions(contender: AsyncContender) -> dict[str, float]:
    """Instructions a call, by layer."""
    counts: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            counts[frame.f_code.co_filename] += 1
        return trace

    contender.create(100, CONCURRENCY)  # connections are open then, and caches full
    sys.settrace(trace)
    try:
        contender.create(CALLS, CONCURRENCY)
    finally:
        sys.settrace(None)
    layers: Counter[str] = Counter()
    for path, count in counts.items():
        layers[layer_of(path)] += count
    return {layer: count / CALLS for layer, count in layers.items()}


def budget() -> dict[str, dict[str, float]]:
    """Instructions a call, by contender and layer."""
    found: dict[str, dict[str, float]] = {}
    with server(customers=1000) as base_url:
        for name, kind in (("by_hand", hand.Contender), ("ours", mine.Contender)):
            contender = kind(base_url)
            found[name] = instructions(contender)
            contender.close()
    return found


def describe(found: dict[str, dict[str, float]]) -> str:
    by_hand, ours = found["by_hand"], found["ours"]
    lines = [f"{'bytecode instructions of one create':<40}{'by hand':>10}{'ours':>10}{'more':>10}"]
    for layer in sorted(ours.keys() | by_hand.keys(), key=lambda each: -ours.get(each, 0.0)):
        theirs, own = by_hand.get(layer, 0.0), ours.get(layer, 0.0)
        lines.append(f"{layer:<40}{theirs:>10.0f}{own:>10.0f}{own - theirs:>+10.0f}")
    theirs, own = sum(by_hand.values()), sum(ours.values())
    lines.append(f"{'all':<40}{theirs:>10.0f}{own:>10.0f}{own - theirs:>+10.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(describe(budget()))

"""A list of customers that answers queries as values: the service as far as a rule of walking sees it."""

from __future__ import annotations

import datetime as dt
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from voucherify_async.pagination.rules import PageAnswer, Rule
from voucherify_async.pagination.tokens import open_token, seal_token

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def at(milliseconds: float) -> dt.datetime:
    return EPOCH + dt.timedelta(milliseconds=milliseconds)


@dataclass
class Service:
    """The switches are what nobody knows about the real one."""

    customers: dict[str, dt.datetime]
    strict: bool = True
    inclusive_bounds: bool = False
    shuffled: bool = False
    says_has_more: bool = True
    says_total: bool = True
    cut_to_milliseconds: bool = False
    undated: frozenset[str] = frozenset()
    parameter: str = "starting_after"
    seed: int = 0
    date: str | None = None
    requests: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    _sorted: dict[Any, list[tuple[dt.datetime, str]]] = field(default_factory=dict[Any, Any])

    def answer(self, query: Mapping[str, Any]) -> PageAnswer:
        self.requests.append(query)
        descending = query.get("order", "-created_at") == "-created_at"
        rows = self._rows(query.get("created_at") or {}, descending)
        total = len(rows)
        after = query.get(self.parameter)
        if after is not None:
            rows = rows[self._first_after(rows, self._cut(after), descending) :]
        size = query.get("limit") or 10
        start = (query.get("page", 1) - 1) * size
        page = rows[start : start + size]
        return PageAnswer(
            items=[self._show(key, created) for created, key in page],
            has_more=len(rows) > start + size if after is not None and self.says_has_more else None,
            total=total if self.says_total else None,
            limit=query.get("limit"),
            date=self.date,
        )

    def _rows(self, bounds: Mapping[str, Any], descending: bool) -> list[tuple[dt.datetime, str]]:
        order = len(self.requests) if self.shuffled else 0
        known = (tuple(bounds.items()), descending, len(self.customers), order)
        if known not in self._sorted:
            rows = [
                (created, key)
                for key, created in self.customers.items()
                if not bounds or self._within(self._cut(created), bounds)
            ]
            chance = random.Random(f"{self.seed}.{order}")
            chance.shuffle(rows)
            rows.sort(key=itemgetter(0), reverse=descending)
            self._sorted = {known: rows}
        return self._sorted[known]

    def _cut(self, instant: dt.datetime) -> dt.datetime:
        if not self.cut_to_milliseconds:
            return instant
        return instant.replace(microsecond=instant.microsecond // 1000 * 1000)

    def _within(self, created: dt.datetime, bounds: Mapping[str, Any]) -> bool:
        after, before = bounds.get("after"), bounds.get("before")
        if self.inclusive_bounds:
            return (after is None or created >= after) and (before is None or created <= before)
        return (after is None or created > after) and (before is None or created < before)

    def _first_after(self, rows: list[tuple[dt.datetime, str]], after: dt.datetime, descending: bool) -> int:
        def distance(row: tuple[dt.datetime, str]) -> dt.timedelta:
            created = self._cut(row[0])
            return after - created if descending else created - after

        bisect = bisect_right if self.strict else bisect_left
        return bisect(rows, dt.timedelta(), key=distance)

    def _show(self, key: str, created: dt.datetime) -> dict[str, Any]:
        if key in self.undated:
            return {"id": key}
        return {"id": key, "created_at": created.isoformat()}


def walk(
    rule: Rule[Any],
    service: Service,
    *,
    limit: int | None = 100,
    between: Callable[[int], None] = lambda _: None,
    resume: bool = False,
    base: Mapping[str, Any] | None = None,
    most: int = 5_000,
) -> list[str]:
    """What a pager delivers; with `resume`, each request is made by a pager that was given the token."""
    delivered: list[str] = []
    state = rule.start()
    for number in range(most):
        page = service.answer(rule.query(state, base or {}, limit))
        step = rule.advance(state, page)
        delivered += [item["id"] for item, unseen in zip(page.items, step.unseen, strict=True) if unseen]
        if step.error is not None:
            raise step.error
        if step.state is None:
            return delivered
        state = step.state
        if resume:
            _, state = open_token(seal_token(rule.name, b"list", state), b"list", [rule])
        between(number)
    raise AssertionError("the walk does not end")

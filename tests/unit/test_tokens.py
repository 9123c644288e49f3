from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from voucherify_async.pagination.cursors import (
    CreatedAtRule,
    IdRule,
    IdState,
    PageNumberRule,
    PageNumberState,
)
from voucherify_async.pagination.timestamps import Tie, TimestampState
from voucherify_async.pagination.tokens import fingerprint, open_token, seal_token

RULES = (CreatedAtRule(), PageNumberRule(), IdRule())
LISTING = fingerprint("GET", "/v1/customers", "city=London")

STATES = [
    ("created_at", TimestampState(at=-1_767_225_600_000, here=frozenset({2**64 - 1}), stale={1: 2})),
    ("created_at", TimestampState(at=5, tie=Tie(5, page=3, found=frozenset(range(9_900))))),
    ("page", PageNumberState(7, 100, frozenset({1, 2}))),
    ("id", IdState("cust_1", frozenset({3}), "cust_0", 4)),
]


@pytest.mark.parametrize(("name", "state"), STATES)
def test_round_trip(name: str, state: object) -> None:
    token = seal_token(name, LISTING, state)
    assert token.isascii()
    assert token.isprintable()
    assert not set(token) & set("+/= ")
    rule, opened = open_token(token, LISTING, RULES)
    assert rule.name == name
    assert opened == state


def test_ids_are_not_in_it() -> None:
    rule = PageNumberRule()
    from voucherify_async.pagination.cursors import PageAnswer

    step = rule.advance(rule.start(), PageAnswer([{"id": "ada@example.com"}], has_more=True))
    import base64

    token = seal_token(rule.name, LISTING, step.state)
    assert b"ada@example.com" not in base64.urlsafe_b64decode(token + "==")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda token: token[:-1], id="cut"),
        pytest.param(lambda token: "A" + token[1:], id="changed"),
        pytest.param(lambda token: token + "x", id="longer"),
        pytest.param(lambda token: "", id="empty"),
        pytest.param(lambda token: "cust_1", id="an id"),
        pytest.param(lambda token: "é", id="not ascii"),
        pytest.param(lambda token: 5, id="not a string"),
        pytest.param(lambda token: "2026-01-01T00:00:00Z", id="a timestamp"),
    ],
)
def test_damage_is_refused(damage: Callable[[str], Any]) -> None:
    token = damage(seal_token("id", LISTING, IdState("a")))
    with pytest.raises(ValueError, match="cursor is damaged"):
        open_token(token, LISTING, RULES)


def test_another_list_is_refused() -> None:
    token = seal_token("id", fingerprint("GET", "/v1/customers", "city=Paris"), IdState("a"))
    with pytest.raises(ValueError, match="cursor was made for another list"):
        open_token(token, LISTING, RULES)


def test_another_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="cursor was made for another list"):
        open_token(seal_token("end_date", LISTING, TimestampState()), LISTING, RULES)


def test_another_state_is_refused() -> None:
    with pytest.raises(ValueError, match="cursor was made by a rule of the same name"):
        open_token(seal_token("page", LISTING, "no page"), LISTING, RULES)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voucherify_async.pagination.tokens._VERSION", 2)
    token = seal_token("id", LISTING, IdState("a"))
    monkeypatch.undo()
    with pytest.raises(ValueError, match="cursor is damaged"):
        open_token(token, LISTING, RULES)


def test_fingerprints_tell_parts_apart() -> None:
    assert fingerprint("a", "bc") != fingerprint("ab", "c")

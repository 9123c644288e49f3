from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import pytest

from voucherify_async.errors import InvalidCursorError, PaginationError
from voucherify_async.pagination.cursor_tokens import decode_token, encode_token, fingerprint
from voucherify_async.pagination.rules import CreatedAtRule, IdRule, IdState
from voucherify_async.pagination.rules.base import item_digest
from voucherify_async.pagination.rules.page_number import PageNumberRule, PageNumberState
from voucherify_async.pagination.rules.timestamps import TimestampState

RULES: list[Any] = [CreatedAtRule(), PageNumberRule(), IdRule()]
LISTING = fingerprint("GET", "/v1/customers", "city=London")
MARKS = tuple(item_digest({"id": f"cust_{number}"}) for number in range(80))
AT = 253_402_300_799_999_999

STATES: list[Any] = [
    ("created_at", TimestampState()),
    ("created_at", TimestampState(0, MARKS[:16], MARKS[20], compared_in_seconds=True, has_fractions=True)),
    ("created_at", TimestampState(AT, MARKS[:8], position=9_900, upcoming=MARKS[:8], max_page_size=50)),
    ("page", PageNumberState(9_900, MARKS[:8], 50)),
    ("id", IdState("cust_1")),
]


@pytest.mark.parametrize(("name", "state"), STATES)
def test_round_trip(name: str, state: object) -> None:
    token = encode_token(name, LISTING, state)
    assert token.isascii()
    assert token.isprintable()
    assert not set(token) & set("+/= ")
    assert len(token) <= 300
    rule, opened = decode_token(token, LISTING, RULES)
    assert rule.name == name
    assert opened == state


def test_64_items_without_a_timestamp_have_room() -> None:
    token = encode_token("created_at", LISTING, TimestampState(AT, MARKS[:16], undated=MARKS[16:]))
    assert decode_token(token, LISTING, RULES)[1].undated == MARKS[16:]
    assert len(token) <= 300 + math.ceil(64 * 8 * 4 / 3)


def test_ids_of_customers_are_not_in_it() -> None:
    states = [TimestampState(AT, (item_digest({"id": "ada@example.com"}),))]
    token = encode_token("created_at", LISTING, states[0])
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
    token = damage(encode_token("id", LISTING, IdState("a")))
    with pytest.raises(InvalidCursorError, match="cursor is damaged") as caught:
        decode_token(token, LISTING, RULES)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, PaginationError)


def test_another_list_is_refused() -> None:
    token = encode_token("id", fingerprint("GET", "/v1/customers", "city=Paris"), IdState("a"))
    with pytest.raises(InvalidCursorError, match="cursor was made for another list"):
        decode_token(token, LISTING, RULES)


def test_another_rule_is_refused() -> None:
    with pytest.raises(InvalidCursorError, match="cursor was made for another list"):
        decode_token(encode_token("end_date", LISTING, TimestampState()), LISTING, RULES)


@pytest.mark.parametrize("state", ["no page", [10**30], [-1], [0, ["no bytes"]]])
def test_another_state_is_refused(state: Any) -> None:
    if state == [10**30]:
        state = [2**63]
    with pytest.raises(InvalidCursorError, match="cursor was made by a rule of the same name"):
        decode_token(encode_token("page", LISTING, state), LISTING, RULES)


@pytest.mark.parametrize("at", [AT + 1, -(2**62)])
def test_an_instant_that_there_is_not_is_refused(at: int) -> None:
    with pytest.raises(InvalidCursorError, match="cursor was made by a rule of the same name"):
        decode_token(encode_token("created_at", LISTING, [at]), LISTING, RULES)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voucherify_async.pagination.cursor_tokens._VERSION", 1)
    token = encode_token("id", LISTING, IdState("a"))
    monkeypatch.undo()
    with pytest.raises(InvalidCursorError, match="cursor was made by another version"):
        decode_token(token, LISTING, RULES)


def test_fingerprints_tell_parts_apart() -> None:
    assert fingerprint("a", "bc") != fingerprint("ab", "c")

"""Bad input is an error that names the argument, and nothing is sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from voucherify_async import Address, Customer, FilterConditions, RedeemableFilters, VoucherifyClient
from voucherify_async.sandbox import Sandbox

NAIVE = dt.datetime(2026, 1, 1)  # noqa: DTZ001  # what is to be refused


async def coroutine_function(error: Exception) -> None:
    """Would never be awaited."""


Call = Callable[[Any], Any]

BAD: list[tuple[str, Call]] = [
    ("limit", lambda v: v.customers.list(limit=0)),
    ("limit", lambda v: v.customers.list(limit=101)),
    ("limit", lambda v: v.customers.list_activity("a", limit=101)),
    ("limit", lambda v: v.customers.list_redeemables("a", limit=0)),
    ("limit", lambda v: v.async_actions.list(limit=0)),
    ("page", lambda v: v.customers.list(page=0)),
    ("page", lambda v: v.customers.list(page=100)),
    ("created_at_before", lambda v: v.customers.list(created_at_before=NAIVE)),
    ("created_at_after", lambda v: v.customers.list(created_at_after=NAIVE)),
    ("updated_at_before", lambda v: v.customers.list(updated_at_before=NAIVE)),
    ("updated_at_after", lambda v: v.customers.list(updated_at_after=NAIVE)),
    ("starting_after", lambda v: v.customers.list(starting_after=NAIVE)),
    ("created_at_after", lambda v: v.customers.list(created_at_after=dt.date(2026, 1, 1))),
    ("start_date", lambda v: v.customers.list_activity("a", start_date=NAIVE)),
    ("end_date", lambda v: v.customers.list_activity("a", end_date=NAIVE)),
    ("end_date", lambda v: v.async_actions.list(end_date=NAIVE)),
    (
        r"filters\.created_at\.after",
        lambda v: v.customers.list_redeemables(
            "a", filters=RedeemableFilters(created_at=FilterConditions(after=NAIVE))
        ),
    ),
    *(
        ("customer_id", call)
        for key in ("", ".", "..")
        for call in (
            lambda v, key=key: v.customers.get(key),
            lambda v, key=key: v.customers.update(key, name="x"),
            lambda v, key=key: v.customers.delete(key),
            lambda v, key=key: v.customers.delete_permanently(key),
            lambda v, key=key: v.customers.list_activity(key),
            lambda v, key=key: v.customers.list_redeemables(key),
            lambda v, key=key: v.customers.list_segments(key),
        )
    ),
    ("async_action_id", lambda v: v.async_actions.get("")),
    ("async_action_id", lambda v: v.async_actions.wait("..")),
    ("^id", lambda v: v.customers.create(id=None)),
    ("^source_id", lambda v: v.customers.create(source_id=None)),
    ("^source_id", lambda v: v.customers.create(source_id=5)),
    ("^source_id", lambda v: v.customers.create(source_id="")),
    ("^name", lambda v: v.customers.create(name=5)),
    ("^birthdate", lambda v: v.customers.create(birthdate=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))),
    ("^birthdate", lambda v: v.customers.update("a", birthdate="soon")),
    (r"^address\.city", lambda v: v.customers.update("a", address=Address(city=5))),  # type: ignore[arg-type]
    ("^address.*unknown field `town`", lambda v: v.customers.update("a", address={"town": "x"})),
    (r"^metadata\.x", lambda v: v.customers.create(metadata={"x": object()})),
    (r"^metadata\.x", lambda v: v.customers.create(metadata={"x": float("nan")})),
    (r"^metadata\.x", lambda v: v.customers.update("a", metadata={"x": NAIVE})),
    ("^metadata", lambda v: v.customers.create(metadata=[1])),
    ("^metadata", lambda v: v.customers.update_metadata_in_bulk(["a"], None)),
    (r"^metadata\.x", lambda v: v.customers.update_metadata_in_bulk(["a"], {"x": {1: 2}})),
    ("^source_ids", lambda v: v.customers.update_metadata_in_bulk("abc", {})),
    (r"^source_ids\[0\]", lambda v: v.customers.update_metadata_in_bulk([""], {})),
    (r"^source_ids.* bytes", lambda v: v.customers.update_metadata_in_bulk(["x" * 11_000_000], {})),
    (r"customers\[0\].*source_id", lambda v: v.customers.update_in_bulk([{"name": "x"}])),
    ("customers.* bytes", lambda v: v.customers.update_in_bulk([{"source_id": "x" * 11_000_000}])),
    ("^file", lambda v: v.customers.import_csv("absent.csv")),
    ("^file", lambda v: v.customers.import_csv(b"x" * 11_000_000)),
    ("^json has .* bytes", lambda v: v.request("POST", "/v1/x", json="x" * 11_000_000)),
    (r"^json\.x", lambda v: v.request("POST", "/v1/x", json={"x": object()})),
    ("one body, not 2: json, form", lambda v: v.request("POST", "/v1/x", json=1, form={"a": "b"})),
    ("^content", lambda v: v.request("POST", "/v1/x", content=b"x" * 11_000_000)),
    ("^path must be", lambda v: v.request("GET", "v1/x")),
    ("^method must be", lambda v: v.request("", "/v1/x")),
    (
        r"^json\.metadata\.x",
        lambda v: v.request("POST", "/v1/x", json=Customer(id="a", metadata={"x": object()})),
    ),
    ("^scope", lambda v: v.request("POST", "/v1/x", form={"scope": "\ud800"})),
    ("^limit must be", lambda v: v.paginate("/v1/x", query={"limit": "50"})),
    ("^on_invalid must be", lambda v: v.customers.list(on_invalid="ignore")),
    ("^on_invalid must be", lambda v: v.customers.list(on_invalid=coroutine_function)),
    ("'code' is missing", lambda v: v.request("GET", "/v1/vouchers/{code}")),
    ("^code", lambda v: v.request("GET", "/v1/vouchers/{code}", path_params={"code": ""})),
    (r"^at\[x\]", lambda v: v.request("GET", "/v1/x", query={"at": {"x": NAIVE}})),
    ("headers", lambda v: v.request("GET", "/v1/x", headers={"X-A": "b\r\nc: d"})),
]


@pytest.mark.parametrize(("named", "call"), BAD)
async def test_it_is_named_and_nothing_is_sent(
    voucherify: VoucherifyClient, sandbox: Sandbox, named: str, call: Call
) -> None:
    with pytest.raises((ValueError, FileNotFoundError, Exception), match=named) as caught:
        result = call(voucherify)
        if isinstance(result, Awaitable):
            await result
    assert not isinstance(caught.value, TypeError | AttributeError | KeyError)
    assert not sandbox.requests

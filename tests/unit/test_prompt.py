"""What somebody meets at a Python prompt: completion, signatures, type hints, reprs, and what a mistake says."""

from __future__ import annotations

import importlib.metadata
import inspect
import pkgutil
import rlcompleter
import typing
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest

import voucherify_async
from tests.support.service import Service, customers, pager
from voucherify_async import (
    AdaptiveRateLimiter,
    CustomerActivity,
    LocalRateLimiter,
    Page,
    Response,
    SyncFailure,
    SyncReport,
    VoucherifyClient,
)
from voucherify_async.pagination.rules import PageNumberRule


def public_modules() -> list[str]:
    found = (module.name for module in pkgutil.walk_packages(voucherify_async.__path__, "voucherify_async."))
    return [
        "voucherify_async",
        *(name for name in sorted(found) if "._" not in name and "__main__" not in name),
    ]


def public_objects() -> Iterator[Any]:
    seen: set[int] = set()
    for name in public_modules():
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            if (inspect.isclass(value) or inspect.isfunction(value)) and id(value) not in seen:
                seen.add(id(value))
                yield pytest.param(value, id=f"{name}.{public}")


def functions_of(kind: type) -> Iterator[Any]:
    for name, member in vars(kind).items():
        function = getattr(member, "fget", getattr(member, "__func__", member))
        # The sections of a client and the events of an activity are imported when they are first used, so their types
        # are not known before.
        if inspect.isfunction(function) and (not name.startswith("_") or name == "__init__"):
            yield function
        elif isinstance(member, cached_property) and kind not in (VoucherifyClient, CustomerActivity):
            yield member.func


@pytest.mark.parametrize("value", list(public_objects()))
def test_types_are_known_at_run_time(value: Any) -> None:
    typing.get_type_hints(value)
    for function in functions_of(value) if inspect.isclass(value) else ():
        typing.get_type_hints(function)
        inspect.signature(function)
    if not typing.is_typeddict(value):  # for which Python has no signature
        inspect.signature(value)


RESPONSE = Response(
    operation="customers.get", data="a" * 10_000, status=200, headers={}, request_id="v-1", rate_limit=None,
    attempts=1, elapsed=0.5,
)  # fmt: skip
CLIENT = VoucherifyClient("id", "token", base_url="http://127.0.0.1:1")
LIST = pager(PageNumberRule(), Service(customers(3)))
FAILURE = SyncFailure(position=1, source_id="a", key="wrong", message="No")
REPORT: SyncReport[Any] = SyncReport(
    read=1, sent=1, succeeded=0, failed=1, invalid=0, resent=0, failures=(FAILURE,) * 1_000, jobs=()
)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (voucherify_async, "VoucherifyClient"),
        (CLIENT, "customers"),
        (CLIENT, "record_responses("),
        (CLIENT.customers, "create("),
        (RESPONSE, "request_id"),
        (Response, "rate_limit"),
        (LIST, "to_list("),
        (Page((1,)), "next_cursor"),
        (REPORT, "failed_items("),
    ],
)
def test_completion(value: Any, name: str) -> None:
    completer = rlcompleter.Completer({"it": value})
    text = f"it.{name.rstrip('(')}"
    assert completer.complete(text, 0).rstrip("()") == text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (CLIENT, "<VoucherifyClient http://127.0.0.1:1>"),
        (CLIENT.customers, "<CustomersResource of http://127.0.0.1:1>"),
        (CLIENT.customers.list(city="London"), "<Pager: customers.list of city=London&order=-created_at>"),
        (CLIENT.customers.list().pages(), "<iterator of the pages of customers.list>"),
        (aiter(CLIENT.customers.list()), "<iterator of the items of customers.list>"),
        (RESPONSE, "<Response 200 of customers.get>"),
        (Page((1, 2), total=5, next_cursor="x"), "<Page: 2 items, total=5, has_more=True>"),
        (REPORT, "<SyncReport: 1 sent, 0 succeeded, 1 failed, 0 invalid>"),
        (FAILURE, "SyncFailure(position=1, source_id='a', key='wrong', message='No')"),
        (LocalRateLimiter(5, 60), "LocalRateLimiter(5, 60)"),
        (AdaptiveRateLimiter(), "AdaptiveRateLimiter()"),
    ],
)
def test_reprs_are_short(value: Any, text: str) -> None:
    assert repr(value) == text


async def test_reprs_of_what_is_fetched_in_the_background() -> None:
    ahead = CLIENT.customers.list().prefetch()
    assert repr(ahead) == "<prefetch(...): items that are fetched in the background, not entered>"
    async with ahead:
        assert repr(ahead).endswith(", open>")
    assert repr(ahead).endswith(", closed>")
    assert repr(CLIENT.customers.stream()).startswith("<stream(...): ")


def test_a_plain_loop_over_a_pager_says_what_to_write() -> None:
    with pytest.raises(TypeError, match="use `async for`, or `await pager`"):
        iter(LIST)


def test_the_length_of_a_pager_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"use `len\(await pager.to_list\(\)\)`, or `\(await pager\).total`"):
        len(LIST)
    assert LIST  # although it has no length


async def test_awaiting_a_page_says_that_it_cannot_be_awaited() -> None:
    """By Python's own message: with an `__await__`, frameworks would take a page for something to wait for."""
    page: Any = Page((1,))
    assert not inspect.isawaitable(page)
    with pytest.raises(TypeError, match=r"Page can't be used in 'await' expression|can't be awaited"):
        await page


def test_the_version() -> None:
    assert voucherify_async.__version__ == importlib.metadata.version("voucherify-async")


def test_the_base_url() -> None:
    assert CLIENT.base_url == CLIENT.with_options(timeout=1).base_url == "http://127.0.0.1:1"

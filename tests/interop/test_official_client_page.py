"""What the page for users of the official client says of that client."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.support.internals import change_records
from tests.support.interop import missing
from tests.support.official_client_page import BLOCKS, PAGE, code_in, rows
from voucherify_async import VoucherifyClient
from voucherify_async.sandbox import Faults, Sandbox

pytestmark = pytest.mark.interop

VARIANTS = ("_with_http_info", "_without_preload_content")


@pytest.fixture(scope="module")
def official() -> Any:
    try:
        return importlib.import_module("voucherify")
    except ImportError:
        missing("the official client, voucherify, is not installed; `make interop` installs it")


@contextmanager
def connected(official: Any, sandbox: Sandbox, **settings: Any) -> Generator[Any]:
    keys = {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token}
    with official.ApiClient(official.Configuration(host=sandbox.base_url, api_key=keys, **settings)) as api:
        try:
            yield api
        finally:
            api.rest_client.pool_manager.clear()  # it leaves its connections open


def sections(official: Any) -> dict[str, set[str]]:
    """The methods of each class of the client, without the variants that all of them have."""
    found = {name: getattr(official, name) for name in dir(official) if name.endswith("Api")}
    return {
        name: {method for method in vars(cls) if not method.startswith("_") and not method.endswith(VARIANTS)}
        for name, cls in found.items()
    }


def test_the_table_has_all_methods(official: Any) -> None:
    known = sections(official)
    expected = known["CustomersApi"] | known["AsyncActionsApi"]
    in_table = [code_in(row[0])[0] for row in rows("methods")]
    assert sorted(in_table) == sorted(expected)
    assert not any("oauth" in name.lower() for name in dir(official))


def test_the_other_sections_are_all_that_there_are(official: Any) -> None:
    paragraph = PAGE.partition("<!-- table: other sections -->\n\n")[2].partition("\n\n")[0]
    assert code_in(paragraph) == sorted(set(sections(official)) - {"CustomersApi", "AsyncActionsApi"})


async def test_before_and_after(
    official: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program runs as it is shown, and misses customers that ours does not."""
    # It sends ``+0000``, which is ISO 8601, and what the service takes, but not the documents' `date-time`.
    change_records(
        monkeypatch, lambda seen: replace(seen, target=re.sub(r"(%2B\d\d)(\d\d)\b", r"\1:\2", seen.target))
    )
    with Sandbox(customers=400, seed=7) as sandbox:
        program = BLOCKS["before"].replace("https://api.voucherify.io", sandbox.base_url)
        program = program.replace("app-id", sandbox.app_id).replace("app-token", sandbox.app_token)
        found: dict[str, Any] = {}
        exec(compile(program, "official-client.md: before", "exec"), found)
        found["api"].rest_client.pool_manager.clear()
        async with VoucherifyClient(
            sandbox.app_id, sandbox.app_token, base_url=sandbox.base_url
        ) as voucherify:
            everyone = [str(customer.source_id) async for customer in voucherify.customers.list()]
    *listed, details = capsys.readouterr().out.splitlines()
    assert details == "Cannot find customer with id nobody"
    assert len(everyone) == 401
    assert "crm-1" in listed
    assert set(listed) < set(everyone)
    assert 300 < len(listed) < len(everyone)


@pytest.mark.parametrize("row", rows("errors"), ids=lambda row: row[0])
def test_errors(row: list[str], official: Any) -> None:
    status, theirs, _ = row
    with Sandbox() as sandbox, connected(official, sandbox, retries=0) as api:
        sandbox.fail_next("customers.get", status=int(status))
        with pytest.raises(official.exceptions.ApiException) as caught:
            official.CustomersApi(api).get_customer("crm-1")
    assert type(caught.value) is getattr(official.exceptions, code_in(theirs)[0])


def test_what_the_page_says_of_its_behaviour(official: Any) -> None:
    with Sandbox() as sandbox, connected(official, sandbox) as api:
        customers = official.CustomersApi(api)
        created = customers.create_customer(official.CustomersCreateRequestBody(source_id="crm-1"))
        created.name = "Ada"  # its models are mutable,
        assert type(customers.get_customer("crm-1")) is not type(
            created
        )  # and there is one for each endpoint
        with pytest.raises(ValueError, match="Input should be"):  # pydantic's, which is a ValueError
            customers.list_customers(order="created")
        with pytest.raises(ValueError, match="must be one of enum values"):
            official.AsyncActionGetResponseBody.from_dict({"id": "aa_1", "status": "PAUSED"})
        before = len(sandbox.requests)
        sandbox.fail_next("customers.get", status=500)
        with pytest.raises(official.exceptions.ServiceException) as caught:
            customers.get_customer("crm-1")
        assert len(sandbox.requests) == before + 1  # no retry
        assert json.loads(caught.value.body)["code"] == 500
        sandbox.fail_next("customers.get", status=503, retry_after=0)
        assert customers.get_customer("crm-1").id == created.id  # urllib3 has repeated it


def test_what_it_does_without_a_response(official: Any) -> None:
    """All but POST are repeated three times; the error is one of urllib3."""
    of_urllib3 = importlib.import_module("urllib3").exceptions.HTTPError
    changes = official.CustomersUpdateRequestBody(name="Ada")
    body = official.CustomersCreateRequestBody(source_id="crm-1")
    with Sandbox(faults=Faults(reset=1)) as sandbox, connected(official, sandbox) as api:
        customers = official.CustomersApi(api)
        calls: list[tuple[Callable[[], object], int]] = [
            (lambda: customers.update_customer("crm-1", changes), 4),
            (lambda: customers.create_customer(body), 1),
        ]
        for call, attempts in calls:
            before = len(sandbox.requests)
            with pytest.raises(of_urllib3):
                call()
            assert len(sandbox.requests) == before + attempts

"""The official client, `voucherify` from the package index, does not notice that the sandbox is not the service.

Each answer goes through that client's own models. It is generated from the published documents; where what
it sends or takes differs from them, the test goes around it and says so.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.clocks import FakeClock
from tests.support.internals import change_records
from tests.support.interop import missing
from voucherify_async.sandbox import Exchange, Quota, Sandbox
from voucherify_async.sandbox._seed.seed import make_redeemable

pytestmark = pytest.mark.interop

SECOND = dt.timedelta(seconds=1)
DAY = 86_400
STARTED = 1_800_000_000
"""Epoch seconds; after all that the sandbox starts with."""
FIRST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LAST = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
"""Where the service's clients begin to walk a list of customers."""


@dataclass(frozen=True)
class Client:
    """The official client's two parts that are tested here."""

    api: Any
    customers: Any
    async_actions: Any

    def ended(self, receipt: Any) -> Any:
        """The job, once it has ended."""
        for _ in range(1_000):
            action = self.async_actions.get_async_action(receipt.async_action_id)
            if action.status not in {"ENQUEUED", "IN_PROGRESS"}:
                assert (action.status, action.progress) == ("DONE", 100)
                return action
        raise AssertionError("the job does not end")

    def read(self, path: str, model: str, **query: str) -> Any:
        """What its methods are made of, without their checks of arguments."""
        keys = ["X-App-Id", "X-App-Token"]
        answer = self.api.call_api(
            *self.api.param_serialize("GET", path, query_params=list(query.items()), auth_settings=keys)
        )
        answer.read()
        return self.api.response_deserialize(answer, {"2XX": model}).data

    def everyone(self) -> list[Any]:
        found: list[Any] = self.customers.list_customers(limit=100).customers
        return found


@pytest.fixture(scope="module")
def official() -> Any:
    """The package. Only who asks for it waits for the import, which takes seconds."""
    try:
        return importlib.import_module("voucherify")
    except ImportError:
        missing("the official client, voucherify, is not installed; `make interop` installs it")


@pytest.fixture(autouse=True)
def _offsets_are_as_the_documents_have_them(
    _exchanges_keep_the_contract: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends ``+0000``, which is ISO 8601, and what the service takes, but not the documents' `date-time`."""

    def with_colons(exchange: Exchange) -> Exchange:
        return replace(exchange, target=re.sub(r"(%2B\d\d)(\d\d)\b", r"\1:\2", exchange.target))

    change_records(monkeypatch, with_colons)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(customers=20, seed=7, job_seconds=0.0) as running:
        # A second passes between any two looks at the clock: nothing happens at once, nobody waits.
        running.store.clock = FakeClock(STARTED, step=1)
        yield running


@pytest.fixture
def client(official: Any, sandbox: Sandbox) -> Iterator[Client]:
    with connected(official, sandbox) as found:
        yield found


@contextmanager
def connected(
    official: Any, sandbox: Sandbox, *, token: str | None = None, **settings: Any
) -> Generator[Client]:
    keys = {"X-App-Id": sandbox.app_id, "X-App-Token": token or sandbox.app_token}
    configuration = official.Configuration(**{"host": sandbox.base_url, "api_key": keys, **settings})
    with official.ApiClient(configuration) as api:
        try:
            yield Client(api, official.CustomersApi(api), official.AsyncActionsApi(api))
        finally:
            # Its own context manager leaves the connections open.
            api.rest_client.pool_manager.clear()


def ids(customers: list[Any]) -> list[str]:
    return [customer.id for customer in customers]


# ---------------------------------------------------------------- single customers


def test_a_new_customer_is_what_was_given_and_zeros(official: Any, client: Client) -> None:
    created = client.customers.create_customer(
        official.CustomersCreateRequestBody(
            source_id="crm-1",
            name="Zażółć Gęślą",
            description="Jaźń",
            email="ada@example.com",
            phone="+48 500 000 000",
            birthdate=dt.date(1815, 12, 10),
            address=official.CustomersCreateRequestBodyAddress(city="London", postal_code="SW1"),
            metadata={"tier": "gold", "visits": 3, "tags": ["a", "b"]},
        )
    )
    assert created.id.startswith("cust_")
    assert created.source_id == "crm-1"
    assert (created.name, created.description) == ("Zażółć Gęślą", "Jaźń")
    assert (created.email, created.phone) == ("ada@example.com", "+48 500 000 000")
    assert created.birthdate == dt.date(1815, 12, 10)
    assert (created.address.city, created.address.postal_code) == ("London", "SW1")
    assert created.address.line_1 is None
    assert created.metadata == {"tier": "gold", "visits": 3, "tags": ["a", "b"]}
    assert created.summary.orders.total_count == created.summary.orders.total_amount == 0
    assert created.summary.redemptions.total_redeemed == created.summary.redemptions.gift.amount_to_go == 0
    assert (created.loyalty.points, created.loyalty.referred_customers) == (0, 0)
    assert (created.referrals.total, created.referrals.campaigns) == (0, [])
    assert created.created_at >= dt.datetime.fromtimestamp(STARTED, dt.UTC)
    assert created.assets.cockpit_url.endswith(created.id)
    assert created.object == "customer"


def test_a_customer_of_whom_nothing_is_known_has_a_null_address_and_no_metadata(
    official: Any, client: Client
) -> None:
    answer = client.customers.create_customer_with_http_info(
        official.CustomersCreateRequestBody(source_id="crm-1")
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Request-Id"].startswith("v-")
    raw = json.loads(answer.raw_data)
    assert raw["address"] is None
    assert "metadata" not in raw
    assert answer.data.address is answer.data.metadata is None


def test_create_upserts_by_source_id_and_by_id(official: Any, client: Client) -> None:
    body = official.CustomersCreateRequestBody
    create = client.customers.create_customer
    ada = create(
        body(source_id="crm-1", name="Ada", email="a@example.com", metadata={"tier": "gold", "a": 1})
    )
    again = create(body(source_id="crm-1", email="b@example.com", metadata={"a": 2, "b": None}))
    assert (again.id, again.name, again.email) == (ada.id, "Ada", "b@example.com")
    assert again.metadata == {"tier": "gold", "a": 2, "b": None}
    assert again.created_at == ada.created_at
    assert again.updated_at > ada.created_at
    named = create(body(id=ada.id, name="Ada Lovelace"))
    assert (named.id, named.source_id, named.name) == (ada.id, "crm-1", "Ada Lovelace")
    assert create(body(name="Ada")).id != create(body(name="Ada")).id


@pytest.mark.parametrize(
    "source_id", ["crm/1", "what?", "50%", "%2F", "a+b@example.com", "two words", "żółć", "美咲", "#"]
)
def test_a_customer_is_found_by_any_source_id(official: Any, client: Client, source_id: str) -> None:
    created = client.customers.create_customer(official.CustomersCreateRequestBody(source_id=source_id))
    assert created.source_id == source_id
    by_source_id = client.customers.get_customer(source_id)
    assert by_source_id == client.customers.get_customer(created.id)
    assert (by_source_id.id, by_source_id.created_at) == (created.id, created.created_at)


def test_update_leaves_what_is_absent_and_clears_what_is_null(official: Any, client: Client) -> None:
    address = official.CustomersUpdateRequestBodyAddress
    body = official.CustomersUpdateRequestBody
    ada = client.customers.create_customer(
        official.CustomersCreateRequestBody(
            source_id="crm-1",
            name="Ada",
            phone="1",
            birthdate=dt.date(1815, 12, 10),
            address=official.CustomersCreateRequestBodyAddress(
                city="London", country="UK", line_1="1 Main St."
            ),
            metadata={"tier": "gold", "visits": 3},
        )
    )
    # A property that was given as None is sent as null; one that was not given is not sent.
    changed = client.customers.update_customer(
        ada.id,
        body(name=None, address=address(city="Kraków", line_1=None), metadata={"visits": 4, "tier": None}),
    )
    assert (changed.id, changed.name, changed.phone) == (ada.id, None, "1")
    assert changed.birthdate == dt.date(1815, 12, 10)
    assert (changed.address.city, changed.address.country) == ("Kraków", "UK")
    assert changed.address.line_1 is None
    assert changed.metadata == {"tier": None, "visits": 4}
    assert changed.updated_at > ada.created_at

    cleared = client.customers.update_customer("crm-1", body(address=None, metadata=None, birthdate=None))
    assert cleared.address is cleared.birthdate is None
    assert not cleared.metadata
    assert cleared.phone == "1"
    assert client.customers.get_customer("crm-1").model_dump() == cleared.model_dump()


def test_a_deleted_customer_is_gone(official: Any, client: Client) -> None:
    ada = client.customers.create_customer(official.CustomersCreateRequestBody(source_id="crm-1"))
    answer = client.customers.delete_customer_with_http_info("crm-1")
    assert (answer.status_code, answer.data, answer.raw_data) == (204, None, b"")
    for key in (ada.id, "crm-1"):
        with pytest.raises(official.exceptions.NotFoundException):
            client.customers.get_customer(key)
    again = client.customers.create_customer(official.CustomersCreateRequestBody(source_id="crm-1"))
    assert again.id != ada.id


def test_a_customer_is_deleted_permanently(official: Any, client: Client) -> None:
    ada = client.customers.create_customer(official.CustomersCreateRequestBody(source_id="crm-1"))
    deletion = client.customers.customer_permanently_deletion("crm-1")
    assert deletion.id.startswith("del_")
    assert (deletion.related_object, deletion.related_object_id) == ("customer", ada.id)
    assert (deletion.status, deletion.object) == ("DONE", "pernament_deletion")
    assert deletion.created_at > ada.created_at
    assert (deletion.data_json.customer, deletion.data_json.orders) == (1, 0)
    assert deletion.data_json.customer_events >= 1
    with pytest.raises(official.exceptions.NotFoundException):
        client.customers.get_customer(ada.id)


# ---------------------------------------------------------------- the list of customers


def test_a_list_begins_with_the_newest_and_has_a_total(official: Any, client: Client) -> None:
    answer = client.customers.list_customers()
    assert (answer.object, answer.data_ref, answer.total) == ("list", "customers", 20)
    assert answer.has_more is None  # only a walk by cursor is told
    assert len(answer.customers) == 10
    created = [customer.created_at for customer in answer.customers]
    assert created == sorted(created, reverse=True)


def test_pages_follow_one_another(client: Client) -> None:
    pages = [client.customers.list_customers(limit=9, page=page).customers for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [9, 9, 2, 0]
    assert [found for page in pages for found in ids(page)] == ids(client.everyone())


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("CREATED_AT", lambda customer: customer.created_at),
        ("UPDATED_AT", lambda customer: customer.updated_at or customer.created_at),
        ("SOURCE_ID", lambda customer: customer.source_id),
    ],
)
def test_customers_are_ordered(official: Any, client: Client, order: str, key: Callable[[Any], Any]) -> None:
    for customer in client.everyone()[::3]:
        client.customers.update_customer(customer.id, official.CustomersUpdateRequestBody(description="new"))
    orders = official.ParameterOrderListCustomers
    rising = client.customers.list_customers(order=orders[order], limit=100).customers
    falling = client.customers.list_customers(order=orders[f"MINUS_{order}"], limit=100).customers
    assert len(rising) == len(falling) == 20
    # Where those stand that have no source_id, nobody says.
    up, down = ([key(found) for found in page if key(found) is not None] for page in (rising, falling))
    assert up == sorted(up)
    assert down == sorted(up, reverse=True)


@pytest.mark.parametrize("descending", [True, False])
def test_a_walk_by_cursor_sees_everyone_once(official: Any, client: Client, descending: bool) -> None:
    orders = official.ParameterOrderListCustomers
    order, cursor = (orders.MINUS_CREATED_AT, LAST) if descending else (orders.CREATED_AT, FIRST)
    # Created one by one: of those with one instant, which may lie at the end of a page, it sees some only.
    created = [
        client.customers.create_customer(official.CustomersCreateRequestBody(name=f"No. {number}"))
        for number in range(15)
    ]
    seen: list[str] = []
    more = True
    while more:
        page = client.customers.list_customers(
            limit=5, order=order, starting_after=cursor, created_at_after=created[0].created_at - SECOND
        )
        assert page.total == 15
        seen += ids(page.customers)
        cursor, more = page.customers[-1].created_at, page.has_more
        assert more == (len(seen) < 15)
    assert seen == ids(created[::-1] if descending else created)


def test_customers_are_filtered(official: Any, client: Client) -> None:
    ada = client.customers.create_customer(
        official.CustomersCreateRequestBody(
            name="Ada & Co, Ltd. +1",
            email="ada+list@example.com",
            address=official.CustomersCreateRequestBodyAddress(city="São Tomé"),
        )
    )
    for filters in (
        {"name": "Ada & Co, Ltd. +1"},
        {"email": "ada+list@example.com"},
        {"city": "São Tomé"},
        {"created_at_after": ada.created_at - SECOND, "created_at_before": ada.created_at + SECOND},
        {"city": "São Tomé", "email": "ada+list@example.com", "created_at_after": FIRST},
    ):
        found = client.customers.list_customers(**filters)
        assert (ids(found.customers), found.total) == ([ada.id], 1), filters
    for filters in (
        {"name": "Nobody"},
        {"city": "São Tomé", "name": "Nobody"},
        {"created_at_before": FIRST},
        {"created_at_after": LAST},
    ):
        found = client.customers.list_customers(**filters)
        assert (found.customers, found.total) == ([], 0), filters
    here = dt.timezone(dt.timedelta(hours=2))
    assert client.customers.list_customers(created_at_before=ada.created_at.astimezone(here)).total == 20


def test_customers_are_found_by_when_they_were_updated(official: Any, client: Client) -> None:
    changed = [
        client.customers.update_customer(customer.id, official.CustomersUpdateRequestBody(name="New"))
        for customer in client.everyone()[:3]
    ]
    first, second, third = changed
    find = client.customers.list_customers
    since = find(
        updated_at_after=first.updated_at - SECOND, order=official.ParameterOrderListCustomers.UPDATED_AT
    )
    assert ids(since.customers) == ids(changed)
    between = find(updated_at_after=first.updated_at, updated_at_before=third.updated_at)
    assert ids(between.customers) == [second.id]


def test_segments_and_their_customers_agree(client: Client) -> None:
    members: dict[str, set[str]] = {}
    for customer in client.everyone():
        segments = client.customers.list_customer_segments(customer.id)
        assert (segments.object, segments.data_ref) == ("list", "data")
        assert segments.total == len(segments.data)
        for segment in segments.data:
            assert segment.id.startswith("seg_")
            assert segment.name
            members.setdefault(segment.id, set()).add(customer.id)
    assert members
    for segment_id, expected in members.items():
        found = client.customers.list_customers(segment_id=segment_id, limit=100)
        assert set(ids(found.customers)) == expected
    assert client.customers.list_customers(segment_id="seg_none").total == 0


def test_somebody_unknown_has_segments_too(client: Client) -> None:
    segments = client.customers.list_customer_segments("not yet a customer")
    assert segments.total == len(segments.data) > 0


# ---------------------------------------------------------------- activity


def test_activity_is_read_page_by_page(official: Any, client: Client) -> None:
    client.customers.create_customer(official.CustomersCreateRequestBody(source_id="crm-1"))
    for name in ("A", "B", "C"):
        client.customers.update_customer("crm-1", official.CustomersUpdateRequestBody(name=name))
    whole = client.customers.list_customer_activity("crm-1", limit=100)
    assert (whole.object, whole.data_ref, whole.has_more) == ("list", "data", False)
    instants = [event.created_at for event in whole.data]
    assert instants == sorted(instants, reverse=True)
    kinds = [event.type for event in whole.data]
    assert (kinds.count("customer.updated"), kinds.count("customer.created")) == (3, 1)
    assert all(event.data and event.group_id for event in whole.data)

    seen: list[str] = []
    page = client.customers.list_customer_activity("crm-1", limit=1)
    while page.has_more:
        seen += ids(page.data)
        assert page.more_starting_after == seen[-1]
        page = client.customers.list_customer_activity(
            "crm-1", limit=1, starting_after_id=page.more_starting_after
        )
    seen += ids(page.data)
    assert page.more_starting_after is None
    assert seen == ids(whole.data)


def test_activity_is_filtered(official: Any, client: Client) -> None:
    ada = client.customers.create_customer(official.CustomersCreateRequestBody(source_id="crm-1"))
    _, last = (
        client.customers.update_customer("crm-1", official.CustomersUpdateRequestBody(name=name))
        for name in ("A", "B")
    )
    find = client.customers.list_customer_activity
    kinds = official.ParameterCustomerEvent
    updates = find("crm-1", type=kinds.CUSTOMER_DOT_UPDATED)
    assert [event.type for event in updates.data] == ["customer.updated"] * 2
    rising = find("crm-1", type=kinds.CUSTOMER_DOT_UPDATED, order=official.ParameterOrderCreatedAt.CREATED_AT)
    assert ids(rising.data) == ids(updates.data)[::-1]
    assert find("crm-1", type=kinds.CUSTOMER_DOT_DELETED).data == []
    assert ids(find("crm-1", type=kinds.CUSTOMER_DOT_UPDATED, start_date=last.updated_at).data) == ids(
        updates.data[:1]
    )
    early = find("crm-1", end_date=ada.created_at, category=official.ParameterActivityCategory.ACTION)
    assert [event.type for event in early.data] == ["customer.created"]
    assert find("crm-1", campaign_type=official.ParameterCampaignType.LOYALTY_PROGRAM).data == []
    assert find("crm-1", campaign_id="camp_none").data == []


# ---------------------------------------------------------------- redeemables


@pytest.fixture
def held(official: Any, client: Client, sandbox: Sandbox) -> list[Any]:
    """What the customer crm-1 holds, by id; it has held that for ten days."""
    customer = client.customers.create_customer(official.CustomersCreateRequestBody(source_id="crm-1"))
    record = sandbox.store.customers[customer.id]
    record.redeemables = [make_redeemable(sandbox.store, record) for _ in range(4)]
    redeemables: list[Any] = client.customers.list_customer_redeemables("crm-1").data
    now = max(redeemable.created_at for redeemable in redeemables).timestamp() + 10 * DAY
    sandbox.store.clock = FakeClock(now)
    return redeemables


def test_redeemables_are_read_page_by_page(official: Any, client: Client, held: list[Any]) -> None:
    orders = official.ParameterOrderListRedeemables
    assert ids(held) == sorted(ids(held))
    for redeemable in held:
        assert redeemable.id.startswith("rh_")
        assert redeemable.customer_id == client.customers.get_customer("crm-1").id
        assert (redeemable.redeemable_object, redeemable.holder_role) == ("voucher", "OWNER")
        assert redeemable.redeemable.voucher.id == redeemable.redeemable_id
        assert redeemable.redeemable.voucher.code
        assert redeemable.redeemable.status == "ACTIVE"
    first = client.customers.list_customer_redeemables("crm-1", limit=3, order=orders.MINUS_ID)
    assert (first.object, first.data_ref, first.total) == ("list", "data", 4)
    assert ids(first.data) == ids(held)[:0:-1]
    assert (first.has_more, first.more_starting_after) == (True, held[1].id)
    rest = client.customers.list_customer_redeemables(
        "crm-1", limit=3, order=orders.MINUS_ID, starting_after_id=first.more_starting_after
    )
    assert (ids(rest.data), rest.has_more) == ([held[0].id], False)


def test_what_everyone_starts_with_is_read(client: Client) -> None:
    kinds: set[str] = set()
    for customer in client.everyone():
        assert client.customers.get_customer(customer.id).to_dict() == customer.to_dict()
        activity = client.customers.list_customer_activity(customer.id, limit=100)
        assert "customer.created" in {event.type for event in activity.data}
        for redeemable in client.customers.list_customer_redeemables(customer.id, limit=100).data:
            voucher = redeemable.redeemable.voucher
            assert (redeemable.customer_id, redeemable.redeemable_id) == (customer.id, voucher.id)
            assert redeemable.voucher_type == voucher.type
            kinds.add(voucher.type)
    assert kinds


def test_redeemables_are_filtered(
    official: Any, client: Client, held: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = client.api.parameters_to_url_query
    monkeypatch.setattr(
        client.api, "parameters_to_url_query", lambda query, formats: encode(_mended(query), formats)
    )

    def find(junction: str = "and", /, **conditions: dict[str, Any]) -> list[str]:
        asked: dict[str, Any] = {name: {"conditions": condition} for name, condition in conditions.items()}
        filters = official.ParameterFiltersListCustomerRedeemables.from_dict({**asked, "junction": junction})
        answer = client.customers.list_customer_redeemables("crm-1", filters=filters)
        assert answer.total == len(answer.data)
        return ids(answer.data)

    everything = ids(held)
    one, two, three, four = everything
    instants = [redeemable.created_at for redeemable in held]
    before, after = min(instants) - SECOND, max(instants) + SECOND
    assert find() == everything
    assert find(id={"$is": two}) == [two]
    assert find(id={"$in": [one, "rh_none", four]}) == [one, four]
    assert find(id={"$in": [*(f"rh_{number}" for number in range(30)), three]}) == [three]
    assert find(id={"$not_in": [one, four]}) == [two, three]
    assert find(id={"$is_not": two}) == [one, three, four]
    assert find(id={"$starts_with": "rh_"}, holder_role={"$is": "OWNER"}) == everything
    assert find(id={"$ends_with": three[-9:]}) == find(id={"$contains": three[4:]}) == [three]
    assert find(id={"$not_contain": three[4:]}) == [one, two, four]
    assert find(campaign_id={"$has_value": ""}) == everything
    assert find(campaign_id={"$is_unknown": ""}) == []
    assert find(redeemable_id={"$is": held[3].redeemable_id}) == [four]
    assert find(holder_role={"$in": ["REFERRER", "REFEREE"]}) == []
    for name in ("voucher_type", "campaign_type", "campaign_id"):
        value = getattr(held[0], name)
        same = [redeemable.id for redeemable in held if getattr(redeemable, name) == value]
        assert find(**{name: {"$is": value}}) == find(**{name: {"$starts_with": value}}) == same
    assert find(created_at={"$after": before, "$before": after}) == everything
    assert find(created_at={"$after": after}) == find(created_at={"$before": before}) == []
    assert find(created_at={"$more_than": 9}) == find(created_at={"$less_than": 11}) == everything
    assert find(created_at={"$more_than": 11}) == find(created_at={"$less_than": 9}) == []
    both = {"id": {"$is": one}, "redeemable_id": {"$is": held[1].redeemable_id}}
    assert (find("and", **both), find("or", **both)) == ([], [one, two])
    # It sends both `$is` and `$is_not` whatever is asked of this one: its only value is their default.
    assert find("or", redeemable_object={"$has_value": ""}) == everything


def _mended(value: Any) -> Any:
    """Deep objects in a query as the documents have them.

    It sends a list as Python writes one, `$in=['rh_1']`, without an index for each item; and what is not
    given, as soon as from_dict() has set it to None, as the text `None`.
    """
    match value:
        case [(_, _), *_]:  # the parameters themselves
            return [(name, _mended(part)) for name, part in value]
        case dict():
            return {name: _mended(part) for name, part in value.items() if part is not None}
        case list():
            return {position: _mended(part) for position, part in enumerate(value)}
        case _:
            return value


# ---------------------------------------------------------------- jobs


@pytest.mark.parametrize("as_path", [True, False])
def test_a_csv_file_is_imported(official: Any, client: Client, tmp_path: Path, as_path: bool) -> None:
    client.customers.create_customer(
        official.CustomersCreateRequestBody(source_id="csv-2", phone="1", metadata={"old": True})
    )
    path = tmp_path / "customers.csv"
    path.write_text(
        "Name,Email,Source_id,Birthdate,Address_City,Address_Country,shoe\n"
        '"Łucja ""Lu"" Nowak",lu@example.com,csv-1,1999-12-31,Kraków,Poland,42\n'
        "Bo,bo@example.com,csv-2,,,,43\n"
        "Cy,cy@example.com,csv-3,yesterday,,,44\n",
        encoding="utf-8",
    )
    receipt = client.customers.import_customers_using_csv(str(path) if as_path else path.read_bytes())
    assert receipt.async_action_id.startswith("aa_")
    action = client.ended(receipt)
    assert (action.id, action.type, action.object) == (
        receipt.async_action_id,
        "CUSTOMERS.IMPORT_CSV",
        "async_action",
    )
    assert (action.result["done_count"], action.result["failed_count"]) == (2, 1)
    (failed,) = action.result["failed"]
    assert (failed["source_id"], failed["row"]) == ("csv-3", 3)
    assert "birthdate" in failed["reason"]

    lu = client.customers.get_customer("csv-1")
    assert (lu.name, lu.email, lu.birthdate) == ('Łucja "Lu" Nowak', "lu@example.com", dt.date(1999, 12, 31))
    assert (lu.address.city, lu.address.country) == ("Kraków", "Poland")
    assert lu.metadata == {"shoe": "42"}
    bo = client.customers.get_customer("csv-2")
    assert (bo.name, bo.phone, bo.metadata) == ("Bo", None, {"shoe": "43"})
    with pytest.raises(official.exceptions.NotFoundException):
        client.customers.get_customer("csv-3")


def test_customers_are_updated_in_bulk(official: Any, client: Client) -> None:
    body = official.CustomersUpdateInBulkRequestBody
    known = client.customers.create_customer(
        official.CustomersCreateRequestBody(source_id="bulk-1", name="Ada", metadata={"a": 1})
    )
    client.customers.create_customer(official.CustomersCreateRequestBody(source_id="bulk-3"))
    # Its models take nothing that a single item could be refused for: `id` is not among their properties.
    wrong: Any = type("Wrong", (body,), {"__annotations__": {"id": str}})
    receipt = client.customers.update_customers_in_bulk(
        [
            body(source_id="bulk-1", birthdate=dt.date(1815, 12, 10), metadata={"b": 2}),
            body(
                source_id="bulk-2",
                name="Bo",
                address=official.CustomersUpdateInBulkRequestBodyAddress(city="Berlin"),
            ),
            wrong(id="", source_id="bulk-3", name="Cy"),
        ]
    )
    action = client.ended(receipt)
    assert (action.type, action.operation_status) == ("CUSTOMERS.BULK_UPDATE", "SUCCESS")
    assert (action.result["done_count"], action.result["failed_count"]) == (2, 1)
    (error,) = action.result["errors"]
    assert error["source_id"] == "bulk-3"
    assert error["key"]
    assert error["message"]

    ada = client.customers.get_customer("bulk-1")
    assert (ada.id, ada.name, ada.birthdate) == (known.id, "Ada", dt.date(1815, 12, 10))
    assert ada.metadata == {"a": 1, "b": 2}
    assert client.customers.get_customer("bulk-2").address.city == "Berlin"
    assert client.customers.get_customer("bulk-3").name is None


def test_metadata_is_updated_in_bulk(official: Any, client: Client) -> None:
    for number in (1, 2):
        client.customers.create_customer(
            official.CustomersCreateRequestBody(source_id=f"m-{number}", metadata={"number": number})
        )
    receipt = client.customers.update_customers_metadata_in_bulk(
        official.CustomersMetadataUpdateInBulkRequestBody(
            source_ids=["m-1", "m-2"], metadata={"lucky": True, "none": None}
        )
    )
    action = client.ended(receipt)
    assert action.type == "CUSTOMERS.METADATA_UPDATE"
    assert (action.result["done_count"], action.result["failed_count"]) == (2, 0)
    for number in (1, 2):
        metadata = client.customers.get_customer(f"m-{number}").metadata
        assert metadata == {"number": number, "lucky": True, "none": None}


def test_jobs_are_polled(official: Any, client: Client, sandbox: Sandbox) -> None:
    clock = sandbox.store.clock = FakeClock(STARTED)
    sandbox.store.job_seconds = 10.0
    body = official.CustomersMetadataUpdateInBulkRequestBody(source_ids=["crm-1"], metadata={"a": 1})
    receipts = [client.customers.update_customers_metadata_in_bulk(body) for _ in range(2)]

    def look() -> list[tuple[str, int]]:
        found = [client.async_actions.get_async_action(receipt.async_action_id) for receipt in receipts]
        return [(action.status, action.progress) for action in found]

    clock.now += 5
    (first, progress), (second, none) = look()
    assert (first, second, none) == ("IN_PROGRESS", "ENQUEUED", 0)
    assert 0 < progress < 100
    clock.now += 6
    (first, progress), (second, _) = look()
    assert (first, progress, second) == ("DONE", 100, "IN_PROGRESS")
    clock.now += 10
    assert look() == [("DONE", 100), ("DONE", 100)]
    for receipt in receipts:
        action = client.async_actions.get_async_action(receipt.async_action_id)
        assert action.operation_status == "SUCCESS"
        assert action.processing_time > 0
        assert action.request_id.startswith("v-")
        assert action.created_at < action.updated_at


def test_jobs_are_listed_by_when_they_were_scheduled(official: Any, client: Client) -> None:
    body = official.CustomersUpdateInBulkRequestBody
    scheduled = [
        client.customers.update_customers_in_bulk([body(source_id=f"crm-{number}")]).async_action_id
        for number in range(5)
    ]
    newest_first = scheduled[::-1]
    page = client.async_actions.list_async_actions(limit=3)
    assert (page.object, page.data_ref, page.has_more) == ("list", "async_actions", True)
    assert ids(page.async_actions) == newest_first[:3]
    assert {action.type for action in page.async_actions} == {"CUSTOMERS.BULK_UPDATE"}
    rest = client.async_actions.list_async_actions(limit=3, end_date=page.async_actions[-1].created_at)
    assert (ids(rest.async_actions), rest.has_more) == (newest_first[3:], False)
    assert client.async_actions.list_async_actions(end_date=FIRST).async_actions == []
    # Its documentation allows a date alone, its method none.
    for day, found in (("2016-11-16", []), ("2200-01-01", newest_first)):
        page = client.read("/v1/async-actions", "AsyncActionsListResponseBody", end_date=day)
        assert ids(page.async_actions) == found


# ---------------------------------------------------------------- errors, limits, tokens


def test_what_is_not_there_is_told_apart(official: Any, client: Client) -> None:
    for call, kind, key in (
        (client.customers.get_customer, "customer", "nobody/here"),
        (client.customers.delete_customer, "customer", "nobody"),
        (client.customers.customer_permanently_deletion, "customer", "nobody"),
        (client.customers.list_customer_activity, "customer", "nobody"),
        (client.customers.list_customer_redeemables, "customer", "nobody"),
        (client.async_actions.get_async_action, "async_action", "aa_none"),
    ):
        with pytest.raises(official.exceptions.NotFoundException) as caught:
            call(key)
        assert (caught.value.status, caught.value.reason) == (404, "Not Found")
        error = json.loads(caught.value.body)
        assert (error["code"], error["key"], error["message"]) == (404, "not_found", "Resource not found")
        assert key in error["details"]
        assert (error["resource_id"], error["resource_type"]) == (key, kind)
        assert error["request_id"] == caught.value.headers["X-Request-Id"]
        if kind == "customer":
            assert error["details"] == f"Cannot find customer with id {key}"


def test_what_is_wrong_is_refused(official: Any, client: Client) -> None:
    update = client.customers.update_customers_in_bulk
    for call in (
        lambda: update([official.CustomersUpdateInBulkRequestBody(name="Ada")]),  # without a source_id
        client.customers.create_customer,  # without a body
        lambda: client.customers.import_customers_using_csv(b"\xff\xfe"),
    ):
        with pytest.raises(official.exceptions.BadRequestException) as caught:
            call()
        error = json.loads(caught.value.body)
        assert (caught.value.status, error["code"]) == (400, 400)
        assert error["key"]
        assert error["message"]
        assert error["details"]
        assert error["request_id"] == caught.value.headers["X-Request-Id"]


def test_a_query_that_makes_no_sense_is_refused(official: Any, client: Client) -> None:
    # Its methods check their arguments themselves.
    with pytest.raises(official.exceptions.BadRequestException) as caught:
        client.read("/v1/customers", "CustomersListResponseBody", limit="101")
    error = json.loads(caught.value.body)
    assert (error["key"], error["message"]) == ("invalid_query_params", "Invalid query params")
    assert "limit" in error["details"]


def test_a_wrong_key_is_refused(official: Any, sandbox: Sandbox) -> None:
    with (
        connected(official, sandbox, token="wrong") as client,
        pytest.raises(official.exceptions.UnauthorizedException) as caught,
    ):
        client.customers.list_customers()
    error = json.loads(caught.value.body)
    assert (caught.value.status, error["code"], error["key"]) == (401, 401, "unauthorized")
    assert error["message"]
    assert error["request_id"]


def test_answers_tell_of_the_rate_limit(official: Any) -> None:
    with (
        Sandbox(rate_limit=Quota(3, period=60)) as sandbox,
        connected(official, sandbox, retries=0) as client,
    ):
        sandbox.store.clock = FakeClock(STARTED)
        answers = [client.customers.list_customers_with_http_info().headers for _ in range(3)]
        assert [headers["X-Rate-Limit-Limit"] for headers in answers] == ["3", "3", "3"]
        assert [headers["X-Rate-Limit-Remaining"] for headers in answers] == ["2", "1", "0"]
        assert answers[-1]["X-Rate-Limit-Retry"] == str(STARTED + 60)
        assert "Retry-After" not in answers[-1]
        with pytest.raises(official.exceptions.ApiException) as caught:
            client.customers.list_customers()
        assert caught.value.status == 429
        assert (json.loads(caught.value.body)["code"], caught.value.headers["Retry-After"]) == (429, "60")
        assert caught.value.headers["X-Rate-Limit-Type"] == "api_calls"
        assert caught.value.headers["X-Rate-Limit-Remaining"] == "0"
        # Bulk calls have a limit of their own.
        body = official.CustomersUpdateInBulkRequestBody(source_id="crm-1")
        answer = client.customers.update_customers_in_bulk_with_http_info([body])
        assert (answer.status_code, answer.headers["X-Rate-Limit-Remaining"]) == (202, "2")


def test_a_client_that_waits_as_it_is_told_comes_through(
    official: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is built upon repeats a call by itself, after the seconds in Retry-After."""
    with Sandbox(rate_limit=Quota(1, period=60)) as sandbox, connected(official, sandbox) as client:
        clock = sandbox.store.clock = FakeClock(STARTED)
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            clock.now += seconds
            waits.append(seconds)

        monkeypatch.setattr("time.sleep", sleep)
        for _ in range(3):
            assert client.customers.list_customers().total == 0
        assert waits == [60, 60]
        assert [exchange.status for exchange in sandbox.requests] == [200, 429, 200, 429, 200]


@pytest.mark.parametrize("header", ["X-Voucherify-OAuth", "Authorization"])
def test_a_token_stands_for_the_keys(official: Any, sandbox: Sandbox, header: str) -> None:
    sandbox.store.clock = FakeClock(STARTED)
    # It has no methods for tokens, and no setting for one: that goes into its default headers.
    token = _posted(sandbox, "token", grant_type="client_credentials", scope="api customers")
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 900)
    assert set(token["scope"].split()) == {"api", "customers"}
    with connected(official, sandbox, api_key={}) as client:
        client.api.set_default_header(header, f"Bearer {token['access_token']}")
        assert client.customers.list_customers().total == 20
        assert _posted(sandbox, "introspect", access_token=token["access_token"])["active"] is True
        assert _posted(sandbox, "token/revoke", access_token=token["access_token"]) is None
        assert _posted(sandbox, "introspect", access_token=token["access_token"])["active"] is False
        with pytest.raises(official.exceptions.UnauthorizedException):
            client.customers.list_customers()


def _posted(sandbox: Sandbox, path: str, **fields: str) -> Any:
    """What is answered to a form, which is sent without any client."""
    request = urllib.request.Request(
        f"{sandbox.base_url}/v1/oauth/{path}",
        urllib.parse.urlencode(fields).encode(),
        {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token},
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")

"""Every row of the operation table, against the sandbox over a real socket."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from voucherify_async import (
    UNSET,
    Address,
    Customer,
    CustomerUpsert,
    FilterConditions,
    NotFoundError,
    RedeemableFilters,
    VoucherifyClient,
)
from voucherify_async.models import (
    BulkUpdateResult,
    CustomerAddress,
    CustomerFields,
    ImportFailure,
    JobResult,
)
from voucherify_async.sandbox import Quirks, Sandbox

STRANGE = "a/b?c%20d+é@x.io"
MISSING = "nobody@example.com"


class TestCreate:
    async def test_everything(self, voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
        customer = await voucherify.customers.create(
            id="cust_own",
            source_id=STRANGE,
            name="Ada Lovelace",
            description="First of her kind",
            email="ada@example.com",
            phone="+44 1",
            birthday=dt.date(1815, 12, 9),
            birthdate=dt.date(1815, 12, 10),
            address=Address(city="London", country="United Kingdom", postal_code=None),
            metadata={"tier": "gold", "since": dt.date(1833, 6, 5), "deep": {"list": [1, None]}},
        )
        assert customer.id == "cust_own"
        assert customer.source_id == STRANGE
        assert customer.birthdate == dt.date(1815, 12, 10)
        assert customer.address == CustomerAddress(city="London", country="United Kingdom")
        assert customer.metadata == {"tier": "gold", "since": "1833-06-05", "deep": {"list": [1, None]}}
        assert customer.created_at is not None
        assert await voucherify.customers.get("cust_own") == customer

    async def test_from_a_model_or_a_mapping(self, voucherify: VoucherifyClient) -> None:
        upsert = CustomerUpsert(source_id="a", name="Ada", metadata={"tier": "gold"})
        ada = await voucherify.customers.create(upsert, name="Ada L.", email="ada@example.com")
        assert (ada.source_id, ada.name, ada.email) == ("a", "Ada L.", "ada@example.com")
        assert ada.metadata == {"tier": "gold"}
        copy = await voucherify.customers.create(ada, source_id="b", name=UNSET)
        assert copy.id != ada.id
        assert copy.to_upsert() == msgspec.structs.replace(ada.to_upsert(), source_id="b")
        fields = {"source_id": "c", "address": {"city": "Paris"}, "birthdate": dt.date(1990, 1, 2)}
        eve = await voucherify.customers.create(fields, address=Address(country="France"))
        assert eve.address == CustomerAddress(country="France")
        assert eve.birthdate == dt.date(1990, 1, 2)
        assert (await voucherify.customers.create({"id": "cust_d"})).id == "cust_d"

    async def test_from_the_json_of_a_customer(self, voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
        ada = await voucherify.customers.create(source_id="a", name="Ada", address=Address(city="Paris"))
        copy = await voucherify.customers.create(ada.to_dict(), source_id="b")
        assert (copy.source_id, copy.name, copy.address) == ("b", "Ada", ada.address)
        report = await voucherify.customers.sync([{**ada.to_dict(), "source_id": "c"}])
        assert report.succeeded == 1
        assert (await voucherify.customers.get("c")).name == "Ada"
        with pytest.raises(ValueError, match=r"customer: .*birthdate"):
            await voucherify.customers.create({**ada.to_dict(), "birthdate": "today"})

    async def test_a_copy_without_metadata_keeps_those_of_the_target(
        self, voucherify: VoucherifyClient
    ) -> None:
        await voucherify.customers.create(source_id="b", metadata={"tier": "gold"})
        ada = await voucherify.customers.create(source_id="a", name="Ada")
        copy = await voucherify.customers.create(ada, source_id="b")
        assert (copy.name, copy.metadata) == ("Ada", {"tier": "gold"})

    async def test_a_model_without_any_id(self, voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
        ada = await voucherify.customers.create(name="Ada")
        with pytest.raises(ValueError, match=f"customer {ada.id} has no source_id: pass source_id or id"):
            await voucherify.customers.create(ada)
        assert len(sandbox.requests) == 1
        assert (await voucherify.customers.create(ada, id=ada.id)).id == ada.id

    @pytest.mark.parametrize(
        ("customer", "fields", "problem"),
        [
            ({"nmae": "Ada"}, {}, "customer: .*unknown field `nmae`"),
            ({"source_id": 5}, {}, "customer.source_id"),
            ({"metadata": {1: 2}}, {}, "customer.metadata has the key 1"),
            ({}, {"email": 5}, "^email: "),
            (CustomerUpsert(source_id=""), {}, "customer.source_id"),
            ("cust_1", {}, "customer must be a CustomerUpsert, a Customer or a mapping, not str"),
        ],
    )
    async def test_a_customer_that_is_none(
        self, voucherify: VoucherifyClient, sandbox: Sandbox, customer: Any, fields: Any, problem: str
    ) -> None:
        with pytest.raises(ValueError, match=problem):
            await voucherify.customers.create(customer, **fields)
        assert not sandbox.requests

    async def test_an_unknown_keyword_beside_a_customer(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(TypeError, match="nmae"):
            await voucherify.customers.create({"source_id": "a"}, nmae="Ada")  # type: ignore[call-arg]

    async def test_a_new_customer_looks_as_the_service_shows_it(self, voucherify: VoucherifyClient) -> None:
        customer = await voucherify.customers.create()
        assert customer.id.startswith("cust_")
        assert customer.address is None
        assert customer.metadata is None
        assert customer.updated_at is None
        assert customer.summary is not None
        assert customer.summary.redemptions is not None
        assert customer.summary.redemptions.total_redeemed == 0
        assert customer.referrals is not None
        assert customer.referrals.campaigns == ()
        assert customer.assets is not None
        assert customer.assets.cockpit_url

    async def test_absent_and_null_are_told_apart_on_the_wire(
        self, voucherify: VoucherifyClient, sandbox: Sandbox
    ) -> None:
        await voucherify.customers.create(source_id="a", name=None, email="x", phone=UNSET)
        body = msgspec.json.decode(sandbox.requests[-1].request_body)
        assert body == {"source_id": "a", "name": None, "email": "x"}

    @pytest.mark.parametrize("key", ["id", "source_id"])
    async def test_upsert(self, voucherify: VoucherifyClient, sandbox: Sandbox, key: str) -> None:
        first = await voucherify.customers.create(
            id="cust_1", source_id="crm-1", name="Ada", metadata={"a": 1}
        )
        again = await voucherify.customers.create(
            **{key: getattr(first, key)}, email="ada@example.com", metadata={"b": 2}
        )
        assert again.id == first.id
        assert (again.name, again.email) == ("Ada", "ada@example.com")
        assert again.metadata == {"a": 1, "b": 2}
        assert len(sandbox.store.customers) == 1

    async def test_without_a_key_every_call_makes_one(
        self, voucherify: VoucherifyClient, sandbox: Sandbox
    ) -> None:
        await voucherify.customers.create(name="Ada")
        await voucherify.customers.create(name="Ada")
        assert len(sandbox.store.customers) == 2


@pytest.mark.parametrize(
    "source_id", [STRANGE, "...", " ", "%2F", "a%252Fb", "#?&=;", "日本", "importCSV", "x" * 500]
)
async def test_any_source_id_makes_the_round_trip(voucherify: VoucherifyClient, source_id: str) -> None:
    created = await voucherify.customers.create(source_id=source_id)
    assert (await voucherify.customers.get(source_id)).id == created.id
    assert (await voucherify.customers.update(source_id, name="x")).id == created.id
    assert [event.type async for event in voucherify.customers.list_activity(source_id)]
    await voucherify.customers.delete(source_id)
    with pytest.raises(NotFoundError):
        await voucherify.customers.get(source_id)


class TestGet:
    async def test_by_either_id(self, voucherify: VoucherifyClient) -> None:
        created = await voucherify.customers.create(source_id="crm-1")
        assert (
            await voucherify.customers.get("crm-1") == await voucherify.customers.get(created.id) == created
        )

    async def test_missing(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(NotFoundError) as caught:
            await voucherify.customers.get(MISSING)
        error = caught.value
        assert error.key == "not_found"
        assert error.message == "Resource not found"
        assert error.details == f"Cannot find customer with id {MISSING}"
        assert (error.resource_id, error.resource_type) == (MISSING, "customer")
        assert error.request_id is not None
        assert not error.may_have_been_applied
        assert str(error).startswith("customers.get: 404 not_found")


class TestUpdate:
    async def test_with_a_model_or_a_mapping(self, voucherify: VoucherifyClient) -> None:
        ada = await voucherify.customers.create(source_id="a", name="Ada", phone="1")
        assert (await voucherify.customers.update("a", {"name": "Eve"}, phone=None)).phone is None
        changed = msgspec.structs.replace(ada, name="Ada L.")
        assert (await voucherify.customers.update(ada.id, changed)).name == "Ada L."
        upsert = CustomerUpsert(source_id="another", email="a@example.com")
        updated = await voucherify.customers.update("a", upsert)
        assert (updated.source_id, updated.email, updated.name) == ("a", "a@example.com", "Ada L.")
        assert (await voucherify.customers.update("a", CustomerFields(name="A"), name="B")).name == "B"
        with pytest.raises(ValueError, match="changes: .*source_id"):
            await voucherify.customers.update("a", {"source_id": "b"})

    async def test_absent_stays_null_clears_metadata_merges(self, voucherify: VoucherifyClient) -> None:
        await voucherify.customers.create(
            source_id="a",
            name="Ada",
            email="ada@example.com",
            address=Address(city="London", country="UK"),
            metadata={"a": 1, "b": 2},
        )
        updated = await voucherify.customers.update(
            "a", name=None, address=Address(city="Paris", country=None), metadata={"b": None, "c": 3}
        )
        assert updated.name is None
        assert updated.email == "ada@example.com"
        assert updated.address == CustomerAddress(city="Paris")
        assert updated.metadata == {"a": 1, "b": None, "c": 3}
        assert updated.updated_at is not None
        cleared = await voucherify.customers.update("a", address=None)
        assert cleared.address is None

    async def test_an_address_that_came_back_can_be_sent(self, voucherify: VoucherifyClient) -> None:
        created = await voucherify.customers.create(source_id="a", address={"city": "London"})
        again = await voucherify.customers.update("a", address=created.address, birthdate=dt.date(2000, 1, 2))
        assert again.address == created.address
        assert again.birthdate == dt.date(2000, 1, 2)

    async def test_missing(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(NotFoundError):
            await voucherify.customers.update(MISSING, name="x")


class TestDelete:
    async def test_it_is_gone(self, voucherify: VoucherifyClient) -> None:
        await voucherify.customers.create(source_id="a")
        assert await voucherify.customers.delete("a") is None  # type: ignore[func-returns-value]
        with pytest.raises(NotFoundError):
            await voucherify.customers.delete("a")

    async def test_permanently(self, voucherify: VoucherifyClient) -> None:
        created = await voucherify.customers.create(source_id="a")
        await voucherify.customers.update("a", name="x")
        deletion = await voucherify.customers.delete_permanently("a")
        assert deletion.id.startswith("del_")
        assert deletion.related_object_id == created.id
        assert deletion.object == "pernament_deletion"
        assert deletion.data_json is not None
        assert (deletion.data_json.customer, deletion.data_json.customer_events) == (1, 2)
        with pytest.raises(NotFoundError):
            await voucherify.customers.delete_permanently("a")


class TestActivity:
    async def test_newest_first_and_in_pages(self, voucherify: VoucherifyClient) -> None:
        await voucherify.customers.create(source_id="a", name="0")
        for number in range(1, 25):
            await voucherify.customers.update("a", name=str(number))
        page = await voucherify.customers.list_activity("a")
        assert len(page.items) == 10
        assert page.has_more is True
        assert page.total is None
        names = [event.data["data"]["customer"]["name"] async for event in voucherify.customers.list_activity("a", limit=7) if event.data]  # fmt: skip
        assert names == [str(number) for number in reversed(range(25))]
        oldest = await voucherify.customers.list_activity("a", order="created_at", limit=1)
        assert oldest.items[0].type == "customer.created"

    async def test_every_filter_is_sent(self, voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
        await voucherify.customers.create(source_id="a")
        now = dt.datetime.now(dt.UTC)
        events = await voucherify.customers.list_activity("a").to_list()
        await voucherify.customers.list_activity(
            "a",
            limit=5,
            order="created_at",
            starting_after_id=events[0].id,
            start_date=now - dt.timedelta(days=1),
            end_date=now + dt.timedelta(days=1),
            campaign_id="camp_1",
            campaign_type="PROMOTION",
            category="ACTION",
            type="customer.updated",
        )
        assert {name for name, _ in sandbox.requests[-1].query} == {
            "limit", "order", "starting_after_id", "start_date", "end_date", "campaign_id", "campaign_type",
            "category", "type",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({}, ["customer.updated", "customer.created"]),
            ({"type": "customer.created"}, ["customer.created"]),
            ({"category": "ACTION"}, ["customer.updated", "customer.created"]),
            ({"category": "EFFECT"}, []),
            ({"campaign_id": "camp_1"}, []),
            ({"campaign_type": "PROMOTION"}, []),
            ({"start_date": dt.datetime(2100, 1, 1, tzinfo=dt.UTC)}, []),
            ({"end_date": dt.datetime(2000, 1, 1, tzinfo=dt.UTC)}, []),
        ],
    )
    async def test_filters(
        self, voucherify: VoucherifyClient, filters: dict[str, Any], found: list[str]
    ) -> None:
        await voucherify.customers.create(source_id="a")
        await voucherify.customers.update("a", name="x")
        assert [event.type async for event in voucherify.customers.list_activity("a", **filters)] == found

    async def test_missing(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(NotFoundError):
            await voucherify.customers.list_activity(MISSING)
        await voucherify.customers.create(source_id="a")
        with pytest.raises(NotFoundError):
            await voucherify.customers.list_activity("a", starting_after_id="evcus_absent")

    async def test_the_deprecated_form(self, voucherify: VoucherifyClient) -> None:
        await voucherify.customers.create(source_id="a")
        answer = await voucherify.request("GET", "/v1/customers/{id}/activities", path_params={"id": "a"})
        assert answer.data["total"] == 1


class TestRedeemables:
    @pytest.fixture
    async def holder(self, sandbox: Sandbox, voucherify: VoucherifyClient) -> Customer:
        customer = await voucherify.customers.create(source_id="holder")
        from voucherify_async.sandbox._seed.seed import make_redeemable

        record = sandbox.store.get("holder")
        for _ in range(25):
            record.redeemables.append(make_redeemable(sandbox.store, record))
        record.redeemables[0].campaign, record.redeemables[0].holder_role = None, "REFERRER"
        return customer

    async def test_in_pages(self, holder: Customer, voucherify: VoucherifyClient) -> None:
        page = await voucherify.customers.list_redeemables("holder")
        assert (len(page.items), page.has_more, page.total) == (10, True, 25)
        forward = await voucherify.customers.list_redeemables("holder", order="id", limit=4).to_list()
        backward = await voucherify.customers.list_redeemables("holder", order="-id").to_list()
        assert [item.id for item in forward] == sorted(item.id for item in forward)
        assert forward == backward[::-1]
        assert len(forward) == 25
        after = voucherify.customers.list_redeemables("holder", order="id", starting_after_id=forward[20].id)
        assert await after.to_list() == forward[21:]
        first = forward[0]
        assert first.customer_id == holder.id
        assert first.redeemable is not None
        assert first.redeemable.voucher is not None
        assert first.redeemable.voucher.discount is not None
        assert first.redeemable.voucher.discount.amount_off == 1000

    @pytest.mark.parametrize(
        ("filters", "count"),
        [
            (RedeemableFilters(voucher_type=FilterConditions(is_="DISCOUNT_VOUCHER")), 25),
            (RedeemableFilters(voucher_type=FilterConditions(is_not="DISCOUNT_VOUCHER")), 0),
            (RedeemableFilters(holder_role=FilterConditions(in_=["REFERRER", "REFEREE"])), 1),
            (RedeemableFilters(holder_role=FilterConditions(not_in=["REFERRER", "REFEREE"])), 24),
            (RedeemableFilters(campaign_id=FilterConditions(is_unknown=True)), 1),
            (RedeemableFilters(campaign_id=FilterConditions(has_value=True)), 24),
            (RedeemableFilters(campaign_id=FilterConditions(not_contain="camp")), 1),
            (RedeemableFilters(redeemable_id=FilterConditions(starts_with="v_")), 25),
            (RedeemableFilters(redeemable_id=FilterConditions(ends_with="!")), 0),
            (RedeemableFilters(id=FilterConditions(contains="rh_")), 25),
            (RedeemableFilters(redeemable_object=FilterConditions(is_="voucher")), 25),
            (RedeemableFilters(campaign_type=FilterConditions(is_="LOYALTY_PROGRAM")), 0),
            (
                RedeemableFilters(created_at=FilterConditions(after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))),
                25,
            ),
            (
                RedeemableFilters(created_at=FilterConditions(before=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))),
                0,
            ),
            (RedeemableFilters(created_at=FilterConditions(less_than=2)), 25),
            (RedeemableFilters(created_at=FilterConditions(more_than=2)), 0),
            (
                RedeemableFilters(
                    holder_role=FilterConditions(is_="REFERRER"),
                    voucher_type=FilterConditions(is_="GIFT_VOUCHER"),
                ),
                0,
            ),
            (
                RedeemableFilters(
                    holder_role=FilterConditions(is_="REFERRER"),
                    voucher_type=FilterConditions(is_="GIFT_VOUCHER"),
                    junction="or",
                ),
                1,
            ),
        ],
    )
    async def test_filters(
        self, holder: Customer, voucherify: VoucherifyClient, filters: RedeemableFilters, count: int
    ) -> None:
        assert len(await voucherify.customers.list_redeemables("holder", filters=filters).to_list()) == count

    async def test_missing(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(NotFoundError):
            await voucherify.customers.list_redeemables(MISSING)


async def test_segments(voucherify: VoucherifyClient) -> None:
    await voucherify.customers.create(
        source_id="a", address=Address(city="London"), metadata={"tier": "gold"}
    )
    names = [segment.name async for segment in voucherify.customers.list_segments("a")]
    assert names == ["Everyone", "Lives in London", "Gold tier", "Without an e-mail"]
    page = await voucherify.customers.list_segments(MISSING)
    assert [segment.id for segment in page.items] == ["seg_everyone", "seg_no_email"]
    assert (page.total, page.has_more, page.next_cursor) == (2, False, None)


class TestBulk:
    async def test_update(self, voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
        await voucherify.customers.create(source_id="a", name="Old", email="keep@example.com")
        receipt = await voucherify.customers.update_in_bulk(
            [
                CustomerUpsert(source_id="a", name="New", metadata={"n": 1}),
                {"source_id": "b", "address": {"city": "Paris"}},
            ]
        )
        job = await voucherify.async_actions.wait(receipt.async_action_id)
        assert job.type == "CUSTOMERS.BULK_UPDATE"
        assert isinstance(job.result, BulkUpdateResult)
        assert (job.result.done_count, job.result.failed_count, job.result.errors) == (2, 0, ())
        first = await voucherify.customers.get("a")
        assert (first.name, first.email, first.metadata) == ("New", "keep@example.com", {"n": 1})
        assert (await voucherify.customers.get("b")).address == CustomerAddress(city="Paris")

    async def test_one_that_fails_does_not_stop_the_others(self, voucherify: VoucherifyClient) -> None:
        await voucherify.customers.create(source_id="b")
        # `id` is not among the documented properties of an item, so the client does not take it.
        wrong = {"id": "", "source_id": "b", "name": "x"}
        answer = await voucherify.request(
            "POST", "/v1/customers/bulk/async", json=[wrong, {"source_id": "c"}]
        )
        job = await voucherify.async_actions.wait(answer.data["async_action_id"])
        assert isinstance(job.result, BulkUpdateResult)
        assert (job.result.done_count, job.result.failed_count) == (1, 1)
        assert job.result.errors is not None
        assert job.result.errors[0].source_id == "b"
        assert (await voucherify.customers.get("b")).name is None

    async def test_an_id_is_not_among_the_properties_of_an_item(self, voucherify: VoucherifyClient) -> None:
        first = await voucherify.customers.create(source_id="a")
        items = [{"id": first.id, "source_id": "b", "name": "x"}]
        answer = await voucherify.request("POST", "/v1/customers/bulk/async", json=items)
        await voucherify.async_actions.wait(answer.data["async_action_id"])
        assert (await voucherify.customers.get("b")).name == "x"
        assert (await voucherify.customers.get("a")).name is None

    async def test_metadata(self, voucherify: VoucherifyClient) -> None:
        await voucherify.customers.create(source_id="a", metadata={"x": 1})
        receipt = await voucherify.customers.update_metadata_in_bulk(["a", "b"], {"y": 2})
        job = await voucherify.async_actions.wait(receipt.async_action_id)
        assert job.type == "CUSTOMERS.METADATA_UPDATE"
        assert (await voucherify.customers.get("a")).metadata == {"x": 1, "y": 2}
        assert (await voucherify.customers.get("b")).metadata == {"y": 2}

    async def test_a_large_body_draws_no_warning(
        self, voucherify: VoucherifyClient, sandbox: Sandbox
    ) -> None:
        """aiohttp warns of bytes above 1 MiB, and warnings are errors here."""
        receipt = await voucherify.customers.update_in_bulk(
            {"source_id": f"c-{number}", "description": "x" * 3_000} for number in range(1_000)
        )
        assert len(sandbox.requests[-1].request_body) > 3_000_000
        job = await voucherify.async_actions.wait(receipt.async_action_id)
        assert isinstance(job.result, BulkUpdateResult)
        assert job.result.done_count == 1_000

    async def test_those_made_in_bulk_share_an_instant_and_are_streamed_once(
        self, sandbox: Sandbox, voucherify: VoucherifyClient
    ) -> None:
        sandbox.quirks = Quirks(alike=True)
        receipt = await voucherify.customers.update_in_bulk({"source_id": f"c-{n}"} for n in range(450))
        await voucherify.async_actions.wait(receipt.async_action_id)
        await voucherify.customers.create(source_id="newer")
        for order in ("created_at", "-created_at"):
            found = await voucherify.customers.list(order=order).to_list()
            assert len(found) == len({customer.id for customer in found}) == 451
            assert len({customer.created_at for customer in found}) == 2


class TestCsv:
    async def test_rows_columns_and_failures(self, voucherify: VoucherifyClient) -> None:
        await voucherify.customers.create(
            source_id="old", name="Old", email="gone@example.com", metadata={"gone": 1}
        )
        content = (
            "Source_id,Name,Birthdate,Address_City,Postal_Code,Tier\r\n"
            'new,"Ada\r\nLovelace",1815-12-10,London,N1,gold\r\n'
            "bad,Bob,soon,,,\r\n"
            "old,New,,,,\r\n"
            "long,x,,,,,surplus\r\n"
        )
        receipt = await voucherify.customers.import_csv(content.encode())
        job = await voucherify.async_actions.wait(receipt.async_action_id)
        assert job.type == "CUSTOMERS.IMPORT_CSV"
        assert isinstance(job.result, JobResult)
        assert (job.result.done_count, job.result.failed_count) == (2, 2)
        assert job.result.failed is not None
        assert [(failure.source_id, failure.row) for failure in job.result.failed] == [
            ("bad", 2),
            ("long", 4),
        ]
        assert isinstance(job.result.failed[0], ImportFailure)
        new = await voucherify.customers.get("new")
        assert (new.name, new.metadata) == ("Ada\r\nLovelace", {"Tier": "gold"})
        assert new.address == CustomerAddress(city="London", postal_code="N1")
        old = await voucherify.customers.get("old")
        assert (old.name, old.email, old.metadata) == ("New", None, None)
        with pytest.raises(NotFoundError):
            await voucherify.customers.get("bad")

    async def test_a_file_of_several_megabytes(self, voucherify: VoucherifyClient) -> None:
        rows = "".join(f"c-{number},{'x' * 1_000}\n" for number in range(3_000))
        receipt = await voucherify.customers.import_csv(f"Source_id,Description\n{rows}".encode())
        job = await voucherify.async_actions.wait(receipt.async_action_id)
        assert isinstance(job.result, JobResult)
        assert job.result.done_count == 3_000

from __future__ import annotations

import datetime as dt
import pickle
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aioresponses import aioresponses

from tests.support.wire import raw_server, respond
from voucherify_async import (
    Address,
    Customer,
    DecodeError,
    Page,
    PageLimitError,
    PaginationStalledError,
    VoucherifyClient,
)
from voucherify_async.pagination import CreatedAtRule, IdRule, PageAnswer, Step
from voucherify_async.sandbox import Sandbox

UTC = dt.UTC


Seeded = tuple[Sandbox, VoucherifyClient]


@pytest.fixture
async def seeded() -> AsyncIterator[tuple[Sandbox, VoucherifyClient]]:
    async with Sandbox(customers=350, seed=5) as sandbox, sandbox.client() as client:
        yield sandbox, client


def queries(sandbox: Sandbox) -> list[dict[str, str]]:
    return [dict(exchange.query) for exchange in sandbox.requests]


class TestPager:
    async def test_making_one_does_no_io(self, sandbox: Sandbox, voucherify: VoucherifyClient) -> None:
        voucherify.customers.list()
        assert not sandbox.requests

    async def test_the_first_page(self, seeded: Seeded) -> None:
        sandbox, client = seeded
        page = await client.customers.list()
        assert isinstance(page, Page)
        assert isinstance(page.items, tuple)
        assert len(page.items) == 10
        assert (page.has_more, page.total) == (True, 350)
        assert "limit" not in queries(sandbox)[0]
        assert len((await client.customers.list(limit=3)).items) == 3
        assert queries(sandbox)[1]["limit"] == "3"

    async def test_every_item_and_again(self, seeded: Seeded) -> None:
        sandbox, client = seeded
        pager = client.customers.list()
        first = [customer.id async for customer in pager]
        assert Counter(first) == Counter(list(sandbox.store.customers))
        assert all(query["limit"] == "100" for query in queries(sandbox))
        assert [customer.id async for customer in pager] == first

    async def test_newest_first_and_oldest_first(self, seeded: Seeded) -> None:
        _, client = seeded
        newest: list[Any] = [customer.created_at async for customer in client.customers.list()]
        oldest = [customer.created_at async for customer in client.customers.list(order="created_at")]
        assert newest == sorted(newest, reverse=True)
        assert oldest == newest[::-1]

    async def test_every_page(self, seeded: Seeded) -> None:
        _, client = seeded
        pages = [page async for page in client.customers.list(limit=99).pages()]
        assert sum(len(page.items) for page in pages) == 350
        assert all(page.next_cursor for page in pages[:-1])
        assert pages[-1].next_cursor is None
        assert pages[-1].has_more is False

    async def test_an_empty_list(self, voucherify: VoucherifyClient) -> None:
        assert await voucherify.customers.list().to_list() == []
        pages = [page async for page in voucherify.customers.list().pages()]
        assert [page.items for page in pages] == [()]
        page = await voucherify.customers.list()
        assert (page.items, page.total, page.next_cursor) == ((), 0, None)

    @pytest.mark.parametrize("most", [0, 1, 99, 100, 101, 1_000, None])
    async def test_to_list(self, seeded: Seeded, most: int | None) -> None:
        _, client = seeded
        found = await client.customers.list().to_list(most)
        assert len(found) == min(350, 350 if most is None else most)

    async def test_to_list_of_less_than_nothing(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(ValueError, match="max_items"):
            await voucherify.customers.list().to_list(max_items=-1)

    async def test_a_page_pickles(self, seeded: Seeded) -> None:
        _, client = seeded
        page = await client.customers.list()
        again = pickle.loads(pickle.dumps(page))
        assert again == page
        assert again.next_cursor == page.next_cursor
        assert "next" not in repr(page)


class TestCursor:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"limit": 7},
            {"order": "created_at"},
            {"order": "source_id"},
            {"order": "-updated_at", "limit": 30},
            {"page": 2, "limit": 20},
            {"city": "London"},
            {"created_at_after": dt.datetime(2024, 6, 1, tzinfo=UTC)},
        ],
    )
    async def test_a_list_goes_on_where_a_page_says(self, seeded: Seeded, settings: dict[str, Any]) -> None:
        sandbox, client = seeded
        wanted = [customer.id async for customer in client.customers.list(**settings)]
        page = await client.customers.list(**settings)
        delivered = [customer.id for customer in page.items]
        rest = {name: value for name, value in settings.items() if name != "page"}
        assert page.next_cursor is not None
        async with sandbox.client() as another:
            delivered += [
                customer.id async for customer in another.customers.list(**rest, cursor=page.next_cursor)
            ]
        assert Counter(delivered) == Counter(wanted)

    async def test_page_by_page(self, seeded: Seeded) -> None:
        _, client = seeded
        delivered: list[str] = []
        cursor = None
        while True:
            page = await client.customers.list(limit=60, cursor=cursor)
            delivered += [customer.id for customer in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len(delivered) == len(set(delivered)) == 350

    async def test_the_default_order_is_an_order(self, seeded: Seeded) -> None:
        _, client = seeded
        cursor = (await client.customers.list()).next_cursor
        assert len(await client.customers.list(order="-created_at", cursor=cursor).to_list()) == 340

    async def test_activity_goes_on(self, voucherify: VoucherifyClient) -> None:
        await voucherify.customers.create(source_id="a")
        for number in range(15):
            await voucherify.customers.update("a", name=str(number))
        page = await voucherify.customers.list_activity("a")
        rest = voucherify.customers.list_activity("a", cursor=page.next_cursor)
        assert len(page.items) + len(await rest.to_list()) == 16
        with pytest.raises(ValueError, match="another list"):
            voucherify.customers.list_activity("b", cursor=page.next_cursor)
        with pytest.raises(ValueError, match="another list"):
            voucherify.customers.list_activity("a", category="ACTION", cursor=page.next_cursor)

    async def test_refused(self, seeded: Seeded) -> None:
        sandbox, client = seeded
        cursor = (await client.customers.list(city="London")).next_cursor
        assert cursor is not None
        requests = len(sandbox.requests)
        others: list[dict[str, Any]] = [
            {},
            {"city": "Paris"},
            {"city": "London", "order": "created_at"},
            {"city": "London", "email": "x"},
        ]
        for settings in others:
            with pytest.raises(ValueError, match="cursor was made for another list"):
                client.customers.list(**settings, cursor=cursor)
        with pytest.raises(ValueError, match="cursor is damaged"):
            client.customers.list(city="London", cursor=cursor[:-2])
        assert len(sandbox.requests) == requests

    @pytest.mark.parametrize(
        "settings",
        [
            {"page": 2, "starting_after": dt.datetime(2026, 1, 1, tzinfo=UTC)},
            {"page": 2, "cursor": "x"},
            {"cursor": "x", "starting_after": dt.datetime(2026, 1, 1, tzinfo=UTC)},
        ],
    )
    async def test_two_places_to_start_at(self, voucherify: VoucherifyClient, settings: Any) -> None:
        with pytest.raises(ValueError, match="page, starting_after and cursor"):
            voucherify.customers.list(**settings)
        with pytest.raises(ValueError, match="cursor and starting_after_id"):
            voucherify.customers.list_activity("a", starting_after_id="b", cursor="c")
        with pytest.raises(ValueError, match="cursor and end_date"):
            voucherify.async_actions.list(end_date=dt.datetime(2026, 1, 1, tzinfo=UTC), cursor="c")


class TestFilters:
    async def test_every_parameter_is_sent(self, voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
        instant = dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
        await voucherify.customers.list(
            limit=5,
            email="a+b@example.com",
            city="São Paulo",
            name="Ada & Co",
            segment_id="seg_london",
            created_at_before=instant,
            created_at_after=instant,
            updated_at_before=instant,
            updated_at_after=instant,
            order="created_at",
            starting_after=instant,
        )
        text = "2026-01-02T03:04:05.678Z"
        assert queries(sandbox) == [
            {
                "limit": "5",
                "email": "a+b@example.com",
                "city": "São Paulo",
                "name": "Ada & Co",
                "segment_id": "seg_london",
                "created_at[before]": text,
                "created_at[after]": text,
                "updated_at[before]": text,
                "updated_at[after]": text,
                "order": "created_at",
                "starting_after": text,
            }
        ]
        await voucherify.customers.list(page=3, order="-source_id")
        assert queries(sandbox)[1] == {"page": "3", "order": "-source_id"}

    async def test_what_they_find(self, voucherify: VoucherifyClient) -> None:
        created = [
            await voucherify.customers.create(
                source_id=f"c{number}",
                name=f"Name {number % 2}",
                email=f"{number}@example.com",
                address=Address(city="London" if number % 3 else "Paris"),
            )
            for number in range(6)
        ]
        await voucherify.customers.update("c2", name="Changed")
        instant = created[0].created_at
        assert instant is not None
        second = dt.timedelta(seconds=5)

        async def found(**filters: Any) -> list[str | None]:
            return [
                customer.source_id
                async for customer in voucherify.customers.list(order="source_id", **filters)
            ]

        assert await found(city="Paris") == ["c0", "c3"]
        assert await found(name="Name 1") == ["c1", "c3", "c5"]
        assert await found(email="4@example.com") == ["c4"]
        assert await found(segment_id="seg_london") == ["c1", "c2", "c4", "c5"]
        assert await found(segment_id="seg_absent") == []
        assert await found(city="Paris", name="Name 1") == ["c3"]
        assert len(await found(created_at_after=instant - second)) == 6
        assert await found(created_at_before=instant - second) == []
        assert await found(updated_at_after=instant - second) == ["c2"]
        assert await found(updated_at_before=instant - second) == []

    @pytest.mark.parametrize("order", ["updated_at", "-updated_at", "source_id", "-source_id"])
    async def test_other_orders_go_by_page(self, seeded: Seeded, order: Any) -> None:
        sandbox, client = seeded
        found = [customer.id async for customer in client.customers.list(order=order)]
        assert Counter(found) == Counter(list(sandbox.store.customers))
        assert [query["page"] for query in queries(sandbox)] == ["1", "2", "3", "4"]

    async def test_from_a_page_on(self, seeded: Seeded) -> None:
        _, client = seeded
        assert len(await client.customers.list(page=3).to_list()) == 150

    async def test_from_an_instant_on(self, seeded: Seeded) -> None:
        _, client = seeded
        everyone = await client.customers.list(order="created_at").to_list()
        instant: Any = everyone[200].created_at
        rest = await client.customers.list(order="created_at", starting_after=instant).to_list()
        assert rest == [customer for customer in everyone if (customer.created_at or instant) > instant]

    async def test_page_numbers_end_at_99(self) -> None:
        async with Sandbox(customers=120) as sandbox, sandbox.client() as client:
            count = 0
            with pytest.raises(PageLimitError, match="customers.list: page numbers end at 99"):
                async for _ in client.customers.list(order="source_id", limit=1):
                    count += 1
            assert count == 99
            assert len(await client.customers.list(order="source_id", limit=2).to_list()) == 120

    async def test_starting_after_goes_with_created_at(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(ValueError, match="starting_after"):
            voucherify.customers.list(order="source_id", starting_after=dt.datetime(2026, 1, 1, tzinfo=UTC))


URL = "https://api.voucherify.io/v1/customers?limit=100&order=-created_at&starting_after=2200-01-01T00%3A00%3A00.000Z"


class TestAnswers:
    """Pages that a sandbox would not give."""

    @pytest.fixture
    async def client(self) -> AsyncIterator[VoucherifyClient]:
        async with VoucherifyClient("id", "token") as client:
            yield client

    async def test_a_page_without_has_more(self, client: VoucherifyClient, answers: aioresponses) -> None:
        import re

        customers = [{"id": "a", "created_at": "2026-01-01T00:00:00.500Z"}]
        answers.get(URL, payload={"customers": customers})
        answers.get(
            re.compile(r".*starting_after=2026-01-01T00.{1,3}00.{1,3}00.501Z"),
            payload={"customers": customers},
        )
        # One is as many as the service may put on a page: so the next one is looked at, too.
        answers.get(re.compile(r".*page=1(&|$)"), payload={"customers": customers}, repeat=True)
        assert [customer.id for customer in await client.customers.list().to_list()] == ["a"]

    @pytest.mark.parametrize("payload", [{}, [], {"customers": None}, {"customers": {}}, {"data": []}])
    async def test_a_page_that_is_none(
        self, client: VoucherifyClient, answers: aioresponses, payload: Any
    ) -> None:
        answers.get(URL, payload=payload)
        with pytest.raises(
            DecodeError, match=r"customers\.list: the response does not match the expected type"
        ):
            await client.customers.list().to_list()

    async def test_a_stalled_walk_names_the_operation(
        self, client: VoucherifyClient, answers: aioresponses
    ) -> None:
        answers.get(URL, payload={"customers": [{"id": "a"}], "has_more": True})
        delivered: list[str] = []
        with pytest.raises(PaginationStalledError, match=r"customers\.list: .*no item has a timestamp"):
            async for customer in client.customers.list():
                delivered.append(customer.id)  # noqa: PERF401  # to keep what came before the error
        assert delivered == ["a"]

    BROKEN = (
        {"id": "a", "created_at": "2026-01-03T00:00:00Z"},
        {"id": "b", "created_at": "2026-01-02T00:00:00Z", "name": 5},
        {"id": "c", "created_at": "2026-01-01T00:00:00Z"},
        {"name": "without an id"},
    )

    async def test_a_customer_that_cannot_be_decoded_is_named(
        self, client: VoucherifyClient, answers: aioresponses
    ) -> None:
        answers.get(URL, payload={"customers": self.BROKEN, "has_more": False})
        with pytest.raises(DecodeError, match=r"item 1 of the page \(id b\).*\$\.name") as caught:
            await client.customers.list().to_list()
        error = caught.value
        assert (error.item_id, error.position, error.operation) == ("b", 1, "customers.list")
        assert msgspec.json.decode(error.body)["id"] == "b"

    async def test_a_function_gets_those_and_the_walk_goes_on(
        self, client: VoucherifyClient, answers: aioresponses
    ) -> None:
        answers.get(URL, payload={"customers": self.BROKEN, "has_more": False})
        problems: list[DecodeError] = []
        found = await client.customers.list(on_invalid=problems.append).to_list()
        assert [customer.id for customer in found] == ["a", "c"]
        assert {(problem.item_id, problem.position) for problem in problems} == {("b", 1), (None, 3)}

    async def test_one_at_a_boundary_is_reported_once(
        self, client: VoucherifyClient, answers: aioresponses
    ) -> None:
        import re

        answers.get(URL, payload={"customers": self.BROKEN[:2], "has_more": True})
        following = re.compile(r".*starting_after=2026-01-02T00.{1,3}00.{1,3}01.000Z")
        answers.get(following, payload={"customers": self.BROKEN[1:3], "has_more": False})
        problems: list[DecodeError] = []
        found = await client.customers.list(on_invalid=problems.append).to_list()
        assert [customer.id for customer in found] == ["a", "c"]
        assert [problem.item_id for problem in problems] == ["b"]


class TestPaginate:
    async def test_any_list(self, seeded: Seeded) -> None:
        sandbox, client = seeded
        pager = client.paginate("/v1/customers", items="customers", query={"limit": 50, "order": "source_id"})
        found = await pager.to_list()
        assert len(found) == 350
        assert isinstance(found[0], dict)
        assert queries(sandbox)[0] == {"limit": "50", "page": "1", "order": "source_id"}

    async def test_with_a_rule_and_a_type(self, voucherify: VoucherifyClient) -> None:
        customer = await voucherify.customers.create(source_id="a/b")
        pager = voucherify.paginate(
            "/v1/customers/{id}/activity", path_params={"id": "a/b"}, into=dict[str, Any], rule=IdRule()
        )
        assert [event["type"] for event in await pager.to_list()] == ["customer.created"]
        typed = voucherify.paginate("/v1/customers", items="customers", into=Customer, rule=CreatedAtRule())
        assert await typed.to_list() == [customer]
        first = await voucherify.paginate("/v1/customers", items="customers", query={"limit": 1})
        assert first.next_cursor is None or isinstance(first.next_cursor, str)

    async def test_with_a_rule_of_ones_own(self, seeded: Seeded) -> None:
        class Skip:
            """Counts pages itself, and stops after three."""

            name = "three pages"
            state_type = int

            def start(self) -> int:
                return 1

            def query(self, state: int, base: Any, limit: int | None) -> Any:
                return {**base, "page": state, "limit": limit}

            def advance(self, state: int, page: PageAnswer) -> Step:
                return Step([True] * len(page.items), state + 1 if state < 3 else None)

        _, client = seeded
        pager = client.paginate("/v1/customers", items="customers", query={"limit": 10}, rule=Skip())
        assert len(await pager.to_list()) == 30
        page = await pager
        again = client.paginate(
            "/v1/customers", items="customers", query={"limit": 10}, rule=Skip(), cursor=page.next_cursor
        )
        assert len(await again.to_list()) == 20

    @pytest.mark.parametrize("path", ["v1/customers", "/v1/customers?limit=5", "/v1/a b", "/é", ""])
    async def test_bad_paths(self, voucherify: VoucherifyClient, path: str) -> None:
        with pytest.raises(ValueError, match="^path must be"):
            voucherify.paginate(path)


class TestAsyncActions:
    async def test_all_of_them(self, voucherify: VoucherifyClient) -> None:
        receipts = [await voucherify.customers.update_metadata_in_bulk(["a"], {"n": n}) for n in range(23)]
        found = await voucherify.async_actions.list(limit=5).to_list()
        assert Counter(action.id for action in found) == Counter(
            receipt.async_action_id for receipt in receipts
        )
        page = await voucherify.async_actions.list()
        assert (len(page.items), page.has_more, page.total) == (10, True, None)
        assert page.items[0].result is None
        rest = await voucherify.async_actions.list(cursor=page.next_cursor).to_list()
        assert len(rest) == 13
        nothing = voucherify.async_actions.list(end_date=dt.datetime(2020, 1, 1, tzinfo=UTC))
        assert await nothing.to_list() == []


async def test_a_total_with_decimals() -> None:
    answer = respond(200, b'{"customers": [], "total": 0.0, "has_more": false}')
    async with (
        raw_server(answer) as server,
        VoucherifyClient("id", "token", base_url=server.base_url) as client,
    ):
        page = await client.customers.list()
    assert (page.total, type(page.total)) == (0, int)

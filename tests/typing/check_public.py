"""What a type checker must say about the public surface. Checked by `make types`; never run.

An ignore comment here is an assertion: mypy and pyright report those that nothing needs.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, assert_type

import msgspec

from voucherify_async import (
    AccessToken,
    AsyncAction,
    AsyncActionReceipt,
    Customer,
    CustomerActivity,
    CustomerRedeemable,
    CustomerUpsert,
    Page,
    Pager,
    PermanentDeletion,
    Response,
    Segment,
    SyncFailure,
    SyncReport,
    TokenIntrospection,
    VoucherifyClient,
    Window,
)
from voucherify_async.models import (
    BulkUpdateResult,
    Campaign,
    CampaignEvent,
    CustomerEvent,
    CustomerOrderPaid,
    CustomerSegmentEntered,
    Discount,
    Event,
    JobResult,
    Order,
    OrderItem,
    RedemptionEvent,
    UnknownEvent,
    Voucher,
    VoucherCreated,
)
from voucherify_async.resources import CustomersResource
from voucherify_async.webhooks import WebhookEvent


class Meta(msgspec.Struct):
    tier: str


@dataclass
class Data:
    tier: str


class Details(TypedDict):
    tier: str


async def typed_metadata(voucherify: VoucherifyClient) -> None:
    customers = voucherify.customers.with_metadata(Meta)
    assert_type(customers, CustomersResource[Meta])
    ada = await customers.get("a")
    assert_type(ada, Customer[Meta])
    assert_type(ada.metadata, Meta | None)
    assert_type(await customers.create(name="Ada"), Customer[Meta])
    assert_type(await customers.update("a", ada), Customer[Meta])
    assert_type(customers.list(), Pager[Customer[Meta]])
    async with customers.stream() as stream:
        assert_type(stream, AsyncIterator[Customer[Meta]])
    assert_type(await voucherify.customers.with_metadata(Details).get("a"), Customer[Details])
    assert_type(voucherify.customers, CustomersResource)
    assert_type(await customers.with_metadata(Details).get("a"), Customer[Details])
    voucherify.customers.with_metadata(5)  # type: ignore[arg-type]
    await voucherify.customers.create(metadata=Meta(tier="gold"))
    await voucherify.customers.update("a", metadata=Data(tier="gold"))
    await voucherify.customers.update_metadata_in_bulk(["a"], Meta(tier="gold"))
    await voucherify.customers.sync_metadata(["a"], Data(tier="gold"))
    await voucherify.customers.create(metadata=5)  # type: ignore[arg-type]


async def results(voucherify: VoucherifyClient) -> None:
    customers = voucherify.customers
    assert_type(await customers.create(), Customer)
    assert_type(await customers.create(CustomerUpsert(source_id="a"), name="Ada"), Customer)
    assert_type(await customers.create(await customers.get("a")), Customer)
    assert_type(await customers.update("a", {"name": "Ada"}), Customer)
    await customers.create(customer={"source_id": "a"})  # type: ignore[call-arg]
    await customers.create(5)  # type: ignore[arg-type]
    assert_type(await customers.get("a"), Customer[dict[str, Any]])
    assert_type(await customers.update("a"), Customer)
    assert_type(await customers.delete_permanently("a"), PermanentDeletion)
    assert_type(customers.list(), Pager[Customer])
    assert_type(customers.list_activity("a"), Pager[CustomerActivity])
    assert_type(customers.list_redeemables("a"), Pager[CustomerRedeemable])
    assert_type(customers.list_segments("a"), Pager[Segment])
    assert_type(await customers.import_csv("a.csv"), AsyncActionReceipt[JobResult])
    receipt = await customers.update_in_bulk([])
    assert_type(receipt, AsyncActionReceipt[BulkUpdateResult])
    assert_type(await customers.update_metadata_in_bulk([], {}), AsyncActionReceipt[BulkUpdateResult])
    assert_type((await voucherify.async_actions.wait(receipt)).result, BulkUpdateResult | None)
    assert_type(await voucherify.async_actions.get(receipt), AsyncAction[BulkUpdateResult])
    assert_type(await voucherify.async_actions.get("aa"), AsyncAction)
    assert_type(voucherify.async_actions.list(), Pager[AsyncAction])
    action = await voucherify.async_actions.wait("aa")
    assert_type(action, AsyncAction)
    assert_type(action.result, BulkUpdateResult | JobResult | dict[str, Any] | None)
    assert_type(await voucherify.oauth.create_token(), AccessToken)
    assert_type(await voucherify.oauth.introspect_token("t"), TokenIntrospection)


async def sync_jobs(voucherify: VoucherifyClient, rows: AsyncIterator[dict[str, Any]]) -> None:
    customers = voucherify.customers
    report = await customers.sync(rows, concurrency=2, on_progress=print, state="sync.sqlite")
    assert_type(report, SyncReport[CustomerUpsert])
    assert_type(await customers.sync([CustomerUpsert(source_id="a"), {"source_id": "b"}]), SyncReport)
    assert_type(await customers.sync(report.failed_items(), on_invalid="raise"), SyncReport)
    assert_type(report.failures, tuple[SyncFailure, ...])
    assert_type(await customers.sync_metadata(["a"], {"tier": "gold"}, concurrency=2), SyncReport[str])
    assert_type(await customers.sync_csv("a.csv", state=Path("sync.sqlite")), SyncReport[str])
    await customers.sync(rows, on_invalid="skip")  # type: ignore[arg-type]
    await customers.sync_csv("a.csv", concurency=2)  # type: ignore[call-arg]


async def pages(voucherify: VoucherifyClient) -> None:
    pager = voucherify.customers.list()
    assert_type(await pager, Page[Customer])
    assert_type((await pager).items, tuple[Customer, ...])
    assert_type((await pager).next_cursor, str | None)
    assert_type(await pager.to_list(), list[Customer])
    async for customer in pager:
        assert_type(customer, Customer)
    async for page in pager.pages():
        assert_type(page, Page[Customer])
    async with pager.prefetch(pages=3) as items:
        async for customer in items:
            assert_type(customer, Customer)


async def windows(voucherify: VoucherifyClient) -> None:
    async with voucherify.customers.stream(concurrency=2, city="London") as customers:
        async for customer in customers:
            assert_type(customer, Customer)
    (window, *_) = await voucherify.customers.plan_windows(3)
    assert_type(window, Window)
    assert_type(voucherify.customers.list(window=window), Pager[Customer])
    voucherify.customers.stream(town="London")  # type: ignore[call-arg]


async def any_endpoint(voucherify: VoucherifyClient) -> None:
    assert_type(await voucherify.request("GET", "/v1/x"), Response[Any])
    assert_type(await voucherify.request("GET", "/v1/x", into=Meta), Response[Meta])
    assert_type((await voucherify.request("GET", "/v1/x", into=bytes)).data, bytes)
    assert_type(voucherify.paginate("/v1/x"), Pager[dict[str, Any]])
    assert_type(voucherify.paginate("/v1/x", into=Meta), Pager[Meta])


def models(customer: Customer, typed: Customer[Meta]) -> None:
    assert_type(customer.metadata, dict[str, Any] | None)
    assert_type(typed.metadata, Meta | None)
    assert_type(customer.created_at, dt.datetime | None)
    customer.name = "x"  # type: ignore[misc]
    Customer("cust_1")  # type: ignore[call-arg]


async def arguments(voucherify: VoucherifyClient) -> None:
    """An argument that the API cannot null does not take `None`."""
    customers = voucherify.customers
    await customers.update("a", name=None, address=None, birthdate=None, metadata=None)
    await customers.create(source_id=None)  # type: ignore[arg-type]
    await customers.create(id=None)  # type: ignore[arg-type]
    await customers.get(None)  # type: ignore[arg-type]
    await customers.get(customer_id=5)  # type: ignore[arg-type]
    customers.list(order="name")  # type: ignore[arg-type]
    customers.list(50)  # type: ignore[call-arg]
    await customers.update("a", source_id="b")  # type: ignore[call-arg]


async def mistakes(voucherify: VoucherifyClient) -> None:
    customers = voucherify.customers
    customers.list(limit="10")  # type: ignore[arg-type]
    customers.list_activity("a", limit="10")  # type: ignore[arg-type]
    customers.list(order="nonsense")  # type: ignore[arg-type]
    customers.list_activity("a", order="nonsense")  # type: ignore[arg-type]
    CustomerUpsert(source_id=None)  # type: ignore[arg-type]
    await customers.get()  # type: ignore[call-arg]
    await customers.create(nmae="Ada")  # type: ignore[call-arg]
    await customers.update("a", nmae="Ada")  # type: ignore[call-arg]
    customers.list(ctiy="London")  # type: ignore[call-arg]
    CustomerUpsert(source_id="a", nmae="Ada")  # type: ignore[call-arg]


def events(activity: CustomerActivity, webhook: WebhookEvent) -> None:
    """A class pattern narrows the type of an event, and the types of what it contains."""
    assert_type(activity.event, CustomerEvent | UnknownEvent)
    match activity.event:
        case CustomerSegmentEntered(segment=segment) as entered:
            assert_type(entered, CustomerSegmentEntered)
            assert_type(segment, Segment | None)
        case CustomerOrderPaid(order=Order(amount=amount, items=items), customer=customer):
            assert_type(amount, int | float | None)
            assert_type(items, tuple[OrderItem, ...] | None)
            assert_type(customer, Customer | None)
        case RedemptionEvent() as redemption:
            assert_type(redemption.voucher, Voucher | None)
        case UnknownEvent(type=event_type, data=data):
            assert_type(event_type, str | None)
            assert_type(data, Any)
        case other:
            assert_type(other, CustomerEvent)
            assert other.segment  # type: ignore[attr-defined]
    match webhook.payload:
        case VoucherCreated(voucher=Voucher(discount=discount)):
            assert_type(discount, Discount | None)
        case CampaignEvent(campaign=campaign):
            assert_type(campaign, Campaign | None)
        case payload:
            assert_type(payload, Event)


async def views(voucherify: VoucherifyClient) -> None:
    assert_type(voucherify.with_options(deadline=5), VoucherifyClient)
    async with voucherify as entered:
        assert_type(entered, VoucherifyClient)

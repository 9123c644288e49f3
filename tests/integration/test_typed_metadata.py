"""`customers.with_metadata`: metadata as a class of the application."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any, TypedDict

import msgspec
import pytest

from voucherify_async import Customer, CustomerUpsert, DecodeError, VoucherifyClient
from voucherify_async.resources import CustomersResource
from voucherify_async.sandbox import Sandbox


class Meta(msgspec.Struct, forbid_unknown_fields=True):
    tier: str
    visits: int = 0


@dataclasses.dataclass
class Data:
    tier: str
    visits: int = 0


class Mapping(TypedDict, total=False):
    tier: str
    visits: int


@pytest.fixture
def metas(voucherify: VoucherifyClient) -> CustomersResource[Meta]:
    return voucherify.customers.with_metadata(Meta)


async def test_every_method_that_returns_customers(
    voucherify: VoucherifyClient, metas: CustomersResource[Meta]
) -> None:
    ada = await metas.create(source_id="a", metadata={"tier": "gold"})
    assert ada.metadata == Meta("gold")
    assert (await metas.update("a", metadata={"visits": 3})).metadata == Meta("gold", 3)
    assert (await metas.get("a")).metadata == Meta("gold", 3)
    assert [customer.metadata for customer in await metas.list()] == [Meta("gold", 3)]
    async with metas.stream() as stream:
        assert [customer.metadata async for customer in stream] == [Meta("gold", 3)]
    assert (await voucherify.customers.get("a")).metadata == {"tier": "gold", "visits": 3}


async def test_other_methods_are_the_same(metas: CustomersResource[Meta]) -> None:
    report = await metas.sync([{"source_id": "a", "metadata": {"tier": "gold"}}])
    assert report.succeeded == 1
    assert len(await metas.plan_windows(2)) == 1
    assert await metas.list_activity("a").to_list()
    await metas.delete("a")


@pytest.mark.parametrize(
    ("kind", "expected"), [(Data, Data("gold", 1)), (Mapping, {"tier": "gold", "visits": 1})]
)
async def test_other_kinds_of_classes(voucherify: VoucherifyClient, kind: Any, expected: Any) -> None:
    await voucherify.customers.create(source_id="a", metadata={"tier": "gold", "visits": 1})
    customers = voucherify.customers.with_metadata(kind)
    ada = await customers.get("a")
    assert ada.metadata == expected
    copy: Customer[Any] = await customers.create(ada, source_id="b")
    assert copy.metadata == expected
    assert ada.to_upsert() == CustomerUpsert(
        source_id="a", name=None, description=None, email=None, phone=None, birthdate=None, address=None,
        metadata={"tier": "gold", "visits": 1},
    )  # fmt: skip


async def test_a_customer_without_metadata(
    voucherify: VoucherifyClient, metas: CustomersResource[Meta]
) -> None:
    await voucherify.customers.create(source_id="a")
    assert (await metas.get("a")).metadata is None


async def test_metadata_of_another_shape(
    voucherify: VoucherifyClient, metas: CustomersResource[Meta], sandbox: Sandbox
) -> None:
    ada = await voucherify.customers.create(source_id="a", metadata={"tier": "gold", "visits": "many"})
    eve = await voucherify.customers.create(source_id="e", metadata={"tier": "gold"})
    with pytest.raises(
        DecodeError, match=rf"customers.get: .*\(id {ada.id}\).*`\$\.metadata\.visits`"
    ) as caught:
        await metas.get("a")
    assert caught.value.item_id == ada.id
    with pytest.raises(DecodeError, match=rf"id {ada.id}.*`\$\.metadata\.visits`"):
        await metas.list().to_list()
    errors: list[DecodeError] = []
    assert [item.id for item in await metas.list(on_invalid=errors.append).to_list()] == [eve.id]
    async with metas.stream(on_invalid=errors.append) as stream:
        assert [item.id async for item in stream] == [eve.id]
    assert [error.item_id for error in errors] == [ada.id, ada.id]
    with pytest.raises(DecodeError, match="unknown field `new`"):
        await metas.update("e", metadata={"new": 1})


@pytest.mark.parametrize("kind", [object(), type("Foreign", (), {}), list[type("Foreign", (), {})]])  # type: ignore[misc]
def test_what_cannot_be_decoded(voucherify: VoucherifyClient, kind: Any) -> None:
    with pytest.raises(ValueError, match="metadata must be a type that msgspec can decode"):
        voucherify.customers.with_metadata(kind)


class Renamed(msgspec.Struct, rename="camel"):
    loyalty_tier: str | None = None
    visits: int | msgspec.UnsetType = msgspec.UNSET


@dataclasses.dataclass
class Tier:
    tier: str
    since: dt.date | None = None


@pytest.mark.parametrize(
    ("metadata", "sent"),
    [
        pytest.param(Renamed(loyalty_tier="gold"), {"loyaltyTier": "gold"}, id="Struct"),
        pytest.param(Renamed(visits=3), {"loyaltyTier": None, "visits": 3}, id="Struct with a null"),
        pytest.param(
            Tier("gold", dt.date(2026, 1, 2)), {"tier": "gold", "since": "2026-01-02"}, id="dataclass"
        ),
    ],
)
async def test_instances_are_sent(
    sandbox: Sandbox, voucherify: VoucherifyClient, metadata: Any, sent: Any
) -> None:
    customers = voucherify.customers
    assert (await customers.create(source_id="a", metadata=metadata)).metadata == sent
    assert (await customers.update("a", {"metadata": metadata})).metadata == sent
    assert (await customers.create(CustomerUpsert(source_id="b", metadata=metadata))).metadata == sent
    await voucherify.async_actions.wait(await customers.update_metadata_in_bulk(["c"], metadata))
    await customers.sync_metadata(["d"], metadata)
    await customers.sync([{"source_id": "e", "metadata": metadata}])
    assert {
        record.source_id: record.metadata for record in sandbox.store.customers.values()
    } == dict.fromkeys("abcde", sent)


@pytest.mark.parametrize("metadata", [Tier, 5, "text", [1], Renamed])
async def test_what_is_no_metadata(voucherify: VoucherifyClient, metadata: Any) -> None:
    with pytest.raises(ValueError, match="metadata"):
        await voucherify.customers.create(metadata=metadata)
    with pytest.raises(ValueError, match="metadata must be a mapping, a Struct or a dataclass, not"):
        await voucherify.customers.sync_metadata(["a"], metadata)


async def test_instances_within_metadata_are_sent(voucherify: VoucherifyClient) -> None:
    created = await voucherify.customers.create(metadata={"tiers": [Tier("gold"), Renamed(visits=1)]})
    assert created.metadata == {
        "tiers": [{"tier": "gold", "since": None}, {"loyaltyTier": None, "visits": 1}]
    }

"""Customers: https://docs.voucherify.io/api-reference/customers/customer-object."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from types import NoneType
from typing import Annotated, Any, Final, Literal, TypedDict, TypeVar, Unpack

import msgspec

from voucherify_async._tasks import gather
from voucherify_async._transport.operation import Body, Operation, Query, Request
from voucherify_async._transport.wire import drop_empty, encode_path
from voucherify_async.errors import NotFoundError
from voucherify_async.models.activity import CustomerActivity
from voucherify_async.models.base import UNSET, UnsetType
from voucherify_async.models.customers import (
    Address,
    Customer,
    CustomerAddress,
    CustomerFields,
    CustomerSegment,
    PermanentDeletion,
)
from voucherify_async.models.redeemables import CustomerRedeemable, RedeemableFilters
from voucherify_async.pagination.pager import Listing, OnInvalid, Pager
from voucherify_async.pagination.rules import CreatedAtRule, IdRule, PageNumberRule, Rule, SinglePage
from voucherify_async.pagination.rules.base import WalkRule
from voucherify_async.pagination.stream import Stream, plan
from voucherify_async.pagination.windows import Window
from voucherify_async.resources._customer_jobs import CustomerJobs
from voucherify_async.resources._inputs import (
    check_count,
    check_instants,
    check_limit,
    check_on_invalid,
    check_page,
    check_texts,
    check_window,
    customer_body,
    filters_query,
)

__all__ = ["CustomerFilters", "CustomerOrder", "CustomersResource"]

T = TypeVar("T")

CustomerOrder = Literal["created_at", "-created_at", "updated_at", "-updated_at", "source_id", "-source_id"]
"""Sort orders of the customer list; a leading dash means descending."""

_DELETE_CONCURRENCY: Final = 8


class CustomerFilters(TypedDict, total=False):
    """Filters for customers, as keyword arguments; see `CustomersResource.list`."""

    email: str | None
    city: str | None
    name: str | None
    segment_id: str | None
    created_at_before: dt.datetime | None
    created_at_after: dt.datetime | None
    updated_at_before: dt.datetime | None
    updated_at_after: dt.datetime | None


_PLAN_CONCURRENCY: Final = 16
"""Concurrent requests while windows are planned."""

_PlainCustomer = Customer[dict[str, Any]]

_CREATE: Final[Operation[Customer]] = Operation("customers.create", "POST", "/v1/customers", _PlainCustomer)
_GET: Final[Operation[Customer]] = Operation(
    "customers.get", "GET", "/v1/customers/{customer_id}", _PlainCustomer
)
_UPDATE: Final[Operation[Customer]] = Operation(
    "customers.update", "PUT", "/v1/customers/{customer_id}", _PlainCustomer
)
_DELETE: Final[Operation[None]] = Operation(
    "customers.delete", "DELETE", "/v1/customers/{customer_id}", NoneType, removes=True
)
_DELETE_PERMANENTLY: Final[Operation[PermanentDeletion]] = Operation(
    "customers.delete_permanently",
    "POST",
    "/v1/customers/{customer_id}/permanent-deletion",
    PermanentDeletion,
    repeatable=False,
)
_LIST: Final[Operation[Any]] = Operation("customers.list", "GET", "/v1/customers", Any)
_LIST_ACTIVITY: Final[Operation[Any]] = Operation(
    "customers.list_activity", "GET", "/v1/customers/{customer_id}/activity", Any
)
_LIST_REDEEMABLES: Final[Operation[Any]] = Operation(
    "customers.list_redeemables", "GET", "/v1/customers/{customer_id}/redeemables", Any
)
_LIST_SEGMENTS: Final[Operation[Any]] = Operation(
    "customers.list_segments", "GET", "/v1/customers/{customer_id}/segments", Any
)


_NEWEST_FIRST: Final = "-created_at"

_NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class _CustomerCreate(CustomerFields, frozen=True, kw_only=True):
    """The fields of a customer to create; used to check their types."""

    id: _NonEmpty | UnsetType = UNSET
    source_id: _NonEmpty | UnsetType = UNSET


class CustomersResource(CustomerJobs):
    """The customers of the project.

    A customer is identified by its `id` or by its `source_id`, the customer's id in your own system. For every
    property, `UNSET` (the default) keeps the current value, and `None` clears it.
    """

    async def create(
        self,
        *,
        id: str | UnsetType = UNSET,  # noqa: A002  # the API's name
        source_id: str | UnsetType = UNSET,
        name: str | UnsetType | None = UNSET,
        description: str | UnsetType | None = UNSET,
        email: str | UnsetType | None = UNSET,
        phone: str | UnsetType | None = UNSET,
        birthday: dt.date | UnsetType | None = UNSET,
        birthdate: dt.date | UnsetType | None = UNSET,
        address: Address | CustomerAddress | Mapping[str, str | None] | UnsetType | None = UNSET,
        metadata: Mapping[str, Any] | UnsetType | None = UNSET,
    ) -> Customer:
        """Create a customer, or update the one that has this `id` or `source_id`.

        Without either id, every call creates a new customer, and the request is not retried after it was sent.

        Args:
            id: The id of the customer; by default, the service generates one.
            source_id: The customer's id in your own system. It cannot be changed later.
            name: Full name.
            description: Free-text description.
            email: E-mail address.
            phone: Telephone number.
            birthday: Deprecated by the service in favour of `birthdate`.
            birthdate: Date of birth.
            address: Postal address; parts left out keep their values.
            metadata: Custom properties, merged key by key into the existing ones.

        Raises:
            ValueError: An argument is invalid. The message names it.
            VoucherifyError: The call failed; see `voucherify_async.errors`.

        API: https://docs.voucherify.io/api-reference/customers/create-customer
        """
        body = customer_body(
            _CustomerCreate,
            id=id,
            source_id=source_id,
            name=name,
            description=description,
            email=email,
            phone=phone,
            birthday=birthday,
            birthdate=birthdate,
            address=address,
            metadata=metadata,
        )
        upserts = id is not UNSET or source_id is not UNSET
        return await self._sessions.send(Request(_CREATE, _CREATE.path, body, once=not upserts))

    async def get(self, customer_id: str) -> Customer:
        """Fetch a customer by its `id` or `source_id`.

        Raises:
            ValueError: `customer_id` is empty, ``.`` or ``..``.
            NotFoundError: The customer does not exist.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/get-customer
        """
        return await self._call(_GET, customer_id)

    async def update(
        self,
        customer_id: str,
        *,
        name: str | UnsetType | None = UNSET,
        description: str | UnsetType | None = UNSET,
        email: str | UnsetType | None = UNSET,
        phone: str | UnsetType | None = UNSET,
        birthday: dt.date | UnsetType | None = UNSET,
        birthdate: dt.date | UnsetType | None = UNSET,
        address: Address | CustomerAddress | Mapping[str, str | None] | UnsetType | None = UNSET,
        metadata: Mapping[str, Any] | UnsetType | None = UNSET,
    ) -> Customer:
        """Update properties of a customer; those left out keep their values.

        Args:
            customer_id: The customer's `id` or `source_id`.
            name: Full name.
            description: Free-text description.
            email: E-mail address.
            phone: Telephone number.
            birthday: Deprecated by the service in favour of `birthdate`.
            birthdate: Date of birth.
            address: Postal address; parts left out keep their values, and `None` clears a part.
            metadata: Custom properties, merged key by key. A key set to `None` is kept, with the value null.

        Raises:
            ValueError: An argument is invalid. The message names it.
            NotFoundError: The customer does not exist.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/update-customer
        """
        body = customer_body(
            CustomerFields,
            name=name,
            description=description,
            email=email,
            phone=phone,
            birthday=birthday,
            birthdate=birthdate,
            address=address,
            metadata=metadata,
        )
        return await self._call(_UPDATE, customer_id, body)

    async def delete(self, customer_id: str) -> None:
        """Delete a customer by its `id` or `source_id`.

        Raises:
            ValueError: `customer_id` is empty, ``.`` or ``..``.
            NotFoundError: The customer does not exist.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/delete-customer
        """
        await self._call(_DELETE, customer_id)

    async def delete_missing(
        self, state: str | os.PathLike[str], *, max_share: float = 0.1, project: str | None = None
    ) -> int:
        """Delete the customers that were missing from the source of the last sync with this state file.

        Nothing is deleted if that sync did not read its source to the end, or read an item without a `source_id`.
        After an error, call this method again: it continues with the remaining customers. A customer whose `source_id`
        is ``.`` or ``..`` cannot be deleted through the API and stays missing.

        Args:
            state: The state file passed to `sync` or `sync_csv`.
            max_share: The largest share of the customers in the state that may be deleted, from 0 to 1. If more are
                missing, the source is probably incomplete, and nothing is deleted.
            project: As for `sync`.

        Returns:
            The number of customers deleted, including those that no longer existed.

        Raises:
            FileNotFoundError: The state file does not exist.
            ValueError: Too many customers are missing, or an argument is out of range. The message names it.
            SyncStateError: The state file is in use, damaged, or belongs to another project.
            VoucherifyError: A call failed.

        API: https://docs.voucherify.io/api-reference/customers/delete-customer
        """
        if not isinstance(max_share, int | float) or isinstance(max_share, bool) or not 0 <= max_share <= 1:
            raise ValueError(f"max_share must be from 0 to 1, not {max_share!r}")
        deleted = 0
        async with self._existing_state(state, project) as sync_state:
            missing, count = await sync_state.missing_keys(), await sync_state.count_keys()
            deletable = [source_id for source_id in missing if source_id not in {".", ".."}]
            if len(missing) > max_share * count:
                raise ValueError(
                    f"max_share: {len(missing):,} of {count:,} customers are missing, more than {max_share:.4g} of all"
                )
            remaining = iter(deletable)

            async def delete_remaining() -> None:
                nonlocal deleted
                for source_id in remaining:
                    await sync_state.record_deleting(source_id)
                    with suppress(NotFoundError):
                        await self.delete(source_id)
                    await sync_state.record_deleted(source_id)
                    deleted += 1

            await gather(*(delete_remaining() for _ in range(_DELETE_CONCURRENCY)))
        return deleted

    async def delete_permanently(self, customer_id: str) -> PermanentDeletion:
        """Erase a customer and all data connected to it. This cannot be undone.

        The request is not retried after it was sent.

        Raises:
            ValueError: `customer_id` is empty, ``.`` or ``..``.
            NotFoundError: The customer does not exist.
            OutcomeUnknownError: The request was sent, but no response arrived.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/delete-customer-permanently
        """
        return await self._call(_DELETE_PERMANENTLY, customer_id)

    def list(
        self,
        *,
        limit: int | None = None,
        page: int | None = None,
        email: str | None = None,
        city: str | None = None,
        name: str | None = None,
        segment_id: str | None = None,
        created_at_before: dt.datetime | None = None,
        created_at_after: dt.datetime | None = None,
        updated_at_before: dt.datetime | None = None,
        updated_at_after: dt.datetime | None = None,
        order: CustomerOrder | None = None,
        starting_after: dt.datetime | None = None,
        cursor: str | None = None,
        window: Window | Mapping[str, Any] | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[Customer]:
        """List the customers, newest first by default.

        Ordered by ``-created_at`` (the default) or ``created_at``, iteration has no limit and yields each customer
        once, even if many share a creation time. In other orders, or with a `page`, iteration uses page numbers
        and raises `PageLimitError` if there are more customers after page 99.

        Args:
            limit: Customers per page, 1 to 100. Default: 100 when iterating; the service's default (10) for a
                single page.
            page: Start at this page number (1 to 99) and continue by page number.
            email: Only customers with this e-mail address.
            city: Only customers in this city.
            name: Only customers with this name.
            segment_id: Only customers in this segment.
            created_at_before: Only customers created before this time.
            created_at_after: Only customers created after this time.
            updated_at_before: Only customers last updated before this time.
            updated_at_after: Only customers last updated after this time.
            order: The sort order; a leading dash means descending.
            starting_after: The creation time to start at.
            cursor: Continue from here: the `next_cursor` of an earlier page, with the same filters, order and
                window.
            window: Only customers in this window: a `Window` from `plan_windows`, or a mapping decoded from its
                JSON.
            on_invalid: How to handle a customer that cannot be decoded: ``"raise"``, or a function that is called
                with the `DecodeError`, after which iteration continues with the next customer.

        Raises:
            ValueError: An argument is out of range, a datetime has no timezone, two arguments contradict
                each other, or `cursor` belongs to another list or other filters.

        API: https://docs.voucherify.io/api-reference/customers/list-customers
        """
        check_texts(order=order)
        check_instants(starting_after=starting_after)
        checked_window = check_window(window)
        filters: CustomerFilters = {
            "email": email,
            "city": city,
            "name": name,
            "segment_id": segment_id,
            "created_at_before": created_at_before,
            "created_at_after": created_at_after,
            "updated_at_before": updated_at_before,
            "updated_at_after": updated_at_after,
        }
        listing = self._customer_listing(
            filters, on_invalid, order=order or _NEWEST_FIRST, window=checked_window
        )
        rules = _customer_rules(order, check_page(page), starting_after, cursor, checked_window)
        return Pager(listing, *rules, limit=check_limit(limit), cursor=cursor)

    def stream(
        self,
        *,
        concurrency: int = 8,
        on_invalid: OnInvalid = "raise",
        **filters: Unpack[CustomerFilters],
    ) -> AbstractAsyncContextManager[AsyncIterator[Customer]]:
        """Read all customers, or those that match the filters, with concurrent requests.

        ::

            async with voucherify.customers.stream(concurrency=16) as customers:
                async for customer in customers: ...

        The list is split into windows of creation time. A window with many customers is split again while it is
        read. Every customer that exists and matches during the whole iteration is yielded exactly once, in no
        particular order. At most twice `concurrency` pages are buffered. An error in one window stops the others,
        and the iterator raises it. Leaving the block cancels the open requests.

        Args:
            concurrency: The number of windows to read at once.
            on_invalid: As for `list`.
            **filters: As for `list`.

        Raises:
            ValueError: An argument is out of range, or a datetime has no timezone. The message names it.

        API: https://docs.voucherify.io/api-reference/customers/list-customers
        """
        check_count("concurrency", concurrency)
        return Stream(self._customer_listing(filters, on_invalid, order=_NEWEST_FIRST), concurrency).feed()

    async def plan_windows(self, count: int, **filters: Unpack[CustomerFilters]) -> tuple[Window, ...]:
        """Split the list of customers by creation time into windows that different workers can read.

        Pass each window to `list(window=…)`, with the same filters. A window can be pickled or sent as JSON. The
        windows have about equal numbers of customers, unless the service returns no totals or many customers share
        a creation time. Every customer is in exactly one window, except that a customer whose creation time the
        service does not return may be in two adjacent ones. The first and the last window are unbounded. Planning
        makes at most ten requests per window, and no more than reading the list would.

        Args:
            count: The largest number of windows.
            **filters: As for `list`.

        Raises:
            ValueError: An argument is out of range, or a datetime has no timezone. The message names it.
            VoucherifyError: A call failed.

        API: https://docs.voucherify.io/api-reference/customers/list-customers
        """
        check_count("count", count)
        return await plan(
            self._customer_listing(filters, "raise", order=_NEWEST_FIRST), count, _PLAN_CONCURRENCY
        )

    def _customer_listing(
        self,
        filters: CustomerFilters,
        on_invalid: OnInvalid,
        *,
        order: str,
        window: Window | None = None,
    ) -> Listing[Customer]:
        if unknown := filters.keys() - CustomerFilters.__annotations__.keys():
            raise TypeError(f"unknown filter: {', '.join(sorted(unknown))}")
        check_texts(
            email=filters.get("email"),
            city=filters.get("city"),
            name=filters.get("name"),
            segment_id=filters.get("segment_id"),
        )
        created = {"before": filters.get("created_at_before"), "after": filters.get("created_at_after")}
        updated = {"before": filters.get("updated_at_before"), "after": filters.get("updated_at_after")}
        check_instants(
            created_at_before=created["before"],
            created_at_after=created["after"],
            updated_at_before=updated["before"],
            updated_at_after=updated["after"],
        )
        return Listing[Customer](
            sessions=self._sessions,
            operation=_LIST,
            path=_LIST.path,
            query=drop_empty(
                {
                    "email": filters.get("email"),
                    "city": filters.get("city"),
                    "name": filters.get("name"),
                    "segment_id": filters.get("segment_id"),
                    "created_at": created,
                    "updated_at": updated,
                    "order": order,
                }
            ),
            items="customers",
            into=_PlainCustomer,
            on_invalid=check_on_invalid(on_invalid),
            part="" if window is None else str(window),
        )

    def list_activity(
        self,
        customer_id: str,
        *,
        limit: int | None = None,
        order: Literal["created_at", "-created_at"] | None = None,
        starting_after_id: str | None = None,
        start_date: dt.datetime | None = None,
        end_date: dt.datetime | None = None,
        campaign_id: str | None = None,
        campaign_type: str | None = None,
        category: str | None = None,
        type: str | None = None,  # noqa: A002  # the API's name
        cursor: str | None = None,
    ) -> Pager[CustomerActivity]:
        """List the events of a customer, newest first by default.

        Args:
            customer_id: The customer's `id` or `source_id`.
            limit: Events per page, 1 to 100. Default: 100 when iterating; the service's default for a single page.
            order: The sort order: ``created_at`` or ``-created_at``.
            starting_after_id: Start after the event with this id.
            start_date: Only events since this time.
            end_date: Only events until this time.
            campaign_id: Only events of this campaign.
            campaign_type: Only events of campaigns of this type: ``PROMOTION``, ``GIFT_VOUCHERS``,
                ``REFERRAL_PROGRAM``, ``DISCOUNT_COUPONS`` or ``LOYALTY_PROGRAM``.
            category: Only events of this category: ``ACTION`` or ``EFFECT``.
            type: Only events of this type, for example ``customer.updated``.
            cursor: Continue from here: the `next_cursor` of an earlier page.

        Raises:
            ValueError: An argument is out of range, or a datetime has no timezone. The message names it.

        API: https://docs.voucherify.io/api-reference/customers/list-customer-activity
        """
        check_texts(
            order=order,
            starting_after_id=starting_after_id,
            campaign_id=campaign_id,
            campaign_type=campaign_type,
            category=category,
            type=type,
        )
        check_instants(start_date=start_date, end_date=end_date)
        query: Query = {
            "order": order,
            "start_date": start_date,
            "end_date": end_date,
            "campaign_id": campaign_id,
            "campaign_type": campaign_type,
            "category": category,
            "type": type,
        }
        listing = self._listing(CustomerActivity, _LIST_ACTIVITY, customer_id, drop_empty(query))
        return _id_pager(listing, starting_after_id, check_limit(limit), cursor)

    def list_redeemables(
        self,
        customer_id: str,
        *,
        limit: int | None = None,
        order: Literal["id", "-id"] | None = None,
        starting_after_id: str | None = None,
        filters: RedeemableFilters | UnsetType = UNSET,
        cursor: str | None = None,
    ) -> Pager[CustomerRedeemable]:
        """List the redeemables that a customer holds.

        Args:
            customer_id: The customer's `id` or `source_id`.
            limit: Redeemables per page, 1 to 100. Default: 100 when iterating; the service's default for a
                single page.
            order: The sort order: ``id`` or ``-id``.
            starting_after_id: Start after the redeemable with this id.
            filters: Only redeemables that meet these conditions.
            cursor: Continue from here: the `next_cursor` of an earlier page.

        Raises:
            ValueError: An argument is out of range, or a datetime has no timezone. The message names it.

        API: https://docs.voucherify.io/api-reference/customers/list-customers-redeemables
        """
        check_texts(order=order, starting_after_id=starting_after_id)
        query: Query = {"order": order, "filters": filters_query(filters)}
        listing = self._listing(CustomerRedeemable, _LIST_REDEEMABLES, customer_id, query)
        return _id_pager(listing, starting_after_id, check_limit(limit), cursor)

    def list_segments(self, customer_id: str) -> Pager[CustomerSegment]:
        """List the segments that a customer belongs to; for an unknown customer, those it would belong to.

        Raises:
            ValueError: `customer_id` is empty, ``.`` or ``..``.

        API: https://docs.voucherify.io/api-reference/customers/list-customers-segments
        """
        return Pager(self._listing(CustomerSegment, _LIST_SEGMENTS, customer_id, {}), SinglePage())

    async def _call(self, operation: Operation[T], customer_id: str, body: Body | None = None) -> T:
        target = encode_path(operation.path, {"customer_id": customer_id})
        return await self._sessions.send(Request(operation, target, body))

    def _listing(
        self, into: type[T], operation: Operation[Any], customer_id: str, query: Query
    ) -> Listing[T]:
        return Listing(
            sessions=self._sessions,
            operation=operation,
            path=encode_path(operation.path, {"customer_id": customer_id}),
            query=query,
            items="data",
            into=into,
        )


def _id_pager(listing: Listing[T], after: str | None, limit: int | None, cursor: str | None) -> Pager[T]:
    if after is not None and cursor is not None:
        raise ValueError("cursor and starting_after_id both set the starting point: pass only one")
    return Pager(listing, IdRule(after), limit=limit, cursor=cursor)


def _customer_rules(
    order: str | None,
    page: int | None,
    starting_after: dt.datetime | None,
    cursor: str | None,
    window: Window | None,
) -> tuple[Rule[Any] | WalkRule, ...]:
    """The pagination rules for a call; with a cursor, all rules that may have created it."""
    by_date = order in (None, "created_at", _NEWEST_FIRST)  # not a set: `order` may be unhashable
    if sum(argument is not None for argument in (page, starting_after, cursor)) > 1:
        raise ValueError("page, starting_after and cursor each set the starting point: pass only one")
    if starting_after is not None and not by_date:
        raise ValueError(f"starting_after requires an order by created_at, not {order!r}")
    by_page = PageNumberRule(page or 1)
    if window is not None:
        if page is not None or starting_after is not None or not by_date:
            raise ValueError("window requires an order by created_at, without page and starting_after")
        return (CreatedAtRule(descending=order != "created_at", window=window),)
    if page is not None or not by_date:
        return (by_page,)
    return (CreatedAtRule(descending=order != "created_at", starting_after=starting_after), by_page)

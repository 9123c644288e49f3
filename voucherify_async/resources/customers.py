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
from voucherify_async._transport.wire import encode_path, given
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
"""Orders of the customer list; a dash means descending."""


_DELETIONS_AT_ONCE: Final = 8


class CustomerFilters(TypedDict, total=False):
    """What customers can be filtered by; see `CustomersResource.list`."""

    email: str | None
    city: str | None
    name: str | None
    segment_id: str | None
    created_at_before: dt.datetime | None
    created_at_after: dt.datetime | None
    updated_at_before: dt.datetime | None
    updated_at_after: dt.datetime | None


_PLANNERS: Final = 16
"""Counts asked for at once while windows are planned."""

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


class _Create(CustomerFields, frozen=True, kw_only=True):
    """The fields of a creation, for their types."""

    id: _NonEmpty | UnsetType = UNSET
    source_id: _NonEmpty | UnsetType = UNSET


class CustomersResource(CustomerJobs):
    """The customers of the project.

    A customer is found by its `id` or by its `source_id`, the id it has in your own system. In arguments
    `UNSET` (the default) leaves a property as it is, and `None` clears it.
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

        Without either, every call makes a new customer; such a call is not repeated once it was sent.

        Args:
            id: An id to give to the customer; the service makes one up otherwise.
            source_id: The customer's id in your own system. It cannot be changed later.
            name: Full name.
            description: Anything worth noting.
            email: E-mail address.
            phone: Telephone number.
            birthday: Deprecated by the service in favour of `birthdate`.
            birthdate: Date of birth.
            address: Postal address; parts left out stay as they are.
            metadata: Properties of your own; merged key by key into those that are there.

        Raises:
            ValueError: An argument cannot be sent; names it.
            VoucherifyError: The call failed; see `voucherify_async.errors`.

        API: https://docs.voucherify.io/api-reference/customers/create-customer
        """
        body = customer_body(
            _Create,
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
            NotFoundError: There is no such customer.
            VoucherifyError: The call failed otherwise.

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
        """Change properties of a customer; those left out stay as they are.

        Args:
            customer_id: Its `id` or `source_id`.
            name: Full name.
            description: Anything worth noting.
            email: E-mail address.
            phone: Telephone number.
            birthday: Deprecated by the service in favour of `birthdate`.
            birthdate: Date of birth.
            address: Postal address; parts left out stay as they are, `None` clears one.
            metadata: Merged key by key; a key set to `None` stays, with the value null.

        Raises:
            ValueError: An argument cannot be sent; names it.
            NotFoundError: There is no such customer.
            VoucherifyError: The call failed otherwise.

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
        """Delete a customer.

        Raises:
            ValueError: `customer_id` is empty, ``.`` or ``..``.
            NotFoundError: There is no such customer.
            VoucherifyError: The call failed otherwise.

        API: https://docs.voucherify.io/api-reference/customers/delete-customer
        """
        await self._call(_DELETE, customer_id)

    async def delete_missing(
        self, state: str | os.PathLike[str], *, max_share: float = 0.1, project: str | None = None
    ) -> int:
        """Delete the customers that the last sync with this state did not find in its source any more.

        A sync that did not read its source to the end, or read an item without a `source_id`, leaves nothing to
        delete. What was deleted before an error is not missing any more when it is called again.

        Args:
            state: The file that was given to `sync` or `sync_csv`.
            max_share: Refuse when more than this share of all that the state knows is missing: such a source is more
                likely broken than right.
            project: As for `sync`.

        Returns:
            How many were deleted, or were gone already.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: Too many are missing, or an argument is out of range; names it.
            SyncStateError: The state is in use, damaged, or of another project.
            VoucherifyError: A call failed.

        API: https://docs.voucherify.io/api-reference/customers/delete-customer
        """
        if not isinstance(max_share, int | float) or isinstance(max_share, bool) or not 0 <= max_share <= 1:
            raise ValueError(f"max_share must be from 0 to 1, not {max_share!r}")
        deleted = 0
        async with await self._existing_state(state, project) as known:
            missing, count = await known.missing(), await known.count()
            if len(missing) > max_share * count:
                raise ValueError(
                    f"max_share: {len(missing):,} of {count:,} customers are missing, more than {max_share:.0%}"
                )
            waiting = iter(missing)

            async def work() -> None:
                nonlocal deleted
                for source_id in waiting:
                    with suppress(NotFoundError):
                        await self.delete(source_id)
                    await known.deleted(source_id)
                    deleted += 1

            await gather(*(work() for _ in range(_DELETIONS_AT_ONCE)))
        return deleted

    async def delete_permanently(self, customer_id: str) -> PermanentDeletion:
        """Erase a customer with everything that is connected to it, for good.

        The call is not repeated once it was sent.

        Raises:
            ValueError: `customer_id` is empty, ``.`` or ``..``.
            NotFoundError: There is no such customer.
            OutcomeUnknownError: It was sent, and no answer came.
            VoucherifyError: The call failed otherwise.

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
        """The customers, newest first unless `order` says otherwise.

        In the order of `created_at` (the default) or ``-created_at`` a walk has no limit, and delivers each
        customer once, however many share an instant. In other orders, and from a given `page` on, it goes
        by page number, and ends at page 99 with `PageLimitError` if there is more.

        Args:
            limit: Customers on a page, 1 to 100. Left out: 100 in a walk, and for a single page as many as
                the service gives (10).
            page: Go by page number, from this page on (1 to 99).
            email: Only customers with this e-mail address.
            city: Only customers in this city.
            name: Only customers with this name.
            segment_id: Only customers in this segment.
            created_at_before: Only customers created before this instant.
            created_at_after: Only customers created after this instant.
            updated_at_before: Only customers last updated before this instant.
            updated_at_after: Only customers last updated after this instant.
            order: What to sort by; a dash means descending.
            starting_after: Start at this instant, compared with `created_at`.
            cursor: Go on where a page's `next_cursor` says; with the same filters, order and window.
            window: Only customers of this window, one of those that `plan_windows` gave; or what became of it
                by way of JSON.
            on_invalid: What to do about a customer that cannot be decoded: ``"raise"``, or a function that
                gets the `DecodeError`, after which the walk goes on.

        Raises:
            ValueError: An argument is out of range, an instant has no timezone, two arguments contradict
                each other, or `cursor` was made for another list or other filters.

        API: https://docs.voucherify.io/api-reference/customers/list-customers
        """
        check_texts(order=order)
        check_instants(starting_after=starting_after)
        part = check_window(window)
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
        listing = self._customers(filters, on_invalid, order=order or _NEWEST_FIRST, window=part)
        rules = _customer_rules(order, check_page(page), starting_after, cursor, part)
        return Pager(listing, *rules, limit=check_limit(limit), cursor=cursor)

    def stream(
        self,
        *,
        concurrency: int = 8,
        on_invalid: OnInvalid = "raise",
        **filters: Unpack[CustomerFilters],
    ) -> AbstractAsyncContextManager[AsyncIterator[Customer]]:
        """All customers, or those that match, read in many windows of their creation time at once.

        ::

            async with voucherify.customers.stream(concurrency=16) as customers:
                async for customer in customers: ...

        Every customer that matches from beginning to end is delivered exactly once, in no particular order. A
        window with many customers is cut again while it is read. Leaving the block stops the reading. An error in
        one window ends the others, and is raised by the iterator. At most twice `concurrency` pages are buffered.

        Args:
            concurrency: Windows read at once.
            on_invalid: As for `list`.
            **filters: As for `list`.

        Raises:
            ValueError: An argument is out of range, or an instant has no timezone; names it.

        API: https://docs.voucherify.io/api-reference/customers/list-customers
        """
        check_count("concurrency", concurrency)
        return Stream(self._customers(filters, on_invalid, order=_NEWEST_FIRST), concurrency).feed()

    async def plan_windows(self, count: int, **filters: Unpack[CustomerFilters]) -> tuple[Window, ...]:
        """Cut the customers, or those that match, by creation time into windows for other workers to read.

        A window is a value that can be sent as JSON or pickled, and is read by `list(window=…)` with the same
        filters. Every customer is in exactly one window; the first and the last window have no outer limit. One
        whose creation time the service does not show may be in two that meet. The windows have about the
        same number of customers each, unless the service does not count them or many share an instant.
        Planning takes at most ten requests a window, and no more than reading the list.

        Args:
            count: How many windows to make at most.
            **filters: As for `list`.

        Raises:
            ValueError: An argument is out of range, or an instant has no timezone; names it.
            VoucherifyError: A call failed.

        API: https://docs.voucherify.io/api-reference/customers/list-customers
        """
        check_count("count", count)
        return await plan(self._customers(filters, "raise", order=_NEWEST_FIRST), count, _PLANNERS)

    def _customers(
        self,
        filters: CustomerFilters,
        on_invalid: OnInvalid,
        *,
        order: str,
        window: Window | None = None,
    ) -> Listing[Customer]:
        if unknown := filters.keys() - CustomerFilters.__annotations__.keys():
            raise TypeError(f"there is no filter {', '.join(sorted(unknown))}")
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
            query=given(
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
        """What happened to a customer, newest first unless `order` says otherwise.

        Args:
            customer_id: Its `id` or `source_id`.
            limit: Events on a page, 1 to 100. Left out: 100 in a walk, else as many as the service gives.
            order: ``created_at`` or ``-created_at``.
            starting_after_id: Start after the event with this id.
            start_date: Only events since this instant.
            end_date: Only events until this instant.
            campaign_id: Only events of this campaign.
            campaign_type: Only events of campaigns of this type: ``PROMOTION``, ``GIFT_VOUCHERS``,
                ``REFERRAL_PROGRAM``, ``DISCOUNT_COUPONS`` or ``LOYALTY_PROGRAM``.
            category: ``ACTION`` or ``EFFECT``.
            type: Only events of this type, for example ``customer.updated``.
            cursor: Go on where a page's `next_cursor` says.

        Raises:
            ValueError: An argument is out of range, or an instant has no timezone; names it.

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
        listing = self._listing(CustomerActivity, _LIST_ACTIVITY, customer_id, given(query))
        return _by_id(listing, starting_after_id, check_limit(limit), cursor)

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
        """What a customer holds and can redeem.

        Args:
            customer_id: Its `id` or `source_id`.
            limit: Redeemables on a page, 1 to 100. Left out: 100 in a walk, else as many as the service
                gives.
            order: ``id`` or ``-id``.
            starting_after_id: Start after the redeemable with this id.
            filters: Conditions on the redeemables.
            cursor: Go on where a page's `next_cursor` says.

        Raises:
            ValueError: An argument is out of range, or an instant has no timezone; names it.

        API: https://docs.voucherify.io/api-reference/customers/list-customers-redeemables
        """
        check_texts(order=order, starting_after_id=starting_after_id)
        query: Query = {"order": order, "filters": filters_query(filters)}
        listing = self._listing(CustomerRedeemable, _LIST_REDEEMABLES, customer_id, query)
        return _by_id(listing, starting_after_id, check_limit(limit), cursor)

    def list_segments(self, customer_id: str) -> Pager[CustomerSegment]:
        """The segments a customer belongs to; for one that does not exist, those it would belong to.

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


def _by_id(listing: Listing[T], after: str | None, limit: int | None, cursor: str | None) -> Pager[T]:
    if after is not None and cursor is not None:
        raise ValueError("cursor and starting_after_id say two places to start at: give one")
    return Pager(listing, IdRule(after), limit=limit, cursor=cursor)


def _customer_rules(
    order: str | None,
    page: int | None,
    starting_after: dt.datetime | None,
    cursor: str | None,
    window: Window | None,
) -> tuple[Rule[Any] | WalkRule, ...]:
    """How to walk the list; with a cursor, all ways by which it can have been made."""
    by_date = order in (None, "created_at", _NEWEST_FIRST)  # an order may be unhashable
    if sum(argument is not None for argument in (page, starting_after, cursor)) > 1:
        raise ValueError("page, starting_after and cursor each say where to start: give one")
    if starting_after is not None and not by_date:
        raise ValueError(
            f"starting_after is compared with created_at, and means nothing in the order {order!r}"
        )
    by_page = PageNumberRule(page or 1)
    if window is not None:
        if page is not None or starting_after is not None or not by_date:
            raise ValueError("window is read in the order of created_at: leave page and starting_after out")
        return (CreatedAtRule(descending=order != "created_at", window=window),)
    if page is not None or not by_date:
        return (by_page,)
    return (CreatedAtRule(descending=order != "created_at", starting_after=starting_after), by_page)

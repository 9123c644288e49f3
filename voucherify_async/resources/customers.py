"""Customers: https://docs.voucherify.io/api-reference/customers/customer-object."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import NoneType
from typing import IO, Any, Final, Generic, Literal, TypeVar, Unpack

from voucherify_async._sync.report import SyncReport
from voucherify_async._sync.spec import SyncOptions
from voucherify_async._transport.operation import Operation
from voucherify_async._transport.wire import encode_multipart
from voucherify_async.models.activity import CustomerActivity
from voucherify_async.models.async_actions import AsyncActionReceipt, BulkUpdateResult, JobResult
from voucherify_async.models.base import UNSET, UnsetType
from voucherify_async.models.customers import (
    Customer,
    CustomerFields,
    CustomerParams,
    CustomerUpsert,
    M,
    Metadata,
    NewCustomer,
    PermanentDeletion,
)
from voucherify_async.models.redeemables import CustomerRedeemable, RedeemableFilters
from voucherify_async.models.segments import Segment
from voucherify_async.pagination.pager import OnInvalid, Pager
from voucherify_async.pagination.rules import SinglePage
from voucherify_async.pagination.stream import Stream, plan
from voucherify_async.pagination.windows import Window
from voucherify_async.resources._base import ANY_METADATA, Resource, id_rule
from voucherify_async.resources._customer_list import (
    CustomerFilters,
    CustomerOrder,
    customer_query,
    customer_rules,
)
from voucherify_async.resources._customer_sync import CustomerSync, delete_missing
from voucherify_async.resources._inputs import (
    CustomerInput,
    check_count,
    check_decodable,
    check_instants,
    check_limit,
    check_page,
    check_texts,
    check_window,
    csv_part,
    customer_body,
    filters_query,
    merge_customer,
    metadata_body,
    upsert_body,
)

__all__ = ["CustomerFilters", "CustomerOrder", "CustomersResource"]

N = TypeVar("N")

_BULK: Final[dict[str, Any]] = {"repeatable": False, "limit_kind": "bulk_api_calls"}
_PLAN_CONCURRENCY: Final = 16
"""Concurrent requests while windows are planned."""

_CUSTOMER: Final[type[Customer[Any]]] = Customer[ANY_METADATA]
_CREATE: Final = Operation("customers.create", "POST", "/v1/customers", _CUSTOMER)
_GET: Final = Operation("customers.get", "GET", "/v1/customers/{customer_id}", _CUSTOMER)
_UPDATE: Final = Operation("customers.update", "PUT", "/v1/customers/{customer_id}", _CUSTOMER)
_DELETE: Final = Operation(
    "customers.delete", "DELETE", "/v1/customers/{customer_id}", NoneType, removes=True
)
_DELETE_PERMANENTLY: Final = Operation(
    "customers.delete_permanently", "POST", "/v1/customers/{customer_id}/permanent-deletion",
    PermanentDeletion, repeatable=False,
)  # fmt: skip
_LIST: Final = Operation("customers.list", "GET", "/v1/customers", _CUSTOMER)
_LIST_ACTIVITY: Final = Operation(
    "customers.list_activity", "GET", "/v1/customers/{customer_id}/activity", CustomerActivity
)
_LIST_REDEEMABLES: Final = Operation(
    "customers.list_redeemables", "GET", "/v1/customers/{customer_id}/redeemables", CustomerRedeemable
)
_LIST_SEGMENTS: Final = Operation(
    "customers.list_segments", "GET", "/v1/customers/{customer_id}/segments", Segment
)
_IMPORT_CSV: Final = Operation(
    "customers.import_csv", "POST", "/v1/customers/importCSV", AsyncActionReceipt[JobResult], **_BULK
)
_UPDATE_IN_BULK: Final = Operation(
    "customers.update_in_bulk",
    "POST",
    "/v1/customers/bulk/async",
    AsyncActionReceipt[BulkUpdateResult],
    **_BULK,
)
_UPDATE_METADATA_IN_BULK: Final = Operation(
    "customers.update_metadata_in_bulk",
    "POST",
    "/v1/customers/metadata/async",
    AsyncActionReceipt[BulkUpdateResult],
    **_BULK,
)


class CustomersResource(Resource, Generic[M]):
    """The customers of the project.

    A customer is identified by its `id` or by its `source_id`, the customer's id in your own system. For every
    property, `UNSET` (the default) keeps the current value, and `None` clears it. `M` is the type of their metadata, by
    default `dict[str, Any]`.
    """

    def with_metadata(self, metadata: type[N]) -> CustomersResource[N]:
        """Return the same resource with typed metadata: its methods return `Customer[metadata]`.

        ::

            class Meta(msgspec.Struct):
                tier: str

            ada = await voucherify.customers.with_metadata(Meta).get("crm-1")
            print(ada.metadata.tier if ada.metadata else None)

        Metadata of another shape raises a `DecodeError` that names the customer and the property; `list` and `stream`
        pass it to `on_invalid`.

        Args:
            metadata: A msgspec Struct, a dataclass, a `TypedDict`, or any other type that msgspec decodes.

        Raises:
            ValueError: msgspec cannot decode the type.
        """
        check_decodable("metadata", metadata)
        return CustomersResource(self._sessions, metadata)

    async def create(
        self,
        customer: CustomerInput | None = None,
        /,
        *,
        id: str | UnsetType = UNSET,  # noqa: A002  # the API's name
        source_id: str | UnsetType = UNSET,
        **fields: Unpack[CustomerParams],
    ) -> Customer[M]:
        """Create a customer, or update the one that has this `id` or `source_id`.

        Without either id, every call creates a new customer, and the request is not retried after it was sent.

        Args:
            customer: The customer as a `CustomerUpsert`, `CustomerFields`, mapping or `Customer`, which is converted
                with its `to_upsert`. Keyword arguments override its fields.
            id: The id of the customer; by default, the service generates one.
            source_id: The customer's id in your own system. It cannot be changed later.
            name: Full name.
            description: Free-text description.
            email: E-mail address.
            phone: Telephone number.
            birthday: Deprecated by the service in favour of `birthdate`.
            birthdate: Date of birth.
            address: Postal address; parts left out keep their values.
            metadata: Custom properties, merged key by key into the existing ones: a mapping, a Struct or a dataclass.

        Raises:
            ValueError: An argument is invalid. The message names it.
            VoucherifyError: The call failed; see `voucherify_async.errors`.

        API: https://docs.voucherify.io/api-reference/customers/create-customer
        """
        if customer is not None:
            fields_with_ids = {"id": id, "source_id": source_id, **fields}
            body, merged = merge_customer("customer", NewCustomer, customer, fields_with_ids)
            id, source_id = merged.id, merged.source_id  # noqa: A001
            if id is UNSET and source_id is UNSET and isinstance(customer, Customer):
                raise ValueError(f"customer {customer.id} has no source_id: pass source_id or id")
        else:
            body = customer_body(NewCustomer, id=id, source_id=source_id, **fields)
        return await self._call(_CREATE, body, once=id is UNSET and source_id is UNSET)

    async def get(self, customer_id: str) -> Customer[M]:
        """Fetch a customer by its `id` or `source_id`.

        Raises:
            ValueError: `customer_id` is empty, ``.`` or ``..``.
            NotFoundError: The customer does not exist.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/get-customer
        """
        return await self._call(_GET, customer_id=customer_id)

    async def update(
        self, customer_id: str, changes: CustomerInput | None = None, /, **fields: Unpack[CustomerParams]
    ) -> Customer[M]:
        """Update properties of a customer; those left out keep their values.

        Args:
            customer_id: The customer's `id` or `source_id`.
            changes: The properties as `CustomerFields`, a mapping, a `CustomerUpsert` or a `Customer`. The `source_id`
                of the last two is not sent, as it cannot be changed. Keyword arguments override the properties.
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
        if changes is None:
            body = customer_body(CustomerFields, **fields)
        else:
            body, _ = merge_customer("changes", CustomerFields, changes, fields)
        return await self._call(_UPDATE, body, customer_id=customer_id)

    async def delete(self, customer_id: str) -> None:
        """Delete a customer by its `id` or `source_id`.

        Raises:
            ValueError: `customer_id` is empty, ``.`` or ``..``.
            NotFoundError: The customer does not exist.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/delete-customer
        """
        await self._call(_DELETE, customer_id=customer_id)

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
        # Not sync_metadata: a customer missing from its source has not necessarily been removed.
        kinds = [_UPDATE_IN_BULK.name, _IMPORT_CSV.name]
        options: SyncOptions = {"state": state, "project": project}
        return await delete_missing(self._sessions, self.delete, options, kinds=kinds, max_share=max_share)

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
        return await self._call(_DELETE_PERMANENTLY, customer_id=customer_id)

    def list(
        self,
        *,
        limit: int | None = None,
        page: int | None = None,
        order: CustomerOrder | None = None,
        starting_after: dt.datetime | None = None,
        cursor: str | None = None,
        window: Window | Mapping[str, Any] | None = None,
        on_invalid: OnInvalid = "raise",
        **filters: Unpack[CustomerFilters],
    ) -> Pager[Customer[M]]:
        """List the customers, newest first by default.

        Ordered by ``-created_at`` (default) or ``created_at``, iteration has no limit and yields each customer once,
        even if many share a creation time. In other orders, or with a `page`, iteration uses page numbers
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
            starting_after: Start after this creation time, timezone-aware, in the direction of the order.
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
        query = customer_query(filters, order)
        checked_window = check_window(window)
        rules = customer_rules(order, check_page(page), starting_after, cursor, checked_window)
        part = "" if checked_window is None else str(checked_window)
        listing = self._listing(_LIST, "customers", query, on_invalid=on_invalid, part=part)
        return Pager(listing, *rules, limit=check_limit(limit), cursor=cursor)

    def stream(
        self, *, concurrency: int = 8, on_invalid: OnInvalid = "raise", **filters: Unpack[CustomerFilters]
    ) -> AbstractAsyncContextManager[AsyncIterator[Customer[M]]]:
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
        query = customer_query(filters, None)
        return Stream(self._listing(_LIST, "customers", query, on_invalid=on_invalid), concurrency).feed()

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
        listing = self._listing(_LIST, "customers", customer_query(filters, None))
        return await plan(listing, count, _PLAN_CONCURRENCY)

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
        texts = {
            "campaign_id": campaign_id,
            "campaign_type": campaign_type,
            "category": category,
            "type": type,
        }
        check_texts(order=order, starting_after_id=starting_after_id, **texts)
        check_instants(start_date=start_date, end_date=end_date)
        return self._list(
            _LIST_ACTIVITY, "data", id_rule(starting_after_id, cursor), limit=limit, cursor=cursor,
            query={"order": order, "start_date": start_date, "end_date": end_date, **texts}, customer_id=customer_id,
        )  # fmt: skip

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
        return self._list(
            _LIST_REDEEMABLES, "data", id_rule(starting_after_id, cursor), limit=limit, cursor=cursor,
            query={"order": order, "filters": filters_query(filters)}, customer_id=customer_id,
        )  # fmt: skip

    def list_segments(self, customer_id: str) -> Pager[Segment]:
        """List the segments that a customer belongs to; for an unknown customer, those it would belong to.

        Raises:
            ValueError: `customer_id` is empty, ``.`` or ``..``.

        API: https://docs.voucherify.io/api-reference/customers/list-customers-segments
        """
        return self._list(
            _LIST_SEGMENTS, "data", SinglePage(), limit=None, cursor=None, customer_id=customer_id
        )

    async def import_csv(
        self, file: str | os.PathLike[str] | bytes | IO[bytes]
    ) -> AsyncActionReceipt[JobResult]:
        """Create and update customers from a CSV file in a background job.

        The first row contains the column names: `Id, Name, Email, Phone, Birthdate, Source_id, Address_line_1,
        Address_line_2, Address_Postal_Code, Address_City, Address_State, Address_Country, Description`;
        every other column becomes metadata. A row with the `Source_id` of an existing customer replaces all
        attributes and metadata of that customer. The request is not retried after it was sent.

        Args:
            file: A path, bytes, or a file open in binary mode; asynchronous files and pipes are accepted. At most
                10 MB, comma-separated, in UTF-8. Empty rows are not sent. For larger files or other delimiters, use
                `sync_csv`.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: `file` is too large, not open in binary mode, or not a CSV file, or its header is invalid.
            OutcomeUnknownError: The request was sent, but no response arrived.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/import-and-update-customers-using-csv
        """
        return await self._call(_IMPORT_CSV, encode_multipart({"file": await csv_part(file)}))

    async def update_in_bulk(
        self, customers: Iterable[CustomerUpsert | Customer[Any] | Mapping[str, Any]]
    ) -> AsyncActionReceipt[BulkUpdateResult]:
        """Update many customers in a background job, and create those that do not exist.

        The request is not retried after it was sent.

        Args:
            customers: The customers, each with its `source_id`; at most 10 MB as JSON.

        Raises:
            ValueError: A customer has no `source_id`, a property is invalid, or the body is larger than 10 MB. The
                message names the customer.
            OutcomeUnknownError: The request was sent, but no response arrived.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-in-bulk
        """
        return await self._call(_UPDATE_IN_BULK, upsert_body(customers))

    async def update_metadata_in_bulk(
        self, source_ids: Iterable[str], metadata: Metadata
    ) -> AsyncActionReceipt[BulkUpdateResult]:
        """Merge the same metadata into many customers in a background job, and create those that do not exist.

        The request is not retried after it was sent.

        Args:
            source_ids: The customers' ids in your own system; with the metadata, at most 10 MB as JSON.
            metadata: The metadata, merged key by key: a mapping, a Struct or a dataclass.

        Raises:
            ValueError: An argument is invalid. The message names it.
            OutcomeUnknownError: The request was sent, but no response arrived.
            VoucherifyError: The call failed for another reason.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-metadata-in-bulk
        """
        return await self._call(_UPDATE_METADATA_IN_BULK, metadata_body(source_ids, metadata))

    async def sync(
        self,
        source: Iterable[CustomerUpsert | Customer[Any] | Mapping[str, Any]]
        | AsyncIterable[CustomerUpsert | Customer[Any] | Mapping[str, Any]],
        **options: Unpack[SyncOptions],
    ) -> SyncReport:
        """Upsert any number of customers through bulk jobs, and report the outcome.

        ::

            report = await voucherify.customers.sync(customers)
            if report.failed:
                report = await voucherify.customers.sync(report.failed_items())

        The source is read as needed. By default, a customer that cannot be sent is reported and does not stop the
        sync. Customers with the same `source_id` are applied
        in the order of the source; those that wait for an earlier one are merged, and count as `duplicates`.

        A request is sent again if its response was lost. A failed job is run once more. A rejected request is split
        to find the items that caused the rejection. (If a lost request reaches the service only after its retry has
        been applied, or if its job is not listed by then, it can overwrite later changes.)

        With a `state` file, only customers that are new, or have changed since the service acknowledged them, are
        sent; the others count as `unchanged`. The source may differ from sync to sync, and a sync that was killed can
        be started again. Changes made directly in the service are not detected: `full` sends everything. Fields and
        metadata keys that are absent from a customer keep their values in the service; `None` clears a field. The
        state file also stores the customers that failed in the last sync. Only its owner can read it, and only one
        process at a time can use it. A `source_id` that occurs several times in the source is sent in every sync.

        A plain iterable is read in the event loop and must not block; if reading blocks, pass an async iterable.

        Args:
            source: The customers, each with its `source_id`; those that `list` yields, also from another project, are
                accepted. `csv.DictReader` yields ``""`` for an empty cell, which is not a valid date: convert its rows
                with ``{name: text or None for name, text in row.items()}``, or leave out such columns.
            concurrency: The number of bulk jobs that may run at once.
            on_progress: Called with the progress, at most ten times a second, and once at the end.
            on_invalid: How to handle a customer that cannot be sent: ``"report"`` or ``"raise"``.
            on_failure: Called with each failure. The report itself keeps at most 10,000 failures, or 16 MiB.
            max_body_bytes: The largest request body, in bytes; at most 10 MB.
            max_body_items: The largest number of customers in a request.
            timeout: Seconds after which the sync stops waiting; `None` waits without limit. Running jobs continue.
            state: The path of a file that records what the service holds. It is created if it does not exist.
            full: Also send customers that are unchanged.
            project: A name of your choice for the Voucherify project, stored in the state file. Required with `state`
                if the client has only a token, and to keep using the file after its application id changes.

        Raises:
            ValueError: An argument is out of range, or with `on_invalid="raise"`, a customer cannot be sent. The
                message names it.
            SyncStateError: The state file is in use, damaged, belongs to another project or kind of sync, or cannot
                be written.
            SyncTimeoutError: The sync did not end within `timeout`. The error's `report` has the ids of the jobs that
                are still running.
            VoucherifyError: The service refuses further requests, or has been unreachable for about three minutes.
                The error's `report` has the outcome so far. Running jobs continue.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-in-bulk
        """
        return await CustomerSync(self._sessions, _UPDATE_IN_BULK, options).customers(source)

    async def sync_metadata(
        self,
        source_ids: Iterable[str] | AsyncIterable[str],
        metadata: Metadata,
        **options: Unpack[SyncOptions],
    ) -> SyncReport[str]:
        """Merge the same metadata into any number of customers through bulk jobs, and create missing customers.

        Works like `sync`. The service may count failures without naming the items: such a failure has no
        `position` and no `item`.

        Args:
            source_ids: The customers' ids in your own system.
            metadata: The metadata, merged key by key: a mapping, a Struct or a dataclass.
            **options: As for `sync`.

        Raises:
            ValueError: An argument is invalid or out of range. The message names it.
            VoucherifyError: The service refuses further requests, or is unreachable for long; see `sync`.

        API: https://docs.voucherify.io/api-reference/customers/update-customers-metadata-in-bulk
        """
        job = CustomerSync(self._sessions, _UPDATE_METADATA_IN_BULK, options)
        return await job.metadata(source_ids, metadata)

    async def sync_csv(
        self, path: str | os.PathLike[str], *, delimiter: str = ",", **options: Unpack[SyncOptions]
    ) -> SyncReport[str]:
        """Import a CSV file of any size, split into several jobs.

        Rows have the same effect as with `import_csv`; the options and the report are those of `sync`. The
        `position` of a failure is the line of the file on which its row begins, from 1, and its `item` is the row.

        A row without a `Source_id` creates a new customer each time the service receives it, so such rows are never
        sent twice. If a response is lost, all rows of that request are reported as ``outcome_unknown``. A failed job
        with such rows is not run again, and their order is not kept. A state file identifies such a row by its
        content and the number of equal rows before it. The row is sent once, even with `full`; if its outcome is
        unknown, every later sync reports it as ``outcome_unknown``.

        Args:
            path: The file or named pipe, in UTF-8. The first row contains the column names, which must be non-empty,
                unique and without spaces. Empty rows count as `skipped`.
            delimiter: The character between cells. The service receives commas. An Excel ``sep=;`` line at the start
                of the file overrides it.
            **options: As for `sync`.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: An argument is out of range, the header is invalid, or a row cannot be read as CSV. The
                message names the argument and the line. If a row cannot be read, the error's `report` has the
                outcome of the rows before it.
            VoucherifyError: The service refuses further requests, or is unreachable for long; see `sync`.

        API: https://docs.voucherify.io/api-reference/customers/import-and-update-customers-using-csv
        """
        return await CustomerSync(self._sessions, _IMPORT_CSV, options).csv(path, delimiter)

"""Publications of vouchers to customers."""

from __future__ import annotations

import datetime as dt
from typing import Any

from voucherify_async.models.base import Model
from voucherify_async.models.customers import Customer
from voucherify_async.models.vouchers import Voucher

__all__ = [
    "Publication",
]


class Publication(Model, frozen=True, kw_only=True):
    """The publication of a voucher, or of several, to a customer.

    Attributes:
        id: The id of the publication.
        source_id: The id of the publication in your own system.
        customer_id: The id of the customer.
        customer: The customer.
        tracking_id: The customer's `source_id`; some responses have it hashed.
        channel: How the voucher was published, for example ``API``.
        result: ``SUCCESS`` or ``FAILURE``.
        voucher: The voucher, if a single one was published.
        vouchers: The codes of the vouchers, if several were published.
        vouchers_id: The ids of the published vouchers.
        failure_code: Why the publication failed, as a code.
        failure_message: Why the publication failed, in words.
        metadata: Custom properties.
        created_at: Time of creation, timezone-aware.
        object: Always ``publication``.
    """

    id: str
    source_id: str | None = None
    customer_id: str | None = None
    customer: Customer | None = None
    tracking_id: str | None = None
    channel: str | None = None
    result: str | None = None
    voucher: Voucher | None = None
    vouchers: tuple[str, ...] | None = None
    vouchers_id: tuple[str, ...] | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    metadata: dict[str, Any] | None = None
    created_at: dt.datetime | None = None
    object: str | None = None

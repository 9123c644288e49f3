"""Validations of redeemables."""

from __future__ import annotations

import datetime as dt

from voucherify_async.models.base import Model

__all__ = [
    "RedeemableReference",
    "ValidationRecord",
]


class RedeemableReference(Model, frozen=True, kw_only=True):
    """A redeemable, by its id.

    Attributes:
        id: The id of the redeemable.
        type: The type of the redeemable, for example ``voucher``.
    """

    id: str | None = None
    type: str | None = None


class ValidationRecord(Model, frozen=True, kw_only=True):
    """A validation that was made for a customer.

    Attributes:
        id: The id of the validation.
        session_id: The id of the session.
        status: ``VALID`` or ``INVALID``.
        customer_id: The id of the customer.
        redeemables: The redeemables that were validated.
        skipped_redeemables: The redeemables that were skipped.
        inapplicable_redeemables: The redeemables that are not applicable.
        created_at: Time of creation, timezone-aware.
    """

    id: str
    session_id: str | None = None
    status: str | None = None
    customer_id: str | None = None
    redeemables: tuple[RedeemableReference, ...] | None = None
    skipped_redeemables: tuple[RedeemableReference, ...] | None = None
    inapplicable_redeemables: tuple[RedeemableReference, ...] | None = None
    created_at: dt.datetime | None = None

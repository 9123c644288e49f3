"""When a campaign, a voucher or a promotion is valid within its dates."""

from __future__ import annotations

from voucherify_async.models.base import Model

__all__ = [
    "DailyHours",
    "ValidityHours",
    "ValidityTimeframe",
]


class ValidityTimeframe(Model, frozen=True, kw_only=True):
    """Recurring periods of validity.

    Attributes:
        duration: How long each period lasts, as an ISO 8601 duration.
        interval: Time from the start of one period to the start of the next, as an ISO 8601 duration.
    """

    duration: str | None = None
    interval: str | None = None


class DailyHours(Model, frozen=True, kw_only=True):
    """The hours of validity on certain days of the week.

    Attributes:
        start_time: Start, for example ``12:00``.
        expiration_time: End, for example ``14:00``.
        days_of_week: The days of the week, from 0 (Sunday) to 6 (Saturday).
    """

    start_time: str | None = None
    expiration_time: str | None = None
    days_of_week: tuple[int, ...] | None = None


class ValidityHours(Model, frozen=True, kw_only=True):
    """The hours of validity.

    Attributes:
        daily: The hours by days of the week.
    """

    daily: tuple[DailyHours, ...] | None = None

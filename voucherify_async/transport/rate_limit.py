"""What an answer's headers say about the rate limit and about waiting. Pure."""

from __future__ import annotations

import datetime as dt
import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from voucherify_async.models.base import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RateLimit", "read_rate_limit", "server_wait"]

# Above this a number of seconds is taken for nonsense, not for a wait: the longest documented window is
# a billing cycle.
_LONGEST_SENSIBLE_WAIT = 366 * 24 * 3600.0


class RateLimit(Model, frozen=True, kw_only=True):
    """The state of the project's rate limit, as an answer described it.

    Attributes:
        limit: Calls allowed in the window.
        remaining: Calls left in it.
        retry_at: When the next call may be made.
        kind: Which limit was hit, if one was: ``api_calls``, ``bulk_api_calls``, ``api_calls_cycle``,
            ``webhook_calls``.
    """

    limit: int | None = None
    remaining: int | None = None
    retry_at: dt.datetime | None = None
    kind: str | None = None


def read_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """The rate limit that the headers describe; `None` when they do not."""
    epoch = _number(headers.get("X-Rate-Limit-Retry"))
    found = RateLimit(
        limit=_integer(headers.get("X-Rate-Limit-Limit")),
        remaining=_integer(headers.get("X-Rate-Limit-Remaining")),
        retry_at=None if epoch is None else _instant(epoch),
        kind=headers.get("X-Rate-Limit-Type"),
    )
    return None if found == RateLimit() else found


def server_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the service asks to wait before the next call; `None` when it does not, or not sensibly.

    ``Retry-After`` (seconds or an HTTP date) goes before ``X-Rate-Limit-Retry`` (epoch seconds). Instants
    are measured against the answer's own ``Date``, so that a wrong local clock does not matter, and
    against `now` (epoch seconds) only without one.
    """
    retry_after = headers.get("Retry-After")
    if retry_after is not None:
        seconds = _number(retry_after)
        if seconds is None and (instant := _http_date(retry_after)) is not None:
            seconds = instant - _service_time(headers, now)
        if seconds is not None and 0 <= seconds <= _LONGEST_SENSIBLE_WAIT:
            return seconds
    epoch = _number(headers.get("X-Rate-Limit-Retry"))
    if epoch is not None:
        seconds = epoch - _service_time(headers, now)
        if 0 <= seconds <= _LONGEST_SENSIBLE_WAIT:
            return seconds
    return None


def _service_time(headers: Mapping[str, str], now: float) -> float:
    instant = _http_date(headers.get("Date"))
    return now if instant is None else instant


def _http_date(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    # Digits only: float() would also take "nan", "1e9" and "1_0".
    if text is None or not text.strip().replace(".", "", 1).isdecimal():
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _integer(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _instant(epoch: float) -> dt.datetime | None:
    try:
        return dt.datetime.fromtimestamp(epoch, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None

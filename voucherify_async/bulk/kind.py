"""What a sync job does, and how: values."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from voucherify_async.bulk.batches import Fold, Frame, Item
from voucherify_async.bulk.outcome import Accounting
from voucherify_async.bulk.results import SyncFailure, SyncProgress
from voucherify_async.models.async_actions import AsyncAction
from voucherify_async.models.customers import AsyncActionReceipt
from voucherify_async.transport.operation import Body, Operation

__all__ = ["BODY_BYTES", "BODY_ITEMS", "Kind", "Options"]

BODY_BYTES: Final = 4_000_000
BODY_ITEMS: Final = 25_000


@dataclass(frozen=True, slots=True)
class Kind:
    """What a sync job does.

    Attributes:
        purpose: Tells its journal from those of others.
        project: Whose objects it is about, as a state names it.
        operation: Starts a background job.
        frame: What makes a request body of items.
        encode: An item of the source, given its position. Raises `ValueError` for one that cannot be sent.
        wrap: The request body for what the frame holds.
        accounting: Reads the result of a background job.
        look: Fetches a background job.
        earlier: The ids of jobs of the same type that were taken on before a job, and have not ended; of all
            that have not, if no job is given.
        fold: Puts two items with one key together.
        locate: The position of an item, given how many came before it.
        place: What errors call a position.
    """

    purpose: str
    project: str
    operation: Operation[AsyncActionReceipt]
    frame: Frame
    encode: Callable[[int, Any], Item]
    wrap: Callable[[bytes], Body]
    accounting: Accounting
    look: Callable[[str], Awaitable[AsyncAction]]
    earlier: Callable[[AsyncAction | None], Awaitable[list[str]]]
    fold: Fold
    locate: Callable[[int, Any], int] = lambda count, _: count
    place: str = "source[{}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a sync job is done; see `CustomersResource.sync`."""

    concurrency: int = 4
    on_progress: Callable[[SyncProgress], object] | None = None
    on_invalid: Literal["report", "raise"] = "report"
    journal: str | os.PathLike[str] | None = None
    on_failure: Callable[[SyncFailure], object] | None = None
    max_body_bytes: int = BODY_BYTES
    max_body_items: int = BODY_ITEMS
    timeout: float | None = None
    state: str | os.PathLike[str] | None = None
    full: bool = False
    project: str | None = None

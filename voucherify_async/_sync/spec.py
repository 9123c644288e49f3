"""What a sync job does, and how: values."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from voucherify_async._sync.batcher import Merge
from voucherify_async._sync.batches import BodyTemplate, Item
from voucherify_async._sync.outcome import ResultReader
from voucherify_async._sync.results import SyncFailure, SyncProgress

__all__ = ["BODY_BYTES", "BODY_ITEMS", "JobSpec", "SyncSettings"]

BODY_BYTES: Final = 4_000_000
BODY_ITEMS: Final = 25_000


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a sync job does.

    Attributes:
        name: The operation that starts its background jobs, as a state names it.
        project: Whose objects it is about, as a state names it.
        frame: What makes a request body of items.
        encode: An item of the source, given its position. Raises `ValueError` for one that cannot be sent.
        accounting: Reads the result of a background job.
        fold: Puts two items with one key together.
        locate: The position of an item, given how many came before it.
        place: What errors call a position.
    """

    name: str
    project: str
    frame: BodyTemplate
    encode: Callable[[int, Any], Item]
    accounting: ResultReader
    fold: Merge
    locate: Callable[[int, Any], int] = lambda count, _: count
    place: str = "source[{}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """How a sync job is done; see `CustomersResource.sync`."""

    concurrency: int = 4
    on_progress: Callable[[SyncProgress], object] | None = None
    on_invalid: Literal["report", "raise"] = "report"
    on_failure: Callable[[SyncFailure], object] | None = None
    max_body_bytes: int = BODY_BYTES
    max_body_items: int = BODY_ITEMS
    timeout: float | None = None
    state: str | os.PathLike[str] | None = None
    full: bool = False
    project: str | None = None

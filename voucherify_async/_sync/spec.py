"""The specification of a sync job and the settings of the caller."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict

from voucherify_async._sync.batcher import Merge
from voucherify_async._sync.batches import BodyTemplate, Item
from voucherify_async._sync.outcome import ResultReader
from voucherify_async._sync.results import SyncFailure, SyncProgress

__all__ = ["DEFAULT_BODY_BYTES", "DEFAULT_BODY_ITEMS", "JobSpec", "SyncOptions", "SyncSettings"]

DEFAULT_BODY_BYTES: Final = 4_000_000
DEFAULT_BODY_ITEMS: Final = 25_000


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a sync job does.

    Attributes:
        name: The operation that starts its background jobs; recorded in the state file.
        project: Identifies the Voucherify project; recorded in the state file.
        template: Makes request bodies of items.
        encode: Encodes an item, given its position. Raises `ValueError` if the item is invalid.
        read_result: Reads the result of a background job.
        merge: Merges two items with the same key.
        locate: The position of an item, given the number of items before it.
        position_name: The format of a position in error messages.
    """

    name: str
    project: str
    template: BodyTemplate
    encode: Callable[[int, Any], Item]
    read_result: ResultReader
    merge: Merge
    locate: Callable[[int, Any], int] = lambda count, _: count
    position_name: str = "source[{}]"


class SyncOptions(TypedDict, total=False):
    """Options of a sync, as keyword arguments; see `CustomersResource.sync`.

    Attributes:
        concurrency: The number of bulk jobs that may run at once.
        on_progress: Called with the progress, at most ten times a second, and once at the end.
        on_invalid: How to handle an item that cannot be sent: ``"report"`` or ``"raise"``.
        on_failure: Called with each failure.
        max_body_bytes: The largest request body, in bytes.
        max_body_items: The largest number of items in a request.
        timeout: Seconds after which the sync stops waiting; `None` waits without limit.
        state: The path of a file that records what the service holds.
        full: Also send items that are unchanged according to the state file.
        project: A name of your choice for the Voucherify project, stored in the state file.
    """

    concurrency: int
    on_progress: Callable[[SyncProgress], object] | None
    on_invalid: Literal["report", "raise"]
    on_failure: Callable[[SyncFailure], object] | None
    max_body_bytes: int
    max_body_items: int
    timeout: float | None
    state: str | os.PathLike[str] | None
    full: bool
    project: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """The options of a sync with their defaults."""

    concurrency: int = 4
    on_progress: Callable[[SyncProgress], object] | None = None
    on_invalid: Literal["report", "raise"] = "report"
    on_failure: Callable[[SyncFailure], object] | None = None
    max_body_bytes: int = DEFAULT_BODY_BYTES
    max_body_items: int = DEFAULT_BODY_ITEMS
    timeout: float | None = None
    state: str | os.PathLike[str] | None = None
    full: bool = False
    project: str | None = None

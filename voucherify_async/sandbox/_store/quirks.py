"""Switches for undocumented behavior of the service. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Quirks"]

_MAX_PAGE: Final = 100
_MAX_LAG: Final = 86_400
_LIST_FIELDS: Final = frozenset({"has_more", "total"})
_CUSTOMER_FIELDS: Final = frozenset(
    {
        "source_id",
        "name",
        "description",
        "email",
        "phone",
        "birthday",
        "birthdate",
        "address",
        "summary",
        "loyalty",
        "referrals",
        "metadata",
        "system_metadata",
        "created_at",
        "updated_at",
        "assets",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Switches for undocumented behavior of customer lists, background jobs and webhooks.

    A correct client works with any combination of them.

    ::

        async with Sandbox(customers=50, quirks=Quirks(strict_cursor=False)) as sandbox:
            ...
            sandbox.quirks = Quirks(shuffled_ties=True)

    Attributes:
        strict_cursor: Whether `starting_after` excludes the customers created exactly at that instant.
        inclusive_bounds: Whether the bounds of `created_at` and `updated_at` are inclusive.
        shuffled_ties: Whether customers with equal timestamps are in random order in each response. If not,
            they are ordered by id.
        milliseconds: Whether `starting_after` is compared in milliseconds. If not, in microseconds.
        compared_in_seconds: Whether `starting_after` and the bounds are compared in whole seconds.
        shown_in_seconds: Whether `created_at` of customers is in whole seconds in responses.
        whole_total: Whether `total` counts all customers of the project, regardless of the filters.
        page_cap: Maximum number of customers on a page, even if `limit` is larger.
        alike: Whether the customers created by a background job get the same `created_at` (in jobs with more than
            10,000 items: the customers of each 10,000). If not, the times are spread over the duration of the job.
        parallel_jobs: Whether background jobs run in parallel. If not, they run in the order in which they were
            started; jobs with more than 10,000 items take turns with the others.
        read_lag: Seconds until a new customer, event, redeemable or background job appears in lists. It can be
            fetched by its id at once.
        omit: Fields to leave out of responses: ``has_more`` and ``total`` of the customer list, or any other field
            of customers, both single and in lists.
        duplicate_webhooks: The probability that an acknowledged webhook is sent once more.

    Raises:
        ValueError: `omit` names a field that cannot be left out, `page_cap` is not from 1 to 100, `read_lag` is
            not from 0 to 86,400, or `duplicate_webhooks` is not a probability.
    """

    strict_cursor: bool = True
    inclusive_bounds: bool = False
    shuffled_ties: bool = False
    milliseconds: bool = True
    compared_in_seconds: bool = False
    shown_in_seconds: bool = False
    whole_total: bool = False
    page_cap: int = 100
    alike: bool = False
    parallel_jobs: bool = False
    read_lag: float = 0.0
    omit: frozenset[str] = frozenset()
    duplicate_webhooks: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.page_cap <= _MAX_PAGE:
            raise ValueError(f"page_cap must be from 1 to {_MAX_PAGE}, not {self.page_cap!r}")
        if not 0 <= self.read_lag <= _MAX_LAG:
            raise ValueError(f"read_lag must be from 0 to {_MAX_LAG} seconds, not {self.read_lag!r}")
        if not 0 <= self.duplicate_webhooks <= 1:
            raise ValueError(
                f"duplicate_webhooks must be a probability from 0 to 1, not {self.duplicate_webhooks!r}"
            )
        if isinstance(self.omit, str):
            raise ValueError(f"omit must be a set of names, not {self.omit!r}")
        # A copy, as a mutable set could later be changed without validation.
        object.__setattr__(self, "omit", frozenset(self.omit))
        unknown = self.omit - _LIST_FIELDS - _CUSTOMER_FIELDS
        if unknown:
            raise ValueError(f"omit has fields that cannot be left out: {', '.join(sorted(unknown))}")

    def without_omitted(self, shown: dict[str, Any]) -> dict[str, Any]:
        """The JSON of a customer or list without the fields in `omit`."""
        if not self.omit:
            return shown
        return {name: value for name, value in shown.items() if name not in self.omit}

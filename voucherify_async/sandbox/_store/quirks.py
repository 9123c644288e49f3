"""What no source says of the service, as switches of the sandbox. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Quirks"]

_MAX_PAGE: Final = 100
_MAX_LAG: Final = 86_400
_OF_THE_LIST: Final = frozenset({"has_more", "total"})
_OF_A_CUSTOMER: Final = frozenset(
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
    """What no source says of customer lists and background jobs: a client that is right is right under any of these.

    ::

        async with Sandbox(customers=50, quirks=Quirks(strict_cursor=False)) as sandbox:
            ...
            sandbox.quirks = Quirks(shuffled_ties=True)

    Attributes:
        strict_cursor: Whether `starting_after` excludes the customers created at that very instant.
        inclusive_bounds: Whether the bounds of `created_at` and `updated_at` include their own instants.
        shuffled_ties: Whether customers with equal timestamps come in another order at each request. If
            not, they come in the order of their ids.
        milliseconds: Whether `starting_after` is compared in milliseconds. If not, in microseconds.
        compared_in_seconds: Whether `starting_after` and the bounds are compared in whole seconds.
        shown_in_seconds: Whether customers show the times of their creation in whole seconds.
        whole_total: Whether `total` counts all customers of the project, whatever is asked for.
        page_cap: The most customers on a page, whatever `limit` is asked for.
        alike: Whether all customers of a background job are created at one instant, the end of its turn. If not,
            their times are spread over the turn.
        parallel_jobs: Whether background jobs run at once. If not, they run in the order in which they were
            started, and large ones in turns.
        read_lag: Seconds after which a new customer, event, redeemable or background job appears in lists. It is
            found by its id at once.
        omit: Fields that are left out: ``has_more`` and ``total`` of the customer list, all others of the
            customers, wherever a customer is the answer or part of the list.

    Raises:
        ValueError: `omit` names a field that cannot be left out, `page_cap` is not from 1 to 100, or `read_lag` is
            not from 0 to 86,400.
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

    def __post_init__(self) -> None:
        if not 1 <= self.page_cap <= _MAX_PAGE:
            raise ValueError(f"page_cap must be from 1 to {_MAX_PAGE}, not {self.page_cap!r}")
        if not 0 <= self.read_lag <= _MAX_LAG:
            raise ValueError(f"read_lag must be from 0 to {_MAX_LAG} seconds, not {self.read_lag!r}")
        if isinstance(self.omit, str):
            raise ValueError(f"omit must be a set of names, not {self.omit!r}")
        # A set that can be changed would change the rules without anyone looking.
        object.__setattr__(self, "omit", frozenset(self.omit))
        unknown = self.omit - _OF_THE_LIST - _OF_A_CUSTOMER
        if unknown:
            raise ValueError(f"omit has names that cannot be left out: {', '.join(sorted(unknown))}")

    def without_omitted(self, shown: dict[str, Any]) -> dict[str, Any]:
        """A customer or a list, without the fields that are left out."""
        if not self.omit:
            return shown
        return {name: value for name, value in shown.items() if name not in self.omit}

"""What no source says of the service, as switches of the sandbox. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Quirks"]

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
    """What no source says of the customer list: a client that is right is right under any of these.

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
        omit: Fields that are left out: ``has_more`` and ``total`` of the customer list, all others of the
            customers, wherever a customer is the answer or part of the list.

    Raises:
        ValueError: `omit` names a field that cannot be left out.
    """

    strict_cursor: bool = True
    inclusive_bounds: bool = False
    shuffled_ties: bool = False
    milliseconds: bool = True
    omit: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
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

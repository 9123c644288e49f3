"""Options that several commands have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from voucherify_async.cli._exit_codes import CommandError, ExitCode, exit_code_of
from voucherify_async.errors import VoucherifyError

if TYPE_CHECKING:
    from voucherify_async.resources._customer_list import CustomerFilters

__all__ = [
    "Concurrency",
    "FileArgument",
    "Filters",
    "Json",
    "Limit",
    "Seconds",
    "Yes",
    "hint_after_interruption",
]


def _instant(_: Any, tokens: Sequence[Token]) -> dt.datetime:
    """Read a date or a time in ISO 8601; without a timezone, it is in UTC."""
    text = tokens[0].value
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text} is not a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant


Json = Annotated[bool, Parameter(name="--json", help="Print JSON, one object on each line.")]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")]
Limit = Annotated[int, Parameter(validator=Number(gte=1))]
Concurrency = Annotated[int, Parameter(validator=Number(gte=1, lte=100))]
Seconds = Annotated[float | None, Parameter(validator=Number(gte=0))]
FileArgument = Annotated[Path, Parameter(allow_leading_hyphen=True)]
Instant = Annotated[dt.datetime | None, Parameter(converter=_instant)]


@Parameter(name="*", group="Filters")
@dataclass(frozen=True, kw_only=True)
class Filters:
    """Filters for customers. A date or time without a timezone is in UTC.

    Attributes:
        email: Only customers with this e-mail address.
        city: Only customers in this city.
        name: Only customers with this name.
        segment: Only customers in the segment with this id.
        created_after: Only customers created after this time.
        created_before: Only customers created before this time.
        updated_after: Only customers last updated after this time.
        updated_before: Only customers last updated before this time.
    """

    email: str | None = None
    city: str | None = None
    name: str | None = None
    segment: str | None = None
    created_after: Instant = None
    created_before: Instant = None
    updated_after: Instant = None
    updated_before: Instant = None

    def to_arguments(self) -> CustomerFilters:
        """The filters as arguments of `customers.list`."""
        return {
            "email": self.email,
            "city": self.city,
            "name": self.name,
            "segment_id": self.segment,
            "created_at_after": self.created_after,
            "created_at_before": self.created_before,
            "updated_at_after": self.updated_after,
            "updated_at_before": self.updated_before,
        }


@contextmanager
def hint_after_interruption(hint: str) -> Generator[None]:
    """Add a note that says how to go on to whatever ends the block early, other than a mistake in its use."""
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note(hint)
        raise
    except (CommandError, VoucherifyError, OSError) as error:
        if exit_code_of(error) is not ExitCode.USAGE:
            error.add_note(hint)
        raise

"""Segments of customers. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final

import msgspec

from voucherify_async.sandbox._store.records import Record

__all__ = ["DEFAULT_SEGMENTS", "Segment"]

_METADATA: Final = "metadata."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """A segment of customers, defined by rules.

    A customer belongs to the segment if it meets all rules. A segment without rules contains every customer.

    ::

        Segment(id="seg_vip", name="VIP", city="London", email="*@example.com", metadata={"tier": "gold"})

    Attributes:
        id: The id of the segment.
        name: The name of the segment. Default: its id.
        city: The city of the address.
        email: Pattern of the e-mail address, case-insensitive: ``*`` matches any text and ``?`` one character.
            The empty string matches customers without an e-mail address.
        metadata: Required values of metadata keys. `None` matches null and a missing key.

    Raises:
        ValueError: `id` is empty, or an argument has the wrong type.
    """

    id: str
    name: str = ""
    city: str | None = None
    email: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Check the arguments."""
        for name in ("id", "name", "city", "email"):
            value = getattr(self, name)
            if not isinstance(value, str) and (name in {"id", "name"} or value is not None):
                raise ValueError(f"{name} of a segment must be a string, not {value!r}")
        if not self.id:
            raise ValueError("id of a segment must not be empty")
        if not isinstance(self.metadata, Mapping):
            raise ValueError(f"metadata of a segment must be a mapping, not {self.metadata!r}")
        object.__setattr__(self, "name", self.name or self.id)
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    @classmethod
    def parse(cls, text: str) -> Segment:
        """Parse the text form, for example ``seg_vip:city=London,email=*@example.com,metadata.tier=gold``.

        ``seg_all:`` has no rules. The colon is required, as a segment without rules would otherwise be made by mistake.
        A metadata value is parsed as JSON (``5``, ``true``, ``"5"``); if it is not valid JSON, it is a string.

        Raises:
            ValueError: `text` does not have this form.
        """
        segment_id, colon, rules = text.partition(":")
        if not colon:
            raise ValueError(
                "the rules of a segment must follow its id and a colon, as in seg_vip:city=London,"
                f" not {text!r}; without rules it contains everyone, as in seg_all:"
            )
        if "=" in segment_id:
            raise ValueError(f"id of a segment must come first, followed by a colon, in {text!r}")
        given: dict[str, Any] = {"id": segment_id, "metadata": {}}
        seen: set[str] = set()
        for rule in filter(None, re.split(r",(?=[\w.-]+=)", rules)):
            name, equals, value = rule.partition("=")
            if name in seen:
                raise ValueError(f"a rule of a segment is given more than once: {name}")
            seen.add(name)
            if equals and name.startswith(_METADATA):
                given["metadata"][name.removeprefix(_METADATA)] = _json_or_text(value)
            elif equals and name in {"name", "city", "email"}:
                given[name] = value
            else:
                raise ValueError(
                    f"a rule of a segment must be name=, city=, email= or metadata.KEY=, not {rule!r}"
                )
        return cls(**given)

    def holds(self, record: Record) -> bool:
        """Whether a customer belongs to the segment."""
        if self.city is not None and (record.address or {}).get("city") != self.city:
            return False
        if self.email is not None:
            email = record.fields.get("email") or ""
            if not fnmatchcase(str(email).casefold(), self.email.casefold().replace("[", "[[]")):
                return False
        metadata = record.metadata or {}
        return all(_equal(metadata.get(key), value) for key, value in self.metadata.items())

    def to_json(self) -> dict[str, Any]:
        """The segment as in the service's responses."""
        return {"id": self.id, "name": self.name, "object": "segment"}


def _equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)  # in Python, 1 == True


def _json_or_text(value: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


DEFAULT_SEGMENTS: Final = (
    Segment(id="seg_everyone", name="Everyone"),
    Segment(id="seg_london", name="Lives in London", city="London"),
    Segment(id="seg_gold", name="Gold tier", metadata={"tier": "gold"}),
    Segment(id="seg_no_email", name="Without an e-mail", email=""),
)
"""The default segments of a sandbox."""

"""Segments: which customers belong to which. No I/O."""

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
    """A segment: the customers that are as its rules say. All rules must hold; without any, everyone belongs.

    ::

        Segment(id="seg_vip", name="VIP", city="London", email="*@example.com", metadata={"tier": "gold"})

    Attributes:
        id: Its id.
        name: What it is called; its id, unless given.
        city: The city of the address.
        email: The e-mail address, in which ``*`` stands for anything and ``?`` for one character, without
            regard to case. The empty string means that there is none.
        metadata: Values of the metadata. `None` means null, or that there is no such key.

    Raises:
        ValueError: `id` is empty, or a rule has a value of another type.
    """

    id: str
    name: str = ""
    city: str | None = None
    email: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Refuse what is no rule."""
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
        """A segment in one line, for example ``seg_vip:city=London,email=*@example.com,metadata.tier=gold``.

        A value of the metadata that is JSON (``5``, ``true``, ``"5"``) is what that says; else it is a string.

        Raises:
            ValueError: It is not of this form.
        """
        segment_id, colon, rules = text.partition(":")
        if "=" in segment_id or (not colon and "," in text):
            raise ValueError(f"id of a segment must come first, and a colon after it, in {text!r}")
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
                    f"a rule of a segment is name=, city=, email= or metadata.KEY=, not {rule!r}"
                )
        return cls(**given)

    def holds(self, record: Record) -> bool:
        """Whether a customer belongs to it."""
        if self.city is not None and (record.address or {}).get("city") != self.city:
            return False
        if self.email is not None:
            email = record.fields.get("email") or ""
            if not fnmatchcase(str(email).casefold(), self.email.casefold().replace("[", "[[]")):
                return False
        metadata = record.metadata or {}
        return all(_equal(metadata.get(key), value) for key, value in self.metadata.items())

    def to_json(self) -> dict[str, Any]:
        """The segment as the service shows it."""
        return {"id": self.id, "name": self.name, "object": "segment"}


def _equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)  # 1 is not true


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
"""The segments of a sandbox that is not told otherwise."""

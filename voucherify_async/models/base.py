"""The base class of the models, and what all of them need.

All models tolerate changes of the API. In a response, any property except an object's id may be absent or null,
and is then `None`. Unknown properties are ignored. Enumerations are plain `str`, so new values are accepted. Amounts,
points and counts may have decimals, and dates a time, which is cut off.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType

from voucherify_async.models._json import json_text, plain_dict
from voucherify_async.models._pydantic import (
    DATACLASS_PARAMS,
    DataclassFields,
    PydanticSerializer,
    attributes,
    core_schema_of,
)

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "EPOCH",
    "UNSET",
    "Model",
    "Number",
    "UnsetType",
    "as_utc",
]


Number = int | float
"""A number that the API documents as an integer, but for which a response may have a decimal."""


class Model(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The base of every model: immutable, keyword-only, comparable, picklable."""

    # FastAPI treats a bare annotation as a request body only if it is a pydantic model, a mapping or a
    # dataclass. These attributes make models look like dataclasses.
    __dataclass_fields__: ClassVar[DataclassFields] = DataclassFields()
    __dataclass_params__: ClassVar[Any] = DATACLASS_PARAMS
    __pydantic_serializer__: ClassVar[PydanticSerializer] = PydanticSerializer()

    def to_dict(self) -> dict[str, Any]:
        """Return the properties that are set as plain Python values, as JSON has them."""
        return plain_dict(self)

    def to_json(self) -> str:
        """Return the properties that are set as JSON."""
        return json_text(self)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Yield the JSON name and the value of every property that is set, so that `dict(model)` works."""
        # FastAPI uses it to encode a model returned by an endpoint without a declared response type.
        for name, attribute in attributes(type(self)):
            value = getattr(self, attribute)
            if value is not UNSET:
                yield name, value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Build the schema with which pydantic, and FastAPI, validate and serialize the model."""
        return core_schema_of(source, handler)


EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MIN_UTC: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_MAX_UTC: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


def as_utc(value: dt.datetime) -> dt.datetime:
    """Convert a datetime to UTC. A naive one, which the service should not send, is assumed to be in UTC.

    A result before year 1 or after year 9999 is clamped to the first or last possible datetime.
    """
    if value.tzinfo is dt.UTC:
        return value
    if value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    try:
        return value.astimezone(dt.UTC)
    except OverflowError:
        return _MIN_UTC if value.year == dt.MINYEAR else _MAX_UTC

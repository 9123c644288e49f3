"""What the models share: the struct options, open values, and how FastAPI sees them.

Every property of an answer may be absent or null and then reads as `None`, except an object's own id;
properties that are not known are ignored; a value outside a documented set is a plain `str`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    TypeGuard,
    TypeVar,
)

import msgspec
from msgspec import UNSET, UnsetType

from voucherify_async.errors import DecodeError
from voucherify_async.models._pydantic import DataclassFields, attributes, core_schema_of

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "EPOCH",
    "UNSET",
    "Model",
    "UnsetType",
    "as_utc",
    "decode_json",
    "is_array",
    "is_mapping",
    "is_sequence",
    "lazy_json",
]


class Model(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The base of every model: immutable, keyword-only, comparable, picklable."""

    # FastAPI takes a bare annotation for a request body only if it is a pydantic model, a mapping or a
    # dataclass. This makes models quack like the last; a generic one is recognised only as Model[...].
    __dataclass_fields__: ClassVar[DataclassFields] = DataclassFields()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Name in JSON and value of every property that is set: `dict(model)`."""
        # FastAPI needs it to encode a model that it finds in an answer without a type.
        for name, attribute in attributes(type(self)):
            value = getattr(self, attribute)
            if value is not UNSET:
                yield name, value

    # pydantic calls this when an application uses a model in a schema of its own, as FastAPI does for
    # response and body types; only then is pydantic imported.
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema_of(source, handler)


T = TypeVar("T")

_SURROGATES: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape of JSON; as a group if it is half of a surrogate pair."""


def decode_json(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """JSON, with U+FFFD for each half of a surrogate pair: JSON allows them, and msgspec does not.

    Raises:
        msgspec.DecodeError: It is not JSON, or not of the decoder's type.
        UnicodeDecodeError: It is not UTF-8.
        RecursionError: It is nested too deeply.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        repaired = _SURROGATES.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)
        if repaired == body:
            raise
    return decoder.decode(repaired)


_ANYTHING: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()


def lazy_json(raw: msgspec.Raw, decoder: msgspec.json.Decoder[Any] = _ANYTHING) -> Any:
    """Decode JSON that was kept as bytes; `None` for JSON ``null``. Bytes that are not UTF-8 become U+FFFD.

    Raises:
        DecodeError: It has a number that no float can hold, is nested too deeply, or is not of the decoder's type.
    """
    try:
        return decode_json(decoder, bytes(raw).decode("utf-8", "replace").encode())
    except (msgspec.DecodeError, RecursionError) as error:
        raise DecodeError(f"a part of an answer cannot be decoded: {error}") from None


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether the value is a mapping, of whatever."""
    return type(value) is dict or isinstance(value, Mapping)  # the second takes ten times as long


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether the value is a sequence, of whatever."""
    return isinstance(value, Sequence)


def is_array(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether the value is a list or tuple, of whatever."""
    return isinstance(value, list | tuple)


EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_LAST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


def as_utc(value: dt.datetime) -> dt.datetime:
    """The instant in UTC; one without a zone, which the service should not send, is taken as UTC.

    One that lies before the year 1 or after the year 9999 in UTC is cut to that.
    """
    if value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    try:
        return value.astimezone(dt.UTC)
    except OverflowError:
        return _FIRST if value.year == dt.MINYEAR else _LAST

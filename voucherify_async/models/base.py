"""What the models share: the struct options, open values, and how FastAPI sees them.

Every property of an answer may be absent or null and then reads as `None`, except an object's own id;
properties that are not known are ignored; a value outside a documented set is a plain `str`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import UNSET, UnsetType

from voucherify_async.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
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


class _DataclassFields:
    """The fields of a model as `dataclasses` describes them, made when somebody looks."""

    def __get__(
        self, instance: msgspec.Struct | None, model: type[msgspec.Struct]
    ) -> dict[str, dataclasses.Field[Any]]:
        if getattr(model, "__parameters__", ()):
            # pydantic would take Customer[Meta] for a dataclass whose fields it has to read itself.
            raise AttributeError("__dataclass_fields__")
        names = [
            attribute
            for _, attribute in _attributes(model)
            if instance is None or getattr(instance, attribute) is not UNSET
        ]
        described: Any = dataclasses.make_dataclass(model.__name__, names)
        fields: dict[str, dataclasses.Field[Any]] = described.__dataclass_fields__
        return fields


def _attributes(model: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Every property's name in JSON, and the attribute that has its value, decoded if it is kept as bytes."""
    return [
        (field.encode_name, field.encode_name if hasattr(model, field.encode_name) else field.name)
        for field in msgspec.structs.fields(model)
    ]


class Model(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The base of every model: immutable, keyword-only, comparable, picklable."""

    # FastAPI takes a bare annotation for a request body only if it is a pydantic model, a mapping or a
    # dataclass. This makes models quack like the last; a generic one is recognised only as Model[...].
    __dataclass_fields__: ClassVar[_DataclassFields] = _DataclassFields()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Name in JSON and value of every property that is set: `dict(model)`."""
        # FastAPI needs it to encode a model that it finds in an answer without a type.
        for name, attribute in _attributes(type(self)):
            value = getattr(self, attribute)
            if value is not UNSET:
                yield name, value

    # pydantic calls this when an application uses a model in a schema of its own, as FastAPI does for
    # response and body types; only then is pydantic imported.
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # noqa: PLC0415  # only applications that use pydantic have it

        # A forward schema of the fields gives pydantic the JSON schema, with references it resolves
        # itself; decoding and encoding stay with msgspec.
        fields = core_schema.typed_dict_schema(
            {
                name: core_schema.typed_dict_field(handler.generate_schema(hint), required=required)
                for name, hint, required in _schema_fields(source)
            },
            total=False,
        )
        return core_schema.no_info_wrap_validator_function(
            _validator(source),
            fields,
            ref=_reference(source),
            serialization=core_schema.plain_serializer_function_ser_schema(_to_builtins),
        )


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


def _to_builtins(value: Any) -> Any:
    # Through JSON, as msgspec.to_builtins does not take the Raw fields that are decoded when asked for.
    return msgspec.json.decode(msgspec.json.encode(value))


def _validator(source: Any) -> Callable[[Any, Any], Any]:
    decoder = msgspec.json.Decoder(source)
    struct = get_origin(source) or source

    def validate(value: Any, _: Any) -> Any:
        if isinstance(value, struct):
            return value
        try:
            return decoder.decode(msgspec.json.encode(value))
        except (TypeError, msgspec.ValidationError) as error:
            raise ValueError(str(error)) from None  # what pydantic takes for a validation error

    return validate


def _reference(source: Any) -> str:
    struct = get_origin(source) or source
    arguments = "".join(f"[{argument!r}]" for argument in get_args(source))
    return f"{struct.__module__}.{struct.__qualname__}{arguments}:{id(struct)}"


def _schema_fields(source: Any) -> list[tuple[str, Any, bool]]:
    """Name in JSON, type and whether it is required, for every field of a struct."""
    struct = get_origin(source) or source
    parameters = getattr(struct, "__parameters__", ())
    arguments = get_args(source) or tuple(_default_of(parameter) for parameter in parameters)
    bound = dict(zip(parameters, arguments, strict=True))
    hints = get_type_hints(struct)
    return [
        (field.encode_name, _schema_type(hints[field.name], bound), field.required)
        for field in msgspec.structs.fields(struct)
    ]


def _default_of(parameter: TypeVar) -> Any:
    return getattr(parameter, "__default__", Any)


def _schema_type(hint: Any, bound: dict[Any, Any]) -> Any:
    """A field's type as pydantic understands it: parameters filled in, UNSET dropped, Raw any JSON."""
    if hint is msgspec.Raw:
        return dict[str, Any] | None
    if isinstance(hint, TypeVar):
        return bound.get(hint, Any)
    if get_origin(hint) in (Union, types.UnionType):
        members = tuple(_schema_type(member, bound) for member in get_args(hint) if member is not UnsetType)
        return Union[members]  # noqa: UP007  # built from values, where | cannot be written
    return hint


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether the value is a mapping, of whatever."""
    return type(value) is dict or isinstance(value, Mapping)  # the second takes ten times as long


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether the value is a sequence, of whatever."""
    return isinstance(value, Sequence)


def is_array(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether the value is a list or tuple, of whatever."""
    return isinstance(value, list | tuple)


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

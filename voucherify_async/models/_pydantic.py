"""Models as dataclasses, and their schemas for pydantic, so that FastAPI accepts them.

msgspec still decodes and validates them. Pydantic serializes them, so that its options work, such as `exclude`.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, SerializationInfo, SerializerFunctionWrapHandler
    from pydantic_core import CoreSchema

__all__ = ["DATACLASS_PARAMS", "DataclassFields", "attributes", "core_schema_of"]

DATACLASS_PARAMS: Final[Any] = dataclasses.make_dataclass(
    "Model", [], frozen=True, kw_only=True, repr=False
).__dict__["__dataclass_params__"]  # fmt: skip
"""What `pprint` reads from a dataclass; without `repr`, it uses the model's own."""


class DataclassFields:
    """A descriptor for `__dataclass_fields__`: builds the dataclass fields of a model on access.

    Models that cannot support all of the `dataclasses` module are not dataclasses. `replace` cannot work for a raw JSON
    field, whose decoded value has another name. Of a generic model without type arguments, pydantic would read the
    fields itself.
    """

    def __get__(
        self, instance: msgspec.Struct | None, model: type[msgspec.Struct]
    ) -> dict[str, dataclasses.Field[Any]]:
        fields = None if getattr(model, "__parameters__", ()) else _dataclass_fields(model)
        if fields is None:
            raise AttributeError("__dataclass_fields__")
        return {
            name: field
            for name, field in fields.items()
            if instance is None or getattr(instance, name) is not UNSET
        }


@lru_cache(maxsize=256)
def _dataclass_fields(model: type[msgspec.Struct]) -> dict[str, dataclasses.Field[Any]] | None:
    """The dataclass fields of a model; `None` if it has a raw JSON field."""
    hints = get_type_hints(model, include_extras=True)
    described: list[tuple[str, Any, dataclasses.Field[Any]]] = []
    for field in msgspec.structs.fields(model):
        if field.type is msgspec.Raw:
            return None
        default: Any = dataclasses.MISSING if field.default is msgspec.NODEFAULT else field.default
        described.append((field.name, hints[field.name], dataclasses.field(default=default)))
    shape: Any = dataclasses.make_dataclass(model.__name__, described, kw_only=True)
    fields: dict[str, dataclasses.Field[Any]] = shape.__dataclass_fields__
    return fields


def attributes(model: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """The JSON name of every property and the attribute that holds its value.

    For a raw JSON field such as `raw_data`, this is the attribute with the decoded value, `data`.
    """
    return [
        (field.encode_name, field.encode_name if hasattr(model, field.encode_name) else field.name)
        for field in msgspec.structs.fields(model)
    ]


def core_schema_of(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Build the pydantic core schema of a model."""
    from pydantic_core import core_schema  # noqa: PLC0415  # only applications that use pydantic have it

    # Pydantic derives the JSON schema, with its references, from this schema of the fields, and serializes by it. It
    # validates nothing: the wrap validator below replaces it with msgspec.
    fields = core_schema.typed_dict_schema(
        {
            attribute: core_schema.typed_dict_field(
                handler.generate_schema(hint),
                required=required,
                validation_alias=name,
                serialization_alias=name,
            )
            for name, attribute, hint, required in _schema_fields(source)
        },
        total=False,
    )
    return core_schema.no_info_wrap_validator_function(
        _validator(source),
        fields,
        ref=_reference(source),
        serialization=core_schema.wrap_serializer_function_ser_schema(
            _serialize, schema=fields, info_arg=True
        ),
    )


def _serialize(
    model: msgspec.Struct, serialize: SerializerFunctionWrapHandler, info: SerializationInfo
) -> Any:
    """Serialize a model as a dictionary of its properties, which pydantic then selects and converts.

    A model does not record which properties a response had: one that is absent has its default.
    """
    values = {attribute: getattr(model, attribute) for _, attribute in attributes(type(model))}
    if info.exclude_unset or info.exclude_defaults:
        for field in msgspec.structs.fields(model):
            if values.get(field.name, UNSET) == field.default:
                del values[field.name]
    return serialize({name: value for name, value in values.items() if value is not UNSET})


def _validator(source: Any) -> Callable[[Any, Any], Any]:
    decoder = msgspec.json.Decoder(source)
    struct = get_origin(source) or source

    def validate(value: Any, _: Any) -> Any:
        if isinstance(value, struct):
            return value
        try:
            return decoder.decode(msgspec.json.encode(value))
        except (TypeError, msgspec.ValidationError) as error:
            raise ValueError(str(error)) from None  # pydantic turns a ValueError into a validation error

    return validate


def _reference(source: Any) -> str:
    struct = get_origin(source) or source
    arguments = "".join(f"[{argument!r}]" for argument in get_args(source))
    return f"{struct.__module__}.{struct.__qualname__}{arguments}:{id(struct)}"


def _schema_fields(source: Any) -> list[tuple[str, str, Any, bool]]:
    """The JSON name, the attribute, the type and the required flag of every field of a struct."""
    struct = get_origin(source) or source
    parameters = getattr(struct, "__parameters__", ())
    arguments = get_args(source) or tuple(_default_of(parameter) for parameter in parameters)
    bound = dict(zip(parameters, arguments, strict=True))
    hints = get_type_hints(struct)
    return [
        (name, attribute, _schema_type(hints[field.name], bound), field.required)
        for field, (name, attribute) in zip(msgspec.structs.fields(struct), attributes(struct), strict=True)
    ]


def _default_of(parameter: TypeVar) -> Any:
    return getattr(parameter, "__default__", Any)


_CONTAINERS: Final[frozenset[Any]] = frozenset({dict, list, tuple})


def _schema_type(hint: Any, bound: dict[Any, Any]) -> Any:
    """A field's type for pydantic: type parameters substituted, UNSET removed, and Raw as a JSON object."""
    if hint is msgspec.Raw:
        return dict[str, Any] | None
    if isinstance(hint, TypeVar):
        return _schema_type(bound.get(hint, Any), {})
    origin: Any = get_origin(hint)
    arguments = get_args(hint)
    if origin in (Union, types.UnionType):
        members = tuple(_schema_type(member, bound) for member in arguments if member is not UnsetType)
        return Union[members]  # noqa: UP007  # the members are values, which | cannot join
    if origin in _CONTAINERS:
        return origin[tuple(_schema_type(argument, bound) for argument in arguments)]
    struct: Any = hint
    if isinstance(hint, type) and issubclass(struct, msgspec.Struct):
        return Annotated[struct, _StructSchema(struct)]
    return struct


class _StructSchema:
    """Gives pydantic the schema of a struct, which need not be a model: it may be a class for metadata."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        self._struct = struct

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema_of(self._struct, handler)

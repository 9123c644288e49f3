"""Pydantic schemas for the models, so that FastAPI accepts them. msgspec still decodes and encodes them."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["DataclassFields", "attributes", "core_schema_of"]


class DataclassFields:
    """A descriptor for `__dataclass_fields__`: builds the dataclass fields of a model on access."""

    def __get__(
        self, instance: msgspec.Struct | None, model: type[msgspec.Struct]
    ) -> dict[str, dataclasses.Field[Any]]:
        if getattr(model, "__parameters__", ()):
            # Without this, pydantic would treat Customer[Meta] as a dataclass and read its fields itself.
            raise AttributeError("__dataclass_fields__")
        names = [
            attribute
            for _, attribute in attributes(model)
            if instance is None or getattr(instance, attribute) is not UNSET
        ]
        described: Any = dataclasses.make_dataclass(model.__name__, names)
        fields: dict[str, dataclasses.Field[Any]] = described.__dataclass_fields__
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

    # Pydantic derives the JSON schema, with its references, from this schema of the fields. It validates nothing:
    # the wrap validator below replaces it with msgspec.
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


def _to_builtins(value: Any) -> Any:
    # Through JSON, because msgspec.to_builtins does not accept Raw fields.
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
            raise ValueError(str(error)) from None  # pydantic turns a ValueError into a validation error

    return validate


def _reference(source: Any) -> str:
    struct = get_origin(source) or source
    arguments = "".join(f"[{argument!r}]" for argument in get_args(source))
    return f"{struct.__module__}.{struct.__qualname__}{arguments}:{id(struct)}"


def _schema_fields(source: Any) -> list[tuple[str, Any, bool]]:
    """The JSON name, the type and the required flag of every field of a struct."""
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
    """A field's type for pydantic: type parameters substituted, UNSET removed, and Raw as a JSON object."""
    if hint is msgspec.Raw:
        return dict[str, Any] | None
    if isinstance(hint, TypeVar):
        return bound.get(hint, Any)
    if get_origin(hint) in (Union, types.UnionType):
        members = tuple(_schema_type(member, bound) for member in get_args(hint) if member is not UnsetType)
        return Union[members]  # noqa: UP007  # the members are values, which | cannot join
    return hint

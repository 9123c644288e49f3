"""How FastAPI and pydantic see the models: as dataclasses with a schema. Decoding and encoding stay with msgspec."""

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
    """The fields of a model as `dataclasses` describes them, made when somebody looks."""

    def __get__(
        self, instance: msgspec.Struct | None, model: type[msgspec.Struct]
    ) -> dict[str, dataclasses.Field[Any]]:
        if getattr(model, "__parameters__", ()):
            # pydantic would take Customer[Meta] for a dataclass whose fields it has to read itself.
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
    """Every property's name in JSON, and the attribute that has its value, decoded if it is kept as bytes."""
    return [
        (field.encode_name, field.encode_name if hasattr(model, field.encode_name) else field.name)
        for field in msgspec.structs.fields(model)
    ]


def core_schema_of(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """The schema of a model for pydantic."""
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

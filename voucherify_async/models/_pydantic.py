"""Models as dataclasses, and their schemas for pydantic, so that FastAPI accepts them.

msgspec still decodes and validates them. Pydantic serializes them, so that its options work, such as `exclude`.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from voucherify_async.models._json import decode_json, make_decoder

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, SerializationInfo, SerializerFunctionWrapHandler
    from pydantic_core import CoreSchema, SchemaSerializer, ValidationError

__all__ = ["DATACLASS_PARAMS", "DataclassFields", "PydanticSerializer", "attributes", "core_schema_of"]

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
    """The dataclass fields of a model; `None` if it has a raw JSON field, or a name of which Python has no attribute.

    FastAPI encodes a dataclass by its attributes, so such a property would change its name.
    """
    hints = get_type_hints(model, include_extras=True)
    described: list[tuple[str, Any, dataclasses.Field[Any]]] = []
    for field in msgspec.structs.fields(model):
        if field.type is msgspec.Raw or field.name == f"{field.encode_name}_":
            return None
        default: Any = dataclasses.MISSING if field.default is msgspec.NODEFAULT else field.default
        described.append((field.name, hints[field.name], dataclasses.field(default=default)))
    shape: Any = dataclasses.make_dataclass(model.__name__, described, kw_only=True)
    fields: dict[str, dataclasses.Field[Any]] = shape.__dataclass_fields__
    return fields


class PydanticSerializer:
    """A descriptor for `__pydantic_serializer__`, with which pydantic serializes a model where the type is `Any`."""

    def __get__(self, instance: msgspec.Struct | None, model: type[msgspec.Struct]) -> Any:
        if instance is None:  # `help` reads all attributes of a class; pydantic reads this one of instances
            return self
        try:
            return _serializer_of(model)
        except ImportError:
            raise AttributeError("__pydantic_serializer__") from None


@lru_cache(maxsize=256)
def _serializer_of(model: type[msgspec.Struct]) -> SchemaSerializer:
    from pydantic import TypeAdapter  # noqa: PLC0415  # only applications that use pydantic have it

    serializer: Any = TypeAdapter(model).serializer
    return serializer  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def attributes(model: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """The JSON name of every property and the attribute that holds its value.

    For a raw JSON field such as `raw_data`, this is the attribute with the decoded value, `data`.
    """
    return tuple(
        (field.encode_name, field.encode_name if hasattr(model, field.encode_name) else field.name)
        for field in msgspec.structs.fields(model)
    )


def core_schema_of(source: Any, handler: GetCoreSchemaHandler, outer: tuple[str, ...] = ()) -> CoreSchema:
    """Build the pydantic core schema of a struct.

    Args:
        source: The struct, with or without type arguments.
        handler: Builds the schemas of the types of its fields.
        outer: The references of the structs that contain this one.

    Raises:
        TypeError: msgspec cannot decode a type argument.
    """
    from pydantic_core import core_schema  # noqa: PLC0415

    reference = _reference(source)
    if reference in outer:
        return core_schema.definition_reference_schema(reference)
    _check_arguments(source)
    struct: type[msgspec.Struct] = get_origin(source) or source
    # Pydantic derives the JSON schema, with its references, from this schema of the fields, and serializes by it. It
    # validates nothing: the wrap validator below replaces it with msgspec.
    properties: dict[str, Any] = {}
    if tag := _tag(struct):
        name, value = tag
        properties[name] = core_schema.typed_dict_field(core_schema.literal_schema([value]), required=True)
    generic = _generic_fields(struct)
    for field, (name, attribute) in zip(msgspec.structs.fields(source), attributes(struct), strict=True):
        schema = handler.generate_schema(_schema_type(field.type, (*outer, reference)))
        properties[attribute] = core_schema.typed_dict_field(
            _with_fallback(schema) if field.name in generic else schema,
            required=field.required,
            validation_alias=name,
            serialization_alias=name,
        )
    fields = core_schema.typed_dict_schema(properties, total=False)
    return core_schema.no_info_wrap_validator_function(
        _validator(source),
        fields,
        ref=reference,
        serialization=core_schema.wrap_serializer_function_ser_schema(
            partial(_serialize, struct), schema=fields, info_arg=True
        ),
    )


def _check_arguments(source: Any) -> None:
    """Raise a `TypeError` if a type argument contains a class that msgspec cannot decode."""
    unknown: list[Any] = []

    def add(custom: Any) -> dict[str, Any]:
        unknown.append(custom)
        return {}

    for argument in get_args(source):
        with suppress(TypeError):  # it has no JSON schema, for example because of a default
            msgspec.json.schema(argument, schema_hook=add)
        if unknown:
            raise TypeError(
                f"msgspec cannot decode {unknown[0]!r} in {source!r}: use a Struct or a dataclass"
            )


def _tag(struct: type[msgspec.Struct]) -> tuple[str, str | int] | None:
    """The name and the value of the property that distinguishes a struct in a union, if it has one."""
    config = struct.__struct_config__
    return None if config.tag is None or config.tag_field is None else (config.tag_field, config.tag)


def _generic_fields(struct: type[msgspec.Struct]) -> set[str]:
    """The names of the fields whose type has a type parameter of the struct."""
    return {field.name for field in msgspec.structs.fields(struct) if _has_parameter(field.type)}


def _has_parameter(hint: Any) -> bool:
    return isinstance(hint, TypeVar) or bool(getattr(hint, "__parameters__", None))


def _with_fallback(schema: CoreSchema) -> CoreSchema:
    """Serialize a value that is not of the declared type as msgspec does: nothing checks type arguments."""
    from pydantic_core import core_schema  # noqa: PLC0415

    fallback = core_schema.any_schema(
        serialization=core_schema.wrap_serializer_function_ser_schema(
            lambda value, serialize: serialize(msgspec.json.decode(msgspec.json.encode(value))),
            schema=core_schema.any_schema(),
        )
    )
    # Only the serializer has the fallback: the JSON schema has the declared type.
    return core_schema.no_info_after_validator_function(
        lambda value: value,
        schema,
        serialization=core_schema.wrap_serializer_function_ser_schema(
            lambda value, serialize: serialize(value), schema=core_schema.union_schema([schema, fallback])
        ),
    )


def _serialize(
    struct: type[msgspec.Struct],
    model: Any,
    serialize: SerializerFunctionWrapHandler,
    info: SerializationInfo,
) -> Any:
    """Serialize a model as a dictionary of its properties, which pydantic then selects and converts.

    A model does not record which properties a response had: one that is absent has its default. Events are serialized
    with the properties of their own class, as they are declared by the common base class.
    """
    if not isinstance(model, struct):
        from pydantic_core import PydanticSerializationUnexpectedValue  # noqa: PLC0415

        raise PydanticSerializationUnexpectedValue(
            f"Expected `{struct.__name__}`, got `{type(model).__name__}`"
        )
    if type(model) is not struct and getattr(struct, "_AS_SUBCLASS", False):
        options = (
            "mode",
            "include",
            "exclude",
            "by_alias",
            "exclude_unset",
            "exclude_defaults",
            "exclude_none",
        )
        return _serializer_of(type(model)).to_python(model, **{name: getattr(info, name) for name in options})
    values = {attribute: getattr(model, attribute) for _, attribute in attributes(struct)}
    if info.exclude_unset or info.exclude_defaults:
        for field in msgspec.structs.fields(struct):
            if values.get(field.name, UNSET) == field.default:
                del values[field.name]
    tag = _tag(struct)
    return serialize(
        {
            **dict([tag] if tag else []),
            **{name: value for name, value in values.items() if value is not UNSET},
        }
    )


def _validator(source: Any) -> Callable[[Any, Any], Any]:
    struct: type[msgspec.Struct] = get_origin(source) or source
    decoder: msgspec.json.Decoder[Any] = make_decoder(source)
    is_input = struct.__struct_config__.forbid_unknown_fields
    decode = decoder.decode if is_input else partial(decode_json, decoder)
    names = _generic_fields(struct) if get_args(source) else set[str]()
    types_of_generic_fields = {
        field.name: field.type for field in msgspec.structs.fields(source) if field.name in names
    }

    def validate(value: Any, _: Any) -> Any:
        try:
            if isinstance(value, struct):
                return _converted(value, types_of_generic_fields)
            if not isinstance(value, dict):  # msgspec would also encode an instance of another class
                raise TypeError(f"Expected `object`, got `{type(value).__name__}`")  # noqa: TRY301
            return decode(msgspec.json.encode(value))
        except (TypeError, ValueError, RecursionError) as error:
            raise _validation_error(struct, value, error) from None

    return validate


def _converted(model: msgspec.Struct, types_of_fields: Mapping[str, Any]) -> msgspec.Struct:
    """Convert the values of fields to their types, unless they already have them."""
    changes: dict[str, Any] = {}
    for name, expected in types_of_fields.items():
        value = getattr(model, name)
        try:
            converted = msgspec.convert(value, expected)
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at `$")
            raise ValueError(f"{problem} - at `$.{name}{path or '`'}") from None
        if converted is not value:
            changes[name] = converted
    return msgspec.structs.replace(model, **changes) if changes else model


_PROBLEM: Final = re.compile(r"(.+?)(?: - at (?:`key` in )?`\$(.*)`)?", re.DOTALL)
_PATH_STEP: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+|\.\.\.)")


def _validation_error(struct: type[msgspec.Struct], value: Any, error: Exception) -> ValidationError:
    """Convert an error of msgspec, whose message ends with the path of the wrong value."""
    from pydantic_core import ValidationError  # noqa: PLC0415

    match = _PROBLEM.fullmatch(str(error))
    problem, path = (match[1], match[2] or "") if match else (str(error), "")
    location = tuple(int(index) if index else name for index, name in _PATH_STEP.findall(path))
    return ValidationError.from_exception_data(
        struct.__name__,
        [{"type": "value_error", "loc": location, "input": value, "ctx": {"error": problem}}],
    )


def _reference(hint: Any) -> str:
    """A unique name of a type, from which pydantic derives the name of its JSON schema."""
    origin = get_origin(hint) or hint
    is_class = isinstance(origin, type)
    name = f"{origin.__module__}.{origin.__qualname__}:{id(origin)}" if is_class else repr(origin)
    arguments = ",".join(_reference(argument) for argument in get_args(hint))
    return f"{name}[{arguments}]" if arguments else name


_CONTAINERS: Final[frozenset[Any]] = frozenset({dict, list, tuple})


def _schema_type(hint: Any, outer: tuple[str, ...]) -> Any:
    """A field's type for pydantic: UNSET removed, Raw and type parameters replaced, structs with their schemas."""
    if hint is msgspec.Raw:
        return Any
    if isinstance(hint, TypeVar):
        has_default: Callable[[], bool] = getattr(hint, "has_default", bool)
        return _schema_type(getattr(hint, "__default__", Any), outer) if has_default() else Any
    origin: Any = get_origin(hint)
    arguments = get_args(hint)
    if origin is Annotated:
        return _schema_type(arguments[0], outer)
    if origin in (Union, types.UnionType):
        members = tuple(_schema_type(member, outer) for member in arguments if member is not UnsetType)
        return Union[members]  # noqa: UP007  # the members are values, which | cannot join
    if origin in _CONTAINERS:
        return origin[tuple(_schema_type(argument, outer) for argument in arguments)]
    struct: Any = origin or hint
    if isinstance(struct, type) and issubclass(struct, msgspec.Struct):
        is_array = struct.__struct_config__.array_like
        return list[Any] if is_array else Annotated[hint, _StructSchema(hint, outer)]
    return hint


class _StructSchema:
    """Gives pydantic the schema of a struct, which need not be a model: it may be a class for metadata."""

    def __init__(self, source: Any, outer: tuple[str, ...]) -> None:
        self._source = source
        self._outer = outer

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema_of(self._source, handler, self._outer)

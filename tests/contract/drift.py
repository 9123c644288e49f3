"""Compares what the published documents describe with what the package offers.

Differences are names, so that they can be listed in `omissions.py`:

- ``GET /v1/customers``: an operation of the documents
- ``customers.list``: a method of the package
- ``customers.list(page)``: a query parameter or a property of a request body, or a parameter of a method
- ``Customer.name``: a nested property of a request, or a property of a response, or a field of a model
"""

import importlib
import inspect
import keyword
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any, Final, TypeVar, Unpack, get_args, get_origin, get_type_hints
from unittest.mock import Mock

import msgspec
import typing_extensions

from tests.support.internals import listing
from voucherify_async import resources
from voucherify_async._transport.operation import Operation
from voucherify_async.pagination.pager import Listing, Pager, _page_decoder

from .omissions import NOT_OFFERED, UNDOCUMENTED
from .overlay import Json, operations, response_contents

SECTIONS: Final = {"customers": "customers", "async_actions": "async-actions", "oauth": "oauth"}
"""The covered sections: the module in `voucherify_async.resources`, and the published document."""

Models = tuple[type[msgspec.Struct], ...]
Schemas = list[Json]


@dataclass
class Drift:
    """The differences between the documents and the package."""

    not_offered: set[str] = field(default_factory=set[str])
    """What the documents describe and the package does not offer."""
    undocumented: set[str] = field(default_factory=set[str])
    """What the package offers and the documents do not describe."""

    def problems(self) -> list[str]:
        """Describe the differences that are not listed, and what is listed without being a difference."""
        checks = (
            ("not offered", self.not_offered - NOT_OFFERED.keys()),
            ("undocumented", self.undocumented - UNDOCUMENTED.keys()),
            (
                "listed in NOT_OFFERED, but offered or no longer documented",
                NOT_OFFERED.keys() - self.not_offered,
            ),
            ("listed in UNDOCUMENTED, but documented or gone", UNDOCUMENTED.keys() - self.undocumented),
        )
        return [f"{problem}: {name}" for problem, names in checks for name in sorted(names)]


def find_drift(documents: Mapping[str, Json]) -> Drift:
    """Compare the package with the documents, which are given by section."""
    comparison = _Comparison()
    for spec in documents.values():
        for path, method, documented in operations(spec):
            comparison.compare_operation(spec, path, method, documented)
    return comparison.result()


def package_operations() -> dict[str, Operation[Any]]:
    """Find the operations of the package, by name."""
    for module in pkgutil.iter_modules(resources.__path__, f"{resources.__name__}."):
        importlib.import_module(module.name)
    return {
        value.name: value
        for name, module in list(sys.modules.items())
        if name.startswith("voucherify_async.")
        for value in vars(module).values()
        if isinstance(value, Operation)
    }


def resource_class(section: str) -> type[Any]:
    """Find the class of a section in the module of the same name."""
    module = importlib.import_module(f"{resources.__name__}.{section}")
    (name,) = (name for name in module.__all__ if name.endswith("Resource"))
    found: type[Any] = getattr(module, name)
    return found


class _Comparison:
    """Collects the differences, operation by operation."""

    def __init__(self) -> None:
        self._drift = Drift()
        self._operations = package_operations()
        self._by_call = {(op.method, _template(op.path)): op for op in self._operations.values()}
        self._classes = {section: resource_class(section) for section in SECTIONS}
        self._documented_operations: set[str] = set()
        self._fields: set[str] = set()
        self._documented_fields: set[str] = set()
        self._compared: set[object] = set()

    def result(self) -> Drift:
        methods = {
            f"{section}.{name}"
            for section, owner in self._classes.items()
            for name, _ in inspect.getmembers(owner, inspect.isfunction)
            if not name.startswith("_")
        }
        self._drift.undocumented |= (methods | self._operations.keys()) - self._documented_operations
        self._drift.undocumented |= self._fields - self._documented_fields
        return self._drift

    def compare_operation(self, spec: Json, path: str, method: str, documented: Json) -> None:
        operation = self._by_call.get((method.upper(), _template(path)))
        section, _, name = operation.name.partition(".") if operation else ("", "", "")
        function = getattr(self._classes.get(section), name, None)
        if operation is not None:
            self._documented_operations.add(operation.name)
        if operation is None or function is None:
            self._drift.not_offered.add(f"{method.upper()} {path}")
            return
        shared = spec["paths"][path].get("parameters", [])
        parameters = [_resolved(spec, part) for part in [*shared, *documented.get("parameters", [])]]
        query = {part["name"]: [part["schema"]] for part in parameters if part["in"] == "query"}
        contents = _resolved(spec, documented.get("requestBody", {})).get("content", {}).values()
        body: Schemas = [content["schema"] for content in contents]
        self._compare_request(spec, operation, function, query, body)
        answers = [content["schema"] for status, content in response_contents(documented) if status[0] == "2"]
        into = _response_type(self._classes[section], function, operation)
        self._compare_value(spec, f"{operation.name}.response", answers, into)

    def _compare_request(
        self,
        spec: Json,
        operation: Operation[Any],
        function: Any,
        query: Mapping[str, Schemas],
        body: Schemas,
    ) -> None:
        """Compare the query and the body with the parameters of the method.

        A parameter that has the name of neither may be the whole body, or the fields of the body as one object.
        """
        offered = _method_parameters(function)
        documented = {**query, **_properties(spec, body)}
        names = {_parameter_name(name) for name in documented}
        carriers = {
            parameter: models
            for parameter, annotation in offered.items()
            if parameter not in names
            for models in [_sent(_models(annotation))]
            if documented.keys() & _fields(models).keys()
        }
        self._note_fields({model for models in carriers.values() for model in models}, documented)
        for name, schemas in documented.items():
            annotations = [offered[_parameter_name(name)]] if _parameter_name(name) in offered else []
            for models in carriers.values():
                annotations += [annotation for _, annotation in _fields(models).get(name, ())]
            if not annotations:
                self._drift.not_offered.add(f"{operation.name}({name})")
            for annotation in annotations:
                self._compare_value(spec, f"{operation.name}({name})", schemas, annotation, sent=True)
        known = names | carriers.keys() | set(re.findall(r"\{(\w+)\}", operation.path))
        if get_origin(get_type_hints(function)["return"]) is Pager:
            known.add("cursor")  # the position in any list, which the package encodes itself
        self._drift.undocumented |= {f"{operation.name}({name})" for name in offered.keys() - known}

    def _compare_value(
        self, spec: Json, where: str, schemas: Schemas, annotation: Any, *, sent: bool = False
    ) -> None:
        """Compare the properties of a documented value with the fields of the models that represent it."""
        documented = _properties(spec, schemas)
        models = _sent(_models(annotation)) if sent else _models(annotation)
        if documented and not models:
            self._drift.not_offered.add(where)
        key = (models, frozenset(map(id, schemas)))
        if not models or key in self._compared:
            return
        self._compared.add(key)
        fields = _fields(models)
        self._note_fields(models, documented)
        for name, nested in documented.items():
            if name not in fields:
                self._drift.not_offered.add(f"{' | '.join(model.__name__ for model in models)}.{name}")
            for model, of_field in fields.get(name, ()):
                self._compare_value(spec, f"{model.__name__}.{name}", nested, of_field, sent=sent)

    def _note_fields(self, models: Iterable[type[msgspec.Struct]], documented: Iterable[str]) -> None:
        for model in models:
            self._fields |= {f"{model.__name__}.{name}" for name in _fields((model,))}
            self._documented_fields |= {f"{model.__name__}.{name}" for name in documented}


# ---------------------------------------------------------------- the documents


def _template(path: str) -> str:
    """Remove the names of the parameters from a path, because the package may call them differently."""
    return re.sub(r"\{\w+\}", "{}", path)


def _resolved(spec: Json, part: Json) -> Json:
    """Follow references to the part that they name."""
    while "$ref" in part:
        steps = part["$ref"].removeprefix("#/").split("/")
        part = reduce(lambda found, step: found[step.replace("~1", "/").replace("~0", "~")], steps, spec)
    return part


def _properties(spec: Json, schemas: Schemas) -> dict[str, Schemas]:
    """Return the properties of an object, of any of its variants, or of the items of a list or a mapping."""
    found: dict[str, Schemas] = {}
    for schema in _variants(spec, schemas):
        for name, part in schema.get("properties", {}).items():
            found.setdefault(name, []).append(part)
    if found.keys() == {"conditions"}:  # a level of every filter that the package adds itself
        return _properties(spec, found["conditions"])
    return found


def _variants(spec: Json, schemas: Schemas) -> Iterator[Json]:
    todo, seen = list(schemas), set[int]()
    while todo:
        schema = _resolved(spec, todo.pop())
        if id(schema) in seen:
            continue
        seen.add(id(schema))
        yield schema
        for key in ("allOf", "anyOf", "oneOf"):
            todo += schema.get(key, [])
        todo += [
            schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)
        ]


# ---------------------------------------------------------------- the package


def _parameter_name(name: str) -> str:
    """Return the parameter for a documented name: ``created_at_before`` for ``created_at[before]``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    parameter = re.sub(r"\W+", "_", words).strip("_")
    return f"{parameter}_" if keyword.iskeyword(parameter) else parameter


def _method_parameters(function: Any) -> dict[str, Any]:
    """Return the annotations of the parameters, including those that a `TypedDict` describes.

    An optional positional parameter, which holds the same fields as the keywords, is left out.
    """
    hints = get_type_hints(function)
    found: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is None:
            continue
        if get_origin(hints[name]) is Unpack:
            found |= get_type_hints(get_args(hints[name])[0])
        else:
            found[name] = hints[name]
    return found


def _response_type(owner: type[Any], function: Any, operation: Operation[Any]) -> Any:
    """Return the type that a response is decoded to: for a list, the type of a page."""
    if get_origin(get_type_hints(function)["return"]) is not Pager:
        return operation.into
    required = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    pager = function(owner(Mock()), *("x" for _ in required[1:]))
    found: Listing[Any] = listing(pager)
    return _page_decoder(found.items, found.into).type


def _models(annotation: Any) -> Models:
    """Return the models in an annotation: of a union, of the items of a list, of the values of a mapping."""
    if isinstance(annotation, TypeVar | typing_extensions.TypeVar):
        return _models(getattr(annotation, "__default__", None))
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        return (origin,)
    return tuple(dict.fromkeys(model for part in get_args(annotation) for model in _models(part)))


def _sent(models: Models) -> Models:
    """Leave out the models of responses, which a request may accept too, and which ignore unknown fields."""
    strict = tuple(model for model in models if model.__struct_config__.forbid_unknown_fields)
    return strict or models


def _fields(models: Models) -> dict[str, list[tuple[type[msgspec.Struct], Any]]]:
    """Return each JSON name with the models that have such a field, and its annotation in each."""
    found: dict[str, list[tuple[type[msgspec.Struct], Any]]] = {}
    for model in models:
        hints = get_type_hints(model)
        for of_field in msgspec.structs.fields(model):
            annotation = hints[of_field.name]
            decoded = vars(model).get(of_field.encode_name)
            if annotation is msgspec.Raw and isinstance(decoded, cached_property):
                # `Mapping` is imported for type checkers alone.
                annotation = get_type_hints(decoded.func, localns={"Mapping": Mapping})["return"]
            found.setdefault(of_field.encode_name, []).append((model, annotation))
    return found

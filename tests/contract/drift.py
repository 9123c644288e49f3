"""Compares what the published documents describe with what the package offers.

Differences are names, so that they can be listed in `omissions.py`:

- ``GET /v1/customers``: an operation of the documents
- ``customers.list``: a method of the package
- ``customers.list(page)``: a query parameter or a property of a request body, or a parameter of a method
- ``Customer.name``: a nested property of a request, or a property of a response, or a field of a model
- ``event customer.created``: a type of event
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
from voucherify_async import models as api_models
from voucherify_async import resources
from voucherify_async._transport.operation import Operation
from voucherify_async.models.webhook_events import WEBHOOK_EVENTS
from voucherify_async.pagination.pager import Listing, Pager, _page_decoder

from .events import DescribedEvent
from .omissions import NOT_OFFERED, UNDOCUMENTED
from .overlay import Json, operations, response_contents

SECTIONS: Final = {"customers": "customers", "async_actions": "async-actions", "oauth": "oauth"}
"""The covered sections: the module in `voucherify_async.resources`, and the published document."""

ENTITIES: Final = {
    "ApplicableTo": api_models.ApplicableTo,
    "campaign": api_models.Campaign,
    "category": api_models.Category,
    "customer": api_models.Customer,
    "earning_rule": api_models.EarningRule,
    "loyalty_tier": api_models.LoyaltyTier,
    "order": api_models.Order,
    "product": api_models.Product,
    "promotion_stack": api_models.PromotionStack,
    "promotion_tier": api_models.PromotionTier,
    "publication": api_models.Publication,
    "redemption": api_models.Redemption,
    "redemption_rollback": api_models.Redemption,
    "reward": api_models.Reward,
    "reward_assignment": api_models.RewardAssignment,
    "segment": api_models.Segment,
    "sku": api_models.Sku,
    "validation_rules": api_models.ValidationRule,
    "validation_rules_assignment": api_models.ValidationRuleAssignment,
    "voucher": api_models.Voucher,
}
"""The models that several sections of the API have in common, by the value of their property ``object``, or by the name of their schema."""

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


def find_drift(documents: Mapping[str, Json], begun: "Comparison | None" = None) -> Drift:
    """Compare the package with the documents, which are given by section.

    A comparison of events may have begun; it is not changed.
    """
    comparison = Comparison(begun)
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


class Comparison:
    """Collects the differences, operation by operation and event by event."""

    def __init__(self, begun: "Comparison | None" = None) -> None:
        self.drift: Drift = Drift(set(begun.drift.not_offered if begun else ()))
        self._operations = package_operations()
        self._by_call = {(op.method, _template(op.path)): op for op in self._operations.values()}
        self._classes = {section: resource_class(section) for section in SECTIONS}
        self._documented_operations: set[str] = set()
        self.documented_events: set[str] = set(begun.documented_events if begun else ())
        self.fields: set[str] = set(begun.fields if begun else ())
        self.documented_fields: set[str] = set(begun.documented_fields if begun else ())
        self._compared: set[object] = set()

    def result(self) -> Drift:
        methods = {
            f"{section}.{name}"
            for section, owner in self._classes.items()
            for name, _ in inspect.getmembers(owner, inspect.isfunction)
            if not name.startswith("_")
        }
        self.drift.undocumented |= (methods | self._operations.keys()) - self._documented_operations
        self.drift.undocumented |= self.fields - self.documented_fields
        self.drift.undocumented |= {
            f"event {name}" for name in WEBHOOK_EVENTS.keys() - self.documented_events
        }
        return self.drift

    def compare_event(self, described: DescribedEvent) -> None:
        """Compare the data of one type of event with the class of that type."""
        self.documented_events.add(described.type)
        if described.type in WEBHOOK_EVENTS:
            event_class = WEBHOOK_EVENTS[described.type]
            self.compare_value(described.spec, described.type, [described.schema], event_class)
        else:
            self.drift.not_offered.add(f"event {described.type}")

    def note_section(self, spec: Json) -> None:
        """Regard what a section that the package does not cover yet says of the models that it has in common with others.

        A section may describe what only it needs, such as the result of a validation: the models need not have that.
        """
        section = Comparison()
        for name, schema in spec["components"]["schemas"].items():
            kinds = [resolved(spec, kind) for kind in _properties(spec, [schema]).get("object", [])]
            names = {name, *(value for kind in kinds for value in kind.get("enum", [kind.get("default")]))}
            for model in [ENTITIES[name] for name in names & ENTITIES.keys()][:1]:
                section.compare_value(spec, "", [schema], model)
        self.documented_fields |= section.documented_fields

    def compare_operation(self, spec: Json, path: str, method: str, documented: Json) -> None:
        operation = self._by_call.get((method.upper(), _template(path)))
        section, _, name = operation.name.partition(".") if operation else ("", "", "")
        function = getattr(self._classes.get(section), name, None)
        if operation is not None:
            self._documented_operations.add(operation.name)
        if operation is None or function is None:
            self.drift.not_offered.add(f"{method.upper()} {path}")
            return
        shared = spec["paths"][path].get("parameters", [])
        parameters = [resolved(spec, part) for part in [*shared, *documented.get("parameters", [])]]
        query = {part["name"]: [part["schema"]] for part in parameters if part["in"] == "query"}
        contents = resolved(spec, documented.get("requestBody", {})).get("content", {}).values()
        body: Schemas = [content["schema"] for content in contents]
        self._compare_request(spec, operation, function, query, body)
        answers = [content["schema"] for status, content in response_contents(documented) if status[0] == "2"]
        into = _response_type(self._classes[section], function, operation)
        self.compare_value(spec, f"{operation.name}.response", answers, into)

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
                self.drift.not_offered.add(f"{operation.name}({name})")
            for annotation in annotations:
                self.compare_value(spec, f"{operation.name}({name})", schemas, annotation, sent=True)
        known = names | carriers.keys() | set(re.findall(r"\{(\w+)\}", operation.path))
        if get_origin(get_type_hints(function)["return"]) is Pager:
            known.add("cursor")  # the position in any list, which the package encodes itself
        self.drift.undocumented |= {f"{operation.name}({name})" for name in offered.keys() - known}

    def compare_value(
        self, spec: Json, where: str, schemas: Schemas, annotation: Any, *, sent: bool = False
    ) -> None:
        """Compare the properties of a documented value with the fields of the models that represent it."""
        documented = _properties(spec, schemas)
        models = _sent(_models(annotation)) if sent else _models(annotation)
        if documented and not models:
            self.drift.not_offered.add(where)
        key = (models, frozenset(map(id, schemas)))
        if not models or key in self._compared:
            return
        self._compared.add(key)
        fields = _fields(models)
        self._note_fields(models, documented)
        for name, nested in documented.items():
            if name not in fields:
                self.drift.not_offered.add(f"{' | '.join(model.__name__ for model in models)}.{name}")
            for model, of_field in fields.get(name, ()):
                self.compare_value(spec, f"{model.__name__}.{name}", nested, of_field, sent=sent)

    def _note_fields(self, models: Iterable[type[msgspec.Struct]], documented: Iterable[str]) -> None:
        for model in models:
            names = {name: f"{_definer(model, name).__name__}.{name}" for name in _fields((model,))}
            self.fields |= set(names.values())
            self.documented_fields |= {names.get(name, f"{model.__name__}.{name}") for name in documented}


# ---------------------------------------------------------------- the documents


def _template(path: str) -> str:
    """Remove the names of the parameters from a path, because the package may call them differently."""
    return re.sub(r"\{\w+\}", "{}", path)


def resolved(spec: Json, part: Json) -> Json:
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
        schema = resolved(spec, todo.pop())
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


def _definer(model: type[msgspec.Struct], name: str) -> type[msgspec.Struct]:
    """Return the class that defines a field of an event: not every event of a family need have it."""
    if not issubclass(model, api_models.Event):
        return model
    structs = (base for base in reversed(model.__mro__) if issubclass(base, api_models.Event))
    return next(
        base for base in structs if name in {field.encode_name for field in msgspec.structs.fields(base)}
    )


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

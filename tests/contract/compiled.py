"""The overlaid documents as `openapi-core` wants them, tuned to be asked thousands of times."""

import re
from dataclasses import dataclass
from typing import Any, TypeGuard

from jsonschema.validators import extend  # type: ignore[import-untyped]  # it has no annotations
from jsonschema_path import SchemaPath
from openapi_core import V30RequestValidator, V30ResponseValidator
from openapi_core.casting.schemas import oas30_types_caster
from openapi_core.casting.schemas.factories import SchemaCastersFactory
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.datatypes import PathOperationServer
from openapi_core.templating.paths.finders import APICallPathFinder
from openapi_core.validation.schemas import (
    oas30_read_schema_validators_factory,
    oas30_write_schema_validators_factory,
)
from openapi_core.validation.schemas.factories import SchemaValidatorsFactory
from openapi_core.validation.schemas.validators import SchemaValidator
from werkzeug.datastructures import Headers

from .overlay import Json

# The documents know the service by this name; where the exchange really went does not matter.
_HOST = "https://api.voucherify.io"

_PLACES = 100_000
"""Of a document as many are kept as were looked up: the library would start at its root each time."""


@dataclass
class Request:
    """A request as the library wants it."""

    method: str
    path: str
    path_pattern: str
    parameters: RequestParameters
    content_type: str = ""
    body: bytes | None = None
    host_url: str = _HOST


@dataclass(frozen=True)
class Response:
    """An answer as the library wants it."""

    status_code: int
    headers: Headers
    content_type: str
    data: bytes | None


class _SchemaValidators(SchemaValidatorsFactory):
    """Makes one validator for each schema, where the library makes one for every value it checks."""

    def __init__(self, validators: Any) -> None:
        super().__init__(_made_once(validators))
        self._made: dict[SchemaPath, SchemaValidator] = {}

    def get_format_checker(self, *_: Any, **__: Any) -> Any:
        return self.format_checker

    def create(self, spec: SchemaPath, schema: SchemaPath, *of: Any, **how: Any) -> SchemaValidator:
        if schema not in self._made:
            self._made[schema] = super().create(spec, schema, *of, **how)
        return self._made[schema]


def _made_once(validators: Any) -> Any:
    """Return the class of validators, whose validators of parts of a schema are made once each."""
    result: Any = extend(validators)
    evolve = result.evolve
    made: dict[int, Any] = {}

    def evolve_once(validator: Any, **changes: Any) -> Any:
        schema = changes["schema"]
        if "$ref" in schema:  # such a one is made up for one value, and its id is another's afterwards
            return evolve(validator, **changes)
        if id(schema) not in made:
            made[id(schema)] = evolve(validator, **changes)
        return made[id(schema)]

    result.evolve = evolve_once
    return result


class _PathFinder(APICallPathFinder):
    """Finds a path by its pattern at once: the library tries every path and server for every call."""

    def __init__(self, spec: SchemaPath, base_url: str | None = None) -> None:
        super().__init__(spec, base_url)
        self._found: dict[tuple[str, str], PathOperationServer] = {}

    def find(self, method: str, name: str) -> PathOperationServer:
        if (method, name) not in self._found:
            self._found[method, name] = super().find(method, name)
        return self._found[method, name]


def _casters(validators: SchemaValidatorsFactory) -> SchemaCastersFactory:
    return SchemaCastersFactory(validators, oas30_types_caster)


class Document:
    """One overlaid document with its validators."""

    def __init__(self, spec: Json) -> None:
        path = SchemaPath.from_dict(spec, resolved_cache_maxsize=_PLACES)
        write = _SchemaValidators(oas30_write_schema_validators_factory.schema_validator_cls)
        read = _SchemaValidators(oas30_read_schema_validators_factory.schema_validator_cls)
        self.requests = V30RequestValidator(
            path,
            schema_validators_factory=write,
            schema_casters_factory=_casters(write),
            path_finder_cls=_PathFinder,
        )
        self.responses = V30ResponseValidator(
            path,
            schema_validators_factory=read,
            schema_casters_factory=_casters(read),
            path_finder_cls=_PathFinder,
        )


class Operation:
    """What can be done with one method at one path."""

    def __init__(self, document: Document, spec: Json, path: str, method: str) -> None:
        operation = spec["paths"][path][method]
        self.document = document
        self.path = path
        self.method = method
        self.takes_body = "requestBody" in operation
        self.has_content = {
            status: bool(response.get("content")) for status, response in operation["responses"].items()
        }
        self.pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))
        self.query = frozenset(
            parameter["name"]
            for parameter in (_resolved(spec, part) for part in operation.get("parameters", ()))
            if parameter["in"] == "query"
        )


def _resolved(spec: Json, parameter: Json) -> Json:
    while "$ref" in parameter:
        parameter = spec["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
    return parameter


def inlined(spec: Json) -> Json:
    """Return the document with references to schemas replaced by the schemas, which are shared.

    Following references takes a third of the time of a check. The result is for checking alone.
    """
    schemas: Json = {name: {} for name in spec["components"]["schemas"]}

    def inline(part: Any) -> Any:
        if _is_list(part):
            return [inline(item) for item in part]
        if not _is_object(part):
            return part
        if str(part.get("$ref")).startswith("#/components/schemas/"):
            return schemas[part["$ref"].rpartition("/")[2]]
        return {key: inline(value) for key, value in part.items()}

    for name, schema in spec["components"]["schemas"].items():
        if "$ref" in schema:
            raise LookupError(f"{name} is a mere reference")  # to what may not be filled yet
        schemas[name].update(inline(schema))
    result: Json = inline({key: value for key, value in spec.items() if key != "components"})
    return result | {"components": inline(spec["components"]) | {"schemas": schemas}}


def _is_list(part: Any) -> TypeGuard[list[Any]]:
    return isinstance(part, list)


def _is_object(part: Any) -> TypeGuard[Json]:
    return isinstance(part, dict)

"""The faults of the published OpenAPI documents, each mended once, with the reason.

A mend that finds nothing to mend is an error: the documents have changed, and the mend must be
looked at again. The documents themselves are never changed on disk, and nothing of them is kept here.
"""

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

CUSTOMERS = "customers"
ASYNC_ACTIONS = "async-actions"
OAUTH = "oauth"
DOCUMENTS = (CUSTOMERS, ASYNC_ACTIONS, OAUTH)

Json = dict[str, Any]

# OpenAPI 3.0 has no type `null`: `nullable` counts only beside a `type`, and an `enum` must list the null.
NULL: Json = {"type": "object", "nullable": True, "enum": [None]}

_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})

# A 404 is not here: where it can be answered at all it is documented (or mended below by name).
_EVERYWHERE = (400, 401, 402, 403, 405, 406, 409, 415, 423, 429, 500, 502, 503, 504)
_FROM_A_PROXY = (502, 503, 504)


@dataclass(frozen=True)
class Mend:
    """One correction of one document."""

    document: str
    why: str
    apply: Callable[[Json], int]
    """Changes the document in place and returns how many places it changed."""


def overlaid(document: str, published: Json) -> Json:
    """Return the published document with all of its mends.

    Raises:
        LookupError: A mend found nothing to mend.
    """
    spec = copy.deepcopy(published)
    for mend in MENDS:
        if mend.document == document and not mend.apply(spec):
            raise LookupError(f"{document}: nothing left to mend: {mend.why}")
    return spec


def operations(spec: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield the path, the method and the operation of everything that can be called."""
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method, operation


def response_contents(operation: Json) -> Iterator[tuple[str, Json]]:
    """Yield the status and the media type object of every answer whose body has a schema."""
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values():
            if "schema" in content:
                yield status, content


def _reachable(spec: Json, roots: list[Json]) -> Iterator[Json]:
    """Yield every schema that the roots lead to, each once."""
    seen: set[int] = set()
    todo = list(roots)
    while todo:
        schema = todo.pop()
        if id(schema) in seen:
            continue
        seen.add(id(schema))
        if "$ref" in schema:
            todo.append(_named(spec, schema))
            continue
        yield schema
        todo.extend(schema.get("properties", {}).values())
        for keyword in ("allOf", "anyOf", "oneOf"):
            todo.extend(schema.get(keyword, ()))
        todo.extend(schema[keyword] for keyword in ("items", "additionalProperties") if schema.get(keyword))


def _named(spec: Json, reference: Json) -> Json:
    named: Json = spec["components"]["schemas"][_name(reference)]
    return named


def _name(reference: Json) -> str:
    path: str = reference["$ref"]
    return path.rpartition("/")[2]


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _nullable(schema: Json) -> Json:
    """Return the schema with null allowed."""
    if NULL in schema.get("anyOf", ()):
        return schema
    if "type" not in schema or schema.keys() & {"allOf", "anyOf", "oneOf"}:
        return {"anyOf": [schema, NULL]}  # in this order, for a mismatch takes longer than a match
    schema = schema | {"nullable": True}
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    return schema


def _null_where_optional(spec: Json, roots: list[Json]) -> int:
    count = 0
    for schema in list(_reachable(spec, roots)):
        required = set(schema.get("required", ()))
        for name, part in schema.get("properties", {}).items():
            # What is required is not null either, unless the documents themselves call it nullable;
            # and an object's own id never is.
            if name == "id" or (name in required and not part.get("nullable")):
                continue
            schema["properties"][name] = _nullable(part)
            count += schema["properties"][name] != part
    return count


def _nulls_in_answers(spec: Json) -> int:
    roots = [content["schema"] for _, _, op in operations(spec) for _, content in response_contents(op)]
    return _null_where_optional(spec, roots)


def _nulls_in_requests(spec: Json) -> int:
    names = ("CustomersCreateRequestBody", "CustomersUpdateRequestBody", "CustomersUpdateInBulkRequestBody")
    return _null_where_optional(spec, [_reference(name) for name in names])


def _real_statuses(spec: Json) -> int:
    error = {"application/json": {"schema": _reference("Error")}}
    too_large = {
        "type": "object",
        "properties": {
            "statusCode": {"type": "integer"},
            "error": {"type": "string"},
            "message": {"type": "string"},
        },
        "required": ["statusCode", "error", "message"],
    }
    count = 0
    for _, _, operation in operations(spec):
        added: dict[int, Json] = dict.fromkeys(_EVERYWHERE, error)
        added |= dict.fromkeys(_FROM_A_PROXY, error | {"text/html": {}})
        if "requestBody" in operation:
            added |= {413: {"application/json": {"schema": too_large}}, 415: error}
        for status, content in added.items():
            if str(status) not in operation["responses"]:
                operation["responses"][str(status)] = {"description": "Undocumented", "content": content}
                count += 1
    return count


def _missing_customer_of_activities(spec: Json) -> int:
    responses = spec["paths"]["/v1/customers/{customerId}/activities"]["get"]["responses"]
    if "404" in responses:
        return 0
    content = {"application/json": {"schema": _reference("Error")}}
    responses["404"] = {"description": "Undocumented", "content": content}
    return 1


def _bearer_headers(spec: Json) -> int:
    schemes = spec["components"]["securitySchemes"]
    if schemes["X-Voucherify-OAuth"]["type"] != "oauth2":
        return 0
    schemes["X-Voucherify-OAuth"] = {"type": "apiKey", "in": "header", "name": "X-Voucherify-OAuth"}
    schemes["Authorization"] = {"type": "http", "scheme": "bearer"}
    count = 0
    for _, _, operation in operations(spec):
        for requirement in operation["security"][:]:
            if "X-Voucherify-OAuth" in requirement:
                requirement["X-Voucherify-OAuth"] = []  # scopes belong to oauth2 alone
                operation["security"].append({"Authorization": []})
                count += 1
    return count


def _number_of_429(spec: Json) -> int:
    content = spec["paths"]["/v1/customers/bulk/async"]["post"]["responses"]["429"]["content"]
    code = content["application/json"]["schema"]["properties"]["code"]
    if code["type"] != "string" or isinstance(code["default"], str):
        return 0
    code["type"] = "integer"
    return 1


def _grant_type(spec: Json) -> int:
    grant_type = spec["components"]["schemas"]["OAuthTokenGenerateRequestBody"]["properties"]["grant_type"]
    return 0 if grant_type.pop("required", None) is None else 1


def _inactive_token(spec: Json) -> int:
    schemas = spec["components"]["schemas"]
    active = schemas["OAuthTokenIntrospectResponseBody"]
    if "access_token" not in active.get("required", ()):
        return 0
    inactive: Json = {
        "type": "object",
        "properties": {"active": {"type": "boolean", "enum": [False]}},
        "required": ["active"],
    }
    schemas["OAuthTokenIntrospectResponseBody"] = {"anyOf": [active, inactive]}
    return 1


def _activity_by_type(spec: Json) -> int:
    schemas = spec["components"]["schemas"]
    events: dict[str, Json] = {}
    for branch in schemas["CustomerActivityData"].get("oneOf", ()):
        # Which type an event belongs to is told in its description alone.
        match = re.search(r"`(customer\.[a-z_.]+)`", _named(spec, branch)["description"])
        if match is None:
            raise LookupError(f"{_name(branch)} does not tell its type")
        events[match[1]] = {
            "type": "object",
            "properties": {"data": {"type": "object", "properties": {"data": branch}}},
        }
    base = schemas["CustomerActivity"]
    del base["properties"]["data"]["properties"]["data"]
    return _by_type(spec, "CustomerActivity", base["properties"]["type"]["enum"], events)


def _result_by_type(spec: Json) -> int:
    schemas = spec["components"]["schemas"]
    base, rest = schemas["AsyncAction"]["allOf"]
    results: dict[str, Json] = {
        # Which type a result belongs to is told in its title alone.
        _named(spec, branch)["title"]: {"type": "object", "properties": {"result": branch}}
        for branch in rest["properties"].pop("result").get("oneOf", ())
    }
    return _by_type(spec, "AsyncAction", _named(spec, base)["properties"]["type"]["enum"], results)


def _lists_of_failures(spec: Json) -> int:
    count = 0
    for kind in ("vouchers_import", "orders_import"):
        properties = spec["components"]["schemas"][f"17_res_obj_get_async_action_result_{kind}"]["properties"]
        if properties["failed"]["type"] == "object":
            properties["failed"] = {"type": "array", "items": properties["failed"]}
            count += 1
    return count


def _by_type(spec: Json, name: str, types: list[str], parts: dict[str, Json]) -> int:
    """Let the property `type` of the named schema say which of the parts must hold as well.

    The discriminator says so to those who know of discriminators, the enum of each branch to all others.
    """
    if unknown := parts.keys() - set(types):
        raise LookupError(f"{name} has no types {sorted(unknown)}")
    schemas = spec["components"]["schemas"]
    base = f"{name}.base"
    schemas[base] = schemas[name]
    mapping: dict[str, str] = {}
    for kind in types:
        branch = f"{name}.{kind}"
        of_this_type: Json = {
            "type": "object",
            "properties": {"type": {"type": "string", "enum": [kind]}},
            "required": ["type"],
        }
        schemas[branch] = {"allOf": [_reference(base), of_this_type, parts.get(kind, {})]}
        mapping[kind] = _reference(branch)["$ref"]
    schemas[name] = {
        "oneOf": [{"$ref": reference} for reference in mapping.values()],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }
    return len(parts)


def _any_of(spec: Json) -> int:
    count = 0
    for schema in spec["components"]["schemas"].values():
        for part in _reachable(spec, [schema]):
            if "oneOf" in part and "discriminator" not in part:
                part["anyOf"] = part.pop("oneOf")
                count += 1
    return count


def _closed_filters(spec: Json) -> int:
    filters = spec["components"]["schemas"]["ParameterFiltersListCustomerRedeemables"]
    count = 0
    for part in list(_reachable(spec, [filters])):
        for name, schema in part.get("properties", {}).items():
            if schema.get("type") == "array":
                count += "minItems" not in schema
                schema["minItems"] = 1
            if name == "conditions":
                part["required"] = ["conditions"]
        if "properties" in part and "additionalProperties" not in part:
            part |= {"type": "object", "additionalProperties": False, "minProperties": 1}
            count += 1
    return count


def _ids_are_not_empty(spec: Json) -> int:
    bodies = ("CustomersCreateRequestBody", "CustomersUpdateInBulkRequestBody")
    schemas: list[Json] = [
        part["properties"][name]
        for part in _reachable(spec, [_reference(body) for body in bodies])
        for name in ("id", "source_id")
        if name in part.get("properties", {})
    ]
    source_ids = spec["components"]["schemas"]["CustomersMetadataUpdateInBulkRequestBody"]["properties"]
    schemas.append(source_ids["source_ids"]["items"])
    count = 0
    for schema in schemas:
        count += "minLength" not in schema
        schema["minLength"] = 1
    return count


def _instants_or_dates(spec: Json) -> int:
    schemas = spec["components"]["schemas"]
    if "anyOf" in schemas["ParameterDate"]:
        return 0
    schemas["ParameterDate"] = {"anyOf": [schemas["ParameterDate"], {"type": "string", "format": "date"}]}
    return 1


def _known_scopes(spec: Json) -> int:
    scope = spec["components"]["schemas"]["OAuthTokenGenerateRequestBody"]["properties"]["scope"]
    if "pattern" in scope:
        return 0
    # Which values are allowed is told in the description alone.
    names = "|".join(re.findall(r"`([a-z_-]+)`", scope["description"].partition("Allowed values:")[2]))
    scope["pattern"] = f"^(?:{names})(?: (?:{names}))*$"
    return 1


def _not_deprecated(spec: Json) -> int:
    return sum(operation.pop("deprecated", False) for _, _, operation in operations(spec))


_WHY_STATUSES = (
    "Every operation can be refused: keys, limits and the service itself fail everywhere, yet few of these "
    "statuses are documented. A proxy in between answers HTML, a body too large has a body of its own shape."
)
_WHY_BEARER = (
    "Declared as the implicit flow, whose token travels in another header. Tokens are obtained with client "
    "credentials and sent in X-Voucherify-OAuth or in Authorization."
)
_WHY_NULLS = (
    "The published examples hold null for properties that are not nullable, and `nullable` beside a $ref or "
    "an enum without null allows none. Any optional property but an object's id may be null."
)

# In this order: the nulls go last, for they must reach what the other mends have moved.
MENDS = (
    Mend(
        CUSTOMERS,
        "An integer is the default of a string; the code is a number everywhere else.",
        _number_of_429,
    ),
    Mend(CUSTOMERS, _WHY_BEARER, _bearer_headers),
    Mend(CUSTOMERS, "A deprecated operation works all the same; the validator would warn.", _not_deprecated),
    Mend(
        CUSTOMERS,
        "The kinds of event data overlap, so that exactly one never holds. The activity's type says which it is.",
        _activity_by_type,
    ),
    Mend(
        CUSTOMERS,
        "The branches overlap: two kinds of discount in units differ in optional properties.",
        _any_of,
    ),
    Mend(
        CUSTOMERS,
        "The older form of the activity is missing the answer for a missing customer that the newer has.",
        _missing_customer_of_activities,
    ),
    Mend(
        CUSTOMERS,
        "Any name at all is a filter, and any filter may be empty, which a query cannot say.",
        _closed_filters,
    ),
    Mend(
        CUSTOMERS,
        "The empty string is an id like any other; yet no path could hold it, and nobody would be meant by it.",
        _ids_are_not_empty,
    ),
    Mend(CUSTOMERS, _WHY_STATUSES, _real_statuses),
    Mend(
        CUSTOMERS,
        "Null clears a property, a part of the address, or all of the metadata.",
        _nulls_in_requests,
    ),
    Mend(CUSTOMERS, _WHY_NULLS, _nulls_in_answers),
    Mend(ASYNC_ACTIONS, _WHY_BEARER, _bearer_headers),
    Mend(
        ASYNC_ACTIONS,
        "The kinds of result overlap, so that exactly one seldom holds. The action's type says which it is.",
        _result_by_type,
    ),
    Mend(
        ASYNC_ACTIONS,
        "What failed to be imported is declared as one object; the examples hold a list of such objects.",
        _lists_of_failures,
    ),
    Mend(
        ASYNC_ACTIONS,
        "That `end_date` may be a date alone is told in words, with an example.",
        _instants_or_dates,
    ),
    Mend(ASYNC_ACTIONS, _WHY_STATUSES, _real_statuses),
    Mend(ASYNC_ACTIONS, _WHY_NULLS, _nulls_in_answers),
    Mend(OAUTH, "`required` lists properties of an object; here it is beside a string.", _grant_type),
    Mend(OAUTH, "Any text is a scope; which ones there are is told in words alone.", _known_scopes),
    Mend(OAUTH, "Of an inactive token nothing is told but that it is inactive.", _inactive_token),
    Mend(OAUTH, _WHY_STATUSES, _real_statuses),
)

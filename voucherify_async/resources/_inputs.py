"""Argument checks, made before a request is sent. Every error message names the argument.

Functions called `check_...` raise `ValueError` for an invalid argument.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import inspect
import io
import os
import re
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import IO, Any, Final, TypeGuard, TypeVar

import anyio
import anyio.to_thread
import msgspec

from voucherify_async._transport.operation import Body
from voucherify_async._transport.wire import (
    MAX_BODY_BYTES,
    PLAIN_TYPES,
    FilePart,
    check_aware,
    encode_json,
    encode_json_array,
    is_flat,
    json_value,
)
from voucherify_async.models._json import convert, is_mapping, is_sequence, make_decoder
from voucherify_async.models.base import UNSET, UnsetType
from voucherify_async.models.customers import (
    Customer,
    CustomerFields,
    CustomerUpsert,
    Metadata,
    writable_fields,
)
from voucherify_async.models.redeemables import FilterConditions, RedeemableFilters
from voucherify_async.pagination.pager import OnInvalid
from voucherify_async.pagination.rules.base import MAX_PAGE, MAX_PAGE_SIZE
from voucherify_async.pagination.windows import Window
from voucherify_async.resources._csv import CsvRows, check_columns

__all__ = [
    "CustomerInput",
    "check_callback",
    "check_count",
    "check_decodable",
    "check_delimiter",
    "check_instants",
    "check_limit",
    "check_on_invalid",
    "check_page",
    "check_source",
    "check_source_id",
    "check_texts",
    "check_timeout",
    "check_upsert",
    "check_window",
    "convert_fields",
    "csv_part",
    "customer_body",
    "filters_query",
    "merge_customer",
    "open_csv",
    "source_id_list",
    "upsert_body",
]

S = TypeVar("S", bound=msgspec.Struct)
C = TypeVar("C", bound=CustomerFields)

_EXACT_JSON_TYPES: Final = frozenset({dict, str, int, bool, type(None), UnsetType})
"""Types that JSON represents exactly. A date is not one: passed as a `name`, it would be sent as a string."""

_CUSTOMER: Final = "the customer"

_DATE_ERROR: Final = re.compile(
    "Invalid RFC3339 encoded date(?!time)|Expected `date(?: \\| null)?`, got `str`"
)

_PROBLEM_AND_PATH: Final = re.compile(r"(?P<problem>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)


def check_limit(limit: int | None) -> int | None:
    """Check a page size, 1 to 100, and return it."""
    return _check_range("limit", limit, MAX_PAGE_SIZE)


def check_page(page: int | None) -> int | None:
    """Check a page number, 1 to 99, and return it."""
    return _check_range("page", page, MAX_PAGE)


def check_count(name: str, value: int, maximum: int | None = None) -> None:
    """Check an integer from 1 to `maximum`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or value > (maximum or value):
        to = "" if maximum is None else f" to {maximum}"
        raise ValueError(f"{name} must be an integer from 1{to}, not {value!r}")


def check_timeout(timeout: float | None) -> None:
    """Check a number of seconds from 0; `None` means no limit."""
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and timeout >= 0):
        raise ValueError(f"timeout must be a number of seconds, at least 0, not {timeout!r}")


def check_window(window: Window | Mapping[str, Any] | None) -> Window | None:
    """Check a window, or a mapping decoded from the JSON of one, and return the window."""
    if window is None:
        return None
    try:
        found = window if isinstance(window, Window) else convert(window, Window)
    except msgspec.ValidationError as error:
        raise ValueError(f"window must come from plan_windows: {error}") from None
    check_instants(window_created_from=found.created_from, window_created_before=found.created_before)
    return found


def _check_range(name: str, value: int | None, maximum: int) -> int | None:
    if value is not None:
        check_count(name, value, maximum)
    return value


def check_keywords(given: Iterable[str], known: Iterable[str]) -> None:
    """Check keyword arguments that are declared as a `TypedDict`, as Python checks declared parameters."""
    if unexpected := sorted(set(given) - set(known)):
        raise TypeError(f"unexpected keyword argument: {', '.join(unexpected)}")


def check_decodable(name: str, into: Any) -> None:
    """Check that msgspec can decode into a type."""
    try:
        _check_decodable(into)
    except TypeError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{name} must be a type that msgspec can decode, not {into!r}: {reason}") from None


@lru_cache(maxsize=256)
def _check_decodable(into: Any) -> None:
    make_decoder(into)
    # A decoder reports classes that msgspec does not support only when it decodes; the schema reports them here.
    msgspec.json.schema(into)


def check_texts(**texts: str | None) -> None:
    """Check that every value is a string or `None`."""
    for name, value in texts.items():
        if value is not None:
            _check_text(name, value)


def check_instants(**instants: dt.datetime | None) -> None:
    """Check that every value is a timezone-aware datetime or `None`."""
    for name, value in instants.items():
        if value is not None:
            check_aware(name, value)


def convert_fields(name: str, into: type[S], fields: Mapping[str, Any] | msgspec.Struct) -> S:
    """Convert fields to a struct and check their types.

    Args:
        name: The argument that contains the fields; empty if the fields are the arguments.
        into: The struct type.
        fields: A mapping, or a struct, whose constructor has not checked the types. `UNSET` fields are left out.

    Raises:
        ValueError: A field has a wrong type or value. The message names the field.
    """
    try:
        plain = _to_plain(fields)
    except RecursionError:
        raise ValueError(f"{name or 'the item'} is nested too deeply") from None
    metadata = fields.get("metadata") if is_mapping(fields) else getattr(fields, "metadata", None)
    if is_metadata(metadata) and not is_flat(metadata):
        plain["metadata"] = json_value(_dotted(name, "metadata"), metadata)
    try:
        return convert(plain, into)
    except msgspec.ValidationError as error:
        match = _PROBLEM_AND_PATH.fullmatch(str(error))
        assert match is not None  # noqa: S101  # for the type checker; the expression matches any text
        path = _dotted(name, match["path"] or "")
        problem = _DATE_ERROR.sub("must be a date in the form YYYY-MM-DD, or None", match["problem"])
    raise ValueError(f"{path}: {problem}" if path else problem)


CustomerInput = CustomerFields | Customer[Any] | Mapping[str, Any]
"""What describes a customer: a struct of fields such as `CustomerUpsert`, a customer of the service, or a mapping."""


def merge_customer(
    name: str, into: type[C], customer: CustomerInput, fields: Mapping[str, Any]
) -> tuple[Body, C]:
    """Encode a customer as a JSON body, with the `fields` that are not `UNSET` in place of its own.

    Args:
        name: The argument that contains the customer.
        into: The struct of the fields to send. Others of a struct or a `Customer` are left out.
        customer: The customer.
        fields: Keyword arguments.

    Returns:
        The body, and the struct that it encodes.

    Raises:
        TypeError: There is no such keyword argument.
        ValueError: The customer or a field has a wrong type or value. The message names it.
    """
    check_keywords(fields, into.__struct_fields__)
    customer = _as_customer(name, customer)
    own: Mapping[str, Any]
    if is_mapping(customer):
        own = customer
    else:
        if isinstance(customer, Customer):
            found = {"source_id": customer.source_id or UNSET, **writable_fields(customer)}
        elif isinstance(customer, CustomerFields):
            found = msgspec.structs.asdict(customer)
        else:
            raise ValueError(
                f"{name} must be a CustomerUpsert, a Customer or a mapping, not {type(customer).__name__}"
            )
        own = {key: found[key] for key in into.__struct_fields__ if key in found}
    given = msgspec.structs.asdict(convert_fields("", into, fields))
    merged = convert_fields(
        name, into, {**own, **{key: given[key] for key in fields if given[key] is not UNSET}}
    )
    return encode_json(name, merged), merged


def _as_customer(name: str, value: Any) -> Any:
    """Convert the JSON of a customer that the service returned, such as `Customer.to_dict`, to a `Customer`."""
    if not is_mapping(value) or value.get("object") != "customer":
        return value
    try:
        return convert(value, Customer[dict[str, Any]])
    except msgspec.ValidationError as error:
        raise ValueError(f"{name or 'the item'}: {error}") from None


def customer_body(into: type[CustomerFields], **fields: Any) -> Body:
    """Encode fields as a JSON body and check their types, as `convert_fields` does, but faster.

    The fast path encodes the struct without checks and decodes the result again, which checks the types.

    Args:
        into: The struct type.
        fields: Fields of the struct.

    Raises:
        TypeError: There is no such field.
        ValueError: A field has a wrong type or value. The message names the field.
    """
    address, metadata = fields.get("address", UNSET), fields.get("metadata", UNSET)
    if (
        _EXACT_JSON_TYPES.issuperset(map(type, fields.values()))
        and (address is UNSET or address is None or is_flat(address))
        and (metadata is UNSET or metadata is None or is_flat(metadata))
    ):
        try:
            body = encode_json(_CUSTOMER, into(**fields))
            _decoder(into).decode(body.content)
        except (TypeError, msgspec.ValidationError):
            pass  # convert_fields raises an error that names the field
        else:
            return body
    check_keywords(fields, into.__struct_fields__)
    return encode_json(_CUSTOMER, convert_fields("", into, fields))


@lru_cache(maxsize=16)
def _decoder(into: type[S]) -> msgspec.json.Decoder[S]:
    return make_decoder(into)


def _to_plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if is_mapping(value):
        return {
            key: item if type(item) in PLAIN_TYPES or is_flat(item) else _to_plain_field(item)
            for key, item in value.items()
            if item is not UNSET
        }
    return value


def _to_plain_field(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)  # msgspec does not encode subclasses of str
    return _to_plain(value)


def _dotted(*names: str) -> str:
    return ".".join(filter(None, names))


def is_metadata(value: object) -> TypeGuard[Metadata]:
    """Whether the value is a mapping, or an instance of a class for metadata."""
    is_record = isinstance(value, msgspec.Struct) or dataclasses.is_dataclass(value)
    return is_mapping(value) or (is_record and not isinstance(value, type))


def metadata_json(metadata: Metadata) -> Any:
    """Check metadata, and convert it to the plain types of JSON."""
    if not is_metadata(metadata):
        raise ValueError(f"metadata must be a mapping, a Struct or a dataclass, not {metadata!r}")
    return json_value("metadata", metadata)


def metadata_body(source_ids: Iterable[str], metadata: Metadata) -> Body:
    """Encode the body of a bulk update of metadata."""
    fields = {"source_ids": source_id_list(source_ids), "metadata": metadata_json(metadata)}
    return encode_json("source_ids with metadata", fields)


def upsert_body(customers: Iterable[CustomerUpsert | Customer[Any] | Mapping[str, Any]]) -> Body:
    """Encode the body of a bulk update of customers."""
    if isinstance(customers, str | bytes) or is_mapping(customers) or not isinstance(customers, Iterable):
        raise ValueError(
            f"customers must be a sequence of CustomerUpsert or mappings, not {type(customers).__name__}"
        )
    body = encode_json_array(
        "customers",
        (check_upsert(f"customers[{index}]", customer) for index, customer in enumerate(customers)),
    )
    if body.content == b"[]":
        raise ValueError("customers must not be empty")
    return body


def check_upsert(name: str, customer: CustomerUpsert | Customer[Any] | Mapping[str, Any]) -> CustomerUpsert:
    """Check a customer of a bulk update, and return it as a `CustomerUpsert`."""
    customer = _as_customer(name, customer)
    if isinstance(customer, Customer):
        customer = customer.to_upsert()
    if not is_mapping(customer) and not isinstance(customer, CustomerUpsert):
        raise ValueError(
            f"{name or 'the item'} must be a CustomerUpsert or a mapping, not {type(customer).__name__}"
        )
    upsert = convert_fields(name, CustomerUpsert, customer)
    if not upsert.source_id:
        raise ValueError(f"{_dotted(name, 'source_id')} must not be empty")
    return upsert


def check_source(name: str, source: Any) -> None:
    """Check that a source is an iterable or an async iterable, and not a string or a mapping."""
    if (
        isinstance(source, str | bytes)
        or is_mapping(source)
        or not isinstance(source, Iterable | AsyncIterable)
    ):
        raise ValueError(f"{name} must be an iterable or an async iterable, not {type(source).__name__}")


def source_id_list(source_ids: Iterable[str]) -> list[str]:
    """Check the ids of a bulk metadata update, and return them as a list."""
    if isinstance(source_ids, str) or not isinstance(source_ids, Iterable):
        raise ValueError(f"source_ids must be a sequence of strings, not {type(source_ids).__name__}")
    ids = list(source_ids)
    if not ids:
        raise ValueError("source_ids must not be empty")
    return [check_source_id(f"source_ids[{index}]", source_id) for index, source_id in enumerate(ids)]


def check_source_id(name: str, source_id: str) -> str:
    """Check a customer's `source_id`, and return it as a plain `str`."""
    if not isinstance(source_id, str) or not source_id:
        raise ValueError(f"{name} must be a non-empty string, not {source_id!r}")
    return str.__str__(source_id)


def check_on_invalid(on_invalid: OnInvalid) -> OnInvalid:
    """Check that `on_invalid` is ``"raise"`` or a function. A coroutine function would never be awaited."""
    if on_invalid == "raise" or _is_plain_function(on_invalid):
        return on_invalid
    raise ValueError(f"on_invalid must be 'raise' or a plain function, not {on_invalid!r}")


def check_callback(name: str, callback: Callable[[Any], object] | None) -> None:
    """Check that a callback is a function or `None`. A coroutine function would never be awaited."""
    if callback is not None and not _is_plain_function(callback):
        raise ValueError(f"{name} must be a plain function, not {callback!r}")


def _is_plain_function(value: object) -> bool:
    return callable(value) and not any(map(inspect.iscoroutinefunction, (value, type(value).__call__)))


def filters_query(filters: RedeemableFilters | UnsetType) -> Mapping[str, Any] | None:
    """Convert redeemable filters to a query parameter. Datetimes in them must be timezone-aware."""
    if filters is UNSET:
        return None
    if not isinstance(filters, RedeemableFilters):
        raise ValueError(f"filters must be RedeemableFilters, not {type(filters).__name__}")
    query: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(filters).items():
        if value is not UNSET:
            query[name] = (
                value if name == "junction" else {"conditions": _conditions(f"filters.{name}", value)}
            )
    return query


def _conditions(name: str, conditions: FilterConditions) -> dict[str, Any]:
    if not isinstance(conditions, FilterConditions):
        raise ValueError(f"{name} must be FilterConditions, not {type(conditions).__name__}")
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(conditions)}
    given = {key: value for key, value in msgspec.structs.asdict(conditions).items() if value is not UNSET}
    if not given:
        raise ValueError(f"{name} has no condition")
    return {fields[key]: _condition(f"{name}.{key}", key, value) for key, value in given.items()}


def _condition(name: str, key: str, value: Any) -> Any:
    match key:
        case "after" | "before":
            return check_aware(name, value)
        case "in_" | "not_in":
            if isinstance(value, str) or not is_sequence(value) or not value:
                raise ValueError(f"{name} must be a non-empty sequence of strings, not {value!r}")
            return [_check_text(f"{name}[{index}]", item) for index, item in enumerate(value)]
        case "has_value" | "is_unknown":
            if value is not True:
                raise ValueError(f"{name} must be True or left out, not {value!r}")
            return ""
        case "more_than" | "less_than":
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{name} must be an integer number of days, not {value!r}")
            return value
        case _:
            return _check_text(name, value)


def _check_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {value!r}")
    return value


async def csv_part(file: str | os.PathLike[str] | bytes | IO[bytes]) -> FilePart:
    """Read a CSV file of at most 10 MB into memory, so that the upload can be retried.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is too large, not open in binary mode, or not a CSV file.
    """
    name = "customers.csv"
    if isinstance(file, str | os.PathLike):
        async with await open_csv(file, name="file") as opened:
            content = await _read_all(opened.wrapped)
        name = os.path.basename(file)  # noqa: PTH119  # works for str and PathLike
    elif isinstance(file, bytes | bytearray | memoryview):
        content = bytes(file)
    elif not hasattr(file, "read"):
        raise ValueError(f"file must be a path, bytes or an open file, not {type(file).__name__}")
    else:
        content = await _read_all(file)
    content = await anyio.to_thread.run_sync(_normalize_csv, content)
    if len(content) > MAX_BODY_BYTES:
        raise ValueError(_TOO_LARGE)
    return FilePart(name, content, "text/csv")


async def _read_all(file: Any) -> bytes:
    """Read a file to its end. A pipe may return partial reads; an asynchronous file returns awaitables."""
    parts: list[bytes] = []
    remaining = MAX_BODY_BYTES + 1
    while remaining > 0:
        # A read from a pipe can block forever. On cancellation, leave the thread behind.
        part = await anyio.to_thread.run_sync(file.read, remaining, abandon_on_cancel=True)
        if inspect.isawaitable(part):
            part = await part
        if part is None:
            raise ValueError("file is non-blocking and has no data yet: pass its content as bytes")
        if not isinstance(part, bytes):
            raise ValueError("file must be open in binary mode")
        if not part:
            return b"".join(parts)
        parts.append(part)
        remaining -= len(part)
    raise ValueError(_TOO_LARGE)


def _normalize_csv(content: bytes) -> bytes:
    """Remove empty rows from a CSV file, and replace other delimiters with commas."""
    if len(content) > MAX_BODY_BYTES:
        raise ValueError(_TOO_LARGE)
    rows = CsvRows(io.BytesIO(content), name="file")
    check_columns("file", rows.columns)
    parts = [rows.header, *(row.content for row in rows)]
    return b"".join(parts) if rows.skipped or rows.delimiter != "," else content


async def open_csv(path: str | os.PathLike[str], *, name: str = "path") -> anyio.AsyncFile[bytes]:
    """Open a CSV file, or a named pipe, for reading.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: `path` is not a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"{name} must be a path, not {type(path).__name__}")
    found = anyio.Path(path)
    if not await found.exists() or await found.is_dir():
        raise FileNotFoundError(f"{name}: file not found: {str(found)!r}")
    return await found.open("rb")


def check_delimiter(delimiter: str) -> None:
    """Check the delimiter of a CSV file: one character, and not a quote, a line break or NUL."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise ValueError(f"delimiter must be one character, such as ';', not {delimiter!r}")


_TOO_LARGE: Final = (
    f"file has more than {MAX_BODY_BYTES:,} bytes, the limit of the service:"
    " use sync_csv(path) for larger files"
)

"""Arguments, checked before anything is sent. Every error names the argument."""

from __future__ import annotations

import datetime as dt
import inspect
import io
import os
import re
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import IO, Any, Final, TypeVar

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
from voucherify_async.models.base import UNSET, UnsetType, is_mapping, is_sequence
from voucherify_async.models.customers import Customer, CustomerFields, CustomerUpsert
from voucherify_async.models.redeemables import FilterConditions, RedeemableFilters
from voucherify_async.pagination.pager import OnInvalid
from voucherify_async.pagination.rules.base import MAX_PAGE, MAX_PAGE_SIZE
from voucherify_async.pagination.windows import Window
from voucherify_async.resources._csv import CsvRows, check_columns

__all__ = [
    "check_callback",
    "check_count",
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
    "checked",
    "csv_part",
    "customer_body",
    "filters_query",
    "open_csv",
    "source_id_list",
    "upsert_body",
]

S = TypeVar("S", bound=msgspec.Struct)

_SIMPLE: Final = frozenset({dict, str, int, bool, type(None), UnsetType})
"""Types whose values JSON holds as what they are; a date would become a text unnoticed."""

_CUSTOMER: Final = "the customer"

_DATES: Final = re.compile("Invalid RFC3339 encoded date(?!time)|Expected `date(?: \\| null)?`, got `str`")

_WHERE: Final = re.compile(r"(?P<problem>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)


def check_limit(limit: int | None) -> int | None:
    """A page size, 1 to 100."""
    return _check_range("limit", limit, MAX_PAGE_SIZE)


def check_page(page: int | None) -> int | None:
    """A page number, 1 to 99."""
    return _check_range("page", page, MAX_PAGE)


def check_count(name: str, value: int, highest: int | None = None) -> None:
    """A number of things, from 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or value > (highest or value):
        to = "" if highest is None else f" to {highest}"
        raise ValueError(f"{name} must be an integer from 1{to}, not {value!r}")


def check_timeout(timeout: float | None) -> None:
    """Seconds to wait, from 0; `None` for no limit."""
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and timeout >= 0):
        raise ValueError(f"timeout must be a number of seconds from 0, not {timeout!r}")


def check_window(window: Window | Mapping[str, Any] | None) -> Window | None:
    """A window, or what became of one by way of JSON."""
    if window is None:
        return None
    try:
        found = window if isinstance(window, Window) else msgspec.convert(window, Window)
    except msgspec.ValidationError as error:
        raise ValueError(f"window is not one that plan_windows gave: {error}") from None
    check_instants(window_created_from=found.created_from, window_created_before=found.created_before)
    return found


def _check_range(name: str, value: int | None, highest: int) -> int | None:
    if value is not None:
        check_count(name, value, highest)
    return value


def check_texts(**texts: str | None) -> None:
    """Strings, where given."""
    for name, value in texts.items():
        if value is not None:
            _text(name, value)


def check_instants(**instants: dt.datetime | None) -> None:
    """Instants, where given, with a timezone."""
    for name, value in instants.items():
        if value is not None:
            check_aware(name, value)


def checked(name: str, into: type[S], fields: Mapping[str, Any] | msgspec.Struct) -> S:
    """The fields as a struct of the type; the error names the one that does not fit.

    Args:
        name: The argument that the fields are in; empty where they are arguments themselves.
        into: The struct type.
        fields: A mapping, or a struct, as constructors do not check types. `UNSET` counts as absent.
    """
    try:
        plain = _plain(fields)
    except RecursionError:
        raise ValueError(f"{name or 'it'} is nested too deeply") from None
    if is_mapping(metadata := plain.get("metadata")) and not is_flat(metadata):
        plain["metadata"] = json_value(_dotted(name, "metadata"), metadata)
    try:
        return msgspec.convert(plain, into)
    except msgspec.ValidationError as error:
        match = _WHERE.fullmatch(str(error))
        assert match is not None  # noqa: S101  # for the type checker; the expression matches anything
        where = _dotted(name, match["path"] or "")
        problem = _DATES.sub("it must be a date in the form YYYY-MM-DD, or None", match["problem"])
    raise ValueError(f"{where}: {problem}" if where else problem)


def customer_body(into: type[CustomerFields], **fields: Any) -> Body:
    """The fields as a JSON body, checked by the types of a struct; as `checked`, and nearly as fast as unchecked.

    Args:
        into: The struct type.
        fields: One for each of the struct's, `UNSET` where it is left out.
    """
    address, metadata = fields["address"], fields["metadata"]
    if (
        _SIMPLE.issuperset(map(type, fields.values()))
        and (address is UNSET or address is None or is_flat(address))
        and (metadata is UNSET or metadata is None or is_flat(metadata))
    ):
        try:
            body = encode_json(_CUSTOMER, into(**fields))
            _decoder(into).decode(body.content)
        except (TypeError, msgspec.ValidationError):
            pass  # the long way finds what is wrong with it
        else:
            return body
    return encode_json(_CUSTOMER, checked("", into, fields))


@lru_cache(maxsize=16)
def _decoder(into: type[S]) -> msgspec.json.Decoder[S]:
    return msgspec.json.Decoder(into)


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if is_mapping(value):
        return {
            key: item if type(item) in PLAIN_TYPES or is_flat(item) else _plain_field(item)
            for key, item in value.items()
            if item is not UNSET
        }
    return value


def _plain_field(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)  # msgspec encodes no types derived from it
    return _plain(value)


def _dotted(*names: str) -> str:
    return ".".join(filter(None, names))


def upsert_body(customers: Iterable[CustomerUpsert | Customer[Any] | Mapping[str, Any]]) -> Body:
    """The body of a bulk update."""
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
    """One customer of a bulk update."""
    if isinstance(customer, Customer):
        customer = customer.to_upsert()
    if not is_mapping(customer) and not isinstance(customer, CustomerUpsert):
        raise ValueError(
            f"{name or 'the item'} must be a CustomerUpsert or a mapping, not {type(customer).__name__}"
        )
    upsert = checked(name, CustomerUpsert, customer)
    if not upsert.source_id:
        raise ValueError(f"{_dotted(name, 'source_id')} must not be empty")
    return upsert


def check_source(name: str, source: Any) -> None:
    """Something to read items from."""
    if (
        isinstance(source, str | bytes)
        or is_mapping(source)
        or not isinstance(source, Iterable | AsyncIterable)
    ):
        raise ValueError(f"{name} must be an iterable or an async iterable, not {type(source).__name__}")


def source_id_list(source_ids: Iterable[str]) -> list[str]:
    """The ids of a metadata update."""
    if isinstance(source_ids, str) or not isinstance(source_ids, Iterable):
        raise ValueError(f"source_ids must be a sequence of strings, not {type(source_ids).__name__}")
    ids = list(source_ids)
    if not ids:
        raise ValueError("source_ids must not be empty")
    return [check_source_id(f"source_ids[{index}]", source_id) for index, source_id in enumerate(ids)]


def check_source_id(name: str, source_id: str) -> str:
    """The id of a customer in the caller's own system."""
    if not isinstance(source_id, str) or not source_id:
        raise ValueError(f"{name} must be a non-empty string, not {source_id!r}")
    return str.__str__(source_id)


def check_on_invalid(on_invalid: OnInvalid) -> OnInvalid:
    """``"raise"``, or a function; a coroutine function would never be awaited."""
    if on_invalid == "raise" or _is_plain_function(on_invalid):
        return on_invalid
    raise ValueError(f"on_invalid must be 'raise' or a plain function, not {on_invalid!r}")


def check_callback(name: str, callback: Callable[[Any], object] | None) -> None:
    """A function, if anything; a coroutine function would never be awaited."""
    if callback is not None and not _is_plain_function(callback):
        raise ValueError(f"{name} must be a plain function, not {callback!r}")


def _is_plain_function(value: object) -> bool:
    return callable(value) and not any(map(inspect.iscoroutinefunction, (value, type(value).__call__)))


def filters_query(filters: RedeemableFilters | UnsetType) -> Mapping[str, Any] | None:
    """Redeemable filters as a deep object; the instants in them must have a timezone."""
    if filters is UNSET:
        return None
    if not isinstance(filters, RedeemableFilters):
        raise ValueError(f"filters must be RedeemableFilters, not {type(filters).__name__}")
    query: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(filters).items():
        if value is not UNSET:
            where = f"filters.{name}"
            query[name] = value if name == "junction" else {"conditions": _conditions(where, value)}
    return query


def _conditions(name: str, conditions: FilterConditions) -> dict[str, Any]:
    if not isinstance(conditions, FilterConditions):
        raise ValueError(f"{name} must be FilterConditions, not {type(conditions).__name__}")
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(conditions)}
    given = {key: value for key, value in msgspec.structs.asdict(conditions).items() if value is not UNSET}
    if not given:
        raise ValueError(f"{name} has no condition, and would not filter")
    return {fields[key]: _condition(f"{name}.{key}", key, value) for key, value in given.items()}


def _condition(name: str, key: str, value: Any) -> Any:
    match key:
        case "after" | "before":
            return check_aware(name, value)
        case "in_" | "not_in":
            if isinstance(value, str) or not is_sequence(value) or not value:
                raise ValueError(f"{name} must be a sequence of strings that is not empty, not {value!r}")
            return [_text(f"{name}[{index}]", item) for index, item in enumerate(value)]
        case "has_value" | "is_unknown":
            if value is not True:
                raise ValueError(f"{name} must be True or left out, not {value!r}")
            return ""
        case "more_than" | "less_than":
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{name} must be a whole number of days, not {value!r}")
            return value
        case _:
            return _text(name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {value!r}")
    return value


async def csv_part(file: str | os.PathLike[str] | bytes | IO[bytes]) -> FilePart:
    """A CSV file, read whole so that it can be sent again; at most 10 MB.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is too large, not open in binary mode, or no CSV file.
    """
    name = "customers.csv"
    if isinstance(file, str | os.PathLike):
        async with await open_csv(file, name="file") as opened:
            content = await _read_all(opened.wrapped)
        name = os.path.basename(file)  # noqa: PTH119  # of either kind
    elif isinstance(file, bytes | bytearray | memoryview):
        content = bytes(file)
    elif not hasattr(file, "read"):
        raise ValueError(f"file must be a path, bytes or an open file, not {type(file).__name__}")
    else:
        content = await _read_all(file)
    content = await anyio.to_thread.run_sync(_whole_csv, content)
    if len(content) > MAX_BODY_BYTES:
        raise ValueError(_TOO_LARGE)
    return FilePart(name, content, "text/csv")


async def _read_all(file: Any) -> bytes:
    """What a file holds up to its end; a pipe gives it in pieces, and an asynchronous file must be awaited."""
    parts: list[bytes] = []
    left = MAX_BODY_BYTES + 1
    while left > 0:
        # Nobody knows when a pipe gives more; who gives up does not wait for it.
        part = await anyio.to_thread.run_sync(file.read, left, abandon_on_cancel=True)
        if inspect.isawaitable(part):
            part = await part
        if part is None:
            raise ValueError("file is not blocking, and has nothing to read yet: pass its content as bytes")
        if not isinstance(part, bytes):
            raise ValueError("file must be open in binary mode")
        if not part:
            return b"".join(parts)
        parts.append(part)
        left -= len(part)
    raise ValueError(_TOO_LARGE)


def _whole_csv(content: bytes) -> bytes:
    """A CSV file as the service takes it, without rows that have nothing in them."""
    if len(content) > MAX_BODY_BYTES:
        raise ValueError(_TOO_LARGE)
    rows = CsvRows(io.BytesIO(content), name="file")
    check_columns("file", rows.columns)
    parts = [rows.header, *(row.content for row in rows)]
    return b"".join(parts) if rows.skipped or rows.delimiter != "," else content


async def open_csv(path: str | os.PathLike[str], *, name: str = "path") -> anyio.AsyncFile[bytes]:
    """A CSV file, or a named pipe, open for reading.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"{name} must be a path, not {type(path).__name__}")
    found = anyio.Path(path)
    if not await found.exists() or await found.is_dir():
        raise FileNotFoundError(f"{name}: there is no file {str(found)!r}")
    return await found.open("rb")


def check_delimiter(delimiter: str) -> None:
    """What may separate the cells of a CSV file."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise ValueError(f"delimiter must be one character, such as ';', not {delimiter!r}")


_TOO_LARGE: Final = (
    f"file has more than {MAX_BODY_BYTES:,} bytes, which the service takes at once: sync_csv(path) takes a file of"
    " any size"
)

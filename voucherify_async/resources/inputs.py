"""Arguments, checked before anything is sent. Every error names the argument."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterable, Mapping
from typing import IO, Any, Final, TypeVar

import anyio
import anyio.to_thread
import msgspec

from voucherify_async.models.base import UNSET, UnsetType, is_mapping
from voucherify_async.models.customers import CustomerUpsert
from voucherify_async.models.redeemables import FilterConditions, RedeemableFilters
from voucherify_async.pagination.rules import MAX_PAGE, MAX_PAGE_SIZE
from voucherify_async.transport.operation import Body
from voucherify_async.transport.wire import MAX_BODY_BYTES, FilePart, check_aware, encode_json, json_value

__all__ = [
    "check_instants",
    "check_limit",
    "check_page",
    "checked",
    "csv_part",
    "filters_query",
    "source_id_list",
    "upsert_body",
]

S = TypeVar("S", bound=msgspec.Struct)

_WHERE: Final = re.compile(r"(?P<problem>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)


def check_limit(limit: int | None) -> int | None:
    """A page size, 1 to 100."""
    return _check_range("limit", limit, MAX_PAGE_SIZE)


def check_page(page: int | None) -> int | None:
    """A page number, 1 to 99."""
    return _check_range("page", page, MAX_PAGE)


def _check_range(name: str, value: int | None, highest: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= highest:
        raise ValueError(f"{name} must be an integer from 1 to {highest}, not {value!r}")
    return value


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
    plain = _plain(fields)
    if isinstance(plain.get("metadata"), Mapping):
        plain["metadata"] = json_value(_dotted(name, "metadata"), plain["metadata"])
    try:
        return msgspec.convert(plain, into)
    except msgspec.ValidationError as error:
        match = _WHERE.fullmatch(str(error))
        assert match is not None  # noqa: S101  # for the type checker; the expression matches anything
        where = _dotted(name, match["path"] or "")
        problem = match["problem"]
    raise ValueError(f"{where}: {problem}" if where else problem)


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if is_mapping(value):
        return {
            key: _plain(item) if isinstance(item, msgspec.Struct) else item
            for key, item in value.items()
            if item is not UNSET
        }
    return value


def _dotted(*names: str) -> str:
    return ".".join(filter(None, names))


def upsert_body(customers: Iterable[CustomerUpsert | Mapping[str, Any]]) -> Body:
    """The body of a bulk update."""
    if isinstance(customers, str | bytes) or is_mapping(customers) or not isinstance(customers, Iterable):
        raise ValueError(
            f"customers must be a sequence of CustomerUpsert or mappings, not {type(customers).__name__}"
        )
    upserts = [_upsert(f"customers[{index}]", customer) for index, customer in enumerate(customers)]
    if not upserts:
        raise ValueError("customers must not be empty")
    return encode_json("customers", upserts)


def _upsert(name: str, customer: CustomerUpsert | Mapping[str, Any]) -> CustomerUpsert:
    if not isinstance(customer, CustomerUpsert | Mapping):
        raise ValueError(f"{name} must be a CustomerUpsert or a mapping, not {type(customer).__name__}")
    upsert = checked(name, CustomerUpsert, customer)
    if not upsert.source_id:
        raise ValueError(f"{name}.source_id must not be empty")
    return upsert


def source_id_list(source_ids: Iterable[str]) -> list[str]:
    """The ids of a metadata update."""
    if isinstance(source_ids, str):
        raise ValueError("source_ids must be a sequence of strings, not one string")
    ids = list(source_ids)
    if not ids:
        raise ValueError("source_ids must not be empty")
    for index, source_id in enumerate(ids):
        if not isinstance(source_id, str) or not source_id:
            raise ValueError(f"source_ids[{index}] must be a non-empty string, not {source_id!r}")
    return ids


def filters_query(filters: RedeemableFilters | UnsetType) -> Mapping[str, Any] | None:
    """Redeemable filters as a deep object; the instants in them must have a timezone."""
    if filters is UNSET:
        return None
    query: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(filters).items():
        if isinstance(value, FilterConditions):
            query[name] = {"conditions": _conditions(f"filters.{name}", value)}
        elif value is not UNSET:
            query[name] = value
    return query


def _conditions(name: str, conditions: FilterConditions) -> dict[str, Any]:
    query: dict[str, Any] = {}
    for field in msgspec.structs.fields(conditions):
        value: Any = getattr(conditions, field.name)
        if value is UNSET:
            continue
        if field.name in {"after", "before"}:
            check_aware(f"{name}.{field.name}", value)
        elif field.name in {"in_", "not_in"}:
            if isinstance(value, str | bytes):
                raise ValueError(f"{name}.{field.name} must be a sequence of strings, not one string")
            value = list(value)
        elif field.name in {"has_value", "is_unknown"}:
            if value is not True:
                raise ValueError(f"{name}.{field.name} must be True or left out, not {value!r}")
            value = ""
        query[field.encode_name] = value
    return query


async def csv_part(file: str | os.PathLike[str] | bytes | IO[bytes]) -> FilePart:
    """A CSV file, read whole so that it can be sent again; at most 10 MB.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is too large, or not open in binary mode.
    """
    name = "customers.csv"
    if isinstance(file, str | os.PathLike):
        path = anyio.Path(file)
        if not await path.is_file():
            raise FileNotFoundError(f"file: there is no file {str(path)!r}")
        size = (await path.stat()).st_size
        if size > MAX_BODY_BYTES:
            raise ValueError(_too_large(size))
        name, content = path.name, await path.read_bytes()
    elif isinstance(file, bytes | bytearray | memoryview):
        content = bytes(file)
    else:
        content = await anyio.to_thread.run_sync(file.read, MAX_BODY_BYTES + 1)
        if not isinstance(content, bytes):
            raise ValueError("file must be open in binary mode")
    if len(content) > MAX_BODY_BYTES:
        raise ValueError(_too_large(len(content)))
    return FilePart(name, content, "text/csv")


def _too_large(size: int) -> str:
    return f"file has {size:,} bytes or more; the service takes at most {MAX_BODY_BYTES:,}"

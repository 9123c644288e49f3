"""Customers as rows of a CSV file. Pure functions.

The default columns are those of the service's CSV import, so `customers sync` accepts an exported file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from voucherify_async.models._json import is_mapping

__all__ = ["IMPORT_COLUMNS", "METADATA", "cell", "flatten", "import_columns", "value_at"]

METADATA: Final = "metadata."

IMPORT_COLUMNS: Final = {
    "Id": "id",
    "Source_id": "source_id",
    "Name": "name",
    "Email": "email",
    "Phone": "phone",
    "Birthdate": "birthdate",
    "Description": "description",
    "Address_line_1": "address.line_1",
    "Address_line_2": "address.line_2",
    "Address_Postal_Code": "address.postal_code",
    "Address_City": "address.city",
    "Address_State": "address.state",
    "Address_Country": "address.country",
}
"""The columns of the service's import, and the property of a customer in each."""


def import_columns(metadata_keys: Iterable[str]) -> dict[str, str]:
    """The columns of the import, and one for each key of the metadata. Each maps to the property in it.

    A key that a column of the import has already, or that differs from another key only in case, has the prefix
    ``metadata.``: the import does not distinguish them.
    """
    columns = dict(IMPORT_COLUMNS)
    taken = {name.lower() for name in columns}
    for key in sorted(metadata_keys):
        name = f"{METADATA}{key}" if key.lower() in taken else key
        taken.add(name.lower())
        columns[name] = f"{METADATA}{key}"
    return columns


def value_at(customer: Mapping[str, Any], path: str) -> Any:
    """The value of a property such as ``name`` or ``address.city``; `None` if there is none.

    The rest of the path after ``metadata.`` is one key, which may contain dots.
    """
    keys: Sequence[str] = path.split(".")
    if path.startswith(METADATA):
        keys = ("metadata", path.removeprefix(METADATA))
    value: Any = customer
    for key in keys:
        if not is_mapping(value):
            return None
        value = value.get(key)
    return value


def cell(value: Any) -> str:
    """A value as the text of a cell: text as it is, everything else as JSON, nothing for `None`."""
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode()


def flatten(properties: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The properties of an object that are not empty, those of nested objects as ``address.city``."""
    flat: list[tuple[str, Any]] = []
    for name, value in properties.items():
        if is_mapping(value):
            flat += flatten(value, f"{prefix}{name}.")
        elif value is not None and value != []:
            flat.append((f"{prefix}{name}", value))
    return flat

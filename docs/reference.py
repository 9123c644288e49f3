"""The names that the reference must have."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Mapping
from typing import Any, Final

__all__ = ["public_names", "undocumented"]

_PACKAGE: Final = "voucherify_async"

_NOT_IN_THE_REFERENCE: Final = {"cli": "its page has the commands, which are no Python API"}
"""Public modules without entries, and why."""


def public_names() -> dict[str, Any]:
    """Return the objects that the package and its public modules export, by all their names.

    The modules in subpackages are not looked at: the subpackages export what is public.
    """
    package = importlib.import_module(_PACKAGE)
    parts = [found.name for found in pkgutil.iter_modules(package.__path__)]
    public = [part for part in parts if not part.startswith("_") and part not in _NOT_IN_THE_REFERENCE]
    modules = [_PACKAGE, *(f"{_PACKAGE}.{part}" for part in public)]
    return {
        f"{module}.{name}": getattr(importlib.import_module(module), name)
        for module in modules
        for name in importlib.import_module(module).__all__
    }


def undocumented(names: Mapping[str, Any], documented: Collection[str]) -> list[str]:
    """Return the names of the objects that have no entry under any of their names.

    Args:
        names: Public objects by their names; an object may have several.
        documented: The names that have an entry.
    """
    having_an_entry = {
        id(value)
        for name, value in names.items()
        if name in documented or _defining_name(value) in documented
    }
    return [name for name, value in names.items() if id(value) not in having_an_entry]


def _defining_name(value: Any) -> str:
    """The name of a class or function in the module that defines it; of another object, no name."""
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"

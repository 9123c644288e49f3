"""Names of a package that are imported when they are first used."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(
    package: str, exports: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Make `__all__`, `__getattr__` and `__dir__` of a package.

    Args:
        package: The name of the package.
        exports: Its public names by the module that defines them, relative to the package. A module must come after
            the modules that it imports.
    """
    public = sorted(
        (name for names in exports.values() for name in names), key=lambda name: (not name.isupper(), name)
    )
    submodules = {module.partition(".")[0] for module in exports}

    def get_attribute(name: str) -> Any:
        namespace = vars(sys.modules[package])
        if name in public or name in submodules:
            # The same order in every thread, so that no thread holds the lock of a module that another waits for.
            for module, names in exports.items():
                found = import_module(f"{package}.{module}")
                if name in names:
                    return namespace.setdefault(name, getattr(found, name))
                if name in namespace:
                    return namespace[name]  # a submodule: importing it made it an attribute
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return public, get_attribute, lambda: sorted({*vars(sys.modules[package]), *public})

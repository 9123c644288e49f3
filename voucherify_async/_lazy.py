"""Names of a package that are imported when they are first used.

A package that imports its own submodules can deadlock when threads import at once: one thread holds the lock of the
package and waits for a submodule, another holds the lock of the submodule and waits for the package.
"""

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
        exports: Its public names by the module that defines them, relative to the package.
    """
    names = [name for names in exports.values() for name in names if not name.startswith("__")]
    public = sorted(names, key=lambda name: (not name.isupper(), name))
    homes = {name: module for module, names in exports.items() for name in names}
    submodules = {module.partition(".")[0] for module in exports}

    def get_attribute(name: str) -> Any:
        if name in homes:
            module = import_module(f"{package}.{homes[name]}")
            return vars(sys.modules[package]).setdefault(name, getattr(module, name))
        if name in submodules:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return public, get_attribute, lambda: sorted({*vars(sys.modules[package]), *public})

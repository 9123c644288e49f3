"""Show the keyword arguments that a function takes as ``**fields: Unpack[SomeTypedDict]``, for the reference."""

from __future__ import annotations

from typing import Any

import griffe

__all__ = ["UnpackFields"]


class UnpackFields(griffe.Extension):
    """Replaces such an argument by the fields of the `TypedDict`, unless the docstring describes it as one.

    griffe has an extension of that name itself, which describes the fields by their own docstrings: here, they are
    described by the function that takes them.
    """

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Change all functions of a package, once all its classes are known."""
        _change(pkg, loader.modules_collection)


def _change(parent: griffe.Module | griffe.Class, modules: griffe.ModulesCollection) -> None:
    for member in parent.members.values():
        if isinstance(member, griffe.Function):
            for parameter in [
                one for one in member.parameters if one.kind is griffe.ParameterKind.var_keyword
            ]:
                documented = member.docstring is not None and f"{parameter.name}: " in member.docstring.value
                if not documented and (fields := _fields(parameter.annotation, modules)):
                    others = [one for one in member.parameters if one is not parameter]
                    member.parameters = griffe.Parameters(*others, *fields)
        elif isinstance(member, griffe.Module | griffe.Class):
            _change(member, modules)


def _fields(annotation: object, modules: griffe.ModulesCollection) -> list[griffe.Parameter]:
    """The fields of a `TypedDict` as arguments. All of ours are optional: a function has required ones itself."""
    match annotation:
        case griffe.ExprSubscript(canonical_path="typing.Unpack", slice=griffe.Expr() as unpacked):
            found = modules[unpacked.canonical_path]
        case _:
            return []
    return [
        griffe.Parameter(
            name, annotation=field.annotation, kind=griffe.ParameterKind.keyword_only, default="..."
        )
        for name, field in found.all_members.items()
        if field.is_attribute
    ]

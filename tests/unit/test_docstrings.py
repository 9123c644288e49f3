from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import pydoc
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import voucherify_async

PACKAGE = "voucherify_async"

MODULES = (PACKAGE, *(
    module.name for module in pkgutil.walk_packages(voucherify_async.__path__, f"{PACKAGE}.")
    if not any(part.startswith("_") for part in module.name.split("."))
))  # fmt: skip

PUBLIC: dict[str, Any] = {
    f"{name}.{public}": getattr(importlib.import_module(name), public)
    for name in MODULES
    for public in getattr(importlib.import_module(name), "__all__", ())
}
"""Every public object by its public names. An object that two modules export is here twice."""

OBJECTS: dict[int, tuple[str, Any]] = {id(value): (name, value) for name, value in PUBLIC.items()}

CLASSES: dict[str, type] = {
    f"{base.__module__}.{base.__qualname__}": base
    for _, value in OBJECTS.values()
    if inspect.isclass(value)
    for base in value.__mro__
    if base.__module__.partition(".")[0] == PACKAGE and not base.__name__.startswith("_")
}
"""The public classes, and the classes of this package from which they inherit."""

DOCUMENTED_ELSEWHERE = {"voucherify_async.client.ClientSettings": "`VoucherifyClient`, which documents them"}
"""Classes whose fields are documented by another object, and what their docstrings say about it."""

COMMENTS = {
    comment
    for path in Path(*voucherify_async.__path__).rglob("*.py")
    for comment in re.findall(r"^\s*(#.*)", path.read_text(), re.MULTILINE)
}
"""The comments of the package that have lines of their own. `help` shows such comments in place of a docstring."""

SIGNATURE = cache(inspect.signature)
"""`help` reads the same signatures again and again: those of the methods that all models inherit."""

_SECTION = re.compile(r"^Attributes:\n((?:    .*\n|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+): \S", re.MULTILINE)


@pytest.fixture(autouse=True)
def _signatures_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "signature", SIGNATURE)


@cache
def class_nodes(path: Path) -> dict[str, ast.ClassDef]:
    """The classes at the top level of a module."""
    return {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a class, with those for type checkers."""
    for node in body:
        if isinstance(node, ast.If):
            yield from statements(node.body + node.orelse)
        else:
            yield node


def declared_fields(node: ast.ClassDef) -> set[str]:
    """The public attributes that a class annotates, assigns, or sets on `self`. Properties are not among them."""
    found: set[str] = set()
    methods: set[str] = set()
    for statement in statements(node.body):
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                if not ast.unparse(annotation).startswith("ClassVar"):
                    found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                found.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                methods.add(statement.name)
                found |= {
                    target.attr
                    for target in ast.walk(statement)
                    if isinstance(target, ast.Attribute) and isinstance(target.ctx, ast.Store)
                    and isinstance(target.value, ast.Name) and target.value.id == "self"
                }  # fmt: skip
            case _:
                pass
    return {name for name in found - methods if not name.startswith("_")}


def fields_to_document(cls: type) -> set[str]:
    """The fields that a class declares or inherits from a private class, without those of its public base classes."""
    declared: set[str] = set()
    inherited: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == PACKAGE:
            own = base is cls or base.__name__.startswith("_")
            (declared if own else inherited).update(declared_fields(node_of(base)))
    return declared - inherited


def node_of(cls: type) -> ast.ClassDef:
    path = importlib.import_module(cls.__module__).__file__
    assert path is not None
    return class_nodes(Path(path))[cls.__name__]


def documented_fields(docstring: str) -> list[str]:
    """The names in the `Attributes:` section of a docstring."""
    sections = _SECTION.findall(inspect.cleandoc(docstring) + "\n")
    return _ENTRY.findall("".join(sections))


def check_attributes_section_names_every_field(name: str) -> None:
    cls = CLASSES[name]
    fields = fields_to_document(cls)
    docstring = cls.__dict__["__doc__"]
    if name in DOCUMENTED_ELSEWHERE:
        assert DOCUMENTED_ELSEWHERE[name] in docstring
        return
    documented = documented_fields(docstring)
    assert set(documented) == fields
    assert len(documented) == len(fields)


def check_fields_have_no_docstrings_of_their_own(name: str) -> None:
    """A string below a field is not shown by `help`."""
    body = node_of(CLASSES[name]).body
    assert not [node.lineno for node in body[1:] if isinstance(node, ast.Expr)]


def check_every_method_and_property_has_a_docstring(name: str) -> None:
    members = {key: value for key, value in vars(CLASSES[name]).items() if not key.startswith("_")}
    missing = [
        key
        for key, value in members.items()
        if (inspect.isroutine(value) or hasattr(value, "__get__")) and not inspect.ismemberdescriptor(value)
        and not inspect.getdoc(getattr(CLASSES[name], key))
    ]  # fmt: skip
    assert missing == []


@pytest.mark.parametrize("name", CLASSES)
def test_docstrings_of_a_class(name: str) -> None:
    check_attributes_section_names_every_field(name)
    check_fields_have_no_docstrings_of_their_own(name)
    check_every_method_and_property_has_a_docstring(name)


def comments_in_help(value: object, comments: Collection[str] = COMMENTS) -> list[str]:
    """The comments that `help` shows for an object."""
    lines = pydoc.plain(pydoc.render_doc(value)).splitlines()
    return [text for line in lines if (text := line.lstrip(" |")) in comments]


@pytest.mark.parametrize(("name", "value"), OBJECTS.values(), ids=[name for name, _ in OBJECTS.values()])
def test_help_shows_docstrings_and_no_comments(name: str, value: object) -> None:
    if inspect.isclass(value) or inspect.isroutine(value):
        assert inspect.getdoc(value), name
    assert comments_in_help(value) == []


@pytest.mark.parametrize("name", MODULES)
def test_help_of_a_module_shows_its_docstring_and_no_comments(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert comments_in_help(module) == []


def test_what_counts_as_a_field() -> None:
    source = """
class Example(Base):
    constant: ClassVar[int] = 1
    field: int
    _private: int = 0
    MEMBER = "member"
    if TYPE_CHECKING:
        typed: str

    def __init__(self):
        self.one, self.other = 1, 2
        self._hidden = self.property = 3

    @property
    def property(self): ...
"""
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    assert declared_fields(node) == {"field", "MEMBER", "typed", "one", "other"}


def test_what_counts_as_documented() -> None:
    docstring = """Do something.

    Attributes:
        one: The first, whose description
            note: goes on.
        two: The second.

    Raises:
        ValueError: Never.
    """
    assert documented_fields(docstring) == ["one", "two"]


def test_what_help_shows_of_a_comment() -> None:
    assert comments_in_help(_undocumented, {"# A comment."}) == ["# A comment."]


# A comment.
def _undocumented() -> None: ...

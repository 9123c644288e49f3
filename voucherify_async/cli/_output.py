"""What a command prints: tables and records for people, JSON lines for programs, notices on standard error."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn

    from voucherify_async.models.base import Model
    from voucherify_async.pagination import Pager

    M = TypeVar("M", bound=Model)

__all__ = [
    "Advance",
    "confirm",
    "notice",
    "print_json",
    "print_list",
    "print_record",
    "print_table",
    "progress_bar",
    "show",
]

_NARROW: Final = 60
"""A terminal with fewer columns has no space for tables and bars."""
_UNLIMITED_WIDTH: Final = 10_000

Advance = Callable[[int, int | None], None]
"""Called with the number of finished items, and the number of all items if it is known."""


def show(value: object) -> str:
    """A value as text for a person: without control characters, which could change the terminal."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:,}"
        case dt.datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case str():
            text = value
        case dict() | list() | tuple():
            text = msgspec.json.encode(value).decode() if value else ""
        case _:
            text = str(value)
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def print_json(values: Iterable[Any]) -> None:
    """Print each value as a line of JSON."""
    encode = msgspec.json.Encoder().encode
    output = sys.stdout.buffer
    for value in values:
        output.write(encode(value) + b"\n")
    output.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, whole: bool = True) -> None:
    """Print rows as a table; on a narrow terminal each row as a record. Output to a file or pipe is never cut.

    Args:
        columns: The names of the columns.
        rows: The cells of each row.
        whole: Whether to print all columns, and to break long cells, on a terminal that is too narrow for the table;
            otherwise the last columns are left out.
    """
    console = _console()
    texts = [[show(cell) for cell in row] for row in rows]
    if console.width < _NARROW:
        for row in texts:
            print_record(list(zip(columns, row, strict=True)))
            console.print()
        return
    from rich.table import Table  # noqa: PLC0415  # takes a while
    from rich.text import Text  # noqa: PLC0415

    if not whole and (count := _fitting([columns, *texts], console.width)) < len(columns):
        notice(f"The terminal is too narrow for {', '.join(columns[count:])}.")
        columns, texts = columns[:count], [row[:count] for row in texts]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in texts:
        table.add_row(*map(Text, row))  # Text does not interpret markup
    console.print(table)


async def print_list(pager: Pager[M], limit: int, columns: Mapping[str, str], *, as_json: bool) -> None:
    """Print the first items of a list, as a table or as JSON.

    Args:
        pager: The list.
        limit: The most items to print.
        columns: The attribute in each column of the table, such as ``address.city``.
        as_json: Whether to print JSON, page by page.
    """
    rows: list[list[object]] = []
    async with aclosing(pager.pages()) as pages:
        async for page in pages:
            items = page.items[:limit]
            limit -= len(items)
            if as_json:
                print_json(items)
            else:
                rows += [[_attribute(item, path) for path in columns.values()] for item in items]
            more = page.has_more or len(items) < len(page.items)
            if limit == 0:
                break
        else:
            more = False
    if not as_json:
        print_table(list(columns), rows, whole=False)
        if more:
            notice("There are more: see --limit.")


def print_record(fields: Sequence[tuple[str, object]]) -> None:
    """Print the fields of one object, each with its name."""
    from rich.table import Table  # noqa: PLC0415  # takes a while
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields:
        table.add_row(Text(name), Text(show(value)))
    _console().print(table)


def _fitting(rows: Sequence[Sequence[str]], width: int) -> int:
    """How many of the first columns fit: at least one."""
    from rich.cells import cell_len  # noqa: PLC0415  # takes a while

    count = used = 0
    for column in zip(*rows, strict=True):
        used += max(map(cell_len, column)) + 2
        if used > width and count:
            break
        count += 1
    return count


def _attribute(item: object, path: str) -> object:
    for name in path.split("."):
        item = getattr(item, name, None)
    return item


def notice(text: str) -> None:
    """Print a sentence on standard error."""
    print(text, file=sys.stderr, flush=True)


def confirm(question: str, *, yes: bool) -> bool:
    """Ask a question that is answered with y or n; without a terminal, only `yes` is an answer.

    Raises:
        ValueError: There is no terminal, and `yes` is False.
    """
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ValueError(f"{question} There is no terminal to ask: pass --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@contextmanager
def progress_bar(what: str) -> Generator[Advance]:
    """Show a bar with rate and remaining time on standard error, if that is a terminal.

    Args:
        what: The name of the items.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415  # takes a while
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    counts = TextColumn("{task.fields[counts]}")
    columns: list[ProgressColumn] = [counts]
    if console.width >= _NARROW:
        columns = [TextColumn("{task.description}"), BarColumn(), counts, TimeRemainingColumn()]
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=None, counts="")

        def advance(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)
            speed = progress.tasks[0].speed
            counts = f"{done:,}" if total is None else f"{done:,} of {total:,}"
            progress.update(task, counts=counts if speed is None else f"{counts}, {speed:,.0f}/s")

        yield advance


def _console() -> Console:
    """Standard output. A file or pipe has no width that could cut the text."""
    from rich.console import Console  # noqa: PLC0415  # takes a while

    fixed = sys.stdout.isatty() or os.environ.get("COLUMNS")
    return Console(width=None if fixed else _UNLIMITED_WIDTH, highlight=False)

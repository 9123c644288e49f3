"""The formats of files of customers. Pure functions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

from voucherify_async.cli._exit_codes import CommandError

__all__ = ["STANDARD_STREAM", "FileFormat", "choose_format"]

STANDARD_STREAM: Final = Path("-")
"""The file argument that stands for standard input or output."""


class FileFormat(StrEnum):
    """The formats of files of customers.

    Attributes:
        NDJSON: One JSON object on each line.
        CSV: Rows with the columns of the service's import.
        PARQUET: A Parquet file; only for exports.
    """

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


_SUFFIXES: Final = {
    ".ndjson": FileFormat.NDJSON,
    ".jsonl": FileFormat.NDJSON,
    ".json-lines": FileFormat.NDJSON,
    ".csv": FileFormat.CSV,
    ".parquet": FileFormat.PARQUET,
}


def choose_format(file: Path, given: str | None) -> FileFormat:
    """The format of a file: the one that is given, or that of its suffix, or NDJSON for a standard stream.

    Raises:
        CommandError: The suffix is not known.
    """
    if given is not None:
        return FileFormat(given)
    if file == STANDARD_STREAM:
        return FileFormat.NDJSON
    try:
        return _SUFFIXES[file.suffix.lower()]
    except KeyError:
        raise CommandError(f"{file} does not end in {', '.join(_SUFFIXES)}: pass --format") from None

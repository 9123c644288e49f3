"""What the wheel and the sdist contain."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PACKAGE: Final = "voucherify_async"
MAX_WHEEL_BYTES: Final = 700_000


def wheel_problems(wheel: Path, tracked: Iterable[str]) -> Iterator[str]:
    """What is wrong with a wheel.

    Args:
        wheel: The file.
        tracked: The files of the repository.
    """
    version = wheel.name.split("-")[1]
    folder = f"{PACKAGE}-{version}.dist-info"
    metadata = {f"{folder}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    expected = {name for name in tracked if name.startswith(f"{PACKAGE}/")} | metadata
    yield from differences(names_in_wheel(wheel), expected | {f"{folder}/licenses/LICENSE"}, wheel.name)
    if (size := wheel.stat().st_size) > MAX_WHEEL_BYTES:
        yield f"{wheel.name} has {size:,} bytes, more than {MAX_WHEEL_BYTES:,}"


def sdist_problems(sdist: Path, tracked: Iterable[str]) -> Iterator[str]:
    """What is wrong with an sdist, which contains the repository without the settings of tools."""
    expected = {name for name in tracked if not name.startswith(".")} | {".gitignore", "PKG-INFO"}
    yield from differences(names_in_sdist(sdist), expected, sdist.name)


def names_in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def names_in_sdist(sdist: Path) -> set[str]:
    """The paths of the files below the folder that an sdist consists of."""
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if not member.isdir()}


def differences(found: set[str], expected: set[str], archive: str) -> Iterator[str]:
    """A sentence for each name that is missing or unexpected."""
    yield from (f"{archive} lacks {name}" for name in sorted(expected - found))
    yield from (f"{archive} contains {name}, which is not expected" for name in sorted(found - expected))


def byte_differences(first: Path, second: Path) -> Iterator[str]:
    """A sentence for each archive that two builds make differently."""
    names = {path.name for folder in (first, second) for path in folder.iterdir()}
    for name in sorted(names):
        paths = [folder / name for folder in (first, second)]
        if not all(path.exists() for path in paths):
            yield f"only one of two builds makes {name}"
        elif paths[0].read_bytes() != paths[1].read_bytes():
            yield f"two builds of {name} differ: {_first_difference(*paths)}"


def _first_difference(first: Path, second: Path) -> str:
    ours, others = dict(_entries(first)), dict(_entries(second))
    for name, entry in ours.items():
        if name in others and others[name] != entry:
            return f"{name} has {entry} in one and {others[name]} in the other"
    return "in the names or the order of the files, in what they contain, or in how they are compressed"


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """The name of each file in an archive, and its time, mode and size."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for entry in wheel.infolist():
                mode = entry.external_attr >> 16 & 0o777
                yield entry.filename, f"{entry.date_time}, mode {mode:o}, {entry.file_size} bytes"
    else:
        with tarfile.open(path) as sdist:
            for member in sdist:
                yield member.name, f"{member.mtime}, mode {member.mode:o}, {member.size} bytes"

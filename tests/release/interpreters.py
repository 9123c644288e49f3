"""What pyproject.toml supports: the extras, and the versions of Python and where they are installed.

    python -m tests.release.interpreters

prints a line for each version: the version and the path of the interpreter, without the path if there is none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).parents[2] / "pyproject.toml"


def supported_versions() -> list[str]:
    """The versions in the classifiers of the package, the oldest first."""
    classifiers = _metadata()["classifiers"]
    found = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each) for each in classifiers)
    return sorted((match[1] for match in found if match), key=version_key)


def declared_extras() -> list[str]:
    """The optional parts of the package."""
    return list(_metadata()["optional-dependencies"])


def _metadata() -> dict[str, Any]:
    metadata: dict[str, Any] = tomllib.loads(PROJECT.read_text())["project"]
    return metadata


def version_key(version: str) -> list[int]:
    """Numbers by which 3.9.1 comes before 3.10.0."""
    return [int(number) for number in re.findall(r"\d+", version)]


def find(version: str) -> Path | None:
    """The interpreter of a version: on the PATH, or the newest one that pyenv has installed."""
    for candidate in _candidates(version):
        try:
            subprocess.run([candidate, "-c", ""], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):  # such as a shim of pyenv for a version not in use
            continue
        return candidate
    return None


def _candidates(version: str) -> Iterator[Path]:
    if on_path := shutil.which(f"python{version}"):
        yield Path(on_path)
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    folders = sorted(versions.glob(f"{version}.*"), key=lambda folder: version_key(folder.name), reverse=True)
    for folder in folders:
        yield folder / "bin" / "python"


def found() -> dict[str, Path | None]:
    """The interpreter of each supported version, or None."""
    return {version: find(version) for version in supported_versions()}


if __name__ == "__main__":
    for number, path in found().items():
        print(number, path or "")  # noqa: T201

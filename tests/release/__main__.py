"""Build the wheel and the sdist, and check what a user gets.

    python -m tests.release [--every-python] [--tag v0.1.0]
    python -m tests.release --write-licences

The archives are built twice, in the checkout and in a copy elsewhere, and must have the same bytes. The wheel is installed
into an empty environment of every supported Python that is found and, on the oldest, with each extra and with pytest.
Archives that pass are in `dist/`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from voucherify_async import __version__

from . import archives, changelog, interpreters, licences

REPOSITORY: Final = Path(__file__).parents[2]
DIST: Final = REPOSITORY / "dist"
SMOKE: Final = Path(__file__).with_name("smoke.py")

TESTS_OF_SDIST: Final = (
    "tests/unit/test_aiohttp.py",
    "tests/unit/test_bars.py",
    "tests/unit/test_release.py",
    "tests/integration/test_cli.py::test_the_demo",
    "tests/integration/test_documentation.py::test_commands",
)
"""Tests that read files outside the package and their own folder."""

PLUGIN_TEST: Final = """
import pytest

@pytest.mark.voucherify(customers=3)
async def test_plugin(voucherify):
    assert len(await voucherify.customers.list().to_list()) == 3
"""

# What the bytes must not depend on: the second build differs in all of it.
OTHER_ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1"}
OTHER_UMASK: Final = 0o077
OTHER_MODE: Final = 0o600
OTHER_TIME: Final = 1_000_000_000
"""Seconds since 1970."""


class CheckError(Exception):
    """A check has failed."""


def run(
    command: Sequence[str | Path],
    cwd: Path = REPOSITORY,
    *,
    environment: Mapping[str, str] | None = None,
    umask: int = -1,
) -> str:
    """The output of a command.

    Raises:
        CheckError: The command failed.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        umask=umask,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CheckError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def check(problems: Iterable[str]) -> None:
    """Raise an error that lists the problems, if there are any."""
    if found := [*problems]:
        raise CheckError("\n".join(found))


def report(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def build(source: Path, target: Path, changes: Mapping[str, str], umask: int = -1) -> None:
    """Build the sdist, and the wheel from it."""
    environment = {**os.environ, **changes}
    # Without it hatchling gives all files one fixed time.
    environment.pop("SOURCE_DATE_EPOCH", None)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)]
    run(command, source, environment=environment, umask=umask)


def tracked_files() -> list[str]:
    """The files of the repository that git knows; of an export without git, all that are not made from others."""
    if (REPOSITORY / ".git").exists():
        # The repository may belong to another user than the one who runs this.
        listed = run(["git", "-c", "safe.directory=*", "ls-files", "-z"]).split("\0")
        return [name for name in listed if name and (REPOSITORY / name).is_file()]
    paths = [path.relative_to(REPOSITORY) for path in REPOSITORY.glob("[!.]*/**/*") if path.is_file()]
    made = {"__pycache__", DIST.name, "build"}
    paths += [path.relative_to(REPOSITORY) for path in REPOSITORY.iterdir() if path.is_file()]
    return [str(path) for path in paths if made.isdisjoint(path.parts)]


def copy_elsewhere(tracked: Iterable[str], target: Path) -> None:
    """Copy the repository, with another time and mode of each file."""
    for name in tracked:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, path)
        path.chmod(OTHER_MODE)
        os.utime(path, (OTHER_TIME, OTHER_TIME))


def build_twice(folder: Path) -> tuple[Path, Path]:
    """Build the archives, and check what is in them; the paths of the wheel and the sdist."""
    tracked = tracked_files()
    first, second, copy = folder / "first", folder / "second", folder / "another" / "place"
    build(REPOSITORY, first, {})
    copy_elsewhere(tracked, copy)
    build(copy, second, OTHER_ENVIRONMENT, OTHER_UMASK)
    wheel = only(first, "*.whl")
    sdist = only(first, "*.tar.gz")
    check([
        *archives.wheel_problems(wheel, tracked),
        *archives.sdist_problems(sdist, tracked),
        *archives.byte_differences(first, second),
    ])  # fmt: skip
    run([sys.executable, "-m", "twine", "check", "--strict", wheel, sdist])
    for archive in (wheel, sdist):
        report(f"{archive.name}: {archive.stat().st_size:,} bytes, the same in two builds")
    return wheel, sdist


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


class Environment:
    """A virtual environment, into which the pip of this one installs."""

    def __init__(self, python: Path, folder: Path) -> None:
        run([python, "-m", "venv", "--without-pip", folder])
        self.folder = folder
        self._python = folder / "bin" / "python"

    def install(self, *requirements: str) -> None:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(self._python),
            "install",
            "--quiet",
            "--no-compile",
        ]
        run([*pip, *requirements], self.folder)

    def run(self, *arguments: str | Path) -> None:
        run([self._python, *arguments], self.folder)

    def licences(self) -> set[licences.Licence]:
        try:
            return licences.licences_in(only(self.folder, "lib/python*/site-packages"))
        except ValueError as error:
            raise CheckError(str(error)) from None


def check_install(wheel: Path, python: Path, folder: Path, extra: str | None = None) -> set[licences.Licence]:
    """Install the wheel and use it; the licences of what was installed along with it."""
    environment = Environment(python, folder)
    environment.install(f"{wheel}[{extra}]" if extra else str(wheel))
    environment.run("-I", "-W", "error", SMOKE, *([extra] if extra else []))
    report(f"installed and used: {folder.name}")
    return environment.licences()


def check_plugin(wheel: Path, python: Path, folder: Path) -> None:
    """Run a test that uses the plugin."""
    environment = Environment(python, folder)
    environment.install(str(wheel), "pytest", "pytest-asyncio")
    (folder / "test_plugin.py").write_text(PLUGIN_TEST)
    settings = ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    environment.run("-m", "pytest", "-W", "error", *settings, "test_plugin.py")
    report(f"installed and used: {folder.name}")


def check_sdist(sdist: Path, folder: Path) -> None:
    """Collect all tests of the sdist, and run some."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    root = only(folder, "*")
    environment = {**os.environ, "PYTHONPATH": str(root)}
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run([*pytest, "--collect-only"], root, environment=environment)
    run([*pytest, *TESTS_OF_SDIST], root, environment=environment)
    report(f"tests run from {sdist.name}")


def at_once(calls: Iterable[Callable[[], object]]) -> None:
    """Make calls in as many threads as there are cores.

    Raises:
        CheckError: One of them failed, or several; the error has the messages of all.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(call) for call in calls]
    errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None and not isinstance(error, CheckError):
            raise error
    check(str(error) for error in errors if error is not None)


def page_of_licences(wheel: Path, version: str, python: Path, folder: Path) -> str:
    """The page of licences as it should be; every extra is installed and used for it."""
    found: dict[str | None, set[licences.Licence]] = {}

    def install(extra: str | None) -> None:
        name = f"Python {version}{f' with the extra {extra}' if extra else ''}"
        found[extra] = check_install(wheel, python, folder / name, extra)

    at_once([partial(install, extra) for extra in (None, *interpreters.declared_extras())])
    return licences.document(version, found)


def check_release(folder: Path, *, every_python: bool, tag: str | None) -> None:
    check(changelog.problems((REPOSITORY / "CHANGELOG.md").read_text(), __version__, tag))
    found = interpreters.found()
    missing = [version for version, python in found.items() if python is None]
    if every_python:
        check(f"Python {version} is not found" for version in missing)
    for version in missing:
        report(f"Python {version}: not found")
    wheel, sdist = build_twice(folder)
    oldest, *others = [(version, python) for version, python in found.items() if python is not None]

    def check_licences() -> None:
        page = page_of_licences(wheel, *oldest, folder)
        if oldest[0] == next(iter(found)):  # what is installed depends on the version
            check(licences.problems(licences.DOCUMENT.read_text(), page))
            report("licences: as documented")

    at_once([
        check_licences,
        partial(check_sdist, sdist, folder / "sdist"),
        partial(check_plugin, wheel, oldest[1], folder / f"Python {oldest[0]} with pytest"),
        *(partial(check_install, wheel, python, folder / f"Python {version}") for version, python in others),
    ])  # fmt: skip
    DIST.mkdir(exist_ok=True)
    for earlier in [*DIST.glob("*.whl"), *DIST.glob("*.tar.gz")]:
        earlier.unlink()
    for archive in (wheel, sdist):
        shutil.copy(archive, DIST)


def write_licences(folder: Path) -> None:
    version = interpreters.supported_versions()[0]
    if (python := interpreters.find(version)) is None:
        raise CheckError(f"Python {version} is not found")
    build(REPOSITORY, folder / "dist", {})
    page = page_of_licences(only(folder / "dist", "*.whl"), version, python, folder)
    licences.DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
    licences.DOCUMENT.write_text(page)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.release", allow_abbrev=False)
    parser.add_argument("--every-python", action="store_true", help="fail if a supported Python is not found")
    parser.add_argument("--tag", help="the tag of the release, which must name the version")
    parser.add_argument("--write-licences", action="store_true", help="write the page of licences")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            if options.write_licences:
                write_licences(Path(folder))
            else:
                check_release(Path(folder), every_python=options.every_python, tag=options.tag)
        except CheckError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

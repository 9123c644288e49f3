from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from tests.release import archives, changelog, interpreters, licences
from tests.release.licences import Licence
from voucherify_async import __version__

ROOT = Path(__file__).parents[2]
CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-11-28

- What it does.

## [1.1.0] - 2026-10-01

### Lists

- More.
"""


def test_the_changelog_of_this_version() -> None:
    assert list(changelog.problems((ROOT / "CHANGELOG.md").read_text(), __version__)) == []


def test_a_changelog_that_fits() -> None:
    assert list(changelog.problems(CHANGELOG, "1.2.0", "v1.2.0")) == []
    dates = {version: date for version, (date, _) in changelog.sections(CHANGELOG).items()}
    assert dates == {"Unreleased": None, "1.2.0": "2026-11-28", "1.1.0": "2026-10-01"}


@pytest.mark.parametrize(
    ("text", "version", "tag", "problem"),
    [
        (CHANGELOG, "1.3.0", None, "the newest version in CHANGELOG.md is 1.2.0, and that of the package is 1.3.0"),
        (CHANGELOG, "1.2.0", "v1.3.0", "the tag is v1.3.0, and the version of the package is 1.2.0"),
        (CHANGELOG, "1.2.0", "1.2.0", "the tag is 1.2.0, and the version of the package is 1.2.0"),
        (CHANGELOG.replace("## [Unreleased]\n", ""), "1.2.0", None, "CHANGELOG.md does not begin with a section [Unreleased]"),
        (CHANGELOG.replace("- What it does.\n", ""), "1.2.0", None, "the section of 1.2.0 in CHANGELOG.md is empty"),
        (CHANGELOG.replace(" - 2026-11-28", ""), "1.2.0", None, "the section of 1.2.0 in CHANGELOG.md has no date"),
        (CHANGELOG.replace("2026-10-01", "soon"), "1.2.0", None, "the section of 1.1.0 in CHANGELOG.md has no date"),
        (
            CHANGELOG.replace("[Unreleased]\n", "[Unreleased]\n\n- New.\n"),
            "1.2.0",
            "v1.2.0",
            "the section [Unreleased] of CHANGELOG.md is not empty",
        ),
        ("# Changelog\n\n## [Unreleased]\n", "1.2.0", None, "CHANGELOG.md has no version, and that of the package is 1.2.0"),
    ],
)  # fmt: skip
def test_a_changelog_that_does_not_fit(text: str, version: str, tag: str | None, problem: str) -> None:
    assert list(changelog.problems(text, version, tag)) == [problem]


TRACKED = ["voucherify_async/__init__.py", "voucherify_async/py.typed", "tests/a.py", ".ci/run", ".gitignore"]
IN_WHEEL = [
    *TRACKED[:2],
    *(
        f"voucherify_async-1.0.dist-info/{name}"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
    ),
    "voucherify_async-1.0.dist-info/licenses/LICENSE",
]
IN_SDIST = [*TRACKED[:3], ".gitignore", "PKG-INFO"]


def make_wheel(folder: Path, names: list[str], size: int = 0) -> Path:
    path = folder / "voucherify_async-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), bytes(size))
    return path


def make_sdist(folder: Path, names: list[str], mtime: int = 0) -> Path:
    path = folder / "voucherify_async-1.0.tar.gz"
    with tarfile.open(path, "w") as archive:
        for name in names:
            member = tarfile.TarInfo(f"voucherify_async-1.0/{name}")
            member.mtime = mtime
            archive.addfile(member, io.BytesIO())
    return path


def test_archives_with_what_they_should_have(tmp_path: Path) -> None:
    assert list(archives.wheel_problems(make_wheel(tmp_path, IN_WHEEL), TRACKED)) == []
    assert list(archives.sdist_problems(make_sdist(tmp_path, IN_SDIST), TRACKED)) == []


def test_archives_with_more_or_less(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, [*IN_WHEEL[1:], "voucherify_async/notes.txt"])
    assert list(archives.wheel_problems(wheel, TRACKED)) == [
        f"{wheel.name} lacks voucherify_async/__init__.py",
        f"{wheel.name} contains voucherify_async/notes.txt, which is not expected",
    ]
    sdist = make_sdist(tmp_path, [*IN_SDIST[1:], ".ci/run"])
    assert list(archives.sdist_problems(sdist, TRACKED)) == [
        f"{sdist.name} lacks voucherify_async/__init__.py",
        f"{sdist.name} contains .ci/run, which is not expected",
    ]


def test_a_wheel_that_is_too_large(tmp_path: Path) -> None:
    (problem,) = archives.wheel_problems(make_wheel(tmp_path, IN_WHEEL, size=100_001), TRACKED)
    assert problem.endswith("bytes, more than 700,000")


def test_builds_that_differ(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        make_wheel(folder, IN_WHEEL)
    assert list(archives.byte_differences(first, second)) == []
    make_wheel(second, IN_WHEEL, size=1)
    make_sdist(first, ["a"], mtime=1)
    time = "(1980, 1, 1, 0, 0, 0)"
    assert list(archives.byte_differences(first, second)) == [
        f"two builds of voucherify_async-1.0-py3-none-any.whl differ: voucherify_async/__init__.py has {time}, mode 600, 0 bytes in one and {time}, mode 600, 1 bytes in the other",
        "only one of two builds makes voucherify_async-1.0.tar.gz",
    ]
    make_sdist(second, ["a"], mtime=2)
    assert list(archives.byte_differences(first, second))[1].startswith(
        "two builds of voucherify_async-1.0.tar.gz differ: voucherify_async-1.0/a has 1, mode 644"
    )


def distribution(folder: Path, *metadata: str) -> Distribution:
    path = folder / "Some_Package-1.0.dist-info"
    path.mkdir()
    (path / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.4", "Name: Some_Package", "Version: 1.0", *metadata])
    )
    return PathDistribution(path)


@pytest.mark.parametrize(
    ("metadata", "expression"),
    [
        (["License-Expression: MIT OR Apache-2.0", "License: something"], "MIT OR Apache-2.0"),
        (["License: BSD-3-Clause"], "BSD-3-Clause"),
        (["License: Apache 2.0"], "Apache-2.0"),
        (["License: see LICENSE", "Classifier: License :: OSI Approved :: MIT License"], "MIT"),
    ],
)
def test_the_licence_of_a_package(tmp_path: Path, metadata: list[str], expression: str) -> None:
    distribution(tmp_path, *metadata)
    assert licences.licences_in(tmp_path) == {Licence("some-package", "1.0", expression)}


def test_a_licence_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the licence of Some_Package 1.0"):
        licences.expression_of(distribution(tmp_path, "License: of my own"))


ALWAYS = {Licence("a", "1.0", "MIT"), Licence("b", "1.0", "Apache-2.0 AND MIT")}


def page(*more: Licence, always: set[Licence] = ALWAYS) -> str:
    found: Mapping[str | None, set[Licence]] = {None: always, "redis": {*always, *more}}
    return licences.document("3.11", found)


def test_a_page_that_is_as_it_should_be() -> None:
    newer = {Licence(each.name, "2.0", each.expression) for each in ALWAYS}
    assert (
        list(licences.problems(page(Licence("c", "1", "ISC")), page(Licence("c", "2", "ISC"), always=newer)))
        == []
    )


@pytest.mark.parametrize(
    ("installed", "problem"),
    [
        ([Licence("c", "1", "MIT")], "c is ISC, but should be MIT"),
        ([], "c is ISC, but should be not installed"),
        ([Licence("c", "1", "ISC"), Licence("d", "1", "MIT")], "d is missing, but should be MIT"),
    ],
)
def test_a_page_that_is_stale(installed: list[Licence], problem: str) -> None:
    assert list(licences.problems(page(Licence("c", "1", "ISC")), page(*installed))) == [
        f"licences.md, With the extra `redis`: {problem}; run make licences"
    ]


def test_the_page_has_the_extras_that_there_are() -> None:
    written = licences.DOCUMENT.read_text()
    assert written.count("\n## With the extra") == len(interpreters.declared_extras())
    assert all(f"\n## With the extra `{extra}`\n" in written for extra in interpreters.declared_extras())


def test_interpreters_of_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest that works, if the one on the PATH does not."""
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert interpreters.find("3.12") is None
    programs = {
        "shims/python3.12": "exit 127",
        "versions/3.12.9/bin/python": "exit 0",
        "versions/3.12.10/bin/python": "exit 0",
        "versions/3.12.11/bin/python": "exit 1",
        "versions/3.13.0/bin/python": "exit 0",
    }
    for name, code in programs.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{code}\n")
        path.chmod(0o700)
    assert interpreters.find("3.12") == tmp_path / "versions/3.12.10/bin/python"


def test_the_supported_versions() -> None:
    assert interpreters.supported_versions()[0] == "3.11"
    assert interpreters.version_key("3.9.1") < interpreters.version_key("3.10.0")

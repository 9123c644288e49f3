"""Run the tests on every Python version that the package supports: `nox`, or `nox -s tests-3.13`."""

import nox

nox.options.default_venv_backend = "uv|virtualenv"
PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests, or those that are named after ``--``."""
    session.install("--editable", ".")
    session.install(*nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test"))
    session.run("pytest", "-m", "not soak", *session.posargs)

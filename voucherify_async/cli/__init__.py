"""The command ``voucherify-async``, which needs the extra `cli`: ``pip install 'voucherify-async[cli]'``.

`main` runs it. Each section of the API is a module with an `App` of cyclopts, which `_app.py` puts together; the function
of a command is its help and its options. Modules without I/O: `_exit_codes.py`, `_columns.py`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]

_SANDBOX = "Without an extra, the sandbox is started by: python -m voucherify_async.sandbox"
_MISSING_EXTRA = "The command voucherify-async needs an extra: pip install 'voucherify-async[cli]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code.

    Args:
        arguments: The arguments of the command. Default: those of the process.
    """
    _open_missing_streams()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        from voucherify_async.cli._app import run  # noqa: PLC0415  # what the extra installs may be missing

        return run(given)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"cyclopts", "dotenv", "rich"}:
            raise
        if list(given[:1]) == ["sandbox"]:
            print(_SANDBOX, file=sys.stderr)
        print(_MISSING_EXTRA, file=sys.stderr)
        return 2


def _open_missing_streams() -> None:
    """Replace the standard streams that the caller has closed, as ``>&-`` does, so that no other file takes their place."""
    if None not in {sys.stdin, sys.stdout, sys.stderr}:
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # standard error
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)

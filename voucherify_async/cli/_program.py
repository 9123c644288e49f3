"""The name under which the command can be run again."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

__all__ = ["NAME", "command_name"]

NAME: Final = "voucherify-async"


def command_name() -> str:
    """How to run the command in this shell: its name, or the path of it or of Python if it is not on the PATH."""
    if shutil.which(NAME):
        return NAME
    script = Path(sys.executable).with_name(NAME)
    return os.path.relpath(script) if script.exists() else f"{sys.executable} -m voucherify_async"

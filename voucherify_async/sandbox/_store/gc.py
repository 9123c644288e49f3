"""Pausing the garbage collector while many objects are created."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Generator

__all__ = ["gc_paused"]


@contextlib.contextmanager
def gc_paused() -> Generator[None]:
    """Pause the garbage collector, which would scan the new objects repeatedly and find no garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

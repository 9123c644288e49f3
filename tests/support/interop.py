"""What tests of other people's programs do where such a program is not installed."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

# Read now: no test sees this variable.
_REQUIRED = "VOUCHERIFY_REQUIRE_INTEROP" in os.environ


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where VOUCHERIFY_REQUIRE_INTEROP says that everything is installed."""
    if _REQUIRED:
        pytest.fail(f"VOUCHERIFY_REQUIRE_INTEROP is set, but {reason}", pytrace=False)
    pytest.skip(reason)

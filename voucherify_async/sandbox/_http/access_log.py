"""The lines of the access log. No I/O."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from voucherify_async.sandbox._http.exchanges import Exchange

__all__ = ["access_log_line"]

_MAX_PATH_LENGTH: Final = 200


def access_log_line(exchange: Exchange) -> str:
    """The line for an exchange: time in UTC, method, path, status, duration, and the fault if there was one.

    The path is as sent and has at most 200 characters. Its query, headers and bodies are left out: they may hold
    credentials and personal data. A request without a response has the status ``-``.
    """
    at = dt.datetime.fromtimestamp(exchange.at, dt.UTC).isoformat(timespec="milliseconds")
    path = _printable(exchange.target.partition("?")[0])
    if len(path) > _MAX_PATH_LENGTH:
        path = f"{path[: _MAX_PATH_LENGTH - 3]}..."
    fault = f" fault={exchange.fault}" if exchange.fault else ""
    status = exchange.status or "-"
    return f"{at.removesuffix('+00:00')}Z {exchange.method} {path} {status} {exchange.elapsed * 1000:.1f} ms{fault}"


def _printable(text: str) -> str:
    """The text in printable ASCII characters without spaces; others are escaped."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    return re.sub(r"[\x00-\x20\x7f]", lambda found: f"\\x{ord(found[0]):02x}", escaped)

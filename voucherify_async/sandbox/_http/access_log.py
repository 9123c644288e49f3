"""The lines of the access log. No I/O."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final
from urllib.parse import unquote_plus

from voucherify_async._transport.secrets import credentials_in
from voucherify_async.sandbox._http.exchanges import Exchange

__all__ = ["access_log_line"]

_MAX_TARGET_LENGTH: Final = 200


def access_log_line(exchange: Exchange) -> str:
    """The line for an exchange: time in UTC, method, target, status, duration, and the fault if there was one.

    The target is the path with its query, as sent, and has at most 200 characters; values in the query that may be
    credentials are hidden. Headers and bodies are left out. A request without a response has the status ``-``.
    """
    at = dt.datetime.fromtimestamp(exchange.at, dt.UTC).isoformat(timespec="milliseconds")
    path, mark, query = exchange.target.partition("?")
    target = _printable(f"{path}{mark}{'&'.join(map(_without_secret, query.split('&')))}")
    if len(target) > _MAX_TARGET_LENGTH:
        target = f"{target[: _MAX_TARGET_LENGTH - 3]}..."
    fault = f" fault={exchange.fault}" if exchange.fault else ""
    status = exchange.status or "-"
    return f"{at.removesuffix('+00:00')}Z {exchange.method} {target} {status} {exchange.elapsed * 1000:.1f} ms{fault}"


def _without_secret(parameter: str) -> str:
    """A parameter of a query as sent, but for the value of one that credentials are sent in."""
    name, equals, value = parameter.partition("=")
    return f"{name}=***" if equals and credentials_in({unquote_plus(name): value}) else parameter


def _printable(text: str) -> str:
    """The text in printable ASCII characters without spaces; others are escaped."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    return re.sub(r"[\x00-\x20\x7f]", lambda found: f"\\x{ord(found[0]):02x}", escaped)

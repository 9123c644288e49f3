"""Who may use the status page. No I/O.

The page needs no credentials, so it must not be reachable for other web sites in the user's browser:

- DNS rebinding (another site's host name that resolves to this machine): the Host header is checked.
- Framing: the Content-Security-Policy of the page forbids it.
- Cross-site requests: only PATCH, POST of type application/json and DELETE change anything. Browsers send a preflight
  request before these, which the sandbox never grants. Sec-Fetch-Site is checked as well.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Final

__all__ = ["READING", "UNEXPECTED_HOST", "RequestError", "check_access", "is_expected_host", "is_host_name"]


READING: Final = ("GET", "HEAD")
"""The methods that change nothing."""


_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


class RequestError(Exception):
    """A request that is rejected with an HTTP status and a message."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def check_access(
    method: str, allowed: Collection[str], headers: Mapping[str, str], hosts: Collection[str]
) -> None:
    """Reject a request that another web site may have sent, or whose method is not allowed.

    Args:
        method: HTTP method.
        allowed: The methods that the path supports; empty if there is no such path.
        headers: Request headers, with case-insensitive names.
        hosts: Accepted host names besides ``localhost`` and IP addresses, in lower case.

    Raises:
        RequestError: The request is rejected.
    """
    if not is_expected_host(headers.get("Host", ""), hosts):
        raise RequestError(403, UNEXPECTED_HOST)
    if not allowed:
        raise RequestError(404, "There is no such page")
    if method not in allowed:
        names = ", ".join(allowed)
        raise RequestError(405, f"Allowed: {names}", {"Allow": names})
    if method in READING:
        return
    # Browsers send this type to another site only after a preflight request, as they do for every DELETE.
    content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if method != "DELETE" and content_type != "application/json":
        raise RequestError(415, "The body must be application/json")
    if headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        raise RequestError(403, "Settings can be changed only from this sandbox's own page")


UNEXPECTED_HOST: Final = (
    "This host name is not allowed, as it could be a DNS rebinding attack:"
    " use an IP address or localhost, or allow the name with --allow-host"
)


def is_expected_host(given: str, hosts: Collection[str]) -> bool:
    """Whether a Host header names an IP address, ``localhost`` or an allowed name. Other names may be DNS rebinding.

    Args:
        given: The Host header.
        hosts: Allowed names, in lower case.
    """
    found = re.fullmatch(r"(?:\[([^]]*)\]|([^:]*))(?::\d*)?", given)
    name = (found[1] or found[2] or "").lower() if found else ""
    if name == "localhost" or name in hosts:
        return bool(name)
    return _is_address(name)


def is_host_name(text: str) -> bool:
    """Whether a text is a host name or an IP address, as the name in a Host header can be."""
    return bool(_HOST_NAME.fullmatch(text)) or _is_address(text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

"""Settings of a client: regions, base URL, proxy, headers, timeouts. Validation only, no I/O."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from voucherify_async.errors import ConfigurationError
from voucherify_async.models._json import is_mapping

__all__ = [
    "Region",
    "Timeouts",
    "check_base_url",
    "check_headers",
    "check_proxy",
    "check_seconds",
    "environment_proxy",
    "is_loopback",
    "is_url",
    "read_setting",
]

_API_VERSION: Final = re.compile(r"v\d+", re.IGNORECASE)
"""The first segment of each path of the API."""

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2


class Region(StrEnum):
    """The URLs of the service's shared clusters. A dedicated cluster has its own URL.

    Attributes:
        EUROPE: The cluster in Europe, the default.
        US: The cluster in the United States.
        ASIA: The cluster in Asia.
    """

    EUROPE = "https://api.voucherify.io"
    US = "https://us1.api.voucherify.io"
    ASIA = "https://as1.api.voucherify.io"


def check_seconds(name: str, value: float | None, *, zero: bool = False) -> None:
    """Reject a duration that is not a positive number of seconds, or `None` for no limit."""
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and value <= sys.float_info.max and (value > 0 or (zero and value == 0))):
        raise ConfigurationError(f"{name} must be a positive number of seconds, not {value!r}")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits for the parts of one attempt, in seconds; `None` means no limit.

    Attributes:
        connect: For opening a connection, DNS lookup and TLS handshake included.
        read: Between two reads of the response.
        attempt: For the whole attempt, from when it has a connection pool slot.
        pool: For acquiring a connection pool slot.
    """

    connect: float | None = 10.0
    read: float | None = 30.0
    attempt: float | None = 30.0
    pool: float | None = None

    def __post_init__(self) -> None:
        """Reject values that are not durations."""
        for name in ("connect", "read", "attempt", "pool"):
            check_seconds(f"timeout.{name}", getattr(self, name))


_RESERVED_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that control message framing or the connection, and are set by the transport."""


def check_headers(name: str, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return a copy of valid headers. Reject invalid ones and those that the transport sets; errors omit the values."""
    if not is_mapping(headers):
        raise ConfigurationError(f"{name} must be a mapping of names to values, not {type(headers).__name__}")
    bad = next((key for key, value in headers.items() if not _is_valid_header(key, value)), None)
    reserved = next(
        (key for key in headers if isinstance(key, str) and key.lower() in _RESERVED_HEADERS), None
    )
    if bad is None and reserved is None:
        return dict(headers)
    del headers  # error reporters show the local variables of a traceback
    if reserved is not None:
        raise ConfigurationError(f"{name} must not have {reserved!r}: the connection sets it")
    raise ConfigurationError(f"{name} has a header that cannot be sent: {bad!r}")


def _is_valid_header(key: object, value: object) -> bool:
    valid_name = isinstance(key, str) and _HEADER_NAME.fullmatch(key) is not None
    return valid_name and isinstance(value, str) and value.isprintable()


def environment_proxy(base_url: str) -> str | None:
    """The proxy for the service in the environment variables; `None` if there is none or ``NO_PROXY`` matches."""
    parts = urlsplit(base_url)
    if is_loopback(parts.hostname or ""):
        return None  # check_base_url allows plain http to loopback because it never leaves this machine
    proxy = getproxies().get(parts.scheme)
    return None if proxy is None or proxy_bypass(parts.netloc) else proxy


def check_proxy(name: str, proxy: str) -> str:
    """Reject a proxy that is not an http(s) URL; the error omits its credentials."""
    if not is_url(proxy):
        raise ConfigurationError(f"{name} must be an http(s) URL, not {_without_credentials(proxy)!r}")
    return proxy


def read_setting(name: str) -> str | None:
    """The value of an environment variable; `None` if it is unset or empty."""
    return os.environ.get(name) or None


def check_base_url(base_url: str, *, allow_http: bool) -> str:
    """The base URL without a trailing slash. Reject an invalid one, and plain http to other hosts than loopback."""
    if not is_url(base_url):
        raise ConfigurationError(
            f"base_url must be an http(s) URL with a scheme and a host, such as {Region.EUROPE.value}, "
            f"not {_without_credentials(base_url)!r}"
        )
    if set(base_url) & set("?#@"):
        raise ConfigurationError("base_url must not have credentials, a query or a fragment")
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise ConfigurationError(
            f"base_url is plain http to {host!r}, which would send the keys unencrypted; "
            f"use https, or allow_http=True for a sandbox in your own network"
        )
    api_path = next(filter(_API_VERSION.fullmatch, parts.path.split("/")), None)
    if api_path is not None:
        raise ConfigurationError(
            f"base_url must end before the path of the API: leave out everything from /{api_path} on"
        )
    return base_url.rstrip("/")


def is_url(url: object) -> bool:
    """Whether the value is an http(s) URL with a host, without spaces and non-ASCII characters."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port  # the property validates it
        host = (parts.hostname or "").encode("idna")
    except ValueError:  # an invalid port, IPv6 address or host name
        return False
    return parts.scheme in {"http", "https"} and bool(host)


def _without_credentials(url: object) -> str:
    head, at, tail = str(url).rpartition("@")
    return f"***@{tail}" if at else tail or head


def is_loopback(host: str) -> bool:
    """Whether the host name or address is a loopback one."""
    name = host.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

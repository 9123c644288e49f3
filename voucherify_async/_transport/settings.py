"""Where the service is, how it is reached, and how long its answers may take. No I/O."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from voucherify_async.errors import ConfigurationError
from voucherify_async.models.base import is_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Region",
    "Timeouts",
    "check_base_url",
    "check_headers",
    "check_proxy",
    "check_seconds",
    "environment_proxy",
    "is_loopback",
    "package_version",
    "read_setting",
]

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2


class Region(StrEnum):
    """The service's shared clusters. A dedicated cluster has a URL of its own."""

    EUROPE = "https://api.voucherify.io"
    US = "https://us1.api.voucherify.io"
    ASIA = "https://as1.api.voucherify.io"


def check_seconds(name: str, value: float | None, *, zero: bool = False) -> None:
    """Refuse a duration that is not a positive number of seconds (`None`: no limit)."""
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and value <= sys.float_info.max and (value > 0 or (zero and value == 0))):
        raise ConfigurationError(f"{name} must be a positive number of seconds, not {value!r}")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that the parts of one attempt may take; `None` sets no limit.

    Attributes:
        connect: To make a connection, name look-up and TLS included.
        read: Between two pieces of the answer.
        attempt: For the whole attempt, from when it holds a place in the pool.
        pool: To get a place in the pool.
    """

    connect: float | None = 10.0
    read: float | None = 30.0
    attempt: float | None = 30.0
    pool: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a duration."""
        for name in ("connect", "read", "attempt", "pool"):
            check_seconds(f"timeout.{name}", getattr(self, name))


_OWNED: Final = frozenset(
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
"""Headers that say where a message ends, or what becomes of its connection."""


def check_headers(name: str, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Refuse headers that cannot be sent as they are, or that the transport sets; the error leaves the values out."""
    if not is_mapping(headers):
        raise ConfigurationError(f"{name} must be a mapping of names to values, not {type(headers).__name__}")
    bad = next((key for key, value in headers.items() if not _can_be_sent(key, value)), None)
    owned = next((key for key in headers if isinstance(key, str) and key.lower() in _OWNED), None)
    if bad is None and owned is None:
        return dict(headers)
    del headers  # error reporters show the local variables of a traceback
    if owned is not None:
        raise ConfigurationError(f"{name} must not have {owned!r}: it belongs to the connection")
    raise ConfigurationError(f"{name} has a header that cannot be sent: {bad!r}")


def _can_be_sent(key: object, value: object) -> bool:
    named = isinstance(key, str) and _TOKEN.fullmatch(key) is not None
    return named and isinstance(value, str) and value.isprintable()


def environment_proxy(base_url: str) -> str | None:
    """The proxy that the environment names for the service, unless it exempts its host."""
    parts = urlsplit(base_url)
    if is_loopback(parts.hostname or ""):
        return None  # plain http is allowed to loopback because it stays on this machine
    proxy = getproxies().get(parts.scheme)
    return None if proxy is None or proxy_bypass(parts.netloc) else proxy


def check_proxy(name: str, proxy: str) -> str:
    """Refuse a proxy that is not an HTTP proxy; the text of the error leaves its credentials out."""
    if not _is_url(proxy):
        raise ConfigurationError(f"{name} must be an http(s) URL, not {_without_credentials(proxy)!r}")
    return proxy


def package_version() -> str:
    """The version of this package."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # takes as long as all models

    try:
        return version("voucherify-async")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


def read_setting(name: str) -> str | None:
    """A setting from the environment; an empty one counts as absent."""
    return os.environ.get(name) or None


def check_base_url(base_url: str, *, allow_http: bool) -> str:
    """The base URL without a trailing slash, if it is one that keys may be sent to."""
    if not _is_url(base_url):
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
            f"base_url is plain http to {host!r}, which would send the keys in the clear; "
            f"use https, or allow_http=True for a sandbox in a network of your own"
        )
    return base_url.rstrip("/")


def _is_url(url: object) -> bool:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
        host = (parts.hostname or "").encode("idna")
    except ValueError:  # a bad port, brackets that hold no address, a label that no name can have
        return False
    return parts.scheme in {"http", "https"} and bool(host)


def _without_credentials(url: object) -> str:
    head, at, tail = str(url).rpartition("@")
    return f"***@{tail}" if at else tail or head


def is_loopback(host: str) -> bool:
    """Whether the name says that only this machine can reach the host."""
    name = host.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from voucherify_async import ApiKeys, Auth, ConfigurationError, OAuthToken, Region, Timeouts, VoucherifyClient
from voucherify_async._transport.settings import check_base_url, check_headers, check_proxy, environment_proxy

KEYS = ("id", "token")


@pytest.mark.parametrize(
    ("url", "allow_http"),
    [
        ("https://api.voucherify.io", False),
        (Region.ASIA, False),
        ("https://own.example.com/prefix/", False),
        ("http://localhost:8181", False),
        ("http://127.0.0.1:8181", False),
        ("http://127.8.8.8", False),
        ("http://[::1]:8181", False),
        ("http://sandbox.localhost", False),
        ("http://sandbox:8181", True),
    ],
)
def test_base_urls(url: str, allow_http: bool) -> None:
    assert check_base_url(url, allow_http=allow_http) == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("api.voucherify.io", "with a scheme"),
        ("", "with a scheme"),
        ("//api.voucherify.io", "with a scheme"),
        ("https://", "with a scheme"),
        ("ftp://api.voucherify.io", "with a scheme"),
        ("http://api.voucherify.io", "plain http"),
        ("http://10.0.0.1", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("https://user:secret@api.voucherify.io", "credentials"),
        ("user:secret@api.voucherify.io", "with a scheme"),
        ("https://api.voucherify.io?x=1", "query"),
        ("https://api.voucherify.io#x", "fragment"),
        ("https://api.voucherify.io:port", "with a scheme"),
        ("https://api.voucherify.io?", "query"),
        ("https://[::1", "with a scheme"),
        ("https://..", "with a scheme"),
        (f"https://{'x' * 300}", "with a scheme"),
        ("https://a b", "with a scheme"),
        ("https://api.voucherify.io/v1", "leave out everything from /v1 on"),
        ("https://api.voucherify.io/V1/", "leave out everything from /V1 on"),
        ("https://api.voucherify.io/proxy/v2/customers", "leave out everything from /v2 on"),
        ("https://api.voucherify.io\n", "with a scheme"),
    ],
)
def test_bad_base_urls(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"base_url.*{problem}") as caught:
        check_base_url(url, allow_http=False)
    assert "secret" not in str(caught.value)


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOUCHERIFY_APP_ID", "env-id")
    monkeypatch.setenv("VOUCHERIFY_APP_TOKEN", "env-token")
    monkeypatch.setenv("VOUCHERIFY_BASE_URL", Region.US)
    client = VoucherifyClient()
    assert client._sessions.options.auth == ApiKeys("env-id", "env-token")
    assert repr(client) == "<VoucherifyClient https://us1.api.voucherify.io>"
    assert repr(VoucherifyClient(base_url=Region.ASIA)) == "<VoucherifyClient https://as1.api.voucherify.io>"


def test_europe_is_the_default() -> None:
    assert repr(VoucherifyClient(*KEYS)) == "<VoucherifyClient https://api.voucherify.io>"


@pytest.mark.parametrize("keys", [{}, {"app_id": "a"}, {"app_token": "b"}, {"app_id": "", "app_token": ""}])
def test_no_keys(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="no API keys: pass app_id and app_token"):
        VoucherifyClient(**keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"base_url": "api.voucherify.io"}, "base_url"),
        ({"base_url": "http://api.voucherify.io"}, "base_url"),
        ({"auth": OAuthToken("t")}, "auth replaces app_id and app_token"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1.0}, "timeout"),
        ({"deadline": float("inf")}, "deadline"),
        ({"max_connections": 0}, "max_connections"),
        ({"keepalive_timeout": 0}, "keepalive_timeout"),
        ({"max_response_bytes": 0}, "max_response_bytes"),
        ({"headers": {"X-A": "b\r\nX-Evil: 1"}}, "headers"),
        ({"headers": {"X A": "b"}}, "headers"),
        ({"user_agent": "a\nb"}, "user_agent"),
        ({"api_version": "v\n"}, "api_version"),
        ({"ssl": False}, "ssl"),
        ({"base_url": 5}, "base_url"),
        ({"headers": {"X-A": 5}}, "headers"),
        ({"timeout": "3"}, "timeout"),
        ({"max_connections": "3"}, "max_connections"),
        ({"retry": None}, "retry"),
        ({"proxy": "http://[x"}, "proxy"),
        ({"proxy": "http://proxy:99999"}, "proxy"),
    ],
)
def test_bad_settings(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        VoucherifyClient(*KEYS, **settings)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ApiKeys("", "b"),
        lambda: ApiKeys("a", " "),
        lambda: ApiKeys("a", "b\n"),
        lambda: ApiKeys("ä", "b"),
        lambda: OAuthToken(""),
        lambda: OAuthToken(None),  # type: ignore[arg-type]
    ],
)
def test_bad_credentials(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        make()


@pytest.mark.parametrize("auth", ["token", ApiKeys])
def test_bad_auth(auth: Any) -> None:
    with pytest.raises(ConfigurationError, match="auth must be an object such as OAuthToken"):
        VoucherifyClient(auth=auth)


def test_what_credentials_send() -> None:
    assert ApiKeys("a", "b").headers() == {"X-App-Id": "a", "X-App-Token": "b"}
    assert OAuthToken("t").headers() == {"Authorization": "Bearer t", "X-Voucherify-OAuth": "Bearer t"}
    assert isinstance(ApiKeys("a", "b"), Auth)


def test_secrets_are_not_in_a_repr() -> None:
    assert "hush" not in repr(ApiKeys("a", "hush"))
    assert "hush" not in repr(OAuthToken("hush"))
    client = VoucherifyClient("a", "hush", proxy="http://user:hush@proxy:1", headers={"X-Key": "hush"})
    assert "hush" not in repr(client)
    assert "hush" not in repr(client._sessions.options)
    assert "hush" not in repr(client._sessions.pool.settings)


@pytest.mark.parametrize("name", ["connect", "read", "attempt", "pool"])
def test_bad_timeouts(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"timeout.{name}"):
        Timeouts(**{name: 0})


def test_timeouts_of_a_client() -> None:
    assert VoucherifyClient(*KEYS)._sessions.options.timeouts == Timeouts()
    assert VoucherifyClient(*KEYS, timeout=None)._sessions.options.timeouts == Timeouts(
        read=None, attempt=None
    )
    own = Timeouts(connect=1, pool=2)
    assert VoucherifyClient(*KEYS, timeout=own)._sessions.options.timeouts is own


def test_proxies_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment_proxy("https://api.voucherify.io") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert environment_proxy("https://api.voucherify.io") == "http://proxy:3128"
    assert environment_proxy("http://localhost:1") is None
    monkeypatch.setenv("NO_PROXY", "voucherify.io")
    assert environment_proxy("https://api.voucherify.io") is None


def test_bad_proxy() -> None:
    with pytest.raises(ConfigurationError, match="proxy must be an http") as caught:
        check_proxy("proxy", "socks5://user:hush@proxy:1")
    assert "hush" not in str(caught.value)


def test_headers_are_copied() -> None:
    given = {"X-A": "b"}
    assert check_headers("headers", given) == given
    assert check_headers("headers", given) is not given


def test_an_ssl_context_is_taken() -> None:
    VoucherifyClient(*KEYS, ssl=ssl.create_default_context())


def test_views_share_the_pool() -> None:
    client = VoucherifyClient(*KEYS, headers={"X-A": "1", "X-B": "1"})
    view = client.with_options(timeout=5, deadline=9, headers={"X-B": "2"})
    assert view._sessions.pool is client._sessions.pool
    assert view._sessions.options.timeouts == Timeouts(read=5, attempt=5)
    assert view._sessions.options.deadline == 9
    assert view._sessions.options.headers["X-A"] == "1"
    assert view._sessions.options.headers["X-B"] == "2"
    assert client._sessions.options.deadline is None
    assert view.with_options(deadline=None)._sessions.options.deadline is None
    with pytest.raises(ConfigurationError, match="deadline"):
        client.with_options(deadline=-1)

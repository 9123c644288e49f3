"""The client: settings, lifetime, resources."""

from __future__ import annotations

import platform
import ssl as ssl_module
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

import msgspec

from voucherify_async._transport.auth import ApiKeys, Auth, OAuthClientCredentials
from voucherify_async._transport.hooks import Hook, Hooks
from voucherify_async._transport.operation import Body, Operation, Query, Request, Response
from voucherify_async._transport.pool import ConnectionPool, Connector, PoolSettings
from voucherify_async._transport.rate_limit import AdaptiveRateLimiter, RateLimit, RateLimiter
from voucherify_async._transport.retry import RetryPolicy
from voucherify_async._transport.secrets import credentials_in
from voucherify_async._transport.session import CallOptions, SessionManager
from voucherify_async._transport.settings import (
    Region,
    Timeouts,
    check_base_url,
    check_headers,
    check_proxy,
    check_seconds,
    package_version,
    read_setting,
)
from voucherify_async._transport.token_manager import TokenManager
from voucherify_async._transport.wire import (
    FilePart,
    check_strings,
    encode_content,
    encode_form,
    encode_json,
    encode_multipart,
    encode_path,
    encode_query,
    json_value,
)
from voucherify_async.errors import ConfigurationError
from voucherify_async.models.base import UNSET, UnsetType, is_mapping, is_sequence
from voucherify_async.pagination.pager import Listing, Pager
from voucherify_async.pagination.rules import PageNumberRule, Rule
from voucherify_async.pagination.rules.base import WalkRule
from voucherify_async.resources._inputs import check_limit
from voucherify_async.resources.async_actions import AsyncActionsResource
from voucherify_async.resources.customers import CustomersResource
from voucherify_async.resources.oauth import OAuthResource

__all__ = ["VoucherifyClient"]

T = TypeVar("T")

_SAFE_TO_REPEAT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_DEFAULT_MAX_RESPONSE_BYTES: Final = 64 * 1024 * 1024


class VoucherifyClient:
    """A client of the Voucherify API.

    ::

        async with VoucherifyClient() as voucherify:
            customer = await voucherify.customers.get("crm-1")

    One client serves any number of tasks of one event loop. Its connections are opened at first use.
    """

    def __init__(
        self,
        app_id: str | None = None,
        app_token: str | None = None,
        *,
        auth: Auth | OAuthClientCredentials | None = None,
        base_url: str | None = None,
        api_version: str | None = None,
        timeout: float | Timeouts | None = 30.0,
        deadline: float | None = None,
        retry: RetryPolicy = RetryPolicy(),
        rate_limiter: RateLimiter | UnsetType | None = UNSET,
        max_connections: int = 100,
        keepalive_timeout: float = 30.0,
        max_response_bytes: int = _DEFAULT_MAX_RESPONSE_BYTES,
        headers: Mapping[str, str] | None = None,
        user_agent: str | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        ssl: ssl_module.SSLContext | None = None,
        allow_http: bool = False,
        connector: Connector | None = None,
        hooks: Iterable[Hook] = (),
    ) -> None:
        """Check the settings; does no I/O.

        Args:
            app_id: Application id; else `VOUCHERIFY_APP_ID`.
            app_token: Its secret token; else `VOUCHERIFY_APP_TOKEN`.
            auth: Another way to authenticate, `OAuthClientCredentials`, `OAuthToken` or an `Auth` of your own,
                in place of the keys.
            base_url: A `Region`, or the URL of a dedicated cluster or sandbox; else `VOUCHERIFY_BASE_URL`,
                else Europe. Plain ``http://`` is refused except to loopback addresses.
            api_version: Pins the version of the API, for example ``v2018-08-01``.
            timeout: Seconds for one attempt, connecting included, from when it holds a place in the pool;
                `Timeouts` for more; `None` sets no limit.
            deadline: Seconds for a whole call, all waits and attempts included; for each page of a pager.
            retry: When to repeat a failed attempt; `RetryPolicy(attempts=1)` never does.
            rate_limiter: Says when requests may be sent; left out, an `AdaptiveRateLimiter` of its own; `None`
                for none. Either way all calls wait when the service refuses one for its rate limit.
            max_connections: Connections open at once.
            keepalive_timeout: Seconds after which an idle connection is closed.
            max_response_bytes: The longest answer to accept, in bytes after decompression.
            headers: Sent with every request.
            user_agent: In place of the package's own.
            proxy: URL of an HTTP proxy.
            trust_env: Use the proxy that the environment names, read once when the pool opens.
            ssl: In place of the default TLS settings. Verification cannot be switched off by a flag.
            allow_http: Allow plain ``http://`` to any host.
            connector: A connector of yours, which is used and never closed.
            hooks: Objects with any of `on_request`, `on_response`, `on_retry`, `on_error`; see
                `voucherify_async._transport.hooks`.

        Raises:
            ConfigurationError: A setting is missing or makes no sense; names it.
        """
        identity = _identity(auth, app_id, app_token)
        del auth, app_id, app_token  # error reporters show the local variables of a traceback
        if isinstance(identity, ConfigurationError):
            raise identity
        for name, count in (("max_connections", max_connections), ("max_response_bytes", max_response_bytes)):
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise ConfigurationError(f"{name} must be an integer from 1, not {count!r}")
        _check_retry(retry)
        if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):
            raise ConfigurationError(f"ssl must be an ssl.SSLContext, not {ssl!r}: TLS is always verified")
        for name, flag in (("trust_env", trust_env), ("allow_http", allow_http)):
            if not isinstance(flag, bool):
                raise ConfigurationError(f"{name} must be True or False, not {flag!r}")
        if connector is not None and not isinstance(connector, Connector):
            raise ConfigurationError(f"connector must be a connector of aiohttp, not {connector!r}")
        check_seconds("keepalive_timeout", keepalive_timeout)
        url = base_url or read_setting("VOUCHERIFY_BASE_URL") or Region.EUROPE
        defaults = {"Accept": "application/json", "User-Agent": user_agent or _user_agent()}
        if api_version is not None:
            defaults["X-Voucherify-API-Version"] = api_version
        check_headers("user_agent or api_version", defaults)
        pool = ConnectionPool(
            PoolSettings(
                base_url=check_base_url(url, allow_http=allow_http),
                max_connections=max_connections,
                keepalive_timeout=keepalive_timeout,
                max_response_bytes=max_response_bytes,
                proxy=None if proxy is None else check_proxy("proxy", proxy),
                trust_env=trust_env,
                ssl=ssl,
                connector=connector,
                headers=defaults,
            )
        )
        options = CallOptions(
            auth=TokenManager(identity, pool.clock)
            if isinstance(identity, OAuthClientCredentials)
            else identity,
            timeouts=_timeouts(timeout),
            deadline=_deadline(deadline),
            retry=retry,
            headers=check_headers("headers", headers or {}),
            rate_limiter=AdaptiveRateLimiter(clock=pool.clock)
            if rate_limiter is UNSET
            else _check_limiter(rate_limiter),
            hooks=Hooks(hooks),
        )
        self._sessions = SessionManager(pool, options)

    @classmethod
    def _over(cls, sessions: SessionManager) -> Self:
        client = cls.__new__(cls)
        client._sessions = sessions  # noqa: SLF001  # its own
        return client

    def __repr__(self) -> str:
        # An error reporter may ask before there are any, when a setting was refused.
        where = self._sessions.pool.settings.base_url if hasattr(self, "_sessions") else "not set up"
        return f"<{type(self).__name__} {where}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. May be called twice; the client and its views cannot be used again."""
        await self._sessions.aclose()

    def with_options(
        self,
        *,
        timeout: float | Timeouts | UnsetType | None = UNSET,
        deadline: float | UnsetType | None = UNSET,
        retry: RetryPolicy | UnsetType = UNSET,
        headers: Mapping[str, str] | UnsetType = UNSET,
        rate_limiter: RateLimiter | UnsetType | None = UNSET,
    ) -> Self:
        """A view of the client with other settings, which shares its connections.

        Args:
            timeout: As for the client.
            deadline: As for the client.
            retry: As for the client.
            headers: Sent besides the client's own, and in place of those of the same name.
            rate_limiter: As for the client; left out, the client's.

        Raises:
            ConfigurationError: A setting makes no sense; names it.
        """
        changes: dict[str, Any] = {}
        if timeout is not UNSET:
            changes["timeouts"] = _timeouts(timeout)
        if deadline is not UNSET:
            changes["deadline"] = _deadline(deadline)
        if retry is not UNSET:
            changes["retry"] = _check_retry(retry)
        if headers is not UNSET:
            changes["headers"] = {**self._sessions.options.headers, **check_headers("headers", headers)}
        if rate_limiter is not UNSET:
            changes["rate_limiter"] = _check_limiter(rate_limiter)
        return self._over(self._sessions.with_options(**changes))

    @property
    def rate_limit(self) -> RateLimit | None:
        """The project's rate limit as the last answer described it; `None` before one did."""
        return self._sessions.pool.rate_limit

    @cached_property
    def customers(self) -> CustomersResource:
        """Customers."""
        return CustomersResource(self._sessions)

    @cached_property
    def async_actions(self) -> AsyncActionsResource:
        """Background jobs, which bulk calls start."""
        return AsyncActionsResource(self._sessions)

    @cached_property
    def oauth(self) -> OAuthResource:
        """OAuth 2.0 access tokens."""
        return OAuthResource(self._sessions)

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        path_params: Mapping[str, str] | None = ...,
        query: Query | None = ...,
        json: Any = ...,
        form: Mapping[str, str] | None = ...,
        content: bytes | None = ...,
        files: Mapping[str, tuple[str, bytes, str]] | None = ...,
        headers: Mapping[str, str] | None = ...,
        into: type[T],
        repeatable: bool | None = ...,
    ) -> Response[T]: ...

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        path_params: Mapping[str, str] | None = ...,
        query: Query | None = ...,
        json: Any = ...,
        form: Mapping[str, str] | None = ...,
        content: bytes | None = ...,
        files: Mapping[str, tuple[str, bytes, str]] | None = ...,
        headers: Mapping[str, str] | None = ...,
        into: Any = ...,
        repeatable: bool | None = ...,
    ) -> Response[Any]: ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        path_params: Mapping[str, str] | None = None,
        query: Query | None = None,
        json: Any = UNSET,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        into: Any = Any,
        repeatable: bool | None = None,
    ) -> Response[Any]:
        """Call any endpoint, with all that the client does for its own.

        Args:
            method: HTTP method.
            path: Path with ``{names}`` for its parameters, for example ``/v1/vouchers/{code}``. Errors, logs and
                hooks name it, so leave ids to `path_params`.
            path_params: The parameters; each becomes one segment, percent-encoded.
            query: Query parameters; nested values become deep objects, `None` is left out.
            json: JSON body.
            form: Form-encoded body, or the fields beside `files`.
            content: Body as bytes; give its ``Content-Type`` in `headers`.
            files: Multipart body: file name, content and content type, by the name of the part.
            headers: Further headers.
            into: What to decode the answer into: any type that msgspec decodes, `bytes` for the body as it
                is, `type(None)` for nothing. Left out: plain JSON values, `None` for an empty body.
            repeatable: Whether the request may be sent twice; by default GET, HEAD, PUT and DELETE may.

        Raises:
            ValueError: An argument cannot be sent; names it.
            VoucherifyError: The call failed.
        """
        if not isinstance(method, str) or not method.isascii() or not method.isalpha():
            raise ValueError(f"method must be an HTTP method, not {method!r}")
        if repeatable not in (None, True, False):
            raise ValueError(f"repeatable must be True, False or None, not {repeatable!r}")
        _check_type("into", into)
        method = method.upper()
        may_repeat = method in _SAFE_TO_REPEAT if repeatable is None else repeatable
        removes = method == "DELETE" and into in (Any, type(None))
        operation = Operation[Any](
            f"{method} {path}",
            method,
            _checked_path(path),
            into,
            may_repeat,
            confidential=path.startswith("/v1/oauth/"),
            removes=removes,
        )
        encoded = encode_query({} if query is None else query)
        target = encode_path(operation.path, check_strings("path_params", path_params))
        request = Request(
            operation,
            f"{target}?{encoded}" if encoded else target,
            _body(json, form, content, files),
            check_headers("headers", {} if headers is None else headers),
            secrets=tuple(credentials_in(form or {})),
        )
        return await self._sessions.respond(request)

    @overload
    def paginate(
        self,
        path: str,
        *,
        path_params: Mapping[str, str] | None = ...,
        query: Query | None = ...,
        items: str = ...,
        into: type[T],
        rule: Rule[Any] | WalkRule | None = ...,
        cursor: str | None = ...,
    ) -> Pager[T]: ...

    @overload
    def paginate(
        self,
        path: str,
        *,
        path_params: Mapping[str, str] | None = ...,
        query: Query | None = ...,
        items: str = ...,
        rule: Rule[Any] | WalkRule | None = ...,
        cursor: str | None = ...,
    ) -> Pager[dict[str, Any]]: ...

    def paginate(
        self,
        path: str,
        *,
        path_params: Mapping[str, str] | None = None,
        query: Query | None = None,
        items: str = "data",
        into: Any = dict[str, Any],
        rule: Rule[Any] | WalkRule | None = None,
        cursor: str | None = None,
    ) -> Pager[Any]:
        """Stream any list endpoint.

        Args:
            path: Path with ``{names}`` for its parameters.
            path_params: The parameters; each becomes one segment, percent-encoded.
            query: Filters, and `limit` for the size of the pages.
            items: The property of the answer that holds the items.
            into: What an item decodes into; left out: a plain `dict`.
            rule: How to walk the list, one of `voucherify_async.pagination` or your own; by page number
                if left out.
            cursor: Go on where a page's `next_cursor` says.

        Raises:
            ValueError: An argument cannot be sent, or `cursor` was made for another list; names it.
        """
        if query is not None and not is_mapping(query):
            raise ValueError(f"query must be a mapping, not {type(query).__name__}")
        if not isinstance(items, str) or not items:
            raise ValueError(f"items must be the name of a property, not {items!r}")
        if rule is not None and not (hasattr(rule, "name") and hasattr(rule, "state_type")):
            raise ValueError(f"rule must be a rule of voucherify_async.pagination or your own, not {rule!r}")
        _check_type("into", into)
        filters = dict(query or {})
        limit = check_limit(filters.pop("limit", None))
        listing = Listing[Any](
            sessions=self._sessions,
            operation=Operation[Any](f"GET {path}", "GET", _checked_path(path), Any),
            path=encode_path(path, check_strings("path_params", path_params)),
            query=filters,
            items=items,
            into=into,
        )
        return Pager(listing, rule or PageNumberRule(), limit=limit, cursor=cursor)


def _body(
    json: Any,
    form: Mapping[str, str] | None,
    content: bytes | None,
    files: Mapping[str, tuple[str, bytes, str]] | None,
) -> Body | None:
    given = [
        name
        for name, is_given in (
            ("json", json is not UNSET),
            ("form", form is not None and files is None),
            ("content", content is not None),
            ("files", files is not None),
        )
        if is_given
    ]
    match given:
        case []:
            return None
        case ["json"]:
            return encode_json("json", json_value("json", json))
        case ["form"]:
            return encode_form(form)
        case ["content"]:
            return encode_content("content", b"" if content is None else content)
        case ["files"]:
            return encode_multipart(_parts(files), form)
        case _:
            raise ValueError(f"a request has one body, not {len(given)}: {', '.join(given)}")


def _parts(files: Any) -> dict[str, FilePart]:
    if not is_mapping(files):
        raise ValueError(f"files must be a mapping, not {type(files).__name__}")
    for name, part in files.items():
        if not is_sequence(part) or [type(value) for value in part] != [str, bytes, str]:
            raise ValueError(f"files[{name!r}] must be a file name, the content as bytes, and a content type")
    return {name: FilePart(*part) for name, part in files.items()}


def _check_type(name: str, into: Any) -> None:
    try:
        _check_decodable(into)
    except TypeError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{name} must be a type that msgspec decodes, not {into!r}: {reason}") from None


@lru_cache(maxsize=256)
def _check_decodable(into: Any) -> None:
    msgspec.json.Decoder(into)
    msgspec.json.schema(into)  # of classes that msgspec does not know, a decoder says so too late


def _checked_path(path: str) -> str:
    if not isinstance(path, str):
        raise ValueError(f"path must be a string, not {type(path).__name__}")
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or set(path) & set("?# "):
        raise ValueError(f"path must be a plain path that starts with '/', without a query, not {path!r}")
    return path


def _identity(
    auth: Auth | OAuthClientCredentials | None, app_id: str | None, app_token: str | None
) -> Auth | OAuthClientCredentials | ConfigurationError:
    """Who the calls come from: what was given, or the keys of the environment; or what is wrong with them."""
    if auth is None:
        app_id = app_id or read_setting("VOUCHERIFY_APP_ID")
        app_token = app_token or read_setting("VOUCHERIFY_APP_TOKEN")
        if app_id is None or app_token is None:
            return ConfigurationError(
                "no API keys: pass app_id and app_token, or auth, or set VOUCHERIFY_APP_ID and "
                "VOUCHERIFY_APP_TOKEN in the environment"
            )
        try:
            return ApiKeys(app_id, app_token)
        except ConfigurationError as error:
            return ConfigurationError(*error.args)  # with a traceback that does not have the keys
    if not isinstance(auth, Auth | OAuthClientCredentials) or isinstance(auth, type):
        kind = type(auth).__name__
        return ConfigurationError(
            f"auth must be an object such as OAuthToken(...) or OAuthClientCredentials(...), not {kind}"
        )
    if app_id is not None or app_token is not None:
        return ConfigurationError("auth takes the place of app_id and app_token: give one or the other")
    return auth


def _check_limiter(limiter: RateLimiter | None) -> RateLimiter | None:
    if limiter is not None and (not isinstance(limiter, RateLimiter) or isinstance(limiter, type)):
        raise ConfigurationError(f"rate_limiter must have the methods of RateLimiter, not be {limiter!r}")
    return limiter


def _check_retry(retry: RetryPolicy) -> RetryPolicy:
    if not isinstance(retry, RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy, not {retry!r}")
    return retry


def _timeouts(timeout: float | Timeouts | None) -> Timeouts:
    if isinstance(timeout, Timeouts):
        return timeout
    check_seconds("timeout", timeout)
    return Timeouts(attempt=timeout, read=timeout)


def _deadline(deadline: float | None) -> float | None:
    check_seconds("deadline", deadline)
    return deadline


def _user_agent() -> str:
    return f"voucherify-async/{package_version()} Python/{platform.python_version()}"

"""`VoucherifyClient`: its settings, lifetime and resources."""

from __future__ import annotations

import platform
import ssl as ssl_module
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, TypeVar, overload

from voucherify_async._transport.auth import ApiKeys, Auth, OAuthClientCredentials
from voucherify_async._transport.hooks import Hook, Hooks
from voucherify_async._transport.operation import Body, Operation, Query, Request, Response, ResponseInfo
from voucherify_async._transport.pool import ConnectionPool, Connector, PoolSettings
from voucherify_async._transport.project import Projects
from voucherify_async._transport.rate_limit import (
    AdaptiveRateLimiter,
    RateLimit,
    RateLimiter,
    limiter_for_project,
)
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
    read_setting,
)
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
from voucherify_async._version import __version__
from voucherify_async.errors import ConfigurationError
from voucherify_async.models._json import is_mapping, is_sequence
from voucherify_async.models.base import UNSET, UnsetType
from voucherify_async.pagination.pager import Listing, Pager
from voucherify_async.pagination.rules import PageNumberRule, Rule
from voucherify_async.pagination.rules.base import WalkRule
from voucherify_async.resources._inputs import check_decodable, check_limit

if TYPE_CHECKING:
    from voucherify_async.resources.async_actions import AsyncActionsResource
    from voucherify_async.resources.customers import CustomersResource
    from voucherify_async.resources.oauth import OAuthResource

__all__ = ["ClientSettings", "VoucherifyClient"]

T = TypeVar("T")

_IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class ClientSettings(TypedDict, total=False):
    """The keyword arguments of `VoucherifyClient`, which documents them, for functions that pass them on."""

    app_id: str | None
    app_token: str | None
    auth: Auth | OAuthClientCredentials | None
    base_url: str | None
    api_version: str | None
    timeout: float | Timeouts | None
    deadline: float | None
    retry: RetryPolicy
    rate_limiter: RateLimiter | UnsetType | None
    max_connections: int
    keepalive_timeout: float
    max_response_bytes: int
    headers: Mapping[str, str] | None
    user_agent: str | None
    proxy: str | None
    trust_env: bool
    ssl: ssl_module.SSLContext | None
    allow_http: bool
    connector: Connector | None
    hooks: Iterable[Hook]


class VoucherifyClient:
    """A client for the Voucherify API.

    ::

        async with VoucherifyClient() as voucherify:
            customer = await voucherify.customers.get("crm-1")

    Any number of tasks of one event loop can share a client. Connections are opened at first use.
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
        max_response_bytes: int = 64 * 1024 * 1024,
        headers: Mapping[str, str] | None = None,
        user_agent: str | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        ssl: ssl_module.SSLContext | None = None,
        allow_http: bool = False,
        connector: Connector | None = None,
        hooks: Iterable[Hook] = (),
    ) -> None:
        """Create a client. Validates the settings; does no I/O.

        Args:
            app_id: Application id. Default: the environment variable `VOUCHERIFY_APP_ID`.
            app_token: Secret token of the application. Default: the environment variable `VOUCHERIFY_APP_TOKEN`.
            auth: Authentication other than API keys: `OAuthClientCredentials`, `OAuthToken` or your own `Auth`.
            base_url: A `Region`, or the URL of a dedicated cluster or sandbox. Default: the environment variable
                `VOUCHERIFY_BASE_URL`, otherwise `Region.EUROPE`. Plain ``http://`` is rejected except for
                loopback addresses.
            api_version: The version of the API to use, for example ``v2018-08-01``.
            timeout: Seconds for one attempt, including connecting but not waiting for a slot in the connection
                pool. Pass `Timeouts` to set each limit; `None` sets no limit.
            deadline: Seconds for a whole call, including all waits and attempts. A pager applies it to each page.
            retry: When to retry a failed attempt; `RetryPolicy(attempts=1)` never retries.
            rate_limiter: Decides when requests may be sent. Default: a new `AdaptiveRateLimiter`; `None` sends
                without a limiter. In any case all calls wait after the service responds with 429.
            max_connections: The most connections open at once.
            keepalive_timeout: Seconds after which an idle connection is closed.
            max_response_bytes: The largest response body to accept, in bytes after decompression.
            headers: Headers to send with every request.
            user_agent: Replaces the ``User-Agent`` of the package.
            proxy: URL of an HTTP proxy.
            trust_env: Whether to use the proxy from the environment, which is read once at the first request.
            ssl: Replaces the default TLS settings. There is no flag that turns verification off.
            allow_http: Whether to allow plain ``http://`` to any host.
            connector: Your own aiohttp connector. The client does not close it.
            hooks: Objects with any of the methods `on_request`, `on_response`, `on_retry` and `on_error`; see
                `voucherify_async._transport.hooks`.

        Raises:
            ConfigurationError: A setting is missing or invalid; the message names it.
        """
        resolved = _resolve_auth(auth, app_id, app_token)
        del auth, app_id, app_token  # error reporters show the local variables of a traceback
        if isinstance(resolved, ConfigurationError):
            raise resolved
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
            raise ConfigurationError(f"connector must be an aiohttp connector, not {connector!r}")
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
        limiter = (
            AdaptiveRateLimiter(clock=pool.clock) if rate_limiter is UNSET else _check_limiter(rate_limiter)
        )
        projects = Projects(pool.clock)
        project = projects.get(resolved, limiter)
        options = CallOptions(
            auth=project.auth,
            project=project,
            timeouts=_as_timeouts(timeout),
            deadline=_check_deadline(deadline),
            retry=retry,
            headers=check_headers("headers", headers or {}),
            rate_limiter=limiter,
            hooks=Hooks(hooks),
        )
        self._sessions = SessionManager(pool, options, projects)

    @classmethod
    def _from_sessions(cls, sessions: SessionManager) -> Self:
        client = cls.__new__(cls)
        client._sessions = sessions  # noqa: SLF001  # an instance of this class
        return client

    def __repr__(self) -> str:
        # `_sessions` is missing if `__init__` raised and an error reporter shows the traceback's variables.
        base_url = self._sessions.pool.settings.base_url if hasattr(self, "_sessions") else "not set up"
        return f"<{type(self).__name__} {base_url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. The client and its views cannot be used afterwards. Idempotent."""
        await self._sessions.aclose()

    def with_options(
        self,
        *,
        auth: Auth | OAuthClientCredentials | UnsetType = UNSET,
        timeout: float | Timeouts | UnsetType | None = UNSET,
        deadline: float | UnsetType | None = UNSET,
        retry: RetryPolicy | UnsetType = UNSET,
        headers: Mapping[str, str] | UnsetType = UNSET,
        rate_limiter: RateLimiter | UnsetType | None = UNSET,
    ) -> Self:
        """A view of the client with other settings that shares its connections.

        Arguments that are left out keep the client's values.

        Args:
            auth: The authentication of another project. Views with equal authentication share the token and the rate
                limits of that project: a rate limiter with the client's settings, unless `rate_limiter` is passed or the
                client has one of a class of your own. Headers with credentials are not taken over.
            timeout: As in the constructor.
            deadline: As in the constructor.
            retry: As in the constructor.
            headers: Headers to add to the client's; they replace those of the same name.
            rate_limiter: As in the constructor.

        Raises:
            ConfigurationError: A setting is invalid; the message names it.
        """
        changes: dict[str, Any] = {}
        if auth is not UNSET:
            resolved = _resolve_auth(auth, None, None)
            del auth  # error reporters show the local variables of a traceback
            if isinstance(resolved, ConfigurationError):
                raise resolved
            limiter = limiter_for_project(self._sessions.options.rate_limiter, self._sessions.clock)
            project = self._sessions.projects.get(resolved, limiter)
            changes |= {"auth": project.auth, "project": project, "rate_limiter": project.limiter}
            # Credentials in headers are those of the client's project.
            own_headers = self._sessions.options.headers
            changes["headers"] = {
                name: value for name, value in own_headers.items() if not credentials_in({name: value})
            }
        if timeout is not UNSET:
            changes["timeouts"] = _as_timeouts(timeout)
        if deadline is not UNSET:
            changes["deadline"] = _check_deadline(deadline)
        if retry is not UNSET:
            changes["retry"] = _check_retry(retry)
        if headers is not UNSET:
            own_headers = changes.get("headers", self._sessions.options.headers)
            changes["headers"] = {**own_headers, **check_headers("headers", headers)}
        if rate_limiter is not UNSET:
            changes["rate_limiter"] = _check_limiter(rate_limiter)
        return self._from_sessions(self._sessions.with_options(**changes))

    @property
    def base_url(self) -> str:
        """The URL of the service, without a trailing slash."""
        return self._sessions.pool.settings.base_url

    @property
    def rate_limit(self) -> RateLimit | None:
        """The project's rate limit as last reported in a response; `None` if no response has reported it yet."""
        return self._sessions.options.project.rate_limit

    def record_responses(self) -> AbstractContextManager[list[ResponseInfo]]:
        """Record the request id, rate limit, attempts and headers of the calls made in a block.

        ::

            with voucherify.record_responses() as responses:
                customer = await voucherify.customers.get("crm-1")
            print(responses[-1].request_id)

        The list gets an entry for each call of this client and its views that succeeds: those that the block makes
        itself, and those of tasks that it starts. Other tasks that use the client are not recorded.
        """
        return self._sessions.record_responses()

    @cached_property
    def customers(self) -> CustomersResource:
        """Customers."""
        resource: type[CustomersResource] = self._load("customers", "CustomersResource")
        return resource(self._sessions)

    @cached_property
    def async_actions(self) -> AsyncActionsResource:
        """Background jobs that bulk operations start."""
        resource: type[AsyncActionsResource] = self._load("async_actions", "AsyncActionsResource")
        return resource(self._sessions)

    @cached_property
    def oauth(self) -> OAuthResource:
        """OAuth 2.0 access tokens."""
        resource: type[OAuthResource] = self._load("oauth", "OAuthResource")
        return resource(self._sessions)

    @staticmethod
    def _load(module: str, name: str) -> Any:
        """Import a section of the API on first use: with all sections, it would take longer than aiohttp."""
        return getattr(import_module(f"voucherify_async.resources.{module}"), name)

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
        """Call any endpoint, with the client's authentication, retries and rate limits.

        Args:
            method: HTTP method.
            path: Path template with ``{names}`` for its parameters, for example ``/v1/vouchers/{code}``. It
                appears in errors, logs and hooks, so pass ids in `path_params`.
            path_params: Values of the path parameters; each becomes one percent-encoded segment.
            query: Query parameters. Nested values use brackets, as in ``created_at[before]``; `None` is omitted.
            json: JSON body.
            form: Form-encoded body, or the form fields next to `files`.
            content: Body as bytes; set its ``Content-Type`` in `headers`.
            files: Multipart body: maps the name of each part to its file name, content and content type.
            headers: Additional headers.
            into: The type to decode the response into: any type that msgspec decodes, `bytes` for the raw body,
                or `type(None)` to ignore the body. Default: plain JSON values, `None` for an empty body.
            repeatable: Whether the request is idempotent, so that it may be sent again after a failure whose
                outcome is unknown. Default: true for GET, HEAD, PUT and DELETE.

        Raises:
            ValueError: An argument is invalid; the message names it.
            VoucherifyError: The call failed.
        """
        if not isinstance(method, str) or not method.isascii() or not method.isalpha():
            raise ValueError(f"method must be an HTTP method, not {method!r}")
        if repeatable not in (None, True, False):
            raise ValueError(f"repeatable must be True, False or None, not {repeatable!r}")
        check_decodable("into", into)
        result_type: Any = into  # a type expression, such as Any or a union
        method = method.upper()
        may_repeat = method in _IDEMPOTENT_METHODS if repeatable is None else repeatable
        removes = method == "DELETE" and into in (Any, type(None))
        operation = Operation[Any](
            f"{method} {path}",
            method,
            _check_path(path),
            result_type,
            may_repeat,
            confidential=path.startswith("/v1/oauth/"),
            removes=removes,
        )
        encoded = encode_query({} if query is None else query)
        target = encode_path(operation.path, check_strings("path_params", path_params))
        request = Request(
            operation,
            f"{target}?{encoded}" if encoded else target,
            _encode_body(json, form, content, files),
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
        """Iterate over the items of any list endpoint.

        Args:
            path: Path template with ``{names}`` for its parameters.
            path_params: Values of the path parameters; each becomes one percent-encoded segment.
            query: Filters, and `limit` for the page size.
            items: The property of the response that contains the items.
            into: The type to decode each item into. Default: `dict`.
            rule: The pagination rule, from `voucherify_async.pagination` or your own. Default: by page number.
            cursor: Where to resume: the `next_cursor` of a page.

        Raises:
            ValueError: An argument is invalid, or `cursor` belongs to another list; the message names it.
        """
        if query is not None and not is_mapping(query):
            raise ValueError(f"query must be a mapping, not {type(query).__name__}")
        if not isinstance(items, str) or not items:
            raise ValueError(f"items must be the name of a property, not {items!r}")
        if rule is not None and not (hasattr(rule, "name") and hasattr(rule, "state_type")):
            raise ValueError(f"rule must be a rule of voucherify_async.pagination or your own, not {rule!r}")
        check_decodable("into", into)
        filters = dict(query or {})
        limit = check_limit(filters.pop("limit", None))
        listing = Listing[Any](
            sessions=self._sessions,
            operation=Operation[object](f"GET {path}", "GET", _check_path(path), object),
            path=encode_path(path, check_strings("path_params", path_params)),
            query=filters,
            items=items,
            into=into,
        )
        return Pager(listing, rule or PageNumberRule(), limit=limit, cursor=cursor)


def _encode_body(
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
            return encode_multipart(_file_parts(files), form)
        case _:
            raise ValueError(f"a request has only one body, not {len(given)}: {', '.join(given)}")


def _file_parts(files: Any) -> dict[str, FilePart]:
    if not is_mapping(files):
        raise ValueError(f"files must be a mapping, not {type(files).__name__}")
    for name, part in files.items():
        if not is_sequence(part) or [type(value) for value in part] != [str, bytes, str]:
            raise ValueError(f"files[{name!r}] must be a file name, the content as bytes, and a content type")
    return {name: FilePart(*part) for name, part in files.items()}


def _check_path(path: str) -> str:
    if not isinstance(path, str):
        raise ValueError(f"path must be a string, not {type(path).__name__}")
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or set(path) & set("?# "):
        raise ValueError(f"path must be a plain path that starts with '/', without a query, not {path!r}")
    return path


def _resolve_auth(
    auth: Auth | OAuthClientCredentials | None, app_id: str | None, app_token: str | None
) -> Auth | OAuthClientCredentials | ConfigurationError:
    """The authentication to use, from the arguments or the environment; a `ConfigurationError` if it is invalid.

    The error is returned, not raised, so that its traceback does not contain the keys.
    """
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
            return ConfigurationError(*error.args)  # a copy without the traceback, which contains the keys
    if not isinstance(auth, Auth | OAuthClientCredentials) or isinstance(auth, type):
        kind = type(auth).__name__
        return ConfigurationError(
            f"auth must be an object such as OAuthToken(...) or OAuthClientCredentials(...), not {kind}"
        )
    if app_id is not None or app_token is not None:
        return ConfigurationError("auth replaces app_id and app_token: pass one or the other")
    return auth


def _check_limiter(limiter: RateLimiter | None) -> RateLimiter | None:
    if limiter is not None and (not isinstance(limiter, RateLimiter) or isinstance(limiter, type)):
        raise ConfigurationError(
            f"rate_limiter must be an object with the methods of RateLimiter, not {limiter!r}"
        )
    return limiter


def _check_retry(retry: RetryPolicy) -> RetryPolicy:
    if not isinstance(retry, RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy, not {retry!r}")
    return retry


def _as_timeouts(timeout: float | Timeouts | None) -> Timeouts:
    if isinstance(timeout, Timeouts):
        return timeout
    check_seconds("timeout", timeout)
    return Timeouts(attempt=timeout, read=timeout)


def _check_deadline(deadline: float | None) -> float | None:
    check_seconds("deadline", deadline)
    return deadline


def _user_agent() -> str:
    return f"voucherify-async/{__version__} Python/{platform.python_version()}"

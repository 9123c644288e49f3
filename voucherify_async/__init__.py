"""An asyncio-native SDK for the Voucherify API.

::

    async with VoucherifyClient() as voucherify:
        async for customer in voucherify.customers.list(city="London"):
            ...
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voucherify_async.bulk.report import SyncReport
    from voucherify_async.bulk.results import SyncFailure, SyncJob, SyncProgress
    from voucherify_async.client import VoucherifyClient
    from voucherify_async.errors import (
        APIStatusError,
        AsyncActionError,
        AsyncActionFailedError,
        AsyncActionTimeoutError,
        AuthenticationError,
        BadRequestError,
        ConfigurationError,
        ConflictError,
        ConnectionFailedError,
        ConnectTimeoutError,
        DeadlineExceededError,
        DecodeError,
        InvalidCursorError,
        LockedError,
        MethodNotAllowedError,
        NotAcceptableError,
        NotFoundError,
        OutcomeUnknownError,
        PageLimitError,
        PaginationError,
        PaginationStalledError,
        PayloadTooLargeError,
        PaymentRequiredError,
        PermissionDeniedError,
        PoolTimeoutError,
        ProxyError,
        RateLimitError,
        ReadTimeoutError,
        ServerError,
        SyncStateError,
        SyncTimeoutError,
        TransportError,
        UnsupportedMediaTypeError,
        VoucherifyError,
    )
    from voucherify_async.models.activity import CustomerActivity
    from voucherify_async.models.async_actions import AsyncAction
    from voucherify_async.models.base import UNSET, UnsetType
    from voucherify_async.models.customers import (
        Address,
        AsyncActionReceipt,
        Customer,
        CustomerAddress,
        CustomerSegment,
        CustomerUpsert,
        PermanentDeletion,
    )
    from voucherify_async.models.oauth import AccessToken, TokenIntrospection
    from voucherify_async.models.redeemables import CustomerRedeemable, FilterConditions, RedeemableFilters
    from voucherify_async.pagination.pager import Page, Pager
    from voucherify_async.pagination.windows import Window
    from voucherify_async.resources.customer_jobs import SyncOptions
    from voucherify_async.transport.auth import ApiKeys, Auth, OAuthClientCredentials, OAuthToken
    from voucherify_async.transport.hooks import ErrorEvent, RequestEvent, ResponseEvent, RetryEvent
    from voucherify_async.transport.operation import Response
    from voucherify_async.transport.rate_limit import (
        AdaptiveRateLimiter,
        LocalRateLimiter,
        RateLimit,
        RateLimiter,
    )
    from voucherify_async.transport.retry import RetryPolicy
    from voucherify_async.transport.settings import Region, Timeouts

__all__ = [
    "UNSET",
    "APIStatusError",
    "AccessToken",
    "AdaptiveRateLimiter",
    "Address",
    "ApiKeys",
    "AsyncAction",
    "AsyncActionError",
    "AsyncActionFailedError",
    "AsyncActionReceipt",
    "AsyncActionTimeoutError",
    "Auth",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ConnectTimeoutError",
    "ConnectionFailedError",
    "Customer",
    "CustomerActivity",
    "CustomerAddress",
    "CustomerRedeemable",
    "CustomerSegment",
    "CustomerUpsert",
    "DeadlineExceededError",
    "DecodeError",
    "ErrorEvent",
    "FilterConditions",
    "InvalidCursorError",
    "LocalRateLimiter",
    "LockedError",
    "MethodNotAllowedError",
    "NotAcceptableError",
    "NotFoundError",
    "OAuthClientCredentials",
    "OAuthToken",
    "OutcomeUnknownError",
    "Page",
    "PageLimitError",
    "Pager",
    "PaginationError",
    "PaginationStalledError",
    "PayloadTooLargeError",
    "PaymentRequiredError",
    "PermanentDeletion",
    "PermissionDeniedError",
    "PoolTimeoutError",
    "ProxyError",
    "RateLimit",
    "RateLimitError",
    "RateLimiter",
    "ReadTimeoutError",
    "RedeemableFilters",
    "Region",
    "RequestEvent",
    "Response",
    "ResponseEvent",
    "RetryEvent",
    "RetryPolicy",
    "ServerError",
    "SyncFailure",
    "SyncJob",
    "SyncOptions",
    "SyncProgress",
    "SyncReport",
    "SyncStateError",
    "SyncTimeoutError",
    "Timeouts",
    "TokenIntrospection",
    "TransportError",
    "UnsetType",
    "UnsupportedMediaTypeError",
    "VoucherifyClient",
    "VoucherifyError",
    "Window",
]

# pytest imports the package along with its plugin, in every run where it is installed; a run that does not
# use the fixtures shall not wait for aiohttp. So what is re-exported is imported when it is first asked for.
_HOMES = (
    "errors",
    "models",
    "transport.auth",
    "transport.hooks",
    "transport.operation",
    "transport.rate_limit",
    "transport.retry",
    "transport.settings",
    "pagination.pager",
    "pagination.windows",
    "bulk",
    "resources.customer_jobs",
    "client",
)
"""The modules that define the names above, from the top layer down; the last imports all others."""

if not TYPE_CHECKING:  # to a type checker a `__getattr__` says that any name exists

    def __getattr__(name: str) -> object:
        if name in __all__ or any(home.partition(".")[0] == name for home in _HOMES):
            # The same order in every thread: none holds a module that another waits for.
            for home in _HOMES:
                module = import_module(f"{__name__}.{home}")
                if name in module.__all__:
                    return globals().setdefault(name, getattr(module, name))
            return globals()[name]  # a submodule: importing it has made it an attribute
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> set[str]:
        return {*globals(), *__all__}

"""An asyncio-native SDK for the Voucherify API.

::

    async with VoucherifyClient() as voucherify:
        async for customer in voucherify.customers.list(city="London"):
            ...
"""

from typing import TYPE_CHECKING

from voucherify_async._lazy import lazy_exports

_EXPORTS = {
    "_version": ("__version__",),
    "errors": (
        "APIStatusError",
        "AsyncActionError",
        "AsyncActionFailedError",
        "AsyncActionTimeoutError",
        "AuthenticationError",
        "BadRequestError",
        "ConfigurationError",
        "ConflictError",
        "ConnectTimeoutError",
        "ConnectionFailedError",
        "DeadlineExceededError",
        "DecodeError",
        "InvalidCursorError",
        "LockedError",
        "MethodNotAllowedError",
        "NotAcceptableError",
        "NotFoundError",
        "OutcomeUnknownError",
        "PageLimitError",
        "PaginationError",
        "PaginationStalledError",
        "PayloadTooLargeError",
        "PaymentRequiredError",
        "PermissionDeniedError",
        "PoolTimeoutError",
        "ProxyError",
        "RateLimitError",
        "ReadTimeoutError",
        "ServerError",
        "SyncStateError",
        "SyncTimeoutError",
        "TransportError",
        "UnsupportedMediaTypeError",
        "VoucherifyError",
        "WebhookSignatureError",
    ),
    "models.base": (
        "UNSET",
        "UnsetType",
    ),
    "models.activity": ("CustomerActivity",),
    "models.async_actions": ("AsyncAction", "AsyncActionReceipt"),
    "models.customers": (
        "Address",
        "Customer",
        "CustomerAddress",
        "CustomerUpsert",
        "PermanentDeletion",
    ),
    "models.oauth": (
        "AccessToken",
        "TokenIntrospection",
    ),
    "models.segments": ("Segment",),
    "models.redeemables": (
        "CustomerRedeemable",
        "FilterConditions",
        "RedeemableFilters",
    ),
    "_transport.auth": (
        "ApiKeys",
        "Auth",
        "OAuthClientCredentials",
        "OAuthToken",
    ),
    "_transport.hooks": (
        "ErrorEvent",
        "RequestEvent",
        "ResponseEvent",
        "RetryEvent",
    ),
    "_transport.operation": ("Response", "ResponseInfo"),
    "_transport.rate_limit": (
        "AdaptiveRateLimiter",
        "LocalRateLimiter",
        "RateLimit",
        "RateLimiter",
    ),
    "_transport.retry": ("RetryPolicy",),
    "_transport.settings": (
        "Region",
        "Timeouts",
    ),
    "pagination.pager": (
        "Page",
        "Pager",
    ),
    "pagination.windows": ("Window",),
    "_sync.results": (
        "SyncFailure",
        "SyncJob",
        "SyncProgress",
    ),
    "_sync.report": ("SyncReport",),
    "_sync.spec": ("SyncOptions",),
    "client": ("ClientSettings", "VoucherifyClient"),
}
"""The public names by defining module.

Each name is imported on first use, so that importing the package does not import aiohttp: pytest loads the package
with its plugin in every test run, including runs that do not use it.
"""

if TYPE_CHECKING:
    from voucherify_async._sync.report import SyncReport as SyncReport
    from voucherify_async._sync.results import SyncFailure as SyncFailure
    from voucherify_async._sync.results import SyncJob as SyncJob
    from voucherify_async._sync.results import SyncProgress as SyncProgress
    from voucherify_async._sync.spec import SyncOptions as SyncOptions
    from voucherify_async._transport.auth import ApiKeys as ApiKeys
    from voucherify_async._transport.auth import Auth as Auth
    from voucherify_async._transport.auth import OAuthClientCredentials as OAuthClientCredentials
    from voucherify_async._transport.auth import OAuthToken as OAuthToken
    from voucherify_async._transport.hooks import ErrorEvent as ErrorEvent
    from voucherify_async._transport.hooks import RequestEvent as RequestEvent
    from voucherify_async._transport.hooks import ResponseEvent as ResponseEvent
    from voucherify_async._transport.hooks import RetryEvent as RetryEvent
    from voucherify_async._transport.operation import Response as Response
    from voucherify_async._transport.operation import ResponseInfo as ResponseInfo
    from voucherify_async._transport.rate_limit import AdaptiveRateLimiter as AdaptiveRateLimiter
    from voucherify_async._transport.rate_limit import LocalRateLimiter as LocalRateLimiter
    from voucherify_async._transport.rate_limit import RateLimit as RateLimit
    from voucherify_async._transport.rate_limit import RateLimiter as RateLimiter
    from voucherify_async._transport.retry import RetryPolicy as RetryPolicy
    from voucherify_async._transport.settings import Region as Region
    from voucherify_async._transport.settings import Timeouts as Timeouts
    from voucherify_async._version import __version__ as __version__
    from voucherify_async.client import ClientSettings as ClientSettings
    from voucherify_async.client import VoucherifyClient as VoucherifyClient
    from voucherify_async.errors import APIStatusError as APIStatusError
    from voucherify_async.errors import AsyncActionError as AsyncActionError
    from voucherify_async.errors import AsyncActionFailedError as AsyncActionFailedError
    from voucherify_async.errors import AsyncActionTimeoutError as AsyncActionTimeoutError
    from voucherify_async.errors import AuthenticationError as AuthenticationError
    from voucherify_async.errors import BadRequestError as BadRequestError
    from voucherify_async.errors import ConfigurationError as ConfigurationError
    from voucherify_async.errors import ConflictError as ConflictError
    from voucherify_async.errors import ConnectionFailedError as ConnectionFailedError
    from voucherify_async.errors import ConnectTimeoutError as ConnectTimeoutError
    from voucherify_async.errors import DeadlineExceededError as DeadlineExceededError
    from voucherify_async.errors import DecodeError as DecodeError
    from voucherify_async.errors import InvalidCursorError as InvalidCursorError
    from voucherify_async.errors import LockedError as LockedError
    from voucherify_async.errors import MethodNotAllowedError as MethodNotAllowedError
    from voucherify_async.errors import NotAcceptableError as NotAcceptableError
    from voucherify_async.errors import NotFoundError as NotFoundError
    from voucherify_async.errors import OutcomeUnknownError as OutcomeUnknownError
    from voucherify_async.errors import PageLimitError as PageLimitError
    from voucherify_async.errors import PaginationError as PaginationError
    from voucherify_async.errors import PaginationStalledError as PaginationStalledError
    from voucherify_async.errors import PayloadTooLargeError as PayloadTooLargeError
    from voucherify_async.errors import PaymentRequiredError as PaymentRequiredError
    from voucherify_async.errors import PermissionDeniedError as PermissionDeniedError
    from voucherify_async.errors import PoolTimeoutError as PoolTimeoutError
    from voucherify_async.errors import ProxyError as ProxyError
    from voucherify_async.errors import RateLimitError as RateLimitError
    from voucherify_async.errors import ReadTimeoutError as ReadTimeoutError
    from voucherify_async.errors import ServerError as ServerError
    from voucherify_async.errors import SyncStateError as SyncStateError
    from voucherify_async.errors import SyncTimeoutError as SyncTimeoutError
    from voucherify_async.errors import TransportError as TransportError
    from voucherify_async.errors import UnsupportedMediaTypeError as UnsupportedMediaTypeError
    from voucherify_async.errors import VoucherifyError as VoucherifyError
    from voucherify_async.errors import WebhookSignatureError as WebhookSignatureError
    from voucherify_async.models.activity import CustomerActivity as CustomerActivity
    from voucherify_async.models.async_actions import AsyncAction as AsyncAction
    from voucherify_async.models.async_actions import AsyncActionReceipt as AsyncActionReceipt
    from voucherify_async.models.base import UNSET as UNSET
    from voucherify_async.models.base import UnsetType as UnsetType
    from voucherify_async.models.customers import Address as Address
    from voucherify_async.models.customers import Customer as Customer
    from voucherify_async.models.customers import CustomerAddress as CustomerAddress
    from voucherify_async.models.customers import CustomerUpsert as CustomerUpsert
    from voucherify_async.models.customers import PermanentDeletion as PermanentDeletion
    from voucherify_async.models.oauth import AccessToken as AccessToken
    from voucherify_async.models.oauth import TokenIntrospection as TokenIntrospection
    from voucherify_async.models.redeemables import CustomerRedeemable as CustomerRedeemable
    from voucherify_async.models.redeemables import FilterConditions as FilterConditions
    from voucherify_async.models.redeemables import RedeemableFilters as RedeemableFilters
    from voucherify_async.models.segments import Segment as Segment
    from voucherify_async.pagination.pager import Page as Page
    from voucherify_async.pagination.pager import Pager as Pager
    from voucherify_async.pagination.windows import Window as Window

else:  # hidden from type checkers, for which `__getattr__` means that every name exists
    __all__, __getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

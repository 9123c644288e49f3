"""The exceptions that this package raises.

::

    VoucherifyError
    ├─ ConfigurationError               invalid settings, or the client is used where it cannot work
    ├─ TransportError                   no usable response
    │  ├─ ConnectionFailedError         connection refused, reset or closed
    │  ├─ PoolTimeoutError              no free slot in the connection pool in time
    │  ├─ ConnectTimeoutError           no connection in time
    │  ├─ ReadTimeoutError              connected, but no complete response in time
    │  ├─ ProxyError                    the proxy could not be reached, or refused the connection
    │  ├─ OutcomeUnknownError           sent, no usable response, and not safe to retry
    │  └─ DeadlineExceededError         the deadline of the whole call expired
    ├─ APIStatusError                   the service responded with an error status
    │  ├─ BadRequestError               400
    │  ├─ AuthenticationError           401
    │  ├─ PaymentRequiredError          402
    │  ├─ PermissionDeniedError         403
    │  ├─ NotFoundError                 404
    │  ├─ MethodNotAllowedError         405
    │  ├─ NotAcceptableError            406
    │  ├─ ConflictError                 409
    │  ├─ PayloadTooLargeError          413
    │  ├─ UnsupportedMediaTypeError     415
    │  ├─ LockedError                   423
    │  ├─ RateLimitError                429
    │  └─ ServerError                   5xx
    ├─ DecodeError                      the response does not match the API
    ├─ PaginationError
    │  ├─ PageLimitError                the list is longer than the 99 pages that page numbers can address
    │  ├─ PaginationStalledError        the iteration cannot continue without skipping items
    │  └─ InvalidCursorError            the cursor is damaged or belongs to another list; also a ValueError
    ├─ AsyncActionError
    │  ├─ AsyncActionFailedError        the job failed
    │  └─ AsyncActionTimeoutError       the job did not finish in time; it continues
    ├─ SyncStateError                   the state file of a sync cannot be used; `reason` says why
    ├─ SyncTimeoutError                 the sync did not finish in time; its open jobs continue; also a TimeoutError
    └─ WebhookSignatureError            a webhook was not signed with the secret of the project

Invalid arguments raise a `ValueError` that names the argument, before anything is sent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

if TYPE_CHECKING:  # errors carry objects of the layers above
    from voucherify_async._sync.report import SyncReport
    from voucherify_async.models.async_actions import AsyncAction

__all__ = [
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
    "status_error_class",
]


_MAX_DETAILS: Final = 500
"""The longest details to show in a message, in characters."""


_CONTROL_CHARACTERS: Final = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")
"""Characters of responses that must not reach a log: a line break would begin an entry of its own."""


class _Common(TypedDict, total=False):
    """Keyword arguments of every error; see `VoucherifyError`."""

    operation: str | None
    request_id: str | None
    may_have_been_applied: bool


class VoucherifyError(Exception):
    """The base class of all errors of this package.

    Attributes:
        operation: The operation that failed, for example ``customers.get``; `None` outside of a call.
        request_id: The service's id of the request, if it gave one.
        attempts: The errors of the attempts before the last, oldest first.
        may_have_been_applied: False only if the service certainly did not act on the call.
        report: The `SyncReport` so far, if this error stopped a sync job; otherwise `None`.
    """

    if TYPE_CHECKING:
        report: SyncReport | None
    else:
        report = None  # without an annotation, which `typing.get_type_hints` could not resolve

    # All arguments but the first are keyword-only with defaults, and all attributes are in __dict__, because
    # BaseException.__reduce__ then can pickle and copy every subclass.

    def __init__(
        self,
        message: str = "",
        *,
        operation: str | None = None,
        request_id: str | None = None,
        may_have_been_applied: bool = False,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.request_id = request_id
        self.may_have_been_applied = may_have_been_applied
        self.attempts: tuple[VoucherifyError, ...] = ()

    def _summary(self) -> str:
        return super().__str__()

    def __str__(self) -> str:
        text = self._summary()
        if self.operation:
            text = f"{self.operation}: {text}"
        if self.request_id:
            text = f"{text} [request {self.request_id}]"
        return text.translate(_CONTROL_CHARACTERS)


class ConfigurationError(VoucherifyError):
    """A setting is invalid, or the client is used where it cannot work, such as after it was closed."""


class TransportError(VoucherifyError):
    """No usable response was received."""


class ConnectionFailedError(TransportError):
    """The connection could not be opened, or broke before the response was complete."""


class PoolTimeoutError(TransportError):
    """No slot in the connection pool became free in time; nothing was sent."""


class ConnectTimeoutError(TransportError):
    """No connection was opened in time; nothing was sent."""


class ReadTimeoutError(TransportError):
    """Connected to the service, but no complete response was received in time."""


class ProxyError(TransportError):
    """The proxy could not be reached, or did not open a connection to the service; nothing was sent to the service.

    Attributes:
        status: The HTTP status of the proxy's refusal; `None` if it sent none.
    """

    def __init__(self, message: str = "", *, status: int | None = None, **common: Unpack[_Common]) -> None:
        super().__init__(message, **common)
        self.status = status


class OutcomeUnknownError(TransportError):
    """The request was sent, no usable response was received, and a retry could apply it twice.

    The underlying error is the last of `attempts`. Check whether the call was applied before you repeat it.
    """


class DeadlineExceededError(TransportError):
    """The call did not finish within its deadline, all waits and attempts included.

    Also raised at once, without sending the call, if a rate limit would delay it beyond its deadline. The
    `__cause__` is then a `RateLimitError` that names the limit.

    Attributes:
        retry_after: If a rate limit would delay the call beyond its deadline, the seconds until it allows the next
            call; otherwise `None`.
    """

    retry_after: float | None = None


class APIStatusError(VoucherifyError):
    """The service responded with an error status.

    Attributes:
        status: HTTP status code.
        code: The error code in the body; the HTTP status if the body has none.
        key: The machine-readable kind of the error, for example ``not_found``.
        message: The service's error message.
        details: More details, if given: usually text, sometimes a list or an object.
        body: The beginning of the response body; empty if it may contain a secret. It may be HTML from a proxy.
        resource_id: The id of the affected object, if given.
        resource_type: The type of the affected object, for example ``customer``, if given.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        code: int | None = None,
        key: str | None = None,
        details: Any = None,
        body: str = "",
        resource_id: str | None = None,
        resource_type: str | None = None,
        **common: Unpack[_Common],
    ) -> None:
        super().__init__(message, **common)
        self.status = status
        self.code = status if code is None else code
        self.key = key
        self.message = message
        self.details = details
        self.body = body
        self.resource_id = resource_id
        self.resource_type = resource_type

    def _summary(self) -> str:
        head = f"{self.status} {self.key}" if self.key else f"{self.status}"
        return f"{head}: {self.message}" + (f" ({_short_text(self.details)})" if self.details else "")


def _short_text(details: Any) -> str:
    text = details if isinstance(details, str) else json.dumps(details, ensure_ascii=False)
    return text if len(text) <= _MAX_DETAILS else f"{text[:_MAX_DETAILS]}…"


class BadRequestError(APIStatusError):
    """400: a parameter, the query or the body is invalid."""


class AuthenticationError(APIStatusError):
    """401: the keys or the token were not accepted."""


class PaymentRequiredError(APIStatusError):
    """402: the plan does not cover the call."""


class PermissionDeniedError(APIStatusError):
    """403: the keys or the token do not allow the call."""


class NotFoundError(APIStatusError):
    """404: the object does not exist."""


class MethodNotAllowedError(APIStatusError):
    """405: the endpoint does not support the method."""


class NotAcceptableError(APIStatusError):
    """406: the service cannot respond in the accepted format."""


class ConflictError(APIStatusError):
    """409: the call conflicts with the current state of the object."""


class PayloadTooLargeError(APIStatusError):
    """413: the body is larger than the service's limit (10 MB)."""


class UnsupportedMediaTypeError(APIStatusError):
    """415: the endpoint does not support the format of the body."""


class LockedError(APIStatusError):
    """423: the object is locked by another operation."""


class RateLimitError(APIStatusError):
    """429: too many calls.

    Also raised for a call that was not sent, because it would have to wait longer than
    `RetryPolicy.max_server_wait` for a rate limit.

    Attributes:
        retry_after: Seconds until the next call may be made; `None` if unknown.
        kind: The limit that was hit: ``api_calls``, ``bulk_api_calls``, ``api_calls_cycle`` (the quota of the plan
            is used up: waiting does not help), ``webhook_calls``, or `None` if unknown.
    """

    retry_after: float | None = None
    kind: str | None = None


class ServerError(APIStatusError):
    """5xx: the service, or a proxy in front of it, failed."""


class DecodeError(VoucherifyError):
    """A response was received, but it does not match the API.

    Attributes:
        status: HTTP status code of the response.
        body: The beginning of the response body; empty if it may contain a secret.
        item_id: The id of the invalid object or list item, if it has one; `None` if the error is not about one object.
        position: The index of the invalid list item in the page, from 0; `None` if the error is not about one item.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        body: str = "",
        item_id: str | None = None,
        position: int | None = None,
        **common: Unpack[_Common],
    ) -> None:
        super().__init__(message, **common)
        self.status = status
        self.body = body
        self.item_id = item_id
        self.position = position


class PaginationError(VoucherifyError):
    """The iteration over a list cannot continue."""


class PageLimitError(PaginationError):
    """The list is longer than 99 pages, the most that page numbers can address."""


class PaginationStalledError(PaginationError):
    """The iteration cannot continue without skipping items."""


class InvalidCursorError(PaginationError, ValueError):
    """The cursor is damaged, or was made for another list, other filters or another package version."""


class AsyncActionError(VoucherifyError):
    """A background job failed or did not finish in time.

    Attributes:
        action: The last known state of the job; `None` if it is not known.
    """

    if TYPE_CHECKING:
        action: AsyncAction | None

    def __init__(self, message: str = "", *, action: Any = None, **common: Unpack[_Common]) -> None:
        common.setdefault("may_have_been_applied", True)
        super().__init__(message, **common)
        self.action = action


class AsyncActionFailedError(AsyncActionError):
    """The job ended with the status ``FAILED``."""


class AsyncActionTimeoutError(AsyncActionError):
    """The job did not finish in time. It continues: wait again with the same id."""


class SyncStateError(VoucherifyError):
    """The state file of a sync cannot be used.

    Attributes:
        reason: ``other_project``, ``other_kind``, ``in_use``, ``damaged`` or ``unwritable``. Only ``in_use`` may
            resolve by itself.
        path: The path of the file.
    """

    def __init__(
        self, message: str = "", *, reason: str = "", path: str = "", **common: Unpack[_Common]
    ) -> None:
        super().__init__(message, **common)
        self.reason = reason
        self.path = path


class SyncTimeoutError(VoucherifyError, TimeoutError):
    """A sync did not finish in time. Its open background jobs continue; `report`, a `SyncReport`, lists them."""


class WebhookSignatureError(VoucherifyError):
    """A request to a webhook has no signature, or was not signed with the secret of the project."""


_BY_STATUS: Final[dict[int, type[APIStatusError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    406: NotAcceptableError,
    409: ConflictError,
    413: PayloadTooLargeError,
    415: UnsupportedMediaTypeError,
    423: LockedError,
    429: RateLimitError,
}


def status_error_class(status: int) -> type[APIStatusError]:
    """The exception class for an HTTP error status."""
    if status >= 500:
        return ServerError
    return _BY_STATUS.get(status, APIStatusError)

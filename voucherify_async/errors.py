"""Everything this package raises on purpose.

VoucherifyError
├─ ConfigurationError               the client cannot work as it was set up
├─ TransportError                   no usable answer came
│  ├─ ConnectionFailedError         refused, reset, broken off
│  ├─ PoolTimeoutError              no place in the connection pool in time
│  ├─ ConnectTimeoutError           no connection in time
│  ├─ ReadTimeoutError              connected, but no (whole) answer in time
│  ├─ ProxyError                    the proxy could not be reached, or refused the connection
│  ├─ OutcomeUnknownError           sent, unanswered, and not safe to repeat
│  └─ DeadlineExceededError         the whole call ran out of time
├─ APIStatusError                   the service answered with an error
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
├─ DecodeError                      the answer came, and is not what the API promises
├─ PaginationError
│  ├─ PageLimitError                page numbers end at 99, and there is more
│  ├─ PaginationStalledError        the walk cannot go on without losing items
│  └─ InvalidCursorError            the cursor is damaged, or of another list; also a ValueError
├─ AsyncActionError
│  ├─ AsyncActionFailedError        the job ended as failed
│  └─ AsyncActionTimeoutError       the job has not ended in time; it goes on
├─ SyncStateError                   the file of a sync's state cannot be used; `reason` says why
└─ SyncTimeoutError                 the sync has not ended in time; its open jobs go on; also a TimeoutError

Bad arguments are not in the tree: they raise `ValueError` that names the argument, before anything is
sent.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict, Unpack

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
    "status_error_class",
]


class _Common(TypedDict, total=False):
    """What every error can be given; see `VoucherifyError`."""

    operation: str | None
    request_id: str | None
    may_have_been_applied: bool


class VoucherifyError(Exception):
    """The base of every error of this package.

    Attributes:
        operation: The operation that failed, for example ``customers.get``; `None` outside a call.
        request_id: The service's id of the request, if it gave one.
        attempts: What went wrong in the attempts before the last, oldest first.
        may_have_been_applied: False only when the service certainly did not act on the call.
        report: Of what a sync job had to stop for: its `SyncReport` until then. Otherwise `None`.
    """

    report: Any = None

    # Every argument but the first is keyword-only and has a default, and everything is kept in __dict__:
    # that is what BaseException.__reduce__ needs to pickle and copy all classes of the tree.

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
        return text


class ConfigurationError(VoucherifyError):
    """The client cannot work as it was set up, or is used where it cannot be."""


class TransportError(VoucherifyError):
    """No usable answer came."""


class ConnectionFailedError(TransportError):
    """The connection could not be made, or broke before a whole answer came."""


class PoolTimeoutError(TransportError):
    """No place in the connection pool became free in time; nothing was sent."""


class ConnectTimeoutError(TransportError):
    """No connection was made in time; nothing was sent."""


class ReadTimeoutError(TransportError):
    """The service was reached and did not give a whole answer in time."""


class ProxyError(TransportError):
    """The proxy could not be reached, or did not open a connection to the service; nothing was sent to the service.

    Attributes:
        status: The HTTP status with which the proxy refused; `None` if it did not answer with one.
    """

    def __init__(self, message: str = "", *, status: int | None = None, **common: Unpack[_Common]) -> None:
        super().__init__(message, **common)
        self.status = status


class OutcomeUnknownError(TransportError):
    """The request was sent, no usable answer came, and sending it again could apply it twice.

    The failure itself is the last of `attempts`. Look up what became of the call before making it again.
    """


class DeadlineExceededError(TransportError):
    """The call did not end within its deadline, all waits and attempts included.

    Also of a call that was not sent, as a rate limit would hold it beyond its deadline: then it is raised at
    once, and its `__cause__` is the `RateLimitError` that says which limit that is.

    Attributes:
        retry_after: Seconds until the rate limit lets the next call through, if that is what the call did not
            wait for; otherwise `None`.
    """

    retry_after: float | None = None


class APIStatusError(VoucherifyError):
    """The service answered, and the answer is an error.

    Attributes:
        status: HTTP status code.
        code: The error code in the body; the status where the body has none.
        key: The machine-readable kind of the error, for example ``not_found``.
        message: What the service says.
        details: More of it, if given.
        resource_id: The id of the object concerned, if given.
        resource_type: Its type, for example ``customer``, if given.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        code: int | None = None,
        key: str | None = None,
        details: str | None = None,
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
        self.resource_id = resource_id
        self.resource_type = resource_type

    def _summary(self) -> str:
        head = f"{self.status} {self.key}" if self.key else f"{self.status}"
        return f"{head}: {self.message}" + (f" ({self.details})" if self.details else "")


class BadRequestError(APIStatusError):
    """400: a parameter, the query or the body was not accepted."""


class AuthenticationError(APIStatusError):
    """401: the keys or the token were not accepted."""


class PaymentRequiredError(APIStatusError):
    """402: the plan does not cover the call."""


class PermissionDeniedError(APIStatusError):
    """403: the keys or the token do not allow the call."""


class NotFoundError(APIStatusError):
    """404: the object does not exist."""


class MethodNotAllowedError(APIStatusError):
    """405: the endpoint does not know the method."""


class NotAcceptableError(APIStatusError):
    """406: the service cannot answer in the accepted format."""


class ConflictError(APIStatusError):
    """409: the call contradicts the object's current state."""


class PayloadTooLargeError(APIStatusError):
    """413: the body is above the service's limit (10 MB)."""


class UnsupportedMediaTypeError(APIStatusError):
    """415: the body is in a format the endpoint does not take."""


class LockedError(APIStatusError):
    """423: the object is locked by another operation."""


class RateLimitError(APIStatusError):
    """429: too many calls.

    Also of a call that was not sent, as the service is known to take none for longer than is accepted.

    Attributes:
        retry_after: Seconds until the next call may be made, or `None` if the service does not say.
        kind: Which limit was hit: ``api_calls``, ``bulk_api_calls``, ``api_calls_cycle`` (the plan's
            cycle is used up: waiting does not help), ``webhook_calls``, or `None`.
    """

    retry_after: float | None = None
    kind: str | None = None


class ServerError(APIStatusError):
    """5xx: the service, or a proxy before it, failed."""


class DecodeError(VoucherifyError):
    """An answer came, and it is not what the API promises.

    Attributes:
        status: HTTP status code of the answer.
        body: The beginning of its body; empty where the body may hold a secret.
        item_id: For one item of a list: its id, if it has one.
        position: For one item of a list: its index in the page, from 0.
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
    """A walk over a list cannot go on."""


class PageLimitError(PaginationError):
    """Page numbers end at 99, and there is more than 99 pages hold."""


class PaginationStalledError(PaginationError):
    """The walk cannot move on without losing items."""


class InvalidCursorError(PaginationError, ValueError):
    """The cursor is damaged, or was made for another list, with other filters, or by another version."""


class AsyncActionError(VoucherifyError):
    """A background job did not come to a good end.

    Attributes:
        action: The job as last seen, an `AsyncAction`.
    """

    def __init__(self, message: str = "", *, action: Any = None, **common: Unpack[_Common]) -> None:
        common.setdefault("may_have_been_applied", True)
        super().__init__(message, **common)
        self.action = action


class AsyncActionFailedError(AsyncActionError):
    """The job ended, and the service calls it failed."""


class AsyncActionTimeoutError(AsyncActionError):
    """The job has not ended in time. It goes on: wait again with the same id."""


class SyncStateError(VoucherifyError):
    """The file of a sync's state cannot be used.

    Attributes:
        reason: ``other_project``, ``other_kind``, ``in_use``, ``damaged`` or ``unwritable``. Of these only
            ``in_use`` passes by itself.
        path: The file.
    """

    def __init__(
        self, message: str = "", *, reason: str = "", path: str = "", **common: Unpack[_Common]
    ) -> None:
        super().__init__(message, **common)
        self.reason = reason
        self.path = path


class SyncTimeoutError(VoucherifyError, TimeoutError):
    """A sync job has not ended in time. Its open background jobs go on; they are in `report`, a `SyncReport`."""


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
    """The class for an HTTP status that is not a success."""
    if status >= 500:
        return ServerError
    return _BY_STATUS.get(status, APIStatusError)

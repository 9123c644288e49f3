"""FastAPI: a client for each application, errors as responses, pages, and webhooks. Requires the extra ``fastapi``.

::

    app = FastAPI(lifespan=voucherify_lifespan())  # keys from the environment
    add_error_handlers(app)
    receiver = WebhookReceiver(lambda: os.environ["VOUCHERIFY_WEBHOOK_SECRET"])
    seen = SeenEvents()

    @app.get("/customers")
    async def list_customers(voucherify: VoucherifyDep, page: PageDep) -> Page[Customer]:
        return await voucherify.customers.list(limit=page.limit, cursor=page.cursor)

    @app.post("/webhooks", status_code=204)
    async def receive(event: Annotated[WebhookEvent, Depends(receiver)]) -> None:
        if seen.add(event):
            print(event.event_type, event.data)

The service repeats a webhook for up to 24 hours until it gets a 2xx response, so an event can arrive again.
`SeenEvents` recognizes it within one process. Several processes can share a Redis server: ``SET key value NX EX ttl``
stores the id of an event only if it is new. With redis-py, in place of `seen`::

    key = f"voucherify:event:{event.event_id}"
    if event.event_id is not None and not await redis.set(key, "1", nx=True, ex=25 * 3600):
        return  # a duplicate
    try:
        await process(event)
    except BaseException:
        await redis.delete(key)  # the service sends the event again
        raise

In tests, ``app.dependency_overrides[get_voucherify] = lambda: client`` replaces the client.
"""

# Without `from __future__ import annotations`: FastAPI reads the annotations of dependencies, and does not find the
# names in those of closures and of callable objects if they are strings.

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final, NamedTuple, Unpack

from voucherify_async import errors
from voucherify_async.client import ClientSettings, VoucherifyClient
from voucherify_async.resources._inputs import check_count
from voucherify_async.webhooks import WebhookEvent, is_json, parse_event, verify_signature

try:
    from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
    from fastapi.requests import HTTPConnection
    from fastapi.responses import JSONResponse
    from starlette.requests import ClientDisconnect
except ImportError as error:
    raise ImportError(
        "voucherify_async.fastapi needs FastAPI: pip install 'voucherify-async[fastapi]'", name=error.name
    ) from error

__all__ = [
    "PageDep",
    "PageParams",
    "VoucherifyDep",
    "WebhookReceiver",
    "add_error_handlers",
    "error_response",
    "get_voucherify",
    "page_params",
    "voucherify_lifespan",
]

_logger = logging.getLogger("voucherify_async.fastapi")

_MAX_PAGE_SIZE: Final = 100
_MAX_WEBHOOK_BYTES: Final = 1024 * 1024
_SIGNATURE_HEADER: Final = "X-Voucherify-Signature"
_CHALLENGE: Final = {"WWW-Authenticate": _SIGNATURE_HEADER}
"""HTTP requires one with a 401."""

_MAX_LENGTH_DIGITS: Final = 20
"""Digits of a ``Content-Length`` to read. Python refuses to convert thousands of them."""


# ---------------------------------------------------------------- the client


def voucherify_lifespan(
    create_client: Callable[..., VoucherifyClient] = VoucherifyClient, /, **settings: Unpack[ClientSettings]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that opens one client when the application starts, and closes it when the application stops.

    ::

        app = FastAPI(lifespan=voucherify_lifespan(deadline=10))

    Within the lifespan of your own application::

        open_voucherify = voucherify_lifespan(deadline=10)

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
            async with open_voucherify(app), open_database():
                yield

    The client is `app.state.voucherify`. Mounted applications do not run a lifespan of their own: assign the client to
    their `state.voucherify` too.

    Args:
        create_client: Called with `settings` at each start. It returns the client to open.
        settings: The settings of `VoucherifyClient`. Those that are left out are read from the environment at each
            start.
    """
    # Error reporters show the local variables of a traceback, and the settings can be keys. This method has no frame
    # of its own, and its repr does not show them.
    new_client = partial(create_client, **settings).__call__

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with new_client() as client:
            previous = getattr(app.state, "voucherify", None)
            app.state.voucherify = client
            try:
                yield
            finally:
                app.state.voucherify = previous

    return lifespan


async def get_voucherify(connection: HTTPConnection) -> VoucherifyClient:
    """The dependency behind `VoucherifyDep`: the client that `voucherify_lifespan` has opened.

    Raises:
        ConfigurationError: The application has no client.
    """
    client: VoucherifyClient | None = getattr(connection.app.state, "voucherify", None)
    if client is None:
        raise errors.ConfigurationError(
            "the application has no Voucherify client: create it with FastAPI(lifespan=voucherify_lifespan()), and run "
            "its lifespan; a mounted application needs the client in its state.voucherify"
        )
    return client


VoucherifyDep = Annotated[VoucherifyClient, Depends(get_voucherify)]


# ---------------------------------------------------------------- errors


class _Problem(NamedTuple):
    """How a response describes an error. Nothing in it comes from the service."""

    status: int
    code: str
    detail: str


_INTERNAL: Final = _Problem(500, "internal_error", "The server could not complete the request.")
_FAILED: Final = _Problem(502, "service_failed", "A service that this server depends on failed.")
_BUSY: Final = _Problem(503, "busy", "The server is busy. Try again later.")
_TIMEOUT: Final = _Problem(504, "timeout", "A service that this server depends on did not respond in time.")
_REJECTED: Final = _Problem(400, "rejected", "The request has an invalid value, or is not possible now.")
_JOB_TIMEOUT: Final = _Problem(504, "job_timeout", "A background job is not finished yet. It continues.")

_PROBLEMS: Final[dict[type[errors.VoucherifyError], _Problem]] = {
    errors.VoucherifyError: _INTERNAL,
    errors.TransportError: _FAILED,
    errors.PoolTimeoutError: _BUSY,
    errors.ConnectTimeoutError: _TIMEOUT,
    errors.ReadTimeoutError: _TIMEOUT,
    errors.DeadlineExceededError: _TIMEOUT,
    errors.OutcomeUnknownError: _Problem(
        504,
        "outcome_unknown",
        "The result of the request is unknown: it may have been applied. Check that before you send it again.",
    ),
    errors.APIStatusError: _FAILED,
    errors.BadRequestError: _REJECTED,
    errors.AuthenticationError: _INTERNAL,
    errors.PaymentRequiredError: _INTERNAL,
    errors.PermissionDeniedError: _INTERNAL,
    errors.NotFoundError: _Problem(404, "not_found", "The object does not exist."),
    errors.MethodNotAllowedError: _INTERNAL,
    errors.NotAcceptableError: _INTERNAL,
    errors.ConflictError: _Problem(409, "conflict", "The request conflicts with the current state of the object."),
    errors.PayloadTooLargeError: _Problem(413, "too_large", "The request has too much data."),
    errors.UnsupportedMediaTypeError: _INTERNAL,
    errors.LockedError: _Problem(409, "locked", "Another operation is changing the object. Try again later."),
    errors.RateLimitError: _Problem(429, "rate_limited", "There are too many requests. Try again later."),
    errors.DecodeError: _FAILED,
    errors.InvalidCursorError: _Problem(400, "invalid_cursor", "The cursor is damaged, or belongs to another list."),
    errors.AsyncActionError: _Problem(502, "job_failed", "A background job failed. Parts of it may have been applied."),
    errors.AsyncActionTimeoutError: _JOB_TIMEOUT,
    errors.SyncTimeoutError: _JOB_TIMEOUT,
    errors.WebhookSignatureError: _Problem(401, "invalid_signature", "The signature is missing or wrong."),
}  # fmt: skip
"""A class that is not here has the problem of its closest base class."""


def error_response(error: errors.VoucherifyError) -> JSONResponse:
    """The response for an error: a problem in JSON (RFC 9457) with a `code`, and without texts of the service.

    The statuses are:

    - 400: the service rejected the values of a call (400, 422); invalid cursor
    - 401: wrong signature of a webhook
    - 404: not found
    - 409: conflict; the object is locked
    - 413: the service rejected a call as too large
    - 429: rate limit, with ``Retry-After`` if the time is known
    - 500: to be fixed in the application: settings, keys, permissions, plan (401, 402, 403), requests that the service
      does not support (405, 406, 415), lists that cannot be continued, the state file of a sync
    - 502: the service failed (5xx, other statuses, responses that do not match the API), the connection or proxy failed,
      a background job failed
    - 503: the rate limit would exceed the deadline, with ``Retry-After``; no free connection; the state file of a sync is
      in use
    - 504: timeout, deadline, a job or sync that is not finished, and an unknown outcome

    In the body, `may_have_been_applied` is true if the service may have acted on the call, and `request_id` is the
    service's id of the request.

    Args:
        error: Any error of this package.
    """
    problem = _problem_of(error)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
    }
    if error.request_id is not None:
        body["request_id"] = error.request_id.encode("utf-8", "replace").decode()
    if error.may_have_been_applied:
        body["may_have_been_applied"] = True
    headers = dict(_CHALLENGE) if problem.status == 401 else {}
    seconds = _retry_after(error)
    if seconds is not None:
        headers["Retry-After"] = str(seconds)
    return JSONResponse(body, problem.status, headers, media_type="application/problem+json")


def _problem_of(error: errors.VoucherifyError) -> _Problem:
    if isinstance(error, errors.DeadlineExceededError) and error.retry_after is not None:
        return _BUSY
    if isinstance(error, errors.SyncStateError) and error.reason == "in_use":
        return _BUSY
    if isinstance(error, errors.APIStatusError) and error.status == 422:  # has no class of its own
        return _REJECTED
    return next(_PROBLEMS[base] for base in type(error).__mro__ if base in _PROBLEMS)


def _retry_after(error: errors.VoucherifyError) -> int | None:
    """Whole seconds, rounded up and at least 1."""
    seconds: float | None = getattr(error, "retry_after", None)
    return None if seconds is None or not math.isfinite(seconds) else max(1, math.ceil(seconds))


def add_error_handlers(app: FastAPI) -> None:
    """Respond to each `VoucherifyError` that an endpoint or dependency raises with its `error_response`.

    Errors with a status from 500 are logged to ``voucherify_async.fastapi``, as the response does not show the cause.
    Your own handler for a subclass takes precedence. `ValueError` is left to the application, and so are errors in
    WebSocket endpoints.

    Args:
        app: The application. A mounted application needs the handlers too.
    """
    app.add_exception_handler(errors.VoucherifyError, _handle_error)


async def _handle_error(request: Request, error: Exception) -> Response:
    if not isinstance(request, Request) or not isinstance(error, errors.VoucherifyError):
        raise error  # of a WebSocket, which has no response
    response = error_response(error)
    if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.error("responding with 500 to %s: %s", type(error).__name__, error, exc_info=error)
    elif response.status_code > HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.warning("responding with %s to %s: %s", response.status_code, type(error).__name__, error)
    return response


# ---------------------------------------------------------------- pages


class PageParams(NamedTuple):
    """Which page of a list a request asks for.

    Attributes:
        limit: The most items on the page.
        cursor: The `next_cursor` of the page before; `None` for the first page.
    """

    limit: int
    cursor: str | None


def page_params(
    *, default_limit: int = 20, max_limit: int = _MAX_PAGE_SIZE
) -> Callable[..., Awaitable[PageParams]]:
    """Create a dependency that reads the query parameters `limit` and `cursor` into `PageParams`.

    `PageDep` uses it with the default values. With others::

        SmallPageDep = Annotated[PageParams, Depends(page_params(default_limit=5, max_limit=10))]

    A `limit` out of range is rejected with 422, as other parameters. An invalid cursor raises `InvalidCursorError` when
    it is passed to a list; with `add_error_handlers` the response is a 400.

    Args:
        default_limit: The limit of requests without one.
        max_limit: The largest limit to accept, up to 100.

    Raises:
        ValueError: An argument is out of range.
    """
    check_count("max_limit", max_limit, _MAX_PAGE_SIZE)
    check_count("default_limit", default_limit, max_limit)

    async def read_page_params(
        limit: Annotated[
            int, Query(ge=1, le=max_limit, description="The maximum number of items on the page.")
        ] = default_limit,
        cursor: Annotated[
            str | None,
            Query(description="The `next_cursor` of the previous page. Omit it for the first page."),
        ] = None,
    ) -> PageParams:
        return PageParams(limit, cursor)

    return read_page_params


PageDep = Annotated[PageParams, Depends(page_params())]


# ---------------------------------------------------------------- webhooks

_Secret = str | Sequence[str]


class WebhookReceiver:
    """A dependency that reads a request to a webhook, checks its signature, and gives its `WebhookEvent`.

    ::

        receiver = WebhookReceiver(lambda: os.environ["VOUCHERIFY_WEBHOOK_SECRET"])

        @app.post("/webhooks", status_code=204)
        async def receive(event: Annotated[WebhookEvent, Depends(receiver)]) -> None:
            ...

    It responds with 401 if the signature is missing or wrong, with 413 if the body is too large, and with 400 if the
    body is not JSON or the sender disconnects. The endpoint must not have a body parameter: FastAPI would read the body
    first, whatever its size.
    """

    def __init__(
        self, secret: _Secret | Callable[[], _Secret], /, *, max_bytes: int = _MAX_WEBHOOK_BYTES
    ) -> None:
        """Create a dependency.

        Args:
            secret: The secret of the project's webhooks; several while the secret is being changed. A function that
                returns them is called for each request, for example to read the environment. It must not block.
            max_bytes: The largest body to accept, in bytes.

        Raises:
            ValueError: `secret` is empty or of another type, or `max_bytes` less than 1.
        """
        if not callable(secret):
            verify_signature(b"", None, secret)  # raises ValueError for a secret that cannot be one
        check_count("max_bytes", max_bytes)
        self._secret = secret if callable(secret) or isinstance(secret, str) else tuple(secret)
        self._max_bytes = max_bytes

    async def __call__(
        self,
        request: Request,
        signature: Annotated[
            str | None,
            Header(alias=_SIGNATURE_HEADER, description="HMAC-SHA256 of the body, in hexadecimal."),
        ] = None,
    ) -> WebhookEvent:
        """Read, check and parse a request.

        Raises:
            HTTPException: The request is not acceptable.
            ValueError: The function passed as `secret` returned an invalid value.
        """
        body = await _read_body(request, self._max_bytes)
        # Called in place, so that no traceback has the secret in a local variable of this function.
        if not verify_signature(body, signature, self._secret() if callable(self._secret) else self._secret):
            raise HTTPException(401, "The signature is missing or wrong.", _CHALLENGE)
        if not is_json(body):  # parse_event accepts anything
            raise HTTPException(400, "The body is not JSON.")
        return parse_event(body)


async def _read_body(request: Request, max_bytes: int) -> bytes:
    """Read the body, but not much more than `max_bytes`."""
    too_large = HTTPException(413, f"The body must not have more than {max_bytes} bytes.")
    declared = request.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared[:_MAX_LENGTH_DIGITS]) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except ClientDisconnect:
        raise HTTPException(400, "The sender disconnected before the end of the body.") from None
    return bytes(body)

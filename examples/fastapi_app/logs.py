"""Logging: one line for each request, and the id of the request in every line."""

import logging
import re
import time
from contextvars import ContextVar
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("fastapi_app")
request_id: ContextVar[str] = ContextVar("request_id", default="-")


def configure_logging() -> None:
    """Log to standard error."""
    handler = logging.StreamHandler()
    handler.addFilter(_add_request_id)
    line = "%(asctime)s %(levelname)s [%(request_id)s] %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=line, handlers=[handler])


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = request_id.get()
    return True


class RequestLog:
    """Gives each request an id, which the response has too, and logs the request when it has ended.

    The log has the path template, as ids in paths can be personal data.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("X-Request-Id", "")
        token = request_id.set(given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else uuid4().hex)
        status, started = 500, time.perf_counter()  # the status if the application raises

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id.get()
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            path = getattr(scope.get("route"), "path", "(no route)")
            seconds = time.perf_counter() - started
            logger.info("%s %s %s in %.3f s", scope["method"], path, status, seconds)
            request_id.reset(token)

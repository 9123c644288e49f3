"""Errors as the service answers them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from voucherify_async._transport.wire import MAX_BODY_BYTES

__all__ = ["ApiError", "bad_query", "not_found", "too_large"]


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        key: str,
        details: str | None = None,
        *,
        message: str | None = None,
        resource_id: str | None = None,
        resource_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.key = key
        self.message = message or HTTPStatus(status).phrase
        self.details = details
        self.resource_id = resource_id
        self.resource_type = resource_type
        self.headers = headers or {}
        super().__init__(f"{status} {key}: {self.message}")

    def to_json(self, request_id: str) -> dict[str, Any]:
        """The body of the answer."""
        if self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            # Not from the application, but from what is before it: it has a shape of its own.
            return {"statusCode": self.status, "error": "Request Entity Too Large", "message": self.details}
        body = {
            "code": self.status,
            "key": self.key,
            "message": self.message,
            "details": self.details,
            "request_id": request_id,
            "resource_id": self.resource_id,
            "resource_type": self.resource_type,
        }
        return {name: value for name, value in body.items() if value is not None}


def not_found(kind: str, key: str) -> ApiError:
    """404 for an object that does not exist."""
    return ApiError(
        404,
        "not_found",
        f"Cannot find {kind} with id {key}",
        message="Resource not found",
        resource_id=key,
        resource_type=kind,
    )


def bad_query(details: str) -> ApiError:
    """400 for a query that makes no sense."""
    return ApiError(400, "invalid_query_params", details, message="Invalid query params")


def too_large(most: int = MAX_BODY_BYTES) -> ApiError:
    """413 for a body above the limit, in bytes."""
    details = f"Payload content length greater than maximum allowed: {most}"
    return ApiError(413, "payload_too_large", details)

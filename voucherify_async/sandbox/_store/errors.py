"""The service's error responses."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from voucherify_async._transport.wire import MAX_BODY_BYTES

__all__ = ["ApiError", "bad_query", "not_found", "too_large"]


class ApiError(Exception):
    """An error response."""

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
        """The body of the response."""
        if self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            # A proxy in front of the application sends this one, in another format.
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
    """The 404 error for an object that does not exist."""
    return ApiError(
        404,
        "not_found",
        f"Cannot find {kind} with id {key}",
        message="Resource not found",
        resource_id=key,
        resource_type=kind,
    )


def bad_query(details: str) -> ApiError:
    """The 400 error for an invalid query."""
    return ApiError(400, "invalid_query_params", details, message="Invalid query params")


def too_large(limit: int = MAX_BODY_BYTES) -> ApiError:
    """The 413 error for a body of more than `limit` bytes."""
    details = f"Payload content length greater than maximum allowed: {limit}"
    return ApiError(413, "payload_too_large", details)

"""The endpoints of OAuth access tokens. No I/O."""

from __future__ import annotations

import math
from typing import Any, Final

from voucherify_async.sandbox._http.routing import ApiCall, EndpointResult, Router, read_form
from voucherify_async.sandbox._store.errors import ApiError
from voucherify_async.sandbox._store.store import Store

__all__ = ["routes"]

Json = dict[str, Any]
routes = Router()

_MAX_TOKENS: Final = 1000
_SCOPES: Final = frozenset(
    [
        "api",
        "assets",
        "async-actions",
        "campaigns",
        "categories",
        "client_api",
        "client_consents",
        "client_customers",
        "client_events",
        "client_promotions",
        "client_publish",
        "client_qualifications",
        "client_redeem",
        "client_redemptions",
        "client_validate",
        "client_validations",
        "client_vouchers",
        "consents",
        "customers",
        "events",
        "exports",
        "locations",
        "loyalties",
        "metadata-schemas",
        "orders",
        "product-collections",
        "products",
        "promotions",
        "publications",
        "qualifications",
        "redemptions",
        "referrals",
        "rewards",
        "segments",
        "skus",
        "task-results",
        "templates",
        "trash-bin",
        "validation-rules",
        "validation-rules-assignments",
        "validations",
        "vouchers",
    ]
)


@routes.add("oauth.create_token", "POST", "/v1/oauth/token")
def _create_token(store: Store, call: ApiCall, _: str) -> EndpointResult:
    form = read_form(call)
    if form.get("grant_type") != "client_credentials":
        raise ApiError(400, "invalid_grant_type", message="Invalid grant_type")
    scopes = form.get("scope", "").split()
    if not scopes or not set(scopes) <= _SCOPES:
        raise ApiError(400, "invalid_scope", message=f"Invalid scope: {','.join(scopes)}")
    store.drop_expired_tokens()
    if len(store.tokens) >= _MAX_TOKENS:
        details = f"A project has at most {_MAX_TOKENS} tokens at a time"
        raise ApiError(400, "oauth_tokens_limit_exceeded", details, message="Too many OAuth tokens")
    return 200, _token(store, store.issue_token(" ".join(scopes)).value)


@routes.add("oauth.introspect_token", "POST", "/v1/oauth/introspect")
def _introspect_token(store: Store, call: ApiCall, _: str) -> EndpointResult:
    value = _token_of(call)
    if store.live_token(value) is None:
        return 200, {"active": False}
    return 200, {**_token(store, value), "active": True}


@routes.add("oauth.revoke_token", "POST", "/v1/oauth/token/revoke")
def _revoke_token(store: Store, call: ApiCall, _: str) -> EndpointResult:
    token = store.live_token(_token_of(call))
    if token is None:
        return 404, None  # the only error response without a body
    store.revoke_token(token)
    return 204, None


def _token_of(call: ApiCall) -> str:
    value = read_form(call).get("access_token")
    if value is None:
        raise ApiError(400, "missing_parameters", message="Missing parameters")
    return value


def _token(store: Store, value: str) -> Json:
    token = store.tokens[value]
    return {
        "access_token": token.value,
        "client_id": "sandbox",
        "expires_at": int(token.expires),
        "expires_in": math.ceil(token.expires - store.clock()),
        "scope": token.scope,
        "token_type": "Bearer",
    }

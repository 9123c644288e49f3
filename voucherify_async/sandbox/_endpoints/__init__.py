"""The service's endpoints: each takes a request and returns a status and JSON. No I/O."""

from voucherify_async.sandbox._endpoints import async_actions, customers, oauth
from voucherify_async.sandbox._http.routing import Router

__all__ = ["routes"]

routes = Router(customers.routes, async_actions.routes, oauth.routes)
"""All endpoints of the sandbox."""

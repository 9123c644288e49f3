"""The service's endpoints: a call in, a status and JSON out. No I/O."""

from voucherify_async.sandbox._endpoints import async_actions, customers, oauth
from voucherify_async.sandbox._http.routing import Router

__all__ = ["routes"]

routes = Router(customers.routes, async_actions.routes, oauth.routes)
"""Every endpoint of the sandbox."""

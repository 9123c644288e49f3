"""The service's endpoints: a call in, a status and JSON out. No I/O."""

from voucherify_async.sandbox import async_actions, customer_lists, customers, oauth
from voucherify_async.sandbox.routing import Router

__all__ = ["routes"]

routes = Router(customers.routes, customer_lists.routes, async_actions.routes, oauth.routes)
"""Every endpoint of the sandbox."""

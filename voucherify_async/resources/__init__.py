"""The API's resources: one class per section of the API, one method per operation."""

from voucherify_async.resources.async_actions import AsyncActionsResource
from voucherify_async.resources.customers import CustomersResource
from voucherify_async.resources.oauth import OAuthResource

__all__ = ["AsyncActionsResource", "CustomersResource", "OAuthResource"]

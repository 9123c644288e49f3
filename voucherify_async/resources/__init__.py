"""The API's sections: one class each, and a method for every operation."""

from voucherify_async.resources.async_actions import AsyncActionsResource
from voucherify_async.resources.customers import CustomersResource
from voucherify_async.resources.oauth import OAuthResource

__all__ = ["AsyncActionsResource", "CustomersResource", "OAuthResource"]

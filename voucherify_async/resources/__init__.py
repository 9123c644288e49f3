"""The API's resources: one class per section of the API, one method per operation."""

from typing import TYPE_CHECKING

from voucherify_async._lazy import lazy_exports

_EXPORTS = {
    "async_actions": ("AsyncActionsResource",),
    "customers": ("CustomerFilters", "CustomerOrder", "CustomersResource"),
    "oauth": ("OAuthResource",),
}
"""The public names by defining module. They are imported on first use."""

if TYPE_CHECKING:
    from voucherify_async.resources.async_actions import AsyncActionsResource as AsyncActionsResource
    from voucherify_async.resources.customers import CustomerFilters as CustomerFilters
    from voucherify_async.resources.customers import CustomerOrder as CustomerOrder
    from voucherify_async.resources.customers import CustomersResource as CustomersResource
    from voucherify_async.resources.oauth import OAuthResource as OAuthResource

else:  # hidden from type checkers, for which `__getattr__` means that every name exists
    __all__, __getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

"""A local Voucherify server, for tests and for experiments without an account.

In a program: `async with Sandbox() as sandbox`. From a shell, for a client in any language:
``python -m voucherify_async.sandbox --port 8181 --customers 5000 --seed 7``.
"""

from typing import TYPE_CHECKING

from voucherify_async._lazy import lazy_exports

_EXPORTS = {
    "_http.exchanges": ("Exchange",),
    "_http.faults": ("Faults",),
    "_http.planned_failures": ("PlannedFailure",),
    "_http.rate_limits": ("Quota",),
    "_http.server": ("Sandbox",),
    "_http.webhook_queue": ("WebhookDelivery",),
    "_store.quirks": ("Quirks",),
    "_store.segments": ("Segment",),
}

if TYPE_CHECKING:
    from voucherify_async.sandbox._http.exchanges import Exchange as Exchange
    from voucherify_async.sandbox._http.faults import Faults as Faults
    from voucherify_async.sandbox._http.planned_failures import PlannedFailure as PlannedFailure
    from voucherify_async.sandbox._http.rate_limits import Quota as Quota
    from voucherify_async.sandbox._http.server import Sandbox as Sandbox
    from voucherify_async.sandbox._http.webhook_queue import WebhookDelivery as WebhookDelivery
    from voucherify_async.sandbox._store.quirks import Quirks as Quirks
    from voucherify_async.sandbox._store.segments import Segment as Segment

else:
    __all__, __getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

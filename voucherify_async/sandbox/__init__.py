"""A local Voucherify server, for tests and for experiments without an account.

In a program: `async with Sandbox() as sandbox`. From a shell, for a client in any language:
``python -m voucherify_async.sandbox --port 8181 --customers 5000 --seed 7``.
"""

from voucherify_async.sandbox._http.exchanges import Exchange
from voucherify_async.sandbox._http.faults import Faults
from voucherify_async.sandbox._http.rate_limits import Quota
from voucherify_async.sandbox._http.server import Sandbox
from voucherify_async.sandbox._store.quirks import Quirks
from voucherify_async.sandbox._store.segments import Segment

__all__ = ["Exchange", "Faults", "Quirks", "Quota", "Sandbox", "Segment"]

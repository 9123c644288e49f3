"""A local Voucherify, for tests and for trying things out without an account.

In a program: `async with Sandbox() as sandbox`. From a shell, for a client in any language:
``python -m voucherify_async.sandbox --port 8181 --customers 5000 --seed 7``.
"""

from voucherify_async.sandbox.exchanges import Exchange
from voucherify_async.sandbox.faults import Faults
from voucherify_async.sandbox.limits import Quota
from voucherify_async.sandbox.quirks import Quirks
from voucherify_async.sandbox.segments import Segment
from voucherify_async.sandbox.server import Sandbox

__all__ = ["Exchange", "Faults", "Quirks", "Quota", "Sandbox", "Segment"]

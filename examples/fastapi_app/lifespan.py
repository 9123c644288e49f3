"""The client of the application: one in each process, with settings from the environment."""

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from voucherify_async import ClientSettings
from voucherify_async.fastapi import voucherify_lifespan


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Open the client when the process starts, and close it when the process stops."""
    async with AsyncExitStack() as stack:
        # Users wait for the response: one failed attempt can be repeated before the deadline.
        settings = ClientSettings(timeout=3.0, deadline=10.0)
        try:
            from voucherify_async.otel import OpenTelemetryHook  # noqa: PLC0415  # an extra
        except ImportError:
            pass
        else:
            settings["hooks"] = [OpenTelemetryHook()]
        if "REDIS_URL" in os.environ:
            from voucherify_async.redis import RedisRateLimiter  # noqa: PLC0415  # an extra

            limiter = RedisRateLimiter(
                os.environ["REDIS_URL"],
                limit=int(os.environ["VOUCHERIFY_RATE_LIMIT"]),  # calls per minute, of all processes together
                period=60.0,
            )
            settings["rate_limiter"] = await stack.enter_async_context(limiter)
        await stack.enter_async_context(voucherify_lifespan(**settings)(app))
        yield

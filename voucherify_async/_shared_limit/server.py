"""The connection of one event loop to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import logging
import math
import os
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from voucherify_async._shared_limit.permits import Grant
from voucherify_async._shared_limit.script import POLL_SECONDS, SCRIPT
from voucherify_async._transport.clock import Clock

try:
    from redis.asyncio import Redis
    from redis.exceptions import NoScriptError
except ImportError as error:
    raise ImportError(
        "voucherify_async.redis needs redis-py: pip install 'voucherify-async[redis]'", name=error.name
    ) from error

__all__ = ["Redis", "Server", "Settings"]

_logger = logging.getLogger("voucherify_async")


class Settings(NamedTuple):
    limit: int
    period: float
    key: str
    timeout: float
    lease: float
    local_limit: int | None
    clock: Clock


class Server:
    """The connection of one event loop to Redis, and whether Redis answers.

    Attributes:
        available: Whether the last script call was answered in time.
        processes: How many processes use the limit, as the last script call reported; 0 before the first.
    """

    def __init__(self, client: Redis, settings: Settings, *, owned: bool) -> None:
        self._client: Any = client  # its types differ from version to version
        self._settings = settings
        self._owned = owned
        self._script = SCRIPT
        self._digest = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
        self._probe_at = -math.inf
        self._probe: asyncio.Task[None] | None = None
        self.available = True
        self.processes = 0
        self.pid = os.getpid()
        self.process = f"{random.getrandbits(64):016x}:"  # not a secret

    async def run_script(self, keys: list[str], arguments: list[object]) -> Grant | None:
        """Run the script; `None` if Redis does not answer in time or fails."""
        try:
            grant = await self._run_script(keys, arguments)
        except Exception as error:  # noqa: BLE001  # no call may fail because of Redis, whatever it raises
            self._lose(error)
            return None
        self.processes = grant.processes
        return grant

    async def _run_script(self, keys: list[str], arguments: list[object]) -> Grant:
        command: list[Any] = [len(keys), *keys, *arguments]
        async with asyncio.timeout(self._settings.timeout):
            try:
                reply: Any = await self._client.execute_command("EVALSHA", self._digest, *command)
            except NoScriptError:
                reply = await self._client.execute_command("EVAL", self._script, *command)
        return Grant(int(reply[0]), int(reply[1]) / 1e6, int(reply[2]), int(reply[3]))

    def _lose(self, error: Exception) -> None:
        self._probe_at = self._settings.clock.monotonic() + POLL_SECONDS
        if self.available:
            self.available = False
            # The text of the error could contain the URL.
            _logger.warning(
                "Redis does not answer (%s); each process limits its own calls until it does",
                type(error).__name__,
            )

    def probe(self, keys: list[str], arguments: list[object], on_return: Callable[[], object]) -> None:
        """Look whether Redis is back, in the background and only now and then, so that no call waits for it.

        Args:
            keys: The keys of the script.
            arguments: The arguments of a script call that acquires nothing. A server that only answers is not enough.
            on_return: Called when Redis is back.
        """
        now = self._settings.clock.monotonic()
        if now >= self._probe_at and self._probe is None:
            self._probe_at = math.inf
            probing = self._run_probe(keys, arguments, on_return)
            self._probe = asyncio.create_task(probing, context=contextvars.Context())

    async def _run_probe(
        self, keys: list[str], arguments: list[object], on_return: Callable[[], object]
    ) -> None:
        try:
            await self._run_script(keys, arguments)
        except Exception as error:  # noqa: BLE001  # as above
            self._lose(error)
        else:
            self.available = True
            _logger.info("Redis answers again; processes share the rate limit")
            on_return()
        finally:
            self._probe = None

    async def aclose(self) -> None:
        """Wait for the probe, and close the client unless it is the user's."""
        if self._probe is not None:
            await asyncio.wait([self._probe])
        if self._owned:
            with contextlib.suppress(Exception):  # the connection may be broken
                await self._client.aclose()

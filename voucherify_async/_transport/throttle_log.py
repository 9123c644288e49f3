"""Log messages for throttling: one when calls start to wait for a rate limit, and one when they resume."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from voucherify_async._transport.clock import Clock

__all__ = ["ThrottleLog"]

_logger = logging.getLogger("voucherify_async")

_MIN_LOGGED_WAIT: Final = 1.0
"""Seconds; only longer waits for a rate limit are logged."""

_MAX_EPISODES: Final = 32
"""The most episodes to keep while no call waits for them; the oldest are dropped first."""


@dataclass(slots=True)
class _Episode:
    """A period in which calls of one kind wait for one limiter.

    Attributes:
        limiter: The limiter; referenced here so that its `id`, which is the key, stays unique.
        waiting: How many calls are waiting now.
        warned_at: When the first warning was logged; `None` if there is no warning, or its second has followed.
        has_ended: The second warning was logged, and every call since then had a long wait.
    """

    limiter: object
    waiting: int = 0
    warned_at: float | None = None
    has_ended: bool = False


class ThrottleLog:
    """Logs a warning when calls start to wait for a limiter and one when they resume; single waits are DEBUG.

    Each pair of limiter and kind of call has its own warnings. They are logged again only after a call without a
    long wait, so a sequence of calls that all have to wait logs two warnings in total.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._episodes: dict[tuple[int, str], _Episode] = {}

    def __bool__(self) -> bool:
        """Whether calls are waiting, or no call was sent without waiting since the last one waited."""
        return bool(self._episodes)

    @contextmanager
    def throttled(self, name: str, limiter: object, kind: str, wait: float) -> Generator[None]:
        """Count a call as waiting for a rate limit while the block runs.

        Args:
            name: The name of the operation.
            limiter: The limiter that the call waits for.
            kind: The rate limit that the call counts against.
            wait: The least number of seconds that the call will wait; 0 if unknown.
        """
        key = id(limiter), kind
        episode = self._episodes.setdefault(key, _Episode(limiter))
        started = self._clock.monotonic()
        episode.waiting += 1
        if wait > _MIN_LOGGED_WAIT:
            self._warn_start(episode, kind, started)
        try:
            yield
        finally:
            now = self._clock.monotonic()
            episode.waiting -= 1
            if now - started > _MIN_LOGGED_WAIT:
                _logger.debug("%s: waited %.1f s for the rate limit", name, now - started)
                self._warn_start(episode, kind, started)
            elif episode.warned_at is None:
                episode.has_ended = False
            if not episode.waiting:
                self._warn_end(key, episode, now)

    def record_unthrottled(self, limiter: object, kind: str) -> None:
        """Record that a call was sent without waiting."""
        episode = self._episodes.get((id(limiter), kind))
        if episode is not None and not episode.waiting:
            del self._episodes[id(limiter), kind]

    def _warn_start(self, episode: _Episode, kind: str, now: float) -> None:
        if episode.warned_at is None and not episode.has_ended:
            episode.warned_at = now
            _logger.warning("calls are waiting for the %s rate limit", kind)

    def _warn_end(self, key: tuple[int, str], episode: _Episode, now: float) -> None:
        if episode.warned_at is not None:
            _logger.warning(
                "calls resume after waiting %.1f s for the %s rate limit", now - episode.warned_at, key[1]
            )
            episode.warned_at, episode.has_ended = None, True
        if not episode.has_ended:
            self._episodes.pop(key, None)
        elif len(self._episodes) > _MAX_EPISODES:
            idle = next((key for key, other in self._episodes.items() if not other.waiting), key)
            del self._episodes[idle]

"""Log messages for calls that wait for a rate limit: one when the waiting begins, and one when it ends."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from voucherify_async._transport.clock import Clock

__all__ = ["ThrottleLog"]

_logger = logging.getLogger("voucherify_async")

_LONG_WAIT: Final = 1.0
"""Seconds; a wait for a rate limit above this is worth a warning."""

_MAX_EPISODES: Final = 32
"""Pairs of a limiter and a kind of calls that are remembered while no call waits; the oldest are forgotten."""


@dataclass(slots=True)
class _Episode:
    """A period in which calls of one kind wait for one limiter.

    Attributes:
        limiter: What they wait for; kept, so that no other object gets its `id`.
        waiting: How many calls wait now.
        began: When the first warning was logged; `None` if it was not.
        is_over: The second warning was logged, and no call has passed without a long wait since.
    """

    limiter: object
    waiting: int = 0
    began: float | None = None
    is_over: bool = False


class ThrottleLog:
    """Logs one warning when calls begin to wait for a limiter, and one when they go on; single waits are DEBUG.

    Each limiter and kind of call has warnings of its own. They are logged again only after a call that did not
    wait long: calls made one after the other that all have to wait give two warnings in all.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._episodes: dict[tuple[int, str], _Episode] = {}

    def __bool__(self) -> bool:
        """Whether calls wait, or waited and none has passed without a wait since."""
        return bool(self._episodes)

    @contextmanager
    def hold(self, name: str, limiter: object, kind: str, wait: float) -> Generator[None]:
        """Count a call as waiting while the block runs.

        Args:
            name: The name of its operation.
            limiter: The limiter that it waits for.
            kind: The rate limit that it counts against.
            wait: Seconds that it will wait at least, as far as is known.
        """
        key = id(limiter), kind
        episode = self._episodes.setdefault(key, _Episode(limiter))
        began = self._clock.monotonic()
        episode.waiting += 1
        if wait > _LONG_WAIT:
            self._begin(episode, kind, began)
        try:
            yield
        finally:
            now = self._clock.monotonic()
            episode.waiting -= 1
            if now - began > _LONG_WAIT:
                _logger.debug("%s: waited %.1f s for the rate limit", name, now - began)
                self._begin(episode, kind, began)
            elif episode.began is None:
                episode.is_over = False
            if not episode.waiting:
                self._end(key, episode, now)

    def passed(self, limiter: object, kind: str) -> None:
        """A call was sent without a wait."""
        episode = self._episodes.get((id(limiter), kind))
        if episode is not None and not episode.waiting:
            del self._episodes[id(limiter), kind]

    def _begin(self, episode: _Episode, kind: str, now: float) -> None:
        if episode.began is None and not episode.is_over:
            episode.began = now
            _logger.warning("the rate limit of %s holds calls back", kind)

    def _end(self, key: tuple[int, str], episode: _Episode, now: float) -> None:
        if episode.began is not None:
            _logger.warning("calls go on after %.1f s for the rate limit of %s", now - episode.began, key[1])
            episode.began, episode.is_over = None, True
        if not episode.is_over:
            self._episodes.pop(key, None)
        elif len(self._episodes) > _MAX_EPISODES:
            idle = next((key for key, other in self._episodes.items() if not other.waiting), key)
            del self._episodes[idle]

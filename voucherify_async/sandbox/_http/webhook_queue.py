"""The queue of webhooks: which one is sent next, and when a failed one is repeated. No I/O.

Every webhook has a time at which it is due: that of its event, and after a failed attempt a later one. The webhook
that has been due for the longest time is sent next. So new events are sent in their order, and a webhook that fails
lets those behind it pass until it is due again.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from voucherify_async.sandbox._endpoints._webhook_data import webhook_id
from voucherify_async.sandbox._store.records import Event

__all__ = ["MAX_PENDING", "QueuedWebhook", "WebhookDelivery", "WebhookQueue"]

_MAX_ATTEMPTS: Final = 12
MAX_PENDING: Final = 100_000
"""Most webhooks that wait. Further events are dropped, so that a dead receiver does not fill the memory."""
_MAX_RECORDED: Final = MAX_PENDING
"""Most deliveries that are remembered. They take little memory, as they do not include the bodies."""


@dataclass(slots=True, eq=False)
class WebhookDelivery:
    """The delivery of a webhook, updated with each attempt.

    Attributes:
        id: The id of the webhook, ``whs_…``.
        event_type: The type of the event, for example ``customer.created``.
        event_id: The id of the event, as in the activity of the customer.
        state: ``pending`` until the receiver has acknowledged it (``delivered``) or the sandbox has given up
            (``failed``).
        attempts: How often it was sent.
        status: HTTP status of the last response; 0 if there was none.
        error: Why the last attempt failed; `None` if it did not.
    """

    id: str
    event_type: str
    event_id: str
    state: Literal["pending", "delivered", "failed"] = "pending"
    attempts: int = 0
    status: int = 0
    error: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver has acknowledged the webhook."""
        return self.state == "delivered"


class QueuedWebhook(NamedTuple):
    """A webhook that has not been delivered yet. They are ordered by `due`, and by `number` where that is equal."""

    due: float
    number: int
    event: Event
    delivery: WebhookDelivery


class WebhookQueue:
    """The webhooks that have not been delivered yet.

    Attributes:
        deliveries: The deliveries of the most recent webhooks, pending ones included, in the order of their events.
        dropped: How many events were dropped because the queue was full.
    """

    def __init__(self, retry_seconds: float) -> None:
        """Create an empty queue.

        Args:
            retry_seconds: Seconds between the first attempt and the second. Each further interval is twice as long.
        """
        self.deliveries: deque[WebhookDelivery] = deque(maxlen=_MAX_RECORDED)
        self.dropped = 0
        self._retry_seconds = retry_seconds
        self._numbers = itertools.count()
        self._waiting: list[QueuedWebhook] = []
        self._taken: list[QueuedWebhook] = []

    def __len__(self) -> int:
        """The number of pending webhooks, with those that are being sent."""
        return len(self._waiting) + len(self._taken)

    def add(self, event: Event, now: float) -> bool:
        """Add the webhook for an event, unless the queue is full; return whether it was added."""
        if len(self) >= MAX_PENDING:
            self.dropped += 1
            return False
        delivery = WebhookDelivery(webhook_id(event), event.kind, event.id)
        self.deliveries.append(delivery)
        heapq.heappush(self._waiting, QueuedWebhook(now, next(self._numbers), event, delivery))
        return True

    @property
    def next_due(self) -> float | None:
        """When the next webhook is due; `None` if none waits."""
        return self._waiting[0].due if self._waiting else None

    def take(self, now: float) -> QueuedWebhook | None:
        """Remove the webhook that has been due for the longest time, to send it; `None` if none is due."""
        if not self._waiting or self._waiting[0].due > now:
            return None
        webhook = heapq.heappop(self._waiting)
        self._taken.append(webhook)
        return webhook

    def finish(self, webhook: QueuedWebhook, now: float, *, status: int, error: str | None) -> bool:
        """Record an attempt to send a webhook that was taken, and queue it again if the attempt failed.

        Args:
            webhook: The webhook.
            now: The time at which the attempt ended.
            status: HTTP status of the response; 0 if there was none.
            error: Why the attempt failed; `None` if it did not.

        Returns:
            Whether it was recorded; not if the queue was cleared meanwhile.
        """
        delivery = webhook.delivery
        if webhook not in self._taken:
            return False
        self._taken.remove(webhook)
        delivery.attempts += 1
        delivery.status, delivery.error = status, error
        if error is None:
            delivery.state = "delivered"
        elif delivery.attempts >= _MAX_ATTEMPTS:
            delivery.state = "failed"
        else:
            delay = self._retry_seconds * 2 ** (delivery.attempts - 1)
            heapq.heappush(self._waiting, webhook._replace(due=now + delay))
        return True

    def discard(self, webhook: QueuedWebhook, reason: str) -> None:
        """Fail a webhook that was taken and could not be sent."""
        self._taken.remove(webhook)
        webhook.delivery.state, webhook.delivery.error = "failed", reason

    def clear(self, reason: str) -> int:
        """Fail all pending webhooks, and return how many there were."""
        pending = [*self._taken, *self._waiting]
        for webhook in pending:
            webhook.delivery.state, webhook.delivery.error = "failed", reason
        self._taken.clear()
        self._waiting.clear()
        return len(pending)

    def reset(self) -> None:
        """Fail all pending webhooks, and forget the deliveries."""
        self.clear("the sandbox was reset")
        self.deliveries.clear()
        self.dropped = 0

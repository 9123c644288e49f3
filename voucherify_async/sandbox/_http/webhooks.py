"""Sends webhooks: one after the other, in a task that runs while the sandbox does.

The store calls `WebhookSender` with each event; the task takes it from the queue (`webhook_queue.py`). As there may be no
further call to the sandbox, the task also runs the background jobs that are due, between two webhooks.
"""

from __future__ import annotations

import asyncio
import io
import logging
import random
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from voucherify_async._tasks import cancel_and_wait
from voucherify_async._transport.clock import Clock
from voucherify_async._transport.settings import is_url
from voucherify_async.sandbox._endpoints._webhook_data import WEBHOOK_TYPES, sign, webhook_body
from voucherify_async.sandbox._http.webhook_queue import MAX_PENDING, QueuedWebhook, WebhookQueue
from voucherify_async.sandbox._store.records import Event
from voucherify_async.sandbox._store.store import Store

__all__ = ["WebhookSender", "check_webhook_url"]

RESPONSE_SECONDS: Final = 10.0
"""Time for a response. The service waits as long."""
_KEEPALIVE_SECONDS: Final = 2.0
"""Less than the servers of other languages keep an idle connection, as a request on a closed one would fail."""
_REPORT_INTERVAL: Final = 1_000
"""Dropped events between two log messages."""

_logger = logging.getLogger("voucherify_async.sandbox")


def check_webhook_url(url: str) -> None:
    """Check the URL to send webhooks to.

    Raises:
        ValueError: It is not an http(s) URL without credentials.
    """
    if not is_url(url) or "@" in urlsplit(url).netloc:
        raise ValueError(  # without the URL, which may have credentials
            "webhooks must be an http(s) URL without credentials, such as http://127.0.0.1:8000/webhooks"
        )


class WebhookSender:
    """Sends the events of a store to a URL.

    Attributes:
        queue: The webhooks that have not been delivered yet, and the deliveries so far.
    """

    def __init__(
        self, store: Store, url: str, secret: str | None, *, app_id: str, retry_seconds: float, seed: int
    ) -> None:
        """Create a sender that is not running yet.

        Args:
            store: The store whose events are sent.
            url: The URL to send them to.
            secret: The secret that signs them.
            app_id: The application id of the API key that causes the events.
            retry_seconds: Seconds between the first attempt and the second.
            seed: Seed of the duplicates; see `Quirks.duplicate_webhooks`.

        Raises:
            ValueError: `url` is not an http(s) URL without credentials, or `secret` is empty.
        """
        check_webhook_url(url)
        if not isinstance(secret, str) or not secret or not secret.isprintable():
            raise ValueError(
                "webhook_secret must be a non-empty string of printable characters: it signs the webhooks"
            )
        self.queue = WebhookQueue(retry_seconds)
        self._store = store
        self._url = url
        self._secret = secret
        self._app_id = app_id
        self._seed = seed
        self._random = self._make_random()
        self._clock = Clock()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._failing = False

    def start(self) -> None:
        """Start the task in the running event loop, and listen to the events of the store."""
        self._loop = asyncio.get_running_loop()
        self._woken, self._idle = asyncio.Event(), asyncio.Event()  # of this event loop
        self._failing = False
        self._task = asyncio.create_task(self._run())
        self._store.on_event = self._add

    def reset(self) -> None:
        """Drop the pending webhooks and the deliveries, and draw the same duplicates as after the start."""
        self.queue.reset()
        self._random = self._make_random()
        self._failing = False
        self.wake()

    async def aclose(self) -> None:
        """Stop the task without waiting for a receiver. Webhooks that are still pending fail."""
        task, self._task = self._task, None
        if task is None:
            return
        self._store.on_event = None
        try:
            await cancel_and_wait(task)
        finally:
            self._idle.set()
            lost = self.queue.clear("the sandbox was closed")
            if lost or self.queue.dropped:
                _logger.warning(
                    "closed with undelivered webhooks: %d were pending, and %d were dropped before",
                    lost,
                    self.queue.dropped,
                )
            self.queue.dropped = 0

    def wake(self) -> None:
        """Let the task look at the queue and at the background jobs again. May be called from any thread."""
        if self._loop is not None and not self._woken.is_set():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def wait_until_idle(self) -> None:
        """Wait until no webhook is pending and no background job is unfinished. May be called in any event loop.

        Raises:
            RuntimeError: The sandbox is not running, or is closed meanwhile.
        """
        waiting = self._wait_until_idle()
        if self._task is None or self._loop is None or asyncio.get_running_loop() is self._loop:
            await waiting
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(waiting, self._loop))

    async def _wait_until_idle(self) -> None:
        while self._task is not None:
            if not self.queue and self._store.next_job_end is None:
                return
            self._idle.clear()
            self.wake()
            await self._idle.wait()
        raise RuntimeError("the sandbox is not running, so it sends no webhooks")

    def _make_random(self) -> random.Random:
        return random.Random(f"webhooks {self._seed}")  # noqa: S311  # reproducible, not secret

    def _add(self, event: Event) -> None:
        if event.kind not in WEBHOOK_TYPES:
            return
        if self.queue.add(event, self._clock.monotonic()):
            self.wake()
        elif self.queue.dropped % _REPORT_INTERVAL == 1:
            _logger.warning(
                "%s %s is dropped, as %d webhooks are pending; dropped so far: %d",
                event.kind,
                event.id,
                MAX_PENDING,
                self.queue.dropped,
            )

    async def _run(self) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=RESPONSE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as http:
            while True:
                self._woken.clear()
                self._store.advance()
                webhook = self.queue.take(self._clock.monotonic())
                if webhook is None:
                    await self._pause()
                else:
                    await self._deliver(http, webhook)

    async def _pause(self) -> None:
        """Wait until a webhook or a background job is due, or the task is woken."""
        delays: list[float] = []
        if self.queue.next_due is not None:
            delays.append(self.queue.next_due - self._clock.monotonic())
        if self._store.next_job_end is not None:
            delays.append(self._store.next_job_end - self._store.clock())
        if not delays:
            self._idle.set()
            await self._woken.wait()
            return
        alarm = asyncio.create_task(self._wake_after(max(0.0, min(delays))))
        try:
            await self._woken.wait()
        finally:
            await cancel_and_wait(alarm)

    async def _wake_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._woken.set()

    async def _deliver(self, http: aiohttp.ClientSession, webhook: QueuedWebhook) -> None:
        delivery = webhook.delivery
        try:
            body = webhook_body(webhook.event, target_url=self._url, app_id=self._app_id)
        except Exception:  # an event that a program has recorded without its objects must not end the task
            _logger.exception("%s %s cannot be sent", delivery.event_type, delivery.event_id)
            self.queue.discard(webhook, "the event lacks objects that it is about")
            return
        status, error = await self._post(http, body)
        if error is None and self._random.random() < self._store.quirks.duplicate_webhooks:
            delivery.attempts += 1
            await self._post(http, body)
        if not self.queue.finish(webhook, self._clock.monotonic(), status=status, error=error):
            return
        if delivery.state == "failed":
            _logger.warning(
                "%s %s was not delivered; gave up after %d attempts: %s",
                delivery.event_type,
                delivery.event_id,
                delivery.attempts,
                error,
            )
        elif error is not None and not self._failing:
            _logger.warning(
                "%s %s was not delivered, and will be repeated: %s",
                delivery.event_type,
                delivery.event_id,
                error,
            )
        self._failing = error is not None

    async def _post(self, http: aiohttp.ClientSession, body: bytes) -> tuple[int, str | None]:
        """Send a webhook; return the status of the response, and why the attempt failed if it did."""
        headers = {"Content-Type": "application/json", "X-Voucherify-Signature": sign(body, self._secret)}
        data = io.BytesIO(body)  # aiohttp warns of bytes that are larger than 1 MiB
        try:
            async with http.post(self._url, data=data, headers=headers, allow_redirects=False) as response:
                status = response.status  # the rest of the response does not matter
        except TimeoutError:
            return 0, f"no response within {RESPONSE_SECONDS:g} seconds"
        except OSError as error:  # of the connection, so the text is from this machine
            return 0, error.strerror or str(error)
        except aiohttp.ClientError:
            return 0, "the connection was closed without a response, or the response is not HTTP"
        return status, None if 200 <= status < 300 else f"the receiver responded with {status}"

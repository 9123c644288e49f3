"""Receive Voucherify's webhooks, and keep a copy of the customers up to date.

The secret of the project's webhooks is in `VOUCHERIFY_WEBHOOK_SECRET`:

    python examples/webhook_receiver.py --port 8000

To try it without an account, run a sandbox that sends its webhooks there, with the same secret in its environment:

    python -m voucherify_async.sandbox --webhooks http://127.0.0.1:8000/webhooks

The service waits ten seconds for a response with 2xx. Otherwise it sends the webhook again: after a minute, then after
two, and so on. So a webhook can arrive more than once, and after later ones.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from dataclasses import dataclass, field

from aiohttp import web

from voucherify_async import Customer, DecodeError, WebhookSignatureError
from voucherify_async.models import CustomerCreated, CustomerDeleted, CustomerUpdated
from voucherify_async.webhooks import SeenEvents, WebhookEvent, construct_event

MAX_BODY_BYTES = 1024 * 1024
"""A webhook is a few kilobytes. A larger body gets 413, before it is read to its end."""
NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass
class CustomerCopy:
    """The customers by id. A real program would keep them in its database."""

    customers: dict[str, Customer] = field(default_factory=dict[str, Customer])
    changed_at: dict[str, dt.datetime] = field(default_factory=dict[str, dt.datetime])

    async def save(self, event: WebhookEvent, customer: Customer) -> None:
        """Handle ``customer.created`` and ``customer.updated``, which have the whole customer."""
        if self._is_newest(event, customer.id):
            self.customers[customer.id] = customer

    async def delete(self, event: WebhookEvent, customer: Customer) -> None:
        """Handle ``customer.deleted``."""
        if self._is_newest(event, customer.id):
            self.customers.pop(customer.id, None)

    def _is_newest(self, event: WebhookEvent, customer_id: str) -> bool:
        """Whether no later event of the customer has been handled: a webhook that is repeated may be overtaken."""
        created_at = (event.event and event.event.created_at) or event.created_at or NEVER
        if created_at < self.changed_at.get(customer_id, NEVER):
            return False
        self.changed_at[customer_id] = created_at
        return True


class Receiver:
    """Answers the requests of the service: 204 if the event was handled, otherwise an error."""

    def __init__(self, secret: str, customers: CustomerCopy) -> None:
        self._secret = secret
        self._customers = customers
        self._seen = SeenEvents()  # of this process; several processes need a table with a unique key

    async def receive(self, request: web.Request) -> web.Response:
        """Handle a request."""
        # The signature is that of the raw body, so read it once and parse nothing before. aiohttp answers with 413 if
        # the body is larger than `client_max_size`.
        body = await request.read()
        try:
            event = construct_event(body, request.headers.get("X-Voucherify-Signature"), self._secret)
            payload = event.payload
        except WebhookSignatureError as error:
            return web.Response(status=401, text=str(error))
        except DecodeError as error:
            return web.Response(status=400, text=str(error))
        if event.event_type is None:
            return web.Response(status=400, text="this is not an event")
        match payload:
            case CustomerCreated(customer=customer) | CustomerUpdated(customer=customer):
                handle = self._customers.save
            case CustomerDeleted(customer=customer):
                handle = self._customers.delete
            case _:
                return web.Response(status=204)  # the service need not repeat an event that nobody wants
        if customer is None:
            return web.Response(status=400, text="this event has no customer")
        if not self._seen.add(event):
            return web.Response(status=204)  # a duplicate
        try:
            # Be quick: work that takes longer than ten seconds belongs in a queue.
            await handle(event, customer)
        except BaseException:  # a cancellation too
            self._seen.discard(event)  # the response is a 500, and the service sends the event again
            raise
        print(f"{event.event_type} {customer.source_id or customer.id!r}", flush=True)
        return web.Response(status=204)


def make_app(secret: str, customers: CustomerCopy) -> web.Application:
    """The application, which can be mounted in another one as well."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/webhooks", Receiver(secret, customers).receive)
    return app


def main() -> int:
    parser = argparse.ArgumentParser(description="Receive Voucherify's webhooks.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    args = parser.parse_args()
    secret = os.environ.get("VOUCHERIFY_WEBHOOK_SECRET")
    if not secret:
        print("VOUCHERIFY_WEBHOOK_SECRET must be the secret of the project's webhooks", file=sys.stderr)
        return 1
    web.run_app(make_app(secret, CustomerCopy()), host=args.host, port=args.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())

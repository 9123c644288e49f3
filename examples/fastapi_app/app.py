"""The endpoints."""

import datetime as dt
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated
from uuid import uuid4

import msgspec
from fastapi import Depends, FastAPI, Path, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.types import Send

from voucherify_async import Customer, Page, RateLimit, VoucherifyClient, VoucherifyError
from voucherify_async.fastapi import PageDep, VoucherifyDep, WebhookReceiver, add_error_handlers
from voucherify_async.models import CustomerCreated, CustomerDeleted
from voucherify_async.webhooks import SeenEvents, WebhookEvent

from .lifespan import lifespan
from .logs import RequestLog, configure_logging, logger

configure_logging()
app = FastAPI(title="Customers", lifespan=lifespan)
app.add_middleware(RequestLog)
add_error_handlers(app)

EXPORT_DEADLINE = 120.0
"""Seconds for each page of an export: it can wait for the rate limit, which is counted by the minute."""

# ---------------------------------------------------------------- customers

CustomerId = Annotated[str, Path(pattern="[^.]")]  # the SDK rejects "." and ".." with a ValueError


class Profile(BaseModel):
    """What users may change. A property that is left out keeps its value; `null` clears it."""

    name: Annotated[str, Field(max_length=200)] | None = None
    phone: Annotated[str, Field(max_length=30)] | None = None
    birthdate: dt.date | None = None


class SignUp(Profile):
    """A new user."""

    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)]


@app.get("/customers")
async def list_customers(voucherify: VoucherifyDep, page: PageDep) -> Page[Customer]:
    """List customers, newest first. `next_cursor` is the `cursor` of the next page."""
    return await voucherify.customers.list(limit=page.limit, cursor=page.cursor)


@app.post("/customers", status_code=201)
async def sign_up(voucherify: VoucherifyDep, user: SignUp) -> Customer:
    """Create a customer.

    The id comes from here, not from the user, who could name that of another customer: `create` would update it. With
    an id, the SDK can also repeat the call after a lost connection.
    """
    return await voucherify.customers.create(user.model_dump(exclude_unset=True), source_id=uuid4().hex)


@app.get("/customers/{customer_id}")
async def get_profile(voucherify: VoucherifyDep, customer_id: CustomerId) -> Customer:
    """Show a customer."""
    return await voucherify.customers.get(customer_id)


@app.patch("/customers/{customer_id}")
async def update_profile(voucherify: VoucherifyDep, customer_id: CustomerId, changes: Profile) -> Customer:
    """Change a customer."""
    return await voucherify.customers.update(customer_id, changes.model_dump(exclude_unset=True))


# ---------------------------------------------------------------- export


class Export(StreamingResponse):
    """A response of JSON lines that fetches a page of customers when the client has read those before."""

    def __init__(self, lines: AsyncGenerator[bytes, None]) -> None:
        super().__init__(lines, media_type="application/x-ndjson")
        self._lines = lines

    async def stream_response(self, send: Send) -> None:
        """Send the lines. Starlette cancels this method when the client disconnects."""
        async with aclosing(self._lines):
            try:
                await super().stream_response(send)
            except VoucherifyError as error:
                # The status has been sent. Without the last chunk, the client sees that the body is incomplete.
                logger.warning("an export ends early: %s", error)


async def encode_pages(voucherify: VoucherifyClient, page: Page[Customer]) -> AsyncGenerator[bytes, None]:
    """The customers of a page and of all pages after it, as JSON lines."""
    encoder = msgspec.json.Encoder()
    yield encoder.encode_lines(page.items)
    if page.next_cursor is not None:
        patient = voucherify.with_options(deadline=EXPORT_DEADLINE)
        async for following in patient.customers.list(limit=100, cursor=page.next_cursor).pages():
            yield encoder.encode_lines(following.items)


@app.get("/customers.ndjson", response_class=Export)
async def export_customers(voucherify: VoucherifyDep) -> Export:
    """Export all customers, one in each line."""
    first = await voucherify.customers.list(
        limit=100
    )  # before the status is sent, so that an error has its own
    return Export(encode_pages(voucherify, first))


# ---------------------------------------------------------------- webhooks

receive = WebhookReceiver(os.environ["VOUCHERIFY_WEBHOOK_SECRET"])
seen = SeenEvents()  # of this process


@app.post("/webhooks", status_code=204)
async def handle_webhook(event: Annotated[WebhookEvent, Depends(receive)]) -> None:
    """Handle an event. The service waits ten seconds: work that takes longer belongs in a queue."""
    if not seen.add(event):
        return
    try:
        match event.payload:
            case CustomerCreated(customer=customer):
                logger.info("created: %s", customer and customer.id)
            case CustomerDeleted(customer=customer):
                logger.info("deleted: %s", customer and customer.id)
            case _:
                pass  # with a 2xx, the service does not repeat an event that nobody needs
    except BaseException:  # a cancellation too
        seen.discard(event)  # the service sends the event again
        raise


# ---------------------------------------------------------------- health


@app.get("/health/live")
async def is_live() -> None:
    """Respond while the process runs. A failing service is no reason to restart it."""


@app.get("/health/ready")
async def is_ready(request: Request, voucherify: VoucherifyDep) -> dict[str, RateLimit | None]:
    """Call the service until it has responded once, then report the rate limit without using it up.

    So a process with wrong keys gets no requests, and a failure of the service later does not take away all processes.
    """
    if not getattr(request.app.state, "service_has_responded", False):
        await voucherify.customers.list(limit=1)
        request.app.state.service_has_responded = True
    return {"rate_limit": voucherify.rate_limit}

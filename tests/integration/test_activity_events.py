"""Every event that the sandbox generates is read as the class of its type, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from voucherify_async.models import EventSource, UnknownEvent
from voucherify_async.models.customer_events import CUSTOMER_EVENTS
from voucherify_async.sandbox import Sandbox


def paths(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a JSON document that are set, by their paths."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from paths(part, f"{path}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from paths(part, f"{path}[{index}]")
    elif value is not None:
        yield path, value


async def test_events_of_the_sandbox() -> None:
    kinds: set[str | None] = set()
    async with Sandbox(customers=300, seed=5) as sandbox, sandbox.client() as voucherify:
        async for customer in voucherify.customers.list():
            async for activity in voucherify.customers.list_activity(customer.id):
                kinds.add(activity.type)
                assert not isinstance(activity.event, UnknownEvent)
                assert activity.data is not None
                assert activity.event_source == EventSource(channel="API")
                read = dict(paths(activity.event.to_dict()))
                assert dict(paths(activity.data["data"])).keys() - read.keys() == set(), activity.type
    assert len(kinds) > 40
    assert kinds <= CUSTOMER_EVENTS.keys()

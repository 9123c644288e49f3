"""What the published documents say of each type of event: the schema of its data, and examples of it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from .documents import read
from .overlay import CUSTOMERS, Json

ACTIVITY: Final = "activity"

_RENAMED: Final = {
    "bus_val_rule": "business_validation_rule",
    "distribution.manual_distribution_schedule": "manual_distribution_schedule",
}
"""Parts of the names of webhooks that differ from the types of their events."""

_OTHER_SCHEMA_NAMES: Final = {
    "customer.voucher.gift.balance_added": "EventCustomerGiftVoucherBalanceAdded",
    "customer.voucher.loyalty_card.points_expired": "EventCustomerVouchersLoyaltyPointsExpired",
    "customer.reward_redemptions.rolledback": "EventCustomerRewardRedemptionsRolledBack",
    "customer.activecampaign.sent": "EventCustomerActiveCampaignSent",
    "customer.activecampaign.recovered": "EventCustomerActiveCampaignRecovered",
    "customer.activecampaign.failed": "EventCustomerActiveCampaignFailed",
}
"""The schemas of activity whose names do not follow from the type of the event."""

NO_SCHEMA: Final = frozenset({"customer.voucher.loyalty_card.points_activated"})
"""The types of activity that are listed, but not described."""


@dataclass(frozen=True)
class DescribedEvent:
    """What a document says of one type of event."""

    type: str
    document: str
    """The name of the document, or `ACTIVITY`."""
    spec: Json
    schema: Json
    examples: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.document}-{self.type}"


def activity_types(customers: Json) -> list[str]:
    """Return the types of activity that the document lists."""
    types: list[str] = customers["components"]["schemas"]["CustomerActivity"]["properties"]["type"]["enum"]
    return types


def activity_events(customers: Json) -> Iterator[DescribedEvent]:
    """Yield the described types of activity. The document has no examples of them."""
    schemas = customers["components"]["schemas"]
    references = {part["$ref"].rpartition("/")[2]: part for part in schemas["CustomerActivityData"]["oneOf"]}
    for event_type in activity_types(customers):
        if event_type not in NO_SCHEMA:
            words = re.split(r"[._]", event_type.replace("voucher.loyalty_card", "loyalty_card"))
            name = "Event" + "".join(word.capitalize() for word in words)
            schema = references.pop(_OTHER_SCHEMA_NAMES.get(event_type, name))
            yield DescribedEvent(event_type, ACTIVITY, customers, schema, {})
    assert not references, f"no type of activity has these schemas: {list(references)}"


def webhook_events(documents: Mapping[str, Json]) -> Iterator[DescribedEvent]:
    """Yield the types of events in webhooks, of documents by name."""
    for name, spec in documents.items():
        for webhook, item in spec["webhooks"].items():
            event_type = webhook.removeprefix("EVENTS.").lower()
            for part, renamed in _RENAMED.items():
                event_type = event_type.replace(part, renamed)
            (content,) = item["post"]["requestBody"]["content"].values()
            examples = {key: example["value"] for key, example in content["examples"].items()}
            yield DescribedEvent(event_type, name, spec, content["schema"], examples)


@cache
def described_events(directory: Path) -> tuple[DescribedEvent, ...]:
    """Read everything that the published documents say of events."""
    documents = {
        path.stem: json.loads(path.read_bytes()) for path in sorted((directory / "events").glob("*.json"))
    }
    return (*activity_events(read(directory, CUSTOMERS)), *webhook_events(documents))

"""The reviewed differences between the published documents and the package, each with its reason.

`drift.py` explains the names. A difference that is not listed fails a test, and so does a name that is no longer a
difference. What lies below a listed property need not be listed.
"""

from typing import Final

_ENVELOPE: Final = "The same in every response of a list: the package knows which list it has requested."
_RULES: Final = "A mapping: its keys are numbers, beside one that says how the rules combine."

NOT_OFFERED: Final = {
    "GET /v1/customers/{customerId}/activities": "Deprecated by the service in favour of `activity`.",
    "CustomerActivity.data": "A mapping: `event` has the struct of each type of event, which is compared by itself.",
    "ListPage.data_ref": _ENVELOPE,
    "ListPage.object": _ENVELOPE,
    "Publication.metadata": "A mapping, as all metadata; some publications have documented properties in it.",
    "ValidationRule.bundle_rules": _RULES,
    "ValidationRule.rules": _RULES,
    "oauth.create_token(grant_type)": "Always `client_credentials`: the service accepts no other value.",
}
"""What the documents describe and the package does not offer."""

UNDOCUMENTED: Final = {
    "LoyaltyTierEvent.loyalty_tier_to": "The schemas require it, and describe it for other events only.",
    "PublicationSucceeded.vouchers": "An example has it, and no schema.",
    "async_actions.wait": "Calls `get` until the job has ended.",
    "customers.delete_missing": "Calls `delete` for the customers that were missing from a sync.",
    "customers.list(on_invalid)": "Selects what happens to an item that cannot be decoded.",
    "customers.list(window)": "One of the windows that `plan_windows` returns; sent as filters.",
    "customers.plan_windows": "Calls `list` to split the list into windows.",
    "customers.stream": "Calls `list` for several windows at once.",
    "customers.sync": "Calls `update_in_bulk` as often as the source requires.",
    "customers.sync_csv": "Calls `import_csv` as often as the file requires.",
    "customers.sync_metadata": "Calls `update_metadata_in_bulk` as often as the source requires.",
    "event customer.voucher.loyalty_card.points_activated": "The documents list it, and do not describe it.",
    "customers.with_metadata": "Changes only the type that the metadata of responses is decoded to.",
}
"""What the package offers and the documents do not describe."""

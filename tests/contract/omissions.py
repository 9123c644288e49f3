"""The reviewed differences between the published documents and the package, each with its reason.

`drift.py` explains the names. A difference that is not listed fails a test, and so does a name that is no longer a
difference. What lies below a listed property need not be listed.
"""

from typing import Final

_ENVELOPE: Final = "The same in every response of a list: the package knows which list it has requested."
_CATALOGUE: Final = "A mapping, because the package has no models of products and SKUs yet."
_SCHEDULE: Final = (
    "A mapping, because the package passes the validity of a voucher on and never evaluates it."
)

NOT_OFFERED: Final = {
    "GET /v1/customers/{customerId}/activities": "Deprecated by the service in favour of `activity`.",
    "CustomerActivity.data": "A mapping, because it differs for each of more than seventy types of event.",
    "Discount.product": _CATALOGUE,
    "Discount.sku": _CATALOGUE,
    "Discount.units": _CATALOGUE,
    "ListPage.data_ref": _ENVELOPE,
    "ListPage.object": _ENVELOPE,
    "RedeemableVoucher.validity_hours": _SCHEDULE,
    "RedeemableVoucher.validity_timeframe": _SCHEDULE,
    "oauth.create_token(grant_type)": "Always `client_credentials`: the service accepts no other value.",
}
"""What the documents describe and the package does not offer."""

UNDOCUMENTED: Final = {
    "async_actions.wait": "Calls `get` until the job has ended.",
    "customers.delete_missing": "Calls `delete` for the customers that were missing from a sync.",
    "customers.list(on_invalid)": "Selects what happens to an item that cannot be decoded.",
    "customers.list(window)": "One of the windows that `plan_windows` returns; sent as filters.",
    "customers.plan_windows": "Calls `list` to split the list into windows.",
    "customers.stream": "Calls `list` for several windows at once.",
    "customers.sync": "Calls `update_in_bulk` as often as the source requires.",
    "customers.sync_csv": "Calls `import_csv` as often as the file requires.",
    "customers.sync_metadata": "Calls `update_metadata_in_bulk` as often as the source requires.",
    "customers.with_metadata": "Changes only the type that the metadata of responses is decoded to.",
}
"""What the package offers and the documents do not describe."""

"""The pagination rules. `base` defines what a rule and a walk are."""

from typing import TYPE_CHECKING

from voucherify_async._lazy import lazy_exports

_EXPORTS = {
    "base": ("Batch", "PageAnswer", "Rule", "SinglePage", "Step", "Walk", "WalkRule"),
    "created_at": ("CreatedAtRule",),
    "end_date": ("EndDateRule",),
    "page_number": ("PageNumberRule", "PageNumberState"),
    "starting_after_id": ("IdRule", "IdState"),
}

if TYPE_CHECKING:
    from voucherify_async.pagination.rules.base import Batch as Batch
    from voucherify_async.pagination.rules.base import PageAnswer as PageAnswer
    from voucherify_async.pagination.rules.base import Rule as Rule
    from voucherify_async.pagination.rules.base import SinglePage as SinglePage
    from voucherify_async.pagination.rules.base import Step as Step
    from voucherify_async.pagination.rules.base import Walk as Walk
    from voucherify_async.pagination.rules.base import WalkRule as WalkRule
    from voucherify_async.pagination.rules.created_at import CreatedAtRule as CreatedAtRule
    from voucherify_async.pagination.rules.end_date import EndDateRule as EndDateRule
    from voucherify_async.pagination.rules.page_number import PageNumberRule as PageNumberRule
    from voucherify_async.pagination.rules.page_number import PageNumberState as PageNumberState
    from voucherify_async.pagination.rules.starting_after_id import IdRule as IdRule
    from voucherify_async.pagination.rules.starting_after_id import IdState as IdState

else:
    __all__, __getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

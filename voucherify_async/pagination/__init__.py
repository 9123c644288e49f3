"""Pagination: the rules for reading lists, and the pager that applies them."""

from typing import TYPE_CHECKING

from voucherify_async._lazy import lazy_exports

_EXPORTS = {
    "pager": ("Page", "Pager"),
    "rules": (
        "Batch",
        "CreatedAtRule",
        "EndDateRule",
        "IdRule",
        "PageAnswer",
        "PageNumberRule",
        "Rule",
        "SinglePage",
        "Step",
        "Walk",
        "WalkRule",
    ),
}

if TYPE_CHECKING:
    from voucherify_async.pagination.pager import Page as Page
    from voucherify_async.pagination.pager import Pager as Pager
    from voucherify_async.pagination.rules import Batch as Batch
    from voucherify_async.pagination.rules import CreatedAtRule as CreatedAtRule
    from voucherify_async.pagination.rules import EndDateRule as EndDateRule
    from voucherify_async.pagination.rules import IdRule as IdRule
    from voucherify_async.pagination.rules import PageAnswer as PageAnswer
    from voucherify_async.pagination.rules import PageNumberRule as PageNumberRule
    from voucherify_async.pagination.rules import Rule as Rule
    from voucherify_async.pagination.rules import SinglePage as SinglePage
    from voucherify_async.pagination.rules import Step as Step
    from voucherify_async.pagination.rules import Walk as Walk
    from voucherify_async.pagination.rules import WalkRule as WalkRule

else:
    __all__, __getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

"""Walking lists: the rules, and the pager that applies them."""

from voucherify_async.pagination.cursors import (
    CreatedAtRule,
    EndDateRule,
    IdRule,
    PageAnswer,
    PageNumberRule,
    Rule,
    SinglePage,
    Step,
)
from voucherify_async.pagination.pager import Page, Pager

__all__ = [
    "CreatedAtRule",
    "EndDateRule",
    "IdRule",
    "Page",
    "PageAnswer",
    "PageNumberRule",
    "Pager",
    "Rule",
    "SinglePage",
    "Step",
]

"""Pagination: the rules for reading lists, and the pager that applies them."""

from voucherify_async.pagination.pager import Page, Pager
from voucherify_async.pagination.rules import (
    Batch,
    CreatedAtRule,
    EndDateRule,
    IdRule,
    PageAnswer,
    PageNumberRule,
    Rule,
    SinglePage,
    Step,
    Walk,
    WalkRule,
)

__all__ = [
    "Batch",
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
    "Walk",
    "WalkRule",
]

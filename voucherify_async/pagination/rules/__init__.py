"""The pagination rules. `base` defines what a rule and a walk are."""

from voucherify_async.pagination.rules.base import Batch, PageAnswer, Rule, SinglePage, Step, Walk, WalkRule
from voucherify_async.pagination.rules.created_at import CreatedAtRule
from voucherify_async.pagination.rules.end_date import EndDateRule
from voucherify_async.pagination.rules.page_number import PageNumberRule, PageNumberState
from voucherify_async.pagination.rules.starting_after_id import IdRule, IdState

__all__ = [
    "Batch",
    "CreatedAtRule",
    "EndDateRule",
    "IdRule",
    "IdState",
    "PageAnswer",
    "PageNumberRule",
    "PageNumberState",
    "Rule",
    "SinglePage",
    "Step",
    "Walk",
    "WalkRule",
]

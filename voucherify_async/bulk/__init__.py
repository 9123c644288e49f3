"""Sync jobs: any number of items through bulk jobs, and what became of each."""

from voucherify_async.bulk.report import SyncReport
from voucherify_async.bulk.results import SyncFailure, SyncJob, SyncProgress

__all__ = ["SyncFailure", "SyncJob", "SyncProgress", "SyncReport"]

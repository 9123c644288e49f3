"""Sync jobs: any number of items through background jobs, and what became of each.

An item goes through eight functions, from the source to the report:

1. `Reader.next` reads the source when a worker asks for a batch.
2. `Reader._take` encodes an item; an invalid one is reported and goes no further.
3. `Reader._read` asks the state about it; an item that the service holds already is counted as unchanged.
4. `Batcher.add` puts it into a request body, at most one item of a key at a time.
5. `Sync._carry` sees a batch through, whatever happens to its requests and jobs.
6. `Sync._start` has a job started for the batch, and deals with requests that fail.
7. `Poller.ended` waits for the job.
8. `account` reads from its result which items failed; `Tally` counts all others as succeeded.

A key is taken from step 4 until its batch has ended, so that two items of one customer are never under way at once.
`Stage` says how far a batch has come. `State` owns the file that makes the next sync shorter, and puts each stage
on record before the batch enters it. `Jobs` is all that this package knows of the service.
"""

from voucherify_async._sync.report import SyncReport
from voucherify_async._sync.results import SyncFailure, SyncJob, SyncProgress

__all__ = ["SyncFailure", "SyncJob", "SyncProgress", "SyncReport"]

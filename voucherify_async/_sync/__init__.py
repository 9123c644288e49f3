"""Sync jobs: any number of items through background jobs, and what became of each.

An item goes through eight functions, from the source to the report:

1. `SourceReader.next` reads the source when a worker asks for a batch.
2. `SourceReader._take` encodes an item; an invalid one is reported and goes no further.
3. `SourceReader._read` asks the state about it; an item that the service holds already is counted as unchanged.
4. `Batcher.add` puts it into a request body, at most one item of a key at a time.
5. `SyncRun._carry` sees a batch through, whatever happens to its requests and jobs.
6. `SyncRun._start` has a job started for the batch, and deals with requests that fail.
7. `JobPoller.ended` waits for the job.
8. `find_failures` reads from its result which items failed; `SyncStats` counts all others as succeeded.

A key is taken from step 4 until its batch has ended, so that two items of one customer are never under way at once.
`Stage` says how far a batch has come. `SyncState` owns the file that makes the next sync shorter, and puts each stage
on record before the batch enters it. `JobService` is all that this package knows of the service.
"""

from voucherify_async._sync.report import SyncReport
from voucherify_async._sync.results import SyncFailure, SyncJob, SyncProgress

__all__ = ["SyncFailure", "SyncJob", "SyncProgress", "SyncReport"]

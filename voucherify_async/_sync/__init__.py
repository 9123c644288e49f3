"""Sync jobs: send any number of items through background jobs, and report what happened to each.

An item passes eight functions from the source to the report:

1. `SourceReader.next` reads the source when a worker asks for a batch.
2. `SourceReader._take` encodes the item. An invalid item is reported and goes no further.
3. `SourceReader._read` looks the item up in the state file. If the service already holds it, it counts as unchanged.
4. `Batcher.add` puts the item into a batch.
5. `SyncRun._carry` delivers the batch: it splits a rejected batch and repeats a failed job.
6. `SyncRun._start` starts a background job for the batch and handles requests that fail.
7. `JobPoller.ended` waits for the job.
8. `find_failures` reads the job's result and returns the items that failed. All others succeeded.

Invariants:

- Two items with the same key are never in flight at once: the batcher holds the second back until the batch of the
  first has ended. Meanwhile, held items with the same key are merged into one.
- A batch moves through the stages of `Stage`. Each change is recorded in the state file before it takes effect, so
  that a later process can find out what happened to the batch.
- Sending a batch twice is safe if all its items have a `source_id`. A batch with other items is sent at most once.

This package knows the service only through the protocol `JobService`.
"""

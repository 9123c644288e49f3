"""The sandbox's data: records, indexes, jobs and persistence. Only `persistence` does I/O."""

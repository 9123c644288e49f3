"""The sandbox's data: records, indexes, jobs and persistence. No I/O but in `persistence`."""

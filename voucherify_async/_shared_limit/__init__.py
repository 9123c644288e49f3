"""The parts of `voucherify_async.redis`: a rate limit that processes share."""

"""The transport: authentication, retries, rate limits, the wire format and the connection pool."""

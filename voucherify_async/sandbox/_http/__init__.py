"""The sandbox's HTTP server: routing, faults, rate limits and recorded exchanges."""

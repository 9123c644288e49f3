"""The sandbox's status page and its JSON endpoints."""

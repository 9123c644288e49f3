"""The sandbox's status page."""

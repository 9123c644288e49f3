"""Generated customers with their history, and customers loaded from files."""

"""Generated customers and their history."""

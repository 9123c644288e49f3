"""How fast this package is, beside what a user would otherwise write."""
